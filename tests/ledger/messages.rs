//! Messages that come in and go out and conversations that channels look for: one list for both databases.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use keytone::clock::Clock;
use keytone::ledger::row::Id;
use keytone::msisdn::Msisdn;
use keytone::payment::outbox::may;
use keytone::payment::row::{InboxRow, OutboxRow, OutboxState, PartRow, SessionRow};
use keytone::payment::run::writer::Writer;
use keytone::payment::unit::{Done, Op, OutboxSettled, Receive, Refusal, Unit};
use keytone::store::keys::Changes;
use keytone::store::{OutboxCount, OutboxFilter, Store};

use super::rows::{added, changed, execute, write};
use super::{Fresh, START, fail, on_all, on_both, start};

const SECOND: i64 = 1_000_000;

pub(super) fn id(n: u16) -> Id {
    let mut bytes = [9; 16];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    Id(bytes)
}

pub(super) fn message(n: u16, due_at: i64) -> OutboxRow {
    let mut row = OutboxRow::waiting(id(n), "sms", "+8613800000001", format!("№ {n}"), START.0, 100 * SECOND);
    row.due_at = due_at;
    row
}

/// With something in every column.
fn full(n: u16, state: OutboxState) -> OutboxRow {
    OutboxRow {
        payment: Some(id(900)),
        state,
        route: Some("acme".to_owned()),
        sender: Some("Pay“1”".to_owned()),
        attempts: 3,
        segments: 2,
        message_id: Some(format!("M-{n}")),
        code: Some("0x58".to_owned()),
        owner: Some(id(901)),
        updated_at: START.0 + 7,
        ..message(n, START.0 + 5)
    }
}

pub(super) fn received(n: u16, at: i64) -> InboxRow {
    InboxRow {
        key: id(n),
        route: "acme".to_owned(),
        link: id(800),
        caller: "+8613800000001".to_owned(),
        channel: 3,
        received_at: at,
    }
}

pub(super) fn part(text: u16, number: i16) -> PartRow {
    let sealed = vec![0, 1, 255, u8::try_from(number).unwrap()];
    PartRow { message: id(text), number, total: 3, sealed, received_at: START.0 }
}

pub(super) fn session(n: u16, key: Option<&str>) -> SessionRow {
    SessionRow {
        id: id(n),
        caller: Msisdn::parse("+8613800000001").unwrap(),
        channel: 2,
        flow: "recharge".to_owned(),
        version: "v1".to_owned(),
        state: "{\"a\":\"ü\"}".to_owned(),
        account: Some(id(1)),
        payment: None,
        revision: 1,
        saved_at: START.0,
        expires_at: START.0 + 60 * SECOND,
        key: key.map(str::to_owned),
        dialogue: Some("d-17".to_owned()),
        route: Some("acme".to_owned()),
    }
}

pub(super) fn receive(n: u16, at: i64, same_since: i64) -> Op {
    Op::Receive(Receive { row: received(n, at), same_since })
}

fn settle(n: u16, state: OutboxState) -> Op {
    Op::SettleOutbox(Box::new(OutboxSettled::new(id(n), state, START.0 + 1)))
}

pub(super) fn save(row: SessionRow) -> Op {
    Op::SaveSession(Box::new(row))
}

pub(super) async fn commit(writer: &Writer, ops: Vec<Op>) -> Result<Done, Refusal> {
    writer.commit(Unit { ops }).await.unwrap()
}

/// Commits units that are queued together, so that they share a batch.
pub(super) async fn together(writer: &Writer, units: Vec<Vec<Op>>) -> Vec<Result<Done, Refusal>> {
    join_all(units.into_iter().map(|ops| commit(writer, ops))).await
}

async fn outbox(store: &Store, n: u16) -> OutboxRow {
    store.outbox_row(id(n)).await.unwrap().unwrap()
}

async fn holder(store: &Store, key: &str) -> Option<Id> {
    store.session_by_key(key, START.0).await.unwrap().map(|row| row.id)
}

