//! API keys: made on the account page, shown once, and good for programs that keep no cookies, at
//! the routes that they name, until they end. No key reaches an app, the store or another's hands.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use gatekeep::clock::Clock;
use gatekeep::store::{Memory, Table};
use serde_json::json;

use crate::support::browser::{Browser, encode};
use crate::support::fuse::Fuse;
use crate::support::http::{Connection, Response};
use crate::support::nodes::Nodes;
use crate::support::{Gate, ROUTES, World, eventually};

const APP: &str = "https://app.example.com";
const OPEN: &str = "https://auth.example.com";
const PAGE: &str = "https://app.example.com/page";
const ACCOUNT: &str = "https://app.example.com/.gatekeep/account";
const MAKE: &str = "https://app.example.com/.gatekeep/api_keys";

const DAY: Duration = Duration::from_secs(86_400);

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.split_once(start)?.1.split_once(end).map(|(inside, _)| inside)
}

fn account(browser: &mut Browser) -> String {
    let page = browser.get(ACCOUNT);
    assert_eq!(page.status, 200, "{}", page.text());
    page.text()
}

/// The token of the form that makes keys.
fn token(browser: &mut Browser) -> String {
    let page = account(browser);
    let form = between(&page, "action=\"/.gatekeep/api_keys\"", "</form>").expect("a form");
    between(form, "name=\"csrf\" value=\"", "\"").expect("its token").to_owned()
}

/// Fills in the form and sends it.
fn ask(browser: &mut Browser, name: &str, routes: &[&str], days: &str) -> Response {
    let token = token(browser);
    let mut fields = vec![("csrf", token.as_str()), ("name", name), ("days", days)];
    fields.extend(routes.iter().map(|route| ("route", *route)));
    browser.post(MAKE, &fields)
}

/// The key that a page shows.
fn shown(page: &Response) -> String {
    let text = page.text();
    assert_eq!(page.status, 200, "{text}");
    between(&text, "<dt>API key</dt><dd><code>", "</code>").expect("a key").to_owned()
}

fn make(browser: &mut Browser, routes: &[&str]) -> String {
    shown(&ask(browser, "ci", routes, "30"))
}

fn octocat(world: &World) -> Browser {
    let (browser, page) = world.signed_in("octocat", &format!("{APP}/"));
    assert_eq!(page.status, 200, "{}", page.text());
    browser
}

/// What a program gets that shows these credentials.
fn with(gate: &Gate, url: &str, credentials: &str) -> Response {
    Browser::new(gate.address).send("GET", url, &[("authorization", credentials)], "")
}

fn by_key(gate: &Gate, url: &str, key: &str) -> Response {
    with(gate, url, &format!("Bearer {key}"))
}

fn words(answer: &Response) -> (u16, Option<String>) {
    let text = answer.text();
    let reason = text.lines().find_map(|line| line.strip_prefix("Reason: "));
    (answer.status, reason.map(str::to_owned))
}

fn refused(status: u16, reason: &str) -> (u16, Option<String>) {
    (status, Some(reason.to_owned()))
}

/// Presses the button that ends a key.
fn end(browser: &mut Browser, name: &str) {
    let page = account(browser);
    let row = between(&page, &format!("<th scope=\"row\">{name}</th>"), "</tr>").expect("a row");
    let field = |field| between(row, &format!("name=\"{field}\" value=\""), "\"").expect("a value");
    let fields = [("csrf", field("csrf")), ("session", field("session"))];
    assert_eq!(browser.post(&format!("{APP}/.gatekeep/end_session"), &fields).status, 303);
}

/// Presses another button of the account page.
fn press(browser: &mut Browser, path: &str) -> Response {
    let page = account(browser);
    let form = between(&page, &format!("action=\"/.gatekeep/{path}\""), "</form>").expect(path);
    let token = between(form, "name=\"csrf\" value=\"", "\"").expect("its token").to_owned();
    browser.post(&format!("{APP}/.gatekeep/{path}"), &[("csrf", &token)])
}

// === Made and used ===

