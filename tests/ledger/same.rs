//! One history of rows of every kind on all three databases: the same answers, and the same rows whatever is asked for.

use std::fmt::Debug;

use keytone::clock::Clock;
use keytone::ledger::chart::{House, customer};
use keytone::ledger::command::{Act, Command, Leg};
use keytone::ledger::row::Id;
use keytone::money::Currency;
use keytone::msisdn::Msisdn;
use keytone::payment::row::charge::ChargeRow;
use keytone::payment::row::order::{OrderKeyRow, WebhookAttemptRow};
use keytone::payment::row::record::{Recorded, Select, cell};
use keytone::payment::row::{AnswerRow, BindingRow, OutboxRow, SuspensionRow};
use keytone::payment::run::writer::Writer;
use keytone::payment::unit::{Op, Unit};
use keytone::store::Store;

use super::{Fresh, START, memory, postgres, run, sqlite, start};

/// Units of one history.
const UNITS: u64 = 300;

struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: u64) -> i64 {
        i64::try_from(self.next() % n).unwrap()
    }

    fn id(&mut self, kind: u8) -> Id {
        let mut id = [kind; 16];
        id[15] = u8::try_from(self.below(6)).unwrap();
        Id(id)
    }
}

fn msisdn(n: i64) -> Msisdn {
    Msisdn::parse(&format!("+861380000000{n}")).unwrap()
}

/// Few ids and fewer numbers, so that charges meet.
fn charge(dice: &mut Dice, version: i64) -> ChargeRow {
    let optional = |dice: &mut Dice| (dice.below(2) == 0).then(|| START.0 + dice.below(4));
    ChargeRow {
        id: dice.id(1),
        number: format!("1000{}", dice.below(4)),
        agent: dice.id(2),
        buyer: dice.id(2),
        agent_phone: msisdn(1),
        buyer_phone: msisdn(2),
        agent_language: "en".to_owned(),
        buyer_language: "zh".to_owned(),
        details: "ICBC 6222 0001".to_owned(),
        amount_minor: 100,
        price_minor: 100,
        fee_minor: 0,
        currency: Currency::new("CNY").unwrap(),
        state: i16::try_from(dice.below(5)).unwrap(),
        deposit: None,
        certificate_mac: None,
        certificate: (dice.below(2) == 0).then(|| vec![7; 16]),
        tries: 0,
        due_at: optional(dice),
        pay_by: optional(dice),
        claimed_at: None,
        disputed_at: None,
        judged_by: None,
        judged_to: None,
        evidence: None,
        created_at: START.0,
        updated_at: START.0 + dice.below(4),
        ended_at: None,
        version,
    }
}

fn op(dice: &mut Dice, step: u64) -> Op {
    let now = START.0;
    match dice.below(14) {
        0 | 1 => Op::add(&charge(dice, 1)),
        2 | 3 => {
            let version = 1 + dice.below(3);
            Op::set(&charge(dice, version))
        }
        4 => Op::put(&charge(dice, 1)),
        5 => Op::remove::<ChargeRow>(&[cell(&dice.id(1))]),
        6 => {
            let key = OrderKeyRow {
                merchant: dice.id(3),
                idempotency: format!("key {}", dice.below(3)),
                fingerprint: vec![1, 2],
                order_id: dice.id(4),
                created_at: now + dice.below(5),
                version: 1,
            };
            if dice.below(2) == 0 { Op::add(&key) } else { Op::put(&key) }
        }
        7 => Op::put(&WebhookAttemptRow {
            webhook: dice.id(5),
            number: 1 + i32::try_from(dice.below(3)).unwrap(),
            at: now,
            status: (dice.below(2) == 0).then_some(500),
            outcome: "refused".to_owned(),
            took_ms: None,
        }),
        8 => Op::add(&AnswerRow {
            id: dice.id(6),
            action: "a".to_owned(),
            outcome: format!("{}", dice.below(2)),
            outcome_values: "[]".to_owned(),
            at: now,
        }),
        9 => {
            let row =
                SuspensionRow { scope: "agent".to_owned(), key: format!("{}", dice.below(3)), since: now };
            if dice.below(3) == 0 { Op::Suspend(row) } else { Op::Resume(row) }
        }
        10 => Op::Open(vec![("agent".to_owned(), format!("{}", dice.below(6)))]),
        11 => {
            let row = BindingRow { msisdn: msisdn(dice.below(4)), account: dice.id(7), bound_at: now };
            if dice.below(2) == 0 { Op::Bind(row) } else { Op::Unbind(row) }
        }
        12 => {
            let mut row =
                OutboxRow::waiting(dice.id(8), "sms", msisdn(3).as_str(), "x".to_owned(), now, 60_000_000);
            row.payment = Some(dice.id(9));
            Op::Outbox(row)
        }
        _ => {
            let amount = 1 + dice.below(60);
            let legs = vec![Leg::new(dice.id(7), -amount), Leg::new(House::Funding.id(cny()), amount)];
            Op::Ledger(Command::new(Id::new(i64::try_from(step).unwrap()), None, Act::Transfer { legs }))
        }
    }
}

