//! The app's hook: webhooks that are really sent, the list of them, and sending them once more.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use http::StatusCode;
use serde_json::{Value, json};
use url::Url;

use super::{
    app::number,
    github::{Shared, Simulator},
    outcome::Outcome,
    record::{Recorded, lock},
    web::{encode, first},
    webhook::Webhook,
    world::World,
};

/// GitHub waits ten seconds for an answer; a test has less patience.
const PATIENCE: Duration = Duration::from_secs(5);
/// A page of the list, and the largest.
const PAGE: usize = 30;
const LARGEST_PAGE: usize = 100;
/// The number of the first delivery.
const FIRST: u64 = 12_345_678;

/// Where webhooks go, and what became of them, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Hook {
    target: Option<Target>,
    sent: Vec<Delivery>,
}

#[derive(Clone, Debug)]
struct Target {
    url: String,
    secret: String,
}

/// One delivery of the hook, as GitHub lists it.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its number: another one each time that the same webhook is sent.
    pub id: u64,
    /// The same each time.
    pub guid: String,
    /// Whether it was sent before.
    pub redelivery: bool,
    /// The status that answered it; 0 is no answer.
    pub status: u16,
    /// What was sent.
    pub webhook: Webhook,
    event: String,
    delivered_at: Duration,
}

// === impl Simulator ===

impl Simulator {
    /// Registers where webhooks go, and the secret that they are signed with. Plain `http` alone.
    pub fn set_hook(&self, url: &str, secret: &str) {
        let target = Target { url: url.to_owned(), secret: secret.to_owned() };
        lock(&self.shared.app.hook).target = Some(target);
    }

    /// Sends a webhook, signed, and waits for the answer. One that nobody answers is listed as
    /// failed and not sent again by itself.
    ///
    /// # Panics
    /// If no hook is registered.
    pub fn deliver(&self, event: &str, payload: Value) -> Delivery {
        let target = lock(&self.shared.app.hook).target.clone().expect("a hook is registered");
        let webhook = self.webhook(event, payload, &target.secret);
        send(&self.shared, &target.url, event, webhook, false)
    }

    /// What was sent so far, the oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        lock(&self.shared.app.hook).sent.clone()
    }
}

/// Answers what is asked below `/app/hook`.
pub(super) fn route(
    shared: &Shared,
    request: &Recorded,
    method: &str,
    path: &[&str],
) -> Result<Outcome, Outcome> {
    match (method, path) {
        ("GET", ["deliveries"]) => Ok(list(shared, request)),
        ("GET", ["deliveries", id]) => {
            let (delivery, url) = find(shared, number(id)?)?;
            Ok(Outcome::fine(in_full(&lock(&shared.world), &delivery, &url)))
        }
        ("POST", ["deliveries", id, "attempts"]) => {
            let (delivery, url) = find(shared, number(id)?)?;
            again(shared, delivery, url);
            Ok(Outcome { status: StatusCode::ACCEPTED, ..Outcome::fine(json!({})) })
        }
        _ => Err(Outcome::not_found()),
    }
}

// === The list ===

/// The newest first; `cursor` is the number before which a page begins.
fn list(shared: &Shared, request: &Recorded) -> Outcome {
    let query = request.query();
    let number = |name| first(&query, name).and_then(|text| text.parse::<u64>().ok());
    let before = number("cursor").unwrap_or(u64::MAX);
    let size = number("per_page").and_then(|size| usize::try_from(size).ok());
    let size = size.filter(|size| *size > 0).unwrap_or(PAGE).min(LARGEST_PAGE);
    let wanted = match first(&query, "status") {
        Some("success") => Some(true),
        Some("failure") => Some(false),
        _ => None,
    };
    let sent = lock(&shared.app.hook).sent.clone();
    let fits = |delivery: &&Delivery| {
        delivery.id < before && wanted.is_none_or(|good| good == delivery.is_fine())
    };
    let mut found: Vec<_> = sent.iter().rev().filter(fits).take(size + 1).collect();
    let more = found.len() > size;
    found.truncate(size);
    let link = found.last().filter(|_| more).map(|last| {
        let kept = query.iter().filter(|(name, _)| name != "cursor");
        let next = encode(kept.chain([&("cursor".to_owned(), last.id.to_string())]));
        format!("<{}{}?{next}>; rel=\"next\"", shared.url, request.path())
    });
    let world = lock(&shared.world);
    Outcome::page(found.iter().map(|delivery| brief(&world, delivery)).collect(), link)
}

