//! One call: plays what the session says, collects keys, and hangs up when it ends.
//!
//! ```text
//! answer 200 ──ACK──► turn: play words ─► collect keys ──answer──► turn …
//!                          │  └─► perform an action meanwhile ──outcome──► turn …
//!                          └─► end: BYE when the last word has been played
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::rtp::{Clip, Codec, Idle, Media, MediaEvent, Report, StreamConfig};
use crate::session::collect::{Collector, Entry, Step, TypeAhead};
use crate::session::question::Question;
use crate::session::{Error, Performed, Performing, Session, Then, Turn};
use crate::sip::event::{CallKey, Command, Event, Incoming};
use crate::sip::sdp;
use crate::voice::Switchboard;
use crate::voice::clips::Clips;

/// The first words wait for the ACK, but no longer than this: it may be lost, and the caller's ear is open.
const ACK_PATIENCE: Duration = Duration::from_millis(200);
/// What we speak, in our order.
const CODECS: [sdp::Codec; 2] = [sdp::Codec::Pcmu, sdp::Codec::Pcma];
/// A call in which the flow waits for nothing but a hang-up ends after this.
const HOLD_MAX: Duration = Duration::from_secs(3600);

/// Where keys come from. A phone that sends both kinds presses each key once: the first kind seen is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum KeySource {
    Media,
    Info,
}

/// A call and its session.
pub(super) struct Call {
    board: Arc<Switchboard>,
    key: CallKey,
    session: Session,
    /// Those of the session's edition, whatever is served meanwhile.
    clips: Clips,
    media: Media,
    peer: std::net::IpAddr,
    local: std::net::IpAddr,
    ahead: TypeAhead,
    asking: Option<(Collector, Question)>,
    performing: Option<Performing>,
    /// The id of the latest words, and whether they are still being played.
    words: u64,
    playing: bool,
    ending: bool,
    source: Option<KeySource>,
    /// How many descriptions of ours the peer has seen.
    described: u64,
}

/// What the loop woke for.
enum Wake {
    Sip(Option<Event>),
    Media(Option<Report>),
    Performed(Performed),
    Deadline,
}

impl Call {
    pub(super) fn new(
        board: Arc<Switchboard>,
        incoming: &Incoming,
        (session, clips): (Session, Clips),
        media: Media,
    ) -> Self {
        let local = board.rules.external.unwrap_or_else(|| incoming.local.ip());
        Self {
            board,
            key: incoming.call,
            session,
            clips,
            media,
            peer: incoming.source.ip(),
            local,
            ahead: TypeAhead::default(),
            asking: None,
            performing: None,
            words: 0,
            playing: false,
            ending: false,
            source: None,
            described: 0,
        }
    }

    /// A conversation that goes on in an older version of its flow says that version's words.
    fn say_as(&mut self, served: &str) {
        let program = self.session.program();
        if program.version() != served
            && let Some(clips) = self.board.registry.media(program)
        {
            self.clips = clips;
        }
    }

    /// Answers, and lives until the caller or the flow ends it.
    pub(super) async fn run(
        mut self,
        offer: Option<Bytes>,
        mut events: mpsc::Receiver<Event>,
        mut reports: mpsc::Receiver<Report>,
    ) {
        let description = match self.describe(offer.as_ref()) {
            Ok(description) => description,
            Err(why) => {
                tracing::info!(call = self.key.number(), "no common media: {why}");
                self.board.reject(self.key, why.status()).await;
                return;
            }
        };
        self.command(Command::Answer { call: self.key, sdp: description }).await;
        if let Err(error) = self.converse(&mut events, &mut reports).await {
            tracing::error!(call = self.key.number(), session = %self.session.id(), "call ended: {error}");
        }
        self.command(Command::Hangup { call: self.key }).await;
        self.leave(events, reports).await;
    }

    /// The call is over and its media port free; a payment under way still tells its outcome by text message.
    async fn leave(self, events: mpsc::Receiver<Event>, reports: mpsc::Receiver<Report>) {
        let Self { session, media, performing, key, .. } = self;
        drop((media, events, reports));
        let id = session.id();
        if let Err(error) = session.leave(performing).await {
            tracing::error!(call = key.number(), session = %id, "after the call: {error}");
        }
    }

