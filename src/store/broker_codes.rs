//! One-time codes that a browser carries to an instance of the broker's. Each works once, and coming
//! again tells that two had it: what the first one got is then ended (RFC 6749 §4.1.2).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::rows::Rows;
use super::{Store, Table, Unavailable};
use crate::clock::Time;
use crate::defence::{Defence, stands};
use crate::keys::{Keys, random};
use crate::session::SessionKey;

/// Gives out codes and redeems each once.
pub struct BrokerCodes {
    store: Arc<dyn Store>,
}

/// What a code stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerCode {
    /// Whose it is.
    pub account: u64,
    /// The sign-in that it was made in.
    pub owner: SessionKey,
    /// The instance that it is for.
    pub instance: Box<str>,
    /// Where the browser carried it.
    pub target: String,
}

/// What comes of a code.
#[derive(Debug, PartialEq, Eq)]
pub enum Redeemed {
    /// It is good, and what it gives is to have this name.
    First(BrokerCode, SessionKey),
    /// It came before, and this account was given this.
    Again(u64, SessionKey),
    /// There is no such code, or no more.
    Unknown,
}

/// What a browser comes back with from GitHub's page where the app is installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallErrand {
    /// On whose behalf an instance asked for it.
    pub account: u64,
    /// The instance.
    pub instance: Box<str>,
    /// Where the browser is sent then.
    pub target: String,
}

/// The row of a code.
#[derive(Clone, Serialize, Deserialize)]
struct CodeRow {
    code: BrokerCode,
    ends: Time,
    given: Option<SessionKey>,
    /// Whether it came again.
    again: bool,
}

/// How long a code lasts: a redirect and one question.
const LIFE: Duration = Duration::from_secs(60);

/// How long an installation may take: Trackeep's own patience.
const ERRAND_LIFE: Duration = Duration::from_secs(15 * 60);

/// How long it is known that it came.
const KNOWN_FOR: Duration = Duration::from_secs(3600);

// === impl BrokerCodes ===

impl BrokerCodes {
    /// Codes in a store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Makes a code of 43 characters.
    pub async fn issue(
        &self,
        keys: &Keys,
        code: BrokerCode,
        now: Time,
    ) -> Result<String, Unavailable> {
        let bytes: [u8; 32] = random();
        let row = CodeRow { code, ends: now + LIFE, given: None, again: false };
        self.rows(keys).insert(&keys.broker_code_digest(&bytes), &row, row.ends).await?;
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Redeems a code: of many at once, one is the first.
    pub async fn redeem(
        &self,
        keys: &Keys,
        text: &str,
        now: Time,
    ) -> Result<Redeemed, Unavailable> {
        let Some(digest) = digest(keys, text) else { return Ok(Redeemed::Unknown) };
        let rows = self.rows(keys);
        loop {
            let Some(old) = rows.read::<CodeRow>(&digest).await? else {
                return Ok(Redeemed::Unknown);
            };
            let Some(mut row) = old.value.clone() else { return Ok(Redeemed::Unknown) };
            let given = row.given.filter(|_| stands(Defence::OneTimeCode));
            let result = match given {
                Some(given) => {
                    row.again = true;
                    Redeemed::Again(row.code.account, given)
                }
                None if now >= row.ends => return Ok(Redeemed::Unknown),
                None => {
                    let name = SessionKey::new(random());
                    row.given = Some(name);
                    Redeemed::First(row.code.clone(), name)
                }
            };
            if rows.write(&digest, Some(&old), &row, row.ends + KNOWN_FOR).await? {
                return Ok(result);
            }
        }
    }

    /// What a code stands for that nobody has used yet.
    pub async fn peek(&self, keys: &Keys, text: &str) -> Result<Option<BrokerCode>, Unavailable> {
        let Some(digest) = digest(keys, text) else { return Ok(None) };
        let row = self.rows(keys).get::<CodeRow>(&digest).await?;
        Ok(row.filter(|row| row.given.is_none()).map(|row| row.code))
    }

    /// Whether a code came again since it was redeemed. Who came later may have found nothing to end
    /// yet.
    pub async fn came_again(&self, keys: &Keys, text: &str) -> Result<bool, Unavailable> {
        let Some(digest) = digest(keys, text) else { return Ok(false) };
        let row = self.rows(keys).get::<CodeRow>(&digest).await?;
        Ok(row.is_some_and(|row| row.again))
    }

    /// Remembers an errand under a name that a browser brings back.
    pub async fn remember(
        &self,
        keys: &Keys,
        errand: &InstallErrand,
        now: Time,
    ) -> Result<String, Unavailable> {
        let bytes: [u8; 32] = random();
        let digest = keys.install_errand_digest(&bytes);
        self.rows(keys).insert(&digest, errand, now + ERRAND_LIFE).await?;
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The errand of that name.
    pub async fn recall(
        &self,
        keys: &Keys,
        name: &str,
    ) -> Result<Option<InstallErrand>, Unavailable> {
        let Some(bytes) = bytes(name) else { return Ok(None) };
        self.rows(keys).get(&keys.install_errand_digest(&bytes)).await
    }

    /// It is done.
    pub async fn forget(&self, keys: &Keys, name: &str) -> Result<(), Unavailable> {
        if let Some(bytes) = bytes(name) {
            self.store.take(Table::BrokerCode, &keys.install_errand_digest(&bytes)).await?;
        }
        Ok(())
    }

    fn rows<'a>(&'a self, keys: &'a Keys) -> Rows<'a> {
        Rows { store: &*self.store, keys, table: Table::BrokerCode }
    }
}

fn digest(keys: &Keys, text: &str) -> Option<[u8; 32]> {
    bytes(text).map(|bytes| keys.broker_code_digest(&bytes))
}

fn bytes(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let is_code = text.len() == 43 && URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) == Ok(32);
    is_code.then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Manual;
    use crate::secret::Secret;
    use crate::store::Memory;

    fn at(seconds: i64) -> Time {
        Time::from_unix(seconds)
    }

    fn code() -> BrokerCode {
        BrokerCode {
            account: 7,
            owner: SessionKey::new([1; 16]),
            instance: "home".into(),
            target: "https://a.example/".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_code_works_once_within_a_minute_and_is_known_to_have_come_again() {
        let clock = Arc::new(Manual::at(at(1000)));
        let codes = BrokerCodes::new(Arc::new(Memory::new(clock.clone())));
        let keys = Keys::derive(&[Secret::new(vec![1; 32])], "realm");
        let text = codes.issue(&keys, code(), at(1000)).await.unwrap();
        let first = codes.redeem(&keys, &text, at(1059)).await.unwrap();
        let Redeemed::First(meant, name) = first else { panic!("{first:?}") };
        assert_eq!(meant, code());
        assert!(!codes.came_again(&keys, &text).await.unwrap());
        clock.advance(Duration::from_secs(600));
        let again = codes.redeem(&keys, &text, at(1600)).await.unwrap();
        assert_eq!(again, Redeemed::Again(7, name));
        assert!(codes.came_again(&keys, &text).await.unwrap());
        let late = codes.issue(&keys, code(), at(1600)).await.unwrap();
        assert_eq!(codes.redeem(&keys, &late, at(1660)).await.unwrap(), Redeemed::Unknown);
        for bad in ["", "x", &text[1..], &format!("{text}A"), &text.replace(&text[..1], "!")] {
            assert_eq!(codes.redeem(&keys, bad, at(1600)).await.unwrap(), Redeemed::Unknown);
        }
    }
}
