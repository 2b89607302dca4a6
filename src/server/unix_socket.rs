//! A Unix socket to listen on: made aside, with its mode, and put in its place when it listens, so that
//! nobody connects before, and whoever finds it there and is refused knows that its process is gone.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use super::listen::BACKLOG;
use crate::keys::random;

/// A socket that is listened on. Its file goes with it.
#[derive(Debug)]
pub(super) struct UnixSocket {
    pub(super) file: SocketFile,
    pub(super) listener: UnixListener,
}

/// A file of a socket of this process, removed when it is dropped, unless it is another's by then.
#[derive(Debug)]
pub(super) struct SocketFile {
    pub(super) path: PathBuf,
    /// Device and number: no other file has both as long as the socket is open.
    identity: (u64, u64),
}

/// Why a path cannot be listened on. `Display` is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Somebody listens there.
    #[error("cannot listen on {0}: another process does; stop that one, or choose another path")]
    InUse(PathBuf),
    /// Something else is there.
    #[error("cannot listen on {0}: there is a file that is no socket; choose another path")]
    NoSocket(PathBuf),
    /// There is no place for it.
    #[error(
        "cannot listen on {0}: its directory is not there; make it, in a systemd unit by \
         `RuntimeDirectory=`"
    )]
    NoDirectory(PathBuf),
    /// The system refuses.
    #[error("cannot listen on {0}: {1}")]
    System(PathBuf, io::Error),
}

/// What is found in the place of a socket.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    NoSocket,
    /// Somebody listens.
    Live,
    /// Nobody listens any more.
    Dead,
}

// === impl UnixSocket ===

impl UnixSocket {
    /// Listens on a path, with a mode such as `0o660`. What a dead process left there is replaced.
    pub(super) fn bind(path: &Path, mode: u32) -> Result<Self, SocketError> {
        let system = |error: io::Error| match error.kind() {
            ErrorKind::NotFound => SocketError::NoDirectory(path.to_owned()),
            _ => SocketError::System(path.to_owned(), error),
        };
        let aside = aside(path);
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(system)?;
        SockAddr::unix(&aside).and_then(|address| socket.bind(&address)).map_err(system)?;
        let mut file = SocketFile::of(aside).map_err(system)?;
        // It does not listen yet: nobody is let in by the mode of before.
        fs::set_permissions(&file.path, Permissions::from_mode(mode)).map_err(system)?;
        socket.listen(BACKLOG).map_err(system)?;
        socket.set_nonblocking(true).map_err(system)?;
        file.put_at(path)?;
        Ok(Self { file, listener: UnixListener::from(OwnedFd::from(socket)) })
    }
}

// === impl SocketFile ===

impl SocketFile {
    fn of(path: PathBuf) -> io::Result<Self> {
        let identity = identity(&fs::symlink_metadata(&path)?);
        Ok(Self { path, identity })
    }

    /// Puts it in its place, which it takes from nobody who is alive: one start at a time looks.
    fn put_at(&mut self, place: &Path) -> Result<(), SocketError> {
        let system = |error| SocketError::System(place.to_owned(), error);
        let directory = place.parent().filter(|it| !it.as_os_str().is_empty());
        let directory = File::open(directory.unwrap_or(Path::new("."))).map_err(system)?;
        directory.lock().map_err(system)?;
        match look(place).map_err(system)? {
            Found::Live => return Err(SocketError::InUse(place.to_owned())),
            Found::NoSocket => return Err(SocketError::NoSocket(place.to_owned())),
            Found::Nothing | Found::Dead => {}
        }
        fs::rename(&self.path, place).map_err(system)?;
        place.clone_into(&mut self.path);
        Ok(())
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = |there: Metadata| identity(&there) == self.identity;
        if fs::symlink_metadata(&self.path).is_ok_and(is_ours) {
            // What cannot be removed is replaced by the next start.
            drop(fs::remove_file(&self.path));
        }
    }
}

