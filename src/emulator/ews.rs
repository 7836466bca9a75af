//! The face of an Exchange server on premises: EWS over the same mailboxes, one SOAP request at a time.
//!
//! Every user signs in with address and password ([`EWS_PASSWORD`]); the account [`EWS_SERVICE_ACCOUNT`] has no
//! mailbox and may open everybody's by impersonation. Tokens of the authority work, too. It reads XML with another
//! library than the client, and writes it by hand.

mod reads;
mod render;
mod writes;
mod xml;

use base64::Engine;
use roxmltree::{Document, Node};

use super::authority::Bearer;
use super::fault::RequestKind;
use super::mailbox::Mailbox;
use super::quirks::Quirks;
use super::wire::{Answer, Call, Refusal};
use super::world::World;
use xml::Xml;

/// The password of every user of the emulator's EWS face.
pub const EWS_PASSWORD: &str = "emulated";
/// The name of the account that may open every mailbox by impersonation.
pub const EWS_SERVICE_ACCOUNT: &str = "service";

const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const TYPES: &str = "http://schemas.microsoft.com/exchange/services/2006/types";
const MESSAGES: &str = "http://schemas.microsoft.com/exchange/services/2006/messages";
const ERRORS: &str = "http://schemas.microsoft.com/exchange/services/2006/errors";

/// A refusal within a response: one message of several.
#[derive(Debug)]
pub(super) struct Denied {
    code: String,
    text: &'static str,
}

impl Denied {
    fn new(code: &str, text: &'static str) -> Denied {
        Denied { code: code.to_owned(), text }
    }
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Denied {
        let code = if refusal.code.starts_with("Error") { &*refusal.code } else { "ErrorInvalidRequest" };
        Denied::new(code, "The request was refused.")
    }
}

/// One request at work on one mailbox.
pub(super) struct Ews<'a> {
    pub mailbox: &'a mut Mailbox,
    pub quirks: &'a Quirks,
    pub now_ms: i64,
    pub scramble: u64,
}

/// Who asks.
enum Caller {
    User(usize),
    /// May impersonate; has a mailbox of its own or none.
    Service(Option<usize>),
}

/// Whether a request goes to this face.
pub(super) fn is_call(call: &Call) -> bool {
    let path = call.path().trim_start_matches('/').to_ascii_lowercase();
    path.starts_with("ews/") || path.starts_with("autodiscover/")
}

/// What kind of request it is, and the name of its operation.
pub(super) fn kind(call: &Call) -> RequestKind {
    let operation = std::str::from_utf8(&call.body).ok().and_then(operation);
    match operation.as_deref() {
        Some("SyncFolderItems") => RequestKind::Delta,
        Some("FindItem") => RequestKind::View,
        Some("GetItem") => RequestKind::Event,
        Some("FindFolder" | "GetFolder" | "SyncFolderHierarchy") => RequestKind::Calendars,
        Some("CreateItem") if call.body.windows(13).any(|part| part == b"CalendarItem>") => {
            RequestKind::Create
        }
        Some("CreateItem") => RequestKind::Action,
        Some("UpdateItem") => RequestKind::Patch,
        Some("DeleteItem") => RequestKind::Delete,
        Some(_) | None => RequestKind::Other,
    }
}

fn operation(text: &str) -> Option<String> {
    let document = Document::parse(text).ok()?;
    let body = child(document.root_element(), "Body")?;
    body.first_element_child().map(|operation| operation.tag_name().name().to_owned())
}

pub(super) fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.is_element() && child.tag_name().name() == name)
}

pub(super) fn children<'a, 'i>(node: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(Node::is_element)
}

/// The text of an element, references resolved.
pub(super) fn text_of(node: Node<'_, '_>) -> String {
    node.children().filter(Node::is_text).filter_map(|text| text.text()).collect()
}

/// How a refusal looks here.
pub(super) fn refused(refusal: &Refusal, call: &Call) -> Answer {
    let wait_ms = refusal.headers.iter().find(|(name, _)| name == "retry-after");
    let wait_ms = wait_ms.and_then(|(_, wait)| wait.parse::<f64>().ok()).map(|wait| (wait * 1_000.0).round());
    match refusal.status {
        401 => {
            let answer = Answer::html(401, "<html><body><h2>401 - Unauthorized</h2></body></html>");
            answer.with("www-authenticate", "Basic realm=\"emulator\"")
        }
        429 => fault(
            "ErrorServerBusy",
            "The server cannot service this request right now. Try again later.",
            wait_ms,
        ),
        503 | 504 => {
            let answer = Answer::html(refusal.status, "<html><body>Service Unavailable</body></html>");
            refusal.headers.iter().fold(answer, |answer, (name, value)| answer.with(name, value.as_str()))
        }
        500.. => fault(
            "ErrorInternalServerError",
            "An internal server error occurred. The operation failed.",
            None,
        ),
        _ => {
            let operation = std::str::from_utf8(&call.body).ok().and_then(operation).unwrap_or_default();
            let mut denied = Denied::from(refusal.clone());
            if refusal.status == 410 {
                denied =
                    Denied::new("ErrorInvalidSyncStateData", "The synchronization state data is corrupt.");
            }
            response(&operation, |xml| message(xml, &operation, Err(denied)))
        }
    }
}

