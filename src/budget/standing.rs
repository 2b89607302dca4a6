//! What is left of a limit: as GitHub's headers say it, and as a client is told.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::Resource;
use super::resource::RESOURCE;
use crate::clock::Time;

/// The state of one limit, as the five `X-RateLimit-*` fields say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// What is counted.
    pub resource: Resource,
    /// Requests in a window (points for GraphQL).
    pub limit: u32,
    /// How many are left.
    pub remaining: u32,
    /// How many are spent.
    pub used: u32,
    /// When the window ends.
    pub reset: Time,
}

/// The fields that say so.
pub const OF_THE_LIMIT: [HeaderName; 5] = [LIMIT, REMAINING, USED, RESET, RESOURCE];

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const USED: HeaderName = HeaderName::from_static("x-ratelimit-used");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

// === impl Standing ===

impl Standing {
    /// Reads the fields of an answer. `None` when one is missing (a server whose limits are off)
    /// or when the resource is none that is known here. Older servers do not say what is `used`.
    pub fn from_headers(headers: &HeaderMap, predicted: Resource) -> Option<Self> {
        let (limit, remaining) = (number::<u32>(headers, &LIMIT)?, remaining(headers)?);
        let reset = Time::from_unix(number(headers, &RESET)?);
        let used = number(headers, &USED).unwrap_or(limit.saturating_sub(remaining));
        let resource = Resource::of_answer(headers, predicted)?;
        Some(Self { resource, limit, remaining, used, reset })
    }

    /// The same as fields for a client's answer.
    pub fn fields(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> + use<> {
        [
            (LIMIT, self.limit.into()),
            (REMAINING, self.remaining.into()),
            (USED, self.used.into()),
            (RESET, self.reset.unix().into()),
            (RESOURCE, HeaderValue::from_static(self.resource.word())),
        ]
        .into_iter()
    }
}

/// When the window of an answer ends, if it says so.
pub(super) fn reset(headers: &HeaderMap) -> Option<Time> {
    number(headers, &RESET).map(Time::from_unix)
}

/// What an answer says to be left.
pub(super) fn remaining(headers: &HeaderMap) -> Option<u32> {
    number(headers, &REMAINING)
}

pub(super) fn number<T: std::str::FromStr>(headers: &HeaderMap, name: &HeaderName) -> Option<T> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_an_answer_are_read_and_written_alike() {
        let standing = Standing {
            resource: Resource::CodeSearch,
            limit: 10,
            remaining: 3,
            used: 7,
            reset: Time::from_unix(1_700_000_000),
        };
        let mut headers: HeaderMap = standing.fields().collect();
        let read = |headers: &_| Standing::from_headers(headers, Resource::Core);
        assert_eq!(read(&headers), Some(standing));
        headers.remove("x-ratelimit-used");
        assert_eq!(read(&headers), Some(standing), "used is what is gone");
        headers.remove("x-ratelimit-resource");
        assert_eq!(read(&headers), Some(Standing { resource: Resource::Core, ..standing }));
        for name in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] {
            let mut less = headers.clone();
            less.remove(name);
            assert_eq!(read(&less), None, "{name}");
            less.insert(name, "-".parse().unwrap());
            assert_eq!(read(&less), None, "{name}");
        }
        headers.insert("x-ratelimit-resource", "brand_new".parse().unwrap());
        assert_eq!(read(&headers), None);
    }
}
