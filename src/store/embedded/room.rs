//! A bound on what the rows weigh: what was written longest ago gives way.

use redb::{ReadableTable, StorageError, TableDefinition, WriteTransaction};

use super::rows::ABOUT;

/// What all rows may weigh, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    bound: u64,
}

/// The rows' names in the order in which they were written.
const WRITTEN: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("written");

/// Each row's place in that order, and its weight.
const TURNS: TableDefinition<'_, &[u8], (u64, u64)> = TableDefinition::new("turns");

/// The row of [`ABOUT`] that holds what all weigh.
const WEIGHT: &str = "weight";

/// What a row takes beside its bytes: its name in four tables.
const ROW: u64 = 320;

/// The largest row that shares its page with others.
const PAGE: u64 = 4096;

// === impl Room ===

impl Room {
    pub(super) fn new(bound: u64) -> Self {
        Self { bound }
    }

    /// Makes the tables.
    pub(super) fn lay_out(transaction: &WriteTransaction) -> Result<(), redb::Error> {
        transaction.open_table(WRITTEN)?;
        transaction.open_table(TURNS)?;
        Ok(())
    }

    /// A row was written, perhaps in another's place.
    pub(super) fn take(
        transaction: &WriteTransaction,
        name: &[u8],
        length: usize,
    ) -> Result<(), redb::Error> {
        Self::leave(transaction, name)?;
        let mut written = transaction.open_table(WRITTEN)?;
        let turn = written.last()?.map_or(0, |(last, _)| last.value()) + 1;
        let weight = weight(length);
        written.insert(turn, name)?;
        transaction.open_table(TURNS)?.insert(name, (turn, weight))?;
        add(transaction, i128::from(weight))
    }

    /// A row is gone.
    pub(super) fn leave(transaction: &WriteTransaction, name: &[u8]) -> Result<(), redb::Error> {
        let mut turns = transaction.open_table(TURNS)?;
        let Some((turn, weight)) = turns.remove(name)?.map(|gone| gone.value()) else {
            return Ok(());
        };
        transaction.open_table(WRITTEN)?.remove(turn)?;
        add(transaction, -i128::from(weight))
    }

    /// The row that was written longest ago, where all together weigh too much.
    pub(super) fn oldest_beyond(
        self,
        transaction: &WriteTransaction,
    ) -> Result<Option<Vec<u8>>, redb::Error> {
        if weight_of_all(transaction)? <= self.bound {
            return Ok(None);
        }
        let written = transaction.open_table(WRITTEN)?;
        let oldest = written.first()?.map(|(_, name)| name.value().to_vec());
        // A weight without rows is none of ours.
        oldest.map_or_else(
            || Err(StorageError::Corrupted("rows that are not there weigh something".into()).into()),
            |name| Ok(Some(name)),
        )
    }
}

fn weight_of_all(transaction: &WriteTransaction) -> Result<u64, redb::Error> {
    Ok(transaction.open_table(ABOUT)?.get(WEIGHT)?.map_or(0, |weight| weight.value()))
}

fn add(transaction: &WriteTransaction, more: i128) -> Result<(), redb::Error> {
    let weight = i128::from(weight_of_all(transaction)?) + more;
    let weight = u64::try_from(weight.max(0)).unwrap_or(u64::MAX);
    transaction.open_table(ABOUT)?.insert(WEIGHT, weight)?;
    Ok(())
}

/// What a row takes in the file: a large one has pages of its own, a power of two of them.
fn weight(length: usize) -> u64 {
    let length = length as u64;
    ROW + if length > PAGE / 2 { length.max(PAGE).next_power_of_two() } else { length }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_weighs_what_it_takes_in_the_file() {
        for (length, pages) in [(0, 0), (100, 100), (2048, 2048), (2049, 4096), (5000, 8192)] {
            assert_eq!(weight(length), ROW + pages, "{length}");
        }
    }
}
