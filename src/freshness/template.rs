//! Which documented route a path takes: a closed set of labels.

use std::iter::once;

use super::place::{Owner, Place};
use super::routes::{ME, ORG, REPO, ROOT, USER};

/// For a path that is none of the usual ones.
pub const OTHER: &str = "other";

/// The template that a place fits, in whichever of its two spellings the owner is named.
pub(super) fn template(place: Place<'_>) -> &'static str {
    let words = place.words();
    match place.owner {
        Owner::Repo(..) | Owner::RepoId(_) => find(REPO, &words),
        Owner::OrgId(_) if words.clone().next() == Some("team") => {
            find(ORG, &once("teams").chain(words.skip(1)))
        }
        Owner::Org(_) | Owner::OrgId(_) => find(ORG, &words),
        Owner::User(_) | Owner::UserId(_) => find(USER, &words),
        Owner::Me => find(ME, &words),
        Owner::Root("") => find(ROOT, &words),
        Owner::Root(first) => find(ROOT, &once(first).chain(words)),
    }
}

/// Looks through a list whose first template is the owner that all of them begin with.
fn find<'p, W>(list: &[&'static str], words: &W) -> &'static str
where
    W: Iterator<Item = &'p str> + Clone,
{
    let owner = list[0].len();
    list.iter().find(|template| fits(&template[owner..], words.clone())).unwrap_or(&OTHER)
}

fn fits<'p>(template: &str, mut words: impl Iterator<Item = &'p str>) -> bool {
    let mut names = template.split('/').filter(|name| !name.is_empty()).peekable();
    while let Some(name) = names.next() {
        let Some(word) = words.next() else { return false };
        let takes_all = names.peek().is_none() && matches!(name, "{path}" | "{ref}" | "{basehead}");
        if takes_all {
            return true;
        }
        if !name.starts_with('{') && !name.eq_ignore_ascii_case(word) {
            return false;
        }
    }
    words.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> &'static str {
        template(Place::of(path))
    }

    #[test]
    fn every_template_is_found_by_a_path_of_its_form() {
        for template in [REPO, ORG, USER, ME, ROOT].concat() {
            let path = template.replace('{', "x-").replace('}', "");
            assert_eq!(of(&path), template, "{path}");
        }
    }

    #[test]
    fn an_alias_has_the_template_of_what_it_names() {
        for (path, template) in [
            ("/repositories/1296269", "/repos/{owner}/{repo}"),
            ("/repositories/1296269/issues", "/repos/{owner}/{repo}/issues"),
            ("/repositories/1296269/issues/7", "/repos/{owner}/{repo}/issues/{issue_number}"),
            ("/organizations/9919", "/orgs/{org}"),
            ("/organizations/9919/repos", "/orgs/{org}/repos"),
            ("/organizations/9919/team/42/members", "/orgs/{org}/teams/{team_slug}/members"),
            ("/organizations/9919/team/42", "/orgs/{org}/teams/{team_slug}"),
            ("/user/583231/repos", "/users/{username}/repos"),
            ("/user/583231", "/users/{username}"),
            ("/repositories/007/issues", "/repos/{owner}/{repo}/issues"),
            ("/repositories/+7/issues", OTHER),
            ("/repositories", "/repositories"),
            ("/organizations", "/organizations"),
            ("/user", "/user"),
            ("/users", "/users"),
        ] {
            assert_eq!(of(path), template, "{path}");
        }
    }

    #[test]
    fn paths_and_refs_may_hold_slashes() {
        for (path, template) in [
            ("/repos/o/r/contents/src/lib.rs", "/repos/{owner}/{repo}/contents/{path}"),
            ("/repos/o/r/git/ref/heads/a/b", "/repos/{owner}/{repo}/git/ref/{ref}"),
            ("/repos/o/r/compare/a/b...c/d", "/repos/{owner}/{repo}/compare/{basehead}"),
            ("/repos/o/r/commits/main/status", "/repos/{owner}/{repo}/commits/{ref}/status"),
            ("/REPOS/o/r/Issues", "/repos/{owner}/{repo}/issues"),
        ] {
            assert_eq!(of(path), template, "{path}");
        }
    }

    #[test]
    fn anything_else_is_other() {
        for path in ["/repos", "/repos/o", "/repos/o/r/nothing", "/orgs", "/x/y", "/user/x/y/z"] {
            assert_eq!(of(path), OTHER, "{path}");
        }
        assert!([REPO, ORG, USER, ME, ROOT].concat().len() < 350, "a label's values are few");
    }
}
