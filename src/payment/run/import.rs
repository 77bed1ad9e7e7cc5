//! Takes in what another system knew: each line is a commit of its own, made in company with its neighbours, under ids that
//! follow from what the line says. So a line that was done is found done, whatever stopped the run before.

use std::collections::HashMap;

use futures_util::future::join_all;

use crate::ledger::chart;
use crate::ledger::chart::House;
use crate::ledger::command::Refusal as LedgerRefusal;
use crate::ledger::command::{Act, Command, Leg};
use crate::ledger::row::Id;
use crate::msisdn::Msisdn;
use crate::payment::answer::Route;
use crate::payment::import;
use crate::payment::import::{Entry, Fault, Kind, LINES_MAX, Owner, Rules};
use crate::payment::row::dayone::ImportRow;
use crate::payment::row::identity::HistoryRow;
use crate::payment::row::record::{Select, cell};
use crate::payment::row::staff::AccountTierRow;
use crate::payment::row::{BindingRow, PayerRow};
use crate::payment::run::staff::Refused;
use crate::payment::run::{Error, Payments};
use crate::payment::unit::{Op, Refusal};

/// Lines that are judged and committed together at most.
pub const CHUNK: usize = 1_000;

/// What became of a line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Came {
    /// It was done; so much was booked, minor units. In a dry run it would be.
    Done {
        /// Minor units; 0 but for balances.
        booked_minor: i64,
    },
    /// It had been done before.
    Already,
    /// It cannot be done as it is.
    Fault(Fault),
}

/// A file that is being taken in.
#[derive(Debug)]
pub struct Import {
    /// Made from the file's bytes.
    pub id: Id,
    /// What it holds.
    pub kind: Kind,
    /// Nothing is written.
    pub dry_run: bool,
    /// What the lines so far do, with their numbers: twice in one file is a mistake of the file.
    seen: HashMap<Id, i64>,
    lines: i64,
    done: i64,
    already: i64,
    faults: i64,
    booked_minor: i64,
}

/// What came of a file.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct Sum {
    /// Lines without the head.
    pub lines: i64,
    /// Lines that were done now.
    pub done: i64,
    /// Lines that had been done before.
    pub already: i64,
    /// Lines that were refused.
    pub faults: i64,
    /// What was booked now, minor units.
    pub booked_minor: i64,
}

impl Import {
    /// An import of a file whose bytes have this digest.
    #[must_use]
    pub fn new(kind: Kind, sha256: &[u8; 32], dry_run: bool) -> Self {
        Self {
            id: import::file_id(kind, sha256),
            kind,
            dry_run,
            seen: HashMap::new(),
            lines: 0,
            done: 0,
            already: 0,
            faults: 0,
            booked_minor: 0,
        }
    }

    /// What came of it so far.
    #[must_use]
    pub const fn sum(&self) -> Sum {
        Sum {
            lines: self.lines,
            done: self.done,
            already: self.already,
            faults: self.faults,
            booked_minor: self.booked_minor,
        }
    }

    /// Counts a line.
    pub fn count(&mut self, came: &Came) {
        self.lines = self.lines.saturating_add(1);
        match came {
            Came::Done { booked_minor } => {
                self.done = self.done.saturating_add(1);
                self.booked_minor = self.booked_minor.saturating_add(*booked_minor);
            }
            Came::Already => self.already = self.already.saturating_add(1),
            Came::Fault(_) => self.faults = self.faults.saturating_add(1),
        }
    }

    /// Whether an earlier line of the file does the same thing.
    fn twice(&mut self, thing: Id, line: i64, what: &str, advice: &str) -> Result<(), Fault> {
        match self.seen.insert(thing, line) {
            Some(earlier) if earlier != line => {
                self.seen.insert(thing, earlier);
                Err(Fault::new(format!("line {earlier} has the same {what}"), advice))
            }
            _ => Ok(()),
        }
    }
}

/// The id that stands for a number in [`Import::seen`].
fn mark(number: &Msisdn) -> Id {
    Id([0; 16]).derived(number.as_str())
}

