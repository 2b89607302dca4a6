//! The embedded store against the suite, real files, and disks that misbehave.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};

use self::disk::Disk;
use super::*;
use crate::clock::Manual;
use crate::store::{SWEPT_AFTER, conformance};

mod disk;
mod faults;
mod ledger;
mod power_loss;

fn a_clock() -> Arc<Manual> {
    Arc::new(Manual::at(Time::from_unix(1_000_000)))
}

fn later() -> Time {
    Time::from_unix(2_000_000)
}

fn file_in(dir: &Path) -> String {
    dir.join("gatekeep.redb").display().to_string()
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn commits(store: &Embedded) -> u64 {
    store.shelf.commits.load(Ordering::SeqCst)
}

/// The error, where a store has no words for itself.
fn refusal(opened: Result<Embedded, OpenError>) -> OpenError {
    opened.err().expect("it is refused")
}

/// Inserts rows of 300 bytes at once.
async fn fill(store: &Embedded, table: Table, keys: std::ops::Range<u32>, end: Time) {
    let keys: Vec<[u8; 4]> = keys.map(u32::to_be_bytes).collect();
    let insert = |key: &[u8; 4]| {
        let key = *key;
        async move { store.insert(table, &key, vec![7; 300], end).await }
    };
    for inserted in all(keys.iter().map(insert)).await {
        assert_eq!(inserted, Ok(true));
    }
}

/// Waits for all of them at once.
async fn all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in futures.iter_mut().filter(|(_, output)| output.is_none()) {
            if let std::task::Poll::Ready(ready) = future.as_mut().poll(context) {
                *output = Some(ready);
            }
        }
        if futures.iter().all(|(_, output)| output.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    futures.into_iter().filter_map(|(_, output)| output).collect()
}

#[tokio::test]
async fn embedded_conforms() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), a_clock());
    let advance = |span| clock.advance(span);
    let store = Embedded::open(dir.path(), clock.clone()).unwrap();
    conformance::run(Arc::new(store), &*clock, &advance).await;
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), a_clock()).unwrap();
    for table in Table::ALL {
        let value = table.name().as_bytes().to_vec();
        store.insert(*table, b"kept", value, later()).await.unwrap();
        store.insert(*table, b"taken", vec![1], later()).await.unwrap();
        store.take(*table, b"taken").await.unwrap();
    }
    drop(store);
    let store = Embedded::open(dir.path(), a_clock()).unwrap();
    for table in Table::ALL {
        let kept = store.get(*table, b"kept").await;
        assert_eq!(kept, Ok(Some(table.name().as_bytes().to_vec())));
        assert_eq!(store.get(*table, b"taken").await, Ok(None));
    }
}

#[tokio::test]
async fn dropping_the_store_writes_what_it_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), a_clock()).unwrap();
    {
        let mut insert = Box::pin(store.insert(Table::Session, b"a", vec![1], later()));
        std::future::poll_fn(|context| {
            drop(insert.as_mut().poll(context));
            std::task::Poll::Ready(())
        })
        .await;
    }
    drop(store);
    let store = Embedded::open(dir.path(), a_clock()).unwrap();
    assert_eq!(store.get(Table::Session, b"a").await, Ok(Some(vec![1])));
}

#[test]
fn a_second_gatekeep_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = Embedded::open(dir.path(), a_clock()).unwrap();
    let refused = refusal(Embedded::open(dir.path(), a_clock()));
    let file = file_in(dir.path());
    assert_eq!(
        refused.to_string(),
        format!(
            "another Gatekeep is using {file}; stop it, or give this one a directory of its own"
        )
    );
    drop(first);
    assert!(Embedded::open(dir.path(), a_clock()).is_ok(), "and let in once the first has ended");
}

#[test]
fn directory_and_file_are_closed_to_others() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("state/of/gatekeep");
    drop(Embedded::open(&dir, a_clock()).unwrap());
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(parent.path().join("state")), 0o700);
    assert_eq!(mode(file_in(&dir)), 0o600);
}

#[test]
fn a_file_that_was_open_to_others_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    drop(Embedded::open(dir.path(), a_clock()).unwrap());
    fs::set_permissions(file_in(dir.path()), fs::Permissions::from_mode(0o666)).unwrap();
    drop(Embedded::open(dir.path(), a_clock()).unwrap());
    assert_eq!(mode(file_in(dir.path())), 0o600);
}

