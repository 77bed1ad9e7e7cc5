//! SMPP on both sides of a desk and a dispatcher: real links on loopback, and an SMSC that the test plays.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use keytone::session::{Id, OutboxState};
use keytone::smpp::coding::Charsets;
use keytone::smpp::io::{Handle, Ticket};
use keytone::smpp::link::event::Outcome;
use keytone::smpp::link::settings::Settings;
use keytone::smpp::long;
use keytone::smpp::pdu::{Address, Body, Message, MessageResp, Role};
use keytone::smpp::receipt::{IdForm, IdForms};
use keytone::smpp::status;
use keytone::smpp::tlv::Tlvs;
use keytone::sms::carry::Carry;
use keytone::sms::dispatch::{self, Dispatcher};
use keytone::sms::route::Route;
use keytone::sms::smpp::{Binds, Dialect, Inlet, Trust};
use tokio::task::JoinHandle;

use crate::smpp::ends::{Smsc, client_settings, connect, esme, listener_settings, smsc};
use crate::sms::on_both_databases;
use crate::sms::world::{ME, Node, PATIENCE, Push, US, country, until};
use crate::support::market::{Database, Market, phone};

/// A node that is bound to an SMSC of the test.
struct Bound {
    market: Market,
    node: Node,
    smsc: Smsc,
    /// The SMSC's ends of our binds.
    theirs: Vec<Handle>,
    ours: Vec<Handle>,
    dispatcher: Dispatcher,
    task: JoinHandle<()>,
}

impl Bound {
    async fn open(database: Database, binds: usize, link: Settings) -> Self {
        let market = Market::open(database).await;
        market.account(ME, 500_000).await;
        let node = Node::new(market.payments.clone(), market.clock.clone(), "reply", Push::default());
        let dialect = Dialect {
            trust: Trust::Prefixes(vec!["86".into()]),
            ids: IdForms { response: IdForm::Hex, receipt: IdForm::Decimal },
            ..Dialect::new("carrier", country())
        };
        let route = Binds::new(dialect, market.clock.clone());
        let (dispatcher, task) = Dispatcher::start(dispatch::Parts {
            mailbox: node.mailbox.clone(),
            routes: vec![(Route::new("carrier", US), Arc::new(route.clone()) as Arc<dyn Carry>)],
            settings: dispatch::Settings {
                look_every: Duration::from_millis(50),
                drain: Duration::from_secs(2),
                ..dispatch::Settings::default()
            },
            clock: market.clock.clone(),
        });
        let inlet = Inlet::new(node.desk.clone(), dispatcher.clone(), route.clone());
        let mut smsc = Smsc::start(listener_settings(smsc())).await;
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..binds {
            let (handle, mut heard) = connect(client_settings(&smsc.address.to_string(), link.clone()));
            theirs.push(smsc.heard.up().await);
            route.add(handle.clone(), 1);
            ours.push(handle);
            let inlet = inlet.clone();
            tokio::spawn(async move {
                while let Some(event) = heard.events.recv().await {
                    inlet.take(event);
                }
            });
        }
        Self { market, node, smsc, theirs, ours, dispatcher, task }
    }

    /// The next submit_sm of ours.
    async fn submitted(&mut self) -> (Handle, Ticket, Message) {
        let (handle, ticket, body) = self.smsc.heard.request().await;
        let Body::SubmitSm(message) = body else { panic!("a submit_sm") };
        (handle, ticket, message)
    }

    /// The next one, taken under this id.
    async fn taken(&mut self, id: &'static str) -> Message {
        let (handle, ticket, message) = self.submitted().await;
        handle.respond(ticket, status::ROK, response(id));
        message
    }

    async fn queue(&self, body: &str) -> Id {
        let row = self.node.mailbox.compose(&phone(ME), body.to_owned(), None, None);
        let id = row.id;
        self.node.mailbox.queue(row).await.unwrap();
        id
    }

    async fn end(self) {
        self.dispatcher.stop();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap();
        for handle in &self.ours {
            handle.close(Duration::from_secs(1)).await;
        }
        self.smsc.end().await;
        self.node.end().await;
        self.market.close().await;
    }
}

fn response(id: &'static str) -> Body {
    Body::SubmitSmResp(MessageResp { message_id: Bytes::from_static(id.as_bytes()), tlvs: Tlvs::default() })
}

fn from_me(text: &str) -> Message {
    Message {
        source: Address { ton: 1, npi: 1, digits: Bytes::from_static(b"8613800000001") },
        destination: Address { ton: 3, npi: 0, digits: US.into() },
        short_message: Bytes::copy_from_slice(text.as_bytes()),
        ..Message::default()
    }
}

fn receipt(id: &str, stat: &str) -> Message {
    let text = format!(
        "id:{id} sub:001 dlvrd:001 submit date:2611290100 done date:2611290101 stat:{stat} err:000 text:"
    );
    Message { esm_class: 4, ..from_me(&text) }
}

