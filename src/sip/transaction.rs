//! The four transaction machines of RFC 3261 §17 over UDP, with RFC 6026's Accepted states.
//!
//! Between the wire and the dialogs: a machine decides what is sent again, when, and for how long. Each is a
//! pure step from state and input to the next state (`None` when it is over) and actions. It knows no
//! addresses and no contents.
//!
//! ```text
//! INVITE server   Proceeding ─2xx─► Accepted ─L─► over
//!                     └─3xx-6xx─► Completed ─ACK─► Confirmed ─I─► over
//! server          Trying ─final─► Completed ─J─► over
//! INVITE client   Calling ─1xx─► Proceeding ─2xx─► Accepted ─M─► over
//!                                    └─3xx-6xx─► Completed ─D─► over
//! client          Trying ─1xx─► Proceeding ─final─► Completed ─K─► over
//! ```

use super::config::Timing;
use bytes::Bytes;
use std::time::Duration;

/// Every timer of §17, by its name there.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Timer {
    /// INVITE client sends its request again; doubles without bound.
    A,
    /// INVITE client gives up.
    B,
    /// INVITE client stops acknowledging repeated failures.
    D,
    /// Client sends its request again; doubles up to T2.
    E,
    /// Client gives up.
    F,
    /// INVITE server sends its failure again; doubles up to T2.
    G,
    /// INVITE server waits no longer for the ACK to its failure.
    H,
    /// INVITE server absorbs repeated ACKs.
    I,
    /// Server answers repeated requests.
    J,
    /// Client absorbs repeated responses.
    K,
    /// INVITE server absorbs repeated INVITEs after a 2xx (RFC 6026).
    L,
    /// INVITE client waits for further 2xx (RFC 6026).
    M,
}

/// What a machine wants done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Action {
    Send(Bytes),
    Start(Timer, Duration),
    /// The other side never answered (timers B and F).
    TimedOut,
}

/// What a server machine is told.
#[derive(Clone, Debug)]
pub(super) enum ServerInput {
    /// The request came again.
    Request,
    /// The ACK to a failure came.
    Ack,
    /// The application answers.
    Provisional(Bytes),
    Success(Bytes),
    Failure(Bytes),
    Fired(Timer),
}

/// What a client machine is told.
#[derive(Clone, Debug)]
pub(super) enum ClientInput {
    Provisional,
    Success,
    /// With the ACK that §17.1.1.3 wants for an INVITE; unused by other methods.
    Failure(Bytes),
    Fired(Timer),
}

/// §17.2.1.
#[derive(Debug)]
pub(super) enum InviteServer {
    Proceeding { last: Option<Bytes> },
    Completed { response: Bytes, pause: Duration },
    Confirmed,
    Accepted,
}

impl InviteServer {
    pub(super) const fn start() -> Self {
        Self::Proceeding { last: None }
    }

    pub(super) const fn is_proceeding(&self) -> bool {
        matches!(self, Self::Proceeding { .. })
    }

    pub(super) fn step(self, input: ServerInput, timing: Timing, out: &mut Vec<Action>) -> Option<Self> {
        match (self, input) {
            (Self::Proceeding { last }, ServerInput::Request) => {
                out.extend(last.clone().map(Action::Send));
                Some(Self::Proceeding { last })
            }
            (Self::Proceeding { .. }, ServerInput::Provisional(response)) => {
                out.push(Action::Send(response.clone()));
                Some(Self::Proceeding { last: Some(response) })
            }
            (Self::Proceeding { .. }, ServerInput::Success(response)) => {
                out.push(Action::Send(response));
                out.push(Action::Start(Timer::L, timing.patience()));
                Some(Self::Accepted)
            }
            (Self::Proceeding { .. }, ServerInput::Failure(response)) => {
                out.push(Action::Send(response.clone()));
                out.push(Action::Start(Timer::G, timing.t1));
                out.push(Action::Start(Timer::H, timing.patience()));
                Some(Self::Completed { response, pause: timing.t1 })
            }
            (Self::Completed { response, pause }, ServerInput::Request) => {
                out.push(Action::Send(response.clone()));
                Some(Self::Completed { response, pause })
            }
            (Self::Completed { .. }, ServerInput::Ack) => {
                out.push(Action::Start(Timer::I, timing.t4));
                Some(Self::Confirmed)
            }
            (Self::Completed { response, pause }, ServerInput::Fired(Timer::G)) => {
                let pause = (pause * 2).min(timing.t2);
                out.push(Action::Send(response.clone()));
                out.push(Action::Start(Timer::G, pause));
                Some(Self::Completed { response, pause })
            }
            (Self::Completed { .. }, ServerInput::Fired(Timer::H))
            | (Self::Confirmed, ServerInput::Fired(Timer::I))
            | (Self::Accepted, ServerInput::Fired(Timer::L)) => None,
            (
                state,
                ServerInput::Request
                | ServerInput::Ack
                | ServerInput::Provisional(_)
                | ServerInput::Success(_)
                | ServerInput::Failure(_)
                | ServerInput::Fired(_),
            ) => Some(state),
        }
    }
}

