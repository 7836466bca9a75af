use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::api::{Error, ErrorKind, SyncDone};
use crate::config::{Cloud, Effective, Method, PresenceSettings, SIGN_IN_SCOPES, SourceKind, missing_scopes};
use crate::engine::exchange::OnPremises;
use crate::engine::office::{Fleet, Reach};
use crate::engine::watch::Urgency;
use crate::engine::{
    Accept, BrowserPrompt, DevicePrompt, Edges, OtherMailbox, SignOut, SyncOrder, SyncReport, Weather,
};
use crate::flow::Progress;
use crate::flow::presence::look_at_mailbox;
use crate::flow::pull::{PullOrder, PullPorts, PullReport, pull};
use crate::flow::push::{PushOrder, PushPorts, PushReport, push};
use crate::flow::sign_in::{
    BrowserHints, BrowserSignIn, DeviceSignIn, SIGN_IN_TIME_MAX, Session, SignInError, SignInSite,
    is_same_user,
};
use crate::flow::upkeep::upkeep;
use crate::mirror::{MailboxId, Mirror, MirrorError, Opening};
use crate::model::{Fault, Secret};
use crate::ports::{Owner, Tokens, Vault, VaultError};
use crate::source::graph::Graph;
use crate::source::ical::{Published, Wanted};
use crate::vault::FileVault;
use crate::zones::{Zone, Zones};

/// Whose mirror it is when it was filled from calendars in iCalendar.
const PUBLISHED_ID: &str = "source:icalendar";
/// The file of a mirror in its account's folder.
pub(super) const MIRROR_FILE: &str = "mirror.db";
/// The permission to read a user's automatic replies and working hours.
const MAILBOX_SCOPE: &str = "MailboxSettings.Read";
/// Who must do what when a server refuses a fresh token of an application.
pub const NOT_LET_IN: &str = "the server refuses the application's token for this mailbox; an administrator must check that application permissions for Microsoft Graph are granted with admin consent, and that no access policy of Exchange leaves this mailbox out";

/// One account with everything open: its mirror's writer, its session, its server.
pub(super) struct Desk {
    effective: Effective,
    folder: PathBuf,
    edges: Edges,
    mirror: Mirror,
    session: Arc<Session>,
    /// What reaches the mailbox where nobody signs in.
    fleet: Option<Arc<Fleet>>,
    graph: Graph,
    /// Calendars in iCalendar; then the mailbox is asked for nothing.
    published: Option<Published>,
    /// What is asked instead of Graph where the mailbox is on an Exchange server.
    exchange: Option<Arc<OnPremises>>,
    zones: Arc<Zones>,
    /// The mirror was found to belong to the tokens' mailbox.
    is_owner_checked: bool,
    /// The zone of the timestamps in its reports.
    zone: Zone,
    /// The last push was stopped by what concerns the whole mailbox: edits wait for the next poll, due or not.
    is_push_stopped: bool,
    /// The mailbox said something about its user's time.
    has_mailbox_news: bool,
}

/// What a sync did.
#[derive(Default)]
struct Done {
    push: PushReport,
    pull: PullReport,
    /// Held removals that were carried out.
    accepted: u64,
}

impl Desk {
    pub(super) fn open(
        effective: Effective,
        data_dir: &Path,
        edges: &Edges,
        reach: Reach,
        (zones, zone): (Arc<Zones>, Zone),
    ) -> Result<Desk, Error> {
        let Reach { vault, session, graph, fleet, exchange } = reach;
        let folder = data_dir.join(&effective.name);
        let now_ms = edges.clock.now_ms();
        let (mirror, opening) = Mirror::open(&folder.join(MIRROR_FILE), now_ms).map_err(Error::from)?;
        if let Opening::Rebuilt { set_aside } = &opening {
            tracing::warn!(account = %effective.name, file = %set_aside.display(), "the mirror was damaged; it was set aside and is rebuilt");
        }
        // A token file that others can read or that is damaged, and a keyring that is locked, are said now and
        // with their fix.
        if fleet.is_none() && exchange.is_none() && effective.shelf.is_none() {
            vault.load().map_err(|error| Error::because(ErrorKind::SignIn, error.to_string(), error))?;
        }
        let mirror = mirror.with_zones((*zones).clone());
        let published = match &effective.shelf {
            Some(shelf) => {
                let known_name = mirror.default_calendar_name().map_err(Error::from)?;
                let wanted = Wanted {
                    shelf: shelf.clone(),
                    user: effective.user.clone(),
                    zones: zones.clone(),
                    zone: zone.clone(),
                    known_name,
                };
                Some(Published::new(wanted, edges.http.clone()))
            }
            None => None,
        };
        Ok(Desk {
            published,
            effective,
            folder,
            edges: edges.clone(),
            mirror,
            session,
            fleet,
            graph,
            zones,
            zone,
            // Nothing is sent there.
            is_push_stopped: exchange.is_some(),
            exchange,
            is_owner_checked: false,
            has_mailbox_news: false,
        })
    }

