//! Messages and conversations within a batch: what came in, what goes out, who holds which key.

use std::collections::BTreeSet;

use crate::ledger::row::Id;
use crate::payment::fold::table::Table;
use crate::payment::outbox;
use crate::payment::row::{InboxRow, OutboxRow, OutboxState, PartRow, SessionRow};
use crate::payment::storable::SESSION_KEY_MAX;
use crate::payment::unit::{OutboxSettled, Receive, Refusal};
use crate::store::keys::{Changes, Keys};

/// The rows of messages and conversations as the units of a batch change them.
#[derive(Debug)]
pub(super) struct Messages {
    outbox: Table<Id, OutboxRow>,
    inbox: Table<Id, InboxRow>,
    parts: Vec<PartStep>,
    sessions: Table<Id, SessionRow>,
    /// Which session holds a key.
    holders: Table<String, Id>,
    /// Which session holds a key in the database.
    stored_holders: Vec<(Id, String)>,
}

/// What was done with segments, in order: they are not loaded.
#[derive(Debug)]
enum PartStep {
    Keep(PartRow),
    Drop(Id),
}

/// How far everything was when a unit began.
pub(super) struct Mark {
    outbox: usize,
    inbox: usize,
    parts: usize,
    sessions: usize,
    holders: usize,
}

