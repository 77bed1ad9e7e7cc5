//! Whether a text that came before is the same one delivered again, or the caller says the same thing twice.
//!
//! SMPP 3.4 gives a delivered message no id, and a peer that missed our response delivers it again, perhaps over another
//! link. So an equal text (same route, sender, number of ours, references and content) is judged by its age and by the link
//! that it came by. A pure table; nothing here reads a clock or a link.
//!
//! | a thread waits for an answer | age | the other link | verdict |
//! |---|---|---|---|
//! | yes | under 10 s | any | duplicate |
//! | yes | 10 s to 10 min | is gone | told again: the question, with nothing done |
//! | yes | 10 s to 10 min | any, and we refused it | told again |
//! | yes | 10 s to 10 min | is up, or is this one | new: `1` answers one menu after another |
//! | no | under 60 s | any | duplicate |
//! | any | older | any | new |
//!
//! One that we refused, since the database went away, may be committed all the same, and the network brings it again when
//! it likes.
//!
//! A text that was told again is recorded with the link that it came by the second time, so the next equal one counts.

use std::time::Duration;

/// How long an equal text is the same text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Windows {
    /// While a thread waits for an answer.
    pub answer: Duration,
    /// The same, when the link that the first one came by is gone.
    pub redelivered: Duration,
    /// A command that begins a thread.
    pub command: Duration,
}

impl Default for Windows {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(10),
            redelivered: Duration::from_secs(600),
            command: Duration::from_secs(60),
        }
    }
}

/// An equal text that came before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Seen {
    /// How long ago.
    pub age: Duration,
    /// Whether it came by another link, which is not up any more.
    pub link_gone: bool,
    /// Whether we asked the network to bring it again, without knowing whether it was committed.
    pub refused: bool,
}

/// What an equal text is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Another text: handle it.
    New,
    /// The same text: acknowledge it and do nothing.
    Duplicate,
    /// Perhaps the same: tell the present question again and do nothing else.
    ToldAgain,
}

impl Windows {
    /// Judges a text; `waiting` when its thread waits for an answer.
    #[must_use]
    pub fn judge(&self, seen: Option<Seen>, waiting: bool) -> Verdict {
        let Some(seen) = seen else { return Verdict::New };
        match waiting {
            true if seen.age < self.answer => Verdict::Duplicate,
            true if (seen.link_gone || seen.refused) && seen.age < self.redelivered => Verdict::ToldAgain,
            false if seen.age < self.command => Verdict::Duplicate,
            _ => Verdict::New,
        }
    }

    /// How far back an equal text is of interest.
    #[must_use]
    pub fn reach(&self, waiting: bool) -> Duration {
        if waiting { self.answer.max(self.redelivered) } else { self.command }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_kept() {
        let windows = Windows::default();
        let seen = |ms: u64, link_gone: bool| {
            Some(Seen { age: Duration::from_millis(ms), link_gone, refused: false })
        };
        let refused =
            |ms: u64| Some(Seen { age: Duration::from_millis(ms), link_gone: false, refused: true });
        let table = [
            (None, true, Verdict::New),
            (None, false, Verdict::New),
            (seen(0, false), true, Verdict::Duplicate),
            (seen(9_999, false), true, Verdict::Duplicate),
            (seen(9_999, true), true, Verdict::Duplicate),
            (seen(10_000, false), true, Verdict::New),
            (seen(10_000, true), true, Verdict::ToldAgain),
            (seen(599_999, true), true, Verdict::ToldAgain),
            (seen(600_000, true), true, Verdict::New),
            (seen(599_999, false), true, Verdict::New),
            (refused(9_999), true, Verdict::Duplicate),
            (refused(10_000), true, Verdict::ToldAgain),
            (refused(600_000), true, Verdict::New),
            (refused(59_999), false, Verdict::Duplicate),
            (refused(60_000), false, Verdict::New),
            (seen(0, true), false, Verdict::Duplicate),
            (seen(59_999, false), false, Verdict::Duplicate),
            (seen(60_000, false), false, Verdict::New),
            (seen(60_000, true), false, Verdict::New),
            (seen(86_400_000, true), false, Verdict::New),
        ];
        for (seen, waiting, wanted) in table {
            assert_eq!(windows.judge(seen, waiting), wanted, "{seen:?} waiting {waiting}");
        }
        // What is out of reach is new, whatever else is said of it.
        for waiting in [true, false] {
            let age = windows.reach(waiting);
            for link_gone in [true, false] {
                let seen = Seen { age, link_gone, refused: link_gone };
                assert_eq!(windows.judge(Some(seen), waiting), Verdict::New);
            }
        }
    }
}
