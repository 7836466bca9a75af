//! Presence and call forwarding: what is shown now and later, why, and the manual choice.

use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::api::{Error, ErrorKind, Look, Mirrors, resolve_time};
use crate::config::{Effective, Forwarding, parse_span};
use crate::flow::presence::{Inputs, acknowledge, observe, policy, roll};
use crate::mirror::{JOURNAL_LINES_MAX, JournalKind, JournalRow};
use crate::model::{DAY_MS, Key, Window};
use crate::presence::{
    self, Availability, Channel, Ending, Finding, Lasting, Layer, Level, Lines, Policy, Segment, Standing,
    TargetProblem, Value,
};
use crate::system::program_environment;
use crate::zones::Zone;

/// How far `preview` looks when nobody says.
const PREVIEW_MS: i64 = 7 * DAY_MS;
/// The longest range that is answered at once.
const RANGE_MS_MAX: i64 = 400 * DAY_MS;
/// The longest manual choice that names its end.
const CHOICE_MS_MAX: i64 = 366 * DAY_MS;
/// Lines of the journal when nobody says how many.
const JOURNAL_LINES: u32 = 200;
/// A call that nobody ended is shown for so long.
const CALL_MS_MAX: i64 = 12 * 3_600_000;
/// The longest target that somebody reports.
const TARGET_CHARS_MAX: usize = 128;

/// At which instant, in which zone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PresenceCall {
    /// As if it were then.
    pub at: Option<String>,
    /// The zone to read times in and to answer in.
    pub tz: Option<String>,
}

/// Which stretch of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TimelineCall {
    /// First instant; else the beginning of today, or now for a preview.
    pub from: Option<String>,
    /// First instant after; else the end of that day, or a week on for a preview.
    pub to: Option<String>,
    /// As if it were then, in which zone.
    pub place: PresenceCall,
}

/// A manual choice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChooseCall {
    /// The profile.
    pub profile: String,
    /// Until then.
    pub until: Option<String>,
    /// For so long.
    pub span: Option<String>,
    /// Until it is changed.
    pub is_until_changed: bool,
    /// As if it were then, in which zone.
    pub place: PresenceCall,
}

/// A report of the telephone: what is forwarded because somebody changed it there, or whether the user is on a call.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ObserveCall {
    /// Where calls go; `none`: nowhere. Not looked at in a report of a call.
    pub target: String,
    /// Whether the user is on a call, in a report of that.
    pub call: Option<bool>,
    /// As if it were then, in which zone.
    pub place: PresenceCall,
}

impl std::fmt::Debug for ObserveCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObserveCall").field("place", &self.place).finish_non_exhaustive()
    }
}

/// What became of a command that was handed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AckCall {
    /// The command's id.
    pub id: String,
    /// Whether it was carried out.
    pub is_applied: bool,
}

/// A stretch in which the same is shown and forwarded.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct SegmentAnswer {
    /// Its first instant.
    pub start: String,
    /// The first instant after.
    pub end: String,
    /// The profile.
    pub profile: String,
    /// What it shows.
    pub availability: Availability,
    /// The published text.
    pub status_text: Option<String>,
    /// Where calls go; null: the baseline.
    pub forwarding: Option<Forwarding>,
    /// Why the profile's own forwarding is not used; left out when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forwarding_skipped: Option<TargetProblem>,
    /// Who decides, as of its first instant.
    pub reason: ReasonAnswer,
}

/// Who decides a segment.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReasonAnswer {
    /// The layer.
    pub layer: Layer,
    /// The rule, for an appointment.
    pub rule: Option<String>,
    /// The appointment, unless it is private.
    pub event: Option<Key>,
    /// Whether it is a private appointment.
    pub private: bool,
}

/// The state at an instant.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct PresenceAnswer {
    /// The segment around it.
    #[serde(flatten)]
    pub segment: SegmentAnswer,
    /// When it changes; null when that is not in sight.
    pub next_change: Option<String>,
    /// Since when the user is on a call, as the host reports; null: on none. It is shown, and changes no forwarding.
    pub on_call_since: Option<String>,
    /// How old the mirror is.
    pub as_of: Option<String>,
    /// The commands under way, as on the wire.
    pub commands: Vec<Json>,
    /// The profiles that can be chosen by hand.
    pub profiles: Vec<String>,
}

