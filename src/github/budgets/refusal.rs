//! A request that is not sent: said as GitHub would say it, so that clients understand.

use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::budget::{Resource, Standing};
use crate::route::LimitStatus;

/// A request that may not be sent now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What stands against it.
    pub kind: RefusedKind,
    /// When to ask again.
    pub retry_after: Duration,
    /// What is left, as far as GitHub has said.
    pub standing: Option<Standing>,
    /// The limit that it would have been counted under.
    pub resource: Resource,
    /// With which status GitHub itself refused last.
    pub(super) github_status: Option<StatusCode>,
}

/// What stands against a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedKind {
    /// Nothing is left until the window ends.
    Primary,
    /// GitHub asked for a pause.
    Secondary,
    /// Too many wait, or its turn would come too late.
    Queue,
}

const REFUSED: HeaderName = HeaderName::from_static("x-gatekeep-refused");
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// go-github knows a secondary limit by how the link ends.
const PRIMARY_LINK: &str = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-primary-rate-limits";
const SECONDARY_LINK: &str = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits";

// === impl RefusedKind ===

impl RefusedKind {
    /// The word for headers and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
            Self::Queue => "queue",
        }
    }
}

// === impl Refused ===

impl Refused {
    /// The answer to the client. GraphQL says 200 beyond its primary limit.
    ///
    /// `PyGithub` goes by how the message starts, Renovate by what it contains, Octokit by "secondary
    /// rate" and else by `x-ratelimit-remaining: 0`, go-github by that field first of all.
    pub fn answer(
        &self,
        status: LimitStatus,
        is_graphql: bool,
        request_id: &str,
    ) -> (StatusCode, HeaderMap, Vec<u8>) {
        let is_in_graphql = is_graphql && self.kind == RefusedKind::Primary;
        let status = if is_in_graphql { StatusCode::OK } else { self.status(status) };
        let body = self.body(is_in_graphql, request_id);
        (status, self.headers(), body.to_string().into_bytes())
    }

    fn status(&self, wanted: LimitStatus) -> StatusCode {
        match wanted {
            LimitStatus::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            LimitStatus::Forbidden => StatusCode::FORBIDDEN,
            LimitStatus::AsGitHub => self.github_status.unwrap_or(StatusCode::FORBIDDEN),
        }
    }

    fn headers(&self) -> HeaderMap {
        let told = self.told();
        let rate = told.iter().flat_map(Standing::fields);
        let own = [
            (RETRY_AFTER, self.seconds().into()),
            (REFUSED, HeaderValue::from_static(self.kind.word())),
            (CACHE_STATUS, HeaderValue::from_static("gatekeep; detail=refused")),
            (CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
            (CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8")),
        ];
        rate.chain(own).collect()
    }

    /// What the client is told of the limit. The reserve is not for clients, so nothing is left
    /// to them when it alone is; but a pause must not look like an hour without requests.
    fn told(&self) -> Option<Standing> {
        let remaining = |left| if self.kind == RefusedKind::Primary { 0 } else { left };
        self.standing.map(|s| Standing { remaining: remaining(s.remaining), ..s })
    }

    fn body(&self, is_in_graphql: bool, request_id: &str) -> Value {
        let message = self.message();
        if is_in_graphql {
            return json!({ "errors": [{ "type": "RATE_LIMITED", "message": message }] });
        }
        let link = match self.kind {
            RefusedKind::Primary => PRIMARY_LINK,
            RefusedKind::Secondary | RefusedKind::Queue => SECONDARY_LINK,
        };
        json!({ "message": message, "documentation_url": link, "request_id": request_id })
    }

    fn message(&self) -> String {
        let seconds = self.seconds();
        match self.kind {
            RefusedKind::Primary => format!(
                "API rate limit exceeded. GitHub was not asked; the limit is reset in {seconds} seconds."
            ),
            RefusedKind::Secondary => format!(
                "You have exceeded a secondary rate limit. GitHub was not asked, for it wants a \
                 pause of {seconds} more seconds."
            ),
            RefusedKind::Queue => format!(
                "You have exceeded a secondary rate limit of the gateway: too many requests wait \
                 for their turn. Ask again in {seconds} seconds."
            ),
        }
    }

    /// Whole seconds, at least one.
    fn seconds(&self) -> u64 {
        let rest = u64::from(self.retry_after.subsec_nanos() > 0);
        (self.retry_after.as_secs() + rest).max(1)
    }
}
