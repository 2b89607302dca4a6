//! Everything that is not a reading: writes, GraphQL, files for GitHub. Sent once, never from what is
//! held, and what it may have changed is not fresh any more.

use std::time::{Duration, Instant};

use http::header::LOCATION;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

use super::exchange::{Broken, Got, Large, collect};
use super::flows::FlowPlace;
use super::reply::{Arrival, Mode, Reply, forwarded};
use super::{Api, Means};
use crate::budget::{Kind, Resource};
use crate::defence::{Defence, stands};
use crate::freshness::ApiPath;
use crate::freshness::tags::{Reply as Written, written};
use crate::github::budgets::{BudgetKey, Call, Permit, Refused};
use crate::passage::cache_status::{Source, Why};
use crate::passage::response;
use crate::store::{Body, Principal};

/// Something to be sent.
pub struct Order {
    /// In whose name.
    pub who: Principal,
    /// Whose account sends it, of those who share the budget.
    pub account: u64,
    /// Whose budget it counts against.
    pub budget: BudgetKey,
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub url: String,
    /// Its path below the API; `None` for GraphQL.
    pub path: Option<ApiPath>,
    /// Whether it can change anything: a query of GraphQL cannot.
    pub changes: bool,
    /// How long it may wait for its turn.
    pub max_wait: Duration,
}

/// What becomes of an order. Where nobody waited for that, it may be anything.
struct Fate<'a> {
    api: &'a Api,
    order: &'a Order,
    is_known: bool,
}

// === impl Order ===

impl Order {
    /// Whether this goes to GraphQL.
    pub fn is_graphql(&self) -> bool {
        self.path.is_none()
    }

    /// The limit that it counts against.
    pub fn resource(&self) -> Resource {
        Resource::predicted(&self.method, self.path_text())
    }

    fn path_text(&self) -> &str {
        self.path.as_ref().map_or("/graphql", ApiPath::path)
    }

    /// `waited` is how long it has waited for other things.
    fn call(&self, waited: Duration) -> Call<'_> {
        Call {
            key: self.budget.clone(),
            caller: self.account,
            method: &self.method,
            path: self.path_text(),
            template: self.path.as_ref().map_or("/graphql", ApiPath::template),
            kind: if self.changes && self.is_graphql() { Kind::Mutation } else { Kind::Ordinary },
            max_wait: self.max_wait.saturating_sub(waited),
        }
    }
}

// === impl Api ===

impl Api {
    /// Sends it, once. A body that flows takes as long as its client does, and is in nobody's way for
    /// that long: it has a place of its own, and whoever waits for a turn does not wait for its end.
    ///
    /// `None` where it `may_go_on` no more once its turn has come: GitHub has not heard of it.
    pub async fn send(
        &self,
        order: &Order,
        means: &Means,
        body: Option<reqwest::Body>,
        may_go_on: impl Fn() -> bool,
    ) -> Option<Arrival> {
        let (permit, place) = match self.let_in(order, body.as_ref()).await {
            Ok(entered) => entered,
            Err(turned_away) => return Some(turned_away),
        };
        if !may_go_on() && stands(Defence::FlowEnds) {
            permit.give_back();
            return None;
        }
        Some(self.send_now(order, means, body, (permit, place)).await)
    }

    async fn send_now(
        &self,
        order: &Order,
        means: &Means,
        body: Option<reqwest::Body>,
        (mut permit, place): (Permit, Option<FlowPlace>),
    ) -> Arrival {
        self.may_have_changed(order, None);
        let mut fate = Fate { api: self, order, is_known: false };
        let began = Instant::now();
        let (method, fields) = (order.method.clone(), means.fields.clone());
        let sent = means.exchange.send(method, &order.url, fields, body).await;
        drop(place);
        let got = match sent {
            Ok(response) => collect(response).await,
            Err(broken) => Err(broken),
        };
        let is_answered = got.as_ref().is_ok_and(Got::is_an_answer);
        self.outage.note(order.account, is_answered, self.clock.now());
        if let Ok(got) = &got {
            self.heed_scopes(order.who, got.headers(), None).await;
        }
        let took = began.elapsed();
        let source = |status| forwarded(Why::Method, status);
        match got {
            Err(broken) => {
                permit.unanswered(broken.word());
                let status = match broken {
                    Broken::TimedOut => StatusCode::GATEWAY_TIMEOUT,
                    Broken::Unreachable | Broken::Cut => StatusCode::BAD_GATEWAY,
                };
                Arrival::Whole(self.counted(Reply::bare(status, order.resource(), source(None))))
            }
            Ok(Got::Large(large)) => {
                permit.answered(large.status, &large.headers, &large.start, took);
                self.flow_back(order, large, permit).await
            }
            Ok(Got::Whole(whole)) => {
                permit.answered(whole.status, &whole.headers, &whole.bytes, took);
                fate.is_known = true;
                self.may_have_changed(order, Some((whole.status, &whole.headers, &whole.bytes)));
                let reply = Reply {
                    headers: std::sync::Arc::new(response::fields(&whole.headers)),
                    body: Body::new(whole.bytes),
                    ..Reply::bare(whole.status, order.resource(), source(Some(whole.status)))
                };
                Arrival::Whole(self.counted(reply))
            }
        }
    }

