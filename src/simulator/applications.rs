//! What the app does with its users' tokens: `/applications/{client_id}/token` and `…/grant`.

use http::StatusCode;
use ring::digest;
use serde_json::{Value, json};

use super::{
    client::Credentials,
    github::{CLIENT_ID, Shared},
    outcome::Outcome,
    record::{Recorded, lock},
    resource,
    tokens::{Rights, Token},
    world::{World, hex},
};

/// Answers for the app that shows its id and secret; `path` is what follows `/applications/`.
pub(super) fn route(shared: &Shared, request: &Recorded, path: &[&str]) -> Outcome {
    let Some(client) = Credentials::basic(request) else {
        return Outcome::error(StatusCode::UNAUTHORIZED, "Requires authentication");
    };
    if !client.right() {
        return Outcome::error(StatusCode::UNAUTHORIZED, "Bad credentials");
    }
    let &[CLIENT_ID, what] = path else { return Outcome::not_found() };
    let action = match (request.method.as_str(), what) {
        ("POST", "token") => check,
        ("PATCH", "token") => reset,
        ("DELETE", "token") => revoke,
        ("DELETE", "grant") => revoke_grant,
        _ => return Outcome::not_found(),
    };
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    match body["access_token"].as_str().filter(|given| !given.is_empty()) {
        Some(given) => action(shared, given),
        None => Outcome::invalid(),
    }
}

fn check(shared: &Shared, given: &str) -> Outcome {
    let world = lock(&shared.world);
    match world.tokens.live(given, world.now()) {
        Some(token) => Outcome::fine(authorization(shared, &world, token)),
        None => Outcome::not_found(),
    }
}

fn reset(shared: &Shared, given: &str) -> Outcome {
    let mut world = lock(&shared.world);
    let now = world.now();
    match world.tokens.reset(given, now) {
        Some(token) => Outcome::fine(authorization(shared, &world, &token)),
        None => Outcome::not_found(),
    }
}

fn revoke(shared: &Shared, given: &str) -> Outcome {
    let mut world = lock(&shared.world);
    let now = world.now();
    if world.tokens.live(given, now).is_none() {
        return Outcome::not_found();
    }
    world.tokens.revoke(given);
    Outcome::done()
}

fn revoke_grant(shared: &Shared, given: &str) -> Outcome {
    let mut world = lock(&shared.world);
    let now = world.now();
    let Some(person) = world.tokens.live(given, now).map(|token| token.person) else {
        return Outcome::not_found();
    };
    world.revoke_grant(person);
    Outcome::done()
}

/// A token as its app sees it.
fn authorization(shared: &Shared, world: &World, token: &Token) -> Value {
    let hash = digest::digest(&digest::SHA256, token.word.as_bytes());
    let scopes = match &token.rights {
        Rights::Scopes(scopes) => json!(scopes),
        Rights::Permissions => Value::Null,
    };
    let until = token.renewal.as_ref().map(|renewal| world.written(renewal.access_until));
    let person = world.person(token.person);
    json!({
        "id": token.number,
        "url": format!("{}/authorizations/{}", shared.api_url, token.number),
        "app": { "client_id": CLIENT_ID, "name": "Gatekeep", "url": "https://gate.example" },
        "token": token.word, "hashed_token": hex(hash.as_ref()),
        "token_last_eight": token.word[token.word.len() - 8..], "fingerprint": null,
        "note": null, "note_url": null, "scopes": scopes,
        "created_at": world.written(token.born), "updated_at": world.written(token.born),
        "expires_at": until,
        "user": resource::simple_user(&shared.url, &shared.api_url, person),
    })
}
