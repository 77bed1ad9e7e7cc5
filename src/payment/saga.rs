//! A payment whose money an outside provider holds: two outsiders, either of which may be silent, late or wrong. Pure.
//!
//! ```text
//!  reserving ──► reserved ──► capturing ──► captured ──► refunding ──► refunded
//!   │  │  the payment ended ┌──► released       the payment was │
//!   │  └────────────► releasing ─────────────► taken back       └──► owed
//!   └──► refused        (captured after all: refunding)
//! ```
//! The reservation follows its payment and never leads it: it is captured when the payment is delivered and only then, released
//! when the payment has ended otherwise, and both are asked for without end. What may have been taken is asked about before
//! anything is asked again, so that a provider need not know repetitions. Contradictions are told to staff and change nothing
//! about where the reservation must end.

use std::time::Duration;

use crate::connector::contract::{RefusalClass, Unclear};
use crate::connector::provider::{Answer, Operation, Told};
use crate::payment::row::State;
use crate::payment::row::provider::ReservationRow;

/// What the class of a payment begins with that the provider refused; the class of its refusal follows.
pub const PROVIDER: &str = "provider_";
/// The class of a payment whose provider was not reached.
pub const PROVIDER_DOWN: &str = "provider_down";
/// The class of a payment of whose reservation nothing was known in time.
pub const PROVIDER_SILENT: &str = "provider_silent";
/// The class of a payment whose reservation the provider never got, or gave up by itself.
pub const PROVIDER_GONE: &str = "provider_gone";
/// Doublings of the waiting time, at most.
const DOUBLINGS_MAX: i32 = 20;

/// Where a reservation stands. The number is what the database stores.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(i16)]
pub enum Stage {
    /// The provider was asked, or is about to be.
    Reserving = 0,
    /// The money is kept for us.
    Reserved = 1,
    /// The payment is delivered: the money must be taken.
    Capturing = 2,
    /// It was taken.
    Captured = 3,
    /// The payment has ended otherwise: the money must be set free.
    Releasing = 4,
    /// It is free.
    Released = 5,
    /// The provider refused, or was never asked.
    Refused = 6,
    /// It was taken, and the payment is not delivered any more: it must be given back.
    Refunding = 7,
    /// It was given back by the provider.
    Refunded = 8,
    /// The provider gives nothing back: it stands on the customer's account in our books, and staff pay it out.
    Owed = 9,
}

impl Stage {
    /// Every stage.
    pub const ALL: &[Self] = &[
        Self::Reserving,
        Self::Reserved,
        Self::Capturing,
        Self::Captured,
        Self::Releasing,
        Self::Released,
        Self::Refused,
        Self::Refunding,
        Self::Refunded,
        Self::Owed,
    ];

    /// The stored number.
    #[must_use]
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The stage of a stored number.
    #[must_use]
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.iter().copied().find(|s| s.number() == number)
    }

    /// Its name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reserving => "reserving",
            Self::Reserved => "reserved",
            Self::Capturing => "capturing",
            Self::Captured => "captured",
            Self::Releasing => "releasing",
            Self::Released => "released",
            Self::Refused => "refused",
            Self::Refunding => "refunding",
            Self::Refunded => "refunded",
            Self::Owed => "owed",
        }
    }

    /// Whether something is left to be done. A captured one opens again when its payment is taken back.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Reserving | Self::Reserved | Self::Capturing | Self::Releasing | Self::Refunding)
    }

    /// Whether the provider took the money, by the books.
    #[must_use]
    pub const fn was_captured(self) -> bool {
        matches!(self, Self::Captured | Self::Refunding | Self::Refunded | Self::Owed)
    }
}

/// What a payment means for its reservation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// Nothing has left for the carrier.
    Waiting,
    /// The carrier was asked, or a person must look.
    Open,
    /// The customer got what he paid.
    Delivered,
    /// He did not, or it was taken back.
    Ended,
}

impl Standing {
    /// What a payment in `state` means.
    #[must_use]
    pub const fn of(state: State) -> Self {
        match state {
            State::Created | State::Authorised => Self::Waiting,
            State::Submitting | State::Submitted | State::Unknown | State::NeedsReview => Self::Open,
            State::Delivered => Self::Delivered,
            State::Refused | State::Reversed => Self::Ended,
        }
    }
}

