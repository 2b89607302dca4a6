//! Where the GitHub App is installed: as far as the visitor may see it, asked of GitHub each time, for
//! a number proves nothing.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::action::Answer;
use super::super::allowed::AN_ERRAND;
use super::super::sign_in::redirect;
use super::super::{Gateway, Request, Visitor, error};
use super::caller::Caller;
use crate::broker::{Broker, GitHubToken, Instance, Target};
use crate::config::Config;
use crate::defence::{Defence, stands};
use crate::github::GitHubError;
use crate::github::app::AppError;
use crate::reason::Reason;
use crate::store::InstallErrand;

/// An installation as a visitor may see it.
#[derive(Deserialize)]
pub(super) struct Seen {
    id: u64,
    account: Owner,
    #[serde(default)]
    app_slug: String,
    suspended_at: Option<String>,
}

#[derive(Deserialize)]
struct Owner {
    #[serde(default)]
    login: String,
    #[serde(default, rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct InstallationsPage {
    installations: Vec<Seen>,
}

#[derive(Deserialize)]
struct RepositoriesPage {
    repositories: Vec<Value>,
}

/// Things on a page of GitHub's.
const PAGE: usize = 100;

/// Pages of one list.
const MOST_PAGES: usize = 10;

/// What is added to a target.
const ADDED: [&str; 2] = ["installation_id", "setup_action"];

/// What GitHub says has been done; an instance is told nothing else.
const ACTIONS: [&str; 3] = ["install", "update", "request"];

// === impl Gateway: for an instance's server ===

impl Gateway {
    /// `GET /api/v1/github/app/info`
    pub(super) async fn app_info(&self, request: &Request<'_>) -> Value {
        let slug = self.slug(request).await.ok();
        let has_app = request.config().github.app.is_some();
        json!({
            "app_slug": slug.as_deref().unwrap_or_default(),
            "install_enabled": slug.is_some(),
            "sign_in_configured": true,
            "credentials_configured": has_app,
        })
    }

    /// `GET /api/v1/github/app/install-url?redirect_uri=`: where the visitor installs the app. What
    /// comes back from there is sent on to that target of this very instance.
    pub(super) async fn install_url(
        &self,
        request: &Request<'_>,
        caller: &Caller,
    ) -> Result<Value, Reason> {
        let text = request.parameter("redirect_uri").ok().flatten();
        let target = text.and_then(|text| Target::parse(&text, &ADDED));
        let target = target
            .filter(|target| caller.instance.takes_installed(target))
            .ok_or(Reason::UnknownTarget)?;
        let slug = self.slug(request).await?;
        self.take_for(request, caller.visitor.session(), AN_ERRAND)?;
        let errand = InstallErrand {
            account: caller.visitor.session().account.id,
            instance: caller.instance.name.clone(),
            target: target.to_string(),
        };
        let (keys, now) = (&request.config().keys, self.clock.now());
        let state = self.broker_codes.remember(keys, &errand, now).await;
        let state = state.map_err(self.no_store(request))?;
        Ok(json!({ "install_url": install_page(request.config(), &slug, &state) }))
    }

    /// `GET /api/v1/github/app/installations/{id}/verify`
    pub(super) async fn verify(
        &self,
        request: &Request<'_>,
        caller: &Caller,
        id: u64,
    ) -> Result<Value, Reason> {
        let seen = self.seen_by(request, &caller.visitor, id).await?;
        Ok(json!({
            "verified": true,
            "installation_id": seen.id,
            "account_login": seen.account.login,
            "account_type": seen.account.kind,
            "app_slug": seen.app_slug,
        }))
    }

    /// `GET /api/v1/github/app/installations/{id}/repos`
    pub(super) async fn installation_repositories(
        &self,
        request: &Request<'_>,
        caller: &Caller,
        id: u64,
    ) -> Result<Value, Reason> {
        let all = self.repositories_of(request, &caller.visitor, id, false).await?;
        Ok(json!({ "repositories": all }))
    }

