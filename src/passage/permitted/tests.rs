//! Tables of paths, with what is like them and passes.

use std::fmt::Write;

use proptest::prelude::*;

use super::*;

/// What nobody gets, and beside each what looks like it and passes.
const LIST: [(&str, &str); 31] = [
    ("/graphql", "/repos/o/graphql"),
    ("/app", "/apps/octoapp"),
    ("/app/installations/1/access_tokens", "/apps"),
    ("/app/hook/deliveries", "/repos/app/hook"),
    ("/applications/Iv1.x/token", "/repos/o/applications/tokens"),
    ("/applications/Iv1.x/grant", "/user/installations"),
    ("/app-manifests/x/conversions", "/repos/o/app-manifests"),
    ("/installation/token", "/installation/repositories"),
    ("/installations/1/access_tokens", "/user/installations/1/repositories"),
    ("/marketplace_listing/plans", "/user/marketplace_purchases"),
    ("/orgs/o/installation", "/orgs/o/installations"),
    ("/repos/o/r/installation", "/repos/o/installation"),
    ("/users/u/installation", "/users/installation"),
    ("/user/1/installation", "/user/installation"),
    ("/organizations/1/installation", "/organizations/1"),
    ("/repositories/1/installation", "/repositories/1/installations"),
    ("/credentials/revoke", "/repos/credentials/revoke"),
    ("/orgs/o/personal-access-tokens", "/orgs/o/people"),
    ("/orgs/o/personal-access-token-requests/1", "/repos/o/personal-access-tokens"),
    ("/organizations/1/personal-access-tokens/2", "/organizations/1/members"),
    ("/repos/o/r/actions/runners/registration-token", "/repos/o/r/actions/runners"),
    ("/repos/o/r/actions/runners/remove-token", "/repos/o/r/actions/runners/1"),
    ("/repos/o/r/actions/runners/generate-jitconfig", "/repos/o/r/actions/runners/downloads"),
    ("/repositories/1/actions/runners/remove-token", "/repositories/1/actions/runners/1"),
    ("/orgs/o/actions/runners/registration-token", "/orgs/o/actions/runners"),
    ("/enterprises/e/actions/runners/generate-jitconfig", "/enterprises/e/actions/runners"),
    ("/organizations/1/actions/runners/remove-token", "/organizations/1/actions/runners"),
    ("/orgs/o/migrations/1/archive", "/orgs/o/migrations/1"),
    ("/user/migrations/1/archive", "/user/migrations/1/repositories"),
    ("/admin/users/u/authorizations", "/admin/users/u"),
    ("/authorizations/1", "/repos/o/authorizations"),
];

#[test]
fn nobody_gets_what_is_on_the_list() {
    for (dangerous, harmless) in LIST {
        assert!(denied(dangerous), "{dangerous}");
        assert!(!denied(harmless), "{harmless}");
    }
    for harmless in ["", "/", "/user", "/repos/o/r/contents/app/token?x"] {
        assert!(!denied(harmless), "{harmless}");
    }
}

#[test]
fn no_spelling_slips_through() {
    for spelled in [
        "/APP/Installations",
        "/app/",
        "//app",
        "/%61pp/installations",
        "/%2561pp/installations",
        "/app%2Finstallations",
        "/app%2finstallations%2f1",
        "/app%252Finstallations",
        "/app%5Cinstallations",
        "/app;x=1/installations",
        "/app%3Bx/installations",
        "/app%3Fx",
        "/app%23",
        "/app%00",
        "/app%20",
        "/app.",
        "/app.json",
        "/installation/token.json",
        "/installation/token/",
        "/installation./token",
        "/installation%20/token",
        "/installation%2Ftoken",
        "/user/../app",
        "/user/%2e%2E/app",
        "/user%2F..%2Fapp",
        "/./app",
        "/orgs/a%2Fb/personal-access-tokens",
        "/%25252525252561pp",
        "/a%252525252525252561",
    ] {
        assert!(denied(spelled), "{spelled}");
    }
    for other in
        ["/user%2Fapp", "/a%2Fapp", "/repos/o/r/contents/100%25", "/%", "/%zz/app", "/\u{e9}"]
    {
        assert!(!denied(other), "{other}");
    }
}

fn rules(allow: &[&str], deny: &[&str]) -> Rules {
    let read = |rules: &[&str]| rules.iter().map(|rule| rule.parse().unwrap()).collect();
    Rules { allow: read(allow), deny: read(deny) }
}

fn judged(rules: &Rules, method: &str, path: &str) -> String {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let verdict = match path {
        "/graphql" => rules.judge_graphql(&method),
        path => rules.judge(&method, path),
    };
    match verdict {
        Ok(()) => "passes".to_owned(),
        Err(Refusal::Denied(rule)) => rule.to_string(),
        Err(refusal) => format!("{refusal:?}"),
    }
}

