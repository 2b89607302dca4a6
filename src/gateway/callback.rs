//! Coming back from GitHub: who it was, and the session that begins.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::header::SET_COOKIE;

use super::action::Answer;
use super::attempts::{clear_attempt, find_attempt};
use super::authenticate::Authenticated;
use super::ending::Cause;
use super::sign_in::{parameters, redirect, trail};
use super::{Gateway, LiveSession, Request, device, error};
use crate::credential::Grant;
use crate::defence::{Defence, stands};
use crate::github::{GitHubError, Said};
use crate::login::{LIFE, LoginAttempt};
use crate::reason::Reason;
use crate::session::{Session, SessionId};
use crate::store::{Principal, Profile, Table, Unavailable};

/// How long a sign-in is remembered to find loops.
const TRAIL_LIFE: Duration = Duration::from_secs(30);

/// How GitHub's answer fails: the reason for the visitor.
type Failure = Reason;

// === impl Gateway ===

impl Gateway {
    /// `GET PREFIX/callback`: GitHub sends the visitor back.
    pub(super) async fn callback(&self, request: &Request<'_>) -> Answer {
        if !request.is_at_public_url() {
            return error::fault(request, Reason::NoSuchPage);
        }
        match self.finish(request).await {
            Ok(answer) => answer,
            Err((reason, attempt)) => self.not_finished(request, reason, attempt.as_ref()).await,
        }
    }

