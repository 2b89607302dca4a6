//! The small change of HTTP: bodies, replies, forms, escaping.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use serde_json::Value;
use tokio::sync::mpsc;

/// What every reply carries; an error in it cuts the connection.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;
pub(super) type Reply = Response<Body>;
pub(super) type Pairs = Vec<(String, String)>;

/// The look shared by GitHub's pages and the demo app's.
pub(super) const STYLE: &str = include_str!("style.css");

/// A body whose bytes come through a channel, each item flushed as it comes.
pub(super) struct Pipe(mpsc::Receiver<io::Result<Bytes>>);

impl hyper::body::Body for Pipe {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|item| item.map(|bytes| bytes.map(Frame::data)))
    }
}

pub(super) fn pipe() -> (mpsc::Sender<io::Result<Bytes>>, Body) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, Pipe(receiver).boxed_unsync())
}

pub(super) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A reply with a body of a known type, kept out of caches.
pub(super) fn reply(status: StatusCode, content_type: &'static str, body: Body) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

/// A page: no script can run in it and no other site can frame it.
pub(super) fn html(status: StatusCode, page: String) -> Reply {
    const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; \
                          base-uri 'none'; frame-ancestors 'none'";
    let mut reply = reply(status, "text/html; charset=utf-8", full(page));
    reply.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    reply
}

pub(super) fn json(status: StatusCode, value: &Value) -> Reply {
    reply(status, "application/json; charset=utf-8", full(value.to_string()))
}

pub(super) fn text(status: StatusCode, words: impl Into<Bytes>) -> Reply {
    reply(status, "text/plain; charset=utf-8", full(words))
}

pub(super) fn redirect(status: StatusCode, to: &str) -> Reply {
    let mut reply = text(status, "");
    let to = HeaderValue::from_str(to).unwrap_or_else(|_| HeaderValue::from_static("/"));
    reply.headers_mut().insert(header::LOCATION, to);
    reply
}

/// Reads `a=b&c=d`, from a query or a form.
pub(super) fn pairs(encoded: &[u8]) -> Pairs {
    url::form_urlencoded::parse(encoded).into_owned().collect()
}

pub(super) fn encode<'a>(pairs: impl IntoIterator<Item = &'a (String, String)>) -> String {
    let mut out = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs {
        out.append_pair(name, value);
    }
    out.finish()
}

/// A path's segment with its `%XX` undone; `+` stays what it is.
pub(super) fn decode(segment: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|digit| char::from(*digit).to_digit(16));
    let (bytes, mut out, mut at) = (segment.as_bytes(), Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        let pair = (digit(bytes.get(at + 1)), digit(bytes.get(at + 2)));
        if let (b'%', (Some(high), Some(low))) = (byte, pair) {
            out.push(u8::try_from(high << 4 | low).expect("two hexadecimal digits are a byte"));
            at += 3;
        } else {
            out.push(*byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The first value of this name, if it says anything.
pub(super) fn first<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
        .filter(|value| !value.is_empty())
}

/// Makes words safe in HTML text and in quoted attributes.
pub(super) fn escape(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for c in words.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_cannot_become_markup() {
        assert_eq!(escape(r#"<a b="c">&'"#), "&lt;a b=&quot;c&quot;&gt;&amp;&#39;");
    }

    #[test]
    fn a_segment_is_decoded_once() {
        for (segment, meant) in
            [("a%2Fb", "a/b"), ("%252F", "%2F"), ("a+b%", "a+b%"), ("%C3%a9%zz", "é%zz")]
        {
            assert_eq!(decode(segment), meant);
        }
    }

    #[test]
    fn an_empty_field_says_nothing() {
        let form = pairs(b"state=&code=a%20b&code=c");
        assert_eq!(first(&form, "state"), None);
        assert_eq!(first(&form, "code"), Some("a b"));
        assert_eq!(encode(&form), "state=&code=a+b&code=c");
    }
}
