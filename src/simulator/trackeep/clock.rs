//! The instance's own time, which tests move.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use crate::simulator::{calendar, record::lock};

#[derive(Debug)]
pub(super) struct Clock {
    started: Instant,
    /// Seconds from 1970 to the start.
    epoch: Duration,
    skipped: Mutex<Duration>,
}

// === impl Clock ===

impl Default for Clock {
    fn default() -> Self {
        let epoch = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        Self { started: Instant::now(), epoch, skipped: Mutex::default() }
    }
}

impl Clock {
    /// Time since the start, with what was skipped.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed() + *lock(&self.skipped)
    }

    /// The present in seconds since 1970.
    pub(super) fn unix(&self) -> i64 {
        i64::try_from((self.epoch + self.now()).as_secs()).unwrap_or(i64::MAX)
    }

    pub(super) fn advance(&self, by: Duration) {
        *lock(&self.skipped) += by;
    }
}

/// `2026-01-31T08:05:09Z`.
pub(super) fn written(unix: i64) -> String {
    calendar::written(u64::try_from(unix).unwrap_or_default())
}
