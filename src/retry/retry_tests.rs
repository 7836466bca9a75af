use super::*;

fn refused(status: u16, code: Option<&str>, retry_after_s: Option<u64>) -> Fault {
    Fault::Refused {
        status,
        code: code.map(str::to_owned),
        retry_after: retry_after_s.map(Duration::from_secs),
        claims: None,
    }
}

fn judged(fault: &Fault, step: Step, attempt: u32) -> &'static str {
    match judge(fault, step, attempt, 0.5) {
        Verdict::Again { .. } => "again",
        Verdict::Resync => "resync",
        Verdict::Shrink => "shrink",
        Verdict::Snapshot => "snapshot",
        Verdict::SignIn => "sign in",
        Verdict::Stop => "stop",
    }
}

#[test]
fn every_failure_has_one_verdict() {
    use Step::{DeltaLink, FirstPage, Listing, Lookup, NextPage, Token};
    let lost = Some("SyncStateNotFound");
    let cases: Vec<(&str, Fault, Step, u32, &str)> = vec![
        ("410 on a delta link", refused(410, lost, None), DeltaLink, 1, "resync"),
        ("410 in another case", refused(410, Some("resyncrequired"), None), NextPage, 1, "resync"),
        ("410 on a look-up", refused(410, None, None), Lookup, 1, "stop"),
        ("400 InvalidDeltaToken", refused(400, Some("invaliddeltatoken"), None), DeltaLink, 1, "resync"),
        ("400 without a code on a cursor", refused(400, None, None), NextPage, 1, "resync"),
        (
            "404 malformed id on a cursor",
            refused(404, Some("ErrorInvalidIdMalformed"), None),
            DeltaLink,
            1,
            "resync",
        ),
        ("400 on a first page", refused(400, Some("ErrorInvalidRequest"), None), FirstPage, 1, "snapshot"),
        ("404 on a first page", refused(404, None, None), FirstPage, 1, "snapshot"),
        ("404 no mailbox", refused(404, Some("MailboxNotEnabledForRESTAPI"), None), FirstPage, 1, "stop"),
        ("400 on a look-up", refused(400, None, None), Lookup, 1, "stop"),
        ("401", refused(401, None, None), DeltaLink, 1, "sign in"),
        ("403 on a delta link", refused(403, None, None), DeltaLink, 1, "snapshot"),
        ("403 on page two", refused(403, Some("ErrorAccessDenied"), None), NextPage, 1, "snapshot"),
        ("403 on page one", refused(403, None, None), FirstPage, 1, "stop"),
        ("404 on a delta link", refused(404, None, None), DeltaLink, 1, "stop"),
        ("412", refused(412, None, None), Lookup, 1, "stop"),
        ("429 with a time", refused(429, None, Some(7)), DeltaLink, 1, "again"),
        ("429 without", refused(429, None, None), DeltaLink, 1, "again"),
        ("429 for ever", refused(429, None, Some(1)), DeltaLink, 4, "stop"),
        ("503 with a time", refused(503, None, Some(2)), DeltaLink, 1, "again"),
        ("503 empty", refused(503, None, None), NextPage, 1, "again"),
        ("503 empty again", refused(503, None, None), NextPage, 2, "shrink"),
        ("503 for ever", refused(503, None, None), NextPage, 4, "stop"),
        ("500 on a listing, twice", refused(500, None, None), Listing, 2, "again"),
        ("500 on a token", refused(500, None, None), Token, 1, "again"),
        ("418", refused(418, None, None), Listing, 1, "stop"),
        ("no connection", Fault::Unreachable(Broken::Connect), DeltaLink, 1, "stop"),
        ("no trust", Fault::Unreachable(Broken::Tls), DeltaLink, 1, "stop"),
        ("cut", Fault::Unreachable(Broken::Reset), DeltaLink, 1, "again"),
        ("timed out", Fault::Unreachable(Broken::Timeout), NextPage, 1, "again"),
        ("timed out again", Fault::Unreachable(Broken::Timeout), NextPage, 2, "shrink"),
        ("timed out for ever", Fault::Unreachable(Broken::Timeout), NextPage, 3, "stop"),
        ("too large a page", Fault::Unreadable(Unreadable::TooLarge), NextPage, 1, "shrink"),
        ("too large a listing", Fault::Unreadable(Unreadable::TooLarge), Listing, 1, "stop"),
        ("a hotel's page", Fault::Unreadable(Unreadable::WebPage), DeltaLink, 1, "stop"),
        ("garbage", Fault::Unreadable(Unreadable::Shape), DeltaLink, 1, "again"),
        ("garbage for ever", Fault::Unreadable(Unreadable::Shape), DeltaLink, 3, "stop"),
        ("a foreign link", Fault::LinkRefused(crate::model::LinkProblem::Host), NextPage, 1, "resync"),
        ("endless", Fault::EndlessPages, NextPage, 1, "stop"),
        ("signed out", Fault::SignInNeeded, DeltaLink, 1, "sign in"),
    ];
    for (name, fault, step, attempt, expected) in cases {
        assert_eq!(judged(&fault, step, attempt), expected, "{name}");
    }
}

#[test]
fn the_server_decides_how_long_when_it_says_so() {
    let verdict = judge(&refused(429, None, Some(17)), Step::DeltaLink, 1, 0.9);
    assert_eq!(verdict, Verdict::Again { after: Duration::from_secs(17) });
}

#[test]
fn waits_grow_and_stay_below_their_limit_with_every_roll() {
    for roll in [0.0, 0.5, 0.999_999] {
        let waits: Vec<Duration> = (1..30).map(|attempt| wait(attempt, roll)).collect();
        assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]), "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= WAIT_MAX));
    }
}
