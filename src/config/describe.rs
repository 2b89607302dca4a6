//! A configuration as meant, written in YAML again: what `gatekeep check` prints.

use std::time::Duration;

use serde_yaml::{Mapping, Value};

use super::{Config, Listener, ListenerKind, ListenerPlace, StoreKind};
use crate::broker::{Broker, GitHubToken, Instance};
use crate::github::app::App;
use crate::github::{Hook, Settings, scopes_for};
use crate::log::Format;
use crate::passage::cors::Origins;
use crate::policy::Policy;
use crate::route::{
    ActsAs, Algorithm, Answers, App as Server, Bearer, Entry, InstanceSignIn, OwnRedirects, Part,
    Route, Rule, Token,
};
use crate::store::{RedisMode, RedisSettings};

/// What stands in the place of a secret.
const REDACTED: &str = "[redacted]";

/// The whole configuration; every secret is redacted.
pub(super) fn describe(config: &Config) -> String {
    let whole = mapping([
        ("listen", list(config.listen.iter().map(listener))),
        ("public_url", text(&config.public_url)),
        ("prefix", text(&config.prefix)),
        ("admin", config.admin.map_or(Value::Null, |address| text(&address))),
        ("trusted_proxies", trusted_proxies(config)),
        ("secret", text(&REDACTED)),
        ("github", github(config)),
        ("store", store(&config.store)),
        ("cache", cache(config)),
        ("session", session(config)),
        ("signing_keys", mapping([("rotate", text(&span(config.rotate_signing_keys)))])),
        ("limits", limits(config)),
        ("branding", branding(config)),
        ("log", log(config)),
        ("threads", config.threads.into()),
        ("grace", text(&span(config.grace))),
        ("routes", list(config.routes.iter().map(|one| route(one)))),
        ("broker", config.broker.as_ref().map_or(Value::Null, |one| broker(one))),
    ]);
    serde_yaml::to_string(&whole).expect("texts, numbers and lists can be written as YAML")
}

fn trusted_proxies(config: &Config) -> Value {
    let networks = config.trusted_proxies.iter().map(|network| text(network));
    list(networks.chain(config.trusts_sockets.then(|| text(&"unix"))))
}

fn listener(listener: &Listener) -> Value {
    let address = match &listener.place {
        ListenerPlace::Address(address) => ("address", text(address)),
        ListenerPlace::Socket(path, mode) => {
            let path = ("unix", text(&path.display()));
            return mapping([path, ("mode", text(&format_args!("{mode:04o}")))]);
        }
    };
    match &listener.kind {
        ListenerKind::Plain => mapping([address]),
        ListenerKind::RedirectToHttps => mapping([address, ("redirect", text(&"https"))]),
        ListenerKind::Tls { certificates, http2 } => {
            let files = certificates.iter().map(|files| {
                mapping([
                    ("certificate", text(&files.certificate.display())),
                    ("key", text(&files.key.display())),
                ])
            });
            mapping([address, ("tls", list(files)), ("http2", (*http2).into())])
        }
    }
}

/// The scopes are those that people are asked for, also where the routes decide that.
fn github(config: &Config) -> Value {
    let github = &config.github;
    let needed = || scopes_for(config.facts());
    mapping([
        ("client_id", text(&github.client_id)),
        ("client_secret", text(&REDACTED)),
        ("web", text(&github.web)),
        ("api", text(&github.api)),
        ("ca", github.ca.as_ref().map_or(Value::Null, |pem| certificates(pem))),
        ("scopes", texts(&github.scopes.clone().unwrap_or_else(needed))),
        ("timeout", text(&span(github.timeout))),
        ("callback_path", text(&config.callback_path)),
        ("webhook", webhook(github)),
        ("revoke_tokens", github.revoke_tokens.into()),
        ("app", github.app.as_deref().map_or(Value::Null, app)),
    ])
}

fn webhook(github: &Settings) -> Value {
    if github.webhook_secrets.is_empty() {
        return Value::Null;
    }
    let secrets = |of: &[Hook]| {
        let known = github.webhook_secrets.iter().filter(|known| of.contains(&known.hook));
        let redacted: Vec<_> = known.map(|_| text(&REDACTED)).collect();
        if redacted.is_empty() { Value::Null } else { Value::Sequence(redacted) }
    };
    mapping([
        ("secret", secrets(&[Hook::Any, Hook::App])),
        ("organization_secret", secrets(&[Hook::Organization])),
        ("repository_secret", secrets(&[Hook::Repository])),
        ("mode", text(&github.webhook_mode)),
        ("redeliver", github.redeliver.into()),
    ])
}

