//! What a `command_status` is called, and what it means for a message that we sent (SMPP 3.4 §5.1.3, 5.0 §4.7.6).

use std::collections::BTreeSet;

/// Writes the constants and the table of names from one list.
macro_rules! statuses {
    ($($name:ident = $value:literal,)*) => {
        $(
            #[doc = concat!("`ESME_", stringify!($name), "`.")]
            pub const $name: u32 = $value;
        )*
        /// Every status of the two standards with its name there, by number.
        const NAMES: &[(u32, &str)] = &[$(($value, concat!("ESME_", stringify!($name))),)*];
    };
}

statuses! {
    ROK = 0x00,
    RINVMSGLEN = 0x01,
    RINVCMDLEN = 0x02,
    RINVCMDID = 0x03,
    RINVBNDSTS = 0x04,
    RALYBND = 0x05,
    RINVPRTFLG = 0x06,
    RINVREGDLVFLG = 0x07,
    RSYSERR = 0x08,
    RINVSRCADR = 0x0a,
    RINVDSTADR = 0x0b,
    RINVMSGID = 0x0c,
    RBINDFAIL = 0x0d,
    RINVPASWD = 0x0e,
    RINVSYSID = 0x0f,
    RCANCELFAIL = 0x11,
    RREPLACEFAIL = 0x13,
    RMSGQFUL = 0x14,
    RINVSERTYP = 0x15,
    RINVNUMDESTS = 0x33,
    RINVDLNAME = 0x34,
    RINVDESTFLAG = 0x40,
    RINVSUBREP = 0x42,
    RINVESMCLASS = 0x43,
    RCNTSUBDL = 0x44,
    RSUBMITFAIL = 0x45,
    RINVSRCTON = 0x48,
    RINVSRCNPI = 0x49,
    RINVDSTTON = 0x50,
    RINVDSTNPI = 0x51,
    RINVSYSTYP = 0x53,
    RINVREPFLAG = 0x54,
    RINVNUMMSGS = 0x55,
    RTHROTTLED = 0x58,
    RINVSCHED = 0x61,
    RINVEXPIRY = 0x62,
    RINVDFTMSGID = 0x63,
    RX_T_APPN = 0x64,
    RX_P_APPN = 0x65,
    RX_R_APPN = 0x66,
    RQUERYFAIL = 0x67,
    RINVOPTPARSTREAM = 0xc0,
    ROPTPARNOTALLWD = 0xc1,
    RINVPARLEN = 0xc2,
    RMISSINGOPTPARAM = 0xc3,
    RINVOPTPARAMVAL = 0xc4,
    RDELIVERYFAILURE = 0xfe,
    RUNKNOWNERR = 0xff,
    RSERTYPUNAUTH = 0x100,
    RPROHIBITED = 0x101,
    RSERTYPUNAVAIL = 0x102,
    RSERTYPDENIED = 0x103,
    RINVDCS = 0x104,
    RINVSRCADDRSUBUNIT = 0x105,
    RINVDSTADDRSUBUNIT = 0x106,
    RINVBCASTFREQINT = 0x107,
    RINVBCASTALIAS_NAME = 0x108,
    RINVBCASTAREAFMT = 0x109,
    RINVNUMBCAST_AREAS = 0x10a,
    RINVBCASTCNTTYPE = 0x10b,
    RINVBCASTMSGCLASS = 0x10c,
    RBCASTFAIL = 0x10d,
    RBCASTQUERYFAIL = 0x10e,
    RBCASTCANCELFAIL = 0x10f,
    RINVBCAST_REP = 0x110,
    RINVBCASTSRVGRP = 0x111,
    RINVBCASTCHANIND = 0x112,
}

/// The standard's name of a status; nothing for a vendor's or a reserved one.
#[must_use]
pub fn name(status: u32) -> Option<&'static str> {
    let at = NAMES.binary_search_by_key(&status, |(value, _)| *value).ok()?;
    NAMES.get(at).map(|(_, name)| *name)
}

/// A status as a person reads it: the standard's name, or the number.
#[must_use]
pub fn label(status: u32) -> String {
    name(status).map_or_else(|| format!("0x{status:08x}"), str::to_owned)
}

