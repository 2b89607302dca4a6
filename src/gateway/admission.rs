//! What the gateway remembers beside a session: which routes admit it, and its passport for each,
//! so that a signed-in request is neither judged nor signed anew.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use http::{HeaderName, HeaderValue};

use super::trackeep::Seats;
use super::{Gateway, LiveSession, Request, upstream};
use crate::claims::{Claims, Parties, RENEW_AFTER};
use crate::clock::Time;
use crate::identity::Identity;
use crate::keys::sign_hs256;
use crate::policy::Verdict;
use crate::route::{Algorithm, Route};
use crate::secret::Secret;
use crate::store::{Account, Memo, Profile};

/// What is remembered beside one session: its admissions, and its seats at instances. Reading takes
/// no lock.
#[derive(Debug, Default)]
pub struct Admissions {
    known: ArcSwapOption<Vec<Arc<Admission>>>,
    pub(super) seats: Seats,
}

/// How one route, or one of its rules, judged one session.
#[derive(Debug)]
pub(super) struct Admission {
    /// The outcome.
    pub(super) verdict: Verdict,
    /// Holding the route keeps its address from being used again, so that a reloaded configuration
    /// never finds an old verdict.
    route: Arc<Route>,
    /// What was known of the account then; holding it keeps its address, too.
    profile: Arc<Profile>,
    rule: Option<usize>,
    host: Box<str>,
    passport: ArcSwapOption<Passport>,
}

/// The identity headers for an app, ready to be set.
#[derive(Debug)]
pub(super) struct Passport {
    minted: Time,
    /// The account's name, for the log.
    pub(super) login: Box<str>,
    /// The signing keys' generation: after another one, what they signed before is worth nothing.
    generation: u64,
    /// Names and values.
    pub(super) fields: Vec<(HeaderName, HeaderValue)>,
}

/// What a header field costs beside its text.
const FIELD: usize = size_of::<(HeaderName, HeaderValue)>() + 32;

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
        account: &Account,
        judge: impl FnOnce(&Identity) -> Verdict,
    ) -> Arc<Admission> {
        let (known, profile) = (self.known.load(), account.profile());
        let mut all = known.iter().flat_map(|known| known.iter());
        if let Some(admission) = all.find(|known| known.is_for(route, rule, host, &profile)) {
            return admission.clone();
        }
        let profile = Arc::clone(&profile);
        let new = Arc::new(Admission {
            verdict: judge(&profile.identity),
            route: route.clone(),
            profile,
            rule,
            host: host.into(),
            passport: ArcSwapOption::empty(),
        });
        self.known.rcu(|known| {
            let known = known.iter().flat_map(|known| known.iter());
            let current = known.filter(|known| Arc::ptr_eq(&known.profile, &new.profile));
            let kept = current.take(REMEMBERED - 1).cloned();
            Some(Arc::new(std::iter::once(new.clone()).chain(kept).collect::<Vec<_>>()))
        });
        new
    }
}

impl Memo for Admissions {
    fn bytes(&self) -> usize {
        let known = self.known.load();
        let admissions = known.iter().flat_map(|known| known.iter());
        admissions.map(|admission| admission.bytes()).sum::<usize>() + self.seats.bytes()
    }

    /// Verdicts without a passport in use are cheaper to find again than to keep.
    fn tidy(&self, now: Time) {
        self.seats.tidy(now);
        self.known.rcu(|known| {
            let used = known.iter().flat_map(|known| known.iter());
            let used: Vec<_> = used.filter(|known| known.is_in_use(now)).cloned().collect();
            (!used.is_empty()).then(|| Arc::new(used))
        });
    }
}

// === impl Admission ===

impl Admission {
    fn is_for(
        &self,
        route: &Arc<Route>,
        rule: Option<usize>,
        host: &str,
        profile: &Arc<Profile>,
    ) -> bool {
        Arc::ptr_eq(&self.route, route)
            && Arc::ptr_eq(&self.profile, profile)
            && self.rule == rule
            && &*self.host == host
    }

    /// When GitHub said what it rests on.
    pub(super) fn facts_of(&self) -> Time {
        self.profile.checked
    }

    /// Whether the policy admits an account that is known better by now.
    pub(super) fn still_admits(&self, account: &Account) -> bool {
        let profile = account.profile();
        if Arc::ptr_eq(&self.profile, &profile) {
            return true;
        }
        let policy = self.route.policy_of(self.rule);
        matches!(policy.evaluate(&profile.identity), Verdict::Admitted(_))
    }

    fn is_in_use(&self, now: Time) -> bool {
        self.passport.load().as_ref().is_some_and(|passport| passport.is_in_time(now))
    }

    fn bytes(&self) -> usize {
        let passport = self.passport.load();
        let fields = passport.iter().flat_map(|passport| &passport.fields);
        let fields: usize =
            fields.map(|(name, value)| FIELD + name.as_str().len() + value.len()).sum();
        size_of::<Self>() + self.host.len() + fields
    }

    /// The passport: made anew where there is none, or where the present one has had four fifths
    /// of its life or was signed by a key that counts no more. `None` as long as there is no key.
    pub(super) fn passport(
        &self,
        gateway: &Gateway,
        request: &Request<'_>,
        live: &Arc<LiveSession>,
    ) -> Option<Arc<Passport>> {
        let now = gateway.clock.now();
        // Read before the key is: a key that changes in between makes the passport look too old,
        // never too new.
        let generation = gateway.signing_keys.generation();
        let known = self.passport.load_full();
        if let Some(passport) = known.filter(|passport| passport.is_fresh(now, generation)) {
            return Some(passport);
        }
        let fields = self.fields(gateway, request, live, now)?;
        let login = self.profile.identity.login.as_str().into();
        let passport = Arc::new(Passport { minted: now, generation, login, fields });
        self.passport.store(Some(passport.clone()));
        gateway.sessions.weigh(live);
        Some(passport)
    }

    fn fields(
        &self,
        gateway: &Gateway,
        request: &Request<'_>,
        live: &LiveSession,
        now: Time,
    ) -> Option<Vec<(HeaderName, HeaderValue)>> {
        let token = self.token(gateway, request, live, now)?;
        let mut fields = upstream::plain_identity(&self.profile.identity);
        fields.push(upstream::token_field(&self.route.token, &token));
        Some(fields)
    }

    fn token(
        &self,
        gateway: &Gateway,
        request: &Request<'_>,
        live: &LiveSession,
        now: Time,
    ) -> Option<Secret<String>> {
        let config = request.config();
        let own = config.origin_of(&self.route, &self.host).to_string();
        let issuer = config.public_url.to_string();
        let parties = Parties {
            issuer: &issuer,
            audience: self.route.token.audience.as_deref().unwrap_or(&own),
            github_host: config.github.host(),
        };
        let claims = Claims::new(parties, &self.profile.identity, live.key, now);
        match &self.route.token.algorithm {
            Algorithm::Es256 => Some(gateway.signing_keys.current(now)?.sign(&claims)),
            Algorithm::Hs256(secret) => Some(sign_hs256(secret.expose(), &claims)),
        }
    }
}

// === impl Passport ===

impl Passport {
    fn is_fresh(&self, now: Time, generation: u64) -> bool {
        self.generation == generation && self.is_in_time(now)
    }

    /// A clock that jumped back must not stretch a token's life.
    fn is_in_time(&self, now: Time) -> bool {
        now >= self.minted && now.since(self.minted) < RENEW_AFTER
    }
}
