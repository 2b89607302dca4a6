//! The configuration as written: one type for each mapping of the YAML, one field for each key.
//!
//! The fields are the only list of keys there is: the reader, "did you mean" and the tests of the
//! documentation read the same table.

use std::net::SocketAddr;

use http::Method;
use zeroize::Zeroize;

use super::locate::{Node, Place, Value};
use super::report::{Fault, Report};
use super::scalar::{
    Address, BodyLimit, Https, Network, PlainPath, RouteName, Scalar, Size, Span, Text, not,
};
use super::StoreKind;
use super::suggest::{list, nearest};
use crate::identity::{EmailPattern, Login, OrgName, TeamRef};
use crate::origin::Origin;
use crate::route::HostPattern;

/// What can be read from a part of the YAML. `None` says that the report tells why it cannot.
pub(super) trait Read: Sized {
    fn read(node: &Node, report: &mut Report<'_>) -> Option<Self>;
}

/// A value and where it stands.
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) place: Place,
    /// Its key's place, or its own where it has none.
    pub(super) key: Place,
}

/// What a key says.
pub(super) enum Field<T> {
    /// The key is not there, or has no value.
    Absent,
    /// The value cannot be read; the report tells why.
    Unreadable,
    /// A value.
    Given(At<T>),
}

/// One value, or a list of them.
pub(super) struct OneOrMany<T>(pub(super) Vec<At<T>>);

/// What a mapping says.
#[derive(Default)]
struct Entries<'n> {
    /// Keys and values, each key once and known.
    known: Vec<(&'n str, &'n Node, &'n Node)>,
    /// Keys that others look like: they are mistyped, not missing.
    mistyped: Vec<&'n str>,
}

