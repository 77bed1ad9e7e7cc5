//! Codes that carry the credit: told and sent to who paid, in clear nowhere else; and the numbers that were recharged before.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use keytone::dialplan::catalog::{Catalog, Settings, SourceFile, Sources, compile};
use keytone::dialplan::event::{Answer, Channel};
use keytone::payment::row::record::{Select, cell};
use keytone::payment::row::voucher::VoucherRow;
use keytone::payment::row::{Id, OutboxState, SessionRow, State};
use keytone::payment::unit::OutboxSettled;
use keytone::secret::Secret;
use keytone::session::kept::{Kept, Settled};
use keytone::session::registry::{Edition, Registry};
use keytone::session::writes::Writes;
use keytone::session::{Party, Then};
use serde_json::json;

use crate::routes::carriers::{Asked, Carriers, ME, OTHER, Said, Town, file};
use crate::support::market::{Database, PIN, cny, phone};

const CODE: &str = "731909735512";

/// A file of a carrier that sells codes.
fn selling() -> String {
    let places = "[submit.answer]\nvoucher_code = \"/pin/code\"\nvoucher_serial = \"/pin/serial\"\n";
    file("first").replace("[submit.answer]\n", places)
}

fn sold(asked: &Asked) -> Said {
    let body = json!({
        "status": "DELIVERED", "reference": asked.reference, "pin": { "code": "7319-0973-5512", "serial": "S77" }
    });
    Said::Body(200, body)
}

async fn sell(database: Database, carriers: &Arc<Carriers>) -> Town {
    Town::open_with(database, carriers, |plans| plans.files[0] = selling()).await
}

/// Every byte that the database has on disk.
fn on_disk(town: &Town) -> Vec<u8> {
    let path = town.url.strip_prefix("sqlite:").unwrap();
    [path.to_owned(), format!("{path}-wal")]
        .iter()
        .flat_map(|name| std::fs::read(name).unwrap_or_default())
        .collect()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|w| w == text.as_bytes())
}

