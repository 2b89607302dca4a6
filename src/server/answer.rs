//! Answers of our own: written with their length, and what an error of Pingora's means for the client.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Method, Response, StatusCode};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorSource, ErrorType, Result};

use super::pace::Pace;
use crate::config::Config;
use crate::defence::{Defence, stands};
use crate::reason::Reason;
use crate::target::Target;

/// Parts of an answer are no larger, so that each is soon written where anything is.
pub(super) const PART: usize = 64 * 1024;

/// Sends a visitor of a known host to the same address with TLS; `None` for any other host.
pub(super) fn to_https(target: &Target<'_>, config: &Config) -> Option<Response<Bytes>> {
    let host = target.host();
    if !config.serves(host) {
        return None;
    }
    let port = config.public_url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let url = format!("https://{host}{port}{}", target.path_and_query());
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(LOCATION, HeaderValue::from_str(&url).ok()?);
    response.headers_mut().insert(CONTENT_LENGTH, 0.into());
    Some(response)
}

/// Tells browsers how to treat an answer of our own, where it does not say so itself: that it is what it
/// says, in no frame, in no cache, and that nobody is told whose page it was.
pub(super) fn guarded(mut response: Response<Bytes>, config: &Config) -> Response<Bytes> {
    if !stands(Defence::OwnFields) {
        return response;
    }
    let headers = response.headers_mut();
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if config.public_url.is_secure() {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(A_YEAR_OF_TLS));
    }
    response
}

/// For this host alone: of those below it, and of lists in browsers, the operator decides.
/// <https://www.rfc-editor.org/rfc/rfc6797#section-6.1>
const A_YEAR_OF_TLS: &str = "max-age=31536000";

/// Writes an answer of our own, for as long as whom it is for may have it. It carries its length, or
/// each redirect would cost a connection.
pub(super) async fn write(
    session: &mut Session,
    response: Response<Bytes>,
    may_go_on: impl Fn() -> bool,
) -> Result<()> {
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
    if body.len() > PART && !is_empty {
        // Boxed, for few answers are that large, and each request would be larger for them.
        Box::pin(write_in_parts(session, body, may_go_on)).await?;
    } else if !is_empty {
        session.write_response_body(Some(body), true).await?;
    }
    Ok(())
}

/// Writes a body that does not fit into the sockets: it is in memory until the client has taken it.
async fn write_in_parts(
    session: &mut Session,
    mut body: Bytes,
    may_go_on: impl Fn() -> bool,
) -> Result<()> {
    let mut pace = Pace::new();
    while !body.is_empty() {
        if !may_go_on() && stands(Defence::FlowEnds) {
            return Err(ended());
        }
        let part = body.split_to(body.len().min(PART));
        write_part(session, part, &mut pace).await?;
    }
    session.write_response_body(None, true).await
}

/// Writes a part of a body, for which the client has only so much time.
pub(super) async fn write_part(session: &mut Session, part: Bytes, pace: &mut Pace) -> Result<()> {
    let bytes = part.len();
    let written = pace.wait(session.write_response_body(Some(part), false)).await;
    written.unwrap_or_else(|| Err(Error::new(ErrorType::WriteTimedout).into_down()))?;
    pace.moved(bytes);
    Ok(())
}

/// The session was over before what was written for it.
#[expect(clippy::unnecessary_box_returns, reason = "Pingora's errors are boxed")]
pub(super) fn ended() -> Box<Error> {
    Error::explain(ErrorType::ConnectionClosed, "the session is over").into_down()
}

/// What an error means for the client, when nothing better is known.
pub(super) fn reason_of(error: &Error, known: Reason) -> Reason {
    use ErrorType as E;
    match (error.esource(), error.etype()) {
        _ if known == Reason::RedirectedAway => known,
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, DuplexStream};
    use tokio::time::{Instant, sleep};

    use super::super::duplex::begun;
    use super::*;

    const HEADER: &str = "GET / HTTP/1.1\r\nhost: a.example\r\n\r\n";
    const KIB: usize = 1 << 10;
    const LARGE: usize = 1 << 20;

    /// Reads so much each second, for as long as something comes; says how much came.
    async fn read(mut client: DuplexStream, bytes: usize) -> usize {
        let (mut all, mut part) = (0, vec![0; bytes]);
        loop {
            sleep(Duration::from_secs(1)).await;
            match client.read(&mut part).await {
                Ok(0) | Err(_) => return all,
                Ok(came) => all += came,
            }
        }
    }

    fn large() -> Response<Bytes> {
        Response::new(vec![b'x'; LARGE].into())
    }

    /// Writes a whole answer to a client that takes so much each second: how that ends, when, and how
    /// much has come by then.
    async fn written(bytes: usize) -> (Result<()>, Duration, usize) {
        let (mut session, client) = begun(HEADER, bytes).await;
        let (client, began) = (tokio::spawn(read(client, bytes)), Instant::now());
        let outcome = write(&mut session, large(), || true).await;
        let took = began.elapsed();
        drop(session);
        (outcome, took, client.await.unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_of_a_whole_answer_is_cut_off() {
        let ((mut session, client), began) = (begun(HEADER, KIB).await, Instant::now());
        let error = write(&mut session, large(), || true).await.unwrap_err();
        assert_eq!(*error.etype(), ErrorType::WriteTimedout);
        assert_eq!(began.elapsed().as_secs(), 60);
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_next_to_nothing_is_cut_off_and_a_slow_line_gets_it_whole() {
        let (outcome, took, came) = written(KIB).await;
        assert_eq!(*outcome.unwrap_err().etype(), ErrorType::WriteTimedout);
        assert!(took < Duration::from_secs(100) && came < 200 * KIB, "{took:?} for {came} bytes");
        let (outcome, took, came) = written(16 * KIB).await;
        outcome.unwrap();
        assert!(came > LARGE && took > Duration::from_secs(60), "{took:?} for {came} bytes");
    }
    #[tokio::test(start_paused = true)]
    async fn what_is_long_ends_with_the_session_that_it_is_for() {
        for lasts in [3, 100] {
            let (mut session, client) = begun(HEADER, LARGE).await;
            let client = tokio::spawn(read(client, LARGE));
            let asked = AtomicUsize::new(0);
            let may_go_on = || asked.fetch_add(1, Ordering::Relaxed) < lasts;
            let outcome = write(&mut session, large(), may_go_on).await;
            drop(session);
            let came = client.await.unwrap();
            if lasts == 3 {
                assert_eq!(*outcome.unwrap_err().etype(), ErrorType::ConnectionClosed);
                assert!((3 * PART..4 * PART).contains(&came), "{came} bytes");
            } else {
                outcome.unwrap();
                assert!(came > LARGE, "{came} bytes");
            }
        }
    }
}
