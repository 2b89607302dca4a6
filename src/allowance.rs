//! How much one address, or one session, may ask for in a while: so much at once, and so much a second
//! from then on.
//!
//! What is remembered is bounded, whoever asks. Where it is full, whoever has the most of their
//! allowance left is forgotten first: a flood from many addresses pushes out itself, and nobody who
//! has none left.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Time;
use crate::session::SessionKey;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asker {
    /// A [`household`]; `None` is whoever comes by a Unix socket, of whom nobody knows more.
    Address(Option<IpAddr>),
    /// A session, or what an instance's server has of one.
    Session(SessionKey),
}

/// What the askers of one gateway have left.
#[derive(Debug)]
pub struct Allowances {
    parts: [Mutex<HashMap<Asker, Spent>>; PARTS],
    hasher: RandomState,
}

/// There is nothing left for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NothingLeft {
    /// Whether this asker has not been told since there was something left.
    pub is_news: bool,
}

/// What an asker has used up.
#[derive(Clone, Copy, Debug)]
struct Spent {
    amount: u64,
    at: Time,
    is_told: bool,
}

/// What there is at once.
pub const AT_ONCE: u64 = 600;

/// What comes back each second.
pub const A_SECOND: u64 = 10;

/// Askers are kept in parts, so that few wait for each other.
const PARTS: usize = 64;

/// Askers in one part.
const MOST_IN_PART: usize = 1024;

// === impl Asker ===

impl Asker {
    /// Whoever comes from an address.
    pub fn at(address: Option<IpAddr>) -> Self {
        Self::Address(address.map(household))
    }
}

// === impl Allowances ===

impl Default for Allowances {
    fn default() -> Self {
        Self {
            parts: [const { None }; PARTS].map(|_: Option<()>| Mutex::default()),
            hasher: RandomState::new(),
        }
    }
}

impl Allowances {
    /// Whether an asker has anything left. Nothing is taken.
    pub fn ask(&self, asker: Asker, now: Time) -> Result<(), NothingLeft> {
        self.with(asker, |part| part.get_mut(&asker).map_or(Ok(()), |spent| spent.take(0, now)))
    }

    /// Takes so much of what an asker has left; nothing if that is less.
    pub fn take(&self, asker: Asker, amount: u64, now: Time) -> Result<(), NothingLeft> {
        self.with(asker, |part| {
            if part.len() >= MOST_IN_PART && !part.contains_key(&asker) {
                make_room(part, now);
            }
            let fresh = Spent { amount: 0, at: now, is_told: false };
            part.entry(asker).or_insert(fresh).take(amount, now)
        })
    }

    fn with<R>(&self, asker: Asker, act: impl FnOnce(&mut HashMap<Asker, Spent>) -> R) -> R {
        let place = usize::try_from(self.hasher.hash_one(asker) % PARTS as u64).unwrap_or(0);
        act(&mut self.parts[place].lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Forgets who has everything left again, or else whoever has the most.
fn make_room(part: &mut HashMap<Asker, Spent>, now: Time) {
    part.retain(|_, spent| spent.left_over(now) > 0);
    if part.len() < MOST_IN_PART {
        return;
    }
    let least = part.iter().min_by_key(|(_, spent)| spent.left_over(now)).map(|(asker, _)| *asker);
    if let Some(asker) = least {
        part.remove(&asker);
    }
}

// === impl Spent ===

impl Spent {
    /// What is not back yet.
    fn left_over(&self, now: Time) -> u64 {
        self.amount.saturating_sub(now.since(self.at).as_secs().saturating_mul(A_SECOND))
    }

    fn take(&mut self, amount: u64, now: Time) -> Result<(), NothingLeft> {
        self.amount = self.left_over(now);
        self.at = now;
        if self.amount + amount.max(1) > AT_ONCE {
            return Err(NothingLeft { is_news: !std::mem::replace(&mut self.is_told, true) });
        }
        self.amount += amount;
        self.is_told = false;
        Ok(())
    }
}

/// How long it takes until so much is back.
pub const fn time_for(amount: u64) -> Duration {
    Duration::from_secs(amount.div_ceil(A_SECOND))
}

/// One household: an IPv4 address, or the /64 of an IPv6 address.
pub fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_unix(1_000_000);

    fn address(number: u32) -> Asker {
        Asker::at(Some(std::net::Ipv4Addr::from_bits(number).into()))
    }

    fn remembered(allowances: &Allowances) -> usize {
        allowances.parts.iter().map(|part| part.lock().unwrap().len()).sum()
    }

    #[test]
    fn an_ipv6_network_counts_as_one() {
        for (address, counted) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(household(address), counted.parse::<IpAddr>().unwrap());
        }
    }

    #[test]
    fn so_much_at_once_and_so_much_a_second() {
        let all = Allowances::default();
        let (one, other) = (address(1), Asker::Session(SessionKey::new([7; 16])));
        assert!((0..AT_ONCE).all(|_| all.take(one, 1, NOW).is_ok()));
        assert_eq!(all.ask(one, NOW), Err(NothingLeft { is_news: true }));
        assert_eq!(all.take(one, 1, NOW), Err(NothingLeft { is_news: false }));
        assert_eq!((all.ask(other, NOW), all.take(other, 1, NOW)), (Ok(()), Ok(())));
        let later = NOW + Duration::from_secs(1);
        assert!((0..A_SECOND).all(|_| all.take(one, 1, later).is_ok()));
        assert_eq!(all.take(one, 1, later), Err(NothingLeft { is_news: true }));
        // What is refused costs nothing, and a clock that goes back gives nothing.
        assert!(all.take(one, 1, NOW).is_err());
        let much_later = later + time_for(AT_ONCE);
        assert_eq!(all.take(one, AT_ONCE, much_later), Ok(()));
    }

    #[test]
    fn a_flood_of_addresses_takes_no_more_memory_and_frees_nobody() {
        let all = Allowances::default();
        let hasty = address(0);
        all.take(hasty, AT_ONCE, NOW).unwrap();
        for number in 1..=72_000 {
            all.take(address(number), 1, NOW).unwrap();
        }
        assert!(remembered(&all) <= PARTS * MOST_IN_PART, "{}", remembered(&all));
        assert!(all.ask(hasty, NOW).is_err(), "who has nothing left is remembered");
        let later = NOW + time_for(AT_ONCE);
        (0..72_000).for_each(|number| all.take(address(number), 1, later).unwrap());
        assert!(remembered(&all) <= PARTS * MOST_IN_PART);
    }
}
