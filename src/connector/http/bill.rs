//! Asks a biller for a bill. Nothing of an answer is read before its signature holds.

use crate::connector::bill::{Asked, BillOrder, Inquired};
use crate::connector::contract::{DEDUCTION_RESERVED, Order, Outcome};
use crate::connector::http::{Connector, failed, read_body, words};
use crate::connector::token;
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
        let definition = &self.definition;
        let mut prepared = match self.prepare(&bills.inquire.request, &order) {
            Ok(prepared) => prepared,
            Err(error) => return down(words(&error), false),
        };
        let token = match self.token().await {
            Ok(token) => token,
            Err(fault) => return down(fault.reason().to_owned(), false),
        };
        match token::header(definition.auth.as_ref(), &definition.keys, token.as_ref()) {
            Ok(Some(header)) => drop(prepared.headers_mut().insert(reqwest::header::AUTHORIZATION, header)),
            Ok(None) => {}
            Err(detail) => return down(detail, false),
        }
        let response = match self.client.execute(prepared).await {
            Ok(response) => response,
            Err(error) => {
                self.gate.record(true);
                return down(reason(failed(&error)), false);
            }
        };
        let status = response.status().as_u16();
        self.gate.record(status >= 500);
        if let Some(stale) = token.as_ref().filter(|_| status == 401) {
            // The next question fetches a fresh one.
            self.tokens.forget(stale).await;
        }
        let headers: Vec<(String, String)> = response
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
            .collect();
        let body = match read_body(response).await {
            Ok(body) => body,
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
