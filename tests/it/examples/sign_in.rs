//! The guide's login button and callback, in a real browser, before the real service.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{file, free_port};
use crate::support::World;
use crate::support::browser::{encode, join, parameter};
use crate::support::upstream::{read_head, serve};
use crate::support::webdriver::Window;

/// The service, and an app's static page, which every host of this machine's serves.
struct Pair {
    world: World,
    service: String,
    page: SocketAddr,
    /// What the page's server was asked for.
    heard: Arc<Mutex<Vec<String>>>,
}

/// An instance that follows the guide. GitHub's API is there for what its tokens hold.
const SERVICE: &str = r"
broker:
  hosts: [auth.localhost]
  instances:
    - name: page
      contract: seed
      redirects: ['@PAGE@']
      allow: { orgs: [acme] }
      key: a-seed-key-of-an0ther-instance-alone-42
";

const ROUTES: &str = "\n  - { name: github, path: /github, upstream: github, allow: anyone }\n";

// === impl Pair ===

impl Pair {
    fn start() -> Self {
        let port = free_port();
        let service = format!("http://auth.localhost:{port}");
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let text = std::fs::read_to_string(file("trackeep/sign-in.html")).expect("it is there");
        let text = text.replace("https://auth.example.com", &service);
        let log = Arc::clone(&heard);
        let page = serve(move |_, mut stream| {
            let Some(request) = read_head(&mut stream) else { return };
            let target = request.split(' ').nth(1).unwrap_or_default();
            log.lock().expect("no test panics in here").push(target.to_owned());
            reply(&mut stream, &text);
        });
        let keys = format!(
            "listen: [{{ address: '127.0.0.1:{port}' }}]\npublic_url: http://localhost:{port}\n{}",
            SERVICE.replace("@PAGE@", &origin("page", page))
        );
        Self { world: World::with(&keys, ROUTES), service, page, heard }
    }

    fn origin(&self, host: &str) -> String {
        origin(host, self.page)
    }

    /// Where a browser is sent that somebody else signed in with: with a token of theirs.
    fn link_of(&self, person: &str) -> String {
        let (mut browser, own) = (self.world.browser(), self.origin("page"));
        let query = encode(&[("redirect_uri", &own)]);
        let mut at = format!("{}/auth/github?{query}", self.service);
        while !at.starts_with(&own) {
            if at.starts_with(self.world.github.url()) {
                at = self.world.github.approve(&at, person);
            }
            let answer = browser.get(&at);
            assert_eq!(answer.status, 303, "{at}: {}", answer.text());
            at = join(&at, answer.location());
        }
        at
    }

    /// How often somebody asked whose a token is.
    fn asked(&self) -> usize {
        self.world.gate.access_log().matches("/api/v1/user/me").count()
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("no test panics in here").clone()
    }
}

fn origin(host: &str, address: SocketAddr) -> String {
    format!("http://{host}.localhost:{}", address.port())
}

fn reply(stream: &mut std::net::TcpStream, body: &str) {
    use std::io::Write;
    let length = body.len();
    let text = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    // A browser that left is the test's to notice.
    drop(stream.write_all(text.as_bytes()));
}

/// A page's script asks the service whose a token is.
fn ask(window: &Window, service: &str, token: &str) -> Value {
    let options = json!({ "headers": { "Authorization": format!("Bearer {token}") } });
    let code = format!(
        "return fetch('{service}/api/v1/user/me', {options})
            .then(async answer => (await answer.json()).user.username, error => error.name)"
    );
    window.script(&code).expect("scripts run")
}

#[test]
fn the_guides_button_and_callback_sign_in_who_began_here() {
    let window = match Window::open() {
        Ok(window) => window,
        Err(why) => return eprintln!("SKIPPED: no sign-in page in a real browser: {why}"),
    };
    let pair = Pair::start();
    let app = pair.origin("page");
    pair.world.github.change("octocat", |person| person.name = Some("<b>Octo".to_owned()));

    // A link with somebody else's token leads nowhere.
    let link = pair.link_of("hubot");
    window.go(&link);
    let refused = "You are not signed in: this sign-in did not begin here.";
    window.wait_for_text("#status", refused);
    assert_eq!(window.url(), format!("{app}/"), "nothing of it stays in the address");
    assert_eq!(pair.asked(), 0, "and nobody is asked about it");

    window.go(&format!("{app}/"));
    window.click("#login");
    window.pass_github("octocat");
    window.wait_for_text("#status", "Hello <b>Octo, you are octocat at GitHub.");
    assert_eq!(window.url(), format!("{app}/"));
    let kept = window.script("return JSON.stringify([localStorage, sessionStorage])");
    assert_eq!(kept, Ok("[{},{}]".into()), "the token is kept nowhere");
    let heard = pair.heard();
    let back = heard.iter().rev().find(|target| target.starts_with("/auth/callback?"));
    let token = parameter(&format!("{app}{}", back.expect("it came back")), "token");
    assert!(token.expect("a token").starts_with("eyJ"), "{heard:?}");
    assert_eq!(pair.asked(), 2, "by a question whether it may ask (CORS), and by asking");
}

#[test]
fn the_same_page_at_another_origin_gets_neither_a_token_nor_an_answer() {
    let window = match Window::open() {
        Ok(window) => window,
        Err(why) => return eprintln!("SKIPPED: no sign-in page in a real browser: {why}"),
    };
    let pair = Pair::start();
    let token = parameter(&pair.link_of("hubot"), "token").expect("a token");

    // The button leads to the service, and not back. Nobody is asked to sign in.
    window.go(&format!("{}/", pair.origin("other")));
    window.click("#login");
    assert!(window.url().starts_with(&pair.service), "{}", window.url());
    assert!(pair.heard().iter().all(|target| !target.contains("token=")), "{:?}", pair.heard());
    assert_eq!(pair.world.github.calls("GET /login/oauth/authorize"), 0);

    // A token that it came by tells it nothing.
    window.go(&format!("{}/", pair.origin("other")));
    assert_eq!(ask(&window, &pair.service, &token), "TypeError");
    window.go(&format!("{}/", pair.origin("page")));
    assert_eq!(ask(&window, &pair.service, &token), "hubot", "control");
}
