//! The broker: its hosts, and the instances of an app whose visitors sign in here.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::super::field::{At, Field};
use super::super::locate::Place;
use super::super::raw::{Broker as RawBroker, Instance as RawInstance, Raw};
use super::super::report::Fault;
use super::super::scalar::LONGEST;
use super::super::written::GivenToken;
use super::routes::host_of;
use super::{Check, Gateway, secrets};
use crate::broker::{Broker, Contract, GitHubToken, Instance, ROUTE_PREFIX, Redirect, Signing};
use crate::passage::cors::Origins;
use crate::passage::permitted::Rules;
use crate::policy::Policy;
use crate::route::{
    ActsAs, Api, HostPattern, LimitStatus, Passing, PathPrefix, Route, Timeouts, Token, Upstream,
};
use crate::secret::Secret;

/// How an instance is spoken to, as written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Control,
    OAuth,
    Seed,
}

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

// === impl Check ===

impl Check<'_> {
    /// The broker, if there is one; `None` where what is written is no broker.
    #[expect(clippy::option_option, reason = "nothing is said, or what is said cannot be read")]
    pub(super) fn broker(&mut self, raw: &Raw, gateway: &Gateway) -> Option<Option<Arc<Broker>>> {
        let Some(at) = raw.broker.given() else { return raw.broker.is_absent().then_some(None) };
        let hosts = self.broker_hosts(at, raw, gateway);
        let missing = || {
            Fault::new("this broker has no `instances`")
                .note("name whom it speaks to: `instances: [{ name: home, redirects: [https://trackeep.example.com], allow: { orgs: [acme] } }]`")
        };
        let instances = self.required(&at.value.instances, &at.place, missing)?;
        if instances.value.is_empty() {
            let fault = Fault::new("`instances` lists none").help("name whom it speaks to");
            self.problem(&instances.place, fault);
        }
        self.instances_are_distinct(&instances.value);
        let host = hosts.as_ref().and_then(|hosts| hosts.first()).map(|host| &**host);
        let read: Vec<_> =
            instances.value.iter().map(|at| self.instance(at, host, gateway)).collect();
        self.keys_are_distinct(&read, &instances.value);
        let instances: Option<Vec<_>> = read.into_iter().collect();
        let instances = instances?.into_iter().map(Arc::new).collect();
        Some(Some(Arc::new(Broker { hosts: hosts?, instances })))
    }

    /// Its hosts, where no route answers.
    fn broker_hosts(
        &mut self,
        broker: &At<RawBroker>,
        raw: &Raw,
        gateway: &Gateway,
    ) -> Option<Vec<Box<str>>> {
        let missing = || {
            Fault::new("this broker has no `hosts`")
                .note("name where its paths answer: `hosts: [auth.example.com]`")
        };
        let at = self.required(&broker.value.hosts, &broker.place, missing)?;
        if at.value.is_empty() {
            let fault = Fault::new("`hosts` lists none").help("name where its paths answer");
            self.problem(&at.place, fault);
        }
        for host in &at.value {
            self.broker_host(host, raw, gateway);
        }
        Some(at.value.iter().map(|host| host.value.name.clone()).collect())
    }

    fn broker_host(&mut self, host: &At<HostPattern>, raw: &Raw, gateway: &Gateway) {
        if host.value.wildcard || host.value.port.is_some() {
            let fault = Fault::new(format!("`{}` is not one host", host.value));
            self.problem(&host.place, fault.suggest(Some(&host.value.name)));
        }
        let routes = raw.routes.items().iter();
        let mut placed = routes.filter_map(|at| Some((host_of(&at.value, gateway)?, &at.place)));
        let is_same = |(of_route, _): &(HostPattern, &Place)| {
            !of_route.wildcard && of_route.name == host.value.name
        };
        if let Some((_, place)) = placed.find(is_same) {
            let line = self.report.line(place);
            let fault = Fault::new(format!("the route in line {line} answers at this host"));
            self.problem(
                &host.place,
                fault.note(
                    "the broker's paths are at a host of their own, such as `auth.example.com`",
                ),
            );
        }
    }

    fn instance(
        &mut self,
        at: &At<RawInstance>,
        host: Option<&str>,
        gateway: &Gateway,
    ) -> Option<Instance> {
        let (raw, place) = (&at.value, &at.place);
        let missing = || {
            Fault::new("this instance has no `name`")
                .note("names are labels in logs, and visitors see them: `name: home`")
        };
        let name = self.required(&raw.name, place, missing).map(|at| at.value.0.as_str());
        let kinds = [("control", Kind::Control), ("oauth", Kind::OAuth), ("seed", Kind::Seed)];
        let kind = match raw.contract.given() {
            Some(_) => self.word(&raw.contract, "a contract", &kinds),
            None => raw.contract.is_absent().then_some(Kind::Control),
        };
        let redirects = self.redirects(raw, place);
        let servers = self.servers(raw, kind);
        let policy = self.instance_policy(raw, place);
        let lifetime = self.token_lifetime(raw, kind);
        let contract = kind.and_then(|kind| self.contract(raw, place, kind, gateway));
        let (name, host) = (name?, host?);
        Some(Instance {
            name: name.into(),
            contract: contract?,
            redirects: redirects?,
            servers,
            route: Arc::new(route(name, host, policy?)),
            lifetime,
            github_token: raw.github_token.value().map(|token| token.0).unwrap_or_default(),
        })
    }

    fn redirects(&mut self, raw: &RawInstance, place: &Place) -> Option<Vec<Redirect>> {
        let missing = || {
            Fault::new("this instance has no `redirects`").note(
                "name where browsers may be sent: `redirects: [https://trackeep.example.com]`",
            )
        };
        let at = self.required(&raw.redirects, place, missing)?;
        if at.value.is_empty() {
            let fault =
                Fault::new("`redirects` lists none").help("name where browsers may be sent");
            self.problem(&at.place, fault);
        }
        Some(at.value.iter().map(|at| at.value.clone()).collect())
    }

    /// Where the instance's server may ask from; anywhere where nothing is said.
    fn servers(&mut self, raw: &RawInstance, kind: Option<Kind>) -> Vec<IpNet> {
        let Some(at) = raw.servers.given() else { return Vec::new() };
        if at.value.is_empty() {
            let fault = Fault::new("`servers` lists none");
            let help = "name where the instance's server asks from, or leave it out";
            self.problem(&at.place, fault.help(help));
        }
        if kind == Some(Kind::Seed) {
            let fault = Fault::new("`servers` does not go with `contract: seed`");
            let note = "the server of such an instance asks nothing: browsers do, from anywhere";
            self.problem(&at.key, fault.help("leave it out").note(note));
        }
        at.value.iter().map(|at| at.value.0).collect()
    }

    fn instance_policy(&mut self, raw: &RawInstance, place: &Place) -> Option<Policy> {
        let missing = || {
            Fault::new("this instance does not say whom it lets in")
                .note("write `allow: { orgs: [acme] }`, or `allow: anyone` for anyone with a GitHub account")
        };
        let at = self.required(&raw.allow, place, missing)?;
        let deny = raw.deny.value().map_or(&[][..], |deny| deny.users.items());
        Some(self.allow(at, deny.iter().map(|at| at.value.clone()).collect()))
    }

    /// How long the instance's tokens live. One that a browser carries is read by whoever reads its
    /// history.
    fn token_lifetime(&mut self, raw: &RawInstance, kind: Option<Kind>) -> Duration {
        if kind.is_none_or(|kind| kind == Kind::Control) {
            return self.span_within(&raw.lifetime, 90 * DAY, HOUR..=LONGEST);
        }
        self.span_within(&raw.lifetime, HOUR, Duration::from_secs(60)..=7 * DAY)
    }

    fn contract(
        &mut self,
        raw: &RawInstance,
        place: &Place,
        kind: Kind,
        gateway: &Gateway,
    ) -> Option<Contract> {
        if kind == Kind::Control {
            self.says_nothing_of_signing(raw);
            self.key_opens_something(raw, gateway);
            return Some(Contract::Control);
        }
        if let Some(at) = given_token(raw) {
            let fault = Fault::new("`github_token` goes with `contract: control`");
            let note = "servers of the older contracts ask for none; their browsers carry it with `legacy_github_token`";
            self.problem(&at.key, fault.help("leave it out").note(note));
        }
        let legacy_github_token = raw.legacy_github_token.value() == Some(&true);
        if legacy_github_token && let Some(at) = raw.legacy_github_token.given() {
            let message = "visitors' own tokens of GitHub travel through addresses and browsers; whoever reads a history has them";
            self.report.warn(&at.key, message);
        }
        if !legacy_github_token && !gateway.has_api_route {
            let fault = Fault::new("the tokens of this instance would open nothing");
            self.problem(
                place,
                fault
                    .note("they hold an API key for the routes with `upstream: github`, and there are none: add one")
                    .note("or write `legacy_github_token: true`, which gives visitors' own tokens of GitHub away"),
            );
        }
        let missing = || {
            Fault::new("this instance has no `key`")
                .note("its tokens are signed with a key that it shares: `key: { env: HOME_KEY }`")
                .note(secrets::KEYGEN)
        };
        let key = self.required(&raw.key, place, missing)?;
        let key = self.strong_secret(key, secrets::verbatim)?;
        let signing = Signing { key, legacy_github_token };
        Some(if kind == Kind::OAuth { Contract::OAuth(signing) } else { Contract::Seed(signing) })
    }

    fn key_opens_something(&mut self, raw: &RawInstance, gateway: &Gateway) {
        let key = raw.github_token.given().filter(|at| at.value.0 == GitHubToken::Key);
        if let (Some(at), false) = (key, gateway.has_api_route) {
            let fault = Fault::new("the keys of this instance would open nothing");
            let note =
                "they are for the routes with `upstream: github`, and there are none: add one";
            self.problem(&at.place, fault.note(note));
        }
    }

    fn says_nothing_of_signing(&mut self, raw: &RawInstance) {
        let note =
            "its token is nothing that anybody reads, and its browsers carry a one-time code";
        let mut unfit = |key: Option<&Place>, name: &str| {
            if let Some(place) = key {
                let fault = Fault::new(format!("`{name}` does not go with `contract: control`"));
                self.problem(place, fault.help("leave it out").note(note));
            }
        };
        unfit(raw.key.given().map(|at| &at.key), "key");
        unfit(
            raw.legacy_github_token.given().filter(|at| at.value).map(|at| &at.key),
            "legacy_github_token",
        );
    }

    /// A target leads to one instance, and a name means one.
    fn instances_are_distinct(&mut self, instances: &[At<RawInstance>]) {
        for (index, later) in instances.iter().enumerate() {
            for earlier in &instances[..index] {
                self.names_differ(&earlier.value, &later.value);
                self.redirects_differ(&earlier.value, &later.value);
            }
        }
    }

    fn names_differ(&mut self, earlier: &RawInstance, later: &RawInstance) {
        if let (Some(one), Some(other)) = (earlier.name.given(), later.name.given())
            && one.value.0 == other.value.0
        {
            let line = self.report.line(&one.place);
            let name = &other.value.0;
            let fault =
                Fault::new(format!("the name `{name}` is taken by the instance in line {line}"));
            self.problem(&other.place, fault.help("choose another"));
        }
    }

    fn redirects_differ(&mut self, earlier: &RawInstance, later: &RawInstance) {
        for other in later.redirects.items() {
            let mut before = earlier.redirects.items().iter();
            if let Some(one) = before.find(|one| one.value.overlaps(&other.value)) {
                let line = self.report.line(&one.place);
                let fault = Fault::new(format!(
                    "this and `{}` in line {line} are the same place to some targets",
                    one.value
                ));
                self.problem(
                    &other.place,
                    fault.note("what is for one instance must not reach another"),
                );
            }
        }
    }

    /// Who shares a key with another instance can speak for it.
    fn keys_are_distinct(&mut self, read: &[Option<Instance>], raw: &[At<RawInstance>]) {
        let keys: Vec<_> = read.iter().map(|instance| instance.as_ref().and_then(key_of)).collect();
        for (index, later) in keys.iter().enumerate() {
            let Some(key) = later else { continue };
            let mut earlier = keys[..index].iter().flatten();
            let is_taken = earlier.any(|one| one.expose() == key.expose());
            if let (true, Some(at)) = (is_taken, raw[index].value.key.given()) {
                let fault = Fault::new("another instance has the same key");
                let note = "whoever runs one of them could speak for the visitors of the other";
                self.problem(&at.key, fault.help("give each its own").note(note));
            }
        }
    }
}

