//! Hearing what other nodes announce, and telling them: a session that one ends is over on all, and
//! what changes at GitHub is asked for anew on all. While a node hears
//! nothing, it believes what it holds for `cache.staleness` and then asks the store each time.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::Gateway;
use crate::github::app::InstallationId;
use crate::keys::Keys;
use crate::store::{Happened, Heard, KeysError, News, Principal, Unavailable};

/// How far a node has heard.
struct Ear {
    mark: Option<Vec<u8>>,
    epoch: Option<u64>,
    last_heard: Instant,
}

/// After an error, before listening again: short, for signed-in visitors wait.
const PAUSE: Duration = Duration::from_millis(50);

// === impl Gateway ===

impl Gateway {
    /// Listens for ever. `settings` gives the keys and the staleness of the present configuration.
    pub async fn hear(&self, settings: impl Fn() -> (Keys, Duration)) -> Infallible {
        let mut ear = Ear { mark: None, epoch: None, last_heard: Instant::now() };
        loop {
            let (keys, staleness) = settings();
            let in_touch = self.sessions.is_in_touch();
            let begun = if in_touch { ear.last_heard } else { Instant::now() };
            let heard = timeout_at(begun + staleness, self.store.listen(ear.mark.as_deref())).await;
            let heard = heard.unwrap_or_else(|_| Err(Unavailable("it is silent".into())));
            let heeded = match heard {
                Ok(heard) => self.heed(&keys, &mut ear, heard, begun + staleness).await,
                Err(unavailable) => Err(unavailable),
            };
            match heeded {
                Ok(()) => self.set_in_touch(true),
                Err(unavailable) => {
                    // What was said meanwhile may be lost with a server that gave way to another,
                    // so it is not asked for: what is held is compared with the store instead.
                    ear.mark = None;
                    if in_touch && ear.last_heard.elapsed() >= staleness {
                        tracing::error!("what is held in memory is not believed: {unavailable}");
                        self.set_in_touch(false);
                    }
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Tells the other nodes for ever what happened at GitHub.
    pub async fn tell(&self, keys: impl Fn() -> Keys) -> Infallible {
        let mut is_failing = false;
        loop {
            let happened = self.github_api.to_tell().await;
            let keys = keys();
            let news = News::AtGitHub(keys.realm(), Box::new(happened.clone()));
            let told = self.sessions.announce(&keys, &news).await;
            if let Err(unavailable) = &told {
                if !is_failing {
                    tracing::warn!("other nodes do not hear what changes at GitHub: {unavailable}");
                }
                self.github_api.tell_again(happened);
                sleep(PAUSE).await;
            }
            is_failing = told.is_err();
        }
    }

    /// Has GitHub's answers forgotten for ever that others told of: however long that takes, what they
    /// tell is heard meanwhile.
    pub async fn forget_heard(&self) -> Infallible {
        self.github_api.forget_heard().await
    }

    async fn heed(
        &self,
        keys: &Keys,
        ear: &mut Ear,
        heard: Heard,
        deadline: Instant,
    ) -> Result<(), Unavailable> {
        let now = Instant::now();
        // Who takes longer to heed than news may be old hears too late.
        timeout_at(deadline, self.heed_news(keys, &heard.news))
            .await
            .unwrap_or_else(|_| Err(Unavailable("there is more news than can be heeded".into())))?;
        let is_other_data = ear.epoch.is_some_and(|epoch| epoch != heard.epoch);
        if is_other_data {
            tracing::warn!("the store has lost all it had");
            self.set_in_touch(false);
        }
        if !self.sessions.is_in_touch() || ear.mark.is_none() {
            // Something may have ended unheard.
            if ear.epoch.is_some() {
                tracing::warn!("sessions held in memory are compared with the store");
                self.github_api.missed_news();
            }
            self.sessions.reconcile(self.clock.now()).await?;
            self.learn_keys(keys).await?;
        }
        *ear = Ear { mark: Some(heard.mark), epoch: Some(heard.epoch), last_heard: now };
        Ok(())
    }

    async fn heed_news(&self, keys: &Keys, news: &[Vec<u8>]) -> Result<(), Unavailable> {
        let mut news: Vec<_> = news.iter().filter_map(|sealed| News::open(keys, sealed)).collect();
        // Ends first: they take no way to the store, which may be slow or fail.
        news.sort_by_key(|news| !matches!(news, News::Ended(_)));
        for news in &news {
            self.sessions.heed(keys, news, self.clock.now()).await?;
            match news {
                News::SigningKeys => self.learn_keys(keys).await?,
                // This node hears itself, too, and has heeded that at once.
                News::AtGitHub(realm, happened)
                    if *realm == keys.realm() && !self.github_api.tells(happened) =>
                {
                    self.drop_tokens(happened);
                    self.github_api.heed(happened);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Installations that are gone or have other rights need other tokens.
    fn drop_tokens(&self, happened: &Happened) {
        if happened.everything {
            self.installations.drop_all();
        }
        for ended in &happened.ended {
            if let Principal::Installation { id, .. } = ended {
                self.installations.drop_installation(InstallationId(*id));
            }
        }
    }

    /// Another node has changed the signing keys, or the store has lost them: no need to wait for the next look at them.
    async fn learn_keys(&self, keys: &Keys) -> Result<(), Unavailable> {
        match self.signing_keys.reseal(keys, self.clock.now()).await {
            Err(KeysError::Unavailable(unavailable)) => Err(unavailable),
            // Each look at them says so.
            Err(KeysError::Foreign | KeysError::Unreadable) | Ok(_) => Ok(()),
        }
    }

    fn set_in_touch(&self, in_touch: bool) {
        self.sessions.set_in_touch(in_touch);
        self.github_api.set_in_touch(in_touch);
        self.metrics.store_in_touch.set(i64::from(in_touch));
    }
}
