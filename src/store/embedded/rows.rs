//! How rows lie in the file, and what each operation does to them.

use std::ops::Bound;
use std::time::Duration;

use redb::{ReadTransaction, ReadableTable, StorageError, TableDefinition, WriteTransaction};

use super::room::Room;
use crate::clock::Time;
use crate::store::{Page, SWEPT_AFTER, Table};

/// The layout of the file. A change that an older Gatekeep would misread counts it up.
pub(super) const SCHEMA: u64 = 1;

/// What the file says about itself.
pub(super) const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("about");

/// The row of [`ABOUT`] that holds the [`SCHEMA`].
pub(super) const SCHEMA_ROW: &str = "schema";

/// Every row by its end, so that a sweep finds what has ended and touches nothing else: the end
/// in an order-preserving form, the table's tag, the key.
const ENDS: TableDefinition<'_, &[u8], ()> = TableDefinition::new("ends");

/// Rows that one operation looks at or removes at most.
const STEP: usize = 1_000;

/// A change to the rows.
pub(super) enum Operation {
    Insert { table: Table, key: Vec<u8>, value: Vec<u8>, end: Time },
    Replace { table: Table, key: Vec<u8>, old: Vec<u8>, new: Vec<u8>, end: Time },
    Put { table: Table, key: Vec<u8>, value: Vec<u8>, end: Time },
    Take { table: Table, key: Vec<u8> },
    Sweep,
}

/// What came of an operation.
pub(super) enum Outcome {
    Changed(bool),
    Taken(Option<Vec<u8>>),
    Swept { more: bool },
}

/// Operations on their way into one commit; each sees what those before it did.
pub(super) struct Batch<'a> {
    transaction: &'a WriteTransaction,
    now: Time,
    /// What the rows may weigh, where that is bounded.
    room: Option<Room>,
    changed: bool,
}

// === impl Batch ===

impl<'a> Batch<'a> {
    pub(super) fn new(transaction: &'a WriteTransaction, now: Time, room: Option<Room>) -> Self {
        Self { transaction, now, room, changed: false }
    }

    /// Whether there is anything to commit.
    pub(super) fn has_changed(&self) -> bool {
        self.changed
    }

    pub(super) fn apply(&mut self, operation: &Operation) -> Result<Outcome, redb::Error> {
        match operation {
            Operation::Insert { table, key, value, end } => {
                let free = self.there(*table, key)?.is_none();
                if free {
                    self.put(*table, key, value, *end)?;
                }
                Ok(Outcome::Changed(free))
            }
            Operation::Replace { table, key, old, new, end } => {
                let matches = self.there(*table, key)?.is_some_and(|value| value == *old);
                if matches && *end <= self.now {
                    self.remove(*table, key)?;
                } else if matches {
                    self.put(*table, key, new, *end)?;
                }
                Ok(Outcome::Changed(matches))
            }
            Operation::Put { table, key, value, end } => {
                self.put(*table, key, value, *end)?;
                Ok(Outcome::Changed(true))
            }
            Operation::Take { table, key } => {
                let value = self.there(*table, key)?;
                if value.is_some() {
                    self.remove(*table, key)?;
                }
                Ok(Outcome::Taken(value))
            }
            Operation::Sweep => self.sweep(),
        }
    }

