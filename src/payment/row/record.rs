//! Rows of tables that need no rules of their own in a batch: a struct, a table, and a compare-and-set by version.
//!
//! `record!` makes the struct and tells its columns; a unit adds, sets or removes such rows with the ledger commands that
//! belong to them, and the store reads and writes all of these tables by the same few statements. What may follow what is
//! judged by whoever makes the row, on the row that he saw: if it changed in between, the unit is stale and he judges anew.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use crate::ledger::row::Id;
use crate::money::Currency;
use crate::msisdn::Msisdn;
use crate::payment::row::charge::ChargeRow;
use crate::payment::row::order::OrderRow;
use crate::payment::row::provider::ReservationRow;
use crate::payment::row::staff::{AuditHeadRow, AuditRow};

/// One value of a row.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Cell {
    /// No value, in a column of this kind.
    None(Kind),
    /// A whole number.
    Int(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// What a column holds, beside nothing.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// `integer`, `bigint`.
    Int,
    /// `text`.
    Text,
    /// `blob`, `bytea`.
    Blob,
}

/// A table. It is what its name is.
#[derive(Debug)]
pub struct Shape {
    /// Its name.
    pub table: &'static str,
    /// How many of the columns, from the first on, are its primary key.
    pub key: usize,
    /// Its columns in order.
    pub columns: &'static [(&'static str, Kind)],
}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        self.table == other.table
    }
}

impl Eq for Shape {}

impl PartialOrd for Shape {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Shape {
    fn cmp(&self, other: &Self) -> Ordering {
        self.table.cmp(other.table)
    }
}

impl Hash for Shape {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.table.hash(state);
    }
}

impl Shape {
    /// The place of a column.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|(column, _)| *column == name)
    }
}

/// A row of any of these tables.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Its table.
    pub shape: &'static Shape,
    /// Its values, in the order of the columns.
    pub cells: Vec<Cell>,
}

/// The primary key of a row.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RecordKey {
    /// Its table.
    pub shape: &'static Shape,
    /// The values of its first columns.
    pub cells: Vec<Cell>,
}

impl Record {
    /// Its primary key.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        RecordKey { shape: self.shape, cells: self.cells.iter().take(self.shape.key).cloned().collect() }
    }

    /// The value of its column `version`, if it has one.
    #[must_use]
    pub fn version(&self) -> Option<i64> {
        match self.cells.get(self.shape.column("version")?)? {
            Cell::Int(version) => Some(*version),
            Cell::None(_) | Cell::Text(_) | Cell::Blob(_) => None,
        }
    }

    /// The row as what it is, if it is one of `T`.
    #[must_use]
    pub fn read<T: Recorded>(&self) -> Option<T> {
        (self.shape == T::SHAPE).then(|| T::from_cells(&self.cells)).flatten()
    }
}

/// A struct that is a row. Made by `record!`.
pub trait Recorded: Sized {
    /// Its table.
    const SHAPE: &'static Shape;

    /// Its values.
    fn cells(&self) -> Vec<Cell>;

    /// The struct of these values; `None` when they cannot be one.
    fn from_cells(cells: &[Cell]) -> Option<Self>;

    /// The row.
    fn record(&self) -> Record {
        Record { shape: Self::SHAPE, cells: self.cells() }
    }

    /// The key of the row whose first columns are these.
    #[must_use]
    fn key(cells: &[Cell]) -> RecordKey {
        RecordKey { shape: Self::SHAPE, cells: cells.to_vec() }
    }
}

/// A type that a column can hold.
pub trait Field: Sized {
    /// The column's kind.
    const KIND: Kind;

    /// The value.
    fn cell(&self) -> Cell;

    /// What the value means; `None` when it cannot be one of these.
    fn from_cell(cell: &Cell) -> Option<Self>;
}

/// A field's value, for keys and filters.
#[must_use]
pub fn cell<F: Field>(field: &F) -> Cell {
    field.cell()
}

impl Field for i64 {
    const KIND: Kind = Kind::Int;
    fn cell(&self) -> Cell {
        Cell::Int(*self)
    }
    fn from_cell(cell: &Cell) -> Option<Self> {
        if let Cell::Int(value) = cell { Some(*value) } else { None }
    }
}

impl Field for i32 {
    const KIND: Kind = Kind::Int;
    fn cell(&self) -> Cell {
        Cell::Int(i64::from(*self))
    }
    fn from_cell(cell: &Cell) -> Option<Self> {
        Self::try_from(i64::from_cell(cell)?).ok()
    }
}

