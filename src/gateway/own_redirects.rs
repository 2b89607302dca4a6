//! Redirects of an app that may lead to the route's own origin alone: what a link, a cookie or the
//! page before could make of them is judged before the app sees it, and the app's answer after.

use http::header::{ORIGIN, REFERER};

use super::Request;
use crate::cookie;
use crate::defence::{Defence, stands};
use crate::origin::Origin;
use crate::return_to::{leads_home, stays_at};
use crate::route::OwnRedirects;
use crate::target::query;

// === impl OwnRedirects ===

impl OwnRedirects {
    /// Whether every parameter that says where to go says the route's own origin. One that is empty
    /// says nothing.
    pub(super) fn are_asked_for(&self, request: &Request<'_>, own: &Origin) -> bool {
        let query = request.target.query().unwrap_or_default();
        let values = self.parameters.iter().flat_map(|name| query::values(query, name));
        let mut foreign = values.filter(|value| !value.is_empty() && !stays_at(value, own));
        foreign.next().is_none() || !stands(Defence::OwnRedirects)
    }

    /// Whether a cookie may pass: another one, or one that leads to the route's own origin.
    pub(super) fn takes_cookie(&self, name: &[u8], value: &[u8], own: &Origin) -> bool {
        let is_watched =
            self.cookies.iter().any(|watched| name.eq_ignore_ascii_case(watched.as_bytes()));
        !is_watched || leads_to(value, own) || !stands(Defence::OwnRedirects)
    }

    /// Whether the page before is of another origin: apps go back there where nothing else is said.
    pub(super) fn come_from_elsewhere(request: &Request<'_>, own: &Origin) -> bool {
        let referers = request.headers.get_all(REFERER).iter();
        let mut referers = referers.map(|referer| referer.to_str().unwrap_or("?"));
        let is_own = referers.all(|referer| stays_at(referer, own)) && request.origins_are(own);
        let says_so = [ORIGIN, REFERER].iter().any(|name| request.headers.contains_key(name));
        says_so && !is_own && stands(Defence::OwnRedirects)
    }
}

/// Whether the value of a cookie, once its escapes are read, is an address at this origin.
fn leads_to(value: &[u8], own: &Origin) -> bool {
    let Ok(value) = std::str::from_utf8(value) else { return false };
    // As one name of a form, so that nothing in it is taken for an end.
    let name = value.replace('=', "%3D").replace('&', "%26");
    let address = url::form_urlencoded::parse(name.as_bytes()).next();
    address.is_none_or(|(address, _)| stays_at(&address, own))
}

/// Whether the head of an answer sends the browser to another origin.
pub fn leads_away(headers: &http::HeaderMap, own: &Origin) -> bool {
    let mut locations = headers.get_all(http::header::LOCATION).iter();
    let stays = locations.all(|location| leads_home(location.as_bytes(), own));
    (!stays || headers.contains_key(http::header::REFRESH)) && stands(Defence::OwnRedirects)
}

/// The cookies for an app, without those that would send its visitors elsewhere.
pub(super) fn cookies(
    request: &Request<'_>,
    redirects: Option<(&OwnRedirects, &Origin)>,
) -> Option<http::HeaderValue> {
    cookie::for_upstream(request.headers, |name, value| {
        redirects.is_none_or(|(redirects, own)| redirects.takes_cookie(name, value, own))
    })
}
