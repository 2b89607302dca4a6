//! The check: from the configuration as written to the one that is meant, with every problem found
//! on the way. The only place where a configuration can fail.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use super::describe::span;
use super::field::{At, Field};
use super::locate::Place;
use super::preset;
use super::raw::Raw;
use super::report::{Fault, Report};
use super::scalar::{LONGEST, Span, Text, TrustedProxy, word};
use super::{Config, ListenerPlace, Problems};
use crate::keys::Keys;
use crate::origin::Origin;
use crate::route::RouteTable;

mod access;
mod app;
mod broker;
mod clash;
mod github;
mod github_api;
mod listen;
mod passing;
mod routes;
mod rules;
mod secrets;
mod settings;
mod sign_in;
mod store;
mod tls;
mod upstream;
mod weakness;
mod webhook;

/// What a check needs beside the text: where to report, and where to look.
struct Check<'c> {
    report: Report<'c>,
    /// Relative paths begin here.
    directory: &'c Path,
    env: &'c dyn Fn(&str) -> Option<String>,
}

/// What the routes need to know of the whole.
struct Gateway {
    public_url: Option<Origin>,
    prefix: Box<str>,
    listening: Vec<ListenerPlace>,
    allow_insecure_http: bool,
    /// Whether there is a GitHub App that can act for installations.
    has_app: bool,
    /// Whether some route leads to GitHub's API.
    has_api_route: bool,
}

/// Reads and checks a configuration.
pub(super) fn parse(
    file: &Path,
    yaml: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, Problems> {
    let yaml = yaml.strip_prefix('\u{feff}').unwrap_or(yaml);
    let directory = file.parent().unwrap_or(Path::new(""));
    let mut check = Check { report: Report::new(file, yaml), directory, env };
    let config = check.raw().and_then(|raw| check.config(&raw.value, &raw.place));
    let (mut config, warnings) = check.report.finish(config)?;
    config.warnings = warnings;
    Ok(config)
}

// === impl Check ===

impl Check<'_> {
    fn raw(&mut self) -> Option<At<Raw>> {
        let mut node = self.report.read()?;
        preset::expand(&mut node);
        At::read(&node, &mut self.report)
    }

    /// The whole. Each part is checked before the first that failed ends it.
    fn config(&mut self, raw: &Raw, whole: &Place) -> Option<Config> {
        let listen = self.listeners(raw, whole);
        let prefix = self.prefix(&raw.prefix);
        let public_url = self.public_url(raw, whole);
        let callback_path = self.callback_path(raw, &prefix);
        let admin = self.admin(raw);
        let masters = self.masters(raw, whole);
        let github = self.github(raw, whole);
        let store = self.store(raw);
        let cache = self.cache(raw);
        let session = self.session(raw);
        let recheck = self.recheck(raw, session.lifetime);
        let rotate_signing_keys = self.rotation(raw);
        let limits = self.limits(raw);
        let branding = self.branding(raw);
        let log = self.log(raw);
        let threads = self.threads(raw);
        let gateway = Gateway {
            public_url: public_url.clone(),
            prefix: prefix.clone(),
            listening: listen.iter().flatten().map(|listener| listener.place.clone()).collect(),
            allow_insecure_http: raw.allow_insecure_http.value() == Some(&true),
            has_app: raw.github.value().is_some_and(|github| !github.app.is_absent()),
            has_api_route: broker::has_api_route(raw),
        };
        let routes = self.routes(raw, whole, &gateway);
        self.githubs_own_clients_have_http1(raw);
        let broker = self.broker(raw, &gateway);
        self.instances_are_the_brokers(raw, broker.as_ref(), &gateway);
        let (trusted_proxies, trusts_sockets) = trusted(raw.trusted_proxies.items());
        let github = github?;
        Some(Config {
            listen: listen?,
            public_url: public_url?,
            prefix,
            callback_path,
            admin,
            trusted_proxies,
            trusts_sockets,
            keys: Keys::derive(&masters?, &github.realm()),
            github,
            store: store?,
            cache,
            session,
            recheck,
            rotate_signing_keys,
            limits,
            branding,
            log,
            threads,
            grace: raw.grace.value().map_or(Duration::from_secs(30), |span| span.0),
            routes: RouteTable::new(routes?),
            broker: broker?,
            warnings: Vec::new(),
        })
    }
}

/// The networks that are trusted, and whether Unix sockets are.
fn trusted(proxies: &[At<TrustedProxy>]) -> (Vec<IpNet>, bool) {
    let networks = proxies.iter().filter_map(|at| match at.value {
        TrustedProxy::Network(network) => Some(network),
        TrustedProxy::Sockets => None,
    });
    let sockets = |at: &At<TrustedProxy>| matches!(at.value, TrustedProxy::Sockets);
    (networks.collect(), proxies.iter().any(sockets))
}

// === Helpers of all parts ===

impl Check<'_> {
    fn problem(&mut self, place: &Place, fault: Fault) {
        self.report.problem(place, fault);
    }

    /// The value of a key that must be there. `place` is where its mapping stands.
    fn required<'f, T>(
        &mut self,
        field: &'f Field<T>,
        place: &Place,
        missing: impl FnOnce() -> Fault,
    ) -> Option<&'f At<T>> {
        if field.is_absent() {
            self.problem(place, missing());
        }
        field.given()
    }

    /// A duration that is not shorter than `least`.
    fn span(&mut self, field: &Field<Span>, default: Duration, least: Duration) -> Duration {
        self.span_within(field, default, least..=LONGEST)
    }

    /// A duration within bounds.
    fn span_within(
        &mut self,
        field: &Field<Span>,
        default: Duration,
        bounds: RangeInclusive<Duration>,
    ) -> Duration {
        let Some(at) = field.given() else { return default };
        let (least, most) = (span(*bounds.start()), span(*bounds.end()));
        if at.value.0 < *bounds.start() {
            let fault = Fault::new(format!("this is shorter than {least}"));
            self.problem(&at.place, fault.help("make it longer"));
        } else if at.value.0 > *bounds.end() {
            let fault = Fault::new(format!("this is longer than {most}"));
            self.problem(&at.place, fault.help("make it shorter"));
        }
        at.value.0
    }

    /// One of a few words.
    fn word<T: Clone>(
        &mut self,
        field: &Field<Text>,
        what: &str,
        known: &[(&str, T)],
    ) -> Option<T> {
        let at = field.given()?;
        word(&at.value.0, what, known).map_err(|fault| self.problem(&at.place, fault)).ok()
    }

    /// A path of the configuration, from where the configuration lies.
    fn path(&self, written: &str) -> PathBuf {
        self.directory.join(written)
    }
}
