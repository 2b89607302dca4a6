//! Tokens of instances' servers: sessions that such a token opens, and neither a cookie nor an API
//! key. They go on for as long as they are used, each time with another token.
//!
//! A token follows from the one before by a key of ours: all nodes give everybody who shows the old
//! one the same new one, however many ask at once and whichever answer is lost. The old one is good
//! until a while after the new one was used first.

use std::sync::Arc;
use std::time::Duration;

use super::super::accounts::Enlisted;
use super::super::tickets::TicketRow;
use super::super::{Memo, Table, Unavailable};
use super::{Live, SessionRow, Sessions};
use crate::api_key::ApiKey;
use crate::broker::InstanceToken;
use crate::clock::Time;
use crate::keys::{Digest, Keys, random};
use crate::session::{Session, SessionKey};

/// What a token opens, and until when it does.
#[derive(Debug)]
pub struct Opened<M> {
    /// The session.
    pub live: Arc<Live<M>>,
    /// When the token ends; the session may go on with another one.
    pub ends: Time,
}

/// How long a token is good after the next one was used: whatever is under way with it arrives, and
/// answers that come late may bring it back meanwhile.
pub const GRACE: Duration = Duration::from_secs(300);

/// Seconds that one API key is given for; it is good as long again.
const KEY_LASTS: i64 = 3600;

impl<M: Memo> Sessions<M> {
    /// Makes the session of an instance's server and its first token, on behalf of somebody who is
    /// signed in. All of it is in the store once this returns; `None` when that sign-in is over.
    pub async fn make_instance_token(
        &self,
        keys: &Keys,
        owner: &Live<M>,
        name: SessionKey,
        session: Session,
    ) -> Result<Option<InstanceToken>, Unavailable> {
        let token = InstanceToken::new(random());
        let digest = keys.instance_token_digest(token.expose());
        let (now, ends) = (session.created, session.expires);
        let instance = session.api_key.as_ref().and_then(|terms| terms.instance.clone());
        let (tickets, sessions) = (self.rows(keys, Table::Ticket), self.rows(keys, Table::Session));
        let row = SessionRow { session, seen: now, tickets: vec![] };
        sessions.insert(name.as_bytes(), &row, ends).await?;
        let ticket = TicketRow { session: name, ends: Some(ends), before: None };
        tickets.insert(&digest, &ticket, ends).await?;
        let (owner, key) = ((owner.account.id, owner.key), (name, ends));
        match self.accounts.enlist(keys, owner, key, instance, now).await? {
            Enlisted::Yes(surplus) => {
                for old in surplus {
                    self.end(keys, owner.0, old, now).await?;
                }
                Ok(Some(token))
            }
            Enlisted::TooMany | Enlisted::Over => {
                self.store.take(Table::Ticket, &digest).await?;
                self.store.take(Table::Session, name.as_bytes()).await?;
                Ok(None)
            }
        }
    }

    /// What a token opens. The store is asked each time, for it alone knows which of them are over.
    pub async fn find_instance_token(
        &self,
        keys: &Keys,
        token: &InstanceToken,
        now: Time,
    ) -> Result<Option<Opened<M>>, Unavailable> {
        let tickets = self.rows(keys, Table::Ticket);
        let digests: Vec<_> = keys.instance_token_digests(token.expose()).collect();
        for digest in &digests {
            let Some(ticket) = tickets.get::<TicketRow>(digest).await? else { continue };
            let Some(ends) = ticket.ends.filter(|ends| now < *ends) else { continue };
            let Some(live) = self.by_key(keys, ticket.session).await? else { continue };
            if live.instance().is_none() {
                continue;
            }
            // Another node may have prolonged it.
            live.prolong(ends);
            if *digest != digests[0] {
                // Named by a master that is on its way out.
                tickets.insert(&digests[0], &ticket, ends).await?;
                // It must not outlive its end under the other name.
                self.store.take(Table::Ticket, digest).await?;
            }
            if let Some(before) = ticket.before {
                self.retire(keys, before.0, now).await?;
                self.note_used(keys, &digests[0]).await?;
            }
            self.held.hold(digests[0], live.clone());
            return Ok(Some(Opened { live, ends }));
        }
        Ok(None)
    }

