//! The store in Redis: what every store does, and what it says when Redis does not answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gatekeep::clock::{Clock, System, Time};
use gatekeep::secret::Secret;
use gatekeep::store::{
    Heard, Redis, RedisMode, RedisSettings, Store, Table, Unavailable, conformance,
};

use crate::support::eventually;
use crate::support::redis::{RedisServer, store};
use crate::support::toxic::{Poison, Toxic};
use crate::support::upstream::Authority;

/// The limit of an operation unless somebody sets another.
const LIMIT: Duration = Duration::from_millis(250);

fn later() -> Time {
    System.now() + Duration::from_secs(60)
}

async fn conforms(store: Redis) {
    // Redis counts whole milliseconds by a clock of its own, and keeps a key through its last one.
    let advance = |time| std::thread::sleep(time + Duration::from_millis(20));
    conformance::run(Arc::new(store), &System, &advance).await;
}

/// An operation of each kind.
async fn each_kind(store: &Redis) -> Vec<Result<(), Unavailable>> {
    vec![
        store.get(Table::Session, b"k").await.map(drop),
        store.insert(Table::Session, b"k", vec![1], later()).await.map(drop),
        store.replace(Table::Session, b"k", b"s3cret", vec![2], later()).await.map(drop),
        store.take(Table::Session, b"k").await.map(drop),
        store.scan(Table::Session, None).await.map(drop),
        store.announce(b"s3cret").await,
        store.listen(None).await.map(drop),
    ]
}

/// Asks until there is an answer; how long that took since `begun`.
async fn answers_again(store: &Redis, begun: Instant) -> Duration {
    while store.get(Table::Session, b"k").await.is_err() {
        assert!(begun.elapsed().as_secs() < 20, "it does not come back");
        tokio::task::yield_now().await;
    }
    begun.elapsed()
}

/// Asks until that is refused at once, because Redis is known to be down.
async fn is_down(store: &Redis) -> Unavailable {
    let begun = Instant::now();
    loop {
        let asked = Instant::now();
        let answer = store.get(Table::Session, b"k").await;
        if let Err(unavailable) = answer
            && asked.elapsed() < Duration::from_millis(20)
        {
            return unavailable;
        }
        assert!(begun.elapsed().as_secs() < 20, "it is not noticed");
        tokio::task::yield_now().await;
    }
}

fn usual(url: &str) -> Redis {
    store(url, |settings| settings.timeout = LIMIT)
}

