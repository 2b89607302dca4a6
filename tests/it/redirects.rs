//! Open redirects: whatever `rd` says, a visitor stays on our own hosts (RFC 9700 §4.11; the CVEs
//! are listed in `src/return_to.rs`).

use url::Url;

use crate::support::World;
use crate::support::browser::{Browser, encode, join, parameter};

/// The hosts of the usual world. A browser must end on one of them, with TLS and no other port.
const OURS: [&str; 2] = ["https://auth.example.com", "https://app.example.com"];
const START: &str = "/.gatekeep/start";

/// The table, and what would be tedious to write into it.
pub(crate) fn targets() -> Vec<String> {
    let lines = include_str!("redirects/targets.txt").lines().filter(|line| !line.starts_with('#'));
    let read = |line: &str| {
        serde_json::from_str(&format!("\"{line}\"")).unwrap_or_else(|e| panic!("{e}: {line}"))
    };
    let mut targets: Vec<String> = lines.map(read).collect();
    let long = "a".repeat(2100);
    targets.extend([
        format!("/{long}"),
        format!("//{long}.evil.example/"),
        format!("https://{long}@evil.example/"),
        format!("https://app.example.com{long}/"),
        format!("{}evil.example", "/".repeat(2000)),
        format!("{}//evil.example", "/..".repeat(600)),
        format!("{}//evil.example", " ".repeat(1000)),
        format!("https://{}evil.example/", "app.example.com@".repeat(100)),
    ]);
    targets
}

/// What a browser makes of a `Location` or a link on a page: the address it then asks for.
fn resolve(page: &str, link: &str) -> Option<Url> {
    Url::parse(page).expect("a page's address").join(link).ok()
}

/// Fails unless a browser on `page` that follows `link` stays with us.
fn assert_ours(page: &str, link: &str, target: &str) -> Url {
    let url = resolve(page, link).unwrap_or_else(|| panic!("{target:?} leads to {link:?}"));
    let origin = url.origin().ascii_serialization();
    assert!(OURS.contains(&origin.as_str()), "{target:?} leads to {link:?}, which is {url}");
    assert!(url.username().is_empty() && url.password().is_none(), "{target:?} leads to {url}");
    url
}

fn asking(host: &str, page: &str, target: &str) -> String {
    format!("https://{host}{page}?{}", encode(&[("rd", target)]))
}

/// Follows redirects of a signed-in visitor to their end, each of them within our hosts.
fn follow_within(browser: &mut Browser, url: &str, target: &str) -> usize {
    let mut at = url.to_owned();
    for hops in 0..8 {
        let response = browser.get(&at);
        if !(300..400).contains(&response.status) {
            return hops;
        }
        at = assert_ours(&at, response.location(), target).into();
    }
    panic!("{target:?} leads round and round");
}

/// The links of a page, as a browser reads them.
fn links(html: &str) -> Vec<String> {
    let raw = html.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let read = |text: &str| {
        text.replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&")
    };
    raw.map(read).collect()
}

/// The whole way for a visitor who is not signed in: from `start`, over GitHub, to the end.
fn through_sign_in(world: &World, target: &str) {
    let mut browser = world.browser();
    let begun = browser.get(&asking("auth.example.com", START, target));
    assert_eq!(begun.status, 303, "{target:?}: {}", begun.text());
    let mut at = join("https://auth.example.com/", begun.location());
    if !at.starts_with(world.github.url()) {
        // For another of our hosts, which begins itself.
        assert_ours("https://auth.example.com/", begun.location(), target);
        at = world.authorize_url(&mut browser, &at);
    }
    follow_within(&mut browser, &world.github.approve(&at, "octocat"), target);
    assert!(browser.session("auth.example.com").is_some(), "{target:?}: nobody is signed in");
}

/// More than two hundred spellings of another site, each through `start` and a whole sign-in, for
/// a visitor who is signed in already at either host, and through the link on the sign-in page.
/// What is followed is what a browser makes of it. Controls: sign-ins succeed throughout, and a
/// page of ours is still reached afterwards.
#[test]
fn nothing_outside_the_site_is_ever_a_target() {
    let world = World::new();
    let targets = targets();
    assert!(targets.len() >= 200, "{}", targets.len());
    let (signed_in, _) = world.signed_in("octocat", "https://app.example.com/");
    for target in &targets {
        through_sign_in(&world, target);
        for host in ["auth.example.com", "app.example.com"] {
            let url = asking(host, START, target);
            assert!(follow_within(&mut signed_in.clone(), &url, target) >= 1, "{target:?}");
        }
    }
    assert_eq!(world.github.calls("POST /login/oauth/access_token"), targets.len() + 1);
    let url = asking("auth.example.com", START, "https://app.example.com/a?b=c");
    let (end, page) = signed_in.clone().follow(&url);
    assert_eq!((end.as_str(), page.status), ("https://app.example.com/a?b=c", 200));
}

