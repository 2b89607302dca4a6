//! What can be written in more than one way: a secret or its place, whom to let in, a store,
//! what is behind a route.

use zeroize::Zeroize;

use super::field::{At, Field, Read, glued_key, space_is_missing};
use super::locate::{Node, Value};
use super::raw::{
    AllowLists, ApiKeys, BearerKeys, PresetKinds, RedisKeys, SecretPlace, StorePlaces,
    TrackeepKeys, UpstreamKinds,
};
use super::report::{Fault, Report};
use super::scalar::{Address, RedisAddress, Scalar, not};
use super::suggest::nearest;
use crate::broker::GitHubToken;

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
    /// Nobody at all.
    Nobody,
    /// Whoever is in one of the lists.
    Lists(Box<AllowLists>),
}

/// What is known of an app.
pub(super) enum Preset {
    /// It is a Trackeep; with what there is to say about it.
    Trackeep(Option<Box<At<TrackeepKeys>>>),
}

/// Tokens of an app's own.
pub(super) enum Bearer {
    /// Whatever they look like.
    Any,
    /// With what there is to say of them.
    Of(Box<BearerKeys>),
}

/// What an instance's server gets to ask GitHub with: `true`, `false` or `gateway`.
pub(super) struct GivenToken(pub(super) GitHubToken);

/// Where sessions are kept.
pub(super) enum Store {
    /// In this process.
    Memory,
    /// Elsewhere.
    Kept(Box<StorePlaces>),
}

/// How a Redis is reached.
pub(super) enum Redis {
    /// By its address alone.
    Address(RedisAddress),
    /// By all that there is to say.
    Keys(Box<RedisKeys>),
}

/// What is behind a route.
pub(super) enum Upstream {
    /// An app, by its address.
    App(Address),
    /// GitHub's API; with what there is to say about it.
    GitHub(Option<Box<At<ApiKeys>>>),
}

// === impl SecretSource ===

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

// === impl Allow ===

impl Read for Allow {
    fn read(node: &Node, report: &mut Report<'_>) -> Option<Self> {
        let fault = match (&node.value, node.text()) {
            (_, Some("anyone")) => return Some(Self::Anyone),
            (_, Some("nobody")) => return Some(Self::Nobody),
            (Value::Mapping(_), _) => {
                return AllowLists::read(node, report).map(Box::new).map(Self::Lists);
            }
            (_, Some(text)) => {
                not(text, "something to allow").suggest(nearest(text, ["anyone", "nobody"]))
            }
            _ => Fault::new("a list does not say whom it names"),
        };
        let way_out = "write `allow: anyone`, or who: `allow: { orgs: [acme], users: [octocat] }`";
        report.problem(&node.place, fault.note(way_out));
        None
    }
}

// === impl Preset ===

impl Read for Preset {
    fn read(node: &Node, report: &mut Report<'_>) -> Option<Self> {
        let fault = match (&node.value, node.text()) {
            (_, Some("trackeep")) => return Some(Self::Trackeep(None)),
            (Value::Mapping(_), _) => {
                let kinds = PresetKinds::read(node, report)?;
                match kinds.trackeep {
                    Field::Given(keys) => return Some(Self::Trackeep(Some(Box::new(keys)))),
                    // The report has said so.
                    Field::Unreadable => return None,
                    Field::Absent if names(node, "trackeep") => return Some(Self::Trackeep(None)),
                    Field::Absent => Fault::new("this does not say which preset is meant"),
                }
            }
            (_, Some(text)) => not(text, "a preset").suggest(nearest(text, ["trackeep"])),
            _ => Fault::new("a route has one preset, not a list of them"),
        };
        let way_out =
            "write `preset: trackeep`, or `preset: { trackeep: { admins: { users: [octocat] } } }`";
        report.problem(&node.place, fault.note(way_out));
        None
    }
}

fn names(node: &Node, key: &str) -> bool {
    matches!(&node.value, Value::Mapping(pairs) if pairs.iter().any(|(it, _)| it.text() == Some(key)))
}

// === impl Bearer ===

impl Read for Bearer {
    fn read(node: &Node, report: &mut Report<'_>) -> Option<Self> {
        let fault = match (&node.value, node.text()) {
            (_, Some("any")) => return Some(Self::Any),
            (Value::Mapping(_), _) => {
                return BearerKeys::read(node, report).map(Box::new).map(Self::Of);
            }
            (_, Some(text)) => not(text, "a kind of token").suggest(nearest(text, ["any"])),
            _ => Fault::new("a list does not say which tokens are taken"),
        };
        let way_out = "write `bearer: any`, or what they begin with: `bearer: { prefix: tk_ }`";
        report.problem(&node.place, fault.note(way_out));
        None
    }
}

