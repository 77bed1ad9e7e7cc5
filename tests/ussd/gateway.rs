//! A USSD gateway on a link of its own making: what it sends by each profile, what it is answered, and gateways that
//! refuse, throttle or fall silent.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use keytone::smpp::link::event::{Doubt, Outcome, Silence, Unsent};
use keytone::smpp::pdu::{Address, Body, Message, MessageResp};
use keytone::smpp::status::{self, Kinds};
use keytone::smpp::tlv::tag;
use keytone::ussd::profile::{Profile, SessionField};
use keytone::ussd::smpp::{Gate, Gateway, Link, Side};
use keytone::ussd::{Desk, Route};

use crate::support::market::{Database, Market, PIN, phone};
use crate::ussd::{AIR, ME, PATIENCE, close, on_both_databases, registry, says};

/// The gateway's end of a link.
#[derive(Clone)]
struct Wire {
    sent: mpsc::UnboundedSender<Body>,
    /// What the next requests are answered; then ESME_ROK.
    outcomes: Arc<Mutex<Vec<Outcome>>>,
}

fn answered(status: u32) -> Outcome {
    Outcome::Answered { status, body: Body::SubmitSmResp(MessageResp::default()) }
}

impl Link for Wire {
    fn request(&self, body: Body) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        let outcome = {
            let mut outcomes = self.outcomes.lock().unwrap();
            if outcomes.is_empty() { answered(status::ROK) } else { outcomes.remove(0) }
        };
        self.sent.send(body).unwrap();
        Box::pin(std::future::ready(outcome))
    }
}

struct Bench {
    gate: Gate<()>,
    desk: Desk<()>,
    wire: Wire,
    profile: Profile,
    side: Side,
    screens: mpsc::UnboundedReceiver<Body>,
}

impl Bench {
    fn new(market: &Market, name: &str, side: Side) -> Self {
        let profile = Profile::named(name).unwrap();
        let desk =
            Desk::new(registry(market, 100), vec![Route::of(AIR, true, &profile)], market.clock.clone());
        let gateway = Gateway {
            profile: profile.clone(),
            side,
            kinds: Kinds::default(),
            country: "86".into(),
            national_digits_max: 11,
            ours: Address { ton: 3, npi: 9, digits: Bytes::from_static(b"125") },
            theirs: (1, 1),
        };
        let gate = Gate::new(desk.clone(), BTreeMap::from([(AIR.to_owned(), gateway)]), market.clock.clone());
        let (sent, screens) = mpsc::unbounded_channel();
        let wire = Wire { sent, outcomes: Arc::default() };
        Self { gate, desk, wire, profile, side, screens }
    }

    /// A message of the gateway in the dialogue 0x0a0c.
    fn message(&self, op: u8, text: &str) -> Message {
        let mut message = Message {
            source: Address { ton: 1, npi: 1, digits: Bytes::from_static(b"8613800000001") },
            destination: Address { ton: 3, npi: 9, digits: Bytes::from_static(b"125") },
            data_coding: 0x0f,
            short_message: Bytes::copy_from_slice(text.as_bytes()),
            ..Message::default()
        };
        message.tlvs.push(tag::USSD_SERVICE_OP, vec![op]);
        match self.profile.session {
            SessionField::None => {}
            SessionField::Reference => message.tlvs.push(tag::USER_MESSAGE_REFERENCE, vec![0x0a, 0x0c]),
            _ => message.tlvs.push(tag::ITS_SESSION_INFO, vec![0x0a, 0x0c]),
        }
        message
    }

    /// Sends it; gives the status of its response.
    async fn status(&self, message: &Message) -> u32 {
        let (told, telling) = tokio::sync::oneshot::channel();
        let acknowledge = Box::new(move |status| told.send(status).unwrap());
        tokio::spawn(self.gate.receive(AIR, self.wire.clone(), message, acknowledge));
        tokio::time::timeout(PATIENCE, telling).await.expect("a response").unwrap()
    }

    async fn send(&self, op: u8, text: &str) -> u32 {
        self.status(&self.message(op, text)).await
    }

