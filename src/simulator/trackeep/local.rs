//! Accounts with passwords, tokens of its own, and who shows one.

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    Shared,
    answer::{Answered, Refusal, error, fine, json_with},
    json_of, token, token_for,
    users::TrackeepUser,
};
use crate::simulator::{
    record::{Recorded, lock},
    web::{Reply, first},
};

/// Where demo mode lets everybody be somebody.
const DEMO: [&str; 8] = [
    "/youtube",
    "/learning-paths",
    "/bookmarks",
    "/tasks",
    "/notes",
    "/files",
    "/time-entries",
    "/calendar",
];

/// Who asks: by `Authorization`, with `Bearer` or without, and by `?token=` if that is missing or
/// empty.
pub(super) fn authenticate(shared: &Shared, request: &Recorded) -> Result<TrackeepUser, Refusal> {
    let refused = |words: &str| error(StatusCode::UNAUTHORIZED, words);
    if shared.setting(|of| of.demo) && DEMO.iter().any(|part| request.path().contains(part)) {
        return Ok(demo());
    }
    let query = request.query();
    let header = request.header("authorization").filter(|value| !value.is_empty());
    let shown = header.or_else(|| first(&query, "token"));
    let shown = shown.ok_or_else(|| refused("Authorization header required"))?;
    let word = shown.strip_prefix("Bearer ").filter(|word| !word.is_empty()).unwrap_or(shown);
    let (secret, now) = (shared.setting(|of| of.secret.clone()), shared.clock.unix());
    let database = lock(&shared.database);
    if let Some(id) = token::verify(word, &secret, now) {
        return database.users.by_id(id).ok_or_else(|| refused("User not found"));
    }
    let by_key = || {
        let permission = permission(request)?;
        let id = word.starts_with("tk_").then(|| database.user_of_key(word, permission))??;
        database.users.by_id(id)
    };
    by_key().ok_or_else(|| refused("Invalid token"))
}

/// What the API key that is shown is good for. A token of a user's is none.
pub(super) fn validate(shared: &Shared, request: &Recorded) -> Answered {
    let user = authenticate(shared, request)?;
    let shown = request.header("authorization").and_then(|shown| shown.strip_prefix("Bearer "));
    let database = lock(&shared.database);
    let found = shown.and_then(|word| database.permissions_of_key(word));
    let found = found.ok_or_else(|| error(StatusCode::UNAUTHORIZED, "Invalid API key"))?;
    Ok(fine(&json!({ "valid": true, "user_id": user.id, "permissions": found })))
}

/// Who asks, if it is an admin.
pub(super) fn admin(shared: &Shared, request: &Recorded) -> Result<TrackeepUser, Refusal> {
    let user = authenticate(shared, request)?;
    if user.role == "admin" {
        return Ok(user);
    }
    Err(error(StatusCode::FORBIDDEN, "Admin access required"))
}

pub(super) fn check_users(shared: &Shared) -> Reply {
    let count = lock(&shared.database).users.count();
    fine(&json!({ "hasUsers": count > 0, "count": count }))
}

/// The first to come is the admin; after that only an admin makes accounts.
pub(super) fn register(shared: &Shared, request: &Recorded) -> Answered {
    let bad = |words: &str| error(StatusCode::BAD_REQUEST, words);
    let form = json_of(request);
    let field = |name: &str| form[name].as_str().filter(|it| !it.is_empty());
    let fields = (field("email"), field("username"), field("password"), field("fullName"));
    let (Some(email), Some(username), Some(password), Some(_)) = fields else {
        return Err(bad("Key: 'RegisterRequest' Error: Field validation failed"));
    };
    let first = lock(&shared.database).users.is_empty();
    if !first && admin(shared, request).is_err() {
        let words = "Registration is disabled. Only an administrator can create users.";
        return Err(error(StatusCode::FORBIDDEN, words));
    }
    let users = &mut lock(&shared.database).users;
    if users.by_email(email).is_some() {
        return Err(bad("User with this email already exists"));
    }
    if users.by_username(username).is_some() {
        return Err(bad("Username already taken"));
    }
    let role = if first { "admin" } else { "user" };
    let user = users.register(email, username, password, role, shared.clock.unix());
    let failed = |_| error(StatusCode::INTERNAL_SERVER_ERROR, "Failed to create user");
    let user = user.map_err(failed)?;
    Ok(json_with(StatusCode::CREATED, &welcome(shared, &user)))
}

pub(super) fn login(shared: &Shared, request: &Recorded) -> Answered {
    let form = json_of(request);
    let (Some(email), Some(password)) = (form["email"].as_str(), form["password"].as_str()) else {
        let words = "Key: 'LoginRequest' Error: Field validation failed";
        return Err(error(StatusCode::BAD_REQUEST, words));
    };
    let user = lock(&shared.database).users.by_email(email);
    let user = user.filter(|user| user.has_password(password));
    let wrong = || error(StatusCode::UNAUTHORIZED, "Invalid credentials");
    Ok(fine(&welcome(shared, &user.ok_or_else(wrong)?)))
}

/// Nothing is forgotten: the token stays good.
pub(super) fn logout() -> Reply {
    fine(&json!({ "message": "Logged out successfully" }))
}

pub(super) fn me(shared: &Shared, request: &Recorded) -> Answered {
    Ok(fine(&json!({ "user": authenticate(shared, request)?.shown() })))
}

fn welcome(shared: &Shared, user: &TrackeepUser) -> Value {
    json!({ "token": token_for(shared, user), "user": user.shown() })
}

fn demo() -> TrackeepUser {
    TrackeepUser {
        id: 1,
        username: "demo".to_owned(),
        email: "demo@trackeep.com".to_owned(),
        ..TrackeepUser::default()
    }
}

/// What a key must be good for here; `None` where no key is.
fn permission(request: &Recorded) -> Option<&'static str> {
    let path = request.path();
    if path.contains("/api/v1/browser-extension/validate") {
        return Some("");
    }
    if !path.contains("/api/v1/files") {
        return None;
    }
    Some(match request.method.as_str() {
        _ if path.contains("/share") => "files:share",
        "GET" | "HEAD" => "files:read",
        _ => "files:write",
    })
}
