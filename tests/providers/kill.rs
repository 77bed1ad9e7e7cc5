//! Kills a process with SIGKILL at every step of a payment from a wallet, and has the next one bring it to its end. The process
//! that is killed is this test binary itself, started again.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use keytone::clock::Clock;
use keytone::ledger::row::Id;
use keytone::payment::answer::{Channel, PayRequest, Pin};
use keytone::payment::row::State;
use keytone::payment::run::crash::CRASH_VARIABLE;
use keytone::secret::Secret;
use keytone::store::Store;

use crate::providers::town::{Town, outsiders, settings, start};
use crate::support::market::{PIN, phone, provider};

/// Database, wallet, carrier, payment, account, caller and target of the process, separated by spaces.
const ROLE: &str = "KEYTONE_TEST_WALLET_PAYMENT";
const SIGKILL: i32 = 9;
/// The points that a payment which the carrier delivers passes, in order.
const DELIVERED: &[&str] = &[
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
/// Those of one that it refuses, from its answer on.
const REFUSED: &[&str] = &["outcome_after", "provider_before", "provider_sent", "provider_after"];

/// Not a test of its own: the entry of the processes that are killed. In an ordinary run it has no role.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    provider();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(pay(&role.split(' ').collect::<Vec<_>>()));
    // The point was not reached.
    std::process::exit(3);
}

async fn pay(role: &[&str]) {
    let [database, wallet, carrier, id, account, caller, target] = role else { panic!("{role:?}") };
    let clock = Clock::machine();
    let store = Store::open(database).await.unwrap();
    let connectors = outsiders(wallet, carrier, &clock);
    let (payments, ..) = start(&store, &clock, &settings(), &connectors).await;
    let request = PayRequest {
        id: Id::parse(id).unwrap(),
        account: Id::parse(account).unwrap(),
        caller: Some(phone(caller)),
        channel: Channel::Voice,
        phone: phone(target),
        amount_minor: 5_000,
        pin: Pin::Typed(Secret::from(PIN)),
        repeat: false,
    };
    payments.pay(request).await.unwrap();
    payments.drain(Duration::from_secs(5)).await;
}

pub(super) async fn at_every_point(mut town: Town) {
    let cases =
        DELIVERED.iter().map(|point| (*point, "001")).chain(REFUSED.iter().map(|point| (*point, "902")));
    let mut delivered = 0;
    for (point, carrier) in cases {
        let customer = town.account("001").await;
        let request = town.request(&customer, carrier);
        let id = request.id;
        let role = [
            town.database_url.clone(),
            town.wallet_url.clone(),
            town.carrier_url.clone(),
            id.text(),
            customer.id.text(),
            customer.number.as_str().to_owned(),
            request.phone.as_str().to_owned(),
        ]
        .join(" ");
        let killed = async {
            let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
            command.args(["providers::kill::child", "--exact", "--nocapture"]);
            let ended = command.env(ROLE, role).env(CRASH_VARIABLE, point).kill_on_drop(true).output();
            let ended = tokio::time::timeout(Duration::from_secs(60), ended).await.unwrap().unwrap();
            let said = String::from_utf8_lossy(&ended.stderr);
            assert_eq!(ended.status.signal(), Some(SIGKILL), "{point} was not reached: {said}");
        };
        town = town.restart_after(killed).await;
        let state = town.judge(id, point).await;
        delivered += u32::from(state == State::Delivered);
        if carrier == "902" {
            assert_eq!(state, State::Refused, "{point}");
        }
    }
    assert!(delivered >= 6, "what the carrier had delivered stayed so: {delivered}");
    town.close().await;
}
