//! What the gateways of all tests say to their operators: a test looks for what is its own.

use std::io::Write;
use std::sync::{Mutex, Once, PoisonError};

/// Everything said since the first test that listens began.
static SAID: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Pen;

impl Write for Pen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        SAID.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Listens from now on.
pub(crate) fn listen() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_env_filter("gatekeep=debug,info");
        subscriber.with_ansi(false).with_writer(|| Pen).init();
    });
}

/// The lines that hold all of these words.
pub(crate) fn lines(words: &[&str]) -> Vec<String> {
    let said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    let said = String::from_utf8_lossy(&said).into_owned();
    let holds = |line: &&str| words.iter().all(|word| line.contains(word));
    said.lines().filter(holds).map(str::to_owned).collect()
}
