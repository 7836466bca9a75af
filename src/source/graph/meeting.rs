//! The body of an online meeting: what the user wrote, and the block that the server put in, without which it
//! switches the meeting off.

use crate::source::graph::text;

/// The class of the block that Teams puts into a body, in all its generations.
const BLOCK_CLASS: &str = "me-email-text";
/// A line of so many underscores separates the block; Teams writes eighty.
const RULE_CHARS: usize = 20;
/// How much of the block's text is read to know it again.
const BLOCK_CHARS_READ: usize = 400;
/// How many words of it.
const TITLE_WORDS: usize = 3;

/// The new HTML body of an online meeting: `text`, and the meeting's block as it stands in `html`.
///
/// `text` may hold the block as well, as text between its two lines of underscores: that part is left out. `None`
/// when the block cannot be told apart: the body is not to be sent then, for a lost block ends the meeting.
pub fn meeting_body(html: &str, text: &str) -> Option<String> {
    let block = block(html)?;
    let mut body = String::with_capacity(block.len() + text.len() + 64);
    body.push_str("<html><body>");
    push_text(&mut body, own_part(text, block).trim_end());
    body.push_str(block);
    body.push_str("</body></html>");
    Some(body)
}

/// The block of `html`, separators included; empty when nothing in it looks like one.
fn block(html: &str) -> Option<&str> {
    // Bytes stay where they are: only ASCII letters change.
    let lower = html.to_ascii_lowercase();
    let Some(class_at) = lower.find(BLOCK_CLASS) else {
        // An address to join by, not the `http-equiv` that Exchange writes into every head.
        let may_hold_one =
            ["http://", "https://"].iter().any(|scheme| lower.contains(scheme)) || rule(&lower).is_some();
        return (!may_hold_one).then_some("");
    };
    let start = lower.get(..class_at)?.rfind("<div")?;
    let is_of_this_tag = !lower.get(start..class_at)?.contains('>');
    let end = start + div_bytes(lower.get(start..)?)?;
    if !is_of_this_tag || !lower.get(start..end)?.contains("href") {
        return None;
    }
    // Teams has put the lines of underscores beside the block and into it.
    let start = rule_before(lower.get(..start)?).unwrap_or(start);
    let end = rule_after(lower.get(end..)?).map_or(end, |bytes| end + bytes);
    let is_last = !lower.get(end..)?.contains(BLOCK_CLASS);
    is_last.then_some(html.get(start..end)?)
}

/// How many bytes the element takes that `html` starts with; `None` when it does not end.
fn div_bytes(html: &str) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0_usize);
    loop {
        let rest = html.get(at..)?;
        let open = rest.find("<div").unwrap_or(usize::MAX);
        let close = rest.find("</div")?;
        if open < close {
            depth += 1;
            at += open + "<div".len();
        } else {
            depth = depth.checked_sub(1)?;
            at += close + rest.get(close..)?.find('>')? + 1;
            if depth == 0 {
                return Some(at);
            }
        }
    }
}

/// Where the separator's element starts, when `before` ends with one.
fn rule_before(before: &str) -> Option<usize> {
    let start = before.rfind("_")?;
    let first = before.get(..=start)?.trim_end_matches('_').len();
    let is_rule = start + 1 - first >= RULE_CHARS && is_blank(before.get(start + 1..)?);
    let element = before.get(..first)?.rfind("<div")?;
    (is_rule && div_bytes(before.get(element..)?).is_some()).then_some(element)
}

/// How many bytes there are to the end of the separator's element, when `after` starts with one.
fn rule_after(after: &str) -> Option<usize> {
    let first = after.find('_')?;
    let last = after.len() - after.get(first..)?.trim_start_matches('_').len();
    let element = after.get(..first)?.rfind("<div")?;
    let is_rule = last - first >= RULE_CHARS && is_blank(after.get(..element)?);
    is_rule.then_some(element + div_bytes(after.get(element..)?)?)
}

/// The first run of underscores that is long enough.
fn rule(text: &str) -> Option<usize> {
    text.find(&"_".repeat(RULE_CHARS))
}

/// Whether nothing can be seen: tags, blanks and their entity only.
fn is_blank(html: &str) -> bool {
    let mut rest = html;
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix("&nbsp;") {
            rest = after;
        } else if rest.starts_with('<') && !rest.starts_with("<img") && !rest.starts_with("<a ") {
            let Some((_, after)) = rest.split_once('>') else { return false };
            rest = after;
        } else {
            return rest.is_empty();
        }
    }
}

/// The text without the block: without what stands between two neighbouring lines of underscores and begins as the
/// block does. Other lines of underscores are the user's.
fn own_part(text: &str, block: &str) -> String {
    let is_rule = |line: &str| {
        let line = line.trim();
        line.len() >= RULE_CHARS && line.bytes().all(|byte| byte == b'_')
    };
    let shown = text::of_html(block, BLOCK_CHARS_READ).unwrap_or_default();
    let title: Vec<&str> = shown
        .lines()
        .filter(|line| !is_rule(line))
        .flat_map(str::split_whitespace)
        .take(TITLE_WORDS)
        .collect();
    let title = title.join(" ");
    let lines: Vec<&str> = text.lines().collect();
    let rules: Vec<usize> =
        lines.iter().enumerate().filter(|(_, line)| is_rule(line)).map(|(place, _)| place).collect();
    let is_block = |from: usize, to: usize| {
        let between = lines.get(from + 1..to).unwrap_or_default().join(" ");
        let words: Vec<&str> = between.split_whitespace().collect();
        !title.is_empty() && words.join(" ").contains(&title)
    };
    let found = rules.iter().zip(rules.iter().skip(1)).find(|(from, to)| is_block(**from, **to));
    let Some((from, to)) = found else { return text.to_owned() };
    let kept = lines.iter().enumerate().filter(|(place, _)| place < from || place > to);
    kept.map(|(_, line)| *line).collect::<Vec<_>>().join("\n")
}

/// Text as HTML that shows it the same.
fn push_text(html: &mut String, text: &str) {
    for (place, line) in text.lines().enumerate() {
        if place > 0 {
            html.push_str("<br>\n");
        }
        let mut was_blank = true;
        for letter in line.chars() {
            match letter {
                '&' => html.push_str("&amp;"),
                '<' => html.push_str("&lt;"),
                '>' => html.push_str("&gt;"),
                ' ' if was_blank => html.push_str("&nbsp;"),
                other => html.push(other),
            }
            was_blank = letter == ' ';
        }
    }
    if !text.is_empty() {
        html.push_str("<br>\n");
    }
}
