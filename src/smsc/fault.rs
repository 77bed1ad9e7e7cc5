//! What the sandbox SMSC does wrong on purpose: every Nth time, by the last digits of a number, or by chance from a
//! seed. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Faults of a link and of its PDUs. Zero and `false` mean none. *Every N* counts on from when the fault is set; *at N*
/// happens once, at the Nth time from then, and is cleared.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Every Nth submit is answered with `ESME_RTHROTTLED`.
    pub throttle_every: u64,
    /// So are those over this many in the last second.
    pub throttle_over: u64,
    /// Every Nth submit is answered with `ESME_RMSGQFUL`.
    pub queue_full_every: u64,
    /// Every Nth submit is done but not answered.
    pub drop_response_every: u64,
    /// Every Nth submit is answered late: by `delay_ms`.
    pub delay_every: u64,
    /// How late, in milliseconds.
    pub delay_ms: u64,
    /// Every Nth submit is answered under a sequence number that nobody used.
    pub wrong_sequence_every: u64,
    /// Every Nth submit is answered with `generic_nack`.
    pub nack_every: u64,
    /// So many responses are kept and sent in the reverse order; what is kept goes out after 50 ms at the latest.
    pub reorder: usize,
    /// The next N binds are refused.
    pub refuse_binds: u64,
    /// With this status; `ESME_RBINDFAIL` when 0.
    pub refuse_bind_status: u32,
    /// The Nth PDU is sent by half and the link is silent from there.
    pub half_pdu_at: u64,
    /// Bytes that are no PDU are sent in the place of the Nth.
    pub rubbish_at: u64,
    /// The link is reset in the place of the Nth PDU.
    pub disconnect_at: u64,
    /// Every Nth `deliver_sm` is sent twice, the second time under a new sequence number.
    pub duplicate_every: u64,
    /// Chance that the link is reset in the place of a PDU, of a million.
    pub disconnect_per_million: u64,
    /// What chance is made from.
    pub seed: u64,
    /// Consecutive `deliver_sm` go over the links in turn, so that the parts of a text come over several.
    pub spread: bool,
    /// `enquire_link` is not answered.
    pub deaf: bool,
    /// What a submit to a number is answered with, before anything else; numbers with `+`.
    pub statuses: BTreeMap<String, u32>,
}

/// A fault that has a number of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ByNumber {
    /// The submit is refused with this status.
    Refuse(u32),
    /// The first two submits to the number are refused with this status.
    RefuseTwice(u32),
    /// The receipt has this state.
    State(&'static str),
    /// No receipt.
    NoReceipt,
    /// The receipt comes twice.
    ReceiptTwice,
    /// `ACCEPTD` before the final state.
    Accepted,
    /// The receipt comes before the response.
    ReceiptBefore,
    /// The submit is done but not answered.
    NoResponse,
    /// The submit is answered after `delay_ms`, or 2 s where that is not set.
    Late,
    /// The handset takes no push.
    NoPush,
}

/// Last four digits of a number, what happens to messages for it, in words.
pub const FAULTS: &[(&str, &str)] = &[
    ("7001", "submit refused: invalid destination (ESME_RINVDSTADR)"),
    ("7002", "submit refused: submit failed (ESME_RSUBMITFAIL)"),
    ("7003", "submit refused: system error (ESME_RSYSERR)"),
    ("7004", "submit refused, always: throttled (ESME_RTHROTTLED)"),
    ("7005", "submit refused, always: queue full (ESME_RMSGQFUL)"),
    ("7006", "submit refused twice: queue full; then taken"),
    ("7011", "receipt says UNDELIV"),
    ("7012", "receipt says EXPIRED"),
    ("7013", "receipt says REJECTD"),
    ("7014", "no receipt"),
    ("7015", "receipt twice"),
    ("7016", "receipt ACCEPTD, then DELIVRD"),
    ("7017", "receipt before the response"),
    ("7018", "receipt says UNKNOWN"),
    ("7021", "taken, never answered"),
    ("7022", "taken, answered late (delay_ms, or 2 s)"),
    ("7023", "takes no USSD push"),
];

