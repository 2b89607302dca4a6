//! The store in Redis, Valkey or Dragonfly: for several gateways that share their sessions.
//!
//! Every row is one key with a time to live, and every operation is about one key, so that a
//! cluster needs no more than a single server does. It takes version 6.2 (GETDEL, RESP3), and a
//! user who may GET, SET, GETDEL, MGET, SCAN, DEL, PEXPIRE, EVAL, XADD, XREAD and XREVRANGE.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use redis::{Value, cmd};

use self::link::{Link, Nature};
use self::pool::Node;
pub use self::settings::{ConnectError, RedisMode, RedisSettings};
use self::trouble::Trouble;
use super::{Heard, Page, Store, Table, Unavailable};
use crate::clock::{Clock, Time};

mod link;
mod news;
mod pool;
mod settings;
mod trouble;

/// Rows in Redis.
pub struct Redis {
    link: Link,
    prefix: String,
    clock: Arc<dyn Clock>,
}

/// Where a scan is: a master's cursor, and the master after that.
struct Place {
    node: Node,
    cursor: u64,
    after: Option<Node>,
}

/// How long a listener waits at most.
const LISTENED: Duration = Duration::from_secs(1);

/// Keys that a scan looks at, at a time.
const SCANNED: u32 = 200;

/// The longest life of a row, in seconds: a century.
const LONGEST: u64 = 100 * 365 * 86_400;

/// Writes a row if the present one is known. An empty life (`0`) removes it.
const REPLACE: &str = "\
    if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
    if ARGV[3] == '0' then redis.call('DEL', KEYS[1]) \
    else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end \
    return 1";

// === impl Redis ===

impl Redis {
    /// A store at these settings. They are checked here; the first operation connects, because that
    /// takes a runtime, and Redis may come up later than the gateway.
    pub fn connect(settings: RedisSettings, clock: Arc<dyn Clock>) -> Result<Self, ConnectError> {
        // TLS takes its cryptography from there, too.
        crate::keys::install_jwt_provider();
        let target = settings.target()?;
        let link = Link::new(target, settings.timeout, epoch_key(&settings.prefix));
        Ok(Self { link, prefix: settings.prefix, clock })
    }

    /// Base64, not the raw bytes: a key that is read in a terminal is one word, and no byte of it
    /// means anything to a pattern, an access list or a cluster's hash tags.
    fn key(&self, table: Table, key: &[u8]) -> String {
        format!("{}:{}:{}", self.prefix, table.name(), URL_SAFE_NO_PAD.encode(key))
    }

    fn news_key(&self) -> String {
        format!("{}:news", self.prefix)
    }

    /// What is left of a row's life in milliseconds; `None` if its end has come. The clock counts
    /// whole seconds, so a row may be seen for a part of one after its end.
    fn left(&self, end: Time) -> Option<u64> {
        let left = end.since(self.clock.now()).as_secs();
        // Redis takes no more than 2^63 ms since 1970.
        (left > 0).then_some(left.min(LONGEST).saturating_mul(1000))
    }

    /// Where a scan goes on, and on which of the masters.
    async fn place(&self, from: Option<&[u8]>) -> Result<Place, Trouble> {
        let masters = self.link.masters().await?;
        let wanted = from.map(Place::parse).transpose()?;
        let number = match &wanted {
            None => Some(0),
            Some((node, _)) => masters.iter().position(|master| master == node),
        };
        let node = number.and_then(|number| masters.get(number).cloned());
        let node = node.ok_or_else(|| {
            Trouble::down("the Redis cluster has changed, so the scan must begin anew".into())
        })?;
        let after = number.and_then(|number| masters.get(number + 1).cloned());
        Ok(Place { node, cursor: wanted.map_or(0, |(_, cursor)| cursor), after })
    }

    /// The values of keys; a key that ended meanwhile has none.
    async fn values(&self, keys: &[Vec<u8>]) -> Result<Vec<Value>, Trouble> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        // A cluster's client asks each node for its own.
        match self.link.ask(Nature::Reads, cmd("MGET").arg(keys)).await? {
            Value::Array(values) if values.len() == keys.len() => Ok(values),
            _ => Err(Trouble::nonsense()),
        }
    }
}