/// `github_token`, where something is to be given.
fn given_token(raw: &RawInstance) -> Option<&At<GivenToken>> {
    raw.github_token.given().filter(|at| at.value.0 != GitHubToken::Nothing)
}

fn key_of(instance: &Instance) -> Option<&Secret<Vec<u8>>> {
    instance.contract.signing().map(|signing| &signing.key)
}

/// What the one door asks of an instance's visitors. GitHub is asked in their own name.
fn route(name: &str, host: &str, policy: Policy) -> Route {
    Route {
        index: usize::MAX,
        name: format!("{ROUTE_PREFIX}{name}").into(),
        host: HostPattern { name: host.into(), wildcard: false, port: None },
        path: PathPrefix::new("/"),
        methods: None,
        upstream: Upstream::GitHub(Api {
            acts_as: ActsAs::Visitor,
            enterprise_paths: false,
            share: true,
            rules: Rules::default(),
            origins: Origins::Listed(vec![]),
            limit_status: LimitStatus::default(),
            cache_headers: false,
        }),
        parts: vec![],
        policy,
        public: vec![],
        rules: vec![],
        preset: None,
        sign_in: None,
        passing: Passing::default(),
        same_origin: false,
        loose_paths: false,
        token: Token::default(),
        body_limit: 0,
        timeouts: Timeouts::default(),
        preserve_host: true,
    }
}

/// Whether some route leads to GitHub's API.
pub(super) fn has_api_route(raw: &Raw) -> bool {
    use super::super::written::Upstream as Written;
    let upstream = |field: &Field<Written>| matches!(field.value(), Some(Written::GitHub(_)));
    raw.routes.items().iter().any(|at| upstream(&at.value.upstream))
}
