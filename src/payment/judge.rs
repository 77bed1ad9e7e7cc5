//! Judges every operation that is not the ledger's own: PIN tries, authorisation, submission, moves between
//! states.
//!
//! Works on loaded rows inside the batch that commits them, so that limits, duplicates and the hold are
//! judged together (DESIGN 6.4 point 9). Pure: the time is the batch's. A refusal takes the whole unit back.

use crate::ledger::command::Refusal as LedgerRefusal;
use crate::ledger::command::{Act, Command};
use crate::ledger::row::Id;
use crate::payment::decision::CONTESTED;
use crate::payment::fold::{Working, ids};
use crate::payment::limits;
use crate::payment::posting;
use crate::payment::row::{
    AttemptRow, BindingRow, EventRow, PairRow, PayerRow, PaymentRow, State, pair, product,
};
use crate::payment::unit::{Authorise, Move, Note, Op, Refusal, Resubmit};

/// The ledger's state of a hold that expired by itself.
const HOLD_EXPIRED: i16 = 3;

/// Applies one operation to the loaded rows.
///
/// # Errors
/// The refusal that drops the unit.
pub fn judge(op: &Op, work: &mut Working) -> Result<(), Refusal> {
    match op {
        Op::OpenPayer(row) => open_payer(row, work),
        Op::SetPayer(row) => set_payer(row, work),
        Op::Bind(row) => bind(row, work),
        Op::Unbind(row) => unbind(row, work),
        Op::PinTry { account, tries_max, delay_us } => pin_try(*account, *tries_max, *delay_us, work),
        Op::PinPassed { account, rehash } => pin_passed(*account, rehash.as_ref(), work),
        Op::Authorise(authorise) => self::authorise(authorise, work),
        Op::Submit { payment, version, attempt } => submit(*payment, *version, attempt, work),
        Op::Move(step) => self::step(step, work),
        Op::Resubmit(asked) => resubmit(asked, work),
        Op::Note(asked) => note(asked, work),
        // `fold` does these itself.
        Op::Ledger(_)
        | Op::OpenAccount(_)
        | Op::Outbox(_)
        | Op::SettleOutbox(_)
        | Op::Receive(_)
        | Op::Part(_)
        | Op::DropParts(_)
        | Op::Suspend(_)
        | Op::Resume(_)
        | Op::SaveSession(_)
        | Op::EndSession(_)
        | Op::Record(_)
        | Op::Open(_)
        | Op::Ceiling { .. } => Ok(()),
    }
}

fn open_payer(row: &PayerRow, work: &mut Working) -> Result<(), Refusal> {
    if work.payer(row.account).is_some() {
        return Err(Refusal::Exists("payment account"));
    }
    work.put_payer(PayerRow { version: 1, ..row.clone() });
    Ok(())
}

fn set_payer(row: &PayerRow, work: &mut Working) -> Result<(), Refusal> {
    let stored = work.payer(row.account).ok_or(Refusal::Unknown("payment account"))?;
    if stored.version != row.version {
        return Err(Refusal::Stale);
    }
    work.put_payer(PayerRow { version: row.version + 1, ..row.clone() });
    Ok(())
}

fn bind(row: &BindingRow, work: &mut Working) -> Result<(), Refusal> {
    if work.payer(row.account).is_none() {
        return Err(Refusal::Unknown("payment account"));
    }
    match work.binding(&row.msisdn) {
        Some(bound) if bound.account == row.account => Ok(()),
        Some(_) => Err(Refusal::Exists("binding of this number")),
        None => {
            work.put_binding(row.clone());
            Ok(())
        }
    }
}

fn unbind(row: &BindingRow, work: &mut Working) -> Result<(), Refusal> {
    match work.binding(&row.msisdn) {
        Some(bound) if bound.account == row.account => {
            work.remove_binding(&row.msisdn);
            Ok(())
        }
        Some(_) | None => Err(Refusal::Unknown("binding")),
    }
}