async fn every_message_row_comes_back(fresh: Fresh) {
    let store = &fresh.store;
    let rows = Changes {
        outbox: added(full(1, OutboxState::Sending)),
        inbox: added(received(1, START.0)),
        parts: vec![part(1, 2), part(1, 1), part(2, 1)],
        sessions: added(session(1, Some("ussd d-17"))),
        ..Changes::default()
    };
    write(store, 1, &rows).await;
    assert_eq!(outbox(store, 1).await, full(1, OutboxState::Sending));
    assert_eq!(store.outbox_of(id(900)).await.unwrap(), [full(1, OutboxState::Sending)]);
    assert_eq!(store.parts(id(1)).await.unwrap(), [part(1, 1), part(1, 2)]);
    assert_eq!(
        store.session_by_key("ussd d-17", START.0).await.unwrap(),
        Some(session(1, Some("ussd d-17")))
    );
    let keys = ["none", "ussd d-17", "a \"quoted\" \\ 'key', 钱", "ussd d-17"];
    assert_eq!(store.sessions_by_keys(&keys, START.0).await.unwrap(), [session(1, Some("ussd d-17"))]);
    assert_eq!(store.sessions_by_keys(&keys, i64::MAX).await.unwrap(), []);
    // What a message says, to whom and until when does not change.
    let told = full(1, OutboxState::Delivered);
    let told =
        OutboxRow { owner: None, route: None, code: None, updated_at: START.0 + 9, attempts: 4, ..told };
    let other = OutboxRow { body: "other".to_owned(), expires_at: 0, ..told.clone() };
    let moved = SessionRow {
        key: None,
        dialogue: None,
        route: Some("b".to_owned()),
        revision: 2,
        ..session(1, None)
    };
    let rows = Changes {
        outbox: changed(other),
        inbox: changed(InboxRow { link: id(801), channel: 2, ..received(1, START.0 + 9) }),
        sessions: changed(moved.clone()),
        ..Changes::default()
    };
    write(store, 2, &rows).await;
    assert_eq!(outbox(store, 1).await, told);
    assert_eq!(holder(store, "ussd d-17").await, None);
    assert_eq!(store.session_of(&moved.caller, "recharge", START.0).await.unwrap(), Some(moved));
    let (writer, _, _) = start(store);
    let refused = commit(&writer, vec![receive(1, START.0 + 10, START.0)]).await.unwrap_err();
    let again = InboxRow { link: id(801), channel: 2, ..received(1, START.0 + 9) };
    assert_eq!(refused, Refusal::Repeated(Box::new(again)));
}

async fn a_message_is_received_once(fresh: Fresh) {
    let (writer, _, _) = start(&fresh.store);
    let at = START.0;
    commit(&writer, vec![receive(1, at, at - SECOND)]).await.unwrap();
    let repeated = Refusal::Repeated(Box::new(received(1, at)));
    assert_eq!(commit(&writer, vec![receive(1, at + 5, at)]).await, Err(repeated));
    // It was long ago: another message that says the same.
    commit(&writer, vec![receive(1, at + 5, at + 1)]).await.unwrap();
    let repeated = Refusal::Repeated(Box::new(received(1, at + 5)));
    assert_eq!(commit(&writer, vec![receive(1, at + 9, at + 1)]).await, Err(repeated));
    // Of two in one batch the first is taken, and what the second would have done is not.
    let unit = |n: u16| vec![receive(2, at, at), Op::Outbox(message(n, at)), save(session(n, None))];
    let answers = together(&writer, vec![unit(20), unit(21), unit(22)]).await;
    assert!(answers[0].is_ok());
    let repeated = Refusal::Repeated(Box::new(received(2, at)));
    assert_eq!(answers[1..], [Err(repeated.clone()), Err(repeated)]);
    assert!(fresh.store.outbox_row(id(20)).await.unwrap().is_some());
    assert!(fresh.store.outbox_row(id(21)).await.unwrap().is_none());
    // A unit that is refused for another reason has received nothing.
    let unit = vec![receive(3, at, at), settle(777, OutboxState::Failed)];
    assert_eq!(commit(&writer, unit).await, Err(Refusal::Unknown("message")));
    commit(&writer, vec![receive(3, at, at)]).await.unwrap();
}

/// Another node on the same database: other connections, another writer.
async fn node(fresh: &Fresh) -> (Store, Writer) {
    let store = fresh.again().await;
    let (writer, _) = Writer::start(store.clone(), Clock::manual(START), fail);
    (store, writer)
}

async fn two_nodes_receive_a_message_once(fresh: Fresh) {
    let nodes = [node(&fresh).await, node(&fresh).await];
    let at = START.0;
    let unit = |n: u16| vec![receive(n, at, at), Op::Outbox(message(n, at))];
    let mine: Vec<Vec<Op>> = (0..60).map(unit).collect();
    let answers = join_all(nodes.iter().map(|(_, writer)| together(writer, mine.clone()))).await;
    for (n, (one, other)) in answers[0].iter().zip(&answers[1]).enumerate() {
        assert!(one.is_ok() != other.is_ok(), "message {n}: {one:?} {other:?}");
        let refusal = one.as_ref().err().or_else(|| other.as_ref().err()).unwrap();
        assert!(matches!(refusal, Refusal::Repeated(row) if row.key == id(u16::try_from(n).unwrap())));
    }
}

