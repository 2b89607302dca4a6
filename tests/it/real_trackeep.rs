//! The real Trackeep, unmodified, behind the gateway and against its broker: see `docs/trackeep.md`
//! for what `GATEKEEP_TRACKEEP` names. The stand-in is for everything else; here is what it must be
//! like.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gatekeep::simulator::{Installation, Simulator};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::browser::{Browser, parameter};
use crate::support::child::Run;
use crate::support::http::Response;
use crate::support::real_trackeep::{RealTrackeep, public_api};
use crate::support::redis::RedisServer;
use crate::support::upstream::Authority;
use crate::support::webdriver::Window;
use crate::support::{eventually, yaml};

const APP: &str = "https://trackeep.example.com";

/// GitHub, the instance, and the gateway before both.
struct Scene {
    trackeep: RealTrackeep,
    gate: Run,
    github: Simulator,
    _directory: TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// One at a time: each has a database made first.
static TURN: Mutex<()> = Mutex::new(());

const ROUTES: &str = r"
  - name: trackeep
    host: trackeep.example.com
    preset: { trackeep: @OPTIONS@ }
    sign_in: { instance: home, by: @BY@ }
    upstream: @TRACKEEP@
    allow: anyone
";

const KEYS: &str = r"public_url: https://trackeep.example.com
broker:
  hosts: [hq.trackeep.org, hq.example.com]
  instances:
    - name: home
      redirects: [https://trackeep.example.com/api/v1/auth/control/callback]
      allow: { orgs: [acme] }
      github_token: true
";

impl Scene {
    /// `None` where nobody built a Trackeep, said aloud.
    #[expect(clippy::print_stderr, reason = "a skipped test says so aloud")]
    fn new(by: &str, options: &str, settings: &[(&str, &str)]) -> Option<Self> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = tempfile::tempdir().expect("a directory");
        let authority = Authority::new();
        let authorities = directory.path().join("authority.pem");
        std::fs::write(&authorities, authority.pem()).expect("it can be written");
        let names = ["trackeep.example.com", "hq.trackeep.org", "hq.example.com", "api.github.com"];
        let pair = authority.issue(directory.path(), "all", &names);
        let trackeep = RealTrackeep::start(APP, &authorities, settings)
            .inspect_err(|why| eprintln!("SKIPPED: no test on the real Trackeep: {why}"))
            .ok()?;
        let any = "127.0.0.1:0".parse().expect("an address");
        let github = Simulator::start(any).expect("the simulator starts");
        let (certificate, key) = (pair.certificate.display(), pair.key.display());
        let tls = format!("tls: {{ certificate: '{certificate}', key: '{key}' }}");
        let keys = format!(
            "github.timeout: 5s, app: @GITHUB_APP@\n\
             listen: [{{ address: '127.0.0.1:0', {tls} }}, {{ address: '127.0.0.1:0' }}]\n{KEYS}"
        );
        let routes = ROUTES.replace("@TRACKEEP@", &trackeep.url).replace("@BY@", by);
        let gate = Run::start(&yaml(&github, &keys, &routes.replace("@OPTIONS@", options)));
        github.register_callback(&url("/.gatekeep/callback"));
        trackeep.outside.lead("hq.trackeep.org:443", gate.address);
        let api = public_api(github.address(), pair.server_config());
        trackeep.outside.lead("api.github.com:443", api);
        Some(Self { trackeep, gate, github, _directory: directory, _turn: turn })
    }

    /// A window, whose world is the gateway and GitHub. `None` where there is no Chromium, said aloud.
    #[expect(clippy::print_stderr, reason = "a skipped test says so aloud")]
    fn window(&self) -> Option<Window> {
        let here = self.gate.address;
        let rules = format!(
            "host-resolver-rules=MAP trackeep.example.com:443 {here}, MAP hq.example.com:443 {here}, \
             MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
        );
        let window = Window::open_with(&[&rules, "ignore-certificate-errors"]);
        window.inspect_err(|why| eprintln!("SKIPPED: no Trackeep in a real browser: {why}")).ok()
    }

    /// A program that keeps cookies, past the TLS.
    fn client(&self) -> Browser {
        Browser::new(self.gate.addresses[1])
    }

    /// How often the broker gave the instance a user.
    fn signed_in(&self) -> usize {
        self.gate.child.said().matches("signed in at an instance").count()
    }
}

fn url(path: &str) -> String {
    format!("{APP}{path}")
}

/// Signs in as somebody at the pretended GitHub, from whatever page asked for it.
fn pass_github(window: &Window, person: &str) {
    window.click(&format!("button[name=person][value={person}]"));
    window.click("button[value=authorize]");
}

/// What the page's own scripts are answered: the status and the body.
fn fetch(window: &Window, method: &str, path: &str, body: &Value) -> (u64, Value) {
    let body = if body.is_null() { String::new() } else { format!(", body: '{body}'") };
    let code = format!(
        "const headers = {{ Authorization: `Bearer ${{localStorage.trackeep_token}}`, \
         'Content-Type': 'application/json' }}; \
         return fetch('{path}', {{ method: '{method}', headers{body} }}) \
         .then(async answer => [answer.status, await answer.json()])"
    );
    let mut answer = window.script(&code).unwrap_or_else(|e| panic!("{path}: {e}"));
    (answer[0].as_u64().expect("a status"), answer[1].take())
}

fn get(window: &Window, path: &str) -> (u64, Value) {
    fetch(window, "GET", path, &Value::Null)
}

/// Presses the button with these words; the pages give theirs no names.
fn press(window: &Window, words: &str) {
    let code = format!(
        "const found = [...document.querySelectorAll('button')] \
         .find(button => button.innerText.includes('{words}')); found?.click(); return !!found"
    );
    eventually("there is the button", || window.script(&code) == Ok(json!(true)));
}

/// What scripts of the page can read and keep.
fn storage(window: &Window) -> String {
    let code = "return JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])";
    window.script(code).expect("scripts run").as_str().expect("it is text").to_owned()
}

#[test]
fn a_deep_link_leads_to_the_very_page_and_everything_in_it_works_without_its_token() {
    let Some(scene) = Scene::new("gateway", "{}", &[]) else { return };
    let Some(window) = scene.window() else { return };
    let deep = url("/app/bookmarks?tag=a%20b");
    window.go(&deep);
    pass_github(&window, "octocat");
    window.wait_for_text("body", "No bookmarks yet");
    assert_eq!(window.url(), deep);
    let bookmark = json!({ "title": "Kept", "url": "https://bookmark.example/" });
    assert_eq!(fetch(&window, "POST", "/api/v1/bookmarks", &bookmark).0, 201);
    window.go(&url("/app/bookmarks"));
    window.wait_for_text("body", "Kept");

    window.go(&url("/app/github"));
    window.wait_for_text("body", "handbook");
    window.wait_for_text("body", "as @octocat");
    assert_eq!(get(&window, "/api/v1/github/repos").0, 200);
    let (status, activity) = get(&window, "/api/v1/github/activity");
    assert_eq!(status, 200, "{activity}");
    let (_, status) = get(&window, "/api/v1/github/app/status");
    assert_eq!((&status["app_slug"], &status["installed"]), (&json!("gatekeep"), &json!(false)));
    window.go(&url("/app/messages"));
    window.wait_for_text("body", "Realtime: connected");

    let kept = storage(&window);
    assert!(kept.contains("octocat") && !kept.contains("eyJ"), "{kept}");
    let outside = scene.trackeep.outside.refused();
    assert!(outside.iter().all(|host| host == "bookmark.example:443"), "{outside:?}");

    // Its own button ends the session, and the next person at this browser is somebody else.
    press(&window, "Logout");
    window.wait_for_text("h1", "You are signed out");
    window.go(&url("/.gatekeep/start?rd=/app/notes&prompt=select_account"));
    pass_github(&window, "hubot");
    window.wait_for_text("body", "No notes yet");
    assert_eq!(get(&window, "/api/v1/auth/me").1["user"]["username"], "hubot");
    let kept = storage(&window);
    assert!(kept.contains("hubot") && !kept.contains("octocat") && !kept.contains("eyJ"), "{kept}");
}

#[test]
fn the_github_app_is_installed_from_its_page() {
    let Some(scene) = Scene::new("gateway", "{}", &[]) else { return };
    let Some(window) = scene.window() else { return };
    scene.github.install(Installation::new(5, "acme").repository(1, "notes"));
    window.go(&url("/app/github"));
    pass_github(&window, "octocat");
    window.wait_for_text("body", "Not installed yet");
    let (status, install) = get(&window, "/api/v1/github/app/install-url");
    assert_eq!(status, 200, "{install}");
    let state = parameter(install["install_url"].as_str().expect("an address"), "state");
    // GitHub's page is not pretended; this is where it leads.
    let state = state.expect("a state");
    window.go(&format!(
        "https://hq.example.com/auth/github/app/callback\
         ?installation_id=5&setup_action=install&state={state}"
    ));
    window.wait_for_text("body", "Repositories");
    assert!(window.url().starts_with(&url("/app/github")), "{}", window.url());
    let (_, status) = get(&window, "/api/v1/github/app/status");
    assert_eq!(status["installation"]["installation_id"], 5, "{status}");
    let (_, repositories) = get(&window, "/api/v1/github/app/repos");
    assert_eq!(repositories["repos"][0]["name"], "notes", "{repositories}");
}

#[test]
fn its_token_is_renewed_unseen() {
    let Some(scene) = Scene::new("gateway", "{}", &[("JWT_EXPIRES_IN", "4")]) else { return };
    let Some(window) = scene.window() else { return };
    window.go(&url("/app/notes"));
    pass_github(&window, "octocat");
    window.wait_for_text("body", "No notes yet");
    eventually("it is renewed", || {
        assert_eq!(get(&window, "/api/v1/auth/me").0, 200);
        // A hundred requests a minute are its limit.
        std::thread::sleep(Duration::from_secs(1));
        scene.signed_in() >= 3
    });
}

#[test]
fn a_browser_keeps_its_token_where_that_is_wanted_and_gets_another_when_it_ends() {
    let Some(scene) = Scene::new("browser", "{}", &[("JWT_EXPIRES_IN", "10")]) else { return };
    let Some(window) = scene.window() else { return };
    window.go(&url("/app/notes"));
    pass_github(&window, "octocat");
    window.wait_for_text("body", "Home");
    assert_eq!(window.url(), url("/app"));
    assert!(storage(&window).contains("eyJ"));
    eventually("it ends", || {
        std::thread::sleep(Duration::from_secs(1));
        get(&window, "/api/v1/auth/me").0 == 401
    });
    window.go(&url("/app/notes"));
    eventually("there is another", || scene.signed_in() == 2);
    window.wait_for_text("body", "Home");
    assert_eq!(get(&window, "/api/v1/auth/me").0, 200);
}

#[test]
fn its_own_button_signs_in_with_one_click() {
    let Some(scene) = Scene::new("button", "{}", &[]) else { return };
    let Some(window) = scene.window() else { return };
    window.go(&url("/login"));
    pass_github(&window, "octocat");
    press(&window, "Continue with GitHub");
    window.wait_for_text("body", "Home");
    assert_eq!((window.url(), get(&window, "/api/v1/auth/me").0), (url("/app"), 200));
}

/// What a program is answered that shows a token, or none.
fn ask(scene: &Scene, line: &str, token: Option<&str>, body: &Value) -> Response {
    let (method, path) = line.split_once(' ').expect("a method and a path");
    let bearer = format!("Bearer {}", token.unwrap_or_default());
    let kind = [("content-type", "application/json"), ("authorization", &*bearer)];
    let fields = if token.is_some() { &kind[..] } else { &kind[..1] };
    let body = if body.is_null() { String::new() } else { body.to_string() };
    scene.client().send(method, &url(path), fields, &body)
}

#[test]
fn programs_use_its_own_tokens_and_keys() {
    let Some(scene) = Scene::new("gateway", "{ local_login: true }", &[]) else { return };
    let ask = |line: &str, token: Option<&str>, body: &Value| ask(&scene, line, token, body);
    let none = Value::Null;
    let ann = json!({
        "email": "ann@example.com", "username": "ann", "password": "pass-w0rd", "fullName": "Ann",
    });
    assert_eq!(ask("POST /api/v1/auth/register", None, &ann).status, 401, "not from outside");
    assert_eq!(ask("POST /api/updates/install", None, &json!({})).status, 403);
    let direct = past_the_gateway(&scene, "/api/v1/auth/register", &ann);
    assert_eq!(direct.status, 201, "control: {}", direct.text());

    for path in ["login", "login-totp"] {
        let answer = ask(&format!("POST /api/v1/auth/{path}"), None, &ann);
        let token = answer.json()["token"].as_str().expect("a token").to_owned();
        assert_eq!(ask("GET /api/v1/auth/me", Some(&token), &none).status, 200, "{path}");
        let answer = ask(&format!("GET /api/v1/tasks?token={token}"), None, &none);
        assert_eq!(answer.status, 200, "{path}");
    }
    let token = ask("POST /api/v1/auth/login", None, &ann).json()["token"].clone();
    let wanted = json!({ "name": "k", "permissions": ["files:read"], "expires_in": 30 });
    let line = "POST /api/v1/browser-extension/api-keys/generate";
    let key = ask(line, token.as_str(), &wanted).json()["key"].clone();
    for path in ["/api/v1/files", "/api/v1/browser-extension/validate"] {
        assert_eq!(ask(&format!("GET {path}"), key.as_str(), &none).status, 200, "{path}");
        assert_eq!(ask(&format!("GET {path}"), None, &none).status, 401, "{path}");
    }
    assert_eq!(ask("GET /api/v1/auth/me", Some("nonsense"), &none).status, 401);
    assert_eq!(ask("GET /health", None, &none).status, 200);
}

/// The same past the gateway.
fn past_the_gateway(scene: &Scene, path: &str, body: &Value) -> Response {
    let address = scene.trackeep.url.trim_start_matches("http://").parse().expect("an address");
    let fields = [("content-type", "application/json")];
    Browser::new(address).send("POST", &url(path), &fields, &body.to_string())
}

#[test]
fn its_cache_gives_nobody_what_was_for_somebody_else() {
    let Some(redis) = RedisServer::start("") else { return };
    let address = redis.address().to_string();
    let Some(scene) = Scene::new("gateway", "{}", &[("DRAGONFLY_ADDR", &address)]) else { return };
    assert!(scene.trackeep.said().contains("Successfully connected to DragonflyDB"));
    let kind = |answer: &Response| answer.header("content-type").unwrap_or_default().to_owned();
    for _ in 0..2 {
        let page = scene.client().get(&url("/manifest.json"));
        assert!(kind(&page).starts_with("text/html"), "as it was: {}", kind(&page));
    }
    let past = || {
        let address = scene.trackeep.url.trim_start_matches("http://").parse().expect("one");
        kind(&Browser::new(address).get(&url("/manifest.json")))
    };
    let kinds = (past(), past());
    assert!(
        kinds.0.starts_with("text/html") && kinds.1 == "application/json",
        "control: {kinds:?}"
    );
}
