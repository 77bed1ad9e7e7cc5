//! `keytone account`: customers' accounts, their numbers, money, limits and PINs.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use super::staff::Person;
use super::{Common, say, say_json};
use crate::app::Core;
use crate::money::Money;
use crate::msisdn::Msisdn;
use crate::payment::import;
use crate::payment::row::Id;
use crate::payment::run::OpenAccount;
use crate::secret::Secret;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Open an account, with a number and a PIN if they are given
    #[command(after_help = "Example:\n  keytone account open --msisdn +8613800000001 --pin-file pin.txt")]
    Open {
        #[command(flatten)]
        common: Common,
        /// The first number that pays from it
        #[arg(long, value_name = "+NUMBER")]
        msisdn: Option<String>,
        #[command(flatten)]
        pin: Pin,
        /// Of the test book: its money is none, and it pays by the connector of [test] alone
        #[arg(long)]
        test: bool,
    },
    /// Show an account: balance, holds, limits, numbers
    Show {
        #[command(flatten)]
        common: Common,
        /// The account, by its id or a number that is bound to it
        account: String,
    },
    /// Bind a number to an account
    Bind {
        #[command(flatten)]
        common: Common,
        /// The account, by its id or a number
        account: String,
        /// The number
        msisdn: String,
    },
    /// Unbind a number
    Unbind {
        #[command(flatten)]
        common: Common,
        /// The account, by its id or a number
        account: String,
        /// The number
        msisdn: String,
    },
    /// Book a deposit
    #[command(after_help = "\
Give --id when a script calls this: the same id again books nothing and answers as the first time.

Example:
  keytone account credit +8613800000001 500.00 --id 0190f3a2-0000-7000-8000-000000000001")]
    Credit {
        #[command(flatten)]
        common: Common,
        /// The account, by its id or a number
        account: String,
        /// How much, in the market's currency
        amount: String,
        /// The deposit's id, for repeating the command safely
        #[arg(long)]
        id: Option<String>,
    },
    /// Set or remove the customer's own limits
    Limit {
        #[command(flatten)]
        common: Common,
        /// The account, by its id or a number
        account: String,
        /// Most in a day; "none" removes it
        #[arg(long, value_name = "AMOUNT")]
        day: Option<String>,
        /// Most in one payment; "none" removes it
        #[arg(long, value_name = "AMOUNT")]
        payment: Option<String>,
    },
    /// Put an account into a tier of the configuration
    #[command(after_help = "\
Example:
  keytone account tier +8613800000001 known --reason \"identity card seen\" --staff ana")]
    Tier {
        #[command(flatten)]
        common: Common,
        /// The account, by its id or a number
        account: String,
        /// The tier's name
        tier: String,
        /// Why
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        person: Person,
    },
    /// Take a customer's numbers out of the books: pseudonyms stand for them, sums and proofs stay
    #[command(after_help = "\
The account has to be empty. Its numbers are unbound, its PIN and conversations forgotten, its texts deleted. What names the
number in the audit log or in a list of blocked numbers stays. The same command again goes on with what was cut off.

Example:
  keytone account erase +8613800000001 --reason \"letter of 3 May\" --staff ana")]
    Erase {
        #[command(flatten)]
        common: Common,
        /// The account, by its id or a number
        account: String,
        /// Why
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        person: Person,
    },
    /// Set a new PIN, or unlock
    #[command(after_help = "\
The PIN is read from a file, or from the terminal without showing it; never from the command line, where other users of
the machine could see it.

Example:
  keytone account pin +8613800000001 --pin-file pin.txt")]
    Pin {
        #[command(flatten)]
        common: Common,
        /// The account, by its id or a number
        account: String,
        #[command(flatten)]
        pin: Pin,
        /// Only take the lock off; the PIN stays
        #[arg(long)]
        unlock: bool,
    },
}

#[derive(Args, Debug)]
pub(super) struct Pin {
    /// A file whose first line is the PIN; "-" reads standard input
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
}

