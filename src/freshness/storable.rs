//! Whether an answer of GitHub may be kept, by what it says itself.

use std::time::Duration;

use http::header::{CACHE_CONTROL, ETAG, LOCATION, SET_COOKIE, VARY};
use http::{HeaderMap, HeaderName, StatusCode};

use super::handling::{Fresh, Handling, poll_interval};

/// What may be done with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storable {
    /// It is passed on and forgotten.
    No,
    /// It is kept; GitHub will be asked whether it still holds.
    Yes,
    /// It is kept no longer than this, whatever GitHub confirms: something in it expires, or it has
    /// no tag to ask with.
    AtMost(Duration),
    /// No body to keep, but an answer that this very asker may be given again for so long, until
    /// anything is written there: it absorbs a client's retries. Never stale, never for others.
    Briefly(Duration),
}

/// How long a 404 stands: a client that waits for something to appear must not wait for us.
const NOT_FOUND: Duration = Duration::from_secs(2);

/// How long the new address of a renamed repository stands; asking costs as much as any answer.
const MOVED: Duration = Duration::from_secs(60);

/// Download links of private files hold a token that expires.
const EXPIRING_LINKS: Duration = Duration::from_secs(60);

// === impl Handling ===

impl Handling {
    /// Whether this answer to a request of this handling may be kept. `body` is what GitHub sent,
    /// decompressed.
    pub fn may_store(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Storable {
        if !self.store || forbids(headers) {
            return Storable::No;
        }
        match status {
            StatusCode::OK => self.of_ok(headers, body),
            StatusCode::NOT_FOUND => Storable::Briefly(NOT_FOUND),
            StatusCode::MOVED_PERMANENTLY if headers.contains_key(LOCATION) => {
                Storable::Briefly(MOVED)
            }
            _ => Storable::No,
        }
    }

    fn of_ok(&self, headers: &HeaderMap, body: &[u8]) -> Storable {
        let tagged = headers.contains_key(ETAG);
        let window = match self.fresh {
            Fresh::For(window) => Some(window),
            Fresh::Revalidate => poll_interval(headers),
            Fresh::Moving => None,
        };
        match window {
            _ if has_expiring_links(body) => Storable::AtMost(EXPIRING_LINKS),
            _ if tagged => Storable::Yes,
            Some(window) => Storable::AtMost(window),
            None => Storable::No,
        }
    }
}

/// What makes an answer this one request's alone (RFC 9111 §5.2.2.5 and §4.1), or incomplete.
fn forbids(headers: &HeaderMap) -> bool {
    let says = |name: HeaderName, word: &str| {
        let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
        let mut words = lines.flat_map(|line| line.split([',', ';'])).map(str::trim);
        words.any(|one| one.eq_ignore_ascii_case(word))
    };
    headers.contains_key(SET_COOKIE)
        || says(CACHE_CONTROL, "no-store")
        || says(VARY, "*")
        || says(HeaderName::from_static("x-github-sso"), "partial-results")
}

/// Whether a `download_url` has a `token` in it, as those of private files do.
fn has_expiring_links(body: &[u8]) -> bool {
    const NAME: &[u8] = b"\"download_url\"";
    let mut names = body.windows(NAME.len()).enumerate().filter(|(_, bytes)| *bytes == NAME);
    names.any(|(at, _)| {
        let mut strings = body[at + NAME.len()..].split(|b| *b == b'"');
        let url = strings.nth(1).unwrap_or_default();
        url.windows(6).any(|bytes| bytes == b"token=")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Handling = Handling { store: true, share: true, fresh: Fresh::Revalidate };
    const LIST: Handling = Handling { fresh: Fresh::For(Duration::from_secs(3600)), ..USUAL };
    const NEVER: Handling = Handling { store: false, ..USUAL };

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())
        };
        fields.iter().map(field).collect()
    }

    fn of(handling: Handling, status: u16, fields: &[(&str, &str)]) -> Storable {
        handling.may_store(StatusCode::from_u16(status).unwrap(), &headers(fields), b"{}")
    }

