use std::path::Path;
use std::sync::atomic::AtomicI64;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

use super::super::conformance::{HUBOT, OCTOCAT, about, body, key, outlives, run, validation};
use super::*;
use crate::clock::{Manual, Time};
use crate::keys::random;
use crate::secret::Secret;
use crate::store::{Embedded, Heard, Memory, OpenError, Page, Table};

/// A store, and processes on it that come and go.
struct Scene {
    store: Arc<dyn Store>,
    clock: Arc<Manual>,
    metrics: Arc<Metrics>,
    bound: u64,
}

/// A store that answers as long as `left` is above zero.
struct Failing {
    inner: Memory,
    left: AtomicI64,
}

const BOUND: u64 = 1 << 20;

fn clock() -> Arc<Manual> {
    Arc::new(Manual::at(Time::from_unix(1_000_000)))
}

fn keys(masters: &[u8]) -> Keys {
    let masters: Vec<_> = masters.iter().map(|&byte| Secret::new(vec![byte; 32])).collect();
    Keys::derive(&masters, "github.com/app")
}

// === impl Scene ===

impl Scene {
    fn new() -> Self {
        let clock = clock();
        Self::on(Arc::new(Memory::new(clock.clone())), clock)
    }

    fn on(store: Arc<dyn Store>, clock: Arc<Manual>) -> Self {
        Self { store, clock, metrics: Arc::new(Metrics::new()), bound: BOUND }
    }

    fn embedded(directory: &Path) -> Self {
        Self::try_embedded(directory).unwrap()
    }

    fn try_embedded(directory: &Path) -> Result<Self, OpenError> {
        let clock = clock();
        let store = Embedded::open_cache(directory, BOUND, &(clock.clone() as _))?;
        Ok(Self::on(Arc::new(store), clock))
    }

    /// A process that has nothing in memory.
    fn process(&self) -> KeptResponses {
        self.process_with(keys(&[1]))
    }

    fn process_with(&self, keys: Keys) -> KeptResponses {
        let keeping = Keeping {
            store: self.store.clone(),
            bound: self.bound,
            is_bounded: false,
            keys,
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
        };
        KeptResponses::new(HeldResponses::new(BOUND), keeping)
    }

    fn now(&self) -> Time {
        self.clock.now()
    }

    /// Somebody was shown this text.
    async fn show(&self, process: &KeptResponses, who: Principal, n: u64, text: &str) {
        let page = body(text);
        let shown = validation(&page, false, self.now());
        process.note(who, key(n), shown, page).await.unwrap();
    }

    async fn rows(&self, table: Table) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.store.scan(table, None).await.unwrap().rows
    }

    fn dropped(&self) -> u64 {
        self.metrics.github_cache_dropped.get()
    }
}

/// What a process with nothing in memory finds.
async fn found(scene: &Scene, who: Principal, n: u64) -> Option<Body> {
    scene.process().shown(who, &key(n)).await.unwrap().map(|(_, body)| body)
}

// === Every implementation ===

#[tokio::test]
async fn answers_in_a_store_conform() {
    let scene = Scene::new();
    let store = scene.process();
    run(&store, scene.now()).await;
    outlives(&store, &scene.process(), scene.now()).await;
}

#[tokio::test]
async fn answers_in_a_file_conform_and_outlive_it() {
    let directory = tempfile::tempdir().unwrap();
    let (scene, now) = (Scene::embedded(directory.path()), clock().now());
    let store = scene.process();
    run(&store, now).await;
    outlives(&store, &scene.process(), now).await;
    drop((store, scene));
    let scene = opened_again(directory.path()).await;
    outlives(&scene.process(), &scene.process(), now).await;
}

