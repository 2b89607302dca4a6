//! OAuth with GitHub: the address to send a visitor to, and the exchange of a code for a token.
//! <https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps>

use std::pin::Pin;
use std::time::Duration;

use oauth2::basic::{
    BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse,
    BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    EndpointNotSet, EndpointSet, ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope, StandardRevocableToken,
    StandardTokenResponse, TokenResponse, TokenUrl,
};
use serde::{Deserialize, Serialize};

use super::{Client, GitHubError};
use crate::clock::Time;
use crate::credential::Grant;
use crate::login::LoginAttempt;
use crate::policy::Facts;
use crate::secret::Secret;

/// GitHub's addition to a token's answer (RFC 6749 §5.1).
#[derive(Debug, Serialize, Deserialize)]
struct RefreshLife {
    refresh_token_expires_in: Option<u64>,
}

impl ExtraTokenFields for RefreshLife {}

type TokenAnswer = StandardTokenResponse<RefreshLife, BasicTokenType>;

type OAuth = oauth2::Client<
    BasicErrorResponse,
    TokenAnswer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

const WHAT: &str = "the sign-in";

/// Scopes that the policies need: the account and its e-mail always, organisations where asked for.
pub fn scopes_for(facts: Facts) -> Vec<String> {
    let mut scopes = vec!["read:user".to_owned(), "user:email".to_owned()];
    if facts.orgs || facts.teams {
        scopes.push("read:org".to_owned());
    }
    scopes
}

// === impl Client ===

impl Client {
    /// Where to send a visitor for an attempt.
    pub fn authorize_url(
        &self,
        callback: &str,
        attempt: &LoginAttempt,
        facts: Facts,
        select_account: bool,
    ) -> Result<String, GitHubError> {
        let scopes = self.settings.scopes.clone().unwrap_or_else(|| scopes_for(facts));
        let verifier = PkceCodeVerifier::new(attempt.verifier().expose().clone());
        let state = CsrfToken::new(attempt.state.clone());
        let oauth = self.oauth(callback)?;
        let mut request = oauth
            .authorize_url(move || state)
            .add_scopes(scopes.into_iter().map(Scope::new))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        if select_account {
            request = request.add_extra_param("prompt", "select_account");
        }
        Ok(request.url().0.to_string())
    }

    /// Exchanges a code for tokens.
    pub async fn exchange(
        &self,
        callback: &str,
        code: &str,
        attempt: &LoginAttempt,
        now: Time,
    ) -> Result<Grant, GitHubError> {
        let verifier = PkceCodeVerifier::new(attempt.verifier().expose().clone());
        let answer = self
            .oauth(callback)?
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(verifier)
            .request_async(self)
            .await
            .map_err(exchange_error)?;
        grant(&answer, now)
    }

    /// Exchanges a refresh token for new tokens. It works once; the old access token ends with it.
    pub async fn refresh(
        &self,
        callback: &str,
        refresh: &Secret<String>,
        now: Time,
    ) -> Result<Grant, GitHubError> {
        let answer = self
            .oauth(callback)?
            .exchange_refresh_token(&RefreshToken::new(refresh.expose().clone()))
            .request_async(self)
            .await
            .map_err(exchange_error)?;
        grant(&answer, now)
    }

    fn oauth(&self, callback: &str) -> Result<OAuth, GitHubError> {
        let settings = &self.settings;
        let bad = |e: url::ParseError| GitHubError::Refused(WHAT, e.to_string());
        let url = |path: &str| format!("{}/login/oauth/{path}", settings.web);
        Ok(oauth2::Client::new(ClientId::new(settings.client_id.clone()))
            .set_client_secret(ClientSecret::new(settings.client_secret.expose().clone()))
            .set_auth_uri(AuthUrl::new(url("authorize")).map_err(bad)?)
            .set_token_uri(TokenUrl::new(url("access_token")).map_err(bad)?)
            .set_redirect_uri(RedirectUrl::new(callback.to_owned()).map_err(bad)?)
            .set_auth_type(AuthType::RequestBody))
    }

    async fn post(&self, request: HttpRequest) -> Result<HttpResponse, GitHubError> {
        let (parts, body) = request.into_parts();
        let request =
            self.request(parts.method, &parts.uri.to_string()).headers(parts.headers).body(body);
        let answer = self.send(WHAT, request).await?;
        if answer.status.is_server_error() {
            return Err(GitHubError::Failed(WHAT, answer.status.as_u16()));
        }
        // The whole body: the oauth2 crate reads the first value and ignores what follows.
        let json: serde_json::Value = serde_json::from_slice(&answer.body)
            .map_err(|e| GitHubError::Malformed(WHAT, format!("{:?} error", e.classify())))?;
        // GitHub reports errors with status 200; OAuth says 400 (RFC 6749 §5.2).
        let is_error = json.get("error").is_some();
        let mut response = HttpResponse::new(answer.body);
        *response.status_mut() =
            if is_error { http::StatusCode::BAD_REQUEST } else { answer.status };
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}

type ExchangeError =
    RequestTokenError<GitHubError, oauth2::StandardErrorResponse<BasicErrorResponseType>>;

/// The one HTTP client of ours, as the `oauth2` crate calls it.
impl<'c> AsyncHttpClient<'c> for Client {
    type Error = GitHubError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, GitHubError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.post(request))
    }
}

/// What an answer grants, with the moments its spans lead to.
fn grant(answer: &TokenAnswer, now: Time) -> Result<Grant, GitHubError> {
    if *answer.token_type() != BasicTokenType::Bearer {
        return Err(GitHubError::Malformed(WHAT, "the token is no bearer token".into()));
    }
    // GitHub separates scopes by commas, which the standard takes for one scope.
    let scopes = answer.scopes().into_iter().flatten().flat_map(|scope| scope.split(','));
    let refresh_life = answer.extra_fields().refresh_token_expires_in.map(Duration::from_secs);
    Ok(Grant {
        access: Secret::new(answer.access_token().secret().clone()),
        access_ends: answer.expires_in().map(|life| now + life),
        refresh: answer.refresh_token().map(|token| Secret::new(token.secret().clone())),
        refresh_ends: refresh_life.map(|life| now + life),
        scopes: scopes.filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
    })
}

fn exchange_error(error: ExchangeError) -> GitHubError {
    match error {
        RequestTokenError::Request(inner) => inner,
        RequestTokenError::ServerResponse(answer) => match answer.error().as_ref() {
            code @ "bad_verification_code" => GitHubError::BadCode(code.to_owned()),
            code @ ("bad_refresh_token" | "invalid_grant" | "unauthorized_client") => {
                GitHubError::BadRefreshToken(code.to_owned())
            }
            code => GitHubError::Refused(WHAT, code.chars().take(64).collect()),
        },
        // The place alone: serde's words quote the value, which may be a token.
        RequestTokenError::Parse(e, _) => {
            GitHubError::Malformed(WHAT, format!("`{}` is not what it should be", e.path()))
        }
        RequestTokenError::Other(text) => GitHubError::Malformed(WHAT, text),
    }
}
