//! `keytone talk`: a conversation with a flow in the terminal, as a caller on voice, USSD or SMS would have it.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use super::world::World;
use super::{colours, say, serve};
use crate::app;
use crate::app::dialplans::Places;
use crate::clock::Clock;
use crate::dialplan::catalog::{Catalog, compile};
use crate::dialplan::event::{Answer, Channel};
use crate::msisdn::Msisdn;
use crate::session::question::Question;
use crate::session::transcript::HIDDEN;
use crate::session::{Opening, Session, Then, Turn};

#[derive(Args, Debug)]
#[command(after_help = "\
You are the first customer of the demo (PIN 284913) unless --caller says otherwise; money and carrier are the demo's, on
this machine only. On voice, type the keys of an answer (50#), or an empty line for silence.

Examples:
  keytone talk recharge
  keytone talk recharge --as ussd --dial '*125*50#'
  keytone talk recharge --as sms --dial 'RC 50'
  keytone talk recharge --no-number
  printf '1\\n50#\\n284913#\\n' | keytone talk recharge")]
pub(super) struct Arguments {
    /// The flow's name
    flow: String,
    /// The channel
    #[arg(long = "as", value_enum, default_value_t = As::Voice, value_name = "CHANNEL")]
    channel: As,
    /// Your number
    #[arg(long, default_value = "+8613800000001", value_name = "+NUMBER")]
    caller: String,
    /// Call without a number
    #[arg(long)]
    no_number: bool,
    /// What is dialled or sent: a USSD code or an SMS, which may answer questions in advance
    #[arg(long, value_name = "TEXT")]
    dial: Option<String>,
    /// Folder of *.flow and messages/*.msg; the shipped ones without it
    #[arg(long, value_name = "DIR")]
    dialplans: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum As {
    Voice,
    Ussd,
    Sms,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    serve::log(false, "warn");
    let clock = Clock::machine();
    let (core, world) = World::open(&clock, None).await?.split();
    core.payments.recover().await?;
    let places = Places { dialplans: arguments.dialplans.clone(), prompts: None };
    let mut sources = places.sources()?;
    if arguments.dialplans.is_some() {
        sources.clips = None;
    }
    let grammar = app::grammar(&core.plan, core.payments.settings(), "en");
    let catalog = match compile(&sources, &grammar) {
        Ok(catalog) => catalog,
        Err(faults) => {
            for fault in faults {
                say(fault.render(|file| sources.text(file), colours()));
            }
            return Ok(ExitCode::FAILURE);
        }
    };
    let talked = talk(&arguments, &catalog, &core, &clock).await;
    core.close().await;
    world.vanish().await;
    talked.map(|()| ExitCode::SUCCESS)
}

async fn talk(
    arguments: &Arguments,
    catalog: &Catalog,
    core: &app::Core,
    clock: &Clock,
) -> anyhow::Result<()> {
    let names = || catalog.programs().map(|p| p.name().to_owned()).collect::<Vec<_>>().join(", ");
    let mut program = catalog
        .program(&arguments.flow)
        .with_context(|| format!("no flow is called {}; there are: {}", arguments.flow, names()))?;
    let mut prefilled = std::collections::BTreeMap::new();
    if let Some(dialled) = &arguments.dial {
        let found = match arguments.channel {
            As::Voice => bail!("--dial is for ussd and sms"),
            As::Ussd => catalog.find_ussd(dialled),
            As::Sms => catalog.find_sms(dialled),
        };
        let found = found.with_context(|| format!("no flow serves {dialled}"))?;
        (program, prefilled) = (found.program, found.prefilled);
    }
    let channel = match arguments.channel {
        As::Voice => Channel::Voice,
        As::Ussd => Channel::Ussd,
        As::Sms => Channel::Sms,
    };
    let caller = if arguments.no_number {
        None
    } else {
        Some(Msisdn::dialled(&arguments.caller, &core.plan.country, core.plan.national_max())?)
    };
    let opening = Opening { channel, caller, language: "en".to_owned(), prefilled };
    let mut session = Session::new(Arc::clone(&program), opening, core.payments.clone(), clock.clone());
    let mut turn = session.start().await?;
    let mut lines = std::io::stdin().lock().lines();
    loop {
        show(&session, &turn);
        turn = match turn.then {
            Then::End => break,
            Then::Hold => {
                say("  (the line stays open until the caller hangs up)");
                break;
            }
            Then::Perform(task) => {
                let performed = session.perform(task).await;
                session.resume(performed).await?
            }
            Then::Collect(question) => match read(&mut lines, &question, channel)? {
                Some(answer) => session.answer(answer).await?,
                None => {
                    session.hang_up();
                    say("  (hung up)");
                    break;
                }
            },
        };
    }
    Ok(())
}

fn show(session: &Session, turn: &Turn) {
    if !turn.say.is_empty() {
        for line in session.text(&turn.say).lines() {
            say(format!("< {line}"));
        }
    }
}

/// The next answer; `None` when the caller hangs up (end of input).
fn read(
    lines: &mut impl Iterator<Item = std::io::Result<String>>,
    question: &Question,
    channel: Channel,
) -> anyhow::Result<Option<Answer>> {
    let Some(line) = lines.next() else { return Ok(None) };
    let line = line?;
    if !std::io::stdin().is_terminal() {
        let shown = if question.is_secret() { HIDDEN } else { line.as_str() };
        say(format!("> {shown}"));
    }
    Ok(Some(match channel {
        Channel::Voice => question.typed(Clock::machine().instant(), line.trim()),
        Channel::Ussd | Channel::Sms => question.replied(&line),
    }))
}
