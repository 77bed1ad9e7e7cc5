//! Every kind of row goes into both databases and comes back, and both have the same tables.

use std::collections::BTreeMap;

use keytone::ledger::chart::customer;
use keytone::ledger::row::Id;
use keytone::money::Currency;
use keytone::msisdn::Msisdn;
use keytone::payment::fold::ids;
use keytone::payment::row::{
    AttemptRow, BindingRow, CounterKey, CounterRow, EventRow, PairRow, PayerRow, PaymentRow, State,
    SuspensionRow,
};
use keytone::store::keys::{Changes, Keys, Rows};
use keytone::store::{PaymentFilter, Stamp, Store};
use sqlx::{ConnectOptions, Executor, Row};

use super::{Fresh, START, on_all, on_both};

/// Runs a statement on a connection of its own.
pub(super) async fn execute(url: &str, sql: &'static str) {
    if url.starts_with("sqlite:") {
        let options: sqlx::sqlite::SqliteConnectOptions = url.parse().unwrap();
        options.connect().await.unwrap().execute(sql).await.unwrap();
    } else {
        let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
        options.connect().await.unwrap().execute(sql).await.unwrap();
    }
}

fn id(n: u8) -> Id {
    Id([n; 16])
}

fn number(last: u8) -> Msisdn {
    Msisdn::parse(&format!("+861380000000{last}")).unwrap()
}

fn payment(n: u8) -> PaymentRow {
    PaymentRow {
        id: id(n),
        reference: format!("R{n}"),
        account: id(1),
        caller: n.is_multiple_of(2).then(|| number(1)),
        channel: 1,
        product: "recharge".to_owned(),
        target: number(n % 10).into(),
        amount_minor: 5_000,
        fee_minor: 10,
        cost_minor: 4_900,
        currency: Currency::new("CNY").unwrap(),
        state: State::Authorised,
        class: None,
        business_day: 20_000,
        hold: ids::hold(id(n)),
        connector: "acme".to_owned(),
        carrier_reference: None,
        tax_minor: 0,
        payee: None,
        quote: None,
        provider: None,
        deal: None,
        created_at: START.0 + i64::from(n),
        updated_at: START.0,
        next_check_at: None,
        checks: 0,
        version: 1,
    }
}

fn payer() -> PayerRow {
    PayerRow {
        account: id(1),
        suspended: false,
        user_day_limit_minor: Some(7),
        user_payment_limit_minor: None,
        pin_hash: Some("$argon2id$…".to_owned()),
        pin_pepper: 1,
        pin_tries: 0,
        pin_wait_until: 0,
        pin_locked: false,
        created_at: START.0,
        version: 1,
    }
}

fn attempt(payment: Id) -> AttemptRow {
    AttemptRow {
        id: ids::attempt(payment, 1),
        payment,
        number: 1,
        connector: "acme".to_owned(),
        reference: format!("K{payment}"),
        created_at: START.0,
        answered_at: None,
        outcome: None,
        code: None,
        carrier_reference: None,
    }
}

fn counter(used_minor: i64) -> CounterRow {
    CounterRow { key: payment(2).counter_key(), used_minor, payments: 1 }
}

fn pair(state: i16) -> PairRow {
    PairRow { key: payment(2).pair_key(), payment: id(2), state, delivered_at: 0 }
}

fn binding(account: Id) -> BindingRow {
    BindingRow { msisdn: number(1), account, bound_at: START.0 }
}

fn event(version: i64) -> EventRow {
    EventRow { payment: id(2), version, state: State::Authorised, detail: "held".to_owned(), at: START.0 }
}

fn suspension() -> SuspensionRow {
    SuspensionRow { scope: "carrier".to_owned(), key: "acme".to_owned(), since: START.0 }
}

pub(super) async fn write(store: &Store, batch: i64, changes: &Changes) {
    let stamp = Stamp { writer: id(250), batch, at: START.0 };
    store.begin(Keys::default(), START.0).await.unwrap().commit(changes, stamp).await.unwrap();
}

pub(super) fn added<T>(row: T) -> Rows<T> {
    Rows { added: vec![row], changed: vec![] }
}

pub(super) fn changed<T>(row: T) -> Rows<T> {
    Rows { added: vec![], changed: vec![row] }
}

fn first() -> Changes {
    Changes {
        accounts: added(customer(id(1), Currency::new("CNY").unwrap(), START.0)),
        payers: added(payer()),
        bindings: added(binding(id(1))),
        payments: Rows { added: vec![payment(2), payment(3), payment(4)], changed: vec![] },
        events: vec![event(1), event(2)],
        attempts: added(attempt(id(2))),
        counters: added(counter(5_000)),
        pairs: added(pair(1)),
        suspended: vec![suspension()],
        ..Changes::default()
    }
}

