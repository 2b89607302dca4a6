//! Pingora's side of a request: thin. It reads and writes; the gateway decides.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT, SET_COOKIE, STRICT_TRANSPORT_SECURITY};
use http::request::Parts as RequestParts;
use http::{HeaderValue, Method, Response, StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};

use super::answer::{ended, guarded, reason_of, to_https, write};
use super::body;
use super::connection::{Peer, peer_of};
use super::header::{asks_for_websocket, check_header, content_length, has_body, target_of};
use super::room::Room;
use super::websocket::Patience;
use super::{Running, Shared, client, onward};
use crate::config::Config;
use crate::cookie;
use crate::defence::{Defence, stands};
use crate::gateway::{
    Action, Forward, Request, RequestIds, Snapshot, Streamed, Visitor, fault_page, leads_away,
};
use crate::log::Access;
use crate::reason::Reason;
use crate::route::{Answers, Route};

/// The gateway as Pingora sees it.
pub(super) struct Proxy {
    shared: Arc<Shared>,
    ids: RequestIds,
    room: Room,
}

/// What one request carries through Pingora's phases.
pub(super) struct Ctx {
    running: Arc<Running>,
    started: Instant,
    id: String,
    client: Option<HeaderValue>,
    host: String,
    path: String,
    forward: Option<Box<Forward>>,
    /// Who asks GitHub's API.
    user: Option<Visitor>,
    route: Option<Arc<Route>>,
    reason: Reason,
    body_bytes: u64,
    tries: u8,
    /// Of the connection to the app, when the request wants to become a WebSocket.
    patience: Option<Arc<Patience>>,
    in_flight: bool,
}

/// What follows from a decision.
enum Next {
    Forward,
    Answer(Response<Bytes>),
    Stream(Box<Streamed>),
}

/// For one write to an HTTP/2 stream.
const H2_WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// Connections to an upstream that are tried for one request.
const MOST_TRIES: u8 = 3;

// === impl Proxy ===

