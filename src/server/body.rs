//! The bodies that the gateway reads itself: forms and webhooks. Every other body streams through.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Method;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};

use super::header::{content_length, target_of};
use super::room::{Place, Room};
use crate::config::Config;
use crate::gateway::{Endpoint, LARGEST_FORM, LARGEST_WEBHOOK, RequestClient};
use crate::github;

/// A body, and the room that it takes for as long as it is there.
pub(super) struct Body {
    pub(super) bytes: Bytes,
    _place: Option<Place>,
}

/// What is read of a body.
#[derive(Clone, Copy)]
struct Plan {
    largest: usize,
    takes_room: bool,
}

/// For the first bytes of a body for whose place others wait: they come with the header, or a moment
/// later.
const SOON: Duration = Duration::from_secs(1);

/// For the whole body.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The body of one of our own pages, empty for every other request; `None` when it is too large.
pub(super) async fn read(
    session: &mut Session,
    config: &Config,
    client: &RequestClient,
    room: &Room,
) -> Result<Option<Body>> {
    let Some(plan) = plan(session, config) else { return Ok(Some(Body::empty())) };
    if content_length(session.req_header()).is_some_and(|n| n > plan.largest as u64) {
        return Ok(None);
    }
    if plan.takes_room {
        // Cold, and large: most requests post nothing here.
        return Box::pin(in_time(TIMEOUT, read_in_place(session, plan.largest, client, room)))
            .await;
    }
    let reading = async {
        let first = session.read_request_body().await?;
        collect(session, first, plan.largest).await
    };
    let bytes = in_time(TIMEOUT, reading).await?;
    Ok(bytes.map(|bytes| Body { bytes, _place: None }))
}

/// Takes the room first, and then reads.
async fn read_in_place(
    session: &mut Session,
    largest: usize,
    client: &RequestClient,
    room: &Room,
) -> Result<Option<Body>> {
    let announced = content_length(session.req_header());
    let announced = announced.and_then(|bytes| usize::try_from(bytes).ok());
    let place = room.place_for(client.address, announced, largest).await;
    let reading = async {
        let first = first(session, &place).await?;
        collect(session, first, place.bytes).await
    };
    let bytes = in_time(place.patience, reading).await?;
    Ok(bytes.map(|bytes| Body { bytes, _place: Some(place) }))
}

/// The beginning of a body. Who sends nothing of it makes room for others where there are some.
async fn first(session: &mut Session, place: &Place) -> Result<Option<Bytes>> {
    let chunk = session.read_request_body();
    tokio::pin!(chunk);
    loop {
        match tokio::time::timeout(SOON, &mut chunk).await {
            Ok(chunk) => return chunk,
            Err(_) if place.is_wanted() => return Err(late()),
            Err(_) => {}
        }
    }
}

/// The whole of a body, of which the next chunk is here.
async fn collect(
    session: &mut Session,
    mut chunk: Option<Bytes>,
    largest: usize,
) -> Result<Option<Bytes>> {
    let mut bytes = BytesMut::new();
    while let Some(part) = chunk {
        if bytes.len() + part.len() > largest {
            return Ok(None);
        }
        bytes.extend_from_slice(&part);
        chunk = session.read_request_body().await?;
    }
    Ok(Some(bytes.freeze()))
}

async fn in_time<T>(patience: Duration, reading: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(patience, reading).await.unwrap_or_else(|_| Err(late()))
}

#[expect(clippy::unnecessary_box_returns, reason = "Pingora's errors are boxed")]
fn late() -> Box<Error> {
    Error::new(ErrorType::ReadTimedout).into_down()
}

// === impl Body ===

impl Body {
    fn empty() -> Self {
        Self { bytes: Bytes::new(), _place: None }
    }
}

/// What is read; `None` is nothing, and so for a webhook that carries no signature at all.
fn plan(session: &Session, config: &Config) -> Option<Plan> {
    let head = session.req_header();
    // Most requests post nothing, and need no second look at their target.
    if head.method != Method::POST {
        return None;
    }
    let target = target_of(head).ok()?;
    match Endpoint::of_body(config, &head.method, &target)? {
        Endpoint::Webhook => github::signature(&head.headers)
            .map(|_| Plan { largest: LARGEST_WEBHOOK, takes_room: true }),
        _ => Some(Plan { largest: LARGEST_FORM, takes_room: false }),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use tokio::io::AsyncWriteExt;
    use tokio::time::{Instant, sleep};

    use super::super::duplex::begun;
    use super::*;

    const LENGTH: usize = 25 << 20;
    const HEADER: &str = "POST / HTTP/1.1\r\nhost: a.example\r\ncontent-length: 26214400\r\n\r\n";

    fn sender(n: u8) -> IpAddr {
        IpAddr::from([198, 18, n, 1])
    }

    /// What comes of a body whose first byte is sent after so many seconds, when from then on somebody
    /// waits for its place; and after how many seconds that is known.
    async fn comes(sent: f64, wanted: Option<f64>) -> (bool, u64) {
        let room = Room::new();
        let place = room.place_for(Some(sender(0)), Some(LENGTH), LENGTH).await;
        let (mut session, mut client) = begun(HEADER, 1024).await;
        let sending = async {
            sleep(Duration::from_secs_f64(sent)).await;
            client.write_all(b"x").await.unwrap();
            std::future::pending::<()>().await;
        };
        let waiting = async {
            sleep(Duration::from_secs_f64(wanted.unwrap_or(1000.0))).await;
            drop(room.place_for(Some(sender(0)), Some(LENGTH), LENGTH).await);
        };
        let began = Instant::now();
        let came = tokio::select! {
            biased;
            ((), ()) = async { tokio::join!(sending, waiting) } => unreachable!("one is for ever"),
            came = first(&mut session, &place) => came,
        };
        (came.is_ok(), began.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_nothing_at_first_makes_room_for_who_waits() {
        assert_eq!(comes(0.5, Some(0.0)).await, (true, 0));
        assert_eq!(comes(4.5, None).await, (true, 4), "nobody wants its place");
        assert_eq!(comes(4.5, Some(0.0)).await, (false, 1));
        assert_eq!(comes(4.5, Some(2.5)).await, (false, 3));
    }
}
