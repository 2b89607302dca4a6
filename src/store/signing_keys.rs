//! The signing keys of all nodes: one ring in one sealed row, which each node looks at every minute.
//!
//! Whoever finds no row makes one; whoever finds the ring due rotates it, by compare-and-swap, so
//! that of many nodes one does. What a node knows and what the store knows are merged: a store that
//! has lost its row, or was set back to an older one, gets back what is in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Store, Table, Unavailable};
use crate::clock::Time;
use crate::keys::{KeyInfo, KeyRing, Keys, SYNC_EVERY, SigningKey};
use crate::secret::Secret;

/// Holds the ring of this node, and keeps it the ring of all.
pub struct SigningKeys {
    store: Arc<dyn Store>,
    held: ArcSwapOption<KeyRing>,
    /// The generation of the ring that is held, to be read without the ring.
    generation: AtomicU64,
}

/// What a look at the store's ring came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// All was as before.
    Nothing,
    /// There was no ring anywhere: this node made the first key.
    Made,
    /// The store had lost its ring, or some of it: this node put its own back.
    PutBack,
    /// This node added a key, or replaced them all.
    Rotated,
    /// Keys that are gone were dropped, or the row was sealed anew.
    Tidied,
    /// Another node had changed the ring.
    Learned,
}

/// Why the ring of all nodes cannot be had. `Display` is for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// The store gave no answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The row is sealed under another master, or was altered.
    #[error(
        "the signing keys in the store are sealed with a master secret that is not in `secret`; \
         list the one that the other nodes use, or the one that was used before, after the new one. \
         If it is lost, empty the store: everybody signs in anew"
    )]
    Foreign,
    /// The row opens, and what is in it makes no sense.
    #[error(
        "the signing keys in the store were written by another version of Gatekeep, which this one \
         cannot read; run that version, or empty the store: everybody signs in anew"
    )]
    Unreadable,
}

/// The row.
#[derive(Serialize, Deserialize)]
struct Row {
    /// When it ends.
    until: Time,
    ring: KeyRing,
}

/// The row as it was found.
struct Found {
    sealed: Vec<u8>,
    row: Row,
}

/// The one row of the table.
const KEY: &[u8] = b"identity";

/// How long the row outlives its last renewal: nodes that rest for a year find their keys again.
const ROW_LIFE: Duration = Duration::from_secs(400 * 24 * 3600);

/// Each time somebody else was faster; and those who were have done the work.
const ATTEMPTS: usize = 16;

// === impl SigningKeys ===