fn app(app: &App) -> Value {
    let by_number = app.issuer == app.id.to_string();
    mapping([
        ("id", app.id.into()),
        ("private_key", list(app.keys.iter().map(|_| text(&REDACTED)))),
        ("issuer", text(if by_number { &"app_id" } else { &"client_id" })),
    ])
}

fn store(store: &StoreKind) -> Value {
    match store {
        StoreKind::Memory => text(&"memory"),
        StoreKind::Embedded(directory) => mapping([("embedded", text(&directory.display()))]),
        StoreKind::Redis(settings) => mapping([("redis", redis(settings))]),
    }
}

fn redis(redis: &RedisSettings) -> Value {
    let sentinel = match &redis.mode {
        RedisMode::Sentinel { master } => text(master),
        RedisMode::Single | RedisMode::Cluster => Value::Null,
    };
    mapping([
        ("url", texts(&redis.urls)),
        ("username", redis.username.as_ref().map_or(Value::Null, |name| text(name))),
        ("password", redis.password.as_ref().map_or(Value::Null, |_| text(&REDACTED))),
        ("ca", redis.ca.as_ref().map_or(Value::Null, |pem| certificates(pem))),
        ("sentinel", sentinel),
        ("cluster", matches!(redis.mode, RedisMode::Cluster).into()),
        ("prefix", text(&redis.prefix)),
    ])
}

fn cache(config: &Config) -> Value {
    mapping([
        ("size", text(&size(config.cache.size as u64))),
        ("github", text(&size(config.cache.github as u64))),
        ("persist", config.cache.persist.into()),
        ("staleness", text(&span(config.cache.staleness))),
    ])
}

fn session(config: &Config) -> Value {
    mapping([
        ("lifetime", text(&span(config.session.lifetime))),
        ("idle", text(&span(config.session.idle))),
        ("recheck", text(&span(config.recheck.every))),
        ("recheck_grace", text(&span(config.recheck.grace))),
    ])
}

fn limits(config: &Config) -> Value {
    let limits = &config.limits;
    mapping([
        ("connections", limits.connections.into()),
        ("connections_per_address", limits.connections_per_address.into()),
        ("header_timeout", text(&span(limits.header_timeout))),
        ("header_bytes", text(&size(limits.header_bytes as u64))),
        ("header_fields", limits.header_fields.into()),
    ])
}

fn branding(config: &Config) -> Value {
    let logo = config.branding.logo.as_ref().map_or(Value::Null, |logo| text(logo));
    mapping([("name", text(&config.branding.name)), ("logo", logo)])
}

fn log(config: &Config) -> Value {
    let format = match config.log.format {
        Format::Text => "text",
        Format::Json => "json",
    };
    mapping([
        ("format", text(&format)),
        ("access", config.log.access.into()),
        ("level", text(&config.log.level)),
    ])
}

// === Routes ===

fn route(route: &Route) -> Value {
    let timeouts = &route.timeouts;
    let times = [
        ("connect", timeouts.connect),
        ("read", timeouts.read),
        ("write", timeouts.write),
        ("idle", timeouts.idle),
    ];
    let passing = &route.passing;
    let cookie = passing.placeholder_cookie.as_ref().and_then(|cookie| cookie.to_str().ok());
    let cookie = cookie.map_or(Value::Null, |cookie| text(&cookie));
    // What an app is told means nothing to GitHub.
    let app = |value: Value| if route.upstream.app().is_some() { value } else { Value::Null };
    mapping([
        ("name", text(&route.name)),
        ("host", text(&route.host)),
        ("path", text(&route.path)),
        ("methods", methods(route.methods.as_deref())),
        ("upstream", upstream(route)),
        ("upstream_tls", route.upstream.app().map_or(Value::Null, upstream_tls)),
        ("parts", unless_empty(list(route.parts.iter().map(part)))),
        ("preserve_host", app(route.preserve_host.into())),
        ("allow", allow(&route.policy)),
        ("deny", deny(&route.policy)),
        ("public", app(texts(&route.public))),
        ("rules", app(list(route.rules.iter().map(rule)))),
        ("sign_in", app(route.sign_in.as_ref().map_or(Value::Null, sign_in))),
        ("same_origin", app(route.same_origin.into())),
        ("loose_paths", app(route.loose_paths.into())),
        ("strip_query", app(unless_empty(texts(&passing.strip_query)))),
        ("strip_headers", app(unless_empty(texts(&passing.strip_headers)))),
        ("placeholder_cookie", app(cookie)),
        ("forwarded_for", app(text(&passing.forwarded_for))),
        ("resend", app(text(&passing.resend))),
        ("token", app(token(&route.token))),
        ("body_limit", text(&size(route.body_limit))),
        ("timeouts", mapping(times.map(|(name, time)| (name, text(&span(time)))))),
    ])
}

