//! Staff: money from the counter, refunds, deliveries taken back, and a look at what the core leaves to a person. Every request has one id for all its
//! tries; what moves more than one may move alone is approved by another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keytone::clock::Clock;
use keytone::ledger::row::Id;
use keytone::payment::approval::{Decision, Stage};
use keytone::payment::row::record::Select;
use keytone::payment::row::staff::{ProposalRow, RefundRow};
use keytone::payment::row::{PaymentRow, State as At, product};
use keytone::payment::run::staff::Asked;
use keytone::payment::run::{Error, Payments};
use keytone::payment::staff::{Act, Movement, Outcome};
use keytone::store::memory::Memory;
use keytone::store::{PaymentFilter, Store};

use super::check::{now, records};
use super::holder;
use super::run::pause_until;
use super::world::{State, World};

/// What staff move alone.
pub(super) const ALONE: i64 = 3_000;

#[derive(Clone, Copy, Debug)]
enum Deed {
    CashIn {
        customer: usize,
        amount_minor: i64,
    },
    /// Of some delivered payment, chosen at its first try.
    Refund {
        amount_minor: i64,
    },
    /// Of some delivered payment from an outside account, if possible while its money is about to be taken.
    TakeBack,
}

#[derive(Clone, Debug)]
struct Plan {
    id: Id,
    at: i64,
    deed: Deed,
    act: Option<Act>,
    done: bool,
}

/// Everything of staff that outlives a process.
#[derive(Default)]
pub(super) struct Desk {
    plans: Vec<Plan>,
    /// Requests to resolve payments.
    resolving: BTreeMap<Id, (Id, Outcome)>,
    /// Requests to take back payments whose money cannot be had; nothing where staff leave it.
    taking_back: BTreeMap<Id, Option<Id>>,
}

/// What staff are about to do.
pub(super) fn plan(state: &mut State, from: i64) {
    for _ in 0..state.dice.below(4) {
        let at = from + i64::try_from(state.dice.below(120_000)).unwrap() * 1_000;
        let amount_minor = state.dice.pick(&[1_000, 2_500, 4_000]);
        let customer = usize::try_from(state.dice.below(3)).unwrap();
        let deed = match state.dice.below(20) {
            0..8 => Deed::CashIn { customer, amount_minor },
            8..15 => Deed::Refund { amount_minor },
            _ => Deed::TakeBack,
        };
        let plan = Plan { id: Id::new(at), at, deed, act: None, done: false };
        if state.dice.permille(300) {
            state.desk.plans.push(plan.clone());
        }
        state.desk.plans.push(plan);
        state.last_plan = state.last_plan.max(at);
    }
}

/// How many plans there are.
pub(super) fn plans(world: &World) -> usize {
    world.state().desk.plans.len()
}

fn asked(id: Id, act: &Act) -> Asked {
    let words = |text: &str| text.to_owned();
    Asked { id, who: words("ana"), reason: words("goodwill"), evidence: words("ticket 7"), act: act.clone() }
}

/// Asks, and has another approve it. `Ok` when an answer came, whatever it was.
async fn ask(world: &World, payments: &Payments, id: Id, act: &Act) -> Result<(), Error> {
    let row = payments.ask_staff(&asked(id, act)).await?;
    world.note(|| format!("staff {act:?}: {row:?}"));
    if row.is_ok_and(|row| row.state == Stage::Proposed.number()) {
        let row = payments.decide_staff(id, "bo", Decision::Approve).await?;
        world.note(|| format!("staff approve: {row:?}"));
    }
    Ok(())
}

fn delivered(memory: &Memory) -> Option<PaymentRow> {
    let filter = PaymentFilter { state: Some(At::Delivered), limit: 100, ..PaymentFilter::default() };
    let payments = now(Store::Memory(memory.clone()).payments(&filter));
    payments
        .into_iter()
        .find(|payment| [product::RECHARGE, product::BILL].contains(&payment.product.as_str()))
}

/// Whose money is about to be taken, or else any.
fn from_outside(memory: &Memory) -> Option<Id> {
    let filter = PaymentFilter { state: Some(At::Delivered), limit: 100, ..PaymentFilter::default() };
    let store = Store::Memory(memory.clone());
    let payments = now(store.payments(&filter));
    let mut outside = payments.iter().filter(|payment| payment.provider.is_some()).map(|payment| payment.id);
    let first = outside.next()?;
    Some(outside.chain([first]).find(|id| holder::is_taking(&store, *id)).unwrap_or(first))
}

/// Of one request every try asks for the same.
fn chosen(world: &World, id: Id, act: &Act) {
    let mut state = world.state();
    state.desk.plans.iter_mut().filter(|plan| plan.id == id).for_each(|plan| plan.act = Some(act.clone()));
}