async fn a_message_goes_only_where_it_may(fresh: Fresh) {
    let store = &fresh.store;
    let (writer, _, _) = start(store);
    let pairs: Vec<(OutboxState, OutboxState)> =
        OutboxState::ALL.iter().flat_map(|from| OutboxState::ALL.iter().map(|to| (*from, *to))).collect();
    for (n, (from, to)) in (0..).zip(&pairs) {
        commit(&writer, vec![Op::Outbox(full(n, *from))]).await.unwrap();
        let answer = commit(&writer, vec![settle(n, *to)]).await;
        let row = outbox(store, n).await;
        if may(*from, *to) {
            assert!(answer.is_ok(), "{from:?} to {to:?}");
            assert_eq!((row.state, row.owner, row.code), (*to, None, None));
        } else {
            assert_eq!(answer, Err(Refusal::Settled(*from)));
            assert_eq!(row, full(n, *from));
        }
    }
    assert_eq!(
        commit(&writer, vec![settle(999, OutboxState::Failed)]).await,
        Err(Refusal::Unknown("message"))
    );
}

async fn what_is_settled_keeps_what_is_not_told(fresh: Fresh) {
    let store = &fresh.store;
    let (writer, _, _) = start(store);
    let sending =
        OutboxRow { state: OutboxState::Sending, owner: Some(id(901)), ..message(1, START.0 + 30 * SECOND) };
    commit(&writer, vec![Op::Outbox(sending.clone())]).await.unwrap();
    let throttled = OutboxSettled {
        route: Some("acme".to_owned()),
        code: Some("0x58".to_owned()),
        attempts: Some(1),
        segments: Some(2),
        ..OutboxSettled::new(id(1), OutboxState::Waiting, START.0 + 5)
    };
    commit(&writer, vec![Op::SettleOutbox(Box::new(throttled.clone()))]).await.unwrap();
    let row = outbox(store, 1).await;
    assert_eq!(row.due_at, START.0 + 5, "the end of a lease is no due time");
    assert_eq!((row.route.as_deref(), row.code.as_deref()), (Some("acme"), Some("0x58")));
    assert_eq!((row.attempts, row.segments, row.updated_at), (1, 2, START.0 + 5));
    let lease = START.0 + 60 * SECOND;
    let claimed = store.outbox_claim(id(901), START.0 + 5, lease, 9).await.unwrap();
    assert_eq!((claimed[0].due_at, claimed[0].attempts), (lease, 1));
    let later = OutboxSettled { due_at: Some(START.0 + 9 * SECOND), ..throttled };
    commit(&writer, vec![Op::SettleOutbox(Box::new(later))]).await.unwrap();
    assert_eq!(outbox(store, 1).await.due_at, START.0 + 9 * SECOND);
    // Queued and settled in one batch, and queued again: it is the same message.
    let accepted = OutboxSettled {
        message_id: Some("M-2".to_owned()),
        ..OutboxSettled::new(id(2), OutboxState::Accepted, START.0 + 6)
    };
    let again = Op::Outbox(message(2, START.0));
    let units = vec![
        vec![Op::Outbox(OutboxRow { id: id(2), ..sending })],
        vec![Op::SettleOutbox(Box::new(accepted))],
        vec![again.clone(), settle(2, OutboxState::Accepted)],
    ];
    assert!(together(&writer, units).await.iter().all(Result::is_ok));
    commit(&writer, vec![again.clone()]).await.unwrap();
    commit(&writer, vec![again, settle(2, OutboxState::Delivered)]).await.unwrap();
    let row = outbox(store, 2).await;
    assert_eq!(
        (row.state, row.message_id.as_deref(), row.attempts),
        (OutboxState::Delivered, Some("M-2"), 0)
    );
}

async fn due_messages_are_claimed_most_overdue_first(fresh: Fresh) {
    let store = &fresh.store;
    let at = START.0;
    let expired = OutboxRow { expires_at: at, ..message(7, at - 9) };
    let rows = vec![message(1, at), message(2, at - 2), message(3, at + 1), message(4, at - 1), expired];
    let rows = Changes {
        outbox: keytone::store::keys::Rows { added: rows, changed: vec![full(9, OutboxState::Accepted)] },
        ..Changes::default()
    };
    write(store, 1, &rows).await;
    let ids = |rows: &[OutboxRow]| rows.iter().map(|row| row.id).collect::<Vec<_>>();
    let claimed = store.outbox_claim(id(901), at, at + 50, 2).await.unwrap();
    assert_eq!(ids(&claimed), [id(2), id(4)]);
    let mine = OutboxRow {
        state: OutboxState::Sending,
        owner: Some(id(901)),
        due_at: at + 50,
        updated_at: at,
        ..message(2, 0)
    };
    assert_eq!(claimed[0], mine);
    assert_eq!(outbox(store, 2).await, mine);
    assert_eq!(ids(&store.outbox_claim(id(902), at, at + 50, 9).await.unwrap()), [id(1)]);
    assert!(store.outbox_claim(id(902), at, at + 50, 9).await.unwrap().is_empty());
    // What is past its time is for somebody to fail.
    assert_eq!(ids(&store.outbox_overdue(at, 9).await.unwrap()), [id(7)]);
    assert!(store.outbox_overdue(at - 1, 9).await.unwrap().is_empty());
    assert_eq!(ids(&store.outbox_overdue(at + 100 * SECOND, 1).await.unwrap()), [id(7)]);
    let (writer, _, _) = start(store);
    commit(&writer, vec![settle(7, OutboxState::Failed)]).await.unwrap();
    assert!(store.outbox_overdue(at, 9).await.unwrap().is_empty());
}