#[async_trait]
impl Store for Redis {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        let command = cmd("GET").arg(self.key(table, key)).take();
        Ok(bytes(self.link.ask(Nature::Reads, &command).await?)?)
    }

    async fn insert(
        &self,
        table: Table,
        key: &[u8],
        value: Vec<u8>,
        end: Time,
    ) -> Result<bool, Unavailable> {
        let Some(left) = self.left(end) else {
            // It would not be there when this returns.
            return Ok(self.get(table, key).await?.is_none());
        };
        let command =
            cmd("SET").arg(self.key(table, key)).arg(value).arg("NX").arg("PX").arg(left).take();
        match self.link.ask(Nature::Writes, &command).await? {
            Value::Okay => Ok(true),
            Value::Nil => Ok(false),
            _ => Err(Trouble::nonsense().into()),
        }
    }

    async fn replace(
        &self,
        table: Table,
        key: &[u8],
        old: &[u8],
        new: Vec<u8>,
        end: Time,
    ) -> Result<bool, Unavailable> {
        let (key, left) = (self.key(table, key), self.left(end).unwrap_or(0));
        let command = cmd("EVAL").arg(REPLACE).arg(1).arg(key).arg(old).arg(new).arg(left).take();
        match self.link.ask(Nature::Writes, &command).await? {
            Value::Int(replaced) => Ok(replaced == 1),
            _ => Err(Trouble::nonsense().into()),
        }
    }

    async fn put(
        &self,
        table: Table,
        key: &[u8],
        value: Vec<u8>,
        end: Time,
    ) -> Result<(), Unavailable> {
        let Some(left) = self.left(end) else { return self.take(table, key).await.map(drop) };
        let command = cmd("SET").arg(self.key(table, key)).arg(value).arg("PX").arg(left).take();
        match self.link.ask(Nature::Writes, &command).await? {
            Value::Okay => Ok(()),
            _ => Err(Trouble::nonsense().into()),
        }
    }

    async fn take(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        let command = cmd("GETDEL").arg(self.key(table, key)).take();
        Ok(bytes(self.link.ask(Nature::Writes, &command).await?)?)
    }

    /// On a cluster, master by master. A page may be empty and still have a next one.
    async fn scan(&self, table: Table, from: Option<&[u8]>) -> Result<Page, Unavailable> {
        let place = self.place(from).await?;
        let start = format!("{}:{}:", self.prefix, table.name());
        let command = cmd("SCAN")
            .arg(place.cursor)
            .arg("MATCH")
            .arg(format!("{start}*"))
            .arg("COUNT")
            .arg(SCANNED)
            .take();
        let (cursor, found) = scanned(self.link.ask_node(&place.node, &command).await?)?;
        // Two tables never share a name's beginning, but two prefixes may.
        let decoded = |key: Vec<u8>| {
            let name = URL_SAFE_NO_PAD.decode(key.strip_prefix(start.as_bytes())?).ok()?;
            Some((name, key))
        };
        let (names, keys): (Vec<_>, Vec<_>) = found.into_iter().filter_map(decoded).unzip();
        let values = self.values(&keys).await?;
        let row = |(name, value)| match value {
            Value::BulkString(value) => Some((name, value)),
            _ => None,
        };
        let rows = names.into_iter().zip(values).filter_map(row).collect();
        Ok(Page { rows, next: place.next(cursor) })
    }

    /// Redis removes what has ended by itself.
    async fn sweep(&self) -> Result<(), Unavailable> {
        Ok(())
    }

    async fn announce(&self, news: &[u8]) -> Result<(), Unavailable> {
        self.announce_news(news).await
    }

    /// It fails at once while Redis is down: whoever listens on and on pauses then.
    async fn listen(&self, since: Option<&[u8]>) -> Result<Heard, Unavailable> {
        match since {
            None => self.begin_to_listen().await,
            Some(mark) => self.hear_since(mark).await,
        }
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

// === impl Place ===

impl Place {
    fn parse(from: &[u8]) -> Result<(Node, u64), Trouble> {
        let place = from
            .split_first_chunk()
            .and_then(|(cursor, node)| Some((Node::parse(node)?, u64::from_be_bytes(*cursor))));
        place.ok_or_else(|| Trouble::down("the scan does not go on from there".into()))
    }

    /// A cursor of zero is the end of a master.
    fn next(self, cursor: u64) -> Option<Vec<u8>> {
        let node = if cursor == 0 { self.after? } else { self.node };
        Some([&cursor.to_be_bytes()[..], node.to_string().as_bytes()].concat())
    }
}

fn epoch_key(prefix: &str) -> Vec<u8> {
    format!("{prefix}:epoch").into_bytes()
}

fn bytes(value: Value) -> Result<Option<Vec<u8>>, Trouble> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes)),
        _ => Err(Trouble::nonsense()),
    }
}

/// The next cursor and the keys of a step of a scan.
fn scanned(answer: Value) -> Result<(u64, Vec<Vec<u8>>), Trouble> {
    let nonsense = |_| Trouble::nonsense();
    redis::from_redis_value(answer).map_err(nonsense)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Manual;

    fn redis(now: i64) -> Redis {
        let settings =
            RedisSettings { urls: vec!["redis://localhost".into()], ..RedisSettings::default() };
        Redis::connect(settings, Arc::new(Manual::at(Time::from_unix(now)))).unwrap()
    }

    #[test]
    fn a_key_is_one_word() {
        assert_eq!(redis(0).key(Table::SpentAttempt, b"\xff*{\n"), "gatekeep:spent-attempt:_yp7Cg");
    }

    #[test]
    fn a_row_has_a_time_to_live_or_none_at_all() {
        let left = |end| redis(100).left(Time::from_unix(end));
        assert_eq!(left(99), None);
        assert_eq!(left(100), None);
        assert_eq!(left(101), Some(1_000));
        assert_eq!(left(i64::MAX), Some(LONGEST * 1_000));
    }

    #[test]
    fn a_scan_goes_on_where_it_was() {
        let node = Node::parse(b"redis-1:7000").unwrap();
        let place = |after| Place { node: node.clone(), cursor: 5, after };
        let next = place(None).next(9).unwrap();
        assert_eq!(Place::parse(&next), Ok((node.clone(), 9)));
        assert_eq!(place(None).next(0), None);
        let after = Node::parse(b"::1:7001").unwrap();
        assert_eq!(Place::parse(&place(Some(after.clone())).next(0).unwrap()), Ok((after, 0)));
        Place::parse(b"rubbish").unwrap_err();
    }
}
