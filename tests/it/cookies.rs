//! Cookies: planted, doubled, carried to another host, guessed, and what the app sees and sets.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::support::World;
use crate::support::browser::{Browser, join};
use crate::support::http::Response;

const APP: &str = "app.example.com";
const AUTH: &str = "auth.example.com";
const SESSION: &str = "__Host-gatekeep";

/// The most session cookies that are looked at in one request.
const MOST: usize = 8;

/// The sessions of a person at the app's host and at the gateway's own.
fn sessions(world: &World, person: &str) -> [String; 2] {
    let (browser, page) = world.signed_in(person, &format!("https://{APP}/"));
    assert_eq!(page.status, 200, "{}", page.text());
    [APP, AUTH].map(|host| browser.session(host).expect("signed in"))
}

/// Asks with these cookie fields: the status, and for whom the app answered.
fn ask(world: &World, host: &str, fields: &[String]) -> (u16, Option<String>) {
    let before = world.app.hits();
    let cookies = fields.iter().flat_map(|field| ["cookie: ", field, "\r\n"]).collect::<String>();
    let request = format!(
        "GET /x HTTP/1.1\r\nhost: {host}\r\naccept: application/json\r\n{cookies}\
         connection: close\r\n\r\n"
    );
    let answer = world.gate.raw(request.as_bytes()).expect("an answer");
    let user = (world.app.hits() > before).then(|| {
        let seen = world.app.requests().pop().expect("the app was reached");
        seen.header("x-forwarded-user").unwrap_or("nobody").to_owned()
    });
    (answer.status, user)
}

fn session_field(values: &[&str]) -> String {
    values.iter().map(|value| format!("{SESSION}={value}")).collect::<Vec<_>>().join("; ")
}

/// The same cookies in one field, and in a field each, as HTTP/2 sends them.
fn ask_both_ways(world: &World, values: &[&str]) -> (u16, Option<String>) {
    let each: Vec<_> = values.iter().map(|value| session_field(&[value])).collect();
    let joined = ask(world, APP, &[session_field(values)]);
    assert_eq!(ask(world, APP, &each), joined, "one field and several differ: {values:?}");
    joined
}

fn let_in(user: &str) -> (u16, Option<String>) {
    (200, Some(user.to_owned()))
}

const REFUSED: (u16, Option<String>) = (401, None);

/// Something in the form of a session id that is none.
fn garbage(number: usize) -> String {
    URL_SAFE_NO_PAD.encode([u8::try_from(number).expect("small"); 32])
}

/// Cookie tossing: a neighbour host plants its own good session beside the visitor's, so that the
/// visitor works, unknowing, in the attacker's account. Which of two is meant nobody can say.
#[test]
fn two_good_sessions_are_not_believed() {
    let world = World::new();
    let [octocat, _] = sessions(&world, "octocat");
    let [mona, _] = sessions(&world, "mona");
    assert_eq!(ask_both_ways(&world, &[&octocat]), let_in("octocat"));
    assert_eq!(ask_both_ways(&world, &[&mona]), let_in("mona"));
    for between in 0..=MOST - 2 {
        let bad: Vec<_> = (0..between).map(garbage).collect();
        let bad: Vec<_> = bad.iter().map(String::as_str).collect();
        for (first, second) in [(&octocat, &mona), (&mona, &octocat)] {
            let values = [&[first.as_str()], &bad[..], &[second.as_str()]].concat();
            assert_eq!(ask_both_ways(&world, &values), REFUSED, "{between} between");
            let values = [&bad[..], &[first.as_str(), second.as_str()]].concat();
            assert_eq!(ask_both_ways(&world, &values), REFUSED, "{between} before");
        }
    }
    assert_eq!(ask_both_ways(&world, &[&octocat, &octocat, &mona]), REFUSED);
}

