//! How GitHub says "not so fast": both kinds of limits come as 403 and as 429, and GraphQL's as
//! 200.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::{Resource, standing};
use crate::clock::Time;

/// A refusal by one of GitHub's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// What may be asked in a window has been asked.
    Primary {
        /// When the window ends, if the answer says so.
        reset: Option<Time>,
    },
    /// Too much at once, too fast, or too much created.
    Secondary {
        /// How long to wait, if the answer says so.
        retry_after: Option<Duration>,
    },
}

/// A refusal is short; what is longer is somebody's data.
const LONGEST_REFUSAL: usize = 16 * 1024;

// === impl Limited ===

impl Limited {
    /// Reads an answer. `body` is the body, or its beginning: JSON that is cut off says nothing,
    /// and then the headers alone decide.
    ///
    /// A 403 whose message speaks of something else is no limit, though the last request was spent
    /// on it: it is about what somebody may see.
    pub fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        match status {
            StatusCode::OK if is_graphql(headers) => of_graphql(headers, body),
            StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => refused(status, headers, body),
            _ => None,
        }
    }
}

/// GraphQL answers 200 beyond its limits.
/// <https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api>
fn of_graphql(headers: &HeaderMap, body: &[u8]) -> Option<Limited> {
    let said = json(body);
    let mut errors = said["errors"].as_array().into_iter().flatten().chain([&said]);
    errors.find_map(|error| match error["type"].as_str() {
        Some("RATE_LIMITED") => Some(primary(headers)),
        // GitHub quotes what it was asked for in messages about something else.
        None if is_secondary(error) && begins_so(text(error, "message")) => {
            Some(secondary(headers))
        }
        _ => None,
    })
}

/// How GitHub's own words about haste begin.
fn begins_so(message: &str) -> bool {
    ["You have exceeded a secondary rate limit", "You have triggered an abuse detection"]
        .iter()
        .any(|words| message.starts_with(words))
}

fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<Limited> {
    let said = json(body);
    if is_secondary(&said) {
        return Some(secondary(headers));
    }
    let is_spent = standing::remaining(headers) == Some(0);
    match text(&said, "message") {
        message if speaks_of(message, "rate limit") => Some(primary(headers)),
        _ if headers.contains_key(RETRY_AFTER) => Some(secondary(headers)),
        message if is_spent && (message.is_empty() || status != StatusCode::FORBIDDEN) => {
            Some(primary(headers))
        }
        _ if status == StatusCode::TOO_MANY_REQUESTS => Some(secondary(headers)),
        _ => None,
    }
}

/// The texts and links by which go-github, `PyGithub` and Renovate know it.
fn is_secondary(said: &Value) -> bool {
    let (message, link) = (text(said, "message"), text(said, "documentation_url"));
    speaks_of(message, "secondary rate limit")
        || speaks_of(message, "abuse detection")
        || link.ends_with("secondary-rate-limits")
        || link.ends_with("#abuse-rate-limits")
}

fn primary(headers: &HeaderMap) -> Limited {
    Limited::Primary { reset: standing::reset(headers) }
}

fn secondary(headers: &HeaderMap) -> Limited {
    let seconds = standing::number(headers, &RETRY_AFTER);
    Limited::Secondary { retry_after: seconds.map(Duration::from_secs) }
}

fn is_graphql(headers: &HeaderMap) -> bool {
    Resource::of_answer(headers, Resource::Core) == Some(Resource::GraphQl)
}

fn json(body: &[u8]) -> Value {
    let body = if body.len() > LONGEST_REFUSAL { &[] } else { body };
    serde_json::from_slice(body).unwrap_or_default()
}

fn text<'a>(said: &'a Value, key: &str) -> &'a str {
    said[key].as_str().unwrap_or_default()
}

