//! Delta rounds: what a page holds and where the next one begins.
//!
//! A round reads the calendar's items in order (singles, then series) and ends with a link that reads the log
//! from where it stood when the round began. A page costs what it returns, whatever the mailbox holds.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use super::ident::{self, Target, mix, unit};
use super::mailbox::{Entry, Event, Mailbox, RowKind};
use super::quirks::Quirks;
use super::wire::Refusal;
use super::zone;

/// Links of one line that still work: the last ones handed out.
const LINKS_PER_LINE: usize = 6;
/// Forgotten links whose window is still known.
const FORGOTTEN_MAX: usize = 512;

/// What a line of links reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    View,
    Events,
}

/// Where a round stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Reading all items after `after`; `skip` rows of the next one were sent already.
    Initial { after: Option<(bool, u64)>, skip: usize, base: u64 },
    /// Reading changes after `since` up to `until`.
    Changes { since: u64, at: u64, until: u64 },
    /// A delta link: the next round begins here.
    Resting { since: u64 },
}

/// What a link stands for.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub calendar: u64,
    pub kind: Kind,
    pub from_ms: i64,
    pub to_ms: i64,
    line: u64,
    phase: Phase,
    pub page: u32,
}

/// The bounded memory of links.
#[derive(Clone, Default)]
pub(crate) struct Lines {
    generation: u64,
    /// Windows of forgotten links, so that a lost one can be told where to begin again.
    forgotten: VecDeque<(u64, i64, i64)>,
    lines: BTreeMap<u64, Line>,
    states: BTreeMap<u64, State>,
}

#[derive(Clone, Default)]
struct Line {
    used: u64,
    recent: VecDeque<u64>,
}

/// One row of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Row {
    Put(u64, RowKind),
    Removed(Target, u16),
}

/// A page and the link after it.
pub(crate) struct Page {
    pub rows: Vec<Row>,
    /// The token of the next page or of the next round.
    pub token: String,
    pub is_last: bool,
}

impl Lines {
    /// Begins a round.
    pub fn begin(&mut self, calendar: u64, kind: Kind, from_ms: i64, to_ms: i64, base: u64) -> State {
        self.generation += 1;
        let line = self.generation;
        self.lines.insert(line, Line { used: line, recent: VecDeque::new() });
        State {
            calendar,
            kind,
            from_ms,
            to_ms,
            line,
            phase: Phase::Initial { after: None, skip: 0, base },
            page: 0,
        }
    }

    fn keep(&mut self, state: State, lines_max: usize, scramble: u64) -> String {
        self.generation += 1;
        let generation = self.generation;
        let line = self.lines.entry(state.line).or_default();
        line.used = generation;
        line.recent.push_back(generation);
        if line.recent.len() > LINKS_PER_LINE
            && let Some(old) = line.recent.pop_front()
        {
            self.states.remove(&old);
        }
        self.states.insert(generation, state);
        while self.lines.len() > lines_max.max(1) {
            let Some(oldest) = self.lines.iter().min_by_key(|(_, l)| l.used).map(|(n, _)| *n) else { break };
            self.forget(oldest);
        }
        token(generation, scramble)
    }

    fn forget(&mut self, line: u64) {
        for generation in self.lines.remove(&line).into_iter().flat_map(|l| l.recent) {
            if let Some(state) = self.states.remove(&generation) {
                self.forgotten.push_back((generation, state.from_ms, state.to_ms));
            }
        }
        while self.forgotten.len() > FORGOTTEN_MAX {
            self.forgotten.pop_front();
        }
    }

    /// Forgets every link.
    pub fn evict(&mut self) -> usize {
        let lines: Vec<u64> = self.lines.keys().copied().collect();
        for line in &lines {
            self.forget(*line);
        }
        lines.len()
    }

    /// The window a link of ours had, whether it still works or not.
    fn window(&self, text: &str, scramble: u64) -> Option<(i64, i64)> {
        let generation = generation_of(text, scramble)?;
        let alive = self.states.get(&generation).map(|s| (s.from_ms, s.to_ms));
        alive.or_else(|| self.forgotten.iter().find(|f| f.0 == generation).map(|f| (f.1, f.2)))
    }

    /// Whether the text is one of ours.
    pub fn knows(&self, text: &str, scramble: u64) -> bool {
        generation_of(text, scramble).is_some()
    }

    /// The state behind a token, and whether the text is one of ours at all.
    pub fn find(&mut self, text: &str, scramble: u64) -> Result<State, bool> {
        let generation = generation_of(text, scramble).ok_or(false)?;
        let state = self.states.get(&generation).cloned().ok_or(true)?;
        self.generation += 1;
        if let Some(line) = self.lines.get_mut(&state.line) {
            line.used = self.generation;
        }
        Ok(state)
    }

