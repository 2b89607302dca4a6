//! One request to GitHub and its answer, bounded in time and in what is held of it.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::IF_NONE_MATCH;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::Response;
use reqwest::redirect::Policy;

use crate::github::GitHubError;

/// The connections to GitHub's API, apart from those for sign-ins: a stream of 300 MB is none of
/// their business.
pub(super) struct Exchange(reqwest::Client);

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

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// No connection: nothing was asked.
    Unreachable,
    /// Nothing came in time.
    TimedOut,
    /// It broke off: what was asked for may have happened.
    Cut,
}

/// For a connection to stand.
const CONNECT: Duration = Duration::from_secs(3);

/// For the next byte. GitHub itself gives up after ten seconds.
/// <https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api#timeouts>
const SILENCE: Duration = Duration::from_secs(11);

/// GitHub closes idle connections after a minute, without a word to a request that comes just then.
const IDLE: Duration = Duration::from_secs(30);

/// The largest answer that is held: what is larger flows through.
const LARGEST_HELD: usize = 2 << 20;

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

// === impl Exchange ===

impl Exchange {
    pub(super) fn new() -> Result<Self, GitHubError> {
        crate::keys::install_jwt_provider();
        let http = reqwest::Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .pool_idle_timeout(IDLE)
            .build()
            .map_err(|e| GitHubError::Unreachable("anything", e.to_string()))?;
        Ok(Self(http))
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
        body: Option<reqwest::Body>,
    ) -> Result<Response, Broken> {
        let request = self.0.request(method, url).headers(fields);
        let request = match body {
            Some(body) => request.body(body),
            None => request,
        };
        request.send().await.map_err(|error| broken(&error))
    }
}

/// Reads an answer to its end, or as far as it is held.
pub(super) async fn collect(mut response: Response) -> Result<Got, Broken> {
    let (status, headers) = (response.status(), response.headers().clone());
    let mut bytes = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LARGEST_HELD {
            let start = bytes.freeze();
            return Ok(Got::Large(Large { status, headers, start, rest: response }));
        }
    }
    Ok(Got::Whole(Whole { status, headers, bytes: bytes.freeze() }))
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
