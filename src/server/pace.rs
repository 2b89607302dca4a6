//! The patience with a client in the middle of a body: whoever takes or sends next to nothing keeps a
//! place that others wait for.

use std::time::Duration;

use tokio::time::{Instant, timeout};

/// The time that a client may still let us wait. Bytes earn some.
pub(super) struct Pace {
    left: Duration,
}

/// At the beginning, and at most: a train in a tunnel, or a full buffer on a slow line.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes a second that keep it up: any line that is one.
const RATE: u32 = 8 << 10;

// === impl Pace ===

impl Pace {
    pub(super) fn new() -> Self {
        Self { left: PATIENCE }
    }

    /// Waits for the client; `None` when it has let us wait too long.
    pub(super) async fn wait<T>(&mut self, step: impl Future<Output = T>) -> Option<T> {
        let began = Instant::now();
        let outcome = timeout(self.left, step).await.ok();
        self.left = self.left.saturating_sub(began.elapsed());
        outcome
    }

    /// The client has taken or sent that many bytes.
    pub(super) fn moved(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let earned = Duration::from_secs(1).saturating_mul(bytes) / RATE;
        self.left = self.left.saturating_add(earned).min(PATIENCE);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::sleep;

    use super::*;

    const KIB: usize = 1 << 10;

    /// The bytes that pass where each part takes so long, until patience ends or a megabyte passed.
    async fn passed(part: usize, takes: Duration) -> usize {
        let (mut pace, mut bytes) = (Pace::new(), 0);
        while bytes < 1024 * KIB && pace.wait(sleep(takes)).await.is_some() {
            pace.moved(part);
            bytes += part;
        }
        bytes
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_cut_off_after_a_minute() {
        let (mut pace, began) = (Pace::new(), Instant::now());
        assert_eq!(pace.wait(pending::<()>()).await, None);
        assert_eq!(began.elapsed().as_secs(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_is_cut_off_and_a_slow_line_is_not() {
        let second = Duration::from_secs(1);
        assert!(passed(KIB, second).await < 100 * KIB);
        assert!(passed(16 * KIB, 59 * second).await < 100 * KIB);
        assert_eq!(passed(8 * KIB, second).await, 1024 * KIB);
        assert_eq!(passed(512 * KIB, 55 * second).await, 1024 * KIB);
    }

    /// How long a megabyte can be made to last in such parts, by who lets us wait to the last moment.
    async fn stretched(part: usize) -> Duration {
        let (mut pace, began) = (Pace::new(), Instant::now());
        for _ in 0..(1024 * KIB).div_ceil(part) {
            let takes = pace.left.saturating_sub(Duration::from_millis(2));
            if pace.wait(sleep(takes)).await.is_none() {
                break;
            }
            pace.moved(part);
        }
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_held_for_a_minute_and_its_bytes_at_the_rate_at_the_longest() {
        let longest = PATIENCE + Duration::from_secs(1024 * KIB as u64 / u64::from(RATE));
        for part in [KIB, 8 * KIB, 64 * KIB, 512 * KIB, 1024 * KIB] {
            let took = stretched(part).await;
            assert!(took <= longest, "{took:?} in parts of {part}");
        }
        assert!(stretched(8 * KIB).await + Duration::from_secs(5) > longest, "and no shorter");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_saves_up_time() {
        let mut pace = Pace::new();
        pace.moved(1 << 30);
        pace.moved(usize::MAX);
        assert_eq!(pace.wait(sleep(Duration::from_secs(61))).await, None);
    }
}
