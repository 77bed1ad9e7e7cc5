//! Tables without rules of their own. Of their indexes only the primary keys are kept here.

use crate::payment::row::record::{Cell, Compare, Record, RecordKey, Recorded, Select};

use super::Tables;

/// One row by its key.
pub(in crate::store) fn find(tables: &Tables, key: &RecordKey) -> Option<Record> {
    tables.records.get(key).cloned()
}

/// Rows by the values of their columns. As in SQL, nothing compares with no value.
pub(in crate::store) fn select<T: Recorded>(tables: &Tables, wanted: &Select<T>) -> Vec<Record> {
    let value = |row: &Record, column: &str| -> Option<Cell> {
        row.cells.get(T::SHAPE.column(column)?).filter(|cell| !matches!(cell, Cell::None(_))).cloned()
    };
    let holds = |row: &&Record| {
        row.shape == T::SHAPE
            && wanted.filters.iter().all(|(column, compare, than)| {
                value(row, column).is_some_and(|cell| match compare {
                    Compare::Equal => cell == *than,
                    Compare::Below => cell < *than,
                    Compare::From => cell >= *than,
                })
            })
    };
    let mut rows: Vec<Record> = tables.records.values().filter(holds).cloned().collect();
    let order = |row: &Record| (wanted.order.map(|column| value(row, column)), row.key());
    rows.sort_by_cached_key(order);
    if wanted.descending {
        rows.reverse();
    }
    rows.truncate(usize::try_from(wanted.limit).unwrap_or(usize::MAX));
    rows
}
