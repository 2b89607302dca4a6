//! What a token of an installation is good for: all that was granted, or less.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// Repositories and permissions of a token. Two scopes that mean the same are equal and have one
/// hash; two that differ never share a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    repositories: Repositories,
    /// Empty is all that was granted.
    permissions: BTreeMap<String, Level>,
}

/// Which repositories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Repositories {
    /// All that the installation has.
    #[default]
    All,
    /// By GitHub's numbers.
    Numbered(BTreeSet<u64>),
    /// By names without their owner, in lower case as GitHub compares them.
    Named(BTreeSet<String>),
}

/// How far a permission goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// To look.
    Read,
    /// To change.
    Write,
    /// To decide for others.
    Admin,
}

/// SHA-256 of a scope: part of the name of whoever acts by it.
pub type ScopeHash = [u8; 32];

/// Why there is no such scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeFault {
    /// To GitHub an empty list is everything, and so the very opposite.
    #[error("a scope of no repositories and one of no permissions would be good for nothing")]
    Nothing,
    /// GitHub takes no more in one token.
    #[error("a scope names at most {MOST_REPOSITORIES} repositories")]
    TooMany,
    /// A name that is none at GitHub.
    #[error("a scope names repositories without their owner, and permissions as GitHub does")]
    Name,
}

/// <https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app>
const MOST_REPOSITORIES: usize = 500;

/// The body of the question for a token.
#[derive(Serialize)]
pub(super) struct Wish<'s> {
    #[serde(skip_serializing_if = "Option::is_none")]
    repositories: Option<&'s BTreeSet<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repository_ids: Option<&'s BTreeSet<u64>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    permissions: &'s BTreeMap<String, Level>,
}

// === impl Scope ===

impl Scope {
    /// All that the installation was granted.
    pub fn whole() -> Self {
        Self::default()
    }

    /// Only these repositories, by GitHub's numbers.
    pub fn of_repository_ids(self, ids: impl IntoIterator<Item = u64>) -> Result<Self, ScopeFault> {
        let ids: BTreeSet<_> = ids.into_iter().collect();
        countable(ids.len())?;
        Ok(Self { repositories: Repositories::Numbered(ids), ..self })
    }

    /// Only these repositories, by their names without the owner.
    pub fn of_repositories<'n>(
        self,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Result<Self, ScopeFault> {
        let names: BTreeSet<_> = names.into_iter().map(str::to_ascii_lowercase).collect();
        countable(names.len())?;
        if !names.iter().all(|name| is_repository(name)) {
            return Err(ScopeFault::Name);
        }
        Ok(Self { repositories: Repositories::Named(names), ..self })
    }

    /// Only these permissions, as `("contents", Level::Read)`.
    pub fn with_permissions<'n>(
        self,
        permissions: impl IntoIterator<Item = (&'n str, Level)>,
    ) -> Result<Self, ScopeFault> {
        let permissions: BTreeMap<_, _> =
            permissions.into_iter().map(|(name, level)| (name.to_owned(), level)).collect();
        if permissions.is_empty() {
            return Err(ScopeFault::Nothing);
        }
        let is_word = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        };
        if !permissions.keys().all(|name| is_word(name)) {
            return Err(ScopeFault::Name);
        }
        Ok(Self { permissions, ..self })
    }

    /// The scope's name.
    pub fn hash(&self) -> ScopeHash {
        let json = serde_json::to_vec(&self.wish()).expect("numbers and words can be written");
        let digest = ring::digest::digest(&ring::digest::SHA256, &json);
        digest.as_ref().try_into().expect("a digest has 32 bytes")
    }

    /// Whether it is for some repositories alone.
    pub(super) fn is_of_some(&self) -> bool {
        self.repositories != Repositories::All
    }

    pub(super) fn wish(&self) -> Wish<'_> {
        let (repositories, repository_ids) = match &self.repositories {
            Repositories::All => (None, None),
            Repositories::Numbered(ids) => (None, Some(ids)),
            Repositories::Named(names) => (Some(names), None),
        };
        Wish { repositories, repository_ids, permissions: &self.permissions }
    }
}

fn countable(count: usize) -> Result<(), ScopeFault> {
    match count {
        0 => Err(ScopeFault::Nothing),
        1..=MOST_REPOSITORIES => Ok(()),
        _ => Err(ScopeFault::TooMany),
    }
}

fn is_repository(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    (1..=100).contains(&name.len()) && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_repetition_make_no_difference() {
        let one = Scope::whole().of_repository_ids([3, 1, 3]).unwrap();
        let other = Scope::whole().of_repository_ids([1, 3]).unwrap();
        assert_eq!((one.hash(), &one), (other.hash(), &other));
        let one = Scope::whole().of_repositories(["Notes", "wiki"]).unwrap();
        let other = Scope::whole().of_repositories(["wiki", "notes"]).unwrap();
        assert_eq!(one.hash(), other.hash());
        let read = ("contents", Level::Read);
        let write = ("issues", Level::Write);
        let one = Scope::whole().with_permissions([read, write]).unwrap();
        assert_eq!(one.hash(), Scope::whole().with_permissions([write, read]).unwrap().hash());
    }

    #[test]
    fn scopes_that_differ_have_other_hashes() {
        let whole = Scope::whole;
        let scopes = [
            whole(),
            whole().of_repository_ids([1]).unwrap(),
            whole().of_repository_ids([1, 2]).unwrap(),
            whole().of_repositories(["1"]).unwrap(),
            whole().with_permissions([("contents", Level::Read)]).unwrap(),
            whole().with_permissions([("contents", Level::Write)]).unwrap(),
            whole()
                .of_repository_ids([1])
                .unwrap()
                .with_permissions([("contents", Level::Read)])
                .unwrap(),
        ];
        let hashes: BTreeSet<_> = scopes.iter().map(Scope::hash).collect();
        assert_eq!(hashes.len(), scopes.len());
    }

    #[test]
    fn github_is_asked_in_its_own_words() {
        let json = |scope: Scope| serde_json::to_string(&scope.wish()).unwrap();
        assert_eq!(json(Scope::whole()), "{}");
        let scope = Scope::whole().of_repository_ids([2, 1]).unwrap();
        let scope = scope.with_permissions([("issues", Level::Write)]).unwrap();
        assert_eq!(json(scope), r#"{"repository_ids":[1,2],"permissions":{"issues":"write"}}"#);
        let scope = Scope::whole().of_repositories(["notes"]).unwrap();
        assert_eq!(json(scope), r#"{"repositories":["notes"]}"#);
    }

    /// A list that came out empty must not become "everything".
    #[test]
    fn nothing_is_no_scope() {
        let whole = Scope::whole;
        assert_eq!(whole().of_repository_ids([]), Err(ScopeFault::Nothing));
        assert_eq!(whole().of_repositories([]), Err(ScopeFault::Nothing));
        assert_eq!(whole().with_permissions([]), Err(ScopeFault::Nothing));
        assert_eq!(whole().of_repository_ids(0..501), Err(ScopeFault::TooMany));
        assert!(whole().of_repository_ids(0..500).is_ok());
        assert_eq!(whole().of_repositories(["acme/notes"]), Err(ScopeFault::Name));
        let odd = whole().with_permissions([("Contents: all", Level::Read)]);
        assert_eq!(odd, Err(ScopeFault::Name));
    }
}
