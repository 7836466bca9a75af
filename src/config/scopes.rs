//! Permissions: what is asked for, what for, and what of it was granted.

/// What a sign-in asks consent for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scopes {
    /// What mirroring and editing one's own calendars needs.
    Minimal,
    /// The six permissions of the documented registration.
    Full,
    /// Exactly these, and what a sign-in itself needs.
    Listed(Vec<String>),
}

/// Without these no sign-in lasts; asked for with every choice of scopes.
pub const SIGN_IN_SCOPES: [&str; 3] = ["openid", "profile", "offline_access"];
/// What `minimal` asks for.
pub const MINIMAL_SCOPES: [&str; 2] = ["User.Read", "Calendars.ReadWrite"];
/// What `full` asks for: the six permissions of the documented registration.
pub const FULL_SCOPES: [&str; 6] = [
    "Calendars.ReadWrite",
    "Contacts.ReadWrite",
    "Mail.ReadWrite",
    "MailboxSettings.ReadWrite",
    "User.Read",
    "User.ReadBasic.All",
];

/// Known permissions and what they are for: honest about those that only the registration's other users need.
const PURPOSES: &[(&str, &str)] = &[
    ("openid", "to sign you in"),
    ("profile", "to sign you in"),
    ("offline_access", "to stay signed in without asking again"),
    ("Calendars.ReadWrite", "to mirror your calendars, and to send the changes that you make"),
    ("Calendars.Read", "to mirror your calendars, without changing them"),
    ("Calendars.ReadWrite.Shared", "to mirror and change calendars that others share with you"),
    ("Calendars.Read.Shared", "to mirror calendars that others share with you"),
    (
        "Contacts.ReadWrite",
        "for looking up contacts; part of the full registration, not used by calmirror yet",
    ),
    (
        "Mail.ReadWrite",
        "for meeting requests in the mailbox; part of the full registration, not used by calmirror yet",
    ),
    (
        "MailboxSettings.ReadWrite",
        "to read working hours and out-of-office replies for your presence; changing them is part of the full registration, not used by calmirror",
    ),
    ("MailboxSettings.Read", "to read working hours and out-of-office replies for your presence"),
    ("User.Read", "to make sure that it is your mailbox"),
    (
        "User.ReadBasic.All",
        "for the names of colleagues; part of the full registration, not used by calmirror yet",
    ),
    (
        ".default",
        "all application permissions that an administrator consented to: Calendars.Read to mirror, Calendars.ReadWrite to send changes too, User.Read.All to tell mailboxes apart when addresses change",
    ),
    ("Presence.Read", "for your presence at Microsoft; not used by calmirror yet"),
    ("Presence.ReadWrite", "to show your presence in Microsoft Teams"),
];

impl Scopes {
    /// Every scope to ask for, those of the sign-in first.
    pub fn list(&self) -> Vec<String> {
        let own: Vec<&str> = match self {
            Scopes::Minimal => MINIMAL_SCOPES.to_vec(),
            Scopes::Full => FULL_SCOPES.to_vec(),
            Scopes::Listed(listed) => listed.iter().map(String::as_str).collect(),
        };
        let mut all: Vec<String> = SIGN_IN_SCOPES.iter().map(|scope| (*scope).to_owned()).collect();
        for scope in own {
            if !all.iter().any(|known| is_same_scope(known, scope)) {
                all.push(scope.to_owned());
            }
        }
        all
    }
}

/// What a permission is for; `None` when this program has no use of its own for it.
pub fn scope_purpose(scope: &str) -> Option<&'static str> {
    let known = PURPOSES.iter().find(|(name, _)| is_same_scope(name, scope));
    known.map(|(_, purpose)| *purpose)
}

/// A scope as this program writes it: servers qualify names by their resource and change capitals.
pub fn plain_scope(scope: &str) -> &str {
    let name = short_scope(scope);
    let known = PURPOSES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    known.map_or(name, |(known, _)| *known)
}

