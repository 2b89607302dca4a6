//! The link to Redis: up or down as a whole, and mended in the background.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::{Cmd, RedisResult, Value};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::pool::{Node, Pool};
use super::settings::Target;
use super::trouble::Trouble;
use super::{LISTENED, news};

/// Connections to Redis, made when first used, and made anew when they break.
pub(super) struct Link(Arc<Inner>);

struct Inner {
    target: Target,
    /// What one operation may take in all.
    limit: Duration,
    /// Where the life of the data is written.
    epoch_key: Vec<u8>,
    state: watch::Sender<State>,
    pools: AtomicU64,
}

#[derive(Clone)]
enum State {
    /// Nobody asked yet, or whoever connected was stopped with the runtime it ran on.
    Idle,
    /// Somebody connects, and whoever asks waits for that.
    Connecting,
    Up(Arc<Pool>),
    /// Somebody goes on connecting, and whoever asks is told at once.
    Down(Trouble),
}

/// What is asked, and what that means if the connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    /// It changes nothing: it can be asked again.
    Reads,
    /// It may have been done.
    Writes,
}

/// Whoever connects in the background; one at a time.
struct Mender {
    /// It ends with the link.
    inner: Weak<Inner>,
    done: bool,
}

/// Between two attempts to connect: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// For an attempt to connect where others must be asked for the way first: a sentinel that does not
/// answer costs a second or two.
const LONG_WAY: Duration = Duration::from_secs(5);

const CONNECTING_WAS_STOPPED: &str = "connecting to Redis was stopped";
const CONNECTING_TAKES_LONG: &str = "Redis does not answer: connecting takes too long";

// === impl Link ===

impl Link {
    /// A link that is made when it is first used: that takes a runtime, which is not there yet when
    /// the server is built.
    pub(super) fn new(target: Target, limit: Duration, epoch_key: Vec<u8>) -> Self {
        let (state, _) = watch::channel(State::Idle);
        Self(Arc::new(Inner { target, limit, epoch_key, state, pools: AtomicU64::new(0) }))
    }

    /// Asks, within the limit of an operation.
    pub(super) async fn ask(&self, nature: Nature, command: &Cmd) -> Result<Value, Trouble> {
        let deadline = Instant::now() + self.0.limit;
        match self.0.ask(deadline, command).await {
            Err(trouble) if trouble.may_be_repeated(nature == Nature::Reads) => {
                self.0.ask(deadline, command).await
            }
            other => other,
        }
    }

    /// The masters of a cluster; one without a name where there is no cluster.
    pub(super) async fn masters(&self) -> Result<Vec<Node>, Trouble> {
        let deadline = Instant::now() + self.0.limit;
        let pool = self.0.up(deadline).await?;
        let answer = timeout_at(deadline, pool.next().masters()).await;
        self.0.judge(&pool, answer.ok())
    }

    /// Asks one of the masters. It only reads.
    pub(super) async fn ask_node(&self, node: &Node, command: &Cmd) -> Result<Value, Trouble> {
        let deadline = Instant::now() + self.0.limit;
        let pool = self.0.up(deadline).await?;
        let answer = timeout_at(deadline, pool.next().ask_node(node, command)).await;
        self.0.judge(&pool, answer.ok())
    }

    /// Asks on a connection that may be held up. It only reads.
    pub(super) async fn wait(&self, command: &Cmd) -> Result<Value, Trouble> {
        match self.0.wait(command).await {
            Err(trouble) if trouble.may_be_repeated(true) => self.0.wait(command).await,
            other => other,
        }
    }
}

// === impl Inner ===

impl Inner {
    async fn ask(self: &Arc<Self>, deadline: Instant, command: &Cmd) -> Result<Value, Trouble> {
        let pool = self.up(deadline).await?;
        let answer = timeout_at(deadline, pool.next().ask(command)).await;
        self.judge(&pool, answer.ok())
    }

    async fn wait(self: &Arc<Self>, command: &Cmd) -> Result<Value, Trouble> {
        let deadline = Instant::now() + self.limit;
        let pool = self.up(deadline).await?;
        let ear = timeout_at(deadline, pool.ear()).await;
        let mut ear = self.judge(&pool, ear.ok())?;
        let answer = timeout(LISTENED + self.limit, ear.ask(command)).await;
        let answer = self.judge(&pool, answer.ok())?;
        pool.keep(ear);
        Ok(answer)
    }

