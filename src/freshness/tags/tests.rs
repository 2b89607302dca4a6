use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::*;

fn texts(tags: &[Tag]) -> Vec<&str> {
    tags.iter().map(Tag::as_str).collect()
}

fn carried(path: &str) -> Vec<Tag> {
    tags_of(&ApiPath::parse(path).unwrap(), Some(5))
}

const SHA: &str = "6dcb09b5b57875f334f61aebed695e2e4193db5e";

#[test]
fn an_answer_carries_the_tags_of_every_level() {
    let check = format!("repo:acme/wiki/checks/{SHA}");
    let cases: [(&str, &[&str]); 24] = [
        ("/repos/Acme/Wiki", &["repo:acme/wiki", "repo:acme/wiki/"]),
        ("/repositories/7", &["repo:#7", "repo:#7/"]),
        ("/repositories/7/issues?page=2", &["repo:#7", "repo:#7/issues", "repo:#7/issues/"]),
        (
            "/repos/acme/wiki/issues/7/comments",
            &["repo:acme/wiki", "repo:acme/wiki/issues", "repo:acme/wiki/issues/7"],
        ),
        (
            "/repos/acme/wiki/pulls/comments/9",
            &["repo:acme/wiki", "repo:acme/wiki/pulls", "repo:acme/wiki/pulls/comments"],
        ),
        ("/repos/acme/wiki/readme", &["repo:acme/wiki", "repo:acme/wiki/contents"]),
        ("/repos/acme/wiki/contents/issues/7", &["repo:acme/wiki", "repo:acme/wiki/contents"]),
        ("/repos/acme/wiki/compare/a...b", &["repo:acme/wiki", "repo:acme/wiki/commits"]),
        ("/repos/acme/wiki/commits/main", &["repo:acme/wiki", "repo:acme/wiki/commits"]),
        (
            "/repos/acme/wiki/commits/main/status",
            &["repo:acme/wiki", "repo:acme/wiki/checks", "repo:acme/wiki/checks/"],
        ),
        (
            "/repos/acme/wiki/commits/6dcb09b5b57875f334f61aebed695e2e4193db5e/check-runs",
            &["repo:acme/wiki", "repo:acme/wiki/checks", &check],
        ),
        (
            "/repos/acme/wiki/check-runs/4",
            &["repo:acme/wiki", "repo:acme/wiki/checks", "repo:acme/wiki/checks/"],
        ),
        ("/repos/acme/wiki/nothing/we/know", &["repo:acme/wiki", "repo:acme/wiki/nothing"]),
        ("/repos/acme/wiki/", &["repo:acme/wiki", "repo:acme/wiki/"]),
        ("/orgs/Acme", &["account:acme", "account:acme/"]),
        ("/orgs/acme/public_members", &["account:acme", "account:acme/members"]),
        ("/organizations/9/team/4/members", &["account:#9", "account:#9/teams"]),
        ("/orgs/acme/teams/a/repos", &["account:acme", "account:acme/teams"]),
        ("/users/acme/repos", &["account:acme", "account:acme/repos"]),
        ("/user/9/repos", &["account:#9", "account:#9/repos"]),
        ("/user", &["account:#5", "account:#5/"]),
        ("/user/orgs", &["account:#5", "account:#5/orgs"]),
        ("/gists/aa/comments", &["other:gists", "other:gists/aa"]),
        ("/", &["other:", "other:/"]),
    ];
    for (path, tags) in cases {
        assert_eq!(texts(&carried(path)), tags, "{path}");
    }
    let of_installation = tags_of(&ApiPath::parse("/user").unwrap(), None);
    assert_eq!(texts(&of_installation), ["other:user", "other:user/"]);
}

#[test]
fn a_number_is_no_name() {
    assert_ne!(carried("/repos/7/issues")[0], carried("/repositories/7/issues")[1]);
    assert_ne!(carried("/orgs/9")[0], carried("/organizations/9")[0]);
}