pub(super) async fn a_code_is_sent_and_told_and_gone_when_it_is_delivered(database: Database) {
    let carriers = Carriers::new(|asked, _| sold(asked));
    let town = sell(database, &carriers).await;
    let account = town.account(ME, 500_000).await;
    town.payments.set_language(account, "sw").await.unwrap();
    let stranger = town.account("+8613800000009", 1).await;
    let (id, outcome) = town.pay(account, OTHER, 5_000).await;
    assert_eq!(outcome.name(), "delivered");
    assert!(!format!("{outcome:?}").contains("7319"));
    let reference = town.payment(id).await.reference;
    assert_eq!(
        town.payments.voucher(account, &reference).await.unwrap(),
        Some(Secret::from("7319-0973-5512"))
    );
    assert_eq!(town.payments.voucher(stranger, &reference).await.unwrap(), None, "it is not his");
    let row: VoucherRow = town.store.record(&[cell(&id)]).await.unwrap().unwrap();
    assert_eq!(row.serial.as_deref(), Some("S77"));
    assert!(!holds(&row.sealed, "7319"));
    assert!(town.store.outbox_of(id).await.unwrap().is_empty(), "its own text tells the result");

    // Waiting, it names the payment alone; leaving, it has the code.
    let waiting = town.store.outbox_row(row.text).await.unwrap().unwrap();
    assert!(!waiting.body.contains("7319") && waiting.recipient == ME, "{waiting:?}");
    let leaving = town.payments.outbox_claim(Duration::from_secs(60), 10).await.unwrap();
    let text = leaving.iter().find(|t| t.id == row.text).unwrap();
    assert!(text.body.contains("7319-0973-5512") && text.body.contains(&reference), "{}", text.body);
    assert!(text.body.starts_with("Namba "), "in his language: {}", text.body);

    if matches!(database, Database::Sqlite) {
        let bytes = on_disk(&town);
        assert!(holds(&bytes, &reference), "the file was read");
        for canary in ["7319-0973-5512", CODE, "0973"] {
            assert!(!holds(&bytes, canary), "{canary} is in the database");
        }
    }

    // The network takes it, and the telephone has it: then nobody has it any more but its owner.
    let now = town.clock.now().0;
    for state in [OutboxState::Accepted, OutboxState::Delivered] {
        let settled =
            OutboxSettled { route: Some("r".to_owned()), ..OutboxSettled::new(row.text, state, now) };
        assert!(town.payments.settle_outbox(settled).await.unwrap());
    }
    let again = town.killed().await;
    let gone = async {
        while again.payments.voucher(account, &reference).await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.unwrap();
    let left: Vec<VoucherRow> = again.store.records(&Select::new()).await.unwrap();
    assert!(left.is_empty());
    again.close().await;
}

pub(super) async fn a_code_that_comes_late_is_kept_once(database: Database) {
    let carriers = Carriers::new(|_, _| Said::Lost);
    let town = Town::open_with(database, &carriers, |plans| {
        plans.files[0] = selling();
        plans.settings.answer_within = Duration::from_millis(50);
    })
    .await;
    let account = town.account(ME, 500_000).await;
    let (id, outcome) = town.pay(account, OTHER, 5_000).await;
    assert_eq!(outcome.name(), "pending");
    // A status query tells it.
    carriers.now_say(|asked, _| sold(asked));
    town.until_state(id, State::Delivered).await;
    let reference = town.payment(id).await.reference;
    assert!(town.payments.voucher(account, &reference).await.unwrap().is_some());
    let before: VoucherRow = town.store.record(&[cell(&id)]).await.unwrap().unwrap();
    let sent = town.attempts(id).await[0].1.clone();
    assert_eq!(town.callback("first", &sent, "DELIVERED").await, 200);
    assert_eq!(town.store.record::<VoucherRow>(&[cell(&id)]).await.unwrap(), Some(before.clone()));
    // Asked for once more, it is sent once more.
    assert!(town.payments.send_receipt(account, &phone(ME), &reference).await.unwrap());
    let after: VoucherRow = town.store.record(&[cell(&id)]).await.unwrap().unwrap();
    assert_ne!(after.text, before.text);
    let leaving = town.payments.outbox_claim(Duration::from_secs(60), 10).await.unwrap();
    assert_eq!(leaving.iter().filter(|t| t.body.contains("7319-0973-5512")).count(), 2);
    town.close().await;
}

pub(super) async fn numbers_recharged_before_are_offered_once(database: Database) {
    let carriers = Carriers::new(|_, _| Said::Word(200, "DELIVERED"));
    let town = Town::open(database, &carriers).await;
    let account = town.account(ME, 500_000).await;
    let recent = async || {
        let numbers = town.payments.recent_numbers(account, Some(&phone(ME))).await.unwrap();
        numbers.iter().map(|n| n.as_str()[12..].to_owned()).collect::<Vec<_>>()
    };
    assert!(recent().await.is_empty());
    for n in [1, 2, 3, 2, 4, 5, 6, 7] {
        let target = format!("+861380000000{n}");
        let mut request = town.request(account, &target, 5_000);
        request.repeat = true;
        assert_eq!(town.payments.pay(request).await.unwrap().name(), "delivered");
    }
    carriers.now_say(|_, _| Said::Word(422, "BARRED"));
    town.pay(account, "+8613800000008", 5_000).await;
    assert_eq!(recent().await, ["07", "06", "05", "04", "02"], "the latest first, each once, no refused one");
    town.close().await;
}

fn catalog() -> Catalog {
    let sources = Sources {
        flows: vec![
            SourceFile::new("recharge.flow", include_str!("../../dialplans/recharge.flow")),
            SourceFile::new("stranger.flow", include_str!("../../dialplans/stranger.flow")),
            SourceFile::new("vouch.flow", include_str!("../../dialplans/vouch.flow")),
        ],
        messages: vec![SourceFile::new("en.msg", include_str!("../../dialplans/messages/en.msg"))],
        numbers: vec![SourceFile::new("en/numbers.say", include_str!("../../prompts/en/numbers.say"))],
        clips: None,
    };
    let settings = Settings { country: "86".into(), national_digits: (11, 11), ..Settings::of(cny()) };
    compile(&sources, &settings).unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// On a screen the code stands as long as the caller wants it. The conversation that waits meanwhile is saved, and nobody who
/// reads the database sees the code in it.
pub(super) async fn a_conversation_that_shows_a_code_is_saved_encrypted(database: Database) {
    let carriers = Carriers::new(|asked, _| sold(asked));
    let town = sell(database, &carriers).await;
    town.account(ME, 500_000).await;
    let edition = Edition { catalog: Arc::new(catalog()), media: (), testers: BTreeSet::new() };
    let registry = Registry::new(edition, town.payments.clone(), town.clock.clone(), "en".to_owned(), 10);
    let party = Party { caller: Some(phone(ME)), language: None };
    let mut session = registry.open_text(Channel::Ussd, "*125#", party).unwrap();
    session.keep(Kept {
        key: "ussd/1".to_owned(),
        dialogue: None,
        route: "r".to_owned(),
        number: phone(ME),
        window: Duration::from_secs(60),
    });
    let mut turn = session.start().await.unwrap();
    let answers =
        [Answer::Text("1".to_owned()), Answer::Text("50".to_owned()), Answer::Secret(Secret::from(PIN))];
    let mut answers = answers.into_iter();
    loop {
        match turn.then {
            Then::Perform(task) => {
                let performed = session.perform(task).await;
                assert!(!format!("{performed:?}").contains("0973"));
                turn = session.resume(performed).await.unwrap();
            }
            Then::Collect(_) => match answers.next() {
                Some(answer) => turn = session.answer(answer).await.unwrap(),
                None => break,
            },
            other => panic!("{other:?}"),
        }
    }
    assert!(session.text(&turn.say).contains(CODE), "{}", session.text(&turn.say));
    assert_eq!(session.settle(Writes::new()).await.unwrap(), Settled::Done);
    let row = town.payments.session_by_key("ussd/1").await.unwrap().unwrap();
    assert!(row.state.starts_with('\u{1}') && !row.state.contains(CODE), "{}", row.state);
    if matches!(database, Database::Sqlite) {
        assert!(!holds(&on_disk(&town), CODE), "the code is in the database");
    }
    let mut back = registry.restore(row.clone()).unwrap();
    let turn = back.once_more().await.unwrap();
    assert!(back.text(&turn.say).contains(CODE), "whoever goes on with it has the code");
    let moved = SessionRow { id: Id::new(town.clock.now().0), ..row };
    assert!(registry.restore(moved).is_err(), "it opens in its own row alone");
    town.close().await;
}
