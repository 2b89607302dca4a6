//! A code is exchanged for the token of an instance's server, and for who the visitor is.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::action::Decision;
use super::super::ending::Cause;
use super::super::{Gateway, LiveSession, Request, Visitor, device};
use super::brought;
use crate::api_key::Terms;
use crate::broker::{Broker, Contract, Instance, Target};
use crate::config::Config;
use crate::identity::Identity;
use crate::reason::Reason;
use crate::session::{Session, SessionKey, Standing};
use crate::store::{BrokerCode, Redeemed};

/// GitHub for everybody, whose pictures have a host of their own.
const GITHUB: &str = "github.com";

// === impl Gateway ===

impl Gateway {
    /// `POST /api/v1/auth/control/callback`: the server shows the code that the browser brought. It
    /// shows nothing else, so the code is all that there is: it works once, within a minute.
    pub(super) async fn exchange(
        &self,
        request: &Request<'_>,
        broker: &Broker,
    ) -> Result<Value, Reason> {
        let text = brought(&request.body)?;
        let (keys, now) = (&request.config().keys, self.clock.now());
        let redeemed = self.broker_codes.redeem(keys, &text, now).await;
        let (code, name) = match redeemed.map_err(self.no_store(request))? {
            Redeemed::First(code, name) => (code, name),
            Redeemed::Again(account, given) => {
                self.end_replayed(request, account, given).await?;
                return Err(Reason::SpentCode);
            }
            Redeemed::Unknown => return Err(Reason::BadCode),
        };
        let instance = instance_of(broker, &code).ok_or(Reason::BadCode)?;
        comes_from_its_server(request, instance)?;
        let owner = self.owner_of(request, &code).await?;
        let visitor = self.admitted_by(request, instance, owner.clone()).await?;
        let token = self.token_for(request, instance, &owner, name).await?;
        if self.broker_codes.came_again(keys, &text).await.map_err(self.no_store(request))? {
            // Whoever came again has found nothing to end yet.
            self.end_replayed(request, code.account, name).await?;
        }
        tracing::info!(
            request.id = request.id,
            user.login = visitor.login(),
            instance = &*instance.name,
            "signed in at an instance"
        );
        let user = user(request.config(), &owner.account.identity());
        Ok(json!({ "token": token, "user": user }))
    }

    /// The sign-in that a code was made in, if it goes on.
    async fn owner_of(
        &self,
        request: &Request<'_>,
        code: &BrokerCode,
    ) -> Result<Arc<LiveSession>, Reason> {
        let (config, now) = (request.config(), self.clock.now());
        let found = self.sessions.by_key(&config.keys, code.owner).await;
        let found = found.map_err(self.no_store(request))?;
        let is_good = |live: &Arc<LiveSession>| {
            // A key is for routes, and makes nothing that outlives it.
            !live.is_api_key()
                && live.account.id == code.account
                && live.standing(now, config.session) == Standing::Live
        };
        found.filter(is_good).ok_or(Reason::SessionEnded)
    }

    /// Whether an instance admits whoever has a session, by what is known of that account now.
    pub(in crate::gateway) async fn admitted_by(
        &self,
        request: &Request<'_>,
        instance: &Instance,
        live: Arc<LiveSession>,
    ) -> Result<Visitor, Reason> {
        match self.judge_anew(&instance.route, request, live).await {
            Decision::Allow(visitor) => Ok(visitor),
            other => Err(other.words().1),
        }
    }

    async fn token_for(
        &self,
        request: &Request<'_>,
        instance: &Instance,
        owner: &Arc<LiveSession>,
        name: SessionKey,
    ) -> Result<String, Reason> {
        let keys = &request.config().keys;
        let session = self.session_for(request, instance, owner, vec![]);
        let (account, ends) = (session.account, session.expires);
        // What GitHub says of the person is asked for as long as the token lasts.
        let kept = self.tokens.credentials().keep_until(keys, account, ends).await;
        kept.map_err(self.no_store(request))?;
        let token = self.sessions.make_instance_token(keys, owner, name, session).await;
        let token = token.map_err(self.no_store(request))?.ok_or(Reason::SessionEnded)?;
        Ok(token.to_text().expose().clone())
    }

