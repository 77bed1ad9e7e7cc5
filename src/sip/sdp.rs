//! Offer and answer for one audio stream (RFC 3264, RFC 8866) on top of sdp-types.
//!
//! Called by whoever owns the media, beside the endpoint, which never looks into a description. Every `m=`
//! line of an offer is answered; what is not taken gets port 0. Pure; it resolves no names and opens no
//! ports.

use bytes::Bytes;
use sdp_types::AddrType;
use sdp_types::Attribute;
use sdp_types::Connection;
use sdp_types::Direction;
use sdp_types::Media;
use sdp_types::NetType;
use sdp_types::Origin;
use sdp_types::Session;
use sdp_types::Time;
use std::net::IpAddr;
use std::net::SocketAddr;

/// A codec that we speak, 8 kHz mono.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Codec {
    /// G.711 µ-law, static payload type 0.
    Pcmu,
    /// G.711 A-law, static payload type 8.
    Pcma,
}

impl Codec {
    /// Its payload type when nothing else is agreed (RFC 3551 §6).
    #[must_use]
    pub const fn static_payload(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }
}

/// Our side of a description.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Local {
    /// Where we receive RTP.
    pub address: SocketAddr,
    /// Number of the session, the same for all descriptions of one call (`o=`).
    pub session_id: u64,
    /// One more for every changed description of a call.
    pub version: u64,
}

/// What the media of a call is to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Negotiated {
    /// The codec, both ways.
    pub codec: Codec,
    /// Its payload type, as the offerer numbered it.
    pub payload: u8,
    /// Payload type of telephone-event at 8000 Hz (RFC 4733); `None` when the peer did not offer it.
    pub event_payload: Option<u8>,
    /// Where the peer receives RTP. `None` when it wrote a name, or 0.0.0.0: then only its own packets can
    /// tell.
    pub remote: Option<SocketAddr>,
    /// Whether we may send.
    pub send: bool,
    /// Whether the peer will send.
    pub receive: bool,
    /// Packet time that the peer wishes to receive, 10 to 60 ms; 20 when it says nothing.
    pub ptime_ms: u32,
}

/// An answer, and what it agrees to.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The description to send.
    pub sdp: Bytes,
    /// What the media is to do from now on.
    pub media: Negotiated,
}

/// Why a description cannot be taken; all are answered with [`Refusal::status`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Not a session description at all.
    #[error("malformed session description")]
    Malformed,
    /// No audio stream over plain RTP with PCMU or PCMA.
    #[error("no audio stream with a codec in common")]
    NoCommonCodec,
}

impl Refusal {
    /// The status to refuse with (RFC 3261 §13.3.1.3 asks for 488 when media cannot be agreed).
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::NoCommonCodec => 488,
        }
    }
}

/// Answers an offer. The first codec of the offerer that is among `codecs` is taken.
///
/// # Errors
/// A [`Refusal`] to be answered.
pub fn answer(offer: &[u8], local: &Local, codecs: &[Codec]) -> Result<Answer, Refusal> {
    let offer = Session::parse(offer).map_err(|_| Refusal::Malformed)?;
    let taken = offer.medias.iter().position(|m| stream(&offer, m, codecs).is_some());
    let taken = taken.ok_or(Refusal::NoCommonCodec)?;
    let mut session = session(local, offer.times.clone());
    let mut agreed = None;
    for (at, media) in offer.medias.iter().enumerate() {
        if at != taken {
            session.medias.push(refused(media));
            continue;
        }
        let negotiated = stream(&offer, media, codecs).ok_or(Refusal::NoCommonCodec)?;
        let direction = match (negotiated.send, negotiated.receive) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::Inactive,
        };
        let codec = [(negotiated.codec, negotiated.payload)];
        session.medias.push(audio(local, &codec, negotiated.event_payload, direction));
        agreed = Some(negotiated);
    }
    let media = agreed.ok_or(Refusal::NoCommonCodec)?;
    Ok(Answer { sdp: print(&session), media })
}

/// An offer of ours: `codecs` in our order of preference, and telephone-event.
#[must_use]
pub fn offer(local: &Local, codecs: &[Codec]) -> Bytes {
    let mut session = session(local, Vec::new());
    let payloads: Vec<(Codec, u8)> = codecs.iter().map(|c| (*c, c.static_payload())).collect();
    session.medias.push(audio(local, &payloads, Some(OFFERED_EVENT_PAYLOAD), Direction::SendRecv));
    print(&session)
}

