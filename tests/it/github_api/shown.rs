//! What people see of GitHub's limits: visitors on their account page, operators at the admin
//! listener and in the metrics.

use std::time::Duration;

use gatekeep::clock::{Clock, Time};
use gatekeep::simulator::{Gate, Installation, Trouble};
use serde_json::{Value, json};

use super::{ROUTES, at, under_way, world};
use crate::support::World;
use crate::support::browser::Browser;
use crate::support::http::Response;

const APP: &str = "https://app.example.com/x";
const ACCOUNT: &str = "https://app.example.com/.gatekeep/account";

const HELLO: &str = "/repos/octocat/hello-world";

const UNKNOWN: &str = "GitHub says how much is left when it is asked the next time.";

/// What the account page says of GitHub's API, as programs read it.
fn shown(browser: &mut Browser) -> Option<Value> {
    table(browser, "GitHub API")
}

fn table(browser: &mut Browser, title: &str) -> Option<Value> {
    let page = browser.fetch(ACCOUNT);
    assert_eq!(page.status, 200, "{}", page.text());
    let tables = page.json()["tables"].as_array().cloned().expect("tables");
    tables.into_iter().find(|table| table["title"] == title)
}

fn note(browser: &mut Browser) -> String {
    let table = shown(browser).expect("it is on the page");
    table["note"].as_str().expect("a note").to_owned()
}