    pub(super) fn close(self) -> Result<(), Error> {
        self.mirror.close().map_err(Error::from)
    }

    /// Takes the presence policy that counts now.
    pub(super) fn follow(&mut self, presence: PresenceSettings) {
        self.effective.presence = presence;
    }

    /// When an edit is to be sent, if one is and the mailbox can be reached; UTC epoch milliseconds.
    pub(super) fn next_edit_due_ms(&self) -> Option<i64> {
        if self.is_push_stopped { None } else { self.mirror.next_edit_due_ms().ok().flatten() }
    }

    /// Pushes, then pulls, so that what was sent is seen again at once; then accepts removals when asked, and does
    /// the upkeep.
    pub(super) async fn sync(
        &mut self,
        order: &SyncOrder,
        urgency: Urgency,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<SyncReport, Error> {
        let started_ms = self.edges.clock.now_ms();
        let outcome = self.sync_or_break(order, urgency, progress).await;
        match outcome {
            Ok(done) => self.report(done, started_ms).map_err(Error::from),
            // A mirror that breaks in the middle is set aside now, and the next sync fills a new one.
            Err(error) if error.is_damage() => {
                self.reopen(started_ms)?;
                Err(Error::because(
                    ErrorKind::Mirror,
                    "the mirror was damaged and has been set aside; run `calmirror sync` to fill a new one",
                    error,
                ))
            }
            Err(error) => Err(Error::from(error)),
        }
    }

    async fn sync_or_break(
        &mut self,
        order: &SyncOrder,
        urgency: Urgency,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Done, MirrorError> {
        let pull_order = PullOrder {
            is_full: order.is_full,
            is_asked: urgency == Urgency::Asked,
            past_ms: in_ms(self.effective.window_past.value),
            future_ms: in_ms(self.effective.window_future.value),
        };
        let ports = PullPorts { clock: self.edges.clock.clone(), entropy: self.edges.entropy.clone() };
        let mut done = Done::default();
        if let Some(exchange) = self.exchange.clone() {
            done.pull = self.pull_exchange(&exchange, &ports, pull_order, progress).await?;
            self.after_pull(order, &mut done)?;
            return Ok(done);
        }
        match self.bind_mailbox().await? {
            Ok(()) => {
                done.pull = match self.published.clone() {
                    // Nothing is written there, so nothing can wait.
                    Some(published) => {
                        pull(&mut self.mirror, &published, &ports, pull_order, progress).await?
                    }
                    None => {
                        done.push = self.push(urgency, progress).await?;
                        pull(&mut self.mirror, &self.graph, &ports, pull_order, progress).await?
                    }
                };
                if self.published.is_none() && done.pull.fault.is_none() && self.may_ask_mailbox().await {
                    let clock = self.edges.clock.clone();
                    self.has_mailbox_news |=
                        look_at_mailbox(&mut self.mirror, &self.graph, clock.as_ref()).await?;
                }
            }
            Err(fault) => {
                let now_ms = self.edges.clock.now_ms();
                self.mirror.note_attempt(now_ms)?;
                self.mirror.note_fault(fault.kind(), now_ms)?;
                self.is_push_stopped = true;
                done.pull = PullReport { fault: Some(fault), ..PullReport::default() };
            }
        }
        self.after_pull(order, &mut done)?;
        Ok(done)
    }

    /// Pulls from an Exchange server.
    async fn pull_exchange(
        &mut self,
        exchange: &OnPremises,
        ports: &PullPorts,
        order: PullOrder,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<PullReport, MirrorError> {
        // The configuration names the mailbox; a mirror of another one, or of another server's, is left alone.
        let address = exchange.user().to_lowercase();
        let mailbox =
            MailboxId { tenant_id: Some("exchange".to_owned()), object_id: format!("address:{address}") };
        match self.mirror.account()?.mailbox {
            Some(bound) if !bound.is_same(&mailbox) => return Err(MirrorError::OtherMailbox),
            Some(_) => {}
            None => {
                self.mirror.bind(&mailbox, Some(exchange.user()))?;
            }
        }
        let report = match exchange.client(&self.edges).await {
            Ok(client) => pull(&mut self.mirror, &client, ports, order, progress).await?,
            Err(fault) => {
                let now_ms = self.edges.clock.now_ms();
                self.mirror.note_attempt(now_ms)?;
                self.mirror.note_fault(fault.kind(), now_ms)?;
                return Ok(PullReport { fault: Some(fault), ..PullReport::default() });
            }
        };
        if report.fault == Some(Fault::SignInNeeded) {
            exchange.not_let_in();
        }
        Ok(report)
    }

    /// Carries out the removals that were accepted, and the upkeep.
    fn after_pull(&mut self, order: &SyncOrder, done: &mut Done) -> Result<(), MirrorError> {
        for calendar in self.mirror.calendars()? {
            let is_accepted = match &order.accept_removals {
                Accept::None => false,
                Accept::All => true,
                Accept::Calendar(key) => *key == calendar.key,
            };
            if is_accepted {
                done.accepted += self.mirror.accept_removals(calendar.id, self.edges.clock.now_ms())?;
            }
        }
        upkeep(&mut self.mirror)?;
        Ok(())
    }

    /// Whether the mailbox may be asked for its user's automatic replies and working hours: for presence alone, and where
    /// that was granted. An application's own permissions are not known here.
    async fn may_ask_mailbox(&self) -> bool {
        if !self.effective.has_presence() || self.effective.presence.enabled == Some(false) {
            return false;
        }
        let asked = [MAILBOX_SCOPE.to_owned()];
        self.fleet.is_some()
            || self.session.scopes().await.is_ok_and(|granted| missing_scopes(&asked, &granted).is_empty())
    }

    /// Whether the mailbox said something about its user's time since this was asked.
    pub(super) fn take_mailbox_news(&mut self) -> bool {
        std::mem::take(&mut self.has_mailbox_news)
    }

    async fn push(
        &mut self,
        urgency: Urgency,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<PushReport, MirrorError> {
        let order = PushOrder {
            policy: self.effective.conflicts.value,
            confirm_mail_after_ms: in_ms(self.effective.confirm_mail_after.value),
            is_asked: match urgency {
                Urgency::Asked | Urgency::Woken => true,
                Urgency::Polled => false,
            },
        };
        let ports = PushPorts {
            clock: self.edges.clock.clone(),
            entropy: self.edges.entropy.clone(),
            zones: self.zones.clone(),
        };
        let report = push(&mut self.mirror, &self.graph, &ports, order, progress).await?;
        self.is_push_stopped = report.fault.is_some();
        Ok(report)
    }

    /// Makes sure that the mirror belongs to the mailbox the tokens are for, before a cursor is used: once in the
    /// life of this desk, and after each sign-in. The tokens say it themselves where they can.
    async fn bind_mailbox(&mut self) -> Result<Result<(), Fault>, MirrorError> {
        if let Some(fleet) = self.fleet.clone() {
            return self.bind_configured(&fleet).await;
        }
        if self.published.is_some() {
            return self.bind_published();
        }
        let bound = self.mirror.account()?.mailbox;
        if self.is_owner_checked && bound.is_some() {
            return Ok(Ok(()));
        }
        let owner = self.session.owner().await.ok().flatten();
        let (mailbox, user) = match (owner, &bound) {
            (Some(owner), Some(_)) => (MailboxId::from(owner), None),
            (owner, _) => match self.graph.identity().await {
                Ok(identity) => {
                    let tenant_id = owner.map(|owner| owner.tenant_id);
                    (MailboxId { tenant_id, object_id: identity.object_id }, identity.user_principal_name)
                }
                // A mailbox that does not say whose it is cannot be bound; its calendars may be read all the same.
                // A sign-in is stricter.
                Err(Fault::Refused { status: 403 | 404, .. }) => return Ok(Ok(())),
                Err(fault) => return Ok(Err(fault)),
            },
        };
        if bound.is_some_and(|bound| !bound.is_same(&mailbox)) {
            return Err(MirrorError::OtherMailbox);
        }
        self.mirror.bind(&mailbox, user.as_deref())?;
        self.is_owner_checked = true;
        Ok(Ok(()))
    }

    /// The same for calendars in iCalendar: whose they are nobody says, so the account's own mirror is theirs, wherever
    /// they move; but not one that was filled from a mailbox.
    fn bind_published(&mut self) -> Result<Result<(), Fault>, MirrorError> {
        let mailbox = MailboxId { tenant_id: None, object_id: PUBLISHED_ID.to_owned() };
        match self.mirror.account()?.mailbox {
            Some(bound) if !bound.is_same(&mailbox) => Err(MirrorError::OtherMailbox),
            Some(_) => Ok(Ok(())),
            None => {
                self.mirror.bind(&mailbox, self.effective.user.as_deref())?;
                Ok(Ok(()))
            }
        }
    }

    /// The same where nobody signs in: the configuration names the mailbox, and may name another one than it did.
    /// Asked once in a process's life.
    async fn bind_configured(&mut self, fleet: &Fleet) -> Result<Result<(), Fault>, MirrorError> {
        let name = self.effective.name.clone();
        if fleet.is_identified(&name) {
            return Ok(Ok(()));
        }
        // Without the permission to read users the address is all that is known.
        let address = self.effective.user.clone().unwrap_or_default().to_lowercase();
        let by_address = MailboxId { tenant_id: None, object_id: format!("address:{address}") };
        let (mailbox, user) = match self.graph.identity().await {
            Ok(identity) => {
                (MailboxId { tenant_id: None, object_id: identity.object_id }, identity.user_principal_name)
            }
            Err(Fault::Refused { status: 403 | 404, .. }) => (by_address.clone(), None),
            Err(fault) => return Ok(Err(fault)),
        };
        match self.mirror.account()?.mailbox {
            // Bound by its id before, and only the address is known today.
            Some(_) if mailbox == by_address => {}
            Some(bound) if !bound.is_same(&mailbox) && bound != by_address => {
                return Err(MirrorError::OtherMailbox);
            }
            Some(_) | None => {
                self.mirror.bind(&mailbox, user.as_deref().or(self.effective.user.as_deref()))?;
            }
        }
        fleet.note_identified(&name);
        Ok(Ok(()))
    }

    fn report(&mut self, done: Done, started_ms: i64) -> Result<SyncReport, MirrorError> {
        let Done { push, pull: report, accepted } = done;
        let now_ms = self.edges.clock.now_ms();
        let calendars = self.mirror.calendars()?;
        let oldest = calendars.iter().map(|c| c.pulled_at_ms).min().flatten();
        let done = SyncDone {
            event: "done".to_owned(),
            calendars: report.calendars,
            pages: report.pages,
            upserted: report.committed.inserted + report.committed.rewritten,
            removed: report.removed + accepted,
            pushed: push.pushed,
            parked: push.parked,
            conflicts: push.conflicts,
            held_removals: self.mirror.count_held()?,
            failed: report.failed,
            duration_ms: u64::try_from(now_ms.saturating_sub(started_ms)).unwrap_or(0),
            as_of: oldest.map(|ms| self.zone.rfc3339(ms)),
        };
        let weather = report.fault.or(push.fault).map(|fault| self.weather(&fault));
        Ok(SyncReport { done, weather })
    }

    fn weather(&self, fault: &Fault) -> Weather {
        let throttled_until_ms = match &self.exchange {
            Some(exchange) => exchange.throttled_until_ms(),
            None => self.graph.throttled_until_ms(),
        };
        match (fault, throttled_until_ms) {
            (Fault::SignInNeeded, _) => {
                let problem = match &self.fleet {
                    _ if self.exchange.is_some() => {
                        self.exchange.as_ref().and_then(|exchange| exchange.problem())
                    }
                    Some(fleet) => Some(match fleet.application.problem() {
                        Some(problem) => problem.to_string(),
                        None => NOT_LET_IN.to_owned(),
                    }),
                    None => self.session.problem().map(|problem| problem.to_string()),
                };
                problem.map_or(Weather::SignInNeeded, |message| Weather::ApplicationRefused { message })
            }
            (fault, Some(until_ms)) if fault.kind() == "throttled" => Weather::Throttled { until_ms },
            (fault, _) => Weather::Unreachable(fault.kind()),
        }
    }

    /// Signs in by device code and checks whose mailbox the tokens are for before they are kept.
    pub(super) async fn sign_in(
        &mut self,
        other: OtherMailbox,
        prompt: &mut (dyn FnMut(&DevicePrompt) + Send),
    ) -> Result<(), Error> {
        self.check_user_signs_in()?;
        let site = sign_in_site(&self.effective);
        let challenge = self.session.challenge().await.map_err(vault_error)?;
        let challenge = challenge.as_ref().map(Secret::expose);
        let (http, clock) = (self.edges.http.clone(), self.edges.clock.clone());
        let started = DeviceSignIn::start(&site, http, clock, challenge).await.map_err(sign_in_error)?;
        prompt(&DevicePrompt {
            verification_url: started.verification_url().to_owned(),
            user_code: started.user_code().to_owned(),
            valid: started.valid(),
        });
        let tokens = started.finish().await.map_err(sign_in_error)?;
        self.keep(tokens, other).await
    }

    /// Signs in with a browser and checks whose mailbox the tokens are for before they are kept.
    pub(super) async fn sign_in_with_browser(
        &mut self,
        other: OtherMailbox,
        prompt: &mut (dyn FnMut(&BrowserPrompt) + Send),
    ) -> Result<(), Error> {
        self.check_user_signs_in()?;
        let site = sign_in_site(&self.effective);
        let challenge = self.session.challenge().await.map_err(vault_error)?;
        let hints = BrowserHints {
            user: self.effective.user.as_deref(),
            challenge: challenge.as_ref().map(Secret::expose),
        };
        let (http, clock) = (self.edges.http.clone(), self.edges.clock.clone());
        let mut started = BrowserSignIn::start(&site, http, clock, hints).await.map_err(sign_in_error)?;
        prompt(&BrowserPrompt { authorize_url: started.authorize_url().to_owned(), valid: SIGN_IN_TIME_MAX });
        let tokens = started.finish().await.map_err(sign_in_error)?;
        // `started` lives on: a second tab gets its page meanwhile.
        self.keep(tokens, other).await
    }

    fn check_user_signs_in(&self) -> Result<(), Error> {
        if self.published.is_some() {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("account `{}` needs no sign-in: its source is `icalendar`", self.effective.name),
            ));
        }
        if self.exchange.is_some() {
            return Err(Error::new(
                ErrorKind::Usage,
                format!(
                    "account `{}` needs no sign-in: the configuration says where the password for its Exchange server is",
                    self.effective.name
                ),
            ));
        }
        match &self.fleet {
            None => Ok(()),
            Some(_) => Err(Error::new(
                ErrorKind::Usage,
                format!(
                    "account `{}` needs no sign-in: its method is `server`, so the application signs in by itself",
                    self.effective.name
                ),
            )),
        }
    }

    /// Keeps the tokens of the right mailbox.
    async fn keep(&mut self, tokens: Tokens, other: OtherMailbox) -> Result<(), Error> {
        let bearer = crate::flow::sign_in::fixed_bearer(tokens.access.clone());
        let identity = self.graph.with_bearer(bearer).identity().await.map_err(fault_error)?;
        if let Some(user) = &self.effective.user {
            let is_configured = [&identity.user_principal_name, &identity.mail]
                .into_iter()
                .flatten()
                .any(|name| name.eq_ignore_ascii_case(user));
            if !is_configured {
                return Err(Error::new(
                    ErrorKind::Refused,
                    "you signed in as another user than the configuration names for this account; sign in as that user, or change `user` in the configuration",
                ));
            }
        }
        if tokens.owner.as_ref().is_some_and(|owner| !is_same_user(owner, &identity.object_id)) {
            return Err(Error::new(
                ErrorKind::Refused,
                "the sign-in server and the calendar service name different users; nothing was kept. Have an administrator check `cloud`, `graph_url` and `authority_url` in the configuration",
            ));
        }
        // From here on the user has the one name that Graph uses.
        let owner = tokens.owner.map(|owner| Owner { object_id: identity.object_id.clone(), ..owner });
        let tenant_id = owner.as_ref().map(|owner| owner.tenant_id.clone());
        let mailbox = MailboxId { tenant_id, object_id: identity.object_id };
        let bound = self.mirror.account().map_err(Error::from)?.mailbox;
        let is_other = bound.is_some_and(|bound| !bound.is_same(&mailbox));
        match other {
            OtherMailbox::Refuse if is_other => return Err(Error::from(MirrorError::OtherMailbox)),
            OtherMailbox::Replace if is_other => self.wipe()?,
            OtherMailbox::Refuse | OtherMailbox::Replace => {}
        }
        self.mirror.bind(&mailbox, identity.user_principal_name.as_deref()).map_err(Error::from)?;
        self.session.replace(Tokens { owner, ..tokens }).await.map_err(vault_error)?;
        self.mirror.ask_mailbox_again().map_err(Error::from)?;
        self.is_owner_checked = true;
        Ok(())
    }

    /// Deletes the mirror and opens an empty one.
    fn wipe(&mut self) -> Result<(), Error> {
        let path = self.folder.join(MIRROR_FILE);
        // The open file is replaced by a throw-away one, so that it can be removed on every system.
        let now_ms = self.edges.clock.now_ms();
        let spare = self.folder.join("mirror.new");
        let (empty, _) = Mirror::open(&spare, now_ms).map_err(Error::from)?;
        std::mem::replace(&mut self.mirror, empty).close().map_err(Error::from)?;
        remove_mirror(&path)?;
        let (mirror, _) = Mirror::open(&path, now_ms).map_err(Error::from)?;
        let mirror = mirror.with_zones((*self.zones).clone());
        std::mem::replace(&mut self.mirror, mirror).close().map_err(Error::from)?;
        remove_mirror(&spare)
    }

    /// Opens the mirror again, which sets a damaged file aside.
    fn reopen(&mut self, now_ms: i64) -> Result<(), Error> {
        let path = self.folder.join(MIRROR_FILE);
        let (mirror, _) = Mirror::open(&path, now_ms).map_err(Error::from)?;
        self.mirror = mirror.with_zones((*self.zones).clone());
        Ok(())
    }
}

impl From<Owner> for MailboxId {
    fn from(owner: Owner) -> MailboxId {
        MailboxId { tenant_id: Some(owner.tenant_id), object_id: owner.object_id }
    }
}

/// Deletes a closed mirror and its side files.
fn remove_mirror(path: &Path) -> Result<(), Error> {
    for side in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(side);
        match std::fs::remove_file(PathBuf::from(&name)) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(Error::because(ErrorKind::Failed, "the mirror could not be deleted", error));
            }
        }
    }
    Ok(())
}

