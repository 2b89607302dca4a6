//! The gateway's own settings: session, limits, branding, log and the like.

use std::time::Duration;

use super::super::describe::span;
use super::super::field::Field;
use super::super::raw::Raw;
use super::super::report::Fault;
use super::super::scalar::PlainPath;
use super::super::{Branding, Limits, Recheck};
use super::Check;
use crate::log;
use crate::session::Lifetimes;

const DAY: Duration = Duration::from_secs(86_400);
/// What Pingora reads at most.
const MOST_HEADER_FIELDS: usize = 256;
/// Pingora's bound is one byte below a MiB.
const HEADER_BYTES: std::ops::RangeInclusive<usize> = 4 * 1024..=1023 * 1024;

// === impl Check ===

impl Check<'_> {
    pub(super) fn prefix(&mut self, field: &Field<PlainPath>) -> Box<str> {
        let Some(at) = field.given() else { return "/.gatekeep".into() };
        let prefix = at.value.0.trim_end_matches('/');
        if prefix.contains('*') {
            self.problem(
                &at.place,
                Fault::new("a prefix has no wildcards").help("leave out the `*`"),
            );
        }
        if prefix.is_empty() {
            let fault = Fault::new("the gateway's own pages cannot take every path")
                .suggest(Some("/.gatekeep"));
            self.problem(&at.place, fault);
        }
        prefix.into()
    }

    /// Where GitHub sends visitors back to.
    pub(super) fn callback_path(&mut self, raw: &Raw, prefix: &str) -> Box<str> {
        let at = raw.github.value().and_then(|github| github.callback_path.given());
        let Some(at) = at else { return format!("{prefix}/callback").into() };
        let path = at.value.0.as_str();
        if path == "/" || path.contains('*') {
            let fault = Fault::new(format!("`{path}` is not one path"));
            self.problem(&at.place, fault.suggest(Some("/auth/github/callback")));
        }
        path.into()
    }

    pub(super) fn session(&mut self, raw: &Raw) -> Lifetimes {
        let default = Lifetimes::default();
        let Some(session) = raw.session.value() else { return default };
        let lifetime = self.span(&session.lifetime, default.lifetime, Duration::from_secs(60));
        let idle = self.span(&session.idle, default.idle.min(lifetime), Duration::from_secs(60));
        let comparable = session.lifetime.is_absent() || session.lifetime.given().is_some();
        if let Some(at) = session.idle.given().filter(|_| comparable && idle > lifetime) {
            let line = session.lifetime.given().map(|at| self.report.line(&at.place));
            let whose = line.map_or("its default of 7d".to_owned(), |line| format!("line {line}"));
            let fault = Fault::new("a session cannot idle for longer than it lives");
            self.problem(
                &at.place,
                fault.note(format!("make `idle` shorter, or raise `lifetime` ({whose})")),
            );
        }
        Lifetimes { lifetime, idle }
    }

    /// How often GitHub is asked again during a session.
    pub(super) fn recheck(&mut self, raw: &Raw, lifetime: Duration) -> Recheck {
        let default =
            Recheck { every: Recheck::default().every.min(lifetime), ..Recheck::default() };
        let Some(session) = raw.session.value() else { return default };
        let minute = Duration::from_secs(60);
        let every = self.span(&session.recheck, default.every, minute);
        let comparable = session.lifetime.is_absent() || session.lifetime.given().is_some();
        if let Some(at) = session.recheck.given().filter(|_| comparable && every > lifetime) {
            let fault = Fault::new("no session lives long enough to be checked again");
            self.problem(&at.place, fault.help(format!("`{}` is the longest", span(lifetime))));
        }
        let grace = session.recheck_grace.value().map_or(default.grace, |span| span.0);
        Recheck { every, grace }
    }

    /// How often the key of identity tokens changes.
    pub(super) fn rotation(&mut self, raw: &Raw) -> Duration {
        let default = 30 * DAY;
        let Some(keys) = raw.signing_keys.value() else { return default };
        self.span_within(&keys.rotate, default, DAY..=365 * DAY)
    }

    pub(super) fn limits(&mut self, raw: &Raw) -> Limits {
        let mut meant = Limits::default();
        let Some(limits) = raw.limits.value() else { return meant };
        let count = |field: &Field<usize>, default| field.value().copied().unwrap_or(default);
        meant.connections = count(&limits.connections, meant.connections);
        let fewer = meant.connections_per_address.min(meant.connections);
        meant.connections_per_address = count(&limits.connections_per_address, fewer);
        meant.header_fields = count(&limits.header_fields, meant.header_fields);
        meant.header_timeout =
            self.span(&limits.header_timeout, meant.header_timeout, Duration::from_secs(1));
        if let Some(at) =
            limits.connections_per_address.given().filter(|at| at.value > meant.connections)
        {
            let fault = Fault::new(format!(
                "one address cannot have more connections than all together, {}",
                meant.connections
            ));
            self.problem(&at.place, fault.note("lower this, or raise `connections`"));
        }
        if let Some(at) = limits.header_fields.given().filter(|at| at.value > MOST_HEADER_FIELDS) {
            let fault =
                Fault::new(format!("at most {MOST_HEADER_FIELDS} header fields can be read"));
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

    pub(super) fn branding(&mut self, raw: &Raw) -> Branding {
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
                let fault =
                    Fault::new("a logo is an `https:` URL, a path, or an image in a `data:` URI");
                self.problem(
                    &at.place,
                    fault.note(
                        "as in `https://…/logo.svg`, `/logo.svg` or `data:image/svg+xml;base64,…`",
                    ),
                );
            }
        }
        meant
    }

    pub(super) fn log(&mut self, raw: &Raw) -> log::Settings {
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
                self.problem(
                    &at.place,
                    fault.note(
                        "as in `error`, `warn`, `info`, `debug`, `trace` or `info,gatekeep=debug`",
                    ),
                );
            }
        }
        meant
    }

    pub(super) fn threads(&mut self, raw: &Raw) -> usize {
        let available = std::thread::available_parallelism().map_or(1, usize::from);
        let Some(at) = raw.threads.given() else { return available };
        if at.value > 1024 {
            self.problem(
                &at.place,
                Fault::new("more than 1024 threads help nobody").help("leave it out"),
            );
        }
        at.value
    }
}

fn is_logo(text: &str) -> bool {
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && !b"\"'<>\\".contains(&b));
    let path = text.starts_with('/') && !text.starts_with("//");
    plain && (text.starts_with("https://") || path || text.starts_with("data:image/"))
}
