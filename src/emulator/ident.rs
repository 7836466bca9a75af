//! Ids, change keys and tokens that look like the service's and carry what they stand for, so that nothing has
//! to be looked up by text.
//!
//! An id is a fixed head, 100 letters that belong to the mailbox, and a scrambled tail. Neighbouring serial
//! numbers differ in the *case of one letter* only: whoever compares ids without case mixes up two events.
//! Tails hold `/`, `+` and `=`, so an id has to be percent-encoded in a path.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

const PREFIX_LETTERS: usize = 100;
/// Where the letter stands whose case tells neighbours apart.
const CASE_AT: usize = 60;

/// Which of the two forms an id is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Changes when the event moves to another calendar.
    Plain,
    /// `Prefer: IdType="ImmutableId"`.
    Immutable,
}

/// What an id stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Calendar(u64),
    /// A single event or a series master.
    Event(u64),
    /// The slot (a day) of a series.
    Slot(u64, i32),
}

/// Writes and reads the ids of one mailbox.
#[derive(Clone)]
pub(crate) struct Ids {
    letters: String,
    scramble: u64,
}

impl Ids {
    pub fn new(rng: &mut fastrand::Rng) -> Ids {
        let mut letters: String = (0..PREFIX_LETTERS).map(|_| rng.alphanumeric()).collect();
        letters.replace_range(CASE_AT..=CASE_AT, "q");
        Ids { letters, scramble: rng.u64(..) }
    }

    /// `moves` counts the calendars the event has lived in; it shows in the plain form only.
    pub fn encode(&self, target: Target, form: Form, moves: u16) -> String {
        let (kind, serial, slot) = match target {
            Target::Calendar(serial) => (1, serial, None),
            Target::Event(serial) => (2, serial, None),
            Target::Slot(serial, slot) => (3, serial, Some(slot)),
        };
        let moves = if form == Form::Immutable { 0 } else { moves };
        let mut tail = vec![kind];
        tail.extend_from_slice(&moves.to_be_bytes());
        tail.extend_from_slice((serial >> 1).to_be_bytes().get(2..).unwrap_or_default());
        if let Some(slot) = slot {
            tail.extend_from_slice(&slot.to_be_bytes());
        }
        tail.extend_from_slice(&check(&tail, self.scramble).to_be_bytes());
        self.cross(&mut tail);
        let mut letters = self.letters.clone();
        if serial & 1 == 1 {
            letters.replace_range(CASE_AT..=CASE_AT, "Q");
        }
        let head = match form {
            Form::Plain => "AAMk",
            Form::Immutable => "AAkA",
        };
        format!("{head}{letters}{}", STANDARD.encode(tail))
    }

    /// What an id of this mailbox stands for, its form and its count of moves.
    pub fn decode(&self, id: &str) -> Option<(Target, Form, u16)> {
        let form = match id.get(..4)? {
            "AAMk" => Form::Plain,
            "AAkA" => Form::Immutable,
            _ => return None,
        };
        let letters = id.get(4..4 + PREFIX_LETTERS)?;
        if !letters.eq_ignore_ascii_case(&self.letters)
            || letters.get(..CASE_AT) != self.letters.get(..CASE_AT)
        {
            return None;
        }
        let odd = match letters.get(CASE_AT..=CASE_AT)? {
            "q" => 0,
            "Q" => 1,
            _ => return None,
        };
        if letters.get(CASE_AT + 1..) != self.letters.get(CASE_AT + 1..) {
            return None;
        }
        let mut tail = STANDARD.decode(id.get(4 + PREFIX_LETTERS..)?).ok()?;
        self.cross(&mut tail);
        let (bytes, sum) = tail.split_at_checked(tail.len().checked_sub(2)?)?;
        if check(bytes, self.scramble).to_be_bytes() != sum {
            return None;
        }
        let kind = *bytes.first()?;
        let moves = u16::from_be_bytes(bytes.get(1..3)?.try_into().ok()?);
        let mut wide = [0; 8];
        wide.get_mut(2..)?.copy_from_slice(bytes.get(3..9)?);
        let serial = (u64::from_be_bytes(wide) << 1) | odd;
        let target = match (kind, bytes.get(9..)?) {
            (1, []) => Target::Calendar(serial),
            (2, []) => Target::Event(serial),
            (3, slot) => Target::Slot(serial, i32::from_be_bytes(slot.try_into().ok()?)),
            _ => return None,
        };
        Some((target, form, moves))
    }

