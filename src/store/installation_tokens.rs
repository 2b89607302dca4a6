//! Tokens of installations, sealed, for all nodes; and the lease under which one node alone asks for the
//! next.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use super::leases::Lease;
use super::rows::Rows;
use super::{Store, Table, Unavailable};
use crate::clock::Time;
use crate::keys::Keys;

/// Tokens that nodes share.
pub struct InstallationTokens {
    store: Arc<dyn Store>,
}

/// A token as nodes share it.
#[derive(Serialize, Deserialize)]
pub struct SharedToken {
    /// The word itself.
    pub word: String,
    /// What it allows, in GitHub's words.
    pub permissions: BTreeMap<String, String>,
    /// When GitHub gave it, by GitHub's clock.
    pub minted: Time,
    /// When GitHub takes it no more, by GitHub's clock.
    pub ends: Time,
}

// === impl InstallationTokens ===

impl InstallationTokens {
    /// Tokens in a store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The token of this name, which says whose it is and what it may.
    pub async fn read(
        &self,
        keys: &Keys,
        name: &[&[u8]],
    ) -> Result<Option<SharedToken>, Unavailable> {
        self.rows(keys).get(&keys.installation_digest(name)).await
    }

    /// Writes a token, whatever was there, until its end by the clock here.
    pub async fn write(
        &self,
        keys: &Keys,
        name: &[&[u8]],
        token: &SharedToken,
        end: Time,
    ) -> Result<(), Unavailable> {
        let (name, rows) = (keys.installation_digest(name), self.rows(keys));
        self.store.put(rows.table, &name, rows.seal(&name, token), end).await
    }

    /// Removes a token: it is not to be used any more.
    pub async fn remove(&self, keys: &Keys, name: &[&[u8]]) -> Result<(), Unavailable> {
        let rows = self.rows(keys);
        self.store.take(rows.table, &keys.installation_digest(name)).await.map(drop)
    }

    /// Takes the lease on a token; `None` while another node has it.
    pub async fn lease(
        &self,
        keys: &Keys,
        name: &[&[u8]],
        now: Time,
    ) -> Result<Option<Lease>, Unavailable> {
        Lease::take(&*self.store, keys.installation_digest(name), now).await
    }

    /// Gives a lease back.
    pub async fn release(&self, lease: &Lease, now: Time) -> Result<(), Unavailable> {
        lease.last(&*self.store, now).await.map(drop)
    }

    fn rows<'a>(&'a self, keys: &'a Keys) -> Rows<'a> {
        Rows { store: &*self.store, keys, table: Table::InstallationToken }
    }
}

// === impl SharedToken ===

impl Drop for SharedToken {
    fn drop(&mut self) {
        self.word.zeroize();
    }
}