/// Gap-free segments.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct TimelineAnswer {
    /// How old the mirror is.
    pub as_of: Option<String>,
    /// The zone of the times.
    pub time_zone: String,
    /// In order; they meet and do not overlap.
    pub segments: Vec<SegmentAnswer>,
    /// Of a preview: the commands that would be issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commands: Option<Vec<PreviewLine>>,
}

/// A command that would be issued.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct PreviewLine {
    /// When.
    pub at: String,
    /// On which channel.
    pub channel: Channel,
    /// The value.
    pub set: Json,
    /// Whether the baseline is put back.
    pub release: bool,
}

/// Why it is so.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct WhyAnswer {
    /// The instant.
    pub at: String,
    /// What holds.
    pub segment: SegmentAnswer,
    /// Until when; null when that is not in sight.
    pub until: Option<String>,
    /// What else was there and does not speak, strongest first.
    pub losers: Vec<LoserAnswer>,
    /// The layers that speak, from the top.
    pub layers: Vec<LayerAnswer>,
    /// How old the mirror is.
    pub as_of: Option<String>,
    /// The command under way, that of forwarding first.
    pub command: Option<CommandState>,
    /// What is known about the forwarding.
    pub forwarding_state: ForwardingState,
    /// Since when the user is on a call, as the host reports.
    pub on_call_since: Option<String>,
}

/// What is known about the forwarding at this moment, whatever instant was asked about.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
pub struct ForwardingState {
    /// What the last accepted command or the last report says; null: never heard of.
    pub in_force: Option<Json>,
    /// Whether this program switched it and owes the baseline.
    pub owned: bool,
    /// What is put back at the end, while owned; null: nothing was forwarded.
    pub baseline: Option<Json>,
    /// Whether somebody switched it elsewhere and is left alone until something else is wanted.
    pub yielded: bool,
    /// Whether a command got no answer, so that `in_force` is not believed.
    pub unclear: bool,
}

/// What does not speak, and why.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoserAnswer {
    /// The profile it would have.
    pub profile: Option<String>,
    /// The rule that decided it.
    pub rule: Option<String>,
    /// The event, unless it is private.
    pub event: Option<Key>,
    /// Whether it is private.
    pub private: bool,
    /// Why, in words.
    pub because: &'static str,
}

/// A layer that speaks.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayerAnswer {
    /// Which.
    pub layer: Layer,
    /// With which profile.
    pub profile: String,
    /// Whether it decides where calls go.
    pub forwarding: bool,
}

/// A command under way.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CommandState {
    /// On which channel.
    pub channel: Channel,
    /// `waiting`, `sending`, `handed` (to the host) or `stale` (the receiver knows a newer mirror).
    pub state: &'static str,
    /// How often it was sent.
    pub attempts: u32,
}

/// A line of the journal.
#[cfg_attr(feature = "local-api", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JournalLine {
    /// When.
    pub at: String,
    /// What.
    pub kind: JournalKind,
    /// On which channel.
    pub channel: Option<Channel>,
    /// More; nothing private.
    pub detail: Json,
}

/// One account's presence at an instant.
struct Stage<'l> {
    policy: Policy,
    inputs: Inputs,
    zone: &'l Zone,
    now_ms: i64,
}

impl Mirrors {
    /// What is shown and forwarded now, or as if it were `at`.
    ///
    /// # Errors
    /// `Usage` for an unreadable time or zone, `Mirror`.
    pub fn presence(&self, account: &Effective, call: &PresenceCall) -> Result<PresenceAnswer, Error> {
        self.stage(account, call, None, |stage| stage.now())
    }

    /// The segments of a range: today unless said otherwise.
    ///
    /// # Errors
    /// `Usage` for an unreadable or overlong range, `Mirror`.
    pub fn presence_timeline(
        &self,
        account: &Effective,
        call: &TimelineCall,
    ) -> Result<TimelineAnswer, Error> {
        self.stage(account, &call.place, Some((call, false)), |stage| {
            let range = stage.range(call, false)?;
            let timeline = stage.scene().timeline(range);
            Ok(stage.timeline(timeline.as_of_ms, &timeline.segments()))
        })
    }

