//! Tables of single steps, and both outsiders in every order against a provider in small.

use super::*;
use crate::connector::contract::RefusalClass;
use crate::ledger::row::Id;
use crate::money::Currency;
use proptest::prelude::*;

const SECOND: i64 = 1_000_000;

fn rules() -> Rules {
    Rules {
        reserve_within: Duration::from_secs(60),
        retry_first: Duration::from_secs(1),
        retry_max: Duration::from_secs(10),
        not_found_after: Some(Duration::from_secs(20)),
        refunds: true,
    }
}

fn row(stage: Stage, doubt: bool) -> ReservationRow {
    ReservationRow {
        payment: Id([1; 16]),
        account: Id([2; 16]),
        provider: "wallet".to_owned(),
        external_id: "w-1".to_owned(),
        reference: "r1".to_owned(),
        amount_minor: 5_050,
        currency: Currency::new("CNY").unwrap(),
        stage: stage.number(),
        doubt,
        open: stage.is_open(),
        class: None,
        their_reference: None,
        tries: 0,
        created_at: 0,
        updated_at: 0,
        due_at: stage.is_open().then_some(0),
        version: 1,
    }
}

fn refused() -> Told {
    Told::Refused { class: RefusalClass::LimitReached, code: "NO_MONEY".to_owned() }
}

fn unknown() -> Told {
    Told::Unknown { why: Unclear::Timeout, detail: String::new() }
}

fn not_sent() -> Told {
    Told::NotSent { reason: String::new() }
}

fn all_told() -> Vec<Told> {
    vec![
        not_sent(),
        Told::Pending,
        Told::Reserved,
        Told::Captured,
        Told::Released,
        Told::Refunded,
        refused(),
        Told::NotFound,
        unknown(),
        Told::Unknown { why: Unclear::Mismatch, detail: String::new() },
    ]
}

const STANDINGS: [Standing; 4] = [Standing::Waiting, Standing::Open, Standing::Delivered, Standing::Ended];

fn hear(
    row: &ReservationRow,
    standing: Standing,
    now: i64,
    operation: Operation,
    told: Told,
) -> Option<Step> {
    step(row, standing, now, &Input::Answer(operation, &Answer::from(told)), &rules())
}

fn stage_of(step: &Step) -> Stage {
    Stage::from_number(step.row.stage).unwrap()
}

#[test]
fn answers_to_reserve() {
    use Operation::{Reserve, Status};
    let at = |operation, told, seconds: i64| {
        let step = hear(&row(Stage::Reserving, true), Standing::Waiting, seconds * SECOND, operation, told);
        let step = step.unwrap();
        (stage_of(&step), step.meaning.clone(), step.row.doubt)
    };
    let refuse = |class: &str| Meaning::Refuse(class.to_owned());
    for (operation, told, seconds, stage, meaning, doubt) in [
        (Reserve, Told::Reserved, 1, Stage::Reserved, Meaning::Proceed, false),
        (Status, Told::Reserved, 30, Stage::Reserved, Meaning::Proceed, false),
        (Reserve, refused(), 1, Stage::Refused, refuse("provider_limit_reached"), false),
        (Status, refused(), 1, Stage::Refused, refuse("provider_limit_reached"), false),
        (Reserve, not_sent(), 1, Stage::Refused, refuse(PROVIDER_DOWN), false),
        (Status, not_sent(), 1, Stage::Reserving, Meaning::None, true),
        (Reserve, unknown(), 1, Stage::Reserving, Meaning::None, true),
        (Reserve, Told::Pending, 1, Stage::Reserving, Meaning::None, true),
        (Status, Told::NotFound, 19, Stage::Reserving, Meaning::None, true),
        (Status, Told::NotFound, 20, Stage::Releasing, refuse(PROVIDER_GONE), true),
        (Status, Told::Released, 1, Stage::Released, refuse(PROVIDER_GONE), false),
        // Taken though nobody asked: given back, and nothing is asked of the carrier.
        (Status, Told::Captured, 1, Stage::Refunding, refuse(PROVIDER_GONE), false),
        // Unknown for too long: given up, and set free in case it is there.
        (Status, unknown(), 60, Stage::Releasing, refuse(PROVIDER_SILENT), true),
        (Reserve, unknown(), 61, Stage::Releasing, refuse(PROVIDER_SILENT), true),
        // Known in the last moment.
        (Status, Told::Reserved, 61, Stage::Reserved, Meaning::Proceed, false),
    ] {
        assert_eq!(at(operation, told.clone(), seconds), (stage, meaning, doubt), "{operation:?} {told:?}");
    }
    let silent = step(&row(Stage::Reserving, true), Standing::Waiting, 60 * SECOND, &Input::Look, &rules());
    assert_eq!(stage_of(&silent.unwrap()), Stage::Releasing);
    assert_eq!(
        step(&row(Stage::Reserving, true), Standing::Waiting, 59 * SECOND, &Input::Look, &rules()),
        None
    );
}

