//! Answers that are asked for anew before anybody asks, once a webhook has told that they have changed:
//! those of installations, which many ask for. A person's are that person's to ask for.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use quick_cache::sync::Cache;

use super::flights::Place;
use super::inquiry::Inquiry;
use super::reply::{Finding, Landed};
use super::{Api, Means, Question};
use crate::clock::Time;
use crate::freshness::tags::Tag;
use crate::freshness::{Directives, WARY};
use crate::store::{Principal, ResponseKey};

/// Something to be asked for anew.
pub struct Refresh {
    /// What is asked.
    pub question: Arc<Question>,
    /// The fields to send, without a token.
    pub fields: HeaderMap,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// GitHub has told what it is now.
    Done,
    /// Somebody asks for it anyway, or it is held no more.
    Needless,
    /// Too little is left of the budget, which is for those who ask.
    Spared,
    /// GitHub gave no answer.
    Failed,
}

/// What installations have asked for, and what of it is due.
pub(super) struct Refreshes {
    asked: Cache<(Principal, ResponseKey), Arc<Refresh>>,
    /// Until its time has come each change of the same only puts it off.
    due: Mutex<HashMap<(Principal, ResponseKey), Due>>,
}

/// When something is to be asked for, and which account asked for it last.
struct Due {
    at: Time,
    account: u64,
}

/// Questions that are remembered, the least asked ones forgotten first.
const MOST: usize = 2048;

/// The longest question that is remembered, with its fields: what a visitor makes up may be longer than
/// all that anybody needs.
const LONGEST: usize = 1024;

/// Questions that are due at once. What finds no place waits for somebody to ask.
const MOST_DUE: usize = 512;

/// The same of what one account has asked.
const MOST_DUE_OF_ACCOUNT: usize = 64;

/// GitHub's copies lag behind its events: before that an answer would be believed by nobody.
const PAUSE: Duration = WARY.saturating_add(Duration::from_secs(1));

/// How long a refresh waits for its turn.
const PATIENCE: Duration = Duration::from_secs(30);

// === impl Refreshes ===

impl Refreshes {
    pub(super) fn new() -> Self {
        Self { asked: Cache::new(MOST), due: Mutex::default() }
    }

    /// Remembers what an installation has asked for.
    fn watch(&self, refresh: Refresh) {
        let key = (refresh.question.who, refresh.question.key);
        self.asked.insert(key, Arc::new(refresh));
    }

    /// Something of these tags has changed. How much of it finds no place is the answer.
    fn note(&self, tags: &[Tag], now: Time) -> usize {
        let tags: HashSet<_> = tags.iter().collect();
        let changed =
            |refresh: &Refresh| refresh.question.tags.iter().any(|tag| tags.contains(tag));
        let asked = self.asked.iter().filter(|(_, refresh)| changed(refresh));
        let (mut due, mut dropped) = (self.due(), 0);
        let mut of_accounts = HashMap::<u64, usize>::new();
        due.values().for_each(|it| *of_accounts.entry(it.account).or_default() += 1);
        for (key, refresh) in asked {
            let account = refresh.question.account;
            if let Some(known) = due.get_mut(&key) {
                known.at = now + PAUSE;
                continue;
            }
            let of_account = of_accounts.entry(account).or_default();
            if due.len() == MOST_DUE || *of_account == MOST_DUE_OF_ACCOUNT {
                dropped += 1;
                continue;
            }
            *of_account += 1;
            due.insert(key, Due { at: now + PAUSE, account });
        }
        dropped
    }

    /// One whose time has come.
    fn next(&self, now: Time) -> Option<Arc<Refresh>> {
        let mut due = self.due();
        loop {
            let (key, _) = due.iter().find(|(_, due)| due.at <= now)?;
            let key = *key;
            due.remove(&key);
            if let Some(refresh) = self.asked.peek(&key) {
                return Some(refresh);
            }
        }
    }

    /// Forgets what an installation has asked for.
    pub(super) fn forget_all(&self, who: Principal) {
        let is_other = |(owner, _): &(Principal, ResponseKey)| owner.subject() != who.subject();
        self.asked.retain(|key, _| is_other(key));
        self.due().retain(|key, _| is_other(key));
    }

    fn due(&self) -> MutexGuard<'_, HashMap<(Principal, ResponseKey), Due>> {
        // A map of times holds whatever happened to whoever held it.
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Refreshed ===

impl Refreshed {
    /// The metric's label.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Needless => "needless",
            Self::Spared => "spared",
            Self::Failed => "failed",
        }
    }
}

// === impl Api ===

impl Api {
    /// Remembers what has been asked and answered, to ask for it again when a webhook says that it has
    /// changed. People's questions are not remembered.
    pub fn watch(&self, question: &Question, fields: &HeaderMap) {
        let length = fields.values().map(HeaderValue::len).sum::<usize>();
        let is_short = question.path.as_str().len() + length <= LONGEST;
        if question.who.user().is_some() || !question.handling.store || !is_short {
            return;
        }
        // Whoever asks for it next has wishes of one's own.
        let wishes = Directives::default();
        let question = Question { wishes, max_wait: PATIENCE, ..question.clone() };
        self.refreshes.watch(Refresh { question: Arc::new(question), fields: fields.clone() });
    }

    /// A webhook has told that something of these tags has changed: what is held of it is asked for
    /// anew soon.
    pub fn refresh_soon(&self, tags: &[Tag]) {
        let dropped = self.refreshes.note(tags, self.clock.now());
        if let Ok(dropped @ 1..) = u64::try_from(dropped) {
            self.metrics.github_refreshes.with_label_values(&["dropped"]).inc_by(dropped);
        }
    }