    /// The same with the commands of a program that always runs: of the coming week unless said otherwise. Acts not.
    ///
    /// # Errors
    /// As [`Mirrors::presence_timeline`].
    pub fn presence_preview(
        &self,
        account: &Effective,
        call: &TimelineCall,
    ) -> Result<TimelineAnswer, Error> {
        self.stage(account, &call.place, Some((call, true)), |stage| {
            let range = stage.range(call, true)?;
            let scene = stage.scene();
            let timeline = scene.timeline(range);
            let state = stage.inputs.channel(Channel::Forwarding);
            let in_force = match &state.owned {
                Some(owned) => owned.baseline.as_ref(),
                None => state.in_force.as_ref(),
            };
            let commands = presence::preview(&scene, &timeline, range, in_force);
            let line = |preview: presence::PreviewCommand| PreviewLine {
                at: stage.zone.rfc3339(preview.at_ms),
                channel: preview.command.channel,
                set: preview.command.set_wire(),
                release: preview.command.is_release,
            };
            let answer = stage.timeline(timeline.as_of_ms, &timeline.segments());
            Ok(TimelineAnswer { commands: Some(commands.into_iter().map(line).collect()), ..answer })
        })
    }

    /// Why it is so, now or as if it were `at`.
    ///
    /// # Errors
    /// As [`Mirrors::presence`].
    pub fn presence_why(&self, account: &Effective, call: &PresenceCall) -> Result<WhyAnswer, Error> {
        self.stage(account, call, None, |stage| stage.why())
    }

    /// What is wrong or looks wrong with the policy, its actuators and the manual choice in force.
    ///
    /// # Errors
    /// `Mirror`.
    pub fn presence_check(&self, account: &Effective) -> Result<Vec<Finding>, Error> {
        let mut found = presence::check(&account.presence, &Lines::of(&account.presence));
        let commands = account.presence.actuators.iter().flatten();
        for program in commands.filter_map(|actuator| actuator.program.first()) {
            if !is_program(program) {
                found.push(Finding {
                    level: Level::Error,
                    key: "presence.actuator.program".to_owned(),
                    message: format!(
                        "there is no program \"{program}\": commands to it fail and are tried again"
                    ),
                });
            }
        }
        let chosen = self.with_look(account, None, |look| match look.mirror {
            Some(reader) => Ok(reader.presence()?.chosen),
            None => Ok(None),
        })?;
        let policy = self.policy(account);
        if let Some(chosen) = chosen.filter(|chosen| !policy.has_profile(&chosen.profile)) {
            let message = format!(
                "names the profile \"{}\" that is not configured any more and has no effect; `calmirror presence clear` removes it",
                chosen.profile
            );
            found.push(Finding { level: Level::Warning, key: "presence.override".to_owned(), message });
        }
        Ok(found)
    }

    /// The newest lines of the journal, oldest first.
    ///
    /// # Errors
    /// `Usage` for an unknown zone, `Mirror`.
    pub fn presence_journal(
        &self,
        account: &Effective,
        limit: Option<u32>,
        tz: Option<&str>,
    ) -> Result<Vec<JournalLine>, Error> {
        let limit = usize::try_from(limit.unwrap_or(JOURNAL_LINES)).unwrap_or(JOURNAL_LINES_MAX);
        self.with_look(account, tz, |look| {
            let Some(reader) = look.mirror else { return Ok(Vec::new()) };
            let rows = reader.presence_journal(limit)?;
            let line = |row: JournalRow| JournalLine {
                at: look.text(row.at_ms),
                kind: row.kind,
                channel: row.channel,
                detail: row.detail,
            };
            Ok(rows.into_iter().map(line).collect())
        })
    }

    /// Chooses a profile by hand; takes effect at the next evaluation.
    ///
    /// # Errors
    /// `Usage` for an unreadable time, `Refused` for an unknown profile or an end that is past, `Mirror`.
    pub fn choose(&self, account: &Effective, call: &ChooseCall) -> Result<PresenceAnswer, Error> {
        let chosen = self.stage(account, &call.place, None, |stage| {
            let lasting = stage.lasting(call)?;
            stage.scene().choose(&call.profile, lasting).map_err(|_| {
                let names: Vec<&str> = stage.policy.profile_names().collect();
                let names = if names.is_empty() { "none is configured".to_owned() } else { names.join(", ") };
                Error::broken(
                    "unknown_profile",
                    format!("there is no such presence profile; there are: {names}"),
                )
            })
        })?;
        let until_ms = match &chosen.ending {
            Ending::At { until_ms } => Some(*until_ms),
            Ending::NextClaim { midnight_ms } => Some(*midnight_ms),
            Ending::Claims { .. } | Ending::UntilChanged => None,
        };
        let dismissed = match &chosen.ending {
            Ending::Claims { dismissed } => dismissed.len(),
            Ending::NextClaim { .. } | Ending::At { .. } | Ending::UntilChanged => 0,
        };
        let zone = self.zone(account);
        let detail = json!({
            "act": "set",
            "profile": chosen.profile,
            "until": until_ms.map(|ms| zone.rfc3339(ms)),
            "dismissed": dismissed,
        });
        let now_ms = chosen.set_at_ms;
        let mut editor = self.editor(account)?;
        let session = editor.begin(now_ms)?;
        session.put_override(Some(&chosen))?;
        session.put_journal(&JournalRow {
            at_ms: now_ms,
            kind: JournalKind::Override,
            channel: None,
            detail,
        })?;
        session.commit()?;
        self.presence(account, &call.place)
    }

