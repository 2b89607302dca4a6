//! Whoever leaves is forgotten: what GitHub showed somebody goes with the last session, on every node.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use gatekeep::clock::Time;
use gatekeep::freshness::tags::Tag;
use gatekeep::simulator::{Gate as Barrier, Trouble};
use gatekeep::store::{
    Body, HeldResponses, Memory, Principal, ResponseKey, ResponseStore, Shared, Stores, Table,
    Unavailable, Validation,
};

use super::webhooks::keys;
use super::{ROUTES, at, cache};
use crate::support::browser::Browser;
use crate::support::nodes::Nodes;
use crate::support::{Gate, World, eventually, yaml};
use crate::webhooks::{SECRET, send};

const PAGE: &str = "https://app.example.com/x";
const SIGN_OUT: &str = "https://app.example.com/.gatekeep/sign_out";
const USER: &str = "/user/repos";
const UNKNOWN: &str = "fwd=uri-miss; fwd-status=200; stored";
const KNOWN: &str = "fwd=stale; fwd-status=304";
const ROTATED: &str = "fwd=stale; fwd-status=304; detail=rotated";

fn nodes() -> Nodes {
    Nodes::with(&keys(), ROUTES, |clock| Arc::new(Memory::new(clock)))
}

/// Somebody who has read something at both nodes.
fn reader(nodes: &Nodes, person: &str) -> [Browser; 2] {
    let (browser, _) = nodes.world.signed_in(person, PAGE);
    let mut both = [browser.clone(), nodes.double(&browser)];
    for browser in &mut both {
        assert_eq!(cache(&browser.fetch(&at(USER))), UNKNOWN);
        assert_eq!(cache(&browser.fetch(&at(USER))), KNOWN);
    }
    both
}

fn sign_out(browser: &mut Browser) {
    let page = browser.get(SIGN_OUT).text();
    let token = page.split_once("name=\"csrf\" value=\"").expect("a form").1;
    let token = token.split_once('"').expect("a token").0.to_owned();
    assert_eq!(browser.post(SIGN_OUT, &[("csrf", &token)]).status, 200);
}

/// Nothing is known at either node of what this person read.
fn is_forgotten(nodes: &Nodes, person: &str) {
    let (mut browser, _) = nodes.world.signed_in(person, PAGE);
    assert_eq!(cache(&browser.fetch(&at(USER))), UNKNOWN);
    let mut double = nodes.double(&browser);
    eventually("the other node forgets", || cache(&double.fetch(&at(USER))) == UNKNOWN);
}

#[test]
fn what_was_read_goes_with_the_last_session_on_every_node() {
    let nodes = nodes();
    let [mut octocat, _] = reader(&nodes, "octocat");
    let mut mona = reader(&nodes, "mona");
    let (mut second, _) = nodes.world.signed_in("octocat", PAGE);
    assert_eq!(cache(&second.fetch(&at(USER))), ROTATED);
    sign_out(&mut octocat);
    assert_eq!(cache(&second.fetch(&at(USER))), KNOWN, "there is another session");
    sign_out(&mut second);
    is_forgotten(&nodes, "octocat");
    for browser in &mut mona {
        assert_eq!(cache(&browser.fetch(&at(USER))), KNOWN, "she has not left");
    }
}

/// GitHub answers a question that was asked before the end: whoever waits for it is told that it is over,
/// and the answer is not kept.
#[test]
fn what_comes_after_the_end_is_not_kept() {
    for leaves in [false, true] {
        let nodes = nodes();
        let (octocat, _) = nodes.world.signed_in("octocat", PAGE);
        let barrier = Barrier::new();
        nodes.world.github.knobs().once(USER, Trouble::Hold(barrier.clone()));
        std::thread::scope(|scope| {
            let mut asking = octocat.clone();
            let under_way = scope.spawn(move || asking.fetch(&at(USER)));
            assert!(barrier.wait_for(1, Duration::from_secs(10)));
            if leaves {
                sign_out(&mut octocat.clone());
            }
            barrier.release();
            let answer = under_way.join().expect("an answer");
            let told = answer.header("cache-status").is_some();
            let expected = if leaves { (401, false) } else { (200, true) };
            assert_eq!((answer.status, told), expected, "{}", answer.text());
        });
        let (mut octocat, _) = nodes.world.signed_in("octocat", PAGE);
        let expected = if leaves { UNKNOWN } else { ROTATED };
        assert_eq!(cache(&octocat.fetch(&at(USER))), expected);
    }
}