fn bumped(write: (&str, &str), reply: Option<&Reply<'_>>) -> Vec<Tag> {
    let method: Method = write.0.parse().unwrap();
    written(&method, &ApiPath::parse(write.1).unwrap(), Some(5), reply)
}

/// What happens, what grows old by it, and what does not.
type Case<What> = (What, &'static [&'static str], &'static [&'static str]);

/// Whether an answer at this path grows old by these tags.
fn ages(tags: &[Tag], path: &str) -> bool {
    carried(path).iter().any(|tag| tags.contains(tag))
}

#[test]
fn a_write_ages_what_it_changes_and_leaves_the_rest() {
    let repo = |path: &str| format!("/repos/acme/wiki{path}");
    let cases: [Case<(&str, &str)>; 12] = [
        (
            ("PATCH", "/issues/7"),
            &["/issues/7", "/issues", "", "/pulls/7", "/issues/7/comments", "/issues/events"],
            &["/issues/8", "/contents/x", "/labels", "/commits/main"],
        ),
        (
            ("POST", "/issues/7/comments"),
            &["/issues/7/comments", "/issues/comments"],
            &["/issues/8"],
        ),
        (("POST", "/issues"), &["/issues", ""], &["/issues/7"]),
        (
            ("DELETE", "/issues/comments/3"),
            &["/issues/7/comments", "/issues/comments/3"],
            &["/git/x"],
        ),
        (
            ("PUT", "/pulls/7/merge"),
            &["/pulls/7", "/commits", "/contents/x", "/branches"],
            &["/labels"],
        ),
        (
            ("PUT", "/contents/x"),
            &["/contents/y", "/commits/main", "/git/ref/heads/main"],
            &["/issues"],
        ),
        (("POST", "/git/refs"), &["/branches", "/commits", "/tags"], &["/releases"]),
        (("PATCH", "/labels/bug"), &["/labels", "/issues/7", "/pulls"], &["/contents/x"]),
        (("POST", "/releases"), &["/releases/latest", "/tags"], &["/issues"]),
        (
            ("POST", "/statuses/6dcb09b5b57875f334f61aebed695e2e4193db5e"),
            &["/commits/main/status"],
            &["/issues"],
        ),
        (("PUT", "/collaborators/mona"), &["/collaborators", "", "/issues"], &[]),
        (("PATCH", ""), &["", "/issues", "/contents/x"], &[]),
    ];
    for ((method, path), aged, left) in cases {
        let tags = bumped((method, &repo(path)), None);
        for path in aged {
            assert!(ages(&tags, &repo(path)), "{method} {path} {tags:?}");
        }
        for path in left {
            assert!(!ages(&tags, &repo(path)), "{method} {path} {tags:?}");
        }
        assert!(!ages(&tags, "/repos/acme/other/issues"), "{method} {path}");
    }
}

#[test]
fn a_write_elsewhere_names_what_it_changes() {
    let star = bumped(("PUT", "/user/starred/Acme/Wiki"), None);
    for path in
        ["/user/starred", "/repos/acme/wiki", "/repos/acme/wiki/stargazers", "/user/5/starred"]
    {
        assert!(ages(&star, path), "{path}");
    }
    assert!(!ages(&star, "/repos/acme/wiki/issues"));
    for path in ["/orgs/acme/teams/t/repos/acme/wiki", "/teams/4/repos/acme/wiki"] {
        let team = bumped(("PUT", path), None);
        assert!(ages(&team, "/repos/acme/wiki/contents/x") && ages(&team, path), "{path}");
    }
    let deleted = bumped(("DELETE", "/repos/acme/wiki"), None);
    assert!(ages(&deleted, "/orgs/acme/repos"));
    let gist = bumped(("PATCH", "/gists/aa"), None);
    assert!(
        ages(&gist, "/gists/aa/comments") && ages(&gist, "/gists") && !ages(&gist, "/gists/bb")
    );
}

