//! Issues and what hangs on them, read and written.

use serde_json::json;

use super::*;

const ISSUES: &str = "/repos/octocat/hello-world/issues";

#[test]
fn pages_lead_on_under_the_repositorys_number() {
    let github = github();
    let token = github.token_for("stranger", "");
    let id = github.repository_id("octocat/hello-world");
    let first = get(&github, &format!("{ISSUES}?per_page=30"), &token);
    let at = format!("{}/repositories/{id}/issues?per_page=30&page", github.api_url());
    let link = format!("<{at}=2>; rel=\"next\", <{at}=3>; rel=\"last\"");
    assert_eq!(first.header("link"), Some(link.as_str()));
    assert_eq!(first.json()[0]["number"], 66, "the youngest first, pull requests among them");
    assert!(first.json()[0]["pull_request"].is_object());
    let last = get(&github, &format!("/repositories/{id}/issues?per_page=30&page=3"), &token);
    assert_eq!((last.json().as_array().unwrap().len(), last.status), (6, 200));
    assert!(last.header("link").unwrap().contains("rel=\"prev\""));
    let token = github.token_for("octocat", "repo");
    let full = get(&github, "/repos/acme/rocket/issues", &token);
    assert_eq!((full.json().as_array().unwrap().len(), full.header("link")), (30, None));
    github.add_issue("acme/rocket", "hubot", "One more", "");
    let full = get(&github, "/repos/acme/rocket/issues", &token);
    assert!(full.header("link").unwrap().contains("page=2>; rel=\"next\""));
    assert_eq!(get(&github, "/repos/acme/handbook/issues", &token).body, "[]");
}

#[test]
fn an_issue_is_opened_changed_closed_and_remarked_upon() {
    let github = github();
    let stranger = github.token_for("stranger", "public_repo");
    let new = json!({ "title": "Help", "body": "See https://api.github.com/x" });
    let opened = send(&github, &format!("POST {ISSUES}"), &stranger, &new);
    let url = format!("{}{ISSUES}/67", github.api_url());
    assert_eq!((opened.status, opened.header("location")), (201, Some(url.as_str())));
    assert_eq!(opened.json()["body"], "See https://api.github.com/x");
    let one = format!("{ISSUES}/67");
    let close = json!({ "title": "Helped", "state": "closed", "labels": ["bug"] });
    let closed = send(&github, &format!("PATCH {one}"), &stranger, &close).json();
    assert_eq!((&closed["state"], &closed["labels"][0]["name"]), (&"closed".into(), &"bug".into()));
    assert_eq!(get(&github, &one, &stranger).json()["title"], "Helped");
    assert_eq!(get(&github, ISSUES, &stranger).json()[0]["number"], 66);
    let closed = get(&github, &format!("{ISSUES}?state=closed&labels=bug"), &stranger).json();
    assert_eq!((closed.as_array().unwrap().len(), &closed[0]["number"]), (1, &67.into()));
    let remark = json!({ "body": "Thanks" });
    let remark = send(&github, &format!("POST {one}/comments"), &stranger, &remark);
    assert_eq!(remark.status, 201);
    let all = get(&github, &format!("{one}/comments"), &stranger).json();
    assert_eq!(all[0]["body"], "Thanks");
    let alone = format!("/repos/octocat/hello-world/issues/comments/{}", all[0]["id"]);
    assert_eq!(get(&github, &alone, &stranger).json(), all[0]);
    assert_eq!(get(&github, &one, &stranger).json()["comments"], 1);
}

#[test]
fn who_may_not_write_is_told_so_or_nothing() {
    let github = github();
    let body = json!({ "title": "Mine now" });
    let line = format!("PATCH {ISSUES}/1");
    let status = |login: &str, scopes: &str| {
        send(&github, &line, &github.token_for(login, scopes), &body).status
    };
    assert_eq!(status("stranger", "public_repo"), 403);
    assert_eq!(status("octocat", "read:user"), 404, "the scope does not allow it");
    assert_eq!(status("octocat", "public_repo"), 200);
    let anonymous = ask(github.address(), &format!("POST /api/v3{ISSUES}"), "", "{}");
    assert_eq!(anonymous.status, 401);
    let token = github.token_for("octocat", "repo");
    assert_eq!(send(&github, &format!("POST {ISSUES}"), &token, &json!({})).status, 422);
    github.set_issues("octocat/hello-world", false);
    assert_eq!(get(&github, ISSUES, &token).status, 410);
}

#[test]
fn labels_and_pull_requests_are_there() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    let labels = "/repos/octocat/hello-world/labels";
    assert_eq!(get(&github, labels, &token).json()[1]["name"], "good first issue");
    let new = json!({ "name": "wontfix" });
    assert_eq!(send(&github, &format!("POST {labels}"), &token, &new).status, 201);
    assert_eq!(get(&github, labels, &token).json()[2]["name"], "wontfix");
    let pulls = get(&github, "/repos/octocat/hello-world/pulls", &token).json();
    assert_eq!((pulls.as_array().unwrap().len(), &pulls[0]["number"]), (1, &66.into()));
    let one = "/repos/octocat/hello-world/pulls/66";
    assert_eq!(get(&github, one, &token).json()["head"]["ref"], "feature/comma");
    assert_eq!(get(&github, "/repos/octocat/hello-world/pulls/1", &token).status, 404);
    let headers =
        format!("Authorization: Bearer {token}\r\nAccept: application/vnd.github.diff\r\n");
    let diff = ask(github.address(), &format!("GET /api/v3{one}"), &headers, "");
    assert!(diff.body.starts_with("diff --git a/README.md b/README.md\n"), "{}", diff.body);
    assert_eq!(diff.header("x-github-media-type"), Some("github.v3; param=diff; format=json"));
}

#[test]
fn a_search_has_its_own_budget_and_no_tag() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    let found = get(&github, "/search/issues?q=leak+repo:acme/rocket&per_page=2", &token);
    assert_eq!((&found.json()["total_count"], found.header("etag")), (&30.into(), None));
    assert_eq!(found.json()["items"].as_array().unwrap().len(), 2);
    assert!(found.header("link").unwrap().contains("/search/issues?q="));
    assert_eq!(found.header("cache-control"), Some("no-cache"));
    let rate = ["resource", "limit", "remaining"]
        .map(|name| found.header(&format!("x-ratelimit-{name}")).unwrap().to_owned());
    assert_eq!(rate, ["search", "30", "29"]);
    let of = |author: &str| {
        let found = get(&github, &format!("/search/issues?q=author:{author}+is:open"), &token);
        found.json()["total_count"].clone()
    };
    assert_eq!([of("@me"), of("mona"), of("nobody")], [30, 66, 0]);
    let stranger = github.token_for("stranger", "repo");
    let nothing = get(&github, "/search/issues?q=leak", &stranger);
    assert_eq!(nothing.json()["total_count"], 0, "nothing private is found");
}
