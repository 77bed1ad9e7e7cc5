//! Drives charges: reads, has `payment::charge` decide, and commits row, money, texts and answer together.
//!
//! Each step is one commit. The deposit is a payment inside the house; a completion or a return is one transfer under an id that
//! follows from the charge, so that the money of a charge leaves the intermediary account once, whatever is repeated.

use crate::ledger::chart::House;
use crate::ledger::command::{Act, Command, Leg};
use crate::msisdn::Msisdn;
use crate::payment::answer::{Channel, PayOutcome};
use crate::payment::audit::Entry;
use crate::payment::charge;
use crate::payment::charge::{
    CERTIFICATE_TAIL, CERTIFICATE_TRIES, Input, Movement, Side, Stage, Step, texts,
};
use crate::payment::fold::whole;
use crate::payment::pin;
use crate::payment::reference;
use crate::payment::row::charge::{AgentRow, ChargeRow};
use crate::payment::row::record::{Select, cell};
use crate::payment::row::{AnswerRow, Id, Target, product};
use crate::payment::run::agents::{SCOPE, price_minor};
use crate::payment::run::crash::{crash_point, planted};
use crate::payment::run::pay::PinVerdict;
use crate::payment::run::staff::between;
use crate::payment::run::trust::Needs;
use crate::payment::run::within::{Asked, HELD_OUTSIDE, Stopped, Within};
use crate::payment::run::{Error, Payments};
use crate::payment::unit::{Op, Posting, Refusal};
use crate::secret::Secret;

/// Due charges taken up in one round.
const DUE_MAX: u32 = 200;
/// Charges of one side that are listed.
const LISTED_MAX: u32 = 50;
/// How often a decision is made anew because the row changed in between.
const ANEW_MAX: usize = 8;
/// What the policy calls a request.
const REQUEST: &str = "charge.request";
/// What it calls a deposit.
const DEPOSIT: &str = "charge.deposit";
/// What it calls a confirmation, and the name under which the answer to one is kept.
pub(super) const CONFIRM: &str = "charge.confirm";
/// What the MAC of a certificate is of.
const CERTIFICATE: &[u8] = b"charge certificate";

/// Who says something about a charge.
#[derive(Clone, Debug)]
pub struct Asker {
    /// The account that is spoken for.
    pub account: Id,
    /// The number that it came from; over HTTP, the number that the account is told at.
    pub caller: Option<Msisdn>,
    /// How it came.
    pub channel: Channel,
}

/// What a buyer asks for.
#[derive(Clone, Debug)]
pub struct ChargeRequest {
    /// Made before anything was asked.
    pub id: Id,
    /// Whose balance is wanted.
    pub agent: Id,
    /// The account to be charged.
    pub buyer: Id,
    /// The buyer's number, where texts go: the caller's own, where there is a caller.
    pub phone: Msisdn,
    /// How it was asked for.
    pub channel: Channel,
    /// The language of those texts.
    pub language: String,
    /// Balance, minor units.
    pub amount_minor: i64,
    /// The price that was shown, minor units; refused when it is another by now.
    pub price_minor: i64,
}

/// What a step of a charge came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Charged {
    /// Done; the charge as it stands.
    Done(Box<ChargeRow>),
    /// No such charge of this side.
    NotFound,
    /// Not now: it stands so, or its time has passed.
    NotNow(Stage),
    /// The agent does not sell this amount now at this price.
    NotOffered,
    /// Too many requests are open.
    TooMany,
    /// Shut for now.
    Suspended,
    /// The certificate is another.
    WrongCertificate {
        /// Tries left.
        left: i32,
    },
    /// Too many wrong certificates: staff must resolve it.
    CertificateLocked,
    /// Over the limit of one charge, minor units.
    Limit {
        /// Minor units.
        limit_minor: i64,
    },
    /// The agent's PIN, money or day's limit.
    Unpaid(PayOutcome),
    /// The policy wants more of who asks, or the SIM was changed lately.
    Doubted(Needs),
    /// The word of staff, or of a side of a dispute, was not taken.
    NotJudged(charge::Refusal),
}

