//! The journal: every request byte for byte, who asked, and what it cost.

use super::*;

#[test]
fn a_request_is_noted_whole_with_what_came_of_it() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    let path = "/repos/acme/rocket/contents/a%2Fb?a=2&a=1&b";
    let headers = format!("Authorization: Bearer {token}\r\nX-Twice: 1\r\nX-Twice: 2\r\n");
    ask(github.address(), &format!("GET /api/v3{path}"), &headers, "");
    github.advance(Duration::from_secs(5));
    ask(github.address(), "GET /api/v3/meta", "", "");
    let journal = github.journal();
    let [first, second] = &journal[..] else { panic!("two requests: {journal:?}") };
    assert_eq!(first.request.target, format!("/api/v3{path}"));
    let twice = first.request.headers.iter().filter(|(name, _)| name == "x-twice");
    assert_eq!(twice.map(|(_, value)| value.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(
        (first.who.as_deref(), first.status, first.charged),
        (Some("octocat"), Some(404), 1)
    );
    assert_eq!((second.who.as_deref(), second.status, second.charged), (None, Some(200), 1));
    assert!(second.at >= first.at + Duration::from_secs(5));
}

#[test]
fn an_answer_that_was_lost_cost_its_point() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    github.knobs().once("/user", Trouble::Swallow);
    let request = format!(
        "GET /api/v3/user HTTP/1.1\r\nHost: h\r\nUser-Agent: t\r\nConnection: close\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    );
    assert_eq!(raw(github.address(), &request), b"");
    let entry = &github.journal()[0];
    assert_eq!((entry.status, entry.charged, github.charged()), (None, 1, 1));
}
