//! One request to GitHub and its answer, bounded in time and in what is held of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use reqwest::redirect::Policy;
use reqwest::{Body, ClientBuilder, Response};
use tokio::sync::oneshot;

use crate::github::GitHubError;
use crate::github::budgets::STREAMS;
use crate::github::client::trusting;

#[cfg(test)]
mod tests;

/// The connections to GitHub's API, apart from those for sign-ins: a stream of 300 MB is none of
/// their business.
#[derive(Clone)]
pub struct Exchange(reqwest::Client);

/// The connections in force. A configuration that trusts the same certificates keeps them.
#[derive(Default)]
pub(super) struct Exchanges(Mutex<Option<(Trusted, Exchange)>>);

/// Certificates in PEM; `None` is the system's.
type Trusted = Option<Arc<Vec<u8>>>;

/// An answer.
pub(super) enum Got {
    /// Read to its end.
    Whole(Whole),
    /// Larger than is held: the beginning, and what is still to come.
    Large(Large),
}

/// A whole answer.
pub(super) struct Whole {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) bytes: Bytes,
}

/// The beginning of an answer.
pub(super) struct Large {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) start: Bytes,
    pub(super) rest: Response,
}

/// Why there is no answer, or no more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// No connection: nothing was asked.
    #[error("GitHub cannot be reached")]
    Unreachable,
    /// Nothing came in time.
    #[error("GitHub said nothing in time")]
    TimedOut,
    /// It broke off: what was asked for may have happened.
    #[error("the connection to GitHub broke off")]
    Cut,
}

/// For a connection to stand.
const CONNECT: Duration = Duration::from_secs(3);

/// For the next byte, once GitHub has all that it was sent. It gives up itself after ten seconds.
/// <https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api#timeouts>
const SILENCE: Duration = Duration::from_secs(11);

/// The same after a file, which GitHub has to put away first: a body that flows, or is no smaller.
const PUT_AWAY: Duration = Duration::from_secs(50);
const SMALL: usize = 64 << 10;

/// GitHub closes idle connections after a minute, without a word to a request that comes just then.
const IDLE: Duration = Duration::from_secs(30);

/// What GitHub may send of an answer before somebody takes it. Its connection is everybody's: where all
/// its readers have stalled at once there is still room on it for one more answer.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * STREAMS;

/// The largest answer that is held: what is larger flows through.
const LARGEST_HELD: usize = 2 << 20;

/// The same for JSON, in which links are turned: a tree of git, GitHub's longest list, has seven
/// megabytes at most. <https://docs.github.com/en/rest/git/trees>
const LARGEST_JSON: usize = 8 << 20;

// === impl Broken ===

impl Broken {
    /// The metric's label.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timeout",
            Self::Cut => "cut",
        }
    }
}

// === impl Got ===

impl Got {
    /// Its header fields.
    pub(super) fn headers(&self) -> &HeaderMap {
        let (Self::Whole(Whole { headers, .. }) | Self::Large(Large { headers, .. })) = self;
        headers
    }

    /// Whether it is GitHub's answer, and not its trouble.
    pub(super) fn is_an_answer(&self) -> bool {
        let (Self::Whole(Whole { status, .. }) | Self::Large(Large { status, .. })) = self;
        !is_passing(*status)
    }
}

// === impl Exchange ===

impl Exchange {
    pub(super) fn new(ca: Option<&[u8]>) -> Result<Self, GitHubError> {
        crate::keys::install_jwt_provider();
        let http = trusting(ca).and_then(|trusting| client(trusting).build());
        Ok(Self(http.map_err(|e| GitHubError::Unreachable("anything", e.to_string()))?))
    }

    /// Reads, conditionally where there is a validator. What failed for GitHub's own reasons is asked
    /// once more.
    pub(super) async fn read(
        &self,
        url: &str,
        fields: &HeaderMap,
        validator: Option<&HeaderValue>,
    ) -> Result<Got, Broken> {
        let mut fields = fields.clone();
        if let Some(validator) = validator {
            fields.insert(IF_NONE_MATCH, validator.clone());
        }
        let first = self.read_once(url, &fields).await;
        let deserves_another = match &first {
            Err(broken) => *broken != Broken::TimedOut,
            Ok(Got::Whole(whole)) => is_passing(whole.status),
            Ok(Got::Large(_)) => false,
        };
        if deserves_another { self.read_once(url, &fields).await } else { first }
    }

