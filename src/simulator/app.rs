//! The app as itself: `/app…` for who shows its own token, and `/installation…` for who shows an
//! installation's.

use std::{sync::Mutex, time::Duration};

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    app_jwt::{self, UNDECODABLE, UNKNOWN},
    caller::bearer,
    cast::Person,
    deliveries::{self, Hook},
    github::{CLIENT_ID, Shared, Simulator},
    installations::{Installation, Installations},
    outcome::{Content, Outcome},
    paginate::Wanted,
    record::{Recorded, lock},
    resource,
    webhook::APP,
};

/// The app's private keys: one as GitHub makes them, one in the other form.
const KEYS: [&str; 2] = [include_str!("app.pem"), include_str!("app_next.pem")];

/// The app's public keys, installations and hook.
#[derive(Debug)]
pub(super) struct App {
    keys: Mutex<Vec<Vec<u8>>>,
    installations: Mutex<Installations>,
    pub(super) hook: Mutex<Hook>,
}

impl Default for App {
    fn default() -> Self {
        let keys = KEYS.iter().map(|pem| app_jwt::public_half(pem)).collect();
        Self { keys: Mutex::new(keys), installations: Mutex::default(), hook: Mutex::default() }
    }
}

// === impl Simulator ===

impl Simulator {
    /// The number of the one app this GitHub knows.
    pub fn app_id(&self) -> u64 {
        APP
    }

    /// The app's private keys in PEM: PKCS#1 as GitHub makes them, and PKCS#8. They protect nothing.
    pub fn app_private_keys(&self) -> [&'static str; 2] {
        KEYS
    }

    /// Takes one of the app's keys away, as its owner can on the app's page.
    pub fn delete_app_key(&self, which: usize) {
        let gone = app_jwt::public_half(KEYS[which]);
        lock(&self.shared.app.keys).retain(|key| *key != gone);
    }

    /// Installs the app, or changes the installation of this number.
    pub fn install(&self, installation: Installation) {
        self.installations(|all| all.put(installation));
    }

    /// Uninstalls the app: its tokens there are dead.
    pub fn uninstall(&self, id: u64) {
        self.installations(|all| all.remove(id));
    }

    /// Suspends an installation, or lifts that.
    ///
    /// # Panics
    /// If there is none of this number.
    pub fn suspend(&self, id: u64, suspended: bool) {
        self.installations(|all| {
            all.get_mut(id).expect("the app is installed there").suspended = suspended;
        });
    }

    /// New tokens of installations are the long ones, with two dots, unless the request's
    /// `X-GitHub-Stateless-S2S-Token` says otherwise.
    pub fn stateless_tokens(&self, stateless: bool) {
        self.installations(|all| all.stateless = stateless);
    }

    /// So long a new token of an installation is answered with 401, by the simulator's clock.
    pub fn replicate_after(&self, delay: Duration) {
        self.installations(|all| all.replication = delay);
    }

    fn installations(&self, change: impl FnOnce(&mut Installations)) {
        change(&mut lock(&self.shared.app.installations));
    }
}

/// Answers what the app itself or one of its installations asks; `None` is for others to answer.
pub(super) fn answer(shared: &Shared, request: &Recorded, path: &[&str]) -> Option<Outcome> {
    let word = bearer(request);
    let of_app = matches!(
        path,
        ["app", ..] | ["repos", _, _, "installation"] | ["orgs" | "users", _, "installation"]
    );
    if of_app {
        let by_app = authenticate(shared, word).and_then(|()| app_route(shared, request, path));
        return Some(by_app.unwrap_or_else(|refused| refused));
    }
    let word = word.filter(|word| word.starts_with("ghs_"))?;
    if reads_a_repository(request, path) && may_read(shared, word) {
        return None;
    }
    Some(installation_route(shared, request, word, path).unwrap_or_else(|refused| refused))
}

/// What an installation reads of repositories is what everybody may see.
fn reads_a_repository(request: &Recorded, path: &[&str]) -> bool {
    matches!(request.method.as_str(), "GET" | "HEAD")
        && matches!(path, ["repos" | "repositories", ..])
}

/// Whether a token is an installation's, and good now.
pub(super) fn may_read(shared: &Shared, word: &str) -> bool {
    let now = lock(&shared.world).now();
    lock(&shared.app.installations).identify(word, now).is_ok()
}

/// `GET /user/installations`: those of the person and of the organizations they belong to.
pub(super) fn of_user(shared: &Shared, request: &Recorded, person: &Person) -> Outcome {
    let theirs = |account: &str| {
        person.login.eq_ignore_ascii_case(account)
            || person.membership(account).is_some_and(|of| !of.pending)
    };
    let all = lock(&shared.app.installations);
    let seen = all.all().filter(|installation| theirs(&installation.account));
    let seen = seen.map(|installation| shown(shared, installation)).collect();
    envelope(shared, request, "installations", seen)
}

