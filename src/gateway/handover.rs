//! Hand-over: how a sign-in at the callback host becomes a cookie at another of our hosts, without
//! a cookie that siblings share. The code lives a minute, works once, and is bound by PKCE to the
//! browser that asked.

use std::sync::Arc;

use http::header::SET_COOKIE;
use http::{HeaderValue, StatusCode};

use super::action::Answer;
use super::attempts::{clear_attempt, find_attempt};
use super::authenticate::Authenticated;
use super::pages::{Page, Way};
use super::sign_in::redirect;
use super::{Gateway, LiveSession, Request, csrf, error};
use crate::defence::{Defence, stands};
use crate::login::{Errand, LoginAttempt};
use crate::reason::Reason;
use crate::return_to::ReturnTo;
use crate::store::{Handover, Unavailable};

// === impl Gateway ===

impl Gateway {
    /// At the callback host: sends a signed-in visitor on to the host that asked.
    pub(super) async fn hand_over(
        &self,
        request: &Request<'_>,
        live: &Arc<LiveSession>,
        errand: &Errand,
        return_to: &ReturnTo,
        cookies: &[HeaderValue],
    ) -> Answer {
        let origin = return_to.origin();
        let asks = !request.config().names_origin(origin);
        if asks && !has_consent(request, live, errand, return_to) {
            return consent_page(request, live, errand, return_to, cookies);
        }
        let handover = Handover { session: live.key, challenge: errand.challenge.clone() };
        let (keys, now) = (&request.config().keys, self.clock.now());
        match self.handovers.issue(keys, origin.host(), &handover, now).await {
            Ok(code) => {
                let path = request.own_path("handover");
                let url = format!("{origin}{path}?code={code}&state={}", errand.state);
                redirect(&url, cookies, Reason::Endpoint)
            }
            Err(unavailable) => {
                self.store_failed(request, &unavailable);
                error::fault(request, Reason::StoreUnavailable)
            }
        }
    }

    /// `GET PREFIX/handover`: at the host that asked, makes its cookie.
    pub(super) async fn handover(&self, request: &Request<'_>) -> Answer {
        let (Ok(Some(code)), Ok(Some(state))) =
            (request.parameter("code"), request.parameter("state"))
        else {
            return error::fault(request, Reason::UnknownAttempt);
        };
        let Some(attempt) = find_attempt(request, &state) else {
            return self.not_handed_over(request, None).await;
        };
        match self.take_over(request, &code, &attempt).await {
            Ok(Some(live)) => self.arrive(request, &live, &attempt).await,
            Ok(None) => self.not_handed_over(request, Some(&attempt)).await,
            Err(unavailable) => {
                self.store_failed(request, &unavailable);
                error::fault(request, Reason::StoreUnavailable)
            }
        }
    }

    async fn take_over(
        &self,
        request: &Request<'_>,
        code: &str,
        attempt: &LoginAttempt,
    ) -> Result<Option<Arc<LiveSession>>, Unavailable> {
        let keys = &request.config().keys;
        let Some(handover) = self.handovers.redeem(keys, request.target.host(), code).await? else {
            return Ok(None);
        };
        let is_bound = attempt.is_fresh(self.clock.now()) && attempt.answers(&handover.challenge);
        if !is_bound && stands(Defence::HandoverBinding) {
            return Ok(None);
        }
        self.sessions.by_key(keys, handover.session).await
    }

    async fn arrive(
        &self,
        request: &Request<'_>,
        live: &Arc<LiveSession>,
        attempt: &LoginAttempt,
    ) -> Answer {
        match self.further_cookies(request, live).await {
            Ok(mut cookies) => {
                cookies.push(clear_attempt(request, attempt));
                let to = attempt.return_to.location(&request.here());
                redirect(&to, &cookies, Reason::Endpoint)
            }
            Err(unavailable) => {
                self.store_failed(request, &unavailable);
                error::fault(request, Reason::StoreUnavailable)
            }
        }
    }

    async fn not_handed_over(
        &self,
        request: &Request<'_>,
        attempt: Option<&LoginAttempt>,
    ) -> Answer {
        if let Authenticated::Session(_) = self.authenticate(request).await {
            let to = attempt.map_or_else(|| "/".into(), |a| a.return_to.location(&request.here()));
            return redirect(&to, &[], Reason::Endpoint);
        }
        let reason = attempt.map_or(Reason::UnknownAttempt, |_| Reason::AttemptSpent);
        error::fault(request, reason)
    }
}

/// What a consent is good for: this very errand.
fn consent_purpose(errand: &Errand, return_to: &ReturnTo) -> String {
    format!("hand-over {} {} {}", errand.state, errand.challenge, return_to.to_url())
}

fn has_consent(
    request: &Request<'_>,
    live: &LiveSession,
    errand: &Errand,
    return_to: &ReturnTo,
) -> bool {
    let given = request.parameter("consent").ok().flatten();
    given.is_some_and(|token| {
        csrf::is_token(request, live, &consent_purpose(errand, return_to), &token)
    })
}

/// A name under a wildcard may be somebody else's: whoever serves it would get the visitor's code,
/// so the visitor says first that this is where he wants to go.
fn consent_page(
    request: &Request<'_>,
    live: &LiveSession,
    errand: &Errand,
    return_to: &ReturnTo,
    cookies: &[HeaderValue],
) -> Answer {
    let (host, login) = (return_to.origin().host(), live.account.identity().login);
    let consent = csrf::token(request, live, &consent_purpose(errand, return_to));
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("rd", &return_to.to_url())
        .append_pair("state", &errand.state)
        .append_pair("challenge", &errand.challenge)
        .append_pair("consent", &consent)
        .finish();
    let page = Page {
        status: StatusCode::OK,
        title: format!("Continue to {host}?"),
        lead: format!("{host} asks to sign you in as {login}."),
        help: vec!["Go on only if you were on your way there.".into()],
        actions: vec![Way::Link {
            label: format!("Continue to {host}"),
            href: format!("{}?{query}", request.own_path("start")),
            primary: true,
        }],
        ..Page::default()
    };
    let mut answer = error::answer(request, &page, Reason::Endpoint);
    for cookie in cookies {
        answer.response.headers_mut().append(SET_COOKIE, cookie.clone());
    }
    answer
}