/// A file of another layout.
fn lay_out_as(dir: &Path, table: &str, version: u64) {
    let database = Database::create(file_in(dir)).unwrap();
    let transaction = database.begin_write().unwrap();
    let about = TableDefinition::<&str, u64>::new(table);
    transaction.open_table(about).unwrap().insert("schema", version).unwrap();
    transaction.commit().unwrap();
}

#[test]
fn a_newer_layout_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    lay_out_as(dir.path(), "about", 2);
    let refused = refusal(Embedded::open(dir.path(), a_clock()));
    let file = file_in(dir.path());
    assert_eq!(
        refused.to_string(),
        format!(
            "{file} was written by a newer Gatekeep (layout 2, and this one knows 1); \
             run the newer one, or move the file away: then all sign in anew"
        )
    );
}

#[test]
fn what_is_not_ours_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = file_in(dir.path());
    let damaged = |cause: &str| {
        format!(
            "{file} is damaged ({cause}); \
             put a copy of it back, or move it away: then all sign in anew"
        )
    };
    lay_out_as(dir.path(), "another", 1);
    let foreign = refusal(Embedded::open(dir.path(), a_clock()));
    assert_eq!(foreign.to_string(), damaged("Table 'about' does not exist"));
    fs::write(&file, "root:x:0:0:root:/root:/bin/bash").unwrap();
    let text = refusal(Embedded::open(dir.path(), a_clock()));
    assert_eq!(text.to_string(), damaged("Not a redb database: magic number mismatch"));
    assert_eq!(fs::read(&file).unwrap(), b"root:x:0:0:root:/root:/bin/bash");
}

#[test]
fn a_truncated_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(Embedded::open(dir.path(), a_clock()).unwrap());
    let whole = fs::read(file_in(dir.path())).unwrap();
    for length in [100, 511, 512, 4_096, 8_192, whole.len() / 2] {
        fs::write(file_in(dir.path()), &whole[..length]).unwrap();
        let refused = refusal(Embedded::open(dir.path(), a_clock()));
        assert!(matches!(refused, OpenError::Damaged { .. }), "{length}: {refused:?}");
    }
}

#[test]
fn a_place_that_is_no_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("file");
    fs::write(&place, "").unwrap();
    let refused = refusal(Embedded::open(&place, a_clock()));
    let file = file_in(&place);
    assert_eq!(
        refused.to_string(),
        format!(
            "{file} cannot be used (File exists (os error 17)); \
             see to its disk and its directory, and start again"
        )
    );
}

#[test]
fn every_error_of_the_system_has_a_way_out() {
    for (code, sentence) in [
        (
            libc_errors::EACCES,
            "Gatekeep may not use /x/gatekeep.redb (Permission denied (os error 13)); \
             make its directory belong to the user that Gatekeep runs as",
        ),
        (
            libc_errors::EROFS,
            "Gatekeep may not use /x/gatekeep.redb (Read-only file system (os error 30)); \
             make its directory belong to the user that Gatekeep runs as",
        ),
        (
            libc_errors::ENOSPC,
            "there is no room left for /x/gatekeep.redb (No space left on device (os error 28)); \
             free some on its disk and start again",
        ),
        (
            libc_errors::EIO,
            "/x/gatekeep.redb cannot be used (Input/output error (os error 5)); \
             see to its disk and its directory, and start again",
        ),
    ] {
        let error = std::io::Error::from_raw_os_error(code);
        assert_eq!(OpenError::unusable("/x/gatekeep.redb".into(), &error).to_string(), sentence);
    }
}

/// The numbers of errors, the same on every system that Gatekeep runs on.
mod libc_errors {
    pub(super) const EIO: i32 = 5;
    pub(super) const EACCES: i32 = 13;
    pub(super) const ENOSPC: i32 = 28;
    pub(super) const EROFS: i32 = 30;
}

#[tokio::test]
async fn many_inserts_share_a_commit() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), a_clock()).unwrap();
    fill(&store, Table::Session, 0..64, later()).await;
    assert!(commits(&store) <= 16, "{} commits for 64 inserts", commits(&store));
    for key in 64..80 {
        fill(&store, Table::Session, key..key + 1, later()).await;
    }
    assert!(commits(&store) > 16, "one at a time, each has its own");
}

#[tokio::test]
async fn what_changes_nothing_commits_nothing() {
    let store = Embedded::on(Box::new(Disk::new()), a_clock()).unwrap();
    assert_eq!(store.take(Table::Session, b"a").await, Ok(None));
    assert_eq!(store.replace(Table::Session, b"a", b"", vec![], later()).await, Ok(false));
    store.sweep().await.unwrap();
    assert_eq!(commits(&store), 0);
}

