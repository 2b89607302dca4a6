//! The token of an instance's server: by it that one asks here on behalf of one visitor.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::secret::Secret;

/// 256 random bits behind `gkc_`. The store knows their HMAC alone.
#[derive(Clone)]
pub struct InstanceToken(Secret<[u8; 32]>);

/// How every such token begins: unlike an API key, for it opens no route.
const PREFIX: &str = "gkc_";

/// The characters after the prefix: 256 bits in base64url.
const TEXT: usize = 43;

// === impl InstanceToken ===

impl InstanceToken {
    /// Takes 32 bytes that nobody can guess.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// Reads a token: the prefix and 43 characters of unpadded base64url, nothing else.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = text.strip_prefix(PREFIX.as_bytes()).filter(|text| text.len() == TEXT)?;
        let mut bytes = [0; 32];
        let written = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        (written == bytes.len()).then(|| Self::new(bytes))
    }

    /// The token that a request shows, in its one `Authorization: Bearer` (RFC 6750 §2.1).
    pub fn shown(headers: &HeaderMap) -> Option<Self> {
        Self::parse(bearer(headers)?)
    }

    /// What the instance's server is told.
    pub fn to_text(&self) -> Secret<String> {
        Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0.expose())))
    }

    /// The bytes, to be hashed.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

impl fmt::Debug for InstanceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InstanceToken([redacted])")
    }
}

/// The one bearer token of a request.
pub fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return None };
    let (scheme, rest) = field.as_bytes().split_at_checked("bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_token_is_its_prefix_and_43_characters_and_stands_alone() {
        let text = InstanceToken::new([7; 32]).to_text().expose().clone();
        assert_eq!((text.len(), &text[..4]), (47, "gkc_"));
        let shown = |fields: &[&str]| {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(AUTHORIZATION, HeaderValue::from_str(field).unwrap());
            }
            InstanceToken::shown(&headers).map(|token| *token.expose())
        };
        for field in [format!("Bearer {text}"), format!("bearer  {text} ")] {
            assert_eq!(shown(&[&field]), Some([7; 32]), "{field}");
        }
        let good = format!("Bearer {text}");
        for field in [
            text.clone(),
            format!("Bearer {}", &text[4..]),
            format!("Bearer gk_{}", &text[4..]),
            format!("Bearer {text}x"),
            format!("Token {text}"),
            "Bearer ".to_owned(),
            String::new(),
        ] {
            assert_eq!(shown(&[&field]), None, "{field}");
        }
        assert_eq!((shown(&[]), shown(&[&good, &good])), (None, None));
        assert_eq!(format!("{:?}", InstanceToken::new([7; 32])), "InstanceToken([redacted])");
    }
}
