//! What the app is told: identity headers stripped first, always, then set.
//!
//! Frameworks fold header names (CGI and WSGI map `-`, `_` and `.` to `_`, some drop punctuation
//! altogether), so a name that is merely spelled like one of ours is removed as well: oauth2-proxy
//! CVE-2025-64484, Traefik CVE-2026-39858, Caddy CVE-2026-30851.

use http::header::{AUTHORIZATION, COOKIE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Forward, RequestClient};
use crate::cookie;
use crate::defence::{Defence, stands};
use crate::identity::Identity;
use crate::route::{Token, Upstream, UpstreamAddress};
use crate::secret::Secret;

const JWT: HeaderName = HeaderName::from_static("x-gatekeep-jwt");
const USER: HeaderName = HeaderName::from_static("x-forwarded-user");
const EMAIL: HeaderName = HeaderName::from_static("x-forwarded-email");
const GROUPS: HeaderName = HeaderName::from_static("x-forwarded-groups");
const PREFERRED: HeaderName = HeaderName::from_static("x-forwarded-preferred-username");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names, without punctuation, of which the client's are never believed.
const RESERVED: [&str; 7] =
    ["forwarded", "xrealip", "xclientip", "xrequestid", "xremoteuser", "remoteuser", "proxy"];

/// Beginnings of such names.
const RESERVED_STEMS: [&str; 7] = [
    "xgatekeep",
    "xforwarded",
    "xauthrequest",
    "xoriginal",
    "xrewrite",
    "xhttpmethod",
    "xmethodoverride",
];

/// The one header value and the names to take away, for one request.
pub struct Dress<'f> {
    forward: &'f Forward,
    client: RequestClient,
    request_id: &'f str,
    secure: bool,
}

// === impl Forward ===

impl Forward {
    /// What to take away from and set on the request to the app.
    pub fn dress<'f>(
        &'f self,
        client: RequestClient,
        request_id: &'f str,
        secure: bool,
    ) -> Dress<'f> {
        Dress { forward: self, client, request_id, secure }
    }
}

// === impl Dress ===

impl Dress<'_> {
    /// Whether a field of the client must not reach the app.
    pub fn strips(&self, name: &HeaderName) -> bool {
        let replaces_authorization = self.forward.route.token.bearer;
        (replaces_authorization && folds_to(name, "authorization"))
            || (stands(Defence::StripHeaders) && is_reserved(name))
    }

    /// Sets each field of ours once, in place of any other. `set` inserts; `None` removes.
    pub fn set_all(
        &self,
        original: &HeaderMap,
        mut set: impl FnMut(HeaderName, Option<HeaderValue>),
    ) {
        if let Some(passport) = self.forward.visitor.as_ref().and_then(|v| v.admission().passport())
        {
            for (name, value) in &passport.fields {
                set(name.clone(), Some(value.clone()));
            }
        }
        if original.contains_key(COOKIE) && stands(Defence::HideCookies) {
            set(COOKIE, cookie::for_upstream(original));
        }
        let address = self.client.address.to_string();
        let text = |text: &str| HeaderValue::from_str(text).ok();
        let scheme = HeaderValue::from_static(if self.secure { "https" } else { "http" });
        set(HOST, text(&self.forward.authority));
        set(FORWARDED_HOST, sent_host(original, &self.forward.authority));
        set(FORWARDED_PROTO, Some(scheme));
        set(FORWARDED_FOR, text(&self.chain(&address)));
        set(REAL_IP, text(&address));
        set(REQUEST_ID, text(self.request_id));
    }

    /// Client, then the trusted proxy that spoke for it.
    fn chain(&self, address: &str) -> String {
        if self.client.address == self.client.peer {
            address.to_owned()
        } else {
            format!("{address}, {}", self.client.peer)
        }
    }
}

fn sent_host(sent: &HeaderMap, authority: &str) -> Option<HeaderValue> {
    // The canonicaliser has seen to it that there is one good Host.
    sent.get(HOST).cloned().or_else(|| HeaderValue::from_str(authority).ok())
}