    /// The change key of the `count`-th version of something.
    pub fn change_key(&self, count: u64) -> String {
        let mut bytes = [0; 22];
        for (n, byte) in bytes.iter_mut().enumerate() {
            let word = if n < 16 { mix(self.scramble, 7) } else { mix(self.scramble ^ count, 11) };
            *byte = word.rotate_left(u32::try_from(n * 8).unwrap_or(0)).to_be_bytes()[0];
        }
        if let Some(end) = bytes.get_mut(14..) {
            end.copy_from_slice(&mix(self.scramble ^ count.rotate_left(17), 13).to_be_bytes());
        }
        STANDARD.encode(bytes)
    }

    /// A global object id as Exchange prints it.
    pub fn uid(&self, serial: u64) -> String {
        let (a, b) = (mix(self.scramble ^ serial, 17), mix(self.scramble ^ serial, 19));
        format!(
            "040000008200E00074C5B7101A82E00800000000{a:016X}000000000000000010000000{b:016X}{:016X}",
            serial ^ a
        )
    }

    fn cross(&self, bytes: &mut [u8]) {
        // The last byte of the sum keys the rest, so that neighbours do not look alike.
        let Some((last, rest)) = bytes.split_last_mut() else { return };
        let key = mix(self.scramble, u64::from(*last));
        for (n, byte) in rest.iter_mut().enumerate() {
            let word = mix(key, u64::try_from(n).unwrap_or(0));
            *byte ^= word.to_be_bytes()[0];
        }
    }
}

fn check(bytes: &[u8], key: u64) -> u16 {
    let sum = bytes.iter().fold(key, |sum, b| mix(sum, u64::from(*b)));
    u16::try_from(sum & 0xFFFF).unwrap_or(0)
}

/// A good 64-bit mixer (splitmix64's finalizer).
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    let mut z = a.wrapping_add(b.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number in `[0, 1)` from a hash.
pub(crate) fn unit(hash: u64) -> f64 {
    f64::from(u32::try_from(hash >> 32).unwrap_or(0)) / 4_294_967_296.0
}

/// An opaque text of `bytes` random bytes.
pub(crate) fn opaque(rng: &mut fastrand::Rng, bytes: usize) -> String {
    let raw: Vec<u8> = (0..bytes).map(|_| rng.u8(..)).collect();
    URL_SAFE_NO_PAD.encode(raw)
}

pub(crate) fn url_safe(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn standard(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// A UUID from two hashes.
pub(crate) fn guid(seed: u64, salt: u64) -> String {
    let (a, b) = (mix(seed, salt), mix(seed ^ 0x5555, salt));
    let bytes = ((u128::from(a) << 64) | u128::from(b)).to_be_bytes();
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_back_and_nobody_elses_are() {
        let mut rng = fastrand::Rng::with_seed(1);
        let (mine, other) = (Ids::new(&mut rng), Ids::new(&mut rng));
        for serial in 0..500 {
            for target in [Target::Calendar(serial), Target::Event(serial), Target::Slot(serial, 20_600)] {
                for (form, moves) in [(Form::Plain, 3), (Form::Immutable, 0)] {
                    let id = mine.encode(target, form, moves);
                    assert_eq!(mine.decode(&id), Some((target, form, moves)));
                    assert_eq!(other.decode(&id), None);
                }
            }
        }
        for id in ["", "AAMk", "é", "AAkA====", "AAMké"] {
            assert_eq!(mine.decode(id), None);
        }
    }

    #[test]
    fn neighbours_differ_in_case_only() {
        let ids = Ids::new(&mut fastrand::Rng::with_seed(2));
        let (a, b) = (
            ids.encode(Target::Event(10), Form::Immutable, 0),
            ids.encode(Target::Event(11), Form::Immutable, 0),
        );
        assert_ne!(a, b);
        assert!(a.eq_ignore_ascii_case(&b));
    }

    #[test]
    fn some_ids_need_percent_encoding() {
        let ids = Ids::new(&mut fastrand::Rng::with_seed(3));
        let all: String = (0..100).map(|n| ids.encode(Target::Event(n), Form::Plain, 0)).collect();
        for letter in ['/', '+', '='] {
            assert!(all.contains(letter), "{letter}");
        }
    }

    #[test]
    fn change_keys_do_not_repeat() {
        let ids = Ids::new(&mut fastrand::Rng::with_seed(4));
        let keys: std::collections::BTreeSet<String> = (0..10_000).map(|n| ids.change_key(n)).collect();
        assert_eq!(keys.len(), 10_000);
    }
}
