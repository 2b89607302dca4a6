//! Coming back from GitHub: of all the ways to call the callback only the good ones sign somebody
//! in (RFC 6749 §10.12, RFC 7636, RFC 9700 §4.5, §4.7).

use std::collections::HashSet;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use crate::support::browser::{Browser, join, parameter};
use crate::support::http::{Connection, Response};
use crate::support::{ROUTES, World};

const HOST: &str = "auth.example.com";
const PAGE: &str = "https://auth.example.com/page";
const SESSION: &str = "__Host-gatekeep";
const EXCHANGE: &str = "POST /login/oauth/access_token";

/// One sign-in under way: what the browser holds, and what GitHub sends back.
#[derive(Clone)]
struct Attempt {
    /// `name=value`.
    cookie: String,
    state: String,
    code: String,
}

/// A navigation with exactly these cookies and further header lines.
fn get_with(world: &World, target: &str, cookies: &str, lines: &str) -> Response {
    let host = if lines.starts_with("host: ") { "" } else { "host: auth.example.com\r\n" };
    let cookies = if cookies.is_empty() { String::new() } else { format!("cookie: {cookies}\r\n") };
    let head = format!(
        "GET {target} HTTP/1.1\r\n{host}accept: text/html\r\nconnection: close\r\n\
         {cookies}{lines}\r\n"
    );
    world.gate.raw(head.as_bytes()).unwrap_or_else(|| panic!("no answer to {target}"))
}

fn get(world: &World, target: &str, cookies: &str) -> Response {
    get_with(world, target, cookies, "")
}

fn begin(world: &World) -> Attempt {
    let response = get(world, "/.gatekeep/start?rd=/deep", "");
    let set = response.all("set-cookie").find(|cookie| cookie.contains("login-"));
    let cookie = set.and_then(|set| set.split(';').next()).expect("an attempt's cookie").to_owned();
    let callback = world.github.approve(response.location(), "octocat");
    let of = |name| parameter(&callback, name).expect("GitHub sends code and state");
    Attempt { cookie, state: of("state"), code: of("code") }
}

fn come_back(world: &World, attempt: &Attempt, cookies: &str) -> Response {
    let Attempt { state, code, .. } = attempt;
    get(world, &format!("/.gatekeep/callback?code={code}&state={state}"), cookies)
}

/// A refusal as every one must be: no session, no redirect, nothing cached, a reason, a way out.
fn assert_refused(response: &Response, status: u16, reason: &str, what: &str) {
    let text = response.text();
    assert_eq!(response.status, status, "{what}: {text}");
    assert_eq!(response.sets(SESSION), None, "{what}");
    assert_eq!(response.header("location"), None, "{what}");
    assert_eq!(response.header("cache-control"), Some("no-store"), "{what}");
    assert!(text.contains(&format!("<code>{reason}</code>")), "{what}: {text}");
    assert!(text.contains("href=\"/.gatekeep/start?rd=%2F\""), "{what}: {text}");
}

