//! Random histories of every act, repetitions, conflicts, nonsense and a moving clock, several units at once, compared
//! with the plain model.

use std::time::Duration;

use keytone::ledger::chart::{House, customer};
use keytone::ledger::command::{Act, Command, Leg, Refusal as LedgerRefusal};
use keytone::ledger::row::{AccountRow, Id};
use keytone::money::Currency;
use keytone::payment::unit::{Op, Refusal, Unit};

use super::model::Model;
use super::{Fresh, START, on_all, start, verify};

/// SplitMix64: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    fn id(&mut self) -> Id {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.next().to_be_bytes());
        bytes[8..].copy_from_slice(&self.next().to_be_bytes());
        Id(bytes)
    }
}

struct Generator {
    dice: Dice,
    accounts: Vec<AccountRow>,
    asked: Vec<Command>,
    holds: Vec<Command>,
    moves: Vec<Command>,
}

impl Generator {
    fn amount(&mut self) -> i64 {
        if self.dice.one_in(40) {
            return *self.dice.pick(&[i64::MAX, i64::MAX / 2, i64::MIN + 1, 0, -5]);
        }
        i64::try_from(self.dice.below(120)).unwrap() + 1
    }

    fn account(&mut self) -> Id {
        if self.dice.one_in(60) { self.dice.id() } else { self.dice.pick(&self.accounts).id }
    }

    /// Two accounts, mostly of one currency, and often the house gives.
    fn two(&mut self) -> (Id, Id) {
        if self.dice.one_in(10) {
            return (self.account(), self.account());
        }
        let house = self.dice.one_in(2);
        let from = loop {
            let row = self.dice.pick(&self.accounts);
            if !house || row.floor_minor.is_none() {
                break row;
            }
        };
        let (from, currency) = (from.id, from.currency);
        loop {
            let to = self.dice.pick(&self.accounts);
            if to.currency == currency && to.id != from {
                return (from, to.id);
            }
        }
    }

    fn legs(&mut self) -> Vec<Leg> {
        let amount = self.amount();
        let (from, to) = self.two();
        let mut legs = vec![Leg::new(from, amount.saturating_neg()), Leg::new(to, amount)];
        match self.dice.below(12) {
            0 => {
                let fee = self.amount() % 10;
                legs[0].amount_minor = legs[0].amount_minor.saturating_sub(fee);
                legs.push(Leg::new(self.account(), fee));
            }
            1 => legs[1].amount_minor = legs[1].amount_minor.saturating_sub(1),
            2 => legs.truncate(1),
            _ => {}
        }
        legs
    }

    fn known(&mut self, which: fn(&Self) -> &[Command]) -> Id {
        if which(self).is_empty() || self.dice.one_in(25) {
            return self.dice.id();
        }
        // The latest are the ones where something can still happen.
        let count = which(self).len();
        let back = self.dice.below(count.min(12));
        which(self)[count - 1 - back].id
    }

    fn post_legs(&mut self, hold: Id) -> Vec<Leg> {
        let placed = self.holds.iter().find(|c| c.id == hold).map(|c| c.act.clone());
        let Some(Act::Hold { account, amount_minor, .. }) = placed else { return self.legs() };
        let amount = if self.dice.one_in(3) { self.amount() } else { amount_minor };
        vec![Leg::new(account, amount.saturating_neg()), Leg::new(self.account(), amount)]
    }

    fn reverse_legs(&mut self, transfer: Id) -> Vec<Leg> {
        let original = self.moves.iter().find(|c| c.id == transfer).map(|c| c.act.legs().to_vec());
        let Some(original) = original.filter(|legs| legs.len() == 2) else { return self.legs() };
        let part = i64::try_from(self.dice.below(4)).unwrap() + 1;
        let back = |leg: &Leg| Leg::new(leg.account, leg.amount_minor.saturating_neg() / part);
        original.iter().map(back).collect()
    }

