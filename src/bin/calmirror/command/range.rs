use calmirror::api::RangeCall;
use clap::Args;

/// From when, until when, where.
#[derive(Debug, Clone, Default, Args)]
pub struct Range {
    /// First instant: RFC 3339, or a date or wall time in --tz
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// First instant after
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub to: Option<String>,
    #[command(flatten)]
    pub place: Place,
}

/// In which zone, of which calendars.
#[derive(Debug, Clone, Default, Args)]
pub struct Place {
    /// Read and show times in this zone
    #[arg(long, value_name = "ZONE", allow_hyphen_values = true)]
    pub tz: Option<String>,
    /// Only this calendar, by id or name; may be repeated
    #[arg(long = "calendar", value_name = "ID", allow_hyphen_values = true)]
    pub calendars: Vec<String>,
}

impl From<Range> for RangeCall {
    fn from(range: Range) -> RangeCall {
        RangeCall { from: range.from, to: range.to, tz: range.place.tz, calendars: range.place.calendars }
    }
}
