//! Room for the bodies of webhooks: anybody can send some, and none is believed before its end. All of
//! them together take so much memory at most, and what one sender takes keeps no other out.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Weak};

use dashmap::DashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The room there is.
pub(super) struct Room {
    all: Arc<Share>,
    senders: DashMap<IpAddr, Weak<Share>>,
}

/// The place of one body.
pub(super) struct Place {
    /// Of the sender's share, and of that of all.
    parts: [Part; 2],
    bytes: usize,
}

/// What a body has of a share.
struct Part {
    share: Arc<Share>,
    small: Option<OwnedSemaphorePermit>,
    large: Option<OwnedSemaphorePermit>,
}

/// What is left of the room, or of a sender's part of it.
struct Share {
    /// In bytes, for small bodies.
    small: Arc<Semaphore>,
    /// Large bodies that may be there at once.
    large: Arc<Semaphore>,
}

/// Bodies up to here count by the bytes that have come, so whoever sends slowly keeps nobody out.
/// Nearly all of GitHub's are a hundred times smaller.
const SMALL: usize = 1024 * 1024;

/// Bytes of small bodies at once.
const ROOM: usize = 32 * SMALL;

/// Large bodies at once, each counted as the largest: none ever waits for the rest of its room.
const LARGE: usize = 4;

/// A sender's part of it.
const SENDER: usize = 4;

/// Senders that are remembered before those who have gone are looked for.
const SENDERS: usize = 1024;

// === impl Room ===

impl Room {
    pub(super) fn new() -> Self {
        Self { all: Arc::new(Share::new(ROOM, LARGE)), senders: DashMap::new() }
    }

    /// A place for a body of this sender, empty yet.
    pub(super) fn place_for(&self, sender: IpAddr) -> Place {
        let shares = [self.share_of(network(sender)), self.all.clone()];
        Place { parts: shares.map(|share| Part { share, small: None, large: None }), bytes: 0 }
    }

    fn share_of(&self, sender: IpAddr) -> Arc<Share> {
        if self.senders.len() >= SENDERS {
            self.senders.retain(|_, share| share.strong_count() > 0);
        }
        let mut known = self.senders.entry(sender).or_default();
        known.upgrade().unwrap_or_else(|| {
            let share = Arc::new(Share::new(ROOM / SENDER, LARGE / SENDER));
            *known = Arc::downgrade(&share);
            share
        })
    }
}

// === impl Place ===

impl Place {
    /// Makes room for so many bytes more, and waits for it if need be.
    pub(super) async fn grow(&mut self, bytes: usize) {
        self.bytes += bytes;
        let is_large = self.bytes > SMALL;
        for part in &mut self.parts {
            if is_large { part.become_large().await } else { part.grow(bytes).await }
        }
    }
}

// === impl Part ===

impl Part {
    async fn grow(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).expect("a small body has few bytes");
        let more = self.share.small.clone().acquire_many_owned(bytes).await;
        let more = more.expect("it is never closed");
        match &mut self.small {
            Some(small) => small.merge(more),
            None => self.small = Some(more),
        }
    }

    async fn become_large(&mut self) {
        if self.large.is_none() {
            let turn = self.share.large.clone().acquire_owned().await;
            self.large = Some(turn.expect("it is never closed"));
        }
    }
}

// === impl Share ===

impl Share {
    fn new(bytes: usize, large: usize) -> Self {
        let (small, large) = (Semaphore::new(bytes), Semaphore::new(large));
        Self { small: Arc::new(small), large: Arc::new(large) }
    }
}

/// Whoever has an IPv6 address has a network of them.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GITHUB: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(140, 82, 112, 1));

    fn address(n: u8) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, n))
    }

    async fn fits(place: &mut Place, bytes: usize) -> bool {
        tokio::select! {
            biased;
            () = place.grow(bytes) => true,
            () = tokio::task::yield_now() => false,
        }
    }

    #[tokio::test]
    async fn what_one_sender_takes_keeps_no_other_out() {
        let room = Room::new();
        let mut hoard = Vec::new();
        loop {
            let mut place = room.place_for(address(1));
            let is_in = fits(&mut place, SMALL).await;
            hoard.push(place);
            if !is_in {
                break;
            }
        }
        assert_eq!(hoard.len(), ROOM / SENDER / SMALL + 1);
        assert!(fits(&mut room.place_for(GITHUB), SMALL).await);
        let mut large = room.place_for(address(1));
        assert!(fits(&mut large, SMALL + 1).await, "a large one is another matter");
        assert!(!fits(&mut room.place_for(address(1)), SMALL + 1).await);
        let mut github = room.place_for(GITHUB);
        assert!(fits(&mut github, SMALL + 1).await && fits(&mut github, 24 * SMALL).await);
        drop((hoard, large));
        assert!(fits(&mut room.place_for(address(1)), SMALL).await);
        assert!(fits(&mut room.place_for(address(1)), SMALL + 1).await);
    }

    #[tokio::test]
    async fn all_senders_together_are_bounded() {
        let room = Room::new();
        let mut large: Vec<_> = (1..6).map(|n| room.place_for(address(n))).collect();
        let mut fitting = 0;
        for place in &mut large {
            fitting += usize::from(fits(place, SMALL + 1).await);
        }
        assert_eq!(fitting, LARGE);
        let mut small: Vec<_> = (0..200).map(|n| room.place_for(address(n))).collect();
        let mut fitting = 0;
        for place in &mut small {
            fitting += usize::from(fits(place, SMALL).await);
        }
        assert_eq!(fitting, ROOM / SMALL);
    }

    #[tokio::test]
    async fn a_network_of_addresses_is_one_sender() {
        let room = Room::new();
        let addresses = ["2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1"];
        let mut places = addresses.map(|text| room.place_for(text.parse().unwrap()));
        let mut fitting = Vec::new();
        for place in &mut places {
            fitting.push(fits(place, SMALL + 1).await);
        }
        assert_eq!(fitting, [true, false, true]);
    }

    #[test]
    fn senders_who_have_gone_are_forgotten() {
        let room = Room::new();
        let kept = room.place_for(GITHUB);
        for n in 0..3 * u32::try_from(SENDERS).unwrap() {
            drop(room.place_for(std::net::Ipv4Addr::from_bits(n).into()));
            assert!(room.senders.len() <= SENDERS);
        }
        drop(room.place_for(GITHUB));
        assert_eq!(Arc::strong_count(&kept.parts[0].share), 1);
    }
}