fn no_account() -> Fault {
    Fault::new("no such customer", "take the file of customers in first, or correct the key")
}

impl Payments {
    /// What lines are read by.
    #[must_use]
    pub fn import_rules(&self) -> Rules<'_> {
        Rules {
            country: &self.inner.plan.country,
            national_max: self.inner.plan.national_max(),
            currency: self.inner.settings.currency,
            tiers: &self.inner.settings.staff.tiers,
        }
    }

    /// Does some lines, [`CHUNK`] at most at once; tells of each what became of it, in their order.
    ///
    /// # Errors
    /// When the core is busy or the database does not answer. Lines may have been done: the same file again finds them.
    pub async fn import_lines(
        &self,
        import: &mut Import,
        lines: Vec<(i64, Entry)>,
    ) -> Result<Vec<(i64, Came)>, Error> {
        let mut told = Vec::with_capacity(lines.len());
        let mut lines = lines.into_iter().peekable();
        while lines.peek().is_some() {
            let chunk: Vec<(i64, Entry)> = lines.by_ref().take(CHUNK).collect();
            let mut due = Vec::with_capacity(chunk.len());
            for (line, entry) in chunk {
                let checked = if import.lines.saturating_add(1) > LINES_MAX {
                    let what = format!("the file has more than {LINES_MAX} lines");
                    Err(Fault::new(what, "part it; lines that were done are found again"))
                } else {
                    first_of_its_kind(import, line, &entry)
                };
                due.push((line, entry, checked));
            }
            let dry_run = import.dry_run;
            let doing = due.into_iter().map(|(line, entry, checked)| async move {
                let came = match checked {
                    Err(fault) => Came::Fault(fault),
                    Ok(()) => self.import_line(entry, dry_run).await?,
                };
                Ok::<_, Error>((line, came))
            });
            let came = join_all(doing).await.into_iter().collect::<Result<Vec<_>, _>>()?;
            came.iter().for_each(|(_, came)| import.count(came));
            told.extend(came);
        }
        Ok(told)
    }

    async fn import_line(&self, entry: Entry, dry_run: bool) -> Result<Came, Error> {
        let came = match entry {
            Entry::Customer { account, number, tier, day_limit_minor, payment_limit_minor } => {
                let payer = PayerRow {
                    account,
                    suspended: false,
                    user_day_limit_minor: day_limit_minor,
                    user_payment_limit_minor: payment_limit_minor,
                    pin_hash: None,
                    pin_pepper: 0,
                    pin_tries: 0,
                    pin_wait_until: 0,
                    pin_locked: false,
                    created_at: self.now(),
                    version: 1,
                };
                self.import_customer(payer, number, tier, dry_run).await?
            }
            Entry::Number { number, owner } => match self.owner_of_line(owner).await? {
                Some(account) => self.import_number(account, number, dry_run).await?,
                None => Err(no_account()),
            },
            Entry::Balance { owner, amount_minor, reference } => match self.owner_of_line(owner).await? {
                Some(account) => self.import_balance(account, amount_minor, &reference, dry_run).await?,
                None => Err(no_account()),
            },
        };
        Ok(came.unwrap_or_else(Came::Fault))
    }

    /// The account that a line names, if it is there.
    async fn owner_of_line(&self, owner: Owner) -> Result<Option<Id>, Error> {
        match owner {
            Owner::Account(id) => Ok(self.inner.store.payer(id).await?.map(|payer| payer.account)),
            Owner::Number(number) => self.account_of(&number).await,
        }
    }

    async fn import_customer(
        &self,
        payer: PayerRow,
        number: Option<Msisdn>,
        tier: Option<String>,
        dry_run: bool,
    ) -> Result<Result<Came, Fault>, Error> {
        let (account, at) = (payer.account, self.now());
        if self.inner.store.payer(account).await?.is_some() {
            return match number {
                // The customer is there; his number may be what an earlier run could not do.
                Some(number) => self.import_number(account, number, dry_run).await,
                None => Ok(Ok(Came::Already)),
            };
        }
        if let Some(number) = &number
            && let Err(fault) = self.free(account, number).await?
        {
            return Ok(Err(fault));
        }
        if dry_run {
            return Ok(Ok(Came::Done { booked_minor: 0 }));
        }
        let currency = self.inner.settings.currency;
        let mut ops = vec![Op::OpenAccount(chart::customer(account, currency, at)), Op::OpenPayer(payer)];
        ops.extend(tier.map(|tier| Op::put(&AccountTierRow { account, tier, since: at })));
        if let Some(number) = &number {
            ops.extend(self.binding_of_import(account, number));
        }
        Ok(match self.commit(ops).await? {
            Ok(_) => Ok(Came::Done { booked_minor: 0 }),
            // Another run of the same file did it a moment ago.
            Err(Refusal::Exists("payment account")) => Ok(Came::Already),
            Err(refusal) => Err(refused(&refusal)),
        })
    }

    fn binding_of_import(&self, account: Id, number: &Msisdn) -> [Op; 2] {
        let at = self.now();
        let row = BindingRow { msisdn: number.clone(), account, bound_at: at };
        [Op::Bind(row), self.history(number, account, "bound")]
    }

    /// Whether a number may be bound to an account: one of the plan, and of no other account.
    async fn free(&self, account: Id, number: &Msisdn) -> Result<Result<(), Fault>, Error> {
        if self.route(number) == Route::BadNumber {
            let what = "no number of the numbering plan looks like this";
            return Ok(Err(Fault::new(what, "correct it, or complete the numbering plan")));
        }
        Ok(match self.account_of(number).await? {
            Some(other) if other != account => {
                let what = format!("the number pays from the account {other} already");
                Err(Fault::new(what, "leave it out, or free it by `keytone account unbind`"))
            }
            Some(_) | None => Ok(()),
        })
    }

    async fn import_number(
        &self,
        account: Id,
        number: Msisdn,
        dry_run: bool,
    ) -> Result<Result<Came, Fault>, Error> {
        match self.account_of(&number).await? {
            Some(bound) if bound == account => return Ok(Ok(Came::Already)),
            Some(_) => {}
            // What was bound and then unbound by its owner stays so.
            None if self.was_bound(account, &number).await? => return Ok(Ok(Came::Already)),
            None => {}
        }
        if let Err(fault) = self.free(account, &number).await? {
            return Ok(Err(fault));
        }
        if dry_run {
            return Ok(Ok(Came::Done { booked_minor: 0 }));
        }
        Ok(match self.commit(self.binding_of_import(account, &number).to_vec()).await? {
            Ok(_) => Ok(Came::Done { booked_minor: 0 }),
            Err(refusal) => Err(refused(&refusal)),
        })
    }

    async fn was_bound(&self, account: Id, number: &Msisdn) -> Result<bool, Error> {
        let wanted = Select::<HistoryRow>::new().equal("msisdn", number).equal("account", &account).limit(1);
        Ok(!self.inner.store.records(&wanted).await?.is_empty())
    }

    async fn import_balance(
        &self,
        account: Id,
        amount_minor: i64,
        reference: &str,
        dry_run: bool,
    ) -> Result<Result<Came, Fault>, Error> {
        let currency = self.inner.settings.currency;
        let migration = House::Migration.id(currency);
        let legs = vec![Leg::new(migration, amount_minor.saturating_neg()), Leg::new(account, amount_minor)];
        let command = Command::new(import::booking(account, reference), None, Act::Transfer { legs });
        if let Some(known) = self.inner.store.transfer(command.id).await? {
            let same = known.fingerprint == command.fingerprint() && known.outcome == 0;
            return Ok(if same { Ok(Came::Already) } else { Err(another_amount()) });
        }
        let ceiling = self.ceiling(account).await?;
        if dry_run {
            let row = self.inner.store.account(account).await?.ok_or(Error::NoSuchAccount)?;
            let after = row.balance_minor.saturating_add(amount_minor);
            return Ok(match ceiling {
                Some(Op::Ceiling { balance_minor, .. }) if after > balance_minor => {
                    Err(refused(&Refusal::Ceiling { balance_minor }))
                }
                _ => Ok(Came::Done { booked_minor: amount_minor }),
            });
        }
        let ops = [Op::Ledger(command)].into_iter().chain(ceiling).collect();
        Ok(match self.commit(ops).await? {
            Ok(done) if done.repeated => Ok(Came::Already),
            Ok(_) => Ok(Came::Done { booked_minor: amount_minor }),
            Err(Refusal::Ledger(LedgerRefusal::IdReused)) => Err(another_amount()),
            Err(refusal) => Err(refused(&refusal)),
        })
    }

    /// Notes that a file is being taken in, or what came of it with who did it in the audit log. A dry run is not noted.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn note_import(
        &self,
        import: &Import,
        file: &str,
        who: &str,
        ended: bool,
    ) -> Result<Result<(), Refused>, Error> {
        let known: Option<ImportRow> = self.inner.store.record(&[cell(&import.id)]).await?;
        let (now, sum) = (self.now(), import.sum());
        let before = known.as_ref();
        let row = ImportRow {
            id: import.id,
            kind: import.kind.name().to_owned(),
            file: file.to_owned(),
            lines: if ended { sum.lines } else { before.map_or(0, |row| row.lines) },
            done: before.map_or(0, |row| row.done).saturating_add(if ended { sum.done } else { 0 }),
            faults: if ended { sum.faults } else { before.map_or(0, |row| row.faults) },
            booked_minor: before.map_or(0, |row| row.booked_minor).saturating_add(if ended {
                sum.booked_minor
            } else {
                0
            }),
            who: who.trim().to_owned(),
            began_at: before.map_or(now, |row| row.began_at),
            ended_at: if ended { Some(now) } else { before.and_then(|row| row.ended_at) },
        };
        let what = if ended { "import" } else { "import begun" };
        let details = serde_json::json!({ "file": file, "kind": row.kind, "sum": sum });
        self.note_staff(vec![Op::put(&row)], who, what, import.id.text(), details).await
    }

    /// Files that were taken in, the latest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn imports(&self, limit: u32) -> Result<Vec<ImportRow>, Error> {
        let wanted = Select::new().order("began_at").descending().limit(limit);
        Ok(self.inner.store.records(&wanted).await?)
    }
}