    async fn converse(
        &mut self,
        events: &mut mpsc::Receiver<Event>,
        reports: &mut mpsc::Receiver<Report>,
    ) -> Result<(), Error> {
        // Until the first words, waiting for the ACK.
        let mut unstarted = Some(self.now() + ACK_PATIENCE);
        loop {
            if self.ending && !self.playing {
                return Ok(());
            }
            let deadline = unstarted.unwrap_or_else(|| self.deadline());
            let wake = self.wake(deadline, events, reports).await;
            let begin = matches!(wake, Wake::Deadline | Wake::Sip(Some(Event::Established { .. })));
            if begin && unstarted.take().is_some() {
                let served = self.session.program().version().to_owned();
                let turn = self.session.start().await?;
                self.say_as(&served);
                self.take(turn).await?;
                continue;
            }
            match wake {
                Wake::Sip(None) | Wake::Media(None) => return Ok(()),
                Wake::Sip(Some(event)) => self.signalled(event).await?,
                Wake::Media(Some(report)) => {
                    if !self.reported(report.event).await? {
                        return Ok(());
                    }
                }
                Wake::Performed(performed) => {
                    self.performing = None;
                    let turn = self.session.resume(performed).await?;
                    self.take(turn).await?;
                }
                Wake::Deadline => self.tick().await?,
            }
        }
    }

