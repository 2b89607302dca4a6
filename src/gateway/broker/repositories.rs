//! The visitor's repositories, through what is held of GitHub's API.

use serde_json::{Value, json};

use super::super::{Gateway, Request};
use super::caller::Caller;
use crate::reason::Reason;

/// What Trackeep itself asks for: the newest hundred of the visitor's own.
const OWN: &str = "/user/repos?type=owner&sort=updated&per_page=100";

// === impl Gateway ===

impl Gateway {
    /// `GET /api/v1/github/repos`
    pub(super) async fn repositories(
        &self,
        request: &Request<'_>,
        caller: &Caller,
    ) -> Result<Value, Reason> {
        let body = self.read_for(request, &caller.visitor, OWN, false).await?;
        let repos: Vec<Value> = serde_json::from_slice(&body).map_err(|_| Reason::BadAnswer)?;
        Ok(json!({ "repos": repos }))
    }
}