async fn every_row_comes_back(fresh: Fresh) {
    let store = &fresh.store;
    write(store, 1, &first()).await;
    assert_eq!(store.payer(id(1)).await.unwrap().unwrap(), payer());
    assert_eq!(store.binding(&number(1)).await.unwrap().unwrap(), binding(id(1)));
    assert_eq!(store.bindings_of(id(1)).await.unwrap(), vec![binding(id(1))]);
    for n in 2..=4 {
        assert_eq!(store.payment(id(n)).await.unwrap().unwrap(), payment(n));
        assert_eq!(store.payment_by_reference(&format!("R{n}")).await.unwrap().unwrap().id, id(n));
    }
    assert_eq!(store.payment_by_attempt(&format!("K{}", id(2))).await.unwrap().unwrap().id, id(2));
    assert_eq!(store.events(id(2)).await.unwrap(), vec![event(1), event(2)]);
    assert_eq!(store.attempts(id(2)).await.unwrap(), vec![attempt(id(2))]);
    assert_eq!(store.counter(&counter(0).key).await.unwrap().unwrap(), counter(5_000));
    assert_eq!(store.pair(&pair(0).key).await.unwrap().unwrap(), pair(1));
    assert_eq!(store.suspensions().await.unwrap(), vec![suspension()]);
    let key = |scope: &str, key: &str| (scope.to_owned(), key.to_owned());
    assert!(store.suspended(&[key("product", "recharge"), key("carrier", "acme")]).await.unwrap());
    assert!(!store.suspended(&[key("carrier", "other")]).await.unwrap());
    assert_eq!(store.totals().await.unwrap().len(), 1);
}

async fn every_change_comes_back(fresh: Fresh) {
    let store = &fresh.store;
    write(store, 1, &first()).await;
    let moved = PaymentRow {
        state: State::Unknown,
        class: Some("timeout".to_owned()),
        carrier_reference: Some("C1".to_owned()),
        next_check_at: Some(START.0 + 5),
        checks: 2,
        version: 2,
        cost_minor: 4_800,
        updated_at: START.0 + 1,
        ..payment(2)
    };
    let answered = AttemptRow {
        answered_at: Some(START.0 + 3),
        outcome: Some("unknown".to_owned()),
        code: Some("504".to_owned()),
        carrier_reference: Some("C1".to_owned()),
        ..attempt(id(2))
    };
    let locked = PayerRow { pin_tries: 5, pin_locked: true, suspended: true, version: 2, ..payer() };
    let second = Changes {
        payers: changed(locked.clone()),
        bindings: changed(binding(id(9))),
        payments: changed(moved.clone()),
        attempts: changed(answered.clone()),
        counters: changed(counter(0)),
        pairs: changed(pair(2)),
        resumed: vec![("carrier".to_owned(), "acme".to_owned())],
        ..Changes::default()
    };
    write(store, 2, &second).await;
    assert_eq!(store.payer(id(1)).await.unwrap().unwrap(), locked);
    assert_eq!(store.binding(&number(1)).await.unwrap().unwrap().account, id(9));
    assert_eq!(store.payment(id(2)).await.unwrap().unwrap(), moved);
    assert_eq!(store.payment(id(3)).await.unwrap().unwrap(), payment(3));
    let found = store.attempt_by_reference(&answered.reference).await.unwrap().unwrap();
    assert_eq!(found, answered);
    assert_eq!(store.counter(&counter(0).key).await.unwrap().unwrap(), counter(0));
    assert_eq!(store.pair(&pair(0).key).await.unwrap().unwrap(), pair(2));
    assert!(store.suspensions().await.unwrap().is_empty());
    write(store, 3, &Changes { unbound: vec![number(1)], ..Changes::default() }).await;
    assert!(store.binding(&number(1)).await.unwrap().is_none());
    // Due work is taken once.
    let due = store.due_payments(START.0 + 5, 9).await.unwrap();
    assert_eq!(due, vec![moved.clone()]);
    assert!(store.claim_payment(&due[0], START.0 + 100).await.unwrap());
    assert!(!store.claim_payment(&due[0], START.0 + 100).await.unwrap());
    assert!(store.due_payments(START.0 + 5, 9).await.unwrap().is_empty());
}

