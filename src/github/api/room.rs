//! The memory of whole answers on their way: what is held has a bound of its own, but what slow readers
//! have still to take outlives it there, and what was rewritten was never held.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use dashmap::DashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::store::{Body, BodyHash};

/// Room for answers on their way, in bytes.
pub struct Room {
    bytes: Arc<Semaphore>,
    /// Bodies that are sent as they are: many readers of one take its room once.
    shared: DashMap<BodyHash, Weak<Sent>>,
}

/// Bytes with the room that they take.
struct Sent {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

struct Reader(Arc<Sent>);

/// Bytes in all.
const ROOM: usize = 256 << 20;

/// Bodies up to here are not counted: that many fit into the sockets.
const SMALL: usize = 64 << 10;

// === impl Room ===

impl Room {
    pub(super) fn new() -> Self {
        Self::of(ROOM)
    }

    fn of(bytes: usize) -> Self {
        Self { bytes: Arc::new(Semaphore::new(bytes)), shared: DashMap::new() }
    }

    /// A body with its room, which it gives back with the last reader; `None` where there is none.
    pub fn share(&self, body: &Body) -> Option<Bytes> {
        if body.bytes.len() <= SMALL {
            return Some(body.bytes.clone());
        }
        let mut entry = self.shared.entry(body.hash).or_default();
        let sent = match entry.upgrade() {
            Some(sent) => sent,
            None => Arc::new(self.take(body.bytes.clone())?),
        };
        *entry = Arc::downgrade(&sent);
        Some(Bytes::from_owner(Reader(sent)))
    }

    /// The same for bytes that are one reader's alone.
    pub fn own(&self, bytes: Bytes) -> Option<Bytes> {
        if bytes.len() <= SMALL { Some(bytes) } else { self.take(bytes).map(Bytes::from_owner) }
    }

    /// Forgets bodies that nobody reads any more.
    pub(super) fn sweep(&self) {
        self.shared.retain(|_, sent| sent.strong_count() > 0);
    }

    fn take(&self, bytes: Bytes) -> Option<Sent> {
        let room = u32::try_from(bytes.len()).ok()?;
        let room = self.bytes.clone().try_acquire_many_owned(room).ok()?;
        Some(Sent { bytes, _room: room })
    }
}

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsRef<[u8]> for Reader {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: usize = SMALL + 1;

    fn bytes(length: usize, fill: u8) -> Bytes {
        vec![fill; length].into()
    }

    #[test]
    fn room_is_given_back_with_the_last_reader() {
        let room = Room::of(2 * LARGE);
        let [first, second] = [1, 2].map(|fill| room.own(bytes(LARGE, fill)).unwrap());
        assert_eq!(room.own(bytes(LARGE, 3)), None);
        assert_eq!(room.own(bytes(SMALL, 3)), Some(bytes(SMALL, 3)), "it is not counted");
        let part = first.slice(10..20);
        drop(first);
        assert_eq!(room.own(bytes(LARGE, 3)), None, "a part is still to be sent");
        assert_eq!(part, bytes(10, 1));
        drop(part);
        assert_eq!(room.own(bytes(LARGE, 3)), Some(bytes(LARGE, 3)));
        assert_eq!(second, bytes(LARGE, 2));
    }

    #[test]
    fn many_readers_of_one_body_take_its_room_once() {
        let room = Room::of(2 * LARGE);
        let [one, another] = [1, 2].map(|fill| Body::new(bytes(LARGE, fill)));
        let readers: Vec<_> = (0..9).map(|_| room.share(&one).unwrap()).collect();
        assert!(readers.iter().all(|reader| *reader == one.bytes));
        let other = room.share(&another).unwrap();
        assert_eq!(room.share(&Body::new(bytes(LARGE, 3))), None);
        drop(readers);
        assert_eq!(room.share(&Body::new(bytes(LARGE, 3))), Some(bytes(LARGE, 3)));
        room.sweep();
        assert_eq!((room.shared.len(), other.len()), (1, LARGE));
    }
}
