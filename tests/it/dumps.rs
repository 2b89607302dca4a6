//! No secret in a dump: with everything logged that can be logged, neither the store, nor what the
//! process prints, nor its metrics, nor its error pages hold any secret that there ever was, in any
//! spelling (Traefik CVE-2022-23469, Pomerium CVE-2024-39315, vouch's log of tokens).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use gatekeep::clock::System;
use gatekeep::config::Config;
use gatekeep::keys::Keys;
use gatekeep::simulator::{Echo, EchoSettings, ExpiringTokens, Simulator, Trouble};
use gatekeep::store::{Embedded, Profile, Sessions, Store};

use crate::support::browser::{Browser, join, parameter};
use crate::support::child::{Run, get};
use crate::support::http::Response;
use crate::support::redis::RedisServer;
use crate::support::{eventually, redis, yaml};

const AUTH: &str = "https://auth.example.com";
const APP: &str = "https://app.example.com";
const EXCHANGE: &str = "/login/oauth/access_token";
const MASTER: &str = "k3yZ-for-tests-0123456789-abcdefghijklmnop";

const ROUTES: &str = r"
  - { name: app, host: app.example.com, upstream: @APP@, allow: { orgs: [acme] }, token: { algorithm: HS256, secret: canary-of-the-app-0123456789abcdef } }
  - { name: auth, host: auth.example.com, upstream: @APP@, allow: anyone }
";

