//! What the app is told: identity headers stripped first, always, then set.
//!
//! Frameworks fold header names (CGI and WSGI map `-`, `_` and `.` to `_`, some drop punctuation
//! altogether), so a name that is merely spelled like one of ours is removed as well: oauth2-proxy
//! CVE-2025-64484, Traefik CVE-2026-39858, Caddy CVE-2026-30851.

use http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN, REFERER};
use http::{HeaderName, HeaderValue};

use super::request::Client;
use super::{Forward, Request, Visitor, own_redirects};
use crate::defence::{Defence, stands};
use crate::identity::Identity;
use crate::origin::Origin;
use crate::route::{App, ForwardedFor, OwnRedirects, Route, Token, UpstreamAddress};
use crate::secret::Secret;
use crate::target::query;

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
const RESERVED: [&str; 9] = [
    "forwarded",
    "xrealip",
    "xclientip",
    "clientip",
    "trueclientip",
    "cfconnectingip",
    "xrequestid",
    "xremoteuser",
    "proxy",
];

/// Beginnings of such names.
const RESERVED_STEMS: [&str; 13] = [
    "remote",
    "xwebauth",
    "xauthentik",
    "xclusterclient",
    "xsendfile",
    "xaccel",
    "xgatekeep",
    "xforwarded",
    "xauthrequest",
    "xoriginal",
    "xrewrite",
    "xhttpmethod",
    "xmethodoverride",
];

// === impl Forward ===

impl Forward {
    /// Whether a field of the client must not reach the app.
    pub fn strips(&self, name: &HeaderName) -> bool {
        if *name == COOKIE {
            // What may pass is set again, as one field without our cookies.
            return stands(Defence::HideCookies);
        }
        let sets_authorization =
            self.route.token.bearer || (self.seat.is_some() && stands(Defence::OwnSeat));
        ((sets_authorization || self.has_api_key) && folds_to(name, "authorization"))
            || self.route.passing.strips(name)
            || (self.hides_page && [ORIGIN, REFERER].contains(name))
            || (stands(Defence::StripHeaders) && is_reserved(name))
    }
}

/// Every field that the gateway sets, each once: who the visitor is, who the client is, which host
/// was asked for, and the app's own cookies.
pub(super) fn fields(
    request: &Request<'_>,
    route: &Route,
    redirects: Option<(&OwnRedirects, &Origin)>,
    visitor: Option<&Visitor>,
) -> Vec<(HeaderName, HeaderValue)> {
    let mut fields = Vec::with_capacity(16);
    fields.extend(visitor.iter().flat_map(|visitor| visitor.passport().fields.iter().cloned()));
    if stands(Defence::HideCookies) {
        let cookies = own_redirects::cookies(request, redirects);
        let cookies = cookies.or_else(|| route.passing.placeholder_cookie.clone());
        fields.extend(cookies.map(|value| (COOKIE, value)));
    }
    let host = host_field(request);
    fields.extend(addresses(&request.client, route.passing.forwarded_for));
    let secure = request.config().public_url.is_secure();
    let scheme = HeaderValue::from_static(if secure { "https" } else { "http" });
    fields.push((FORWARDED_PROTO, scheme));
    fields.push((REQUEST_ID, plain(request.id)));
    match route.app_at(request.target.path()).filter(|_| !route.preserve_host) {
        Some(app) => fields.push((HOST, plain(&app.authority()))),
        None => fields.push((HOST, host.clone())),
    }
    fields.push((FORWARDED_HOST, host));
    fields
}

/// Where the client is, as far as anybody knows: nobody does of who comes by a Unix socket, unless it
/// is trusted and says so.
fn addresses(
    client: &Client,
    told: ForwardedFor,
) -> impl Iterator<Item = (HeaderName, HeaderValue)> + use<> {
    let chain = client.address.map(|address| match client.peer {
        // Client, then the trusted proxy that spoke for it.
        Some(peer) if peer != address && told == ForwardedFor::Chain => {
            plain(&format!("{}, {peer}", client.as_str()))
        }
        _ => client.text.clone(),
    });
    let real = client.address.map(|_| (REAL_IP, client.text.clone()));
    real.into_iter().chain(chain.map(|chain| (FORWARDED_FOR, chain)))
}

/// Path and query as they go to the app, where that is not what was sent: the canonical form, for a
/// visitor without the parameters that the route strips.
pub(super) fn path_and_query(
    request: &Request<'_>,
    route: &Route,
    has_visitor: bool,
) -> Option<String> {
    let (target, unwanted) = (&request.target, &route.passing.strip_query);
    if has_visitor
        && !unwanted.is_empty()
        && stands(Defence::StripQuery)
        && let Some(rest) = target.query().and_then(|query| query::without(query, unwanted))
    {
        let path = target.path();
        return Some(if rest.is_empty() { path.to_owned() } else { format!("{path}?{rest}") });
    }
    (!target.is_verbatim()).then(|| target.path_and_query().into_owned())
}

/// The canonical Host: the client's own field, where it was canonical.
fn host_field(request: &Request<'_>) -> HeaderValue {
    match request.headers.get(HOST) {
        Some(sent) if request.target.is_spelled(sent.as_bytes()) => sent.clone(),
        _ => plain(&request.target.authority()),
    }
}

/// Hosts, addresses and ids hold printable ASCII only.
fn plain(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("canonical text is printable ASCII")
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
    if !matches!(name.iter().find(|b| **b != b'-'), Some(b'x' | b'f' | b'p' | b'r' | b'c' | b't')) {
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

// === impl App ===

impl App {
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