    /// The token that follows this one, good until `ends`, and the session with it.
    pub async fn next_instance_token(
        &self,
        keys: &Keys,
        token: &InstanceToken,
        live: &Arc<Live<M>>,
        ends: Time,
    ) -> Result<InstanceToken, Unavailable> {
        let next = InstanceToken::new(keys.next_instance_token(token.expose()));
        let (own, digest) =
            (keys.instance_token_digest(token.expose()), keys.instance_token_digest(next.expose()));
        let tickets = self.rows(keys, Table::Ticket);
        if tickets.get::<TicketRow>(&digest).await?.is_some() {
            return Ok(next);
        }
        // The list first: whoever ends all sessions finds it there. The token last: what it opens
        // is there for as long as it is good.
        self.accounts.prolong(keys, live.account.id, live.key, ends).await?;
        self.update(keys, live, |row| row.session.expires = row.session.expires.max(ends)).await?;
        live.prolong(ends);
        let ticket = TicketRow { session: live.key, ends: Some(ends), before: Some(own.into()) };
        tickets.insert(&digest, &ticket, ends).await?;
        Ok(next)
    }

    /// An API key for the session of an instance's server, and when it ends: with the session, and
    /// within two hours. All nodes give the same one within an hour, so that many questions make one.
    pub async fn instance_key(
        &self,
        keys: &Keys,
        live: &Live<M>,
        now: Time,
    ) -> Result<(ApiKey, Time), Unavailable> {
        let hour = now.unix().div_euclid(KEY_LASTS);
        let key = ApiKey::new(keys.instance_key(live.key.as_bytes(), hour.unsigned_abs()));
        let ends = Time::from_unix((hour + 2) * KEY_LASTS).min(live.expires());
        let ticket = TicketRow { session: live.key, ends: Some(ends), before: None };
        let digest = keys.api_key_digest(key.expose());
        if !self.rows(keys, Table::Ticket).insert(&digest, &ticket, ends).await? {
            // The session may have been prolonged since the key was given first.
            self.change_ticket(keys, &digest, |ticket| ticket.ends = ticket.ends.max(Some(ends)))
                .await?;
        }
        Ok((key, ends))
    }

    /// A newer token is in use: this one ends soon.
    async fn retire(&self, keys: &Keys, digest: Digest, now: Time) -> Result<(), Unavailable> {
        let last = now + GRACE;
        self.change_ticket(keys, &digest, |ticket| {
            ticket.ends = ticket.ends.map(|ends| ends.min(last));
        })
        .await
    }

    async fn note_used(&self, keys: &Keys, digest: &Digest) -> Result<(), Unavailable> {
        self.change_ticket(keys, digest, |ticket| ticket.before = None).await
    }

