//! GitHub's limits: what is left is told, what is spent is not asked for, and a pause is kept.

use std::time::Duration;

use gatekeep::simulator::Trouble;
use serde_json::json;

use super::{ask, script_of, world_of_writers};
use crate::support::World;
use crate::support::browser::Browser;
use crate::support::http::Response;

const HELD: &str = "GET /repos/acme/rocket/issues/1";
const UNKNOWN: &str = "GET /repos/acme/rocket/issues/2";
const GRAPHQL: &str = "POST /graphql";
const VIEWER: &str = r#"{"query":"{ viewer { login } }"}"#;
const JSON: (&str, &str) = ("content-type", "application/json");

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Lets time pass on both sides.
/// Past the end of a window of an hour, though GitHub's clock has gone on since the gateway's was set.
const NEXT_WINDOW: Duration = Duration::from_secs(3_600 + 100);

fn advance(world: &World, by: Duration) {
    world.gate.clock.advance(by);
    world.github.advance(by);
}

fn get(script: &Browser, line: &str) -> Response {
    ask(script, line, &[], "")
}

fn account(answer: &Response) -> &str {
    answer.header("cache-status").expect("an account of the cache")
}

fn number(answer: &Response, name: &str) -> i64 {
    let value = answer.header(name).unwrap_or_else(|| panic!("no {name} in {answer:?}"));
    value.parse().expect("a number")
}

/// How long until the window ends, and a second more, by the gateway's clock.
fn until_reset(world: &World, answer: &Response) -> i64 {
    use gatekeep::clock::Clock as _;
    number(answer, "x-ratelimit-reset") + 1 - world.gate.clock.now().unix()
}

/// Has the gateway learn that nothing is left to somebody.
fn spend(world: &World, script: &Browser, login: &str) {
    world.github.set_remaining(login, "core", 1);
    assert_eq!(number(&get(script, "GET /users/mona"), "x-ratelimit-remaining"), 0);
}

/// A world where somebody was shown an issue, and then nothing was left.
fn spent() -> (World, Browser, Response) {
    let world = world_of_writers("");
    let script = script_of(&world, "octocat");
    let shown = get(&script, HELD);
    assert_eq!(shown.status, 200, "{}", shown.text());
    spend(&world, &script, "octocat");
    (world, script, shown)
}

// === Nothing is left ===

#[test]
fn what_was_shown_is_shown_again_when_nothing_is_left() {
    let (world, script, shown) = spent();
    world.github.knobs().limits(|limits| limits.unchanged_when_spent = false);
    let refused = get(&script, HELD);
    assert_eq!(account(&refused), "gatekeep; fwd=stale; fwd-status=403; detail=rate-limited");
    assert_eq!((refused.status, &refused.body), (200, &shown.body), "a 304 would have been free");
    let calls = world.github.calls(HELD);
    advance(&world, seconds(40));
    let stale = get(&script, HELD);
    assert_eq!((stale.status, &stale.body), (200, &shown.body));
    assert_eq!(account(&stale), "gatekeep; hit; ttl=-40; detail=rate-limited");
    assert_eq!(stale.header("x-gatekeep-stale"), Some("primary-rate-limit"));
    assert_eq!((number(&stale, "age"), number(&stale, "x-ratelimit-remaining")), (40, 0));
    assert_eq!(number(&stale, "retry-after"), until_reset(&world, &stale));
    assert_eq!(world.github.calls(HELD), calls, "GitHub is left alone until its window ends");
    let unwanted = ask(&script, HELD, &[("cache-control", "no-cache, stale-if-error=0")], "");
    assert_eq!(unwanted.status, 403, "who wants nothing old is told why");
    advance(&world, NEXT_WINDOW);
    assert_eq!(account(&get(&script, HELD)), "gatekeep; fwd=stale; fwd-status=304");
}

/// GitHub gives a 304 for nothing, so it is asked for one now and then even when nothing is left.
#[test]
fn what_is_free_is_asked_for_when_nothing_is_left() {
    let (world, script, shown) = spent();
    let charged = world.github.charged_to("octocat");
    for _ in 0..2 {
        let confirmed = get(&script, HELD);
        assert_eq!(account(&confirmed), "gatekeep; fwd=stale; fwd-status=304");
        assert_eq!((confirmed.status, &confirmed.body), (200, &shown.body));
    }
    assert_eq!(world.github.charged_to("octocat"), charged);
}

