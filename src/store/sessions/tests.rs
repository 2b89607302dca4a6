use std::time::Duration;

use super::*;
use crate::api_key::{ApiKey, Terms};
use crate::clock::Manual;
use crate::identity::Identity;
use crate::secret::Secret;
use crate::store::{Memory, Store, tickets};

const CACHE: usize = 1 << 20;

fn at(seconds: i64) -> Time {
    Time::from_unix(seconds)
}

fn octocat() -> Session {
    Session {
        account: 1,
        created: at(1000),
        expires: at(2000),
        device: "Firefox".to_owned(),
        from: "192.0.2.1".parse().ok(),
        api_key: None,
    }
}

fn profile() -> Profile {
    let identity: Identity = serde_json::from_str(r#"{"id":1,"login":"octocat"}"#).unwrap();
    Profile { identity, checked: at(1000) }
}

fn keys() -> Keys {
    keys_of(&[1])
}

fn keys_of(masters: &[u8]) -> Keys {
    let masters: Vec<_> = masters.iter().map(|&b| Secret::new(vec![b; 32])).collect();
    Keys::derive(&masters, "realm")
}

fn store() -> (Arc<Manual>, Arc<dyn Store>) {
    let clock = Arc::new(Manual::at(at(1000)));
    (clock.clone(), Arc::new(Memory::new(clock)))
}

fn sessions(store: &Arc<dyn Store>) -> Sessions<()> {
    Sessions::new(store.clone(), CACHE)
}

async fn begin(sessions: &Sessions<()>, keys: &Keys) -> (Arc<Live<()>>, SessionId) {
    sessions.begin(keys, octocat(), "a", &profile(), &Validators::new()).await.unwrap()
}

#[tokio::test]
async fn an_id_opens_its_session_at_its_host_alone() {
    let sessions = sessions(&store().1);
    let (_, id) = begin(&sessions, &keys()).await;
    let other = SessionId::new([9; 32]);
    assert!(sessions.find(&keys(), &id, "a").await.unwrap().is_some());
    assert!(sessions.find(&keys(), &id, "b").await.unwrap().is_none());
    assert!(sessions.find(&keys(), &other, "a").await.unwrap().is_none());
}

#[tokio::test]
async fn the_store_alone_is_enough() {
    let (_, store) = store();
    let (_, id) = begin(&sessions(&store), &keys()).await;
    let second = sessions(&store);
    assert!(second.peek(&keys(), &id, "a").is_none());
    let found = second.find(&keys(), &id, "a").await.unwrap().unwrap();
    assert_eq!((found.created, found.expires()), (at(1000), at(2000)));
    assert_eq!(found.account.identity(), profile().identity);
    assert!(second.peek(&keys(), &id, "a").is_some());
}

#[tokio::test]
async fn another_realm_knows_nothing_of_it() {
    let (_, store) = store();
    let (_, id) = begin(&sessions(&store), &keys()).await;
    let other = Keys::derive(&[Secret::new(vec![1; 32])], "another GitHub");
    assert!(sessions(&store).find(&other, &id, "a").await.unwrap().is_none());
}

#[tokio::test]
async fn an_ended_session_is_over_on_every_host_and_stays_so() {
    let sessions = sessions(&store().1);
    let (live, a) = begin(&sessions, &keys()).await;
    let b = sessions.open_at(&keys(), &live, "b").await.unwrap();
    assert_eq!(sessions.end(&keys(), 1, live.key, at(1000)).await, Ok(Left::None));
    sessions.write_seen(&keys(), &live).await.unwrap();
    sessions.sweep(Lifetimes::default(), at(1030)).await.unwrap();
    for (id, host) in [(&a, "a"), (&b, "b")] {
        assert!(sessions.find(&keys(), id, host).await.unwrap().is_none(), "{host}");
    }
}

#[tokio::test]
async fn what_one_node_ends_is_over_on_the_other_once_it_hears() {
    let (_, store) = store();
    let (here, there) = (sessions(&store), sessions(&store));
    let (live, id) = begin(&here, &keys()).await;
    let mark = store.listen(None).await.unwrap().mark;
    assert!(there.find(&keys(), &id, "a").await.unwrap().is_some());
    here.end(&keys(), 1, live.key, at(1000)).await.unwrap();
    assert!(there.peek(&keys(), &id, "a").is_some(), "it has not heard yet");
    for sealed in store.listen(Some(&mark)).await.unwrap().news {
        let news = News::open(&keys(), &sealed).unwrap();
        there.heed(&keys(), &news, at(1000)).await.unwrap();
    }
    assert!(there.find(&keys(), &id, "a").await.unwrap().is_none());
}

#[tokio::test]
async fn a_node_that_hears_nothing_asks_the_store() {
    let (_, store) = store();
    let (here, there) = (sessions(&store), sessions(&store));
    let (live, id) = begin(&here, &keys()).await;
    assert!(there.find(&keys(), &id, "a").await.unwrap().is_some());
    here.end(&keys(), 1, live.key, at(1000)).await.unwrap();
    there.set_in_touch(false);
    assert!(there.find(&keys(), &id, "a").await.unwrap().is_none());
    there.set_in_touch(true);
    assert!(there.peek(&keys(), &id, "a").is_some(), "positive control: it believes its memory");
    there.reconcile(at(1000)).await.unwrap();
    assert!(there.find(&keys(), &id, "a").await.unwrap().is_none());
}

#[tokio::test]
async fn a_session_has_a_few_cookies_at_a_host_and_no_more() {
    let sessions = sessions(&store().1);
    let (live, first) = begin(&sessions, &keys()).await;
    let mut ids = vec![first];
    for _ in 0..=tickets::MOST_AT_A_HOST {
        ids.push(sessions.open_at(&keys(), &live, "a").await.unwrap());
    }
    let other = sessions.open_at(&keys(), &live, "b").await.unwrap();
    let mut open = Vec::new();
    for id in &ids {
        open.push(sessions.find(&keys(), id, "a").await.unwrap().is_some());
    }
    assert_eq!(open, [false, false, true, true, true, true]);
    assert!(sessions.find(&keys(), &other, "b").await.unwrap().is_some());
}

#[tokio::test]
async fn the_oldest_of_too_many_sessions_gives_way() {
    let sessions = sessions(&store().1);
    let (_, first) = begin(&sessions, &keys()).await;
    let (_, second) = begin(&sessions, &keys()).await;
    for _ in 0..499 {
        begin(&sessions, &keys()).await;
    }
    assert!(sessions.find(&keys(), &first, "a").await.unwrap().is_none());
    assert!(sessions.find(&keys(), &second, "a").await.unwrap().is_some());
    assert_eq!(sessions.list(&keys(), 1, at(1000)).await.unwrap().len(), 500);
}

#[tokio::test]
async fn all_sessions_of_an_account_end_but_one() {
    let sessions = sessions(&store().1);
    let (mine, id) = begin(&sessions, &keys()).await;
    let (_, other) = begin(&sessions, &keys()).await;
    assert_eq!(sessions.end_all(&keys(), 1, Doomed::AllBut(mine.key), at(1000)).await, Ok(1));
    assert!(sessions.find(&keys(), &id, "a").await.unwrap().is_some());
    assert!(sessions.find(&keys(), &other, "a").await.unwrap().is_none());
    let listed = sessions.list(&keys(), 1, at(1000)).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].key, &listed[0].session), (mine.key, &octocat()));
}