/// `GET /user/installations/{id}/repositories`: those of an installation that the person may see.
pub(super) fn repositories_for(
    shared: &Shared,
    request: &Recorded,
    person: &Person,
    id: &str,
) -> Outcome {
    let theirs = |account: &str| {
        person.login.eq_ignore_ascii_case(account)
            || person.membership(account).is_some_and(|of| !of.pending)
    };
    let all = lock(&shared.app.installations);
    let seen = id.parse().ok().and_then(|id| all.get(id)).filter(|it| theirs(&it.account));
    let Some(installation) = seen else { return Outcome::not_found() };
    let list: Vec<_> =
        installation.repositories.iter().map(|(id, name)| (*id, name.as_str())).collect();
    let list = repositories(shared, installation, &list).as_array().cloned().unwrap_or_default();
    envelope(shared, request, "repositories", list)
}

/// Whether the request shows the app's own token, by the simulator's clock.
fn authenticate(shared: &Shared, word: Option<&str>) -> Result<(), Outcome> {
    let refused = |status, words| Outcome::error(status, words);
    let word = word.filter(|word| app_jwt::is_jwt(word));
    let word = word.ok_or_else(|| refused(StatusCode::UNAUTHORIZED, UNDECODABLE))?;
    let now = i64::try_from(lock(&shared.world).unix()).unwrap_or(i64::MAX);
    let keys = lock(&shared.app.keys);
    let issuers = [APP.to_string(), CLIENT_ID.to_owned()];
    app_jwt::check(word, &keys, &issuers, now).map_err(|why| {
        let status = if why == UNKNOWN { StatusCode::NOT_FOUND } else { StatusCode::UNAUTHORIZED };
        refused(status, why)
    })
}

fn app_route(shared: &Shared, request: &Recorded, path: &[&str]) -> Result<Outcome, Outcome> {
    let method = if request.method == "HEAD" { "GET" } else { request.method.as_str() };
    let show = |found: Option<&Installation>| {
        found.map(|it| Outcome::fine(shown(shared, it))).ok_or_else(Outcome::not_found)
    };
    let all = || lock(&shared.app.installations);
    match (method, path) {
        ("GET", ["app"]) => Ok(Outcome::fine(app(shared))),
        ("GET", ["app", "installations"]) => {
            let list = all().all().map(|it| shown(shared, it)).collect();
            Ok(page(shared, request, list))
        }
        ("GET", ["app", "installations", id]) => show(all().get(number(id)?)),
        ("POST", ["app", "installations", id, "access_tokens"]) => {
            mint(shared, request, number(id)?)
        }
        ("DELETE", ["app", "installations", id]) => {
            let id = number(id)?;
            all().get(id).ok_or_else(Outcome::not_found)?;
            all().remove(id);
            Ok(Outcome::done())
        }
        ("GET", ["repos", owner, name, "installation"]) => show(
            all()
                .of(owner)
                .filter(|it| it.repositories.values().any(|own| own.eq_ignore_ascii_case(name))),
        ),
        ("GET", ["orgs", account, "installation"]) => {
            show(all().of(account).filter(|_| !is_person(shared, account)))
        }
        ("GET", ["users", account, "installation"]) => {
            show(all().of(account).filter(|_| is_person(shared, account)))
        }
        (_, ["app", "hook", rest @ ..]) => deliveries::route(shared, request, method, rest),
        _ => Err(Outcome::not_found()),
    }
}

/// `POST /app/installations/{id}/access_tokens`.
fn mint(shared: &Shared, request: &Recorded, id: u64) -> Result<Outcome, Outcome> {
    let wish = if request.body.is_empty() {
        Value::Null
    } else {
        let invalid = |_| Outcome::error(StatusCode::BAD_REQUEST, "Problems parsing JSON");
        serde_json::from_slice(&request.body).map_err(invalid)?
    };
    let stateless = request.header("x-github-stateless-s2s-token").map(|it| it == "enabled");
    let now = lock(&shared.world).now();
    let mut all = lock(&shared.app.installations);
    let (word, token) = all.mint(id, &wish, stateless, now)?;
    let installation = all.get(id).ok_or_else(Outcome::not_found)?;
    let some = installation.selected || token.repositories.is_some();
    let mut body = json!({
        "token": word, "expires_at": lock(&shared.world).written(token.until),
        "permissions": token.permissions,
        "repository_selection": if some { "selected" } else { "all" },
    });
    if token.repositories.is_some() {
        body["repositories"] =
            repositories(shared, installation, &token.repositories(installation));
    }
    Ok(Outcome { status: StatusCode::CREATED, ..Outcome::fine(body) })
}

