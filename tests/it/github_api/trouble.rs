//! GitHub slow, down or out of order: what is held helps for a while, whoever has lost the right to it
//! gets nothing, and no trouble looks like an answer.

use std::time::Duration;

use gatekeep::simulator::{Presentation, Role, Trouble};
use serde_json::json;

use super::{at, entitled, world, write};
use crate::support::browser::Browser;
use crate::support::http::{Connection, Response};
use crate::support::{World, eventually};

const USER: &str = "/users/mona";
const ROCKET: &str = "/repos/acme/rocket";
const SECOND: Duration = Duration::from_secs(1);

fn bad_gateway() -> Trouble {
    Trouble::answer(502, "text/html", "<b>oops</b>")
}

fn field<'r>(answer: &'r Response, name: &str) -> &'r str {
    answer.header(name).unwrap_or_default()
}

/// What an answer says of its age: `Cache-Status`, `X-Gatekeep-Stale` and `Age`.
fn account(answer: &Response) -> [&str; 3] {
    ["cache-status", "x-gatekeep-stale", "age"].map(|name| field(answer, name))
}

fn asking(browser: &mut Browser, path: &str, wishes: &str) -> Response {
    let headers = [("accept", "application/json"), ("cache-control", wishes)];
    browser.send("GET", &at(path), &headers, "")
}

#[test]
fn what_is_held_stands_in_for_github_s_trouble() {
    let (world, mut browser) = world();
    let good = browser.fetch(&at(USER));
    assert_eq!(good.status, 200);
    // GitHub has more to say than that nothing has changed.
    world.github.change("mona", |mona| mona.name = Some("Mona L.".to_owned()));
    world.gate.clock.advance(7 * SECOND);
    for (trouble, cache_status) in [
        (bad_gateway(), "gatekeep; fwd=stale; fwd-status=502; detail=stale-if-error"),
        (
            Trouble::answer(503, "text/plain", ""),
            "gatekeep; fwd=stale; fwd-status=503; detail=stale-if-error",
        ),
        (
            Trouble::answer(500, "text/plain", ""),
            "gatekeep; fwd=stale; fwd-status=500; detail=stale-if-error",
        ),
        (Trouble::Refuse, "gatekeep; fwd=stale; detail=stale-if-error"),
        (Trouble::Swallow, "gatekeep; fwd=stale; detail=stale-if-error"),
        (Trouble::Cut { after: 10 }, "gatekeep; fwd=stale; detail=stale-if-error"),
    ] {
        world.github.knobs().at(USER, trouble);
        let stale = browser.fetch(&at(USER));
        assert_eq!((stale.status, &stale.body), (200, &good.body), "{cache_status}");
        assert_eq!(account(&stale), [cache_status, "upstream-error", "7"]);
        assert_eq!(stale.header("etag"), good.header("etag"));
        assert!(stale.header("x-ratelimit-remaining").is_some());
        world.github.knobs().off(USER);
        // What GitHub says itself counts again at once.
        let fine = browser.fetch(&at("/users/hubot"));
        assert_eq!((fine.status, account(&fine)[1]), (200, ""));
    }
}

/// Operators read in the log what was said to the visitor, and not that the visitor was let in.
#[test]
fn the_log_says_that_github_is_out_of_reach() {
    let (world, mut browser) = entitled();
    let issues = "/repos/octocat/hello-world/issues";
    let is_logged = |path: &str, status: u16, reason: &str| {
        let marks = [format!("path=/github{path} reason={reason} "), format!(" status={status} ")];
        let is_it = |line: &str| marks.iter().all(|mark| line.contains(mark));
        eventually(&marks[0], || world.gate.access_log().lines().last().is_some_and(is_it));
    };
    let paths = [USER, "/users/hubot", issues];
    for path in paths {
        world.github.knobs().at(path, Trouble::Refuse);
    }
    assert_eq!(browser.fetch(&at(USER)).status, 502);
    is_logged(USER, 502, "github-unavailable");
    assert_eq!(asking(&mut browser, "/users/hubot", "only-if-cached").status, 504);
    is_logged("/users/hubot", 504, "github-unavailable");
    assert_eq!(write(&mut browser, "POST", issues, "{}").status, 502);
    is_logged(issues, 502, "github-unavailable");
    // What GitHub answers is no trouble, be it a refusal.
    world.github.knobs().clear();
    for path in paths {
        assert_eq!(browser.fetch(&at(path)).status, 200);
        is_logged(path, 200, "anyone");
    }
    assert_eq!(browser.fetch(&at("/users/nobody")).status, 404);
    is_logged("/users/nobody", 404, "anyone");
}