    /// Changes the row of a ticket, if it is there.
    async fn change_ticket(
        &self,
        keys: &Keys,
        digest: &Digest,
        change: impl Fn(&mut TicketRow),
    ) -> Result<(), Unavailable> {
        let tickets = self.rows(keys, Table::Ticket);
        while let Some(old) = tickets.read::<TicketRow>(digest).await? {
            let Some(mut new) = old.value.clone() else { break };
            change(&mut new);
            let Some(ends) = new.ends else { break };
            if tickets.write(digest, Some(&old), &new, ends).await? {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api_key::Terms;
    use crate::clock::Manual;
    use crate::identity::Identity;
    use crate::secret::Secret;
    use crate::session::{Lifetimes, Standing};
    use crate::store::{Memory, Profile, Store, Validators};

    fn at(seconds: i64) -> Time {
        Time::from_unix(seconds)
    }

    fn keys_of(masters: &[u8]) -> Keys {
        let masters: Vec<_> = masters.iter().map(|&b| Secret::new(vec![b; 32])).collect();
        Keys::derive(&masters, "realm")
    }

    fn session(api_key: Option<Terms>) -> Session {
        Session {
            account: 1,
            created: at(1000),
            expires: at(4600),
            device: "Trackeep".to_owned(),
            from: None,
            api_key,
        }
    }

    fn of_home() -> Terms {
        let instance = Some("home".into());
        Terms { name: "home".into(), routes: vec![], instance }
    }

    /// Two nodes on one store, and a token that the first has made.
    async fn scene(keys: &Keys) -> (Arc<Manual>, [Sessions<()>; 2], InstanceToken) {
        let clock = Arc::new(Manual::at(at(1000)));
        let store: Arc<dyn Store> = Arc::new(Memory::new(clock.clone()));
        let nodes = [1, 2].map(|_| Sessions::<()>::new(store.clone(), 1 << 20));
        let identity: Identity = serde_json::from_str(r#"{"id":1,"login":"octocat"}"#).unwrap();
        let profile = Profile { identity, checked: at(1000) };
        let (owner, _) =
            nodes[0].begin(keys, session(None), "a", &profile, &Validators::new()).await.unwrap();
        let name = SessionKey::new([7; 16]);
        let made = nodes[0].make_instance_token(keys, &owner, name, session(Some(of_home()))).await;
        (clock, nodes, made.unwrap().unwrap())
    }

    async fn find(
        node: &Sessions<()>,
        keys: &Keys,
        token: &InstanceToken,
        now: i64,
    ) -> Option<Opened<()>> {
        node.find_instance_token(keys, token, at(now)).await.unwrap()
    }

    #[tokio::test]
    async fn every_node_gives_the_same_next_token_and_both_are_good_on_both() {
        let keys = keys_of(&[1]);
        let (clock, nodes, token) = scene(&keys).await;
        clock.set(at(4000));
        let mut next = Vec::new();
        for node in &nodes {
            let live = find(node, &keys, &token, 4000).await.unwrap().live;
            next.push(node.next_instance_token(&keys, &token, &live, at(7600)).await.unwrap());
        }
        assert_eq!(next[0].expose(), next[1].expose());
        assert_ne!(next[0].expose(), token.expose());
        for node in &nodes {
            assert_eq!(find(node, &keys, &token, 4000).await.unwrap().ends, at(4600));
        }
        for node in &nodes {
            let opened = find(node, &keys, &next[0], 4000).await.unwrap();
            assert_eq!((opened.ends, opened.live.expires()), (at(7600), at(7600)));
        }
        // It is used: the old one ends after the grace, on both.
        for node in &nodes {
            assert!(find(node, &keys, &token, 4299).await.is_some());
            assert!(find(node, &keys, &token, 4300).await.is_none());
        }
        clock.set(at(7000));
        let live = find(&nodes[1], &keys, &next[0], 7000).await.unwrap().live;
        assert_eq!(live.standing(at(7000), Lifetimes::default()), Standing::Live);
        let listed = nodes[0].list(&keys, 1, at(7000)).await.unwrap();
        assert_eq!(listed.len(), 1, "it is listed for as long as it is good");
        nodes[0].end(&keys, 1, live.key, at(7000)).await.unwrap();
        assert!(find(&nodes[0], &keys, &next[0], 7000).await.is_none());
    }

    async fn opened(
        node: &Sessions<()>,
        keys: &Keys,
        key: &ApiKey,
        now: i64,
    ) -> Option<Arc<Live<()>>> {
        node.find_api_key(keys, key, at(now)).await.unwrap()
    }

    #[tokio::test]
    async fn a_key_is_the_same_on_all_nodes_for_an_hour_and_good_for_one_more() {
        let keys = keys_of(&[1]);
        let (clock, nodes, token) = scene(&keys).await;
        let live = find(&nodes[0], &keys, &token, 1000).await.unwrap().live;
        let next = nodes[0].next_instance_token(&keys, &token, &live, at(90_000)).await.unwrap();
        let live = find(&nodes[1], &keys, &next, 1000).await.unwrap().live;
        let mut given = Vec::new();
        for (node, now) in [(0, 1000), (1, 3599), (0, 3600)] {
            clock.set(at(now));
            given.push(nodes[node].instance_key(&keys, &live, at(now)).await.unwrap());
        }
        let (keys_given, ends): (Vec<_>, Vec<_>) = given.into_iter().unzip();
        assert_eq!(ends, [at(7200), at(7200), at(10_800)]);
        assert_eq!(keys_given[0].expose(), keys_given[1].expose());
        assert_ne!(keys_given[1].expose(), keys_given[2].expose());
        for node in &nodes {
            // A second time, too: it is not held beyond its end.
            for _ in 0..2 {
                assert_eq!(opened(node, &keys, &keys_given[0], 7199).await.unwrap().key, live.key);
                assert!(opened(node, &keys, &keys_given[0], 7200).await.is_none());
            }
            assert!(opened(node, &keys, &keys_given[2], 7200).await.is_some());
        }
        // It is no token of a server's, and ends with the session.
        let forged = InstanceToken::new(*keys_given[2].expose());
        assert!(find(&nodes[0], &keys, &forged, 7200).await.is_none());
        nodes[1].end(&keys, 1, live.key, at(7200)).await.unwrap();
        assert!(opened(&nodes[1], &keys, &keys_given[2], 7200).await.is_none());
    }

    #[tokio::test]
    async fn a_key_lasts_as_long_as_it_says_where_its_session_was_prolonged_since() {
        let keys = keys_of(&[1]);
        let (clock, nodes, token) = scene(&keys).await;
        clock.set(at(3700));
        let live = find(&nodes[0], &keys, &token, 3700).await.unwrap().live;
        let (key, ends) = nodes[0].instance_key(&keys, &live, at(3700)).await.unwrap();
        assert_eq!(ends, at(4600), "with its session");
        nodes[0].next_instance_token(&keys, &token, &live, at(90_000)).await.unwrap();
        let (same, ends) = nodes[0].instance_key(&keys, &live, at(3700)).await.unwrap();
        assert_eq!((same.expose(), ends), (key.expose(), at(10_800)));
        clock.set(at(10_799));
        assert!(opened(&nodes[0], &keys, &key, 10_799).await.is_some());
        assert!(opened(&nodes[0], &keys, &key, 10_800).await.is_none());
    }

    #[tokio::test]
    async fn a_key_goes_on_under_a_new_master_and_not_beyond_its_end() {
        let (old, rotated, new) = (keys_of(&[1]), keys_of(&[2, 1]), keys_of(&[2]));
        let (clock, nodes, token) = scene(&old).await;
        let live = find(&nodes[0], &old, &token, 1000).await.unwrap().live;
        let (key, ends) = nodes[0].instance_key(&old, &live, at(1000)).await.unwrap();
        assert_eq!(ends, at(4600), "with its session");
        assert!(opened(&nodes[0], &new, &key, 1000).await.is_none());
        for now in [1000, 4599] {
            assert!(opened(&nodes[0], &rotated, &key, now).await.is_some());
        }
        clock.set(at(4600));
        assert!(opened(&nodes[0], &rotated, &key, 4600).await.is_none());
    }

    #[tokio::test]
    async fn a_token_opens_nothing_as_a_cookie_or_a_key_and_goes_on_under_a_new_master() {
        let (old, rotated, new) = (keys_of(&[1]), keys_of(&[2, 1]), keys_of(&[2]));
        let (_, nodes, token) = scene(&old).await;
        let cookie = crate::session::SessionId::new(*token.expose());
        let key = crate::api_key::ApiKey::new(*token.expose());
        assert!(nodes[0].find(&old, &cookie, "a").await.unwrap().is_none());
        assert!(nodes[0].find_api_key(&old, &key, at(1000)).await.unwrap().is_none());
        assert!(find(&nodes[0], &new, &token, 1000).await.is_none());
        assert!(find(&nodes[0], &rotated, &token, 1000).await.is_some());
        let digest = new.instance_token_digest(token.expose());
        let row = async |digest: &[u8]| nodes[0].store.get(Table::Ticket, digest).await.unwrap();
        assert!(row(&digest).await.is_some(), "named anew");
        let before = old.instance_token_digest(token.expose());
        assert_eq!(row(&before).await, None, "and no more as it was");
    }
}
