//! The configuration as written: one type for each mapping of the YAML, one field for each key.
//!
//! The fields are the only list of keys there is: the reader, "did you mean" and the tests of the
//! documentation read the same table.

use std::net::SocketAddr;

use http::Method;
use zeroize::Zeroize;

use super::StoreKind;
use super::field::{At, Field, OneOrMany, Read, entries};
use super::locate::{Node, Value};
use super::report::{Fault, Report};
use super::scalar::{
    Address, BodyLimit, Https, Network, PlainPath, RouteName, Size, Span, Text, not,
};
use super::suggest::nearest;
use crate::identity::{EmailPattern, Login, OrgName, TeamRef};
use crate::origin::Origin;
use crate::route::HostPattern;

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
    Lists(Box<AllowLists>),
}

// === impl SecretSource, Allow ===

impl Drop for SecretSource {
    fn drop(&mut self) {
        if let Self::Literal(text) = self {
            text.zeroize();
        }
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
            (Value::Mapping(_), _) => {
                return AllowLists::read(node, report).map(Box::new).map(Self::Lists);
            }
            (_, Some(text)) => not(text, "something to allow").suggest(nearest(text, ["anyone"])),
            _ => Fault::new("a list does not say whom it names"),
        };
        let way_out = "write `allow: anyone`, or who: `allow: { orgs: [acme], users: [octocat] }`";
        report.problem(&node.place, fault.note(way_out));
        None
    }
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
