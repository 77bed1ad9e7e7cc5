//! By which route a text leaves. Pure: the routes and their health are arguments.
//!
//! A text that names its route, because it answers one that came by it, goes there while that route lives. Any other goes by
//! the route with the longest prefix of its recipient, then the lowest number of preference, then the most room for its
//! share, then the first in the configuration. A route may be bound to senders of its own: a short code of one carrier is nothing to another.

use std::time::Duration;

use crate::sms::address::Numbering;
use crate::sms::retry::Retry;

/// What is known of a route beforehand.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Route {
    /// Its name in the configuration and in rows.
    pub name: String,
    /// Recipients that it reaches, as digits without `+`; none means all.
    pub prefixes: Vec<String>,
    /// Lower goes first among equal prefixes.
    pub preference: u16,
    /// Beside others with equal prefixes and preference: how much of the texts it gets, at least 1.
    pub share: u16,
    /// What a text is sent as that names no sender.
    pub sender: String,
    /// The only senders that its carrier takes; none means any.
    pub senders: Vec<String>,
    /// How addresses are typed.
    pub numbering: Numbering,
    /// How long the carrier is to try; the rest of the text's own time without it.
    pub validity: Option<Duration>,
    /// Whether receipts are asked for.
    pub receipts: bool,
    /// When and how often a text is tried.
    pub retry: Retry,
}

impl Route {
    /// A route to everybody with what is usual.
    #[must_use]
    pub fn new(name: &str, sender: &str) -> Self {
        Self {
            name: name.to_owned(),
            prefixes: Vec::new(),
            preference: 0,
            share: 1,
            sender: sender.to_owned(),
            senders: Vec::new(),
            numbering: Numbering::default(),
            validity: None,
            receipts: true,
            retry: Retry::default(),
        }
    }

    /// How many digits of the recipient it names; nothing if it does not reach him.
    fn reach(&self, digits: &str) -> Option<usize> {
        if self.prefixes.is_empty() {
            return Some(0);
        }
        self.prefixes.iter().filter(|prefix| digits.starts_with(prefix.as_str())).map(String::len).max()
    }

    fn takes(&self, sender: Option<&str>) -> bool {
        sender.is_none_or(|sender| self.senders.is_empty() || self.senders.iter().any(|own| own == sender))
    }
}

/// How a route is now.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Health {
    /// Whether it has a way out: a bind that may send, a provider that answers.
    pub up: bool,
    /// Whether its whole queue waits, since its carrier has too much.
    pub paused: bool,
    /// Texts that it takes now without making them wait.
    pub room: usize,
}

impl Health {
    /// Whether a text may go now.
    #[must_use]
    pub const fn ready(self) -> bool {
        self.up && !self.paused && self.room > 0
    }
}

/// What was chosen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Choice {
    /// The route of this index, now.
    Now(usize),
    /// A route would do and has its hands full: the text waits in ours.
    Full,
    /// A route would do, but it is down, or its whole queue waits.
    Later,
    /// No route reaches the recipient as this sender.
    Never,
}

