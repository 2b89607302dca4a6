//! What reached a server, kept for the tests that ask.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Request, Uri, Version};

use super::web::{Pairs, pairs};

/// GitHub's API under the simulator's address, as on GitHub Enterprise Server.
pub(super) const API: &str = "/api/v3";

/// One request as it arrived. Header names are in lower case, as HTTP means them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// `GET`, `POST`, …
    pub method: String,
    /// Which version of HTTP it came by.
    pub version: Version,
    /// The path and query exactly as they stood in the request line.
    pub target: String,
    /// Names and values in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body; an upload's is not kept.
    pub body: Bytes,
    /// The body's length, kept or not.
    pub body_bytes: u64,
    /// The SHA-256 of a body that was not kept.
    pub(super) digest: Option<String>,
}

/// HTTP/2 names the host in the same breath.
fn target(uri: &Uri) -> String {
    uri.path_and_query().map_or_else(|| uri.to_string(), ToString::to_string)
}

// === impl Recorded ===

impl Recorded {
    pub(super) fn new<B>(request: &Request<B>, body: Bytes) -> Self {
        Self {
            method: request.method().to_string(),
            version: request.version(),
            target: target(request.uri()),
            headers: header_list(request.headers()),
            body_bytes: body.len() as u64,
            body,
            digest: None,
        }
    }

    /// With a body of this length and hash, which was not kept.
    pub(super) fn uploaded<B>(request: &Request<B>, (length, digest): (u64, String)) -> Self {
        let recorded = Self::new(request, Bytes::new());
        Self { body_bytes: length, digest: Some(digest), ..recorded }
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

/// Locks even after a panic elsewhere: a test that failed must not hide the others.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