/// Without anything held, GitHub's trouble is the answer, in GitHub's own words if it has any.
#[test]
fn trouble_is_told_where_nothing_is_held() {
    let (world, mut browser) = world();
    world.github.knobs().at(USER, bad_gateway());
    let told = browser.fetch(&at(USER));
    assert_eq!((told.status, told.text().as_str()), (502, "<b>oops</b>"));
    assert_eq!(account(&told), ["gatekeep; fwd=uri-miss; fwd-status=502", "", ""]);
    // A browser that opens GitHub's page here runs nothing of it.
    assert!(field(&told, "content-security-policy").contains("sandbox"));
    world.github.knobs().off(USER);
    world.github.knobs().at(USER, Trouble::Refuse);
    let told = browser.fetch(&at(USER));
    assert_eq!((told.status, &told.json()["reason"]), (502, &json!("github-unavailable")));
    assert_eq!(account(&told)[0], "gatekeep; fwd=uri-miss");
    assert_eq!(field(&told, "cache-control"), "no-store");
    world.github.knobs().off(USER);
    assert_eq!(
        account(&browser.fetch(&at(USER)))[0],
        "gatekeep; fwd=uri-miss; fwd-status=200; stored"
    );
}

/// GitHub is asked twice before it counts as trouble, and never more often.
#[test]
fn one_bad_gateway_is_not_noticed() {
    let (world, mut browser) = world();
    world.github.knobs().once(USER, bad_gateway());
    assert_eq!(browser.fetch(&at(USER)).status, 200);
    assert_eq!(world.github.calls(&format!("GET {USER}")), 2);
    world.github.knobs().at(USER, Trouble::answer(500, "text/plain", "no"));
    browser.fetch(&at(USER));
    assert_eq!(world.github.calls(&format!("GET {USER}")), 3, "that was no passing trouble");
}

/// A client may ask not to be given what is old; that costs it nothing of what is held.
#[test]
fn a_client_may_decline_what_is_old() {
    let (world, mut browser) = world();
    let good = browser.fetch(&at(USER));
    world.gate.clock.advance(30 * SECOND);
    world.github.knobs().at(USER, bad_gateway());
    for wishes in ["no-cache, stale-if-error=0", "stale-if-error=29", "no-store"] {
        let told = asking(&mut browser, USER, wishes);
        assert_eq!((told.status, account(&told)[1]), (502, ""), "{wishes}");
    }
    // Others are well served, so it is no outage.
    assert_eq!(browser.fetch(&at("/users/hubot")).status, 200);
    for wishes in ["no-cache", "stale-if-error=30", "stale-if-error=99999999"] {
        let stale = asking(&mut browser, USER, wishes);
        assert_eq!((stale.status, &stale.body), (200, &good.body), "{wishes}");
        assert_eq!(account(&stale)[1..], ["upstream-error", "30"], "{wishes}");
    }
    // A limit is no word about the right to see it either.
    let limit = Trouble::SecondaryLimit { status: 403, retry_after: Some(1) };
    world.github.knobs().off(USER);
    world.github.knobs().once(USER, limit);
    assert_eq!(asking(&mut browser, USER, "stale-if-error=0").status, 403);
    world.github.knobs().at(USER, bad_gateway());
    let stale = browser.fetch(&at(USER));
    assert_eq!((stale.status, &stale.body), (200, &good.body));
}

