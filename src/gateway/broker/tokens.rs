//! GitHub's tokens for an instance's server, where the operator lets it have them.

use serde_json::{Value, json};

use super::super::{Gateway, Request};
use super::caller::Caller;
use super::installations::{may_have_tokens, unusable};
use crate::clock::Time;
use crate::github::app::{InstallationId, Level, Scope};
use crate::reason::Reason;

/// Repositories that a token of an installation names: GitHub takes no more.
const MOST_REPOSITORIES: usize = 500;

// === impl Gateway ===

impl Gateway {
    /// `GET /api/v1/github/user/access-token`: the visitor's own, or a key of ours.
    pub(super) async fn user_token(
        &self,
        request: &Request<'_>,
        caller: &Caller,
    ) -> Result<Value, Reason> {
        if caller.instance.has_keys() {
            return self.key_for_github(request, caller).await;
        }
        may_have_tokens(&caller.instance)?;
        let account = caller.visitor.session().account.id;
        let credential = self.tokens.usable(&request.snapshot.asking(), account).await;
        let credential = credential.map_err(|error| {
            tracing::debug!(request.id = request.id, "no token for an instance: {error}");
            error.reason()
        })?;
        tracing::info!(
            request.id = request.id,
            user.login = caller.visitor.login(),
            instance = &*caller.instance.name,
            "an instance has the visitor's token of GitHub"
        );
        let mut token = json!({
            "access_token": credential.grant.access.expose(),
            "source": "github_user",
        });
        if let Some(ends) = credential.grant.access_ends {
            token["expires_at"] = json!(Time::to_rfc3339(ends));
        }
        Ok(token)
    }

    /// A key for the routes to GitHub's API, in the place of the token: what is asked with it is held,
    /// and within the visitor's limits.
    async fn key_for_github(
        &self,
        request: &Request<'_>,
        caller: &Caller,
    ) -> Result<Value, Reason> {
        let (keys, now) = (&request.config().keys, self.clock.now());
        let made = self.sessions.instance_key(keys, caller.visitor.session(), now).await;
        let (key, ends) = made.map_err(self.no_store(request))?;
        Ok(json!({
            "access_token": key.to_text().expose(),
            "source": "gateway",
            "expires_at": ends.to_rfc3339(),
        }))
    }

    /// `GET /api/v1/github/app/installations/{id}/access-token`: good for what the visitor may see
    /// there, and to read it alone. Whole, it would let anybody in an organisation do what the app may.
    pub(super) async fn installation_token(
        &self,
        request: &Request<'_>,
        caller: &Caller,
        id: u64,
    ) -> Result<Value, Reason> {
        may_have_tokens(&caller.instance)?;
        self.seen_by(request, &caller.visitor, id).await?;
        let repositories = self.repositories_of(request, &caller.visitor, id, true).await?;
        let numbers = repositories.iter().filter_map(|repository| repository["id"].as_u64());
        let scope = scope(numbers).ok_or(Reason::InstallationUnusable)?;
        let (github, keys) = (&request.snapshot.github, &request.config().keys);
        let token = self.installations.token(github, keys, InstallationId(id), &scope).await;
        let token = token.map_err(|error| {
            tracing::warn!(request.id = request.id, "{error}");
            unusable(&error)
        })?;
        Ok(json!({
            "access_token": token.word().expose(),
            "source": "github_app",
            "installation_id": id,
            "expires_at": Time::to_rfc3339(token.ends),
        }))
    }
}

fn scope(repositories: impl Iterator<Item = u64>) -> Option<Scope> {
    let scope = Scope::whole().of_repository_ids(repositories.take(MOST_REPOSITORIES)).ok()?;
    scope.with_permissions([("contents", Level::Read), ("metadata", Level::Read)]).ok()
}