    /// Takes the manual choice back, with all that it dismissed.
    ///
    /// # Errors
    /// As [`Mirrors::choose`].
    pub fn clear_choice(&self, account: &Effective, call: &PresenceCall) -> Result<PresenceAnswer, Error> {
        let now_ms = self.stage(account, call, None, |stage| Ok(stage.now_ms))?;
        let mut editor = self.editor(account)?;
        let session = editor.begin(now_ms)?;
        if session.presence()?.chosen.is_some() {
            session.put_override(None)?;
            let detail = json!({ "act": "clear" });
            session.put_journal(&JournalRow {
                at_ms: now_ms,
                kind: JournalKind::Override,
                channel: None,
                detail,
            })?;
            session.commit()?;
        }
        self.presence(account, call)
    }

    /// Notes what is forwarded, because somebody changed it at the telephone; or whether the user is on a call.
    ///
    /// # Errors
    /// `Refused` for a target that is none, `Mirror`.
    pub fn observe(&self, account: &Effective, call: &ObserveCall) -> Result<PresenceAnswer, Error> {
        if let Some(is_on_call) = call.call {
            let now_ms = self.stage(account, &call.place, None, |stage| Ok(stage.now_ms))?;
            let mut editor = self.editor(account)?;
            let session = editor.begin(now_ms)?;
            let since_ms = on_call(session.presence()?.call_since_ms, now_ms).unwrap_or(now_ms);
            session.put_call(is_on_call.then_some(since_ms))?;
            session.commit()?;
            return self.presence(account, &call.place);
        }
        let target = call.target.trim();
        let is_plain = !target.is_empty()
            && target.chars().count() <= TARGET_CHARS_MAX
            && !target.chars().any(char::is_control);
        if !is_plain {
            return Err(Error::broken(
                "bad_target",
                "a forwarding target is a number, `voicemail` or `none`",
            ));
        }
        let (wanted, now_ms) = self.stage(account, &call.place, None, |stage| {
            let range = instant(stage.now_ms);
            Ok((stage.scene().timeline(range).wanted(Channel::Forwarding, stage.now_ms), stage.now_ms))
        })?;
        let name = mailbox_name(account);
        let mut editor = self.editor(account)?;
        let session = editor.begin(now_ms)?;
        observe(&session, name, &Value::forwarded_to(target), &wanted, now_ms)?;
        session.commit()?;
        self.presence(account, &call.place)
    }

    /// Notes the receiver's answer to a command that was handed over.
    ///
    /// # Errors
    /// `NotFound` when no such command is under way, `Mirror`.
    pub fn acknowledge(&self, account: &Effective, call: &AckCall) -> Result<PresenceAnswer, Error> {
        let mut editor = self.editor(account)?;
        let (name, roll) = (mailbox_name(account), roll(self.entropy.as_ref()));
        if !acknowledge(&mut editor, name, &call.id, call.is_applied, roll, self.now_ms())? {
            let text = "no such command is under way: it was answered or replaced meanwhile";
            return Err(Error::new(ErrorKind::NotFound, text));
        }
        self.presence(account, &PresenceCall::default())
    }

    /// The instant that a call means.
    ///
    /// # Errors
    /// `Usage` for an unreadable time or zone, `Mirror`.
    pub fn presence_instant(&self, account: &Effective, call: &PresenceCall) -> Result<i64, Error> {
        self.with_look(account, call.tz.as_deref(), |look| match &call.at {
            Some(text) => resolve_time(look.zone, text),
            None => Ok(look.now_ms),
        })
    }

    /// The policy of an account and its zone.
    pub(crate) fn policy(&self, account: &Effective) -> Policy {
        policy(&account.presence, &self.zone(account))
    }

