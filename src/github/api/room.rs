//! The memory of whole answers on their way: what is held has a bound of its own, but what slow readers
//! have still to take outlives it there, and what was rewritten was never held. Short answers take of it
//! only where their account has many of them on their way.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use dashmap::DashMap;
use tokio::sync::OwnedSemaphorePermit;

use super::debts::{Debt, Debts};
use super::shares::{Shares, Taken};
use crate::store::{Body, BodyHash, Noted, Unread};

/// Room for answers on their way, in bytes.
pub struct Room {
    shares: Shares,
    /// Bodies that are sent as they are: many readers of one take its room once, and the readers of one
    /// account take it once of the account's part.
    shared: DashMap<BodyHash, Weak<Sent>>,
    of_accounts: DashMap<(u64, BodyHash), Weak<Lent>>,
    debts: Debts,
}

/// Who is to take an answer.
#[derive(Clone, Copy)]
pub struct Taker<'a> {
    /// The account's number.
    pub account: u64,
    /// What its clients have still to take of short answers.
    pub unread: &'a Unread,
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

/// Bodies up to here are short: they take room only where their account has many of them on their way.
const SHORT: usize = 64 << 10;

/// Bodies up to here are not counted: what else a request takes is more.
const TINY: usize = 1 << 10;

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
    pub fn share(&self, taker: Taker<'_>, body: &Body) -> Option<Bytes> {
        if let Some(short) = short(taker, &body.bytes) {
            return Some(short);
        }
        let mut entry = self.of_accounts.entry((taker.account, body.hash)).or_default();
        let lent = match entry.upgrade() {
            Some(lent) => lent,
            None => Arc::new(self.lend(taker.account, body)?),
        };
        *entry = Arc::downgrade(&lent);
        Some(Bytes::from_owner(Reader(lent)))
    }

    /// The same for bytes that are one reader's alone.
    pub fn own(&self, taker: Taker<'_>, bytes: Bytes) -> Option<Bytes> {
        if let Some(short) = short(taker, &bytes) {
            return Some(short);
        }
        let place = self.shares.take(taker.account, bytes.len())?;
        Some(Own::<Taken>::bytes(bytes, place))
    }

    /// The same for what a write is answered, for which there is always room. What does not fit stands
    /// against its account's next write.
    pub fn written(&self, taker: Taker<'_>, bytes: Bytes) -> Bytes {
        if bytes.len() <= SMALL_WRITTEN {
            return bytes;
        }
        let owed = || Own::<Debt>::bytes(bytes.clone(), self.owe(taker.account));
        self.own(taker, bytes.clone()).unwrap_or_else(owed)
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

/// A short body, as long as its account has few of them on their way: nothing of that is shared between
/// accounts, so no account waits for another's.
fn short(taker: Taker<'_>, bytes: &Bytes) -> Option<Bytes> {
    if bytes.len() <= TINY {
        return Some(bytes.clone());
    }
    if bytes.len() > SHORT {
        return None;
    }
    Some(Own::<Noted>::bytes(bytes.clone(), taker.unread.note(bytes.len())?))
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

    const LARGE: usize = SHORT + 1;

    fn bytes(length: usize, fill: u8) -> Bytes {
        vec![fill; length].into()
    }

    /// Room for so many large bodies, and all of it for each account.
    fn room_for(count: usize) -> Room {
        Room::of(count * LARGE, count * LARGE)
    }

    /// Accounts with what their clients have still to take.
    #[derive(Default)]
    struct Accounts([Unread; 4]);

    impl Accounts {
        fn get(&self, account: usize) -> Taker<'_> {
            Taker { account: account as u64, unread: &self.0[account] }
        }
    }

    #[test]
    fn room_is_given_back_with_the_last_reader() {
        let who = Accounts::default();
        let room = room_for(2);
        let [first, second] = [1, 2].map(|fill| room.own(who.get(3), bytes(LARGE, fill)).unwrap());
        assert_eq!(room.own(who.get(3), bytes(LARGE, 3)), None);
        assert_eq!(
            room.own(who.get(3), bytes(SHORT, 3)),
            Some(bytes(SHORT, 3)),
            "it is not counted"
        );
        let part = first.slice(10..20);
        drop(first);
        assert_eq!(room.own(who.get(3), bytes(LARGE, 3)), None, "a part is still to be sent");
        assert_eq!(part, bytes(10, 1));
        drop(part);
        assert_eq!(room.own(who.get(3), bytes(LARGE, 3)), Some(bytes(LARGE, 3)));
        assert_eq!(second, bytes(LARGE, 2));
    }

    #[test]
    fn many_readers_of_one_body_take_its_room_once() {
        let who = Accounts::default();
        let room = room_for(2);
        let [one, another] = [1, 2].map(|fill| Body::new(bytes(LARGE, fill)));
        let readers: Vec<_> = (0..9).map(|n| room.share(who.get(n / 3), &one).unwrap()).collect();
        assert!(readers.iter().all(|reader| *reader == one.bytes));
        let other = room.share(who.get(0), &another).unwrap();
        assert_eq!(room.share(who.get(1), &Body::new(bytes(LARGE, 3))), None);
        drop(readers);
        assert_eq!(room.share(who.get(1), &Body::new(bytes(LARGE, 3))), Some(bytes(LARGE, 3)));
        room.sweep();
        let known = (room.shared.len(), room.of_accounts.len());
        assert_eq!((known, other.len()), ((1, 1), LARGE));
    }

    #[test]
    fn what_one_account_does_not_read_keeps_no_other_out() {
        let who = Accounts::default();
        let room = Room::of(8 * LARGE, 2 * LARGE);
        let body = |fill| Body::new(bytes(LARGE, fill));
        let mine = [
            room.share(who.get(1), &body(1)).unwrap(),
            room.own(who.get(1), bytes(LARGE, 2)).unwrap(),
        ];
        let again = room.share(who.get(1), &body(1));
        assert_eq!(again, Some(bytes(LARGE, 1)), "it has its place already");
        assert_eq!(room.share(who.get(1), &body(3)), None);
        assert_eq!(room.own(who.get(1), bytes(LARGE, 3)), None);
        assert_eq!(room.share(who.get(2), &body(3)), Some(bytes(LARGE, 3)));
        assert_eq!(room.own(who.get(2), bytes(LARGE, 3)), Some(bytes(LARGE, 3)));
        let [_, second] = mine;
        drop(second);
        assert_eq!(room.share(who.get(1), &body(3)), Some(bytes(LARGE, 3)));
        assert_eq!(again, Some(bytes(LARGE, 1)));
    }

    #[test]
    fn what_a_write_is_answered_always_goes_out_and_is_bounded_by_the_next_write() {
        const WRITTEN: usize = SMALL_WRITTEN + 1;
        let who = Accounts::default();
        let room = Room::of(WRITTEN, WRITTEN);
        let small: Vec<_> =
            (0..9).map(|_| room.written(who.get(1), bytes(SMALL_WRITTEN, 1))).collect();
        let fits = room.written(who.get(1), bytes(WRITTEN, 2));
        assert!(room.may_write(1), "there was room for all of them");
        let owed = room.written(who.get(1), bytes(WRITTEN, 3));
        assert_eq!(owed, bytes(WRITTEN, 3));
        assert!(!room.may_write(1) && room.may_write(2));
        let rest = owed.slice(WRITTEN - 1..);
        drop((owed, fits));
        assert!(!room.may_write(1), "its last byte is still to be sent");
        drop(rest);
        assert!(room.may_write(1));
        assert_eq!(small.len(), 9);
    }

    #[test]
    fn what_is_short_takes_room_where_its_account_does_not_read() {
        let who = Accounts::default();
        let room = room_for(1);
        let mine = |fill| room.own(who.get(1), bytes(SHORT, fill));
        let mut unread: Vec<_> = std::iter::from_fn(|| mine(1)).take(99).collect();
        assert_eq!(unread.len() * SHORT, (1 << 20) + SHORT, "its own, and then the room for one");
        let read_by_many = Body::new(bytes(SHORT, 2));
        assert_eq!(room.share(who.get(1), &read_by_many), None, "there is no room");
        assert_eq!(room.own(who.get(1), bytes(TINY, 1)), Some(bytes(TINY, 1)), "it is not counted");
        assert_eq!(
            room.own(who.get(2), bytes(SHORT, 2)),
            Some(bytes(SHORT, 2)),
            "others have their own"
        );
        unread.swap_remove(0);
        let part = mine(3).expect("what is taken makes room").slice(1..2);
        assert_eq!(mine(3), None, "a part is still to be sent");
        drop(part);
        assert_eq!(mine(3), Some(bytes(SHORT, 3)));
    }
}
