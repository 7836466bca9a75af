//! A bar on a terminal's stderr while a sync runs.

use std::time::Duration;

use calmirror::flow::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;
use crate::text::{grouped, plural, rough_span};

const TICK: Duration = Duration::from_millis(100);

/// The bar; invisible where none belongs.
pub struct Bar {
    bar: ProgressBar,
    calendars: u64,
    place: u64,
    rows: u64,
}

impl Bar {
    pub fn new(output: &Output) -> Bar {
        let target = if output.is_progress_shown() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(1), target);
        let template = if output.is_colored() {
            "    {spinner:.cyan} {bar:24.cyan/dim} {pos}/{len} {wide_msg:.dim}"
        } else {
            "    {spinner} {bar:24} {pos}/{len} {wide_msg}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━━─"));
        }
        if output.is_progress_shown() {
            bar.enable_steady_tick(TICK);
        }
        Bar { bar, calendars: 0, place: 0, rows: 0 }
    }

    pub fn show(&mut self, progress: &Progress) {
        match progress {
            Progress::Pushed { edits } => self.bar.set_message(format!("sent {}", plural(*edits, "edit"))),
            Progress::Calendars { count } => {
                self.calendars = *count;
                self.bar.set_length(*count);
                self.bar.set_position(0);
                self.bar.set_message(plural(*count, "calendar"));
            }
            Progress::Round { place, is_full, .. } => {
                self.place = *place;
                self.bar.set_position(place.saturating_sub(1));
                let what = if *is_full { "comparing everything" } else { "reading changes" };
                self.bar.set_message(format!("{what} · {} events", grouped(self.rows)));
            }
            Progress::Page { rows_total, .. } => {
                self.rows = *rows_total;
                self.bar.set_message(format!("{} events", grouped(*rows_total)));
            }
            Progress::Waiting { duration, kind } => {
                let wait = rough_span(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX).max(1));
                self.bar.set_message(format!("{}: trying again in {wait}", kind.replace('_', " ")));
            }
            Progress::Complete { .. } | Progress::Failed { .. } => self.bar.set_position(self.place),
        }
    }

    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
