//! The REST API under `/api/v3`: who somebody is and where they belong.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;

use super::{
    applications,
    caller::Caller,
    cast::Person,
    etag,
    github::Shared,
    outcome::Outcome,
    paginate::Wanted,
    record::{API, Recorded, lock},
    resource,
    tokens::Rights,
    web::{Reply, first, full, reply, text},
    world::random_hex,
};

/// Requests an hour for a person or an app.
const LIMIT: u64 = 5_000;

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
        let reply = build(shared, request, applications::route(shared, request, rest));
        return signed(reply, LIMIT, 1);
    }
    match Caller::identify(shared, request) {
        Ok(caller) => for_caller(shared, request, &caller),
        Err(outcome) => signed(build(shared, request, outcome), 60, 1),
    }
}

/// The path below the API's prefix.
fn segments(request: &Recorded) -> impl Iterator<Item = &str> {
    request.path().strip_prefix(API).unwrap_or_default().split('/').skip(1)
}

/// Answers a person, and counts it against their hour unless they had the answer already.
fn for_caller(shared: &Shared, request: &Recorded, caller: &Caller) -> Reply {
    let mut reply = build(shared, request, Api { shared, caller, request }.route());
    let used = {
        let mut world = lock(&shared.world);
        if reply.status() != StatusCode::NOT_MODIFIED {
            world.count_request(caller.key);
        }
        world.requests(caller.key)
    };
    rights_headers(reply.headers_mut(), request, &caller.rights);
    put(reply.headers_mut(), "vary", "Accept, Authorization, Cookie, X-GitHub-OTP");
    put(reply.headers_mut(), "vary", "Accept-Encoding, Accept, X-Requested-With");
    signed(reply, LIMIT, used)
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

/// Makes the answer, or 304 for who has it already.
fn build(shared: &Shared, request: &Recorded, outcome: Outcome) -> Reply {
    let Some(body) = outcome.body else {
        let mut empty = Reply::new(full(""));
        *empty.status_mut() = outcome.status;
        return empty;
    };
    let body = body.to_string();
    let reads = matches!(request.method.as_str(), "GET" | "HEAD");
    let tag = shared.knobs.makes_etags().of(request, body.as_bytes());
    let tag = tag.filter(|_| reads && outcome.status == StatusCode::OK);
    let known = tag.as_ref().is_some_and(|tag| etag::known(request, tag));
    let mut reply = if known {
        let mut unchanged = Reply::new(full(""));
        *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
        unchanged
    } else {
        reply(outcome.status, "application/json; charset=utf-8", full(body))
    };
    let headers = reply.headers_mut();
    if outcome.status == StatusCode::OK {
        let private = HeaderValue::from_static("private, max-age=60, s-maxage=60");
        headers.insert(header::CACHE_CONTROL, private);
    }
    for (name, value) in [("etag", tag), ("link", outcome.link)] {
        if let Some(value) = value {
            put(headers, name, &value);
        }
    }
    reply
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
        _ => "allows_permissionless_access=true",
    }
}

/// The headers of every answer: 60 requests an hour for who did not say who they are.
fn signed(mut reply: Reply, limit: u64, used: u64) -> Reply {
    let headers = reply.headers_mut();
    let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    put(headers, "x-github-media-type", "github.v3; format=json");
    put(headers, "x-github-request-id", &random_hex(8).to_uppercase());
    put(headers, "x-ratelimit-limit", &limit.to_string());
    put(headers, "x-ratelimit-remaining", &limit.saturating_sub(used).to_string());
    put(headers, "x-ratelimit-used", &used.to_string());
    put(headers, "x-ratelimit-reset", &(now - now % 3_600 + 3_600).to_string());
    put(headers, "x-ratelimit-resource", "core");
    reply
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).unwrap_or_else(|_| HeaderValue::from_static(""));
    headers.append(HeaderName::from_static(name), value);
}
