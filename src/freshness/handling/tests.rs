use super::*;

const USUAL: &str = crate::freshness::accept::USUAL;

fn of(path: &str, accept: &str) -> Handling {
    handling(&ApiPath::parse(path).unwrap(), accept)
}

#[test]
fn what_is_secret_or_a_download_is_never_kept() {
    for path in [
        "/graphql",
        "/search/issues?q=x",
        "/rate_limit",
        "/feeds",
        "/app",
        "/app/installations/1",
        "/applications/Iv1.x/token",
        "/repos/o/r/tarball/main",
        "/repos/o/r/zipball",
        "/repos/o/r/actions/artifacts/7/zip",
        "/repos/o/r/actions/runs/7/logs",
        "/repos/o/r/actions/runs/7/attempts/2/logs",
        "/repos/o/r/actions/jobs/7/logs",
        "/user/migrations/7/archive",
        "/repos/o/r/secret-scanning/alerts",
        "/orgs/o/secret-scanning/alerts",
        "/enterprises/e/secret-scanning/alerts",
        "/repos/o/r/actions/secrets",
        "/repos/o/r/actions/secrets/public-key",
        "/repos/o/r/actions/organization-secrets",
        "/repos/o/r/environments/production/secrets/X",
        "/repositories/7/environments/production/secrets",
        "/orgs/o/dependabot/secrets",
        "/organizations/9/actions/secrets",
        "/user/codespaces/secrets",
        "/repos/o/r/keys",
        "/user/keys",
        "/user/gpg_keys",
        "/users/u/gpg_keys",
        "/user/583231/keys",
        "/repos/o/r/hooks/7/config",
        "/orgs/o/hooks/7/config",
        "/repos/o/r/code-scanning/sarifs/7",
        "/repos/o/r/actions/runners/registration-token",
        "/orgs/o/actions/runners/downloads",
        "/repos/o/r/invitations",
        "/user/repository_invitations",
        "/orgs/o/failed_invitations",
        "/orgs/o/personal-access-token-requests",
        "/repos/o/r/codespaces/machines",
        "/user/codespaces/c/machines",
        "/%75ser/%6beys",
        "/USER/Keys",
        "/repos/o/r/Actions/Secrets",
    ] {
        let handling = of(path, USUAL);
        assert!(!handling.store && !handling.share, "{path}");
    }
    for accept in ["application/octet-stream", "application/sarif+json", "Application/Octet-Stream"]
    {
        assert!(!of("/repos/o/r/releases/assets/7", accept).store, "{accept}");
    }
}

#[test]
fn the_rest_is_kept_and_offered_to_others() {
    for path in [
        "/",
        "/repos/o/r",
        "/repos/o/secrets",
        "/repos/keys/r/issues",
        "/repos/o/r/contents/secrets/keys",
        "/repos/o/r/contents/hooks/config",
        "/repos/o/r/git/ref/heads/secrets",
        "/repos/o/r/labels/keys",
        "/repos/o/r/branches/invitations",
        "/repos/o/r/commits/keys",
        "/repos/o/r/releases/assets/7",
        "/repos/o/r/actions/runs/7",
        "/repos/o/r/actions/artifacts/7",
        "/repos/o/r/hooks",
        "/repositories/7/issues",
        "/users/keys",
        "/orgs/secrets/repos",
        "/gists/public",
        "/users/u/gists",
        "/user/583231/repos",
        "/emojis",
        "/apps/x",
    ] {
        let handling = of(path, USUAL);
        assert!(handling.store && handling.share, "{path}");
    }
    assert!(of("/repos/o/r/pulls/7", "application/vnd.github.diff").share);
}

#[test]
fn what_is_personal_is_kept_and_never_offered_to_others() {
    for path in [
        "/user",
        "/user/repos",
        "/notifications",
        "/notifications/threads/7",
        "/repos/o/r/notifications",
        "/repos/o/r/traffic/views",
        "/repositories/7/traffic/views",
        "/repos/o/r/subscription",
        "/installation/repositories",
        "/gists",
        "/gists/starred",
        "/gists/aa5a315d61ae9438b18d",
        "/issues",
    ] {
        let handling = of(path, USUAL);
        assert!(handling.store && !handling.share, "{path}");
    }
}

#[test]
fn what_hardly_changes_is_believed_for_a_while() {
    let sha = "6dcb09b5b57875f334f61aebed695e2e4193db5e";
    let immutable = Fresh::For(Duration::from_secs(300));
    let lists = Fresh::For(Duration::from_secs(3600));
    for (path, fresh) in [
        ("/repos/o/r/git/blobs/{}", immutable),
        ("/repos/o/r/git/trees/{}?recursive=1", immutable),
        ("/repositories/7/git/commits/{}", immutable),
        ("/repos/o/r/git/tags/{}", immutable),
        ("/repos/o/r/commits/{}", immutable),
        ("/repos/o/r/compare/{}...{}", immutable),
        ("/meta", lists),
        ("/emojis", lists),
        ("/licenses", lists),
        ("/licenses/mit", lists),
        ("/gitignore/templates", lists),
        ("/gitignore/templates/C", lists),
        ("/codes_of_conduct", lists),
        ("/codes_of_conduct/mit", lists),
        ("/repos/o/r/git/refs", Fresh::Moving),
        ("/repos/o/r/git/refs/{}", Fresh::Moving),
        ("/repositories/7/git/matching-refs/heads/a", Fresh::Moving),
        ("/repos/o/r/git/trees/main", Fresh::Moving),
        ("/repos/o/r/commits/{}/status", Fresh::Revalidate),
        ("/repos/o/r/commits/6dcb09b", Fresh::Revalidate),
        ("/repos/o/r/compare/main...{}", Fresh::Revalidate),
        ("/repos/o/r/compare/{}..{}", Fresh::Revalidate),
        ("/repos/o/r/statuses/{}", Fresh::Revalidate),
        ("/repos/o/r/license", Fresh::Revalidate),
        ("/user", Fresh::Revalidate),
    ] {
        assert_eq!(of(&path.replace("{}", sha), USUAL).fresh, fresh, "{path}");
    }
}

#[test]
fn a_window_is_of_the_class_the_webhook_or_githubs_wish() {
    let second = Duration::from_secs;
    let asked = Some(second(90));
    assert_eq!(Fresh::Revalidate.window(false, None), Duration::ZERO);
    assert_eq!(Fresh::Revalidate.window(true, None), second(60));
    assert_eq!(Fresh::Revalidate.window(true, asked), second(90));
    assert_eq!(Fresh::Moving.window(false, asked), Duration::ZERO);
    assert_eq!(Fresh::Moving.window(true, asked), second(60));
    assert_eq!(Fresh::For(second(300)).window(false, None), second(300));
    assert_eq!(Fresh::For(second(300)).window(true, None), second(300));
}

#[test]
fn githubs_poll_interval_is_obeyed_within_reason() {
    let of = |value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("x-poll-interval", value.parse().unwrap());
        poll_interval(&headers).map(|interval| interval.as_secs())
    };
    assert_eq!(of("60"), Some(60));
    assert_eq!(of("86400"), Some(3600));
    assert_eq!(of("-1"), None);
    assert_eq!(of("soon"), None);
    assert_eq!(poll_interval(&HeaderMap::new()), None);
}