    #[test]
    fn an_answer_with_a_tag_or_a_window_is_kept() {
        let tag = ("etag", "\"a\"");
        assert_eq!(of(USUAL, 200, &[tag]), Storable::Yes);
        assert_eq!(of(USUAL, 200, &[tag, ("cache-control", "private, max-age=60")]), Storable::Yes);
        assert_eq!(of(USUAL, 200, &[tag, ("vary", "Accept, Authorization")]), Storable::Yes);
        assert_eq!(of(USUAL, 200, &[tag, ("cache-control", "no-cache")]), Storable::Yes);
        assert_eq!(of(USUAL, 200, &[]), Storable::No);
        assert_eq!(of(LIST, 200, &[]), Storable::AtMost(Duration::from_secs(3600)));
        assert_eq!(of(LIST, 200, &[tag]), Storable::Yes);
        let poll = Storable::AtMost(Duration::from_secs(60));
        assert_eq!(of(USUAL, 200, &[("x-poll-interval", "60")]), poll);
        assert_eq!(of(NEVER, 200, &[tag]), Storable::No);
    }

    #[test]
    fn what_the_answer_forbids_is_not_done() {
        let tag = ("etag", "\"a\"");
        for field in [
            ("set-cookie", "a=b"),
            ("cache-control", "no-store"),
            ("cache-control", "private,No-Store"),
            ("vary", "*"),
            ("vary", "Accept, *"),
            ("x-github-sso", "partial-results; organizations=21955855,20582480"),
        ] {
            for status in [200, 301, 404] {
                let fields = [tag, ("location", "/x"), field];
                assert_eq!(of(LIST, status, &fields), Storable::No, "{status} {field:?}");
            }
        }
        let second = [tag, ("cache-control", "private"), ("cache-control", "no-store")];
        assert_eq!(of(USUAL, 200, &second), Storable::No);
    }

    #[test]
    fn of_other_answers_two_stand_for_a_moment() {
        let fields = [("etag", "\"a\""), ("location", "/repositories/7")];
        assert_eq!(of(USUAL, 404, &fields), Storable::Briefly(Duration::from_secs(2)));
        assert_eq!(of(USUAL, 301, &fields), Storable::Briefly(Duration::from_secs(60)));
        assert_eq!(of(USUAL, 301, &[]), Storable::No);
        assert_eq!(of(NEVER, 404, &fields), Storable::No);
        for status in
            [201, 202, 204, 206, 302, 304, 307, 308, 401, 403, 410, 422, 429, 451, 500, 503]
        {
            assert_eq!(of(LIST, status, &fields), Storable::No, "{status}");
        }
    }

    #[test]
    fn links_with_a_token_are_kept_for_a_minute() {
        let of = |body: &str| {
            USUAL.may_store(StatusCode::OK, &headers(&[("etag", "\"a\"")]), body.as_bytes())
        };
        let minute = Storable::AtMost(Duration::from_secs(60));
        let url = "https://raw.githubusercontent.com/o/r/main/x";
        assert_eq!(of(&format!(r#"{{"download_url":"{url}?token=AAAA"}}"#)), minute);
        assert_eq!(of(&format!("[{{\"download_url\" :\n \"{url}?a&token=AAAA\"}}]")), minute);
        let second = format!(r#"[{{"download_url":"{url}"}},{{"download_url":"{url}?token=A"}}]"#);
        assert_eq!(of(&second), minute);
        for body in [
            format!(r#"{{"download_url":"{url}"}}"#),
            format!(r#"{{"download_url":null,"x":"{url}"}}"#),
            r#"{"body":"\"download_url\":\"token=\""}"#.to_owned(),
            r#"{"browser_download_url":"https://x/?token=A"}"#.to_owned(),
            r#"{"download_url"#.to_owned(),
            r#"{"download_url""#.to_owned(),
        ] {
            assert_eq!(of(&body), Storable::Yes, "{body}");
        }
    }
}
