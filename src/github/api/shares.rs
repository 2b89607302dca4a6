//! Memory by the byte: so much in all, and of that so much for one account, whatever sessions and keys
//! it has. One account alone fills it for nobody else.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes, and the part of them that one account may have.
pub(super) struct Shares {
    all: Arc<Semaphore>,
    most_of_account: usize,
    by_account: DashMap<u64, Arc<Semaphore>>,
}

/// Bytes that are taken, of the account's part and of all.
pub(super) struct Taken {
    own: OwnedSemaphorePermit,
    of_all: OwnedSemaphorePermit,
}

// === impl Shares ===

impl Shares {
    pub(super) fn new(all: usize, most_of_account: usize) -> Self {
        let all = Arc::new(Semaphore::new(all));
        Self { all, most_of_account, by_account: DashMap::new() }
    }

    /// Takes so many bytes, `None` where the account or all together have no more.
    pub(super) fn take(&self, account: u64, bytes: usize) -> Option<Taken> {
        let own = self.take_own(account, bytes)?;
        Some(Taken { own, of_all: self.take_of_all(bytes)? })
    }

    /// The account's part alone, for what others have taken already.
    pub(super) fn take_own(&self, account: u64, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let new = || Arc::new(Semaphore::new(self.most_of_account));
        let own = self.by_account.entry(account).or_insert_with(new).clone();
        own.try_acquire_many_owned(u32::try_from(bytes).ok()?).ok()
    }

    /// The part of all alone.
    pub(super) fn take_of_all(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        self.all.clone().try_acquire_many_owned(u32::try_from(bytes).ok()?).ok()
    }

    /// Forgets accounts that have nothing.
    pub(super) fn sweep(&self) {
        // Whoever holds one found it under the same lock, so nobody is about to use it.
        self.by_account.retain(|_, own| Arc::strong_count(own) > 1);
    }
}

// === impl Taken ===

impl Taken {
    /// Takes over what was taken by the same account from the same shares.
    pub(super) fn merge(&mut self, more: Self) {
        self.own.merge(more.own);
        self.of_all.merge(more.of_all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_has_its_part_and_all_have_the_whole() {
        let shares = Shares::new(10, 4);
        let mut mine = shares.take(1, 3).unwrap();
        assert!(shares.take(1, 2).is_none());
        mine.merge(shares.take(1, 1).unwrap());
        let others = [2, 3].map(|account| shares.take(account, 3).unwrap());
        assert!(shares.take(4, 1).is_none(), "all together have no more");
        assert!(shares.take_own(4, 1).is_some(), "though this account would");
        drop(mine);
        assert!(shares.take(1, 4).is_some(), "what was refused has taken nothing");
        assert!(shares.take(1, usize::MAX).is_none());
        drop(others);
    }

    #[test]
    fn nothing_is_remembered_of_who_has_nothing() {
        let shares = Shares::new(10, 4);
        let mine = shares.take(1, 1);
        drop(shares.take(2, 1));
        shares.sweep();
        assert_eq!((shares.by_account.len(), mine.is_some()), (1, true));
        assert!(shares.take(1, 4).is_none(), "and nothing is forgotten of who has something");
    }
}