impl Proxy {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, ids: RequestIds::new(), room: Room::new() }
    }

    /// A long answer or a WebSocket does not outlive its session.
    fn still_signed_in(&self, forward: &Forward) -> Result<()> {
        if !forward.visitor.as_ref().is_none_or(|visitor| self.may_go_on(visitor)) {
            return Err(ended());
        }
        Ok(())
    }

    /// By the configuration of now.
    fn may_go_on(&self, visitor: &Visitor) -> bool {
        self.shared.gateway.may_go_on(&self.shared.running.load().snapshot, visitor)
    }

    /// Answers or prepares to forward; the one place where a request meets the gateway.
    async fn handle(&self, session: &mut Session, ctx: &mut Ctx) -> Result<Next> {
        let running = ctx.running.clone();
        let config = &running.snapshot.config;
        if let Err(reason) = check_header(session.req_header(), &config.limits) {
            return Ok(Next::Answer(refuse(session, ctx, reason)));
        }
        let connection = session.digest().and_then(|digest| digest.proxy_digest.clone());
        let Some(peer) = connection.as_deref().and_then(peer_of) else {
            return Ok(Next::Answer(refuse(session, ctx, Reason::Internal)));
        };
        let client = client::of(&peer.client, &session.req_header().headers, config);
        ctx.client = Some(client.text.clone());
        let Some(body) = body::read(session, config, &client, &self.room).await? else {
            return Ok(Next::Answer(refuse(session, ctx, Reason::BodyTooLarge)));
        };
        if peer.saw_fragment() {
            return Ok(Next::Answer(refuse(session, ctx, Reason::AmbiguousTarget)));
        }
        let head = session.req_header();
        let target = match target_of(head) {
            Ok(target) => target,
            Err(ambiguity) => {
                tracing::debug!(request.id = ctx.id, "{ambiguity}");
                return Ok(Next::Answer(refuse(session, ctx, Reason::AmbiguousTarget)));
            }
        };
        target.host().clone_into(&mut ctx.host);
        target.path().clone_into(&mut ctx.path);
        if peer.redirects {
            let redirect = to_https(&target, config);
            ctx.reason = Reason::Endpoint;
            let response = redirect.unwrap_or_else(|| refuse(session, ctx, Reason::NoRoute));
            return Ok(Next::Answer(response));
        }
        let request = Request {
            snapshot: &running.snapshot,
            method: &head.method,
            headers: &head.headers,
            target,
            client,
            last: &peer.last,
            id: &ctx.id,
            body: body.bytes.clone(),
        };
        let action = self.shared.gateway.handle(&request).await;
        match self.ask_github(session, ctx, &running.snapshot, action).await? {
            Some(action) => next(session, ctx, action),
            None => Ok(Next::Answer(refuse(session, ctx, Reason::BodyTooLarge))),
        }
    }

    /// What becomes of an action once GitHub has been asked, where it is about that; `None` when the
    /// body is larger than the route allows. What only some requests wait for is boxed, here and
    /// below: the future of every request is moved about, and would be as large as the largest.
    async fn ask_github(
        &self,
        session: &mut Session,
        ctx: &mut Ctx,
        snapshot: &Snapshot,
        action: Action,
    ) -> Result<Option<Action>> {
        let gateway = &self.shared.gateway;
        match action {
            Action::Read(reading) => {
                (ctx.route, ctx.user) =
                    (Some(reading.route.clone()), Some(reading.visitor.clone()));
                Box::pin(onward::read(session, gateway, snapshot, *reading)).await.map(Some)
            }
            Action::Send(sending) => {
                (ctx.route, ctx.user) =
                    (Some(sending.route.clone()), Some(sending.visitor.clone()));
                let may_go_on = |visitor: &Visitor| self.may_go_on(visitor);
                Box::pin(onward::send(session, gateway, snapshot, *sending, may_go_on)).await
            }
            action => Ok(Some(action)),
        }
    }
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = Ctx;

    fn new_ctx(&self) -> Ctx {
        Ctx {
            running: self.shared.running.load_full(),
            started: Instant::now(),
            id: self.ids.next(),
            client: None,
            host: String::new(),
            path: String::new(),
            forward: None,
            user: None,
            route: None,
            reason: Reason::Internal,
            body_bytes: 0,
            tries: 0,
            patience: None,
            in_flight: false,
        }
    }

    /// No compression module: apps compress, and pages with secrets should not.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, ctx: &mut Ctx) -> Result<bool> {
        if let Some(peer) = peer_of_session(session) {
            peer.header_done();
        }
        if session.req_header().version == Version::HTTP_2 {
            // A client that opens no window stalls one stream, which the connection cannot see.
            session.set_write_timeout(Some(H2_WRITE_TIMEOUT));
        }
        self.shared.metrics.http_requests_in_flight.inc();
        ctx.in_flight = true;
        match self.handle(session, ctx).await? {
            Next::Forward => return Ok(false),
            Next::Answer(mut response) => {
                if peer_of_session(session).is_some_and(|peer| peer.redirects) {
                    // It means nothing without TLS (RFC 6797 §7.2).
                    response.headers_mut().remove(STRICT_TRANSPORT_SECURITY);
                }
                let user = ctx.user.as_ref();
                let may_go_on = || user.is_none_or(|visitor| self.may_go_on(visitor));
                write(session, response, may_go_on).await?;
            }
            Next::Stream(streamed) => {
                let may_go_on = |visitor: &Visitor| self.may_go_on(visitor);
                Box::pin(onward::stream(session, *streamed, may_go_on)).await?;
            }
        }
        Ok(true)
    }

    async fn upstream_peer(&self, session: &mut Session, ctx: &mut Ctx) -> Result<Box<HttpPeer>> {
        ctx.tries += 1;
        let forward = ctx.forward.as_ref().ok_or_else(nothing_decided)?;
        let backend = ctx.running.backends.of(&forward.route, forward.server);
        let mut peer = backend.and_then(super::backend::Backend::next).ok_or_else(|| {
            Error::explain(ErrorType::ConnectNoRoute, "the upstream's name is not resolved yet")
        })?;
        if forward.may_stay_silent {
            peer.options.read_timeout = None;
        } else if forward.read_timeout.is_some() {
            peer.options.read_timeout = forward.read_timeout;
        }
        if !has_body(session.req_header()) {
            // A header alone does not fill a socket; a timer for it would cost every request.
            peer.options.write_timeout = None;
        }
        ctx.patience =
            asks_for_websocket(session.req_header()).then(|| Patience::lend(&mut peer, &ctx.id));
        Ok(peer)
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        ctx: &mut Ctx,
        mut error: Box<Error>,
    ) -> Box<Error> {
        // Nothing was sent yet, so trying the next address is safe for any method.
        error.set_retry(ctx.tries < MOST_TRIES);
        error
    }

    /// Pingora's own rule, and the route's: the app may have done what it did not answer.
    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        ctx: &mut Ctx,
        client_reused: bool,
    ) -> Box<Error> {
        let mut error = error.more_context(format!("Peer: {peer}"));
        let method = &session.req_header().method;
        let forward = ctx.forward.as_ref();
        let takes = forward.is_some_and(|forward| forward.route.passing.resend.takes(method));
        if takes && !session.as_ref().retry_buffer_truncated() {
            error.retry.decide_reuse(client_reused);
        } else {
            error.set_retry(false);
        }
        error
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        upstream: &mut RequestHeader,
        ctx: &mut Ctx,
    ) -> Result<()> {
        let forward = ctx.forward.as_ref().ok_or_else(nothing_decided)?;
        if let Some(patience) = &ctx.patience {
            patience.begin();
        }
        // Taken apart, edited as a plain `http` header and put together again: Pingora's map of
        // names as they were spelled would double each edit. Names go upstream in lower case.
        let ends_here = upstream.send_end_stream();
        let mut parts = RequestParts::from(std::mem::replace(upstream, empty_header()?));
        let unwanted: Vec<_> =
            parts.headers.keys().filter(|name| forward.strips(name)).cloned().collect();
        for name in unwanted {
            parts.headers.remove(name);
        }
        parts.headers.reserve(forward.fields.len());
        for (name, value) in &forward.fields {
            parts.headers.insert(name.clone(), value.clone());
        }
        *upstream = RequestHeader::from(parts);
        if let Some(ends_here) = ends_here {
            upstream.set_send_end_stream(ends_here);
        }
        if let Some(target) = &forward.path_and_query {
            upstream.set_raw_path(target.as_bytes())?;
        }
        Ok(())
    }

    /// Must not wait for anything: see `websocket.rs`.
    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        _end: bool,
        ctx: &mut Ctx,
    ) -> Result<()> {
        let Some(forward) = &ctx.forward else { return Ok(()) };
        ctx.body_bytes += body.as_ref().map_or(0, |chunk| chunk.len() as u64);
        // What a WebSocket carries is no body.
        if ctx.body_bytes > forward.body_limit && !session.was_upgraded() {
            ctx.reason = Reason::BodyTooLarge;
            return Err(Error::new(ErrorType::HTTPStatus(413)).into_down());
        }
        self.still_signed_in(forward)
    }

    async fn upstream_response_filter(
        &self,
        _session: &mut Session,
        upstream: &mut ResponseHeader,
        ctx: &mut Ctx,
    ) -> Result<()> {
        let own = ctx.forward.as_ref().and_then(|forward| forward.stays_at.as_ref());
        if own.is_some_and(|own| leads_away(&upstream.headers, own)) {
            ctx.reason = Reason::RedirectedAway;
            let why = "the app sends the browser to another site";
            return Err(Error::explain(ErrorType::InvalidHTTPHeader, why).into_up());
        }
        let ours = upstream.headers.get_all(SET_COOKIE).iter().any(cookie::sets_ours);
        if ours && stands(Defence::OwnCookies) {
            let theirs: Vec<_> = upstream
                .headers
                .get_all(SET_COOKIE)
                .iter()
                .filter(|value| !cookie::sets_ours(value))
                .cloned()
                .collect();
            upstream.remove_header(&SET_COOKIE);
            for value in theirs {
                upstream.append_header(SET_COOKIE, value)?;
            }
        }
        if upstream.status == StatusCode::UNAUTHORIZED
            && let Some(lost) = ctx.forward.as_ref().and_then(|forward| forward.was_refused())
        {
            upstream.append_header(SET_COOKIE, lost.clone())?;
        }
        Ok(())
    }

    fn response_body_filter(
        &self,
        _session: &mut Session,
        _body: &mut Option<Bytes>,
        _end: bool,
        ctx: &mut Ctx,
    ) -> Result<Option<Duration>> {
        ctx.forward.as_ref().map_or(Ok(()), |forward| self.still_signed_in(forward))?;
        Ok(None)
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        ctx: &mut Ctx,
    ) -> FailToProxy {
        let reason = reason_of(error, ctx.reason);
        // "100 Continue" is no answer yet.
        let is_answered =
            session.response_written().is_some_and(|head| !head.status.is_informational());
        if reason == Reason::ClientGone || is_answered {
            ctx.reason = reason;
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        }
        let response = refuse(session, ctx, reason);
        let error_code = response.status().as_u16();
        if let Err(error) = write(session, response, || true).await {
            tracing::debug!(request.id = ctx.id, "the error page could not be sent: {error}");
        }
        FailToProxy { error_code, can_reuse_downstream: false }
    }

    /// Clients leave all the time; upstream trouble is logged by `logging`, once and without a
    /// query.
    fn suppress_error_log(&self, _session: &Session, _ctx: &Ctx, _error: &Error) -> bool {
        true
    }

    fn request_summary(&self, _session: &Session, ctx: &Ctx) -> String {
        format!("request {}", ctx.id)
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut Ctx) {
        if let Some(peer) = peer_of_session(session) {
            peer.request_done();
        }
        if let Some(error) = error
            && matches!(
                ctx.reason,
                Reason::UpstreamUnavailable | Reason::UpstreamTimeout | Reason::RedirectedAway
            )
        {
            tracing::warn!(request.id = ctx.id, route = route_name(ctx), "upstream: {error}");
        }
        let status = session.response_written().map_or(0, |response| response.status.as_u16());
        let elapsed = ctx.started.elapsed();
        let metrics = ctx.running.snapshot.route_metrics(ctx.route.as_deref());
        self.shared.metrics.answered(metrics, status, elapsed.as_secs_f64());
        let log = &ctx.running.snapshot.config.log;
        if log.access {
            let client = ctx.client.as_ref().and_then(|client| client.to_str().ok());
            let forwarded = ctx.forward.as_ref().and_then(|forward| forward.visitor.as_ref());
            let user = forwarded.or(ctx.user.as_ref()).map(Visitor::login);
            let access = Access {
                time: self.shared.gateway.clock().now().unix(),
                request_id: &ctx.id,
                route: route_name(ctx),
                client: client.unwrap_or_default(),
                method: session.req_header().method.as_str(),
                host: &ctx.host,
                path: &ctx.path,
                status,
                reason: ctx.reason.word(),
                user: user.unwrap_or_default(),
                bytes: session.body_bytes_sent() as u64,
                duration_us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            };
            self.shared.access_log.write(log.format, &access);
        }
        if std::mem::take(&mut ctx.in_flight) {
            self.shared.metrics.http_requests_in_flight.dec();
        }
    }
}

