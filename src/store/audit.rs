//! Streams the books in the order in which `ledger::verify` and `payment::verify` prove them, from one snapshot and in bounded memory.
//! Compiled once for each database, whose `Conn` and `Row` types the parent module names.

use futures_util::TryStreamExt;

use crate::ledger::row::{Case, EntryRow, Fact, HoldRow, Id, TransferRow};
use crate::payment::row::{AttemptRow, EventRow, PairRow, PaymentCase, PaymentFact, PaymentRow};
use crate::store::columns::{
    account_columns, attempt_columns, counter_columns, entry_columns, event_columns, hold_columns,
    pair_columns, payment_columns, transfer_columns,
};
use crate::store::error::Error;

use super::{Conn, Db, Row, decode};

/// Rows read at once.
const PAGE: i64 = 1000;

type Query = sqlx::query::Query<'static, Db, <Db as sqlx::Database>::Arguments>;

async fn all<T>(
    conn: &mut Conn,
    query: Query,
    decode: fn(&Row) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    query.fetch_all(conn).await?.iter().map(decode).collect()
}

/// Shows every row of the ledger to `see`. The caller has opened a transaction that sees one state of the database.
pub(super) async fn books(conn: &mut Conn, see: &mut (dyn FnMut(Fact) + Send)) -> Result<(), Error> {
    accounts(conn, see).await?;
    chains(conn, see).await?;
    pending(conn, see).await?;
    cases(conn, see).await?;
    orphans(conn, see).await
}

async fn accounts(conn: &mut Conn, see: &mut (dyn FnMut(Fact) + Send)) -> Result<(), Error> {
    const SQL: &str =
        concat!("select ", account_columns!(), " from accounts where id > $1 order by id limit $2");
    let mut after = Vec::new();
    loop {
        let page = all(conn, sqlx::query(SQL).bind(after).bind(PAGE), decode::account).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id.0.to_vec();
        page.into_iter().for_each(|row| see(Fact::Account(row)));
    }
}

/// Every entry, account by account, in sequence.
async fn chains(conn: &mut Conn, see: &mut (dyn FnMut(Fact) + Send)) -> Result<(), Error> {
    // The database sorts once, in files of its own; the rows arrive as they are read.
    const SQL: &str =
        concat!("select ", entry_columns!(), " from entries order by account, sequence, transfer");
    let mut rows = sqlx::query(SQL).fetch(conn);
    while let Some(row) = rows.try_next().await? {
        see(Fact::Chain(decode::entry(&row)?));
    }
    Ok(())
}

/// Every unresolved hold.
async fn pending(conn: &mut Conn, see: &mut (dyn FnMut(Fact) + Send)) -> Result<(), Error> {
    const SQL: &str =
        concat!("select ", hold_columns!(), " from holds where state = 0 and id > $1 order by id limit $2");
    let mut after = Vec::new();
    loop {
        let page = all(conn, sqlx::query(SQL).bind(after).bind(PAGE), decode::hold).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id.0.to_vec();
        page.into_iter().for_each(|row| see(Fact::Pending(row)));
    }
}

fn range(sql: &'static str, after: &[u8], last: Id) -> Query {
    sqlx::query(sql).bind(after.to_vec()).bind(last.0.to_vec())
}

/// Every transfer with its entries, its hold, and what refers to it.
async fn cases(conn: &mut Conn, see: &mut (dyn FnMut(Fact) + Send)) -> Result<(), Error> {
    const TRANSFERS: &str =
        concat!("select ", transfer_columns!(), " from transfers where id > $1 order by id limit $2");
    const ENTRIES: &str = concat!(
        "select ",
        entry_columns!(),
        " from entries where transfer > $1 and transfer <= $2 order by transfer, account"
    );
    const HOLDS: &str =
        concat!("select ", hold_columns!(), " from holds where id > $1 and id <= $2 order by id");
    const REFERRING: &str = concat!(
        "select ",
        transfer_columns!(),
        " from transfers where refers_to > $1 and refers_to <= $2 order by refers_to, id"
    );
    const REFERRING_ENTRIES: &str = concat!(
        "select ",
        entry_columns!(),
        " from entries where transfer in (select id from transfers where refers_to > $1 and refers_to <= $2) ",
        "order by transfer, account"
    );
    let mut after: Vec<u8> = Vec::new();
    loop {
        let query = sqlx::query(TRANSFERS).bind(after.clone()).bind(PAGE);
        let page = all(conn, query, decode::transfer).await?;
        let Some(last) = page.last().map(|row| row.id) else { return Ok(()) };
        let rows = PageRows {
            entries: all(conn, range(ENTRIES, &after, last), decode::entry).await?,
            holds: all(conn, range(HOLDS, &after, last), decode::hold).await?,
            referring: all(conn, range(REFERRING, &after, last), decode::transfer).await?,
            referring_entries: all(conn, range(REFERRING_ENTRIES, &after, last), decode::entry).await?,
        };
        page.into_iter().for_each(|transfer| see(Fact::Case(rows.case(transfer))));
        after = last.0.to_vec();
    }
}

