//! `POST PREFIX/github/webhook`: what GitHub tells is heeded at once, before the next re-check.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use serde_json::json;

use super::action::Answer;
use super::recheck::Trouble;
use super::{Gateway, Request, error};
use crate::github::app::InstallationId;
use crate::github::{Delivery, Event, Forged, REDELIVERED, WebhookMode};
use crate::reason::Reason;
use crate::store::{Table, Unavailable};

/// The largest webhook that is read, in bytes: GitHub sends none that is larger.
/// <https://docs.github.com/en/webhooks/webhook-events-and-payloads#payload-cap>
pub const LARGEST_WEBHOOK: usize = 25 * 1024 * 1024;

/// Larger ones take longer to verify than other requests should wait.
const QUICK: usize = 256 * 1024;

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
        let delivery = match read(request).await {
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
        match &delivery.event {
            Event::AuthorizationRevoked { account } => {
                self.heed_withdrawal(request, *account, delivery).await
            }
            Event::Ping => {
                self.heed_change(request, delivery).await?;
                Ok(Heeded::Done)
            }
            Event::Other if self.was_heeded(delivery).await? => {
                let realm = request.config().keys.realm();
                self.github_api.told_again(realm, delivery);
                Ok(Heeded::Duplicate)
            }
            Event::Other => {
                let heeded = self.heed_change(request, delivery).await?;
                self.mark(delivery).await?;
                Ok(heeded)
            }
        }
    }

    async fn heed_change(
        &self,
        request: &Request<'_>,
        delivery: &Delivery,
    ) -> Result<Heeded, Unavailable> {
        let realm = request.config().keys.realm();
        let told = self.github_api.told(realm, delivery).await?;
        match request.config().github.webhook_mode {
            WebhookMode::Invalidate => {}
            WebhookMode::Refresh => self.github_api.refresh_soon(&told.changed),
            WebhookMode::Store => {
                let base = &request.snapshot.addresses.api;
                self.github_api.keep_told(realm, base, delivery).await;
            }
        }
        if let Some(id) = told.installation {
            let (id, snapshot) = (InstallationId(id), request.snapshot);
            self.installations.drop_installation(id);
            let keys = &snapshot.config.keys;
            self.installations.forget_shared(&snapshot.github, keys, id).await;
        }
        Ok(if told.has_changed { Heeded::Done } else { Heeded::Ignored })
    }

    async fn heed_withdrawal(
        &self,
        request: &Request<'_>,
        account: u64,
        delivery: &Delivery,
    ) -> Result<Heeded, Trouble> {
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
        self.mark(delivery).await?;
        Ok(Heeded::Done)
    }

    async fn was_heeded(&self, delivery: &Delivery) -> Result<bool, Unavailable> {
        match &delivery.once {
            Some(body) => Ok(self.store.get(Table::Delivery, body).await?.is_some()),
            None => Ok(false),
        }
    }

    /// Notes that it is done. What breaks off half way is done again when it is sent again.
    async fn mark(&self, delivery: &Delivery) -> Result<(), Unavailable> {
        if let Some(body) = &delivery.once {
            let end = self.clock.now() + REDELIVERED;
            self.store.insert(Table::Delivery, body, Vec::new(), end).await?;
        }
        Ok(())
    }
}

async fn read(request: &Request<'_>) -> Result<Delivery, Forged> {
    let secrets = &request.config().github.webhook_secrets;
    if request.body.len() <= QUICK {
        return Delivery::read(request.headers, &request.body, secrets);
    }
    let (headers, body, secrets) = (request.headers.clone(), request.body.clone(), secrets.clone());
    tokio::task::spawn_blocking(move || Delivery::read(&headers, &body, &secrets))
        .await
        .unwrap_or(Err(Forged::Unreadable))
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
