//! The endpoint: datagrams, commands and time in; datagrams and events out. A user agent for many calls at
//! once.
//!
//! Contract: *after any [`Endpoint::handle`], poll to `None`, then wait for [`Endpoint::next_deadline`] or
//! the next input.* No sockets, no tasks, no clock: `now` is an argument and must not run backwards. One
//! endpoint serves one UDP socket; it is both server (calls in) and client (calls out).
//!
//! `server` takes requests, `admission` judges new calls, `client` takes responses and places calls,
//! `command` does what the application asks, `call` holds what is known of one call, `session` is the timer
//! of RFC 4028.

mod admission;
mod call;
mod client;
mod command;
mod server;
mod session;

use super::config::EndpointConfig;
use super::event::CallKey;
use super::event::EndedBy;
use super::event::Event;
use super::event::Input;
use super::event::Output;
use super::identifier::Identifiers;
use super::transaction::Action;
use super::transaction::Client;
use super::transaction::ClientInput;
use super::transaction::InviteClient;
use super::transaction::InviteServer;
use super::transaction::Server;
use super::transaction::ServerInput;
use super::transaction::Timer;
use super::wire::message::Parsed;
use super::wire::parse;
use bytes::Bytes;
use call::Call;
use call::Phase;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::HashMap;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::time::Duration;
use std::time::Instant;

/// A transaction of this endpoint, never named twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct TransactionId(u64);

/// How a message finds its transaction (§17.1.3, §17.2.3), as bytes.
type TransactionKey = Box<[u8]>;

struct Transaction {
    key: TransactionKey,
    machine: Option<Machine>,
    local: SocketAddr,
    peer: SocketAddr,
    call: Option<CallKey>,
    /// INVITE server only: its entry among the requests that could be merged (§8.2.2.2).
    merge_key: Option<Box<[u8]>>,
    purpose: Purpose,
}

enum Machine {
    InviteServer(InviteServer),
    Server(Server),
    InviteClient(InviteClient),
    Client(Client),
}

/// What a transaction of ours is for; says what its end means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Purpose {
    /// A request of the peer.
    Theirs,
    /// The INVITE that places a call.
    Place,
    /// A re-INVITE with an offer of the application.
    Reoffer,
    /// A re-INVITE or UPDATE that keeps the session alive.
    Refresh,
    /// BYE.
    Bye,
    /// CANCEL.
    Cancel,
    /// INFO with a key.
    Info,
}

/// Something that is due at a time.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Due {
    Transaction(TransactionId, Timer),
    /// §17.2.1: a 100 if nothing was said for 200 ms.
    Trying(CallKey),
    /// The application has left the INVITE or offer of this CSeq unanswered.
    Unanswered(CallKey, u32),
    /// §13.3.1.4: the 2xx of this CSeq is sent again until its ACK comes.
    Success(CallKey, u32),
    /// The session timer of this generation: refresh, or end.
    Session(CallKey, u32),
}

/// Figures of an endpoint since its start, for metrics.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Datagrams that were no message that could be answered.
    pub discarded: u64,
    /// Requests answered with an error before any state was made for them.
    pub refused: u64,
    /// Of these, INVITEs answered 503 because the endpoint was full, too fast asked, or draining.
    pub shed: u64,
    /// Calls that came in and were announced.
    pub incoming: u64,
    /// Requests that came again and were answered by their transaction.
    pub repeated: u64,
}

/// See the module's documentation.
pub struct Endpoint {
    config: EndpointConfig,
    identifiers: Identifiers,
    transactions: HashMap<TransactionId, Transaction>,
    by_key: HashMap<TransactionKey, TransactionId>,
    /// INVITEs by From tag, Call-ID and CSeq, to see the same one come by another path.
    by_merge_key: HashMap<Box<[u8]>, TransactionId>,
    calls: HashMap<CallKey, Call>,
    by_local_tag: HashMap<Box<str>, CallKey>,
    /// Calls not yet ended, by trunk and by source address.
    per_trunk: Vec<usize>,
    per_source: HashMap<IpAddr, usize>,
    live_calls: usize,
    due: BinaryHeap<Reverse<(Instant, u64, Due)>>,
    due_issued: u64,
    out: VecDeque<Output>,
    actions: Vec<Action>,
    draining: bool,
    admitted: Admitted,
    transaction_issued: u64,
    call_issued: u64,
    counters: Counters,
}

