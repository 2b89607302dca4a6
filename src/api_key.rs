//! API keys: how a program that keeps no cookies says on whose behalf it asks, and how a request
//! presents one.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// What a program holds: 256 random bits behind [`PREFIX`]. The store knows their HMAC alone.
#[derive(Clone)]
pub struct ApiKey(Secret<[u8; 32]>);

/// What its owner said of a key when it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The name that its owner knows it by.
    pub name: String,
    /// The names of the routes that it opens.
    pub routes: Vec<Box<str>>,
    /// The instance of the broker's that has it, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Box<str>>,
}

/// What a request presents.
#[derive(Debug)]
pub enum Presented {
    /// No key: whatever `Authorization` holds is the app's own.
    Nothing,
    /// This key.
    Key(ApiKey),
    /// Something that claims to be a key and is none, or a key beside another `Authorization`.
    Nonsense,
}

/// How every key begins, so that people, and tools that look for leaked secrets, recognise it.
pub const PREFIX: &str = "gk_";

/// The characters after the prefix: 256 bits in base64url.
const TEXT: usize = 43;

/// Base64 as any server may read it, so that none finds a key where we saw none.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

// === impl ApiKey ===

impl ApiKey {
    /// Takes 32 bytes of the system's random source.
    pub fn new(random: [u8; 32]) -> Self {
        Self(Secret::new(random))
    }

    /// Reads a key: the prefix and 43 characters of unpadded base64url, nothing else.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = text.strip_prefix(PREFIX.as_bytes()).filter(|text| text.len() == TEXT)?;
        let mut bytes = [0; 32];
        let written = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        (written == bytes.len()).then(|| Self::new(bytes))
    }

    /// What its owner is shown, once.
    pub fn to_text(&self) -> Secret<String> {
        Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0.expose())))
    }

    /// The bytes, to be hashed.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey([redacted])")
    }
}

// === impl Terms ===

impl Terms {
    /// Whether the key opens a route.
    pub fn opens(&self, route: &str) -> bool {
        self.routes.iter().any(|named| **named == *route)
    }

    /// Bytes of memory, about.
    pub fn bytes(&self) -> usize {
        let names: usize = self.routes.iter().map(|name| size_of::<Box<str>>() + name.len()).sum();
        size_of::<Self>() + self.name.len() + names
    }
}

// === impl Presented ===

impl Presented {
    /// Reads every `Authorization` field (RFC 9110 §11.6.2). A request without one pays a look-up.
    pub fn by(headers: &HeaderMap) -> Self {
        let mut fields = headers.get_all(AUTHORIZATION).iter();
        let (Some(first), rest) = (fields.next(), fields) else { return Self::Nothing };
        let first = Self::in_field(first);
        let mut rest = rest.map(Self::in_field).peekable();
        if rest.peek().is_none() {
            return first;
        }
        // Which of several counts would depend on who reads them.
        let is_ours = first.is_some() || rest.any(|field| field.is_some());
        if is_ours { Self::Nonsense } else { Self::Nothing }
    }

    /// Whether there is anything that no app may see.
    pub fn is_some(&self) -> bool {
        !matches!(self, Self::Nothing)
    }

    /// A scheme in any letter case, spaces, credentials: `Bearer` (RFC 6750), GitHub's `token`, and
    /// `Basic` (RFC 7617) with the key as the password.
    fn in_field(field: &HeaderValue) -> Self {
        let field = field.as_bytes().trim_ascii();
        let end = field.iter().position(u8::is_ascii_whitespace).unwrap_or(field.len());
        let (scheme, credentials) = (&field[..end], field[end..].trim_ascii());
        let is = |name: &str| scheme.eq_ignore_ascii_case(name.as_bytes());
        if is("bearer") || is("token") {
            Self::claimed(credentials)
        } else if is("basic") {
            Self::in_basic(credentials)
        } else if [scheme, credentials].iter().any(|part| part.starts_with(PREFIX.as_bytes())) {
            Self::Nonsense
        } else {
            Self::Nothing
        }
    }

    fn in_basic(credentials: &[u8]) -> Self {
        let Ok(plain) = LENIENT.decode(credentials).map(Secret::new) else { return Self::Nothing };
        let mut parts = plain.expose().splitn(2, |byte| *byte == b':');
        let (user, password) = (parts.next().unwrap_or_default(), parts.next());
        if ApiKey::parse(user).is_some() {
            // Some put tokens there. An app's users may be called `gk_` and more, so only a whole
            // key counts as one that went astray.
            return Self::Nonsense;
        }
        password.map_or(Self::Nothing, Self::claimed)
    }