/// How long is waited, and what the provider offers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rules {
    /// A reservation of which nothing is known for so long is given up, with its payment.
    pub reserve_within: Duration,
    /// The first wait after a question that settled nothing; it doubles with each further one.
    pub retry_first: Duration,
    /// The longest wait.
    pub retry_max: Duration,
    /// From what age on "not found" is definite; never if `None`.
    pub not_found_after: Option<Duration>,
    /// Whether the provider gives back what it took.
    pub refunds: bool,
}

/// What the ledger does in a step.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Book {
    /// The provider took the money: what it kept for us it owes us now.
    Captured,
    /// It gave it back.
    Refunded,
    /// It does not give it back: we owe it to the customer.
    Owed,
}

/// What a step means for the payment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Meaning {
    /// Nothing.
    None,
    /// The money is kept: the carrier may be asked.
    Proceed,
    /// The payment is refused with this class; nothing has left for the carrier.
    Refuse(String),
}

/// What news or a look come to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// The row as it is to be stored.
    pub row: ReservationRow,
    /// The money, in this order.
    pub books: Vec<Book>,
    /// The payment.
    pub meaning: Meaning,
    /// Whether staff must be told at once.
    pub alarm: bool,
}

/// What happens to a reservation.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// Somebody looks after it.
    Look,
    /// The provider answered what was asked last.
    Answer(Operation, &'a Answer),
    /// It answered a question after which the row was written: something else may be under way. What has come to an end has done
    /// so; that nothing has says nothing any more.
    Late(Operation, &'a Answer),
    /// The provider told something by itself: perhaps late, again, or in another order than it happened.
    News(&'a Answer),
}

/// What may be said of a question alone: it refuses nothing of what was asked about.
const fn is_of_the_question(class: RefusalClass) -> bool {
    matches!(class, RefusalClass::AuthConfig | RefusalClass::CarrierDown | RefusalClass::RateLimited)
}

fn micros(wait: Duration) -> i64 {
    i64::try_from(wait.as_micros()).unwrap_or(i64::MAX)
}

/// A draft of what a step changes.
struct Draft<'r> {
    row: ReservationRow,
    stage: Stage,
    now: i64,
    rules: &'r Rules,
    books: Vec<Book>,
    meaning: Meaning,
    alarm: bool,
}

impl Draft<'_> {
    /// Enters a stage; what is left to be done there is due at once.
    fn enter(&mut self, stage: Stage, doubt: bool) {
        self.stage = stage;
        self.row.stage = stage.number();
        self.row.doubt = doubt;
        self.row.open = stage.is_open();
        self.row.tries = 0;
        self.row.due_at = match stage {
            // Only a look, should nobody tell what became of the payment.
            Stage::Reserved => Some(self.now.saturating_add(micros(self.rules.retry_max))),
            open if open.is_open() => Some(self.now),
            _ => None,
        };
    }

    /// Nothing was settled.
    fn wait(&mut self, doubt: bool) {
        let doublings = u32::try_from(self.row.tries.clamp(0, DOUBLINGS_MAX)).unwrap_or(0);
        let first = micros(self.rules.retry_first).max(1);
        let wait = first.saturating_mul(1_i64 << doublings).min(micros(self.rules.retry_max).max(1));
        self.row.tries = self.row.tries.saturating_add(1);
        self.row.doubt = doubt;
        self.row.due_at = Some(self.now.saturating_add(wait));
    }

    /// The question is answered, and what it was asked for can be asked again at once.
    fn again(&mut self) {
        self.row.doubt = false;
        self.row.due_at = Some(self.now);
    }

    /// The provider contradicts itself or us.
    fn contradiction(&mut self, told: &Told) {
        let class = format!("{} while {}", told.name(), self.stage.name());
        // Once for each kind: it may go on for a long time.
        self.alarm |= self.row.class.as_ref() != Some(&class);
        self.row.class = Some(class);
    }

    /// The provider would not be asked: how it stands is as open as before.
    fn not_told(&mut self, class: RefusalClass) {
        if !matches!(self.stage, Stage::Reserving | Stage::Capturing | Stage::Releasing | Stage::Refunding) {
            return;
        }
        if class.is_alarm() {
            let class = format!("status {}", class.name());
            self.alarm |= self.row.class.as_ref() != Some(&class);
            self.row.class = Some(class);
        }
        self.wait(true);
    }

    fn refuse(&mut self, stage: Stage, class: &str) {
        self.enter(stage, stage == Stage::Releasing);
        self.row.class = Some(class.to_owned());
        self.meaning = Meaning::Refuse(class.to_owned());
    }

    /// Taken, and not to be kept.
    fn give_back(&mut self) {
        if self.rules.refunds {
            self.enter(Stage::Refunding, false);
        } else {
            self.enter(Stage::Owed, false);
            self.books.push(Book::Owed);
            self.alarm = true;
        }
    }

    fn is_gone(&self) -> bool {
        let age = self.now.saturating_sub(self.row.created_at);
        self.rules.not_found_after.is_some_and(|after| age >= micros(after))
    }

    /// Where the payment leads.
    fn follow(&mut self, standing: Standing) {
        match (self.stage, standing) {
            // The request to reserve may still be on its way, or be answered after this.
            (Stage::Reserving, Standing::Ended) => self.enter(Stage::Releasing, true),
            (Stage::Reserved, Standing::Ended) => self.enter(Stage::Releasing, false),
            (Stage::Reserved, Standing::Delivered) => self.enter(Stage::Capturing, false),
            // A capture may have been taken: then it must be given back.
            (Stage::Capturing, Standing::Ended) => {
                let doubt = self.row.doubt;
                self.enter(Stage::Releasing, doubt);
            }
            (Stage::Captured, Standing::Ended) => self.give_back(),
            (Stage::Reserving, Standing::Waiting) => {
                let age = self.now.saturating_sub(self.row.created_at);
                if age >= micros(self.rules.reserve_within) {
                    self.refuse(Stage::Releasing, PROVIDER_SILENT);
                }
            }
            (
                Stage::Reserving
                | Stage::Reserved
                | Stage::Capturing
                | Stage::Captured
                | Stage::Releasing
                | Stage::Released
                | Stage::Refused
                | Stage::Refunding
                | Stage::Refunded
                | Stage::Owed,
                _,
            ) => {}
        }
    }

    fn hear(&mut self, operation: Operation, answer: &Answer) {
        if let Some(theirs) = &answer.their_reference {
            self.row.their_reference = Some(theirs.clone());
        }
        if matches!(&answer.told, Told::Unknown { why: Unclear::Mismatch, .. }) {
            self.contradiction(&answer.told);
        }
        if let (Operation::Status, Told::Refused { class, .. }) = (operation, &answer.told)
            && is_of_the_question(*class)
        {
            self.not_told(*class);
            return;
        }
        match self.stage {
            Stage::Reserving => self.reserving(operation, &answer.told),
            Stage::Capturing => self.capturing(operation, &answer.told),
            Stage::Releasing => self.releasing(operation, &answer.told),
            Stage::Refunding => self.refunding(operation, &answer.told),
            // Nothing was asked here: an answer to an earlier question, which somebody else has settled.
            Stage::Reserved
            | Stage::Captured
            | Stage::Released
            | Stage::Refused
            | Stage::Refunded
            | Stage::Owed => {}
        }
    }

    /// Whether what the provider tells by itself settles what is to be done in this stage, however late it comes: what a
    /// reservation cannot go back from. All else is as old as it likes, and is asked about.
    const fn is_settled_by(&self, told: &Told) -> bool {
        match self.stage {
            Stage::Reserving => {
                matches!(
                    told,
                    Told::Reserved | Told::Captured | Told::Released | Told::Refunded | Told::Refused { .. }
                )
            }
            Stage::Capturing => matches!(told, Told::Captured),
            Stage::Releasing => matches!(told, Told::Released | Told::Refunded | Told::Captured),
            Stage::Refunding => matches!(told, Told::Refunded),
            Stage::Reserved
            | Stage::Captured
            | Stage::Released
            | Stage::Refused
            | Stage::Refunded
            | Stage::Owed => false,
        }
    }

    /// What is asked next, and when, stays as whoever asked since has written it, unless the answer ends a stage.
    fn hear_late(&mut self, operation: Operation, answer: &Answer) {
        let (stage, doubt, tries, due_at) = (self.stage, self.row.doubt, self.row.tries, self.row.due_at);
        self.hear(operation, answer);
        if self.stage == stage {
            self.row = ReservationRow { doubt, tries, due_at, ..self.row.clone() };
        }
    }

    fn told(&mut self, answer: &Answer) {
        if self.is_settled_by(&answer.told) {
            return self.hear(Operation::Status, answer);
        }
        match (self.stage, &answer.told) {
            // What it kept it has given up, or what it took it has given back, and nobody asked for it.
            (Stage::Reserved | Stage::Capturing, Told::Released | Told::Refunded)
            | (Stage::Captured, Told::Released | Told::Refunded)
            | (_, Told::Unknown { why: Unclear::Mismatch, .. }) => self.contradiction(&answer.told),
            // Only here: elsewhere a request may be on its way that must not be asked about before it is answered.
            (Stage::Reserving, _) => self.row.due_at = Some(self.now),
            _ => {}
        }
    }

    fn reserving(&mut self, operation: Operation, told: &Told) {
        match told {
            Told::Reserved => {
                self.enter(Stage::Reserved, false);
                self.meaning = Meaning::Proceed;
            }
            Told::Refused { class, .. } => {
                self.alarm = class.is_alarm();
                self.refuse(Stage::Refused, &format!("{PROVIDER}{}", class.name()));
            }
            Told::NotSent { .. } if operation == Operation::Reserve => {
                self.refuse(Stage::Refused, PROVIDER_DOWN);
            }
            Told::Released | Told::Refunded => self.refuse(Stage::Released, PROVIDER_GONE),
            // It may yet come in: what is there then must not stay.
            Told::NotFound if self.is_gone() => self.refuse(Stage::Releasing, PROVIDER_GONE),
            Told::Captured => {
                self.contradiction(told);
                let class = self.row.class.clone();
                self.books.push(Book::Captured);
                self.give_back();
                self.row.class = class;
                self.meaning = Meaning::Refuse(PROVIDER_GONE.to_owned());
            }
            Told::NotSent { .. } | Told::Pending | Told::NotFound | Told::Unknown { .. } => self.wait(true),
        }
    }

    fn capturing(&mut self, operation: Operation, told: &Told) {
        match told {
            Told::Captured => {
                self.enter(Stage::Captured, false);
                self.books.push(Book::Captured);
            }
            Told::Reserved if operation == Operation::Status => self.again(),
            Told::Pending | Told::Unknown { .. } => self.wait(true),
            // Not yet known there: what was asked for may have been done all the same.
            Told::NotFound if operation == Operation::Status && !self.is_gone() => self.wait(true),
            Told::NotSent { .. } => {
                let doubt = operation == Operation::Status;
                self.wait(doubt);
            }
            Told::Reserved | Told::NotFound | Told::Released | Told::Refunded | Told::Refused { .. } => {
                self.contradiction(told);
                self.wait(false);
            }
        }
    }

    fn releasing(&mut self, operation: Operation, told: &Told) {
        match told {
            Told::Released | Told::Refunded => self.enter(Stage::Released, false),
            // Refused is definite only of what was asked for: the reservation itself, or how it ended.
            Told::Refused { .. } if matches!(operation, Operation::Reserve | Operation::Status) => {
                self.enter(Stage::Released, false);
            }
            // A capture that was on its way when the payment was taken back: what it was to take is still kept for us.
            Told::Refused { .. } if operation == Operation::Capture => {
                self.row.doubt = true;
                self.row.due_at = Some(self.now);
            }
            Told::NotSent { .. } if operation == Operation::Reserve => self.enter(Stage::Released, false),
            Told::NotFound if self.is_gone() => self.enter(Stage::Released, false),
            Told::Captured => {
                self.contradiction(told);
                self.books.push(Book::Captured);
                self.give_back();
            }
            Told::Reserved if operation != Operation::Release => self.again(),
            // To release twice does no harm: a provider that cannot say how it stands is told again and again.
            Told::NotFound | Told::Pending | Told::Unknown { .. } => {
                self.wait(operation != Operation::Status);
            }
            Told::NotSent { .. } => {
                let doubt = operation == Operation::Status;
                self.wait(doubt);
            }
            Told::Reserved | Told::Refused { .. } => {
                self.contradiction(told);
                self.wait(true);
            }
        }
    }

    fn refunding(&mut self, operation: Operation, told: &Told) {
        match told {
            Told::Refunded => {
                self.enter(Stage::Refunded, false);
                self.books.push(Book::Refunded);
            }
            // It does not owe us what it says that it never took or has set free.
            Told::Released => {
                self.contradiction(told);
                self.enter(Stage::Refunded, false);
                self.books.push(Book::Refunded);
            }
            Told::Captured if operation == Operation::Status => self.again(),
            Told::Pending | Told::Unknown { .. } => self.wait(true),
            Told::NotFound if operation == Operation::Status && !self.is_gone() => self.wait(true),
            Told::NotSent { .. } => {
                let doubt = operation == Operation::Status;
                self.wait(doubt);
            }
            Told::Captured | Told::Reserved | Told::NotFound | Told::Refused { .. } => {
                self.contradiction(told);
                self.wait(false);
            }
        }
    }
}

