//! `preset: trackeep`: an instance behind the gateway, with its own holes closed.

use std::path::Path;

use gatekeep::config::Config;
use gatekeep::simulator::Trackeep;

use crate::support::World;
use crate::support::browser::Browser;
use crate::support::child::gatekeep;
use crate::support::http::{Connection, Response};
use crate::support::upstream::{self, Held};

const HOST: &str = "app.example.com";

/// An instance with these options and keys of its own.
fn routes(options: &str, more: &str) -> String {
    format!(
        "\n  - name: trackeep\n    host: {HOST}\n    upstream: @APP@\n    \
         allow: {{ orgs: [acme] }}\n    preset: {{ trackeep: {options} }}\n{more}"
    )
}

fn instance(options: &str) -> World {
    World::with("trusted_proxies: [127.0.0.1]\n", &routes(options, ""))
}

fn url(path: &str) -> String {
    format!("https://{HOST}{path}")
}

fn signed_in(world: &World, who: &str) -> Browser {
    world.signed_in(who, &url("/app")).0
}

/// What a browser that navigates, or a script, is answered, and whether it reached the app.
fn ask(world: &World, browser: &mut Browser, line: &str, fields: &[(&str, &str)]) -> Met {
    let (method, path) = line.split_once(' ').expect("a method and a path");
    let hits = world.app.hits();
    let accept = ("accept", "text/html,*/*");
    let answer = browser.send(method, &url(path), &[&[accept][..], fields].concat(), "");
    let reached = world.app.hits() > hits;
    if path.starts_with("/api") && matches!(answer.status, 401 | 403) {
        assert!(answer.json()["error"].is_string(), "{line}: {}", answer.text());
        assert_eq!(answer.header("location"), None, "{line}");
    }
    (answer.status, reached)
}

/// The status, and whether the request reached the app.
type Met = (u16, bool);

const PASSES: Met = (200, true);
const SIGN_IN: Met = (303, false);
const UNKNOWN: Met = (401, false);
const CLOSED: Met = (403, false);

const OWN_PAGE: [(&str, &str); 1] = [("origin", "https://app.example.com")];

/// Every class of path: for nobody, for a member, and for the one whom the options call administrator.
const CLASSES: [(&str, [Met; 3]); 40] = [
    ("GET /", [SIGN_IN, PASSES, PASSES]),
    ("GET /app/github?github_app_installed=1", [SIGN_IN, PASSES, PASSES]),
    ("GET /share-target?title=a&url=b", [SIGN_IN, PASSES, PASSES]),
    ("GET /assets/index-abc.js", [SIGN_IN, PASSES, PASSES]),
    ("GET /browser-extension", [SIGN_IN, PASSES, PASSES]),
    ("GET /health", [SIGN_IN, PASSES, PASSES]),
    ("GET /live", [PASSES, PASSES, PASSES]),
    ("GET /ready", [PASSES, PASSES, PASSES]),
    ("GET /manifest.json", [PASSES, PASSES, PASSES]),
    ("GET /trackeep.svg", [PASSES, PASSES, PASSES]),
    ("GET /trackeepfavi_bg.png", [PASSES, PASSES, PASSES]),
    ("GET /favicon.ico", [PASSES, PASSES, PASSES]),
    ("GET /api/v1/shared/share_abc", [PASSES, PASSES, PASSES]),
    ("GET /api/v1/shared", [UNKNOWN, PASSES, PASSES]),
    ("GET /api/v1/config", [UNKNOWN, PASSES, PASSES]),
    ("GET /api/version", [UNKNOWN, PASSES, PASSES]),
    ("GET /api/updates/check", [UNKNOWN, PASSES, PASSES]),
    ("GET /api/nothing", [UNKNOWN, PASSES, PASSES]),
    ("POST /api/updates/install", [CLOSED, CLOSED, PASSES]),
    ("GET /api/updates/install/", [CLOSED, CLOSED, PASSES]),
    ("GET /api/v1/admin/users", [UNKNOWN, CLOSED, PASSES]),
    ("DELETE /api/v1/performance/cache", [UNKNOWN, CLOSED, PASSES]),
    ("POST /api/v1/youtube-search-test", [CLOSED, CLOSED, CLOSED]),
    ("GET /api/v1/test-ai-settings", [CLOSED, CLOSED, CLOSED]),
    ("GET /api/v1/test-search-settings", [CLOSED, CLOSED, CLOSED]),
    ("GET /api/v1/test-update-settings", [CLOSED, CLOSED, CLOSED]),
    ("GET /api/v1/integrations/oauth/callback?state=1&code=2", [CLOSED, CLOSED, CLOSED]),
    ("POST /api/v1/auth/register", [CLOSED, CLOSED, CLOSED]),
    ("POST /api/v1/auth/login", [CLOSED, CLOSED, CLOSED]),
    ("POST /api/v1/auth/login-totp", [CLOSED, CLOSED, CLOSED]),
    ("POST /api/v1/auth/password-reset", [CLOSED, CLOSED, CLOSED]),
    ("POST /api/v1/auth/password-reset/confirm", [CLOSED, CLOSED, CLOSED]),
    ("GET /api/v1/auth/me", [UNKNOWN, PASSES, PASSES]),
    ("POST /api/v1/auth/logout", [UNKNOWN, PASSES, PASSES]),
    ("GET /api/v1/auth/github", [SIGN_IN, PASSES, PASSES]),
    ("GET /api/v1/auth/control/callback?token=abc", [SIGN_IN, PASSES, PASSES]),
    ("GET /api/v1/github/app/callback?state=a&installation_id=1", [SIGN_IN, PASSES, PASSES]),
    ("POST /api/v1/github/backups", [UNKNOWN, PASSES, PASSES]),
    ("PATCH /api/v1/messages/1", [UNKNOWN, PASSES, PASSES]),
    ("DELETE /api/v1/files/1", [UNKNOWN, PASSES, PASSES]),
];

