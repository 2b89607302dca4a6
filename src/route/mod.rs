//! Routes: which app answers for a host, a path and a method, and what it asks of visitors.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};

use crate::policy::{Facts, Policy};
use crate::secret::Secret;

mod api;
mod bearer;
mod instance;
mod passing;
mod redirects;
mod path;
mod table;

pub use api::{ActsAs, Api, LimitStatus};
pub use bearer::Bearer;
pub use instance::{InstanceSignIn, SignInBy};
pub use passing::{ForwardedFor, Passing, Resend};
pub use path::{HostPattern, PathPattern, PathPrefix};
pub use redirects::OwnRedirects;
pub use table::{Miss, RouteTable};

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
    /// What is behind it.
    pub upstream: Upstream,
    /// What other servers answer of it; the first that matches decides.
    pub parts: Vec<Part>,
    /// Who may pass where no rule says otherwise.
    pub policy: Policy,
    /// Paths that need no sign-in.
    pub public: Vec<PathPattern>,
    /// Stricter or different policies below the route; the first that matches decides.
    pub rules: Vec<Rule>,
    /// The preset whose keys are among its own.
    pub preset: Option<&'static str>,
    /// How visitors become users of the app, where it is an instance of the broker's.
    pub sign_in: Option<InstanceSignIn>,
    /// What is changed in a request on its way to the app.
    pub passing: Passing,
    /// Whether what a cookie brings and changes something must come from the route's own pages.
    pub same_origin: bool,
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

/// What is different in part of a route.
#[derive(Debug)]
pub struct Rule {
    /// Where it holds.
    pub path: PathPrefix,
    /// For which methods; `None` is all.
    pub methods: Option<Vec<Method>>,
    /// Who may pass there.
    pub entry: Entry,
    /// With which token of the app's own a program passes without a session.
    pub bearer: Option<Bearer>,
    /// What is watched so that the app leads nobody to another origin.
    pub redirects: Option<OwnRedirects>,
    /// What the gateway's own answers look like there.
    pub answers: Answers,
    /// The largest request body in bytes; `None` is the route's.
    pub body_limit: Option<u64>,
    /// Between two reads of the app's answer; `None` is the route's.
    pub read_timeout: Option<Duration>,
}

/// Who may pass where a rule holds.
#[derive(Debug)]
pub enum Entry {
    /// Whoever may where no rule holds.
    AsTheRoute,
    /// Whom this policy admits.
    Policy(Policy),
    /// Nobody.
    Closed,
}

/// What the gateway's own answers look like: refusals, and the question who is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answers {
    /// A page for a browser, and a redirect where that leads on; for others what they accept.
    #[default]
    Pages,
    /// JSON, and never a redirect.
    Json,
}

/// What is behind a route.
#[derive(Clone, Debug)]
pub enum Upstream {
    /// An app of the operator's.
    App(App),
    /// GitHub's API.
    GitHub(Api),
}

/// Where an app listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
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

/// Part of an app that a server of its own answers.
#[derive(Debug)]
pub struct Part {
    /// Where it begins.
    pub paths: Vec<PathPrefix>,
    /// The server.
    pub app: App,
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
    /// Between two reads of the app's answer. Does not apply to WebSockets and event streams.
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
    /// More than anybody has.
    Closed,
}

/// What a route asks of a request, and the number of the rule that holds for it.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'r> {
    /// What it asks.
    pub access: Access<'r>,
    /// The first rule that matches.
    pub rule: Option<usize>,
}

// === impl Route ===

