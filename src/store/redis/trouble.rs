//! What can go wrong with Redis: a sentence for the log, and what may be done about it.

use std::fmt;

use redis::{ErrorKind, RedisError};

use crate::store::Unavailable;

/// Why there is no answer. No key, value or credential is in the sentence: of what Redis says, its
/// error's first word alone is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    sentence: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The connection has broken: what was asked may have been done.
    Broken,
    /// No answer in time: what was asked may have been done, or may yet be.
    Late,
    /// It was not done, and another connection may lead to a server that does it.
    Elsewhere,
    /// It was not done, but may be in a moment, on this connection.
    Moving,
    /// It was not done, and the connection is as good as any.
    Refused,
    /// Nothing was asked.
    Down,
}

// === impl Trouble ===

impl Trouble {
    /// What stands against using Redis at all.
    pub(super) fn down(sentence: String) -> Self {
        Self { sentence, kind: Kind::Down }
    }

    /// Time is up.
    pub(super) fn late() -> Self {
        Self { sentence: "Redis did not answer in time".into(), kind: Kind::Late }
    }

    /// An answer that no Redis gives.
    pub(super) fn nonsense() -> Self {
        Self { sentence: "Redis answered something unexpected".into(), kind: Kind::Refused }
    }

    /// Whether the connections should be made anew.
    pub(super) fn breaks_the_link(&self) -> bool {
        matches!(self.kind, Kind::Broken | Kind::Late | Kind::Elsewhere)
    }

    /// Whether what was asked can be asked again. What only reads can be asked twice; what writes
    /// only if it is certain that nothing was written: a `take` that was done twice would say "not
    /// there" of what it took the first time.
    pub(super) fn may_be_repeated(&self, only_reads: bool) -> bool {
        match self.kind {
            Kind::Broken => only_reads,
            Kind::Elsewhere | Kind::Moving => true,
            Kind::Late | Kind::Refused | Kind::Down => false,
        }
    }

