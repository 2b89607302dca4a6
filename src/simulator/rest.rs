//! The REST API under `/api/v3`: who somebody is and where they belong.

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::{
    app, applications,
    asker::{Asker, Audience},
    caller::Caller,
    cast::Person,
    github::Shared,
    limits::{Rate, Receipt, metered, secondary, standing},
    outcome::Outcome,
    paginate::Wanted,
    present::{present, put},
    record::{API, Recorded, lock},
    repositories, resource,
    tokens::Rights,
    web::{Reply, first, text},
    world::random_hex,
};

/// The versions of the API: the first is what is given to who asks for none.
const VERSIONS: [&str; 2] = ["2022-11-28", "2026-03-10"];

/// Answers one request to the API.
pub(super) fn answer(shared: &Shared, request: &Recorded) -> Reply {
    if request.header("user-agent").is_none_or(str::is_empty) {
        let words = "Request forbidden by administrative rules. Please make sure your request has \
                     a User-Agent header (https://docs.github.com/en/rest/overview/\
                     resources-in-the-rest-api#user-agent-required).";
        return text(StatusCode::FORBIDDEN, words);
    }
    let path: Vec<&str> = segments(request).collect();
    if let ["applications", rest @ ..] = &path[..] {
        return uncounted(shared, request, applications::route(shared, request, rest));
    }
    if let Some(outcome) = app::answer(shared, request, &path) {
        let reply = present(shared, request, Audience::Private, outcome);
        return signed(shared, reply, standing(shared, request));
    }
    counted(shared, request, |asker| route(shared, request, asker))
}

/// Answers one GraphQL request.
pub(super) fn graphql(shared: &Shared, request: &Recorded) -> Reply {
    counted(shared, request, |asker| repositories::query(shared, request, asker))
}

/// Answers one upload, after all of it has arrived.
pub(super) fn upload(shared: &Shared, request: &Recorded) -> Reply {
    counted(shared, request, |asker| repositories::uploaded(shared, request, asker))
}

/// A secondary rate limit, whether or not anything was done too fast.
pub(super) fn too_hasty(
    shared: &Shared,
    request: &Recorded,
    status: u16,
    retry_after: Option<u64>,
) -> Reply {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
    uncounted(shared, request, secondary(status, retry_after))
}

/// An answer that no budget knows of.
fn uncounted(shared: &Shared, request: &Recorded, outcome: Outcome) -> Reply {
    let reply = present(shared, request, Audience::Public, outcome);
    signed(shared, reply, standing(shared, request))
}

/// Answers whoever it is, within their limits.
fn counted(shared: &Shared, request: &Recorded, answer: impl FnOnce(&Asker) -> Outcome) -> Reply {
    let asker = match Asker::identify(shared, request) {
        Ok(asker) => asker,
        Err(outcome) => return uncounted(shared, request, outcome),
    };
    let mut reply = metered(shared, request, &asker, || answer(&asker));
    if let Some(version) = version(request) {
        put(reply.headers_mut(), "x-github-api-version-selected", version);
    }
    if let Some(caller) = asker.person() {
        rights_headers(reply.headers_mut(), request, &caller.rights);
    }
    let receipt = reply.extensions().get::<Receipt>().copied();
    signed(shared, reply, receipt.and_then(|receipt| receipt.rate))
}

/// The path below the API's prefix.
pub(super) fn segments(request: &Recorded) -> impl Iterator<Item = &str> {
    request.path().strip_prefix(API).unwrap_or_default().split('/').skip(1)
}

/// The version that was asked for, or the usual one; `None` if there is no such version.
pub(super) fn version(request: &Recorded) -> Option<&'static str> {
    let asked = request.header("x-github-api-version").unwrap_or(VERSIONS[0]);
    VERSIONS.into_iter().find(|version| *version == asked)
}

fn route(shared: &Shared, request: &Recorded, asker: &Asker) -> Outcome {
    if version(request).is_none() {
        let words = "The API version that was asked for is not supported.";
        return Outcome::error(StatusCode::BAD_REQUEST, words);
    }
    if let Some(outcome) = repositories::route(shared, request, asker) {
        return outcome;
    }
    match asker.person() {
        Some(caller) => Api { shared, caller, request }.route(),
        None => Outcome::requires_authentication(),
    }
}

struct Api<'a> {
    shared: &'a Shared,
    caller: &'a Caller,
    request: &'a Recorded,
}

// === impl Api ===

