//! The order of refusals, PIN tries, and steps between states, on hand-made rows.

use super::*;
use crate::ledger::chart;
use crate::ledger::row::AccountRow;
use crate::money::Currency;
use crate::msisdn::Msisdn;
use crate::payment::fold::{fold, keys_of};
use crate::payment::row::{CounterRow, SuspensionRow};
use crate::payment::unit::{Done, Unit};
use crate::store::keys::Loaded;

const NOW: i64 = 1_000_000_000;
const ACCOUNT: Id = Id([1; 16]);
const PAYMENT: Id = Id([2; 16]);

fn run(op: Op, loaded: Loaded) -> Result<Done, Refusal> {
    let unit = Unit { ops: vec![op] };
    let mut work = Working::new(&keys_of(&unit), loaded, NOW).unwrap();
    fold(&mut work, &unit).unwrap()
}

fn payer() -> PayerRow {
    PayerRow {
        account: ACCOUNT,
        suspended: false,
        user_day_limit_minor: None,
        user_payment_limit_minor: None,
        pin_hash: Some("hash".to_owned()),
        pin_pepper: 1,
        pin_tries: 0,
        pin_wait_until: 0,
        pin_locked: false,
        created_at: 0,
        version: 7,
    }
}

fn payment() -> PaymentRow {
    PaymentRow {
        id: PAYMENT,
        reference: "123456782".to_owned(),
        account: ACCOUNT,
        caller: None,
        channel: 1,
        product: "recharge".to_owned(),
        target: Msisdn::parse("+8613800000001").unwrap().into(),
        amount_minor: 5_000,
        fee_minor: 100,
        cost_minor: 4_850,
        currency: Currency::new("CNY").unwrap(),
        state: State::Authorised,
        class: None,
        business_day: 20_000,
        hold: ids::hold(PAYMENT),
        connector: "acme".to_owned(),
        carrier_reference: None,
        tax_minor: 0,
        payee: None,
        quote: None,
        provider: None,
        deal: None,
        created_at: 0,
        updated_at: 0,
        next_check_at: None,
        checks: 0,
        version: 1,
    }
}

fn asked() -> Authorise {
    Authorise {
        payment: payment(),
        payment_limit_minor: 10_000,
        day_limit_minor: 10_000,
        hold_expires_at: Some(NOW + 1),
        duplicate_window_us: 1_000,
        repeat: false,
        without_pin: None,
    }
}

/// What an authorisation is judged by, with everything wrong at first.
struct World {
    asked: Authorise,
    payer: PayerRow,
    account: AccountRow,
    pairs: Vec<PairRow>,
    suspensions: Vec<SuspensionRow>,
    payments: Vec<PaymentRow>,
    references: Vec<String>,
}

fn earlier(state: i16) -> PairRow {
    PairRow { key: payment().pair_key(), payment: Id([9; 16]), state, delivered_at: NOW - 1 }
}

impl World {
    fn all_wrong() -> Self {
        let mut account = chart::customer(ACCOUNT, payment().currency, 0);
        account.balance_minor = 5_099;
        account.entries = 1;
        Self {
            asked: Authorise { payment_limit_minor: 1, day_limit_minor: 1, ..asked() },
            payer: PayerRow { user_day_limit_minor: Some(1), ..payer() },
            account,
            pairs: vec![earlier(pair::OPEN)],
            suspensions: vec![SuspensionRow {
                scope: "carrier".to_owned(),
                key: "acme".to_owned(),
                since: 0,
            }],
            payments: vec![PaymentRow { version: 3, ..payment() }],
            references: vec![payment().reference],
        }
    }

    fn judge(&self) -> Result<Done, Refusal> {
        let loaded = Loaded {
            accounts: vec![self.account.clone()],
            payers: vec![self.payer.clone()],
            pairs: self.pairs.clone(),
            suspensions: self.suspensions.clone(),
            payments: self.payments.clone(),
            references: self.references.clone(),
            ..Loaded::default()
        };
        run(Op::Authorise(Box::new(self.asked.clone())), loaded)
    }