    /// Connections that work as far as is known; at once if there is nothing to wait for.
    async fn up(self: &Arc<Self>, deadline: Instant) -> Result<Arc<Pool>, Trouble> {
        if let State::Up(pool) = &*self.state.borrow() {
            return Ok(pool.clone());
        }
        let mut state = self.state.subscribe();
        let mut begun = false;
        loop {
            let now = state.borrow_and_update().clone();
            match now {
                State::Up(pool) => return Ok(pool),
                State::Down(trouble) => return Err(Trouble::down(trouble.to_string())),
                State::Idle if begun => return Err(Trouble::down(CONNECTING_WAS_STOPPED.into())),
                State::Idle => {
                    begun = true;
                    self.begin(|state| matches!(state, State::Idle));
                }
                State::Connecting => {
                    let changed = timeout_at(deadline, state.changed()).await;
                    changed.map_err(|_| Trouble::down(CONNECTING_TAKES_LONG.into()))?.ok();
                }
            }
        }
    }

    /// What an answer says about the connections it came from. `None` came too late.
    fn judge<T>(
        self: &Arc<Self>,
        pool: &Pool,
        answer: Option<RedisResult<T>>,
    ) -> Result<T, Trouble> {
        let trouble = match answer {
            Some(Ok(answer)) => return Ok(answer),
            Some(Err(error)) => Trouble::from(&error),
            None => Trouble::late(),
        };
        if trouble.breaks_the_link() {
            self.lost(pool.number, &trouble);
        }
        Err(trouble)
    }

    /// These connections are not to be trusted any more. Of many who notice, one begins anew; what
    /// is under way on them may still be answered.
    fn lost(self: &Arc<Self>, number: u64, trouble: &Trouble) {
        tracing::debug!("a connection to Redis is given up: {trouble}");
        self.begin(|state| matches!(state, State::Up(pool) if pool.number == number));
    }

    /// Connects in the background, if the state is such.
    fn begin(self: &Arc<Self>, is_such: impl FnOnce(&State) -> bool) {
        let begins = self.state.send_if_modified(|state| {
            let begins = is_such(state);
            if begins {
                *state = State::Connecting;
            }
            begins
        });
        if begins {
            tokio::spawn(Mender { inner: Arc::downgrade(self), done: false }.mend());
        }
    }

    /// Tries to connect, once. After the limit of an operation whoever waits is let go.
    async fn connect(self: &Arc<Self>) -> Result<Arc<Pool>, Trouble> {
        let patience = match self.target {
            // Some ways there and back, not one; but what hangs is to be tried again soon.
            Target::Single(_) => self.limit * 2,
            Target::Sentinel(_) | Target::Cluster(_) => self.limit.max(LONG_WAY),
        };
        let mut attempt = std::pin::pin!(timeout(patience, self.connected()));
        let result = if let Ok(result) = timeout(self.limit, &mut attempt).await {
            result
        } else {
            self.set(State::Down(Trouble::down(CONNECTING_TAKES_LONG.into())));
            attempt.await
        };
        result.unwrap_or_else(|_| Err(Trouble::down(CONNECTING_TAKES_LONG.into())))
    }

    async fn connected(self: &Arc<Self>) -> Result<Arc<Pool>, Trouble> {
        let number = self.pools.fetch_add(1, Ordering::Relaxed);
        let inner = Arc::downgrade(self);
        let broken = move || {
            if let Some(inner) = inner.upgrade() {
                inner.lost(number, &Trouble::down("Redis closed it".into()));
            }
        };
        let pool = Pool::connect(&self.target, number, broken).await;
        let pool = pool.map_err(|error| Trouble::from(&error))?;
        // A write that does no harm: a server that does not take it is a replica or no store.
        match pool.next().ask(&news::begin_life(&self.epoch_key)).await {
            Err(error) if !Trouble::only_forbids_writing(&error) => Err(Trouble::from(&error)),
            // What can be read is worth having: nobody is signed out for want of memory.
            _ => Ok(Arc::new(pool)),
        }
    }

    fn set(&self, state: State) {
        self.state.send_replace(state);
    }
}

// === impl Mender ===

impl Mender {
    async fn mend(mut self) {
        let (mut pause, longest) = PAUSES;
        let mut reported = None;
        while let Some(inner) = self.inner.upgrade() {
            match inner.connect().await {
                Ok(pool) => {
                    if reported.is_some() {
                        tracing::info!("Redis answers again");
                    }
                    self.done = true;
                    inner.set(State::Up(pool));
                    return;
                }
                Err(trouble) => {
                    // Each cause is told once, not twice a second.
                    if reported.as_ref() != Some(&trouble) {
                        tracing::error!("Redis cannot be used: {trouble}");
                    }
                    inner.set(State::Down(trouble.clone()));
                    reported = Some(trouble);
                }
            }
            drop(inner);
            sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }
}

impl Drop for Mender {
    /// Stopped with its runtime: whoever asks next begins anew, on theirs.
    fn drop(&mut self) {
        if let Some(inner) = self.inner.upgrade().filter(|_| !self.done) {
            inner.set(State::Idle);
        }
    }
}
