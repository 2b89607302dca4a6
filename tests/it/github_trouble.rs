//! GitHub misbehaves: malformed, huge, slow and missing answers sign nobody in, end in a page with
//! a way out within the time-out, and leave everybody alone who is signed in already.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use gatekeep::simulator::{Gate, Simulator, Trouble};
use serde_json::json;

use crate::support::World;
use crate::support::browser::Browser;
use crate::support::http::Response;

const TOKEN: &str = "/login/oauth/access_token";
const PAGE: &str = "https://auth.example.com/page";
const SESSION: &str = "__Host-gatekeep";
const JSON: &str = "application/json; charset=utf-8";

const ROUTES: &str = r"
  - { name: auth, host: auth.example.com, upstream: @APP@, allow: anyone }
  - { name: app, host: app.example.com, upstream: @APP@,
      allow: { orgs: [acme], teams: [acme/platform], emails: ['*@github.example'] } }
";

/// Answers that are good; each that is not differs from one of them in a single thing.
const USER: &str = r#"{"id":583231,"login":"octocat","name":"The Octocat"}"#;
const EMAILS: &str = r#"[{"email":"octocat@github.example","primary":true,"verified":true}]"#;
const ORGS: &str = r#"[{"login":"acme"}]"#;
const TEAMS: &str = r#"[{"slug":"platform","organization":{"login":"acme"}}]"#;

/// A world that waits a second for GitHub, with somebody who was signed in before.
struct Bench {
    world: World,
    bystander: Browser,
}

// === impl Bench ===

impl Bench {
    fn new() -> Self {
        let world = World::with("github.timeout: 1s\n", ROUTES);
        let (bystander, _) = world.signed_in("mona", PAGE);
        Self { world, bystander }
    }

    /// The address by which octocat comes back from GitHub in a new browser.
    fn callback(&self) -> (Browser, String) {
        let mut browser = self.world.browser();
        let authorize = self.world.authorize_url(&mut browser, PAGE);
        (browser, self.world.github.approve(&authorize, "octocat"))
    }

    /// Comes back while GitHub is in this trouble.
    fn come_back(&self, path: &str, trouble: Trouble) -> Response {
        let (mut browser, callback) = self.callback();
        self.world.github.knobs().at(path, trouble);
        let response = browser.get(&callback);
        self.world.github.knobs().off(path);
        response
    }

    /// Nobody is signed in, and all else is as it must be.
    fn refuses(&mut self, path: &str, trouble: Trouble, what: &str) -> Response {
        let begun = Instant::now();
        let response = self.come_back(path, trouble);
        assert!(begun.elapsed() < Duration::from_secs(8), "{what} took {:?}", begun.elapsed());
        assert_no_session(&response, what);
        let page = self.bystander.fetch(PAGE);
        assert_eq!(page.status, 200, "{what}: who was signed in is unaffected");
        response
    }

    fn signs_in(&self, path: &str, trouble: Trouble, what: &str) {
        let response = self.come_back(path, trouble);
        assert_eq!(response.status, 303, "{what}: {}", response.text());
        assert!(response.sets(SESSION).is_some_and(|id| id.len() == 43), "{what}");
    }

    /// A token of octocat's that GitHub takes.
    fn token(&self) -> String {
        self.world.github.token_for("octocat", "read:user user:email read:org")
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        // The control: as soon as GitHub behaves, signing in works.
        self.world.github.knobs().clear();
        let (_, page) = self.world.signed_in("octocat", "https://app.example.com/");
        assert_eq!(page.status, 200, "GitHub behaves again");
    }
}

fn assert_no_session(response: &Response, what: &str) {
    let text = response.text();
    // 400 where GitHub says that the code is no good, which the browser brought.
    assert!(matches!(response.status, 400 | 502 | 503), "{what}: {} {text}", response.status);
    assert_eq!(response.sets(SESSION), None, "{what}");
    assert_eq!(response.header("location"), None, "{what}");
    assert_eq!(response.header("cache-control"), Some("no-store"), "{what}");
    assert!(text.contains("href=\"/.gatekeep/start?rd=%2F\""), "{what}: {text}");
    assert!(!text.contains("gho_"), "{what}: {text}");
}

fn ok(body: impl Into<String>) -> Trouble {
    Trouble::answer(200, JSON, body.into())
}

/// Nested deeper than any parser should follow.
fn deep() -> String {
    "[".repeat(100_000)
}

// === Malformed answers ===