    /// Puts right what a refusal names, and tells it.
    fn mend(&mut self, refusal: Refusal) -> &'static str {
        match refusal {
            Refusal::PaymentExists(known) => {
                assert_eq!(known.version, 3);
                self.payments.clear();
                "exists"
            }
            Refusal::Suspended => {
                self.suspensions.clear();
                "suspended"
            }
            Refusal::StillProcessing(_) => {
                self.pairs = vec![earlier(pair::DELIVERED)];
                "processing"
            }
            Refusal::PaymentLimit { .. } => {
                self.asked.payment_limit_minor = 5_000;
                "payment limit"
            }
            Refusal::DayLimit { .. } => {
                self.asked.day_limit_minor = 5_000;
                "day limit"
            }
            Refusal::UserLimit { .. } => {
                self.payer.user_day_limit_minor = Some(5_000);
                "user limit"
            }
            Refusal::Exists("reference") => {
                self.references.clear();
                "reference"
            }
            Refusal::Ledger(LedgerRefusal::Insufficient { available_minor }) => {
                assert_eq!(available_minor, 5_099);
                self.account.balance_minor = 5_100;
                "money"
            }
            Refusal::Duplicate { .. } => {
                self.asked.repeat = true;
                "duplicate"
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn refusals_come_in_order() {
    let mut world = World::all_wrong();
    let mut told = Vec::new();
    let done = loop {
        match world.judge() {
            Ok(done) => break done,
            Err(refusal) => told.push(world.mend(refusal)),
        }
    };
    assert_eq!(done.payment.map(|p| (p.state, p.version)), Some((State::Authorised, 1)));
    let wanted = [
        "exists",
        "suspended",
        "processing",
        "payment limit",
        "day limit",
        "user limit",
        "reference",
        "money",
        "duplicate",
    ];
    assert_eq!(told, wanted);
}

#[test]
fn pin_tries_wait_longer_and_then_lock() {
    let mut row = payer();
    let mut seen = Vec::new();
    let loaded = |row: &PayerRow| Loaded {
        payers: vec![row.clone()],
        accounts: vec![chart::customer(ACCOUNT, payment().currency, 0)],
        ..Loaded::default()
    };
    let op = || Op::PinTry { account: ACCOUNT, tries_max: 5, delay_us: 10 };
    for _ in 0..5 {
        let done = run(op(), loaded(&row)).unwrap();
        row = done.payer.unwrap();
        seen.push((row.pin_tries, row.pin_wait_until.saturating_sub(NOW).max(0), row.pin_locked));
        // Put in the past, as if the caller had waited.
        row.pin_wait_until = row.pin_wait_until.min(NOW);
    }
    assert_eq!(seen, [(1, 0, false), (2, 10, false), (3, 20, false), (4, 40, false), (5, 80, true)]);
    assert_eq!(run(op(), loaded(&row)), Err(Refusal::PinLocked));
    let waits = PayerRow { pin_tries: 2, pin_wait_until: NOW + 1, ..payer() };
    assert_eq!(run(op(), loaded(&waits)), Err(Refusal::PinTooSoon { wait_until: NOW + 1 }));
    let none = PayerRow { pin_hash: None, ..payer() };
    assert_eq!(run(op(), loaded(&none)), Err(Refusal::PinMissing));
    let passed = run(Op::PinPassed { account: ACCOUNT, rehash: None }, loaded(&row)).unwrap().payer.unwrap();
    assert_eq!((passed.pin_tries, passed.pin_wait_until, passed.pin_locked), (0, 0, false));
}

#[test]
fn a_step_needs_the_version_that_was_seen_and_an_allowed_way() {
    let step = |version, to| {
        Op::Move(Box::new(Move {
            payment: PAYMENT,
            version,
            to,
            class: None,
            carrier_reference: None,
            cost_minor: None,
            next_check_at: None,
            checked: false,
            attempt: None,
            posting: None,
            detail: String::new(),
        }))
    };
    let loaded = || Loaded {
        payments: vec![PaymentRow { state: State::Submitting, version: 2, ..payment() }],
        accounts: vec![chart::customer(ACCOUNT, payment().currency, 0)],
        counters: vec![CounterRow { key: payment().counter_key(), used_minor: 5_000, payments: 1 }],
        ..Loaded::default()
    };
    let keys = |op: &Op| {
        let mut keys = keys_of(&Unit { ops: vec![op.clone()] });
        keys.counters.insert(payment().counter_key());
        keys.pairs.insert(payment().pair_key());
        keys.accounts.insert(ACCOUNT);
        keys
    };
    let run = |op: Op| {
        let mut work = Working::new(&keys(&op), loaded(), NOW).unwrap();
        fold(&mut work, &Unit { ops: vec![op] }).unwrap()
    };
    assert_eq!(run(step(1, State::Unknown)), Err(Refusal::Stale));
    assert_eq!(run(step(2, State::Reversed)), Err(Refusal::NotAllowed(State::Submitting)));
    let done = run(step(2, State::Unknown)).unwrap().payment.unwrap();
    assert_eq!((done.state, done.version), (State::Unknown, 3));
    // Nothing posts or voids a hold that is not there.
    assert!(matches!(run(step(2, State::Refused)), Err(Refusal::Ledger(LedgerRefusal::UnknownHold))));
    assert_eq!(run(step(2, State::Delivered)), Err(Refusal::Unknown("posting")));
}

fn attempt(number: i32, connector: &str) -> AttemptRow {
    AttemptRow {
        id: ids::attempt(PAYMENT, number),
        payment: PAYMENT,
        number,
        connector: connector.to_owned(),
        reference: format!("r{number}"),
        created_at: 0,
        answered_at: None,
        outcome: None,
        code: None,
        carrier_reference: None,
    }
}

/// From a state, with the version that was seen and the attempt that is to follow the first.
fn go_on(state: State, version: i64, following: AttemptRow) -> Result<Done, Refusal> {
    let stored = PaymentRow {
        state,
        version: 3,
        carrier_reference: Some("theirs".to_owned()),
        class: Some("x".to_owned()),
        ..payment()
    };
    let resubmit = Resubmit {
        payment: PAYMENT,
        version,
        answered: AttemptRow { outcome: Some("refused".to_owned()), ..attempt(1, "acme") },
        attempt: following,
        cost_minor: 4_500,
        next_check_at: NOW + 9,
        detail: "refused; on to the next".to_owned(),
    };
    let loaded = Loaded { payments: vec![stored], attempts: vec![attempt(1, "acme")], ..Loaded::default() };
    run(Op::Resubmit(Box::new(resubmit)), loaded)
}

#[test]
fn only_what_is_under_way_and_known_goes_on_to_another_carrier() {
    for state in State::ALL.iter().copied() {
        let went = go_on(state, 3, attempt(2, "second"));
        if matches!(state, State::Submitting | State::Submitted) {
            let row = went.unwrap().payment.unwrap();
            assert_eq!(
                (row.state, row.connector.as_str(), row.cost_minor),
                (State::Submitting, "second", 4_500)
            );
            assert_eq!((row.class, row.carrier_reference, row.version), (None, None, 4));
            assert_eq!(row.next_check_at, Some(NOW + 9));
        } else {
            assert_eq!(went, Err(Refusal::NotAllowed(state)));
        }
    }
    assert_eq!(go_on(State::Submitting, 2, attempt(2, "second")), Err(Refusal::Stale));
    let wrong = Err(Refusal::NotAllowed(State::Submitting));
    assert_eq!(go_on(State::Submitting, 3, attempt(2, "acme")), wrong, "the same carrier");
    assert_eq!(go_on(State::Submitting, 3, attempt(3, "second")), wrong, "a number is left out");
}

#[test]
fn a_note_changes_the_history_and_nothing_else() {
    for state in State::ALL.iter().copied() {
        let stored = PaymentRow { state, version: 3, ..payment() };
        let note = |version| Note {
            payment: PAYMENT,
            version,
            attempt: AttemptRow { outcome: Some("delivered".to_owned()), ..attempt(1, "before") },
            detail: "delivered after all".to_owned(),
        };
        let judged = |version| {
            let loaded = Loaded {
                payments: vec![stored.clone()],
                attempts: vec![attempt(1, "before")],
                ..Loaded::default()
            };
            run(Op::Note(Box::new(note(version))), loaded)
        };
        let row = judged(3).unwrap().payment.unwrap();
        assert_eq!(row, PaymentRow { updated_at: NOW, version: 4, ..stored.clone() });
        assert_eq!(judged(2), Err(Refusal::Stale));
    }
}
