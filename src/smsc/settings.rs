//! What the sandbox SMSC can be told: who may bind, how it speaks USSD, what its ids and receipts look like.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Clock;
use crate::smsc::fault::Faults;

/// How the sandbox runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its log, one JSON line an event, made when it is not there and continued when it is.
    pub log: PathBuf,
    /// The time.
    pub clock: Clock,
    /// What can be changed while it runs, by `POST /settings`.
    pub settings: Settings,
    /// What it does wrong, by `POST /faults`.
    pub faults: Faults,
    /// Counts submits and answers them without looking at them: a peer for measuring.
    pub discard: bool,
    /// Also logs the texts that handsets send. They may be PINs.
    pub log_text: bool,
    /// The number behind the first message id; from the time of the start when `None`, so that ids of two runs differ.
    pub first_id: Option<u64>,
}

impl Config {
    /// A well-behaved SMSC with its log in `log`.
    #[must_use]
    pub fn new(log: PathBuf, clock: Clock) -> Self {
        Self {
            log,
            clock,
            settings: Settings::default(),
            faults: Faults::default(),
            discard: false,
            log_text: false,
            first_id: None,
        }
    }
}

/// Who may bind.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// At most 15 octets (SMPP 3.4 §5.2.1).
    pub system_id: String,
    /// At most 8 octets (§5.2.2). It protects nothing: the sandbox moves no money.
    pub password: String,
}

/// How the network marks a USSD dialogue on the wire.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// `its_session_info`: a session number, then a sequence number of 7 bits and the end bit (SMPP 3.4 §5.3.2.43).
    #[default]
    Spec,
    /// `its_session_info` read as an id of 15 bits and the end bit; abort is op 0x81 (SixDee).
    Its15,
    /// `user_message_reference` names the dialogue; abort is op 0x81 (MICA).
    Umr,
    /// As `its15`, but both sides go on with op 2 and only the end bit closes (Tata).
    Tata,
    /// No session field at all: number and code are all there is (a Huawei gateway's capture).
    None,
}

/// A choice between two writings of a number.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ids {
    /// `1a2b`.
    #[default]
    Hex,
    /// `6699`.
    Decimal,
    /// `0000001A2B`: upper case, ten digits.
    Padded,
}

impl Ids {
    /// Writes one.
    #[must_use]
    pub fn write(self, id: u64) -> String {
        match self {
            Self::Hex => format!("{id:x}"),
            Self::Decimal => id.to_string(),
            Self::Padded => format!("{id:010X}"),
        }
    }
}

/// Which `data_coding` USSD texts have.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UssdCoding {
    /// A cell broadcast scheme: 0x0f for GSM 03.38, 0x48 for UCS-2 (3GPP TS 23.038 §5).
    #[default]
    Cbs,
    /// SMPP's own: 0 and 8.
    Smpp,
}

/// How an MO text of several parts goes to the ESME.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Parts {
    /// A header with a reference of 8 bits.
    #[default]
    Udh8,
    /// A header with a reference of 16 bits.
    Udh16,
    /// The `sar_*` parameters.
    Sar,
    /// One PDU with `message_payload`.
    Payload,
}

/// Where a dialled code stands in the `deliver_sm` that begins a dialogue.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CodeIn {
    /// In the text, as dialled; the address is its first digits.
    #[default]
    Text,
    /// In the address, as dialled; the text is empty.
    Address,
}

/// What a receipt says where (SMPP 3.4 Appendix B, §5.3.2.12).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReceiptForm {
    /// `receipted_message_id` and `message_state` beside the text.
    #[default]
    Both,
    /// Only the parameters.
    Tlv,
    /// Only the text.
    Text,
}

/// Which receipts come, and when.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Receipts {
    /// One, with the final state.
    #[default]
    Once,
    /// The same one twice.
    Twice,
    /// `ACCEPTD`, then the final state.
    Accepted,
    /// One, before the response to the submit.
    Before,
    /// None, though asked for.
    Never,
    /// One that says `UNDELIV`.
    Undelivered,
}

