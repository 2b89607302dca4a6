//! The budgets and the limits on haste.

use serde_json::json;

use super::*;

const ISSUE: &str = "/repos/acme/rocket/issues/1";

fn rate(answer: &Answer, name: &str) -> u64 {
    answer.header(&format!("x-ratelimit-{name}")).unwrap().parse().unwrap()
}

fn message(answer: &Answer) -> String {
    answer.json()["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_budget_belongs_to_the_person_and_not_to_the_token() {
    let github = github();
    let [one, two] = [(); 2].map(|()| github.token_for("octocat", "repo"));
    let other = github.token_for("hubot", "repo");
    let used = |token: &str| rate(&get(&github, ISSUE, token), "used");
    assert_eq!([used(&one), used(&two), used(&other)], [1, 2, 1]);
    assert_eq!(
        (github.charged_to("octocat"), github.charged_to("hubot"), github.charged()),
        (2, 1, 3)
    );
    assert_eq!(get(&github, "/repos/no/where", &one).status, 404);
    assert_eq!(github.charged_to("octocat"), 3, "a 404 costs a point");
    let answer = get(&github, "/rate_limit", &one).json();
    assert_eq!(answer["resources"]["core"]["remaining"], 4_997);
    assert_eq!((&answer["rate"]["used"], github.charged_to("octocat")), (&3.into(), 3));
    assert_eq!(answer["resources"]["search"]["limit"], 30);
}

#[test]
fn a_304_is_free_for_who_is_authorised() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    let known = |path: &str, headers: &str| {
        let line = format!("GET /api/v3{path}");
        let full = ask(github.address(), &line, headers, "");
        let before = github.charged();
        let headers = format!("{headers}If-None-Match: {}\r\n", full.header("etag").unwrap());
        let same = ask(github.address(), &line, &headers, "");
        assert_eq!(same.status, 304);
        (rate(&same, "used") - rate(&full, "used"), github.charged() - before)
    };
    assert_eq!(known(ISSUE, &format!("Authorization: Bearer {token}\r\n")), (0, 0));
    assert_eq!(known("/repos/octocat/hello-world", ""), (1, 1), "nobody's 304 costs a point");
    let charged: Vec<u64> = github.journal().iter().map(|entry| entry.charged).collect();
    assert_eq!(charged, [1, 0, 1, 1]);
}

#[test]
fn a_spent_budget_refuses_until_its_window_ends() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    let full = get(&github, ISSUE, &token);
    let known = format!(
        "Authorization: Bearer {token}\r\nIf-None-Match: {}\r\n",
        full.header("etag").unwrap()
    );
    let conditional = || ask(github.address(), &format!("GET /api/v3{ISSUE}"), &known, "").status;
    github.set_remaining("octocat", "core", 1);
    assert_eq!(rate(&get(&github, ISSUE, &token), "remaining"), 0);
    let refused = get(&github, ISSUE, &token);
    assert_eq!((refused.status, rate(&refused, "remaining")), (403, 0));
    assert!(message(&refused).starts_with("API rate limit exceeded for user ID 583231."));
    assert!(!message(&refused).contains("secondary rate"));
    let docs = refused.json()["documentation_url"].as_str().unwrap().to_owned();
    assert!(docs.ends_with("#about-primary-rate-limits"));
    assert_eq!(conditional(), 304);
    github.knobs().limits(|limits| (limits.unchanged_when_spent, limits.status) = (false, 429));
    assert_eq!((conditional(), get(&github, ISSUE, &token).status), (429, 429));
    let title = json!({ "title": "Sneaked in" });
    assert_eq!(send(&github, &format!("PATCH {ISSUE}"), &token, &title).status, 429);
    assert_eq!(get(&github, "/search/issues?q=x", &token).status, 200, "another budget");
    let rates = get(&github, "/rate_limit", &token);
    assert_eq!((rates.status, &rates.json()["resources"]["core"]["remaining"]), (200, &0.into()));
    github.advance(Duration::from_secs(3_601));
    let again = get(&github, ISSUE, &token);
    assert_eq!((again.status, rate(&again, "used")), (200, 1));
    assert_ne!(again.json()["title"], "Sneaked in");
    assert!(rate(&again, "reset") > rate(&refused, "reset"));
}

#[test]
fn searches_and_strangers_have_small_budgets() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    github.knobs().limits(|limits| (limits.search, limits.anonymous) = (2, 1));
    let search = || get(&github, "/search/issues?q=x", &token).status;
    assert_eq!([search(), search(), search()], [200, 200, 403]);
    github.advance(Duration::from_secs(61));
    assert_eq!(search(), 200);
    let anonymous = || ask(github.address(), "GET /api/v3/meta", "", "");
    assert_eq!([anonymous().status, anonymous().status], [200, 403]);
    assert!(message(&anonymous()).contains("Authenticated requests get a higher rate limit"));
}