#[test]
fn an_answer_that_comes_after_the_payment_has_ended_leaves_nothing_behind() {
    let at = |told| {
        let step = hear(&row(Stage::Reserving, true), Standing::Ended, SECOND, Operation::Reserve, told);
        let step = step.unwrap();
        assert_eq!(step.meaning, Meaning::None, "the payment is refused already");
        (stage_of(&step), ask(&step.row, Standing::Ended))
    };
    assert_eq!(at(Told::Reserved), (Stage::Releasing, Some(Operation::Release)));
    assert_eq!(at(refused()), (Stage::Released, None));
    assert_eq!(at(not_sent()), (Stage::Released, None));
    assert_eq!(at(unknown()), (Stage::Releasing, Some(Operation::Status)));
    assert_eq!(at(Told::Captured), (Stage::Refunding, Some(Operation::Refund)));
}

#[test]
fn a_capture_that_is_refused_after_the_payment_was_taken_back_sets_nothing_free() {
    let begun = begin(&row(Stage::Capturing, false), Operation::Capture, SECOND, 4 * SECOND);
    let taken_back = step(&begun, Standing::Ended, 2 * SECOND, &Input::Look, &rules()).unwrap();
    assert_eq!(stage_of(&taken_back), Stage::Releasing);
    let late = hear(&taken_back.row, Standing::Ended, 3 * SECOND, Operation::Capture, refused());
    let row = late.map_or(taken_back.row, |step| step.row);
    assert_eq!((row.stage, row.open), (Stage::Releasing.number(), true));
    assert_eq!(
        ask(&row, Standing::Ended),
        Some(Operation::Status),
        "how it stands is asked, then it is released"
    );
}

#[test]
fn what_refuses_the_question_says_nothing_of_the_reservation() {
    for class in [RefusalClass::AuthConfig, RefusalClass::CarrierDown, RefusalClass::RateLimited] {
        for (stage, standing) in [
            (Stage::Reserving, Standing::Waiting),
            (Stage::Capturing, Standing::Delivered),
            (Stage::Releasing, Standing::Ended),
            (Stage::Refunding, Standing::Ended),
        ] {
            let shut = || Told::Refused { class, code: "SHUT".to_owned() };
            let first = hear(&row(stage, true), standing, SECOND, Operation::Status, shut()).unwrap();
            assert_eq!((stage_of(&first), first.row.doubt, first.row.tries), (stage, true, 1), "{class:?}");
            assert_eq!((first.meaning, first.books), (Meaning::None, Vec::new()), "{stage:?} {class:?}");
            assert_eq!(ask(&first.row, standing), Some(Operation::Status));
            assert_eq!(first.alarm, class == RefusalClass::AuthConfig);
            let second = hear(&first.row, standing, 2 * SECOND, Operation::Status, shut()).unwrap();
            assert!(!second.alarm, "staff are told once");
        }
        for stage in [Stage::Captured, Stage::Released, Stage::Owed] {
            let shut = Told::Refused { class, code: "SHUT".to_owned() };
            assert_eq!(hear(&row(stage, false), Standing::Delivered, SECOND, Operation::Status, shut), None);
        }
    }
}

