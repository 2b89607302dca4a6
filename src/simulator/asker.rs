//! Who asks the API: somebody with a token, the app with its secret, or nobody known.

use http::StatusCode;

use super::{
    app,
    caller::{Caller, bearer},
    client::Credentials,
    github::Shared,
    limits::Payer,
    outcome::Outcome,
    record::Recorded,
};

/// Who asks.
pub(super) enum Asker {
    Person(Caller),
    /// The app, by its id and secret, or one of its installations: it sees what is public, within
    /// its own budget.
    App,
    Nobody,
}

/// Whom an answer is for, and so what it depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// The token's person.
    Private,
    /// Anybody.
    Public,
}

// === impl Asker ===

impl Asker {
    /// Who it is, unless what was shown is wrong.
    pub(super) fn identify(shared: &Shared, request: &Recorded) -> Result<Self, Outcome> {
        if request.header("authorization").is_none() {
            return Ok(Self::Nobody);
        }
        match Credentials::basic(request) {
            Some(app) if app.right() => Ok(Self::App),
            None if bearer(request).is_some_and(|word| app::may_read(shared, word)) => {
                Ok(Self::App)
            }
            Some(_) => Err(Outcome::error(StatusCode::UNAUTHORIZED, "Bad credentials")),
            None => Caller::identify(shared, request).map(Self::Person),
        }
    }

    pub(super) fn person(&self) -> Option<&Caller> {
        match self {
            Self::Person(caller) => Some(caller),
            Self::App | Self::Nobody => None,
        }
    }

    pub(super) fn payer(&self) -> Payer {
        match self {
            Self::Person(caller) => Payer::Person(caller.key),
            Self::App => Payer::App,
            Self::Nobody => Payer::Nobody,
        }
    }

    pub(super) fn audience(&self) -> Audience {
        if self.person().is_some() { Audience::Private } else { Audience::Public }
    }
}
