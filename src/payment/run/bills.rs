//! Bills: what a biller says of one, and paying it on the strength of what it said.
//!
//! A payment of a bill goes the road of every other payment. What is of bills alone stands before the hold: the biller's
//! quote, kept from the inquiry, must still hold for the amount and the fee that the caller confirmed.

use crate::connector::bill::{Inquired, Quoted};
use crate::connector::contract::RefusalClass;
use crate::ledger::command::Refusal as LedgerRefusal;
use crate::ledger::row::Id;
use crate::payment::answer::{BillAnswer, BillFound, BillRequest, PayOutcome, Pin};
use crate::payment::bill::{Biller, Terms};
use crate::payment::fold::ids;
use crate::payment::row::bill::QuoteRow;
use crate::payment::row::record::{Select, cell};
use crate::payment::row::{PaymentRow, State, Target, product};
use crate::payment::run::changes::Listener;
use crate::payment::run::crash::crash_point;
use crate::payment::run::pay::{Intent, PinVerdict};
use crate::payment::run::{Error, Payments};
use crate::payment::unit::{Op, Refusal};

/// A quote is forgotten so long after it has expired, in microseconds: a day.
const FORGET_AFTER: i64 = 24 * 3_600_000_000;
/// Old quotes forgotten at once.
const FORGET_MAX: u32 = 256;

impl Payments {
    /// The billers, in the order in which they are offered.
    #[must_use]
    pub fn billers(&self) -> &[Biller] {
        self.inner.settings.billers.all()
    }

    /// Asks the biller of a code for a bill. What is shown of the answer was signed by it; its quote is kept for the payment.
    ///
    /// # Errors
    /// When the database does not answer. A biller that does not is [`BillAnswer::Down`].
    pub async fn inquire(&self, account: Id, code: &str, number: &str) -> Result<BillAnswer, Error> {
        let settings = &self.inner.settings;
        let Some(biller) = settings.billers.by_code(code) else { return Ok(BillAnswer::NoBiller) };
        if !biller.takes(number) {
            return Ok(BillAnswer::BadNumber);
        }
        let Some(connector) = self.inner.connectors.get(&biller.connector) else {
            return Ok(BillAnswer::Down);
        };
        let reference = Id::new(self.now()).text();
        match connector.inquire(&reference, number, settings.currency).await {
            Inquired::Found(bill) => self.keep_quote(account, biller, number, &bill).await,
            Inquired::NotFound => Ok(BillAnswer::NotFound),
            Inquired::AlreadyPaid => Ok(BillAnswer::AlreadyPaid),
            Inquired::Expired => Ok(BillAnswer::Expired),
            Inquired::Down { detail, alarm } => {
                let biller = biller.id.as_str();
                if alarm {
                    tracing::error!(biller, detail, "ALARM: a biller's answer is not to be trusted");
                } else {
                    tracing::warn!(biller, detail, "a biller gave no answer");
                }
                Ok(BillAnswer::Down)
            }
        }
    }

    async fn keep_quote(
        &self,
        account: Id,
        biller: &Biller,
        number: &str,
        bill: &Quoted,
    ) -> Result<BillAnswer, Error> {
        let (least_minor, most_minor) = biller.bounds(bill);
        let fee_minor = bill.fee.map_or(biller.fee_minor, |fee| fee.minor);
        if least_minor > most_minor {
            tracing::warn!(biller = biller.id, "a biller's quote allows no amount");
            return Ok(BillAnswer::Down);
        }
        let row = QuoteRow {
            account,
            biller: biller.id.clone(),
            number: number.to_owned(),
            quote: bill.quote.clone(),
            least_minor,
            most_minor,
            fee_minor,
            expires_at: bill.expires.0,
            asked_at: self.now(),
        };
        self.commit(vec![Op::put(&row)]).await?.map_err(Error::Refused)?;
        Ok(BillAnswer::Found(BillFound {
            biller: biller.name.clone(),
            name: bill.name.clone(),
            address: bill.address.clone(),
            amount_minor: bill.amount.minor,
            least_minor,
            most_minor,
            fee_minor,
            due: bill.due,
        }))
    }

