//! What the gateway remembers beside a session: which routes admit it, and its passport for each,
//! so that a signed-in request is neither judged nor signed anew.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use http::{HeaderName, HeaderValue};

use super::{Gateway, LiveSession, Request, upstream};
use crate::claims::{Claims, Parties, RENEW_AFTER};
use crate::clock::Time;
use crate::keys::sign_hs256;
use crate::policy::Verdict;
use crate::route::{Algorithm, Route};
use crate::secret::Secret;

/// The admissions of one session. Reading takes no lock.
#[derive(Debug, Default)]
pub struct Admissions(ArcSwap<Vec<Arc<Admission>>>);

/// How one route, or one of its rules, judged one session.
#[derive(Debug)]
pub(super) struct Admission {
    /// The outcome.
    pub(super) verdict: Verdict,
    /// Holding the route keeps its address from being used again, so that a reloaded configuration
    /// never finds an old verdict.
    route: Arc<Route>,
    rule: Option<usize>,
    host: Box<str>,
    passport: ArcSwapOption<Passport>,
}

/// The identity headers for an app, ready to be set.
#[derive(Debug)]
pub(super) struct Passport {
    minted: Time,
    /// Names and values.
    pub(super) fields: Vec<(HeaderName, HeaderValue)>,
}

/// Routes and rules that are remembered for one session; the oldest is forgotten.
const REMEMBERED: usize = 16;

// === impl Admissions ===

impl Admissions {
    /// The admission for a route and rule at a host, judged now if it is not remembered.
    pub(super) fn get_or_judge(
        &self,
        route: &Arc<Route>,
        rule: Option<usize>,
        host: &str,
        judge: impl FnOnce() -> Verdict,
    ) -> Arc<Admission> {
        let known = self.0.load();
        if let Some(admission) = known.iter().find(|known| known.is_for(route, rule, host)) {
            return admission.clone();
        }
        let new = Arc::new(Admission {
            verdict: judge(),
            route: route.clone(),
            rule,
            host: host.into(),
            passport: ArcSwapOption::empty(),
        });
        self.0.rcu(|known| {
            let kept = known.iter().take(REMEMBERED - 1).cloned();
            std::iter::once(new.clone()).chain(kept).collect::<Vec<_>>()
        });
        new
    }
}

// === impl Admission ===

impl Admission {
    fn is_for(&self, route: &Arc<Route>, rule: Option<usize>, host: &str) -> bool {
        Arc::ptr_eq(&self.route, route) && self.rule == rule && &*self.host == host
    }

    /// The passport: made anew where there is none, or where the present one has had four fifths
    /// of its life.
    pub(super) fn passport(
        &self,
        gateway: &Gateway,
        request: &Request<'_>,
        live: &LiveSession,
    ) -> Arc<Passport> {
        let now = gateway.clock.now();
        let known = self.passport.load_full();
        if let Some(passport) = known.filter(|passport| passport.is_fresh(now)) {
            return passport;
        }
        let fields = self.fields(gateway, request, live, now);
        let passport = Arc::new(Passport { minted: now, fields });
        self.passport.store(Some(passport.clone()));
        passport
    }

    fn fields(
        &self,
        gateway: &Gateway,
        request: &Request<'_>,
        live: &LiveSession,
        now: Time,
    ) -> Vec<(HeaderName, HeaderValue)> {
        let token = self.token(gateway, request, live, now);
        let mut fields = upstream::plain_identity(&live.session.identity);
        fields.push(upstream::token_field(&self.route.token, &token));
        fields
    }

    fn token(
        &self,
        gateway: &Gateway,
        request: &Request<'_>,
        live: &LiveSession,
        now: Time,
    ) -> Secret<String> {
        let config = request.config();
        let own = config.origin_of(&self.route, &self.host).to_string();
        let issuer = config.public_url.to_string();
        let parties = Parties {
            issuer: &issuer,
            audience: self.route.token.audience.as_deref().unwrap_or(&own),
            github_host: config.github.host(),
        };
        let claims = Claims::new(parties, &live.session.identity, live.key, now);
        match &self.route.token.algorithm {
            Algorithm::Es256 => gateway.signing_key.sign(&claims),
            Algorithm::Hs256(secret) => sign_hs256(secret.expose(), &claims),
        }
    }
}

// === impl Passport ===

impl Passport {
    /// A clock that jumped back must not stretch a token's life.
    fn is_fresh(&self, now: Time) -> bool {
        now >= self.minted && now.since(self.minted) < RENEW_AFTER
    }
}