fn upstream(route: &Route) -> Value {
    let Some(api) = route.upstream.api() else { return text(&route.upstream) };
    let (installation, or_visitor) = match &api.acts_as {
        ActsAs::Visitor => (Value::Null, Value::Null),
        ActsAs::Installation { which, or_visitor } => (text(which), (*or_visitor).into()),
    };
    let origins = match &api.origins {
        Origins::Any => texts(&["*"]),
        Origins::Listed(listed) => texts(listed),
    };
    let keys = mapping([
        ("installation", installation),
        ("or_visitor", or_visitor),
        ("enterprise_paths", api.enterprise_paths.into()),
        ("share", api.share.into()),
        ("allow", texts(&api.rules.allow)),
        ("deny", texts(&api.rules.deny)),
        ("origins", origins),
        ("limit_status", text(&api.limit_status)),
        ("cache_headers", api.cache_headers.into()),
    ]);
    mapping([("github", keys)])
}

fn part(part: &Part) -> Value {
    let tls = ("upstream_tls", upstream_tls(&part.app));
    mapping([("paths", texts(&part.paths)), ("upstream", text(&part.app)), tls])
}

fn upstream_tls(app: &Server) -> Value {
    app.tls.as_ref().map_or(Value::Null, |tls| {
        let ca = tls.ca.as_ref().map_or(Value::Null, |pem| certificates(pem));
        mapping([("ca", ca), ("server_name", text(&tls.server_name))])
    })
}

fn certificates(pem: &[u8]) -> Value {
    text(&format!("({} bytes of certificates)", pem.len()))
}

fn rule(rule: &Rule) -> Value {
    mapping([
        ("path", text(&rule.path)),
        ("methods", methods(rule.methods.as_deref())),
        (
            "allow",
            match &rule.entry {
                Entry::AsTheRoute => Value::Null,
                Entry::Policy(policy) => allow(policy),
                Entry::Closed => text(&"nobody"),
            },
        ),
        ("bearer", rule.bearer.as_ref().map_or(Value::Null, bearer)),
        ("own_redirects", rule.redirects.as_ref().map_or(Value::Null, own_redirects)),
        (
            "answers",
            match rule.answers {
                Answers::Json => text(&"json"),
                Answers::Pages if matches!(rule.entry, Entry::Closed) => Value::Null,
                Answers::Pages => text(&"pages"),
            },
        ),
        ("body_limit", rule.body_limit.map_or(Value::Null, |limit| text(&size(limit)))),
        (
            "timeouts",
            rule.read_timeout.map_or(Value::Null, |read| mapping([("read", text(&span(read)))])),
        ),
    ])
}

fn own_redirects(redirects: &OwnRedirects) -> Value {
    mapping([
        ("parameters", unless_empty(texts(&redirects.parameters))),
        ("cookies", unless_empty(texts(&redirects.cookies))),
        ("location", redirects.location.into()),
    ])
}

fn bearer(bearer: &Bearer) -> Value {
    if *bearer == Bearer::default() {
        return text(&"any");
    }
    let prefix = Some(&bearer.prefix).filter(|prefix| !prefix.is_empty());
    let said = |word: Option<&Box<str>>| word.map_or(Value::Null, |word| text(word));
    mapping([("prefix", said(prefix)), ("query", said(bearer.query.as_ref()))])
}

fn allow(policy: &Policy) -> Value {
    if policy.anyone {
        return text(&"anyone");
    }
    let lists = [
        ("orgs", texts(&policy.orgs)),
        ("teams", texts(&policy.teams)),
        ("users", texts(&policy.users)),
        ("emails", texts(&policy.emails)),
    ];
    mapping(lists.map(|(name, list)| (name, unless_empty(list))))
}