impl ByNumber {
    /// The fault of a number, by its last digits.
    #[must_use]
    pub fn of(digits: &str) -> Option<Self> {
        Some(match digits.get(digits.len().saturating_sub(4)..)? {
            "7001" => Self::Refuse(0x0b),
            "7002" => Self::Refuse(0x45),
            "7003" => Self::Refuse(0x08),
            "7004" => Self::Refuse(0x58),
            "7005" => Self::Refuse(0x14),
            "7006" => Self::RefuseTwice(0x14),
            "7011" => Self::State("UNDELIV"),
            "7012" => Self::State("EXPIRED"),
            "7013" => Self::State("REJECTD"),
            "7014" => Self::NoReceipt,
            "7015" => Self::ReceiptTwice,
            "7016" => Self::Accepted,
            "7017" => Self::ReceiptBefore,
            "7018" => Self::State("UNKNOWN"),
            "7021" => Self::NoResponse,
            "7022" => Self::Late,
            "7023" => Self::NoPush,
            _ => return None,
        })
    }
}

/// How many of each have passed since the faults were set.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Passed {
    pub(super) submits: u64,
    pub(super) delivers: u64,
    pub(super) pdus: u64,
}

/// What a fault does in the place of a PDU that is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Instead {
    Half,
    Rubbish,
    Reset,
}

impl Faults {
    /// Whether a submit may meet a fault at all.
    pub(super) fn touch_submits(&self) -> bool {
        self.throttle_every != 0
            || self.throttle_over != 0
            || self.queue_full_every != 0
            || self.drop_response_every != 0
            || self.delay_every != 0
            || self.wrong_sequence_every != 0
            || self.nack_every != 0
            || self.reorder != 0
            || self.touch_pdus()
    }

    /// Whether a PDU that is sent may meet a fault.
    pub(super) fn touch_pdus(&self) -> bool {
        self.half_pdu_at != 0
            || self.rubbish_at != 0
            || self.disconnect_at != 0
            || self.disconnect_per_million != 0
    }

    /// What happens in the place of the `n`-th PDU, from 1.
    pub(super) fn instead(&mut self, n: u64) -> Option<Instead> {
        for (at, what) in [
            (&mut self.half_pdu_at, Instead::Half),
            (&mut self.rubbish_at, Instead::Rubbish),
            (&mut self.disconnect_at, Instead::Reset),
        ] {
            if *at != 0 && *at <= n {
                *at = 0;
                return Some(what);
            }
        }
        chance(self.seed, n, self.disconnect_per_million).then_some(Instead::Reset)
    }
}

/// Whether it is the turn of the `n`-th, from 1.
pub(super) const fn turn(every: u64, n: u64) -> bool {
    every != 0 && n.is_multiple_of(every)
}

/// Whether chance hits the `n`-th: the same seed hits the same ones.
pub(super) const fn chance(seed: u64, n: u64, per_million: u64) -> bool {
    mix(seed ^ mix(n)) % 1_000_000 < per_million
}

/// The finaliser of SplitMix64: spreads a counter over all 64 bits.
const fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_has_a_fault() {
        for (suffix, _) in FAULTS {
            assert!(ByNumber::of(&format!("8613800{suffix}")).is_some(), "{suffix}");
        }
        assert_eq!(ByNumber::of("8613800000001"), None);
        assert_eq!(ByNumber::of("1"), None);
    }

    #[test]
    fn chance_keeps_its_seed_and_its_share() {
        let hits = |seed| (0..100_000).filter(|n| chance(seed, *n, 10_000)).collect::<Vec<u64>>();
        assert_eq!(hits(1), hits(1));
        assert_ne!(hits(1), hits(2));
        assert!((850..1_150).contains(&hits(7).len()), "{} of 100000 at 1 %", hits(7).len());
        assert!(!(0..1_000).any(|n| chance(3, n, 0)));
    }

    #[test]
    fn what_happens_once_is_cleared() {
        let mut faults = Faults { rubbish_at: 2, half_pdu_at: 3, ..Faults::default() };
        let seen: Vec<_> = (1..5).map(|n| faults.instead(n)).collect();
        assert_eq!(seen, [None, Some(Instead::Rubbish), Some(Instead::Half), None]);
        assert_eq!(faults, Faults::default());
    }
}
