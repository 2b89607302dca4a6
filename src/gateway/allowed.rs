//! Who is not heard for a moment: an address from which too much came that was refused, and a session
//! that asks for too much.
//!
//! What is refused counts against the address that it came from, for nobody knows more of who it was; but
//! for what a page of another site makes a browser fetch, or it would be anybody's to keep that address out.
//! What is good counts against its own session alone: all the users of an instance ask from one
//! address, their server's, and none of them is kept out by what another one does there. So a server that
//! shows something good is heard, whatever else came from its address.

use super::action::Answer;
use super::broker::{Service, refused};
use super::{Endpoint, Gateway, LiveSession, Request, csrf, error};
use crate::allowance::{Asker, NothingLeft};
use crate::defence::{Defence, stands};
use crate::reason::Reason;

/// Seconds after which whoever was not heard may try again: what takes the most is back by then.
pub(super) const RETRY_AFTER: &str = "6";

/// A question of an instance's server, or about oneself.
pub(super) const A_QUESTION: u64 = 1;

/// What a browser carries to an instance: a row in the store for a minute, or a session.
pub(super) const A_CODE: u64 = 10;

/// The way to where the app is installed: a row for a quarter of an hour.
pub(super) const AN_ERRAND: u64 = 60;

/// What a page has to do with the allowance of the address that asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// Nothing: it asks for a session of its own, or is everybody's.
    Always,
    /// It is not even looked at when there is nothing left.
    Before,
    /// What is good is heard in any case.
    IfGood,
}

// === impl Gateway ===

impl Gateway {
    /// Answers with one of the gateway's own pages, unless the address is not heard for a moment.
    pub(super) async fn answer_heard(&self, endpoint: Endpoint, request: &Request<'_>) -> Answer {
        let heard = Heard::at(endpoint);
        let asker = Asker::at(request.client.address);
        if heard == Heard::Before && !self.is_heard(request, asker, None) {
            return not_heard(endpoint, request);
        }
        let answer = self.answer(endpoint, request).await;
        let is_guess = is_nobodys(answer.reason) && !csrf::is_fetched_by_another_site(request);
        let counts = heard != Heard::Always && is_guess;
        if counts && !self.is_heard(request, asker, Some(1)) && heard == Heard::IfGood {
            return not_heard(endpoint, request);
        }
        answer
    }

    /// Takes from what a session may ask for.
    pub(super) fn take_for(
        &self,
        request: &Request<'_>,
        live: &LiveSession,
        amount: u64,
    ) -> Result<(), Reason> {
        let is_heard = self.is_heard(request, Asker::Session(live.key), Some(amount));
        if is_heard { Ok(()) } else { Err(Reason::TooManyRequests) }
    }

    /// Whether there is something left, of which so much is taken.
    fn is_heard(&self, request: &Request<'_>, asker: Asker, amount: Option<u64>) -> bool {
        if !stands(Defence::Allowance) {
            return true;
        }
        let now = self.clock.now();
        let left = match amount {
            Some(amount) => self.allowances.take(asker, amount, now),
            None => self.allowances.ask(asker, now),
        };
        left.inspect_err(|nothing| self.note_limited(request, asker, *nothing)).is_ok()
    }

    fn note_limited(&self, request: &Request<'_>, asker: Asker, nothing: NothingLeft) {
        let (of, why) = match asker {
            Asker::Address(_) => ("address", "too much that was refused came from this address"),
            Asker::Session(_) => ("session", "one session asks for too much"),
        };
        self.metrics.limited.with_label_values(&[of]).inc();
        if nothing.is_news {
            let client = request.client.text.to_str().unwrap_or_default();
            tracing::warn!(request.id = request.id, client, "{why}: it is not heard for a moment");
        }
    }
}

// === impl Heard ===

impl Heard {
    fn at(endpoint: Endpoint) -> Self {
        match endpoint {
            // GitHub, or the store, would be asked for whatever a browser makes up.
            Endpoint::Callback | Endpoint::Handover => Self::Before,
            Endpoint::Broker(service) if service.is_for_people() => Self::Before,
            Endpoint::Broker(Service::Health) => Self::Always,
            Endpoint::Broker(_) => Self::IfGood,
            _ => Self::Always,
        }
    }
}

/// Whether whoever asked showed nothing by which they were known: a guess, or the beginning of a sign-in.
fn is_nobodys(reason: Reason) -> bool {
    use Reason as R;
    matches!(
        reason,
        R::NoSession
            | R::SessionEnded
            | R::AmbiguousCookie
            | R::FactsMissing
            | R::BadApiKey
            | R::SignInLoop
            | R::UnknownAttempt
            | R::AttemptSpent
            | R::AccessDenied
            | R::AmbiguousTarget
            | R::BadForm
            | R::NoSuchPage
            | R::NotOffered
            | R::UnknownTarget
            | R::BadCode
            | R::SpentCode
            | R::BadInstanceToken
    )
}

/// In JSON for programs, else as a page.
fn not_heard(endpoint: Endpoint, request: &Request<'_>) -> Answer {
    match endpoint {
        Endpoint::Broker(service) if !service.is_for_people() => refused(Reason::TooManyRequests),
        _ => error::fault(request, Reason::TooManyRequests),
    }
}
