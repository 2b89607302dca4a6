//! Routes: which app answers for a host, a path and a method, and what it asks of visitors.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Method;

use crate::policy::{Facts, Policy};
use crate::secret::Secret;
use crate::target::Target;

/// One entry of `routes:`, as meant.
#[derive(Debug)]
pub struct Route {
    /// Its place in the table, given by the table.
    pub index: usize,
    /// The operator's name for it; the label in logs and metrics.
    pub name: Box<str>,
    /// The host it answers for.
    pub host: HostPattern,
    /// The path it begins at.
    pub path: PathPrefix,
    /// The methods it takes; `None` takes every method that the gateway forwards.
    pub methods: Option<Vec<Method>>,
    /// The app behind it.
    pub upstream: Upstream,
    /// Who may pass where no rule says otherwise.
    pub policy: Policy,
    /// Paths that need no sign-in.
    pub public: Vec<PathPattern>,
    /// Stricter or different policies below the route; the first that matches decides.
    pub rules: Vec<Rule>,
    /// Takes paths with encoded slashes and `;`, byte for byte.
    pub loose_paths: bool,
    /// How the app is told who the visitor is.
    pub token: Token,
    /// The largest request body in bytes.
    pub body_limit: u64,
    /// How long the app may take.
    pub timeouts: Timeouts,
    /// Forward the client's Host (the default) or the upstream's own.
    pub preserve_host: bool,
}

/// A policy for part of a route.
#[derive(Debug)]
pub struct Rule {
    /// Where it holds.
    pub path: PathPrefix,
    /// For which methods; `None` is all.
    pub methods: Option<Vec<Method>>,
    /// Who may pass there.
    pub policy: Policy,
}

/// `notes.example.com`, or `*.example.com` for exactly one label more, with the port that browsers
/// use for it when it is not the scheme's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPattern {
    /// The host in canonical form, or what follows `*.`.
    pub name: Box<str>,
    /// Whether one more label stands before the name.
    pub wildcard: bool,
    /// The public port, where the configuration names one.
    pub port: Option<u16>,
}

/// A path and everything below it, by whole segments: `/api` covers `/api` and `/api/x`, never
/// `/apix`. Stored without a slash at the end; the root is empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PathPrefix(Box<str>);

/// `/healthz` is that path alone; `/share/*` is everything below `/share/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPattern {
    /// This path and no other.
    Exact(Box<str>),
    /// Whatever begins with this path, which ends in a slash.
    Below(Box<str>),
}

/// Where an app listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// The address.
    pub address: UpstreamAddress,
    /// TLS towards the app, for `https://`.
    pub tls: Option<UpstreamTls>,
}

/// The address of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamAddress {
    /// A host name or IP address, and a port.
    Tcp {
        /// The name, resolved in the background.
        host: Box<str>,
        /// The port.
        port: u16,
    },
    /// A Unix domain socket.
    Unix(PathBuf),
}

/// TLS towards an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTls {
    /// The name in the certificate; also sent as SNI.
    pub server_name: Box<str>,
    /// Certificates in PEM to trust instead of the system's.
    pub ca: Option<Arc<Vec<u8>>>,
}

/// How the app is told who the visitor is, beside the plain `X-Forwarded-*` headers.
#[derive(Debug, Clone)]
pub struct Token {
    /// The signature.
    pub algorithm: Algorithm,
    /// Sent as `Authorization: Bearer` instead of `X-Gatekeep-Jwt`.
    pub bearer: bool,
    /// The `aud` claim; `None` is the route's own origin.
    pub audience: Option<Box<str>>,
}

/// How an identity token is signed.
#[derive(Debug, Clone)]
pub enum Algorithm {
    /// ECDSA with P-256; the public keys are published.
    Es256,
    /// HMAC-SHA-256 with a secret that the app shares.
    Hs256(Secret<Vec<u8>>),
}

/// Time limits of the upstream leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a TCP connection to stand.
    pub connect: Duration,
    /// Between two reads of the app's answer. Does not apply to `WebSocket`s and event streams.
    pub read: Duration,
    /// For one write to the app.
    pub write: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
}

/// What a route asks of a request.
#[derive(Clone, Copy, Debug)]
pub enum Access<'r> {
    /// Nothing.
    Public,
    /// A visitor whom this policy admits; the number tells a rule's policy from the route's.
    Guarded(&'r Policy, Option<usize>),
}

