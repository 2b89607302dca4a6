//! Redirects of part of an app that may lead to the route's own origin alone.

/// What decides where they lead, and is watched. Names in any letter case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnRedirects {
    /// Parameters of the query.
    pub parameters: Vec<Box<str>>,
    /// Cookies.
    pub cookies: Vec<Box<str>>,
    /// Whether the app's own `Location` is watched, too.
    pub location: bool,
}
