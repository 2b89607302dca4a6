//! The present contract: a code by the browser, exchanged for a token by the server.

use std::sync::atomic::{AtomicUsize, Ordering};

use gatekeep::clock::Clock;
use serde_json::json;

use super::*;
use crate::support::eventually;

/// A first visit: GitHub, then the instance, whose server learns who it is and may ask on.
#[test]
fn a_visitor_signs_in_at_an_instance() {
    let world = world();
    let mut browser = world.browser();
    let code = code_for(&world, &mut browser, "octocat");
    assert_eq!(code.len(), 43);
    assert!(code.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{code}");
    let answer = exchange(&world, &code);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(next(&answer), None, "it is not read here");
    let Validated { token, user } = decoded(&answer);
    assert_ne!(token, code);
    let web = world.github.web_url();
    let octocat = User {
        id: 583_231,
        github_id: 583_231,
        username: "octocat".into(),
        email: "octocat@github.example".into(),
        name: "The Octocat".into(),
        avatar_url: format!("{web}/avatars/u/583231"),
    };
    assert_eq!(user, octocat);
    assert_eq!(ask(&world, "/api/v1/github/repos", &token).status, 200);
    let done = r#"gatekeep_broker_requests_total{operation="exchange",result="done"}"#;
    eventually("it is counted", || world.gate.metric(done) == Some(1.0));
}

/// Who is signed in at the gateway is sent on at once, and to no page that keeps the code.
#[test]
fn who_is_signed_in_is_sent_on_without_github() {
    let world = world();
    let (mut browser, _) = signed_in(&world, "octocat");
    let asked = world.github.calls("GET /login/oauth/authorize");
    let sent = browser.get(&begin(&format!("{CALLBACK}?next=%2Fa%3Fb&c")));
    assert_eq!(sent.status, 303);
    assert!(sent.location().starts_with(&format!("{CALLBACK}?next=%2Fa%3Fb&c&token=")));
    for (field, value) in [("cache-control", "no-store"), ("referrer-policy", "no-referrer")] {
        assert_eq!(sent.header(field), Some(value));
    }
    assert_eq!(world.github.calls("GET /login/oauth/authorize"), asked);
    let code = parameter(sent.location(), "token").expect("a code");
    assert_eq!(exchange(&world, &code).status, 200);
}

/// A target that names no path is where its contract waits for browsers, without a doubled slash.
#[test]
fn a_bare_origin_means_the_usual_path() {
    let world = world();
    let (mut browser, _) = signed_in(&world, "octocat");
    for bare in ["https://trackeep.example.com", "https://trackeep.example.com/"] {
        let sent = browser.get(&begin(bare));
        assert!(sent.location().starts_with(&format!("{CALLBACK}?token=")), "{}", sent.location());
    }
}

/// The policy is the instance's own, and what it says to the browser tells who would be let in.
#[test]
fn whom_an_instance_does_not_admit_gets_nothing() {
    let world = world();
    let mut browser = world.browser();
    let authorize = world.authorize_url(&mut browser, &begin(CALLBACK));
    let callback = world.github.approve(&authorize, "stranger");
    let (end, page) = browser.follow(&callback);
    assert_eq!((end.as_str(), page.status), (begin(CALLBACK).as_str(), 403));
    assert!(page.text().contains("Open to members of"), "{}", page.text());
    // The other instance takes anyone but mona.
    let office = begin("https://apps.example.com/trackeep/cb");
    assert_eq!(browser.get(&office).status, 303, "control");
    let (mut mona, _) = signed_in(&world, "mona");
    assert_eq!(mona.get(&office).status, 403);
}

#[test]
fn a_code_lasts_a_minute_and_no_longer_than_its_sign_in() {
    let world = world();
    let mut browser = world.browser();
    let refused = |code: &str| refusal(&exchange(&world, code));
    let bad = (401, "The code is unknown, or older than a minute: sign in again.".to_owned());
    for guess in ["", "x", &"A".repeat(43), &"A".repeat(5000)] {
        assert_eq!(refused(guess), bad, "{guess}");
    }
    let late = code_for(&world, &mut browser, "octocat");
    world.gate.clock.advance(Duration::from_secs(60));
    assert_eq!(refused(&late), bad);
    let signed_out = code_for(&world, &mut browser, "octocat");
    let page = browser.get(&format!("{SERVICE}/.gatekeep/sign_out")).text();
    let token = between(&page, "name=\"csrf\" value=\"", "\"").expect("a token").to_owned();
    browser.post(&format!("{SERVICE}/.gatekeep/sign_out"), &[("csrf", &token)]);
    assert_eq!(refused(&signed_out).0, 401);
    let good = code_for(&world, &mut browser, "octocat");
    assert_eq!(exchange(&world, &good).status, 200, "control");
}

/// Between the redirect and the exchange somebody leaves the organisation.
#[test]
fn the_policy_is_asked_again_at_the_exchange_and_at_every_use() {
    let world = world();
    let (mut browser, token) = signed_in(&world, "octocat");
    assert!(is_good(&world, &token), "control");
    let code = code_for(&world, &mut browser, "octocat");
    world.github.remove_from_org("octocat", "acme");
    // Facts count for ten minutes; another sign-in learns better at once.
    world.signed_in("octocat", &begin("https://apps.example.com/trackeep/cb"));
    assert_eq!(refusal(&exchange(&world, &code)).0, 403);
    assert_eq!(refusal(&ask(&world, "/api/v1/github/app/info", &token)).0, 403);
}

#[test]
fn what_is_no_question_is_answered_in_json() {
    let world = world();
    for body in ["", "{}", "[]", "token=x", r#"{"token":7}"#, r#"{"Token":"x"}"#] {
        let answer = post(&world, "/api/v1/auth/control/callback", body);
        assert_eq!(refusal(&answer).0, 400, "{body}");
    }
    let not_found = (404, "not found".to_owned());
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/api/v1/instances"),
        ("GET", "/dashboard/users"),
        ("GET", "/learning-paths"),
        ("GET", "/api/v1/auth/control/callback"),
        ("POST", "/auth/github"),
        ("POST", "/api/v1/user/me"),
        ("POST", "/api/v1/emails/send"),
        ("DELETE", "/api/v1/github/repos"),
        ("GET", "/auth/github/callback"),
        ("GET", "/.gatekeepers"),
    ] {
        // As a browser would: no page, and no way to a sign-in.
        let headers = [("accept", "text/html"), ("sec-fetch-mode", "navigate")];
        let answer = world.browser().send(method, &format!("{SERVICE}{path}"), &headers, "");
        assert_eq!(refusal(&answer), not_found, "{method} {path}");
    }
    let by_mail = server(&world).send("GET", &format!("{SERVICE}/auth/email"), &PLAIN[..1], "");
    assert_eq!(refusal(&by_mail).0, 410);
    let bare = |token: &str| refusal(&ask(&world, "/api/v1/github/repos", token)).0;
    assert_eq!([bare(""), bare("x"), bare(&format!("gkc_{}", "A".repeat(43)))], [401; 3]);
}

