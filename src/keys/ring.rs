//! The ring of signing keys: which one signs, which are published, when each comes and goes.
//!
//! Published, then signing, then retiring, then gone. A key is published so long before it signs
//! that no verifier's copy is without it, and stays so long after that every token of it has ended.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::SigningKey;
use crate::claims;
use crate::clock::Time;

/// The signing keys of all nodes. Serialised it holds their private halves: that is for sealing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRing {
    /// How many times all keys were replaced at once. What such a replacement threw away never
    /// comes back: of two rings the later generation counts, whole.
    generation: u64,
    /// In the order in which they begin to sign.
    entries: Vec<Entry>,
}

/// A key and its time.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    #[serde(with = "private_half")]
    key: Arc<SigningKey>,
    made: Time,
    active_from: Time,
}

/// What operators may know of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its name in tokens and among the published keys.
    pub kid: String,
    /// When it was made, and published.
    pub made: Time,
    /// From when it signs.
    pub active_from: Time,
    /// What it does now.
    pub state: KeyState,
    /// When it is published no longer; `None` while nothing takes its place.
    pub gone_at: Option<Time>,
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It is published, so that verifiers know it when it begins to sign.
    Coming,
    /// It signs.
    Signing,
    /// It signs no longer; what it signed is still good.
    Retiring,
}

/// How long anybody may keep a copy of the published keys.
pub const KEYS_MAX_AGE: Duration = Duration::from_secs(300);

/// How often each node looks at the store's ring: so late the last one publishes a new key.
pub const SYNC_EVERY: Duration = Duration::from_secs(60);

/// Clocks of nodes and verifiers differ by no more, and verifiers forgive no more.
const LEEWAY: Duration = Duration::from_secs(60);

/// How long a key is published before it signs: the last node has it by then, and whoever asked
/// that node just before has thrown the copy away.
pub const PUBLISH_AHEAD: Duration =
    Duration::from_secs(KEYS_MAX_AGE.as_secs() + SYNC_EVERY.as_secs() + LEEWAY.as_secs());

/// How long a key is published after another has taken its place: its last token has ended by then,
/// for the most forgiving verifier too.
const PUBLISHED_AFTER: Duration = Duration::from_secs(claims::LIFE.as_secs() + LEEWAY.as_secs());

/// A clock may jump so far and back again without calling for a new key.
const CLOCK_JUMP: Duration = Duration::from_secs(24 * 3600);

// === impl KeyRing ===

impl KeyRing {
    /// The first key of all. Nobody has a copy of the published keys yet, so it signs at once.
    pub fn new(now: Time) -> Self {
        Self { generation: 0, entries: vec![Entry::new(now, now)] }
    }

    /// How many times all keys were replaced at once.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The key that signs: the newest whose time has come. A clock that jumped back may have left
    /// none; then the oldest there is signs, which has been published for longest and, with its
    /// elders gone, has signed before.
    pub fn signing(&self, now: Time) -> Option<&Arc<SigningKey>> {
        self.place_of_signing(now).map(|place| &self.entries[place].key)
    }

    /// The keys that verifiers shall know: also those to come, and those whose tokens may be out.
    pub fn published(&self, now: Time) -> impl Iterator<Item = &Arc<SigningKey>> {
        (0..self.entries.len())
            .filter(move |&place| !self.is_gone(place, now))
            .map(|place| &self.entries[place].key)
    }

    /// The ring with a new key, which is published from now on and signs later.
    #[must_use]
    pub fn rotate(&self, now: Time) -> Self {
        let mut ring = self.clone();
        // The key that signs for want of a better one goes on signing until the new one does.
        if let Some(oldest) = ring.entries.first_mut() {
            oldest.made = oldest.made.min(now);
            oldest.active_from = oldest.active_from.min(now);
        }
        ring.entries.push(Entry::new(now, now + PUBLISH_AHEAD));
        ring.in_order()
    }