/// New calls in the running second.
#[derive(Default)]
struct Admitted {
    since: Option<Instant>,
    count: u32,
}

impl Endpoint {
    /// An endpoint without calls. `seed` must be secret random bytes: tags come from it.
    #[must_use]
    pub fn new(config: EndpointConfig, seed: [u8; 32]) -> Self {
        Self {
            per_trunk: vec![0; config.trunks.len()],
            config,
            identifiers: Identifiers::new(seed),
            transactions: HashMap::new(),
            by_key: HashMap::new(),
            by_merge_key: HashMap::new(),
            calls: HashMap::new(),
            by_local_tag: HashMap::new(),
            per_source: HashMap::new(),
            live_calls: 0,
            due: BinaryHeap::new(),
            due_issued: 0,
            out: VecDeque::new(),
            actions: Vec::new(),
            draining: false,
            admitted: Admitted::default(),
            transaction_issued: 0,
            call_issued: 0,
            counters: Counters::default(),
        }
    }

    /// Takes one input. What is due by `now` happens first.
    pub fn handle(&mut self, now: Instant, input: Input) {
        self.fire(now);
        match input {
            Input::Tick => {}
            Input::Command(command) => self.command(now, command),
            Input::Datagram { source, local, bytes } => self.datagram(now, source, local, &bytes),
        }
    }

