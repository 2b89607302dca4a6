//! Forms that change something: proof that they are ours (OWASP ASVS 5.0, 3.5.1).

use super::{LiveSession, Request, forms};
use crate::defence::{Defence, stands};
use crate::origin::Origin;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::ORIGIN;

/// The name of the field that carries the token.
pub(super) const FIELD: &str = "csrf";

/// Fetch Metadata: where the page that asks is (<https://www.w3.org/TR/fetch-metadata/>).
const SITE: &str = "sec-fetch-site";
const DESTINATION: &str = "sec-fetch-dest";
const OWN_SITE: &str = "same-origin";

/// The token for a form of this session.
pub(super) fn token(request: &Request<'_>, live: &LiveSession, purpose: &str) -> String {
    URL_SAFE_NO_PAD.encode(request.config().keys.csrf_token(live.key.as_bytes(), purpose))
}

/// Whether a posted form is ours: the browser does not say that it came from elsewhere, and the
/// form carries the session's token.
pub(super) fn is_ours(request: &Request<'_>, live: &LiveSession, purpose: &str) -> bool {
    !stands(Defence::Csrf) || (is_same_site(request) && has_token(request, live, purpose))
}

/// Whether a request that carries no form may change something: it is not from a page of another
/// origin. Without a word of that it is from no browser, and nobody makes another's program send it.
pub(super) fn may_write(request: &Request<'_>) -> bool {
    !stands(Defence::Csrf) || is_same_site(request)
}

/// Whether the browser, if it is one, says that the request comes from a page of this very origin.
fn is_same_site(request: &Request<'_>) -> bool {
    let mut fetched = request.headers.get_all(SITE).iter();
    fetched.all(|site| site == OWN_SITE) && request.origins_are(&request.here())
}

/// Whether the browser says that the request comes from a page of this very origin: in Fetch
/// Metadata, or by the `Origin` that it sends with every unsafe method; of two signs neither may
/// say otherwise. Silence says nothing.
pub(super) fn is_from_own_page(request: &Request<'_>, own: &Origin) -> bool {
    let sites = || request.headers.get_all(SITE).iter();
    let says_so = request.headers.contains_key(SITE) || request.headers.contains_key(ORIGIN);
    let is_own = says_so && sites().all(|site| site == OWN_SITE) && request.origins_are(own);
    is_own || !stands(Defence::OwnPages)
}

/// Whether a page of another origin has made the browser fetch this for itself, as an image or a frame, and
/// not for the person before it.
pub(super) fn is_fetched_by_another_site(request: &Request<'_>) -> bool {
    let is_foreign =
        request.header(SITE).is_some_and(|site| matches!(site, "cross-site" | "same-site"));
    is_foreign && request.header(DESTINATION).is_some_and(|for_what| for_what != "document")
}

fn has_token(request: &Request<'_>, live: &LiveSession, purpose: &str) -> bool {
    forms::field(&request.body, FIELD).is_some_and(|text| is_token(request, live, purpose, &text))
}

/// Whether a text is this session's token for a purpose.
pub(super) fn is_token(
    request: &Request<'_>,
    live: &LiveSession,
    purpose: &str,
    text: &str,
) -> bool {
    let Ok(token) = URL_SAFE_NO_PAD.decode(text) else { return false };
    request.config().keys.csrf_token_is_good(live.key.as_bytes(), purpose, &token)
}
