//! The routes: each by itself, with what it tells its app.

use std::time::Duration;

use super::super::field::{At, Field};
use super::super::locate::Place;
use super::super::raw::{Raw, Route as RawRoute, Timeouts as RawTimeouts, Token as RawToken};
use super::super::report::Fault;
use super::super::scalar::PlainPath;
use super::super::written::{Allow, Preset, Upstream};
use super::access::{all_public, methods};
use super::{Check, Gateway, secrets};
use crate::route::{Algorithm, HostPattern, PathPrefix, Route, Timeouts, Token};

/// Bodies up to here are taken where nothing is said: 100 MiB.
const BODY_LIMIT: u64 = 100 << 20;

// === impl Check ===

impl Check<'_> {
    /// All routes, at least one, and no two in each other's way.
    pub(super) fn routes(
        &mut self,
        raw: &Raw,
        whole: &Place,
        gateway: &Gateway,
    ) -> Option<Vec<Route>> {
        let missing = || {
            Fault::new("`routes` is missing").note(
                "name the apps behind the gateway: a `name`, an `upstream`, and whom to `allow`",
            )
        };
        let at = self.required(&raw.routes, whole, missing)?;
        if at.value.is_empty() {
            self.problem(
                &at.place,
                Fault::new("`routes` lists none").help("name the apps behind the gateway"),
            );
        }
        let routes: Vec<_> = at.value.iter().map(|route| self.route(route, gateway)).collect();
        self.clashes(&at.value, gateway);
        routes.into_iter().collect()
    }

    fn route(&mut self, at: &At<RawRoute>, gateway: &Gateway) -> Option<Route> {
        let (raw, place) = (&at.value, &at.place);
        let missing = || {
            Fault::new("this route has no `name`")
                .note("names are labels in logs and metrics: `name: notes`")
        };
        let name = self.required(&raw.name, place, missing).map(|at| at.value.0.as_str().into());
        let host = self.host(raw, gateway);
        let path = match raw.path.given() {
            Some(at) => Some(self.path_prefix(at, gateway)),
            None => raw.path.is_absent().then(|| PathPrefix::new("/")),
        };
        self.methods_are_some(&raw.methods);
        let upstream = self.upstream(raw, place, gateway);
        let parts = self.parts(raw, path.as_ref(), gateway);
        let public = self.public(raw, path.as_ref(), gateway);
        let everything = path.as_ref().is_some_and(|path| all_public(&public, path));
        let policy = self.policy(raw, place, everything || unreadable(&raw.public));
        let rules = self.rules(raw, path.as_ref(), gateway);
        let token = self.token(&raw.token);
        let timeouts = self.timeouts(&raw.timeouts);
        let passing = self.passing(raw);
        let preset = self.preset(raw);
        let sign_in = self.sign_in(raw);
        let upstream = upstream?;
        Some(Route {
            index: 0, // the table numbers them
            name: name?,
            host: host?,
            path: path?,
            methods: methods(&raw.methods),
            preset,
            sign_in,
            parts: parts?,
            passing,
            same_origin: raw.same_origin.value() == Some(&true),
            // GitHub tells an encoded slash from a slash.
            loose_paths: upstream.api().is_some() || raw.loose_paths.value() == Some(&true),
            upstream,
            policy: policy?,
            public,
            rules: rules?,
            token: token?,
            body_limit: raw.body_limit.value().map_or(BODY_LIMIT, |limit| limit.0),
            timeouts,
            preserve_host: raw.preserve_host.value() != Some(&false),
        })
    }

    fn host(&mut self, raw: &RawRoute, gateway: &Gateway) -> Option<HostPattern> {
        let host = host_of(raw, gateway)?;
        if let (Some(at), Some(own)) = (raw.host.given(), &gateway.public_url)
            && !own.is_secure()
        {
            let origin = crate::origin::Origin::new(false, &host.name, host.port.or(own.port()));
            // The gateway's own host has its say at `public_url`.
            if !origin.is_loopback() && origin.host() != own.host() {
                self.insecure(gateway.allow_insecure_http, &at.place, &origin.to_string());
            }
        }
        Some(host)
    }

    /// The preset whose keys are among the route's.
    fn preset(&mut self, raw: &RawRoute) -> Option<&'static str> {
        let at = raw.preset.given()?;
        let Preset::Trackeep(keys) = &at.value;
        if let Some(path) = raw.path.given().filter(|path| path.value.0 != "/") {
            let fault = Fault::new("a Trackeep is all of its host");
            self.problem(&path.place, fault.help("leave `path` out"));
        }
        if raw.upstream.given().is_some_and(|at| matches!(at.value, Upstream::GitHub(_))) {
            let fault = Fault::new("`preset: trackeep` is for a route to a Trackeep");
            self.problem(&at.key, fault.help("leave it out"));
        }
        let clients = keys.as_ref().and_then(|keys| keys.value.clients.given());
        let logs_in = keys.as_ref().and_then(|keys| keys.value.local_login.value());
        if let (Some(at), Some(true)) = (clients.filter(|at| !at.value), logs_in) {
            let fault =
                Fault::new("`local_login` takes every token of Trackeep's, keys among them");
            self.problem(&at.key, fault.help("leave `clients` out"));
        }
        let backend = keys.as_ref().and_then(|keys| keys.value.backend.given());
        let own = raw.parts.given().filter(|parts| parts.place != at.place);
        if let (Some(backend), Some(_)) = (backend, own) {
            let fault = Fault::new("the route's own `parts` take the place of `backend`");
            self.problem(&backend.key, fault.help("leave one of them out"));
        }
        let admins = keys.as_ref().and_then(|keys| keys.value.admins.given());
        if let Some(admins) = admins.filter(|at| matches!(at.value, Allow::Anyone)) {
            let fault = Fault::new("this makes everybody with a GitHub account an administrator");
            self.problem(&admins.place, fault.note("name them: `admins: { users: [octocat] }`"));
        }
        Some("trackeep")
    }

    /// How the app is told who the visitor is.
    fn token(&mut self, field: &Field<RawToken>) -> Option<Token> {
        let Some(at) = field.given() else { return field.is_absent().then(Token::default) };
        let headers = [("X-Gatekeep-Jwt", false), ("Authorization", true)];
        let bearer = self.word(&at.value.header, "a header for the token", &headers);
        let audience = at.value.audience.value().map(|text| text.0.as_str().into());
        let algorithm = self.algorithm(&at.value, &at.place)?;
        Some(Token { algorithm, bearer: bearer.unwrap_or(false), audience })
    }

    fn algorithm(&mut self, raw: &RawToken, place: &Place) -> Option<Algorithm> {
        let names = [("ES256", false), ("HS256", true)];
        let shared = !raw.algorithm.is_absent()
            && self.word(&raw.algorithm, "a way to sign tokens", &names)?;
        if shared {
            let missing = || {
                Fault::new("HS256 needs a `secret` that the app shares")
                    .note("as in `secret: { env: NOTES_JWT_SECRET }`; ES256 needs none, its public keys are published")
            };
            let secret = self.required(&raw.secret, place, missing)?;
            return self.strong_secret(secret, secrets::verbatim).map(Algorithm::Hs256);
        }
        if let Some(secret) = raw.secret.given() {
            let fault = Fault::new("ES256 signs with the gateway's own key and takes no `secret`");
            self.problem(&secret.key, fault.help("leave it out, or write `algorithm: HS256`"));
        }
        Some(Algorithm::Es256)
    }

    fn timeouts(&mut self, field: &Field<RawTimeouts>) -> Timeouts {
        let default = Timeouts::default();
        let Some(raw) = field.value() else { return default };
        let second = Duration::from_secs(1);
        Timeouts {
            connect: self.span(&raw.connect, default.connect, second),
            read: self.span(&raw.read, default.read, second),
            write: self.span(&raw.write, default.write, second),
            idle: self.span(&raw.idle, default.idle, second),
        }
    }
}

/// The host that a route answers for: its own, or the gateway's.
pub(super) fn host_of(raw: &RawRoute, gateway: &Gateway) -> Option<HostPattern> {
    match raw.host.given() {
        Some(at) => Some(at.value.clone()),
        None if raw.host.is_absent() => {
            let own = gateway.public_url.as_ref()?;
            Some(HostPattern { name: own.host().into(), wildcard: false, port: own.port() })
        }
        None => None,
    }
}

/// The path that a route begins at.
pub(super) fn path_of(raw: &RawRoute) -> Option<PathPrefix> {
    match raw.path.given() {
        Some(At { value: PlainPath(path), .. }) => Some(PathPrefix::new(path)),
        None => raw.path.is_absent().then(|| PathPrefix::new("/")),
    }
}

fn unreadable<T>(field: &Field<T>) -> bool {
    matches!(field, Field::Unreadable)
}
