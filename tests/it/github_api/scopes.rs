//! People take scopes away at GitHub while the token stays: what they were shown by them goes.

use gatekeep::simulator::Trouble;

use super::{at, cache, entitled, is_hit};

/// Fresh for an hour.
const LICENSES: &str = "/licenses";
const REPOS: &str = "/user/repos";
const HELLO: &str = "/repos/octocat/hello-world";

#[test]
fn what_was_shown_by_scopes_that_are_gone_is_asked_for_anew() {
    for (left, is_kept) in [("repo read:org read:user user:email", true), ("read:user", false)] {
        let (world, mut octocat) = entitled();
        octocat.fetch(&at(LICENSES));
        octocat.fetch(&at(REPOS));
        assert!(is_hit(&mut octocat, LICENSES));
        world.github.rescope_tokens("octocat", left);
        assert!(is_hit(&mut octocat, LICENSES), "nobody has heard of it");
        octocat.fetch(&at(HELLO));
        world.github.knobs().at(REPOS, Trouble::Refuse);
        let old = octocat.fetch(&at(REPOS));
        assert_eq!(old.status == 200, is_kept, "{left}: {}", cache(&old));
        assert_eq!(is_hit(&mut octocat, LICENSES), is_kept, "{left}");
    }
}

#[test]
fn the_gateway_s_own_questions_tell_of_them_too() {
    for (granted, is_kept) in [(None, true), (Some("read:user read:org user:email"), false)] {
        let (world, mut octocat) = entitled();
        octocat.fetch(&at(LICENSES));
        assert!(is_hit(&mut octocat, LICENSES));
        world.github.knobs().grant_at_most(granted);
        world.signed_in("octocat", "https://app.example.com/x");
        assert_eq!(is_hit(&mut octocat, LICENSES), is_kept, "{granted:?}");
    }
}
