//! The demo, walked through in a real browser.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gatekeep::simulator::Trackeep;
use serde_json::json;

use crate::support::World;
use crate::support::child::{Child, gatekeep};
use crate::support::webdriver::Window;

/// A window with the demo behind it.
struct Walk {
    window: Window,
    demo: Child,
    origin: String,
    name: &'static str,
    pictures: usize,
}

impl Walk {
    /// The demo as it usually is.
    fn begin(name: &'static str) -> Option<Self> {
        Self::of(name, "/hello?from=demo", &[])
    }

    /// `None` where there is no Chromium, said aloud.
    fn of(name: &'static str, first: &str, further: &[&str]) -> Option<Self> {
        let window = window("no walk through the demo")?;
        let port = free_port().to_string();
        let demo = Child::start(gatekeep().args(["demo", "--port", &port]).args(further));
        let line = demo.wait_for(first, 1);
        let origin = line.trim().strip_suffix(first).expect("an address").to_owned();
        demo.wait_for("Ctrl-C ends all of it.", 1);
        Some(Self { window, demo, origin, name, pictures: 0 })
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Keeps what is seen, if anybody asked for it.
    fn picture(&mut self, what: &str) {
        if std::env::var_os("GATEKEEP_SCREENSHOTS").is_some() {
            self.pictures += 1;
            let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
            let file: PathBuf =
                directory.join(format!("{}-{:02}-{what}.png", self.name, self.pictures));
            self.window.screenshot(&file);
        }
    }

    /// Signs in as somebody at the pretended GitHub, from whatever page asked for it.
    fn pass_github(&mut self, person: &str) {
        assert_eq!(self.window.text("h1"), "Who are you today?");
        assert!(!self.window.url().starts_with(&self.origin), "{}", self.window.url());
        self.picture("github-who");
        self.window.click(&format!("button[name=person][value={person}]"));
        assert_eq!(self.window.text("#person"), person);
        self.picture("github-consent");
        self.window.click("button[value=authorize]");
    }
}

/// A window, or that there is none, said aloud.
#[expect(clippy::print_stderr, reason = "a skipped test says so aloud")]
fn window(missed: &str) -> Option<Window> {
    Window::open().inspect_err(|why| eprintln!("SKIPPED: {missed} in a real browser: {why}")).ok()
}

/// A port that was free a moment ago; `demo` takes the next one if it is not any more.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

#[test]
fn the_demo_shows_a_real_browser_all_of_it_from_the_first_page_to_signing_out() {
    let Some(mut walk) = Walk::begin("walk") else { return };
    let deep = "/deep/link?u=https://elsewhere.example/x&y=1&z=%C3%A4";
    let asked = walk.url(deep);
    walk.window.go(&asked);
    walk.pass_github("octocat");

    // Back on the very page, with an identity that the app has checked.
    assert_eq!(walk.window.text("h1"), "Hello from the demo app");
    assert_eq!(walk.window.url(), asked);
    let who = walk.window.text("#who");
    assert_eq!(who, "The gateway says you are octocat (The Octocat, octocat@github.example).");
    assert_eq!(walk.window.text("#path"), deep);
    assert_eq!(walk.window.text("#jwt-verdict"), "signature verified");
    assert_eq!(walk.window.script_cookies(), "", "a script can read our cookies");
    assert!(!walk.window.text("#headers").contains("gatekeep="), "the app sees our cookie");
    walk.picture("app");

    // A page for others says for whom, and offers another account.
    walk.window.go(&walk.url("/admin"));
    assert_eq!(walk.window.text("h1"), "This page is not for you");
    let denied = walk.window.page();
    for words in ["octocat", "acme/admins", "not-admitted", "Use another account", "Sign out"] {
        assert!(denied.contains(words), "{words} is not in {denied}");
    }
    walk.picture("denied");

    walk.window.go(&walk.url("/.gatekeep/account"));
    assert_eq!(walk.window.text("h1"), "Your account");
    let account = walk.window.page();
    for words in ["octocat", "octocat@github.example", "acme/platform", "583231", "Your sessions"] {
        assert!(account.contains(words), "{words} is not in {account}");
    }
    assert_eq!(walk.window.text("tbody th"), "Chrome on Linux this one");
    walk.picture("account");

    // A key for a program: made with a form, shown, listed, ended.
    walk.window.tick(".fill input[type=checkbox]");
    walk.window.write(".fill input[name=name]", "nightly build");
    walk.window.click(".fill button");
    assert_eq!(walk.window.text("h1"), "Your new API key");
    assert!(walk.window.text("code").starts_with("gk_"), "{}", walk.window.page());
    walk.picture("api-key");
    walk.window.click("a.primary");
    let keys = "table ~ table";
    assert!(walk.window.text(keys).contains("nightly build"), "{}", walk.window.page());
    walk.picture("api-keys");
    walk.window.click(&format!("{keys} button"));
    assert!(!walk.window.page().contains("nightly build"), "{}", walk.window.page());

    // A link asks, the button does it.
    walk.window.go(&walk.url("/.gatekeep/sign_out"));
    assert_eq!(walk.window.text("h1"), "Sign out?");
    walk.picture("sign-out");
    walk.window.click("form button");
    assert_eq!(walk.window.text("h1"), "You are signed out");
    walk.picture("signed-out");
    // GitHub remembers person and consent, so it asks again only when told to.
    walk.window.go(&walk.url("/.gatekeep/account"));
    assert_eq!(walk.window.text("h1"), "Your account");
    walk.window.click("form[action$=sign_out_everywhere] button");
    assert_eq!(walk.window.text("h1"), "You are signed out");

    walk.demo.signal("INT");
    assert_eq!(walk.demo.end().code(), Some(0));
}

#[test]
fn another_account_is_chosen_from_the_page_that_denies_one() {
    let Some(mut walk) = Walk::begin("other") else { return };
    walk.window.go(&walk.url("/admin"));
    walk.pass_github("stranger");
    assert_eq!(walk.window.text("h1"), "This page is not for you");
    walk.window.click("a.primary");
    walk.pass_github("hubot");
    assert_eq!(walk.window.text("h1"), "The admins' page");
    walk.picture("admins");
    assert_eq!(walk.window.url(), walk.url("/admin"));
    assert!(walk.window.text("#who").starts_with("The gateway says you are hubot"));
}

#[test]
fn a_visitor_of_the_gateway_is_a_user_of_the_trackeep_behind_it() {
    let first = "/app/notes/7?from=demo";
    let Some(mut walk) = Walk::of("trackeep", first, &["--trackeep"]) else { return };
    // A deep link, with what only the browser knows of it.
    let asked = walk.url("/app/notes/7?tag=a%20b#part");
    walk.window.go(&asked);
    walk.pass_github("octocat");
    walk.window.wait_for_text("#status", "Signed in as octocat");
    assert_eq!(walk.window.url().split('#').next(), asked.split('#').next());
    let kept = walk.window.kept();
    assert!(kept.contains("gatekeep") && kept.contains("octocat"), "{kept}");
    assert!(!kept.contains("eyJ"), "a script can read the instance's token: {kept}");
    walk.picture("signed-in");

    // GitHub's data by the broker, a WebSocket with the placeholder, in the visitor's name.
    walk.window.go(&walk.url("/app/github"));
    walk.window.wait_for_text("#content", "octocat/");
    walk.picture("repositories");
    walk.window.go(&walk.url("/app/messages"));
    walk.window.wait_for_text("#content", "Event");

    // Its own button ends the session here. GitHub still knows who it was, and is told to ask.
    walk.window.wait_for_text("#status", "Signed in as octocat");
    walk.window.tick("#logout");
    walk.window.wait_for_text("h1", "You are signed out");
    walk.window.go(&walk.url("/.gatekeep/start?rd=/app&prompt=select_account"));
    walk.pass_github("hubot");
    walk.window.wait_for_text("#status", "Signed in as hubot");
    let kept = walk.window.kept();
    assert!(kept.contains("hubot") && !kept.contains("octocat") && !kept.contains("eyJ"), "{kept}");
    walk.picture("somebody-else");
}

/// A Trackeep behind a gateway, in whose time and whose own a test can move.
struct Instance {
    trackeep: Trackeep,
    world: World,
    origin: String,
}

// === impl Instance ===

impl Instance {
    fn start() -> Self {
        let trackeep = Trackeep::start("127.0.0.1:0".parse().expect("an address")).expect("starts");
        let port = free_port();
        let origin = format!("http://localhost:{port}");
        let keys = format!(
            "listen: [{{ address: '127.0.0.1:{port}' }}]\npublic_url: {origin}\nbroker:\n  \
             hosts: [hq.localhost]\n  instances:\n  - name: home\n    redirects: ['{origin}']\n    \
             allow: anyone\n"
        );
        let upstream = trackeep.url();
        let routes = format!(
            "\n  - {{ name: trackeep, upstream: '{upstream}', allow: anyone, preset: trackeep, \
             sign_in: {{ instance: home }} }}\n"
        );
        let world = World::with(&keys, &routes);
        trackeep.resolve("hq.localhost", world.gate.address);
        trackeep.set_control(&format!("http://hq.localhost:{port}"));
        trackeep.set_public_url(&origin);
        Self { trackeep, world, origin }
    }