async fn payments_are_listed_by_what_is_asked(fresh: Fresh) {
    let store = &fresh.store;
    write(store, 1, &first()).await;
    let listed = async |filter: PaymentFilter| -> Vec<Id> {
        store.payments(&filter).await.unwrap().iter().map(|p| p.id).collect()
    };
    let all = PaymentFilter { limit: 10, ..PaymentFilter::default() };
    assert_eq!(listed(all.clone()).await, vec![id(4), id(3), id(2)]);
    assert_eq!(listed(PaymentFilter { limit: 1, ..all.clone() }).await, vec![id(4)]);
    assert_eq!(listed(PaymentFilter { target: Some(number(3).into()), ..all.clone() }).await, vec![id(3)]);
    assert_eq!(listed(PaymentFilter { account: Some(id(8)), ..all.clone() }).await, vec![]);
    assert_eq!(listed(PaymentFilter { state: Some(State::Refused), ..all.clone() }).await, vec![]);
    let middle = PaymentFilter { since: Some(START.0 + 3), until: Some(START.0 + 4), ..all };
    assert_eq!(listed(middle).await, vec![id(3)]);
    let open = store.open_payments(&[State::Unknown, State::Authorised], 2).await.unwrap();
    assert_eq!(open.iter().map(|p| p.id).collect::<Vec<_>>(), vec![id(2), id(3)]);
}

fn wide(n: u16) -> Id {
    let mut bytes = [7; 16];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    Id(bytes)
}

fn wide_number(n: u16) -> Msisdn {
    Msisdn::parse(&format!("+86138{n:08}")).unwrap()
}

/// With something in every column of some.
fn wide_payment(n: u16) -> PaymentRow {
    PaymentRow {
        id: wide(n),
        reference: format!("R{n}"),
        target: wide_number(n).into(),
        hold: ids::hold(wide(n)),
        caller: n.is_multiple_of(2).then(|| wide_number(n)),
        class: n.is_multiple_of(3).then(|| "refusé".to_owned()),
        carrier_reference: n.is_multiple_of(5).then(|| format!("C{n}")),
        next_check_at: n.is_multiple_of(2).then_some(i64::from(n)),
        tax_minor: i64::from(n),
        payee: n.is_multiple_of(7).then(|| format!("merchant {n}")),
        quote: n.is_multiple_of(7).then(|| format!("{{\"q\":{n}}}")),
        provider: n.is_multiple_of(7).then(|| "wallet".to_owned()),
        deal: n.is_multiple_of(7).then(|| wide(n + 1)),
        ..payment(2)
    }
}

fn wide_attempt(n: u16) -> AttemptRow {
    AttemptRow {
        answered_at: n.is_multiple_of(2).then_some(i64::from(n)),
        outcome: n.is_multiple_of(2).then(|| "refused".to_owned()),
        code: n.is_multiple_of(3).then(|| "504".to_owned()),
        carrier_reference: n.is_multiple_of(5).then(|| format!("C{n}")),
        ..attempt(wide(n))
    }
}

fn wide_event(n: u16) -> EventRow {
    EventRow { payment: wide(n), detail: format!("№ {n}"), ..event(1) }
}

/// Many rows of every kind at once: every size of statement is used, and what is loaded is what was written.
async fn large_batches_are_written_and_loaded_whole(fresh: Fresh) {
    const MANY: u16 = 1_500;
    let (number, payment) = (wide_number, wide_payment);
    let currency = Currency::new("CNY").unwrap();
    let changes = Changes {
        accounts: Rows {
            added: (0..MANY).map(|n| customer(wide(n), currency, 0)).collect(),
            changed: vec![],
        },
        payments: Rows { added: (0..MANY).map(payment).collect(), changed: vec![] },
        attempts: Rows { added: (0..MANY).map(wide_attempt).collect(), changed: vec![] },
        events: (0..MANY).map(wide_event).collect(),
        pairs: Rows {
            added: (0..MANY).map(|n| PairRow { key: payment(n).pair_key(), ..pair(1) }).collect(),
            changed: vec![],
        },
        counters: Rows {
            added: (0..MANY)
                .map(|n| CounterRow {
                    key: CounterKey { scope: 2, owner: number(n).as_str().to_owned(), day: 1 },
                    used_minor: 1,
                    payments: 1,
                })
                .collect(),
            changed: vec![],
        },
        bindings: Rows {
            added: (0..MANY)
                .map(|n| BindingRow { msisdn: number(n), account: wide(n), bound_at: 0 })
                .collect(),
            changed: vec![],
        },
        ..Changes::default()
    };
    write(&fresh.store, 1, &changes).await;
    let keys = Keys {
        accounts: (0..MANY).map(wide).collect(),
        payments: (0..MANY).map(wide).collect(),
        bindings: (0..MANY).map(number).collect(),
        references: (0..MANY).map(|n| format!("R{n}")).collect(),
        counters: changes.counters.added.iter().map(|row| row.key.clone()).collect(),
        ..Keys::default()
    };
    let batch = fresh.store.begin(keys, START.0).await.unwrap();
    let many = usize::from(MANY);
    let loaded = &batch.loaded;
    let sizes = [loaded.payments.len(), loaded.pairs.len(), loaded.bindings.len(), loaded.references.len()];
    assert_eq!(sizes, [many; 4]);
    // The account that all payments belong to was never opened.
    assert_eq!((loaded.accounts.len(), loaded.counters.len()), (many, many));
    let mut payments = loaded.payments.clone();
    payments.sort_unstable_by_key(|row| row.id);
    assert_eq!(payments, changes.payments.added);
    batch.rollback().await.unwrap();
    for n in (0..MANY).step_by(97) {
        assert_eq!(fresh.store.attempts(wide(n)).await.unwrap(), [wide_attempt(n)]);
        assert_eq!(fresh.store.events(wide(n)).await.unwrap(), [wide_event(n)]);
    }
    let mut moved = changes.payments.added;
    moved.iter_mut().for_each(|row| row.version = 2);
    write(
        &fresh.store,
        2,
        &Changes { payments: Rows { added: vec![], changed: moved }, ..Changes::default() },
    )
    .await;
    assert_eq!(fresh.store.payment(wide(MANY - 1)).await.unwrap().unwrap().version, 2);
}

