//! Opens desks, and keeps what the mailboxes of one application share.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::actuate::{Actuators, Surroundings};
use crate::api::{Error, ErrorKind, mailbox_name};
use crate::config::{Cloud, Config, Effective, LiveConfig, SourceKind};
use crate::engine::Edges;
use crate::engine::desk::{Desk, MIRROR_FILE, check_policy, sign_in_site};
use crate::engine::exchange::OnPremises;
use crate::flow::presence::{Keeper, policy};
use crate::flow::sign_in::{Application, ApplicationSite, Session};
use crate::ports::{Bearer, Vault};
use crate::source::graph::{Graph, GraphSite, Limits};
use crate::system::program_environment;
use crate::vault::FileVault;
use crate::zones::{Zone, Zones};

/// What the mailboxes of one application share: its token, and the limits of its requests.
pub(super) struct Fleet {
    pub(super) application: Arc<Application>,
    pub(super) limits: Arc<Limits>,
    /// Accounts whose mailbox was found to be that of their mirror, in this process.
    identified: Mutex<BTreeSet<String>>,
}

impl Fleet {
    pub(super) fn is_identified(&self, account: &str) -> bool {
        self.identified.lock().unwrap_or_else(PoisonError::into_inner).contains(account)
    }

    pub(super) fn note_identified(&self, account: &str) {
        self.identified.lock().unwrap_or_else(PoisonError::into_inner).insert(account.to_owned());
    }
}

/// What reaches the mailbox of one account. There is one in a process, whether the account's mirror is open or not:
/// two sessions of one sign-in would take each other's tokens away.
#[derive(Clone)]
pub(super) struct Reach {
    pub(super) vault: Arc<FileVault>,
    pub(super) session: Arc<Session>,
    pub(super) graph: Graph,
    /// Where nobody signs in.
    pub(super) fleet: Option<Arc<Fleet>>,
    /// What is asked instead of Graph where the mailbox is on an Exchange server.
    pub(super) exchange: Option<Arc<OnPremises>>,
}

/// Where and as what the application of an account signs in; `None` when it has no application.
pub fn application_site(effective: &Effective) -> Option<ApplicationSite> {
    effective.graph_app.as_ref().map(|app| site_of(effective, &app.value))
}

fn site_of(effective: &Effective, display_name: &str) -> ApplicationSite {
    ApplicationSite {
        display_name: display_name.to_owned(),
        authority_url: effective.authority_url.value.clone(),
        tenant: effective.tenant.clone(),
        client_id: effective.client_id.clone(),
        graph_url: effective.graph_url.value.clone(),
    }
}

/// Opens the desks of a configuration.
pub(super) struct Office {
    pub(super) config: LiveConfig,
    pub(super) data_dir: PathBuf,
    pub(super) edges: Edges,
    pub(super) zones: Arc<Zones>,
    fleets: Mutex<BTreeMap<String, Arc<Fleet>>>,
    /// What the mailboxes of one Exchange organization share.
    limits: Mutex<BTreeMap<String, Arc<Limits>>>,
    reaches: Mutex<BTreeMap<String, Reach>>,
}

impl Office {
    pub(super) fn new(config: Config, data_dir: &Path, edges: Edges) -> Office {
        let zones = Arc::new(Zones::newest(Some(Path::new(crate::system::ZONE_DIR))));
        let (fleets, limits, reaches) = (Mutex::default(), Mutex::default(), Mutex::default());
        let config = LiveConfig::new(config);
        Office { config, data_dir: data_dir.to_path_buf(), edges, zones, fleets, limits, reaches }
    }

    /// What is in effect for `account`.
    ///
    /// # Errors
    /// No such account.
    pub(super) fn effective(&self, account: &str) -> Result<Effective, Error> {
        self.config.current().resolve(account).ok_or_else(|| super::unknown_account(account))
    }

    /// Opens the desk of `account`.
    ///
    /// # Errors
    /// No such account, a policy that forbids it, or a mirror that cannot be used.
    pub(super) fn open(&self, account: &str) -> Result<Desk, Error> {
        let effective = self.effective(account)?;
        check_policy(&effective)?;
        let reach = self.reach(&effective)?;
        let zone = self.zone(&effective);
        Desk::open(effective, &self.data_dir, &self.edges, reach, (self.zones.clone(), zone))
    }

