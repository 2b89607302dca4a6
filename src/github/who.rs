//! Who somebody is: the account, the verified e-mail, and organisations and teams where a policy
//! asks for them.

use serde::Deserialize;

use super::{Authorization, Client, GitHubError};
use crate::identity::{Email, Identity, OrgName, TeamRef};
use crate::policy::Facts;

/// `GET /user`, <https://docs.github.com/en/rest/users/users#get-the-authenticated-user>
#[derive(Deserialize)]
struct User {
    id: u64,
    login: String,
    name: Option<String>,
}

/// `GET /user/emails`, <https://docs.github.com/en/rest/users/emails>
#[derive(Deserialize)]
struct Address {
    email: String,
    primary: bool,
    verified: bool,
}

/// `GET /user/orgs`, <https://docs.github.com/en/rest/orgs/orgs>
#[derive(Deserialize)]
struct Org {
    login: String,
}

/// `GET /user/teams`, <https://docs.github.com/en/rest/teams/teams>
#[derive(Deserialize)]
struct Team {
    slug: String,
    organization: Org,
}

// === impl Client ===

impl Client {
    /// Asks GitHub who a token belongs to. The questions are independent and asked together.
    pub async fn who(
        &self,
        authorization: &Authorization,
        facts: Facts,
    ) -> Result<Identity, GitHubError> {
        let token = &authorization.token;
        let (user, emails, orgs, teams) = tokio::join!(
            self.one::<User>("/user", token),
            self.list::<Address>("/user/emails", token),
            self.list_if::<Org>(facts.orgs, "/user/orgs", token),
            self.list_if::<Team>(facts.teams, "/user/teams", token),
        );
        let user = user?;
        if user.id == 0 {
            return Err(GitHubError::Malformed("/user", "the account has no number".into()));
        }
        let bad_login = |_| GitHubError::Malformed("/user", "the login is no GitHub name".into());
        Ok(Identity {
            id: user.id,
            login: user.login.parse().map_err(bad_login)?,
            name: user.name.filter(|name| !name.is_empty()),
            email: verified(emails)?,
            orgs: orgs?.map(|orgs| orgs.iter().filter_map(org_name).collect()),
            teams: teams?.map(|teams| teams.iter().filter_map(team_ref).collect()),
        })
    }

    async fn list_if<T: serde::de::DeserializeOwned>(
        &self,
        wanted: bool,
        what: &'static str,
        token: &crate::secret::Secret<String>,
    ) -> Result<Option<Vec<T>>, GitHubError> {
        if wanted { self.list(what, token).await.map(Some) } else { Ok(None) }
    }
}

/// The primary address, if GitHub has verified it. Who did not grant the scope has none.
fn verified(emails: Result<Vec<Address>, GitHubError>) -> Result<Option<Email>, GitHubError> {
    match emails {
        Ok(list) => Ok(list
            .iter()
            .find(|address| address.primary && address.verified)
            .and_then(|address| address.email.parse().ok())),
        Err(GitHubError::Failed(_, 403 | 404)) => Ok(None),
        Err(other) => Err(other),
    }
}

fn org_name(org: &Org) -> Option<OrgName> {
    org.login.parse().ok()
}

fn team_ref(team: &Team) -> Option<TeamRef> {
    format!("{}/{}", team.organization.login, team.slug).parse().ok()
}
