//! The gateway's own pages: one table from path and method to page.

use http::Method;

use super::Request;
use super::broker::Service;
use crate::config::Config;
use crate::target::Target;

/// One of our own pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Begins a sign-in.
    Start,
    /// GitHub sends the visitor back here.
    Callback,
    /// The callback host sends the visitor on to another host here.
    Handover,
    /// The page with the button.
    SignInPage,
    /// Asks whether to sign out.
    SignOutPage,
    /// Signs out.
    SignOut,
    /// Ends another session of the visitor's.
    EndSession,
    /// Ends all sessions of the visitor's but this one.
    EndOtherSessions,
    /// Ends all sessions of the visitor's.
    SignOutEverywhere,
    /// The visitor's page.
    Account,
    /// Makes an API key.
    MakeApiKey,
    /// The public keys.
    Keys,
    /// GitHub tells something.
    Webhook,
    /// At a host of the broker's.
    Broker(Service),
    /// Under our prefix, and none of ours.
    Unknown,
}

/// Name below the prefix, method, page.
const TABLE: &[(&str, Method, Endpoint)] = &[
    ("start", Method::GET, Endpoint::Start),
    ("callback", Method::GET, Endpoint::Callback),
    ("handover", Method::GET, Endpoint::Handover),
    ("sign_in", Method::GET, Endpoint::SignInPage),
    ("sign_out", Method::GET, Endpoint::SignOutPage),
    ("sign_out", Method::POST, Endpoint::SignOut),
    ("end_session", Method::POST, Endpoint::EndSession),
    ("end_other_sessions", Method::POST, Endpoint::EndOtherSessions),
    ("sign_out_everywhere", Method::POST, Endpoint::SignOutEverywhere),
    ("account", Method::GET, Endpoint::Account),
    ("api_keys", Method::POST, Endpoint::MakeApiKey),
    ("jwks.json", Method::GET, Endpoint::Keys),
    ("github/webhook", Method::POST, Endpoint::Webhook),
];

/// Where the keys are found without knowing the prefix, on the gateway's own host.
const WELL_KNOWN_KEYS: &str = "/.well-known/jwks.json";

// === impl Endpoint ===

impl Endpoint {
    /// The page that a request asks for; `None` when the path is not ours. On hosts that we do not
    /// serve nothing is ours.
    pub fn of(request: &Request<'_>) -> Option<Self> {
        Self::at(request.config(), request.method, &request.target)
    }

    /// The page that reads a request's body, if one does.
    pub fn of_body(config: &Config, method: &Method, target: &Target<'_>) -> Option<Self> {
        let posted = Some(target).filter(|_| method == Method::POST);
        posted
            .and_then(|target| Self::at(config, method, target))
            .filter(|endpoint| endpoint.reads_body())
    }

    fn reads_body(self) -> bool {
        matches!(
            self,
            Self::SignOut
                | Self::EndSession
                | Self::EndOtherSessions
                | Self::SignOutEverywhere
                | Self::MakeApiKey
                | Self::Webhook
        ) || matches!(self, Self::Broker(service) if service.reads_body())
    }

    /// Whether it asks who is there, and wants a person: API keys are for routes.
    pub(super) fn is_for_people(self) -> bool {
        match self {
            Self::Broker(service) => service.is_for_people(),
            other => !matches!(other, Self::Keys | Self::Webhook | Self::Unknown),
        }
    }

    /// Whether the configuration has it at a host.
    fn is_at(self, config: &Config, host: &str) -> bool {
        let takes_webhooks = !config.github.webhook_secrets.is_empty();
        self != Self::Webhook || (takes_webhooks && host == config.public_url.host())
    }

    /// The same of a method and a target.
    pub fn at(config: &Config, method: &Method, target: &Target<'_>) -> Option<Self> {
        let (host, path) = (target.host(), target.path());
        let is_own_host = host == config.public_url.host();
        if is_own_host && path == WELL_KNOWN_KEYS {
            return Some(Self::Keys);
        }
        if is_own_host && path == &*config.callback_path {
            return Some(if *method == Method::GET { Self::Callback } else { Self::Unknown });
        }
        let brokers = || config.brokers_at(host).then(|| Self::Broker(Service::at(method, path)));
        let Some(below) = path.strip_prefix(&*config.prefix) else { return brokers() };
        if !below.is_empty() && !below.starts_with('/') {
            return brokers();
        }
        let named = || Self::named(below.strip_prefix('/').unwrap_or(below), method);
        config
            .serves(host)
            .then(named)
            .map(|found| if found.is_at(config, host) { found } else { Self::Unknown })
    }

    fn named(name: &str, method: &Method) -> Self {
        let is_head = method == Method::HEAD;
        let method = if is_head { &Method::GET } else { method };
        TABLE
            .iter()
            .find(|(known, takes, _)| *known == name && takes == method)
            .map(|(_, _, endpoint)| *endpoint)
            // A look ahead must not use an attempt up.
            .filter(|endpoint| !is_head || !matches!(endpoint, Self::Callback | Self::Handover))
            .unwrap_or(Self::Unknown)
    }
}
