//! The instance, asked as a browser would ask it, for the token that it gives a browser.

use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, LOCATION};
use http::{HeaderName, HeaderValue, StatusCode};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use serde_json::Value;
use url::Url;

use super::seat::Seat;
use super::voucher::Voucher;
use crate::clock::Time;
use crate::github::trusting;
use crate::origin::Origin;
use crate::route::{App, Route, SignInBy, UpstreamAddress};
use crate::secret::Secret;

/// Talks to the instance behind one route.
pub(in crate::gateway) struct InstanceClient {
    http: reqwest::Client,
    base: Url,
}

/// Looks an app's own name up, whatever name its certificate has.
struct AppName {
    host: Box<str>,
    port: u16,
}

/// Why an instance gave no token.
#[derive(Debug, thiserror::Error)]
pub(super) enum InstanceError {
    #[error("the instance could not be asked ({0}): is it running, and is `upstream:` right?")]
    Unreachable(#[from] reqwest::Error),
    #[error(
        "the instance answered {status} to the sign-in ({text}): it asks Gatekeep itself to redeem the code, \
         so its backend must reach the broker's host; and it keeps users in its database, so VITE_DEMO_MODE \
         must be off (see docs/trackeep.md)"
    )]
    Refused { status: StatusCode, text: String },
    #[error(
        "the instance sends browsers to {0} after the sign-in: set its FRONTEND_URL to the origin at which \
         Gatekeep serves it"
    )]
    Elsewhere(String),
    #[error("the instance answered the sign-in with a redirect that carries no usable token")]
    NoToken,
    #[error(
        "the instance answered {0} when it was asked whom its own token is for: do all its processes have \
         one JWT_SECRET?"
    )]
    NoUser(StatusCode),
}

/// Whom a token is for.
const ME: &str = "/api/v1/auth/me";

/// The largest answer that is read.
const LARGEST: usize = 64 * 1024;

/// As much of an answer as the log shows.
const SHOWN: usize = 220;

/// The instance asks the gateway in turn, which may take that long by its own rules.
const PATIENCE: Duration = Duration::from_secs(35);

// === impl InstanceClient ===

impl InstanceClient {
    /// A client for the app of a route where the gateway signs visitors in.
    pub(in crate::gateway) fn of(route: &Route) -> Option<Self> {
        route.sign_in.as_ref().filter(|sign_in| sign_in.by == SignInBy::Gateway)?;
        let made = Self::new(route.app_at(ME)?, route.timeouts.connect);
        made.map_err(|error| tracing::error!(route = &*route.name, "no client for it: {error}"))
            .ok()
    }

    fn new(app: &App, connect: Duration) -> reqwest::Result<Self> {
        let tls = app.tls.as_ref();
        let ca = tls.and_then(|tls| tls.ca.as_deref()).map(Vec::as_slice);
        let mut builder = trusting(ca)?
            .redirect(Policy::none())
            .no_proxy()
            // The Host that browsers know goes with every request.
            .http1_only()
            .connect_timeout(connect)
            .timeout(PATIENCE);
        let authority = match &app.address {
            UpstreamAddress::Unix(path) => {
                builder = builder.unix_socket(path.as_path());
                "localhost".to_owned()
            }
            UpstreamAddress::Tcp { host, port } => {
                let name = AppName { host: host.clone(), port: *port };
                builder = builder.dns_resolver(Arc::new(name));
                let shown = tls.map_or(host, |tls| &tls.server_name);
                format!("{shown}:{port}")
            }
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        let base = Url::parse(&format!("{scheme}://{authority}"));
        let base = base.expect("the parts of a checked upstream make a URL");
        Ok(Self { http: builder.build()?, base })
    }

    /// Carries a voucher to the instance in a visitor's name, and brings the seat that it gives.
    pub(super) async fn sign_in(
        &self,
        fields: &[(HeaderName, HeaderValue)],
        own: &Origin,
        voucher: &Voucher,
        now: Time,
    ) -> Result<Seat, InstanceError> {
        let token = self.redeem(fields, own, voucher).await?;
        let user = self.user_of(fields, &token).await?;
        Seat::new(token.expose(), user, now, voucher.lasts).ok_or(InstanceError::NoToken)
    }

    async fn redeem(
        &self,
        fields: &[(HeaderName, HeaderValue)],
        own: &Origin,
        voucher: &Voucher,
    ) -> Result<Secret<String>, InstanceError> {
        let mut url = self.at(voucher.callback);
        url.query_pairs_mut().append_pair("token", voucher.token.expose());
        let answer = self.get(url, fields).send().await.map_err(reqwest::Error::without_url)?;
        let location = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok());
        let Some(location) = location.filter(|_| answer.status().is_redirection()) else {
            let status = answer.status();
            let text = beginning_of(answer, &voucher.token).await?;
            return Err(InstanceError::Refused { status, text });
        };
        let target = Url::parse(location).map_err(|_| InstanceError::NoToken)?;
        let origin = target.origin().ascii_serialization();
        if origin != own.to_string() {
            return Err(InstanceError::Elsewhere(origin));
        }
        let mut query = target.query_pairs();
        let token = query.find(|(name, _)| name == "token").map(|(_, token)| token.into_owned());
        token.filter(|token| !token.is_empty()).map(Secret::new).ok_or(InstanceError::NoToken)
    }

    /// What the instance says of the token's user, as the pages keep it.
    async fn user_of(
        &self,
        fields: &[(HeaderName, HeaderValue)],
        token: &Secret<String>,
    ) -> Result<Box<str>, InstanceError> {
        let bearer = Secret::new(format!("Bearer {}", token.expose()));
        let asked = self.get(self.at(ME), fields).header(AUTHORIZATION, bearer.expose());
        let answer = asked.send().await?;
        let status = answer.status();
        let body = read(answer).await?;
        let said = serde_json::from_slice::<Value>(&body).ok();
        let user = said.as_ref().and_then(|said| said.get("user")).filter(|user| user.is_object());
        let user =
            user.filter(|_| status == StatusCode::OK).ok_or(InstanceError::NoUser(status))?;
        Ok(user.to_string().into())
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(path);
        url
    }

    fn get(&self, url: Url, fields: &[(HeaderName, HeaderValue)]) -> reqwest::RequestBuilder {
        self.http.get(url).headers(fields.iter().cloned().collect())
    }
}

// === impl AppName ===

impl Resolve for AppName {
    fn resolve(&self, _: Name) -> Resolving {
        let (host, port) = (self.host.clone(), self.port);
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((&*host, port)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// What an answer begins with. Some servers say back what they were asked for: a code that was not
/// redeemed is good still.
async fn beginning_of(
    answer: reqwest::Response,
    asked_with: &Secret<String>,
) -> Result<String, InstanceError> {
    let body = read(answer).await?;
    let text = String::from_utf8_lossy(&body).replace(asked_with.expose(), "…");
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    Ok(plain.take(SHOWN).collect())
}

/// The body, as far as it may go.
async fn read(mut answer: reqwest::Response) -> Result<Vec<u8>, InstanceError> {
    let mut body = Vec::new();
    // There may be a code in the address.
    while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
        let room = LARGEST - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == LARGEST {
            break;
        }
    }
    Ok(body)
}
