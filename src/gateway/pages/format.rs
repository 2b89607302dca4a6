//! How a page is written down: what `Accept` asks for (RFC 9110 §12.5.1).

use http::{HeaderMap, header};

/// How a page is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Format {
    /// For browsers.
    Html,
    /// For programs.
    Json,
    /// For everyone else, such as `curl`.
    Text,
}

// === impl Format ===

impl Format {
    /// What the request's `Accept` asks for, by name: HTML for browsers, JSON for whoever asks
    /// for JSON, text for whoever asks for text, for anything (`*/*`), or not at all.
    ///
    /// Of formats wanted alike, HTML goes before JSON and JSON before text.
    pub(in crate::gateway) fn of(headers: &HeaderMap) -> Self {
        Self::or(Self::Text, headers)
    }

    /// The same, and what stands for anything or nothing where no format is asked for by name.
    pub(in crate::gateway) fn or(usual: Self, headers: &HeaderMap) -> Self {
        let mut best = (0.0, usual);
        for (quality, format) in accepted(headers) {
            let tied_and_first = quality >= best.0 && format.rank() < best.1.rank();
            if quality > best.0 || (quality > 0.0 && tied_and_first) {
                best = (quality, format);
            }
        }
        best.1
    }

    /// The format that a media range names.
    fn named(range: &str) -> Option<Self> {
        match range {
            "text/html" | "application/xhtml+xml" => Some(Self::Html),
            "application/json" | "application/*" => Some(Self::Json),
            "text/plain" | "text/*" => Some(Self::Text),
            other => other.ends_with("+json").then_some(Self::Json),
        }
    }

    const fn rank(self) -> u8 {
        match self {
            Self::Html => 0,
            Self::Json => 1,
            Self::Text => 2,
        }
    }

    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
            Self::Text => "text/plain; charset=utf-8",
        }
    }
}

/// The formats that `Accept` names, each with its quality.
fn accepted(headers: &HeaderMap) -> impl Iterator<Item = (f32, Format)> {
    let values = headers.get_all(header::ACCEPT).into_iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).filter_map(
        |range| {
            let mut parts = range.split(';').map(str::trim);
            let format = Format::named(&parts.next()?.to_ascii_lowercase())?;
            Some((quality(parts), format))
        },
    )
}

/// The `q` among a media range's parameters: 1 if there is none, 0 if it makes no sense.
fn quality<'a>(mut parameters: impl Iterator<Item = &'a str>) -> f32 {
    let q = parameters.find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q=")));
    q.map_or(1.0, |q| q.parse().ok().filter(|q| (0.0..=1.0).contains(q)).unwrap_or(0.0))
}