async fn migrating_again_changes_nothing(fresh: Fresh) {
    fresh.store.migrate().await.unwrap();
    let steps = fresh.store.migrations().await.unwrap();
    assert!(steps.len() >= 2 && steps.iter().all(|step| step.applied));
}

on_all!(
    every_row_comes_back,
    every_change_comes_back,
    payments_are_listed_by_what_is_asked,
    large_batches_are_written_and_loaded_whole,
);

mod migrated {
    use super::{migrating_again_changes_nothing, on_both};

    on_both!(migrating_again_changes_nothing);
}

type Schema = BTreeMap<(String, String), (String, bool)>;

/// Table and column to type and whether null is allowed, in SQLite's words.
fn plain(table: &str, column: &str, kind: &str, nullable: bool) -> ((String, String), (String, bool)) {
    let kind = match kind.to_lowercase().as_str() {
        "bigint" | "integer" => "integer",
        "bytea" | "blob" => "blob",
        "text" => "text",
        other => panic!("{table}.{column} has type {other}"),
    };
    ((table.to_owned(), column.to_owned()), (kind.to_owned(), nullable))
}

async fn sqlite_schema(url: &str) -> (Schema, Vec<String>) {
    let options: sqlx::sqlite::SqliteConnectOptions = url.parse().unwrap();
    let mut conn = options.connect().await.unwrap();
    let columns = "select m.name, c.name, c.type, c.\"notnull\" = 0 from sqlite_master m, pragma_table_info(m.name) c \
                   where m.type = 'table' and m.name not like '\\_%' escape '\\' and m.name not like 'sqlite%'";
    let rows = conn.fetch_all(columns).await.unwrap();
    let schema = rows.iter().map(|r| plain(r.get(0), r.get(1), r.get(2), r.get(3))).collect();
    let indexes = "select name from sqlite_master where type = 'index' and sql is not null order by name";
    let rows = conn.fetch_all(indexes).await.unwrap();
    (schema, rows.iter().map(|r| r.get(0)).collect())
}

async fn postgres_schema(url: &str) -> (Schema, Vec<String>) {
    let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
    let mut conn = options.connect().await.unwrap();
    let columns = "select table_name::text, column_name::text, data_type::text, is_nullable = 'YES' \
                   from information_schema.columns where table_schema = 'public' and table_name not like '\\_%'";
    let rows = conn.fetch_all(columns).await.unwrap();
    let schema = rows.iter().map(|r| plain(r.get(0), r.get(1), r.get(2), r.get(3))).collect();
    let indexes = "select indexname::text from pg_indexes where schemaname = 'public' \
                   and indexname not like '%\\_pkey' and indexname not like '%\\_key' order by indexname";
    let rows = conn.fetch_all(indexes).await.unwrap();
    (schema, rows.iter().map(|r| r.get(0)).collect())
}

#[test]
fn both_databases_have_the_same_tables() {
    super::run(async {
        let (sqlite, postgres) = (super::sqlite().await, super::postgres().await);
        let (one, other) = (sqlite_schema(&sqlite.url).await, postgres_schema(&postgres.url).await);
        assert!(one.0.len() > 80, "too few columns were seen: {}", one.0.len());
        assert_eq!(one, other);
        assert_eq!(sqlite.store.migrations().await.unwrap(), postgres.store.migrations().await.unwrap());
    });
}