    async fn read_once(&self, url: &str, fields: &HeaderMap) -> Result<Got, Broken> {
        let response = self.send(Method::GET, url, fields.clone(), None).await?;
        collect(response).await
    }

    /// Sends a request. Never a second time: what it asks for may have happened.
    pub(super) async fn send(
        &self,
        method: Method,
        url: &str,
        fields: HeaderMap,
        body: Option<Body>,
    ) -> Result<Response, Broken> {
        let request = self.0.request(method, url).headers(fields);
        let body = body.unwrap_or_default();
        let is_small = body.as_bytes().is_some_and(|bytes| bytes.len() <= SMALL);
        let patience = if is_small { SILENCE } else { PUT_AWAY };
        let (body, taken) = watched(body);
        let answer = request.body(body).send();
        tokio::pin!(answer);
        tokio::select! {
            answer = &mut answer => return answer.map_err(|error| broken(&error)),
            // A body takes as long as its client takes to send it, and GitHub answers after it.
            () = taken => {}
        }
        in_time(patience, answer).await
    }
}

// === impl Exchanges ===

impl Exchanges {
    /// Connections that trust these certificates.
    pub(super) fn trusting(&self, ca: &Trusted) -> Result<Exchange, GitHubError> {
        let mut in_force = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((trusted, exchange)) = &*in_force
            && trusted == ca
        {
            return Ok(exchange.clone());
        }
        let exchange = Exchange::new(ca.as_deref().map(Vec::as_slice))?;
        *in_force = Some((ca.clone(), exchange.clone()));
        Ok(exchange)
    }
}

fn client(trusting: ClientBuilder) -> ClientBuilder {
    trusting
        .redirect(Policy::none())
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
}

/// A body, and what ends when all of it has been taken.
fn watched(body: Body) -> (Body, impl Future<Output = ()>) {
    let (guard, taken) = oneshot::channel::<()>();
    let taken = async { drop(taken.await) };
    if body.as_bytes().is_some() {
        // It is there at once, with its length.
        return (body, taken);
    }
    let body = body.map_frame(move |frame| {
        let _until_dropped = &guard;
        frame
    });
    (Body::wrap(body), taken)
}

async fn in_time<T>(
    patience: Duration,
    answer: impl Future<Output = reqwest::Result<T>>,
) -> Result<T, Broken> {
    match tokio::time::timeout(patience, answer).await {
        Ok(said) => said.map_err(|error| broken(&error)),
        Err(_) => Err(Broken::TimedOut),
    }
}

/// Reads an answer to its end, or as far as it is held.
pub(super) async fn collect(mut response: Response) -> Result<Got, Broken> {
    let (status, headers) = (response.status(), response.headers().clone());
    let most = if is_json(&headers) { LARGEST_JSON } else { LARGEST_HELD };
    let is_larger = response.content_length().is_some_and(|length| length > most as u64);
    let mut bytes = BytesMut::new();
    while !is_larger && bytes.len() <= most {
        match next_part(&mut response).await? {
            Some(part) => bytes.extend_from_slice(&part),
            None => return Ok(Got::Whole(Whole { status, headers, bytes: bytes.freeze() })),
        }
    }
    Ok(Got::Large(Large { status, headers, start: bytes.freeze(), rest: response }))
}

/// The next part of an answer's body; `None` at its end.
pub(super) async fn next_part(response: &mut Response) -> Result<Option<Bytes>, Broken> {
    in_time(SILENCE, response.chunk()).await
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    media_type.starts_with(b"application/json")
}

/// Statuses of a moment's trouble.
fn is_passing(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    )
}

fn broken(error: &reqwest::Error) -> Broken {
    if error.is_connect() {
        Broken::Unreachable
    } else if error.is_timeout() {
        Broken::TimedOut
    } else {
        Broken::Cut
    }
}