async fn of_many_claimers_each_message_goes_to_one(fresh: Fresh) {
    const MANY: u16 = 700;
    let (writer, _, _) = start(&fresh.store);
    // Half of them are queued while they are claimed.
    let queue = async |from: u16| {
        let units = (from..from + MANY / 2).map(|n| vec![Op::Outbox(message(n, START.0))]);
        assert!(together(&writer, units.collect()).await.iter().all(Result::is_ok));
    };
    queue(0).await;
    let taken = std::sync::atomic::AtomicUsize::new(0);
    let claimers = (0..8).map(|n: u16| {
        let (fresh, taken) = (&fresh, &taken);
        async move {
            let store = fresh.again().await;
            let mut mine = Vec::new();
            while taken.load(std::sync::atomic::Ordering::SeqCst) < usize::from(MANY) {
                let rows = store.outbox_claim(id(900 + n), START.0, START.0 + 50, 17).await.unwrap();
                assert!(rows.len() <= 17 && rows.iter().all(|row| row.owner == Some(id(900 + n))));
                taken.fetch_add(rows.len(), std::sync::atomic::Ordering::SeqCst);
                mine.extend(rows.into_iter().map(|row| row.id));
                tokio::task::yield_now().await;
            }
            mine
        }
    });
    let (taken, ()) = tokio::join!(join_all(claimers), queue(MANY / 2));
    let all: Vec<Id> = taken.concat();
    assert_eq!(all.len(), usize::from(MANY));
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), usize::from(MANY));
}

async fn what_nobody_sends_any_more_is_unknown(fresh: Fresh) {
    let store = &fresh.store;
    let (writer, _, _) = start(store);
    let at = START.0;
    for n in 1..=4 {
        commit(&writer, vec![Op::Outbox(message(n, at))]).await.unwrap();
        store.outbox_claim(id(900 + n), at, at + i64::from(n), 1).await.unwrap();
    }
    assert_eq!(store.outbox_lost(at, None).await.unwrap(), 0);
    assert_eq!(store.outbox_lost(at + 2, None).await.unwrap(), 2);
    assert_eq!(store.outbox_lost(at + 2, None).await.unwrap(), 0);
    let row = outbox(store, 2).await;
    assert_eq!((row.state, row.owner, row.updated_at), (OutboxState::Unknown, None, at + 2));
    assert_eq!(row.code.as_deref(), Some("interrupted"));
    // It is not sent again, but a late answer still counts.
    assert!(store.outbox_claim(id(1), at + 99, at + 100, 9).await.unwrap().is_empty());
    let back = commit(&writer, vec![settle(2, OutboxState::Waiting)]).await;
    assert_eq!(back, Err(Refusal::Settled(OutboxState::Unknown)));
    commit(&writer, vec![settle(2, OutboxState::Accepted)]).await.unwrap();
    // The only process that lives knows that the others sent their last.
    assert_eq!(store.outbox_lost(at + 2, Some(id(904))).await.unwrap(), 1);
    assert_eq!(outbox(store, 3).await.state, OutboxState::Unknown);
    assert_eq!(outbox(store, 4).await.state, OutboxState::Sending);
}