// === The matrix ===

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Absent,
    Empty,
    Doubled,
    OtherBrowsers,
    Used,
    Expired,
    Flipped,
    Truncated,
    Extended,
    Right,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Jar {
    Absent,
    /// Everything that this browser ever got, the used and the expired included.
    Own,
    OtherBrowsers,
    Expired,
    /// The right one twice, behind a planted one of the same name.
    Doubled,
    Garbage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Absent,
    Empty,
    Doubled,
    Right,
    Wrong,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Denial {
    Absent,
    AccessDenied,
    Other,
}

const STATES: [State; 10] = [
    State::Absent,
    State::Empty,
    State::Doubled,
    State::OtherBrowsers,
    State::Used,
    State::Expired,
    State::Flipped,
    State::Truncated,
    State::Extended,
    State::Right,
];
const JARS: [Jar; 6] =
    [Jar::Absent, Jar::Own, Jar::OtherBrowsers, Jar::Expired, Jar::Doubled, Jar::Garbage];
const CODES: [Code; 5] = [Code::Absent, Code::Empty, Code::Doubled, Code::Right, Code::Wrong];
const DENIALS: [Denial; 3] = [Denial::Absent, Denial::AccessDenied, Denial::Other];

type Cell = (State, Jar, Code, Denial);

/// The attempts that a cell chooses from; `mine` and `others` are new for each cell.
struct Attempts {
    mine: Attempt,
    others: Attempt,
    used: Attempt,
    expired: Attempt,
}

/// What a cell must lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    SignedIn,
    /// Status, reason, exchanges at GitHub.
    Refused(u16, &'static str, usize),
}

fn cells() -> impl Iterator<Item = Cell> {
    let codes = || CODES.into_iter().flat_map(|code| DENIALS.map(|denial| (code, denial)));
    let jars = move || JARS.into_iter().flat_map(move |jar| codes().map(move |(c, d)| (jar, c, d)));
    STATES.into_iter().flat_map(move |state| jars().map(move |(j, c, d)| (state, j, c, d)))
}

/// The rules, in the order in which they hold.
fn expected((state, jar, code, denial): Cell) -> Outcome {
    let is_at_hand = match state {
        State::Right => matches!(jar, Jar::Own | Jar::Doubled),
        State::OtherBrowsers => jar == Jar::OtherBrowsers,
        _ => false,
    };
    let is_over = match state {
        State::Used => jar == Jar::Own,
        State::Expired => matches!(jar, Jar::Own | Jar::Expired),
        _ => false,
    };
    match (code, denial) {
        (Code::Doubled, _) => Outcome::Refused(400, "unknown-attempt", 0),
        _ if is_over => Outcome::Refused(400, "attempt-spent", 0),
        _ if !is_at_hand => Outcome::Refused(400, "unknown-attempt", 0),
        (_, Denial::AccessDenied) => Outcome::Refused(403, "access-denied", 0),
        // GitHub reports trouble of its own or of the gateway's registration.
        (_, Denial::Other) => Outcome::Refused(502, "bad-answer", 0),
        (Code::Absent | Code::Empty, _) => Outcome::Refused(400, "unknown-attempt", 0),
        (Code::Right, _) if state == State::Right => Outcome::SignedIn,
        // A code of another attempt: PKCE tells GitHub.
        _ => Outcome::Refused(400, "attempt-spent", 1),
    }
}

fn flipped(state: &str, at: usize) -> String {
    let mut bytes = state.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).expect("ASCII")
}

impl Attempts {
    fn state(&self, state: State) -> String {
        let right = &self.mine.state;
        match state {
            State::Absent => String::new(),
            State::Empty => "&state=".into(),
            State::Doubled => format!("&state={right}&state={right}"),
            State::OtherBrowsers => format!("&state={}", self.others.state),
            State::Used => format!("&state={}", self.used.state),
            State::Expired => format!("&state={}", self.expired.state),
            State::Flipped => format!("&state={}", flipped(right, 20)),
            State::Truncated => format!("&state={}", &right[..42]),
            State::Extended => format!("&state={right}A"),
            State::Right => format!("&state={right}"),
        }
    }

    fn code(&self, code: Code, state: State) -> String {
        // The codes of attempts that are over would still be good at GitHub here.
        let right = match state {
            State::Used => &self.used.code,
            State::Expired => &self.expired.code,
            _ => &self.mine.code,
        };
        match code {
            Code::Absent => String::new(),
            Code::Empty => "&code=".into(),
            Code::Doubled => format!("&code={right}&code={right}"),
            Code::Right => format!("&code={right}"),
            Code::Wrong => "&code=0123456789abcdef0123".into(),
        }
    }

    fn jar(&self, jar: Jar) -> String {
        let (name, _) = self.mine.cookie.split_once('=').expect("a cookie");
        match jar {
            Jar::Absent => String::new(),
            Jar::Own => {
                format!("{}; {}; {}", self.mine.cookie, self.used.cookie, self.expired.cookie)
            }
            Jar::OtherBrowsers => self.others.cookie.clone(),
            Jar::Expired => self.expired.cookie.clone(),
            Jar::Doubled => format!("{name}=AAAA; {0}; {0}", self.mine.cookie),
            Jar::Garbage => format!("{name}={}", "A".repeat(400)),
        }
    }

    fn target(&self, (state, _, code, denial): Cell) -> String {
        let denial = match denial {
            Denial::Absent => "",
            Denial::AccessDenied => "&error=access_denied&error_description=no",
            Denial::Other => "&error=redirect_uri_mismatch",
        };
        format!("/.gatekeep/callback?x=1{}{}{denial}", self.state(state), self.code(code, state))
    }
}

