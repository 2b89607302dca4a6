//! `POST PREFIX/github/webhook`: what GitHub tells is heeded at once, before the next re-check.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use serde_json::json;

use super::action::Answer;
use super::recheck::Trouble;
use super::{Gateway, Request, error};
use crate::github::{Delivery, Event, Forged};
use crate::reason::Reason;
use crate::store::{Table, Unavailable};

/// The largest webhook that is read, in bytes. GitHub sends up to 25 MB; what is heeded here is
/// smaller by far.
pub const LARGEST_WEBHOOK: usize = 1024 * 1024;

/// GitHub sends a delivery again for three days when it is asked to; and a day more.
const REDELIVERED: Duration = Duration::from_secs(4 * 86_400);

/// GitHub waits ten seconds for an answer.
const PATIENCE: Duration = Duration::from_secs(8);

/// What became of a delivery.
#[derive(Clone, Copy)]
enum Heeded {
    Done,
    /// It changes nothing here, or is not true any more.
    Ignored,
    /// It was heeded before.
    Duplicate,
}

// === impl Gateway ===

impl Gateway {
    pub(super) async fn webhook(&self, request: &Request<'_>) -> Answer {
        let secrets = &request.config().github.webhook_secrets;
        let delivery = match Delivery::read(request.headers, &request.body, secrets) {
            Ok(delivery) => delivery,
            Err(forged) => return self.refuse_webhook(request, forged),
        };
        let heeded = tokio::time::timeout(PATIENCE, self.heed_webhook(request, &delivery)).await;
        let (word, answer) = match heeded.unwrap_or(Err(Trouble::PutOff)) {
            Ok(heeded) => (heeded.word(), heeded.answer()),
            Err(trouble) => {
                tracing::warn!(request.id = request.id, "a webhook is not heeded yet: {trouble}");
                // Whoever sends it again finds the same state as now.
                let reason = match trouble {
                    Trouble::Store(_) => Reason::StoreUnavailable,
                    _ => Reason::GitHubUnavailable,
                };
                ("failed", error::fault(request, reason))
            }
        };
        self.metrics.webhooks.with_label_values(&[delivery.name, word]).inc();
        let event = delivery.name;
        tracing::info!(request.id = request.id, webhook.event = event, "webhook: {word}");
        answer
    }

    /// No line in the log: anybody can send what is not signed. Metric and access log have it.
    fn refuse_webhook(&self, request: &Request<'_>, forged: Forged) -> Answer {
        self.metrics.webhooks.with_label_values(&["other", "refused"]).inc();
        error::fault(
            request,
            match forged {
                Forged::NotSigned => Reason::WebhookNotSigned,
                Forged::Unreadable => Reason::WebhookUnreadable,
            },
        )
    }

    async fn heed_webhook(
        &self,
        request: &Request<'_>,
        delivery: &Delivery,
    ) -> Result<Heeded, Trouble> {
        let account = match delivery.event {
            Event::Ping => return Ok(Heeded::Done),
            Event::Other => return Ok(Heeded::Ignored),
            Event::AuthorizationRevoked(account) => account,
        };
        let asking = request.snapshot.asking();
        // The same person's second withdrawal is the first one's very bytes, so where GitHub can be
        // asked whether it is true, that decides; else each counts once.
        let tokens = self.tokens.credentials().read(&asking.keys, account).await?;
        if tokens.is_none() && self.was_heeded(delivery).await? {
            return Ok(Heeded::Duplicate);
        }
        if !self.rechecks.check_authorization(&asking, account).await? {
            return Ok(Heeded::Ignored);
        }
        // Marked when it is done: what breaks off half way is done again when it is sent again.
        let end = self.clock.now() + REDELIVERED;
        self.store.insert(Table::Delivery, &delivery.digest, Vec::new(), end).await?;
        Ok(Heeded::Done)
    }

    async fn was_heeded(&self, delivery: &Delivery) -> Result<bool, Unavailable> {
        Ok(self.store.get(Table::Delivery, &delivery.digest).await?.is_some())
    }
}

// === impl Heeded ===

impl Heeded {
    fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Ignored => "ignored",
            Self::Duplicate => "duplicate",
        }
    }

    fn answer(self) -> Answer {
        let body = json!({ "result": self.word() }).to_string();
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = StatusCode::OK;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Answer { response, reason: Reason::Endpoint }
    }
}
