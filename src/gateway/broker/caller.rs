//! An instance's server asks on a visitor's behalf, with the token that it was given. That slides: as
//! long as it is used, another one follows it ahead of its end.

use std::sync::Arc;

use http::HeaderValue;

use super::super::action::Answer;
use super::super::allowed::A_QUESTION;
use super::super::{Gateway, LiveSession, Request, Visitor};
use super::exchange::comes_from_its_server;
use super::{NEXT_TOKEN, Service, refused, said_or_refused};
use crate::broker::{Broker, Contract, Instance, InstanceToken};
use crate::clock::Time;
use crate::reason::Reason;
use crate::session::Standing;
use crate::store::Unavailable;

/// An instance's server that asks on behalf of a visitor whom the instance still admits.
pub(super) struct Caller {
    /// The instance.
    pub(super) instance: Arc<Instance>,
    /// On whose behalf.
    pub(super) visitor: Visitor,
    /// The token for the next time, where this one is about to end.
    next: Option<InstanceToken>,
}

// === impl Gateway ===

impl Gateway {
    /// Answers what only an instance's server may ask.
    pub(super) async fn for_caller(
        &self,
        request: &Request<'_>,
        broker: &Broker,
        service: Service,
    ) -> Answer {
        let caller = match self.caller(request, broker).await {
            Ok(caller) => caller,
            Err(reason) => return refused(reason),
        };
        let result = match service {
            Service::Repositories => self.repositories(request, &caller).await,
            Service::App => Ok(self.app_info(request).await),
            Service::InstallUrl => self.install_url(request, &caller).await,
            Service::Verify(id) => self.verify(request, &caller, id).await,
            Service::InstallationRepositories(id) => {
                self.installation_repositories(request, &caller, id).await
            }
            Service::UserToken => self.user_token(request, &caller).await,
            Service::InstallationToken(id) => self.installation_token(request, &caller, id).await,
            _ => Err(Reason::NoSuchPage),
        };
        if !self.may_go_on(request.snapshot, &caller.visitor) {
            // GitHub took longer than the session lasted.
            return refused(Reason::BadInstanceToken);
        }
        let mut answer = said_or_refused(result);
        if let Some(next) = caller.next.as_ref().and_then(field) {
            answer.response.headers_mut().insert(NEXT_TOKEN, next);
        }
        answer
    }

    /// Who asks: the token must be good, its instance must be there, and must admit the visitor now.
    async fn caller(&self, request: &Request<'_>, broker: &Broker) -> Result<Caller, Reason> {
        let (config, now) = (request.config(), self.clock.now());
        let token = InstanceToken::shown(request.headers).ok_or(Reason::BadInstanceToken)?;
        let found = self.sessions.find_instance_token(&config.keys, &token, now).await;
        let opened = found.map_err(self.no_store(request))?.ok_or(Reason::BadInstanceToken)?;
        let live = opened.live;
        if live.standing(now, config.session) != Standing::Live {
            return Err(Reason::BadInstanceToken);
        }
        self.take_for(request, &live, A_QUESTION)?;
        let instance = live.instance().and_then(|name| broker.named(name)).cloned();
        let instance = instance
            .filter(|instance| matches!(instance.contract, Contract::Control))
            .ok_or(Reason::BadInstanceToken)?;
        comes_from_its_server(request, &instance)?;
        self.note_use(request, &live);
        let visitor = self.admitted_by(request, &instance, live.clone()).await?;
        let next = self.next_token(request, &instance, (&token, opened.ends), &live).await;
        Ok(Caller { instance, visitor, next })
    }

    /// The token for the next time, when less than a third of this one's life is left. Without it this
    /// one goes on.
    async fn next_token(
        &self,
        request: &Request<'_>,
        instance: &Instance,
        (token, ends): (&InstanceToken, Time),
        live: &Arc<LiveSession>,
    ) -> Option<InstanceToken> {
        let now = self.clock.now();
        if ends.since(now) >= instance.lifetime / 3 {
            return None;
        }
        let next = self.prolonged(request, instance, token, live).await;
        next.map_err(|unavailable| self.store_failed(request, &unavailable)).ok()
    }

    async fn prolonged(
        &self,
        request: &Request<'_>,
        instance: &Instance,
        token: &InstanceToken,
        live: &Arc<LiveSession>,
    ) -> Result<InstanceToken, Unavailable> {
        let (keys, ends) = (&request.config().keys, self.clock.now() + instance.lifetime);
        self.tokens.credentials().keep_until(keys, live.account.id, ends).await?;
        self.sessions.next_instance_token(keys, token, live, ends).await
    }
}

fn field(token: &InstanceToken) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(token.to_text().expose()).ok()?;
    value.set_sensitive(true);
    Some(value)
}