#[test]
fn what_was_never_shown_is_refused_when_nothing_is_left() {
    let (world, script, _) = spent();
    let refused = get(&script, UNKNOWN);
    assert_eq!((refused.status, refused.header("x-gatekeep-refused")), (403, Some("primary")));
    assert_eq!(account(&refused), "gatekeep; detail=refused");
    let wait = until_reset(&world, &refused);
    assert!(wait > 3_000, "{wait}");
    assert_eq!(number(&refused, "retry-after"), wait);
    let rate =
        ["limit", "remaining", "used"].map(|it| number(&refused, &format!("x-ratelimit-{it}")));
    assert_eq!(rate, [5_000, 0, 5_000]);
    assert_eq!(refused.header("x-ratelimit-resource"), Some("core"));
    let request_id = refused.json()["request_id"].clone();
    let docs = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api";
    let words = format!(
        "API rate limit exceeded. GitHub was not asked; the limit is reset in {wait} seconds."
    );
    let said = json!({
        "message": words, "documentation_url": format!("{docs}#about-primary-rate-limits"),
        "request_id": request_id,
    });
    assert_eq!(refused.json(), said);
    let write = ask(&script, "PATCH /repos/acme/rocket/issues/2", &[JSON], "{}");
    assert_eq!((write.status, write.header("x-gatekeep-refused")), (403, Some("primary")));
    let calls = [UNKNOWN, "PATCH /repos/acme/rocket/issues/2"].map(|line| world.github.calls(line));
    assert_eq!(calls, [0, 0]);
    let other = get(&script_of(&world, "hubot"), UNKNOWN);
    assert_eq!(other.status, 200, "each has a budget of one's own");
    assert_eq!(get(&script, "GET /search/issues?q=leak").status, 200, "and for searches another");
    advance(&world, NEXT_WINDOW);
    assert_eq!(get(&script, UNKNOWN).status, 200, "control: it is there");
}

#[test]
fn graphql_says_it_in_its_own_way() {
    let world = world_of_writers("");
    let script = script_of(&world, "octocat");
    let query = || ask(&script, GRAPHQL, &[JSON], VIEWER);
    let fine = query();
    assert_eq!((fine.status, number(&fine, "x-ratelimit-limit")), (200, 5_000));
    assert_eq!(fine.header("x-ratelimit-resource"), Some("graphql"));
    assert_eq!(fine.json()["data"]["viewer"]["login"], "octocat");
    world.github.set_remaining("octocat", "graphql", 0);
    let calls = || world.github.requests().iter().filter(|it| it.path() == "/api/graphql").count();
    let githubs = query();
    assert_eq!((githubs.status, calls()), (200, 2));
    let ours = query();
    assert_eq!((ours.status, calls()), (200, 2), "GitHub is not asked again");
    assert_eq!(ours.header("x-gatekeep-refused"), Some("primary"));
    for said in [&githubs, &ours] {
        let error = &said.json()["errors"][0];
        assert_eq!(error["type"], "RATE_LIMITED");
        assert!(error["message"].as_str().expect("words").starts_with("API rate limit exceeded"));
        assert_eq!(number(said, "x-ratelimit-remaining"), 0);
    }
    assert_eq!(get(&script, "GET /user").status, 200, "REST has another budget");
    advance(&world, NEXT_WINDOW);
    assert_eq!(query().json()["data"]["viewer"]["login"], "octocat");
}

// === GitHub asks for a pause ===

