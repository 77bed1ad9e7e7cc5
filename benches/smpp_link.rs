//! `submit_sm` a second through one bind on loopback, between our client and our listener in one process and without a
//! store, by window. `--json`, `--seconds N`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench fails by panicking, speaks on the terminal, and rounds"
)]

use std::time::Duration;

use bytes::Bytes;
use keytone::clock::Clock;
use keytone::smpp::io::Ask;
use keytone::smpp::io::Client;
use keytone::smpp::io::ClientSettings;
use keytone::smpp::io::Event;
use keytone::smpp::io::Grant;
use keytone::smpp::io::Handle;
use keytone::smpp::io::Listener;
use keytone::smpp::io::ListenerSettings;
use keytone::smpp::io::What;
use keytone::smpp::link::event::Outcome;
use keytone::smpp::link::settings::Esme;
use keytone::smpp::link::settings::Password;
use keytone::smpp::link::settings::Settings;
use keytone::smpp::link::settings::Side;
use keytone::smpp::pdu::Address;
use keytone::smpp::pdu::Body;
use keytone::smpp::pdu::Message;
use keytone::smpp::pdu::MessageResp;
use keytone::smpp::pdu::Role;
use keytone::smpp::status;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const WINDOWS: [usize; 3] = [1, 10, 50];
/// The target of the issue, at a window of 50.
const WANTED: f64 = 60_000.0;
/// `/proc` counts CPU in hundredths of a second.
const TICKS_A_SECOND: f64 = 100.0;

#[derive(serde::Serialize)]
struct Line {
    window: usize,
    submits_per_s: f64,
    cpu_us_per_submit: f64,
}

fn now() -> std::time::Instant {
    Clock::machine().instant()
}

fn esme(window: usize) -> Settings {
    let side = Side::Esme(Esme {
        system_id: Bytes::from_static(b"bench"),
        password: Password::new(b"bench"),
        system_type: Bytes::new(),
        role: Role::Transceiver,
        version: 0x34,
        addr_ton: 0,
        addr_npi: 0,
        address_range: Bytes::new(),
    });
    Settings { window, ..Settings::new(side) }
}

/// 100 octets of text.
fn submit() -> Body {
    Body::SubmitSm(Message {
        source: Address { ton: 5, npi: 0, digits: Bytes::from_static(b"KEYTONE") },
        destination: Address { ton: 1, npi: 1, digits: Bytes::from_static(b"8613800138000") },
        registered_delivery: 1,
        short_message: Bytes::from_static(&[b'x'; 100]),
        ..Message::default()
    })
}

/// A listener that takes everything at once; its address.
async fn smsc(stop: CancellationToken) -> String {
    let link = Settings::new(Side::Smsc { system_id: Bytes::from_static(b"bench"), version: 0x34 });
    let settings = ListenerSettings {
        networks: vec!["127.0.0.1".parse().unwrap()],
        connections: 8,
        connections_per_address: 8,
        tls: None,
        link: link.clone(),
        drain: Duration::from_secs(1),
    };
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), settings).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (asks, mut asked) = mpsc::channel::<Ask>(8);
    tokio::spawn(async move {
        while let Some(ask) = asked.recv().await {
            ask.allow(Grant { name: "bench".to_owned(), binds: 8, link: link.clone() });
        }
    });
    let (events, mut heard) = mpsc::channel::<Event>(1_024);
    tokio::spawn(async move {
        while let Some(event) = heard.recv().await {
            if let What::Request { ticket, .. } = event.what {
                let answer =
                    MessageResp { message_id: Bytes::from_static(b"0123456789"), ..MessageResp::default() };
                event.handle.respond(ticket, status::ROK, Body::SubmitSmResp(answer));
            }
        }
    });
    tokio::spawn(listener.run(asks, events, now, stop));
    address
}

async fn bound(address: String, window: usize) -> (Handle, mpsc::Receiver<Event>) {
    let (events, mut heard) = mpsc::channel(64);
    let settings = ClientSettings {
        name: "bench".to_owned(),
        addresses: vec![address],
        tls: None,
        server_name: None,
        connect_timeout: Duration::from_secs(5),
        link: esme(window),
    };
    let handle = Client::start(settings, events, now);
    while !matches!(heard.recv().await.unwrap().what, What::Up(_)) {}
    (handle, heard)
}

async fn measure(window: usize, time: Duration) -> Line {
    let stop = CancellationToken::new();
    let (handle, _heard) = bound(smsc(stop.clone()).await, window).await;
    let began = (now(), cpu());
    // A few more than the window keep it full.
    let askers: Vec<_> = (0..window + window / 4)
        .map(|_| {
            let handle = handle.clone();
            tokio::spawn(async move {
                let mut answered = 0_u64;
                while now() - began.0 < time {
                    let outcome = handle.request(submit(), 1).await;
                    assert!(matches!(outcome, Outcome::Answered { status: status::ROK, .. }));
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    let mut answered = 0;
    for asker in askers {
        answered += asker.await.unwrap();
    }
    let answered = answered as f64;
    let line = Line {
        window,
        submits_per_s: answered / (now() - began.0).as_secs_f64(),
        cpu_us_per_submit: (cpu() - began.1) * 1e6 / answered,
    };
    handle.close(Duration::from_secs(1)).await;
    stop.cancel();
    line
}

/// Seconds of CPU that this process has used.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after = stat.rsplit_once(')').unwrap().1;
    after.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>()
        / TICKS_A_SECOND
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    let after = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse().ok()
    };
    let time = Duration::from_secs(after("--seconds").unwrap_or(3));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let lines: Vec<Line> = WINDOWS.iter().map(|window| runtime.block_on(measure(*window, time))).collect();
    let met = lines.last().is_some_and(|line| line.submits_per_s >= WANTED);
    if json {
        let report =
            serde_json::json!({ "bench": "smpp_link", "lines": lines, "wanted": WANTED, "met": met });
        println!("{report}");
        return;
    }
    println!("submit_sm/s through one bind, client and listener in one process on two threads");
    for Line { window, submits_per_s, cpu_us_per_submit } in &lines {
        println!(
            "  window {window:>3}  {submits_per_s:>9.0}/s  {cpu_us_per_submit:>6.1} us of CPU each, both ends"
        );
    }
    println!("  wanted at window 50: {WANTED:.0}/s: {}", if met { "met" } else { "NOT met" });
}