/// §17.2.2, without Proceeding: nothing here takes long enough for a provisional response.
#[derive(Debug)]
pub(super) enum Server {
    Trying,
    Completed { response: Bytes },
}

impl Server {
    pub(super) fn step(self, input: ServerInput, timing: Timing, out: &mut Vec<Action>) -> Option<Self> {
        match (self, input) {
            (Self::Trying, ServerInput::Success(response) | ServerInput::Failure(response)) => {
                out.push(Action::Send(response.clone()));
                out.push(Action::Start(Timer::J, timing.patience()));
                Some(Self::Completed { response })
            }
            (Self::Completed { response }, ServerInput::Request) => {
                out.push(Action::Send(response.clone()));
                Some(Self::Completed { response })
            }
            (Self::Completed { .. }, ServerInput::Fired(Timer::J)) => None,
            (
                state,
                ServerInput::Request
                | ServerInput::Ack
                | ServerInput::Provisional(_)
                | ServerInput::Success(_)
                | ServerInput::Failure(_)
                | ServerInput::Fired(_),
            ) => Some(state),
        }
    }
}

/// §17.1.1.
#[derive(Debug)]
pub(super) enum InviteClient {
    Calling { request: Bytes, pause: Duration },
    Proceeding,
    Completed { ack: Bytes },
    Accepted,
}

impl InviteClient {
    pub(super) fn start(request: Bytes, timing: Timing, out: &mut Vec<Action>) -> Self {
        out.push(Action::Send(request.clone()));
        out.push(Action::Start(Timer::A, timing.t1));
        out.push(Action::Start(Timer::B, timing.patience()));
        Self::Calling { request, pause: timing.t1 }
    }

    pub(super) fn step(self, input: ClientInput, timing: Timing, out: &mut Vec<Action>) -> Option<Self> {
        match (self, input) {
            (Self::Calling { request, pause }, ClientInput::Fired(Timer::A)) => {
                let pause = pause * 2;
                out.push(Action::Send(request.clone()));
                out.push(Action::Start(Timer::A, pause));
                Some(Self::Calling { request, pause })
            }
            (Self::Calling { .. }, ClientInput::Fired(Timer::B)) => {
                out.push(Action::TimedOut);
                None
            }
            (Self::Calling { .. } | Self::Proceeding, ClientInput::Provisional) => Some(Self::Proceeding),
            (Self::Calling { .. } | Self::Proceeding, ClientInput::Success) => {
                out.push(Action::Start(Timer::M, timing.patience()));
                Some(Self::Accepted)
            }
            (Self::Calling { .. } | Self::Proceeding, ClientInput::Failure(ack)) => {
                out.push(Action::Send(ack.clone()));
                // §17.1.1.2: at least 32 s over UDP.
                out.push(Action::Start(Timer::D, timing.patience()));
                Some(Self::Completed { ack })
            }
            (Self::Completed { ack }, ClientInput::Failure(_)) => {
                out.push(Action::Send(ack.clone()));
                Some(Self::Completed { ack })
            }
            (Self::Completed { .. }, ClientInput::Fired(Timer::D))
            | (Self::Accepted, ClientInput::Fired(Timer::M)) => None,
            (
                state,
                ClientInput::Provisional
                | ClientInput::Success
                | ClientInput::Failure(_)
                | ClientInput::Fired(_),
            ) => Some(state),
        }
    }
}

/// §17.1.2.
#[derive(Debug)]
pub(super) enum Client {
    Trying { request: Bytes, pause: Duration },
    Proceeding { request: Bytes },
    Completed,
}