#[test]
fn a_pause_is_kept_for_everything_of_that_person() {
    let world = world_of_writers("");
    let script = script_of(&world, "octocat");
    let other = script_of(&world, "hubot");
    let shown = get(&script, HELD);
    let pause = Trouble::SecondaryLimit { status: 403, retry_after: Some(7) };
    world.github.knobs().once("/repos/acme/rocket/issues/2", pause);
    let githubs = get(&script, UNKNOWN);
    assert_eq!((githubs.status, githubs.header("retry-after")), (403, Some("8")));
    let asked = world.github.requests().len();
    let stale = get(&script, HELD);
    assert_eq!((stale.status, &stale.body), (200, &shown.body));
    assert_eq!(account(&stale), "gatekeep; hit; ttl=0; detail=secondary");
    assert_eq!(stale.header("x-gatekeep-stale"), Some("secondary-rate-limit"));
    assert_eq!(number(&stale, "retry-after"), 8);
    for (line, body) in [(UNKNOWN, ""), ("POST /repos/acme/rocket/issues", "{}"), (GRAPHQL, VIEWER)]
    {
        let refused = ask(&script, line, &[JSON], body);
        assert_eq!(
            (refused.status, refused.header("x-gatekeep-refused"), number(&refused, "retry-after")),
            (403, Some("secondary"), 8),
            "{line}"
        );
        let said = refused.json();
        let words = "You have exceeded a secondary rate limit. GitHub was not asked, for it wants a \
                     pause of 8 more seconds.";
        assert_eq!(said["message"], words);
        let link = said["documentation_url"].as_str().expect("a link");
        assert!(link.ends_with("#about-secondary-rate-limits"), "{link}");
        let left = refused.header("x-ratelimit-remaining");
        assert_ne!(left, Some("0"), "a pause is not the end of the hour's budget");
    }
    assert_eq!(world.github.requests().len(), asked, "GitHub hears nothing of that");
    assert_eq!(get(&other, UNKNOWN).status, 200, "others are not concerned");
    advance(&world, seconds(7));
    assert_eq!(get(&script, UNKNOWN).status, 403);
    advance(&world, seconds(1));
    assert_eq!(get(&script, UNKNOWN).status, 200);
}

#[test]
fn a_pause_without_a_time_grows() {
    let world = world_of_writers("");
    let script = script_of(&world, "octocat");
    for pause in [61, 121, 241] {
        let limit = Trouble::SecondaryLimit { status: 429, retry_after: None };
        world.github.knobs().once("/repos/acme/rocket/issues/2", limit);
        assert_eq!(get(&script, UNKNOWN).status, 429);
        let refused = get(&script, UNKNOWN);
        assert_eq!(refused.header("x-gatekeep-refused"), Some("secondary"));
        assert_eq!(number(&refused, "retry-after"), pause);
        advance(&world, seconds(u64::try_from(pause).expect("ahead")));
    }
    assert_eq!(get(&script, UNKNOWN).status, 200);
}

/// A refusal for haste says nothing about what somebody may see.
#[test]
fn a_pause_forgets_nothing() {
    let world = world_of_writers("");
    let script = script_of(&world, "octocat");
    get(&script, HELD);
    let pause = Trouble::SecondaryLimit { status: 403, retry_after: Some(1) };
    world.github.knobs().once("/repos/acme/rocket/issues/1", pause);
    let unwilling = ask(&script, HELD, &[("cache-control", "no-cache, stale-if-error=0")], "");
    assert_eq!(unwilling.status, 403);
    advance(&world, seconds(2));
    assert_eq!(account(&get(&script, HELD)), "gatekeep; fwd=stale; fwd-status=304");
}

// === The gateway's own questions ===

/// What is left over is for signing in, and what GitHub says then counts for the apps, too.
#[test]
fn the_last_requests_are_for_signing_in() {
    let world = world_of_writers("");
    world.github.set_remaining("octocat", "core", 300);
    let script = script_of(&world, "octocat");
    assert_eq!(get(&script, HELD).status, 200, "control: 300 are enough");
    world.github.set_remaining("octocat", "core", 60);
    let (script, page) = world.signed_in("octocat", "https://app.example.com/x");
    assert_eq!(page.status, 200, "{}", page.text());
    let refused = get(&script, UNKNOWN);
    assert_eq!((refused.status, refused.header("x-gatekeep-refused")), (403, Some("primary")));
    assert_eq!(world.github.calls(UNKNOWN), 0);
    assert_eq!(number(&refused, "x-ratelimit-remaining"), 0, "nothing is left to apps");
    let (_, page) = world.signed_in("octocat", "https://app.example.com/x");
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(world.github.calls("GET /user") >= 3);
}

/// Facts are asked about again in the person's name: a pause that GitHub asks for then is a pause
/// for the apps.
#[test]
fn a_pause_that_the_gateway_meets_itself_is_kept() {
    let world = world_of_writers("session: { recheck: 10m, recheck_grace: 10m }\n");
    let script = script_of(&world, "octocat");
    advance(&world, seconds(601));
    let pause = Trouble::SecondaryLimit { status: 403, retry_after: Some(90) };
    world.github.knobs().once("/user", pause);
    let refused = get(&script, UNKNOWN);
    assert_eq!((refused.status, refused.header("x-gatekeep-refused")), (403, Some("secondary")));
    assert_eq!((number(&refused, "retry-after"), world.github.calls(UNKNOWN)), (91, 0));
    advance(&world, seconds(91));
    assert_eq!(get(&script, UNKNOWN).status, 200);
}

