//! That by which an instance signs somebody in: a code that works once, or with an older one a signed
//! token. It is made for one visitor, and good for nobody else here.

use std::sync::Arc;
use std::time::Duration;

use super::super::{Gateway, LiveSession, Request};
use super::instance_of;
use crate::broker::{Contract, Target};
use crate::defence::{Defence, stands};
use crate::reason::Reason;
use crate::route::InstanceSignIn;
use crate::secret::Secret;
use crate::store::BrokerCode;

/// A visitor's own.
pub(super) struct Voucher {
    /// Where the instance takes it.
    pub(super) callback: &'static str,
    pub(super) token: Secret<String>,
    /// How long what it gives can be used, where that is not the instance's word alone.
    pub(super) lasts: Option<Duration>,
}

/// Where instances take vouchers, whichever contract they know: one that was updated takes them
/// elsewhere than its configuration says.
const CALLBACKS: [&str; 2] = ["/api/v1/auth/control/callback", "/api/v1/auth/oauth/callback"];

/// Whether instances take vouchers at a path.
pub(super) fn is_callback(path: &str) -> bool {
    CALLBACKS.contains(&path)
}

// === impl Voucher ===

impl Voucher {
    /// What a browser is sent to with it, at the instance's own host.
    pub(super) fn to_url(&self) -> String {
        format!("{}?token={}", self.callback, self.token.expose())
    }
}

// === impl Gateway ===

impl Gateway {
    /// A voucher for the visitor, if the instance's own policy admits them.
    pub(super) async fn own_voucher(
        &self,
        request: &Request<'_>,
        sign_in: &InstanceSignIn,
        live: &Arc<LiveSession>,
    ) -> Result<Voucher, Reason> {
        let (instance, visitor) = self.user_of(request, sign_in, live).await?;
        let callback = instance.contract.usual_path();
        let target = Target::parse(&format!("{}{callback}", request.here()), &[]);
        let target = target.ok_or(Reason::Internal)?;
        let token = self.voucher_for(request, instance, &target, &visitor).await?;
        // The instance goes on to use the key for GitHub's API that it finds in a signed one.
        let lasts = instance.contract.signing().map(|_| instance.lifetime);
        Ok(Voucher { callback, token, lasts })
    }

    /// Whether the voucher that a browser brings is its visitor's: one of somebody else would sign this
    /// visitor in as them.
    pub(super) async fn brings_own_voucher(
        &self,
        request: &Request<'_>,
        sign_in: &InstanceSignIn,
        live: &LiveSession,
    ) -> Result<bool, Reason> {
        let instance = instance_of(request, sign_in)?;
        if request.target.path() != instance.contract.usual_path() {
            return Ok(!stands(Defence::OwnCode));
        }
        let Ok(Some(text)) = request.parameter("token") else { return Ok(false) };
        let is_own = match &instance.contract {
            Contract::Control => {
                let found = self.broker_codes.peek(&request.config().keys, &text).await;
                let found = found.map_err(self.no_store(request))?;
                let is_for_it = |code: &BrokerCode| code.instance == instance.name;
                found.is_some_and(|code| code.owner == live.key && is_for_it(&code))
            }
            Contract::OAuth(_) | Contract::Seed(_) => {
                let claims = self.verified(request, instance, text.as_bytes());
                claims.is_some_and(|claims| claims.github_id == live.account.id)
            }
        };
        Ok(is_own || !stands(Defence::OwnCode))
    }
}
