//! Paths and methods: what requests are compared with.

use http::Method;

use super::super::report::Fault;
use super::super::suggest::nearest;
use super::{PlainPath, Scalar, not};
use crate::target::Target;

impl Scalar for PlainPath {
    const WHAT: &'static str = "a path such as `/admin`";

    fn parse(text: &str) -> Result<Self, Fault> {
        if !text.starts_with('/') {
            let fault = not(text, "a path");
            return Err(if text.contains("://") {
                fault.help("write what follows the host, from its `/` on")
            } else {
                fault.suggest(Some(&format!("/{text}")))
            });
        }
        let host = std::iter::once(&b"host"[..]);
        let target = Target::parse(text.as_bytes(), host, None).map_err(|why| {
            Fault::new(format!("`{text}` would match no request: {why}"))
                .note("a path is plain: single slashes, no dot segments, no spaces")
        })?;
        if let Some(query) = target.query() {
            let path = text.strip_suffix(query).unwrap_or(text).trim_end_matches('?');
            return Err(
                Fault::new("routes are found by path alone, without a query").suggest(Some(path))
            );
        }
        if target.is_loose() {
            return Err(Fault::new(format!("`{text}` holds an encoded slash or a `;`"))
                .note("such paths can be read in two ways, so nothing is decided by them"));
        }
        if !target.is_verbatim() {
            let fault = Fault::new(format!("`{text}` would match no request"));
            return Err(fault
                .suggest(Some(target.path()))
                .note("requests are compared in this form"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Scalar for Method {
    const WHAT: &'static str = "a method such as `GET`";

    fn parse(text: &str) -> Result<Self, Fault> {
        let upper = text.to_ascii_uppercase();
        if matches!(upper.as_str(), "CONNECT" | "TRACE") {
            return Err(
                Fault::new(format!("the gateway never forwards `{upper}`")).help("leave it out")
            );
        }
        let near = nearest(text, KNOWN_METHODS).filter(|near| *near != text);
        let letters = |b: u8| b.is_ascii_uppercase() || b == b'-';
        if text.is_empty() || !text.bytes().all(letters) {
            let meant = near.or_else(|| upper.bytes().all(letters).then_some(&*upper));
            return Err(not(text, "a method").suggest(meant.filter(|meant| !meant.is_empty())));
        }
        // `GETS` is a slip; `PROPFIND` and `REPORT` are methods.
        if near.is_some_and(|near| strsim::damerau_levenshtein(near, text) == 1) {
            return Err(not(text, "a method that is known").suggest(near));
        }
        Self::from_bytes(text.as_bytes()).map_err(|_| not(text, "a method"))
    }
}

const KNOWN_METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_of_webdav_are_taken_and_slips_are_not() {
        for good in ["GET", "PROPFIND", "REPORT", "M-SEARCH"] {
            assert!(Method::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "get", "GETS", "PSOT", "TRACE", "connect", "A B"] {
            assert!(Method::parse(bad).is_err(), "{bad}");
        }
    }
}
