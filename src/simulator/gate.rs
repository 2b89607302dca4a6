//! A gate where requests wait until a test lets them through.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use super::record::lock;

/// Holds requests back until [`Gate::release`]: what order things happen in is the test's choice.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    open: watch::Sender<bool>,
    arrived: Mutex<usize>,
    somebody_came: Condvar,
}

// === impl Gate ===

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        let open = watch::Sender::new(false);
        Self(Arc::new(Inner { open, arrived: Mutex::new(0), somebody_came: Condvar::new() }))
    }

    /// Lets everybody through, those who wait and those who come later.
    pub fn release(&self) {
        self.0.open.send_replace(true);
    }

    /// How many requests have come to the gate so far, let through or not.
    pub fn arrived(&self) -> usize {
        *lock(&self.0.arrived)
    }

    /// Blocks until this many requests have come; `false` if they don't within the limit.
    pub fn wait_for(&self, count: usize, limit: Duration) -> bool {
        let arrived = lock(&self.0.arrived);
        let missing = |arrived: &mut usize| *arrived < count;
        let outcome = self.0.somebody_came.wait_timeout_while(arrived, limit, missing);
        !outcome.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    pub(super) async fn pass(&self) {
        *lock(&self.0.arrived) += 1;
        self.0.somebody_came.notify_all();
        // The sender lives in this very gate, so waiting can only end by opening.
        let _ = self.0.open.subscribe().wait_for(|open| *open).await;
    }
}
