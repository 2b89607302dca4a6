//! What an instance shows of GitHub, by way of the control service and past it.

use std::collections::HashMap;

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Shared,
    answer::{Answered, Refusal, error, fine, temporary_redirect},
    clock::written,
    control,
    installations::Installed,
    json_of, local, oauth, redirect, strict,
    users::TrackeepUser,
};
use crate::simulator::{
    record::{Recorded, lock},
    web::{encode, first},
    world::random_hex,
};

const DAY: i64 = 24 * 60 * 60;

#[derive(Default, Deserialize)]
struct Found {
    items: Option<Vec<Item>>,
}

#[derive(Deserialize)]
struct Item {
    created_at: Option<String>,
}

fn bad(words: impl Into<String>) -> Refusal {
    error(StatusCode::BAD_REQUEST, words)
}

fn gateway(what: &str, why: &str) -> Refusal {
    error(StatusCode::BAD_GATEWAY, format!("{what}: {why}"))
}

fn connected(shared: &Shared, user: &TrackeepUser) -> bool {
    lock(&shared.database).sessions.contains_key(&user.id)
}

fn installation_of(shared: &Shared, user: &TrackeepUser) -> Option<Installed> {
    lock(&shared.database).installations.of(user.id).last().cloned()
}

pub(super) async fn repositories(shared: &Shared, request: &Recorded) -> Answered {
    let user = local::authenticate(shared, request)?;
    if oauth::is_spoken(shared) {
        return oauth::repositories(shared, request).await;
    }
    if !connected(shared, &user) {
        return Err(bad("GitHub sign-in is not connected"));
    }
    let what = "Failed to fetch repos from control service";
    let repos = control::repositories(shared, user.id).await;
    Ok(fine(&json!({ "repos": repos.map_err(|why| gateway(what, &why))? })))
}

pub(super) async fn status(shared: &Shared, request: &Recorded) -> Answered {
    let user = local::authenticate(shared, request)?;
    let mut shown = json!({
        "app_slug": "", "install_enabled": false, "sign_in_configured": false,
        "credentials_configured": false, "installed": false,
    });
    if connected(shared, &user) {
        // If the service says nothing, all is said to be well.
        if let Ok(info) = control::app_info(shared, user.id).await {
            shown["app_slug"] = json!(info.app_slug.unwrap_or_default());
            shown["install_enabled"] = json!(info.install_enabled.unwrap_or_default());
            shown["sign_in_configured"] = json!(info.sign_in_configured.unwrap_or_default());
            shown["credentials_configured"] =
                json!(info.credentials_configured.unwrap_or_default());
        } else {
            shown["sign_in_configured"] = json!(true);
            shown["credentials_configured"] = json!(true);
        }
    }
    if let Some(installed) = installation_of(shared, &user) {
        shown["installed"] = json!(true);
        shown["installation"] = installed.shown();
    }
    Ok(fine(&shown))
}

pub(super) async fn install_url(shared: &Shared, request: &Recorded) -> Answered {
    let user = local::authenticate(shared, request)?;
    let (state, now) = (random_hex(24), shared.clock.unix());
    let until = lock(&shared.database).installations.expect(&state, user.id, now);
    if !connected(shared, &user) {
        return Err(bad("GitHub App slug is not configured"));
    }
    let base = redirect::base(shared, request);
    let back = format!("{base}/api/v1/github/app/callback?state={state}");
    let what = "Failed to create unified GitHub App install URL";
    let url = control::install_url(shared, user.id, &back).await;
    let url = url.map_err(|why| gateway(what, &why))?;
    Ok(fine(&json!({ "install_url": url, "expires_at": written(until) })))
}