/// Reads the answer to an offer of ours.
///
/// # Errors
/// [`Refusal::NoCommonCodec`] when the peer refused the stream or took none of `codecs`.
pub fn accept(answer: &[u8], codecs: &[Codec]) -> Result<Negotiated, Refusal> {
    let answer = Session::parse(answer).map_err(|_| Refusal::Malformed)?;
    let media = answer.medias.first().ok_or(Refusal::NoCommonCodec)?;
    stream(&answer, media, codecs).ok_or(Refusal::NoCommonCodec)
}

/// Payload type of telephone-event in our offers.
const OFFERED_EVENT_PAYLOAD: u8 = 101;

/// Packet time of what we send.
const PTIME_MS: u32 = 20;

/// RFC 3551 §6: from here on a payload type means what `a=rtpmap` says.
const DYNAMIC_PAYLOAD_MIN: u8 = 96;

/// What an `m=` line of the peer would mean, or `None` if it cannot be taken.
fn stream(session: &Session, media: &Media, codecs: &[Codec]) -> Option<Negotiated> {
    if media.media != "audio" || media.port == 0 || media.proto != "RTP/AVP" {
        return None;
    }
    let payloads: Vec<u8> = media.fmt.split_ascii_whitespace().filter_map(|p| p.parse().ok()).collect();
    let (codec, payload) =
        payloads.iter().find_map(|p| codec_of(media, *p).filter(|c| codecs.contains(c)).map(|c| (c, *p)))?;
    let event_payload = payloads.iter().copied().find(|p| {
        rtpmap(media, *p)
            .is_some_and(|(name, clock)| name.eq_ignore_ascii_case("telephone-event") && clock == 8000)
    });
    let connection = media.connections.first().or(session.connection.as_ref())?;
    let address = connection.try_address().ok().map(|a| a.ip);
    // RFC 3264 §8.4: the hold of older phones is the address 0.0.0.0.
    let held = address.is_some_and(|ip| ip.is_unspecified());
    let theirs = direction(media, session);
    Some(Negotiated {
        codec,
        payload,
        event_payload,
        remote: address.filter(|_| !held).map(|ip| SocketAddr::new(ip, media.port)),
        send: theirs.has_recv() && !held,
        receive: theirs.has_send(),
        ptime_ms: value(media, "ptime").and_then(|v| v.trim().parse().ok()).unwrap_or(PTIME_MS).clamp(10, 60),
    })
}

fn direction(media: &Media, session: &Session) -> Direction {
    let find = |attributes: &[Attribute]| {
        attributes.iter().find_map(|a| match a.attribute.as_str() {
            "sendrecv" => Some(Direction::SendRecv),
            "sendonly" => Some(Direction::SendOnly),
            "recvonly" => Some(Direction::RecvOnly),
            "inactive" => Some(Direction::Inactive),
            _ => None,
        })
    };
    find(&media.attributes).or_else(|| find(&session.attributes)).unwrap_or_default()
}

fn value<'a>(media: &'a Media, name: &str) -> Option<&'a str> {
    media.attributes.iter().find(|a| a.attribute == name)?.value.as_deref()
}

/// Encoding name and clock rate that `a=rtpmap` gives a payload type.
fn rtpmap(media: &Media, payload: u8) -> Option<(&str, u32)> {
    media.attributes.iter().filter(|a| a.attribute == "rtpmap").find_map(|a| {
        let (number, encoding) = a.value.as_deref()?.trim().split_once([' ', '\t'])?;
        if number.parse() != Ok(payload) {
            return None;
        }
        let mut parts = encoding.trim().split('/');
        Some((parts.next()?, parts.next()?.trim().parse().ok()?))
    })
}

fn codec_of(media: &Media, payload: u8) -> Option<Codec> {
    let all = [Codec::Pcmu, Codec::Pcma];
    match rtpmap(media, payload) {
        Some((name, 8000)) => all.into_iter().find(|c| name.eq_ignore_ascii_case(c.name())),
        Some(_) => None,
        None if payload < DYNAMIC_PAYLOAD_MIN => all.into_iter().find(|c| c.static_payload() == payload),
        None => None,
    }
}

fn session(local: &Local, times: Vec<Time>) -> Session {
    let ip = local.address.ip();
    let origin = Origin::new(local.session_id, local.version, NetType::In, address_type(ip), ip.to_string());
    let mut session = Session::new(origin, "-");
    session.connection = Some(Connection::from_ip_addr(ip));
    // RFC 3264 §6: the t= line of an answer equals that of the offer.
    session.times = if times.is_empty() { vec![Time::new(0, 0)] } else { times };
    session
}

const fn address_type(ip: IpAddr) -> AddrType {
    if ip.is_ipv4() { AddrType::Ip4 } else { AddrType::Ip6 }
}

