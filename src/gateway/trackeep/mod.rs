//! One sign-in for a Trackeep instance behind the gateway.
//!
//! Trackeep keeps its users' token where every script of its pages can read it. So the gateway fetches
//! the token as a browser would, keeps it beside the visitor's session and sets it on what it forwards;
//! the pages get a placeholder, and the name of who is signed in. Where an operator wants the
//! browser to do it, it carries a one-time code that only its own session may use.

use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use http::{HeaderName, HeaderValue, Method};
use serde_json::json;

use super::action::{Action, Answer, Forward};
use super::broker::said;
use super::ending::Cause;
use super::sign_in::redirect;
use super::{Gateway, LiveSession, Request, Visitor, csrf, error, sign_out, upstream};
use crate::broker::Instance;
use crate::clock::Time;
use crate::defence::{Defence, stands};
use crate::reason::Reason;
use crate::route::{InstanceSignIn, Route, SignInBy};

mod arrival;
mod instance;
mod seat;
mod voucher;

pub(super) use instance::InstanceClient;
pub(super) use seat::{Seats, Taken};

use instance::InstanceError;
use seat::{Place, Seat};

/// Where the instance's own button leads.
const GITHUB_SIGN_IN: &str = "/api/v1/auth/github";

const SIGN_OUT: &str = "/api/v1/auth/logout";

/// How long an instance that refused somebody is not asked for the same again.
const LEFT_ALONE: Duration = Duration::from_secs(5);

// === impl Gateway ===

impl Gateway {
    /// What becomes of a request that a visitor may send to an instance.
    pub(super) async fn pass_to_instance(
        &self,
        request: &Request<'_>,
        route: &Arc<Route>,
        sign_in: &InstanceSignIn,
        visitor: Visitor,
    ) -> Action {
        if visitor.is_api_key() && stands(Defence::ApiKeyScope) {
            // Users of the instance are people: what a code gives would outlive the key.
            let denied = error::fault(request, Reason::ApiKeyScope);
            return Action::respond(denied).for_route(route);
        }
        let passed = match sign_in.by {
            _ if is_sign_out(request) => self.leave(request, route, visitor.session()).await,
            SignInBy::Gateway => self.pass_seated(request, route, sign_in, visitor).await,
            SignInBy::Browser | SignInBy::Button => {
                self.pass_with_own_token(request, route, sign_in, visitor).await
            }
        };
        passed.unwrap_or_else(|reason| {
            Action::respond(error::fault(request, reason)).for_route(route)
        })
    }

    /// Forwards with the instance's token, which the gateway keeps.
    async fn pass_seated(
        &self,
        request: &Request<'_>,
        route: &Arc<Route>,
        sign_in: &InstanceSignIn,
        visitor: Visitor,
    ) -> Result<Action, Reason> {
        let (path, live) = (request.target.path(), visitor.session());
        if voucher::is_callback(path) {
            // Vouchers are redeemed here, so this one was made for somebody else.
            return Err(Reason::ForeignCode);
        }
        // A seat that was taken before does not outlive the right to it.
        self.user_of(request, sign_in, live).await?;
        let place = live.memo.seats.at(route);
        let seat = self.seat(request, route, sign_in, live, &place).await?;
        if path == GITHUB_SIGN_IN || arrival::is_due(request, live) {
            return Ok(Action::respond(arrival::page(request, live, &seat)).for_route(route));
        }
        let reason = visitor.reason();
        let rule = visitor.rule();
        let mut forward = Forward::new(request, route, rule, Some(visitor), reason);
        if stands(Defence::OwnSeat) || !request.headers.contains_key(AUTHORIZATION) {
            forward.fields.push((AUTHORIZATION, seat.authorization.clone()));
        }
        forward.seat = Some(Taken::new(place, seat));
        Ok(Action::forward(forward))
    }

    /// Forwards what carries the instance's token by itself, and brings browsers one.
    async fn pass_with_own_token(
        &self,
        request: &Request<'_>,
        route: &Arc<Route>,
        sign_in: &InstanceSignIn,
        visitor: Visitor,
    ) -> Result<Action, Reason> {
        let (path, live) = (request.target.path(), visitor.session());
        if voucher::is_callback(path) && !self.brings_own_voucher(request, sign_in, live).await? {
            return Err(Reason::ForeignCode);
        }
        // What the browser holds of the instance does not outlive the right to it.
        self.user_of(request, sign_in, live).await?;
        if !arrival::brings_own_token(request, live) && stands(Defence::OwnCode) {
            return Err(Reason::ForeignCode);
        }
        let keeps_token = sign_in.by == SignInBy::Browser;
        if path == GITHUB_SIGN_IN || keeps_token && arrival::is_new_here(request, live) {
            let to = self.own_voucher(request, sign_in, live).await?.to_url();
            let answer = redirect(&to, &[arrival::mark(request, live)], Reason::Endpoint);
            return Ok(Action::respond(answer).for_route(route));
        }
        let forgets = keeps_token && arrival::shows_own_token(request, live);
        let (reason, rule) = (visitor.reason(), visitor.rule());
        let mut forward = Forward::new(request, route, rule, Some(visitor), reason);
        forward.forgets = forgets.then(|| arrival::forget(request));
        Ok(Action::forward(forward))
    }

