//! Signing in: asking a visitor to, leaving for GitHub, and coming back.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, LOCATION, REFERRER_POLICY, SET_COOKIE, WWW_AUTHENTICATE,
};
use http::{HeaderValue, Response, StatusCode};
use subtle::ConstantTimeEq;

use super::action::Answer;
use super::authenticate::Authenticated;
use super::pages::{Page, Way};
use super::{Gateway, LiveSession, Request, error};
use crate::cookie;
use crate::defence::{Defence, stands};
use crate::github::GitHubError;
use crate::identity::Identity;
use crate::keys::random;
use crate::login::{AT_ONCE, Errand, LIFE, LoginAttempt, is_token};
use crate::policy::Facts;
use crate::reason::Reason;
use crate::return_to::ReturnTo;
use crate::session::Session;
use crate::store::{Table, Unavailable};

/// Sign-ins that may end without arriving before the loop is broken.
const MOST_IN_VAIN: u8 = 3;

/// How long a sign-in is remembered to find loops.
const TRAIL_LIFE: Duration = Duration::from_secs(30);

/// How GitHub's answer fails: the reason for the visitor.
type Failure = Reason;

// === impl Gateway: asking ===

impl Gateway {
    /// Answers a request that needs a session: a navigation goes to GitHub, a form that was posted
    /// gets a page, a script gets 401 and the address.
    pub(super) fn ask_to_sign_in(&self, request: &Request<'_>, reason: Reason) -> Answer {
        if request.is_navigation() {
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
        let facts = config.routes.facts();
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
        let facts = request.config().routes.facts();
        match self.authenticate(request).await {
            Authenticated::Session(live) => {
                Ok(Some(live).filter(|live| has_facts(&live.session.identity, facts)))
            }
            Authenticated::Nobody(_) => Ok(None),
            Authenticated::Unknown(unavailable) => Err(unavailable),
        }
    }
}

// === impl Gateway: coming back ===

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
        let identity = match self.identify(request, &code, &attempt).await {
            Ok(identity) => identity,
            Err(error) => {
                tracing::warn!(request.id = request.id, "{error}");
                return Err((error.reason(), Some(attempt)));
            }
        };
        match self.admit(request, identity, &attempt).await {
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
        let end = attempt.started + LIFE + LIFE;
        self.store.insert(Table::SpentAttempt, attempt.state.as_bytes(), Vec::new(), end).await
    }