    /// The repositories of an installation that the visitor may see: GitHub tells these two apart.
    /// `anew` is by its word of now.
    pub(super) async fn repositories_of(
        &self,
        request: &Request<'_>,
        visitor: &Visitor,
        id: u64,
        anew: bool,
    ) -> Result<Vec<Value>, Reason> {
        let mut all = Vec::new();
        for page in 1..=MOST_PAGES {
            let path = format!("/user/installations/{id}/repositories?per_page={PAGE}&page={page}");
            let body = self.read_for(request, visitor, &path, anew).await?;
            let found: RepositoriesPage =
                serde_json::from_slice(&body).map_err(|_| Reason::BadAnswer)?;
            let is_last = found.repositories.len() < PAGE;
            all.extend(found.repositories);
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    /// An installation that the visitor may see, by GitHub's word of now.
    pub(super) async fn seen_by(
        &self,
        request: &Request<'_>,
        visitor: &Visitor,
        id: u64,
    ) -> Result<Seen, Reason> {
        for page in 1..=MOST_PAGES {
            let path = format!("/user/installations?per_page={PAGE}&page={page}");
            let body = self.read_for(request, visitor, &path, true).await?;
            let found: InstallationsPage =
                serde_json::from_slice(&body).map_err(|_| Reason::BadAnswer)?;
            let is_last = found.installations.len() < PAGE;
            if let Some(seen) = found.installations.into_iter().find(|seen| seen.id == id) {
                let is_suspended = seen.suspended_at.is_some();
                return if is_suspended { Err(Reason::InstallationUnusable) } else { Ok(seen) };
            }
            if is_last {
                break;
            }
        }
        Err(Reason::ForeignInstallation)
    }

    /// The app's name in addresses, where there is an app and GitHub tells.
    async fn slug(&self, request: &Request<'_>) -> Result<String, Reason> {
        let found = self.installations.slug(&request.snapshot.github).await;
        found.map_err(|error| {
            tracing::debug!(request.id = request.id, "the app's name: {error}");
            unusable(&error)
        })
    }
}

// === impl Gateway: for a browser ===

impl Gateway {
    /// `GET /auth/github/app/callback`: GitHub sends the browser back from the page where the app is
    /// installed. Anybody can make up the number that it brings.
    pub(super) async fn installed(&self, request: &Request<'_>, broker: &Broker) -> Answer {
        match self.send_back(request, broker).await {
            Ok(answer) => answer,
            Err(reason) => error::fault(request, reason),
        }
    }

    async fn send_back(&self, request: &Request<'_>, broker: &Broker) -> Result<Answer, Reason> {
        let [state, id, action] = super::super::sign_in::parameters(
            request,
            ["state", "installation_id", "setup_action"],
        )
        .map_err(|_| Reason::UnknownTarget)?;
        let (keys, state) = (&request.config().keys, state.ok_or(Reason::UnknownTarget)?);
        let errand =
            self.broker_codes.recall(keys, &state).await.map_err(self.no_store(request))?;
        let errand = errand.ok_or(Reason::UnknownTarget)?;
        let (instance, target) = place_of(broker, &errand).ok_or(Reason::UnknownTarget)?;
        let visitor = match self.admitted_to(request, instance).await {
            Ok(visitor) => visitor,
            Err(answer) => return Ok(*answer),
        };
        if visitor.session().account.id != errand.account && stands(Defence::OwnInstallations) {
            return Err(Reason::ForeignInstallation);
        }
        let mut told = Vec::new();
        if let Some(id) = &id {
            let number = id.parse().map_err(|_| Reason::ForeignInstallation)?;
            if stands(Defence::OwnInstallations) {
                self.seen_by(request, &visitor, number).await?;
            }
            told.push(("installation_id", id.as_str()));
        }
        let action = action.filter(|action| ACTIONS.contains(&&**action));
        told.extend(action.as_deref().map(|action| ("setup_action", action)));
        self.broker_codes.forget(keys, &state).await.map_err(self.no_store(request))?;
        Ok(redirect(&target.with(&told), &[], Reason::Endpoint))
    }
}

/// The instance of an errand, and its target if that is still registered.
fn place_of<'b>(broker: &'b Broker, errand: &InstallErrand) -> Option<(&'b Arc<Instance>, Target)> {
    let instance = broker.named(&errand.instance)?;
    let target = Target::parse(&errand.target, &ADDED);
    let target = target.filter(|target| instance.takes_installed(target))?;
    Some((instance, target))
}

/// <https://docs.github.com/en/apps/sharing-github-apps/sharing-your-github-app>; a GitHub Enterprise
/// Server keeps its apps elsewhere.
fn install_page(config: &Config, slug: &str, state: &str) -> String {
    let (web, host) = (&config.github.web, config.github.host());
    let apps =
        if host == "github.com" || host.ends_with(".ghe.com") { "apps" } else { "github-apps" };
    format!("{web}/{apps}/{slug}/installations/new?state={state}")
}

/// Why the app does nothing just now: GitHub's own trouble passes, and is no fault of the app.
pub(super) fn unusable(error: &AppError) -> Reason {
    match error {
        AppError::GitHub(error) if matches!(**error, GitHubError::Failed(_, 429)) => {
            Reason::GitHubLimited
        }
        AppError::GitHub(error) => error.reason(),
        _ => Reason::InstallationUnusable,
    }
}

/// Whether somebody's server may have tokens of GitHub.
pub(super) fn may_have_tokens(instance: &Instance) -> Result<(), Reason> {
    let may = instance.github_token == GitHubToken::Real || !stands(Defence::TokensForFew);
    if may { Ok(()) } else { Err(Reason::TokenNotGiven) }
}