#[test]
fn what_may_have_been_done_is_not_asked_for_again_because_it_is_not_known_yet() {
    for (stage, standing, wanted) in [
        (Stage::Capturing, Standing::Delivered, Operation::Capture),
        (Stage::Refunding, Standing::Ended, Operation::Refund),
    ] {
        let heard = |seconds: i64| {
            let told = Told::NotFound;
            let step = hear(&row(stage, true), standing, seconds * SECOND, Operation::Status, told).unwrap();
            (stage_of(&step), ask(&step.row, standing).unwrap(), step.alarm)
        };
        assert_eq!(heard(19), (stage, Operation::Status, false));
        assert_eq!(heard(20), (stage, wanted, true));
    }
}

#[test]
fn an_answer_that_comes_late_starts_nothing_a_second_time() {
    let late = |row: &ReservationRow, standing, operation, told| {
        step(row, standing, 2 * SECOND, &Input::Late(operation, &Answer::from(told)), &rules())
    };
    let refund = begin(&row(Stage::Refunding, false), Operation::Refund, SECOND, 36 * SECOND);
    for (operation, told) in [
        (Operation::Status, Told::Captured),
        (Operation::Status, unknown()),
        (Operation::Capture, not_sent()),
        (Operation::Capture, unknown()),
    ] {
        let heard = late(&refund, Standing::Ended, operation, told.clone());
        let row = heard.map_or_else(|| refund.clone(), |step| step.row);
        assert_eq!((row.doubt, row.due_at, row.tries), (true, refund.due_at, refund.tries), "{told:?}");
    }
    // What has come to an end has, whoever asked.
    let refunded = late(&refund, Standing::Ended, Operation::Status, Told::Refunded).unwrap();
    assert_eq!((stage_of(&refunded), refunded.books), (Stage::Refunded, vec![Book::Refunded]));
    let capture = begin(&row(Stage::Capturing, false), Operation::Capture, SECOND, 36 * SECOND);
    let captured = late(&capture, Standing::Delivered, Operation::Capture, Told::Captured).unwrap();
    assert_eq!((stage_of(&captured), captured.books), (Stage::Captured, vec![Book::Captured]));
    let waiting = late(&capture, Standing::Delivered, Operation::Status, Told::Reserved);
    assert_eq!(waiting, None, "a capture is under way since");
}

#[test]
fn a_payment_that_ends_takes_its_reservation_with_it() {
    let captured = ended(&row(Stage::Captured, false), 7 * SECOND).unwrap();
    assert_eq!((captured.due_at, captured.version), (Some(7 * SECOND), 2), "it is looked at again");
    let reserved = ended(&row(Stage::Reserved, false), 7 * SECOND).unwrap();
    assert_eq!((reserved.due_at, reserved.version), (Some(7 * SECOND), 2), "no capture begins under it");
    let capturing = ReservationRow { due_at: Some(35 * SECOND), ..row(Stage::Capturing, true) };
    let after = ended(&capturing, 7 * SECOND).unwrap();
    assert_eq!((after.due_at, after.version), (capturing.due_at, 2), "whoever asks finds it changed");
    for stage in [Stage::Reserving, Stage::Releasing, Stage::Released, Stage::Owed] {
        assert_eq!(ended(&row(stage, false), 7 * SECOND), None, "{stage:?}");
    }
    assert_eq!(rest(&captured, 8 * SECOND, &rules()).due_at, None, "and not for ever");
}

#[test]
fn the_payment_leads_and_the_reservation_follows() {
    let follow = |stage, standing| {
        let step = step(&row(stage, false), standing, SECOND, &Input::Look, &rules());
        step.map(|step| (stage_of(&step), ask(&step.row, standing)))
    };
    assert_eq!(follow(Stage::Reserved, Standing::Open), None);
    let capture = Some((Stage::Capturing, Some(Operation::Capture)));
    assert_eq!(follow(Stage::Reserved, Standing::Delivered), capture);
    let release = Some((Stage::Releasing, Some(Operation::Release)));
    assert_eq!(follow(Stage::Reserved, Standing::Ended), release);
    assert_eq!(follow(Stage::Capturing, Standing::Ended), release);
    let refund = Some((Stage::Refunding, Some(Operation::Refund)));
    assert_eq!(follow(Stage::Captured, Standing::Ended), refund);
    assert_eq!(follow(Stage::Captured, Standing::Delivered), None);
    // The carrier contradicts itself: a person looks, and nothing is taken meanwhile.
    assert_eq!(follow(Stage::Capturing, Standing::Open), None);
    assert_eq!(ask(&row(Stage::Capturing, false), Standing::Open), None);
    for stage in [Stage::Released, Stage::Refused, Stage::Refunded, Stage::Owed] {
        for standing in STANDINGS {
            assert_eq!(follow(stage, standing), None, "{stage:?} {standing:?}");
        }
    }
}

