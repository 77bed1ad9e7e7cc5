//! The rules on small books made by hand.

use crate::ledger::apply::{Answer, Books, apply, hold_state};
use crate::ledger::command::{Act, Command, Leg, Refusal};
use crate::ledger::row::{AccountRow, HoldRow, Id};
use crate::money::Currency;

const NOW: i64 = 1_000;

fn id(n: u8) -> Id {
    Id([n; 16])
}

fn cny() -> Currency {
    Currency::new("CNY").unwrap()
}

/// Customer 1 with 100 and floor 0, customer 2 with nothing, house 3 without a floor, dollars 4; commands 10 to 99 and
/// holds 10 to 99 are known not to exist.
fn books() -> Books {
    let mut books = Books::new(NOW);
    let account = |n: u8, floor_minor, balance_minor, currency: &str| AccountRow {
        id: id(n),
        kind: crate::ledger::row::Kind::Customer,
        name: String::new(),
        currency: Currency::new(currency).unwrap(),
        floor_minor,
        balance_minor,
        held_minor: 0,
        entries: 1,
        last_transfer: None,
        opened_at: 0,
    };
    books.load_account(id(1), Some(account(1, Some(0), 100, "CNY")));
    books.load_account(id(2), Some(account(2, Some(0), 0, "CNY")));
    books.load_account(id(3), Some(account(3, None, -100, "CNY")));
    books.load_account(id(4), Some(account(4, None, i64::MAX - 5, "USD")));
    books.load_account(id(5), None);
    books.load_account(id(6), Some(account(6, None, -i64::MAX, "USD")));
    for n in 10..100 {
        books.load_transfer(id(n), None);
        books.load_hold(id(n), None);
    }
    books
}

fn ask(books: &mut Books, n: u8, act: Act) -> Result<(), Refusal> {
    let answer = apply(books, &Command::new(id(n), None, act)).unwrap();
    assert!(!answer.repeated);
    answer.result
}

fn legs(parts: &[(u8, i64)]) -> Vec<Leg> {
    parts.iter().map(|(n, amount)| Leg::new(id(*n), *amount)).collect()
}

fn transfer(parts: &[(u8, i64)]) -> Act {
    Act::Transfer { legs: legs(parts) }
}

fn hold(account: u8, amount_minor: i64, expires_at: Option<i64>) -> Act {
    Act::Hold { account: id(account), amount_minor, currency: cny(), expires_at }
}

/// What stands in the books, apart from what undoing may leave (a dirty mark).
fn image(books: &Books) -> String {
    let mut accounts: Vec<_> = books.accounts.values().flatten().map(|s| (&s.row, s.opened)).collect();
    accounts.sort_by_key(|(row, _)| row.id);
    let mut holds: Vec<_> = books.holds.values().flatten().map(|s| (&s.row, s.placed)).collect();
    holds.sort_by_key(|(row, _)| row.id);
    let (new, entries, due) = (&books.new_transfers, &books.new_entries, &books.expiring);
    format!("{accounts:?}{holds:?}{new:?}{entries:?}{due:?}")
}

