//! Rows of one table that a store has seen, so many at most. When they may be believed is for the store to know.

use std::collections::HashMap;
use std::hash::Hash;

use crate::store::keys::Rows;

/// Rows of one table.
#[derive(Debug)]
pub(in crate::store) struct Kept<K, V> {
    rows: HashMap<K, V>,
    most: usize,
}

impl<K: Clone + Eq + Hash, V: Clone> Kept<K, V> {
    pub(in crate::store) fn new(most: usize) -> Self {
        Self { rows: HashMap::new(), most }
    }

    /// Copies the rows that are known to `found` and names the others.
    pub(in crate::store) fn look_up<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k K>,
        found: &mut Vec<V>,
    ) -> Vec<&'k K> {
        let mut missing = Vec::new();
        for key in keys {
            match self.rows.get(key) {
                Some(row) => found.push(row.clone()),
                None => missing.push(key),
            }
        }
        missing
    }

    /// Remembers a row as it stands in the file.
    pub(in crate::store) fn keep(&mut self, key: K, row: V) {
        if self.rows.len() >= self.most && !self.rows.contains_key(&key) {
            self.rows.clear();
        }
        self.rows.insert(key, row);
    }

    /// Remembers new rows. A changed one is forgotten: not every column of it was written.
    pub(in crate::store) fn follow(&mut self, rows: &Rows<V>, key: fn(&V) -> K) {
        for row in &rows.changed {
            self.rows.remove(&key(row));
        }
        for row in &rows.added {
            self.keep(key(row), row.clone());
        }
    }

    /// Remembers new rows and changed ones, which are written whole.
    pub(in crate::store) fn follow_whole(&mut self, rows: &Rows<V>, key: fn(&V) -> K) {
        for row in rows.added.iter().chain(&rows.changed) {
            self.keep(key(row), row.clone());
        }
    }

    /// Remembers new rows and changed ones as long as they are `open`.
    pub(in crate::store) fn follow_open(&mut self, rows: &Rows<V>, key: fn(&V) -> K, open: fn(&V) -> bool) {
        for row in rows.added.iter().chain(&rows.changed) {
            if open(row) {
                self.keep(key(row), row.clone());
            } else {
                self.rows.remove(&key(row));
            }
        }
    }
}
