//! What very many sessions cost: `GATEKEEP_SESSIONS=1000000 cargo bench --bench sessions`. Without a
//! number it is a small run that shows that all of it works.
//!
//! Each measurement is a process of its own, so that none finds memory that another has left.

use std::hint::black_box;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use gatekeep::clock::{Clock, Manual, Time};
use gatekeep::gateway::Admissions;
use gatekeep::identity::Identity;
use gatekeep::keys::Keys;
use gatekeep::secret::Secret;
use gatekeep::session::{Lifetimes, Session, SessionId};
use gatekeep::store::{
    Embedded, Heard, Memory, Page, Profile, Sessions, Store, Table, Unavailable, Validators,
};
use redb::{Database, ReadableDatabase, ReadableTableMetadata, TableDefinition};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// The allocator of the `gatekeep` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Sessions as a gateway has them: who, in which browser, since when.
struct Crowd {
    keys: Keys,
    /// Sessions of one account.
    together: usize,
    now: Time,
}

/// A store that forgets: what a process weighs beside it is held open.
struct Nothing;

/// What the cookies hold: laid out before anything is weighed.
type Ids = Vec<AtomicId>;

type Shared = Arc<Sessions<Admissions>>;

/// 32 bytes that a task of its own writes.
#[derive(Default)]
struct AtomicId([AtomicU64; 4]);

const HOST: &str = "app.example.com";

/// As long as browsers' names are.
const DEVICE: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari";

/// Sign-ins under way at once, so that a store can group them.
const AT_ONCE: usize = 512;

/// Look-ups of which one is timed.
const LOOK_UPS: usize = 200_000;

/// Every tenth session ends so much sooner, to be swept.
const SHORT: Duration = Duration::from_secs(3_600);

/// Memory enough to hold all of them open.
const ROOM: usize = 16 << 30;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("held") => held(&arguments[1]),
        Some("memory") => memory(&arguments[1]),
        Some("embedded") => embedded(&arguments[1]),
        _ => all(),
    }
}

fn all() {
    let program = std::env::current_exe().expect("this program");
    for (phase, together) in
        [("held", "1"), ("held", "4"), ("memory", "1"), ("embedded", "1"), ("embedded", "4")]
    {
        let ended = Command::new(&program).args([phase, together]).status();
        assert!(ended.is_ok_and(|status| status.success()), "{phase} {together} failed");
    }
}

fn count() -> usize {
    let asked = std::env::var("GATEKEEP_SESSIONS").ok();
    asked.map_or(2_000, |number| number.parse().expect("GATEKEEP_SESSIONS is a number"))
}

// === What is measured ===

/// What a session costs that is held open, and what it costs to find it there.
fn held(together: &str) {
    let (crowd, ids) = Crowd::new(together);
    let sessions = Arc::new(Sessions::new(Arc::new(Nothing), ROOM));
    title(&format!("Held open, {}", crowd.name()));
    row(&["sessions", "bytes each", "look-up"]);
    row(&["---:", "---:", "---:"]);
    let (before, mut begun) = (resident(), 0);
    let runtime = runtime();
    for step in [1_000, 10_000, 100_000, 1_000_000, ids.len()] {
        let step = step.min(ids.len());
        if step == begun {
            continue;
        }
        runtime.block_on(crowd.begin(&sessions, &ids, begun..step));
        begun = step;
        let bytes = (resident() - before) / step as u64;
        row(&[&grouped(step as u64), &grouped(bytes), &look_up(&crowd, &sessions, &ids[..step])]);
    }
}

/// What a session costs in the store that is no more than memory.
fn memory(together: &str) {
    let (crowd, ids) = Crowd::new(together);
    let store = Arc::new(Memory::new(Arc::new(Manual::at(crowd.now))));
    let sessions = Arc::new(Sessions::new(store, 1 << 20));
    let before = resident();
    runtime().block_on(crowd.begin(&sessions, &ids, 0..ids.len()));
    title(&format!("In the store `memory`, {}", crowd.name()));
    row(&["what", ""]);
    row(&["---", "---:"]);
    row(&["bytes each, besides what is held", &per(resident() - before, &ids)]);
    row(&["looked up in the store", &runtime().block_on(find(&crowd, &sessions, &ids))]);
}