/// Whoever tried the command would show the key to GitHub itself.
#[test]
fn no_command_shows_a_key_to_github() {
    let route = "\n  - { name: github, host: api.github.com, upstream: github, allow: anyone }\n";
    let world = World::with("", &format!("{}{route}", ROUTES.trim_end()));
    let mut browser = octocat(&world);
    let at_github = ask(&mut browser, "gh", &["github"], "7").text();
    assert!(at_github.contains("<dt>API key</dt>") && !at_github.contains("curl"), "{at_github}");
    let anywhere = ask(&mut browser, "all", &["github", "app"], "7").text();
    assert!(anywhere.contains("https://app.example.com/</code>"), "{anywhere}");
}

/// The key is shown once, on a page that nobody keeps, with a command that works.
#[test]
fn a_key_is_shown_once_with_how_to_use_it() {
    let world = World::new();
    let mut browser = octocat(&world);
    let page = ask(&mut browser, "nightly build", &["app", "open"], "90");
    let (key, text) = (shown(&page), page.text());
    assert_eq!((key.len(), &key[..3]), (46, "gk_"));
    assert_eq!(page.all("cache-control").collect::<Vec<_>>(), ["no-store"]);
    let ends = world.gate.clock.now() + DAY * 90;
    for words in [
        "<h1>Your new API key</h1>".to_owned(),
        "<dt>Name</dt><dd>nightly build</dd>".to_owned(),
        "<dt>Routes</dt><dd>app, open</dd>".to_owned(),
        format!("<dt>Ends</dt><dd>{ends}</dd>"),
        format!(
            "<code>curl -H &quot;Authorization: Bearer {key}&quot; https://app.example.com/</code>"
        ),
    ] {
        assert!(text.contains(&words), "{words} is not in {text}");
    }
    assert!(!account(&mut browser).contains(&key), "it is not shown again");
    let made = world.gate.clock.now().to_minute();
    let list = |browser: &mut Browser| {
        let page = browser.send("GET", ACCOUNT, &[("accept", "text/plain")], "").text();
        between(&page, "\nAPI keys\n\n", "\n\nBack").expect("a list").to_owned()
    };
    let expected = |used: &str| {
        format!(
            "Name: nightly build\nRoutes: app, open\nMade: {made}\nLast used: {used}\n\
             Ends: {}\nEnd: POST /.gatekeep/end_session\n\n\
             Each passes to the routes that it names, as you. To sign out everywhere ends them, \
             too.\n\nMake an API key: POST /.gatekeep/api_keys",
            ends.to_minute()
        )
    };
    assert_eq!(list(&mut browser), expected("never"));
    world.gate.clock.advance(Duration::from_secs(120));
    assert_eq!(by_key(&world.gate, PAGE, &key).status, 200);
    assert_eq!(list(&mut browser), expected(&world.gate.clock.now().to_minute()));
}

/// As `curl`, `gh`, Octokit, `PyGithub` and go-github send it, without a cookie.
#[test]
fn a_key_lets_a_program_in_as_its_owner_in_each_spelling() {
    let world = World::new();
    let key = make(&mut octocat(&world), &["app"]);
    let basic = |user: &str| STANDARD.encode(format!("{user}:{key}"));
    for credentials in [
        format!("Bearer {key}"),
        format!("bearer {key}"),
        format!("BEARER {key}"),
        format!("token {key}"),
        format!("Token {key}"),
        format!("Basic {}", basic("octocat")),
        format!("basic {}", basic("")),
    ] {
        let answer = with(&world.gate, PAGE, &credentials);
        assert_eq!(answer.status, 200, "{credentials}: {}", answer.text());
        let seen = world.app.requests().pop().expect("reached");
        assert_eq!(seen.all("x-forwarded-user"), ["octocat"], "{credentials}");
        assert_eq!(seen.all("x-gatekeep-jwt").len(), 1, "{credentials}");
    }
    let line = world.gate.access_log();
    assert!(line.contains("octocat") && !line.contains("gk_"), "{line}");
}

/// No other site can make a program ask: neither a post nor a socket needs proof of where it is from.
#[test]
fn a_request_by_key_proves_nothing_of_its_origin() {
    let world = World::new();
    let key = make(&mut octocat(&world), &["app"]);
    let (bearer, origin) = (format!("Bearer {key}"), ("origin", "https://elsewhere.example"));
    let fields = [("authorization", bearer.as_str()), origin];
    assert_eq!(world.browser().send("POST", PAGE, &fields, "x=1").status, 200);
    let open = |authorization: &str| {
        let mut connection = Connection::open(world.gate.address);
        let request = format!(
            "GET /ws HTTP/1.1\r\nhost: app.example.com\r\nconnection: Upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             origin: https://elsewhere.example\r\nauthorization: {authorization}\r\n\r\n"
        );
        connection.send(request.as_bytes()).expect("the server reads");
        connection.receive(false).expect("an answer").status
    };
    assert_eq!(open(&bearer), 101);
    assert_eq!(open("Bearer of-the-app"), 401, "control");
}