impl SigningKeys {
    /// The signing keys in a store; none before the first `sync`.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, held: ArcSwapOption::empty(), generation: AtomicU64::new(0) }
    }

    /// The key that signs now; `None` as long as no `sync` has succeeded.
    pub fn current(&self, now: Time) -> Option<Arc<SigningKey>> {
        self.held.load().as_ref()?.signing(now).cloned()
    }

    /// The public halves, as JWKs (RFC 7517).
    pub fn published(&self, now: Time) -> Vec<Value> {
        let held = self.held.load();
        held.iter().flat_map(|ring| ring.published(now)).map(|key| key.jwk()).collect()
    }

    /// Another number than before means that all keys were replaced at once, and no token from
    /// before is good. Reading it costs next to nothing.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// What operators may know of the keys.
    pub fn list(&self, now: Time) -> Vec<KeyInfo> {
        self.held.load().as_ref().map(|ring| ring.list(now)).unwrap_or_default()
    }

    /// Looks at the store's ring, and does whatever is due.
    pub async fn sync(
        &self,
        keys: &Keys,
        rotate_every: Duration,
        now: Time,
    ) -> Result<Changed, KeysError> {
        let due = |ring: &KeyRing| ring.is_due(now, rotate_every).then(|| ring.rotate(now));
        self.update(keys, now, due).await
    }

    /// Adds a key, whether or not it is due: it is published now and signs later. Of many at once,
    /// one does.
    pub async fn rotate(&self, keys: &Keys, now: Time) -> Result<Changed, KeysError> {
        let known = self.known(keys).await?;
        let is_old = |ring: &KeyRing| known.as_ref().is_none_or(|known| known.has_all_of(ring));
        self.update(keys, now, |ring| is_old(ring).then(|| ring.rotate(now))).await
    }

    /// Replaces all keys by one that signs at once: for a key that was stolen. Every token from
    /// before is worth nothing as soon as verifiers ask again. Of many at once, one does.
    pub async fn rotate_at_once(&self, keys: &Keys, now: Time) -> Result<Changed, KeysError> {
        let known = self.known(keys).await?.map_or(0, |ring| ring.generation());
        let is_old = |ring: &KeyRing| ring.generation() <= known;
        self.update(keys, now, |ring| is_old(ring).then(|| ring.rotate_at_once(now))).await
    }

    /// Seals the row under the newest master, so that the older ones may go. `sync` does so too.
    pub async fn reseal(&self, keys: &Keys, now: Time) -> Result<Changed, KeysError> {
        self.update(keys, now, |_| None).await
    }

    /// Reads, changes, and writes if need be; begins again when somebody else was faster.
    async fn update(
        &self,
        keys: &Keys,
        now: Time,
        change: impl Fn(&KeyRing) -> Option<KeyRing> + Send + Sync,
    ) -> Result<Changed, KeysError> {
        for _ in 0..ATTEMPTS {
            let found = self.load(keys).await?;
            let held = self.held.load_full();
            let stored = found.as_ref().map(|found| &found.row.ring);
            let (ring, changed) = next(stored, held.as_deref(), now, &change);
            if found.as_ref().is_some_and(|found| found.is_good(keys, &ring, now)) {
                self.hold(&ring, now);
                return Ok(changed);
            }
            if self.write(keys, found, &ring, now).await? {
                self.hold(&ring, now);
                return Ok(if changed == Changed::Nothing { Changed::Tidied } else { changed });
            }
        }
        Err(Unavailable("others change the signing keys all the while".into()).into())
    }

    /// What this node and the store know together.
    async fn known(&self, keys: &Keys) -> Result<Option<KeyRing>, KeysError> {
        let stored = self.load(keys).await?.map(|found| found.row.ring);
        let held = self.held.load();
        Ok(match (stored, held.as_deref()) {
            (Some(stored), Some(held)) => Some(stored.merge(held)),
            (stored, held) => stored.or_else(|| held.cloned()),
        })
    }

    /// Whether the row opens with these keys; it does when there is none.
    pub async fn can_open(&self, keys: &Keys) -> Result<(), KeysError> {
        self.load(keys).await.map(drop)
    }

    async fn load(&self, keys: &Keys) -> Result<Option<Found>, KeysError> {
        let Some(sealed) = self.store.get(Table::SigningKeys, KEY).await? else { return Ok(None) };
        let plain = Secret::new(keys.open_common(&place(), &sealed).ok_or(KeysError::Foreign)?);
        let row = serde_json::from_slice(plain.expose()).map_err(|_| KeysError::Unreadable)?;
        Ok(Some(Found { sealed, row }))
    }

    /// Writes a ring where the row is as it was found, and says whether it did.
    async fn write(
        &self,
        keys: &Keys,
        found: Option<Found>,
        ring: &KeyRing,
        now: Time,
    ) -> Result<bool, Unavailable> {
        let row = Row { until: now + ROW_LIFE, ring: ring.clone() };
        let plain = Secret::new(serde_json::to_vec(&row).expect("a ring is plain JSON"));
        let (sealed, end) = (keys.seal_common(&place(), plain.expose()), row.until);
        match found {
            None => self.store.insert(Table::SigningKeys, KEY, sealed, end).await,
            Some(found) => {
                self.store.replace(Table::SigningKeys, KEY, &found.sealed, sealed, end).await
            }
        }
    }

    /// Takes a ring into use. Of several that come at once none undoes another. The generation
    /// comes last: whoever reads it finds the ring no older.
    fn hold(&self, ring: &KeyRing, now: Time) {
        self.held.rcu(|held| {
            let both = held.as_ref().map_or_else(|| ring.clone(), |held| held.merge(ring));
            Some(Arc::new(both.without_gone(now)))
        });
        self.generation.fetch_max(ring.generation(), Ordering::Release);
    }
}

// === impl Found ===

