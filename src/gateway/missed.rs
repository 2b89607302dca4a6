//! Webhooks that nobody took, for the gateway was down or not to be reached: GitHub is asked to send
//! them again, each attempt by one node.

use ring::digest::{Context, SHA256};

use super::{Gateway, Snapshot};
use crate::github::REDELIVERED;
use crate::github::app::{AppError, Missed};
use crate::store::{Table, Unavailable};

/// Webhooks that are sent again at once; the others come the next time.
const MOST: usize = 200;

/// Why nothing is sent again now.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    GitHub(#[from] AppError),
    #[error(transparent)]
    Store(#[from] Unavailable),
}

// === impl Gateway ===

impl Gateway {
    /// Has GitHub send again what webhooks of the app were missed. Call it at the start, and then every
    /// [`MISSED_EVERY`](super::MISSED_EVERY).
    pub async fn recover_webhooks(&self, snapshot: &Snapshot) {
        let github = &snapshot.config.github;
        if github.app.is_none() || !github.takes_webhooks_of_the_app() || !github.redeliver {
            return;
        }
        match self.recover(snapshot).await {
            Ok(0) => {}
            Ok(count) => tracing::info!("GitHub was asked to send {count} missed webhooks again"),
            Err(trouble) => tracing::warn!("missed webhooks are not sent again yet: {trouble}"),
        }
    }

    async fn recover(&self, snapshot: &Snapshot) -> Result<usize, Trouble> {
        let missed = self.installations.missed(&snapshot.github).await?;
        let mut count = 0;
        for missed in missed.iter().take(MOST) {
            count += usize::from(self.send_again(snapshot, missed).await?);
        }
        Ok(count)
    }

    /// `false` when another node has seen to it, or GitHub cannot.
    async fn send_again(&self, snapshot: &Snapshot, missed: &Missed) -> Result<bool, Trouble> {
        let key = claim(snapshot.config.keys.realm(), missed);
        let end = self.clock.now() + REDELIVERED;
        if !self.store.insert(Table::Delivery, &key, Vec::new(), end).await? {
            return Ok(false);
        }
        let sent = self.installations.send_again(&snapshot.github, missed).await;
        if sent.is_err() {
            self.store.take(Table::Delivery, &key).await?;
        }
        Ok(sent?)
    }
}

/// One attempt at the webhooks of a realm's app: told from deliveries that were heeded, whose names
/// are keyed hashes.
fn claim(realm: u64, missed: &Missed) -> [u8; 32] {
    let mut digest = Context::new(&SHA256);
    for part in [&b"missed"[..], &realm.to_be_bytes(), &missed.attempt.to_be_bytes()] {
        digest.update(part);
    }
    digest.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}