#[test]
fn headers_are_as_noisy_as_the_knobs_want() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    let seen = || {
        let answer = get(&github, ISSUE, &token);
        (rate(&answer, "used"), rate(&answer, "reset"))
    };
    github.knobs().limits(|limits| limits.two_windows = true);
    let [one, two, three, four] = [(); 4].map(|()| seen());
    assert_eq!((one.0, two.0, three.0, four.0), (1, 1, 2, 2));
    assert!(one.1 == three.1 && two.1 == four.1 && one.1.abs_diff(two.1) == 1_800);
    github.knobs().limits(|limits| (limits.two_windows, limits.jitter) = (false, true));
    let resets = [(); 2].map(|()| seen().1);
    assert_eq!(resets[0].abs_diff(resets[1]), 1);
    github.knobs().limits(|limits| limits.enabled = false);
    let unlimited = get(&github, ISSUE, &token);
    assert_eq!((unlimited.status, unlimited.header("x-ratelimit-limit")), (200, None));
    assert_eq!(get(&github, "/rate_limit", &token).status, 404);
}

#[test]
fn haste_at_one_endpoint_is_refused_and_at_last_banned() {
    let github = github();
    let [token, other] = ["octocat", "hubot"].map(|login| github.token_for(login, "repo"));
    github.knobs().limits(|limits| (limits.points, limits.ban_after) = (2, Some(3)));
    assert_eq!([(); 2].map(|()| get(&github, ISSUE, &token).status), [200; 2]);
    let refused = get(&github, "/repos/acme/rocket/issues/2", &token);
    assert_eq!((refused.status, refused.header("retry-after")), (403, Some("60")));
    assert!(message(&refused).starts_with("You have exceeded a secondary rate limit"));
    assert!(rate(&refused, "remaining") > 0);
    let docs = refused.json()["documentation_url"].as_str().unwrap().to_owned();
    assert!(docs.ends_with("secondary-rate-limits"));
    assert_eq!(get(&github, "/user", &token).status, 403, "everything of theirs is refused");
    assert_eq!(get(&github, ISSUE, &other).status, 200);
    assert!(!github.banned());
    github.advance(Duration::from_secs(61));
    assert_eq!(get(&github, ISSUE, &token).status, 200, "patience helps");
    assert_eq!(github.violations(), 2);
    let title = json!({ "title": "A write costs five points" });
    assert_eq!(send(&github, &format!("PATCH {ISSUE}"), &token, &title).status, 403);
    assert!(github.banned());
    github.advance(Duration::from_secs(3_600));
    let banned = get(&github, ISSUE, &token);
    assert_eq!((banned.status, banned.header("retry-after")), (403, None));
}

#[test]
fn too_many_at_once_are_refused() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    github.knobs().limits(|limits| limits.concurrent = 2);
    let gate = Gate::new();
    github.knobs().at(ISSUE, Trouble::Hold(gate.clone()));
    std::thread::scope(|scope| {
        let waiting = [(); 2].map(|()| scope.spawn(|| get(&github, ISSUE, &token).status));
        assert!(gate.wait_for(2, Duration::from_secs(5)));
        assert_eq!(get(&github, "/user", &token).status, 403);
        github.advance(Duration::from_secs(61));
        gate.release();
        assert_eq!(waiting.map(|thread| thread.join().unwrap()), [200; 2]);
    });
    assert_eq!(github.most_at_once(), 3);
    assert_eq!(get(&github, "/user", &token).status, 200, "nobody is left waiting");
}

#[test]
fn making_things_has_a_limit_of_its_own() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    github.knobs().limits(|limits| (limits.creations, limits.retry_after) = (1, false));
    let new = json!({ "title": "New", "body": "x" });
    let create = || send(&github, "POST /repos/acme/rocket/issues", &token, &new);
    assert_eq!(create().status, 201);
    let refused = create();
    assert_eq!((refused.status, refused.header("retry-after")), (403, None));
}

#[test]
fn a_limit_may_come_out_of_nowhere() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    let limit = |status, retry_after| Trouble::SecondaryLimit { status, retry_after };
    github.knobs().once(ISSUE, limit(429, Some(7)));
    let refused = get(&github, ISSUE, &token);
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("7")));
    github.knobs().times(2, ISSUE, limit(403, None));
    assert_eq!([(); 3].map(|()| get(&github, ISSUE, &token).status), [403, 403, 200]);
    assert_eq!((github.charged(), github.violations()), (1, 0));
}