/// Chooses for a recipient (digits without `+`). `named` is the route that the text asks for, `sender` its address of
/// origin, `health` is in the order of `routes`.
#[must_use]
pub fn choose(
    routes: &[Route],
    health: &[Health],
    digits: &str,
    named: Option<&str>,
    sender: Option<&str>,
) -> Choice {
    let mut possible: Vec<(bool, usize, u16, usize)> = Vec::new();
    for (index, route) in routes.iter().enumerate() {
        let is_named = named == Some(route.name.as_str());
        // What came by a route can be answered by it, whatever its prefixes say.
        let reach = if is_named { Some(usize::MAX) } else { route.reach(digits) };
        if let Some(reach) = reach.filter(|_| is_named || route.takes(sender)) {
            possible.push((is_named, reach, route.preference, index));
        }
    }
    if possible.is_empty() {
        return Choice::Never;
    }
    let state = |index: usize| health.get(index).copied().unwrap_or_default();
    // Of equal routes the one with the most room for its share goes first.
    let room = |index: usize| {
        let share = routes.get(index).map_or(1, |route| usize::from(route.share.max(1)));
        state(index).room.saturating_mul(share)
    };
    possible.sort_by(|a, b| {
        let rank = b.0.cmp(&a.0).then(b.1.cmp(&a.1)).then(a.2.cmp(&b.2));
        rank.then_with(|| room(b.3).cmp(&room(a.3))).then(a.3.cmp(&b.3))
    });
    let mut full = false;
    for (is_named, .., index) in possible {
        let health = state(index);
        if health.ready() {
            return Choice::Now(index);
        }
        full |= health.up && !health.paused;
        // A route that only has its hands full is waited for: the text would else come from another number, or overtake.
        if is_named && health.up {
            break;
        }
    }
    if full { Choice::Full } else { Choice::Later }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Vec<Route> {
        let route = |name: &str, prefixes: &[&str], preference, senders: &[&str]| Route {
            prefixes: prefixes.iter().map(|p| (*p).to_owned()).collect(),
            senders: senders.iter().map(|s| (*s).to_owned()).collect(),
            preference,
            ..Route::new(name, "12580")
        };
        vec![
            route("world", &[], 0, &[]),
            route("china", &["86"], 1, &[]),
            route("china-b", &["86"], 0, &["12580"]),
            route("mobile", &["86138", "86139"], 5, &[]),
        ]
    }

    const UP: Health = Health { up: true, paused: false, room: 9 };
    const DOWN: Health = Health { up: false, paused: false, room: 0 };
    const FULL: Health = Health { up: true, paused: false, room: 0 };
    const PAUSED: Health = Health { up: true, paused: true, room: 9 };

    #[test]
    fn the_longest_prefix_goes_first_then_the_preference() {
        use Choice::{Full, Later, Now};
        let routes = routes();
        let on = |health: [Health; 4], digits: &str, named, sender| {
            choose(&routes, &health, digits, named, sender)
        };
        let table = [
            ([UP; 4], "8613800000001", None, None, Now(3)),
            ([UP; 4], "8615900000001", None, None, Now(2)),
            ([UP; 4], "8615900000001", None, Some("12580"), Now(2)),
            ([UP; 4], "8615900000001", None, Some("KEYTONE"), Now(1)),
            ([UP; 4], "491701234567", None, None, Now(0)),
            ([UP, UP, UP, DOWN], "8613800000001", None, None, Now(2)),
            ([UP, UP, DOWN, DOWN], "8613800000001", None, None, Now(1)),
            ([UP, DOWN, DOWN, DOWN], "8613800000001", None, None, Now(0)),
            ([UP, UP, UP, PAUSED], "8613800000001", None, None, Now(2)),
            ([DOWN; 4], "8613800000001", None, None, Later),
            // The named one goes before a longer prefix, is waited for while it lives, and is given up when it is down.
            ([UP; 4], "8613800000001", Some("world"), None, Now(0)),
            ([PAUSED, UP, UP, UP], "8613800000001", Some("world"), None, Later),
            ([FULL, UP, UP, UP], "8613800000001", Some("world"), None, Full),
            ([DOWN, PAUSED, FULL, DOWN], "8613800000001", None, None, Full),
            ([DOWN, PAUSED, PAUSED, DOWN], "8613800000001", None, None, Later),
            ([DOWN, UP, UP, UP], "8613800000001", Some("world"), None, Now(3)),
            ([DOWN, UP, UP, UP], "8613800000001", Some("world"), Some("12580"), Now(3)),
            // It is taken at its word even where its prefixes or senders say otherwise.
            ([UP; 4], "491701234567", Some("mobile"), None, Now(3)),
            ([UP; 4], "491701234567", Some("china-b"), Some("OTHER"), Now(2)),
            // A route that is not there any more.
            ([UP; 4], "8613800000001", Some("gone"), None, Now(3)),
        ];
        for (n, (health, digits, named, sender, wanted)) in table.into_iter().enumerate() {
            assert_eq!(on(health, digits, named, sender), wanted, "row {n}");
        }
        // Equal routes share by the room that is left, weighed.
        let equal = |share| Route { share, ..Route::new("equal", "12580") };
        let with = |room| Health { room, ..UP };
        let shared = |shares: [u16; 2], rooms: [usize; 2]| {
            choose(&shares.map(equal), &rooms.map(with), "8613800000001", None, None)
        };
        assert_eq!(shared([1, 1], [9, 9]), Now(0));
        assert_eq!(shared([1, 1], [3, 9]), Now(1));
        assert_eq!(shared([3, 1], [4, 9]), Now(0));
        assert_eq!(shared([3, 1], [2, 9]), Now(1));
        assert_eq!(choose(&routes[1..2], &[UP], "491701234567", None, None), Choice::Never);
        assert_eq!(choose(&routes[2..3], &[UP], "8613800000001", None, Some("OTHER")), Choice::Never);
        assert_eq!(choose(&[], &[], "86138", None, None), Choice::Never);
    }
}
