//! What is shut: windows of maintenance beside suspensions, and what a caller is told of either.

use crate::clock::Timestamp;
use crate::connector::numbering::Found;
use crate::ledger::row::Id;
use crate::msisdn::Msisdn;
use crate::payment::answer::Channel;
use crate::payment::fold::{suspension_keys, whole};
use crate::payment::row::dayone::{MaintenanceRow, SuspensionNoteRow};
use crate::payment::row::record::{Select, cell};
use crate::payment::row::{PaymentRow, product};
use crate::payment::run::staff::{Refused, words};
use crate::payment::run::{Error, Payments};
use crate::payment::staff;
use crate::payment::unit::Op;
use crate::payment::upkeep;
use crate::payment::upkeep::{Notice, SCOPES, When, Window};

/// Most windows that are planned at once by command.
pub const PLANNED_MAX: u32 = 200;
/// How long questions for planned windows are alike, microseconds.
const ALIKE: i64 = 60_000_000;

/// What somebody wants to pay, as far as it is known.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The product.
    pub product: &'static str,
    /// Who pays.
    pub account: Option<Id>,
    /// The caller's number.
    pub caller: Option<Msisdn>,
    /// The channel.
    pub channel: Option<Channel>,
    /// The number that is recharged.
    pub phone: Option<Msisdn>,
    /// The biller's code.
    pub biller: Option<String>,
}

/// A window that staff plan.
#[derive(Clone, Debug)]
pub struct Planned {
    /// What.
    pub scope: String,
    /// Which; empty for the whole.
    pub key: String,
    /// From, microseconds.
    pub from_at: i64,
    /// Until, microseconds.
    pub until_at: i64,
}

impl Payments {
    /// Until when maintenance shuts one of these keys, microseconds.
    pub(super) async fn maintained(&self, keys: &[(String, String)]) -> Result<Option<i64>, Error> {
        let now = self.inner.clock.now();
        let planned: Vec<Window> = self.planned().await?.iter().map(window).collect();
        let windows = self.inner.settings.upkeep.windows.iter().chain(&planned);
        Ok(upkeep::shut_until(windows, keys, now, &self.inner.settings.zone))
    }

    /// Whether maintenance shuts a payment.
    pub(super) async fn under_maintenance(&self, draft: &PaymentRow) -> Result<bool, Error> {
        Ok(self.maintained(&suspension_keys(draft)).await?.is_some())
    }

    /// Windows that staff planned and that have not ended, the first to end first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn planned(&self) -> Result<Vec<MaintenanceRow>, Error> {
        let now = self.now();
        // Every payment asks: alike for a while, so that those of one moment are one question.
        let since = now.saturating_sub(now.rem_euclid(ALIKE));
        let wanted = Select::new().from("until_at", &since).order("until_at").limit(PLANNED_MAX);
        let mut planned: Vec<MaintenanceRow> = self.inner.store.shared_records(&wanted).await?;
        planned.retain(|window| window.until_at >= now);
        Ok(planned)
    }

    /// Plans a window, with who and why in the audit log. Payments that are under way go on in it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn plan_maintenance(
        &self,
        id: Id,
        planned: &Planned,
        who: &str,
        reason: &str,
    ) -> Result<Result<(), Refused>, Error> {
        if !SCOPES.contains(&planned.scope.as_str()) {
            return Ok(Err(Refused::NoSuch("scope")));
        }
        if planned.until_at <= planned.from_at || planned.until_at <= self.now() {
            return Ok(Err(staff::Refusal::Window.into()));
        }
        if self.planned().await?.len() >= usize::try_from(PLANNED_MAX).unwrap_or(usize::MAX) {
            return Ok(Err(staff::Refusal::Windows(PLANNED_MAX).into()));
        }
        let row = MaintenanceRow {
            id,
            scope: planned.scope.clone(),
            key: planned.key.clone(),
            from_at: planned.from_at,
            until_at: planned.until_at,
            reason: words(reason),
            who: words(who),
        };
        let details = serde_json::json!({
            "reason": words(reason), "from": Timestamp(row.from_at).to_rfc3339(),
            "until": Timestamp(row.until_at).to_rfc3339(), "window": id,
        });
        let subject = format!("{} {}", row.scope, row.key);
        self.note_staff(vec![Op::put(&row)], who, "maintenance", subject, details).await
    }

    /// Takes a planned window out: what it shut is open at once.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn drop_maintenance(&self, id: Id, who: &str) -> Result<Result<(), Refused>, Error> {
        let row: Option<MaintenanceRow> = self.inner.store.record(&[cell(&id)]).await?;
        let Some(row) = row else { return Ok(Err(Refused::NoSuch("window"))) };
        let op = Op::remove::<MaintenanceRow>(&[cell(&id)]);
        let subject = format!("{} {}", row.scope, row.key);
        let details = serde_json::json!({ "window": id });
        self.note_staff(vec![op], who, "maintenance ended", subject, details).await
    }

    /// Why each thing is shut that has a note.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn suspension_notes(&self) -> Result<Vec<SuspensionNoteRow>, Error> {
        Ok(self.inner.store.records(&Select::new().limit(u32::MAX)).await?)
    }

    /// What a caller is told of what stood in his way: what staff have shut before what is shut for a time, the whole before
    /// its parts.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn notice(&self, about: &About) -> Result<Notice, Error> {
        let store = &self.inner.store;
        let keys = self.doors(about);
        for key in &keys {
            if store.suspended(std::slice::from_ref(key)).await? {
                return Ok(Notice::of(&key.0));
            }
        }
        if let Some(until) = self.maintained(&keys).await? {
            return Ok(Notice::maintenance(until, self.now()));
        }
        if let Some(account) = about.account
            && store.payer(account).await?.is_some_and(|payer| payer.suspended)
        {
            return Ok(Notice::of("account"));
        }
        Ok(match about.product {
            product::ORDER => Notice::of("merchant"),
            product::DEPOSIT => Notice::of("agent"),
            _ => Notice::OTHER,
        })
    }

    /// Everything that may be shut and so stand in the way.
    fn doors(&self, about: &About) -> Vec<(String, String)> {
        let mut keys = whole();
        let mut door = |scope: &str, key: &str| keys.push((scope.to_owned(), key.to_owned()));
        if let Some(channel) = about.channel {
            door("channel", channel.name());
        }
        door("product", about.product);
        if about.product == product::DEPOSIT {
            door("product", "charge");
        }
        if let Some(phone) = &about.phone
            && let Found::Carrier(carrier) = self.inner.plan.find(phone)
        {
            door("carrier", &carrier.connector);
        }
        let biller = about.biller.as_deref().and_then(|code| self.inner.settings.billers.by_code(code));
        if let Some(biller) = biller {
            door("carrier", &biller.connector);
            door("biller", &biller.id);
        }
        if let Some(account) = about.account {
            if about.product == product::DEPOSIT {
                door("agent", &account.text());
            }
            door("account", &account.text());
        }
        for number in about.caller.iter().chain(&about.phone) {
            door("number", number.as_str());
        }
        keys
    }
}

fn window(row: &MaintenanceRow) -> Window {
    Window {
        scope: row.scope.clone(),
        key: row.key.clone(),
        when: When::Once { from: row.from_at, until: row.until_at },
    }
}
