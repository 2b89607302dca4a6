//! The `ETag`: comparing, reading a client's list, and GitHub's own formula (RFC 9110 §8.8.3 and
//! §13.1.2).

use std::fmt::Write as _;

use http::HeaderMap;
use http::header::{IF_NONE_MATCH, VARY};
use ring::digest::{Context, SHA256};

/// Which fields of a question go into the tag of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashed {
    /// `Accept`.
    pub accept: bool,
    /// `Authorization`.
    pub authorization: bool,
}

/// Whether two tags name the same, a `W/` before them aside: GitHub sends one tag with and without.
pub fn weakly_equal(a: &str, b: &str) -> bool {
    opaque(a) == opaque(b)
}

/// Whether the client has said that it holds what this tag names: one tag, a list in one or several
/// fields, or `*`. A list is read up to its first fault, so a broken one costs bytes and no truth.
pub fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let lists = headers.get_all(IF_NONE_MATCH).into_iter().filter_map(|list| list.to_str().ok());
    let mut lists = lists.map(|list| list.trim_matches([' ', '\t']));
    lists.any(|list| list == "*" || tags(list).any(|one| weakly_equal(one, tag)))
}

/// The tag that GitHub will give to this body when it is asked with these headers; without one of
/// them where GitHub's `Vary` does not name it or it is not sent. Found by users, not promised:
/// trust it for an entry only where [`formula_holds`].
pub fn computed(accept: Option<&str>, authorization: Option<&str>, body: &[u8]) -> String {
    let mut hash = Context::new(&SHA256);
    for value in [accept, authorization].into_iter().flatten() {
        hash.update(value.as_bytes());
        hash.update(b":");
    }
    hash.update(body);
    let mut tag = String::with_capacity(66);
    tag.push('"');
    for byte in hash.finish().as_ref() {
        write!(tag, "{byte:02x}").expect("a String takes whatever is written");
    }
    tag.push('"');
    tag
}

/// Whether GitHub made this tag by the formula. Only then may the body be offered to GitHub in
/// somebody else's name. A tag that is no SHA-256 says nothing of the body: the contents API
/// gives the id of the git object, and the JSON around it differs from one asker to another.
pub fn formula_holds(etag: &str, computed: &str) -> bool {
    is_sha256(opaque(etag)) && opaque(etag) == computed
}

// === impl Hashed ===

impl Default for Hashed {
    /// As for every token that GitHub knows today.
    fn default() -> Self {
        Self { accept: true, authorization: true }
    }
}

impl Hashed {
    /// What an answer's `Vary` names; `None` where it has none.
    pub fn named_by(headers: &HeaderMap) -> Option<Self> {
        headers.contains_key(VARY).then(|| {
            let lines = headers.get_all(VARY).into_iter().filter_map(|line| line.to_str().ok());
            let names: Vec<_> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
            let has =
                |name: &str| names.iter().any(|it| it.eq_ignore_ascii_case(name) || *it == "*");
            Self { accept: has("accept"), authorization: has("authorization") }
        })
    }

    /// [`computed`] over these fields alone.
    pub fn computed(self, accept: &str, authorization: &str, body: &[u8]) -> String {
        let accept = self.accept.then_some(accept);
        computed(accept, self.authorization.then_some(authorization), body)
    }
}

fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

