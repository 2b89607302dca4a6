//! `preset: trackeep`: an instance behind the gateway, with its own holes closed.

use std::path::Path;

use gatekeep::config::Config;

use crate::support::World;
use crate::support::browser::Browser;
use crate::support::child::gatekeep;
use crate::support::http::Connection;

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
