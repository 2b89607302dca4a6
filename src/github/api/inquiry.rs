//! Asking GitHub: what is held is confirmed for nothing, or else fetched and held.
//!
//! The one rule of privacy: a body that came by one asker's rights goes to another only after GitHub,
//! asked with the other's token for this very URL, has answered 304 to a validator that was computed
//! from that body and that token, with no other validator beside it. The validator is a hash over
//! both, so GitHub says 304 only where it would send that very body.

use std::convert::identity;
use std::future::ready;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ETAG, LINK};
use http::{HeaderMap, HeaderName, StatusCode};

use super::candidate::{Candidate, Origin};
use super::exchange::{Broken, Got, Whole};
use super::flights::Lead;
use super::read::Known;
use super::reply::{Finding, Mode, Outcome, Reply, forwarded};
use super::{Api, Means, Question};
use crate::budget::{Kind, Limited};
use crate::clock::Time;
use crate::defence::{Defence, stands};
use crate::freshness::etag::{self, Hashed};
use crate::freshness::{Cause, Storable, link, may_be_empty};
use crate::github::budgets::{Permit, Refused};
use crate::passage::cache_status::{Source, Why};
use crate::passage::request::GITHUB_JSON;
use crate::passage::response;
use crate::store::{Body, Shared, Validation};

/// A question on its way to GitHub, with all that bears on it.
pub(super) struct Inquiry<'a> {
    api: &'a Api,
    question: &'a Question,
    means: &'a Means,
    /// What the asker was shown.
    known: &'a Known,
    /// For all who ask the same. Where there is none, the answer is not held.
    lead: Option<&'a Lead>,
    asked: Time,
}

/// Letters of a tag that may be made by the formula, with its quotes.
const FORMULA: usize = 66;

/// The largest answer that names are learnt from: parsing takes a millisecond.
const LARGEST_LEARNT: usize = 256 << 10;

// === impl Inquiry ===

impl<'a> Inquiry<'a> {
    /// One that is asked now.
    pub(super) fn new(
        api: &'a Api,
        question: &'a Question,
        means: &'a Means,
        lead: Option<&'a Lead>,
        known: &'a Known,
    ) -> Self {
        Self { api, question, means, known, lead, asked: api.clock.now() }
    }

    /// Asks GitHub.
    pub(super) async fn make(self) -> Outcome {
        self.findings().await.map_or_else(identity, Outcome::Found)
    }

    /// What GitHub says; `Err` is what it comes to without a whole answer.
    async fn findings(&self) -> Result<Finding, Outcome> {
        let candidate = self.candidate().await;
        if self.api.is_left_alone(self.question, self.known, self.asked)
            || self.question.by_webhooks && Box::pin(self.is_left_alone_for_told()).await
        {
            return Ok(Finding::LeftAlone);
        }
        let why = self.why(candidate.as_ref());
        if let Some(candidate) = &candidate {
            let whole = self.ask(Some(candidate), why).await?;
            if whole.status != StatusCode::NOT_MODIFIED && stands(Defence::Confirmation) {
                return Ok(self.fetched(whole, why).await);
            }
            if let Some(reply) = self.confirmed(candidate, &whole).await {
                return Ok(Finding::Answer(reply));
            }
            // It cannot be the whole truth: asked once more, without a condition.
        }
        let whole = self.ask(None, why).await?;
        Ok(self.fetched(whole, why).await)
    }

    /// Whether GitHub is left alone, and what a webhook has told of it helps.
    async fn is_left_alone_for_told(&self) -> bool {
        let (api, question) = (self.api, self.question);
        if !api.outage.concerns(question.account) {
            return false;
        }
        let told = api.told_of(question).await;
        api.is_left_alone(question, &told, self.asked)
    }

