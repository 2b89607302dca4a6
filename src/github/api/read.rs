//! Reading: answered from what is held, confirmed by GitHub for nothing, or fetched.
//!
//! The one rule of privacy: a body that came by one asker's rights goes to another only after GitHub,
//! asked with the other's token for this very URL, has answered 304 to a validator that was computed
//! from that body and that token, with no other validator beside it. The validator is a hash over
//! both, so GitHub says 304 only where it would send that very body.

use std::future::ready;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, ETAG, LINK};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::exchange::{Broken, Got, Whole};
use super::flights::Lead;
use super::reply::{Finding, Mode, Outcome, Reply, forwarded};
use super::{Api, Means, Question};
use crate::budget::{Kind, Limited};
use crate::clock::Time;
use crate::defence::{Defence, stands};
use crate::freshness::{
    Cause, Plan, STALE_PRIVATE, Storable, Validated, etag, link, may_be_stale, plan,
};
use crate::github::budgets::{Permit, Refused, RefusedKind};
use crate::passage::cache_status::{Source, Why};
use crate::passage::request::GITHUB_JSON;
use crate::passage::response;
use crate::store::{Body, Validation};

/// What GitHub is asked to confirm.
struct Candidate {
    body: Body,
    /// Where the asker was never shown it.
    media_type: Option<HeaderValue>,
    tag: HeaderValue,
    origin: Origin,
}

/// How one came to it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// GitHub gave the tag to this token.
    Own,
    /// It gave one to an earlier token of the same asker.
    Rotated,
    /// The body was shown to somebody else.
    Others,
}

/// What the asker has been shown.
pub(super) type Known = Option<(Arc<Validation>, Body)>;

/// Letters of a tag that may be made by the formula, with its quotes.
const FORMULA: usize = 66;

/// The largest answer that names are learnt from: parsing takes a millisecond.
const LARGEST_LEARNT: usize = 256 << 10;

// === impl Candidate ===

