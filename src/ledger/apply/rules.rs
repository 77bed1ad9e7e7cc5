//! The rules of each act. Each judges everything before it changes anything, so that a refusal leaves nothing.

use crate::ledger::apply::{
    Books, Broken, HoldSlot, Reversible, Undo, available, expiry, hold_state, totals,
};
use crate::ledger::command::{Act, Command, LEGS_MAX, Leg, Refusal, act};
use crate::ledger::row::{AccountRow, EntryRow, HoldRow, Id};
use crate::money::Currency;

impl Books {
    pub(super) fn judge(&mut self, command: &Command) -> Result<Result<(), Refusal>, Broken> {
        let verdict = match &command.act {
            Act::Transfer { legs } => self.transfer_legs(command.id, legs),
            Act::Hold { account, amount_minor, currency, expires_at } => {
                self.place(command.id, *account, *amount_minor, *currency, *expires_at)
            }
            Act::Keep { hold } => self.keep(*hold),
            Act::Post { hold, legs } => self.post(command.id, *hold, legs),
            Act::Void { hold } => self.free(command.id, *hold, hold_state::VOIDED),
            Act::Expire { hold } => self.free(command.id, *hold, hold_state::EXPIRED),
            Act::Reverse { transfer, legs } => self.reverse(command.id, *transfer, legs),
        };
        match verdict {
            Ok(()) => Ok(Ok(())),
            Err(Stop::Refused(refusal)) => Ok(Err(refusal)),
            Err(Stop::Broken(broken)) => Err(broken),
        }
    }

    fn transfer_legs(&mut self, transfer: Id, legs: &[Leg]) -> Result<(), Stop> {
        shape(legs)?;
        self.judge_balance(legs)?;
        self.fits(legs)?;
        self.floors(legs, None)?;
        self.remember_reversible(transfer, legs);
        self.enter(transfer, legs)
    }

    fn place(
        &mut self,
        id: Id,
        account: Id,
        amount_minor: i64,
        currency: Currency,
        expires_at: Option<i64>,
    ) -> Result<(), Stop> {
        if amount_minor <= 0 {
            return Err(Refusal::Amount.into());
        }
        if expires_at.is_some_and(|t| t <= self.at) {
            return Err(Refusal::ExpiryPassed.into());
        }
        let row = self.existing_account(account)?;
        if row.currency != currency {
            return Err(Refusal::CurrencyMismatch.into());
        }
        let held = row.held_minor.checked_add(amount_minor).ok_or(Refusal::Overflow)?;
        row.balance_minor.checked_sub(held).ok_or(Refusal::Overflow)?;
        if let Some(available_minor) = available(row).filter(|a| *a < amount_minor) {
            return Err(Refusal::Insufficient { available_minor }.into());
        }
        let hold =
            HoldRow { id, account, amount_minor, expires_at, state: hold_state::PENDING, resolved_by: None };
        self.change_held(account, amount_minor)?;
        self.undo.push(Undo::Hold { id, before: None });
        if let Some(due) = expiry(&hold) {
            self.expiring.insert(due);
        }
        self.holds.insert(id, Some(HoldSlot { row: hold, placed: true, dirty: false }));
        Ok(())
    }

    fn keep(&mut self, hold: Id) -> Result<(), Stop> {
        let mut row = self.pending(hold)?;
        row.expires_at = None;
        self.change_hold(row)
    }

    fn free(&mut self, id: Id, hold: Id, state: i16) -> Result<(), Stop> {
        let row = self.pending(hold)?;
        if state == hold_state::EXPIRED && row.expires_at.is_none_or(|t| t > self.at) {
            return Err(Refusal::NotDue.into());
        }
        self.resolve(id, row, state)
    }

    fn post(&mut self, id: Id, hold: Id, legs: &[Leg]) -> Result<(), Stop> {
        shape(legs)?;
        let row = self.pending(hold)?;
        self.judge_balance(legs)?;
        let debit = legs.iter().find(|leg| leg.account == row.account).map_or(0, |leg| leg.amount_minor);
        if debit >= 0 || debit.checked_neg().is_none_or(|d| d > row.amount_minor) {
            return Err(Refusal::OverHold { held_minor: row.amount_minor }.into());
        }
        self.fits(legs)?;
        self.floors(legs, Some(&row))?;
        self.resolve(id, row, hold_state::POSTED)?;
        self.remember_reversible(id, legs);
        self.enter(id, legs)
    }

