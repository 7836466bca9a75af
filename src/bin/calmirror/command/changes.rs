use std::time::Duration;

use calmirror::api::{ChangeLine, ChangesCall};
use clap::Args;

use crate::args::Globals;
use crate::engine::Stop;
use crate::output::{Output, Tone};
use crate::setup::{Failure, Setup};

/// How often `--follow` looks. The feed lies in the mirror, so that no engine of this process is needed.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Print the change feed: which events are new, differ or left
#[derive(Debug, Args)]
pub struct Changes {
    /// Only what came after this number; 0 prints all that is kept
    #[arg(long, value_name = "SEQ", default_value_t = 0, allow_negative_numbers = true)]
    since: i64,
    /// Keep printing as changes arrive, until stopped
    #[arg(long)]
    follow: bool,
}

impl Changes {
    pub fn run(self, globals: &Globals, output: &mut Output) -> Result<u8, Failure> {
        let setup = Setup::load(globals)?;
        let account = setup.account()?;
        let mut since = self.since;
        let stop = if self.follow { Some(Stop::listen(|| {})?) } else { None };
        loop {
            let lines = setup.mirrors.changes(&account, ChangesCall { since, limit: None })?;
            for line in &lines {
                print_line(output, line)?;
                since = since.max(line.seq);
            }
            if !lines.is_empty() {
                continue;
            }
            output.flush()?;
            if stop.as_ref().is_none_or(|stop| stop.wait(LOOK_EVERY)) {
                return Ok(0);
            }
        }
    }
}

fn print_line(output: &mut Output, line: &ChangeLine) -> Result<(), Failure> {
    if output.is_json() {
        return output.json_line(line);
    }
    let what = match line.what {
        "remove" => output.tone("remove", Tone::Bad),
        other => output.tone(format!("{other:<6}"), Tone::Good),
    };
    let at = output.tone(&line.at, Tone::Faint);
    output.line(format!("{:>8}  {what}  {}  {at}", line.seq, line.event))
}