/// What follows from an action.
fn next(session: &Session, ctx: &mut Ctx, action: Action) -> Result<Next> {
    match action {
        Action::Respond { answer, route, visitor } => {
            (ctx.route, ctx.reason) = (route, answer.reason);
            ctx.user = visitor.map(|visitor| *visitor);
            // What is for a visitor of GitHub's API is GitHub's, and says so itself.
            let is_own = ctx.user.is_none();
            let response = answer.response;
            Ok(Next::Answer(if is_own { guarded(response, config_of(ctx)) } else { response }))
        }
        Action::Forward(forward) => {
            (ctx.route, ctx.reason) = (Some(forward.route.clone()), forward.reason);
            let limit = forward.body_limit;
            ctx.forward = Some(forward);
            let too_large = content_length(session.req_header()).is_some_and(|n| n > limit);
            Ok(if too_large {
                Next::Answer(refuse(session, ctx, Reason::BodyTooLarge))
            } else {
                Next::Forward
            })
        }
        Action::Stream(streamed) => {
            (ctx.route, ctx.reason) = (Some(streamed.route.clone()), streamed.visitor.reason());
            ctx.user = Some(streamed.visitor.clone());
            Ok(Next::Stream(streamed))
        }
        // Asked and sent already, and never twice.
        Action::Read(_) | Action::Send(_) => Err(nothing_decided()),
    }
}

