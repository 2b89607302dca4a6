//! The gateway's own pages: in the form that was asked for, never cached, never framed, with what
//! an operator needs to find the request, and without a word that was not escaped.

use serde_json::json;

use crate::support::browser::Browser;
use crate::support::http::Response;
use crate::support::{ROUTES, World, eventually};

const APP: &str = "https://app.example.com";

/// Asks as a program does that names a form.
fn ask(browser: &mut Browser, url: &str, accept: &str) -> Response {
    browser.send("GET", url, &[("accept", accept), ("sec-fetch-mode", "cors")], "")
}

fn get(browser: &mut Browser, path: &str) -> Response {
    browser.get(&format!("{APP}{path}"))
}

// === forms ===

const FORMS: [(&str, &str); 5] = [
    ("text/html", "text/html; charset=utf-8"),
    ("application/json", "application/json; charset=utf-8"),
    ("text/plain", "text/plain; charset=utf-8"),
    ("*/*", "text/plain; charset=utf-8"),
    ("text/html;q=0.5, application/json", "application/json; charset=utf-8"),
];

#[test]
fn a_page_comes_as_html_json_or_text_whichever_was_asked_for() {
    let world = World::new();
    let (signed_in, _) = world.signed_in("octocat", APP);
    for (who, path, status, title) in [
        (world.browser(), "/x", 401, "Sign in to go on"),
        (signed_in.clone(), "/admin", 403, "This page is not for you"),
        (world.browser(), "/.gatekeep/sign_in", 200, "Sign in"),
        (world.browser(), "/.gatekeep/nothing", 404, "There is no such page"),
        (signed_in, "/.gatekeep/account", 200, "Your account"),
    ] {
        for (accept, kind) in FORMS {
            let answer = ask(&mut who.clone(), &format!("{APP}{path}"), accept);
            let found = (answer.status, answer.header("content-type"));
            assert_eq!(found, (status, Some(kind)), "{path} as {accept}");
            let text = answer.text();
            match kind {
                "text/html; charset=utf-8" => {
                    assert!(text.starts_with("<!doctype html>"), "{text}");
                    assert!(text.contains(&format!("<h1>{title}</h1>")), "{text}");
                }
                "application/json; charset=utf-8" => assert_eq!(answer.json()["title"], title),
                _ => assert!(text.starts_with(&format!("Gatekeep: {title}\n")), "{text}"),
            }
        }
    }
}

#[test]
fn a_denied_program_learns_as_much_as_a_person() {
    let world = World::new();
    let (mut browser, _) = world.signed_in("octocat", APP);
    let answer = browser.fetch("https://app.example.com/admin?x=1");
    let page = answer.json();
    let id = page["request_id"].as_str().expect("an id");
    let (web, client) = (world.github.web_url(), world.github.client_id());
    let expected = json!({
        "title": "This page is not for you",
        "message": "You are signed in, but this page is for others.",
        "help": [
            "Ask to be added to one of the groups below, or use another account.",
            format!(
                "You are a member already? Then the organisation may not have approved this app \
                 yet, or asks for single sign-on first: open \
                 {web}/settings/connections/applications/{client}, press “Grant” or “Request” \
                 beside the organisation, and sign in here again."
            ),
        ],
        "facts": { "Open to teams": "acme/admins", "Signed in as": "octocat" },
        "error": page["message"],
        "reason": "not-admitted",
        "request_id": id,
        "actions": [
            {
                "label": "Use another account",
                "href": "/.gatekeep/start?rd=%2Fadmin%3Fx%3D1&prompt=select_account",
            },
            { "label": "Sign out", "href": "/.gatekeep/sign_out" },
        ],
    });
    assert_eq!((answer.status, page.clone()), (403, expected));
    // The page says the same, word for word.
    let html = get(&mut browser, "/admin?x=1").text();
    for words in [
        "<h1>This page is not for you</h1>",
        "<dt>Open to teams</dt><dd>acme/admins</dd>",
        "<dt>Signed in as</dt><dd>octocat</dd>",
        "<code>not-admitted</code>",
        "href=\"/.gatekeep/start?rd=%2Fadmin%3Fx%3D1&amp;prompt=select_account\"",
    ] {
        assert!(html.contains(words), "{words} is not in {html}");
    }
}

