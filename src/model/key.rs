use std::fmt;
use std::str::FromStr;

/// The stable local identity of an event, a series or a calendar: 16 bytes, shown as 26 letters and digits.
///
/// A row that came from a server has the truncated BLAKE3 hash of its remote id, so the key survives
/// resyncs, a rebuilt mirror and leaving the window; a row made offline has a random one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 16]);

/// Crockford's base 32, lower case: no `i`, `l`, `o`, `u`.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 128 bits in groups of five.
const LETTERS: usize = 26;

impl Key {
    /// The key of the row a server calls `remote_id`. Remote ids are case-sensitive and opaque.
    pub fn of_remote(remote_id: &str) -> Key {
        let mut bytes = [0; 16];
        blake3::Hasher::new().update(remote_id.as_bytes()).finalize_xof().fill(&mut bytes);
        Key(bytes)
    }

    /// The key with exactly these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Key {
        Key(bytes)
    }

    /// The 16 bytes, as they stand in the mirror.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = u128::from_be_bytes(self.0);
        for place in (0..LETTERS).rev() {
            let digit = (value >> (place * 5)) & 31;
            let letter = DIGITS.get(digit as usize).copied().unwrap_or(b'0');
            f.write_fmt(format_args!("{}", char::from(letter)))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no [`Key`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id has 26 letters and digits, as printed by `agenda --json`")]
pub struct KeyError;

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Key, KeyError> {
        if text.len() != LETTERS {
            return Err(KeyError);
        }
        let mut value: u128 = 0;
        for (place, letter) in text.bytes().enumerate() {
            let lower = letter.to_ascii_lowercase();
            let digit = DIGITS.iter().position(|d| *d == lower).ok_or(KeyError)?;
            // 26 digits hold 130 bits: the first may use only three of its five.
            if place == 0 && digit > 7 {
                return Err(KeyError);
            }
            value = (value << 5) | digit as u128;
        }
        Ok(Key(value.to_be_bytes()))
    }
}

impl serde::Serialize for Key {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_being_printed_and_read() {
        for id in ["", "AAMk", "AAMkAGI1…AAA=", "aamk"] {
            let key = Key::of_remote(id);
            assert_eq!(key.to_string().parse::<Key>().unwrap(), key);
            assert_eq!(key.to_string().len(), 26);
        }
        let all = Key::from_bytes([255; 16]);
        assert_eq!(all.to_string().parse::<Key>().unwrap(), all);
    }

    #[test]
    fn ids_that_differ_in_case_have_different_keys() {
        assert_ne!(Key::of_remote("AAMk"), Key::of_remote("aamk"));
    }

    #[test]
    fn a_text_that_is_no_key_is_refused() {
        for text in [
            "",
            "x",
            "zzzzzzzzzzzzzzzzzzzzzzzzzz",
            "0000000000000000000000000u",
            "0000000000000000000000000é",
        ] {
            assert!(text.parse::<Key>().is_err(), "{text}");
        }
    }
}
