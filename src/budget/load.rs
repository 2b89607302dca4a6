//! What a request weighs: its points, and whom it has to wait for.

use std::time::Duration;

use http::Method;

use super::{Kind, Resource};

/// The weight of one request, as GitHub's secondary limits see it.
/// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits>
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub(super) lane: Lane,
    /// Where its points are counted: for each REST endpoint apart, for GraphQL as one.
    pub(super) account: &'static str,
    pub(super) points: u32,
    pub(super) is_graphql: bool,
    pub(super) creates: bool,
}

/// Requests that are spaced among each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Read,
    Search,
    Write,
    /// Getting and checking tokens: nothing is created, so they are only kept apart.
    Token,
}

/// The account of GraphQL, whatever its template.
const GRAPHQL: &str = "/graphql";

/// What a write costs; everything else costs one point.
const WRITE: u32 = 5;

/// Where something is created that people are notified of, and which GitHub limits more tightly:
/// Octokit's plugin-throttling keeps this list, whose names of parameters vary.
const CREATING: [&str; 19] = [
    "/orgs/{}/invitations",
    "/orgs/{}/invitations/{}",
    "/orgs/{}/teams/{}/discussions",
    "/orgs/{}/teams/{}/discussions/{}/comments",
    "/repos/{}/{}/collaborators/{}",
    "/repos/{}/{}/commits/{}/comments",
    "/repos/{}/{}/issues",
    "/repos/{}/{}/issues/{}/comments",
    "/repos/{}/{}/issues/{}/sub_issue",
    "/repos/{}/{}/issues/{}/sub_issues/priority",
    "/repos/{}/{}/pulls",
    "/repos/{}/{}/pulls/{}/comments",
    "/repos/{}/{}/pulls/{}/comments/{}/replies",
    "/repos/{}/{}/pulls/{}/merge",
    "/repos/{}/{}/pulls/{}/requested_reviewers",
    "/repos/{}/{}/pulls/{}/reviews",
    "/repos/{}/{}/releases",
    "/teams/{}/discussions",
    "/teams/{}/discussions/{}/comments",
];

/// Where tokens are got, checked and ended.
const TOKENS: [&str; 4] = [
    "/app/installations/{}/access_tokens",
    "/applications/{}/token",
    "/applications/{}/token/scoped",
    "/applications/{}/grant",
];

// === impl Load ===

impl Load {
    /// The weight of a request. `template` is the path as GitHub documents it, such as
    /// `/repos/{owner}/{repo}/issues`.
    pub fn of(kind: Kind, method: &Method, resource: Resource, template: &'static str) -> Self {
        let is_graphql = resource == Resource::GraphQl;
        let is_read = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        let writes = if is_graphql { kind == Kind::Mutation } else { !is_read };
        let lane = match resource {
            Resource::Search | Resource::CodeSearch => Lane::Search,
            _ if !writes => Lane::Read,
            _ if is_one_of(&TOKENS, template) => Lane::Token,
            _ => Lane::Write,
        };
        Self {
            lane,
            account: if is_graphql { GRAPHQL } else { template },
            points: if writes { WRITE } else { 1 },
            is_graphql,
            creates: lane == Lane::Write && is_one_of(&CREATING, template),
        }
    }

    /// Whether it may not overtake the other: both wait for the same.
    pub fn queues_behind(&self, earlier: &Self) -> bool {
        self.lane == earlier.lane && (self.lane != Lane::Read || self.account == earlier.account)
    }

    /// What it has to keep from the one before it.
    pub fn spacing(&self) -> Duration {
        match self.lane {
            Lane::Write if self.creates => Duration::from_secs(3),
            Lane::Write => Duration::from_secs(1),
            Lane::Search => Duration::from_secs(2),
            Lane::Read | Lane::Token => Duration::ZERO,
        }
    }
}

// === impl Lane ===

impl Lane {
    /// Whether one is under way at a time.
    pub(super) fn is_single(self) -> bool {
        self != Self::Read
    }
}

fn is_one_of(shapes: &[&str], template: &str) -> bool {
    shapes.iter().any(|shape| is_of_shape(shape, template))
}

fn is_of_shape(shape: &str, template: &str) -> bool {
    let (mut ours, mut theirs) = (shape.split('/'), template.split('/'));
    loop {
        match (ours.next(), theirs.next()) {
            (None, None) => return true,
            (Some("{}"), Some(name)) if name.starts_with('{') => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(kind: Kind, method: &str, template: &'static str) -> Load {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        Load::of(kind, &method, Resource::predicted(&method, template), template)
    }

    #[test]
    fn a_request_weighs_what_github_says() {
        let issues = "/repos/{owner}/{repo}/issues";
        let mint = "/app/installations/{installation_id}/access_tokens";
        for (kind, method, template, lane, points, creates) in [
            (Kind::Ordinary, "GET", issues, Lane::Read, 1, false),
            (Kind::Revalidation, "HEAD", issues, Lane::Read, 1, false),
            (Kind::Ordinary, "POST", issues, Lane::Write, 5, true),
            (Kind::Ordinary, "PATCH", "/repos/{owner}/{repo}/issues/{n}", Lane::Write, 5, false),
            (Kind::Ordinary, "POST", "/repos/{owner}/issues", Lane::Write, 5, false),
            (Kind::Ordinary, "POST", "/repos/{owner}/{repo}/issues/x", Lane::Write, 5, false),
            (Kind::Ordinary, "POST", "/teams/{id}/discussions", Lane::Write, 5, true),
            (Kind::Reserved, "POST", mint, Lane::Token, 5, false),
            (Kind::Ordinary, "GET", "/search/issues", Lane::Search, 1, false),
            (Kind::Ordinary, "GET", "/search/code", Lane::Search, 1, false),
            (Kind::Ordinary, "POST", "/graphql", Lane::Read, 1, false),
            (Kind::Mutation, "POST", "/graphql", Lane::Write, 5, false),
        ] {
            let load = load(kind, method, template);
            let found = (load.lane, load.points, load.creates);
            assert_eq!(found, (lane, points, creates), "{method} {template}");
        }
    }

    #[test]
    fn only_what_waits_for_the_same_keeps_its_order() {
        let get = |template| load(Kind::Ordinary, "GET", template);
        let post = |template| load(Kind::Ordinary, "POST", template);
        let patch = load(Kind::Ordinary, "PATCH", "/gists/{id}");
        assert!(patch.queues_behind(&post("/repos/{o}/{r}/issues")));
        assert!(get("/user").queues_behind(&get("/user")));
        assert!(!get("/user").queues_behind(&get("/gists")));
        assert!(!get("/user").queues_behind(&post("/user")));
        assert!(get("/search/users").queues_behind(&get("/search/issues")));
    }
}
