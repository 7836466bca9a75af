use std::collections::BTreeSet;

use calmirror::api::SignInWay;
use calmirror::config::{Effective, SourceKind, granted_scopes, missing_scopes, scope_purpose};
use calmirror::flow::sign_in::check_credential;
use calmirror::vault::{KeyPlace, glance, system_keyring};
use clap::Args;
use serde::Serialize;

use crate::args::Globals;
use crate::output::{Output, Tone, cell, plain_table};
use crate::setup::{Failure, Setup};
use crate::text::{clean, policy_text};

/// List the configured accounts and whether they are signed in
#[derive(Debug, Args)]
pub struct Accounts {}

/// One account, as `accounts --json` prints it.
#[derive(Debug, Serialize)]
pub struct Row {
    pub name: String,
    pub user: Option<String>,
    pub source: &'static str,
    pub signed_in: bool,
    /// Who signs in: `user`, `application` or `none`.
    pub sign_in: SignInWay,
    pub scopes_granted: Vec<String>,
    pub scopes_missing: Vec<String>,
    pub expires_at: Option<String>,
    /// Why the last sign-in is over, as the server's code, when it was ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// Where the key of the encrypted tokens is: `keyring` or `key_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_key: Option<KeyPlace>,
    /// Why it is not synchronized, when the configuration forbids it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<&'static str>,
    /// How the tokens are kept, in words.
    #[serde(skip)]
    pub kept: Option<String>,
    /// Why the tokens cannot be read, when they cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Accounts {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let setup = Setup::load(globals)?;
        let rows: Vec<Row> = setup.accounts()?.iter().map(|account| row(&setup, account)).collect();
        if output.is_json() {
            output.json(&rows)?;
            return Ok(0);
        }
        if rows.is_empty() {
            output.line(format!(
                "No account is configured: add an [[account]] to {}.",
                setup.config_path.display()
            ))?;
        }
        let mut table = plain_table(4, &[0, 2]);
        let mut missing_everywhere = BTreeSet::new();
        for row in rows {
            missing_everywhere.extend(row.scopes_missing.iter().cloned());
            let (text, tone) = match (&row.problem, row.signed_in) {
                _ if row.policy.is_some() => {
                    let policy = row.policy.unwrap_or_default();
                    (format!("not synchronized: {policy}"), Tone::Warning)
                }
                (Some(problem), _) => (problem.clone(), Tone::Bad),
                (None, true) if row.source == SourceKind::Exchange.code() => {
                    ("the configuration says where the password is".to_owned(), Tone::Good)
                }
                (None, false) if row.source == SourceKind::Exchange.code() => {
                    let ask = format!("`calmirror sync --account {}` says why", row.name);
                    (format!("the server lets nobody in: {ask}"), Tone::Warning)
                }
                (None, true) if row.sign_in == SignInWay::Application => {
                    ("the application signs in by itself".to_owned(), Tone::Good)
                }
                (None, false) if row.sign_in == SignInWay::Application => {
                    let ask = format!("`calmirror sync --account {}` says why", row.name);
                    (format!("the application is refused: {ask}"), Tone::Warning)
                }
                (None, false) => {
                    let why = match &row.ended {
                        Some(code) => format!("the sign-in is over ({code})"),
                        None => "not signed in".to_owned(),
                    };
                    (format!("{why}: run `calmirror login --account {}`", row.name), Tone::Warning)
                }
                (None, true) if row.scopes_missing.is_empty() => {
                    (format!("signed in; tokens: {}", row.kept.as_deref().unwrap_or("none")), Tone::Good)
                }
                (None, true) => {
                    let missing = row.scopes_missing.join(", ");
                    let ask = format!("`calmirror login --account {}` asks for it", row.name);
                    (format!("signed in, without {missing}: {ask}"), Tone::Warning)
                }
            };
            table.add_row([
                cell(&row.name, Tone::Heading),
                cell(clean(row.user.as_deref().unwrap_or("any mailbox")), Tone::Plain),
                cell(row.source, Tone::Faint),
                cell(clean(&text), tone),
            ]);
        }
        output.table(&mut table)?;
        for scope in missing_everywhere {
            let purpose = scope_purpose(&scope).unwrap_or("as your administrator configured");
            output.line(format!("  {} - {purpose}", clean(&scope)))?;
        }
        Ok(0)
    }
}

/// What is known about one account's sign-in, without any request and without asking the keyring.
pub fn row(setup: &Setup, account: &Effective) -> Row {
    if let Some(credential) = account.credential.as_ref().filter(|_| account.is_application()) {
        let status = setup.mirrors.status(Some(&account.name)).ok();
        let status = status.and_then(|status| status.accounts.into_iter().next());
        let signed_in = status.is_some_and(|status| status.signed_in);
        let problem = check_credential(credential).err().filter(|_| !signed_in);
        return Row {
            name: account.name.clone(),
            user: account.user.clone(),
            source: account.source.value.code(),
            signed_in,
            sign_in: SignInWay::Application,
            scopes_granted: Vec::new(),
            scopes_missing: Vec::new(),
            expires_at: None,
            ended: None,
            tokens_key: None,
            kept: None,
            policy: policy_text(account),
            problem: problem.map(|problem| problem.to_string()),
        };
    }
    let loaded = glance(&setup.data_dir, &account.name);
    let problem = loaded.as_ref().err().map(ToString::to_string);
    let tokens = loaded.ok().flatten();
    let ended = tokens.as_ref().and_then(|tokens| tokens.ended.clone());
    let tokens = tokens.filter(|tokens| tokens.ended.is_none());
    let granted = tokens.as_ref().map(|tokens| granted_scopes(&tokens.scopes)).unwrap_or_default();
    let missing = match &tokens {
        None => Vec::new(),
        Some(_) => missing_scopes(&account.scopes.value, &granted),
    };
    Row {
        name: account.name.clone(),
        user: account.user.clone(),
        source: account.source.value.code(),
        signed_in: tokens.is_some(),
        sign_in: match account.source.value {
            SourceKind::Microsoft365 => SignInWay::User,
            SourceKind::Exchange | SourceKind::Icalendar | SourceKind::Feed => SignInWay::None,
        },
        tokens_key: tokens.as_ref().and_then(|tokens| tokens.key),
        policy: policy_text(account),
        kept: tokens.as_ref().map(|tokens| tokens.kept(system_keyring().name())),
        expires_at: tokens.and_then(|tokens| {
            chrono::DateTime::from_timestamp_millis(tokens.expires_at_ms).map(|at| at.to_rfc3339())
        }),
        scopes_granted: granted,
        scopes_missing: missing,
        ended,
        problem,
    }
}
