//! Signing in: asking a visitor to, and leaving for GitHub.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, LOCATION, REFERRER_POLICY, SET_COOKIE, WWW_AUTHENTICATE,
};
use http::{HeaderValue, Response, StatusCode};

use super::action::Answer;
use super::attempts::{attempt_cookie, forget_oldest};
use super::authenticate::Authenticated;
use super::pages::{Page, Way};
use super::{Gateway, LiveSession, Request, error};
use crate::api_key::Presented;
use crate::cookie;
use crate::github::GitHubError;
use crate::identity::Identity;
use crate::keys::random;
use crate::login::{Errand, LoginAttempt, is_token};
use crate::policy::Facts;
use crate::reason::Reason;
use crate::return_to::ReturnTo;
use crate::store::Unavailable;

/// Sign-ins that may end without arriving before the loop is broken.
const MOST_IN_VAIN: u8 = 3;

// === impl Gateway ===

impl Gateway {
    /// Answers a request that needs a session: a navigation goes to GitHub, a form that was posted
    /// gets a page, a script gets 401 and the address. So does whoever shows an API key, and no more:
    /// a sign-in would not make it good.
    pub(super) fn ask_to_sign_in(&self, request: &Request<'_>, reason: Reason) -> Answer {
        if Presented::by(request.headers).is_some() {
            api_key_refused(request, reason)
        } else if request.is_navigation() {
            self.begin_for(request, reason)
        } else {
            sign_in_wanted(request, reason)
        }
    }

    /// Begins a sign-in that returns to the page asked for.
    fn begin_for(&self, request: &Request<'_>, reason: Reason) -> Answer {
        if trail(request) >= MOST_IN_VAIN {
            return error::fault(request, Reason::SignInLoop);
        }
        let return_to = ReturnTo::on(request.here(), &request.target.path_and_query());
        self.begin(request, return_to, None, false, reason)
    }

    /// `GET PREFIX/start?rd=`: begins a sign-in, here or for another of our hosts.
    pub(super) async fn start(&self, request: &Request<'_>) -> Answer {
        let Ok([rd, state, challenge, prompt]) =
            parameters(request, ["rd", "state", "challenge", "prompt"])
        else {
            return error::fault(request, Reason::AmbiguousTarget);
        };
        let here = request.here();
        let ours = |origin: &_| request.config().owns_origin(origin);
        let return_to = ReturnTo::parse(rd.as_deref().unwrap_or("/"), &here, ours);
        let select = prompt.as_deref() == Some("select_account");
        let errand = errand(state, challenge);
        if *return_to.origin() != here && (errand.is_none() || !request.is_at_public_url()) {
            // That host must begin itself, so that its cookie binds the hand-over to the browser.
            let path = return_to.path();
            let start = format!("{}{}", return_to.origin(), start_path(request, path, select));
            return redirect(&start, &[], Reason::Endpoint);
        }
        if select {
            return self.begin(request, return_to, errand, select, Reason::Endpoint);
        }
        match (self.signed_in_with_facts(request).await, &errand) {
            (Err(_), _) => error::fault(request, Reason::StoreUnavailable),
            (Ok(Some(live)), Some(errand)) => {
                self.hand_over(request, &live, errand, &return_to, &[]).await
            }
            (Ok(Some(_)), None) => redirect(&return_to.location(&here), &[], Reason::Endpoint),
            (Ok(None), _) => self.begin(request, return_to, errand, select, Reason::Endpoint),
        }
    }

    /// Makes an attempt, puts it into a cookie, and sends the visitor to GitHub, or first to the
    /// callback host when this is another one.
    fn begin(
        &self,
        request: &Request<'_>,
        return_to: ReturnTo,
        errand: Option<Errand>,
        select: bool,
        reason: Reason,
    ) -> Answer {
        let config = request.config();
        let attempt = LoginAttempt::new(&random(), return_to, errand, self.clock.now());
        let mut cookies = forget_oldest(request);
        cookies.push(attempt_cookie(request, &attempt));
        if !request.is_at_public_url() {
            return redirect(&errand_url(request, &attempt, select), &cookies, reason);
        }
        let facts = config.facts();
        match request.snapshot.github.authorize_url(&config.callback_url(), &attempt, facts, select)
        {
            Ok(url) => redirect(&url, &cookies, reason),
            Err(error) => github_failed(request, &error),
        }
    }

    async fn signed_in_with_facts(
        &self,
        request: &Request<'_>,
    ) -> Result<Option<Arc<LiveSession>>, Unavailable> {
        let facts = request.config().facts();
        match self.authenticate(request).await {
            Authenticated::Session(live) => {
                let is_current = self.has_young_facts(request, &live)
                    || self.renew_facts(request, &live).await.is_none();
                let is_enough = is_current && has_facts(&live.account.profile().identity, facts);
                Ok(is_enough.then_some(live))
            }
            Authenticated::Nobody(_) => Ok(None),
            Authenticated::Unknown(unavailable) => Err(unavailable),
        }
    }
}