#[test]
fn a_provider_without_refunds_leaves_the_money_with_us() {
    let rules = Rules { refunds: false, ..rules() };
    let step = step(&row(Stage::Captured, false), Standing::Ended, SECOND, &Input::Look, &rules).unwrap();
    assert_eq!((stage_of(&step), step.books.as_slice(), step.alarm), (Stage::Owed, &[Book::Owed][..], true));
    assert!(!step.row.open);
}

#[test]
fn what_was_delivered_is_captured_without_end_and_blocks_until_then() {
    let mut reservation = row(Stage::Capturing, false);
    assert!(!blocks(&reservation), "it is on its way");
    let mut now = SECOND;
    let mut waits = Vec::new();
    let mut alarms = 0;
    for _ in 0..40 {
        let begun = begin(&reservation, Operation::Capture, now, now + SECOND);
        assert!(begun.doubt, "it may be taken from here on");
        let step = hear(&begun, Standing::Delivered, now, Operation::Capture, refused()).unwrap();
        assert_eq!(stage_of(&step), Stage::Capturing);
        alarms += i32::from(step.alarm);
        waits.push(step.row.due_at.unwrap() - now);
        reservation = step.row;
        assert!(blocks(&reservation));
        now = reservation.due_at.unwrap();
    }
    assert_eq!(waits[..5], [SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND, 10 * SECOND]);
    assert_eq!(waits[39], 10 * SECOND, "without end");
    assert_eq!(alarms, 1, "once for each kind");
    let done = hear(&reservation, Standing::Delivered, now, Operation::Capture, Told::Captured).unwrap();
    assert_eq!((stage_of(&done), done.books.as_slice()), (Stage::Captured, &[Book::Captured][..]));
    assert!(!blocks(&done.row));
}

#[test]
fn what_may_have_been_taken_is_asked_about_first() {
    for (stage, standing, wanted) in [
        (Stage::Capturing, Standing::Delivered, Operation::Capture),
        (Stage::Releasing, Standing::Ended, Operation::Release),
        (Stage::Refunding, Standing::Ended, Operation::Refund),
    ] {
        let fresh = row(stage, false);
        assert_eq!(ask(&fresh, standing), Some(wanted));
        let begun = begin(&fresh, wanted, SECOND, 2 * SECOND);
        // As a process that ended here leaves it.
        assert_eq!(ask(&begun, standing), Some(Operation::Status));
        let step = hear(&begun, standing, SECOND, wanted, unknown()).unwrap();
        assert_eq!(ask(&step.row, standing), Some(Operation::Status), "{stage:?}");
        let step = hear(&begun, standing, SECOND, wanted, not_sent()).unwrap();
        assert_eq!(ask(&step.row, standing), Some(wanted), "{stage:?}: it never left");
    }
}

#[test]
fn stages_read_back_and_have_names_of_their_own() {
    let mut names: Vec<&str> = Stage::ALL.iter().map(|s| s.name()).collect();
    for stage in Stage::ALL {
        assert_eq!(Stage::from_number(stage.number()), Some(*stage));
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Stage::ALL.len());
    assert_eq!(Stage::from_number(99), None);
}

