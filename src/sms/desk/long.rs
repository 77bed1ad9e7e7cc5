//! Long texts: each part is sealed and committed before it is acknowledged; the last one is handled with all of them.
//!
//! Parts may come in any order, over any link, to any node, and again. A sender's reference comes round, so a part that is
//! there with other octets belongs to a newer text, and the old parts go. Parts whose others never come are forgotten by the
//! payment core in an hour.

use std::sync::Arc;

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::session::writes::Writes;
use crate::session::{Id, PartRow};
use crate::smpp::long::{Held, join};
use crate::sms::desk::{Error, Inner, count};
use crate::sms::received::{Part, Received, Taken};

/// A part as it is sealed: its coding, its fill bits, its octets.
type Opened = (u8, Zeroizing<Vec<u8>>);

/// `data_coding` and fill bits stand before the octets.
const HEAD: usize = 2;

impl<M: Clone + Send + Sync + 'static> Inner<M> {
    /// Takes a part; the last one that was missing makes the text whole.
    pub(super) async fn take_part(self: &Arc<Self>, received: Received, part: Part) -> Result<Taken, Error> {
        if part.number == 0 || part.number > part.total || part.total > self.settings.parts_max {
            count(&self.counters.silent);
            tracing::info!(from = ?received.from, number = part.number, total = part.total, "a part that cannot be");
            return Ok(Taken::Handled);
        }
        let id = self.mailbox.mac(&[
            b"long",
            received.route.as_bytes(),
            received.from.as_str().as_bytes(),
            received.to.as_bytes(),
            &part.reference.to_be_bytes(),
            &[part.total],
        ]);
        let mut there = self.gather(id).await?;
        let sealed = Zeroizing::new([&[part.data_coding, part.fill], part.octets.as_slice()].concat());
        let had = there.iter().find(|(number, _)| *number == part.number);
        let repeated = had.is_some_and(|(_, octets)| *octets == sealed);
        if !repeated {
            let newer = had.is_some();
            self.keep_part(id, &part, &sealed, newer).await?;
            // Another node may have kept the last but one meanwhile.
            there = self.gather(id).await?;
        }
        let held: Vec<Held> = there.into_iter().map(held).collect();
        let text = match join(part.total, &held, &part.charsets) {
            Ok(Some(decoded)) => decoded.text,
            Ok(None) => {
                count(&self.counters.parts);
                return Ok(if repeated { Taken::Duplicate } else { Taken::Handled });
            }
            Err(why) => {
                count(&self.counters.silent);
                tracing::info!(from = ?received.from, %why, "a long message that is no text");
                String::new()
            }
        };
        let whole = Received { text: Zeroizing::new(text), part: None, ..received };
        self.take_whole(&whole, Some(id)).await
    }

    async fn gather(&self, id: Id) -> Result<Vec<Opened>, Error> {
        let mut there = Vec::new();
        for row in self.mailbox.parts(id).await? {
            let opened = self.mailbox.open(&aad(id, row.number), &row.sealed);
            if let (Ok(number), Some(opened)) = (u8::try_from(row.number), opened) {
                there.push((number, opened));
            }
        }
        Ok(there)
    }

    async fn keep_part(&self, id: Id, part: &Part, plain: &[u8], newer: bool) -> Result<(), Error> {
        let number = i16::from(part.number);
        let row = PartRow {
            message: id,
            number,
            total: i16::from(part.total),
            sealed: self.mailbox.seal(&aad(id, number), plain)?,
            received_at: self.clock.now().0,
        };
        let writes = if newer { Writes::new().without_parts(id) } else { Writes::new() };
        self.mailbox.write(writes.part(row)).await?;
        Ok(())
    }
}

fn held((number, plain): Opened) -> Held {
    let head = |at: usize| plain.get(at).copied().unwrap_or(0);
    let (data_coding, fill) = (head(0), u32::from(head(1)));
    // Its memory is wiped when the last of it is dropped.
    let text = Bytes::from_owner(plain);
    let text = text.slice(HEAD.min(text.len())..);
    Held { part: number, data_coding, text, fill }
}

/// A sealed part opens only in its own place.
fn aad(message: Id, number: i16) -> Vec<u8> {
    [b"part".as_slice(), &message.0, &number.to_be_bytes()].concat()
}
