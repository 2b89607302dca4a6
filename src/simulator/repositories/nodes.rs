//! Issues as GraphQL shows them: what `gh issue list` and `gh issue view` ask for, always whole.

use serde_json::{Value, json};

use super::{
    issues::{Comment, Issue},
    route::Visit,
    store::Repository,
};
use crate::simulator::world::{PersonKey, World};

/// Answers a query about a repository; `None` for other queries.
pub(super) fn of_repository(visit: &Visit<'_>, world: &mut World, body: &Value) -> Option<Value> {
    let (text, variables) = (body["query"].as_str()?, &body["variables"]);
    if text.contains("__type(name: \"Issue\")") {
        let fields = json!([{ "name": "number" }, { "name": "title" }]);
        return Some(json!({ "data": { "Issue": { "fields": fields } } }));
    }
    if !text.contains("repository(owner: $owner, name: $repo)") {
        return None;
    }
    let text_of = |name: &str| variables[name].as_str().unwrap_or_default();
    let full_name = format!("{}/{}", text_of("owner"), text_of("repo"));
    let named = world.repositories.named(&full_name);
    let Some(id) = named.filter(|it| it.visible_to(visit.asker)).map(|it| it.id) else {
        return Some(nothing(&format!("Repository with the name '{full_name}'.")));
    };
    let world = &*world;
    let it = world.repositories.all().iter().find(|it| it.id == id)?;
    if text.contains("issues(first: $limit") {
        return Some(list(visit, world, it, variables));
    }
    if !text.contains("issueOrPullRequest(number: $number)") {
        return None;
    }
    let number = variables["number"].as_u64();
    let found = it.issues.iter().find(|issue| Some(issue.number) == number);
    Some(match found {
        Some(issue) => {
            let issue = node(visit, world, it, issue);
            json!({ "data": { "repository": { "hasIssuesEnabled": it.has_issues, "issue": issue } } })
        }
        None => nothing("issue or pull request with that number."),
    })
}

/// One page, the newest first; a cursor is the number of the last issue on the page before.
fn list(visit: &Visit<'_>, world: &World, it: &Repository, variables: &Value) -> Value {
    let limit = variables["limit"].as_u64().and_then(|it| it.try_into().ok()).unwrap_or(30);
    let after = variables["endCursor"].as_str().and_then(|cursor| cursor.parse().ok());
    let wanted = |issue: &&Issue| {
        let states = variables["states"].as_array();
        let is_wanted = |state: &Value| *state == json!(if issue.open { "OPEN" } else { "CLOSED" });
        issue.pull.is_none() && states.is_none_or(|states| states.iter().any(is_wanted))
    };
    let all: Vec<_> = it.issues.iter().rev().filter(wanted).collect();
    let left = all.iter().filter(|issue| after.is_none_or(|after: u64| issue.number < after));
    let page: Vec<_> = left.clone().take(limit).collect();
    let nodes: Vec<_> = page.iter().map(|issue| node(visit, world, it, issue)).collect();
    let cursor = page.last().map(|issue| issue.number.to_string());
    let has_more = left.count() > page.len();
    json!({ "data": { "repository": {
        "hasIssuesEnabled": it.has_issues,
        "issues": {
            "totalCount": all.len(), "nodes": nodes,
            "pageInfo": { "hasNextPage": has_more, "endCursor": cursor },
        },
    } } })
}

fn node(visit: &Visit<'_>, world: &World, it: &Repository, issue: &Issue) -> Value {
    let label =
        |name: &String| json!({ "id": name, "name": name, "description": "", "color": "d73a4a" });
    let labels: Vec<_> = issue.labels.iter().map(label).collect();
    let comments: Vec<_> = issue.comments.iter().map(|it| comment(world, it)).collect();
    let url = format!("{}/{}/issues/{}", visit.shared.url, it.full_name(), issue.number);
    let none = json!({ "nodes": [], "totalCount": 0 });
    json!({
        "__typename": if issue.pull.is_some() { "PullRequest" } else { "Issue" },
        "id": format!("I_{}_{}", it.id, issue.number), "number": issue.number,
        "title": issue.title, "body": issue.body, "url": url,
        "state": if issue.open { "OPEN" } else { "CLOSED" }, "stateReason": "",
        "createdAt": world.written(issue.born), "updatedAt": world.written(issue.changed),
        "author": author(world, issue.author), "assignees": none, "projectCards": none,
        "labels": { "totalCount": labels.len(), "nodes": labels }, "milestone": null,
        "reactionGroups": [],
        "comments": {
            "totalCount": comments.len(), "nodes": comments,
            "pageInfo": { "hasNextPage": false, "endCursor": null },
        },
    })
}

fn comment(world: &World, it: &Comment) -> Value {
    json!({
        "id": format!("IC_{}", it.id), "author": author(world, it.author), "body": it.body,
        "authorAssociation": "NONE", "createdAt": world.written(it.born), "reactionGroups": [],
        "includesCreatedEdit": false, "isMinimized": false, "minimizedReason": "",
    })
}

fn author(world: &World, key: PersonKey) -> Value {
    let person = world.person(key);
    json!({ "login": person.login, "id": format!("U_{}", person.id), "name": person.name })
}

fn nothing(what: &str) -> Value {
    let words = format!("Could not resolve to a {what}");
    json!({ "data": null, "errors": [{ "type": "NOT_FOUND", "message": words }] })
}