    fn command(&mut self, now: i64) -> Command {
        if !self.asked.is_empty() && self.dice.one_in(8) {
            let mut again = self.dice.pick(&self.asked).clone();
            match (&mut again.act, self.dice.below(4)) {
                (Act::Hold { amount_minor, .. }, 0) => *amount_minor = amount_minor.saturating_add(1),
                (Act::Hold { expires_at, .. }, 1) => *expires_at = Some(now + 77),
                (Act::Transfer { legs }, 0) => legs.reverse(),
                (_, 1) => again.payment = Some(again.id),
                _ => {}
            }
            return again;
        }
        let act = match self.dice.below(20) {
            0..=6 => Act::Transfer { legs: self.legs() },
            7..=11 => {
                let account = self.account();
                let own = self.accounts.iter().find(|a| a.id == account).map(|a| a.currency);
                let wrong = self.dice.one_in(20);
                let currency = own.filter(|_| !wrong).unwrap_or_else(|| Currency::new("EUR").unwrap());
                let wait = i64::try_from(self.dice.below(30_000)).unwrap() - 500;
                let expires_at = (!self.dice.one_in(3)).then_some(now + wait);
                Act::Hold { account, amount_minor: self.amount(), currency, expires_at }
            }
            12 => Act::Keep { hold: self.known(|g| &g.holds) },
            13 | 14 => {
                let hold = self.known(|g| &g.holds);
                Act::Post { hold, legs: self.post_legs(hold) }
            }
            15 | 16 => Act::Void { hold: self.known(|g| &g.holds) },
            17 => return Command::expire(self.known(|g| &g.holds)),
            _ => {
                let transfer = self.known(|g| &g.moves);
                Act::Reverse { transfer, legs: self.reverse_legs(transfer) }
            }
        };
        let payment = self.dice.one_in(4).then(|| self.dice.id());
        Command::new(self.dice.id(), payment, act)
    }

    fn unit(&mut self, now: i64) -> Vec<Command> {
        let count = if self.dice.one_in(4) { 2 + self.dice.below(3) } else { 1 };
        (0..count)
            .map(|_| {
                let command = self.command(now);
                self.asked.push(command.clone());
                match command.act {
                    Act::Hold { .. } => self.holds.push(command.clone()),
                    Act::Transfer { .. } | Act::Post { .. } => self.moves.push(command.clone()),
                    _ => {}
                }
                command
            })
            .collect()
    }
}

fn accounts(dice: &mut Dice) -> Vec<AccountRow> {
    let (cny, usd) = (Currency::new("CNY").unwrap(), Currency::new("USD").unwrap());
    let mut rows: Vec<AccountRow> = (0..5).map(|_| customer(dice.id(), cny, START.0)).collect();
    rows.push(customer(dice.id(), usd, START.0));
    rows.push(AccountRow { floor_minor: Some(-50), ..customer(dice.id(), cny, START.0) });
    rows.extend([
        House::Funding.row(cny, START.0),
        House::Fee.row(cny, START.0),
        House::Funding.row(usd, START.0),
    ]);
    rows
}