#[test]
fn the_first_refusal_in_order_is_given() {
    let too_many: Vec<(u8, i64)> = (20..37).map(|n| (n, 1)).collect();
    let cases: &[(Act, Refusal)] = &[
        (transfer(&[(5, 0)]), Refusal::LegCount),
        (transfer(&too_many), Refusal::LegCount),
        (transfer(&[(5, 0), (5, 1)]), Refusal::Amount),
        (transfer(&[(5, 2), (5, 1)]), Refusal::AccountTwice),
        (transfer(&[(5, 2), (1, 1)]), Refusal::UnknownAccount),
        (transfer(&[(1, -200), (2, 199)]), Refusal::Unbalanced),
        (transfer(&[(1, -5), (4, 5)]), Refusal::Unbalanced),
        (transfer(&[(4, 6), (6, -6)]), Refusal::Overflow),
        (transfer(&[(1, -101), (2, 101)]), Refusal::Insufficient { available_minor: 100 }),
        (hold(5, 0, Some(1)), Refusal::Amount),
        (hold(5, 1, Some(NOW)), Refusal::ExpiryPassed),
        (hold(5, 1, Some(NOW + 1)), Refusal::UnknownAccount),
        (hold(4, 1, None), Refusal::CurrencyMismatch),
        (hold(1, 101, None), Refusal::Insufficient { available_minor: 100 }),
        (Act::Keep { hold: id(50) }, Refusal::UnknownHold),
        (Act::Void { hold: id(50) }, Refusal::UnknownHold),
        (Act::Expire { hold: id(50) }, Refusal::UnknownHold),
        (Act::Post { hold: id(50), legs: legs(&[(5, -1), (1, 1)]) }, Refusal::UnknownHold),
        (Act::Reverse { transfer: id(50), legs: legs(&[(5, -1), (1, 1)]) }, Refusal::UnknownTransfer),
    ];
    for (act, expected) in cases {
        let mut books = books();
        assert_eq!(ask(&mut books, 10, act.clone()), Err(*expected), "{act:?}");
        let stored = !matches!(act, Act::Expire { .. });
        assert_eq!(books.transfer(id(10)).is_some(), stored);
        let changes = books.into_changes();
        assert!(changes.entries.is_empty() && changes.accounts.is_empty() && changes.placed.is_empty());
    }
}

#[test]
fn exactly_what_is_available_may_be_spent() {
    let mut books = books();
    assert_eq!(ask(&mut books, 10, hold(1, 60, None)), Ok(()));
    assert_eq!(books.available_minor(id(1)), Some(40));
    let over = Refusal::Insufficient { available_minor: 40 };
    assert_eq!(ask(&mut books, 11, transfer(&[(1, -41), (2, 41)])), Err(over));
    assert_eq!(ask(&mut books, 12, transfer(&[(1, -40), (2, 40)])), Ok(()));
    assert_eq!(books.available_minor(id(1)), Some(0));
    assert_eq!(books.available_minor(id(3)), None);
}

#[test]
fn a_posting_takes_at_most_what_is_held_and_frees_the_rest() {
    let mut books = books();
    assert_eq!(ask(&mut books, 10, hold(1, 60, None)), Ok(()));
    let post = |amount: i64| Act::Post { hold: id(10), legs: legs(&[(1, -amount), (3, amount)]) };
    assert_eq!(ask(&mut books, 11, post(61)), Err(Refusal::OverHold { held_minor: 60 }));
    let other = Act::Post { hold: id(10), legs: legs(&[(3, -5), (2, 5)]) };
    assert_eq!(ask(&mut books, 12, other), Err(Refusal::OverHold { held_minor: 60 }));
    assert_eq!(ask(&mut books, 13, post(45)), Ok(()));
    assert_eq!(books.available_minor(id(1)), Some(55));
    assert_eq!(ask(&mut books, 14, Act::Void { hold: id(10) }), Err(Refusal::HoldPosted));
    let row = books.hold(id(10)).unwrap();
    assert_eq!((row.state, row.resolved_by), (hold_state::POSTED, Some(id(13))));
}

#[test]
fn reversals_together_never_exceed_the_original() {
    let mut books = books();
    let whole = legs(&[(1, -90), (2, 80), (3, 10)]);
    assert_eq!(ask(&mut books, 10, Act::Transfer { legs: whole }), Ok(()));
    let reverse = |parts: &[(u8, i64)]| Act::Reverse { transfer: id(10), legs: legs(parts) };
    let over = |left_minor| Err(Refusal::OverReversed { left_minor });
    assert_eq!(ask(&mut books, 11, reverse(&[(1, 50), (2, -50)])), Ok(()));
    assert_eq!(ask(&mut books, 12, reverse(&[(1, 31), (2, -31)])), over(30));
    assert_eq!(ask(&mut books, 13, reverse(&[(1, -5), (2, 5)])), over(40));
    assert_eq!(ask(&mut books, 14, reverse(&[(1, 40), (2, -30), (3, -10)])), Ok(()));
    assert_eq!(ask(&mut books, 15, reverse(&[(1, 1), (3, -1)])), over(0));
    let again = Act::Reverse { transfer: id(14), legs: legs(&[(1, -1), (3, 1)]) };
    assert_eq!(ask(&mut books, 16, again), Err(Refusal::NotReversible));
    assert_eq!(books.account(id(1)).unwrap().balance_minor, 100);
}

