//! Charging: an agent who sells, buyers, and staff who judge disputes. Everybody asks again until he is told, and some ask
//! twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keytone::clock::Clock;
use keytone::ledger::row::Id;
use keytone::payment::answer::Channel;
use keytone::payment::charge::{Input, Side, Stage, Terms};
use keytone::payment::row::charge::ChargeRow;
use keytone::payment::row::record::Select;
use keytone::payment::run::agents::NewAgent;
use keytone::payment::run::charges::{Asker, ChargeRequest, Charged};
use keytone::payment::run::{Error, Payments};
use keytone::secret::Secret;
use keytone::store::Store;

use super::check::now;
use super::run::{NUMBERS, pause_until};
use super::world::{State, World};
use crate::support::market::{PIN, phone};

/// Which customer sells.
pub(super) const AGENT: usize = 2;
const SECOND: i64 = 1_000_000;

/// What somebody does with a charge.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Deed {
    Request,
    Deposit {
        right_pin: bool,
    },
    Claim,
    Confirm,
    /// With a wrong certificate.
    Guess,
    Cancel(Side),
    Decline,
    Withdraw,
    Judge {
        staff: &'static str,
        to: Side,
    },
}

#[derive(Clone, Debug)]
struct Act {
    deal: usize,
    deed: Deed,
    id: Id,
    at: i64,
    persists: bool,
    begun: bool,
    done: bool,
}

#[derive(Clone, Debug)]
struct Deal {
    id: Id,
    buyer: usize,
    amount_minor: i64,
    number: Option<String>,
}

/// Everything about charging that outlives a process.
#[derive(Default)]
pub(super) struct Street {
    deals: Vec<Deal>,
    acts: Vec<Act>,
    told: Vec<(usize, Charged)>,
}

/// Times that fit into a run.
pub(super) fn terms() -> Terms {
    Terms {
        deposit_within: 25 * SECOND,
        pay_within: 30 * SECOND,
        claim_window: 15 * SECOND,
        confirm_within: 25 * SECOND,
        alarm_every: 60 * SECOND,
        ..Terms::default()
    }
}

/// Opens the agent's store.
pub(super) async fn open(payments: &Payments, account: Id) {
    let agent = NewAgent {
        account,
        phone: phone(NUMBERS[AGENT]),
        name: "Wang".to_owned(),
        language: "en".to_owned(),
        details: "ICBC 6222 0001".to_owned(),
        price_ppm: 1_000_000,
        least_minor: 1_000,
        most_minor: 10_000,
        fee_minor: 50,
    };
    payments.add_agent(agent).await.unwrap();
}

/// Who is about to buy.
pub(super) fn plan(state: &mut State, from: i64) {
    for deal in 0..usize::try_from(state.dice.below(4)).unwrap() {
        let start = from + i64::try_from(state.dice.below(30_000)).unwrap() * 1_000;
        let row = Deal {
            id: Id::new(start),
            buyer: usize::try_from(state.dice.below(2)).unwrap(),
            amount_minor: state.dice.pick(&[2_000, 5_000, 9_000]),
            number: None,
        };
        state.street.deals.push(row);
        let right_pin = !state.dice.permille(50);
        let mut at = start;
        for (deed, often, again, from_ms, to_ms) in [
            (Deed::Request, 1_000, 200, 0, 1),
            (Deed::Decline, 60, 200, 1_000, 15_000),
            (Deed::Cancel(Side::Agent), 60, 200, 1_000, 15_000),
            (Deed::Deposit { right_pin }, 900, 300, 1_000, 28_000),
            (Deed::Cancel(Side::Buyer), 120, 200, 2_000, 50_000),
            (Deed::Claim, 650, 300, 10_000, 60_000),
            (Deed::Guess, 200, 0, 10_000, 80_000),
            (Deed::Confirm, 550, 300, 10_000, 110_000),
            (Deed::Withdraw, 200, 200, 30_000, 110_000),
            (Deed::Judge { staff: "ann", to: Side::Agent }, 400, 200, 40_000, 140_000),
            (Deed::Judge { staff: "bo", to: Side::Agent }, 400, 200, 40_000, 140_000),
            (Deed::Judge { staff: "cy", to: Side::Buyer }, 200, 200, 40_000, 140_000),
        ] {
            if state.dice.permille(often) {
                // Some come in the same moment.
                if !state.dice.permille(200) {
                    at = start + i64::try_from(state.dice.between(from_ms, to_ms)).unwrap() * 1_000;
                }
                add(state, deal, deed, at, again);
            }
        }
    }
}