    /// A ring of one new key that signs at once; no token of any other is good any more. For a key
    /// that was stolen: verifiers that do not ask again for a `kid` they do not know refuse good
    /// tokens until their copies end.
    #[must_use]
    pub fn rotate_at_once(&self, now: Time) -> Self {
        Self { generation: self.generation + 1, ..Self::new(now) }
    }

    /// Whether no key is younger than `every`. One from far ahead was made by a clock that was
    /// wrong, and does not hold the next one up.
    pub fn is_due(&self, now: Time, every: Duration) -> bool {
        let is_young =
            |entry: &Entry| entry.made <= now + CLOCK_JUMP && now.since(entry.made) < every;
        !self.entries.iter().any(is_young)
    }

    /// The ring without the keys that nobody needs any more.
    #[must_use]
    pub fn without_gone(&self, now: Time) -> Self {
        let needed = (0..self.entries.len()).filter(|&place| !self.is_gone(place, now));
        let entries = needed.map(|place| self.entries[place].clone()).collect();
        Self { generation: self.generation, entries }
    }

    /// What two nodes know together, whichever of them says it first: the later generation, or all
    /// keys of the same one.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        let (older, newer) =
            if self.generation < other.generation { (self, other) } else { (other, self) };
        let mut ring = newer.clone();
        if older.generation == newer.generation {
            older.entries.iter().for_each(|entry| ring.add(entry));
        }
        ring.in_order()
    }

    /// Whether this one has every key of the other.
    pub fn has_all_of(&self, other: &Self) -> bool {
        other.entries.iter().all(|entry| self.entries.iter().any(|own| own.key == entry.key))
    }

    /// What operators may know, in the order in which the keys sign.
    pub fn list(&self, now: Time) -> Vec<KeyInfo> {
        let signing = self.place_of_signing(now);
        let there = (0..self.entries.len()).filter(|&place| !self.is_gone(place, now));
        there
            .map(|place| KeyInfo {
                kid: self.entries[place].key.kid().to_owned(),
                made: self.entries[place].made,
                active_from: self.entries[place].active_from,
                state: match Some(place).cmp(&signing) {
                    std::cmp::Ordering::Less => KeyState::Retiring,
                    std::cmp::Ordering::Equal => KeyState::Signing,
                    std::cmp::Ordering::Greater => KeyState::Coming,
                },
                gone_at: self.gone_at(place),
            })
            .collect()
    }

    fn place_of_signing(&self, now: Time) -> Option<usize> {
        let come = self.entries.iter().rposition(|entry| entry.active_from <= now);
        come.or((!self.entries.is_empty()).then_some(0))
    }

    fn gone_at(&self, place: usize) -> Option<Time> {
        self.entries.get(place + 1).map(|next| next.active_from + PUBLISHED_AFTER)
    }

    fn is_gone(&self, place: usize, now: Time) -> bool {
        self.gone_at(place).is_some_and(|gone_at| gone_at <= now)
    }

    fn add(&mut self, entry: &Entry) {
        match self.entries.iter_mut().find(|own| own.key == entry.key) {
            Some(own) => {
                own.made = own.made.min(entry.made);
                own.active_from = own.active_from.min(entry.active_from);
            }
            None => self.entries.push(entry.clone()),
        }
    }

    /// The same order on every node, whoever made which key in the same second.
    fn in_order(mut self) -> Self {
        self.entries.sort_by(|a, b| {
            (a.active_from, a.made, a.key.kid()).cmp(&(b.active_from, b.made, b.key.kid()))
        });
        self
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries.iter().map(|entry| entry.key.kid())).finish()
    }
}

// === impl Entry ===

impl Entry {
    fn new(made: Time, active_from: Time) -> Self {
        Self { key: Arc::new(SigningKey::generate()), made, active_from }
    }
}

/// How a key is written into a ring that will be sealed.
mod private_half {
    use std::sync::Arc;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    use super::SigningKey;
    use crate::secret::Secret;

