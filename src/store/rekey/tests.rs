use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Waker};

use async_trait::async_trait;

use super::*;
use crate::clock::{Clock, Manual};
use crate::credential::{Credential, Grant};
use crate::identity::Identity;
use crate::session::{Session, SessionId};
use crate::store::{
    Accounts, Credentials, Doomed, Heard, Memory, Profile, Sessions, SigningKeys, Validators,
};

/// A store that lets others go first before each answer, and gives so many answers at most.
struct Stepping {
    inner: Memory,
    left: AtomicI64,
}

impl Stepping {
    async fn step(&self) -> Result<(), Unavailable> {
        tokio::task::yield_now().await;
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            1.. => Ok(()),
            _ => Err(Unavailable("it is broken off".into())),
        }
    }
}

#[async_trait]
impl Store for Stepping {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        self.step().await?;
        self.inner.get(table, key).await
    }

    async fn insert(
        &self,
        table: Table,
        key: &[u8],
        value: Vec<u8>,
        end: Time,
    ) -> Result<bool, Unavailable> {
        self.step().await?;
        self.inner.insert(table, key, value, end).await
    }

    async fn replace(
        &self,
        table: Table,
        key: &[u8],
        old: &[u8],
        new: Vec<u8>,
        end: Time,
    ) -> Result<bool, Unavailable> {
        self.step().await?;
        self.inner.replace(table, key, old, new, end).await
    }

    async fn take(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        self.step().await?;
        self.inner.take(table, key).await
    }

    async fn scan(&self, table: Table, from: Option<&[u8]>) -> Result<Page, Unavailable> {
        self.step().await?;
        self.inner.scan(table, from).await
    }

    async fn sweep(&self) -> Result<(), Unavailable> {
        self.inner.sweep().await
    }

    async fn announce(&self, news: &[u8]) -> Result<(), Unavailable> {
        self.inner.announce(news).await
    }

    async fn listen(&self, since: Option<&[u8]>) -> Result<Heard, Unavailable> {
        self.inner.listen(since).await
    }
}

/// A store with people who signed in under the old master.
struct World {
    clock: Arc<Manual>,
    stepping: Arc<Stepping>,
    store: Arc<dyn Store>,
    ids: Vec<SessionId>,
}

const START: i64 = 1_800_000_000;
const LIFETIME: Duration = Duration::from_secs(1000);

fn at(seconds: i64) -> Time {
    Time::from_unix(START + seconds)
}

fn keys(masters: &[u8]) -> Keys {
    let masters: Vec<_> = masters.iter().map(|&b| Secret::new(vec![b; 32])).collect();
    Keys::derive(&masters, "realm")
}

