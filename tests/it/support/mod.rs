//! The world of a test: the simulated GitHub, an app, and the gateway between them, each on a free
//! port, each ended when the test ends.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use gatekeep::clock::{Manual, Time};
use gatekeep::config::Config;
use gatekeep::keys::Keys;
use gatekeep::log::AccessLog;
use gatekeep::metrics::Metrics;
use gatekeep::server::{Server, StartError, Stop};
use gatekeep::simulator::{Echo, EchoSettings, Simulator};
use gatekeep::store::{Memory, SigningKeys, Store, Stores};

pub(crate) mod browser;
pub(crate) mod child;
pub(crate) mod ears;
pub(crate) mod fuse;
pub(crate) mod http;
pub(crate) mod journal;
pub(crate) mod nodes;
pub(crate) mod real_trackeep;
pub(crate) mod redis;
pub(crate) mod redis_nodes;
pub(crate) mod toxic;
pub(crate) mod upstream;
pub(crate) mod webdriver;

use browser::Browser;
use http::Response;

/// A gateway that runs in this process until it is dropped.
pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) admin: SocketAddr,
    /// What is registered at GitHub.
    pub(crate) callback: String,
    /// The gateway's time: moved by hand.
    pub(crate) clock: Arc<Manual>,
    /// What is derived from the master secret.
    pub(crate) keys: Keys,
    /// The gateway's own, so that a test can do at once what happens every minute.
    pub(crate) signing_keys: Arc<SigningKeys>,
    log: Lines,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// GitHub, an app, and the gateway.
pub(crate) struct World {
    pub(crate) github: Simulator,
    pub(crate) app: Echo,
    pub(crate) gate: Gate,
}

/// What the access log wrote.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

/// The gateway's own origin in most tests: https, with the TLS ended before it.
pub(crate) const PUBLIC: &str = "https://auth.example.com";

