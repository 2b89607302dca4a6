//! GraphQL: its own budget, and errors with status 200.

use serde_json::json;

use super::*;

fn query(github: &Simulator, token: &str, body: &Value) -> Answer {
    let headers = format!("Authorization: Bearer {token}\r\n");
    let line = format!("POST {}", target(&github.graphql_url()));
    ask(github.address(), &line, &headers, &body.to_string())
}

#[test]
fn one_learns_who_one_is_and_may_open_an_issue() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    let me = query(&github, &token, &json!({ "query": "{ viewer { login } }" }));
    assert_eq!(me.json()["data"]["viewer"]["login"], "octocat");
    assert_eq!(me.header("x-ratelimit-resource"), Some("graphql"));
    assert_eq!(me.header("x-ratelimit-used"), Some("1"));
    let id = format!("R_{}", github.repository_id("acme/rocket"));
    let mutation = json!({
        "query": "mutation($input: CreateIssueInput!) { createIssue(input: $input) { issue { number } } }",
        "variables": { "input": { "repositoryId": id, "title": "By GraphQL" } },
    });
    let made = query(&github, &token, &mutation);
    assert_eq!(made.json()["data"]["createIssue"]["issue"]["number"], 31);
    let seen = get(&github, "/repos/acme/rocket/issues/31", &token).json();
    assert_eq!(seen["title"], "By GraphQL");
    let stranger = github.token_for("stranger", "repo");
    let refused = query(&github, &stranger, &mutation);
    assert_eq!((refused.status, &refused.json()["errors"][0]["type"]), (200, &"NOT_FOUND".into()));
    assert_eq!(ask(github.address(), "POST /api/graphql", "", "{}").status, 401);
}

#[test]
fn a_spent_budget_is_told_with_200() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    github.set_remaining("octocat", "graphql", 0);
    let me = query(&github, &token, &json!({ "query": "{ viewer { login } }" }));
    assert_eq!((me.status, me.header("x-ratelimit-remaining")), (200, Some("0")));
    assert_eq!(me.json()["errors"][0]["type"], "RATE_LIMITED");
    assert_eq!(get(&github, "/user", &token).status, 200, "the other budget is untouched");
}