    /// Credentials that begin like a key are one, or nothing at all.
    fn claimed(credentials: &[u8]) -> Self {
        if !credentials.starts_with(PREFIX.as_bytes()) {
            return Self::Nothing;
        }
        ApiKey::parse(credentials).map_or(Self::Nonsense, Self::Key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

    fn key() -> String {
        ApiKey::new([7; 32]).to_text().expose().clone()
    }

    fn presented(fields: &[&str]) -> &'static str {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(AUTHORIZATION, HeaderValue::from_str(field).unwrap());
        }
        match Presented::by(&headers) {
            Presented::Nothing => "nothing",
            Presented::Key(key) if *key.expose() == [7; 32] => "the key",
            Presented::Key(_) => "another key",
            Presented::Nonsense => "nonsense",
        }
    }

    fn basic(user: &str, password: &str) -> String {
        format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
    }

    #[test]
    fn a_key_is_its_prefix_and_43_characters_and_reads_back() {
        let text = key();
        assert_eq!((text.len(), &text[..3]), (46, "gk_"));
        assert_eq!(ApiKey::parse(text.as_bytes()).unwrap().expose(), &[7; 32]);
        let spare = format!("{}d", &text[..45]);
        for bad in ["", "gk_", &text[1..], &text[3..], &text[..45], &format!("{text}="), &spare] {
            assert!(ApiKey::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", ApiKey::new([7; 32])), "ApiKey([redacted])");
    }

    #[test]
    fn a_key_is_presented_in_three_ways() {
        let key = key();
        for field in [
            format!("Bearer {key}"),
            format!("bearer {key}"),
            format!("BEARER   {key}  "),
            format!("token {key}"),
            format!("Token\t{key}"),
            basic("octocat", &key),
            basic("", &key),
            basic("octocat", &key).replace("Basic", "bASIC"),
            format!("Basic {}", STANDARD_NO_PAD.encode(format!("octocat:{key}"))),
        ] {
            assert_eq!(presented(&[&field]), "the key", "{field}");
        }
    }

    #[test]
    fn what_claims_to_be_a_key_and_is_none_is_refused() {
        let key = key();
        for field in [
            "Bearer gk_".to_owned(),
            format!("Bearer {}", &key[..45]),
            format!("Bearer {key}x"),
            format!("Bearer {key}, Bearer x"),
            format!("token {key} x"),
            basic("octocat", "gk_guess"),
            basic(&key, ""),
            basic(&key, "x-oauth-basic"),
            key.clone(),
            format!("Digest {key}"),
        ] {
            assert_eq!(presented(&[&field]), "nonsense", "{field}");
        }
    }

    #[test]
    fn a_key_stands_alone() {
        let (key, other) = (format!("Bearer {}", key()), "Bearer of-the-app");
        assert_eq!(presented(&[&key, &key]), "nonsense");
        assert_eq!(presented(&[&key, other]), "nonsense");
        assert_eq!(presented(&[other, &key]), "nonsense");
        assert_eq!(presented(&[&key, ""]), "nonsense");
        assert_eq!(presented(&[other, other]), "nothing", "that is the app's business");
    }

    #[test]
    fn what_is_the_apps_own_stays_so() {
        assert_eq!(presented(&[]), "nothing");
        for field in [
            "",
            "Bearer",
            "Bearer ghp_0123456789",
            "Bearer eyJhbGciOiJIUzI1NiJ9.gk_.x",
            "Bearer GK_0123",
            "token ghp_0123456789",
            "Basic !",
            "Basic Z2tf",
            &basic("gk_smith", "hunter2"),
            &basic("octocat", "hunter2"),
            "Negotiate YII",
        ] {
            assert_eq!(presented(&[field]), "nothing", "{field}");
        }
    }

    #[test]
    fn a_key_opens_what_it_names() {
        let terms =
            Terms { name: "ci".into(), routes: vec!["app".into(), "wiki".into()], instance: None };
        let opened = ["app", "wiki", "App", "ap", "app2", ""].map(|route| terms.opens(route));
        assert_eq!(opened, [true, true, false, false, false, false]);
    }
}
