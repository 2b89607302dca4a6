//! Where browsers connect, what the gateway calls itself, and whether the two fit.

use std::net::SocketAddr;

use super::super::field::{At, Field};
use super::super::locate::Place;
use super::super::raw::{Listen, Raw, Route};
use super::super::report::Fault;
use super::super::scalar::Text;
use super::super::written::Upstream;
use super::super::{Listener, ListenerKind, ListenerPlace};
use super::Check;
use crate::origin::Origin;

/// Systems take some hundred bytes, and the socket is made under another name beside its own.
const LONGEST_SOCKET: usize = 90;

/// A socket's mode where nothing is said: for the gateway's own user alone.
const PRIVATE: u32 = 0o600;

/// Where GitHub's own clients look for its API.
const GITHUB_API: &str = "api.github.com";

// === impl Check ===

impl Check<'_> {
    /// The listeners: at least one, and no two in each other's way.
    pub(super) fn listeners(&mut self, raw: &Raw, whole: &Place) -> Option<Vec<Listener>> {
        let missing = || {
            Fault::new("`listen` is missing").note("write where browsers connect: `listen: [{ address: \"0.0.0.0:443\", tls: { … } }]`")
        };
        let at = self.required(&raw.listen, whole, missing)?;
        if at.value.is_empty() {
            self.problem(
                &at.place,
                Fault::new("`listen` lists no address").note("as in `- address: 0.0.0.0:443`"),
            );
        }
        let listeners: Vec<_> = at.value.iter().map(|item| self.listener(item)).collect();
        self.addresses_are_free(at.value.iter().filter_map(|item| item.value.address.given()));
        self.paths_are_free(at.value.iter().filter_map(|item| item.value.unix.given()));
        listeners.into_iter().collect()
    }

    fn listener(&mut self, item: &At<Listen>) -> Option<Listener> {
        let raw = &item.value;
        let place = match raw.unix.given() {
            Some(unix) => Some(self.socket(raw, unix)),
            None if !raw.unix.is_absent() => None,
            None => self.address(raw, &item.place),
        };
        self.http2_goes_with_tls(raw);
        let kind = self.listener_kind(raw);
        Some(Listener { place: place?, kind: kind? })
    }

    fn address(&mut self, raw: &Listen, whole: &Place) -> Option<ListenerPlace> {
        let missing = || {
            Fault::new("`address` is missing")
                .note("as in `address: 0.0.0.0:443`, or `unix: /run/gatekeep/gatekeep.sock`")
        };
        if let Some(mode) = raw.mode.given() {
            let fault = Fault::new("`mode` is for the file of a `unix` socket");
            self.problem(&mode.key, fault.help("leave it out"));
        }
        let address = self.required(&raw.address, whole, missing)?;
        Some(ListenerPlace::Address(address.value))
    }

    /// A socket of this machine: whoever may open its file, and nobody on the way.
    fn socket(&mut self, raw: &Listen, at: &At<Text>) -> ListenerPlace {
        if let Some(address) = raw.address.given() {
            let fault = Fault::new("a listener has an `address` or is a `unix` socket, not both");
            self.problem(&address.key, fault.note("make a listener of each"));
        }
        let tls = raw.tls.given().map(|at| ("tls", &at.key));
        let redirect = raw.redirect.given().map(|at| ("redirect", &at.key));
        for (name, key) in [tls, redirect].into_iter().flatten() {
            let fault = Fault::new(format!("`{name}` is not for a `unix` socket"));
            self.problem(
                key,
                fault.help("leave it out").note("what comes by the socket stays on this machine"),
            );
        }
        let path = self.path(&at.value.0);
        let length = path.as_os_str().len();
        if path.file_name().is_none() || at.value.0.ends_with('/') {
            let fault = Fault::new(format!("`{}` is no path of a file", at.value.0));
            self.problem(&at.place, fault.note("as in `unix: /run/gatekeep/gatekeep.sock`"));
        } else if length > LONGEST_SOCKET {
            let fault =
                Fault::new(format!("the path of a socket has {LONGEST_SOCKET} bytes at most"));
            self.problem(
                &at.place,
                fault.note(format!("this one has {length}: choose a shorter one")),
            );
        }
        let mode = raw.mode.given().map_or(PRIVATE, |mode| mode.value.0);
        ListenerPlace::Socket(path, mode)
    }

    fn listener_kind(&mut self, raw: &Listen) -> Option<ListenerKind> {
        if let (Some(_), Some(redirect)) = (raw.tls.given(), raw.redirect.given()) {
            let fault = Fault::new("a listener speaks TLS or redirects to it, not both");
            self.problem(
                &redirect.key,
                fault.note("give the redirect a listener of its own, on port 80"),
            );
        }
        if let Some(tls) = raw.tls.given() {
            if tls.value.0.is_empty() {
                self.problem(&tls.place, Fault::new("`tls` lists no certificate"));
            }
            let files: Vec<_> = tls.value.0.iter().map(|at| self.certificate(at)).collect();
            let certificates = files.into_iter().collect::<Option<_>>()?;
            let http2 = raw.http2.value() != Some(&false);
            return Some(ListenerKind::Tls { certificates, http2 });
        }
        // What is said and cannot be read is no plain listener.
        if !raw.tls.is_absent() {
            return None;
        }
        match &raw.redirect {
            Field::Absent => Some(ListenerKind::Plain),
            Field::Unreadable => None,
            Field::Given(_) => Some(ListenerKind::RedirectToHttps),
        }
    }

    fn http2_goes_with_tls(&mut self, raw: &Listen) {
        if let (Some(at), true) = (raw.http2.given(), raw.tls.is_absent()) {
            let fault = Fault::new("`http2` goes with `tls`");
            let note = "without it HTTP/1.1 is spoken anyway";
            self.problem(&at.key, fault.help("leave it out").note(note));
        }
    }

    /// A route in GitHub's own place is for clients that know no other, and some of them send what
    /// HTTP/2 has no place for.
    pub(super) fn githubs_own_clients_have_http1(&mut self, raw: &Raw) {
        let listen = raw.listen.items();
        let is_one_fit = listen.iter().any(|item| {
            let is_plain = item.value.tls.is_absent() && item.value.redirect.is_absent();
            is_plain || item.value.http2.value() == Some(&false)
        });
        let is_in_place = |route: &&At<Route>| {
            let host = route.value.host.value();
            host.is_some_and(|host| &*host.name == GITHUB_API)
                && matches!(route.value.upstream.value(), Some(Upstream::GitHub(_)))
        };
        if let (false, Some(route)) = (is_one_fit, raw.routes.items().iter().find(is_in_place))
            && let Some(host) = route.value.host.given()
        {
            let message = "clients that take this for GitHub itself may send `>` as it is, as Trackeep does; HTTP/2 has no place for it. Let them reach a listener with `http2: false`";
            self.report.warn(&host.place, message);
        }
    }

    fn addresses_are_free<'a>(&mut self, addresses: impl Iterator<Item = &'a At<SocketAddr>>) {
        let mut taken: Vec<(SocketAddr, &Place)> = Vec::new();
        for at in addresses {
            if let Some((other, place)) = taken.iter().find(|(other, _)| collide(*other, at.value))
            {
                let line = self.report.line(place);
                let fault =
                    Fault::new(format!("`{}` is taken by `{other}` in line {line}", at.value));
                self.problem(&at.place, fault.help("choose another port"));
            }
            taken.push((at.value, &at.place));
        }
    }

    fn paths_are_free<'a>(&mut self, paths: impl Iterator<Item = &'a At<Text>>) {
        let mut taken: Vec<&At<Text>> = Vec::new();
        for at in paths {
            let is_same = |other: &&&At<Text>| self.path(&other.value.0) == self.path(&at.value.0);
            if let Some(other) = taken.iter().find(is_same) {
                let line = self.report.line(&other.place);
                let fault = Fault::new(format!("`{}` is taken in line {line}", at.value.0));
                self.problem(&at.place, fault.help("choose another path"));
            }
            taken.push(at);
        }
    }

    /// The address for metrics and health, away from the public ones.
    pub(super) fn admin(&mut self, raw: &Raw) -> Option<SocketAddr> {
        let at = raw.admin.given()?;
        let listening = raw.listen.items().iter().filter_map(|item| item.value.address.given());
        if let Some(other) = listening.into_iter().find(|other| collide(other.value, at.value)) {
            let line = self.report.line(&other.place);
            let fault =
                Fault::new(format!("`admin` takes the address of a listener in line {line}"));
            self.problem(
                &at.place,
                fault.note(
                    "metrics are not for the public: use another port, as in `127.0.0.1:9900`",
                ),
            );
        }
        Some(at.value)
    }

    /// The gateway's own origin: `https`, unless nobody can listen in.
    pub(super) fn public_url(&mut self, raw: &Raw, whole: &Place) -> Option<Origin> {
        let missing = || {
            Fault::new("`public_url` is missing")
                .note("write the gateway's own address as browsers see it: `public_url: https://auth.example.com`")
        };
        let at = self.required(&raw.public_url, whole, missing)?;
        if !at.value.is_secure() {
            self.plain_http(raw, at);
        }
        Some(at.value.clone())
    }

    fn plain_http(&mut self, raw: &Raw, at: &At<Origin>) {
        let listen = raw.listen.items();
        let secure = at.value.to_string().replacen("http:", "https:", 1);
        let https = || Some(secure.as_str());
        let redirect = listen.iter().find_map(|item| item.value.redirect.given());
        if let Some(redirect) = redirect {
            let line = self.report.line(&redirect.place);
            let fault = Fault::new(format!(
                "`public_url` is plain http, and line {line} redirects to https"
            ));
            self.problem(&at.place, fault.suggest(https()));
        } else if !listen.is_empty() && listen.iter().all(|item| item.value.tls.given().is_some()) {
            let fault = Fault::new("`public_url` is plain http, and every listener speaks TLS");
            self.problem(&at.place, fault.suggest(https()));
        } else if !at.value.is_loopback() {
            self.insecure(
                raw.allow_insecure_http.value() == Some(&true),
                &at.place,
                &at.value.to_string(),
            );
        }
    }

    /// Plain http beyond this machine: refused, unless it is spelled out.
    pub(super) fn insecure(&mut self, allowed: bool, place: &Place, what: &str) {
        if allowed {
            let message =
                format!("sessions at {what} travel unencrypted, as `allow_insecure_http` says");
            self.report.warn(place, &message);
        } else {
            let fault = Fault::new(format!("sessions at {what} would travel unencrypted"));
            self.problem(
                place,
                fault
                    .note("use `https://`, with `tls` here or at a proxy in front")
                    .note("or spell it out: `allow_insecure_http: true`"),
            );
        }
    }
}

/// Whether two listeners cannot both have their address.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let everywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
    let family = one.is_ipv4() == other.is_ipv4();
    one.port() == other.port()
        && one.port() != 0
        && (one.ip() == other.ip() || (everywhere && family))
}
