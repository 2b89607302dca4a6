//! The request as JSON, its headers read the three ways that frameworks read them.
//!
//! A header that one reading keeps apart from the gateway's own another may take for it: `X_User`
//! is `HTTP_X_USER` under CGI, exactly like `X-User`. Tests look for smuggled names here.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use crate::simulator::record::header_list;

type Headers = [(String, String)];
type View = BTreeMap<String, Vec<String>>;

/// Words in the names of headers that may tell an app who somebody is.
const IDENTITY: [&str; 14] = [
    "user",
    "email",
    "mail",
    "group",
    "team",
    "role",
    "login",
    "identity",
    "account",
    "remote",
    "auth",
    "forwarded",
    "realip",
    "gatekeep",
];

/// The whole request; the body only when it was kept and is text.
pub(super) fn echo(request: &Request<()>, body_bytes: u64, body: Option<Bytes>) -> Value {
    let headers = header_list(request.headers());
    let body = body.and_then(|body| String::from_utf8(body.into()).ok());
    json!({
        "method": request.method().as_str(),
        "target": request.uri().to_string(),
        "headers": headers,
        "body_bytes": body_bytes,
        "body": body,
        "views": views(&headers),
    })
}

fn views(headers: &Headers) -> Value {
    json!({
        "exact": view(headers.iter().filter(|(name, _)| tells_who(name)), str::to_owned),
        "cgi": view(headers, cgi),
        "stripped": view(headers, stripped),
    })
}

fn view<'a>(
    headers: impl IntoIterator<Item = &'a (String, String)>,
    reading: impl Fn(&str) -> String,
) -> View {
    let mut view = View::new();
    for (name, value) in headers {
        view.entry(reading(name)).or_default().push(value.clone());
    }
    view
}

/// As CGI, WSGI, Rack and PHP read it.
fn cgi(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("HTTP_{}", name.chars().map(letter).collect::<String>())
}

/// As those read it who drop all punctuation.
fn stripped(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

fn tells_who(name: &str) -> bool {
    let name = stripped(name);
    IDENTITY.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_readings_of_one_request() {
        let request = Request::post("/a?b=c%20d")
            .header("x-forwarded-user", "mona")
            .header("x_forwarded.user", "evil")
            .header("accept", "*/*")
            .body(())
            .unwrap();
        assert_eq!(
            echo(&request, 2, Some(Bytes::from("hi"))),
            json!({
                "method": "POST",
                "target": "/a?b=c%20d",
                "headers": [["x-forwarded-user", "mona"], ["x_forwarded.user", "evil"], ["accept", "*/*"]],
                "body_bytes": 2,
                "body": "hi",
                "views": {
                    "exact": {"x-forwarded-user": ["mona"], "x_forwarded.user": ["evil"]},
                    "cgi": {"HTTP_ACCEPT": ["*/*"], "HTTP_X_FORWARDED_USER": ["mona", "evil"]},
                    "stripped": {"accept": ["*/*"], "xforwardeduser": ["mona", "evil"]},
                },
            })
        );
    }
}
