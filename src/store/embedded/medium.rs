//! Where the database's bytes lie, and what is done before they are trusted.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::ops::{Bound, RangeInclusive};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use redb::backends::FileBackend;
use redb::{BackendError, DatabaseError, Durability, StorageBackend};

use super::open::OpenError;
use super::room::Room;

/// Opens the bytes of a database, again and again.
pub(super) trait Medium: Send + Sync + 'static {
    fn backend(&self) -> io::Result<Box<dyn StorageBackend>>;

    /// The bytes as they are, where they may not be writable.
    fn reading(&self) -> io::Result<Box<dyn StorageBackend>> {
        self.backend()
    }

    /// What messages call it.
    fn place(&self) -> String;

    /// How sure a commit is when it returns.
    fn durability(&self) -> Durability {
        Durability::Immediate
    }

    /// Whether a commit syncs its pages before the header names them, and saves what is free.
    /// Then a file opens at once after a kill, and a sync that failed does no harm: the system may
    /// show pages that it will never write, but the header names none of them.
    fn is_two_phase(&self) -> bool {
        true
    }

    /// Bytes of memory for pages of the file. The system's own cache lies beneath it.
    fn pages(&self) -> usize {
        64 << 20
    }

    /// What the rows may weigh, where that is bounded.
    fn room(&self) -> Option<Room> {
        None
    }

    /// The shortest and the longest pause between failures.
    fn pauses(&self) -> RangeInclusive<Duration> {
        Duration::from_millis(50)..=Duration::from_secs(5)
    }
}

/// A file.
pub(super) struct OnDisk {
    path: PathBuf,
    room: Option<Room>,
}

/// Bytes that are ours alone.
#[derive(Debug)]
pub(super) struct Held {
    inner: Box<dyn StorageBackend>,
}

/// The file's name in its directory.
const FILE: &str = "gatekeep.redb";

/// The name of the file beside it that may be lost.
const CACHE_FILE: &str = "github.redb";

/// What a database begins with.
const MAGIC: &[u8; 9] = b"redb\x1a\x0a\xa9\x0d\x0a";

/// The length of its header, which is written in one piece.
const HEADER: u64 = 512;

/// What is read at once.
const CHUNK: u64 = 1 << 20;

// === impl OnDisk ===

impl OnDisk {
    /// Sees to it that directory and file are there and closed to others.
    pub(super) fn prepare(dir: &Path) -> Result<Self, OpenError> {
        Self::prepare_file(dir, FILE, None)
    }

    /// The same for the file that may be lost, whose rows weigh so much at most.
    pub(super) fn prepare_cache(dir: &Path, bound: u64) -> Result<Self, OpenError> {
        Self::prepare_file(dir, CACHE_FILE, Some(Room::new(bound)))
    }

    fn prepare_file(dir: &Path, name: &str, room: Option<Room>) -> Result<Self, OpenError> {
        let path = dir.join(name);
        let prepared = make_directory(dir).and_then(|()| make_file(&path));
        prepared.map_err(|error| OpenError::unusable(path.display().to_string(), &error))?;
        Ok(Self { path, room })
    }

    /// Throws the file away.
    pub(super) fn discard(dir: &Path) -> Result<(), OpenError> {
        let path = dir.join(CACHE_FILE);
        std::fs::remove_file(&path)
            .map_err(|error| OpenError::unusable(path.display().to_string(), &error))
    }
}

impl Medium for OnDisk {
    /// Does not make the file: one that has gone missing while Gatekeep runs is an error, and no
    /// reason to sign everybody out.
    fn backend(&self) -> io::Result<Box<dyn StorageBackend>> {
        let file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        Ok(Box::new(FileBackend::new(file).map_err(io::Error::other)?))
    }

    fn reading(&self) -> io::Result<Box<dyn StorageBackend>> {
        let file = File::open(&self.path)?;
        Ok(Box::new(FileBackend::new(file).map_err(io::Error::other)?))
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }

    /// What may be lost is read once, when its copy in memory is gone.
    fn pages(&self) -> usize {
        if self.room.is_some() { 8 << 20 } else { 64 << 20 }
    }

    fn room(&self) -> Option<Room> {
        self.room
    }
}

fn make_directory(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    // The way to the file has to survive as well.
    dir.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), sync_directory)
}

/// Closed to others from its first moment; one that was open to them is closed.
fn make_file(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    let file = match options.clone().create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.open(path)?,
        made => {
            path.parent().map_or(Ok(()), sync_directory)?;
            made?
        }
    };
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(())
}

fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

// === impl Held ===

impl Held {
    /// Takes the bytes for us alone.
    pub(super) fn open(medium: &dyn Medium) -> Result<Self, DatabaseError> {
        let held = Self { inner: medium.backend()? };
        match held.inner.try_lock_range(Bound::Unbounded, Bound::Unbounded) {
            Ok(true) | Err(BackendError::Unsupported) => {}
            Ok(false) => return Err(DatabaseError::DatabaseAlreadyOpen),
            Err(error) => return Err(error.into()),
        }
        held.forget_a_beginning()?;
        Ok(held)
    }

    /// A database gets its magic number when the rest of its header is on the disk. Where power
    /// failed before that, there is a file without a row in it, which would never open.
    fn forget_a_beginning(&self) -> io::Result<()> {
        let mut blank = true;
        self.each_chunk(|offset, chunk| {
            let of_header = usize::try_from(HEADER.saturating_sub(offset)).unwrap_or(usize::MAX);
            let (header, rest) = chunk.split_at(of_header.min(chunk.len()));
            let magic = &header[..header.len().min(MAGIC.len())];
            blank = magic.iter().chain(rest).all(|byte| *byte == 0);
            Ok(blank)
        })?;
        if blank { self.inner.set_len(0) } else { Ok(()) }
    }

    /// Goes through the bytes as long as `visit` says so.
    fn each_chunk(&self, mut visit: impl FnMut(u64, &[u8]) -> io::Result<bool>) -> io::Result<()> {
        let end = self.inner.len()?;
        let mut offset = 0;
        while offset < end {
            let size = CHUNK.min(end - offset);
            let mut chunk = vec![0; usize::try_from(size).map_err(io::Error::other)?];
            self.inner.read(offset, &mut chunk)?;
            if !visit(offset, &chunk)? {
                break;
            }
            offset += size;
        }
        Ok(())
    }
}

impl StorageBackend for Held {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    /// The whole is locked since it was opened; of its parts the database is told nothing.
    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        match (start, end) {
            (Bound::Unbounded, Bound::Unbounded) => Ok(true),
            _ => Err(BackendError::Unsupported),
        }
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }
}