impl Api<'_> {
    fn route(&self) -> Outcome {
        let segments: Vec<&str> = segments(self.request).collect();
        if !matches!(self.request.method.as_str(), "GET" | "HEAD") {
            return Outcome::not_found();
        }
        match segments[..] {
            ["user"] => Outcome::fine(resource::user(self.base(), self.api(), &self.caller.person)),
            ["user", "emails"] => self.emails(),
            ["user", "orgs"] => self.orgs(),
            ["user", "teams"] => self.teams(),
            ["user", "installations"] => {
                app::of_user(self.shared, self.request, &self.caller.person)
            }
            ["user", "installations", id, "repositories"] => {
                app::repositories_for(self.shared, self.request, &self.caller.person, id)
            }
            ["user", "memberships", "orgs"] => self.memberships(),
            ["user", "memberships", "orgs", org] => self.own_membership(org),
            ["orgs", org, "memberships", login] => self.membership_of(org, login),
            _ => Outcome::not_found(),
        }
    }

    fn emails(&self) -> Outcome {
        if !self.caller.allows(&["user:email"]) {
            return Outcome::not_found();
        }
        self.list(resource::emails(&self.caller.person))
    }

    fn orgs(&self) -> Outcome {
        if !self.caller.allows(&["read:org", "user"]) {
            return Outcome::error(
                StatusCode::FORBIDDEN,
                "You need at least read:org scope or user scope to list your organizations",
            );
        }
        let active = self.caller.person.orgs.iter().filter(|of| !of.pending);
        let orgs = active.map(|of| resource::organization(self.base(), self.api(), &of.org));
        self.list(orgs.collect())
    }

    fn teams(&self) -> Outcome {
        if !self.caller.allows(&["read:org"]) {
            return Outcome::error(
                StatusCode::FORBIDDEN,
                "You need at least read:org scope to list your teams",
            );
        }
        let teams = self.caller.person.teams.iter();
        self.list(teams.map(|team| resource::team(self.base(), self.api(), team)).collect())
    }

    fn memberships(&self) -> Outcome {
        if !self.caller.allows(&["read:org", "user"]) {
            return Outcome::membership_scope();
        }
        let query = self.request.query();
        let wanted = first(&query, "state");
        let orgs = self.caller.person.orgs.iter().filter(|of| match wanted {
            Some("active") => !of.pending,
            Some("pending") => of.pending,
            _ => true,
        });
        let show = |of| resource::membership(self.base(), self.api(), &self.caller.person, of);
        self.list(orgs.map(show).collect())
    }

    fn own_membership(&self, org: &str) -> Outcome {
        if !self.caller.allows(&["read:org", "user"]) {
            return Outcome::membership_scope();
        }
        self.show_membership(&self.caller.person, org)
    }

    /// Only members may look up members.
    fn membership_of(&self, org: &str, login: &str) -> Outcome {
        if !self.caller.allows(&["read:org"]) {
            return Outcome::membership_scope();
        }
        if self.caller.person.membership(org).is_none_or(|of| of.pending) {
            let words =
                format!("You must be a member of {org} to see membership information for {login}.");
            return Outcome::error(StatusCode::FORBIDDEN, &words);
        }
        let world = lock(&self.shared.world);
        match world.find(login) {
            Some(key) => self.show_membership(world.person(key), org),
            None => Outcome::not_found(),
        }
    }

    fn show_membership(&self, person: &Person, org: &str) -> Outcome {
        match person.membership(org) {
            Some(of) => Outcome::fine(resource::membership(self.base(), self.api(), person, of)),
            None => Outcome::not_found(),
        }
    }

    fn list(&self, items: Vec<Value>) -> Outcome {
        let url = format!("{}{}", self.base(), self.request.path());
        let (part, link) = Wanted::read(self.request.query()).cut(items, &url);
        Outcome::page(part, link)
    }

    fn base(&self) -> &str {
        &self.shared.url
    }

    fn api(&self) -> &str {
        &self.shared.api_url
    }
}

/// An OAuth app is told its scopes, a GitHub App which permission the endpoint wants.
fn rights_headers(headers: &mut HeaderMap, request: &Recorded, rights: &Rights) {
    match rights {
        Rights::Scopes(scopes) => {
            put(headers, "x-oauth-scopes", &scopes.join(", "));
            put(headers, "x-accepted-oauth-scopes", "");
        }
        Rights::Permissions => {
            let path: Vec<&str> = segments(request).collect();
            put(headers, "x-accepted-github-permissions", permission(&path));
        }
    }
}

fn permission(path: &[&str]) -> &'static str {
    match path {
        ["user", "emails"] => "email_addresses=read",
        ["user", "memberships", ..] | ["orgs", ..] => "members=read",
        ["repos" | "repositories", .., "issues"] => "issues=read; pull_requests=read",
        ["repos" | "repositories", .., "contents"] => "contents=read",
        ["repos" | "repositories", ..] => "metadata=read",
        _ => "allows_permissionless_access=true",
    }
}

/// The headers of every answer, and what is left of the budget it was counted against.
fn signed(shared: &Shared, mut reply: Reply, rate: Option<Rate>) -> Reply {
    let headers = reply.headers_mut();
    put(headers, "x-github-request-id", &random_hex(8).to_uppercase());
    let Some(rate) = rate else { return reply };
    let reset = lock(&shared.world).seconds_at(rate.reset);
    put(headers, "x-ratelimit-limit", &rate.limit.to_string());
    put(headers, "x-ratelimit-remaining", &rate.remaining().to_string());
    put(headers, "x-ratelimit-used", &rate.used.to_string());
    put(headers, "x-ratelimit-reset", &reset.to_string());
    put(headers, "x-ratelimit-resource", rate.resource.name());
    reply
}
