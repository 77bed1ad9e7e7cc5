//! The whole daemon on a mobile network: dialogues and texts over real SMPP sockets, from the handset to the books.

mod asked;
mod crash;
mod dialogues;
mod menu;
mod others;
mod texts;

use crate::support::daemon::{House, Plan};

pub(crate) const FIRST: &str = "+8613800000001";
pub(crate) const SECOND: &str = "+8613900000002";
pub(crate) const PIN: &str = "284913";
/// The number that texts go to.
pub(crate) const SERVICE: &str = "12580";

/// A house with two customers on a network with these settings.
pub(crate) fn house(arguments: &[&'static str]) -> House {
    let house = plan().on_network(arguments).open();
    house.network().bound(1);
    house
}

pub(crate) fn plan() -> Plan {
    Plan::with(FIRST, PIN).customer(SECOND, PIN, "5000", None)
}