fn budgets(world: &World) -> Value {
    let answer = world.gate.operate("GET", "/github/budgets", "");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Signs somebody in of whose limits GitHub says nothing meanwhile.
fn unheard_of(world: &World, login: &str) -> Browser {
    world.github.knobs().limits(|limits| limits.enabled = false);
    let (browser, _) = world.signed_in(login, APP);
    world.github.knobs().limits(|limits| limits.enabled = true);
    browser
}

fn reset(answer: &Response) -> i64 {
    let text = answer.header("x-ratelimit-reset").expect("GitHub says when");
    text.parse().expect("seconds")
}

#[test]
fn the_account_page_shows_what_is_left_and_what_was_saved() {
    let world = World::with("", ROUTES);
    let mut octocat = unheard_of(&world, "octocat");
    let (mut hubot, _) = world.signed_in("hubot", "https://auth.example.com/.gatekeep/account");
    let before = shown(&mut octocat).expect("it is on the page");
    assert_eq!((&before["rows"], before["note"].as_str()), (&json!([]), Some(UNKNOWN)));

    world.github.set_remaining("octocat", "core", 4200);
    let since = world.gate.clock.now();
    let answer = octocat.get(&at("/user"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    world.gate.clock.advance(Duration::from_secs(120));
    for _ in 0..2 {
        assert_eq!(octocat.get(&at("/user")).status, 200);
    }
    let after = shown(&mut octocat).expect("it is on the page");
    let full = Time::from_unix(reset(&answer)).to_string();
    let expected = json!([{
        "Limit": "core",
        "Left": "4,199 of 5,000",
        "Full again": full,
        "meter": { "left": 4199, "of": 5000 },
        "mark": null,
        "action": null,
    }]);
    assert_eq!(after["rows"], expected);
    let since = since.to_minute();
    let saved = format!("Your requests here since {since}: 3, of which 2 cost nothing.");
    assert_eq!(after["note"], saved);

    let page = octocat.get(ACCOUNT);
    let bar = "<span>4,199 of 5,000<meter min=\"0\" low=\"500\" max=\"5000\" optimum=\"5000\" \
               value=\"4199\" aria-hidden=\"true\"></meter></span>";
    assert!(page.text().contains(bar), "{}", page.text());
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let text = octocat.send("GET", ACCOUNT, &[("accept", "text/plain")], "").text();
    let block = format!("Limit: core\nLeft: 4,199 of 5,000\nFull again: {full}\n\n{saved}\n");
    assert!(text.contains(&block), "{text}");

    // Somebody else's are somebody else's.
    let page = hubot.fetch("https://auth.example.com/.gatekeep/account");
    assert!(!page.text().contains("4,199") && !page.text().contains(&saved), "{}", page.text());
}

#[test]
fn a_pause_that_github_asks_for_is_shown_with_its_end() {
    let (world, mut octocat) = world();
    assert_eq!(octocat.get(&at("/user")).status, 200);
    assert!(!note(&mut octocat).contains("pause"));
    let trouble = Trouble::SecondaryLimit { status: 429, retry_after: Some(90) };
    world.github.knobs().once("/user/repos", trouble);
    assert_eq!(octocat.get(&at("/user/repos")).status, 429);
    // A second more than GitHub says, for the rounding.
    let until = world.gate.clock.now() + Duration::from_secs(91);
    let pause = format!(
        "GitHub asked for a pause: nothing goes there in your name before {until}. Your requests"
    );
    assert!(note(&mut octocat).starts_with(&pause), "{}", note(&mut octocat));
    assert_eq!(budgets(&world)[0]["paused_until"], until.unix());
    world.gate.clock.advance(Duration::from_secs(91));
    assert!(!note(&mut octocat).contains("pause"));
    assert_eq!(budgets(&world)[0]["paused_until"], Value::Null);
}

/// Who cannot ask GitHub here has nothing to look at.
#[test]
fn it_is_shown_to_those_whom_a_route_lets_ask_in_their_own_name() {
    let routes = ROUTES.replace("allow: anyone", "allow: { users: [hubot] }");
    let world = World::with("", &routes.replace("orgs: [acme]", "users: [octocat, hubot]"));
    let (mut octocat, _) = world.signed_in("octocat", APP);
    let (mut hubot, _) = world.signed_in("hubot", APP);
    assert_eq!(shown(&mut octocat), None);
    assert!(shown(&mut hubot).is_some());

    let as_acme =
        ROUTES.replace("upstream: github", "upstream: { github: { installation: acme } }");
    let world = World::with_app(&as_acme);
    world.github.install(Installation::new(5, "acme").repository(1, "notes"));
    let (mut octocat, _) = world.signed_in("octocat", APP);
    assert_eq!(octocat.get(&at("/installation/repositories")).status, 200);
    assert_eq!(shown(&mut octocat), None);
    let listed = budgets(&world);
    assert_eq!(listed[0]["installation"], 5);
    assert_eq!((&listed[0]["requests"], &listed[0]["free"]), (&json!(1), &json!(0)));
}

#[test]
fn operators_see_all_budgets_and_the_most_urgent_first() {
    let world = World::with("", &ROUTES.replace("{ orgs: [acme] }", "anyone"));
    let mut octocat = unheard_of(&world, "octocat");
    let mut hubot = unheard_of(&world, "hubot");
    assert_eq!(budgets(&world), json!([]));
    world.github.set_remaining("octocat", "core", 4000);
    world.github.set_remaining("hubot", "core", 300);
    let now = world.gate.clock.now().unix();
    let of_octocat = reset(&octocat.get(&at("/user")));
    let of_hubot = reset(&hubot.get(&at("/user")));
    assert_eq!(hubot.get(&at("/user")).status, 200);
    let id = |login: &str| world.github.person(login).expect("a person").id;
    let budget = |login: &str, remaining: u64, reset: i64, (requests, free): (u64, u64)| {
        json!({
            "user": id(login),
            "limits": [{
                "resource": "core", "limit": 5000, "remaining": remaining,
                "used": 5000 - remaining, "reset": reset,
            }],
            "paused_until": null,
            "under_way": 0,
            "waiting": 0,
            "requests": requests,
            "free": free,
            "since": now,
        })
    };
    let urgent = budget("hubot", 299, of_hubot, (2, 1));
    let calm = budget("octocat", 3999, of_octocat, (1, 0));
    assert_eq!(budgets(&world), json!([urgent, calm]));
}

#[test]
fn the_metrics_say_how_long_github_takes_what_it_answers_and_how_old_answers_are() {
    let (world, mut octocat) = world();
    let answered = |status: &str, reason: &str| {
        let labels = format!(r#"{{reason="{reason}",status="{status}"}}"#);
        world.gate.metric(&format!("gatekeep_github_upstream_total{labels}"))
    };
    for _ in 0..3 {
        assert_eq!(octocat.get(&at(HELLO)).status, 200);
    }
    assert_eq!(octocat.get(&at("/repos/octocat/nowhere")).status, 404);
    let busy = Trouble::SecondaryLimit { status: 403, retry_after: Some(1) };
    world.github.knobs().once("/user/repos", busy);
    assert_eq!(octocat.get(&at("/user/repos")).status, 403);
    world.gate.clock.advance(Duration::from_secs(2));
    world.github.knobs().at("/user/orgs", Trouble::Swallow);
    assert_eq!(octocat.get(&at("/user/orgs")).status, 502);
    for (status, reason, count) in [
        ("2xx", "answered", 1.0),
        ("3xx", "not-modified", 2.0),
        ("4xx", "answered", 1.0),
        ("4xx", "secondary", 1.0),
        ("none", "cut", 1.0),
    ] {
        assert_eq!(answered(status, reason), Some(count), "{status} {reason}");
    }
    assert_eq!(answered("none", "abandoned"), None);
    let took = r#"gatekeep_github_upstream_seconds_count{resource="core"}"#;
    assert_eq!(world.gate.metric(took), Some(5.0));

    // What is held is shown in the place of GitHub's trouble, ten minutes old.
    let age = |part: &str| format!(r#"gatekeep_github_entry_age_seconds_{part}{{mode="stale"}}"#);
    assert_eq!(world.gate.metric(&age("count")), None, "what GitHub has just said has no age");
    world.gate.clock.advance(Duration::from_secs(600));
    world.github.knobs().at(HELLO, Trouble::Swallow);
    assert_eq!(octocat.get(&at(HELLO)).status, 200);
    assert_eq!(world.gate.metric(&age("count")), Some(1.0));
    assert_eq!(world.gate.metric(&age("sum")), Some(602.0));
}

/// What the account page says of the app: where it is installed, and what it says in words.
fn installed(browser: &mut Browser) -> (Vec<(String, String, bool)>, Option<String>) {
    let table = table(browser, "GitHub App").expect("it is on the page");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let row = |row: &Value| {
        let is_suspended = row["mark"] == "suspended";
        (text(&row["Installed on"]), text(&row["Repositories"]), is_suspended)
    };
    let rows = table["rows"].as_array().expect("rows").iter().map(row).collect();
    (rows, table["note"].as_str().map(str::to_owned))
}

#[test]
fn the_account_page_shows_where_the_app_is_installed() {
    let world = World::with_app(ROUTES);
    world.github.install(Installation::new(5, "acme").repository(1, "notes"));
    world.github.install(Installation::new(6, "hubot").repository(2, "own"));
    let (mut octocat, _) = world.signed_in("octocat", APP);
    let acme = |is_suspended| vec![("acme".to_owned(), "all".to_owned(), is_suspended)];
    assert_eq!(installed(&mut octocat), (acme(false), None));
    // GitHub is not asked at every look.
    world.github.suspend(5, true);
    assert_eq!(installed(&mut octocat), (acme(false), None));
    assert_eq!(world.github.calls("GET /user/installations"), 1);
    world.gate.clock.advance(Duration::from_secs(60));
    assert_eq!(installed(&mut octocat), (acme(true), None));
    let page = octocat.get(ACCOUNT).text();
    assert!(page.contains("acme <span class=\"tag\">suspended</span>"), "{page}");

    world.github.uninstall(5);
    world.gate.clock.advance(Duration::from_secs(60));
    let nowhere = Some("The app is installed nowhere that you can see.".to_owned());
    assert_eq!(installed(&mut octocat), (Vec::new(), nowhere));
    // Without an app nothing is said of one.
    let (_world, mut octocat) = self::world();
    assert_eq!(table(&mut octocat, "GitHub App"), None);
}

/// However often somebody looks at once, GitHub is asked once.
#[test]
fn many_looks_at_once_ask_github_once() {
    let world = World::with_app(ROUTES);
    world.github.install(Installation::new(5, "acme").repository(1, "notes"));
    world.github.install(Installation::new(6, "hubot").repository(2, "own"));
    let [octocat, hubot] = ["octocat", "hubot"].map(|person| world.signed_in(person, APP).0);
    let path = "/user/installations";
    let gate = Gate::new();
    world.github.knobs().at(path, Trouble::Hold(gate.clone()));
    std::thread::scope(|scope| {
        let look = |who: &Browser| {
            let mut who = who.clone();
            scope.spawn(move || installed(&mut who))
        };
        let looks: Vec<_> = (0..8).map(|_| look(&octocat)).collect();
        let other = look(&hubot);
        assert!(gate.wait_for(2, Duration::from_secs(20)), "each account is asked for");
        under_way(&world, 9);
        gate.release();
        let seen: Vec<_> = looks.into_iter().map(|it| it.join().expect("a page")).collect();
        assert!(seen.iter().all(|page| *page == seen[0]), "{seen:?}");
        assert!(other.join().expect("a page") != seen[0], "another's is another's");
    });
    assert_eq!(world.github.calls("GET /user/installations"), 2);
}

#[test]
fn the_account_page_does_without_github_s_answer() {
    let world = World::with_app(ROUTES);
    world.github.install(Installation::new(5, "acme").repository(1, "notes"));
    let (mut octocat, _) = world.signed_in("octocat", APP);
    let unknown = Some("GitHub does not say just now where the app is installed.".to_owned());
    let path = "/user/installations";
    for trouble in [Trouble::Refuse, Trouble::answer(403, "application/json", "{}")] {
        world.github.knobs().at(path, trouble);
        assert_eq!(installed(&mut octocat), (Vec::new(), unknown.clone()));
        world.gate.clock.advance(Duration::from_secs(60));
    }
    world.github.knobs().off(path);
    assert_eq!(installed(&mut octocat).0.len(), 1);
    // A pause that GitHub asked for is kept.
    let limit = Trouble::SecondaryLimit { status: 429, retry_after: Some(300) };
    world.github.knobs().once("/user/repos", limit);
    assert_eq!(octocat.get(&at("/user/repos")).status, 429);
    world.gate.clock.advance(Duration::from_secs(60));
    let asked = world.github.calls("GET /user/installations");
    assert_eq!(installed(&mut octocat), (Vec::new(), unknown));
    assert_eq!(world.github.calls("GET /user/installations"), asked);
}