// === What a key does not open ===

#[test]
fn a_key_opens_the_routes_that_it_names_and_no_others() {
    let world = World::new();
    let mut browser = octocat(&world);
    let (app, open) = (make(&mut browser, &["app"]), make(&mut browser, &["open"]));
    let (at_open, hits) = (format!("{OPEN}/x"), world.app.hits());
    for (key, url) in [(&app, at_open.as_str()), (&open, PAGE)] {
        let answer = by_key(&world.gate, url, key);
        assert_eq!(words(&answer), refused(403, "api-key-scope"), "{url}");
    }
    assert_eq!(world.app.hits(), hits);
    for (key, url) in [(&app, PAGE), (&open, at_open.as_str())] {
        assert_eq!(by_key(&world.gate, url, key).status, 200, "control: {url}");
    }
}

/// A key can do what its owner can, and no more; and no longer.
#[test]
fn a_key_passes_where_its_owner_does() {
    let nodes = Nodes::new("");
    let gate = &nodes.world.gate;
    let key = make(&mut nodes.signed_in("octocat"), &["app"]);
    let admin = by_key(gate, &format!("{APP}/admin"), &key);
    assert_eq!(words(&admin), refused(403, "not-admitted"), "a rule for others");
    assert!(!admin.text().contains("sign_out"), "there is nothing to sign out: {}", admin.text());
    assert_eq!(by_key(gate, PAGE, &key).status, 200);
    nodes.world.github.remove_from_org("octocat", "acme");
    nodes.advance(Duration::from_secs(600));
    assert_eq!(words(&by_key(gate, PAGE, &key)), refused(403, "not-admitted"), "who has left");
}

/// A bad key is judged alone: no cookie makes it good, and nobody is sent to GitHub.
#[test]
fn a_bad_key_is_never_anything_else() {
    let world = World::new();
    let mut browser = octocat(&world);
    let key = make(&mut browser, &["app"]);
    let unknown = format!("gk_{}", URL_SAFE_NO_PAD.encode([7; 32]));
    let cookie = browser.session("app.example.com").expect("signed in");
    let hits = world.app.hits();
    for credentials in [
        format!("Bearer {unknown}"),
        format!("token {unknown}"),
        format!("Basic {}", STANDARD.encode(format!("octocat:{unknown}"))),
        "Bearer gk_".to_owned(),
        format!("Bearer {key}x"),
        format!("Bearer gk_{cookie}"),
        format!("Bearer {key}\r\nauthorization: Bearer {key}"),
        format!("Bearer {key}\r\nauthorization: Bearer of-the-app"),
        format!("Bearer of-the-app\r\nauthorization: Bearer {key}"),
        format!("Basic {}", STANDARD.encode(format!("{key}:x-oauth-basic"))),
    ] {
        let navigation = [("accept", "text/html"), ("sec-fetch-mode", "navigate")];
        let fields = [&[("authorization", credentials.as_str())], &navigation[..]].concat();
        for mut program in [browser.clone(), world.browser()] {
            let answer = program.send("GET", PAGE, &fields, "");
            assert_eq!(answer.status, 401, "{credentials}");
            assert!(answer.text().contains("<code>bad-api-key</code>"), "{credentials}");
            assert_eq!(answer.all("set-cookie").count(), 0, "{credentials}");
            let challenge = "Bearer realm=\"https://app.example.com\", error=\"invalid_token\"";
            assert_eq!(answer.header("www-authenticate"), Some(challenge), "{credentials}");
        }
    }
    assert_eq!(world.app.hits(), hits);
    browser.plant("app.example.com", "__Host-gatekeep", &key[3..]);
    assert_eq!(browser.fetch(PAGE).status, 401, "a key is no cookie");
    assert_eq!(by_key(&world.gate, PAGE, &key).status, 200, "control");
}

