//! The kinds of words in a configuration: durations, sizes, addresses, paths, and how each is read.

use std::time::Duration;

use ipnet::IpNet;

use super::report::Fault;
use super::suggest::{list, nearest};
use crate::github::WebhookMode;
use crate::origin::Origin;
use crate::route::LimitStatus;

mod address;
mod amount;
mod name;
mod path;
mod redis;

pub(super) use address::with_a_host;

/// A value that is written as one word.
pub(super) trait Scalar: Sized {
    /// What is expected, to follow "here belongs".
    const WHAT: &'static str;

    /// Reads the word.
    fn parse(text: &str) -> Result<Self, Fault>;

    /// Whether a word holds what no snippet may show.
    fn hides(_text: &str) -> bool {
        false
    }
}

/// Any text that is not empty.
pub(super) struct Text(pub(super) String);

/// `30s`, `5m`, `24h`, `7d`.
#[derive(Clone, Copy)]
pub(super) struct Span(pub(super) Duration);

/// `512`, `32KiB`, `100MiB`; also `none` where that is allowed.
#[derive(Clone, Copy)]
pub(super) struct Size(pub(super) u64);

/// The largest body: a size, or `none`.
#[derive(Clone, Copy)]
pub(super) struct BodyLimit(pub(super) u64);

/// A path in canonical form.
pub(super) struct PlainPath(pub(super) String);

/// An address, or a network of them.
pub(super) struct Network(pub(super) IpNet);

/// Whose word counts for whom it brings.
pub(super) enum TrustedProxy {
    /// An address or a network.
    Network(IpNet),
    /// Whoever comes by a Unix socket.
    Sockets,
}

/// The mode of a file, `0660`: who may do what with it.
pub(super) struct FileMode(pub(super) u32);

/// A route's name.
pub(super) struct RouteName(pub(super) String);

/// The name of an instance of the broker's.
pub(super) struct InstanceName(pub(super) String);

/// `https`, where a listener may redirect to.
pub(super) struct Https;

/// Where an app listens, as written.
pub(super) struct Address(pub(super) String);

/// Of which pages: those of an origin, or of every origin.
pub(super) struct PagesOf(pub(super) Option<Origin>);

/// Where a Redis listens.
pub(super) struct RedisAddress {
    /// Without credentials.
    pub(super) url: String,
    /// Whether TLS is spoken there.
    pub(super) encrypted: bool,
    /// Whether it is on this very machine.
    pub(super) local: bool,
    /// A socket of this machine.
    pub(super) socket: bool,
    /// The number of the database.
    pub(super) database: u32,
}

/// The longest time that makes sense anywhere: browsers keep no cookie longer (RFC 6265bis §5.5).
pub(super) const LONGEST: Duration = Duration::from_secs(400 * 86_400);

// === impl Scalar for plain words ===

impl Scalar for Text {
    const WHAT: &'static str = "a text";

    fn parse(text: &str) -> Result<Self, Fault> {
        if text.trim().is_empty() {
            return Err(Fault::new("this is empty").help("write a value, or leave the key out"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Scalar for bool {
    const WHAT: &'static str = "`true` or `false`";

    fn parse(text: &str) -> Result<Self, Fault> {
        match text.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            "yes" | "on" => Err(not(text, "a boolean").suggest(Some("true"))),
            "no" | "off" => Err(not(text, "a boolean").suggest(Some("false"))),
            _ => Err(not(text, "a boolean").help("write `true` or `false`")),
        }
    }
}

impl Scalar for usize {
    const WHAT: &'static str = "a number";

    fn parse(text: &str) -> Result<Self, Fault> {
        match text.parse() {
            Ok(0) => Err(Fault::new("0 would let nothing through").help("write 1 or more")),
            Ok(number) => Ok(number),
            Err(_) => Err(not(text, "a whole number").help("write digits alone, as in `1000`")),
        }
    }
}

impl Scalar for RouteName {
    const WHAT: &'static str = "a name";

    fn parse(text: &str) -> Result<Self, Fault> {
        label(text, "a name for a route").map(Self)
    }
}

impl Scalar for InstanceName {
    const WHAT: &'static str = "a name";

    fn parse(text: &str) -> Result<Self, Fault> {
        label(text, "a name for an instance").map(Self)
    }
}

/// A name that is a label, too.
fn label(text: &str, what: &str) -> Result<String, Fault> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !text.is_empty() && text.len() <= 64 && text.bytes().all(fits) {
        return Ok(text.to_owned());
    }
    let better: String = text
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let suggestion = Some(better.trim_matches('-')).filter(|s| (1..=64).contains(&s.len()));
    Err(not(text, what)
        .suggest(suggestion)
        .note("names are labels in logs and metrics: `a-z`, `0-9` and `-`, at most 64 of them"))
}

impl Scalar for FileMode {
    const WHAT: &'static str = "a mode such as `\"0660\"`";

    fn parse(text: &str) -> Result<Self, Fault> {
        let is_octal =
            matches!(text.len(), 3 | 4) && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
        let mode = u32::from_str_radix(text, 8).ok().filter(|mode| is_octal && *mode <= 0o777);
        let mode = mode.ok_or_else(|| {
            not(text, "a mode of a file").note("as `chmod` takes it: `\"0600\"` or `\"0660\"`")
        })?;
        if mode & 0o222 == 0 {
            let fault = Fault::new(format!("with `{text}` nobody could connect"));
            return Err(fault.note("whoever connects to a socket needs leave to write to it"));
        }
        Ok(Self(mode))
    }
}

impl Scalar for Https {
    const WHAT: &'static str = "`https`";

    fn parse(text: &str) -> Result<Self, Fault> {
        word(text, "something to redirect to", &[("https", ())]).map(|()| Self)
    }
}

impl Scalar for LimitStatus {
    const WHAT: &'static str = "`403`, `429` or `github`";

    fn parse(text: &str) -> Result<Self, Fault> {
        let known = [Self::Forbidden, Self::TooManyRequests, Self::AsGitHub];
        let known = known.map(|status| (status.to_string(), status));
        word(
            text,
            "a status of a refusal",
            &known.each_ref().map(|(name, of)| (name.as_str(), *of)),
        )
    }
}

impl Scalar for WebhookMode {
    const WHAT: &'static str = "`invalidate`, `refresh` or `store`";

    fn parse(text: &str) -> Result<Self, Fault> {
        let known = [Self::Invalidate, Self::Refresh, Self::Store];
        let known = known.map(|mode| (mode.to_string(), mode));
        let known = known.each_ref().map(|(name, of)| (name.as_str(), *of));
        word(text, "a mode of webhooks", &known)
    }
}

impl Scalar for Address {
    const WHAT: &'static str = "one address such as `http://127.0.0.1:8080`";

    fn parse(text: &str) -> Result<Self, Fault> {
        Text::parse(text).map(|text| Self(text.0))
    }
}

// === Words of a list ===

/// Finds a word in a list of the few that there are.
pub(super) fn word<T: Clone>(text: &str, what: &str, known: &[(&str, T)]) -> Result<T, Fault> {
    if let Some((_, value)) = known.iter().find(|(name, _)| *name == text) {
        return Ok(value.clone());
    }
    let names = || known.iter().map(|&(name, _)| name);
    let fault = not(text, what);
    Err(match nearest(text, names()) {
        Some(near) => fault.suggest(Some(near)),
        None => fault.help(format!("write {}", list(names()).replace(" and ", " or "))),
    })
}

/// "`text` is not what it should be".
pub(super) fn not(text: &str, what: &str) -> Fault {
    Fault::new(format!("`{text}` is not {what}"))
}