fn seed() -> u64 {
    std::env::var("KEYTONE_TEST_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| u64::try_from(keytone::clock::Clock::machine().now().0).unwrap())
}

async fn random_histories_agree_with_the_model(fresh: Fresh) {
    const ROUNDS: usize = 60;
    let seed = seed();
    println!("KEYTONE_TEST_SEED={seed}");
    let mut dice = Dice(seed);
    let accounts = accounts(&mut dice);
    let mut model = Model::default();
    for row in &accounts {
        model.accounts.insert(row.id, (row.currency, row.floor_minor.map(i128::from)));
    }
    let mut generator = Generator { dice, accounts, asked: vec![], holds: vec![], moves: vec![] };
    let (writer, clock, task) = start(&fresh.store);
    let open = generator.accounts.iter().cloned().map(Op::OpenAccount).collect();
    writer.commit(Unit { ops: open }).await.unwrap().unwrap();
    let mut kinds = [0_usize; 3];
    for round in 0..ROUNDS {
        let step = Duration::from_micros(1 + generator.dice.next() % 4_000);
        clock.advance(step);
        let now = clock.now().0;
        model.at(now);
        let at_once = 1 + generator.dice.below(40);
        let units: Vec<Vec<Command>> = (0..at_once).map(|_| generator.unit(now)).collect();
        // Polled in order, so queued in order; how they fall into batches is left to chance.
        let mut answers = tokio::task::JoinSet::new();
        for (n, commands) in units.iter().cloned().enumerate() {
            let writer = writer.clone();
            let (queued, wait) = tokio::sync::oneshot::channel();
            answers.spawn(async move {
                let unit = Unit { ops: commands.into_iter().map(Op::Ledger).collect() };
                let mut commit = std::pin::pin!(writer.commit(unit));
                let first = std::future::poll_fn(|cx| std::task::Poll::Ready(commit.as_mut().poll(cx))).await;
                queued.send(()).unwrap();
                match first {
                    std::task::Poll::Ready(answer) => (n, answer),
                    std::task::Poll::Pending => (n, commit.await),
                }
            });
            wait.await.unwrap();
        }
        let mut answers = answers.join_all().await;
        answers.sort_by_key(|(n, _)| *n);
        for ((n, answer), commands) in answers.into_iter().zip(&units) {
            let expected = model.unit(commands);
            let found = match answer.unwrap() {
                Ok(done) => Ok(done.repeated),
                Err(Refusal::Ledger(refusal)) => Err(refusal),
                Err(other) => panic!("{other:?}"),
            };
            assert_eq!(found, expected, "seed {seed}, round {round}, unit {n}: {commands:#?}");
            kinds[match expected {
                Ok(false) => 0,
                Ok(true) => 1,
                Err(_) => 2,
            }] += 1;
        }
    }
    assert!(kinds.iter().all(|count| *count > 10), "a dull history: {kinds:?}, seed {seed}");
    sweep(&fresh, &writer, clock.now().0).await;
    compare(&fresh, &model, &generator, seed).await;
    writer.stop();
    task.await.unwrap();
}

/// Expires what nobody touched since its time passed, as the daemon's sweep does.
async fn sweep(fresh: &Fresh, writer: &keytone::payment::run::writer::Writer, now: i64) {
    for hold in fresh.store.due_holds(now, 10_000).await.unwrap() {
        let unit = Unit { ops: vec![Op::Ledger(Command::expire(hold.id))] };
        assert!(writer.commit(unit).await.unwrap().is_ok());
    }
}

async fn compare(fresh: &Fresh, model: &Model, generator: &Generator, seed: u64) {
    for row in &generator.accounts {
        let stored = fresh.store.account(row.id).await.unwrap().unwrap();
        assert_eq!(i128::from(stored.balance_minor), model.balance(row.id), "balance, seed {seed}");
        assert_eq!(i128::from(stored.held_minor), model.held(row.id), "held, seed {seed}");
        let entries = fresh.store.entries_of(row.id, None, 100_000).await.unwrap();
        let found: Vec<(Id, i128)> =
            entries.iter().rev().map(|e| (e.transfer, i128::from(e.amount_minor))).collect();
        let expected: Vec<(Id, i128)> =
            model.entries.iter().filter(|e| e.1 == row.id).map(|e| (e.0, e.2)).collect();
        assert_eq!(found, expected, "entries, seed {seed}");
    }
    for (id, expected) in &model.holds {
        let hold = fresh.store.hold(*id).await.unwrap().unwrap();
        assert_eq!(
            (hold.state == 0, hold.account),
            (expected.open, expected.account),
            "hold {id}, seed {seed}"
        );
        if expected.open {
            assert_eq!(hold.expires_at, expected.expires_at, "hold {id}, seed {seed}");
        }
    }
    let report = verify(&fresh.store).await.unwrap();
    assert!(report.is_sound(), "seed {seed}: {:#?}", report.faults);
    assert_eq!(report.holds, model.holds.len() as u64);
    assert_eq!(report.entries, model.entries.len() as u64);
}

/// Two nodes on one database keep one set of books.
async fn two_writers_keep_one_set_of_books(fresh: Fresh) {
    const EACH: usize = 300;
    let cny = Currency::new("CNY").unwrap();
    let mut dice = Dice(7);
    let rows: Vec<AccountRow> = (0..4).map(|_| customer(dice.id(), cny, START.0)).collect();
    let funding = House::Funding.row(cny, START.0);
    let (first, _, first_task) = start(&fresh.store);
    let other = fresh.again().await;
    let (second, _, second_task) = start(&other);
    let mut ops: Vec<Op> = rows.iter().cloned().map(Op::OpenAccount).collect();
    ops.push(Op::OpenAccount(funding.clone()));
    first.commit(Unit { ops }).await.unwrap().unwrap();
    for row in &rows {
        let legs = vec![Leg::new(funding.id, -100), Leg::new(row.id, 100)];
        let command = Command::new(dice.id(), None, Act::Transfer { legs });
        first.commit(Unit { ops: vec![Op::Ledger(command)] }).await.unwrap().unwrap();
    }
    let mut answers = tokio::task::JoinSet::new();
    let mut shared = Vec::new();
    for n in 0..EACH {
        let (from, to) = (dice.pick(&rows).id, dice.pick(&rows).id);
        let legs = vec![Leg::new(from, -40), Leg::new(to, 40)];
        let command = Command::new(dice.id(), None, Act::Transfer { legs });
        // Every third is asked of both nodes at once: it must happen once.
        let both = n % 3 == 0;
        for (m, writer) in [&first, &second].into_iter().enumerate() {
            if both || n % 2 == m {
                let (writer, command) = (writer.clone(), command.clone());
                answers.spawn(async move { writer.commit(Unit { ops: vec![Op::Ledger(command)] }).await });
            }
        }
        shared.push(command);
    }
    for answer in answers.join_all().await {
        match answer.unwrap() {
            Ok(_)
            | Err(Refusal::Ledger(LedgerRefusal::Insufficient { .. } | LedgerRefusal::AccountTwice)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    for command in &shared {
        assert!(fresh.store.transfer(command.id).await.unwrap().is_some());
    }
    let report = verify(&fresh.store).await.unwrap();
    assert!(report.is_sound(), "{:#?}", report.faults);
    assert_eq!(report.transfers, (EACH + rows.len()) as u64);
    for row in &rows {
        assert!(fresh.store.account(row.id).await.unwrap().unwrap().balance_minor >= 0);
    }
    first.stop();
    second.stop();
    first_task.await.unwrap();
    second_task.await.unwrap();
}

/// Whoever wrote last, the other goes on from there: rows that a node remembers must not outlive a neighbour's commit.
async fn writers_in_turn_see_each_other(fresh: Fresh) {
    let cny = Currency::new("CNY").unwrap();
    let mut dice = Dice(11);
    let (row, funding) = (customer(dice.id(), cny, START.0), House::Funding.row(cny, START.0));
    let (first, _, _first_task) = start(&fresh.store);
    let other = fresh.again().await;
    let (second, _, _second_task) = start(&other);
    let open = vec![Op::OpenAccount(row.clone()), Op::OpenAccount(funding.clone())];
    first.commit(Unit { ops: open }).await.unwrap().unwrap();
    for n in 1..=12 {
        for writer in [&first, &second, &second] {
            let legs = vec![Leg::new(funding.id, -10), Leg::new(row.id, 10)];
            let command = Command::new(dice.id(), None, Act::Transfer { legs });
            writer.commit(Unit { ops: vec![Op::Ledger(command)] }).await.unwrap().unwrap();
        }
        let balance = 30 * n;
        // One more than there is: the refusal tells what each of them takes the balance to be.
        for writer in [&first, &second] {
            let legs = vec![Leg::new(row.id, -balance - 1), Leg::new(funding.id, balance + 1)];
            let command = Command::new(dice.id(), None, Act::Transfer { legs });
            let answer = writer.commit(Unit { ops: vec![Op::Ledger(command)] }).await.unwrap();
            let poor = LedgerRefusal::Insufficient { available_minor: balance };
            assert_eq!(answer, Err(Refusal::Ledger(poor)));
        }
    }
    let report = verify(&fresh.store).await.unwrap();
    assert!(report.is_sound(), "{:#?}", report.faults);
}

/// Full batches of two nodes use the same ids for movements among accounts of their own, so that no lock keeps them apart:
/// each id is used once, and whoever was slower hears so.
async fn an_id_that_two_full_batches_use_is_used_once(fresh: Fresh) {
    const IDS: usize = 400;
    let cny = Currency::new("CNY").unwrap();
    let mut dice = Dice(13);
    let (first, _, _first_task) = start(&fresh.store);
    let other = fresh.again().await;
    let (second, _, _second_task) = start(&other);
    let rows: Vec<AccountRow> = (0..4).map(|_| customer(dice.id(), cny, START.0)).collect();
    let funding = House::Funding.row(cny, START.0);
    let mut ops: Vec<Op> = rows.iter().cloned().map(Op::OpenAccount).collect();
    ops.push(Op::OpenAccount(funding.clone()));
    let mut legs: Vec<Leg> = rows.iter().map(|row| Leg::new(row.id, 1_000)).collect();
    legs.push(Leg::new(funding.id, -4_000));
    ops.push(Op::Ledger(Command::new(dice.id(), None, Act::Transfer { legs })));
    first.commit(Unit { ops }).await.unwrap().unwrap();
    let mut answers = tokio::task::JoinSet::new();
    for _ in 0..IDS {
        let id = dice.id();
        for (writer, pair) in [(&first, &rows[..2]), (&second, &rows[2..])] {
            let legs = vec![Leg::new(pair[0].id, -1), Leg::new(pair[1].id, 1)];
            let unit = Unit { ops: vec![Op::Ledger(Command::new(id, None, Act::Transfer { legs }))] };
            let writer = writer.clone();
            answers.spawn(async move { writer.commit(unit).await.unwrap() });
        }
    }
    let (mut done, mut reused) = (0, 0);
    for answer in answers.join_all().await {
        match answer {
            Ok(answer) => done += usize::from(!answer.repeated),
            Err(Refusal::Ledger(LedgerRefusal::IdReused)) => reused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!((done, reused), (IDS, IDS));
    let report = verify(&fresh.store).await.unwrap();
    assert!(report.is_sound(), "{:#?}", report.faults);
    assert_eq!(report.transfers, (IDS + 1) as u64);
}

on_all!(
    random_histories_agree_with_the_model,
    two_writers_keep_one_set_of_books,
    writers_in_turn_see_each_other,
    an_id_that_two_full_batches_use_is_used_once,
);