    /// What GitHub is asked to confirm: what this asker was shown, or what somebody else was, or that
    /// a list which nobody was shown is empty.
    async fn candidate(&self) -> Option<Candidate> {
        self.lead?;
        let (means, hashed) = (self.means, self.api.varies.of(self.question.who));
        let own = self.known.as_ref();
        let own = own.and_then(|(shown, body)| Candidate::of_own(shown, body, means, hashed));
        if own.is_some() {
            return own;
        }
        if let Some(shared) = self.shared().await {
            return Some(Candidate::of_others(shared.body, shared.media_type, means, hashed));
        }
        let may_be_empty =
            self.known.is_none() && may_be_empty(&self.question.path, means.accept());
        may_be_empty.then(|| Candidate::of_nothing(means, hashed))
    }

    /// What somebody else was shown, where that may be offered.
    async fn shared(&self) -> Option<Shared> {
        let question = self.question;
        if !question.may_share() || self.api.forgetting.is_to_unshare(&question.tags) {
            return None;
        }
        self.api.store.shown_to_anybody(&question.key).await.ok().flatten()
    }

    fn why(&self, candidate: Option<&Candidate>) -> Why {
        match candidate.filter(|candidate| candidate.origin != Origin::Empty) {
            Some(_) => Why::Stale,
            None if !self.question.handling.store => Why::Bypass,
            None if self.question.wishes.no_store => Why::Request,
            None => Why::UriMiss,
        }
    }

    /// One question and its whole answer.
    async fn ask(&self, candidate: Option<&Candidate>, why: Why) -> Result<Whole, Outcome> {
        let is_exact = candidate.is_some_and(|candidate| !candidate.is_a_guess());
        let mut permit = match self.take_turn(is_exact).await {
            Some(Ok(permit)) => permit,
            Some(Err(refused)) => return Err(Outcome::Found(Finding::Refused(refused))),
            // Nobody hears what is answered.
            None => return Err(Outcome::Found(Finding::Broken(Broken::Unreachable))),
        };
        let (api, question) = (self.api, self.question);
        let began = std::time::Instant::now();
        let tag = candidate.map(|candidate| &candidate.tag);
        let got =
            self.means.exchange.read(&self.means.url(question), &self.means.fields, tag).await;
        let is_answered = got.as_ref().is_ok_and(Got::is_an_answer);
        api.outage.note(question.account, is_answered, api.clock.now());
        if let Ok(got) = &got {
            let shown = self.known.as_ref().map(|(shown, _)| &**shown);
            api.heed_scopes(question.who, got.headers(), shown).await;
        }
        match got {
            Err(broken) => {
                permit.unanswered(broken.word());
                Err(Outcome::Found(Finding::Broken(broken)))
            }
            Ok(Got::Large(large)) => {
                permit.answered(large.status, &large.headers, &large.start, began.elapsed());
                let source = forwarded(why, Some(large.status));
                let whose = (question.account, question.max_wait);
                let flow = api.flow(large, source, question.resource, whose, permit).await;
                Err(Outcome::Alone(Box::new(flow)))
            }
            Ok(Got::Whole(whole)) => {
                permit.answered(whole.status, &whole.headers, &whole.bytes, began.elapsed());
                Ok(whole)
            }
        }
    }

    /// Waits for the question's turn; `None` where all who waited with it have left.
    async fn take_turn(&self, is_exact: bool) -> Option<Result<Permit, Refused>> {
        let is_about_limits = self.question.is_about_limits();
        let is_free = is_exact || is_about_limits;
        let kind = if is_free { Kind::Revalidation } else { Kind::Ordinary };
        let turn = self.api.budgets.enter(self.question.call(kind));
        let mut taken = match self.lead {
            Some(lead) => in_line(turn, lead).await?,
            None => turn.await,
        };
        if let (Ok(permit), true) = (&mut taken, is_about_limits) {
            permit.costs_nothing();
        }
        Some(taken)
    }