    /// The instance, and the visitor as one whom its own policy admits by now.
    async fn user_of<'r>(
        &self,
        request: &'r Request<'_>,
        sign_in: &InstanceSignIn,
        live: &Arc<LiveSession>,
    ) -> Result<(&'r Arc<Instance>, Visitor), Reason> {
        let instance = instance_of(request, sign_in)?;
        let visitor = self.admitted_by(request, instance, live.clone()).await?;
        Ok((instance, visitor))
    }

    /// The visitor's seat: the one that is held, or a new one where there is none or where it ends
    /// soon. One request asks; while it renews, the others go on with what there is.
    async fn seat(
        &self,
        request: &Request<'_>,
        route: &Arc<Route>,
        sign_in: &InstanceSignIn,
        live: &Arc<LiveSession>,
        place: &Place,
    ) -> Result<Arc<Seat>, Reason> {
        let now = self.clock.now();
        let held = place.seat(now);
        let mut refused = match held {
            Some(seat) if !seat.wants_renewal(now) && !is_asked_anew(request, &seat, now) => {
                return Ok(seat);
            }
            Some(seat) => match place.refused.try_lock() {
                Ok(turn) => turn,
                Err(_) => return Ok(seat),
            },
            None => place.refused.lock().await,
        };
        let held = place.seat(now);
        let was_refused = refused.is_some_and(|at| now >= at && now.since(at) < LEFT_ALONE);
        match held {
            Some(seat)
                if was_refused
                    || !seat.wants_renewal(now) && !is_asked_anew(request, &seat, now) =>
            {
                return Ok(seat);
            }
            None if was_refused => return Err(Reason::InstanceUnavailable),
            _ => {}
        }
        match Box::pin(self.take_seat(request, route, sign_in, live)).await {
            Ok(seat) => {
                *refused = None;
                let seat = Arc::new(seat);
                place.take(seat.clone());
                self.sessions.weigh(live);
                Ok(seat)
            }
            Err(reason) => {
                *refused = Some(now);
                held.ok_or(reason)
            }
        }
    }

    async fn take_seat(
        &self,
        request: &Request<'_>,
        route: &Arc<Route>,
        sign_in: &InstanceSignIn,
        live: &Arc<LiveSession>,
    ) -> Result<Seat, Reason> {
        let instance = request.snapshot.instance(route).ok_or(Reason::InstanceUnavailable)?;
        let voucher = self.own_voucher(request, sign_in, live).await?;
        let fields = fields(request, route);
        let (own, now) = (request.here(), self.clock.now());
        instance.sign_in(&fields, &own, &voucher, now).await.map_err(|error: InstanceError| {
            tracing::warn!(request.id = request.id, route = &*route.name, "{error}");
            Reason::InstanceUnavailable
        })
    }

    /// Signing out of the instance is signing out: its pages have one button for that. The instance does
    /// nothing at a sign-out but say so.
    async fn leave(
        &self,
        request: &Request<'_>,
        route: &Arc<Route>,
        live: &LiveSession,
    ) -> Result<Action, Reason> {
        let ended = self.end_session(request.snapshot, live.key, live.account.id, Cause::SignOut);
        ended.await.map_err(self.no_store(request))?;
        let answer = said(&json!({ "message": "Logged out successfully" }));
        let mut answer = sign_out::without_cookies(request, answer);
        answer.response.headers_mut().append(SET_COOKIE, arrival::left(request));
        Ok(Action::respond(answer).for_route(route))
    }
}

impl Forward {
    /// The app refused what it was sent: a token that it gave before may be good no more, so the next
    /// request asks for another one. Where the browser keeps the token, its next page does, for it
    /// loses the cookie that is returned.
    pub fn was_refused(&self) -> Option<&HeaderValue> {
        if let Some(taken) = &self.seat {
            taken.give_up();
        }
        self.forgets.as_ref()
    }
}

/// After the instance's own sign-out its pages go to where they would sign in. Whoever is still known
/// at GitHub would be back at once, and would have signed out in vain.
pub(super) fn signed_out(request: &Request<'_>, route: &Route) -> Option<Answer> {
    let has_left = route.sign_in.is_some() && arrival::has_left(request);
    has_left.then(|| {
        let mut answer = sign_out::signed_out(request, sign_out::OVER);
        answer.response.headers_mut().append(SET_COOKIE, arrival::forget(request));
        answer
    })
}

/// What the instance is told of a visitor whom the gateway signs in: nothing that the browser keeps for
/// it, for a neighbour of the instance may have put it there.
fn fields(request: &Request<'_>, route: &Route) -> Vec<(HeaderName, HeaderValue)> {
    let mut fields = upstream::fields(request, route, None, None);
    fields.retain(|(name, _)| *name != COOKIE);
    fields.extend(route.passing.placeholder_cookie.clone().map(|cookie| (COOKIE, cookie)));
    fields
}

fn instance_of<'r>(
    request: &'r Request<'_>,
    sign_in: &InstanceSignIn,
) -> Result<&'r Arc<Instance>, Reason> {
    let broker = request.config().broker.as_ref();
    let instance = broker.and_then(|broker| broker.named(&sign_in.instance));
    // The configuration was checked for it.
    instance.ok_or(Reason::Internal)
}

/// Whether the visitor presses the instance's own button, which is for when what the instance holds here
/// has ended. No page of another site presses it for them, and nobody all the time.
fn is_asked_anew(request: &Request<'_>, seat: &Seat, now: Time) -> bool {
    request.target.path() == GITHUB_SIGN_IN
        && request.is_navigation()
        && csrf::may_write(request)
        && seat.is_older_than(LEFT_ALONE, now)
}

fn is_sign_out(request: &Request<'_>) -> bool {
    request.target.path() == SIGN_OUT && *request.method == Method::POST
}