/// Why no route takes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Miss {
    /// No route for this host and path.
    #[error("no route is configured for this host and path")]
    NoRoute,
    /// The routes at this path do not take the method.
    #[error("the route takes other methods")]
    Method,
    /// Two routes or rules differ from this path in letter case alone, or the path is loose where
    /// only plain ones are taken.
    #[error("the path can be read in two ways on this route")]
    Ambiguous,
}

/// All routes, found by host and path in a time that does not depend on their number.
#[derive(Debug, Default)]
pub struct RouteTable {
    routes: Vec<Arc<Route>>,
    exact: HashMap<Box<str>, HostRoutes>,
    wildcard: HashMap<Box<str>, HostRoutes>,
}

/// The routes of one host.
#[derive(Debug, Default)]
struct HostRoutes {
    by_prefix: HashMap<Box<str>, Vec<usize>>,
    /// Lower-case prefix to the prefix as configured; `None` when two differ in case alone.
    by_folded: HashMap<Box<str>, Option<Box<str>>>,
    /// Segments of the longest prefix.
    depth: usize,
    /// Whether some prefix has capitals.
    capitals: bool,
}

// === impl RouteTable ===

impl RouteTable {
    /// Builds the table. Whether routes clash is the configuration's business.
    pub fn new(mut routes: Vec<Route>) -> Self {
        routes.iter_mut().enumerate().for_each(|(index, route)| route.index = index);
        let routes = routes.into_iter().map(Arc::new).collect();
        let mut table = Self { routes, ..Self::default() };
        for (index, route) in table.routes.iter().enumerate() {
            let hosts = if route.host.wildcard { &mut table.wildcard } else { &mut table.exact };
            hosts.entry(route.host.name.clone()).or_default().insert(&route.path, index);
        }
        table
    }

    /// Every route, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.iter()
    }

    /// The route for a target: an exact host before a wildcard, then the longest path. The method
    /// is judged last, so that a method list narrows a route and never opens a shorter one.
    pub fn find(&self, target: &Target<'_>, method: &Method) -> Result<&Arc<Route>, Miss> {
        let host = self.host_routes(target.host()).ok_or(Miss::NoRoute)?;
        let indices = host.longest(target.path())?;
        let route = indices
            .iter()
            .map(|&index| &self.routes[index])
            .find(|route| takes(route.methods.as_deref(), method))
            .ok_or(Miss::Method)?;
        if target.is_loose() && !route.loose_paths {
            return Err(Miss::Ambiguous);
        }
        Ok(route)
    }

    /// Whether some route answers for this host.
    pub fn knows_host(&self, host: &str) -> bool {
        self.host_routes(host).is_some()
    }

    /// The facts that some policy asks for.
    pub fn facts(&self) -> Facts {
        self.routes.iter().fold(Facts::default(), |facts, route| facts.and(route.facts()))
    }

    fn host_routes(&self, host: &str) -> Option<&HostRoutes> {
        self.exact.get(host).or_else(|| {
            let (_, parent) = host.split_once('.')?;
            self.wildcard.get(parent)
        })
    }
}

// === impl HostRoutes ===

impl HostRoutes {
    fn insert(&mut self, path: &PathPrefix, index: usize) {
        let prefix = path.as_str();
        self.by_prefix.entry(prefix.into()).or_default().push(index);
        self.by_folded
            .entry(prefix.to_ascii_lowercase().into())
            .and_modify(|known| {
                if known.as_deref() != Some(prefix) {
                    *known = None;
                }
            })
            .or_insert_with(|| Some(prefix.into()));
        self.depth = self.depth.max(prefix.matches('/').count());
        self.capitals |= prefix.bytes().any(|b| b.is_ascii_uppercase());
    }

    /// The routes at the longest prefix of a path. A path that a server without regard to case
    /// would take elsewhere is ambiguous.
    fn longest(&self, path: &str) -> Result<&[usize], Miss> {
        let exact = self.prefixes(path).find_map(|prefix| self.by_prefix.get_key_value(prefix));
        if self.depth > 0 && (self.capitals || path.bytes().any(|b| b.is_ascii_uppercase())) {
            let lower = path.to_ascii_lowercase();
            let folded = self.prefixes(&lower).find_map(|prefix| self.by_folded.get(prefix));
            let agrees = match (folded, exact) {
                (Some(Some(folded)), Some((prefix, _))) => folded == prefix,
                // Configured in both spellings: the operator has told them apart.
                (Some(None), Some((prefix, _))) => !prefix.is_empty(),
                (folded, None) => folded.is_none(),
                (None, Some(_)) => false,
            };
            if !agrees {
                return Err(Miss::Ambiguous);
            }
        }
        exact.map(|(_, indices)| indices.as_slice()).ok_or(Miss::NoRoute)
    }

