//! What webhooks show stands in for GitHub where it gives no answer: for the installation that was told,
//! and for nobody else.

use std::time::Duration;

use gatekeep::clock::Clock as _;
use gatekeep::simulator::{Installation, Trouble, Webhook};
use serde_json::{Value, json};

use super::webhooks::{HELLO, about, deliver};
use super::{at, cache};
use crate::support::World;
use crate::support::browser::Browser;
use crate::support::http::Response;
use crate::webhooks::{SECRET, send};

const ROUTES: &str = r"
  - { name: app, host: app.example.com, upstream: @APP@, allow: { orgs: [acme] } }
  - name: github
    host: app.example.com
    path: /github
    upstream: { github: { installation: acme } }
    allow: anyone
  - name: other
    host: app.example.com
    path: /other
    upstream: { github: { installation: octocat } }
    allow: anyone
  - { name: people, host: app.example.com, path: /people, upstream: github, allow: anyone }
";

const ISSUE: &str = "/repos/octocat/hello-world/issues/1";
const LABELS: &str = "/repos/octocat/hello-world/labels";
const PAGE: &str = "https://app.example.com/x";
const MINUTE: Duration = Duration::from_secs(60);

/// Told by a webhook, for GitHub was asked in vain.
const TOLD: &str = "fwd=stale; detail=from-webhook";

/// A world whose webhooks are handled so, and a visitor.
fn world_of(webhook: &str) -> (World, Browser) {
    let keys = format!("github.timeout: 5s, app: @GITHUB_APP@, webhook: {{ {webhook} }}\n");
    let world = World::with(&keys, ROUTES);
    world.github.install(Installation::new(5, "acme").repository(1, "notes"));
    world.github.install(Installation::new(6, "octocat").repository(2, "hello-world"));
    let (browser, _) = world.signed_in("octocat", PAGE);
    (world, browser)
}

fn world() -> (World, Browser) {
    world_of(&format!("secret: {SECRET}, mode: store"))
}

/// That an issue has this title since just now, as an installation is told.
fn told(world: &World, title: &str) -> Value {
    told_at(world, title, &world.github.ping()["hook"]["updated_at"])
}

fn told_at(world: &World, title: &str, now: &Value) -> Value {
    let url = format!("{}{ISSUE}", world.github.api_url());
    let issue = json!({ "url": url, "number": 1, "title": title, "updated_at": now });
    let event = json!({ "action": "edited", "installation": { "id": 5 }, "issue": issue });
    about(world, HELLO, event)
}

fn webhook(world: &World, title: &str) -> Webhook {
    world.github.webhook("issues", told(world, title), SECRET)
}

fn heed(world: &World, webhook: &Webhook) {
    assert_eq!(send(&world.gate, webhook).status, 200);
}

fn advance(world: &World, by: Duration) {
    world.gate.clock.advance(by);
    world.github.advance(by);
}

fn fail(world: &World) {
    world.github.knobs().at(ISSUE, Trouble::Refuse);
}

fn with(browser: &mut Browser, url: &str, name: &str, value: &str) -> Response {
    let fields = [("accept", "application/json"), (name, value)];
    let last = if name == "accept" { &fields[1..] } else { &fields[..] };
    browser.send("GET", url, last, "")
}

#[test]
fn what_a_webhook_has_shown_stands_in_for_github_for_whom_it_was_told() {
    let (world, mut octocat) = world();
    deliver(&world, "issues", told(&world, "Told"));
    fail(&world);
    advance(&world, MINUTE);
    let answer = octocat.fetch(&at(ISSUE));
    assert_eq!((answer.status, cache(&answer)), (200, TOLD), "{}", answer.text());
    assert_eq!(answer.json()["title"], "Told");
    let account = ["x-gatekeep-stale", "age"].map(|name| answer.header(name));
    assert_eq!(account, [Some("upstream-error"), Some("60")]);
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    for elsewhere in ["people", "other"] {
        let url = format!("https://app.example.com/{elsewhere}{ISSUE}");
        assert_eq!(octocat.fetch(&url).status, 502, "{elsewhere}");
    }
    for (name, value) in [
        ("accept", "application/vnd.github.raw+json"),
        ("x-github-api-version", "2026-03-10"),
        ("cache-control", "no-store"),
        ("cache-control", "stale-if-error=0"),
        ("cache-control", "stale-if-error=59"),
    ] {
        assert_eq!(with(&mut octocat, &at(ISSUE), name, value).status, 502, "{name}: {value}");
    }
    let one = with(&mut octocat, &at(ISSUE), "cache-control", "only-if-cached");
    assert_eq!(one.status, 504, "GitHub was not asked");
}