fn profile(account: u64, checked: Time) -> Profile {
    let text = format!(r#"{{"id":{account},"login":"person-{account}"}}"#);
    Profile { identity: serde_json::from_str::<Identity>(&text).unwrap(), checked }
}

fn grant(token: &str) -> Grant {
    let access = Secret::new(token.to_owned());
    Grant { access, access_ends: None, refresh: None, refresh_ends: None, scopes: vec![] }
}

impl World {
    async fn new(people: u64) -> Self {
        let clock = Arc::new(Manual::at(at(0)));
        let stepping = Arc::new(Stepping {
            inner: Memory::new(clock.clone()),
            left: AtomicI64::new(i64::MAX),
        });
        let mut world = Self { clock, stepping: stepping.clone(), store: stepping, ids: vec![] };
        for account in 1..=people {
            let id = world.sign_in(&keys(&[1]), account).await;
            world.ids.push(id);
        }
        world
    }

    async fn sign_in(&self, keys: &Keys, account: u64) -> SessionId {
        let now = self.clock.now();
        let session = Session {
            account,
            created: now,
            expires: now + LIFETIME,
            device: "Firefox".to_owned(),
            from: None,
            api_key: None,
        };
        let (profile, end) = (profile(account, now), session.expires);
        let none = Validators::new();
        let (_, id) =
            self.sessions().begin(keys, session, "a", &profile, &none).await.expect("signed in");
        self.credentials().sign_in(keys, account, &grant("first"), end).await.expect("kept");
        id
    }

    fn sessions(&self) -> Sessions<()> {
        Sessions::new(self.store.clone(), 1 << 20)
    }

    fn accounts(&self) -> Accounts {
        Accounts::new(self.store.clone())
    }

    fn credentials(&self) -> Credentials {
        Credentials::new(self.store.clone())
    }

    fn rekey(&self, masters: &[u8]) -> Rekey {
        Rekey::new(self.store.clone(), keys(masters), LIFETIME, self.clock.now())
    }

    async fn run(&self, masters: &[u8]) -> Result<(u64, u64), RekeyError> {
        let (mut resealed, mut skipped, mut next) = (0, 0, Some(Place::default()));
        while let Some(place) = next {
            let done = self.rekey(masters).page(&place).await?;
            (resealed, skipped, next) =
                (resealed + done.resealed, skipped + done.skipped, done.next);
        }
        Ok((resealed, skipped))
    }

    /// The row of the one account, as a scan finds it.
    async fn row(&self) -> (Vec<u8>, Vec<u8>) {
        self.store.scan(Table::Account, None).await.unwrap().rows.remove(0)
    }

    /// Rows of all tables that are sealed under a master that is not the newest.
    async fn not_under(&self, masters: &[u8]) -> usize {
        let (keys, mut count) = (keys(masters), 0);
        for table in TABLES {
            for (key, sealed) in self.store.scan(table, None).await.unwrap().rows {
                count +=
                    usize::from(!keys.record_is_newest(&[table.name().as_bytes(), &key], &sealed));
            }
        }
        count
    }

    /// How often the tokens have changed: versions begin somewhere and are counted on.
    async fn version(&self, masters: &[u8], account: u64) -> Option<u64> {
        let stored = self.credentials().read(&keys(masters), account).await.unwrap();
        stored.map(|stored| 1 + stored.credential.version % (1 << 20))
    }

    async fn list(&self, masters: &[u8], account: u64) -> usize {
        let record = self.accounts().read(&keys(masters), account).await.unwrap();
        record.map_or(0, |record| record.sessions(self.clock.now()).count())
    }

    /// A refresh, as `github::Tokens` writes it down.
    async fn refresh(&self, masters: &[u8], account: u64) {
        let (credentials, keys) = (self.credentials(), keys(masters));
        loop {
            let stored = credentials.read(&keys, account).await.unwrap().expect("a credential");
            let version = stored.credential.version + 1;
            let new = Credential { version, grant: grant("next"), is_lost: false };
            if credentials.replace(&keys, &stored, &new).await.unwrap() {
                return;
            }
        }
    }
}

/// Polls a future so many times; whether it is done.
fn steps<F: Future + ?Sized>(future: &mut Pin<Box<F>>, count: usize) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    (0..count).any(|_| future.as_mut().poll(&mut context).is_ready())
}

#[tokio::test]
async fn everything_is_under_the_new_master_alone_and_ends_when_it_did() {
    let world = World::new(20).await;
    assert_eq!(world.not_under(&[2]).await, 80);
    assert_eq!(world.run(&[2, 1]).await, Ok((80, 0)));
    assert_eq!(world.not_under(&[2]).await, 0);
    assert_eq!(world.run(&[2, 1]).await, Ok((0, 0)), "there is nothing left to do");
    for account in 1..=20 {
        assert_eq!(world.list(&[2], account).await, 1);
        assert_eq!(world.version(&[2], account).await, Some(1));
    }
    // A cookie is known by its old name until it is used.
    for id in &world.ids {
        assert!(world.sessions().find(&keys(&[2]), id, "a").await.unwrap().is_none());
        assert!(world.sessions().find(&keys(&[2, 1]), id, "a").await.unwrap().is_some());
        assert!(world.sessions().find(&keys(&[2]), id, "a").await.unwrap().is_some());
    }
    world.clock.advance(Duration::from_secs(999));
    assert_eq!(world.list(&[2], 1).await, 1);
    assert_eq!(world.version(&[2], 1).await, Some(1));
    world.clock.advance(Duration::from_secs(1));
    for table in TABLES {
        assert_eq!(world.store.scan(table, None).await.unwrap().rows, [], "{table:?}");
    }
}

