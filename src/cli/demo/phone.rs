//! The demo's telephone: a SIP user agent with RTP, that calls, presses keys by RFC 4733, and hears.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::rtp::listen::{Heard, Listener};
use crate::rtp::{Clip, Codec, Engine, EngineConfig, HeardFrame, Idle, Media, Report, StreamConfig};
use crate::sip::config::EndpointConfig;
use crate::sip::endpoint::Endpoint;
use crate::sip::event::{CallKey, Command, Event, Invite};
use crate::sip::{io, sdp};

/// How long an answer, or a prompt, may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time from hearing to pressing: a quick customer who knows the way.
const REACTION: Duration = Duration::from_millis(300);
const CODECS: [sdp::Codec; 1] = [sdp::Codec::Pcmu];

/// A telephone in a call.
pub(super) struct Phone {
    commands: mpsc::Sender<Command>,
    events: mpsc::Receiver<Event>,
    heard: mpsc::Receiver<HeardFrame>,
    listener: Listener,
    media: Media,
    engine: Engine,
    call: CallKey,
    over: bool,
    stop: CancellationToken,
}

fn now() -> std::time::Instant {
    Clock::machine().instant()
}

impl Phone {
    /// Calls `service` at `daemon` as `from`, and waits for the answer.
    pub(super) async fn call(
        daemon: SocketAddr,
        service: &str,
        from: &str,
        clips: Vec<Arc<Clip>>,
    ) -> anyhow::Result<Self> {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let socket = io::bind(SocketAddr::new(here, 0))?;
        let local = socket.local_addr()?;
        let mut seed = [0_u8; 32];
        getrandom::fill(&mut seed).map_err(|e| anyhow::anyhow!("no randomness: {e}"))?;
        let mut config = EndpointConfig::new(Vec::new());
        config.user_agent = "Keytone demo phone".to_owned();
        let (commands, commands_out) = mpsc::channel(16);
        let (events_in, events) = mpsc::channel(64);
        let stop = CancellationToken::new();
        let wires = io::Wires { commands: commands_out, events: events_in, trace: None };
        tokio::spawn(io::run(socket, Endpoint::new(config, seed), wires, now, stop.clone()));

        let engine = Engine::start(EngineConfig { bind: here, ports: 0..=0, threads: 1, calls_max: 4 }, now)?;
        let (reports, _) = mpsc::channel::<Report>(64);
        let media = engine.open(reports, 1)?;
        let (heard_in, heard) = mpsc::channel(4096);
        media.hear(heard_in)?;
        let call = CallKey::outgoing(1);
        let rtp = SocketAddr::new(here, media.local.port());
        let offer = sdp::offer(&sdp::Local { address: rtp, session_id: 1, version: 1 }, &CODECS);
        let invite = Invite {
            call,
            local,
            destination: daemon,
            target: format!("sip:{service}@{daemon}"),
            from: format!("<sip:{from}@{}>", local.ip()),
            sdp: offer,
            headers: Vec::new(),
        };
        commands.send(Command::Invite(Box::new(invite))).await?;
        let listener = Listener::new(Codec::Pcmu, clips);
        let mut phone = Self { commands, events, heard, listener, media, engine, call, over: false, stop };
        phone.answered().await?;
        Ok(phone)
    }

    async fn answered(&mut self) -> anyhow::Result<()> {
        loop {
            let event = tokio::time::timeout(PATIENCE, self.events.recv()).await.context("nobody answers")?;
            match event.context("the phone is gone")? {
                Event::Answered { sdp, .. } => {
                    let agreed = sdp::accept(&sdp, &CODECS)?;
                    let remote = agreed.remote.context("the answer names no address")?;
                    self.media.configure(StreamConfig {
                        remote,
                        codec: Codec::Pcmu,
                        payload_type: agreed.payload,
                        dtmf_payload_type: agreed.event_payload,
                        symmetric: false,
                        signalling: None,
                        receive: true,
                        send: true,
                        idle: Idle::Quiet,
                        silent_after: None,
                    })?;
                    return Ok(());
                }
                Event::Failed { status, .. } => bail!("the call was refused with {status}"),
                _ => {}
            }
        }
    }

    /// Everything heard so far.
    pub(super) fn heard(&self) -> Vec<Heard> {
        self.listener.heard()
    }

    /// Waits until a clip of the message `key` has been heard to its end after the first `known` clips.
    pub(super) async fn wait_for(&mut self, key: &str, known: usize) -> anyhow::Result<()> {
        let deadline = now() + PATIENCE;
        loop {
            let is_it = |h: &Heard| h.whole && h.names().any(|name| message_of(name) == Some(key));
            if self.heard().iter().skip(known).any(is_it) {
                tokio::time::sleep(REACTION).await;
                return Ok(());
            }
            if self.over || now() > deadline {
                let names: Vec<String> = self.heard().into_iter().map(|h| h.name).collect();
                bail!("the phone waited for {key} and heard {}", names.join(", "));
            }
            self.listen(Duration::from_millis(60)).await;
        }
    }

    /// Waits until the other side hangs up.
    pub(super) async fn wait_end(&mut self) -> anyhow::Result<()> {
        let deadline = now() + PATIENCE;
        while !self.over {
            if now() > deadline {
                bail!("the call does not end");
            }
            self.listen(Duration::from_millis(60)).await;
        }
        Ok(())
    }

    /// Presses keys, one after the other.
    pub(super) fn press(&self, keys: &str) -> anyhow::Result<()> {
        for key in keys.chars() {
            self.media.press(key)?;
        }
        Ok(())
    }

    async fn listen(&mut self, for_: Duration) {
        let end = tokio::time::sleep(for_);
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return,
                frame = self.heard.recv() => match frame {
                    Some(frame) => self.listener.push(frame.sequence, frame.timestamp, &frame.payload),
                    None => return,
                },
                event = self.events.recv() => match event {
                    Some(Event::Ended { .. }) | None => self.over = true,
                    Some(_) => {}
                },
            }
            if self.over {
                return;
            }
        }
    }

    /// Puts the phone down.
    pub(super) async fn down(self) {
        let _ = self.commands.send(Command::Hangup { call: self.call }).await;
        drop(self.media);
        self.stop.cancel();
        self.engine.stop();
    }
}

/// The message that a clip belongs to: `en/msg/confirm-number.0` is of `confirm-number`.
fn message_of(clip: &str) -> Option<&str> {
    let name = clip.split_once("/msg/")?.1;
    name.rsplit_once('.').map(|(key, _)| key)
}
