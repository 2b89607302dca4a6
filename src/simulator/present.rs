//! What an answer looks like: its tag, 304 for who has it, spaces for people, gzip, its headers.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::{
    asker::Audience,
    calendar,
    etag::{Etags, known},
    github::Shared,
    gzip,
    media::Form,
    outcome::{Content, Outcome, Tag},
    record::{Recorded, lock},
    spoil::fill,
    web::{Reply, full, pipe},
};

const JSON: &str = "application/json; charset=utf-8";
/// Who is given JSON with line breaks and spaces.
const PEOPLE: [&str; 4] = ["curl", "Wget", "Safari", "Firefox"];

/// What the API's answers look like. The default is GitHub's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Presentation {
    /// Files and `…sha` answers are tagged with their Git object's id, which does not depend on
    /// who asks; else they are tagged like all others.
    pub object_ids: bool,
    /// A 304 has the `Link` that the full answer would have.
    pub link_with_304: bool,
    /// A 304 has its `ETag`.
    pub etag_with_304: bool,
    /// Single things have `Last-Modified`, and `If-Modified-Since` alone gets a 304 too.
    pub last_modified: bool,
    /// JSON for a `User-Agent` with `curl`, `Wget`, `Safari` or `Firefox` in it is laid out for
    /// reading, after the `ETag` was made.
    pub pretty: bool,
    /// `Accept-Encoding: gzip` is heeded.
    pub gzip: bool,
    /// `Vary` names `Authorization` for who shows a token, as it does at GitHub.
    pub vary_by_token: bool,
}

// === impl Presentation ===

impl Default for Presentation {
    fn default() -> Self {
        Self {
            object_ids: true,
            link_with_304: true,
            etag_with_304: true,
            last_modified: true,
            pretty: true,
            gzip: true,
            vary_by_token: true,
        }
    }
}

/// Makes the answer, or 304 for who has it already.
pub(super) fn present(
    shared: &Shared,
    request: &Recorded,
    audience: Audience,
    outcome: Outcome,
) -> Reply {
    let Outcome { status, content, link, tag, changed, headers } = outcome;
    let looks = shared.knobs.presents();
    let body = match *content {
        Content::Nothing => return finish(bare(status), request, audience, &looks, headers),
        Content::Filler(bytes) => {
            return finish(filler(bytes), request, audience, &looks, headers);
        }
        Content::Json(value) => Body { media_type: JSON, bytes: value.to_string().into() },
        Content::Raw { media_type, bytes } => Body { media_type, bytes },
    };
    let fine = status == StatusCode::OK && matches!(request.method.as_str(), "GET" | "HEAD");
    let tag = tag_of(shared, request, audience, tag, &body.bytes).filter(|_| fine);
    let changed = changed.filter(|_| fine && looks.last_modified).map(|moment| {
        let seconds = lock(&shared.world).seconds_at(moment);
        calendar::http_date(seconds)
    });
    let unchanged = has_it(request, tag.as_deref(), changed.as_deref());
    let mut reply = if unchanged {
        bare(StatusCode::NOT_MODIFIED)
    } else {
        body.reply(status, request, &looks)
    };
    let kept = reply.headers_mut();
    if status.is_success() {
        let scope = if audience == Audience::Private { "private" } else { "public" };
        put(kept, "cache-control", &format!("{scope}, max-age=60, s-maxage=60"));
    }
    let tag = tag.filter(|_| !unchanged || looks.etag_with_304);
    let link = link.filter(|_| !unchanged || looks.link_with_304);
    for (name, value) in [("etag", tag), ("link", link), ("last-modified", changed)] {
        if let Some(value) = value {
            put(kept, name, &value);
        }
    }
    finish(reply, request, audience, &looks, headers)
}

/// Adds a header line.
pub(super) fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).unwrap_or_else(|_| HeaderValue::from_static(""));
    headers.append(HeaderName::from_static(name), value);
}

/// Bytes before they are laid out and packed.
struct Body {
    media_type: &'static str,
    bytes: bytes::Bytes,
}

// === impl Body ===

impl Body {
    fn reply(self, status: StatusCode, request: &Recorded, looks: &Presentation) -> Reply {
        let mut bytes = self.bytes;
        let agent = request.header("user-agent").unwrap_or_default();
        if looks.pretty && self.media_type == JSON && PEOPLE.iter().any(|who| agent.contains(who)) {
            let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
            bytes = format!("{value:#}\n").into();
        }
        let packed = looks.gzip
            && !bytes.is_empty()
            && request.header("accept-encoding").is_some_and(|all| all.contains("gzip"));
        if packed {
            bytes = gzip::wrap(&bytes).into();
        }
        let mut reply = bare(status);
        *reply.body_mut() = full(bytes);
        put(reply.headers_mut(), "content-type", self.media_type);
        if packed {
            put(reply.headers_mut(), "content-encoding", "gzip");
        }
        reply
    }
}

fn bare(status: StatusCode) -> Reply {
    let mut reply = Reply::new(full(""));
    *reply.status_mut() = status;
    reply
}

fn filler(bytes: u64) -> Reply {
    let (sender, body) = pipe();
    tokio::spawn(fill(sender, bytes));
    let mut reply = Reply::new(body);
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    put(headers, "content-type", "application/octet-stream");
    reply
}

/// The tag, as the knobs want tags to be.
fn tag_of(
    shared: &Shared,
    request: &Recorded,
    audience: Audience,
    tag: Tag,
    body: &[u8],
) -> Option<String> {
    let etags = shared.knobs.makes_etags();
    let whole = match tag {
        Tag::Absent => None,
        Tag::Object(id) if shared.knobs.presents().object_ids && etags != Etags::Absent => {
            Some(format!("\"{id}\""))
        }
        Tag::Body | Tag::Object(_) => etags.of(request, audience, body),
    }?;
    let weak = etags == Etags::Alternating && shared.knobs.other_turn();
    Some(if weak { format!("W/{whole}") } else { whole })
}

/// Whether the client has this already. Its tags, if it sent any, decide alone.
fn has_it(request: &Recorded, tag: Option<&str>, changed: Option<&str>) -> bool {
    if request.header("if-none-match").is_some() {
        return tag.is_some_and(|tag| known(request, tag));
    }
    let since = request.header("if-modified-since").and_then(calendar::order);
    let changed = changed.and_then(calendar::order);
    matches!((since, changed), (Some(since), Some(changed)) if changed <= since)
}

/// What every answer says, and then what this one says itself.
fn finish(
    mut reply: Reply,
    request: &Recorded,
    audience: Audience,
    looks: &Presentation,
    own: Vec<(&'static str, String)>,
) -> Reply {
    let headers = reply.headers_mut();
    let first = match audience {
        Audience::Private if looks.vary_by_token => "Accept, Authorization, Cookie, X-GitHub-OTP",
        Audience::Private => "Accept, Cookie, X-GitHub-OTP",
        Audience::Public => "Accept",
    };
    put(headers, "vary", first);
    put(headers, "vary", "Accept-Encoding, Accept, X-Requested-With");
    put(headers, "x-github-media-type", Form::of(request).header());
    for (name, value) in own {
        headers.remove(name);
        put(headers, name, &value);
    }
    reply
}
