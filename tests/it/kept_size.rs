//! What it costs on the disk to keep GitHub's answers: a measurement, not run unless it is asked for.
//!
//! `cargo test --test it kept_size -- --ignored --nocapture`; `GATEKEEP_KEPT` says how many answers.

use std::fmt::Write as _;
use std::fs::{self, read_to_string};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gatekeep::clock::{Clock, System};
use gatekeep::freshness::tags::Tag;
use gatekeep::keys::Keys;
use gatekeep::metrics::Metrics;
use gatekeep::secret::Secret;
use gatekeep::store::{
    Body, Embedded, HeldResponses, Keeping, KeptResponses, Principal, ResponseStore, Validation,
};
use http::{HeaderMap, HeaderValue};

/// Bytes of an answer.
const LENGTH: usize = 8 << 10;

/// What the rows may weigh: all of them fit.
const BOUND: u64 = 1 << 30;

/// What answers look like.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// GitHub's JSON: much of it is the same again and again.
    Json,
    /// Nothing in it can be compressed.
    Noise,
}

/// What it cost.
struct Cost {
    /// Bytes that the process wrote, and of those that the disk was given.
    written: [u64; 2],
    /// The file's length, and what it takes.
    length: u64,
    taken: u64,
    took: Duration,
}

// === impl Kind ===

impl Kind {
    fn answer(self, number: usize) -> Bytes {
        let mut text = String::with_capacity(LENGTH + 512);
        let mut random = 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(number as u64 + 1);
        while text.len() < LENGTH {
            // xorshift64*: the same answers in every run.
            random ^= random >> 12;
            random ^= random << 25;
            random ^= random >> 27;
            let word = random.wrapping_mul(0x2545_F491_4F6C_DD1D);
            match self {
                Self::Noise => text.extend(word.to_le_bytes().map(|byte| char::from(byte & 0x7F))),
                Self::Json => write!(
                    text,
                    r#"{{"url":"https://api.github.com/repos/acme/wiki/issues/{number}","id":{word},"node_id":"I_{word:x}","title":"Issue {number}","state":"open","locked":false,"comments":3,"created_at":"2026-11-21T04:37:00Z","author_association":"MEMBER"}},"#
                )
                .expect("memory is written"),
            }
        }
        text.truncate(LENGTH);
        text.into()
    }
}

fn headers() -> HeaderMap {
    let fields = [
        ("content-type", "application/json; charset=utf-8"),
        ("cache-control", "private, max-age=60, s-maxage=60"),
        ("vary", "Accept, Authorization, Cookie, X-GitHub-OTP"),
        ("x-oauth-scopes", "public_repo, read:org, read:user, user:email"),
        ("x-github-media-type", "github.v3; format=json"),
        ("x-github-request-id", "C0DE:1F2A:3B4C5D:6E7F80:691FF00D"),
        ("x-ratelimit-limit", "5000"),
        ("x-ratelimit-remaining", "4999"),
        ("x-ratelimit-reset", "1795239420"),
    ];
    let field = |(name, value): (&'static str, &'static str)| {
        (name.parse().expect("a name"), HeaderValue::from_static(value))
    };
    fields.into_iter().map(field).collect()
}

fn shown(body: &Body, number: usize) -> Arc<Validation> {
    let now = System.now();
    Arc::new(Validation {
        body: body.hash,
        about: Tag::from("repo:acme/wiki".to_owned()),
        etag: format!("\"{number:064x}\"").into(),
        token: [7; 16],
        offered: true,
        formula_holds: true,
        headers: Arc::new(headers()),
        linked: now,
        items: Some(30),
        asked: now,
        change: 0,
        fresh: Duration::ZERO,
        longest: Duration::MAX,
    })
}

/// What this process wrote: in all, and to disks.
fn written() -> [u64; 2] {
    let io = read_to_string("/proc/self/io").expect("Linux says so");
    ["wchar", "write_bytes"].map(|name| {
        let line = io.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.and_then(|number| number.parse().ok()).expect("a number")
    })
}

async fn keep(kind: Kind, count: usize, at_once: usize) -> Cost {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let (clock, metrics) = (Arc::new(System), Arc::new(Metrics::new()));
    let clock: Arc<dyn Clock> = clock;
    let store = Embedded::open_cache(directory.path(), BOUND, &clock).expect("it opens");
    let keys = Keys::derive(&[Secret::new(vec![1; 32])], "github.com/app");
    let keeping = Keeping {
        store: Arc::new(store),
        bound: BOUND,
        is_bounded: true,
        keys,
        clock,
        metrics: metrics.clone(),
    };
    let kept = KeptResponses::new(HeldResponses::new(64 << 20), keeping);
    let (before, began) = (written(), Instant::now());
    for number in 0..count {
        let who = Principal::User { realm: 1, id: (number % 100) as u64 };
        let body = Body::new(kind.answer(number));
        let mut key = [0; 32];
        key[..8].copy_from_slice(&(number as u64).to_be_bytes());
        let shown = shown(&body, number);
        kept.note(who, key, shown, body).await.expect("it is held");
        if (number + 1) % at_once == 0 {
            kept.settle().await;
        }
    }
    kept.settle().await;
    assert_eq!(metrics.github_cache_dropped.get(), 0, "all of them are kept");
    let after = written();
    let file = fs::metadata(directory.path().join("github.redb")).expect("a file");
    Cost {
        written: [0, 1].map(|at| after[at] - before[at]),
        length: file.len(),
        taken: file.blocks() * 512,
        took: began.elapsed(),
    }
}

#[test]
#[ignore = "a measurement of minutes"]
fn what_kept_answers_cost_on_the_disk() {
    let count = std::env::var("GATEKEEP_KEPT").ok().and_then(|text| text.parse().ok());
    let count = count.unwrap_or(10_000);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    println!("| answers | at once | written | ÷ | to the disk | ÷ | file | ÷ | du | seconds |");
    for kind in [Kind::Json, Kind::Noise] {
        for at_once in [100, 10, 1] {
            let cost = runtime.block_on(keep(kind, count, at_once));
            let bytes = [cost.written[0], cost.written[1], cost.length, cost.taken];
            let mut line = format!("| {count} {kind:?} | {at_once} |");
            for bytes in bytes {
                #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
                let ratio = bytes as f64 / (count * LENGTH) as f64;
                write!(line, " {} MiB | {ratio:.2} |", bytes >> 20).expect("memory is written");
            }
            println!("{line} {:.1} |", cost.took.as_secs_f64());
        }
    }
}
