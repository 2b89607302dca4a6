//! What is sent to GitHub with a body: prepared with the header, sent when the body comes.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::Deserialize;

use super::{Asker, Dress, MOST_REFUSALS, Token, is_refused, patience};
use crate::freshness::ApiPath;
use crate::gateway::action::Action;
use crate::gateway::{Gateway, Request, Snapshot, Visitor, error};
use crate::github::api::{Arrival, BodyPlace, Order};
use crate::passage::request as outgoing;
use crate::reason::Reason;
use crate::route::Route;

/// A request to GitHub that waits for its body.
pub struct Sending {
    /// The route that it came by.
    pub route: Arc<Route>,
    /// For whom.
    pub visitor: Visitor,
    order: Order,
    fields: HeaderMap,
    token: Token,
    dress: Dress,
    asker: Asker,
}

/// A body on its way.
pub enum Outgoing {
    /// All of it: it can be sent again where GitHub refused the token.
    Whole(Bytes),
    /// A stream.
    Stream(reqwest::Body),
}

/// What is known of a GraphQL request.
#[derive(Deserialize)]
struct GraphQl {
    query: String,
}

// === impl Gateway ===

impl Gateway {
    /// Prepares what is sent with a body. `path` is missing for GraphQL alone.
    pub(super) async fn prepare(
        &self,
        request: &Request<'_>,
        route: &Arc<Route>,
        (dress, asker, visitor): (Dress, Asker, &Visitor),
        path: Option<ApiPath>,
        url: String,
    ) -> Result<Action, Reason> {
        let is_read = matches!(*request.method, Method::GET | Method::HEAD);
        let is_upload =
            path.is_some() && !is_read && url.starts_with(&request.snapshot.addresses.uploads);
        let kind = match (is_read, is_upload) {
            (true, _) => outgoing::Kind::Download,
            (_, true) => outgoing::Kind::Upload,
            _ => outgoing::Kind::Write,
        };
        let fields = outgoing::fields(request.headers, kind, &request.snapshot.agent);
        let (asker, token) = self.asker_with_token(request.snapshot, request.id, asker).await?;
        let order = Order {
            who: asker.who,
            account: asker.account,
            budget: asker.budget.clone(),

            method: request.method.clone(),
            changes: !is_read,
            max_wait: patience(request),
            url,
            path,
        };
        let (route, visitor) = (route.clone(), visitor.clone());
        Ok(Action::Send(Box::new(Sending { route, visitor, order, fields, token, dress, asker })))
    }

    /// A place in memory for the body of what is to be sent, empty yet.
    pub fn place_for_body(&self, sending: &Sending) -> BodyPlace<'_> {
        self.github_api.place_for_body(sending.asker.account)
    }

    /// The answer to what is not sent, for there is no room for its body.
    pub fn has_no_room(&self, sending: Sending) -> Action {
        let Sending { route, dress, asker, visitor, order, .. } = sending;
        let action = dress.action(self, &route, self.github_api.turn_away(&order), &asker, visitor);
        action.shared(dress.sharing())
    }

    /// Sends it with its body.
    pub async fn send_to_github(
        &self,
        snapshot: &Snapshot,
        mut sending: Sending,
        body: Outgoing,
    ) -> Action {
        let again = match &body {
            Outgoing::Whole(bytes) => Some(bytes.clone()),
            Outgoing::Stream(_) => None,
        };
        if let (true, Some(bytes)) = (sending.order.is_graphql(), &again) {
            sending.order.changes = changes_something(bytes);
        }
        if sending.order.changes {
            sending.dress.tells_of_a_change();
        }
        let mut sent = self.try_to_send(snapshot, &mut sending, body, again).await;
        if let Some(other) = sending.asker.gives_way(&sent) {
            sent = Box::pin(self.read_part_instead(snapshot, &mut sending, other, sent)).await;
        }
        let Sending { route, dress, asker, visitor, .. } = sending;
        let action = match sent {
            Ok(arrival) => dress.action(self, &route, arrival, &asker, visitor),
            Err(reason) => {
                let request_id = dress.request_id();
                let branding = &snapshot.config.branding;
                let page = error::fault_page(reason, request_id, &json_alone(), branding);
                let answer = crate::gateway::Answer { response: page, reason };
                Action::respond(answer).for_route(&route).for_visitor(visitor)
            }
        };
        action.shared(dress.sharing())
    }

    /// Asks in another name for a part of a file that an installation may not read. Nothing that may
    /// have changed anything comes here: [`Asker::instead`].
    async fn read_part_instead(
        &self,
        snapshot: &Snapshot,
        sending: &mut Sending,
        other: Asker,
        sent: Result<Arrival, Reason>,
    ) -> Result<Arrival, Reason> {
        if let Ok(arrival) = &sent {
            self.count(&sending.asker, arrival);
        }
        sending.token = self.token(snapshot, sending.dress.request_id(), &other).await?;
        (sending.order.who, sending.order.budget) = (other.who, other.budget.clone());
        sending.asker = other;
        let nothing = Outgoing::Whole(Bytes::new());
        self.try_to_send(snapshot, sending, nothing, Some(Bytes::new())).await
    }

    async fn try_to_send(
        &self,
        snapshot: &Snapshot,
        sending: &mut Sending,
        body: Outgoing,
        again: Option<Bytes>,
    ) -> Result<Arrival, Reason> {
        let mut body = Some(body);
        for _ in 0..MOST_REFUSALS {
            let means = sending.token.means(snapshot, &sending.fields)?;
            let body = match (body.take(), &again) {
                (Some(Outgoing::Stream(stream)), _) => Some(stream),
                (_, Some(whole)) => (!whole.is_empty()).then(|| whole.clone().into()),
                // Half of it is at GitHub.
                _ => return Err(Reason::GitHubInconsistent),
            };
            let may_go_on = || self.may_go_on(snapshot, &sending.visitor);
            let sent = self.github_api.send(&sending.order, &means, body, may_go_on).await;
            // It waited longer than its session lasted.
            let arrival = sent.ok_or(Reason::SessionEnded)?;
            if !is_refused(&arrival) || again.is_none() {
                return Ok(arrival);
            }
            let (id, asker) = (sending.dress.request_id(), &sending.asker);
            sending.token = self.after_refusal(snapshot, id, asker, sending.token.clone()).await?;
        }
        Err(Reason::GitHubInconsistent)
    }
}

/// Whether a GraphQL document may change something. What cannot be read may.
fn changes_something(body: &[u8]) -> bool {
    let Ok(GraphQl { query }) = serde_json::from_slice(body) else { return true };
    query.contains("mutation")
}

/// Clients of an API read JSON.
fn json_alone() -> HeaderMap {
    HeaderMap::from_iter([(
        http::header::ACCEPT,
        http::HeaderValue::from_static("application/json"),
    )])
}