impl Client {
    pub(super) fn start(request: Bytes, timing: Timing, out: &mut Vec<Action>) -> Self {
        out.push(Action::Send(request.clone()));
        out.push(Action::Start(Timer::E, timing.t1));
        out.push(Action::Start(Timer::F, timing.patience()));
        Self::Trying { request, pause: timing.t1 }
    }

    pub(super) fn step(self, input: ClientInput, timing: Timing, out: &mut Vec<Action>) -> Option<Self> {
        match (self, input) {
            (Self::Trying { request, pause }, ClientInput::Fired(Timer::E)) => {
                let pause = (pause * 2).min(timing.t2);
                out.push(Action::Send(request.clone()));
                out.push(Action::Start(Timer::E, pause));
                Some(Self::Trying { request, pause })
            }
            (Self::Proceeding { request }, ClientInput::Fired(Timer::E)) => {
                out.push(Action::Send(request.clone()));
                out.push(Action::Start(Timer::E, timing.t2));
                Some(Self::Proceeding { request })
            }
            (Self::Trying { .. } | Self::Proceeding { .. }, ClientInput::Fired(Timer::F)) => {
                out.push(Action::TimedOut);
                None
            }
            (Self::Trying { request, .. } | Self::Proceeding { request }, ClientInput::Provisional) => {
                Some(Self::Proceeding { request })
            }
            (
                Self::Trying { .. } | Self::Proceeding { .. },
                ClientInput::Success | ClientInput::Failure(_),
            ) => {
                out.push(Action::Start(Timer::K, timing.t4));
                Some(Self::Completed)
            }
            (Self::Completed, ClientInput::Fired(Timer::K)) => None,
            (
                state,
                ClientInput::Provisional
                | ClientInput::Success
                | ClientInput::Failure(_)
                | ClientInput::Fired(_),
            ) => Some(state),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Timing = Timing::RFC3261;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn send(text: &'static str) -> Action {
        Action::Send(Bytes::from_static(text.as_bytes()))
    }

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    /// Steps one machine and compares what it wants; `$over` says whether it is over.
    macro_rules! step {
        ($machine:ident, $input:expr, $actions:expr) => {{
            let mut out = Vec::new();
            $machine = $machine.and_then(|m| m.step($input, T, &mut out));
            assert_eq!(out, $actions);
        }};
    }

    #[test]
    fn invite_server_repeats_its_provisional_answer() {
        let mut machine = Some(InviteServer::start());
        step!(machine, ServerInput::Request, []);
        step!(machine, ServerInput::Provisional(bytes("180")), [send("180")]);
        step!(machine, ServerInput::Request, [send("180")]);
        assert!(machine.is_some_and(|m| m.is_proceeding()));
    }

    #[test]
    fn timers_g_and_h_repeat_a_failure_and_give_up() {
        let mut machine = Some(InviteServer::start());
        let first = [send("486"), Action::Start(Timer::G, ms(500)), Action::Start(Timer::H, ms(32_000))];
        step!(machine, ServerInput::Failure(bytes("486")), first);
        for pause in [1000, 2000, 4000, 4000, 4000] {
            step!(machine, ServerInput::Fired(Timer::G), [send("486"), Action::Start(Timer::G, ms(pause))]);
        }
        step!(machine, ServerInput::Request, [send("486")]);
        step!(machine, ServerInput::Fired(Timer::H), []);
        assert!(machine.is_none());
    }

    #[test]
    fn timer_i_absorbs_acks_to_a_failure() {
        let mut machine = Some(InviteServer::start());
        let mut out = Vec::new();
        machine = machine.and_then(|m| m.step(ServerInput::Failure(bytes("486")), T, &mut out));
        step!(machine, ServerInput::Ack, [Action::Start(Timer::I, ms(5000))]);
        step!(machine, ServerInput::Ack, []);
        step!(machine, ServerInput::Request, []);
        step!(machine, ServerInput::Fired(Timer::G), []);
        step!(machine, ServerInput::Fired(Timer::H), []);
        assert!(machine.is_some());
        step!(machine, ServerInput::Fired(Timer::I), []);
        assert!(machine.is_none());
    }

    #[test]
    fn timer_l_absorbs_invites_after_a_success() {
        let mut machine = Some(InviteServer::start());
        step!(
            machine,
            ServerInput::Success(bytes("200")),
            [send("200"), Action::Start(Timer::L, ms(32_000))]
        );
        step!(machine, ServerInput::Request, []);
        step!(machine, ServerInput::Failure(bytes("500")), []);
        step!(machine, ServerInput::Fired(Timer::L), []);
        assert!(machine.is_none());
    }

    #[test]
    fn timer_j_answers_repeated_requests() {
        let mut machine = Some(Server::Trying);
        step!(machine, ServerInput::Request, []);
        step!(
            machine,
            ServerInput::Success(bytes("200")),
            [send("200"), Action::Start(Timer::J, ms(32_000))]
        );
        step!(machine, ServerInput::Request, [send("200")]);
        step!(machine, ServerInput::Success(bytes("again")), []);
        step!(machine, ServerInput::Fired(Timer::J), []);
        assert!(machine.is_none());
    }

    fn placed() -> Option<InviteClient> {
        let mut out = Vec::new();
        let machine = InviteClient::start(bytes("INVITE"), T, &mut out);
        let wanted = [send("INVITE"), Action::Start(Timer::A, ms(500)), Action::Start(Timer::B, ms(32_000))];
        assert_eq!(out, wanted);
        Some(machine)
    }

    #[test]
    fn timers_a_and_b_repeat_an_invite_and_give_up() {
        let mut machine = placed();
        for pause in [1000, 2000, 4000, 8000, 16_000] {
            step!(
                machine,
                ClientInput::Fired(Timer::A),
                [send("INVITE"), Action::Start(Timer::A, ms(pause))]
            );
        }
        step!(machine, ClientInput::Fired(Timer::B), [Action::TimedOut]);
        assert!(machine.is_none());
    }

    #[test]
    fn a_provisional_answer_stops_timers_a_and_b() {
        let mut machine = placed();
        step!(machine, ClientInput::Provisional, []);
        step!(machine, ClientInput::Fired(Timer::A), []);
        step!(machine, ClientInput::Fired(Timer::B), []);
        assert!(machine.is_some());
    }

    #[test]
    fn timer_d_acknowledges_repeated_failures() {
        let mut machine = placed();
        step!(
            machine,
            ClientInput::Failure(bytes("ACK")),
            [send("ACK"), Action::Start(Timer::D, ms(32_000))]
        );
        step!(machine, ClientInput::Failure(bytes("other")), [send("ACK")]);
        step!(machine, ClientInput::Success, []);
        step!(machine, ClientInput::Fired(Timer::D), []);
        assert!(machine.is_none());
    }

    #[test]
    fn timer_m_waits_for_further_successes() {
        let mut machine = placed();
        step!(machine, ClientInput::Success, [Action::Start(Timer::M, ms(32_000))]);
        step!(machine, ClientInput::Success, []);
        step!(machine, ClientInput::Failure(bytes("ACK")), []);
        step!(machine, ClientInput::Fired(Timer::M), []);
        assert!(machine.is_none());
    }

    fn asked() -> Option<Client> {
        let mut out = Vec::new();
        let machine = Client::start(bytes("BYE"), T, &mut out);
        assert_eq!(out, [send("BYE"), Action::Start(Timer::E, ms(500)), Action::Start(Timer::F, ms(32_000))]);
        Some(machine)
    }

    #[test]
    fn timers_e_and_f_repeat_a_request_and_give_up() {
        let mut machine = asked();
        for pause in [1000, 2000, 4000, 4000] {
            step!(machine, ClientInput::Fired(Timer::E), [send("BYE"), Action::Start(Timer::E, ms(pause))]);
        }
        step!(machine, ClientInput::Provisional, []);
        step!(machine, ClientInput::Fired(Timer::E), [send("BYE"), Action::Start(Timer::E, ms(4000))]);
        step!(machine, ClientInput::Fired(Timer::F), [Action::TimedOut]);
        assert!(machine.is_none());
    }

    #[test]
    fn timer_k_absorbs_repeated_answers() {
        let mut machine = asked();
        step!(machine, ClientInput::Success, [Action::Start(Timer::K, ms(5000))]);
        step!(machine, ClientInput::Success, []);
        step!(machine, ClientInput::Fired(Timer::E), []);
        step!(machine, ClientInput::Fired(Timer::F), []);
        step!(machine, ClientInput::Fired(Timer::K), []);
        assert!(machine.is_none());
    }
}
