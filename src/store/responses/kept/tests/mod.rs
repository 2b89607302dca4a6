use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

use super::super::conformance::{HUBOT, OCTOCAT, about, body, key, outlives, run, validation};
use super::*;
use crate::clock::{Manual, Time};
use crate::keys::random;
use crate::secret::Secret;
use crate::store::{Embedded, Memory, OpenError, Table};

mod failures;
mod forgotten;
mod reading;
mod rotation;
mod sealed;
mod writing;

/// A store, and processes on it that come and go.
struct Scene {
    store: Arc<dyn Store>,
    clock: Arc<Manual>,
    metrics: Arc<Metrics>,
    bound: u64,
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
