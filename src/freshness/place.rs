//! What a path is about: whose it is, and what follows.

/// Whose resource a path names, and the path below that.
///
/// GitHub has two spellings for an owner: by name, and by number as its `Link` and `Location`
/// headers have them (`/repositories/1296269/issues?page=2`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place<'p> {
    pub(super) owner: Owner<'p>,
    /// What follows the owner, without a slash at its beginning.
    pub(super) rest: &'p str,
}

/// Whose resource it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner<'p> {
    /// `/repos/{owner}/{repo}`
    Repo(&'p str, &'p str),
    /// `/repositories/{id}`
    RepoId(u64),
    /// `/orgs/{org}`
    Org(&'p str),
    /// `/organizations/{id}`
    OrgId(u64),
    /// `/users/{username}`
    User(&'p str),
    /// `/user/{id}`
    UserId(u64),
    /// `/user`: whose token it is.
    Me,
    /// Anything else, by its first segment; empty for `/`.
    Root(&'p str),
}

// === impl Place ===

impl<'p> Place<'p> {
    /// Reads a plain path, which begins with a slash.
    pub(super) fn of(path: &'p str) -> Self {
        let (first, rest) = cut(path.trim_start_matches('/'));
        let (second, below) = cut(rest);
        let number = number(second);
        let place = |owner, rest| Self { owner, rest };
        match first.to_ascii_lowercase().as_str() {
            "repos" => match cut(below) {
                (name, rest) if !name.is_empty() => place(Owner::Repo(second, name), rest),
                _ => place(Owner::Root(first), rest),
            },
            "repositories" => {
                number.map_or(place(Owner::Root(first), rest), |id| place(Owner::RepoId(id), below))
            }
            "organizations" => {
                number.map_or(place(Owner::Root(first), rest), |id| place(Owner::OrgId(id), below))
            }
            "orgs" if !second.is_empty() => place(Owner::Org(second), below),
            "users" if !second.is_empty() => place(Owner::User(second), below),
            "user" => number.map_or(place(Owner::Me, rest), |id| place(Owner::UserId(id), below)),
            _ => place(Owner::Root(first), rest),
        }
    }

    /// The segments below the owner.
    pub(super) fn words(self) -> impl Iterator<Item = &'p str> + Clone {
        self.rest.split('/').filter(|word| !word.is_empty())
    }
}

fn cut(path: &str) -> (&str, &str) {
    path.split_once('/').unwrap_or((path, ""))
}

/// A number of digits alone.
pub(super) fn number(word: &str) -> Option<u64> {
    let is_plain = word.bytes().all(|b| b.is_ascii_digit());
    word.parse().ok().filter(|_| is_plain)
}