async fn messages_are_found_listed_and_counted(fresh: Fresh) {
    let store = &fresh.store;
    let at = START.0;
    let row = |n: u16, state: OutboxState, created_at: i64| OutboxRow {
        created_at,
        recipient: format!("+86138000000{:02}", n % 3),
        route: n.is_multiple_of(2).then(|| "acme".to_owned()),
        ..full(n, state)
    };
    let rows = vec![
        row(1, OutboxState::Waiting, at + 1),
        row(2, OutboxState::Unknown, at + 2),
        row(3, OutboxState::Waiting, at + 3),
        row(4, OutboxState::Accepted, at + 4),
        OutboxRow { message_id: Some("M-4".to_owned()), ..row(6, OutboxState::Accepted, at + 6) },
    ];
    let rows = keytone::store::keys::Rows { added: rows, changed: vec![] };
    write(store, 1, &Changes { outbox: rows, ..Changes::default() }).await;
    let found =
        async |route: &str, id: &str| store.outbox_by_message_id(route, id).await.unwrap().map(|row| row.id);
    assert_eq!(found("acme", "M-2").await, Some(id(2)));
    assert_eq!(found("acme", "M-4").await, Some(id(6)), "the newest of an id that was given twice");
    assert_eq!(found("acme", "M-1").await, None);
    assert_eq!(found("other", "M-2").await, None);
    let list = async |filter: OutboxFilter| -> Vec<Id> {
        store.outbox_list(&filter).await.unwrap().iter().map(|row| row.id).collect()
    };
    let all = OutboxFilter { limit: 10, ..OutboxFilter::default() };
    assert_eq!(list(all.clone()).await, [id(6), id(4), id(3), id(2), id(1)]);
    assert_eq!(list(OutboxFilter { limit: 2, ..all.clone() }).await, [id(6), id(4)]);
    assert_eq!(list(OutboxFilter { state: Some(OutboxState::Waiting), ..all.clone() }).await, [id(3), id(1)]);
    assert_eq!(list(OutboxFilter { since: Some(at + 4), ..all.clone() }).await, [id(6), id(4)]);
    assert_eq!(
        list(OutboxFilter { route: Some("acme".to_owned()), ..all.clone() }).await,
        [id(6), id(4), id(2)]
    );
    let to = OutboxFilter { recipient: Some("+8613800000001".to_owned()), ..all.clone() };
    assert_eq!(list(to.clone()).await, [id(4), id(1)]);
    assert_eq!(list(OutboxFilter { route: Some("acme".to_owned()), ..to }).await, [id(4)]);
    let count = |state, messages, oldest_at| OutboxCount { state, messages, oldest_at };
    let counts = [
        count(OutboxState::Waiting, 2, at + 1),
        count(OutboxState::Accepted, 2, at + 4),
        count(OutboxState::Unknown, 1, at + 2),
    ];
    assert_eq!(store.outbox_counts().await.unwrap(), counts);
}

async fn a_key_is_held_by_one_conversation(fresh: Fresh) {
    let store = &fresh.store;
    let (writer, clock, _) = start(store);
    commit(&writer, vec![save(session(1, Some("a")))]).await.unwrap();
    assert_eq!(holder(store, "a").await, Some(id(1)));
    let caller = session(1, None).caller;
    assert_eq!(store.session_of(&caller, "recharge", START.0).await.unwrap(), None, "it goes on where it is");
    assert_eq!(holder(store, "b").await, None);
    assert_eq!(commit(&writer, vec![save(session(2, Some("a")))]).await, Err(Refusal::Stale));
    assert_eq!(commit(&writer, vec![save(session(1, Some("a")))]).await, Err(Refusal::Stale));
    commit(&writer, vec![save(SessionRow { revision: 2, ..session(1, Some("a")) })]).await.unwrap();
    // One ends and the next begins, in one unit.
    commit(&writer, vec![Op::EndSession(id(1)), save(session(2, Some("a")))]).await.unwrap();
    assert_eq!(holder(store, "a").await, Some(id(2)));
    // The other way round it is refused, and nothing of it happens.
    let turned = vec![save(session(3, Some("a"))), Op::EndSession(id(2))];
    assert_eq!(commit(&writer, turned).await, Err(Refusal::Stale));
    assert_eq!(holder(store, "a").await, Some(id(2)));
    // Two begin at once, and one follows when it has ended.
    let units = vec![
        vec![save(session(4, Some("b")))],
        vec![save(session(5, Some("b")))],
        vec![Op::EndSession(id(4)), Op::EndSession(id(4))],
        vec![save(session(6, Some("b")))],
    ];
    let answers = together(&writer, units).await;
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true, true]);
    assert_eq!(holder(store, "b").await, Some(id(6)));
    // Keys change hands within a batch, also in a circle.
    let second = |n: u16, key: Option<&str>| save(SessionRow { revision: 2, ..session(n, key) });
    let third = |n: u16, key: Option<&str>| save(SessionRow { revision: 3, ..session(n, key) });
    let circle = vec![second(2, None), second(6, Some("a")), third(2, Some("b"))];
    commit(&writer, circle).await.unwrap();
    assert_eq!((holder(store, "a").await, holder(store, "b").await), (Some(id(6)), Some(id(2))));
    let given =
        vec![vec![save(SessionRow { revision: 4, ..session(2, None) })], vec![save(session(7, Some("b")))]];
    assert!(together(&writer, given).await.iter().all(Result::is_ok));
    assert_eq!(holder(store, "b").await, Some(id(7)));
    // Ended and begun anew under the same id, with the key of another.
    let anew = vec![
        Op::EndSession(id(7)),
        Op::EndSession(id(6)),
        save(session(7, Some("a"))),
        save(session(8, Some("b"))),
    ];
    commit(&writer, anew).await.unwrap();
    assert_eq!((holder(store, "a").await, holder(store, "b").await), (Some(id(7)), Some(id(8))));
    // One whose time is up is not found, and holds nothing any more.
    clock.advance(Duration::from_secs(60));
    let now = clock.now().0;
    assert_eq!(store.session_by_key("a", now).await.unwrap(), None);
    let expired: Vec<Id> = store.sessions_expired(now, 9).await.unwrap().iter().map(|row| row.id).collect();
    assert_eq!(expired, [id(7), id(8)]);
    assert_eq!(store.sessions_expired(now, 1).await.unwrap().len(), 1);
    assert!(store.sessions_expired(now - 1, 9).await.unwrap().is_empty());
    let next = SessionRow { expires_at: now + 1, ..session(9, Some("a")) };
    commit(&writer, vec![save(next.clone())]).await.unwrap();
    assert_eq!(store.session_by_key("a", now).await.unwrap(), Some(next));
    let left: Vec<Id> = store.sessions_expired(now, 9).await.unwrap().iter().map(|row| row.id).collect();
    assert_eq!(left, [id(8)], "the other was forgotten");
}

