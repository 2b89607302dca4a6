//! Credentials: an account's tokens at GitHub, sealed, versioned, changed by compare-and-swap; and
//! the lease under which one node alone renews them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use super::leases::{LEASE, Lease};
use super::named::Named;
use super::rows::{Row, Rows};
use super::{Store, Table, Unavailable};
use crate::clock::Time;
use crate::credential::{Credential, Grant};
use crate::keys::{Digest, Keys, random};
use crate::secret::Secret;

/// All credentials.
pub struct Credentials {
    store: Arc<dyn Store>,
}

/// A credential as it was read, so that it can be changed if nobody else did.
pub struct StoredCredential {
    /// What it says.
    pub credential: Credential,
    account: u64,
    name: Digest,
    row: Row<CredentialRow>,
}

/// The row of a credential.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct CredentialRow {
    version: u64,
    access: String,
    access_ends: Option<Time>,
    refresh: Option<String>,
    refresh_ends: Option<Time>,
    scopes: Vec<String>,
    is_lost: bool,
    /// When the account's last session ends, as far as was known.
    end: Time,
}

// === impl Credentials ===

impl Credentials {
    /// Credentials in a store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// An account's credential.
    pub async fn read(
        &self,
        keys: &Keys,
        account: u64,
    ) -> Result<Option<StoredCredential>, Unavailable> {
        let Some((name, row)) = self.find(keys, account).await? else { return Ok(None) };
        let Some(credential) = row.value.as_ref().map(CredentialRow::meant) else {
            return Ok(None);
        };
        Ok(Some(StoredCredential { credential, account, name, row }))
    }

    /// Writes what an interactive sign-in gave, whatever was there: it always wins.
    pub async fn sign_in(
        &self,
        keys: &Keys,
        account: u64,
        grant: &Grant,
        end: Time,
    ) -> Result<(), Unavailable> {
        loop {
            let found = self.find(keys, account).await?;
            let old = found.as_ref().and_then(|(_, row)| row.value.as_ref());
            // Who still works with what was there before the last sign-out must see that it is gone.
            let version = old.map_or_else(first_version, |old| old.version + 1);
            let end = old.map_or(end, |old| old.end.max(end));
            let new = CredentialRow::of(
                &Credential { version, grant: grant.clone(), is_lost: false },
                end,
            );
            let written = match &found {
                Some((name, row)) => self.rows(keys).write(name, Some(row), &new, end).await?,
                None => self.rows(keys).insert(&keys.account_digest(account), &new, end).await?,
            };
            if written {
                return Ok(());
            }
        }
    }

    /// Keeps an account's credential until then at least: something rests on it for so long.
    pub async fn keep_until(
        &self,
        keys: &Keys,
        account: u64,
        end: Time,
    ) -> Result<(), Unavailable> {
        while let Some((name, row)) = self.find(keys, account).await? {
            let Some(old) = row.value.as_ref().filter(|old| old.end < end) else { break };
            let mut new = old.clone();
            new.end = end;
            if self.rows(keys).write(&name, Some(&row), &new, end).await? {
                break;
            }
        }
        Ok(())
    }

    /// Writes a credential in the place of the one that was read; `false` when that has changed. To
    /// be sealed anew or moved is no change.
    pub async fn replace(
        &self,
        keys: &Keys,
        old: &StoredCredential,
        new: &Credential,
    ) -> Result<bool, Unavailable> {
        let end = old.row.value.as_ref().map_or(Time::from_unix(0), |row| row.end);
        let new = CredentialRow::of(new, end);
        let (mut name, mut row) = (old.name, old.row.clone());
        while !self.rows(keys).write(&name, Some(&row), &new, end).await? {
            let Some(same) = self.same(keys, old, &row).await? else { return Ok(false) };
            (name, row) = same;
        }
        Ok(true)
    }

    /// Removes the credential that was read, unless it has changed since.
    pub async fn remove(
        &self,
        keys: &Keys,
        old: &StoredCredential,
        now: Time,
    ) -> Result<bool, Unavailable> {
        let (mut name, mut row) = (old.name, old.row.clone());
        while !self.rows(keys).remove(&name, &row, now).await? {
            let Some(same) = self.same(keys, old, &row).await? else { return Ok(false) };
            (name, row) = same;
        }
        Ok(true)
    }

    /// The row again, if it has other bytes by now and says what was read.
    async fn same(
        &self,
        keys: &Keys,
        old: &StoredCredential,
        row: &Row<CredentialRow>,
    ) -> Result<Option<(Digest, Row<CredentialRow>)>, Unavailable> {
        let found = self.find(keys, old.account).await?.filter(|(_, now)| now.sealed != row.sealed);
        let says = |row: &Row<CredentialRow>| row.value.as_ref().map(CredentialRow::state);
        Ok(found.filter(|(_, now)| says(now) == says(row)))
    }

    /// Takes the lease on an account's tokens; `None` while another node has it.
    pub async fn lease(
        &self,
        keys: &Keys,
        account: u64,
        now: Time,
    ) -> Result<Option<Lease>, Unavailable> {
        Lease::take(&*self.store, keys.account_digest(account), now).await
    }

    /// Makes a lease last; `false` when it was lost meanwhile.
    pub async fn renew(&self, lease: &Lease, now: Time) -> Result<bool, Unavailable> {
        lease.last(&*self.store, now + LEASE).await
    }

    /// Gives a lease back.
    pub async fn release(&self, lease: &Lease, now: Time) -> Result<(), Unavailable> {
        lease.last(&*self.store, now).await.map(drop)
    }

    async fn find(
        &self,
        keys: &Keys,
        account: u64,
    ) -> Result<Option<(Digest, Row<CredentialRow>)>, Unavailable> {
        let names: Vec<_> = keys.account_digests(account).collect();
        self.rows(keys).find(&names).await
    }

    fn rows<'a>(&'a self, keys: &'a Keys) -> Rows<'a> {
        Rows { store: &*self.store, keys, table: Table::Credential }
    }
}

/// No two are alike, and a count of changes does not lead from one to another.
fn first_version() -> u64 {
    u64::from(u32::from_be_bytes(random())) << 20
}

// === impl CredentialRow ===

impl CredentialRow {
    fn of(credential: &Credential, end: Time) -> Self {
        let grant = &credential.grant;
        Self {
            version: credential.version,
            access: grant.access.expose().clone(),
            access_ends: grant.access_ends,
            refresh: grant.refresh.as_ref().map(|token| token.expose().clone()),
            refresh_ends: grant.refresh_ends,
            scopes: grant.scopes.clone(),
            is_lost: credential.is_lost,
            end,
        }
    }

    fn meant(&self) -> Credential {
        let grant = Grant {
            access: Secret::new(self.access.clone()),
            access_ends: self.access_ends,
            refresh: self.refresh.clone().map(Secret::new),
            refresh_ends: self.refresh_ends,
            scopes: self.scopes.clone(),
        };
        Credential { version: self.version, grant, is_lost: self.is_lost }
    }

    /// What changes whenever the row says something else: each grant has a version of its own.
    fn state(&self) -> (u64, bool, Time) {
        (self.version, self.is_lost, self.end)
    }
}

impl Named for CredentialRow {
    fn end(&self) -> Time {
        self.end
    }

    /// One pair of tokens is enough.
    fn absorb(&mut self, other: Self) {
        self.end = self.end.max(other.end);
    }
}

impl Drop for CredentialRow {
    fn drop(&mut self) {
        self.access.zeroize();
        if let Some(refresh) = &mut self.refresh {
            refresh.zeroize();
        }
    }
}
