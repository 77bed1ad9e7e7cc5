//! Tables without rules of their own (`payment::row::record`): the same statements for all of them. Compiled once for each
//! database, whose types the parent module names.
//!
//! The texts are made of the names in a [`Shape`], which are literals of the program, and of numbered places; every value is
//! bound.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, Row as _};

use crate::payment::row::PaymentFact;
use crate::payment::row::record::{AUDITED, Cell, Compare, Kind, Record, RecordKey, Shape};
use crate::store::error::Error;
use crate::store::keys::Changes;

use super::{Conn, Db, LOCK, NUMBERED, Pool, Row};

/// Rows of one statement, largest first: few lengths, so that the prepared statements are few.
const LENGTHS: &[usize] = &[64, 16, 4, 1];
/// Rows read at once by the audit.
const PAGE: usize = 1_000;

type Query = sqlx::query::Query<'static, Db, <Db as sqlx::Database>::Arguments>;

fn bind(query: Query, cell: &Cell) -> Query {
    match cell {
        Cell::None(Kind::Int) => query.bind(None::<i64>),
        Cell::None(Kind::Text) => query.bind(None::<String>),
        Cell::None(Kind::Blob) => query.bind(None::<Vec<u8>>),
        Cell::Int(value) => query.bind(*value),
        Cell::Text(text) => query.bind(text.clone()),
        Cell::Blob(bytes) => query.bind(bytes.clone()),
    }
}

fn query<'c>(sql: String, cells: impl IntoIterator<Item = &'c Cell>) -> Query {
    cells.into_iter().fold(sqlx::query(AssertSqlSafe(sql)), bind)
}

fn decode(shape: &'static Shape, row: &Row) -> Result<Record, Error> {
    let mut cells = Vec::with_capacity(shape.columns.len());
    for (index, (_, kind)) in shape.columns.iter().enumerate() {
        let cell = match kind {
            Kind::Int => row.try_get::<Option<i64>, _>(index)?.map(Cell::Int),
            Kind::Text => row.try_get::<Option<String>, _>(index)?.map(Cell::Text),
            Kind::Blob => row.try_get::<Option<Vec<u8>>, _>(index)?.map(Cell::Blob),
        };
        cells.push(cell.unwrap_or(Cell::None(*kind)));
    }
    Ok(Record { shape, cells })
}

fn names(columns: &[(&'static str, Kind)]) -> String {
    columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// `($1, $2), ($3, $4)`, or `(?, ?), (?, ?)`.
pub(super) fn places(rows: usize, columns: usize) -> String {
    let mut text = String::new();
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns {
            let comma = if column == 0 { "" } else { ", " };
            let _ = match NUMBERED {
                true => write!(text, "{comma}${}", row * columns + column + 1),
                false => write!(text, "{comma}?"),
            };
        }
        text.push(')');
    }
    text
}

/// `a = $4 and b = $5`, from the place `first` on.
fn key_is(shape: &Shape, first: usize) -> String {
    let parts = shape.columns.iter().take(shape.key).enumerate();
    parts.map(|(n, (name, _))| format!("{name} = ${}", first + n)).collect::<Vec<_>>().join(" and ")
}

/// A list of keys of one table as a statement holds it.
struct Part<'k> {
    shape: &'static Shape,
    sql: String,
    cells: Vec<&'k Cell>,
}

/// Cuts keys, in their order, into statements; `lock` locks what they read.
fn parts<'k>(keys: &[&'k RecordKey], lock: &str) -> Vec<Part<'k>> {
    let mut made = Vec::new();
    for run in keys.chunk_by(|a, b| a.shape == b.shape) {
        let Some(shape) = run.first().map(|key| key.shape) else { continue };
        let key_columns = names(shape.columns.get(..shape.key).unwrap_or_default());
        for chunk in run.chunks(LENGTHS.first().copied().unwrap_or(1)) {
            let length = LENGTHS.iter().rev().copied().find(|l| *l >= chunk.len()).unwrap_or(chunk.len());
            let sql = format!(
                "select {} from {} where ({key_columns}) in (values {}) order by {key_columns}{lock}",
                names(shape.columns),
                shape.table,
                places(length, shape.key)
            );
            // The last key is repeated to fill the statement.
            let filled = (0..length).filter_map(|n| chunk.get(n).or_else(|| chunk.last()));
            made.push(Part { shape, sql, cells: filled.flat_map(|key| key.cells.iter()).collect() });
        }
    }
    made
}

/// Loads the rows of a batch, locked where the database has locks for rows, in the order of tables and keys.
pub(super) async fn load(conn: &mut Conn, keys: &BTreeSet<RecordKey>) -> Result<Vec<Record>, Error> {
    let mut found = Vec::new();
    let keys: Vec<&RecordKey> = keys.iter().collect();
    for Part { shape, sql, cells } in parts(&keys, LOCK) {
        for row in query(sql, cells).fetch_all(&mut *conn).await? {
            found.push(decode(shape, &row)?);
        }
    }
    Ok(found)
}