/// Every combination of 10 states, 6 cookie jars, 5 codes and 3 errors: 900 callbacks, of which
/// two are good. Codes stay good at GitHub, so nothing here rests on GitHub's single use.
#[test]
fn of_all_callbacks_only_the_good_ones_sign_somebody_in() {
    let world = World::new();
    world.github.knobs().reuse_codes(true);
    let expired = begin(&world);
    world.gate.clock.advance(Duration::from_secs(660));
    let used = begin(&world);
    assert!(come_back(&world, &used, &used.cookie).sets(SESSION).is_some());
    let (mut good, mut all) = (Vec::new(), 0);
    for cell in cells() {
        let (mine, others) = (begin(&world), begin(&world));
        let attempts = Attempts { mine, others, used: used.clone(), expired: expired.clone() };
        // One address that fails so often would not be heard any more.
        world.gate.clock.advance(Duration::from_secs(1));
        let before = world.github.calls(EXCHANGE);
        let response = get(&world, &attempts.target(cell), &attempts.jar(cell.1));
        let exchanges = world.github.calls(EXCHANGE) - before;
        let what = format!("{cell:?}");
        match expected(cell) {
            Outcome::SignedIn => {
                assert_eq!((response.status, exchanges), (303, 1), "{what}: {}", response.text());
                assert!(response.sets(SESSION).is_some_and(|id| id.len() == 43), "{what}");
                assert_eq!(response.location(), "/deep", "{what}");
                good.push(cell);
            }
            Outcome::Refused(status, reason, calls) => {
                assert_refused(&response, status, reason, &what);
                assert_eq!(exchanges, calls, "{what}");
            }
        }
        all += 1;
    }
    let right = |jar| (State::Right, jar, Code::Right, Denial::Absent);
    assert_eq!((all, good), (900, vec![right(Jar::Own), right(Jar::Doubled)]));
}

// === State ===

/// Login CSRF (RFC 6749 §10.12): the attacker signs in at GitHub as himself and lets the victim's
/// browser open the callback, so that what the victim writes lands in the attacker's account. The
/// attacker drops `code_challenge` from his own authorisation request, which GitHub allows, so that
/// PKCE does not stand in the way: `state` alone must. The victim has a sign-in of her own under
/// way. Control: in the attacker's browser the very same callback is good.
#[test]
fn a_state_of_another_browser_signs_nobody_in() {
    let world = World::new();
    let (mut attacker, mut victim) = (world.browser(), world.browser());
    let authorize = world.authorize_url(&mut attacker, PAGE);
    let callback = world.github.approve(&without_pkce(&authorize), "stranger");
    world.authorize_url(&mut victim, PAGE);
    assert_refused(&victim.get(&callback), 400, "unknown-attempt", "the victim's browser");
    assert_eq!(victim.session(HOST), None);
    assert_eq!(world.github.calls(EXCHANGE), 0, "nobody asked GitHub about the attacker's code");
    let landed = attacker.get(&callback);
    assert_eq!((landed.status, landed.location()), (303, "/page"));
    assert!(attacker.session(HOST).is_some());
}

fn without_pkce(authorize: &str) -> String {
    let mut url = url::Url::parse(authorize).expect("a URL");
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let kept = pairs.iter().filter(|(name, _)| !name.starts_with("code_challenge"));
    url.query_pairs_mut().clear().extend_pairs(kept);
    url.into()
}

/// Every character of the state counts: with each of the 43 changed nobody is signed in. Control:
/// unchanged it is good, after all those tries.
#[test]
fn a_state_with_any_character_changed_signs_nobody_in() {
    let world = World::new();
    let attempt = begin(&world);
    assert_eq!(attempt.state.len(), 43);
    for at in 0..43 {
        let changed = Attempt { state: flipped(&attempt.state, at), ..attempt.clone() };
        let response = come_back(&world, &changed, &attempt.cookie);
        assert_refused(&response, 400, "unknown-attempt", &format!("character {at}"));
    }
    assert_eq!(world.github.calls(EXCHANGE), 0);
    assert!(come_back(&world, &attempt, &attempt.cookie).sets(SESSION).is_some());
}