fn add(state: &mut State, deal: usize, deed: Deed, at: i64, again: u64) {
    let act = Act {
        deal,
        deed,
        id: Id::new(at),
        at,
        persists: !state.dice.permille(100),
        begun: false,
        done: false,
    };
    if state.dice.permille(again) {
        let late = at + state.dice.pick(&[0, 0, 400_000, 3_000_000]);
        state.street.acts.push(Act { at: late, ..act.clone() });
        state.last_plan = state.last_plan.max(late);
    }
    state.last_plan = state.last_plan.max(at);
    state.street.acts.push(act);
}

/// How many acts there are.
pub(super) fn acts(world: &World) -> usize {
    world.state().street.acts.len()
}

/// One act, until whoever does it is told what came of it.
pub(super) async fn act(
    world: Arc<World>,
    payments: Payments,
    clock: Clock,
    accounts: Arc<Vec<Id>>,
    index: usize,
) {
    let act = world.state().street.acts[index].clone();
    if act.done || act.begun && !act.persists {
        return;
    }
    pause_until(&clock, act.at).await;
    for _ in 0..40 {
        if world.state().dead {
            return;
        }
        let deal = world.state().street.deals[act.deal].clone();
        if deal.number.is_none() && act.deed != Deed::Request {
            tokio::time::sleep(Duration::from_secs(2)).await;
            continue;
        }
        world.state().street.acts[index].begun = true;
        let answer = once(&world, &payments, &deal, &act, &accounts).await;
        if world.state().dead {
            return;
        }
        world.note(|| format!("charge {} {:?} hears {answer:?}", act.deal, act.deed));
        match answer {
            Ok(Some(told)) => {
                let mut state = world.state();
                state.street.told.push((index, told));
                state.street.acts[index].done = true;
                return;
            }
            Ok(None) => tokio::time::sleep(Duration::from_secs(2)).await,
            Err(_) if act.persists => tokio::time::sleep(Duration::from_secs(3)).await,
            Err(_) => return,
        }
    }
}

/// What came of it; `None` when the time for it has not come.
async fn once(
    world: &World,
    payments: &Payments,
    deal: &Deal,
    act: &Act,
    accounts: &[Id],
) -> Result<Option<Charged>, Error> {
    let (agent, buyer) = (accounts[AGENT], accounts[deal.buyer]);
    let number = deal.number.clone().unwrap_or_default();
    let selling = Asker { account: agent, caller: Some(phone(NUMBERS[AGENT])), channel: Channel::Ussd };
    let say = async |side: Side, input: Input| {
        let account = if side == Side::Buyer { buyer } else { agent };
        payments.say_charge(side, account, &number, input).await.map(Some)
    };
    match act.deed {
        Deed::Request => {
            let ask = ChargeRequest {
                id: deal.id,
                agent,
                buyer,
                phone: phone(NUMBERS[deal.buyer]),
                channel: Channel::Ussd,
                language: "en".to_owned(),
                amount_minor: deal.amount_minor,
                price_minor: deal.amount_minor,
            };
            let told = payments.request_charge(ask).await?;
            if let Charged::Done(row) = &told {
                world.state().street.deals[act.deal].number = Some(row.number.clone());
            }
            Ok(Some(told))
        }
        Deed::Deposit { right_pin } => {
            let pin = Secret::from(if right_pin { PIN } else { "918273" });
            payments.deposit_charge(act.id, &selling, &number, pin).await.map(Some)
        }
        Deed::Claim => say(Side::Buyer, Input::Claim).await,
        Deed::Withdraw => say(Side::Buyer, Input::Withdraw).await,
        Deed::Decline => say(Side::Agent, Input::Decline).await,
        Deed::Cancel(side) => say(side, Input::Cancel(side)).await,
        Deed::Confirm => {
            // The buyer shows the certificate while there is one; without it the agent asks with none.
            let shown = payments.charge_details(buyer, &number).await?;
            let certificate = shown.map(|(_, certificate)| certificate).unwrap_or_default();
            payments
                .confirm_charge(act.id, &selling, &number, &certificate, Secret::from(PIN))
                .await
                .map(Some)
        }
        Deed::Guess => {
            payments.confirm_charge(act.id, &selling, &number, "000000", Secret::from(PIN)).await.map(Some)
        }
        Deed::Judge { staff, to } => {
            payments.judge_charge(&number, staff, to, "a bank statement").await.map(Some)
        }
    }
}