/// Rows by their keys, of any tables.
pub(super) async fn find(pool: &Pool, mut keys: Vec<RecordKey>) -> Result<Vec<Record>, Error> {
    keys.sort_unstable();
    let mut found = Vec::new();
    for Part { shape, sql, cells } in parts(&keys.iter().collect::<Vec<_>>(), "") {
        for row in query(sql, cells).fetch_all(pool).await? {
            found.push(decode(shape, &row)?);
        }
    }
    Ok(found)
}

/// Writes what a batch changed.
pub(super) async fn write(conn: &mut Conn, changes: &Changes) -> Result<(), Error> {
    for key in &changes.removed {
        let sql = format!("delete from {} where {}", key.shape.table, key_is(key.shape, 1));
        query(sql, &key.cells).execute(&mut *conn).await?;
    }
    for run in changes.records.added.chunk_by(|a, b| a.shape == b.shape) {
        let mut rest = run;
        for size in LENGTHS {
            while let Some((chunk, more)) = rest.split_at_checked(*size) {
                let Some(shape) = chunk.first().map(|record| record.shape) else { break };
                let columns = names(shape.columns);
                let values = places(*size, shape.columns.len());
                let sql = format!("insert into {} ({columns}) values {values}", shape.table);
                query(sql, chunk.iter().flat_map(|record| &record.cells)).execute(&mut *conn).await?;
                rest = more;
            }
        }
    }
    for record in &changes.records.changed {
        let Shape { table, key, columns } = record.shape;
        let rest = columns.get(*key..).unwrap_or_default();
        if rest.is_empty() {
            continue;
        }
        let set = rest.iter().enumerate().map(|(n, (name, _))| format!("{name} = ${}", n + 1));
        let set = set.collect::<Vec<_>>().join(", ");
        let sql = format!("update {table} set {set} where {}", key_is(record.shape, rest.len() + 1));
        let cells = record.cells.iter().skip(*key).chain(record.cells.iter().take(*key));
        query(sql, cells).execute(&mut *conn).await?;
    }
    Ok(())
}

/// Rows by the values of their columns.
pub(in crate::store) async fn select(
    pool: &Pool,
    shape: &'static Shape,
    filters: &[(&'static str, Compare, Cell)],
    order: Option<&'static str>,
    descending: bool,
    limit: u32,
) -> Result<Vec<Record>, Error> {
    let mut sql = format!("select {} from {}", names(shape.columns), shape.table);
    for (n, (column, compare, _)) in filters.iter().enumerate() {
        let word = if n == 0 { "where" } else { "and" };
        let sign = match compare {
            Compare::Equal => "=",
            Compare::Below => "<",
            Compare::From => ">=",
        };
        let _ = write!(sql, " {word} {column} {sign} ${}", n + 1);
    }
    let way = if descending { " desc" } else { "" };
    let keys = shape.columns.iter().take(shape.key).map(|(name, _)| *name);
    let order: Vec<String> = order.into_iter().chain(keys).map(|name| format!("{name}{way}")).collect();
    let _ = write!(sql, " order by {} limit ${}", order.join(", "), filters.len() + 1);
    let limit = Cell::Int(i64::from(limit));
    let cells = filters.iter().map(|(_, _, cell)| cell).chain([&limit]);
    query(sql, cells).fetch_all(pool).await?.iter().map(|row| decode(shape, row)).collect()
}

/// Shows the rows of the audited tables to `see`, in the same transaction.
pub(super) async fn audit(conn: &mut Conn, see: &mut (dyn FnMut(PaymentFact) + Send)) -> Result<(), Error> {
    for shape in AUDITED {
        let columns = names(shape.columns);
        let key = names(shape.columns.get(..shape.key).unwrap_or_default());
        let mut after: Option<RecordKey> = None;
        loop {
            let beyond = after
                .as_ref()
                .map_or(String::new(), |_| format!("where ({key}) > {} ", places(1, shape.key)));
            let sql = format!("select {columns} from {} {beyond}order by {key} limit {PAGE}", shape.table);
            let cells = after.iter().flat_map(|key| &key.cells);
            let page = query(sql, cells).fetch_all(&mut *conn).await?;
            let records = page.iter().map(|row| decode(shape, row)).collect::<Result<Vec<_>, _>>()?;
            let full = records.len() == PAGE;
            after = records.last().map(Record::key);
            records.into_iter().for_each(|record| see(PaymentFact::Record(record)));
            if !full {
                break;
            }
        }
    }
    Ok(())
}
