//! `keytone demo`: a carrier, an SMSC, the daemon and telephones on loopback; a recharge by a real call, one by a USSD
//! dialogue, one by a text message.

mod network;
mod phone;
mod texts;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::ledger::{kind, read};
use super::world::{Customer, Surroundings, World, currency};
use super::{say, say_json, serve};
use crate::app::messaging;
use crate::app::reload::Wanted;
use crate::app::{Daemon, Plant};
use crate::clock::Clock;
use crate::config::{Rtp, Sip, Trunk};
use crate::money::Money;
use crate::msisdn::Msisdn;
use crate::payment::row::{AttemptRow, Id, PaymentRow};
use crate::payment::run::audit;
use crate::rtp::listen::Heard;
use crate::sip::config::Network as Addresses;
use crate::sip::io::Trace;
use crate::store::{PaymentFilter, Total};
use network::Network;
use phone::Phone;

/// The number that the shipped menu serves.
const SERVICE: &str = "12580";
/// Messages that the ladder remembers.
const LADDER_MAX: usize = 256;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  keytone demo                  a recharge by call, by USSD and by SMS, told as they go; some seconds
  keytone demo --json           the same; the last line is one JSON object
  keytone demo --serve          stay up for your own SIP phone; prints one JSON line when ready

With --serve the mobile network is moved by HTTP, for example (CONTROL is smsc_control of that line):
  curl -d '{\"msisdn\":\"+8613800000001\",\"code\":\"*125#\"}' CONTROL/dial
  curl -d '{\"msisdn\":\"+8613800000001\",\"text\":\"1\"}' CONTROL/reply
  curl -d '{\"from\":\"+8613800000002\",\"to\":\"12580\",\"text\":\"RC 50\"}' CONTROL/sms")]
pub(super) struct Arguments {
    /// Stay up, so that any SIP phone on this machine can call
    #[arg(long)]
    serve: bool,
    /// Print one JSON object as the last line, and nothing else
    #[arg(long)]
    json: bool,
    /// SIP port; 5060, or a free one if that is taken
    #[arg(long, value_name = "PORT")]
    sip_port: Option<u16>,
    /// HTTP port; 8080, or a free one if that is taken
    #[arg(long, value_name = "PORT")]
    http_port: Option<u16>,
    /// The sandbox SMSC's port; 2775, or a free one if that is taken
    #[arg(long, value_name = "PORT")]
    smpp_port: Option<u16>,
}

