//! A disk in memory that can be watched, cut off from power, and made to fail.

use std::io;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use redb::{Durability, StorageBackend};

use super::super::medium::Medium;

/// A disk. Its clones are the same disk.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    state: Arc<Mutex<State>>,
    durability: Durability,
    is_two_phase: bool,
}

#[derive(Debug, Default)]
struct State {
    /// What a reader sees.
    shown: Vec<u8>,
    /// What a loss of power leaves.
    durable: Vec<u8>,
    /// What the next sync will make durable.
    pending: Vec<Event>,
    /// All that has happened.
    trace: Vec<Event>,
    /// What fails, and after how many writes and syncs.
    fault: Option<(Fault, u64)>,
    faults: u64,
}

/// What happens to a disk, and what its user says meanwhile.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Write {
        offset: usize,
        data: Arc<[u8]>,
    },
    SetLen(usize),
    Sync,
    /// A sync that failed: what it did not write is never written, though a reader sees it.
    FailedSync,
    /// A row shall have this value.
    Begun {
        key: Vec<u8>,
        value: Option<Vec<u8>>,
    },
    /// It was said that it has.
    Done {
        key: Vec<u8>,
    },
}

/// How a disk fails. A failed sync forgets what it was to write, though it goes on showing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// One write or sync fails.
    Once,
    /// All fail from now on.
    FromNow,
    /// There is no room: writes fail half done, syncs succeed.
    Full,
    /// A sync loses all it was to write and says that it went well.
    Lie,
}

// === impl Disk ===

impl Disk {
    pub(super) fn new() -> Self {
        Self::holding(Vec::new())
    }

    pub(super) fn holding(bytes: Vec<u8>) -> Self {
        let state = State { shown: bytes.clone(), durable: bytes, ..State::default() };
        Self {
            state: Arc::new(Mutex::new(state)),
            durability: Durability::Immediate,
            is_two_phase: true,
        }
    }

    /// A disk whose user does not ask for syncs.
    pub(super) fn without_durability() -> Self {
        Self { durability: Durability::None, ..Self::new() }
    }

    /// A disk whose user syncs pages and header at once.
    pub(super) fn one_phase() -> Self {
        Self { is_two_phase: false, ..Self::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn len(&self) -> usize {
        self.state().shown.len()
    }

    pub(super) fn shown(&self) -> Vec<u8> {
        self.state().shown.clone()
    }

    /// What is there after power has failed.
    pub(super) fn durable(&self) -> Vec<u8> {
        self.state().durable.clone()
    }

    pub(super) fn trace(&self) -> Vec<Event> {
        self.state().trace.clone()
    }

    pub(super) fn note(&self, event: Event) {
        self.state().trace.push(event);
    }

    /// Fails after so many writes and syncs that go well.
    pub(super) fn fail(&self, fault: Fault, after: u64) {
        self.state().fault = Some((fault, after));
    }

    /// Works again. Says how often it has failed.
    pub(super) fn heal(&self) -> u64 {
        let mut state = self.state();
        state.fault = None;
        state.faults
    }
}

impl Medium for Disk {
    fn backend(&self) -> io::Result<Box<dyn StorageBackend>> {
        Ok(Box::new(self.clone()))
    }

    fn place(&self) -> String {
        "the disk".to_owned()
    }

    fn durability(&self) -> Durability {
        self.durability
    }

    fn is_two_phase(&self) -> bool {
        self.is_two_phase
    }

    fn pauses(&self) -> RangeInclusive<Duration> {
        Duration::from_millis(1)..=Duration::from_millis(4)
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().shown.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        let state = self.state();
        let there = state.shown.get(offset..offset + out.len());
        out.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.happens(Event::SetLen(usize::try_from(len).unwrap()));
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        let mut state = self.state();
        match state.next_fault() {
            None | Some(Fault::Lie) => {
                state.happens(Event::Write { offset, data: data.into() });
                Ok(())
            }
            Some(_) => {
                let half = data[..data.len() / 2].into();
                state.happens(Event::Write { offset, data: half });
                state.faults += 1;
                Err(io::ErrorKind::StorageFull.into())
            }
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        match state.next_fault() {
            None | Some(Fault::Full) => {
                let pending = std::mem::take(&mut state.pending);
                for event in pending {
                    event.apply(&mut state.durable);
                }
                state.trace.push(Event::Sync);
                Ok(())
            }
            Some(fault) => {
                state.pending.retain(|event| matches!(event, Event::SetLen(_)));
                state.faults += 1;
                state.trace.push(Event::FailedSync);
                if fault == Fault::Lie { Ok(()) } else { Err(io::Error::from_raw_os_error(5)) }
            }
        }
    }
}

// === impl State ===

impl State {
    fn happens(&mut self, event: Event) {
        event.apply(&mut self.shown);
        self.pending.push(event.clone());
        self.trace.push(event);
    }

    fn next_fault(&mut self) -> Option<Fault> {
        let (fault, after) = self.fault?;
        if after > 0 {
            self.fault = Some((fault, after - 1));
            return None;
        }
        if fault == Fault::Once {
            self.fault = None;
        }
        Some(fault)
    }
}

// === impl Event ===

impl Event {
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write { offset, data } => {
                let end = offset + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*offset..end].copy_from_slice(data);
            }
            Self::SetLen(len) => bytes.resize(*len, 0),
            Self::Sync | Self::FailedSync | Self::Begun { .. } | Self::Done { .. } => {}
        }
    }
}