#[test]
fn a_program_that_must_sign_in_is_told_where() {
    let world = World::new();
    let answer = world.browser().fetch("https://app.example.com/api?x=1");
    assert_eq!((answer.status, &answer.json()["reason"]), (401, &json!("no-session")));
    let challenge = "Gatekeep realm=\"https://app.example.com\", \
                     sign_in=\"https://app.example.com/.gatekeep/start?rd=%2F\"";
    assert_eq!(answer.header("www-authenticate"), Some(challenge));
}

// === headers ===

/// What every page carries, whatever it says.
fn assert_guarded(what: &str, answer: &Response) {
    let policy = answer.header("content-security-policy").unwrap_or_default();
    for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(policy.split("; ").any(|found| found == part), "{what}: {policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("script"), "{what}: {policy}");
    let has_form = answer.text().contains("<form");
    let referrer = if has_form { "same-origin" } else { "no-referrer" };
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("cache-control", "no-store"),
        ("referrer-policy", referrer),
        ("vary", "Accept"),
    ] {
        assert_eq!(answer.all(name).collect::<Vec<_>>(), [value], "{name} of {what}");
    }
    assert!(!answer.text().contains("<script"), "{what}");
}

fn sign_out(browser: &mut Browser) -> Response {
    let url = format!("{APP}/.gatekeep/sign_out");
    let page = browser.get(&url).text();
    let (_, rest) = page.split_once("name=\"csrf\" value=\"").expect("a form");
    let token = rest.split('"').next().expect("a token").to_owned();
    browser.post(&url, &[("csrf", &token)])
}

#[test]
fn every_page_of_the_gateways_own_carries_its_headers() {
    let broken = "  - { name: down, host: app.example.com, path: /down, upstream: 'unix:/no/such', \
                  public: ['/down/*'], allow: anyone, body_limit: 10 }\n";
    let world = World::with("limits: { header_fields: 20 }\n", &format!("{ROUTES}{broken}"));
    let (mut octocat, _) = world.signed_in("octocat", APP);
    let mut nobody = world.browser();
    for (path, status, title) in [
        ("/admin", 403, "This page is not for you"),
        ("/.gatekeep/account", 200, "Your account"),
        ("/.gatekeep/sign_out", 200, "Sign out?"),
        ("/.gatekeep/sign_in", 200, "Sign in"),
        ("/.gatekeep/callback", 404, "There is no such page"),
        ("/a//b/%2e%2e/c", 400, "This address can be read in two ways"),
        ("/down/x", 502, "The app does not answer"),
    ] {
        let answer = get(&mut octocat, path);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(answer.text().contains(&format!("<h1>{title}</h1>")), "{}", answer.text());
        assert_guarded(path, &answer);
    }
    let callback = nobody.get("https://auth.example.com/.gatekeep/callback?code=a&state=b");
    assert_eq!(callback.status, 400);
    assert_guarded("a callback from nowhere", &callback);
    let form = nobody.post("https://app.example.com/x", &[("a", "b")]);
    assert_eq!(form.status, 401);
    assert_guarded("a form without a session", &form);
    let html = ("accept", "text/html");
    let large = nobody.send("POST", "https://app.example.com/down/x", &[html], "more than ten");
    assert_eq!(large.status, 413);
    assert_guarded("a body too large", &large);
    let names: Vec<_> = (0..30).map(|number| format!("x-{number}")).collect();
    let mut fields: Vec<_> = names.iter().map(|name| (name.as_str(), "v")).collect();
    fields.push(html);
    let many = nobody.send("GET", "https://app.example.com/x", &fields, "");
    assert_eq!(many.status, 400);
    assert_guarded("a header too large", &many);
    let traced = nobody.send("TRACE", "https://app.example.com/x", &[html], "");
    assert_eq!(traced.status, 405);
    assert_guarded("a method that is never forwarded", &traced);
    let nowhere = nobody.get("https://elsewhere.example/");
    assert_eq!(nowhere.status, 404);
    assert_guarded("a host of nobody's", &nowhere);
    let out = sign_out(&mut octocat);
    assert!(out.text().contains("<h1>You are signed out</h1>"), "{}", out.text());
    assert_guarded("signed out", &out);
}

