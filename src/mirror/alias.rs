//! Local ids of events that were made here. Such an event keeps its id for ever: whatever the server says about the
//! remote id that it gave is written under the local one.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::mirror::{Doing, Mirror, MirrorError};
use crate::model::{Key, RemoteId};

const ALL: &str = "SELECT remote_key, key FROM alias";
const PUT: &str = "INSERT OR REPLACE INTO alias (remote_key, key) VALUES (?1, ?2)";

/// Local ids by the hash of the remote id, for all events made here: 32 bytes each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Aliases(BTreeMap<Key, Key>);

impl Aliases {
    pub(crate) fn load(conn: &Connection) -> Result<Aliases, MirrorError> {
        let mut statement = conn.prepare_cached(ALL).doing("reading the aliases")?;
        statement
            .query_map([], |row| Ok((Key::from_bytes(row.get(0)?), Key::from_bytes(row.get(1)?))))
            .and_then(Iterator::collect)
            .map(Aliases)
            .doing("reading the aliases")
    }

    /// The local id of a row whose remote id has this hash.
    pub(crate) fn own(&self, key: Key) -> Key {
        self.0.get(&key).copied().unwrap_or(key)
    }

    pub(crate) fn of(&self, remote_id: &RemoteId) -> Key {
        self.own(Key::of_remote(remote_id.as_str()))
    }

    pub(crate) fn insert(&mut self, remote: Key, local: Key) {
        self.0.insert(remote, local);
    }
}

/// Writes an alias inside somebody's transaction.
pub(crate) fn put(conn: &Connection, remote: Key, local: Key) -> Result<(), MirrorError> {
    conn.prepare_cached(PUT)
        .and_then(|mut s| s.execute((remote.as_bytes(), local.as_bytes())))
        .map(|_| ())
        .doing("writing an alias")
}

impl Mirror {
    /// The local identity of the row a server calls `remote_id`.
    pub fn local_key(&self, remote_id: &RemoteId) -> Key {
        self.aliases.of(remote_id)
    }
}