    fn there(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, redb::Error> {
        let rows = self.transaction.open_table(rows_of(table))?;
        there(&rows, key, self.now)
    }

    fn put(
        &mut self,
        table: Table,
        key: &[u8],
        value: &[u8],
        end: Time,
    ) -> Result<(), redb::Error> {
        self.changed = true;
        let mut rows = self.transaction.open_table(rows_of(table))?;
        let mut ends = self.transaction.open_table(ENDS)?;
        let row = [&end.unix().to_be_bytes(), value].concat();
        if let Some(before) = rows.insert(key, row.as_slice())? {
            let (ended, _) = split(before.value())?;
            ends.remove(end_key(ended, table, key).as_slice())?;
        }
        ends.insert(end_key(end, table, key).as_slice(), ())?;
        match self.room {
            Some(_) => Room::take(self.transaction, &name(table, key), row.len()),
            None => Ok(()),
        }
    }

    /// Removes what was written longest ago, until the rest fits.
    pub(super) fn make_room(&mut self) -> Result<(), redb::Error> {
        let Some(room) = self.room else { return Ok(()) };
        while let Some(name) = room.oldest_beyond(self.transaction)? {
            let table = Table::ALL.iter().find(|table| name.first() == Some(&tag(**table)));
            let strange = || StorageError::Corrupted("a row of a table that is none".to_owned());
            self.remove(*table.ok_or_else(strange)?, &name[1..])?;
        }
        Ok(())
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), redb::Error> {
        self.changed = true;
        let mut rows = self.transaction.open_table(rows_of(table))?;
        let mut ends = self.transaction.open_table(ENDS)?;
        if let Some(before) = rows.remove(key)? {
            let (end, _) = split(before.value())?;
            ends.remove(end_key(end, table, key).as_slice())?;
        }
        match self.room {
            Some(_) => Room::leave(self.transaction, &name(table, key)),
            None => Ok(()),
        }
    }

    fn sweep(&mut self) -> Result<Outcome, redb::Error> {
        let mut ends = self.transaction.open_table(ENDS)?;
        // The end is the head of the key: whatever sorts before the next second has to go.
        let kept = in_order(self.now - SWEPT_AFTER + Duration::from_secs(1));
        let mut gone = Vec::new();
        for entry in ends.range::<&[u8]>(..kept.as_slice())?.take(STEP) {
            gone.push(entry?.0.value().to_vec());
        }
        for table in Table::ALL {
            let mut rows = self.transaction.open_table(rows_of(*table))?;
            for key in gone.iter().filter(|key| key.get(8) == Some(&tag(*table))) {
                rows.remove(&key[9..])?;
                if self.room.is_some() {
                    Room::leave(self.transaction, &key[8..])?;
                }
            }
        }
        for key in &gone {
            ends.remove(key.as_slice())?;
        }
        self.changed |= !gone.is_empty();
        Ok(Outcome::Swept { more: gone.len() == STEP })
    }
}

/// Makes every table, so that a reader finds them all.
pub(super) fn lay_out(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    for table in Table::ALL {
        transaction.open_table(rows_of(*table))?;
    }
    transaction.open_table(ENDS)?;
    Room::lay_out(transaction)?;
    transaction.open_table(ABOUT)?.insert(SCHEMA_ROW, SCHEMA)?;
    Ok(())
}

/// A row, if it is there.
pub(super) fn get(
    snapshot: &ReadTransaction,
    table: Table,
    key: &[u8],
    now: Time,
) -> Result<Option<Vec<u8>>, redb::Error> {
    there(&snapshot.open_table(rows_of(table))?, key, now)
}

/// The rows after `from`. Those that have ended are looked at and left out, so that a page costs
/// no more where many have.
pub(super) fn page(
    snapshot: &ReadTransaction,
    table: Table,
    from: Option<&[u8]>,
    now: Time,
) -> Result<Page, redb::Error> {
    let rows = snapshot.open_table(rows_of(table))?;
    let start = from.map_or(Bound::Unbounded, Bound::Excluded);
    let mut page = Page::default();
    let (mut seen, mut last) = (0, None);
    for entry in ReadableTable::range::<&[u8]>(&rows, (start, Bound::Unbounded))?.take(STEP) {
        let (key, row) = entry?;
        let (end, value) = split(row.value())?;
        if end > now {
            page.rows.push((key.value().to_vec(), value.to_vec()));
        }
        (seen, last) = (seen + 1, Some(key));
    }
    page.next = last.filter(|_| seen == STEP).map(|key| key.value().to_vec());
    Ok(page)
}

const fn rows_of(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name())
}

fn there(
    rows: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &[u8],
    now: Time,
) -> Result<Option<Vec<u8>>, redb::Error> {
    let Some(row) = rows.get(key)? else { return Ok(None) };
    let (end, value) = split(row.value())?;
    Ok((end > now).then(|| value.to_vec()))
}

/// A row is its end and its value.
fn split(row: &[u8]) -> Result<(Time, &[u8]), redb::Error> {
    let (end, value) = row
        .split_first_chunk()
        .ok_or_else(|| StorageError::Corrupted("a row without an end".to_owned()))?;
    Ok((Time::from_unix(i64::from_be_bytes(*end)), value))
}

/// A row's name among those of all tables.
fn name(table: Table, key: &[u8]) -> Vec<u8> {
    [&[tag(table)][..], key].concat()
}

fn end_key(end: Time, table: Table, key: &[u8]) -> Vec<u8> {
    [&in_order(end), &[tag(table)][..], key].concat()
}

/// A moment whose bytes sort as time does, also before 1970.
fn in_order(time: Time) -> [u8; 8] {
    (time.unix().cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

/// A table's name in [`ENDS`]. It is in the file: a number is never given to another table.
const fn tag(table: Table) -> u8 {
    match table {
        Table::Session => 1,
        Table::Ticket => 2,
        Table::SpentAttempt => 3,
        Table::Handover => 4,
        Table::Account => 5,
        Table::Credential => 6,
        Table::Lease => 7,
        Table::SigningKeys => 8,
        Table::Delivery => 9,
        Table::Answer => 10,
        Table::AnswerBody => 11,
        Table::Asker => 12,
        Table::InstallationToken => 13,
        Table::BrokerCode => 14,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_table_has_a_tag_and_a_name_of_its_own() {
        let tags: HashSet<u8> = Table::ALL.iter().map(|table| tag(*table)).collect();
        assert_eq!(tags.len(), Table::ALL.len());
        let mut names: HashSet<&str> = Table::ALL.iter().map(|table| table.name()).collect();
        for ours in ["ends", "about", "turns", "written"] {
            assert!(names.insert(ours), "a table has the name of ours");
        }
    }

    #[test]
    fn ends_sort_as_time_does() {
        let moments = [i64::MIN, -1, 0, 1, 1_795_235_820, i64::MAX];
        let keys = moments.map(|unix| in_order(Time::from_unix(unix)));
        assert!(keys.is_sorted());
    }
}
