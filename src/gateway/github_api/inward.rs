//! What the gateway itself reads of GitHub's API for a visitor, to answer something of its own with it:
//! held, confirmed and budgeted as whatever that visitor reads.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::asker::is_forbidden;
use super::{Asker, PATIENCE};
use crate::budget::Limited;
use crate::freshness::{ApiPath, Directives};
use crate::gateway::{Gateway, Request, Visitor};
use crate::github::api::{Arrival, Reply};
use crate::passage::request as outgoing;
use crate::reason::Reason;

// === impl Gateway ===

impl Gateway {
    /// The body of a path of the API, in the visitor's own name; `anew` asks GitHub in any case.
    pub(in crate::gateway) async fn read_for(
        &self,
        request: &Request<'_>,
        visitor: &Visitor,
        path: &str,
        anew: bool,
    ) -> Result<Bytes, Reason> {
        let snapshot = request.snapshot;
        let path = ApiPath::parse(path).map_err(|_| Reason::Internal)?;
        let plain = HeaderMap::new();
        let fields = outgoing::fields(&plain, outgoing::Kind::Read, &snapshot.agent);
        let account = visitor.session().account.id;
        let asker = Asker::oneself(request.config().keys.realm(), account);
        // Whoever asks anew decides by the answer: what was so an hour ago is none.
        let stale_if_error = anew.then_some(Duration::ZERO);
        let wishes = Directives { no_cache: anew, stale_if_error, ..Directives::default() };
        let by = (wishes, true, PATIENCE);
        let question = Arc::new(super::reading::question(snapshot, &asker, path, &fields, by));
        let reply = if let Some(reply) = self.github_api.held(&question).await {
            reply
        } else {
            let token = self.token(snapshot, request.id, &asker).await?;
            let by = (&question, &fields, &asker, request.id);
            match self.read_with(snapshot, by, token).await? {
                Arrival::Whole(reply) => reply,
                Arrival::Flowing(_) => return Err(Reason::BadAnswer),
            }
        };
        self.github_api.tally().note(&asker.budget, reply.mode, self.clock.now());
        body_of(&reply)
    }
}

fn body_of(reply: &Reply) -> Result<Bytes, Reason> {
    if reply.status == StatusCode::OK {
        return Ok(reply.body.bytes.clone());
    }
    let is_limited = reply.refused.is_some()
        || Limited::read(reply.status, &reply.headers, &reply.body.bytes).is_some();
    Err(match reply.status {
        _ if is_limited => Reason::GitHubLimited,
        _ if is_forbidden(reply) => Reason::ForeignInstallation,
        status if status.is_server_error() => Reason::GitHubUnavailable,
        _ => Reason::BadAnswer,
    })
}
