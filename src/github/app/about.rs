//! What the app is called: its name is part of the address where it is installed.

use std::time::Duration;

use http::{Method, StatusCode};
use serde::Deserialize;

use super::installations::{failed, is_recent};
use super::jwt::Question;
use super::{AppError, Installations};
use crate::clock::Time;
use crate::github::client::json;
use crate::github::{Client, GitHubError};

/// What GitHub said of an app.
pub(super) struct About {
    home: u64,
    slug: String,
    since: Time,
}

#[derive(Deserialize)]
struct Shown {
    slug: String,
}

const APP: &str = "/app";

/// An owner may rename an app; that is no everyday matter.
const KNOWN_FOR: Duration = Duration::from_secs(3600);

impl Installations {
    /// The app's name in addresses, asked of GitHub and remembered.
    /// <https://docs.github.com/en/rest/apps/apps#get-the-authenticated-app>
    pub async fn slug(&self, github: &Client) -> Result<String, AppError> {
        let home = github.app_home()?;
        let mut about = self.about.lock().await;
        let now = self.clock.now();
        let is_known =
            |about: &&About| about.home == home && is_recent(about.since, now, KNOWN_FOR);
        if let Some(about) = about.as_ref().filter(is_known) {
            return Ok(about.slug.clone());
        }
        let (what, path) = (APP, APP.to_owned());
        let question = Question { what, method: Method::GET, path, body: None };
        let answer = self.jwt.ask(github, &question).await?;
        if answer.status != StatusCode::OK {
            return Err(failed(APP, &answer).into());
        }
        let Shown { slug } = json(APP, &answer)?;
        if slug.is_empty() || !slug.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(GitHubError::Malformed(APP, "its name is no name".to_owned()).into());
        }
        *about = Some(About { home, slug: slug.clone(), since: now });
        Ok(slug)
    }
}
