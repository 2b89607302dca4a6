//! Reloading: on SIGHUP the file is read again, checked whole, and put in force whole, or not at all.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::tls::{ByPlace, Certificates};
use super::{Running, Shared, StartError};
use crate::config::Config;

/// Waits for SIGHUP, again and again.
pub(super) async fn on_hangup(shared: Arc<Shared>, file: PathBuf) {
    let mut hangup = signal(SignalKind::hangup()).expect("signals can be had");
    shared.note_reload(true);
    while hangup.recv().await.is_some() {
        match reload(&shared, &file).await {
            Ok(()) => tracing::info!("{} is in force", file.display()),
            Err(error) => tracing::error!("the running configuration was kept:\n{error}"),
        }
    }
}

async fn reload(shared: &Shared, file: &Path) -> Result<(), StartError> {
    let mut made = prepare(shared, file);
    if let Ok((running, _)) = &made
        && let Err(foreign) = shared.gateway.may_take_keys(&running.snapshot).await
    {
        made = Err(foreign.into());
    }
    shared.note_reload(made.is_ok());
    let (running, certificates) = made?;
    running.backends.resolve_now().await;
    shared.gateway.take_keys(&running.snapshot.config);
    shared.running.store(Arc::new(running));
    for (place, old) in &shared.certificates {
        let new = certificates.iter().find(|(known, new)| known == place && new.is_some());
        if let (Some(old), Some((_, Some(new)))) = (old, new) {
            old.replace_by(new);
        }
    }
    Ok(())
}

/// Everything that can fail, before anything is put in force.
fn prepare(shared: &Shared, file: &Path) -> Result<(Running, ByPlace), StartError> {
    let config = Config::load(file)?;
    warn_of_restart(shared, &config);
    let certificates = Certificates::of_all(&config)?;
    Ok((Running::new(&shared.gateway, config)?, certificates))
}

/// Says which changes a reload cannot bring.
fn warn_of_restart(shared: &Shared, new: &Config) {
    let running = shared.running.load();
    let old = &running.snapshot.config;
    let changed = [
        ("listen", old.listen != new.listen),
        ("admin", old.admin != new.admin),
        ("store", !old.store.is_like(&new.store)),
        ("cache.size", old.cache.size != new.cache.size),
        ("cache.github", old.cache.github != new.cache.github),
        ("cache.persist", old.cache.persist != new.cache.persist),
        ("threads", old.threads != new.threads),
        ("grace", old.grace != new.grace),
        ("limits.connections", old.limits.connections != new.limits.connections),
    ];
    for (key, _) in changed.iter().filter(|(_, changed)| *changed) {
        tracing::warn!("`{key}` has changed; that takes a restart");
    }
}

// === impl Shared ===

impl Shared {
    fn note_reload(&self, succeeded: bool) {
        self.metrics.config_last_reload_successful.set(i64::from(succeeded));
        if succeeded {
            #[expect(clippy::cast_precision_loss, reason = "seconds fit for millions of years")]
            let now = self.gateway.clock().now().unix() as f64;
            self.metrics.config_last_reload_success_timestamp.set(now);
        }
    }
}