/// The port asked for, or the usual one while it is free.
fn port(asked: Option<u16>, usual: u16, free: impl Fn(SocketAddr) -> bool) -> SocketAddr {
    let at = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    match asked {
        Some(port) => at(port),
        None if free(at(usual)) => at(usual),
        None => at(0),
    }
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    serve::log(false, if arguments.serve { "info" } else { "error" });
    let clock = Clock::machine();
    let begun = clock.instant();
    let sip = port(arguments.sip_port, 5060, |a| std::net::UdpSocket::bind(a).is_ok());
    let web = port(arguments.http_port, 8080, |a| std::net::TcpListener::bind(a).is_ok());
    let http = TcpListener::bind(web).await.with_context(|| format!("cannot listen on {web}"))?;
    let callback = format!("http://{}/callback/{}", http.local_addr()?, crate::connector::sandbox::CONNECTOR);
    let (core, world) = World::open(&clock, Some(callback)).await?.split();
    let smpp = port(arguments.smpp_port, 2775, |a| std::net::TcpListener::bind(a).is_ok());
    let network = Network::open(world.folder(), &clock, smpp).await?;
    let (trace_in, trace) = mpsc::channel(LADDER_MAX);
    let plant = Plant {
        wanted: Wanted::default(),
        config: None,
        control: None,
        sip: Sip { listen: sip, external: None, calls_max: 2000, trunks: vec![loopback()] },
        rtp: Rtp { ports: (0, 0), threads: 1, symmetric: false, silent_after: None },
        messaging: messaging::Wanted { smscs: vec![network.smsc(SERVICE)], ..messaging::Wanted::default() },
        http,
        language: "en".to_owned(),
        tap: (!arguments.serve).then_some(trace_in),
    };
    let daemon = Daemon::start(core, plant, &clock).await?;
    network.bound().await?;
    let sound = if arguments.serve {
        let ready = ready(&daemon, &world, &network);
        serve::interrupted().await;
        ready.map(|()| true)
    } else {
        show(&daemon, &world, &network, (trace, begun), &arguments, &clock).await
    };
    daemon.stop().await;
    network.vanish().await;
    world.vanish().await;
    Ok(if sound? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// This machine's own phones, believed.
fn loopback() -> Trunk {
    let network = |address: IpAddr, prefix| Addresses { address, prefix };
    Trunk {
        name: "loopback".to_owned(),
        addresses: vec![
            network(Ipv4Addr::LOCALHOST.into(), 8),
            network(std::net::Ipv6Addr::LOCALHOST.into(), 128),
        ],
        trusted_number: true,
        calls_max: 2000,
    }
}

fn ready(daemon: &Daemon, world: &Surroundings, network: &Network) -> anyhow::Result<()> {
    let accounts: Vec<_> = world
        .customers
        .iter()
        .map(|c| {
            let balance = Money::new(c.balance_minor, currency());
            json!({
                "msisdn": c.msisdn, "pin": c.pin, "balance": balance.amount_text(), "currency": currency(),
            })
        })
        .collect();
    say_json(&json!({
        "ready": true, "sip": daemon.sip.to_string(), "http": format!("http://{}", daemon.http),
        "service_number": SERVICE, "carrier_log": format!("{}/log", world.carrier), "accounts": accounts,
        "smpp": network.smpp.to_string(), "smsc_control": network.control, "ussd_code": "*125#",
        "sms_number": SERVICE,
    }))
}

/// A recharge by a call, one by USSD and one by SMS, told as they go. True when all were delivered and the books are sound.
async fn show(
    daemon: &Daemon,
    world: &Surroundings,
    network: &Network,
    (mut trace, begun): (mpsc::Receiver<Trace>, Instant),
    arguments: &Arguments,
    clock: &Clock,
) -> anyhow::Result<bool> {
    let people = !arguments.json;
    let tell = |line: String| {
        if people {
            say(line);
        }
    };
    let [first, second, ..] = world.customers.as_slice() else { bail!("the demo has too few customers") };
    let before = daemon.core.store.totals().await?;
    tell(format!("A customer, {}, calls {SERVICE} at {}:\n", first.msisdn.as_str(), daemon.sip));
    call(daemon, first.msisdn.as_str(), first.pin, &tell).await?;
    let called = latest(daemon, &first.msisdn).await?;
    if people {
        let view = daemon.core.payments.payment(called.id).await?.context("the payment is gone")?;
        let begun_at = clock.now().0 - i64::try_from(clock.instant().duration_since(begun).as_micros())?;
        ladder(&mut trace, begun, &view.attempts, begun_at);
    }
    tell(format!("\nThe same customer by USSD, over SMPP on {}:\n", network.smpp));
    let dialled = texts::dialogue(daemon, network, first, &tell).await?;
    tell(format!(
        "\nAnother customer, {}, by text message; a PIN is never asked by one:\n",
        second.msisdn.as_str()
    ));
    let (texted, receipt) = texts::text(daemon, network, second, &tell).await?;

    let after = daemon.core.store.totals().await?;
    let report = audit::verify(&daemon.core.store).await?;
    let payments = [&called, &dialled, &texted];
    if people {
        say("\nWhat the carrier remembers:\n");
        for line in std::fs::read_to_string(&world.carrier_log)?.lines() {
            say(format!("  {line}"));
        }
        say("\nThe books, before and after:\n");
        books(&before, &after);
        let proof = if report.is_sound() { "proved from the rows" } else { "BROKEN" };
        let told = payments.map(|p| format!("{} {}", p.reference, super::payment::name(p.state)));
        say(format!("\nPayments {}; the books are {proof}.", told.join(", ")));
        say("Try your own SIP phone: keytone demo --serve");
    }
    let seconds = clock.instant().duration_since(begun).as_millis();
    let sound = payments.iter().all(|p| super::payment::name(p.state) == "delivered") && report.is_sound();
    if arguments.json {
        let ledger = Ledger { verified: report.is_sound() };
        let sms = Sms { paid: Paid::of(&texted), receipt: !receipt.is_empty() };
        let (voice, ussd) = (Paid::of(&called), Paid::of(&dialled));
        say_json(&Told { voice, ussd, sms, ledger, seconds: seconds_of(seconds) })?;
    } else {
        say(format!("{} s", seconds_of(seconds)));
    }
    Ok(sound)
}

/// The newest payment for a number.
async fn latest(daemon: &Daemon, target: &Msisdn) -> anyhow::Result<PaymentRow> {
    let filter = PaymentFilter { limit: 1, target: Some(target.clone().into()), ..PaymentFilter::default() };
    daemon.core.payments.payments(&filter).await?.into_iter().next().context("no payment was made")
}

/// What is shown of a PIN.
fn secret(pin: &str) -> String {
    "•".repeat(pin.len())
}

/// The last line of `demo --json`.
#[derive(serde::Serialize)]
struct Told<'a> {
    voice: Paid<'a>,
    ussd: Paid<'a>,
    sms: Sms<'a>,
    ledger: Ledger,
    seconds: serde_json::Value,
}

#[derive(serde::Serialize)]
struct Paid<'a> {
    outcome: &'a str,
    payment: Id,
    reference: &'a str,
}

impl<'a> Paid<'a> {
    fn of(payment: &'a PaymentRow) -> Self {
        Self {
            outcome: super::payment::name(payment.state),
            payment: payment.id,
            reference: &payment.reference,
        }
    }
}