    /// GitHub says that the candidate is what it would send. `None` where that may not be all.
    async fn confirmed(&self, candidate: &Candidate, whole: &Whole) -> Option<Reply> {
        let sent = candidate.tag.to_str().ok()?;
        let said = text(&whole.headers, &ETAG);
        if said.is_some_and(|said| !etag::weakly_equal(said, sent)) {
            return None;
        }
        let (question, asked) = (self.question, self.asked);
        let own = self.known.as_ref().map(|(shown, _)| shown);
        let own = own.filter(|shown| shown.body == candidate.body.hash);
        let page = link::StoredPage {
            link: own.and_then(|shown| text(&shown.headers, &LINK)),
            items: link::items_of(&candidate.body.bytes),
            per_page: link::per_page(question.path.query()),
            link_age: own
                .filter(|shown| shown.linked <= asked)
                .map_or(Duration::MAX, |shown| asked.since(shown.linked)),
            covered: self.api.covers(question),
        };
        let verdict = link::on_not_modified(&page, text(&whole.headers, &LINK));
        if verdict == link::LinkVerdict::Refetch {
            self.api.metrics.github_link_refetches.inc();
            return None;
        }
        let shown = Arc::new(Validation {
            body: candidate.body.hash,
            about: question.about().clone(),
            etag: said.unwrap_or(sent).into(),
            token: self.means.fingerprint,
            offered: question.may_share(),
            formula_holds: candidate.origin != Origin::Own
                || own.is_some_and(|shown| shown.formula_holds),
            headers: Arc::new(candidate.fields(own.map(|shown| &*shown.headers), &whole.headers)),
            linked: match (verdict, own) {
                (link::LinkVerdict::Keep, Some(shown)) => shown.linked,
                _ => asked,
            },
            items: page.items,
            asked,
            change: self.lead.map_or(0, Lead::change),
            fresh: self.api.fresh(question, &whole.headers),
            // The body gets no younger by it.
            longest: own.map_or(Duration::MAX, |shown| {
                shown.longest.saturating_sub(asked.since(shown.asked))
            }),
        });
        let mut reply = Reply::held(&shown, candidate.body.clone(), question.resource, asked);
        self.note(shown, candidate.body.clone()).await;
        reply.mode = Mode::Revalidated;
        reply.account.ttl = None;
        reply.account.source = forwarded(Why::Stale, Some(StatusCode::NOT_MODIFIED));
        reply.account.detail = candidate.origin.detail();
        Some(reply)
    }

    /// GitHub sent an answer of its own.
    async fn fetched(&self, whole: Whole, why: Why) -> Finding {
        let trouble = trouble(&whole);
        let reply = self.taken(whole, why).await;
        match trouble {
            Some(why) => Finding::Trouble(reply, why),
            None => Finding::Answer(reply),
        }
    }

    /// The answer for the asker, held where it may be.
    async fn taken(&self, whole: Whole, why: Why) -> Reply {
        let (api, question) = (self.api, self.question);
        let source = forwarded(why, Some(whole.status));
        let mut reply = Reply {
            headers: Arc::new(response::fields(&whole.headers)),
            mode: if why == Why::Stale { Mode::Changed } else { Mode::Miss },
            body: Body::new(whole.bytes.clone()),
            ..Reply::bare(whole.status, question.resource, source)
        };
        if is_authoritative(&whole) {
            self.forget().await;
        }
        if question.is_about_limits() {
            api.note_limits(question, &reply, self.asked);
        }
        let Some(lead) = self.lead.filter(|_| !question.is_about_limits()) else {
            reply.mode = Mode::Bypass;
            return reply;
        };
        let longest = match question.may_store(&whole) {
            Storable::No => return reply,
            Storable::Briefly(span) => {
                api.briefs.put(question, span, reply.clone(), lead.change(), self.asked);
                return reply;
            }
            Storable::Yes => Duration::MAX,
            Storable::AtMost(span) => span,
        };
        self.keep(&whole, &reply, lead, longest).await;
        self.learn_names(&whole);
        if let Source::Forwarded(forwarded) = &mut reply.account.source {
            forwarded.stored = true;
        }
        reply
    }