/// RFC 3264 §6: a refused stream keeps its kind and formats and has port 0.
fn refused(offered: &Media) -> Media {
    Media {
        media: offered.media.clone(),
        port: 0,
        num_ports: None,
        proto: offered.proto.clone(),
        fmt: offered.fmt.clone(),
        media_title: None,
        connections: Vec::new(),
        bandwidths: Vec::new(),
        key: None,
        attributes: Vec::new(),
    }
}

fn audio(local: &Local, codecs: &[(Codec, u8)], event_payload: Option<u8>, direction: Direction) -> Media {
    let mut formats: Vec<String> = codecs.iter().map(|(_, payload)| payload.to_string()).collect();
    let mut attributes: Vec<Attribute> = codecs
        .iter()
        .map(|(codec, payload)| Attribute::with_value("rtpmap", format!("{payload} {}/8000", codec.name())))
        .collect();
    if let Some(payload) = event_payload {
        formats.push(payload.to_string());
        attributes.push(Attribute::with_value("rtpmap", format!("{payload} telephone-event/8000")));
        attributes.push(Attribute::with_value("fmtp", format!("{payload} 0-15")));
    }
    attributes.push(Attribute::with_value("ptime", PTIME_MS));
    attributes.push(Attribute::new(direction.as_str()));
    Media {
        media: "audio".to_owned(),
        port: local.address.port(),
        num_ports: None,
        proto: "RTP/AVP".to_owned(),
        fmt: formats.join(" "),
        media_title: None,
        connections: Vec::new(),
        bandwidths: Vec::new(),
        key: None,
        attributes,
    }
}

