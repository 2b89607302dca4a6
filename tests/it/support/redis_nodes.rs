//! Two gateways on one Redis, each with a store, a clock and a memory of its own, and visitors who
//! keep their connections.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gatekeep::clock::{Clock, Manual};
use gatekeep::store::{Redis, RedisSettings};

use super::browser::{Browser, split};
use super::http::{Connection, Response};
use super::redis::RedisServer;
use super::toxic::Toxic;
use super::{Gate, World, yaml};

/// GitHub, an app, a Redis, and two gateways. The second reaches Redis through a proxy.
pub(crate) struct Nodes {
    /// With the first gateway.
    pub(crate) world: World,
    pub(crate) second: Gate,
    pub(crate) toxic: Toxic,
    pub(crate) redis: RedisServer,
}

/// Somebody who asks for one page again and again, on a connection that stays open.
pub(crate) struct Visitor {
    address: SocketAddr,
    request: String,
    connection: Option<Connection>,
}

/// What the answers said, and how many said so.
pub(crate) type Tally = BTreeMap<String, usize>;

// === impl Nodes ===

impl Nodes {
    /// `None` where there is no Redis. An operation on it may take `limit`.
    pub(crate) fn start(keys: &str, routes: &str, limit: Duration) -> Option<Self> {
        let redis = RedisServer::start("")?;
        let toxic = Toxic::before(redis.address());
        let near = |clock| Arc::new(store(&redis.url(), clock, limit));
        let world = World::build(keys, routes, |clock| near(clock));
        let yaml = yaml(&world.github, keys, &routes.replace("@APP@", world.app.url()));
        let second = Gate::start(&yaml, |clock| Arc::new(store(&toxic.url(), clock, limit)));
        second.clock.set(world.gate.clock.now());
        Some(Self { world, second, toxic, redis })
    }

    /// Both gateways.
    pub(crate) fn gates(&self) -> [&Gate; 2] {
        [&self.world.gate, &self.second]
    }

    /// One more gateway, which has seen nothing yet, right at Redis.
    pub(crate) fn fresh(&self, keys: &str, routes: &str) -> Gate {
        let yaml = yaml(&self.world.github, keys, &routes.replace("@APP@", self.world.app.url()));
        let limit = Duration::from_secs(5);
        let gate = Gate::start(&yaml, |clock| Arc::new(store(&self.redis.url(), clock, limit)));
        gate.clock.set(self.world.gate.clock.now());
        gate
    }

    /// Time passes, everywhere.
    pub(crate) fn advance(&self, span: Duration) {
        self.gates().iter().for_each(|gate| gate.clock.advance(span));
        self.world.github.advance(span);
    }

    /// So many visitors at each gateway, all with this browser's cookie.
    pub(crate) fn crowd(&self, browser: &Browser, url: &str, each: usize) -> Vec<Visitor> {
        let gates = self.gates();
        let visitor = |n: usize| Visitor::new(gates[n % 2], browser, url);
        (0..2 * each).map(visitor).collect()
    }
}

/// A store at a URL that goes by a gateway's clock.
pub(crate) fn store(url: &str, clock: Arc<Manual>, limit: Duration) -> Redis {
    let settings =
        RedisSettings { urls: vec![url.to_owned()], timeout: limit, ..RedisSettings::default() };
    Redis::connect(settings, clock).expect("good settings")
}

// === impl Visitor ===

impl Visitor {
    /// With the browser's session cookie, as a script that asks for JSON.
    pub(crate) fn new(gate: &Gate, browser: &Browser, url: &str) -> Self {
        let (host, target) = split(url);
        let mut request = format!(
            "GET {target} HTTP/1.1\r\nhost: {host}\r\naccept: application/json\r\n\
             sec-fetch-mode: cors\r\nsec-fetch-site: same-origin\r\n"
        );
        let session = browser.session(&host).expect("somebody signed in");
        write!(request, "cookie: __Host-gatekeep={session}\r\n\r\n").expect("memory is written");
        Self { address: gate.address, request, connection: None }
    }

    /// Asks once more; on a new connection if the gateway has closed the one of before.
    pub(crate) fn ask(&mut self) -> Response {
        if let Some(mut open) = self.connection.take()
            && let Some(response) = self.ask_on(&mut open)
        {
            self.connection = Some(open);
            return response;
        }
        let mut new = Connection::open(self.address);
        let response = self.ask_on(&mut new).expect("the gateway answers");
        self.connection = Some(new);
        response
    }

    fn ask_on(&self, connection: &mut Connection) -> Option<Response> {
        connection.send(self.request.as_bytes()).ok()?;
        connection.receive(false)
    }
}

/// All ask at once, each so many times.
pub(crate) fn all_ask(visitors: &mut [Visitor], times: usize) -> Tally {
    std::thread::scope(|scope| {
        let ask = |visitor: &mut Visitor| {
            let mut tally = Tally::new();
            for _ in 0..times {
                *tally.entry(words(&visitor.ask())).or_default() += 1;
            }
            tally
        };
        let asking: Vec<_> = visitors.iter_mut().map(|v| scope.spawn(move || ask(v))).collect();
        let mut all = Tally::new();
        for tally in asking.into_iter().map(|asked| asked.join().expect("answers")) {
            for (words, n) in tally {
                *all.entry(words).or_default() += n;
            }
        }
        all
    })
}

/// What an answer says: a status, with the reason where it is a refusal, and whatever a gateway may
/// never do to a visitor who is signed in.
pub(crate) fn words(response: &Response) -> String {
    let mut words = response.status.to_string();
    if response.status != 200 {
        words = format!("{words} {}", response.json()["reason"].as_str().unwrap_or("?"));
    }
    if response.status == 503 && response.header("retry-after").is_none() {
        words.push_str(", without Retry-After");
    }
    if response.all("set-cookie").count() > 0 {
        words.push_str(", with a cookie");
    }
    words
}

/// Who reached the app.
pub(crate) fn user(response: &Response) -> Option<String> {
    let json = (response.status == 200).then(|| response.json())?;
    Some(json["views"]["exact"]["x-forwarded-user"][0].as_str()?.to_owned())
}

/// The middle one and the longest.
pub(crate) fn middle_and_longest(mut spans: Vec<Duration>) -> (Duration, Duration) {
    spans.sort();
    (spans[spans.len() / 2], spans[spans.len() - 1])
}

/// Asks until it is so; how long that took since `begun`.
pub(crate) fn until(begun: Instant, what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    super::eventually(what, &mut is_so);
    begun.elapsed()
}
