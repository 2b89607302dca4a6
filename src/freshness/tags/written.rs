//! What a write through the gateway changes: its own URL, what lists it, and what the answer names.

use http::{Method, StatusCode};
use serde_json::Value;

use super::{Tag, base, levels};
use crate::freshness::path::ApiPath;
use crate::freshness::place::{Owner, Place, number};

/// GitHub's answer to a write.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its body, if it is JSON.
    pub body: Option<&'a Value>,
    /// Its `Location`, as GitHub sent it.
    pub location: Option<&'a str>,
}

/// Where an answer names what has changed.
const CHANGED: [&str; 3] = ["url", "issue_url", "pull_request_url"];

/// What changes with a push. `checks/` is what is known of branches by name.
pub(super) const PUSHED: [&str; 6] = ["commits", "contents", "git", "branches", "checks/", ""];

/// What a request changes: to be bumped when it is sent (`reply` is `None`), and again when the
/// answer is there, or when there is none. Empty for what changes nothing: GET, HEAD, OPTIONS, and
/// an answer that says that nothing was done. What a GraphQL mutation changes cannot be told: that
/// is empty too, and the asker's whole partition is to be bumped.
pub fn written(
    method: &Method,
    path: &ApiPath,
    me: Option<u64>,
    reply: Option<&Reply<'_>>,
) -> Vec<Tag> {
    let did_nothing =
        reply.is_some_and(|reply| matches!(reply.status.as_u16(), 400 | 401 | 403 | 404 | 422));
    if method.is_safe() || did_nothing || path.segments().eq(["graphql"]) {
        return Vec::new();
    }
    let mut tags = touched(path.place(), me);
    for path in reply.into_iter().flat_map(named_in) {
        tags.extend(touched(path.place(), me));
    }
    tags.sort_unstable();
    tags.dedup();
    tags
}

/// The paths that an answer names as changed.
fn named_in(reply: &Reply<'_>) -> impl Iterator<Item = ApiPath> {
    let urls = CHANGED.iter().filter_map(|name| reply.body?.get(name)?.as_str());
    urls.chain(reply.location).filter_map(api_path)
}

/// The path below the API's base of a URL as GitHub writes it; a server of one's own has its base
/// at `/api/v3`.
fn api_path(url: &str) -> Option<ApiPath> {
    let path = match url.split_once("://") {
        Some((_, after)) => &after[after.find('/')?..],
        None => url,
    };
    ApiPath::parse(path.strip_prefix("/api/v3").unwrap_or(path)).ok()
}

/// What a write to this place touches.
fn touched(place: Place<'_>, me: Option<u64>) -> Vec<Tag> {
    let owner = base(place.owner, me);
    let tag = |level: &str| Tag::new(&format!("{owner}/{level}"));
    let mut tags = match (place.owner, levels(place).as_slice()) {
        // Following, starring, joining: one's own lists refer to each other.
        (_, []) | (Owner::Me, _) => vec![Tag::new(&owner)],
        (Owner::Repo(..) | Owner::RepoId(_), levels) => {
            in_repo(levels, place).iter().map(|level| tag(level)).collect()
        }
        (_, levels) => vec![tag(levels[0]), tag("")],
    };
    if matches!(levels(place).as_slice(), ["collaborators", ..]) {
        // Permissions stand in every answer about the repository.
        tags.push(Tag::new(&owner));
    }
    tags.extend(elsewhere(place));
    tags
}

fn in_repo(levels: &[&str], place: Place<'_>) -> Vec<String> {
    let words: Vec<_> = place.words().collect();
    let all = |list: &[&str]| list.iter().map(|level| (*level).to_owned()).collect();
    let mut touched: Vec<String> = match levels {
        ["issues" | "pulls", one] if number(one).is_some() => thread(one),
        ["issues" | "pulls", _] => all(&["issues", "pulls"]),
        ["issues" | "pulls"] => all(&["issues/", "pulls/"]),
        ["contents" | "git" | "branches" | "commits" | "merges" | "merge-upstream", ..] => {
            all(&PUSHED)
        }
        ["labels" | "milestones", ..] => all(&["labels", "milestones", "issues", "pulls"]),
        ["releases", ..] => all(&["releases", "git"]),
        ["actions", ..] => all(&["actions", "checks"]),
        ["checks", sha] => vec![format!("checks/{sha}"), "checks/".to_owned()],
        levels => levels.iter().take(1).map(|level| (*level).to_owned()).collect(),
    };
    if let ["pulls", _, "merge" | "update-branch"] = words.as_slice() {
        touched.extend(all(&PUSHED));
    }
    touched.push(String::new());
    touched
}

/// An issue or a pull request, which GitHub counts as an issue too, and the lists that show it.
pub(super) fn thread(one: &str) -> Vec<String> {
    let lists = ["issues/", "pulls/", "issues/comments", "issues/events", "pulls/comments"];
    let both = ["issues", "pulls"].map(|list| format!("{list}/{one}"));
    both.into_iter().chain(lists.map(str::to_owned)).collect()
}

/// What else a path names: the repository that is starred, or that a team is given; the account
/// whose list of repositories changes.
fn elsewhere(place: Place<'_>) -> Vec<Tag> {
    let words: Vec<_> = place.words().collect();
    match (place.owner, words.as_slice()) {
        (Owner::Repo(owner, _), []) => vec![Tag::new(&format!("account:{owner}/repos"))],
        (Owner::Me, ["starred", owner, name]) => ["", "stargazers"]
            .map(|level| Tag::new(&format!("repo:{owner}/{name}/{level}")))
            .to_vec(),
        (Owner::Me, ["subscriptions", owner, name])
        | (Owner::Org(_) | Owner::OrgId(_), ["teams" | "team", _, "repos", owner, name])
        | (Owner::Root(_), [_, "repos", owner, name]) => {
            vec![Tag::new(&format!("repo:{owner}/{name}"))]
        }
        _ => Vec::new(),
    }
}
