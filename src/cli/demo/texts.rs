//! The demo's second half: a USSD dialogue with a wrong amount on the way, and a text message whose PIN is asked on the screen.

use anyhow::{Context, bail};

use super::network::{Handset, Network, Shown};
use super::{Customer, SERVICE, latest, secret};
use crate::app::Daemon;
use crate::payment::row::PaymentRow;

/// What the dialogue dials.
const CODE: &str = "*125#";
/// What the text says.
const COMMAND: &str = "RC 50";

/// A recharge with 100 by USSD; the first amount is none that is sold.
pub(super) async fn dialogue(
    daemon: &Daemon,
    network: &Network,
    customer: &Customer,
    tell: &impl Fn(String),
) -> anyhow::Result<PaymentRow> {
    let handset = network.handset(customer.msisdn.as_str())?;
    // The call's receipt is the first text that this handset has.
    receipt(&handset, 0, tell).await?;
    tell(format!("  handset  dials {CODE}"));
    let mut shown = handset.dial(CODE).await?;
    let pin = customer.pin;
    for (answer, told) in [("1", "1"), ("70", "70"), ("100", "100"), (pin, &*secret(pin))] {
        show(&shown, tell);
        if !shown.open {
            bail!("the dialogue ended early");
        }
        tell(format!("  handset  answers {told}"));
        shown = handset.reply(answer).await?;
    }
    show(&shown, tell);
    let payment = latest(daemon, &customer.msisdn).await?;
    receipt(&handset, 1, tell).await?;
    Ok(payment)
}

/// A recharge with 50 by a text; the PIN is asked by a dialogue that the daemon begins.
pub(super) async fn text(
    daemon: &Daemon,
    network: &Network,
    customer: &Customer,
    tell: &impl Fn(String),
) -> anyhow::Result<(PaymentRow, String)> {
    let handset = network.handset(customer.msisdn.as_str())?;
    tell(format!("  handset  texts \"{COMMAND}\" to {SERVICE}"));
    handset.text(SERVICE, COMMAND).await?;
    tell(format!("  keytone  texts \"{}\"", handset.message(0).await?));
    show(&handset.pushed().await?, tell);
    tell(format!("  handset  answers {}", secret(customer.pin)));
    show(&handset.reply(customer.pin).await?, tell);
    let receipt = receipt(&handset, 1, tell).await?;
    Ok((latest(daemon, &customer.msisdn).await?, receipt))
}

async fn receipt(handset: &Handset, seen: u64, tell: &impl Fn(String)) -> anyhow::Result<String> {
    let text = handset.message(seen).await.context("no receipt came")?;
    tell(format!("  keytone  texts \"{text}\""));
    Ok(text)
}

fn show(shown: &Shown, tell: &impl Fn(String)) {
    for (number, line) in shown.text.lines().enumerate() {
        let who = if number == 0 { "keytone " } else { "        " };
        tell(format!("  {who} │ {line}"));
    }
}
