//! `ledger verify` over payments: sound after everything that a payment can become, and naming whatever row was
//! changed behind its back; and holds whose time has passed.

use std::time::Duration;

use keytone::clock::{Clock, Timestamp};
use keytone::connector::key::{Encoding, sign};
use keytone::connector::sandbox;
use keytone::ledger::chart::{House, customer};
use keytone::ledger::command::{Act, Command, Leg};
use keytone::ledger::row::{Id, Kind};
use keytone::payment::answer::{Channel, Quote};
use keytone::payment::fold::ids;
use keytone::payment::row::{CounterKey, PaymentRow, State};
use keytone::payment::run::audit::verify;
use keytone::payment::unit::{Authorise, Op, Unit};
use tokio_util::sync::CancellationToken;

use crate::support::market::{Database, Market, cny, phone};
use crate::support::tamper::{literal, tamper};

const ME: &str = "+8613800000001";
const HOUR: Duration = Duration::from_secs(3_600);

mod sqlite {
    use crate::support::market::Database;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_change_behind_our_back_is_named() {
        super::every_change_behind_our_back_is_named(Database::Sqlite).await;
    }
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn overdue_holds_are_free_at_once_and_swept() {
        super::overdue_holds_are_free_at_once_and_swept(Database::Sqlite).await;
    }
}

mod postgres {
    use crate::support::market::Database;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_change_behind_our_back_is_named() {
        super::every_change_behind_our_back_is_named(Database::Postgres).await;
    }
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn overdue_holds_are_free_at_once_and_swept() {
        super::overdue_holds_are_free_at_once_and_swept(Database::Postgres).await;
    }
}

/// A payment of 50 to this number, after which the carrier says these things in turn, and where it ends.
async fn paid(market: &Market, account: Id, suffix: &str, said: &[&str], end: State) -> PaymentRow {
    let mut request = market.request(account, ME, &format!("+8613800000{suffix}"), 5_000);
    request.repeat = true;
    let id = request.id;
    market.payments.pay(request).await.unwrap();
    for status in said {
        say(market, id, status).await;
    }
    let payment = market.payment(id).await;
    assert_eq!(payment.state, end, "{suffix} {said:?}");
    payment
}