/// `GET /api/v1/github/app/callback`: always ends on the instance's page, which says how it went.
pub(super) async fn installed(shared: &Shared, request: &Recorded) -> Answered {
    let query = request.query();
    let field = |name| first(&query, name).map(str::trim).unwrap_or_default();
    let (state, number) = (field("state"), field("installation_id"));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut said = match install(shared, state, number).await {
        Ok(()) => {
            vec![pair("github_app_installed", "1"), pair("setup_action", field("setup_action"))]
        }
        Err(word) => vec![pair("github_app_error", word)],
    };
    if number.parse::<i64>().is_ok_and(|number| number > 0) && !state.is_empty() {
        said.push(pair("installation_id", number));
    }
    said.retain(|(_, value)| !value.is_empty());
    said.sort();
    let base = redirect::public_url(shared);
    Ok(temporary_redirect(&format!("{base}/app/github?{}", encode(&said))))
}

async fn install(shared: &Shared, state: &str, number: &str) -> Result<(), &'static str> {
    if state.is_empty() || number.is_empty() {
        return Err("missing_state_or_installation");
    }
    let installation_id = number.parse().ok().filter(|number: &i64| *number > 0);
    let installation_id = installation_id.ok_or("invalid_installation_id")?;
    let now = shared.clock.unix();
    let user = lock(&shared.database).installations.whose(state, now)?;
    // Without a session of the control service `ask` finds none: it can't be verified then either.
    let verified = control::verify(shared, user, installation_id).await;
    let verified = verified.map_err(|_| "installation_not_accessible")?;
    let account_login = verified.account_login.unwrap_or_default();
    let account_type = verified.account_type.unwrap_or_default();
    let known = lock(&shared.database).installations.knows(installation_id);
    let nameless = account_login.is_empty() && account_type.is_empty();
    let app_slug = if known || nameless {
        control::app_info(shared, user).await.ok().and_then(|info| info.app_slug)
    } else {
        None
    };
    let validated = verified.app_slug.filter(|slug| !slug.is_empty()).map(|_| now);
    let app_slug = app_slug.unwrap_or_default();
    let row = Installed { user, installation_id, app_slug, account_login, account_type, validated };
    lock(&shared.database).installations.connect(row, state);
    Ok(())
}

pub(super) async fn installation_repositories(shared: &Shared, request: &Recorded) -> Answered {
    let user = local::authenticate(shared, request)?;
    let missing = || bad("GitHub App is not installed for this user");
    let id = installation_of(shared, &user).ok_or_else(missing)?.installation_id;
    let what = "Failed to fetch installation repos from control service";
    let repos = control::installation_repositories(shared, user.id, id).await;
    let repos = repos.map_err(|why| gateway(what, &why))?;
    Ok(fine(&json!({ "source": "github_app", "installation_id": id, "repos": repos })))
}

/// `GET /api/v1/github/activity`: with the person's token straight to GitHub, a raw `>` in the query.
pub(super) async fn activity(shared: &Shared, request: &Recorded) -> Answered {
    const TARGET: &str = "/search/issues?q=author:@me+created:>=2025-03-13&per_page=100";
    let user = local::authenticate(shared, request)?;
    let what = "Failed to get GitHub access token from control service";
    let token = control::access_token(shared, user.id, None).await;
    let token = token.map_err(|why| bad(format!("{what}: {why}")))?;
    let found = at_github(shared, TARGET, &token).await;
    let found: Result<Found, String> = found.and_then(|body| strict::read(&body));
    let broken = |why: String| {
        let words = format!("Failed to fetch GitHub activity: {why}");
        error(StatusCode::INTERNAL_SERVER_ERROR, words)
    };
    let items = found.map_err(broken)?.items.unwrap_or_default();
    Ok(fine(&days(&items, shared.clock.unix())))
}

