//! Asks a biller for a bill. Nothing of an answer is read before its signature holds.

use crate::connector::bill::{Asked, BillOrder, Inquired};
use crate::connector::contract::{DEDUCTION_RESERVED, Order, Outcome};
use crate::connector::http::{Connector, Whole};
use crate::money::{Currency, Money};

impl Connector {
    /// Whether bills can be asked for and paid here.
    #[must_use]
    pub fn takes_bills(&self) -> bool {
        self.definition.bills.is_some()
    }

    /// Whether numbers can be recharged here.
    #[must_use]
    pub fn takes_recharges(&self) -> bool {
        self.definition.submit.is_some()
    }

    /// Asks for a bill by its number. Moves nothing; `reference` is of this question alone.
    pub async fn inquire(&self, reference: &str, number: &str, currency: Currency) -> Inquired {
        let down = |detail: String, alarm: bool| Inquired::Down { detail, alarm };
        let Some(bills) = self.definition.bills.as_ref() else {
            return down("this connector takes no bills".to_owned(), false);
        };
        let order = Order {
            reference: reference.to_owned(),
            msisdn: None,
            bill: Some(BillOrder { number: number.to_owned(), quote: String::new() }),
            external_id: None,
            amount: Money::new(0, currency),
            deduction: String::new(),
            state: DEDUCTION_RESERVED,
            carrier_reference: None,
            at: self.clock.now(),
        };
        let _pass = match self.gate.enter().await {
            Ok(pass) => pass,
            Err(reason) => return down(reason, false),
        };
        // An inquiry moves nothing: it may be asked again with a fresh token.
        let Whole { status, headers, body } = match self.ask_whole(&bills.inquire.request, &order, true).await
        {
            Ok(answer) => answer,
            Err(outcome) => return down(reason(outcome), false),
        };
        if self.check(&bills.inquire.signature, &headers, &body).is_err() {
            // A biller that is down answers through a proxy that cannot sign; only a good answer that is not signed is
            // somebody's trick.
            return down(format!("status {status}: the biller's signature does not hold"), status < 500);
        }
        bills.inquire.read(status, &body, &Asked { reference, number, currency, now: self.clock.now() })
    }
}

fn reason(outcome: Outcome) -> String {
    match outcome {
        Outcome::NotSent { reason, .. } => reason,
        Outcome::Unknown { detail, .. } => detail,
        other => other.name().to_owned(),
    }
}
