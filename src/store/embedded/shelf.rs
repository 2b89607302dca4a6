//! The open database, which readers share and the writer takes away to open it anew.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use redb::{Database, Durability, ReadTransaction, ReadableDatabase};

use super::medium::Medium;
use super::open::{self, OpenError};
use super::room::Room;
use crate::store::Unavailable;

/// The database and where it comes from.
pub(super) struct Shelf {
    /// Nothing is there while it cannot be opened.
    database: RwLock<Option<Database>>,
    medium: Box<dyn Medium>,
    /// The handle cannot be written, or not even read: the writer shall open another.
    suspect: AtomicBool,
    /// How often it was tried to open the database anew.
    turns: Mutex<u64>,
    turned: Condvar,
    /// Commits that succeeded.
    #[cfg(test)]
    pub(super) commits: std::sync::atomic::AtomicU64,
}

/// How long a reader waits for a database that is being opened anew.
const PATIENCE: Duration = Duration::from_millis(250);

// === impl Shelf ===

impl Shelf {
    pub(super) fn new(database: Database, medium: Box<dyn Medium>) -> Self {
        Self {
            database: RwLock::new(Some(database)),
            medium,
            suspect: AtomicBool::new(false),
            turns: Mutex::new(0),
            turned: Condvar::new(),
            #[cfg(test)]
            commits: std::sync::atomic::AtomicU64::new(0),
        }
    }

    pub(super) fn place(&self) -> String {
        self.medium.place()
    }

    pub(super) fn durability(&self) -> Durability {
        self.medium.durability()
    }

    pub(super) fn is_two_phase(&self) -> bool {
        self.medium.is_two_phase()
    }

    pub(super) fn room(&self) -> Option<Room> {
        self.medium.room()
    }

    pub(super) fn pauses(&self) -> RangeInclusive<Duration> {
        self.medium.pauses()
    }

    pub(super) fn unavailable(&self, cause: &dyn Display) -> Unavailable {
        Unavailable(format!("{}: {cause}", self.place()))
    }

    /// The database, unless it could not be opened.
    pub(super) fn database(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads. Where that fails, `call` asks the writer for another handle, and it is tried again
    /// for a while: an error of the writer's shall not reach those who only read.
    pub(super) fn read<T>(
        &self,
        look: impl Fn(&ReadTransaction) -> Result<T, redb::Error>,
        call: impl Fn(),
    ) -> Result<T, Unavailable> {
        let end = Instant::now() + PATIENCE;
        loop {
            let turn = *self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            let error = match self.try_read(&look) {
                Ok(seen) => return Ok(seen),
                Err(error) => error,
            };
            self.suspect(turn);
            call();
            if !self.is_changed_until(end, turn) {
                return Err(self.unavailable(&error));
            }
        }
    }

    fn try_read<T>(
        &self,
        look: impl Fn(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        let database = self.database();
        let database = database.as_ref().ok_or(redb::Error::DatabaseClosed)?;
        look(&database.begin_read()?)
    }

    /// Distrusts the handle that failed, unless it has been changed already.
    fn suspect(&self, turn: u64) {
        let turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if *turns == turn {
            self.suspect.store(true, Ordering::Release);
        }
    }

    /// Waits until it was tried to change the handle, and says whether it was.
    fn is_changed_until(&self, end: Instant, turn: u64) -> bool {
        let left = end.saturating_duration_since(Instant::now());
        let turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.turned.wait_timeout_while(turns, left, |turns| *turns == turn);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Whether the handle has to be changed for another.
    pub(super) fn needs_mending(&self) -> bool {
        self.suspect.load(Ordering::Acquire)
    }

    /// Opens the database anew: after an error a handle is not to be trusted, whatever it holds
    /// in memory. Where it cannot be opened because of its disk, it can at least be read.
    pub(super) fn reopen(&self) -> Result<(), OpenError> {
        self.close();
        let opened = open::reopen(&*self.medium);
        let is_broken = opened.is_err();
        let result = match opened {
            Ok(database) => {
                self.set(Some(database));
                Ok(())
            }
            Err(error) if error.is_of_the_disk() => {
                self.set(open::for_reading(&*self.medium).ok());
                Err(error)
            }
            Err(error) => Err(error),
        };
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        self.suspect.store(is_broken, Ordering::Release);
        *turns += 1;
        self.turned.notify_all();
        result
    }

    /// Closes the database once the reads that have begun are done.
    pub(super) fn close(&self) {
        self.set(None);
    }

    fn set(&self, database: Option<Database>) {
        let mut place = self.database.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *place, database);
        drop(place);
        // Closing writes; whatever it makes of a damaged file shall not end the writer.
        drop(catch_unwind(AssertUnwindSafe(|| drop(before))));
    }
}
