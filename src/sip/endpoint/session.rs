//! The session timer of RFC 4028: a call whose peer has vanished ends by itself.
//!
//! Agreed in an INVITE or UPDATE and its 2xx. One side refreshes at half of the interval; the other ends the
//! call when no refresh came. Without it a lost BYE would hold a payment session for ever.

use super::Due;
use super::Endpoint;
use super::Purpose;
use super::call::Phase;
use crate::sip::event::CallKey;
use crate::sip::event::EndedBy;
use crate::sip::wire::header::Name;
use crate::sip::wire::message::Fields;
use std::time::Duration;
use std::time::Instant;

/// What both sides agreed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Session {
    pub(super) interval_s: u32,
    pub(super) we_refresh: bool,
    /// Who refreshes, as written relative to the request that agreed it.
    pub(super) refresher: &'static str,
    /// The peer knows the extension, so Require: timer may be said.
    pub(super) peer_supports: bool,
    /// When the session ends unless refreshed.
    pub(super) expires: Option<Instant>,
    /// Counts agreements, so that timers of older ones do nothing.
    pub(super) generation: u32,
}

/// What a request asks about the session timer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wish {
    None,
    Timer(Session),
    /// To be answered 422 with Min-SE.
    TooShort,
}

/// RFC 4028 §9, table 2: the answer of a server to the `Session-Expires` of a request.
pub(super) fn wish(fields: &Fields, min_s: u32) -> Wish {
    let Some((interval_s, refresher)) = session_expires(fields) else {
        return Wish::None;
    };
    let peer_supports = fields.lists(Name::Supported, "timer") || fields.lists(Name::Require, "timer");
    if interval_s < min_s && peer_supports {
        return Wish::TooShort;
    }
    // A peer that does not know the extension cannot refresh: a proxy put the header in, and we must.
    let we_refresh = !peer_supports || refresher.as_deref() == Some("uas");
    Wish::Timer(Session {
        interval_s: interval_s.max(min_s),
        we_refresh,
        refresher: if we_refresh { "uas" } else { "uac" },
        peer_supports,
        expires: None,
        generation: 0,
    })
}

/// The agreement that a 2xx to our request brings.
pub(super) fn agreed(fields: &Fields, min_s: u32) -> Option<Session> {
    let (interval_s, refresher) = session_expires(fields)?;
    let we_refresh = refresher.as_deref() != Some("uas");
    Some(Session {
        interval_s: interval_s.max(min_s),
        we_refresh,
        refresher: if we_refresh { "uac" } else { "uas" },
        peer_supports: true,
        expires: None,
        generation: 0,
    })
}

fn session_expires(fields: &Fields) -> Option<(u32, Option<String>)> {
    let value = fields.first(Name::SessionExpires)?;
    let mut parts = value.split(';').map(str::trim);
    let interval_s: u32 = parts.next()?.parse().ok()?;
    let refresher = parts.find_map(|p| {
        let (name, who) = p.split_once('=')?;
        name.trim().eq_ignore_ascii_case("refresher").then(|| who.trim().to_ascii_lowercase())
    });
    Some((interval_s, refresher))
}

/// A refresh that failed for a passing reason is tried again after this.
const RETRY: Duration = Duration::from_secs(10);

impl Endpoint {
    /// Starts, restarts or ends the session timer of a call, as a 2xx just agreed.
    pub(super) fn agree_session(&mut self, now: Instant, key: CallKey, session: Option<Session>) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let generation = call.session.map_or(0, |s| s.generation) + 1;
        let Some(mut session) = session else {
            // The generation must live on, or a timer of the old agreement could fire in a later one.
            if let Some(old) = &mut call.session {
                old.generation = generation;
                old.expires = None;
            }
            return;
        };
        let interval = Duration::from_secs(u64::from(session.interval_s));
        session.generation = generation;
        session.expires = Some(now + interval);
        call.session = Some(session);
        // RFC 4028 §10: who waits gives up a third of the interval or 32 s before the end.
        let wait = if session.we_refresh {
            interval / 2
        } else {
            interval - (interval / 3).min(Duration::from_secs(32))
        };
        self.after(now, wait, Due::Session(key, generation));
    }

    pub(super) fn fire_session(&mut self, now: Instant, key: CallKey, generation: u32) {
        let Some(call) = self.calls.get(&key) else { return };
        let Some(session) = call.session.filter(|s| s.generation == generation) else { return };
        let Some(expires) = session.expires.filter(|_| matches!(call.phase, Phase::Talking)) else { return };
        if !session.we_refresh || now >= expires {
            self.hang_up(now, key, EndedBy::Expired);
            return;
        }
        if call.asking.is_none() && call.offer.is_none() && call.unacknowledged.is_none() {
            self.refresh(now, key, session);
        }
        // Asked again until a 2xx starts a new generation, or the end comes.
        let next = RETRY.min(expires.saturating_duration_since(now));
        self.after(now, next, Due::Session(key, generation));
    }

    fn refresh(&mut self, now: Instant, key: CallKey, session: Session) {
        let Some(call) = self.calls.get(&key) else { return };
        if call.peer_updates {
            self.update(now, key, session.interval_s);
        } else {
            let sdp = call.local_sdp.clone();
            self.reinvite(now, key, sdp, Purpose::Refresh, Some(session.interval_s));
        }
    }
}
