//! The guide's login button and callback, in a real browser, with a service that says what the guide
//! says.

use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use super::file;
use crate::support::upstream::{field, read_head, serve};
use crate::support::webdriver::Window;

/// The app's static page and the service, on two origins, and what reached the service.
struct Pair {
    app: SocketAddr,
    service: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

// === impl Pair ===

impl Pair {
    fn start() -> Self {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&asked);
        let service = serve(move |_, mut stream| answer(&mut stream, &log));
        let page = std::fs::read_to_string(file("trackeep/sign-in.html")).expect("it is there");
        let page = page.replace("https://auth.example.com", &format!("http://{service}"));
        let app = serve(move |_, mut stream| {
            if read_head(&mut stream).is_some() {
                reply(&mut stream, "200 OK", "content-type: text/html\r\n", &page);
            }
        });
        Self { app, service, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no test panics in here").clone()
    }
}

/// The service: it sends back whoever comes, with a token, and knows whose that is.
fn answer(stream: &mut TcpStream, log: &Mutex<Vec<String>>) {
    let Some(head) = read_head(stream) else { return };
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let origin = field(&head, "origin").unwrap_or_default();
    let cors = format!(
        "access-control-allow-origin: {origin}\r\naccess-control-allow-headers: authorization\r\n"
    );
    let authorization = field(&head, "authorization").unwrap_or_default();
    log.lock().expect("no test panics in here").push(format!("{target} {authorization}"));
    if let Some(back) = target.strip_prefix("/auth/github?redirect_uri=") {
        let back = url::form_urlencoded::parse(format!("u={back}").as_bytes()).into_owned().next();
        let (_, back) = back.expect("a way back");
        let to = format!("location: {back}/auth/callback?token=good&user=octocat\r\n");
        reply(stream, "302 Found", &to, "");
    } else if head.starts_with("OPTIONS ") {
        reply(stream, "204 No Content", &cors, "");
    } else if authorization == "Bearer good" {
        let user = r#"{"user":{"id":1,"github_id":583231,"username":"octocat","name":"<b>Octo"}}"#;
        reply(stream, "200 OK", &cors, user);
    } else {
        reply(stream, "401 Unauthorized", &cors, r#"{"error":"Invalid token"}"#);
    }
}

fn reply(stream: &mut TcpStream, status: &str, headers: &str, body: &str) {
    use std::io::Write;
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    // A browser that left is the test's to notice.
    drop(stream.write_all(text.as_bytes()));
}

#[test]
fn the_guides_button_and_callback_sign_in_who_began_here() {
    let window = match Window::open() {
        Ok(window) => window,
        Err(why) => return eprintln!("SKIPPED: no sign-in page in a real browser: {why}"),
    };
    let pair = Pair::start();
    let app = format!("http://{}", pair.app);

    // A link with somebody else's token leads nowhere.
    window.go(&format!("{app}/auth/callback?token=good&user=mallory"));
    let refused = "You are not signed in: this sign-in did not begin here.";
    window.wait_for_text("#status", refused);
    assert_eq!(window.url(), format!("{app}/"), "nothing of it stays in the address");
    assert!(pair.asked().is_empty(), "and nobody is asked about it");

    window.go(&format!("{app}/"));
    window.click("#login");
    window.wait_for_text("#status", "Hello <b>Octo, you are octocat at GitHub.");
    assert_eq!(window.url(), format!("{app}/"));
    let kept = window.script("return JSON.stringify([localStorage, sessionStorage])");
    assert_eq!(kept, Ok("[{},{}]".into()), "the token is kept nowhere");
    let asked = pair.asked();
    let start = format!("/auth/github?redirect_uri=http%3A%2F%2F127.0.0.1%3A{} ", pair.app.port());
    assert_eq!(asked.first(), Some(&start), "{} heard {asked:?}", pair.service);
    assert!(asked.contains(&"/api/v1/user/me Bearer good".to_owned()), "{asked:?}");
}
