//! The gateway's own `ETag`: it speaks for what the client sees, whichever token and node it came by.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use http::header::{HeaderMap, HeaderValue, IF_NONE_MATCH};
use ring::digest::{Context, SHA256};

/// What a client sees of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// SHA-256 of the body as GitHub sent it, decompressed.
    pub body: &'a [u8; 32],
    /// The address that its links are rewritten to; empty where they are left alone.
    pub base: &'a str,
    /// Its `Content-Type`.
    pub media_type: &'a str,
    /// Its `Link`, as the client sees it.
    pub link: Option<&'a str>,
    /// Its status.
    pub status: StatusCode,
}

/// 132 bits of the hash: far beyond what two answers of one URL could share by chance.
const LETTERS: usize = 22;

// === impl Shown ===

impl Shown<'_> {
    /// The strong validator (RFC 9110 §8.8.3) for it.
    pub fn tag(&self) -> HeaderValue {
        let mut hash = Context::new(&SHA256);
        let link = self.link.map_or(&b""[..], str::as_bytes);
        let is_linked = [u8::from(self.link.is_some())];
        let status = self.status.as_u16().to_be_bytes();
        let parts = [
            self.body,
            self.base.as_bytes(),
            self.media_type.as_bytes(),
            &is_linked,
            link,
            &status,
        ];
        for part in parts {
            // With their lengths, or two parts could share their bytes differently.
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let letters = URL_SAFE_NO_PAD.encode(hash.finish());
        HeaderValue::from_str(&format!("\"gk1-{}\"", &letters[..LETTERS]))
            .expect("base64 is printable ASCII")
    }
}

/// Whether the client has an answer already: its `If-None-Match` holds the tag, weak or strong, or
/// is `*` (RFC 9110 §13.1.2).
pub fn is_known(client: &HeaderMap, tag: &HeaderValue) -> bool {
    let lists = client.get_all(IF_NONE_MATCH).iter().map(HeaderValue::as_bytes);
    // Ours holds no comma; pieces of a foreign tag with one are never quoted on both sides.
    lists
        .flat_map(|list| list.split(|&b| b == b','))
        .map(<[u8]>::trim_ascii)
        .any(|known| known == b"*" || known.strip_prefix(b"W/").unwrap_or(known) == tag.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOWN: Shown<'static> = Shown {
        body: &[7; 32],
        base: "https://gate.example/github",
        media_type: "application/json",
        link: None,
        status: StatusCode::OK,
    };

    #[test]
    fn the_tag_stays_what_it_was() {
        // A client keeps it over an update of the gateway.
        assert_eq!(SHOWN.tag(), "\"gk1-pL7bAucEEcZorsdO4mdEUD\"");
    }

    #[test]
    fn whatever_the_client_sees_changes_the_tag() {
        let others = [
            Shown { body: &[8; 32], ..SHOWN },
            Shown { base: "https://gate.example/api/v3", ..SHOWN },
            Shown { media_type: "application/vnd.github.raw+json", ..SHOWN },
            Shown { link: Some(""), ..SHOWN },
            Shown { link: Some("<https://gate.example/github/x>; rel=\"next\""), ..SHOWN },
            Shown { status: StatusCode::NOT_FOUND, ..SHOWN },
            Shown { base: "https://gate.example/githubapplication", media_type: "/json", ..SHOWN },
            SHOWN,
        ];
        let tags: std::collections::HashSet<_> = others.iter().map(Shown::tag).collect();
        assert_eq!(tags.len(), others.len());
    }

    #[test]
    fn a_client_that_has_it_is_recognised() {
        let tag = SHOWN.tag();
        let own = tag.to_str().unwrap();
        for (lines, known) in [
            (vec![own.to_owned()], true),
            (vec![format!("W/{own}")], true),
            (vec![format!("\"a,b\", W/{own} ,\"c\"")], true),
            (vec!["\"a\"".to_owned(), own.to_owned()], true),
            (vec!["*".to_owned()], true),
            (vec![], false),
            (vec![String::new()], false),
            (vec!["\"a\"".to_owned()], false),
            (vec![own.trim_matches('"').to_owned()], false),
            (vec![own.replace("gk1", "gk2")], false),
            (vec![format!("w/{own}")], false),
        ] {
            let mut client = HeaderMap::new();
            for line in &lines {
                client.append(IF_NONE_MATCH, line.parse().unwrap());
            }
            assert_eq!(is_known(&client, &tag), known, "{lines:?}");
        }
    }
}
