//! The sealed file: one line of JSON that anybody may know, then the tokens under ChaCha20-Poly1305.
//!
//! The line and the account's name are authenticated with the tokens, so that neither can be exchanged. Each
//! writing draws a new 96-bit nonce: at one writing an hour a key would have to serve for longer than anybody
//! lives before two are alike.

use std::fmt;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::ports::Tokens;

/// The format that this program writes.
const FORMAT: u32 = 1;
/// The bytes of a key.
const KEY_BYTES: usize = 32;
/// The bytes of the tag that ends a sealed text.
const TAG_BYTES: usize = 16;
/// The most bytes of a file; tokens of a few kilobytes are common.
pub(super) const FILE_BYTES_MAX: usize = 256 * 1024;
/// Tells the key's id from any other use of its hash.
const ID_CONTEXT: &str = "calmirror vault 1, id of a key";

/// Where the key of a sealed file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyPlace {
    /// In the operating system's keyring.
    Keyring,
    /// In `vault.key` of the data directory.
    KeyFile,
}

/// What is known of a sealed file without its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// The format's number.
    pub calmirror_tokens: u32,
    /// Where the key is.
    pub key: KeyPlace,
    /// Which key.
    pub key_id: String,
    /// When the access token ends, UTC epoch milliseconds.
    pub expires_at_ms: i64,
    /// Whether there is a refresh token.
    pub is_renewable: bool,
    /// Granted scopes.
    pub scopes: Vec<String>,
    /// The OAuth error that ended the sign-in, if it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    nonce: String,
}

/// The content is not what was sealed, or not with this key, or not for this account.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unsealable;

/// A key; overwritten when dropped, never shown.
#[derive(Clone)]
pub(super) struct Key(Zeroizing<[u8; KEY_BYTES]>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    /// A new one; `None` when the system gives no randomness.
    pub(super) fn draw() -> Option<Key> {
        let mut key = Key(Zeroizing::new([0; KEY_BYTES]));
        SystemRandom::new().fill(key.0.as_mut_slice()).ok()?;
        Some(key)
    }

    /// The key as text, for the keyring and the key file: every keyring keeps plain letters as they are.
    pub(super) fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(KEY_BYTES * 2));
        push_hex(&mut text, self.0.as_slice());
        text
    }

    pub(super) fn from_text(text: &str) -> Option<Key> {
        let mut key = Key(Zeroizing::new([0; KEY_BYTES]));
        read_hex(text.trim_ascii(), key.0.as_mut_slice()).then_some(key)
    }

    /// A name for the key that does not tell it.
    pub(super) fn id(&self) -> String {
        let hash = blake3::derive_key(ID_CONTEXT, self.0.as_slice());
        let mut id = String::new();
        push_hex(&mut id, hash.get(..16).unwrap_or_default());
        id
    }

    fn cipher(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&CHACHA20_POLY1305, self.0.as_slice()).ok().map(LessSafeKey::new)
    }
}

/// The file that keeps `tokens` for `account`. `None` when they are larger than a file may be, or the system gives
/// no randomness.
pub(super) fn seal(key: &Key, place: KeyPlace, account: &str, tokens: &Tokens) -> Option<Vec<u8>> {
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).ok()?;
    let mut head = Head {
        calmirror_tokens: FORMAT,
        key: place,
        key_id: key.id(),
        expires_at_ms: tokens.expires_at_ms,
        is_renewable: tokens.refresh.is_some(),
        scopes: tokens.scopes.clone(),
        ended: tokens.ended.as_ref().map(|ended| ended.code.clone()),
        nonce: String::new(),
    };
    push_hex(&mut head.nonce, &nonce);
    let mut file = serde_json::to_vec(&head).ok()?;
    file.push(b'\n');
    // Of its full size from the start: a buffer that grows leaves copies of its content behind.
    let mut buffer = Zeroizing::new(vec![0; FILE_BYTES_MAX]);
    let mut rest = buffer.as_mut_slice();
    serde_json::to_writer(&mut rest, tokens).ok()?;
    let unused = rest.len();
    let text = buffer.get_mut(..FILE_BYTES_MAX - unused)?;
    let aad = Aad::from(aad(&file, account));
    let tag =
        key.cipher()?.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, text).ok()?;
    file.extend_from_slice(text);
    file.extend_from_slice(tag.as_ref());
    (file.len() <= FILE_BYTES_MAX).then_some(file)
}

/// The head of a file, with the length of its line. `None` when there is none of a known format.
pub(super) fn read_head(file: &[u8]) -> Option<(Head, usize)> {
    let length = file.iter().position(|byte| *byte == b'\n')?;
    let head: Head = serde_json::from_slice(file.get(..length)?).ok()?;
    (head.calmirror_tokens == FORMAT).then_some((head, length + 1))
}

/// The tokens of a file that was sealed for `account` with `key`.
pub(super) fn unseal(key: &Key, account: &str, file: &[u8]) -> Result<Tokens, Unsealable> {
    let (head, length) = read_head(file).ok_or(Unsealable)?;
    let mut nonce = [0; NONCE_LEN];
    let (line, sealed) = file.split_at_checked(length).ok_or(Unsealable)?;
    if !read_hex(&head.nonce, &mut nonce) || sealed.len() < TAG_BYTES {
        return Err(Unsealable);
    }
    let mut text = Zeroizing::new(sealed.to_vec());
    let cipher = key.cipher().ok_or(Unsealable)?;
    let nonce = Nonce::assume_unique_for_key(nonce);
    let text = cipher
        .open_in_place(nonce, Aad::from(aad(line, account)), text.as_mut_slice())
        .map_err(|_| Unsealable)?;
    // The reader's own message may quote the text, so it is dropped.
    serde_json::from_slice(text).map_err(|_| Unsealable)
}

fn aad(line: &[u8], account: &str) -> Vec<u8> {
    [line, account.as_bytes()].concat()
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for nibble in [byte >> 4, byte & 0x0f] {
            text.extend(char::from_digit(nibble.into(), 16));
        }
    }
}

/// Reads exactly as many bytes as there is room for.
fn read_hex(text: &str, bytes: &mut [u8]) -> bool {
    let digit = |letter: Option<&u8>| letter.and_then(|letter| char::from(*letter).to_digit(16));
    if text.len() != bytes.len() * 2 {
        return false;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let (Some(high), Some(low)) = (digit(pair.first()), digit(pair.get(1))) else { return false };
        *byte = u8::try_from(high * 16 + low).unwrap_or_default();
    }
    true
}

#[cfg(test)]
#[path = "seal_tests.rs"]
mod tests;
