//! The keys that sign identity tokens, as apps see them: whoever keeps a copy of the published keys
//! for no longer than he may takes every good token, through every rotation and at every node.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gatekeep::clock::Clock;
use gatekeep::store::{Changed, KeysError, Memory, Store, Table};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::Value;

use crate::support::browser::Browser;
use crate::support::fuse::Fuse;
use crate::support::{Gate, ROUTES, World, eventually, yaml};

const APP: &str = "https://app.example.com/page";
const KEYS: &str = "https://auth.example.com/.well-known/jwks.json";

/// For how long a copy of the published keys may be kept.
const MAX_AGE: i64 = 300;
/// How much verifiers forgive.
const LEEWAY: i64 = 60;

/// A gateway and a browser that is signed in there.
struct Node {
    gate: Gate,
    browser: Browser,
}

/// A copy of the published keys: names and points.
#[derive(Clone, Debug)]
struct KeySet {
    at: i64,
    keys: BTreeMap<String, Vec<u8>>,
}

/// A token as it reached the app.
#[derive(Clone, Debug)]
struct Token {
    text: String,
    kid: String,
    exp: i64,
}

// === impl Node ===

impl Node {
    fn now(&self) -> i64 {
        self.gate.clock.now().unix()
    }

    /// What happens every minute.
    fn sync(&self, rotate_every: Duration) -> Result<Changed, KeysError> {
        let now = self.gate.clock.now();
        block_on(self.gate.signing_keys.sync(&self.gate.keys, rotate_every, now))
    }

    /// Lets the app be asked, and returns what it was given.
    fn token(&self) -> Token {
        let page = self.browser.clone().fetch(APP);
        assert_eq!(page.status, 200, "{}", page.text());
        Token::of(page.json()["views"]["exact"]["x-gatekeep-jwt"][0].as_str().expect("a token"))
    }

    fn published(&self) -> KeySet {
        let page = Browser::new(self.gate.address).fetch(KEYS);
        assert_eq!(page.status, 200, "{}", page.text());
        assert_eq!(page.header("cache-control"), Some("public, max-age=300"));
        let set = page.json();
        let keys = set["keys"].as_array().expect("a set").iter().map(|key| {
            let point = |name: &str| decode(key[name].as_str().expect("a coordinate"));
            (text(key, "kid"), [vec![4], point("x"), point("y")].concat())
        });
        KeySet { at: self.now(), keys: keys.collect() }
    }
}

// === impl KeySet ===

impl KeySet {
    /// Checks a token as an app should.
    fn check(&self, token: &Token, now: i64) -> Result<(), String> {
        let (signed, signature) = token.text.rsplit_once('.').expect("three parts");
        let (header, claims) = signed.split_once('.').expect("three parts");
        let (header, claims) = (json(header), json(claims));
        assert_eq!((&*text(&header, "alg"), &*text(&header, "typ")), ("ES256", TYPE));
        let point = self.keys.get(&token.kid).ok_or("its key is not published")?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .verify(signed.as_bytes(), &decode(signature))
            .map_err(|_| "it is not signed by its key")?;
        let second = |name: &str| claims[name].as_i64().expect("a time");
        match now {
            now if second("nbf") > now + LEEWAY => Err("it is not good yet".to_owned()),
            now if second("exp") <= now - LEEWAY => Err("it has ended".to_owned()),
            _ => Ok(()),
        }
    }
}

const TYPE: &str = "gatekeep-identity+jwt";

// === impl Token ===

impl Token {
    fn of(token: &str) -> Self {
        let mut parts = token.split('.').take(2).map(json);
        let (header, claims) = (parts.next().expect("a header"), parts.next().expect("claims"));
        let exp = claims["exp"].as_i64().expect("an end");
        Self { text: token.to_owned(), kid: text(&header, "kid"), exp }
    }
}

fn decode(part: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(part).expect("base64url")
}

fn json(part: &str) -> Value {
    serde_json::from_slice(&decode(part)).expect("JSON")
}

