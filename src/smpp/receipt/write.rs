//! A receipt for who bound to us: the text of appendix B, and the parameters that say the same.

use bytes::Bytes;

use crate::smpp::pdu::{Address, Message};
use crate::smpp::receipt::State;
use crate::smpp::time;
use crate::smpp::tlv::{Tlvs, tag};

/// Characters of the message's own text that appendix B has.
const TEXT: usize = 20;

/// What a receipt tells.
#[derive(Clone, Debug)]
pub struct Report {
    /// The id that our `submit_sm_resp` gave.
    pub message_id: Bytes,
    /// Where the message is.
    pub state: State,
    /// The network's error, 0 to 999; 0 for none.
    pub error: u16,
    /// When it was submitted, microseconds UTC.
    pub submitted_at: i64,
    /// When it came to its end, microseconds UTC.
    pub done_at: i64,
    /// How the message's own text begins; all but printable ASCII is written as `?`.
    pub text: String,
}

/// The `deliver_sm` of a receipt from the message's destination to its source.
#[must_use]
pub fn written(report: &Report, from: Address, to: Address) -> Message {
    let delivered = u8::from(report.state == State::Delivered);
    let plain = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    let text: String = report.text.chars().take(TEXT).map(plain).collect();
    let id: String = report.message_id.iter().map(|octet| char::from(*octet)).collect();
    let short_message = format!(
        "id:{id} sub:001 dlvrd:{delivered:03} submit date:{} done date:{} stat:{} err:{:03} text:{text}",
        minutes(report.submitted_at),
        minutes(report.done_at),
        report.state.word(),
        report.error,
    );
    let mut tlvs = Tlvs::default();
    tlvs.push(tag::RECEIPTED_MESSAGE_ID, [report.message_id.as_ref(), &[0]].concat());
    tlvs.push(tag::MESSAGE_STATE, vec![report.state.number()]);
    if report.error != 0 {
        let [high, low] = report.error.to_be_bytes();
        // §5.3.2.31: a GSM network.
        tlvs.push(tag::NETWORK_ERROR_CODE, vec![3, high, low]);
    }
    Message {
        source: from,
        destination: to,
        esm_class: 0x04,
        short_message: short_message.into(),
        tlvs,
        ..Message::default()
    }
}

/// `YYMMDDhhmm`.
fn minutes(at: i64) -> String {
    let [year, month, day, hour, minute, _] = time::civil(at.div_euclid(1_000_000));
    format!("{:02}{month:02}{day:02}{hour:02}{minute:02}", year.rem_euclid(100))
}
