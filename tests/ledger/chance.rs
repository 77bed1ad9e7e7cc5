//! Random units of messages and conversations, several at once, compared with a plain model.

use std::collections::BTreeMap;
use std::time::Duration;

use keytone::ledger::row::Id;
use keytone::payment::outbox::may;
use keytone::payment::row::{InboxRow, OutboxRow, OutboxState, PartRow, SessionRow};
use keytone::payment::unit::{Op, OutboxSettled, Refusal};

use super::messages::{id, message, part, receive, save, session, together};
use super::{Fresh, on_all, start};

/// What the tables hold, by a plain model.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    outbox: BTreeMap<Id, OutboxRow>,
    inbox: BTreeMap<Id, InboxRow>,
    parts: BTreeMap<(Id, i16), PartRow>,
    sessions: BTreeMap<Id, SessionRow>,
}

impl Model {
    fn unit(&mut self, ops: &[Op], now: i64) -> Result<(), Refusal> {
        let before = self.clone();
        let done = ops.iter().try_for_each(|op| self.op(op, now));
        if done.is_err() {
            *self = before;
        }
        done
    }

    fn op(&mut self, op: &Op, now: i64) -> Result<(), Refusal> {
        match op {
            Op::Outbox(row) => {
                self.outbox.entry(row.id).or_insert_with(|| row.clone());
            }
            Op::SettleOutbox(s) => {
                let row = self.outbox.get_mut(&s.id).ok_or(Refusal::Unknown("message"))?;
                if !may(row.state, s.state) {
                    return Err(Refusal::Settled(row.state));
                }
                *row = OutboxRow {
                    state: s.state,
                    owner: None,
                    code: s.code.clone(),
                    updated_at: s.at,
                    due_at: if s.state == OutboxState::Waiting { s.at } else { row.due_at },
                    ..row.clone()
                };
            }
            Op::Receive(r) => match self.inbox.get(&r.row.key) {
                Some(row) if row.received_at >= r.same_since => {
                    return Err(Refusal::Repeated(Box::new(row.clone())));
                }
                _ => drop(self.inbox.insert(r.row.key, r.row.clone())),
            },
            Op::Part(row) => {
                self.parts.entry((row.message, row.number)).or_insert_with(|| row.clone());
            }
            Op::DropParts(message) => self.parts.retain(|(m, _), _| m != message),
            Op::SaveSession(row) => {
                if row.revision != self.sessions.get(&row.id).map_or(0, |s| s.revision) + 1 {
                    return Err(Refusal::Stale);
                }
                let rival = |s: &SessionRow| s.id != row.id && s.key.is_some() && s.key == row.key;
                if self.sessions.values().any(|s| rival(s) && s.expires_at > now) {
                    return Err(Refusal::Stale);
                }
                self.sessions.retain(|_, s| !rival(s));
                self.sessions.insert(row.id, (**row).clone());
            }
            Op::EndSession(id) => drop(self.sessions.remove(id)),
            other => panic!("{other:?}"),
        }
        Ok(())
    }
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u16) -> u16 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u16::try_from((self.0 >> 33) % u64::from(n)).unwrap()
    }

    fn op(&mut self, model: &Model, now: i64) -> Op {
        let n = self.below(6);
        let state = OutboxState::ALL[usize::from(self.below(7))];
        match self.below(8) {
            0 => Op::Outbox(OutboxRow { state, ..message(n, now) }),
            1 | 2 => Op::SettleOutbox(Box::new(OutboxSettled::new(id(n), state, now))),
            3 => receive(n, now, now - i64::from(self.below(40))),
            4 if self.below(3) == 0 => Op::DropParts(id(n)),
            4 => Op::Part(part(n, i16::try_from(self.below(3)).unwrap() + 1)),
            5 => Op::EndSession(id(n)),
            _ => {
                let key = ["a", "b", "c", "d"].get(usize::from(self.below(5)));
                let seen = model.sessions.get(&id(n)).map_or(0, |s| s.revision);
                let revision = seen + i64::from(self.below(10) > 0);
                let expires_at = now + i64::from(self.below(60));
                let row = SessionRow { revision: revision.max(1), expires_at, ..session(n, key.copied()) };
                save(row)
            }
        }
    }
}

async fn random_units_do_what_a_plain_model_does(fresh: Fresh) {
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let mut dice = Dice(seed);
    let store = &fresh.store;
    let (writer, clock, _) = start(store);
    let mut model = Model::default();
    let mut refused = 0;
    for round in 0..150 {
        clock.advance(Duration::from_micros(u64::from(dice.below(30))));
        let now = clock.now().0;
        let (mut units, mut expected) = (Vec::new(), Vec::new());
        for _ in 0..=dice.below(6) {
            let mut ops = Vec::new();
            let mut ahead = model.clone();
            for _ in 0..=dice.below(3) {
                let op = dice.op(&ahead, now);
                let _ = ahead.op(&op, now);
                ops.push(op);
            }
            expected.push(model.unit(&ops, now));
            units.push(ops);
        }
        let answers: Vec<_> =
            together(&writer, units.clone()).await.into_iter().map(|a| a.map(drop)).collect();
        assert_eq!(answers, expected, "round {round}: {units:#?}");
        refused += expected.iter().filter(|e| e.is_err()).count();
        for n in 0..6 {
            assert_eq!(
                store.outbox_row(id(n)).await.unwrap().as_ref(),
                model.outbox.get(&id(n)),
                "round {round}"
            );
            let parts: Vec<_> = model.parts.values().filter(|p| p.message == id(n)).cloned().collect();
            assert_eq!(store.parts(id(n)).await.unwrap(), parts, "round {round}");
        }
        for key in ["a", "b", "c", "d"] {
            let holder =
                model.sessions.values().find(|s| s.key.as_deref() == Some(key) && s.expires_at > now);
            assert_eq!(store.session_by_key(key, now).await.unwrap().as_ref(), holder, "round {round}");
        }
    }
    assert!(refused > 50, "too few refusals: {refused}");
}

on_all!(random_units_do_what_a_plain_model_does);
