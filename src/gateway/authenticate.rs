//! Who is asking: from the cookie or the API key to the session.

use std::sync::Arc;

use super::{Gateway, LiveSession, Request};
use crate::api_key::{ApiKey, Presented};
use crate::broker::{Instance, ROUTE_PREFIX};
use crate::cookie;
use crate::defence::{Defence, stands};
use crate::reason::Reason;
use crate::route::Route;
use crate::session::{SessionId, Standing};
use crate::store::Unavailable;

/// Three answers, as the store has three.
pub(super) enum Authenticated {
    /// This session, and it is good.
    Session(Arc<LiveSession>),
    /// Nobody, and why.
    Nobody(Reason),
    /// The store did not say.
    Unknown(Unavailable),
}

/// Session cookies that are looked at; a browser sends one.
const MOST_CANDIDATES: usize = 8;

// === impl Gateway ===

impl Gateway {
    /// Finds the session of a request. An API key decides alone: whoever shows one wants to be
    /// judged by it, and a bad one must not turn into a visitor by a cookie beside it.
    pub(super) async fn authenticate(&self, request: &Request<'_>) -> Authenticated {
        match Presented::by(request.headers) {
            Presented::Nothing => self.by_cookie(request).await,
            Presented::Key(key) => Box::pin(self.by_api_key(request, &key)).await,
            Presented::Nonsense => Authenticated::Nobody(Reason::BadApiKey),
        }
    }

    async fn by_api_key(&self, request: &Request<'_>, key: &ApiKey) -> Authenticated {
        let (config, now) = (request.config(), self.clock.now());
        let found = match self.sessions.find_api_key(&config.keys, key, now).await {
            Ok(found) => found,
            Err(unavailable) => {
                self.store_failed(request, &unavailable);
                return Authenticated::Unknown(unavailable);
            }
        };
        let good = found.filter(|live| live.standing(now, config.session) == Standing::Live);
        let Some(live) = good else { return Authenticated::Nobody(Reason::BadApiKey) };
        if !self.instance_still_admits(request, &live).await {
            return Authenticated::Nobody(Reason::BadApiKey);
        }
        self.note_use(request, &live);
        Authenticated::Session(live)
    }

    /// Whether the instance for which a key was made is there still, and admits its visitor. Keys that
    /// people made are for none.
    async fn instance_still_admits(&self, request: &Request<'_>, live: &Arc<LiveSession>) -> bool {
        let Some(name) = live.instance() else { return true };
        let broker = request.config().broker.as_ref();
        match broker.and_then(|broker| broker.named(name)) {
            Some(instance) if may_be_used(request, instance) => {
                self.admitted_by(request, instance, live.clone()).await.is_ok()
            }
            _ => false,
        }
    }

    /// Whether a session opens a route. A key opens what it names; one that an instance's server was
    /// given names nothing, and opens the routes to GitHub's API.
    pub(super) fn opens(request: &Request<'_>, live: &LiveSession, route: &Route) -> bool {
        live.opens(&route.name) || is_key_of_instance(request, live) && leads_to_github(route)
    }

    /// Finds the session of a request by its cookie. Of several cookies with the session's name (a neighbour can
    /// plant some where `__Host-` is not to be had) exactly one session must be good.
    async fn by_cookie(&self, request: &Request<'_>) -> Authenticated {
        let Some((candidates, count)) = candidates(request) else {
            return Authenticated::Nobody(Reason::AmbiguousCookie);
        };
        let mut found: Option<Arc<LiveSession>> = None;
        let why = if count == 0 { Reason::NoSession } else { Reason::SessionEnded };
        for value in &candidates[..count] {
            let live = match self.session_of(request, value).await {
                Ok(Some(live)) => live,
                Ok(None) => continue,
                Err(unavailable) => {
                    self.store_failed(request, &unavailable);
                    return Authenticated::Unknown(unavailable);
                }
            };
            match &found {
                Some(first) if first.key != live.key && stands(Defence::AmbiguousCookie) => {
                    return Authenticated::Nobody(Reason::AmbiguousCookie);
                }
                _ => found = Some(live),
            }
        }
        found.map_or(Authenticated::Nobody(why), |live| {
            self.note_use(request, &live);
            Authenticated::Session(live)
        })
    }

    async fn session_of(
        &self,
        request: &Request<'_>,
        cookie: &str,
    ) -> Result<Option<Arc<LiveSession>>, Unavailable> {
        let (config, host) = (request.config(), request.target.host());
        let mut found = request.last.recall(&config.keys, host, cookie);
        found = found.filter(|_| self.sessions.is_in_touch());
        if found.is_none() {
            let Some(id) = SessionId::parse(cookie) else { return Ok(None) };
            found = self.sessions.find(&config.keys, &id, host).await?;
            if let Some(live) = &found {
                request.last.remember(&config.keys, host, cookie, live);
            }
        }
        let Some(live) = found else { return Ok(None) };
        let now = self.clock.now();
        if live.standing(now, config.session) == Standing::Idle {
            // Here; perhaps not on another node.
            self.sessions.look_again(&config.keys, &live).await?;
        }
        Ok(Some(live).filter(|live| live.standing(now, config.session) == Standing::Live))
    }

    /// Writes the use of a session down, once a minute and beside the request.
    pub(super) fn note_use(&self, request: &Request<'_>, live: &Arc<LiveSession>) {
        if !live.touch(self.clock.now()) {
            return;
        }
        let (sessions, keys) = (self.sessions.clone(), request.config().keys.clone());
        let live = live.clone();
        tokio::spawn(async move {
            if let Err(unavailable) = sessions.write_seen(&keys, &live).await {
                tracing::warn!("a session's use could not be written down: {unavailable}");
            }
        });
    }
}

/// Whether a key for an instance counts here. One in a token that browsers carry always does; one that
/// its server was given is its server's.
fn may_be_used(request: &Request<'_>, instance: &Instance) -> bool {
    let is_its_servers = || instance.is_asked_from(request.client.address);
    instance.contract.signing().is_some() || instance.has_keys() && is_its_servers()
}

fn is_key_of_instance(request: &Request<'_>, live: &LiveSession) -> bool {
    let broker = request.config().broker.as_ref();
    let instance = broker.zip(live.instance()).and_then(|(broker, name)| broker.named(name));
    instance.is_some_and(|instance| instance.has_keys())
}

/// Instances have routes of their own, which lead nowhere.
fn leads_to_github(route: &Route) -> bool {
    route.upstream.api().is_some() && !route.name.starts_with(ROUTE_PREFIX)
}

/// The values of the session cookie and how many they are; `None` when they are too many.
fn candidates<'r>(request: &'r Request<'_>) -> Option<([&'r str; MOST_CANDIDATES], usize)> {
    let (mut values, mut count) = ([""; MOST_CANDIDATES], 0);
    for value in cookie::values(request.headers, request.jar().session()) {
        *values.get_mut(count)? = value;
        count += 1;
    }
    Some((values, count))
}