impl Messages {
    pub(super) fn new(
        keys: &Keys,
        sessions: Vec<SessionRow>,
        outbox: Vec<OutboxRow>,
        inbox: Vec<InboxRow>,
    ) -> Self {
        let stored_holders: Vec<(Id, String)> =
            sessions.iter().filter_map(|row| row.key.clone().map(|key| (row.id, key))).collect();
        let held = stored_holders.iter().map(|(id, key)| (key.clone(), *id));
        Self {
            holders: Table::new(keys.session_keys.iter().cloned(), held),
            sessions: Table::new(keys.sessions.iter().copied(), sessions.into_iter().map(|r| (r.id, r))),
            outbox: Table::new(
                keys.queued.iter().chain(&keys.outbox).copied(),
                outbox.into_iter().map(|r| (r.id, r)),
            ),
            inbox: Table::new(keys.inbox.iter().copied(), inbox.into_iter().map(|r| (r.key, r))),
            parts: Vec::new(),
            stored_holders,
        }
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            outbox: self.outbox.undo.len(),
            inbox: self.inbox.undo.len(),
            parts: self.parts.len(),
            sessions: self.sessions.undo.len(),
            holders: self.holders.undo.len(),
        }
    }

    pub(super) fn rollback(&mut self, mark: &Mark) {
        self.outbox.rollback(mark.outbox);
        self.inbox.rollback(mark.inbox);
        self.parts.truncate(mark.parts);
        self.sessions.rollback(mark.sessions);
        self.holders.rollback(mark.holders);
    }

    pub(super) fn missed(&self) -> Option<&'static str> {
        [
            (self.outbox.missed.get(), "outbox"),
            (self.inbox.missed.get(), "inbox"),
            (self.sessions.missed.get(), "session"),
            (self.holders.missed.get(), "session key"),
        ]
        .into_iter()
        .find_map(|(missed, table)| missed.then_some(table))
    }

    pub(super) fn queue(&mut self, row: &OutboxRow) -> Result<(), Refusal> {
        if self.outbox.row(&row.id).is_none() {
            self.outbox.set(row.id, Some(row.clone()));
        }
        Ok(())
    }

    pub(super) fn settle(&mut self, settled: &OutboxSettled) -> Result<(), Refusal> {
        let row = self.outbox.row(&settled.id).ok_or(Refusal::Unknown("message"))?;
        // While it is being sent, what is stored as due is the end of its lease.
        let claimed_anew =
            row.state == OutboxState::Sending && settled.lease.is_some_and(|lease| lease != row.due_at);
        if claimed_anew || !outbox::may(row.state, settled.state) {
            return Err(Refusal::Settled(row.state));
        }
        let Some(row) = self.outbox.row_mut(&settled.id) else { return Err(Refusal::Unknown("message")) };
        row.state = settled.state;
        row.owner = None;
        row.code.clone_from(&settled.code);
        row.updated_at = settled.at;
        row.attempts = settled.attempts.unwrap_or(row.attempts).max(0);
        row.segments = settled.segments.unwrap_or(row.segments).max(0);
        if settled.route.is_some() {
            row.route.clone_from(&settled.route);
        }
        if settled.message_id.is_some() {
            row.message_id.clone_from(&settled.message_id);
        }
        row.due_at = match settled.due_at {
            Some(due_at) => due_at,
            // What is stored is the end of a lease.
            None if settled.state == OutboxState::Waiting => settled.at,
            None => row.due_at,
        };
        Ok(())
    }

    pub(super) fn receive(&mut self, receive: &Receive) -> Result<(), Refusal> {
        let row = &receive.row;
        match self.inbox.row(&row.key) {
            Some(stored) if stored.received_at >= receive.same_since => {
                Err(Refusal::Repeated(Box::new(stored.clone())))
            }
            _ => {
                self.inbox.set(row.key, Some(row.clone()));
                Ok(())
            }
        }
    }

    pub(super) fn part(&mut self, row: &PartRow) -> Result<(), Refusal> {
        if !(1..=row.total).contains(&row.number) {
            return Err(Refusal::Unfit("segment"));
        }
        self.parts.push(PartStep::Keep(row.clone()));
        Ok(())
    }

    pub(super) fn drop_parts(&mut self, message: Id) -> Result<(), Refusal> {
        self.parts.push(PartStep::Drop(message));
        Ok(())
    }

    /// A session that is over at `at` (microseconds) gives its key to whoever saves one under it, and is forgotten.
    pub(super) fn save_session(&mut self, row: &SessionRow, at: i64) -> Result<(), Refusal> {
        if row.key.as_ref().is_some_and(|key| key.len() > SESSION_KEY_MAX) {
            return Err(Refusal::Unfit("session key"));
        }
        let stored = self.sessions.row(&row.id);
        let (revision, held) = stored.map_or((0, None), |stored| (stored.revision, stored.key.clone()));
        if row.revision != revision.saturating_add(1) {
            return Err(Refusal::Stale);
        }
        if let Some(key) = &row.key {
            if let Some(holder) = self.holders.row(key).copied().filter(|holder| *holder != row.id) {
                if self.sessions.row(&holder).is_some_and(|holder| holder.expires_at > at) {
                    return Err(Refusal::Stale);
                }
                self.end_session(holder)?;
            }
            self.holders.set(key.clone(), Some(row.id));
        }
        if let Some(key) = held.filter(|held| Some(held) != row.key.as_ref()) {
            self.holders.set(key, None);
        }
        self.sessions.set(row.id, Some(row.clone()));
        Ok(())
    }

    pub(super) fn end_session(&mut self, id: Id) -> Result<(), Refusal> {
        if let Some(row) = self.sessions.row(&id) {
            if let Some(key) = row.key.clone() {
                self.holders.set(key, None);
            }
            self.sessions.set(id, None);
        }
        Ok(())
    }

    pub(super) fn write_to(self, changes: &mut Changes) {
        let lives_without = |(id, key): &(Id, String)| {
            self.sessions.row(id).is_some_and(|row| row.key.as_ref() != Some(key)).then_some(*id)
        };
        let released: BTreeSet<Id> = self.stored_holders.iter().filter_map(lives_without).collect();
        changes.released = released.into_iter().collect();
        (changes.outbox, _) = self.outbox.into_rows();
        (changes.inbox, _) = self.inbox.into_rows();
        (changes.sessions, changes.ended) = self.sessions.into_rows();
        let mut dropped = BTreeSet::new();
        for step in self.parts {
            match step {
                PartStep::Keep(row) => changes.parts.push(row),
                PartStep::Drop(message) => {
                    changes.parts.retain(|row| row.message != message);
                    dropped.insert(message);
                }
            }
        }
        changes.dropped_parts = dropped.into_iter().collect();
    }
}

#[cfg(test)]
mod tests {
    use crate::ledger::row::Id;
    use crate::payment::fold::{Working, fold, keys_of};
    use crate::payment::row::{InboxRow, OutboxRow, OutboxState};
    use crate::payment::unit::{Op, OutboxSettled, Receive, Refusal, Unit};
    use crate::store::keys::{Changes, Keys, Loaded};

    fn id(n: u8) -> Id {
        Id([n; 16])
    }

    fn receive(key: u8) -> Op {
        let row = InboxRow {
            key: id(key),
            route: "acme".to_owned(),
            link: id(0),
            caller: "+8613800000001".to_owned(),
            channel: 3,
            received_at: 5,
        };
        Op::Receive(Receive { row, same_since: 5 })
    }