fn refused(refusal: charge::Refusal, row: &ChargeRow) -> Charged {
    let stage = Stage::from_number(row.state).unwrap_or(Stage::Requested);
    match refusal {
        charge::Refusal::NotNow(stage) => Charged::NotNow(stage),
        charge::Refusal::CertificateLocked => Charged::CertificateLocked,
        charge::Refusal::SameStaff | charge::Refusal::NoEvidence | charge::Refusal::Full => {
            Charged::NotJudged(refusal)
        }
        charge::Refusal::BuyerOnly
        | charge::Refusal::Late
        | charge::Refusal::NotDue
        | charge::Refusal::Broken => Charged::NotNow(stage),
    }
}

impl Payments {
    /// A buyer asks an agent for balance. The same id again is the same charge.
    ///
    /// # Errors
    /// When the database or the writer does not answer, or the id was used for something else.
    pub async fn request_charge(&self, ask: ChargeRequest) -> Result<Charged, Error> {
        if let Some(known) = self.charge(ask.id).await? {
            let same =
                (known.agent, known.buyer, known.amount_minor) == (ask.agent, ask.buyer, ask.amount_minor);
            return if same { Ok(Charged::Done(Box::new(known))) } else { Err(Error::IdReused) };
        }
        let terms = self.inner.settings.charging;
        if let Some(limit_minor) = terms.charge_limit_minor.filter(|limit| ask.amount_minor > *limit) {
            return Ok(Charged::Limit { limit_minor });
        }
        if self.maintained(&[("product".to_owned(), "charge".to_owned())]).await?.is_some() {
            return Ok(Charged::Suspended);
        }
        if self.held_outside(ask.buyer).await?.is_some() {
            // What an agent sells stands in our books, where such an account cannot spend it.
            let class = HELD_OUTSIDE.to_owned();
            return Ok(Charged::Unpaid(PayOutcome::Refused { class }));
        }
        let Some(agent) = self.agent(ask.agent).await?.filter(|agent| sells(agent, &ask)) else {
            return Ok(Charged::NotOffered);
        };
        let (buyer, phone) = (ask.buyer, Some(&ask.phone));
        let needs = self.doubted(REQUEST, ask.amount_minor, buyer, phone, ask.channel).await?;
        if needs != Needs::Pin {
            return Ok(Charged::Doubted(needs));
        }
        let requested = Stage::Requested.number();
        let open = Select::<ChargeRow>::new().equal("buyer", &ask.buyer).equal("state", &requested);
        if self.inner.store.records(&open).await?.len() >= terms.open_max {
            return Ok(Charged::TooMany);
        }
        for _ in 0..ANEW_MAX {
            let row = self.new_charge(&ask, &agent, terms.deposit_within)?;
            let mut ops = vec![Op::Open(doors(&row)), Op::add(&row)];
            self.tell_both(&row, &mut ops);
            crash_point("charge_request_before");
            match self.commit(ops).await? {
                Ok(_) => {
                    crash_point("charge_request_after");
                    return Ok(Charged::Done(Box::new(row)));
                }
                Err(Refusal::Suspended) => return Ok(Charged::Suspended),
                // Asked twice at once: the other one is it.
                Err(Refusal::Exists(_)) => {
                    if let Some(known) = self.charge(ask.id).await? {
                        return Ok(Charged::Done(Box::new(known)));
                    }
                }
                Err(refusal) => return Err(Error::Refused(refusal)),
            }
        }
        Err(Error::Busy)
    }

    fn new_charge(&self, ask: &ChargeRequest, agent: &AgentRow, wait: i64) -> Result<ChargeRow, Error> {
        let now = self.now();
        Ok(ChargeRow {
            id: ask.id,
            number: reference::fresh().ok_or(pin::Error::Random)?,
            agent: ask.agent,
            buyer: ask.buyer,
            agent_phone: agent.phone.clone(),
            buyer_phone: ask.phone.clone(),
            agent_language: agent.language.clone(),
            buyer_language: ask.language.clone(),
            details: agent.details.clone(),
            amount_minor: ask.amount_minor,
            price_minor: ask.price_minor,
            fee_minor: agent.fee_minor,
            currency: self.inner.settings.currency,
            state: Stage::Requested.number(),
            deposit: None,
            certificate_mac: None,
            certificate: None,
            tries: 0,
            due_at: Some(now.saturating_add(wait)),
            pay_by: None,
            claimed_at: None,
            disputed_at: None,
            judged_by: None,
            judged_to: None,
            evidence: None,
            created_at: now,
            updated_at: now,
            ended_at: None,
            version: 1,
        })
    }

