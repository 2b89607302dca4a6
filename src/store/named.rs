//! Rows that are named by the HMAC of their account, through a rotation of the master.
//!
//! Such a row moves from an older master's name to the newest's while others read and write it. A
//! copy that is marked as moving is put under the new name, and the old row goes on counting. It is
//! removed if it still is what was copied; from then on the copy counts. So at every moment one row
//! counts, and whoever was about to change the old one finds it gone and looks again.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Unavailable;
use super::rows::{Row, Rows};
use crate::clock::Time;
use crate::keys::Digest;

/// What such a row says.
pub(super) trait Named: Clone + Serialize + DeserializeOwned + Send + Sync {
    /// When the row ends.
    fn end(&self) -> Time;

    /// Takes over what another row of the same account says.
    fn absorb(&mut self, other: Self);
}

/// What became of a row that was looked after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// It was as it should be, or is not there.
    Already,
    /// It was moved or sealed anew.
    Now,
    /// It does not open.
    Unreadable,
}

/// An end that has come.
const OVER: Time = Time::from_unix(i64::MIN);

// === impl Rows ===

impl Rows<'_> {
    /// The row of an account that counts, with its name. The newest name comes first.
    pub(super) async fn find<T: Named>(
        &self,
        names: &[Digest],
    ) -> Result<Option<(Digest, Row<T>)>, Unavailable> {
        // A row comes to its new name before it leaves the old one: of two looks, one sees it.
        let looks = if names.len() > 1 { 2 } else { 1 };
        for _ in 0..looks {
            let mut moving = None;
            for name in names {
                match self.read(name).await? {
                    Some(row) if row.is_moving => moving = moving.or(Some((*name, row))),
                    Some(row) => return Ok(Some((*name, row))),
                    None => {}
                }
            }
            if moving.is_some() {
                return Ok(moving);
            }
        }
        Ok(None)
    }

    /// Brings the row of an account to its newest name, sealed under the newest master. One at a
    /// time: of two that settle the same row, one would take the other's work for a removal.
    pub(super) async fn settle<T: Named>(&self, names: &[Digest]) -> Result<Settled, Unavailable> {
        let Some((newest, older)) = names.split_first() else { return Ok(Settled::Already) };
        let mut settled = Settled::Already;
        loop {
            let Some((name, row)) = self.find::<T>(names).await? else { return Ok(settled) };
            let Some(value) = &row.value else { return Ok(Settled::Unreadable) };
            if name != *newest {
                self.bring(newest, &name, &row, value).await?;
            } else if row.is_moving || !self.is_newest(newest, &row.sealed) {
                self.write(newest, Some(&row), value, value.end()).await?;
            } else {
                break;
            }
            settled = Settled::Now;
        }
        for name in older {
            if let Some(row) = self.read::<T>(name).await? {
                self.absorb(newest, name, &row).await?;
                settled = Settled::Now;
            }
        }
        Ok(settled)
    }

    /// Moves a row, unless somebody changes it meanwhile.
    async fn bring<T: Named>(
        &self,
        to: &Digest,
        from: &Digest,
        old: &Row<T>,
        value: &T,
    ) -> Result<(), Unavailable> {
        let copy = self.seal_moving(to, value);
        let put = match self.read::<T>(to).await? {
            None => self.store.insert(self.table, to, copy.clone(), value.end()).await?,
            Some(there) if there.is_moving => {
                let (table, new) = (self.table, copy.clone());
                self.store.replace(table, to, &there.sealed, new, value.end()).await?
            }
            Some(_) => false,
        };
        if !put {
            return Ok(());
        }
        if self.remove(from, old, OVER).await? {
            // If not, somebody has changed it since, which made it stay.
            let stays = self.seal(to, value);
            self.store.replace(self.table, to, &copy, stays, value.end()).await?;
        } else if self.store.get(self.table, from).await?.is_none() {
            // Removed by whoever had a reason to.
            self.store.replace(self.table, to, &copy, Vec::new(), OVER).await?;
        }
        Ok(())
    }

    /// Does away with a row under an older name beside the one that counts: left by a move that was
    /// broken off, or written at the same moment by a node that lists the masters in another order.
    async fn absorb<T: Named>(
        &self,
        newest: &Digest,
        name: &Digest,
        row: &Row<T>,
    ) -> Result<(), Unavailable> {
        let Some(value) = &row.value else { return Ok(()) };
        if !row.is_moving {
            let Some(home) = self.read::<T>(newest).await? else { return Ok(()) };
            let Some(mut both) = home.value.clone() else { return Ok(()) };
            both.absorb(value.clone());
            if !self.write(newest, Some(&home), &both, both.end()).await? {
                return Ok(());
            }
        }
        self.remove(name, row, OVER).await.map(drop)
    }
}
