use std::time::Duration;

/// The longest duration that may be written.
const SPAN_SECONDS_MAX: u64 = 3_650 * 86_400;

/// Why a text is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// Not a whole number with a unit.
    #[error("must be a whole number with a unit: \"90s\", \"5m\", \"72h\" or \"14d\"")]
    Form,
    /// Longer than ten years.
    #[error("must not be longer than \"3650d\"")]
    Long,
}

/// Reads `"90s"`, `"5m"`, `"72h"` or `"14d"`. A day has 24 hours.
///
/// # Errors
/// When it has another form or is longer than ten years.
pub fn parse_span(text: &str) -> Result<Duration, SpanError> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let seconds_each = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(SpanError::Form),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(SpanError::Form);
    }
    let count: u64 = digits.parse().map_err(|_| SpanError::Long)?;
    let seconds = count.checked_mul(seconds_each).ok_or(SpanError::Long)?;
    if seconds > SPAN_SECONDS_MAX {
        return Err(SpanError::Long);
    }
    Ok(Duration::from_secs(seconds))
}

/// The shortest text that [`parse_span`] reads as `span`; parts of a second are dropped.
pub fn span_text(span: Duration) -> String {
    let seconds = span.as_secs();
    for (unit, each) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
        if seconds > 0 && seconds.is_multiple_of(each) {
            return format!("{}{unit}", seconds / each);
        }
    }
    if seconds == 0 { "0m".to_owned() } else { format!("{seconds}s") }
}

/// For `#[serde(serialize_with)]`.
pub(crate) fn serialize<S: serde::Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&span_text(*span))
}

/// For `#[serde(serialize_with)]`.
pub(crate) fn serialize_option<S: serde::Serializer>(
    span: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match span {
        Some(span) => serialize(span, serializer),
        None => serializer.serialize_none(),
    }
}

/// For `#[serde(deserialize_with)]`.
pub(crate) fn deserialize_option<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    let text = <Option<std::borrow::Cow<'de, str>> as serde::Deserialize>::deserialize(deserializer)?;
    text.map(|text| parse_span(&text)).transpose().map_err(serde::de::Error::custom)
}
