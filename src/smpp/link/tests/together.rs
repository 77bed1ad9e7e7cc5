//! Two links joined by a pipe that breaks at any octet: whatever happens, each request has one outcome, what was answered
//! was asked, and nothing is sent twice.

use std::collections::HashMap;
use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::smpp::link::event::Silence;
use crate::smpp::status as code;

/// A small generator, so that a seed is a whole history.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

struct End {
    link: Link,
    /// What is on its way to the other end.
    wire: BytesMut,
    incoming: BytesMut,
    tickets: Vec<(Ticket, Body)>,
    asked: HashSet<u64>,
    outcomes: HashMap<u64, Outcome>,
    /// The numbers in the texts that came.
    came: Vec<u64>,
    /// The requests that were accepted here, by the number in the text.
    accepted: HashSet<u64>,
    late: u64,
}

impl End {
    fn new(settings: Settings, now: Instant) -> Self {
        Self {
            link: Link::new(settings, now),
            wire: BytesMut::new(),
            incoming: BytesMut::new(),
            tickets: Vec::new(),
            asked: HashSet::new(),
            outcomes: HashMap::new(),
            came: Vec::new(),
            accepted: HashSet::new(),
            late: 0,
        }
    }

    fn drain(&mut self, now: Instant, settings: &Settings) {
        while let Some(output) = self.link.poll() {
            match output {
                Output::Write(bytes) => self.wire.extend_from_slice(&bytes),
                Output::Done { request, outcome } => {
                    assert!(self.asked.contains(&request.0));
                    let before = self.outcomes.insert(request.0, outcome);
                    assert!(before.is_none(), "two outcomes of {}", request.0);
                }
                Output::Event(Event::BindAsked(_)) => {
                    self.link.handle(now, Input::Allow(Box::new(settings.clone())));
                }
                Output::Event(Event::Request { ticket, body }) => {
                    let (Body::SubmitSm(message) | Body::DeliverSm(message)) = &body else { panic!() };
                    self.came.push(std::str::from_utf8(&message.short_message).unwrap().parse().unwrap());
                    self.tickets.push((ticket, body));
                }
                Output::Event(Event::LateResponse { .. }) => self.late += 1,
                Output::Event(_) | Output::Close(_) => {}
            }
        }
    }

    fn read(&mut self, now: Instant, octets: &[u8]) {
        self.incoming.extend_from_slice(octets);
        while let Some(frame) = Framer::default().decode(&mut self.incoming).unwrap() {
            self.link.handle(now, Input::Frame(frame));
        }
    }

    fn answer(&mut self, now: Instant, dice: &mut Dice) {
        if self.tickets.is_empty() {
            return;
        }
        let at = usize::try_from(dice.roll(self.tickets.len() as u64)).unwrap();
        let (ticket, body) = self.tickets.swap_remove(at);
        let status = match dice.roll(10) {
            0 => code::RTHROTTLED,
            1 => code::RSYSERR,
            _ => code::ROK,
        };
        let (answer, text) = match body {
            Body::SubmitSm(message) => (submitted("1"), message.short_message),
            Body::DeliverSm(message) => (Body::DeliverSmResp(MessageResp::default()), message.short_message),
            _ => panic!(),
        };
        if status == code::ROK {
            self.accepted.insert(std::str::from_utf8(&text).unwrap().parse().unwrap());
        }
        self.link.handle(now, Input::Respond { ticket, status, body: answer });
    }
}

fn history(seed: u64) {
    let mut dice = Dice(seed);
    let mut now = origin();
    let pick = |dice: &mut Dice, from: &[u64]| from[usize::try_from(dice.roll(from.len() as u64)).unwrap()];
    let mut settings = [esme(Role::Transceiver), smsc()];
    for side in &mut settings {
        side.window = usize::try_from(pick(&mut dice, &[1, 2, 10])).unwrap();
        side.queue = usize::try_from(pick(&mut dice, &[0, 3, 100])).unwrap();
        side.unanswered = usize::try_from(pick(&mut dice, &[1, 5, 100])).unwrap();
        side.response_timeout = ms(pick(&mut dice, &[200, 3_000]));
        side.answer_timeout = ms(pick(&mut dice, &[300, 5_000]));
        side.queue_timeout = ms(pick(&mut dice, &[500, 60_000]));
        side.enquire_after = ms(pick(&mut dice, &[400, 30_000]));
        side.enquire_timeout = ms(700);
    }
    let mut ends = [End::new(settings[0].clone(), now), End::new(settings[1].clone(), now)];
    let mut issued = 0;
    let life = 50 + dice.roll(800);
    for _ in 0..life {
        now += Duration::from_micros(dice.roll(20_000));
        let which = usize::try_from(dice.roll(2)).unwrap();
        match dice.roll(100) {
            0..45 => {
                // Some octets of the wire arrive.
                let [one, two] = &mut ends;
                let (from, to) = if which == 0 { (one, two) } else { (two, one) };
                let most = from.wire.len() as u64;
                let octets = from.wire.split_to(usize::try_from(dice.roll(most + 1)).unwrap());
                to.read(now, &octets);
            }
            45..70 => {
                let text = issued.to_string();
                let body = if which == 0 { submit(&text) } else { Body::DeliverSm(message(&text)) };
                ends[which].asked.insert(issued);
                ends[which].link.handle(now, Input::Request { request: RequestId(issued), body, cost: 1 });
                issued += 1;
            }
            70..95 => ends[which].answer(now, &mut dice),
            95..99 => {}
            _ if dice.roll(40) == 0 => ends[which].link.handle(now, Input::Unbind { until: now + ms(500) }),
            _ => {}
        }
        for (end, settings) in ends.iter_mut().zip(&settings) {
            if end.link.next_deadline().is_some_and(|due| due <= now) {
                end.link.handle(now, Input::Tick);
            }
            end.drain(now, settings);
            let state = end.link.status(now);
            assert!(
                state.window_used <= settings.window && state.queued <= settings.queue.max(1),
                "{state:?}"
            );
            assert!(state.unanswered <= settings.unanswered);
        }
    }
    // The pipe breaks: what is on the wire is lost, up to any octet.
    for (end, settings) in ends.iter_mut().zip(&settings) {
        end.link.handle(now, Input::Lost);
        end.drain(now, settings);
        assert!(end.link.is_over() && end.link.next_deadline().is_none());
        assert_eq!(end.outcomes.len(), end.asked.len(), "each request has an outcome");
    }
    judge(&ends);
}

/// What both ends know must agree.
fn judge(ends: &[End; 2]) {
    for (from, to) in [(0, 1), (1, 0)] {
        let came: HashSet<u64> = ends[to].came.iter().copied().collect();
        assert_eq!(came.len(), ends[to].came.len(), "nothing came twice");
        for (request, outcome) in &ends[from].outcomes {
            match outcome {
                Outcome::Answered { status: code::ROK, .. } => {
                    assert!(ends[to].accepted.contains(request), "{request} was accepted by nobody");
                }
                Outcome::NotSent(_) => assert!(!came.contains(request), "{request} had left"),
                Outcome::Answered { .. } => {}
                Outcome::Unknown(doubt) => assert!(matches!(doubt.why, Silence::Timeout | Silence::Lost)),
            }
        }
        // What came in order was sent in order.
        assert!(ends[to].came.is_sorted(), "order");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn every_request_has_one_outcome(seed: u64) {
        history(seed);
    }
}
