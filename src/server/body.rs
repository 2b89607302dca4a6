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
    let bytes = in_time(TIMEOUT, collect(session, plan.largest)).await?;
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
    let bytes = in_time(place.patience, collect(session, place.bytes)).await?;
    Ok(bytes.map(|bytes| Body { bytes, _place: Some(place) }))
}

async fn collect(session: &mut Session, largest: usize) -> Result<Option<Bytes>> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = session.read_request_body().await? {
        if bytes.len() + chunk.len() > largest {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes.freeze()))
}

async fn in_time<T>(patience: Duration, reading: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(patience, reading)
        .await
        .unwrap_or_else(|_| Err(Error::new(ErrorType::ReadTimedout).into_down()))
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
