//! A real browser: headless Chromium, driven through chromedriver (W3C WebDriver, plain HTTP).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::child::Child;
use super::http;

/// One window of a real browser; closed when dropped.
pub(crate) struct Window {
    driver: SocketAddr,
    session: String,
    _child: Child,
    _profile: TempDir,
}

/// For a page to become what is waited for, in seconds.
const PATIENCE: u64 = 60;

/// What runs Chromium without a screen, a sandbox, or a word to anybody outside.
const ARGUMENTS: [&str; 9] = [
    "headless=new",
    "no-sandbox",
    "disable-gpu",
    "disable-quic",
    "no-first-run",
    "disable-background-networking",
    "disable-component-update",
    "disable-sync",
    "window-size=1000,900",
];

/// The key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

// === impl Window ===

impl Window {
    /// Opens a window; `Err` names what is not installed.
    pub(crate) fn open() -> Result<Self, String> {
        Self::open_with(&[])
    }

    /// The same with further arguments of Chromium.
    pub(crate) fn open_with(further: &[&str]) -> Result<Self, String> {
        for program in ["chromedriver", "chromium"] {
            let found = Command::new(program).arg("--version").output();
            found.map_err(|e| format!("{program}: {e}"))?;
        }
        let (child, driver) = (0..5).find_map(|_| driver()).expect("chromedriver finds a port");
        let profile = tempfile::tempdir().expect("a directory");
        let mut arguments: Vec<_> = ARGUMENTS.iter().map(|&a| a.to_owned()).collect();
        arguments.push(format!("user-data-dir={}", profile.path().display()));
        arguments.extend(further.iter().map(|&a| a.to_owned()));
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": arguments },
        }}});
        let made = call(driver, "POST", "/session", &wanted).expect("a session");
        let session = made["sessionId"].as_str().expect("a session has an id").to_owned();
        Ok(Self { driver, session, _child: child, _profile: profile })
    }

    /// Goes to an address, as typed.
    pub(crate) fn go(&self, url: &str) {
        self.call("POST", "/url", &json!({ "url": url })).expect("the address opens");
    }

    /// Loads the page again, as its button does.
    pub(crate) fn reload(&self) {
        self.call("POST", "/refresh", &json!({})).expect("it loads again");
    }

    /// The address that is shown.
    pub(crate) fn url(&self) -> String {
        let url = self.call("GET", "/url", &Value::Null).expect("there is an address");
        url.as_str().expect("it is text").to_owned()
    }

    /// Presses what the selector finds and waits until another document has taken this one's
    /// place: the old one is complete, and would be read, until the new one has arrived.
    pub(crate) fn click(&self, selector: &str) {
        let element = self.find(selector).unwrap_or_else(|e| panic!("no {selector}: {e}"));
        self.script("window.wasClicked = true").expect("scripts run");
        self.call("POST", &format!("/element/{element}/click"), &json!({})).expect("it is pressed");
        let begun = Instant::now();
        while self.script("return !window.wasClicked && location.href !== 'about:blank'")
            != Ok(json!(true))
        {
            let late = begun.elapsed().as_secs() >= PATIENCE;
            assert!(!late, "{selector} leads nowhere from {}", self.url());
        }
    }

    /// Presses what leads nowhere, such as a box to tick.
    pub(crate) fn tick(&self, selector: &str) {
        let element = self.find(selector).unwrap_or_else(|e| panic!("no {selector}: {e}"));
        self.call("POST", &format!("/element/{element}/click"), &json!({})).expect("it is pressed");
    }

    /// Types into a field.
    pub(crate) fn write(&self, selector: &str, text: &str) {
        let element = self.find(selector).unwrap_or_else(|e| panic!("no {selector}: {e}"));
        let typed = json!({ "text": text });
        self.call("POST", &format!("/element/{element}/value"), &typed).expect("it is typed");
    }

    /// Is somebody at the pretended GitHub, which does not know this browser yet, and agrees to all.
    pub(crate) fn pass_github(&self, person: &str) {
        self.click(&format!("button[name=person][value={person}]"));
        self.click("button[value=authorize]");
    }

    /// Waits until the document is complete and shows an element; returns the text people see.
    pub(crate) fn text(&self, selector: &str) -> String {
        let begun = Instant::now();
        loop {
            let complete = self.script("return document.readyState") == Ok(json!("complete"));
            if complete && let Some(text) = self.text_now(selector) {
                return text;
            }
            let late = begun.elapsed().as_secs() >= PATIENCE;
            assert!(!late, "no {selector} at {}", self.url());
        }
    }

    /// What the console's and the page's own words are: the whole visible text.
    pub(crate) fn page(&self) -> String {
        self.text("body")
    }

    /// The names of the cookies that a script could read.
    pub(crate) fn script_cookies(&self) -> String {
        let cookies = self.script("return document.cookie").expect("scripts run");
        cookies.as_str().expect("it is text").to_owned()
    }

    /// Writes what is seen to a PNG file.
    pub(crate) fn screenshot(&self, file: &Path) {
        let shot = self.call("GET", "/screenshot", &Value::Null).expect("a picture");
        let png = STANDARD.decode(shot.as_str().expect("base64")).expect("base64");
        std::fs::write(file, png).expect("it can be written");
    }

    fn text_now(&self, selector: &str) -> Option<String> {
        let element = self.find(selector).ok()?;
        let text = self.call("GET", &format!("/element/{element}/text"), &Value::Null).ok()?;
        text.as_str().map(str::to_owned)
    }

    /// Waits until an element's text has these words in it.
    pub(crate) fn wait_for_text(&self, selector: &str, words: &str) {
        let begun = Instant::now();
        loop {
            let text = self.text_now(selector);
            if text.as_ref().is_some_and(|text| text.contains(words)) {
                return;
            }
            let late = begun.elapsed().as_secs() >= PATIENCE;
            assert!(!late, "{selector} at {} is {text:?} without {words:?}", self.url());
        }
    }

    /// Everything that scripts of the page can read and keep, the address included.
    pub(crate) fn kept(&self) -> String {
        let code = "return (async () => JSON.stringify([
            {...localStorage}, {...sessionStorage}, document.cookie, await indexedDB.databases(),
            await caches.keys(), location.href, document.referrer, history.state,
            performance.getEntries().map(entry => entry.name),
        ]))()";
        self.script(code).expect("scripts run").as_str().expect("it is text").to_owned()
    }

    /// What a script in the page returns, or what it promises.
    pub(crate) fn script(&self, code: &str) -> Result<Value, Value> {
        self.call("POST", "/execute/sync", &json!({"script": code, "args": []}))
    }

    fn find(&self, selector: &str) -> Result<String, Value> {
        let wanted = json!({"using": "css selector", "value": selector});
        let found = self.call("POST", "/element", &wanted)?;
        found[ELEMENT].as_str().map(str::to_owned).ok_or(found)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value, Value> {
        call(self.driver, method, &format!("/session/{}{path}", self.session), body)
    }
}

