//! The kinds of words in a configuration: durations, sizes, addresses, paths, and how each is read.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::Method;
use ipnet::IpNet;

use super::StoreKind;
use super::report::Fault;
use super::suggest::{list, nearest};
use crate::identity::{EmailPattern, Login, NameError, OrgName, TeamRef};
use crate::origin::Origin;
use crate::route::HostPattern;
use crate::target::{Target, parse_host};

/// A value that is written as one word.
pub(super) trait Scalar: Sized {
    /// What is expected, to follow "here belongs".
    const WHAT: &'static str;

    /// Reads the word.
    fn parse(text: &str) -> Result<Self, Fault>;
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

/// An address or a network.
pub(super) struct Network(pub(super) IpNet);

/// A route's name.
pub(super) struct RouteName(pub(super) String);

/// `https`, where a listener may redirect to.
pub(super) struct Https;

/// Where an app listens, as written.
pub(super) struct Address(pub(super) String);

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
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if !text.is_empty() && text.len() <= 64 && text.bytes().all(fits) {
            return Ok(Self(text.to_owned()));
        }
        let better: String = text
            .to_ascii_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        let suggestion = Some(better.trim_matches('-')).filter(|s| (1..=64).contains(&s.len()));
        Err(not(text, "a name for a route")
            .suggest(suggestion)
            .note("names are labels in logs and metrics: `a-z`, `0-9` and `-`, at most 64 of them"))
    }
}

impl Scalar for Https {
    const WHAT: &'static str = "`https`";

    fn parse(text: &str) -> Result<Self, Fault> {
        word(text, "something to redirect to", &[("https", ())]).map(|()| Self)
    }
}

impl Scalar for StoreKind {
    const WHAT: &'static str = "`memory`, the one store of this version";

    fn parse(text: &str) -> Result<Self, Fault> {
        word(text, "a store that this version has", &[("memory", Self::Memory)])
    }
}

impl Scalar for Address {
    const WHAT: &'static str = "one address such as `http://127.0.0.1:8080`";

    fn parse(text: &str) -> Result<Self, Fault> {
        Text::parse(text).map(|text| Self(text.0))
    }
}

// === impl Scalar for amounts ===

impl Scalar for Span {
    const WHAT: &'static str = "a duration such as `30s`, `5m`, `24h` or `7d`";

    fn parse(text: &str) -> Result<Self, Fault> {
        let bad = || not(text, "a duration");
        let units = "write whole seconds, minutes, hours or days: `30s`, `5m`, `24h`, `7d`";
        let (number, unit) = amount(text).ok_or_else(|| bad().note(units))?;
        let seconds: u64 = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            "" => return Err(bad().suggest(Some(&format!("{number}s")))),
            _ => return Err(bad().note(units)),
        };
        let span = Duration::from_secs(number.saturating_mul(seconds));
        if span > LONGEST {
            let fault = Fault::new(format!("`{text}` is longer than 400 days"));
            return Err(fault.note("browsers keep no cookie longer than that (RFC 6265bis)"));
        }
        Ok(Self(span))
    }
}

impl Scalar for Size {
    const WHAT: &'static str = "a size such as `512`, `32KiB` or `100MiB`";

    fn parse(text: &str) -> Result<Self, Fault> {
        let bad = || not(text, "a size");
        let units = "write bytes, or a unit: `512`, `32KiB`, `100MiB`, `1GiB`, or `KB`, `MB`, `GB`";
        let (number, unit) = amount(text).ok_or_else(|| bad().note(units))?;
        let known = UNITS.iter().find(|(name, _)| *name == unit);
        let Some(&(_, factor)) = known else {
            let folded = unit.to_ascii_uppercase();
            let meant = UNITS.iter().find(|(name, _)| {
                let name = name.to_ascii_uppercase();
                name == folded || (name.ends_with("IB") && name.starts_with(&folded))
            });
            let meant = meant.map(|(name, _)| format!("{number}{name}"));
            return Err(bad().suggest(meant.as_deref()).note(units));
        };
        number.checked_mul(factor).map(Self).ok_or_else(|| bad().help("this is too large"))
    }
}

/// Units of sizes, and what they are worth.
const UNITS: [(&str, u64); 8] = [
    ("", 1),
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

impl Scalar for BodyLimit {
    const WHAT: &'static str = "a size such as `100MiB`, or `none`";

    fn parse(text: &str) -> Result<Self, Fault> {
        if text == "none" {
            return Ok(Self(u64::MAX));
        }
        Size::parse(text).map(|size| Self(size.0)).map_err(|fault| {
            let unbounded = matches!(text, "unlimited" | "off" | "-1" | "None");
            if unbounded { fault.suggest(Some("none")) } else { fault }
        })
    }
}

/// `30s` is 30 and `s`.
fn amount(text: &str) -> Option<(u64, &str)> {
    let unit = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..unit].parse().ok()?, &text[unit..]))
}

