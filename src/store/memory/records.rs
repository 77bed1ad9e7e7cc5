//! Tables without rules of their own, with the unique indexes that they have beside their primary keys.

use std::collections::BTreeMap;

use crate::payment::row::record::{Cell, Compare, Record, RecordKey, Recorded, Select};
use crate::store::keys::Changes;

use super::Tables;

/// Table and column of every unique index on a record that is not its primary key. A test compares them with the migrations.
const UNIQUE: &[(&str, &str)] = &[("charges", "number")];

fn unique_value(record: &Record) -> Option<(&'static str, Cell)> {
    let (table, column) = UNIQUE.iter().find(|(table, _)| *table == record.shape.table)?;
    let cell = record.cells.get(record.shape.column(column)?)?;
    (!matches!(cell, Cell::None(_))).then(|| (*table, cell.clone()))
}

/// The table whose unique index a batch breaks, row after row as the other databases write them.
pub(super) fn clash(tables: &Tables, changes: &Changes) -> Option<&'static str> {
    let written = || changes.records.added.iter().chain(&changes.records.changed);
    if !written().any(|record| unique_value(record).is_some()) {
        return None;
    }
    let mut held = tables.unique.clone();
    let mut own: BTreeMap<RecordKey, Option<(&'static str, Cell)>> = BTreeMap::new();
    let stored = |key: &RecordKey| tables.records.get(key).and_then(unique_value);
    for key in &changes.removed {
        if let Some(value) = stored(key) {
            held.remove(&value);
        }
        own.insert(key.clone(), None);
    }
    for record in written() {
        let Some(value) = unique_value(record) else { continue };
        let key = record.key();
        if held.get(&value).is_some_and(|holder| *holder != key) {
            return Some(record.shape.table);
        }
        if let Some(before) = own.get(&key).cloned().unwrap_or_else(|| stored(&key)) {
            held.remove(&before);
        }
        held.insert(value.clone(), key.clone());
        own.insert(key, Some(value));
    }
    None
}

/// Adds or replaces a row.
pub(super) fn put(tables: &mut Tables, record: &Record) {
    let key = record.key();
    remove(tables, &key);
    if let Some(value) = unique_value(record) {
        tables.unique.insert(value, key.clone());
    }
    tables.records.insert(key, record.clone());
}

/// Takes a row out.
pub(super) fn remove(tables: &mut Tables, key: &RecordKey) {
    if let Some(value) = tables.records.remove(key).as_ref().and_then(unique_value) {
        tables.unique.remove(&value);
    }
}

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
        wanted.filters.iter().all(|(column, compare, than)| {
            value(row, column).is_some_and(|cell| match compare {
                Compare::Equal => cell == *than,
                Compare::Below => cell < *than,
                Compare::From => cell >= *than,
            })
        })
    };
    let first = RecordKey { shape: T::SHAPE, cells: Vec::new() };
    let own = tables.records.range(first..).take_while(|(key, _)| key.shape == T::SHAPE);
    let mut rows: Vec<Record> = own.map(|(_, row)| row).filter(holds).cloned().collect();
    let order = |row: &Record| (wanted.order.map(|column| value(row, column)), row.key());
    rows.sort_by_cached_key(order);
    if wanted.descending {
        rows.reverse();
    }
    rows.truncate(usize::try_from(wanted.limit).unwrap_or(usize::MAX));
    rows
}

#[cfg(test)]
mod tests {
    use super::UNIQUE;

    /// Unique columns and indexes of tables that are not made of records: `write::judge` has them.
    const ELSEWHERE: &[(&str, &str)] = &[
        ("accounts", "name, currency"),
        ("payments", "reference"),
        ("attempts", "reference"),
        ("attempts", "payment, number"),
        ("sessions", "key"),
    ];

    /// `(table, columns)` of every unique index in the migrations of SQLite.
    fn declared() -> Vec<(String, String)> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite");
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        let mut found = Vec::new();
        for file in files {
            let text = std::fs::read_to_string(file).unwrap();
            let mut table = String::new();
            for line in text.lines().map(str::trim) {
                let words: Vec<&str> = line.split_whitespace().collect();
                let between = |from: &str| {
                    let (_, rest) = line.split_once(from)?;
                    Some(rest.split_once('(')?.1.split_once(')')?.0.to_owned())
                };
                match words.as_slice() {
                    ["create", "table", name, ..] => table = (*name).trim_end_matches('(').to_owned(),
                    ["create", "unique", "index", _, "on", name, ..] => {
                        let name = name.split('(').next().unwrap().to_owned();
                        found.push((name, between(" on ").unwrap()));
                    }
                    ["unique", ..] => found.push((table.clone(), between("unique").unwrap())),
                    [column, .., last] if last.trim_end_matches(',') == "unique" => {
                        found.push((table.clone(), (*column).to_owned()));
                    }
                    _ => {}
                }
            }
        }
        found
    }

    #[test]
    fn every_unique_index_of_the_migrations_is_kept() {
        let mut here: Vec<_> =
            UNIQUE.iter().chain(ELSEWHERE).map(|(t, c)| (t.to_string(), c.to_string())).collect();
        let mut there = declared();
        here.sort();
        there.sort();
        assert_eq!(here, there);
    }
}