/// What belongs to a page of transfers, each list in the order of its key.
struct PageRows {
    entries: Vec<EntryRow>,
    holds: Vec<HoldRow>,
    referring: Vec<TransferRow>,
    referring_entries: Vec<EntryRow>,
}

impl PageRows {
    fn case(&self, transfer: TransferRow) -> Case {
        let referring = equal(&self.referring, |row| row.refers_to, Some(transfer.id));
        Case {
            entries: equal(&self.entries, |row| row.transfer, transfer.id).to_vec(),
            hold: equal(&self.holds, |row| row.id, transfer.id).first().cloned(),
            referring: referring
                .iter()
                .map(|row| {
                    let entries = equal(&self.referring_entries, |entry| entry.transfer, row.id);
                    (row.clone(), entries.to_vec())
                })
                .collect(),
            transfer,
        }
    }
}

/// The run of rows with this key in a list sorted by it.
fn equal<T, K: Ord>(rows: &[T], key: impl Fn(&T) -> K, wanted: K) -> &[T] {
    let from = rows.partition_point(|row| key(row) < wanted);
    let to = rows.partition_point(|row| key(row) <= wanted);
    rows.get(from..to).unwrap_or_default()
}

/// Rows whose transfer is gone.
async fn orphans(conn: &mut Conn, see: &mut (dyn FnMut(Fact) + Send)) -> Result<(), Error> {
    const ENTRIES: &str = "select e.transfer from entries e left join transfers t on t.id = e.transfer \
                           where t.id is null order by e.transfer limit $1";
    const HOLDS: &str = "select h.id from holds h left join transfers t on t.id = h.id \
                         where t.id is null order by h.id limit $1";
    const REFERRING: &str = "select r.id from transfers r left join transfers t on t.id = r.refers_to \
                             where r.refers_to is not null and r.outcome = 0 and t.id is null \
                             order by r.id limit $1";
    for (table, sql) in [("entries", ENTRIES), ("holds", HOLDS), ("transfers", REFERRING)] {
        for id in all(conn, sqlx::query(sql).bind(PAGE), |row| decode::id(row, 0)).await? {
            see(Fact::Orphan { table, id });
        }
    }
    Ok(())
}

/// Shows every row of payments, of holds for none and of limits to `see`, in the same transaction.
pub(super) async fn payments(
    conn: &mut Conn,
    see: &mut (dyn FnMut(PaymentFact) + Send),
) -> Result<(), Error> {
    payment_cases(conn, see).await?;
    strays(conn, see).await?;
    counters(conn, see).await
}

/// Every payment with its commands, its holds and its pair.
async fn payment_cases(conn: &mut Conn, see: &mut (dyn FnMut(PaymentFact) + Send)) -> Result<(), Error> {
    const PAYMENTS: &str =
        concat!("select ", payment_columns!(), " from payments where id > $1 order by id limit $2");
    const TRANSFERS: &str = concat!(
        "select ",
        transfer_columns!(),
        " from transfers where payment > $1 and payment <= $2 order by payment, id"
    );
    const HOLDS: &str = concat!(
        "select ",
        hold_columns!(),
        " from holds where id in (select id from transfers where payment > $1 and payment <= $2) order by id"
    );
    const EVENTS: &str = concat!(
        "select ",
        event_columns!(),
        " from payment_events where payment > $1 and payment <= $2 order by payment, version"
    );
    const ATTEMPTS: &str = concat!(
        "select ",
        attempt_columns!(),
        " from attempts where payment > $1 and payment <= $2 order by payment, number"
    );
    // The names of the inner columns are free, so that those of the pair stand alone.
    const PAIRS: &str = concat!(
        "select ",
        pair_columns!(),
        ", paid from pairs join (select id as paid, account as payer, target as phone, amount_minor as face \
         from payments where id > $1 and id <= $2) as page \
         on account = payer and target = phone and amount_minor = face order by paid"
    );
    let mut after: Vec<u8> = Vec::new();
    loop {
        let query = sqlx::query(PAYMENTS).bind(after.clone()).bind(PAGE);
        let page = all(conn, query, decode::payment).await?;
        let Some(last) = page.last().map(|row| row.id) else { return Ok(()) };
        let rows = PaymentRows {
            transfers: all(conn, range(TRANSFERS, &after, last), decode::transfer).await?,
            holds: all(conn, range(HOLDS, &after, last), decode::hold).await?,
            pairs: all(conn, range(PAIRS, &after, last), |row| Ok((decode::id(row, 6)?, decode::pair(row)?)))
                .await?,
            events: all(conn, range(EVENTS, &after, last), decode::event).await?,
            attempts: all(conn, range(ATTEMPTS, &after, last), decode::attempt).await?,
        };
        page.into_iter().for_each(|payment| see(PaymentFact::Payment(Box::new(rows.case(payment)))));
        after = last.0.to_vec();
    }
}

