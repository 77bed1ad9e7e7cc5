//! `keytone sandbox`: stand-ins for a carrier and for an SMSC, each in a process of its own, for trying and for tests.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;
use clap::Subcommand;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{say, say_json};
use crate::clock::Clock;
use crate::connector::sandbox;
use crate::smsc;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// A carrier that recharges numbers, with scripted faults and a durable log
    #[command(after_help = "\
The last digits of a number choose a fault; the table is printed by --faults.

Examples:
  keytone sandbox carrier --listen 127.0.0.1:9100 --log carrier.log
  keytone sandbox carrier --faults-per-mille 200 --seed 7 --callback http://127.0.0.1:8080/callback/sandbox
  curl http://127.0.0.1:9100/log")]
    Carrier(Carrier),
    /// A biller that answers for bills, signs its answers and books payments, with scripted faults and a durable log
    #[command(after_help = "\
The first four digits of a number are what the bill comes to, in minor units; the last three choose a fault (--faults).

Examples:
  keytone sandbox biller --listen 127.0.0.1:9101 --log biller.log
  keytone sandbox biller --callback http://127.0.0.1:8080/callback/sandbox-biller
  keytone sandbox biller --connector > biller.toml")]
    Biller(Biller),
    /// A wallet or bank that holds customers' accounts: reserves, captures, releases and refunds, with scripted faults
    #[command(after_help = "\
The last three digits of an account choose a fault (--faults). Every account has as much money as is asked for.

Examples:
  keytone sandbox provider --listen 127.0.0.1:9102 --log wallet.log
  keytone sandbox provider --listen 127.0.0.1:9102 --connector > wallet.toml
  keytone account open --msisdn +8613800000001 --provider sandbox-wallet --external-id w-1000001
  curl http://127.0.0.1:9102/log")]
    Provider(Provider),
    /// An SMSC with handsets that send texts, dial codes and answer screens, and with scripted faults
    #[command(after_help = "\
An ESME binds with system id keytone and password sandbox. Handsets are moved by HTTP, in JSON:
  POST /sms    {from, to, text}    a text of a handset; answered when the ESME has answered it
  POST /dial   {msisdn, code}      a USSD code; answered with the screen
  POST /reply  {msisdn, text}      an answer to the screen; answered with the next one
  POST /abort  {msisdn}            the subscriber hangs up
  GET  /handset/{msisdn}           its messages and its screen
  GET  /wait?msisdn=&for=message   the next message above after=; for=push, over, binds, quiet
  GET  /stats, /log                counts; every event as a line
  POST /faults, /settings          change them while it runs; GET shows them with their names
  POST /kill {seconds}, /unbind    cut all links; ask them to leave
  POST /raw {hex}                  bytes for every bound link
  POST /outbind {address}          connect to an ESME and ask it to bind
  POST /burst  {count, from, to, text, in_flight, rate, replies}
                                   many texts from many numbers; {n} in a text is its number
The last four digits of a number choose a fault; the table is printed by --faults.

Examples:
  keytone sandbox smsc --smpp 127.0.0.1:2775 --http 127.0.0.1:9200
  keytone sandbox smsc --set profile=umr --set ids=decimal --fault throttle_every=5
  keytone sandbox smsc --fault disconnect_per_million=20000 --fault seed=7 --json
  keytone sandbox smsc --discard               answers submits and only counts them
  curl -d '{\"msisdn\":\"+8613800000001\",\"code\":\"*125#\"}' http://127.0.0.1:9200/dial
  curl -d '{\"msisdn\":\"+8613800000001\",\"text\":\"50\"}' http://127.0.0.1:9200/reply
  curl -d '{\"clear\":true,\"drop_response_every\":3}' http://127.0.0.1:9200/faults")]
    Smsc(Smsc),
}

#[derive(Args, Debug)]
pub(super) struct Carrier {
    /// Address and port; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The file in which it remembers every request
    #[arg(long, default_value = "sandbox-carrier.log", value_name = "FILE")]
    log: PathBuf,
    /// Where its signed callbacks go; none are sent without it
    #[arg(long, value_name = "URL")]
    callback: Option<String>,
    /// Chance of a fault for numbers that choose none, of 1000
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=1000))]
    faults_per_mille: u64,
    /// What chance is made from
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print the table of faults by number and stop
    #[arg(long)]
    faults: bool,
    /// Print the connector file that talks to it, and stop
    #[arg(long)]
    connector: bool,
}

