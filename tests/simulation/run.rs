//! One seed from the first call to the last callback, through as many deaths as it has.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use keytone::clock::{Clock, Timestamp};
use keytone::ledger::row::Id;
use keytone::payment::answer::{Channel, PayOutcome, PayRequest, Pin};
use keytone::payment::pin::{Peppers, Profile};
use keytone::payment::row::State as Stage;
use keytone::payment::run::crash;
use keytone::payment::run::writer::Writer;
use keytone::payment::run::{OpenAccount, Parts, Payments};
use keytone::payment::settings::Settings;
use keytone::secret::Secret;
use keytone::store::Store;
use keytone::store::memory::Memory;
use tokio_util::sync::CancellationToken;

use super::bills;
use super::carrier;
use super::charging;
use super::check;
use super::desk;
use super::holder;
use super::shop;
use super::world::{Event, State, Watch, Wish, World};
use crate::support::market::{PIN, cny, phone};

/// Where virtual time begins.
const START: Timestamp = Timestamp(1_700_000_000_000_000);
/// How long things may fail.
const STORM: Duration = Duration::from_secs(90);
/// How long after that everything must be settled: a pending recharge, and the whole schedule of status queries.
const CALM: Duration = Duration::from_secs(420);
/// What each customer has at first.
pub(super) const CREDIT: i64 = 40_000;
/// Wrong tries before a PIN locks.
pub(super) const TRIES: i32 = 3;
/// The day's limit.
pub(super) const DAY_LIMIT: i64 = 25_000;
/// The customers' numbers; the fourth one is only guessed at, and those after it have their accounts outside.
pub(super) const NUMBERS: [&str; 6] = [
    "+8613800000001",
    "+8613900000002",
    "+8613000000003",
    "+8613100000004",
    "+8613200000005",
    "+8613700000006",
];