// === impl Scalar for addresses ===

impl Scalar for SocketAddr {
    const WHAT: &'static str = "an address such as `0.0.0.0:443` or `\"[::]:443\"`";

    fn parse(text: &str) -> Result<Self, Fault> {
        text.parse().map_err(|_| {
            let port = text.rsplit(':').next().filter(|port| port.parse::<u16>().is_ok());
            let meant = match (port, text.strip_suffix(port.unwrap_or("")).unwrap_or(text)) {
                (Some(port), "" | ":" | "*:") => Some(format!("0.0.0.0:{port}")),
                (Some(port), "localhost:") => Some(format!("127.0.0.1:{port}")),
                _ => text.parse::<IpAddr>().ok().map(|ip| Self::new(ip, 443).to_string()),
            };
            not(text, "an IP address with a port").suggest(meant.as_deref()).note(
                "as in `0.0.0.0:443` for every IPv4 address, or `\"[::]:443\"` for every address",
            )
        })
    }
}

impl Scalar for Network {
    const WHAT: &'static str = "an address or a network such as `10.0.0.0/8`";

    fn parse(text: &str) -> Result<Self, Fault> {
        let network = text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse());
        let network: IpNet = network.map_err(|_| {
            not(text, "an IP address or a network")
                .note("as in `10.1.2.3`, `10.0.0.0/8` or `fd00::/8`")
        })?;
        if network.prefix_len() == 0 {
            return Err(Fault::new(format!("`{text}` trusts the whole internet")).note(
                "whoever is trusted can claim any address in `X-Forwarded-For`: name your proxies",
            ));
        }
        Ok(Self(network))
    }
}

impl Scalar for Origin {
    const WHAT: &'static str = "an origin such as `https://auth.example.com`";

    fn parse(text: &str) -> Result<Self, Fault> {
        text.parse().map_err(|error: crate::origin::OriginError| {
            let trimmed = text.split_once("://").map(|(scheme, rest)| {
                format!("{scheme}://{}", rest.split(['/', '?', '#']).next().unwrap_or(rest))
            });
            let host = text.split('/').next().unwrap_or(text);
            let meant = trimmed.unwrap_or_else(|| format!("https://{host}"));
            let meant = meant.parse::<Self>().ok().map(|origin| origin.to_string());
            Fault::new(error.to_string()).suggest(meant.as_deref())
        })
    }
}

impl Scalar for HostPattern {
    const WHAT: &'static str = "a host such as `notes.example.com`";

    fn parse(text: &str) -> Result<Self, Fault> {
        let (wildcard, rest) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        if rest.contains('*') {
            return Err(not(text, "a host").note(
                "a wildcard is one `*.` at the beginning: `*.example.com` is every host one label below",
            ));
        }
        let (name, port) = parse_host(rest.as_bytes()).map_err(|_| bad_host(text))?;
        Ok(Self { name: name.as_ref().into(), wildcard, port })
    }
}

/// What is not a host, and the host that may be meant.
fn bad_host(text: &str) -> Fault {
    let url = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let meant = url::Url::parse(&url).ok().filter(|_| !text.contains('*'));
    let meant = meant.as_ref().and_then(url::Url::host_str);
    let meant = meant
        .map(|host| host.trim_end_matches('.'))
        .filter(|host| parse_host(host.as_bytes()).is_ok());
    not(text, "a host").suggest(meant).note("as in `notes.example.com` or `\"*.example.com\"`")
}

// === impl Scalar for paths and methods ===

impl Scalar for PlainPath {
    const WHAT: &'static str = "a path such as `/admin`";