/// What was done on each of the last 365 days, and on each of the last seven.
fn days(items: &[Item], now: i64) -> Value {
    let mut counts: HashMap<&str, u32> = HashMap::new();
    for date in items.iter().filter_map(|item| item.created_at.as_deref()?.get(..10)) {
        *counts.entry(date).or_default() += 1;
    }
    let level = |count| match count {
        0 => 0,
        1 => 1,
        2..=3 => 2,
        4..=5 => 3,
        6..=8 => 4,
        _ => 5,
    };
    let days: Vec<(String, u32)> = (0..365)
        .rev()
        .map(|ago| {
            let date = written(now - ago * DAY)[..10].to_owned();
            let count = counts.get(date.as_str()).copied().unwrap_or_default();
            (date, count)
        })
        .collect();
    let week: Vec<u32> = days[358..].iter().map(|(_, count)| *count).collect();
    let day = |(date, count): &(String, u32)| json!({ "date": date, "count": count, "level": level(*count) });
    let days: Vec<Value> = days.iter().map(day).collect();
    json!({ "contributions": days, "weekly_data": week, "total_count": items.len() })
}

pub(super) fn backups(shared: &Shared, request: &Recorded) -> Answered {
    let user = local::authenticate(shared, request)?;
    let database = lock(&shared.database);
    let own = database.backups.iter().filter(|(whose, _)| *whose == user.id);
    let own: Vec<Value> = own.map(|(_, name)| json!({ "repository_full_name": name })).collect();
    Ok(fine(&json!({ "backup_root": "/data/github-backups", "backups": own })))
}

/// `POST /api/v1/github/backups`: asks for the token that `git` would get, and reads with it what a
/// real instance reads; nothing is cloned.
pub(super) async fn back_up(shared: &Shared, request: &Recorded) -> Answered {
    let user = local::authenticate(shared, request)?;
    let form = json_of(request);
    let list = form["repositories"].as_array().cloned().unwrap_or_default();
    let names: Vec<String> =
        list.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect();
    if names.is_empty() {
        return Err(bad("At least one repository must be provided"));
    }
    let (source, installation) = match form["source"].as_str().unwrap_or_default() {
        "" | "oauth" | "github_user" | "user" => ("github_user", None),
        "github_app" | "app" => {
            let missing = || bad("GitHub App not installed for this user");
            let installed = installation_of(shared, &user).ok_or_else(missing)?;
            ("github_app", Some(installed.installation_id))
        }
        other => return Err(bad(format!("unsupported source '{other}'"))),
    };
    let token = control::access_token(shared, user.id, installation).await.map_err(bad)?;
    let listed = match installation {
        None => "/user/repos?type=owner&sort=updated&per_page=100",
        Some(_) => "/installation/repositories?per_page=100",
    };
    // Whether it may be read changes nothing: the names are what counts.
    let _ = at_github(shared, listed, &token).await;
    let result =
        |name: &String| json!({ "repository": name, "status": "success", "source": source });
    let results: Vec<Value> = names.iter().map(result).collect();
    let (done, whose) = (names.len(), user.id);
    lock(&shared.database).backups.extend(names.into_iter().map(|name| (whose, name)));
    Ok(fine(&json!({
        "source": source, "installation_id": installation, "backed_up": done, "failed": 0,
        "results": results,
    })))
}

/// Asks GitHub itself, as the instance does for what the control service does not bring.
pub(super) async fn at_github(
    shared: &Shared,
    target: &str,
    token: &str,
) -> Result<Vec<u8>, String> {
    let base = shared.setting(|of| of.github.clone());
    let bearer = format!("Bearer {token}");
    let headers = [
        ("User-Agent", "Trackeep"),
        ("Accept", "application/vnd.github+json"),
        ("Authorization", &*bearer),
        ("X-GitHub-Api-Version", "2022-11-28"),
    ];
    let answer = shared.outside.get_raw(&base, target, &headers).await;
    let (status, body) = answer.map_err(|why| why.to_string())?;
    if (200..300).contains(&status) {
        return Ok(body);
    }
    let words = String::from_utf8_lossy(&body).into_owned();
    Err(format!("GitHub contributions API returned {status}: {words}"))
}
