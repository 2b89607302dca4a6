//! Which app calls: its id and secret.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    github::{CLIENT_ID, CLIENT_SECRET},
    record::Recorded,
    web::{Pairs, first},
};

/// Id and secret as they were sent.
#[derive(PartialEq, Eq)]
pub(super) struct Credentials {
    id: String,
    secret: String,
}

// === impl Credentials ===

impl Credentials {
    /// From Basic authentication.
    pub(super) fn basic(request: &Recorded) -> Option<Self> {
        let (scheme, both) = request.header("authorization")?.split_once(' ')?;
        let both = scheme.eq_ignore_ascii_case("basic").then_some(both.trim())?;
        let both = String::from_utf8(STANDARD.decode(both).ok()?).ok()?;
        let (id, secret) = both.split_once(':')?;
        Some(Self { id: id.to_owned(), secret: secret.to_owned() })
    }

    /// From Basic authentication if there is any, or from the form.
    pub(super) fn of(request: &Recorded, form: &Pairs) -> Option<Self> {
        if request.header("authorization").is_some_and(|it| it.starts_with("Basic ")) {
            return Self::basic(request);
        }
        let field = |name| first(form, name).map(str::to_owned);
        Some(Self { id: field("client_id")?, secret: field("client_secret")? })
    }

    /// Whether they are those of the one app.
    pub(super) fn right(&self) -> bool {
        self.id == CLIENT_ID && self.secret == CLIENT_SECRET
    }
}