    fn reverse(&mut self, id: Id, transfer: Id, legs: &[Leg]) -> Result<(), Stop> {
        shape(legs)?;
        let original = match self.transfers.get(&transfer) {
            None => return Err(Stop::broken(format_args!("transfer {transfer} was not loaded"))),
            Some(None) => return Err(Refusal::UnknownTransfer.into()),
            Some(Some(row)) => row,
        };
        if original.outcome != 0 || !matches!(original.act, act::TRANSFER | act::POST) {
            return Err(Refusal::NotReversible.into());
        }
        self.judge_balance(legs)?;
        let Some(parts) = self.reversible.get(&transfer) else {
            return Err(Stop::broken(format_args!("the entries of transfer {transfer} were not loaded")));
        };
        let mut after = Vec::with_capacity(legs.len());
        for leg in legs {
            let part = parts.iter().find(|p| p.account == leg.account);
            let part = part.ok_or(Refusal::OverReversed { left_minor: 0 })?;
            let left = i128::from(part.original_minor) + i128::from(part.reversed_minor);
            let total = part.reversed_minor.checked_add(leg.amount_minor);
            let against = (leg.amount_minor > 0) != (part.original_minor > 0);
            let within = |total: &i64| total.unsigned_abs() <= part.original_minor.unsigned_abs();
            let Some(total) = total.filter(|total| against && within(total)) else {
                let left_minor = i64::try_from(left.abs()).unwrap_or(i64::MAX);
                return Err(Refusal::OverReversed { left_minor }.into());
            };
            after.push((leg.account, total));
        }
        self.fits(legs)?;
        self.floors(legs, None)?;
        for (account, total) in after {
            let parts = self.reversible.get_mut(&transfer);
            if let Some(part) = parts.and_then(|p| p.iter_mut().find(|p| p.account == account)) {
                self.undo.push(Undo::Reversed { transfer, account, reversed_minor: part.reversed_minor });
                part.reversed_minor = total;
            }
        }
        self.enter(id, legs)
    }

    fn judge_balance(&self, legs: &[Leg]) -> Result<(), Stop> {
        // In each currency of each book: what is test money can never become any other.
        let mut sums: Vec<((Currency, bool), i128)> = Vec::with_capacity(2);
        for leg in legs {
            let row = self.existing_account(leg.account)?;
            let book = (row.currency, row.kind.is_test());
            match sums.iter_mut().find(|(known, _)| *known == book) {
                Some((_, sum)) => *sum += i128::from(leg.amount_minor),
                None => sums.push((book, i128::from(leg.amount_minor))),
            }
        }
        if sums.iter().any(|(_, sum)| *sum != 0) { Err(Refusal::Unbalanced.into()) } else { Ok(()) }
    }

    fn fits(&self, legs: &[Leg]) -> Result<(), Stop> {
        for leg in legs {
            let row = self.existing_account(leg.account)?;
            let balance = row.balance_minor.checked_add(leg.amount_minor).ok_or(Refusal::Overflow)?;
            balance.checked_sub(row.held_minor).ok_or(Refusal::Overflow)?;
        }
        Ok(())
    }

    /// I4: no debit drives an account under its floor. A posting may always take what its hold reserved.
    fn floors(&self, legs: &[Leg], hold: Option<&HoldRow>) -> Result<(), Stop> {
        for leg in legs {
            if leg.amount_minor > 0 || hold.is_some_and(|h| h.account == leg.account) {
                continue;
            }
            let available = available(self.existing_account(leg.account)?);
            if let Some(available_minor) = available.filter(|a| a.saturating_add(leg.amount_minor) < 0) {
                return Err(Refusal::Insufficient { available_minor }.into());
            }
        }
        Ok(())
    }