#[tokio::test]
async fn a_rotated_master_finds_what_the_old_one_named() {
    let (_, store) = store();
    let (_, id) = begin(&sessions(&store), &keys_of(&[1])).await;
    let (rotated, new) = (keys_of(&[2, 1]), keys_of(&[2]));
    assert!(sessions(&store).find(&new, &id, "a").await.unwrap().is_none());
    let live = sessions(&store).find(&rotated, &id, "a").await.unwrap().unwrap();
    sessions(&store).write_seen(&rotated, &live).await.unwrap();
    let again = sessions(&store);
    let digest = new.session_digest(id.expose(), "a");
    assert!(store.get(Table::Ticket, &digest).await.unwrap().is_some(), "named anew");
    assert!(again.by_key(&rotated, live.key).await.unwrap().is_some());
}

#[tokio::test]
async fn use_is_written_down_once_a_minute_and_seen_by_other_nodes() {
    let (_, store) = store();
    let (here, there) = (sessions(&store), sessions(&store));
    let (live, id) = begin(&here, &keys()).await;
    let other = there.find(&keys(), &id, "a").await.unwrap().unwrap();
    let due: Vec<_> = [1000, 1030, 1060, 1061, 1119, 1121].map(|now| live.touch(at(now))).into();
    assert_eq!(due, [false, false, true, false, false, true]);
    assert_eq!(live.seen(), at(1121));
    assert!(!live.touch(at(1100)), "a clock that jumps back does not make a session older");
    here.write_seen(&keys(), &live).await.unwrap();
    assert_eq!(other.seen(), at(1000));
    there.look_again(&keys(), &other).await.unwrap();
    assert_eq!(other.seen(), at(1121));
}

#[tokio::test]
async fn a_sweep_lets_go_of_what_is_over() {
    let (_, store) = store();
    let sessions = sessions(&store);
    let (live, _) = begin(&sessions, &keys()).await;
    let open = async |now| sessions.sweep(Lifetimes::default(), at(now)).await.unwrap().open;
    assert_eq!(open(1500).await, 1);
    assert_eq!(open(2000).await, 1, "somebody holds it");
    drop(live);
    assert_eq!(open(2000).await, 0);
}

