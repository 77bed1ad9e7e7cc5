//! Texts and receipts as providers send them, read into what a desk takes. Pure.

use zeroize::Zeroizing;

use crate::http::form::{Bad, Fields};
use crate::sms::dispatch::Reported;

/// The longest id of a message, bytes.
pub const ID_BYTES_MAX: usize = 128;
/// The longest reason of a receipt that is kept, bytes.
const CODE_BYTES_MAX: usize = 64;

/// A text as it arrived.
#[derive(Clone, Eq, PartialEq)]
pub struct Arrived {
    /// Who wrote it, as the provider writes numbers.
    pub from: String,
    /// What it was sent to.
    pub to: String,
    /// What it says.
    pub text: Zeroizing<String>,
    /// The provider's id for it, by which a repetition is known; none where it gives none.
    pub id: Option<String>,
}

/// A receipt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Receipt {
    /// The id that the provider gave the text, or ours, where it took it.
    pub id: String,
    /// What became of it.
    pub reported: Reported,
    /// Why not, in the provider's words.
    pub code: Option<String>,
}

/// Names of the query's fields in which Kannel puts what it heard, as its `get-url` has them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Names {
    /// `%p`.
    pub from: String,
    /// `%P`.
    pub to: String,
    /// `%b`.
    pub text: String,
    /// `%I`.
    pub id: String,
    /// `%C`.
    pub charset: String,
    /// `%c`.
    pub coding: String,
}

impl Default for Names {
    /// `from=%p&to=%P&text=%b&id=%I&charset=%C&coding=%c`.
    fn default() -> Self {
        let [from, to, text, id, charset, coding] =
            ["from", "to", "text", "id", "charset", "coding"].map(str::to_owned);
        Self { from, to, text, id, charset, coding }
    }
}

/// Reads a text in the form of Africa's Talking: `from`, `to`, `text`, `id`.
///
/// # Errors
/// In words, when a field is missing or cannot be read.
pub fn africastalking(fields: &Fields) -> Result<Arrived, Bad> {
    arrived(fields, ["from", "to", "text", "id"], true)
}

/// Reads a text in Twilio's form: `From`, `To`, `Body`, `MessageSid`.
///
/// # Errors
/// As [`africastalking`].
pub fn twilio(fields: &Fields) -> Result<Arrived, Bad> {
    arrived(fields, ["From", "To", "Body", "MessageSid"], true)
}

/// Reads a text as Kannel's `get-url` gives it, in the charset that it names.
///
/// # Errors
/// As [`africastalking`], and when the text is binary.
pub fn kannel(fields: &Fields, names: &Names) -> Result<Arrived, Bad> {
    let charset = fields.text(&names.charset)?.unwrap_or_default().to_ascii_uppercase();
    let coding = fields.text(&names.coding)?.unwrap_or_default();
    let bytes = fields.bytes(&names.text)?.ok_or_else(|| Bad::Missing(names.text.clone()))?;
    let bad = |expected| Bad::Value { field: names.text.clone(), expected };
    let text = match charset.as_str() {
        "UTF-16BE" | "UCS-2" | "UCS-2BE" => utf16(bytes).ok_or_else(|| bad("UTF-16"))?,
        "ISO-8859-1" | "LATIN1" => Zeroizing::new(bytes.iter().map(|byte| char::from(*byte)).collect()),
        _ if coding == "1" => return Err(bad("no binary text")),
        _ => Zeroizing::new(
            std::str::from_utf8(bytes).map_err(|_| Bad::NotUtf8(names.text.clone()))?.to_owned(),
        ),
    };
    let (from, to) = (fields.needed(&names.from)?.to_owned(), fields.needed(&names.to)?.to_owned());
    Ok(Arrived { from, to, text, id: id(fields, &names.id)? })
}

fn utf16(bytes: &[u8]) -> Option<Zeroizing<String>> {
    let units = bytes.chunks_exact(2);
    if !units.remainder().is_empty() {
        return None;
    }
    let units = units.filter_map(|pair| pair.try_into().ok()).map(u16::from_be_bytes);
    char::decode_utf16(units).collect::<Result<String, _>>().ok().map(Zeroizing::new)
}

fn arrived(fields: &Fields, names: [&str; 4], with_id: bool) -> Result<Arrived, Bad> {
    let [from, to, text, name] = names;
    let (from, to) = (fields.needed(from)?.to_owned(), fields.needed(to)?.to_owned());
    // A text may be empty; a form without one is another form.
    let text = fields.text(text)?.ok_or_else(|| Bad::Missing(text.to_owned()))?;
    let id = id(fields, name)?;
    if with_id && id.is_none() {
        return Err(Bad::Missing(name.to_owned()));
    }
    Ok(Arrived { from, to, text: Zeroizing::new(text.to_owned()), id })
}

