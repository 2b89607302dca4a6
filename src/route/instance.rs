//! An app that has users of its own and takes them from the gateway: a Trackeep instance.

use std::fmt;

/// How a visitor of the gateway becomes a user of the instance behind a route.
#[derive(Debug)]
pub struct InstanceSignIn {
    /// The broker's name for the instance.
    pub instance: Box<str>,
    /// Who fetches the instance's token, and who keeps it.
    pub by: SignInBy,
}

/// Who signs a visitor in to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInBy {
    /// The gateway, which keeps the instance's token to itself.
    Gateway,
    /// The browser on its way to the first page; the token is where scripts of the page read it.
    Browser,
    /// The browser, when the visitor presses the instance's own button.
    Button,
}

impl fmt::Display for SignInBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gateway => "gateway",
            Self::Browser => "browser",
            Self::Button => "button",
        })
    }
}
