//! One connection: a stream of bytes on one side, a [`Link`] on the other, and between them one task that moves what
//! either wants moved. Used by the client and by the listener alike.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;
use std::time::Instant;

use bytes::Buf;
use bytes::BytesMut;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::io::WriteHalf;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tokio_util::codec::Decoder;

use crate::smpp::frame::Framer;
use crate::smpp::frame::MAX_PDU;
use crate::smpp::io::Answer;
use crate::smpp::io::Ends;
use crate::smpp::io::Event;
use crate::smpp::io::LinkId;
use crate::smpp::io::Now;
use crate::smpp::io::Ticket;
use crate::smpp::io::Wanted;
use crate::smpp::io::What;
use crate::smpp::io::listener::Deciding;
use crate::smpp::io::listener::Door;
use crate::smpp::io::listener::Verdict;
use crate::smpp::link::Link;
use crate::smpp::link::event;
use crate::smpp::link::event::Ended;
use crate::smpp::link::event::Input;
use crate::smpp::link::event::Outcome;
use crate::smpp::link::event::Output;
use crate::smpp::link::event::RequestId;
use crate::smpp::link::event::Unsent;
use crate::smpp::link::status::Counters;
use crate::smpp::status as code;

/// Octets that are read at once, if there are so many.
const READ_AT_ONCE: usize = 64 * 1024;

/// Requests and answers that are taken at one wake-up, so that they leave by one write.
const BATCH: usize = 128;

/// Octets that wait for a peer that does not read; with more, we do not read what it sends either.
const WRITE_WAITING_MAX: usize = 1024 * 1024;

/// Events that wait for an application that does not take them; with more, the socket is not read.
const EVENTS_WAITING_MAX: usize = 64;

/// How long the last bytes of a link may take to leave.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest sleep without a deadline.
const IDLE: Duration = Duration::from_secs(60);

/// Why the task goes on.
enum Woke {
    /// Something has room again.
    Idle,
    Close(Duration),
    Lost,
    Read,
    Deadline,
    Answer(Answer),
    Wanted(Wanted),
    Verdict(Verdict),
}

/// One connection with its link.
pub(super) struct Connection<'l> {
    link: &'l mut Link,
    id: LinkId,
    address: SocketAddr,
    ends: &'l mut Ends,
    door: Option<&'l mut Door>,
    now: Now,
    incoming: BytesMut,
    framer: Framer,
    outgoing: BytesMut,
    /// What was written may still sit in the TLS session.
    unflushed: bool,
    /// Who waits for which outcome.
    asked: HashMap<RequestId, oneshot::Sender<(Outcome, Option<LinkId>)>>,
    issued: u64,
    events: VecDeque<What>,
    /// Whether the application was told of a bind that is not over yet.
    up: bool,
    /// The listener's application thinks about a bind.
    verdict: Option<Deciding>,
    /// The figures of the connections before this one.
    before: Counters,
    ended: Option<Ended>,
}

impl<'l> Connection<'l> {
    pub(super) fn new(
        link: &'l mut Link,
        id: LinkId,
        address: SocketAddr,
        ends: &'l mut Ends,
        door: Option<&'l mut Door>,
        now: Now,
    ) -> Self {
        let mut before = Counters::default();
        ends.handle.update(|status| {
            status.link = Some(id);
            status.address = Some(address);
            status.connections += 1;
            before = status.state.counters;
        });
        Self {
            link,
            id,
            address,
            ends,
            door,
            now,
            incoming: BytesMut::with_capacity(READ_AT_ONCE),
            framer: Framer::new(MAX_PDU),
            outgoing: BytesMut::new(),
            unflushed: false,
            asked: HashMap::new(),
            issued: 0,
            events: VecDeque::new(),
            up: false,
            verdict: None,
            before,
            ended: None,
        }
    }

