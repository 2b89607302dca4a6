//! The server: connections, TLS, upstreams and signals. The only room that names Pingora.
//!
//! Gatekeep accepts connections itself and hands each to Pingora's proxy, because limits on
//! connections, a deadline for the header and a stop without idle waiting need the accept loop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use pingora::apps::HttpServerOptions;
use pingora::proxy::{HttpProxy, http_proxy};
use pingora::server::configuration::ServerConf;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::config::{Config, Listener, ListenerKind, Problems, StoreKind};
use crate::gateway::{Gateway, Snapshot};
use crate::github::GitHubError;
use crate::log::AccessLog;
use crate::metrics::Metrics;
use crate::store::{ConnectError, KeysError, OpenError, SigningKeys, Stores};

mod admin;
mod admittance;
mod answer;
mod backend;
mod body;
mod client;
mod connection;
#[cfg(test)]
mod duplex;
mod header;
mod housekeeping;
mod listen;
mod onward;
mod pace;
mod proxy;
mod reload;
mod request_line;
mod room;
mod signing_keys;
mod stores;
mod tls;
mod unix_socket;
mod upload;
mod websocket;

use admittance::Admittance;
use backend::Backends;
use listen::Bound;
use proxy::Proxy;
use tls::{ByPlace, Certificates};

pub use unix_socket::SocketError;

/// A gateway with its sockets bound, not yet serving.
pub struct Server {
    shared: Arc<Shared>,
    listeners: Vec<(Bound, ListenerKind)>,
    admin: Option<std::net::TcpListener>,
    grace: Duration,
    threads: usize,
    file: Option<PathBuf>,
}

/// What the tasks of a server share.
struct Shared {
    gateway: Gateway,
    running: ArcSwap<Running>,
    admittance: Admittance,
    /// The certificates of each listener that has some, by its configured place.
    certificates: ByPlace,
    metrics: Arc<Metrics>,
    access_log: AccessLog,
}

/// One configuration in force, with its upstreams. A request takes one and keeps it.
struct Running {
    snapshot: Snapshot,
    backends: Backends,
}

