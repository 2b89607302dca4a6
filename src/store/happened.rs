//! What happened at GitHub, as nodes tell it each other: answers that are held everywhere are to be
//! asked for anew.

use serde::{Deserialize, Serialize};

use super::Principal;
use crate::budget::{BudgetKey, Standing, Strike};
use crate::clock::Time;
use crate::freshness::tags::Tag;

/// Something that has changed what may be answered from what is held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Happened {
    /// The node that tells it, which knows it already.
    pub node: u64,
    /// Which name goes with which number, or did once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<(String, u64)>,
    /// The same of what has just got another name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub renamed: Vec<(String, u64)>,
    /// What is no longer fresh.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<Tag>,
    /// What was shown to one and may not be offered for another any more: whole repositories.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unshared: Vec<Tag>,
    /// Of what a webhook tells.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub covered: Vec<Tag>,
    /// When it told of them: of several the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<Time>,
    /// Of what none tells any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uncovered: Vec<Tag>,
    /// Whoever may see anything anew.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed_for: Vec<Principal>,
    /// Whoever asks no more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<Principal>,
    /// Limits of GitHub's that were met.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
    /// More has changed than is told here: anything may have.
    pub all: bool,
    /// More has ended than is told here: whatever anybody was shown is forgotten, and no webhook counts
    /// that told something before.
    pub everything: bool,
}

/// A limit of GitHub's that one node has met, and whose it is: the others need not meet it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// GitHub wants a pause.
    Struck(BudgetKey, Strike),
    /// Nothing is left for visitors until a window ends.
    Spent(BudgetKey, Standing),
}

/// Changes that are told one by one, some 64 KiB.
const MOST: usize = 1000;

/// The longest tag that is told, in bytes: nothing at GitHub has longer names.
const LONGEST: usize = 256;

// === impl Happened ===

impl Happened {
    /// Whether it tells nothing.
    pub fn is_empty(&self) -> bool {
        let lists = [&self.changed, &self.unshared, &self.covered, &self.uncovered];
        lists.iter().all(|tags| tags.is_empty())
            && self.names.is_empty()
            && self.renamed.is_empty()
            && self.changed_for.is_empty()
            && self.ended.is_empty()
            && self.limits.is_empty()
            && !self.all
            && !self.everything
    }

    /// Adds what happened later. What would be too much to tell becomes "anything".
    pub fn merge(&mut self, later: Self) {
        self.said = [self.said, later.said].into_iter().flatten().min();
        for (names, more) in [(&mut self.names, later.names), (&mut self.renamed, later.renamed)] {
            names.extend(more.into_iter().filter(|(name, _)| name.len() <= LONGEST));
        }
        for (tags, more) in [
            (&mut self.changed, later.changed),
            (&mut self.unshared, later.unshared),
            (&mut self.covered, later.covered),
            (&mut self.uncovered, later.uncovered),
        ] {
            tags.extend(more.into_iter().filter(|tag| tag.as_str().len() <= LONGEST));
            tags.sort_unstable();
            tags.dedup();
        }
        for (askers, more) in
            [(&mut self.changed_for, later.changed_for), (&mut self.ended, later.ended)]
        {
            askers.extend(more);
            askers.sort_unstable();
            askers.dedup();
        }
        for limit in later.limits {
            self.limits.retain(|earlier| !limit.replaces(earlier));
            self.limits.push(limit);
        }
        self.all |= later.all;
        self.everything |= later.everything;
        self.bound();
    }

    fn bound(&mut self) {
        let to_forget = self.ended.len() + self.unshared.len() + self.uncovered.len();
        if self.everything || to_forget > MOST {
            (self.all, self.everything) = (true, true);
            self.ended.clear();
            self.unshared.clear();
            self.uncovered.clear();
        }
        let plain = self.changed.len() + self.changed_for.len();
        if self.all || plain > MOST {
            self.all = true;
            self.changed.clear();
            self.changed_for.clear();
        }
        // Both are learnt again soon, and cost a question more until then.
        self.names.truncate(MOST);
        self.renamed.truncate(MOST);
        self.covered.truncate(MOST);
        // Who is not told meets it, and is told by GitHub.
        let surplus = self.limits.len().saturating_sub(MOST);
        self.limits.drain(..surplus);
    }
}