impl Route {
    /// What the route asks of a request at this path: what the first rule that matches says, else
    /// whether the path is public, else the route's own policy.
    pub fn terms(&self, path: &str, method: &Method) -> Result<Terms<'_>, Miss> {
        let rule = self.rule_at(path, method)?;
        let access = match rule.map(|index| &self.rules[index].entry) {
            Some(Entry::Closed) => Access::Closed,
            Some(Entry::Policy(policy)) => Access::Guarded(policy, rule),
            _ if self.public.iter().any(|pattern| pattern.fits(path)) => Access::Public,
            _ => Access::Guarded(&self.policy, None),
        };
        Ok(Terms { access, rule })
    }

    /// The first rule that matches.
    fn rule_at(&self, path: &str, method: &Method) -> Result<Option<usize>, Miss> {
        let plainest = if self.rules.is_empty() { None } else { path::plainest(path) };
        for (index, rule) in self.rules.iter().enumerate() {
            if !takes(rule.methods.as_deref(), method) {
                continue;
            }
            if rule.path.covers(path) {
                return Ok(Some(index));
            }
            let mut readings = [Some(path), plainest.as_deref()].into_iter().flatten();
            if readings.any(|reading| rule.path.covers_without_case(reading)) {
                return Err(Miss::Ambiguous);
            }
        }
        Ok(None)
    }

    /// The policy by which a visitor was judged: a rule's, or its own.
    pub fn policy_of(&self, rule: Option<usize>) -> &Policy {
        let rule = rule.and_then(|index| self.rules.get(index));
        rule.and_then(Rule::policy).unwrap_or(&self.policy)
    }

    /// The app's servers: the route's own, then those of its parts. None for GitHub's API.
    pub fn servers(&self) -> impl Iterator<Item = &App> {
        let parts = self.parts.iter().map(|part| &part.app);
        self.upstream.app().into_iter().chain(parts)
    }

    /// Which of [`Self::servers`] answers for a path. Who may pass does not depend on it.
    pub fn server_at(&self, path: &str) -> usize {
        let covers = |part: &Part| part.paths.iter().any(|prefix| prefix.covers(path));
        self.parts.iter().position(covers).map_or(0, |part| part + 1)
    }

    /// The server of the app that answers for a path.
    pub fn app_at(&self, path: &str) -> Option<&App> {
        self.servers().nth(self.server_at(path))
    }

    /// What is watched of redirects where a rule holds.
    pub fn redirects(&self, rule: Option<usize>) -> Option<&OwnRedirects> {
        self.rules.get(rule?)?.redirects.as_ref()
    }

    /// Whether a request shows a token of the app's own, where a rule takes one.
    pub fn takes_token(
        &self,
        rule: Option<usize>,
        headers: &HeaderMap,
        query: Option<&str>,
    ) -> bool {
        let rule = rule.and_then(|index| self.rules.get(index));
        let bearer = rule.and_then(|rule| rule.bearer.as_ref());
        bearer.is_some_and(|bearer| bearer.is_shown(headers, query))
    }

    /// What the gateway's own answers look like to a request.
    pub fn answers(&self, path: &str, method: &Method) -> Answers {
        let rule = self.rule_at(path, method).ok().flatten();
        rule.map_or(Answers::Pages, |index| self.rules[index].answers)
    }

    /// The facts that its policies ask for.
    pub fn facts(&self) -> Facts {
        let policies = self.rules.iter().filter_map(Rule::policy);
        policies.fold(self.policy.facts(), |facts, policy| facts.and(policy.facts()))
    }
}

// === impl Rule ===

impl Rule {
    /// A rule that says nothing yet.
    pub fn new(path: PathPrefix, entry: Entry) -> Self {
        Self {
            path,
            methods: None,
            entry,
            bearer: None,
            redirects: None,
            answers: Answers::default(),
            body_limit: None,
            read_timeout: None,
        }
    }

    /// The policy that decides there, if it has one of its own.
    pub fn policy(&self) -> Option<&Policy> {
        match &self.entry {
            Entry::Policy(policy) => Some(policy),
            Entry::AsTheRoute | Entry::Closed => None,
        }
    }
}

/// Whether a list takes a method. Apps answer HEAD as they answer GET (RFC 9110 §9.3.2), so a list
/// with GET is a list with HEAD.
fn takes(methods: Option<&[Method]>, method: &Method) -> bool {
    let same = if method == Method::HEAD { &Method::GET } else { method };
    methods.is_none_or(|methods| methods.contains(method) || methods.contains(same))
}