/// The attempt is sealed in the cookie: with any character of the value changed it does not open.
/// Control: unchanged it does, after all those tries.
#[test]
fn an_attempt_cookie_with_any_character_changed_signs_nobody_in() {
    let world = World::new();
    let attempt = begin(&world);
    let (name, value) = attempt.cookie.split_once('=').expect("a cookie");
    let last = value.len() - 1;
    for at in (0..last).step_by(3).chain([1, 2, last - 1, last]) {
        let cookie = format!("{name}={}", flipped(value, at));
        let response = come_back(&world, &attempt, &cookie);
        assert_refused(&response, 400, "unknown-attempt", &format!("character {at}"));
    }
    for cookie in [&value[..last], &format!("{value}A"), &format!("{value}="), ""] {
        let response = come_back(&world, &attempt, &format!("{name}={cookie}"));
        assert_refused(&response, 400, "unknown-attempt", cookie);
    }
    assert!(come_back(&world, &attempt, &attempt.cookie).sets(SESSION).is_some());
}

/// An attempt's cookie counts under its own name and at its own host alone: one that is moved to
/// another name does not serve another state.
#[test]
fn an_attempt_cookie_under_another_name_signs_nobody_in() {
    let world = World::new();
    let (one, two) = (begin(&world), begin(&world));
    let (name, value) = (one.cookie.split_once('='), two.cookie.split_once('='));
    let swapped = format!("{}={}", name.expect("a cookie").0, value.expect("a cookie").1);
    for attempt in [&one, &two] {
        let response = come_back(&world, attempt, &swapped);
        assert_refused(&response, 400, "unknown-attempt", &swapped);
    }
    let both = format!("{}; {}", one.cookie, two.cookie);
    assert!(come_back(&world, &two, &both).sets(SESSION).is_some());
}

// === Single use ===