#[test]
fn every_class_of_path_has_its_visitors_and_the_others_never_reach_the_instance() {
    let world = instance("{ admins: { users: [mona] } }");
    let mut visitors = [world.browser(), signed_in(&world, "octocat"), signed_in(&world, "mona")];
    for (line, expected) in CLASSES {
        let met = visitors.each_mut().map(|visitor| ask(&world, visitor, line, &OWN_PAGE));
        // Nobody is told by 403 or 401 which of the two a path of the administration is.
        let expected = if line.contains("/updates/install") {
            [UNKNOWN, expected[1], expected[2]]
        } else {
            expected
        };
        assert_eq!(met, expected, "{line}");
    }
}

#[test]
fn nobody_installs_updates_where_no_administrator_is_named() {
    let world = World::with("", &routes("", ""));
    let mut mona = signed_in(&world, "mona");
    for line in ["POST /api/updates/install", "GET /api/updates/install"] {
        assert_eq!(ask(&world, &mut world.browser(), line, &[]), CLOSED);
        assert_eq!(ask(&world, &mut mona, line, &OWN_PAGE), CLOSED);
    }
    for path in ["/API/updates/install", "/api/updates/install.", "/api/updates/install%20"] {
        let line = format!("POST {path}");
        assert_eq!(ask(&world, &mut mona, &line, &OWN_PAGE), (400, false), "{path}");
    }
    let line = "GET /api/v1/admin/users";
    assert_eq!(ask(&world, &mut mona, line, &[]), PASSES, "Trackeep asks for its own");
    let (_, stranger) = world.signed_in("stranger", &url("/app"));
    assert_eq!(stranger.status, 403);
}