fn route_name(ctx: &Ctx) -> &str {
    ctx.route.as_ref().map_or("", |route| &route.name)
}

fn empty_header() -> Result<RequestHeader> {
    RequestHeader::build_no_case(Method::GET, b"/", Some(0))
}

/// A phase that comes after the decision found none: refuse.
#[expect(clippy::unnecessary_box_returns, reason = "Pingora's errors are boxed")]
fn nothing_decided() -> Box<Error> {
    Error::explain(ErrorType::InternalError, "the request was not decided")
}

fn peer_of_session(session: &Session) -> Option<&Peer> {
    session.digest()?.proxy_digest.as_deref().and_then(peer_of)
}

/// A page for a request that got no answer from the gateway.
fn refuse(session: &Session, ctx: &mut Ctx, reason: Reason) -> Response<Bytes> {
    ctx.reason = reason;
    let config = config_of(ctx);
    let branding = &config.branding;
    let head = session.req_header();
    let route = ctx.route.as_ref();
    if route.is_some_and(|route| route.answers(&ctx.path, &head.method) == Answers::Json) {
        let json = HeaderValue::from_static("application/json");
        let headers = [(ACCEPT, json)].into_iter().collect();
        return guarded(fault_page(reason, &ctx.id, &headers, branding), config);
    }
    guarded(fault_page(reason, &ctx.id, &head.headers, branding), config)
}

fn config_of(ctx: &Ctx) -> &Config {
    &ctx.running.snapshot.config
}
