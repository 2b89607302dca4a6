//! Reading: what is answered from what is held, and what one question makes of what GitHub told.

use std::sync::Arc;

use http::StatusCode;

use super::exchange::Broken;
use super::from_webhook::is_from_webhook;
use super::reply::{Finding, Mode, Reply, forwarded};
use super::{Api, Question};
use crate::clock::Time;
use crate::freshness::{Cause, Plan, STALE_PRIVATE, Validated, may_be_stale, plan};
use crate::github::budgets::{Refused, RefusedKind};
use crate::passage::cache_status::{Source, Why};
use crate::store::{Body, Validation};

/// In `Cache-Status`: GitHub has told this by a webhook, and not as an answer.
const FROM_WEBHOOK: &str = "from-webhook";

/// What the asker has been shown.
pub(super) type Known = Option<(Arc<Validation>, Body)>;

// === impl Api ===

impl Api {
    /// The answer, where GitHub need not be asked. Costs no token and no I/O beside the store's.
    pub async fn held(&self, question: &Question) -> Option<Reply> {
        if let Some(told) = self.limits_told(question) {
            return Some(self.counted(told));
        }
        if let Some(brief) = self.briefs.get(question, &self.changes, self.clock.now()) {
            return Some(self.counted(brief));
        }
        let known = if question.handling.store { self.known(question).await } else { None };
        // What this process has not fetched itself it has not seen forgotten either.
        let known =
            known.filter(|(shown, _)| shown.change != 0 || self.has_scopes_of(question.who, shown));
        let now = self.clock.now();
        let validated = known.as_ref().and_then(|(shown, _)| {
            let untouched = self.is_untouched(question, shown);
            Some(Validated { age: shown.age(now)?, window: shown.fresh, untouched })
        });
        match plan(validated.as_ref(), &question.wishes(), STALE_PRIVATE) {
            Plan::Serve => {
                let (shown, body) = known?;
                Some(self.counted(Reply::held(&shown, body, question.resource, now)))
            }
            Plan::Unsatisfiable => {
                let none = Source::Gateway;
                let none = Reply::bare(StatusCode::GATEWAY_TIMEOUT, question.resource, none);
                Some(self.counted(none))
            }
            Plan::Revalidate | Plan::Bypass => None,
        }
    }

    fn is_untouched(&self, question: &Question, shown: &Validation) -> bool {
        self.changes.left_untouched(question.who, &question.tags, shown.asked, shown.change)
    }

    /// What the asker was shown, where it is of any use.
    pub(super) async fn known(&self, question: &Question) -> Known {
        if self.forgetting.is_to_forget(question.who) {
            return None;
        }
        let now = self.clock.now();
        match self.store.shown(question.who, &question.key).await {
            // Past that not even GitHub's word helps: its tag is not over what expires in the body.
            Ok(known) => known.filter(|(shown, _)| shown.may_be_shown(now)),
            Err(unavailable) => {
                self.store_failed("read", &unavailable);
                None
            }
        }
    }

    /// What a question's own conditions make of what GitHub told.
    pub(super) fn made_of(&self, found: Finding, question: &Question, known: &Known) -> Reply {
        match found {
            Finding::Answer(reply) => reply,
            Finding::Trouble(reply, why) => {
                let asked = forwarded(Why::Stale, Some(reply.status));
                self.stale(question, known, why, Some(asked)).unwrap_or(reply)
            }
            Finding::Broken(broken) => self.failed(question, known, broken),
            Finding::LeftAlone => self
                .stale(question, known, Cause::Outage, None)
                .unwrap_or_else(|| self.failed(question, known, Broken::Unreachable)),
            Finding::Refused(refused) => self.not_asked(question, known, refused),
        }
    }

    /// The budget does not allow the question: what is held, if it may be that old, or a refusal.
    fn not_asked(&self, question: &Question, known: &Known, refused: Refused) -> Reply {
        let why = match refused.kind {
            RefusedKind::Primary => Cause::PrimaryRateLimit,
            RefusedKind::Secondary | RefusedKind::Queue => Cause::SecondaryRateLimit,
        };
        let reply = self.stale(question, known, why, None).unwrap_or_else(|| {
            let mut reply =
                Reply::bare(StatusCode::TOO_MANY_REQUESTS, question.resource, Source::Gateway);
            reply.account.detail = Some("refused");
            reply.mode = Mode::Refused;
            reply
        });
        Reply { refused: Some(refused), ..reply }
    }

    /// GitHub gave no answer.
    fn failed(&self, question: &Question, known: &Known, broken: Broken) -> Reply {
        let (why, status) = match broken {
            Broken::TimedOut => (Cause::Timeout, StatusCode::GATEWAY_TIMEOUT),
            Broken::Unreachable | Broken::Cut => (Cause::UpstreamError, StatusCode::BAD_GATEWAY),
        };
        let asked = forwarded(Why::Stale, None);
        self.stale(question, known, why, Some(asked)).unwrap_or_else(|| Reply {
            mode: Mode::Miss,
            ..Reply::bare(status, question.resource, forwarded(Why::UriMiss, None))
        })
    }

    /// Whether GitHub has failed so often that it is left alone for now, and something held helps.
    pub(super) fn is_left_alone(&self, question: &Question, known: &Known, now: Time) -> bool {
        self.stale(question, known, Cause::Outage, None).is_some()
            && self.outage.is_on(question.account, now)
    }

    /// What this asker was shown before, where it is not too old for that.
    pub(super) fn stale(
        &self,
        question: &Question,
        known: &Known,
        why: Cause,
        asked: Option<Source>,
    ) -> Option<Reply> {
        let (shown, body) = known.as_ref()?;
        let now = self.clock.now();
        let age = shown.age(now)?;
        let is_allowed = may_be_stale(&question.handling, false, age, &question.wishes)
            && age <= shown.longest
            && self.has_scopes_of(question.who, shown);
        is_allowed.then(|| {
            let held = Reply::held(shown, body.clone(), question.resource, now);
            let mut stale = held.stale(why, asked);
            if is_from_webhook(shown) {
                stale.account.detail = Some(FROM_WEBHOOK);
            }
            stale
        })
    }
}