/// The token's answer, as RFC 6749 §5.1 does not have it.
#[test]
fn no_malformed_token_signs_anybody_in() {
    let mut bench = Bench::new();
    let token = bench.token();
    let good = format!(r#"{{"access_token":"{token}","token_type":"bearer","scope":"read:user"}}"#);
    let with = |from: &str, to: &str| good.replace(from, to);
    bench.signs_in(TOKEN, ok(good.clone()), "control");
    bench.signs_in(TOKEN, ok(with("bearer", "Bearer")), "control: the type has no case");
    for (what, body) in [
        ("empty", String::new()),
        ("HTML", "<!doctype html><title>Unicorn!</title>".into()),
        ("null", "null".into()),
        ("an array", format!("[{good}]")),
        ("an empty object", "{}".into()),
        ("a string", format!("\"{token}\"")),
        ("a number for a token", with(&format!("\"{token}\""), "5")),
        ("null for a token", with(&format!("\"{token}\""), "null")),
        ("an array for a token", with(&format!("\"{token}\""), "[\"x\"]")),
        ("no token", r#"{"token_type":"bearer"}"#.into()),
        ("an empty token", with(&token, "")),
        ("a token of another GitHub", with(&token, "gho_0000")),
        ("a token with a line end", with(&token, "x\\r\\nhost: evil.example")),
        ("no type", format!(r#"{{"access_token":"{token}"}}"#)),
        ("a MAC token", with("bearer", "mac")),
        ("a DPoP token", with("bearer", "DPoP")),
        ("a number for a type", with("\"bearer\"", "1")),
        ("an error", r#"{"error":"incorrect_client_credentials"}"#.into()),
        ("an unknown error", r#"{"error":"something_new","error_description":"<b>"}"#.into()),
        ("an error that is no text", r#"{"error":5}"#.into()),
        ("an error beside a token", with("{", r#"{"error":"access_denied","#)),
        ("a token twice", with("{", r#"{"access_token":"x","#)),
        ("cut off", good[..good.len() - 5].into()),
        ("something behind it", format!("{good}{good}")),
        ("a form", format!("access_token={token}&token_type=bearer")),
        ("deeply nested", deep()),
    ] {
        bench.refuses(TOKEN, ok(body), what);
    }
    for kind in ["text/html", "text/plain", "application/x-www-form-urlencoded"] {
        bench.refuses(TOKEN, Trouble::answer(200, kind, good.clone()), kind);
    }
}

/// GitHub's own words for a refusal, and what the visitor is told.
#[test]
fn each_refusal_of_github_is_told_apart() {
    let mut bench = Bench::new();
    for (error, status, reason) in [
        ("bad_verification_code", 400, "attempt-spent"),
        ("incorrect_client_credentials", 502, "github-refused"),
        ("redirect_uri_mismatch", 502, "github-refused"),
        ("unverified_user_email", 502, "github-refused"),
        ("application_suspended", 502, "github-refused"),
    ] {
        let body = json!({ "error": error, "error_description": "x" }).to_string();
        let response = bench.refuses(TOKEN, ok(body), error);
        assert_eq!(response.status, status, "{error}");
        assert!(response.text().contains(&format!("<code>{reason}</code>")), "{error}");
    }
}

/// The account's answer: number and login must be there, and be what GitHub means by them.
#[test]
fn no_malformed_account_signs_anybody_in() {
    let mut bench = Bench::new();
    bench.signs_in("/user", ok(USER), "control");
    bench.signs_in("/user", ok(USER.replace("\"The Octocat\"", "null")), "control: no name");
    let id = |to: &str| USER.replace("583231", to);
    let login = |to: &str| USER.replace("\"octocat\"", to);
    for (what, body) in [
        ("empty", String::new()),
        ("HTML", "<!doctype html><title>Unicorn!</title>".into()),
        ("null", "null".into()),
        ("an array", format!("[{USER}]")),
        ("an empty object", "{}".into()),
        ("number 0", id("0")),
        ("a negative number", id("-1")),
        ("a fraction", id("1.5")),
        ("an exponent", id("5e5")),
        ("2^64", id("18446744073709551616")),
        ("a huge number", id(&"9".repeat(400))),
        ("a number as text", id("\"583231\"")),
        ("null for a number", id("null")),
        ("true for a number", id("true")),
        ("an array for a number", id("[583231]")),
        ("no number", r#"{"login":"octocat"}"#.into()),
        ("two numbers", USER.replace('{', "{\"id\":1,")),
        ("no login", r#"{"id":583231}"#.into()),
        ("null for a login", login("null")),
        ("a number for a login", login("5")),
        ("an empty login", login("\"\"")),
        ("a login with a slash", login("\"acme/octocat\"")),
        ("a login with a comma", login("\"octocat,mona\"")),
        ("a login with a space", login("\"octocat \"")),
        ("a login with a line end", login("\"octocat\\r\\nx-admin: 1\"")),
        ("a login with a null", login("\"octocat\\u0000\"")),
        ("a Cyrillic login", login("\"\\u043ectocat\"")),
        ("a login of 40 characters", login(&format!("\"{}\"", "a".repeat(40)))),
        ("a number for a name", USER.replace("\"The Octocat\"", "7")),
        ("cut off", USER[..USER.len() - 3].into()),
        ("something behind it", format!("{USER}{USER}")),
        ("deeply nested", deep()),
    ] {
        bench.refuses("/user", ok(body), what);
    }
}

/// The lists: e-mails, organisations and teams. A list that cannot be read is no empty list.
#[test]
fn no_malformed_list_signs_anybody_in() {
    let mut bench = Bench::new();
    for (path, good, key) in [
        ("/user/emails", EMAILS, "email"),
        ("/user/orgs", ORGS, "login"),
        ("/user/teams", TEAMS, "slug"),
    ] {
        bench.signs_in(path, ok(good), "control");
        bench.signs_in(path, ok("[]"), "control: an empty list");
        let named = format!("\"{key}\":");
        for (what, body) in [
            ("empty", String::new()),
            ("HTML", "<!doctype html><title>Unicorn!</title>".into()),
            ("null", "null".into()),
            ("an object", good[1..good.len() - 1].into()),
            ("an empty object", "{}".into()),
            ("numbers", "[1,2]".into()),
            ("nulls", "[null]".into()),
            ("empty objects", "[{}]".into()),
            ("arrays", format!("[{good}]")),
            ("a missing member", good.replace(&named, "\"other\":")),
            ("a number for a text", good.replace(&named, &format!("\"{key}\":5,\"x\":"))),
            ("a good one and a bad one", good.replace(']', ",7]")),
            ("cut off", good[..good.len() - 1].into()),
            ("deeply nested", deep()),
        ] {
            bench.refuses(path, ok(body), &format!("{path}: {what}"));
        }
    }
    for (from, to) in [("true", "\"true\""), ("true", "1"), ("primary", "x"), ("verified", "x")] {
        let what = format!("{to} for {from}");
        bench.refuses("/user/emails", ok(EMAILS.replace(from, to)), &what);
    }
    let broken = TEAMS.replace(r#"{"login":"acme"}"#, "null");
    bench.refuses("/user/teams", ok(broken), "a team without an organisation");
}

/// A right body under another type is some other page that happens to look right: GitHub never
/// sends that.
#[test]
fn no_answer_of_another_content_type_is_believed() {
    let mut bench = Bench::new();
    for (path, good) in
        [("/user", USER), ("/user/emails", EMAILS), ("/user/orgs", ORGS), ("/user/teams", TEAMS)]
    {
        for kind in ["application/json", "application/vnd.github+json; charset=utf-8"] {
            bench.signs_in(path, Trouble::answer(200, kind, good), kind);
        }
        for kind in ["text/html", "text/plain; charset=utf-8", "application/octet-stream", ""] {
            bench.refuses(path, Trouble::answer(200, kind, good), &format!("{path} as {kind:?}"));
        }
        let bare = Trouble::Answer { status: 200, headers: vec![], body: good.into() };
        bench.refuses(path, bare, &format!("{path} of no type"));
    }
}

/// Every other status than 200, with a body that would be right: nobody is signed in. Only "you may
/// not see the e-mails" means that there is none.
#[test]
fn no_other_status_signs_anybody_in() {
    let mut bench = Bench::new();
    let token = format!(r#"{{"access_token":"{}","token_type":"bearer"}}"#, bench.token());
    for (path, good) in [
        (TOKEN, token.as_str()),
        ("/user", USER),
        ("/user/emails", EMAILS),
        ("/user/orgs", ORGS),
        ("/user/teams", TEAMS),
    ] {
        for status in [
            201, 202, 203, 204, 206, 300, 301, 302, 304, 307, 308, 400, 401, 403, 404, 406, 410,
            418, 422, 429, 451, 500, 501, 502, 503, 504, 599,
        ] {
            if path == "/user/emails" && matches!(status, 403 | 404) {
                bench.signs_in(
                    path,
                    Trouble::answer(status, JSON, good.to_owned()),
                    "no e-mails to see",
                );
                continue;
            }
            let trouble = Trouble::answer(status, JSON, good.to_owned());
            bench.refuses(path, trouble, &format!("{path} with {status}"));
        }
    }
}

// === Answers that do not end well ===

const CALLS: [&str; 5] = [TOKEN, "/user", "/user/emails", "/user/orgs", "/user/teams"];

/// A connection that is refused, that breaks within the body, and bodies without an end.
#[test]
fn no_broken_answer_signs_anybody_in() {
    let mut bench = Bench::new();
    for path in CALLS {
        for (what, trouble) in [
            ("refused", Trouble::Refuse),
            ("cut at once", Trouble::Cut { after: 0 }),
            ("cut within", Trouble::Cut { after: 7 }),
            ("cut before its end", Trouble::Cut { after: 100_000 }),
            ("four megabytes", Trouble::Huge(4 << 20)),
            ("endless", Trouble::Huge(u64::MAX)),
        ] {
            let what = format!("{path} {what}");
            let response = bench.refuses(path, trouble, &what);
            assert!(matches!(response.status, 502 | 503), "{what}");
        }
    }
}

/// GitHub says nothing, or a byte now and then: after the time-out there is a page. Meanwhile those
/// who are signed in are served, and so they are by the very same gateway.
#[test]
fn silence_ends_at_the_time_out() {
    let mut bench = Bench::new();
    for path in CALLS {
        let gate = Gate::new();
        let response = bench.refuses(path, Trouble::Hold(gate.clone()), path);
        gate.release();
        assert_eq!(response.status, 503, "{path}");
        assert!(response.text().contains("<code>github-unavailable</code>"), "{path}");
        assert_eq!(gate.arrived(), 1, "{path}: asked once");
    }
}

/// A byte every fifth of a second would take minutes, and never lets a read time out.
#[test]
fn a_trickle_ends_at_the_time_out() {
    let mut bench = Bench::new();
    for path in CALLS {
        let response = bench.refuses(path, Trouble::Trickle(Duration::from_millis(200)), path);
        assert_eq!(response.status, 503, "{path}");
    }
}

/// While GitHub holds an answer back, a visitor who is signed in is served, and one who was slow
/// but in time arrives.
#[test]
fn others_are_served_while_github_is_silent() {
    let mut bench = Bench::new();
    let (mut browser, callback) = bench.callback();
    let gate = Gate::new();
    bench.world.github.knobs().at("/user", Trouble::Hold(gate.clone()));
    let waiting = std::thread::spawn(move || browser.get(&callback));
    assert!(gate.wait_for(1, Duration::from_secs(20)), "GitHub is asked");
    assert!(!waiting.is_finished());
    assert_eq!(bench.bystander.fetch(PAGE).status, 200);
    gate.release();
    let response = waiting.join().expect("an answer");
    assert_eq!(response.status, 303, "{}", response.text());
    assert!(response.sets(SESSION).is_some());
}

/// All of GitHub is gone: who is signed in goes on, at every host; who is not gets a page and a way
/// to try again.
#[test]
fn github_down_keeps_nobody_from_working() {
    let mut bench = Bench::new();
    let (mut browser, callback) = bench.callback();
    bench.world.github.knobs().on("/", Trouble::Refuse);
    for seconds in [0, 61, 3600] {
        bench.world.gate.clock.advance(Duration::from_secs(seconds));
        assert_eq!(bench.bystander.fetch(PAGE).status, 200, "after {seconds} s");
    }
    let app = "https://app.example.com/";
    assert_eq!(bench.bystander.follow(app).1.status, 200, "a hand-over needs no GitHub");
    let late = browser.get(&callback);
    assert_eq!((late.status, late.sets(SESSION)), (400, None), "ten minutes are over");
    let (mut browser, callback) = bench.callback();
    let response = browser.get(&callback);
    assert_eq!(response.status, 503);
    assert!(response.text().contains("<code>github-unavailable</code>"));
    assert_no_session(&response, "GitHub is down");
}

// === Where the token goes ===

fn another_site() -> Simulator {
    Simulator::start(SocketAddr::from(([127, 0, 0, 1], 0))).expect("another site starts")
}

fn with_link(body: &str, link: &str) -> Trouble {
    let headers = vec![
        ("content-type".to_owned(), JSON.to_owned()),
        ("link".to_owned(), format!("<{link}>; rel=\"next\"")),
    ];
    Trouble::Answer { status: 200, headers, body: body.to_owned().into() }
}

/// The next page of a list is said to be on another host: nobody asks there, let alone with the
/// token, and nobody is signed in with half a list.
#[test]
fn the_token_follows_no_link_to_another_host() {
    let mut bench = Bench::new();
    let other = another_site();
    let (api, elsewhere) = (bench.world.github.api_url().to_owned(), other.address());
    for (path, good) in [("/user/emails", EMAILS), ("/user/orgs", ORGS), ("/user/teams", TEAMS)] {
        for link in [
            format!("{}{path}?page=2", other.api_url()),
            format!("http://{elsewhere}/"),
            format!("//{elsewhere}/api/v3{path}"),
            format!("{api}@{elsewhere}{path}"),
            format!("http://x:y@{elsewhere}/api/v3{path}"),
            format!("{api}.evil.example{path}"),
            format!("{api}x{path}"),
            format!("{}?{path}", bench.world.github.url()),
            format!("https://{elsewhere}/api/v3{path}"),
            "file:///etc/passwd".to_owned(),
            String::new(),
        ] {
            bench.refuses(path, with_link(good, &link), &format!("{path} with a link to {link}"));
        }
    }
    assert_eq!(other.requests(), []);
}

/// A redirect to another host is not followed, for the exchange (with the secret in its body) as
/// little as for what the token asks.
#[test]
fn no_redirect_of_github_is_followed() {
    let mut bench = Bench::new();
    let other = another_site();
    for path in CALLS {
        for status in [301, 302, 303, 307, 308] {
            let to = format!("{}{path}", other.url());
            let headers = vec![("location".to_owned(), to)];
            let trouble = Trouble::Answer { status, headers, body: "".into() };
            bench.refuses(path, trouble, &format!("{path} with {status}"));
        }
    }
    assert_eq!(other.requests(), []);
}

/// Pages that lead round and round end after fifty, and do not sign anybody in.
#[test]
fn a_list_without_an_end_is_left_alone() {
    let mut bench = Bench::new();
    for (path, good) in [("/user/orgs", ORGS), ("/user/teams", TEAMS)] {
        let link = format!("{}{path}?page=2", bench.world.github.api_url());
        let before = bench.world.github.calls(&format!("GET {path}"));
        let response = bench.refuses(path, with_link(good, &link), path);
        assert!(matches!(response.status, 502 | 503), "{path}");
        let asked = bench.world.github.calls(&format!("GET {path}")) - before;
        assert!((2..=50).contains(&asked), "{path}: {asked} pages");
    }
}

/// The token goes to GitHub's API alone, in `Authorization` alone, once (RFC 6750 §2).
#[test]
fn the_token_is_sent_in_one_place() {
    let bench = Bench::new();
    for request in bench.world.github.requests() {
        let tokens = request.headers.iter().filter(|(_, value)| value.contains("gho_"));
        let names: Vec<_> = tokens.map(|(name, _)| name.as_str()).collect();
        let expected: &[&str] =
            if request.path().starts_with("/api/v3/") { &["authorization"] } else { &[] };
        assert_eq!(names, expected, "{}", request.target);
        assert!(!request.target.contains("gho_"), "{}", request.target);
        assert!(!String::from_utf8_lossy(&request.body).contains("gho_"), "{}", request.target);
    }
    assert!(bench.world.github.calls("GET /user") > 0, "control");
}

// === Facts that GitHub does not give ===

/// Without a verified address, or without leave to see any, somebody is signed in, but has no
/// e-mail: a policy that asks for one refuses, and the app is told none.
#[test]
fn without_a_verified_email_a_policy_on_emails_refuses() {
    let routes = "
  - { name: mail, host: app.example.com, path: /mail, upstream: @APP@,
      allow: { emails: ['*@github.example', '*@unverified.example'] } }
  - { name: open, host: app.example.com, upstream: @APP@, allow: anyone }
";
    let unverified = EMAILS.replace("\"verified\":true", "\"verified\":false");
    let secondary = EMAILS.replace("\"primary\":true", "\"primary\":false");
    let odd = EMAILS.replace("octocat@github.example", "a@b@github.example");
    for (what, trouble, has_email) in [
        ("control", ok(EMAILS), true),
        ("none verified", ok(unverified), false),
        ("none primary", ok(secondary), false),
        ("none at all", ok("[]"), false),
        ("no address", ok(odd), false),
        ("not to be seen", Trouble::answer(404, JSON, "{}"), false),
        ("forbidden", Trouble::answer(403, JSON, "{}"), false),
    ] {
        let world = World::with("", routes);
        world.github.knobs().at("/user/emails", trouble);
        let (mut browser, page) = world.signed_in("octocat", "https://app.example.com/");
        assert_eq!(page.status, 200, "{what}");
        let seen = world.app.requests().pop().expect("the app was reached");
        let email = has_email.then_some("octocat@github.example");
        assert_eq!(seen.header("x-forwarded-email"), email, "{what}");
        let status = browser.fetch("https://app.example.com/mail").status;
        assert_eq!(status, if has_email { 200 } else { 403 }, "{what}");
    }
}
