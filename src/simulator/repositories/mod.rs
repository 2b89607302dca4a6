//! Repositories: who may see them, what is in them, and how the API shows it.

mod changes;
mod downloads;
mod editing;
mod files;
mod git;
mod graphql;
mod issues;
mod nodes;
mod odds;
mod releases;
mod route;
mod search;
mod seed;
mod store;
mod views;

pub(super) use graphql::{GRAPHQL, query};
pub use releases::Asset;
pub(super) use releases::{UPLOADS, receive, uploaded};
pub(super) use route::route;
pub(super) use seed::plant;
pub(super) use store::Repositories;
pub use store::Role;