#[tokio::test]
async fn what_does_not_open_is_left_alone_and_counted() {
    let world = World::new(2).await;
    let foreign = keys(&[9]);
    world.sign_in(&foreign, 7).await;
    assert_eq!(world.run(&[2, 1]).await, Ok((8, 4)));
    assert_eq!(world.list(&[9], 7).await, 1);
    assert_eq!(world.version(&[9], 7).await, Some(1));
}

#[tokio::test]
async fn a_ticket_without_a_session_ends_with_the_longest_session() {
    let world = World::new(1).await;
    let sessions = world.store.scan(Table::Session, None).await.unwrap().rows;
    world.store.take(Table::Session, &sessions[0].0).await.unwrap();
    assert_eq!(world.run(&[2, 1]).await, Ok((3, 0)));
    assert_eq!(world.not_under(&[2]).await, 0);
    world.clock.advance(LIFETIME);
    assert_eq!(world.store.scan(Table::Ticket, None).await.unwrap().rows, []);
}

#[tokio::test]
async fn one_at_a_time_does_a_page_and_who_broke_off_holds_nobody_up_for_long() {
    let world = World::new(1).await;
    let (first, second) = (world.rekey(&[2, 1]), world.rekey(&[2, 1]));
    let place = Place::default();
    let (one, two) = tokio::join!(first.page(&place), second.page(&place));
    let (done, refused) = if one.is_ok() { (one, two) } else { (two, one) };
    assert_eq!((done.map(|done| done.resealed), refused), (Ok(1), Err(RekeyError::Busy)));
    let place = Place::new("account", None).expect("a table");
    let mut broken_off = Box::pin(first.page(&place));
    assert!(!steps(&mut broken_off, 2));
    drop(broken_off);
    assert_eq!(second.page(&place).await, Err(RekeyError::Busy));
    world.clock.advance(LEASE_TIME);
    assert_eq!(world.rekey(&[2, 1]).page(&place).await.map(|done| done.resealed), Ok(2));
}

/// After each answer of the store that may be the last: all is there for both orders of masters,
/// and the work can be done again and finished.
#[tokio::test]
async fn broken_off_anywhere_it_loses_nothing_and_can_be_run_again() {
    let mut broken_off = 0;
    for answers in 0..200 {
        let world = World::new(2).await;
        world.stepping.left.store(answers, Ordering::SeqCst);
        let done = world.run(&[2, 1]).await;
        world.stepping.left.store(i64::MAX, Ordering::SeqCst);
        broken_off += usize::from(done.is_err());
        for (masters, account) in [(&[2, 1], 1), (&[1, 2], 1), (&[2, 1], 2), (&[1, 2], 2)] {
            assert_eq!(world.list(masters, account).await, 1, "{answers} answers");
            assert_eq!(world.version(masters, account).await, Some(1), "{answers} answers");
        }
        world.clock.advance(LEASE_TIME);
        assert!(world.run(&[2, 1]).await.is_ok());
        assert_eq!(world.not_under(&[2]).await, 0, "{answers} answers");
        for id in &world.ids {
            assert!(world.sessions().find(&keys(&[2, 1]), id, "a").await.unwrap().is_some());
        }
        assert_eq!((world.list(&[2], 1).await, world.version(&[2], 2).await), (1, Some(1)));
    }
    assert!(broken_off > 40, "{broken_off} times is few");
}

/// A refresh, a re-check, a sign-in and a sign-out at each step of a move, at a node that lists the
/// new master first and at one that does not yet.
#[tokio::test]
async fn whatever_happens_at_any_step_of_a_move_counts() {
    for masters in [&[2, 1], &[1, 2]] {
        for step in 0..40 {
            let world = World::new(1).await;
            let rekey = world.rekey(&[2, 1]);
            let (name, sealed) = world.row().await;
            let mut moving = Box::pin(rekey.account(&name, sealed));
            let is_done = steps(&mut moving, step);
            world.refresh(masters, 1).await;
            let newer = profile(1, at(5));
            let (accounts, keys_here) = (world.accounts(), keys(masters));
            let before = accounts.read(&keys_here, 1).await.unwrap().unwrap().profile.checked;
            accounts.renew(&keys_here, before, &newer, &Validators::new()).await.unwrap();
            world.sign_in(&keys(masters), 1).await;
            if !is_done {
                moving.await.unwrap();
            }
            world.clock.advance(LEASE_TIME);
            world.run(&[2, 1]).await.unwrap();
            assert_eq!(world.version(&[2], 1).await, Some(3), "{masters:?}, step {step}");
            assert_eq!(world.list(&[2], 1).await, 2, "{masters:?}, step {step}");
        }
    }
}

