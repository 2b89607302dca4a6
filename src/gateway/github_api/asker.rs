//! In whose name GitHub is asked, and with which token.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, StatusCode};

use crate::budget::Limited;
use crate::credential::Credential;
use crate::defence::{Defence, stands};
use crate::gateway::{Gateway, Request, Snapshot, Visitor};
use crate::github::api::{self, Arrival, Means, Reply};
use crate::github::app::{AppError, InstallationId, InstallationToken, Scope};
use crate::github::budgets::BudgetKey;
use crate::identity::Login;
use crate::passage::request::authorization;
use crate::reason::Reason;
use crate::route::{ActsAs, Api};
use crate::secret::Secret;
use crate::store::Principal;

/// In whose name GitHub is asked.
pub(super) struct Asker {
    /// Who asks for what this one may not read: the visitor, where the route says so. Nobody where
    /// something may be written, for whom a write names as its author is no matter of luck.
    pub(super) instead: Option<Box<Self>>,
    /// Whether the route leaves open whom it will be: the client is told.
    pub(super) is_in_doubt: bool,
    /// The visitor's account, which waits in one line however many sessions and keys ask for it.
    pub(super) account: u64,
    /// Whose rights GitHub applies.
    pub(super) who: Principal,
    /// Whose budget it counts against.
    pub(super) budget: BudgetKey,
}

/// A token in use.
#[derive(Clone)]
pub(super) enum Token {
    /// A person's.
    User(Box<Credential>),
    /// An installation's, and how often GitHub did not know it yet.
    Installation(Arc<InstallationToken>, usize),
}

// === impl Gateway ===

impl Gateway {
    /// Who asks on a route.
    pub(super) async fn asker(
        &self,
        request: &Request<'_>,
        api: &Api,
        visitor: &Visitor,
    ) -> Result<Asker, Reason> {
        let account = visitor.session().account.id;
        let realm = request.config().keys.realm();
        let is_in_doubt = api.acts_as.is_in_doubt();
        let own = Asker { is_in_doubt, ..Asker::oneself(realm, account) };
        let ActsAs::Installation { which, or_visitor } = &api.acts_as else { return Ok(own) };
        let is_read =
            matches!(*request.method, Method::GET | Method::HEAD) || !stands(Defence::OneAuthor);
        let instead = (*or_visitor && is_read).then_some(own);
        match self.installation(request.snapshot, request.id, which).await {
            Ok(id) => {
                let instead = instead.map(Box::new);
                Ok(Asker { instead, is_in_doubt, ..Asker::installation(realm, id, account) })
            }
            Err(Reason::InstallationUnusable) => instead.ok_or(Reason::InstallationUnusable),
            Err(reason) => Err(reason),
        }
    }

    /// An installation by its number, or by the account that it is installed on.
    async fn installation(
        &self,
        snapshot: &Snapshot,
        request_id: &str,
        which: &str,
    ) -> Result<InstallationId, Reason> {
        if let Ok(number) = which.parse() {
            return Ok(InstallationId(number));
        }
        // The configuration takes nothing else.
        let owner = which.parse::<Login>().map_err(|_| Reason::Internal)?;
        let found = self.installations.of_owner(&snapshot.github, &owner).await;
        self.judged(which, request_id, found)
    }

    /// What came of acting for an installation: operators are told what is wrong, and that it is over.
    fn judged<T>(
        &self,
        which: &str,
        request_id: &str,
        result: Result<T, AppError>,
    ) -> Result<T, Reason> {
        match &result {
            Ok(_) if self.complaints.is_any() && self.complaints.is_over(which) => {
                tracing::info!("installation {which}: the app can act again");
            }
            Ok(_) => {}
            Err(AppError::GitHub(error)) => {
                tracing::debug!(request.id = request_id, "no token of an installation: {error}");
            }
            Err(error) => {
                if self.complaints.is_news(which, &error.to_string()) {
                    tracing::warn!(request.id = request_id, "installation {which}: {error}");
                }
            }
        }
        result.map_err(|error| not_as_installation(&error))
    }

    /// A token that can be used now.
    pub(super) async fn token(
        &self,
        snapshot: &Snapshot,
        request_id: &str,
        asker: &Asker,
    ) -> Result<Token, Reason> {
        match asker.who {
            Principal::User { .. } => {
                let asking = snapshot.asking();
                let credential = self.tokens.usable(&asking, asker.account).await;
                let credential = credential.map_err(|error| {
                    tracing::debug!(request.id = request_id, "no token for GitHub: {error}");
                    error.reason()
                })?;
                Ok(Token::User(Box::new(credential)))
            }
            Principal::Installation { id, .. } => {
                let id = InstallationId(id);
                let (github, keys) = (&snapshot.github, &snapshot.config.keys);
                let token = self.installations.token(github, keys, id, &Scope::whole()).await;
                let token = self.judged(&id.to_string(), request_id, token)?;
                Ok(Token::Installation(token, 0))
            }
        }
    }

