//! GitHub's own URLs, turned towards the gateway: in `Link`, in `Location`, and in JSON.
//!
//! Only what begins with the exact address of the API or of the uploads is turned, and only where
//! the address ends there: `https://api.github.com.evil.example/` is somebody else's. Queries stay
//! byte for byte, as do links to other hosts.

use std::borrow::Cow;

use super::placement::Addresses;

mod body;
mod json;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use body::{Media, body};

/// GitHub's addresses, and what the client knows instead of them.
#[derive(Clone, Debug)]
pub struct Bases {
    /// The longer address first, for one may begin with another.
    swaps: Vec<Swap>,
    api: String,
}

#[derive(Clone, Debug)]
struct Swap {
    upstream: String,
    public: String,
    /// The same, as a JSON string holds it.
    escaped: String,
}

// === impl Bases ===

impl Bases {
    /// Turns the API and the uploads of `upstream` into those of `public`.
    pub fn new(upstream: &Addresses, public: &Addresses) -> Self {
        let mut swaps = vec![
            Swap::new(&upstream.api, &public.api),
            Swap::new(&upstream.uploads, &public.uploads),
        ];
        swaps.sort_by_key(|swap| std::cmp::Reverse(swap.upstream.len()));
        Self { swaps, api: public.api.clone() }
    }

    /// The address of the API that the client knows.
    pub fn public(&self) -> &str {
        &self.api
    }

    /// The URL as the client should see it; `None` where it is none of GitHub's API.
    fn turned(&self, url: &str) -> Option<String> {
        self.swaps.iter().find_map(|swap| {
            let rest = url.strip_prefix(&swap.upstream)?;
            ends_there(rest.bytes().next()).then(|| format!("{}{rest}", swap.public))
        })
    }
}

// === impl Swap ===

impl Swap {
    fn new(upstream: &str, public: &str) -> Self {
        let quoted = serde_json::Value::from(public).to_string();
        let escaped = quoted[1..quoted.len() - 1].to_owned();
        Self { upstream: upstream.to_owned(), public: public.to_owned(), escaped }
    }
}

/// Whether an address ends before this byte: at a path, a template (RFC 6570) or a query.
fn ends_there(next: Option<u8>) -> bool {
    matches!(next, None | Some(b'/' | b'{' | b'?'))
}

/// Turns the targets of a `Link` field (RFC 8288); its parameters stay.
pub fn link<'l>(field: &'l str, bases: &Bases) -> Cow<'l, str> {
    let (mut out, mut rest, mut is_turned) = (String::new(), field, false);
    while let Some((before, target, after)) = next_target(rest) {
        let turned = bases.turned(target);
        is_turned |= turned.is_some();
        out.push_str(before);
        out.push_str(turned.as_deref().unwrap_or(target));
        rest = after;
    }
    if !is_turned {
        return Cow::Borrowed(field);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Splits at the next target: what stands before it with its `<`, the target, and what follows from
/// its `>` on. A `<` in a quoted parameter begins none.
fn next_target(field: &str) -> Option<(&str, &str, &str)> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let opens = field.bytes().position(|byte| {
        if is_escaped {
            is_escaped = false;
            return false;
        }
        is_escaped = is_quoted && byte == b'\\';
        is_quoted ^= byte == b'"';
        byte == b'<' && !is_quoted
    })?;
    let (before, rest) = field.split_at(opens + 1);
    let (target, after) = rest.split_at(rest.find('>')?);
    Some((before, target, after))
}

/// Turns a `Location`; one that leads elsewhere passes as it is, for the client to follow without
/// any credential of ours.
pub fn location<'l>(field: &'l str, bases: &Bases) -> Cow<'l, str> {
    bases.turned(field).map_or(Cow::Borrowed(field), Cow::Owned)
}
