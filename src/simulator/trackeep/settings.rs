//! What an instance is told by its environment, and what is connected to it.

use std::time::Duration;

use crate::simulator::world::random_hex;

#[derive(Debug)]
pub(super) struct Settings {
    pub(super) control: String,
    /// `OAUTH_SERVICE_URL`, with the version that has it.
    pub(super) oauth_service: Option<String>,
    pub(super) public_url: String,
    pub(super) github: String,
    pub(super) secret: String,
    pub(super) token_life: Duration,
    pub(super) demo: bool,
    pub(super) dragonfly: bool,
    pub(super) limits: bool,
}

// === impl Settings ===

impl Settings {
    pub(super) fn of(url: &str) -> Self {
        Self {
            // Nobody listens at port 9 until a test says where the service is.
            control: "http://127.0.0.1:9".to_owned(),
            oauth_service: None,
            public_url: url.to_owned(),
            github: "http://127.0.0.1:9".to_owned(),
            secret: random_hex(32),
            token_life: Duration::from_secs(24 * 60 * 60),
            demo: false,
            dragonfly: false,
            limits: true,
        }
    }

    pub(super) fn change_secret(&mut self) {
        self.secret = random_hex(32);
    }
}