impl Pin {
    fn read(&self) -> anyhow::Result<Option<Secret>> {
        let Some(path) = &self.pin_file else { return Ok(None) };
        let mut bytes = Vec::new();
        if path == Path::new("-") {
            if std::io::stdin().is_terminal() {
                bail!("type the PIN into a file, or pipe it in; a terminal would show it");
            }
            std::io::stdin().take(64).read_to_end(&mut bytes).context("cannot read the PIN")?;
        } else {
            let file =
                std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
            file.take(64).read_to_end(&mut bytes)?;
        }
        let end = bytes.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(bytes.len());
        bytes.truncate(end);
        Ok(Some(Secret::new(bytes)))
    }
}

/// Finds an account by id, by the key of the system that it was taken over from, or by a bound number.
pub(super) async fn find(core: &Core, text: &str) -> anyhow::Result<Id> {
    if let Some(id) = Id::parse(text) {
        return Ok(id);
    }
    let taken_over = import::account_of(text);
    if core.store.payer(taken_over).await?.is_some() {
        return Ok(taken_over);
    }
    let number = number(core, text)?;
    let found = core.payments.account_of(&number).await?;
    found.with_context(|| format!("no account is bound to {text}; `keytone account open` makes one"))
}

/// Reads a number as people write it.
pub(super) fn number(core: &Core, text: &str) -> anyhow::Result<Msisdn> {
    Msisdn::dialled(text, &core.plan.country, core.plan.national_max())
        .with_context(|| format!("{text} is neither an account's id nor a number such as +8613800000001"))
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Open { common, msisdn, pin, test } => open(&common, msisdn.as_deref(), &pin, test).await?,
        Command::Show { common, account } => {
            let core = super::serve::core(&common.config).await?;
            let account = find(&core, &account).await?;
            show(&core, &common, account).await?;
            core.close().await;
        }
        Command::Bind { common, account, msisdn } => {
            let core = super::serve::core(&common.config).await?;
            let account = find(&core, &account).await?;
            core.payments.bind(account, &number(&core, &msisdn)?).await?;
            show(&core, &common, account).await?;
            core.close().await;
        }
        Command::Unbind { common, account, msisdn } => {
            let core = super::serve::core(&common.config).await?;
            let account = find(&core, &account).await?;
            core.payments.unbind(account, &number(&core, &msisdn)?).await?;
            show(&core, &common, account).await?;
            core.close().await;
        }
        Command::Credit { common, account, amount, id } => {
            let core = super::serve::core(&common.config).await?;
            let account = find(&core, &account).await?;
            let amount = Money::parse(&amount, core.payments.settings().currency)?;
            let id = match id {
                Some(text) => Id::parse(&text).context("the id is not a UUID")?,
                None => Id::new(crate::clock::Clock::machine().now().0),
            };
            core.payments.credit(id, account, amount.minor).await?;
            show(&core, &common, account).await?;
            core.close().await;
        }
        Command::Limit { common, account, day, payment } => {
            let core = super::serve::core(&common.config).await?;
            let account = find(&core, &account).await?;
            limit(&core, account, day, payment).await?;
            show(&core, &common, account).await?;
            core.close().await;
        }
        Command::Tier { common, account, tier, reason, person } => {
            let core = super::serve::core(&common.config).await?;
            let account = find(&core, &account).await?;
            core.payments.set_tier(account, &tier, &person.staff, &reason).await??;
            show(&core, &common, account).await?;
            core.close().await;
        }
        Command::Erase { common, account, reason, person } => {
            erase(&common, &account, &reason, &person).await?
        }
        Command::Pin { common, account, pin, unlock } => {
            let core = super::serve::core(&common.config).await?;
            let account = find(&core, &account).await?;
            match (pin.read()?, unlock) {
                (Some(pin), _) => core.payments.set_pin(account, pin).await?,
                (None, true) => core.payments.unlock(account).await?,
                (None, false) => bail!("give the new PIN by --pin-file, or --unlock"),
            }
            show(&core, &common, account).await?;
            core.close().await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn open(common: &Common, msisdn: Option<&str>, pin: &Pin, test: bool) -> anyhow::Result<()> {
    let core = super::serve::core(&common.config).await?;
    let msisdn = msisdn.map(|m| number(&core, m)).transpose()?;
    let open = OpenAccount { msisdn, pin: pin.read()? };
    let account = if test {
        core.payments.open_test_account(open).await?
    } else {
        core.payments.open_account(open).await?
    };
    show(&core, common, account).await?;
    core.close().await;
    Ok(())
}

async fn erase(common: &Common, account: &str, reason: &str, person: &Person) -> anyhow::Result<()> {
    let core = super::serve::core(&common.config).await?;
    let account = find(&core, account).await?;
    let rows = core.payments.erase(account, &person.staff, reason).await??;
    if common.json {
        say_json(&serde_json::json!({ "account": account, "erased": true, "rows": rows }))?;
    } else {
        say(format!("{account}: its numbers are taken out of {rows} rows"));
    }
    core.close().await;
    Ok(())
}

/// Sets the limits that were named; the others stay.
async fn limit(core: &Core, account: Id, day: Option<String>, payment: Option<String>) -> anyhow::Result<()> {
    let view = core.payments.account(account).await?.context("no such account")?;
    let currency = core.payments.settings().currency;
    let read = |text: Option<String>, old: Option<i64>| match text.as_deref() {
        None => Ok(old),
        Some("none") => Ok(None),
        Some(amount) => Money::parse(amount, currency).map(|m| Some(m.minor)),
    };
    let day = read(day, view.payer.user_day_limit_minor)?;
    let payment = read(payment, view.payer.user_payment_limit_minor)?;
    core.payments.set_limits(account, day, payment).await?;
    Ok(())
}

async fn show(core: &Core, common: &Common, account: Id) -> anyhow::Result<()> {
    let view = core.payments.account(account).await?.context("no such account")?;
    let currency = core.payments.settings().currency;
    let text = |minor: i64| Money::new(minor, currency).amount_text();
    let tier = core.payments.tier_of(account).await?;
    if common.json {
        return say_json(&serde_json::json!({
            "account": account,
            "currency": currency,
            "balance": text(view.account.balance_minor),
            "held": text(view.account.held_minor),
            "available": text(view.available_minor),
            "used_today": text(view.used_today_minor),
            "day_limit": view.payer.user_day_limit_minor.map(text),
            "payment_limit": view.payer.user_payment_limit_minor.map(text),
            "numbers": view.numbers,
            "pin": view.payer.pin_hash.is_some(),
            "locked": view.payer.pin_locked,
            "suspended": view.payer.suspended,
            "test": view.account.kind.is_test(),
            "tier": tier.map(|tier| &tier.name),
            "balance_max": tier.and_then(|tier| tier.balance_max_minor).map(text),
        }));
    }
    let none = || "none".to_owned();
    say(format!("account     {account}"));
    for number in &view.numbers {
        say(format!("number      {}", number.as_str()));
    }
    say(format!("balance     {} {currency}", text(view.account.balance_minor)));
    say(format!("held        {}", text(view.account.held_minor)));
    say(format!("available   {}", text(view.available_minor)));
    say(format!("used today  {}", text(view.used_today_minor)));
    say(format!("own limit   {} a day", view.payer.user_day_limit_minor.map_or_else(none, text)));
    say(format!("            {} a payment", view.payer.user_payment_limit_minor.map_or_else(none, text)));
    if view.account.kind.is_test() {
        say("book        test: this money is none");
    }
    if let Some(tier) = tier {
        let most = tier.balance_max_minor.map_or_else(none, text);
        say(format!("tier        {}, holds at most {most}", tier.name));
    }
    let pin = match (view.payer.pin_hash.is_some(), view.payer.pin_locked) {
        (_, true) => "locked (keytone account pin --unlock)",
        (true, false) => "set",
        (false, false) => "not set (keytone account pin --pin-file FILE)",
    };
    say(format!("PIN         {pin}"));
    Ok(())
}