#[derive(Args, Debug)]
pub(super) struct Biller {
    /// Address and port; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The file in which it remembers every payment
    #[arg(long, default_value = "sandbox-biller.log", value_name = "FILE")]
    log: PathBuf,
    /// Where its signed callbacks go; none are sent without it
    #[arg(long, value_name = "URL")]
    callback: Option<String>,
    /// Print the table of faults by number and stop
    #[arg(long)]
    faults: bool,
    /// Print the connector file that talks to it, and stop
    #[arg(long)]
    connector: bool,
}

#[derive(Args, Debug)]
pub(super) struct Provider {
    /// Address and port; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The file in which it remembers every reservation
    #[arg(long, default_value = "sandbox-provider.log", value_name = "FILE")]
    log: PathBuf,
    /// Where its signed messages about reservations go, such as http://127.0.0.1:8080/callback/sandbox-wallet; none are sent without
    /// it
    #[arg(long, value_name = "URL")]
    callback: Option<String>,
    /// Print the table of faults by account and stop
    #[arg(long)]
    faults: bool,
    /// Print the connector file that talks to it, and stop
    #[arg(long)]
    connector: bool,
}

#[derive(Args, Debug)]
pub(super) struct Smsc {
    /// Address and port for ESMEs; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    smpp: SocketAddr,
    /// Address and port of the control; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    http: SocketAddr,
    /// The file in which it remembers every event
    #[arg(long, default_value = "sandbox-smsc.log", value_name = "FILE")]
    log: PathBuf,
    /// Also log what handsets send and answer, which may be a PIN
    #[arg(long)]
    log_text: bool,
    /// A setting, as POST /settings takes it; --settings prints them
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// A fault, as POST /faults takes it; --faults prints them
    #[arg(long, value_name = "NAME=VALUE")]
    fault: Vec<String>,
    /// Count submits and answer them without looking at them: a peer for measuring
    #[arg(long)]
    discard: bool,
    /// Print the faults with their values, the table of faults by number, and stop
    #[arg(long)]
    faults: bool,
    /// Print the settings with their values and stop
    #[arg(long)]
    settings: bool,
    /// Print the ready line as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Carrier(arguments) => carrier(arguments).await,
        Command::Biller(arguments) => biller(arguments).await,
        Command::Provider(arguments) => provider(arguments).await,
        Command::Smsc(arguments) => smsc(arguments).await,
    }
}

/// Cancelled when the process is asked to stop.
fn until_interrupted() -> CancellationToken {
    let stop = CancellationToken::new();
    tokio::spawn({
        let stop = stop.clone();
        async move {
            super::serve::interrupted().await;
            stop.cancel();
        }
    });
    stop
}

async fn carrier(carrier: Carrier) -> anyhow::Result<ExitCode> {
    if carrier.faults {
        for (suffix, what) in sandbox::FAULTS {
            say(format!("  …{suffix}  {what}"));
        }
        return Ok(ExitCode::SUCCESS);
    }
    if carrier.connector {
        say(sandbox::definition_toml(&format!("http://{}", carrier.listen)));
        return Ok(ExitCode::SUCCESS);
    }
    let listener = tokio::net::TcpListener::bind(carrier.listen).await?;
    let url = format!("http://{}", listener.local_addr()?);
    say_json(&json!({ "ready": true, "url": url, "log": format!("{url}/log") }))?;
    let mut config = sandbox::Config::new(carrier.log, Clock::machine());
    config.callback_url = carrier.callback;
    config.faults_per_mille = carrier.faults_per_mille;
    config.seed = carrier.seed;
    sandbox::serve(config, listener, until_interrupted()).await?;
    Ok(ExitCode::SUCCESS)
}

