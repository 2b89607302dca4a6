//! What GitHub computes while one waits, or sends one elsewhere for.

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    git::MAIN,
    route::{Visit, known},
};
use crate::simulator::{
    outcome::{Content, Outcome},
    resource,
    world::World,
};

/// What is below `/stats`, `/tarball`, `/zipball` and `/events`.
pub(super) fn route(visit: &Visit<'_>, world: &mut World, id: u64, rest: &[&str]) -> Outcome {
    if visit.method() != "GET" {
        return Outcome::not_found();
    }
    match *rest {
        ["stats", what] => statistics(world, id, what),
        ["tarball", ref at @ ..] => archive(visit, world, id, ("legacy.tar.gz", at)),
        ["zipball", ref at @ ..] => archive(visit, world, id, ("legacy.zip", at)),
        ["events"] => events(visit, world, id),
        _ => Outcome::not_found(),
    }
}

/// 202 to who asks first, and after a change.
fn statistics(world: &mut World, id: u64, what: &str) -> Outcome {
    let Some(repository) = world.repositories.by_id(id) else { return Outcome::not_found() };
    if repository.computed.insert(what.to_owned()) {
        return Outcome::new(StatusCode::ACCEPTED, Content::Json(json!({})))
            .with("cache-control", "no-cache".to_owned());
    }
    let weeks = repository.commits.len();
    Outcome::fine(json!([{ "total": weeks, "weeks": [] }]))
}

/// Elsewhere, with a word of its own for what is private: the credentials must not follow.
fn archive(visit: &Visit<'_>, world: &World, id: u64, (kind, at): (&str, &[&str])) -> Outcome {
    let repository = known(world, id);
    let name = if at.is_empty() { MAIN.to_owned() } else { at.join("/") };
    let secret = match visit.asker.person() {
        Some(caller) if repository.private => {
            format!("?token={:08X}", resource::number(&format!("{id} {}", caller.person.id)))
        }
        _ => String::new(),
    };
    let place = &visit.shared.codeload_url;
    let url = format!("{place}/{}/{kind}/refs/heads/{name}{secret}", repository.full_name());
    Outcome::new(StatusCode::FOUND, Content::Nothing)
        .with("location", url)
        .with("cache-control", "public, must-revalidate, max-age=0".to_owned())
}

fn events(visit: &Visit<'_>, world: &World, id: u64) -> Outcome {
    let repository = known(world, id);
    let name = repository.full_name();
    let event = |(number, commit): (usize, &super::git::Commit)| -> Value {
        json!({
            "id": (id * 1_000 + number as u64).to_string(), "type": "PushEvent", "public": true,
            "repo": { "id": id, "name": name, "url": visit.views(world).url_of(repository) },
            "payload": { "head": commit.id }, "created_at": world.written(commit.at),
        })
    };
    let events = repository.commits.iter().enumerate().rev().map(event).collect();
    polled(visit.page_of(id, events, "/events"))
}

/// An answer that says how often it may be asked for.
pub(super) fn polled(outcome: Outcome) -> Outcome {
    outcome.with("x-poll-interval", "60".to_owned())
}