fn deny(policy: &Policy) -> Value {
    unless_empty(mapping([("users", unless_empty(texts(&policy.deny)))]))
}

fn token(token: &Token) -> Value {
    let (algorithm, secret) = match token.algorithm {
        Algorithm::Es256 => ("ES256", Value::Null),
        Algorithm::Hs256(_) => ("HS256", text(&REDACTED)),
    };
    let header = if token.bearer { "Authorization" } else { "X-Gatekeep-Jwt" };
    mapping([
        ("algorithm", text(&algorithm)),
        ("secret", secret),
        ("header", text(&header)),
        ("audience", token.audience.as_ref().map_or(Value::Null, |audience| text(audience))),
    ])
}

fn broker(broker: &Broker) -> Value {
    mapping([
        ("hosts", texts(&broker.hosts)),
        ("instances", list(broker.instances.iter().map(|one| instance(one)))),
    ])
}

fn instance(instance: &Instance) -> Value {
    let signing = instance.contract.signing();
    mapping([
        ("name", text(&instance.name)),
        ("contract", text(&instance.contract.word())),
        ("redirects", texts(&instance.redirects)),
        (
            "servers",
            if instance.servers.is_empty() { Value::Null } else { texts(&instance.servers) },
        ),
        ("allow", allow(&instance.route.policy)),
        ("deny", deny(&instance.route.policy)),
        ("key", signing.map_or(Value::Null, |_| text(&REDACTED))),
        ("lifetime", text(&span(instance.lifetime))),
        ("github_token", signing.map_or(github_token(instance), |_| Value::Null)),
        ("legacy_github_token", signing.map_or(Value::Null, |it| it.legacy_github_token.into())),
    ])
}

fn github_token(instance: &Instance) -> Value {
    match instance.github_token {
        GitHubToken::Nothing => false.into(),
        GitHubToken::Key => text(&"gateway"),
        GitHubToken::Real => true.into(),
    }
}

fn methods(methods: Option<&[http::Method]>) -> Value {
    methods.map_or(Value::Null, texts)
}

// === Values ===

/// A mapping without the keys that have nothing to say.
fn mapping<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let said = entries.into_iter().filter(|(_, value)| !value.is_null());
    Value::Mapping(said.map(|(key, value)| (key.into(), value)).collect::<Mapping>())
}

fn list(items: impl Iterator<Item = Value>) -> Value {
    Value::Sequence(items.collect())
}

fn texts<T: std::fmt::Display>(items: &[T]) -> Value {
    list(items.iter().map(|item| text(item)))
}

fn text(value: &dyn std::fmt::Display) -> Value {
    Value::String(value.to_string())
}

fn unless_empty(value: Value) -> Value {
    let empty = match &value {
        Value::Sequence(items) => items.is_empty(),
        Value::Mapping(entries) => entries.is_empty(),
        _ => false,
    };
    if empty { Value::Null } else { value }
}

/// `7d`, `90s`: the largest unit that divides the time.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let unit = [(86_400, "d"), (3600, "h"), (60, "m")];
    let unit = unit.into_iter().find(|(length, _)| seconds > 0 && seconds.is_multiple_of(*length));
    let (length, name) = unit.unwrap_or((1, "s"));
    format!("{}{name}", seconds / length)
}

/// `100MiB`, `1500`: the largest unit that divides the size.
pub(crate) fn size(bytes: u64) -> String {
    if bytes == u64::MAX {
        return "none".to_owned();
    }
    let unit = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = unit.into_iter().find(|(length, _)| bytes > 0 && bytes.is_multiple_of(*length));
    let (length, name) = unit.unwrap_or((1, ""));
    format!("{}{name}", bytes / length)
}

fn sign_in(sign_in: &InstanceSignIn) -> Value {
    mapping([("instance", text(&sign_in.instance)), ("by", text(&sign_in.by))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_written_as_people_do() {
        for (seconds, written) in
            [(0, "0s"), (30, "30s"), (90, "90s"), (86_400, "1d"), (604_800, "7d")]
        {
            assert_eq!(span(Duration::from_secs(seconds)), written);
        }
        for (bytes, written) in [(0, "0"), (1500, "1500"), (32_768, "32KiB"), (u64::MAX, "none")] {
            assert_eq!(size(bytes), written);
        }
    }
}
