//! The one door that every access passes: who may pass to a route, by what is known of them now.

use std::sync::Arc;

use http::header::ORIGIN;

use super::action::{Decision, Visitor};
use super::authenticate::Authenticated;
use super::{Gateway, LiveSession, Request, csrf};
use crate::defence::{Defence, stands};
use crate::origin::Origin;
use crate::policy::{Policy, Verdict};
use crate::reason::Reason;
use crate::route::{Access, Miss, Route};

// === impl Gateway ===

impl Gateway {
    /// The one door: whether a request may pass to a route, and for whom.
    pub async fn decide(&self, route: &Arc<Route>, request: &Request<'_>) -> Decision {
        let terms = match route.terms(request.target.path(), request.method) {
            Ok(terms) => terms,
            Err(miss) => return Decision::Deny(miss_reason(miss), None),
        };
        if let Some(redirects) = route.redirects(terms.rule)
            && !redirects.are_asked_for(request, &own_origin(route, request))
        {
            return Decision::Deny(Reason::ForeignRedirect, None);
        }
        let (policy, rule) = match terms.access {
            Access::Public => return Decision::Public(terms.rule),
            Access::Guarded(policy, rule) => (policy, rule),
            Access::Closed => return Decision::Deny(Reason::PathClosed, None),
        };
        let live = match self.authenticate(request).await {
            Authenticated::Session(live) => live,
            // Whoever shows a key of ours is judged by it alone.
            Authenticated::Nobody(reason)
                if reason != Reason::BadApiKey
                    && route.takes_token(terms.rule, request.headers, request.target.query()) =>
            {
                return Decision::AppToken(terms.rule);
            }
            Authenticated::Nobody(reason) => return Decision::SignIn(reason),
            Authenticated::Unknown(_) => return Decision::Unavailable(Reason::StoreUnavailable),
        };
        if !Self::opens(request, &live, route) && stands(Defence::ApiKeyScope) {
            return Decision::Deny(Reason::ApiKeyScope, Some(live));
        }
        if !self.has_young_facts(request, &live)
            && let Some(decision) = Box::pin(self.renew_facts(request, &live)).await
        {
            return decision;
        }
        self.judge(route, (policy, rule), terms.rule, request, live)
    }

    /// The same door for somebody who is known already, by a session that came in no cookie.
    pub(super) async fn judge_anew(
        &self,
        route: &Arc<Route>,
        request: &Request<'_>,
        live: Arc<LiveSession>,
    ) -> Decision {
        if !self.has_young_facts(request, &live)
            && let Some(decision) = Box::pin(self.renew_facts(request, &live)).await
        {
            return decision;
        }
        self.judge(route, (&route.policy, None), None, request, live)
    }

    /// What a policy, of a route or of one of its rules, says of a session; `holds` is the number of
    /// the rule that holds for the request, whosever policy it is.
    fn judge(
        &self,
        route: &Arc<Route>,
        (policy, rule): (&Policy, Option<usize>),
        holds: Option<usize>,
        request: &Request<'_>,
        live: Arc<LiveSession>,
    ) -> Decision {
        let host = request.target.host();
        let admission = live
            .memo
            .get_or_judge(route, rule, host, &live.account, |identity| policy.evaluate(identity));
        match admission.verdict {
            Verdict::FactsMissing => Decision::SignIn(Reason::FactsMissing),
            Verdict::Refused(reason) => Decision::Deny(reason, Some(live)),
            Verdict::Admitted(_)
                if !live.is_api_key()
                    && let Some(reason) = from_elsewhere(route, request) =>
            {
                Decision::Deny(reason, Some(live))
            }
            Verdict::Admitted(reason) => match admission.passport(self, request, &live) {
                Some(passport) => Decision::Allow(Visitor::new(
                    live,
                    admission,
                    passport,
                    (reason, holds),
                    self.clock.now(),
                )),
                // No key could be had from the store yet.
                None => Decision::Unavailable(Reason::StoreUnavailable),
            },
        }
    }
}

/// Why no route, or none of its terms, is for a request.
pub(super) fn miss_reason(miss: Miss) -> Reason {
    match miss {
        Miss::NoRoute => Reason::NoRoute,
        Miss::Method => Reason::BadMethod,
        Miss::Ambiguous => Reason::AmbiguousTarget,
    }
}

/// Why a request with a visitor's cookie may be a page's of another origin, if it may.
fn from_elsewhere(route: &Route, request: &Request<'_>) -> Option<Reason> {
    if request.is_upgrade() {
        return (!may_upgrade(route, request)).then_some(Reason::CrossOriginUpgrade);
    }
    // Safe methods change nothing (RFC 9110 §9.2.1).
    let is_asked = route.same_origin && !request.method.is_safe();
    let is_own = || csrf::is_from_own_page(request, &own_origin(route, request));
    (is_asked && !is_own()).then_some(Reason::CrossOriginWrite)
}

/// A page of another site can open a WebSocket with the visitor's cookie; its Origin gives it
/// away. Programs that are no browsers send none (RFC 6455 §10.2), and where pages alone are
/// wanted they do not pass.
fn may_upgrade(route: &Route, request: &Request<'_>) -> bool {
    if !stands(Defence::UpgradeOrigin) {
        return true;
    }
    let is_silent = || !request.headers.contains_key(ORIGIN);
    request.origins_are(&own_origin(route, request)) && !(route.same_origin && is_silent())
}

/// Where a route is, as browsers know it.
pub(super) fn own_origin(route: &Route, request: &Request<'_>) -> Origin {
    request.config().origin_of(route, request.target.host())
}
