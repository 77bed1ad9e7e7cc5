//! What a route's links bring: texts to the desk, receipts to the dispatcher, late answers to where they are missed.
//!
//! Each request is answered once, and only when what it causes is committed. An error of ours is answered with a status by
//! which the peer brings it again.

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::session::Id;
use crate::smpp::coding;
use crate::smpp::io::{Event, Handle, LinkId, Ticket, What};
use crate::smpp::long;
use crate::smpp::pdu::{Body, Message, MessageResp};
use crate::smpp::receipt::{self, Sort, State};
use crate::smpp::status;
use crate::smpp::tlv::tag;
use crate::sms::address::Origin;
use crate::sms::desk::Desk;
use crate::sms::dispatch::{Dispatcher, Receipt, Reported};
use crate::sms::received::{Part, Received};
use crate::sms::smpp::{Binds, Dialect, End, printable};

/// Takes what the links of one route bring. Clones are handles on the same one.
pub struct Inlet<M> {
    desk: Desk<M>,
    dispatcher: Dispatcher,
    binds: Binds,
}

impl<M> Clone for Inlet<M> {
    fn clone(&self) -> Self {
        Self { desk: self.desk.clone(), dispatcher: self.dispatcher.clone(), binds: self.binds.clone() }
    }
}

impl<M> std::fmt::Debug for Inlet<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Inlet({})", self.binds.dialect().route)
    }
}

/// What a message of a peer is.
#[derive(Debug)]
pub(super) enum Brought {
    Receipt(Receipt),
    Text(Box<Received>),
    /// Nothing of ours: it is acknowledged.
    Nothing(&'static str),
}

impl<M: Clone + Send + Sync + 'static> Inlet<M> {
    /// The inlet of a route.
    #[must_use]
    pub const fn new(desk: Desk<M>, dispatcher: Dispatcher, binds: Binds) -> Self {
        Self { desk, dispatcher, binds }
    }

    /// Takes an event of a link, in the order in which they come. A request is answered later, by a task of its own; the
    /// link bounds how many wait.
    pub fn take(&self, event: Event) {
        let Event { link, handle, what } = event;
        match what {
            What::Request { ticket, body } => self.request(link, handle, ticket, body),
            What::LateResponse { sequence, status, body } => {
                let Some((text, id)) = self.binds.learned(link, sequence, status, &body) else { return };
                let dispatcher = self.dispatcher.clone();
                tokio::spawn(async move {
                    if let Err(error) = dispatcher.answered_late(text, Some(id)).await {
                        tracing::warn!(%text, %error, "a late answer could not be written");
                    }
                });
            }
            What::Up(_) | What::Notice(_) | What::Down(_) => {}
        }
    }

    /// Takes a request of a peer.
    pub fn request(&self, link: LinkId, handle: Handle, ticket: Ticket, body: Body) {
        let end = self.binds.dialect().end;
        let id = if end == End::Smsc { new_id() } else { Bytes::new() };
        let response = MessageResp { message_id: id, ..MessageResp::default() };
        let (message, answer) = match (body, end) {
            (Body::DeliverSm(message), End::Esme) => (message, Body::DeliverSmResp(MessageResp::default())),
            (Body::SubmitSm(message), End::Smsc) => (message, Body::SubmitSmResp(response)),
            (Body::DataSm(message), _) => (message, Body::DataSmResp(response)),
            (other, _) => {
                let refused = Body::response_of(other.command_id()).unwrap_or(Body::GenericNack);
                handle.respond(ticket, status::RINVCMDID, refused);
                return;
            }
        };
        match brought(self.binds.dialect(), link, &message) {
            Brought::Nothing(why) => {
                tracing::info!(route = %self.binds.dialect().route, why, "a message that is nothing of ours");
                handle.respond(ticket, status::ROK, answer);
            }
            Brought::Receipt(receipt) => {
                let dispatcher = self.dispatcher.clone();
                tokio::spawn(async move {
                    let told = dispatcher.receipt(receipt).await;
                    handle.respond(ticket, status_of(told.is_ok()), answer);
                });
            }
            Brought::Text(received) => {
                // The place in its sender's line is taken now, in the order of the link.
                let taken = self.desk.receive(*received);
                tokio::spawn(async move {
                    let taken = taken.await;
                    handle.respond(ticket, status_of(taken.is_ok()), answer);
                });
            }
        }
    }
}

/// SMPP 3.4 §5.1.3: ESME_RX_T_APPN asks the peer to bring it again.
const fn status_of(done: bool) -> u32 {
    if done { status::ROK } else { status::RX_T_APPN }
}

/// What a message is, on a route that speaks like this.
pub(super) fn brought(dialect: &Dialect, link: LinkId, message: &Message) -> Brought {
    if let Some(read) = receipt::read(message, &dialect.charsets) {
        let id = read.message_id.as_deref().unwrap_or_default();
        let reported = match read.state {
            Some(State::Delivered) if !read.intermediate => Reported::Delivered,
            Some(
                State::Expired | State::Deleted | State::Undeliverable | State::Rejected | State::Skipped,
            ) if !read.intermediate => Reported::Undelivered,
            _ => Reported::UnderWay,
        };
        return Brought::Receipt(Receipt {
            route: dialect.route.clone(),
            message_id: printable(&dialect.ids.of_receipt(id)),
            reported,
            code: read.error.or_else(|| read.state.map(|state| state.word().to_owned())),
        });
    }
    if Sort::of(message.esm_class) != Sort::Message {
        return Brought::Nothing("an acknowledgement of a phone");
    }
    let from = Origin::of(&message.source, &dialect.country);
    let trusted = from.number().is_some_and(|number| dialect.trust.believes(number));
    let content = long::content(message);
    // What the sender gives to tell equal texts apart.
    let mut identity =
        message.tlvs.get(tag::USER_MESSAGE_REFERENCE).map(|value| value.to_vec()).unwrap_or_default();
    let mut received = Received {
        route: dialect.route.clone(),
        link: Id(link.0),
        from,
        to: printable(&message.destination.digits).trim_start_matches('+').to_owned(),
        text: Zeroizing::default(),
        identity: Vec::new(),
        unique: false,
        part: None,
        trusted,
    };
    if let Some(concat) = content.concat.filter(|concat| concat.total > 1) {
        identity.extend_from_slice(&concat.reference.to_be_bytes());
        received.part = Some(Part {
            reference: concat.reference,
            total: concat.total,
            number: concat.part,
            data_coding: message.data_coding,
            fill: u8::try_from(content.fill).unwrap_or(0),
            octets: Zeroizing::new(content.text.to_vec()),
            charsets: dialect.charsets,
        });
        // Each part has a reference of its own; the text has that of its concatenation.
        identity.drain(..identity.len().saturating_sub(2));
    } else {
        match coding::decode_from(message.data_coding, &content.text, content.fill, &dialect.charsets) {
            Ok(decoded) => received.text = Zeroizing::new(decoded.text),
            Err(_) => return Brought::Nothing("no text"),
        }
    }
    received.identity = identity;
    Brought::Text(Box::new(received))
}

/// The id that we give a text of an aggregator.
fn new_id() -> Bytes {
    let mut octets = [0_u8; 8];
    if getrandom::fill(&mut octets).is_err() {
        return Bytes::from_static(b"0");
    }
    octets.iter().fold(String::new(), |id, octet| format!("{id}{octet:02x}")).into()
}

#[cfg(test)]
mod tests;