/// Why a server cannot start. `Display` is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {0}: {1}; {hint}", hint = listen_hint(.1))]
    Listen(SocketAddr, std::io::Error),
    /// A Unix socket cannot be listened on.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// A certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] tls::CertificateError),
    /// The client for GitHub cannot be made.
    #[error(transparent)]
    GitHub(#[from] GitHubError),
    /// The embedded store cannot be opened.
    #[error(transparent)]
    Embedded(#[from] OpenError),
    /// Redis cannot be reached by these settings.
    #[error(transparent)]
    Redis(#[from] ConnectError),
    /// The configuration has problems.
    #[error("{0}")]
    Config(#[from] Problems),
    /// The master secret opens nothing of what the store has.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The system gives no threads.
    #[error("the system gives no threads to work with: {0}")]
    Threads(std::io::Error),
}

/// Idle HTTP/2 connections are closed, as idle HTTP/1.1 connections are.
const IDLE: Duration = Duration::from_secs(60);

/// Requests on one connection, so that memory held by a connection is given back.
const REQUESTS_PER_CONNECTION: u32 = 10_000;

/// How long a stop waits for what is written behind the answers.
const SETTLED_WITHIN: Duration = Duration::from_secs(2);

// === impl Server ===

impl Server {
    /// Binds every address. `file` is read again on reload.
    pub fn bind(
        config: Config,
        file: Option<PathBuf>,
        clock: Arc<dyn Clock>,
        access_log: AccessLog,
    ) -> Result<Self, StartError> {
        let metrics = Arc::new(Metrics::new());
        metrics.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let stores = stores::open(&config, &clock, &metrics)?;
        Self::bind_with(config, file, clock, stores, metrics, access_log)
    }

    /// The same with stores of the caller's: one for sessions, or one for each purpose.
    ///
    /// # Examples
    ///
    /// A programme of its own may keep GitHub's answers where it likes:
    ///
    /// ```no_run
    /// # use std::sync::Arc;
    /// # use gatekeep::{config::Config, log::AccessLog, metrics::Metrics};
    /// # use gatekeep::server::{Server, Stop};
    /// use gatekeep::clock::{System, Time};
    /// use gatekeep::freshness::tags::Tag;
    /// use gatekeep::store::{
    ///     Body, HeldResponses, Memory, Principal, ResponseKey, ResponseStore, Shared, Stores,
    ///     Unavailable, Validation,
    /// };
    ///
    /// /// Answers in memory, but none of people who are asked for by name.
    /// struct Discreet(HeldResponses, Vec<u64>);
    ///
    /// #[async_trait::async_trait]
    /// impl ResponseStore for Discreet {
    ///     async fn shown(
    ///         &self,
    ///         who: Principal,
    ///         key: &ResponseKey,
    ///     ) -> Result<Option<(Arc<Validation>, Body)>, Unavailable> {
    ///         self.0.shown(who, key).await
    ///     }
    ///
    ///     async fn shown_to_anybody(
    ///         &self,
    ///         key: &ResponseKey,
    ///     ) -> Result<Option<Shared>, Unavailable> {
    ///         self.0.shown_to_anybody(key).await
    ///     }
    ///
    ///     async fn note(
    ///         &self,
    ///         who: Principal,
    ///         key: ResponseKey,
    ///         validation: Arc<Validation>,
    ///         body: Body,
    ///     ) -> Result<(), Unavailable> {
    ///         if who.user().is_some_and(|id| self.1.contains(&id)) {
    ///             return Ok(());
    ///         }
    ///         self.0.note(who, key, validation, body).await
    ///     }
    ///
    ///     async fn forget(&self, who: Principal, key: &ResponseKey) -> Result<(), Unavailable> {
    ///         self.0.forget(who, key).await
    ///     }
    ///
    ///     async fn forget_all(&self, who: Principal) -> Result<(), Unavailable> {
    ///         self.0.forget_all(who).await
    ///     }
    ///
    ///     async fn forget_everything(&self) -> Result<(), Unavailable> {
    ///         self.0.forget_everything().await
    ///     }
    ///
    ///     async fn unshare(&self, owners: &[Tag]) -> Result<(), Unavailable> {
    ///         self.0.unshare(owners).await
    ///     }
    ///
    ///     async fn sweep(&self, now: Time) -> Result<(), Unavailable> {
    ///         self.0.sweep(now).await
    ///     }
    ///
    ///     fn bytes(&self) -> u64 {
    ///         self.0.bytes()
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = Config::load("gatekeep.yaml".as_ref())?;
    /// let clock = Arc::new(System);
    /// let answers = Discreet(HeldResponses::new(64 << 20), vec![583_231]);
    /// let stores = Stores {
    ///     sessions: Arc::new(Memory::new(clock.clone())),
    ///     answers: Some(Arc::new(answers)),
    /// };
    /// let (metrics, log) = (Arc::new(Metrics::new()), AccessLog::to_stdout());
    /// Server::bind_with(config, None, clock, stores, metrics, log)?.run(Stop::OnSignal)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn bind_with(
        config: Config,
        file: Option<PathBuf>,
        clock: Arc<dyn Clock>,
        stores: impl Into<Stores>,
        metrics: Arc<Metrics>,
        access_log: AccessLog,
    ) -> Result<Self, StartError> {
        let listeners = config
            .listen
            .iter()
            .map(|Listener { place, kind }| Ok((Bound::to(place)?, kind.clone())))
            .collect::<Result<_, StartError>>()?;
        let admin = config.admin.map(listen::bind).transpose()?;
        let (grace, threads) = (config.grace, config.threads);
        let gateway = Gateway::new(stores.into(), &config.cache, clock, metrics.clone())?;
        let admittance = Admittance::new(config.limits.clone(), metrics.clone());
        let certificates = Certificates::of_all(&config)?;
        let running = ArcSwap::from_pointee(Running::new(&gateway, config)?);
        let shared = Shared { gateway, running, admittance, certificates, metrics, access_log };
        let shared = Arc::new(shared);
        Ok(Self { shared, listeners, admin, grace, threads, file })
    }

    /// The addresses that are listened on, in the order of the configuration; Unix sockets have none.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|(bound, _)| bound.address()).collect()
    }

    /// The address of metrics, health and operators' commands.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(|socket| socket.local_addr().ok())
    }

    /// The signing keys, for whoever wants to see or to rotate them.
    pub fn signing_keys(&self) -> Arc<SigningKeys> {
        self.shared.gateway.signing_keys().clone()
    }

    /// Serves until `stop` says so, then lets requests in flight finish within the grace period.
    /// Returns as soon as the last one is done.
    pub fn run(self, stop: Stop) -> Result<(), StartError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(self.threads)
            .thread_name("gatekeep")
            .enable_all()
            .build()
            .map_err(StartError::Threads)?;
        runtime.block_on(self.serve(stop))
    }

    async fn serve(self, stop: Stop) -> Result<(), StartError> {
        let stop = stop.prepare();
        let places: Vec<_> = self.listeners.iter().map(|(bound, _)| bound.to_string()).collect();
        let admin = self.admin_address();
        let (shutdown, watch) = watch::channel(false);
        let proxy = Arc::new(self.proxy());
        self.shared.running.load().backends.resolve_now().await;
        let upkeep = signing_keys::Upkeep::begin(self.shared.clone()).await;
        for ((bound, kind), (_, certificates)) in
            self.listeners.into_iter().zip(&self.shared.certificates)
        {
            let acceptor = listen::Acceptor::new(&kind, certificates.as_ref());
            let entrance = listen::Entrance {
                shared: self.shared.clone(),
                proxy: proxy.clone(),
                acceptor: Arc::new(acceptor),
                watch: watch.clone(),
            };
            tokio::spawn(entrance.accept_from(bound.opened()?));
        }
        if let Some(socket) = self.admin {
            tokio::spawn(admin::serve(
                self.shared.clone(),
                listen::listener(socket)?,
                watch.clone(),
            ));
        }
        self.shared.say_where(&places, admin);
        housekeeping::begin(&self.shared);
        tokio::spawn(upkeep.go_on());
        if let Some(file) = self.file {
            tokio::spawn(reload::on_hangup(self.shared.clone(), file));
        }
        stop.await;
        tracing::info!("stopping: requests in flight have {:?} to finish", self.grace);
        let _ = shutdown.send(true);
        pingora::apps::HttpServerApp::http_cleanup(&*proxy).await;
        drop(tokio::time::timeout(self.grace, self.shared.admittance.all_gone()).await);
        // What is not written by then can be had again.
        drop(tokio::time::timeout(SETTLED_WITHIN, self.shared.gateway.settle()).await);
        Ok(())
    }

    fn proxy(&self) -> HttpProxy<Proxy> {
        let conf = Arc::new(ServerConf {
            threads: self.threads,
            max_retries: 3,
            upstream_keepalive_pool_size: 1024,
            ..ServerConf::default()
        });
        let mut proxy = http_proxy(&conf, Proxy::new(self.shared.clone()));
        let mut options = HttpServerOptions::default();
        options.keepalive_request_limit = Some(REQUESTS_PER_CONNECTION);
        options.h2_idle_timeout = Some(IDLE);
        proxy.server_options = Some(options);
        proxy
    }
}

