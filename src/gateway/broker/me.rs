//! Tokens that a browser carries: signed for one instance, named after a session that can be ended, and
//! shown here again.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    AUTHORIZATION, ORIGIN, VARY,
};
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::{Value, json};

use super::super::action::Answer;
use super::super::allowed::A_QUESTION;
use super::super::{Gateway, LiveSession, Request, Visitor, my_api_keys};
use super::exchange::{comes_from_its_server, email, user};
use super::{answer, brought, refused, said, shows_something};
use crate::broker::{Broker, Contract, Instance, InstanceClaims, Signing, Target, bearer};
use crate::clock::Time;
use crate::keys::{sign_for_instance, verify_for_instance};
use crate::reason::Reason;
use crate::secret::Secret;
use crate::session::SessionKey;
use crate::store::Made;

// === impl Gateway: signing ===

impl Gateway {
    /// A token for a browser to carry to an instance.
    pub(super) async fn signed_for(
        &self,
        request: &Request<'_>,
        (instance, signing): (&Instance, &Signing),
        target: &Target,
        visitor: &Visitor,
    ) -> Result<Secret<String>, Reason> {
        let (config, now) = (request.config(), self.clock.now());
        let owner = visitor.session();
        let routes = if signing.legacy_github_token { vec![] } else { api_routes(request, owner) };
        let session = self.session_for(request, instance, owner, routes);
        let ends = session.expires;
        let kept = self.tokens.credentials().keep_until(&config.keys, session.account, ends).await;
        kept.map_err(self.no_store(request))?;
        let made = self.sessions.make_api_key(&config.keys, owner, session).await;
        let (key, name) = match made.map_err(self.no_store(request))? {
            Made::Key(key, name) => (key, name),
            Made::TooMany | Made::Over => return Err(Reason::SessionEnded),
        };
        let (access_token, access_ends) = if signing.legacy_github_token {
            self.real_token(request, visitor).await?
        } else {
            (key.to_text(), None)
        };
        let who = visitor.session().account.identity();
        let claims = InstanceClaims {
            user_id: who.id,
            github_id: who.id,
            username: who.login.to_string(),
            email: email(config, &who),
            access_token: access_token.expose().clone(),
            token_type: "bearer".to_owned(),
            expires_at: access_ends.map_or(ends, |access: Time| access.min(ends)).unix(),
            exp: ends.unix(),
            iat: now.unix(),
            iss: config.public_url.to_string(),
            aud: target.origin().to_string(),
            jti: name.to_string(),
        };
        Ok(sign_for_instance(signing.key.expose(), &claims))
    }

    /// The visitor's own token: what an operator gives away by name.
    async fn real_token(
        &self,
        request: &Request<'_>,
        visitor: &Visitor,
    ) -> Result<(Secret<String>, Option<Time>), Reason> {
        let account = visitor.session().account.id;
        let credential = self.tokens.usable(&request.snapshot.asking(), account).await;
        let grant = credential.map_err(|error| error.reason())?.grant;
        Ok((grant.access, grant.access_ends))
    }
}

/// The routes to GitHub's API that a visitor may use.
fn api_routes(request: &Request<'_>, live: &LiveSession) -> Vec<Box<str>> {
    let open = my_api_keys::routes_of(request, live);
    let to_github = open.into_iter().filter(|route| route.upstream.api().is_some());
    to_github.map(|route| route.name.clone()).collect()
}

// === impl Gateway: shown again ===

impl Gateway {
    /// `POST /api/v1/auth/oauth/callback`: a server shows what the browser brought.
    pub(super) async fn validate(
        &self,
        request: &Request<'_>,
        broker: &Broker,
    ) -> Result<Value, Reason> {
        let token = brought(&request.body)?;
        let by_browser = |instance: &Arc<Instance>| matches!(instance.contract, Contract::OAuth(_));
        let (instance, live) =
            self.holder_of(request, broker, token.as_bytes(), by_browser).await?;
        comes_from_its_server(request, &instance)?;
        Ok(json!({ "token": token, "user": user(request.config(), &live.account.identity()) }))
    }

    /// The instance that a signed token is for, and whose session it names, if its instance still admits them.
    async fn holder_of(
        &self,
        request: &Request<'_>,
        broker: &Broker,
        token: &[u8],
        is_asked: impl Fn(&Arc<Instance>) -> bool,
    ) -> Result<(Arc<Instance>, Arc<LiveSession>), Reason> {
        let verified = broker.instances.iter().filter(|one| is_asked(one)).find_map(|instance| {
            let claims = self.verified(request, instance, token)?;
            let name: SessionKey = claims.jti.parse().ok()?;
            Some((instance, name))
        });
        let (instance, name) = verified.ok_or(Reason::BadInstanceToken)?;
        let live = self.session_named(request, instance, name).await?;
        self.take_for(request, &live, A_QUESTION)?;
        self.admitted_by(request, instance, live.clone()).await?;
        Ok((instance.clone(), live))
    }

    /// What a token says that was signed here for an instance, and has not expired. Whether what it
    /// names goes on is asked elsewhere.
    pub(in crate::gateway) fn verified(
        &self,
        request: &Request<'_>,
        instance: &Instance,
        token: &[u8],
    ) -> Option<InstanceClaims> {
        let key = &instance.contract.signing()?.key;
        let claims: InstanceClaims = verify_for_instance(key.expose(), token)?;
        let is_ours = claims.iss == request.config().public_url.to_string();
        let is_good = is_ours && instance.is_audience(&claims.aud);
        (is_good && self.clock.now().unix() < claims.exp).then_some(claims)
    }

    /// `GET /api/v1/user/me`: for programs, and for pages of the instances' own origins.
    pub(super) async fn me(&self, request: &Request<'_>, broker: &Broker) -> Answer {
        let mut answer = if *request.method == Method::OPTIONS {
            nothing()
        } else {
            self.told_of_oneself(request, broker).await
        };
        share(request, broker, &mut answer);
        answer
    }

    async fn told_of_oneself(&self, request: &Request<'_>, broker: &Broker) -> Answer {
        // In the words of the service before, by which its clients tell them apart.
        let unauthorized = |words: &str| {
            let status = StatusCode::UNAUTHORIZED;
            answer(status, &json!({ "error": words }), Reason::BadInstanceToken)
        };
        if !shows_something(request) {
            return unauthorized("No authorization header");
        }
        let Some(token) = bearer(request.headers) else { return unauthorized("Invalid token") };
        match self.holder_of(request, broker, token, |_| true).await {
            Ok((_, live)) => said(&json!({ "user": profile(request, &live) })),
            Err(Reason::BadInstanceToken) => unauthorized("Invalid token"),
            Err(reason) => refused(reason),
        }
    }
}

fn nothing() -> Answer {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Answer { response, reason: Reason::Preflight }
}

fn profile(request: &Request<'_>, live: &LiveSession) -> Value {
    let mut user = user(request.config(), &live.account.identity());
    user["created_at"] = json!(live.created.to_rfc3339());
    user["last_login"] = json!(live.created.to_rfc3339());
    user["role"] = json!("user");
    user
}

/// Tells a browser that a page of an instance's own origin may read the answer, and no other page.
fn share(request: &Request<'_>, broker: &Broker, answer: &mut Answer) {
    let headers = answer.response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = request.headers.get(ORIGIN) else { return };
    let mut signed = broker.instances.iter().filter(|one| one.contract.signing().is_some());
    let is_its =
        |instance: &Arc<Instance>| origin.to_str().is_ok_and(|origin| instance.is_audience(origin));
    if signed.any(is_its) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, OPTIONS"));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from(AUTHORIZATION));
    }
}