    /// The token that Trackeep was last asked with who is there, and whether it knew it.
    fn last_token(&self) -> (String, bool) {
        let journal = self.trackeep.journal();
        let asked = journal.iter().rev().find(|entry| entry.request.path() == "/api/v1/auth/me");
        let entry = asked.expect("somebody asked");
        let token = entry.request.header("authorization").expect("a token");
        (token.to_owned(), entry.who.is_some())
    }

    /// How often a browser was sent to GitHub.
    fn sent_to_github(&self) -> usize {
        self.world.github.calls("GET /login/oauth/authorize")
    }
}

#[test]
fn the_instances_token_is_renewed_unseen_while_a_page_is_open() {
    let Some(window) = window("no renewal") else { return };
    let instance = Instance::start();
    let life = Duration::from_secs(1_000);
    instance.trackeep.token_life(life);
    let asked = format!("{}/app/notes/7?tag=a%20b", instance.origin);
    window.go(&asked);
    window.pass_github("octocat");
    window.wait_for_text("#status", "Signed in as octocat");
    let ((first, knew), sent) = (instance.last_token(), instance.sent_to_github());
    assert!(first.starts_with("Bearer eyJ") && knew, "{first}");

    // Its end passes. The page that is open asks for something, and nobody sees a step.
    window.script("window.isTheSame = true").expect("scripts run");
    instance.trackeep.advance(life * 2);
    instance.world.gate.clock.advance(life * 2);
    let answer = window.script("return ask('/auth/me')").expect("it asks");
    assert_eq!(
        (&answer["status"], &answer["body"]["user"]["username"]),
        (&json!(200), &json!("octocat"))
    );
    assert_eq!(window.script("return window.isTheSame"), Ok(json!(true)), "it is still there");
    assert_eq!(window.url(), asked);
    let (second, knew) = instance.last_token();
    assert!(second.starts_with("Bearer eyJ") && second != first && knew, "{second}");
    // So does the page when it is loaded again.
    window.reload();
    window.wait_for_text("#status", "Signed in as octocat");
    assert_eq!(window.script("return window.isTheSame ?? 'new'"), Ok(json!("new")), "control");
    assert_eq!(window.url(), asked);
    assert_eq!(instance.last_token(), (second.clone(), true));
    assert_eq!(instance.sent_to_github(), sent, "and nobody was sent to GitHub");
    let kept = window.kept();
    assert!(kept.contains("octocat") && !kept.contains("eyJ"), "{kept}");

    // Control: a token that is not renewed is seen by everybody. Here the gateway's time stands still.
    instance.trackeep.advance(life * 2);
    window.reload();
    window.wait_for_text("#status", "The server says 401: Invalid token");
    assert_eq!(instance.last_token(), (second, false));
    window.reload();
    window.wait_for_text("#status", "Signed in as octocat");
}
