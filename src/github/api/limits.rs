//! `GET /rate_limit`: asking costs nothing of what it tells, but GitHub is not asked again within a
//! second. What it said is told once more meanwhile, with what its other answers have said since.
//! <https://docs.github.com/en/rest/rate-limit/rate-limit>

use std::time::Duration;

use bytes::Bytes;
use quick_cache::sync::Cache;
use serde_json::Value;

use super::reply::{Mode, Reply};
use super::{Api, Question};
use crate::budget::{Resource, Standing};
use crate::clock::Time;
use crate::github::budgets::Heard;
use crate::passage::cache_status::Source;
use crate::store::{Body, Principal, ResponseKey};

/// What GitHub said last of limits, by asker and representation.
pub(super) struct Limits(Cache<(Principal, ResponseKey), Told>);

#[derive(Clone)]
struct Told {
    reply: Reply,
    said: Value,
    asked: Time,
}

/// Time has whole seconds here, so this is a second at least.
const BRIEF: Duration = Duration::from_secs(1);

/// Such answers that are kept at once, each of some kilobytes.
const MOST: usize = 1024;

/// How far two answers of one window are apart in `reset`, at most.
const JITTER: i64 = 5;

// === impl Question ===

impl Question {
    /// Whether it is about what is left.
    pub(super) fn is_about_limits(&self) -> bool {
        self.path.is_of_limits()
    }
}

// === impl Api ===

impl Api {
    /// What is left, where GitHub has just been asked.
    pub(super) fn limits_told(&self, question: &Question) -> Option<Reply> {
        let told = self.limits.0.get(&(question.who, question.key))?;
        let now = self.clock.now();
        let age = now.since(told.asked);
        (now >= told.asked && age <= BRIEF)
            .then(|| told.again(&self.budgets.all(&question.budget), age))
    }

    /// Keeps what GitHub says of limits, and heeds it.
    pub(super) fn note_limits(&self, question: &Question, reply: &Reply, asked: Time) {
        let Ok(said) = serde_json::from_slice::<Value>(&reply.body.bytes) else { return };
        if !reply.status.is_success() || !said["resources"].is_object() {
            return;
        }
        for standing in standings(&said) {
            self.budgets.note(&question.budget, Heard::Left(standing));
        }
        let told = Told { reply: reply.clone(), said, asked };
        self.limits.0.insert((question.who, question.key), told);
    }
}

// === impl Limits ===

impl Limits {
    pub(super) fn new() -> Self {
        Self(Cache::new(MOST))
    }

    /// Forgets what an asker was told, whatever its scope.
    pub(super) fn forget_all(&self, who: Principal) {
        self.0.retain(|(owner, _), _| owner.subject() != who.subject());
    }
}

// === impl Told ===

impl Told {
    fn again(self, left: &[(Resource, Standing)], age: Duration) -> Reply {
        let Self { mut reply, mut said, .. } = self;
        for (_, standing) in left {
            if let Some(entry) = said["resources"].get_mut(standing.resource.word()) {
                take_away(entry, standing);
            }
        }
        // The same as `core`, for clients of old.
        if said["rate"].is_object() {
            said["rate"] = said["resources"][Resource::Core.word()].clone();
        }
        reply.body = Body::new(Bytes::from(said.to_string()));
        (reply.account.source, reply.account.ttl) = (Source::Hit, Some(0));
        (reply.mode, reply.age) = (Mode::Hit, age);
        reply
    }
}

/// What GitHub has said since counts, where it is of the same window.
fn take_away(entry: &mut Value, standing: &Standing) {
    let number = |name: &str| entry[name].as_i64();
    let is_same = number("limit") == Some(standing.limit.into())
        && number("reset").is_some_and(|reset| (reset - standing.reset.unix()).abs() <= JITTER);
    if is_same && number("remaining").is_some_and(|left| left > standing.remaining.into()) {
        entry["remaining"] = standing.remaining.into();
        entry["used"] = standing.used.into();
    }
}

/// The limits of which something is spent: the window of the others has not begun.
fn standings(said: &Value) -> impl Iterator<Item = Standing> {
    Resource::ALL.iter().filter_map(|resource| {
        let entry = &said["resources"][resource.word()];
        let number = |name: &str| u32::try_from(entry[name].as_u64()?).ok();
        let (limit, remaining, used) = (number("limit")?, number("remaining")?, number("used")?);
        let reset = Time::from_unix(entry["reset"].as_i64()?);
        let resource = *resource;
        (used > 0).then_some(Standing { resource, limit, remaining, used, reset })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(limit: u32, remaining: u32, reset: i64) -> Value {
        json!({ "limit": limit, "remaining": remaining, "used": limit - remaining, "reset": reset })
    }

    fn standing(resource: Resource, limit: u32, remaining: u32, reset: i64) -> Standing {
        let reset = Time::from_unix(reset);
        Standing { resource, limit, remaining, used: limit - remaining, reset }
    }

    #[test]
    fn only_what_is_spent_since_then_in_the_same_window_is_taken_away() {
        for (heard, expected) in [
            (standing(Resource::Core, 5000, 4000, 2003), entry(5000, 4000, 2000)),
            (standing(Resource::Core, 5000, 4600, 2000), entry(5000, 4500, 2000)),
            (standing(Resource::Core, 5000, 4000, 2006), entry(5000, 4500, 2000)),
            (standing(Resource::Core, 15_000, 4000, 2000), entry(5000, 4500, 2000)),
        ] {
            let mut said = entry(5000, 4500, 2000);
            take_away(&mut said, &heard);
            assert_eq!(said, expected, "{heard:?}");
        }
    }

    #[test]
    fn what_github_lists_is_heard_where_something_is_spent() {
        let said = json!({ "resources": {
            "core": entry(5000, 4500, 2000),
            "search": entry(30, 30, 60),
            "graphql": { "limit": 5000, "remaining": "many", "used": 1, "reset": 2000 },
            "brand_new": entry(10, 9, 2000),
        }});
        let heard: Vec<_> = standings(&said).collect();
        assert_eq!(heard, [standing(Resource::Core, 5000, 4500, 2000)]);
    }
}
