//! The `Prefer` header.

use jiff::tz::TimeZone;

use super::ident::Form;
use super::wire::{Call, Refusal};
use super::zone;

const PAGE_ROWS_DEFAULT: usize = 10;
const PAGE_ROWS_MAX: usize = 999;

/// What a request prefers.
pub(crate) struct Preferences {
    pub page_rows: usize,
    pub zone: TimeZone,
    pub zone_label: String,
    pub as_text: bool,
    pub form: Form,
    pub is_minimal: bool,
    /// For `Preference-Applied`.
    pub applied: Vec<String>,
}

impl Preferences {
    pub fn of(call: &Call) -> Result<Preferences, Refusal> {
        Preferences::read(&call.header("prefer").unwrap_or_default())
    }

    pub fn read(header: &str) -> Result<Preferences, Refusal> {
        let mut this = Preferences {
            page_rows: PAGE_ROWS_DEFAULT,
            zone: TimeZone::UTC,
            zone_label: "UTC".into(),
            as_text: false,
            form: Form::Plain,
            is_minimal: false,
            applied: Vec::new(),
        };
        for preference in header.split([',', ';']).map(str::trim).filter(|p| !p.is_empty()) {
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            this.take(name.trim(), value.trim().trim_matches('"'))?;
        }
        Ok(this)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        match name.to_ascii_lowercase().as_str() {
            "odata.maxpagesize" => {
                if let Ok(rows) = value.parse::<usize>() {
                    self.page_rows = rows.clamp(1, PAGE_ROWS_MAX);
                    self.applied.push(format!("odata.maxpagesize={rows}"));
                }
            }
            "outlook.timezone" => {
                self.zone = zone::resolve(value).ok_or_else(|| {
                    Refusal::new(
                        400,
                        "TimeZoneNotSupportedException",
                        "A valid TimeZone value must be specified.",
                    )
                })?;
                self.zone_label = value.to_owned();
                self.applied.push(format!("outlook.timezone=\"{value}\""));
            }
            "outlook.body-content-type" => {
                self.as_text = value.eq_ignore_ascii_case("text");
                self.applied.push(format!("outlook.body-content-type=\"{value}\""));
            }
            "idtype" if value.eq_ignore_ascii_case("ImmutableId") => {
                self.form = Form::Immutable;
                self.applied.push("IdType=\"ImmutableId\"".into());
            }
            "return" => self.is_minimal = value.eq_ignore_ascii_case("minimal"),
            // Unknown preferences are ignored, as HTTP asks.
            _ => {}
        }
        Ok(())
    }
}
