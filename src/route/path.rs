//! Hosts and paths as a configuration writes them.

use std::fmt;

/// `notes.example.com`, or `*.example.com` for exactly one label more, with the port that browsers
/// use for it when it is not the scheme's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPattern {
    /// The host in canonical form, or what follows `*.`.
    pub name: Box<str>,
    /// Whether one more label stands before the name.
    pub wildcard: bool,
    /// The public port, where the configuration names one.
    pub port: Option<u16>,
}

/// A path and everything below it, by whole segments: `/api` covers `/api` and `/api/x`, never
/// `/apix`. Stored without a slash at the end; the root is empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PathPrefix(Box<str>);

/// `/healthz` is that path alone; `/share/*` is everything below `/share/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPattern {
    /// This path and no other.
    Exact(Box<str>),
    /// Whatever begins with this path, which ends in a slash.
    Below(Box<str>),
}

/// A path as the least careful server would name the file: each segment cut at an encoded `;`, `?`
/// or `#`, without dots and spaces at its end. `None` when that changes nothing.
pub(super) fn plainest(path: &str) -> Option<String> {
    if !path.contains('%') && !path.ends_with('.') && !path.contains("./") {
        return None;
    }
    let plain = |segment: &str| {
        let cuts = ["%3B", "%3F", "%23"];
        let end = cuts.iter().filter_map(|cut| segment.find(cut)).min().unwrap_or(segment.len());
        let mut rest = &segment[..end];
        while let Some(shorter) = rest.strip_suffix('.').or_else(|| rest.strip_suffix("%20")) {
            rest = shorter;
        }
        rest.to_owned()
    };
    let plainest = path.split('/').map(plain).collect::<Vec<_>>().join("/");
    (plainest != path).then_some(plainest)
}

// === impl PathPrefix, PathPattern, HostPattern ===

impl PathPrefix {
    /// Makes a prefix of a canonical path.
    pub fn new(path: &str) -> Self {
        Self(path.trim_end_matches('/').into())
    }

    /// Without a slash at the end; the root is empty.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a path is this one or below it.
    pub fn covers(&self, path: &str) -> bool {
        path.strip_prefix(&*self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The same for a server that does not regard case.
    pub(super) fn covers_without_case(&self, path: &str) -> bool {
        path.get(..self.0.len()).is_some_and(|start| start.eq_ignore_ascii_case(&self.0))
            && path[self.0.len()..].bytes().next().is_none_or(|b| b == b'/')
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.0)
    }
}

impl PathPattern {
    /// Reads a canonical path, with `/*` at its end for everything below.
    pub fn new(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(start) if start.ends_with('/') => Self::Below(start.into()),
            _ => Self::Exact(text.into()),
        }
    }

    /// Whether a path fits; in the very case.
    pub fn fits(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == &**exact,
            Self::Below(start) => path.starts_with(&**start),
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => f.write_str(path),
            Self::Below(start) => write!(f, "{start}*"),
        }
    }
}

impl HostPattern {
    /// Whether a canonical host fits.
    pub fn fits(&self, host: &str) -> bool {
        if self.wildcard {
            host.split_once('.').is_some_and(|(_, parent)| parent == &*self.name)
        } else {
            host == &*self.name
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.wildcard { "*." } else { "" }, self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}