#[tokio::test]
async fn tokens_that_are_forgotten_at_any_step_of_a_move_stay_forgotten() {
    for masters in [&[2, 1], &[1, 2]] {
        for step in 0..40 {
            let world = World::new(1).await;
            let rekey = world.rekey(&[2, 1]);
            let (name, sealed) = world.row().await;
            let mut moving = Box::pin(rekey.account(&name, sealed));
            let keys = keys(masters);
            let stored = world.credentials().read(&keys, 1).await.unwrap().expect("there");
            let is_done = steps(&mut moving, step);
            let now = world.clock.now();
            assert_eq!(world.credentials().remove(&keys, &stored, now).await, Ok(true));
            let session = world.sessions();
            assert_eq!(session.end_all(&keys, 1, Doomed::All, now).await, Ok(1));
            if !is_done {
                moving.await.unwrap();
            }
            for masters in [&[2, 1], &[1, 2]] {
                assert_eq!(world.version(masters, 1).await, None, "{masters:?}, step {step}");
                assert_eq!(world.list(masters, 1).await, 0, "{masters:?}, step {step}");
            }
        }
    }
}

/// Somebody who began to look before a move, at either kind of node, finds what was there.
#[tokio::test]
async fn who_looks_while_rows_move_finds_them() {
    // The new node looks under two names, the old one finds it under its first.
    for (masters, looks) in [(&[2, 1], 3), (&[1, 2], 2)] {
        for step in 0..looks {
            let world = World::new(1).await;
            let (accounts, credentials, keys) =
                (world.accounts(), world.credentials(), keys(masters));
            let mut reads: Pin<Box<dyn Future<Output = _>>> = Box::pin(async {
                let (account, credential) =
                    tokio::join!(accounts.read(&keys, 1), credentials.read(&keys, 1));
                (account.unwrap().is_some(), credential.unwrap().is_some())
            });
            assert!(!steps(&mut reads, step), "step {step}");
            world.run(&[2, 1]).await.unwrap();
            assert_eq!(reads.await, (true, true), "{masters:?}, step {step}");
        }
    }
}

/// Hundreds of people use what they have while all of it moves.
#[tokio::test]
async fn under_use_nothing_is_lost() {
    let world = Arc::new(World::new(150).await);
    let busy: Vec<_> = (1..=150)
        .map(|account| {
            let world = world.clone();
            let masters: &[u8] = if account % 2 == 0 { &[2, 1] } else { &[1, 2] };
            tokio::spawn(async move {
                for _ in 0..account % 13 {
                    tokio::task::yield_now().await;
                }
                world.refresh(masters, account).await;
                let id = world.sign_in(&keys(masters), account).await;
                let place = usize::try_from(account).unwrap() - 1;
                let found =
                    world.sessions().find(&keys(masters), &world.ids[place], "a").await.unwrap();
                assert!(found.is_some(), "account {account}");
                id
            })
        })
        .collect();
    world.run(&[2, 1]).await.unwrap();
    for task in busy {
        let id = task.await.unwrap();
        assert!(world.sessions().find(&keys(&[2, 1]), &id, "a").await.unwrap().is_some());
    }
    world.run(&[2, 1]).await.unwrap();
    assert_eq!(world.not_under(&[2]).await, 0);
    for account in 1..=150 {
        assert_eq!(world.version(&[2], account).await, Some(3), "account {account}");
        assert_eq!(world.list(&[2], account).await, 2, "account {account}");
    }
}

#[tokio::test]
async fn signing_keys_are_sealed_anew_too() {
    let world = World::new(0).await;
    let old = SigningKeys::new(world.store.clone());
    old.sync(&keys(&[1]), LIFETIME, at(0)).await.unwrap();
    old.reseal(&keys(&[2, 1]), at(0)).await.unwrap();
    let new = SigningKeys::new(world.store.clone());
    new.sync(&keys(&[2]), LIFETIME, at(0)).await.unwrap();
    assert_eq!(new.published(at(0)), old.published(at(0)));
}
