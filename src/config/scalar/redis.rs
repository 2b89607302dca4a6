//! Where a Redis listens. Credentials have keys of their own: an address is written into logs.

use std::path::Path;

use super::super::report::Fault;
use super::{RedisAddress, Scalar};
use crate::origin::Origin;
use crate::target::parse_host;

const EXAMPLES: &str =
    "as in `rediss://redis.example.com:6379/0`, `redis://127.0.0.1` or `unix:///run/redis.sock`";

// === impl RedisAddress ===

impl Scalar for RedisAddress {
    const WHAT: &'static str = "the address of a Redis such as `rediss://redis.example.com`";

    fn parse(text: &str) -> Result<Self, Fault> {
        if let Some(rest) = text.strip_prefix("unix:") {
            return socket(rest);
        }
        if let Some((credentials, _)) = text.rsplit_once('@') {
            return Err(no_place_for(credentials));
        }
        if text.contains(['?', '#']) {
            return Err(Fault::new("this address has more than a host and a database")
                .note("what else there is to say has keys of its own, beside `url`"));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            let meant = format!("redis://{text}");
            let good = Self::parse(&meant).is_ok();
            return Err(bad().suggest(good.then_some(meant.as_str())));
        };
        let encrypted = match scheme {
            "redis" => false,
            "rediss" => true,
            "valkey" => return Err(bad().suggest(Some(&format!("redis://{rest}")))),
            "valkeys" => return Err(bad().suggest(Some(&format!("rediss://{rest}")))),
            _ => return Err(bad()),
        };
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = parse_host(authority.as_bytes()).map_err(|_| bad())?;
        let database = number(database)?;
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        Ok(Self {
            url: format!("{scheme}://{host}{port}/{database}"),
            encrypted,
            local: Origin::new(encrypted, &host, None).is_loopback(),
            socket: false,
            database,
        })
    }

    fn hides(text: &str) -> bool {
        let (_, rest) = text.split_once("://").unwrap_or(("", ""));
        let authority = rest.split('/').next().unwrap_or(rest);
        let port = authority.rsplit([':', ']']).next().unwrap_or("");
        let odd = authority.contains(':') && !port.bytes().all(|b| b.is_ascii_digit());
        text.contains(['@', '?']) || odd
    }
}

impl RedisAddress {
    /// Whether somebody on the way can read along.
    pub(in crate::config) fn is_overheard(&self) -> bool {
        !(self.encrypted || self.local)
    }
}

/// `unix:///run/redis.sock`, `unix:///run/redis.sock?db=1`.
fn socket(rest: &str) -> Result<RedisAddress, Fault> {
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (path, query) = rest.split_once('?').unwrap_or((rest, "db=0"));
    if !Path::new(path).is_absolute() {
        return Err(
            Fault::new("a Unix socket has an absolute path").note("as in `unix:///run/redis.sock`")
        );
    }
    let Some(database) = query.strip_prefix("db=") else {
        return Err(Fault::new("a socket takes the number of a database and nothing else")
            .note("as in `unix:///run/redis.sock?db=1`")
            .note("`username` and `password` are keys of their own, beside `url`"));
    };
    let database = number(database)?;
    let url = format!("unix://{path}?db={database}");
    Ok(RedisAddress { url, encrypted: false, local: true, socket: true, database })
}

/// The number of a database; nothing is the first.
fn number(text: &str) -> Result<u32, Fault> {
    if text.is_empty() {
        return Ok(0);
    }
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or_else(|| {
        Fault::new("what follows the host is the number of a database")
            .note("as in `rediss://redis.example.com/0`")
    })
}

/// Without a word of the text: a password may stand where the port belongs.
fn bad() -> Fault {
    Fault::new("this is not the address of a Redis").note(EXAMPLES)
}

/// What was written before the `@` is not shown.
fn no_place_for(credentials: &str) -> Fault {
    let name = credentials.rsplit('/').next().unwrap_or(credentials);
    let what = if name.contains(':') { "a password" } else { "a user name" };
    Fault::new(format!("{what} does not belong in an address"))
        .note("it has a key of its own: `redis: { url: …, username: gatekeep, password: { env: GATEKEEP_REDIS_PASSWORD } }`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_database() {
        for (text, url, local) in [
            ("redis://localhost", "redis://localhost/0", true),
            ("redis://127.0.0.1:6380/", "redis://127.0.0.1:6380/0", true),
            ("redis://[::1]:6379/2", "redis://[::1]:6379/2", true),
            ("rediss://Redis.example.com/15", "rediss://redis.example.com/15", false),
            ("unix:///run/redis.sock", "unix:///run/redis.sock?db=0", true),
            ("unix:/run/redis.sock?db=3", "unix:///run/redis.sock?db=3", true),
        ] {
            let address = RedisAddress::parse(text).unwrap();
            assert_eq!((address.url.as_str(), address.local), (url, local), "{text}");
            assert_eq!(address.encrypted, text.starts_with("rediss"), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_a_word_of_its_credentials() {
        for text in [
            "",
            "redis",
            "redis://",
            "http://localhost",
            "redis://localhost/x",
            "redis://localhost/-1",
            "redis://localhost/0/1",
            "redis://:hunter2@localhost",
            "redis://me:hunter2@localhost",
            "redis://hunter2@localhost",
            "me:hunter2@localhost:6379",
            "redis://me:hunter2/@x@localhost",
            "redis://me:hunter2",
            "redis://:hunter2",
            "redis://localhost?password=hunter2",
            "unix:redis.sock",
            "unix:///run/redis.sock?pass=hunter2",
        ] {
            let Err(fault) = RedisAddress::parse(text) else { panic!("{text}") };
            assert!(!format!("{fault:?}").contains("hunter2"), "{text}: {fault:?}");
            assert!(!text.contains("hunter2") || RedisAddress::hides(text), "{text}");
        }
    }
}
