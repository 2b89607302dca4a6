//! To GitHub's API and back: the client's body as it comes, and GitHub's answer as it flows.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::{Method, Version};
use http_body_util::channel::Channel;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use tokio::time::timeout;

use super::header::content_length;
use crate::defence::{Defence, stands};
use crate::gateway::{Action, Gateway, Outgoing, Reading, Sending, Snapshot, Streamed};
use crate::github::api::Broken;

/// Bodies up to here are read whole, and can be sent again where a token was just renewed.
const SMALL: u64 = 64 * 1024;

/// For the next part of a body.
const SILENCE: Duration = Duration::from_secs(60);

/// Parts of a body that wait for GitHub to take them.
const AHEAD: usize = 4;

/// Asks GitHub.
pub(super) async fn read(
    session: &mut Session,
    gateway: &Gateway,
    snapshot: &Snapshot,
    reading: Reading,
) -> Result<Action> {
    let is_bodiless = is_bodiless(session);
    let answer = gateway.read_from_github(snapshot, reading);
    // The end of a body that nobody reads cannot be told from the client's.
    if is_bodiless { while_it_waits(session, answer).await } else { Ok(answer.await) }
}

/// Sends a request with its body to GitHub. `None` when the body is larger than the route allows.
pub(super) async fn send(
    session: &mut Session,
    gateway: &Gateway,
    snapshot: &Snapshot,
    sending: Sending,
) -> Result<Option<Action>> {
    let limit = sending.route.body_limit;
    let announced = content_length(session.req_header());
    if announced.is_some_and(|bytes| bytes > limit) {
        return Ok(None);
    }
    invite(session).await?;
    let is_small = announced.is_some_and(|bytes| bytes <= SMALL) || is_bodiless(session);
    if is_small {
        let body = whole(session).await?;
        let answer = gateway.send_to_github(snapshot, sending, Outgoing::Whole(body));
        return while_it_waits(session, answer).await.map(Some);
    }
    flow_up(session, gateway, snapshot, sending, limit).await
}

/// Tells a client that waits for it to go on (RFC 9110 §10.1.1).
async fn invite(session: &mut Session) -> Result<()> {
    let head = session.req_header();
    let waits = head.headers.get(EXPECT).map(http::HeaderValue::as_bytes);
    let is_asked = waits.is_some_and(|what| what.eq_ignore_ascii_case(b"100-continue"));
    if is_asked && head.version == Version::HTTP_11 {
        session.as_downstream_mut().write_continue_response().await?;
    }
    Ok(())
}

/// HTTP/1.1 announces a body (RFC 9112 §6.3); in HTTP/2 it can be seen to have ended.
fn is_bodiless(session: &mut Session) -> bool {
    let head = session.req_header();
    let is_announced =
        [CONTENT_LENGTH, TRANSFER_ENCODING].iter().any(|name| head.headers.contains_key(name));
    let is_known = head.version != Version::HTTP_2;
    (is_known && !is_announced) || session.as_downstream_mut().is_body_done()
}

async fn whole(session: &mut Session) -> Result<Bytes> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = next(session).await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

async fn next(session: &mut Session) -> Result<Option<Bytes>> {
    let silence = |_| Error::new(ErrorType::ReadTimedout).into_down();
    let read = timeout(SILENCE, session.read_request_body()).await.map_err(silence)?;
    read.map_err(Error::into_down)
}

