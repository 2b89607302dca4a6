//! Upstreams: addresses resolved off the request path, and Pingora's peers made ready from them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use pingora::protocols::tls::CaType;
use pingora::upstreams::peer::{HttpPeer, PeerOptions};
use pingora::utils::tls::{WrappedX509, parse_x509};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::task::JoinSet;

use crate::route::{App, Route, RouteTable, UpstreamAddress, UpstreamTls};

/// How often names are looked up again.
pub(super) const RESOLVE_EVERY: Duration = Duration::from_secs(15);

/// For one look-up.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// The apps of a configuration, by the route's place in it; each with all its servers.
pub(super) struct Backends(Vec<Vec<Arc<Backend>>>);

/// One upstream.
pub(super) struct Backend {
    address: UpstreamAddress,
    tls: bool,
    sni: String,
    options: PeerOptions,
    group: u64,
    peers: ArcSwap<Vec<HttpPeer>>,
    turn: AtomicUsize,
}

// === impl Backends ===

impl Backends {
    pub(super) fn new(routes: &RouteTable) -> Self {
        Self(routes.iter().map(|route| backends_of(route)).collect())
    }

    /// One of a route's servers; `None` for GitHub's API, which Pingora does not reach.
    pub(super) fn of(&self, route: &Route, server: usize) -> Option<&Backend> {
        self.0.get(route.index)?.get(server).map(|backend| &**backend)
    }

    /// Looks every name up, all at once. What cannot be resolved keeps its last addresses.
    pub(super) async fn resolve_now(&self) {
        let mut looking = JoinSet::new();
        for backend in self.0.iter().flatten().filter(|backend| backend.has_name()) {
            let backend = backend.clone();
            looking.spawn(async move { backend.resolve().await });
        }
        while looking.join_next().await.is_some() {}
    }
}

// === impl Backend ===

impl Backend {
    /// One of the route's servers, and which.
    fn new(route: &Route, number: usize, app: &App) -> Self {
        let timeouts = route.timeouts;
        let mut options = PeerOptions::new();
        options.connection_timeout = Some(timeouts.connect);
        options.total_connection_timeout = Some(timeouts.connect * 2);
        options.read_timeout = Some(timeouts.read);
        options.write_timeout = Some(timeouts.write);
        options.idle_timeout = Some(timeouts.idle);
        options.ca = app.tls.as_ref().and_then(trusted);
        let backend = Self {
            address: app.address.clone(),
            tls: app.tls.is_some(),
            sni: app.tls.as_ref().map(|tls| tls.server_name.to_string()).unwrap_or_default(),
            options,
            group: group_of(route, number, app),
            peers: ArcSwap::default(),
            turn: AtomicUsize::new(0),
        };
        backend.peers.store(Arc::new(backend.known_peers()));
        backend
    }

    /// The next peer; `None` while the name has never been resolved.
    pub(super) fn next(&self) -> Option<Box<HttpPeer>> {
        let peers = self.peers.load();
        let turn = if peers.len() > 1 { self.turn.fetch_add(1, Ordering::Relaxed) } else { 0 };
        peers.get(turn % peers.len().max(1)).map(|peer| Box::new(peer.clone()))
    }

    /// Addresses that need no look-up.
    fn known_peers(&self) -> Vec<HttpPeer> {
        match &self.address {
            UpstreamAddress::Unix(path) => {
                let path = path.to_string_lossy();
                HttpPeer::new_uds(&path, self.tls, self.sni.clone())
                    .map(|peer| vec![self.dressed(peer)])
                    .inspect_err(|e| tracing::error!("the socket {path} cannot be used: {e}"))
                    .unwrap_or_default()
            }
            UpstreamAddress::Tcp { host, port } => bare(host)
                .parse::<IpAddr>()
                .map(|ip| vec![self.peer_at(SocketAddr::new(ip, *port))])
                .unwrap_or_default(),
        }
    }

    /// Whether the address is a name that must be looked up.
    fn has_name(&self) -> bool {
        matches!(&self.address, UpstreamAddress::Tcp { host, .. } if bare(host).parse::<IpAddr>().is_err())
    }

    async fn resolve(&self) {
        let UpstreamAddress::Tcp { host, port } = &self.address else { return };
        let looking = tokio::net::lookup_host((&**host, *port));
        match tokio::time::timeout(RESOLVE_TIMEOUT, looking).await {
            Ok(Ok(addresses)) => {
                let mut addresses: Vec<_> = addresses.collect();
                addresses.sort_unstable();
                addresses.dedup();
                let peers = addresses.into_iter().map(|address| self.peer_at(address)).collect();
                self.peers.store(Arc::new(peers));
            }
            Ok(Err(error)) => tracing::warn!("the upstream {host} cannot be resolved: {error}"),
            Err(_) => tracing::warn!("the upstream {host} cannot be resolved in time"),
        }
    }

    fn peer_at(&self, address: SocketAddr) -> HttpPeer {
        self.dressed(HttpPeer::new(address, self.tls, self.sni.clone()))
    }

    fn dressed(&self, mut peer: HttpPeer) -> HttpPeer {
        peer.options = self.options.clone();
        peer.group_key = self.group;
        peer
    }
}

fn backends_of(route: &Route) -> Vec<Arc<Backend>> {
    let servers = route.servers().enumerate();
    servers.map(|(number, app)| Arc::new(Backend::new(route, number, app))).collect()
}

/// An IPv6 address without its brackets; anything else as it is.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Pingora's pool does not look at CA and time-outs: routes that differ in them, also before and
/// after a reload, do not share connections.
fn group_of(route: &Route, number: usize, app: &App) -> u64 {
    let mut hasher = DefaultHasher::new();
    let ca = app.tls.as_ref().and_then(|tls| tls.ca.as_deref());
    let timeouts = &route.timeouts;
    (route.index, number, ca, timeouts.connect, timeouts.read, timeouts.write).hash(&mut hasher);
    hasher.finish()
}

/// The certificates that an upstream is checked against, instead of the system's.
fn trusted(tls: &UpstreamTls) -> Option<Arc<CaType>> {
    let pem = tls.ca.as_ref()?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .filter_map(Result::ok)
        .map(|der| WrappedX509::new(der.to_vec(), parse_x509))
        .collect();
    Some(certificates.into())
}
