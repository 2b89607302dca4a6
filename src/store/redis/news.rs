//! Announcements: a stream in Redis, and the life of the data it belongs to.

use redis::{Cmd, Value, cmd};

use super::Redis;
use super::link::Nature;
use super::trouble::Trouble;
use crate::keys::random;
use crate::store::{Heard, Unavailable};

/// How far one has heard, and in which life: a stream that was lost begins again.
struct Mark {
    epoch: u64,
    id: Vec<u8>,
}

/// An announcement after its id.
type Entry = (Vec<u8>, Vec<u8>);

/// Appends an announcement. The stream ends a day after its last one: nobody who was away longer
/// holds anything that it could end.
const ANNOUNCE: &str = "\
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', '10000', '*', 'n', ARGV[1]) \
    redis.call('PEXPIRE', KEYS[1], '86400000') \
    return 1";

/// Announcements that are heard at once.
const AT_ONCE: u32 = 1_000;

/// Before everything.
const BEGINNING: &[u8] = b"0-0";

/// The command that begins the life of the data, unless it has begun. Its key never ends: it must
/// outlive every row, and is one.
pub(super) fn begin_life(epoch: &[u8]) -> Cmd {
    let number = u64::from_ne_bytes(random()).to_string();
    cmd("SET").arg(epoch).arg(number).arg("NX").take()
}

// === impl Redis ===

impl Redis {
    pub(super) async fn announce_news(&self, news: &[u8]) -> Result<(), Unavailable> {
        let command = cmd("EVAL").arg(ANNOUNCE).arg(1).arg(self.news_key()).arg(news).take();
        self.link.ask(Nature::Writes, &command).await?;
        Ok(())
    }

    /// Where the stream ends now. The life is read first: if it ends between the two, the next
    /// `listen` sees that.
    pub(super) async fn begin_to_listen(&self) -> Result<Heard, Unavailable> {
        let epoch = self.epoch().await?;
        let command =
            cmd("XREVRANGE").arg(self.news_key()).arg("+").arg("-").arg("COUNT").arg(1).take();
        let last = entries(self.link.ask(Nature::Reads, &command).await?)?;
        let id = last.into_iter().next().map_or_else(|| BEGINNING.to_vec(), |(id, _)| id);
        Ok(Heard { news: Vec::new(), mark: Mark { epoch, id }.bytes(), epoch })
    }

    /// Waits for news. The life is read last: whatever was lost while waiting shows.
    pub(super) async fn hear_since(&self, mark: &[u8]) -> Result<Heard, Unavailable> {
        let mark = Mark::parse(mark).ok_or_else(|| Unavailable("a foreign mark".into()))?;
        let command = cmd("XREAD")
            .arg("COUNT")
            .arg(AT_ONCE)
            .arg("BLOCK")
            .arg(super::LISTENED.as_millis().to_string())
            .arg("STREAMS")
            .arg(self.news_key())
            .arg(&mark.id)
            .take();
        let mut heard = entries(newest(self.link.wait(&command).await?)?)?;
        let epoch = self.epoch().await?;
        let mut id = heard.last().map_or(mark.id, |(id, _)| id.clone());
        if epoch != mark.epoch {
            // Of two lives, the new one is heard from its beginning, next time.
            heard.clear();
            id = BEGINNING.to_vec();
        }
        let news = heard.into_iter().map(|(_, news)| news).collect();
        Ok(Heard { news, mark: Mark { epoch, id }.bytes(), epoch })
    }

    /// The number of this life of the data; a new one if there is none.
    async fn epoch(&self) -> Result<u64, Trouble> {
        let key = super::epoch_key(&self.prefix);
        let read = cmd("GET").arg(&key).take();
        if let Value::BulkString(number) = self.link.ask(Nature::Reads, &read).await? {
            return parse_number(&number);
        }
        // Whoever is first decides; asking twice for it does no harm.
        self.link.ask(Nature::Reads, &begin_life(&key)).await?;
        match self.link.ask(Nature::Reads, &read).await? {
            Value::BulkString(number) => parse_number(&number),
            _ => Err(Trouble::nonsense()),
        }
    }
}

// === impl Mark ===

impl Mark {
    fn bytes(&self) -> Vec<u8> {
        [&self.epoch.to_be_bytes()[..], &self.id].concat()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (epoch, id) = bytes.split_first_chunk()?;
        let is_id = id.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-');
        (is_id && !id.is_empty()).then(|| Self { epoch: u64::from_be_bytes(*epoch), id: id.into() })
    }
}

fn parse_number(text: &[u8]) -> Result<u64, Trouble> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(Trouble::nonsense)
}

/// The entries of the one stream that was read.
fn newest(answer: Value) -> Result<Value, Trouble> {
    let stream = match answer {
        Value::Nil => return Ok(Value::Array(Vec::new())),
        Value::Map(streams) => streams.into_iter().next().map(|(_, entries)| entries),
        Value::Array(streams) => streams.into_iter().next().and_then(|stream| match stream {
            Value::Array(named) => named.into_iter().nth(1),
            _ => None,
        }),
        _ => None,
    };
    stream.ok_or_else(Trouble::nonsense)
}

/// Entries of a stream.
fn entries(answer: Value) -> Result<Vec<Entry>, Trouble> {
    let Value::Array(entries) = answer else { return Err(Trouble::nonsense()) };
    entries.into_iter().map(|value| entry(value).ok_or_else(Trouble::nonsense)).collect()
}

fn entry(value: Value) -> Option<Entry> {
    let Value::Array(parts) = value else { return None };
    let [Value::BulkString(id), Value::Array(fields)] = <[Value; 2]>::try_from(parts).ok()? else {
        return None;
    };
    let Value::BulkString(news) = fields.into_iter().nth(1)? else { return None };
    Some((id, news))
}