async fn biller(biller: Biller) -> anyhow::Result<ExitCode> {
    if biller.faults {
        for (suffix, what) in sandbox::biller::FAULTS {
            say(format!("  …{suffix}  {what}"));
        }
        return Ok(ExitCode::SUCCESS);
    }
    if biller.connector {
        say(sandbox::biller::definition_toml(&format!("http://{}", biller.listen)));
        return Ok(ExitCode::SUCCESS);
    }
    let listener = tokio::net::TcpListener::bind(biller.listen).await?;
    let url = format!("http://{}", listener.local_addr()?);
    say_json(&json!({ "ready": true, "url": url, "log": format!("{url}/log") }))?;
    let mut config = sandbox::biller::Config::new(biller.log, Clock::machine());
    config.callback_url = biller.callback;
    sandbox::biller::serve(config, listener, until_interrupted()).await?;
    Ok(ExitCode::SUCCESS)
}

async fn provider(provider: Provider) -> anyhow::Result<ExitCode> {
    if provider.faults {
        let of_payments = sandbox::provider::FAULTS.iter().map(|(suffix, _, what)| (suffix, what));
        let of_balances = sandbox::provider::BALANCE_FAULTS.iter().map(|(suffix, _, what)| (suffix, what));
        let of_news = sandbox::provider::NEWS_FAULTS.iter().map(|(suffix, _, what)| (suffix, what));
        for (suffix, what) in of_payments.chain(of_balances).chain(of_news) {
            say(format!("  …{suffix}  {what}"));
        }
        return Ok(ExitCode::SUCCESS);
    }
    if provider.connector {
        say(sandbox::provider::definition_toml(&format!("http://{}", provider.listen)));
        return Ok(ExitCode::SUCCESS);
    }
    let listener = tokio::net::TcpListener::bind(provider.listen).await?;
    let url = format!("http://{}", listener.local_addr()?);
    say_json(&json!({ "ready": true, "url": url, "log": format!("{url}/log") }))?;
    let mut config = sandbox::provider::Config::new(provider.log, Clock::machine());
    config.callback_url = provider.callback;
    sandbox::provider::serve(config, listener, until_interrupted()).await?;
    Ok(ExitCode::SUCCESS)
}

/// Lays assignments of the command line over what stands.
fn assigned<T>(mut current: T, assignments: &[String]) -> anyhow::Result<T>
where
    T: serde::Serialize + for<'de> serde::Deserialize<'de>,
{
    for text in assignments {
        let change = smsc::assignment(text).map_err(|why| anyhow!(why))?;
        current = smsc::merge(&current, &change).map_err(|why| anyhow!("{text}: {why}"))?;
    }
    Ok(current)
}

async fn smsc(arguments: Smsc) -> anyhow::Result<ExitCode> {
    let mut config = smsc::Config::new(arguments.log, Clock::machine());
    config.settings = assigned(config.settings, &arguments.set)?;
    config.faults = assigned(config.faults, &arguments.fault)?;
    config.discard = arguments.discard;
    config.log_text = arguments.log_text;
    if arguments.settings {
        say(serde_json::to_string_pretty(&config.settings)?);
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.faults {
        let Value::Object(faults) = serde_json::to_value(&config.faults)? else {
            return Ok(ExitCode::FAILURE);
        };
        for (name, value) in faults {
            say(format!("  {name} = {value}"));
        }
        for (suffix, what) in smsc::FAULTS {
            say(format!("  …{suffix}  {what}"));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let smpp = tokio::net::TcpListener::bind(arguments.smpp).await?;
    let http = tokio::net::TcpListener::bind(arguments.http).await?;
    let (port, url) = (smpp.local_addr()?, format!("http://{}", http.local_addr()?));
    if arguments.json {
        let account = config.settings.accounts.first();
        say_json(&json!({
            "ready": true,
            "smpp": port.to_string(),
            "http": url,
            "system_id": account.map(|a| &a.system_id),
            "password": account.map(|a| &a.password),
        }))?;
    } else {
        say(format!("ready: SMPP on {port}, control on {url}"));
    }
    smsc::serve(config, smpp, http, until_interrupted()).await?;
    Ok(ExitCode::SUCCESS)
}