    fn parse(text: &str) -> Result<Self, Fault> {
        if !text.starts_with('/') {
            let fault = not(text, "a path");
            return Err(match text.contains("://") {
                true => fault.help("write what follows the host, from its `/` on"),
                false => fault.suggest(Some(&format!("/{text}"))),
            });
        }
        let host = std::iter::once(&b"host"[..]);
        let target = Target::parse(text.as_bytes(), host, None).map_err(|why| {
            Fault::new(format!("`{text}` would match no request: {why}"))
                .note("a path is plain: single slashes, no dot segments, no spaces")
        })?;
        if let Some(query) = target.query() {
            let path = text.strip_suffix(query).unwrap_or(text).trim_end_matches('?');
            return Err(
                Fault::new("routes are found by path alone, without a query").suggest(Some(path))
            );
        }
        if target.is_loose() {
            return Err(Fault::new(format!("`{text}` holds an encoded slash or a `;`"))
                .note("such paths can be read in two ways, so nothing is decided by them"));
        }
        if !target.is_verbatim() {
            let fault = Fault::new(format!("`{text}` would match no request"));
            return Err(fault
                .suggest(Some(target.path()))
                .note("requests are compared in this form"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Scalar for Method {
    const WHAT: &'static str = "a method such as `GET`";

    fn parse(text: &str) -> Result<Self, Fault> {
        let upper = text.to_ascii_uppercase();
        if matches!(upper.as_str(), "CONNECT" | "TRACE") {
            return Err(
                Fault::new(format!("the gateway never forwards `{upper}`")).help("leave it out")
            );
        }
        let near = nearest(text, KNOWN_METHODS).filter(|near| *near != text);
        let letters = |b: u8| b.is_ascii_uppercase() || b == b'-';
        if text.is_empty() || !text.bytes().all(letters) {
            let meant = near.or_else(|| upper.bytes().all(letters).then_some(&*upper));
            return Err(not(text, "a method").suggest(meant.filter(|meant| !meant.is_empty())));
        }
        // `GETS` is a slip; `PROPFIND` and `REPORT` are methods.
        if near.is_some_and(|near| strsim::damerau_levenshtein(near, text) == 1) {
            return Err(not(text, "a method that is known").suggest(near));
        }
        Self::from_bytes(text.as_bytes()).map_err(|_| not(text, "a method"))
    }
}

const KNOWN_METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

// === impl Scalar for GitHub's names ===

macro_rules! github_names {
    ($($name:ident: $what:literal,)+) => {$(
        impl Scalar for $name {
            const WHAT: &'static str = $what;

            fn parse(text: &str) -> Result<Self, Fault> {
                text.parse().map_err(|error: NameError| match meant(text) {
                    Some(help) => Fault::new(error.to_string()).help(help),
                    None => Fault::new(error.to_string()),
                })
            }
        }
    )+};
}

github_names! {
    Login: "a GitHub login such as `octocat`",
    OrgName: "an organisation such as `acme`",
    TeamRef: "a team such as `acme/platform`",
    EmailPattern: "an e-mail address, or `\"*@acme.com\"`",
}

/// `@octocat` and `@acme/platform` are how one mentions people; other names belong in other lists.
fn meant(text: &str) -> Option<String> {
    let is_name = |text: &str| text.parse::<OrgName>().is_ok() || text.parse::<TeamRef>().is_ok();
    let pattern = text.strip_prefix("*.").map(|domain| format!("*@{domain}"));
    let better = pattern.filter(|better| better.parse::<EmailPattern>().is_ok());
    let better =
        better.or_else(|| text.strip_prefix('@').map(str::to_owned).filter(|name| is_name(name)));
    if let Some(better) = better {
        return Some(format!("did you mean `{better}`?"));
    }
    let home = if text.parse::<EmailPattern>().is_ok() { "emails" } else { "teams" };
    let at_home = text.parse::<EmailPattern>().is_ok() || text.parse::<TeamRef>().is_ok();
    at_home.then(|| format!("that belongs in `{home}`"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_seconds_and_up() {
        for (text, seconds) in
            [("0s", 0), ("30s", 30), ("5m", 300), ("24h", 86_400), ("7d", 604_800)]
        {
            assert_eq!(Span::parse(text).map(|span| span.0.as_secs()), Ok(seconds), "{text}");
        }
        for bad in
            ["", "s", "30", "500ms", "1.5h", "-1s", "1h30m", "7 d", "401d", "99999999999999999999d"]
        {
            assert!(Span::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_have_binary_and_decimal_units() {
        for (text, bytes) in
            [("512", 512), ("32KiB", 32_768), ("1MB", 1_000_000), ("1GiB", 1 << 30)]
        {
            assert_eq!(Size::parse(text).map(|size| size.0), Ok(bytes), "{text}");
        }
        for (bad, meant) in [("32k", "32KiB"), ("1mib", "1MiB"), ("5gb", "5GB"), ("2M", "2MiB")] {
            let help = Size::parse(bad).map(|size| size.0).unwrap_err().help;
            assert_eq!(help, Some(format!("did you mean `{meant}`?")));
        }
        assert!(Size::parse("99999999999GiB").is_err());
        assert_eq!(BodyLimit::parse("none").map(|limit| limit.0), Ok(u64::MAX));
    }

    #[test]
    fn methods_of_webdav_are_taken_and_slips_are_not() {
        for good in ["GET", "PROPFIND", "REPORT", "M-SEARCH"] {
            assert!(Method::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "get", "GETS", "PSOT", "TRACE", "connect", "A B"] {
            assert!(Method::parse(bad).is_err(), "{bad}");
        }
    }
}