fn github_failed(request: &Request<'_>, error: &GitHubError) -> Answer {
    tracing::warn!(request.id = request.id, "{error}");
    error::fault(request, error.reason())
}

/// `GET PREFIX/sign_in?rd=`: the page with the button.
pub(super) fn sign_in_page(request: &Request<'_>) -> Answer {
    let rd = request.parameter("rd").ok().flatten();
    let rd = rd.as_deref().unwrap_or("/");
    let name = &request.config().branding.name;
    let page = Page {
        status: StatusCode::OK,
        title: "Sign in".into(),
        lead: format!("{name} asks GitHub who you are."),
        help: vec![
            "It sees your account, your e-mail, and where needed your organisations.".into(),
        ],
        actions: vec![sign_in_button(request, rd)],
        ..Page::default()
    };
    error::answer(request, &page, Reason::Endpoint)
}

/// 401 for whoever a redirect would not help: a page for a form, JSON or text for a script.
fn sign_in_wanted(request: &Request<'_>, reason: Reason) -> Answer {
    let mut answer = error::fault(request, reason);
    let here = request.here();
    let back = if request.wants_page() { page_before(request) } else { "/".to_owned() };
    let start = format!("{here}{}", start_path(request, &back, false));
    if request.wants_page() {
        let page = Page {
            status: StatusCode::UNAUTHORIZED,
            title: "Your session has ended".into(),
            lead: "What you sent was not passed on, because you are not signed in.".into(),
            help: vec!["Sign in, go back to the form and send it again; your browser may still have what you wrote.".into()],
            actions: vec![sign_in_button(request, &back)],
            reason: Some(reason.word()),
            request_id: Some(request.id.to_owned()),
            ..Page::default()
        };
        answer = error::answer(request, &page, reason);
    }
    let challenge = format!("Gatekeep realm=\"{here}\", sign_in=\"{start}\"");
    if let Ok(value) = HeaderValue::from_str(&challenge) {
        answer.response.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
    answer
}

/// 401 in the words of RFC 6750 §3.
fn api_key_refused(request: &Request<'_>, reason: Reason) -> Answer {
    let mut answer = error::fault(request, reason);
    let challenge = format!("Bearer realm=\"{}\", error=\"invalid_token\"", request.here());
    if let Ok(value) = HeaderValue::from_str(&challenge) {
        answer.response.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
    answer
}

/// The page that a form was on, where the browser says so; else the front page.
fn page_before(request: &Request<'_>) -> String {
    let referer = request.header("referer").unwrap_or_default();
    let here = request.here();
    ReturnTo::parse(referer, &here, |origin| *origin == here).path().to_owned()
}

fn sign_in_button(request: &Request<'_>, rd: &str) -> Way {
    Way::Link {
        label: "Sign in with GitHub".into(),
        href: start_path(request, rd, false),
        primary: true,
    }
}

/// The address that begins a sign-in which returns to `rd`.
pub(super) fn start_path(request: &Request<'_>, rd: &str, select_account: bool) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("rd", rd);
    if select_account {
        query.append_pair("prompt", "select_account");
    }
    format!("{}?{}", request.own_path("start"), query.finish())
}

/// The callback host's address that begins a sign-in for this host.
fn errand_url(request: &Request<'_>, attempt: &LoginAttempt, select_account: bool) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("rd", &attempt.return_to.to_url());
    query.append_pair("state", &attempt.state);
    query.append_pair("challenge", &attempt.challenge());
    if select_account {
        query.append_pair("prompt", "select_account");
    }
    format!("{}{}?{}", request.config().public_url, request.own_path("start"), query.finish())
}

fn errand(state: Option<String>, challenge: Option<String>) -> Option<Errand> {
    let (state, challenge) = (state?, challenge?);
    (is_token(&state) && is_token(&challenge)).then_some(Errand { state, challenge })
}

fn has_facts(identity: &Identity, facts: Facts) -> bool {
    (!facts.orgs || identity.orgs.is_some()) && (!facts.teams || identity.teams.is_some())
}

pub(super) fn parameters<const N: usize>(
    request: &Request<'_>,
    names: [&str; N],
) -> Result<[Option<String>; N], super::request::Repeated> {
    let mut found = [const { None }; N];
    for (place, name) in found.iter_mut().zip(names) {
        *place = request.parameter(name)?;
    }
    Ok(found)
}

/// Sends a browser on. 303, never 307: what was posted stays here (RFC 9700 §4.12).
pub(super) fn redirect(to: &str, cookies: &[HeaderValue], reason: Reason) -> Answer {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    let location = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    headers.insert(LOCATION, location);
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    for cookie in cookies {
        headers.append(SET_COOKIE, cookie.clone());
    }
    Answer { response, reason }
}

/// Sign-ins within the last half minute; a session that arrives makes the number idle.
pub(super) fn trail(request: &Request<'_>) -> u8 {
    let mut values = cookie::values(request.headers, request.jar().trail());
    values.next().and_then(|count| count.parse().ok()).unwrap_or(0)
}