fn is_sha256(tag: &str) -> bool {
    let digits = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or_default();
    digits.len() == 64 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The tags of a list up to the first fault. A tag may hold commas.
fn tags(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = list;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let quoted = opaque(rest).strip_prefix('"')?;
        let begins = rest.len() - quoted.len();
        let (tag, after) = rest.split_at(begins + quoted.find('"')? + 1);
        rest = after;
        let ends = after.trim_start_matches([' ', '\t']);
        (ends.is_empty() || ends.starts_with(',')).then_some(tag)
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const EMPTY_OBJECT: &str =
        "\"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\"";

    #[test]
    fn a_weak_tag_equals_its_strong_sister() {
        for (a, b, equal) in [
            ("\"a\"", "\"a\"", true),
            ("W/\"a\"", "\"a\"", true),
            ("W/\"a\"", "W/\"a\"", true),
            ("\"a\"", "\"b\"", false),
            ("w/\"a\"", "\"a\"", false),
            ("a", "\"a\"", false),
            ("W/W/\"a\"", "\"a\"", false),
        ] {
            assert_eq!(weakly_equal(a, b), equal, "{a} {b}");
        }
    }

    fn known(lists: &[&str], tag: &str) -> bool {
        let fields = lists.iter().map(|list| (IF_NONE_MATCH, HeaderValue::from_str(list).unwrap()));
        is_known(&fields.collect(), tag)
    }

    #[test]
    fn a_client_names_one_a_list_or_all() {
        for (list, fine) in [
            ("\"aa\"", true),
            ("W/\"aa\"", true),
            ("\"bb\", \"aa\"", true),
            ("\"bb\",W/\"aa\"", true),
            (" ,, \"bb\" ,\t\"aa\" ,", true),
            ("\"b,b\", \"aa\"", true),
            ("*", true),
            (" * ", true),
            ("", false),
            ("aa", false),
            ("\"bb\"", false),
            ("\"aa", false),
            ("\"x, \"aa\"", false),
            ("w/\"aa\"", false),
            ("\"bb\" \"aa\"", false),
            ("*, \"bb\"", false),
            ("aa, \"aa\"", false),
        ] {
            assert_eq!(known(&[list], "\"aa\""), fine, "{list}");
        }
        assert!(known(&["\"b,aa\""], "W/\"b,aa\""), "a comma belongs to the tag");
        assert!(!known(&["\"b,aa\""], "\"aa\""));
        assert!(known(&["\"bb\"", "\"aa\""], "\"aa\""), "two fields are one list");
        assert!(!known(&[], "\"aa\""));
    }

    #[test]
    fn the_formula_is_sha256_over_headers_and_body() {
        assert_eq!(computed(None, None, b"{}"), EMPTY_OBJECT);
        let plain = |text: &str| computed(None, None, text.as_bytes());
        assert_eq!(computed(Some("*/*"), Some("Bearer a"), b"[]"), plain("*/*:Bearer a:[]"));
        assert_eq!(computed(Some("*/*"), None, b"[]"), plain("*/*:[]"));
        assert_eq!(computed(None, Some("Bearer a"), b"[]"), plain("Bearer a:[]"));
        assert_ne!(
            computed(Some("x"), Some("Bearer a"), b""),
            computed(Some("x"), Some("Bearer b"), b"")
        );
    }

    #[test]
    fn vary_names_what_goes_into_the_tag() {
        let named = |lines: &[&'static str]| {
            let fields = lines.iter().map(|line| (VARY, HeaderValue::from_static(line)));
            Hashed::named_by(&fields.collect()).map(|it| (it.accept, it.authorization))
        };
        let second = "Accept-Encoding, Accept, X-Requested-With";
        assert_eq!(named(&[]), None);
        assert_eq!(named(&["Accept, Authorization, Cookie, X-GitHub-OTP"]), Some((true, true)));
        assert_eq!(named(&["Accept", second]), Some((true, false)));
        assert_eq!(named(&["Cookie", "accept-encoding,\tauthorization"]), Some((false, true)));
        assert_eq!(named(&["X-GitHub-OTP"]), Some((false, false)));
        assert_eq!(named(&["*"]), Some((true, true)));
        let hashed = Hashed { accept: true, authorization: false };
        assert_eq!(hashed.computed("*/*", "Bearer a", b"[]"), computed(Some("*/*"), None, b"[]"));
        let all = Hashed::default().computed("*/*", "Bearer a", b"[]");
        assert_eq!(all, computed(Some("*/*"), Some("Bearer a"), b"[]"));
    }

    #[test]
    fn only_a_tag_of_64_digits_can_prove_the_formula() {
        assert!(formula_holds(EMPTY_OBJECT, EMPTY_OBJECT));
        assert!(formula_holds(&format!("W/{EMPTY_OBJECT}"), EMPTY_OBJECT));
        let other = computed(None, None, b"[]");
        assert!(!formula_holds(&other, EMPTY_OBJECT));
        assert!(!formula_holds(&EMPTY_OBJECT.to_uppercase(), EMPTY_OBJECT));
        let object_id = "\"93a078d1b3a2d3c0a7d5d0a9c1d8c3b6a3f0e1d2\"";
        for tag in ["", "\"\"", "44136fa355b3678a", object_id, &EMPTY_OBJECT.replace('"', "")] {
            assert!(!formula_holds(tag, tag), "{tag}");
        }
    }
}
