//! The rules of the cache in front of GitHub's REST API: what may be kept, for whom, for how long,
//! and what makes it old. Values and functions alone: bodies, headers and times come in as
//! arguments.

pub mod accept;
mod empty;
pub mod etag;
mod handling;
mod key;
pub mod link;
mod path;
mod place;
mod plan;
mod routes;
mod stale;
mod storable;
pub mod tags;
mod template;

pub use empty::{EMPTY_LIST, may_be_empty};
pub use handling::{COVERED, Fresh, Handling, WARY, handling, poll_interval};
pub use key::{Asked, Key};
pub use path::{ApiPath, BadPath};
pub use plan::{Directives, Plan, Validated, plan};
pub use stale::{Cause, STALE_PRIVATE, STALE_PUBLIC, may_be_stale};
pub use storable::Storable;
pub use template::OTHER;
