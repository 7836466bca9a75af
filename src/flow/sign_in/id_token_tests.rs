use serde_json::{Value, json};

use super::*;

const NOW_S: i64 = 1_772_438_400;
const TENANT: &str = "7c2f1d9e-53a4-4b0e-9a51-0f4ad6a1c0de";
const ISSUER: &str = "https://login.example/7c2f1d9e-53a4-4b0e-9a51-0f4ad6a1c0de/v2.0";

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": "app-1", "exp": NOW_S + 3_600, "iat": NOW_S, "nonce": "n", "tid": TENANT,
        "oid": "11111111-2222-3333-4444-555555555555", "sub": "s", "ver": "2.0", "new": {},
    })
}

fn with(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn token(claims: &Value) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", part("{\"alg\":\"RS256\"}"), part(&claims.to_string()), part("signature"))
}

fn judged(claims: &Value, issuer: &str) -> Result<Option<Owner>, SignInError> {
    let expected = Expected { issuer, audience: "app-1", nonce: Some("n") };
    check(&token(claims), &expected, NOW_S * 1_000 + 999)
}

#[test]
fn a_token_of_this_sign_in_names_its_user() {
    let owner = judged(&claims(), ISSUER).unwrap().unwrap();
    assert_eq!(owner.tenant_id, TENANT);
    assert_eq!(owner.object_id, "11111111-2222-3333-4444-555555555555");
    let open = judged(&claims(), "https://login.example/{tenantid}/v2.0").unwrap();
    assert_eq!(open, Some(owner));
    assert_eq!(judged(&with(json!({"aud": ["app-1"]})), ISSUER).unwrap().unwrap().tenant_id, TENANT);
    for nameless in [json!({"tid": null}), json!({"oid": null}), json!({"oid": "a b"}), json!({"oid": ""})] {
        assert_eq!(judged(&with(nameless.clone()), ISSUER), Ok(None), "{nameless}");
    }
}

#[test]
fn a_token_that_does_not_belong_to_this_sign_in_is_refused() {
    let other = "https://login.example/aaaaaaaa-53a4-4b0e-9a51-0f4ad6a1c0de/v2.0";
    for (changes, expected) in [
        (json!({"iss": other, "tid": "aaaaaaaa-53a4-4b0e-9a51-0f4ad6a1c0de"}), SignInError::OtherTenant),
        (json!({"iss": other}), SignInError::IdTokenWrong("issuer")),
        (
            json!({"iss": "https://evil.example/7c2f1d9e-53a4-4b0e-9a51-0f4ad6a1c0de/v2.0"}),
            SignInError::IdTokenWrong("issuer"),
        ),
        (json!({"aud": "app-2"}), SignInError::IdTokenWrong("audience")),
        (json!({"aud": []}), SignInError::IdTokenWrong("audience")),
        (json!({"aud": ["app-1", "app-2"]}), SignInError::IdTokenWrong("audience")),
        (json!({"nonce": "m"}), SignInError::IdTokenWrong("nonce")),
        (json!({"nonce": null}), SignInError::IdTokenWrong("nonce")),
        (json!({"exp": NOW_S - 901}), SignInError::IdTokenWrong("expired")),
        (json!({"exp": "soon"}), SignInError::IdTokenWrong("unreadable")),
        (json!({"iss": null}), SignInError::IdTokenWrong("unreadable")),
    ] {
        assert_eq!(judged(&with(changes.clone()), ISSUER), Err(expected), "{changes}");
    }
    let several = with(json!({"aud": ["app-1", "app-2"], "azp": "app-1"}));
    assert!(judged(&several, ISSUER).is_ok());
    let expected = Expected { issuer: ISSUER, audience: "app-1", nonce: None };
    for text in ["", ".", "a.b.c", "a.e30.c", "no token at all", "e30.bnVsbA.e30"] {
        let judged = check(text, &expected, NOW_S * 1_000);
        assert_eq!(judged, Err(SignInError::IdTokenWrong("unreadable")), "{text}");
    }
    assert!(check(&token(&with(json!({"nonce": null}))), &expected, NOW_S * 1_000).is_ok(), "device code");
}

#[test]
fn a_clock_ten_minutes_off_does_no_harm_and_one_further_off_is_named() {
    for (issued_s, lives_s, expected) in [
        (NOW_S + 600, 3_600, None),
        (NOW_S - 600, 3_600, None),
        (NOW_S - 600, 300, None),
        (NOW_S + 901, 3_600, Some(SignInError::ClockWrong { minutes: 15, is_ahead: false })),
        (NOW_S - 7_200, 3_600, Some(SignInError::ClockWrong { minutes: 120, is_ahead: true })),
        (i64::MIN, 0, Some(SignInError::ClockWrong { minutes: i64::MAX / 60, is_ahead: true })),
    ] {
        let claims = with(json!({"iat": issued_s, "exp": issued_s.saturating_add(lives_s)}));
        assert_eq!(judged(&claims, ISSUER).err(), expected, "{issued_s} {lives_s}");
    }
    let text = SignInError::ClockWrong { minutes: 120, is_ahead: true }.to_string();
    assert!(text.contains("120 minutes ahead of") && text.contains("time synchronization"), "{text}");
}

#[test]
fn graph_and_the_id_token_name_a_personal_account_differently() {
    let owner = |tenant: &str, object: &str| Owner { tenant_id: tenant.into(), object_id: object.into() };
    for (tenant, object, graph, is_same) in [
        (TENANT, "ABCD-1", "abcd-1", true),
        (TENANT, "00000000-0000-0000-48d3-1887a1b2c3d4", "48d31887a1b2c3d4", false),
        (PERSONAL_TENANT, "00000000-0000-0000-48d3-1887a1b2c3d4", "48D31887A1B2C3D4", true),
        (PERSONAL_TENANT, "00000000-0000-0000-08d3-1887a1b2c3d4", "8d31887a1b2c3d4", true),
        (PERSONAL_TENANT, "00000000-0000-0000-48d3-1887a1b2c3d4", "58d31887a1b2c3d4", false),
    ] {
        assert_eq!(is_same_user(&owner(tenant, object), graph), is_same, "{object} {graph}");
    }
}
