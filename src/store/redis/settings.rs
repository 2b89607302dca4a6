//! How to reach Redis, and what is wrong with settings that cannot work.

use std::fmt;
use std::time::Duration;

use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    RedisConnectionInfo, TlsCertificates, TlsMode,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use url::Url;

use crate::secret::Secret;

/// How to reach Redis, Valkey or Dragonfly.
#[derive(Clone)]
pub struct RedisSettings {
    /// `redis://host:port[/db]`, `rediss://…` (TLS) or `unix:///path[?db=n]`: one server, or some
    /// nodes of a cluster, or the sentinels. No credentials in here.
    pub urls: Vec<String>,
    /// What the URLs are.
    pub mode: RedisMode,
    /// The user of an access control list; without one, `password` is the default user's.
    pub username: Option<String>,
    /// The password at Redis. Sentinels are asked without one.
    pub password: Option<Secret<String>>,
    /// PEM certificates that are trusted instead of the system's.
    pub ca: Option<Vec<u8>>,
    /// What every key begins with.
    pub prefix: String,
    /// What one operation may take in all.
    pub timeout: Duration,
}

/// What kind of Redis the URLs lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisMode {
    /// One server.
    Single,
    /// Sentinels, which know the present master of a group by its name.
    Sentinel {
        /// That name.
        master: String,
    },
    /// Nodes of a cluster, which know the others.
    Cluster,
}

/// Why these settings lead nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// Nothing to connect to, or too much.
    #[error("A single Redis takes one URL, sentinels and clusters take one or more; here are {0}.")]
    Count(usize),
    /// Not a URL of Redis.
    #[error(
        "Redis URL number {0} is none: write redis://host:port, rediss://host:port or unix:///path, \
         with a database's number at the end of the first two (redis://host:port/1) if need be."
    )]
    Url(usize),
    /// URLs end up in logs.
    #[error(
        "Redis URL number {0} holds credentials: give the user name and the password in their own \
         settings, where they are kept out of logs."
    )]
    Credentials(usize),
    /// A mix of TLS and plain, or of databases.
    #[error("All Redis URLs must agree: the same scheme, and the same database.")]
    Mixed,
    /// Sentinels and cluster nodes are told by host and port.
    #[error("Sentinels and clusters are reached by host and port, not over a Unix socket.")]
    Socket,
    /// Clusters have one database.
    #[error("A cluster has no databases by number: take the number from the end of the URL.")]
    Database,
    /// A CA for plain TCP.
    #[error("A certificate authority for Redis is given, but no URL begins with rediss://.")]
    NoTls,
    /// Not PEM, or nothing in it.
    #[error("The certificate authority for Redis is not a PEM file with certificates.")]
    Ca,
    /// Globs and separators would mix tables up.
    #[error("The prefix of the keys must be letters, digits, `.`, `_`, `-`, `:`, `{{` or `}}`.")]
    Prefix,
    /// No time at all.
    #[error("The time limit of an operation must not be zero.")]
    Timeout,
    /// Whatever else the client library objects to.
    #[error("Redis cannot be used with these settings: {0}.")]
    Client(&'static str),
}

/// Whom to ask for connections.
pub(super) enum Target {
    Single(Client),
    /// It keeps connections to the sentinels, so one task asks at a time.
    Sentinel(tokio::sync::Mutex<SentinelClient>),
    Cluster(Box<redis::cluster::ClusterClient>),
}

/// A URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Address {
    addr: ConnectionAddr,
    db: i64,
}

// === impl RedisSettings ===

impl Default for RedisSettings {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            mode: RedisMode::Single,
            username: None,
            password: None,
            ca: None,
            prefix: "gatekeep".into(),
            timeout: Duration::from_millis(250),
        }
    }
}

impl fmt::Debug for RedisSettings {
    /// A URL that wrongly holds credentials does not show them either.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSettings")
            .field("urls", &self.urls.iter().map(|url| redacted(url)).collect::<Vec<_>>())
            .field("mode", &self.mode)
            .field("username", &self.username)
            .field("password", &self.password)
            .field("ca", &self.ca.as_ref().map(Vec::len))
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .finish()
    }
}

