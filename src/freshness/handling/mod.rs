//! How an answer is handled by what it is about: kept or not, shared or not, fresh for how long.

use std::time::Duration;

use http::HeaderMap;

use super::path::ApiPath;
use super::place::{Owner, Place};

/// How answers to a request may be handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handling {
    /// Whether an answer may be kept at all.
    pub store: bool,
    /// Whether its body may be offered to GitHub in the name of another user, to learn that the
    /// other would be given the same.
    pub share: bool,
    /// How long an answer is believed without asking.
    pub fresh: Fresh,
}

/// How long an answer is believed after GitHub gave or confirmed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fresh {
    /// Not at all, unless a webhook tells of every change.
    Revalidate,
    /// The same, whatever interval GitHub names: it names five minutes with branches and tags, and
    /// those who move one look whether it has moved.
    Moving,
    /// So long: it never or hardly changes.
    For(Duration),
}

/// How long an answer is believed where a webhook tells of every change: GitHub's own `max-age`.
pub const COVERED: Duration = Duration::from_secs(60);

/// How long nothing is believed after a change was told: GitHub's replicas lag behind its events.
pub const WARY: Duration = Duration::from_secs(10);

/// What is named by its own hash cannot change; what is told about it (a link, a name) can.
const IMMUTABLE: Duration = Duration::from_secs(300);

/// GitHub's own lists, the same for everybody.
const LISTS: Duration = Duration::from_secs(3600);

/// `X-Poll-Interval` is obeyed up to this.
const LONGEST_POLL: u64 = 3600;

/// What is asked anew each time: searches, what only an app itself may ask, and addresses with a
/// token in them.
const NEVER: [&str; 7] =
    ["graphql", "search", "rate_limit", "feeds", "app", "applications", "app-manifests"];

/// Below a repository, an account or an enterprise: answers that hold something secret, or a way
/// to it.
const SECRET: [&str; 11] = [
    "secrets",
    "organization-secrets",
    "secret-scanning",
    "public-key",
    "public_keys",
    "keys",
    "gpg_keys",
    "ssh_signing_keys",
    "sarifs",
    "registration-token",
    "remove-token",
];

/// Below these a path holds names that people chose, so its words say nothing.
const CHOSEN: [&str; 8] =
    ["contents", "readme", "git", "branches", "commits", "compare", "labels", "releases"];

/// How answers to a GET or HEAD are handled, by its path and its canonical `Accept`.
pub fn handling(path: &ApiPath, accept: &str) -> Handling {
    let place = path.place();
    let store = !is_secret(place) && !is_download(place, accept);
    Handling { store, share: store && !is_personal(place), fresh: fresh(place) }
}

// === impl Fresh ===

impl Fresh {
    /// How long an answer is believed; `covered` says that a healthy webhook tells of changes, and
    /// `poll` is [`poll_interval`] of the answer, which GitHub asks to obey.
    pub fn window(self, covered: bool, poll: Option<Duration>) -> Duration {
        match (self, poll) {
            (Self::Moving, _) | (Self::Revalidate, None) if covered => COVERED,
            (Self::Moving, _) | (Self::Revalidate, None) => Duration::ZERO,
            (_, Some(interval)) => interval,
            (Self::For(time), None) => time,
        }
    }
}

/// `X-Poll-Interval`: how long GitHub wants to be left alone, an hour at most.
/// <https://docs.github.com/en/rest/activity/events>
pub fn poll_interval(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get("x-poll-interval")?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(LONGEST_POLL)))
}

/// What is never kept for what it says.
fn is_secret(place: Place<'_>) -> bool {
    let has_secret = || place.words().any(|word| is_one_of(word, &SECRET) || is_access(word));
    let is_chosen = place.words().next().is_some_and(|word| is_one_of(word, &CHOSEN));
    match place.owner {
        Owner::Root(first) => is_one_of(first, &NEVER) || has_secret(),
        _ => !is_chosen && (has_secret() || is_pair(place)),
    }
}

/// Invitations, and requests for personal access tokens.
fn is_access(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    word.ends_with("invitations") || word.starts_with("personal-access-token")
}

/// What two words together make secret: settings of hooks, machines of codespaces, and downloads
/// that come with a token.
fn is_pair(place: Place<'_>) -> bool {
    let has = |word: &str| place.words().any(|one| one.eq_ignore_ascii_case(word));
    (has("hooks") && has("config"))
        || (has("codespaces") && has("machines"))
        || (has("runners") && has("downloads"))
}

/// Archives, artifacts, logs and assets: large, and mostly a redirect that works once.
fn is_download(place: Place<'_>, accept: &str) -> bool {
    let accept = accept.to_ascii_lowercase();
    if ["application/octet-stream", "sarif"].iter().any(|kind| accept.contains(kind)) {
        return true;
    }
    let words: Vec<_> = place.words().map(str::to_ascii_lowercase).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["tarball" | "zipball", ..] | ["actions", "artifacts", _, _] => true,
        ["actions", .., last] => *last == "logs",
        ["migrations", .., last] => *last == "archive",
        _ => false,
    }
}

/// What is one's own, and so can never be the same for two.
fn is_personal(place: Place<'_>) -> bool {
    let mut words = place.words();
    let first = words.next().unwrap_or_default();
    match place.owner {
        Owner::Me => true,
        Owner::Root(root) if root.eq_ignore_ascii_case("gists") => {
            !first.eq_ignore_ascii_case("public")
        }
        Owner::Root(root) => is_one_of(root, &["notifications", "installation", "issues"]),
        _ => is_one_of(first, &["notifications", "traffic", "subscription"]),
    }
}

fn fresh(place: Place<'_>) -> Fresh {
    let mut words = place.words();
    let [first, second, third] = [(); 3].map(|()| words.next().unwrap_or_default());
    let ends = third.is_empty();
    let (lists, immutable) = (Fresh::For(LISTS), Fresh::For(IMMUTABLE));
    match (place.owner, first) {
        (Owner::Root("meta" | "emojis"), "") | (Owner::Root("gitignore"), "templates") => lists,
        (Owner::Root("licenses" | "codes_of_conduct"), _) if second.is_empty() => lists,
        (Owner::Repo(..) | Owner::RepoId(_), "git") if is_object(second, third) => immutable,
        (Owner::Repo(..) | Owner::RepoId(_), "git") => Fresh::Moving,
        (Owner::Repo(..) | Owner::RepoId(_), "commits") if is_sha(second) && ends => immutable,
        (Owner::Repo(..) | Owner::RepoId(_), "compare") if is_range(second) && ends => immutable,
        _ => Fresh::Revalidate,
    }
}

fn is_object(kind: &str, sha: &str) -> bool {
    matches!(kind, "blobs" | "commits" | "tags" | "trees") && is_sha(sha)
}

fn is_range(text: &str) -> bool {
    text.split_once("...").is_some_and(|(base, head)| is_sha(base) && is_sha(head))
}

/// The whole SHA-1 of a git object. A shorter one may come to name two.
pub(super) fn is_sha(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_one_of(word: &str, list: &[&str]) -> bool {
    list.iter().any(|one| one.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests;