    /// The next thing to send or to tell, until `None`.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Input::Tick`] is wanted next. May name a time at which nothing happens after all.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((at, _, _))| *at)
    }

    /// Calls that are not over.
    #[must_use]
    pub const fn live_calls(&self) -> usize {
        self.live_calls
    }

    /// Transactions that are kept, for metrics and tests.
    #[must_use]
    pub fn transactions(&self) -> usize {
        self.transactions.len()
    }

    /// Figures since the start.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    fn datagram(&mut self, now: Instant, source: SocketAddr, local: SocketAddr, bytes: &Bytes) {
        let local = self.config.advertised.unwrap_or(local);
        match parse::parse(bytes, &self.config.limits.wire) {
            Parsed::KeepAlive => {}
            Parsed::Discard(_) => self.counters.discarded += 1,
            Parsed::Request(request) => self.request(now, source, local, &request),
            Parsed::Refused(refused) => self.refuse(source, local, &refused),
            Parsed::Response(response) => self.response(now, &response),
        }
    }

    fn send(&mut self, local: SocketAddr, destination: SocketAddr, bytes: Bytes) {
        self.out.push_back(Output::Send { local, destination, bytes });
    }

    fn tell(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    fn after(&mut self, now: Instant, wait: Duration, due: Due) {
        self.due_issued += 1;
        self.due.push(Reverse((now + wait, self.due_issued, due)));
    }

    fn fire(&mut self, now: Instant) {
        while let Some(Reverse((at, _, due))) = self.due.peek().copied() {
            if at > now {
                break;
            }
            self.due.pop();
            match due {
                Due::Transaction(id, timer) => self.fire_transaction(now, id, timer),
                Due::Trying(call) => self.fire_trying(now, call),
                Due::Unanswered(call, cseq) => self.fire_unanswered(now, call, cseq),
                Due::Success(call, cseq) => self.fire_success(now, call, cseq),
                Due::Session(call, generation) => self.fire_session(now, call, generation),
            }
        }
    }

    fn fire_transaction(&mut self, now: Instant, id: TransactionId, timer: Timer) {
        let server = self.transactions.get(&id).is_some_and(|t| t.purpose == Purpose::Theirs);
        if server {
            self.step_server(now, id, ServerInput::Fired(timer));
        } else {
            self.step_client(now, id, ClientInput::Fired(timer));
        }
    }

    /// Runs a server machine; answers whether the transaction is known.
    fn step_server(&mut self, now: Instant, id: TransactionId, input: ServerInput) {
        let timing = self.config.timing;
        let mut actions = std::mem::take(&mut self.actions);
        let Some(transaction) = self.transactions.get_mut(&id) else {
            self.actions = actions;
            return;
        };
        transaction.machine = match transaction.machine.take() {
            Some(Machine::InviteServer(m)) => m.step(input, timing, &mut actions).map(Machine::InviteServer),
            Some(Machine::Server(m)) => m.step(input, timing, &mut actions).map(Machine::Server),
            other => other,
        };
        self.perform(now, id, actions);
    }

    fn step_client(&mut self, now: Instant, id: TransactionId, input: ClientInput) {
        let timing = self.config.timing;
        let mut actions = std::mem::take(&mut self.actions);
        let Some(transaction) = self.transactions.get_mut(&id) else {
            self.actions = actions;
            return;
        };
        transaction.machine = match transaction.machine.take() {
            Some(Machine::InviteClient(m)) => m.step(input, timing, &mut actions).map(Machine::InviteClient),
            Some(Machine::Client(m)) => m.step(input, timing, &mut actions).map(Machine::Client),
            other => other,
        };
        self.perform(now, id, actions);
    }

    /// Does what a machine wants, and forgets it when it is over.
    fn perform(&mut self, now: Instant, id: TransactionId, mut actions: Vec<Action>) {
        let Some(transaction) = self.transactions.get(&id) else { return };
        let (local, peer, over) = (transaction.local, transaction.peer, transaction.machine.is_none());
        let mut timed_out = false;
        for action in actions.drain(..) {
            match action {
                Action::Send(bytes) => self.send(local, peer, bytes),
                Action::Start(timer, wait) => self.after(now, wait, Due::Transaction(id, timer)),
                Action::TimedOut => timed_out = true,
            }
        }
        self.actions = actions;
        let gone = if over { self.forget(id) } else { None };
        if let Some(transaction) = gone.filter(|_| timed_out) {
            self.timed_out(now, &transaction);
        }
    }

    fn forget(&mut self, id: TransactionId) -> Option<Transaction> {
        let transaction = self.transactions.remove(&id)?;
        self.by_key.remove(&transaction.key);
        if let Some(key) = &transaction.merge_key {
            self.by_merge_key.remove(key);
        }
        Some(transaction)
    }

    fn add(&mut self, transaction: Transaction) -> TransactionId {
        self.transaction_issued += 1;
        let id = TransactionId(self.transaction_issued);
        self.by_key.insert(transaction.key.clone(), id);
        if let Some(key) = &transaction.merge_key {
            self.by_merge_key.insert(key.clone(), id);
        }
        self.transactions.insert(id, transaction);
        id
    }

    fn add_call(&mut self, key: CallKey, call: Call) {
        self.live_calls += 1;
        if let Some(count) = call.trunk.and_then(|t| self.per_trunk.get_mut(t)) {
            *count += 1;
        }
        if call.trunk.is_some() {
            *self.per_source.entry(call.source).or_insert(0) += 1;
        }
        self.by_local_tag.insert(call.dialog.local_tag.clone(), key);
        self.calls.insert(key, call);
    }

    /// The call is over for the application: its place is free, and `event` is the last one about it.
    fn end(&mut self, key: CallKey, event: Option<Event>) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        if call.over {
            return;
        }
        call.over = true;
        let (trunk, source) = (call.trunk, call.source);
        self.live_calls = self.live_calls.saturating_sub(1);
        if let Some(count) = trunk.and_then(|t| self.per_trunk.get_mut(t)) {
            *count = count.saturating_sub(1);
            if let Some(count) = self.per_source.get_mut(&source) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.per_source.remove(&source);
                }
            }
        }
        if let Some(event) = event {
            self.tell(event);
        }
    }

    /// Forgets a call; requests for its dialog are answered 481 from now on.
    fn drop_call(&mut self, key: CallKey) {
        if let Some(call) = self.calls.remove(&key) {
            self.by_local_tag.remove(&call.dialog.local_tag);
        }
    }

    /// Ends a call from our side: BYE at once, or as soon as the protocol lets us (§15: not before the ACK).
    fn hang_up(&mut self, now: Instant, key: CallKey, by: EndedBy) {
        self.end(key, Some(Event::Ended { call: key, by }));
        let Some(call) = self.calls.get_mut(&key) else { return };
        match &call.phase {
            Phase::Talking if call.unacknowledged.is_some() && by != EndedBy::NoAck => {
                call.hang_up_wanted = true
            }
            Phase::Talking => self.bye(now, key),
            Phase::Offered { .. } => self.answer_failure(now, key, 480, None),
            Phase::Calling { .. } => self.cancel(now, key),
            Phase::Ending => {}
        }
    }

    fn contact(&self, local: SocketAddr) -> String {
        format!("sip:{}@{local}", self.config.contact_user)
    }
}
