//! A rule as an operator writes it: `GET /repos/*/*/issues/**`.

use std::fmt;
use std::str::FromStr;

use http::Method;

use super::reading::Reading;

/// A method and a template of paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `None` is every method.
    method: Option<Method>,
    /// In lower case.
    template: Box<str>,
    /// As it was written.
    text: Box<str>,
}

/// Why a text is no rule. `Display` is a sentence for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Not two words.
    #[error("`{0}` is no rule: write a method and a path, as in `GET /repos/**` or `* /user`")]
    Form(String),
    /// None that the API knows.
    #[error(
        "`{0}` is no method: write GET, HEAD, POST, PUT, PATCH or DELETE, or `*` for all of them"
    )]
    Method(String),
    /// Without its first slash.
    #[error("`{0}` is no path of the API: begin it with `/`, as in `/repos/**`")]
    Slash(String),
    /// What no path that is judged ever holds.
    #[error(
        "`{0}` fits nothing: leave out empty segments, `.`, `..`, and the characters `%`, `?`, `#`, `;` and `\\`"
    )]
    Never(String),
    /// A wildcard in another place than those known.
    #[error(
        "`{0}` has a wildcard that means nothing: `*` or `{{name}}` is one segment, `word*` one that begins so, and `**` stands once, for any number of segments"
    )]
    Wildcard(String),
}

const METHODS: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

// === impl Rule ===

impl Rule {
    /// Whether the call could be one that the rule means.
    pub(super) fn denies(&self, method: &Method, readings: &[Reading]) -> bool {
        self.takes(method) && readings.iter().any(|path| path.may_fit(&self.template))
    }

    /// Whether the call is one that the rule means, however its path is read.
    pub(super) fn allows(&self, method: &Method, readings: &[Reading]) -> bool {
        self.takes(method) && readings.iter().all(|path| path.surely_fits(&self.template))
    }

    /// Whether it is about GraphQL and nothing else.
    pub(super) fn names_graphql(&self) -> bool {
        &*self.template == "/graphql"
    }

    /// A rule for GET is a rule for HEAD (RFC 9110 §9.3.2).
    fn takes(&self, method: &Method) -> bool {
        self.method
            .as_ref()
            .is_none_or(|own| own == method || (own == Method::GET && method == Method::HEAD))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let mut words = text.split_whitespace();
        let (Some(method), Some(path), None) = (words.next(), words.next(), words.next()) else {
            return Err(RuleError::Form(text.to_owned()));
        };
        check(path)?;
        let template = path.to_ascii_lowercase().into();
        Ok(Self { method: read_method(method)?, template, text: text.into() })
    }
}

fn read_method(word: &str) -> Result<Option<Method>, RuleError> {
    if word == "*" {
        return Ok(None);
    }
    let known = METHODS.into_iter().find(|method| method == word);
    known.map(Some).ok_or_else(|| RuleError::Method(word.to_owned()))
}

fn check(path: &str) -> Result<(), RuleError> {
    let rest = path.strip_prefix('/').ok_or_else(|| RuleError::Slash(path.to_owned()))?;
    let segments: Vec<_> = rest.split('/').collect();
    if segments.iter().any(|segment| never_is(segment)) {
        return Err(RuleError::Never(path.to_owned()));
    }
    let deep = segments.iter().filter(|segment| **segment == "**").count();
    if deep > 1 || !segments.iter().all(|segment| has_meaning(segment)) {
        return Err(RuleError::Wildcard(path.to_owned()));
    }
    Ok(())
}

fn never_is(segment: &str) -> bool {
    matches!(segment, "" | "." | "..") || segment.contains(['%', '?', '#', ';', '\\'])
}

fn has_meaning(segment: &str) -> bool {
    let is_word = |word: &str| !word.contains(['*', '{', '}']);
    let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    match name {
        Some(name) => !name.is_empty() && is_word(name),
        None => segment == "**" || is_word(segment.strip_suffix('*').unwrap_or(segment)),
    }
}
