//! How many connections there may be, in all and of one address: each counted from its first byte
//! to its last.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::config::Limits;
use crate::metrics::Metrics;

/// Counts connections and refuses those above the limits.
pub(super) struct Admittance {
    limits: Limits,
    metrics: Arc<Metrics>,
    open: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
    gone: Notify,
}

/// A counted connection; dropping it makes room.
pub(super) struct Place {
    admittance: Arc<super::Shared>,
    address: IpAddr,
}

// === impl Admittance ===

impl Admittance {
    pub(super) fn new(limits: Limits, metrics: Arc<Metrics>) -> Self {
        let by_address = Mutex::new(HashMap::new());
        Self { limits, metrics, open: AtomicUsize::new(0), by_address, gone: Notify::new() }
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

    fn of_address(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Place ===

impl Place {
    /// Counts a new connection, unless it is one too many.
    pub(super) fn take(shared: &Arc<super::Shared>, peer: SocketAddr) -> Option<Self> {
        let admittance = &shared.admittance;
        let address = counted_address(peer.ip());
        if admittance.open.fetch_add(1, Ordering::SeqCst) >= admittance.limits.connections {
            admittance.open.fetch_sub(1, Ordering::SeqCst);
            admittance.refuse("connections");
            return None;
        }
        let mut by_address = admittance.of_address();
        let count = by_address.entry(address).or_default();
        *count += 1;
        // A trusted proxy brings everybody's connections.
        let is_one = !shared.running.load().snapshot.config.trusts(peer.ip().to_canonical());
        let too_many = is_one && *count > admittance.limits.connections_per_address;
        drop(by_address);
        admittance.metrics.connections.inc();
        // Made before the check, so that dropping it takes both counts back.
        let place = Self { admittance: shared.clone(), address };
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
        let mut by_address = admittance.of_address();
        if let Some(count) = by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&self.address);
            }
        }
        drop(by_address);
        admittance.metrics.connections.dec();
        if admittance.open.fetch_sub(1, Ordering::SeqCst) == 1 {
            admittance.gone.notify_waiters();
        }
    }
}

/// One household: an IPv4 address, or the /64 of an IPv6 address.
fn counted_address(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let network = v6.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(std::net::Ipv6Addr::from_bits(network))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_counts_as_one() {
        for (address, counted) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(counted_address(address), counted.parse::<IpAddr>().unwrap());
        }
    }
}
