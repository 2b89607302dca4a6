//! The configuration as written: one type for each mapping of the YAML, one field for each key.
//!
//! The fields are the only list of keys there is: the reader, "did you mean" and the tests of the
//! documentation read the same table.

use std::net::SocketAddr;

use http::Method;

use super::field::{At, Field, OneOrMany, Read, entries};
use super::locate::Node;
use super::report::Report;
use super::scalar::{
    BodyLimit, FileMode, Https, InstanceName, Network, PagesOf, PlainPath, RedisAddress, RouteName,
    Size, Span, Text, TrustedProxy,
};
use super::written::{Allow, Bearer, GivenToken, Preset, Redis, SecretSource, Store, Upstream};
use crate::broker::Redirect;
use crate::github::WebhookMode;
use crate::identity::{EmailPattern, OrgName, TeamRef, UserPattern};
use crate::origin::Origin;
use crate::route::{HostPattern, LimitStatus};

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
        trusted_proxies: Vec<At<TrustedProxy>>,
        secret: OneOrMany<SecretSource>,
        github: GitHub,
        store: Store,
        cache: Cache,
        session: Session,
        signing_keys: SigningKeys,
        limits: Limits,
        branding: Branding,
        log: Log,
        threads: usize,
        grace: Span,
        allow_insecure_http: bool,
        routes: Vec<At<Route>>,
        broker: Broker,
    }

    /// An item of `listen:`.
    Listen, "an item of `listen`" {
        address: SocketAddr,
        unix: Text,
        mode: FileMode,
        tls: OneOrMany<Certificate>,
        http2: bool,
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
        ca: Text,
        scopes: Vec<At<Text>>,
        timeout: Span,
        callback_path: PlainPath,
        webhook: Webhook,
        revoke_tokens: bool,
        app: App,
    }

    /// `app:` of `github:`.
    App, "`app`" {
        id: usize,
        private_key: OneOrMany<SecretSource>,
        issuer: Text,
    }

    /// `webhook:` of `github:`.
    Webhook, "`webhook`" {
        secret: OneOrMany<SecretSource>,
        organization_secret: OneOrMany<SecretSource>,
        repository_secret: OneOrMany<SecretSource>,
        mode: WebhookMode,
        redeliver: bool,
    }

    /// The mapping form of `store:`.
    StorePlaces, "`store`" {
        embedded: Text,
        redis: Redis,
    }

    /// The mapping form of `redis:`.
    RedisKeys, "`redis`" {
        url: OneOrMany<RedisAddress>,
        username: Text,
        password: SecretSource,
        ca: Text,
        sentinel: Text,
        cluster: bool,
        prefix: Text,
    }

    /// `cache:`.
    Cache, "`cache`" {
        size: Size,
        github: Size,
        persist: bool,
        staleness: Span,
    }

    /// `session:`.
    Session, "`session`" {
        lifetime: Span,
        idle: Span,
        recheck: Span,
        recheck_grace: Span,
    }

    /// `signing_keys:`.
    SigningKeys, "`signing_keys`" {
        rotate: Span,
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
        upstream: Upstream,
        preset: Preset,
        sign_in: SignIn,
        upstream_tls: UpstreamTls,
        parts: Vec<At<Part>>,
        preserve_host: bool,
        allow: Allow,
        deny: Deny,
        public: Vec<At<Text>>,
        rules: Vec<At<Rule>>,
        same_origin: bool,
        loose_paths: bool,
        strip_query: Vec<At<Text>>,
        strip_headers: Vec<At<Text>>,
        placeholder_cookie: Text,
        forwarded_for: Text,
        resend: Text,
        token: Token,
        body_limit: BodyLimit,
        timeouts: Timeouts,
    }

    /// An item of `parts:`.
    Part, "a part" {
        paths: Vec<At<PlainPath>>,
        upstream: Upstream,
        upstream_tls: UpstreamTls,
    }

    /// The mapping form of `upstream:`.
    UpstreamKinds, "`upstream`" {
        github: ApiKeys,
    }

    /// `github:` of `upstream:`.
    ApiKeys, "`github`" {
        installation: Text,
        or_visitor: bool,
        enterprise_paths: bool,
        share: bool,
        allow: Vec<At<Text>>,
        deny: Vec<At<Text>>,
        origins: Vec<At<PagesOf>>,
        limit_status: LimitStatus,
        cache_headers: bool,
    }

    /// `sign_in:` of a route.
    SignIn, "`sign_in`" {
        instance: Text,
        by: Text,
    }

    /// The mapping form of `preset:`.
    PresetKinds, "`preset`" {
        trackeep: TrackeepKeys,
    }

    /// `trackeep:` of `preset:`.
    TrackeepKeys, "`trackeep`" {
        local_login: bool,
        admins: Allow,
        clients: bool,
        backend: Upstream,
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
        users: Vec<At<UserPattern>>,
        emails: Vec<At<EmailPattern>>,
    }

    /// `deny:` of a route.
    Deny, "`deny`" {
        users: Vec<At<UserPattern>>,
    }

    /// An item of `rules:`.
    Rule, "a rule" {
        path: PlainPath,
        methods: Vec<At<Method>>,
        allow: Allow,
        bearer: Bearer,
        own_redirects: OwnRedirects,
        answers: Text,
        body_limit: BodyLimit,
        timeouts: RuleTimeouts,
    }

    /// The mapping form of `bearer:`.
    BearerKeys, "`bearer`" {
        prefix: Text,
        query: Text,
    }

    /// `own_redirects:`.
    OwnRedirects, "`own_redirects`" {
        parameters: Vec<At<Text>>,
        cookies: Vec<At<Text>>,
        location: bool,
    }

    /// `timeouts:` of a rule.
    RuleTimeouts, "`timeouts` of a rule" {
        read: Span,
    }

    /// `token:` of a route.
    Token, "`token`" {
        algorithm: Text,
        secret: SecretSource,
        header: Text,
        audience: Text,
    }

    /// `broker:`.
    Broker, "`broker`" {
        hosts: Vec<At<HostPattern>>,
        instances: Vec<At<Instance>>,
    }

    /// An item of `instances:`.
    Instance, "an instance" {
        name: InstanceName,
        contract: Text,
        redirects: Vec<At<Redirect>>,
        servers: Vec<At<Network>>,
        allow: Allow,
        deny: Deny,
        key: SecretSource,
        lifetime: Span,
        github_token: GivenToken,
        legacy_github_token: bool,
    }

    /// `timeouts:` of a route.
    Timeouts, "`timeouts`" {
        connect: Span,
        read: Span,
        write: Span,
        idle: Span,
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