/// What a status means for the message that it answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Taken.
    Ok,
    /// Not taken: the peer's queue or our rate. The whole queue slows down, and the message is sent again.
    Throttled,
    /// Not taken for a passing cause: the message is sent again, later.
    Retry,
    /// Not taken, and would never be.
    Permanent,
    /// Not taken because of the bind: the link has to be seen to, the message goes by another or later.
    BindProblem,
}

impl Kind {
    /// What a status of the standard means. Whatever is not known, vendors' 0x400 to 0x4ff too, is permanent: to send
    /// a text again that the peer will never take only costs.
    #[must_use]
    pub const fn of(status: u32) -> Self {
        match status {
            ROK => Self::Ok,
            RTHROTTLED | RMSGQFUL => Self::Throttled,
            RSYSERR | RX_T_APPN | RDELIVERYFAILURE | RUNKNOWNERR | RSERTYPUNAVAIL => Self::Retry,
            RINVBNDSTS | RALYBND | RBINDFAIL | RINVPASWD | RINVSYSID | RINVSYSTYP => Self::BindProblem,
            _ => Self::Permanent,
        }
    }

    /// Whether the message may be sent again.
    #[must_use]
    pub const fn may_retry(self) -> bool {
        matches!(self, Self::Throttled | Self::Retry | Self::BindProblem)
    }
}

/// What a route knows better about its peer's statuses than the standard.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Kinds {
    /// Statuses that slow the queue down.
    pub throttled: BTreeSet<u32>,
    /// Statuses that pass.
    pub retry: BTreeSet<u32>,
    /// Statuses that never pass, whatever the standard thinks of them.
    pub permanent: BTreeSet<u32>,
}

impl Kinds {
    /// What a status means on this route. `ESME_ROK` stays what it is.
    #[must_use]
    pub fn of(&self, status: u32) -> Kind {
        if status == ROK {
            Kind::Ok
        } else if self.throttled.contains(&status) {
            Kind::Throttled
        } else if self.retry.contains(&status) {
            Kind::Retry
        } else if self.permanent.contains(&status) {
            Kind::Permanent
        } else {
            Kind::of(status)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_and_found() {
        assert!(NAMES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(NAMES.len(), 67, "48 of 3.4 and 19 of 5.0");
        assert_eq!(name(0), Some("ESME_ROK"));
        assert_eq!(name(0x58), Some("ESME_RTHROTTLED"));
        assert_eq!(name(0x112), Some("ESME_RINVBCASTCHANIND"));
        assert_eq!(name(0x400), None);
        assert_eq!((label(0x14), label(0x400)), ("ESME_RMSGQFUL".to_owned(), "0x00000400".to_owned()));
    }

    #[test]
    fn statuses_are_judged_for_what_is_sent() {
        for (status, kind) in [
            (ROK, Kind::Ok),
            (RTHROTTLED, Kind::Throttled),
            (RMSGQFUL, Kind::Throttled),
            (RX_T_APPN, Kind::Retry),
            (RSYSERR, Kind::Retry),
            (RX_P_APPN, Kind::Permanent),
            (RX_R_APPN, Kind::Permanent),
            (RINVDSTADR, Kind::Permanent),
            (RSUBMITFAIL, Kind::Permanent),
            (RINVBNDSTS, Kind::BindProblem),
            (RINVPASWD, Kind::BindProblem),
            (0x400, Kind::Permanent),
            (0x4ff, Kind::Permanent),
            (0xdead, Kind::Permanent),
        ] {
            assert_eq!(Kind::of(status), kind, "{status:#x}");
        }
    }

    #[test]
    fn a_route_may_know_better() {
        let kinds = Kinds {
            throttled: [0x401].into(),
            retry: [0x400, RSUBMITFAIL, ROK].into(),
            permanent: [RUNKNOWNERR].into(),
        };
        assert_eq!(kinds.of(0x400), Kind::Retry);
        assert_eq!(kinds.of(0x401), Kind::Throttled);
        assert_eq!(kinds.of(RSUBMITFAIL), Kind::Retry);
        assert_eq!(kinds.of(RUNKNOWNERR), Kind::Permanent);
        assert_eq!(kinds.of(RTHROTTLED), Kind::Throttled);
        assert_eq!(kinds.of(ROK), Kind::Ok, "taken is taken");
    }
}