/// The gateway's own pages are for people: with a key one can neither look at the account, nor make
/// another key, nor end a session, whatever cookie comes along.
#[test]
fn a_key_opens_none_of_the_gateways_own_pages() {
    let world = World::new();
    let mut browser = octocat(&world);
    let key = make(&mut browser, &["app", "open"]);
    let bearer = format!("Bearer {key}");
    let token = token(&mut browser);
    let fields = [("csrf", token.as_str()), ("name", "more"), ("days", "7"), ("route", "app")];
    let pages = ["account", "start?rd=%2F", "sign_in", "sign_out", "callback", "handover"];
    let posts =
        ["api_keys", "sign_out", "end_session", "end_other_sessions", "sign_out_everywhere"];
    for mut program in [browser.clone(), world.browser()] {
        let mut send = |method, path, body: &str| {
            let url = format!("{APP}/.gatekeep/{path}");
            words(&program.send(method, &url, &[("authorization", &bearer)], body))
        };
        for page in pages {
            assert_eq!(send("GET", page, ""), refused(401, "bad-api-key"), "{page}");
        }
        for post in posts {
            assert_eq!(send("POST", post, &encode(&fields)), refused(401, "bad-api-key"), "{post}");
        }
        assert_eq!(send("GET", "nothing", ""), refused(404, "no-such-page"));
        assert_eq!(send("GET", "jwks.json", "").0, 200, "what is public stays so");
    }
    assert_eq!(browser.post(MAKE, &fields).status, 200, "control: the form was good");
}

// === How a key ends ===

/// Busy or idle, it lasts as long as was said, though the session that made it is long over.
#[test]
fn a_key_ends_when_its_owner_said() {
    let nodes = Nodes::new("session: { lifetime: 2h, idle: 30m }\n");
    let gate = &nodes.world.gate;
    let mut browser = nodes.signed_in("octocat");
    let key = make(&mut browser, &["app"]);
    nodes.advance(DAY * 29);
    assert_eq!(browser.fetch(PAGE).status, 401, "the session is over");
    assert_eq!(by_key(gate, PAGE, &key).status, 200, "unused for 29 days");
    nodes.advance(Duration::from_secs(86_399));
    assert_eq!(by_key(gate, PAGE, &key).status, 200);
    nodes.advance(Duration::from_secs(1));
    assert_eq!(words(&by_key(gate, PAGE, &key)), refused(401, "bad-api-key"));
    assert_eq!(words(&by_key(&nodes.other, PAGE, &key)), refused(401, "bad-api-key"));
}

#[test]
fn an_ended_key_is_refused_on_every_node() {
    let nodes = Nodes::new("");
    let mut browser = nodes.signed_in("octocat");
    let [key, other] = ["lost", "kept"].map(|name| shown(&ask(&mut browser, name, &["app"], "7")));
    let gates = [&nodes.world.gate, &nodes.other];
    let status = |gate: &Gate, key: &str| words(&by_key(gate, PAGE, key)).0;
    assert_eq!(gates.map(|gate| [&key, &other].map(|key| status(gate, key))), [[200; 2]; 2]);
    end(&mut browser, "lost");
    assert_eq!(words(&by_key(&nodes.world.gate, PAGE, &key)), refused(401, "bad-api-key"));
    eventually("the other node hears it", || status(&nodes.other, &key) == 401);
    assert_eq!(gates.map(|gate| [&key, &other].map(|key| status(gate, key))), [[401, 200]; 2]);
    assert_eq!(browser.fetch(PAGE).status, 200, "the session goes on");
}

/// Whoever withdraws the authorisation at GitHub has no keys any more.
#[test]
fn a_key_ends_when_the_authorisation_is_withdrawn() {
    let nodes = Nodes::new("");
    let key = make(&mut nodes.signed_in("octocat"), &["app"]);
    let asked = || words(&by_key(&nodes.world.gate, PAGE, &key));
    assert_eq!(asked().0, 200);
    nodes.world.github.revoke_grant("octocat");
    nodes.advance(Duration::from_secs(600));
    assert_eq!([asked(), asked()], [(); 2].map(|()| refused(401, "bad-api-key")));
    assert_eq!(nodes.rows(Table::Session), 0);
}

