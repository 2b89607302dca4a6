//! Of what webhooks tell: what one tells of is believed for a minute without asking, for its changes
//! are heard of.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use dashmap::DashMap;

use crate::clock::Time;
use crate::freshness::tags::Tag;

/// Repositories and organizations with a webhook that is alive.
pub(super) struct Coverage {
    /// When GitHub last told something of it, by what it has signed.
    told: DashMap<Tag, Time>,
    /// Webhooks that are gone, and when that was heard: what they told before counts no more.
    gone: DashMap<Tag, Time>,
    /// The same of any of them, in seconds since 1970.
    all_gone: AtomicI64,
    /// Whether this process hears what other nodes were told.
    in_touch: AtomicBool,
}

/// A webhook that told nothing for so long may be broken, or gone.
const ALIVE: Duration = Duration::from_secs(24 * 3600);

/// Repositories and organizations that are remembered, each by name and by number.
const MOST: usize = 50_000;

// === impl Coverage ===

impl Coverage {
    /// A webhook has told something of these, at that moment: whoever sends it again makes it no
    /// younger.
    pub(super) fn note(&self, tags: &[Tag], said: Time) {
        if said.unix() <= self.all_gone.load(Ordering::Acquire) {
            return;
        }
        for tag in tags {
            let is_gone = self.gone.get(tag).is_some_and(|gone| said <= *gone);
            if !is_gone && (self.told.len() < MOST || self.told.contains_key(tag)) {
                let mut told = self.told.entry(tag.clone()).or_insert(said);
                *told = said.max(*told);
            }
        }
    }

    /// The webhook of these is gone.
    pub(super) fn remove(&self, tags: &[Tag], now: Time) {
        if tags.iter().any(Tag::is_account) || self.gone.len() > MOST {
            // It told of repositories that are known by their number alone. Others come again.
            return self.remove_all(now);
        }
        for tag in tags {
            self.gone.insert(tag.clone(), now);
            self.told.remove(tag);
        }
    }

    /// Webhooks of any may be gone.
    pub(super) fn remove_all(&self, now: Time) {
        self.all_gone.fetch_max(now.unix(), Ordering::AcqRel);
        self.gone.clear();
        self.told.clear();
    }

    /// Whether a webhook tells of a repository or organization, by itself or by its organization's.
    pub(super) fn covers(&self, owner: &Tag, now: Time) -> bool {
        let is_alive = |tag: &Tag| self.told.get(tag).is_some_and(|told| is_alive(*told, now));
        self.in_touch.load(Ordering::Acquire)
            && (is_alive(owner) || owner.account().is_some_and(|account| is_alive(&account)))
    }

    /// Says whether this process hears the others.
    pub(super) fn set_in_touch(&self, in_touch: bool) {
        self.in_touch.store(in_touch, Ordering::Release);
    }

    /// Forgets what no webhook told of for long.
    pub(super) fn sweep(&self, now: Time) {
        self.told.retain(|_, told| is_alive(*told, now));
        self.gone.retain(|_, gone| is_alive(*gone, now));
    }
}

impl Default for Coverage {
    fn default() -> Self {
        let all_gone = AtomicI64::new(i64::MIN);
        let (told, gone) = (DashMap::new(), DashMap::new());
        Self { told, gone, all_gone, in_touch: AtomicBool::default() }
    }
}

/// A time that lies ahead is a clock's jump, and no reason for trust.
fn is_alive(told: Time, now: Time) -> bool {
    told <= now && now.since(told) < ALIVE
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_unix(1_000_000);

    fn tag(text: &str) -> Tag {
        Tag::from(text.to_owned())
    }

    fn coverage(tags: &[&str]) -> Coverage {
        let coverage = Coverage::default();
        coverage.set_in_touch(true);
        coverage.note(&tags.iter().map(|text| tag(text)).collect::<Vec<_>>(), NOW);
        coverage
    }

    #[test]
    fn a_webhook_covers_what_it_told_of_for_a_day() {
        let coverage = coverage(&["repo:acme/wiki", "repo:#7"]);
        for covered in ["repo:acme/wiki", "repo:#7"] {
            assert!(coverage.covers(&tag(covered), NOW + ALIVE - Duration::from_secs(1)));
            assert!(!coverage.covers(&tag(covered), NOW + ALIVE));
            assert!(!coverage.covers(&tag(covered), NOW - Duration::from_secs(1)));
        }
        for other in ["repo:acme/other", "repo:#8", "account:acme", "other:gists"] {
            assert!(!coverage.covers(&tag(other), NOW), "{other}");
        }
        coverage.set_in_touch(false);
        assert!(!coverage.covers(&tag("repo:#7"), NOW));
    }

    #[test]
    fn an_organization_s_webhook_covers_its_repositories() {
        let coverage = coverage(&["account:acme", "account:#9", "repo:#7"]);
        for covered in ["account:acme", "repo:acme/wiki", "repo:#7"] {
            assert!(coverage.covers(&tag(covered), NOW), "{covered}");
        }
        for other in ["repo:acme2/wiki", "repo:#9", "account:#7"] {
            assert!(!coverage.covers(&tag(other), NOW), "{other}");
        }
        coverage.remove(&[tag("account:acme")], NOW);
        assert!(!coverage.covers(&tag("repo:#7"), NOW), "the organization's hook told of it");
    }

    #[test]
    fn what_was_told_before_covers_no_longer_for_being_told_again() {
        let (wiki, second) = ([tag("repo:acme/wiki")], Duration::from_secs(1));
        let coverage = coverage(&["repo:acme/wiki"]);
        coverage.note(&wiki, NOW - Duration::from_secs(60));
        assert!(coverage.covers(&wiki[0], NOW + ALIVE - second), "the younger one counts");
        coverage.note(&wiki, NOW);
        assert!(!coverage.covers(&wiki[0], NOW + ALIVE));
        coverage.remove(&wiki, NOW + second);
        coverage.note(&wiki, NOW);
        assert!(!coverage.covers(&wiki[0], NOW + second), "it told so before it was gone");
        coverage.note(&wiki, NOW + 2 * second);
        assert!(coverage.covers(&wiki[0], NOW + 2 * second));
        coverage.remove_all(NOW + 3 * second);
        coverage.note(&wiki, NOW + 3 * second);
        assert!(!coverage.covers(&wiki[0], NOW + 3 * second));
        coverage.note(&wiki, NOW + 4 * second);
        assert!(coverage.covers(&wiki[0], NOW + 4 * second));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let coverage = coverage(&[]);
        let names: Vec<_> = (0..=MOST).map(|n| tag(&format!("repo:#{n}"))).collect();
        coverage.note(&names, NOW);
        assert_eq!(coverage.told.len(), MOST);
        coverage.sweep(NOW + ALIVE);
        assert_eq!(coverage.told.len(), 0);
        coverage.note(&names[MOST..], NOW);
        coverage.remove(&names[MOST..], NOW);
        assert_eq!(coverage.told.len(), 0);
    }
}
