//! The `ETag`: how GitHub makes it, and who has the answer already.

use ring::digest::{Context, SHA256};

use super::{asker::Audience, record::Recorded, world::hex};

/// The request's headers that go into an ETag, in this order, if they were sent and `Vary` names
/// them: an answer for anybody depends on the first alone.
const HASHED: [&str; 3] = ["accept", "authorization", "cookie"];

/// How the API makes its tags for conditional requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Etags {
    /// As GitHub does: SHA-256 over `Accept`, `Authorization`, `Cookie` and the body, so another
    /// token has another ETag for the same bytes.
    #[default]
    OfToken,
    /// The same without `Authorization`: all tokens that see the same bytes have the same ETag.
    OfBytes,
    /// Of the token too, but with something secret in it: nobody can compute it beforehand.
    Salted,
    /// 32 digits, as they were when GitHub made them with MD5.
    Short,
    /// As GitHub does, and every other one is weak: `W/"…"`.
    Alternating,
    /// None at all, and so no 304.
    Absent,
}

// === impl Etags ===

impl Etags {
    /// The ETag of this body, as an answer to this request.
    pub(super) fn of(self, request: &Recorded, audience: Audience, body: &[u8]) -> Option<String> {
        let mut hash = Context::new(&SHA256);
        if self == Self::Salted {
            hash.update(b"salt of the simulated GitHub:");
        }
        let named = if audience == Audience::Private { &HASHED[..] } else { &HASHED[..1] };
        for &name in named {
            let counts = self != Self::OfBytes || name != "authorization";
            if let Some(value) = request.header(name).filter(|_| counts) {
                hash.update(value.as_bytes());
                hash.update(b":");
            }
        }
        hash.update(body);
        let mut digits = hex(hash.finish().as_ref());
        if self == Self::Short {
            digits.truncate(32);
        }
        (self != Self::Absent).then(|| format!("\"{digits}\""))
    }
}

/// Whether the client said that it has what this ETag names: one, one of a list, or `*`.
///
/// Weak comparison: `W/` makes no difference.
pub(super) fn known(request: &Recorded, tag: &str) -> bool {
    let sent = request.headers.iter().filter(|(name, _)| name == "if-none-match");
    let mut tags = sent.flat_map(|(_, value)| value.split(',')).map(str::trim);
    let strong = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    tags.any(|one| one == "*" || strong(one) == strong(tag))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Request;

    use super::*;

    fn asked(headers: &[(&str, &str)]) -> Recorded {
        let mut request = Request::get("/user");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Recorded::new(&request.body(()).unwrap(), Bytes::new())
    }

    #[test]
    fn a_tag_is_of_what_was_asked_with_and_of_the_body() {
        let tag = |etags: Etags, headers| etags.of(&asked(headers), Audience::Private, b"{}");
        let plain = tag(Etags::OfToken, &[]).unwrap();
        assert_eq!(plain, "\"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\"");
        let mine = [("accept", "*/*"), ("authorization", "Bearer a")];
        let yours = [("accept", "*/*"), ("authorization", "Bearer b")];
        let hash = ring::digest::digest(&SHA256, b"*/*:Bearer a:{}");
        assert_eq!(tag(Etags::OfToken, &mine), Some(format!("\"{}\"", hex(hash.as_ref()))));
        assert_ne!(tag(Etags::OfToken, &mine), tag(Etags::OfToken, &yours));
        assert_ne!(tag(Etags::Salted, &mine), tag(Etags::OfToken, &mine));
        assert_eq!(tag(Etags::OfBytes, &mine), tag(Etags::OfBytes, &yours));
        assert_ne!(tag(Etags::OfBytes, &mine), tag(Etags::OfBytes, &[]), "Accept counts");
        assert_eq!(tag(Etags::Absent, &mine), None);
        assert_eq!(tag(Etags::Short, &mine).unwrap().len(), 34);
        let public = Etags::OfToken.of(&asked(&mine), Audience::Public, b"{}");
        assert_eq!(public, tag(Etags::OfToken, &mine[..1]), "the app's secret does not count");
    }

    #[test]
    fn if_none_match_is_one_a_list_or_all() {
        let tag = "\"aa\"";
        for (sent, fine) in [
            ("\"aa\"", true),
            ("W/\"aa\"", true),
            ("\"bb\" , W/\"aa\"", true),
            ("*", true),
            ("\"bb\"", false),
            ("aa", false),
            ("w/\"aa\"", false),
            ("", false),
        ] {
            assert_eq!(known(&asked(&[("if-none-match", sent)]), tag), fine, "{sent}");
        }
        let lines = [("if-none-match", "\"bb\""), ("if-none-match", "\"aa\"")];
        assert!(known(&asked(&lines), tag), "two lines are one list");
        assert!(!known(&asked(&[]), tag));
    }
}
