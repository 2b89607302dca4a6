//! What is held outlives the gateway: after a restart, and on another node, GitHub confirms it for
//! nothing. For whom it was shown, and for nobody else.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gatekeep::clock::{Clock, Manual};
use gatekeep::config::Config;
use gatekeep::metrics::Metrics;
use gatekeep::simulator::Trouble;
use gatekeep::store::{
    HeldResponses, Keeping, KeptResponses, Memory, Principal, Store, Stores, Table,
    response_conformance,
};
use tempfile::TempDir;

use super::ROUTES;
use super::room::{Room, STORED, UNCHANGED, Visitor, account, validator};
use crate::support::browser::Browser;
use crate::support::redis::{self, RedisServer};
use crate::support::{Gate, World, eventually, redis_nodes, yaml};

const SECRET: &str = "/repos/acme/rocket";
const ISSUE: &str = "/repos/octocat/hello-world/issues/1";
const STALE: Option<&str> = Some("upstream-error");

/// A machine whose disk outlives the gateway on it.
struct Machine {
    room: Room,
    keys: String,
    directory: TempDir,
}

// === impl Machine ===

impl Machine {
    fn new(cache: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = directory.path().join("store");
        let keys = format!("store: {{ embedded: '{}' }}\n{cache}", store.display());
        let room = Room::within(World::configured(&keys, ROUTES));
        Self { room, keys, directory }
    }

    fn signed_in(&self, login: &str) -> Browser {
        self.room.visitor(login).browser
    }

    /// A visitor at the gateway that runs now.
    fn visitor(&self, browser: &Browser, login: &str) -> Visitor<'_> {
        self.room.at(browser.at(self.room.world.gate.address), login)
    }

    fn restart(&mut self, meanwhile: impl FnOnce(&Self)) {
        let world = &mut self.room.world;
        let routes = ROUTES.replace("@APP@", world.app.url());
        let now = world.gate.clock.now();
        // Another stands in, so that the first lets go of its files.
        let elsewhere = yaml(&world.github, "", &routes);
        world.gate = Gate::start(&elsewhere, |clock| Arc::new(Memory::new(clock)));
        meanwhile(self);
        let world = &mut self.room.world;
        world.gate = Gate::configured(&yaml(&world.github, &self.keys, &routes));
        world.gate.clock.set(now);
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("store/github.redb")
    }
}

fn break_github(room: &Room) {
    room.world.github.knobs().on("/repos", Trouble::Refuse);
}

// === A restart ===

#[test]
fn after_a_restart_what_is_held_is_confirmed_for_nothing() {
    let mut machine = Machine::new("");
    let octocat = machine.signed_in("octocat");
    let mut before = machine.visitor(&octocat, "octocat");
    let first = before.get(ISSUE);
    assert_eq!((first.status, account(&first)), (200, STORED));
    machine.restart(|_| ());
    let mut after = machine.visitor(&octocat, "octocat");
    let again = after.get(ISSUE);
    assert_eq!((again.status, account(&again)), (200, UNCHANGED));
    assert_eq!((&again.body, again.header("etag")), (&first.body, first.header("etag")));
    let asked = after.asked(ISSUE);
    assert_eq!((asked.len(), asked[1].status, after.charged(ISSUE)), (2, Some(304), 1));
    assert!(validator(&asked[1]).is_some());
    assert_eq!(machine.room.count("gatekeep_github_cache_restored_total"), 1);
}

/// What has changed meanwhile, the new process does not know.
#[test]
fn after_a_restart_nothing_is_fresh() {
    let mut machine = Machine::new("");
    let octocat = machine.signed_in("octocat");
    let mut before = machine.visitor(&octocat, "octocat");
    assert_eq!(account(&before.get("/meta")), STORED);
    assert_eq!(account(&before.get("/meta")), "gatekeep; hit; ttl=3600");
    machine.restart(|_| ());
    let mut after = machine.visitor(&octocat, "octocat");
    assert_eq!(account(&after.get("/meta")), UNCHANGED);
    assert_eq!(account(&after.get("/meta")), "gatekeep; hit; ttl=3600", "and then it is");
}

#[test]
fn after_a_restart_everybody_has_their_own_answers_alone() {
    let mut machine = Machine::new("");
    let (octocat, stranger) = (machine.signed_in("octocat"), machine.signed_in("stranger"));
    let secret = machine.visitor(&octocat, "octocat").get(SECRET);
    assert_eq!(secret.status, 200);
    machine.restart(|_| ());
    break_github(&machine.room);
    let nothing = machine.visitor(&stranger, "stranger").get(SECRET);
    assert_eq!(nothing.status, 502);
    assert!(!nothing.text().contains("rocket"), "{}", nothing.text());
    let old = machine.visitor(&octocat, "octocat").get(SECRET);
    assert_eq!((old.status, old.header("x-gatekeep-stale")), (200, STALE));
    assert_eq!(old.body, secret.body);
}

