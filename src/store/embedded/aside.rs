//! A view of bytes that cannot be written for now: what is written stays aside, in memory.

use std::io;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::{BackendError, DatabaseError, StorageBackend};

use super::medium::Medium;

/// The bytes and what would have become of them. To open a database writes a few hundred bytes,
/// and through this it is only read.
#[derive(Debug)]
pub(super) struct Aside {
    inner: Box<dyn StorageBackend>,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    len: u64,
    /// Offsets and bytes, the latest last.
    pieces: Vec<(u64, Vec<u8>)>,
}

// === impl Aside ===

impl Aside {
    /// Others may read meanwhile, and nobody may write.
    pub(super) fn open(medium: &dyn Medium) -> Result<Self, DatabaseError> {
        let inner = medium.reading()?;
        match inner.try_lock_shared_range(Bound::Unbounded, Bound::Unbounded) {
            Ok(true) | Err(BackendError::Unsupported) => {}
            Ok(false) => return Err(DatabaseError::DatabaseAlreadyOpen),
            Err(error) => return Err(error.into()),
        }
        let written = Mutex::new(Written { len: inner.len()?, pieces: Vec::new() });
        Ok(Self { inner, written })
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What lies beneath; beyond its end are zeroes.
    fn read_beneath(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = self.inner.len()?.saturating_sub(offset);
        let there = usize::try_from(there).unwrap_or(usize::MAX).min(out.len());
        let (beneath, beyond) = out.split_at_mut(there);
        beyond.fill(0);
        if beneath.is_empty() { Ok(()) } else { self.inner.read(offset, beneath) }
    }
}

impl StorageBackend for Aside {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.read_beneath(offset, out)?;
        for (at, piece) in &self.written().pieces {
            lay_over(*at, piece, offset, out);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.written().len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.written().pieces.push((offset, data.to_vec()));
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }
}

/// Writes the part of a piece that falls into `out`, which begins at `offset`.
fn lay_over(at: u64, piece: &[u8], offset: u64, out: &mut [u8]) {
    let distance = |from: u64, to: u64| usize::try_from(to.saturating_sub(from));
    let (Ok(skipped), Ok(begin)) = (distance(at, offset), distance(offset, at)) else { return };
    let (Some(piece), Some(out)) = (piece.get(skipped..), out.get_mut(begin..)) else { return };
    let shared = piece.len().min(out.len());
    out[..shared].copy_from_slice(&piece[..shared]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_covers_what_it_shares() {
        for (at, seen) in [
            (0, b"......"),
            (7, b"......"),
            (8, b"cd...."),
            (10, b"abcd.."),
            (13, b"...abc"),
            (16, b"......"),
            (u64::MAX, b"......"),
        ] {
            let mut out = *b"......";
            lay_over(at, if at == 7 { b"abc" } else { b"abcd" }, 10, &mut out);
            assert_eq!(&out, seen, "{at}");
        }
    }
}
