//! Many confirmations of one account at the same moment, each with the right PIN.

use keytone::payment::answer::PayOutcome;
use keytone::payment::answer::Pin;
use keytone::secret::Secret;

use super::ME;
use crate::support::market::{Database, Market};

/// Far more than there are tries.
const AT_ONCE: usize = 24;

pub(super) async fn many_right_pins_at_once_lock_nobody(database: Database) {
    let market = Market::open_with(database, |plans| plans.settings.day_limit_minor = 10_000_000).await;
    assert!(market.payments.settings().pin.tries_max < 6);
    let account = market.account(ME, 1_000_000).await;
    let mut calls = Vec::new();
    for n in 0..AT_ONCE {
        let request = market.request(account, ME, &format!("+86138000100{n:02}"), 5_000);
        let payments = market.payments.clone();
        calls.push(tokio::spawn(async move { payments.pay(request).await.unwrap() }));
    }
    for call in calls {
        let outcome = call.await.unwrap();
        assert!(matches!(outcome, PayOutcome::Delivered { .. }), "{outcome:?}");
    }
    // A wrong one counts as ever, and a right one after it takes the count back.
    for (pin, left) in [("000111", 4), ("000112", 3)] {
        let mut request = market.request(account, ME, "+8613800010077", 5_000);
        request.pin = Pin::Typed(Secret::from(pin));
        assert_eq!(market.payments.pay(request).await.unwrap(), PayOutcome::WrongPin { left });
    }
    assert_eq!(market.pay(account, ME, "+8613800010077", 5_000).await.name(), "delivered");
    let payer = market.store.payer(account).await.unwrap().unwrap();
    assert_eq!((payer.pin_tries, payer.pin_locked), (0, false));
    market.close().await;
}