    /// The same, or whoever asks in the place of an installation that cannot act.
    pub(super) async fn asker_with_token(
        &self,
        snapshot: &Snapshot,
        request_id: &str,
        asker: Asker,
    ) -> Result<(Asker, Token), Reason> {
        let token = self.token(snapshot, request_id, &asker).await;
        match (token, asker) {
            (Err(Reason::InstallationUnusable), Asker { instead: Some(other), .. }) => {
                let token = self.token(snapshot, request_id, &other).await?;
                Ok((*other, token))
            }
            (token, asker) => Ok((asker, token?)),
        }
    }

    /// The token to use in the place of one that GitHub refused. Where a person's has been withdrawn,
    /// the sessions that rest on it are over.
    pub(super) async fn after_refusal(
        &self,
        snapshot: &Snapshot,
        request_id: &str,
        asker: &Asker,
        token: Token,
    ) -> Result<Token, Reason> {
        match (token, asker.who) {
            (Token::User(credential), Principal::User { .. }) => {
                let (asking, account) = (snapshot.asking(), asker.account);
                match self.rechecks.settle_refusal(&asking, account, &credential).await {
                    Ok(Some(credential)) => Ok(Token::User(Box::new(credential))),
                    Ok(None) => Err(Reason::GitHubInconsistent),
                    Err(trouble) => {
                        tracing::info!(
                            request.id = request_id,
                            "GitHub refused a token: {trouble}"
                        );
                        Err(trouble.reason())
                    }
                }
            }
            (Token::Installation(token, tries), _) => {
                if let Some(pause) = token.pause_after_401(tries, self.clock.now()) {
                    tokio::time::sleep(pause).await;
                    return Ok(Token::Installation(token, tries + 1));
                }
                self.installations.drop_refused(&token);
                self.token(snapshot, request_id, asker).await
            }
            (Token::User(_), Principal::Installation { .. }) => Err(Reason::Internal),
        }
    }
}

// === impl Asker ===

impl Asker {
    /// A visitor, who sees what GitHub shows that visitor.
    pub(super) fn oneself(realm: u64, account: u64) -> Self {
        let id = if stands(Defence::OwnAnswers) { account } else { 0 };
        let (who, budget) = (Principal::User { realm, id }, BudgetKey::User(account));
        Self { instead: None, is_in_doubt: false, account, who, budget }
    }

    fn installation(realm: u64, id: InstallationId, account: u64) -> Self {
        let who = api::installation(realm, id);
        let budget = BudgetKey::Installation(id.0);
        Self { instead: None, is_in_doubt: false, account, who, budget }
    }

    /// Who asks now that this one may not: it cannot act at all, or GitHub says that it may not see
    /// this. A limit, a failure and silence are no such thing: nobody spends another's budget on them.
    pub(super) fn gives_way(&mut self, came: &Result<Arrival, Reason>) -> Option<Self> {
        let may_not = match came {
            Err(reason) => *reason == Reason::InstallationUnusable,
            Ok(Arrival::Whole(reply)) => is_forbidden(reply),
            Ok(Arrival::Flowing(_)) => false,
        };
        self.instead.take_if(|_| may_not).map(|other| *other)
    }

    /// What a client is told of it.
    pub(super) fn word(&self) -> &'static str {
        if self.who.user().is_some() { "visitor" } else { "installation" }
    }
}

/// Whether GitHub says that the asker may not see something, or that there is no such thing, which is
/// how it says the same of what is private.
/// <https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api#404-not-found-for-an-existing-resource>
pub(super) fn is_forbidden(reply: &Reply) -> bool {
    matches!(reply.status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND)
        && !reply.is_of_the_gateway()
        && Limited::read(reply.status, &reply.headers, &reply.body.bytes).is_none()
}

/// The app cannot act for an installation: the operator's or GitHub's business, not the visitor's.
fn not_as_installation(error: &AppError) -> Reason {
    match error {
        AppError::GitHub(error) => error.reason(),
        _ => Reason::InstallationUnusable,
    }
}

// === impl Token ===

impl Token {
    /// What it takes to ask with this token.
    pub(super) fn means(
        &self,
        snapshot: &Snapshot,
        fields: &HeaderMap,
    ) -> Result<Arc<Means>, Reason> {
        let authorization = authorization(self.word()).ok_or(Reason::GitHubRefused)?;
        let mut fields = fields.clone();
        fields.insert(AUTHORIZATION, authorization);
        let (exchange, base) = (snapshot.exchange.clone(), snapshot.addresses.api.clone());
        Ok(Arc::new(Means::new(exchange, base, fields)))
    }

    fn word(&self) -> &Secret<String> {
        match self {
            Self::User(credential) => &credential.grant.access,
            Self::Installation(token, _) => token.word(),
        }
    }
}
