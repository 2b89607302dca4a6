//! What other nodes are still to be told.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::store::Happened;

/// What happened and was not told yet, gathered so that much of it costs one announcement.
#[derive(Default)]
pub(super) struct Outbox {
    waiting: Mutex<Happened>,
    filled: Notify,
}

// === impl Outbox ===

impl Outbox {
    pub(super) fn put(&self, happened: Happened) {
        self.waiting().merge(happened);
        self.filled.notify_one();
    }

    /// All that waits, once there is something.
    pub(super) async fn take(&self) -> Happened {
        loop {
            let taken = mem::take(&mut *self.waiting());
            if !taken.is_empty() {
                return taken;
            }
            self.filled.notified().await;
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Happened> {
        // Lists hold whatever happened to whoever held them.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