/// Every secret that there was, by its kind.
#[derive(Default)]
struct Secrets(BTreeMap<&'static str, BTreeSet<String>>);

/// Finds secrets in dumps, in every spelling.
struct Scanner {
    /// By their first bytes.
    needles: HashMap<[u8; 8], Vec<Needle>>,
}

struct Needle {
    bytes: Vec<u8>,
    kind: &'static str,
    spelling: &'static str,
}

/// The world of a run, and what has been seen of it.
struct Scene {
    github: Simulator,
    app: Echo,
    run: Option<Run>,
    yaml: String,
    keys: Keys,
    secrets: Secrets,
    /// What the gateways printed that have ended.
    printed: Vec<u8>,
    /// The metrics, and pages of errors.
    shown: Vec<u8>,
}

// === impl Secrets ===

impl Secrets {
    fn add(&mut self, kind: &'static str, secret: &str) {
        if !secret.is_empty() {
            assert!(secret.len() >= 16, "{kind}: `{secret}` would be found by chance");
            self.0.entry(kind).or_default().insert(secret.to_owned());
        }
    }

    fn note_url(&mut self, url: &str) {
        let code = if url.contains("/.gatekeep/handover") { "hand-over code" } else { "code" };
        for (name, kind) in [("code", code), ("state", "state"), ("consent", "CSRF token")] {
            self.add(kind, &parameter(url, name).unwrap_or_default());
        }
    }

    /// What an answer tells the browser alone.
    fn note_answer(&mut self, answer: &Response) {
        for cookie in answer.all("set-cookie") {
            let (name, rest) = cookie.split_once('=').expect("a cookie");
            let value = rest.split(';').next().unwrap_or_default();
            match name {
                "__Host-gatekeep" => self.add("session cookie", value),
                _ if name.starts_with("__Host-gatekeep-login-") => {
                    self.add("attempt cookie", value);
                }
                _ => {}
            }
        }
        if let Some(location) = answer.header("location") {
            self.note_url(location);
        }
        for field in answer.text().split("name=\"csrf\" value=\"").skip(1) {
            self.add("CSRF token", field.split('"').next().unwrap_or_default());
        }
        for key in answer.text().split("<code>gk_").skip(1) {
            // Its 256 bits, and so whatever is spelt with them.
            self.add("API key", key.split('<').next().unwrap_or_default());
        }
    }

    /// What only the gateway and GitHub know.
    fn note_github(&mut self, github: &Simulator) {
        for request in github.requests() {
            for (name, value) in url::form_urlencoded::parse(&request.body) {
                match &*name {
                    "code" => self.add("code", &value),
                    "code_verifier" => self.add("verifier", &value),
                    "client_secret" => self.add("client secret", &value),
                    "refresh_token" => self.add("refresh token", &value),
                    _ => {}
                }
            }
            let authorization = request.header("authorization").unwrap_or_default();
            if let Some((_, token)) = authorization.split_once(' ').filter(|(kind, _)| {
                kind.eq_ignore_ascii_case("bearer") || kind.eq_ignore_ascii_case("token")
            }) {
                self.add("access token", token);
                self.add("refresh token", &github.refresh_token_of(token).unwrap_or_default());
            }
        }
        for token in github.tokens_of("octocat") {
            self.add("access token", &token);
            self.add("refresh token", &github.refresh_token_of(&token).unwrap_or_default());
        }
    }

    /// What only the apps are told.
    fn note_app(&mut self, app: &Echo) {
        for request in app.requests() {
            for (_, value) in &request.headers {
                if value.starts_with("eyJ") {
                    self.add("identity token", value);
                }
            }
        }
    }
}

// === impl Scanner ===

impl Scanner {
    fn new(secrets: &Secrets) -> Self {
        let mut scanner = Self { needles: HashMap::new() };
        for (kind, all) in &secrets.0 {
            for secret in all {
                scanner.add_all(kind, secret.as_bytes());
                // Most are base64 already; what they stand for may be written in another way.
                if let Ok(meant) = URL_SAFE_NO_PAD.decode(secret)
                    && meant.len() >= 16
                {
                    scanner.add_all(kind, &meant);
                }
            }
        }
        scanner
    }

    fn add_all(&mut self, kind: &'static str, secret: &[u8]) {
        for (spelling, bytes) in spellings(secret) {
            let first = *bytes.first_chunk().expect("it is long");
            let place = self.needles.entry(first).or_default();
            place.push(Needle { bytes, kind, spelling });
        }
    }

    /// The kinds that a dump holds, and how they are spelt there.
    fn find(&self, dump: &[u8]) -> BTreeSet<(&'static str, &'static str)> {
        let found = dump.windows(8).enumerate().flat_map(|(at, window)| {
            let first: &[u8; 8] = window.try_into().expect("8 bytes");
            let needles = self.needles.get(first).into_iter().flatten();
            needles.filter(move |needle| dump[at..].starts_with(&needle.bytes))
        });
        found.map(|needle| (needle.kind, needle.spelling)).collect()
    }
}

/// A secret as somebody might write it.
fn spellings(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let each = |write: &dyn Fn(&u8) -> String| -> Vec<u8> {
        secret.iter().map(write).collect::<String>().into()
    };
    let mut all = vec![
        ("raw", secret.to_vec()),
        ("hex", each(&|byte| format!("{byte:02x}"))),
        ("HEX", each(&|byte| format!("{byte:02X}"))),
        ("percent", each(&|byte| format!("%{byte:02X}"))),
        ("percent", each(&|byte| format!("%{byte:02x}"))),
    ];
    let escaped: Vec<u8> = url::form_urlencoded::byte_serialize(secret).collect::<String>().into();
    if escaped != secret {
        all.push(("form", escaped));
    }
    for before in 0..3 {
        // In a longer text: what its neighbours decide of the first and last characters is left out.
        let text = [&vec![0; before][..], secret].concat();
        let (skipped, whole) = (before.min(1) + before, text.len() / 3 * 4);
        for (spelling, engine) in [("base64", STANDARD), ("base64url", URL_SAFE)] {
            let written = engine.encode(&text);
            all.push((spelling, written.as_bytes()[skipped..whole].to_vec()));
        }
    }
    all
}

// === impl Scene ===

impl Scene {
    fn new(store: &str) -> Self {
        let any = || "127.0.0.1:0".parse().expect("an address");
        let github = Simulator::start(any()).expect("the simulator starts");
        github.register_callback(&format!("{AUTH}/.gatekeep/callback"));
        // They are renewed ten minutes ahead of their end: as soon as they are used again.
        let (access, refresh) = (Duration::from_secs(540), Duration::from_secs(86_400));
        github.expire_tokens(Some(ExpiringTokens { access, refresh }));
        let app = Echo::start(any(), EchoSettings { jwks_url: None, prefix: "/.gatekeep".into() })
            .expect("the app starts");
        let keys = format!("store: {store}\nlog: {{ level: trace }}\n");
        let yaml = yaml(&github, &keys, &ROUTES.replace("@APP@", app.url()));
        let config = Config::parse(Path::new("gatekeep.yaml"), &yaml, &|_| None)
            .unwrap_or_else(|problems| panic!("{problems}"));
        let mut secrets = Secrets::default();
        secrets.add("master secret", MASTER);
        secrets.add("client secret", github.client_secret());
        secrets.add("an app's secret", "canary-of-the-app-0123456789abcdef");
        assert!(yaml.contains(MASTER));
        let (keys, run) = (config.keys, Some(Run::start(&yaml)));
        let (printed, shown) = (Vec::new(), Vec::new());
        Self { github, app, run, yaml, keys, secrets, printed, shown }
    }

    fn run(&mut self) -> &mut Run {
        self.run.as_mut().expect("it runs")
    }

    fn browser(&self) -> Browser {
        Browser::new(self.run.as_ref().expect("it runs").address)
    }

    /// Asks for a page; all that must stay between browser and gateway is noted.
    fn get(&mut self, browser: &mut Browser, url: &str) -> Response {
        self.secrets.note_url(url);
        let answer = browser.get(url);
        self.secrets.note_answer(&answer);
        if answer.status >= 400 {
            self.shown.extend_from_slice(&answer.body);
        }
        answer
    }

    /// Follows redirects until GitHub or a page; returns GitHub's address or the page.
    fn follow(&mut self, browser: &mut Browser, url: &str) -> (String, Option<Response>) {
        let mut at = url.to_owned();
        loop {
            if at.starts_with(self.github.url()) {
                return (at, None);
            }
            let answer = self.get(browser, &at);
            if !(300..400).contains(&answer.status) {
                return (at, Some(answer));
            }
            at = join(&at, answer.location());
        }
    }

    /// Signs in from a page; returns how that ended.
    fn sign_in(&mut self, browser: &mut Browser, person: &str, url: &str) -> Response {
        let (authorize, none) = self.follow(browser, url);
        assert!(none.is_none(), "{url}: GitHub is not asked");
        let callback = self.github.approve(&authorize, person);
        self.follow(browser, &callback).1.expect("a page")
    }

    fn post(&mut self, browser: &mut Browser, url: &str, form: &[(&str, &str)]) -> Response {
        let answer = browser.post(url, form);
        self.secrets.note_answer(&answer);
        answer
    }

    fn stop(&mut self) {
        let metrics = get(self.run().admin, "/metrics").text();
        assert!(metrics.contains("gatekeep_sign_ins_total"), "{metrics}");
        self.shown.extend_from_slice(metrics.as_bytes());
        let mut run = self.run.take().expect("it runs");
        run.child.signal("TERM");
        assert_eq!(run.child.end().code(), Some(0));
        self.printed.extend_from_slice(run.child.said().as_bytes());
    }

    fn start(&mut self) {
        self.run = Some(Run::start(&self.yaml));
    }
}

// === The story ===

/// People sign in at two hosts, look around, and sign out.
fn good_days(scene: &mut Scene) {
    for number in 0..4 {
        let mut browser = scene.browser();
        let page = scene.sign_in(&mut browser, "octocat", &format!("{APP}/page?n={number}"));
        assert_eq!(page.status, 200, "{}", page.text());
        let page = scene.follow(&mut browser, &format!("{AUTH}/x")).1.expect("signed in there");
        assert_eq!(page.status, 200);
        // What a visitor tells the app is nobody else's business.
        let canary = format!("visitors-own-canary-{number}-0123456789");
        scene.secrets.add("what the app is told", &canary);
        browser.plant("app.example.com", "apps-own", &canary);
        let (bearer, url) = (format!("Bearer {canary}"), format!("{APP}/x?token={canary}"));
        let headers = [("authorization", bearer.as_str()), ("x-api-key", canary.as_str())];
        assert_eq!(browser.send("POST", &url, &headers, &canary).status, 200);
        for page in ["account", "sign_in", "jwks.json", "nothing"] {
            scene.get(&mut browser, &format!("{APP}/.gatekeep/{page}"));
        }
        if number > 1 {
            let url = format!("{APP}/.gatekeep/sign_out");
            let page = scene.get(&mut browser, &url).text();
            let token =
                page.split("name=\"csrf\" value=\"").nth(1).and_then(|s| s.split('"').next());
            let said = scene.post(&mut browser, &url, &[("csrf", token.expect("a form"))]);
            assert!(said.text().contains("You are signed out"), "{}", said.text());
        }
    }
}

/// Somebody makes a key, and a program uses it, well and badly, in every way there is.
fn programs(scene: &mut Scene) {
    let mut browser = scene.browser();
    assert_eq!(scene.sign_in(&mut browser, "octocat", &format!("{APP}/page")).status, 200);
    let page = scene.get(&mut browser, &format!("{APP}/.gatekeep/account")).text();
    let form = page.split("action=\"/.gatekeep/api_keys\"").nth(1).expect("a form");
    let token = form.split("name=\"csrf\" value=\"").nth(1).and_then(|s| s.split('"').next());
    let fields =
        [("csrf", token.expect("a token")), ("name", "ci"), ("route", "app"), ("days", "7")];
    let made = scene.post(&mut browser, &format!("{APP}/.gatekeep/api_keys"), &fields).text();
    let key = made.split("<dd><code>gk_").nth(1).and_then(|rest| rest.split('<').next());
    let key = format!("gk_{}", key.expect("a key"));
    let basic = STANDARD.encode(format!("octocat:{key}"));
    for credentials in [
        format!("Bearer {key}"),
        format!("token {key}"),
        format!("Basic {basic}"),
        format!("Bearer {key}x"),
        format!("Digest {key}"),
        format!("Bearer {key}\r\nauthorization: Bearer {key}"),
    ] {
        for url in [format!("{APP}/page"), format!("{AUTH}/x"), format!("{APP}/.gatekeep/account")]
        {
            let fields = [("authorization", credentials.as_str())];
            let answer = scene.browser().send("GET", &url, &fields, "");
            assert!(matches!(answer.status, 200 | 401 | 403), "{credentials}: {}", answer.text());
            if answer.status >= 400 {
                scene.shown.extend_from_slice(&answer.body);
            }
        }
    }
}

/// A sign-in up to where GitHub sends the browser back.
fn begin(scene: &mut Scene) -> (Browser, String) {
    let mut browser = scene.browser();
    let authorize = scene.follow(&mut browser, &format!("{AUTH}/x")).0;
    let callback = scene.github.approve(&authorize, "octocat");
    (browser, callback)
}

fn ends(scene: &mut Scene, browser: &mut Browser, url: &str, status: u16) {
    let page = scene.follow(browser, url).1.expect("a page");
    assert_eq!(page.status, status, "{url}: {}", page.text());
}

/// Nothing of this is a sign-in.
fn bad_days(scene: &mut Scene) {
    // Somebody who is no member.
    let mut browser = scene.browser();
    let page = scene.sign_in(&mut browser, "stranger", &format!("{APP}/page"));
    assert_eq!(page.status, 403, "{}", page.text());
    // The wrong state, and an answer that came twice.
    let (mut browser, callback) = begin(scene);
    let wrong = callback.replace("state=", "state=wrong-");
    ends(scene, &mut browser, &wrong, 400);
    ends(scene, &mut browser.clone(), &callback, 200);
    ends(scene, &mut browser, &callback, 400);
    // Refused at GitHub, and a code that nobody issued.
    let (mut browser, callback) = begin(scene);
    ends(scene, &mut browser, &callback.replace("code=", "error=access_denied&x="), 403);
    let (mut browser, callback) = begin(scene);
    ends(scene, &mut browser, &callback.replace("code=", "code=never-issued-"), 400);
    // A code that has expired.
    let (mut browser, callback) = begin(scene);
    scene.github.advance(Duration::from_secs(601));
    ends(scene, &mut browser, &callback, 400);
    // Cookies and hand-over codes that nobody issued.
    let mut browser = scene.browser();
    let guess = URL_SAFE_NO_PAD.encode([7; 32]);
    scene.secrets.add("session cookie", &guess);
    browser.plant("app.example.com", "__Host-gatekeep", &guess);
    assert_eq!(browser.fetch(&format!("{APP}/page")).status, 401);
    let url = format!("{APP}/.gatekeep/handover?code={guess}&state={guess}");
    ends(scene, &mut browser, &url, 400);
}

/// GitHub answers nonsense that holds a token.
fn nonsense(scene: &mut Scene) {
    let canary = "gho_canary0123456789abcdefghijklmnop";
    scene.secrets.add("access token", canary);
    for (path, status, kind) in [
        (EXCHANGE, 200, "text/html"),
        (EXCHANGE, 200, "application/json"),
        (EXCHANGE, 500, "application/json"),
        ("/user", 200, "application/json"),
        ("/user", 500, "text/plain"),
        ("/user/emails", 200, "application/json"),
    ] {
        for body in [canary.to_owned(), format!("{{\"access_token\":\"{canary}\",\"token\":7}}")] {
            let (mut browser, callback) = begin(scene);
            scene.github.knobs().once(path, Trouble::answer(status, kind, body));
            let page = scene.follow(&mut browser, &callback).1.expect("a page");
            assert!(matches!(page.status, 200 | 502 | 503), "{path}: {}", page.text());
            scene.github.knobs().off(path);
        }
    }
}

/// The facts of an account are outdated when the gateway comes back, and asked for again.
fn next_day(scene: &mut Scene, browser: &Browser, store: impl FnOnce() -> Box<dyn Store>) {
    scene.stop();
    age_facts(&scene.keys, store());
    scene.start();
    let before = scene.github.tokens_of("octocat");
    let mut back = scene.browser();
    for host in ["app.example.com", "auth.example.com"] {
        for (name, value) in browser.cookies(host) {
            back.plant(host, &name, &value);
        }
    }
    assert_eq!(scene.get(&mut back, &format!("{APP}/page")).status, 200);
    scene.run().child.wait_for("request.id=", 1);
    eventually("the tokens are renewed", || {
        scene.github.refreshes() > 0 && scene.github.tokens_of("octocat") != before
    });
    let renewed = "gatekeep_rechecks_total{result=\"renewed\"}";
    assert!(scene.run().metric(renewed).is_some_and(|count| count >= 1.0), "{renewed}");
}

/// Writes down that GitHub was asked an hour ago.
#[tokio::main(flavor = "current_thread")]
async fn age_facts(keys: &Keys, store: Box<dyn Store>) {
    let sessions = Sessions::<()>::new(store.into(), 1 << 20);
    let (accounts, octocat) = (sessions.accounts(), 583_231);
    let record = accounts.read(keys, octocat).await.expect("it answers").expect("an account");
    let before = record.profile.checked;
    let profile = Profile { checked: before - Duration::from_secs(3_600), ..record.profile };
    accounts.renew(keys, before, &profile, &record.validators).await.expect("it answers");
}

/// All of it, on a store that is opened beside the gateway for a moment.
fn story(store: &str, open: impl FnOnce() -> Box<dyn Store>) -> Scene {
    let mut scene = Scene::new(store);
    good_days(&mut scene);
    programs(&mut scene);
    bad_days(&mut scene);
    nonsense(&mut scene);
    let yaml = scene.yaml.clone();
    scene.run().reload(&yaml);
    let mut browser = scene.browser();
    assert_eq!(scene.sign_in(&mut browser, "octocat", &format!("{APP}/last")).status, 200);
    next_day(&mut scene, &browser, open);
    let mut last = scene.browser();
    assert_eq!(scene.sign_in(&mut last, "hubot", &format!("{AUTH}/x")).status, 200);
    scene.secrets.note_github(&scene.github);
    scene.secrets.note_app(&scene.app);
    scene
}

/// Nothing is found in any dump, and each kind would be.
fn assert_clean(scene: &Scene, dumps: &[(&str, Vec<u8>)]) {
    let scanner = Scanner::new(&scene.secrets);
    let kinds: Vec<_> = scene.secrets.0.iter().map(|(kind, all)| (*kind, all.len())).collect();
    let expected = [
        "API key",
        "CSRF token",
        "access token",
        "an app's secret",
        "attempt cookie",
        "client secret",
        "code",
        "hand-over code",
        "identity token",
        "master secret",
        "refresh token",
        "session cookie",
        "state",
        "verifier",
        "what the app is told",
    ];
    assert!(kinds.iter().map(|(kind, _)| *kind).eq(expected), "{kinds:?}");
    let own = [("output at TRACE", &scene.printed), ("metrics and error pages", &scene.shown)];
    let all = dumps.iter().map(|(name, dump)| (*name, dump)).chain(own);
    for (name, dump) in all {
        assert!(dump.len() > 4_096, "{name}: there is next to nothing to look at");
        assert_eq!(scanner.find(dump), BTreeSet::new(), "in {name}");
    }
    for (kind, all) in &scene.secrets.0 {
        for secret in all {
            for (spelling, written) in spellings(secret.as_bytes()) {
                let planted = [b"before it, ", &written[..], b" and after it"].concat();
                let found = scanner.find(&planted);
                assert!(found.contains(&(*kind, spelling)), "{kind} as {spelling}: {found:?}");
            }
        }
    }
}

/// Every file below a directory.
fn files(directory: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.extend(std::fs::read(&path).expect("it can be read"));
        }
    }
    all
}