impl Found {
    /// Whether the row can stay as it is.
    fn is_good(&self, keys: &Keys, ring: &KeyRing, now: Time) -> bool {
        self.row.ring == *ring
            && self.row.until.since(now) >= ROW_LIFE / 2
            && keys.common_is_newest(&place(), &self.sealed)
    }
}

/// The ring as it shall be, of what the store and this node know of it.
fn next(
    stored: Option<&KeyRing>,
    held: Option<&KeyRing>,
    now: Time,
    change: impl Fn(&KeyRing) -> Option<KeyRing>,
) -> (KeyRing, Changed) {
    let (ring, changed) = match (stored, held) {
        (None, None) => return (KeyRing::new(now), Changed::Made),
        (Some(stored), None) => (stored.clone(), Changed::Learned),
        (None, Some(held)) => (held.clone(), Changed::PutBack),
        (Some(stored), Some(held)) => {
            let both = stored.merge(held).without_gone(now);
            // A node whose clock is a little ahead may have dropped what is about to go: no loss.
            let lost = !stored.has_all_of(&both.without_gone(now + SYNC_EVERY));
            let changed = match held.has_all_of(&both) {
                _ if lost => Changed::PutBack,
                false => Changed::Learned,
                true => Changed::Nothing,
            };
            (both, changed)
        }
    };
    match change(&ring) {
        Some(ring) => (ring.without_gone(now), Changed::Rotated),
        None => (ring.without_gone(now), changed),
    }
}