#[test]
fn the_answer_names_more() {
    let body = json!({
        "url": "https://api.github.com/repos/acme/wiki/issues/comments/9",
        "issue_url": "https://api.github.com/repos/acme/wiki/issues/7",
        "html_url": "https://github.com/acme/other/issues/8",
        "body": "https://api.github.com/repos/acme/other/issues/8",
    });
    let status = StatusCode::OK;
    let reply = Reply { status, body: Some(&body), location: None };
    let tags = bumped(("PATCH", "/repos/acme/wiki/issues/comments/9"), Some(&reply));
    assert!(ages(&tags, "/repos/acme/wiki/issues/7"));
    assert!(!ages(&tags, "/repos/acme/other/issues/8"));
    let status = StatusCode::TEMPORARY_REDIRECT;
    for location in [
        "https://api.github.com/repositories/7/issues/9",
        "https://git.example.com/api/v3/repositories/7/issues/9",
        "/repositories/7/issues/9",
    ] {
        let reply = Reply { status, body: None, location: Some(location) };
        let tags = bumped(("PATCH", "/repos/acme/old/issues/9"), Some(&reply));
        assert!(ages(&tags, "/repositories/7/issues/9"), "{location}");
        assert!(ages(&tags, "/repos/acme/old/issues/9"), "{location}");
    }
    for location in ["", "x", "https://x", "https://x/..", "://"] {
        let reply = Reply { status, body: Some(&Value::Null), location: Some(location) };
        let write = ("PATCH", "/repos/acme/old/issues/9");
        assert_eq!(bumped(write, Some(&reply)), bumped(write, None), "{location}");
    }
}

#[test]
fn what_changes_nothing_bumps_nothing() {
    let write = ("PATCH", "/repos/acme/wiki/issues/7");
    for status in [400, 401, 403, 404, 422] {
        let status = StatusCode::from_u16(status).unwrap();
        let reply = Reply { status, body: None, location: None };
        assert!(bumped(write, Some(&reply)).is_empty(), "{status}");
    }
    for status in [200, 201, 202, 204, 301, 307, 409, 429, 500, 502] {
        let status = StatusCode::from_u16(status).unwrap();
        let reply = Reply { status, body: None, location: None };
        assert!(!bumped(write, Some(&reply)).is_empty(), "{status}");
    }
    for method in ["GET", "HEAD", "OPTIONS"] {
        assert!(bumped((method, write.1), None).is_empty(), "{method}");
    }
    assert!(bumped(("POST", "/graphql"), None).is_empty());
}

fn wiki() -> Value {
    let owner = json!({"login": "Acme", "id": 9});
    json!({"id": 7, "name": "Wiki", "full_name": "Acme/Wiki", "owner": owner})
}

/// An event of the repository with these fields besides.
fn told(event: &str, fields: Value) -> Invalidation {
    let mut payload = fields;
    payload["repository"] = wiki();
    event_tags(event, &payload)
}

fn check<const N: usize>(cases: [Case<(&str, Value)>; N]) {
    for ((event, fields), aged, left) in cases {
        let tags = told(event, fields).bump;
        for owner in ["/repos/acme/wiki", "/repositories/7"] {
            for path in aged {
                assert!(ages(&tags, &format!("{owner}{path}")), "{event} {owner}{path} {tags:?}");
            }
            for path in left {
                assert!(!ages(&tags, &format!("{owner}{path}")), "{event} {owner}{path} {tags:?}");
            }
        }
        assert!(!ages(&tags, "/repos/acme/other"), "{event}");
    }
}