/// A chromedriver, and where it listens. It takes a port that is free for IPv4, and gives up where
/// another program has that very one for IPv6.
fn driver() -> Option<(Child, SocketAddr)> {
    let child = Child::start(Command::new("chromedriver").arg("--port=0"));
    let line = child.printed("started successfully on port")?;
    let port = line.rsplit(' ').next().map(|port| port.trim_end_matches('.'));
    let port: u16 = port.and_then(|port| port.parse().ok()).expect("chromedriver says its port");
    Some((child, SocketAddr::from(([127, 0, 0, 1], port))))
}

impl Drop for Window {
    /// Chromium outlives a chromedriver that is killed, so it is closed first; nothing here may
    /// fail a test that failed already.
    fn drop(&mut self) {
        let Ok(mut stream) = TcpStream::connect(self.driver) else { return };
        let (driver, session) = (self.driver, &self.session);
        let request = format!(
            "DELETE /session/{session} HTTP/1.1\r\nhost: {driver}\r\nconnection: close\r\n\r\n"
        );
        drop(stream.write_all(request.as_bytes()));
        // The answer comes when Chromium has ended; chromedriver keeps the connection.
        drop(stream.set_read_timeout(Some(Duration::from_secs(20))));
        drop(stream.read(&mut [0; 1024]));
    }
}

/// One command; the error is WebDriver's own.
fn call(driver: SocketAddr, method: &str, path: &str, body: &Value) -> Result<Value, Value> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {driver}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = http::raw(driver, request.as_bytes())
        .unwrap_or_else(|| panic!("chromedriver gives no answer to {method} {path}"));
    let value = answer.json()["value"].take();
    if answer.status == 200 { Ok(value) } else { Err(value) }
}
