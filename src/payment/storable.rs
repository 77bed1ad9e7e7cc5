//! What comes from outside, made so that both databases take it: a row that one of them refuses would stop the process.
//!
//! PostgreSQL has no text with a NUL in it, and no index entry of more than a third of a page.

use crate::payment::row::record::{Cell, Write};
use crate::payment::row::{AttemptRow, OutboxRow, SessionRow};
use crate::payment::unit::{Move, Op};

/// The longest key of a conversation, in bytes. A longer one refuses the unit.
pub const SESSION_KEY_MAX: usize = 512;
/// What is kept of a message id, in bytes. SMPP's have at most 64 (SMPP 3.4 §4.4.2), HTTP providers' some more.
pub const MESSAGE_ID_MAX: usize = 255;

/// Takes NULs out.
pub fn plain(text: &mut String) {
    if text.contains('\0') {
        text.retain(|c| c != '\0');
    }
}

/// A message id as it is stored, and looked for.
pub fn message_id(text: &mut String) {
    plain(text);
    let end = (0..=MESSAGE_ID_MAX.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.truncate(end.unwrap_or_default());
}

fn all<'t>(texts: impl IntoIterator<Item = &'t mut String>) {
    texts.into_iter().for_each(plain);
}

/// Makes an operation's texts storable.
pub fn clean(op: &mut Op) {
    match op {
        Op::Outbox(row) => clean_outbox(row),
        Op::SettleOutbox(settled) => {
            all([&mut settled.route, &mut settled.code].into_iter().flatten());
            settled.message_id.iter_mut().for_each(message_id);
        }
        Op::Receive(receive) => all([&mut receive.row.route, &mut receive.row.caller]),
        Op::SaveSession(row) => clean_session(row),
        Op::Move(step) => clean_step(step),
        Op::Resubmit(asked) => {
            plain(&mut asked.detail);
            clean_attempt(&mut asked.answered);
        }
        Op::Note(asked) => {
            plain(&mut asked.detail);
            clean_attempt(&mut asked.attempt);
        }
        Op::Record(write) => clean_record(write),
        // These hold what was checked before, or nothing from outside.
        Op::Ledger(_)
        | Op::OpenAccount(_)
        | Op::OpenPayer(_)
        | Op::SetPayer(_)
        | Op::Bind(_)
        | Op::Unbind(_)
        | Op::PinTry { .. }
        | Op::PinPassed { .. }
        | Op::Authorise(_)
        | Op::Submit { .. }
        | Op::Part(_)
        | Op::DropParts(_)
        | Op::Suspend(_)
        | Op::Resume(_)
        | Op::EndSession(_)
        | Op::Open(_)
        | Op::Ceiling { .. } => {}
    }
}

fn clean_outbox(row: &mut OutboxRow) {
    all([&mut row.kind, &mut row.recipient, &mut row.body]);
    all([&mut row.route, &mut row.sender, &mut row.code].into_iter().flatten());
    row.message_id.iter_mut().for_each(message_id);
}

fn clean_record(write: &mut Write) {
    let (Write::Add(record) | Write::Set(record) | Write::Put(record)) = write else { return };
    all(record
        .cells
        .iter_mut()
        .filter_map(|cell| if let Cell::Text(text) = cell { Some(text) } else { None }));
}

fn clean_session(row: &mut SessionRow) {
    all([&mut row.flow, &mut row.version, &mut row.state]);
    all([&mut row.key, &mut row.dialogue, &mut row.route].into_iter().flatten());
}

/// A carrier's words.
fn clean_step(step: &mut Move) {
    plain(&mut step.detail);
    all([&mut step.class, &mut step.carrier_reference].into_iter().flatten());
    step.attempt.iter_mut().for_each(clean_attempt);
}

fn clean_attempt(row: &mut AttemptRow) {
    let AttemptRow { outcome, code, carrier_reference, .. } = row;
    all([outcome, code, carrier_reference].into_iter().flatten());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_ids_are_cut_between_characters() {
        let cut = |text: &str| {
            let mut text = text.to_owned();
            message_id(&mut text);
            text
        };
        assert_eq!(cut("7F\0-1"), "7F-1");
        assert_eq!(cut(""), "");
        assert_eq!(cut(&"x".repeat(255)).len(), 255);
        assert_eq!(cut(&"x".repeat(256)).len(), 255);
        assert_eq!(cut(&"é".repeat(200)), "é".repeat(127));
    }
}