async fn two_nodes_begin_a_conversation_once(fresh: Fresh) {
    let nodes = [node(&fresh).await, node(&fresh).await];
    let answers = join_all((0..).zip(&nodes).map(|(n, (_, writer))| async move {
        let units = (0..40).map(|k: u16| vec![save(session(100 * (n + 1) + k, Some(&format!("key {k}"))))]);
        together(writer, units.collect()).await
    }))
    .await;
    for (one, other) in answers[0].iter().zip(&answers[1]) {
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
        assert_eq!(one.as_ref().err().or_else(|| other.as_ref().err()), Some(&Refusal::Stale));
    }
}

async fn segments_wait_for_each_other(fresh: Fresh) {
    let store = &fresh.store;
    let (writer, _, _) = start(store);
    commit(&writer, vec![Op::Part(part(1, 3))]).await.unwrap();
    commit(&writer, vec![Op::Part(part(1, 1)), Op::Part(part(1, 1)), Op::Part(part(2, 1))]).await.unwrap();
    let other = PartRow { sealed: vec![7], received_at: 0, ..part(1, 1) };
    commit(&writer, vec![Op::Part(other)]).await.unwrap();
    assert_eq!(store.parts(id(1)).await.unwrap(), [part(1, 1), part(1, 3)]);
    // Forgotten and begun again within a batch; a unit that is refused forgets nothing.
    let units = vec![
        vec![Op::Part(part(1, 2)), Op::DropParts(id(1)), Op::Part(part(1, 1))],
        vec![Op::DropParts(id(1)), Op::DropParts(id(2)), settle(1, OutboxState::Failed)],
        vec![Op::Part(part(3, 1))],
    ];
    let answers = together(&writer, units).await;
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(store.parts(id(1)).await.unwrap(), [part(1, 1)]);
    assert_eq!(store.parts(id(2)).await.unwrap(), [part(2, 1)]);
    assert_eq!(store.parts(id(3)).await.unwrap(), [part(3, 1)]);
    commit(&writer, vec![Op::DropParts(id(1)), Op::DropParts(id(8))]).await.unwrap();
    assert_eq!(store.parts(id(1)).await.unwrap(), []);
    assert_eq!(store.forget_parts(START.0).await.unwrap(), 0);
    assert_eq!(store.forget_parts(START.0 + 1).await.unwrap(), 2);
}

