//! While the master secret rotates, nodes list the old and the new one in either order.

use tokio::sync::Semaphore;

use super::*;
use crate::store::{Heard, Page};

/// A store in which words wait until they may be written.
struct Slow {
    inner: Memory,
    may_go: Semaphore,
    waits: Semaphore,
}

// === impl Slow ===

impl Slow {
    fn scene() -> (Arc<Self>, Scene) {
        let clock = clock();
        let inner = Memory::new(clock.clone());
        let many = Semaphore::MAX_PERMITS;
        let waits = Semaphore::new(0);
        let store = Arc::new(Self { inner, may_go: Semaphore::new(many), waits });
        (store.clone(), Scene::on(store, clock))
    }

    /// From now on words wait.
    fn hold(&self) {
        self.may_go.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Until one waits.
    async fn one_waits(&self) {
        self.waits.acquire().await.unwrap().forget();
    }

    fn let_go(&self) {
        self.may_go.add_permits(Semaphore::MAX_PERMITS);
    }
}

#[async_trait]
impl Store for Slow {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        self.inner.get(table, key).await
    }

    async fn insert(
        &self,
        table: Table,
        key: &[u8],
        value: Vec<u8>,
        end: Time,
    ) -> Result<bool, Unavailable> {
        if table == Table::Asker {
            self.waits.add_permits(1);
            drop(self.may_go.acquire().await);
        }
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
        self.inner.replace(table, key, old, new, end).await
    }

    async fn take(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
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

/// What a process finds that has nothing in memory and lists these masters.
async fn found_by(scene: &Scene, masters: &[u8], who: Principal, n: u64) -> Option<Body> {
    let process = scene.process_with(keys(masters));
    process.shown(who, &key(n)).await.unwrap().map(|(_, body)| body)
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

/// Whoever reads, by whichever order, finds what was written by the other.
#[tokio::test]
async fn nodes_that_list_the_masters_in_different_orders_find_each_other_s() {
    let scene = Scene::new();
    let before = scene.process();
    scene.show(&before, OCTOCAT, 0, "page").await;
    before.settle().await;
    let orders: [&[u8]; 2] = [&[2, 1], &[1, 2]];
    for (n, masters) in (1..).zip(orders) {
        let process = scene.process_with(keys(masters));
        let (page, now) = (body("page"), scene.now());
        process.note(OCTOCAT, key(n), validation(&page, true, now), page.clone()).await.unwrap();
        process.settle().await;
    }
    for masters in orders {
        for n in 0..3 {
            assert_eq!(found_by(&scene, masters, OCTOCAT, n).await, Some(body("page")), "{n}");
        }
        for n in 1..3 {
            let process = scene.process_with(keys(masters));
            assert!(process.shown_to_anybody(&key(n)).await.unwrap().is_some(), "{n}");
        }
    }
    scene.process_with(keys(&[1, 2])).forget_all(OCTOCAT).await.unwrap();
    for masters in orders {
        for n in 0..3 {
            assert_eq!(found_by(&scene, masters, OCTOCAT, n).await, None, "{n}");
        }
    }
}

/// A node that writes knows the asker's word, and another one forgets it before the first has written.
#[tokio::test]
async fn a_word_that_is_forgotten_while_another_node_writes_does_not_come_back() {
    for is_forgotten in [false, true] {
        let (store, scene) = Slow::scene();
        let before = scene.process();
        scene.show(&before, OCTOCAT, 1, "page").await;
        before.settle().await;
        let (writes, forgets) =
            (scene.process_with(keys(&[2, 1])), scene.process_with(keys(&[2, 1])));
        // The word of all is there by now.
        scene.show(&writes, HUBOT, 1, "page").await;
        writes.settle().await;
        store.waits.forget_permits(usize::MAX);
        store.hold();
        scene.show(&writes, OCTOCAT, 2, "page").await;
        store.one_waits().await;
        if is_forgotten {
            forgets.forget_all(OCTOCAT).await.unwrap();
        }
        store.let_go();
        writes.settle().await;
        let old = found_by(&scene, &[2, 1], OCTOCAT, 1).await;
        assert_eq!(old.is_none(), is_forgotten, "{old:?}");
        assert_eq!(
            found_by(&scene, &[2, 1], OCTOCAT, 2).await,
            Some(body("page")),
            "what came after"
        );
    }
}

/// A repository became private, and a node said so whose order was another.
#[tokio::test]
async fn what_is_offered_no_more_is_so_under_every_name() {
    let scene = Scene::new();
    let [new, old] = [&[2, 1], &[1, 2]].map(|masters: &[u8; 2]| scene.process_with(keys(masters)));
    let wiki = [about("repo:acme/wiki")];
    new.unshare(&wiki).await.unwrap();
    new.settle().await;
    scene.clock.advance(Duration::from_secs(10));
    let (page, now) = (body("page"), scene.now());
    new.note(OCTOCAT, key(1), validation(&page, true, now), page.clone()).await.unwrap();
    new.settle().await;
    let offered = async || {
        scene.process_with(keys(&[2, 1])).shown_to_anybody(&key(1)).await.unwrap().is_some()
    };
    assert!(offered().await, "control");
    scene.clock.advance(Duration::from_secs(10));
    old.unshare(&wiki).await.unwrap();
    old.settle().await;
    assert!(!offered().await);
}
