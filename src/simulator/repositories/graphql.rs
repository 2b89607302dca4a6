//! `POST /api/graphql`: who one is, one's budget, issues, and one mutation, `createIssue`.

use serde_json::{Value, json};

use super::{
    nodes,
    route::{Visit, known},
};
use crate::simulator::{
    asker::Asker,
    github::Shared,
    outcome::Outcome,
    record::{Recorded, lock},
    world::World,
};

/// Where GraphQL is, as on GitHub Enterprise Server.
pub(in crate::simulator) const GRAPHQL: &str = "/api/graphql";

/// Answers by the words in the query; what it does not know is an error with status 200.
pub(in crate::simulator) fn query(shared: &Shared, request: &Recorded, asker: &Asker) -> Outcome {
    let Some(caller) = asker.person() else { return Outcome::requires_authentication() };
    let visit = Visit { shared, request, asker };
    let body = visit.body();
    let text = body["query"].as_str().unwrap_or_default();
    let answer = if text.contains("mutation") && text.contains("createIssue") {
        create_issue(&visit, &mut lock(&shared.world), &body["variables"])
    } else if let Some(found) = nodes::of_repository(&visit, &mut lock(&shared.world), &body) {
        found
    } else if text.contains("viewer") {
        let person = &caller.person;
        let id = format!("U_{}", person.id);
        json!({ "data": { "viewer": { "login": person.login, "id": id, "databaseId": person.id } } })
    } else {
        error("undefinedField", "Nothing is known of this field.")
    };
    Outcome::fine(answer).with("cache-control", "no-cache".to_owned())
}

/// With `input` as a variable: `repositoryId`, `title` and maybe `body`.
fn create_issue(visit: &Visit<'_>, world: &mut World, variables: &Value) -> Value {
    let input = &variables["input"];
    let id = input["repositoryId"].as_str().and_then(|id| id.strip_prefix("R_")?.parse().ok());
    let now = world.now();
    let repository = id.and_then(|id| world.repositories.by_id(id));
    let repository = repository.filter(|it| it.visible_to(visit.asker));
    let (Some(repository), Some(caller)) = (repository, visit.asker.person()) else {
        return error("NOT_FOUND", "Could not resolve to a node with this global id.");
    };
    if !repository.writable_by(visit.asker) {
        return error("FORBIDDEN", "Resource not accessible by integration");
    }
    let Some(title) = input["title"].as_str() else {
        return error("argumentNotAccepted", "A title is required.");
    };
    let text = input["body"].as_str().unwrap_or_default();
    let (id, number) = (repository.id, repository.open(caller.key, (title, text), None, now));
    let url = format!("{}/{}/issues/{number}", visit.shared.url, known(world, id).full_name());
    json!({ "data": { "createIssue": { "issue": { "number": number, "url": url } } } })
}

fn error(kind: &str, words: &str) -> Value {
    json!({ "data": null, "errors": [{ "type": kind, "message": words }] })
}