/// What a neighbour plants without having a session must not lock the visitor out.
#[test]
fn one_good_session_among_garbage_is_the_visitor_s() {
    let world = World::new();
    let [octocat, at_auth] = sessions(&world, "octocat");
    for count in 2..=MOST {
        for place in 0..count {
            let mut values: Vec<_> = (0..count).map(garbage).collect();
            values[place].clone_from(&octocat);
            let values: Vec<_> = values.iter().map(String::as_str).collect();
            assert_eq!(ask_both_ways(&world, &values), let_in("octocat"), "{place} of {count}");
        }
    }
    for odd in ["", "x", "\"", &at_auth, &octocat] {
        assert_eq!(ask_both_ways(&world, &[odd, &octocat]), let_in("octocat"), "{odd}");
    }
}

/// Each candidate costs a look-up; a request with a hundred must not buy a hundred.
#[test]
fn too_many_session_cookies_are_refused() {
    let world = World::new();
    let [octocat, _] = sessions(&world, "octocat");
    for count in MOST + 1..=50 {
        for place in [0, count - 1] {
            let mut values: Vec<_> = (0..count).map(garbage).collect();
            values[place].clone_from(&octocat);
            let values: Vec<_> = values.iter().map(String::as_str).collect();
            assert_eq!(ask_both_ways(&world, &values), REFUSED, "{place} of {count}");
        }
    }
    assert_eq!(ask_both_ways(&world, &[&octocat]), let_in("octocat"), "and nothing is broken");
}

/// A cookie in another encoding, which an app may set, hides the session beside it from a parser
/// that wants the whole field to be UTF-8: the visitor signs in for ever.
#[test]
fn a_cookie_that_is_no_text_hides_no_other() {
    let world = World::new();
    let [octocat, _] = sessions(&world, "octocat");
    let head = format!("GET /x HTTP/1.1\r\nhost: {APP}\r\nconnection: close\r\ncookie: name=");
    let tail = format!("; {SESSION}={octocat}\r\n\r\n");
    let answer = world.gate.raw(&[head.as_bytes(), b"J\xfcrgen", tail.as_bytes()].concat());
    assert_eq!(answer.map(|answer| answer.status), Some(200));
}

/// The "cookie sandwich" and the `__Host-` bypasses of 2024 and 2025: a lenient parser finds our
/// name where a browser has not put it.
#[test]
fn a_session_is_found_under_its_very_name_alone() {
    let world = World::new();
    let [octocat, _] = sessions(&world, "octocat");
    for name in [
        "__host-gatekeep",
        "__HOST-GATEKEEP",
        "__Secure-gatekeep",
        "gatekeep",
        "\u{2000}__Host-gatekeep",
        "\u{a0}__Host-gatekeep",
        "\u{feff}__Host-gatekeep",
        "__Host-gatekeep\u{a0}",
        "\"__Host-gatekeep\"",
        "=__Host-gatekeep",
        "x__Host-gatekeep",
        "%5f%5fHost-gatekeep",
        "__Host-gatekeep-login-x",
    ] {
        assert_eq!(ask(&world, APP, &[format!("{name}={octocat}")]), REFUSED, "{name}");
    }
    for value in [format!("\"{octocat}\""), format!("{octocat}="), format!("{octocat}, x")] {
        assert_eq!(ask(&world, APP, &[session_field(&[&value])]), REFUSED, "{value}");
    }
    for field in [format!("{SESSION}={octocat}"), format!("a=\"; {SESSION} =\t{octocat} ;b=\"")] {
        assert_eq!(ask(&world, APP, &[field]), let_in("octocat"));
    }
}

/// An app that gets the session cookie can act as its visitor at every other path, and so can
/// whoever reads the app's logs.
#[test]
fn our_cookies_never_reach_the_app_and_all_others_do() {
    let world = World::new();
    let [octocat, _] = sessions(&world, "octocat");
    let good = session_field(&[&octocat]);
    for ours in [
        "__Host-gatekeep=x",
        "__host-gatekeep=x",
        "__HOST-GATEKEEP=x",
        "__Secure-gatekeep=x",
        "gatekeep=x",
        "GateKeep=x",
        " gatekeep\t=x",
        "gatekeep",
        "gatekeep=",
        "__Host-gatekeep-trail=1",
        "gatekeep-trail=1",
        "__Host-gatekeep-login-abc=x",
        "GATEKEEP-LOGIN-abc=x",
    ] {
        let fields = [format!("theme=dark; {good};{ours};a=b=c"), format!("{ours}; gatekeeper=1")];
        assert_eq!(ask(&world, APP, &fields), let_in("octocat"), "{ours}");
        let seen = world.app.requests().pop().expect("reached");
        assert_eq!(seen.all("cookie"), ["theme=dark; a=b=c; gatekeeper=1"], "{ours}");
    }
    assert_eq!(ask(&world, APP, &[good]), let_in("octocat"));
    let seen = world.app.requests().pop().expect("reached");
    assert_eq!(seen.all("cookie"), [""; 0], "nothing is left, and so is no field");
}