    fn enter(&mut self, transfer: Id, legs: &[Leg]) -> Result<(), Stop> {
        for leg in legs {
            let Some(Some(slot)) = self.accounts.get_mut(&leg.account) else {
                return Err(Stop::broken(format_args!("account {} vanished", leg.account)));
            };
            let row = &mut slot.row;
            self.undo.push(totals(row));
            let sums = row.balance_minor.checked_add(leg.amount_minor).zip(row.entries.checked_add(1));
            let Some((balance, sequence)) = sums else {
                return Err(Stop::broken(format_args!("account {} overflows", leg.account)));
            };
            row.balance_minor = balance;
            row.entries = sequence;
            let previous = row.last_transfer.replace(transfer);
            slot.dirty = true;
            self.new_entries.push(EntryRow {
                account: leg.account,
                sequence,
                transfer,
                amount_minor: leg.amount_minor,
                balance_after_minor: balance,
                previous,
            });
        }
        Ok(())
    }

    fn remember_reversible(&mut self, transfer: Id, legs: &[Leg]) {
        let parts = legs
            .iter()
            .map(|l| Reversible { account: l.account, original_minor: l.amount_minor, reversed_minor: 0 })
            .collect();
        self.undo.push(Undo::Reversible(transfer));
        self.reversible.insert(transfer, parts);
    }

    fn resolve(&mut self, by: Id, mut row: HoldRow, state: i16) -> Result<(), Stop> {
        self.change_held(row.account, -row.amount_minor)?;
        row.state = state;
        row.resolved_by = Some(by);
        self.change_hold(row)
    }

    fn change_hold(&mut self, row: HoldRow) -> Result<(), Stop> {
        let id = row.id;
        let Some(Some(slot)) = self.holds.get_mut(&id) else {
            return Err(Stop::broken(format_args!("hold {id} vanished")));
        };
        slot.dirty = true;
        let before = std::mem::replace(&mut slot.row, row);
        if let Some(due) = expiry(&before) {
            self.expiring.remove(&due);
        }
        self.undo.push(Undo::Hold { id, before: Some(before) });
        Ok(())
    }

    fn change_held(&mut self, account: Id, by_minor: i64) -> Result<(), Stop> {
        let Some(Some(slot)) = self.accounts.get_mut(&account) else {
            return Err(Stop::broken(format_args!("account {account} of a hold is missing")));
        };
        let held = slot.row.held_minor.checked_add(by_minor).filter(|held| *held >= 0);
        let Some(held) = held else {
            return Err(Stop::broken(format_args!("account {account} holds less than its holds")));
        };
        self.undo.push(totals(&slot.row));
        slot.row.held_minor = held;
        slot.dirty = true;
        Ok(())
    }

    /// The hold, if it can still be used.
    fn pending(&self, hold: Id) -> Result<HoldRow, Stop> {
        let row = match self.holds.get(&hold) {
            None => return Err(Stop::broken(format_args!("hold {hold} was not loaded"))),
            Some(None) => return Err(Refusal::UnknownHold.into()),
            Some(Some(slot)) => &slot.row,
        };
        match row.state {
            hold_state::PENDING => Ok(row.clone()),
            hold_state::POSTED => Err(Refusal::HoldPosted.into()),
            hold_state::VOIDED => Err(Refusal::HoldVoided.into()),
            hold_state::EXPIRED => Err(Refusal::HoldExpired.into()),
            other => Err(Stop::broken(format_args!("hold {hold} has state {other}"))),
        }
    }

    fn existing_account(&self, id: Id) -> Result<&AccountRow, Stop> {
        match self.accounts.get(&id) {
            None => Err(Stop::broken(format_args!("account {id} was not loaded"))),
            Some(None) => Err(Refusal::UnknownAccount.into()),
            Some(Some(slot)) => Ok(&slot.row),
        }
    }
}

/// Why judging ended early.
enum Stop {
    Refused(Refusal),
    Broken(Broken),
}

impl Stop {
    fn broken(what: impl std::fmt::Display) -> Self {
        Self::Broken(Broken(what.to_string()))
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What is said against legs before any row is looked at.
fn shape(legs: &[Leg]) -> Result<(), Stop> {
    if !(2..=LEGS_MAX).contains(&legs.len()) {
        return Err(Refusal::LegCount.into());
    }
    if legs.iter().any(|leg| leg.amount_minor == 0) {
        return Err(Refusal::Amount.into());
    }
    let twice = legs.iter().enumerate().any(|(n, leg)| legs.iter().take(n).any(|l| l.account == leg.account));
    if twice { Err(Refusal::AccountTwice.into()) } else { Ok(()) }
}