impl RedisSettings {
    /// Whom to ask, if that makes sense; nothing is asked yet.
    pub(super) fn target(&self) -> Result<Target, ConnectError> {
        self.check()?;
        let addresses = self.addresses()?;
        match &self.mode {
            RedisMode::Single => self.single(&addresses[0]),
            RedisMode::Sentinel { master } => self.sentinel(addresses, master),
            RedisMode::Cluster => self.cluster(&addresses),
        }
    }

    fn check(&self) -> Result<(), ConnectError> {
        let count = self.urls.len();
        if count == 0 || (self.mode == RedisMode::Single && count > 1) {
            return Err(ConnectError::Count(count));
        }
        // `*`, `?`, `[` and `\` mean something in a pattern, and scans use one.
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:{}".contains(&byte);
        if self.prefix.is_empty() || !self.prefix.bytes().all(fits) {
            return Err(ConnectError::Prefix);
        }
        if self.timeout.is_zero() {
            return Err(ConnectError::Timeout);
        }
        Ok(())
    }

    fn addresses(&self) -> Result<Vec<Address>, ConnectError> {
        let numbered = self.urls.iter().enumerate();
        let addresses: Vec<_> =
            numbered.map(|(n, url)| Address::parse(n + 1, url)).collect::<Result<_, _>>()?;
        let first = &addresses[0];
        let agrees = |other: &Address| other.is_tls() == first.is_tls() && other.db == first.db;
        let socket = |address: &Address| matches!(address.addr, ConnectionAddr::Unix(_));
        if self.mode != RedisMode::Single && addresses.iter().any(socket) {
            return Err(ConnectError::Socket);
        }
        if self.mode == RedisMode::Cluster && first.db != 0 {
            return Err(ConnectError::Database);
        }
        if !addresses.iter().all(agrees) {
            return Err(ConnectError::Mixed);
        }
        self.check_ca(first)?;
        Ok(addresses)
    }