fn charges(store: &Store) -> Vec<ChargeRow> {
    now(store.records(&Select::<ChargeRow>::new()))
}

const fn waits(stage: Stage) -> bool {
    matches!(stage, Stage::Requested | Stage::Deposited | Stage::Claimed)
}

fn stage(row: &ChargeRow) -> Stage {
    Stage::from_number(row.state).unwrap()
}

/// Whether no charge waits for time.
pub(super) fn is_settled(store: &Store) -> bool {
    !charges(store).iter().any(|row| waits(stage(row)))
}

/// What the books say of charges; gives what each account got.
pub(super) fn check(world: &World, store: &Store, faults: &mut Vec<String>) -> BTreeMap<Id, i64> {
    let charges = charges(store);
    let mut got: BTreeMap<Id, i64> = BTreeMap::new();
    for row in &charges {
        let stage = stage(row);
        if waits(stage) {
            faults.push(format!("charge {} is {stage:?}, due {:?}", row.id, row.due_at));
        }
        let to = match stage {
            Stage::Completed | Stage::ToBuyer => Some(row.buyer),
            Stage::Returned | Stage::ToAgent => Some(row.agent),
            Stage::Cancelled if row.deposit.is_some() => Some(row.agent),
            _ => None,
        };
        if let Some(account) = to {
            *got.entry(account).or_default() += row.amount_minor;
        }
    }
    let state = world.state();
    // The same id may be asked again at a better time: its last answer counts.
    let last: BTreeMap<Id, &(usize, Charged)> =
        state.street.told.iter().map(|told| (state.street.acts[told.0].id, told)).collect();
    for (index, told) in last.values() {
        let act = &state.street.acts[*index];
        let row = charges.iter().find(|row| row.id == state.street.deals[act.deal].id);
        if let Some(row) = row
            && lied(row, act, told)
        {
            let stage = stage(row);
            faults.push(format!("charge {}: {:?} heard {told:?}, and it is {stage:?}", act.deal, act.deed));
        }
    }
    got
}

/// Nobody is told that it failed what was done, nor that it was done what was not.
fn lied(row: &ChargeRow, act: &Act, told: &Charged) -> bool {
    let done = matches!(told, Charged::Done(_));
    let stage = stage(row);
    match act.deed {
        Deed::Request => !done,
        Deed::Deposit { .. } => done != (row.deposit == Some(act.id)),
        // One confirms, under one id, and nobody else gives a charge to the buyer but staff.
        Deed::Confirm if row.judged_by.is_none() => {
            done != matches!(stage, Stage::Completed | Stage::ToBuyer)
        }
        Deed::Cancel(_) => done && stage != Stage::Cancelled,
        Deed::Decline => done && stage != Stage::Declined,
        Deed::Withdraw => done && stage != Stage::ToAgent,
        Deed::Claim => done && row.claimed_at.is_none(),
        Deed::Confirm | Deed::Guess | Deed::Judge { .. } => false,
    }
}