/// Signing out here and ending the other sessions leave keys alone; signing out everywhere does not,
/// and an operator's word does not.
#[test]
fn keys_end_with_everything_and_not_with_a_session() {
    let world = World::new();
    let status = |key: &str| by_key(&world.gate, PAGE, key).status;
    let mut browser = octocat(&world);
    let mut second = octocat(&world);
    let key = make(&mut browser, &["app"]);
    assert_eq!(press(&mut second, "end_other_sessions").status, 303);
    assert_eq!((browser.fetch(PAGE).status, status(&key)), (401, 200));
    assert_eq!(press(&mut second, "sign_out").status, 200);
    assert_eq!((second.fetch(PAGE).status, status(&key)), (401, 200), "and its tokens stay");
    let mut third = octocat(&world);
    let page = press(&mut third, "sign_out_everywhere");
    assert!(page.text().contains("Your API keys have ended, too."), "{}", page.text());
    assert_eq!((third.fetch(PAGE).status, status(&key)), (401, 401));
    let key = make(&mut octocat(&world), &["app"]);
    assert_eq!(status(&key), 200);
    let listed = world.gate.operate("GET", "/sessions?user=octocat", "").json();
    let entry = listed.as_array().expect("a list").iter().find(|entry| !entry["api_key"].is_null());
    let entry = entry.expect("the key is listed");
    assert_eq!(entry["api_key"], json!({ "name": "ci", "routes": ["app"] }));
    let one = json!({ "session": entry["key"] }).to_string();
    assert_eq!(world.gate.operate("POST", "/sessions/revoke", &one).status, 200);
    assert_eq!(status(&key), 401);
    let key = make(&mut octocat(&world), &["app"]);
    let all = json!({ "user": "octocat" }).to_string();
    assert_eq!(world.gate.operate("POST", "/sessions/revoke", &all).status, 200);
    assert_eq!(status(&key), 401);
}

// === Where a key never is ===

/// Neither the key, nor its text, nor its bits, in any row of any table.
#[test]
fn the_store_holds_no_key() {
    let nodes = Nodes::new("");
    let mut browser = nodes.signed_in("octocat");
    let key = make(&mut browser, &["app"]);
    assert_eq!(by_key(&nodes.world.gate, PAGE, &key).status, 200);
    let bits = URL_SAFE_NO_PAD.decode(&key[3..]).expect("base64url");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (mut dump, mut rows) = (Vec::new(), 0);
    for table in [Table::Session, Table::Ticket, Table::Account, Table::Credential] {
        for (name, row) in runtime.block_on(nodes.store.scan(table, None)).expect("it").rows {
            dump.extend([name, row].concat());
            rows += 1;
        }
    }
    let holds = |what: &[u8]| dump.windows(what.len()).any(|window| window == what);
    assert!(!holds(key.as_bytes()) && !holds(&key.as_bytes()[3..]) && !holds(&bits));
    assert!(!holds(b"gk_") && rows >= 6, "{rows} rows");
    let digest = nodes.world.gate.keys.api_key_digest(bits[..].try_into().expect("32 bytes"));
    assert!(holds(&digest), "control: it is known by its HMAC");
}

/// Whatever claims to be a key is taken away, on paths that are open to everybody, too.
#[test]
fn a_key_never_reaches_an_app() {
    let world = World::new();
    let key = make(&mut octocat(&world), &["app"]);
    let public = format!("{APP}/public/x");
    let seen = |url: &str, credentials: &str| {
        let before = world.app.hits();
        assert_eq!(with(&world.gate, url, credentials).status, 200, "{url} {credentials}");
        assert_eq!(world.app.hits(), before + 1, "{url} {credentials}");
        let seen = world.app.requests().pop().expect("reached");
        let all = seen.headers.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().concat();
        assert!(!all.contains("gk_"), "{all}");
        seen.all("authorization").iter().map(|&value| value.to_owned()).collect::<Vec<_>>()
    };
    let basic = STANDARD.encode(format!("octocat:{key}"));
    assert_eq!(seen(PAGE, &format!("Bearer {key}")), [""; 0]);
    assert_eq!(seen(PAGE, &format!("Basic {basic}")), [""; 0]);
    for credentials in [
        format!("Bearer {key}"),
        format!("token {key}"),
        format!("Basic {basic}"),
        format!("Basic {}", basic.trim_end_matches('=')),
        "Bearer gk_of-nobody".to_owned(),
        key.clone(),
        format!("Bearer {key}\r\nauthorization: Bearer {key}"),
    ] {
        assert_eq!(seen(&public, &credentials), [""; 0], "{credentials}");
    }
    for own in ["Bearer of-the-app", "Basic b2N0b2NhdDpodW50ZXIy", "token ghp_0123"] {
        assert_eq!(seen(&public, own), [own], "control: the app's own passes");
    }
}