fn text(object: &Value, name: &str) -> String {
    object[name].as_str().unwrap_or_else(|| panic!("no {name} in {object}")).to_owned()
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

/// One more gateway on a store, and a browser there with the cookies of another.
fn node(world: &World, routes: &str, store: &Arc<dyn Store>, browser: &Browser) -> Node {
    let text = yaml(&world.github, "", &routes.replace("@APP@", world.app.url()));
    let gate = Gate::start(&text, |_| store.clone());
    let mut double = Browser::new(gate.address);
    for host in ["auth.example.com", "app.example.com"] {
        for (name, value) in browser.cookies(host) {
            double.plant(host, &name, &value);
        }
    }
    Node { gate, browser: double }
}

/// GitHub and an app, with the store of their gateway and somebody signed in.
fn world() -> (World, Arc<dyn Store>, Browser) {
    let mut store = None;
    let world = World::build("", ROUTES, |clock| {
        let memory: Arc<dyn Store> = Arc::new(Memory::new(clock));
        store = Some(memory.clone());
        memory
    });
    let (browser, page) = world.signed_in("octocat", APP);
    assert_eq!(page.status, 200);
    (world, store.expect("the gateway has a store"), browser)
}

/// Three rotations and more, at two nodes of which the second looks at the store half a minute after
/// the first, with requests at both all the while. Every copy of the keys that anybody may still
/// have, of whichever node, is good for every token that an app may still be given, and the keys of
/// either node for every token that has not ended. A key that is gone is nobody's any more.
#[test]
fn through_every_rotation_all_good_tokens_are_taken_and_none_of_a_key_that_is_gone() {
    let (world, store, browser) = world();
    let nodes = [0, 1].map(|_| node(&world, ROUTES, &store, &browser));
    let every = Duration::from_secs(20 * 60);
    let (mut copies, mut tokens): (Vec<KeySet>, Vec<Token>) = (Vec::new(), Vec::new());
    let (mut signed, mut checks, mut refused) = (BTreeSet::new(), 0, 0);
    for step in 0..150_usize {
        for gate in nodes.iter().map(|node| &node.gate).chain([&world.gate]) {
            gate.clock.advance(Duration::from_secs(30));
        }
        let now = nodes[0].now();
        // Requests come while the ring may be changing.
        let fresh: Vec<Token> = std::thread::scope(|scope| {
            let asked = nodes.each_ref().map(|node| scope.spawn(|| [node.token(), node.token()]));
            nodes[step % 2].sync(every).expect("the store answers");
            asked.into_iter().flat_map(|asked| asked.join().expect("an answer")).collect()
        });
        let published = nodes.each_ref().map(Node::published);
        copies.extend(published.iter().cloned());
        copies.retain(|copy| now - copy.at <= MAX_AGE);
        for token in &fresh {
            for copy in &copies {
                assert_eq!(copy.check(token, now), Ok(()), "step {step}, a copy of {}", copy.at);
                checks += 1;
            }
        }
        signed.extend(fresh.iter().map(|token| token.kid.clone()));
        tokens.extend(fresh);
        tokens.retain(|token| now < token.exp + 3 * MAX_AGE);
        for (token, copy) in
            tokens.iter().flat_map(|token| published.iter().map(move |c| (token, c)))
        {
            match copy.check(token, now) {
                Ok(()) => checks += 1,
                Err(why) => {
                    assert!(token.exp + LEEWAY <= now, "step {step}: {why}");
                    refused += usize::from(why == "its key is not published");
                }
            }
        }
    }
    assert!(signed.len() >= 4, "{} keys have signed", signed.len());
    assert!(checks > 10_000, "{checks} checks are few");
    assert!(refused > 100, "{refused} tokens of keys that are gone are few");
    let last = nodes.each_ref().map(Node::published);
    assert_eq!(last[0].keys, last[1].keys);
    assert!(last[0].keys.len() <= 3, "{:?}", last[0]);
}

/// A key was stolen: the next request, of a visitor who was there all the while, carries a token by
/// the new key, and nobody is told of the old one any more.
#[test]
fn all_keys_are_replaced_at_once() {
    let (world, store, browser) = world();
    let [one, two] = [0, 1].map(|_| node(&world, ROUTES, &store, &browser));
    let (before, old) = (one.published(), one.token());
    assert_eq!((before.keys.len(), &two.published().keys), (1, &before.keys));
    assert_eq!(two.token().kid, old.kid);
    let now = one.gate.clock.now();
    let replaced = block_on(one.gate.signing_keys.rotate_at_once(&one.gate.keys, now));
    assert_eq!(replaced, Ok(Changed::Rotated));
    assert_eq!(two.sync(Duration::MAX), Ok(Changed::Learned));
    for node in [&one, &two] {
        let (published, new) = (node.published(), node.token());
        assert_ne!(new.kid, old.kid);
        assert_eq!(published.check(&new, node.now()), Ok(()));
        assert_eq!(published.check(&old, node.now()), Err("its key is not published".to_owned()));
        assert_eq!(published.keys.len(), 1);
    }
    assert_eq!(one.published().keys, two.published().keys);
}

/// An operator rotates at the one node, under load at both. The other publishes the new key without
/// waiting for its minute, and whoever checks with a copy as old as it may be takes every token.
#[test]
fn an_operator_s_rotation_is_known_everywhere_and_refuses_nobody() {
    let (world, store, browser) = world();
    let nodes = [0, 1].map(|_| node(&world, ROUTES, &store, &browser));
    let (mut copies, mut signed, mut checks) = (Vec::new(), BTreeSet::new(), 0);
    for step in 0..40 {
        for gate in nodes.iter().map(|node| &node.gate).chain([&world.gate]) {
            gate.clock.advance(Duration::from_secs(30));
        }
        let now = nodes[0].now();
        let fresh: Vec<Token> = std::thread::scope(|scope| {
            let asked: Vec<_> = nodes
                .iter()
                .flat_map(|node| [(); 4].map(|()| scope.spawn(|| [node.token(), node.token()])))
                .collect();
            if step == 5 {
                let done = nodes[0].gate.operate("POST", "/keys/rotate", "");
                assert_eq!(done.status, 200, "{}", done.text());
                assert_eq!(done.json()["rotated"], true);
            }
            asked.into_iter().flat_map(|asked| asked.join().expect("an answer")).collect()
        });
        let known = if (5..24).contains(&step) { 2 } else { 1 };
        if step == 5 {
            eventually("both publish it", || {
                nodes.iter().all(|node| node.published().keys.len() == known)
            });
        }
        copies.extend(nodes.each_ref().map(Node::published));
        copies.retain(|copy: &KeySet| now - copy.at <= MAX_AGE);
        for (token, copy) in fresh.iter().flat_map(|token| copies.iter().map(move |c| (token, c))) {
            assert_eq!(copy.check(token, now), Ok(()), "step {step}, a copy of {}", copy.at);
            checks += 1;
        }
        signed.extend(fresh.into_iter().map(|token| token.kid));
    }
    assert_eq!(signed.len(), 2);
    assert!(checks > 5000, "{checks} checks are few");
}

#[test]
fn an_operator_s_replacement_of_all_keys_is_known_everywhere_at_once() {
    let (world, store, browser) = world();
    let [one, two] = [0, 1].map(|_| node(&world, ROUTES, &store, &browser));
    let old = one.token();
    let done = one.gate.operate("POST", "/keys/rotate", r#"{"at_once": true}"#);
    assert_eq!(done.status, 200, "{}", done.text());
    let new = one.token();
    assert_ne!(new.kid, old.kid);
    eventually("the other has it", || two.published().keys.keys().eq([&new.kid]));
    assert_eq!(two.token().kid, new.kid);
    for node in [&one, &two] {
        let published = node.published();
        assert_eq!(published.check(&node.token(), node.now()), Ok(()));
        assert_eq!(published.check(&old, node.now()), Err("its key is not published".to_owned()));
    }
}

#[test]
fn a_restart_keeps_the_keys() {
    let (world, store, browser) = world();
    let before = node(&world, ROUTES, &store, &browser);
    let (published, token) = (before.published(), before.token());
    drop(before);
    let after = node(&world, ROUTES, &store, &browser);
    assert_eq!(after.published().keys, published.keys);
    assert_eq!(after.published().check(&token, after.now()), Ok(()));
    assert_eq!(after.token().kid, token.kid);
}

const BOTH: &str = r"
  - { name: app, host: app.example.com, upstream: @APP@, allow: anyone, public: [/public/*] }
  - name: shared
    host: auth.example.com
    upstream: @APP@
    allow: anyone
    token: { algorithm: HS256, secret: k3yZ-of-the-app-0123456789-abcdefghijklmnop }
";

/// Keys that this gateway cannot open, as with a wrong secret: nobody passes without a token, nobody
/// is signed out, and the other nodes' keys stay where they are. Once they can be had all is well.
#[test]
fn without_a_key_no_visitor_passes() {
    let (world, store, browser) = world();
    let row = block_on(store.take(Table::SigningKeys, b"identity")).expect("an answer");
    let end = world.gate.clock.now() + Duration::from_secs(3600);
    let foreign = b"sealed by others".to_vec();
    let put = block_on(store.insert(Table::SigningKeys, b"identity", foreign.clone(), end));
    assert_eq!(put, Ok(true));
    let node = node(&world, BOTH, &store, &browser);
    let fetch = |url: &str| node.browser.clone().fetch(url);
    for url in [APP, KEYS] {
        let page = fetch(url);
        assert_eq!(page.status, 503, "{url}: {}", page.text());
        assert_eq!(page.json()["reason"], "store-unavailable", "{url}");
        assert_eq!(page.header("cache-control"), Some("no-store"), "{url}");
        assert_eq!(page.all("set-cookie").count(), 0, "{url}");
    }
    assert_eq!(fetch("https://app.example.com/public/x").status, 200);
    assert_eq!(fetch("https://auth.example.com/x").status, 200, "HS256 takes no key of ours");
    assert_eq!(node.sync(Duration::MAX), Err(KeysError::Foreign));
    let found = block_on(store.take(Table::SigningKeys, b"identity"));
    assert_eq!(found, Ok(Some(foreign)), "the row is as it was");
    let row = row.expect("the first gateway made one");
    block_on(store.insert(Table::SigningKeys, b"identity", row, end)).expect("an answer");
    eventually("the keys are had", || fetch(APP).status == 200);
    assert_eq!(node.published().check(&node.token(), node.now()), Ok(()));
}

/// A gateway that starts before its store does.
#[test]
fn a_store_that_answers_late_is_asked_again() {
    let left = Arc::new(AtomicI64::new(0));
    let of_store = left.clone();
    let world = World::build("", ROUTES, |clock| Arc::new(Fuse::new(Memory::new(clock), of_store)));
    assert_eq!(world.browser().fetch(KEYS).status, 503);
    assert_eq!(world.browser().fetch("https://app.example.com/public/x").status, 200);
    left.store(i64::MAX, Ordering::SeqCst);
    eventually("the keys are had", || world.browser().fetch(KEYS).status == 200);
    assert_eq!(world.signed_in("octocat", APP).1.status, 200);
}
