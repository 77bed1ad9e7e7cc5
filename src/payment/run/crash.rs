//! Points at which a test kills the process, and mistakes that a test plants to see that the checker finds
//! them.
//!
//! Both exist only in builds with debug assertions: in a release the environment is not even read.

#[cfg(debug_assertions)]
use std::cell::RefCell;
#[cfg(debug_assertions)]
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where the process is to be killed: `name`, or `name:n` for the n-th time that it is passed.
pub const CRASH_VARIABLE: &str = "KEYTONE_CRASH_POINT";
/// Which mistake is to be made.
pub const BREAK_VARIABLE: &str = "KEYTONE_BREAK";
/// Whether this build heeds either.
pub const ENABLED: bool = cfg!(debug_assertions);

/// Every crash point, in the order in which a payment and its recovery pass them.
pub const POINTS: &[&str] = &[
    "received",
    "pin_before",
    "pin_after",
    "authorise_before",
    "authorise_after",
    "submit_before",
    "submit_after",
    "answered",
    "outcome_before",
    "outcome_after",
    "told",
    "recover_before",
    "recover_after",
    "status_before",
    "status_after",
];

/// Those that a payment passes whose money a provider holds, and which its carrier delivers, in order.
pub const PROVIDER_POINTS: &[&str] = &[
    "authorise_after",
    "reserve_before",
    "reserve_after",
    "submit_before",
    "submit_after",
    "answered",
    "outcome_before",
    "outcome_after",
    "provider_before",
    "provider_sent",
    "provider_after",
];

/// The crash points of merchants' orders, from placing one to telling the merchant.
pub const ORDER_POINTS: &[&str] = &[
    "order_before",
    "order_after",
    "order_pay_before",
    "order_pay_after",
    "order_step_before",
    "order_step_after",
    "webhook_before",
    "webhook_sent",
    "webhook_after",
];

/// The crash points of asking a customer about an order: kept, about to leave, left, and what became of it about to be written.
pub const ASK_POINTS: &[&str] = &["ask_before", "ask_step", "ask_sent", "ask_step:2"];

/// The crash points of charging, from the request to the end.
pub const CHARGE_POINTS: &[&str] = &[
    "charge_request_before",
    "charge_request_after",
    "charge_deposit_before",
    "charge_deposit_after",
    "charge_step_before",
    "charge_step_after",
    "charge_confirm_before",
    "charge_confirm_after",
];

/// The times that the wanted point was passed.
static PASSED: AtomicU32 = AtomicU32::new(0);

/// What a simulation does where this thread passes a crash point or may make a mistake.
#[cfg(debug_assertions)]
pub trait Watcher {
    /// The thread passes a crash point. May unwind: that ends the task, as the end of the process would.
    fn passes(&self, point: &str);

    /// Whether a mistake is planted.
    fn makes(&self, mistake: &str) -> bool;
}

#[cfg(debug_assertions)]
thread_local! {
    static WATCHER: RefCell<Option<Rc<dyn Watcher>>> = const { RefCell::new(None) };
}

/// From here on this thread asks `watcher` in place of the environment.
#[cfg(debug_assertions)]
pub fn watch(watcher: Option<Rc<dyn Watcher>>) {
    WATCHER.with_borrow_mut(|slot| *slot = watcher);
}

#[cfg(debug_assertions)]
fn watcher() -> Option<Rc<dyn Watcher>> {
    WATCHER.with_borrow(Option::clone)
}

/// Kills the process with SIGKILL if the environment asks for it here.
pub fn crash_point(name: &str) {
    if !ENABLED {
        return;
    }
    #[cfg(debug_assertions)]
    if let Some(watcher) = watcher() {
        watcher.passes(name);
        return;
    }
    let wanted = std::env::var(CRASH_VARIABLE).ok();
    if is_due(ENABLED, wanted.as_deref(), name, || PASSED.fetch_add(1, Ordering::SeqCst) + 1) {
        die();
    }
}

fn is_due(enabled: bool, wanted: Option<&str>, name: &str, pass: impl FnOnce() -> u32) -> bool {
    let Some(wanted) = wanted.filter(|_| enabled) else { return false };
    let (point, time) = wanted.split_once(':').unwrap_or((wanted, "1"));
    point == name && time.parse() == Ok(pass())
}

/// SIGKILL: no unwinding, no flushing, no farewell.
fn die() -> ! {
    let _ = std::process::Command::new("kill").arg("-9").arg(std::process::id().to_string()).status();
    // Only reached where there is no `kill`.
    std::process::abort();
}

/// Every mistake that can be planted here.
pub const MISTAKES: &[&str] = &[
    "send_before_hold",
    "new_reference_on_retry",
    "recovery_sends_again",
    "posts_twice",
    "late_delivery_charges_the_customer",
    "pin_counted_after_hashing",
    "refund_key_forgotten",
    "deposit_not_recognised",
    "charge_set_blindly",
    "another_carrier_after_unknown",
    "refused_capture_frees",
    "silence_taken_as_reserved",
    "provider_silence_taken_as_refusal",
    "release_not_repeated",
    "asks_again_blindly",
    "capture_is_the_end",
    "captured_not_booked",
    "captures_early",
];

/// Whether a mistake is planted, one of [`MISTAKES`].
#[must_use]
pub fn planted(mistake: &str) -> bool {
    #[cfg(debug_assertions)]
    if let Some(watcher) = watcher() {
        return watcher.makes(mistake);
    }
    ENABLED && std::env::var(BREAK_VARIABLE).is_ok_and(|wanted| wanted == mistake)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_ignores_them() {
        assert!(!is_due(false, Some("submit_after"), "submit_after", || 1));
        assert!(is_due(true, Some("submit_after"), "submit_after", || 1));
        assert_eq!(ENABLED, cfg!(debug_assertions));
    }

    #[test]
    fn the_name_and_the_time_must_be_the_wanted_ones() {
        assert!(!is_due(true, None, "told", || 1));
        assert!(!is_due(true, Some("told"), "answered", || 1));
        assert!(!is_due(true, Some("told:2"), "told", || 1));
        assert!(is_due(true, Some("told:2"), "told", || 2));
        assert!(!is_due(true, Some("told"), "told", || 2));
    }
}
