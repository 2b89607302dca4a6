//! API keys: sessions that a token opens and no cookie, at every host, and that end when their
//! owner said they should. In all else they are sessions, held, announced and ended as such.

use std::sync::Arc;

use super::super::accounts::Enlisted;
use super::super::tickets::TicketRow;
use super::super::{Memo, Table, Unavailable};
use super::{Live, SessionRow, Sessions};
use crate::api_key::ApiKey;
use crate::clock::Time;
use crate::keys::{Keys, random};
use crate::session::{Session, SessionKey};

/// What became of the wish for an API key.
#[derive(Debug)]
pub enum Made {
    /// This one, under this name: its owner is told once.
    Key(ApiKey, SessionKey),
    /// The account has as many as it may have.
    TooMany,
    /// The session that asked for it has ended meanwhile.
    Over,
}

impl<M: Memo> Sessions<M> {
    /// Makes an API key for the owner of a session. All of it is in the store once this returns.
    pub async fn make_api_key(
        &self,
        keys: &Keys,
        owner: &Live<M>,
        session: Session,
    ) -> Result<Made, Unavailable> {
        let (name, key) = (SessionKey::new(random()), ApiKey::new(random()));
        let digest = keys.api_key_digest(key.expose());
        let (now, expires) = (session.created, session.expires);
        let instance = session.api_key.as_ref().and_then(|terms| terms.instance.clone());
        let (tickets, sessions) = (self.rows(keys, Table::Ticket), self.rows(keys, Table::Session));
        // One after the other: a ticket whose session is not there is taken for an old one.
        let row = SessionRow { session, seen: now, tickets: vec![] };
        sessions.insert(name.as_bytes(), &row, expires).await?;
        tickets.insert(&digest, &TicketRow::of(name), expires).await?;
        // Listed last: what is on the list is there whole, and what is not was told to nobody.
        let owner = (owner.account.id, owner.key);
        let enlisted = self.accounts.enlist(keys, owner, (name, expires), instance, now).await?;
        let made = match enlisted {
            Enlisted::Yes(surplus) => {
                for old in surplus {
                    self.end(keys, owner.0, old, now).await?;
                }
                return Ok(Made::Key(key, name));
            }
            Enlisted::TooMany => Made::TooMany,
            Enlisted::Over => Made::Over,
        };
        self.store.take(Table::Ticket, &digest).await?;
        self.store.take(Table::Session, name.as_bytes()).await?;
        Ok(made)
    }

    /// The session of an API key, from the store if need be. One that names no routes is none.
    pub async fn find_api_key(
        &self,
        keys: &Keys,
        key: &ApiKey,
        now: Time,
    ) -> Result<Option<Arc<Live<M>>>, Unavailable> {
        if let Some(live) = self.held_open(&keys.api_key_digest(key.expose())) {
            return Ok(Some(live).filter(|live| live.is_api_key()));
        }
        let digests: Vec<_> = keys.api_key_digests(key.expose()).collect();
        let opened = self.open(keys, &digests).await?;
        let is_good = |live: &Live<M>, ends: Option<Time>| {
            live.is_api_key() && ends.is_none_or(|ends| now < ends)
        };
        Ok(opened.filter(|(live, ends)| is_good(live, *ends)).map(|(live, _)| live))
    }
}