#[test]
fn the_first_answer_takes_its_place() {
    let (world, mut octocat) = world();
    heed(&world, &webhook(&world, "Told"));
    let answer = octocat.fetch(&at(ISSUE));
    assert_eq!(cache(&answer), "fwd=uri-miss; fwd-status=200; stored", "GitHub is there");
    assert_ne!(answer.json()["title"], "Told");
    let asked = world.github.requests();
    let asked =
        asked.iter().rfind(|request| request.path().ends_with(ISSUE)).expect("it was asked");
    assert_eq!(asked.header("if-none-match"), None, "what was told has no tag");
    fail(&world);
    let again = octocat.fetch(&at(ISSUE));
    assert_eq!(cache(&again), "fwd=stale; detail=stale-if-error");
    assert_eq!(again.body, answer.body);
    // What is told after it is younger.
    advance(&world, MINUTE);
    heed(&world, &webhook(&world, "Later"));
    let later = octocat.fetch(&at(ISSUE));
    assert_eq!((cache(&later), &later.json()["title"]), (TOLD, &json!("Later")));
}

#[test]
fn it_stands_in_when_nothing_is_left_of_the_budget() {
    let (world, mut octocat) = world();
    heed(&world, &webhook(&world, "Told"));
    world.github.set_remaining_of_app("core", 0);
    octocat.fetch(&at(LABELS));
    let calls = world.github.calls(&format!("GET {ISSUE}"));
    let answer = octocat.fetch(&at(ISSUE));
    assert_eq!((answer.status, cache(&answer)), (200, "hit; ttl=0; detail=from-webhook"));
    assert_eq!(answer.header("x-gatekeep-stale"), Some("primary-rate-limit"));
    assert!(answer.header("retry-after").is_some());
    assert_eq!(world.github.calls(&format!("GET {ISSUE}")), calls);
    let other = octocat.fetch(&at("/repos/octocat/hello-world/issues/2"));
    assert_eq!(cache(&other), "detail=refused", "nobody has told of it");
}

#[test]
fn in_an_outage_it_is_given_without_asking() {
    let (world, mut octocat) = world();
    heed(&world, &webhook(&world, "Told"));
    fail(&world);
    for _ in 0..5 {
        assert_eq!(cache(&octocat.fetch(&at(ISSUE))), TOLD);
    }
    let answer = octocat.fetch(&at(ISSUE));
    assert_eq!((answer.status, cache(&answer)), (200, "hit; ttl=0; detail=from-webhook"));
    assert_eq!(answer.header("x-gatekeep-stale"), Some("outage"));
    let other = octocat.fetch(&at("/repos/octocat/hello-world/issues/2"));
    assert_eq!(other.status, 200, "of which nobody has told: it is asked for");
}

#[test]
fn what_was_told_earlier_displaces_nothing() {
    let (world, mut octocat) = world();
    let [first, second] = ["First", "Second"].map(|title| {
        advance(&world, MINUTE);
        webhook(&world, title)
    });
    let mut title = || octocat.fetch(&at(ISSUE)).json()["title"].clone();
    fail(&world);
    heed(&world, &first);
    assert_eq!(title(), "First", "the control");
    heed(&world, &second);
    assert_eq!(title(), "Second");
    heed(&world, &first);
    assert_eq!(title(), "Second");
}

#[test]
fn what_was_told_before_github_answered_displaces_no_answer() {
    let (world, mut octocat) = world();
    let told = webhook(&world, "Told");
    advance(&world, MINUTE);
    octocat.fetch(&at(ISSUE));
    heed(&world, &told);
    fail(&world);
    assert_eq!(cache(&octocat.fetch(&at(ISSUE))), "fwd=stale; detail=stale-if-error");
    advance(&world, MINUTE);
    heed(&world, &webhook(&world, "Told"));
    assert_eq!(cache(&octocat.fetch(&at(ISSUE))), TOLD, "the control");
}

#[test]
fn it_lasts_as_long_as_any_old_answer_however_often_it_is_sent() {
    let (world, _) = world();
    let told = webhook(&world, "Told");
    heed(&world, &told);
    fail(&world);
    advance(&world, 59 * MINUTE);
    let (mut octocat, _) = world.signed_in("octocat", PAGE);
    assert_eq!(cache(&octocat.fetch(&at(ISSUE))), TOLD);
    advance(&world, 2 * MINUTE);
    heed(&world, &told);
    assert_eq!(octocat.fetch(&at(ISSUE)).status, 502);
}

