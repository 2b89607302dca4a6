//! A store that fails is no fault of anybody.

use std::sync::atomic::AtomicI64;

use super::*;
use crate::store::{Heard, Memory, Page};

/// A store that answers as long as `left` is above zero.
struct Failing {
    inner: Memory,
    left: AtomicI64,
}

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
