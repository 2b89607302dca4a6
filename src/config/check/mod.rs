//! The check: from the configuration as written to the one that is meant, with every problem found
//! on the way. The only place where a configuration can fail.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::locate::Place;
use super::raw::{At, Field, Raw, Read};
use super::report::{Fault, Report};
use super::scalar::{PlainPath, Span, word};
use super::{Branding, Config, Limits, Problems, StoreKind};
use crate::log;
use crate::origin::Origin;
use crate::route::RouteTable;
use crate::session::Lifetimes;

mod access;
mod clash;
mod github;
mod listen;
mod routes;
mod secrets;
mod tls;
mod upstream;

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
    listening: Vec<SocketAddr>,
    allow_insecure_http: bool,
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
    let config = check.raw().and_then(|raw| check.config(&raw));
    let (mut config, warnings) = check.report.finish(config)?;
    config.warnings = warnings;
    Ok(config)
}

// === impl Check ===

impl Check<'_> {
    fn raw(&mut self) -> Option<Raw> {
        let node = self.report.read()?;
        Raw::read(&node, &mut self.report)
    }

    /// The whole. Each part is checked before the first that failed ends it.
    fn config(&mut self, raw: &Raw) -> Option<Config> {
        let listen = self.listeners(raw);
        let prefix = self.prefix(&raw.prefix);
        let public_url = self.public_url(raw);
        let admin = self.admin(raw);
        let keys = self.keys(raw);
        let github = self.github(raw);
        let session = self.session(raw);
        let limits = self.limits(raw);
        let branding = self.branding(raw);
        let log = self.log(raw);
        let threads = self.threads(raw);
        let gateway = Gateway {
            public_url: public_url.clone(),
            prefix: prefix.clone(),
            listening: listen.iter().flatten().map(|listener| listener.address).collect(),
            allow_insecure_http: raw.allow_insecure_http.value() == Some(&true),
        };
        let routes = self.routes(raw, &gateway);
        let trusted_proxies = raw.trusted_proxies.items().iter().map(|at| at.value.0).collect();
        Some(Config {
            listen: listen?,
            public_url: public_url?,
            prefix,
            admin,
            trusted_proxies,
            keys: keys?,
            github: github?,
            store: StoreKind::Memory,
            session,
            limits,
            branding,
            log,
            threads,
            grace: raw.grace.value().map_or(Duration::from_secs(30), |span| span.0),
            routes: RouteTable::new(routes?),
            warnings: Vec::new(),
        })
    }

    // -- small parts --

    fn prefix(&mut self, field: &Field<PlainPath>) -> Box<str> {
        let Some(at) = field.given() else { return "/.gatekeep".into() };
        let prefix = at.value.0.trim_end_matches('/');
        if prefix.is_empty() {
            let fault = Fault::new("the gateway's own pages cannot take every path").suggest(Some("/.gatekeep"));
            self.problem(&at.place, fault);
        }
        prefix.into()
    }

    fn session(&mut self, raw: &Raw) -> Lifetimes {
        let default = Lifetimes::default();
        let Some(session) = raw.session.value() else { return default };
        let lifetime = self.span(&session.lifetime, default.lifetime, Duration::from_secs(60));
        let idle = self.span(&session.idle, default.idle.min(lifetime), Duration::from_secs(60));
        let comparable = session.lifetime.is_absent() || session.lifetime.given().is_some();
        if let Some(at) = session.idle.given().filter(|_| comparable && idle > lifetime) {
            let line = session.lifetime.given().map(|at| self.report.line(&at.place));
            let whose = line.map_or("its default of 7d".to_owned(), |line| format!("line {line}"));
            let fault = Fault::new("a session cannot idle for longer than it lives");
            self.problem(&at.place, fault.note(format!("make `idle` shorter, or raise `lifetime` ({whose})")));
        }
        Lifetimes { lifetime, idle }
    }

    fn limits(&mut self, raw: &Raw) -> Limits {
        let mut meant = Limits::default();
        let Some(limits) = raw.limits.value() else { return meant };
        let count = |field: &Field<usize>, default| field.value().copied().unwrap_or(default);
        meant.connections = count(&limits.connections, meant.connections);
        let fewer = meant.connections_per_address.min(meant.connections);
        meant.connections_per_address = count(&limits.connections_per_address, fewer);
        meant.header_fields = count(&limits.header_fields, meant.header_fields);
        meant.header_timeout = self.span(&limits.header_timeout, meant.header_timeout, Duration::from_secs(1));
        if let Some(at) = limits.connections_per_address.given().filter(|at| at.value > meant.connections) {
            let fault = Fault::new(format!("one address cannot have more connections than all together, {}", meant.connections));
            self.problem(&at.place, fault.note("lower this, or raise `connections`"));
        }
        if let Some(at) = limits.header_fields.given().filter(|at| at.value > MOST_HEADER_FIELDS) {
            let fault = Fault::new(format!("at most {MOST_HEADER_FIELDS} header fields can be read"));
            self.problem(&at.place, fault.help("lower this"));
        }
        if let Some(at) = limits.header_bytes.given() {
            meant.header_bytes = usize::try_from(at.value.0).unwrap_or(usize::MAX);
            if !HEADER_BYTES.contains(&meant.header_bytes) {
                let fault = Fault::new("a header's bound lies between 4KiB and 1023KiB");
                self.problem(&at.place, fault.help("`32KiB` is the default"));
            }
        }
        meant
    }

    fn branding(&mut self, raw: &Raw) -> Branding {
        let mut meant = Branding::default();
        let Some(branding) = raw.branding.value() else { return meant };
        if let Some(at) = branding.name.given() {
            meant.name.clone_from(&at.value.0);
            if at.value.0.chars().count() > 60 || at.value.0.chars().any(char::is_control) {
                self.problem(&at.place, Fault::new("a name is one line of at most 60 characters"));
            }
        }
        if let Some(at) = branding.logo.given() {
            meant.logo = Some(at.value.0.clone());
            if !is_logo(&at.value.0) {
                let fault = Fault::new("a logo is an `https:` URL, a path, or an image in a `data:` URI");
                self.problem(&at.place, fault.note("as in `https://…/logo.svg`, `/logo.svg` or `data:image/svg+xml;base64,…`"));
            }
        }
        meant
    }

    fn log(&mut self, raw: &Raw) -> log::Settings {
        let mut meant = log::Settings::default();
        let Some(log) = raw.log.value() else { return meant };
        let formats = [("text", log::Format::Text), ("json", log::Format::Json)];
        if let Some(format) = self.word(&log.format, "a log format", &formats) {
            meant.format = format;
        }
        meant.access = log.access.value().copied().unwrap_or(meant.access);
        if let Some(at) = log.level.given() {
            meant.level.clone_from(&at.value.0);
            if tracing_subscriber::EnvFilter::try_new(&meant.level).is_err() {
                let fault = Fault::new(format!("`{}` is not a level or a filter", meant.level));
                self.problem(&at.place, fault.note("as in `error`, `warn`, `info`, `debug`, `trace` or `info,gatekeep=debug`"));
            }
        }
        meant
    }

    fn threads(&mut self, raw: &Raw) -> usize {
        let available = std::thread::available_parallelism().map_or(1, usize::from);
        let Some(at) = raw.threads.given() else { return available };
        if at.value > 1024 {
            self.problem(&at.place, Fault::new("more than 1024 threads help nobody").help("leave it out"));
        }
        at.value
    }
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
        let Some(at) = field.given() else { return default };
        if at.value.0 < least {
            self.problem(&at.place, Fault::new(format!("this is shorter than {}", super::describe::span(least))).help("make it longer"));
        }
        at.value.0
    }

    /// One of a few words.
    fn word<T: Clone>(
        &mut self,
        field: &Field<super::scalar::Text>,
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

/// What Pingora reads at most.
const MOST_HEADER_FIELDS: usize = 256;
/// Pingora's bound is one byte below a MiB.
const HEADER_BYTES: std::ops::RangeInclusive<usize> = 4 * 1024..=1023 * 1024;

fn is_logo(text: &str) -> bool {
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && !b"\"'<>\\".contains(&b));
    let path = text.starts_with('/') && !text.starts_with("//");
    plain && (text.starts_with("https://") || path || text.starts_with("data:image/"))
}