/// A message may be as old as it likes: what a reservation can go back from is asked about, never taken from it.
#[test]
fn only_what_cannot_be_old_is_news() {
    for stage in Stage::ALL {
        for standing in STANDINGS {
            for told in all_told() {
                let row = ReservationRow { due_at: Some(60 * SECOND), ..row(*stage, true) };
                let answer = Answer::from(told.clone());
                let step = step(&row, standing, SECOND, &Input::News(&answer), &rules());
                let asked = hear(&row, standing, SECOND, Operation::Status, told.clone());
                let context = format!("{stage:?} {standing:?} {told:?} -> {step:?}");
                let Some(step) = step else { continue };
                let moved = stage_of(&step) != *stage;
                let follows = {
                    let look = super::step(&row, standing, SECOND, &Input::Look, &rules());
                    look.map_or(*stage, |look| stage_of(&look))
                };
                if moved && stage_of(&step) != follows {
                    assert_eq!(Some(stage_of(&step)), asked.as_ref().map(stage_of), "{context}");
                }
                // What is in doubt stays so, and a request that may be on its way is not asked about before its time.
                if !moved && *stage != Stage::Reserving {
                    assert!(
                        step.row.doubt && step.row.due_at == row.due_at && step.books.is_empty(),
                        "{context}"
                    );
                }
                if step.meaning == Meaning::Proceed {
                    assert_eq!(
                        (*stage, standing, &told),
                        (Stage::Reserving, Standing::Waiting, &Told::Reserved)
                    );
                }
            }
        }
    }
    let given_back = Answer::from(Told::Refunded);
    let first =
        step(&row(Stage::Captured, false), Standing::Delivered, SECOND, &Input::News(&given_back), &rules());
    let first = first.unwrap();
    assert!(first.alarm && first.books.is_empty() && first.row.due_at.is_none());
    let again = step(&first.row, Standing::Delivered, SECOND, &Input::News(&given_back), &rules());
    assert_eq!(again, None, "once for each kind");
}