#[test]
fn what_was_forgotten_stays_forgotten_over_a_restart() {
    let mut machine = Machine::new("");
    let octocat = machine.signed_in("octocat");
    let mut before = machine.visitor(&octocat, "octocat");
    assert_eq!((before.get(SECRET).status, before.get(ISSUE).status), (200, 200));
    machine.room.world.github.remove_collaborator("acme/rocket", "octocat");
    assert_eq!(before.get(SECRET).status, 404);
    machine.restart(|_| ());
    break_github(&machine.room);
    let mut after = machine.visitor(&octocat, "octocat");
    assert_eq!(after.get(SECRET).status, 502);
    let kept = after.get(ISSUE);
    assert_eq!((kept.status, kept.header("x-gatekeep-stale")), (200, STALE), "control");
}

#[test]
fn a_damaged_file_of_answers_costs_the_answers_and_nobody_s_session() {
    let mut machine = Machine::new("");
    let octocat = machine.signed_in("octocat");
    assert_eq!(account(&machine.visitor(&octocat, "octocat").get(ISSUE)), STORED);
    machine.restart(|machine| {
        std::fs::write(machine.file(), [7; 10_000]).expect("it can be written");
    });
    let mut after = machine.visitor(&octocat, "octocat");
    assert_eq!(account(&after.get(ISSUE)), STORED);
    machine.restart(|_| ());
    let mut after = machine.visitor(&octocat, "octocat");
    assert_eq!(account(&after.get(ISSUE)), UNCHANGED, "the new file is a good one");
}

#[test]
fn answers_can_be_kept_out_of_the_store() {
    let mut machine = Machine::new("cache: { persist: false }\n");
    let octocat = machine.signed_in("octocat");
    let mut before = machine.visitor(&octocat, "octocat");
    assert_eq!(account(&before.get(ISSUE)), STORED);
    assert_eq!(account(&before.get(ISSUE)), UNCHANGED);
    machine.restart(|_| ());
    let mut after = machine.visitor(&octocat, "octocat");
    assert_eq!(account(&after.get(ISSUE)), STORED);
    assert!(!machine.file().exists());
}

#[test]
fn no_file_holds_a_token_or_what_was_answered() {
    let mut machine = Machine::new("");
    let octocat = machine.signed_in("octocat");
    let mut visitor = machine.visitor(&octocat, "octocat");
    let bodies = [visitor.get(SECRET), visitor.get(ISSUE), visitor.get("/user")];
    let mut found = 0;
    machine.restart(|machine| {
        let file = std::fs::read(machine.file()).expect("it is there");
        assert!(file.len() > 4096);
        let is_in = |wanted: &[u8]| file.windows(wanted.len()).any(|at| at == wanted);
        let github = &machine.room.world.github;
        let mut secrets = github.tokens_of("octocat");
        secrets
            .extend(["acme", "rocket", "octocat", "hello-world", "api.github"].map(str::to_owned));
        secrets.extend(bodies.iter().filter_map(|body| body.header("etag").map(str::to_owned)));
        for secret in &secrets {
            assert!(!is_in(secret.as_bytes()), "{secret}");
        }
        found = secrets.len();
    });
    assert!(found > 8, "{found}");
    let mut after = machine.visitor(&octocat, "octocat");
    assert_eq!(account(&after.get(SECRET)), UNCHANGED, "it was in there");
}

// === Several nodes ===

/// Stores on a Redis, each with connections of its own. The usual limit is for machines at rest.
fn on(url: &str) -> impl FnOnce(&Config, Arc<Manual>, Arc<Metrics>) -> Stores {
    let url = url.to_owned();
    move |config, clock, metrics| {
        let redis = || Arc::new(redis_nodes::store(&url, clock.clone(), Duration::from_secs(5)));
        keeping(config, clock.clone(), metrics, redis(), redis())
    }
}

fn keeping(
    config: &Config,
    clock: Arc<Manual>,
    metrics: Arc<Metrics>,
    sessions: Arc<dyn Store>,
    store: Arc<dyn Store>,
) -> Stores {
    let (keys, bound) = (config.keys.clone(), 64 << 20);
    let keeping = Keeping { store, bound, is_bounded: false, keys, clock, metrics };
    let answers = KeptResponses::new(HeldResponses::new(64 << 20), keeping);
    Stores { sessions, answers: Some(Arc::new(answers)) }
}