#[test]
fn without_rules_all_but_the_list_passes() {
    let none = Rules::default();
    for (path, verdict) in [
        ("/user", "passes"),
        ("/app", "Dangerous"),
        ("/x/../user", "Ambiguous"),
        ("/./user", "Ambiguous"),
        ("/x/%2525252525252525", "Ambiguous"),
    ] {
        assert_eq!(judged(&none, "GET", path), verdict, "{path}");
    }
}

#[test]
fn the_first_denial_decides() {
    let rules =
        rules(&[], &["DELETE /repos/{owner}/{repo}", "* /repos/*/*/hooks/**", "* /repos/acme/**"]);
    for (method, path, verdict) in [
        ("DELETE", "/repos/o/r", "DELETE /repos/{owner}/{repo}"),
        ("DELETE", "/repos/acme/r", "DELETE /repos/{owner}/{repo}"),
        ("DELETE", "/repositories/1", "DELETE /repos/{owner}/{repo}"),
        ("DELETE", "/repos/o/r/issues/1", "passes"),
        ("GET", "/repos/o/r", "passes"),
        ("GET", "/repos/o/r/hooks", "* /repos/*/*/hooks/**"),
        ("GET", "/repos/o/r/hooks/1/config", "* /repos/*/*/hooks/**"),
        ("GET", "/repos/o/r%2Fhooks", "* /repos/*/*/hooks/**"),
        ("GET", "/repos/o/r/hooksx", "passes"),
        ("GET", "/repos/o/hooks", "passes"),
        ("GET", "/repos/ACME/r", "* /repos/acme/**"),
        ("GET", "/repos/acmex/r", "passes"),
        // Whose this is, only GitHub knows.
        ("GET", "/repositories/1/issues", "* /repos/acme/**"),
        ("POST", "/graphql", "PastDenials"),
    ] {
        assert_eq!(judged(&rules, method, path), verdict, "{method} {path}");
    }
}

#[test]
fn what_denies_paths_denies_graphql_unless_it_is_named() {
    for (allow, deny, verdict) in [
        (&[][..], &[][..], "passes"),
        (&[], &["* /user/emails"], "PastDenials"),
        (&["* /**"], &["* /user/emails"], "PastDenials"),
        (&["* /**"], &[], "passes"),
        (&["* /**", "POST /graphql"], &["* /user/emails"], "passes"),
        (&["GET /graphql"], &["* /user/emails"], "NotAllowed"),
        (&["POST /graphql"], &["* /graphql"], "* /graphql"),
    ] {
        assert_eq!(judged(&rules(allow, deny), "POST", "/graphql"), verdict, "{allow:?} {deny:?}");
    }
    for spelled in ["/graphql/", "/GraphQL", "/%67raphql", "//graphql", "/graphql.json"] {
        let rules = rules(&["POST /graphql", "* /**"], &["* /user/emails"]);
        let method = Method::POST;
        let refused = rules.judge(&method, spelled);
        assert!(matches!(refused, Err(Refusal::Dangerous | Refusal::Ambiguous)), "{spelled}");
    }
}

#[test]
fn with_an_allowance_everything_else_is_denied() {
    let rules = rules(
        &["GET /user", "GET /repos/acme/**", "* /repos/*/*/issues/**", "GET /orgs/*/teams/**"],
        &["DELETE /repos/**", "* /user/**/keys*"],
    );
    for (method, path, verdict) in [
        ("GET", "/user", "passes"),
        ("HEAD", "/user", "passes"),
        ("GET", "/USER", "passes"),
        ("PATCH", "/user", "NotAllowed"),
        ("GET", "/user/emails", "NotAllowed"),
        ("GET", "/user/keys", "* /user/**/keys*"),
        ("GET", "/user/1/keys_x", "* /user/**/keys*"),
        ("GET", "/repos/acme/r/contents/a", "passes"),
        ("GET", "/repos/acme", "passes"),
        ("GET", "/repos/acme/r/contents/a%2Fb", "passes"),
        ("GET", "/repos/acme%2Fr", "NotAllowed"),
        ("GET", "/repos/other/r", "NotAllowed"),
        ("POST", "/repos/o/r/issues", "passes"),
        ("DELETE", "/repos/o/r/issues/1/lock", "DELETE /repos/**"),
        ("POST", "/repos/o/r/pulls", "NotAllowed"),
        // However it is read, it must be allowed.
        ("POST", "/repos/o%2Fx/r/issues", "NotAllowed"),
        ("POST", "/repos/o/r%2Fissues", "NotAllowed"),
        // Numbers stand for any name, but never for a certain one.
        ("GET", "/repositories/1/issues", "passes"),
        ("GET", "/repositories/1/contents/a", "NotAllowed"),
        ("GET", "/organizations/1/team/2/members", "passes"),
        ("GET", "/teams/2/members", "passes"),
        ("GET", "/organizations/1/members", "NotAllowed"),
        ("POST", "/graphql", "PastDenials"),
    ] {
        assert_eq!(judged(&rules, method, path), verdict, "{method} {path}");
    }
}

