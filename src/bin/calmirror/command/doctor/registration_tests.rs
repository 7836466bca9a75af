use calmirror::config::Config;
use calmirror::flow::sign_in::Discovery;
use calmirror::model::Broken;

use super::super::State;
use super::*;

fn account() -> Effective {
    let text = "[[graph_app]]\ndisplay_name = \"App\"\napplication_id = \"app-1\"\ndirectory_id = \"contoso.example\"\n\
                [[group]]\nname = \"all\"\ngraph_app = \"App\"\n\
                [[account]]\nname = \"anna\"\nsource = \"microsoft365\"\n";
    Config::parse(text).unwrap().resolve("anna").unwrap()
}

fn in_order() -> Registration {
    Registration {
        discovery: Ok(Discovery {
            issuer: "https://login.microsoftonline.com/t/v2.0".into(),
            authorization_endpoint: String::new(),
            token_endpoint: String::new(),
            device_authorization_endpoint: None,
            msgraph_host: Some("graph.microsoft.com".into()),
        }),
        application: Ok(()),
        client: ClientKind::Public,
        redirect: Redirect::Registered,
    }
}

/// The checks that are not ok, and what to do about them.
fn judged(found: &Registration) -> Vec<(&'static str, State, String)> {
    let mut checks = Checks::default();
    judge(found, &account(), "https://login.example/adminconsent", &mut checks);
    let not_ok = checks.all.into_iter().filter(|check| check.state != State::Ok);
    not_ok.map(|check| (check.check, check.state, check.todo.unwrap())).collect()
}

#[test]
fn each_mistake_of_a_registration_says_where_to_click() {
    assert_eq!(judged(&in_order()), []);
    let unknown = || SignInError::ApplicationUnknown { code: "unauthorized_client".into() };
    let secret = || SignInError::SecretDemanded { code: "invalid_client".into() };
    let mut elsewhere = in_order();
    elsewhere.discovery.as_mut().unwrap().msgraph_host = Some("graph.microsoft.us".into());
    for (found, check, state, says) in [
        (elsewhere, "authority", State::Fail, "us_gov"),
        (
            Registration { discovery: Err(SignInError::TenantUnknown), ..in_order() },
            "authority",
            State::Fail,
            "Tenant ID",
        ),
        (
            Registration {
                discovery: Err(SignInError::Fault(Fault::Unreachable(Broken::Connect))),
                ..in_order()
            },
            "authority",
            State::Fail,
            "HTTPS_PROXY",
        ),
        (
            Registration {
                application: Err(unknown()),
                client: ClientKind::Refused(unknown()),
                redirect: Redirect::Refused,
                ..in_order()
            },
            "application",
            State::Fail,
            "https://login.example/adminconsent",
        ),
        (
            Registration { client: ClientKind::Refused(secret()), ..in_order() },
            "client_type",
            State::Fail,
            "Mobile and desktop applications",
        ),
        (
            Registration { application: Err(secret()), ..in_order() },
            "application",
            State::Warn,
            "Allow public client flows",
        ),
        (
            Registration {
                application: Err(SignInError::ScopeUnknown {
                    code: "invalid_scope".into(),
                    scopes: String::new(),
                }),
                ..in_order()
            },
            "application",
            State::Fail,
            "Delegated permissions",
        ),
        (
            Registration { redirect: Redirect::Refused, ..in_order() },
            "redirect",
            State::Fail,
            "http://localhost",
        ),
        (
            Registration {
                application: Err(SignInError::Fault(Fault::Unreachable(Broken::Timeout))),
                client: ClientKind::Unsaid,
                redirect: Redirect::Unsaid,
                ..in_order()
            },
            "application",
            State::Warn,
            "try again",
        ),
    ] {
        let judged = judged(&found);
        let [(found_check, found_state, todo)] = judged.as_slice() else { panic!("{judged:?}") };
        assert_eq!((*found_check, *found_state), (check, state));
        assert!(todo.contains(says), "{todo}");
    }
}

#[test]
fn each_way_a_mailbox_does_not_answer_says_who_must_act() {
    let refused = |status, code: &str| {
        Err(Fault::Refused { status, code: Some(code.to_owned()), retry_after: None, claims: None })
    };
    for (answer, state, says) in [
        (Ok(2), State::Ok, ""),
        (refused(404, "MailboxNotEnabledForRESTAPI"), State::Fail, "license"),
        (refused(403, "ErrorAccessDenied"), State::Fail, "Grant admin consent"),
        (Err(Fault::SignInNeeded), State::Fail, "calmirror login --account anna"),
        (Err(Fault::Unreachable(Broken::Connect)), State::Warn, "later"),
        (refused(429, "ApplicationThrottled"), State::Warn, "later"),
    ] {
        let mut checks = Checks::default();
        judge_mailbox(answer, "anna", &mut checks);
        assert_eq!(checks.all[0].state, state, "{says}");
        assert!(checks.all[0].todo.as_deref().unwrap_or_default().contains(says), "{says}");
    }
}