    /// Serves until the link is over, and tells why it is. Every request that came by here has its outcome then, and
    /// every event was taken.
    pub(super) async fn serve<S>(mut self, stream: S) -> Ended
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let sleep = tokio::time::sleep(IDLE);
        tokio::pin!(sleep);
        let mut close_asked = false;
        let ended = loop {
            self.take_waiting();
            self.collect();
            if let Some(why) = self.ended {
                break why;
            }
            // A deadline that moved on is met by one wake-up too many, which is cheaper than to set the timer each time.
            let deadline = self.link.next_deadline().unwrap_or_else(|| (self.now)() + IDLE);
            if tokio::time::Instant::from_std(deadline) < sleep.deadline() || sleep.is_elapsed() {
                sleep.as_mut().reset(tokio::time::Instant::from_std(deadline));
            }
            let room = self.link.room() > 0;
            let reads = self.events.len() < EVENTS_WAITING_MAX && self.outgoing.len() < WRITE_WAITING_MAX;
            let writes = !self.outgoing.is_empty() || self.unflushed;
            let woke = tokio::select! {
                biased;
                drain = Ends::closed(&mut self.ends.closing), if !close_asked => Woke::Close(drain),
                written = push(&mut writer, &mut self.outgoing, &mut self.unflushed), if writes => {
                    if written.is_ok() { Woke::Idle } else { Woke::Lost }
                }
                // The permit is only a sign that there is room, or that nobody listens any more.
                _ = self.ends.events.reserve(), if !self.events.is_empty() => Woke::Idle,
                verdict = told(&mut self.verdict), if self.verdict.is_some() => Woke::Verdict(verdict),
                read = reader.read_buf(&mut self.incoming), if reads => match read {
                    Ok(0) | Err(_) => Woke::Lost,
                    Ok(_) => Woke::Read,
                },
                Some(answer) = self.ends.answers.recv() => Woke::Answer(answer),
                Some(wanted) = self.ends.requests.recv(), if room => Woke::Wanted(wanted),
                () = &mut sleep => Woke::Deadline,
            };
            close_asked |= matches!(woke, Woke::Close(_));
            self.take(woke);
        };
        self.finish(&mut writer, ended).await;
        ended
    }

    fn take(&mut self, woke: Woke) {
        let now = (self.now)();
        match woke {
            Woke::Idle => {}
            Woke::Close(drain) => self.link.handle(now, Input::Unbind { until: now + drain }),
            Woke::Lost => self.link.handle(now, Input::Lost),
            Woke::Read => self.cut(now),
            Woke::Deadline => self.link.handle(now, Input::Tick),
            Woke::Answer(answer) => self.answer(now, answer),
            Woke::Wanted(wanted) => self.ask(now, wanted),
            Woke::Verdict(verdict) => {
                self.verdict = None;
                if let Some(door) = &mut self.door {
                    door.admit(now, verdict, &self.ends.handle, self.link);
                }
            }
        }
    }

    /// Takes the answers and requests that are there, so that they leave together.
    fn take_waiting(&mut self) {
        let now = (self.now)();
        for _ in 0..BATCH {
            let Ok(answer) = self.ends.answers.try_recv() else { break };
            self.answer(now, answer);
        }
        for _ in 0..BATCH {
            if self.link.room() == 0 {
                break;
            }
            let Ok(wanted) = self.ends.requests.try_recv() else { break };
            self.ask(now, wanted);
        }
    }

    fn answer(&mut self, now: Instant, answer: Answer) {
        // What came by a connection that is gone cannot be answered.
        if answer.ticket.link == self.id {
            let Answer { ticket, status, body } = answer;
            self.link.handle(now, Input::Respond { ticket: ticket.of_link, status, body });
        }
    }

    fn ask(&mut self, now: Instant, wanted: Wanted) {
        let request = RequestId(self.issued);
        self.issued += 1;
        self.asked.insert(request, wanted.outcome);
        self.link.handle(now, Input::Request { request, body: wanted.body, cost: wanted.cost });
    }

    /// Cuts what was read into PDUs and hands them over.
    fn cut(&mut self, now: Instant) {
        loop {
            match self.framer.decode(&mut self.incoming) {
                Ok(Some(frame)) => {
                    tracing::trace!(link = ?self.id, ?frame, "SMPP in");
                    self.link.handle(now, Input::Frame(frame));
                }
                Ok(None) => break,
                Err(_) => {
                    self.link.handle(now, Input::Unframed);
                    break;
                }
            }
        }
        if self.incoming.capacity() - self.incoming.len() < READ_AT_ONCE / 2 {
            self.incoming.reserve(READ_AT_ONCE);
        }
    }

    /// Does what the link wants done.
    fn collect(&mut self) {
        self.poll();
        // Whoever hears an event finds the figures that belong to it.
        self.publish();
        // The way without waiting.
        while let Ok(permit) = self.ends.events.try_reserve()
            && let Some(what) = self.events.pop_front()
        {
            permit.send(Event { link: self.id, handle: self.ends.handle.clone(), what });
        }
        if self.ends.events.is_closed() {
            // Nobody listens any more.
            self.link.handle((self.now)(), Input::Lost);
            self.poll();
            self.events.clear();
            self.publish();
        }
    }

    fn poll(&mut self) {
        while let Some(output) = self.link.poll() {
            match output {
                Output::Write(bytes) => {
                    if tracing::enabled!(tracing::Level::TRACE) {
                        self.trace(&bytes);
                    }
                    self.outgoing.extend_from_slice(&bytes);
                }
                Output::Done { request, outcome } => {
                    if let Some(waiter) = self.asked.remove(&request) {
                        // Whoever asked may have stopped waiting.
                        let link = (!matches!(outcome, Outcome::NotSent(_))).then_some(self.id);
                        let _ = waiter.send((outcome, link));
                    }
                }
                Output::Event(event) => self.tell(event),
                Output::Close(why) => {
                    self.ended = Some(why);
                    if self.up {
                        self.events.push_back(What::Down(why));
                    }
                }
            }
        }
    }

    /// Tells each PDU that goes, without its body.
    fn trace(&self, bytes: &[u8]) {
        let mut bytes = BytesMut::from(bytes);
        while let Ok(Some(frame)) = self.framer.clone().decode(&mut bytes) {
            tracing::trace!(link = ?self.id, ?frame, "SMPP out");
        }
    }

    fn tell(&mut self, event: event::Event) {
        let what = match event {
            event::Event::Up(up) => {
                self.up = true;
                tracing::info!(bind = self.ends.handle.name(), link = ?self.id, address = %self.address, role = ?up.role,
                    version = up.version, peer = super::printable(&up.system_id), "SMPP bind is up");
                What::Up(up)
            }
            event::Event::Request { ticket, body } => {
                What::Request { ticket: Ticket { link: self.id, of_link: ticket }, body }
            }
            event::Event::Notice(body) => What::Notice(body),
            event::Event::LateResponse { sequence, status, body } => {
                What::LateResponse { sequence, status, body }
            }
            event::Event::BindAsked(asked) => {
                self.verdict = self.door.as_mut().and_then(|door| door.bind_asked(asked));
                return self.refuse_unasked();
            }
            event::Event::Outbind { system_id, password } => {
                self.verdict = self.door.as_mut().and_then(|door| door.outbind_asked(system_id, password));
                return self.refuse_unasked();
            }
        };
        self.events.push_back(what);
    }

    /// Nobody can be asked now: the peer tries again later.
    fn refuse_unasked(&mut self) {
        if self.verdict.is_none() {
            self.link.handle((self.now)(), Input::Deny(code::RSYSERR));
        }
    }

    fn publish(&self) {
        let mut state = self.link.status((self.now)());
        state.counters.add(&self.before);
        self.ends.handle.update(|status| status.state = state);
    }

    /// Lets the last bytes leave and the last events be taken.
    async fn finish<S: AsyncWrite>(&mut self, writer: &mut WriteHalf<S>, why: Ended) {
        if why != Ended::Lost {
            let _ = tokio::time::timeout(FLUSH_TIMEOUT, async {
                let _ = push(writer, &mut self.outgoing, &mut self.unflushed).await;
                // Before the socket is closed: octets of the peer that are still unread would reset the connection, and our
                // last word might be lost with it.
                let _ = writer.shutdown().await;
            })
            .await;
        }
        tracing::info!(bind = self.ends.handle.name(), link = ?self.id, ?why, "SMPP link is over");
        while let Some(what) = self.events.pop_front() {
            let event = Event { link: self.id, handle: self.ends.handle.clone(), what };
            let mut closing = self.ends.closing.clone();
            let events = self.ends.events.clone();
            loop {
                tokio::select! {
                    biased;
                    permit = events.reserve() => {
                        if let Ok(permit) = permit {
                            permit.send(event);
                        }
                        break;
                    }
                    // Whoever closes a bind and takes no events any more is not waited for. No request is lost by that:
                    // it was not answered, so the peer keeps it.
                    () = closed_for(&mut closing, FLUSH_TIMEOUT) => {
                        self.events.clear();
                        break;
                    }
                    Some(wanted) = self.ends.requests.recv() => wanted.not_sent(Unsent::Down),
                }
            }
        }
    }
}

/// Waits for a close to be asked for, and then for that time.
async fn closed_for(closing: &mut watch::Receiver<Option<Duration>>, time: Duration) {
    Ends::closed(closing).await;
    tokio::time::sleep(time).await;
}

/// Writes all of it, as far as the socket takes it. May be dropped half-way and called again.
async fn push<W: AsyncWrite + Unpin>(
    writer: &mut W,
    outgoing: &mut BytesMut,
    unflushed: &mut bool,
) -> std::io::Result<()> {
    while outgoing.has_remaining() {
        *unflushed = true;
        if writer.write_buf(outgoing).await? == 0 {
            return Err(std::io::ErrorKind::WriteZero.into());
        }
    }
    writer.flush().await?;
    *unflushed = false;
    Ok(())
}

/// What the application says about a bind.
async fn told(verdict: &mut Option<Deciding>) -> Verdict {
    match verdict {
        Some(deciding) => deciding.await,
        None => std::future::pending().await,
    }
}
