//! The test book beside the live one.

use keytone::ledger::chart::House;
use keytone::ledger::command::{Act, Command, Leg, Refusal as Ledger};
use keytone::ledger::row::Kind;
use keytone::payment::run::staff::{Asked, Refused};
use keytone::payment::run::{Error, OpenAccount};
use keytone::payment::staff::{Act as Staff, Movement};
use keytone::payment::unit::{Op, Refusal, Unit};
use keytone::secret::Secret;

use crate::dayone::on_both_databases;
use crate::support::market::{Database, Market, PIN, cny, phone};

const ME: &str = "+8613800000001";
const TESTER: &str = "+8613800000002";

on_both_databases!(test_money_never_meets_any_other);

async fn test_money_never_meets_any_other(database: Database) {
    let none = Market::open(database).await;
    let open = || OpenAccount { msisdn: Some(phone(TESTER)), pin: Some(Secret::from(PIN)) };
    assert!(matches!(none.payments.open_test_account(open()).await, Err(Error::NoTestBook)));
    none.close().await;
    // The same sandbox, once as the live connector and once as the test book's.
    let market = Market::open_with(database, |plans| {
        plans.settings.upkeep.test_connector = Some("trial".to_owned());
        plans.also.push(plans.connector.replace("id = \"sandbox\"", "id = \"trial\""));
    })
    .await;
    let live = market.account(ME, 100_000).await;
    let tester = market.payments.open_test_account(open()).await.unwrap();
    market.payments.credit(market.id(), tester, 50_000).await.unwrap();
    assert!(market.payments.is_test(tester).await.unwrap() && !market.payments.is_test(live).await.unwrap());
    assert_eq!(market.pay(live, ME, ME, 5_000).await.name(), "delivered");
    assert_eq!(market.pay(tester, TESTER, ME, 10_000).await.name(), "delivered");
    let totals = market.store.totals().await.unwrap();
    let sum = |test: bool| -> i64 {
        totals.iter().filter(|t| t.kind.is_test() == test).map(|t| t.balance_minor).sum()
    };
    assert_eq!((sum(true), sum(false)), (0, 0), "each book is whole");
    let testers = totals.iter().find(|t| t.kind == Kind::TestCustomer).unwrap();
    assert_eq!(testers.balance_minor, 40_000);
    assert_eq!(market.house(House::Float("trial")).await, 0, "no float of the live book");
    // Nothing moves between the books: not by staff, not by a command to the ledger.
    let cash_in = Asked {
        id: market.id(),
        who: "ana".to_owned(),
        reason: "deposit".to_owned(),
        evidence: "slip 1".to_owned(),
        act: Staff::Move {
            movement: Movement::CashIn,
            amount_minor: 100,
            account: Some(tester),
            connector: None,
            discount_minor: 0,
        },
    };
    let unbalanced = Refusal::Ledger(Ledger::Unbalanced);
    assert_eq!(market.payments.ask_staff(&cash_in).await.unwrap(), Err(Refused::Books(unbalanced.clone())));
    for (from, to) in [(live, tester), (tester, live), (House::Test("funding").id(cny()), live)] {
        let legs = vec![Leg::new(from, -100), Leg::new(to, 100)];
        let command = Command::new(market.id(), None, Act::Transfer { legs });
        let answer = market.writer.commit(Unit { ops: vec![Op::Ledger(command)] }).await.unwrap();
        assert_eq!(answer, Err(unbalanced.clone()));
    }
    market.close().await;
}
