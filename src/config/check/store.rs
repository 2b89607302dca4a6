//! Where sessions are kept, what is held open of them, and how a Redis is reached.

use std::path::PathBuf;
use std::time::Duration;

use super::super::field::{At, Field, OneOrMany};
use super::super::locate::Place;
use super::super::raw::{Raw, RedisKeys};
use super::super::report::Fault;
use super::super::scalar::{RedisAddress, Text};
use super::super::written::{Redis, SecretSource, Store};
use super::super::{Cache, StoreKind};
use super::Check;
use crate::secret::Secret;
use crate::store::{RedisMode, RedisSettings};

/// Before every key, unless another word is chosen.
const PREFIX: &str = "gatekeep";
/// For one answer of a Redis: it is near, and a visitor waits.
const TIMEOUT: Duration = Duration::from_millis(250);
/// The least that is worth holding open: 1 MiB.
const LEAST_CACHE: usize = 1 << 20;

// === impl Check ===

impl Check<'_> {
    /// Where sessions are kept; in this process, where nothing is said.
    pub(super) fn store(&mut self, raw: &Raw) -> Option<StoreKind> {
        let Some(at) = raw.store.given() else {
            return raw.store.is_absent().then_some(StoreKind::Memory);
        };
        let Store::Kept(places) = &at.value else { return Some(StoreKind::Memory) };
        match (places.embedded.given(), places.redis.given()) {
            (Some(_), Some(redis)) => {
                let fault = Fault::new("sessions are kept in one store, not in two");
                self.problem(&redis.key, fault.help("keep `embedded` or `redis`"));
                None
            }
            (Some(directory), None) => self.embedded(directory).map(StoreKind::Embedded),
            (None, Some(redis)) => self.redis(redis).map(StoreKind::Redis),
            (None, None) => {
                // Where one of them cannot be read, the report has said so.
                if places.embedded.is_absent() && places.redis.is_absent() {
                    let fault = Fault::new("this does not say where sessions are kept");
                    self.problem(
                        &at.place,
                        fault.note(
                            "write `{ embedded: /var/lib/gatekeep }` or `{ redis: rediss://redis.example.com }`",
                        ),
                    );
                }
                None
            }
        }
    }

    fn embedded(&mut self, at: &At<Text>) -> Option<PathBuf> {
        let directory = self.path(&at.value.0);
        if directory.is_file() {
            let fault = Fault::new(format!("`{}` is a file", at.value.0));
            self.problem(&at.place, fault.help("name a directory, which may be new"));
            return None;
        }
        Some(directory)
    }

    /// What is held open in this process.
    pub(super) fn cache(&mut self, raw: &Raw) -> Cache {
        let mut meant = Cache::default();
        let Some(cache) = raw.cache.value() else { return meant };
        // A quiet store answers a listener after a second.
        let bounds = Duration::from_secs(2)..=Duration::from_secs(300);
        meant.staleness = self.span_within(&cache.staleness, meant.staleness, bounds);
        if let Some(at) = cache.size.given() {
            meant.size = usize::try_from(at.value.0).unwrap_or(usize::MAX);
            if meant.size < LEAST_CACHE {
                let fault = Fault::new("less than 1MiB holds no crowd of sessions open");
                self.problem(&at.place, fault.help("`64MiB` is the default"));
            }
        }
        if let Some(at) = cache.github.given() {
            meant.github = usize::try_from(at.value.0).unwrap_or(usize::MAX);
            if meant.github < LEAST_CACHE {
                let fault = Fault::new("less than 1MiB holds no page of GitHub's for long");
                self.problem(&at.place, fault.help("`256MiB` is the default"));
            }
        }
        meant.persist = cache.persist.value() != Some(&false);
        meant
    }
}

// === impl Check: Redis ===