/// What `input` means for a reservation whose payment stands so, at `now` (microseconds); `None` when nothing changes.
#[must_use]
pub fn step(
    row: &ReservationRow,
    standing: Standing,
    now: i64,
    input: &Input<'_>,
    rules: &Rules,
) -> Option<Step> {
    let stage = Stage::from_number(row.stage)?;
    let mut draft = Draft {
        row: row.clone(),
        stage,
        now,
        rules,
        books: Vec::new(),
        meaning: Meaning::None,
        alarm: false,
    };
    match input {
        Input::Look => draft.follow(standing),
        Input::Answer(..) | Input::Late(..) | Input::News(_) => {
            // A payment that ended meanwhile decides what the answer means; the time that has passed does not.
            if stage == Stage::Reserving && standing == Standing::Ended {
                draft.follow(standing);
            }
            match input {
                Input::Answer(operation, answer) => draft.hear(*operation, answer),
                Input::Late(operation, answer) => draft.hear_late(*operation, answer),
                Input::News(answer) => draft.told(answer),
                Input::Look => {}
            }
            if draft.meaning == Meaning::None {
                draft.follow(standing);
            }
        }
    }
    if standing != Standing::Waiting {
        // What has left for the carrier is not refused any more, and not sent twice.
        draft.alarm |= matches!(draft.meaning, Meaning::Refuse(_));
        draft.meaning = Meaning::None;
    }
    if draft.row == *row && draft.books.is_empty() && draft.meaning == Meaning::None {
        return None;
    }
    let row = ReservationRow { updated_at: now, version: row.version.saturating_add(1), ..draft.row };
    Some(Step { row, books: draft.books, meaning: draft.meaning, alarm: draft.alarm })
}