/// Refuses an account that this engine must not synchronize, and says who can change that.
pub(super) fn check_policy(effective: &Effective) -> Result<(), Error> {
    match effective.source.value {
        SourceKind::Microsoft365 | SourceKind::Exchange | SourceKind::Icalendar => {}
        SourceKind::Feed => {
            return Err(Error::new(
                ErrorKind::Usage,
                format!(
                    "account `{}`: only the sources `microsoft365`, `exchange` and `icalendar` can be synchronized by this version",
                    effective.name
                ),
            ));
        }
    }
    match effective.method.value {
        Method::Client | Method::Server => {}
        Method::Off => {
            return Err(Error::new(
                ErrorKind::Refused,
                format!(
                    "account `{}`: the group's `method` is `off`, so this program does not synchronize it; an administrator can change that",
                    effective.name
                ),
            ));
        }
    }
    if matches!(effective.source.value, SourceKind::Exchange | SourceKind::Icalendar) {
        return Ok(());
    }
    if !effective.allow_office365.value {
        return Err(Error::new(
            ErrorKind::Refused,
            format!(
                "account `{}`: its group does not allow Office 365; an administrator can set `allow_office365 = true`",
                effective.name
            ),
        ));
    }
    if effective.graph_app.is_none() {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("account `{}`: no `graph_app` is chosen for it or its group", effective.name),
        ));
    }
    Ok(())
}