#[test]
fn overdue_holds_are_expired_before_anything_else() {
    let mut books = books();
    let overdue = |n: u8, expires_at| HoldRow {
        id: id(n),
        account: id(1),
        amount_minor: 30,
        expires_at,
        state: hold_state::PENDING,
        resolved_by: None,
    };
    if let Some(Some(slot)) = books.accounts.get_mut(&id(1)) {
        slot.row.held_minor = 90;
    }
    books.load_hold(id(10), Some(overdue(10, Some(NOW))));
    books.load_hold(id(11), Some(overdue(11, Some(NOW + 1))));
    books.load_hold(id(12), Some(overdue(12, None)));
    books.expire_due().unwrap();
    assert_eq!(books.available_minor(id(1)), Some(40));
    let states = [10, 11, 12].map(|n| books.hold(id(n)).unwrap().state);
    assert_eq!(states, [hold_state::EXPIRED, hold_state::PENDING, hold_state::PENDING]);
    let expired = Command::expire(id(10));
    assert_eq!(apply(&mut books, &expired).unwrap(), Answer { result: Ok(()), repeated: true });
    books.load_transfer(Command::expire(id(11)).id, None);
    let early = apply(&mut books, &Command::expire(id(11))).unwrap();
    assert_eq!(early, Answer { result: Err(Refusal::NotDue), repeated: false });
    assert!(books.transfer(Command::expire(id(11)).id).is_none());
}

#[test]
fn rolling_back_leaves_the_books_as_they_were() {
    let mut books = books();
    books.load_account(id(7), None);
    assert_eq!(ask(&mut books, 10, hold(1, 20, Some(NOW + 5))), Ok(()));
    assert_eq!(ask(&mut books, 11, transfer(&[(1, -30), (2, 30)])), Ok(()));
    let before = image(&books);
    for _ in 0..2 {
        let mark = books.mark();
        let opened = AccountRow { id: id(7), ..books.account(id(2)).unwrap().clone() };
        assert!(books.open_account(opened.clone()).unwrap());
        assert!(!books.open_account(opened).unwrap());
        assert_eq!(ask(&mut books, 20, hold(2, 30, Some(NOW + 9))), Ok(()));
        assert_eq!(ask(&mut books, 21, Act::Keep { hold: id(10) }), Ok(()));
        let post = Act::Post { hold: id(10), legs: legs(&[(1, -20), (7, 20)]) };
        assert_eq!(ask(&mut books, 22, post), Ok(()));
        let reverse = Act::Reverse { transfer: id(11), legs: legs(&[(1, 30), (2, -30)]) };
        assert!(matches!(ask(&mut books, 23, reverse.clone()), Err(Refusal::Insufficient { .. })));
        assert_eq!(ask(&mut books, 24, Act::Void { hold: id(20) }), Ok(()));
        assert_eq!(ask(&mut books, 25, reverse), Ok(()));
        assert_ne!(image(&books), before);
        books.rollback(mark);
        assert_eq!(image(&books), before);
    }
}

#[test]
fn rows_that_contradict_each_other_stop_everything() {
    let mut books = books();
    assert!(apply(&mut books, &Command::new(id(200), None, hold(1, 1, None))).is_err());
    assert!(apply(&mut books, &Command::new(id(10), None, transfer(&[(200, -1), (1, 1)]))).is_err());
    assert_eq!(ask(&mut books, 11, hold(1, 50, None)), Ok(()));
    if let Some(Some(slot)) = books.accounts.get_mut(&id(1)) {
        slot.row.held_minor = 49;
    }
    assert!(apply(&mut books, &Command::new(id(12), None, Act::Void { hold: id(11) })).is_err());
}