    pub(super) fn serialize<S: Serializer>(key: &SigningKey, to: S) -> Result<S::Ok, S::Error> {
        let text = Secret::new(STANDARD.encode(key.pkcs8().expose()));
        to.serialize_str(text.expose())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Arc<SigningKey>, D::Error> {
        let text = Secret::new(String::deserialize(from)?);
        let pkcs8 = STANDARD.decode(text.expose()).map_err(|_| D::Error::custom("no base64"))?;
        SigningKey::from_pkcs8(Secret::new(pkcs8))
            .map(Arc::new)
            .ok_or_else(|| D::Error::custom("no key for ES256"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;
    const START: i64 = 1_800_000_000;

    fn at(seconds: i64) -> Time {
        Time::from_unix(START + seconds)
    }

    fn kids<'r>(keys: impl Iterator<Item = &'r Arc<SigningKey>>) -> Vec<String> {
        keys.map(|key| key.kid().to_owned()).collect()
    }

    fn signs(ring: &KeyRing, now: Time) -> String {
        ring.signing(now).expect("a key").kid().to_owned()
    }

    /// What each key does at a moment, in order.
    fn states(ring: &KeyRing, seconds: i64) -> Vec<KeyState> {
        ring.list(at(seconds)).into_iter().map(|key| key.state).collect()
    }

    #[test]
    fn a_key_comes_signs_retires_and_is_gone() {
        use KeyState::{Coming, Retiring, Signing};
        let ring = KeyRing::new(at(-1000)).rotate(at(0));
        for (second, expected) in [
            (0, &[Signing, Coming][..]),
            (419, &[Signing, Coming]),
            (420, &[Retiring, Signing]),
            (779, &[Retiring, Signing]),
            (780, &[Signing]),
        ] {
            assert_eq!(states(&ring, second), expected, "second {second}");
            let left = ring.without_gone(at(second));
            assert_eq!(kids(left.published(at(second))), kids(ring.published(at(second))));
            assert_eq!(left.entries.len(), expected.len(), "second {second}");
        }
        let [old, new] = &ring.list(at(0))[..] else { panic!("two keys") };
        assert_eq!((old.made, old.active_from, old.gone_at), (at(-1000), at(-1000), Some(at(780))));
        assert_eq!((new.made, new.active_from, new.gone_at), (at(0), at(420), None));
    }

    #[test]
    fn a_key_is_due_when_the_newest_is_old() {
        let every = Duration::from_secs(HOUR);
        let ring = KeyRing::new(at(0));
        for (second, due) in [(-86_401, true), (-3600, false), (0, false), (3599, false)] {
            assert_eq!(ring.is_due(at(second), every), due, "second {second}");
        }
        assert!(ring.is_due(at(3600), every));
        assert!(!ring.rotate(at(3600)).is_due(at(3600), every));
    }

    #[test]
    fn replacing_all_at_once_leaves_one_key_that_signs() {
        let old = KeyRing::new(at(-1000)).rotate(at(-10));
        let new = old.rotate_at_once(at(0));
        assert_eq!(states(&new, 0), [KeyState::Signing]);
        assert!(!old.has_all_of(&new));
        assert_eq!((old.generation(), new.generation()), (0, 1));
        // Whoever still has the old ones gives them up, and nobody gets them back.
        assert_eq!((old.merge(&new), new.merge(&old)), (new.clone(), new));
    }

    #[test]
    fn two_rings_become_one_whoever_asks() {
        let first = KeyRing::new(at(0));
        let (here, there) = (first.rotate(at(10)), first.rotate(at(20)).rotate(at(10)));
        let both = here.merge(&there);
        assert_eq!(both, there.merge(&here));
        assert_eq!(both, both.merge(&here));
        assert_eq!(both.entries.len(), 4);
        assert!(both.has_all_of(&here) && both.has_all_of(&there) && !here.has_all_of(&both));
    }

    #[test]
    fn a_ring_is_the_same_after_being_kept() {
        let ring = KeyRing::new(at(0)).rotate(at(10)).rotate_at_once(at(20)).rotate(at(30));
        let text = serde_json::to_string(&ring).unwrap();
        assert_eq!(serde_json::from_str::<KeyRing>(&text).unwrap(), ring);
        let spoilt = text.replace("MIGH", "MIGG");
        assert_ne!(spoilt, text);
        assert!(serde_json::from_str::<KeyRing>(&spoilt).is_err());
    }

    #[test]
    fn nothing_secret_is_shown() {
        let ring = KeyRing::new(at(0)).rotate(at(10));
        let kids = kids(ring.published(at(10)));
        assert_eq!(format!("{ring:?}"), format!("{kids:?}"));
    }

    /// A clock that was years ahead when it made the first key, and was put right.
    #[test]
    fn a_key_from_the_future_signs_until_a_new_one_was_published_for_long_enough() {
        let ring = KeyRing::new(at(400_000_000));
        let first = signs(&ring, at(0));
        assert!(ring.is_due(at(0), Duration::from_secs(HOUR)));
        let ring = ring.rotate(at(0));
        assert_eq!(signs(&ring, at(419)), first);
        assert_ne!(signs(&ring, at(420)), first);
    }

    // === The course of time ===

    /// A copy of the published keys that a verifier may still use, or a token that may be out.
    struct Out {
        real: i64,
        wall: i64,
        kids: Vec<String>,
    }

    impl Out {
        /// Whether less than this has passed, by the clock on the wall and in truth.
        fn is_younger(&self, span: Duration, real: i64, wall: i64) -> bool {
            let span = i64::try_from(span.as_secs()).expect("short");
            real - self.real < span && wall - self.wall < span
        }
    }

    /// Two nodes, the second always a minute behind in what it knows and off by `skew` seconds,
    /// with a rotation each hour, for five hours; `jump` is added to all clocks at a minute.
    fn live(skew: i64, jump: impl Fn(i64) -> i64) {
        let every = Duration::from_secs(HOUR);
        let mut ring = KeyRing::new(at(0));
        let mut late = ring.clone();
        let (mut copies, mut tokens): (Vec<Out>, Vec<Out>) = (Vec::new(), Vec::new());
        for minute in 0..300 {
            let real = minute * 60;
            let wall = real + jump(minute);
            if ring.is_due(at(wall), every) {
                ring = ring.rotate(at(wall));
            }
            ring = ring.without_gone(at(wall));
            let nodes = [(&ring, at(wall)), (&late, at(wall + skew))];
            copies.retain(|copy| copy.is_younger(KEYS_MAX_AGE, real, wall));
            tokens.retain(|token| token.is_younger(claims::LIFE + LEEWAY, real, wall));
            for (node, now) in nodes {
                copies.push(Out { real, wall, kids: kids(node.published(now)) });
                tokens.push(Out { real, wall, kids: vec![signs(node, now)] });
            }
            let signed = nodes.map(|(node, now)| signs(node, now));
            for copy in &copies {
                let known = signed.iter().all(|kid| copy.kids.contains(kid));
                assert!(known, "minute {minute}: a copy is without a key that signs");
            }
            for (node, now) in nodes {
                let published = kids(node.published(now));
                let good = tokens.iter().all(|token| published.contains(&token.kids[0]));
                assert!(good, "minute {minute}: the key of a good token is not published");
            }
            late = ring.clone();
        }
    }

    #[test]
    fn through_all_rotations_every_verifier_knows_every_key_that_it_meets() {
        for skew in [-30, 0, 60] {
            live(skew, |_| 0);
        }
    }

    /// Wherever a rotation stands when the clock jumps.
    #[test]
    fn an_hour_s_jump_of_the_clock_takes_no_key_from_anybody() {
        let hour = i64::try_from(HOUR).expect("short");
        for jumped in (0..20).chain(110..140).chain(170..200) {
            live(0, |minute| if minute < jumped { 0 } else { hour });
            live(0, |minute| if minute < jumped { 0 } else { -hour });
        }
    }
}
