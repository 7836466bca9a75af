//! Autodiscover in its plain old form (POX): from a mailbox's address to the address of its EWS.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::{Fault, Secret, Unreadable};
use crate::ports::{Http, Method, Request};
use crate::source::ews::client::{Login, basic};
use crate::source::ews::refusal::is_web_page;
use crate::source::ews::site::{EwsSiteError, checked};
use crate::source::ews::xml::{self, Element, Ink};

/// Addresses that are asked, redirections included.
const HOPS_MAX: usize = 8;
/// The most bytes of an answer.
const REPLY_BYTES_MAX: usize = 1024 * 1024;
/// How long one address may take. Most of those that are tried do not exist.
const TIMEOUT: Duration = Duration::from_secs(15);

const REQUEST: &str = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006";
const RESPONSE: &str = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a";

/// Why no address was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiscoverError {
    /// The mailbox's address is none.
    #[error("the mailbox is named by its SMTP address")]
    Address,
    /// Every address was asked and none knew; the last one's reason.
    #[error("no Autodiscover service knows this mailbox ({0}); write the EWS address into the configuration")]
    Unknown(Fault),
    /// What was found must not be used.
    #[error(transparent)]
    Site(#[from] EwsSiteError),
}

/// Where Autodiscover is asked for the mailbox `address`: its domain, and the host of that name there.
///
/// # Errors
/// `Address` when there is no domain in it.
pub fn endpoints(address: &str) -> Result<Vec<String>, DiscoverError> {
    let domain = address.rsplit_once('@').map(|(_, domain)| domain).unwrap_or_default();
    let is_domain = !domain.is_empty()
        && domain.len() <= 253
        && domain.split('.').all(|label| {
            !label.is_empty() && label.chars().all(|letter| letter.is_alphanumeric() || letter == '-')
        });
    if !is_domain {
        return Err(DiscoverError::Address);
    }
    let at = |host: &str| format!("https://{host}/autodiscover/autodiscover.xml");
    Ok(vec![at(&format!("autodiscover.{domain}")), at(domain)])
}

/// Finds the EWS address of the mailbox `address` by asking `endpoints` in turn. Name and password are shown only to
/// a server that asks for them, and over TLS (or within this machine) only.
///
/// # Errors
/// See [`DiscoverError`]; `SignInNeeded` within `Unknown` when a server refused what it was shown.
pub async fn discover(
    http: &dyn Http,
    endpoints: &[String],
    address: &str,
    login: &Login,
) -> Result<String, DiscoverError> {
    let mut queue: Vec<String> = endpoints.iter().rev().cloned().collect();
    let mut address = address.to_owned();
    let mut asked = BTreeSet::new();
    let mut last = Fault::Unreadable(Unreadable::Empty);
    while let Some(url) = queue.pop() {
        if asked.len() >= HOPS_MAX {
            break;
        }
        let url = checked(&url)?.as_str().to_owned();
        if !asked.insert((url.clone(), address.clone())) {
            continue;
        }
        match ask(http, &url, &address, login).await.and_then(|body| read(&body)) {
            Ok(Told::Url(found)) => return Ok(checked(&found)?.as_str().to_owned()),
            Ok(Told::Elsewhere(url)) => queue.push(url),
            Ok(Told::OtherAddress(other)) => {
                queue.extend(self::endpoints(&other)?.into_iter().rev());
                address = other;
            }
            // A refused password is worth more than that the next address does not exist.
            Err(fault) if last != Fault::SignInNeeded => last = fault,
            Err(_) => {}
        }
    }
    Err(DiscoverError::Unknown(last))
}

/// What a server says.
enum Told {
    Url(String),
    Elsewhere(String),
    OtherAddress(String),
}

async fn ask(http: &dyn Http, url: &str, address: &str, login: &Login) -> Result<Vec<u8>, Fault> {
    match send(http, url, address, None, None).await {
        Err(Fault::Refused { status: 401, .. }) => {}
        answered => return answered,
    }
    let answered = match login {
        Login::Basic { user, password } => send(http, url, address, Some(basic(user, password)), None).await,
        Login::Bearer(bearer) => send(http, url, address, None, Some(bearer.token(None, None).await?)).await,
    };
    match answered {
        Err(Fault::Refused { status: 401, .. }) => Err(Fault::SignInNeeded),
        answered => answered,
    }
}

