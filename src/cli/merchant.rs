//! `keytone merchant` and `keytone order`: who sells, what was ordered, and disputes resolved by two persons.

use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;

use super::{Common, say, say_json};
use crate::app::Core;
use crate::money::Money;
use crate::msisdn::Msisdn;
use crate::payment::ask;
use crate::payment::order::{Input, State};
use crate::payment::row::Id;
use crate::payment::row::order::MerchantRow;
use crate::payment::run::{NewMerchant, OrderFilter, Payments};
use crate::payment::share::Fee;
use crate::payment::webhook;
use crate::secret::Secret;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Open a merchant with its account; prints its keys, once
    #[command(after_help = "\
Examples:
  keytone merchant add \"City Shop\" --rate 0.015 --fixed 0.10 --webhook https://shop.example/hook")]
    Add {
        #[command(flatten)]
        common: Common,
        /// Its name, as customers hear it
        name: String,
        /// The fee's part of the amount, 0 to 1
        #[arg(long, default_value = "0")]
        rate: String,
        /// The fee's fixed part for each sale, an amount
        #[arg(long, default_value = "0")]
        fixed: String,
        /// Where it is told of changes
        #[arg(long)]
        webhook: Option<String>,
    },
    /// List merchants with their balances
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Make a new API key, or with --webhook a new key for signatures; the old API key is void at once
    Key {
        #[command(flatten)]
        common: Common,
        /// The merchant's id
        merchant: String,
        /// The key of webhooks' signatures; the old one signs too for a day
        #[arg(long)]
        webhook: bool,
    },
    /// Suspend a merchant: it places no orders and none of its orders is paid
    Suspend {
        #[command(flatten)]
        common: Common,
        /// The merchant's id
        merchant: String,
        /// Let it go on
        #[arg(long)]
        lift: bool,
    },
    /// Let a merchant ask a customer again who had said that he does not want it, and has changed his mind
    #[command(after_help = "\