/// What can be changed while it runs. Times are milliseconds.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Its own name in responses to binds.
    pub system_id: String,
    /// Who may bind; empty for everybody.
    pub accounts: Vec<Account>,
    /// Binds at once under one system id.
    pub binds_max: usize,
    /// `sc_interface_version` in responses to binds; 0 for none.
    pub interface_version: u8,
    /// After so much silence it sends `enquire_link`; 0 for never.
    pub enquire_ms: u64,
    /// A request without a response for so long: an `enquire_link` closes the link, a `deliver_sm` is sent again.
    pub response_ms: u64,
    /// Unanswered `deliver_sm` on one link at once.
    pub window: usize,
    /// How ids are written in responses.
    pub ids: Ids,
    /// How they are written in receipts; as in responses when `null`.
    pub receipt_ids: Option<Ids>,
    /// Which receipts come.
    pub receipts: Receipts,
    /// What they look like.
    pub receipt_form: ReceiptForm,
    /// Receipts come by `data_sm`, their text in `message_payload`.
    pub receipts_by_data_sm: bool,
    /// How long a message takes to its handset.
    pub receipt_ms: u64,
    /// How long MO texts are cut.
    pub parts: Parts,
    /// A message that the ESME refused for now (`ESME_RX_T_APPN` and its like) comes again after this time.
    pub again_ms: u64,
    /// How often it comes again.
    pub again_max: u32,
    /// How USSD dialogues are marked.
    pub profile: Profile,
    /// `data_coding` of USSD texts.
    pub ussd_coding: UssdCoding,
    /// Where the dialled code stands.
    pub code_in: CodeIn,
    /// `service_type` of USSD.
    pub ussd_service_type: String,
    /// The network ends a dialogue when the ESME lets it wait for so long.
    pub screen_ms: u64,
    /// The network ends a dialogue when the handset lets it wait for so long.
    pub user_ms: u64,
    /// `ussd_service_op` of an abort, where the profile has one and another is wanted.
    pub abort_op: Option<u8>,
    /// `congestion_state` in responses to submits, 0 to 100 (SMPP 5.0 §4.8.4.18).
    pub congestion: Option<u8>,
    /// What an `outbind` says.
    pub outbind_password: String,
    /// Whether handsets take a dialogue that the ESME begins.
    pub pushes: bool,
    /// The next dialogue's number, to make two dialogues share one; `null` for the next free.
    pub next_dialogue: Option<u16>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            system_id: "sandbox".to_owned(),
            accounts: vec![Account { system_id: "keytone".to_owned(), password: "sandbox".to_owned() }],
            binds_max: 16,
            interface_version: 0x34,
            enquire_ms: 30_000,
            response_ms: 10_000,
            window: 10,
            ids: Ids::Hex,
            receipt_ids: None,
            receipts: Receipts::Once,
            receipt_form: ReceiptForm::Both,
            receipts_by_data_sm: false,
            receipt_ms: 100,
            parts: Parts::Udh8,
            again_ms: 500,
            again_max: 5,
            profile: Profile::Spec,
            ussd_coding: UssdCoding::Cbs,
            code_in: CodeIn::Text,
            ussd_service_type: "USSD".to_owned(),
            screen_ms: 25_000,
            user_ms: 120_000,
            abort_op: None,
            congestion: None,
            outbind_password: "sandbox".to_owned(),
            pushes: true,
            next_dialogue: None,
        }
    }
}

/// Lays the members of `change` over `current`, as `POST /settings` and `POST /faults` do.
///
/// # Errors
/// What is wrong with a member, in words.
pub fn merge<T: Serialize + for<'de> Deserialize<'de>>(current: &T, change: &Value) -> Result<T, String> {
    let Value::Object(change) = change else { return Err("expected a JSON object".to_owned()) };
    let mut whole = serde_json::to_value(current).map_err(|e| e.to_string())?;
    if let Value::Object(members) = &mut whole {
        members.extend(change.clone());
    }
    serde_json::from_value(whole).map_err(|e| e.to_string())
}

/// Reads `name=value` as on the command line: a JSON value, or else a text.
///
/// # Errors
/// When there is no `=`.
pub fn assignment(text: &str) -> Result<Value, String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("expected name=value, not {text}"))?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    Ok(Value::Object([(name.to_owned(), value)].into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changes_are_laid_over_and_faults_in_them_told() {
        let changed = merge(&Settings::default(), &json!({ "profile": "umr", "ids": "decimal" })).unwrap();
        assert_eq!((changed.profile, changed.ids, changed.window), (Profile::Umr, Ids::Decimal, 10));
        assert!(merge(&changed, &json!({ "profil": "umr" })).unwrap_err().contains("profil"));
        assert!(merge(&changed, &json!({ "profile": "x" })).unwrap_err().contains("its15"));
        assert!(merge(&changed, &json!([])).is_err());
    }

    #[test]
    fn assignments_are_json_or_text() {
        assert_eq!(assignment("throttle_every=5").unwrap(), json!({ "throttle_every": 5 }));
        assert_eq!(assignment("profile=its15").unwrap(), json!({ "profile": "its15" }));
        assert_eq!(assignment("pushes=false").unwrap(), json!({ "pushes": false }));
        assert!(assignment("pushes").is_err());
    }

    #[test]
    fn ids_are_written_as_told() {
        let written: Vec<_> = [Ids::Hex, Ids::Decimal, Ids::Padded].iter().map(|i| i.write(6_699)).collect();
        assert_eq!(written, ["1a2b", "6699", "0000001A2B"]);
    }
}