    async fn screen(&mut self) -> (u8, String, Message) {
        let body = tokio::time::timeout(PATIENCE, self.screens.recv()).await.expect("a screen").unwrap();
        let message = match (self.side, body) {
            (Side::Esme, Body::SubmitSm(message)) | (Side::Smsc, Body::DeliverSm(message)) => message,
            (_, other) => panic!("{other:?}"),
        };
        let text = String::from_utf8_lossy(&message.short_message).into_owned();
        (message.tlvs.octet(tag::USSD_SERVICE_OP).unwrap(), text, message)
    }

    /// Sends a message and gives the screen that answers.
    async fn exchange(&mut self, op: u8, text: &str) -> (u8, String, Message) {
        assert_eq!(self.send(op, text).await, status::ROK);
        self.screen().await
    }
}

async fn a_recharge_by_each_profile_on_both_sides(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    for (index, name) in Profile::NAMES.into_iter().enumerate() {
        let side = if index % 2 == 0 { Side::Esme } else { Side::Smsc };
        let mut bench = Bench::new(&market, name, side);
        let (ask, end) = (bench.profile.said.ask, bench.profile.said.end);
        let (op, text, message) = bench.exchange(1, "*125#").await;
        says(&text, "Your number is");
        assert_eq!(op, ask, "{name}");
        assert_eq!(message.destination.digits, "8613800000001");
        assert_eq!((message.source.ton, message.source.npi, &message.source.digits[..]), (3, 9, &b"125"[..]));
        says(&bench.exchange(18, "1").await.1, "Amount:");
        says(&bench.exchange(18, "70").await.1, "not one of the amounts");
        // Another amount each time: the same again would be asked about.
        let amount = if index == 0 { "50" } else { "100" };
        let (_, mut text, _) = bench.exchange(18, amount).await;
        if index > 1 {
            says(&text, "Do it again");
            text = bench.exchange(18, "1").await.1;
        }
        says(&text, "reply with your PIN");
        let (op, text, message) = bench.exchange(18, PIN).await;
        says(&text, "was recharged");
        assert_eq!(op, end, "{name}");
        let session = message.tlvs.get(tag::ITS_SESSION_INFO).map(|value| value.to_vec());
        let expected = match name {
            "spec" => Some(vec![0x0a, 0x0c]),
            "its15" | "tata" => Some(vec![0x0a, 0x0d]),
            _ => None,
        };
        assert_eq!(session, expected, "{name}");
        bench.desk.idle().await;
    }
    assert_eq!(market.carrier(ME).len(), Profile::NAMES.len());
    close(market, &[]).await;
}

async fn what_cannot_be_read_is_refused_and_nothing_is_sent(database: Database) {
    let market = Market::open(database).await;
    let mut bench = Bench::new(&market, "spec", Side::Esme);
    assert_eq!(bench.send(77, "*125#").await, status::RINVOPTPARAMVAL);
    let mut nobody = bench.message(1, "*125#");
    nobody.source.digits = Bytes::from_static(b"12");
    nobody.source.ton = 1;
    assert_eq!(bench.status(&nobody).await, status::RINVSRCADR);
    let mut silent = bench.message(1, "*125#");
    silent.tlvs.0.clear();
    assert_eq!(bench.status(&silent).await, status::RMISSINGOPTPARAM);
    assert_eq!(bench.send(19, "").await, status::ROK, "a notification was shown");
    assert_eq!(bench.send(0x81, "").await, status::ROK, "an abort of nothing");
    let (told, telling) = tokio::sync::oneshot::channel();
    let acknowledge = Box::new(move |status| told.send(status).unwrap());
    bench.gate.receive("nowhere", bench.wire.clone(), &bench.message(1, "*125#"), acknowledge).await;
    assert_eq!(telling.await.unwrap(), status::RSYSERR);
    assert!(bench.screens.try_recv().is_err());
    close(market, &[bench.desk]).await;
}