#[tokio::test]
async fn memory_is_bounded_and_nobody_is_signed_out_for_it() {
    let (_, store) = store();
    let small = Sessions::<()>::new(store.clone(), 64 << 10);
    let mut ids = Vec::new();
    for account in 1..=500 {
        let session = Session { account, ..octocat() };
        let mut profile = profile();
        profile.identity.id = account;
        let begun = small.begin(&keys(), session, "a", &profile, &Validators::new()).await;
        ids.push(begun.unwrap().1);
    }
    let report = small.sweep(Lifetimes::default(), at(1000)).await.unwrap();
    assert!(report.open < 150 && report.bytes <= 64 << 10, "{report:?}");
    for id in &ids {
        assert!(small.find(&keys(), id, "a").await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_record_in_another_row_does_not_open() {
    let (clock, store) = store();
    let sessions = sessions(&store);
    let (one, _) = begin(&sessions, &keys()).await;
    let (two, _) = begin(&sessions, &keys()).await;
    let sealed = store.take(Table::Session, one.key.as_bytes()).await.unwrap().unwrap();
    store.take(Table::Session, two.key.as_bytes()).await.unwrap().unwrap();
    let end = clock_end(&clock);
    store.insert(Table::Session, two.key.as_bytes(), sealed.clone(), end).await.unwrap();
    let fresh = Sessions::<()>::new(store.clone(), CACHE);
    assert!(fresh.by_key(&keys(), two.key).await.unwrap().is_none(), "swapped");
    store.insert(Table::Session, one.key.as_bytes(), sealed, end).await.unwrap();
    assert!(fresh.by_key(&keys(), one.key).await.unwrap().is_some(), "positive control");
}

fn clock_end(clock: &Manual) -> Time {
    use crate::clock::Clock;
    clock.now() + Duration::from_secs(100)
}

/// By a clock that is ahead a session looks over, while somebody signs in: its account knows it all
/// the same, so that it ends with the others.
#[tokio::test]
async fn a_clock_that_is_ahead_strikes_no_session_off_the_list() {
    let (_, store) = store();
    let sessions = sessions(&store);
    let (_, id) = begin(&sessions, &keys()).await;
    let later = Session { created: at(2100), expires: at(3100), ..octocat() };
    let ahead = Profile { checked: at(2100), ..profile() };
    sessions.begin(&keys(), later, "a", &ahead, &Validators::new()).await.unwrap();
    assert_eq!(sessions.end_all(&keys(), 1, Doomed::All, at(2100)).await, Ok(2));
    assert!(sessions.find(&keys(), &id, "a").await.unwrap().is_none());
}

/// A connection remembers its session; a sweep by a clock that is ahead must not part the two.
#[tokio::test]
async fn a_session_that_a_connection_remembers_learns_of_its_end() {
    let (_, store) = store();
    let sessions = sessions(&store);
    let (remembered, id) = begin(&sessions, &keys()).await;
    sessions.sweep(Lifetimes::default(), at(9000)).await.unwrap();
    assert!(!remembered.has_ended());
    let found = sessions.find(&keys(), &id, "a").await.unwrap().unwrap();
    assert!(Arc::ptr_eq(&found, &remembered), "there is one of it");
    sessions.end(&keys(), 1, remembered.key, at(1000)).await.unwrap();
    assert!(remembered.has_ended());
}

#[tokio::test]
async fn a_cookie_that_gave_way_does_not_come_back_when_its_session_is_weighed() {
    let (_, store) = store();
    let sessions = sessions(&store);
    let (live, first) = begin(&sessions, &keys()).await;
    for _ in 0..tickets::MOST_AT_A_HOST {
        sessions.open_at(&keys(), &live, "a").await.unwrap();
    }
    assert!(sessions.peek(&keys(), &first, "a").is_none());
    sessions.weigh(&live);
    assert!(sessions.peek(&keys(), &first, "a").is_none());
}

/// A node whose clock was ahead wrote last; what GitHub says now counts all the same.
#[tokio::test]
async fn what_github_says_last_counts_whatever_a_fast_clock_wrote() {
    let sessions = sessions(&store().1);
    begin(&sessions, &keys()).await;
    let accounts = sessions.accounts();
    let ahead = Profile { checked: at(1250), ..profile() };
    accounts.renew(&keys(), at(1000), &ahead, &Validators::new()).await.unwrap();
    let mut now = Profile { checked: at(1060), ..profile() };
    now.identity.name = Some("The Octocat".into());
    accounts.renew(&keys(), at(1250), &now, &Validators::new()).await.unwrap();
    let record = accounts.read(&keys(), 1).await.unwrap().unwrap();
    assert_eq!(record.profile, now);
    let late = Profile { checked: at(1070), ..profile() };
    accounts.renew(&keys(), at(1250), &late, &Validators::new()).await.unwrap();
    let record = accounts.read(&keys(), 1).await.unwrap().unwrap();
    assert_eq!(record.profile, now, "somebody noted something since that was read");
}

// === API keys ===

async fn make(sessions: &Sessions<()>, keys: &Keys, owner: &Live<()>, end: i64) -> Made {
    let terms = Terms { name: "ci".into(), routes: vec!["app".into()], instance: None };
    let session = Session { expires: at(end), api_key: Some(terms), ..octocat() };
    sessions.make_api_key(keys, owner, session).await.unwrap()
}

async fn made(sessions: &Sessions<()>, keys: &Keys, owner: &Live<()>) -> ApiKey {
    match make(sessions, keys, owner, 9000).await {
        Made::Key(key, _) => key,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_api_key_opens_its_session_on_every_node_and_a_cookie_of_the_same_bits_does_not() {
    let (_, store) = store();
    let here = sessions(&store);
    let (owner, _) = begin(&here, &keys()).await;
    let key = made(&here, &keys(), &owner).await;
    for sessions in [&here, &sessions(&store)] {
        for _ in ["from the store", "held open"] {
            let live = sessions.find_api_key(&keys(), &key, at(1000)).await.unwrap().unwrap();
            assert_eq!((live.is_api_key(), live.expires()), (true, at(9000)));
            assert_eq!([live.opens("app"), live.opens("wiki")], [true, false]);
            let never = Lifetimes { lifetime: Duration::ZERO, idle: Duration::ZERO };
            assert_eq!(live.standing(at(8999), never), Standing::Live);
        }
        let cookie = SessionId::new(*key.expose());
        for host in ["a", ""] {
            assert!(sessions.find(&keys(), &cookie, host).await.unwrap().is_none());
        }
        let other = ApiKey::new([9; 32]);
        assert!(sessions.find_api_key(&keys(), &other, at(1000)).await.unwrap().is_none());
    }
    assert!(owner.opens("wiki"), "a sign-in opens every route");
}

#[tokio::test]
async fn a_rotated_master_finds_an_api_key_that_the_old_one_named() {
    let (_, store) = store();
    let (old, rotated, new) = (keys_of(&[1]), keys_of(&[2, 1]), keys_of(&[2]));
    let (owner, _) = begin(&sessions(&store), &old).await;
    let key = made(&sessions(&store), &old, &owner).await;
    assert!(sessions(&store).find_api_key(&new, &key, at(1000)).await.unwrap().is_none());
    assert!(sessions(&store).find_api_key(&rotated, &key, at(1000)).await.unwrap().is_some());
    let digest = new.api_key_digest(key.expose());
    assert!(store.get(Table::Ticket, &digest).await.unwrap().is_some(), "named anew");
}

#[tokio::test]
async fn many_sign_ins_take_no_api_key_away() {
    let sessions = sessions(&store().1);
    let (owner, first) = begin(&sessions, &keys()).await;
    let key = made(&sessions, &keys(), &owner).await;
    for _ in 0..500 {
        begin(&sessions, &keys()).await;
    }
    assert!(sessions.find(&keys(), &first, "a").await.unwrap().is_none(), "control");
    assert!(sessions.find_api_key(&keys(), &key, at(1000)).await.unwrap().is_some());
}

/// Whoever has a stolen cookie and sees its session end cannot save anything into a key.
#[tokio::test]
async fn a_session_that_is_over_makes_no_api_key() {
    let (_, store) = store();
    let sessions = sessions(&store);
    let (owner, _) = begin(&sessions, &keys()).await;
    let (stolen, _) = begin(&sessions, &keys()).await;
    sessions.end(&keys(), 1, stolen.key, at(1000)).await.unwrap();
    assert!(matches!(make(&sessions, &keys(), &stolen, 9000).await, Made::Over));
    assert_eq!(store.scan(Table::Session, None).await.unwrap().rows.len(), 1);
    assert!(matches!(make(&sessions, &keys(), &owner, 9000).await, Made::Key(..)), "control");
}

#[tokio::test]
async fn all_sign_ins_end_without_the_api_keys_or_with_them() {
    let sessions = sessions(&store().1);
    let (mine, _) = begin(&sessions, &keys()).await;
    let key = made(&sessions, &keys(), &mine).await;
    begin(&sessions, &keys()).await;
    let end = async |doomed| sessions.end_all(&keys(), 1, doomed, at(1000)).await;
    let is_good = async || sessions.find_api_key(&keys(), &key, at(1000)).await.unwrap().is_some();
    assert_eq!(end(Doomed::SignInsBut(mine.key)).await, Ok(1));
    assert!(is_good().await);
    assert_eq!(end(Doomed::AllBut(mine.key)).await, Ok(1));
    assert!(!is_good().await);
}
