//! Answers of our own: written with their length, and what an error of Pingora's means for the client.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, LOCATION};
use http::{Method, Response, StatusCode};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorSource, ErrorType, Result};

use crate::config::Config;
use crate::reason::Reason;
use crate::target::Target;

/// Sends a visitor of a known host to the same address with TLS; `None` for any other host.
pub(super) fn to_https(target: &Target<'_>, config: &Config) -> Option<Response<Bytes>> {
    let host = target.host();
    if host != config.public_url.host() && !config.routes.knows_host(host) {
        return None;
    }
    let port = config.public_url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let url = format!("https://{host}{port}{}", target.path_and_query());
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(LOCATION, http::HeaderValue::from_str(&url).ok()?);
    response.headers_mut().insert(CONTENT_LENGTH, 0.into());
    Some(response)
}

/// Writes an answer of our own. It carries its length, or each redirect would cost a connection.
pub(super) async fn write(session: &mut Session, response: Response<Bytes>) -> Result<()> {
    let (parts, body) = response.into_parts();
    // These have no content, and a length would be that of another answer (RFC 9110 §8.6).
    let is_bare = matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    // As it is: Pingora's map of names as they are spelled would double each field.
    let mut header = ResponseHeader::from(parts);
    if !is_bare && header.headers.get(CONTENT_LENGTH).is_none() {
        header.insert_header(CONTENT_LENGTH, body.len())?;
    }
    let is_empty = body.is_empty() || session.req_header().method == Method::HEAD;
    if !session.as_downstream_mut().is_body_done() {
        // What is left of the body must not be taken for the next request (RFC 9112 §9.3).
        session.set_keepalive(None);
        header.insert_header(CONNECTION, "close")?;
    }
    session.write_response_header(Box::new(header), is_empty).await?;
    if !is_empty {
        session.write_response_body(Some(body), true).await?;
    }
    Ok(())
}

/// What an error means for the client, when nothing better is known.
pub(super) fn reason_of(error: &Error, known: Reason) -> Reason {
    use ErrorType as E;
    match (error.esource(), error.etype()) {
        (_, E::HTTPStatus(413)) => Reason::BodyTooLarge,
        (ErrorSource::Downstream, E::HTTPStatus(_) | E::InvalidHTTPHeader) => Reason::BadHeader,
        (ErrorSource::Downstream, _) => Reason::ClientGone,
        (
            ErrorSource::Upstream,
            E::ConnectTimedout | E::ReadTimedout | E::WriteTimedout | E::TLSHandshakeTimedout,
        ) => Reason::UpstreamTimeout,
        (ErrorSource::Upstream, _) | (_, E::ConnectNoRoute) => Reason::UpstreamUnavailable,
        (_, E::HTTPStatus(400) | E::InvalidHTTPHeader) => Reason::BadHeader,
        _ if known == Reason::Internal => Reason::Internal,
        _ => Reason::UpstreamUnavailable,
    }
}
