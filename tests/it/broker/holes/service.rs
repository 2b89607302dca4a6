use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::signed::{OLDEST, brought, me};
use super::*;
use crate::support::eventually;

/// Two requests at once wrote into the same table, and the whole service was gone. Sixteen at a time do
/// everything that there is to do; each is answered for its own visitor, and all is as before.
#[test]
fn everything_at_once_mixes_nobody_up_and_stops_nothing() {
    let world = world();
    let people = [("octocat", 583_231), ("hubot", 480_938)];
    let browsers = people.map(|(person, _)| signed_in(&world, person).0);
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for worker in 0..16 {
            let ((person, number), browser) = (people[worker % 2], &browsers[worker % 2]);
            let (world, done) = (&world, &done);
            scope.spawn(move || {
                for _ in 0..3 {
                    let mut browser = browser.clone();
                    let code = code_for(world, &mut browser, person);
                    let given: Validated = decoded(&exchange(world, &code));
                    assert_eq!(given.user.id, number);
                    assert_eq!(ask(world, "/api/v1/github/repos", &given.token).status, 200);
                    let (_, signed) = brought(world, &mut browser, person, OLDEST);
                    let seen = me(world, &signed).json();
                    assert_eq!(seen["user"]["id"], number, "{seen}");
                    for guess in ["", "x"] {
                        assert_eq!(refusal(&exchange(world, guess)).0, 401);
                    }
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(done.load(Ordering::SeqCst), 48);
    assert_eq!(world.browser().get(&format!("{SERVICE}/health")).status, 200, "control");
    signed_in(&world, "octocat");
}

/// Every page could read every answer with the visitor's cookies, and lists of all users, and of all
/// instances with their keys, were there for anybody. No answer is told because of a cookie; one path may
/// be read by pages of the instances that are registered, with a token; and the lists are gone.
#[test]
fn a_page_of_another_site_reads_nothing_and_no_list_is_there_to_read() {
    let world = world();
    let (mut browser, server_token) = signed_in(&world, "octocat");
    let (_, token) = brought(&world, &mut browser, "octocat", OLDEST);
    let from = |method: &str, path: &str, origin: &str, more: &[(&str, &str)]| {
        let headers = [&[("origin", origin), ("accept", "application/json")], more].concat();
        browser.clone().send(method, &format!("{SERVICE}{path}"), &headers, "")
    };
    for method in ["GET", "OPTIONS", "POST"] {
        for path in [
            "/api/v1/user/me",
            "/api/v1/github/repos",
            "/api/v1/github/user/access-token",
            "/api/v1/auth/control/callback",
            "/auth/github",
            "/health",
        ] {
            for origin in ["https://evil.example", "https://trackeep.example.com", "null"] {
                let answer = from(method, path, origin, &[]);
                let told = ["access-control-allow-origin", "access-control-allow-credentials"];
                assert_eq!(told.map(|name| answer.header(name)), [None; 2], "{method} {path}");
                let is_open = path == "/health" && method == "GET" || method == "OPTIONS";
                assert!(answer.status >= 400 || is_open, "{method} {path}: {}", answer.status);
            }
        }
    }
    let with = format!("Bearer {token}");
    let answer = from("GET", "/api/v1/user/me", OLDEST, &[("authorization", with.as_str())]);
    assert_eq!(answer.header("access-control-allow-origin"), Some(OLDEST), "control");
    assert_eq!((answer.status, answer.header("vary")), (200, Some("Origin")), "control");
    assert_eq!(answer.header("access-control-allow-credentials"), None, "by its token alone");
    for path in [
        "/api/v1/instances",
        "/api/v1/instances/1",
        "/dashboard/users",
        "/api/v1/dashboard/users",
        "/api/v1/progress/1",
        "/api/v1/courses",
        "/learning-paths",
        "/learning-paths/1/enroll",
        "/",
    ] {
        for method in ["GET", "POST", "PUT", "DELETE"] {
            let bearer = format!("Bearer {server_token}");
            let answer = from(method, path, SERVICE, &[("authorization", bearer.as_str())]);
            assert_eq!(refusal(&answer), (404, "not found".to_owned()), "{method} {path}");
        }
    }
    assert!(is_good(&world, &server_token), "control");
}

/// Whoever signed in by e-mail was one and the same account, the code stood in the answer, and it could
/// be guessed without an end. There is no such way in any more, and the answer says so.
#[test]
fn there_is_no_way_in_by_e_mail() {
    let world = world();
    for (method, path) in [
        ("GET", "/auth/email"),
        ("GET", "/auth/email/callback?code=x&state=y"),
        ("POST", "/auth/email"),
        ("POST", "/api/v1/email/send"),
        ("POST", "/api/v1/email/verify"),
        ("OPTIONS", "/api/v1/email/verify"),
    ] {
        let body = if method == "POST" { r#"{"email":"a@b.example","code":"123456"}"# } else { "" };
        let answer = world.browser().send(method, &format!("{SERVICE}{path}"), &PLAIN, body);
        let (status, said) = refusal(&answer);
        assert_eq!(status, 410, "{method} {path}");
        assert!(!said.contains("code") && answer.header("set-cookie").is_none(), "{said}");
    }
    assert_eq!(world.browser().get(&begin(CALLBACK)).status, 303, "control: by GitHub");
}

/// What has been used up of what an address may show that is not good.
const AT_ONCE: usize = 600;

/// The status, and when to try again.
fn heard(answer: &Response) -> (u16, Option<u64>) {
    let wait = answer.header("retry-after").map(|wait| wait.parse().expect("seconds"));
    (answer.status, wait)
}

const NOT_HEARD: (u16, Option<u64>) = (429, Some(6));

/// Guesses were free, and nothing told of them. From one address only so many are answered; others go on,
/// and so does whoever shows from there what is good, for all of an instance's users ask from one address.
#[test]
fn who_guesses_is_not_heard_for_a_moment_and_keeps_nobody_else_out() {
    let world = World::with(
        &format!("github.timeout: 5s, {SCOPES}\ntrusted_proxies: [127.0.0.1]\n{BROKER}"),
        ROUTES,
    );
    let place = "2001:db8:1:2::7";
    let hasty = server(&world).coming_from(place);
    let mut browser = world.browser().coming_from("198.51.100.1");
    let code = code_for(&world, &mut browser, "octocat");
    let token = decoded::<Validated>(&exchange(&world, &code)).token;
    let code = code_for(&world, &mut browser, "octocat");
    let json = [PLAIN[0], ("content-type", "application/json")];
    let show = |by: &Browser, code: &str| {
        let body = serde_json::json!({ "token": code }).to_string();
        let url = format!("{SERVICE}/api/v1/auth/control/callback");
        by.clone().send("POST", &url, &json, &body)
    };
    let ask = |by: &Browser, path: &str, token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [PLAIN[0], ("authorization", bearer.as_str())];
        by.clone().send("GET", &format!("{SERVICE}{path}"), &headers, "")
    };
    let guesses: [&dyn Fn() -> Response; 6] = [
        &|| show(&hasty, &"A".repeat(43)),
        &|| ask(&hasty, "/api/v1/github/repos", &format!("gkc_{}", "A".repeat(43))),
        &|| ask(&hasty, "/api/v1/user/me", "a.b.c"),
        &|| hasty.clone().get(&begin("https://evil.example/")),
        &|| hasty.clone().get(&format!("{SERVICE}/auth/github/app/callback?state=x")),
        &|| hasty.clone().get("https://auth.example.com/.gatekeep/callback?code=x&state=y"),
    ];
    for count in 0..AT_ONCE {
        let answer = guesses[count % guesses.len()]();
        assert!(matches!(heard(&answer), (400 | 401, None)), "{count}: {}", answer.text());
    }
    for guess in guesses {
        let answer = guess();
        assert_eq!((heard(&answer), answer.header("location")), (NOT_HEARD, None));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    let said = refusal(&show(&hasty, "x"));
    assert_eq!(said, (429, "Too many requests: wait a moment, and try again.".to_owned()));
    // The same household, and another one.
    let neighbour = |place: &str| show(&server(&world).coming_from(place), "x").status;
    assert_eq!([neighbour("2001:db8:1:2::8"), neighbour("2001:db8:1:3::7")], [429, 401]);
    // What is good is heard from everywhere.
    assert_eq!(ask(&hasty, "/api/v1/github/repos", &token).status, 200);
    assert_eq!(show(&hasty, &code).status, 200);
    // Operators see it, and it passes.
    let limited = r#"gatekeep_limited_total{of="address"}"#;
    assert!(world.gate.metric(limited).is_some_and(|count| count >= 6.0));
    eventually("the log says so", || world.gate.access_log().contains("too-many-requests"));
    world.gate.clock.advance(Duration::from_secs(6));
    assert!(guesses.iter().all(|guess| heard(&guess()).0 < 429), "control: later");
}

/// A page of another site has its visitor's browser fetch what is refused, again and again.
#[test]
fn no_page_of_another_site_keeps_its_visitors_address_from_signing_in() {
    let fetched = |dest: &str| {
        let world = world();
        let headers = [("sec-fetch-site", "cross-site"), ("sec-fetch-dest", dest)];
        for count in 0..=AT_ONCE {
            let url = match count % 2 {
                0 => begin("https://evil.example/"),
                _ => "https://auth.example.com/.gatekeep/callback?code=x&state=y".to_owned(),
            };
            world.browser().send("GET", &url, &headers, "");
        }
        world.browser().get(&begin(CALLBACK)).status
    };
    assert_eq!(["image", "iframe"].map(fetched), [303, 303]);
    assert_eq!(fetched("document"), 429, "control: whoever goes there does");
}

/// A visitor who is signed in could fill the store, with a script: each visit left something there.
#[test]
fn one_session_asks_for_no_more_than_people_do_and_holds_up_no_other() {
    let world = world_with_app();
    let (browser, token) = signed_in(&world, "octocat");
    let (other, others) = signed_in(&world, "hubot");
    let code = |browser: &Browser| browser.clone().get(&begin(CALLBACK));
    let mut codes = 0;
    while code(&browser).status == 303 {
        codes += 1;
        assert!(codes < 100, "no end");
    }
    assert!(codes > 30, "people are not hindered: {codes}");
    assert_eq!(heard(&code(&browser)), NOT_HEARD);
    assert_eq!(code(&other).status, 303, "control: another visitor");
    // What the instance's server asks with the visitor's token has a bound of its own.
    let target = "https://trackeep.example.com/api/v1/github/app/callback?state=abc";
    let path = format!("/api/v1/github/app/install-url?{}", encode(&[("redirect_uri", target)]));
    let mut errands = 0;
    while ask(&world, &path, &token).status == 200 {
        errands += 1;
        assert!(errands < 20, "no end");
    }
    assert!(errands > 5, "{errands}");
    assert_eq!(heard(&ask(&world, &path, &token)), NOT_HEARD);
    let info = "/api/v1/github/app/info";
    let answered = (0..AT_ONCE).find(|_| ask(&world, info, &token).status == 429);
    assert!(answered.is_some(), "questions as well");
    assert_eq!(ask(&world, info, &others).status, 200, "control: another visitor's");
    let limited = r#"gatekeep_limited_total{of="session"}"#;
    assert!(world.gate.metric(limited).is_some_and(|count| count >= 3.0));
    world.gate.clock.advance(Duration::from_secs(60));
    assert_eq!((code(&browser).status, ask(&world, &path, &token).status), (303, 200));
}
