//! The ledger written a second time, as plainly as can be: lists, no totals kept, no batches. What the real one answers
//! is compared with this.

use std::collections::BTreeMap;

use keytone::ledger::command::{Act, Command, Leg, Refusal};
use keytone::ledger::row::Id;
use keytone::money::Currency;

#[derive(Clone, Debug)]
pub(super) struct Hold {
    pub(super) account: Id,
    pub(super) amount: i128,
    pub(super) expires_at: Option<i64>,
    pub(super) open: bool,
    why_closed: Option<Refusal>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) now: i64,
    pub(super) accounts: BTreeMap<Id, (Currency, Option<i128>)>,
    /// Transfer, account, amount: in order.
    pub(super) entries: Vec<(Id, Id, i128)>,
    pub(super) holds: BTreeMap<Id, Hold>,
    answers: BTreeMap<Id, (Command, Result<(), Refusal>)>,
}

impl Model {
    pub(super) fn balance(&self, account: Id) -> i128 {
        self.entries.iter().filter(|e| e.1 == account).map(|e| e.2).sum()
    }

    pub(super) fn held(&self, account: Id) -> i128 {
        self.holds.values().filter(|h| h.open && h.account == account).map(|h| h.amount).sum()
    }

    /// Moves the clock, and with it every hold whose time has passed.
    pub(super) fn at(&mut self, now: i64) {
        self.now = now;
        let due: Vec<Id> = self
            .holds
            .iter()
            .filter(|(_, h)| h.open && h.expires_at.is_some_and(|t| t <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            self.close(id, Refusal::HoldExpired);
            let command = Command::expire(id);
            self.answers.insert(command.id, (command, Ok(())));
        }
    }

    /// One unit of commands: all of it or, when one is refused, nothing but that refusal.
    pub(super) fn unit(&mut self, commands: &[Command]) -> Result<bool, Refusal> {
        let before = self.clone();
        let mut repeats = 0;
        for command in commands {
            match self.ask(command) {
                (Ok(()), repeated) => repeats += usize::from(repeated),
                (Err(refusal), repeated) => {
                    *self = before;
                    let keep = refusal != Refusal::IdReused && !matches!(command.act, Act::Expire { .. });
                    if keep && !repeated {
                        self.answers.insert(command.id, (command.clone(), Err(refusal)));
                    }
                    return Err(refusal);
                }
            }
        }
        Ok(repeats > 0 && repeats == commands.len())
    }

    fn ask(&mut self, command: &Command) -> (Result<(), Refusal>, bool) {
        if let Some((first, answer)) = self.answers.get(&command.id) {
            let same = plain(first) == plain(command);
            return if same { (*answer, true) } else { (Err(Refusal::IdReused), false) };
        }
        let answer = self.act(command);
        if answer.is_ok() {
            self.answers.insert(command.id, (command.clone(), Ok(())));
        }
        (answer, false)
    }

    fn act(&mut self, command: &Command) -> Result<(), Refusal> {
        match &command.act {
            Act::Transfer { legs } => {
                shape(legs)?;
                self.balanced(legs)?;
                self.small_enough(legs)?;
                self.afford(legs, None)?;
                self.enter(command.id, legs);
            }
            Act::Hold { account, amount_minor, currency, expires_at } => {
                if *amount_minor <= 0 {
                    return Err(Refusal::Amount);
                }
                if expires_at.is_some_and(|t| t <= self.now) {
                    return Err(Refusal::ExpiryPassed);
                }
                let (own, floor) = *self.accounts.get(account).ok_or(Refusal::UnknownAccount)?;
                if own != *currency {
                    return Err(Refusal::CurrencyMismatch);
                }
                let amount = i128::from(*amount_minor);
                let held = self.held(*account) + amount;
                if held > i128::from(i64::MAX) || self.balance(*account) - held < i128::from(i64::MIN) {
                    return Err(Refusal::Overflow);
                }
                let free = self.balance(*account) - self.held(*account);
                if let Some(available) = floor.map(|f| free - f).filter(|a| *a < amount) {
                    return Err(Refusal::Insufficient { available_minor: short(available) });
                }
                let hold =
                    Hold { account: *account, amount, expires_at: *expires_at, open: true, why_closed: None };
                self.holds.insert(command.id, hold);
            }
            Act::Keep { hold } => {
                self.open(*hold)?;
                self.holds.get_mut(hold).unwrap().expires_at = None;
            }
            Act::Void { hold } => {
                self.open(*hold)?;
                self.close(*hold, Refusal::HoldVoided);
            }
            Act::Expire { hold } => {
                self.open(*hold)?;
                return Err(Refusal::NotDue);
            }
            Act::Post { hold, legs } => {
                shape(legs)?;
                let row = self.open(*hold)?;
                self.balanced(legs)?;
                let debit: i128 = legs
                    .iter()
                    .filter(|l| l.account == row.account)
                    .map(|l| -i128::from(l.amount_minor))
                    .sum();
                if debit < 1 || debit > row.amount {
                    return Err(Refusal::OverHold { held_minor: short(row.amount) });
                }
                self.small_enough(legs)?;
                self.afford(legs, Some(row.account))?;
                self.close(*hold, Refusal::HoldPosted);
                self.enter(command.id, legs);
            }
            Act::Reverse { transfer, legs } => self.reverse(command.id, *transfer, legs)?,
        }
        Ok(())
    }

    fn reverse(&mut self, id: Id, transfer: Id, legs: &[Leg]) -> Result<(), Refusal> {
        shape(legs)?;
        let (original, answer) = self.answers.get(&transfer).ok_or(Refusal::UnknownTransfer)?;
        if answer.is_err() || !matches!(original.act, Act::Transfer { .. } | Act::Post { .. }) {
            return Err(Refusal::NotReversible);
        }
        self.balanced(legs)?;
        for leg in legs {
            let of = |transfer: Id| -> i128 {
                let mine = self.entries.iter().filter(|e| e.0 == transfer && e.1 == leg.account);
                mine.map(|e| e.2).sum()
            };
            let reversals = self.answers.iter().filter(|(_, (command, answer))| {
                answer.is_ok() && matches!(&command.act, Act::Reverse { transfer: t, .. } if *t == transfer)
            });
            let left = of(transfer) + reversals.map(|(id, _)| of(*id)).sum::<i128>();
            let back = -i128::from(leg.amount_minor);
            let fits = if of(transfer) > 0 { back > 0 && back <= left } else { back < 0 && back >= left };
            if !fits {
                return Err(Refusal::OverReversed { left_minor: short(left.abs()) });
            }
        }
        self.small_enough(legs)?;
        self.afford(legs, None)?;
        self.enter(id, legs);
        Ok(())
    }

    fn open(&self, hold: Id) -> Result<Hold, Refusal> {
        let row = self.holds.get(&hold).ok_or(Refusal::UnknownHold)?;
        row.why_closed.map_or_else(|| Ok(row.clone()), Err)
    }

    fn close(&mut self, hold: Id, why: Refusal) {
        let row = self.holds.get_mut(&hold).unwrap();
        row.open = false;
        row.why_closed = Some(why);
    }

    fn enter(&mut self, transfer: Id, legs: &[Leg]) {
        self.entries.extend(legs.iter().map(|l| (transfer, l.account, i128::from(l.amount_minor))));
    }

    fn balanced(&self, legs: &[Leg]) -> Result<(), Refusal> {
        let mut sums: BTreeMap<Currency, i128> = BTreeMap::new();
        for leg in legs {
            let (currency, _) = self.accounts.get(&leg.account).ok_or(Refusal::UnknownAccount)?;
            *sums.entry(*currency).or_default() += i128::from(leg.amount_minor);
        }
        if sums.values().all(|sum| *sum == 0) { Ok(()) } else { Err(Refusal::Unbalanced) }
    }

    fn small_enough(&self, legs: &[Leg]) -> Result<(), Refusal> {
        let range = i128::from(i64::MIN)..=i128::from(i64::MAX);
        for leg in legs {
            let after = self.balance(leg.account) + i128::from(leg.amount_minor);
            if !range.contains(&after) || !range.contains(&(after - self.held(leg.account))) {
                return Err(Refusal::Overflow);
            }
        }
        Ok(())
    }

    fn afford(&self, legs: &[Leg], reserved: Option<Id>) -> Result<(), Refusal> {
        for leg in legs.iter().filter(|l| l.amount_minor < 0 && Some(l.account) != reserved) {
            let (_, floor) = self.accounts[&leg.account];
            let free = self.balance(leg.account) - self.held(leg.account);
            if let Some(available) = floor.map(|f| free - f)
                && available + i128::from(leg.amount_minor) < 0
            {
                return Err(Refusal::Insufficient { available_minor: short(available) });
            }
        }
        Ok(())
    }
}

fn shape(legs: &[Leg]) -> Result<(), Refusal> {
    if legs.len() < 2 || legs.len() > 16 {
        return Err(Refusal::LegCount);
    }
    if legs.iter().any(|l| l.amount_minor == 0) {
        return Err(Refusal::Amount);
    }
    let mut accounts: Vec<Id> = legs.iter().map(|l| l.account).collect();
    accounts.sort();
    accounts.dedup();
    if accounts.len() == legs.len() { Ok(()) } else { Err(Refusal::AccountTwice) }
}

/// The content of a command without times and without the order of legs.
fn plain(command: &Command) -> Command {
    let mut command = command.clone();
    match &mut command.act {
        Act::Hold { expires_at, .. } => *expires_at = None,
        Act::Transfer { legs } | Act::Post { legs, .. } | Act::Reverse { legs, .. } => {
            legs.sort_by_key(|l| (l.account, l.amount_minor));
        }
        Act::Keep { .. } | Act::Void { .. } | Act::Expire { .. } => {}
    }
    command
}

fn short(amount: i128) -> i64 {
    i64::try_from(amount.clamp(i128::from(i64::MIN), i128::from(i64::MAX))).unwrap()
}
