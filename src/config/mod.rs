//! The configuration: what an operator wrote in YAML, checked whole, and what it means.
//!
//! Two types and one way between them: `raw` mirrors the text, [`Config`] holds ready values, and
//! `check` goes from one to the other and reports every problem it finds with its place.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::broker::Broker;
use crate::github;
use crate::keys::Keys;
use crate::log;
use crate::origin::Origin;
use crate::policy::Facts;
use crate::route::{Route, RouteTable};
use crate::session::Lifetimes;

mod broken;
mod check;
mod describe;
mod field;
mod locate;
mod preset;
mod problem;
mod raw;
mod report;
mod scalar;
mod store;
mod suggest;
mod written;

pub(crate) use describe::{size, span};
pub use problem::{Problem, Problems};
pub use store::{Cache, StoreKind};

/// The configuration as meant. One request sees one of these from its beginning to its end.
#[derive(Debug)]
pub struct Config {
    /// Where browsers connect.
    pub listen: Vec<Listener>,
    /// The gateway's own origin: GitHub's callback, the tokens' issuer. Never derived from a request.
    pub public_url: Origin,
    /// Where the gateway's own paths live on every host, without a slash at the end.
    pub prefix: Box<str>,
    /// Where GitHub sends visitors back to, at `public_url`.
    pub callback_path: Box<str>,
    /// Where metrics and health are served.
    pub admin: Option<SocketAddr>,
    /// Whose `X-Forwarded-*` to believe.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether to believe whoever comes by a Unix socket, too.
    pub trusts_sockets: bool,
    /// The keys derived from the master secrets.
    pub keys: Keys,
    /// GitHub's addresses and the gateway's credentials there.
    pub github: github::Settings,
    /// Where sessions are kept.
    pub store: StoreKind,
    /// What is held open in this process.
    pub cache: Cache,
    /// How long sessions live.
    pub session: Lifetimes,
    /// How often GitHub is asked again who somebody is.
    pub recheck: Recheck,
    /// How often the key of identity tokens changes.
    pub rotate_signing_keys: Duration,
    /// Bounds on connections and requests.
    pub limits: Limits,
    /// Name and logo on the pages.
    pub branding: Branding,
    /// What is logged, and how.
    pub log: log::Settings,
    /// Worker threads.
    pub threads: usize,
    /// How long requests in flight may go on when the gateway is asked to stop.
    pub grace: Duration,
    /// The routes.
    pub routes: RouteTable,
    /// The instances of an app whose visitors sign in here, if there are any.
    pub broker: Option<Arc<Broker>>,
    /// Insecure choices that the operator spelled out: said aloud at the start.
    pub warnings: Vec<String>,
}

/// One place to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub place: ListenerPlace,
    /// What is spoken there.
    pub kind: ListenerKind,
}

/// Where a listener listens. `Display` is as logs and problems name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenerPlace {
    /// An address; port 0 takes a free one.
    Address(SocketAddr),
    /// A Unix socket, with the mode of its file.
    Socket(PathBuf, u32),
}

/// What a listener speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenerKind {
    /// Plain HTTP/1.1.
    Plain,
    /// TLS, the certificate chosen by SNI.
    Tls {
        /// The first answers clients that name no host, or another.
        certificates: Vec<CertificateFiles>,
        /// Whether HTTP/2 is offered beside HTTP/1.1 (ALPN, RFC 7301).
        http2: bool,
    },
    /// Plain HTTP that answers every request of a known host with the `https` address.
    RedirectToHttps,
}

/// A certificate chain and its key, both PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// How often organisations, teams and e-mail are asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recheck {
    /// As often.
    pub every: Duration,
    /// How long what is known last counts when GitHub gives no answer.
    pub grace: Duration,
}

/// Bounds that protect the gateway itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections in all.
    pub connections: usize,
    /// Open connections of one address (an IPv6 /64 counts as one).
    pub connections_per_address: usize,
    /// Time for a whole request header to arrive.
    pub header_timeout: Duration,
    /// Bytes of a request header, request line included.
    pub header_bytes: usize,
    /// Fields of a request header.
    pub header_fields: usize,
}