// -- what every store does --

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_conforms_and_every_key_ends() {
    let Some(server) = RedisServer::start("") else { return };
    conforms(server.store()).await;
    let keys: Vec<String> = server.ask("KEYS *");
    assert!(keys.len() > 2500, "there is something to look at");
    for key in keys {
        let left: i64 = server.ask(&format!("PTTL {key}"));
        assert_eq!(left == -1, key == "gatekeep:epoch", "{key}: {left}");
        assert!(left <= 86_400_000, "{key}: {left}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_conforms_over_a_unix_socket() {
    let Some(server) = RedisServer::start("unixsocket @DIR@/redis.sock\n") else { return };
    let socket = server.directory.path().join("redis.sock");
    conforms(store(&format!("unix://{}?db=3", socket.display()), |_| ())).await;
    assert!(server.ask::<String>("INFO keyspace").contains("db3:"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_conforms_over_tls_with_a_private_authority_and_a_user() {
    let authority = Authority::new();
    let users = "user default off\nuser gate on >s3cret-passw0rd ~gk:* +@all -@dangerous\n";
    let Some(server) = RedisServer::start_tls(&authority, users) else { return };
    let url = format!("rediss://localhost:{}", server.other_port);
    let settings = |change: fn(&mut RedisSettings)| {
        store(&url, |settings| {
            settings.ca = Some(authority.pem().into_bytes());
            settings.username = Some("gate".into());
            settings.password = Some(Secret::new("s3cret-passw0rd".into()));
            settings.prefix = "gk".into();
            change(settings);
        })
    };
    conforms(settings(|_| ())).await;
    for (what, broken) in [
        (
            "Redis refuses the user name or the password",
            settings(|s| s.password = Some(Secret::new("s3cret-guess".into()))),
        ),
        ("Redis wants a password and none is set", settings(|s| s.password = None)),
        ("invalid peer certificate", settings(|s| s.ca = Some(Authority::new().pem().into()))),
        ("Redis does not permit this user", settings(|s| s.prefix = "other".into())),
    ] {
        let unavailable = broken.get(Table::Session, b"k").await.expect_err(what);
        assert!(unavailable.0.contains(what), "{what}: {unavailable}");
        let shown = format!("{unavailable} {unavailable:?} {broken:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_by_sentinel_is_followed() {
    let Some(mut master) = RedisServer::start("") else { return };
    let replica = format!("replicaof 127.0.0.1 {}\n", master.port);
    let replica = RedisServer::start(&replica).expect("there is a Redis");
    eventually("the replica follows", || {
        replica.ask::<String>("INFO replication").contains("master_link_status:up")
    });
    let sentinel = RedisServer::start_sentinel(&master).expect("there is a Redis");
    eventually("the sentinel knows the replica", || {
        sentinel.ask::<String>("INFO sentinel").contains("slaves=1")
    });
    let store = store(&sentinel.url(), |settings| {
        settings.mode = RedisMode::Sentinel { master: "main".into() };
        settings.timeout = LIMIT;
    });
    answers_again(&store, Instant::now()).await;
    assert_eq!(store.insert(Table::Session, b"k", vec![1], later()).await, Ok(true));
    assert_eq!(master.ask::<i64>("WAIT 1 5000"), 1);
    let key = "gatekeep:session:aw";
    eventually("the replica has it", || replica.ask::<i64>(&format!("EXISTS {key}")) == 1);
    let begun = Instant::now();
    master.stop();
    println!("down: {}", is_down(&store).await);
    let recovery = answers_again(&store, begun).await;
    println!("a failover took {recovery:?}");
    assert!(recovery.as_secs() < 15, "{recovery:?}");
    assert_eq!(store.take(Table::Session, b"k").await, Ok(Some(vec![1])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_conforms() {
    let lines = "cluster-enabled yes\ncluster-port @OTHER@\n";
    let Some(first) = RedisServer::start(lines) else { return };
    let start = |_| RedisServer::start(lines).expect("there is a Redis");
    let nodes: Vec<_> = std::iter::once(first).chain((0..2).map(start)).collect();
    for (n, node) in nodes.iter().enumerate() {
        let (low, high) = ([0, 5461, 10923][n], [5460, 10922, 16383][n]);
        node.ask::<()>(&format!("CLUSTER ADDSLOTSRANGE {low} {high}"));
        node.ask::<()>(&format!("CLUSTER SET-CONFIG-EPOCH {}", n + 1));
        let (port, bus) = (node.port, node.other_port);
        nodes[0].ask::<()>(&format!("CLUSTER MEET 127.0.0.1 {port} {bus}"));
    }
    for node in &nodes {
        eventually("the cluster is whole", || {
            let info: String = node.ask("CLUSTER INFO");
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
        });
    }
    conforms(store(&nodes[1].url(), |settings| settings.mode = RedisMode::Cluster)).await;
    for node in &nodes {
        assert!(node.ask::<i64>("DBSIZE") > 500, "the rows are spread");
    }
}

// -- what it says when Redis does not answer --

#[test]
fn a_store_is_made_without_a_server_and_without_a_runtime() {
    let toxic = Toxic::before("127.0.0.1:9".parse().expect("an address"));
    toxic.set(Poison::Refuse);
    let store = store(&toxic.url(), |_| ());
    for _ in 0..2 {
        // Whoever connects ends with the first runtime, and the second begins anew.
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let answer = runtime.block_on(store.get(Table::Session, b"k"));
        let unavailable = answer.expect_err("nobody is there");
        assert!(unavailable.0.contains("the connection to Redis failed"), "{unavailable}");
    }
}

#[tokio::test]
async fn while_redis_is_down_every_operation_fails_at_once_and_works_soon_after() {
    let Some(mut server) = RedisServer::start("") else { return };
    let store = usual(&server.url());
    answers_again(&store, Instant::now()).await;
    assert_eq!(store.insert(Table::Session, b"k", vec![1], later()).await, Ok(true));
    server.stop();
    let unavailable = is_down(&store).await;
    assert!(unavailable.0.contains("refused"), "{unavailable}");
    let begun = Instant::now();
    for _ in 0..100 {
        let answers = each_kind(&store).await;
        assert!(answers.iter().all(Result::is_err), "{answers:?}");
    }
    let each = begun.elapsed() / 700;
    println!("an operation while Redis is down takes {each:?}");
    assert!(each < Duration::from_millis(5), "{each:?}");
    let recovery = answers_again(&store, server.restart()).await;
    println!("after a restart it works in {recovery:?}");
    assert!(recovery < Duration::from_secs(2), "{recovery:?}");
    assert_eq!(store.take(Table::Session, b"k").await, Ok(Some(vec![1])));
}

#[tokio::test]
async fn slow_answers_are_not_waited_for() {
    let Some(server) = RedisServer::start("") else { return };
    let toxic = Toxic::before(server.address());
    let store = usual(&toxic.url());
    answers_again(&store, Instant::now()).await;
    toxic.set(Poison::Delay(Duration::from_secs(1)));
    let mut longest = Duration::ZERO;
    for _ in 0..5 {
        let begun = Instant::now();
        for answer in each_kind(&store).await {
            answer.expect_err("a second is too long");
        }
        longest = longest.max(begun.elapsed());
    }
    println!("seven operations on a slow Redis take {longest:?} at most");
    assert!(longest < LIMIT * 4, "{longest:?}");
    toxic.set(Poison::Pass);
    println!("works again after {:?}", answers_again(&store, Instant::now()).await);
}

#[tokio::test]
async fn a_half_open_connection_is_given_up() {
    let Some(server) = RedisServer::start("") else { return };
    let toxic = Toxic::before(server.address());
    let store = Arc::new(usual(&toxic.url()));
    answers_again(&store, Instant::now()).await;
    toxic.set(Poison::Blackhole);
    let begun = Instant::now();
    let ask = |store: Arc<Redis>| async move { store.take(Table::Session, b"k").await };
    let many: Vec<_> = (0..500).map(|_| tokio::spawn(ask(store.clone()))).collect();
    for one in many {
        let unavailable = one.await.expect("it ends").expect_err("nothing comes back");
        assert_eq!(unavailable.0, "Redis did not answer in time");
    }
    let took = begun.elapsed();
    println!("five hundred at once are told after {took:?}");
    assert!(took < LIMIT * 2, "{took:?}");
    println!("down: {}", is_down(&store).await);
    toxic.set(Poison::Pass);
    let recovery = answers_again(&store, Instant::now()).await;
    println!("after a black hole it works in {recovery:?}");
    assert!(recovery < Duration::from_secs(2), "{recovery:?}");
}

#[tokio::test]
async fn resets_make_no_wrong_answers() {
    let Some(server) = RedisServer::start("") else { return };
    let toxic = Toxic::before(server.address());
    let store = store(&toxic.url(), |_| ());
    answers_again(&store, Instant::now()).await;
    for n in 0..100_u8 {
        assert_eq!(store.insert(Table::Session, &[n], vec![n], later()).await, Ok(true));
    }
    toxic.set(Poison::ResetEvery(10));
    let (mut right, mut none) = (0, 0);
    for n in (0..100_u8).cycle().take(400) {
        match store.get(Table::Session, &[n]).await {
            Ok(found) => {
                assert_eq!(found, Some(vec![n]));
                right += 1;
            }
            Err(_) => none += 1,
        }
    }
    println!("with every tenth request reset, {right} reads of 400 are answered, {none} are not");
    assert!(right > 200, "most reads are answered");
    for n in 0..100_u8 {
        // It may have been taken by a request whose answer was lost, never by nobody.
        if let Ok(taken) = store.take(Table::Session, &[n]).await {
            assert_eq!(taken, Some(vec![n]));
        }
    }
    toxic.set(Poison::Pass);
    answers_again(&store, Instant::now()).await;
}

#[tokio::test]
async fn an_answer_cut_short_is_asked_for_again() {
    let Some(server) = RedisServer::start("") else { return };
    let toxic = Toxic::before(server.address());
    let store = store(&toxic.url(), |_| ());
    let value = vec![7; 200_000];
    assert_eq!(store.insert(Table::Session, b"k", value.clone(), later()).await, Ok(true));
    toxic.set(Poison::CutAfter(100_000));
    let cut = store.get(Table::Session, b"k").await.expect_err("it is cut each time");
    assert!(cut.0.contains("the connection "), "{cut}");
    toxic.set(Poison::Pass);
    answers_again(&store, Instant::now()).await;
    toxic.reset_all();
    assert_eq!(store.get(Table::Session, b"k").await, Ok(Some(value)));
}

#[tokio::test]
async fn a_redis_that_takes_no_writes_says_why() {
    let Some(full) = RedisServer::start("") else { return };
    let kept = full.store();
    assert_eq!(kept.insert(Table::Session, b"there", vec![1], later()).await, Ok(true));
    full.ask::<()>("CONFIG SET maxmemory 1mb");
    let after = full.store();
    for store in [&kept, &after] {
        let answer = store.insert(Table::Session, b"s3cret", vec![0; 9], later()).await;
        let sentence = "Redis is out of memory and takes no writes (OOM)";
        assert_eq!(answer, Err(Unavailable(sentence.into())));
        let answer = store.replace(Table::Session, b"there", &[1], vec![2], later()).await;
        assert_eq!(answer, Err(Unavailable(sentence.into())));
        assert_eq!(store.get(Table::Session, b"there").await, Ok(Some(vec![1])), "it can be read");
    }
    let ended = kept.replace(Table::Session, b"there", &[1], vec![], System.now()).await;
    assert_eq!(ended, Ok(true), "and rows can be ended");

    let master = RedisServer::start("").expect("there is a Redis");
    let store = usual(&master.url());
    answers_again(&store, Instant::now()).await;
    master.ask::<()>(&format!("REPLICAOF 127.0.0.1 {}", full.port));
    let answer = store.insert(Table::Session, b"s3cret", vec![0; 9], later()).await;
    let unavailable = answer.expect_err("it is a replica now");
    assert!(unavailable.0.contains("this Redis is a replica"), "{unavailable}");
    assert!(is_down(&store).await.0.contains("READONLY"));
    master.ask::<()>("REPLICAOF NO ONE");
    answers_again(&store, Instant::now()).await;
}

// -- announcements --

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn announcements_arrive_within_a_tenth_of_a_second() {
    let Some(server) = RedisServer::start("") else { return };
    let (here, there) = (server.store(), Arc::new(server.store()));
    let mut heard = there.listen(None).await.expect("Redis is there");
    let mut spans = Vec::new();
    for n in 0..100_u8 {
        let (there, mark) = (there.clone(), heard.mark);
        let listens =
            tokio::spawn(async move { (there.listen(Some(&mark)).await, Instant::now()) });
        eventually("somebody listens", || {
            server.ask::<String>("INFO clients").contains("blocked_clients:1")
        });
        let begun = Instant::now();
        here.announce(&[n]).await.expect("Redis is there");
        let (answer, arrived) = listens.await.expect("it listens");
        heard = answer.expect("Redis is there");
        assert_eq!(heard.news, [[n]]);
        spans.push(arrived - begun);
    }
    spans.sort();
    println!("an announcement takes {:?}, at most {:?}", spans[50], spans[99]);
    assert!(spans[50] < Duration::from_millis(100));
}

/// Listens until there is something to hear.
async fn listen(store: &Redis, mark: &[u8]) -> Heard {
    let begun = Instant::now();
    loop {
        if let Ok(heard) = store.listen(Some(mark)).await
            && !heard.news.is_empty()
        {
            return heard;
        }
        assert!(begun.elapsed().as_secs() < 20, "nothing is heard");
        // A refusal comes at once, and whoever connects wants to run, too.
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_listener_that_was_cut_off_hears_what_it_missed() {
    let Some(server) = RedisServer::start("") else { return };
    let toxic = Toxic::before(server.address());
    let (far, near) = (usual(&toxic.url()), server.store());
    answers_again(&far, Instant::now()).await;
    let begun = far.listen(None).await.expect("Redis is there");
    near.announce(b"first").await.expect("Redis is there");
    let heard = listen(&far, &begun.mark).await;
    assert_eq!(heard.news, [b"first"]);
    toxic.set(Poison::Refuse);
    toxic.reset_all();
    is_down(&far).await;
    for news in [b"second", b"third."] {
        near.announce(news).await.expect("Redis is there");
    }
    toxic.set(Poison::Pass);
    let heard = listen(&far, &heard.mark).await;
    assert_eq!(heard.news, [b"second", b"third."]);
    assert_eq!(heard.epoch, begun.epoch);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_that_was_lost_shows_as_another_epoch() {
    let Some(mut server) = RedisServer::start("") else { return };
    let store = Arc::new(server.store());
    let first = store.listen(None).await.expect("Redis is there");
    server.restart();
    answers_again(&store, Instant::now()).await;
    let kept = store.listen(Some(&first.mark)).await.expect("Redis is there");
    assert_eq!(kept.epoch, first.epoch, "a restart alone loses nothing");

    let (listening, mark) = (store.clone(), kept.mark.clone());
    let listens = tokio::spawn(async move { listening.listen(Some(&mark)).await });
    eventually("somebody listens", || {
        server.ask::<String>("INFO clients").contains("blocked_clients:1")
    });
    server.ask::<()>("FLUSHALL");
    let flushed = listens.await.expect("it listens").expect("Redis is there");
    assert_ne!(flushed.epoch, first.epoch, "the data was lost while somebody listened");

    store.announce(b"in the new life").await.expect("Redis is there");
    let heard = listen(&store, &flushed.mark).await;
    assert_eq!(heard.news, [b"in the new life"]);
    assert_eq!(heard.epoch, flushed.epoch);

    server.restart_empty();
    answers_again(&store, Instant::now()).await;
    let emptied = store.listen(Some(&heard.mark)).await.expect("Redis is there");
    assert_ne!(emptied.epoch, flushed.epoch, "the data was lost in a restart");
}
