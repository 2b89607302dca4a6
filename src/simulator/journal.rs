//! Everything that was asked, with what it cost: for tests that count.

use std::{
    collections::{HashMap, VecDeque},
    sync::Mutex,
    time::Duration,
};

use super::{
    github::{CLIENT_ID, Shared, Simulator},
    limits::{Payer, Receipt},
    record::{API, Recorded, lock},
};

/// How many requests are remembered.
const REMEMBERED: usize = 10_000;

/// One request and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The request as it arrived.
    pub request: Recorded,
    /// When it had arrived whole, in the simulator's time since its start.
    pub at: Duration,
    /// The login of the token's person, or the app's id if it showed its secret.
    pub who: Option<String>,
    /// The answer's status; `None` if there was no answer, or none yet.
    pub status: Option<u16>,
    /// Points it took from a budget: 0 for a 304 to who is authorised.
    pub charged: u64,
}

/// The last requests, and how many there were of each.
#[derive(Debug, Default)]
pub(super) struct Log {
    kept: Mutex<Kept>,
    counts: Mutex<HashMap<String, usize>>,
    answers: Mutex<HashMap<String, usize>>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: VecDeque<Entry>,
    /// How many came before the first that is kept.
    gone: usize,
}

// === impl Log ===

impl Log {
    /// Notes a request, and returns its number.
    pub(super) fn note(&self, request: &Recorded, at: Duration, who: Option<String>) -> usize {
        count(&mut lock(&self.counts), call(request));
        let mut kept = lock(&self.kept);
        if kept.entries.len() == REMEMBERED {
            kept.entries.pop_front();
            kept.gone += 1;
        }
        let request = request.clone();
        kept.entries.push_back(Entry { request, at, who, status: None, charged: 0 });
        kept.gone + kept.entries.len() - 1
    }

    /// Notes what a request cost, whether or not the answer ever arrives.
    pub(super) fn note_cost(&self, number: usize, receipt: Option<&Receipt>) {
        let Some(receipt) = receipt else { return };
        lock(&self.kept).change(number, |entry| entry.charged = receipt.charged);
    }

    /// Notes how a request was answered.
    pub(super) fn note_answer(&self, number: usize, request: &Recorded, status: u16) {
        count(&mut lock(&self.answers), format!("{status} {}", call(request)));
        lock(&self.kept).change(number, |entry| entry.status = Some(status));
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

    pub(super) fn entries(&self) -> Vec<Entry> {
        lock(&self.kept).entries.iter().cloned().collect()
    }

    pub(super) fn all(&self) -> Vec<Recorded> {
        lock(&self.kept).entries.iter().map(|entry| entry.request.clone()).collect()
    }
}

impl Kept {
    fn change(&mut self, number: usize, change: impl FnOnce(&mut Entry)) {
        let at = number.checked_sub(self.gone);
        if let Some(entry) = at.and_then(|at| self.entries.get_mut(at)) {
            change(entry);
        }
    }
}

// === impl Simulator ===

impl Simulator {
    /// The last 10,000 requests with who asked, what it cost and how it ended, oldest first.
    pub fn journal(&self) -> Vec<Entry> {
        self.shared.log.entries()
    }
}

/// Who a payer is, in the journal's words.
pub(super) fn who(shared: &Shared, payer: Payer) -> Option<String> {
    match payer {
        Payer::Person(key) => Some(lock(&shared.world).person(key).login.clone()),
        Payer::App => Some(CLIENT_ID.to_owned()),
        Payer::Nobody => None,
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Request;

    use super::*;

    fn request() -> Recorded {
        let request = Request::get("/api/v3/user?x=1").header("A", "b").body(()).unwrap();
        Recorded::new(&request, Bytes::new())
    }

    #[test]
    fn calls_count_with_and_without_the_api_prefix() {
        let log = Log::default();
        let number = log.note(&request(), Duration::ZERO, None);
        assert_eq!(log.calls("GET /user"), 1);
        assert_eq!(log.calls("GET /api/v3/user"), 1);
        assert_eq!(log.calls("POST /user"), 0);
        log.note_answer(number, &request(), 304);
        assert_eq!(log.answered("GET /user", 304), 1);
        assert_eq!(log.answered("GET /api/v3/user", 304), 1);
        assert_eq!(log.answered("GET /user", 200), 0);
        assert_eq!(log.all()[0].target, "/api/v3/user?x=1");
        assert_eq!(log.all()[0].headers, [("a".to_owned(), "b".to_owned())]);
    }

    #[test]
    fn an_answer_finds_its_request_when_older_ones_are_forgotten() {
        let log = Log::default();
        let first = log.note(&request(), Duration::ZERO, None);
        let numbers: Vec<usize> =
            (0..REMEMBERED).map(|_| log.note(&request(), Duration::ZERO, None)).collect();
        log.note_answer(first, &request(), 500);
        log.note_answer(numbers[0], &request(), 200);
        let entries = log.entries();
        assert_eq!(
            (entries.len(), entries[0].status, entries[1].status),
            (REMEMBERED, Some(200), None)
        );
    }
}
