use std::fmt;

use zeroize::Zeroizing;

/// A token or another text that must never reach a log, an error or a `Debug` output; its memory is overwritten
/// when it is dropped.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(Zeroizing::new(text.into()))
    }

    /// The text itself, for the one place that sends or stores it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_written_as_its_text_and_shown_as_none() {
        let secret = Secret::new("sesame");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"sesame\"");
        assert_eq!(serde_json::from_str::<Secret>("\"sesame\"").unwrap(), secret);
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "Secret(…) Some(Secret(…))");
    }
}