    /// Keeps the presence of an account, beside whatever its desk does.
    ///
    /// # Errors
    /// An address that is none.
    pub(super) fn keeper(&self, effective: &Effective) -> Result<Keeper, Error> {
        let (settings, zone) = (&effective.presence, self.zone(effective));
        let folder = self.data_dir.join(&effective.name);
        let path = folder.join(MIRROR_FILE);
        let reach = self.reach(effective)?;
        let around = Surroundings {
            http: self.edges.http.clone(),
            graph: (reach.exchange.is_none() && effective.shelf.is_none()).then_some(reach.graph),
            clock: self.edges.clock.clone(),
            folder,
            environment: program_environment(),
            zone: zone.clone(),
            host: None,
        };
        Ok(Keeper {
            account: mailbox_name(effective).to_owned(),
            user: effective.user.clone(),
            path,
            policy: policy(settings, &zone),
            actuators: Arc::new(Actuators::new(settings.actuators.as_deref().unwrap_or_default(), &around)),
            entropy: self.edges.entropy.clone(),
            clock: self.edges.clock.clone(),
        })
    }

    /// The account's own zone, else the system's, else UTC.
    pub(super) fn zone(&self, effective: &Effective) -> Zone {
        [effective.time_zone.value.clone(), crate::system::time_zone_name()]
            .into_iter()
            .flatten()
            .find_map(|name| self.zones.resolve(&name))
            .unwrap_or_else(Zone::utc)
    }

    /// Forgets who signed in: the tokens are gone.
    pub(super) fn forget(&self, account: &str) {
        self.reaches.lock().unwrap_or_else(PoisonError::into_inner).remove(account);
    }

    fn reach(&self, effective: &Effective) -> Result<Reach, Error> {
        let mut reaches = self.reaches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reach) = reaches.get(&effective.name) {
            return Ok(reach.clone());
        }
        let Edges { http, clock, entropy, keyring } = self.edges.clone();
        let fleet = self.fleet(effective);
        let user = fleet.as_ref().and(effective.user.as_deref());
        let exchange = self.on_premises(effective)?;
        let graph_url = match &exchange {
            // Asked for nothing there.
            None if effective.shelf.is_some() => Cloud::Global.graph_url(),
            // Never asked.
            Some(_) => Cloud::Global.graph_url(),
            None => &effective.graph_url.value,
        };
        let site = GraphSite::new(graph_url, user)
            .map_err(|error| Error::because(ErrorKind::Usage, error.to_string(), error))?;
        let vault = Arc::new(FileVault::new(&self.data_dir, &effective.name, keyring));
        let tokens = vault.clone() as Arc<dyn Vault>;
        let session = Arc::new(Session::new(sign_in_site(effective), http.clone(), clock.clone(), tokens));
        let bearer: Arc<dyn Bearer> = match &fleet {
            Some(fleet) => fleet.application.clone(),
            None => session.clone(),
        };
        let graph = Graph::new(site, http, bearer, clock, entropy);
        let graph = match &fleet {
            Some(fleet) => graph.with_limits(fleet.limits.clone()),
            None => graph,
        };
        let reach = Reach { vault, session, graph, fleet, exchange };
        reaches.insert(effective.name.clone(), reach.clone());
        Ok(reach)
    }

    /// Whether `account` may be synchronized; opens nothing.
    ///
    /// # Errors
    /// No such account, or a policy that forbids it.
    pub(super) fn check(&self, account: &str) -> Result<(), Error> {
        check_policy(&self.effective(account)?)
    }

    fn on_premises(&self, effective: &Effective) -> Result<Option<Arc<OnPremises>>, Error> {
        if effective.source.value != SourceKind::Exchange {
            return Ok(None);
        }
        let name = effective.exchange.as_ref().map(|exchange| exchange.display_name.clone());
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let limits = limits.entry(name.unwrap_or_default()).or_default().clone();
        Ok(Some(Arc::new(OnPremises::new(effective, limits)?)))
    }

    /// What the mailboxes of its application share, for an account that is reached with application permissions.
    fn fleet(&self, effective: &Effective) -> Option<Arc<Fleet>> {
        let (app, credential) = (effective.graph_app.as_ref()?, effective.credential.as_ref()?);
        if !effective.is_application() {
            return None;
        }
        let mut fleets = self.fleets.lock().unwrap_or_else(PoisonError::into_inner);
        let fleet = fleets.entry(app.value.clone()).or_insert_with(|| {
            let site = site_of(effective, &app.value);
            let Edges { http, clock, entropy, .. } = self.edges.clone();
            Arc::new(Fleet {
                application: Arc::new(Application::new(site, credential.clone(), http, clock, entropy)),
                limits: Arc::default(),
                identified: Mutex::default(),
            })
        });
        Some(fleet.clone())
    }
}
