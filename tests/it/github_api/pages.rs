//! Pages of a list: no "304 Not Modified" hides a page, and every link leads through the gateway.

use std::time::Duration;

use super::{at, world};
use crate::support::World;
use crate::support::browser::Browser;
use crate::support::http::Response;

/// Oldest first, so that the first page stays as it is when something is added.
const COMMENTS: &str = "/repos/octocat/hello-world/issues/1/comments";
const ISSUES: &str = "/repos/octocat/hello-world/issues";
const REFETCHES: &str = "gatekeep_github_link_refetches_total ";

/// The target of a relation in `Link`.
fn link(answer: &Response, rel: &str) -> Option<String> {
    let rel = format!("; rel=\"{rel}\"");
    let mut links = answer.header("link")?.split(", ");
    let link = links.find_map(|link| link.strip_suffix(&rel))?;
    Some(link.trim_start_matches('<').trim_end_matches('>').to_owned())
}

fn next(answer: &Response) -> Option<String> {
    link(answer, "next")
}

/// A first page of so many comments, all read.
fn read_comments(world: &World, browser: &mut Browser, count: usize) -> Response {
    // There is one at the beginning.
    for number in 1..count {
        let text = format!("Comment {number}");
        world.github.add_comment("octocat/hello-world", 1, "mona", &text);
    }
    let answer = browser.fetch(&at(COMMENTS));
    assert_eq!((answer.status, items(&answer), next(&answer)), (200, count, None));
    answer
}

fn comment(world: &World) {
    world.github.add_comment("octocat/hello-world", 1, "mona", "One more.");
}

fn items(answer: &Response) -> usize {
    answer.json().as_array().expect("a list").len()
}

fn cache_status(answer: &Response) -> &str {
    answer.header("cache-status").expect("it says what the cache did")
}

/// How often GitHub sent the page, and how often it only confirmed it.
fn asked(world: &World, path: &str) -> [usize; 2] {
    let call = format!("GET {path}");
    [200, 304].map(|status| world.github.answered(&call, status))
}

#[test]
fn a_full_last_page_does_not_hide_the_page_behind_it() {
    let (world, mut browser) = world();
    world.github.knobs().presentation(|looks| looks.link_with_304 = false);
    let first = read_comments(&world, &mut browser, 30);
    comment(&world);
    let again = browser.fetch(&at(COMMENTS));
    assert_eq!((again.status, &again.body), (200, &first.body), "the page itself is the same");
    assert_eq!(cache_status(&again), "gatekeep; fwd=stale; fwd-status=200; stored");
    assert_eq!(asked(&world, COMMENTS), [2, 1]);
    assert_eq!(world.gate.metric(REFETCHES), Some(1.0));
    let behind = browser.fetch(&next(&again).expect("there is a page behind it"));
    assert_eq!((behind.status, items(&behind)), (200, 1), "{}", behind.text());
    // And now that it is known, GitHub's word is enough.
    let third = browser.fetch(&at(COMMENTS));
    assert_eq!(next(&third), next(&again));
    assert_eq!(asked(&world, COMMENTS), [2, 2]);
}

/// A page that is not full hides nothing, and costs nothing.
#[test]
fn a_page_with_room_is_confirmed_for_nothing() {
    let (world, mut browser) = world();
    world.github.knobs().presentation(|looks| looks.link_with_304 = false);
    read_comments(&world, &mut browser, 29);
    let charged = world.github.charged_to("octocat");
    let again = browser.fetch(&at(COMMENTS));
    assert_eq!(cache_status(&again), "gatekeep; fwd=stale; fwd-status=304");
    assert_eq!(asked(&world, COMMENTS), [1, 1]);
    assert_eq!(world.github.charged_to("octocat"), charged);
    assert_eq!(world.gate.metric(REFETCHES), Some(0.0));
}

#[test]
fn a_link_that_comes_with_a_304_is_told() {
    let (world, mut browser) = world();
    let first = read_comments(&world, &mut browser, 30);
    comment(&world);
    let again = browser.fetch(&at(COMMENTS));
    assert_eq!(cache_status(&again), "gatekeep; fwd=stale; fwd-status=304");
    assert_eq!((asked(&world, COMMENTS), &again.body), ([1, 1], &first.body));
    let behind = browser.fetch(&next(&again).expect("there is a page behind it"));
    assert_eq!(items(&behind), 1);
}

/// The gateway's own validator is of the links too: a client that has the page is told of the new one.
#[test]
fn a_client_s_304_does_not_hide_the_page_either() {
    let (world, mut browser) = world();
    let first = read_comments(&world, &mut browser, 30);
    let tag = first.header("etag").expect("a tag").to_owned();
    let conditional = |browser: &mut Browser| {
        let headers = [("accept", "application/json"), ("if-none-match", tag.as_str())];
        browser.send("GET", &at(COMMENTS), &headers, "")
    };
    let same = conditional(&mut browser);
    assert_eq!((same.status, same.header("etag")), (304, Some(tag.as_str())));
    assert_eq!(same.header("content-length"), None, "a length would be that of the page");
    comment(&world);
    let changed = conditional(&mut browser);
    assert_eq!((changed.status, &changed.body), (200, &first.body));
    assert!(next(&changed).is_some() && changed.header("etag") != Some(tag.as_str()));
}

/// Renovate asks for all pages at once, as many as the first one names.
#[test]
fn the_number_of_the_last_page_is_not_believed_for_ever() {
    let (world, mut browser) = world();
    world.github.knobs().presentation(|looks| looks.link_with_304 = false);
    let mut read = || {
        let answer = browser.fetch(&at(ISSUES));
        assert!(link(&answer, "last").expect("a last page").ends_with("/issues?page=3"));
        asked(&world, ISSUES)
    };
    assert_eq!(read(), [1, 0]);
    world.gate.clock.advance(Duration::from_secs(300));
    assert_eq!(read(), [1, 1]);
    world.gate.clock.advance(Duration::from_secs(1));
    assert_eq!(read(), [2, 2], "it is asked for again, without a condition");
    world.gate.clock.advance(Duration::from_secs(300));
    assert_eq!(read(), [2, 3]);
}

/// GitHub's links lead to the repository's number; the client finds them below the gateway, and
/// every page behind them.
#[test]
fn all_pages_are_reached_by_their_links() {
    let (world, mut browser) = world();
    let id = world.github.repository_id("octocat/hello-world");
    let (mut numbers, mut url) = (Vec::new(), Some(at(&format!("{ISSUES}?per_page=20&a=%2F"))));
    let mut pages = 0;
    while let Some(page) = url {
        let answer = browser.fetch(&page);
        assert_eq!(answer.status, 200, "{page}");
        let found = answer.json();
        let found = found.as_array().expect("a list");
        numbers.extend(found.iter().map(|issue| issue["number"].as_u64().expect("a number")));
        pages += 1;
        url = next(&answer);
        let expected = at(&format!("/repositories/{id}/issues?per_page=20&a=%2F&page="));
        assert!(url.as_ref().is_none_or(|url| url.starts_with(&expected)), "{url:?}");
    }
    assert_eq!((pages, numbers), (4, (1..=66).rev().collect()));
}