#[test]
fn an_event_about_code_ages_code() {
    check([
        (
            ("push", json!({})),
            &["/commits", "/contents/x", "/git/ref/x", "/branches", "/compare/a...b", ""],
            &["/issues"],
        ),
        (("create", json!({})), &["/git/ref/x", "/branches", "/tags", "/releases"], &["/issues"]),
        (("release", json!({})), &["/releases/latest"], &["/issues"]),
        (("branch_protection_rule", json!({})), &["/branches/main", "/rulesets"], &["/issues"]),
        (
            ("status", json!({"sha": SHA})),
            &["/commits/main/status", "/commits/6dcb09b5b57875f334f61aebed695e2e4193db5e/status"],
            &["/commits/0000000000000000000000000000000000000000/status", "/issues"],
        ),
        (
            ("check_run", json!({"check_run": {"head_sha": SHA}})),
            &["/check-runs/4", "/statuses/6dcb09b5b57875f334f61aebed695e2e4193db5e"],
            &["/issues"],
        ),
        (("check_run", json!({})), &["/check-runs/4", "/commits/main/status"], &["/issues"]),
        (("workflow_run", json!({})), &["/actions/runs/4", "/check-runs/4"], &["/issues"]),
        (("deployment_status", json!({})), &["/deployments/4", "/environments"], &["/issues"]),
    ]);
}

#[test]
fn an_event_about_a_thread_ages_it_and_its_lists() {
    let both = json!({"sub_issue": {"number": 3}, "parent_issue": {"number": 4}});
    check([
        (
            ("issues", json!({"issue": {"number": 3}})),
            &["/issues/3", "/issues", "/issues/3/timeline", ""],
            &["/issues/4", "/commits"],
        ),
        (
            ("issue_comment", json!({"issue": {"number": 3}})),
            &["/issues/3/comments", "/pulls/3", "/issues/comments/9"],
            &["/issues/4"],
        ),
        (("sub_issues", both), &["/issues/3", "/issues/4"], &["/issues/5"]),
        (("issues", json!({})), &["/issues/3", "/issues"], &["/commits"]),
        (
            ("pull_request", json!({"number": 3, "pull_request": {}})),
            &["/pulls/3", "/issues/3", "/pulls", "/commits"],
            &["/pulls/4"],
        ),
        (
            ("pull_request_review_comment", json!({"pull_request": {"number": 3}})),
            &["/pulls/3", "/pulls/comments/8"],
            &["/pulls/4"],
        ),
        (("label", json!({})), &["/labels", "/issues/3", "/pulls/3"], &["/commits"]),
        (("milestone", json!({})), &["/milestones", "/issues/3"], &["/commits", "/labels"]),
    ]);
}

#[test]
fn an_event_about_people_or_an_unknown_one_ages_the_repository() {
    let member = json!({"member": {"login": "mona", "id": 5}});
    check([
        (("star", json!({})), &["/stargazers", ""], &["/issues"]),
        (("fork", json!({})), &["/forks", ""], &["/issues"]),
        (("member", member), &["/collaborators", "", "/issues"], &[]),
        (("something_new", json!({})), &["/issues", "", "/x"], &[]),
    ]);
}

#[test]
fn people_age_what_they_may_see() {
    let organization = json!({"login": "Acme", "id": 9});
    let person = json!({"login": "mona", "id": 5});
    let payload = json!({"organization": organization, "member": person, "team": {"id": 4}});
    let tags = event_tags("membership", &payload).bump;
    for path in [
        "/user/orgs",
        "/users/mona/orgs",
        "/orgs/acme/teams/t",
        "/organizations/9/members",
        "/teams/4",
    ] {
        assert!(ages(&tags, path), "{path}");
    }
    assert!(!ages(&tags, "/users/octocat/orgs") && !ages(&tags, "/orgs/acme/repos"));
    let payload = json!({"organization": organization, "membership": {"user": person}});
    assert!(ages(&event_tags("organization", &payload).bump, "/user/orgs"));
    let changes = json!({"login": {"from": "Old"}});
    let renamed = json!({"action": "renamed", "organization": organization, "changes": changes});
    let tags = event_tags("organization", &renamed).bump;
    assert!(ages(&tags, "/orgs/old/repos") && ages(&tags, "/orgs/acme/repos"));
}

