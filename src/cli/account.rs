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
use crate::payment::run::{OpenAccount, Payments};
use crate::secret::Secret;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Open an account, with a number and a PIN if they are given
    #[command(after_help = "\
Examples:
  keytone account open --msisdn +8613800000001 --pin-file pin.txt
  keytone account open --msisdn +8613800000001 --pin-file pin.txt --provider sandbox-wallet --external-id w-1000001")]
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
        /// Who holds its money: the connector of a `[[provider]]`; this system itself without it
        #[arg(long, value_name = "CONNECTOR", requires = "external_id", conflicts_with = "test")]
        provider: Option<String>,
        /// What the provider calls the customer's account
        #[arg(long, value_name = "ID", requires = "provider")]
        external_id: Option<String>,
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
    /// An account's statement: opening balance, every entry, closing balance
    #[command(after_help = "\
Examples:
  keytone account statement +8613800000001
  keytone account statement +8613800000001 --from 2026-05-01 --until 2026-05-31 --format csv > may.csv")]
    Statement {
        #[command(flatten)]
        common: Common,
        /// The account, by its id or a number
        account: String,
        /// The first day, in the market's zone; from the beginning without it
        #[arg(long, value_name = "DAY")]
        from: Option<String>,
        /// The last day; up to now without it
        #[arg(long, value_name = "DAY")]
        until: Option<String>,
        /// How it is written
        #[arg(long, value_enum, default_value_t)]
        format: super::statement::Form,
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
    /// Show how many PINs are on each pepper, or add a new one
    #[command(after_help = "\
New PINs use the newest pepper of the file; an older PIN moves to it when it is next given right. Take an old line out of
the file only when no PIN is on it any more: without its pepper a PIN is lost. Back the file up apart from the database.

Examples:
  keytone account pepper
  keytone account pepper --add     (then start the daemon again)")]
    Pepper {
        #[command(flatten)]
        common: Common,
        /// Add a new pepper to the file
        #[arg(long)]
        add: bool,
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

/// A number as the audit log has it.
fn masked(number: &Msisdn) -> String {
    number.masked()
}

/// A handle whose next act is logged.
fn act(core: &Core, what: &'static str, account: Id, details: serde_json::Value) -> Payments {
    core.payments.acting(&super::who(), what, account.text(), details)
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
        Command::Open { common, msisdn, pin, test, provider, external_id } => {
            let outside = provider.zip(external_id);
            open(&common, msisdn.as_deref(), &pin, test, outside).await?;
        }
        Command::Show { common, account } => changed(&common, &account, async |_, _| Ok(())).await?,
        Command::Bind { common, account, msisdn } => {
            changed(&common, &account, async |core, account| {
                let number = number(core, &msisdn)?;
                let details = serde_json::json!({ "number": masked(&number) });
                Ok(act(core, "bind", account, details).bind(account, &number).await?)
            })
            .await?;
        }
        Command::Unbind { common, account, msisdn } => {
            changed(&common, &account, async |core, account| {
                let number = number(core, &msisdn)?;
                let details = serde_json::json!({ "number": masked(&number) });
                Ok(act(core, "unbind", account, details).unbind(account, &number).await?)
            })
            .await?;
        }
        Command::Credit { common, account, amount, id } => {
            changed(&common, &account, async |core, account| credit(core, account, &amount, id).await)
                .await?;
        }
        Command::Statement { common, account, from, until, format } => {
            return super::statement::run(&common, &account, from.as_deref(), until.as_deref(), format).await;
        }
        Command::Limit { common, account, day, payment } => {
            changed(&common, &account, async |core, account| limit(core, account, day, payment).await)
                .await?;
        }
        Command::Pepper { common, add } => pepper(&common, add).await?,
        Command::Tier { common, account, tier, reason, person } => {
            changed(&common, &account, async |core, account| {
                core.payments.set_tier(account, &tier, &person.staff, &reason).await??;
                Ok(())
            })
            .await?;
        }
        Command::Erase { common, account, reason, person } => {
            erase(&common, &account, &person.staff, &reason).await?;
        }
        Command::Pin { common, account, pin, unlock } => {
            changed(&common, &account, async |core, account| match (pin.read()?, unlock) {
                (Some(pin), _) => {
                    Ok(act(core, "pin", account, serde_json::json!({})).set_pin(account, pin).await?)
                }
                (None, true) => {
                    Ok(act(core, "unlock", account, serde_json::json!({})).unlock(account).await?)
                }
                (None, false) => bail!("give the new PIN by --pin-file, or --unlock"),
            })
            .await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Changes an account, and shows it as it is then.
async fn changed(
    common: &Common,
    account: &str,
    change: impl AsyncFnOnce(&Core, Id) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let core = super::serve::core(&common.config).await?;
    let account = find(&core, account).await?;
    change(&core, account).await?;
    show(&core, common, account).await?;
    core.close().await;
    Ok(())
}

async fn open(
    common: &Common,
    msisdn: Option<&str>,
    pin: &Pin,
    test: bool,
    outside: Option<(String, String)>,
) -> anyhow::Result<()> {
    let core = super::serve::core(&common.config).await?;
    let msisdn = msisdn.map(|m| number(&core, m)).transpose()?;
    let details = serde_json::json!({ "number": msisdn.as_ref().map(masked) });
    let acting = core.payments.acting(&super::who(), "open", String::new(), details);
    let open = OpenAccount { msisdn, pin: pin.read()? };
    let account = match outside {
        Some((provider, id)) => acting.open_outside_account(open, &provider, &id).await?,
        None if test => acting.open_test_account(open).await?,
        None => acting.open_account(open).await?,
    };
    show(&core, common, account).await?;
    core.close().await;
    Ok(())
}

async fn erase(common: &Common, account: &str, who: &str, reason: &str) -> anyhow::Result<()> {
    let core = super::serve::core(&common.config).await?;
    let account = find(&core, account).await?;
    let rows = core.payments.erase(account, who, reason).await??;
    core.close().await;
    if common.json {
        return say_json(&serde_json::json!({ "account": account, "erased": true, "rows": rows }));
    }
    say(format!("{account}: its numbers are taken out of {rows} rows"));
    Ok(())
}

/// Books a deposit.
async fn credit(core: &Core, account: Id, amount: &str, id: Option<String>) -> anyhow::Result<()> {
    let amount = Money::parse(amount, core.payments.settings().currency)?;
    let id = match id {
        Some(text) => Id::parse(&text).context("the id is not a UUID")?,
        None => Id::new(crate::clock::Clock::machine().now().0),
    };
    let details = serde_json::json!({ "amount_minor": amount.minor, "request": id });
    act(core, "credit", account, details).credit(id, account, amount.minor).await?;
    Ok(())
}

/// Tells how many PINs are on each pepper, perhaps after a new one was added.
async fn pepper(common: &Common, add: bool) -> anyhow::Result<()> {
    if add {
        let config = crate::config::Config::load(&common.config)?;
        let version = crate::app::peppers::add(&config.pepper_file)?;
        if !common.json {
            say(format!(
                "pepper {version} added to {}; start the daemon again",
                config.pepper_file.display()
            ));
        }
    }
    let core = super::serve::core(&common.config).await?;
    let (current, counts) = core.payments.pins_by_pepper().await?;
    core.close().await;
    if common.json {
        let pins: Vec<_> = counts
            .iter()
            .map(|(pepper, pins)| serde_json::json!({ "pepper": pepper, "pins": pins }))
            .collect();
        return say_json(&serde_json::json!({ "newest": current, "peppers": pins }));
    }
    let mut counts = counts;
    if counts.iter().all(|(pepper, _)| *pepper != current) {
        counts.push((current, 0));
    }
    for (pepper, pins) in counts {
        say(format!("pepper {pepper:<4} {pins} PINs{}", if pepper == current { ", the newest" } else { "" }));
    }
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
    let details = serde_json::json!({ "day_minor": day, "payment_minor": payment });
    act(core, "limit", account, details).set_limits(account, day, payment).await?;
    Ok(())
}

async fn show(core: &Core, common: &Common, account: Id) -> anyhow::Result<()> {
    let view = core.payments.account(account).await?.context("no such account")?;
    let outside = core.payments.held_outside(account).await?;
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
            "provider": outside.as_ref().map(|o| &o.provider),
            "external_id": outside.as_ref().map(|o| &o.external_id),
        }));
    }
    let none = || "none".to_owned();
    say(format!("account     {account}"));
    for number in &view.numbers {
        say(format!("number      {}", number.as_str()));
    }
    if let Some(outside) = &outside {
        say(format!("held by     {}, as {}", outside.provider, outside.external_id));
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