/// Who did not grant the scope has no address; who was refused for haste may well have one.
#[test]
fn a_pause_is_no_missing_address() {
    let world = world_of_writers("");
    let pause = Trouble::SecondaryLimit { status: 403, retry_after: None };
    world.github.knobs().once("/user/emails", pause);
    let (_, page) = world.signed_in("octocat", "https://app.example.com/x");
    assert_eq!(page.status, 503, "{}", page.text());
    let (_, page) = world.signed_in("octocat", "https://app.example.com/x");
    assert!(page.text().contains("octocat@github.example"), "control: {}", page.text());
}

// === What clients are told ===

#[test]
fn what_is_left_is_told_with_every_answer() {
    let world = world_of_writers("");
    let script = script_of(&world, "octocat");
    let commits = get(&script, "GET /repos/octocat/hello-world/commits");
    let id = commits.json()[0]["sha"].as_str().expect("an id").to_owned();
    let commit = format!("GET /repos/octocat/hello-world/commits/{id}");
    get(&script, &commit);
    get(&script, HELD);
    world.github.knobs().at("/users/mona", Trouble::answer(502, "text/html", "<h1>Unicorn!</h1>"));
    world.github.knobs().at("/users/hubot", Trouble::Swallow);
    let used = world.github.charged_to("octocat");
    for (line, status, how, more) in [
        (commit.as_str(), 200, "gatekeep; hit; ttl=300", 0),
        (HELD, 200, "gatekeep; fwd=stale; fwd-status=304", 0),
        (UNKNOWN, 200, "gatekeep; fwd=uri-miss; fwd-status=200; stored", 1),
        (commit.as_str(), 200, "gatekeep; hit; ttl=300", 1),
        ("GET /repos/acme/rocket/issues/999", 404, "gatekeep; fwd=uri-miss; fwd-status=404", 2),
        ("GET /users/mona", 502, "gatekeep; fwd=uri-miss; fwd-status=502", 2),
        ("GET /users/hubot", 502, "gatekeep; fwd=uri-miss", 2),
        // What broke off was asked for twice, and GitHub counted that.
        ("PATCH /repos/acme/rocket/issues/1", 200, "gatekeep; fwd=method; fwd-status=200", 5),
    ] {
        let body = if line.starts_with("PATCH") { "{}" } else { "" };
        let answer = ask(&script, line, &[JSON], body);
        assert_eq!((answer.status, account(&answer)), (status, how), "{line}");
        let used = i64::try_from(used + more).expect("few");
        let rate = ["limit", "used", "remaining"]
            .map(|name| number(&answer, &format!("x-ratelimit-{name}")));
        assert_eq!(rate, [5_000, used, 5_000 - used], "{line}");
        assert_eq!(answer.header("x-ratelimit-resource"), Some("core"), "{line}");
        assert!((3_000..=3_610).contains(&until_reset(&world, &answer)), "{line}");
        assert_eq!(answer.all("x-ratelimit-used").count(), 1, "{line}");
    }
}

/// What GitHub said with an answer that is held is as old as that.
#[test]
fn what_was_left_in_an_hour_that_is_over_is_not_told() {
    let world = world_of_writers("");
    let script = script_of(&world, "octocat");
    let commits = get(&script, "GET /repos/octocat/hello-world/commits");
    let id = commits.json()[0]["sha"].as_str().expect("an id").to_owned();
    let commit = format!("GET /repos/octocat/hello-world/commits/{id}");
    advance(&world, seconds(3_400));
    let fresh = get(&script, &commit);
    assert!(number(&fresh, "x-ratelimit-used") > 1);
    // No more is asked, not even who this still is.
    world.gate.clock.advance(seconds(250));
    let hit = get(&script, &commit);
    assert_eq!(account(&hit), "gatekeep; hit; ttl=50");
    let told = hit.headers.iter().filter(|(name, _)| name.starts_with("x-ratelimit-")).count();
    assert_eq!(told, 0, "{hit:?}");
}

/// A GitHub Enterprise Server has no limits unless told so.
#[test]
fn without_limits_there_is_nothing_to_tell() {
    let world = world_of_writers("");
    world.github.knobs().limits(|limits| limits.enabled = false);
    let script = script_of(&world, "octocat");
    let answer = get(&script, HELD);
    assert_eq!((answer.status, answer.header("x-ratelimit-limit")), (200, None));
}