/// What has ended is remembered by the process: it may have ended since.
#[test]
fn what_was_said_before_the_gateway_began_is_not_kept() {
    let (world, mut octocat) = world();
    fail(&world);
    let before = Value::from((world.gate.clock.now() - MINUTE).to_rfc3339());
    let mut old = told_at(&world, "Told", &before);
    old["repository"]["updated_at"] = before;
    heed(&world, &world.github.webhook("issues", old, SECRET));
    assert_eq!(octocat.fetch(&at(ISSUE)).status, 502);
    heed(&world, &webhook(&world, "Told"));
    assert_eq!(octocat.fetch(&at(ISSUE)).status, 200, "the control");
}

#[test]
fn what_is_deleted_is_not_shown() {
    let (world, mut octocat) = world();
    let before = webhook(&world, "Told");
    heed(&world, &before);
    fail(&world);
    assert_eq!(octocat.fetch(&at(ISSUE)).status, 200, "the control");
    advance(&world, MINUTE);
    let mut deleted = told(&world, "Told");
    deleted["action"] = "deleted".into();
    heed(&world, &world.github.webhook("issues", deleted, SECRET));
    assert_eq!(octocat.fetch(&at(ISSUE)).status, 502);
    heed(&world, &before);
    assert_eq!(octocat.fetch(&at(ISSUE)).status, 502, "it was told before");
}

/// GitHub's last word: no such thing, or not for this one.
#[test]
fn what_github_denies_is_not_shown_afterwards() {
    let (world, mut octocat) = world();
    heed(&world, &webhook(&world, "Told"));
    let no = Trouble::answer(404, "application/json", r#"{"message":"Not Found"}"#);
    world.github.knobs().once(ISSUE, no);
    assert_eq!(octocat.fetch(&at(ISSUE)).status, 404);
    advance(&world, MINUTE);
    fail(&world);
    assert_eq!(octocat.fetch(&at(ISSUE)).status, 502);
}

#[test]
fn it_goes_with_the_installation_s_rights() {
    let (world, mut octocat) = world();
    let told = webhook(&world, "Told");
    heed(&world, &told);
    fail(&world);
    assert_eq!(octocat.fetch(&at(ISSUE)).status, 200, "the control");
    let of = |id: u64| json!({ "id": id, "account": { "login": "acme", "id": 9 } });
    let changed = json!({ "action": "new_permissions_accepted", "installation": of(5) });
    heed(&world, &world.github.webhook("installation", changed, SECRET));
    assert_eq!(octocat.fetch(&at(ISSUE)).status, 502);
    heed(&world, &told);
    assert_eq!(octocat.fetch(&at(ISSUE)).status, 502, "it was told before");
    advance(&world, MINUTE);
    heed(&world, &webhook(&world, "Told"));
    assert_eq!(octocat.fetch(&at(ISSUE)).status, 200, "the control");
}

#[test]
fn without_the_mode_nothing_is_kept() {
    for mode in ["invalidate", "refresh"] {
        let (world, mut octocat) = world_of(&format!("secret: {SECRET}, mode: {mode}"));
        heed(&world, &webhook(&world, "Told"));
        fail(&world);
        assert_eq!(octocat.fetch(&at(ISSUE)).status, 502, "{mode}");
    }
}

/// Whoever looks after a repository's hook may know its secret, and says what the app is told to nobody.
#[test]
fn only_the_app_s_own_webhooks_show_anything() {
    const REPOSITORY: &str = "webhook-5tRb-of-repositories";
    let webhook = format!("secret: {SECRET}, repository_secret: {REPOSITORY}, mode: store");
    let (world, mut octocat) = world_of(&webhook);
    heed(&world, &world.github.webhook("issues", told(&world, "Told"), REPOSITORY));
    fail(&world);
    assert_eq!(octocat.fetch(&at(ISSUE)).status, 502);
    let mut of_nobody = told(&world, "Told");
    of_nobody.as_object_mut().expect("an object").remove("installation");
    heed(&world, &world.github.webhook("issues", of_nobody, SECRET));
    assert_eq!(octocat.fetch(&at(ISSUE)).status, 502);
    heed(&world, &world.github.webhook("issues", told(&world, "Told"), SECRET));
    assert_eq!(octocat.fetch(&at(ISSUE)).status, 200, "the control");
}
