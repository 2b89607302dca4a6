//! Which installations there are: of an owner, by the app's own token; of a user, by theirs.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Method, StatusCode};
use serde::Deserialize;

use super::installations::{Known, REFUSED_FOR, failed, is_recent};
use super::jwt::Question;
use super::{AppError, InstallationId, Installations};
use crate::clock::Time;
use crate::github::budgets::BudgetKey;
use crate::github::client::{Token, json, next_page};
use crate::github::{Client, GitHubError};
use crate::identity::Login;
use crate::secret::Secret;

/// One account's installation of the app, as GitHub shows it.
/// <https://docs.github.com/en/rest/apps/installations#list-app-installations-accessible-to-the-user-access-token>
#[derive(Clone, Debug, Deserialize)]
pub struct Installation {
    /// Its number.
    pub id: InstallationId,
    /// Whose it is.
    pub account: Owner,
    /// `all` or `selected`.
    pub repository_selection: String,
    /// What was granted: `contents` to `read`.
    #[serde(default)]
    pub permissions: BTreeMap<String, String>,
    /// Since when it is suspended, as GitHub writes it.
    pub suspended_at: Option<String>,
}

/// The account that an installation belongs to.
#[derive(Clone, Debug, Deserialize)]
pub struct Owner {
    /// Its present name.
    pub login: String,
    /// Its number, which stays.
    pub id: u64,
}

/// A page of a user's installations.
#[derive(Deserialize)]
struct Page {
    installations: Vec<Installation>,
}

#[derive(Deserialize)]
struct Found {
    id: InstallationId,
}

const OF_USER: &str = "/user/installations";
const OF_ORG: &str = "/orgs/{org}/installation";
const OF_ACCOUNT: &str = "/users/{username}/installation";

/// An owner's installation is asked for again after this long; webhooks are faster.
const KNOWN_FOR: Duration = Duration::from_secs(3600);

/// Owners that are remembered at most: their names may come from visitors.
const MOST_OWNERS: usize = 10_000;

/// Pages that are followed at most.
const MOST_PAGES: usize = 50;

// === impl Client ===

impl Client {
    /// The app's installations that a user may see, by that user's number and token.
    pub async fn installations_of(
        &self,
        user: u64,
        token: &Secret<String>,
    ) -> Result<Vec<Installation>, GitHubError> {
        let token = Token::new(token);
        let all = self.all_installations(&token).await;
        let key = BudgetKey::User(user);
        token.heard().0.into_iter().for_each(|heard| self.budgets.note(&key, heard));
        all
    }

    async fn all_installations(&self, token: &Token<'_>) -> Result<Vec<Installation>, GitHubError> {
        let mut url = format!("{}{OF_USER}?per_page=100", self.settings.api);
        let mut all = Vec::new();
        for _ in 0..MOST_PAGES {
            let answer = self.get(OF_USER, &url, token, None).await?;
            all.extend(json::<Page>(OF_USER, &answer)?.installations);
            match next_page(&answer.headers) {
                None => return Ok(all),
                Some(next) if self.is_own(&next) => url = next,
                Some(_) => {
                    let why = "the next page is elsewhere".to_owned();
                    return Err(GitHubError::Malformed(OF_USER, why));
                }
            }
        }
        Err(GitHubError::Malformed(OF_USER, format!("more than {MOST_PAGES} pages")))
    }
}

// === impl Installations ===

impl Installations {
    /// The installation of an organisation or a user: asked of GitHub by the app's own token, and
    /// remembered.
    pub async fn of_owner(
        &self,
        github: &Client,
        owner: &Login,
    ) -> Result<InstallationId, AppError> {
        let home = github.app_home()?;
        self.make_room_for_owners();
        let place = self.owners.entry((home, owner.clone())).or_default().clone();
        let mut known = place.lock().await;
        let now = self.clock.now();
        let recent = known.as_ref().filter(|known| known.is_recent(now));
        let installation = if let Some(known) = recent {
            known.installation
        } else {
            let installation = self.look_up(github, owner).await?;
            *known = Some(Known { installation, since: now });
            installation
        };
        installation.ok_or_else(|| AppError::Gone(format!("installation of {owner}")))
    }

    /// GitHub keeps organisations and users apart.
    async fn look_up(
        &self,
        github: &Client,
        owner: &Login,
    ) -> Result<Option<InstallationId>, AppError> {
        for (what, kind) in [(OF_ORG, "orgs"), (OF_ACCOUNT, "users")] {
            let path = format!("/{kind}/{owner}/installation");
            let question = Question { what, method: Method::GET, path, body: None };
            let answer = self.jwt.ask(github, &question).await?;
            match answer.status {
                StatusCode::OK => return Ok(Some(json::<Found>(what, &answer)?.id)),
                StatusCode::NOT_FOUND => {}
                _ => return Err(failed(what, &answer).into()),
            }
        }
        Ok(None)
    }

    /// Names that lead nowhere are forgotten first, all the others if that is not enough.
    fn make_room_for_owners(&self) {
        if self.owners.len() >= MOST_OWNERS {
            self.sweep_owners(self.clock.now());
        }
        if self.owners.len() >= MOST_OWNERS {
            self.owners.clear();
        }
    }

    pub(super) fn sweep_owners(&self, now: Time) {
        self.owners.retain(|_, place| {
            let known = place.try_lock();
            known.map_or(true, |known| known.as_ref().is_some_and(|known| known.is_recent(now)))
        });
    }
}

// === impl Known ===

impl Known {
    fn is_recent(&self, now: Time) -> bool {
        let last = if self.installation.is_some() { KNOWN_FOR } else { REFUSED_FOR };
        is_recent(self.since, now, last)
    }
}