const KEY: [(&str, &str); 1] = [("authorization", "Bearer tk_0123456789abcdef")];
const JWT: [(&str, &str); 1] = [("authorization", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln")];

/// What a program without cookies is answered, by the options, and by what it shows: an API key, a
/// token, a token in the query.
type Programs = [[Met; 3]; 3];

const PROGRAMS: [(&str, Programs); 12] = [
    // Options: none, `clients: false`, `local_login: true`.
    (
        "GET /api/v1/files/1/download",
        [[PASSES, UNKNOWN, UNKNOWN], [UNKNOWN, UNKNOWN, UNKNOWN], [PASSES, PASSES, PASSES]],
    ),
    (
        "POST /api/v1/files/upload",
        [[PASSES, UNKNOWN, UNKNOWN], [UNKNOWN, UNKNOWN, UNKNOWN], [PASSES, PASSES, PASSES]],
    ),
    (
        "GET /api/v1/browser-extension/validate",
        [[PASSES, UNKNOWN, UNKNOWN], [UNKNOWN, UNKNOWN, UNKNOWN], [PASSES, PASSES, PASSES]],
    ),
    ("GET /api/v1/auth/me", [[UNKNOWN; 3], [UNKNOWN; 3], [PASSES; 3]]),
    ("POST /api/v1/tasks", [[UNKNOWN; 3], [UNKNOWN; 3], [PASSES; 3]]),
    ("POST /api/v1/auth/login", [[CLOSED; 3], [CLOSED; 3], [PASSES; 3]]),
    ("POST /api/v1/auth/register", [[CLOSED; 3], [CLOSED; 3], [UNKNOWN; 3]]),
    ("GET /api/v1/auth/check-users", [[UNKNOWN; 3], [UNKNOWN; 3], [UNKNOWN; 3]]),
    ("POST /api/v1/youtube-search-test", [[CLOSED; 3], [CLOSED; 3], [CLOSED; 3]]),
    ("POST /api/updates/install", [[CLOSED; 3], [CLOSED; 3], [CLOSED; 3]]),
    ("GET /api/updates/check", [[UNKNOWN; 3], [UNKNOWN; 3], [UNKNOWN; 3]]),
    ("GET /app", [[SIGN_IN; 3], [SIGN_IN; 3], [SIGN_IN; 3]]),
];

#[test]
fn programs_without_a_session_pass_where_the_options_say_so() {
    for (index, options) in ["", "{ clients: false }", "{ local_login: true }"].iter().enumerate() {
        let world = instance(options);
        for (line, expected) in PROGRAMS {
            let mut program = world.browser();
            let in_query = format!("{line}?token=eyJhbGciOiJIUzI1NiJ9.e30.c2ln");
            let met = [
                ask(&world, &mut program, line, &KEY),
                ask(&world, &mut program, line, &JWT),
                ask(&world, &mut program, &in_query, &[]),
            ];
            assert_eq!(met, expected[index], "{line} {options}");
        }
        for seen in world.app.requests() {
            assert_eq!(seen.header("x-forwarded-user"), None, "{seen:?}");
        }
    }
}

/// The open redirect that handed Trackeep's token to whoever made the link.
#[test]
fn a_sign_in_leads_back_to_this_host_alone() {
    let world = instance("");
    let mut browser = signed_in(&world, "octocat");
    let path = "GET /api/v1/auth/github?frontend_redirect=";
    for evil in [
        "https://evil.example",
        "https%3A%2F%2Fevil.example%2Fauth%2Fcallback",
        "//evil.example",
        "https://app.example.com@evil.example/",
        "https://app.example.com.evil.example/",
        "/ok&frontend_redirect=https://evil.example",
    ] {
        let line = format!("{path}{evil}");
        for browser in [&mut world.browser(), &mut browser] {
            assert_eq!(ask(&world, browser, &line, &[]), (400, false), "{evil}");
        }
    }
    let own = format!("{path}https%3A%2F%2Fapp.example.com%2Fauth%2Fcallback");
    assert_eq!(ask(&world, &mut browser, &own, &[]), PASSES);
    let cookie = "control_auth_frontend_redirect";
    for (planted, came) in [
        ("https%3A%2F%2Fevil.example%2F", "gk=1".to_owned()),
        ("https%3A%2F%2Fapp.example.com", format!("{cookie}=https%3A%2F%2Fapp.example.com")),
    ] {
        browser.plant(HOST, cookie, planted);
        let from = [("referer", "https://evil.example/")];
        let line = "GET /api/v1/auth/control/callback?token=abc";
        assert_eq!(ask(&world, &mut browser, line, &from), PASSES);
        let seen = world.app.requests().pop().expect("it came");
        assert_eq!((seen.all("cookie"), seen.header("referer")), (vec![came.as_str()], None));
    }
}

/// With the gateway's word for who asks, every page that the browser has open would be believed.
#[test]
fn a_page_of_another_site_writes_nothing_and_opens_no_socket() {
    let world = instance("");
    let mut browser = signed_in(&world, "octocat");
    for from in [
        &[][..],
        &[("origin", "https://evil.example")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "https://other.example.com"), ("sec-fetch-site", "same-site")],
    ] {
        assert_eq!(ask(&world, &mut browser, "POST /api/v1/notes", from), CLOSED, "{from:?}");
    }
    assert_eq!(ask(&world, &mut browser, "POST /api/v1/notes", &OWN_PAGE), PASSES);
    let id = browser.session(HOST).expect("signed in");
    for (origin, status) in [
        ("", 403),
        ("origin: https://evil.example\r\n", 403),
        ("origin: https://app.example.com\r\n", 200),
    ] {
        let hits = world.app.hits();
        let mut connection = Connection::open(world.gate.address);
        let request = format!(
            "GET /api/v1/messages/ws?token=x HTTP/1.1\r\nhost: {HOST}\r\nconnection: Upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\ncookie: __Host-gatekeep={id}\r\n\
             {origin}\r\n"
        );
        connection.send(request.as_bytes()).expect("the gateway reads");
        let answered = connection.receive(false).expect("an answer").status;
        // The app behind this test has its socket elsewhere, and answers 200.
        assert_eq!((answered, world.app.hits() > hits), (status, status == 200), "{origin}");
    }
}

#[test]
fn what_reaches_the_instance_is_what_it_can_bear() {
    let world = instance("");
    let browser = signed_in(&world, "octocat").coming_from("198.51.100.9, 203.0.113.7");
    let fields = [
        ("authorization", "Bearer of-the-page"),
        ("x-session-id", "1"),
        ("x-forwarded-prefix", "/evil"),
        ("x-forwarded-host", "evil.example"),
        ("x-real-ip", "192.0.2.1"),
    ];
    let line = "GET /api/v1/notes?token=evil&q=a";
    assert_eq!(ask(&world, &mut browser.clone(), line, &fields), PASSES);
    let seen = world.app.requests().pop().expect("it came");
    // Trackeep's pages show their own token there; where the gateway keeps it, they have none.
    assert_eq!(seen.target, "/api/v1/notes?token=evil&q=a");
    for (name, values) in [
        ("host", &[HOST][..]),
        ("x-forwarded-for", &["203.0.113.7"]),
        ("x-real-ip", &["203.0.113.7"]),
        ("x-forwarded-proto", &["https"]),
        ("x-forwarded-host", &[HOST]),
        ("cookie", &["gk=1"]),
        ("authorization", &["Bearer of-the-page"]),
        ("x-forwarded-user", &["octocat"]),
        ("x-session-id", &[]),
        ("x-forwarded-prefix", &[]),
    ] {
        assert_eq!(seen.all(name), values, "{name}");
    }
    assert_eq!(ask(&world, &mut world.browser(), "GET /manifest.json", &[]), PASSES);
    assert_eq!(world.app.requests().pop().expect("it came").all("cookie"), ["gk=1"]);
    assert!(!world.gate.access_log().contains("evil"), "no query and no claim is logged");
}

/// The same at each of the ends of a sign-in, and whatever the instance makes of it.
#[test]
fn the_end_of_a_sign_in_leads_nowhere_else_whoever_asks_for_it() {
    let app = upstream::serve(|_, mut stream| {
        while let Some(head) = upstream::read_head(&mut stream) {
            let Some(to) = upstream::field(&head, "x-lead") else {
                upstream::answer(&mut stream, "a page");
                continue;
            };
            let answer = format!(
                "HTTP/1.1 307 Temporary Redirect\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"
            );
            if std::io::Write::write_all(&mut stream, answer.as_bytes()).is_err() {
                return;
            }
        }
    });
    let world = World::with("", &routes("", "").replace("@APP@", &format!("http://{app}")));
    let (mut browser, _) = world.signed_in("octocat", &url("/app"));
    let mut lead = |path: &str, to: &str| {
        let answer = browser.send("GET", &url(path), &[("x-lead", to)], "");
        (answer.status, answer.header("location").map(str::to_owned))
    };
    let evil = "https://evil.example/auth/callback?token=eyJ";
    let own = url("/auth/callback?token=eyJ");
    for path in [
        "/api/v1/auth/control/callback",
        "/api/v1/auth/oauth/callback",
        "/api/v1/github/app/callback",
    ] {
        assert_eq!(lead(path, evil), (502, None), "{path}");
        assert_eq!(lead(path, &own), (307, Some(own.clone())), "control: {path}");
    }
    assert_eq!(lead("/api/v1/notes", evil), (307, Some(evil.to_owned())), "control: elsewhere");
    for path in
        ["/api/v1/auth/github", "/api/v1/auth/control/callback", "/api/v1/auth/oauth/callback"]
    {
        let asked = |to: &str| format!("{path}?frontend_redirect={to}");
        assert_eq!(lead(&asked("https://evil.example"), "/app").0, 400, "{path}");
        assert_eq!(lead(&asked("https%3A%2F%2Fapp.example.com"), "/app").0, 307, "control: {path}");
    }
}

/// It holds each body in memory, and there are no more of it than these.
#[test]
fn a_body_is_as_large_as_the_instance_can_hold() {
    let app = Held::start();
    let routes = routes("", "    public: [/]\n").replace("@APP@", &app.url);
    let world = World::with("", &routes);
    let ask = |bytes: u64| {
        let mut connection = Connection::open(world.gate.address);
        let request = format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: {bytes}\r\n\r\n");
        connection.send(request.as_bytes()).expect("the gateway reads");
        connection
    };
    let most = 64 << 20;
    let refused = ask(most + 1).receive(false).expect("an answer");
    assert_eq!(refused.status, 413, "{}", refused.text());
    let taken = ask(most);
    let length = upstream::field(&app.arrived(), "content-length").map(str::to_owned);
    assert_eq!(length, Some(most.to_string()), "control, and it is the first that came");
    drop(taken);
}

// === the instance's traps ===

const TRUSTING: &str = "trusted_proxies: [127.0.0.1]\n";

/// An instance of the stand-in's behind the preset.
fn stand_in(keys: &str) -> (Trackeep, World) {
    let trackeep = Trackeep::start("127.0.0.1:0".parse().expect("an address")).expect("it starts");
    let world = World::with(keys, &routes("", "").replace("@APP@", trackeep.url()));
    (trackeep, world)
}

/// What the instance itself answers, past the gateway.
fn past_the_gateway(trackeep: &Trackeep, line: &str, fields: &str) -> Response {
    let mut connection = Connection::open(trackeep.address());
    let request = format!("{line} HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 0\r\n{fields}\r\n");
    connection.send(request.as_bytes()).expect("it reads");
    connection.receive(false).expect("an answer")
}

/// The address at which the instance shares a file of somebody's with everybody.
fn share(trackeep: &Trackeep) -> String {
    trackeep.add_user("octocat@example.com", "octocat", "a-passw0rd", "user");
    let key = trackeep.api_key("octocat", &["files:write"]);
    let field = format!("authorization: Bearer {key}\r\n");
    let ask = |line| past_the_gateway(trackeep, line, &field);
    assert_eq!(ask("POST /api/v1/files/upload").status, 201);
    let shared = ask("POST /api/v1/files/1/share").json();
    let address = shared["public_share_url"].as_str().expect("an address").to_owned();
    address[address.find("/api/").expect("a path")..].to_owned()
}

/// Its cache keeps what is asked for without a cookie for everybody, and gives it back as JSON: style
/// sheets that browsers refuse, and pages shown as text.
#[test]
fn what_the_instance_keeps_for_everybody_is_nothing_that_came_by_the_gateway() {
    let (trackeep, world) = stand_in("");
    trackeep.dragonfly(true);
    let shared = share(&trackeep);
    let html = "text/html; charset=utf-8";
    let json = "application/json; charset=utf-8";
    let member = signed_in(&world, "octocat");
    let cookies = member.cookies(HOST);
    let is_ours = |name: &String| name.starts_with("__Host-gatekeep");
    assert!(cookies.keys().all(is_ours), "the gateway's own, which do not pass: {cookies:?}");
    for (who, path, kind) in [
        (&member, "/app", html),
        (&member, "/assets/app.css", "text/css; charset=utf-8"),
        (&member, "/health", json),
        (&world.browser(), "/manifest.json", "application/manifest+json"),
        (&world.browser(), "/trackeep.svg", "image/svg+xml"),
        (&world.browser(), &shared, json),
    ] {
        for _ in 0..2 {
            let answer = who.clone().get(&url(path));
            let met = (answer.status, answer.header("content-type"), answer.header("x-cache"));
            assert_eq!(met, (200, Some(kind), None), "{path}");
        }
        let line = format!("GET {path}");
        let kinds = [(); 2].map(|()| {
            let answer = past_the_gateway(&trackeep, &line, "");
            answer.header("content-type").expect("a kind").to_owned()
        });
        assert_eq!(kinds, [kind, "application/json"], "control: {path}");
        assert_eq!(who.clone().get(&url(path)).header("content-type"), Some(kind), "{path} kept");
    }
}

/// It counts by the first address that anybody names: all visitors behind one proxy would share what
/// one has, and whoever makes addresses up would have no end of it.
#[test]
fn each_visitor_has_what_the_instance_gives_one_address_and_no_more() {
    let (trackeep, world) = stand_in(TRUSTING);
    let ask = |place: &str, fields: &[(&str, &str)]| {
        world.browser().coming_from(place).send("GET", &url("/live"), fields, "").status
    };
    for _ in 0..100 {
        assert_eq!(ask("203.0.113.7", &[]), 200);
    }
    assert_eq!(ask("203.0.113.7", &[]), 429);
    assert_eq!(ask("203.0.113.8", &[]), 200, "another visitor");
    for forged in ["198.51.100.1", "203.0.113.8", "127.0.0.1", "::1"] {
        let chain = format!("{forged}, 203.0.113.7");
        assert_eq!(ask(&chain, &[]), 429, "{chain}");
        assert_eq!(ask("203.0.113.7", &[("x-real-ip", forged)]), 429, "{forged}");
        let for_it = format!("for={forged}");
        assert_eq!(ask("203.0.113.7", &[("forwarded", &for_it)]), 429, "{forged}");
    }
    // Nobody uses up another's: these are more than one has.
    for _ in 0..120 {
        assert_eq!(ask("203.0.113.8, 203.0.113.7", &[]), 429);
    }
    assert_eq!(ask("203.0.113.8", &[]), 200);
    let made_up = "x-forwarded-for: 198.51.100.1, 203.0.113.7\r\n";
    let answer = past_the_gateway(&trackeep, "GET /live", made_up);
    assert_eq!(answer.status, 200, "control: past the gateway it helps");
}

#[test]
fn whom_no_proxy_vouches_for_has_the_address_that_the_connection_has() {
    let (trackeep, world) = stand_in("");
    let ask = |number: usize| {
        let place = format!("198.51.100.{number}");
        world.browser().coming_from(&place).send("GET", &url("/live"), &[], "").status
    };
    assert!((0..100).all(|number| ask(number) == 200));
    assert_eq!(ask(100), 429);
    let answer = past_the_gateway(&trackeep, "GET /live", "x-forwarded-for: 198.51.100.101\r\n");
    assert_eq!(answer.status, 200, "control: past the gateway it helps");
}

// === what it expands to ===

fn parse(options: &str, more: &str) -> Config {
    parsed(&yaml(options, more))
}

fn yaml(options: &str, more: &str) -> String {
    let routes = routes(options, more).replace("@APP@", "http://127.0.0.1:1");
    format!(
        "listen: [{{ address: '127.0.0.1:0' }}]\npublic_url: https://auth.example.com\n\
         secret: k3yZ-for-tests-0123456789-abcdefghijklmnop\n\
         github: {{ client_id: some-client, client_secret: some-secret }}\nroutes:{routes}"
    )
}

fn parsed(yaml: &str) -> Config {
    Config::parse(Path::new("gatekeep.yaml"), yaml, &|_| None)
        .unwrap_or_else(|problems| panic!("{problems}\n{yaml}"))
}

/// `gatekeep check` shows ordinary keys, which say the same without the preset.
#[test]
fn the_preset_is_nothing_but_keys_of_the_route() {
    for options in ["", "{ local_login: true }", "{ clients: false, admins: { users: [mona] } }"] {
        let described = parse(options, "").describe();
        assert!(!described.contains("preset") && described.contains("same_origin: true"));
        let secrets = ["secret: '[redacted]'", "client_secret: '[redacted]'"];
        let known = ["secret: k3yZ-for-tests-0123456789-abcdefghijklmnop", "client_secret: some"];
        let again = described.replacen(secrets[0], known[0], 1).replacen(secrets[1], known[1], 1);
        assert_eq!(parsed(&again).describe(), described, "{options}");
    }
}

/// A page has a minute and a half, a backup of a repository the ten minutes that it may take.
#[test]
fn the_instance_has_as_long_as_it_needs_and_no_longer() {
    let config = parse("", "");
    let route = config.routes.iter().next().expect("one");
    let whole = route.timeouts.read.as_secs();
    assert_eq!((whole, route.timeouts.idle.as_secs(), route.body_limit), (90, 45, 64 << 20));
    let read = |method: http::Method, path: &str| {
        let rule = route.terms(path, &method).expect("it is plain").rule;
        rule.and_then(|index| route.rules[index].read_timeout).map_or(whole, |read| read.as_secs())
    };
    for (method, path, seconds) in [
        (http::Method::POST, "/api/v1/github/backups", 11 * 60),
        (http::Method::GET, "/api/v1/github/backups", 90),
        (http::Method::POST, "/api/v1/github/backups-of-mine", 90),
        (http::Method::POST, "/api/v1/notes", 90),
        (http::Method::GET, "/app", 90),
    ] {
        assert_eq!(read(method.clone(), path), seconds, "{method} {path}");
    }
}

#[test]
fn what_the_route_says_counts() {
    let more = "    body_limit: 1GiB\n    timeouts: { read: 5m }\n    placeholder_cookie: a=b\n    \
                rules:\n      \
                - { path: /api/v1/auth/login, allow: { users: [octocat] } }\n      \
                - { path: /api/v1/github/backups, methods: [POST], body_limit: 1KiB }\n      \
                - { path: /api/v1, body_limit: 2GiB }\n";
    let config = parse("", more);
    let route = config.routes.iter().next().expect("one");
    let limits = |path: &str, method: http::Method| {
        let terms = route.terms(path, &method).expect("it is plain");
        let rule = terms.rule.map(|index| &route.rules[index]);
        (
            format!("{:?}", terms.access).chars().take(7).collect::<String>(),
            rule.and_then(|r| r.body_limit),
        )
    };
    for (path, access, limit) in [
        ("/api/v1/auth/login", "Guarded", None),
        ("/api/v1/auth/register", "Closed", None),
        ("/api/updates/install", "Closed", None),
        ("/api/v1/notes", "Guarded", Some(2 << 30)),
        ("/api/v1/github/backups", "Guarded", Some(1 << 10)),
        ("/api/v2", "Guarded", None),
    ] {
        assert_eq!(limits(path, http::Method::POST), (access.to_owned(), limit), "{path}");
    }
    assert_eq!(route.body_limit, 1 << 30);
    assert_eq!((route.timeouts.read.as_secs(), route.timeouts.idle.as_secs()), (300, 45));
    assert_eq!(route.passing.placeholder_cookie.as_ref().expect("one"), "a=b");
    assert!(route.same_origin);
}

/// What the preset says is said of each request.
#[test]
fn explain_shows_what_the_preset_means_for_a_request() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("gatekeep.yaml");
    std::fs::write(&file, yaml("{ admins: { users: [mona] } }", "")).expect("it can be written");
    let on_the_way = "  \
         on the way    every request loses the field `x-session-id`\n  \
         on the way    one without cookies gets `gk=1`\n";
    let route = "  route         trackeep (app.example.com/)\n  \
                 upstream      http://127.0.0.1:1\n  \
                 preset        trackeep; `gatekeep check` shows all that it says\n";
    let cookie = "  with a cookie from the route's own pages alone (`same_origin`)\n";
    for (request, expected) in [
        (
            ["POST", "/api/v1/auth/login"],
            "  forwarded as  /api/v1/auth/login\n  \
             rule          number 10 of `rules`, at /api/v1/auth/login/\n  \
             decision      deny (403), path-closed: nobody may pass\n"
                .to_owned(),
        ),
        (
            ["DELETE", "/api/v1/admin/users/1"],
            format!(
                "  forwarded as  /api/v1/admin/users/1\n  \
                 rule          number 2 of `rules`, at /api/v1/admin/\n  \
                 allows        users mona\n  \
                 decision      sign in, no-session: whoever asks gets 401 in JSON\n\
                 {cookie}{on_the_way}  \
                 there         answers in JSON (number 2 of `rules`)\n"
            ),
        ),
        (
            ["GET", "/api/v1/files/1"],
            format!(
                "  forwarded as  /api/v1/files/1\n  \
                 rule          the route's own `allow`\n  \
                 allows        orgs acme\n  \
                 decision      sign in, no-session: whoever asks gets 401 in JSON\n{on_the_way}  \
                 there         a token of the app's own `tk_…` in `Authorization` passes without a \
                 session, answers in JSON (number 18 of `rules`)\n"
            ),
        ),
        (
            ["GET", "/live"],
            format!(
                "  forwarded as  /live\n  \
                 rule          a pattern of `public`\n  \
                 decision      allow, public: no sign-in is needed\n{on_the_way}"
            ),
        ),
    ] {
        let [method, path] = request;
        let address = url(path);
        let out = gatekeep().arg("explain").arg(&file).args([method, &address]).output();
        let out = out.expect("it runs");
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        assert_eq!(said, format!("{method} {address}\n{route}{expected}"), "{request:?}");
    }
}

