//! What a channel wants written in the same commit as a turn: that a message was received, what is sent, what waits.

use crate::payment::row::{Id, InboxRow, OutboxRow, PartRow};
use crate::payment::unit::{Op, Receive};

/// Operations of a channel, in the order in which they are judged.
#[derive(Debug, Default)]
pub struct Writes {
    pub(super) ops: Vec<Op>,
}

impl Writes {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A message was received. The whole commit is refused when an equal one was received at `same_since` (microseconds) or
    /// later.
    #[must_use]
    pub fn received(mut self, row: InboxRow, same_since: i64) -> Self {
        self.ops.push(Op::Receive(Receive { row, same_since }));
        self
    }

    /// A text message to send.
    #[must_use]
    pub fn text(mut self, row: OutboxRow) -> Self {
        self.ops.push(Op::Outbox(row));
        self
    }

    /// A part of a long message, which waits for the others.
    #[must_use]
    pub fn part(mut self, row: PartRow) -> Self {
        self.ops.push(Op::Part(row));
        self
    }

    /// The parts of a message that is whole now.
    #[must_use]
    pub fn without_parts(mut self, message: Id) -> Self {
        self.ops.push(Op::DropParts(message));
        self
    }

    /// Another session of the same caller is over: a newer one takes its key.
    #[must_use]
    pub fn ended(mut self, session: Id) -> Self {
        self.ops.push(Op::EndSession(session));
        self
    }
}