/// The row's associated data: nothing sealed for another place opens here.
fn place() -> [&'static [u8]; 2] {
    [Table::SigningKeys.name().as_bytes(), KEY]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Manual};
    use crate::keys::KeyState;
    use crate::store::Memory;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    /// Two nodes on one store.
    struct World {
        clock: Arc<Manual>,
        store: Arc<dyn Store>,
        keys: Keys,
        one: SigningKeys,
        two: SigningKeys,
    }

    impl World {
        fn new() -> Self {
            let clock = Arc::new(Manual::at(Time::from_unix(1_800_000_000)));
            let store: Arc<dyn Store> = Arc::new(Memory::new(clock.clone()));
            let (one, two) = (SigningKeys::new(store.clone()), SigningKeys::new(store.clone()));
            Self { clock, store, keys: masters(&[1]), one, two }
        }

        fn now(&self) -> Time {
            self.clock.now()
        }

        async fn sync(&self, node: &SigningKeys) -> Result<Changed, KeysError> {
            node.sync(&self.keys, 30 * DAY, self.now()).await
        }

        async fn row(&self) -> Option<Vec<u8>> {
            self.store.get(Table::SigningKeys, KEY).await.unwrap()
        }

        fn kid(&self, node: &SigningKeys) -> String {
            node.current(self.now()).expect("a key").kid().to_owned()
        }
    }

    fn masters(bytes: &[u8]) -> Keys {
        let masters: Vec<_> = bytes.iter().map(|&byte| Secret::new(vec![byte; 32])).collect();
        Keys::derive(&masters, "realm")
    }

    #[tokio::test]
    async fn two_nodes_have_one_ring() {
        let world = World::new();
        assert!(world.one.current(world.now()).is_none());
        assert!(world.one.published(world.now()).is_empty());
        assert_eq!(world.sync(&world.one).await, Ok(Changed::Made));
        assert_eq!(world.sync(&world.two).await, Ok(Changed::Learned));
        assert_eq!(world.sync(&world.one).await, Ok(Changed::Nothing));
        assert_eq!(world.kid(&world.one), world.kid(&world.two));
        let published = world.one.published(world.now());
        assert_eq!(published, world.two.published(world.now()));
        assert_eq!(published[0]["kid"], world.kid(&world.one));
        assert_eq!(published.len(), 1);
    }

    #[tokio::test]
    async fn of_fifty_nodes_at_once_one_makes_the_key_and_one_rotates() {
        let world = World::new();
        let nodes: Arc<Vec<_>> =
            Arc::new((0..50).map(|_| SigningKeys::new(world.store.clone())).collect());
        for what in [Changed::Made, Changed::Rotated] {
            let tasks: Vec<_> = (0..nodes.len())
                .map(|place| {
                    let (nodes, keys, now) = (nodes.clone(), world.keys.clone(), world.now());
                    tokio::spawn(async move { nodes[place].sync(&keys, 30 * DAY, now).await })
                })
                .collect();
            let mut did = 0;
            for task in tasks {
                did += usize::from(task.await.unwrap().unwrap() == what);
            }
            assert_eq!(did, 1, "{what:?}");
            let published = nodes[0].published(world.now());
            assert!(nodes.iter().all(|node| node.published(world.now()) == published));
            world.clock.advance(30 * DAY);
        }
        assert_eq!(nodes[0].list(world.now()).len(), 1, "the first one is gone by now");
    }

    #[tokio::test]
    async fn a_rotation_reaches_the_other_node_before_it_counts() {
        let world = World::new();
        world.sync(&world.one).await.unwrap();
        world.sync(&world.two).await.unwrap();
        let old = world.kid(&world.one);
        assert_eq!(world.one.rotate(&world.keys, world.now()).await, Ok(Changed::Rotated));
        world.clock.advance(Duration::from_secs(60));
        assert_eq!(world.sync(&world.two).await, Ok(Changed::Learned));
        assert_eq!(world.one.published(world.now()), world.two.published(world.now()));
        assert_eq!((world.kid(&world.one), world.kid(&world.two)), (old.clone(), old.clone()));
        world.clock.advance(Duration::from_secs(360));
        let new = world.kid(&world.one);
        assert_ne!(new, old);
        assert_eq!(new, world.kid(&world.two));
        let states = |node: &SigningKeys| -> Vec<_> {
            node.list(world.now()).into_iter().map(|key| (key.kid, key.state)).collect()
        };
        let both = [(old.clone(), KeyState::Retiring), (new.clone(), KeyState::Signing)];
        assert_eq!(states(&world.one), both);
        world.clock.advance(Duration::from_secs(360));
        assert_eq!(states(&world.one), [(new, KeyState::Signing)]);
        assert_eq!(world.sync(&world.one).await, Ok(Changed::Tidied));
        assert_eq!(world.sync(&world.one).await, Ok(Changed::Nothing));
        assert_eq!(world.sync(&world.two).await, Ok(Changed::Nothing));
    }

    #[tokio::test]
    async fn a_key_is_due_after_its_time() {
        let world = World::new();
        world.sync(&world.one).await.unwrap();
        world.clock.advance(29 * DAY);
        assert_eq!(world.sync(&world.one).await, Ok(Changed::Nothing));
        world.clock.advance(DAY);
        assert_eq!(world.sync(&world.one).await, Ok(Changed::Rotated));
        assert_eq!(world.sync(&world.two).await, Ok(Changed::Learned));
    }

    #[tokio::test]
    async fn a_store_that_lost_its_row_gets_it_back() {
        let world = World::new();
        world.sync(&world.one).await.unwrap();
        world.sync(&world.two).await.unwrap();
        let (kid, before) = (world.kid(&world.one), world.row().await.unwrap());
        // Gone, and somebody who knows nothing comes first: both keys count.
        world.store.take(Table::SigningKeys, KEY).await.unwrap();
        assert_eq!(world.sync(&world.one).await, Ok(Changed::PutBack));
        world.store.take(Table::SigningKeys, KEY).await.unwrap();
        let newcomer = SigningKeys::new(world.store.clone());
        assert_eq!(world.sync(&newcomer).await, Ok(Changed::Made));
        assert_eq!(world.sync(&world.two).await, Ok(Changed::PutBack));
        world.sync(&world.one).await.unwrap();
        world.sync(&newcomer).await.unwrap();
        let published = world.one.published(world.now());
        assert_eq!(published.len(), 2);
        assert!(published.iter().any(|key| key["kid"] == kid));
        assert_eq!(newcomer.published(world.now()), published);
        // Set back to an older state, after all keys were replaced: the old ones stay thrown away.
        world.one.rotate_at_once(&world.keys, world.now()).await.unwrap();
        let new = world.kid(&world.one);
        let row = world.row().await.unwrap();
        let end = world.now() + DAY;
        world.store.replace(Table::SigningKeys, KEY, &row, before, end).await.unwrap();
        assert_eq!(world.sync(&world.one).await, Ok(Changed::PutBack));
        assert_eq!(world.sync(&world.two).await, Ok(Changed::Learned));
        assert_eq!((world.kid(&world.two), world.two.published(world.now()).len()), (new, 1));
    }

    #[tokio::test]
    async fn keys_of_another_master_are_left_alone() {
        let world = World::new();
        world.sync(&world.one).await.unwrap();
        let row = world.row().await;
        let (wrong, now) = (masters(&[9]), world.now());
        assert_eq!(world.two.sync(&wrong, DAY, now).await, Err(KeysError::Foreign));
        assert_eq!(world.two.rotate(&wrong, now).await, Err(KeysError::Foreign));
        assert_eq!(world.two.rotate_at_once(&wrong, now).await, Err(KeysError::Foreign));
        assert_eq!(world.two.reseal(&wrong, now).await, Err(KeysError::Foreign));
        assert!(world.two.current(now).is_none());
        assert_eq!(world.row().await, row);
        // A node that has the keys keeps them.
        assert_eq!(world.one.sync(&wrong, DAY, now).await, Err(KeysError::Foreign));
        assert!(world.one.current(now).is_some());
        assert_eq!(
            KeysError::Foreign.to_string(),
            "the signing keys in the store are sealed with a master secret that is not in \
             `secret`; list the one that the other nodes use, or the one that was used before, \
             after the new one. If it is lost, empty the store: everybody signs in anew"
        );
    }

    #[tokio::test]
    async fn a_new_master_seals_anew() {
        let world = World::new();
        world.sync(&world.one).await.unwrap();
        let (kid, now) = (world.kid(&world.one), world.now());
        let rotated = masters(&[2, 1]);
        assert_eq!(world.two.reseal(&rotated, now).await, Ok(Changed::Learned));
        assert_eq!(world.one.sync(&rotated, DAY, now).await, Ok(Changed::Nothing));
        let third = SigningKeys::new(world.store.clone());
        assert_eq!(third.sync(&masters(&[2]), DAY, now).await, Ok(Changed::Learned));
        assert_eq!(world.kid(&third), kid);
        assert_eq!(third.sync(&masters(&[1]), DAY, now).await, Err(KeysError::Foreign));
    }

    #[tokio::test]
    async fn the_row_is_renewed_in_time() {
        let world = World::new();
        let never = 10_000 * DAY;
        let sync = || world.one.sync(&world.keys, never, world.now());
        assert_eq!(sync().await, Ok(Changed::Made));
        for (days, changed) in
            [(199, Changed::Nothing), (2, Changed::Tidied), (199, Changed::Nothing)]
        {
            world.clock.advance(days * DAY);
            assert_eq!(sync().await, Ok(changed));
        }
        assert!(world.row().await.is_some());
    }

    #[tokio::test]
    async fn replacing_all_keys_is_told_by_the_generation() {
        let world = World::new();
        world.sync(&world.one).await.unwrap();
        world.sync(&world.two).await.unwrap();
        let old = world.kid(&world.one);
        world.one.rotate(&world.keys, world.now()).await.unwrap();
        assert_eq!(world.one.generation(), 0);
        assert_eq!(world.one.rotate_at_once(&world.keys, world.now()).await, Ok(Changed::Rotated));
        assert_eq!((world.one.generation(), world.two.generation()), (1, 0));
        assert_ne!(world.kid(&world.one), old);
        assert_eq!(world.one.published(world.now()).len(), 1);
        // The other node knows the old keys, and does not bring them back.
        assert_eq!(world.sync(&world.two).await, Ok(Changed::Learned));
        assert_eq!(world.two.generation(), 1);
        assert_eq!(world.two.published(world.now()), world.one.published(world.now()));
        assert_eq!(world.sync(&world.one).await, Ok(Changed::Nothing));
    }

    #[tokio::test]
    async fn the_row_shows_nothing() {
        let world = World::new();
        world.sync(&world.one).await.unwrap();
        let row = world.row().await.unwrap();
        assert!(!row.windows(4).any(|four| four == b"ring" || four == b"MIGH"));
        assert_eq!(world.keys.open_common(&[b"signing-keys", b"other"], &row), None);
        assert_eq!(world.keys.open_common(&[b"session", KEY], &row), None);
    }
}
