use super::*;

const WHOLE: &str = r##"
[[graph_app]]
display_name   = "XPhone_Calendar_Sync"
application_id = "00000000-0000-0000-0000-000000000000"
directory_id   = "contoso.onmicrosoft.com"
cloud          = "us_gov"
scopes         = "full"

[[group]]
name = "berlin"
method = "client"
allow_office365 = true
graph_app = "XPhone_Calendar_Sync"
window = { past = "30d", future = "365d" }
[group.presence]
merge_gap = "10m"
[group.lock]
allow_office365 = true
[group.lock.presence]
on_shutdown = "keep"

[[account]]
name = "anna"
group = "berlin"
user = "anna@contoso.com"
source = "microsoft365"
window = { past = "7d" }
[account.presence]
off_hours_profile = "OFFWORK"

[presence]
enabled = true
time_zone = "europe/berlin"
working_hours = { days = ["mon","tue","wed","thu","fri"], start = "08:00", end = "17:00" }
merge_gap = "5m"
base_profile = "AVAIL"
trust = { timed = "72h", all_day = "14d" }
on_shutdown = "release"
[[presence.profile]]
name = "AVAIL"
availability = "available"
[[presence.profile]]
name = "OFFWORK"
availability = "away"
[[presence.profile]]
name = "BUSY"
availability = "busy"
rank = 31
forwarding = { target = "voicemail", scope = "all", condition = "no_answer", after = "20s" }
status_text = "generic"
allow_calendar_override = true
[[presence.rule]]
name = "customers"
when = { subject_prefix = ["Kunde:"], show_as = ["busy"], weekday = "mon", min_duration = "10m" }
profile = "BUSY"
priority = 0
lead = "0m"
tail = "5m"
min_duration = "0m"
hours = "inside"
[[presence.rule]]
name = "rest"
ignore = true
[presence.simple]
busy = "BUSY"
lead = "2m"
only_accepted = false
[[presence.actuator]]
channels = ["presence","forwarding","text"]
kind = "command"
program = ["set-forwarding"]
"##;

const APP: &str = "[[graph_app]]\ndisplay_name = \"A\"\napplication_id = \"1\"\ndirectory_id = \"t\"\n";