fn look(place: &Path) -> io::Result<Found> {
    let there = match fs::symlink_metadata(place) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        there => there?,
    };
    if !there.file_type().is_socket() {
        return Ok(Found::NoSocket);
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Whoever has so much to do that it takes nobody now is alive.
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(place)?) {
        Ok(()) => Ok(Found::Live),
        Err(error) => match error.kind() {
            ErrorKind::WouldBlock => Ok(Found::Live),
            ErrorKind::ConnectionRefused => Ok(Found::Dead),
            ErrorKind::NotFound => Ok(Found::Nothing),
            _ => Err(error),
        },
    }
}

/// A name beside a path that nothing has.
fn aside(path: &Path) -> PathBuf {
    path.with_file_name(format!(".{:08x}", u32::from_ne_bytes(random())))
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn said(bound: Result<UnixSocket, SocketError>, path: &Path) -> String {
        bound.unwrap_err().to_string().replace(&path.display().to_string(), "PATH")
    }

    #[test]
    fn a_socket_has_its_mode_and_goes_with_its_process() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("api.sock");
        for mode in [0o600, 0o660, 0o666, 0o200] {
            let socket = UnixSocket::bind(&path, mode).unwrap();
            let there = fs::symlink_metadata(&path).unwrap();
            assert!(there.file_type().is_socket());
            assert_eq!(there.permissions().mode() & 0o7777, mode);
            assert_eq!(names(directory.path()), ["api.sock"], "and nothing beside it");
            assert!(UnixStream::connect(&path).is_ok());
            drop(socket);
            assert!(names(directory.path()).is_empty());
        }
    }

    #[test]
    fn what_a_dead_process_left_is_replaced_and_a_living_one_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("api.sock");
        // The standard library's leaves its file behind, as a process does that is killed.
        drop(UnixListener::bind(&path).unwrap());
        assert!(UnixStream::connect(&path).is_err(), "control");
        let living = UnixSocket::bind(&path, 0o600).unwrap();
        let in_use = "cannot listen on PATH: another process does; stop that one, or choose \
                      another path";
        assert_eq!(said(UnixSocket::bind(&path, 0o600), &path), in_use);
        assert!(UnixStream::connect(&path).is_ok(), "it is as it was");
        assert_eq!(names(directory.path()), ["api.sock"]);
        // What is another's by now does not go with it.
        fs::remove_file(&path).unwrap();
        let other = UnixSocket::bind(&path, 0o600).unwrap();
        drop(living);
        assert!(UnixStream::connect(&path).is_ok());
        drop(other);
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn who_has_much_to_do_is_alive() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("api.sock");
        let busy = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        busy.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        busy.listen(0).unwrap();
        let _waiting = UnixStream::connect(&path).unwrap();
        assert!(said(UnixSocket::bind(&path, 0o600), &path).contains("another process does"));
        assert!(path.exists());
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("api.sock");
        fs::write(&path, "a text").unwrap();
        let no_socket = "cannot listen on PATH: there is a file that is no socket; choose another \
                         path";
        assert_eq!(said(UnixSocket::bind(&path, 0o600), &path), no_socket);
        assert_eq!(fs::read_to_string(&path).unwrap(), "a text");
        assert_eq!(names(directory.path()), ["api.sock"]);
        let nowhere = directory.path().join("nothing/api.sock");
        let no_directory = "cannot listen on PATH: its directory is not there; make it, in a \
                            systemd unit by `RuntimeDirectory=`";
        assert_eq!(said(UnixSocket::bind(&nowhere, 0o600), &nowhere), no_directory);
    }

    /// However many start at the same time where a dead one left its socket, one gets its place.
    #[test]
    fn of_many_one_takes_the_place_of_a_dead_one() {
        for _ in 0..20 {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("api.sock");
            drop(UnixListener::bind(&path).unwrap());
            let start = || UnixSocket::bind(&path, 0o600);
            let bound: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(bound.iter().filter(|bound| bound.is_ok()).count(), 1, "{bound:?}");
            assert!(UnixStream::connect(&path).is_ok());
            assert_eq!(names(directory.path()), ["api.sock"]);
        }
    }
}