#[derive(serde::Serialize)]
struct Sms<'a> {
    #[serde(flatten)]
    paid: Paid<'a>,
    /// Whether the handset has its receipt.
    receipt: bool,
}

#[derive(serde::Serialize)]
struct Ledger {
    verified: bool,
}

/// Milliseconds as seconds with one decimal.
fn seconds_of(milliseconds: u128) -> serde_json::Value {
    let tenths = u32::try_from(milliseconds / 100).unwrap_or(u32::MAX);
    json!(f64::from(tenths) / 10.0)
}

async fn call(daemon: &Daemon, from: &str, pin: &str, tell: &impl Fn(String)) -> anyhow::Result<()> {
    let words: HashMap<String, String> =
        daemon.dialplans.catalog().clips_needed("en").into_iter().map(|c| (c.id, c.text)).collect();
    let clips = daemon.dialplans.clips();
    let clips = clips.all().filter(|c| !c.name().starts_with("tone/")).cloned().collect();
    let mut phone = Phone::call(daemon.sip, SERVICE, from, clips).await?;
    let mut told = 0;
    for (message, keys, shown) in [
        ("main-services", "1".to_owned(), "1".to_owned()),
        ("confirm-number", "1".to_owned(), "1".to_owned()),
        ("enter-amount", "50#".to_owned(), "50#".to_owned()),
        ("enter-pin", format!("{pin}#"), format!("{}#", secret(pin))),
    ] {
        phone.wait_for(message, told).await?;
        told = spoken(&phone.heard(), told, &words, tell);
        tell(format!("  phone    presses {shown}"));
        phone.press(&keys)?;
    }
    phone.wait_end().await?;
    spoken(&phone.heard(), told, &words, tell);
    tell("  keytone  hangs up".to_owned());
    phone.down().await;
    Ok(())
}

/// Tells what was heard since the first `told` clips.
fn spoken(heard: &[Heard], told: usize, words: &HashMap<String, String>, tell: &impl Fn(String)) -> usize {
    let mut line = String::new();
    // A clip that the last key press cut off belongs to what was told before.
    for clip in heard.iter().skip(told).skip_while(|clip| !clip.whole) {
        let Some(text) = words.get(&clip.name) else { continue };
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(text);
    }
    if !line.is_empty() {
        tell(format!("  keytone  {line}"));
    }
    heard.len()
}

/// What passed between phone, daemon and carrier, in the order of time.
fn ladder(trace: &mut mpsc::Receiver<Trace>, begun: Instant, attempts: &[AttemptRow], begun_at: i64) {
    let mut rungs: Vec<(u128, String)> = Vec::new();
    while let Ok(message) = trace.try_recv() {
        let at = message.at.saturating_duration_since(begun).as_micros();
        let line = message.first_line();
        let line = line.strip_suffix(" SIP/2.0").unwrap_or(&line);
        let line = format!(" {} ", line.strip_prefix("SIP/2.0 ").unwrap_or(line));
        let rung = if message.inbound {
            format!("├{line:─^42}►│")
        } else {
            format!("│◄{line:─^42}┤")
        };
        rungs.push((at, rung));
    }
    for attempt in attempts {
        let after = |at: i64| u128::try_from(at - begun_at).unwrap_or(0);
        let blank = format!("│{:43}│", "");
        let asked =
            format!(" POST recharge, our reference {}… ", attempt.reference.get(..8).unwrap_or_default());
        rungs.push((after(attempt.created_at), format!("{blank}{asked:─^42}►│")));
        if let Some(at) = attempt.answered_at {
            let answer = format!(" {} ", attempt.outcome.as_deref().unwrap_or("unknown"));
            rungs.push((after(at), format!("{blank}◄{answer:─^42}┤")));
        }
    }
    rungs.sort_by_key(|(at, _)| *at);
    say("\nThe messages between them:\n");
    say(format!("          phone{:37}keytone{:36}carrier", "", ""));
    for (at, rung) in rungs {
        let at = Duration::from_micros(u64::try_from(at).unwrap_or(0)).as_secs_f64();
        say(format!("  {at:>6.3}  {rung}"));
    }
}

fn books(before: &[Total], after: &[Total]) {
    for total in after {
        let now = read(total);
        let was = before.iter().find(|b| b.kind == total.kind && b.currency == total.currency).map(read);
        let was = was.unwrap_or_else(|| Money::new(0, total.currency));
        let change = now.checked_sub(was).map_or_else(String::new, |c| match c.minor {
            0 => String::new(),
            1.. => format!("+{}", c.amount_text()),
            _ => c.amount_text(),
        });
        say(format!(
            "  {:<14} {:>14} {:>14} {:>10} {}",
            kind(total.kind),
            was.amount_text(),
            now.amount_text(),
            change,
            total.currency
        ));
    }
}
