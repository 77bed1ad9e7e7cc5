//! Long texts: each part is sealed and committed before it is acknowledged; the last one is handled with all of them.
//!
//! Parts may come in any order, over any link, to any node, and again. A sender's reference comes round, so a part that is
//! there with other words belongs to a newer text, and the old parts go. Parts whose others never come are forgotten by the
//! payment core in an hour.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::session::writes::Writes;
use crate::session::{Id, PartRow};
use crate::sms::desk::{Error, Inner, count};
use crate::sms::received::{Part, Received, Taken};

/// A long text as far as it is there.
struct Long {
    id: Id,
    /// By number, from 1; `None` where a part is missing.
    parts: Vec<Option<Zeroizing<Vec<u8>>>>,
}

impl Long {
    fn whole(&self) -> Option<Zeroizing<String>> {
        let mut text = Zeroizing::new(String::new());
        // So that no copy of it stays behind when it grows.
        text.reserve_exact(self.parts.iter().flatten().map(|part| part.len()).sum());
        for part in &self.parts {
            text.push_str(std::str::from_utf8(part.as_ref()?).ok()?);
        }
        Some(text)
    }
}

impl<M: Clone + Send + Sync + 'static> Inner<M> {
    /// Takes a part; the last one that was missing makes the text whole.
    pub(super) async fn take_part(
        self: &Arc<Self>,
        mut received: Received,
        part: Part,
    ) -> Result<Taken, Error> {
        let Part { reference, total, number } = part;
        if total <= 1 {
            received.part = None;
            return self.take_whole(&received, None).await;
        }
        if number == 0 || number > total || total > self.settings.parts_max {
            count(&self.counters.silent);
            tracing::info!(from = ?received.from, number, total, "a part that cannot be");
            return Ok(Taken::Handled);
        }
        let id = self.mailbox.mac(&[
            b"long",
            received.route.as_bytes(),
            received.from.as_str().as_bytes(),
            received.to.as_bytes(),
            &reference.to_be_bytes(),
            &[total],
        ]);
        let mut long = self.gather(id, total).await?;
        let at = usize::from(number) - 1;
        let had = long.parts.get(at).and_then(Option::as_ref);
        let repeated = had.is_some_and(|had| had.as_slice() == received.text.as_bytes());
        if !repeated {
            let newer = had.is_some();
            self.keep(&long, &received, part, newer).await?;
            // Another node may have kept the last but one meanwhile.
            long = self.gather(id, total).await?;
        }
        let Some(text) = long.whole() else {
            count(&self.counters.parts);
            return Ok(if repeated { Taken::Duplicate } else { Taken::Handled });
        };
        received.text = text;
        received.part = None;
        self.take_whole(&received, Some(id)).await
    }

    async fn gather(&self, id: Id, total: u8) -> Result<Long, Error> {
        let mut parts = vec![None; usize::from(total)];
        for row in self.mailbox.parts(id).await? {
            let opened = self.mailbox.open(&aad(id, row.number), &row.sealed);
            let at = usize::try_from(row.number).ok().and_then(|number| number.checked_sub(1));
            if let (Some(place), Some(opened)) = (at.and_then(|at| parts.get_mut(at)), opened) {
                *place = Some(opened);
            }
        }
        Ok(Long { id, parts })
    }

    async fn keep(&self, long: &Long, received: &Received, part: Part, newer: bool) -> Result<(), Error> {
        let number = i16::from(part.number);
        let row = PartRow {
            message: long.id,
            number,
            total: i16::from(part.total),
            sealed: self.mailbox.seal(&aad(long.id, number), received.text.as_bytes())?,
            received_at: self.clock.now().0,
        };
        let mut writes = Writes::new();
        if newer {
            writes = writes.without_parts(long.id);
        }
        self.mailbox.write(writes.part(row)).await?;
        Ok(())
    }
}

/// A sealed part opens only in its own place.
fn aad(message: Id, number: i16) -> Vec<u8> {
    [b"part".as_slice(), &message.0, &number.to_be_bytes()].concat()
}