fn print(session: &Session) -> Bytes {
    let mut out = Vec::with_capacity(256);
    // Writing into memory does not fail.
    let _ = session.write(&mut out);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Codec; 2] = [Codec::Pcmu, Codec::Pcma];
    const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";

    fn local(address: &str) -> Local {
        Local { address: address.parse().unwrap(), session_id: 9, version: 3 }
    }

    fn answered(media: &str) -> (String, Negotiated) {
        let answer = answer(format!("{HEAD}{media}").as_bytes(), &local("198.51.100.1:5000"), &BOTH).unwrap();
        (String::from_utf8(answer.sdp.to_vec()).unwrap(), answer.media)
    }

    #[test]
    fn a_plain_offer_is_answered_line_for_line() {
        let (sdp, media) =
            answered("m=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:30\r\n");
        let expected = "v=0\r\no=- 9 3 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n\
                        m=audio 5000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\n\
                        a=rtpmap:101 telephone-event/8000\r\n\
                        a=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";
        assert_eq!(sdp, expected);
        let agreed = Negotiated {
            codec: Codec::Pcma,
            payload: 8,
            event_payload: Some(101),
            remote: Some("192.0.2.1:4000".parse().unwrap()),
            send: true,
            receive: true,
            ptime_ms: 30,
        };
        assert_eq!(media, agreed);
    }

    #[test]
    fn the_offerer_chooses_codec_and_numbers() {
        let check = |media: &str, codec: Codec, payload: u8, event: Option<u8>| {
            let (_, agreed) = answered(media);
            assert_eq!(
                (agreed.codec, agreed.payload, agreed.event_payload),
                (codec, payload, event),
                "{media}"
            );
        };
        check("m=audio 4000 RTP/AVP 0 8\r\n", Codec::Pcmu, 0, None);
        check("m=audio 4000 RTP/AVP 18 3 8 0\r\n", Codec::Pcma, 8, None);
        check("m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 pcmu/8000/1\r\n", Codec::Pcmu, 97, None);
        let events = "m=audio 4000 RTP/AVP 0 100 96\r\n\
                      a=rtpmap:100 telephone-event/16000\r\na=rtpmap:96 telephone-event/8000\r\n";
        check(events, Codec::Pcmu, 0, Some(96));
        check("m=audio 4000 RTP/AVP 0 101\r\n", Codec::Pcmu, 0, None);
        // Payload type 0 means PCMU only as long as nobody says otherwise.
        check("m=audio 4000 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/16000\r\n", Codec::Pcma, 8, None);
    }

    #[test]
    fn every_line_is_answered_and_only_one_is_taken() {
        let (sdp, media) = answered(
            "m=video 5000 RTP/AVP 31\r\nm=audio 4002 RTP/SAVP 0\r\nm=audio 4000 RTP/AVP 8\r\n\
             m=image 6000 udptl t38\r\n\
             m=audio 4004 RTP/AVP 0\r\n",
        );
        let lines: Vec<&str> = sdp.lines().filter(|l| l.starts_with("m=")).collect();
        let expected = [
            "m=video 0 RTP/AVP 31",
            "m=audio 0 RTP/SAVP 0",
            "m=audio 5000 RTP/AVP 8",
            "m=image 0 udptl t38",
            "m=audio 0 RTP/AVP 0",
        ];
        assert_eq!(lines, expected);
        assert_eq!(media.remote, Some("192.0.2.1:4000".parse().unwrap()));
    }

    #[test]
    fn hold_in_all_its_spellings() {
        let check = |media: &str, direction: &str, send: bool, receive: bool| {
            let (sdp, agreed) = answered(media);
            assert!(sdp.ends_with(&format!("a={direction}\r\n")), "{media}: {sdp}");
            assert_eq!((agreed.send, agreed.receive), (send, receive), "{media}");
        };
        check("m=audio 4000 RTP/AVP 0\r\na=sendonly\r\n", "recvonly", false, true);
        check("m=audio 4000 RTP/AVP 0\r\na=recvonly\r\n", "sendonly", true, false);
        check("m=audio 4000 RTP/AVP 0\r\na=inactive\r\n", "inactive", false, false);
        check("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n", "recvonly", false, true);
        check("a=sendonly\r\nm=audio 4000 RTP/AVP 0\r\n", "recvonly", false, true);
        check("a=inactive\r\nm=audio 4000 RTP/AVP 0\r\na=sendrecv\r\n", "sendrecv", true, true);
        let (_, held) = answered("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n");
        assert_eq!(held.remote, None);
    }

    #[test]
    fn addresses_of_both_families_and_names() {
        let six = "v=0\r\no=- 1 1 IN IP6 2001:db8::9\r\ns=-\r\n\
                   c=IN IP6 2001:db8::9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
        let answer = answer(six.as_bytes(), &local("[2001:db8::1]:5000"), &BOTH).unwrap();
        assert_eq!(answer.media.remote, Some("[2001:db8::9]:4000".parse().unwrap()));
        assert!(String::from_utf8_lossy(&answer.sdp).contains("c=IN IP6 2001:db8::1\r\n"));
        let (_, named) = answered("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 media.example.com\r\n");
        assert_eq!((named.remote, named.send), (None, true));
        let (_, own) = answered("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 192.0.2.7\r\n");
        assert_eq!(own.remote, Some("192.0.2.7:4000".parse().unwrap()));
    }

    #[test]
    fn lenient_where_telephones_are() {
        let lenient =
            "v=0\no=user 99999999999 1 IN IP4 192.0.2.1\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0\n";
        assert!(answer(lenient.as_bytes(), &local("198.51.100.1:5000"), &BOTH).is_ok());
        let times = HEAD.replace("t=0 0", "t=2873397496 2873404696") + "m=audio 4000 RTP/AVP 0\r\n";
        let answer = answer(times.as_bytes(), &local("198.51.100.1:5000"), &BOTH).unwrap();
        assert!(String::from_utf8_lossy(&answer.sdp).contains("t=2873397496 2873404696\r\n"));
    }

    #[test]
    fn what_cannot_be_agreed_is_refused() {
        let check = |offer: &str, refusal: Refusal, status: u16| {
            let got = answer(offer.as_bytes(), &local("198.51.100.1:5000"), &BOTH).map(|a| a.media);
            assert_eq!(got, Err(refusal), "{offer}");
            assert_eq!(refusal.status(), status);
        };
        check("", Refusal::Malformed, 400);
        check("rubbish", Refusal::Malformed, 400);
        check(&format!("{HEAD}m=audio 4000 RTP/AVP 18 3\r\n"), Refusal::NoCommonCodec, 488);
        check(&format!("{HEAD}m=audio 0 RTP/AVP 0\r\n"), Refusal::NoCommonCodec, 488);
        check(&format!("{HEAD}m=audio 4000 RTP/SAVP 0\r\n"), Refusal::NoCommonCodec, 488);
        check(&format!("{HEAD}m=video 4000 RTP/AVP 31\r\n"), Refusal::NoCommonCodec, 488);
        check(HEAD, Refusal::NoCommonCodec, 488);
    }

    #[test]
    fn our_offer_is_answered_and_the_answer_is_accepted() {
        let offer = offer(&local("198.51.100.1:5000"), &BOTH);
        let theirs = answer(&offer, &local("192.0.2.1:4000"), &[Codec::Pcma]).unwrap();
        assert_eq!(theirs.media.remote, Some("198.51.100.1:5000".parse().unwrap()));
        let ours = accept(&theirs.sdp, &BOTH).unwrap();
        assert_eq!((ours.codec, ours.event_payload), (Codec::Pcma, Some(101)));
        assert_eq!(ours.remote, Some("192.0.2.1:4000".parse().unwrap()));
        let refused = format!("{HEAD}m=audio 0 RTP/AVP 0\r\n");
        assert_eq!(accept(refused.as_bytes(), &BOTH), Err(Refusal::NoCommonCodec));
    }
}
