//! The broker: instances of an app whose visitors sign in here, how each of them is spoken to, and
//! where a browser may carry what is for one of them.
//!
//! Each instance has a [`Route`] of its own, so that whoever signs in there passes the same door as
//! everybody else, with its policy.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::defence::{Defence, stands};
use crate::policy::Facts;
use crate::route::Route;
use crate::secret::Secret;

mod claims;
mod redirect;
mod token;

pub use claims::InstanceClaims;
pub use redirect::{BadRedirect, Redirect, Target};
pub use token::{InstanceToken, bearer};

/// `broker:`, as meant.
#[derive(Debug)]
pub struct Broker {
    /// Where its paths answer, and nothing else.
    pub hosts: Vec<Box<str>>,
    /// The instances, in the order of the configuration.
    pub instances: Vec<Arc<Instance>>,
}

/// One instance of an app.
#[derive(Debug)]
pub struct Instance {
    /// The operator's name for it.
    pub name: Box<str>,
    /// How it is spoken to.
    pub contract: Contract,
    /// Where browsers may be sent; no other instance has one of them, or one below it.
    pub redirects: Vec<Redirect>,
    /// Where its server asks from; empty for anywhere. A code names its instance, and whoever has it
    /// shows nothing else: an operator of another instance could have theirs redeem it.
    pub servers: Vec<IpNet>,
    /// Who may sign in there, as a route asks it. Nothing is forwarded by it.
    pub route: Arc<Route>,
    /// How long its tokens live.
    pub lifetime: Duration,
    /// What its server gets to ask GitHub's API with.
    pub github_token: GitHubToken,
}

/// What an instance's server gets to ask GitHub's API with, on behalf of a visitor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GitHubToken {
    /// Nothing.
    #[default]
    Nothing,
    /// A key for the gateway's own routes to GitHub's API: no token of GitHub leaves the gateway.
    Key,
    /// A token of GitHub.
    Real,
}

/// How an instance is spoken to.
#[derive(Debug)]
pub enum Contract {
    /// A one-time code by the browser, exchanged for a token that nobody reads.
    Control,
    /// A signed token by the browser, which the instance shows here again.
    OAuth(Signing),
    /// A signed token by the browser, which the instance checks itself.
    Seed(Signing),
}

/// How the tokens that browsers carry are signed.
#[derive(Debug)]
pub struct Signing {
    /// Shared with this instance alone.
    pub key: Secret<Vec<u8>>,
    /// Whether they hold the visitor's own token of GitHub, and not one of ours.
    pub legacy_github_token: bool,
}

/// Where an instance waits for a browser that installed the GitHub App.
const INSTALLED: &str = "/api/v1/github/app/callback";

/// Before an instance's name in that of its route: no route of the configuration has a colon.
pub const ROUTE_PREFIX: &str = "broker:";

// === impl Broker ===

impl Broker {
    /// Whether a host is the broker's.
    pub fn is_at(&self, host: &str) -> bool {
        self.hosts.iter().any(|own| **own == *host)
    }

    /// An instance by its name.
    pub fn named(&self, name: &str) -> Option<&Arc<Instance>> {
        self.instances.iter().find(|instance| *instance.name == *name)
    }

    /// The instance that a browser may be sent to with this target, and the place there: the usual one
    /// where the target names no path.
    pub fn place_of(&self, target: &Target) -> Option<(&Arc<Instance>, Target)> {
        self.instances.iter().find_map(|instance| {
            let place = target.clone().at_usual_path(instance.contract.usual_path());
            instance.takes(&place).then_some((instance, place))
        })
    }

    /// The facts that some policy asks for.
    pub fn facts(&self) -> Facts {
        let routes = self.instances.iter().map(|instance| &instance.route);
        routes.fold(Facts::default(), |facts, route| facts.and(route.facts()))
    }
}

// === impl Instance ===

impl Instance {
    /// Whether browsers may be sent to a target with what is for this instance.
    pub fn takes(&self, target: &Target) -> bool {
        self.redirects.iter().any(|redirect| redirect.covers(target))
    }

    /// Whether its server gets keys for the routes to GitHub's API.
    pub fn has_keys(&self) -> bool {
        matches!(self.contract, Contract::Control) && self.github_token == GitHubToken::Key
    }

    /// Whether a browser that installed the GitHub App may be sent to a target: where it may be sent
    /// anyway, and where an instance waits for it, if only the place of its sign-in is registered.
    pub fn takes_installed(&self, target: &Target) -> bool {
        let usual = self.contract.usual_path();
        let beside = |redirect: &Redirect| redirect.beside(usual, INSTALLED);
        self.takes(target)
            || self.redirects.iter().filter_map(beside).any(|place| place.covers(target))
    }

    /// Whether an address may be its server's. Who comes by a Unix socket has none.
    pub fn is_asked_from(&self, address: Option<IpAddr>) -> bool {
        let is_listed = |address| self.servers.iter().any(|network| network.contains(&address));
        self.servers.is_empty() || address.is_some_and(is_listed) || !stands(Defence::OwnServers)
    }

    /// Whether an origin, as it is written, is one of this instance's.
    pub fn is_audience(&self, origin: &str) -> bool {
        self.redirects.iter().any(|redirect| redirect.origin().to_string() == origin)
    }
}

// === impl Contract ===

impl Contract {
    /// The configuration's word for it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::OAuth(_) => "oauth",
            Self::Seed(_) => "seed",
        }
    }

    /// How its tokens are signed, where browsers carry signed ones.
    pub const fn signing(&self) -> Option<&Signing> {
        match self {
            Self::Control => None,
            Self::OAuth(signing) | Self::Seed(signing) => Some(signing),
        }
    }

    /// Where an instance waits for the browser when the target names no path.
    pub const fn usual_path(&self) -> &'static str {
        match self {
            Self::Control => "/api/v1/auth/control/callback",
            Self::OAuth(_) => "/api/v1/auth/oauth/callback",
            Self::Seed(_) => "/auth/callback",
        }
    }
}
