use super::*;
use crate::model::Secret;

fn tokens() -> Tokens {
    Tokens {
        access: Secret::new("sesame-access"),
        expires_at_ms: 1_700_000_000_000,
        refresh: Some(Secret::new("sesame-refresh")),
        scopes: vec!["Calendars.ReadWrite".into()],
        ended: None,
        owner: None,
    }
}

fn sealed(key: &Key) -> Vec<u8> {
    seal(key, KeyPlace::KeyFile, "anna", &tokens()).unwrap()
}

#[test]
fn what_is_sealed_is_read_with_its_key_and_tells_no_token() {
    let key = Key::draw().unwrap();
    let file = sealed(&key);
    assert_eq!(unseal(&key, "anna", &file), Ok(tokens()));
    assert!(!String::from_utf8_lossy(&file).contains("sesame"));
    let (head, _) = read_head(&file).unwrap();
    assert_eq!((head.key, head.key_id.as_str()), (KeyPlace::KeyFile, key.id().as_str()));
    assert!(head.is_renewable);
}

#[test]
fn another_key_or_another_account_opens_nothing() {
    let key = Key::draw().unwrap();
    let file = sealed(&key);
    assert_eq!(unseal(&Key::draw().unwrap(), "anna", &file), Err(Unsealable));
    assert_eq!(unseal(&key, "ann", &file), Err(Unsealable));
    assert_eq!(unseal(&key, "ben", &file), Err(Unsealable));
}

#[test]
fn no_single_changed_byte_goes_unnoticed() {
    let key = Key::draw().unwrap();
    let file = sealed(&key);
    for place in 0..file.len() {
        let mut changed = file.clone();
        changed[place] ^= 0x01;
        assert_eq!(unseal(&key, "anna", &changed), Err(Unsealable), "byte {place}");
    }
}

#[test]
fn a_file_cut_anywhere_or_made_longer_is_refused() {
    let key = Key::draw().unwrap();
    let mut file = sealed(&key);
    for length in 0..file.len() {
        assert_eq!(unseal(&key, "anna", &file[..length]), Err(Unsealable), "{length} bytes");
    }
    file.push(0);
    assert_eq!(unseal(&key, "anna", &file), Err(Unsealable));
}

#[test]
fn two_writings_of_the_same_tokens_share_no_nonce() {
    let key = Key::draw().unwrap();
    let (one, two) = (sealed(&key), sealed(&key));
    assert_ne!(read_head(&one).unwrap().0.nonce, read_head(&two).unwrap().0.nonce);
    assert_ne!(one, two);
}

#[test]
fn tokens_larger_than_a_file_may_be_are_not_sealed() {
    let key = Key::draw().unwrap();
    let large = Tokens { access: Secret::new("a".repeat(FILE_BYTES_MAX)), ..tokens() };
    assert!(seal(&key, KeyPlace::KeyFile, "anna", &large).is_none());
    let just = Tokens { access: Secret::new("a".repeat(FILE_BYTES_MAX - 4096)), ..tokens() };
    let file = seal(&key, KeyPlace::KeyFile, "anna", &just).unwrap();
    assert_eq!(unseal(&key, "anna", &file), Ok(just));
}

#[test]
fn a_key_survives_as_text_and_is_not_shown() {
    let key = Key::draw().unwrap();
    let again = Key::from_text(&format!("{}\n", key.to_text().as_str())).unwrap();
    assert_eq!(again.id(), key.id());
    assert_eq!(format!("{key:?}"), "Key(…)");
    for text in ["", "00", &"g".repeat(64), &"0".repeat(63), &"ä".repeat(32)] {
        assert!(Key::from_text(text).is_none(), "{text}");
    }
}

#[test]
fn a_file_of_a_later_format_is_not_guessed_at() {
    let key = Key::draw().unwrap();
    let file =
        String::from_utf8_lossy(&sealed(&key)).replace("\"calmirror_tokens\":1", "\"calmirror_tokens\":2");
    assert!(read_head(file.as_bytes()).is_none());
}