/// When to stop.
#[derive(Debug)]
pub enum Stop {
    /// On SIGTERM or SIGINT.
    OnSignal,
    /// When the other end sends or is dropped.
    When(tokio::sync::oneshot::Receiver<()>),
}

// === impl Stop ===

impl Stop {
    /// Gets ready to be told: a signal that comes after this call is not lost.
    fn prepare(self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        match self {
            Self::When(told) => Box::pin(async move { drop(told.await) }),
            Self::OnSignal => {
                let caught = |kind| signal(kind).expect("signals can be caught");
                let mut terminate = caught(SignalKind::terminate());
                let mut interrupt = caught(SignalKind::interrupt());
                Box::pin(async move {
                    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
                })
            }
        }
    }
}

// === impl Running ===

impl Running {
    fn new(gateway: &Gateway, config: Config) -> Result<Self, GitHubError> {
        let backends = Backends::new(&config.routes);
        Ok(Self { snapshot: gateway.snapshot(config)?, backends })
    }
}

fn listen_hint(error: &std::io::Error) -> &'static str {
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        "ports below 1024 take the capability CAP_NET_BIND_SERVICE (or a higher port and a redirect)"
    } else {
        "is another program using it? `listen` and `admin` choose the addresses"
    }
}

// === impl Shared ===

impl Shared {
    fn say_where(&self, places: &[String], admin: Option<SocketAddr>) {
        for place in places {
            tracing::info!("listening on {place}");
        }
        if let Some(address) = admin {
            tracing::info!("metrics and health on http://{address}");
        }
        match &self.running.load().snapshot.config.store {
            StoreKind::Memory => {
                tracing::warn!("sessions are kept in memory: a restart signs everybody out");
            }
            StoreKind::Embedded(directory) => {
                tracing::info!("sessions are kept in {}", directory.display());
            }
            StoreKind::Redis(settings) => {
                tracing::info!("sessions are kept in Redis at {}", settings.urls.join(", "));
            }
        }
        let callback = self.running.load().snapshot.config.callback_url();
        tracing::info!("GitHub sends visitors back to {callback}");
    }
    fn count_dropped_lines(&self) {
        let dropped = i64::try_from(self.access_log.dropped()).unwrap_or(i64::MAX);
        self.metrics.access_log_dropped.set(dropped);
    }
}
