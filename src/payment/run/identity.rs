//! Who may use an account: codes by SMS, PINs chosen twice, numbers bound and unbound.
//!
//! Each step is one commit with compare-and-set. An answer to a code, right or wrong, is told only after it was counted.

use crate::ledger::chart;
use crate::ledger::row::Id;
use crate::msisdn::Msisdn;
use crate::payment::binding;
use crate::payment::binding::Chosen;
use crate::payment::code;
use crate::payment::code::{Answered, NotSent};
use crate::payment::pin;
use crate::payment::row::identity::{ChoiceRow, CodeRow, HistoryRow, MarkRow, SeenRow};
use crate::payment::row::record::{Select, cell};
use crate::payment::row::{BindingRow, OutboxRow, PayerRow};
use crate::payment::run::pay::PinVerdict;
use crate::payment::run::{Error, Payments};
use crate::payment::unit::{Op, Refusal};
use crate::secret::Secret;

/// What a code to a number without an account, or that is heard of again, is for.
const REGISTER: &str = "register";
/// What a code of somebody who has an account is for.
const CHANGE: &str = "change";
/// The proof that the old PIN was given.
const OLD_PIN: &str = "pin";
/// What staff allowed to somebody who lost a PIN.
pub(super) const LOST: &str = "lost";
/// A number is noted as seen once in this time at most, microseconds: a day.
const SEEN_EVERY: i64 = 24 * 3_600 * 1_000_000;
/// Times that a step is judged anew when somebody else changed the row.
const STALE_MAX: usize = 8;

/// What came of asking for a code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CodeSent {
    /// It is on its way.
    Sent,
    /// None was sent.
    Not(NotSent),
    /// The number is no mobile number.
    NotMobile,
}

/// What came of a PIN that was typed for the second time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PinSet {
    /// An account was opened, bound, and has this PIN.
    Registered(Id),
    /// The account has another PIN now.
    Changed,
    /// The two were not the same.
    Differ,
    /// The first one is too old.
    Expired,
    /// Neither the old PIN nor a code was given.
    NotAllowed,
    /// The PIN is too simple.
    Weak,
}

/// What came of a change that needs the PIN.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Changed {
    /// Done.
    Done,
    /// The PIN was wrong.
    WrongPin {
        /// Tries left.
        left: i32,
    },
    /// The PIN is locked.
    Locked,
    /// The number has another account.
    Taken,
    /// The number is not bound to this account, or is its last.
    NotBound,
    /// No code came back from the number.
    NoCode,
}

impl Payments {
    pub(super) fn code_mac(
        &self,
        phone: &Msisdn,
        purpose: &str,
        account: Option<Id>,
        code: &Secret,
    ) -> Vec<u8> {
        let account = account.map(|id| id.0.to_vec()).unwrap_or_default();
        let parts: [&[u8]; 5] =
            [b"one-time code", purpose.as_bytes(), &account, phone.as_str().as_bytes(), code.expose()];
        self.inner.seals.mac(&parts).to_vec()
    }

    pub(super) async fn code_row(&self, phone: &Msisdn, purpose: &str) -> Result<Option<CodeRow>, Error> {
        Ok(self.inner.store.record(&[cell(phone), cell(&purpose.to_owned())]).await?)
    }

    /// A text that holds a secret, for the outbox: encrypted until it leaves.
    pub(super) fn sealed(&self, row: OutboxRow) -> Result<OutboxRow, Error> {
        Ok(OutboxRow { body: self.seal_text(row.id, &row.body)?, ..row })
    }

    /// The message as it leaves: what was encrypted is opened in memory only.
    pub(super) fn unsealed(&self, row: OutboxRow) -> OutboxRow {
        match self.open_text(row.id, &row.body) {
            Some(body) => OutboxRow { body, ..row },
            None => row,
        }
    }

