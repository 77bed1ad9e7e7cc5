//! Which rows a unit may touch: what the store loads and locks before the unit is judged. A row that is not named here
//! cannot be read or written by the unit.

use crate::ledger::command::{Act, Command};
use crate::ledger::row::Id;
use crate::payment::judge;
use crate::payment::posting;
use crate::payment::row::{AttemptRow, PaymentRow, State, Target, product};
use crate::payment::unit::{Move, Op, Posting, Unit};
use crate::store::keys::Keys;

/// The ids of a payment's ledger commands, all derived from the payment's: a retry asks the same question.
pub mod ids {
    use crate::ledger::row::Id;

    /// The hold.
    #[must_use]
    pub fn hold(payment: Id) -> Id {
        payment.derived("hold")
    }

    /// Takes the expiry off the hold.
    #[must_use]
    pub fn keep(payment: Id) -> Id {
        payment.derived("keep")
    }

    /// Posts the hold.
    #[must_use]
    pub fn post(payment: Id) -> Id {
        payment.derived("post")
    }

    /// Voids the hold.
    #[must_use]
    pub fn void(payment: Id) -> Id {
        payment.derived("void")
    }

    /// Reverses the posting.
    #[must_use]
    pub fn reverse(payment: Id) -> Id {
        payment.derived("reverse")
    }

    /// The n-th attempt.
    #[must_use]
    pub fn attempt(payment: Id, number: i32) -> Id {
        payment.derived(&format!("attempt {number}"))
    }
}

/// The rows that `unit` may touch.
#[must_use]
pub fn keys_of(unit: &Unit) -> Keys {
    let mut keys = Keys::default();
    let mut begun = None;
    for op in &unit.ops {
        match op {
            Op::Ledger(command) => command_keys(command, &mut keys),
            Op::OpenAccount(row) => {
                keys.accounts.insert(row.id);
            }
            Op::OpenPayer(row) | Op::SetPayer(row) => {
                keys.payers.insert(row.account);
            }
            Op::Bind(row) | Op::Unbind(row) => {
                keys.bindings.insert(row.msisdn.clone());
                keys.payers.insert(row.account);
            }
            Op::PinTry { account, .. } | Op::PinPassed { account, .. } => {
                keys.payers.insert(*account);
            }
            Op::Authorise(authorise) => {
                begun = Some(authorise.payment.id);
                authorise_keys(&authorise.payment, &mut keys);
                keys.counters.extend(authorise.without_pin.map(|_| authorise.payment.without_pin_key()));
            }
            Op::Submit { payment, attempt, .. } if begun == Some(*payment) => {
                keys.begun.entry(*payment).or_default().attempts.insert(attempt.id);
            }
            Op::Submit { payment, attempt, .. } => {
                attempt_keys(*payment, &[attempt], &mut keys);
                keys.transfers.insert(ids::keep(*payment));
            }
            Op::Move(step) => move_keys(step, begun == Some(step.payment), &mut keys),
            Op::Resubmit(asked) => {
                attempt_keys(asked.payment, &[&asked.answered, &asked.attempt], &mut keys);
            }
            Op::Note(asked) => attempt_keys(asked.payment, &[&asked.attempt], &mut keys),
            Op::Outbox(row) => {
                keys.queued.insert(row.id);
            }
            Op::SettleOutbox(settled) => {
                keys.outbox.insert(settled.id);
            }
            Op::Receive(receive) => {
                keys.inbox.insert(receive.row.key);
            }
            // Written without a look at what is there.
            Op::Part(_) | Op::DropParts(_) => {}
            Op::SaveSession(row) => {
                keys.sessions.insert(row.id);
                keys.session_keys.extend(row.key.clone());
            }
            Op::EndSession(id) => {
                keys.sessions.insert(*id);
            }
            Op::Record(write) => {
                keys.records.insert(write.key());
            }
            Op::Open(wanted) => keys.suspensions.extend(wanted.iter().cloned()),
            Op::Ceiling { account, .. } => {
                keys.accounts.insert(*account);
            }
            Op::Suspend(row) | Op::Resume(row) => {
                keys.suspensions.insert((row.scope.clone(), row.key.clone()));
            }
        }
    }
    keys
}

