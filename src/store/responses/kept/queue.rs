//! What waits to be written behind the answers: bounded, for no client waits for it. What is to be
//! forgotten is never dropped: where there is too much of it, everything is forgotten.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::super::{Body, Principal, ResponseKey, Validation};
use crate::freshness::tags::Tag;

/// Jobs in their order.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// Something waits.
    filled: Notify,
    /// Something waits that shall not wait for more.
    hurried: Notify,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    notes: usize,
    bytes: usize,
    /// What is to be forgotten and may still be in the store, and the last order that says so.
    forgets: HashMap<Forget, u64>,
    /// The number of the last order,
    last: u64,
    /// and of the last one that is part of a later one, to forget everything.
    included: u64,
    closed: bool,
}

/// Something to be done to the store.
enum Job {
    Note(Note),
    Forget(Order),
    Settle(oneshot::Sender<()>),
}

/// What is done next.
pub(super) enum Work {
    /// Answers are written, together.
    Notes(Vec<Note>),
    /// Something is forgotten: [`Queue::forgotten`] or [`Queue::give_back`] follows.
    Forget(Order),
    /// All before this is done, and somebody waits to hear it.
    Settle(oneshot::Sender<()>),
}

/// What an asker was shown.
pub(super) struct Note {
    pub(super) who: Principal,
    pub(super) key: ResponseKey,
    pub(super) shown: Arc<Validation>,
    pub(super) body: Body,
}

/// Something to be forgotten. What is to be forgotten twice has two orders, for something may have been
/// written between them.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) what: Forget,
    /// Who waits for it.
    told: Option<Told>,
    /// The later one has the higher number.
    number: u64,
}

/// What is to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Forget {
    /// What an asker was shown at a URL.
    Shown(Principal, ResponseKey),
    /// All that an asker was shown, by the one behind it.
    All(Principal),
    /// That anybody was shown anything of a repository or account.
    Offers(Tag),
    /// All that anybody was shown.
    Everything,
}

/// Who waits for something to be forgotten.
pub(super) type Told = oneshot::Sender<()>;

/// Answers that wait at most, and the bytes of their bodies: they are in memory until then.
const MOST: usize = 1024;
const MOST_BYTES: usize = 32 << 20;

/// URLs that wait to be forgotten, each by itself; beyond that all of an asker's are,
const MOST_FORGETS: usize = 10_000;

/// and beyond this everything is: some megabytes, whatever the store is doing.
const MOST_AT_ALL: usize = 2 * MOST_FORGETS;

/// What is written together waits so long for more: one sync of a disk serves all.
const GATHERED: Duration = Duration::from_millis(250);

// === impl Queue ===

impl Queue {
    /// Takes an answer, unless there is no room for it: says whether it did.
    pub(super) fn note(&self, note: Note) -> bool {
        let mut waiting = self.waiting();
        let bytes = waiting.bytes + note.body.bytes.len();
        if waiting.closed || waiting.notes == MOST || (bytes > MOST_BYTES && waiting.notes > 0) {
            return false;
        }
        waiting.notes += 1;
        waiting.bytes = bytes;
        waiting.jobs.push_back(Job::Note(note));
        drop(waiting);
        self.filled.notify_one();
        true
    }

    /// Takes something to forget. As long as the store does not answer, once is enough.
    pub(super) fn forget(&self, mut forget: Forget, told: Option<Told>) {
        let mut waiting = self.waiting();
        if let (Forget::Shown(who, _), MOST_FORGETS..) = (&forget, waiting.forgets.len()) {
            forget = Forget::All(who.subject());
        }
        if told.is_none() && waiting.notes == 0 && waiting.forgets.contains_key(&forget) {
            return;
        }
        if forget == Forget::Everything || waiting.jobs.len() - waiting.notes >= MOST_AT_ALL {
            forget = Forget::Everything;
            waiting.drop_forgets();
        }
        waiting.order(forget, told);
        drop(waiting);
        self.hurry();
    }

    /// Takes the word of somebody who waits until all before it is done.
    pub(super) fn settle(&self, told: oneshot::Sender<()>) {
        self.waiting().jobs.push_back(Job::Settle(told));
        self.hurry();
    }

    /// Whether what an asker was shown at a URL is to be forgotten, and may still be in the store.
    pub(super) fn is_to_forget(&self, who: Principal, key: &ResponseKey) -> bool {
        let forgets = &self.waiting().forgets;
        let meant = [Forget::Shown(who, *key), Forget::All(who.subject()), Forget::Everything];
        meant.iter().any(|forget| forgets.contains_key(forget))
    }

    /// Whether nothing of a repository or account is to be offered, and may still be in the store.
    pub(super) fn is_to_unshare(&self, about: &Tag) -> bool {
        let forgets = &self.waiting().forgets;
        let meant = [Forget::Offers(about.clone()), Forget::Everything];
        meant.iter().any(|forget| forgets.contains_key(forget))
    }

