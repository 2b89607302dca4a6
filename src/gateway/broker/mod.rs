//! The broker's own paths: what a visitor's browser carries to an instance, and what the instance's
//! server asks on the visitor's behalf. Who somebody is, is the gateway's usual business.
//!
//! Programs read these answers: errors are `{"error": "…"}`, and nothing that was posted is redirected.

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::action::Answer;
use super::{Gateway, Request, allowed, error};
use crate::broker::Broker;
use crate::reason::Reason;
use crate::store::Unavailable;

mod caller;
mod exchange;
mod installations;
mod me;
mod repositories;
mod send_on;
mod tokens;

/// What is asked of the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// A browser wants to be sent on to an instance.
    SendOn,
    /// GitHub sends a browser back from the page where the app is installed.
    Installed,
    /// A server exchanges a code.
    Exchange,
    /// A server shows what the browser brought.
    Validate,
    /// Who somebody is, by what the browser brought.
    Me,
    /// Whether the service is there.
    Health,
    /// The visitor's repositories.
    Repositories,
    /// What the GitHub App is called.
    App,
    /// Where the GitHub App is installed by the visitor.
    InstallUrl,
    /// Whether an installation is the visitor's.
    Verify(u64),
    /// The repositories of an installation.
    InstallationRepositories(u64),
    /// The visitor's own token.
    UserToken,
    /// A token of an installation.
    InstallationToken(u64),
    /// Signing in by e-mail, which the service before had.
    ByEmail,
    /// None of its paths.
    Unknown,
}

/// A body that brings a token or a code.
#[derive(Deserialize)]
struct Brought {
    token: String,
}

/// The new token of an instance's server, beside any answer.
const NEXT_TOKEN: HeaderName = HeaderName::from_static("x-trackeep-controller-token");

/// When a server may ask again whose visitor has used up GitHub's limit: most of them are by the minute.
const LIMIT_LASTS: &str = "60";

// === impl Service ===

impl Service {
    /// What is asked for by a method and a path.
    pub(super) fn at(method: &Method, path: &str) -> Self {
        let get = matches!(*method, Method::GET);
        let post = *method == Method::POST;
        match path {
            "/auth/github" if get => Self::SendOn,
            "/auth/github/app/callback" if get => Self::Installed,
            "/api/v1/auth/control/callback" if post => Self::Exchange,
            "/api/v1/auth/oauth/callback" if post => Self::Validate,
            "/api/v1/user/me" if get || *method == Method::OPTIONS => Self::Me,
            "/health" if get || *method == Method::HEAD => Self::Health,
            "/api/v1/github/repos" if get => Self::Repositories,
            "/api/v1/github/app/info" if get => Self::App,
            "/api/v1/github/app/install-url" if get => Self::InstallUrl,
            "/api/v1/github/user/access-token" if get => Self::UserToken,
            _ if is_by_email(path) => Self::ByEmail,
            _ if get => Self::of_installation(path).unwrap_or(Self::Unknown),
            _ => Self::Unknown,
        }
    }

    /// `/api/v1/github/app/installations/{id}/…`, the number as digits and nothing else.
    fn of_installation(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/api/v1/github/app/installations/")?;
        let (id, what) = rest.split_once('/')?;
        let is_number = !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
        let id = is_number.then(|| id.parse().ok())??;
        match what {
            "verify" => Some(Self::Verify(id)),
            "repos" => Some(Self::InstallationRepositories(id)),
            "access-token" => Some(Self::InstallationToken(id)),
            _ => None,
        }
    }

    /// Whether a browser asks for it, with a person before it.
    pub(super) fn is_for_people(self) -> bool {
        matches!(self, Self::SendOn | Self::Installed)
    }

    pub(super) fn reads_body(self) -> bool {
        matches!(self, Self::Exchange | Self::Validate)
    }

    /// The metric's word for it.
    const fn word(self) -> &'static str {
        match self {
            Self::SendOn => "sign-in",
            Self::Installed => "installed",
            Self::Exchange => "exchange",
            Self::Validate => "validate",
            Self::Me => "me",
            Self::Health => "health",
            Self::Repositories => "repositories",
            Self::App => "app",
            Self::InstallUrl => "install-url",
            Self::Verify(_) => "verify",
            Self::InstallationRepositories(_) => "installation-repositories",
            Self::UserToken => "user-token",
            Self::InstallationToken(_) => "installation-token",
            Self::ByEmail | Self::Unknown => "unknown",
        }
    }
}

