//! Operators' commands: for whoever has the master secret, and so the token that is made of it.
//!
//! Whoever reaches this listener by way of a browser, from whatever page, has no token.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Shared;
use super::budgets::budget;
use super::reply::{Refusal, done};
use crate::defence::{Defence, stands};
use crate::gateway::{OperateError, Snapshot};
use crate::identity::UserPattern;
use crate::keys::{KeyInfo, KeyState, Keys};
use crate::session::SessionKey;
use crate::store::{Listed, RekeyPlace, Rekeyed};

/// What operators ask for.
#[derive(Clone, Copy)]
pub(super) enum Command {
    Sessions,
    Revoke,
    Keys,
    Rotate,
    Rekey,
    Budgets,
}

/// `POST /sessions/revoke`: one of both.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoke {
    user: Option<String>,
    session: Option<SessionKey>,
}

/// `POST /keys/rotate`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotate {
    #[serde(default)]
    at_once: bool,
}

/// `POST /rekey`: nothing to begin, and then what was answered as `next`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    table: Option<String>,
    from: Option<String>,
}

/// The longest body.
const LARGEST: usize = 4096;

/// For the body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

// === impl Command ===

impl Command {
    /// What is asked for at a path.
    pub(super) fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/sessions" => Self::Sessions,
            "/sessions/revoke" => Self::Revoke,
            "/keys" => Self::Keys,
            "/keys/rotate" => Self::Rotate,
            "/rekey" => Self::Rekey,
            "/github/budgets" => Self::Budgets,
            _ => return None,
        })
    }

    /// Only POST changes anything.
    fn method(self) -> Method {
        match self {
            Self::Sessions | Self::Keys | Self::Budgets => Method::GET,
            Self::Revoke | Self::Rotate | Self::Rekey => Method::POST,
        }
    }

    pub(super) async fn answer(
        self,
        shared: &Arc<Shared>,
        request: Request<Incoming>,
    ) -> Response<Full<Bytes>> {
        let shared = shared.clone();
        // A task of its own: whoever asked may go away, and what was begun is finished.
        let task = tokio::spawn(async move { self.carry_out(&shared, request).await });
        match task.await.expect("a command does not panic") {
            Ok(value) => done(&value),
            Err(refusal) => refusal.response(),
        }
    }

    async fn carry_out(
        self,
        shared: &Shared,
        request: Request<Incoming>,
    ) -> Result<Value, Refusal> {
        let running = shared.running.load_full();
        let snapshot = &running.snapshot;
        let own = &snapshot.config.keys;
        if !is_permitted(request.headers(), own) {
            return Err(Refusal::Token);
        }
        if *request.method() != self.method() {
            return Err(Refusal::Method(self.method()));
        }
        match self {
            Self::Sessions => {
                let user = user(&asked_for(request.uri().query().unwrap_or_default())?)?;
                let listed = shared.gateway.sessions_of(snapshot, &user).await?;
                Ok(listed.iter().map(session).collect())
            }
            Self::Revoke => revoke(shared, snapshot, body(request).await?).await,
            Self::Keys => Ok(keys(shared)?),
            Self::Budgets => Ok(shared.gateway.github_budgets().iter().map(budget).collect()),
            Self::Rotate => {
                let Rotate { at_once } = body(request).await?;
                let rotation = shared.gateway.rotate_keys(snapshot, at_once).await?;
                Ok(json!({
                    "rotated": rotation.is_ours,
                    "announced": rotation.is_announced,
                    "keys": keys(shared)?,
                }))
            }
            Self::Rekey => {
                if !token(request.headers()).is_some_and(|token| own.admin_token_is_first(token)) {
                    return Err(Refusal::OtherMaster);
                }
                let place = place(body(request).await?)?;
                Ok(rekeyed(&shared.gateway.rekey(snapshot, &place).await?))
            }
        }
    }
}

/// Whether the request carries the token.
fn is_permitted(headers: &HeaderMap, keys: &Keys) -> bool {
    !stands(Defence::AdminToken)
        || token(headers).is_some_and(|token| keys.admin_token_is_good(token))
}

