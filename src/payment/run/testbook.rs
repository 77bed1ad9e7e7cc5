//! The test book (DESIGN 6.4 point 23): accounts of testers, whose money is none. They pay by a connector that serves nobody
//! else, and every movement of theirs is between accounts of the test book: the ledger refuses any other.

use crate::ledger::chart;
use crate::ledger::chart::House;
use crate::ledger::row::Id;
use crate::payment::row::PaymentRow;
use crate::payment::run::{Error, OpenAccount, Payments};
use crate::payment::unit::Posting;

/// The house accounts of the test book.
pub(super) const ACCOUNTS: &[&str] = &["funding", "float", "commission", "fee", "tax", "loss"];

impl Payments {
    /// Opens an account of the test book.
    ///
    /// # Errors
    /// As [`Payments::open_account`]; [`Error::NoTestBook`] when the market has none.
    pub async fn open_test_account(&self, open: OpenAccount) -> Result<Id, Error> {
        if self.inner.settings.upkeep.test_connector.is_none() {
            return Err(Error::NoTestBook);
        }
        self.open_as(open, chart::tester, |_| Vec::new()).await
    }

    /// Whether an account is of the test book.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn is_test(&self, account: Id) -> Result<bool, Error> {
        if self.inner.settings.upkeep.test_connector.is_none() {
            return Ok(false);
        }
        Ok(self.inner.store.account(account).await?.is_some_and(|row| row.kind.is_test()))
    }

    /// The payment of a tester goes by the test book's connector.
    pub(super) async fn in_its_book(&self, draft: PaymentRow) -> Result<PaymentRow, Error> {
        match &self.inner.settings.upkeep.test_connector {
            Some(connector) if self.is_test(draft.account).await? => {
                Ok(PaymentRow { connector: connector.clone(), ..draft })
            }
            Some(_) | None => Ok(draft),
        }
    }

    /// Who shares what a payment by the test book's connector comes to; nothing for any other connector.
    pub(super) fn test_posting(&self, connector: &str) -> Option<Posting> {
        let settings = &self.inner.settings;
        let test = settings.upkeep.test_connector.as_deref() == Some(connector);
        let id = |name| House::Test(name).id(settings.currency);
        test.then(|| Posting {
            counterparty: id("float"),
            commission: id("commission"),
            fee: id("fee"),
            tax: id("tax"),
        })
    }

    /// Who bears what is lost with a payment.
    pub(super) fn loser(&self, payment: &PaymentRow) -> House<'static> {
        let test = self.inner.settings.upkeep.test_connector.as_deref() == Some(payment.connector.as_str());
        if test { House::Test("loss") } else { House::Loss }
    }

    /// Whether the test book's connector is there and serves nobody else.
    pub(super) fn test_book_fits(&self) -> Result<(), Error> {
        let inner = &self.inner;
        let Some(test) = &inner.settings.upkeep.test_connector else { return Ok(()) };
        let serves = inner.plan.routes().iter().any(|route| route.connector == *test)
            || inner.settings.billers.all().iter().any(|biller| biller.connector == *test);
        let fits = inner.connectors.get(test).is_some_and(|connector| connector.takes_recharges());
        if fits && !serves { Ok(()) } else { Err(Error::TestConnector(test.clone())) }
    }
}
