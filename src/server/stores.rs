//! Opening what the configuration names as stores.

use std::path::Path;
use std::sync::Arc;

use super::StartError;
use crate::clock::Clock;
use crate::config::{Config, StoreKind};
use crate::metrics::Metrics;
use crate::store::{
    Embedded, HeldResponses, Keeping, KeptResponses, Memory, Redis, RedisSettings, ResponseStore,
    Store, Stores,
};

/// The store of sessions, and what keeps GitHub's answers beside it.
pub(super) fn open(
    config: &Config,
    clock: &Arc<dyn Clock>,
    metrics: &Arc<Metrics>,
) -> Result<Stores, StartError> {
    let sessions = open_sessions(&config.store, clock.clone())?;
    let bound = config.cache.github as u64;
    let beside = match &config.store {
        _ if !config.cache.persist => None,
        StoreKind::Memory => None,
        StoreKind::Embedded(directory) => in_a_file(directory, bound, clock),
        StoreKind::Redis(settings) => Some(in_redis(settings, clock.clone())?),
    };
    let is_bounded = matches!(config.store, StoreKind::Embedded(_));
    let answers = beside.map(|store| {
        let (keys, clock, metrics) = (config.keys.clone(), clock.clone(), metrics.clone());
        let keeping = Keeping { store, bound, is_bounded, keys, clock, metrics };
        Arc::new(KeptResponses::new(HeldResponses::new(bound), keeping)) as Arc<dyn ResponseStore>
    });
    Ok(Stores { sessions, answers })
}

fn open_sessions(kind: &StoreKind, clock: Arc<dyn Clock>) -> Result<Arc<dyn Store>, StartError> {
    Ok(match kind {
        StoreKind::Memory => Arc::new(Memory::new(clock)),
        StoreKind::Embedded(directory) => Arc::new(Embedded::open(directory, clock)?),
        StoreKind::Redis(settings) => Arc::new(Redis::connect(settings.clone(), clock)?),
    })
}

/// A file of its own: it may be lost, it is bounded, and no sign-in waits for what is written to it.
fn in_a_file(directory: &Path, bound: u64, clock: &Arc<dyn Clock>) -> Option<Arc<dyn Store>> {
    match Embedded::open_cache(directory, bound, clock) {
        Ok(store) => Some(Arc::new(store)),
        Err(error) => {
            tracing::error!("answers of GitHub are held in memory alone: {error}");
            None
        }
    }
}

/// Connections of their own: a large answer holds no session up.
fn in_redis(settings: &RedisSettings, clock: Arc<dyn Clock>) -> Result<Arc<dyn Store>, StartError> {
    Ok(Arc::new(Redis::connect(settings.clone(), clock)?))
}