// === impl Limit ===

impl Limit {
    /// Whether nobody need be told an earlier one any more.
    fn replaces(&self, earlier: &Self) -> bool {
        match (self, earlier) {
            (Self::Struck(key, _), Self::Struck(other, _)) => key == other,
            (Self::Spent(key, standing), Self::Spent(other, earlier)) => {
                key == other && standing.resource == earlier.resource
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Resource;

    fn tags(range: std::ops::Range<usize>) -> Vec<Tag> {
        range.map(|n| Tag::from(format!("repo:acme/r{n}"))).collect()
    }

    #[test]
    fn what_happens_twice_is_told_once() {
        let mut one = Happened { changed: tags(0..3), ..Happened::default() };
        assert!(!one.is_empty() && Happened::default().is_empty());
        one.merge(Happened { changed: tags(1..4), ..Happened::default() });
        assert_eq!(one.changed, tags(0..4));
        let told = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<Happened>(&told).unwrap(), one);
        assert!(!told.contains("covered") && !told.contains("ended"), "{told}");
    }

    #[test]
    fn what_is_too_much_becomes_anything() {
        let mut one = Happened { changed: tags(0..MOST), ..Happened::default() };
        one.merge(Happened { unshared: tags(0..1), ..Happened::default() });
        assert!(!one.all && one.changed.len() == MOST);
        one.merge(Happened { changed: tags(MOST..MOST + 1), ..Happened::default() });
        assert!(one.all && one.changed.is_empty() && one.unshared == tags(0..1));
    }

    #[test]
    fn what_is_too_much_to_forget_becomes_everything() {
        let ended = |n| Principal::User { realm: 1, id: n };
        let mut one = Happened::default();
        one.merge(Happened { unshared: tags(0..MOST - 2), ..Happened::default() });
        one.merge(Happened { uncovered: tags(0..1), ended: vec![ended(1)], ..Happened::default() });
        assert!(!one.all && !one.everything, "there is room for so many");
        assert_eq!((one.unshared.len(), one.uncovered.len(), one.ended.len()), (MOST - 2, 1, 1));
        one.merge(Happened { ended: vec![ended(2)], ..Happened::default() });
        assert!(one.all && one.everything && !one.is_empty());
        assert!(one.unshared.is_empty() && one.uncovered.is_empty() && one.ended.is_empty());
        one.merge(Happened { ended: vec![ended(3)], ..Happened::default() });
        assert!(one.ended.is_empty(), "it is part of it");
    }

    #[test]
    fn of_a_limit_the_last_word_is_told() {
        let until = |n| Strike { until: Time::from_unix(n), count: 0 };
        let struck = |id, n| Limit::Struck(BudgetKey::User(id), until(n));
        let spent = |resource, n| {
            let reset = Time::from_unix(n);
            let standing = Standing { resource, limit: 30, remaining: 0, used: 30, reset };
            Limit::Spent(BudgetKey::User(1), standing)
        };
        let (core, search) = (Resource::Core, Resource::Search);
        let mut one = Happened::default();
        for limit in [struck(1, 5), struck(2, 5), spent(core, 5), spent(search, 5)] {
            one.merge(Happened { limits: vec![limit], ..Happened::default() });
        }
        assert!(!one.is_empty() && one.limits.len() == 4);
        let limits = vec![struck(1, 9), spent(core, 9)];
        one.merge(Happened { limits, ..Happened::default() });
        let told = [struck(2, 5), spent(search, 5), struck(1, 9), spent(core, 9)];
        assert_eq!(one.limits, told);
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<Happened>(&text).unwrap(), one);
        let many = (0..=MOST as u64).map(|id| struck(10 + id, 5)).collect();
        one.merge(Happened { limits: many, ..Happened::default() });
        assert_eq!(one.limits.len(), MOST);
    }

    #[test]
    fn a_name_that_github_cannot_have_is_not_told() {
        let mut one = Happened::default();
        let long = Tag::from(format!("repo:acme/{}", "x".repeat(LONGEST)));
        let names = vec![("x".repeat(LONGEST + 1), 1)];
        one.merge(Happened { changed: vec![long], names, ..Happened::default() });
        assert!(one.is_empty());
    }
}