    /// The last quote that an account has for a bill of the biller of a code.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn quoted(&self, account: Id, code: &str, number: &str) -> Result<Option<QuoteRow>, Error> {
        let Some(biller) = self.inner.settings.billers.by_code(code) else { return Ok(None) };
        let key = [cell(&account), cell(&biller.id), cell(&number.to_owned())];
        Ok(self.inner.store.record::<QuoteRow>(&key).await?)
    }

    /// Pays a bill on the strength of the last quote for it. The same id again answers the same and never pays twice. Dropping
    /// the future stops nothing.
    ///
    /// # Errors
    /// As [`Payments::pay`].
    pub async fn pay_bill(&self, request: BillRequest) -> Result<PayOutcome, Error> {
        if self.inner.tracker.is_closed() {
            return Err(Error::Stopped);
        }
        let this = self.clone();
        let task = self.inner.tracker.spawn(async move { this.pay_bill_through(request).await });
        task.await.map_err(|_| Error::Stopped)?
    }

    async fn pay_bill_through(&self, request: BillRequest) -> Result<PayOutcome, Error> {
        crash_point("received");
        // Before anything is written: what is resolved from now on is heard.
        let mut news = self.inner.changes.of(request.id);
        if let Some(outcome) = self.known_bill(&request, &mut news).await? {
            return Ok(outcome);
        }
        let (draft, biller_limit_minor) = match self.judge_bill(&request).await? {
            Ok(judged) => judged,
            Err(outcome) => return Ok(outcome),
        };
        let passed = match &request.pin {
            Pin::Typed(pin) => match self.check_pin(request.account, pin).await? {
                PinVerdict::Right { rehash } => Some(Op::PinPassed { account: request.account, rehash }),
                // The same id may have been asked at the same time, and paid.
                PinVerdict::Wrong { left } => {
                    let known = self.known_bill(&request, &mut news).await?;
                    return Ok(known.unwrap_or(PayOutcome::WrongPin { left }));
                }
                PinVerdict::Locked => {
                    let known = self.known_bill(&request, &mut news).await?;
                    return Ok(known.unwrap_or(PayOutcome::Locked));
                }
            },
            Pin::Waived if self.may_waive(request.channel, &draft) => None,
            Pin::Waived => return Ok(PayOutcome::PinNeeded),
        };
        let settings = &self.inner.settings;
        let limit_minor = settings.bill_payment_limit_minor;
        let intent = Intent {
            channel: request.channel,
            // The biller knows what is paid of a bill, and was asked a moment ago: an equal part of it is no mistake.
            repeat: true,
            payment_limit_minor: biller_limit_minor.map_or(limit_minor, |own| own.min(limit_minor)),
            day_limit_minor: self.bill_day_limit(request.account).await?,
        };
        match self.authorise(intent, draft, passed).await? {
            Ok(payment) => self.carry_on(payment, &mut news).await,
            Err(Refusal::PaymentExists(known)) if self.is_same(&request, &known) => {
                self.wait(*known, &mut news).await
            }
            Err(refusal) => bill_refused(refusal),
        }
    }

    /// What comes of the payment when it was asked for before.
    async fn known_bill(
        &self,
        request: &BillRequest,
        news: &mut Listener,
    ) -> Result<Option<PayOutcome>, Error> {
        match self.inner.store.payment(request.id).await? {
            Some(known) if self.is_same(request, &known) => self.wait(known, news).await.map(Some),
            Some(_) => Err(Error::IdReused),
            None => Ok(None),
        }
    }

    fn is_same(&self, request: &BillRequest, known: &PaymentRow) -> bool {
        let biller = self.inner.settings.billers.by_code(&request.biller);
        let target = biller.map(|b| Target::Bill { biller: b.id.clone(), number: request.number.clone() });
        known.account == request.account
            && Some(&known.target) == target.as_ref()
            && known.amount_minor == request.amount_minor
            && known.fee_minor == request.fee_minor
    }

    /// What can be said before a PIN try is counted, or the payment and the biller's own limit of one.
    async fn judge_bill(
        &self,
        request: &BillRequest,
    ) -> Result<Result<(PaymentRow, Option<i64>), PayOutcome>, Error> {
        let refused = |class: &str| Ok(Err(PayOutcome::Refused { class: class.to_owned() }));
        let settings = &self.inner.settings;
        let Some(biller) = settings.billers.by_code(&request.biller) else {
            return refused(RefusalClass::ProductUnavailable.name());
        };
        // The test book has no billers.
        if self.is_test(request.account).await? {
            return refused(RefusalClass::ProductUnavailable.name());
        }
        let caller = request.caller.as_ref();
        if let Some(class) =
            self.distrust("bill.pay", request.amount_minor, request.account, caller, request.channel).await?
        {
            return refused(class);
        }
        let Some(quote) = self.quoted(request.account, &request.biller, &request.number).await? else {
            return refused(RefusalClass::BillChanged.name());
        };
        let draft = self.bill_draft(request, biller, &quote);
        if self.is_shut(&draft, request.caller.as_ref()).await? {
            return Ok(Err(PayOutcome::Suspended));
        }
        let terms = Terms {
            least_minor: quote.least_minor,
            most_minor: quote.most_minor,
            fee_minor: quote.fee_minor,
            expires_at: quote.expires_at,
        };
        if !terms.hold(request.amount_minor, request.fee_minor, self.now()) {
            return refused(RefusalClass::BillChanged.name());
        }
        Ok(Ok((draft, biller.payment_limit_minor)))
    }

    fn bill_draft(&self, request: &BillRequest, biller: &Biller, quote: &QuoteRow) -> PaymentRow {
        let now = self.now();
        PaymentRow {
            id: request.id,
            reference: String::new(),
            account: request.account,
            caller: request.caller.clone(),
            channel: request.channel.number(),
            product: product::BILL.to_owned(),
            target: Target::Bill { biller: biller.id.clone(), number: request.number.clone() },
            amount_minor: request.amount_minor,
            fee_minor: quote.fee_minor,
            cost_minor: request.amount_minor,
            tax_minor: self.inner.settings.fee_tax.of(quote.fee_minor),
            currency: self.inner.settings.currency,
            state: State::Created,
            class: None,
            business_day: self.today(),
            hold: ids::hold(request.id),
            connector: biller.connector.clone(),
            carrier_reference: None,
            payee: Some(biller.name.clone()),
            quote: Some(quote.quote.clone()),
            provider: None,
            deal: None,
            created_at: now,
            updated_at: now,
            next_check_at: None,
            checks: 0,
            version: 0,
        }
    }

    /// Forgets quotes that expired long ago, a bounded number of them.
    pub(super) async fn forget_quotes(&self) -> Result<(), Error> {
        let before = self.now().saturating_sub(FORGET_AFTER);
        let old =
            Select::<QuoteRow>::new().below("expires_at", &before).order("expires_at").limit(FORGET_MAX);
        let old = self.inner.store.records(&old).await?;
        if old.is_empty() {
            return Ok(());
        }
        let key = |q: &QuoteRow| [cell(&q.account), cell(&q.biller), cell(&q.number)];
        let ops = old.iter().map(|quote| Op::remove::<QuoteRow>(&key(quote))).collect();
        self.commit(ops).await?.map_err(Error::Refused)?;
        Ok(())
    }
}

fn bill_refused(refusal: Refusal) -> Result<PayOutcome, Error> {
    Ok(match refusal {
        Refusal::Suspended => PayOutcome::Suspended,
        Refusal::StillProcessing(_) => PayOutcome::StillProcessing,
        Refusal::PinNeeded => PayOutcome::PinNeeded,
        Refusal::PinLocked => PayOutcome::Locked,
        Refusal::PaymentLimit { limit_minor } => PayOutcome::PaymentLimit { limit_minor },
        Refusal::DayLimit { limit_minor, left_minor } => {
            PayOutcome::DayLimit { limit_minor, left_minor, fits: left_minor > 0 }
        }
        Refusal::Ledger(LedgerRefusal::Insufficient { available_minor }) => {
            PayOutcome::Insufficient { left_minor: available_minor.max(0) }
        }
        Refusal::PaymentExists(_) | Refusal::Ledger(LedgerRefusal::IdReused) => {
            return Err(Error::IdReused);
        }
        other => return Err(Error::Refused(other)),
    })
}
