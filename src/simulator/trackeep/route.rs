//! Which handler a request is for.

use std::sync::Arc;

use http::StatusCode;
use hyper::upgrade::OnUpgrade;
use serde_json::json;

use super::{
    Shared,
    answer::{Answered, Refusal, error, fine, json_with, typed},
    files, github, json_of, local, oauth, open, sign_in, socket,
};
use crate::simulator::{
    record::{Recorded, lock},
    web::{Reply, decode},
};

/// Answers by path. What no route has is the app's page, with 200, below `/api/` too.
pub(super) async fn answer(
    shared: &Arc<Shared>,
    request: &Recorded,
    upgrade: Option<OnUpgrade>,
) -> Reply {
    let answered = match request.path().strip_prefix("/api/v1/") {
        Some(path) => {
            let path: Vec<String> = path.split('/').map(decode).collect();
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            api(shared, request, &path, upgrade).await
        }
        None => Ok(elsewhere(shared, request)),
    };
    answered.unwrap_or_else(Refusal::reply)
}

async fn api(
    shared: &Arc<Shared>,
    request: &Recorded,
    path: &[&str],
    upgrade: Option<OnUpgrade>,
) -> Answered {
    match (request.method.as_str(), path) {
        ("GET", ["auth", "github"]) => Ok(sign_in::start(shared, request)),
        ("GET", ["auth", "control", "callback"]) if !oauth::is_spoken(shared) => {
            Ok(sign_in::finish(shared, request).await)
        }
        ("GET", ["auth", "oauth", "callback"]) if oauth::is_spoken(shared) => {
            oauth::finish(shared, request).await
        }
        ("GET", ["github", "repos"]) => github::repositories(shared, request).await,
        ("GET", ["github", "app", "status"]) => github::status(shared, request).await,
        ("GET", ["github", "app", "install-url"]) => github::install_url(shared, request).await,
        ("GET", ["github", "app", "callback"]) => github::installed(shared, request).await,
        ("GET", ["github", "app", "repos"]) => {
            github::installation_repositories(shared, request).await
        }
        ("GET", ["github", "activity"]) => github::activity(shared, request).await,
        ("GET", ["github", "backups"]) => github::backups(shared, request),
        ("POST", ["github", "backups"]) => github::back_up(shared, request).await,
        ("GET", ["messages", "ws"]) => socket::accept(shared, request, upgrade),
        _ => at_once(shared, request, path),
    }
}

/// What asks nobody else.
fn at_once(shared: &Shared, request: &Recorded, path: &[&str]) -> Answered {
    match (request.method.as_str(), path) {
        ("GET", ["config"]) => Ok(open::config(shared, request)),
        ("GET", ["auth", "check-users"]) => Ok(local::check_users(shared)),
        ("GET", ["auth", "me"]) => local::me(shared, request),
        ("POST", ["auth", "register"]) => local::register(shared, request),
        ("POST", ["auth", "login" | "login-totp"]) => local::login(shared, request),
        ("POST", ["auth", "logout"]) => Ok(local::logout()),
        ("POST", ["auth", "password-reset", ..] | ["youtube-search-test"])
        | (
            "GET",
            ["test-ai-settings" | "test-search-settings" | "test-update-settings"]
            | ["integrations", "oauth", "callback"],
        ) => Ok(open::on_their_behalf()),
        ("GET", ["shared", word]) => files::shared_with(shared, word),
        ("GET", ["files"]) => files::list(shared, request),
        ("POST", ["files", "upload"]) => files::upload(shared, request),
        ("GET", ["files", id, "download"]) => files::download(shared, request, id),
        ("POST", ["files", id, "share"]) => files::share(shared, request, id),
        ("GET", ["browser-extension", "validate"]) => local::validate(shared, request),
        ("GET", ["admin", "users"]) => admin_users(shared, request),
        ("PUT", ["admin", "users", id, "role"]) => set_role(shared, request, id),
        (_, ["admin" | "performance", ..]) => {
            local::admin(shared, request)?;
            Ok(fine(&json!({})))
        }
        (method, ["bookmarks" | "tasks" | "notes" | "messages" | "dashboard", ..]) => {
            bearers(shared, request, method)
        }
        _ => Ok(open::page()),
    }
}

/// What takes a token and is of no further interest: what comes is what goes.
fn bearers(shared: &Shared, request: &Recorded, method: &str) -> Answered {
    let user = local::authenticate(shared, request)?;
    let status = if method == "POST" { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json_with(status, &json!({ "of": user.username, "body": json_of(request) })))
}

fn admin_users(shared: &Shared, request: &Recorded) -> Answered {
    local::admin(shared, request)?;
    let users = lock(&shared.database).users.all();
    let users: Vec<_> = users.iter().map(super::users::TrackeepUser::shown).collect();
    Ok(fine(&json!({ "users": users })))
}

fn set_role(shared: &Shared, request: &Recorded, id: &str) -> Answered {
    local::admin(shared, request)?;
    let role = json_of(request)["role"].as_str().unwrap_or("user").to_owned();
    let changed = id.parse().is_ok_and(|id| lock(&shared.database).users.set_role(id, &role));
    if changed {
        return Ok(fine(&json!({ "message": "User role updated" })));
    }
    Err(error(StatusCode::NOT_FOUND, "User not found"))
}

fn elsewhere(shared: &Shared, request: &Recorded) -> Reply {
    match (request.method.as_str(), request.path()) {
        ("GET", "/health") => open::health(shared),
        ("GET", "/live") => open::says("alive"),
        ("GET", "/ready") => open::says("ready"),
        ("GET", "/api/demo/status") => open::demo_status(shared),
        ("GET", "/api/version") => fine(&json!({ "version": "1.3.0" })),
        ("GET", "/api/updates/check") => open::check_for_updates(),
        ("GET", "/api/updates/progress" | "/api/updates/ws") => open::update_progress(),
        ("POST", "/api/updates/install") => {
            open::install_update(shared, request).unwrap_or_else(Refusal::reply)
        }
        ("GET", "/manifest.json") => open::manifest(),
        ("GET", "/trackeep.svg" | "/favicon.ico") => open::icon(),
        ("GET", "/assets/app.css") => {
            typed(StatusCode::OK, "text/css; charset=utf-8", super::STYLE.to_owned())
        }
        _ => open::page(),
    }
}