#[test]
fn what_one_node_has_read_another_has_confirmed_for_the_same_visitor_alone() {
    let Some(redis) = RedisServer::start("") else { return };
    let routes = ROUTES.replace("upstream: github", "upstream: { github: { share: false } }");
    let world = World::launch("", &routes, |yaml| Gate::keeping(yaml, on(&redis.url())));
    let room = Room::within(world);
    let text = yaml(&room.world.github, "", &routes.replace("@APP@", room.world.app.url()));
    let second = Gate::keeping(&text, on(&redis.url()));
    second.clock.set(room.world.gate.clock.now());
    let (mut octocat, mona) = (room.visitor("octocat"), room.visitor("mona"));
    let first = octocat.get(ISSUE);
    assert_eq!((first.status, account(&first)), (200, STORED));
    eventually("it is in Redis", || !redis.ask::<Vec<String>>("KEYS gatekeep:answer:*").is_empty());
    let mut there = room.at(octocat.browser.at(second.address), "octocat");
    let again = there.get(ISSUE);
    assert_eq!((again.status, account(&again)), (200, UNCHANGED));
    assert_eq!(again.body, first.body);
    assert_eq!((octocat.asked(ISSUE).len(), octocat.charged(ISSUE)), (2, 1));
    let mut mona = room.at(mona.browser.at(second.address), "mona");
    assert_eq!(account(&mona.get(ISSUE)), STORED, "what another was shown is nothing to her");
    assert_eq!(validator(&mona.asked(ISSUE)[0]), None);
    // A word each, and the word of all.
    eventually("hers is in Redis", || redis.ask::<Vec<String>>("KEYS gatekeep:asker:*").len() == 3);
    for key in redis.ask::<Vec<String>>("KEYS *") {
        let left: i64 = redis.ask(&format!("PTTL {key}"));
        assert_eq!(left == -1, key == "gatekeep:epoch", "{key}: {left}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_in_redis_conform_and_each_of_them_ends() {
    let Some(server) = RedisServer::start("") else { return };
    let clock: Arc<dyn Clock> = Arc::new(gatekeep::clock::System);
    let process = || {
        let keeping = Keeping {
            store: Arc::new(redis::store(&server.url(), |_| ())),
            bound: 1 << 20,
            is_bounded: false,
            keys: gatekeep::keys::Keys::derive(
                &[gatekeep::secret::Secret::new(vec![7; 32])],
                "github.com/app",
            ),
            clock: clock.clone(),
            metrics: Arc::new(Metrics::new()),
        };
        KeptResponses::new(HeldResponses::new(1 << 20), keeping)
    };
    let (store, now) = (process(), clock.now());
    response_conformance::run(&store, now).await;
    response_conformance::outlives(&store, &process(), now).await;
    let (day, week) = (86_400_000, 7 * 86_400_000);
    for (table, longest) in
        [("answer", week + day), ("answer-body", week + day), ("asker", 10 * day)]
    {
        let keys: Vec<String> = server.ask(&format!("KEYS gatekeep:{table}:*"));
        assert!(!keys.is_empty(), "{table}");
        for key in keys {
            let left: i64 = server.ask(&format!("PTTL {key}"));
            assert!((day / 2..=longest).contains(&left), "{key}: {left}");
        }
    }
    let Principal::User { id, .. } = response_conformance::OCTOCAT else { panic!("a person") };
    let all: Vec<String> = server.ask("KEYS *");
    assert!(all.iter().all(|key| !key.contains(&id.to_string())), "{all:?}");
}

// === Somebody who can write to the store ===

/// Every row is put into every other row's place; each time a gateway that has seen nothing yet is
/// asked, and GitHub is out of reach.
#[test]
fn a_kept_answer_in_another_s_place_is_nobody_s() {
    let mut stores = None;
    let world = World::launch("", ROUTES, |yaml| {
        Gate::keeping(yaml, |config, clock, metrics| {
            let store = || Arc::new(Memory::new(clock.clone()));
            let (sessions, answers) = stores.insert((store(), store())).clone();
            keeping(config, clock.clone(), metrics, sessions, answers)
        })
    });
    let (sessions, answers) = stores.expect("the gateway has stores");
    let mut room = Room::within(world);
    let (mut octocat, mut stranger) = (room.visitor("octocat"), room.visitor("stranger"));
    assert_eq!((octocat.get(SECRET).status, stranger.get(ISSUE).status), (200, 200));
    let browser = stranger.browser.clone();
    let text = yaml(&room.world.github, "", &ROUTES.replace("@APP@", room.world.app.url()));
    room.world.gate.stop();
    room.world.gate.join();
    break_github(&room);
    let now = room.world.gate.clock.now();
    let mut ask = || {
        let gate = Gate::keeping(&text, |config, clock, metrics| {
            keeping(config, clock, metrics, sessions.clone(), answers.clone())
        });
        gate.clock.set(now);
        room.world.gate = gate;
        let seen = room.at(browser.at(room.world.gate.address), "stranger").get(ISSUE);
        assert!(!seen.text().contains("rocket"), "{}", seen.text());
        seen.status
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let rows = runtime.block_on(answers.scan(Table::Answer, None)).expect("it answers").rows;
    assert!(rows.len() >= 4, "{}", rows.len());
    let put = |name: &[u8], value: &[u8]| {
        let end = now + Duration::from_secs(3600);
        runtime.block_on(answers.put(Table::Answer, name, value.to_vec(), end)).expect("it is put");
    };
    assert_eq!(ask(), 200, "control");
    let mut gone = 0;
    for (to, own) in &rows {
        for (_, value) in rows.iter().filter(|(from, _)| from != to) {
            put(to, value);
            gone += usize::from(ask() != 200);
        }
        put(to, own);
    }
    assert_eq!(gone, rows.len() - 1, "the stranger's own was replaced so often");
    assert_eq!(ask(), 200, "control");
}
