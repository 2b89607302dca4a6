//! What an app may ask about the tokens it was given, with its own name and secret.
//! <https://docs.github.com/en/rest/apps/oauth-applications>

use http::{Method, StatusCode};
use serde_json::json;

use super::{Client, GitHubError};
use crate::secret::Secret;

const WHAT: &str = "/applications/{client_id}/token";

// === impl Client ===

impl Client {
    /// Whether a token is alive. This costs nobody's limit of failed sign-ins, as trying it does.
    pub async fn is_alive(&self, token: &Secret<String>) -> Result<bool, GitHubError> {
        match self.about(Method::POST, token).await? {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            status => Err(GitHubError::Failed(WHAT, status.as_u16())),
        }
    }

    /// Ends a token at GitHub; one that is unknown there has ended already.
    pub async fn revoke(&self, token: &Secret<String>) -> Result<(), GitHubError> {
        match self.about(Method::DELETE, token).await? {
            StatusCode::NO_CONTENT | StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY => {
                Ok(())
            }
            status => Err(GitHubError::Failed(WHAT, status.as_u16())),
        }
    }

    async fn about(
        &self,
        method: Method,
        token: &Secret<String>,
    ) -> Result<StatusCode, GitHubError> {
        let settings = &self.settings;
        let url = format!("{}/applications/{}/token", settings.api, settings.client_id);
        let request = self
            .request(method, &url)
            .basic_auth(&settings.client_id, Some(settings.client_secret.expose()))
            .header("accept", "application/vnd.github+json")
            .json(&json!({ "access_token": token.expose() }));
        Ok(self.send(WHAT, request).await?.status)
    }
}
