//! The memory of whole answers on their way: what is held has a bound of its own, but what slow readers
//! have still to take outlives it there, and what was rewritten was never held.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use dashmap::DashMap;
use tokio::sync::OwnedSemaphorePermit;

use super::debts::{Debt, Debts};
use super::shares::{Shares, Taken};
use crate::store::{Body, BodyHash};

/// Room for answers on their way, in bytes.
pub struct Room {
    shares: Shares,
    /// Bodies that are sent as they are: many readers of one take its room once, and the readers of one
    /// account take it once of the account's part.
    shared: DashMap<BodyHash, Weak<Sent>>,
    of_accounts: DashMap<(u64, BodyHash), Weak<Lent>>,
    debts: Debts,
}

/// Bytes that many may read, with the room that they take.
struct Sent {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

/// The same for one account.
struct Lent {
    sent: Arc<Sent>,
    _room: OwnedSemaphorePermit,
}

struct Reader(Arc<Lent>);

/// Bytes of one reader's alone, with what they take.
struct Own<T> {
    bytes: Bytes,
    _takes: T,
}

/// Bytes in all.
const ROOM: usize = 256 << 20;

/// Bytes of one account: four of the largest answers that are held.
const OF_ACCOUNT: usize = ROOM / 8;

/// Bodies up to here are not counted: that many fit into the sockets.
const SMALL: usize = 64 << 10;

/// The same for what a write is answered: GitHub hears of one after the other, so there are few, and
/// nearly all are smaller.
const SMALL_WRITTEN: usize = 256 << 10;

// === impl Room ===

impl Room {
    pub(super) fn new() -> Self {
        Self::of(ROOM, OF_ACCOUNT)
    }

    fn of(bytes: usize, of_account: usize) -> Self {
        Self {
            shares: Shares::new(bytes, of_account),
            shared: DashMap::new(),
            of_accounts: DashMap::new(),
            debts: Debts::default(),
        }
    }

    /// A body with its room, which it gives back with the last reader; `None` where there is none.
    pub fn share(&self, account: u64, body: &Body) -> Option<Bytes> {
        if body.bytes.len() <= SMALL {
            return Some(body.bytes.clone());
        }
        let mut entry = self.of_accounts.entry((account, body.hash)).or_default();
        let lent = match entry.upgrade() {
            Some(lent) => lent,
            None => Arc::new(self.lend(account, body)?),
        };
        *entry = Arc::downgrade(&lent);
        Some(Bytes::from_owner(Reader(lent)))
    }

    /// The same for bytes that are one reader's alone.
    pub fn own(&self, account: u64, bytes: Bytes) -> Option<Bytes> {
        if bytes.len() <= SMALL {
            return Some(bytes);
        }
        let takes = self.shares.take(account, bytes.len())?;
        Some(Own::<Taken>::bytes(bytes, takes))
    }

    /// The same for what a write is answered, for which there is always room. What does not fit stands
    /// against its account's next write.
    pub fn written(&self, account: u64, bytes: Bytes) -> Bytes {
        if bytes.len() <= SMALL_WRITTEN {
            return bytes;
        }
        let owed = || Own::<Debt>::bytes(bytes.clone(), self.owe(account));
        self.own(account, bytes.clone()).unwrap_or_else(owed)
    }

    /// Notes an answer to a write that goes out although there is no place for it.
    pub(super) fn owe(&self, account: u64) -> Debt {
        self.debts.owe(account)
    }

    /// Whether an account may write: not before its client has taken what did not fit.
    pub(super) fn may_write(&self, account: u64) -> bool {
        !self.debts.stand_against(account)
    }

    /// Forgets bodies that nobody reads any more.
    pub(super) fn sweep(&self) {
        self.of_accounts.retain(|_, lent| lent.strong_count() > 0);
        self.shared.retain(|_, sent| sent.strong_count() > 0);
        self.shares.sweep();
        self.debts.sweep();
    }

    fn lend(&self, account: u64, body: &Body) -> Option<Lent> {
        let own = self.shares.take_own(account, body.bytes.len())?;
        Some(Lent { sent: self.sent(body)?, _room: own })
    }

