//! The sandbox provider's own messages about reservations, signed as the connector's file says.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::connector::key;
use crate::connector::key::Encoding;
use crate::connector::sandbox::book::Record;
use crate::connector::sandbox::provider::fault::WrongNews;
use crate::connector::sandbox::provider::{Holder, shown};
use crate::connector::sandbox::{SIGNATURE_HEADER, TIMESTAMP_HEADER};

impl Holder {
    /// Tells of a reservation as it stands now, if anybody is to be told.
    pub(super) fn tell(self: &Arc<Self>, record: &Record) {
        let Some(url) = self.config.callback_url.clone() else { return };
        let wrong = WrongNews::of(&record.msisdn);
        let mut messages = vec![shown(record)];
        match wrong {
            Some(WrongNews::Thrice) => messages.extend([shown(record), shown(record)]),
            Some(WrongNews::Reordered) => messages.extend(before(record).map(|before| shown(&before))),
            Some(WrongNews::Stranger) => {
                let reference = "00000000-0000-0000-0000-000000000000".to_owned();
                messages.push(shown(&Record { reference, ..record.clone() }));
            }
            Some(WrongNews::Amount) => {
                for fields in messages.iter_mut().filter_map(Value::as_object_mut) {
                    fields.insert("amount".to_owned(), json!("1.00"));
                }
            }
            Some(WrongNews::None) => return,
            Some(WrongNews::Only | WrongNews::Unsigned) | None => {}
        }
        let (holder, stop) = (Arc::clone(self), self.stop.clone());
        self.tracker.spawn(async move {
            let sending = async {
                for message in messages {
                    holder.send(&url, &message, wrong == Some(WrongNews::Unsigned)).await;
                }
            };
            tokio::select! {
                () = sending => {}
                () = stop.cancelled() => {}
            }
        });
    }

    async fn send(&self, url: &str, message: &Value, wrongly: bool) {
        let body = message.to_string();
        let timestamp = self.config.clock.now().0.div_euclid(1_000_000).to_string();
        let over = if wrongly { body.clone() } else { format!("{timestamp}.{body}") };
        let signature = key::sign(&self.config.key, over.as_bytes(), Encoding::Hex);
        let sent = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .header(SIGNATURE_HEADER, signature)
            .header(TIMESTAMP_HEADER, timestamp)
            .body(body)
            .send()
            .await;
        if let Err(error) = sent {
            tracing::warn!(error = %error.without_url(), "a callback of the sandbox provider was not taken");
        }
    }
}

/// The reservation as it stood before.
fn before(record: &Record) -> Option<Record> {
    let (state, code) = match record.state.as_str() {
        "reserved" => ("pending", "PENDING"),
        "captured" | "released" => ("reserved", "RESERVED"),
        "refunded" => ("captured", "CAPTURED"),
        _ => return None,
    };
    Some(Record { state: state.to_owned(), code: code.to_owned(), ..record.clone() })
}
