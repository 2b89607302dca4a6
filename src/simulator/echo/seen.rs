//! What reached the app, kept for the tests that ask.

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::Request;

use crate::simulator::record::{header_list, lock};

const REMEMBERED: usize = 10_000;

/// One request as the app got it. Header names are in lower case, as HTTP means them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// `GET`, `POST`, …
    pub method: String,
    /// What stood in the request line.
    pub target: String,
    /// Names and values in the order they came.
    pub headers: Vec<(String, String)>,
    /// Length of the body; 0 until all of it has come.
    pub body_bytes: u64,
}

// === impl Seen ===

impl Seen {
    /// All values of this header, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = |key: &str| key.eq_ignore_ascii_case(name);
        self.headers.iter().filter(|(key, _)| same(key)).map(|(_, value)| value.as_str()).collect()
    }

    /// The first value of this header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }
}

/// The last requests, and how many there were at all.
#[derive(Debug, Default)]
pub(super) struct Visits {
    kept: Mutex<VecDeque<(usize, Seen)>>,
    count: AtomicUsize,
}

// === impl Visits ===

impl Visits {
    /// Notes a request on arrival and returns its number.
    pub(super) fn note<B>(&self, request: &Request<B>) -> usize {
        let seen = Seen {
            method: request.method().to_string(),
            target: request.uri().to_string(),
            headers: header_list(request.headers()),
            body_bytes: 0,
        };
        let mut kept = lock(&self.kept);
        if kept.len() == REMEMBERED {
            kept.pop_front();
        }
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        kept.push_back((number, seen));
        number
    }

    pub(super) fn body_was(&self, number: usize, bytes: u64) {
        if let Some((_, seen)) = lock(&self.kept).iter_mut().rev().find(|(it, _)| *it == number) {
            seen.body_bytes = bytes;
        }
    }

    pub(super) fn all(&self) -> Vec<Seen> {
        lock(&self.kept).iter().map(|(_, seen)| seen.clone()).collect()
    }

    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}