// === impl Upstream ===

impl Upstream {
    /// The app, if it is one.
    pub fn app(&self) -> Option<&App> {
        match self {
            Self::App(app) => Some(app),
            Self::GitHub(_) => None,
        }
    }

    /// How GitHub's API is asked, if it is that.
    pub fn api(&self) -> Option<&Api> {
        match self {
            Self::App(_) => None,
            Self::GitHub(api) => Some(api),
        }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(app) => fmt::Display::fmt(app, f),
            Self::GitHub(api) => write!(f, "GitHub's API as {}", api.acts_as),
        }
    }
}

// === impl App ===

impl fmt::Display for App {
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

    /// A plain route, for the tests of this room.
    pub(super) fn route(name: &str, host: &str, path: &str) -> Route {
        let (wildcard, host) = host.strip_prefix("*.").map_or((false, host), |rest| (true, rest));
        Route {
            index: 0,
            name: name.into(),
            host: HostPattern { name: host.into(), wildcard, port: None },
            path: PathPrefix::new(path),
            methods: None,
            upstream: Upstream::App(App {
                address: UpstreamAddress::Tcp { host: "127.0.0.1".into(), port: 1 },
                tls: None,
            }),
            policy: Policy::default(),
            public: vec![],
            rules: vec![],
            preset: None,
            sign_in: None,
            passing: Passing::default(),
            same_origin: false,
            loose_paths: false,
            token: Token::default(),
            body_limit: 1,
            timeouts: Timeouts::default(),
            parts: vec![],
            preserve_host: true,
        }
    }

    #[test]
    fn the_first_part_that_covers_a_path_answers_there() {
        let mut app = route("app", "a", "/");
        let mut part = |port: u16, paths: &[&str]| {
            let address = UpstreamAddress::Tcp { host: "127.0.0.1".into(), port };
            let paths = paths.iter().map(|path| PathPrefix::new(path)).collect();
            app.parts.push(Part { paths, app: App { address, tls: None } });
        };
        part(2, &["/api/v1/files"]);
        part(3, &["/api", "/live"]);
        for (path, server) in [
            ("/", 1),
            ("/apis", 1),
            ("/API", 1),
            ("/api", 3),
            ("/api/v1/notes", 3),
            ("/live/", 3),
            ("/api/v1/files/7", 2),
        ] {
            let found = app.app_at(path).map(ToString::to_string);
            assert_eq!(found, Some(format!("http://127.0.0.1:{server}")), "{path}");
        }
    }

    #[test]
    fn rules_come_before_public_paths_and_the_route() {
        let mut app = route("app", "a", "/");
        app.public = vec![PathPattern::new("/share/*"), PathPattern::new("/healthz")];
        let only = Policy { anyone: true, ..Policy::default() };
        app.rules = vec![
            Rule::new(PathPrefix::new("/share/private"), Entry::Policy(only)),
            Rule::new(PathPrefix::new("/share/closed"), Entry::Closed),
            Rule::new(PathPrefix::new("/share/large"), Entry::AsTheRoute),
            Rule::new(PathPrefix::new("/large"), Entry::AsTheRoute),
        ];
        let access = |path: &str| match app.terms(path, &Method::GET).map(|terms| terms.access) {
            Ok(Access::Public) => "public",
            Ok(Access::Guarded(_, Some(_))) => "rule",
            Ok(Access::Guarded(_, None)) => "route",
            Ok(Access::Closed) => "closed",
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
            ("/share/private./x", "ambiguous"),
            ("/share/private%20", "ambiguous"),
            ("/share/private%3Bx", "ambiguous"),
            ("/share/private%23", "ambiguous"),
            ("/share/notes%20.", "public"),
            ("/share/closed/x", "closed"),
            ("/share/CLOSED", "ambiguous"),
            ("/share/closedx", "public"),
            ("/share/large/x", "public"),
            ("/large", "route"),
        ] {
            assert_eq!(access(path), what, "{path}");
        }
    }
}
