//! What reached a server, kept for the tests that ask.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::{HeaderMap, Request};

use super::web::{Pairs, pairs};

/// How many requests are remembered.
const REMEMBERED: usize = 10_000;
/// GitHub's API under the simulator's address, as on GitHub Enterprise Server.
pub(super) const API: &str = "/api/v3";

/// One request as it arrived. Header names are in lower case, as HTTP means them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path and query exactly as they stood in the request line.
    pub target: String,
    /// Names and values in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

// === impl Recorded ===

impl Recorded {
    pub(super) fn new<B>(request: &Request<B>, body: Bytes) -> Self {
        Self {
            method: request.method().to_string(),
            target: request.uri().to_string(),
            headers: header_list(request.headers()),
            body,
        }
    }

    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }

    /// The query's parameters, decoded.
    pub fn query(&self) -> Vec<(String, String)> {
        self.target.split_once('?').map(|(_, query)| pairs(query.as_bytes())).unwrap_or_default()
    }

    pub(super) fn form(&self) -> Pairs {
        pairs(&self.body)
    }
}

/// Every header line as text, in order.
pub(super) fn header_list(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// The last requests, and how many there were of each.
#[derive(Debug, Default)]
pub(super) struct Log {
    kept: Mutex<VecDeque<Recorded>>,
    counts: Mutex<HashMap<String, usize>>,
    answers: Mutex<HashMap<String, usize>>,
}

// === impl Log ===

impl Log {
    pub(super) fn note(&self, request: &Recorded) {
        let mut kept = lock(&self.kept);
        if kept.len() == REMEMBERED {
            kept.pop_front();
        }
        kept.push_back(request.clone());
        count(&mut lock(&self.counts), call(request));
    }

    /// Notes how a request was answered.
    pub(super) fn note_answer(&self, request: &Recorded, status: u16) {
        count(&mut lock(&self.answers), format!("{status} {}", call(request)));
    }

    /// `METHOD /path`; an API path may be written with or without [`API`].
    pub(super) fn calls(&self, call: &str) -> usize {
        let counts = lock(&self.counts);
        spellings(call).iter().filter_map(|call| counts.get(call)).sum()
    }

    /// How many of these calls were answered with this status.
    pub(super) fn answered(&self, call: &str, status: u16) -> usize {
        let answers = lock(&self.answers);
        let of = |call: &String| answers.get(&format!("{status} {call}")).copied();
        spellings(call).iter().filter_map(of).sum()
    }

    pub(super) fn all(&self) -> Vec<Recorded> {
        lock(&self.kept).iter().cloned().collect()
    }
}

fn call(request: &Recorded) -> String {
    format!("{} {}", request.method, request.path())
}

/// Counts one, unless there are very many different ones already.
fn count(counts: &mut HashMap<String, usize>, what: String) {
    if counts.len() < REMEMBERED || counts.contains_key(&what) {
        *counts.entry(what).or_default() += 1;
    }
}

/// The call as it was written, and with the API's prefix if that was left out.
fn spellings(call: &str) -> Vec<String> {
    let short = call.split_once(' ').filter(|(_, path)| !path.starts_with(API));
    let full = short.map(|(method, path)| format!("{method} {API}{path}"));
    [call.to_owned()].into_iter().chain(full).collect()
}

/// Locks even after a panic elsewhere: a test that failed must not hide the others.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_count_with_and_without_the_api_prefix() {
        let log = Log::default();
        let request = Request::get("/api/v3/user?x=1").header("A", "b").body(()).unwrap();
        log.note(&Recorded::new(&request, Bytes::new()));
        assert_eq!(log.calls("GET /user"), 1);
        assert_eq!(log.calls("GET /api/v3/user"), 1);
        assert_eq!(log.calls("POST /user"), 0);
        log.note_answer(&log.all()[0], 304);
        assert_eq!(log.answered("GET /user", 304), 1);
        assert_eq!(log.answered("GET /api/v3/user", 304), 1);
        assert_eq!(log.answered("GET /user", 200), 0);
        assert_eq!(log.all()[0].target, "/api/v3/user?x=1");
        assert_eq!(log.all()[0].headers, [("a".to_owned(), "b".to_owned())]);
    }
}
