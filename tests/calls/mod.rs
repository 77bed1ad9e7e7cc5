//! Whole calls by real telephones (sipp, baresip) to a real daemon, with its carrier beside it: what was said, what was
//! paid, what the carrier remembers, and whether the books are sound.

mod baresip;
mod callers;
mod crash;
mod demo;
mod effort;
mod endings;
mod limits;
mod recharge;
mod signalling;

/// A customer's number and PIN.
const OWN: &str = "+8613800000001";
const PIN: &str = "284913";