fn problems(text: &str) -> Vec<String> {
    Config::parse(text).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn the_whole_contract_is_read() {
    let config = Config::parse(WHOLE).unwrap();
    assert_eq!(config.graph_apps.len(), 1);
    assert_eq!(config.presence.profiles.as_ref().unwrap()[0].rank, 0);
    assert_eq!(config.presence.profiles.as_ref().unwrap()[1].rank, 5);
    let rules = config.presence.rules.as_ref().unwrap();
    assert_eq!(rules[0].outcome, RuleOutcome::Profile("BUSY".into()));
    assert_eq!(rules[1].outcome, RuleOutcome::Ignore(true));
    assert_eq!(rules[0].when.weekday, [Weekday::Mon]);
    assert_eq!(config.presence.actuators.as_ref().unwrap()[0].channels.len(), 3);
}

#[test]
fn the_nearest_level_that_writes_a_key_decides_it() {
    let effective = Config::parse(WHOLE).unwrap().resolve("anna").unwrap();
    assert_eq!(effective.graph_url.value, "https://graph.microsoft.us");
    assert_eq!(effective.authority_url.value, "https://login.microsoftonline.us");
    assert_eq!(effective.tenant, "contoso.onmicrosoft.com");
    assert_eq!(effective.window_past, Sourced { value: parse_span("7d").unwrap(), origin: Origin::Account });
    assert_eq!(effective.window_future.origin, Origin::Group);
    assert_eq!(effective.allow_office365.origin, Origin::Lock);
    assert_eq!(effective.time_zone.value.as_deref(), Some("Europe/Berlin"));
    assert_eq!(effective.time_zone.origin, Origin::TopLevel);
    assert_eq!(effective.presence.on_shutdown, Some(OnShutdown::Keep));
    assert_eq!(effective.presence.merge_gap, Some(parse_span("10m").unwrap()));
    assert_eq!(effective.presence.off_hours_profile.as_deref(), Some("OFFWORK"));
    assert_eq!(effective.scopes.value[3..], FULL_SCOPES);
    assert_eq!(effective.scopes.value[..3], ["openid", "profile", "offline_access"]);
    assert!(effective.is_synchronized());
    insta::assert_json_snapshot!(effective.shown());
}

#[test]
fn an_account_alone_takes_the_only_application_and_the_only_group() {
    let text = format!("{APP}[[account]]\nname = \"a\"\n[[group]]\nname = \"g\"\nmethod = \"off\"\n");
    let effective = Config::parse(&text).unwrap().resolve("a").unwrap();
    assert_eq!(effective.graph_app, Some(Sourced { value: "A".into(), origin: Origin::TopLevel }));
    assert_eq!(effective.method, Sourced { value: Method::Off, origin: Origin::Group });
    assert_eq!(effective.group.as_deref(), Some("g"));
    assert_eq!(effective.working_hours.value, WorkingHours::default());
    assert_eq!(effective.time_zone.value, None);
    assert!(!effective.is_synchronized());
}

#[test]
fn the_rules_of_edits_come_from_the_nearest_level() {
    let group = "[[group]]\nname = \"g\"\nconflicts = \"ask\"\n[group.lock]\nconfirm_mail_after = \"2h\"\n";
    let text =
        format!("{APP}[[account]]\nname = \"a\"\nconflicts = \"mine\"\n[[account]]\nname = \"b\"\n{group}");
    let config = Config::parse(&text).unwrap();
    let (a, b) = (config.resolve("a").unwrap(), config.resolve("b").unwrap());
    assert_eq!(a.conflicts, Sourced { value: Policy::Mine, origin: Origin::Account });
    assert_eq!(b.conflicts, Sourced { value: Policy::Ask, origin: Origin::Group });
    assert_eq!(a.confirm_mail_after, Sourced { value: parse_span("2h").unwrap(), origin: Origin::Lock });
    let bare = Config::parse(&format!("{APP}[[account]]\nname = \"a\"\n")).unwrap().resolve("a").unwrap();
    assert_eq!(bare.conflicts, Sourced { value: Policy::Theirs, origin: Origin::Default });
    assert_eq!(bare.confirm_mail_after.value, parse_span("72h").unwrap());
    let shown: Vec<String> = a.shown().into_iter().map(|shown| shown.key).collect();
    assert!(shown.contains(&"conflicts".to_owned()) && shown.contains(&"confirm_mail_after".to_owned()));
}

#[test]
fn an_empty_file_is_a_configuration_without_accounts() {
    assert_eq!(Config::parse("").unwrap(), Config::default());
    assert_eq!(Config::parse("\u{feff}# nothing\r\n").unwrap(), Config::default());
}

/// (name, text, the whole report)
#[test]
fn every_mistake_names_its_line_and_key_and_what_is_allowed() {
    let account = "[[account]]\nname = \"a\"\n";
    let profile = "[[presence.profile]]\nname = \"BUSY\"\navailability = \"busy\"\n";
    let rows: Vec<(&str, String, Vec<&str>)> = vec![
        (
            "an unknown key",
            "[[acount]]\nname = \"a\"\n".into(),
            vec!["line 1: `acount`: unknown key; did you mean `account`?"],
        ),
        (
            "an unknown key without a likeness",
            format!("{APP}{account}zzz = 1\n"),
            vec![
                "line 7: `account.zzz`: unknown key; known here: name, group, user, source, exchange, path, url, method, allow_office365, graph_app, window, conflicts, confirm_mail_after, presence",
            ],
        ),
        (
            "a key of a nested table, written beside it",
            format!("{APP}{account}time_zone = \"Europe/Berlin\"\nfuture = \"3d\"\n"),
            vec![
                "line 7: `account.time_zone`: unknown key; did you mean `presence.time_zone`?",
                "line 8: `account.future`: unknown key; did you mean `window.future`?",
            ],
        ),
        (
            "a key of a nested inline table",
            format!("{APP}{account}window = {{ pst = \"3d\" }}\n"),
            vec!["line 7: `account.window.pst`: unknown key; did you mean `past`?"],
        ),
        (
            "a wrong type",
            format!("{APP}{account}allow_office365 = \"yes\"\n"),
            vec!["line 7: `account.allow_office365`: must be true or false, not a text"],
        ),
        (
            "a wrong word",
            format!("{APP}{account}method = \"cleint\"\n"),
            vec![
                "line 7: `account.method`: must be one of \"client\", \"server\", \"off\"; did you mean \"client\"?",
            ],
        ),
        (
            "a wrong duration",
            format!("{APP}{account}window = {{ past = \"3w\", future = 4 }}\n"),
            vec![
                "line 7: `account.window.future`: must be a text in quotes, not a whole number",
                "line 7: `account.window.past`: must be a whole number with a unit: \"90s\", \"5m\", \"72h\" or \"14d\"",
            ],
        ),
        (
            "a window that Graph refuses",
            format!("{APP}{account}window = {{ past = \"1000d\", future = \"1000d\" }}\n"),
            vec![
                "line 7: `account.window`: past (1000d) and future (1000d) are together longer than 1823d, which Microsoft Graph refuses",
            ],
        ),
        (
            "plain http to another machine",
            format!("{APP}graph_url = \"http://graph.example.com\"\n"),
            vec![
                "line 5: `graph_app.graph_url`: must begin with https:// (http:// is allowed for loopback addresses only)",
            ],
        ),
        (
            "an address with a version path",
            format!("{APP}authority_url = \"https://graph.example.com/v1.0\"\n"),
            vec![
                "line 5: `graph_app.authority_url`: must be an origin: scheme, host and port without a path (…/v1.0 is added)",
            ],
        ),
        (
            "missing keys",
            "[[graph_app]]\ndisplay_name = \"A\"\n".into(),
            vec![
                "line 1: `graph_app.application_id`: is missing: write application_id = \"00000000-0000-0000-0000-000000000000\"",
                "line 1: `graph_app.directory_id`: is missing: write directory_id = \"contoso.onmicrosoft.com\"",
            ],
        ),
        (
            "a group that does not exist",
            format!("{APP}{account}group = \"berln\"\n[[group]]\nname = \"berlin\"\n"),
            vec!["line 7: `account.group`: there is no [[group]] named \"berln\"; did you mean \"berlin\"?"],
        ),
        (
            "several groups and an account without one",
            format!("{APP}{account}[[group]]\nname = \"x\"\n[[group]]\nname = \"y\"\n"),
            vec!["line 5: `account.group`: is missing: there are several groups, so name one"],
        ),
        (
            "an application that does not exist",
            format!("{APP}{account}graph_app = \"B\"\n"),
            vec![
                "line 7: `account.graph_app`: there is no [[graph_app]] with the display_name \"B\"; did you mean \"A\"?",
            ],
        ),
        (
            "no application at all",
            account.into(),
            vec![
                "line 1: `account.graph_app`: source microsoft365 needs an application: add a [[graph_app]]",
            ],
        ),
        (
            "two accounts of one folder",
            format!("{APP}{account}[[account]]\nname = \"A\"\n"),
            vec!["line 8: `account.name`: there is already an account \"A\" (capitals do not count)"],
        ),
        (
            "a name that leaves the data directory",
            format!("{APP}[[account]]\nname = \"../x\"\n"),
            vec![
                "line 6: `account.name`: must be 1 to 64 letters, digits, \"-\", \"_\" and \".\", and begin with a letter, a digit or \"_\": it is also a folder name",
            ],
        ),
        (
            "a device name",
            format!("{APP}[[account]]\nname = \"Com1.x\"\n"),
            vec![
                "line 6: `account.name`: is a device name on Windows; choose another: it is also a folder name",
            ],
        ),
        (
            "a locked key",
            format!(
                "{APP}{account}window = {{ past = \"1d\" }}\nmethod = \"off\"\n[[group]]\nname = \"g\"\n[group.lock]\nmethod = \"client\"\nwindow.past = \"2d\"\n"
            ),
            vec![
                "line 7: `account.window.past`: is locked by group \"g\"; remove it here (past)",
                "line 8: `account.method`: is locked by group \"g\"; remove it here (method)",
            ],
        ),
        (
            "a locked rule of edits",
            format!(
                "{APP}{account}conflicts = \"ask\"\nconfirm_mail_after = \"1d\"\n[[group]]\nname = \"g\"\n[group.lock]\nconflicts = \"mine\"\nconfirm_mail_after = \"2h\"\n"
            ),
            vec![
                "line 7: `account.conflicts`: is locked by group \"g\"; remove it here (conflicts)",
                "line 8: `account.confirm_mail_after`: is locked by group \"g\"; remove it here (confirm_mail_after)",
            ],
        ),
        (
            "a rule of edits that does not exist",
            format!("{APP}{account}conflicts = \"thers\"\nconfirm_mail_after = 3\n"),
            vec![
                "line 7: `account.conflicts`: must be one of \"theirs\", \"mine\", \"ask\"; did you mean \"theirs\"?",
                "line 8: `account.confirm_mail_after`: must be a text in quotes, not a whole number",
            ],
        ),
        (
            "an unknown zone",
            "[presence]\ntime_zone = \"Mitteleuropa\"\n".into(),
            vec![
                "line 2: `presence.time_zone`: must be a time zone such as \"Europe/Berlin\" or \"W. Europe Standard Time\"",
            ],
        ),
        (
            "a profile that does not exist",
            format!("[presence]\nbase_profile = \"BUSI\"\n{profile}"),
            vec![
                "line 2: `presence.base_profile`: there is no [[presence.profile]] named \"BUSI\"; did you mean \"BUSY\"?",
            ],
        ),
        (
            "a rule without an outcome",
            format!("{profile}[[presence.rule]]\nname = \"r\"\n"),
            vec!["line 4: `presence.rule.profile`: is missing: name a profile, or write ignore = true"],
        ),
        (
            "a rule with a wrong day",
            format!(
                "{profile}[[presence.rule]]\nname = \"r\"\nprofile = \"BUSY\"\nwhen = {{ weekday = [\"mon\", \"tues\"] }}\n"
            ),
            vec![
                "line 7: `presence.rule.when.weekday`: must be one of \"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\"; did you mean \"tue\"?",
            ],
        ),
        (
            "no_answer without after",
            format!("{profile}forwarding = {{ target = \"1\", condition = \"no_answer\" }}\n"),
            vec![
                "line 4: `presence.profile.forwarding.after`: is missing: with condition \"no_answer\" write after = \"20s\"",
            ],
        ),
        (
            "working hours that end before they start",
            "[presence]\nworking_hours = { start = \"18:00\" }\n".into(),
            vec!["line 2: `presence.working_hours.end`: must be later than start (18:00) on the same day"],
        ),
        (
            "an actuator without a program",
            "[[presence.actuator]]\nkind = \"command\"\nchannels = \"text\"\n".into(),
            vec!["line 1: `presence.actuator.program`: is missing: write program = [\"set-forwarding\"]"],
        ),
        (
            "a table where a list of tables belongs",
            "[account]\nname = \"a\"\n".into(),
            vec!["line 1: `account`: must be a list of tables: write [[account]], not a table"],
        ),
        (
            "scopes that are none",
            format!("{APP}scopes = \"ful\"\n"),
            vec![
                "line 5: `graph_app.scopes`: must be \"minimal\", \"full\" or a list such as [\"User.Read\", \"Calendars.ReadWrite\"]; did you mean \"full\"?",
            ],
        ),
    ];
    for (name, text, expected) in rows {
        assert_eq!(problems(&text), expected, "{name}");
    }
}

#[test]
fn a_zone_may_be_written_by_its_windows_name() {
    let config = Config::parse("[presence]\ntime_zone = \"W. Europe Standard Time\"\n").unwrap();
    assert_eq!(config.presence.time_zone.as_deref(), Some("Europe/Berlin"));
}

#[test]
fn text_that_is_no_toml_names_the_line() {
    let found = problems("[presence]\nenabled = = true\n");
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("line 2: not valid TOML: "), "{found:?}");
}