/// What the carrier says of a payment, in a callback.
async fn say(market: &Market, payment: Id, status: &str) {
    let reference = market.store.attempts(payment).await.unwrap()[0].reference.clone();
    let body = format!(r#"{{"reference":"{reference}","status":"{status}","amount":"50.00"}}"#);
    let at = market.clock.now().0 / 1_000_000;
    let key = sandbox::Config::new("unused".into(), market.clock.clone()).key;
    let signature = sign(&key, format!("{at}.{body}").as_bytes(), Encoding::Hex);
    let headers = [("X-Signature".to_owned(), signature), ("X-Timestamp".to_owned(), at.to_string())];
    let reply = market.payments.callback("sandbox", &headers, body.as_bytes()).await;
    assert_eq!(reply.status, 200, "{status}");
}

struct Made {
    account: Id,
    counter: CounterKey,
    delivered: PaymentRow,
    refused: PaymentRow,
    unknown: PaymentRow,
    reversed: PaymentRow,
    contested: PaymentRow,
}

/// One payment of every kind, each ending proved.
async fn mixed(market: &Market) -> Made {
    let account = market.account(ME, 5_000_000).await;
    let delivered = paid(market, account, "101", &[], State::Delivered).await;
    let refused = paid(market, account, "901", &[], State::Refused).await;
    paid(market, account, "901", &[], State::Refused).await;
    let unknown = paid(market, account, "906", &[], State::Unknown).await;
    paid(market, account, "914", &[], State::Submitted).await;
    let reversed = paid(market, account, "102", &["REVERSED"], State::Reversed).await;
    paid(market, account, "102", &[], State::Delivered).await;
    // Delivered late: it stays refused, and counts no more.
    let late = paid(market, account, "902", &["DELIVERED"], State::Refused).await;
    assert_eq!(late.class.as_deref(), Some("late_delivered"));
    paid(market, account, "902", &["DELIVERED", "REVERSED"], State::Refused).await;
    // Contested, and how that ends.
    let contested = paid(market, account, "103", &["BARRED"], State::NeedsReview).await;
    paid(market, account, "104", &["BARRED", "BARRED"], State::Refused).await;
    paid(market, account, "105", &["BARRED", "DELIVERED"], State::Delivered).await;
    paid(market, account, "106", &["BARRED", "DELIVERED", "REVERSED"], State::Reversed).await;
    // Contested after an equal one took its place: both are open.
    let first = paid(market, account, "107", &[], State::Delivered).await;
    let second = paid(market, account, "107", &[], State::Delivered).await;
    say(market, first.id, "BARRED").await;
    assert_eq!(market.payment(first.id).await.state, State::NeedsReview);
    let pair = market.store.pair(&first.pair_key()).await.unwrap().unwrap();
    assert_eq!((pair.payment, pair.state), (second.id, 2));
    let counter = delivered.counter_key();
    Made { account, counter, delivered, refused, unknown, reversed, contested }
}

/// What is done, how it is undone, and the row that must be named.
type Tampering = (String, String, Named);
/// The invariant, the table's word and the id of a row.
type Named = (&'static str, &'static str, Id);

fn update(table: &str, rows: &str, to: &str, back: &str, named: Named) -> Tampering {
    let sql = |set: &str| format!("update {table} set {set} where {rows}");
    (sql(to), sql(back), named)
}

/// One more or one less, in these columns.
fn shifted(table: &str, rows: &str, columns: &[&str], named: Named) -> Vec<Tampering> {
    let set = |column: &str, by: &str| format!("{column} = {column} {by} 1");
    let one = |column: &&str| {
        let (more, less) = (set(column, "+"), set(column, "-"));
        [update(table, rows, &more, &less, named), update(table, rows, &less, &more, named)]
    };
    columns.iter().flat_map(one).collect()
}

fn of_counters(made: &Made, used: i64, payments: i64) -> Vec<Tampering> {
    let named = ("I11", "counter", made.account);
    let (owner, today) = (&made.counter.owner, made.counter.day);
    let insert = |day: i32, used: i64, payments: i64| {
        let columns = "scope, owner, day, used_minor, payments";
        format!("insert into counters ({columns}) values (1, '{owner}', {day}, {used}, {payments})")
    };
    let delete = |day: i32| format!("delete from counters where owner = '{owner}' and day = {day}");
    let mut all = vec![
        (insert(today + 1, 0, 0), delete(today + 1), named),
        (delete(today), insert(today, used, payments), named),
    ];
    let rows = format!("owner = '{owner}' and day = {today}");
    all.extend(shifted("counters", &rows, &["used_minor", "payments"], named));
    all
}

fn of_holds(made: &Made, sqlite: bool) -> Vec<Tampering> {
    let hex = |id| literal(id, sqlite);
    let Made { delivered, refused, unknown, .. } = made;
    let rows = |payment: &PaymentRow| format!("id = {}", hex(payment.hold));
    let named = |payment: &PaymentRow| ("I10", "payment", payment.id);
    let resolved = |state: i16, by: Id| format!("state = {state}, resolved_by = {}", hex(by));
    let pending = "state = 0, resolved_by = null";
    let hold = |payment, to: &str, back: &str| update("holds", &rows(payment), to, back, named(payment));
    let account = |id| format!("account = {}", hex(id));
    let theirs = format!("payment = {}", hex(unknown.id));
    vec![
        hold(delivered, pending, &resolved(1, ids::post(delivered.id))),
        hold(refused, pending, &resolved(2, ids::void(refused.id))),
        hold(unknown, &resolved(2, ids::void(unknown.id)), pending),
        hold(unknown, &resolved(1, ids::post(unknown.id)), pending),
        hold(unknown, "expires_at = 9000000000000000", "expires_at = null"),
        hold(unknown, "amount_minor = 1", "amount_minor = 5000"),
        hold(unknown, &account(Id([9; 16])), &account(made.account)),
        update("transfers", &rows(unknown), "payment = null", &theirs, ("I10", "hold", unknown.hold)),
    ]
}

fn of_pairs(made: &Made, sqlite: bool) -> Vec<Tampering> {
    let Made { delivered, unknown, contested, .. } = made;
    let pair = |payment: &PaymentRow, to: &str, back: &str| {
        let rows = format!("payment = {}", literal(payment.id, sqlite));
        update("pairs", &rows, to, back, ("I11", "pair", payment.id))
    };
    vec![
        pair(unknown, "state = 0", "state = 1"),
        pair(contested, "state = 2", "state = 1"),
        pair(delivered, "state = 1", "state = 2"),
        pair(delivered, "amount_minor = 1", "amount_minor = 5000"),
    ]
}

fn of_payments(made: &Made, sqlite: bool) -> Vec<Tampering> {
    let hex = |id| literal(id, sqlite);
    let Made { delivered, refused, unknown, reversed, contested, .. } = made;
    let rows = |payment: &PaymentRow| format!("id = {}", hex(payment.id));
    let named = |payment: &PaymentRow| ("I10", "payment", payment.id);
    let hold = |of: &PaymentRow| format!("hold = {}", hex(of.hold));
    let mut all = vec![update("payments", &rows(unknown), &hold(delivered), &hold(unknown), named(unknown))];
    all.extend(shifted("payments", &rows(unknown), &["amount_minor"], named(unknown)));
    let counter = ("I11", "counter", made.account);
    all.extend(shifted("payments", &rows(unknown), &["business_day"], counter));
    // Into every state of the other kind, money or not.
    for payment in [delivered, refused, unknown, reversed, contested] {
        let back = format!("state = {}", payment.state.number());
        for state in State::ALL.iter().filter(|state| state.is_open() != payment.state.is_open()) {
            let to = format!("state = {}", state.number());
            all.push(update("payments", &rows(payment), &to, &back, named(payment)));
        }
    }
    all
}

/// The list of open payments, by which those are found that must be asked about.
fn of_list(made: &Made, sqlite: bool) -> Vec<Tampering> {
    let Made { delivered, unknown, .. } = made;
    let row = |payment: &PaymentRow| format!("id = {}", literal(payment.id, sqlite));
    let named = |payment: &PaymentRow| ("I9", "open payment", payment.id);
    let (state, due) = (format!("state = {}", unknown.state.number()), unknown.next_check_at.unwrap());
    let listed = |id: &str| {
        format!(
            "insert into open_payments (id, state, created_at, next_check_at) \
             select id, 6, created_at, next_check_at from payments where id = {id}"
        )
    };
    let drop = |payment: &PaymentRow| format!("delete from open_payments where {}", row(payment));
    vec![
        update("open_payments", &row(unknown), "state = 3", &state, named(unknown)),
        update(
            "open_payments",
            &row(unknown),
            "next_check_at = null",
            &format!("next_check_at = {due}"),
            named(unknown),
        ),
        (drop(unknown), listed(&literal(unknown.id, sqlite)), named(unknown)),
        (listed(&literal(delivered.id, sqlite)), drop(delivered), named(delivered)),
    ]
}

async fn every_change_behind_our_back_is_named(database: Database) {
    let market = Market::open_with(database, |plans| {
        plans.carrier.callback_url = None;
        plans.settings.status_schedule = vec![HOUR; 3];
        plans.settings.answer_within = Duration::from_millis(300);
        plans.settings.day_limit_minor = 10_000_000;
    })
    .await;
    let made = mixed(&market).await;
    let report = verify(&market.store).await.unwrap();
    assert!(report.is_sound(), "{:#?}", report.faults);
    assert_eq!(report.payments, 15);
    let counter = market.store.counter(&made.counter).await.unwrap().unwrap();
    // Delivered: 101, 102, 105 and 107; open: 906, 914, 103 and 107.
    assert_eq!((counter.used_minor, counter.payments), (40_000, 8));
    let sqlite = market.url.starts_with("sqlite");
    let mut cases = of_counters(&made, counter.used_minor, counter.payments);
    cases.extend(of_holds(&made, sqlite));
    cases.extend(of_pairs(&made, sqlite));
    cases.extend(of_payments(&made, sqlite));
    cases.extend(of_list(&made, sqlite));
    for (change, back, named) in &cases {
        tamper(&market.url, change).await;
        let report = verify(&market.store).await.unwrap();
        let found = report.faults.iter().any(|f| (f.invariant, f.row, f.id) == *named);
        assert!(found, "{change}: {:#?}", report.faults);
        for fault in &report.faults {
            let text = format!("{fault} {fault:?}");
            assert!(!text.contains("13800000"), "no whole number: {text}");
        }
        if named.1 == "payment" {
            let reference = market.payment(named.2).await.reference;
            assert!(report.faults.iter().any(|f| f.to_string().contains(&reference)), "{reference}");
        }
        tamper(&market.url, back).await;
        let report = verify(&market.store).await.unwrap();
        assert!(report.is_sound(), "{back}: {:#?}", report.faults);
    }
    gone(&market, &made).await;
    market.end().await;
}

/// A payment, and a pair, that are not there any more.
async fn gone(market: &Market, made: &Made) {
    let hex = |id| literal(id, market.url.starts_with("sqlite"));
    let (unknown, delivered) = (&made.unknown, &made.delivered);
    tamper(&market.url, &format!("delete from pairs where payment = {}", hex(delivered.id))).await;
    tamper(&market.url, &format!("delete from payments where id = {}", hex(unknown.id))).await;
    let report = verify(&market.store).await.unwrap();
    let mut found: Vec<_> = report.faults.iter().map(|f| (f.invariant, f.row, f.id)).collect();
    found.sort_unstable();
    let mut expected = vec![
        ("I10", "hold", unknown.hold),
        ("I11", "counter", made.account),
        ("I11", "pair", delivered.id),
        ("I11", "pair", unknown.id),
        ("I9", "open payment", unknown.id),
    ];
    expected.sort_unstable();
    assert_eq!(found, expected, "{:#?}", report.faults);
}

/// A payment that was authorised by a process that then died.
fn left_behind(market: &Market, account: Id, check_at: Timestamp, expires_at: Timestamp) -> Authorise {
    let now = market.clock.now();
    let id = market.id();
    let payment = PaymentRow {
        id,
        reference: "K7M2PX".to_owned(),
        account,
        caller: None,
        channel: 1,
        product: "recharge".to_owned(),
        target: phone(ME).into(),
        amount_minor: 5_000,
        fee_minor: 0,
        cost_minor: 4_850,
        currency: cny(),
        state: State::Authorised,
        class: None,
        business_day: 19_675,
        hold: ids::hold(id),
        connector: "sandbox".to_owned(),
        carrier_reference: None,
        tax_minor: 0,
        payee: None,
        quote: None,
        provider: None,
        deal: None,
        created_at: now.0,
        updated_at: now.0,
        next_check_at: Some(check_at.0),
        checks: 0,
        version: 1,
    };
    Authorise {
        payment,
        payment_limit_minor: 100_000,
        day_limit_minor: 100_000,
        hold_expires_at: Some(expires_at.0),
        duplicate_window_us: 0,
        repeat: false,
        without_pin: None,
    }
}

/// More accounts than one batch of a sweep, each with 1.00 held until `expires_at`.
fn holders(market: &Market, expires_at: Timestamp) -> Unit {
    let funding = House::Funding.id(cny());
    let mut ops = Vec::new();
    for _ in 0..300 {
        let account = market.id();
        let act = Act::Transfer { legs: vec![Leg::new(funding, -100), Leg::new(account, 100)] };
        let hold = Act::Hold { account, amount_minor: 100, currency: cny(), expires_at: Some(expires_at.0) };
        ops.push(Op::OpenAccount(customer(account, cny(), market.clock.now().0)));
        ops.push(Op::Ledger(Command::new(market.id(), None, act)));
        ops.push(Op::Ledger(Command::new(market.id(), None, hold)));
    }
    Unit { ops }
}

async fn customers_hold(market: &Market) -> i64 {
    let totals = market.store.totals().await.unwrap();
    totals.iter().find(|total| total.kind == Kind::Customer).unwrap().held_minor
}

async fn overdue_holds_are_free_at_once_and_swept(database: Database) {
    let minute = Duration::from_secs(60);
    let clock = Clock::manual(Timestamp(1_700_000_000_000_000));
    // The market's own schedule has had its only round of this test.
    let market = Market::open_at(clock.clone(), database, |plans| plans.settings.poll_every = HOUR).await;
    let account = market.account(ME, 12_000).await;
    let expires_at = clock.now().after(minute);
    let left = left_behind(&market, account, expires_at.after(minute), expires_at);
    let payment = left.payment.id;
    market.writer.commit(Unit { ops: vec![Op::Authorise(Box::new(left))] }).await.unwrap().unwrap();
    market.writer.commit(holders(&market, expires_at)).await.unwrap().unwrap();
    let view = async || market.payments.account(account).await.unwrap().unwrap();
    let quote = async || {
        market.payments.quote(account, Channel::Voice, &phone("+8613800000002"), 10_000, false).await.unwrap()
    };
    clock.advance(minute - Duration::from_micros(1));
    assert_eq!((view().await.available_minor, view().await.account.held_minor), (7_000, 5_000));
    assert_eq!(quote().await, Quote::Insufficient { left_minor: 7_000 });
    // From its very moment on it counts no more, though nobody has swept it.
    clock.advance(Duration::from_micros(1));
    assert_eq!(market.money(account).await, (12_000, 5_000), "not swept");
    assert_eq!((view().await.available_minor, view().await.account.held_minor), (12_000, 0));
    assert!(matches!(quote().await, Quote::Ok { .. }));
    assert_eq!(customers_hold(&market).await, 35_000);
    let stop = CancellationToken::new();
    tokio::spawn(market.payments.clone().run(stop.clone()));
    let swept = async {
        while customers_hold(&market).await != 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), swept).await.expect("every overdue hold is swept");
    assert_eq!(market.store.hold(ids::hold(payment)).await.unwrap().unwrap().state, 3);
    assert!(market.store.due_holds(clock.now().0, 1).await.unwrap().is_empty());
    // The payment is taken up in its own time; until then it is authorised without money, and can only be refused.
    assert_eq!(market.payment(payment).await.state, State::Authorised);
    let report = verify(&market.store).await.unwrap();
    assert!(report.is_sound(), "{:#?}", report.faults);
    clock.advance(minute);
    tokio::spawn(market.payments.clone().run(stop.clone()));
    market.until(payment, State::Refused).await;
    assert_eq!(market.money(account).await, (12_000, 0));
    stop.cancel();
    market.close().await;
}