/// A clock that stops whoever asks it, as often as was said.
struct Broken(std::sync::atomic::AtomicU32);

impl Clock for Broken {
    fn now(&self) -> Time {
        let left = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        assert!(left.is_err(), "the clock is broken");
        Time::from_unix(1_000_000)
    }
}

#[tokio::test]
async fn a_panic_does_not_end_the_writer() {
    let clock = Arc::new(Broken(2.into()));
    let store = Embedded::on(Box::new(Disk::new()), clock).unwrap();
    let insert = || store.insert(Table::Session, b"a", vec![1], later());
    let stopped = Err(Unavailable("the disk: the database stopped".to_owned()));
    assert_eq!(insert().await, stopped);
    assert_eq!(insert().await, stopped);
    while insert().await != Ok(true) {
        tokio::task::yield_now().await; // the pause after the second failure
    }
    assert_eq!(store.get(Table::Session, b"a").await, Ok(Some(vec![1])));
}

/// How many rows are in the file, ended or not, and how many of them are known by their end.
fn rows_in(store: &Embedded, table: Table) -> (u64, u64) {
    let database = store.shelf.database();
    let snapshot = database.as_ref().unwrap().begin_read().unwrap();
    let rows = TableDefinition::<&[u8], &[u8]>::new(table.name());
    let ends = TableDefinition::<&[u8], ()>::new("ends");
    let rows = snapshot.open_table(rows).unwrap().len().unwrap();
    (rows, snapshot.open_table(ends).unwrap().iter().unwrap().count() as u64)
}

#[tokio::test]
async fn a_sweep_goes_in_steps_and_leaves_what_lives() {
    let clock = a_clock();
    let store = Embedded::on(Box::new(Disk::new()), clock.clone()).unwrap();
    let soon = clock.now() + Duration::from_secs(10);
    fill(&store, Table::Session, 0..2_500, soon).await;
    fill(&store, Table::Session, 2_500..2_600, soon + Duration::from_secs(1)).await;
    clock.advance(Duration::from_secs(9) + SWEPT_AFTER);
    store.sweep().await.unwrap();
    assert_eq!(rows_in(&store, Table::Session), (2_600, 2_600), "ended, and kept for a while");
    clock.advance(Duration::from_secs(1));
    let before = commits(&store);
    store.sweep().await.unwrap();
    assert_eq!(commits(&store) - before, 3, "a thousand at a time");
    assert_eq!(rows_in(&store, Table::Session), (100, 100));
}

/// The file's size in each of twelve rounds, in which 2,000 rows come and end.
async fn sizes(sweeps: bool) -> Vec<usize> {
    let (clock, disk, mut sizes) = (a_clock(), Disk::new(), Vec::new());
    let store = Embedded::on(Box::new(disk.clone()), clock.clone()).unwrap();
    for round in 0..12 {
        let end = clock.now() + Duration::from_secs(10);
        fill(&store, Table::Session, round * 2_000..(round + 1) * 2_000, end).await;
        sizes.push(disk.len());
        clock.advance(Duration::from_secs(10) + SWEPT_AFTER);
        if sweeps {
            store.sweep().await.unwrap();
            assert_eq!(rows_in(&store, Table::Session), (0, 0));
        }
    }
    sizes
}

#[tokio::test]
async fn the_file_does_not_grow_without_bound() {
    let (swept, kept) = (sizes(true).await, sizes(false).await);
    // How much is free in passing depends on how the inserts fell into commits, and a file that is
    // too short for it doubles.
    assert!(swept[11] <= 2 * swept[1], "{swept:?}");
    assert!(kept[11] > 2 * kept[1], "{kept:?}");
    assert!(kept[11] >= 2 * swept[11], "{kept:?} {swept:?}");
}

#[tokio::test]
async fn a_bit_that_flips_never_stops_the_process() {
    let disk = Disk::new();
    let store = Embedded::on(Box::new(disk.clone()), a_clock()).unwrap();
    fill(&store, Table::Session, 0..200, later()).await;
    drop(store);
    let whole = disk.shown();
    let written: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    for at in written.iter().step_by(written.len() / 150) {
        let mut damaged = whole.clone();
        damaged[*at] ^= 1 << (at % 8);
        // Refused, or opened; then every question is answered, if only with an error.
        if let Ok(store) = Embedded::on(Box::new(Disk::holding(damaged)), a_clock()) {
            for key in 0..200_u32 {
                drop(store.get(Table::Session, &key.to_be_bytes()).await);
            }
            drop(store.insert(Table::Session, b"more", vec![1], later()).await);
        }
    }
}
