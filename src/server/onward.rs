//! To GitHub's API and back: the client's body as it comes, and GitHub's answer as it flows.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::{Method, Version};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use tokio::time::timeout;

use super::answer::{PART, ended, write_part};
use super::header::content_length;
use super::pace::Pace;
use super::upload::Upload;
use crate::defence::{Defence, stands};
use crate::gateway::{Action, Gateway, Outgoing, Reading, Sending, Snapshot, Streamed, Visitor};
use crate::github::api::{BodyPlace, Broken};

/// Bodies up to here are read whole, and can be sent again where a token was just renewed. Nearly all of
/// what is no file for GitHub.
const SMALL: u64 = 1 << 20;

/// For GitHub to take the next part of a body.
const SILENCE: Duration = Duration::from_secs(60);

/// The beginning of a body, or all of it.
struct Begun<'g> {
    bytes: BytesMut,
    place: BodyPlace<'g>,
    pace: Pace,
    is_all: bool,
}

// === impl Begun ===

impl<'g> Begun<'g> {
    fn new(place: BodyPlace<'g>, is_all: bool) -> Self {
        Self { bytes: BytesMut::new(), place, pace: Pace::new(), is_all }
    }

    /// Takes what came next, `None` where nothing comes any more; whether there was room for it.
    #[must_use]
    fn take(&mut self, chunk: Option<Bytes>) -> bool {
        self.is_all = chunk.is_none();
        let chunk = chunk.unwrap_or_default();
        let has_room = self.place.grow(chunk.len());
        self.bytes.extend_from_slice(&chunk);
        has_room
    }
}

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
///
/// What is small is read to its end before GitHub's turn is waited for: a place there is held while
/// GitHub works, and not while a client takes its time.
pub(super) async fn send(
    session: &mut Session,
    gateway: &Gateway,
    snapshot: &Snapshot,
    sending: Sending,
    may_go_on: impl Fn(&Visitor) -> bool,
) -> Result<Option<Action>> {
    let limit = sending.route.body_limit;
    let announced = content_length(session.req_header());
    if announced.is_some_and(|bytes| bytes > limit) {
        return Ok(None);
    }
    invite(session).await?;
    let mut begun = Begun::new(gateway.place_for_body(&sending), is_bodiless(session));
    while !begun.is_all && announced.unwrap_or(begun.bytes.len() as u64) <= SMALL {
        let chunk = next(session, &mut begun.pace).await?;
        if !may_go_on(&sending.visitor) && stands(Defence::FlowEnds) {
            return Err(ended());
        }
        if !begun.take(chunk) {
            return Ok(Some(gateway.has_no_room(sending)));
        }
        if begun.bytes.len() as u64 > limit {
            return Ok(None);
        }
    }
    if begun.is_all {
        let (bytes, _place) = (begun.bytes.freeze(), begun.place);
        let answer = gateway.send_to_github(snapshot, sending, Outgoing::Whole(bytes));
        return while_it_waits(session, answer).await.map(Some);
    }
    flow_up(session, gateway, snapshot, sending, begun, may_go_on).await
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

async fn next(session: &mut Session, pace: &mut Pace) -> Result<Option<Bytes>> {
    let read = pace.wait(session.read_request_body()).await;
    let silence = || Err(Error::new(ErrorType::ReadTimedout));
    let chunk = read.unwrap_or_else(silence).map_err(Error::into_down)?;
    pace.moved(chunk.as_ref().map_or(0, Bytes::len));
    Ok(chunk)
}

/// Passes the body on as it comes, for as long as the visitor may send it. What breaks off here breaks
/// off there.
async fn flow_up(
    session: &mut Session,
    gateway: &Gateway,
    snapshot: &Snapshot,
    sending: Sending,
    begun: Begun<'_>,
    may_go_on: impl Fn(&Visitor) -> bool,
) -> Result<Option<Action>> {
    let (limit, visitor) = (sending.route.body_limit, sending.visitor.clone());
    let Begun { bytes, mut pace, place, .. } = begun;
    let (mut passed, mut start) = (bytes.len() as u64, bytes.freeze());
    let (upload, body) = Upload::new();
    let answer = gateway.send_to_github(snapshot, sending, body);
    tokio::pin!(answer);
    // Let go before the answer is: what waits at the other end hears first that this was not all.
    let mut upload = upload;
    while !start.is_empty() {
        let part = start.split_to(start.len().min(PART));
        tokio::select! {
            action = &mut answer => return Ok(Some(action)),
            taken = timeout(SILENCE, upload.pass(part)) => taken.map_err(|_| silent())?,
        }
    }
    drop((start, place));
    loop {
        let chunk = tokio::select! {
            action = &mut answer => return Ok(Some(action)),
            chunk = next(session, &mut pace) => chunk,
        };
        let chunk = match chunk {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(_) if !stands(Defence::WholeUploads) => {
                upload.end();
                return Ok(Some(answer.await));
            }
            Err(error) => return Err(error),
        };
        passed += chunk.len() as u64;
        if passed > limit {
            return Ok(None);
        }
        if !may_go_on(&visitor) && stands(Defence::FlowEnds) {
            return Err(ended());
        }
        tokio::select! {
            action = &mut answer => return Ok(Some(action)),
            taken = timeout(SILENCE, upload.pass(chunk)) => taken.map_err(|_| silent())?,
        }
    }
    upload.end();
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
    may_go_on: impl Fn(&Visitor) -> bool,
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
    let (mut pace, mut next) = (Pace::new(), Some(std::mem::take(&mut streamed.flow.start)));
    while let Some(mut chunk) = next {
        // A part of no bytes would be the last one (RFC 9112 §7.1).
        while !chunk.is_empty() {
            if !may_go_on(&streamed.visitor) && stands(Defence::FlowEnds) {
                return Err(ended());
            }
            let part = chunk.split_to(chunk.len().min(PART));
            write_part(session, part, &mut pace).await?;
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

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::time::{Instant, sleep};

    use super::super::duplex::begun;
    use super::*;

    const ALL: usize = 1 << 20;

    /// Reads a body of which so much comes each second: how much of it is here at the end, and when.
    async fn read(each: usize) -> (Result<usize>, Duration) {
        let header = format!("POST / HTTP/1.1\r\nhost: a.example\r\ncontent-length: {ALL}\r\n\r\n");
        let (mut session, mut client) = begun(&header, ALL).await;
        let began = Instant::now();
        let trickle = tokio::spawn(async move {
            for _ in 0..ALL.div_ceil(each) {
                sleep(Duration::from_secs(1)).await;
                client.write_all(&vec![b'x'; each]).await.unwrap();
            }
        });
        let (mut pace, mut bytes) = (Pace::new(), 0);
        let outcome = loop {
            match next(&mut session, &mut pace).await {
                Ok(Some(chunk)) => bytes += chunk.len(),
                Ok(None) => break Ok(bytes),
                Err(error) => break Err(error),
            }
        };
        trickle.abort();
        (outcome, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_next_to_nothing_is_cut_off_and_a_slow_line_sends_it_whole() {
        let (outcome, took) = read(1 << 10).await;
        assert_eq!(*outcome.unwrap_err().etype(), ErrorType::ReadTimedout);
        assert!(took < Duration::from_secs(100), "{took:?}");
        let (outcome, took) = read(8 << 10).await;
        assert_eq!(outcome.unwrap(), ALL);
        assert!(took > Duration::from_secs(120), "{took:?}");
    }
}
