//! Opens desks, and keeps what the mailboxes of one application share.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::api::Error;
use crate::config::{Config, Effective};
use crate::engine::Edges;
use crate::engine::desk::{Desk, check_policy};
use crate::flow::sign_in::{Application, ApplicationSite};
use crate::source::graph::Limits;

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
    pub(super) config: Config,
    pub(super) data_dir: PathBuf,
    pub(super) edges: Edges,
    fleets: Mutex<BTreeMap<String, Arc<Fleet>>>,
}

impl Office {
    pub(super) fn new(config: Config, data_dir: &Path, edges: Edges) -> Office {
        Office { config, data_dir: data_dir.to_path_buf(), edges, fleets: Mutex::default() }
    }

    /// Opens the desk of `account`.
    ///
    /// # Errors
    /// No such account, a policy that forbids it, or a mirror that cannot be used.
    pub(super) fn open(&self, account: &str) -> Result<Desk, Error> {
        let effective = self.config.resolve(account).ok_or_else(|| super::unknown_account(account))?;
        let fleet = self.fleet(&effective);
        Desk::open(effective, &self.data_dir, &self.edges, fleet)
    }

    /// Whether `account` may be synchronized; opens nothing.
    ///
    /// # Errors
    /// No such account, or a policy that forbids it.
    pub(super) fn check(&self, account: &str) -> Result<(), Error> {
        check_policy(&self.config.resolve(account).ok_or_else(|| super::unknown_account(account))?)
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