/// The routes of most tests. `@APP@` is the app's URL.
pub(crate) const ROUTES: &str = r"
  - name: app
    host: app.example.com
    upstream: @APP@
    allow: { orgs: [acme] }
    public: [/public/*, /healthz]
    rules:
      - { path: /admin, allow: { teams: [acme/admins] } }
  - name: open
    host: auth.example.com
    upstream: @APP@
    allow: anyone
";

impl World {
    /// The usual world.
    pub(crate) fn new() -> Self {
        Self::with("", ROUTES)
    }

    /// A world with further top-level keys and routes of the test's own.
    pub(crate) fn with(keys: &str, routes: &str) -> Self {
        Self::build(keys, routes, |clock| Arc::new(Memory::new(clock)))
    }

    /// A world in which the gateway is a GitHub App.
    pub(crate) fn with_app(routes: &str) -> Self {
        Self::with("github.timeout: 5s, app: @GITHUB_APP@\n", routes)
    }

    /// A world on a store of the test's own.
    pub(crate) fn build(
        keys: &str,
        routes: &str,
        store: impl FnOnce(Arc<Manual>) -> Arc<dyn Store>,
    ) -> Self {
        Self::launch(keys, routes, |yaml| Gate::start(yaml, store))
    }

    /// A world whose gateway opens the stores that its configuration names.
    pub(crate) fn configured(keys: &str, routes: &str) -> Self {
        Self::launch(keys, routes, Gate::configured)
    }

    /// A world around a gateway of the test's own.
    pub(crate) fn launch(keys: &str, routes: &str, gate: impl FnOnce(&str) -> Gate) -> Self {
        let any = "127.0.0.1:0".parse().expect("an address");
        let github = Simulator::start(any).expect("the simulator starts");
        Self::of_both(github, keys, routes, gate)
    }

    /// The usual world around a GitHub of the test's own.
    pub(crate) fn around(github: Simulator, keys: &str, routes: &str) -> Self {
        Self::of_both(github, keys, routes, |yaml| {
            Gate::start(yaml, |clock| Arc::new(Memory::new(clock)))
        })
    }

    fn of_both(
        github: Simulator,
        keys: &str,
        routes: &str,
        gate: impl FnOnce(&str) -> Gate,
    ) -> Self {
        let any = "127.0.0.1:0".parse().expect("an address");
        let app = Echo::start(any, EchoSettings { jwks_url: None, prefix: "/.gatekeep".into() })
            .expect("the app starts");
        let yaml = yaml(&github, keys, &routes.replace("@APP@", app.url()));
        let gate = gate(&yaml);
        github.register_callback(&gate.callback);
        Self { github, app, gate }
    }

    /// A browser without any cookie.
    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.gate.address)
    }

    /// A browser signed in as somebody, standing on the page asked for.
    pub(crate) fn signed_in(&self, person: &str, url: &str) -> (Browser, Response) {
        let mut browser = self.browser();
        let page = self.sign_in(&mut browser, person, url);
        (browser, page)
    }

    /// Signs in from a protected page and returns that page.
    pub(crate) fn sign_in(&self, browser: &mut Browser, person: &str, url: &str) -> Response {
        let authorize = self.authorize_url(browser, url);
        let callback = self.github.approve(&authorize, person);
        browser.follow(&callback).1
    }

    /// Asks for a protected page and follows until GitHub asks; returns GitHub's address.
    pub(crate) fn authorize_url(&self, browser: &mut Browser, url: &str) -> String {
        let mut at = url.to_owned();
        for _ in 0..5 {
            let response = browser.get(&at);
            assert_eq!(response.status, 303, "{at}: {}", response.text());
            at = browser::join(&at, response.location());
            if at.starts_with(self.github.url()) {
                return at;
            }
        }
        panic!("GitHub was never asked; the last address is {at}");
    }
}

/// The configuration of a world. A first line `github.timeout: 1s` goes into `github:`, and there
/// `app: @GITHUB_APP@` makes the gateway a GitHub App.
pub(crate) fn yaml(github: &Simulator, keys: &str, routes: &str) -> String {
    let (url, api) = (github.web_url(), github.api_url());
    let (timeout, keys) = keys
        .strip_prefix("github.timeout: ")
        .and_then(|rest| rest.split_once('\n'))
        .unwrap_or(("5s", keys));
    let (number, [key, _]) = (github.app_id(), github.app_private_keys());
    let app = format!("{{ id: {number}, private_key: {key:?} }}");
    let timeout = timeout.replace("@GITHUB_APP@", &app);
    let (id, secret) = (github.client_id(), github.client_secret());
    let public = if keys.contains("public_url:") {
        String::new()
    } else {
        format!("public_url: {PUBLIC}\n")
    };
    let listen =
        if keys.contains("listen:") { "" } else { "listen: [{ address: '127.0.0.1:0' }]\n" };
    let grace = if keys.contains("grace:") { "" } else { "grace: 5s\n" };
    let admin = if keys.contains("admin:") { "" } else { "admin: 127.0.0.1:0\n" };
    format!(
        "{listen}{public}{admin}secret: k3yZ-for-tests-0123456789-abcdefghijklmnop\n\
         github: {{ client_id: '{id}', client_secret: '{secret}', web: '{url}', api: '{api}', timeout: {timeout} }}\n\
         threads: 2\n{grace}{keys}\nroutes:{routes}"
    )
}

impl Gate {
    /// Starts a gateway from YAML.
    pub(crate) fn start(yaml: &str, store: impl FnOnce(Arc<Manual>) -> Arc<dyn Store>) -> Self {
        Self::start_file(yaml, None, store)
    }

    /// The same, reading `file` again on SIGHUP.
    pub(crate) fn start_file(
        yaml: &str,
        file: Option<&Path>,
        store: impl FnOnce(Arc<Manual>) -> Arc<dyn Store>,
    ) -> Self {
        Self::launch(yaml, file, |config, clock, log| {
            let (metrics, file) = (Arc::new(Metrics::new()), file.map(Path::to_owned));
            Server::bind_with(config, file, clock.clone(), store(clock), metrics, log)
        })
    }

    /// A gateway on the stores that its configuration names.
    pub(crate) fn configured(yaml: &str) -> Self {
        Self::launch(yaml, None, |config, clock, log| Server::bind(config, None, clock, log))
    }

    /// A gateway whose answers of GitHub are kept as the test wants it.
    pub(crate) fn keeping(
        yaml: &str,
        stores: impl FnOnce(&Config, Arc<Manual>, Arc<Metrics>) -> Stores,
    ) -> Self {
        Self::launch(yaml, None, |config, clock, log| {
            let metrics = Arc::new(Metrics::new());
            let stores = stores(&config, clock.clone(), metrics.clone());
            Server::bind_with(config, None, clock, stores, metrics, log)
        })
    }

    fn launch(
        yaml: &str,
        file: Option<&Path>,
        bind: impl FnOnce(Config, Arc<Manual>, AccessLog) -> Result<Server, StartError>,
    ) -> Self {
        let config = Config::parse(file.unwrap_or(Path::new("gatekeep.yaml")), yaml, &|_| None)
            .unwrap_or_else(|problems| panic!("{problems}\n{yaml}"));
        let (callback, keys) = (config.callback_url(), config.keys.clone());
        let clock = Arc::new(Manual::at(real_time()));
        let log = Lines::default();
        let server =
            bind(config, clock.clone(), AccessLog::to(log.clone())).expect("the gateway starts");
        let (addresses, admin) = (server.addresses(), server.admin_address());
        let signing_keys = server.signing_keys();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            server.run(Stop::When(stopped)).expect("the gateway runs");
        });
        let admin = admin.expect("an admin address");
        // It answers once it serves: what the store is asked at the start is behind it.
        assert_eq!(child::get(admin, "/healthz").status, 200);
        Self {
            address: addresses[0],
            addresses,
            admin,
            callback,
            clock,
            keys,
            signing_keys,
            log,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Asks the gateway to stop; `join` waits until it has.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until the gateway has stopped.
    pub(crate) fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the gateway ends well");
        }
    }

    /// Sends raw bytes.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Option<Response> {
        http::raw(self.address, bytes)
    }

    /// What the admin listener answers to a command with the gateway's own token.
    pub(crate) fn operate(&self, method: &str, path: &str, body: &str) -> Response {
        let token = self.keys.admin_token().expose().clone();
        http::command(
            self.admin,
            method,
            path,
            &[("authorization", &format!("Bearer {token}"))],
            body,
        )
    }

    /// The present value of a metric line, by its name and labels as Prometheus writes them.
    pub(crate) fn metric(&self, line: &str) -> Option<f64> {
        let request =
            format!("GET /metrics HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.admin);
        let text = http::raw(self.admin, request.as_bytes()).expect("metrics").text();
        text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok())
    }

    /// What the access log wrote so far.
    pub(crate) fn access_log(&self) -> String {
        String::from_utf8_lossy(&self.log.0.lock().expect("no test panics in here")).into_owned()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            // A test that failed already must not fail again here.
            drop(thread.join());
        }
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no test panics in here").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "the simulator lives in real time")]
fn real_time() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Time::from_unix(i64::try_from(since.as_secs()).expect("before the year 292277026596"))
}

/// Waits for something that another thread does, by asking again; no sleep decides a test.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !is_so() {
        assert!(begun.elapsed().as_secs() < 20, "{what} did not happen within 20 s");
        std::thread::yield_now();
    }
}