#[test]
fn the_embedded_store_and_all_logs_hold_no_secret() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("store");
    let open = {
        let path = path.clone();
        move || -> Box<dyn Store> {
            Box::new(Embedded::open(&path, std::sync::Arc::new(System)).expect("it is free"))
        }
    };
    let mut scene = story(&format!("{{ embedded: '{}' }}", path.display()), open);
    let running = files(&path);
    scene.stop();
    assert_clean(&scene, &[("the file in use", running), ("the file", files(&path))]);
}

#[test]
fn redis_and_all_logs_hold_no_secret() {
    // Uncompressed, so that what is there can be seen.
    let Some(server) = RedisServer::start("rdbcompression no") else { return };
    let url = server.url();
    let open = {
        let url = url.clone();
        move || -> Box<dyn Store> { Box::new(redis::store(&url, |_| ())) }
    };
    let mut scene = story(&format!("{{ redis: '{url}' }}"), open);
    let keys: Vec<String> = server.ask("KEYS *");
    assert!(keys.len() > 20, "{keys:?}");
    let mut rows = keys.join("\n").into_bytes();
    for key in &keys {
        let value: Vec<u8> = server.try_ask(&format!("DUMP {key}")).unwrap_or_default();
        rows.extend(value);
    }
    scene.stop();
    let saved: String = server.ask("SAVE");
    assert_eq!(saved, "OK");
    let snapshot = std::fs::read(server.directory.path().join("dump.rdb")).expect("it was saved");
    assert_clean(
        &scene,
        &[("rows", rows), ("dump.rdb", snapshot), ("all files", files(server.directory.path()))],
    );
}
