//! The REST API under `/api/v3`: who somebody is and where they belong.

use http::{HeaderValue, StatusCode, header::HeaderName};
use ring::digest;
use serde_json::{Value, json};

use super::{
    cast::Person,
    github::Shared,
    paginate::Wanted,
    record::{API, Recorded, lock},
    resource, scopes,
    web::{Reply, first, json, text},
    world::{World, hex, random_hex},
};

const DOCS: &str = "https://docs.github.com/rest";
const LIMIT: u64 = 5_000;

/// An answer before its headers.
struct Outcome {
    status: StatusCode,
    body: Value,
    link: Option<String>,
}

/// What the caller is: a token's person and scopes.
struct Caller {
    person: Person,
    scopes: Vec<String>,
    used: u64,
}

/// Answers one request to the API.
pub(super) fn answer(shared: &Shared, request: &Recorded) -> Reply {
    if request.header("user-agent").is_none_or(str::is_empty) {
        let words = "Request forbidden by administrative rules. Please make sure your request has \
                     a User-Agent header (https://docs.github.com/en/rest/overview/\
                     resources-in-the-rest-api#user-agent-required).";
        return text(StatusCode::FORBIDDEN, words);
    }
    let caller = caller(&mut lock(&shared.world), request);
    let outcome = match &caller {
        Ok(caller) => Api { shared, caller, request }.route(),
        Err(words) => Outcome::error(StatusCode::UNAUTHORIZED, words),
    };
    finish(outcome, caller.ok().as_ref(), request)
}

fn caller(world: &mut World, request: &Recorded) -> Result<Caller, &'static str> {
    let credentials = request.header("authorization").and_then(|it| it.split_once(' '));
    let token = credentials.filter(|(scheme, _)| {
        scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token")
    });
    let (_, token) = token.ok_or("Requires authentication")?;
    let token = world.token(token.trim()).cloned().ok_or("Bad credentials")?;
    let used = world.count_request(token.person);
    Ok(Caller { person: world.person(token.person).clone(), scopes: token.scopes, used })
}

struct Api<'a> {
    shared: &'a Shared,
    caller: &'a Caller,
    request: &'a Recorded,
}

// === impl Api ===

impl Api<'_> {
    fn route(&self) -> Outcome {
        let path = self.request.path().strip_prefix(API).unwrap_or_default();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
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
        if !scopes::allow(&self.caller.scopes, "user:email") {
            return Outcome::not_found();
        }
        self.list(resource::emails(&self.caller.person))
    }

    fn orgs(&self) -> Outcome {
        if !self.allows(&["read:org", "user"]) {
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
        if !self.allows(&["read:org"]) {
            return Outcome::error(
                StatusCode::FORBIDDEN,
                "You need at least read:org scope to list your teams",
            );
        }
        let teams = self.caller.person.teams.iter();
        self.list(teams.map(|team| resource::team(self.base(), self.api(), team)).collect())
    }

    fn memberships(&self) -> Outcome {
        if !self.allows(&["read:org", "user"]) {
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
        if !self.allows(&["read:org", "user"]) {
            return Outcome::membership_scope();
        }
        self.show_membership(&self.caller.person, org)
    }

    /// Only members may look up members.
    fn membership_of(&self, org: &str, login: &str) -> Outcome {
        if !self.allows(&["read:org"]) {
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
        Outcome { status: StatusCode::OK, body: Value::Array(part), link }
    }

    fn allows(&self, any: &[&str]) -> bool {
        any.iter().any(|scope| scopes::allow(&self.caller.scopes, scope))
    }

    fn base(&self) -> &str {
        &self.shared.url
    }

    fn api(&self) -> &str {
        &self.shared.api_url
    }
}

// === impl Outcome ===

impl Outcome {
    fn fine(body: Value) -> Self {
        Self { status: StatusCode::OK, body, link: None }
    }

    fn error(status: StatusCode, words: &str) -> Self {
        let code = status.as_u16().to_string();
        let body = json!({ "message": words, "documentation_url": DOCS, "status": code });
        Self { status, body, link: None }
    }

    fn not_found() -> Self {
        Self::error(StatusCode::NOT_FOUND, "Not Found")
    }

    fn membership_scope() -> Self {
        let words = "You need at least read:org scope or user scope to list your organization \
                     memberships";
        Self::error(StatusCode::FORBIDDEN, words)
    }
}

/// Puts GitHub's headers on, and answers 304 to who has it already.
fn finish(outcome: Outcome, caller: Option<&Caller>, request: &Recorded) -> Reply {
    let digest = digest::digest(&digest::SHA256, outcome.body.to_string().as_bytes());
    let tag = format!("\"{}\"", hex(digest.as_ref()));
    let mut reply = json(outcome.status, &outcome.body);
    if outcome.status == StatusCode::OK && knows(request, &tag) {
        *reply.status_mut() = StatusCode::NOT_MODIFIED;
        *reply.body_mut() = super::web::full("");
    }
    let mut put = |name: &'static str, value: String| {
        let value = HeaderValue::from_str(&value).unwrap_or_else(|_| HeaderValue::from_static(""));
        reply.headers_mut().append(HeaderName::from_static(name), value);
    };
    put("x-github-media-type", "github.v3; format=json".to_owned());
    put("x-github-request-id", random_hex(8).to_uppercase());
    rate_headers(caller, &mut put);
    if let Some(caller) = caller {
        put("x-oauth-scopes", caller.scopes.join(", "));
        put("x-accepted-oauth-scopes", String::new());
        put("vary", "Accept, Authorization, Cookie, X-GitHub-OTP".to_owned());
        put("vary", "Accept-Encoding, Accept, X-Requested-With".to_owned());
    }
    if let Some(link) = outcome.link {
        put("link", link);
    }
    if outcome.status == StatusCode::OK {
        put("etag", tag);
        let private = HeaderValue::from_static("private, max-age=60, s-maxage=60");
        reply.headers_mut().insert(http::header::CACHE_CONTROL, private);
    }
    reply
}

/// A person's 5,000 an hour; 60 for who did not say who they are.
fn rate_headers(caller: Option<&Caller>, put: &mut impl FnMut(&'static str, String)) {
    let (limit, used) = caller.map_or((60, 1), |caller| (LIMIT, caller.used));
    let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    put("x-ratelimit-limit", limit.to_string());
    put("x-ratelimit-remaining", limit.saturating_sub(used).to_string());
    put("x-ratelimit-used", used.to_string());
    put("x-ratelimit-reset", (now - now % 3_600 + 3_600).to_string());
    put("x-ratelimit-resource", "core".to_owned());
}

fn knows(request: &Recorded, tag: &str) -> bool {
    let known = request.header("if-none-match").unwrap_or_default();
    known
        .split(',')
        .any(|one| matches!(one.trim(), "*") || one.trim().trim_start_matches("W/") == tag)
}