    fn check_ca(&self, first: &Address) -> Result<(), ConnectError> {
        let Some(ca) = &self.ca else { return Ok(()) };
        if !first.is_tls() {
            return Err(ConnectError::NoTls);
        }
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca) {
            let certificate = certificate.map_err(|_| ConnectError::Ca)?;
            roots.add(certificate).map_err(|_| ConnectError::Ca)?;
        }
        if roots.is_empty() { Err(ConnectError::Ca) } else { Ok(()) }
    }

    fn certificates(&self) -> Option<TlsCertificates> {
        let ca = self.ca.clone()?;
        Some(TlsCertificates { client_tls: None, root_cert: Some(ca) })
    }

    fn single(&self, address: &Address) -> Result<Target, ConnectError> {
        let info = self.connection_info(address)?;
        let client = match self.certificates() {
            Some(certificates) => Client::build_with_tls(info, certificates),
            None => Client::open(info),
        };
        client.map(Target::Single).map_err(|_| ConnectError::Client("its address is refused"))
    }

    fn sentinel(&self, addresses: Vec<Address>, master: &str) -> Result<Target, ConnectError> {
        let refused = |_| ConnectError::Client("the sentinels' addresses are refused");
        let (tls, db) = (addresses[0].is_tls(), addresses[0].db);
        let sentinels = addresses.into_iter().map(|address| address.addr);
        let mut builder = SentinelClientBuilder::new(sentinels, master, SentinelServerType::Master)
            .map_err(refused)?
            .set_client_to_redis_db(db)
            .set_client_to_redis_protocol(ProtocolVersion::RESP3)
            .set_client_to_redis_tcp_settings(tcp())
            .set_client_to_sentinel_tcp_settings(tcp());
        if tls {
            builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
        }
        if let Some(certificates) = self.certificates() {
            builder = builder
                .set_client_to_sentinel_certificates(certificates.clone())
                .set_client_to_redis_certificates(certificates);
        }
        if let Some(username) = &self.username {
            builder = builder.set_client_to_redis_username(username);
        }
        if let Some(password) = &self.password {
            builder = builder.set_client_to_redis_password(password.expose());
        }
        let client = builder.build().map_err(refused)?;
        Ok(Target::Sentinel(tokio::sync::Mutex::new(client)))
    }

    /// The library's own retries are off: it would repeat writes whose outcome is unknown.
    fn cluster(&self, addresses: &[Address]) -> Result<Target, ConnectError> {
        let nodes: Vec<_> = addresses
            .iter()
            .map(|address| self.connection_info(address))
            .collect::<Result<_, _>>()?;
        let mut builder = redis::cluster::ClusterClientBuilder::new(nodes)
            .retries(0)
            .use_protocol(ProtocolVersion::RESP3)
            .tcp_settings(tcp())
            .connection_timeout(self.timeout)
            .response_timeout(self.timeout);
        if let Some(certificates) = self.certificates() {
            builder = builder.certs(certificates);
        }
        let client = builder.build();
        client
            .map(|client| Target::Cluster(Box::new(client)))
            .map_err(|_| ConnectError::Client("its nodes are refused"))
    }

    /// RESP3, because its connections say when they have broken.
    fn connection_info(&self, address: &Address) -> Result<ConnectionInfo, ConnectError> {
        let mut server =
            RedisConnectionInfo::default().set_db(address.db).set_protocol(ProtocolVersion::RESP3);
        if let Some(username) = &self.username {
            server = server.set_username(username);
        }
        if let Some(password) = &self.password {
            server = server.set_password(password.expose());
        }
        let info = address.addr.clone().into_connection_info();
        let info = info.map_err(|_| ConnectError::Client("its address is refused"))?;
        Ok(info.set_redis_settings(server).set_tcp_settings(tcp()))
    }
}

// === impl Address ===

