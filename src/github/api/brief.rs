//! Answers that are kept for moments: "not found", which impatient clients ask for again and again, and
//! "moved", which costs a request each time.

use std::time::Duration;

use quick_cache::sync::Cache;

use super::Question;
use super::changes::Changes;
use super::reply::{Mode, Reply};
use crate::clock::Time;
use crate::freshness::{Plan, Validated, plan};
use crate::passage::cache_status::Source;
use crate::store::{Principal, ResponseKey};

/// Short answers, by asker and URL.
pub(super) struct Briefs(Cache<(Principal, ResponseKey), Kept>);

#[derive(Clone)]
struct Kept {
    reply: Reply,
    asked: Time,
    change: u64,
    span: Duration,
}

/// Such answers that are kept at once, each well below a kilobyte.
const MOST: usize = 4096;

/// The largest body of such an answer.
const LARGEST: usize = 1024;

// === impl Briefs ===

impl Briefs {
    pub(super) fn new() -> Self {
        Self(Cache::new(MOST))
    }

    pub(super) fn put(
        &self,
        question: &Question,
        span: Duration,
        reply: Reply,
        change: u64,
        asked: Time,
    ) {
        if reply.body.bytes.len() <= LARGEST {
            self.0.insert((question.who, question.key), Kept { reply, asked, change, span });
        }
    }

    pub(super) fn get(&self, question: &Question, changes: &Changes, now: Time) -> Option<Reply> {
        let kept = self.0.get(&(question.who, question.key))?;
        let age = now.since(kept.asked);
        let holds =
            now >= kept.asked && !changes.is_outdated(question.who, &question.tags, kept.change);
        let known = holds.then_some(Validated { age, window: kept.span, untouched: true });
        if plan(known.as_ref(), &question.wishes(), Duration::ZERO) != Plan::Serve {
            return None;
        }
        let mut reply = kept.reply;
        reply.account.source = Source::Hit;
        reply.account.ttl = i64::try_from(kept.span.saturating_sub(age).as_secs()).ok();
        (reply.mode, reply.age) = (Mode::Hit, age);
        Some(reply)
    }

    /// Forgets what was said at a URL: something newer was.
    pub(super) fn forget(&self, question: &Question) {
        self.0.remove(&(question.who, question.key));
    }

    /// Forgets what an asker was told.
    pub(super) fn forget_all(&self, who: Principal) {
        self.0.retain(|(owner, _), _| owner.subject() != who.subject());
    }
}
