//! How a sync is asked for and told of, in texts: the same at every door.

use serde::{Deserialize, Serialize};

use crate::api::{Error, ErrorKind, Mirrors, SyncDone};
use crate::engine::{Accept, SyncOrder, SyncReport, Weather};
use crate::zones::Zone;

/// What a caller may say who asks for a sync.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncCall {
    /// Which account; may be left out when there is one.
    pub account: Option<String>,
    /// Compare everything.
    pub is_full: bool,
    /// Carry out held removals.
    pub accepts_removals: bool,
    /// Only those of this calendar.
    pub calendar: Option<String>,
}

/// How a sync ended, as every door tells it: the answer to `POST /v1/sync`, the last line of `sync --json`.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncAnswer {
    /// The numbers.
    #[serde(flatten)]
    pub done: SyncDone,
    /// Why it is not complete; null when it is.
    pub weather: Option<WeatherAnswer>,
}

/// Why a sync is not complete.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeatherAnswer {
    /// `sign_in_needed`, `application_refused`, `throttled`, or the kind of the fault.
    pub kind: String,
    /// When the server may be asked again, if it said so.
    pub until: Option<String>,
    /// Who must do what, where somebody must.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl SyncAnswer {
    /// The answer that tells of `report`, its times in `zone`.
    pub fn new(report: SyncReport, zone: &Zone) -> SyncAnswer {
        let answer = |kind: &str, until: Option<String>, message: Option<String>| WeatherAnswer {
            kind: kind.to_owned(),
            until,
            message,
        };
        let weather = report.weather.map(|weather| match weather {
            Weather::SignInNeeded => answer("sign_in_needed", None, None),
            Weather::ApplicationRefused { message } => answer("application_refused", None, Some(message)),
            Weather::Unreachable(kind) => answer(kind, None, None),
            Weather::Throttled { until_ms } => answer("throttled", Some(zone.rfc3339(until_ms)), None),
        });
        SyncAnswer { done: report.done, weather }
    }

    /// The exit code of a `sync` that ended like this.
    pub fn exit_code(&self) -> u8 {
        match &self.weather {
            Some(weather) if matches!(weather.kind.as_str(), "sign_in_needed" | "application_refused") => {
                ErrorKind::SignIn.exit_code()
            }
            Some(_) => ErrorKind::Unreachable.exit_code(),
            None if self.done.failed > 0 => ErrorKind::Unreachable.exit_code(),
            None => 0,
        }
    }
}

impl SyncCall {
    /// As a query string.
    pub fn to_query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if let Some(account) = &self.account {
            query.append_pair("account", account);
        }
        if self.is_full {
            query.append_pair("full", "true");
        }
        if self.accepts_removals {
            query.append_pair("accept_removals", "true");
        }
        if let Some(calendar) = &self.calendar {
            query.append_pair("calendar", calendar);
        }
        query.finish()
    }

    /// Reads it from names and values, as a query string has them.
    ///
    /// # Errors
    /// `Usage` for an unknown or unreadable parameter.
    pub fn read(values: Vec<(String, String)>) -> Result<SyncCall, Error> {
        let mut call = SyncCall::default();
        for (name, value) in values {
            let flag = || match value.as_str() {
                "true" | "1" | "" => Ok(true),
                "false" | "0" => Ok(false),
                _ => Err(Error::new(ErrorKind::Usage, format!("`{name}` must be true or false"))),
            };
            match name.as_str() {
                "account" => call.account = Some(value),
                "full" => call.is_full = flag()?,
                "accept_removals" => call.accepts_removals = flag()?,
                "calendar" => call.calendar = Some(value),
                _ => return Err(Error::new(ErrorKind::Usage, "a parameter is not known here")),
            }
        }
        Ok(call)
    }

    /// The account meant and the order to the engine.
    ///
    /// # Errors
    /// `Usage` and `NotFound` for an unknown account or calendar.
    pub fn order(&self, mirrors: &Mirrors) -> Result<(String, SyncOrder), Error> {
        let account = mirrors.account(self.account.as_deref())?;
        let accept_removals = match (self.accepts_removals, &self.calendar) {
            (false, None) => Accept::None,
            (false, Some(_)) => {
                return Err(Error::new(ErrorKind::Usage, "a calendar is named with accepting removals only"));
            }
            (true, None) => Accept::All,
            (true, Some(text)) => Accept::Calendar(mirrors.calendar(&account, text)?),
        };
        Ok((account.name, SyncOrder { is_full: self.is_full, accept_removals }))
    }
}