// === impl GivenToken ===

impl Scalar for GivenToken {
    const WHAT: &'static str = "`true`, `false` or `gateway`";

    fn parse(text: &str) -> Result<Self, Fault> {
        if text == "gateway" {
            return Ok(Self(GitHubToken::Key));
        }
        match bool::parse(text) {
            Ok(true) => Ok(Self(GitHubToken::Real)),
            Ok(false) => Ok(Self(GitHubToken::Nothing)),
            Err(_) => Err(not(text, "a token to give")
                .suggest(nearest(text, ["gateway", "true", "false"]))
                .note("`gateway`: a key for the routes with `upstream: github`; `true`: GitHub's own token")),
        }
    }
}

// === impl Store, Redis ===

impl Read for Store {
    fn read(node: &Node, report: &mut Report<'_>) -> Option<Self> {
        let fault = match (&node.value, node.text()) {
            (_, Some("memory")) => return Some(Self::Memory),
            (Value::Mapping(_), _) => {
                return StorePlaces::read(node, report).map(Box::new).map(Self::Kept);
            }
            (_, Some(text)) => {
                if RedisAddress::hides(text) {
                    report.hide_scalar(&node.place, text);
                }
                not_a_store(text)
            }
            _ => Fault::new("sessions are kept in one store, not in a list of them"),
        };
        let way_out = "write `memory`, `{ embedded: /var/lib/gatekeep }` or `{ redis: rediss://redis.example.com }`";
        report.problem(&node.place, fault.note(way_out));
        None
    }
}

/// What is wrong with a word where a store belongs.
fn not_a_store(text: &str) -> Fault {
    if let Some(key) = glued_key(text, &["embedded", "redis"]).filter(|_| !is_address(text)) {
        return space_is_missing(key);
    }
    match text {
        "embedded" => Fault::new("`embedded` needs a directory"),
        "redis" => Fault::new("`redis` needs an address"),
        // The address may hold a password.
        _ if is_address(text) => {
            Fault::new("an address is not a store by itself").help("write `{ redis: … }` around it")
        }
        _ if text.starts_with(['/', '.']) => {
            not(text, "a store").suggest(Some(&format!("{{ embedded: {text} }}")))
        }
        _ => not(text, "a store").suggest(nearest(text, ["memory"])),
    }
}

fn is_address(text: &str) -> bool {
    text.split_once(':').is_some_and(|(_, rest)| rest.starts_with("//"))
}

impl Read for Redis {
    fn read(node: &Node, report: &mut Report<'_>) -> Option<Self> {
        match &node.value {
            Value::Mapping(_) => RedisKeys::read(node, report).map(Box::new).map(Self::Keys),
            Value::Sequence(items) => {
                for item in items.iter().filter(|item| item.text().is_some_and(RedisAddress::hides))
                {
                    report.hide_all(item);
                }
                let fault = Fault::new("several addresses do not say what they are");
                report.problem(
                    &node.place,
                    fault
                        .note("sentinels: `redis: { url: […], sentinel: mymaster }`")
                        .note("nodes of a cluster: `redis: { url: […], cluster: true }`"),
                );
                None
            }
            _ => RedisAddress::read(node, report).map(Self::Address),
        }
    }
}

// === impl Upstream ===

impl Read for Upstream {
    fn read(node: &Node, report: &mut Report<'_>) -> Option<Self> {
        match (&node.value, node.text()) {
            (_, Some("github")) => Some(Self::GitHub(None)),
            (Value::Mapping(_), _) => {
                let kinds = UpstreamKinds::read(node, report)?;
                match kinds.github {
                    Field::Given(keys) => Some(Self::GitHub(Some(Box::new(keys)))),
                    // The report has said so.
                    Field::Unreadable => None,
                    Field::Absent => {
                        let fault = Fault::new("this does not say what is behind the route");
                        report.problem(&node.place, fault.note(UPSTREAMS));
                        None
                    }
                }
            }
            _ => Address::read(node, report).map(Self::App),
        }
    }
}

/// The ways to write an upstream.
const UPSTREAMS: &str =
    "write where the app listens: `upstream: http://127.0.0.1:8080`, or `upstream: github`";
