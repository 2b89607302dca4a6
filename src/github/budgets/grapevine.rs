//! What other nodes are still to be told of GitHub's limits: they need not meet each themselves.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::store::Limit;

/// Limits that were met and not told of yet.
#[derive(Default)]
pub(super) struct Grapevine {
    waiting: Mutex<Vec<Limit>>,
    filled: Notify,
}

/// Of so many that wait the first give way: who has nobody to tell tells nobody.
const MOST: usize = 1000;

// === impl Grapevine ===

impl Grapevine {
    pub(super) fn put(&self, limits: impl Iterator<Item = Limit>) {
        let mut waiting = self.waiting();
        let before = waiting.len();
        waiting.extend(limits);
        if waiting.len() == before {
            return;
        }
        let surplus = waiting.len().saturating_sub(MOST);
        waiting.drain(..surplus);
        drop(waiting);
        self.filled.notify_one();
    }

    /// All that waits, once there is something.
    pub(super) async fn take(&self) -> Vec<Limit> {
        loop {
            let taken = mem::take(&mut *self.waiting());
            if !taken.is_empty() {
                return taken;
            }
            self.filled.notified().await;
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Limit>> {
        // A list holds whatever happened to whoever held it.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
