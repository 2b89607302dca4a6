//! A request's header before the gateway sees it: within its limits, and its target canonical.

use http::Method;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use pingora::http::RequestHeader;

use crate::config::Limits;
use crate::reason::Reason;
use crate::target::{Ambiguity, Target};

/// Refuses what breaks the limits, and methods that are none.
pub(super) fn check_header(head: &RequestHeader, limits: &Limits) -> Result<(), Reason> {
    let mut bytes = head.raw_path().len();
    let mut fields = 0;
    for (name, value) in &head.headers {
        bytes += name.as_str().len() + value.len() + 4;
        fields += 1;
    }
    if bytes > limits.header_bytes || fields > limits.header_fields {
        return Err(Reason::BadHeader);
    }
    // Lists and repetitions of one length are one to us and something else to others.
    let mut lengths = head.headers.get_all(CONTENT_LENGTH).iter();
    let is_number = |value: &http::HeaderValue| value.as_bytes().iter().all(u8::is_ascii_digit);
    if !lengths.next().is_none_or(is_number) || lengths.next().is_some() {
        return Err(Reason::BadHeader);
    }
    // `get` and `GET` are two methods; an upstream that takes them for one would get around rules.
    let method = head.method.as_str();
    let is_plain = method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
    if !is_plain || matches!(head.method, Method::TRACE | Method::CONNECT) {
        return Err(Reason::BadMethod);
    }
    Ok(())
}

/// The canonical target, from HTTP/1.1's request line or HTTP/2's pseudo-header fields.
pub(super) fn target_of(head: &RequestHeader) -> Result<Target<'_>, Ambiguity> {
    let hosts = head.headers.get_all(HOST).iter().map(http::HeaderValue::as_bytes);
    let is_h2 = head.version == http::Version::HTTP_2;
    if is_h2 {
        let path = head.uri.path_and_query().map_or("/", |target| target.as_str());
        Target::parse(
            path.as_bytes(),
            hosts,
            head.uri.authority().map(http::uri::Authority::as_str),
        )
    } else {
        Target::parse(head.raw_path(), hosts, None)
    }
}

/// Whether a body may follow. HTTP/2 does not announce it.
pub(super) fn has_body(head: &RequestHeader) -> bool {
    let announced = [CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE];
    head.version == http::Version::HTTP_2
        || announced.iter().any(|name| head.headers.contains_key(name))
}

/// Whether it wants to become a WebSocket and is forwarded as such: what Pingora looks at.
pub(super) fn asks_for_websocket(head: &RequestHeader) -> bool {
    let upgrade = head.headers.get(UPGRADE).map(http::HeaderValue::as_bytes);
    head.version == http::Version::HTTP_11
        && upgrade.is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"))
}

/// The length that the client announces.
pub(super) fn content_length(head: &RequestHeader) -> Option<u64> {
    head.headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}
