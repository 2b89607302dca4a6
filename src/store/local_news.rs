//! Announcements within one process: a short log that listeners read at their own pace.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::{Heard, Unavailable};
use crate::keys::random;

/// The log of a store that one process has for itself.
pub(super) struct LocalNews {
    log: Mutex<Log>,
    told: Notify,
    epoch: u64,
}

#[derive(Default)]
struct Log {
    /// The number of the first item in `items`.
    first: u64,
    items: VecDeque<Vec<u8>>,
}

/// Announcements that are kept for slow listeners.
const KEPT: usize = 10_000;

/// How long a listener waits at most.
const PATIENCE: Duration = Duration::from_secs(1);

// === impl LocalNews ===

impl LocalNews {
    pub(super) fn new() -> Self {
        let epoch = u64::from_ne_bytes(random());
        Self { log: Mutex::default(), told: Notify::new(), epoch }
    }

    pub(super) fn announce(&self, news: &[u8]) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.items.push_back(news.to_vec());
        if log.items.len() > KEPT {
            log.items.pop_front();
            log.first += 1;
        }
        drop(log);
        self.told.notify_waiters();
    }

    pub(super) async fn listen(&self, since: Option<&[u8]>) -> Result<Heard, Unavailable> {
        let Some(mark) = since else { return Ok(self.heard(u64::MAX)) };
        let mark: [u8; 8] = mark.try_into().map_err(|_| Unavailable("a foreign mark".into()))?;
        let since = u64::from_be_bytes(mark);
        // Ready to be told before looking, so that nothing falls between the two.
        let told = self.told.notified();
        let heard = self.heard(since);
        if !heard.news.is_empty() {
            return Ok(heard);
        }
        drop(tokio::time::timeout(PATIENCE, told).await);
        Ok(self.heard(since))
    }

    fn heard(&self, since: u64) -> Heard {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let known = usize::try_from(since.saturating_sub(log.first)).unwrap_or(usize::MAX);
        let end = log.first + log.items.len() as u64;
        Heard {
            news: log.items.iter().skip(known).cloned().collect(),
            mark: end.to_be_bytes().to_vec(),
            epoch: self.epoch,
        }
    }
}
