//! Answers that come in pieces: events, and bodies of any size.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use tokio::sync::mpsc;

use super::Shared;
use crate::simulator::{
    spoil::fill,
    web::{Reply, pipe, reply},
};

/// Counts a stream as open as long as it lives.
pub(super) struct Open(Arc<Shared>);

// === impl Open ===

impl Open {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        shared.streams.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::SeqCst);
    }
}

/// This many events, one chunk each, at once; then silence until the client leaves.
pub(super) fn events(shared: &Arc<Shared>, count: u64) -> Reply {
    let (sender, body) = pipe();
    tokio::spawn(send_events(sender, count, Open::new(shared)));
    reply(StatusCode::OK, "text/event-stream", body)
}

async fn send_events(sender: mpsc::Sender<io::Result<Bytes>>, count: u64, _open: Open) {
    for number in 1..=count {
        let event = format!("id: {number}\nevent: tick\ndata: event {number} of {count}\n\n");
        if sender.send(Ok(event.into())).await.is_err() {
            return;
        }
        // The connection's turn: what was sent leaves before the next one comes.
        tokio::task::yield_now().await;
    }
    sender.closed().await;
}

/// This many bytes, with their number announced or in chunks.
pub(super) fn big(bytes: u64, chunked: bool) -> Reply {
    let (sender, body) = pipe();
    tokio::spawn(fill(sender, bytes));
    let mut reply = reply(StatusCode::OK, "application/octet-stream", body);
    if !chunked && bytes != u64::MAX {
        reply.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    }
    reply
}
