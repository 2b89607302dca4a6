//! Answers that installations hold are asked for anew, once a webhook has told that they have changed.

use super::{Asker, Token};
use crate::gateway::{Gateway, Snapshot};
use crate::github::WebhookMode;
use crate::github::api::{Refresh, Refreshed};
use crate::store::Principal;

/// What stands in the log in the place of a request's id.
const BY_WEBHOOK: &str = "refresh";

// === impl Gateway ===

impl Gateway {
    /// Asks for one thing whose time has come; `false` where there is none. Call it every second or so
    /// until then, several times at once if it shall ask for several things at once.
    pub async fn refresh_answer(&self, snapshot: &Snapshot) -> bool {
        let Some(refresh) = self.github_api.next_refresh() else { return false };
        let refreshed = self.refresh_now(snapshot, &refresh).await;
        self.metrics.github_refreshes.with_label_values(&[refreshed.word()]).inc();
        true
    }

    async fn refresh_now(&self, snapshot: &Snapshot, refresh: &Refresh) -> Refreshed {
        let (who, budget) = (refresh.question.who, refresh.question.budget.clone());
        let is_ours = match who {
            Principal::Installation { realm, .. } => realm == snapshot.config.keys.realm(),
            Principal::User { .. } => false,
        };
        if !is_ours || snapshot.config.github.webhook_mode != WebhookMode::Refresh {
            return Refreshed::Needless;
        }
        if !self.github_api.may_refresh(refresh) {
            return Refreshed::Spared;
        }
        let account = refresh.question.account;
        let asker = Asker { instead: None, is_in_doubt: false, account, who, budget };
        let token = self.token(snapshot, BY_WEBHOOK, &asker).await;
        let means = token.and_then(|token: Token| token.means(snapshot, &refresh.fields));
        match means {
            Ok(means) => self.github_api.refresh(refresh, &means).await,
            Err(_) => Refreshed::Failed,
        }
    }
}
