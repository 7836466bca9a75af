use std::fmt;
use std::str::FromStr;

/// The stable local identity of an event, a series or a calendar: 16 bytes, shown as 32 lower-case hexadecimal
/// digits, which is what `lower(hex(key))` gives in SQL: views and JSON show the same ids.
///
/// A row that came from a server has the truncated BLAKE3 hash of its remote id, so the key survives
/// resyncs, a rebuilt mirror and leaving the window; a row made offline has a random one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 16]);

/// Two digits a byte.
const DIGITS: usize = 32;

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
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no [`Key`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id has 32 hexadecimal digits, as printed by `agenda --json`")]
pub struct KeyError;

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Key, KeyError> {
        // `from_str_radix` alone would take a sign, too.
        if text.len() != DIGITS || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(KeyError);
        }
        let value = u128::from_str_radix(text, 16).map_err(|_| KeyError)?;
        Ok(Key(value.to_be_bytes()))
    }
}

#[cfg(feature = "local-api")]
impl schemars::JsonSchema for Key {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Key".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9a-f]{32}$" })
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
            assert_eq!(key.to_string().to_uppercase().parse::<Key>().unwrap(), key);
            assert_eq!(key.to_string().len(), 32);
        }
    }

    #[test]
    fn a_key_is_printed_as_sql_prints_its_bytes() {
        let key = Key::from_bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255]);
        assert_eq!(key.to_string(), "000102030405060708090a0b0c0d0eff");
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
            "000102030405060708090a0b0c0d0ef",
            "000102030405060708090a0b0c0d0efg",
            "+00102030405060708090a0b0c0d0eff",
            "000102030405060708090a0b0c0d0eé",
        ] {
            assert!(text.parse::<Key>().is_err(), "{text}");
        }
    }
}