    /// Whether a server that says so when a write is tried can still be read.
    pub(super) fn only_forbids_writing(error: &RedisError) -> bool {
        matches!(code(error).as_deref(), Some("OOM" | "MISCONF" | "NOREPLICAS"))
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl From<Trouble> for Unavailable {
    fn from(trouble: Trouble) -> Self {
        Self(trouble.sentence)
    }
}

impl From<&RedisError> for Trouble {
    fn from(error: &RedisError) -> Self {
        if let Some(code) = code(error) {
            let (kind, what) = said(&code);
            let sentence = match what {
                Some(what) => format!("{what} ({code})"),
                None => format!("Redis refused with the error {code}"),
            };
            return Self { sentence, kind };
        }
        let (kind, sentence) = match error.kind() {
            ErrorKind::AuthenticationFailed => {
                (Kind::Elsewhere, "Redis refuses the user name or the password".into())
            }
            ErrorKind::RESP3NotSupported => {
                (Kind::Elsewhere, "Redis is too old: version 6.2 or later is needed".into())
            }
            ErrorKind::MasterNameNotFoundBySentinel => {
                (Kind::Elsewhere, "the sentinels know no master of this name that is well".into())
            }
            ErrorKind::ClusterConnectionNotFound => {
                (Kind::Broken, "no node of the Redis cluster can be reached".into())
            }
            // These come from the system or from TLS: they have seen no key, value or password.
            ErrorKind::Io => (Kind::Broken, format!("the connection to Redis failed: {error}")),
            ErrorKind::Client => (Kind::Broken, format!("Redis cannot be reached: {error}")),
            ErrorKind::Parse => (
                Kind::Broken,
                "the connection broke within an answer, or what answers is no Redis".into(),
            ),
            _ => (Kind::Broken, "Redis answered something unexpected".into()),
        };
        Self { sentence, kind }
    }
}

/// The first word of an error, as the server said it. A script's error may hold the real one.
fn code(error: &RedisError) -> Option<String> {
    let code = error.code()?;
    let detail = error.detail().unwrap_or_default();
    let inner =
        |known: &&&str| detail.split(|c: char| !c.is_ascii_alphabetic()).any(|w| w == **known);
    if code == "ERR" && detail.contains("unknown command") {
        return Some("unknown command".into());
    }
    let hidden = (code == "ERR").then(|| KNOWN.iter().find(inner)).flatten();
    let code = hidden.copied().unwrap_or(code);
    // Whatever calls itself an error's code is shown only if it looks like one.
    let is_word = code.len() <= 20 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    Some(if is_word { code.to_owned() } else { "ERR".into() })
}

/// Errors that a script reports within an `ERR`.
const KNOWN: &[&str] = &["OOM", "READONLY", "MISCONF", "MASTERDOWN", "NOREPLICAS"];

fn said(code: &str) -> (Kind, Option<&'static str>) {
    let (kind, what) = match code {
        "LOADING" => (Kind::Elsewhere, "Redis is still loading its data"),
        "READONLY" => (Kind::Elsewhere, "this Redis is a replica and takes no writes"),
        "MASTERDOWN" => (Kind::Elsewhere, "this Redis is a replica that lost its master"),
        "UNBLOCKED" => (Kind::Elsewhere, "this Redis has just become a replica"),
        "NOAUTH" => (Kind::Elsewhere, "Redis wants a password and none is set"),
        "WRONGPASS" => (Kind::Elsewhere, "Redis refuses the user name or the password"),
        "NOPROTO" => (Kind::Elsewhere, "Redis is too old: version 6.2 or later is needed"),
        "CLUSTERDOWN" => (Kind::Elsewhere, "the Redis cluster does not serve all of its slots"),
        "TRYAGAIN" => (Kind::Moving, "the Redis cluster is moving this slot"),
        "MOVED" | "ASK" => (
            Kind::Moving,
            "another node of a Redis cluster has this slot; is the mode set to cluster?",
        ),
        "OOM" => (Kind::Refused, "Redis is out of memory and takes no writes"),
        "MISCONF" => (Kind::Refused, "Redis cannot save its data and takes no writes"),
        "NOREPLICAS" => (Kind::Refused, "Redis has too few replicas and takes no writes"),
        "NOPERM" => (Kind::Refused, "Redis does not permit this user what the gateway needs"),
        "BUSY" => (Kind::Refused, "Redis is busy with a script"),
        "WRONGTYPE" => (Kind::Refused, "a key of the gateway holds something else in Redis"),
        "unknown command" => (
            Kind::Refused,
            "Redis does not know a command: version 6.2 or later is needed, with GETDEL",
        ),
        _ => return (Kind::Refused, None),
    };
    (kind, Some(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(line: &str) -> Trouble {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        Trouble::from(&value.extract_error().unwrap_err())
    }

    #[test]
    fn what_redis_says_is_a_sentence_without_its_details() {
        for (line, sentence) in [
            ("LOADING Redis is loading", "Redis is still loading its data (LOADING)"),
            ("READONLY You can't", "this Redis is a replica and takes no writes (READONLY)"),
            ("NOAUTH Authentication required.", "Redis wants a password and none is set (NOAUTH)"),
            ("OOM command not allowed", "Redis is out of memory and takes no writes (OOM)"),
            (
                "ERR Error running script: @user_script:1: -OOM command not allowed",
                "Redis is out of memory and takes no writes (OOM)",
            ),
            ("ERR value s3cret is bad", "Redis refused with the error ERR"),
            ("s3cret is no code", "Redis refused with the error ERR"),
        ] {
            assert_eq!(trouble(line).to_string(), sentence);
        }
    }

    #[test]
    fn a_write_is_repeated_only_if_it_was_certainly_not_done() {
        for line in ["READONLY x", "LOADING x", "MOVED 1 127.0.0.1:1", "TRYAGAIN x"] {
            assert!(trouble(line).may_be_repeated(false), "{line}");
        }
        for line in ["OOM x", "NOPERM x", "ERR x"] {
            assert!(!trouble(line).may_be_repeated(true), "{line}");
            assert!(!trouble(line).breaks_the_link(), "{line}");
        }
        let reset = RedisError::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        assert!(!Trouble::from(&reset).may_be_repeated(false));
        assert!(Trouble::from(&reset).may_be_repeated(true));
        assert!(Trouble::from(&reset).breaks_the_link());
    }
}
