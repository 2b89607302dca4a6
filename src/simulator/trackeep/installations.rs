//! Installations of the control service's GitHub App, and the states that bring them back.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::clock::written;

/// How long a state is good, in seconds.
const LIFE: i64 = 15 * 60;

/// An installation that somebody has connected.
#[derive(Clone, Debug)]
pub(super) struct Installed {
    pub(super) user: u64,
    pub(super) installation_id: i64,
    pub(super) app_slug: String,
    pub(super) account_login: String,
    pub(super) account_type: String,
    pub(super) validated: Option<i64>,
}

#[derive(Debug)]
struct State {
    user: u64,
    until: i64,
    used: bool,
}

#[derive(Debug, Default)]
pub(super) struct Installations {
    all: Vec<Installed>,
    states: HashMap<String, State>,
}

// === impl Installed ===

impl Installed {
    pub(super) fn shown(&self) -> Value {
        let mut shown = json!({
            "user_id": self.user, "installation_id": self.installation_id,
            "app_slug": self.app_slug, "account_login": self.account_login,
            "account_type": self.account_type,
        });
        if let Some(at) = self.validated {
            shown["last_validated"] = json!(written(at));
        }
        shown
    }
}

// === impl Installations ===

impl Installations {
    pub(super) fn of(&self, user: u64) -> impl Iterator<Item = &Installed> {
        self.all.iter().filter(move |it| it.user == user)
    }

    pub(super) fn expect(&mut self, state: &str, user: u64, now: i64) -> i64 {
        let until = now + LIFE;
        self.states.insert(state.to_owned(), State { user, until, used: false });
        until
    }

    /// Whose state it is, or the word for what is wrong with it.
    pub(super) fn whose(&self, state: &str, now: i64) -> Result<u64, &'static str> {
        let state = self.states.get(state).ok_or("invalid_state")?;
        if state.used {
            return Err("state_already_used");
        }
        if now > state.until { Err("state_expired") } else { Ok(state.user) }
    }

    pub(super) fn knows(&self, installation: i64) -> bool {
        self.all.iter().any(|it| it.installation_id == installation)
    }

    /// Connects an installation, taking it from whoever had it.
    pub(super) fn connect(&mut self, installed: Installed, state: &str) {
        self.all.retain(|it| it.installation_id != installed.installation_id);
        self.all.push(installed);
        if let Some(state) = self.states.get_mut(state) {
            state.used = true;
        }
    }
}