/// The sign-in page shows one button. It leads to our own `start`, which carries the wish along and
/// judges it there.
#[test]
fn the_button_on_the_sign_in_page_stays_with_us() {
    let world = World::new();
    let (signed_in, _) = world.signed_in("octocat", "https://app.example.com/");
    for target in &targets() {
        for host in ["auth.example.com", "app.example.com"] {
            let page = asking(host, "/.gatekeep/sign_in", target);
            let response = world.browser().get(&page);
            assert_eq!(response.status, 200, "{target:?}");
            assert_eq!(response.header("location"), None, "{target:?}");
            let links = links(&response.text());
            assert_eq!(links.len(), 1, "{target:?}: {links:?}");
            let url = assert_ours(&page, &links[0], target);
            assert_eq!((url.host_str(), url.path()), (Some(host), START), "{target:?}");
            follow_within(&mut signed_in.clone(), url.as_str(), target);
        }
    }
}

/// A doubled `rd` is no wish at all: neither of two readers may find another one in it.
#[test]
fn two_wishes_are_none() {
    let world = World::new();
    let (mut browser, _) = world.signed_in("octocat", "https://auth.example.com/");
    for query in ["rd=/a&rd=//evil.example", "rd=//evil.example&rd=/a", "rd=/a&rd=/a"] {
        let response = browser.get(&format!("https://auth.example.com{START}?{query}"));
        assert_eq!((response.status, response.header("location")), (400, None), "{query}");
        let page = format!("https://auth.example.com/.gatekeep/sign_in?{query}");
        let links = links(&browser.get(&page).text());
        assert_eq!(links, [format!("{START}?rd=%2F")], "{query}");
    }
}

/// A form is posted without a session: the page that asks to sign in remembers the `Referer`, if
/// it is ours, and never another site's.
#[test]
fn the_referer_is_no_way_out_either() {
    let world = World::new();
    let post = |referer: &str| {
        let headers = [("accept", "text/html"), ("referer", referer)];
        let response = world.browser().send("POST", "https://app.example.com/form", &headers, "");
        assert_eq!(response.status, 401, "{referer}");
        let links = links(&response.text());
        assert_eq!(links.len(), 1, "{referer}");
        assert_ours("https://app.example.com/form", &links[0], referer);
        parameter(&links[0], "rd").expect("a wish")
    };
    assert_eq!(post("https://app.example.com/edit?id=1"), "/edit?id=1", "control");
    for referer in [
        "https://evil.example/",
        "https://app.example.com.evil.example/",
        "https://app.example.com@evil.example/",
        "https://app.example.com:8443/x",
        "http://app.example.com/x",
        "https://auth.example.com/x",
        "//evil.example/",
        "javascript:alert(1)",
        "https://app.example.com//evil.example/",
        "https://app.example.com/\\evil.example/",
    ] {
        assert_eq!(post(referer), "/", "{referer}");
    }
}

/// Links that people really share, below a host of ours.
const DEEP_LINKS: [&str; 26] = [
    "/",
    "/a",
    "/a/b/c.html",
    "/dir/",
    "/page?u=https://elsewhere.example/x",
    "/page?u=//elsewhere.example&v=/../..",
    "/page?u=https%3A%2F%2Felsewhere.example%2Fx%3Fy%3Dz",
    "/?rd=/a&rd=/b",
    "/?",
    "/a?b",
    "/a?b=c&b=d&e=",
    "/a?q=a+b%20c%2B",
    "/search?q=%22exact%22&lang=de",
    "/a?x=%E2%82%AC",
    "/%E2%82%AC/%C3%A4",
    "/a%20b/c",
    "/@octocat/status/1",
    "/~user/file.tar.gz",
    "/a,b(c)!$&'*+=:",
    "/a/b:c@d",
    "/wiki/Main_Page?action=edit&section=2",
    "/d/abc-123/board?orgId=1&from=now-6h&to=now&var-host=All",
    "/-/merge_requests?scope=all&state=opened&label_name%5B%5D=bug",
    "/q?filter={a}|b^c`d",
    "/a?path=C:%5Cdir&x=%00%0A",
    "/a?u=javascript:alert(1)",
];

/// Where a link ends when `rd` carries it through a sign-in and when a visitor opens it directly.
/// The app gets what stands in the link, byte for byte; only what no URL may hold raw is escaped.
#[test]
fn deep_links_survive_the_sign_in_byte_for_byte() {
    let world = World::new();
    for link in DEEP_LINKS {
        let canonical = link.replace('{', "%7B").replace('}', "%7D").replace('|', "%7C");
        let canonical = canonical.replace('^', "%5E").replace('`', "%60");
        let full = format!("https://app.example.com{link}");
        for (url, expected) in [
            (full.clone(), &canonical),
            (asking("app.example.com", START, link), &canonical),
            (asking("app.example.com", START, &full), &canonical),
            (asking("auth.example.com", START, &full), &canonical),
        ] {
            let (_, page) = world.signed_in("octocat", &url);
            assert_eq!(page.status, 200, "{url}");
            let seen = world.app.requests().pop().expect("the app was reached");
            assert_eq!(&seen.target, expected, "{url}");
        }
    }
}

/// The same for who is signed in already: `Location` is the very link.
#[test]
fn deep_links_survive_for_a_visitor_who_is_signed_in() {
    let world = World::new();
    let (mut browser, _) = world.signed_in("octocat", "https://app.example.com/");
    for link in DEEP_LINKS {
        let response = browser.get(&asking("app.example.com", START, link));
        assert_eq!((response.status, response.location()), (303, link));
    }
}