    /// Something that is to be asked for anew now.
    pub fn next_refresh(&self) -> Option<Arc<Refresh>> {
        self.refreshes.next(self.clock.now())
    }

    /// Whether the budget has more than half of its window's requests left: less is for those who
    /// ask.
    pub fn may_refresh(&self, refresh: &Refresh) -> bool {
        let (key, resource) = (&refresh.question.budget, refresh.question.resource);
        let standing = self.budgets.standing(key, resource);
        let is_ample = standing.is_none_or(|it| u64::from(it.remaining) * 2 > u64::from(it.limit));
        is_ample
            && self.budgets.closed(key, resource).is_none()
            && self.budgets.paused(key).is_none()
    }

    /// Asks for it anew, unless somebody does already or it is held no more.
    pub async fn refresh(&self, refresh: &Refresh, means: &Means) -> Refreshed {
        let question = &refresh.question;
        let known = self.known(question).await;
        let outdated = |number| self.changes.is_outdated(question.who, &question.tags, number);
        let (key, latest) = ((question.who, question.key), self.changes.latest());
        if known.is_none() {
            return Refreshed::Needless;
        }
        let Place::Lead(lead, _landing) = self.flights.enter(key, latest, outdated) else {
            return Refreshed::Needless;
        };
        let inquiry = Inquiry::new(self, question, means, Some(&lead), &known);
        let landed = inquiry.make().await.landed();
        let is_told = matches!(&landed, Landed::Found(Finding::Answer(_)));
        lead.land(landed);
        if is_told { Refreshed::Done } else { Refreshed::Failed }
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::budget::Resource;
    use crate::freshness::{ApiPath, handling, tags};
    use crate::github::budgets::BudgetKey;

    const START: Time = Time::from_unix(1_000_000);
    const ACME: Principal = Principal::Installation { realm: 1, id: 5, scope: 7 };
    const OTHER: Principal = Principal::Installation { realm: 1, id: 6, scope: 7 };

    fn asked(who: Principal, number: usize) -> Refresh {
        asked_by(number as u64, who, number)
    }

    fn asked_by(account: u64, who: Principal, number: usize) -> Refresh {
        let path = ApiPath::parse(&format!("/repos/acme/wiki/issues/{number}")).unwrap();
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        let question = Question {
            who,
            account,
            budget: BudgetKey::Installation(5),
            key,
            handling: handling(&path, ""),
            tags: tags::tags_of(&path, None),
            wishes: Directives::default(),
            share: true,
            by_webhooks: false,
            resource: Resource::predicted(&Method::GET, path.path()),
            max_wait: PATIENCE,
            path,
        };
        Refresh { question: Arc::new(question), fields: HeaderMap::new() }
    }

    fn tag(text: &str) -> Tag {
        Tag::from(text.to_owned())
    }

    fn numbers(refreshes: &Refreshes, now: Time) -> Vec<String> {
        let next = || refreshes.next(now);
        let mut due: Vec<_> = std::iter::from_fn(next)
            .map(|refresh| refresh.question.path.path().rsplit('/').next().unwrap().to_owned())
            .collect();
        due.sort_unstable();
        due
    }

    #[test]
    fn what_has_changed_is_due_when_no_more_changes_come() {
        let refreshes = Refreshes::new();
        for number in 1..4 {
            refreshes.watch(asked(ACME, number));
        }
        let changed = [tag("repo:acme/wiki/issues/1"), tag("repo:acme/wiki/issues/2")];
        assert_eq!(refreshes.note(&changed, START), 0);
        let later = START + Duration::from_secs(5);
        assert_eq!(refreshes.note(&changed[..1], later), 0);
        assert!(numbers(&refreshes, START + PAUSE - Duration::from_secs(1)).is_empty());
        assert_eq!(numbers(&refreshes, START + PAUSE), ["2"]);
        assert_eq!(numbers(&refreshes, later + PAUSE), ["1"]);
        assert!(numbers(&refreshes, later + 10 * PAUSE).is_empty(), "once");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let refreshes = Refreshes::new();
        for number in 0..3 * MOST {
            refreshes.watch(asked(ACME, number));
        }
        let remembered = refreshes.asked.len();
        assert!(remembered <= MOST);
        let dropped = refreshes.note(&[tag("repo:acme/wiki")], START);
        assert_eq!((refreshes.due().len(), dropped), (MOST_DUE, remembered - MOST_DUE));
        assert_eq!(refreshes.note(&[tag("repo:acme/other")], START), 0);
    }

    #[test]
    fn one_account_leaves_room_for_what_others_have_asked() {
        let refreshes = Refreshes::new();
        (0..500).for_each(|number| refreshes.watch(asked_by(1, ACME, number)));
        (500..510).for_each(|number| refreshes.watch(asked_by(2, ACME, number)));
        refreshes.note(&[tag("repo:acme/wiki")], START);
        refreshes.note(&[tag("repo:acme/wiki")], START);
        let of = |account| refreshes.due().values().filter(|due| due.account == account).count();
        assert_eq!((of(1), of(2)), (MOST_DUE_OF_ACCOUNT, 10));
    }

    #[test]
    fn an_installation_whose_rights_have_changed_is_asked_for_nothing() {
        let refreshes = Refreshes::new();
        refreshes.watch(asked(ACME, 1));
        refreshes.watch(asked(OTHER, 2));
        refreshes.note(&[tag("repo:acme/wiki")], START);
        refreshes.forget_all(Principal::Installation { realm: 1, id: 5, scope: 0 });
        assert_eq!(numbers(&refreshes, START + PAUSE), ["2"]);
    }
}