/// Counts a try before its PIN is hashed: a crash between the two gives no try for free.
fn pin_try(account: Id, tries_max: i32, delay_us: i64, work: &mut Working) -> Result<(), Refusal> {
    let at = work.at();
    let stored = work.payer(account).ok_or(Refusal::Unknown("payment account"))?;
    if stored.pin_hash.is_none() {
        return Err(Refusal::PinMissing);
    }
    if stored.pin_locked || stored.pin_tries >= tries_max {
        return Err(Refusal::PinLocked);
    }
    if at < stored.pin_wait_until {
        return Err(Refusal::PinTooSoon { wait_until: stored.pin_wait_until });
    }
    let payer = work.payer_mut(account).ok_or(Refusal::Unknown("payment account"))?;
    payer.pin_tries += 1;
    payer.pin_locked = payer.pin_tries >= tries_max;
    if payer.pin_tries >= 2 {
        let doubled = u32::try_from(payer.pin_tries - 2).unwrap_or(0).min(20);
        payer.pin_wait_until = at.saturating_add(delay_us.saturating_mul(1_i64 << doubled));
    }
    payer.version += 1;
    Ok(())
}

fn pin_passed(account: Id, rehash: Option<&(String, i32)>, work: &mut Working) -> Result<(), Refusal> {
    let payer = work.payer_mut(account).ok_or(Refusal::Unknown("payment account"))?;
    payer.pin_tries = 0;
    payer.pin_wait_until = 0;
    payer.pin_locked = false;
    if let Some((hash, pepper)) = rehash {
        payer.pin_hash = Some(hash.clone());
        payer.pin_pepper = *pepper;
    }
    payer.version += 1;
    Ok(())
}

/// In order of precedence: known, suspended, still processing, limits, money, duplicate. The questions that a
/// caller can answer come last.
fn authorise(asked: &Authorise, work: &mut Working) -> Result<(), Refusal> {
    let payment = &asked.payment;
    if let Some(known) = work.payment(payment.id) {
        return Err(Refusal::PaymentExists(Box::new(known.clone())));
    }
    let payer = work.payer(payment.account).ok_or(Refusal::Unknown("payment account"))?;
    let locked = payer.pin_locked || payer.pin_hash.is_none();
    // S14 is a limit on recharges; bills, orders and deposits have limits of their own.
    let own = payment.product == product::RECHARGE;
    let user_day_limit_minor = payer.user_day_limit_minor.filter(|_| own);
    let user_payment_limit_minor = payer.user_payment_limit_minor.filter(|_| own);
    if payer.suspended || work.suspended(payment) {
        return Err(Refusal::Suspended);
    }
    // A locked PIN locks the account, also for what needs none.
    if locked && asked.without_pin.is_some() {
        return Err(Refusal::PinLocked);
    }
    let pair_key = payment.pair_key();
    let earlier = work.pair(&pair_key).cloned();
    if earlier.as_ref().is_some_and(|p| p.state == pair::OPEN) {
        return Err(Refusal::StillProcessing(pair_key));
    }
    let mut counter = work.counter(&payment.counter_key());
    let over = limits::judge(&limits::Facts {
        amount_minor: payment.amount_minor,
        used_minor: counter.used_minor,
        payment_limit_minor: asked.payment_limit_minor,
        day_limit_minor: asked.day_limit_minor,
        user_day_limit_minor,
        user_payment_limit_minor,
    });
    if let Some(over) = over {
        return Err(over_limit(over));
    }
    if work.reference_taken(&payment.reference) {
        return Err(Refusal::Exists("reference"));
    }
    let hold = Act::Hold {
        account: posting::source(payment),
        amount_minor: posting::total_minor(payment).ok_or(Refusal::Ledger(LedgerRefusal::Overflow))?,
        currency: payment.currency,
        expires_at: asked.hold_expires_at,
    };
    work.apply_ledger(&Command::new(ids::hold(payment.id), Some(payment.id), hold))?;
    let at = work.at();
    if let Some(pair) = earlier.as_ref().filter(|p| p.state == pair::DELIVERED)
        && !asked.repeat
        && at.saturating_sub(pair.delivered_at) < asked.duplicate_window_us
    {
        return Err(Refusal::Duplicate { first: pair.payment, delivered_at: pair.delivered_at });
    }
    count_without_pin(asked, work)?;
    counter.used_minor = counter.used_minor.saturating_add(payment.amount_minor);
    counter.payments += 1;
    work.put_counter(counter);
    work.put_pair(PairRow {
        key: pair_key,
        payment: payment.id,
        state: pair::OPEN,
        delivered_at: earlier.map_or(0, |p| p.delivered_at),
    });
    let row = PaymentRow {
        state: State::Authorised,
        hold: ids::hold(payment.id),
        created_at: at,
        updated_at: at,
        version: 1,
        ..payment.clone()
    };
    event(&row, "the money is held", work);
    work.put_payment(row);
    Ok(())
}