/// What the app has to do with its visitor is no business of ours: the cookie decides as before.
#[test]
fn beside_the_apps_own_authorization_the_cookie_decides() {
    let world = World::new();
    let mut browser = octocat(&world);
    for own in ["Bearer of-the-app", "Basic b2N0b2NhdDpodW50ZXIy"] {
        let fields = [("authorization", own)];
        assert_eq!(browser.send("GET", PAGE, &fields, "").status, 200);
        let seen = world.app.requests().pop().expect("reached");
        assert_eq!(seen.all("x-forwarded-user"), ["octocat"]);
        assert_eq!(seen.all("authorization"), [own]);
        assert_eq!(words(&world.browser().send("GET", PAGE, &fields, "")).0, 401);
    }
}

// === The form ===

/// Another site, another person's token, a token for something else, a GET: none makes a key.
#[test]
fn a_form_that_is_not_ours_makes_no_key() {
    let nodes = Nodes::new("");
    let mut browser = nodes.signed_in("octocat");
    let (good, hers) = (token(&mut browser), token(&mut nodes.signed_in("mona")));
    let before = nodes.rows(Table::Session);
    let fields =
        |token: &str| encode(&[("csrf", token), ("name", "ci"), ("days", "7"), ("route", "app")]);
    let own = [("origin", APP), ("sec-fetch-site", "same-origin")];
    let places: [&[(&str, &str)]; 4] = [
        &[("origin", "https://evil.example")],
        &[("origin", OPEN)],
        &[("sec-fetch-site", "cross-site")],
        &[("origin", APP), ("sec-fetch-site", "same-site")],
    ];
    for place in places {
        assert_eq!(browser.send("POST", MAKE, place, &fields(&good)).status, 403, "{place:?}");
    }
    let page = account(&mut browser);
    let other = between(&page, "name=\"csrf\" value=\"", "\"").expect("the first form's");
    assert_ne!(other, good);
    for token in [&hers, other, "", "x", &good[1..]] {
        assert_eq!(browser.send("POST", MAKE, &own, &fields(token)).status, 403, "{token}");
    }
    for method in ["GET", "PUT"] {
        let url = format!("{MAKE}?{}", fields(&good));
        assert_eq!(browser.send(method, &url, &own, "").status, 404, "{method}");
    }
    assert_eq!(nodes.world.browser().send("POST", MAKE, &own, &fields(&good)).status, 401);
    assert_eq!(nodes.rows(Table::Session), before);
    assert_eq!(browser.send("POST", MAKE, &own, &fields(&good)).status, 200, "control");
    assert_eq!(nodes.rows(Table::Session), before + 1);
}

/// What is not filled in well makes no key, and says why. A route must be one that is open to its
/// owner: others are not even named on the page.
#[test]
fn a_form_that_is_not_filled_in_makes_no_key() {
    let world = World::new();
    let mut browser = octocat(&world);
    let name = "Give the API key a name, of 60 characters at most.";
    let days = "Choose how long the API key shall last.";
    let routes = "Choose the routes that the API key shall open, among those open to you.";
    let long = "x".repeat(61);
    let cases: [(&str, &[&str], &str, &str); 9] = [
        ("", &["app"], "7", name),
        ("  ", &["app"], "7", name),
        (&long, &["app"], "7", name),
        ("a\nb", &["app"], "7", name),
        ("ci", &["app"], "366", days),
        ("ci", &["app"], "", days),
        ("ci", &[], "7", routes),
        ("ci", &["nowhere"], "7", routes),
        ("ci", &["app", "App"], "7", routes),
    ];
    for (called, named, life, why) in cases {
        let page = ask(&mut browser, called, named, life);
        assert_eq!(page.status, 400, "{called} {named:?} {life}");
        assert!(page.text().contains(why), "{}", page.text());
        assert!(page.text().contains("<code>bad-form</code>"), "{}", page.text());
    }
    for (called, named, life) in
        [("ci", vec!["app", "app"], "365"), (&long[1..], vec!["open"], "7")]
    {
        assert_eq!(ask(&mut browser, called, &named, life).status, 200, "control");
    }
    let (mut stranger, page) = world.signed_in("stranger", &format!("{APP}/"));
    assert_eq!(page.status, 403, "signed in, and not admitted");
    assert_eq!(ask(&mut stranger, "ci", &["app"], "7").status, 400);
    assert!(!account(&mut stranger).contains("value=\"app\""));
    assert_eq!(ask(&mut stranger, "ci", &["open"], "7").status, 200, "control");
}