/// What a session costs in the store in a file.
fn embedded(together: &str) {
    let (crowd, ids) = Crowd::new(together);
    let directory = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(Manual::at(crowd.now));
    let open = || Arc::new(Embedded::open(directory.path(), clock.clone()).expect("it opens"));
    let begun = Instant::now();
    {
        let sessions = Arc::new(Sessions::new(open(), 1 << 20));
        runtime().block_on(crowd.begin(&sessions, &ids, 0..ids.len()));
    }
    title(&format!("In the store `embedded`, {}", crowd.name()));
    row(&["what", ""]);
    row(&["---", "---:"]);
    let took = each(begun.elapsed(), 1_000_000, ids.len());
    row(&["a sign-in, in the file when it returns, 512 at once", &format!("{took} µs")]);
    let file = directory.path().join("gatekeep.redb");
    weigh(&file, &ids);
    let begun = Instant::now();
    let store = open();
    row(&["opening the file", &format!("{:.1} ms", begun.elapsed().as_secs_f64() * 1e3)]);
    let sessions = Sessions::new(store, ROOM);
    row(&["looked up in the file", &runtime().block_on(find(&crowd, &sessions, &ids))]);
    // What has ended is removed an hour later.
    clock.advance(SHORT + Duration::from_secs(3_600));
    let begun = Instant::now();
    let sweep = sessions.sweep(Lifetimes::default(), clock.now());
    runtime().block_on(sweep).expect("it sweeps");
    let (took, swept) = (begun.elapsed(), ids.len() / 10);
    row(&[
        &format!("sweeping {} that have ended", grouped(swept as u64)),
        &format!("{:.2} s, {} µs each", took.as_secs_f64(), each(took, 1_000_000, swept)),
    ]);
    drop(sessions);
}

/// What lies in a file, by table.
fn weigh(file: &Path, ids: &Ids) {
    let metadata = std::fs::metadata(file).expect("the file");
    row(&["the file's length each", &per(metadata.len(), ids)]);
    row(&["its blocks on the disk, each", &per(metadata.blocks() * 512, ids)]);
    let database = Database::open(file).expect("it is closed");
    let snapshot = database.begin_read().expect("a snapshot");
    let (mut stored, mut pages) = (0, 0);
    for name in ["session", "ticket", "account"] {
        let table: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(name);
        let table = snapshot.open_table(table).expect("a table");
        let (stats, rows) = (table.stats().expect("it can be read"), table.len().expect("rows"));
        stored += stats.stored_bytes();
        pages += stats.leaf_pages() + stats.branch_pages();
        let what = format!("a row of `{name}` with its key");
        row(&[&what, &grouped(stats.stored_bytes() / rows.max(1))]);
    }
    let ends: TableDefinition<'_, &[u8], ()> = TableDefinition::new("ends");
    let stats = snapshot.open_table(ends).expect("a table").stats().expect("it can be read");
    stored += stats.stored_bytes();
    pages += stats.leaf_pages() + stats.branch_pages();
    row(&["the index of ends, each", &per(stats.stored_bytes(), ids)]);
    row(&["all rows, each", &per(stored, ids)]);
    row(&["the pages that hold them, each", &per(pages * 4_096, ids)]);
}

/// Sessions looked up that are held, in nanoseconds.
fn look_up(crowd: &Crowd, sessions: &Sessions<Admissions>, ids: &[AtomicId]) -> String {
    let wanted: Vec<SessionId> =
        scattered(ids.len()).take(LOOK_UPS.min(ids.len() * 10)).map(|n| ids[n].get()).collect();
    let begun = Instant::now();
    for id in &wanted {
        assert!(sessions.peek(&crowd.keys, black_box(id), HOST).is_some(), "it is held");
    }
    format!("{} ns", each(begun.elapsed(), 1_000_000_000, wanted.len()))
}

/// Sessions looked up that are not held, in microseconds.
async fn find(crowd: &Crowd, sessions: &Sessions<Admissions>, ids: &Ids) -> String {
    let wanted: Vec<SessionId> =
        scattered(ids.len() / 2).take(LOOK_UPS / 10).map(|n| ids[n].get()).collect();
    let begun = Instant::now();
    for id in &wanted {
        let found = sessions.find(&crowd.keys, id, HOST).await.expect("the store answers");
        assert!(found.is_some(), "it is there");
    }
    format!("{} µs", each(begun.elapsed(), 1_000_000, wanted.len()))
}

// === impl Crowd ===

impl Crowd {
    fn new(together: &str) -> (Arc<Self>, Arc<Ids>) {
        let together = together.parse().expect("a number");
        let keys = Keys::derive(&[Secret::new(vec![1; 32])], "realm");
        let ids = (0..count()).map(|_| AtomicId::default()).collect();
        (Arc::new(Self { keys, together, now: Time::from_unix(1_795_000_000) }), Arc::new(ids))
    }

    fn name(&self) -> String {
        match self.together {
            1 => "each of another account".to_owned(),
            more => format!("{more} of each account"),
        }
    }