#[test]
fn a_repository_that_changes_as_a_whole_is_no_longer_shared() {
    let renamed =
        json!({"action": "renamed", "changes": {"repository": {"name": {"from": "Old"}}}});
    let result = told("repository", renamed);
    assert_eq!(texts(&result.purge_shared), ["repo:acme/wiki", "repo:#7", "repo:acme/old"]);
    for path in
        ["/repos/acme/old/issues", "/repos/acme/wiki/issues", "/repositories/7", "/orgs/acme/repos"]
    {
        assert!(ages(&result.bump, path), "{path}");
    }
    let from = json!({"user": {"login": "Mona", "id": 5}});
    let transferred = json!({"action": "transferred", "changes": {"owner": {"from": from}}});
    let result = told("repository", transferred);
    assert!(texts(&result.purge_shared).contains(&"repo:mona/wiki"));
    assert!(ages(&result.bump, "/users/mona/repos"));
    for action in ["privatized", "publicized", "deleted", "archived"] {
        assert!(!told("repository", json!({"action": action})).purge_shared.is_empty(), "{action}");
    }
    assert!(told("repository", json!({"action": "edited"})).purge_shared.is_empty());
    assert!(!told("public", json!({})).purge_shared.is_empty());
    assert!(told("push", json!({})).purge_shared.is_empty());
}

#[test]
fn installations_and_hooks_come_and_go() {
    let payload = json!({"action": "suspend", "installation": {"id": 77}});
    for event in ["installation", "installation_repositories"] {
        assert_eq!(event_tags(event, &payload).installation, Some(77), "{event}");
    }
    let push = json!({"installation": {"id": 77}});
    assert_eq!(told("push", push).installation, None);
    assert_eq!(
        texts(&told("meta", json!({"action": "deleted"})).uncovered),
        ["repo:acme/wiki", "repo:#7"]
    );
    let of_org = json!({"organization": {"login": "Acme", "id": 9}});
    assert_eq!(texts(&event_tags("meta", &of_org).uncovered), ["account:acme", "account:#9"]);
    for action in ["deleted", "transferred", "archived"] {
        let is_gone = action != "archived";
        let result = told("repository", json!({"action": action}));
        assert_eq!(!result.uncovered.is_empty(), is_gone, "{action}");
    }
    for event in ["ping", "github_app_authorization"] {
        assert_eq!(told(event, json!({})), Invalidation::default(), "{event}");
    }
}

#[test]
fn where_the_app_is_not_any_more_it_tells_of_nothing() {
    let account = json!({"login": "Acme", "id": 9});
    let payload =
        |action| json!({"action": action, "installation": {"id": 77, "account": account}});
    for action in ["deleted", "suspend"] {
        let tags = event_tags("installation", &payload(action)).uncovered;
        assert_eq!(texts(&tags), ["account:acme", "account:#9"], "{action}");
    }
    for action in ["created", "unsuspend", "new_permissions_accepted"] {
        assert!(event_tags("installation", &payload(action)).uncovered.is_empty(), "{action}");
    }
    let mut removed = payload("removed");
    removed["repositories_removed"] = json!([{"id": 7, "full_name": "Acme/Wiki"}]);
    let tags = event_tags("installation_repositories", &removed).uncovered;
    assert_eq!(texts(&tags), ["repo:acme/wiki", "repo:#7"]);
}

#[test]
fn no_payload_is_too_strange() {
    for event in ["push", "issues", "repository", "membership", "meta", "check_run", "x", ""] {
        for payload in [json!(null), json!([]), json!(7), json!({}), json!({"repository": []})] {
            assert_eq!(event_tags(event, &payload), Invalidation::default(), "{event} {payload}");
        }
    }
}