impl Field for i16 {
    const KIND: Kind = Kind::Int;
    fn cell(&self) -> Cell {
        Cell::Int(i64::from(*self))
    }
    fn from_cell(cell: &Cell) -> Option<Self> {
        Self::try_from(i64::from_cell(cell)?).ok()
    }
}

impl Field for bool {
    const KIND: Kind = Kind::Int;
    fn cell(&self) -> Cell {
        Cell::Int(i64::from(*self))
    }
    fn from_cell(cell: &Cell) -> Option<Self> {
        match i64::from_cell(cell)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Field for String {
    const KIND: Kind = Kind::Text;
    fn cell(&self) -> Cell {
        Cell::Text(self.clone())
    }
    fn from_cell(cell: &Cell) -> Option<Self> {
        if let Cell::Text(text) = cell { Some(text.clone()) } else { None }
    }
}

impl Field for Vec<u8> {
    const KIND: Kind = Kind::Blob;
    fn cell(&self) -> Cell {
        Cell::Blob(self.clone())
    }
    fn from_cell(cell: &Cell) -> Option<Self> {
        if let Cell::Blob(bytes) = cell { Some(bytes.clone()) } else { None }
    }
}

impl Field for Id {
    const KIND: Kind = Kind::Blob;
    fn cell(&self) -> Cell {
        Cell::Blob(self.0.to_vec())
    }
    fn from_cell(cell: &Cell) -> Option<Self> {
        Some(Self(Vec::from_cell(cell)?.try_into().ok()?))
    }
}

impl Field for Msisdn {
    const KIND: Kind = Kind::Text;
    fn cell(&self) -> Cell {
        Cell::Text(self.as_str().to_owned())
    }
    fn from_cell(cell: &Cell) -> Option<Self> {
        Self::parse(&String::from_cell(cell)?).ok()
    }
}

impl Field for Currency {
    const KIND: Kind = Kind::Text;
    fn cell(&self) -> Cell {
        Cell::Text(self.code().to_owned())
    }
    fn from_cell(cell: &Cell) -> Option<Self> {
        Self::new(&String::from_cell(cell)?).ok()
    }
}

impl<F: Field> Field for Option<F> {
    const KIND: Kind = F::KIND;
    fn cell(&self) -> Cell {
        self.as_ref().map_or(Cell::None(F::KIND), Field::cell)
    }
    fn from_cell(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::None(_) => Some(None),
            some => F::from_cell(some).map(Some),
        }
    }
}

/// Makes a struct and its table: `record! { /// About. pub struct Name in "table" { key { /// Its id. id: Id, } /// … rest: i64, } }`.
macro_rules! record {
    ($(#[$about:meta])* pub struct $name:ident in $table:literal {
        key { $($(#[$key_about:meta])* $key:ident: $key_ty:ty,)+ }
        $($(#[$field_about:meta])* $field:ident: $ty:ty,)*
    }) => {
        $(#[$about])*
        #[derive(Clone, Debug, Eq, PartialEq)]
        pub struct $name {
            $($(#[$key_about])* pub $key: $key_ty,)+
            $($(#[$field_about])* pub $field: $ty,)*
        }

        impl $crate::payment::row::record::Recorded for $name {
            const SHAPE: &'static $crate::payment::row::record::Shape = &$crate::payment::row::record::Shape {
                table: $table,
                key: [$(stringify!($key)),+].len(),
                columns: &[
                    $((stringify!($key), <$key_ty as $crate::payment::row::record::Field>::KIND),)+
                    $((stringify!($field), <$ty as $crate::payment::row::record::Field>::KIND),)*
                ],
            };

            fn cells(&self) -> Vec<$crate::payment::row::record::Cell> {
                vec![
                    $($crate::payment::row::record::cell(&self.$key),)+
                    $($crate::payment::row::record::cell(&self.$field),)*
                ]
            }

            fn from_cells(cells: &[$crate::payment::row::record::Cell]) -> Option<Self> {
                let mut cells = cells.iter();
                Some(Self {
                    $($key: $crate::payment::row::record::Field::from_cell(cells.next()?)?,)+
                    $($field: $crate::payment::row::record::Field::from_cell(cells.next()?)?,)*
                })
            }
        }
    };
}
pub(crate) use record;

/// How a column of a wanted row stands to a value.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Compare {
    /// Equal.
    Equal,
    /// Less.
    Below,
    /// Not less.
    From,
}

/// Which rows of one table are wanted, and in what order.
#[derive(Clone, Debug)]
pub struct Select<T> {
    /// Every one of these must hold.
    pub filters: Vec<(&'static str, Compare, Cell)>,
    /// By this column, then by the key; by the key alone when `None`.
    pub order: Option<&'static str>,
    /// Latest first.
    pub descending: bool,
    /// At most so many.
    pub limit: u32,
    of: std::marker::PhantomData<fn() -> T>,
}

/// Rows that a [`Select`] gives at most unless it says otherwise.
pub const SELECT_MAX: u32 = 1_000;

impl<T> Default for Select<T> {
    fn default() -> Self {
        Self {
            filters: Vec::new(),
            order: None,
            descending: false,
            limit: SELECT_MAX,
            of: std::marker::PhantomData,
        }
    }
}

impl<T: Recorded> Select<T> {
    /// All rows, in the order of their keys, [`SELECT_MAX`] at most.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn filter(mut self, column: &'static str, compare: Compare, cell: Cell) -> Self {
        self.filters.push((column, compare, cell));
        self
    }

    /// Only rows whose column equals the value.
    #[must_use]
    pub fn equal(self, column: &'static str, value: &impl Field) -> Self {
        self.filter(column, Compare::Equal, value.cell())
    }

    /// Only rows whose column is less than the value.
    #[must_use]
    pub fn below(self, column: &'static str, value: &impl Field) -> Self {
        self.filter(column, Compare::Below, value.cell())
    }

    /// Only rows whose column is not less than the value.
    #[must_use]
    pub fn from(self, column: &'static str, value: &impl Field) -> Self {
        self.filter(column, Compare::From, value.cell())
    }

    /// In the order of this column.
    #[must_use]
    pub const fn order(mut self, column: &'static str) -> Self {
        self.order = Some(column);
        self
    }

    /// The last first.
    #[must_use]
    pub const fn descending(mut self) -> Self {
        self.descending = true;
        self
    }

    /// At most so many.
    #[must_use]
    pub const fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }
}

/// What a unit does with a row. See `Op::add`, `Op::set`, `Op::put`, `Op::remove`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Write {
    /// Adds it; the very same row is there already is fine, another of its key is refused.
    Add(Record),
    /// Replaces the row whose version is one less.
    Set(Record),
    /// Adds or replaces it.
    Put(Record),
    /// Takes it out, if it is there.
    Remove(RecordKey),
}

impl Write {
    /// Whose row it is.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        match self {
            Self::Add(record) | Self::Set(record) | Self::Put(record) => record.key(),
            Self::Remove(key) => key.clone(),
        }
    }
}

record! {
    /// What a money action came to that made no payment of its own: a confirmation, a release. Written in the same commit, so
    /// that the same id again gets the same answer.
    pub struct AnswerRow in "answers" {
        key { /// The id that the action was asked under.
            id: Id, }
        /// The action's name.
        action: String,
        /// The outcome's name.
        outcome: String,
        /// Its values, as JSON.
        outcome_values: String,
        /// Microseconds.
        at: i64,
    }
}

/// The tables whose rows `ledger verify` is shown.
pub static AUDITED: &[&Shape] =
    &[OrderRow::SHAPE, ChargeRow::SHAPE, ReservationRow::SHAPE, AuditRow::SHAPE, AuditHeadRow::SHAPE];

#[cfg(test)]
mod tests {
    use super::*;

    record! {
        /// For the test.
        #[expect(unreachable_pub, reason = "the macro makes public structs")]
        pub struct Thing in "things" {
            key { /// Its id.
                id: Id, /// Its number.
                number: i32, }
            /// Whose.
            owner: Option<Msisdn>,
            /// Yes or no.
            open: bool,
            /// Changes.
            version: i64,
        }
    }

    #[test]
    fn a_record_reads_back() {
        let id = Id([7; 16]);
        for owner in [None, Some(Msisdn::parse("+8613800000001").unwrap())] {
            let thing = Thing { id, number: -3, owner, open: true, version: 2 };
            let record = thing.record();
            assert_eq!(record.read::<Thing>(), Some(thing));
            assert_eq!(record.version(), Some(2));
            assert_eq!(record.key(), Thing::key(&[cell(&id), cell(&-3_i32)]));
        }
        assert_eq!(Thing::SHAPE.columns.len(), 5);
        assert_eq!(Thing::SHAPE.key, 2);
        let mut cells = Thing { id, number: 1, owner: None, open: false, version: 1 }.cells();
        cells[3] = Cell::Int(2);
        assert_eq!(Thing::from_cells(&cells), None, "2 is neither yes nor no");
    }
}