    fn sent(&self, body: &Body) -> Option<Arc<Sent>> {
        let mut entry = self.shared.entry(body.hash).or_default();
        if let Some(sent) = entry.upgrade() {
            return Some(sent);
        }
        let room = self.shares.take_of_all(body.bytes.len())?;
        let sent = Arc::new(Sent { bytes: body.bytes.clone(), _room: room });
        *entry = Arc::downgrade(&sent);
        Some(sent)
    }
}

impl AsRef<[u8]> for Reader {
    fn as_ref(&self) -> &[u8] {
        &self.0.sent.bytes
    }
}

// === impl Own ===

impl<T: Send + 'static> Own<T> {
    fn bytes(bytes: Bytes, takes: T) -> Bytes {
        Bytes::from_owner(Self { bytes, _takes: takes })
    }
}

impl<T> AsRef<[u8]> for Own<T> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: usize = SMALL + 1;

    fn bytes(length: usize, fill: u8) -> Bytes {
        vec![fill; length].into()
    }

    /// Room for so many large bodies, and all of it for each account.
    fn room_for(count: usize) -> Room {
        Room::of(count * LARGE, count * LARGE)
    }

    #[test]
    fn room_is_given_back_with_the_last_reader() {
        let room = room_for(2);
        let [first, second] = [1, 2].map(|fill| room.own(7, bytes(LARGE, fill)).unwrap());
        assert_eq!(room.own(7, bytes(LARGE, 3)), None);
        assert_eq!(room.own(7, bytes(SMALL, 3)), Some(bytes(SMALL, 3)), "it is not counted");
        let part = first.slice(10..20);
        drop(first);
        assert_eq!(room.own(7, bytes(LARGE, 3)), None, "a part is still to be sent");
        assert_eq!(part, bytes(10, 1));
        drop(part);
        assert_eq!(room.own(7, bytes(LARGE, 3)), Some(bytes(LARGE, 3)));
        assert_eq!(second, bytes(LARGE, 2));
    }

    #[test]
    fn many_readers_of_one_body_take_its_room_once() {
        let room = room_for(2);
        let [one, another] = [1, 2].map(|fill| Body::new(bytes(LARGE, fill)));
        let readers: Vec<_> = (0..9).map(|n| room.share(n / 3, &one).unwrap()).collect();
        assert!(readers.iter().all(|reader| *reader == one.bytes));
        let other = room.share(0, &another).unwrap();
        assert_eq!(room.share(1, &Body::new(bytes(LARGE, 3))), None);
        drop(readers);
        assert_eq!(room.share(1, &Body::new(bytes(LARGE, 3))), Some(bytes(LARGE, 3)));
        room.sweep();
        let known = (room.shared.len(), room.of_accounts.len());
        assert_eq!((known, other.len()), ((1, 1), LARGE));
    }

    #[test]
    fn what_one_account_does_not_read_keeps_no_other_out() {
        let room = Room::of(8 * LARGE, 2 * LARGE);
        let body = |fill| Body::new(bytes(LARGE, fill));
        let mine = [room.share(1, &body(1)).unwrap(), room.own(1, bytes(LARGE, 2)).unwrap()];
        let again = room.share(1, &body(1));
        assert_eq!(again, Some(bytes(LARGE, 1)), "it has its place already");
        assert_eq!(room.share(1, &body(3)), None);
        assert_eq!(room.own(1, bytes(LARGE, 3)), None);
        assert_eq!(room.share(2, &body(3)), Some(bytes(LARGE, 3)));
        assert_eq!(room.own(2, bytes(LARGE, 3)), Some(bytes(LARGE, 3)));
        let [_, second] = mine;
        drop(second);
        assert_eq!(room.share(1, &body(3)), Some(bytes(LARGE, 3)));
        assert_eq!(again, Some(bytes(LARGE, 1)));
    }

    #[test]
    fn what_a_write_is_answered_always_goes_out_and_is_bounded_by_the_next_write() {
        const WRITTEN: usize = SMALL_WRITTEN + 1;
        let room = Room::of(WRITTEN, WRITTEN);
        let small: Vec<_> = (0..9).map(|_| room.written(1, bytes(SMALL_WRITTEN, 1))).collect();
        let fits = room.written(1, bytes(WRITTEN, 2));
        assert!(room.may_write(1), "there was room for all of them");
        let owed = room.written(1, bytes(WRITTEN, 3));
        assert_eq!(owed, bytes(WRITTEN, 3));
        assert!(!room.may_write(1) && room.may_write(2));
        let rest = owed.slice(WRITTEN - 1..);
        drop((owed, fits));
        assert!(!room.may_write(1), "its last byte is still to be sent");
        drop(rest);
        assert!(room.may_write(1));
        assert_eq!(small.len(), 9);
    }
}