#[test]
fn an_operator_who_ends_all_sessions_has_all_forgotten() {
    let nodes = nodes();
    reader(&nodes, "octocat");
    let ended = nodes.world.gate.operate("POST", "/sessions/revoke", r#"{"user":"octocat"}"#);
    assert_eq!(ended.status, 200, "{}", ended.text());
    is_forgotten(&nodes, "octocat");
}

/// GitHub refuses a token and says that it is dead: the sessions are over on every node, and the dead
/// token was used once.
#[test]
fn a_withdrawn_authorisation_is_found_out_by_reading() {
    let nodes = nodes();
    let github = &nodes.world.github;
    let [mut octocat, mut double] = reader(&nodes, "octocat");
    let [mut mona, _] = reader(&nodes, "mona");
    github.revoke_grant("octocat");
    let refused = octocat.fetch(&at(USER));
    assert_eq!(refused.status, 401, "{}", refused.text());
    // The account page: an answer of the app would be cut off when the session ends beneath it.
    let page = "https://app.example.com/.gatekeep/account";
    eventually("it is over at the other node", || double.fetch(page).status == 401);
    assert_eq!(double.fetch(&at(USER)).status, 401);
    assert_eq!(github.answered("GET /user/repos", 401), 1, "no more with the dead token");
    assert_eq!(cache(&mona.fetch(&at(USER))), KNOWN);
    is_forgotten(&nodes, "octocat");
}

#[test]
fn a_token_that_github_refuses_and_calls_good_ends_nothing() {
    let nodes = nodes();
    let github = &nodes.world.github;
    let [mut octocat, _] = reader(&nodes, "octocat");
    let bad = Trouble::answer(401, "application/json", r#"{"message":"Bad credentials"}"#);
    github.knobs().at(USER, bad);
    let answer = octocat.fetch(&at(USER));
    assert_eq!((answer.status, &answer.json()["reason"]), (502, &"github-inconsistent".into()));
    github.knobs().clear();
    assert_eq!(octocat.fetch(PAGE).status, 200, "still signed in");
    assert_eq!(octocat.fetch(&at(USER)).status, 200);
}

#[test]
fn a_webhook_s_withdrawal_has_all_forgotten_and_its_replay_nothing() {
    let nodes = nodes();
    let github = &nodes.world.github;
    reader(&nodes, "octocat");
    let webhook =
        github.webhook("github_app_authorization", github.authorization_revoked("octocat"), SECRET);
    github.revoke_grant("octocat");
    assert_eq!(send(&nodes.world.gate, &webhook).json()["result"], "done");
    assert_eq!(nodes.rows(Table::Credential), 0);
    is_forgotten(&nodes, "octocat");
    let (mut octocat, _) = nodes.world.signed_in("octocat", PAGE);
    assert_eq!(cache(&octocat.fetch(&at(USER))), ROTATED);
    assert_eq!(send(&nodes.world.gate, &webhook).json()["result"], "ignored");
    assert_eq!(cache(&octocat.fetch(&at(USER))), KNOWN);
}

// === A store of answers that does not answer ===

/// It forgets nothing, and never says so.
struct Stuck {
    inner: HeldResponses,
    asked: Arc<AtomicUsize>,
}

#[async_trait]
impl ResponseStore for Stuck {
    async fn shown(
        &self,
        who: Principal,
        key: &ResponseKey,
    ) -> Result<Option<(Arc<Validation>, Body)>, Unavailable> {
        self.inner.shown(who, key).await
    }

    async fn shown_to_anybody(&self, key: &ResponseKey) -> Result<Option<Shared>, Unavailable> {
        self.inner.shown_to_anybody(key).await
    }

    async fn note(
        &self,
        who: Principal,
        key: ResponseKey,
        validation: Arc<Validation>,
        body: Body,
    ) -> Result<(), Unavailable> {
        self.inner.note(who, key, validation, body).await
    }

    async fn forget(&self, who: Principal, key: &ResponseKey) -> Result<(), Unavailable> {
        self.inner.forget(who, key).await
    }

    async fn forget_all(&self, _who: Principal) -> Result<(), Unavailable> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        std::future::pending().await
    }

    async fn forget_everything(&self) -> Result<(), Unavailable> {
        std::future::pending().await
    }

    async fn unshare(&self, _owners: &[Tag]) -> Result<(), Unavailable> {
        std::future::pending().await
    }

    async fn sweep(&self, now: Time) -> Result<(), Unavailable> {
        self.inner.sweep(now).await
    }

    fn bytes(&self) -> u64 {
        self.inner.bytes()
    }
}

/// Whatever a node's store of answers is doing, the node hears at once who has left; and what is still to
/// be forgotten is not given.
#[test]
fn a_store_of_answers_that_is_stuck_delays_no_sign_out() {
    // A node that hears nothing for so long would find out by itself.
    let keys = format!("{}cache: {{ staleness: 300s }}\n", keys());
    let mut kept = None;
    let world =
        World::build(&keys, ROUTES, |clock| kept.insert(Arc::new(Memory::new(clock))).clone());
    let sessions = kept.expect("the gateway has a store");
    let asked = Arc::new(AtomicUsize::new(0));
    let text = yaml(&world.github, &keys, &ROUTES.replace("@APP@", world.app.url()));
    let other = Gate::keeping(&text, |_, _, _| {
        let stuck = Stuck { inner: HeldResponses::new(8 << 20), asked: asked.clone() };
        Stores { sessions, answers: Some(Arc::new(stuck)) }
    });
    let [mut octocat, mut mona, hubot] = ["octocat", "mona", "hubot"].map(|person| {
        let (browser, _) = world.signed_in(person, PAGE);
        assert_eq!(cache(&browser.at(other.address).fetch(&at(USER))), UNKNOWN);
        browser
    });
    sign_out(&mut octocat);
    eventually("the store is asked", || asked.load(Ordering::SeqCst) > 0);
    sign_out(&mut mona);
    let mut there = mona.at(other.address);
    eventually("it is heard", || there.fetch(&at(USER)).status == 401);
    world.github.knobs().on(USER, Trouble::Refuse);
    assert_eq!(hubot.at(other.address).fetch(&at(USER)).status, 200, "who is still here: control");
    world.sign_in(&mut octocat, "octocat", PAGE);
    assert_eq!(octocat.at(other.address).fetch(&at(USER)).status, 502);
}
