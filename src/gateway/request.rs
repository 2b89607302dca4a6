//! A request as the gateway sees it: canonical, with the one configuration that judges it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, ORIGIN, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Method};

use super::{Endpoint, LastSession, Snapshot};
use crate::config::Config;
use crate::cookie::Jar;
use crate::keys::random;
use crate::origin::Origin;
use crate::route::Answers;
use crate::target::Target;

/// One request.
pub struct Request<'a> {
    /// The configuration that judges it from beginning to end.
    pub snapshot: &'a Snapshot,
    /// The method.
    pub method: &'a Method,
    /// The header fields as they came.
    pub headers: &'a HeaderMap,
    /// Where it wants to go, in canonical form.
    pub target: Target<'a>,
    /// Who sent it.
    pub client: Client,
    /// What its connection remembers of the request before.
    pub last: &'a LastSession,
    /// Its name in the log, on error pages and upstream.
    pub id: &'a str,
    /// The body, read for the gateway's own forms alone.
    pub body: Bytes,
}

/// Who sent a request, as far as the network shows.
#[derive(Clone, Debug)]
pub struct Client {
    /// The client: the peer, or whom a trusted proxy names.
    pub address: Option<IpAddr>,
    /// Who holds the other end of the connection; who comes by a Unix socket has no address.
    pub peer: Option<IpAddr>,
    /// The client's address as a header field, written once a connection; `unix` where there is none.
    pub text: HeaderValue,
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Makes request ids: distinct, and without a system call.
#[derive(Debug)]
pub struct RequestIds {
    seed: u64,
    count: AtomicU64,
}

// === impl Request ===

impl Request<'_> {
    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.snapshot.config
    }

    /// The origin in the browser's address bar: this host under the public scheme.
    pub fn here(&self) -> Origin {
        let config = self.config();
        let host = self.target.host();
        if host == config.public_url.host() {
            return config.public_url.clone();
        }
        match config.routes.first_at(host) {
            Some(route) => config.origin_of(route, host),
            None => Origin::new(config.public_url.is_secure(), host, config.public_url.port()),
        }
    }

    /// Whether this is the gateway's own host, where GitHub's callback lives.
    pub fn is_at_public_url(&self) -> bool {
        self.target.host() == self.config().public_url.host()
    }

    /// The names of our cookies here.
    pub fn jar(&self) -> Jar {
        Jar::new(self.config().public_url.is_secure())
    }

    /// The path of one of our own pages.
    pub fn own_path(&self, name: &str) -> String {
        format!("{}/{name}", self.config().prefix)
    }

    /// The first header field of a name, when it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether it wants to become a WebSocket.
    pub fn is_upgrade(&self) -> bool {
        self.headers.contains_key(UPGRADE)
    }

    /// Whether it goes to GitHub's API, whose clients read JSON and need not say so.
    pub fn is_for_api(&self) -> bool {
        let route = self.config().routes.find(&self.target, self.method);
        let is_of_api = route.is_ok_and(|route| route.upstream.api().is_some());
        is_of_api && Endpoint::of(self).is_none()
    }

    /// Whether silence of the app is no fault: WebSockets and server-sent events, which begin with
    /// a GET that has no body.
    pub fn may_stay_silent(&self) -> bool {
        let accepts = |kind| self.header(ACCEPT.as_str()).is_some_and(|a| a.contains(kind));
        *self.method == Method::GET
            && !self.headers.contains_key(CONTENT_LENGTH)
            && !self.headers.contains_key(TRANSFER_ENCODING)
            && (self.is_upgrade() || accepts("text/event-stream"))
    }

    /// Whether a person follows a link or types an address, rather than a script asking: only then
    /// is a redirect of any use. Browsers say so in Fetch Metadata; for others `Accept` tells.
    pub fn is_navigation(&self) -> bool {
        let reads = matches!(*self.method, Method::GET | Method::HEAD);
        if !reads || self.is_upgrade() || self.headers.contains_key("sec-purpose") {
            return false;
        }
        self.wants_page()
    }

    /// What our own answers to it look like. Asked only when there is one.
    pub fn answers(&self) -> Answers {
        if Endpoint::of(self).is_some() {
            return Answers::Pages;
        }
        let route = self.config().routes.find(&self.target, self.method).ok();
        route.map_or(Answers::Pages, |route| route.answers(self.target.path(), self.method))
    }

    /// The same for any method: a form that was posted wants a page, too.
    pub fn wants_page(&self) -> bool {
        if self.answers() == Answers::Json {
            return false;
        }
        if let Some(mode) = self.header("sec-fetch-mode") {
            return mode == "navigate";
        }
        let by_script = self.headers.contains_key("x-requested-with");
        !by_script && self.header(ACCEPT.as_str()).is_some_and(|a| a.contains("text/html"))
    }

    /// Whether every `Origin` field, if there is any, is this origin.
    pub fn origins_are(&self, own: &Origin) -> bool {
        let own = own.to_string();
        self.headers.get_all(ORIGIN).iter().all(|origin| origin.as_bytes() == own.as_bytes())
    }

    /// A parameter of the query, decoded. `Err` when it is given twice (RFC 6749 §3.1); one that is
    /// empty counts as absent.
    pub fn parameter(&self, name: &str) -> Result<Option<String>, Repeated> {
        let query = self.target.query().unwrap_or_default();
        let mut found = url::form_urlencoded::parse(query.as_bytes())
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned());
        let first = found.next();
        if found.next().is_some() { Err(Repeated) } else { Ok(first.filter(|v| !v.is_empty())) }
    }
}

/// A parameter that was given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;

// === impl Client ===

impl Client {
    /// A client that speaks for itself.
    pub fn direct(peer: Option<IpAddr>) -> Self {
        Self::behind(peer, peer)
    }

    /// A client for whom a trusted proxy speaks.
    pub fn behind(peer: Option<IpAddr>, address: Option<IpAddr>) -> Self {
        let text = address.map_or(HeaderValue::from_static("unix"), |address| {
            HeaderValue::from_str(&address.to_string()).expect("addresses are plain ASCII")
        });
        Self { address, peer, text }
    }

    /// The client's address as text, or `unix`.
    pub fn as_str(&self) -> &str {
        self.text.to_str().unwrap_or_default()
    }
}

// === impl RequestIds ===

impl RequestIds {
    /// A sequence that begins at a random place.
    pub fn new() -> Self {
        Self { seed: u64::from_le_bytes(random()), count: AtomicU64::new(0) }
    }

    /// The next id: 16 hexadecimal digits.
    pub fn next(&self) -> String {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        // Multiplying by an odd number permutes the 64-bit numbers, so ids stay distinct.
        let id = self.seed.wrapping_add(count.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let digits = id.to_be_bytes();
        let hex = |nibble: u8| char::from(HEX[usize::from(nibble)]);
        digits.iter().flat_map(|byte| [hex(byte >> 4), hex(byte & 15)]).collect()
    }
}

impl Default for RequestIds {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_distinct() {
        let ids = RequestIds::new();
        let seen: HashSet<_> = (0..10_000).map(|_| ids.next()).collect();
        assert_eq!(seen.len(), 10_000);
        assert!(seen.iter().all(|id| id.len() == 16));
    }
}
