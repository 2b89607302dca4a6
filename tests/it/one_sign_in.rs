//! A visitor of the gateway is a user of the Trackeep instance behind it, without a second click and
//! without the instance's token in the browser.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gatekeep::simulator::{Trackeep, Trouble};

use crate::support::browser::{Browser, join, parameter};
use crate::support::http::{Connection, Response};
use crate::support::{World, eventually, journal, upstream};

mod older;

const APP: &str = "https://trackeep.example.com";

const HOST: &str = "trackeep.example.com";

const ME: &str = "GET /api/v1/auth/me";

const CALLBACK: &str = "GET /api/v1/auth/control/callback";

const BROKER: &str = r"
broker:
  hosts: [hq.example.com]
  instances:
    - name: home
      redirects: [https://trackeep.example.com/api/v1/auth/control/callback]
      allow: { orgs: [acme] }
    - name: other
      redirects: [https://other.example.com/api/v1/auth/control/callback]
      allow: anyone
";

const ROUTES: &str = r"
  - name: trackeep
    host: trackeep.example.com
    preset: trackeep
    sign_in: { instance: home, by: @SIGN_IN@ }
    upstream: @TRACKEEP@
    allow: anyone
";

/// The world with an instance in it.
pub(crate) struct Scene {
    pub(crate) trackeep: Trackeep,
    pub(crate) world: World,
}

impl Scene {
    pub(crate) fn new(sign_in: &str) -> Self {
        let trackeep = Trackeep::start("127.0.0.1:0".parse().expect("an address")).expect("starts");
        let routes = ROUTES.replace("@TRACKEEP@", trackeep.url()).replace("@SIGN_IN@", sign_in);
        let world = World::with(BROKER, &routes);
        let address = world.gate.address;
        trackeep.resolve("hq.example.com", address);
        trackeep.set_control(&format!("http://hq.example.com:{}", address.port()));
        trackeep.set_public_url(APP);
        trackeep.limits(false);
        Self { trackeep, world }
    }

    pub(crate) fn signed_in(&self, person: &str) -> Browser {
        self.world.signed_in(person, &url("/app")).0
    }

    /// Both clocks.
    fn advance(&self, by: Duration) {
        self.trackeep.advance(by);
        self.world.gate.clock.advance(by);
    }

    /// Who asked last, by the instance's word.
    fn last_user(&self, path: &str) -> Option<String> {
        let journal = self.trackeep.journal();
        let entry = journal.iter().rev().find(|entry| entry.request.path() == path);
        entry.unwrap_or_else(|| panic!("nobody asked for {path}")).who.clone()
    }
}

pub(crate) fn url(path: &str) -> String {
    format!("{APP}{path}")
}

/// The page that tells the instance's pages who is here.
fn is_arrival(page: &Response) -> bool {
    page.status == 200 && page.text().contains("<title>Signing in</title>")
}

/// What the page puts where scripts read it.
fn told(page: &Response) -> serde_json::Value {
    let text = page.text();
    let literal = text.split("const user = ").nth(1).and_then(|rest| rest.split(";\n").next());
    let json: String = serde_json::from_str(literal.expect("a user")).expect("a literal");
    serde_json::from_str(&json).expect("JSON")
}

/// Who one is at the instance.
fn me(browser: &mut Browser, headers: &[(&str, &str)]) -> (u16, String) {
    let answer = browser.send("GET", &url("/api/v1/auth/me"), headers, "");
    let name = answer.json()["user"]["username"].as_str().unwrap_or_default().to_owned();
    (answer.status, name)
}

/// Whether a text looks like the instance's own token.
fn holds_token(text: &str) -> bool {
    text.contains("eyJ")
}

#[test]
fn a_deep_link_leads_through_github_to_the_very_page_signed_in() {
    let scene = Scene::new("gateway");
    let deep = url("/app/notes?tag=a%20b&title=%C3%A4");
    let (mut browser, page) = scene.world.signed_in("octocat", &deep);
    assert!(is_arrival(&page), "{}", page.text());
    assert_eq!(told(&page)["username"], "octocat");
    assert!(
        page.text().contains("location.reload();"),
        "the address, and what stands behind its #"
    );
    let policy = page.header("content-security-policy").expect("a policy").to_owned();
    let nonce = policy.split("'nonce-").nth(1).and_then(|rest| rest.split('\'').next());
    assert!(page.text().contains(&format!("<script nonce=\"{}\">", nonce.expect("a nonce"))));
    assert_eq!(page.header("cache-control"), Some("no-store"));

    // The page loads itself again, and is the instance's now.
    let page = browser.get(&deep);
    assert!(!is_arrival(&page) && page.status == 200);
    assert_eq!(scene.last_user("/app/notes").as_deref(), Some("octocat"));
    assert_eq!(me(&mut browser, &[]), (200, "octocat".to_owned()));
    assert_eq!(scene.trackeep.calls(CALLBACK), 1, "and no second sign-in");
    assert!(scene.trackeep.controller_token("octocat").is_some(), "GitHub's data works, too");
}

#[test]
fn no_answer_and_no_line_of_the_log_holds_the_instances_token() {
    let scene = Scene::new("gateway");
    let (mut browser, page) = scene.world.signed_in("octocat", &url("/app"));
    let mut texts = vec![page.text()];
    for path in ["/app", "/", "/login", "/auth/callback", "/api/v1/auth/me", "/api/v1/auth/github"]
    {
        let answer = browser.get(&url(path));
        texts.push(format!("{:?}{}", answer.headers, answer.text()));
    }
    texts.push(scene.world.gate.access_log());
    texts.push(format!("{:?}", browser.cookies(HOST)));
    assert!(texts.iter().all(|text| !holds_token(text)), "{texts:?}");
    let control = scene.trackeep.token_of("octocat");
    assert!(holds_token(&control), "control: this is what one looks like");
}

/// A page that was left open, a script, or an attacker's link can bring a token of somebody else.
#[test]
fn whatever_token_a_request_brings_the_visitor_is_who_the_gateway_says() {
    let scene = Scene::new("gateway");
    scene.trackeep.add_user("eve@example.com", "eve", "a-passw0rd", "user");
    let eve = scene.trackeep.token_of("eve");
    let mut browser = scene.signed_in("octocat");
    let bearer = format!("Bearer {eve}");
    for headers in [
        &[("authorization", "Bearer gatekeep")][..],
        &[("authorization", bearer.as_str())],
        &[("authorization", "")],
        &[("authorization", eve.as_str())],
        &[("authorization", bearer.as_str()), ("authorization", bearer.as_str())],
    ] {
        assert_eq!(me(&mut browser, headers), (200, "octocat".to_owned()), "{headers:?}");
    }
    let answer = browser.fetch(&url(&format!("/api/v1/auth/me?token={eve}&x=y")));
    assert_eq!(answer.json()["user"]["username"], "octocat");
    let last = scene.trackeep.requests().pop().expect("a request");
    assert_eq!(last.target, "/api/v1/auth/me?x=y", "and it is in no log there");
}

#[test]
fn the_next_person_at_the_same_browser_is_somebody_else() {
    let scene = Scene::new("gateway");
    let mut browser = scene.signed_in("octocat");
    assert!(!is_arrival(&browser.get(&url("/app"))));
    let token =
        [("authorization", "Bearer gatekeep"), ("origin", APP), ("sec-fetch-site", "same-origin")];
    assert_eq!(browser.send("POST", &url("/api/v1/auth/logout"), &token, "").status, 200);
    let page = scene.world.sign_in(&mut browser, "hubot", &url("/app"));
    assert!(is_arrival(&page));
    assert_eq!(told(&page)["username"], "hubot");
    assert_eq!(me(&mut browser, &[]), (200, "hubot".to_owned()));
    // The same person again is known, and needs no page.
    let mut other = scene.signed_in("octocat");
    assert!(!is_arrival(&other.get(&url("/app"))));
    assert!(is_arrival(&other.get(&url("/login?next=/app/notes"))), "the pages have forgotten");
}

#[test]
fn an_address_within_the_site_is_gone_on_to_and_no_other() {
    let scene = Scene::new("gateway");
    let mut browser = scene.signed_in("octocat");
    for (asked, onward) in [
        ("/", r#""/app""#),
        ("/login", r#""/app""#),
        ("/login?next=/app/notes?x=1", r#""/app/notes?x=1""#),
        ("/login?next=https://evil.example/", r#""/app""#),
        ("/login?next=//evil.example/", r#""/app""#),
        ("/login?next=/%5Cevil.example", r#""/app""#),
        ("/login?next=/login", r#""/app""#),
        ("/login?next=/x%3C/script%3E", r#""/app""#),
        ("/auth/callback?token=eve", r#""/app""#),
        ("/?next=/app/notes", r#""/app""#),
        ("/auth/callback/?token=eve", r#""/app""#),
        ("/login?next=/app?%7B%7Buser%7D%7D", r#""/app?\u007b\u007buser}}""#),
        (
            "/api/v1/auth/github?frontend_redirect=https://trackeep.example.com/auth/callback",
            r#""/app""#,
        ),
    ] {
        let page = browser.get(&url(asked));
        let line = format!("location.replace({onward});");
        assert!(is_arrival(&page) && page.text().contains(&line), "{asked}: {}", page.text());
    }
}

#[test]
fn a_token_is_renewed_unseen_before_and_after_its_end() {
    let scene = Scene::new("gateway");
    scene.trackeep.token_life(Duration::from_secs(1000));
    let mut browser = scene.signed_in("octocat");
    let redeemed = || scene.trackeep.answered(CALLBACK, 307);
    assert_eq!((me(&mut browser, &[]).0, redeemed()), (200, 1));
    scene.advance(Duration::from_secs(790));
    assert_eq!((me(&mut browser, &[]).0, redeemed()), (200, 1), "control: young enough");
    scene.advance(Duration::from_secs(20));
    assert_eq!((me(&mut browser, &[]).0, redeemed()), (200, 2), "ahead of its end");
    scene.advance(Duration::from_secs(1200));
    assert_eq!((me(&mut browser, &[]).0, redeemed()), (200, 3), "after it");
    // The instance has another secret: one request finds that out.
    scene.trackeep.change_secret();
    assert_eq!((me(&mut browser, &[]).0, redeemed()), (401, 3));
    assert_eq!((me(&mut browser, &[]).0, redeemed()), (200, 4));
}

#[test]
fn many_requests_at_once_sign_in_once() {
    let scene = Scene::new("gateway");
    let mut browser = scene.signed_in("octocat");
    // A session, and a token that the instance honours no more.
    scene.trackeep.change_secret();
    assert_eq!(me(&mut browser, &[]).0, 401);
    let (before, mut answers) = (scene.trackeep.calls(CALLBACK), vec![]);
    std::thread::scope(|scope| {
        let ask = |_| {
            let mut own = browser.clone();
            scope.spawn(move || me(&mut own, &[]))
        };
        let asking: Vec<_> = (0..50).map(ask).collect();
        answers.extend(asking.into_iter().map(|one| one.join().expect("an answer")));
    });
    assert!(answers.iter().all(|(status, name)| (*status, &**name) == (200, "octocat")));
    assert_eq!(scene.trackeep.calls(CALLBACK), before + 1);
}

#[test]
fn leaving_the_instance_ends_the_session_everywhere() {
    let scene = Scene::new("gateway");
    let mut browser = scene.signed_in("octocat");
    let cookie = browser.session(HOST).expect("a session");
    let evil = [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];
    let answer = browser.send("POST", &url("/api/v1/auth/logout"), &evil, "");
    assert_eq!(answer.status, 403, "no page of another site signs anybody out");
    assert_eq!(me(&mut browser, &[]).0, 200);
    let own = [("origin", APP), ("sec-fetch-site", "same-origin")];
    let answer = browser.send("POST", &url("/api/v1/auth/logout"), &own, "");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(browser.session(HOST), None);
    let mut kept = scene.world.browser();
    kept.plant(HOST, "__Host-gatekeep", &cookie);
    assert_eq!(me(&mut kept, &[]).0, 401, "the cookie opens nothing any more");
}

/// The other instance lets everybody in, and would be told who this is.
#[test]
fn a_code_that_was_made_for_another_instance_never_reaches_this_one() {
    let scene = Scene::new("button");
    let mut browser = scene.signed_in("octocat");
    let of = |browser: &mut Browser, host: &str| {
        let target = format!("https://{host}/api/v1/auth/control/callback");
        let asked = format!("https://hq.example.com/auth/github?redirect_uri={target}");
        let at = follow_to(&scene.world, browser, &asked, "octocat");
        url(&format!(
            "/api/v1/auth/control/callback?token={}",
            parameter(&at, "token").expect("a code")
        ))
    };
    let (other, own) = (of(&mut browser, "other.example.com"), of(&mut browser, HOST));
    assert_eq!(browser.get(&other).status, 403);
    assert_eq!(scene.trackeep.calls(CALLBACK), 0);
    assert_eq!(browser.get(&own).status, 307, "control");
}

/// The instance's pages take any token for theirs that stands in their address.
#[test]
fn a_page_with_somebody_elses_token_never_reaches_the_instance() {
    let scene = Scene::new("browser");
    let (mut browser, page) = scene.world.signed_in("octocat", &url("/app"));
    assert_eq!(page.status, 200);
    scene.signed_in("hubot");
    let of = |who| scene.trackeep.token_of(who);
    let (own, foreign) = (of("octocat"), of("hubot"));
    for path in ["/auth/callback", "/auth/callback/", "/app"] {
        let with = |token: &str| url(&format!("{path}?token={token}"));
        assert_eq!(browser.get(&with(&own)).status, 200, "control: {path}");
        for token in [&*foreign, "made-up", &format!("{own}&token={foreign}")] {
            let answer = browser.get(&with(token));
            assert_eq!(answer.status, 403, "{path}: {token}");
            assert!(answer.text().contains("foreign-code"));
        }
    }
}

/// A neighbour of the instance sets a cookie for all of the domain.
#[test]
fn a_planted_cookie_does_not_keep_the_gateway_from_signing_in() {
    let scene = Scene::new("gateway");
    let mut browser = scene.world.browser();
    browser.plant(HOST, "control_auth_frontend_redirect", "https%3A%2F%2Fevil.example%2F");
    let page = scene.world.sign_in(&mut browser, "octocat", &url("/app"));
    assert!(is_arrival(&page), "{}", page.text());
    assert_eq!(me(&mut browser, &[]), (200, "octocat".to_owned()));
}

#[test]
fn who_loses_the_right_to_the_instance_loses_the_seat() {
    for sign_in in ["gateway", "browser", "button"] {
        let scene = Scene::new(sign_in);
        let mut browser = scene.signed_in("octocat");
        if sign_in == "button" {
            browser.follow(&url("/api/v1/auth/github"));
        }
        let own = format!("Bearer {}", scene.trackeep.token_of("octocat"));
        let shown = [("authorization", &*own)];
        assert_eq!(me(&mut browser, &shown).0, 200, "{sign_in}");
        scene.world.github.remove_from_org("octocat", "acme");
        scene.world.gate.clock.advance(Duration::from_secs(1_300));
        let ended = || me(&mut browser.clone(), &shown).0 == 403;
        crate::support::eventually("the seat is lost", ended);
        assert!(scene.trackeep.user("octocat").is_some(), "and the instance still knows the user");
    }
}

/// The visitor has ended on the account page what the instance held here, and signs in there anew.
#[test]
fn the_instances_own_button_connects_it_again() {
    let scene = Scene::new("gateway");
    let mut browser = scene.signed_in("octocat");
    let held = || scene.trackeep.controller_token("octocat").expect("a token");
    let before = held();
    let button = url("/api/v1/auth/github");
    let mut press = |site: &str, mode: &str| {
        let fetched = [("accept", "text/html"), ("sec-fetch-site", site), ("sec-fetch-mode", mode)];
        let answer = browser.send("GET", &button, &fetched, "");
        assert!(is_arrival(&answer), "{site} {mode}: {}", answer.text());
        held() != before
    };
    assert!(!press("same-origin", "navigate"), "it has only just signed in");
    scene.advance(Duration::from_secs(6));
    for (site, mode) in
        [("cross-site", "navigate"), ("same-site", "navigate"), ("same-origin", "no-cors")]
    {
        assert!(!press(site, mode), "{site} {mode}");
    }
    assert!(press("same-origin", "navigate"));
}

/// Where the instance gives none, the seat that there is goes on.
#[test]
fn a_button_that_leads_nowhere_costs_no_seat() {
    let scene = Scene::new("gateway");
    let mut browser = scene.signed_in("octocat");
    scene.trackeep.set_control("http://127.0.0.1:9");
    scene.advance(Duration::from_secs(6));
    let own = [
        ("accept", "text/html"),
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-mode", "navigate"),
    ];
    browser.send("GET", &url("/api/v1/auth/github"), &own, "");
    assert_eq!(scene.trackeep.calls(CALLBACK), 2, "control: it was asked");
    assert_eq!(me(&mut browser, &[]), (200, "octocat".to_owned()));
}

/// A one-time code that somebody makes for themselves.
pub(crate) fn code_of(scene: &Scene, browser: &Browser, person: &str) -> String {
    let target = "https://trackeep.example.com/api/v1/auth/control/callback";
    let asked = format!("https://hq.example.com/auth/github?redirect_uri={target}");
    let at = follow_to(&scene.world, &mut browser.clone(), &asked, person);
    parameter(&at, "token").expect("a code")
}

/// Follows an address until it leads to the instance's callback: that address, not yet followed.
fn follow_to(world: &World, browser: &mut Browser, asked: &str, person: &str) -> String {
    let mut at = asked.to_owned();
    for _ in 0..10 {
        if at.contains("/callback?token=") {
            break;
        }
        if at.contains("/login/oauth/authorize") {
            at = world.github.approve(&at, person);
        }
        let answer = browser.get(&at);
        let next = answer.header("location").unwrap_or_else(|| panic!("{at}: {}", answer.text()));
        at = join(&at, next);
    }
    at
}

#[test]
fn an_instance_that_cannot_be_asked_signs_nobody_out() {
    let scene = Scene::new("gateway");
    scene.trackeep.set_control("http://127.0.0.1:9");
    let (mut browser, page) = scene.world.signed_in("octocat", &url("/app"));
    assert_eq!(page.status, 502);
    assert!(page.text().contains("instance-unavailable"), "{}", page.text());
    assert_eq!(me(&mut browser, &[]).0, 502);
    assert_eq!(scene.trackeep.calls(CALLBACK), 1, "it is left alone for a moment");
    let address = scene.world.gate.address;
    scene.trackeep.set_control(&format!("http://hq.example.com:{}", address.port()));
    scene.world.gate.clock.advance(Duration::from_secs(6));
    assert_eq!(me(&mut browser, &[]), (200, "octocat".to_owned()));
}

/// Whoever operates the gateway reads what is wrong and what to do; the visitor waits, and what would
/// open the instance is written nowhere.
#[test]
fn an_instance_that_gives_no_token_is_told_of_by_its_cause_and_the_way_out() {
    journal::listen();
    let nowhere: fn(&Scene) = |scene| scene.trackeep.set_public_url("https://elsewhere.example");
    let demo: fn(&Scene) = |scene| scene.trackeep.demo_mode(true);
    let silent: fn(&Scene) = |scene| {
        let failure = Trouble::answer(500, "application/json", r#"{"error":"eyJ"}"#);
        scene.trackeep.knobs().at("/api/v1/auth/me", failure);
    };
    for (spoil, cause, way_out) in [
        (nowhere, "to https://elsewhere.example after the sign-in", "set its FRONTEND_URL"),
        (demo, "503 Service Unavailable", "Database not available"),
        (silent, "500 Internal Server Error", "whom its own token is for"),
    ] {
        let scene = Scene::new("gateway");
        spoil(&scene);
        let (_, page) = scene.world.signed_in("octocat", &url("/app"));
        assert_eq!(page.status, 502, "{cause}: {}", page.text());
        assert!(page.text().contains("instance-unavailable"), "{}", page.text());
        let seen = scene.trackeep.requests();
        let asked = seen.iter().find(|seen| seen.path().ends_with("/callback")).expect("it came");
        let id = asked.header("x-request-id").expect("the request's");
        let told = journal::lines(&[id, "WARN", "route=\"trackeep\""]);
        assert!(
            matches!(&told[..], [line] if line.contains(cause) && line.contains(way_out)),
            "{cause}: {told:?}"
        );
        let code = parameter(&asked.target, "token").expect("a code");
        assert!(code.len() > 20, "control: {code}");
        for text in [page.text(), scene.world.gate.access_log()] {
            assert!(!text.contains(&code) && !holds_token(&text), "{cause}: {text}");
            assert!(!text.contains(cause), "no visitor is told: {text}");
        }
        assert_eq!(journal::lines(&[&code]), Vec::<String>::new(), "{cause}");
        assert!(!told.iter().any(|line| holds_token(line)), "{told:?}");
    }
    let scene = Scene::new("gateway");
    assert!(is_arrival(&scene.world.signed_in("octocat", &url("/app")).1), "control");
}

/// What answers may be no Trackeep at all, and say what it was asked: the code in it is good still.
#[test]
fn a_server_that_says_back_what_it_is_asked_writes_no_code_into_the_log() {
    journal::listen();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let heads = asked.clone();
    let app = upstream::serve(move |_, mut stream| {
        while let Some(head) = upstream::read_head(&mut stream) {
            let line = head.lines().next().unwrap_or_default().to_owned();
            // Before the answer, after which the test looks.
            heads.lock().expect("nobody panics").push(line.clone());
            upstream::answer(&mut stream, &format!("there is no {line}"));
        }
    });
    let routes = ROUTES.replace("@TRACKEEP@", &format!("http://{app}"));
    let world = World::with(BROKER, &routes.replace("@SIGN_IN@", "gateway"));
    assert_eq!(world.signed_in("octocat", &url("/app")).1.status, 502);
    let asked = asked.lock().expect("nobody panics").clone();
    let target = asked[0].split(' ').nth(1).expect("a target");
    let code = parameter(target, "token").expect("a code");
    assert!(code.len() > 20, "{code}");
    assert_eq!(journal::lines(&[&code]), Vec::<String>::new());
    let told = journal::lines(&["there is no GET /api/v1/auth/control/callback?token="]);
    assert!(!told.is_empty(), "control: it is told what is there instead");
}

/// A WebSocket of the instance's messages, and its answer.
fn messages(scene: &Scene, browser: &Browser, query: &str, origin: &str) -> (Connection, Response) {
    let cookie = browser
        .session(HOST)
        .map_or_else(String::new, |id| format!("cookie: __Host-gatekeep={id}\r\n"));
    let mut socket = Connection::open(scene.world.gate.address);
    let request = format!(
        "GET /api/v1/messages/ws{query} HTTP/1.1\r\nhost: {HOST}\r\nconnection: Upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\norigin: {origin}\r\n{cookie}\r\n"
    );
    socket.send(request.as_bytes()).expect("the gateway reads");
    let answer = socket.receive(false).expect("an answer");
    (socket, answer)
}

/// A ping of a client's, masked with nothing, and what comes back (RFC 6455 §5.5.2).
const PING: &[u8] = b"\x89\x82\0\0\0\0hi";
const PONG: &[u8] = b"\x8a\x02hi";

/// The instance takes whoever the query names, and asks again never.
#[test]
fn a_socket_of_the_messages_is_the_visitors_for_as_long_as_they_are_signed_in() {
    let scene = Scene::new("gateway");
    scene.trackeep.add_user("eve@example.com", "eve", "a-passw0rd", "user");
    let eve = scene.trackeep.token_of("eve");
    let mut browser = scene.signed_in("octocat");
    for origin in ["https://evil.example", "https://hq.example.com", "null"] {
        let (_, answer) = messages(&scene, &browser, "?token=gatekeep", origin);
        assert_eq!(answer.status, 403, "{origin}");
    }
    let (_, answer) = messages(&scene, &scene.world.browser(), &format!("?token={eve}"), APP);
    assert_eq!(answer.status, 401, "a token in the query is no session");
    assert_eq!(scene.trackeep.calls("GET /api/v1/messages/ws"), 0);

    for query in ["?token=gatekeep&x=y", &format!("?token={eve}&x=y"), "?x=y"] {
        let (mut socket, answer) = messages(&scene, &browser, query, APP);
        assert_eq!(answer.status, 101, "{query}: {}", answer.text());
        let seen = scene.trackeep.requests().pop().expect("it came");
        assert_eq!(seen.target, "/api/v1/messages/ws?x=y", "{query}");
        let bearer = seen.header("authorization").expect("the seat's");
        assert!(holds_token(bearer) && bearer.starts_with("Bearer ") && !bearer.contains(&eve));
        assert_eq!(scene.last_user("/api/v1/messages/ws").as_deref(), Some("octocat"), "{query}");
        socket.send(PING).expect("it is open");
        assert_eq!(socket.read_some(PONG.len()), PONG, "{query}");
    }
    eventually("the closed ones are gone", || scene.trackeep.open_sockets() == 0);

    let (mut socket, _) = messages(&scene, &browser, "?token=gatekeep", APP);
    socket.send(PING).expect("it is open");
    assert_eq!(socket.read_some(PONG.len()), PONG, "control");
    assert_eq!(scene.trackeep.open_sockets(), 1);
    let own = [("origin", APP), ("sec-fetch-site", "same-origin")];
    let kept = browser.clone();
    assert_eq!(browser.send("POST", &url("/api/v1/auth/logout"), &own, "").status, 200);
    // The gateway asks whenever data flows. One that is closed may take it all the same.
    drop(socket.send(PING));
    assert_ne!(socket.read_some(PONG.len()), PONG);
    eventually("the instance's end is closed", || scene.trackeep.open_sockets() == 0);
    assert_eq!(messages(&scene, &kept, "?token=gatekeep", APP).1.status, 401);
}

/// The route lets anybody in; the instance is for members.
#[test]
fn the_instances_own_policy_counts() {
    let scene = Scene::new("gateway");
    let (_, page) = scene.world.signed_in("stranger", &url("/app"));
    assert_eq!(page.status, 403, "{}", page.text());
    assert_eq!(scene.trackeep.calls(CALLBACK), 0);
    assert_eq!(scene.trackeep.calls(ME), 0);
}

#[test]
fn a_browser_that_is_to_keep_the_token_gets_it_by_the_instances_own_pages() {
    let scene = Scene::new("browser");
    let (mut browser, page) = scene.world.signed_in("octocat", &url("/app/notes"));
    assert_eq!(page.status, 200);
    assert_eq!(scene.trackeep.answered(CALLBACK, 307), 1);
    assert!(holds_token(
        &scene.trackeep.requests().iter().map(|r| r.target.clone()).collect::<String>()
    ));
    assert_eq!(me(&mut browser, &[]).0, 401, "it is the pages that show it");
    let own = format!("Bearer {}", scene.trackeep.token_of("octocat"));
    assert_eq!(me(&mut browser, &[("authorization", &own)]), (200, "octocat".to_owned()));
    browser.get(&url("/app/notes"));
    assert_eq!(scene.trackeep.answered(CALLBACK, 307), 1, "once a browser");
}

/// Its pages look at no answer for that: every list would be empty for good.
#[test]
fn a_browser_whose_token_the_instance_refuses_gets_another_with_the_next_page() {
    let scene = Scene::new("browser");
    scene.trackeep.token_life(Duration::from_secs(3_600));
    let (mut browser, _) = scene.world.signed_in("octocat", &url("/app/notes"));
    scene.signed_in("hubot");
    let token_of = |who| format!("Bearer {}", scene.trackeep.token_of(who));
    let (old, foreign) = (token_of("octocat"), token_of("hubot"));
    let ask = |browser: &mut Browser, shown: &str| me(browser, &[("authorization", shown)]).0;
    assert_eq!(ask(&mut browser, &old), 200);
    assert_eq!(browser.get(&url("/app/notes")).status, 200);
    scene.advance(Duration::from_secs(3_601));
    // What is not the visitor's own says nothing of it.
    for shown in [&*foreign, "Bearer null", ""] {
        assert_eq!(ask(&mut browser, shown), 401, "{shown}");
        assert_eq!(browser.get(&url("/app/notes")).status, 200, "{shown}");
    }
    assert_eq!(ask(&mut browser, &old), 401);
    let page = browser.get(&url("/app/notes"));
    assert_eq!(page.status, 303);
    assert!(page.location().starts_with("/api/v1/auth/control/callback?token="));
    browser.follow(&join(&url("/app/notes"), page.location()));
    assert_eq!(ask(&mut browser, &token_of("octocat")), 200);
    assert_eq!(browser.get(&url("/app/notes")).status, 200, "once");
}

/// GitHub would send whoever it knows back at once, as if the button had done nothing.
#[test]
fn after_the_instances_own_sign_out_its_sign_in_page_says_so_and_asks_nobody_in() {
    for sign_in in ["gateway", "browser", "button"] {
        let scene = Scene::new(sign_in);
        let mut browser = scene.signed_in("octocat");
        let own = [("origin", APP), ("sec-fetch-site", "same-origin")];
        assert_eq!(browser.send("POST", &url("/api/v1/auth/logout"), &own, "").status, 200);
        let hits = scene.trackeep.requests().len();
        assert_eq!(browser.clone().get(&url("/app")).status, 303, "{sign_in}: no other page does");
        let page = browser.get(&url("/login"));
        assert_eq!(page.status, 200, "{sign_in}");
        assert!(page.text().contains("You are signed out"), "{sign_in}: {}", page.text());
        assert_eq!(scene.trackeep.requests().len(), hits, "{sign_in}");
        assert_eq!(browser.get(&url("/login")).status, 303, "{sign_in}: once");
    }
}

#[test]
fn a_button_signs_in_with_one_click_and_no_further_question() {
    let scene = Scene::new("button");
    let (mut browser, page) = scene.world.signed_in("octocat", &url("/app"));
    assert!(page.status == 200 && !is_arrival(&page));
    assert_eq!(scene.trackeep.calls(CALLBACK), 0);
    let (at, _) = browser.follow(&url(
        "/api/v1/auth/github?frontend_redirect=https://trackeep.example.com/auth/callback",
    ));
    assert!(at.starts_with(&url("/auth/callback?token=eyJ")), "{at}");
    assert_eq!(scene.trackeep.answered(CALLBACK, 307), 1);
}
