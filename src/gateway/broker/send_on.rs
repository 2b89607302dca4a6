//! A browser is sent on to an instance, with what is for that one: a code that works once, or a token
//! that is signed for it.

use super::super::action::{Answer, Decision};
use super::super::allowed::A_CODE;
use super::super::sign_in::redirect;
use super::super::{Gateway, Request, Visitor, error};
use crate::broker::{Broker, Contract, Instance, Target};
use crate::defence::{Defence, stands};
use crate::reason::Reason;
use crate::return_to;
use crate::secret::Secret;
use crate::store::{BrokerCode, Unavailable};
use std::sync::Arc;

/// What is added to a target.
const ADDED: [&str; 2] = ["token", "user"];

/// Where the version before goes on to with its own token.
const ONWARD: &str = "frontend_redirect";

// === impl Gateway ===

impl Gateway {
    /// `GET /auth/github?redirect_uri=`: signs the visitor in if need be, and sends the browser on.
    pub(super) async fn send_on(&self, request: &Request<'_>, broker: &Broker) -> Answer {
        // Before anybody is asked to sign in: what is registered nowhere gets nothing, not even that.
        let Some((instance, target)) = wanted(request, broker) else {
            return error::fault(request, Reason::UnknownTarget);
        };
        match self.admitted_to(request, &instance).await {
            Ok(visitor) => match self.carry(request, &instance, &target, &visitor).await {
                Ok(url) => redirect(&url, &[], Reason::Endpoint),
                Err(reason) => error::fault(request, reason),
            },
            Err(answer) => *answer,
        }
    }

    /// The visitor of a browser, whom an instance admits; else what the browser is told.
    pub(super) async fn admitted_to(
        &self,
        request: &Request<'_>,
        instance: &Arc<Instance>,
    ) -> Result<Visitor, Box<Answer>> {
        let route = &instance.route;
        Err(Box::new(match self.decide(route, request).await {
            Decision::Allow(visitor) => return Ok(visitor),
            Decision::SignIn(reason) => self.ask_to_sign_in(request, reason),
            Decision::Deny(reason, live) => error::denied(request, route, reason, live.as_ref()),
            Decision::Unavailable(reason) => error::fault(request, reason),
            // An instance has no public paths, and no rules.
            Decision::Public(_) | Decision::AppToken(_) => error::fault(request, Reason::Internal),
        }))
    }

    /// The target with what is for the instance.
    async fn carry(
        &self,
        request: &Request<'_>,
        instance: &Instance,
        target: &Target,
        visitor: &Visitor,
    ) -> Result<String, Reason> {
        let token = self.voucher_for(request, instance, target, visitor).await?;
        let login = visitor.session().account.identity().login;
        let added = [("token", token.expose().as_str()), ("user", login.as_str())];
        let tells_user = matches!(instance.contract, Contract::Seed(_));
        Ok(target.with(if tells_user { &added } else { &added[..1] }))
    }

    /// That by which an instance signs a visitor in: a code, or a signed token.
    pub(in crate::gateway) async fn voucher_for(
        &self,
        request: &Request<'_>,
        instance: &Instance,
        target: &Target,
        visitor: &Visitor,
    ) -> Result<Secret<String>, Reason> {
        self.take_for(request, visitor.session(), A_CODE)?;
        match &instance.contract {
            Contract::Control => {
                let code = self.code_for(request, instance, target, visitor).await;
                code.map(Secret::new).map_err(self.no_store(request))
            }
            Contract::OAuth(signing) | Contract::Seed(signing) => {
                self.signed_for(request, (instance, signing), target, visitor).await
            }
        }
    }

    async fn code_for(
        &self,
        request: &Request<'_>,
        instance: &Instance,
        target: &Target,
        visitor: &Visitor,
    ) -> Result<String, Unavailable> {
        let live = visitor.session();
        let code = BrokerCode {
            account: live.account.id,
            owner: live.key,
            instance: instance.name.clone(),
            target: target.to_string(),
        };
        self.broker_codes.issue(&request.config().keys, code, self.clock.now()).await
    }
}

/// The instance and the target that a browser asks for. Where the seed's clients name none, they mean
/// the site that they are on.
fn wanted(request: &Request<'_>, broker: &Broker) -> Option<(Arc<Instance>, Target)> {
    let target = match request.parameter("redirect_uri").ok()? {
        Some(text) => Target::parse(&text, &ADDED)?,
        None => Target::front(site(request)?.origin().clone()),
    };
    let is_named = request.parameter("redirect_uri").ok()?.is_some();
    let (instance, place) = broker.place_of(&target)?;
    if !goes_on_within(instance, &place) && stands(Defence::RegisteredTargets) {
        return None;
    }
    let may_infer = matches!(instance.contract, Contract::Seed(_));
    (is_named || may_infer).then(|| (instance.clone(), place))
}

/// Whether an instance that goes on where the target's own query says stays at its own sites: the
/// version before takes its token there, wherever that is.
fn goes_on_within(instance: &Instance, target: &Target) -> bool {
    let is_its = |to: &str| {
        instance.redirects.iter().any(|redirect| return_to::stays_at(to, redirect.origin()))
    };
    target.values(ONWARD).all(|to| is_its(&to))
}

/// The site that a browser says it comes from.
fn site(request: &Request<'_>) -> Option<Target> {
    let said = request.header("origin").or_else(|| request.header("referer"))?;
    let without_query = said.split(['?', '#']).next().unwrap_or(said);
    Target::parse(without_query, &[])
}