/// What a peer may send and a table would refuse: PostgreSQL has no NUL in a text and no long entry in an index.
async fn nothing_from_outside_breaks_a_row(fresh: Fresh) {
    let store = &fresh.store;
    let (writer, _, _) = start(store);
    let odd = || "a\0b".to_owned();
    let row = OutboxRow {
        kind: odd(),
        recipient: odd(),
        body: odd(),
        route: Some(odd()),
        sender: Some(odd()),
        code: Some(odd()),
        message_id: Some("7\0F".repeat(5_000)),
        ..full(1, OutboxState::Accepted)
    };
    let inbox = InboxRow { route: odd(), caller: odd(), ..received(1, START.0) };
    let talk = SessionRow {
        flow: odd(),
        version: odd(),
        state: odd(),
        dialogue: Some(odd()),
        route: Some(odd()),
        ..session(1, Some("k\0ey"))
    };
    let ops = vec![Op::Outbox(row), Op::Receive(Receive { row: inbox, same_since: 0 }), save(talk)];
    commit(&writer, ops).await.unwrap();
    let row = outbox(store, 1).await;
    assert_eq!([row.kind, row.recipient, row.body, row.route.unwrap(), row.sender.unwrap()], ["ab"; 5]);
    assert_eq!(row.message_id.unwrap(), "7F".repeat(128)[..255]);
    let talk = store.session_by_key("key", START.0).await.unwrap().unwrap();
    assert_eq!([talk.flow, talk.version, talk.state, talk.dialogue.unwrap(), talk.route.unwrap()], ["ab"; 5]);
    let told = OutboxSettled {
        route: Some(odd()),
        code: Some(odd()),
        message_id: Some("é".repeat(9_000)),
        attempts: Some(-1),
        segments: Some(i32::MIN),
        ..OutboxSettled::new(id(1), OutboxState::Accepted, START.0)
    };
    commit(&writer, vec![Op::SettleOutbox(Box::new(told))]).await.unwrap();
    let row = outbox(store, 1).await;
    assert_eq!((row.attempts, row.segments, row.code.as_deref()), (0, 0, Some("ab")));
    // What has no sense is refused, and the neighbours are not.
    let bad = |number: i16, total: i16| PartRow { number, total, ..part(1, 1) };
    for (number, total) in [(0, 3), (4, 3), (-1, 3), (1, 0), (1, -1)] {
        let units = vec![vec![Op::Part(bad(number, total))], vec![Op::Part(part(2, 2))]];
        assert_eq!(together(&writer, units).await[0], Err(Refusal::Unfit("segment")), "{number} of {total}");
    }
    assert_eq!(store.parts(id(2)).await.unwrap(), [part(2, 2)]);
    let long = |bytes: usize| save(session(2, Some(&"é".repeat(bytes / 2))));
    assert_eq!(commit(&writer, vec![long(514)]).await, Err(Refusal::Unfit("session key")));
    commit(&writer, vec![long(512)]).await.unwrap();
}

async fn what_is_old_is_forgotten(fresh: Fresh) {
    let store = &fresh.store;
    let (writer, _, _) = start(store);
    let at = START.0;
    let ops = (0..10).map(|n| receive(n, at + i64::from(n), at)).collect();
    commit(&writer, ops).await.unwrap();
    assert_eq!(store.forget_inbox(at, 99).await.unwrap(), 0);
    assert_eq!(store.forget_inbox(at + 5, 3).await.unwrap(), 3);
    assert_eq!(store.forget_inbox(at + 5, 3).await.unwrap(), 2);
    commit(&writer, (0..5).map(|n| receive(n, at, at)).collect()).await.unwrap();
    assert!(commit(&writer, vec![receive(5, at, at)]).await.is_err());
    let over = |n: u16, key| SessionRow { expires_at: at + i64::from(n), ..session(n, key) };
    let saves =
        vec![save(over(1, None)), save(over(2, Some("a"))), save(over(3, Some("b"))), save(over(9, None))];
    commit(&writer, saves).await.unwrap();
    assert_eq!(store.forget_sessions(at + 5, at).await.unwrap(), 1);
    assert_eq!(store.forget_sessions(at + 5, at + 2).await.unwrap(), 1, "a channel had its time");
    assert_eq!(holder(store, "b").await, Some(id(3)));
}

async fn a_batch_with_a_due_message_wakes(fresh: Fresh) {
    let (writer, clock, _) = start(&fresh.store);
    let wakes = async || tokio::time::timeout(Duration::from_secs(20), writer.outbox_wake()).await.is_ok();
    let sleeps = async || {
        // Whatever was to wake has been told when the commit is answered.
        tokio::time::timeout(Duration::ZERO, writer.outbox_wake()).await.is_err()
    };
    assert!(sleeps().await);
    commit(&writer, vec![Op::Outbox(message(1, START.0))]).await.unwrap();
    assert!(wakes().await, "it came before the wait");
    assert!(sleeps().await, "once");
    let (woken, done) = tokio::join!(wakes(), commit(&writer, vec![Op::Outbox(message(2, START.0 - 1))]));
    assert!(woken && done.is_ok());
    commit(&writer, vec![Op::Outbox(message(3, START.0 + 1))]).await.unwrap();
    commit(&writer, vec![Op::Outbox(full(4, OutboxState::Sending))]).await.unwrap();
    commit(&writer, vec![receive(1, START.0, START.0)]).await.unwrap();
    assert!(sleeps().await, "nothing of this is due");
    clock.advance(Duration::from_secs(9));
    commit(&writer, vec![settle(4, OutboxState::Waiting)]).await.unwrap();
    assert!(wakes().await, "it is to be tried again");
}

