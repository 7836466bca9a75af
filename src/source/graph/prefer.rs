/// The one `Prefer` header of a request.
///
/// Preferences are per request and not part of a state link, so every request carries all of them, batch items
/// included. They go out comma-joined in one header: clients that set the header twice lost the first.
///
/// Bodies come as text, or with `is_html` as they are.
pub(super) fn encode(page_size: Option<u32>, is_html: bool) -> String {
    let body = if is_html { "html" } else { "text" };
    let rest =
        format!("outlook.timezone=\"UTC\", outlook.body-content-type=\"{body}\", IdType=\"ImmutableId\"");
    match page_size {
        Some(size) => format!("odata.maxpagesize={size}, {rest}"),
        None => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_preferences_stand_in_one_header() {
        assert_eq!(
            encode(Some(200), false),
            "odata.maxpagesize=200, outlook.timezone=\"UTC\", outlook.body-content-type=\"text\", \
             IdType=\"ImmutableId\""
        );
        assert_eq!(
            encode(None, true),
            "outlook.timezone=\"UTC\", outlook.body-content-type=\"html\", IdType=\"ImmutableId\""
        );
    }
}
