//! What passes between a client and GitHub's API, in both directions, and under which address.
//!
//! A call finds its place ([`placement`]), is judged by its path ([`permitted`]), and goes out with
//! the few fields that GitHub should see ([`request`]). What comes back loses the fields that speak
//! for GitHub's own site ([`response`]), gets its links turned towards the gateway ([`rewrite`]),
//! and carries the gateway's own validator ([`tag`]) and its account of the cache
//! ([`cache_status`]). [`cors`] says which pages of other origins may ask. Nothing here does I/O.

use http::HeaderMap;
use http::header::{CONNECTION, HeaderName};

pub mod cache_status;
pub mod cors;
pub mod permitted;
pub mod placement;
pub mod request;
pub mod response;
pub mod rewrite;
pub mod tag;

/// Fields that speak for one connection alone (RFC 9110 §7.6.1, and RFC 2616 §13.5.1 for the ones
/// that nobody lists in `Connection` any more).
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether a field ends here: by its name, or because `Connection` names it.
fn is_hop_by_hop(headers: &HeaderMap, name: &HeaderName) -> bool {
    let listed =
        |list: &str| list.split(',').any(|word| word.trim().eq_ignore_ascii_case(name.as_str()));
    HOP_BY_HOP.contains(&name.as_str())
        || headers.get_all(CONNECTION).iter().filter_map(|list| list.to_str().ok()).any(listed)
}