/// Forgets an account's tokens, and its mirror when asked. Needs neither a policy that allows the account nor a
/// readable token file: signing out always works.
pub(super) fn sign_out(data_dir: &Path, account: &str, what: SignOut, edges: &Edges) -> Result<(), Error> {
    FileVault::new(data_dir, account, edges.keyring.clone()).remove().map_err(vault_error)?;
    match what {
        SignOut::Keep => Ok(()),
        SignOut::Wipe => remove_mirror(&data_dir.join(account).join(MIRROR_FILE)),
    }
}

/// Where and as what the user of an account signs in.
pub fn sign_in_site(effective: &Effective) -> SignInSite {
    SignInSite {
        authority_url: effective.authority_url.value.clone(),
        tenant: effective.tenant.clone(),
        client_id: effective.client_id.clone(),
        scopes: qualified(&effective.scopes.value, &effective.graph_url.value),
    }
}

/// A national cloud reads a bare permission as one of the global Graph: there it is named with its own.
fn qualified(scopes: &[String], graph_url: &str) -> Vec<String> {
    let origin = graph_url.trim_end_matches('/');
    let is_national =
        [Cloud::UsGov, Cloud::UsDod, Cloud::China].iter().any(|cloud| cloud.graph_url() == origin);
    let is_bare = |scope: &String| !scope.contains("://") && !SIGN_IN_SCOPES.contains(&scope.as_str());
    scopes
        .iter()
        .map(|scope| if is_national && is_bare(scope) { format!("{origin}/{scope}") } else { scope.clone() })
        .collect()
}

