//! Hand-overs: one-time codes by which the callback host gives another host its own cookie.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::{Store, Table, Unavailable};
use crate::clock::Time;
use crate::keys::{Keys, random};
use crate::login::HANDOVER_LIFE;
use crate::session::SessionKey;

/// Gives out codes and redeems each once.
pub struct Handovers {
    store: Arc<dyn Store>,
}

/// What a code stands for.
#[derive(Debug, Serialize, Deserialize)]
pub struct Handover {
    /// The sign-in that the other host joins.
    pub session: SessionKey,
    /// The S256 challenge of the attempt in that host's cookie: only the browser that asked can
    /// answer it.
    pub challenge: String,
}

// === impl Handovers ===

impl Handovers {
    /// Hand-overs in a store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Makes a code for a host.
    pub async fn issue(
        &self,
        keys: &Keys,
        host: &str,
        handover: &Handover,
        now: Time,
    ) -> Result<String, Unavailable> {
        let code: [u8; 32] = random();
        let digest = keys.handover_digest(&code, host);
        let plain = serde_json::to_vec(handover).expect("a hand-over is plain JSON");
        let sealed = keys.seal_record(&[Table::Handover.name().as_bytes(), &digest], &plain);
        self.store.insert(Table::Handover, &digest, sealed, now + HANDOVER_LIFE).await?;
        Ok(URL_SAFE_NO_PAD.encode(code))
    }

    /// Redeems a code at a host; the second time there is none.
    pub async fn redeem(
        &self,
        keys: &Keys,
        host: &str,
        code: &str,
    ) -> Result<Option<Handover>, Unavailable> {
        let mut bytes = [0; 32];
        if code.len() != 43 || URL_SAFE_NO_PAD.decode_slice(code, &mut bytes).is_err() {
            return Ok(None);
        }
        let digest = keys.handover_digest(&bytes, host);
        let Some(sealed) = self.store.take(Table::Handover, &digest).await? else {
            return Ok(None);
        };
        let opened = keys.open_record(&[Table::Handover.name().as_bytes(), &digest], &sealed);
        Ok(opened.and_then(|plain| serde_json::from_slice(&plain).ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Manual;
    use crate::secret::Secret;
    use crate::store::Memory;
    use std::time::Duration;

    #[tokio::test]
    async fn a_code_works_once_at_its_host_within_a_minute() {
        let clock = Arc::new(Manual::at(Time::from_unix(1000)));
        let handovers = Handovers::new(Arc::new(Memory::new(clock.clone())));
        let keys = Keys::derive(&[Secret::new(vec![1; 32])], "realm");
        let now = Time::from_unix(1000);
        let handover = || Handover { session: SessionKey::new([1; 16]), challenge: "c".to_owned() };
        let code = handovers.issue(&keys, "a", &handover(), now).await.unwrap();
        assert!(handovers.redeem(&keys, "b", &code).await.unwrap().is_none());
        assert!(handovers.redeem(&keys, "a", &code).await.unwrap().is_some());
        assert!(handovers.redeem(&keys, "a", &code).await.unwrap().is_none());
        let late = handovers.issue(&keys, "a", &handover(), now).await.unwrap();
        clock.advance(Duration::from_secs(60));
        assert!(handovers.redeem(&keys, "a", &late).await.unwrap().is_none());
    }
}