    /// Sends a code to a number. `account` is whose change it is for, none to register.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn send_code(&self, phone: &Msisdn, account: Option<Id>) -> Result<CodeSent, Error> {
        let purpose = if account.is_some() { CHANGE } else { REGISTER };
        self.send_for(phone, purpose, account, true).await
    }

    /// Sends a code for a purpose; one that is not `told` leaves a row like any other and no message.
    pub(super) async fn send_for(
        &self,
        phone: &Msisdn,
        purpose: &str,
        account: Option<Id>,
        told: bool,
    ) -> Result<CodeSent, Error> {
        if !self.inner.plan.is_mobile(phone) {
            return Ok(CodeSent::NotMobile);
        }
        let rules = &self.inner.settings.identity.code;
        for _ in 0..STALE_MAX {
            let now = self.now();
            let drawn = code::draw().ok_or(pin::Error::Random)?;
            let mac = self.code_mac(phone, purpose, account, &drawn);
            let before = self.code_row(phone, purpose).await?;
            let row = match code::send(before.as_ref(), (phone, purpose, account), mac, now, rules) {
                Ok(row) => row,
                Err(not) => return Ok(CodeSent::Not(not)),
            };
            let mut ops = vec![if before.is_some() { Op::set(&row) } else { Op::add(&row) }];
            if told {
                let body = code::text(self.language.as_deref(), &drawn);
                let text = OutboxRow { expires_at: row.expires_at, ..self.sms(Id::new(now), phone, body) };
                ops.push(Op::Outbox(self.sealed(text)?));
            }
            match self.commit(ops).await? {
                Ok(_) => return Ok(CodeSent::Sent),
                Err(Refusal::Stale | Refusal::Exists(_)) => {}
                Err(refusal) => return Err(Error::Refused(refusal)),
            }
        }
        Err(Error::Busy)
    }

    /// Checks an answer to a code; it counts before it is told. A right answer to a code for a number that is bound already
    /// makes it believed again.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn check_code(
        &self,
        phone: &Msisdn,
        account: Option<Id>,
        given: &Secret,
    ) -> Result<Answered, Error> {
        let purpose = if account.is_some() { CHANGE } else { REGISTER };
        let rules = &self.inner.settings.identity.code;
        for _ in 0..STALE_MAX {
            let now = self.now();
            let row = self.code_row(phone, purpose).await?;
            let mac = self.code_mac(phone, purpose, account, given);
            let (answered, after) = code::check(row.as_ref(), &mac, now, rules);
            let mut ops: Vec<Op> = after.iter().map(Op::set).collect();
            if answered == Answered::Right
                && account.is_none()
                && let Some(bound) = self.inner.store.binding(phone).await?
            {
                ops.push(Op::put(&SeenRow { msisdn: phone.clone(), seen_at: now }));
                ops.push(self.history(phone, bound.account, "verified"));
            }
            if ops.is_empty() {
                return Ok(answered);
            }
            match self.commit(ops).await? {
                Ok(_) => return Ok(answered),
                Err(Refusal::Stale) => {}
                Err(refusal) => return Err(Error::Refused(refusal)),
            }
        }
        Err(Error::Busy)
    }

    /// Whether the number sent its code back a short time ago; the proof is spent by [`Payments::spent`].
    pub(super) async fn proven(&self, phone: &Msisdn, account: Option<Id>) -> Result<Option<CodeRow>, Error> {
        let purpose = if account.is_some() { CHANGE } else { REGISTER };
        let row = self.code_row(phone, purpose).await?;
        let holds = code::proves(row.as_ref(), account, self.now(), &self.inner.settings.identity.code);
        Ok(row.filter(|_| holds))
    }

    /// Spends a proof: it counts once.
    pub(super) fn spent(row: CodeRow) -> Op {
        Op::set(&CodeRow { passed_at: None, version: row.version.saturating_add(1), ..row })
    }

    pub(super) fn history(&self, phone: &Msisdn, account: Id, event: &str) -> Op {
        let at = self.now();
        let row = HistoryRow { id: Id::new(at), msisdn: phone.clone(), account, event: event.to_owned(), at };
        Op::add(&row)
    }

    /// What happened to the numbers of an account, the latest first, 100 at most.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn binding_history(&self, account: Id) -> Result<Vec<HistoryRow>, Error> {
        let wanted = Select::new().equal("account", &account).order("at").descending().limit(100);
        Ok(self.inner.store.records(&wanted).await?)
    }

    async fn remark(&self, account: Id, change: impl FnOnce(&mut MarkRow)) -> Result<Op, Error> {
        let known: Option<MarkRow> = self.inner.store.record(&[cell(&account)]).await?;
        let fresh = known.is_none();
        let mut row = known.unwrap_or(MarkRow {
            account,
            bound_at: 0,
            pin_at: 0,
            next_limit_minor: None,
            next_limit_at: None,
            version: 0,
        });
        row.version = row.version.saturating_add(1);
        change(&mut row);
        Ok(if fresh { Op::add(&row) } else { Op::set(&row) })
    }

    /// The day's limit of an account now: lower for a while after a change. A higher own limit whose time has come is put in
    /// force.
    pub(super) async fn day_limit(&self, account: Id) -> Result<i64, Error> {
        let mark: Option<MarkRow> = self.inner.store.record(&[cell(&account)]).await?;
        let settings = &self.inner.settings;
        let now = self.now();
        if let Some(mark) = &mark
            && let Some(limit) = mark.next_limit_minor
            && mark.next_limit_at.is_some_and(|at| at <= now)
        {
            self.change_payer(account, |payer| payer.user_day_limit_minor = Some(limit)).await?;
            self.plan_limit(account, None).await?;
        }
        let limit_minor = self.market_day_limit(account).await?;
        Ok(binding::day_limit(mark.as_ref(), limit_minor, now, &settings.identity))
    }

    /// Notes, or forgets, an own day limit that comes into force after the cool-down.
    pub(super) async fn plan_limit(&self, account: Id, limit_minor: Option<i64>) -> Result<(), Error> {
        let at = limit_minor.map(|_| binding::after_cool_down(self.now(), &self.inner.settings.identity));
        let op = self
            .remark(account, |mark| {
                mark.next_limit_minor = limit_minor;
                mark.next_limit_at = at;
            })
            .await?;
        self.commit(vec![op]).await?.map_err(Error::Refused)?;
        Ok(())
    }

    /// Whether a bound number was silent for so long that it passes a code first; otherwise it is noted as seen.
    pub(super) async fn is_recycled(&self, phone: &Msisdn) -> Result<bool, Error> {
        let now = self.now();
        let seen: Option<SeenRow> = self.inner.store.record(&[cell(phone)]).await?;
        let seen_at = seen.map(|row| row.seen_at);
        if binding::recycled(seen_at, now, &self.inner.settings.identity) {
            return Ok(true);
        }
        if seen_at.is_none_or(|at| now.saturating_sub(at) >= SEEN_EVERY) {
            let row = SeenRow { msisdn: phone.clone(), seen_at: now };
            self.commit(vec![Op::put(&row)]).await?.map_err(Error::Refused)?;
        }
        Ok(false)
    }

    /// The same, noting nothing.
    pub(super) async fn may_be_recycled(&self, phone: &Msisdn) -> Result<bool, Error> {
        let seen: Option<SeenRow> = self.inner.store.record(&[cell(phone)]).await?;
        Ok(binding::recycled(seen.map(|row| row.seen_at), self.now(), &self.inner.settings.identity))
    }

    fn choice_mac(&self, phone: &Msisdn, pin: &Secret) -> Vec<u8> {
        let parts: [&[u8]; 3] = [b"chosen PIN of", phone.as_str().as_bytes(), pin.expose()];
        self.inner.seals.mac(&parts).to_vec()
    }

    /// Keeps the MAC of a PIN that was typed once; false when it is too simple.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn choose_pin(&self, phone: &Msisdn, pin: &Secret) -> Result<bool, Error> {
        let rules = &self.inner.settings.pin;
        if pin::judge(pin, std::slice::from_ref(phone), rules.digits_min, rules.digits_max).is_err() {
            return Ok(false);
        }
        let row = ChoiceRow { phone: phone.clone(), mac: self.choice_mac(phone, pin), at: self.now() };
        self.commit(vec![Op::put(&row)]).await?.map_err(Error::Refused)?;
        Ok(true)
    }

    /// The PIN for the second time: registers a number that proved itself by a code, or gives an account another PIN after the
    /// old one was given, or after a code and a permission of staff.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn repeat_pin(
        &self,
        phone: &Msisdn,
        account: Option<Id>,
        pin: Secret,
    ) -> Result<PinSet, Error> {
        let choice: Option<ChoiceRow> = self.inner.store.record(&[cell(phone)]).await?;
        match binding::again(choice.as_ref(), &self.choice_mac(phone, &pin), self.now()) {
            Chosen::Same => {}
            Chosen::Other => return Ok(PinSet::Differ),
            Chosen::Expired => return Ok(PinSet::Expired),
        }
        let forget = Op::remove::<ChoiceRow>(&[cell(phone)]);
        match account {
            None => self.register(phone, pin, forget).await,
            Some(account) => self.renew_pin(phone, account, pin, forget).await,
        }
    }

    async fn register(&self, phone: &Msisdn, new: Secret, forget: Op) -> Result<PinSet, Error> {
        let Some(proof) = self.proven(phone, None).await? else { return Ok(PinSet::NotAllowed) };
        let at = self.now();
        let id = Id::new(at);
        let (hash, pepper) = match self.new_pin(id, new, std::slice::from_ref(phone)).await {
            Err(Error::PinRefused(_)) => return Ok(PinSet::Weak),
            other => other?,
        };
        let payer = PayerRow {
            account: id,
            suspended: false,
            user_day_limit_minor: None,
            user_payment_limit_minor: None,
            pin_hash: Some(hash),
            pin_pepper: pepper,
            pin_tries: 0,
            pin_wait_until: 0,
            pin_locked: false,
            created_at: at,
            version: 1,
        };
        let currency = self.inner.settings.currency;
        let binding = BindingRow { msisdn: phone.clone(), account: id, bound_at: at };
        let mark = self.remark(id, |mark| (mark.bound_at, mark.pin_at) = (at, at)).await?;
        let ops = vec![
            Self::spent(proof),
            Op::OpenAccount(chart::customer(id, currency, at)),
            Op::OpenPayer(payer),
            Op::Bind(binding),
            Op::put(&SeenRow { msisdn: phone.clone(), seen_at: at }),
            self.history(phone, id, "bound"),
            mark,
            forget,
        ];
        match self.commit(ops).await? {
            Ok(_) => Ok(PinSet::Registered(id)),
            // Somebody else spent the proof, or bound the number, at the same moment.
            Err(Refusal::Stale | Refusal::Exists(_)) => Ok(PinSet::NotAllowed),
            Err(refusal) => Err(Error::Refused(refusal)),
        }
    }

    async fn renew_pin(&self, phone: &Msisdn, account: Id, new: Secret, forget: Op) -> Result<PinSet, Error> {
        let now = self.now();
        let mut ops = vec![forget];
        let old = self.code_row(phone, OLD_PIN).await?;
        if code::proves(old.as_ref(), Some(account), now, &self.inner.settings.identity.code) {
            ops.extend(old.map(Self::spent));
        } else {
            let proof = self.proven(phone, Some(account)).await?;
            let permit = self.permit(phone, account).await?;
            let (Some(proof), Some(permit)) = (proof, permit) else { return Ok(PinSet::NotAllowed) };
            let version = permit.version.saturating_add(1);
            ops.extend([Self::spent(proof), Op::set(&CodeRow { expires_at: now, version, ..permit })]);
        }
        ops.push(self.remark(account, |mark| mark.pin_at = now).await?);
        ops.push(self.history(phone, account, "pin"));
        let numbers = self.inner.store.bindings_of(account).await?;
        let numbers: Vec<Msisdn> = numbers.into_iter().map(|bound| bound.msisdn).collect();
        let (hash, pepper) = match self.new_pin(account, new, &numbers).await {
            Err(Error::PinRefused(_)) => return Ok(PinSet::Weak),
            other => other?,
        };
        let payer = self.inner.store.payer(account).await?.ok_or(Error::NoSuchAccount)?;
        ops.push(Op::SetPayer(PayerRow {
            pin_hash: Some(hash),
            pin_pepper: pepper,
            pin_tries: 0,
            pin_wait_until: 0,
            pin_locked: false,
            ..payer
        }));
        match self.commit(ops).await? {
            Ok(_) => Ok(PinSet::Changed),
            Err(Refusal::Stale) => Ok(PinSet::NotAllowed),
            Err(refusal) => Err(Error::Refused(refusal)),
        }
    }

    /// A row that stands for a proof other than a code.
    pub(super) async fn proof(
        &self,
        phone: &Msisdn,
        purpose: &str,
        account: Id,
        kept: i64,
    ) -> Result<Op, Error> {
        let now = self.now();
        let before = self.code_row(phone, purpose).await?;
        let row = CodeRow {
            phone: phone.clone(),
            purpose: purpose.to_owned(),
            account: Some(account),
            mac: None,
            sent_at: now,
            expires_at: now.saturating_add(kept),
            tries: 0,
            sent: 0,
            since: now,
            passed_at: Some(now),
            version: before.as_ref().map_or(1, |row| row.version.saturating_add(1)),
        };
        Ok(if before.is_some() { Op::set(&row) } else { Op::add(&row) })
    }

    /// The PIN for something that pays nothing. `Done` clears the count of wrong tries.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn confirm_pin(&self, account: Id, pin: &Secret) -> Result<Changed, Error> {
        Ok(match self.check_pin(account, pin).await? {
            PinVerdict::Right { rehash } => {
                self.commit(vec![Op::PinPassed { account, rehash }]).await?.map_err(Error::Refused)?;
                Changed::Done
            }
            PinVerdict::Wrong { left } => Changed::WrongPin { left },
            PinVerdict::Locked => Changed::Locked,
        })
    }

    /// The old PIN, before another one is chosen.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn begin_pin_change(
        &self,
        phone: &Msisdn,
        account: Id,
        old: &Secret,
    ) -> Result<Changed, Error> {
        let changed = self.confirm_pin(account, old).await?;
        if changed == Changed::Done {
            let op = self.proof(phone, OLD_PIN, account, 0).await?;
            self.commit(vec![op]).await?.map_err(Error::Refused)?;
        }
        Ok(changed)
    }

    /// Binds another number to an account: it sent a code back, and the account's PIN is given.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn bind_more(&self, account: Id, phone: &Msisdn, pin: &Secret) -> Result<Changed, Error> {
        let Some(proof) = self.proven(phone, Some(account)).await? else { return Ok(Changed::NoCode) };
        let confirmed = self.confirm_pin(account, pin).await?;
        if confirmed != Changed::Done {
            return Ok(confirmed);
        }
        self.bind_proven(account, phone, vec![Self::spent(proof)]).await
    }

    /// Binds a number with what spends its proof, in one commit.
    pub(super) async fn bind_proven(
        &self,
        account: Id,
        phone: &Msisdn,
        mut ops: Vec<Op>,
    ) -> Result<Changed, Error> {
        let at = self.now();
        ops.push(Op::Bind(BindingRow { msisdn: phone.clone(), account, bound_at: at }));
        ops.push(Op::put(&SeenRow { msisdn: phone.clone(), seen_at: at }));
        ops.push(self.remark(account, |mark| mark.bound_at = at).await?);
        ops.push(self.history(phone, account, "bound"));
        match self.commit(ops).await? {
            Ok(_) => Ok(Changed::Done),
            Err(Refusal::Exists(_)) => Ok(Changed::Taken),
            Err(Refusal::Stale) => Ok(Changed::NoCode),
            Err(refusal) => Err(Error::Refused(refusal)),
        }
    }

    /// Takes a number off an account; the last one stays, or nobody could reach the money.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn unbind_one(&self, account: Id, phone: &Msisdn, pin: &Secret) -> Result<Changed, Error> {
        let numbers = self.inner.store.bindings_of(account).await?;
        if numbers.len() < 2 || numbers.iter().all(|bound| bound.msisdn != *phone) {
            return Ok(Changed::NotBound);
        }
        let confirmed = self.confirm_pin(account, pin).await?;
        if confirmed != Changed::Done {
            return Ok(confirmed);
        }
        let row = BindingRow { msisdn: phone.clone(), account, bound_at: 0 };
        let ops = vec![Op::Unbind(row), self.history(phone, account, "unbound")];
        match self.commit(ops).await? {
            Ok(_) => Ok(Changed::Done),
            Err(Refusal::Unknown(_)) => Ok(Changed::NotBound),
            Err(refusal) => Err(Error::Refused(refusal)),
        }
    }
}