/// Judged last: whoever is asked for his PIN after all knows that nothing else is in the way.
fn count_without_pin(asked: &Authorise, work: &mut Working) -> Result<(), Refusal> {
    let Some(day_minor) = asked.without_pin else { return Ok(()) };
    let payment = &asked.payment;
    let mut counter = work.counter(&payment.without_pin_key());
    let total = posting::total_minor(payment).ok_or(Refusal::Ledger(LedgerRefusal::Overflow))?;
    counter.used_minor = counter.used_minor.checked_add(total).ok_or(Refusal::PinNeeded)?;
    counter.payments += 1;
    if counter.used_minor > day_minor {
        return Err(Refusal::PinNeeded);
    }
    work.put_counter(counter);
    Ok(())
}

const fn over_limit(over: limits::Over) -> Refusal {
    match over {
        limits::Over::Payment { limit_minor } => Refusal::PaymentLimit { limit_minor },
        limits::Over::Day { limit_minor, left_minor } => Refusal::DayLimit { limit_minor, left_minor },
        limits::Over::User { limit_minor, left_minor } => Refusal::UserLimit { limit_minor, left_minor },
    }
}

/// From here on the hold no longer expires: a request may be on its way (DESIGN 6.4 point 1).
fn submit(id: Id, version: i64, attempt: &AttemptRow, work: &mut Working) -> Result<(), Refusal> {
    let payment = seen(id, version, State::Submitting, work)?;
    // Whoever goes on to another carrier does so by `resubmit`.
    if payment.state != State::Authorised {
        return Err(Refusal::NotAllowed(payment.state));
    }
    // A hold that was placed for this request never had one.
    if work.hold(payment.hold).is_none_or(|hold| hold.expires_at.is_some()) {
        work.apply_ledger(&Command::new(ids::keep(id), Some(id), Act::Keep { hold: payment.hold }))?;
    }
    let at = work.at();
    work.put_attempt(AttemptRow { created_at: at, ..attempt.clone() });
    let row = PaymentRow { state: State::Submitting, updated_at: at, version: version + 1, ..payment };
    event(&row, "the request is about to leave", work);
    work.put_payment(row);
    Ok(())
}

/// The hold stays as it is: it was kept when the first request was about to leave.
fn resubmit(asked: &Resubmit, work: &mut Working) -> Result<(), Refusal> {
    let payment = seen(asked.payment, asked.version, State::Submitting, work)?;
    let Resubmit { answered, attempt, .. } = asked;
    let follows =
        attempt.number == answered.number.saturating_add(1) && attempt.connector != answered.connector;
    if payment.state == State::Authorised || payment.connector != answered.connector || !follows {
        return Err(Refusal::NotAllowed(payment.state));
    }
    let at = work.at();
    work.put_attempt(answered.clone());
    work.put_attempt(AttemptRow { created_at: at, ..attempt.clone() });
    let row = PaymentRow {
        state: State::Submitting,
        class: None,
        connector: attempt.connector.clone(),
        carrier_reference: None,
        cost_minor: asked.cost_minor,
        next_check_at: Some(asked.next_check_at),
        updated_at: at,
        version: payment.version + 1,
        ..payment
    };
    event(&row, &asked.detail, work);
    work.put_payment(row);
    Ok(())
}

fn note(asked: &Note, work: &mut Working) -> Result<(), Refusal> {
    let payment = work.payment(asked.payment).ok_or(Refusal::Unknown("payment"))?;
    if payment.version != asked.version {
        return Err(Refusal::Stale);
    }
    let row = PaymentRow { updated_at: work.at(), version: payment.version + 1, ..payment.clone() };
    work.put_attempt(asked.attempt.clone());
    event(&row, &asked.detail, work);
    work.put_payment(row);
    Ok(())
}

fn step(asked: &Move, work: &mut Working) -> Result<(), Refusal> {
    let payment = seen(asked.payment, asked.version, asked.to, work)?;
    let at = work.at();
    let cost_minor = asked.cost_minor.unwrap_or(payment.cost_minor);
    money(&payment, asked, cost_minor, work)?;
    count(&payment, asked.to, work);
    if let Some(attempt) = &asked.attempt {
        work.put_attempt(attempt.clone());
    }
    let row = PaymentRow {
        state: asked.to,
        class: asked.class.clone(),
        cost_minor,
        carrier_reference: asked.carrier_reference.clone().or(payment.carrier_reference),
        next_check_at: asked.next_check_at,
        checks: payment.checks.saturating_add(i32::from(asked.checked)),
        updated_at: at,
        version: payment.version + 1,
        ..payment
    };
    event(&row, &asked.detail, work);
    work.put_payment(row);
    Ok(())
}