impl Check<'_> {
    fn redis(&mut self, at: &At<Redis>) -> Option<RedisSettings> {
        let keys = match &at.value {
            Redis::Keys(keys) => keys,
            Redis::Address(address) => {
                if address.is_overheard() {
                    self.warn_of_listeners(&at.place);
                }
                return Some(by_address(address));
            }
        };
        let missing = || {
            Fault::new("`url` is missing in `redis`")
                .note("as in `url: rediss://redis.example.com`")
        };
        let url = self.required(&keys.url, &at.place, missing);
        let mode = self.redis_mode(keys);
        let (urls, mode) = (url.map(|url| self.urls(url, mode.as_ref())), mode);
        let password = self.password(&keys.password);
        let ca = self.redis_ca(keys);
        let prefix = self.redis_prefix(&keys.prefix);
        Some(RedisSettings {
            urls: urls?,
            mode: mode?,
            username: keys.username.value().map(|text| text.0.clone()),
            password: password?,
            ca: ca?,
            prefix,
            timeout: TIMEOUT,
        })
    }

    fn redis_mode(&mut self, keys: &RedisKeys) -> Option<RedisMode> {
        match (keys.sentinel.given(), keys.cluster.given().filter(|cluster| cluster.value)) {
            (Some(_), Some(cluster)) => {
                let fault = Fault::new("`sentinel` and `cluster` exclude each other");
                self.problem(
                    &cluster.key,
                    fault.help("keep one of them").note(
                        "sentinels watch over one master; the nodes of a cluster watch over each other",
                    ),
                );
                None
            }
            (Some(name), None) => Some(RedisMode::Sentinel { master: name.value.0.clone() }),
            (None, Some(_)) => Some(RedisMode::Cluster),
            (None, None) => Some(RedisMode::Single),
        }
    }

    /// The addresses, as many as the mode takes; `None` is a mode that has its own problem.
    fn urls(&mut self, at: &At<OneOrMany<RedisAddress>>, mode: Option<&RedisMode>) -> Vec<String> {
        let addresses = &at.value.0;
        if addresses.is_empty() {
            self.problem(&at.place, Fault::new("`url` lists no address"));
        }
        if let ([_, second, ..], Some(RedisMode::Single)) = (addresses.as_slice(), mode) {
            let fault = Fault::new("several addresses do not say what they are");
            self.problem(
                &second.place,
                fault
                    .note("sentinels: add `sentinel`, the name of the master that they watch")
                    .note("nodes of a cluster: add `cluster: true`"),
            );
        }
        let overheard = addresses.iter().find(|address| address.value.is_overheard());
        if let Some(address) = overheard {
            self.warn_of_listeners(&address.place);
        }
        for address in addresses {
            self.address_fits(address, &addresses[0], mode);
        }
        addresses.iter().map(|address| address.value.url.clone()).collect()
    }

    fn address_fits(
        &mut self,
        at: &At<RedisAddress>,
        first: &At<RedisAddress>,
        mode: Option<&RedisMode>,
    ) {
        let many = matches!(mode, Some(RedisMode::Cluster | RedisMode::Sentinel { .. }));
        if many && at.value.socket {
            let fault = Fault::new("sentinels and nodes of a cluster are reached by host and port");
            self.problem(&at.place, fault.note("as in `rediss://redis.example.com:6379`"));
        } else if at.value.encrypted != first.value.encrypted {
            let line = self.report.line(&first.place);
            let fault = Fault::new(format!(
                "this address and the one in line {line} are not both encrypted"
            ));
            self.problem(&at.place, fault.help("write `rediss://` at every one, or at none"));
        }
        if matches!(mode, Some(RedisMode::Cluster)) && at.value.database > 0 {
            let fault = Fault::new("a cluster has one database, and its number is 0");
            self.problem(&at.place, fault.help("leave the number out"));
        }
    }

    /// The password, if there is to be one.
    #[expect(clippy::option_option, reason = "nothing is said, or what is said cannot be read")]
    fn password(&mut self, field: &Field<SecretSource>) -> Option<Option<Secret<String>>> {
        match field.given() {
            Some(at) => self.secret(at).map(Some),
            None => field.is_absent().then_some(None),
        }
    }

    #[expect(clippy::option_option, reason = "nothing is said, or what is said cannot be read")]
    fn redis_ca(&mut self, keys: &RedisKeys) -> Option<Option<Vec<u8>>> {
        let Some(at) = keys.ca.given() else { return keys.ca.is_absent().then_some(None) };
        let addresses = keys.url.value().map_or(&[][..], |url| &url.0);
        if addresses.iter().any(|address| !address.value.encrypted) {
            let fault = Fault::new("`ca` is for an address that is encrypted");
            self.problem(&at.key, fault.help("leave it out, or write `url: rediss://…`"));
        }
        self.chain(at)?;
        self.pem_file(at).map(Some)
    }

    fn redis_prefix(&mut self, field: &Field<Text>) -> String {
        let Some(at) = field.given() else { return PREFIX.to_owned() };
        let text = &at.value.0;
        // Braces would say which node of a cluster keeps a key.
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
        if text.len() > 64 || !text.bytes().all(plain) {
            let fault = Fault::new(format!("`{text}` is not a prefix for keys"));
            self.problem(
                &at.place,
                fault.note(
                    "it is made of letters, digits, `-`, `_`, `.` and `:`, at most 64 of them",
                ),
            );
        }
        text.clone()
    }

    fn warn_of_listeners(&mut self, place: &Place) {
        self.report.warn(
            place,
            "this Redis is spoken to unencrypted: its records are sealed, but who is on the way can watch and end sessions; `rediss://` is encrypted",
        );
    }
}

fn by_address(address: &RedisAddress) -> RedisSettings {
    RedisSettings {
        urls: vec![address.url.clone()],
        mode: RedisMode::Single,
        username: None,
        password: None,
        ca: None,
        prefix: PREFIX.to_owned(),
        timeout: TIMEOUT,
    }
}
