//! Turns database rows into row values. Compiled once for each database, whose `Row` type the parent module names;
//! the columns are read by position, in the order of the lists below.

use crate::ledger::row::{AccountRow, EntryRow, HoldRow, Id, Kind, TransferRow};
use crate::money::Currency;
use crate::msisdn::Msisdn;
use crate::payment::row::{
    AttemptRow, BindingRow, CounterKey, CounterRow, EventRow, InboxRow, OutboxRow, OutboxState, PairKey,
    PairRow, PartRow, PayerRow, PaymentRow, SessionRow, State, SuspensionRow, Target,
};
use crate::store::error::Error;

use sqlx::Row as _;

use super::Row;

fn bytes<const N: usize>(column: &str, bytes: &[u8]) -> Result<[u8; N], Error> {
    bytes.try_into().map_err(|_| Error::value(column, format_args!("{} bytes", bytes.len())))
}

pub(super) fn id(row: &Row, index: usize) -> Result<Id, Error> {
    Ok(Id(bytes("id", row.try_get::<&[u8], _>(index)?)?))
}

pub(super) fn some_id(row: &Row, index: usize) -> Result<Option<Id>, Error> {
    row.try_get::<Option<&[u8]>, _>(index)?.map(|b| bytes("id", b).map(Id)).transpose()
}

pub(super) fn int(row: &Row, index: usize) -> Result<i64, Error> {
    Ok(row.try_get::<i64, _>(index)?)
}

fn some_int(row: &Row, index: usize) -> Result<Option<i64>, Error> {
    Ok(row.try_get::<Option<i64>, _>(index)?)
}

fn small(row: &Row, index: usize) -> Result<i16, Error> {
    let value = int(row, index)?;
    i16::try_from(value).map_err(|_| Error::value("a small number", value))
}

fn medium(row: &Row, index: usize) -> Result<i32, Error> {
    let value = int(row, index)?;
    i32::try_from(value).map_err(|_| Error::value("a number", value))
}

pub(super) fn text(row: &Row, index: usize) -> Result<String, Error> {
    Ok(row.try_get::<String, _>(index)?)
}

fn some_text(row: &Row, index: usize) -> Result<Option<String>, Error> {
    Ok(row.try_get::<Option<String>, _>(index)?)
}

pub(super) fn currency(row: &Row, index: usize) -> Result<Currency, Error> {
    let code: &str = row.try_get(index)?;
    Currency::new(code).map_err(|_| Error::value("currency", code))
}

fn msisdn(row: &Row, index: usize) -> Result<Msisdn, Error> {
    let number: &str = row.try_get(index)?;
    Msisdn::parse(number).map_err(|_| Error::value("a number's column", "something else"))
}

fn target(row: &Row, index: usize) -> Result<Target, Error> {
    let text: &str = row.try_get(index)?;
    Target::parse(text).ok_or_else(|| Error::value("a payment's target", "something else"))
}

fn state(row: &Row, index: usize) -> Result<State, Error> {
    let number = small(row, index)?;
    State::from_number(number).ok_or_else(|| Error::value("payments.state", number))
}

pub(super) fn kind(row: &Row, index: usize) -> Result<Kind, Error> {
    let number = small(row, index)?;
    Kind::from_number(number).ok_or_else(|| Error::value("accounts.kind", number))
}

pub(super) fn account(row: &Row) -> Result<AccountRow, Error> {
    Ok(AccountRow {
        id: id(row, 0)?,
        kind: kind(row, 1)?,
        name: text(row, 2)?,
        currency: currency(row, 3)?,
        floor_minor: some_int(row, 4)?,
        balance_minor: int(row, 5)?,
        held_minor: int(row, 6)?,
        entries: int(row, 7)?,
        last_transfer: some_id(row, 8)?,
        opened_at: int(row, 9)?,
    })
}

pub(super) fn transfer(row: &Row) -> Result<TransferRow, Error> {
    Ok(TransferRow {
        id: id(row, 0)?,
        act: small(row, 1)?,
        fingerprint: bytes("transfers.fingerprint", row.try_get::<&[u8], _>(2)?)?,
        outcome: small(row, 3)?,
        outcome_minor: int(row, 4)?,
        refers_to: some_id(row, 5)?,
        payment: some_id(row, 6)?,
        at: int(row, 7)?,
    })
}

pub(super) fn entry(row: &Row) -> Result<EntryRow, Error> {
    Ok(EntryRow {
        transfer: id(row, 0)?,
        account: id(row, 1)?,
        sequence: int(row, 2)?,
        amount_minor: int(row, 3)?,
        balance_after_minor: int(row, 4)?,
        previous: some_id(row, 5)?,
    })
}

pub(super) fn hold(row: &Row) -> Result<HoldRow, Error> {
    Ok(HoldRow {
        id: id(row, 0)?,
        account: id(row, 1)?,
        amount_minor: int(row, 2)?,
        expires_at: some_int(row, 3)?,
        state: small(row, 4)?,
        resolved_by: some_id(row, 5)?,
    })
}

pub(super) fn payer(row: &Row) -> Result<PayerRow, Error> {
    Ok(PayerRow {
        account: id(row, 0)?,
        suspended: int(row, 1)? != 0,
        user_day_limit_minor: some_int(row, 2)?,
        user_payment_limit_minor: some_int(row, 3)?,
        pin_hash: some_text(row, 4)?,
        pin_pepper: medium(row, 5)?,
        pin_tries: medium(row, 6)?,
        pin_wait_until: int(row, 7)?,
        pin_locked: int(row, 8)? != 0,
        created_at: int(row, 9)?,
        version: int(row, 10)?,
    })
}