async fn send(
    http: &dyn Http,
    url: &str,
    address: &str,
    authorization: Option<String>,
    bearer: Option<Secret>,
) -> Result<Vec<u8>, Fault> {
    let mut headers =
        vec![("content-type", "text/xml; charset=utf-8".to_owned()), ("accept", "text/xml".to_owned())];
    headers.extend(authorization.map(|value| ("authorization", value)));
    let mut ink = Ink::new();
    ink.within("Autodiscover", &[("xmlns", REQUEST)], |ink| {
        ink.within("Request", &[], |ink| {
            ink.text("EMailAddress", address);
            ink.text("AcceptableResponseSchema", RESPONSE);
        });
    });
    let request = Request {
        method: Method::Post,
        url: url.to_owned(),
        headers,
        bearer,
        body: Some(ink.finish()),
        reply_bytes_max: REPLY_BYTES_MAX,
        timeout: TIMEOUT,
    };
    let reply = http.send(request).await.map_err(Fault::from)?;
    match reply.status {
        200..300 => Ok(reply.body),
        300..400 => Err(Fault::Unreadable(Unreadable::Redirect)),
        status => Err(Fault::Refused { status, code: None, retry_after: None, claims: None }),
    }
}

fn read(body: &[u8]) -> Result<Told, Fault> {
    let shape = || Fault::Unreadable(if is_web_page(body) { Unreadable::WebPage } else { Unreadable::Shape });
    let root = xml::parse(body).map_err(|_| shape())?;
    let response = root.child("Response").ok_or_else(shape)?;
    if response.child("Error").is_some() {
        return Err(Fault::Refused { status: 404, code: None, retry_after: None, claims: None });
    }
    let account = response.child("Account").ok_or_else(shape)?;
    let text = |name: &str| account.text_at(&[name]).map(str::to_owned);
    match text("Action").as_deref() {
        Some("redirectUrl") => text("RedirectUrl").map(Told::Elsewhere).ok_or_else(shape),
        Some("redirectAddr") => text("RedirectAddr").map(Told::OtherAddress).ok_or_else(shape),
        Some(_) | None => ews_url(account).map(Told::Url).ok_or_else(shape),
    }
}

/// The address from outside (`EXPR`), else the one from within, else whichever there is.
fn ews_url(account: &Element) -> Option<String> {
    let url_of = |kind: Option<&str>| {
        let mut protocols = account.children.iter().filter(|child| child.name == "Protocol");
        protocols
            .find(|protocol| {
                kind.is_none_or(|kind| protocol.text_at(&["Type"]) == Some(kind))
                    && protocol.text_at(&["EwsUrl"]).is_some()
            })
            .and_then(|protocol| protocol.text_at(&["EwsUrl"]))
    };
    url_of(Some("EXPR")).or_else(|| url_of(Some("EXCH"))).or_else(|| url_of(None)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_looked_for_at_its_domain() {
        let found = endpoints("anna@example.com").unwrap();
        assert_eq!(
            found,
            [
                "https://autodiscover.example.com/autodiscover/autodiscover.xml",
                "https://example.com/autodiscover/autodiscover.xml"
            ]
        );
        for odd in ["", "anna", "anna@", "anna@a b", "anna@exa/mple.com", "anna@x.com:99", "anna@.com"] {
            assert_eq!(endpoints(odd), Err(DiscoverError::Address), "{odd}");
        }
    }

    #[test]
    fn the_address_from_outside_comes_first() {
        let answer = |protocols: &str| {
            let text = format!(
                "<Autodiscover><Response><Account><Action>settings</Action>{protocols}</Account></Response></Autodiscover>"
            );
            match read(text.as_bytes()) {
                Ok(Told::Url(url)) => url,
                _ => "none".to_owned(),
            }
        };
        let protocol =
            |kind: &str, url: &str| format!("<Protocol><Type>{kind}</Type><EwsUrl>{url}</EwsUrl></Protocol>");
        let (inside, outside) = (protocol("EXCH", "https://in/"), protocol("EXPR", "https://out/"));
        assert_eq!(answer(&format!("{inside}{outside}")), "https://out/");
        assert_eq!(answer(&inside), "https://in/");
        assert_eq!(answer(&protocol("EXHTTP", "https://new/")), "https://new/");
        assert_eq!(answer("<Protocol><Type>WEB</Type></Protocol>"), "none");
    }
}
