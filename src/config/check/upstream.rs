//! The app behind a route: where it listens, and how it is trusted.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::ListenerPlace;
use super::super::field::{At, Field};
use super::super::locate::Place;
use super::super::raw::{Part as RawPart, Route, UpstreamTls as RawTls};
use super::super::report::Fault;
use super::super::scalar::{Text, not};
use super::super::suggest::nearest;
use super::super::written::Upstream as Raw;
use super::{Check, Gateway};
use crate::origin::Origin;
use crate::route::{App, Part, PathPrefix, Upstream, UpstreamAddress, UpstreamTls};
use crate::target::parse_host;

/// An upstream as written.
enum Written {
    Http(Origin),
    Unix(PathBuf),
}

/// `upstream_tls` as far as it says something.
#[derive(Default)]
struct Trust {
    name: Option<Box<str>>,
    ca: Option<Arc<Vec<u8>>>,
}

// === impl Check ===

impl Check<'_> {
    /// What is behind a route: an app, or GitHub's API.
    pub(super) fn upstream(
        &mut self,
        route: &Route,
        place: &Place,
        gateway: &Gateway,
    ) -> Option<Upstream> {
        if let Some(Raw::GitHub(keys)) = route.upstream.value() {
            return Some(Upstream::GitHub(self.github_api(route, keys.as_deref(), gateway)));
        }
        let missing = || {
            Fault::new("this route has no `upstream`")
                .note("write where the app listens: `upstream: http://127.0.0.1:8080`")
        };
        let at = self.required(&route.upstream, place, missing)?;
        self.server(at, &route.upstream_tls, &gateway.listening).map(Upstream::App)
    }

    /// What other servers answer of an app.
    pub(super) fn parts(
        &mut self,
        route: &Route,
        inside: Option<&PathPrefix>,
        gateway: &Gateway,
    ) -> Option<Vec<Part>> {
        if let (Some(parts), Some(Raw::GitHub(_))) = (route.parts.given(), route.upstream.value()) {
            let fault = Fault::new("GitHub's API has no `parts`");
            self.problem(&parts.key, fault.help("leave them out"));
        }
        let parts = route.parts.items().iter();
        let read: Vec<_> = parts.map(|at| self.part(at, inside, gateway)).collect();
        read.into_iter().collect()
    }

    fn part(
        &mut self,
        at: &At<RawPart>,
        inside: Option<&PathPrefix>,
        gateway: &Gateway,
    ) -> Option<Part> {
        let raw = &at.value;
        let missing = || Fault::new("this part has no `paths`").note("as in `paths: [/api]`");
        let given = self.required(&raw.paths, &at.place, missing);
        if given.is_some_and(|given| given.value.is_empty()) {
            self.problem(&at.place, missing());
        }
        let paths = raw.paths.items().iter();
        let paths = paths.map(|path| self.path_inside(path, inside, gateway)).collect();
        let missing = || {
            Fault::new("this part has no `upstream`")
                .note("write where it is answered: `upstream: http://127.0.0.1:8081`")
        };
        let upstream = self.required(&raw.upstream, &at.place, missing)?;
        if matches!(upstream.value, Raw::GitHub(_)) {
            let fault = Fault::new("GitHub's API is no part of an app");
            self.problem(&upstream.place, fault.help("give it a route of its own"));
        }
        let app = self.server(upstream, &raw.upstream_tls, &gateway.listening)?;
        given.map(|_| Part { paths, app })
    }

    /// One server of an app; `listening` are the gateway's own addresses.
    fn server(
        &mut self,
        at: &At<Raw>,
        tls: &Field<RawTls>,
        listening: &[ListenerPlace],
    ) -> Option<App> {
        let Raw::App(text) = &at.value else { return None };
        let written = written(&text.0).map_err(|fault| self.problem(&at.place, fault)).ok();
        let secure = matches!(&written, Some(Written::Http(origin)) if origin.is_secure());
        if let (Some(tls), Some(_), false) = (tls.given(), &written, secure) {
            let fault = Fault::new("`upstream_tls` is for an upstream that speaks TLS");
            self.problem(&tls.key, fault.help("leave it out, or write `upstream: https://…`"));
        }
        let trust = self.trust(tls);
        let address = address(written?);
        self.is_not_ourselves(&address, &at.place, listening);
        Some(App { tls: secure.then(|| trust.of(&address)), address })
    }

    /// What is said of TLS. What cannot be used is reported and left out.
    fn trust(&mut self, field: &Field<RawTls>) -> Trust {
        let Some(raw) = field.value() else { return Trust::default() };
        Trust {
            name: raw.server_name.given().and_then(|at| self.server_name(at)),
            ca: raw.ca.given().and_then(|at| self.authorities(at)),
        }
    }

    fn server_name(&mut self, at: &At<Text>) -> Option<Box<str>> {
        if let Ok((name, None)) = parse_host(at.value.0.as_bytes()) {
            return Some(name.as_ref().into());
        }
        let fault = not(&at.value.0, "a name in a certificate");
        self.problem(&at.place, fault.note("as in `internal.example`, without scheme or port"));
        None
    }

    fn authorities(&mut self, at: &At<Text>) -> Option<Arc<Vec<u8>>> {
        self.chain(at)?;
        self.pem_file(at).map(Arc::new)
    }

    /// A gateway that forwards to itself answers nobody.
    fn is_not_ourselves(
        &mut self,
        address: &UpstreamAddress,
        place: &Place,
        listening: &[ListenerPlace],
    ) {
        let here = |listener: &&ListenerPlace| match (address, listener) {
            (UpstreamAddress::Tcp { host, port }, ListenerPlace::Address(listener)) => {
                listener.port() == *port && reaches(host, listener.ip())
            }
            (UpstreamAddress::Unix(path), ListenerPlace::Socket(listener, _)) => path == listener,
            _ => false,
        };
        if let Some(listener) = listening.iter().find(here) {
            let fault = Fault::new(format!(
                "the gateway itself listens at {listener}: it would forward to itself"
            ));
            self.problem(place, fault.help("name the app's address"));
        }
    }
}

