//! The upkeep of the signing keys: had before the first request, looked at every minute.

use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use crate::keys::SYNC_EVERY;
use crate::store::{Changed, KeysError, Unavailable};

/// Keeps this node's signing keys those of the store.
pub(super) struct Upkeep {
    shared: Arc<Shared>,
    /// How it went the last time: only a change is told.
    last: Result<(), KeysError>,
}

/// How long the start, or one look later, waits for the store.
const PATIENCE: Duration = Duration::from_secs(5);

/// How soon to try again when it did not go well.
const RETRY_AFTER: Duration = Duration::from_secs(2);

// === impl Upkeep ===

impl Upkeep {
    /// Looks for the first time. Without an answer the server starts all the same: other routes
    /// and pages work.
    pub(super) async fn begin(shared: Arc<Shared>) -> Self {
        let mut upkeep = Self { shared, last: Ok(()) };
        upkeep.look().await;
        upkeep
    }

    /// Looks again and again, sooner after a failure.
    pub(super) async fn go_on(mut self) {
        loop {
            tokio::time::sleep(if self.last.is_ok() { SYNC_EVERY } else { RETRY_AFTER }).await;
            self.look().await;
        }
    }

    async fn look(&mut self) {
        let running = self.shared.running.load_full();
        let synced = self.shared.gateway.sync_keys(&running.snapshot.config);
        let synced = tokio::time::timeout(PATIENCE, synced).await.unwrap_or_else(|_| {
            Err(Unavailable(format!("no word of the signing keys within {PATIENCE:?}")).into())
        });
        if let Ok(changed) = synced {
            say(changed);
        }
        let now = synced.map(drop);
        match &now {
            Err(error) if now != self.last => tracing::error!("{error}"),
            Ok(()) if self.last.is_err() => tracing::info!("the signing keys can be had again"),
            _ => {}
        }
        self.last = now;
    }
}

fn say(changed: Changed) {
    match changed {
        Changed::Made => tracing::info!("the first signing key was made"),
        Changed::Rotated => tracing::info!("a new signing key is published, and will sign soon"),
        Changed::PutBack => {
            tracing::warn!("the store had lost signing keys; those in use were put back");
        }
        Changed::Nothing | Changed::Tidied | Changed::Learned => {}
    }
}
