//! Room for the bodies of webhooks: anybody can send some, and none is believed before its end. All of
//! them together take so much memory at most, what one sender takes keeps no other out, and what is
//! large keeps nothing small out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The room there is.
pub(super) struct Room {
    all: Arc<Share>,
    /// Those who come by Unix sockets, and of whom nothing is known, are one.
    senders: DashMap<Option<IpAddr>, Weak<Share>>,
}

/// The place of one body, all of it taken before the first byte is read: whoever has one waits for
/// nothing more, so nobody waits for ever.
pub(super) struct Place {
    /// How long its body may be, in bytes.
    pub(super) bytes: usize,
    /// How long its body may take to come.
    pub(super) patience: Duration,
    size: Size,
    /// Kept while the sender has something here, for the next body to be counted with it.
    share: Arc<Share>,
    all: Arc<Share>,
    _own: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

/// How large a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    /// As nearly all of GitHub's are.
    Small,
    Medium,
    /// Counted as the largest there are.
    Large,
}

/// What is left of the room, or of a sender's part of it: none of a size is for another one.
struct Share {
    /// In bytes.
    small: Left,
    /// In bytes.
    medium: Left,
    /// In bodies.
    large: Left,
}

/// What is left of one size.
struct Left {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// Somebody who waits.
struct Waiting<'l>(&'l AtomicUsize);

/// The largest body that is small, in bytes.
const SMALL: usize = 64 * 1024;

/// The largest that is not large.
const MEDIUM: usize = 1024 * 1024;

/// Bytes of small bodies at once, and as many of medium ones.
const ROOM: usize = 16 * 1024 * 1024;

/// Large bodies at once.
const LARGE: usize = 4;

/// A sender's part of the room for small bodies, where most of the waiting would be: it takes a
/// crowd of networks to make GitHub wait for seconds.
const SMALL_SENDER: usize = ROOM / 8;

/// A sender's part of the other room.
const SENDER: usize = 4;

/// A small body comes in a few packets. Whoever takes longer makes room for others.
const PATIENCE_SMALL: Duration = Duration::from_secs(3);

/// GitHub waits no longer for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Senders that are remembered before those who have gone are looked for.
const SENDERS: usize = 1024;

// === impl Room ===

impl Room {
    pub(super) fn new() -> Self {
        let all = Arc::new(Share::new(ROOM, ROOM, LARGE));
        Self { all, senders: DashMap::new() }
    }

    /// Waits for the place of a body of this sender, of as many bytes as it announces. One that
    /// announces nothing may become as large as `largest`.
    pub(super) async fn place_for(
        &self,
        sender: Option<IpAddr>,
        announced: Option<usize>,
        largest: usize,
    ) -> Place {
        let bytes = announced.unwrap_or(largest);
        let size = Size::of(bytes);
        let share = self.share_of(sender.map(network));
        // First what is the sender's own: whoever waits for that keeps nothing of the others'.
        let own = share.take(size, bytes).await;
        let of_all = self.all.take(size, bytes).await;
        let patience = size.patience();
        let all = self.all.clone();
        Place { bytes, patience, size, share, all, _own: own, _of_all: of_all }
    }

    fn share_of(&self, sender: Option<IpAddr>) -> Arc<Share> {
        if self.senders.len() >= SENDERS {
            self.senders.retain(|_, share| share.strong_count() > 0);
        }
        let mut known = self.senders.entry(sender).or_default();
        known.upgrade().unwrap_or_else(|| {
            let share = Arc::new(Share::new(SMALL_SENDER, ROOM / SENDER, LARGE / SENDER));
            *known = Arc::downgrade(&share);
            share
        })
    }
}

// === impl Place ===

impl Place {
    /// Whether somebody waits for one like it.
    pub(super) fn is_wanted(&self) -> bool {
        self.share.is_waited_for(self.size) || self.all.is_waited_for(self.size)
    }
}

// === impl Size ===

impl Size {
    fn of(bytes: usize) -> Self {
        if bytes <= SMALL {
            Self::Small
        } else if bytes <= MEDIUM {
            Self::Medium
        } else {
            Self::Large
        }
    }

    fn patience(self) -> Duration {
        match self {
            Self::Small => PATIENCE_SMALL,
            Self::Medium | Self::Large => PATIENCE,
        }
    }
}

