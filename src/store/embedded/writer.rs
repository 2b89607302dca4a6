//! The one thread that writes: whatever waits for it shares a commit, and with it a sync.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::rows::{Batch, Operation, Outcome};
use super::shelf::Shelf;
use crate::clock::Clock;
use crate::store::Unavailable;

/// The thread's other end.
pub(super) struct Writer {
    shelf: Arc<Shelf>,
    messages: Sender<Message>,
    /// Places in the queue: whoever finds none waits for one.
    places: Arc<Semaphore>,
    thread: Option<JoinHandle<()>>,
}

/// Asks the thread for another handle on the database.
pub(super) struct Mender(Sender<Message>);

enum Message {
    Write(Job),
    Mend,
    End,
}

struct Job {
    operation: Operation,
    answer: oneshot::Sender<Result<Outcome, Unavailable>>,
    _place: OwnedSemaphorePermit,
}

/// What the thread knows.
struct Work {
    shelf: Arc<Shelf>,
    clock: Arc<dyn Clock>,
    messages: Receiver<Message>,
    /// Why nothing is written for now, and until when.
    trouble: Option<(Unavailable, Instant)>,
    /// How long nothing will be tried after the next failure.
    pause: Duration,
}

/// Operations that may wait.
const WAITING: usize = 4_096;

/// Operations in one commit.
const BATCH: usize = 512;

// === impl Writer ===

impl Writer {
    pub(super) fn start(shelf: Arc<Shelf>, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let (sender, messages) = channel();
        let work =
            Work { shelf: shelf.clone(), clock, messages, trouble: None, pause: Duration::ZERO };
        let thread = std::thread::Builder::new().name("store".to_owned());
        let thread = Some(thread.spawn(move || work.run())?);
        Ok(Self { shelf, messages: sender, places: Arc::new(Semaphore::new(WAITING)), thread })
    }

    pub(super) fn mender(&self) -> Mender {
        Mender(self.messages.clone())
    }

    /// Hands an operation to the thread, and returns once it is on the disk.
    pub(super) async fn write(&self, operation: Operation) -> Result<Outcome, Unavailable> {
        let ended = || self.shelf.unavailable(&"nothing writes to it any more");
        let place = self.places.clone().acquire_owned().await.map_err(|_| ended())?;
        let (answer, answered) = oneshot::channel();
        let job = Job { operation, answer, _place: place };
        self.messages.send(Message::Write(job)).map_err(|_| ended())?;
        answered.await.unwrap_or_else(|_| Err(ended()))
    }
}

impl Drop for Writer {
    /// What was accepted is committed first, and the file is free for another when this returns.
    fn drop(&mut self) {
        // Where the thread has ended already, there is nobody to tell and nothing to wait for.
        drop(self.messages.send(Message::End));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

// === impl Mender ===

impl Mender {
    pub(super) fn call(&self) {
        // Without a writer nothing will be mended; the reader sees that for itself.
        drop(self.0.send(Message::Mend));
    }
}

// === impl Work ===

impl Work {
    fn run(mut self) {
        let mut open = true;
        while open {
            let mut batch = Vec::new();
            open = self.gather(&mut batch);
            self.mend();
            self.handle(batch);
        }
        self.shelf.close();
    }

    /// Waits for a message and takes all that wait with it. Says whether there will be more.
    fn gather(&self, batch: &mut Vec<Job>) -> bool {
        let mut next = match self.next_try() {
            Some(pause) => self.messages.recv_timeout(pause),
            None => self.messages.recv().map_err(RecvTimeoutError::from),
        };
        loop {
            match next {
                Ok(Message::Write(job)) => batch.push(job),
                Ok(Message::Mend) => {}
                Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => return true,
            }
            if batch.len() == BATCH {
                return true;
            }
            next = self.messages.try_recv().map_err(|_| RecvTimeoutError::Timeout);
        }
    }

    /// How long until the database has to be opened anew, where it has to be.
    fn next_try(&self) -> Option<Duration> {
        let (_, until) = self.trouble.as_ref().filter(|_| self.shelf.needs_mending())?;
        Some(until.saturating_duration_since(Instant::now()))
    }

    /// Opens the database anew where that is due.
    fn mend(&mut self) {
        let due = self.trouble.as_ref().is_none_or(|(_, until)| *until <= Instant::now());
        if due && self.shelf.needs_mending() {
            self.reopen(self.shelf.unavailable(&"it could not be read"));
        }
    }

    /// Writes the batch, or refuses it as long as there is no hope.
    fn handle(&mut self, batch: Vec<Job>) {
        if batch.is_empty() {
            return;
        }
        if let Some((unavailable, until)) = &self.trouble
            && (Instant::now() < *until || self.shelf.needs_mending())
        {
            return refuse(batch, unavailable);
        }
        let outcomes = catch_unwind(AssertUnwindSafe(|| self.commit(&batch)));
        match outcomes {
            Ok(Ok(outcomes)) => {
                self.recovered();
                for (job, outcome) in batch.into_iter().zip(outcomes) {
                    // Whoever asked may have gone.
                    drop(job.answer.send(Ok(outcome)));
                }
            }
            Ok(Err(error)) => self.failed(batch, &self.shelf.unavailable(&error)),
            Err(_) => self.failed(batch, &self.shelf.unavailable(&"the database stopped")),
        }
    }

    /// One transaction for all: each operation sees what those before it did.
    fn commit(&self, batch: &[Job]) -> Result<Vec<Outcome>, redb::Error> {
        let database = self.shelf.database();
        let database = database.as_ref().ok_or(redb::Error::DatabaseClosed)?;
        let mut transaction = database.begin_write()?;
        transaction.set_durability(self.shelf.durability())?;
        transaction.set_quick_repair(self.shelf.is_two_phase());
        let mut changes = Batch::new(&transaction, self.clock.now(), self.shelf.room());
        let outcomes =
            batch.iter().map(|job| changes.apply(&job.operation)).collect::<Result<_, _>>()?;
        changes.make_room()?;
        if changes.has_changed() {
            transaction.commit()?;
            #[cfg(test)]
            self.shelf.commits.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        } else {
            transaction.abort()?;
        }
        Ok(outcomes)
    }

    /// After a failure the handle knows less than the disk: it is changed for another at once, so
    /// that reads go on. Writes are tried again after a pause, which grows while they fail.
    fn failed(&mut self, batch: Vec<Job>, unavailable: &Unavailable) {
        refuse(batch, unavailable);
        tracing::error!("the store cannot write: {}", unavailable.0);
        self.reopen(unavailable.clone());
    }

    fn reopen(&mut self, mut cause: Unavailable) {
        if let Err(error) = self.shelf.reopen() {
            tracing::error!("the store cannot be opened again: {error}");
            cause = Unavailable(error.to_string());
        }
        self.trouble = Some((cause, Instant::now() + self.pause));
        let pauses = self.shelf.pauses();
        self.pause = (self.pause * 2).clamp(*pauses.start(), *pauses.end());
    }

    fn recovered(&mut self) {
        if self.trouble.take().is_some() {
            tracing::info!("the store writes again: {}", self.shelf.place());
        }
        self.pause = Duration::ZERO;
    }
}

fn refuse(batch: Vec<Job>, unavailable: &Unavailable) {
    for job in batch {
        // Whoever asked may have gone.
        drop(job.answer.send(Err(unavailable.clone())));
    }
}
