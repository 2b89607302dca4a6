//! `GET /api/v1/messages/ws`: who has a token when it opens is in it until it closes, from any origin.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, Request, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use ring::digest;
use serde_json::{Value, json};
use tokio::{
    sync::mpsc::{UnboundedSender, unbounded_channel},
    time::{Instant, interval_at},
};

use super::{
    Shared,
    answer::{Answered, error},
    clock::written,
    frame::{self, Frame},
    local,
};
use crate::simulator::{
    record::{Recorded, lock},
    web::text,
    world::random_hex,
};

const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const PING_EVERY: Duration = Duration::from_secs(25);

/// Who is there now. Everybody is in the one conversation.
#[derive(Debug, Default)]
pub(super) struct Hub(Mutex<HashMap<String, UnboundedSender<String>>>);

/// Out of the hub when dropped.
struct Place {
    shared: Arc<Shared>,
    name: String,
}

// === impl Hub ===

impl Hub {
    pub(super) fn count(&self) -> usize {
        lock(&self.0).len()
    }

    fn broadcast(&self, event: &Value) {
        // Who has left already hears nothing.
        lock(&self.0).values().for_each(|to| drop(to.send(event.to_string())));
    }
}

// === impl Place ===

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.shared.hub.0).remove(&self.name);
    }
}

/// Whether the request asks for a WebSocket.
pub(super) fn wanted<B>(request: &Request<B>) -> bool {
    let upgrade = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"))
}

/// Answers 101 and takes part until either side has enough.
pub(super) fn accept(
    shared: &Arc<Shared>,
    request: &Recorded,
    upgrade: Option<OnUpgrade>,
) -> Answered {
    let user = local::authenticate(shared, request)?;
    let (Some(upgrade), Some(key)) = (upgrade, request.header("sec-websocket-key")) else {
        return Err(error(StatusCode::BAD_REQUEST, "Bad Request"));
    };
    let accept = accept_key(key);
    let place = Place { shared: Arc::clone(shared), name: random_hex(8) };
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            // However it ends, the socket is closed then.
            let _ = converse(&place, user.id, TokioIo::new(upgraded)).await;
        }
    });
    let mut reply = text(StatusCode::SWITCHING_PROTOCOLS, "");
    let headers = reply.headers_mut();
    headers.clear();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    let accept = HeaderValue::from_str(&accept).expect("base64 is ASCII");
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok(reply)
}

async fn converse(place: &Place, user: u64, socket: TokioIo<Upgraded>) -> io::Result<()> {
    let (mut from, mut to) = tokio::io::split(socket);
    let (sender, mut events) = unbounded_channel();
    lock(&place.shared.hub.0).insert(place.name.clone(), sender.clone());
    // What is read must not be given up halfway, so it has a task of its own.
    let shared = Arc::clone(&place.shared);
    let (answer, mut answers) = unbounded_channel();
    let reader = tokio::spawn(async move {
        while let Ok(frame) = frame::read(&mut from).await {
            match frame {
                Frame::Text(text) => match event(&shared, user, &text) {
                    Some(event) => shared.hub.broadcast(&event),
                    None if serde_json::from_str::<Value>(&text).is_err() => break,
                    None => {}
                },
                Frame::Ping(bytes) => drop(answer.send(bytes)),
                Frame::Pong => {}
                Frame::Close => break,
            }
        }
    });
    let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => frame::write(&mut to, frame::TEXT, event.as_bytes()).await?,
                None => break,
            },
            bytes = answers.recv() => match bytes {
                Some(bytes) => frame::write(&mut to, frame::PONG, &bytes).await?,
                // The reader has ended, and with it the conversation.
                None => break,
            },
            _ = pings.tick() => frame::write(&mut to, frame::PING, b"").await?,
        }
    }
    reader.abort();
    frame::write(&mut to, frame::CLOSE, b"").await
}

/// What all hear of what one says; `None` for what nobody hears.
fn event(shared: &Shared, user: u64, text: &str) -> Option<Value> {
    let said: Value = serde_json::from_str(text).ok()?;
    let (kind, conversation) = (said["type"].as_str()?, said["conversation_id"].as_u64()?);
    matches!(kind, "typing.started" | "typing.stopped").then(|| {
        json!({
            "type": kind, "conversation_id": conversation,
            "data": { "user_id": user, "conversation_id": conversation },
            "timestamp": written(shared.clock.unix()),
        })
    })
}

fn accept_key(key: &str) -> String {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key.as_bytes());
    context.update(MAGIC.as_bytes());
    STANDARD.encode(context.finish())
}