async fn a_dialogue_whose_screen_is_not_taken_is_dead(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let outcomes = [
        answered(status::RSUBMITFAIL),
        answered(0x400),
        Outcome::Unknown(Doubt { sequence: 1, why: Silence::Lost }),
        Outcome::NotSent(Unsent::Down),
    ];
    for outcome in outcomes {
        let mut bench = Bench::new(&market, "spec", Side::Esme);
        bench.exchange(1, "*125#").await;
        *bench.wire.outcomes.lock().unwrap() = vec![outcome.clone()];
        bench.exchange(18, "1").await;
        // Nothing is sent a second time, and the conversation waits for the caller's next dialogue.
        let key = format!("ussd/{AIR}/{ME}");
        let gone = tokio::time::timeout(PATIENCE, async {
            while market.payments.session_by_key(&key).await.unwrap().is_some() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        gone.await.expect("the dialogue is left");
        assert!(bench.screens.try_recv().is_err(), "{outcome:?}");
        let (_, text, _) = bench.exchange(1, "*125#").await;
        says(&text, "was not finished");
        assert_eq!(bench.send(0x81, "").await, status::ROK);
        bench.desk.idle().await;
    }
    close(market, &[]).await;
}

async fn a_throttled_screen_is_offered_again(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let mut bench = Bench::new(&market, "spec", Side::Esme);
    *bench.wire.outcomes.lock().unwrap() = vec![answered(status::RTHROTTLED), answered(status::RMSGQFUL)];
    let first = bench.exchange(1, "*125#").await;
    assert_eq!((bench.screen().await, bench.screen().await), (first.clone(), first));
    says(&bench.exchange(18, "1").await.1, "Amount:");
    bench.send(0x81, "").await;
    close(market, &[bench.desk]).await;
}

async fn a_begin_that_comes_again_is_shown_the_same_and_loses_nothing(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let mut bench = Bench::new(&market, "spec", Side::Esme);
    let first = bench.exchange(1, "*125#").await;
    // The gateway has the screen already and refuses it.
    *bench.wire.outcomes.lock().unwrap() = vec![answered(status::RSUBMITFAIL)];
    assert_eq!(bench.exchange(1, "*125#").await, first);
    bench.desk.idle().await;
    says(&bench.exchange(18, "1").await.1, "Amount:");
    bench.send(0x81, "").await;
    close(market, &[bench.desk]).await;
}

async fn a_message_that_is_not_committed_is_to_be_sent_again(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let mut bench = Bench::new(&market, "spec", Side::Esme);
    bench.exchange(1, "*125#").await;
    if let Database::Postgres = database {
        crate::support::postgres::plug(&market.url, false).await;
        assert_eq!(bench.send(18, "1").await, status::RX_T_APPN);
        crate::support::postgres::plug(&market.url, true).await;
    }
    // A connection that was cut may be found out by one more.
    while bench.send(18, "1").await != status::ROK {}
    says(&bench.screen().await.1, "Amount:");
    bench.send(0x81, "").await;
    close(market, &[bench.desk]).await;
}

async fn a_push_goes_by_the_gateways_ops(database: Database) {
    let market = Market::open(database).await;
    let mut bench = Bench::new(&market, "its15", Side::Esme);
    let pusher = bench.gate.pusher(AIR, Arc::new(bench.wire.clone())).unwrap();
    bench.desk.push_by(BTreeMap::from([(AIR.to_owned(), pusher)]));
    assert_eq!(bench.desk.notify(&phone(ME), "Good day").await, keytone::ussd::Notified::Taken);
    let (op, text, message) = bench.screen().await;
    assert_eq!((op, text.as_str(), &message.destination.digits[..]), (3, "Good day", &b"8613800000001"[..]));
    assert_eq!(message.tlvs.get(tag::ITS_SESSION_INFO).map(|value| value[1] & 1), Some(0));
    *bench.wire.outcomes.lock().unwrap() = vec![answered(status::RINVDSTADR)];
    let refused = bench.desk.notify(&phone(ME), "Good day").await;
    assert_eq!(refused, keytone::ussd::Notified::Refused("ESME_RINVDSTADR".into()));
    assert!(bench.gate.pusher("nowhere", Arc::new(bench.wire.clone())).is_none());
    close(market, &[bench.desk]).await;
}

on_both_databases!(gateway:
    a_recharge_by_each_profile_on_both_sides,
    what_cannot_be_read_is_refused_and_nothing_is_sent,
    a_dialogue_whose_screen_is_not_taken_is_dead,
    a_throttled_screen_is_offered_again,
    a_begin_that_comes_again_is_shown_the_same_and_loses_nothing,
    a_message_that_is_not_committed_is_to_be_sent_again,
    a_push_goes_by_the_gateways_ops,
);
