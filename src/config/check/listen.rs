//! Where browsers connect, what the gateway calls itself, and whether the two fit.

use std::net::SocketAddr;

use super::super::field::{At, Field};
use super::super::locate::Place;
use super::super::raw::{Listen, Raw};
use super::super::report::Fault;
use super::super::{Listener, ListenerKind};
use super::Check;
use crate::origin::Origin;

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
        listeners.into_iter().collect()
    }

    fn listener(&mut self, item: &At<Listen>) -> Option<Listener> {
        let raw = &item.value;
        let missing = || Fault::new("`address` is missing").note("as in `address: 0.0.0.0:443`");
        let address = self.required(&raw.address, &item.place, missing).map(|at| at.value);
        let kind = self.listener_kind(raw);
        Some(Listener { address: address?, kind: kind? })
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
            return files.into_iter().collect::<Option<_>>().map(ListenerKind::Tls);
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