// === impl Share ===

impl Share {
    fn new(small: usize, medium: usize, large: usize) -> Self {
        let [small, medium, large] = [small, medium, large].map(Left::new);
        Self { small, medium, large }
    }

    async fn take(&self, size: Size, bytes: usize) -> OwnedSemaphorePermit {
        let count = if size == Size::Large { 1 } else { bytes };
        let count = u32::try_from(count).expect("what is counted in bytes is a megabyte at most");
        let left = self.left(size);
        let _waiting = Waiting::beginning(&left.waiting);
        left.places.clone().acquire_many_owned(count).await.expect("it is never closed")
    }

    fn is_waited_for(&self, size: Size) -> bool {
        self.left(size).waiting.load(Ordering::Relaxed) > 0
    }

    fn left(&self, size: Size) -> &Left {
        match size {
            Size::Small => &self.small,
            Size::Medium => &self.medium,
            Size::Large => &self.large,
        }
    }
}

impl Left {
    fn new(count: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(count)), waiting: AtomicUsize::new(0) }
    }
}

// === impl Waiting ===

impl<'l> Waiting<'l> {
    fn beginning(all: &'l AtomicUsize) -> Self {
        all.fetch_add(1, Ordering::Relaxed);
        Self(all)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whoever has an IPv6 address has a network of them, and for the asking one of many networks; and of
/// IPv4 the smallest network that is routed by itself. <https://www.rfc-editor.org/rfc/rfc6177>
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() >> 8 << 8).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 80 << 80).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GITHUB: IpAddr = IpAddr::V4(Ipv4Addr::new(140, 82, 112, 1));
    const LARGEST: usize = 25 * MEDIUM;

    /// One of a network of its own.
    fn address(n: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(198, 18, n, 1))
    }

    /// The place of a body that announces so much, where there is one at once.
    async fn at_once(room: &Room, sender: IpAddr, announced: Option<usize>) -> Option<Place> {
        tokio::select! {
            biased;
            place = room.place_for(Some(sender), announced, LARGEST) => Some(place),
            () = tokio::task::yield_now() => None,
        }
    }

    /// All that these senders can have of bodies of this size.
    async fn hoard(room: &Room, senders: impl Iterator<Item = u8>, bytes: usize) -> Vec<Place> {
        let mut hoard = Vec::new();
        for sender in senders {
            while let Some(place) = at_once(room, address(sender), Some(bytes)).await {
                hoard.push(place);
            }
        }
        hoard
    }

    #[tokio::test]
    async fn what_one_sender_takes_keeps_no_other_out() {
        for bytes in [1000, SMALL, SMALL + 1, MEDIUM, MEDIUM + 1, LARGEST] {
            let room = Room::new();
            let taken = hoard(&room, 1..2, bytes).await;
            assert!(!taken.is_empty());
            assert!(at_once(&room, address(1), Some(bytes)).await.is_none(), "{bytes}");
            assert!(at_once(&room, GITHUB, Some(bytes)).await.is_some(), "{bytes}");
            drop(taken);
            assert!(at_once(&room, address(1), Some(bytes)).await.is_some(), "{bytes}");
        }
    }

    #[tokio::test]
    async fn what_is_large_keeps_nothing_small_out() {
        let room = Room::new();
        let mut taken = Vec::new();
        for bytes in [SMALL + 1, MEDIUM, MEDIUM + 1] {
            taken.extend(hoard(&room, 1..200, bytes).await);
            assert!(at_once(&room, GITHUB, Some(bytes)).await.is_none(), "all is taken: {bytes}");
        }
        assert!(at_once(&room, GITHUB, None).await.is_none(), "the size of it may be any");
        let small = hoard(&room, 200..202, SMALL).await;
        assert_eq!(small.len(), 2 * SMALL_SENDER / SMALL);
        assert!(at_once(&room, GITHUB, Some(SMALL)).await.is_some());
    }

    #[tokio::test]
    async fn all_senders_together_are_bounded() {
        let room = Room::new();
        for (bytes, most) in [(SMALL, ROOM / SMALL), (MEDIUM, ROOM / MEDIUM), (LARGEST, LARGE)] {
            let taken = hoard(&room, 0..255, bytes).await;
            assert_eq!(taken.len(), most, "{bytes}");
            assert!(at_once(&room, GITHUB, Some(bytes)).await.is_none(), "{bytes}");
        }
    }

    /// Each has what it announces from the beginning: however many begin, those who have begun end.
    #[tokio::test]
    async fn who_has_begun_waits_for_nothing() {
        let room = Room::new();
        let taken = hoard(&room, 0..255, MEDIUM).await;
        assert!(taken.iter().all(|place| place.bytes == MEDIUM));
        let waiting = room.place_for(Some(GITHUB), Some(MEDIUM), LARGEST);
        tokio::pin!(waiting);
        assert!(now_or_never(&mut waiting).await.is_none());
        drop(taken.into_iter().next());
        assert_eq!(waiting.await.bytes, MEDIUM, "the first that ends makes room");
    }

    #[tokio::test]
    async fn a_place_is_wanted_where_somebody_waits_for_one_like_it() {
        for bytes in [SMALL, MEDIUM, LARGEST] {
            let room = Room::new();
            let place = at_once(&room, GITHUB, Some(bytes)).await.expect("there is room");
            let mut taken = hoard(&room, 0..1, bytes).await;
            assert!(!taken[0].is_wanted());
            let waiting = room.place_for(Some(address(0)), Some(bytes), LARGEST);
            tokio::pin!(waiting);
            assert!(now_or_never(&mut waiting).await.is_none());
            assert!(taken[0].is_wanted(), "by its own sender");
            assert!(!place.is_wanted(), "that has nothing to do with others");
            taken.pop();
            drop(waiting.await);
            taken.extend(hoard(&room, 1..200, bytes).await);
            let other = if bytes == SMALL { MEDIUM } else { SMALL };
            drop(at_once(&room, address(201), Some(other)).await.expect("there is room"));
            assert!(!place.is_wanted());
            {
                let waiting = room.place_for(Some(address(201)), Some(bytes), LARGEST);
                tokio::pin!(waiting);
                assert!(now_or_never(&mut waiting).await.is_none());
                assert!(place.is_wanted() && taken[0].is_wanted());
            }
            assert!(!place.is_wanted(), "who waited has gone");
        }
    }

    async fn now_or_never<T>(future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            value = future => Some(value),
            () = std::future::ready(()) => None,
        }
    }

    #[tokio::test]
    async fn a_body_that_announces_nothing_may_be_the_largest() {
        let room = Room::new();
        let place = at_once(&room, GITHUB, None).await.expect("there is room");
        assert_eq!((place.bytes, place.patience), (LARGEST, PATIENCE));
        assert!(at_once(&room, GITHUB, Some(LARGEST)).await.is_none());
        let small = at_once(&room, GITHUB, Some(SMALL)).await.expect("there is room");
        assert_eq!((small.bytes, small.patience), (SMALL, PATIENCE_SMALL));
        assert!(at_once(&room, GITHUB, Some(0)).await.is_some());
    }

    #[tokio::test]
    async fn a_network_of_addresses_is_one_sender() {
        let room = Room::new();
        let mut places = Vec::new();
        for text in [
            "2001:db8::1",
            "2001:db8::ffff",
            "2001:db8:0:ffff::1",
            "2001:db8:1::1",
            "192.0.2.1",
            "192.0.2.255",
            "::ffff:192.0.2.2",
            "::ffff:192.0.3.1",
        ] {
            places.push(at_once(&room, text.parse().unwrap(), Some(LARGEST)).await);
        }
        let fitting: Vec<_> = places.iter().map(Option::is_some).collect();
        assert_eq!(fitting, [true, false, false, true, true, false, false, true]);
    }

    #[tokio::test]
    async fn senders_who_have_gone_are_forgotten() {
        let room = Room::new();
        let kept = at_once(&room, GITHUB, Some(LARGEST)).await;
        for n in 0..3 * u32::try_from(SENDERS).unwrap() {
            drop(at_once(&room, Ipv4Addr::from_bits(n << 8).into(), Some(1)).await);
            assert!(room.senders.len() <= SENDERS);
        }
        assert!(at_once(&room, GITHUB, Some(LARGEST)).await.is_none(), "the one who stayed is not");
        drop(kept);
    }
}
