//! The demo, walked through in a real browser.

use std::path::{Path, PathBuf};

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
    #[expect(clippy::print_stderr, reason = "a skipped test says so aloud")]
    fn of(name: &'static str, first: &str, further: &[&str]) -> Option<Self> {
        let window = match Window::open() {
            Ok(window) => window,
            Err(why) => {
                eprintln!("SKIPPED: no walk through the demo in a real browser: {why}");
                return None;
            }
        };
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

/// What scripts of the page can read and keep.
fn storage(walk: &Walk) -> String {
    let code = "return JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])";
    walk.window.script(code).expect("scripts run").as_str().expect("it is text").to_owned()
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
    let kept = storage(&walk);
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
    walk.window.wait_for_text("#title", "Trackeep: /app");
    walk.window.go(&walk.url("/.gatekeep/start?rd=/app&prompt=select_account"));
    walk.pass_github("hubot");
    walk.window.wait_for_text("#status", "Signed in as hubot");
    let kept = storage(&walk);
    assert!(kept.contains("hubot") && !kept.contains("octocat") && !kept.contains("eyJ"), "{kept}");
    walk.picture("somebody-else");
}
