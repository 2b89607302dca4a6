//! The name of an entry: which representation of which resource it is, whoever asks.

use ring::digest::{Context, SHA256};

use super::path::ApiPath;

/// What is asked for. Everything that changes GitHub's bytes is here, except whose token it is.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The API's base as configured, in one spelling: `https://api.github.com`.
    pub upstream: &'a str,
    /// The path with its query.
    pub path: &'a ApiPath,
    /// In its canonical form: [`accept::canonical`](super::accept::canonical).
    pub accept: &'a str,
    /// `X-GitHub-Api-Version` as it will be sent; GitHub's `Vary` does not name it.
    pub version: &'a str,
    /// `Time-Zone` as it will be sent.
    pub time_zone: Option<&'a str>,
}

/// SHA-256 over what is asked for. GET and HEAD of the same have the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 32]);

/// Sets these hashes apart from others over similar bytes.
const PURPOSE: &[u8] = b"gatekeep api entry 1";

// === impl Key ===

impl Key {
    /// The key of what is asked for.
    pub fn of(asked: &Asked<'_>) -> Self {
        let mut hash = Context::new(&SHA256);
        asked.feed(|bytes| hash.update(bytes));
        let mut key = [0; 32];
        key.copy_from_slice(hash.finish().as_ref());
        Self(key)
    }

    /// Its bytes, for stores.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

// === impl Asked ===

impl Asked<'_> {
    /// Each field goes with its length before it, and what is not there differs from what is empty:
    /// no two requests give the same bytes.
    fn feed(&self, mut to: impl FnMut(&[u8])) {
        to(PURPOSE);
        let path = self.path.canonical();
        let fields = [Some(self.upstream), Some(&path), Some(self.accept), Some(self.version)];
        for field in fields.into_iter().chain([self.time_zone]) {
            to(&[u8::from(field.is_some())]);
            let text = field.unwrap_or_default();
            to(&(text.len() as u64).to_be_bytes());
            to(text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Upstream, path, accept, version, time zone.
    type Fields = (String, String, String, String, Option<String>);

    fn with<T>((upstream, path, accept, version, zone): &Fields, f: impl Fn(&Asked<'_>) -> T) -> T {
        let path = ApiPath::parse(path).unwrap();
        let time_zone = zone.as_deref();
        f(&Asked { upstream, path: &path, accept, version, time_zone })
    }

    fn input(fields: &Fields) -> Vec<u8> {
        with(fields, |asked| {
            let mut bytes = Vec::new();
            asked.feed(|part| bytes.extend_from_slice(part));
            bytes
        })
    }

    fn key(path: &str, accept: &str, version: &str, zone: Option<&str>) -> Key {
        let upstream = "https://api.github.com".to_owned();
        let zone = zone.map(str::to_owned);
        with(&(upstream, path.to_owned(), accept.to_owned(), version.to_owned(), zone), Key::of)
    }

    #[test]
    fn whatever_changes_the_bytes_changes_the_key() {
        let one = key("/user?a=%e9", "x", "2022-11-28", None);
        assert_eq!(one, key("/user?a=%E9", "x", "2022-11-28", None), "one URL, two spellings");
        for other in [
            key("/user?a=%e8", "x", "2022-11-28", None),
            key("/User?a=%e9", "x", "2022-11-28", None),
            key("/user", "x", "2022-11-28", None),
            key("/user?a=%e9", "y", "2022-11-28", None),
            key("/user?a=%e9", "x", "2026-03-10", None),
            key("/user?a=%e9", "x", "2022-11-28", Some("")),
            key("/user?a=%e9", "x", "2022-11-28", Some("Europe/Berlin")),
        ] {
            assert_ne!(one, other);
        }
        assert_ne!(key("/x?a=1&b=2", "", "", None), key("/x?b=2&a=1", "", "", None));
    }

    /// Few letters, so that different fields often make the same text together.
    fn fields() -> impl Strategy<Value = Fields> {
        let text = || "[ab\0\u{1}/]{0,3}";
        (text(), "/[ab]{0,3}(\\?[ab]{0,2})?", text(), text(), proptest::option::of(text()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn no_two_requests_give_the_same_bytes(a in fields(), b in fields()) {
            prop_assert_eq!(a == b, input(&a) == input(&b), "{:?} {:?}", a, b);
        }

        #[test]
        fn a_letter_that_moves_to_the_next_field_makes_other_bytes(a in fields()) {
            let mut b = a.clone();
            if let Some(letter) = b.2.pop() {
                b.3.insert(0, letter);
                prop_assert_ne!(input(&a), input(&b));
            }
        }
    }
}
