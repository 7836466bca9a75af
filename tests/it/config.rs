use crate::stage::Place;

const APP: &str = "[[graph_app]]\ndisplay_name = \"A\"\napplication_id = \"1\"\ndirectory_id = \"contoso.onmicrosoft.com\"\n";

#[test]
fn a_wrong_configuration_ends_with_2_and_names_key_and_line() {
    let place =
        Place::new(&format!("{APP}[[account]]\nname = \"anna\"\nmethd = \"off\"\nwindow = {{ past = 3 }}\n"));
    let ran = place.run(&["agenda"]).ended(2);
    assert_eq!(ran.stdout, "");
    assert!(
        ran.stderr.contains("line 7: `account.methd`: unknown key; did you mean `method`?"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("line 8: `account.window.past`"), "{}", ran.stderr);
}

#[test]
fn with_json_the_failure_is_a_document_on_stderr() {
    let place = Place::new("[[acount]]\nname = \"anna\"\n");
    let ran = place.run(&["agenda", "--json"]).ended(2);
    assert_eq!(ran.stdout, "");
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(error["error"]["kind"], "usage");
    assert_eq!(error["error"]["problems"][0]["line"], 1);
    assert_eq!(error["error"]["problems"][0]["key"], "acount");
}

#[test]
fn check_lists_every_mistake_and_ends_with_2() {
    let place = Place::new("[presence]\nenabled = 1\nbase_profil = \"x\"\n");
    let ran = place.run(&["config", "check", "--json"]).ended(2);
    let found = ran.json();
    assert_eq!(found.as_array().unwrap().len(), 2);
    assert_eq!(found[0]["level"], "error");
    assert_eq!(found[1]["line"], 3);
    let ran = place.run(&["config", "check"]).ended(2);
    assert_eq!(ran.stdout.lines().count(), 2, "{}", ran.stdout);
}

#[test]
fn check_of_a_configuration_in_order_says_so() {
    let place = Place::new(&format!("{APP}[[account]]\nname = \"anna\"\n"));
    assert_eq!(place.run(&["config", "check", "--json"]).ended(0).json(), serde_json::json!([]));
    assert!(place.run(&["config", "check"]).ended(0).stdout.contains("in order: 1 account"));
}

#[test]
fn show_says_where_every_value_came_from() {
    let place = Place::new(&format!(
        "{APP}client_secret_file = \"app.secret\"\n[[group]]\nname = \"g\"\nmethod = \"server\"\n[[account]]\nname = \"anna\"\nuser = \"anna@contoso.example\"\nwindow = {{ past = \"3d\" }}\n"
    ));
    let shown = place.run(&["config", "show", "--json"]).ended(0).json();
    let origin = |key: &str| {
        let lines = shown["accounts"]["anna"].as_array().unwrap();
        let line = lines.iter().find(|line| line["key"] == key).unwrap();
        (line["value"].clone(), line["origin"].clone())
    };
    assert_eq!(origin("method"), ("server".into(), "group".into()));
    assert_eq!(origin("sign_in"), ("application".into(), "group".into()));
    // Where the secret is, beside the configuration; never what it is.
    let file = place.dir.path().join("app.secret").display().to_string();
    std::fs::write(&file, "xyzzy").unwrap();
    assert_eq!(origin("graph_app.client_secret_file"), (file.into(), "top_level".into()));
    assert!(!place.run(&["config", "show"]).ended(0).stdout.contains("xyzzy"));
    assert_eq!(origin("window.past"), ("3d".into(), "account".into()));
    assert_eq!(origin("window.future"), ("365d".into(), "default".into()));
    assert_eq!(origin("graph_app"), ("A".into(), "top_level".into()));
    assert!(place.run(&["config", "show"]).ended(0).stdout.contains("top level"));
}

#[test]
fn a_missing_file_ends_with_2_and_says_what_to_do() {
    let place = Place::new("");
    std::fs::remove_file(place.config_path()).unwrap();
    let ran = place.run(&["agenda"]).ended(2);
    assert!(ran.stderr.contains("calmirror demo"), "{}", ran.stderr);
}

#[test]
fn the_account_must_be_named_when_there_are_several() {
    let place = Place::new(&format!("{APP}[[account]]\nname = \"anna\"\n[[account]]\nname = \"ben\"\n"));
    let ran = place.run(&["agenda"]).ended(2);
    assert!(ran.stderr.contains("anna, ben"), "{}", ran.stderr);
    place.run(&["agenda", "--account", "ben"]).ended(0);
    place.run(&["agenda", "--account", "carl"]).ended(2);
    assert_eq!(place.run(&["accounts", "--json"]).ended(0).json().as_array().unwrap().len(), 2);
}

#[test]
fn a_policy_that_forbids_syncing_is_obeyed_and_queries_still_answer() {
    let place = Place::new(&format!("{APP}[[account]]\nname = \"anna\"\nmethod = \"off\"\n"));
    let ran = place.run(&["sync"]);
    assert_ne!(ran.code, 0);
    assert!(!ran.stderr.is_empty());
    place.run(&["agenda"]).ended(0);
}
