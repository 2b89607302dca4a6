//! Lists that are often empty. Whoever asks for one for the first time can offer the tag of the empty
//! list: where GitHub says 304, the answer has cost nothing, and where it does not, nothing either.

use super::ApiPath;
use super::accept::USUAL;

/// What an empty list is in GitHub's bytes.
pub const EMPTY_LIST: &[u8] = b"[]";

/// Routes that answer with an array, which is often an empty one. What is one's own is none of them.
const LISTS: [&str; 28] = [
    "/repos/{owner}/{repo}/branches",
    "/repos/{owner}/{repo}/comments",
    "/repos/{owner}/{repo}/commits/{ref}/comments",
    "/repos/{owner}/{repo}/commits/{ref}/pulls",
    "/repos/{owner}/{repo}/commits/{ref}/statuses",
    "/repos/{owner}/{repo}/deployments",
    "/repos/{owner}/{repo}/forks",
    "/repos/{owner}/{repo}/issues",
    "/repos/{owner}/{repo}/issues/comments",
    "/repos/{owner}/{repo}/issues/{issue_number}/comments",
    "/repos/{owner}/{repo}/issues/{issue_number}/labels",
    "/repos/{owner}/{repo}/issues/{issue_number}/reactions",
    "/repos/{owner}/{repo}/issues/{issue_number}/sub_issues",
    "/repos/{owner}/{repo}/labels",
    "/repos/{owner}/{repo}/milestones",
    "/repos/{owner}/{repo}/milestones/{milestone_number}/labels",
    "/repos/{owner}/{repo}/pulls",
    "/repos/{owner}/{repo}/pulls/comments",
    "/repos/{owner}/{repo}/pulls/{pull_number}/comments",
    "/repos/{owner}/{repo}/pulls/{pull_number}/reviews",
    "/repos/{owner}/{repo}/releases",
    "/repos/{owner}/{repo}/releases/{release_id}/assets",
    "/repos/{owner}/{repo}/stargazers",
    "/repos/{owner}/{repo}/subscribers",
    "/repos/{owner}/{repo}/tags",
    "/repos/{owner}/{repo}/teams",
    "/users/{username}/gists",
    "/users/{username}/repos",
];

/// Parameters of later pages: an empty one has links to those before it.
const LATER: [&str; 4] = ["page", "after", "before", "cursor"];

/// Whether the answer may well be an empty list, asked for with this canonical `Accept`.
pub fn may_be_empty(path: &ApiPath, accept: &str) -> bool {
    let pairs = path.query().unwrap_or_default().split('&');
    let mut names = pairs.map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
    accept == USUAL && LISTS.contains(&path.template()) && !names.any(|name| LATER.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_be(path: &str, accept: &str) -> bool {
        may_be_empty(&ApiPath::parse(path).unwrap(), accept)
    }

    #[test]
    fn every_list_is_a_route_that_is_known() {
        for template in LISTS {
            let path = template.replace('{', "x-").replace('}', "");
            assert!(may_be(&path, USUAL), "{path}");
        }
    }

    #[test]
    fn what_is_no_list_and_what_is_a_later_page_is_not_guessed() {
        for (path, is_guessed) in [
            ("/repos/o/r/issues", true),
            ("/repositories/1296269/issues", true),
            ("/repos/o/r/issues?state=open&per_page=100&labels=page", true),
            ("/repos/o/r/issues?page=2", false),
            ("/repos/o/r/issues?per_page=100&page=2", false),
            ("/repos/o/r/issues?after=Y3Vyc29y", false),
            ("/repos/o/r/issues/1", false),
            ("/repos/o/r", false),
            ("/repos/o/r/check-runs", false),
            ("/repos/o/r/notifications", false),
            ("/repos/o/r/contents/docs", false),
            ("/notifications", false),
            ("/user/repos", false),
            ("/issues", false),
            ("/search/issues?q=x", false),
        ] {
            assert_eq!(may_be(path, USUAL), is_guessed, "{path}");
        }
        assert!(!may_be("/repos/o/r/issues", "application/vnd.github.html+json"));
    }
}
