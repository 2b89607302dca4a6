//! Routes whose visitors become users of the app: it must be an instance that the broker speaks to.

use std::sync::Arc;

use super::super::field::At;
use super::super::raw::{Raw, Route as RawRoute, SignIn};
use super::super::report::Fault;
use super::super::written::Upstream;
use super::routes::host_of;
use super::{Check, Gateway};
use crate::broker::{Broker, Contract, Target};
use crate::origin::Origin;
use crate::route::{InstanceSignIn, SignInBy};

const WAYS: [(&str, SignInBy); 3] =
    [("gateway", SignInBy::Gateway), ("browser", SignInBy::Browser), ("button", SignInBy::Button)];

// === impl Check ===

impl Check<'_> {
    /// How visitors of a route become users of its app.
    pub(super) fn sign_in(&mut self, raw: &RawRoute) -> Option<InstanceSignIn> {
        let at = raw.sign_in.given()?;
        let missing = || {
            Fault::new("this `sign_in` names no `instance`").note(
                "name the one of `broker` that is behind this route: `sign_in: { instance: home }`",
            )
        };
        let instance = self.required(&at.value.instance, &at.place, missing)?;
        let by = match at.value.by.given() {
            Some(_) => self.word(&at.value.by, "a way to sign in", &WAYS)?,
            None => SignInBy::Gateway,
        };
        if by == SignInBy::Gateway && raw.same_origin.value() != Some(&true) {
            let fault =
                Fault::new("pages of other sites could change something in visitors' names");
            let note = "the gateway sets the app's token on whatever a visitor's browser sends: write `preset: trackeep`, or `same_origin: true`";
            self.problem(&at.key, fault.note(note));
        }
        let header = raw.token.value().and_then(|token| token.header.value());
        if header.is_some_and(|header| header.0 == "Authorization") {
            let fault = Fault::new("the gateway's own token takes the place of the app's");
            let note = "send it under its usual name: leave out `header: Authorization` of `token`";
            self.problem(&at.key, fault.note(note));
        }
        if matches!(raw.upstream.value(), Some(Upstream::GitHub(_))) {
            let fault = Fault::new("GitHub's API is no instance of the broker's");
            self.problem(&at.key, fault.help("leave it out"));
        }
        Some(InstanceSignIn { instance: instance.value.0.as_str().into(), by })
    }

    /// Whether the broker speaks to every instance that a route names, and sends browsers to that
    /// route.
    pub(super) fn instances_are_the_brokers(
        &mut self,
        raw: &Raw,
        broker: Option<&Option<Arc<Broker>>>,
        gateway: &Gateway,
    ) {
        // What cannot be read was reported already.
        let Some(broker) = broker else { return };
        for route in raw.routes.items() {
            if let Some(at) = route.value.sign_in.given() {
                self.is_the_brokers(&route.value, at, broker.as_deref(), gateway);
            }
        }
    }

    fn is_the_brokers(
        &mut self,
        route: &RawRoute,
        at: &At<SignIn>,
        broker: Option<&Broker>,
        gateway: &Gateway,
    ) {
        let Some(name) = at.value.instance.given() else { return };
        let Some(instance) = broker.and_then(|broker| broker.named(&name.value.0)) else {
            let fault = Fault::new(format!("`broker` has no instance `{}`", name.value.0));
            let note =
                "the gateway signs visitors in as the service of that instance: list it there";
            return self.problem(&name.place, fault.note(note));
        };
        if matches!(instance.contract, Contract::Seed(_)) {
            let fault = Fault::new("visitors of the first versions cannot be signed in from here");
            let note = format!(
                "`{}` has `contract: {}`: those versions have no way to be told who somebody is",
                name.value.0,
                instance.contract.word()
            );
            return self.problem(&name.place, fault.note(&note));
        }
        let (Some(host), Some(own)) = (host_of(route, gateway), &gateway.public_url) else {
            return;
        };
        if host.wildcard {
            let fault = Fault::new("an instance has one host");
            return self.problem(&at.key, fault.help("give the route a `host` without `*`"));
        }
        let origin = Origin::new(own.is_secure(), &host.name, host.port.or(own.port()));
        let callback = format!("{origin}{}", instance.contract.usual_path());
        let target = Target::parse(&callback, &[]);
        if !target.is_some_and(|target| instance.takes(&target)) {
            let fault = Fault::new(format!("`{}` is not at this route", name.value.0));
            let note = format!(
                "visitors are signed in at {callback}: add it, or its origin, to the instance's `redirects`"
            );
            self.problem(&name.place, fault.note(&note));
        }
    }
}