    /// Another token for the place a token stands for.
    pub fn again(&mut self, text: &str, lines_max: usize, scramble: u64) -> Option<String> {
        let state = self.find(text, scramble).ok()?;
        Some(self.keep(state, lines_max, scramble))
    }

    /// How a lost token is answered.
    pub fn lost(&self, token: &str, variants: bool, path: &str, scramble: u64) -> Refusal {
        let newest = self.generation;
        let generation = token.bytes().fold(7, |sum, b| mix(sum, u64::from(b)));
        let sync_state = || {
            Refusal::new(
                410,
                "SyncStateNotFound",
                format!(
                    "The sync state generation is not found; generation={};[highest={newest}][known=…].",
                    newest.saturating_sub(8)
                ),
            )
        };
        if !variants {
            return sync_state();
        }
        match generation % 6 {
            0 => {
                let text = "Resync required. Replace any local items with the server's version.";
                let refusal = Refusal::new(410, "resyncRequired", text);
                match self.window(token, scramble) {
                    Some((from_ms, to_ms)) => {
                        let (from, to) = (zone::whole_seconds(from_ms), zone::whole_seconds(to_ms));
                        refusal.with("location", format!("{path}?startDateTime={from}&endDateTime={to}"))
                    }
                    None => refusal,
                }
            }
            1 => Refusal::new(410, "SyncStateInvalid", "The sync state is invalid."),
            2 => Refusal::new(400, "InvalidDeltaToken", "The delta token is invalid."),
            3 => Refusal::new(
                400,
                "ErrorInvalidRequest",
                "Parameter 'DeltaToken' not supported for this request.",
            ),
            _ => sync_state(),
        }
    }
}

fn token(generation: u64, scramble: u64) -> String {
    let mut bytes = Vec::with_capacity(96);
    bytes.extend_from_slice(&(generation ^ mix(scramble, 3)).to_be_bytes());
    for n in 0..11 {
        bytes.extend_from_slice(&mix(mix(scramble, generation), n).to_be_bytes());
    }
    format!("R0usmc{}", ident::url_safe(&bytes))
}

fn generation_of(text: &str, scramble: u64) -> Option<u64> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text.strip_prefix("R0usmc")?).ok()?;
    let generation = u64::from_be_bytes(bytes.get(..8)?.try_into().ok()?) ^ mix(scramble, 3);
    (token(generation, scramble) == text).then_some(generation)
}

/// Computes a page of a round, and keeps the state of the one after it.
pub(crate) fn page(
    mailbox: &mut Mailbox,
    state: &State,
    rows_max: usize,
    quirks: &Quirks,
    scramble: u64,
) -> Page {
    let round = Round { mailbox, state, rows_max, quirks, dice: mix(scramble, state.line) };
    let (mut rows, phase, is_last) = match state.phase {
        Phase::Initial { after, skip, base } => round.initial(after, skip, base),
        Phase::Changes { since, at, until } => round.changes(since, at, until),
        Phase::Resting { since } => round.changes(since, since, mailbox.seq()),
    };
    let mut rng =
        fastrand::Rng::with_seed(mix(mix(scramble, state.line), u64::from(state.page) ^ mailbox.seq()));
    for n in 0..rows.len() {
        if rng.f64() < quirks.duplicate_rate
            && let Some(row @ Row::Put(..)) = rows.get(n).copied()
        {
            rows.push(row);
        }
    }
    if rng.f64() < quirks.shuffle_rate && !order_matters(&rows) {
        rng.shuffle(&mut rows);
    }
    let page = if is_last { 0 } else { state.page + 1 };
    let next = State { phase, page, ..state.clone() };
    let token = mailbox.lines.keep(next, quirks.token_lines_max, scramble);
    Page { rows, token, is_last }
}

/// Whether an event is both removed and put: it came back to its calendar, and the last word counts.
fn order_matters(rows: &[Row]) -> bool {
    rows.iter().any(|row| match row {
        Row::Removed(Target::Event(gone), _) => {
            rows.iter().any(|r| matches!(r, Row::Put(serial, _) if serial == gone))
        }
        _ => false,
    })
}

struct Round<'a> {
    mailbox: &'a Mailbox,
    state: &'a State,
    rows_max: usize,
    quirks: &'a Quirks,
    dice: u64,
}

