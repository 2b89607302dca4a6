//! What has to be done beside the requests, for as long as the process lives. Each of it takes the
//! configuration of its moment and lets it go at once: another one may have come meanwhile, and the old
//! one holds secrets.

use std::sync::Arc;
use std::time::Duration;

use super::{Shared, backend};
use crate::gateway::MISSED_EVERY;

/// How often ended sessions are let go.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Questions of webhooks' making that are asked at once.
const REFRESHES: usize = 4;

/// How often it is looked whether there are any.
const REFRESH_EVERY: Duration = Duration::from_secs(1);

/// Begins with all of it.
pub(super) fn begin(shared: &Arc<Shared>) {
    tokio::spawn(sweep_forever(shared.clone()));
    tokio::spawn(hear_forever(shared.clone()));
    tokio::spawn(tell_forever(shared.clone()));
    tokio::spawn(forget_forever(shared.clone()));
    tokio::spawn(recover_forever(shared.clone()));
    for _ in 0..REFRESHES {
        tokio::spawn(refresh_forever(shared.clone()));
    }
    tokio::spawn(resolve_forever(shared.clone()));
}

async fn sweep_forever(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let lifetimes = shared.running.load().snapshot.config.session;
        if let Err(unavailable) = shared.gateway.sweep(lifetimes).await {
            tracing::warn!("ended sessions could not be let go: {unavailable}");
        }
        shared.count_dropped_lines();
    }
}

async fn hear_forever(shared: Arc<Shared>) {
    let settings = || {
        let running = shared.running.load();
        let config = &running.snapshot.config;
        (config.keys.clone(), config.cache.staleness)
    };
    match shared.gateway.hear(settings).await {}
}

async fn tell_forever(shared: Arc<Shared>) {
    let keys = || shared.running.load().snapshot.config.keys.clone();
    match shared.gateway.tell(keys).await {}
}

async fn forget_forever(shared: Arc<Shared>) {
    match shared.gateway.forget_heard().await {}
}

/// At the start, too: what was sent before it nobody took.
async fn recover_forever(shared: Arc<Shared>) {
    loop {
        recover(&shared).await;
        tokio::time::sleep(MISSED_EVERY).await;
    }
}

async fn recover(shared: &Shared) {
    let running = shared.running.load_full();
    shared.gateway.recover_webhooks(&running.snapshot).await;
}

/// What webhooks have told to have changed.
async fn refresh_forever(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(REFRESH_EVERY).await;
        while refresh(&shared).await {}
    }
}

/// Asks for one thing; `false` where there was nothing to ask for.
async fn refresh(shared: &Shared) -> bool {
    let running = shared.running.load_full();
    shared.gateway.refresh_answer(&running.snapshot).await
}

async fn resolve_forever(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(backend::RESOLVE_EVERY).await;
        let running = shared.running.load_full();
        running.backends.resolve_now().await;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Running, Server};
    use super::*;
    use crate::clock::System;
    use crate::config::Config;
    use crate::log::AccessLog;
    use crate::metrics::Metrics;
    use crate::store::Memory;

    const YAML: &str = "
public_url: https://auth.example.com
listen: [{ address: '127.0.0.1:0' }]
secret: { env: SECRET }
github: { client_id: Iv1.test, client_secret: { env: SECRET } }
routes: [{ name: app, host: app.example.com, upstream: 'http://127.0.0.1:1', allow: anyone }]
";

    fn config() -> Config {
        let secret = |_: &str| Some("b1946ac92492d2347c6235b4d2611184".repeat(2));
        Config::parse(Path::new("gatekeep.yaml"), YAML, &secret).expect("it is right")
    }

    #[tokio::test(start_paused = true)]
    async fn a_configuration_that_is_replaced_is_let_go() {
        let (clock, metrics) = (Arc::new(System), Arc::new(Metrics::new()));
        let (store, log) = (Arc::new(Memory::new(clock.clone())), AccessLog::to(std::io::sink()));
        let stores = crate::store::Stores { sessions: store, answers: None };
        let server = Server::bind_with(config(), None, clock, stores, metrics, log);
        let shared = server.expect("it binds").shared;
        begin(&shared);
        tokio::time::sleep(SWEEP_EVERY * 2).await;
        let old = Arc::downgrade(&shared.running.load_full());
        assert!(old.upgrade().is_some());
        let new = Running::new(&shared.gateway, config()).expect("it is right");
        shared.running.store(Arc::new(new));
        tokio::time::sleep(REFRESH_EVERY * 2).await;
        assert!(old.upgrade().is_none(), "its secrets are still in memory");
    }
}
