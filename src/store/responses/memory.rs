//! Answers in this process: bounded in bytes, the least useful evicted first.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::{
    Body, BodyHash, KEPT, OFFERED, Principal, ResponseKey, ResponseStore, Shared, Validation,
};
use crate::clock::Time;
use crate::freshness::tags::Tag;
use crate::store::Unavailable;

/// Answers in memory.
pub struct HeldResponses {
    /// By asker and URL.
    shown: Cache<(Principal, ResponseKey), Shown, Weigh>,
    /// Bodies, each once however many have seen it.
    bodies: Cache<BodyHash, Bytes, Weigh>,
    /// What was last shown at a URL, where others may be shown the same.
    shared: Cache<ResponseKey, Offer, Weigh>,
}

#[derive(Clone)]
struct Shown(Arc<Validation>);

/// What others may be shown, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) body: BodyHash,
    pub(super) media_type: HeaderValue,
    pub(super) about: Tag,
    pub(super) since: Time,
}

#[derive(Clone, Copy, Default)]
struct Weigh;

/// What an entry of each kind costs beside its text: keys, hashes, the caches' own books.
const ENTRY: u64 = 512;

/// What a body costs beside its bytes.
const BODY: u64 = 192;

/// What a place for a header field costs, used or not.
const PLACE: usize = 112;

/// What a header field costs beside its place and its text.
const FIELD: usize = 48;

// === impl HeldResponses ===

impl HeldResponses {
    /// Holds so many bytes at most: one half of it bodies, the other who has seen them. A page of a
    /// list weighs as much as its header fields, and several see it.
    pub fn new(bytes: u64) -> Self {
        let entries = bytes / 2;
        let shared = bytes / 16;
        Self {
            shown: cache(entries, 5 * 1024),
            bodies: cache(bytes - entries - shared, 3 * 1024),
            shared: cache(shared, 128),
        }
    }

    /// A body that is held, whoever was shown it.
    pub(super) fn body(&self, hash: &BodyHash) -> Option<Body> {
        self.bodies.get(hash).map(|bytes| Body { hash: *hash, bytes })
    }

    /// Holds what may be offered to others.
    pub(super) fn offer(&self, key: ResponseKey, offer: Offer, body: &Body) {
        self.bodies.insert(body.hash, body.bytes.clone());
        self.shared.insert(key, offer);
    }
}

// === impl Offer ===

impl Offer {
    /// What may be offered of what somebody was shown, if anything.
    pub(super) fn of(shown: &Validation) -> Option<Self> {
        let media_type = shown.headers.get(CONTENT_TYPE)?.clone();
        let (about, since) = (shown.about.clone(), shown.asked);
        let is_offered = shown.offered && shown.formula_holds;
        is_offered.then_some(Self { body: shown.body, media_type, about, since })
    }
}

#[async_trait]
impl ResponseStore for HeldResponses {
    async fn shown(
        &self,
        who: Principal,
        key: &ResponseKey,
    ) -> Result<Option<(Arc<Validation>, Body)>, Unavailable> {
        let Some(Shown(validation)) = self.shown.get(&(who, *key)) else {
            return Ok(None);
        };
        let hash = validation.body;
        Ok(self.bodies.get(&hash).map(|bytes| (validation, Body { hash, bytes })))
    }

    async fn shown_to_anybody(&self, key: &ResponseKey) -> Result<Option<Shared>, Unavailable> {
        let Some(Offer { body: hash, media_type, .. }) = self.shared.get(key) else {
            return Ok(None);
        };
        let bytes = self.bodies.get(&hash);
        Ok(bytes.map(|bytes| Shared { body: Body { hash, bytes }, media_type }))
    }

    async fn note(
        &self,
        who: Principal,
        key: ResponseKey,
        validation: Arc<Validation>,
        body: Body,
    ) -> Result<(), Unavailable> {
        let validation = Arc::new(own(&validation));
        if self.bodies.get(&body.hash).is_none() {
            // A buffer that grew as the body came in may be twice as long.
            self.bodies.insert(body.hash, Bytes::copy_from_slice(&body.bytes));
        }
        if let Some(offer) = Offer::of(&validation) {
            self.shared.insert(key, offer);
        }
        self.shown.insert((who, key), Shown(validation));
        Ok(())
    }

    async fn forget(&self, who: Principal, key: &ResponseKey) -> Result<(), Unavailable> {
        self.shown.remove(&(who, *key));
        Ok(())
    }

    async fn forget_all(&self, who: Principal) -> Result<(), Unavailable> {
        self.shown.retain(|(owner, _), _| owner.subject() != who.subject());
        Ok(())
    }

    async fn forget_everything(&self) -> Result<(), Unavailable> {
        self.shown.clear();
        self.shared.clear();
        self.bodies.clear();
        Ok(())
    }

    async fn unshare(&self, owners: &[Tag]) -> Result<(), Unavailable> {
        self.shared.retain(|_, offer| !owners.contains(&offer.about));
        Ok(())
    }

    async fn sweep(&self, now: Time) -> Result<(), Unavailable> {
        let needed = RefCell::new(HashSet::new());
        let keep = |is_kept: bool, body: BodyHash| {
            if is_kept {
                needed.borrow_mut().insert(body);
            }
            is_kept
        };
        self.shown.retain(|_, Shown(it)| keep(now.since(it.asked) < KEPT, it.body));
        self.shared.retain(|_, offer| keep(now.since(offer.since) < OFFERED, offer.body));
        let needed = needed.into_inner();
        self.bodies.retain(|hash, _| needed.contains(hash));
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.shown.weight() + self.bodies.weight() + self.shared.weight()
    }
}

/// The same in memory of its own: each value that came from a connection would keep the whole buffer
/// alive that it was read into, which is several times as long as all of them.
fn own(shown: &Validation) -> Validation {
    let mut headers = HeaderMap::with_capacity(shown.headers.len());
    for (name, value) in &*shown.headers {
        let own = HeaderValue::from_bytes(value.as_bytes());
        headers.append(name.clone(), own.unwrap_or_else(|_| value.clone()));
    }
    Validation { headers: Arc::new(headers), ..shown.clone() }
}

fn cache<K: Eq + std::hash::Hash, V: Clone>(bytes: u64, typical: u64) -> Cache<K, V, Weigh>
where
    Weigh: Weighter<K, V>,
{
    let options = OptionsBuilder::new()
        .estimated_items_capacity(usize::try_from(bytes / typical).unwrap_or(usize::MAX).max(64))
        .weight_capacity(bytes)
        .ghost_allocation(0.1)
        .build()
        .expect("both capacities are given");
    Cache::with_options(options, Weigh, DefaultHashBuilder::default(), DefaultLifecycle::default())
}

// === impl Weigh ===

impl Weighter<(Principal, ResponseKey), Shown> for Weigh {
    fn weight(&self, _key: &(Principal, ResponseKey), shown: &Shown) -> u64 {
        let texts = shown.0.etag.len() + shown.0.about.as_str().len();
        ENTRY + texts as u64 + weight_of(&shown.0.headers)
    }
}

impl Weighter<BodyHash, Bytes> for Weigh {
    fn weight(&self, _key: &BodyHash, bytes: &Bytes) -> u64 {
        BODY + bytes.len() as u64
    }
}

impl Weighter<ResponseKey, Offer> for Weigh {
    fn weight(&self, _key: &ResponseKey, _offer: &Offer) -> u64 {
        BODY
    }
}

fn weight_of(headers: &HeaderMap) -> u64 {
    let texts: usize = headers.values().map(|value| value.len() + FIELD).sum();
    (headers.capacity() * PLACE + texts) as u64
}
