//! A TCP proxy that spoils what passes through it, as the test says.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::io::tcp::socket2::SockRef;

/// The proxy; all of its connections end when it is dropped.
pub(crate) struct Toxic(Arc<Inner>);

struct Inner {
    address: SocketAddr,
    target: SocketAddr,
    poison: Mutex<Poison>,
    /// Both ends of every connection.
    streams: Mutex<Vec<TcpStream>>,
    asked: AtomicUsize,
}

/// What is done to connections, those that are open already among them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Poison {
    /// Nothing.
    Pass,
    /// Each answer comes so much later.
    Delay(Duration),
    /// After so many bytes of answers a connection is reset.
    CutAfter(usize),
    /// New connections are closed at once.
    Refuse,
    /// Everything is taken and nothing answered.
    Blackhole,
    /// Every so many requests the connection is reset instead, over all connections.
    ResetEvery(usize),
    /// The proxy is gone.
    End,
}

// === impl Toxic ===

impl Toxic {
    /// A proxy before this address, on a free port.
    pub(crate) fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let inner = Arc::new(Inner {
            address: listener.local_addr().expect("it is bound"),
            target,
            poison: Mutex::new(Poison::Pass),
            streams: Mutex::default(),
            asked: AtomicUsize::new(0),
        });
        let accepting = inner.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if matches!(accepting.poison(), Poison::End) {
                    return;
                }
                accepting.accept(stream);
            }
        });
        Self(inner)
    }

    /// Where to connect.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.0.address)
    }

    /// From now on.
    pub(crate) fn set(&self, poison: Poison) {
        *locked(&self.0.poison) = poison;
    }

    /// Resets every connection.
    pub(crate) fn reset_all(&self) {
        locked(&self.0.streams).drain(..).for_each(|stream| reset(&stream));
    }
}

impl Drop for Toxic {
    fn drop(&mut self) {
        self.set(Poison::End);
        self.reset_all();
        // It wakes whoever accepts; when that fails, nobody does any more.
        drop(TcpStream::connect(self.0.address));
    }
}

// === impl Inner ===

impl Inner {
    fn poison(&self) -> Poison {
        *locked(&self.poison)
    }

    fn accept(self: &Arc<Self>, client: TcpStream) {
        if matches!(self.poison(), Poison::Refuse) {
            return reset(&client);
        }
        let Ok(server) = TcpStream::connect(self.target) else { return reset(&client) };
        for stream in [&client, &server] {
            stream.set_nodelay(true).expect("it is open");
        }
        let clone = |stream: &TcpStream| stream.try_clone().expect("a handle");
        locked(&self.streams).extend([clone(&client), clone(&server)]);
        let (there, back) = ((clone(&client), clone(&server)), (server, client));
        for ((from, to), answers) in [(there, false), (back, true)] {
            let inner = self.clone();
            std::thread::spawn(move || {
                // Either end may have left; then the other goes, too.
                drop(inner.pump(&from, &to, answers));
                reset(&from);
                reset(&to);
            });
        }
    }

    fn pump(&self, mut from: &TcpStream, mut to: &TcpStream, answers: bool) -> std::io::Result<()> {
        let (mut chunk, mut passed) = (vec![0; 64 * 1024], 0);
        loop {
            let length = from.read(&mut chunk)?;
            if length == 0 {
                return Ok(());
            }
            passed += length;
            match self.poison() {
                Poison::Blackhole => continue,
                Poison::Delay(span) if answers => std::thread::sleep(span),
                Poison::CutAfter(limit) if answers && passed > limit => {
                    to.write_all(&chunk[..length / 2])?;
                    return Ok(());
                }
                Poison::ResetEvery(n) if !answers && self.is_the_nth(n) => return Ok(()),
                _ => (),
            }
            to.write_all(&chunk[..length])?;
        }
    }

    fn is_the_nth(&self, n: usize) -> bool {
        self.asked.fetch_add(1, Ordering::SeqCst) % n == n - 1
    }
}

/// Ends a connection with a reset where the system lets us. Others hold handles of it, so it is
/// shut down, too.
fn reset(stream: &TcpStream) {
    drop(SockRef::from(stream).set_linger(Some(Duration::ZERO)));
    drop(stream.shutdown(Shutdown::Both));
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