/// The payment as it was seen, if the step is allowed.
fn seen(id: Id, version: i64, to: State, work: &Working) -> Result<PaymentRow, Refusal> {
    let payment = work.payment(id).ok_or(Refusal::Unknown("payment"))?;
    if payment.version != version {
        return Err(Refusal::Stale);
    }
    if !payment.state.may_become(to) {
        return Err(Refusal::NotAllowed(payment.state));
    }
    Ok(payment.clone())
}

/// What the step means for the payment's own hold. Contested and late money is moved by ledger commands in
/// the same unit.
fn money(payment: &PaymentRow, asked: &Move, cost_minor: i64, work: &mut Working) -> Result<(), Refusal> {
    let contested = payment.class.as_deref() == Some(CONTESTED);
    let id = payment.id;
    let posting = || asked.posting.ok_or(Refusal::Unknown("posting"));
    let command = match (payment.state, asked.to) {
        (State::NeedsReview, State::Delivered | State::Refused) if contested => return Ok(()),
        (State::Delivered, State::Reversed) if contested => return Ok(()),
        (State::Delivered, State::NeedsReview) | (State::Refused, State::Refused) => return Ok(()),
        (State::Delivered, State::Reversed) => {
            let legs = posting::turned(&posting::legs(payment, &posting()?, cost_minor));
            Command::new(ids::reverse(id), Some(id), Act::Reverse { transfer: ids::post(id), legs })
        }
        (_, State::Delivered) => {
            let legs = posting::legs(payment, &posting()?, cost_minor);
            Command::new(ids::post(id), Some(id), Act::Post { hold: payment.hold, legs })
        }
        (_, State::Refused) => {
            // A hold that expired before anything was sent has given the money back already.
            if work.hold(payment.hold).is_some_and(|h| h.state == HOLD_EXPIRED) {
                return Ok(());
            }
            Command::new(ids::void(id), Some(id), Act::Void { hold: payment.hold })
        }
        (
            _,
            State::Created
            | State::Authorised
            | State::Submitting
            | State::Submitted
            | State::Unknown
            | State::NeedsReview
            | State::Reversed,
        ) => return Ok(()),
    };
    work.apply_ledger(&command)
}

/// Whether a payment in this state is counted for the limits of its day.
pub(in crate::payment) fn still_counts(state: State) -> bool {
    state.is_open() || state == State::Delivered
}

/// Limits and duplicates: void, refusal and a carrier's reversal give back to the original day (DESIGN 6.4
/// point 8).
fn count(payment: &PaymentRow, to: State, work: &mut Working) {
    if payment.state == State::Refused {
        // Only noted: everything was given back when it was refused.
        return;
    }
    let at = work.at();
    if still_counts(payment.state) && !still_counts(to) {
        let mut counter = work.counter(&payment.counter_key());
        counter.used_minor = counter.used_minor.saturating_sub(payment.amount_minor).max(0);
        counter.payments = (counter.payments - 1).max(0);
        work.put_counter(counter);
    }
    let Some(pair) = work.pair(&payment.pair_key()).cloned() else { return };
    if pair.payment != payment.id {
        return;
    }
    let pair = match to {
        State::Delivered => PairRow { state: pair::DELIVERED, delivered_at: at, ..pair },
        State::Reversed => PairRow { state: pair::NONE, delivered_at: 0, ..pair },
        // An equal one that was delivered before still asks.
        State::Refused if pair.state == pair::OPEN && pair.delivered_at > 0 => {
            PairRow { state: pair::DELIVERED, ..pair }
        }
        State::Refused => PairRow { state: pair::NONE, ..pair },
        State::Created
        | State::Authorised
        | State::Submitting
        | State::Submitted
        | State::Unknown
        | State::NeedsReview => PairRow { state: pair::OPEN, ..pair },
    };
    work.put_pair(pair);
}

fn event(row: &PaymentRow, detail: &str, work: &mut Working) {
    work.put_event(EventRow {
        payment: row.id,
        version: row.version,
        state: row.state,
        detail: detail.to_owned(),
        at: work.at(),
    });
}

#[cfg(test)]
mod tests;
