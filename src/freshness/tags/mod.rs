//! What an answer depends on, and what a change touches.
//!
//! An answer carries the tag of every level above it: `/repos/acme/wiki/issues/7/comments` has
//! `repo:acme/wiki`, `repo:acme/wiki/issues` and `repo:acme/wiki/issues/7`. A list or an object
//! itself has, besides, the tag with a slash at its end. So a change bumps as much as it must: a
//! renamed repository all of `repo:acme/wiki`; a comment only `…/issues/7`, the list `…/issues/`
//! and the repository's own object `repo:acme/wiki/`.
//!
//! GitHub numbers its pages by ids (`/repositories/1296269/issues?page=2`), so there are tags by
//! name and by number. An answer has those of its own URL; a change bumps both, by [`Names`].

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::handling::is_sha;
use super::path::ApiPath;
use super::place::{Owner, Place};

mod event;
mod names;
mod written;

pub use event::{Invalidation, covered_by, event_tags, is_heeded, renamed};
pub use names::{Names, names_in};
pub use written::{Reply, written};

/// A part of what GitHub has, whose answers grow old together: `repo:acme/wiki/issues/7`,
/// `repo:#1296269/issues/`, `account:acme/teams`, `other:gists/7`. Names are in lower case, a
/// number stands after `#`, which is in no name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Tag(Arc<str>);

/// The tags of an answer, first that of the whole owner. `me` is the number of the account whose token asks, if it is a user's:
/// `/user` is about that account.
pub fn tags_of(path: &ApiPath, me: Option<u64>) -> Vec<Tag> {
    let place = path.place();
    let (base, levels) = (base(place.owner, me), levels(place));
    let whole = levels.iter().scan(base.clone(), |tag, level| {
        *tag = format!("{tag}/{level}");
        Some(tag.clone())
    });
    let mut tags: Vec<_> = std::iter::once(base.clone()).chain(whole).collect();
    if levels.len() < depth(&levels) {
        tags.extend(tags.last().map(|last| format!("{last}/")));
    }
    tags.iter().map(|tag| Tag::new(tag)).collect()
}

/// The tag of a whole owner. GitHub numbers users and organisations together, and `/users/acme`
/// may name an organisation: both are accounts.
fn base(owner: Owner<'_>, me: Option<u64>) -> String {
    match owner {
        Owner::Repo(owner, name) => format!("repo:{owner}/{name}"),
        Owner::RepoId(id) => format!("repo:#{id}"),
        Owner::Org(name) | Owner::User(name) => format!("account:{name}"),
        Owner::OrgId(id) | Owner::UserId(id) => format!("account:#{id}"),
        Owner::Me => me.map_or("other:user".to_owned(), |id| format!("account:#{id}")),
        Owner::Root(first) => format!("other:{first}"),
    }
}

/// The levels below the owner: a collection, and for some the one thing in it.
fn levels(place: Place<'_>) -> Vec<&str> {
    let mut words = place.words();
    let [first, second, third] = [(); 3].map(|()| words.next().unwrap_or_default());
    let collection = match place.owner {
        Owner::Repo(..) | Owner::RepoId(_) if is_check(first, third) => "checks",
        Owner::Repo(..) | Owner::RepoId(_) => of_repo(first),
        Owner::Org(_) | Owner::OrgId(_) => of_org(first),
        _ => first,
    };
    let one = match collection {
        "checks" => Some(second).filter(|sha| is_sha(sha)),
        "issues" | "pulls" => Some(second),
        _ => None,
    };
    [Some(collection), one].into_iter().flatten().filter(|level| !level.is_empty()).collect()
}

/// How many levels there can be: where one is missing, the answer is a list or an object itself.
fn depth(levels: &[&str]) -> usize {
    match levels {
        ["checks" | "issues" | "pulls", ..] => 2,
        _ => 1,
    }
}

/// Whether a path is about what was found out about a commit, which may be named by a branch.
fn is_check(first: &str, third: &str) -> bool {
    let below = ["status", "statuses", "check-runs", "check-suites"];
    matches!(first, "check-runs" | "check-suites" | "statuses")
        || first == "commits" && below.contains(&third)
}

/// The collection of a repository that a word belongs to; an unknown one is its own.
fn of_repo(word: &str) -> &str {
    match word {
        "contents" | "readme" | "license" | "languages" => "contents",
        "commits" | "compare" | "comments" => "commits",
        "git" | "tags" => "git",
        "branches" | "rules" | "rulesets" => "branches",
        "collaborators" | "assignees" | "teams" => "collaborators",
        "deployments" | "environments" => "deployments",
        other => other,
    }
}

fn of_org(word: &str) -> &str {
    match word {
        "members" | "public_members" | "memberships" | "outside_collaborators" => "members",
        "team" => "teams",
        other => other,
    }
}

// === impl Tag ===

impl Tag {
    fn new(text: &str) -> Self {
        Self(text.to_ascii_lowercase().into())
    }

    /// Its text, for stores and other nodes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The account of a whole repository, where the name tells it.
    pub fn account(&self) -> Option<Self> {
        let (account, _) = self.0.strip_prefix("repo:")?.split_once('/')?;
        (!account.starts_with('#')).then(|| Self::new(&format!("account:{account}")))
    }

    /// Whether it is about an account and not about a repository.
    pub fn is_account(&self) -> bool {
        self.0.starts_with("account:")
    }

    /// The whole owner, and the levels below with the slash before them.
    fn split(&self) -> (&str, &str) {
        let slashes =
            if self.0.starts_with("repo:") && !self.0.starts_with("repo:#") { 2 } else { 1 };
        let mut ends = self.0.match_indices('/').map(|(at, _)| at);
        self.0.split_at(ends.nth(slashes - 1).unwrap_or(self.0.len()))
    }
}

impl From<String> for Tag {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.0.as_ref().to_owned()
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
