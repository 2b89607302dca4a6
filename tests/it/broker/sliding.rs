//! The server's token goes on for as long as it is used: ahead of its end another one follows it, and
//! nothing that is under way is lost by that.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const OFFICE: &str = "https://apps.example.com/trackeep/cb";

/// A path that needs no GitHub.
const INFO: &str = "/api/v1/github/app/info";

const MINUTE: Duration = Duration::from_secs(60);

/// A third of an hour is left: the old token still works, the new one as well, and five minutes after
/// the new one was used the old one is over. The new one outlives what was the end.
#[test]
fn a_token_is_followed_by_another_ahead_of_its_end() {
    let world = world();
    let (_, first) = signed_in_at(&world, "octocat", OFFICE);
    world.gate.clock.advance(MINUTE * 40);
    assert_eq!(next(&ask(&world, INFO, &first)), None, "two thirds of its life are not over");
    world.gate.clock.advance(MINUTE);
    let second = next(&ask(&world, INFO, &first)).expect("another token");
    assert_ne!(second, first);
    assert_eq!(next(&ask(&world, INFO, &first)), Some(second.clone()), "always the same");
    assert_eq!(next(&ask(&world, INFO, &second)), None);
    world.gate.clock.advance(MINUTE * 4);
    assert!(is_good(&world, &first), "an answer that came late brought it back");
    world.gate.clock.advance(MINUTE);
    assert_eq!([is_good(&world, &first), is_good(&world, &second)], [false, true]);
    world.gate.clock.advance(MINUTE * 50);
    let third = next(&ask(&world, INFO, &second)).expect("another token");
    assert!(is_good(&world, &third));
}

/// The answer with the new token was lost: the old one goes on until its own end, and is offered the
/// same one again.
#[test]
fn a_new_token_that_never_arrived_ends_nothing() {
    let world = world();
    let (_, token) = signed_in_at(&world, "octocat", OFFICE);
    world.gate.clock.advance(MINUTE * 45);
    let lost = next(&ask(&world, INFO, &token)).expect("another token");
    world.gate.clock.advance(MINUTE * 14);
    let again = next(&ask(&world, INFO, &token)).expect("another token");
    assert_eq!(again, lost);
    world.gate.clock.advance(MINUTE);
    assert_eq!([is_good(&world, &token), is_good(&world, &again)], [false, true]);
}

#[test]
fn a_token_that_is_not_used_ends() {
    let world = world();
    let (_, token) = signed_in(&world, "octocat");
    world.gate.clock.advance(DAY * 59);
    let answer = ask(&world, INFO, &token);
    assert_eq!((answer.status, next(&answer)), (200, None));
    world.gate.clock.advance(DAY * 31);
    assert_eq!(refusal(&ask(&world, INFO, &token)).0, 401);
}

/// Thirty requests at a time, each with what was stored when it began, and whatever answer comes last is
/// what is stored, as the instance's server does it; over several tokens. None is refused.
#[test]
fn requests_at_once_while_tokens_change_are_all_answered() {
    let world = world();
    let (_, token) = signed_in_at(&world, "octocat", OFFICE);
    let stored = Mutex::new(token);
    let (answered, changed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    for _ in 0..4 {
        world.gate.clock.advance(MINUTE * 45);
        std::thread::scope(|scope| {
            for _ in 0..30 {
                scope.spawn(|| {
                    let token = stored.lock().expect("nobody panics").clone();
                    let answer = ask(&world, INFO, &token);
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    answered.fetch_add(1, Ordering::SeqCst);
                    if let Some(next) = next(&answer) {
                        *stored.lock().expect("nobody panics") = next;
                        changed.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
    }
    assert_eq!(answered.load(Ordering::SeqCst), 120);
    assert!(changed.load(Ordering::SeqCst) >= 4, "control: tokens did change");
}

/// Whatever ends a session ends every token of it, the one that was told a moment ago as well.
#[test]
fn what_ends_the_session_ends_all_of_its_tokens() {
    let world = world();
    let (mut browser, first) = signed_in_at(&world, "octocat", OFFICE);
    world.gate.clock.advance(MINUTE * 45);
    let second = next(&ask(&world, INFO, &first)).expect("another token");
    end(&mut browser, "office");
    assert_eq!([is_good(&world, &first), is_good(&world, &second)], [false; 2]);
    // And by signing out everywhere.
    let code = carried(&world, &mut browser, "octocat", &begin(OFFICE));
    let code = parameter(&code, "token").expect("a code");
    let third = decoded::<Validated>(&exchange(&world, &code)).token;
    assert!(is_good(&world, &third), "control");
    let page = browser.get(&format!("{SERVICE}/.gatekeep/account")).text();
    let form = between(&page, "action=\"/.gatekeep/sign_out_everywhere\"", "</form>");
    let csrf = between(form.expect("a form"), "name=\"csrf\" value=\"", "\"").expect("a token");
    let url = format!("{SERVICE}/.gatekeep/sign_out_everywhere");
    assert_eq!(browser.post(&url, &[("csrf", csrf)]).status, 200);
    assert!(!is_good(&world, &third));
}

/// The server's token opens neither a route nor a page of ours, and an API key nothing of the broker's.
#[test]
fn a_token_is_of_no_use_elsewhere() {
    let world = world();
    let (_, token) = signed_in(&world, "octocat");
    let bearer = format!("Bearer {token}");
    for url in [
        "https://app.example.com/",
        "https://app.example.com/github/user",
        "https://auth.example.com/.gatekeep/account",
        "https://hq.example.com/.gatekeep/account",
        "https://hq.example.com/api/v1/user/me",
    ] {
        let headers = [("authorization", bearer.as_str())];
        assert_eq!(server(&world).send("GET", url, &headers, "").status, 401, "{url}");
    }
    let as_key = token.replace("gkc_", "gk_");
    assert!(!is_good(&world, &as_key));
    let headers = [("authorization", format!("Bearer {as_key}"))];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let answer = server(&world).send("GET", "https://app.example.com/github/user", &headers, "");
    assert_eq!(answer.status, 401);
    assert!(is_good(&world, &token), "control");
}
