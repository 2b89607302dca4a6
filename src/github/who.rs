//! Who somebody is: the account, the verified e-mail, and organisations and teams where a policy
//! asks for them. What is known is asked again by `ETag`, which costs no rate limit.

use serde::Deserialize;

use super::budgets::BudgetKey;
use super::client::{News, Token};
use super::{Client, GitHubError};
use crate::identity::{Email, Identity, Login, OrgName, TeamRef};
use crate::policy::Facts;
use crate::secret::Secret;
use crate::store::Validators;

/// What GitHub says of somebody.
#[derive(Clone, Debug)]
pub struct Said {
    /// Who it is.
    pub identity: Identity,
    /// By which to ask again.
    pub validators: Validators,
    /// The scopes of the token, in GitHub's words: nothing of what was said before.
    pub scopes: Option<String>,
}

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

const USER: &str = "/user";
const EMAILS: &str = "/user/emails";
const ORGS: &str = "/user/orgs";
const TEAMS: &str = "/user/teams";

/// Sorts what GitHub said anew from what is as before.
struct Sorting<'a> {
    before: Option<&'a Said>,
    validators: Validators,
}

// === impl Client ===

impl Client {
    /// Asks GitHub who a token belongs to. The questions are independent and asked together; with
    /// what was said before, GitHub answers most of them "as before", and the first question goes
    /// ahead: the token is older, and whoever uses a dead one four times at once is locked out.
    pub async fn who(
        &self,
        token: &Secret<String>,
        facts: Facts,
        before: Option<&Said>,
    ) -> Result<Said, GitHubError> {
        let since = self.verbatim.since();
        let of = |said: &Said| self.verbatim.of(said.identity.id);
        let token = Token::new(token).with(before.map(of).unwrap_or_default());
        let said = self.ask_who(&token, facts, before).await;
        let (limits, answers, scopes) = token.heard();
        // Apps ask GitHub in the same name, and shall know what is left.
        if let Some(whose) = said.as_ref().ok().or(before) {
            let key = BudgetKey::User(whose.identity.id);
            for heard in limits {
                self.budgets.note(&key, heard);
            }
        }
        let said = said?;
        self.verbatim.keep(said.identity.id, answers, since);
        Ok(Said { scopes, ..said })
    }

    async fn ask_who(
        &self,
        token: &Token<'_>,
        facts: Facts,
        before: Option<&Said>,
    ) -> Result<Said, GitHubError> {
        let known = |what: &str| {
            // "As before" is of use only where something is known from before.
            let said = before.filter(|said| said.knows(what))?;
            said.validators.get(what).map(String::as_str)
        };
        let user = self.one::<User>(USER, token, known(USER));
        let rest = async {
            tokio::join!(
                self.list::<Address>(EMAILS, token, known(EMAILS)),
                self.list_if::<Org>(facts.orgs, ORGS, token, known(ORGS)),
                self.list_if::<Team>(facts.teams, TEAMS, token, known(TEAMS)),
            )
        };
        let (user, (emails, orgs, teams)) = if before.is_some() {
            (user.await?, rest.await)
        } else {
            let (user, rest) = tokio::join!(user, rest);
            (user?, rest)
        };
        let mut sorting = Sorting { before, validators: Validators::new() };
        let (id, login, name) = sorting.settle(
            USER,
            user,
            |old| Some((old.id, old.login.clone(), old.name.clone())),
            read_user,
        )?;
        let email = match emails {
            Ok(emails) => {
                sorting.settle(EMAILS, emails, |old| Some(old.email.clone()), verified)?
            }
            // Who did not grant the scope has none.
            Err(GitHubError::Failed(_, 403 | 404)) => None,
            Err(other) => return Err(other),
        };
        let orgs = sorting.settle_if(ORGS, orgs?, |old| old.orgs.clone(), org_name)?;
        let teams = sorting.settle_if(TEAMS, teams?, |old| old.teams.clone(), team_ref)?;
        let identity = Identity { id, login, name, email, orgs, teams };
        Ok(Said { identity, validators: sorting.validators, scopes: None })
    }

    async fn list_if<T: serde::de::DeserializeOwned>(
        &self,
        wanted: bool,
        what: &'static str,
        token: &Token<'_>,
        known: Option<&str>,
    ) -> Result<Option<News<Vec<T>>>, GitHubError> {
        if wanted { self.list(what, token, known).await.map(Some) } else { Ok(None) }
    }
}

// === impl Said ===

impl Said {
    fn knows(&self, what: &str) -> bool {
        match what {
            ORGS => self.identity.orgs.is_some(),
            TEAMS => self.identity.teams.is_some(),
            _ => true,
        }
    }
}

// === impl Sorting ===

impl Sorting<'_> {
    fn settle<T, U>(
        &mut self,
        what: &'static str,
        news: News<T>,
        old: impl FnOnce(&Identity) -> Option<U>,
        read: impl FnOnce(T) -> Result<U, GitHubError>,
    ) -> Result<U, GitHubError> {
        let (validator, value) = match news {
            News::New(answer, validator) => (validator, Some(read(answer)?)),
            News::Unchanged => (
                self.before.and_then(|said| said.validators.get(what).cloned()),
                self.before.and_then(|said| old(&said.identity)),
            ),
        };
        self.validators.extend(validator.map(|validator| (what.to_owned(), validator)));
        value.ok_or_else(|| {
            GitHubError::Malformed(what, "as before, says an answer to nothing".into())
        })
    }

    fn settle_if<T, U>(
        &mut self,
        what: &'static str,
        news: Option<News<Vec<T>>>,
        old: impl FnOnce(&Identity) -> Option<Box<[U]>>,
        read: impl Fn(&T) -> Option<U>,
    ) -> Result<Option<Box<[U]>>, GitHubError> {
        let Some(news) = news else { return Ok(None) };
        let read = |list: Vec<T>| Ok(list.iter().filter_map(read).collect());
        self.settle(what, news, old, read).map(Some)
    }
}

fn read_user(user: User) -> Result<(u64, Login, Option<Box<str>>), GitHubError> {
    if user.id == 0 {
        return Err(GitHubError::Malformed(USER, "the account has no number".into()));
    }
    let bad_login = |_| GitHubError::Malformed(USER, "the login is no GitHub name".into());
    let login = user.login.parse().map_err(bad_login)?;
    Ok((user.id, login, user.name.filter(|name| !name.is_empty()).map(String::into_boxed_str)))
}

/// The primary address, if GitHub has verified it.
#[expect(clippy::needless_pass_by_value, clippy::unnecessary_wraps, reason = "a reader of answers")]
fn verified(list: Vec<Address>) -> Result<Option<Email>, GitHubError> {
    let primary = list.iter().find(|address| address.primary && address.verified);
    Ok(primary.and_then(|address| address.email.parse().ok()))
}

fn org_name(org: &Org) -> Option<OrgName> {
    org.login.parse().ok()
}

fn team_ref(team: &Team) -> Option<TeamRef> {
    format!("{}/{}", team.organization.login, team.slug).parse().ok()
}