/// A callback's address leaks (history, a shoulder, a proxy's log) and is replayed with the same
/// cookies, a hundred times at once. GitHub is made to take its codes again and again, so that it
/// is our own single use that is tested. One is signed in; the others get a page.
#[test]
fn a_good_callback_works_once_of_a_hundred_at_once() {
    let world = World::new();
    world.github.knobs().reuse_codes(true);
    let attempt = begin(&world);
    let barrier = Arc::new(Barrier::new(100));
    let responses: Vec<_> = std::thread::scope(|scope| {
        let (world, attempt) = (&world, &attempt);
        let threads = (0..100).map(|_| {
            let barrier = barrier.clone();
            scope.spawn(move || {
                barrier.wait();
                come_back(world, attempt, &attempt.cookie)
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });
    let (good, bad): (Vec<_>, Vec<_>) =
        responses.iter().partition(|response| response.sets(SESSION).is_some());
    assert_eq!((good.len(), bad.len()), (1, 99));
    for response in bad {
        assert_refused(response, 400, "attempt-spent", "a replay");
    }
    assert_eq!(world.github.calls(EXCHANGE), 1);
    let session = good[0].sets(SESSION).expect("a session");
    let page = get(&world, "/page", &format!("{SESSION}={session}"));
    assert_eq!(page.status, 200, "control: the one session is good");
}

/// A spent attempt stays spent: also later than the store remembers it, for by then it is stale.
#[test]
fn a_spent_attempt_never_comes_back() {
    let world = World::new();
    world.github.knobs().reuse_codes(true);
    let attempt = begin(&world);
    assert!(come_back(&world, &attempt, &attempt.cookie).sets(SESSION).is_some());
    for seconds in [0, 599, 1, 599, 1, 3600, 86_400] {
        world.gate.clock.advance(Duration::from_secs(seconds));
        let response = come_back(&world, &attempt, &attempt.cookie);
        assert_refused(&response, 400, "attempt-spent", &format!("{seconds} s later"));
    }
    assert_eq!(world.github.calls(EXCHANGE), 1);
}

/// An attempt that failed is used up, too (RFC 9700 §4.2.4): a visitor who declined is not signed
/// in by a later callback with the same state.
#[test]
fn a_failed_attempt_is_used_up() {
    let world = World::new();
    for parameters in ["error=access_denied", "code=", "code=wrong", "error=server_error"] {
        let attempt = begin(&world);
        let target = format!("/.gatekeep/callback?{parameters}&state={}", attempt.state);
        assert_eq!(get(&world, &target, &attempt.cookie).sets(SESSION), None, "{parameters}");
        let response = come_back(&world, &attempt, &attempt.cookie);
        assert_refused(&response, 400, "attempt-spent", parameters);
    }
}

/// A minute past ten is too late, a second before is not.
#[test]
fn an_attempt_is_good_for_ten_minutes() {
    for (seconds, good) in [(0, true), (599, true), (600, false), (660, false)] {
        let world = World::new();
        let attempt = begin(&world);
        world.gate.clock.advance(Duration::from_secs(seconds));
        let response = come_back(&world, &attempt, &attempt.cookie);
        assert_eq!(response.sets(SESSION).is_some(), good, "after {seconds} s");
    }
}

// === PKCE ===

/// Challenges and states are 43 characters of S256 and never the same: 1,000 attempts.
#[test]
fn every_attempt_has_a_challenge_and_a_state_of_its_own() {
    let world = World::new();
    let mut connection = Connection::open(world.gate.address);
    let (mut challenges, mut states) = (HashSet::new(), HashSet::new());
    for _ in 0..1000 {
        let head = format!("GET /.gatekeep/start?rd=/ HTTP/1.1\r\nhost: {HOST}\r\n\r\n");
        connection.send(head.as_bytes()).expect("the gateway reads");
        let response = connection.receive(false).expect("an answer");
        let of = |name| parameter(response.location(), name).expect("the parameter");
        assert_eq!(of("code_challenge_method"), "S256");
        for token in [of("code_challenge"), of("state")] {
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
            assert!(token.len() == 43 && token.bytes().all(plain), "{token}");
        }
        challenges.insert(of("code_challenge"));
        states.insert(of("state"));
    }
    assert_eq!((challenges.len(), states.len()), (1000, 1000));
    assert!(challenges.is_disjoint(&states));
}

/// Code injection (RFC 9700 §4.5): the attacker got hold of the victim's code before it was used
/// and brings it back in a sign-in of his own. State and cookie are right; PKCE tells. Control: in
/// the victim's own attempt the same kind of code is good, also where GitHub insists on PKCE.
#[test]
fn a_stolen_code_is_of_no_use_in_another_attempt() {
    let world = World::new();
    world.github.knobs().require_pkce(true);
    world.github.knobs().reuse_codes(true);
    let (victims, attackers) = (begin(&world), begin(&world));
    let injected = Attempt { code: victims.code.clone(), ..attackers.clone() };
    let response = come_back(&world, &injected, &attackers.cookie);
    assert_refused(&response, 400, "attempt-spent", "the victim's code in the attacker's attempt");
    assert_eq!(world.github.calls(EXCHANGE), 1, "GitHub was asked and said no");
    assert!(come_back(&world, &victims, &victims.cookie).sets(SESSION).is_some());
}

/// The verifier that goes to GitHub is the one of the challenge, 43 characters of base64url, and
/// is sent in the body, with the code and the secret, and never in a URL.
#[test]
fn the_exchange_sends_the_verifier_and_the_registered_callback() {
    let world = World::new();
    let attempt = begin(&world);
    assert!(come_back(&world, &attempt, &attempt.cookie).sets(SESSION).is_some());
    let requests = world.github.requests();
    let exchange = requests.iter().find(|request| request.path() == "/login/oauth/access_token");
    let exchange = exchange.expect("an exchange");
    assert_eq!(exchange.target, "/login/oauth/access_token", "no query");
    let form: Vec<_> = url::form_urlencoded::parse(&exchange.body).into_owned().collect();
    let of = |name: &str| {
        let mut found = form.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        (found.next().unwrap_or_default(), found.count())
    };
    assert_eq!(of("code"), (attempt.code.as_str(), 0));
    assert_eq!(of("redirect_uri"), (world.gate.callback.as_str(), 0));
    assert_eq!(of("client_id"), (world.github.client_id(), 0));
    assert_eq!(of("client_secret"), (world.github.client_secret(), 0));
    assert_eq!((of("code_verifier").0.len(), of("code_verifier").1), (43, 0));
}

// === What we send out ===

/// Whatever a client writes into Host and the forwarding headers, even through a trusted proxy,
/// GitHub is told the one configured callback, byte for byte. A host that is not ours gets no
/// sign-in at all.
#[test]
fn the_callback_sent_is_the_configured_one_whatever_the_headers_say() {
    let world = World::with("trusted_proxies: ['127.0.0.0/8']\n", ROUTES);
    for lines in [
        "",
        "host: auth.example.com:443\r\n",
        "host: auth.example.com:8443\r\n",
        "host: AUTH.Example.COM\r\n",
        "x-forwarded-host: evil.example\r\n",
        "x-forwarded-host: evil.example\r\nx-forwarded-proto: http\r\nx-forwarded-port: 8080\r\n",
        "x-forwarded-proto: javascript\r\n",
        "x-forwarded-prefix: /evil\r\nx-forwarded-uri: /evil\r\nx-original-url: /evil\r\n",
        "forwarded: host=evil.example;proto=http\r\n",
        "x-host: evil.example\r\nx-original-host: evil.example\r\nx-forwarded-server: evil\r\n",
        "x-http-host-override: evil.example\r\nx-rewrite-url: https://evil.example/\r\n",
        "origin: https://evil.example\r\nreferer: https://evil.example/\r\n",
    ] {
        for target in ["/.gatekeep/start?rd=/", "/page", "/.gatekeep/start?redirect_uri=x"] {
            let response = get_with(&world, target, "", lines);
            assert_eq!(response.status, 303, "{lines} {target}: {}", response.text());
            let sent = parameter(response.location(), "redirect_uri");
            assert_eq!(sent.as_deref(), Some("https://auth.example.com/.gatekeep/callback"));
            assert!(response.location().starts_with(world.github.url()), "{lines} {target}");
        }
    }
    for lines in ["host: evil.example\r\n", "host: auth.example.com.evil.example\r\n"] {
        let response = get_with(&world, "/.gatekeep/start?rd=/", "", lines);
        assert_eq!((response.status, response.header("location")), (404, None), "{lines}");
    }
}

/// Every redirect of ours, from the first page over two hosts to the end: 303, not cached, no
/// referrer, and neither GitHub's code nor a token, a verifier, a secret or a cookie in the URL
/// (RFC 9700 §4.2.4, §4.12). Tokens go to GitHub in `Authorization` alone (RFC 6750 §2).
#[test]
fn no_redirect_carries_a_secret() {
    let world = World::new();
    let mut browser = world.browser();
    let (mut redirects, mut secrets) = (Vec::new(), vec!["gho_".to_owned()]);
    for (page, person) in [
        ("https://app.example.com/a?b=c", "octocat"),
        ("https://auth.example.com/.gatekeep/start?rd=/&prompt=select_account", "hubot"),
    ] {
        let mut at = page.to_owned();
        loop {
            let response = browser.get(&at);
            collect_secrets(&browser, &mut secrets);
            if response.status == 200 {
                break;
            }
            at = join(&at, response.location());
            redirects.push(response);
            if at.starts_with(world.github.url()) {
                at = world.github.approve(&at, person);
                secrets.push(parameter(&at, "code").expect("a code"));
            }
        }
    }
    let requests = world.github.requests();
    let exchanges = requests.iter().filter(|request| request.method == "POST");
    let verifiers = exchanges.filter_map(|request| {
        let form = url::form_urlencoded::parse(&request.body).into_owned();
        form.into_iter().find(|(name, _)| name == "code_verifier").map(|(_, value)| value)
    });
    secrets.extend(verifiers);
    secrets.push(world.github.client_secret().to_owned());
    assert_eq!(redirects.len(), 6);
    assert!(secrets.len() >= 9, "{secrets:?}");
    for redirect in &redirects {
        let shown = redirect.location();
        assert_eq!(redirect.status, 303, "{shown}");
        assert_eq!(redirect.header("cache-control"), Some("no-store"), "{shown}");
        assert_eq!(redirect.header("referrer-policy"), Some("no-referrer"), "{shown}");
        for secret in &secrets {
            assert!(!shown.contains(secret.as_str()), "{secret} in {shown}");
        }
    }
    for request in requests {
        assert!(!request.target.contains("gho_"), "{}", request.target);
    }
}

fn collect_secrets(browser: &Browser, secrets: &mut Vec<String>) {
    for host in [HOST, "app.example.com"] {
        let cookies = browser.cookies(host);
        // The trail counts sign-ins: no secret.
        let secret = cookies.into_iter().filter(|(name, _)| !name.ends_with("trail"));
        secrets.extend(secret.map(|(_, value)| value));
    }
}

/// The callback lives at the gateway's own host alone: at another of our hosts it is no page.
#[test]
fn the_callback_is_answered_at_its_own_host_alone() {
    let world = World::new();
    let attempt = begin(&world);
    let target = format!("/.gatekeep/callback?code={}&state={}", attempt.code, attempt.state);
    let response = get_with(&world, &target, &attempt.cookie, "host: app.example.com\r\n");
    assert_eq!((response.status, response.sets(SESSION)), (404, None));
    assert_eq!(world.github.calls(EXCHANGE), 0);
    assert!(get(&world, &target, &attempt.cookie).sets(SESSION).is_some(), "control");
}
