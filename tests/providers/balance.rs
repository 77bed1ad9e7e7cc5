//! What a customer of a wallet hears of his balance: the wallet's own word of that moment, or that it is not known.

use std::time::Duration;

use keytone::payment::run::{Balance, OpenAccount};
use keytone::payment::saga::Stage;
use keytone::secret::Secret;

use crate::providers::town::Town;
use crate::support::market::{Database, PIN, phone};

const fn known(available_minor: i64) -> Balance {
    Balance::Known { available_minor }
}

pub(super) async fn a_balance_is_the_providers_word_of_now(database: Database) {
    let town = Town::open(database).await;
    let account = town.account("001").await;
    assert_eq!(town.payments.balance(account.id).await.unwrap(), known(100_000));
    let (id, _) = town.pay(&account, "001").await;
    town.until(id, Stage::Captured).await;
    assert_eq!(town.payments.balance(account.id).await.unwrap(), known(95_000));
    let (id, _) = town.pay(&account, "902").await;
    town.until(id, Stage::Released).await;
    assert_eq!(town.payments.balance(account.id).await.unwrap(), known(95_000));
    let slow = town.account("984").await;
    assert_eq!(town.payments.balance(slow.id).await.unwrap(), known(100_000));
    // Beside it, an account of ours.
    let open = OpenAccount { msisdn: Some(phone("+8613900990001")), pin: Some(Secret::from(PIN)) };
    let ours = town.payments.open_account(open).await.unwrap();
    assert_eq!(town.payments.balance(ours).await.unwrap(), known(0));
    town.close().await;
}

/// Never nothing, never an older figure: not now.
pub(super) async fn a_balance_that_is_not_known_is_not_told(database: Database) {
    let town =
        Town::open_with(database, |settings| settings.answer_within = Duration::from_millis(400)).await;
    for suffix in ["980", "981", "982", "983", "985", "986", "987"] {
        let account = town.account(suffix).await;
        assert_eq!(town.payments.balance(account.id).await.unwrap(), Balance::NotNow, "{suffix}");
    }
    let account = town.account("001").await;
    assert_eq!(town.payments.balance(account.id).await.unwrap(), known(100_000));
    town.wallet_stop.cancel();
    let gone = async { while town.wallet_answers().await {} };
    tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap();
    assert_eq!(town.payments.balance(account.id).await.unwrap(), Balance::NotNow);
    town.close().await;
}

pub(super) async fn a_provider_need_not_tell_balances(database: Database) {
    let town = Town::open_changed(database, |file| file.split_once("[balance]").unwrap().0.to_owned()).await;
    let account = town.account("001").await;
    assert_eq!(town.payments.balance(account.id).await.unwrap(), Balance::NotNow);
    assert_eq!(town.pay(&account, "001").await.1.name(), "delivered");
    town.close().await;
}