thread_local! {
    /// Why the writer stopped the process, if it did.
    static BROKEN: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The writer found the books broken: the task ends without a word on the terminal, and the run has failed.
fn broken(why: &str) -> ! {
    BROKEN.set(Some(why.to_owned()));
    std::panic::resume_unwind(Box::new("the books are broken"))
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    pub(super) crashes: u32,
    pub(super) payments: u64,
}

pub(super) struct Customers {
    pub(super) accounts: Vec<Id>,
}

fn settings() -> Settings {
    let seconds = Duration::from_secs;
    let mut settings = Settings::demo(cny());
    settings.day_limit_minor = DAY_LIMIT;
    settings.answer_within = seconds(8);
    settings.poll_every = seconds(3);
    settings.hold_expiry = seconds(60);
    settings.status_schedule = [2, 3, 5, 10, 15, 20, 30, 40, 60, 80].map(seconds).to_vec();
    settings.receipt = |payment, _| payment.state.is_definite().then(|| format!("{:?}", payment.state));
    settings.pin.profile = Profile::Trifling;
    settings.pin.pool = 0;
    settings.pin.tries_max = TRIES;
    settings.pin.delay = Duration::ZERO;
    settings.billers = bills::directory();
    settings.providers = holder::named();
    settings.charging = charging::terms();
    settings.staff.alone_minor = desk::ALONE;
    settings
}

/// Who pays: so many times in a thousand one whose account is outside.
pub(super) fn somebody(state: &mut State, outside: u64) -> usize {
    let (first, count) = if state.dice.permille(outside) { (holder::FIRST, 2) } else { (0, 3) };
    first + usize::try_from(state.dice.below(count)).unwrap()
}

fn wishes(world: &World) {
    let mut state = world.state();
    let count = state.dice.between(3, 12);
    let from = state.clock.now().0;
    for _ in 0..count {
        let customer = somebody(&mut state, 400);
        let at = from + i64::try_from(state.dice.below(80_000)).unwrap() * 1_000;
        let target =
            state.dice.pick(&["+8613511111111", "+8613622222222", "+8613233333333", "+8618544444444"]);
        let wish = Wish {
            id: Id::new(at),
            customer,
            target: target.to_owned(),
            amount_minor: state.dice.pick(&[5_000, 5_000, 10_000]),
            at,
            right_pin: !state.dice.permille(60),
            repeat: state.dice.permille(500),
            persists: state.dice.permille(600),
            begun: false,
            done: false,
        };
        // Some press twice, and some press twice with another payment.
        if state.dice.permille(150) {
            let again =
                Wish { at: at + i64::try_from(state.dice.below(9_000)).unwrap() * 1_000, ..wish.clone() };
            state.wishes.push(again);
        }
        if state.dice.permille(200) {
            let at = at + i64::try_from(state.dice.below(4_000)).unwrap() * 1_000;
            state.wishes.push(Wish { id: Id::new(at), at, ..wish.clone() });
        }
        state.wishes.push(wish);
    }
    if state.dice.permille(250) {
        let at = from + i64::try_from(state.dice.below(60_000)).unwrap() * 1_000;
        let guess = Wish {
            id: Id([0; 16]),
            customer: 3,
            target: "+8613511111111".to_owned(),
            amount_minor: 5_000,
            at,
            right_pin: false,
            repeat: false,
            persists: false,
            begun: false,
            done: false,
        };
        state.wishes.extend((0..8).map(|_| Wish { id: Id::new(at), ..guess.clone() }));
    }
}

async fn start(world: &Arc<World>, memory: &Memory, clock: &Clock) -> Payments {
    loop {
        let store = Store::Memory(memory.with(Arc::clone(world) as _));
        let (writer, _) = Writer::start(store.clone(), clock.clone(), broken);
        let started = Payments::start(Parts {
            settings: settings(),
            store,
            writer,
            connectors: [carrier::connectors(world, clock), holder::connectors(world, clock)].concat(),
            plan: carrier::plan(),
            peppers: Peppers::single(Secret::from("0123456789abcdef")),
            clock: clock.clone(),
        })
        .await;
        match started {
            Ok(payments) => {
                payments.tell_over(Arc::new(shop::Receiver(Arc::clone(world))));
                return payments;
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    }
}

async fn set_up(world: &Arc<World>, memory: &Memory, clock: &Clock) -> Customers {
    let payments = start(world, memory, clock).await;
    let mut accounts = Vec::new();
    for (customer, number) in NUMBERS.iter().enumerate() {
        let open = OpenAccount { msisdn: Some(phone(number)), pin: Some(Secret::from(PIN)) };
        accounts.push(match holder::of_customer(customer) {
            Some(provider) => payments.open_outside_account(open, provider, "w-1").await.unwrap(),
            None => {
                let account = payments.open_account(open).await.unwrap();
                payments.credit(Id::new(clock.now().0), account, CREDIT).await.unwrap();
                account
            }
        });
    }
    charging::open(&payments, accounts[charging::AGENT]).await;
    shop::open(world, &payments).await;
    wishes(world);
    let mut state = world.state();
    let from = clock.now().0;
    bills::plan(&mut state, from);
    shop::plan(&mut state, from);
    charging::plan(&mut state, from);
    desk::plan(&mut state, from);
    drop(state);
    Customers { accounts }
}

/// Waits until a time of the virtual clock, microseconds.
pub(super) async fn pause_until(clock: &Clock, at: i64) {
    let wait = u64::try_from(at - clock.now().0).unwrap_or(0);
    tokio::time::sleep(Duration::from_micros(wait)).await;
}

/// A caller from his first try to the last.
async fn call(world: Arc<World>, payments: Payments, clock: Clock, account: Id, index: usize) {
    let wish = world.state().wishes[index].clone();
    if wish.done || wish.begun && !wish.persists {
        return;
    }
    pause_until(&clock, wish.at).await;
    world.state().wishes[index].begun = true;
    for _ in 0..30 {
        let pin = if wish.right_pin { PIN } else { "918273" };
        let request = PayRequest {
            id: wish.id,
            account,
            caller: Some(phone(NUMBERS[wish.customer])),
            channel: Channel::Voice,
            phone: phone(&wish.target),
            amount_minor: wish.amount_minor,
            pin: Pin::Typed(Secret::from(pin)),
            repeat: wish.repeat,
        };
        world.note(|| format!("#{index} asks {} {} under {}", wish.target, wish.amount_minor, wish.id));
        let answer = payments.pay(request).await;
        if world.state().dead {
            return;
        }
        world.note(|| format!("#{index} hears {answer:?}"));
        match answer {
            Ok(outcome) => {
                let mut state = world.state();
                state.told.push((index, outcome));
                state.wishes[index].done = true;
                return;
            }
            Err(_) if wish.persists => tokio::time::sleep(Duration::from_secs(3)).await,
            Err(_) => return,
        }
    }
}

/// Those who pay bills, buy, sell, and the staff.
fn everybody_else(
    world: &Arc<World>,
    payments: &Payments,
    memory: &Memory,
    clock: &Clock,
    customers: &Customers,
) {
    let with = || (Arc::clone(world), payments.clone(), clock.clone());
    let accounts = Arc::new(customers.accounts.clone());
    let bills = world.state().town.wishes.len();
    for index in 0..bills {
        let (world, payments, clock) = with();
        let account = accounts[bills::customer(&world, index)];
        tokio::spawn(bills::call(world, payments, clock, account, index));
    }
    for index in 0..shop::acts(world) {
        let (world, payments, clock) = with();
        tokio::spawn(shop::act(world, payments, clock, Arc::clone(&accounts), index));
    }
    for index in 0..charging::acts(world) {
        let (world, payments, clock) = with();
        tokio::spawn(charging::act(world, payments, clock, Arc::clone(&accounts), index));
    }
    for index in 0..desk::plans(world) {
        let (world, payments, clock) = with();
        tokio::spawn(desk::work(world, payments, memory.clone(), clock, Arc::clone(&accounts), index));
    }
    let (world, payments, _) = with();
    tokio::spawn(desk::review(world, payments, memory.clone()));
}

async fn live(world: Arc<World>, memory: Memory, clock: Clock, customers: Arc<Customers>, end: i64) {
    let payments = start(&world, &memory, &clock).await;
    while payments.recover().await.is_err() {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    tokio::spawn(payments.clone().run(CancellationToken::new()));
    let count = world.state().wishes.len();
    for index in 0..count {
        let account = customers.accounts[world.state().wishes[index].customer];
        tokio::spawn(call(Arc::clone(&world), payments.clone(), clock.clone(), account, index));
    }
    everybody_else(&world, &payments, &memory, &clock, &customers);
    // Callers who were in the middle have been told by then.
    let rest = clock.now().after(Duration::from_secs(100)).0.max(world.state().last_plan + 30_000_000);
    loop {
        let now = clock.now().0;
        if now >= end {
            return;
        }
        let due = {
            let mut state = world.state();
            let next = state.events.first_key_value().map(|((at, _), _)| *at).filter(|at| *at <= now);
            if state.dead { None } else { next.and_then(|_| state.events.pop_first()) }
        };
        match due {
            Some((_, event)) => {
                let (world, payments, clock) = (Arc::clone(&world), payments.clone(), clock.clone());
                tokio::spawn(async move {
                    match event {
                        Event::Holder(event) => holder::happen(&world, event),
                        event => carrier::happen(&world, &payments, &clock, event).await,
                    }
                });
                tokio::task::yield_now().await;
            }
            None => {
                let (next, calm) = {
                    let state = world.state();
                    (state.events.first_key_value().map(|((at, _), _)| *at), state.calm)
                };
                if calm && next.is_none() && now >= rest && is_settled(&memory).await {
                    return;
                }
                // Not longer than a while: new events may come before the next one that is known.
                let wait = u64::try_from(next.unwrap_or(end).min(end) - now).unwrap_or(0);
                let longest = if calm { 2_000_000 } else { 250_000 };
                tokio::time::sleep(Duration::from_micros(wait.clamp(1_000, longest))).await;
            }
        }
    }
}

/// Whether nothing is on its way any more.
async fn is_settled(memory: &Memory) -> bool {
    let open = [Stage::Created, Stage::Authorised, Stage::Submitting, Stage::Submitted, Stage::Unknown];
    let store = Store::Memory(memory.clone());
    store.open_payments(&open, 1).await.unwrap().is_empty()
        && shop::is_settled(&store)
        && charging::is_settled(&store)
        && holder::is_settled(&store)
}

/// Lives until `end` or death; whether it died.
async fn process(world: &Arc<World>, memory: &Memory, customers: &Arc<Customers>, end: i64) -> bool {
    let clock = world.state().clock.clone();
    let died = Arc::clone(&world.state().died);
    let life = tokio::spawn(live(Arc::clone(world), memory.clone(), clock, Arc::clone(customers), end));
    tokio::select! {
        biased;
        () = died.notified() => true,
        ended = life => {
            if ended.is_err() && !world.state().dead {
                world.state().faults.push("the process ended by itself".to_owned());
            }
            world.state().dead
        }
    }
}

fn on_own_time<T>(world: &World, from: Timestamp, work: impl AsyncFnOnce() -> T) -> (T, Timestamp) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let clock = Clock::of_runtime(from);
        {
            let mut state = world.state();
            state.clock = clock.clone();
            state.dead = false;
            state.steps = 0;
            state.died = Arc::default();
        }
        let result = work().await;
        (result, clock.now())
    })
}

/// Runs a seed; what is wrong, in words.
pub(super) fn seed(seed: u64, bug: Option<&'static str>) -> Result<Told, Vec<String>> {
    keytone::random::seed(Some(seed));
    let world = World::new(seed, bug, Clock::manual(START));
    crash::watch(Some(Rc::new(Watch(Arc::clone(&world)))));
    let memory = Memory::default();
    let (customers, mut now) = on_own_time(&world, START, async || {
        let clock = world.state().clock.clone();
        Arc::new(set_up(&world, &memory, &clock).await)
    });
    let storm = now.after(STORM).0;
    let end = now.after(STORM + CALM).0;
    let mut deaths = {
        let mut state = world.state();
        state.calm = false;
        state.dice.pick(&[0, 1, 1, 2, 3, 5])
    };
    loop {
        let stormy = now.0 < storm;
        {
            let mut state = world.state();
            state.calm = !stormy;
            state.crash_in = (stormy && deaths > 0).then(|| state.dice.below(150));
        }
        let until = if stormy { storm } else { end };
        let (died, at) = on_own_time(&world, now, async || process(&world, &memory, &customers, until).await);
        now = at;
        deaths -= i32::from(died && deaths > 0);
        let store = Store::Memory(memory.clone());
        world.state().faults.extend(BROKEN.take());
        check::books(&world, &store);
        holder::at_any_time(&world, &store);
        if !world.state().faults.is_empty() || !died && !stormy {
            break;
        }
        if died {
            // Somebody has to see it and start it again.
            let away = world.state().dice.between(1, 8_000);
            now = now.after(Duration::from_millis(away));
        }
    }
    crash::watch(None);
    keytone::random::seed(None);
    let store = Store::Memory(memory.clone());
    // The runtime whose time it was is gone.
    world.state().clock = Clock::manual(now);
    check::end(&world, &store, &customers);
    let mut state = world.state();
    for line in std::mem::take(&mut state.trace) {
        println!("{line}");
    }
    if !state.faults.is_empty() {
        return Err(std::mem::take(&mut state.faults));
    }
    let payments = state.carriers.iter().map(|records| records.len() as u64).sum();
    Ok(Told { crashes: state.crashes, payments })
}

/// Whether this outcome says that nothing was paid.
pub(super) const fn says_unpaid(outcome: &PayOutcome) -> bool {
    matches!(
        outcome,
        PayOutcome::Refused { .. }
            | PayOutcome::DayLimit { .. }
            | PayOutcome::UserLimit { .. }
            | PayOutcome::PaymentLimit { .. }
            | PayOutcome::Insufficient { .. }
            | PayOutcome::Duplicate { .. }
            | PayOutcome::StillProcessing
            | PayOutcome::WrongPin { .. }
            | PayOutcome::Locked
            | PayOutcome::Suspended
            | PayOutcome::PinNeeded
    )
}