/// An app, or whoever found a hole in it, plants a session of its own into the visitor's browser.
#[test]
fn an_app_sets_its_own_cookies_and_none_of_ours() {
    let world = World::new();
    let (mut browser, _) = world.signed_in("octocat", &format!("https://{APP}/"));
    let before = browser.cookies(APP);
    let names = [
        "theme",
        "__Host-gatekeep",
        "__host-gatekeep",
        "__Secure-gatekeep",
        "gatekeep",
        "GATEKEEP",
        "lang",
        "__Host-gatekeep-trail",
        "__Host-gatekeep-login-abc",
        "gatekeep-login-abc",
        "gatekeeper",
    ];
    let pairs: Vec<_> = names.iter().map(|name| format!("name={name}&value=evil")).collect();
    let answer = browser.fetch(&format!("https://{APP}/set-cookie?{}", pairs.join("&")));
    assert_eq!(answer.status, 200);
    let set: Vec<_> = answer.all("set-cookie").collect();
    assert_eq!(set, ["theme=evil; Path=/", "lang=evil; Path=/", "gatekeeper=evil; Path=/"]);
    assert_eq!(browser.session(APP), before.get(SESSION).cloned());
}

/// Session fixation: the attacker plants an id and waits for the victim to sign in with it.
/// oauth2-proxy keeps the id of the request's cookie.
#[test]
fn a_planted_id_opens_nothing_after_sign_in() {
    let world = World::new();
    let mut victim = world.browser();
    let planted = garbage(7);
    for host in [APP, AUTH] {
        victim.plant(host, SESSION, &planted);
    }
    let page = world.sign_in(&mut victim, "octocat", &format!("https://{APP}/"));
    assert_eq!(page.status, 200, "{}", page.text());
    for host in [APP, AUTH] {
        assert_ne!(victim.session(host), Some(planted.clone()), "{host}");
        assert_eq!(ask(&world, host, &[session_field(&[&planted])]), REFUSED, "{host}");
        let own = victim.session(host).expect("signed in");
        assert_eq!(ask(&world, host, &[session_field(&[&own])]), let_in("octocat"), "{host}");
    }
}

/// The attacker plants a good session of the attacker's own; were it upgraded at the victim's
/// sign-in, its cookie would open the victim's session.
#[test]
fn a_planted_session_is_not_upgraded_at_sign_in() {
    let world = World::new();
    let [_, mona] = sessions(&world, "mona");
    let mut victim = world.browser();
    victim.plant(AUTH, SESSION, &mona);
    let start = format!("https://{AUTH}/.gatekeep/start?rd=/x&prompt=select_account");
    let authorize = victim.get(&start).location().to_owned();
    let page = victim.follow(&world.github.approve(&authorize, "octocat")).1;
    assert_eq!(page.status, 200, "{}", page.text());
    let own = victim.session(AUTH).expect("signed in");
    assert_ne!(own, mona);
    assert_eq!(ask(&world, AUTH, &[session_field(&[&own])]), let_in("octocat"));
    assert_eq!(ask(&world, AUTH, &[session_field(&[&mona])]), REFUSED, "it was ended");
}

/// A cookie stolen by one app must not open another: every host has an id of its own.
#[test]
fn a_session_cookie_opens_its_own_host_alone() {
    let world = World::new();
    let [at_app, at_auth] = sessions(&world, "octocat");
    assert_eq!(ask(&world, APP, &[session_field(&[&at_auth])]), REFUSED);
    assert_eq!(ask(&world, AUTH, &[session_field(&[&at_app])]), REFUSED);
    assert_eq!(ask(&world, APP, &[session_field(&[&at_app])]), let_in("octocat"));
    assert_eq!(ask(&world, AUTH, &[session_field(&[&at_auth])]), let_in("octocat"));
}