    async fn wake(
        &mut self,
        deadline: Instant,
        events: &mut mpsc::Receiver<Event>,
        reports: &mut mpsc::Receiver<Report>,
    ) -> Wake {
        let performing = self.performing.is_some();
        let perform = async {
            match &mut self.performing {
                Some(future) => future.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = events.recv() => Wake::Sip(event),
            report = reports.recv() => Wake::Media(report),
            performed = perform, if performing => Wake::Performed(performed),
            () = tokio::time::sleep_until(deadline.into()) => Wake::Deadline,
        }
    }

    fn now(&self) -> Instant {
        self.board.clock.instant()
    }

    fn deadline(&self) -> Instant {
        let asked = self.asking.as_ref().and_then(|(collector, _)| collector.next_deadline());
        asked.unwrap_or_else(|| self.now() + HOLD_MAX)
    }

    async fn command(&mut self, command: Command) {
        // The endpoint outlives its calls; if it is gone, so is the call.
        let _ = self.board.commands.send(command).await;
    }

    /// Says a turn's words and goes into what follows, through as many turns as need no waiting.
    async fn take(&mut self, mut turn: Turn) -> Result<(), Error> {
        loop {
            if tracing::enabled!(tracing::Level::DEBUG) {
                let said: Vec<&str> = turn.say.iter().map(|utterance| &*utterance.name).collect();
                tracing::debug!(session = %self.session.id(), said = %said.join(" "), "said");
            }
            let clips = self.clips.of(&self.session.sounds(&turn.say));
            match turn.then {
                Then::Collect(question) => {
                    let (collector, step) = Collector::begin(self.now(), question.keys(), &mut self.ahead);
                    self.asking = Some((collector, question));
                    match step {
                        Step::Wait => {
                            self.play(clips);
                            if !self.playing {
                                self.prompt_done();
                            }
                            return Ok(());
                        }
                        Step::StopPrompt => {
                            self.quiet();
                            return Ok(());
                        }
                        Step::Done(entry) => turn = self.answered(entry).await?,
                    }
                }
                Then::Perform(task) => {
                    self.play(clips);
                    self.performing = Some(Box::pin(self.session.perform(task)));
                    return Ok(());
                }
                // A call can ask for a PIN itself: this follows on text messages only.
                Then::Callback => turn = self.session.reached(None).await?,
                Then::Hold => {
                    self.play(clips);
                    return Ok(());
                }
                Then::End => {
                    self.play(clips);
                    self.ending = true;
                    return Ok(());
                }
            }
        }
    }

    /// The turn after collected keys.
    async fn answered(&mut self, entry: Entry) -> Result<Turn, Error> {
        self.quiet();
        let Some((_, question)) = self.asking.take() else { return Err(Error::Action("answer")) };
        let answer = question.keyed(entry);
        tracing::debug!(session = %self.session.id(), answer = ?answer, "answer");
        self.session.answer(answer).await
    }

    /// Plays words after those that still play.
    fn play(&mut self, clips: Vec<Arc<Clip>>) {
        if clips.is_empty() {
            return;
        }
        self.words += 1;
        self.playing = self.media.play(self.words, clips).is_ok();
    }

    fn quiet(&mut self) {
        if self.playing {
            let _ = self.media.stop(None);
            self.playing = false;
        }
    }

    fn prompt_done(&mut self) {
        let now = self.now();
        if let Some((collector, _)) = &mut self.asking {
            collector.prompt_done(now);
        }
    }

    async fn tick(&mut self) -> Result<(), Error> {
        let now = self.now();
        match &mut self.asking {
            Some((collector, _)) => {
                let step = collector.tick(now);
                self.follow(step).await
            }
            None => {
                self.ending = true;
                Ok(())
            }
        }
    }

    async fn follow(&mut self, step: Step) -> Result<(), Error> {
        match step {
            Step::Wait => {}
            Step::StopPrompt => self.quiet(),
            Step::Done(entry) => {
                let turn = self.answered(entry).await?;
                self.take(turn).await?;
            }
        }
        Ok(())
    }

    async fn pressed(&mut self, source: KeySource, key: char) -> Result<(), Error> {
        if *self.source.get_or_insert(source) != source {
            return Ok(());
        }
        let now = self.now();
        self.ahead.push(now, key);
        let playing = self.playing;
        if let Some((collector, _)) = &mut self.asking {
            let step = collector.take(now, &mut self.ahead, playing);
            self.follow(step).await?;
        }
        Ok(())
    }

    /// A report of the media; false when the call is to end.
    async fn reported(&mut self, event: MediaEvent) -> Result<bool, Error> {
        match event {
            MediaEvent::Key { key, .. } => self.pressed(KeySource::Media, key).await?,
            MediaEvent::PlayDone { play_id, .. } if play_id == self.words => {
                self.playing = false;
                self.prompt_done();
            }
            MediaEvent::PlayDone { .. } | MediaEvent::FirstSound { .. } => {}
            MediaEvent::Silent => {
                tracing::info!(call = self.key.number(), "no media from the caller any more");
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn signalled(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::Digit { key, .. } => self.pressed(KeySource::Info, key.sign()).await?,
            Event::Offer { call, sdp } => match self.describe(sdp.as_ref()) {
                Ok(sdp) => self.command(Command::AcceptOffer { call, sdp }).await,
                Err(why) => {
                    tracing::info!(call = call.number(), "a new offer is refused: {why}");
                    self.command(Command::RejectOffer { call, status: 488 }).await;
                }
            },
            Event::AckSdp { sdp, .. } => {
                if let Err(why) = self.accept(&sdp) {
                    tracing::info!(call = self.key.number(), "no common media: {why}");
                    self.ending = true;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Answers the peer's description, or offers one if it brought none; the media follows.
    fn describe(&mut self, offer: Option<&Bytes>) -> Result<Bytes, sdp::Refusal> {
        let address = std::net::SocketAddr::new(self.local, self.media.local.port());
        let session_id = self.key.number() + 1;
        self.described += 1;
        let local = sdp::Local { address, session_id, version: self.described };
        let Some(offer) = offer else { return Ok(sdp::offer(&local, &CODECS)) };
        let answer = sdp::answer(offer, &local, &CODECS)?;
        self.configure(&answer.media);
        Ok(answer.sdp)
    }

    /// Takes the peer's answer to an offer of ours.
    fn accept(&mut self, answer: &Bytes) -> Result<(), sdp::Refusal> {
        let media = sdp::accept(answer, &CODECS)?;
        self.configure(&media);
        Ok(())
    }

    fn configure(&self, media: &sdp::Negotiated) {
        // Where the peer named no address, its packets must show one: from the host that signals, nowhere else.
        let unknown = std::net::SocketAddr::new(self.peer, 0);
        let config = StreamConfig {
            remote: media.remote.unwrap_or(unknown),
            codec: match media.codec {
                sdp::Codec::Pcmu => Codec::Pcmu,
                sdp::Codec::Pcma => Codec::Pcma,
            },
            payload_type: media.payload,
            dtmf_payload_type: media.event_payload,
            symmetric: self.board.rules.symmetric || media.remote.is_none(),
            signalling: Some(self.peer),
            receive: media.receive,
            send: media.send && media.remote.is_some(),
            idle: Idle::Quiet,
            silent_after: self.board.rules.silent_after,
        };
        if let Err(why) = self.media.configure(config) {
            tracing::warn!(call = self.key.number(), "media: {why}");
        }
    }
}