/// The token that the request carries, once.
fn token(headers: &HeaderMap) -> Option<&[u8]> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return None };
    let (scheme, token) = field.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

/// Reads a body; an empty one is an empty object.
async fn body<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Refusal> {
    let read = Limited::new(request.into_body(), LARGEST).collect();
    let read = tokio::time::timeout(BODY_TIMEOUT, read).await.map_err(|_| Refusal::TooSlow)?;
    let bytes = read
        .map_err(|error| {
            if error.is::<LengthLimitError>() {
                Refusal::TooLong
            } else {
                Refusal::Nonsense("the body could not be read".to_owned())
            }
        })?
        .to_bytes();
    let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    serde_json::from_slice(text)
        .map_err(|error| Refusal::Nonsense(format!("the body is not what is taken here: {error}")))
}

/// The account that a query names, and nothing else.
fn asked_for(query: &str) -> Result<String, Refusal> {
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    match (pairs.next(), pairs.next()) {
        (Some((name, user)), None) if name == "user" => Ok(user.into_owned()),
        _ => Err(Refusal::Nonsense("ask with `?user=octocat` or `?user=id:583231`".to_owned())),
    }
}

fn user(text: &str) -> Result<UserPattern, Refusal> {
    text.parse().map_err(|error: crate::identity::NameError| Refusal::Nonsense(error.to_string()))
}

async fn revoke(shared: &Shared, snapshot: &Snapshot, what: Revoke) -> Result<Value, Refusal> {
    let ended = match what {
        Revoke { user: Some(text), session: None } => {
            shared.gateway.end_sessions_of(snapshot, &user(&text)?).await?
        }
        Revoke { user: None, session: Some(key) } => {
            shared.gateway.end_one_session(snapshot, key).await?;
            1
        }
        _ => {
            let why = "name either a `user` or a `session`; nothing was done";
            return Err(Refusal::Nonsense(why.to_owned()));
        }
    };
    Ok(json!({ "ended": ended }))
}

fn keys(shared: &Shared) -> Result<Value, OperateError> {
    Ok(shared.gateway.key_list()?.iter().map(key).collect())
}

fn place(page: Page) -> Result<RekeyPlace, Refusal> {
    let bad = || {
        let why = "begin without `table` and `from`, and go on with what was answered as `next`";
        Refusal::Nonsense(why.to_owned())
    };
    let from = page.from.map(|text| URL_SAFE_NO_PAD.decode(text)).transpose().map_err(|_| bad())?;
    match page.table {
        Some(table) => RekeyPlace::new(&table, from).ok_or_else(bad),
        None if from.is_none() => Ok(RekeyPlace::default()),
        None => Err(bad()),
    }
}

// === As JSON ===

fn session(listed: &Listed) -> Value {
    let session = &listed.session;
    let mut json = json!({
        "key": listed.key,
        "device": session.device,
        "from": session.from,
        "created": session.created,
        "seen": listed.seen,
        "expires": session.expires,
    });
    if let Some(terms) = &session.api_key {
        json["api_key"] = json!({ "name": terms.name, "routes": terms.routes });
        if let Some(instance) = &terms.instance {
            json["api_key"]["instance"] = json!(instance);
        }
    }
    json
}

fn key(key: &KeyInfo) -> Value {
    let state = match key.state {
        KeyState::Coming => "coming",
        KeyState::Signing => "signing",
        KeyState::Retiring => "retiring",
    };
    json!({
        "kid": key.kid,
        "state": state,
        "made": key.made,
        "active_from": key.active_from,
        "gone_at": key.gone_at,
    })
}

fn rekeyed(done: &Rekeyed) -> Value {
    let next = done.next.as_ref().map(|place| {
        json!({ "table": place.table(), "from": place.from().map(|from| URL_SAFE_NO_PAD.encode(from)) })
    });
    json!({ "resealed": done.resealed, "skipped": done.skipped, "next": next })
}