    /// Waits for the order's turn, and before that for a place where its body flows. Whoever is turned
    /// away is so before GitHub has heard anything.
    async fn let_in(
        &self,
        order: &Order,
        body: Option<&reqwest::Body>,
    ) -> Result<(Permit, Option<FlowPlace>), Arrival> {
        let crowded = || self.turn_away(order);
        let owes = || order.changes && !self.room.may_write(order.account);
        if owes() {
            return Err(crowded());
        }
        let came = Instant::now();
        let flows = body.is_some_and(|body| body.as_bytes().is_none());
        let place = if flows {
            let place = self.uploads.enter(order.account, order.max_wait).await;
            Some(place.ok_or_else(crowded)?)
        } else {
            None
        };
        let entered = self.budgets.enter(order.call(came.elapsed())).await;
        let permit = entered.map_err(|refused| self.refused(order, refused))?;
        // What was sent before it may have been answered while it waited.
        if owes() {
            permit.give_back();
            return Err(crowded());
        }
        if place.is_some() {
            permit.step_aside();
        }
        Ok((permit, place))
    }

    /// What becomes of an order for which there is no room: nothing.
    pub fn turn_away(&self, order: &Order) -> Arrival {
        self.crowded(order.resource(), Source::Gateway)
    }

    fn refused(&self, order: &Order, refused: Refused) -> Arrival {
        let status = StatusCode::TOO_MANY_REQUESTS;
        let mut reply = Reply::bare(status, order.resource(), Source::Gateway);
        reply.account.detail = Some("refused");
        reply.mode = Mode::Refused;
        Arrival::Whole(self.counted(Reply { refused: Some(refused), ..reply }))
    }

    /// An answer that is too large to hold. What has happened is never told as if it had not.
    async fn flow_back(&self, order: &Order, large: Large, permit: Permit) -> Arrival {
        let source = forwarded(Why::Method, Some(large.status));
        let stream = permit.flows_on();
        match self.place_to_flow(order.account, order.max_wait).await {
            Some(place) => self.flowing(large, source, order.resource(), (place, stream)),
            None if order.changes => {
                let owed = self.room.owe(order.account);
                self.flowing(large, source, order.resource(), (owed, stream))
            }
            None => self.crowded(order.resource(), source),
        }
    }

    /// Notes what an order may have changed: when it is sent, and again when it is answered, for what
    /// was asked in between may be from before or from after.
    fn may_have_changed(&self, order: &Order, answer: Option<(StatusCode, &HeaderMap, &[u8])>) {
        if !order.changes {
            return;
        }
        let Some(path) = &order.path else {
            // What a mutation changes is in its text alone.
            return self.changed_for(order.who);
        };
        let me = order.who.user();
        let tags = match answer {
            None => written(&order.method, path, me, None),
            Some((status, headers, bytes)) => {
                let body: Option<Value> = serde_json::from_slice(bytes).ok();
                let location = headers.get(LOCATION).and_then(|to| to.to_str().ok());
                let answer = Written { status, body: body.as_ref(), location };
                written(&order.method, path, me, Some(&answer))
            }
        };
        self.changed(tags);
    }
}

// === impl Fate ===

impl Drop for Fate<'_> {
    fn drop(&mut self) {
        if !self.is_known {
            self.api.may_have_changed(self.order, None);
        }
    }
}
