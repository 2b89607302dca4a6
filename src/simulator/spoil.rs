//! Applies a [`Trouble`] to an answer that was right.

use std::{io, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use tokio::{sync::mpsc, time::sleep};

use super::{
    trouble::Trouble,
    web::{Reply, full, pipe},
};

const CHUNK: usize = 64 * 1024;

/// Breaks a right answer's body as the trouble says; troubles of other kinds leave it alone.
pub(super) async fn spoil(reply: Reply, trouble: &Trouble) -> Reply {
    let (mut head, body) = reply.into_parts();
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return Response::from_parts(head, full(""));
    };
    let body = match *trouble {
        Trouble::Cut { after } => {
            // Promise more than will come, or nobody could tell that it broke.
            let promised = body.len().max(after + 1);
            head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(promised));
            let (sender, spoiled) = pipe();
            tokio::spawn(cut(sender, body.slice(..after.min(body.len()))));
            spoiled
        }
        Trouble::Stall { after } => {
            head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
            let (sender, spoiled) = pipe();
            tokio::spawn(stall(sender, body.slice(..after.min(body.len()))));
            spoiled
        }
        Trouble::Trickle(every) => {
            head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
            let (sender, spoiled) = pipe();
            tokio::spawn(trickle(sender, body, every));
            spoiled
        }
        Trouble::Huge(bytes) => {
            let (sender, spoiled) = pipe();
            tokio::spawn(fill(sender, bytes));
            spoiled
        }
        _ => full(body),
    };
    Response::from_parts(head, body)
}

/// The answer a test wrote itself.
pub(super) fn verbatim(status: u16, headers: &[(String, String)], body: Bytes) -> Reply {
    let mut reply = Response::new(full(body));
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            reply.headers_mut().append(name, value);
        }
    }
    reply
}

type Sender = mpsc::Sender<io::Result<Bytes>>;

async fn cut(sender: Sender, kept: Bytes) {
    if !kept.is_empty() {
        let _ = sender.send(Ok(kept)).await;
    }
    // What was written so far must leave before the break, or it would be lost with it.
    sleep(Duration::from_millis(20)).await;
    let _ = sender.send(Err(io::Error::other("cut"))).await;
}

/// Keeps the connection until the client gives up.
async fn stall(sender: Sender, kept: Bytes) {
    if !kept.is_empty() {
        let _ = sender.send(Ok(kept)).await;
    }
    sender.closed().await;
}

async fn trickle(sender: Sender, body: Bytes, every: Duration) {
    for at in 0..body.len() {
        if sender.send(Ok(body.slice(at..=at))).await.is_err() {
            return;
        }
        sleep(every).await;
    }
}

/// Sends this many bytes of nothing in particular.
pub(super) async fn fill(sender: Sender, bytes: u64) {
    let chunk = Bytes::from(vec![b' '; CHUNK]);
    let mut left = bytes;
    while left > 0 {
        let size = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        if sender.send(Ok(chunk.slice(..size))).await.is_err() {
            return;
        }
        if bytes != u64::MAX {
            left -= size as u64;
        }
    }
}
