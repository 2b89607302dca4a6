//! A browser as far as a gateway can tell: a cookie jar by host, `__Host-` rules, redirects followed
//! by hand or to the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use super::http::{Connection, Response};

/// A browser with one window.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    /// Where every host but those with a numeric address is.
    gateway: SocketAddr,
    /// What it calls itself.
    agent: String,
    /// Where a proxy before the gateway says it is.
    place: Option<String>,
    jar: BTreeMap<String, BTreeMap<String, String>>,
}

/// Redirects that a browser follows before it gives up.
const MOST_REDIRECTS: usize = 20;

impl Browser {
    pub(crate) fn new(gateway: SocketAddr) -> Self {
        let agent = "test browser".to_owned();
        Self { gateway, agent, place: None, jar: BTreeMap::new() }
    }

    /// The same browser under another name.
    pub(crate) fn called(self, agent: &str) -> Self {
        Self { agent: agent.to_owned(), ..self }
    }

    /// The same browser behind a proxy that says where it is.
    pub(crate) fn coming_from(self, place: &str) -> Self {
        Self { place: Some(place.to_owned()), ..self }
    }

    /// The same browser, whose names lead to another gateway.
    pub(crate) fn at(&self, gateway: SocketAddr) -> Self {
        Self { gateway, ..self.clone() }
    }

    /// A navigation, as typed into the address bar; redirects are not followed.
    pub(crate) fn get(&mut self, url: &str) -> Response {
        self.send(
            "GET",
            url,
            &[
                ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-site", "none"),
                ("sec-fetch-dest", "document"),
            ],
            "",
        )
    }

    /// A script's `fetch`.
    pub(crate) fn fetch(&mut self, url: &str) -> Response {
        self.send(
            "GET",
            url,
            &[
                ("accept", "application/json"),
                ("sec-fetch-mode", "cors"),
                ("sec-fetch-site", "same-origin"),
            ],
            "",
        )
    }

    /// A form posted from a page of the same origin.
    pub(crate) fn post(&mut self, url: &str, form: &[(&str, &str)]) -> Response {
        let origin = origin_of(url);
        let headers = [
            ("accept", "text/html"),
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", origin.as_str()),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-site", "same-origin"),
        ];
        self.send("POST", url, &headers, &encode(form))
    }

    /// Any request with the jar's cookies; what the answer sets is kept.
    pub(crate) fn send(
        &mut self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let (host, target) = split(url);
        let agent = &self.agent;
        let mut text =
            format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\nuser-agent: {agent}\r\n");
        if let Some(place) = &self.place {
            write!(text, "x-forwarded-for: {place}\r\n").expect("memory is written");
        }
        for (name, value) in headers {
            write!(text, "{name}: {value}\r\n").expect("memory is written");
        }
        if let Some(cookies) = self.cookie_header(&host) {
            write!(text, "cookie: {cookies}\r\n").expect("memory is written");
        }
        if !body.is_empty() || method == "POST" {
            write!(text, "content-length: {}\r\n", body.len()).expect("memory is written");
        }
        text += "connection: close\r\n\r\n";
        text += body;
        let mut connection = Connection::open(self.address(&host));
        connection.send(text.as_bytes()).expect("the server reads");
        let response = connection
            .receive(method == "HEAD")
            .unwrap_or_else(|| panic!("no answer to {method} {url}"));
        self.keep(&host, &response);
        response
    }

    /// Follows redirects from a navigation to the page at their end; returns its address too.
    pub(crate) fn follow(&mut self, url: &str) -> (String, Response) {
        let mut url = url.to_owned();
        for _ in 0..MOST_REDIRECTS {
            let response = self.get(&url);
            if !(300..400).contains(&response.status) {
                return (url, response);
            }
            url = join(&url, response.location());
        }
        panic!("more than {MOST_REDIRECTS} redirects, the last to {url}");
    }

    /// The cookies for a host, by name.
    pub(crate) fn cookies(&self, host: &str) -> BTreeMap<String, String> {
        self.jar.get(host).cloned().unwrap_or_default()
    }

    /// The value of the session cookie at a host, whatever its prefix.
    pub(crate) fn session(&self, host: &str) -> Option<String> {
        let cookies = self.jar.get(host)?;
        cookies.get("__Host-gatekeep").or_else(|| cookies.get("gatekeep")).cloned()
    }

    /// Puts a cookie into the jar, as a neighbour might.
    pub(crate) fn plant(&mut self, host: &str, name: &str, value: &str) {
        self.jar.entry(host.to_owned()).or_default().insert(name.to_owned(), value.to_owned());
    }

    /// Forgets a cookie.
    pub(crate) fn forget(&mut self, host: &str, name: &str) {
        if let Some(cookies) = self.jar.get_mut(host) {
            cookies.remove(name);
        }
    }

    fn cookie_header(&self, host: &str) -> Option<String> {
        let pairs: Vec<_> = self.jar.get(host)?.iter().map(|(n, v)| format!("{n}={v}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    fn keep(&mut self, host: &str, response: &Response) {
        for cookie in response.all("set-cookie") {
            let mut parts = cookie.split(';').map(str::trim);
            let (name, value) =
                parts.next().and_then(|pair| pair.split_once('=')).expect("a cookie");
            let attributes: Vec<_> = parts.map(str::to_ascii_lowercase).collect();
            if name.starts_with("__Host-") {
                // RFC 6265bis §4.1.3.2: browsers drop it otherwise.
                let has = |wanted: &str| attributes.iter().any(|a| a == wanted);
                assert!(has("secure") && has("path=/"), "a browser drops {cookie}");
                assert!(!attributes.iter().any(|a| a.starts_with("domain")), "{cookie}");
            }
            if attributes.iter().any(|a| a == "max-age=0") {
                self.forget(host, name);
            } else {
                self.plant(host, name, value);
            }
        }
    }

    fn address(&self, host: &str) -> SocketAddr {
        // The simulator and the app have numeric addresses; every name is the gateway's.
        host.parse().unwrap_or(self.gateway)
    }
}

/// `https://host:port/path` into `host:port` and `/path`.
pub(crate) fn split(url: &str) -> (String, String) {
    let rest = url.split_once("://").unwrap_or_else(|| panic!("{url} is no URL")).1;
    match rest.find(['/', '?']) {
        Some(at) if rest[at..].starts_with('/') => (rest[..at].to_owned(), rest[at..].to_owned()),
        Some(at) => (rest[..at].to_owned(), format!("/{}", &rest[at..])),
        None => (rest.to_owned(), "/".to_owned()),
    }
}

pub(crate) fn origin_of(url: &str) -> String {
    let (scheme, _) = url.split_once("://").expect("a URL");
    format!("{scheme}://{}", split(url).0)
}

/// A `Location` relative to the page it came from.
pub(crate) fn join(base: &str, location: &str) -> String {
    url::Url::parse(base).and_then(|base| base.join(location)).expect("a Location").to_string()
}

/// A query parameter of a URL.
pub(crate) fn parameter(url: &str, name: &str) -> Option<String> {
    let url =
        url::Url::parse(url).or_else(|_| url::Url::parse("http://x").and_then(|b| b.join(url)));
    url.ok()?.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

pub(crate) fn encode(form: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}