fn cny() -> Currency {
    Currency::new("CNY").unwrap()
}

async fn rows<T: Recorded + Debug>(store: &Store, wanted: &Select<T>) -> String {
    format!("{:?}", store.records(wanted).await.unwrap())
}

/// Everything that can be seen of the rows.
async fn seen(store: &Store, dice: &mut Dice) -> Vec<String> {
    let id = dice.id(1);
    let (state, at) = (i16::try_from(dice.below(5)).unwrap(), START.0 + dice.below(5));
    vec![
        rows(store, &Select::<ChargeRow>::new()).await,
        rows(store, &Select::<ChargeRow>::new().equal("state", &state).order("updated_at").descending())
            .await,
        rows(store, &Select::<ChargeRow>::new().below("due_at", &at).order("due_at").limit(3)).await,
        rows(store, &Select::<ChargeRow>::new().from("pay_by", &at).order("number").limit(2)).await,
        rows(store, &Select::<OrderKeyRow>::new().below("created_at", &at).order("created_at")).await,
        rows(store, &Select::<WebhookAttemptRow>::new().equal("webhook", &dice.id(5)).order("number")).await,
        rows(store, &Select::<AnswerRow>::new()).await,
        format!("{:?}", store.record::<ChargeRow>(&[cell(&id)]).await.unwrap()),
        format!("{:?}", store.suspensions().await.unwrap()),
        format!("{:?}", store.bindings_of(dice.id(7)).await.unwrap()),
        format!("{:?}", store.outbox_of(dice.id(9)).await.unwrap()),
        format!("{:?}", store.account(dice.id(7)).await.unwrap()),
        format!("{:?}", store.totals().await.unwrap()),
    ]
}

struct One {
    name: &'static str,
    fresh: Fresh,
    writer: Writer,
    _clock: Clock,
}

#[test]
fn one_history_is_the_same_everywhere() {
    run(async {
        let seed = u64::from(std::process::id()) | 1;
        println!("seed {seed}");
        let mut all = Vec::new();
        for (name, fresh) in
            [("memory", memory()), ("SQLite", sqlite().await), ("PostgreSQL", postgres().await)]
        {
            let (writer, clock, _task) = start(&fresh.store);
            all.push(One { name, fresh, writer, _clock: clock });
        }
        let accounts = (0..6).map(|n| {
            let mut id = [7; 16];
            id[15] = n;
            customer(Id(id), cny(), START.0)
        });
        let mut ops: Vec<Op> = accounts.map(Op::OpenAccount).collect();
        ops.push(Op::OpenAccount(House::Funding.row(cny(), START.0)));
        for n in 0..3 {
            let mut id = [7; 16];
            id[15] = n;
            let legs = vec![Leg::new(House::Funding.id(cny()), -100), Leg::new(Id(id), 100)];
            ops.push(Op::Ledger(Command::new(Id([90 + n; 16]), None, Act::Transfer { legs })));
        }
        let mut dice = Dice(seed);
        let (mut done, mut refused, mut failed) = (0, 0, 0);
        for step in 0..=UNITS {
            let unit = match step {
                0 => Unit { ops: std::mem::take(&mut ops) },
                _ => Unit { ops: (0..=dice.below(3)).map(|_| op(&mut dice, step)).collect() },
            };
            let look = dice.next() | 1;
            let mut first: Option<(String, Vec<String>)> = None;
            for one in &all {
                let answer = one.writer.commit(unit.clone()).await;
                match &answer {
                    Ok(Ok(_)) => done += 1,
                    Ok(Err(_)) => refused += 1,
                    Err(_) => failed += 1,
                }
                let answer = format!("{answer:?}");
                let rows =
                    if step % 5 == 0 { seen(&one.fresh.store, &mut Dice(look)).await } else { Vec::new() };
                match &first {
                    None => first = Some((answer, rows)),
                    Some((wanted, wanted_rows)) => {
                        assert_eq!(&answer, wanted, "seed {seed}, {}: {unit:#?}", one.name);
                        assert_eq!(&rows, wanted_rows, "seed {seed}, {} after {unit:#?}", one.name);
                    }
                }
            }
        }
        println!("{done} done, {refused} refused, {failed} with a number that is taken");
        assert!(
            done > 200 && refused > 60 && failed > 5,
            "a dull history: {done} {refused} {failed}, seed {seed}"
        );
    });
}