/// Guessing from a known id: not one of its neighbours opens anything, nor any other text.
#[test]
fn a_changed_session_cookie_opens_nothing() {
    let world = World::new();
    let [octocat, _] = sessions(&world, "octocat");
    let bytes = URL_SAFE_NO_PAD.decode(&octocat).expect("base64url");
    assert_eq!(bytes.len(), 32);
    for bit in 0..256 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let changed = URL_SAFE_NO_PAD.encode(changed);
        assert_eq!(ask(&world, APP, &[session_field(&[&changed])]), REFUSED, "bit {bit}");
    }
    // The last character holds four bits of the id and two that must be zero.
    let (start, last) = octocat.split_at(42);
    for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars() {
        if !last.starts_with(other) {
            let changed = format!("{start}{other}");
            assert_eq!(ask(&world, APP, &[session_field(&[&changed])]), REFUSED, "{other}");
        }
    }
    for changed in [start.to_owned(), format!("{octocat}A"), octocat.to_ascii_uppercase()] {
        assert_eq!(ask(&world, APP, &[session_field(&[&changed])]), REFUSED, "{changed}");
    }
    assert_eq!(ask(&world, APP, &[session_field(&[&octocat])]), let_in("octocat"));
}

/// Every answer on the way from the first page to the last after sign-out.
fn answers_of_a_visit(world: &World) -> Vec<Response> {
    let (mut browser, mut answers) = (world.browser(), Vec::new());
    let mut url = format!("https://{APP}/deep?x=1");
    for _ in 0..10 {
        let answer = browser.get(&url);
        answers.push(answer.clone());
        if answer.status != 303 {
            break;
        }
        url = join(&url, answer.location());
        if url.starts_with(world.github.url()) {
            url = world.github.approve(&url, "octocat");
        }
    }
    assert_eq!(answers.last().map(|answer| answer.status), Some(200), "the visit succeeds");
    answers.push(sign_out(&mut browser));
    answers
}

fn sign_out(browser: &mut Browser) -> Response {
    let url = format!("https://{APP}/.gatekeep/sign_out");
    let page = browser.get(&url).text();
    let token = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    browser.post(&url, &[("csrf", token.expect("a form"))])
}

/// What a script, a neighbour host, plain HTTP or another site could use.
#[test]
fn every_cookie_of_ours_is_bound_to_its_host_and_out_of_reach() {
    let world = World::new();
    let answers = answers_of_a_visit(&world);
    let cookies: Vec<_> = answers.iter().flat_map(|answer| answer.all("set-cookie")).collect();
    let mut kinds: Vec<_> = cookies.iter().map(|cookie| kind_of_good(cookie)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let sets = |kind| [(kind, false), (kind, true)];
    assert_eq!(kinds, [sets("login"), sets("session"), sets("trail")].concat());
}

/// Checks a cookie; its kind, and whether it is set (or cleared).
fn kind_of_good(cookie: &str) -> (&'static str, bool) {
    let (pair, attributes) = cookie.split_once("; ").expect("attributes");
    let (name, value) = pair.split_once('=').expect("a name");
    let mut attributes: Vec<_> = attributes.split("; ").collect();
    attributes.sort_unstable();
    let [http_only, max_age, path, same_site, secure] = attributes[..] else {
        panic!("{cookie} has other attributes");
    };
    assert_eq!(
        [http_only, path, same_site, secure],
        ["HttpOnly", "Path=/", "SameSite=Lax", "Secure"]
    );
    let age: u32 = max_age.strip_prefix("Max-Age=").and_then(|age| age.parse().ok()).expect(cookie);
    assert_eq!(age == 0, value.is_empty(), "{cookie}");
    let kind = match name {
        SESSION => "session",
        "__Host-gatekeep-trail" => "trail",
        _ if name.starts_with("__Host-gatekeep-login-") => "login",
        _ => panic!("{cookie} is none of ours"),
    };
    let most = if kind == "login" { 4096 } else { 100 };
    assert!(name.len() + value.len() < most, "{cookie}");
    (kind, age > 0)
}