    /// It is forgotten: whoever waits for it is told.
    pub(super) fn forgotten(&self, order: Order) {
        let Order { what, told, number } = order;
        let mut waiting = self.waiting();
        // A later order is still to be done.
        if waiting.forgets.get(&what) == Some(&number) {
            waiting.forgets.remove(&what);
        }
        drop(waiting);
        if let Some(told) = told {
            // Whoever asked may have gone.
            let _ = told.send(());
        }
    }

    /// It could not be forgotten: it comes first again, unless everything is to be forgotten by now.
    pub(super) fn give_back(&self, order: Order) {
        let mut waiting = self.waiting();
        if order.number > waiting.included {
            waiting.jobs.push_front(Job::Forget(order));
        }
    }

    /// No more will come.
    pub(super) fn close(&self) {
        self.waiting().closed = true;
        self.hurry();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.waiting().closed
    }

    /// What is to be done next, once there is something and other answers have had time to join it.
    /// `None` when no more will come.
    pub(super) async fn next(&self) -> Option<Work> {
        while self.waiting().jobs.is_empty() {
            if self.is_closed() {
                return None;
            }
            self.filled.notified().await;
        }
        if !self.waiting().is_in_a_hurry() {
            // In vain or not: what waits by then is taken.
            drop(timeout(GATHERED, self.hurried.notified()).await);
        }
        self.waiting().next()
    }

