//! The plain results that the payment core sends by itself: in the language that the customer chose, else in the market's.

use keytone::payment::answer::PayOutcome;
use keytone::store::OutboxFilter;

use crate::support::market::{Database, Market};

const ME: &str = "+8613800000001";
/// A number that the sandbox's carrier refuses.
const REFUSED: &str = "+8613800000902";

async fn texts(market: &Market) -> Vec<String> {
    let filter =
        OutboxFilter { state: None, recipient: Some(ME.to_owned()), route: None, since: None, limit: 100 };
    market.payments.outbox_list(&filter).await.unwrap().into_iter().map(|row| row.body).collect()
}

async fn plain_results_are_in_the_customers_language(database: Database) {
    let market = Market::open_with(database, |plans| plans.settings.language = "es".to_owned()).await;
    let account = market.account(ME, 500_000).await;
    let languages = [
        (None, "se recargó con 50.00 CNY"),
        (Some("fr"), "a été rechargé de 50.00 CNY"),
        (Some("sw"), "imeongezwa salio la 50.00 CNY"),
        (Some("zh"), "充值50.00 CNY"),
        (Some("xx"), "was recharged with 50.00 CNY"),
    ];
    for (number, (chosen, wanted)) in languages.into_iter().enumerate() {
        if let Some(chosen) = chosen {
            market.payments.set_language(account, chosen).await.unwrap();
        }
        // Another number each time: the same recharge again would be asked about.
        let request = market.request(account, ME, &format!("+861380000001{number}"), 5_000);
        let outcome = market.payments.pay(request).await.unwrap();
        assert!(matches!(outcome, PayOutcome::Delivered { .. }), "{outcome:?}");
        let texts = texts(&market).await;
        assert!(texts.iter().any(|body| body.contains(wanted)), "{wanted}: {texts:?}");
    }
    // The same when nothing was deducted.
    market.payments.set_language(account, "fr").await.unwrap();
    let refused = market.payments.pay(market.request(account, ME, REFUSED, 5_000)).await.unwrap();
    assert!(matches!(refused, PayOutcome::Refused { .. }), "{refused:?}");
    let texts = texts(&market).await;
    assert!(texts.iter().any(|body| body.contains("n'a pas été faite")), "{texts:?}");
    market.close().await;
}

mod sqlite {
    use crate::support::market::Database;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn plain_results_are_in_the_customers_language() {
        super::plain_results_are_in_the_customers_language(Database::Sqlite).await;
    }
}

mod postgres {
    use crate::support::market::Database;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn plain_results_are_in_the_customers_language() {
        super::plain_results_are_in_the_customers_language(Database::Postgres).await;
    }
}