impl Address {
    fn parse(number: usize, text: &str) -> Result<Self, ConnectError> {
        let wrong = || ConnectError::Url(number);
        let url = Url::parse(text).map_err(|_| wrong())?;
        let secret = |(key, _): (std::borrow::Cow<'_, str>, _)| key != "db";
        if !url.username().is_empty() || url.password().is_some() || url.query_pairs().any(secret) {
            return Err(ConnectError::Credentials(number));
        }
        if url.fragment().is_some() {
            return Err(wrong());
        }
        let address = match url.scheme() {
            "unix" => Self::socket(&url),
            "redis" if url.query().is_none() => Self::host(&url, ConnectionAddr::Tcp),
            "rediss" if url.query().is_none() => Self::host(&url, |host, port| {
                ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
            }),
            _ => None,
        };
        address.ok_or_else(wrong)
    }

    fn socket(url: &Url) -> Option<Self> {
        let path = url.to_file_path().ok().filter(|path| path.file_name().is_some())?;
        let db = match url.query_pairs().next() {
            Some((_, db)) => db.parse().ok()?,
            None => 0,
        };
        Some(Self { addr: ConnectionAddr::Unix(path), db })
    }

    fn host(url: &Url, addr: impl Fn(String, u16) -> ConnectionAddr) -> Option<Self> {
        let host = match url.host()? {
            url::Host::Domain("") => return None,
            url::Host::Domain(name) => name.to_owned(),
            url::Host::Ipv4(ip) => ip.to_string(),
            // Without the brackets that it has in a URL.
            url::Host::Ipv6(ip) => ip.to_string(),
        };
        let db = match url.path().trim_matches('/') {
            "" => 0,
            db => db.parse::<u16>().ok()?,
        };
        Some(Self { addr: addr(host, url.port().unwrap_or(6379)), db: db.into() })
    }

    fn is_tls(&self) -> bool {
        matches!(self.addr, ConnectionAddr::TcpTls { .. })
    }
}

fn tcp() -> redis::io::tcp::TcpSettings {
    // Commands are small and must not wait for more.
    redis::io::tcp::TcpSettings::default().set_nodelay(true)
}

/// A URL without what may be secret in it.
fn redacted(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://[redacted]@{rest}"),
        (None, Some((_, rest))) => format!("[redacted]@{rest}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(urls: &[&str], change: impl FnOnce(&mut RedisSettings)) -> Option<ConnectError> {
        let urls = urls.iter().map(|&url| url.to_owned()).collect();
        let mut settings = RedisSettings { urls, ..RedisSettings::default() };
        change(&mut settings);
        settings.target().err()
    }

    #[test]
    fn urls_are_checked() {
        let is = |url: &str, wanted: Option<ConnectError>| {
            assert_eq!(problem(&[url], |_| ()), wanted, "{url}");
        };
        for good in [
            "redis://localhost",
            "redis://127.0.0.1:7000/3",
            "redis://[::1]:7000",
            "rediss://redis.example.com:6380",
            "unix:///run/redis/redis.sock",
            "unix:///run/redis/redis.sock?db=2",
        ] {
            is(good, None);
        }
        for bad in [
            "",
            "localhost:6379",
            "http://localhost",
            "redis://",
            "redis://localhost/first",
            "rediss://localhost#insecure",
            "unix://host/run/redis.sock",
            "unix:///",
            "unix:///run/redis.sock?db=x",
            "redis://localhost?db=1",
        ] {
            is(bad, Some(ConnectError::Url(1)));
        }
        for secret in ["redis://:x@localhost", "redis://u@localhost", "unix:///s?password=x"] {
            is(secret, Some(ConnectError::Credentials(1)));
        }
    }

    #[test]
    fn settings_that_lead_nowhere_are_refused() {
        let (one, two) = ("redis://a", "redis://b");
        let cluster = |settings: &mut RedisSettings| settings.mode = RedisMode::Cluster;
        let sentinel = |settings: &mut RedisSettings| {
            settings.mode = RedisMode::Sentinel { master: "main".into() };
        };
        assert_eq!(problem(&[], cluster), Some(ConnectError::Count(0)));
        assert_eq!(problem(&[one, two], |_| ()), Some(ConnectError::Count(2)));
        assert_eq!(problem(&[one, two], cluster), None);
        assert_eq!(problem(&["redis://a/1", "redis://b/1"], sentinel), None);
        assert_eq!(problem(&[one, "rediss://b"], sentinel), Some(ConnectError::Mixed));
        assert_eq!(problem(&[one, "redis://b/1"], sentinel), Some(ConnectError::Mixed));
        assert_eq!(problem(&["unix:///s"], sentinel), Some(ConnectError::Socket));
        assert_eq!(problem(&["redis://a/1"], cluster), Some(ConnectError::Database));
        assert_eq!(problem(&[one], |s| s.ca = Some(vec![])), Some(ConnectError::NoTls));
        let rubbish = |s: &mut RedisSettings| s.ca = Some(b"rubbish".to_vec());
        assert_eq!(problem(&["rediss://a"], rubbish), Some(ConnectError::Ca));
        assert_eq!(problem(&[one], |s| s.prefix = "a*".into()), Some(ConnectError::Prefix));
        assert_eq!(problem(&[one], |s| s.prefix.clear()), Some(ConnectError::Prefix));
        assert_eq!(problem(&[one], |s| s.timeout = Duration::ZERO), Some(ConnectError::Timeout));
    }

    #[test]
    fn debug_shows_no_credentials() {
        let settings = RedisSettings {
            urls: ["redis://user:hunter2@host:1", "unix:///s?password=hunter2", "hunter2@host"]
                .map(str::to_owned)
                .to_vec(),
            password: Some(Secret::new("hunter2".into())),
            ..RedisSettings::default()
        };
        let text = format!("{settings:?}");
        assert!(text.contains("host:1") && !text.contains("hunter2"), "{text}");
    }
}