#[test]
fn a_name_writes_no_markup() {
    let world = World::new();
    let mut browser = octocat(&world);
    let name = "<script>alert('x')</script>\"><b>";
    let page = ask(&mut browser, name, &["app"], "7");
    for text in [page.text(), account(&mut browser)] {
        assert!(!text.contains("<script") && !text.contains("<b>"), "{text}");
        let escaped = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&gt;&lt;b&gt;";
        assert!(text.contains(escaped), "{text}");
    }
}

/// Fifty; one that ends, or expires, makes room. No sign-in takes a key's place.
#[test]
fn an_account_has_fifty_keys_at_most() {
    let nodes = Nodes::new("");
    let mut browser = nodes.signed_in("octocat");
    let (csrf, mut keys) = (token(&mut browser), Vec::new());
    for number in 0..50 {
        let name = format!("key {number}");
        let days = if number == 7 { "7" } else { "30" };
        let fields = [("csrf", csrf.as_str()), ("name", &name), ("days", days), ("route", "app")];
        keys.push(shown(&browser.post(MAKE, &fields)));
    }
    let rows = (nodes.rows(Table::Session), nodes.rows(Table::Ticket));
    let full = ask(&mut browser, "one more", &["app"], "7");
    assert_eq!(full.status, 400);
    let why = "You have 50 API keys, and there may be no more: end one first.";
    assert!(full.text().contains(why), "{}", full.text());
    assert_eq!((nodes.rows(Table::Session), nodes.rows(Table::Ticket)), rows, "nothing is left");
    assert_eq!(ask(&mut nodes.signed_in("mona"), "hers", &["app"], "7").status, 200, "control");
    end(&mut browser, "key 3");
    assert_eq!(by_key(&nodes.world.gate, PAGE, &keys[3]).status, 401);
    assert_eq!(ask(&mut browser, "one more", &["app"], "7").status, 200);
    assert_eq!(ask(&mut browser, "two more", &["app"], "7").status, 400);
    nodes.advance(DAY * 7);
    let mut later = nodes.signed_in("octocat");
    assert_eq!(ask(&mut later, "two more", &["app"], "7").status, 200, "two have expired");
    for (number, key) in keys.iter().enumerate().filter(|(number, _)| ![3, 7].contains(number)) {
        assert_eq!(by_key(&nodes.world.gate, PAGE, key).status, 200, "key {number}");
    }
}

// === The store gives no answer ===

/// Then no key is bad, and none is shown before it is whole: whatever was shown is good.
#[test]
fn without_a_store_no_key_is_bad_and_none_is_made() {
    let left = Arc::new(AtomicI64::new(i64::MAX));
    let of_store = left.clone();
    let world = World::build("", ROUTES, |clock| Arc::new(Fuse::new(Memory::new(clock), of_store)));
    let mut browser = octocat(&world);
    let key = make(&mut browser, &["app"]);
    left.store(0, Ordering::SeqCst);
    assert_eq!(words(&by_key(&world.gate, PAGE, &key)), refused(503, "store-unavailable"));
    left.store(i64::MAX, Ordering::SeqCst);
    assert_eq!(by_key(&world.gate, PAGE, &key).status, 200);
    let csrf = token(&mut browser);
    let fields = [("csrf", csrf.as_str()), ("name", "ci"), ("days", "7"), ("route", "app")];
    let needed = (0..20).find(|&answers| {
        left.store(answers, Ordering::SeqCst);
        let page = browser.post(MAKE, &fields);
        left.store(i64::MAX, Ordering::SeqCst);
        if page.status != 200 {
            assert_eq!(page.status, 503, "after {answers} answers");
            assert!(!page.text().contains("gk_"), "after {answers} answers");
            return false;
        }
        assert_eq!(by_key(&world.gate, PAGE, &shown(&page)).status, 200);
        true
    });
    // The tokens looked up, which are kept for long already; session, ticket; the account looked up
    // and written.
    assert_eq!(needed, Some(5));
}