#[test]
fn several_mistakes_are_reported_at_once_in_the_order_of_lines() {
    let found = problems("[presence]\nenabld = true\nmerge_gap = 5\n[[account]]\nname = \"\"\n");
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(
        found[0].starts_with("line 2") && found[1].starts_with("line 3") && found[2].starts_with("line 5")
    );
}

#[test]
fn a_huge_text_is_refused_before_it_is_read() {
    assert_eq!(problems(&"#".repeat(CONFIG_BYTES_MAX + 1)).len(), 1);
}

#[test]
fn an_origin_is_a_scheme_a_host_and_a_port() {
    for (text, expected) in [
        ("https://graph.microsoft.com", Ok("https://graph.microsoft.com")),
        ("https://Graph.Microsoft.com/", Ok("https://graph.microsoft.com")),
        ("http://127.0.0.1:8080", Ok("http://127.0.0.1:8080")),
        ("http://[::1]:1", Ok("http://[::1]:1")),
        ("http://localhost:1", Ok("http://localhost:1")),
        ("http://localhost.example.com", Err(OriginError::Plain)),
        ("http://10.0.0.1", Err(OriginError::Plain)),
        ("ftp://127.0.0.1", Err(OriginError::NoAddress)),
        ("graph.microsoft.com", Err(OriginError::NoAddress)),
        ("https://u:p@graph.microsoft.com", Err(OriginError::User)),
        ("https://graph.microsoft.com/v1.0", Err(OriginError::Path)),
        ("https://graph.microsoft.com/?x", Err(OriginError::Path)),
        ("https://graph.microsoft.com/#x", Err(OriginError::Path)),
    ] {
        assert_eq!(check_origin(text), expected.map(str::to_owned), "{text}");
    }
}