/// One plan, until staff are told.
pub(super) async fn work(
    world: Arc<World>,
    payments: Payments,
    memory: Memory,
    clock: Clock,
    accounts: Arc<Vec<Id>>,
    index: usize,
) {
    let plan = world.state().desk.plans[index].clone();
    if plan.done {
        return;
    }
    pause_until(&clock, plan.at).await;
    for _ in 0..60 {
        if world.state().dead {
            return;
        }
        let known = world.state().desk.plans.iter().find(|p| p.id == plan.id).and_then(|p| p.act.clone());
        let act = match (known, plan.deed) {
            (Some(act), _) => Some(act),
            (None, Deed::CashIn { customer, amount_minor }) => Some(Act::Move {
                movement: Movement::CashIn,
                amount_minor,
                account: Some(accounts[customer]),
                connector: None,
                discount_minor: 0,
            }),
            (None, Deed::Refund { amount_minor }) => {
                delivered(&memory).map(|payment| Act::Refund { payment: payment.id, amount_minor })
            }
            (None, Deed::TakeBack) => from_outside(&memory).map(|payment| Act::Reverse { payment }),
        };
        if let Some(act) = act {
            chosen(&world, plan.id, &act);
            if ask(&world, &payments, plan.id, &act).await.is_ok() && !world.state().dead {
                world.state().desk.plans[index].done = true;
                return;
            }
        }
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
}

/// Looks again and again for what the core leaves to a person, asks the carrier by telephone, and writes what it says.
pub(super) async fn review(world: Arc<World>, payments: Payments, memory: Memory) {
    loop {
        tokio::time::sleep(Duration::from_secs(15)).await;
        if world.state().dead {
            return;
        }
        let store = Store::Memory(memory.clone());
        for payment in now(store.open_payments(&[At::NeedsReview], 20)) {
            let known = records(&world, &store, &payment);
            if known.iter().any(|record| record.wrong || record.state == "PENDING") {
                continue;
            }
            let delivered = known.iter().any(|record| record.state == "DELIVERED");
            let outcome = if delivered { Outcome::Delivered } else { Outcome::Refused };
            let at = world.state().clock.now().0;
            let fresh = (Id::new(at), outcome);
            let kept = world.state().desk.resolving.get(&payment.id).copied();
            // A payment may come to a person twice.
            let (id, outcome) = kept.filter(|kept| kept.1 == outcome).unwrap_or(fresh);
            world.state().desk.resolving.insert(payment.id, (id, outcome));
            let act = Act::Resolve { payment: payment.id, outcome };
            if ask(&world, &payments, id, &act).await.is_err() || world.state().dead {
                continue;
            }
            world.state().desk.resolving.remove(&payment.id);
        }
        for payment in holder::stuck(&store) {
            take_back(&world, &payments, payment).await;
        }
    }
}

/// Money that its provider does not let us have: the delivery is given up, or left as it is.
async fn take_back(world: &World, payments: &Payments, payment: Id) {
    let request = {
        let mut state = world.state();
        let fresh = state.dice.permille(500).then_some(state.clock.now().0).map(Id::new);
        *state.desk.taking_back.entry(payment).or_insert(fresh)
    };
    let Some(request) = request else { return };
    let asked = ask(world, payments, request, &Act::Reverse { payment }).await;
    if asked.is_ok() && !world.state().dead {
        world.state().desk.taking_back.insert(payment, None);
    }
}

/// Whether staff have taken a payment back.
pub(super) fn took_back(store: &Store, payment: Id) -> bool {
    let done = Select::<ProposalRow>::new().equal("state", &Stage::Done.number());
    now(store.records(&done)).iter().any(|row| {
        let act: Act = serde_json::from_str(&row.act).unwrap();
        matches!(act, Act::Reverse { payment: of } if of == payment)
    })
}

/// What the books say that staff gave, by account.
pub(super) fn check(store: &Store, payments: &[PaymentRow]) -> BTreeMap<Id, i64> {
    let mut got: BTreeMap<Id, i64> = BTreeMap::new();
    for refund in now(store.records(&Select::<RefundRow>::new())) {
        let kept = |payment: &&PaymentRow| {
            // What is given back whole gives no more than that, whatever was given before.
            payment.id == refund.payment && !matches!(payment.state, At::Reversed | At::Refused)
        };
        if let Some(payment) = payments.iter().find(kept) {
            *got.entry(payment.account).or_default() += refund.refunded_minor;
        }
    }
    for row in now(store.records(&Select::<ProposalRow>::new())) {
        let act: Act = serde_json::from_str(&row.act).unwrap();
        if let (true, Act::Move { account: Some(account), amount_minor, .. }) =
            (row.state == Stage::Done.number(), act)
        {
            *got.entry(account).or_default() += amount_minor;
        }
    }
    got
}
