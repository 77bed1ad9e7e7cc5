//! What must be so when all is done, by the rows, by what everybody outside remembers, and by what was told.

use std::collections::BTreeSet;

use keytone::connector::sandbox;
use keytone::ledger::chart::House;
use keytone::ledger::row::Id;
use keytone::payment::row::order::WebhookRow;
use keytone::payment::row::record::Select;
use keytone::payment::row::{PaymentRow, State};
use keytone::payment::saga::Stage;
use keytone::payment::webhook;
use keytone::store::PaymentFilter;

use crate::crash::whole::town::{FLOAT, Kind, START, Town};
use crate::crash::whole::wishes::{Ending, Fate, Told, Wish};
use crate::support::checker;
use crate::support::market::cny;

impl Town {
    async fn balance(&self, account: Id) -> i64 {
        let row = self.store.account(account).await.unwrap().unwrap();
        assert_eq!(row.held_minor, 0, "{account} holds something");
        row.balance_minor
    }

    async fn payments(&self) -> Vec<PaymentRow> {
        let filter = PaymentFilter { limit: 100_000, ..PaymentFilter::default() };
        self.store.payments(&filter).await.unwrap()
    }

    /// Fails the test unless everything was done once and what was told is so.
    pub(super) async fn judge(&self) {
        let said = self.command(&["ledger", "verify", "--json"]).output().await.unwrap();
        let verified = String::from_utf8_lossy(&said.stdout);
        assert!(said.status.success() && verified.contains("\"verified\":true"), "{verified}");
        match self.kind {
            Kind::Recharge => {
                let faults = checker::faults(&self.store, &self.path("carrier.log"), true).await;
                assert!(faults.is_empty(), "{faults:#?}");
                self.judge_recharges().await;
                let heard = self.heard.0.lock().unwrap();
                let once: BTreeSet<&String> = heard.1.iter().collect();
                assert_eq!(
                    once.len(),
                    heard.1.len(),
                    "the first carrier was asked twice under one reference"
                );
                assert!(!once.is_empty());
            }
            Kind::Wallet => {
                self.judge_recharges().await;
                self.judge_wallet().await;
            }
            Kind::Bill => self.judge_bills().await,
            Kind::Order => self.judge_orders().await,
            Kind::Charge => self.judge_charges().await,
        }
    }

    /// Each number was recharged once, if the carrier takes it, and its owner has paid for that and was told so.
    async fn judge_recharges(&self) {
        let carried = sandbox::read_log(&self.path("carrier.log")).unwrap();
        for (wish, account) in &self.wishes {
            let Wish::Recharge(wish) = wish else { panic!("another wish") };
            let of = carried.iter().filter(|r| r.msisdn == wish.msisdn && r.state == "delivered").count();
            let takes = !wish.msisdn.ends_with("902");
            assert_eq!(of, usize::from(takes), "{}: recharged {of} times; {}", wish.msisdn, self.log());
            let told = if takes { Told::Done } else { Told::Refused };
            assert_eq!(wish.told, told, "{}: {}", wish.msisdn, wish.last);
            if self.kind == Kind::Recharge {
                let paid = if takes { 5_000 } else { 0 };
                assert_eq!(self.balance(*account).await, START - paid, "{}", wish.msisdn);
            }
        }
    }

    /// The wallet has captured exactly what was delivered, and keeps nothing.
    async fn judge_wallet(&self) {
        let held = sandbox::read_log(&self.path("wallet.log")).unwrap();
        let mut captured = 0;
        for payment in self.payments().await {
            let Some(row) = self.payments.reservation_of(payment.id).await.unwrap() else {
                panic!("{payment:?} has no reservation");
            };
            let theirs: Vec<&str> =
                held.iter().filter(|r| r.reference == row.reference).map(|r| r.state.as_str()).collect();
            let delivered = payment.state == State::Delivered;
            captured += usize::from(delivered);
            assert_eq!(row.stage == Stage::Captured.number(), delivered, "{payment:?} {row:?}");
            assert_eq!(theirs.contains(&"captured"), delivered, "{payment:?}: the wallet says {theirs:?}");
            assert!(theirs.len() < 2 && !theirs.contains(&"reserved"), "{payment:?}: {theirs:?}");
        }
        assert_eq!(held.iter().filter(|r| r.state == "captured").count(), captured);
        assert_eq!(captured, self.wishes.len() / 2);
    }

    async fn judge_bills(&self) {
        let booked = sandbox::read_log(&self.path("biller.log")).unwrap();
        for (wish, account) in &self.wishes {
            let Wish::Bill(wish) = wish else { panic!("another wish") };
            let times = booked.iter().filter(|r| r.msisdn == wish.number && r.state == "delivered").count();
            assert_eq!(times, 1, "bill {} was paid {times} times; {}", wish.number, self.log());
            assert_eq!(wish.told, Told::Done, "{}", wish.last);
            assert_eq!(self.balance(*account).await, START - 1_050, "{}", wish.msisdn);
        }
        let all = i64::try_from(self.wishes.len()).unwrap();
        assert_eq!(self.balance(House::Biller("city").id(cny())).await, all * 1_000);
        assert_eq!(self.balance(House::Fee.id(cny())).await, all * 50);
    }

    async fn judge_orders(&self) {
        let mut refunded = 0;
        for (wish, account) in &self.wishes {
            let Wish::Order(wish) = wish else { panic!("another wish") };
            let paid = if wish.kind == Fate::Refunded { 9_000 } else { 0 };
            refunded += i64::from(wish.kind == Fate::Refunded);
            assert_eq!(self.balance(*account).await, START - paid, "{:?} {}", wish.kind, wish.msisdn);
        }
        assert_eq!(self.balance(self.merchant.0).await, refunded * (10_000 - 150 - 1_000));
        assert_eq!(self.balance(House::Intermediary.id(cny())).await, 0);
        let hooks = self.store.records(&Select::<WebhookRow>::new().limit(100_000)).await.unwrap();
        let told: BTreeSet<String> = hooks.iter().map(|hook| webhook::header_id(hook.id)).collect();
        // Placed, paid, confirmed, refunded; placed, paid, disputed, resolved; placed, cancelled.
        assert_eq!(told.len(), self.wishes.len() / 3 * 10);
        assert_eq!(self.heard.0.lock().unwrap().0, told, "the merchant heard of everything");
    }

    async fn judge_charges(&self) {
        let mut agent = FLOAT;
        for (wish, account) in &self.wishes {
            let Wish::Charge(wish) = wish else { panic!("another wish") };
            let bought = if wish.kind == Ending::Completed { 5_000 } else { 0 };
            // The fee is the deposit's: it is kept whatever becomes of it.
            agent -= bought + 50;
            assert_eq!(self.balance(*account).await, START + bought, "{:?} {}", wish.kind, wish.msisdn);
        }
        assert_eq!(self.balance(self.agent.0).await, agent);
        assert_eq!(self.balance(House::Intermediary.id(cny())).await, 0);
        let all = i64::try_from(self.wishes.len()).unwrap();
        assert_eq!(self.balance(House::Fee.id(cny())).await, all * 50);
    }
}