fn speaks_of(message: &str, what: &str) -> bool {
    message.to_ascii_lowercase().contains(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECONDARY: &str = r#"{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again.","documentation_url":"https://docs.github.com/free-pro-team@latest/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}"#;
    const ABUSE: &str = r#"{"message":"You have triggered an abuse detection mechanism. Please wait a few minutes before you try again."}"#;
    const OLD_LINK: &str = r#"{"message":"?","documentation_url":"https://developer.github.com/v3/#abuse-rate-limits"}"#;
    const PRIMARY: &str = r#"{"message":"API rate limit exceeded for user ID 1."}"#;
    const ALREADY: &str = r#"{"message":"API rate limit already exceeded for installation ID 1."}"#;
    const MAY_NOT: &str = r#"{"message":"Must have admin rights to Repository."}"#;
    const GRAPHQL: &str = r#"{"errors":[{"type":"OTHER"},{"type":"RATE_LIMITED","message":"API rate limit exceeded for user ID 1."}]}"#;
    const ECHOED: &str = r#"{"errors":[{"type":"NOT_FOUND","message":"Could not resolve to a Repository with the name 'secondary rate limit/x'."},{"message":"You have 'secondary rate limit' in it."}]}"#;
    const QUOTED: &str = r#"{"data":{"title":"RATE_LIMITED: secondary rate limit"}}"#;

    fn read(status: u16, fields: &[(&'static str, &str)], body: &str) -> Option<Limited> {
        let fields = fields.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap()));
        let status = StatusCode::from_u16(status).unwrap();
        Limited::read(status, &fields.collect(), body.as_bytes())
    }

    #[test]
    fn a_limit_is_known_by_text_link_and_headers() {
        let primary = |reset: i64| Some(Limited::Primary { reset: Some(Time::from_unix(reset)) });
        let secondary =
            |s: Option<u64>| Some(Limited::Secondary { retry_after: s.map(Duration::from_secs) });
        let spent = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "2000")];
        let left = [("x-ratelimit-remaining", "9"), ("x-ratelimit-reset", "2000")];
        let retry = [("retry-after", "7"), ("x-ratelimit-remaining", "0")];
        for status in [403, 429] {
            assert_eq!(read(status, &retry, SECONDARY), secondary(Some(7)));
            assert_eq!(read(status, &retry, ""), secondary(Some(7)));
            assert_eq!(read(status, &retry, MAY_NOT), secondary(Some(7)));
            assert_eq!(read(status, &[("retry-after", "soon")], ""), secondary(None));
            for text in [SECONDARY, ABUSE, OLD_LINK] {
                assert_eq!(read(status, &left, text), secondary(None), "{text}");
                assert_eq!(read(status, &spent, text), secondary(None), "{text}");
            }
            for text in ["", PRIMARY, ALREADY, "<html>", &PRIMARY[..20]] {
                assert_eq!(read(status, &spent, text), primary(2000), "{text}");
            }
            assert_eq!(read(status, &[], PRIMARY), Some(Limited::Primary { reset: None }));
        }
        assert_eq!(read(429, &left, MAY_NOT), secondary(None));
        assert_eq!(read(429, &[], ""), secondary(None));
        assert_eq!(read(429, &spent, MAY_NOT), primary(2000));
    }

    #[test]
    fn what_somebody_may_not_see_is_no_limit() {
        let spent = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "2000")];
        assert_eq!(read(403, &spent, MAY_NOT), None);
        assert_eq!(read(403, &[], ""), None);
        for status in [200, 304, 401, 404, 500, 503] {
            assert_eq!(read(status, &spent, PRIMARY), None, "{status}");
        }
    }

    #[test]
    fn graphql_says_it_with_200() {
        let fields = [("x-ratelimit-resource", "graphql"), ("x-ratelimit-reset", "2000")];
        let primary = Limited::Primary { reset: Some(Time::from_unix(2000)) };
        assert_eq!(read(200, &fields, GRAPHQL), Some(primary));
        let secondary = Some(Limited::Secondary { retry_after: None });
        assert_eq!(read(200, &fields, SECONDARY), secondary);
        assert_eq!(read(200, &fields, &format!(r#"{{"errors":[{SECONDARY}]}}"#)), secondary);
        assert_eq!(read(200, &fields, QUOTED), None, "somebody's own words");
        assert_eq!(read(200, &fields, ECHOED), None, "what was asked for");
        assert_eq!(read(200, &[], GRAPHQL), None, "not GraphQL");
        assert_eq!(read(200, &fields, &format!("{}{GRAPHQL}", " ".repeat(20_000))), None);
    }
}