/// Passes the body on as it comes. What breaks off here breaks off there, so that GitHub does not
/// take half of it for the whole.
async fn flow_up(
    session: &mut Session,
    gateway: &Gateway,
    snapshot: &Snapshot,
    sending: Sending,
    limit: u64,
) -> Result<Option<Action>> {
    let (mut parts, body) = Channel::<Bytes, io::Error>::new(AHEAD);
    let body = Outgoing::Stream(reqwest::Body::wrap(body));
    let answer = gateway.send_to_github(snapshot, sending, body);
    tokio::pin!(answer);
    let mut passed = 0;
    loop {
        let chunk = tokio::select! {
            action = &mut answer => return Ok(Some(action)),
            chunk = next(session) => chunk,
        };
        match chunk {
            Ok(Some(chunk)) if passed + chunk.len() as u64 <= limit => {
                passed += chunk.len() as u64;
                tokio::select! {
                    action = &mut answer => return Ok(Some(action)),
                    // Where GitHub wants no more of it, its answer is near.
                    taken = timeout(SILENCE, parts.send_data(chunk)) => {
                        taken.map_err(|_| silent())?.ok();
                    }
                }
            }
            Ok(None) => break,
            Err(_) if !stands(Defence::WholeUploads) => break,
            // Whatever waits at the other end hears that this was not all.
            Ok(Some(_)) => {
                parts.abort(io::ErrorKind::FileTooLarge.into());
                return Ok(None);
            }
            Err(error) => {
                parts.abort(io::ErrorKind::ConnectionAborted.into());
                return Err(error);
            }
        }
    }
    drop(parts);
    let answer = timeout(SILENCE, while_it_waits(session, answer)).await;
    answer.map_err(|_| silent())?.map(Some)
}

/// GitHub takes no more.
#[expect(clippy::unnecessary_box_returns, reason = "Pingora's errors are boxed")]
fn silent() -> Box<Error> {
    Error::new(ErrorType::WriteTimedout).into_up()
}

/// The answer, unless the client leaves before it: then nobody waits for its turn any more.
async fn while_it_waits(
    session: &mut Session,
    answer: impl Future<Output = Action>,
) -> Result<Action> {
    tokio::select! {
        action = answer => Ok(action),
        gone = gone(session) => Err(gone),
    }
}

/// Waits for the client of a request that has ended to leave.
async fn gone(session: &mut Session) -> Box<Error> {
    match session.as_downstream_mut().read_body_or_idle(true).await {
        Err(error) if *error.etype() != ErrorType::ConnectError => error.into_down(),
        // It has begun with its next request, of which a byte is lost now.
        _ => {
            session.set_keepalive(None);
            std::future::pending().await
        }
    }
}

/// Passes GitHub's answer on as it comes, for as long as the visitor may see it.
pub(super) async fn stream(
    session: &mut Session,
    mut streamed: Streamed,
    may_go_on: impl Fn(&Streamed) -> bool,
) -> Result<()> {
    let head = &streamed.head;
    let mut header = ResponseHeader::build(head.status(), Some(head.headers().len() + 1))?;
    for (name, value) in head.headers() {
        header.append_header(name.clone(), value.clone())?;
    }
    match (streamed.flow.length, session.req_header().version) {
        (Some(length), _) => header.insert_header(CONTENT_LENGTH, length)?,
        (None, Version::HTTP_11) => header.insert_header(TRANSFER_ENCODING, "chunked")?,
        (None, Version::HTTP_2) => {}
        // Its end is the connection's.
        (None, _) => session.set_keepalive(None),
    }
    let is_head = session.req_header().method == Method::HEAD;
    session.write_response_header(Box::new(header), is_head).await?;
    if is_head {
        return Ok(());
    }
    let mut next = Some(std::mem::take(&mut streamed.flow.start));
    while let Some(chunk) = next {
        if !may_go_on(&streamed) && stands(Defence::FlowEnds) {
            let ended = Error::explain(ErrorType::ConnectionClosed, "the session is over");
            return Err(ended.into_down());
        }
        // A chunk of no bytes would be the last one (RFC 9112 §7.1).
        if !chunk.is_empty() {
            session.write_response_body(Some(chunk), false).await?;
        }
        next = streamed.flow.chunk().await.map_err(broke_off)?;
    }
    session.write_response_body(None, true).await
}

#[expect(clippy::unnecessary_box_returns, reason = "Pingora's errors are boxed")]
fn broke_off(why: Broken) -> Box<Error> {
    let kind = match why {
        Broken::TimedOut => ErrorType::ReadTimedout,
        Broken::Unreachable | Broken::Cut => ErrorType::ReadError,
    };
    Error::explain(kind, why.to_string()).into_up()
}