    /// Keeps an answer, no longer than that.
    async fn keep(&self, whole: &Whole, reply: &Reply, lead: &Lead, longest: Duration) {
        let (question, means) = (self.question, self.means);
        let tag = text(&whole.headers, &ETAG).unwrap_or_default();
        let hashed = Hashed::named_by(&whole.headers);
        let hashed = hashed.unwrap_or_else(|| self.api.varies.of(question.who));
        let computed = hashed.computed(means.accept(), means.authorization(), &whole.bytes);
        let formula_holds = etag::formula_holds(tag, &computed);
        if formula_holds {
            self.api.varies.note(question.who, hashed);
        }
        if tag.len() >= FORMULA {
            let word = if formula_holds { "true" } else { "false" };
            self.api.metrics.github_etag_formula.with_label_values(&[word]).inc();
        }
        let shown = Arc::new(Validation {
            body: reply.body.hash,
            about: question.about().clone(),
            etag: tag.into(),
            token: means.fingerprint,
            offered: question.may_share(),
            formula_holds,
            headers: reply.headers.clone(),
            linked: self.asked,
            items: link::items_of(&whole.bytes),
            asked: self.asked,
            change: lead.change(),
            fresh: self.api.fresh(question, &whole.headers).min(longest),
            longest,
        });
        self.note(shown, reply.body.clone()).await;
    }

    /// Learns which repository has which number: pages are linked by number and changed by name.
    /// From GitHub's own JSON alone, for people write files.
    fn learn_names(&self, whole: &Whole) {
        let is_githubs = self.means.accept().as_bytes() == GITHUB_JSON.as_bytes();
        if is_githubs
            && whole.bytes.len() <= LARGEST_LEARNT
            && let Ok(said) = serde_json::from_slice(&whole.bytes)
        {
            self.api.changes.learn(&said);
        }
    }

    async fn note(&self, shown: Arc<Validation>, body: Body) {
        let (api, question) = (self.api, self.question);
        let (asked_after, asked) = (shown.change, shown.asked);
        api.briefs.forget(question);
        if let Err(unavailable) = api.store.note(question.who, question.key, shown, body).await {
            api.store_failed("write", &unavailable);
        }
        if question.by_webhooks {
            Box::pin(api.answered_since(question, asked)).await;
        }
        // Looked at afterwards: whoever forgets an asker says so first.
        if api.changes.has_ended(question.who, asked_after) {
            self.forget().await;
        }
    }

    async fn forget(&self) {
        let (who, key) = (self.question.who, &self.question.key);
        if let Err(unavailable) = self.api.store.forget(who, key).await {
            self.api.store_failed("forget", &unavailable);
        }
        if self.question.by_webhooks {
            Box::pin(self.api.forget_told(self.question)).await;
        }
    }
}

/// Waits for a turn that several share, and tells the others how far it is.
async fn in_line<T>(turn: impl Future<Output = T>, lead: &Lead) -> Option<T> {
    let mut turn = pin!(turn);
    let at_once = tokio::select! {
        biased;
        taken = &mut turn => Some(taken),
        () = ready(()) => None,
    };
    let taken = if at_once.is_some() {
        at_once
    } else {
        lead.wait_in_line();
        tokio::select! {
            taken = turn => Some(taken),
            () = lead.is_deserted() => None,
        }
    };
    lead.take_off();
    taken
}

/// Answers that are GitHub's last word on what the asker may see. A limit says nothing of that.
fn is_authoritative(whole: &Whole) -> bool {
    matches!(whole.status.as_u16(), 401 | 403 | 404 | 410 | 451) && limited(whole).is_none()
}

/// Whether what came is no answer to the question, and why not: GitHub's trouble, or its refusal to
/// answer any more for now.
fn trouble(whole: &Whole) -> Option<Cause> {
    match limited(whole) {
        Some(Limited::Primary { .. }) => Some(Cause::PrimaryRateLimit),
        Some(Limited::Secondary { .. }) => Some(Cause::SecondaryRateLimit),
        None => whole.status.is_server_error().then_some(Cause::UpstreamError),
    }
}

fn limited(whole: &Whole) -> Option<Limited> {
    Limited::read(whole.status, &whole.headers, &whole.bytes)
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