/// What belongs to a page of payments, each list in the order of its key.
struct PaymentRows {
    transfers: Vec<TransferRow>,
    holds: Vec<HoldRow>,
    pairs: Vec<(Id, PairRow)>,
    events: Vec<EventRow>,
    attempts: Vec<AttemptRow>,
}

impl PaymentRows {
    fn case(&self, payment: PaymentRow) -> PaymentCase {
        let transfers = equal(&self.transfers, |row| row.payment, Some(payment.id)).to_vec();
        let holds = transfers.iter().flat_map(|t| equal(&self.holds, |row| row.id, t.id)).cloned().collect();
        let pair = equal(&self.pairs, |(paid, _)| *paid, payment.id).first().map(|(_, row)| row.clone());
        let events = equal(&self.events, |row| row.payment, payment.id).to_vec();
        let attempts = equal(&self.attempts, |row| row.payment, payment.id).to_vec();
        PaymentCase { payment, transfers, holds, pair, events, attempts }
    }
}

/// Pending holds of no payment, pairs whose payment is not theirs, and what is wrong in the list of open payments.
async fn strays(conn: &mut Conn, see: &mut (dyn FnMut(PaymentFact) + Send)) -> Result<(), Error> {
    const HOLDS: &str = concat!(
        "select ",
        hold_columns!(),
        " from holds where state = 0 and not exists (select 1 from transfers join payments \
         on payments.id = transfers.payment where transfers.id = holds.id) order by id"
    );
    const PAIRS: &str = concat!(
        "select ",
        pair_columns!(),
        " from pairs where not exists (select 1 from payments where payments.id = pairs.payment \
         and payments.account = pairs.account and payments.target = pairs.target \
         and payments.amount_minor = pairs.amount_minor) order by account, target, amount_minor"
    );
    // Who looks for what is to be asked looks at the list alone.
    const MISLISTED: &str = "select id from payments where state not in (4, 5, 8) and not exists (select 1 \
                             from open_payments as o where o.id = payments.id and o.state = payments.state \
                             and o.created_at = payments.created_at \
                             and o.next_check_at is not distinct from payments.next_check_at) \
                             union all select id from open_payments where not exists (select 1 from payments \
                             where payments.id = open_payments.id and payments.state not in (4, 5, 8))";
    let mut holds = sqlx::query(HOLDS).fetch(&mut *conn);
    while let Some(row) = holds.try_next().await? {
        see(PaymentFact::StrayHold(decode::hold(&row)?));
    }
    drop(holds);
    let mut pairs = sqlx::query(PAIRS).fetch(&mut *conn);
    while let Some(row) = pairs.try_next().await? {
        see(PaymentFact::StrayPair(decode::pair(&row)?));
    }
    drop(pairs);
    let mut mislisted = sqlx::query(MISLISTED).fetch(&mut *conn);
    while let Some(row) = mislisted.try_next().await? {
        see(PaymentFact::Mislisted(decode::id(&row, 0)?));
    }
    Ok(())
}

async fn counters(conn: &mut Conn, see: &mut (dyn FnMut(PaymentFact) + Send)) -> Result<(), Error> {
    const SQL: &str = concat!("select ", counter_columns!(), " from counters order by owner, day, scope");
    let mut rows = sqlx::query(SQL).fetch(conn);
    while let Some(row) = rows.try_next().await? {
        see(PaymentFact::Counter(decode::counter(&row)?));
    }
    Ok(())
}
