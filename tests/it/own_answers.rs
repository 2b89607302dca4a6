//! What browsers are told of our own answers: that they are in no frame, what they say they are, kept by
//! nobody, and that this host is reached by TLS. Of an app's answers the app alone says so.

use gatekeep::simulator::Trouble;

use crate::support::World;
use crate::support::browser::{Browser, encode};
use crate::support::http::Response;

const KEYS: &str = r"github.timeout: 1s
limits: { header_bytes: 8KiB }
broker:
  hosts: [hq.example.com]
  instances:
    - name: home
      redirects: [https://trackeep.example.com]
      allow: { orgs: [acme] }
    - name: oldest
      contract: seed
      redirects: [https://oldest.example.com]
      allow: { orgs: [acme] }
      key: a-seed-key-of-an0ther-instance-alone-42
";

const ROUTES: &str = r"
  - name: app
    host: app.example.com
    upstream: @APP@
    allow: { orgs: [acme] }
    body_limit: 1KiB
    public: [/public/*]
    rules:
      - { path: /closed, allow: nobody }
      - { path: /api, answers: json }
  - { name: gone, host: app.example.com, path: /gone, upstream: 'http://127.0.0.1:9', allow: anyone }
  - { name: github, host: app.example.com, path: /github, upstream: github, allow: anyone }
";

const HSTS: &str = "max-age=31536000";

/// Who asks.
#[derive(Clone, Copy)]
enum Who {
    Nobody,
    Member,
    Stranger,
}

use Who::{Member, Nobody, Stranger};

/// Each of our own answers: who asks for it, and the status.
const OURS: [(Who, &str, u16); 55] = [
    (Nobody, "GET https://auth.example.com/.gatekeep/start?rd=/x", 303),
    (Nobody, "GET https://app.example.com/.gatekeep/start?rd=/x", 303),
    (Nobody, "GET https://auth.example.com/.gatekeep/start?rd=/x&rd=/y", 400),
    (Nobody, "GET https://auth.example.com/.gatekeep/callback?code=x&state=y", 400),
    (Nobody, "GET https://app.example.com/.gatekeep/callback", 404),
    (Nobody, "GET https://app.example.com/.gatekeep/handover?code=x&state=y", 400),
    (Nobody, "GET https://app.example.com/.gatekeep/sign_in", 200),
    (Nobody, "HEAD https://app.example.com/.gatekeep/sign_in", 200),
    (Nobody, "GET https://app.example.com/.gatekeep/account", 303),
    (Member, "GET https://app.example.com/.gatekeep/account", 200),
    (Member, "GET https://app.example.com/.gatekeep/sign_out", 200),
    (Member, "POST https://app.example.com/.gatekeep/sign_out", 403),
    (Member, "POST https://app.example.com/.gatekeep/end_session", 403),
    (Member, "POST https://app.example.com/.gatekeep/end_other_sessions", 403),
    (Member, "POST https://app.example.com/.gatekeep/sign_out_everywhere", 403),
    (Member, "POST https://app.example.com/.gatekeep/api_keys", 403),
    (Nobody, "GET https://app.example.com/.gatekeep/nothing", 404),
    (Nobody, "POST https://auth.example.com/.gatekeep/github/webhook", 404),
    (Nobody, "GET https://app.example.com/", 303),
    (Nobody, "POST https://app.example.com/", 401),
    (Nobody, "GET https://app.example.com/api/x", 401),
    (Stranger, "GET https://app.example.com/", 403),
    (Stranger, "GET https://app.example.com/api/x", 403),
    (Nobody, "GET https://app.example.com/closed", 403),
    (Nobody, "GET https://app.example.com/a%00b", 400),
    (Nobody, "GET https://app.example.com/a/%2e%2e/b", 400),
    (Nobody, "GET https://nobody.example.com/", 404),
    (Nobody, "GET https://nobody.example.com/.gatekeep/account", 404),
    (Member, "GET https://app.example.com/gone", 502),
    (Nobody, "GET https://app.example.com/github/user", 303),
    (Nobody, "GET https://hq.example.com/", 404),
    (Nobody, "GET https://hq.example.com/health", 200),
    (Nobody, "HEAD https://hq.example.com/health", 200),
    (Nobody, "GET https://hq.example.com/auth/email", 410),
    (Nobody, "POST https://hq.example.com/api/v1/email/send", 410),
    (Nobody, "GET https://hq.example.com/auth/github", 400),
    (Nobody, "GET https://hq.example.com/auth/github?redirect_uri=https://evil.example", 400),
    (
        Nobody,
        "GET https://hq.example.com/auth/github?redirect_uri=https://trackeep.example.com",
        303,
    ),
    (
        Member,
        "GET https://hq.example.com/auth/github?redirect_uri=https://trackeep.example.com",
        303,
    ),
    (Member, "GET https://hq.example.com/auth/github?redirect_uri=https://oldest.example.com", 303),
    (
        Stranger,
        "GET https://hq.example.com/auth/github?redirect_uri=https://trackeep.example.com",
        403,
    ),
    (Nobody, "GET https://hq.example.com/auth/github/callback", 404),
    (Nobody, "GET https://hq.example.com/auth/github/app/callback", 400),
    (Nobody, "GET https://hq.example.com/api/v1/user/me", 401),
    (Nobody, "OPTIONS https://hq.example.com/api/v1/user/me", 204),
    (Nobody, "POST https://hq.example.com/api/v1/auth/control/callback", 400),
    (Nobody, "POST https://hq.example.com/api/v1/auth/oauth/callback", 400),
    (Nobody, "GET https://hq.example.com/api/v1/github/repos", 401),
    (Nobody, "GET https://hq.example.com/api/v1/github/app/info", 401),
    (Nobody, "GET https://hq.example.com/api/v1/github/app/install-url", 401),
    (Nobody, "GET https://hq.example.com/api/v1/github/app/installations/1/verify", 401),
    (Nobody, "GET https://hq.example.com/api/v1/github/app/installations/1/repos", 401),
    (Nobody, "GET https://hq.example.com/api/v1/github/app/installations/1/access-token", 401),
    (Nobody, "GET https://hq.example.com/api/v1/github/user/access-token", 401),
    (Nobody, "GET https://hq.example.com/.gatekeep/account", 303),
];

fn is_told(what: &str, answer: &Response, hsts: Option<&str>) {
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{what}");
    let policy = answer.header("content-security-policy").unwrap_or_default();
    assert!(policy.contains("default-src 'none'"), "{what}: {policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{what}: {policy}");
    // A page with a form must say to ourselves where it came from.
    let referrer = answer.header("referrer-policy");
    let has_form = answer.text().contains("<form");
    assert_eq!(referrer, Some(if has_form { "same-origin" } else { "no-referrer" }), "{what}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
    assert_eq!(answer.header("strict-transport-security"), hsts, "{what}");
}

/// As a browser that navigates.
fn ask(browser: &mut Browser, line: &str) -> Response {
    let (method, url) = line.split_once(' ').expect("a method and an address");
    let headers = [("accept", "text/html,*/*"), ("sec-fetch-mode", "navigate")];
    browser.send(method, url, &headers, "")
}

#[test]
fn every_answer_of_ours_says_how_it_is_to_be_treated() {
    let world = World::with(KEYS, ROUTES);
    let hq = format!(
        "https://hq.example.com/auth/github?{}",
        encode(&[("redirect_uri", "https://trackeep.example.com")])
    );
    let at_both = |person: &str| {
        let mut browser = world.signed_in(person, "https://app.example.com/").0;
        browser.follow(&hq);
        browser
    };
    let (mut member, stranger) = (at_both("octocat"), at_both("stranger"));
    for (who, line, status) in OURS {
        let mut browser = match who {
            Nobody => world.browser(),
            Member => member.clone(),
            Stranger => stranger.clone(),
        };
        let answer = ask(&mut browser, line);
        assert_eq!(answer.status, status, "{line}: {}", answer.text());
        is_told(line, &answer, Some(HSTS));
    }
    let large = member.send("POST", "https://app.example.com/x", &[], &"x".repeat(2048));
    assert_eq!(large.status, 413);
    is_told("a body too large", &large, Some(HSTS));
    let heavy = "x".repeat(16 * 1024);
    let heavy = member.send("GET", "https://app.example.com/", &[("x-heavy", &heavy)], "");
    assert!(matches!(heavy.status, 400 | 431), "{}", heavy.status);
    is_told("a header too large", &heavy, Some(HSTS));
    // Back from GitHub, which fails.
    world.github.knobs().at("/user", Trouble::answer(500, "text/plain", "oops"));
    let mut browser = world.browser();
    let authorize = world.authorize_url(&mut browser, "https://app.example.com/");
    let failed = browser.get(&world.github.approve(&authorize, "octocat"));
    assert!(failed.status >= 500, "{}", failed.status);
    is_told("GitHub's failure", &failed, Some(HSTS));
}

/// The keys are for everybody, and may be kept; all else of them is the same.
#[test]
fn the_published_keys_may_be_kept() {
    let world = World::with(KEYS, ROUTES);
    for url in [
        "https://auth.example.com/.well-known/jwks.json",
        "https://app.example.com/.gatekeep/jwks.json",
    ] {
        let answer = world.browser().get(url);
        assert!(answer.header("cache-control").is_some_and(|kept| kept.contains("max-age")));
        assert_eq!(answer.header("strict-transport-security"), Some(HSTS));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
}

/// What the app says of its answers is the app's, and what it does not say, too.
#[test]
fn an_apps_answers_are_told_nothing_of() {
    let world = World::with(KEYS, ROUTES);
    let (mut browser, _) = world.signed_in("octocat", "https://app.example.com/");
    let app: std::net::SocketAddr =
        world.app.url().strip_prefix("http://").and_then(|at| at.parse().ok()).expect("an address");
    for path in ["/x", "/public/x"] {
        let own = Browser::new(app).get(&format!("http://app{path}"));
        let hits = world.app.hits();
        let passed = browser.get(&format!("https://app.example.com{path}"));
        assert_eq!((passed.status, world.app.hits()), (200, hits + 1), "control: it is the app's");
        for name in [
            "strict-transport-security",
            "content-security-policy",
            "referrer-policy",
            "cache-control",
            "x-content-type-options",
        ] {
            assert_eq!(passed.header(name), own.header(name), "{path}: {name}");
        }
    }
}

/// Without TLS the field means nothing, and must not be sent (RFC 6797 §7.2).
#[test]
fn without_tls_nothing_is_promised_of_it() {
    let routes = "\n  - { name: app, host: localhost, upstream: @APP@, allow: anyone }\n";
    let world = World::with("public_url: http://localhost\n", routes);
    for path in ["/", "/.gatekeep/sign_in", "/.gatekeep/nothing"] {
        let answer = world.browser().get(&format!("http://localhost{path}"));
        assert!(answer.status < 500, "{path}");
        is_told(path, &answer, None);
    }
}