/// `X-Forwarded-User` and its kin, as oauth2-proxy's users know them.
pub(super) fn plain_identity(who: &Identity) -> Vec<(HeaderName, HeaderValue)> {
    let mut fields = Vec::with_capacity(5);
    let mut push = |name: HeaderName, value: &str| {
        // Our types hold printable ASCII only.
        if let Ok(value) = HeaderValue::from_str(value) {
            fields.push((name, value));
        }
    };
    push(USER, who.login.as_str());
    push(PREFERRED, who.login.as_str());
    if let Some(email) = &who.email {
        push(EMAIL, email.as_str());
    }
    let orgs = who.orgs.iter().flatten().map(crate::identity::OrgName::as_str);
    let teams = who.teams.iter().flatten().map(crate::identity::TeamRef::as_str);
    let groups: Vec<_> = orgs.chain(teams).collect();
    if !groups.is_empty() {
        push(GROUPS, &groups.join(","));
    }
    fields
}

/// The identity token under the name that the route asks for.
pub(super) fn token_field(how: &Token, token: &Secret<String>) -> (HeaderName, HeaderValue) {
    let (name, text) = if how.bearer {
        (AUTHORIZATION, Secret::new(format!("Bearer {}", token.expose())))
    } else {
        (JWT, token.clone())
    };
    let mut value = HeaderValue::from_str(text.expose()).expect("a JWT is plain ASCII");
    value.set_sensitive(true);
    (name, value)
}

/// Whether a name is reserved in some reading. Names with any punctuation but the hyphen are
/// dropped altogether, as nginx does with underscores.
fn is_reserved(name: &HeaderName) -> bool {
    let name = name.as_str().as_bytes();
    // `HeaderName` is lower-case already.
    if name.iter().any(|b| !(b.is_ascii_alphanumeric() || *b == b'-')) {
        return true;
    }
    // Nearly every name is settled by its first letter.
    if !matches!(name.iter().find(|b| **b != b'-'), Some(b'x' | b'f' | b'p' | b'r')) {
        return false;
    }
    RESERVED.iter().any(|word| letters(name).eq(word.bytes()))
        || RESERVED_STEMS.iter().any(|stem| {
            let mut letters = letters(name);
            stem.bytes().all(|b| letters.next() == Some(b))
        })
}

fn folds_to(name: &HeaderName, word: &str) -> bool {
    let name = name.as_str().as_bytes();
    let mut folded = name.iter().copied().filter(u8::is_ascii_alphanumeric);
    word.bytes().all(|b| folded.next() == Some(b)) && folded.next().is_none()
}

fn letters(name: &[u8]) -> impl Iterator<Item = u8> {
    name.iter().copied().filter(|b| *b != b'-')
}

// === impl Upstream ===

impl Upstream {
    /// Host and port of the app itself, for routes that do not keep the client's Host.
    pub(super) fn authority(&self) -> String {
        match &self.address {
            UpstreamAddress::Unix(_) => "localhost".to_owned(),
            UpstreamAddress::Tcp { host, port } => match (self.tls.is_some(), port) {
                (true, 443) | (false, 80) => host.to_string(),
                _ => format!("{host}:{port}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_reserved_name_is_reserved() {
        for name in [
            "x-gatekeep-jwt",
            "x_gatekeep_jwt",
            "x.gatekeep.jwt",
            "xgatekeepjwt",
            "x-gatekeep-anything",
            "x-forwarded-user",
            "x-forwarded_user",
            "x--forwarded-user",
            "-x-forwarded-user",
            "xforwardeduser",
            "x-forwarded-for",
            "forwarded",
            "x-real-ip",
            "x-original-url",
            "x-rewrite-url",
            "x-auth-request-user",
            "proxy",
            "remote-user",
            "some_thing",
            "a.b",
            "x-http-method-override",
            "x-http-method",
            "x-method-override",
            "x~forwarded~user",
        ] {
            assert!(is_reserved(&HeaderName::from_static(name)), "{name}");
        }
    }

    #[test]
    fn other_names_pass() {
        for name in [
            "accept",
            "user-agent",
            "x-requested-with",
            "x-csrf-token",
            "authorization",
            "cookie",
            "x-real",
            "proxy-foo",
            "range",
            "x-forward",
            "referer",
            "sec-fetch-mode",
            "x-trackeep",
            "host",
        ] {
            assert!(!is_reserved(&HeaderName::from_static(name)), "{name}");
        }
    }
}
