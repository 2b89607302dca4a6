//! `Cache-Status` (RFC 9211): what the cache did with a request, told to the client.

use std::fmt;

use http::StatusCode;
use http::header::HeaderValue;

/// What the cache did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheStatus {
    /// Where the answer comes from.
    pub source: Source,
    /// For how many seconds more the answer is fresh; below zero it is stale.
    pub ttl: Option<i64>,
    /// The reason, in a word of ours.
    pub detail: Option<&'static str>,
}

/// Where an answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From what was kept; nothing was forwarded.
    Hit,
    /// From GitHub, if only for its word that nothing changed.
    Forwarded(Forwarded),
    /// From the gateway alone: neither kept nor forwarded.
    Gateway,
}

/// How a request went to GitHub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// Why it went there.
    pub why: Why,
    /// What GitHub answered.
    pub status: Option<StatusCode>,
    /// Whether the answer is kept.
    pub stored: bool,
    /// Whether another request was already under way, and its answer served this one too.
    pub collapsed: bool,
}

/// Why a request goes to GitHub (RFC 9211 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// This kind of request is never answered from what is kept.
    Bypass,
    /// Its method asks for that.
    Method,
    /// Nothing is kept for the URL.
    UriMiss,
    /// Something is kept, in another representation.
    VaryMiss,
    /// The client asks for that.
    Request,
    /// What is kept must be confirmed.
    Stale,
}

/// Integers of structured fields have fifteen digits (RFC 8941 §3.3.1).
const LARGEST: i64 = 999_999_999_999_999;

// === impl CacheStatus ===

impl CacheStatus {
    /// The field's value.
    pub fn value(&self) -> HeaderValue {
        HeaderValue::from_str(&self.to_string()).expect("it is printable ASCII")
    }
}

impl fmt::Display for CacheStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("gatekeep")?;
        match &self.source {
            Source::Hit => f.write_str("; hit")?,
            Source::Forwarded(forwarded) => forwarded.fmt(f)?,
            Source::Gateway => {}
        }
        if let Some(ttl) = self.ttl {
            write!(f, "; ttl={}", ttl.clamp(-LARGEST, LARGEST))?;
        }
        match self.detail {
            Some(word) if is_token(word) => write!(f, "; detail={word}"),
            Some(text) => write!(f, "; detail={}", quoted(text)),
            None => Ok(()),
        }
    }
}

/// A token of structured fields (RFC 8941 §3.3.4).
fn is_token(word: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&b);
    word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '*')
        && word.bytes().all(inner)
}

/// A string of structured fields (RFC 8941 §3.3.3); what it cannot hold is left out.
fn quoted(text: &str) -> String {
    let printable: String = text.chars().filter(|c| matches!(c, ' '..='~')).collect();
    format!("\"{}\"", printable.replace('\\', "\\\\").replace('"', "\\\""))
}

// === impl Forwarded ===

impl fmt::Display for Forwarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "; fwd={}", self.why.word())?;
        if let Some(status) = self.status {
            write!(f, "; fwd-status={}", status.as_u16())?;
        }
        f.write_str(if self.stored { "; stored" } else { "" })?;
        f.write_str(if self.collapsed { "; collapsed" } else { "" })
    }
}

// === impl Why ===

impl Why {
    /// The registered word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Request => "request",
            Self::Stale => "stale",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded(why: Why, status: Option<u16>) -> Forwarded {
        let status = status.map(|status| StatusCode::from_u16(status).unwrap());
        Forwarded { why, status, stored: false, collapsed: false }
    }

    #[test]
    fn every_answer_has_its_account() {
        let miss = forwarded(Why::UriMiss, Some(200));
        for (source, ttl, detail, written) in [
            (Source::Hit, Some(30), None, "gatekeep; hit; ttl=30"),
            (Source::Hit, Some(-5), Some("outage"), "gatekeep; hit; ttl=-5; detail=outage"),
            (Source::Hit, Some(i64::MIN), None, "gatekeep; hit; ttl=-999999999999999"),
            (
                Source::Forwarded(forwarded(Why::Stale, Some(304))),
                None,
                Some("cross-principal"),
                "gatekeep; fwd=stale; fwd-status=304; detail=cross-principal",
            ),
            (
                Source::Forwarded(Forwarded { stored: true, ..miss }),
                Some(60),
                None,
                "gatekeep; fwd=uri-miss; fwd-status=200; stored; ttl=60",
            ),
            (
                Source::Forwarded(Forwarded { collapsed: true, ..miss }),
                None,
                None,
                "gatekeep; fwd=uri-miss; fwd-status=200; collapsed",
            ),
            (Source::Forwarded(forwarded(Why::Method, None)), None, None, "gatekeep; fwd=method"),
            (Source::Gateway, None, Some("refused"), "gatekeep; detail=refused"),
        ] {
            assert_eq!(CacheStatus { source, ttl, detail }.value(), written);
        }
    }

    #[test]
    fn a_detail_is_a_token_or_a_string() {
        for (detail, written) in [
            ("stale-if-error", "stale-if-error"),
            ("*", "*"),
            ("two words", r#""two words""#),
            ("1st", r#""1st""#),
            ("", r#""""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("a\r\nb\u{e9}", r#""ab""#),
        ] {
            let status = CacheStatus { source: Source::Gateway, ttl: None, detail: Some(detail) };
            assert_eq!(status.to_string(), format!("gatekeep; detail={written}"));
        }
    }

    #[test]
    fn the_reasons_are_the_registered_ones() {
        let all = [Why::Bypass, Why::Method, Why::UriMiss, Why::VaryMiss, Why::Request, Why::Stale];
        let words = ["bypass", "method", "uri-miss", "vary-miss", "request", "stale"];
        assert_eq!(all.map(Why::word), words);
    }
}
