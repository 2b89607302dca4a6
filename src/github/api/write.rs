//! Everything that is not a reading: writes, GraphQL, files for GitHub. Sent once, never from what is
//! held, and what it may have changed is not fresh any more.

use http::header::LOCATION;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

use super::exchange::{Broken, Got, collect};
use super::reply::{Arrival, Mode, Reply, forwarded};
use super::{Api, Means};
use crate::budget::{Kind, Resource};
use crate::freshness::ApiPath;
use crate::freshness::tags::{Reply as Written, written};
use crate::github::budgets::{BudgetKey, Call};
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
    pub max_wait: std::time::Duration,
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

    fn call(&self) -> Call<'_> {
        Call {
            key: self.budget.clone(),
            caller: self.account,
            method: &self.method,
            path: self.path_text(),
            template: self.path.as_ref().map_or("/graphql", ApiPath::template),
            kind: if self.changes && self.is_graphql() { Kind::Mutation } else { Kind::Ordinary },
            max_wait: self.max_wait,
        }
    }
}

// === impl Api ===

impl Api {
    /// Sends it, once.
    pub async fn send(&self, order: &Order, means: &Means, body: Option<reqwest::Body>) -> Arrival {
        let mut permit = match self.budgets.enter(order.call()).await {
            Ok(permit) => permit,
            Err(refused) => {
                let resource = order.resource();
                let mut reply =
                    Reply::bare(StatusCode::TOO_MANY_REQUESTS, resource, Source::Gateway);
                reply.account.detail = Some("refused");
                reply.mode = Mode::Refused;
                return Arrival::Whole(self.counted(Reply { refused: Some(refused), ..reply }));
            }
        };
        self.may_have_changed(order, None);
        let mut fate = Fate { api: self, order, is_known: false };
        let began = std::time::Instant::now();
        let (method, fields) = (order.method.clone(), means.fields.clone());
        let sent = self.exchange.send(method, &order.url, fields, body).await;
        let got = match sent {
            Ok(response) => collect(response).await,
            Err(broken) => Err(broken),
        };
        let is_answered = got.as_ref().is_ok_and(Got::is_an_answer);
        self.outage.note(order.account, is_answered, self.clock.now());
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
                permit.answered(large.status, &large.headers, &large.start, began.elapsed());
                let (source, whose) = (source(Some(large.status)), (order.account, order.max_wait));
                self.flow(large, source, order.resource(), whose, permit).await
            }
            Ok(Got::Whole(whole)) => {
                permit.answered(whole.status, &whole.headers, &whole.bytes, began.elapsed());
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