/// What the service before had for signing in by e-mail.
fn is_by_email(path: &str) -> bool {
    let below = |prefix: &str| path.strip_prefix(prefix);
    let rest = below("/auth/email").or_else(|| below("/api/v1/email"));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

// === impl Gateway ===

impl Gateway {
    /// Answers at a host of the broker's.
    pub(super) async fn broker(&self, request: &Request<'_>, service: Service) -> Answer {
        let answer = match request.config().broker.clone() {
            Some(broker) => self.serve(request, &broker, service).await,
            None => refused(Reason::NoSuchPage),
        };
        let result = if answer.reason == Reason::Endpoint { "done" } else { answer.reason.word() };
        self.metrics.broker_requests.with_label_values(&[service.word(), result]).inc();
        answer
    }

    async fn serve(&self, request: &Request<'_>, broker: &Broker, service: Service) -> Answer {
        match service {
            Service::SendOn => self.send_on(request, broker).await,
            Service::Installed => self.installed(request, broker).await,
            Service::Exchange => said_or_refused(self.exchange(request, broker).await),
            Service::Validate => said_or_refused(self.validate(request, broker).await),
            Service::Me => self.me(request, broker).await,
            Service::Health => self.broker_health(),
            Service::ByEmail => refused(Reason::NotOffered),
            Service::Unknown => refused(Reason::NoSuchPage),
            Service::Repositories
            | Service::App
            | Service::InstallUrl
            | Service::Verify(_)
            | Service::InstallationRepositories(_)
            | Service::UserToken
            | Service::InstallationToken(_) => self.for_caller(request, broker, service).await,
        }
    }

    fn broker_health(&self) -> Answer {
        said(&json!({
            "status": "ok",
            "service": "gatekeep",
            "version": env!("CARGO_PKG_VERSION"),
            "time": self.clock.now().unix(),
        }))
    }

    /// The store gave no answer: nobody is let in, and nobody is told that something is over.
    pub(super) fn no_store(&self, request: &Request<'_>) -> impl Fn(Unavailable) -> Reason {
        |unavailable| {
            self.store_failed(request, &unavailable);
            Reason::StoreUnavailable
        }
    }
}

// === Answers ===

/// JSON that nobody keeps.
fn answer(status: StatusCode, value: &Value, reason: Reason) -> Answer {
    let body = Bytes::from(value.to_string());
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Answer { response, reason }
}

pub(super) fn said(value: &Value) -> Answer {
    answer(StatusCode::OK, value, Reason::Endpoint)
}

pub(super) fn refused(reason: Reason) -> Answer {
    let (status, sentence) = error::told(reason);
    let sentence = if reason == Reason::NoSuchPage { "not found" } else { sentence };
    let mut answer = answer(status, &json!({ "error": sentence }), reason);
    let again = match reason {
        Reason::GitHubLimited => HeaderValue::from_static(LIMIT_LASTS),
        Reason::TooManyRequests => HeaderValue::from_static(allowed::RETRY_AFTER),
        _ => return answer,
    };
    answer.response.headers_mut().insert(RETRY_AFTER, again);
    answer
}

fn said_or_refused(result: Result<Value, Reason>) -> Answer {
    match result {
        Ok(value) => said(&value),
        Err(reason) => refused(reason),
    }
}

/// The token or code that a body brings.
fn brought(body: &[u8]) -> Result<String, Reason> {
    let brought = serde_json::from_slice::<Brought>(body).map_err(|_| Reason::BadForm)?;
    Ok(brought.token)
}

/// Whether a request shows anything at all.
fn shows_something(request: &Request<'_>) -> bool {
    request.headers.contains_key(AUTHORIZATION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_matched_to_the_letter() {
        let at = |method: &Method, path: &str| Service::at(method, path);
        for (path, service) in [
            ("/auth/github", Service::SendOn),
            ("/auth/github/", Service::Unknown),
            ("/auth/GitHub", Service::Unknown),
            ("/auth/github/callback", Service::Unknown),
            ("/auth/email", Service::ByEmail),
            ("/auth/email/verify", Service::ByEmail),
            ("/auth/emails", Service::Unknown),
            ("/api/v1/email/send", Service::ByEmail),
            ("/api/v1/emails", Service::Unknown),
            ("/api/v1/github/app/installations/7/verify", Service::Verify(7)),
            ("/api/v1/github/app/installations/7/repos", Service::InstallationRepositories(7)),
            ("/api/v1/github/app/installations/7/access-token", Service::InstallationToken(7)),
            ("/api/v1/github/app/installations/+7/verify", Service::Unknown),
            ("/api/v1/github/app/installations/-7/verify", Service::Unknown),
            ("/api/v1/github/app/installations//verify", Service::Unknown),
            ("/api/v1/github/app/installations/7/verify/x", Service::Unknown),
            ("/api/v1/github/app/installations/99999999999999999999/verify", Service::Unknown),
            ("/api/v1/instances", Service::Unknown),
            ("/", Service::Unknown),
        ] {
            assert_eq!(at(&Method::GET, path), service, "{path}");
        }
        assert_eq!(at(&Method::POST, "/api/v1/auth/control/callback"), Service::Exchange);
        assert_eq!(at(&Method::GET, "/api/v1/auth/control/callback"), Service::Unknown);
        // A look ahead must not use a code up, or make one.
        assert_eq!(at(&Method::HEAD, "/auth/github"), Service::Unknown);
    }
}