#[test]
fn a_duration_is_a_number_and_a_unit() {
    for (text, seconds) in [("90s", 90), ("5m", 300), ("72h", 259_200), ("14d", 1_209_600), ("0m", 0)] {
        assert_eq!(parse_span(text), Ok(Duration::from_secs(seconds)), "{text}");
    }
    for text in ["", "5", "m", "-5m", "+5m", "5 m", "5M", "1h30m", "1.5h", "5µ", "٣d"] {
        assert_eq!(parse_span(text), Err(SpanError::Form), "{text}");
    }
    for text in ["99999999999999999999d", "3651d", "18446744073709551615d"] {
        assert_eq!(parse_span(text), Err(SpanError::Long), "{text}");
    }
    for text in ["90s", "5m", "3d", "14d", "0m"] {
        assert_eq!(span_text(parse_span(text).unwrap()), text);
    }
}

#[test]
fn debug_output_shows_no_address() {
    let config = Config::parse(WHOLE).unwrap();
    let text = format!("{config:?} {:?}", config.resolve("anna").unwrap());
    assert!(!text.contains("contoso.com") && !text.contains("Kunde"), "{text}");
}

const SERVER: &str =
    "[[group]]\nname = \"g\"\nmethod = \"server\"\n[[account]]\nname = \"a\"\nuser = \"a@x.test\"\n";