/// What somebody may no longer see is shown for an hour while GitHub is away, and not a moment after
/// GitHub has said so.
#[test]
fn a_right_that_was_lost_ends_with_the_hour_or_with_github_s_word() {
    let (world, mut octocat) = entitled();
    assert_eq!(octocat.fetch(&at(ROCKET)).status, 200);
    world.github.remove_collaborator("acme/rocket", "octocat");
    world.github.knobs().on(ROCKET, Trouble::Refuse);
    world.gate.clock.advance(3600 * SECOND);
    let stale = octocat.fetch(&at(ROCKET));
    assert_eq!((stale.status, account(&stale)[1]), (200, "upstream-error"));
    world.gate.clock.advance(SECOND);
    assert_eq!(octocat.fetch(&at(ROCKET)).status, 502, "it is too old");
    // GitHub is back, and has its say.
    world.github.knobs().off(ROCKET);
    assert_eq!(octocat.fetch(&at(ROCKET)).status, 404);
    world.github.knobs().on(ROCKET, Trouble::Refuse);
    world.gate.clock.advance(3 * SECOND);
    assert_eq!(octocat.fetch(&at(ROCKET)).status, 502, "nothing is left of it");
}

/// The same within the hour: GitHub's refusal ends it at once, whatever the refusal is.
#[test]
fn after_github_s_refusal_nothing_old_is_shown() {
    let (world, mut octocat) = entitled();
    let gone = |status| Trouble::answer(status, "application/json", r#"{"message":"No"}"#);
    for refusal in [404, 403, 410, 451] {
        world.github.knobs().clear();
        assert_eq!(octocat.fetch(&at(ROCKET)).status, 200);
        world.github.knobs().at(ROCKET, Trouble::Refuse);
        assert_eq!(account(&octocat.fetch(&at(ROCKET)))[1], "upstream-error");
        world.github.knobs().off(ROCKET);
        world.github.knobs().once(ROCKET, gone(refusal));
        let refused = octocat.fetch(&at(ROCKET));
        assert_eq!((refused.status, &refused.json()["message"]), (refusal, &json!("No")));
        world.github.knobs().at(ROCKET, Trouble::Refuse);
        world.gate.clock.advance(3 * SECOND);
        assert_eq!(octocat.fetch(&at(ROCKET)).status, 502, "after {refusal}");
    }
}

/// Nobody is shown what only somebody else has seen, in whatever trouble.
#[test]
fn what_another_has_seen_stands_in_for_nothing() {
    let (world, mut octocat) = entitled();
    let (mut hubot, _) = world.signed_in("hubot", "https://app.example.com/x");
    assert_eq!(octocat.fetch(&at(ROCKET)).status, 200);
    world.github.knobs().at(ROCKET, bad_gateway());
    let told = hubot.fetch(&at(ROCKET));
    assert_eq!((told.status, told.text().as_str()), (502, "<b>oops</b>"));
    assert_eq!(octocat.fetch(&at(ROCKET)).status, 200, "the control");
}

/// Five failures in a row, and GitHub is left alone but for one question every two seconds.
#[test]
fn in_an_outage_nobody_waits_for_one_more_failure() {
    let (world, mut browser) = world();
    let good = browser.fetch(&at(USER));
    world.github.knobs().on("/users", Trouble::Refuse);
    let asked = || world.github.calls(&format!("GET {USER}"));
    for _ in 0..5 {
        assert_eq!(account(&browser.fetch(&at(USER)))[1], "upstream-error");
    }
    let before = asked();
    world.gate.clock.advance(SECOND);
    let stale = browser.fetch(&at(USER));
    assert_eq!((stale.status, &stale.body), (200, &good.body));
    assert_eq!(account(&stale), ["gatekeep; hit; ttl=-1; detail=outage", "outage", "1"]);
    assert_eq!(asked(), before, "GitHub is left alone");
    // Whoever has nothing to fall back on asks all the same, and so does a client that insists.
    assert_eq!(browser.fetch(&at("/users/hubot")).status, 502);
    assert_eq!(asking(&mut browser, USER, "stale-if-error=0").status, 502);
    assert!(asked() > before);
    let before = asked();
    world.gate.clock.advance(2 * SECOND);
    assert_eq!(account(&browser.fetch(&at(USER)))[1], "upstream-error", "somebody tries");
    assert!(asked() > before);
    assert_eq!(account(&browser.fetch(&at(USER)))[1], "outage", "in vain");
    // It is over with the first answer.
    world.github.knobs().off("/users");
    world.gate.clock.advance(2 * SECOND);
    let confirmed = "gatekeep; fwd=stale; fwd-status=304";
    for _ in 0..2 {
        assert_eq!(account(&browser.fetch(&at(USER))), [confirmed, "", ""]);
    }
}

/// Anybody can ask what GitHub fails at, and so keeps nobody else from it. It takes two whom it fails.
#[test]
fn what_fails_for_one_account_is_no_outage_for_others() {
    let (world, mut octocat) = world();
    let others = ["mona", "hubot"].map(|who| world.signed_in(who, "https://app.example.com/x").0);
    let [mut mona, mut hubot] = others;
    for browser in [&mut octocat, &mut mona] {
        assert_eq!(browser.fetch(&at(USER)).status, 200);
    }
    world.github.knobs().on("/users/hubot", Trouble::Refuse);
    let fail = |browser: &mut Browser| {
        assert_eq!(browser.fetch(&at("/users/hubot")).status, 502);
    };
    (0..9).for_each(|_| fail(&mut octocat));
    assert_eq!(account(&octocat.fetch(&at(USER)))[1], "outage", "what one asks for");
    let confirmed = ["gatekeep; fwd=stale; fwd-status=304", "", ""];
    assert_eq!(account(&mona.fetch(&at(USER))), confirmed);
    assert_eq!(account(&octocat.fetch(&at(USER))), confirmed, "GitHub has answered");
    (0..4).for_each(|_| fail(&mut octocat));
    fail(&mut hubot);
    assert_eq!(account(&mona.fetch(&at(USER)))[1], "outage");
}

/// GitHub stops in the middle of a sentence. It gives up itself after ten seconds, and the gateway one
/// later. All at once here, for that takes its time.
#[test]
fn silence_ends_after_seconds() {
    let (world, mut browser) = entitled();
    assert_eq!(browser.fetch(&at(USER)).status, 200);
    // GitHub has more to say than that nothing has changed.
    world.github.change("mona", |mona| mona.name = Some("Mona L.".to_owned()));
    let stall = || Trouble::Stall { after: 10 };
    for path in [USER, "/users/hubot", "/repos/octocat/hello-world/issues"] {
        world.github.knobs().at(path, stall());
    }
    world.github.knobs().at("/blob/3000000", Trouble::Stall { after: 2_800_000 });
    std::thread::scope(|scope| {
        let visitor = || browser.clone();
        let held = scope.spawn(move || visitor().fetch(&at(USER)));
        let new = scope.spawn(move || visitor().fetch(&at("/users/hubot")));
        let text = json!({ "title": "Once" }).to_string();
        let issues = "/repos/octocat/hello-world/issues";
        let sent = scope.spawn(move || write(&mut visitor(), "POST", issues, &text));
        let flowing = scope.spawn(|| broken(&world, &browser));
        let [held, new, sent] = [held, new, sent].map(|it| it.join().expect("it ends"));
        assert_eq!(held.status, 200);
        let said = "gatekeep; fwd=stale; detail=stale-if-error";
        assert_eq!(account(&held)[..2], [said, "timeout"]);
        for told in [new, sent] {
            assert_eq!(told.status, 504, "{}", told.text());
            assert_eq!(told.json()["reason"], "github-unavailable");
        }
        assert!((1..3_000_000).contains(&flowing.join().expect("it ends")));
    });
    // Sent once: it may have happened, and it has.
    assert_eq!(world.github.calls("POST /repos/octocat/hello-world/issues"), 1);
    world.github.knobs().clear();
    // Of what did not come whole nothing is held.
    let fresh = browser.fetch(&at("/users/hubot"));
    assert_eq!(account(&fresh)[0], "gatekeep; fwd=uri-miss; fwd-status=200; stored");
    assert_eq!(browser.fetch(&at("/repos/octocat/hello-world/issues/67")).status, 200);
}

/// The bytes that come before a large answer breaks off.
fn broken(world: &World, browser: &Browser) -> usize {
    let mut connection = Connection::open(world.gate.address);
    let cookies = browser.cookies("app.example.com");
    let cookies: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let request = format!(
        "GET /github/blob/3000000 HTTP/1.1\r\nhost: app.example.com\r\ncookie: {}\r\n\r\n",
        cookies.join("; ")
    );
    connection.send(request.as_bytes()).expect("the gateway reads");
    let head = crate::support::upstream::read_head(connection.stream()).expect("a header");
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("3000000"), "{head}");
    connection.read_some(3_000_000).len()
}