/// What an installation's token is good for.
fn installation_route(
    shared: &Shared,
    request: &Recorded,
    word: &str,
    path: &[&str],
) -> Result<Outcome, Outcome> {
    let now = lock(&shared.world).now();
    let mut all = lock(&shared.app.installations);
    let (token, installation) = all.identify(word, now)?;
    match (request.method.as_str(), path) {
        ("GET" | "HEAD", ["installation", "repositories"]) => {
            let list = repositories(shared, installation, &token.repositories(installation));
            let list = list.as_array().cloned().unwrap_or_default();
            Ok(envelope(shared, request, "repositories", list))
        }
        ("DELETE", ["installation", "token"]) => {
            all.revoke(word);
            Ok(Outcome::done())
        }
        (_, ["user", ..]) => {
            let words = "Resource not accessible by integration";
            Err(Outcome::error(StatusCode::FORBIDDEN, words))
        }
        _ => Err(Outcome::not_found()),
    }
}

// === How things look ===

fn app(shared: &Shared) -> Value {
    let count = lock(&shared.app.installations).all().count();
    let world = lock(&shared.world);
    json!({
        "id": APP, "slug": "gatekeep", "node_id": format!("A_{APP}"), "client_id": CLIENT_ID,
        "name": "Gatekeep", "description": "", "external_url": "https://gate.example",
        "html_url": format!("{}/apps/gatekeep", shared.url),
        "created_at": world.written(Duration::ZERO), "updated_at": world.written(Duration::ZERO),
        "permissions": { "metadata": "read", "contents": "read" }, "events": ["installation"],
        "installations_count": count,
    })
}

fn shown(shared: &Shared, installation: &Installation) -> Value {
    let (base, api, id) = (&shared.url, &shared.api_url, installation.id);
    let account = account(shared, &installation.account);
    let kind = account["type"].clone();
    let suspended_at = installation.suspended.then_some("2026-01-01T00:00:00Z");
    json!({
        "id": id, "client_id": CLIENT_ID, "app_id": APP, "app_slug": "gatekeep",
        "account": account, "target_id": account["id"], "target_type": kind,
        "repository_selection": if installation.selected { "selected" } else { "all" },
        "access_tokens_url": format!("{api}/app/installations/{id}/access_tokens"),
        "repositories_url": format!("{api}/installation/repositories"),
        "html_url": format!("{base}/settings/installations/{id}"),
        "permissions": installation.permissions, "events": [], "single_file_name": null,
        "has_multiple_single_files": false, "single_file_paths": [],
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        "suspended_by": null, "suspended_at": suspended_at,
    })
}

fn account(shared: &Shared, login: &str) -> Value {
    let world = lock(&shared.world);
    if let Some(key) = world.find(login) {
        return resource::simple_user(&shared.url, &shared.api_url, world.person(key));
    }
    let mut org = resource::organization(&shared.url, &shared.api_url, login);
    org["type"] = json!("Organization");
    org
}

fn repositories(shared: &Shared, of: &Installation, list: &[(u64, &str)]) -> Value {
    let (api, owner) = (&shared.api_url, account(shared, &of.account));
    let one = |(id, name): &(u64, &str)| {
        let full = format!("{}/{name}", of.account);
        json!({
            "id": id, "node_id": format!("R_{id}"), "name": name, "full_name": full,
            "private": true, "owner": owner, "url": format!("{api}/repos/{full}"),
            "html_url": format!("{}/{full}", shared.url),
        })
    };
    list.iter().map(one).collect()
}

fn envelope(shared: &Shared, request: &Recorded, name: &str, items: Vec<Value>) -> Outcome {
    let count = items.len();
    let listed = page(shared, request, items);
    let Content::Json(items) = *listed.content else { unreachable!("a page is JSON") };
    let content = Box::new(Content::Json(json!({ "total_count": count, name: items })));
    Outcome { content, ..listed }
}

fn page(shared: &Shared, request: &Recorded, items: Vec<Value>) -> Outcome {
    let url = format!("{}{}", shared.url, request.path());
    let (part, link) = Wanted::read(request.query()).cut(items, &url);
    Outcome::page(part, link)
}

fn is_person(shared: &Shared, login: &str) -> bool {
    lock(&shared.world).find(login).is_some()
}

pub(super) fn number(text: &str) -> Result<u64, Outcome> {
    text.parse().map_err(|_| Outcome::not_found())
}