fn in_ms(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn fault_error(fault: Fault) -> Error {
    let kind = match fault {
        Fault::SignInNeeded => ErrorKind::SignIn,
        Fault::Unreachable(_)
        | Fault::Refused { .. }
        | Fault::Unreadable(_)
        | Fault::LinkRefused(_)
        | Fault::EndlessPages => ErrorKind::Unreachable,
    };
    Error::because(kind, fault.to_string(), fault)
}

fn sign_in_error(error: SignInError) -> Error {
    let kind = match &error {
        SignInError::Declined { .. }
        | SignInError::Expired
        | SignInError::TimedOut
        | SignInError::ConsentNeeded { .. }
        | SignInError::StepNeeded
        | SignInError::DeviceRefused
        | SignInError::PasswordExpired
        | SignInError::UserRefused => ErrorKind::SignIn,
        SignInError::ApplicationUnknown { .. }
        | SignInError::SecretDemanded { .. }
        | SignInError::ScopeUnknown { .. }
        | SignInError::Misconfigured { .. }
        | SignInError::TenantUnknown
        | SignInError::AddressWrong => ErrorKind::Usage,
        SignInError::OtherTenant => ErrorKind::Refused,
        SignInError::NoPort(_) | SignInError::IdTokenWrong(_) | SignInError::ClockWrong { .. } => {
            ErrorKind::Failed
        }
        SignInError::Fault(fault) => return fault_error(fault.clone()),
    };
    Error::because(kind, error.to_string(), error)
}

fn vault_error(error: VaultError) -> Error {
    Error::because(ErrorKind::Failed, error.to_string(), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_national_cloud_is_asked_for_its_own_permissions_and_the_global_one_for_bare_names() {
        let scopes = ["openid", "User.Read", "https://graph.microsoft.us/X.Read"].map(str::to_owned);
        assert_eq!(qualified(&scopes, "https://graph.microsoft.com"), scopes);
        assert_eq!(
            qualified(&scopes, "https://dod-graph.microsoft.us"),
            ["openid", "https://dod-graph.microsoft.us/User.Read", "https://graph.microsoft.us/X.Read"]
        );
    }
}