    /// Asks GitHub who came back, all in all no longer than a few answers may take.
    async fn identify(
        &self,
        request: &Request<'_>,
        code: &str,
        attempt: &LoginAttempt,
    ) -> Result<Identity, GitHubError> {
        let (config, github) = (request.config(), &request.snapshot.github);
        let facts = config.routes.facts();
        let asking = async {
            let authorization = github.exchange(&config.callback_url(), code, attempt).await?;
            github.who(&authorization, facts).await
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
        identity: Identity,
        attempt: &LoginAttempt,
    ) -> Result<Answer, Unavailable> {
        let before = self.authenticate(request).await;
        let live = match before {
            // A session of before is never upgraded: who planted its cookie would share it.
            Authenticated::Session(live) if !stands(Defence::NewSessionId) => live,
            before => {
                let live = self.begin_session(request, identity).await?;
                if let Authenticated::Session(old) = before {
                    self.sessions.end(&old).await?;
                }
                live
            }
        };
        let mut cookies = self.session_cookies(request, &live).await?;
        cookies.push(clear_attempt(request, attempt));
        self.metrics.sign_ins.with_label_values(&["signed-in"]).inc();
        let login = live.session.identity.login.as_str();
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
        identity: Identity,
    ) -> Result<Arc<LiveSession>, Unavailable> {
        let (config, now) = (request.config(), self.clock.now());
        let agent = request.header("user-agent").unwrap_or_default();
        let session = Session {
            identity,
            created: now,
            expires: now + config.session.lifetime,
            device: agent.chars().take(200).collect(),
        };
        self.sessions.begin(&config.keys, session, now).await
    }

    /// The cookie of a session at this host, and the trail.
    pub(super) async fn session_cookies(
        &self,
        request: &Request<'_>,
        live: &Arc<LiveSession>,
    ) -> Result<Vec<HeaderValue>, Unavailable> {
        let keys = &request.config().keys;
        let id = self.sessions.open_at(keys, live, request.target.host()).await?;
        let jar = request.jar();
        let left = live.session.expires.since(self.clock.now());
        let count = trail(request).saturating_add(1).to_string();
        Ok(vec![
            jar.set(jar.session(), id.to_text().expose(), left),
            jar.set(jar.trail(), &count, TRAIL_LIFE),
        ])
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

fn parameters<const N: usize>(
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

// === The attempt's cookie ===

fn attempt_row<'r>(request: &'r Request<'_>) -> [&'r [u8]; 2] {
    [b"login-attempt", request.target.host().as_bytes()]
}

fn attempt_cookie(request: &Request<'_>, attempt: &LoginAttempt) -> HeaderValue {
    let plain = serde_json::to_vec(attempt).expect("an attempt is plain JSON");
    let sealed = request.config().keys.seal_attempt(&attempt_row(request), &plain);
    let name = attempt_name(request, &attempt.state);
    request.jar().set(&name, &URL_SAFE_NO_PAD.encode(sealed), LIFE)
}

fn attempt_name(request: &Request<'_>, state: &str) -> String {
    format!("{}{}", request.jar().login(), LoginAttempt::cookie_suffix(state))
}

pub(super) fn clear_attempt(request: &Request<'_>, attempt: &LoginAttempt) -> HeaderValue {
    request.jar().clear(&attempt_name(request, &attempt.state))
}

fn open_attempt(request: &Request<'_>, value: &str) -> Option<LoginAttempt> {
    let sealed = URL_SAFE_NO_PAD.decode(value).ok()?;
    let plain = request.config().keys.open_attempt(&attempt_row(request), &sealed)?;
    serde_json::from_slice(&plain).ok()
}

/// The attempt of this browser that a `state` belongs to.
pub(super) fn find_attempt(request: &Request<'_>, state: &str) -> Option<LoginAttempt> {
    if !stands(Defence::State) {
        return attempts(request).next().map(|(_, attempt)| attempt);
    }
    let name = attempt_name(request, state);
    attempts(request)
        .find(|(found, attempt)| {
            *found == name && bool::from(attempt.state.as_bytes().ct_eq(state.as_bytes()))
        })
        .map(|(_, attempt)| attempt)
}

fn attempts<'r>(request: &'r Request<'_>) -> impl Iterator<Item = (&'r str, LoginAttempt)> {
    cookie::pairs(request.headers)
        .filter(|(name, _)| name.starts_with(request.jar().login()))
        .take(4 * AT_ONCE)
        .filter_map(|(name, value)| Some((name, open_attempt(request, value)?)))
}

/// Cookies that make room for one more attempt: the oldest go, and whatever does not open.
fn forget_oldest(request: &Request<'_>) -> Vec<HeaderValue> {
    let jar = request.jar();
    let mut known: Vec<_> = cookie::pairs(request.headers)
        .filter(|(name, _)| name.starts_with(jar.login()))
        .take(8 * AT_ONCE)
        .filter(|(name, _)| {
            name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        })
        .map(|(name, value)| (open_attempt(request, value).map(|attempt| attempt.started), name))
        .collect();
    known.sort_unstable();
    let surplus = (known.len() + 1).saturating_sub(AT_ONCE);
    known.into_iter().take(surplus).map(|(_, name)| jar.clear(name)).collect()
}

/// Sign-ins within the last half minute; a session that arrives makes the number idle.
fn trail(request: &Request<'_>) -> u8 {
    let mut values = cookie::values(request.headers, request.jar().trail());
    values.next().and_then(|count| count.parse().ok()).unwrap_or(0)
}