/// Most rules of the preset say how a path is answered, and leave open who may pass.
#[test]
fn no_rule_of_the_preset_opens_what_one_of_the_route_closes() {
    let token = [OWN_PAGE[0], ("authorization", "Bearer tk_made-up")];
    // What the route's own rules answer is a page.
    let met = |world: &World, browser: &mut Browser, line: &str, fields: &[(&str, &str)]| -> Met {
        let ((method, path), hits) = (line.split_once(' ').expect("two"), world.app.hits());
        let status = browser.send(method, &url(path), fields, "").status;
        (status, world.app.hits() > hits)
    };
    for (rules, lines) in [
        (
            "- { path: /, methods: [POST, DELETE], allow: { users: [mona] } }",
            &[
                ("GET /api/v1/files/1", PASSES),
                ("DELETE /api/v1/files/1", CLOSED),
                ("POST /api/v1/notes", CLOSED),
                ("POST /api/v1/github/backups", CLOSED),
            ][..],
        ),
        (
            "- { path: /api/v1, allow: { users: [mona] } }",
            &[
                ("GET /api/v1/files/1", CLOSED),
                ("GET /api/v1/auth/github", CLOSED),
                ("POST /api/v1/github/backups", CLOSED),
                ("GET /api/v2", PASSES),
            ],
        ),
        (
            "- { path: /api, allow: nobody }",
            &[("GET /api/v1/files/1", CLOSED), ("GET /app", PASSES)],
        ),
    ] {
        let more = format!("    rules:\n      {rules}\n");
        let world = World::with("trusted_proxies: [127.0.0.1]\n", &routes("{}", &more));
        let mut member = signed_in(&world, "octocat");
        let mut named = signed_in(&world, "mona");
        for (line, expected) in lines {
            assert_eq!(met(&world, &mut member, line, &OWN_PAGE), *expected, "{rules}: {line}");
            if !rules.contains("nobody") {
                assert_eq!(met(&world, &mut named, line, &OWN_PAGE), PASSES, "{rules}: {line}");
            }
            if *expected == CLOSED {
                let met = met(&world, &mut world.browser(), line, &token);
                assert!(!met.1, "{rules}: {line} with a made-up token: {met:?}");
            }
        }
    }
}