    async fn finish(
        &self,
        request: &Request<'_>,
    ) -> Result<Answer, (Failure, Option<LoginAttempt>)> {
        let [code, state, denial] = parameters(request, ["code", "state", "error"])
            .map_err(|_| (Reason::UnknownAttempt, None))?;
        let attempt = state
            .and_then(|state| find_attempt(request, &state))
            .ok_or((Reason::UnknownAttempt, None))?;
        if !attempt.is_fresh(self.clock.now()) {
            return Err((Reason::AttemptSpent, Some(attempt)));
        }
        match self.spend(&attempt).await {
            Ok(true) => {}
            Ok(false) => return Err((Reason::AttemptSpent, Some(attempt))),
            Err(unavailable) => {
                self.store_failed(request, &unavailable);
                return Err((Reason::StoreUnavailable, None));
            }
        }
        let code = match (code, denial.as_deref()) {
            (Some(code), None) => code,
            (_, Some("access_denied")) => return Err((Reason::AccessDenied, Some(attempt))),
            (_, Some(_)) => return Err((Reason::BadAnswer, Some(attempt))),
            // GitHub never answers so: the address was tampered with.
            (None, None) => return Err((Reason::UnknownAttempt, Some(attempt))),
        };
        let (said, grant) = match self.identify(request, &code, &attempt).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(request.id = request.id, "{error}");
                return Err((error.reason(), Some(attempt)));
            }
        };
        match self.admit(request, &said, &grant, &attempt).await {
            Ok(answer) => Ok(answer),
            Err(unavailable) => {
                self.store_failed(request, &unavailable);
                Err((Reason::StoreUnavailable, None))
            }
        }
    }

    /// Marks an attempt as finished; `false` when it was before.
    async fn spend(&self, attempt: &LoginAttempt) -> Result<bool, Unavailable> {
        if !stands(Defence::SingleUse) {
            return Ok(true);
        }
        let end = attempt.started + LIFE + Duration::from_secs(60);
        self.store.insert(Table::SpentAttempt, &attempt.digest(), Vec::new(), end).await
    }

    /// Asks GitHub who came back, all in all no longer than a few answers may take.
    async fn identify(
        &self,
        request: &Request<'_>,
        code: &str,
        attempt: &LoginAttempt,
    ) -> Result<(Said, Grant), GitHubError> {
        let (config, github) = (request.config(), &request.snapshot.github);
        let facts = config.facts();
        let asking = async {
            // Codes that anybody can make up must not become a flood of our own.
            let _turn = self.sign_ins.acquire().await;
            let now = self.clock.now();
            let grant = github.exchange(&config.callback_url(), code, attempt, now).await?;
            let said = github.who(&grant.access, facts, None).await?;
            Ok((said, grant))
        };
        let _timer = self.metrics.github_sign_in_duration.start_timer();
        tokio::time::timeout(config.github.timeout * 2, asking).await.unwrap_or_else(|_| {
            Err(GitHubError::Unreachable("the sign-in", "it took too long in all".into()))
        })
    }

    /// Makes the session and its cookie here, ends the one before, and sends the visitor on.
    async fn admit(
        &self,
        request: &Request<'_>,
        said: &Said,
        grant: &Grant,
        attempt: &LoginAttempt,
    ) -> Result<Answer, Unavailable> {
        let before = self.authenticate(request).await;
        let (live, mut cookies) = match before {
            // A session of before is never upgraded: who planted its cookie would share it.
            Authenticated::Session(live) if !stands(Defence::NewSessionId) => {
                let cookies = self.further_cookies(request, &live).await?;
                (live, cookies)
            }
            before => {
                let (live, id) = self.begin_session(request, said, grant).await?;
                if let Authenticated::Session(old) = before {
                    self.end_session(request.snapshot, old.key, old.account.id, Cause::Replaced)
                        .await?;
                }
                let cookies = self.session_cookies(request, &live, &id);
                (live, cookies)
            }
        };
        cookies.push(clear_attempt(request, attempt));
        self.metrics.sign_ins.with_label_values(&["signed-in"]).inc();
        let login = said.identity.login.as_str();
        tracing::info!(request.id = request.id, user.login = login, "signed in");
        Ok(match &attempt.errand {
            Some(errand) => {
                self.hand_over(request, &live, errand, &attempt.return_to, &cookies).await
            }
            None => {
                redirect(&attempt.return_to.location(&request.here()), &cookies, Reason::Endpoint)
            }
        })
    }

    async fn begin_session(
        &self,
        request: &Request<'_>,
        said: &Said,
        grant: &Grant,
    ) -> Result<(Arc<LiveSession>, SessionId), Unavailable> {
        let (config, now) = (request.config(), self.clock.now());
        let session = Session {
            account: said.identity.id,
            created: now,
            expires: now + config.session.lifetime,
            device: device::agent(request),
            from: request.client.address,
            api_key: None,
        };
        let (keys, account, end) = (&config.keys, session.account, session.expires);
        let profile = Profile { identity: said.identity.clone(), checked: now };
        let host = request.target.host();
        // The cookie is set only after both are durable.
        let (begun, ()) = tokio::try_join!(
            self.sessions.begin(keys, session, host, &profile, &said.validators),
            self.tokens.credentials().sign_in(keys, account, grant, end),
        )?;
        if let Some(scopes) = &said.scopes {
            let who = Principal::User { realm: keys.realm(), id: account };
            self.github_api.note_scopes(who, scopes).await;
        }
        Ok(begun)
    }

    /// A cookie for a session at a further host, and the trail.
    pub(super) async fn further_cookies(
        &self,
        request: &Request<'_>,
        live: &Arc<LiveSession>,
    ) -> Result<Vec<HeaderValue>, Unavailable> {
        let keys = &request.config().keys;
        let id = self.sessions.open_at(keys, live, request.target.host()).await?;
        Ok(self.session_cookies(request, live, &id))
    }

    fn session_cookies(
        &self,
        request: &Request<'_>,
        live: &LiveSession,
        id: &SessionId,
    ) -> Vec<HeaderValue> {
        let jar = request.jar();
        let left = live.expires().since(self.clock.now());
        let count = trail(request).saturating_add(1).to_string();
        vec![
            jar.set(jar.session(), id.to_text().expose(), left),
            jar.set(jar.trail(), &count, TRAIL_LIFE),
        ]
    }

    /// A callback that leads to no new session. Who is signed in already simply lands where he
    /// wanted; anybody else gets a page with a way out.
    async fn not_finished(
        &self,
        request: &Request<'_>,
        reason: Reason,
        attempt: Option<&LoginAttempt>,
    ) -> Answer {
        let is_stale = matches!(reason, Reason::UnknownAttempt | Reason::AttemptSpent);
        if is_stale && let Authenticated::Session(_) = self.authenticate(request).await {
            return redirect(&landing(request, attempt), &[], reason);
        }
        self.metrics.sign_ins.with_label_values(&[reason.word()]).inc();
        let mut answer = error::fault(request, reason);
        if let Some(attempt) = attempt {
            answer.response.headers_mut().append(SET_COOKIE, clear_attempt(request, attempt));
        }
        answer
    }
}

/// Where somebody who is signed in lands without a new sign-in.
fn landing(request: &Request<'_>, attempt: Option<&LoginAttempt>) -> String {
    match attempt {
        Some(attempt) => attempt.return_to.location(&request.here()),
        None if request.config().routes.knows_host(request.target.host()) => "/".to_owned(),
        None => request.own_path("account"),
    }
}