    /// The prefixes of a path by whole segments, the longest that can be configured first.
    fn prefixes<'p>(&self, path: &'p str) -> impl Iterator<Item = &'p str> {
        let deepest = path.match_indices('/').nth(self.depth + 1).map_or(path.len(), |(at, _)| at);
        let first = path[..deepest].strip_suffix('/').unwrap_or(&path[..deepest]);
        std::iter::successors(Some(first), |prefix| prefix.rfind('/').map(|at| &prefix[..at]))
    }
}

// === impl Route ===

impl Route {
    /// What the route asks of a request at this path: the first rule that matches, else whether the
    /// path is public, else the route's own policy.
    pub fn access(&self, path: &str, method: &Method) -> Result<Access<'_>, Miss> {
        for (index, rule) in self.rules.iter().enumerate() {
            if !takes(rule.methods.as_deref(), method) {
                continue;
            }
            if rule.path.covers(path) {
                return Ok(Access::Guarded(&rule.policy, Some(index)));
            }
            if rule.path.covers_without_case(path) {
                return Err(Miss::Ambiguous);
            }
        }
        if self.public.iter().any(|pattern| pattern.fits(path)) {
            return Ok(Access::Public);
        }
        Ok(Access::Guarded(&self.policy, None))
    }

    /// The facts that its policies ask for.
    pub fn facts(&self) -> Facts {
        let own = self.policy.facts();
        self.rules.iter().fold(own, |facts, rule| facts.and(rule.policy.facts()))
    }
}

fn takes(methods: Option<&[Method]>, method: &Method) -> bool {
    methods.is_none_or(|methods| methods.contains(method))
}

// === impl PathPrefix, PathPattern, HostPattern, Upstream ===

impl PathPrefix {
    /// Makes a prefix of a canonical path.
    pub fn new(path: &str) -> Self {
        Self(path.trim_end_matches('/').into())
    }

    /// Without a slash at the end; the root is empty.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a path is this one or below it.
    pub fn covers(&self, path: &str) -> bool {
        path.strip_prefix(&*self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The same for a server that does not regard case.
    fn covers_without_case(&self, path: &str) -> bool {
        path.get(..self.0.len()).is_some_and(|start| start.eq_ignore_ascii_case(&self.0))
            && path[self.0.len()..].bytes().next().is_none_or(|b| b == b'/')
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.0)
    }
}

impl PathPattern {
    /// Reads a canonical path, with `/*` at its end for everything below.
    pub fn new(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(start) if start.ends_with('/') => Self::Below(start.into()),
            _ => Self::Exact(text.into()),
        }
    }

    /// Whether a path fits; in the very case.
    pub fn fits(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == &**exact,
            Self::Below(start) => path.starts_with(&**start),
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => f.write_str(path),
            Self::Below(start) => write!(f, "{start}*"),
        }
    }
}