/// The file is free as soon as whoever wrote has ended.
async fn opened_again(directory: &Path) -> Scene {
    for _ in 0..1_000 {
        if let Ok(scene) = Scene::try_embedded(directory) {
            return scene;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the file is still in use");
}

// === What comes from the store ===

#[tokio::test]
async fn what_comes_from_the_store_is_not_fresh() {
    let scene = Scene::new();
    let (page, process) = (body("page"), scene.process());
    let shown = validation(&page, false, scene.now());
    let fresh = Validation { fresh: Duration::from_secs(300), change: 9, ..(*shown).clone() };
    process.note(OCTOCAT, key(1), Arc::new(fresh.clone()), page.clone()).await.unwrap();
    process.settle().await;
    assert_eq!(*process.shown(OCTOCAT, &key(1)).await.unwrap().unwrap().0, fresh);
    assert_eq!(scene.process().shown(OCTOCAT, &key(1)).await.unwrap().unwrap().0, shown);
    assert_eq!(scene.metrics.github_cache_restored.get(), 1);
}

#[tokio::test]
async fn an_answer_is_kept_for_a_day_and_what_anybody_was_shown_for_a_week() {
    let scene = Scene::new();
    let (page, process) = (body("page"), scene.process());
    let shown = validation(&page, true, scene.now());
    process.note(OCTOCAT, key(1), shown, page.clone()).await.unwrap();
    process.settle().await;
    let second = Duration::from_secs(1);
    scene.clock.advance(KEPT.saturating_sub(second));
    assert_eq!(found(&scene, OCTOCAT, 1).await, Some(page.clone()));
    scene.clock.advance(Duration::from_secs(1));
    assert_eq!(found(&scene, OCTOCAT, 1).await, None);
    scene.clock.advance(OFFERED.saturating_sub(KEPT + second));
    let shared = scene.process().shown_to_anybody(&key(1)).await.unwrap();
    assert_eq!(shared.map(|shared| shared.body), Some(page));
    scene.clock.advance(Duration::from_secs(1));
    assert_eq!(scene.process().shown_to_anybody(&key(1)).await.unwrap(), None);
}

#[tokio::test]
async fn what_expires_soon_stays_in_memory() {
    let scene = Scene::new();
    let process = scene.process();
    let note = async |text: &str, longest| {
        let page = body(text);
        let shown = validation(&page, false, scene.now());
        let shown = Validation { longest, ..(*shown).clone() };
        process.note(OCTOCAT, key(1), Arc::new(shown), page).await.unwrap();
        process.settle().await;
    };
    note("for long", Duration::MAX).await;
    assert_eq!(found(&scene, OCTOCAT, 1).await, Some(body("for long")));
    note("for a minute", Duration::from_secs(60)).await;
    assert_eq!(found(&scene, OCTOCAT, 1).await, None, "nor is what was there before");
    assert_eq!(process.shown(OCTOCAT, &key(1)).await.unwrap().unwrap().1, body("for a minute"));
    note("for two hours", Duration::from_secs(7200)).await;
    scene.clock.advance(Duration::from_secs(7199));
    assert_eq!(found(&scene, OCTOCAT, 1).await, Some(body("for two hours")));
    scene.clock.advance(Duration::from_secs(1));
    assert_eq!(found(&scene, OCTOCAT, 1).await, None);
}

// === What is written ===

#[tokio::test]
async fn a_confirmation_is_not_written_each_time() {
    let scene = Scene::new();
    let process = scene.process();
    let row = async || {
        process.settle().await;
        scene.rows(Table::Answer).await.remove(0).1
    };
    scene.show(&process, OCTOCAT, 1, "page").await;
    let first = row().await;
    scene.clock.advance(Duration::from_secs(599));
    scene.show(&process, OCTOCAT, 1, "page").await;
    assert_eq!(row().await, first);
    scene.clock.advance(Duration::from_secs(1));
    scene.show(&process, OCTOCAT, 1, "page").await;
    let second = row().await;
    assert_ne!(second, first, "now and then it is");
    scene.show(&process, OCTOCAT, 1, "another page").await;
    assert_ne!(row().await, second, "and at once where something has changed");
    assert_eq!(found(&scene, OCTOCAT, 1).await, Some(body("another page")));
}

#[tokio::test]
async fn a_body_is_kept_once() {
    let scene = Scene::new();
    let process = scene.process();
    for n in 0..20 {
        scene.show(&process, OCTOCAT, n, "page").await;
        scene.show(&process, HUBOT, n, "page").await;
    }
    process.settle().await;
    assert_eq!(scene.rows(Table::Answer).await.len(), 40);
    assert_eq!(scene.rows(Table::AnswerBody).await.len(), 1);
    assert_eq!(scene.rows(Table::Asker).await.len(), 3, "a word each, and the word of all");
}

#[tokio::test]
async fn a_store_without_a_bound_is_held_within_one() {
    let scene = Scene { bound: 64 << 10, ..Scene::new() };
    let process = scene.process();
    for n in 0..400 {
        // Letters without a pattern do not shrink.
        let text = URL_SAFE_NO_PAD.encode((0..48).flat_map(|_| random::<8>()).collect::<Vec<_>>());
        scene.show(&process, OCTOCAT, n, &text).await;
        process.settle().await;
    }
    let mut bytes = 0;
    for table in [Table::Answer, Table::AnswerBody] {
        bytes +=
            scene.rows(table).await.iter().map(|(name, row)| name.len() + row.len()).sum::<usize>();
    }
    assert!((16 << 10..=64 << 10).contains(&bytes), "{bytes}");
    let mut new = 0;
    for n in 380..400 {
        new += usize::from(found(&scene, OCTOCAT, n).await.is_some());
    }
    assert!(new > 0, "something of what is new is there");
}

#[tokio::test]
async fn a_file_stays_within_its_bound() {
    let directory = tempfile::tempdir().unwrap();
    let scene = Scene::embedded(directory.path());
    let process = scene.process();
    for n in 0..300 {
        let bytes: Vec<u8> = (0..875).flat_map(|_| random::<8>()).collect();
        let page = Body::new(Bytes::from(bytes));
        let shown = validation(&page, false, scene.now());
        process.note(OCTOCAT, key(n), shown, page).await.unwrap();
        process.settle().await;
    }
    let bodies: usize = scene.rows(Table::AnswerBody).await.iter().map(|row| row.1.len()).sum();
    let bound = usize::try_from(BOUND).unwrap();
    assert!((bound / 2..=bound).contains(&bodies), "{bodies}");
    assert!(found(&scene, OCTOCAT, 299).await.is_some(), "what is new is there");
    assert_eq!(found(&scene, OCTOCAT, 0).await, None);
    let length = std::fs::metadata(directory.path().join("github.redb")).unwrap().len();
    println!("{bodies} bytes of bodies in a file of {length}");
    assert!(length < 6 * BOUND, "{length}");
}

// === Sealed ===

/// Bytes that nothing can shorten, so that they would be seen if they were not sealed.
#[tokio::test]
async fn nothing_can_be_read_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let scene = Scene::embedded(directory.path());
    let process = scene.process();
    let marker: [u8; 64] = random();
    let page = Body::new(Bytes::from([&marker[..], &random::<4096>()].concat()));
    let shown = validation(&page, true, scene.now());
    let key: ResponseKey = random();
    process.note(OCTOCAT, key, shown.clone(), page.clone()).await.unwrap();
    process.settle().await;
    let kept = scene.process().shown(OCTOCAT, &key).await.unwrap();
    assert_eq!(kept.map(|(_, body)| body), Some(page.clone()));
    let file = std::fs::read(directory.path().join("github.redb")).unwrap();
    let is_in = |bytes: &[u8], wanted: &[u8]| bytes.windows(wanted.len()).any(|at| at == wanted);
    let id = 583_231_u64.to_be_bytes();
    // What is packed alone would be the same bytes each time.
    let packed = [row::write_body(&page.bytes), row::write_shown(&shown).unwrap()];
    for secret in [&marker[..], &packed[0][..32], &packed[1][..32], &page.hash, &key, &id] {
        assert!(!is_in(&file, secret), "{secret:?}");
    }
    assert!(is_in(&packed[0], &marker), "it would be seen");
}

#[tokio::test]
async fn a_row_in_another_s_place_is_nobody_s() {
    let scene = Scene::new();
    let process = scene.process();
    for (who, n, text) in [(OCTOCAT, 1, "a secret"), (OCTOCAT, 2, "another"), (HUBOT, 1, "mine")] {
        scene.show(&process, who, n, text).await;
    }
    process.settle().await;
    let end = scene.now() + KEPT;
    let rows = scene.rows(Table::Answer).await;
    assert_eq!(rows.len(), 3);
    for (to, own) in &rows {
        for (_, value) in rows.iter().filter(|(from, _)| from != to) {
            scene.store.put(Table::Answer, to, value.clone(), end).await.unwrap();
            let mut shown = Vec::new();
            for (who, n, text) in
                [(OCTOCAT, 1, "a secret"), (OCTOCAT, 2, "another"), (HUBOT, 1, "mine")]
            {
                let found = found(&scene, who, n).await;
                assert!(found.as_ref().is_none_or(|found| *found == body(text)));
                shown.extend(found);
            }
            assert_eq!(shown.len(), 2, "the one that was replaced is gone");
        }
        scene.store.put(Table::Answer, to, own.clone(), end).await.unwrap();
    }
    assert_eq!(found(&scene, OCTOCAT, 1).await, Some(body("a secret")), "control");
    assert_eq!(found(&scene, HUBOT, 1).await, Some(body("mine")), "control");
    // A body in another's place is not the one that was shown.
    let bodies = scene.rows(Table::AnswerBody).await;
    for (to, value) in [(0, 1), (1, 2), (2, 0)] {
        let value = bodies[value].1.clone();
        scene.store.put(Table::AnswerBody, &bodies[to].0, value, end).await.unwrap();
    }
    for (who, n) in [(OCTOCAT, 1), (OCTOCAT, 2), (HUBOT, 1)] {
        assert_eq!(found(&scene, who, n).await, None);
    }
}

#[tokio::test]
async fn other_keys_find_what_older_ones_sealed_while_these_are_listed() {
    let scene = Scene::new();
    let process = scene.process();
    scene.show(&process, OCTOCAT, 1, "page").await;
    process.settle().await;
    let shown = async |masters| {
        let process = scene.process_with(keys(masters));
        process.shown(OCTOCAT, &key(1)).await.unwrap().is_some()
    };
    assert!(shown(&[2, 1]).await);
    assert!(!shown(&[2]).await);
    // A reload: what is written from now on is sealed by the new one.
    process.take_keys(&keys(&[2, 1]));
    scene.show(&process, HUBOT, 1, "page").await;
    process.settle().await;
    let hubots = scene.process_with(keys(&[2]));
    assert_eq!(hubots.shown(HUBOT, &key(1)).await.unwrap(), None, "the body is the older one's");
    scene.show(&process, HUBOT, 2, "new").await;
    process.settle().await;
    assert!(hubots.shown(HUBOT, &key(2)).await.unwrap().is_some());
}

// === Forgotten ===

#[tokio::test]
async fn what_was_forgotten_does_not_open_again() {
    let scene = Scene::new();
    let process = scene.process();
    for n in 0..3 {
        scene.show(&process, OCTOCAT, n, "page").await;
        scene.show(&process, HUBOT, n, "page").await;
    }
    process.settle().await;
    let (words, rows) = (scene.rows(Table::Asker).await, scene.rows(Table::Answer).await);
    assert_eq!((words.len(), rows.len()), (3, 6), "a word each, and the word of all");
    process.forget_all(OCTOCAT).await.unwrap();
    assert_eq!(scene.rows(Table::Asker).await.len(), 2);
    assert_eq!(scene.rows(Table::Answer).await.len(), 3, "what this process wrote is gone as well");
    // Whoever wrote them knows nothing of it: what is left does not open.
    for (name, row) in &rows {
        let end = scene.now() + KEPT;
        scene.store.put(Table::Answer, name, row.clone(), end).await.unwrap();
    }
    for n in 0..3 {
        assert_eq!(found(&scene, OCTOCAT, n).await, None);
        assert_eq!(found(&scene, HUBOT, n).await, Some(body("page")));
    }
    scene.show(&process, OCTOCAT, 1, "page").await;
    process.settle().await;
    assert_eq!(found(&scene, OCTOCAT, 1).await, Some(body("page")));
    assert_eq!(found(&scene, OCTOCAT, 2).await, None, "by the new word neither");
}

#[tokio::test]
async fn what_another_process_has_forgotten_is_not_brought_back() {
    let scene = Scene::new();
    let (one, other) = (scene.process(), scene.process());
    scene.show(&one, OCTOCAT, 1, "page").await;
    one.settle().await;
    other.forget_all(OCTOCAT).await.unwrap();
    scene.show(&one, OCTOCAT, 2, "page").await;
    one.settle().await;
    assert_eq!(found(&scene, OCTOCAT, 1).await, None);
    assert_eq!(found(&scene, OCTOCAT, 2).await, Some(body("page")));
}

/// Whatever of it is left in the store, or comes back: without the word of all none of it opens.
#[tokio::test]
async fn everything_is_forgotten_at_once() {
    let scene = Scene::new();
    let (process, other) = (scene.process(), scene.process());
    let page = body("page");
    for who in [OCTOCAT, HUBOT] {
        let shown = validation(&page, true, scene.now());
        process.note(who, key(1), shown, page.clone()).await.unwrap();
    }
    process.settle().await;
    let offered = async || scene.process().shown_to_anybody(&key(1)).await.unwrap().is_some();
    assert!(found(&scene, HUBOT, 1).await.is_some() && offered().await, "control");
    let mut rows = Vec::new();
    for table in [Table::Asker, Table::Answer, Table::AnswerBody] {
        rows.extend(scene.rows(table).await.into_iter().map(|row| (table, row)));
    }
    other.forget_everything().await.unwrap();
    let common = row::Row::CommonWord.name(&keys(&[1]));
    let end = scene.now() + KEPT;
    for (table, (name, row)) in rows.iter().filter(|(_, (name, _))| name[..] != common) {
        scene.store.put(*table, name, row.clone(), end).await.unwrap();
    }
    // Whoever wrote them goes on writing, and nothing of it makes them open.
    scene.show(&process, HUBOT, 2, "another page").await;
    process.settle().await;
    for who in [OCTOCAT, HUBOT] {
        assert_eq!(found(&scene, who, 1).await, None);
    }
    assert!(!offered().await);
    assert_eq!(found(&scene, HUBOT, 2).await, Some(body("another page")), "what came after");
}

/// What one process has forgotten with everything, it removes where the store has no bound of its own.
#[tokio::test]
async fn what_was_forgotten_with_everything_takes_no_room() {
    let scene = Scene::new();
    let process = scene.process();
    for n in 0..20 {
        scene.show(&process, OCTOCAT, n, "page").await;
    }
    process.settle().await;
    assert_eq!(scene.rows(Table::Answer).await.len(), 20);
    process.forget_everything().await.unwrap();
    process.settle().await;
    assert_eq!(scene.rows(Table::Answer).await.len(), 0);
    assert_eq!(scene.rows(Table::AnswerBody).await.len(), 0);
}

// === Failures ===

#[async_trait]
impl Store for Failing {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        self.burn()?;
        self.inner.get(table, key).await
    }

    async fn insert(
        &self,
        table: Table,
        key: &[u8],
        value: Vec<u8>,
        end: Time,
    ) -> Result<bool, Unavailable> {
        self.burn()?;
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
        self.burn()?;
        self.inner.replace(table, key, old, new, end).await
    }

    async fn take(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        self.burn()?;
        self.inner.take(table, key).await
    }

    async fn scan(&self, table: Table, from: Option<&[u8]>) -> Result<Page, Unavailable> {
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

impl Failing {
    fn burn(&self) -> Result<(), Unavailable> {
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            1.. => Ok(()),
            _ => Err(Unavailable("it is broken".into())),
        }
    }

    fn scene() -> (Arc<Self>, Scene) {
        let clock = clock();
        let inner = Memory::new(clock.clone());
        let store = Arc::new(Self { inner, left: AtomicI64::new(i64::MAX) });
        (store.clone(), Scene::on(store, clock))
    }
}

#[tokio::test]
async fn a_store_that_fails_is_no_fault_of_anybody_and_is_left_alone() {
    let (store, scene) = Failing::scene();
    let process = scene.process();
    store.left.store(0, Ordering::SeqCst);
    scene.show(&process, OCTOCAT, 1, "page").await;
    process.settle().await;
    assert_eq!(scene.dropped(), 1);
    assert_eq!(process.shown(OCTOCAT, &key(1)).await.unwrap().unwrap().1, body("page"));
    let asked = store.left.load(Ordering::SeqCst);
    assert!(asked < 0);
    for n in 0..100 {
        assert_eq!(process.shown(HUBOT, &key(n)).await, Ok(None));
        assert_eq!(process.shown_to_anybody(&key(n)).await, Ok(None));
        scene.show(&process, OCTOCAT, n, "page").await;
    }
    assert_eq!(store.left.load(Ordering::SeqCst), asked, "it is not asked for a while");
    assert_eq!(scene.dropped(), 101);
    let failures = scene.metrics.github_cache_failures.with_label_values(&["write"]).get();
    assert_eq!(failures, 1);
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_forgotten_is_forgotten_later_and_not_given_meanwhile() {
    let (store, scene) = Failing::scene();
    let process = scene.process();
    scene.show(&process, OCTOCAT, 1, "page").await;
    process.settle().await;
    assert_eq!(found(&scene, OCTOCAT, 1).await, Some(body("page")), "control");
    store.left.store(0, Ordering::SeqCst);
    process.forget_all(OCTOCAT).await.unwrap();
    process.unshare(&[about("repo:acme/wiki")]).await.unwrap();
    store.left.store(i64::MAX, Ordering::SeqCst);
    assert_eq!(process.shown(OCTOCAT, &key(1)).await, Ok(None));
    assert!(process.kept.queue.is_to_forget(OCTOCAT, &key(1)));
    assert!(process.kept.queue.is_to_unshare(&about("repo:acme/wiki")));
    process.settle().await;
    assert!(!process.kept.queue.is_to_forget(OCTOCAT, &key(1)));
    assert!(!process.kept.queue.is_to_unshare(&about("repo:acme/wiki")));
    assert_eq!(found(&scene, OCTOCAT, 1).await, None);
}

/// What was written before may be older than what could not be written, and what was forgotten before
/// may be back.
#[tokio::test(start_paused = true)]
async fn after_a_failure_nothing_in_the_store_from_before_is_believed() {
    let (store, scene) = Failing::scene();
    let (writes, reads) = (scene.process(), scene.process());
    for n in 0..3 {
        let page = body("page");
        let shown = validation(&page, true, scene.now());
        writes.note(OCTOCAT, key(n), shown, page).await.unwrap();
    }
    writes.settle().await;
    let found_by = async |process: &KeptResponses, n| {
        process.shown(OCTOCAT, &key(n)).await.unwrap().map(|(_, body)| body)
    };
    assert_eq!(found_by(&reads, 0).await, Some(body("page")), "control");
    store.left.store(0, Ordering::SeqCst);
    assert_eq!(found_by(&reads, 1).await, None);
    store.left.store(i64::MAX, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(5)).await;
    for _ in 0..2 {
        assert_eq!(found_by(&reads, 1).await, None);
        assert_eq!(reads.shown_to_anybody(&key(2)).await, Ok(None));
    }
    assert_eq!(found_by(&reads, 0).await, Some(body("page")), "in memory it is as good as ever");
    assert_eq!(found(&scene, OCTOCAT, 1).await, Some(body("page")), "for who had no failure");
    scene.clock.advance(Duration::from_secs(1));
    scene.show(&writes, OCTOCAT, 1, "another page").await;
    writes.settle().await;
    assert_eq!(found_by(&reads, 1).await, Some(body("another page")), "what came after");
}

/// A store that is down while the whole world leaves.
#[tokio::test(start_paused = true)]
async fn what_is_too_much_to_forget_later_is_everything() {
    for (leaving, is_everything) in [(1_000, false), (20_010, true)] {
        let (store, scene) = Failing::scene();
        let process = scene.process();
        scene.show(&process, OCTOCAT, 1, "page").await;
        process.settle().await;
        store.left.store(0, Ordering::SeqCst);
        for id in 0..leaving {
            process.forget_all(Principal::User { realm: 2, id }).await.unwrap();
        }
        assert_eq!(process.kept.queue.is_to_forget(OCTOCAT, &key(1)), is_everything);
        store.left.store(i64::MAX, Ordering::SeqCst);
        process.settle().await;
        assert!(!process.kept.queue.is_to_forget(OCTOCAT, &key(1)));
        assert_eq!(found(&scene, OCTOCAT, 1).await.is_none(), is_everything);
    }
}