#[test]
fn a_redirect_of_the_gateways_own_is_neither_kept_nor_told_to_others() {
    let world = World::new();
    let mut browser = world.browser();
    for url in [
        format!("{APP}/x?y=1"),
        format!("{APP}/.gatekeep/start?rd=%2F"),
        "https://auth.example.com/.gatekeep/start?rd=%2F".to_owned(),
    ] {
        let answer = browser.get(&url);
        assert_eq!((answer.status, answer.body.len()), (303, 0), "{url}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    }
}

// === branding ===

#[test]
fn name_and_logo_are_the_configurations() {
    let keys =
        "branding: { name: 'Müller & <Söhne>', logo: 'https://cdn.example.net/a.svg?x=1&y=2' }\n";
    let world = World::with(keys, ROUTES);
    let mut browser = world.browser();
    let page = get(&mut browser, "/.gatekeep/sign_in");
    let text = page.text();
    for words in [
        "<title>Sign in · Müller &amp; &lt;Söhne&gt;</title>",
        "<span>Müller &amp; &lt;Söhne&gt;</span>",
        "<p class=\"lead\">Müller &amp; &lt;Söhne&gt; asks GitHub who you are.</p>",
        "<img src=\"https://cdn.example.net/a.svg?x=1&amp;y=2\" alt=\"\">",
    ] {
        assert!(text.contains(words), "{words} is not in {text}");
    }
    assert!(!text.contains("Gatekeep<") && !text.contains("<Söhne>"), "{text}");
    let policy = page.header("content-security-policy").expect("a policy");
    let images = "img-src data: 'self' https://cdn.example.net";
    assert!(policy.split("; ").any(|found| found == images), "{policy}");
    let plain = ask(&mut browser, "https://app.example.com/.gatekeep/sign_in", "*/*").text();
    assert!(plain.starts_with("Müller & <Söhne>: Sign in\n"), "{plain}");
    // Without any there is the gateway's own name and mark, and no foreign images.
    let usual = get(&mut World::new().browser(), "/.gatekeep/sign_in");
    assert!(usual.text().contains("<title>Sign in · Gatekeep</title>"));
    assert!(!usual.text().contains("<img"));
    let policy = usual.header("content-security-policy").expect("a policy");
    assert!(policy.contains("img-src data: 'self';"), "{policy}");
}

// === finding a request again ===

#[test]
fn reason_and_request_id_of_a_page_are_those_of_the_access_log() {
    let world = World::new();
    let (octocat, _) = world.signed_in("octocat", APP);
    let nobody = world.browser();
    for (browser, url, status, reason) in [
        (&octocat, "https://app.example.com/admin?q=mine", 403, "not-admitted"),
        (&nobody, "https://app.example.com/x?q=mine", 401, "no-session"),
        (&nobody, "https://elsewhere.example/x?q=mine", 404, "no-route"),
        (&nobody, "https://app.example.com/.gatekeep/x?q=mine", 404, "no-such-page"),
        (&nobody, "https://app.example.com/a/../b?q=mine", 400, "ambiguous-target"),
    ] {
        let answer = browser.clone().fetch(url);
        let page = answer.json();
        assert_eq!((answer.status, &page["reason"]), (status, &json!(reason)), "{url}");
        let id = page["request_id"].as_str().expect("an id");
        let mark = format!("request.id={id} ");
        eventually("the access line", || world.gate.access_log().contains(&mark));
        let log = world.gate.access_log();
        let lines: Vec<_> = log.lines().filter(|line| line.contains(&mark)).collect();
        assert_eq!(lines.len(), 1, "{log}");
        for part in [format!("status={status}"), format!("reason={reason}")] {
            assert!(lines[0].split(' ').any(|found| found == part), "{part}: {}", lines[0]);
        }
        assert!(!log.contains("mine"), "a query is in the log: {log}");
    }
}

#[test]
fn each_request_has_an_id_of_its_own_which_the_app_gets_too() {
    let world = World::new();
    let mut browser = world.browser();
    for path in ["/public/1", "/public/2"] {
        assert_eq!(browser.fetch(&format!("{APP}{path}")).status, 200);
    }
    let seen = world.app.requests();
    let ids: Vec<_> = seen.iter().filter_map(|seen| seen.header("x-request-id")).collect();
    assert!(ids.len() == 2 && ids[0] != ids[1], "{ids:?}");
    eventually("both access lines", || {
        let log = world.gate.access_log();
        ids.iter().all(|id| log.contains(&format!("request.id={id} ")))
    });
}

// === reflection ===

const MARKUP: &str = "\"'><script>alert(1)</script><img/src=x/onerror=alert(1)>";

#[test]
fn no_page_gives_back_what_was_sent_as_markup() {
    let world = World::new();
    let encoded: String = url::form_urlencoded::byte_serialize(MARKUP.as_bytes()).collect();
    let (mut octocat, _) = world.signed_in("octocat", APP);
    let mut nobody = world.browser();
    let mut pages = Vec::new();
    for text in [MARKUP, encoded.as_str()] {
        for path in [
            format!("/admin/{text}"),
            format!("/admin?{text}"),
            format!("/.gatekeep/{text}"),
            format!("/.gatekeep/sign_in?rd=/{text}"),
            format!("/.gatekeep/sign_in?rd={text}"),
            format!("/.gatekeep/account?{text}={text}"),
            format!("/.gatekeep/sign_out?rd={text}"),
            format!("//{text}"),
        ] {
            pages.push(get(&mut octocat, &path));
            pages.push(get(&mut nobody, &path));
        }
        let callback = "https://auth.example.com/.gatekeep/callback";
        pages.push(nobody.get(&format!("{callback}?error={text}&state={text}")));
        pages.push(nobody.get(&format!("{callback}?error=x&error_description={text}&state=s")));
        let html = [("accept", "text/html"), ("sec-fetch-mode", "navigate"), ("referer", text)];
        pages.push(nobody.send("POST", "https://app.example.com/x", &html, "a=b"));
    }
    let shown: Vec<_> = pages.iter().filter(|page| page.status != 303).collect();
    assert!(shown.len() > 25, "{}", shown.len());
    for page in &shown {
        let text = page.text();
        for banned in ["<script", "<img", "alert(1)<", "'><"] {
            assert!(!text.contains(banned), "{banned} is in {text}");
        }
    }
    // The control: something of it was given back, and was harmless.
    assert!(shown.iter().any(|page| page.text().contains("script")));
}

#[test]
fn a_name_from_github_is_shown_as_the_text_it_is() {
    let world = World::new();
    world.github.change("octocat", |person| person.name = Some(MARKUP.to_owned()));
    let (mut octocat, _) = world.signed_in("octocat", APP);
    let page = get(&mut octocat, "/.gatekeep/account").text();
    let escaped =
        "&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;img/src=x/onerror=alert(1)&gt;";
    assert!(page.contains(&format!("<dt>Name</dt><dd>{escaped}</dd>")), "{page}");
    assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
}