    fn queue(n: u8) -> Op {
        Op::Outbox(OutboxRow::waiting(id(n), "sms", "+8613800000001", "ok".to_owned(), 5, 100))
    }

    fn settle(n: u8, state: OutboxState) -> Op {
        Op::SettleOutbox(Box::new(OutboxSettled::new(id(n), state, 6)))
    }

    /// Judges units as one batch over what is loaded.
    fn batch(units: Vec<Vec<Op>>, loaded: Loaded) -> (Vec<Result<(), Refusal>>, Changes) {
        let units: Vec<Unit> = units.into_iter().map(|ops| Unit { ops }).collect();
        let mut keys = Keys::default();
        units.iter().for_each(|unit| keys.extend(keys_of(unit)));
        let mut work = Working::new(&keys, loaded, 5).unwrap();
        let answers = units.iter().map(|unit| fold(&mut work, unit).unwrap().map(drop)).collect();
        (answers, work.into_changes())
    }

    #[test]
    fn of_two_equal_messages_in_a_batch_the_second_is_refused() {
        let (answers, changes) =
            batch(vec![vec![receive(1), queue(1)], vec![queue(2), receive(1)]], Loaded::default());
        let Op::Receive(first) = receive(1) else { unreachable!() };
        assert_eq!(answers, [Ok(()), Err(Refusal::Repeated(Box::new(first.row.clone())))]);
        assert_eq!(changes.inbox.added, [first.row]);
        assert_eq!(changes.outbox.added.iter().map(|row| row.id).collect::<Vec<_>>(), [id(1)]);
    }

    #[test]
    fn one_that_was_refused_for_another_reason_was_not_received() {
        let units = vec![vec![receive(1), settle(9, OutboxState::Failed)], vec![receive(1)]];
        let (answers, changes) = batch(units, Loaded::default());
        assert_eq!(answers, [Err(Refusal::Unknown("message")), Ok(())]);
        assert_eq!(changes.inbox.added.len(), 1);
    }

    #[test]
    fn a_message_that_is_queued_is_not_looked_up_unless_it_is_settled_too() {
        let keys = keys_of(&Unit { ops: vec![queue(1), settle(2, OutboxState::Failed)] });
        assert!(
            keys.queued.contains(&id(1)) && !keys.outbox.contains(&id(1)) && keys.outbox.contains(&id(2))
        );
        let Op::Outbox(stored) = queue(1) else { unreachable!() };
        let loaded = Loaded { outbox: vec![stored], ..Loaded::default() };
        let (answers, changes) = batch(vec![vec![queue(1)], vec![settle(1, OutboxState::Failed)]], loaded);
        assert_eq!(answers, [Ok(()), Ok(())]);
        assert!(changes.outbox.added.is_empty());
        assert_eq!(changes.outbox.changed[0].state, OutboxState::Failed);
    }

    #[test]
    fn news_of_a_former_claim_does_not_take_a_message_out_of_the_hands_that_have_it() {
        // Whoever did not hear that its news was written writes it again, and the message may be claimed anew by then.
        let Op::Outbox(waiting) = queue(1) else { unreachable!() };
        let stored = OutboxRow { state: OutboxState::Sending, due_at: 70, ..waiting };
        let news = |lease, state| {
            vec![Op::SettleOutbox(Box::new(OutboxSettled { lease, ..OutboxSettled::new(id(1), state, 6) }))]
        };
        for state in [OutboxState::Waiting, OutboxState::Failed, OutboxState::Unknown] {
            let loaded = || Loaded { outbox: vec![stored.clone()], ..Loaded::default() };
            let (answers, changes) = batch(vec![news(Some(60), state)], loaded());
            assert_eq!(answers, [Err(Refusal::Settled(OutboxState::Sending))], "{state:?}");
            assert!(changes.outbox.changed.is_empty());
            for lease in [Some(70), None] {
                assert_eq!(batch(vec![news(lease, state)], loaded()).0, [Ok(())], "{state:?}");
            }
        }
    }

    #[test]
    fn nothing_is_judged_that_was_not_loaded() {
        let unit = |op: Op| Unit { ops: vec![op] };
        for op in [receive(1), queue(1), settle(1, OutboxState::Failed), Op::EndSession(id(1))] {
            let mut work = Working::new(&Keys::default(), Loaded::default(), 5).unwrap();
            assert!(fold(&mut work, &unit(op.clone())).is_err(), "{op:?}");
        }
    }
}
