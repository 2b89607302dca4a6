//! How many connections there may be, in all and of one address: each counted from its first byte
//! to its last.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::allowance::household;
use crate::config::Limits;
use crate::metrics::Metrics;

/// Counts connections and refuses those above the limits.
pub(super) struct Admittance {
    limits: Limits,
    metrics: Arc<Metrics>,
    open: AtomicUsize,
    by_source: Mutex<HashMap<Source, usize>>,
    gone: Notify,
}

/// A counted connection; dropping it makes room.
pub(super) struct Place {
    admittance: Arc<super::Shared>,
    source: Source,
}

/// Where a connection comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// An address of the network.
    Address(IpAddr),
    /// A Unix socket: nobody knows more of who comes there, so all of them together are one.
    Socket(Arc<Path>),
}

// === impl Admittance ===

impl Admittance {
    pub(super) fn new(limits: Limits, metrics: Arc<Metrics>) -> Self {
        let by_source = Mutex::new(HashMap::new());
        Self { limits, metrics, open: AtomicUsize::new(0), by_source, gone: Notify::new() }
    }

    /// Waits until the last connection is closed.
    pub(super) async fn all_gone(&self) {
        loop {
            let gone = self.gone.notified();
            if self.open.load(Ordering::SeqCst) == 0 {
                return;
            }
            gone.await;
        }
    }

    fn refuse(&self, limit: &str) {
        self.metrics.connections_refused.with_label_values(&[limit]).inc();
    }

    fn of_source(&self) -> std::sync::MutexGuard<'_, HashMap<Source, usize>> {
        self.by_source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Place ===

impl Place {
    /// Counts a new connection, unless it is one too many.
    pub(super) fn take(shared: &Arc<super::Shared>, source: Source) -> Option<Self> {
        let admittance = &shared.admittance;
        // A trusted proxy brings everybody's connections.
        let is_one = !shared.running.load().snapshot.config.trusts(source.address());
        let source = source.counted();
        if admittance.open.fetch_add(1, Ordering::SeqCst) >= admittance.limits.connections {
            admittance.open.fetch_sub(1, Ordering::SeqCst);
            admittance.refuse("connections");
            return None;
        }
        let mut by_source = admittance.of_source();
        let count = by_source.entry(source.clone()).or_default();
        *count += 1;
        let too_many = is_one && *count > admittance.limits.connections_per_address;
        drop(by_source);
        admittance.metrics.connections.inc();
        // Made before the check, so that dropping it takes both counts back.
        let place = Self { admittance: shared.clone(), source };
        if too_many {
            admittance.refuse("connections_per_address");
            return None;
        }
        Some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let admittance = &self.admittance.admittance;
        let mut by_source = admittance.of_source();
        if let Some(count) = by_source.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                by_source.remove(&self.source);
            }
        }
        drop(by_source);
        admittance.metrics.connections.dec();
        if admittance.open.fetch_sub(1, Ordering::SeqCst) == 1 {
            admittance.gone.notify_waiters();
        }
    }
}

// === impl Source ===

impl Source {
    /// The address, where there is one.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Socket(_) => None,
        }
    }

    /// Those that count as one.
    fn counted(self) -> Self {
        match self {
            Self::Address(address) => Self::Address(household(address)),
            socket @ Self::Socket(_) => socket,
        }
    }
}
