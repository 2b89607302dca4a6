//! Where the GitHub App is installed, as far as the visitor may see: shown on the account page. GitHub
//! is asked for it, but the page waits for that no longer than a moment and never fails by it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::pages::{Row, Table};
use super::{Gateway, LiveSession, Request};
use crate::budget::Resource;
use crate::clock::Time;
use crate::github::TokenError;
use crate::github::app::Installation;
use crate::github::budgets::BudgetKey;

/// What GitHub said lately, by account. Whoever asks holds the lock, and the others of the same account
/// wait for what it is told.
pub(super) struct Listings(Cache<u64, Arc<Mutex<Option<Arc<Listing>>>>>);

struct Listing {
    /// `None` where GitHub gave no answer.
    found: Option<Vec<Installation>>,
    asked: Time,
}

/// What is said of an installation.
const COLUMNS: &[&str] = &["Installed on", "Repositories"];

/// How long the page waits for GitHub.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long GitHub is not asked again, whatever it said.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// Accounts that are remembered at once.
const MOST: usize = 1000;

// === impl Gateway ===

impl Gateway {
    /// The installations that the visitor may see; nothing where the gateway is no GitHub App.
    pub(super) async fn my_installations(
        &self,
        request: &Request<'_>,
        live: &LiveSession,
    ) -> Option<Table> {
        request.config().github.app.as_ref()?;
        Some(self.listing(request, live.account.id).await.table())
    }

    async fn listing(&self, request: &Request<'_>, account: u64) -> Arc<Listing> {
        let known = self.listings.of(account);
        let mut known = known.lock().await;
        let now = self.clock.now();
        if let Some(listing) = known.as_ref().filter(|listing| listing.is_recent(now)) {
            return listing.clone();
        }
        let asked = timeout(PATIENCE, self.installations_of(request, account)).await;
        let found = match asked {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::debug!(request.id = request.id, "no list of installations: {error}");
                None
            }
            Err(_) => None,
        };
        let listing = Arc::new(Listing { found, asked: now });
        *known = Some(listing.clone());
        listing
    }

    /// Asks GitHub, where its limits leave something for that.
    async fn installations_of(
        &self,
        request: &Request<'_>,
        account: u64,
    ) -> Result<Option<Vec<Installation>>, TokenError> {
        let budgets = self.github_api.budgets();
        if budgets.closed(&BudgetKey::User(account), Resource::Core).is_some() {
            return Ok(None);
        }
        let credential = self.tokens.usable(&request.snapshot.asking(), account).await?;
        let github = &request.snapshot.github;
        Ok(Some(github.installations_of(account, &credential.grant.access).await?))
    }
}

// === impl Listings ===

impl Listings {
    pub(super) fn new() -> Self {
        Self(Cache::new(MOST))
    }

    fn of(&self, account: u64) -> Arc<Mutex<Option<Arc<Listing>>>> {
        let found = self.0.get_or_insert_with(&account, || Ok::<_, Infallible>(Arc::default()));
        match found {
            Ok(known) => known,
        }
    }
}

// === impl Listing ===

impl Listing {
    fn is_recent(&self, now: Time) -> bool {
        now >= self.asked && now.since(self.asked) < KNOWN_FOR
    }

    fn table(&self) -> Table {
        let found = self.found.as_deref();
        let note = match found {
            None => Some("GitHub does not say just now where the app is installed."),
            Some([]) => Some("The app is installed nowhere that you can see."),
            Some(_) => None,
        };
        Table {
            title: "GitHub App",
            columns: COLUMNS,
            rows: found.unwrap_or_default().iter().map(row).collect(),
            note: note.map(str::to_owned),
            ..Table::default()
        }
    }
}

fn row(installation: &Installation) -> Row {
    let repositories = installation.repository_selection.clone();
    Row {
        cells: vec![installation.account.login.clone(), repositories],
        mark: installation.suspended_at.is_some().then_some("suspended"),
        ..Row::default()
    }
}