fn id(fields: &Fields, name: &str) -> Result<Option<String>, Bad> {
    let id = fields.text(name)?.filter(|id| !id.is_empty());
    match id {
        Some(id) if id.len() > ID_BYTES_MAX => {
            Err(Bad::Value { field: name.to_owned(), expected: "at most 128 bytes" })
        }
        id => Ok(id.map(str::to_owned)),
    }
}

fn needed_id(fields: &Fields, name: &str) -> Result<String, Bad> {
    id(fields, name)?.ok_or_else(|| Bad::Missing(name.to_owned()))
}

/// A reason, cut to what is kept.
pub(super) fn short(text: &str) -> Option<String> {
    let text = text.trim();
    let end = text.floor_char_boundary(CODE_BYTES_MAX);
    text.get(..end).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Reads a receipt in the form of Africa's Talking: `id`, `status`, `failureReason`.
///
/// # Errors
/// As [`africastalking`].
pub fn africastalking_receipt(fields: &Fields) -> Result<Receipt, Bad> {
    let id = needed_id(fields, "id")?;
    let status = fields.needed("status")?;
    let reported = match status {
        "Success" => Reported::Delivered,
        "Failed" | "Rejected" | "Expired" => Reported::Undelivered,
        // Sent, Submitted, Buffered, AbsentSubscriber; and words that are not in the documents decide nothing.
        _ => Reported::UnderWay,
    };
    let reason = fields.text("failureReason")?.filter(|reason| !reason.is_empty()).unwrap_or(status);
    Ok(Receipt { id, reported, code: short(reason).filter(|_| reported == Reported::Undelivered) })
}

/// Reads a receipt in Twilio's form: `MessageSid`, `MessageStatus`, `ErrorCode`.
///
/// # Errors
/// As [`africastalking`].
pub fn twilio_receipt(fields: &Fields) -> Result<Receipt, Bad> {
    let id = needed_id(fields, "MessageSid")?;
    let status = fields.needed("MessageStatus")?;
    let reported = match status {
        "delivered" | "read" => Reported::Delivered,
        "undelivered" | "failed" | "canceled" => Reported::Undelivered,
        // accepted, scheduled, queued, sending, sent.
        _ => Reported::UnderWay,
    };
    let reason = fields.text("ErrorCode")?.filter(|reason| !reason.is_empty()).unwrap_or(status);
    Ok(Receipt { id, reported, code: short(reason).filter(|_| reported == Reported::Undelivered) })
}

/// Reads what Kannel makes of the `dlr-url` that we gave it: `id`, `status` (`%d`), `answer` (`%A`).
///
/// # Errors
/// As [`africastalking`].
pub fn kannel_receipt(fields: &Fields) -> Result<Receipt, Bad> {
    let id = needed_id(fields, "id")?;
    let reported = match fields.needed("status")? {
        "1" => Reported::Delivered,
        // Undelivered, and refused by the SMSC.
        "2" | "16" => Reported::Undelivered,
        // Buffered, and taken by the SMSC.
        "4" | "8" => Reported::UnderWay,
        _ => return Err(Bad::Value { field: "status".to_owned(), expected: "1, 2, 4, 8 or 16" }),
    };
    // The SMSC's words are in no certain charset and may hold the text itself behind `text:`.
    let words = String::from_utf8_lossy(fields.bytes("answer")?.unwrap_or_default()).into_owned();
    let lower = words.to_ascii_lowercase();
    let words = lower.find("text:").and_then(|at| words.get(..at)).unwrap_or(&words);
    Ok(Receipt { id, reported, code: short(words).filter(|_| reported == Reported::Undelivered) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(form: &str) -> Fields {
        Fields::parse(form.as_bytes()).unwrap()
    }

    fn words<T>(result: Result<T, Bad>) -> String {
        result.err().map(|bad| bad.to_string()).unwrap_or_default()
    }

    #[test]
    fn texts_are_read_as_each_provider_writes_them() {
        let wanted = |text: &str, id: Option<&str>| Arrived {
            from: "+254711000111".to_owned(),
            to: "12580".to_owned(),
            text: Zeroizing::new(text.to_owned()),
            id: id.map(str::to_owned),
        };
        let at = "from=%2B254711000111&to=12580&text=RC+50+%2B%C3%A9&date=2026-11-29&id=m1&linkId=l1";
        assert!(africastalking(&fields(at)).unwrap() == wanted("RC 50 +é", Some("m1")));
        let empty = "From=%2B254711000111&To=12580&Body=&MessageSid=SM1&NumMedia=0";
        assert!(twilio(&fields(empty)).unwrap() == wanted("", Some("SM1")));
        // As smsbox 1.4.5 sent it.
        let sent = "from=%2B254711000111&to=12580&text=RC+50+%2B+100%25&id=5fd43acd&charset=UTF-8&coding=0";
        let names = Names::default();
        assert!(kannel(&fields(sent), &names).unwrap() == wanted("RC 50 + 100%", Some("5fd43acd")));
        let wide = "from=%2B254711000111&to=12580&text=%51%45%50%3C%00%20%00%35&charset=UTF-16BE&coding=2";
        assert!(kannel(&fields(wide), &names).unwrap() == wanted("充值 5", None));
        let latin = "from=%2B254711000111&to=12580&text=caf%e9&charset=ISO-8859-1";
        assert!(kannel(&fields(latin), &names).unwrap() == wanted("café", None));
        let own = Names { from: "sender".into(), text: "body".into(), id: "mid".into(), ..names };
        let renamed = "sender=%2B254711000111&to=12580&body=x&mid=7";
        assert!(kannel(&fields(renamed), &own).unwrap() == wanted("x", Some("7")));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(words(africastalking(&fields("to=1&text=x&id=1"))), "expected a field from");
        assert_eq!(words(africastalking(&fields("from=1&to=1&id=1"))), "expected a field text");
        assert_eq!(words(africastalking(&fields("from=1&to=1&text=x"))), "expected a field id");
        assert_eq!(
            words(twilio(&fields("From=1&To=1&Body=%ff&MessageSid=1"))),
            "expected UTF-8 in the field Body"
        );
        let long = format!("from=1&to=1&text=x&id={}", "9".repeat(ID_BYTES_MAX + 1));
        assert_eq!(words(africastalking(&fields(&long))), "expected at most 128 bytes in the field id");
        let names = Names::default();
        for (form, wanted) in [
            ("from=1&to=2&text=%05%00&coding=1", "expected no binary text in the field text"),
            ("from=1&to=2&text=%05&charset=UTF-16BE", "expected UTF-16 in the field text"),
            ("from=1&to=2&text=%d8%00&charset=UTF-16BE", "expected UTF-16 in the field text"),
            ("from=1&to=2&text=%e9", "expected UTF-8 in the field text"),
            ("from=1&to=2", "expected a field text"),
        ] {
            assert_eq!(words(kannel(&fields(form), &names)), wanted, "{form}");
        }
    }

    #[test]
    fn receipts_say_what_became_of_a_text() {
        type Read = fn(&Fields) -> Result<Receipt, Bad>;
        let cases: &[(Read, &str, Reported, Option<&str>)] = &[
            (
                africastalking_receipt,
                "id=a&status=Success&phoneNumber=%2B254711000111",
                Reported::Delivered,
                None,
            ),
            (
                africastalking_receipt,
                "id=a&status=Failed&failureReason=UserInBlackList",
                Reported::Undelivered,
                Some("UserInBlackList"),
            ),
            (
                africastalking_receipt,
                "id=a&status=Rejected&failureReason=",
                Reported::Undelivered,
                Some("Rejected"),
            ),
            (africastalking_receipt, "id=a&status=Buffered", Reported::UnderWay, None),
            (africastalking_receipt, "id=a&status=Surprise", Reported::UnderWay, None),
            (twilio_receipt, "MessageSid=a&MessageStatus=delivered", Reported::Delivered, None),
            (
                twilio_receipt,
                "MessageSid=a&MessageStatus=undelivered&ErrorCode=30003",
                Reported::Undelivered,
                Some("30003"),
            ),
            (twilio_receipt, "MessageSid=a&MessageStatus=sent", Reported::UnderWay, None),
            (kannel_receipt, "id=a&status=1&answer=", Reported::Delivered, None),
            (kannel_receipt, "id=a&status=8&answer=ACK%2F", Reported::UnderWay, None),
            (kannel_receipt, "id=a&status=4", Reported::UnderWay, None),
            (
                kannel_receipt,
                "id=a&status=2&answer=err%3A011+Text%3A4321",
                Reported::Undelivered,
                Some("err:011"),
            ),
            (
                kannel_receipt,
                "id=a&status=16&answer=NACK%2F%ff",
                Reported::Undelivered,
                Some("NACK/\u{fffd}"),
            ),
        ];
        for (read, form, reported, code) in cases {
            let wanted = Receipt { id: "a".to_owned(), reported: *reported, code: code.map(str::to_owned) };
            assert_eq!(read(&fields(form)), Ok(wanted), "{form}");
        }
        assert_eq!(
            words(kannel_receipt(&fields("id=a&status=3"))),
            "expected 1, 2, 4, 8 or 16 in the field status"
        );
        assert_eq!(words(twilio_receipt(&fields("MessageStatus=sent"))), "expected a field MessageSid");
        let long = format!("id=a&status=Failed&failureReason={}", "é".repeat(100));
        let kept = africastalking_receipt(&fields(&long)).unwrap().code.unwrap();
        assert_eq!(kept, "é".repeat(32));
    }
}