const fn posted_to(posting: &Posting) -> [Id; 4] {
    [posting.counterparty, posting.commission, posting.fee, posting.tax]
}

fn command_keys(command: &Command, keys: &mut Keys) {
    keys.transfers.insert(command.id);
    keys.accounts.extend(command.act.legs().iter().map(|leg| leg.account));
    match &command.act {
        Act::Transfer { .. } => {}
        Act::Hold { account, .. } => {
            keys.accounts.insert(*account);
            keys.holds.insert(command.id);
        }
        Act::Keep { hold } | Act::Post { hold, .. } | Act::Void { hold } | Act::Expire { hold } => {
            keys.holds.insert(*hold);
        }
        Act::Reverse { transfer, .. } => {
            keys.reversed.insert(*transfer);
        }
    }
}

fn authorise_keys(payment: &PaymentRow, keys: &mut Keys) {
    keys.begun.entry(payment.id).or_default().holds.insert(ids::hold(payment.id));
    // A refusal is remembered without its payment.
    keys.transfers.insert(ids::hold(payment.id));
    keys.payers.insert(payment.account);
    keys.counters.insert(payment.counter_key());
    keys.pairs.insert(payment.pair_key());
    keys.references.insert(payment.reference.clone());
    keys.suspensions.extend(suspension_keys(payment));
    keys.accounts.insert(payment.account);
    keys.accounts.insert(posting::source(payment));
}

fn attempt_keys(payment: Id, attempts: &[&AttemptRow], keys: &mut Keys) {
    payment_keys(payment, keys);
    keys.attempts.extend(attempts.iter().map(|attempt| attempt.id));
}

fn payment_keys(payment: Id, keys: &mut Keys) {
    keys.payments.insert(payment);
    keys.holds.insert(ids::hold(payment));
}

/// The money of a step is moved by one command (`judge`), and by what else is in the unit.
fn move_keys(step: &Move, begun: bool, keys: &mut Keys) {
    let id = step.payment;
    if !begun {
        payment_keys(id, keys);
    }
    if !judge::still_counts(step.to) {
        keys.given_back.insert(id);
    }
    keys.attempts.extend(step.attempt.as_ref().map(|attempt| attempt.id));
    keys.accounts.extend(step.posting.iter().flat_map(posted_to));
    match step.to {
        State::Delivered => {
            keys.transfers.insert(ids::post(id));
        }
        State::Refused => {
            keys.transfers.insert(ids::void(id));
        }
        State::Reversed => {
            keys.transfers.insert(ids::reverse(id));
            keys.reversed.insert(ids::post(id));
        }
        State::Created
        | State::Authorised
        | State::Submitting
        | State::Submitted
        | State::Unknown
        | State::NeedsReview => {}
    }
}

/// Everything that may be shut and so stop this payment (DESIGN 6.4 point 22).
#[must_use]
pub fn suspension_keys(payment: &PaymentRow) -> Vec<(String, String)> {
    let channel = match payment.channel {
        1 => "voice",
        2 => "ussd",
        3 => "sms",
        _ => "http",
    };
    let mut keys = whole();
    keys.extend([
        ("product".to_owned(), payment.product.clone()),
        ("carrier".to_owned(), payment.connector.clone()),
        ("channel".to_owned(), channel.to_owned()),
        ("account".to_owned(), payment.account.text()),
    ]);
    match &payment.target {
        Target::Phone(phone) => keys.push(("number".to_owned(), phone.as_str().to_owned())),
        Target::Bill { biller, .. } => keys.push(("biller".to_owned(), biller.clone())),
        Target::Deal(_) => {}
    }
    if payment.product == product::DEPOSIT {
        keys.push(("agent".to_owned(), payment.account.text()));
    }
    keys.extend(payment.caller.as_ref().map(|caller| ("number".to_owned(), caller.as_str().to_owned())));
    keys
}

/// The scope of what shuts everything.
pub const WHOLE: &str = "whole";
/// The key under which staff shut everything.
pub const ALL: &str = "all";
/// The key under which everything is shut after a restore from a backup, until what was open then is known.
pub const RESTORED: &str = "restored";

/// What shuts everything.
#[must_use]
pub fn whole() -> Vec<(String, String)> {
    [ALL, RESTORED].map(|key| (WHOLE.to_owned(), key.to_owned())).to_vec()
}