    /// A charge by its id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn charge(&self, id: Id) -> Result<Option<ChargeRow>, Error> {
        Ok(self.inner.store.record::<ChargeRow>(&[cell(&id)]).await?)
    }

    /// A charge by the number that people call it by.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn charge_by_number(&self, number: &str) -> Result<Option<ChargeRow>, Error> {
        let wanted = Select::<ChargeRow>::new().equal("number", &number.to_owned()).limit(1);
        Ok(self.inner.store.records(&wanted).await?.pop())
    }

    /// The charges of one side that are not over, the latest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn open_charges(&self, side: Side, account: Id) -> Result<Vec<ChargeRow>, Error> {
        let column = if side == Side::Buyer { "buyer" } else { "agent" };
        let mut open = Vec::new();
        for stage in Stage::ALL.iter().filter(|stage| !stage.is_final()) {
            let wanted = Select::<ChargeRow>::new()
                .equal(column, &account)
                .equal("state", &stage.number())
                .order("updated_at")
                .descending()
                .limit(LISTED_MAX);
            open.extend(self.inner.store.records(&wanted).await?);
        }
        open.sort_by_key(|row| std::cmp::Reverse(row.updated_at));
        Ok(open)
    }

    /// At most so many charges in a stage, the latest first, for staff.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn charges_in(&self, stage: Stage, limit: u32) -> Result<Vec<ChargeRow>, Error> {
        let wanted = Select::<ChargeRow>::new()
            .equal("state", &stage.number())
            .order("updated_at")
            .descending()
            .limit(limit);
        Ok(self.inner.store.records(&wanted).await?)
    }

    pub(super) async fn of(&self, side: Side, account: Id, number: &str) -> Result<Option<ChargeRow>, Error> {
        let row = self.charge_by_number(number).await?;
        Ok(row.filter(|row| account == if side == Side::Buyer { row.buyer } else { row.agent }))
    }

    /// The buyer's certificate, as long as the amount is on the intermediary account.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn charge_details(
        &self,
        buyer: Id,
        number: &str,
    ) -> Result<Option<(ChargeRow, String)>, Error> {
        let Some(row) = self.of(Side::Buyer, buyer, number).await? else { return Ok(None) };
        if !Stage::from_number(row.state).is_some_and(Stage::holds_money) {
            return Ok(None);
        }
        let certificate = self.certificate(&row).and_then(|c| String::from_utf8(c.expose().to_vec()).ok());
        Ok(certificate.map(|certificate| (row, certificate)))
    }

    fn certificate(&self, row: &ChargeRow) -> Option<Secret> {
        let plain = self.inner.seals.open(&row.id.0, row.certificate.as_ref()?)?;
        Some(Secret::new(plain.to_vec()))
    }

    /// Whether these are the certificate, or its last digits; in constant time.
    fn matches(&self, row: &ChargeRow, typed: &str) -> bool {
        let mac = self.inner.seals.mac(&[CERTIFICATE, &row.id.0, typed.as_bytes()]);
        if let Some(stored) = &row.certificate_mac
            && Secret::new(mac.to_vec()) == Secret::new(stored.clone())
        {
            return true;
        }
        // The last digits, or a certificate that was made under an older pepper.
        let Some(whole) = self.certificate(row) else { return false };
        let Some(from) = whole.len().checked_sub(typed.len()) else { return false };
        let tail = whole.expose().get(from..).unwrap_or_default();
        typed.len() >= CERTIFICATE_TAIL && Secret::new(tail.to_vec()) == Secret::from(typed)
    }

    /// The agent deposits the amount with the PIN. `id` is the payment's; the same id again answers the same.
    ///
    /// # Errors
    /// When the database or the writer does not answer.
    pub async fn deposit_charge(
        &self,
        id: Id,
        agent: &Asker,
        number: &str,
        typed: Secret,
    ) -> Result<Charged, Error> {
        for _ in 0..ANEW_MAX {
            let Some(row) = self.of(Side::Agent, agent.account, number).await? else {
                return Ok(Charged::NotFound);
            };
            if row.deposit == Some(id) && !planted("deposit_not_recognised") {
                return Ok(Charged::Done(Box::new(row)));
            }
            let certificate = Secret::from(reference::fresh().ok_or(pin::Error::Random)?.as_str());
            let mac = self.inner.seals.mac(&[CERTIFICATE, &row.id.0, certificate.expose()]).to_vec();
            let sealed = self.inner.seals.seal(&row.id.0, certificate.expose())?;
            let terms = self.inner.settings.charging;
            let input = Input::Deposit { mac, sealed };
            let mut step = match charge::decide(&row, self.now(), &terms, input) {
                Ok(step) => step,
                Err(refusal) => return Ok(refused(refusal, &row)),
            };
            let needs = self.asked_of(agent, DEPOSIT, row.amount_minor).await?;
            if needs != Needs::Pin {
                return Ok(Charged::Doubted(needs));
            }
            step.row.deposit = Some(id);
            let mut with = vec![Op::Open(doors(&row)), Op::set(&step.row)];
            self.tell_both(&step.row, &mut with);
            let draft = self.draft_within(Asked {
                id,
                account: agent.account,
                caller: agent.caller.clone(),
                channel: agent.channel,
                product: product::DEPOSIT,
                target: Target::Deal(row.id),
                amount_minor: row.amount_minor,
                fee_minor: row.fee_minor,
                payee: Some(row.number.clone()),
                deal: Some(row.id),
            });
            let currency = self.inner.settings.currency;
            let kept = House::Intermediary.id(currency);
            let posting = Posting {
                counterparty: kept,
                commission: kept,
                fee: House::Fee.id(currency),
                tax: House::Tax.id(currency),
            };
            let within = Within {
                draft,
                pin: typed.clone(),
                payment_limit_minor: terms.charge_limit_minor.unwrap_or(i64::MAX),
                day_limit_minor: terms.day_limit_minor.unwrap_or(i64::MAX),
                posting,
                with,
            };
            crash_point("charge_deposit_before");
            match self.pay_within(within).await? {
                Ok(_) => {}
                Err(Stopped::Refused(Refusal::Stale)) => continue,
                Err(stopped) => return Ok(Charged::Unpaid(stopped.told().map_err(Error::Refused)?)),
            }
            crash_point("charge_deposit_after");
            let row = self.charge(row.id).await?.ok_or(Error::IdReused)?;
            return Ok(Charged::Done(Box::new(row)));
        }
        Err(Error::Busy)
    }

    /// The agent confirms with the certificate, or its last digits, and the PIN. The same id again answers the same.
    ///
    /// # Errors
    /// When the database or the writer does not answer.
    pub async fn confirm_charge(
        &self,
        id: Id,
        agent: &Asker,
        number: &str,
        certificate: &str,
        typed: Secret,
    ) -> Result<Charged, Error> {
        let Some(row) = self.of(Side::Agent, agent.account, number).await? else {
            return Ok(Charged::NotFound);
        };
        let charge = row.id;
        match self.confirm_through(id, agent, row, certificate, typed).await? {
            Charged::Done(row) => Ok(Charged::Done(row)),
            // Asked twice at once: the other one may have done it meanwhile.
            told => Ok(self.confirmed(id, charge).await?.unwrap_or(told)),
        }
    }

    /// What is needed of who asks, before a PIN try counts.
    async fn asked_of(&self, asker: &Asker, action: &str, amount_minor: i64) -> Result<Needs, Error> {
        self.doubted(action, amount_minor, asker.account, asker.caller.as_ref(), asker.channel).await
    }

    /// The charge, if this id has confirmed it.
    async fn confirmed(&self, id: Id, charge: Id) -> Result<Option<Charged>, Error> {
        let Some(done) = self.inner.store.record::<AnswerRow>(&[cell(&id)]).await? else { return Ok(None) };
        if done.action != CONFIRM || done.outcome_values != charge.text() {
            return Err(Error::IdReused);
        }
        let row = self.charge(charge).await?.ok_or(Error::IdReused)?;
        Ok(Some(Charged::Done(Box::new(row))))
    }

    async fn confirm_through(
        &self,
        id: Id,
        agent: &Asker,
        row: ChargeRow,
        certificate: &str,
        typed: Secret,
    ) -> Result<Charged, Error> {
        if let Some(done) = self.confirmed(id, row.id).await? {
            return Ok(done);
        }
        let terms = self.inner.settings.charging;
        if let Err(refusal) = charge::decide(&row, self.now(), &terms, Input::Confirm) {
            return Ok(refused(refusal, &row));
        }
        let needs = self.asked_of(agent, CONFIRM, row.amount_minor).await?;
        if needs != Needs::Pin {
            return Ok(Charged::Doubted(needs));
        }
        let passed = match self.check_pin(row.agent, &typed).await? {
            PinVerdict::Right { rehash } => Op::PinPassed { account: row.agent, rehash },
            // The same id may have been asked at the same time, and confirmed.
            PinVerdict::Wrong { left } => {
                let done = self.confirmed(id, row.id).await?;
                return Ok(done.unwrap_or(Charged::Unpaid(PayOutcome::WrongPin { left })));
            }
            PinVerdict::Locked => {
                let done = self.confirmed(id, row.id).await?;
                return Ok(done.unwrap_or(Charged::Unpaid(PayOutcome::Locked)));
            }
        };
        if !self.matches(&row, certificate) {
            return Ok(match self.change(row.id, &|_| Input::WrongCertificate, vec![passed]).await? {
                Charged::Done(row) => {
                    Charged::WrongCertificate { left: CERTIFICATE_TRIES.saturating_sub(row.tries) }
                }
                other => other,
            });
        }
        let answer = AnswerRow {
            id,
            action: CONFIRM.to_owned(),
            outcome: "done".to_owned(),
            outcome_values: row.id.text(),
            at: self.now(),
        };
        crash_point("charge_confirm_before");
        let done = self.change(row.id, &|_| Input::Confirm, vec![passed, Op::put(&answer)]).await?;
        crash_point("charge_confirm_after");
        Ok(done)
    }

    /// What needs no PIN: declining, giving up, the word "paid" and taking it back, disputing, and what a side says for itself.
    /// Saying it twice is as saying it once, but for the last.
    ///
    /// # Errors
    /// When the database or the writer does not answer.
    pub async fn say_charge(
        &self,
        side: Side,
        account: Id,
        number: &str,
        input: Input,
    ) -> Result<Charged, Error> {
        let Some(row) = self.of(side, account, number).await? else { return Ok(Charged::NotFound) };
        let stage = Stage::from_number(row.state);
        let said = match input {
            Input::Decline => stage == Some(Stage::Declined),
            Input::Cancel(_) => stage == Some(Stage::Cancelled),
            Input::Claim => stage == Some(Stage::Claimed),
            Input::Withdraw => stage == Some(Stage::ToAgent),
            Input::Dispute(_) => stage == Some(Stage::Disputed),
            _ => false,
        };
        if said {
            return Ok(Charged::Done(Box::new(row)));
        }
        let may = match (&input, side) {
            (Input::Decline, Side::Agent) | (Input::Claim | Input::Withdraw, Side::Buyer) => true,
            (Input::Cancel(by) | Input::Dispute(by) | Input::Statement { side: by, .. }, side) => *by == side,
            _ => false,
        };
        if !may {
            return Ok(Charged::NotFound);
        }
        self.change(row.id, &|_| input.clone(), Vec::new()).await
    }

    /// One of the staff says whose the money of a dispute is; the second who agrees, another person, decides. Both words are in
    /// the audit log.
    ///
    /// # Errors
    /// When the database or the writer does not answer.
    pub async fn judge_charge(
        &self,
        number: &str,
        staff: &str,
        to: Side,
        evidence: &str,
    ) -> Result<Charged, Error> {
        let input = Input::Judge { staff: staff.to_owned(), to, evidence: evidence.to_owned() };
        for _ in 0..ANEW_MAX {
            let Some(row) = self.charge_by_number(number).await? else { return Ok(Charged::NotFound) };
            let terms = &self.inner.settings.charging;
            let step = match charge::decide(&row, self.now(), terms, input.clone()) {
                Ok(step) => step,
                Err(refusal) => return Ok(refused(refusal, &row)),
            };
            let decided = step.movement != Movement::Still;
            let side = if to == Side::Buyer { "buyer" } else { "agent" };
            let words: String = evidence.trim().chars().take(charge::STATEMENT_MAX).collect();
            let entry = Entry {
                who: staff.trim().to_owned(),
                what: if decided { "charge_resolve" } else { "charge_judge" },
                subject: row.number.clone(),
                details: serde_json::json!({ "to": side, "evidence": words }),
            };
            match self.write_staff(self.writes(&step, &[]), &entry, None).await? {
                Ok(()) => return Ok(Charged::Done(Box::new(step.row))),
                Err(refusal) if between(&refusal) => {}
                Err(refusal) => return Err(Error::Refused(refusal)),
            }
        }
        Err(Error::Busy)
    }

    /// What is written with a step: what comes with it, the row, the money and the texts.
    fn writes(&self, step: &Step, with: &[Op]) -> Vec<Op> {
        let mut ops = with.to_vec();
        let blindly = planted("charge_set_blindly");
        ops.push(if blindly { Op::put(&step.row) } else { Op::set(&step.row) });
        ops.extend(self.moved(step).map(Op::Ledger));
        if step.tell {
            self.tell_both(&step.row, &mut ops);
        }
        ops
    }

    /// Reads, decides and commits, anew when the row changed in between.
    async fn change(
        &self,
        id: Id,
        input: &(dyn Fn(&ChargeRow) -> Input + Sync),
        with: Vec<Op>,
    ) -> Result<Charged, Error> {
        for _ in 0..ANEW_MAX {
            let Some(row) = self.charge(id).await? else { return Ok(Charged::NotFound) };
            let step = match charge::decide(&row, self.now(), &self.inner.settings.charging, input(&row)) {
                Ok(step) => step,
                Err(refusal) => return Ok(refused(refusal, &row)),
            };
            crash_point("charge_step_before");
            match self.commit(self.writes(&step, &with)).await? {
                Ok(_) => {
                    crash_point("charge_step_after");
                    return Ok(Charged::Done(Box::new(step.row)));
                }
                Err(Refusal::Stale) => {}
                Err(refusal) => return Err(Error::Refused(refusal)),
            }
        }
        Err(Error::Busy)
    }

    /// The one transfer that takes a charge's money off the intermediary account.
    fn moved(&self, step: &Step) -> Option<Command> {
        let Movement::Settle(side) = step.movement else { return None };
        let row = &step.row;
        let to = if side == Side::Buyer { row.buyer } else { row.agent };
        let kept = House::Intermediary.id(self.inner.settings.currency);
        let legs = vec![Leg::new(kept, row.amount_minor.saturating_neg()), Leg::new(to, row.amount_minor)];
        let mut id = row.id.derived("settle");
        if planted("charge_set_blindly") {
            id = Id::new(self.now());
        }
        Some(Command::new(id, None, Act::Transfer { legs }))
    }

    fn tell_both(&self, row: &ChargeRow, ops: &mut Vec<Op>) {
        for (side, phone) in [(Side::Buyer, &row.buyer_phone), (Side::Agent, &row.agent_phone)] {
            if let Some(body) = texts::text(row, side, self.inner.settings.currency) {
                let id = row.id.derived(&format!("sms {} {}", row.version, side.number()));
                ops.push(Op::Outbox(self.sms(id, phone, body)));
            }
        }
    }

    /// Takes up the charges whose time has come; tells how many changed.
    ///
    /// # Errors
    /// When the database or the writer does not answer.
    pub async fn charges_due(&self) -> Result<usize, Error> {
        let now = self.now();
        // Not before now, so that nothing without a time is compared.
        let due =
            Select::<ChargeRow>::new().below("due_at", &now.saturating_add(1)).order("due_at").limit(DUE_MAX);
        let mut changed = 0;
        for row in self.inner.store.records(&due).await? {
            if let (Some(since), Some(Stage::Disputed)) = (row.disputed_at, Stage::from_number(row.state)) {
                let hours = now.saturating_sub(since) / 3_600_000_000;
                tracing::error!(charge = %row.number, hours, "a charge is disputed and waits for staff");
            }
            if let Charged::Done(_) = self.change(row.id, &|_| Input::Time, Vec::new()).await? {
                changed += 1;
            }
        }
        Ok(changed)
    }
}

fn sells(agent: &AgentRow, ask: &ChargeRequest) -> bool {
    agent.open
        && !agent.suspended
        && agent.account != ask.buyer
        && (agent.least_minor..=agent.most_minor).contains(&ask.amount_minor)
        && price_minor(ask.amount_minor, agent.price_ppm) == Some(ask.price_minor)
}

/// What must be open for a request or a deposit.
fn doors(row: &ChargeRow) -> Vec<(String, String)> {
    [
        ("product", "charge".to_owned()),
        (SCOPE, row.agent.text()),
        ("account", row.agent.text()),
        ("account", row.buyer.text()),
        ("number", row.buyer_phone.as_str().to_owned()),
    ]
    .map(|(scope, key)| (scope.to_owned(), key))
    .into_iter()
    .chain(whole())
    .collect()
}