Examples:
  keytone merchant allow 0190f3a2-0000-7000-8000-000000000001 +8613800000001")]
    Allow {
        #[command(flatten)]
        common: Common,
        /// The merchant's id
        merchant: String,
        /// The customer's number
        number: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum OrderCommand {
    /// List orders, the newest first
    List {
        #[command(flatten)]
        common: Common,
        /// Only of this merchant, by its id
        #[arg(long)]
        merchant: Option<String>,
        /// Only in this state: created, paid, released, returned, partly_refunded, disputed, resolved, cancelled, expired
        #[arg(long)]
        state: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show an order, what its customer was asked, and what its merchant was told
    Show {
        #[command(flatten)]
        common: Common,
        /// Its id
        order: String,
    },
    /// Share the frozen money of a disputed order; two different persons must have decided
    Resolve {
        #[command(flatten)]
        common: Common,
        /// Its id
        order: String,
        /// What the customer gets back; the merchant gets the rest less its fee
        #[arg(long)]
        customer: String,
        /// Who decided
        #[arg(long)]
        by: String,
        /// Who agreed
        #[arg(long)]
        and: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Send a webhook again, and by its whole schedule
    Resend {
        #[command(flatten)]
        common: Common,
        /// The webhook's id, as `order show` tells it
        webhook: String,
    },
}

fn id(text: &str) -> anyhow::Result<Id> {
    Id::parse(text).with_context(|| format!("{text} is not an id"))
}

fn text(secret: &Secret) -> anyhow::Result<&str> {
    Ok(std::str::from_utf8(secret.expose())?)
}

/// A handle whose next act is logged.
fn act(core: &Core, what: &'static str, subject: Id) -> Payments {
    core.payments.acting(&super::who(), what, subject.text(), serde_json::json!({}))
}

async fn line(core: &Core, merchant: &MerchantRow, json: bool) -> anyhow::Result<()> {
    let minor = core.payments.merchant_balance(merchant.id).await?;
    let balance = Money::new(minor, merchant.currency).amount_text();
    if json {
        return say_json(&serde_json::json!({
            "id": merchant.id, "name": merchant.name, "currency": merchant.currency.code(), "balance": balance,
            "rate": merchant.fee_rate, "fixed": Money::new(merchant.fee_fixed_minor, merchant.currency).amount_text(),
            "webhook": merchant.webhook_url, "suspended": merchant.suspended,
        }));
    }
    let shut = if merchant.suspended { "  suspended" } else { "" };
    say(format!("{}  {balance:>12} {}  {}{shut}", merchant.id, merchant.currency, merchant.name));
    Ok(())
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Add { common, name, rate, fixed, webhook } => {
            let core = super::serve::core(&common.config).await?;
            let fixed = Money::parse(&fixed, core.payments.settings().currency)?;
            let new = NewMerchant { name, fee: Fee::new(&rate, fixed.minor)?, webhook_url: webhook };
            let (row, key, hook_key) = core
                .payments
                .acting(&super::who(), "merchant add", String::new(), serde_json::json!({ "name": new.name }))
                .add_merchant(new)
                .await?;
            if common.json {
                say_json(&serde_json::json!({
                    "id": row.id, "api_key": text(&key)?, "webhook_key": webhook::shown(&hook_key),
                }))?;
            } else {
                say(format!("merchant     {}", row.id));
                say(format!("API key      {}", text(&key)?));
                say(format!("webhook key  {}", webhook::shown(&hook_key)));
                say("The keys are not shown again.");
            }
            core.close().await;
        }
        Command::List { common } => {
            let core = super::serve::core(&common.config).await?;
            for merchant in core.payments.merchants().await? {
                line(&core, &merchant, common.json).await?;
            }
            core.close().await;
        }
        Command::Key { common, merchant, webhook } => {
            let core = super::serve::core(&common.config).await?;
            let merchant = id(&merchant)?;
            if webhook {
                let acting = act(&core, "webhook key", merchant);
                say(webhook::shown(&acting.new_webhook_key(merchant).await?));
            } else {
                let acting = act(&core, "merchant key", merchant);
                say(text(&acting.new_merchant_key(merchant).await?)?);
            }
            core.close().await;
        }
        Command::Suspend { common, merchant, lift } => {
            let core = super::serve::core(&common.config).await?;
            let merchant = id(&merchant)?;
            let what = if lift { "merchant resume" } else { "merchant suspend" };
            act(&core, what, merchant).suspend_merchant(merchant, !lift).await?;
            let row = core.payments.merchant(merchant).await?.context("no such merchant")?;
            line(&core, &row, common.json).await?;
            core.close().await;
        }
        Command::Allow { common, merchant, number } => {
            let core = super::serve::core(&common.config).await?;
            let merchant = id(&merchant)?;
            let number = Msisdn::parse(&number)?;
            let allowed = act(&core, "merchant allow", merchant).allow_asks(&number, merchant).await?;
            say(if allowed {
                "The merchant may ask the number again."
            } else {
                "The number had not said no."
            });
            core.close().await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn order(command: OrderCommand) -> anyhow::Result<ExitCode> {
    match command {
        OrderCommand::List { common, merchant, state, limit } => {
            let core = super::serve::core(&common.config).await?;
            let merchant = merchant.as_deref().map(id).transpose()?;
            let state = state
                .map(|name| State::named(&name).with_context(|| format!("no state {name}")))
                .transpose()?;
            let filter = OrderFilter { state, limit, ..OrderFilter::default() };
            for order in core.payments.orders(merchant, &filter).await? {
                if common.json {
                    say_json(&webhook::data(&order))?;
                } else {
                    let state = State::from_number(order.state).map_or("unknown", State::name);
                    let amount = Money::new(order.amount_minor, order.currency).amount_text();
                    let (number, name) = (&order.number, &order.merchant_name);
                    say(format!(
                        "{}  {number}  {state:<15} {amount:>12} {}  {name}",
                        order.id, order.currency
                    ));
                }
            }
            core.close().await;
        }
        OrderCommand::Show { common, order } => show(&common, &order).await?,
        OrderCommand::Resolve { common, order, customer, by, and, reason } => {
            let core = super::serve::core(&common.config).await?;
            let customer = Money::parse(&customer, core.payments.settings().currency)?;
            let details =
                serde_json::json!({ "customer_minor": customer.minor, "and": and, "reason": reason });
            let acting = core.payments.acting(&by, "order resolve", order.clone(), details);
            let input = Input::Resolve { customer_minor: customer.minor, staff: [by, and], reason };
            let order = acting.step_order(id(&order)?, &input).await??;
            say_json(&webhook::data(&order))?;
            core.close().await;
        }
        OrderCommand::Resend { common, webhook } => {
            let core = super::serve::core(&common.config).await?;
            anyhow::ensure!(
                act(&core, "webhook resend", id(&webhook)?).resend_webhook(id(&webhook)?).await?,
                "no such webhook"
            );
            say("It is sent again by the running daemon.");
            core.close().await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(common: &Common, order: &str) -> anyhow::Result<()> {
    let core = super::serve::core(&common.config).await?;
    let order = core.payments.any_order(id(order)?).await?.context("no such order")?;
    let mut told = Vec::new();
    for webhook in core.payments.webhooks_of(order.id).await? {
        let attempts = core.payments.webhook_attempts(webhook.id).await?;
        let attempts: Vec<_> = attempts
            .iter()
            .map(|a| serde_json::json!({ "number": a.number, "status": a.status, "outcome": a.outcome }))
            .collect();
        let state = webhook::State::name_of(webhook.state);
        told.push(serde_json::json!({
            "id": webhook.id, "kind": webhook.kind, "state": state, "attempts": attempts,
        }));
    }
    let asks: Vec<_> = core.payments.asks_of(order.id).await?.iter().map(ask::data).collect();
    let mut whole = webhook::data(&order);
    if let Some(map) = whole.as_object_mut() {
        map.insert("resolved_by".to_owned(), serde_json::json!(order.resolved_by));
        map.insert("webhooks".to_owned(), told.into());
        map.insert("asks".to_owned(), asks.into());
    }
    say_json(&whole)?;
    core.close().await;
    Ok(())
}
