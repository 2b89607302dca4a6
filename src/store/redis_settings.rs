//! How a Redis is reached.

use std::time::Duration;

use crate::secret::Secret;

/// How a Redis is reached.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// Addresses without credentials: one server, or the seeds of a cluster, or sentinels.
    pub urls: Vec<String>,
    /// What answers there.
    pub mode: RedisMode,
    /// The account; none is `default`.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Secret<String>>,
    /// Certificates in PEM to trust instead of the system's.
    pub ca: Option<Vec<u8>>,
    /// Before every key.
    pub prefix: String,
    /// For one answer.
    pub timeout: Duration,
}

/// What answers at the addresses of a Redis.
#[derive(Clone, Debug)]
pub enum RedisMode {
    /// One server.
    Single,
    /// Sentinels, who know where the master of this name is.
    Sentinel {
        /// Its name.
        master: String,
    },
    /// Nodes of a cluster.
    Cluster,
}