/// The tables as they were before messages.
async fn before_messages(url: &str) {
    use sqlx::migrate::{Migration, MigrationType, Migrator};
    use sqlx::{ConnectOptions, SqlSafeStr};
    macro_rules! steps {
        ($folder:literal) => {
            [
                (1, "ledger", include_str!(concat!("../../migrations/", $folder, "/0001_ledger.sql"))),
                (2, "payment", include_str!(concat!("../../migrations/", $folder, "/0002_payment.sql"))),
                (3, "sessions", include_str!(concat!("../../migrations/", $folder, "/0003_sessions.sql"))),
            ]
        };
    }
    let migrator = |steps: [(i64, &'static str, &'static str); 3]| {
        let steps = steps.map(|(version, name, sql)| {
            Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
        });
        let mut migrator = Migrator::with_migrations(steps.to_vec());
        migrator.set_locking(false);
        migrator
    };
    if url.starts_with("sqlite:") {
        let options: sqlx::sqlite::SqliteConnectOptions = url.parse().unwrap();
        let mut conn = options.create_if_missing(true).connect().await.unwrap();
        migrator(steps!("sqlite")).run_direct(None, &mut conn, false).await.unwrap();
    } else {
        let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
        let mut conn = options.connect().await.unwrap();
        migrator(steps!("postgres")).run_direct(None, &mut conn, false).await.unwrap();
    }
}

async fn what_was_queued_before_messages_is_kept(fresh: Fresh) {
    let (url, _dir) = if fresh.url.starts_with("sqlite:") {
        let dir = tempfile::tempdir().unwrap();
        (format!("sqlite:{}", dir.path().join("old.db").display()), Some(dir))
    } else {
        (crate::support::postgres::database_url().await, None)
    };
    before_messages(&url).await;
    let (row, session) = if url.starts_with("sqlite:") { ("x'", "x'") } else { ("'\\x", "'\\x") };
    let sql = format!(
        "insert into outbox (id, kind, recipient, body, payment, state, due_at, created_at) values \
         ({row}{a}', 'sms', '+861', 'one', {row}{b}', 0, 5, 4), ({row}{b}', 'sms', '+862', 'two', null, 1, 7, 6); \
         insert into sessions (id, caller, channel, flow, version, state, revision, saved_at, expires_at) values \
         ({session}{a}', '+8613800000001', 1, 'recharge', 'v', '{{}}', 3, 1, 9)",
        a = "01".repeat(16),
        b = "02".repeat(16),
    );
    execute(&url, Box::leak(sql.into_boxed_str())).await;
    let store = Store::open(&url).await.unwrap();
    store.migrate().await.unwrap();
    let day = 24 * 3_600 * SECOND;
    let (one, two) = (Id([1; 16]), Id([2; 16]));
    let kept = OutboxRow {
        payment: Some(two),
        due_at: 5,
        ..OutboxRow::waiting(one, "sms", "+861", "one".to_owned(), 4, day)
    };
    assert_eq!(store.outbox_row(one).await.unwrap(), Some(kept.clone()));
    assert_eq!(store.outbox_of(two).await.unwrap(), [kept]);
    assert_eq!(store.outbox_row(two).await.unwrap().unwrap().state, OutboxState::Accepted);
    let caller = Msisdn::parse("+8613800000001").unwrap();
    let session = store.session_of(&caller, "recharge", 8).await.unwrap().unwrap();
    assert_eq!((session.revision, session.key, session.route), (3, None, None));
    // The rules of the columns came along.
    for bad in [
        "update outbox set state = 7",
        "update outbox set owner = id || id",
        "update outbox set segments = -1",
    ] {
        let refused = std::panic::AssertUnwindSafe(execute(&url, bad));
        assert!(futures_util::FutureExt::catch_unwind(refused).await.is_err(), "{bad}");
    }
    store.close().await;
}

on_all!(
    every_message_row_comes_back,
    a_message_is_received_once,
    two_nodes_receive_a_message_once,
    a_message_goes_only_where_it_may,
    what_is_settled_keeps_what_is_not_told,
    due_messages_are_claimed_most_overdue_first,
    of_many_claimers_each_message_goes_to_one,
    what_nobody_sends_any_more_is_unknown,
    messages_are_found_listed_and_counted,
    a_key_is_held_by_one_conversation,
    two_nodes_begin_a_conversation_once,
    segments_wait_for_each_other,
    nothing_from_outside_breaks_a_row,
    what_is_old_is_forgotten,
    a_batch_with_a_due_message_wakes,
);

mod upgraded {
    use super::{on_both, what_was_queued_before_messages_is_kept};

    on_both!(what_was_queued_before_messages_is_kept);
}
