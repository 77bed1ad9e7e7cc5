//! Rows of one table in memory, with a journal, so that a refused unit can be taken back.

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::Hash;

use crate::store::keys::Rows;

/// Rows of one table by key, with what they were when the unit began.
#[derive(Debug)]
pub(super) struct Table<K, V> {
    slots: HashMap<K, Slot<V>>,
    /// What to put back, latest last.
    pub(super) undo: Vec<(K, Option<V>)>,
    /// Set when a row was asked for that nobody loaded: an answer would be a guess.
    pub(super) missed: Cell<bool>,
}

#[derive(Debug)]
struct Slot<V> {
    row: Option<V>,
    stored: bool,
    dirty: bool,
}

impl<K: Clone + Eq + Hash, V: Clone> Table<K, V> {
    pub(super) fn new(keys: impl IntoIterator<Item = K>, rows: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut slots: HashMap<K, Slot<V>> =
            keys.into_iter().map(|key| (key, Slot { row: None, stored: false, dirty: false })).collect();
        for (key, row) in rows {
            slots.insert(key, Slot { row: Some(row), stored: true, dirty: false });
        }
        Self { slots, undo: Vec::new(), missed: Cell::new(false) }
    }

    pub(super) fn row(&self, key: &K) -> Option<&V> {
        match self.slots.get(key) {
            Some(slot) => slot.row.as_ref(),
            None => {
                self.missed.set(true);
                None
            }
        }
    }

    pub(super) fn set(&mut self, key: K, row: Option<V>) {
        match self.slots.get_mut(&key) {
            Some(slot) => {
                let before = std::mem::replace(&mut slot.row, row);
                slot.dirty = true;
                self.undo.push((key, before));
            }
            None => self.missed.set(true),
        }
    }

    pub(super) fn row_mut(&mut self, key: &K) -> Option<&mut V> {
        let Some(slot) = self.slots.get_mut(key) else {
            self.missed.set(true);
            return None;
        };
        let row = slot.row.as_mut()?;
        slot.dirty = true;
        self.undo.push((key.clone(), Some(row.clone())));
        Some(row)
    }

    pub(super) fn rollback(&mut self, mark: usize) {
        while self.undo.len() > mark {
            let Some((key, before)) = self.undo.pop() else { break };
            if let Some(slot) = self.slots.get_mut(&key) {
                slot.row = before;
            }
        }
    }

    /// New rows, changed rows, and the keys of rows that are gone.
    pub(super) fn into_rows(self) -> (Rows<V>, Vec<K>)
    where
        K: Ord,
    {
        let mut slots: Vec<(K, Slot<V>)> = self.slots.into_iter().filter(|(_, slot)| slot.dirty).collect();
        slots.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let mut rows = Rows::default();
        let mut gone = Vec::new();
        for (key, slot) in slots {
            match (slot.row, slot.stored) {
                (Some(row), false) => rows.added.push(row),
                (Some(row), true) => rows.changed.push(row),
                (None, true) => gone.push(key),
                (None, false) => {}
            }
        }
        (rows, gone)
    }
}
