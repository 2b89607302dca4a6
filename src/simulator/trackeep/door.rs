//! What every request passes before its route: what is held, what is filtered, what is counted.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::BodyExt as _;
use hyper::upgrade::OnUpgrade;
use serde_json::json;

use super::{
    Shared,
    answer::{json_with, typed},
    route,
};
use crate::simulator::{
    record::{Recorded, lock},
    web::{Reply, full},
    world::random_hex,
};

const MINUTE: Duration = Duration::from_secs(60);
const GENERAL: u32 = 100;
const PASSWORDS: u32 = 5;
/// How long `DragonflyDB` holds an answer.
const HELD: Duration = Duration::from_secs(300);
/// Some of what no value in a query may have in it, whatever it means there.
const MALICIOUS: [&str; 14] = [
    "../",
    "union select",
    "drop table",
    "'--",
    "/*",
    "*/",
    "char(",
    "concat(",
    "<script",
    "javascript:",
    "onload=",
    "onerror=",
    "eval(",
    "$ne",
];

#[derive(Debug, Default)]
pub(super) struct Door {
    general: Mutex<HashMap<String, Window>>,
    passwords: Mutex<HashMap<String, Window>>,
    held: Mutex<HashMap<String, (Duration, Bytes)>>,
}

/// What an address used since a moment.
#[derive(Debug, Default)]
struct Window {
    used: u32,
    until: Duration,
}

/// Answers as the app's middleware and its routes do, in their order.
pub(super) async fn enter(
    shared: &Arc<Shared>,
    request: &Recorded,
    upgrade: Option<OnUpgrade>,
) -> Reply {
    let mut reply = Box::pin(through_memory(shared, request, upgrade)).await;
    if request.header("x-session-id").is_none() {
        put(&mut reply, "x-session-id", &format!("sess_{}_trackeep", random_hex(8)));
    }
    reply
}

async fn through_memory(
    shared: &Arc<Shared>,
    request: &Recorded,
    upgrade: Option<OnUpgrade>,
) -> Reply {
    if request.method == "OPTIONS" {
        return typed(StatusCode::NO_CONTENT, "text/plain", String::new());
    }
    if !held(shared, request) {
        return counted(shared, request, upgrade).await;
    }
    let now = shared.clock.now();
    let kept = lock(&shared.door.held).get(&request.target).cloned();
    if let Some((_, body)) = kept.filter(|(until, _)| now < *until) {
        let mut reply = typed(StatusCode::OK, "application/json", String::new());
        *reply.body_mut() = full(body);
        put(&mut reply, "x-cache", "HIT");
        return reply;
    }
    let (head, body) = counted(shared, request, upgrade).await.into_parts();
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return Reply::from_parts(head, full(""));
    };
    if head.status == StatusCode::OK && !body.is_empty() {
        let entry = (now + HELD, body.clone());
        lock(&shared.door.held).insert(request.target.clone(), entry);
    }
    let mut reply = Reply::from_parts(head, full(body));
    put(&mut reply, "x-cache", "MISS");
    reply
}

/// Whether `DragonflyDB` has to do with it. `Content-Type` and whoever asks are none of its business.
fn held(shared: &Shared, request: &Recorded) -> bool {
    let says = |name| request.header(name).is_some_and(|value| !value.is_empty());
    shared.setting(|of| of.dragonfly)
        && request.method == "GET"
        && !request.path().starts_with("/api/v1/auth/")
        && !says("authorization")
        && !says("cookie")
}

async fn counted(shared: &Arc<Shared>, request: &Recorded, upgrade: Option<OnUpgrade>) -> Reply {
    if let Some((name, _)) = request.query().iter().find(|(_, value)| is_malicious(value)) {
        let body = json!({
            "error": "Invalid input detected", "parameter": name,
            "message": "Query parameter contains potentially malicious content",
        });
        return json_with(StatusCode::BAD_REQUEST, &body);
    }
    if let Some(refused) = exceeded(shared, request, &shared.door.general, GENERAL) {
        return refused;
    }
    if takes_passwords(request)
        && let Some(refused) = exceeded(shared, request, &shared.door.passwords, PASSWORDS)
    {
        return refused;
    }
    route::answer(shared, request, upgrade).await
}

fn takes_passwords(request: &Recorded) -> bool {
    request.method == "POST"
        && matches!(
            request.path().strip_prefix("/api/v1/auth/"),
            Some("register" | "login" | "login-totp" | "password-reset" | "password-reset/confirm")
        )
}

fn is_malicious(value: &str) -> bool {
    let value = value.to_lowercase();
    MALICIOUS.iter().any(|words| value.contains(words))
}

/// The refusal, if its address has had all that it may have in this minute.
fn exceeded(
    shared: &Shared,
    request: &Recorded,
    windows: &Mutex<HashMap<String, Window>>,
    limit: u32,
) -> Option<Reply> {
    if !shared.setting(|of| of.limits) {
        return None;
    }
    let now = shared.clock.now();
    let mut windows = lock(windows);
    let window = windows.entry(client(request)).or_default();
    if now >= window.until {
        *window = Window { used: 0, until: now + MINUTE };
    }
    window.used += 1;
    if window.used <= limit {
        return None;
    }
    let left = window.until.saturating_sub(now).as_secs_f64();
    let mut reply = json_with(
        StatusCode::TOO_MANY_REQUESTS,
        &json!({
            "error": "Rate limit exceeded", "retry_after": left,
            "message": format!("Too many requests. Limit is {limit} per 1m0s"),
        }),
    );
    put(&mut reply, "x-ratelimit-limit", &limit.to_string());
    put(&mut reply, "x-ratelimit-remaining", "0");
    Some(reply)
}

/// The client's address as gin has it by default: every proxy is believed, so it is the left-most that
/// anybody wrote.
fn client(request: &Recorded) -> String {
    let believed = |name: &str| {
        let list: Vec<&str> = request.header(name)?.split(',').map(str::trim).collect();
        let all = list.iter().all(|one| one.parse::<IpAddr>().is_ok());
        all.then(|| list[0].to_owned())
    };
    let found = believed("x-forwarded-for").or_else(|| believed("x-real-ip"));
    found.unwrap_or_else(|| "127.0.0.1".to_owned())
}

fn put(reply: &mut Reply, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).expect("what is put here is plain text");
    reply.headers_mut().insert(HeaderName::from_static(name), value);
}