/// The permissions granted, as this program writes them; those of the sign-in itself are not listed.
pub fn granted_scopes(granted: &[String]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for scope in granted.iter().filter(|scope| !is_of_sign_in(scope)) {
        let plain = plain_scope(scope);
        if !plain.is_empty() && !all.iter().any(|known| is_same_scope(known, plain)) {
            all.push(plain.to_owned());
        }
    }
    all
}

/// The permissions asked for that were not granted. Servers never list those of the sign-in itself, and a
/// permission to write holds the one to read.
pub fn missing_scopes(asked: &[String], granted: &[String]) -> Vec<String> {
    let is_granted = |scope: &str| {
        let name = short_scope(scope).to_ascii_lowercase();
        let or_write = name.replacen(".read", ".readwrite", 1);
        granted.iter().map(|have| short_scope(have)).any(|have| {
            have.eq_ignore_ascii_case(&name)
                || (!name.contains(".readwrite")
                    && !name.contains(".readbasic")
                    && have.eq_ignore_ascii_case(&or_write))
        })
    };
    asked
        .iter()
        .filter(|scope| !is_of_sign_in(scope) && !is_granted(scope))
        .map(|scope| plain_scope(scope).to_owned())
        .collect()
}

fn is_of_sign_in(scope: &str) -> bool {
    SIGN_IN_SCOPES.iter().chain(&["email"]).any(|own| own.eq_ignore_ascii_case(scope))
}

fn is_same_scope(one: &str, other: &str) -> bool {
    short_scope(one).eq_ignore_ascii_case(short_scope(other))
}

/// Without the resource: `https://graph.microsoft.com/User.Read` is `User.Read`.
fn short_scope(scope: &str) -> &str {
    let Some((_, rest)) = scope.split_once("://") else { return scope };
    rest.rsplit('/').next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(scopes: &[&str]) -> Vec<String> {
        scopes.iter().map(|scope| (*scope).to_owned()).collect()
    }

    #[test]
    fn a_scope_is_granted_whatever_its_capitals_and_its_resource() {
        let asked = texts(&["openid", "User.Read", "Calendars.ReadWrite", "Presence.Read"]);
        let granted =
            texts(&["https://graph.microsoft.com/CALENDARS.readwrite", "user.read", "email", "USER.READ"]);
        assert_eq!(missing_scopes(&asked, &granted), ["Presence.Read"]);
        assert_eq!(granted_scopes(&granted), ["Calendars.ReadWrite", "User.Read"]);
        let qualified = texts(&["https://graph.microsoft.us/User.Read", "https://graph.microsoft.us/X.Read"]);
        assert_eq!(missing_scopes(&qualified, &granted), ["X.Read"]);
    }

    #[test]
    fn a_permission_to_write_holds_the_one_to_read_and_no_other() {
        let granted = texts(&["Calendars.ReadWrite", "User.Read"]);
        for (asked, is_granted) in [
            ("Calendars.Read", true),
            ("Calendars.ReadWrite", true),
            ("Calendars.Read.Shared", false),
            ("User.ReadWrite", false),
            ("User.ReadBasic.All", false),
            ("Calendars.ReadBasic", false),
        ] {
            assert_eq!(missing_scopes(&texts(&[asked]), &granted).is_empty(), is_granted, "{asked}");
        }
    }

    #[test]
    fn every_permission_that_is_asked_for_says_what_it_is_for() {
        for scope in SIGN_IN_SCOPES.iter().chain(&MINIMAL_SCOPES).chain(&FULL_SCOPES) {
            assert!(scope_purpose(scope).is_some(), "{scope}");
        }
        assert_eq!(scope_purpose("Sites.Read.All"), None);
        let listed = Scopes::Listed(texts(&["https://graph.microsoft.com/User.Read", "user.read", "Openid"]));
        assert_eq!(listed.list()[3..], ["https://graph.microsoft.com/User.Read"]);
    }
}
