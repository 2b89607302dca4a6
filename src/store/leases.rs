//! Leases: the right to do something alone for a while, over all nodes.

use std::time::Duration;

use super::{Store, Table, Unavailable};
use crate::clock::Time;
use crate::keys::{Digest, random};

/// The right to have one token renewed for a while.
pub struct Lease {
    name: Digest,
    holder: [u8; 16],
}

/// How long a lease lasts unless it is renewed: longer than any one question to GitHub.
pub const LEASE: Duration = Duration::from_secs(30);

// === impl Lease ===

impl Lease {
    /// Takes the lease of this name; `None` while another node has it.
    pub(super) async fn take(
        store: &dyn Store,
        name: Digest,
        now: Time,
    ) -> Result<Option<Self>, Unavailable> {
        let lease = Self { name, holder: random() };
        let value = lease.holder.to_vec();
        let taken = store.insert(Table::Lease, &lease.name, value, now + LEASE).await?;
        Ok(taken.then_some(lease))
    }

    /// Makes it last until then; `false` when it was lost meanwhile.
    pub(super) async fn last(&self, store: &dyn Store, end: Time) -> Result<bool, Unavailable> {
        let value = self.holder.to_vec();
        store.replace(Table::Lease, &self.name, &self.holder, value, end).await
    }
}