/// Declares a mapping: its type, its keys, and how it is read.
macro_rules! mapping {
    ($($(#[$doc:meta])* $name:ident, $place:literal { $($key:ident: $kind:ty,)+ })+) => {
        $(
            $(#[$doc])*
            pub(super) struct $name {
                $(pub(super) $key: Field<$kind>,)+
            }

            impl $name {
                const KEYS: &[&str] = &[$(stringify!($key),)+];
            }

            impl Read for $name {
                fn read(node: &Node, report: &mut Report<'_>) -> Option<Self> {
                    let entries = entries(node, $place, Self::KEYS, report)?;
                    Some(Self {
                        $($key: Field::read(&entries, stringify!($key), report),)+
                    })
                }
            }
        )+

        /// Every mapping with its keys.
        pub(super) const MAPPINGS: &[(&str, &[&str])] = &[$(($place, $name::KEYS),)+];
    };
}

mapping! {
    /// The whole file.
    Raw, "the configuration" {
        listen: Vec<At<Listen>>,
        public_url: Origin,
        prefix: PlainPath,
        admin: SocketAddr,
        trusted_proxies: Vec<At<Network>>,
        secret: OneOrMany<SecretSource>,
        github: GitHub,
        store: StoreKind,
        session: Session,
        limits: Limits,
        branding: Branding,
        log: Log,
        threads: usize,
        grace: Span,
        allow_insecure_http: bool,
        routes: Vec<At<Route>>,
    }

    /// An item of `listen:`.
    Listen, "an item of `listen`" {
        address: SocketAddr,
        tls: OneOrMany<Certificate>,
        redirect: Https,
    }

    /// `tls:` of a listener.
    Certificate, "`tls`" {
        certificate: Text,
        key: Text,
    }

    /// `{ env: NAME }` or `{ file: PATH }`.
    SecretPlace, "a secret" {
        env: Text,
        file: Text,
    }

    /// `github:`.
    GitHub, "`github`" {
        client_id: Text,
        client_secret: SecretSource,
        web: Origin,
        api: Text,
        scopes: Vec<At<Text>>,
        timeout: Span,
    }

    /// `session:`.
    Session, "`session`" {
        lifetime: Span,
        idle: Span,
    }

    /// `limits:`.
    Limits, "`limits`" {
        connections: usize,
        connections_per_address: usize,
        header_timeout: Span,
        header_bytes: Size,
        header_fields: usize,
    }

    /// `branding:`.
    Branding, "`branding`" {
        name: Text,
        logo: Text,
    }

    /// `log:`.
    Log, "`log`" {
        format: Text,
        access: bool,
        level: Text,
    }

    /// An item of `routes:`.
    Route, "a route" {
        name: RouteName,
        host: HostPattern,
        path: PlainPath,
        methods: Vec<At<Method>>,
        upstream: Address,
        upstream_tls: UpstreamTls,
        preserve_host: bool,
        allow: Allow,
        deny: Deny,
        public: Vec<At<Text>>,
        rules: Vec<At<Rule>>,
        loose_paths: bool,
        token: Token,
        body_limit: BodyLimit,
        timeouts: Timeouts,
    }

    /// `upstream_tls:` of a route.
    UpstreamTls, "`upstream_tls`" {
        ca: Text,
        server_name: Text,
    }

    /// The mapping form of `allow:`.
    AllowLists, "`allow`" {
        orgs: Vec<At<OrgName>>,
        teams: Vec<At<TeamRef>>,
        users: Vec<At<Login>>,
        emails: Vec<At<EmailPattern>>,
    }

    /// `deny:` of a route.
    Deny, "`deny`" {
        users: Vec<At<Login>>,
    }

    /// An item of `rules:`.
    Rule, "a rule" {
        path: PlainPath,
        methods: Vec<At<Method>>,
        allow: Allow,
    }

    /// `token:` of a route.
    Token, "`token`" {
        algorithm: Text,
        secret: SecretSource,
        header: Text,
        audience: Text,
    }

    /// `timeouts:` of a route.
    Timeouts, "`timeouts`" {
        connect: Span,
        read: Span,
        write: Span,
        idle: Span,
    }
}

/// A secret, or where it is kept.
pub(super) enum SecretSource {
    /// Written into the file itself.
    Literal(String),
    /// Kept elsewhere.
    Kept(SecretPlace),
}

/// Who may pass.
pub(super) enum Allow {
    /// Anyone who is signed in.
    Anyone,
    /// Whoever is in one of the lists.
    Lists(AllowLists),
}

// === impl Field ===

impl<T: Read> Field<T> {
    fn read(entries: &Entries<'_>, name: &str, report: &mut Report<'_>) -> Self {
        let Some((_, key, node)) = entries.known.iter().find(|(known, ..)| *known == name) else {
            let mistyped = entries.mistyped.contains(&name);
            return if mistyped { Self::Unreadable } else { Self::Absent };
        };
        if matches!(node.value, Value::Null) {
            return Self::Absent;
        }
        let (place, key) = (node.place.clone(), key.place.clone());
        T::read(node, report)
            .map_or(Self::Unreadable, |value| Self::Given(At { value, place, key }))
    }
}

impl<T> Field<T> {
    /// The value with its place.
    pub(super) fn given(&self) -> Option<&At<T>> {
        match self {
            Self::Given(at) => Some(at),
            Self::Absent | Self::Unreadable => None,
        }
    }

    /// The value alone.
    pub(super) fn value(&self) -> Option<&T> {
        self.given().map(|at| &at.value)
    }

    /// Whether nothing is said.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<T> Field<Vec<At<T>>> {
    /// The items of a list that may be absent.
    pub(super) fn items(&self) -> &[At<T>] {
        self.value().map_or(&[], Vec::as_slice)
    }
}

impl Drop for SecretSource {
    fn drop(&mut self) {
        if let Self::Literal(text) = self {
            text.zeroize();
        }
    }
}

// === impl Read ===

impl<T: Scalar> Read for T {
    fn read(node: &Node, report: &mut Report<'_>) -> Option<Self> {
        let parsed = match (node.text(), &node.value) {
            (Some(text), _) => T::parse(text),
            (None, Value::Sequence(_)) => {
                Err(Fault::new(format!("here belongs {}, not a list", T::WHAT)).help("write one"))
            }
            (None, Value::Mapping(_)) => {
                Err(Fault::new(format!("here belongs {}, not a mapping", T::WHAT)))
            }
            (None, _) => Err(Fault::new(format!("here belongs {}", T::WHAT))),
        };
        parsed.map_err(|fault| report.problem(&node.place, fault)).ok()
    }
}

/// The items that can be read, for the others are reported.
impl<T: Read> Read for Vec<At<T>> {
    fn read(node: &Node, report: &mut Report<'_>) -> Option<Self> {
        if let Value::Sequence(items) = &node.value {
            let read: Self = items.iter().filter_map(|item| At::read(item, report)).collect();
            // A list of nothing but mistakes is not an empty list.
            return (items.is_empty() || !read.is_empty()).then_some(read);
        }
        let fault = Fault::new("here belongs a list");
        report.problem(
            &node.place,
            match node.text() {
                Some(text) if text.starts_with('*') => {
                    fault.suggest(Some(&format!("[\"{text}\"]")))
                }
                Some(text) => fault.suggest(Some(&format!("[{text}]"))),
                None => fault.help("begin each of its items with `- `"),
            },
        );
        None
    }
}

impl<T: Read> Read for OneOrMany<T> {
    fn read(node: &Node, report: &mut Report<'_>) -> Option<Self> {
        match &node.value {
            Value::Sequence(_) => Vec::read(node, report).map(Self),
            _ => At::read(node, report).map(|one| Self(vec![one])),
        }
    }
}

impl<T: Read> At<T> {
    pub(super) fn read(node: &Node, report: &mut Report<'_>) -> Option<Self> {
        let (place, key) = (node.place.clone(), node.place.clone());
        T::read(node, report).map(|value| Self { value, place, key })
    }
}

impl Read for SecretSource {
    fn read(node: &Node, report: &mut Report<'_>) -> Option<Self> {
        if let Some(text) = node.text() {
            report.hide_scalar(&node.place, text);
            return Some(Self::Literal(text.to_owned()));
        }
        SecretPlace::read(node, report).map(Self::Kept)
    }
}

impl Read for Allow {
    fn read(node: &Node, report: &mut Report<'_>) -> Option<Self> {
        let fault = match (&node.value, node.text()) {
            (_, Some("anyone")) => return Some(Self::Anyone),
            (Value::Mapping(_), _) => return AllowLists::read(node, report).map(Self::Lists),
            (_, Some(text)) => not(text, "something to allow").suggest(nearest(text, ["anyone"])),
            _ => Fault::new("a list does not say whom it names"),
        };
        let way_out = "write `allow: anyone`, or who: `allow: { orgs: [acme], users: [octocat] }`";
        report.problem(&node.place, fault.note(way_out));
        None
    }
}

// === Keys ===

/// The entries of a mapping whose keys are known, each once; everything else is reported.
fn entries<'n>(
    node: &'n Node,
    name: &str,
    known: &[&'n str],
    report: &mut Report<'_>,
) -> Option<Entries<'n>> {
    let Value::Mapping(pairs) = &node.value else {
        let fault = Fault::new(format!("{name} is a mapping of keys to values"));
        report.problem(
            &node.place,
            fault.note(format!("its keys are {}", list(known.iter().copied()))),
        );
        return None;
    };
    let mut entries = Entries::default();
    for (key, value) in pairs {
        let word = key.text().unwrap_or("");
        let fault = if entries.known.iter().any(|(earlier, ..)| *earlier == word) {
            Fault::new(format!("`{word}` is given twice in {name}")).help("keep one of them")
        } else if known.contains(&word) {
            entries.known.push((word, key, value));
            continue;
        } else {
            entries.mistyped.extend(nearest(word, known.iter().copied()));
            hide_if_secret(word, known, value, report);
            unknown_key(word, name, known)
        };
        report.problem(&key.place, fault);
    }
    Some(entries)
}

/// What stands at a mistyped `secret`, or beside `env` and `file`, is likely to be one.
fn hide_if_secret(word: &str, known: &[&str], value: &Node, report: &mut Report<'_>) {
    let near = nearest(word, known.iter().copied()).unwrap_or(word);
    let is_secret = near.contains("secret") || known == SecretPlace::KEYS;
    if let Some(text) = value.text().filter(|_| is_secret) {
        report.hide_scalar(&value.place, text);
    }
}

/// An unknown key: perhaps mistyped, perhaps in the wrong place.
fn unknown_key(word: &str, name: &str, known: &[&str]) -> Fault {
    let fault = Fault::new(format!("unknown key `{word}` in {name}"));
    if let Some(near) = nearest(word, known.iter().copied()) {
        return fault.suggest(Some(near));
    }
    let homes = MAPPINGS.iter().filter(|(_, keys)| keys.contains(&word)).map(|&(home, _)| home);
    let homes: Vec<_> = homes.collect();
    let keys = format!("its keys are {}", list(known.iter().copied()));
    if homes.is_empty() {
        return fault.note(keys);
    }
    fault.help(format!("that is a key of {}", homes.join(" and of "))).note(keys)
}

#[cfg(test)]
mod tests {
    use super::MAPPINGS;

    /// Whether a text names a key as a key: `key:` in YAML, or `` `key` `` in prose.
    fn names(text: &str, key: &str) -> bool {
        let starts = |rest: &str| rest.starts_with(':');
        let own = |before: &str| !before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let in_yaml = text
            .match_indices(key)
            .any(|(at, _)| own(&text[..at]) && starts(&text[at + key.len()..]));
        in_yaml || text.contains(&format!("`{key}`"))
    }

    #[test]
    fn every_key_is_in_the_reference_and_in_the_documentation() {
        for file in ["config/gatekeep.yaml", "docs/configuration.md"] {
            let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(&path).unwrap();
            for (mapping, keys) in MAPPINGS {
                for key in *keys {
                    assert!(names(&text, key), "`{key}` of {mapping} is missing in {file}");
                }
            }
        }
    }
}