/// Name and logo on the pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branding {
    /// What the pages call this place.
    pub name: String,
    /// An `https:` URL, a path on the same origin, or a `data:` URI of an image.
    pub logo: Option<String>,
}

// === impl Default ===

impl Default for Recheck {
    fn default() -> Self {
        Self { every: Duration::from_secs(600), grace: Duration::from_secs(86_400) }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_address: 256,
            header_timeout: Duration::from_secs(15),
            header_bytes: 32 * 1024,
            header_fields: 100,
        }
    }
}

impl Default for Branding {
    fn default() -> Self {
        Self { name: "Gatekeep".to_owned(), logo: None }
    }
}

// === impl Config ===

impl Config {
    /// Reads and checks a configuration. `file` names it in problems and anchors relative paths;
    /// `env` looks up the variables that secrets name.
    pub fn parse(
        file: &std::path::Path,
        yaml: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Problems> {
        check::parse(file, yaml, env)
    }

    /// Reads and checks a configuration file.
    pub fn load(file: &std::path::Path) -> Result<Self, Problems> {
        let yaml = std::fs::read_to_string(file).map_err(|e| Problems::unreadable(file, &e))?;
        Self::parse(file, &yaml, &|name| std::env::var(name).ok())
    }

    /// The callback URL to register at GitHub.
    pub fn callback_url(&self) -> String {
        format!("{}{}", self.public_url, self.callback_path)
    }

    /// The origin of a route at one of its hosts: what browsers show in the address bar.
    pub fn origin_of(&self, route: &Route, host: &str) -> Origin {
        let port = route.host.port.or(self.public_url.port());
        Origin::new(self.public_url.is_secure(), host, port)
    }

    /// The facts that some policy asks for.
    pub fn facts(&self) -> Facts {
        let of_instances = self.broker.as_ref().map_or_else(Facts::default, |it| it.facts());
        self.routes.facts().and(of_instances)
    }

    /// Whether something answers at this host.
    pub fn serves(&self, host: &str) -> bool {
        host == self.public_url.host() || self.routes.knows_host(host) || self.brokers_at(host)
    }

    /// Whether the broker answers at this host.
    pub fn brokers_at(&self, host: &str) -> bool {
        self.broker.as_ref().is_some_and(|broker| broker.is_at(host))
    }

    /// The origin of the broker at one of its hosts.
    fn is_brokers(&self, origin: &Origin) -> bool {
        let public = &self.public_url;
        let own = || Origin::new(public.is_secure(), origin.host(), public.port());
        self.brokers_at(origin.host()) && *origin == own()
    }

    /// Whether browsers may be sent to this origin: the gateway's own, or a route's.
    pub fn owns_origin(&self, origin: &Origin) -> bool {
        *origin == self.public_url
            || self.is_brokers(origin)
            || self.routes.iter().any(|route| {
                route.host.fits(origin.host()) && self.origin_of(route, origin.host()) == *origin
            })
    }

    /// Whether an origin is ours by its very name, not merely by a wildcard, whose names may lead
    /// elsewhere.
    pub fn names_origin(&self, origin: &Origin) -> bool {
        *origin == self.public_url
            || self.is_brokers(origin)
            || self.routes.iter().any(|route| {
                !route.host.wildcard
                    && route.host.fits(origin.host())
                    && self.origin_of(route, origin.host()) == *origin
            })
    }

    /// Whether this address may speak for others in `X-Forwarded-*`. Who comes by a Unix socket has none.
    pub fn trusts(&self, peer: Option<IpAddr>) -> bool {
        match peer {
            Some(peer) => self.trusted_proxies.iter().any(|net| net.contains(&peer)),
            None => self.trusts_sockets,
        }
    }

    /// The configuration as meant, in YAML, with every secret redacted.
    pub fn describe(&self) -> String {
        describe::describe(self)
    }
}

// === impl ListenerPlace ===

impl fmt::Display for ListenerPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Socket(path, _) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A shared configuration.
pub type Snapshot = Arc<Config>;
