//! Made-up words, people and bodies. All names are invented; addresses are under reserved domains.

use super::fields::Person;
use super::ident::mix;

const TOPICS: [&str; 40] = [
    "Sprint planning",
    "Budget review",
    "Jour fixe",
    "Design review",
    "1:1",
    "Kundentermin",
    "Quarterly numbers",
    "Release go/no-go",
    "Onboarding",
    "Team lunch",
    "Architecture board",
    "Vertriebsrunde",
    "Incident review",
    "Roadmap",
    "Interview",
    "Abstimmung Marketing",
    "Retrospective",
    "Standup",
    "Security training",
    "Zahnarzt",
    "Projektsteuerung",
    "Vendor call",
    "Workshop Größenplanung",
    "Demo",
    "Code freeze",
    "Pricing",
    "All hands",
    "Übergabe",
    "Focus time",
    "Customer visit",
    "Board prep",
    "Support handover",
    "Hiring sync",
    "Réunion projet",
    "Offsite",
    "Load test",
    "Contract talk",
    "Press briefing",
    "Data migration",
    "Lessons learned",
];
const OBJECTS: [&str; 24] = [
    "Atlas",
    "Borealis",
    "Cobalt",
    "Delta",
    "Ember",
    "Falcon",
    "Granite",
    "Helix",
    "Iris",
    "Juno",
    "Kepler",
    "Lumen",
    "Mistral",
    "Nordlicht",
    "Orion",
    "Pegasus",
    "Quartz",
    "Rhea",
    "Süd",
    "Tundra",
    "Umbra",
    "Vega",
    "Westhafen",
    "Zenit",
];
const PLACES: [&str; 16] = [
    "Room 1.04",
    "Room 2.17",
    "Großer Saal",
    "Microsoft Teams Meeting",
    "Kantine",
    "Building C / 3rd floor",
    "Online",
    "Besprechung Süd",
    "Lobby",
    "Client site",
    "Studio",
    "Lab 5",
    "Room \u{201c}Ada\u{201d}",
    "Café Zentral",
    "Phone",
    "Terrace",
];
const GIVEN: [&str; 24] = [
    "Anna", "Björn", "Chloé", "Dmitri", "Elif", "Frank", "Greta", "Hassan", "Ines", "Jörg", "Katja", "Luca",
    "Mei", "Noah", "Olga", "Paul", "Quirin", "Rosa", "Sven", "Tomás", "Ute", "Viktor", "Wanda", "Zoë",
];
const FAMILY: [&str; 20] = [
    "Albrecht", "Baum", "Costa", "Drees", "Ekström", "Fischer", "Gül", "Hartmann", "Ivanov", "Jansen",
    "Kowalski", "Lindner", "Moreau", "Nowak", "Okafor", "Petersen", "Rossi", "Schäfer", "Tanaka", "Weiß",
];
const WORDS: [&str; 48] = [
    "please",
    "review",
    "the",
    "agenda",
    "before",
    "we",
    "meet",
    "numbers",
    "from",
    "last",
    "quarter",
    "will",
    "be",
    "shared",
    "open",
    "points",
    "customer",
    "feedback",
    "timeline",
    "decision",
    "needed",
    "owner",
    "risk",
    "budget",
    "next",
    "steps",
    "draft",
    "attached",
    "update",
    "team",
    "status",
    "question",
    "bitte",
    "vorher",
    "lesen",
    "danke",
    "Änderungen",
    "sind",
    "markiert",
    "and",
    "for",
    "with",
    "scope",
    "milestone",
    "rollout",
    "pilot",
    "summary",
    "notes",
];
/// Bytes of text a generated body has: what makes a full event about 3.8 KB.
const BODY_CHARS: usize = 620;

fn pick<'a>(from: &[&'a str], hash: u64) -> &'a str {
    let len = u64::try_from(from.len()).unwrap_or(1).max(1);
    usize::try_from(hash % len).ok().and_then(|n| from.get(n)).copied().unwrap_or("")
}

pub(crate) fn subject(seed: u64) -> String {
    let (topic, object) = (pick(&TOPICS, mix(seed, 1)), pick(&OBJECTS, mix(seed, 2)));
    match mix(seed, 3) % 24 {
        0 => format!("Kunde: {object} – {topic}"),
        1 => format!("{topic} 🚀 {object}"),
        2..=8 => topic.to_owned(),
        _ => format!("{topic}: {object}"),
    }
}

pub(crate) fn place(seed: u64) -> String {
    pick(&PLACES, mix(seed, 4)).to_owned()
}

pub(crate) fn person(seed: u64, domain: &str) -> Person {
    let (given, family) = (pick(&GIVEN, mix(seed, 5)), pick(&FAMILY, mix(seed, 6)));
    let plain =
        |t: &str| t.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase();
    Person {
        name: format!("{given} {family}"),
        address: format!("{}.{}{}@{domain}", plain(given), plain(family), mix(seed, 7) % 90),
    }
}

fn sentence(seed: u64, chars: usize) -> String {
    let mut out = String::with_capacity(chars + 16);
    let mut n = 10;
    while out.len() < chars {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(pick(&WORDS, mix(seed, n)));
        n += 1;
    }
    out
}

pub(crate) fn preview(seed: u64) -> String {
    sentence(seed, BODY_CHARS).chars().take(255).collect()
}

pub(crate) fn plain_body(seed: u64) -> String {
    format!("{}\r\n", sentence(seed, BODY_CHARS))
}

pub(crate) fn html_body(seed: u64) -> String {
    as_html(&sentence(seed, BODY_CHARS))
}

/// Wraps plain text as Exchange does.
pub(crate) fn as_html(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        "<html><head>\r\n<meta http-equiv=\"Content-Type\" content=\"text/html; charset=utf-8\"></head>\r\n<body>\r\n<div style=\"font-family:Calibri,Arial,Helvetica,sans-serif; font-size:12pt; color:rgb(0,0,0)\">\r\n{}</div>\r\n</body>\r\n</html>\r\n",
        escaped.replace('\n', "<br>\n")
    )
}

/// The line that separates the block of an online meeting from what the user wrote.
const RULE: &str = "________________________________________________________________________________";

/// The block that the service puts into the body of an online meeting.
pub(crate) fn meeting_block(join_url: &str) -> String {
    let rule = format!(
        "<div style=\"width:100%\"><span style=\"white-space:nowrap; color:#5F5F5F; opacity:.36\">{RULE}</span>\r\n</div>"
    );
    format!(
        "{rule}\r\n<div class=\"me-email-text\" lang=\"en-US\" style=\"color:#252424; font-family:'Segoe UI',Arial,sans-serif\">\r\n<div style=\"margin-top:24px\"><span style=\"font-size:24px\">Microsoft Teams meeting</span>\r\n</div>\r\n<div><a class=\"me-email-headline\" href=\"{join_url}\" target=\"_blank\">Click here to join the meeting</a>\r\n</div>\r\n</div>\r\n<div style=\"font-size:12px\"></div>\r\n{rule}"
    )
}

/// The same block in a body that is asked for as text.
pub(crate) fn meeting_text(join_url: &str) -> String {
    format!(
        "\r\n{RULE}\r\nMicrosoft Teams meeting\r\nClick here to join the meeting<{join_url}>\r\n{RULE}\r\n"
    )
}

/// The text of simple HTML.
pub(crate) fn without_tags(html: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for letter in html.chars() {
        match letter {
            '<' => inside = true,
            '>' if inside => inside = false,
            letter if !inside => out.push(letter),
            _ => {}
        }
    }
    let out = out.replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", " ").replace("&amp;", "&");
    out.trim().to_owned()
}