/// Every stage, standing, question and answer: no step makes what must never be.
#[test]
fn no_step_takes_money_that_was_not_delivered_or_books_it_twice() {
    for stage in Stage::ALL {
        for standing in STANDINGS {
            for doubt in [false, true] {
                let row = row(*stage, doubt);
                if ask(&row, standing) == Some(Operation::Capture) {
                    assert_eq!(standing, Standing::Delivered);
                }
                assert_ne!(ask(&row, standing), Some(Operation::Reserve), "it leaves once");
                for operation in Operation::ALL {
                    for told in all_told() {
                        for seconds in [1, 30, 90] {
                            let step = hear(&row, standing, seconds * SECOND, *operation, told.clone());
                            let Some(step) = step else { continue };
                            let context = format!("{row:?} {standing:?} {operation:?} {told:?} -> {step:?}");
                            let to = stage_of(&step);
                            let captured = step.books.iter().filter(|b| **b == Book::Captured).count();
                            let back = step.books.len() - captured;
                            let was = i32::from(stage.was_captured());
                            let is = i32::from(to.was_captured());
                            assert_eq!(usize::try_from(is - was).unwrap(), captured, "{context}");
                            let ended = |s: Stage| matches!(s, Stage::Refunded | Stage::Owed);
                            assert_eq!(usize::from(!ended(*stage) && ended(to)), back, "{context}");
                            assert_eq!(step.row.open, to.is_open(), "{context}");
                            assert_eq!(step.row.due_at.is_some(), to.is_open(), "{context}");
                            if step.meaning == Meaning::Proceed {
                                assert_eq!((*stage, standing), (Stage::Reserving, Standing::Waiting));
                                assert_eq!(told, Told::Reserved, "{context}");
                            }
                            if matches!(step.meaning, Meaning::Refuse(_)) {
                                assert_eq!((*stage, standing), (Stage::Reserving, Standing::Waiting));
                            }
                            if to == Stage::Captured && *stage != Stage::Captured {
                                assert_eq!((*stage, &told), (Stage::Capturing, &Told::Captured));
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What becomes of one request on its way.
#[derive(Clone, Copy, Debug)]
enum Way {
    Good,
    NotSent,
    LostBefore,
    LostAfter,
    Down,
    /// Answered as if nothing of the kind were known.
    Nonsense,
}

fn way() -> impl Strategy<Value = Way> {
    prop_oneof![
        3 => Just(Way::Good),
        1 => Just(Way::NotSent),
        2 => Just(Way::LostBefore),
        2 => Just(Way::LostAfter),
        1 => Just(Way::Down),
        1 => Just(Way::Nonsense),
    ]
}

/// A provider that keeps one reservation, and is right about it whenever its answer comes through.
struct World {
    /// What it has told by itself, oldest first: each may come in at any time, in any order, any number of times.
    said: Vec<Told>,
    /// Whether an order is paid: it is delivered, or gone, at the moment when the money is kept.
    order: Option<Standing>,
    /// The answer on its way, when (microseconds) nobody waits for it any more, and the version of the row that asked.
    coming: Option<(Operation, Told, i64, i64)>,
    state: Option<&'static str>,
    takes: bool,
    captures: u32,
    refunds: u32,
    row: ReservationRow,
    payment: Standing,
    books: Vec<Book>,
    now: i64,
}

impl World {
    fn serve(&mut self, operation: Operation) -> Told {
        match (operation, self.state) {
            (Operation::Reserve, None) => self.state = Some(if self.takes { "reserved" } else { "refused" }),
            (Operation::Capture, Some("reserved")) => {
                assert_eq!(self.payment, Standing::Delivered, "captured without a delivery");
                self.captures += 1;
                self.state = Some("captured");
            }
            (Operation::Release, Some("reserved")) => self.state = Some("released"),
            (Operation::Refund, Some("captured")) => {
                self.refunds += 1;
                self.state = Some("refunded");
            }
            // It knows no repetitions.
            (Operation::Capture, Some("captured")) => self.captures += 1,
            (Operation::Refund, Some("refunded")) => self.refunds += 1,
            _ => {}
        }
        let told = match self.state {
            None => return Told::NotFound,
            Some("reserved") => Told::Reserved,
            Some("captured") => Told::Captured,
            Some("released") => Told::Released,
            Some("refunded") => Told::Refunded,
            Some(_) => refused(),
        };
        if self.said.last() != Some(&told) {
            self.said.push(told.clone());
        }
        told
    }

    /// Something that it told by itself comes in.
    fn message(&mut self, which: usize) {
        let Some(n) = which.checked_rem(self.said.len()) else { return };
        let answer = Answer::from(self.said[n].clone());
        self.hear(&Input::News(&answer));
    }

    /// What the one who asked hears.
    fn answer(&mut self, operation: Operation, way: Way) -> Told {
        match way {
            Way::Good => self.serve(operation),
            Way::NotSent => not_sent(),
            Way::LostBefore | Way::Down => unknown(),
            Way::LostAfter => {
                self.serve(operation);
                unknown()
            }
            // A contradiction that moves nothing by itself.
            Way::Nonsense if operation == Operation::Reserve => unknown(),
            Way::Nonsense => match operation {
                Operation::Capture | Operation::Release | Operation::Refund => refused(),
                _ => Told::Pending,
            },
        }
    }

    fn ask(&mut self, operation: Operation, way: Way) {
        let told = self.answer(operation, way);
        self.hear(&Input::Answer(operation, &Answer::from(told)));
    }

    /// The answer on its way comes in, perhaps after the payment, and with it the reservation, has gone another way.
    fn come_in(&mut self) {
        if let Some((operation, told, _, asked)) = self.coming.take() {
            let answer = Answer::from(told);
            let is_last = self.row.version == asked;
            self.hear(&if is_last {
                Input::Answer(operation, &answer)
            } else {
                Input::Late(operation, &answer)
            });
        }
    }

    fn hear(&mut self, input: &Input<'_>) -> bool {
        let Some(step) = step(&self.row, self.payment, self.now, input, &rules()) else { return false };
        self.row = step.row;
        self.books.extend(step.books);
        match step.meaning {
            Meaning::None => {}
            Meaning::Proceed => {
                assert_eq!(self.payment, Standing::Waiting);
                self.payment = self.order.unwrap_or(Standing::Open);
            }
            Meaning::Refuse(_) => {
                assert_eq!(self.payment, Standing::Waiting, "refused what had left for the carrier");
                self.payment = Standing::Ended;
            }
        }
        true
    }

    fn tend(&mut self, way: Way, crash: bool, late: bool) {
        if self.coming.as_ref().is_some_and(|(_, _, until, _)| *until <= self.now) {
            self.come_in();
        }
        if self.hear(&Input::Look) || self.row.due_at.is_none_or(|due| due > self.now) {
            return;
        }
        let Some(operation) = ask(&self.row, self.payment) else {
            self.row = rest(&self.row, self.now, &rules());
            return;
        };
        self.row = begin(&self.row, operation, self.now, self.now + 3 * SECOND);
        if crash {
            // The request leaves, the process ends, and the answer is heard by nobody.
            if matches!(way, Way::Good | Way::LostAfter) {
                self.serve(operation);
            }
            return;
        }
        if late && self.coming.is_none() {
            let told = self.answer(operation, way);
            self.coming = Some((operation, told, self.now + 2 * SECOND, self.row.version));
            return;
        }
        self.ask(operation, way);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Whatever order the two outsiders fail in: in the end the customer has paid exactly if he got what he paid.
    #[test]
    fn both_outsiders_in_every_order_end_right(
        takes in any::<bool>(),
        first in way(),
        carrier in prop::collection::vec((0_usize..30, 0_u8..5), 0..4),
        ways in prop::collection::vec((way(), any::<bool>(), any::<bool>(), any::<bool>(), 0_i64..12), 40),
        end in any::<bool>(),
        order in prop::option::of(prop_oneof![3 => Just(Standing::Delivered), 1 => Just(Standing::Ended)]),
        messages in prop::collection::vec((0_usize..40, 0_usize..8), 0..20),
    ) {
        let mut row = row(Stage::Reserving, true);
        row.due_at = Some(3 * SECOND);
        let mut world = World {
            said: Vec::new(), order, coming: None, state: None, takes, captures: 0, refunds: 0, row, payment: Standing::Waiting, books: Vec::new(), now: 0,
        };
        world.ask(Operation::Reserve, first);
        for (n, (way, crash, late, heard, wait)) in ways.iter().enumerate() {
            world.now += wait * SECOND;
            for (_, news) in carrier.iter().filter(|(at, _)| *at == n) {
                // What the carrier, or staff, make of the payment: also against what they said before.
                world.payment = match (world.payment, news) {
                    (Standing::Waiting, 0) => Standing::Ended,
                    (Standing::Open, 0 | 1) => Standing::Ended,
                    (Standing::Open, 2 | 3) => Standing::Delivered,
                    (Standing::Delivered, 0) => Standing::Ended,
                    (Standing::Delivered, 1) => Standing::Open,
                    (same, _) => same,
                };
            }
            for (_, which) in messages.iter().filter(|(at, _)| *at == n) {
                world.message(*which);
            }
            // An answer may take a while: others look after the reservation before it is heard.
            world.tend(*way, *crash && *wait > 8, *late);
            if *heard {
                if world.coming.is_some() && world.payment == Standing::Delivered {
                    world.payment = Standing::Ended;
                    world.hear(&Input::Look);
                }
                world.come_in();
            }
        }
        // From here on everything comes through, and the payment ends.
        if world.payment == Standing::Open {
            world.payment = if end { Standing::Delivered } else { Standing::Ended };
        }
        for _ in 0..200 {
            world.now += 4 * SECOND;
            world.tend(Way::Good, false, false);
            if world.payment == Standing::Open {
                world.payment = if end { Standing::Delivered } else { Standing::Ended };
            }
        }
        prop_assert!(!world.row.open, "{:?}", world.row);
        prop_assert!(world.captures <= 1 && world.refunds <= 1, "{} {}", world.captures, world.refunds);
        let stage = Stage::from_number(world.row.stage).unwrap();
        let count = |book| world.books.iter().filter(|b| **b == book).count();
        prop_assert!(count(Book::Captured) <= 1 && count(Book::Refunded) <= 1);
        if world.payment == Standing::Delivered {
            prop_assert_eq!((world.state, stage), (Some("captured"), Stage::Captured));
            prop_assert_eq!(count(Book::Captured), 1);
        } else {
            prop_assert_eq!(world.payment, Standing::Ended);
            prop_assert!(!matches!(world.state, Some("reserved" | "captured")), "{:?} {:?}", world.state, world.row);
            prop_assert_eq!(count(Book::Captured), count(Book::Refunded));
        }
    }
}
