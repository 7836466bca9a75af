//! The id token of a sign-in: whether it belongs to it, and whom it names.
//!
//! It came from the token endpoint over TLS, which stands in for its signature (OpenID Connect Core 1.0 §3.1.3.7,
//! point 6). Issuer, audience, time and nonce are checked all the same.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::SignInError;
use crate::model::Secret;
use crate::ports::Owner;

/// Clocks of users' machines are this far off without harm: nothing else in a sign-in depends on the wall clock.
const CLOCK_TOLERANCE_S: i64 = 15 * 60;
/// The most characters of an id.
const ID_CHARS_MAX: usize = 128;
/// The directory of personal accounts, whose users Graph names by the last part of their object id.
const PERSONAL_TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
/// What stands for the user's directory in the issuer of a sign-in that is open to every one.
const TENANT_PLACEHOLDER: &str = "{tenantid}";

/// What a token reply may carry beside its tokens.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct IdField {
    #[serde(default)]
    pub(super) id_token: Option<Secret>,
}

impl oauth2::ExtraTokenFields for IdField {}

/// What an id token must say.
pub(super) struct Expected<'a> {
    /// As the discovery document names it.
    pub(super) issuer: &'a str,
    /// The application.
    pub(super) audience: &'a str,
    /// What the authorize request sent; none by device code.
    pub(super) nonce: Option<&'a str>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    exp: i64,
    iat: Option<i64>,
    nonce: Option<String>,
    azp: Option<String>,
    tid: Option<String>,
    oid: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Checks an id token. Answers whom it names: nobody, when the server names no directory.
pub(super) fn check(
    id_token: &str,
    expected: &Expected<'_>,
    now_ms: i64,
) -> Result<Option<Owner>, SignInError> {
    let claims = read(id_token).ok_or(SignInError::IdTokenWrong("unreadable"))?;
    let is_for_us = match &claims.aud {
        Audience::One(audience) => audience == expected.audience,
        Audience::Several(all) => {
            all.iter().any(|audience| audience == expected.audience)
                && (all.len() == 1 || claims.azp.as_deref() == Some(expected.audience))
        }
    };
    if !is_for_us {
        return Err(SignInError::IdTokenWrong("audience"));
    }
    let tenant_id = claims.tid.as_deref().filter(|tid| is_id(tid));
    let issuer = expected.issuer.replace(TENANT_PLACEHOLDER, tenant_id.unwrap_or_default());
    if claims.iss != issuer {
        // The same server for another directory: the user's choice of account, not a forgery.
        let is_other =
            tenant_id.is_some_and(|tid| claims.iss.contains(tid)) && is_one_origin(&claims.iss, &issuer);
        return Err(if is_other { SignInError::OtherTenant } else { SignInError::IdTokenWrong("issuer") });
    }
    check_time(&claims, now_ms.div_euclid(1_000))?;
    if let Some(nonce) = expected.nonce {
        // Compared as hashes, which takes the same time wherever they differ.
        let is_ours = |sent: &str| blake3::hash(sent.as_bytes()) == blake3::hash(nonce.as_bytes());
        if !claims.nonce.as_deref().is_some_and(is_ours) {
            return Err(SignInError::IdTokenWrong("nonce"));
        }
    }
    let object_id = claims.oid.as_deref().filter(|oid| is_id(oid));
    Ok(tenant_id.zip(object_id).map(|(tenant_id, object_id)| Owner {
        tenant_id: tenant_id.to_owned(),
        object_id: object_id.to_owned(),
    }))
}

/// The token is seconds old: its time of issue tells how far the clocks are apart.
fn check_time(claims: &Claims, now_s: i64) -> Result<(), SignInError> {
    if let Some(issued_s) = claims.iat {
        let apart_s = now_s.saturating_sub(issued_s);
        if apart_s.saturating_abs() > CLOCK_TOLERANCE_S {
            return Err(SignInError::ClockWrong {
                minutes: apart_s.saturating_abs() / 60,
                is_ahead: apart_s > 0,
            });
        }
    }
    if claims.exp.saturating_add(CLOCK_TOLERANCE_S) < now_s {
        return Err(SignInError::IdTokenWrong("expired"));
    }
    Ok(())
}

/// Whether an id token and Graph name the same user.
pub fn is_same_user(owner: &Owner, graph_id: &str) -> bool {
    if owner.object_id.eq_ignore_ascii_case(graph_id) {
        return true;
    }
    // 00000000-0000-0000-48d3-1887a1b2c3d4 is 48d31887a1b2c3d4 at Graph.
    let bare = |id: &str| {
        let id = id.replace('-', "").to_ascii_lowercase();
        id.trim_start_matches('0').to_owned()
    };
    owner.tenant_id.eq_ignore_ascii_case(PERSONAL_TENANT) && bare(&owner.object_id) == bare(graph_id)
}

fn read(id_token: &str) -> Option<Claims> {
    let mut parts = id_token.split('.');
    let (_, claims) = (parts.next()?, parts.next()?);
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    // The reader's own message may quote the text, so it is dropped.
    serde_json::from_slice(&claims).ok()
}

fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= ID_CHARS_MAX && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn is_one_origin(one: &str, other: &str) -> bool {
    let origin = |text: &str| url::Url::parse(text).map(|url| url.origin());
    matches!((origin(one), origin(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
#[path = "id_token_tests.rs"]
mod tests;