impl HostPattern {
    /// Whether a canonical host fits.
    pub fn fits(&self, host: &str) -> bool {
        if self.wildcard {
            host.split_once('.').is_some_and(|(_, parent)| parent == &*self.name)
        } else {
            host == &*self.name
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.wildcard { "*." } else { "" }, self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        match &self.address {
            UpstreamAddress::Tcp { host, port } => write!(f, "{scheme}://{host}:{port}"),
            UpstreamAddress::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

// === impl Default ===

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            read: Duration::from_secs(60),
            write: Duration::from_secs(60),
            idle: Duration::from_secs(60),
        }
    }
}

impl Default for Token {
    fn default() -> Self {
        Self { algorithm: Algorithm::Es256, bearer: false, audience: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(name: &str, host: &str, path: &str) -> Route {
        let (wildcard, host) = host.strip_prefix("*.").map_or((false, host), |rest| (true, rest));
        Route {
            index: 0,
            name: name.into(),
            host: HostPattern { name: host.into(), wildcard, port: None },
            path: PathPrefix::new(path),
            methods: None,
            upstream: Upstream {
                address: UpstreamAddress::Tcp { host: "127.0.0.1".into(), port: 1 },
                tls: None,
            },
            policy: Policy::default(),
            public: vec![],
            rules: vec![],
            loose_paths: false,
            token: Token::default(),
            body_limit: 1,
            timeouts: Timeouts::default(),
            preserve_host: true,
        }
    }

    fn find(table: &RouteTable, host: &str, path: &str, method: &Method) -> Result<String, Miss> {
        let target =
            Target::parse(path.as_bytes(), std::iter::once(host.as_bytes()), None).unwrap();
        table.find(&target, method).map(|route| route.name.to_string())
    }

    #[test]
    fn the_longest_match_wins() {
        let table = RouteTable::new(vec![
            route("root", "a.example", "/"),
            route("api", "a.example", "/api/"),
            route("deep", "a.example", "/api/v1/deep"),
            route("wild", "*.example", "/"),
            route("only", "b.example", "/only"),
        ]);
        for (host, path, name) in [
            ("a.example", "/", Ok("root")),
            ("a.example", "/apix", Ok("root")),
            ("a.example", "/api", Ok("api")),
            ("a.example", "/api/", Ok("api")),
            ("a.example", "/api/v1/x/y/z/w", Ok("api")),
            ("a.example", "/api/v1/deep/er", Ok("deep")),
            ("c.example", "/api", Ok("wild")),
            ("x.c.example", "/", Err(Miss::NoRoute)),
            ("example", "/", Err(Miss::NoRoute)),
            ("b.example", "/", Err(Miss::NoRoute)),
            ("b.example", "/only/", Ok("only")),
            ("a.example", "/API/x", Err(Miss::Ambiguous)),
            ("a.example", "/Other", Ok("root")),
        ] {
            let found = find(&table, host, path, &Method::GET);
            assert_eq!(found, name.map(str::to_owned), "{host}{path}");
        }
    }

    #[test]
    fn a_method_list_narrows_and_never_opens_a_shorter_route() {
        let mut reads = route("reads", "a.example", "/api");
        reads.methods = Some(vec![Method::GET]);
        let mut writes = route("writes", "a.example", "/api");
        writes.methods = Some(vec![Method::POST]);
        let table = RouteTable::new(vec![route("root", "a.example", "/"), reads, writes]);
        assert_eq!(find(&table, "a.example", "/api", &Method::GET), Ok("reads".into()));
        assert_eq!(find(&table, "a.example", "/api", &Method::POST), Ok("writes".into()));
        assert_eq!(find(&table, "a.example", "/api", &Method::PUT), Err(Miss::Method));
    }

    #[test]
    fn capitals_in_a_configured_path_are_not_folded_away() {
        let table = RouteTable::new(vec![route("r", "a", "/"), route("api", "a", "/API")]);
        assert_eq!(find(&table, "a", "/API/x", &Method::GET), Ok("api".into()));
        assert_eq!(find(&table, "a", "/api/x", &Method::GET), Err(Miss::Ambiguous));
        let both = RouteTable::new(vec![route("u", "a", "/API"), route("l", "a", "/api")]);
        assert_eq!(find(&both, "a", "/API/x", &Method::GET), Ok("u".into()));
        assert_eq!(find(&both, "a", "/api/x", &Method::GET), Ok("l".into()));
    }

    #[test]
    fn loose_paths_need_a_loose_route() {
        let mut loose = route("loose", "l", "/");
        loose.loose_paths = true;
        let table = RouteTable::new(vec![loose, route("strict", "s", "/")]);
        assert_eq!(find(&table, "l", "/a%2Fb;c", &Method::GET), Ok("loose".into()));
        assert_eq!(find(&table, "s", "/a%2Fb", &Method::GET), Err(Miss::Ambiguous));
        assert_eq!(find(&table, "s", "/a;b", &Method::GET), Err(Miss::Ambiguous));
    }

    #[test]
    fn rules_come_before_public_paths_and_the_route() {
        let mut app = route("app", "a", "/");
        app.public = vec![PathPattern::new("/share/*"), PathPattern::new("/healthz")];
        let only = Policy { anyone: true, ..Policy::default() };
        app.rules =
            vec![Rule { path: PathPrefix::new("/share/private"), methods: None, policy: only }];
        let access = |path: &str| match app.access(path, &Method::GET) {
            Ok(Access::Public) => "public",
            Ok(Access::Guarded(_, Some(_))) => "rule",
            Ok(Access::Guarded(_, None)) => "route",
            Err(_) => "ambiguous",
        };
        for (path, what) in [
            ("/healthz", "public"),
            ("/healthz/", "route"),
            ("/HEALTHZ", "route"),
            ("/share/x", "public"),
            ("/share", "route"),
            ("/sharex", "route"),
            ("/share/private", "rule"),
            ("/share/private/x", "rule"),
            ("/share/privatex", "public"),
            ("/share/Private/x", "ambiguous"),
        ] {
            assert_eq!(access(path), what, "{path}");
        }
    }
}