    /// The session of an instance's server.
    pub(super) fn session_for(
        &self,
        request: &Request<'_>,
        instance: &Instance,
        owner: &LiveSession,
        routes: Vec<Box<str>>,
    ) -> Session {
        let now = self.clock.now();
        let name = instance.name.to_string();
        Session {
            account: owner.account.id,
            created: now,
            expires: now + instance.lifetime,
            device: device::agent(request),
            from: request.client.address,
            api_key: Some(Terms { name, routes, instance: Some(instance.name.clone()) }),
        }
    }

    /// Two had a code: what the first one got is over.
    async fn end_replayed(
        &self,
        request: &Request<'_>,
        account: u64,
        given: SessionKey,
    ) -> Result<(), Reason> {
        tracing::warn!(
            request.id = request.id,
            user.id = account,
            client = request.client.as_str(),
            "a code for an instance came twice; what it gave is ended"
        );
        let ended = self.end_session(request.snapshot, given, account, Cause::Replayed).await;
        ended.map_err(self.no_store(request))
    }

    /// The session by whose name a token was signed, if it goes on and is this instance's.
    pub(super) async fn session_named(
        &self,
        request: &Request<'_>,
        instance: &Instance,
        name: SessionKey,
    ) -> Result<Arc<LiveSession>, Reason> {
        let (config, now) = (request.config(), self.clock.now());
        let found = self.sessions.by_key(&config.keys, name).await;
        let found = found.map_err(self.no_store(request))?;
        let is_good = |live: &Arc<LiveSession>| {
            live.instance() == Some(&*instance.name)
                && live.standing(now, config.session) == Standing::Live
        };
        let live = found.filter(is_good).ok_or(Reason::BadInstanceToken)?;
        self.note_use(request, &live);
        Ok(live)
    }
}

/// The instance of a code, if it is still spoken to so, and its target still registered.
fn instance_of<'b>(broker: &'b Broker, code: &BrokerCode) -> Option<&'b Arc<Instance>> {
    let target = Target::parse(&code.target, &[])?;
    broker.named(&code.instance).filter(|instance| {
        matches!(instance.contract, Contract::Control) && instance.takes(&target)
    })
}

/// Whether an instance's server is who asks.
pub(super) fn comes_from_its_server(
    request: &Request<'_>,
    instance: &Instance,
) -> Result<(), Reason> {
    if instance.is_asked_from(request.client.address) {
        return Ok(());
    }
    tracing::warn!(
        request.id = request.id,
        client = request.client.as_str(),
        instance = &*instance.name,
        "what was made for an instance came from elsewhere: if that is its server, add it to `servers`"
    );
    Err(Reason::ForeignServer)
}

/// Who a visitor is, in the words of the contracts. An instance finds its user by number and then by
/// e-mail, so that is the verified one, or one that GitHub gives to nobody else; never an empty one.
pub(super) fn user(config: &Config, who: &Identity) -> Value {
    json!({
        "id": who.id,
        "github_id": who.id,
        "username": who.login.as_str(),
        "email": email(config, who),
        "name": who.name.as_deref().unwrap_or(who.login.as_str()),
        "avatar_url": picture(config, who.id),
    })
}

/// <https://docs.github.com/en/account-and-profile/reference/email-addresses-reference#your-noreply-email-address>
pub(super) fn email(config: &Config, who: &Identity) -> String {
    who.email.as_ref().map_or_else(
        || format!("{}+{}@users.noreply.{}", who.id, who.login, domain(config.github.host())),
        |email| email.as_str().to_owned(),
    )
}

/// A host without its port.
fn domain(host: &str) -> &str {
    host.rsplit_once(':').map_or(host, |(domain, _)| domain)
}

fn picture(config: &Config, id: u64) -> String {
    if config.github.host() == GITHUB {
        return format!("https://avatars.githubusercontent.com/u/{id}?v=4");
    }
    format!("{}/avatars/u/{id}", config.github.web)
}