/// However GitHub packs it, the bytes are the same, and so is the gateway's tag for them.
#[test]
fn packed_or_not_it_is_the_same() {
    let (world, mut browser) = world();
    let set = |gzip| {
        world.github.knobs().presentation(|looks: &mut Presentation| looks.gzip = gzip);
    };
    let mut seen = Vec::new();
    for (gzip, encoding) in [(true, "identity"), (false, "gzip"), (true, "gzip"), (false, "br")] {
        set(gzip);
        let headers = [
            ("accept", "application/json"),
            ("accept-encoding", encoding),
            // Anew each time, or GitHub would only confirm it.
            ("cache-control", "no-store"),
        ];
        let answer = browser.send("GET", &at(USER), &headers, "");
        assert_eq!((answer.status, answer.header("content-encoding")), (200, None));
        assert_eq!(answer.json()["login"], "mona");
        seen.push((answer.body.clone(), field(&answer, "etag").to_owned()));
    }
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:?}");
    assert_eq!(world.github.answered(&format!("GET {USER}"), 200), 4);
}

/// Somebody who was let in only now is not told by what was kept of a moment ago.
#[test]
fn what_was_not_found_is_not_found_for_two_seconds() {
    let (world, mut browser) = entitled();
    let path = "/repos/acme/secret";
    let asked = || world.github.calls(&format!("GET {path}"));
    for (status, account, calls) in
        [(404, "gatekeep; fwd=uri-miss; fwd-status=404", 1), (404, "gatekeep; hit; ttl=2", 1)]
    {
        let answer = browser.fetch(&at(path));
        assert_eq!(
            (answer.status, field(&answer, "cache-status"), asked()),
            (status, account, calls)
        );
    }
    world.github.add_repository("acme/secret", true);
    world.github.add_collaborator("acme/secret", "octocat", Role::Read);
    assert_eq!(browser.fetch(&at(path)).status, 404);
    // A client that insists is believed.
    for wishes in ["no-cache", "max-age=0", "no-store"] {
        assert_eq!(asking(&mut browser, path, wishes).status, 200, "{wishes}");
    }
    let path = "/repos/acme/other";
    assert_eq!(browser.fetch(&at(path)).status, 404);
    world.github.add_repository("acme/other", false);
    world.gate.clock.advance(2 * SECOND);
    assert_eq!(browser.fetch(&at(path)).status, 200);
}