/// Whether a host of this machine is an address that is listened to.
fn reaches(host: &str, listener: IpAddr) -> bool {
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(ip) => ip == listener || (ip.is_loopback() && listener.is_unspecified()),
        Err(_) => host == "localhost" && (listener.is_loopback() || listener.is_unspecified()),
    }
}

/// Reads `http://host:port`, `https://host:port` or `unix:/path`.
fn written(text: &str) -> Result<Written, Fault> {
    if let Some(path) = text.strip_prefix("unix:") {
        if Path::new(path).is_absolute() {
            return Ok(Written::Unix(path.into()));
        }
        let fault = not(text, "a Unix socket");
        return Err(fault.note("write its absolute path: `unix:/run/app.sock`"));
    }
    if let Ok(origin) = text.parse::<Origin>() {
        return match parse_host(text.rsplit('/').next().unwrap_or(text).as_bytes()) {
            Ok((_, Some(0))) => {
                Err(Fault::new("nothing listens on port 0").help("name the app's port"))
            }
            _ => Ok(Written::Http(origin)),
        };
    }
    Err(not_an_upstream(text))
}

/// What is wrong with an upstream, and what may be meant.
fn not_an_upstream(text: &str) -> Fault {
    let fault = not(text, "an upstream");
    let note = "as in `http://127.0.0.1:8080`, `https://app.internal`, `unix:/run/app.sock`, or `github` for its API";
    let Some((scheme, rest)) = text.split_once("://") else {
        let meant = format!("http://{text}");
        let address = text.contains([':', '.']) && meant.parse::<Origin>().is_ok();
        let meant = address.then_some(meant.as_str()).or_else(|| nearest(text, ["github"]));
        return fault.suggest(meant).note(note);
    };
    if !matches!(scheme, "http" | "https") {
        return fault
            .note(note)
            .note("apps are spoken to in HTTP/1.1; WebSockets pass through `http://`");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    if authority.contains('@') {
        return Fault::new("an upstream takes no user name and no password")
            .help("leave out what is before `@`");
    }
    let origin = format!("{scheme}://{authority}").parse::<Origin>();
    match origin.ok().filter(|_| authority.len() < rest.len()) {
        Some(origin) => Fault::new("an upstream is an address without a path")
            .suggest(Some(&origin.to_string()))
            .note("the app gets the path that the browser asked for"),
        None => fault.note(note),
    }
}

fn address(written: Written) -> UpstreamAddress {
    match written {
        Written::Unix(path) => UpstreamAddress::Unix(path),
        Written::Http(origin) => {
            let own = if origin.is_secure() { 443 } else { 80 };
            UpstreamAddress::Tcp { host: origin.host().into(), port: origin.port().unwrap_or(own) }
        }
    }
}

// === impl Trust ===

impl Trust {
    /// The certificate names the upstream's host, unless it is said to name another.
    fn of(self, address: &UpstreamAddress) -> UpstreamTls {
        let host = match address {
            UpstreamAddress::Tcp { host, .. } => host.trim_matches(['[', ']']),
            UpstreamAddress::Unix(_) => "",
        };
        UpstreamTls { server_name: self.name.unwrap_or_else(|| host.into()), ca: self.ca }
    }
}