pub(super) fn pepper_count(row: &Row) -> Result<(i32, i64), Error> {
    Ok((medium(row, 0)?, int(row, 1)?))
}

pub(super) fn binding(row: &Row) -> Result<BindingRow, Error> {
    Ok(BindingRow { msisdn: msisdn(row, 0)?, account: id(row, 1)?, bound_at: int(row, 2)? })
}

pub(super) fn payment(row: &Row) -> Result<PaymentRow, Error> {
    let caller = some_text(row, 3)?;
    let caller = caller.map(|n| Msisdn::parse(&n)).transpose();
    Ok(PaymentRow {
        id: id(row, 0)?,
        reference: text(row, 1)?,
        account: id(row, 2)?,
        caller: caller.map_err(|_| Error::value("payments.caller", "no number"))?,
        channel: small(row, 4)?,
        product: text(row, 5)?,
        target: target(row, 6)?,
        amount_minor: int(row, 7)?,
        fee_minor: int(row, 8)?,
        cost_minor: int(row, 9)?,
        currency: currency(row, 10)?,
        state: state(row, 11)?,
        class: some_text(row, 12)?,
        business_day: medium(row, 13)?,
        hold: id(row, 14)?,
        connector: text(row, 15)?,
        carrier_reference: some_text(row, 16)?,
        created_at: int(row, 17)?,
        updated_at: int(row, 18)?,
        next_check_at: some_int(row, 19)?,
        checks: medium(row, 20)?,
        version: int(row, 21)?,
        tax_minor: int(row, 22)?,
        payee: some_text(row, 23)?,
        quote: some_text(row, 24)?,
        provider: some_text(row, 25)?,
        deal: some_id(row, 26)?,
    })
}

pub(super) fn event(row: &Row) -> Result<EventRow, Error> {
    Ok(EventRow {
        payment: id(row, 0)?,
        version: int(row, 1)?,
        state: state(row, 2)?,
        detail: text(row, 3)?,
        at: int(row, 4)?,
    })
}

pub(super) fn attempt(row: &Row) -> Result<AttemptRow, Error> {
    Ok(AttemptRow {
        id: id(row, 0)?,
        payment: id(row, 1)?,
        number: medium(row, 2)?,
        connector: text(row, 3)?,
        reference: text(row, 4)?,
        created_at: int(row, 5)?,
        answered_at: some_int(row, 6)?,
        outcome: some_text(row, 7)?,
        code: some_text(row, 8)?,
        carrier_reference: some_text(row, 9)?,
    })
}

pub(super) fn counter(row: &Row) -> Result<CounterRow, Error> {
    Ok(CounterRow {
        key: CounterKey { scope: small(row, 0)?, owner: text(row, 1)?, day: medium(row, 2)? },
        used_minor: int(row, 3)?,
        payments: int(row, 4)?,
    })
}

pub(super) fn pair(row: &Row) -> Result<PairRow, Error> {
    Ok(PairRow {
        key: PairKey { account: id(row, 0)?, target: target(row, 1)?, amount_minor: int(row, 2)? },
        payment: id(row, 3)?,
        state: small(row, 4)?,
        delivered_at: int(row, 5)?,
    })
}

pub(super) fn outbox(row: &Row) -> Result<OutboxRow, Error> {
    Ok(OutboxRow {
        id: id(row, 0)?,
        kind: text(row, 1)?,
        recipient: text(row, 2)?,
        body: text(row, 3)?,
        payment: some_id(row, 4)?,
        state: outbox_state(row, 5)?,
        due_at: int(row, 6)?,
        created_at: int(row, 7)?,
        route: some_text(row, 8)?,
        sender: some_text(row, 9)?,
        attempts: medium(row, 10)?,
        segments: medium(row, 11)?,
        message_id: some_text(row, 12)?,
        code: some_text(row, 13)?,
        owner: some_id(row, 14)?,
        updated_at: int(row, 15)?,
        expires_at: int(row, 16)?,
    })
}

pub(super) fn outbox_state(row: &Row, index: usize) -> Result<OutboxState, Error> {
    let number = small(row, index)?;
    OutboxState::from_number(number).ok_or_else(|| Error::value("outbox.state", number))
}

pub(super) fn inbox(row: &Row) -> Result<InboxRow, Error> {
    Ok(InboxRow {
        key: id(row, 0)?,
        route: text(row, 1)?,
        link: id(row, 2)?,
        caller: text(row, 3)?,
        channel: small(row, 4)?,
        received_at: int(row, 5)?,
    })
}

pub(super) fn part(row: &Row) -> Result<PartRow, Error> {
    Ok(PartRow {
        message: id(row, 0)?,
        number: small(row, 1)?,
        total: small(row, 2)?,
        sealed: row.try_get(3)?,
        received_at: int(row, 4)?,
    })
}

pub(super) fn suspension(row: &Row) -> Result<SuspensionRow, Error> {
    Ok(SuspensionRow { scope: text(row, 0)?, key: text(row, 1)?, since: int(row, 2)? })
}

pub(super) fn session(row: &Row) -> Result<SessionRow, Error> {
    Ok(SessionRow {
        id: id(row, 0)?,
        caller: msisdn(row, 1)?,
        channel: small(row, 2)?,
        flow: text(row, 3)?,
        version: text(row, 4)?,
        state: text(row, 5)?,
        account: some_id(row, 6)?,
        payment: some_id(row, 7)?,
        revision: int(row, 8)?,
        saved_at: int(row, 9)?,
        expires_at: int(row, 10)?,
        key: some_text(row, 11)?,
        dialogue: some_text(row, 12)?,
        route: some_text(row, 13)?,
    })
}
