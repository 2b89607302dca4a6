//! Where state is kept, and how much of it is held open in this process.

use std::path::PathBuf;
use std::time::Duration;

use crate::store::{RedisMode, RedisSettings};

/// Where sessions are kept.
#[derive(Clone, Debug)]
pub enum StoreKind {
    /// In this process: gone when it ends.
    Memory,
    /// In a directory of this machine.
    Embedded(PathBuf),
    /// In a Redis that several gateways may share.
    Redis(RedisSettings),
}

/// What is held open in this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// Bytes of sessions.
    pub size: usize,
    /// Bytes of GitHub's answers.
    pub github: usize,
    /// Whether these are kept in the store as well, so that a restart loses none.
    pub persist: bool,
    /// How long it may be believed without news from a store that others write to.
    pub staleness: Duration,
}

// === impl StoreKind ===

impl StoreKind {
    /// Whether this is the same store, reached in the same way.
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Memory, Self::Memory) => true,
            (Self::Embedded(one), Self::Embedded(other)) => one == other,
            (Self::Redis(one), Self::Redis(other)) => {
                reaches_like(one, other) && authenticates_like(one, other)
            }
            _ => false,
        }
    }
}

fn reaches_like(one: &RedisSettings, other: &RedisSettings) -> bool {
    one.urls == other.urls
        && one.ca == other.ca
        && one.prefix == other.prefix
        && one.timeout == other.timeout
        && match (&one.mode, &other.mode) {
            (RedisMode::Single, RedisMode::Single) | (RedisMode::Cluster, RedisMode::Cluster) => {
                true
            }
            (RedisMode::Sentinel { master: one }, RedisMode::Sentinel { master: other }) => {
                one == other
            }
            _ => false,
        }
}

fn authenticates_like(one: &RedisSettings, other: &RedisSettings) -> bool {
    let same_password = match (&one.password, &other.password) {
        (Some(one), Some(other)) => one.matches(other.expose().as_bytes()),
        (None, None) => true,
        _ => false,
    };
    one.username == other.username && same_password
}

// === impl Default ===

impl Default for Cache {
    fn default() -> Self {
        Self { size: 64 << 20, github: 256 << 20, persist: true, staleness: Duration::from_secs(5) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn redis(change: impl FnOnce(&mut RedisSettings)) -> StoreKind {
        let mut settings = RedisSettings {
            urls: vec!["rediss://a".to_owned()],
            mode: RedisMode::Single,
            username: None,
            password: Some(Secret::new("hunter2".to_owned())),
            ca: None,
            prefix: "gatekeep".to_owned(),
            timeout: Duration::from_millis(250),
        };
        change(&mut settings);
        StoreKind::Redis(settings)
    }

    #[test]
    fn a_store_is_like_itself_and_no_other() {
        let sentinel = |name: &str| {
            let master = name.to_owned();
            redis(|settings| settings.mode = RedisMode::Sentinel { master })
        };
        let stores = [
            StoreKind::Memory,
            StoreKind::Embedded("/a".into()),
            StoreKind::Embedded("/b".into()),
            redis(|_| {}),
            redis(|settings| settings.urls.push("rediss://b".to_owned())),
            redis(|settings| settings.mode = RedisMode::Cluster),
            redis(|settings| settings.username = Some("gatekeep".to_owned())),
            redis(|settings| settings.password = Some(Secret::new("hunter3".to_owned()))),
            redis(|settings| settings.password = None),
            redis(|settings| settings.ca = Some(vec![1])),
            redis(|settings| settings.prefix = "other".to_owned()),
            sentinel("one"),
            sentinel("two"),
        ];
        for (i, one) in stores.iter().enumerate() {
            for (j, other) in stores.iter().enumerate() {
                assert_eq!(one.is_like(&other.clone()), i == j, "{one:?} {other:?}");
            }
        }
    }
}