    fn hurry(&self) {
        self.filled.notify_one();
        self.hurried.notify_one();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while it is held.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Waiting ===

impl Waiting {
    /// Lets go of all that is to be forgotten: something is that includes it.
    fn drop_forgets(&mut self) {
        self.forgets.clear();
        // Whoever waits for one of them is told that nobody is at it any more.
        self.jobs.retain(|job| !matches!(job, Job::Forget(_)));
        self.included = self.last;
    }

    fn order(&mut self, what: Forget, told: Option<Told>) {
        self.last += 1;
        let number = self.last;
        self.forgets.insert(what.clone(), number);
        self.jobs.push_back(Job::Forget(Order { what, told, number }));
    }

    fn is_in_a_hurry(&self) -> bool {
        self.closed || self.jobs.len() > self.notes
    }

    fn next(&mut self) -> Option<Work> {
        let mut notes = Vec::new();
        while let Some(Job::Note(_)) = self.jobs.front() {
            if let Some(Job::Note(note)) = self.jobs.pop_front() {
                self.bytes -= note.body.bytes.len();
                notes.push(note);
            }
        }
        self.notes -= notes.len();
        if !notes.is_empty() {
            return Some(Work::Notes(notes));
        }
        match self.jobs.pop_front()? {
            Job::Note(note) => Some(Work::Notes(vec![note])),
            Job::Forget(order) => Some(Work::Forget(order)),
            Job::Settle(told) => Some(Work::Settle(told)),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;
    use crate::clock::Time;

    const OCTOCAT: Principal = Principal::User { realm: 1, id: 583_231 };
    const HUBOT: Principal = Principal::User { realm: 1, id: 2 };

    fn note(bytes: usize) -> Note {
        let body = Body::new(Bytes::from(vec![7; bytes]));
        let shown = Arc::new(Validation {
            body: body.hash,
            about: Tag::from("repo:acme/wiki".to_owned()),
            etag: "".into(),
            token: [0; 16],
            offered: false,
            formula_holds: false,
            headers: Arc::new(HeaderMap::new()),
            linked: Time::from_unix(0),
            items: None,
            asked: Time::from_unix(0),
            change: 0,
            fresh: Duration::ZERO,
            longest: Duration::MAX,
        });
        Note { who: OCTOCAT, key: [1; 32], shown, body }
    }

    fn all_of(who: Principal) -> Forget {
        Forget::All(who)
    }

    /// What is to be forgotten next, and is by now under way.
    async fn order(queue: &Queue) -> Order {
        let Some(Work::Forget(order)) = queue.next().await else { panic!("it waits") };
        order
    }

    #[tokio::test]
    async fn it_is_full_of_answers_and_never_of_what_is_to_be_forgotten() {
        let queue = Queue::default();
        for _ in 0..MOST {
            assert!(queue.note(note(1)));
        }
        assert!(!queue.note(note(1)));
        queue.forget(all_of(OCTOCAT), None);
        assert!(queue.is_to_forget(OCTOCAT, &[1; 32]));
        assert!(!queue.is_to_forget(HUBOT, &[1; 32]));
        let Some(Work::Notes(notes)) = queue.next().await else { panic!("answers come first") };
        assert_eq!(notes.len(), MOST);
        assert!(queue.note(note(MOST_BYTES)), "there is room again");
        assert!(!queue.note(note(1)), "but not for so many bytes");
        let Some(Work::Forget(order)) = queue.next().await else { panic!("then this") };
        assert!(queue.is_to_forget(OCTOCAT, &[1; 32]), "it is under way");
        queue.forgotten(order);
        assert!(!queue.is_to_forget(OCTOCAT, &[1; 32]));
        queue.close();
        assert!(matches!(queue.next().await, Some(Work::Notes(_))), "what came before the end");
        assert!(queue.next().await.is_none());
    }

    #[tokio::test]
    async fn what_could_not_be_forgotten_comes_first_again() {
        let queue = Queue::default();
        queue.forget(all_of(OCTOCAT), None);
        queue.forget(all_of(HUBOT), None);
        queue.forget(all_of(OCTOCAT), None);
        queue.give_back(order(&queue).await);
        assert!(queue.is_to_forget(OCTOCAT, &[1; 32]));
        let mut done = Vec::new();
        for _ in 0..2 {
            let next = order(&queue).await;
            done.push(next.what.clone());
            queue.forgotten(next);
        }
        assert_eq!(done, [all_of(OCTOCAT), all_of(HUBOT)], "said twice, done once");
        queue.close();
        assert!(queue.next().await.is_none());
    }

    #[tokio::test]
    async fn too_many_urls_to_forget_are_all_of_their_asker_s() {
        let queue = Queue::default();
        for n in 0..=MOST_FORGETS as u64 {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&n.to_be_bytes());
            queue.forget(Forget::Shown(OCTOCAT, key), None);
        }
        assert!(queue.is_to_forget(OCTOCAT, &[255; 32]));
        assert!(!queue.is_to_forget(HUBOT, &[255; 32]));
    }

    /// However much there is to forget, by whomever, it takes no more room, and nothing is given that
    /// is to be forgotten.
    #[tokio::test]
    async fn too_much_to_forget_is_everything() {
        let wiki = Tag::from("repo:acme/wiki".to_owned());
        let someone = |id| all_of(Principal::User { realm: 1, id });
        for again in [false, true] {
            let queue = Queue::default();
            queue.note(note(1));
            for n in 0..MOST_AT_ALL as u64 {
                // Whoever waits for it is told, each of them, however often it is the same.
                let told = again.then(|| oneshot::channel().0);
                queue.forget(someone(if again { 7 } else { 1000 + n }), told);
            }
            assert!(!queue.is_to_forget(HUBOT, &[1; 32]) && !queue.is_to_unshare(&wiki), "control");
            queue.forget(someone(7), Some(oneshot::channel().0));
            assert!(queue.is_to_forget(HUBOT, &[1; 32]) && queue.is_to_unshare(&wiki));
            assert_eq!(queue.waiting().jobs.len(), 2, "an answer, and this");
            assert!(matches!(queue.next().await, Some(Work::Notes(_))), "what came before it");
            let order = order(&queue).await;
            assert_eq!(order.what, Forget::Everything);
            queue.forgotten(order);
            assert!(!queue.is_to_forget(HUBOT, &[1; 32]) && !queue.is_to_unshare(&wiki));
        }
    }

    #[tokio::test]
    async fn what_is_part_of_everything_does_not_come_back() {
        let queue = Queue::default();
        queue.forget(all_of(OCTOCAT), None);
        let part = order(&queue).await;
        queue.forget(Forget::Everything, None);
        queue.give_back(part);
        let everything = order(&queue).await;
        assert_eq!(everything.what, Forget::Everything);
        queue.forgotten(everything);
        queue.close();
        assert!(queue.next().await.is_none());
    }

    /// The same is to be forgotten again, while it is being forgotten for the first time and everything
    /// is to be: what ends first is not what was said last.
    #[tokio::test]
    async fn an_order_is_done_when_it_is_and_not_when_an_equal_one_was() {
        for is_given_back in [false, true] {
            let queue = Queue::default();
            queue.forget(all_of(OCTOCAT), None);
            let first = order(&queue).await;
            queue.forget(Forget::Everything, None);
            queue.forget(all_of(OCTOCAT), None);
            if is_given_back {
                queue.give_back(first);
            } else {
                queue.forgotten(first);
            }
            let everything = order(&queue).await;
            assert_eq!(everything.what, Forget::Everything);
            queue.forgotten(everything);
            assert!(queue.is_to_forget(OCTOCAT, &[1; 32]), "it waits");
            let second = order(&queue).await;
            assert!(queue.is_to_forget(OCTOCAT, &[1; 32]), "it is under way");
            queue.forgotten(second);
            assert!(!queue.is_to_forget(OCTOCAT, &[1; 32]), "it is done");
            queue.close();
            assert!(queue.next().await.is_none(), "once");
        }
    }
}