impl Round<'_> {
    fn initial(&self, mut after: Option<(bool, u64)>, mut skip: usize, base: u64) -> (Vec<Row>, Phase, bool) {
        let mut rows = Vec::new();
        let stay = |after, skip| Phase::Initial { after, skip, base };
        let first = after.is_none() && skip == 0 && self.state.page == 0;
        if first && unit(mix(self.dice, 1)) < self.quirks.empty_first_page_rate {
            return (rows, stay(None, 0), false);
        }
        let Some(calendar) = self.mailbox.calendars.get(&self.state.calendar) else {
            return (rows, Phase::Resting { since: base }, true);
        };
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        for item in calendar.items.range((start, Bound::Unbounded)) {
            if rows.len() >= self.rows_max {
                return (rows, stay(after, 0), false);
            }
            if let Some(event) = self.mailbox.events.get(&item.1) {
                let of_event = self.whole(event);
                let room = self.rows_max - rows.len();
                let count = of_event.len().saturating_sub(skip);
                if !self.quirks.whole_series_pages && count > room {
                    rows.extend(of_event.into_iter().skip(skip).take(room));
                    return (rows, stay(after, skip + room), false);
                }
                rows.extend(of_event.into_iter().skip(skip));
            }
            skip = 0;
            after = Some(*item);
        }
        if first && calendar.denies_page_two && self.quirks.deny_shared_page_two {
            // The denial is met only by asking for a second page.
            return (rows, stay(after, 0), false);
        }
        (rows, Phase::Resting { since: base }, true)
    }

    /// All rows of an event in an initial round.
    fn whole(&self, event: &Event) -> Vec<Row> {
        let put = |kind| Row::Put(event.serial, kind);
        if self.state.kind == Kind::Events {
            let exceptions = event.series.iter().flat_map(|s| s.exceptions.keys());
            let exceptions = exceptions.map(|slot| put(RowKind::Exception(*slot)));
            return std::iter::once(put(event.own_row())).chain(exceptions).collect();
        }
        let instances = event.instances(self.state.from_ms, self.state.to_ms);
        if instances.is_empty() {
            return Vec::new();
        }
        let mut rows = Vec::with_capacity(instances.len() + 1);
        let hides = event.fields.start_ms < self.state.from_ms
            && unit(mix(self.dice, event.serial)) < self.quirks.absent_master_rate;
        if event.is_series() && self.quirks.ghost_masters && !hides {
            rows.push(put(RowKind::Master));
        }
        rows.extend(instances.into_iter().map(put));
        rows
    }

    fn changes(&self, since: u64, mut at: u64, until: u64) -> (Vec<Row>, Phase, bool) {
        let mut rows = Vec::new();
        for (seq, entry) in self.mailbox.log.range((Bound::Excluded(at), Bound::Included(until.max(at)))) {
            if rows.len() >= self.rows_max {
                return (rows, Phase::Changes { since, at, until }, false);
            }
            self.changed(*entry, since, &mut rows);
            at = *seq;
        }
        (rows, Phase::Resting { since: until }, true)
    }

    fn changed(&self, entry: Entry, since: u64, rows: &mut Vec<Row>) {
        let here = self.state.calendar;
        match entry {
            Entry::Item(serial) => {
                if let Some(event) = self.mailbox.events.get(&serial).filter(|e| e.calendar == here) {
                    self.changed_event(event, since, rows);
                }
            }
            Entry::Gone { calendar, serial, moves } => {
                let is_back =
                    self.mailbox.events.get(&serial).is_some_and(|e| e.calendar == here && e.moves == moves);
                if calendar == here && !is_back {
                    rows.push(Row::Removed(Target::Event(serial), moves));
                }
            }
            Entry::GoneSlot { calendar, serial, moves, slot } => {
                let event = self.mailbox.events.get(&serial).filter(|e| e.calendar == here);
                if calendar == here && event.and_then(|e| e.slot_row(slot)).is_none() {
                    rows.push(Row::Removed(Target::Slot(serial, slot), moves));
                }
            }
        }
    }

    fn changed_event(&self, event: &Event, since: u64, rows: &mut Vec<Row>) {
        if self.state.kind == Kind::Events {
            rows.extend(self.whole(event));
            return;
        }
        let removed = |target| Row::Removed(target, event.moves);
        let tells_removed = self.quirks.removed_outside_window || event.born_seq <= since;
        let instances = event.instances(self.state.from_ms, self.state.to_ms);
        if instances.is_empty() {
            if tells_removed {
                rows.push(removed(Target::Event(event.serial)));
            }
            return;
        }
        if let Some(series) = &event.series {
            if event.row_seq > since && self.quirks.ghost_masters {
                rows.push(Row::Put(event.serial, RowKind::Master));
            }
            let moved_out = series
                .exceptions
                .iter()
                .filter(|(slot, e)| e.seq > since && !instances.contains(&RowKind::Exception(**slot)));
            rows.extend(moved_out.map(|(slot, _)| removed(Target::Slot(event.serial, *slot))));
        }
        for kind in instances {
            let seq = match (&event.series, kind) {
                (Some(series), RowKind::Occurrence(slot)) => {
                    series.slots_seq.max(series.slot_seq.get(&slot).copied().unwrap_or(0))
                }
                _ => event.row_seq,
            };
            if seq > since {
                rows.push(Row::Put(event.serial, kind));
            }
        }
    }
}