#[test]
fn an_application_says_where_its_credential_is() {
    let cases = [
        ("client_secret_env = \"CAL_SECRET\"", Credential::SecretEnv("CAL_SECRET".into())),
        ("client_secret_file = \"/run/secret\"", Credential::SecretFile("/run/secret".into())),
        ("client_secret_file = \"secret\"", Credential::SecretFile("/etc/cal/secret".into())),
        (
            "certificate_file = \"app.pem\"\nprivate_key_file = \"app.pem\"",
            Credential::Certificate {
                certificate: "/etc/cal/app.pem".into(),
                private_key: "/etc/cal/app.pem".into(),
            },
        ),
    ];
    for (written, credential) in cases {
        let mut config = Config::parse(&format!("{APP}{written}\n{SERVER}")).unwrap();
        config.rebase(Path::new("/etc/cal"));
        let effective = config.resolve("a").unwrap();
        assert_eq!(effective.credential, Some(credential));
        assert!(effective.is_application() && effective.is_synchronized());
        assert_eq!(effective.scopes.value, ["https://graph.microsoft.com/.default"]);
    }
}

#[test]
fn a_server_account_without_a_credential_or_a_mailbox_is_refused_with_what_to_write() {
    let found = problems(&format!("{APP}{SERVER}"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("`account.method`") && found[0].contains("`client_secret_file`"), "{found:?}");
    let app = format!("{APP}client_secret_env = \"S\"\n");
    let found = problems(&format!("{app}{}", SERVER.replace("user = \"a@x.test\"\n", "")));
    assert!(found.len() == 1 && found[0].contains("`account.user`"), "{found:?}");
    let found = problems(&format!("{}{SERVER}", app.replace("\"t\"", "\"common\"")));
    assert!(found.len() == 1 && found[0].contains("needs a tenant"), "{found:?}");
    // A group that nobody is in, and an account that signs in itself, need none.
    assert!(Config::parse(&format!("{APP}[[group]]\nname = \"g\"\nmethod = \"server\"\n")).is_ok());
    assert!(Config::parse(&format!("{APP}{SERVER}method = \"client\"\n")).is_ok());
}

#[test]
fn a_secret_in_the_configuration_is_refused_and_not_repeated() {
    for written in [
        "client_secret = \"s3cr3t~value\"",
        "Client_Secret = \"s3cr3t~value\"",
        "password = \"s3cr3t~value\"",
        "private_key = \"s3cr3t~value\"",
        "client_secret_env = \"s3cr3t~value\"",
    ] {
        let found = problems(&format!("{APP}{written}\n{SERVER}"));
        assert!(!found.iter().any(|problem| problem.contains("s3cr3t")), "{found:?}");
        assert!(found.iter().any(|problem| problem.contains("line 5")), "{found:?}");
    }
    let found = problems(&format!("{APP}client_secret = \"x\"\n"));
    assert!(found[0].contains("client_secret_file = \"path\""), "{found:?}");
}

#[test]
fn an_application_has_one_whole_credential() {
    for (written, says) in [
        ("client_secret_env = \"A\"\nclient_secret_file = \"b\"", "one credential"),
        ("client_secret_env = \"A\"\ncertificate_file = \"b\"\nprivate_key_file = \"b\"", "one credential"),
        ("certificate_file = \"b\"", "needs `private_key_file`"),
        ("private_key_file = \"b\"", "needs `certificate_file`"),
    ] {
        let found = problems(&format!("{APP}{written}\n"));
        assert!(found.len() == 1 && found[0].contains(says), "{found:?}");
    }
}

const EXCHANGE: &str = "[[exchange]]\ndisplay_name = \"HQ\"\newsurl\npassword_file = \"pw\"\n";
const ON_PREMISES: &str = "[[account]]\nname = \"a\"\nuser = \"a@x.test\"\nsource = \"exchange\"\n";

fn organization(url: &str) -> String {
    let url = if url.is_empty() { String::new() } else { format!("ews_url = \"{url}\"") };
    EXCHANGE.replace("ewsurl", &url)
}

#[test]
fn an_exchange_account_has_its_organization_and_password() {
    let text = format!("{}{ON_PREMISES}", organization("https://mail.x.test/EWS/Exchange.asmx"));
    let mut config = Config::parse(&text).unwrap();
    config.rebase(Path::new("/etc/cal"));
    let effective = config.resolve("a").unwrap();
    assert_eq!(effective.credential, Some(Credential::PasswordFile("/etc/cal/pw".into())));
    let exchange = effective.exchange.as_ref().unwrap();
    assert_eq!(
        (exchange.display_name.as_str(), exchange.ews_url.as_deref(), exchange.login.as_deref()),
        ("HQ", Some("https://mail.x.test/EWS/Exchange.asmx"), None)
    );
    assert!(effective.is_application() && effective.is_synchronized());
    assert!(Config::parse(&format!("{}{ON_PREMISES}", organization(""))).is_ok(), "Autodiscover");
}

#[test]
fn what_an_exchange_account_lacks_is_named() {
    let one = organization("");
    for (text, says) in [
        (ON_PREMISES.to_owned(), "add an [[exchange]]"),
        (format!("{one}{}", ON_PREMISES.replace("user = \"a@x.test\"\n", "")), "`account.user`: is missing"),
        (format!("{one}{}{ON_PREMISES}", one.replace("HQ", "Branch")), "there are several [[exchange]]"),
        (format!("{one}{ON_PREMISES}exchange = \"H\"\n"), "did you mean \"HQ\"?"),
        (
            format!("{}{ON_PREMISES}", one.replace("password_file = \"pw\"\n", "")),
            "`password_file` or `password_env`",
        ),
        (
            format!("{}{ON_PREMISES}", organization("http://mail.x.test/EWS/Exchange.asmx")),
            "must be an https:// address",
        ),
        (
            format!("{one}{ON_PREMISES}").replace("password_file = \"pw\"", "password_env = \"hush-hush\""),
            "not the password itself",
        ),
    ] {
        let found = problems(&text);
        assert!(found.len() == 1 && found[0].contains(says), "{says}: {found:?}");
        assert!(!found[0].contains("hush-hush"));
    }
}