/// Twice the same thing in one file is a fault of the second line: nobody could tell whether both were meant.
fn first_of_its_kind(import: &mut Import, line: i64, entry: &Entry) -> Result<(), Fault> {
    match entry {
        Entry::Customer { account, number, .. } => {
            import.twice(
                *account,
                line,
                "customer",
                "keep one of the two; more numbers go into a file of numbers",
            )?;
            match number {
                Some(number) => import.twice(
                    mark(number),
                    line,
                    "number",
                    "a number pays from one account: keep one of the two",
                ),
                None => Ok(()),
            }
        }
        Entry::Number { number, .. } => {
            import.twice(mark(number), line, "number", "a number pays from one account: keep one of the two")
        }
        Entry::Balance { owner, reference, .. } => {
            let owner = match owner {
                Owner::Account(id) => *id,
                Owner::Number(number) => mark(number),
            };
            let advice = "add the two up, or give each a reference of its own";
            import.twice(import::booking(owner, reference), line, "customer and reference", advice)
        }
    }
}

fn another_amount() -> Fault {
    let advice = "if it is other money, give the line a reference; if the first was wrong, correct it by `keytone staff move`";
    Fault::new("another amount was booked for this customer and reference before", advice)
}

fn refused(refusal: &Refusal) -> Fault {
    match refusal {
        Refusal::Ceiling { .. } => {
            let advice = "put the customer into a higher tier, or pay the rest out";
            Fault::new("the account would hold more than its tier allows", advice)
        }
        Refusal::Exists(_) => Fault::new(
            "the number pays from another account",
            "leave it out, or free it by `keytone account unbind`",
        ),
        other => {
            Fault::new(format!("the books refuse it: {other}"), "correct the line and take the file in again")
        }
    }
}