impl Candidate {
    /// Whether the asker was never shown it: what comes back may well be something else.
    fn is_a_guess(&self) -> bool {
        self.origin == Origin::Others
    }
}

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

    /// Asks GitHub. There is a lead where the answer may be held.
    pub(super) async fn fetch(
        &self,
        question: &Question,
        means: &Means,
        lead: Option<&Lead>,
        known: &Known,
    ) -> Outcome {
        let candidate = match lead {
            Some(_) => self.candidate(question, means, known).await,
            None => None,
        };
        let asked = self.clock.now();
        if self.is_left_alone(question, known, asked) {
            return Outcome::Found(Finding::LeftAlone);
        }
        let offered = candidate.as_ref().map(|candidate| candidate.tag.clone());
        let mut tag = offered.clone();
        loop {
            let is_exact = tag.is_some() && !candidate.as_ref().is_some_and(Candidate::is_a_guess);
            let mut permit = match self.take_turn(question, is_exact, lead).await {
                Some(Ok(permit)) => permit,
                Some(Err(refused)) => return Outcome::Found(Finding::Refused(refused)),
                // Nobody hears what is answered.
                None => return Outcome::Found(Finding::Broken(Broken::Unreachable)),
            };
            let began = std::time::Instant::now();
            let got = self.exchange.read(&means.url(question), &means.fields, tag.as_ref()).await;
            self.outage.note(got.as_ref().is_ok_and(Got::is_an_answer), self.clock.now());
            let whole = match got {
                Err(broken) => {
                    permit.unanswered(broken.word());
                    return Outcome::Found(Finding::Broken(broken));
                }
                Ok(Got::Large(large)) => {
                    permit.answered(large.status, &large.headers, &large.start, began.elapsed());
                    let source = forwarded(why(question, offered.as_ref()), Some(large.status));
                    let whose = (question.account, question.max_wait);
                    let flow = self.flow(large, source, question.resource, whose, permit).await;
                    return Outcome::Alone(Box::new(flow));
                }
                Ok(Got::Whole(whole)) => whole,
            };
            permit.answered(whole.status, &whole.headers, &whole.bytes, began.elapsed());
            let is_confirmed =
                whole.status == StatusCode::NOT_MODIFIED || !stands(Defence::Confirmation);
            if let (true, Some(candidate), Some(_)) = (is_confirmed, &candidate, &tag) {
                let reply =
                    self.confirmed(question, means, candidate, known, &whole, lead, asked).await;
                match reply {
                    Some(reply) => return Outcome::Found(Finding::Answer(reply)),
                    // It cannot be the whole truth: asked once more, without a condition.
                    None => tag = None,
                }
                continue;
            }
            let trouble = trouble(&whole);
            let reply = self.fetched(question, means, whole, offered.as_ref(), lead, asked).await;
            return Outcome::Found(match trouble {
                Some(why) => Finding::Trouble(reply, why),
                None => Finding::Answer(reply),
            });
        }
    }

    /// Waits for the question's turn; `None` where all who waited with it have left.
    async fn take_turn(
        &self,
        question: &Question,
        is_exact: bool,
        lead: Option<&Lead>,
    ) -> Option<Result<Permit, Refused>> {
        let is_free = is_exact || question.is_about_limits();
        let kind = if is_free { Kind::Revalidation } else { Kind::Ordinary };
        let turn = self.budgets.enter(question.call(kind));
        let mut taken = match lead {
            Some(lead) => in_line(turn, lead).await?,
            None => turn.await,
        };
        if let (Ok(permit), true) = (&mut taken, question.is_about_limits()) {
            permit.costs_nothing();
        }
        Some(taken)
    }

    /// What GitHub is asked to confirm: what this asker was shown, or what somebody else was.
    async fn candidate(
        &self,
        question: &Question,
        means: &Means,
        known: &Known,
    ) -> Option<Candidate> {
        if let Some((shown, body)) = known {
            if shown.token == means.fingerprint && !shown.etag.is_empty() {
                let tag = HeaderValue::from_str(&shown.etag).ok()?;
                let (body, origin) = (body.clone(), Origin::Own);
                return Some(Candidate { body, media_type: None, tag, origin });
            }
            if shown.formula_holds {
                return Some(computed(means, body.clone(), None));
            }
        }
        if !question.may_share() {
            return None;
        }
        let shared = self.store.shown_to_anybody(&question.key).await.ok()??;
        Some(computed(means, shared.body, Some(shared.media_type)))
    }

    /// GitHub says that the candidate is what it would send. `None` where that may not be all.
    #[expect(clippy::too_many_arguments, reason = "what was known, what was asked, what came")]
    async fn confirmed(
        &self,
        question: &Question,
        means: &Means,
        candidate: &Candidate,
        known: &Known,
        whole: &Whole,
        lead: Option<&Lead>,
        asked: Time,
    ) -> Option<Reply> {
        let sent = candidate.tag.to_str().ok()?;
        let said = whole.headers.get(ETAG).and_then(|tag| tag.to_str().ok());
        if said.is_some_and(|said| !etag::weakly_equal(said, sent)) {
            return None;
        }
        let own = known.as_ref().filter(|(shown, _)| shown.body == candidate.body.hash);
        let new_link = text(&whole.headers, &LINK);
        let page = link::StoredPage {
            link: own.and_then(|(shown, _)| text(&shown.headers, &LINK)),
            items: link::items_of(&candidate.body.bytes),
            per_page: link::per_page(question.path.query()),
            link_age: own
                .filter(|(shown, _)| shown.linked <= asked)
                .map_or(Duration::MAX, |(shown, _)| asked.since(shown.linked)),
            covered: self.covers(question),
        };
        let verdict = link::on_not_modified(&page, new_link);
        if verdict == link::LinkVerdict::Refetch {
            self.metrics.github_link_refetches.inc();
            return None;
        }
        let linked = match (verdict, own) {
            (link::LinkVerdict::Keep, Some((shown, _))) => shown.linked,
            _ => asked,
        };
        let headers = merged(own.map(|(shown, _)| &*shown.headers), candidate, &whole.headers);
        let shown = Arc::new(Validation {
            body: candidate.body.hash,
            about: question.about().clone(),
            etag: said.unwrap_or(sent).into(),
            token: means.fingerprint,
            offered: question.may_share(),
            formula_holds: candidate.origin != Origin::Own
                || own.is_some_and(|(shown, _)| shown.formula_holds),
            headers: Arc::new(headers),
            linked,
            items: page.items,
            asked,
            change: lead.map_or(0, Lead::change),
            fresh: self.fresh(question, &whole.headers),
            // The body gets no younger by it.
            longest: own.map_or(Duration::MAX, |(shown, _)| {
                shown.longest.saturating_sub(asked.since(shown.asked))
            }),
        });
        let mut reply = Reply::held(&shown, candidate.body.clone(), question.resource, asked);
        self.note(question, shown, candidate.body.clone()).await;
        reply.mode = Mode::Revalidated;
        reply.account.ttl = None;
        reply.account.source = forwarded(Why::Stale, Some(StatusCode::NOT_MODIFIED));
        reply.account.detail = match candidate.origin {
            Origin::Own => None,
            Origin::Rotated => Some("rotated"),
            Origin::Others => Some("cross-principal"),
        };
        Some(reply)
    }

    /// GitHub sent an answer of its own.
    async fn fetched(
        &self,
        question: &Question,
        means: &Means,
        whole: Whole,
        tag: Option<&HeaderValue>,
        lead: Option<&Lead>,
        asked: Time,
    ) -> Reply {
        let headers = response::fields(&whole.headers);
        let mut reply = Reply {
            headers: Arc::new(headers),
            mode: if tag.is_some() { Mode::Changed } else { Mode::Miss },
            body: Body::new(whole.bytes.clone()),
            ..Reply::bare(
                whole.status,
                question.resource,
                forwarded(why(question, tag), Some(whole.status)),
            )
        };
        if is_authoritative(&whole) {
            self.forget(question).await;
        }
        if question.is_about_limits() {
            self.note_limits(question, &reply, asked);
        }
        let Some(lead) = lead.filter(|_| !question.is_about_limits()) else {
            reply.mode = Mode::Bypass;
            return reply;
        };
        let longest = match question.may_store(&whole) {
            Storable::No => return reply,
            Storable::Briefly(span) => {
                self.briefs.put(question, span, reply.clone(), lead.change(), asked);
                return reply;
            }
            Storable::Yes => Duration::MAX,
            Storable::AtMost(span) => span,
        };
        self.keep(question, means, &whole, &reply, lead, asked, longest).await;
        self.learn_names(means, &whole);
        if let Source::Forwarded(forwarded) = &mut reply.account.source {
            forwarded.stored = true;
        }
        reply
    }

    /// Keeps an answer, no longer than that.
    #[expect(clippy::too_many_arguments, reason = "what was asked, what came, for how long")]
    async fn keep(
        &self,
        question: &Question,
        means: &Means,
        whole: &Whole,
        reply: &Reply,
        lead: &Lead,
        asked: Time,
        longest: Duration,
    ) {
        let tag = whole.headers.get(ETAG).and_then(|tag| tag.to_str().ok()).unwrap_or_default();
        let computed =
            etag::computed(Some(means.accept()), Some(means.authorization()), &whole.bytes);
        let formula_holds = etag::formula_holds(tag, &computed);
        if tag.len() >= FORMULA {
            let word = if formula_holds { "true" } else { "false" };
            self.metrics.github_etag_formula.with_label_values(&[word]).inc();
        }
        let shown = Arc::new(Validation {
            body: reply.body.hash,
            about: question.about().clone(),
            etag: tag.into(),
            token: means.fingerprint,
            offered: question.may_share(),
            formula_holds,
            headers: reply.headers.clone(),
            linked: asked,
            items: link::items_of(&whole.bytes),
            asked,
            change: lead.change(),
            fresh: self.fresh(question, &whole.headers).min(longest),
            longest,
        });
        self.note(question, shown, reply.body.clone()).await;
    }

    /// Learns which repository has which number: pages are linked by number and changed by name.
    /// From GitHub's own JSON alone, for people write files.
    fn learn_names(&self, means: &Means, whole: &Whole) {
        let is_githubs = means.accept().as_bytes() == GITHUB_JSON.as_bytes();
        if is_githubs
            && whole.bytes.len() <= LARGEST_LEARNT
            && let Ok(said) = serde_json::from_slice(&whole.bytes)
        {
            self.changes.learn(&said);
        }
    }

    async fn note(&self, question: &Question, shown: Arc<Validation>, body: Body) {
        let asked_after = shown.change;
        self.briefs.forget(question);
        if let Err(unavailable) = self.store.note(question.who, question.key, shown, body).await {
            self.store_failed("write", &unavailable);
        }
        // Looked at afterwards: whoever forgets an asker says so first.
        if self.changes.is_all_outdated(question.who, asked_after) {
            self.forget(question).await;
        }
    }

    async fn forget(&self, question: &Question) {
        if let Err(unavailable) = self.store.forget(question.who, &question.key).await {
            self.store_failed("forget", &unavailable);
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
    fn is_left_alone(&self, question: &Question, known: &Known, now: Time) -> bool {
        self.stale(question, known, Cause::Outage, None).is_some() && self.outage.is_on(now)
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
        let is_allowed =
            may_be_stale(&question.handling, false, age, &question.wishes) && age <= shown.longest;
        is_allowed
            .then(|| Reply::held(shown, body.clone(), question.resource, now).stale(why, asked))
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

fn computed(means: &Means, body: Body, media_type: Option<HeaderValue>) -> Candidate {
    let tag = etag::computed(Some(means.accept()), Some(means.authorization()), &body.bytes);
    let tag = HeaderValue::from_str(&tag).expect("a hash in quotes is printable ASCII");
    let origin = if media_type.is_some() { Origin::Others } else { Origin::Rotated };
    Candidate { body, media_type, tag, origin }
}

/// The fields of an answer of which GitHub confirms the body: the newer ones count.
fn merged(stored: Option<&HeaderMap>, candidate: &Candidate, confirmed: &HeaderMap) -> HeaderMap {
    let newer = response::fields(confirmed);
    let mut fields = stored.cloned().unwrap_or_default();
    if let Some(media_type) = &candidate.media_type {
        fields.insert(CONTENT_TYPE, media_type.clone());
    }
    for name in newer.keys() {
        fields.remove(name);
    }
    for (name, value) in &newer {
        fields.append(name, value.clone());
    }
    fields
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

fn why(question: &Question, tag: Option<&HeaderValue>) -> Why {
    match tag {
        Some(_) => Why::Stale,
        None if !question.handling.store => Why::Bypass,
        None if question.wishes.no_store => Why::Request,
        None => Why::UriMiss,
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &http::HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