fn fault(code: &str, text: &str, wait_ms: Option<f64>) -> Answer {
    let mut xml = Xml::default();
    let spaces = [("xmlns:s", SOAP)];
    xml.within("s:Envelope", &spaces, |xml| {
        xml.within("s:Body", &[], |xml| {
            xml.within("s:Fault", &[], |xml| {
                let types = [("xmlns:a", TYPES)];
                xml.within("faultcode", &types, |xml| xml.raw(&format!("a:{code}")));
                xml.text("faultstring", text);
                xml.within("detail", &[], |xml| {
                    let errors = [("xmlns:e", ERRORS)];
                    xml.within("e:ResponseCode", &errors, |xml| xml.raw(code));
                    xml.within("e:Message", &errors, |xml| xml.raw(text));
                    if let Some(wait_ms) = wait_ms {
                        xml.within("t:MessageXml", &[("xmlns:t", TYPES)], |xml| {
                            let name = [("Name", "BackOffMilliseconds")];
                            xml.within("t:Value", &name, |xml| xml.raw(&format!("{wait_ms:.0}")));
                        });
                    }
                });
            });
        });
    });
    Answer::text(500, "text/xml; charset=utf-8", xml.finish())
}

/// An envelope with the messages of an operation.
fn response(operation: &str, fill: impl FnOnce(&mut Xml)) -> Answer {
    let mut xml = Xml::default();
    xml.within("s:Envelope", &[("xmlns:s", SOAP)], |xml| {
        xml.within("s:Header", &[], |xml| {
            let version = [
                ("MajorVersion", "15"),
                ("MinorVersion", "1"),
                ("MajorBuildNumber", "2507"),
                ("MinorBuildNumber", "6"),
                ("Version", "V2017_07_11"),
                ("xmlns:h", TYPES),
            ];
            xml.empty("h:ServerVersionInfo", &version);
        });
        xml.within("s:Body", &[], |xml| {
            let name = format!("m:{operation}Response");
            xml.within(&name, &[("xmlns:m", MESSAGES), ("xmlns:t", TYPES)], |xml| {
                xml.within("m:ResponseMessages", &[], fill);
            });
        });
    });
    Answer::text(200, "text/xml; charset=utf-8", xml.finish())
}

/// One message: what `content` writes, or why there is none.
fn message(xml: &mut Xml, operation: &str, content: Result<Xml, Denied>) {
    let name = format!("m:{operation}ResponseMessage");
    match content {
        Ok(content) => xml.within(&name, &[("ResponseClass", "Success")], |xml| {
            xml.text("m:ResponseCode", "NoError");
            xml.raw(&content.finish());
        }),
        Err(denied) => xml.within(&name, &[("ResponseClass", "Error")], |xml| {
            xml.text("m:MessageText", denied.text);
            xml.text("m:ResponseCode", &denied.code);
            xml.text("m:DescriptiveLinkKey", "0");
        }),
    }
}

impl World {
    /// Answers one request of this face.
    pub(super) fn ews(&mut self, call: &Call, now_ms: i64) -> Result<Answer, Refusal> {
        let caller = self.ews_caller(call, now_ms)?;
        if call.path().to_ascii_lowercase().contains("autodiscover") {
            return Ok(self.autodiscover(call));
        }
        let invalid = |text: &str| Ok(fault("ErrorSchemaValidation", text, None));
        let Ok(text) = std::str::from_utf8(&call.body) else { return invalid("The request is no text.") };
        let document = match Document::parse(text) {
            Ok(document) => document,
            Err(_) => return invalid("The request failed schema validation."),
        };
        let envelope = document.root_element();
        let header = child(envelope, "Header");
        let version = header.and_then(|header| child(header, "RequestServerVersion"));
        match version.and_then(|version| version.attribute("Version")) {
            Some(version) if version.starts_with("Exchange2013") && self.quirks.ews_2010 => {
                return Ok(fault(
                    "ErrorInvalidServerVersion",
                    "The specified server version is invalid.",
                    None,
                ));
            }
            Some(version) if version.starts_with("Exchange20") => {}
            Some(_) | None => {
                return Ok(fault(
                    "ErrorInvalidServerVersion",
                    "The specified server version is invalid.",
                    None,
                ));
            }
        }
        let impersonated = header.and_then(|header| child(header, "ExchangeImpersonation"));
        let user = match self.ews_mailbox(&caller, impersonated) {
            Ok(user) => user,
            Err(denied) => return Ok(fault(&denied.code, denied.text, None)),
        };
        let Some(operation) = child(envelope, "Body").and_then(|body| body.first_element_child()) else {
            return invalid("The request is empty.");
        };
        let name = operation.tag_name().name();
        let Some(mailbox) = self.mailboxes.get_mut(user) else {
            return Ok(fault("ErrorNonExistentMailbox", "There is no such mailbox.", None));
        };
        let mut ews = Ews { mailbox, quirks: &self.quirks, now_ms, scramble: self.scramble };
        let contents = match name {
            "GetFolder" => ews.get_folders(operation),
            "FindFolder" => vec![ews.find_folders(operation)],
            "SyncFolderItems" => vec![ews.sync_items(operation)],
            "FindItem" => vec![ews.find_items(operation)],
            "GetItem" => ews.get_items(operation),
            "CreateItem" => ews.create_items(operation, call),
            "UpdateItem" => ews.update_items(operation, call),
            "DeleteItem" => ews.delete_items(operation, call),
            _ => return invalid("The emulator serves calendars and their items only."),
        };
        Ok(response(name, |xml| contents.into_iter().for_each(|content| message(xml, name, content))))
    }