#[test]
fn names_are_learnt_from_where_github_puts_them() {
    let named = |body: Value| {
        let mut names: Vec<_> = names_in(&body).map(|(name, id)| (name.to_owned(), id)).collect();
        names.sort_unstable();
        names
    };
    let wiki_and_owner = [("Acme".to_owned(), 9), ("Acme/Wiki".to_owned(), 7)];
    assert_eq!(named(wiki()), wiki_and_owner);
    assert_eq!(named(json!([wiki()])), wiki_and_owner);
    assert_eq!(named(json!({"total_count": 1, "items": [wiki()]})), wiki_and_owner);
    assert_eq!(named(json!({"number": 3, "head": {"repo": wiki()}})), wiki_and_owner);
    for body in [
        json!({"payload": wiki()}),
        json!({"client_payload": {"repository": wiki()}}),
        json!({"id": "7", "full_name": "a/b"}),
        json!({"id": 7, "full_name": "a"}),
        json!({"id": 7, "full_name": "a/b/c"}),
        json!({"id": 7, "full_name": "a/"}),
        json!({"id": 7, "login": "a/b"}),
        json!({"id": -7, "login": "a"}),
        json!("x"),
    ] {
        assert_eq!(named(body.clone()), [], "{body}");
    }
}

#[test]
fn a_change_told_by_name_ages_what_was_asked_by_number() {
    let mut names = Names::new(10);
    names.learn("Acme/Wiki", 7);
    names.learn("Acme", 9);
    let tags = bumped(("PATCH", "/repos/acme/wiki/issues/3"), None);
    assert!(!ages(&tags, "/repositories/7/issues?page=2"), "not known yet");
    let tags = names.with_twins(tags);
    assert!(ages(&tags, "/repositories/7/issues?page=2"));
    assert!(!ages(&tags, "/repositories/7/issues/4"));
    let back = names.with_twins(bumped(("PATCH", "/repositories/7/issues/3"), None));
    assert!(ages(&back, "/repos/ACME/wiki/issues"));
    let org = names.with_twins(bumped(("PUT", "/orgs/acme/teams/t"), None));
    assert!(ages(&org, "/organizations/9/team/4"));
    assert!(!ages(&names.with_twins(tags), "/repositories/8/issues?page=2"));
}

#[test]
fn a_name_and_a_number_belong_to_one_another_alone() {
    let ages_by_number = |names: &Names, name: &str, id: u64| {
        let tags = names.with_twins(bumped(("DELETE", &format!("/repos/{name}")), None));
        ages(&tags, &format!("/repositories/{id}"))
    };
    let mut names = Names::new(10);
    names.learn("acme/old", 7);
    names.learn("acme/new", 7);
    assert!(ages_by_number(&names, "acme/new", 7) && !ages_by_number(&names, "acme/old", 7));
    names.learn("acme/new", 8);
    assert!(ages_by_number(&names, "acme/new", 8) && !ages_by_number(&names, "acme/new", 7));
    let former = names.with_twins(bumped(("DELETE", "/repositories/7"), None));
    assert!(!ages(&former, "/repos/acme/new"), "the number has lost its name");
}

#[test]
fn what_may_have_been_true_once_displaces_nothing() {
    let twin = |names: &Names, name: &str| {
        let tags = names.with_twins(bumped(("DELETE", &format!("/repos/{name}")), None));
        ages(&tags, "/repositories/7")
    };
    let mut names = Names::new(10);
    names.add("acme/new", 7);
    assert!(twin(&names, "acme/new"), "nothing else was known");
    names.add("acme/old", 7);
    names.add("acme/new", 8);
    assert!(twin(&names, "acme/new") && !twin(&names, "acme/old"));
    names.learn("acme/newest", 7);
    assert!(twin(&names, "acme/newest") && !twin(&names, "acme/new"), "control");
}

#[test]
fn names_are_bounded_and_the_latest_stay() {
    let mut names = Names::new(10);
    for id in 1..=1000 {
        names.learn(&format!("acme/r{id}"), id);
    }
    let known = |id: u64| {
        let tags = names.with_twins(bumped(("DELETE", &format!("/repos/acme/r{id}")), None));
        ages(&tags, &format!("/repositories/{id}"))
    };
    assert!((991..=1000).all(known));
    assert!((1..=980).all(|id| !known(id)));
}