    fn stage<T>(
        &self,
        account: &Effective,
        call: &PresenceCall,
        range: Option<(&TimelineCall, bool)>,
        ask: impl FnOnce(&Stage<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let policy = self.policy(account);
        self.with_look(account, call.tz.as_deref(), |look| {
            let now_ms = match &call.at {
                Some(text) => resolve_time(look.zone, text)?,
                None => look.now_ms,
            };
            let mut stage = Stage { policy, inputs: Inputs::none(), zone: look.zone, now_ms };
            let range = match range {
                Some((call, is_preview)) => stage.range(call, is_preview)?,
                None => instant(now_ms),
            };
            // What a manual choice and the state at `now` depend on lies around now.
            let range = Window { from_ms: range.from_ms.min(now_ms), to_ms: range.to_ms.max(now_ms) };
            stage.inputs = read(look, account, range)?;
            stage.policy = stage.inputs.completed(&stage.policy).into_owned();
            ask(&stage)
        })
    }
}

/// Since when the user is on a call; a report that was never taken back is not believed for ever.
fn on_call(since_ms: Option<i64>, now_ms: i64) -> Option<i64> {
    since_ms.filter(|since_ms| (0..CALL_MS_MAX).contains(&now_ms.saturating_sub(*since_ms)))
}

/// Whether there is such a file, in `PATH` when it has no slash.
fn is_program(program: &str) -> bool {
    if program.contains(std::path::is_separator) {
        return std::path::Path::new(program).is_file();
    }
    program_environment().into_iter().filter(|(name, _)| name == "PATH").any(|(_, path)| {
        std::env::split_paths(&path).any(|folder| {
            let file = folder.join(program);
            file.is_file() || file.with_extension("exe").is_file()
        })
    })
}

/// What keeps mailboxes apart in the names of commands: devices of one user agree on it.
pub(crate) fn mailbox_name(account: &Effective) -> &str {
    account.user.as_deref().unwrap_or(&account.name)
}

fn read(look: &Look<'_>, account: &Effective, range: Window) -> Result<Inputs, Error> {
    match look.mirror {
        Some(reader) => Ok(Inputs::read(reader, account.user.as_deref(), range)?),
        None => Ok(Inputs::none()),
    }
}

fn instant(ms: i64) -> Window {
    Window { from_ms: ms, to_ms: ms.saturating_add(1) }
}

impl Stage<'_> {
    fn scene(&self) -> presence::Scene<'_> {
        self.inputs.scene(&self.policy, self.now_ms)
    }

    fn now(&self) -> Result<PresenceAnswer, Error> {
        let Standing { segment, next_change_ms, as_of_ms } = self.scene().standing().ok_or_else(nothing)?;
        let pending = self.inputs.channels.iter().filter_map(|row| row.state.pending.as_ref());
        Ok(PresenceAnswer {
            segment: self.segment(&segment),
            next_change: next_change_ms.map(|ms| self.zone.rfc3339(ms)),
            on_call_since: self.on_call(),
            as_of: as_of_ms.map(|ms| self.zone.rfc3339(ms)),
            commands: pending.map(|pending| pending.command.wire(self.zone)).collect(),
            profiles: self.policy.profile_names().map(str::to_owned).collect(),
        })
    }

    fn why(&self) -> Result<WhyAnswer, Error> {
        let why = self.scene().why().ok_or_else(nothing)?;
        let text = |text: &std::sync::Arc<str>| text.to_string();
        let losers = why.losers.iter().map(|loser| LoserAnswer {
            profile: loser.profile.as_ref().map(text),
            rule: loser.rule.as_ref().map(text),
            event: loser.event,
            private: loser.is_private,
            because: loser.because.text(),
        });
        let layers = why.layers.iter().map(|voiced| LayerAnswer {
            layer: voiced.layer,
            profile: text(&voiced.profile),
            forwarding: voiced.decides_forwarding,
        });
        Ok(WhyAnswer {
            at: self.zone.rfc3339(why.at_ms),
            segment: self.segment(&why.segment),
            until: why.until_ms.map(|ms| self.zone.rfc3339(ms)),
            losers: losers.collect(),
            layers: layers.collect(),
            as_of: why.as_of_ms.map(|ms| self.zone.rfc3339(ms)),
            command: self.command(),
            forwarding_state: self.forwarding_state(),
            on_call_since: self.on_call(),
        })
    }

    fn on_call(&self) -> Option<String> {
        on_call(self.inputs.row.call_since_ms, self.now_ms).map(|ms| self.zone.rfc3339(ms))
    }

    fn forwarding_state(&self) -> ForwardingState {
        let state = self.inputs.channel(Channel::Forwarding);
        ForwardingState {
            in_force: state.in_force.as_ref().map(Value::wire),
            owned: state.owned.is_some(),
            baseline: state.owned.and_then(|owned| owned.baseline).map(|value| value.wire()),
            yielded: state.yielded.is_some(),
            unclear: state.is_unclear,
        }
    }

    fn command(&self) -> Option<CommandState> {
        let under_way = |channel| {
            let row = self.inputs.channels.iter().find(|row| row.state.channel == channel)?;
            let pending = row.state.pending.as_ref()?;
            let state = match (row.is_handed, pending.is_stale, pending.is_in_flight) {
                (true, _, _) => "handed",
                (false, true, _) => "stale",
                (false, false, true) => "sending",
                (false, false, false) => "waiting",
            };
            Some(CommandState { channel, state, attempts: pending.attempts })
        };
        [Channel::Forwarding, Channel::Presence, Channel::Text].into_iter().find_map(under_way)
    }

    fn timeline(&self, as_of_ms: Option<i64>, segments: &[Segment]) -> TimelineAnswer {
        TimelineAnswer {
            as_of: as_of_ms.map(|ms| self.zone.rfc3339(ms)),
            time_zone: self.zone.name().to_owned(),
            segments: segments.iter().map(|segment| self.segment(segment)).collect(),
            commands: None,
        }
    }

    fn segment(&self, segment: &Segment) -> SegmentAnswer {
        SegmentAnswer {
            start: self.zone.rfc3339(segment.start_ms),
            end: self.zone.rfc3339(segment.end_ms),
            profile: segment.profile.to_string(),
            availability: segment.availability,
            status_text: segment.status_text.as_deref().map(ToOwned::to_owned),
            forwarding: segment.forwarding.clone(),
            forwarding_skipped: segment.skipped,
            reason: ReasonAnswer {
                layer: segment.reason.layer,
                rule: segment.reason.rule.as_deref().map(ToOwned::to_owned),
                event: segment.reason.event,
                private: segment.reason.is_private,
            },
        }
    }

    fn range(&self, call: &TimelineCall, is_preview: bool) -> Result<Window, Error> {
        let read =
            |text: &Option<String>| text.as_deref().map(|text| resolve_time(self.zone, text)).transpose();
        let today = self.zone.day(self.zone.date(self.now_ms));
        let from_ms = read(&call.from)?.unwrap_or(if is_preview { self.now_ms } else { today.from_ms });
        let end_ms = |from_ms| {
            if is_preview { from_ms + PREVIEW_MS } else { self.zone.day(self.zone.date(from_ms)).to_ms }
        };
        let to_ms = read(&call.to)?.unwrap_or_else(|| end_ms(from_ms));
        if to_ms <= from_ms {
            return Err(Error::new(ErrorKind::Usage, "the range ends before it begins"));
        }
        if to_ms.saturating_sub(from_ms) > RANGE_MS_MAX {
            let days = RANGE_MS_MAX / DAY_MS;
            return Err(Error::new(ErrorKind::Usage, format!("the range is longer than {days} days")));
        }
        Ok(Window { from_ms, to_ms })
    }

    fn lasting(&self, call: &ChooseCall) -> Result<Lasting, Error> {
        let until_ms = match (&call.until, &call.span, call.is_until_changed) {
            (None, None, false) => return Ok(Lasting::Unsaid),
            (None, None, true) => return Ok(Lasting::UntilChanged),
            (Some(text), None, false) => resolve_time(self.zone, text)?,
            (None, Some(text), false) => {
                let span = parse_span(text)
                    .map_err(|error| Error::new(ErrorKind::Usage, format!("`for` {error}")))?;
                let ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
                self.now_ms.saturating_add(ms)
            }
            (Some(_), Some(_), _) | (Some(_), None, true) | (None, Some(_), true) => {
                let text = "say one of `until`, `for` and `until_changed`";
                return Err(Error::new(ErrorKind::Usage, text));
            }
        };
        if until_ms <= self.now_ms || until_ms.saturating_sub(self.now_ms) > CHOICE_MS_MAX {
            let text = "the end of a manual choice lies ahead, and no more than a year";
            return Err(Error::broken("bad_end", text));
        }
        Ok(Lasting::Until(until_ms))
    }
}

fn nothing() -> Error {
    Error::new(ErrorKind::Failed, "internal error: an instant without a segment")
}