    /// Begins sessions, many at once; those of one account come after each other.
    async fn begin(self: &Arc<Self>, sessions: &Shared, ids: &Arc<Ids>, range: Range<usize>) {
        let next = Arc::new(AtomicUsize::new(range.start / self.together));
        let mut work = JoinSet::new();
        for _ in 0..AT_ONCE {
            let (crowd, sessions, ids) = (self.clone(), sessions.clone(), ids.clone());
            let (next, range) = (next.clone(), range.clone());
            work.spawn(async move {
                loop {
                    let first = next.fetch_add(1, Ordering::Relaxed) * crowd.together;
                    if first >= range.end {
                        return;
                    }
                    for number in first..(first + crowd.together).min(range.end) {
                        let id = crowd.begin_one(&sessions, number).await;
                        ids[number].set(&id.expect("the store answers"));
                    }
                }
            });
        }
        work.join_all().await;
    }

    async fn begin_one(
        &self,
        sessions: &Sessions<Admissions>,
        number: usize,
    ) -> Result<SessionId, Unavailable> {
        let account = 10_000_000 + (number / self.together) as u64;
        let lives = Lifetimes::default().lifetime;
        let session = Session {
            account,
            created: self.now,
            expires: self.now + if number % 10 == 9 { SHORT } else { lives },
            device: DEVICE.to_owned(),
            from: Some("203.0.113.77".parse().expect("an address")),
            api_key: None,
        };
        let profile = Profile { identity: identity(account), checked: self.now };
        let (_, id) = sessions.begin(&self.keys, session, HOST, &profile, &validators()).await?;
        Ok(id)
    }
}

fn identity(account: u64) -> Identity {
    serde_json::from_value(serde_json::json!({
        "id": account, "login": format!("octo-{account}"), "name": "Mona Lisa Octocat",
        "email": format!("octo-{account}@acme.example"), "orgs": ["acme", "octo-org"],
        "teams": ["acme/platform", "acme/web", "octo-org/cats"],
    }))
    .expect("an identity")
}

/// GitHub's, as long as they are.
fn validators() -> Validators {
    let tag = format!("W/\"{}\"", "0123456789abcdef".repeat(4));
    ["/user", "/user/emails", "/user/orgs", "/user/teams"]
        .map(|what| (what.to_owned(), tag.clone()))
        .into_iter()
        .collect()
}

// === impl Nothing ===

#[async_trait]
impl Store for Nothing {
    async fn get(&self, _: Table, _: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        Ok(None)
    }

    async fn insert(&self, _: Table, _: &[u8], _: Vec<u8>, _: Time) -> Result<bool, Unavailable> {
        Ok(true)
    }

    async fn replace(
        &self,
        _: Table,
        _: &[u8],
        _: &[u8],
        _: Vec<u8>,
        _: Time,
    ) -> Result<bool, Unavailable> {
        Ok(true)
    }

    async fn take(&self, _: Table, _: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        Ok(None)
    }

    async fn scan(&self, _: Table, _: Option<&[u8]>) -> Result<Page, Unavailable> {
        Ok(Page::default())
    }

    async fn sweep(&self) -> Result<(), Unavailable> {
        Ok(())
    }

    async fn announce(&self, _: &[u8]) -> Result<(), Unavailable> {
        Ok(())
    }

    async fn listen(&self, _: Option<&[u8]>) -> Result<Heard, Unavailable> {
        Ok(Heard { news: vec![], mark: vec![], epoch: 0 })
    }
}

// === impl AtomicId ===

impl AtomicId {
    fn set(&self, id: &SessionId) {
        for (word, bytes) in self.0.iter().zip(id.expose().chunks_exact(8)) {
            word.store(u64::from_ne_bytes(bytes.try_into().expect("8 bytes")), Ordering::Relaxed);
        }
    }

    fn get(&self) -> SessionId {
        let mut bytes = [0; 32];
        for (word, place) in self.0.iter().zip(bytes.chunks_exact_mut(8)) {
            place.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
        SessionId::new(bytes)
    }
}

// === Helpers ===

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime")
}

/// Places in a list, by turns all over it, without end.
fn scattered(length: usize) -> impl Iterator<Item = usize> {
    (0_usize..).map(move |turn| turn.wrapping_mul(7_919_999) % length)
}

/// Memory that this process has now.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1_024
}

fn per(bytes: u64, ids: &Ids) -> String {
    format!("{} bytes", grouped(bytes / ids.len() as u64))
}

/// A duration in the unit that is so many of a second, for each of some.
fn each(took: Duration, units: u32, of: usize) -> String {
    let of = u32::try_from(of).expect("they are few");
    format!("{:.1}", (took * units).as_secs_f64() / f64::from(of))
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> =
        digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group)).collect();
    groups.join(",")
}

#[expect(clippy::print_stdout, reason = "it is what this program is for")]
fn title(text: &str) {
    println!("\n## {text}\n");
}

#[expect(clippy::print_stdout, reason = "it is what this program is for")]
fn row(cells: &[&str]) {
    println!("| {} |", cells.join(" | "));
}