#[test]
fn templates_fit_by_whole_segments() {
    for (template, fitting, other) in [
        ("/**", &["", "/", "/a", "/a/b/c"][..], &[][..]),
        ("/*", &["/a"], &["/", "/a/b"]),
        ("/a/**/z", &["/a/z", "/a/b/z", "/a/b/c/z"], &["/a", "/z", "/a/z/b", "/az"]),
        ("/**/z", &["/z", "/a/z"], &["/z/a"]),
        ("/a*/b", &["/a/b", "/axe/b"], &["/xa/b", "/a"]),
        ("/{any}/B", &["/a/b", "/A/B"], &["/b"]),
        ("/a/**", &["/a", "/a/b"], &["/ab", "/b/a"]),
    ] {
        let rules = rules(&[&format!("* {template}")], &[]);
        for path in fitting {
            assert_eq!(judged(&rules, "GET", path), "passes", "{template} {path}");
        }
        for path in other {
            assert_eq!(judged(&rules, "GET", path), "NotAllowed", "{template} {path}");
        }
    }
}

#[test]
fn a_rule_that_means_nothing_says_so() {
    let wildcard = "has a wildcard that means nothing: `*` or `{name}` is one segment, `word*` one \
                    that begins so, and `**` stands once, for any number of segments";
    let never = "fits nothing: leave out empty segments, `.`, `..`, and the characters `%`, `?`, \
                 `#`, `;` and `\\`";
    let form = "is no rule: write a method and a path, as in `GET /repos/**` or `* /user`";
    let method =
        "is no method: write GET, HEAD, POST, PUT, PATCH or DELETE, or `*` for all of them";
    let slash = "is no path of the API: begin it with `/`, as in `/repos/**`";
    for (text, about, said) in [
        ("", "", form),
        ("/repos/**", "/repos/**", form),
        ("GET /a /b", "GET /a /b", form),
        ("get /a", "get", method),
        ("CONNECT /a", "CONNECT", method),
        ("GET repos/**", "repos/**", slash),
        ("GET /", "/", never),
        ("GET /a//b", "/a//b", never),
        ("GET /a/", "/a/", never),
        ("GET /a/../b", "/a/../b", never),
        ("GET /a%2Fb", "/a%2Fb", never),
        ("GET /a?b", "/a?b", never),
        ("GET /**/a/**", "/**/a/**", wildcard),
        ("GET /a/***", "/a/***", wildcard),
        ("GET /a*b", "/a*b", wildcard),
        ("GET /*a", "/*a", wildcard),
        ("GET /a**", "/a**", wildcard),
        ("GET /{a}b", "/{a}b", wildcard),
        ("GET /{}", "/{}", wildcard),
    ] {
        let error = text.parse::<Rule>().unwrap_err().to_string();
        assert_eq!(error, format!("`{about}` {said}"), "{text}");
    }
}

#[test]
fn a_rule_is_shown_as_it_was_written() {
    let rule: Rule = "GET  /Repos/{owner}/**".parse().unwrap();
    assert_eq!(rule.to_string(), "GET  /Repos/{owner}/**");
    assert_eq!(Refusal::Denied(&rule).to_string(), "the rule `deny: GET  /Repos/{owner}/**` fits");
}

proptest! {
    /// Whatever letters are escaped or in capitals, once or twice.
    #[test]
    fn the_list_holds_in_any_spelling(
        which in 0..LIST.len(),
        style in prop::collection::vec(0..6_u8, 64),
    ) {
        let mut path = String::new();
        for (at, letter) in LIST[which].0.chars().enumerate() {
            match style[at % style.len()] {
                0 if at > 0 => write!(path, "%{:02X}", u32::from(letter)).unwrap(),
                1 if at > 0 => write!(path, "%25{:02x}", u32::from(letter)).unwrap(),
                2 => path.extend(letter.to_uppercase()),
                _ => path.push(letter),
            }
        }
        prop_assert!(denied(&path), "{}", path);
    }

    #[test]
    fn no_path_panics(path in "[/a-c.%25eE;*{}\\\\é]{0,40}") {
        _ = denied(&path);
        _ = rules(&["GET /a/**"], &["* /**/b"]).judge(&Method::GET, &path);
    }
}
