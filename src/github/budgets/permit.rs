//! The permission to send one request.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tokio::sync::OwnedSemaphorePermit;

use super::books::Answer;
use super::purse::Place;
use crate::budget::{Limited, Resource};
use crate::metrics::Metrics;

/// A place among the requests under way: hold it until GitHub's answer is read to its end, or flows
/// on to a client in a place of its own, and drop it then.
#[must_use = "a request is under way for as long as its permit is held"]
pub struct Permit {
    place: Place,
    /// `None` once an answer flows on it.
    stream: Option<Stream>,
    resource: Resource,
    metrics: Arc<Metrics>,
    /// Whether it is known what it cost.
    is_settled: bool,
    /// Whether GitHub counts it at all.
    is_counted: bool,
}

/// A stream of the connection to GitHub, for as long as an answer flows on it.
#[must_use = "a stream is in use for as long as its answer flows"]
pub struct Stream(
    #[expect(dead_code, reason = "it counts for as long as it is held")] OwnedSemaphorePermit,
);

// === impl Permit ===

impl Permit {
    pub(super) fn new(
        place: Place,
        shared: OwnedSemaphorePermit,
        resource: Resource,
        metrics: Arc<Metrics>,
    ) -> Self {
        let stream = Some(Stream(shared));
        Self { place, stream, resource, metrics, is_settled: false, is_counted: true }
    }

    /// Ends the request, of which the answer still flows: who waits for a place of the budget need not
    /// wait for the client, and the stream is not free before.
    pub fn flows_on(mut self) -> Stream {
        self.stream.take().expect("it is taken once, with the permit")
    }

    /// Notes that GitHub does not count it, whatever it answers.
    pub fn costs_nothing(&mut self) {
        self.is_counted = false;
    }

    /// Lets those go who wait for it to end: it takes as long as a client sends its body, which is none
    /// of GitHub's time. What GitHub answers is still noted.
    pub fn step_aside(&self) {
        self.place.step_aside();
    }

    /// Notes GitHub's answer: what is left by its headers, and whether it is a refusal by a limit.
    /// `body_start` is the whole body of a 403 or 429, and of a short 200 of GraphQL; `took` is how
    /// long GitHub worked on it.
    pub fn answered(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        body_start: &[u8],
        took: Duration,
    ) -> Option<Limited> {
        self.settle(status != StatusCode::NOT_MODIFIED);
        let limited = self.place.answered(&Answer { status, headers, body_start, took });
        self.count(class(status), reason(status, limited));
        let seconds = &self.metrics.github_upstream_seconds;
        seconds.with_label_values(&[self.resource.word()]).observe(took.as_secs_f64());
        limited
    }

    /// Notes that no answer came: `why` is a word for the metric.
    pub fn unanswered(&mut self, why: &'static str) {
        self.settle(true);
        self.count("none", why);
    }

    /// Nothing is asked after all.
    pub fn give_back(mut self) {
        self.is_settled = true;
    }

    fn count(&self, class: &str, reason: &str) {
        self.metrics.github_upstream.with_label_values(&[class, reason]).inc();
    }

    /// Whether this is the first that is heard of it.
    fn settle(&mut self, is_charged: bool) -> bool {
        let is_first = !std::mem::replace(&mut self.is_settled, true);
        if is_first && is_charged && self.is_counted {
            self.metrics.github_charged.with_label_values(&[self.resource.word()]).inc();
        }
        is_first
    }
}

impl Drop for Permit {
    /// A request without an answer may have been counted.
    fn drop(&mut self) {
        if self.settle(true) {
            self.count("none", "abandoned");
        }
    }
}

/// The class of a status: a hundred statuses of GitHub's would make a hundred series.
fn class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

fn reason(status: StatusCode, limited: Option<Limited>) -> &'static str {
    match limited {
        Some(Limited::Primary { .. }) => "primary",
        Some(Limited::Secondary { .. }) => "secondary",
        None if status == StatusCode::NOT_MODIFIED => "not-modified",
        None => "answered",
    }
}