    fn ews_caller(&self, call: &Call, now_ms: i64) -> Result<Caller, Refusal> {
        if !self.asks_for_tokens() {
            return Ok(Caller::Service(Some(0)));
        }
        let refused = || Refusal::new(401, "Unauthorized", "");
        if let Some(header) = call.header("authorization") {
            let (user, password) = basic(&header).ok_or_else(refused)?;
            if password != EWS_PASSWORD {
                return Err(refused());
            }
            if user.eq_ignore_ascii_case(EWS_SERVICE_ACCOUNT) {
                return Ok(Caller::Service(None));
            }
            return self.ews_user(&user).map(Caller::User).ok_or_else(refused);
        }
        match self.authority.judge(call.bearer.as_deref(), now_ms) {
            Bearer::User(user) => Ok(Caller::User(user)),
            Bearer::Application => Ok(Caller::Service(None)),
            Bearer::Expired | Bearer::Unknown => Err(refused()),
        }
    }

    fn ews_user(&self, address: &str) -> Option<usize> {
        self.mailboxes.iter().position(|mailbox| mailbox.user.address.eq_ignore_ascii_case(address))
    }

    fn ews_mailbox(&self, caller: &Caller, impersonated: Option<Node<'_, '_>>) -> Result<usize, Denied> {
        let address = impersonated
            .and_then(|node| child(node, "ConnectingSID"))
            .and_then(|node| node.first_element_child())
            .map(text_of);
        let missing =
            || Denied::new("ErrorNonExistentMailbox", "The SMTP address has no mailbox associated with it.");
        match (address, caller) {
            (None, Caller::User(user) | Caller::Service(Some(user))) => Ok(*user),
            (None, Caller::Service(None)) => Err(missing()),
            (Some(address), Caller::Service(_)) => self.ews_user(&address).ok_or_else(missing),
            (Some(address), Caller::User(user)) if self.ews_user(&address) == Some(*user) => Ok(*user),
            (Some(_), Caller::User(_)) => Err(Denied::new(
                "ErrorImpersonateUserDenied",
                "The account does not have permission to impersonate the requested user.",
            )),
        }
    }

    /// The plain old form: where the mailbox of an address is.
    fn autodiscover(&self, call: &Call) -> Answer {
        let text = String::from_utf8_lossy(&call.body);
        let document = Document::parse(&text).ok();
        let address = document.as_ref().and_then(|document| {
            document.descendants().find(|node| node.tag_name().name() == "EMailAddress").map(text_of)
        });
        let mut xml = Xml::default();
        let space = [("xmlns", "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006")];
        xml.within("Autodiscover", &space, |xml| {
            let space = [(
                "xmlns",
                "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a",
            )];
            xml.within("Response", &space, |xml| {
                match address.filter(|address| self.ews_user(address).is_some()) {
                    None => xml.within("Error", &[("Time", "08:00:00.0000000"), ("Id", "1")], |xml| {
                        xml.text("ErrorCode", "500");
                        xml.text("Message", "The email address can't be found.");
                    }),
                    Some(address) => {
                        xml.within("User", &[], |xml| xml.text("AutoDiscoverSMTPAddress", &address));
                        xml.within("Account", &[], |xml| {
                            xml.text("AccountType", "email");
                            xml.text("Action", "settings");
                            for kind in ["EXCH", "EXPR"] {
                                xml.within("Protocol", &[], |xml| {
                                    xml.text("Type", kind);
                                    xml.text("EwsUrl", &format!("{}/EWS/Exchange.asmx", call.origin));
                                });
                            }
                        });
                    }
                }
            });
        });
        Answer::text(200, "text/xml; charset=utf-8", xml.finish())
    }
}

fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, pair) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = base64::engine::general_purpose::STANDARD.decode(pair.trim()).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    let (user, password) = pair.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}
