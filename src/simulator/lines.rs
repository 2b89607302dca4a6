//! The connections to the simulated GitHub: how they end, and how much there is on them at once.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::watch;

use super::github::Simulator;

/// All connections.
#[derive(Debug)]
pub(super) struct Lines {
    ending: watch::Sender<Ending>,
    opened: AtomicUsize,
    under_way: AtomicUsize,
    most: AtomicUsize,
}

/// How those end that stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// They take no more requests, and say so: GOAWAY. What is under way is answered.
    GoAway,
    /// At once, whatever is under way.
    Break,
}

/// How one connection hears of its end.
#[derive(Debug)]
pub(super) struct Line(watch::Receiver<Ending>);

/// A request under way.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Lines>);

// === impl Simulator ===

impl Simulator {
    /// Tells everybody who is connected to send nothing more on that connection, as GitHub does when
    /// it replaces a server.
    pub fn go_away(&self) {
        self.shared.lines.end(Ending::GoAway);
    }

    /// Breaks every connection, whatever is under way on it.
    pub fn break_connections(&self) {
        self.shared.lines.end(Ending::Break);
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.shared.lines.opened.load(Ordering::Relaxed)
    }

    /// The most requests that were under way at the same time, whoever sent them.
    pub fn most_under_way(&self) -> usize {
        self.shared.lines.most.load(Ordering::Relaxed)
    }
}

// === impl Lines ===

impl Default for Lines {
    fn default() -> Self {
        let (opened, under_way) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let ending = watch::Sender::new(Ending::GoAway);
        Self { ending, opened, under_way, most: AtomicUsize::new(0) }
    }
}

impl Lines {
    /// One connection more.
    pub(super) fn open(&self) -> Line {
        self.opened.fetch_add(1, Ordering::Relaxed);
        Line(self.ending.subscribe())
    }

    /// One request more.
    pub(super) fn enter(self: &Arc<Self>) -> UnderWay {
        let now = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    fn end(&self, ending: Ending) {
        self.ending.send_replace(ending);
    }
}

// === impl Line ===

impl Line {
    /// Waits for the end.
    pub(super) async fn ends(&mut self) -> Ending {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        *self.0.borrow_and_update()
    }
}

// === impl UnderWay ===

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
