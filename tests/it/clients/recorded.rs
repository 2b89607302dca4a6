//! Exchanges that were recorded at GitHub itself, played again: they come through byte for byte, but
//! for the URLs that lead to the gateway.

use std::fs;
use std::path::Path;

use gatekeep::simulator::Trouble;
use serde_json::Value;

use super::{Room, file, is_there};
use crate::support::browser::Browser;
use crate::support::http::Response;

/// One exchange as it was recorded.
struct Exchange {
    path: String,
    status: u16,
    headers: Vec<(String, String)>,
    body: Value,
}

/// Where they were recorded.
const GITHUB: &str = "https://api.github.com";

/// What speaks of the day of the recording.
const OF_THE_DAY: [&str; 4] = ["date", "content-length", "connection", "x-ratelimit-"];

/// All readings that were recorded, in the order of their names.
fn recorded() -> Option<Vec<Exchange>> {
    let scenarios = file("octokit/node_modules/@octokit/fixtures/scenarios/api.github.com");
    is_there("What was recorded at GitHub", Path::new("node"), &scenarios).then_some(())?;
    let mut names: Vec<_> = fs::read_dir(&scenarios)
        .expect("there are scenarios")
        .map(|entry| entry.expect("a scenario").path().join("raw-fixture.json"))
        .collect();
    names.sort();
    let scenarios = names.iter().map(|name| fs::read(name).expect("it is there"));
    let exchanges = scenarios
        .flat_map(|text| serde_json::from_slice::<Vec<Value>>(&text).expect("a list of exchanges"));
    let is_reading = |exchange: &Value| {
        exchange["method"] == "get" && exchange["scope"] == "https://api.github.com:443"
    };
    Some(exchanges.filter(is_reading).map(|exchange| Exchange::read(&exchange)).collect())
}

// === impl Exchange ===

impl Exchange {
    fn read(recorded: &Value) -> Self {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let raw = recorded["rawHeaders"].as_array().expect("headers");
        let headers = raw.chunks(2).map(|pair| (text(&pair[0]).to_lowercase(), text(&pair[1])));
        let lasts =
            |(name, _): &(String, String)| !OF_THE_DAY.iter().any(|of| name.starts_with(of));
        Self {
            path: text(&recorded["path"]),
            status: recorded["status"].as_u64().and_then(|n| n.try_into().ok()).expect("a status"),
            headers: headers.filter(lasts).collect(),
            body: recorded["response"].clone(),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as a GitHub at this address sends it.
    fn body(&self, at: &str) -> String {
        let text = match &self.body {
            Value::String(text) => text.clone(),
            body => body.to_string(),
        };
        text.replace(GITHUB, at)
    }

    /// Plays it, and asks for it through the gateway.
    fn play(&self, room: &Room) -> Response {
        let github = &room.world.github;
        let at = github.api_url();
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| (name.clone(), value.replace(GITHUB, at)));
        let (headers, body) = (headers.collect(), self.body(at).into());
        let answer = Trouble::Answer { status: self.status, headers, body };
        let path = self.path.split('?').next().expect("a path");
        github.knobs().at(path, answer);
        let credentials = format!("token {}", room.key);
        let url = format!("{}{}", room.base, self.path);
        let fields = [("authorization", credentials.as_str()), ("accept", "*/*")];
        let answer = Browser::new(room.world.gate.address).send("GET", &url, &fields, "");
        github.knobs().off(path);
        answer
    }
}

/// What the body ought to be, found out in another way than the gateway's: line by line.
fn turned(body: &str, from: &str, to: &str) -> String {
    let Ok(value) = serde_json::from_str::<Value>(body) else { return body.to_owned() };
    let pretty = serde_json::to_string_pretty(&value).expect("it was JSON");
    let lines = pretty.lines().map(|line| {
        let is_url = |key: &str| key.ends_with("_url") || key == "url" || key == "href";
        let quoted = line.trim_start().strip_prefix('"');
        let member = quoted.and_then(|line| line.split_once("\": \""));
        match member {
            Some((key, value)) if is_url(key) && value.starts_with(from) => {
                line.replacen(from, to, 1)
            }
            _ => line.to_owned(),
        }
    });
    let pretty = lines.collect::<Vec<_>>().join("\n");
    serde_json::from_str::<Value>(&pretty).expect("it is JSON still").to_string()
}

#[test]
fn what_github_said_comes_through_byte_for_byte_but_for_its_urls() {
    let Some(exchanges) = recorded() else { return };
    let room = Room::open();
    let (from, to) = (room.world.github.api_url().to_owned(), room.base.clone());
    let (mut urls, mut links) = (0, 0);
    for exchange in &exchanges {
        // The second is what GitHub has confirmed, or what it says once more.
        for _ in 0..2 {
            let answer = exchange.play(&room);
            let (path, text) = (&exchange.path, answer.text());
            assert_eq!(answer.status, exchange.status, "{path}: {text}");
            let expected = turned(&exchange.body(&from), &from, &to);
            assert_eq!(text, expected, "{path}");
            for name in ["content-type", "x-github-media-type", "x-github-request-id"] {
                assert_eq!(answer.header(name), exchange.header(name), "{path} {name}");
            }
            for name in ["link", "location"] {
                let wanted = exchange.header(name).map(|value| value.replace(GITHUB, &to));
                links += usize::from(wanted.is_some());
                assert_eq!(answer.header(name), wanted.as_deref(), "{path} {name}");
            }
            urls += expected.matches(&to).count();
        }
    }
    // The control: there were some of each.
    assert!(exchanges.len() >= 25, "{} exchanges", exchanges.len());
    assert!(urls > 1_000 && links >= 14, "{urls} URLs, {links} links");
}