async fn delivered(handle: &Handle, message: Message) -> u32 {
    match handle.request(Body::DeliverSm(message), 1).await {
        Outcome::Answered { status, .. } => status,
        other => panic!("{other:?}"),
    }
}

async fn a_text_is_answered_and_its_receipt_found(database: Database) {
    let mut bound = Bound::open(database, 1, esme(Role::Transceiver)).await;
    let smsc = bound.theirs[0].clone();
    assert_eq!(delivered(&smsc, from_me("RC 50")).await, status::ROK);
    let asked = bound.taken("001F").await;
    assert!(String::from_utf8_lossy(&asked.short_message).contains("reply with your PIN"));
    assert_eq!((&*asked.source.digits, asked.source.ton, asked.source.npi), (US.as_bytes(), 3, 0));
    assert_eq!((&*asked.destination.digits, asked.destination.ton), (b"8613800000001".as_slice(), 1));
    assert_eq!(asked.registered_delivery, 1);
    assert!(asked.validity_period.ends_with(b"R"), "{:?}", asked.validity_period);
    let rows = bound.node.outbox().await;
    let row = until(&bound.node.mailbox, rows[0].id, OutboxState::Accepted).await;
    assert_eq!(row.message_id.as_deref(), Some("31"));
    // The receipt writes the same id in decimal.
    assert_eq!(delivered(&smsc, receipt("31", "DELIVRD")).await, status::ROK);
    until(&bound.node.mailbox, rows[0].id, OutboxState::Delivered).await;
    assert_eq!(delivered(&smsc, receipt("31", "DELIVRD")).await, status::ROK);
    // The same command again is acknowledged.
    assert_eq!(delivered(&smsc, from_me("RC 50")).await, status::ROK);
    assert_eq!(bound.node.outbox().await.len(), 1);
    assert_eq!(delivered(&smsc, from_me("739154")).await, status::ROK);
    let told = bound.taken("20").await;
    assert!(String::from_utf8_lossy(&told.short_message).contains("50 CNY"));
    bound.end().await;
}

async fn long_texts_go_in_parts_with_one_receipt(database: Database) {
    let mut bound = Bound::open(database, 1, esme(Role::Transceiver)).await;
    let text = "0123456789 ".repeat(40);
    let id = bound.queue(&text).await;
    let mut parts = Vec::new();
    for (name, receipt) in [("1", 0), ("2", 0), ("3", 1)] {
        let message = bound.taken(name).await;
        assert_eq!(message.registered_delivery, receipt);
        let content = long::content(&message);
        let concat = content.concat.unwrap();
        parts.push(long::Held { part: concat.part, data_coding: 0, text: content.text, fill: content.fill });
    }
    let whole = long::join(3, &parts, &Charsets::sms()).unwrap().unwrap();
    assert_eq!(whole.text, text);
    let row = until(&bound.node.mailbox, id, OutboxState::Accepted).await;
    assert_eq!((row.segments, row.message_id.as_deref()), (3, Some("3")));
    // One that is throttled in its middle begins no new text: the part goes again.
    let id = bound.queue(&text).await;
    bound.taken("4").await;
    let (handle, ticket, second) = bound.submitted().await;
    handle.respond(ticket, status::RTHROTTLED, response(""));
    let again = bound.taken("5").await;
    assert_eq!(again.short_message, second.short_message);
    bound.taken("6").await;
    until(&bound.node.mailbox, id, OutboxState::Accepted).await;
    bound.end().await;
}

async fn an_answer_that_is_late_is_learned(database: Database) {
    let link = Settings { response_timeout: Duration::from_millis(300), ..esme(Role::Transceiver) };
    let mut bound = Bound::open(database, 1, link).await;
    let id = bound.queue("text").await;
    let (handle, ticket, _) = bound.submitted().await;
    until(&bound.node.mailbox, id, OutboxState::Unknown).await;
    handle.respond(ticket, status::ROK, response("ff"));
    let row = until(&bound.node.mailbox, id, OutboxState::Accepted).await;
    assert_eq!((row.message_id.as_deref(), row.attempts), (Some("255"), 1));
    assert_eq!(bound.dispatcher.figures().tried, 1);
    bound.end().await;
}

async fn a_lost_link_leaves_unknown_what_it_had_and_the_other_goes_on(database: Database) {
    let mut bound = Bound::open(database, 2, esme(Role::Transceiver)).await;
    let lost = bound.queue("lost").await;
    let (handle, _ticket, _) = bound.submitted().await;
    handle.close(Duration::ZERO).await;
    until(&bound.node.mailbox, lost, OutboxState::Unknown).await;
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.push(bound.queue("text").await);
        bound.taken("a").await;
    }
    for id in ids {
        until(&bound.node.mailbox, id, OutboxState::Accepted).await;
    }
    bound.end().await;
}

on_both_databases!(
    wire: a_text_is_answered_and_its_receipt_found,
    long_texts_go_in_parts_with_one_receipt,
    an_answer_that_is_late_is_learned,
    a_lost_link_leaves_unknown_what_it_had_and_the_other_goes_on,
);