#[test]
fn the_service_says_that_it_is_there() {
    let world = world();
    let health = server(&world).send("GET", &format!("{SERVICE}/health"), &[], "");
    let now = world.gate.clock.now().unix();
    let version = env!("CARGO_PKG_VERSION");
    let said = json!({ "status": "ok", "service": "gatekeep", "version": version, "time": now });
    assert_eq!((health.status, health.json()), (200, said));
}

/// Two had the code, and nobody knows which of them it was meant for: one gets an answer, and what that
/// one got is over.
#[test]
fn a_code_works_once_of_a_hundred_at_once_and_what_it_gave_ends() {
    let world = world();
    let mut browser = world.browser();
    let code = code_for(&world, &mut browser, "octocat");
    let good = AtomicUsize::new(0);
    let tokens = std::sync::Mutex::new(vec![]);
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                let answer = exchange(&world, &code);
                if answer.status == 200 {
                    good.fetch_add(1, Ordering::SeqCst);
                    tokens.lock().expect("nobody panics").push(decoded::<Validated>(&answer).token);
                } else {
                    assert_eq!(refusal(&answer).0, 401);
                }
            });
        }
    });
    assert_eq!(good.load(Ordering::SeqCst), 1);
    let tokens = tokens.into_inner().expect("nobody panicked");
    assert!(!is_good(&world, &tokens[0]), "two had the code");
    let (_, token) = signed_in(&world, "octocat");
    assert!(is_good(&world, &token), "control");
}

/// The account page names each instance, and ends what it holds at once.
#[test]
fn what_an_instance_holds_is_listed_and_ended() {
    let world = world();
    let (mut browser, token) = signed_in(&world, "octocat");
    let page = browser.get(&format!("{SERVICE}/.gatekeep/account")).text();
    assert!(page.contains("Apps that you signed in to from here"), "{page}");
    assert!(!page.contains(&token));
    let (_, other) = signed_in_at(&world, "octocat", "http://localhost:8080/cb");
    end(&mut browser, "home");
    assert_eq!([is_good(&world, &token), is_good(&world, &other)], [false, true]);
    end(&mut browser, "office");
    assert!(!is_good(&world, &other));
}

/// An instance keeps one token for each of its users, so old ones give way.
#[test]
fn ten_sign_ins_at_an_instance_are_kept() {
    let world = world();
    let (mut browser, first) = signed_in(&world, "octocat");
    let again = |browser: &mut Browser| {
        let code = code_for(&world, browser, "octocat");
        decoded::<Validated>(&exchange(&world, &code)).token
    };
    let second = again(&mut browser);
    (0..8).for_each(|_| drop(again(&mut browser)));
    assert!(is_good(&world, &first));
    again(&mut browser);
    assert_eq!([is_good(&world, &first), is_good(&world, &second)], [false, true]);
}
