//! Opening the database: what can be wrong with the file, and what to do about it.

use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};

use redb::{Builder, Database, DatabaseError, ReadableDatabase, StorageBackend};

use super::aside::Aside;
use super::medium::{Held, Medium};
use super::rows::{ABOUT, SCHEMA, SCHEMA_ROW, lay_out};

/// Why the store cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Two would write over each other.
    #[error("another Gatekeep is using {file}; stop it, or give this one a directory of its own")]
    InUse {
        /// The store's file.
        file: String,
    },
    /// The directory or the file belongs to somebody else.
    #[error(
        "Gatekeep may not use {file} ({cause}); make its directory belong to the user that Gatekeep runs as"
    )]
    Denied {
        /// The store's file.
        file: String,
        /// What the system says.
        cause: String,
    },
    /// There is no room.
    #[error("there is no room left for {file} ({cause}); free some on its disk and start again")]
    Full {
        /// The store's file.
        file: String,
        /// What the system says.
        cause: String,
    },
    /// The disk does not do what it is told, or there is something else at that place.
    #[error("{file} cannot be used ({cause}); see to its disk and its directory, and start again")]
    Unusable {
        /// The store's file.
        file: String,
        /// What the system says.
        cause: String,
    },
    /// What is in the file is no database of ours, or not any more.
    #[error(
        "{file} is damaged ({cause}); put a copy of it back, or move it away: then all sign in anew"
    )]
    Damaged {
        /// The store's file.
        file: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A newer Gatekeep has written it.
    #[error(
        "{file} was written by a newer Gatekeep (layout {found}, and this one knows {SCHEMA}); run the newer one, or move the file away: then all sign in anew"
    )]
    Newer {
        /// The store's file.
        file: String,
        /// The layout that was found.
        found: u64,
    },
}

/// Opens a database, or makes it.
pub(super) fn open(medium: &dyn Medium) -> Result<Database, OpenError> {
    known(medium, || {
        let database = on(Held::open(medium)?, medium)?;
        if layout(&database)?.is_none() {
            begin(&database)?;
        }
        Ok(database)
    })
}

/// Opens a database that was there: one that is empty now was not emptied by us.
pub(super) fn reopen(medium: &dyn Medium) -> Result<Database, OpenError> {
    known(medium, || Ok(on(Held::open(medium)?, medium)?))
}

/// Opens a database that cannot be written for now. What is written to it is forgotten.
pub(super) fn for_reading(medium: &dyn Medium) -> Result<Database, OpenError> {
    known(medium, || Ok(on(Aside::open(medium)?, medium)?))
}

/// Opens a database and sees to it that its layout is the one we know.
fn known(
    medium: &dyn Medium,
    open: impl FnOnce() -> Result<Database, redb::Error>,
) -> Result<Database, OpenError> {
    let file = medium.place();
    // A file that is damaged in a way nobody thought of may well stop the database.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let database = open()?;
        let found = layout(&database)?;
        Ok((database, found))
    }));
    match opened {
        Ok(Ok((database, Some(SCHEMA)))) => Ok(database),
        Ok(Ok((_, Some(found)))) if found > SCHEMA => Err(OpenError::Newer { file, found }),
        Ok(Ok((_, Some(found)))) => Err(OpenError::damaged(file, &format!("layout {found}"))),
        Ok(Ok((_, None))) => Err(OpenError::damaged(file, &"it is empty")),
        Ok(Err(error)) => Err(OpenError::of(file, error)),
        Err(_) => Err(OpenError::damaged(file, &"the database stopped")),
    }
}

fn on(bytes: impl StorageBackend, medium: &dyn Medium) -> Result<Database, DatabaseError> {
    Builder::new().set_cache_size(medium.pages()).create_with_backend(bytes)
}

/// The layout of a file that is not empty.
fn layout(database: &Database) -> Result<Option<u64>, redb::Error> {
    let snapshot = database.begin_read()?;
    if snapshot.list_tables()?.next().is_none() {
        return Ok(None);
    }
    let about = snapshot.open_table(ABOUT)?;
    Ok(Some(about.get(SCHEMA_ROW)?.map_or(0, |found| found.value())))
}

fn begin(database: &Database) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    lay_out(&transaction)?;
    Ok(transaction.commit()?)
}

// === impl OpenError ===

impl OpenError {
    fn of(file: String, error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen => Self::InUse { file },
            redb::Error::Io(error) => Self::unusable(file, &error),
            error => Self::damaged(file, &error),
        }
    }

    pub(super) fn unusable(file: String, error: &io::Error) -> Self {
        let cause = error.to_string();
        match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                Self::Denied { file, cause }
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::Full { file, cause }
            }
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => Self::Damaged { file, cause },
            _ => Self::Unusable { file, cause },
        }
    }

    /// Whether the disk is in trouble and the file may well be sound.
    pub(super) fn is_of_the_disk(&self) -> bool {
        matches!(self, Self::Denied { .. } | Self::Full { .. } | Self::Unusable { .. })
    }

    fn damaged(file: String, cause: &dyn Display) -> Self {
        Self::Damaged { file, cause: cause.to_string() }
    }
}
