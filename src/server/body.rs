//! The bodies that the gateway reads itself: forms and webhooks. Every other body streams through.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Method;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::header::{content_length, target_of};
use crate::config::Config;
use crate::gateway::{Endpoint, LARGEST_FORM, LARGEST_WEBHOOK};
use crate::github;

/// Room for the bodies of webhooks: anybody can send some, and none is believed before its end.
pub(super) struct Room(Arc<Semaphore>);

/// A body, and the room that it takes for as long as it is there.
pub(super) struct Body {
    pub(super) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

/// What is read of a body.
#[derive(Clone, Copy)]
struct Plan {
    largest: usize,
    takes_room: bool,
}

/// For the whole body.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of webhooks in memory at once: sixteen of the largest, thousands of the usual.
const ROOM: usize = 16 * LARGEST_WEBHOOK;

// === impl Room ===

impl Room {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(ROOM)))
    }

    /// The body of one of our own pages, empty for every other request; `None` when it is too
    /// large.
    pub(super) async fn read(
        &self,
        session: &mut Session,
        config: &Config,
    ) -> Result<Option<Body>> {
        let Some(plan) = plan(session, config) else { return Ok(Some(Body::empty())) };
        if content_length(session.req_header()).is_some_and(|n| n > plan.largest as u64) {
            return Ok(None);
        }
        tokio::time::timeout(TIMEOUT, self.read_by(session, plan))
            .await
            .unwrap_or_else(|_| Err(Error::new(ErrorType::ReadTimedout).into_down()))
    }

    async fn read_by(&self, session: &mut Session, plan: Plan) -> Result<Option<Body>> {
        let (mut bytes, mut room) = (BytesMut::new(), None);
        while let Some(chunk) = session.read_request_body().await? {
            if bytes.len() + chunk.len() > plan.largest {
                return Ok(None);
            }
            if plan.takes_room {
                merge(&mut room, self.take(chunk.len()).await);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(Body { bytes: bytes.freeze(), _room: room }))
    }

    /// By what has come and not by what is announced: whoever sends slowly keeps nobody out.
    async fn take(&self, bytes: usize) -> OwnedSemaphorePermit {
        let bytes = u32::try_from(bytes).expect("a chunk is no larger than the largest body");
        self.0.clone().acquire_many_owned(bytes).await.expect("it is never closed")
    }
}

// === impl Body ===

impl Body {
    fn empty() -> Self {
        Self { bytes: Bytes::new(), _room: None }
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

fn merge(room: &mut Option<OwnedSemaphorePermit>, more: OwnedSemaphorePermit) {
    match room {
        Some(room) => room.merge(more),
        None => *room = Some(more),
    }
}