/// What is to be asked now; `None` when only the payment can bring it on.
#[must_use]
pub fn ask(row: &ReservationRow, standing: Standing) -> Option<Operation> {
    let wanted = match (Stage::from_number(row.stage)?, standing) {
        // The request itself leaves once, with the payment's hold; after that it is only asked about.
        (Stage::Reserving, Standing::Waiting) => return Some(Operation::Status),
        (Stage::Capturing, Standing::Delivered) => Operation::Capture,
        (Stage::Releasing, Standing::Ended) => Operation::Release,
        (Stage::Refunding, Standing::Ended) => Operation::Refund,
        _ => return None,
    };
    Some(if row.doubt { Operation::Status } else { wanted })
}

/// The row as it is written before `operation` leaves, until when (microseconds) nobody else asks: what may be taken is in doubt
/// from then on.
#[must_use]
pub fn begin(row: &ReservationRow, operation: Operation, now: i64, until: i64) -> ReservationRow {
    ReservationRow {
        doubt: row.doubt || operation != Operation::Status,
        due_at: Some(until),
        updated_at: now,
        version: row.version.saturating_add(1),
        ..row.clone()
    }
}

/// The row when nothing is to be asked: it is looked at again later, should nobody tell of the payment before.
#[must_use]
pub fn rest(row: &ReservationRow, now: i64, rules: &Rules) -> ReservationRow {
    ReservationRow {
        // What is at its end waits for nothing.
        due_at: row.open.then(|| now.saturating_add(micros(rules.retry_max).max(1))),
        version: row.version.saturating_add(1),
        ..row.clone()
    }
}

/// The row as it is written with the very step that ends its payment, so that nothing can come between: what is captured is
/// looked at no more, and a capture that is under way, or about to be, must not end there unseen. `None` where it is looked at
/// anyway.
#[must_use]
pub fn ended(row: &ReservationRow, now: i64) -> Option<ReservationRow> {
    let due_at = match Stage::from_number(row.stage)? {
        Stage::Reserved | Stage::Captured => Some(now),
        // Whoever brings its answer finds the row changed and judges anew; nobody else asks before his time is over.
        Stage::Capturing => row.due_at,
        _ => return None,
    };
    Some(ReservationRow { due_at, updated_at: now, version: row.version.saturating_add(1), ..row.clone() })
}

/// Whether it keeps its account from paying: what was delivered could not be captured.
#[must_use]
pub fn blocks(row: &ReservationRow) -> bool {
    row.stage == Stage::Capturing.number() && row.tries > 0
}

#[cfg(test)]
mod tests;
