//! Every metric, declared once. Names follow Prometheus' rules: base units, `_total`, no label
//! whose values are unbounded: no user, no path, no host of a client.

use std::sync::OnceLock;

use prometheus::{
    Encoder, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::reason::Reason;

/// Seconds from 0.1 ms to 30 s: from a cached answer to a slow app.
const SECONDS: [f64; 14] =
    [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0];

/// Seconds from one to a week: how old an answer is.
const AGES: [f64; 10] = [1.0, 5.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0, 604_800.0];

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $field:ident: $kind:ident = $name:literal $([$($label:literal),+])?,)+) => {
        /// The metrics of one gateway.
        #[derive(Debug)]
        pub struct Metrics {
            registry: Registry,
            $($(#[doc = $help])+ pub $field: $kind,)+
        }

        impl Metrics {
            /// All metrics at zero.
            ///
            /// # Panics
            /// When two metrics share a name: the tests would have seen it.
            pub fn new() -> Self {
                let registry = Registry::new();
                $(
                    let $field = $kind::declare($name, concat!($($help),+).trim(), &[$($($label),+)?]);
                    registry.register(Box::new($field.clone())).expect("names are distinct");
                )+
                Self { registry, $($field,)+ }
            }
        }
    };
}

metrics! {
    /// What runs: always 1.
    build_info: IntGaugeVec = "gatekeep_build_info" ["version"],
    /// Requests answered, by the route's name and the status.
    http_requests: IntCounterVec = "gatekeep_http_requests_total" ["route", "code"],
    /// Seconds from the header's arrival to the end of the answer.
    http_request_duration: HistogramVec = "gatekeep_http_request_duration_seconds" ["route"],
    /// Requests under way.
    http_requests_in_flight: IntGauge = "gatekeep_http_requests_in_flight",
    /// Requests to GitHub's API, by what became of them.
    github_requests: IntCounterVec = "gatekeep_github_requests_total" ["mode"],
    /// Of those, the ones that cost nothing of GitHub's limits.
    github_saved: IntCounter = "gatekeep_github_saved_total",
    /// Whether GitHub's entity tags are made by the published formula, on which sharing rests.
    github_etag_formula: IntCounterVec = "gatekeep_github_etag_formula_total" ["holds"],
    /// Pages confirmed by GitHub and fetched all the same, for a next page may have come.
    github_link_refetches: IntCounter = "gatekeep_github_link_refetches_total",
    /// Answers held for installations that a webhook has told to have changed, by what became of asking for them anew.
    github_refreshes: IntCounterVec = "gatekeep_github_refreshes_total" ["result"],
    /// Requests of the API that GitHub counts, by its limit: all that were sent but those answered 304.
    github_charged: IntCounterVec = "gatekeep_github_charged_total" ["resource"],
    /// Requests of the API refused without asking GitHub, by its limit and by what stood against them.
    github_refused: IntCounterVec = "gatekeep_github_refused_total" ["resource", "kind"],
    /// Seconds that requests of the API waited for their turn, by GitHub's limit.
    github_wait: HistogramVec = "gatekeep_github_wait_seconds" ["resource"],
    /// What is left of GitHub's limits to whoever has the least.
    github_budget_remaining: IntGaugeVec = "gatekeep_github_budget_remaining" ["resource"],
    /// Seconds that GitHub takes for its answers, by its limit.
    github_upstream_seconds: HistogramVec = "gatekeep_github_upstream_seconds" ["resource"],
    /// Answers of GitHub's API, by the class of the status, and requests that were not answered.
    github_upstream: IntCounterVec = "gatekeep_github_upstream_total" ["status", "reason"],
    /// Seconds since GitHub said what is answered without asking it.
    github_entry_age: HistogramVec = "gatekeep_github_entry_age_seconds" ["mode"],
    /// Bytes of GitHub's answers that are held.
    github_cache_bytes: IntGauge = "gatekeep_github_cache_bytes",
    /// Answers of GitHub that were found in the store, for they were not in memory.
    github_cache_restored: IntCounter = "gatekeep_github_cache_restored_total",
    /// Answers of GitHub that were not written to the store, for it does not keep up or does not answer.
    github_cache_dropped: IntCounter = "gatekeep_github_cache_dropped_total",
    /// Failures of the store of GitHub's answers, which no request has felt.
    github_cache_failures: IntCounterVec = "gatekeep_github_cache_failures_total" ["operation"],
    /// Open connections of clients.
    connections: IntGauge = "gatekeep_connections",
    /// Connections closed at once, by the limit they broke.
    connections_refused: IntCounterVec = "gatekeep_connections_refused_total" ["limit"],
    /// Decisions, by the route's name, what was decided, and why.
    decisions: IntCounterVec = "gatekeep_decisions_total" ["route", "decision", "reason"],
    /// Sign-ins that came back from GitHub, by how they ended.
    sign_ins: IntCounterVec = "gatekeep_sign_ins_total" ["result"],
    /// Sessions ended before their time, by what ended them.
    sessions_ended: IntCounterVec = "gatekeep_sessions_ended_total" ["cause"],
    /// Tokens renewed at GitHub, by how it ended.
    token_refreshes: IntCounterVec = "gatekeep_token_refreshes_total" ["result"],
    /// Tokens asked for a GitHub App's installations, by how it ended.
    installation_tokens: IntCounterVec = "gatekeep_installation_tokens_total" ["result"],
    /// Accounts asked about anew at GitHub, by how it ended.
    rechecks: IntCounterVec = "gatekeep_rechecks_total" ["result"],
    /// Webhooks of GitHub, by their event and by what became of them.
    webhooks: IntCounterVec = "gatekeep_webhooks_total" ["event", "result"],
    /// Requests at the broker's hosts, by what was asked for and by what became of it.
    broker_requests: IntCounterVec = "gatekeep_broker_requests_total" ["operation", "result"],
    /// Requests refused because an address or a session asks for too much.
    limited: IntCounterVec = "gatekeep_limited_total" ["of"],
    /// Requests let through on what GitHub said earlier, because it gives no answer now.
    facts_kept: IntCounter = "gatekeep_facts_kept_total",
    /// Sessions held open in this process.
    sessions: IntGauge = "gatekeep_sessions",
    /// Bytes that these sessions take, about.
    session_bytes: IntGauge = "gatekeep_session_cache_bytes",
    /// Whether this process hears what other nodes announce: 1 or 0.
    store_in_touch: IntGauge = "gatekeep_store_in_touch",
    /// Failures of the session store.
    store_failures: IntCounter = "gatekeep_session_store_failures_total",
    /// Seconds that GitHub takes for a whole sign-in.
    github_sign_in_duration: Histogram = "gatekeep_github_sign_in_duration_seconds",
    /// Access log lines lost to a stalled output.
    access_log_dropped: IntGauge = "gatekeep_access_log_dropped",
    /// Whether the last reload of the configuration succeeded: 1 or 0.
    config_last_reload_successful: IntGauge = "gatekeep_config_last_reload_successful",
    /// When the configuration was last loaded, in seconds since 1970.
    config_last_reload_success_timestamp: Gauge =
        "gatekeep_config_last_reload_success_timestamp_seconds",
}

/// The counters of one route, found without a look-up.
#[derive(Debug)]
pub struct RouteMetrics {
    name: Box<str>,
    by_code: Box<[(u16, OnceLock<IntCounter>)]>,
    by_reason: Box<[OnceLock<IntCounter>]>,
    duration: Histogram,
}

/// Statuses that are counted without a look-up.
const USUAL_CODES: [u16; 20] = [
    200, 304, 302, 303, 204, 206, 201, 101, 400, 401, 403, 404, 405, 413, 429, 500, 502, 503, 504,
    301,
];

// === impl Metrics ===

impl Metrics {
    /// The counters of a route.
    pub fn for_route(&self, name: &str) -> RouteMetrics {
        RouteMetrics {
            name: name.into(),
            by_code: USUAL_CODES.iter().map(|&code| (code, OnceLock::new())).collect(),
            by_reason: Reason::ALL.iter().map(|_| OnceLock::new()).collect(),
            duration: self.http_request_duration.with_label_values(&[name]),
        }
    }

    /// Notes an answered request of a route.
    pub fn answered(&self, route: &RouteMetrics, code: u16, seconds: f64) {
        let new = || self.http_requests.with_label_values(&[&*route.name, &code.to_string()]);
        match route.by_code.iter().find(|(known, _)| *known == code) {
            Some((_, counter)) => counter.get_or_init(new).inc(),
            None => new().inc(),
        }
        route.duration.observe(seconds);
    }

    /// Notes a decision of a route. A reason belongs to one decision.
    pub fn decided(&self, route: &RouteMetrics, decision: &'static str, reason: Reason) {
        route.by_reason[reason as usize]
            .get_or_init(|| {
                self.decisions.with_label_values(&[&*route.name, decision, reason.word()])
            })
            .inc();
    }

    /// All metrics in Prometheus' text format.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut out)
            .expect("writing to memory does not fail");
        out
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

// === Declaring ===

/// How a kind of metric is made of a name, a help text and labels.
trait Declare {
    fn declare(name: &str, help: &str, labels: &[&str]) -> Self;
}

macro_rules! declare {
    ($($kind:ident: $make:expr,)+) => {
        $(impl Declare for $kind {
            fn declare(name: &str, help: &str, labels: &[&str]) -> Self {
                let make: fn(&str, &str, &[&str]) -> prometheus::Result<Self> = $make;
                make(name, help, labels).expect("names and labels are well formed")
            }
        })+
    };
}

declare! {
    IntGauge: |name, help, _| Self::new(name, help),
    Gauge: |name, help, _| Self::new(name, help),
    IntCounter: |name, help, _| Self::new(name, help),
    IntGaugeVec: |name, help, labels| Self::new(Opts::new(name, help), labels),
    IntCounterVec: |name, help, labels| Self::new(Opts::new(name, help), labels),
    Histogram: |name, help, _| {
        Self::with_opts(HistogramOpts::new(name, help).buckets(buckets(name)))
    },
    HistogramVec: |name, help, labels| {
        Self::new(HistogramOpts::new(name, help).buckets(buckets(name)), labels)
    },
}

fn buckets(name: &str) -> Vec<f64> {
    if name.ends_with("_age_seconds") { AGES.to_vec() } else { SECONDS.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_and_a_decision_are_counted() {
        let metrics = Metrics::new();
        let route = metrics.for_route("notes");
        metrics.answered(&route, 200, 0.002);
        metrics.answered(&route, 418, 0.002);
        metrics.decided(&route, "allow", Reason::Org);
        let text = String::from_utf8(metrics.encode()).unwrap();
        for line in [
            r#"gatekeep_http_requests_total{code="200",route="notes"} 1"#,
            r#"gatekeep_http_requests_total{code="418",route="notes"} 1"#,
            r#"gatekeep_decisions_total{decision="allow",reason="org",route="notes"} 1"#,
            r#"gatekeep_http_request_duration_seconds_count{route="notes"} 2"#,
            "# HELP gatekeep_connections Open connections of clients.",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