fn find(shared: &Shared, id: u64) -> Result<(Delivery, String), Outcome> {
    let hook = lock(&shared.app.hook);
    let found = hook.sent.iter().find(|delivery| delivery.id == id).cloned();
    found.zip(hook.target.as_ref().map(|it| it.url.clone())).ok_or_else(Outcome::not_found)
}

fn brief(world: &World, delivery: &Delivery) -> Value {
    let payload: Value = serde_json::from_slice(&delivery.webhook.body).unwrap_or_default();
    json!({
        "id": delivery.id, "guid": delivery.guid, "event": delivery.event,
        "delivered_at": world.written(delivery.delivered_at), "redelivery": delivery.redelivery,
        "duration": 0.01, "status": delivery.words(), "status_code": delivery.status,
        "action": payload["action"], "installation_id": payload["installation"]["id"],
        "repository_id": payload["repository"]["id"], "throttled_at": null,
    })
}

fn in_full(world: &World, delivery: &Delivery, url: &str) -> Value {
    let mut shown = brief(world, delivery);
    let headers: serde_json::Map<_, _> =
        delivery.webhook.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let payload: Value = serde_json::from_slice(&delivery.webhook.body).unwrap_or_default();
    shown["url"] = json!(url);
    shown["request"] = json!({ "headers": headers, "payload": payload });
    shown["response"] = json!({ "headers": {}, "payload": null });
    shown
}

// === Sending ===

/// Sends the same webhook again, some time after the answer to whoever wishes that.
fn again(shared: &Shared, delivery: Delivery, url: String) {
    let Some(shared) = shared.itself.upgrade() else { return };
    std::thread::spawn(move || send(&shared, &url, &delivery.event, delivery.webhook, true));
}

fn send(
    shared: &Arc<Shared>,
    url: &str,
    event: &str,
    webhook: Webhook,
    redelivery: bool,
) -> Delivery {
    let status = post(url, &webhook).unwrap_or(0);
    let delivered_at = lock(&shared.world).now();
    let guid = webhook.header("x-github-delivery").unwrap_or_default().to_owned();
    let mut hook = lock(&shared.app.hook);
    let id = hook.sent.last().map_or(FIRST, |last| last.id + 1);
    let event = event.to_owned();
    let delivery = Delivery { id, guid, redelivery, status, webhook, event, delivered_at };
    hook.sent.push(delivery.clone());
    delivery
}

/// The status that answers a webhook; `None` is no answer.
fn post(url: &str, webhook: &Webhook) -> Option<u16> {
    let url = Url::parse(url).ok().filter(|url| url.scheme() == "http")?;
    let address = url.socket_addrs(|| None).ok()?.into_iter().next()?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let path = &url[url::Position::BeforePath..];
    let fields: String =
        webhook.headers.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect();
    let length = webhook.body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\n{fields}Content-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), &webhook.body].concat()).ok()?;
    let mut answer = Vec::new();
    // Whoever closes early has said its status already.
    let _ = stream.take(64 * 1024).read_to_end(&mut answer);
    let line = String::from_utf8_lossy(&answer);
    line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

// === impl Delivery ===

impl Delivery {
    fn is_fine(&self) -> bool {
        (200..400).contains(&self.status)
    }

    fn words(&self) -> String {
        let known = StatusCode::from_u16(self.status).ok();
        let words = known.and_then(|status| status.canonical_reason());
        words.unwrap_or("failed to connect to host").to_owned()
    }
}
