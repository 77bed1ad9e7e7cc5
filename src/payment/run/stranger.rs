//! Callers whose number tells nothing: a landline, a withheld number, a way that is not believed. The number of an account, a
//! code to it, and then the account's PIN (DESIGN 6.4 point 17). Also a number that joins an account by the word of one that
//! is bound to it.
//!
//! Whether a number has an account is not told before its code came back: a number without one is answered in the same way,
//! and no message leaves. Failures lock this path and nothing else.

use std::time::Duration;

use crate::ledger::row::Id;
use crate::msisdn::{Assurance, Msisdn};
use crate::payment::answer::Identity;
use crate::payment::code;
use crate::payment::code::{Answered, NotSent};
use crate::payment::path;
use crate::payment::path::Held;
use crate::payment::row::identity::{CodeRow, LanguageRow, PathRow};
use crate::payment::row::record::{Select, cell};
use crate::payment::run::identity::{Changed, CodeSent};
use crate::payment::run::pay::PinVerdict;
use crate::payment::run::{Error, Payments};
use crate::payment::unit::{Op, Refusal};
use crate::secret::Secret;

/// What a code to an account's number is for when somebody elsewhere wants to use the account.
const STRANGER: &str = "stranger";
/// What it is for when a number wants to join the account, in front of that number.
const JOIN: &str = "join ";
/// Times that a step is judged anew when somebody else changed the row.
const STALE_MAX: usize = 8;
/// Times that a PIN try waits for its turn.
const WAITS_MAX: u32 = 3;

/// What came of asking for a code to the number of an account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Claimed {
    /// If the number has an account, a code is on its way.
    Sent,
    /// None was sent.
    Not(NotSent),
    /// The number is no mobile number.
    NotMobile,
    /// Too many codes for this number were wrong.
    Locked,
}

/// What came of giving a code back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proved {
    /// It was the code: this account is meant.
    Right(Id),
    /// It was not; so many answers are left.
    Wrong {
        /// How many.
        left: i32,
    },
    /// There is no code that could be answered, or the number has another account since.
    Expired,
    /// Too many codes for this number were wrong.
    Locked,
}

fn purpose(joiner: Option<&Msisdn>) -> String {
    joiner.map_or_else(|| STRANGER.to_owned(), |joiner| format!("{JOIN}{}", joiner.as_str()))
}

fn pin_subject(account: Id) -> String {
    format!("pin {}", account.text())
}

fn code_subject(phone: &Msisdn) -> String {
    format!("code {}", phone.as_str())
}

/// The write of a row of the path: the first is added, a later one set.
fn written(row: &PathRow) -> Op {
    if row.version == 1 { Op::add(row) } else { Op::set(row) }
}

impl Payments {
    /// The same core for a conversation whose caller's number is believed so far, and who is written to in this language.
    #[must_use]
    pub fn heard(&self, assurance: Assurance, language: &str) -> Self {
        Self { standing: Some(assurance), language: Some(language.into()), ..self.clone() }
    }

    /// How far the number of a caller is believed here.
    pub(super) fn standing(&self, caller: Option<&Msisdn>) -> Assurance {
        self.standing.unwrap_or_else(|| Assurance::of(caller))
    }

    /// Whether whoever asks here is no more than somebody who gave a code back.
    pub(super) fn is_stranger(&self) -> bool {
        self.standing.is_some_and(|standing| !self.inner.settings.policy.believes(standing))
    }

    /// Who asks, when that is nobody who is believed.
    pub(super) fn unheard(&self) -> Option<Identity> {
        self.is_stranger().then_some(Identity::NoNumber)
    }

    async fn path_row(&self, subject: &str) -> Result<Option<PathRow>, Error> {
        Ok(self.inner.store.record(&[cell(&subject.to_owned())]).await?)
    }

    /// Sends a code to the number of an account: for somebody elsewhere who wants to use the account, or for `joiner`, which is
    /// to be bound to it.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn claim(&self, phone: &Msisdn, joiner: Option<&Msisdn>) -> Result<Claimed, Error> {
        let path = self.path_row(&code_subject(phone)).await?;
        if path::is_locked(path.as_ref(), self.now()) {
            return Ok(Claimed::Locked);
        }
        let account = self.account_of(phone).await?;
        let sent = self.send_for(phone, &purpose(joiner), account, account.is_some()).await?;
        Ok(match sent {
            CodeSent::Sent => Claimed::Sent,
            CodeSent::Not(not) => Claimed::Not(not),
            CodeSent::NotMobile => Claimed::NotMobile,
        })
    }

    /// Checks the answer to such a code; it counts before it is told.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn prove(
        &self,
        phone: &Msisdn,
        joiner: Option<&Msisdn>,
        given: &Secret,
    ) -> Result<Proved, Error> {
        let (purpose, subject) = (purpose(joiner), code_subject(phone));
        let rules = &self.inner.settings.identity;
        for _ in 0..STALE_MAX {
            let now = self.now();
            let path = self.path_row(&subject).await?;
            if path::is_locked(path.as_ref(), now) {
                return Ok(Proved::Locked);
            }
            let row = self.code_row(phone, &purpose).await?;
            let account = row.as_ref().and_then(|row| row.account);
            let mac = self.code_mac(phone, &purpose, account, given);
            let (answered, after) = code::check(row.as_ref(), &mac, now, &rules.code);
            let mut ops: Vec<Op> = after.iter().map(Op::set).collect();
            match answered {
                Answered::Expired => return Ok(Proved::Expired),
                Answered::Right => ops.extend(path.map(|row| Op::set(&path::passed(row)))),
                Answered::Wrong { .. } => {
                    // Codes have waits and counts of their own; here only the lock matters.
                    let path = path.map(|row| PathRow { wait_until: 0, ..row });
                    match path::attempt(path.as_ref(), &subject, rules.path.code_tries_max, now, &rules.path)
                    {
                        Ok(next) => ops.push(written(&next)),
                        Err(_) => return Ok(Proved::Locked),
                    }
                }
            }
            match self.commit(ops).await? {
                Ok(_) => {}
                Err(Refusal::Stale | Refusal::Exists(_)) => continue,
                Err(refusal) => return Err(Error::Refused(refusal)),
            }
            return Ok(match answered {
                Answered::Wrong { left } => Proved::Wrong { left },
                // The number may have been bound elsewhere since the code left.
                Answered::Right => match self.account_of(phone).await? {
                    Some(bound) if Some(bound) == account => Proved::Right(bound),
                    _ => Proved::Expired,
                },
                Answered::Expired => Proved::Expired,
            });
        }
        Err(Error::Busy)
    }

    /// Whether a code to this number came back a short time ago from somebody whose own number tells nothing.
    pub(super) async fn is_proved(&self, phone: &Msisdn, account: Id) -> Result<bool, Error> {
        let row = self.code_row(phone, STRANGER).await?;
        Ok(code::proves(row.as_ref(), Some(account), self.now(), &self.inner.settings.identity.code))
    }

    /// The PIN of an account, tried by somebody who is not believed: counted apart, before it is hashed. A PIN that the
    /// account's own callers have locked is locked here too.
    pub(super) async fn check_pin_apart(&self, account: Id, pin: &Secret) -> Result<PinVerdict, Error> {
        let rules = &self.inner.settings.identity.path;
        let subject = pin_subject(account);
        let payer = self.inner.store.payer(account).await?.ok_or(Error::NoSuchAccount)?;
        let Some(stored) = payer.pin_hash.clone().filter(|_| !payer.pin_locked) else {
            return Ok(PinVerdict::Locked);
        };
        let mut waits = 0;
        let mut stale = 0;
        let counted = loop {
            let row = self.path_row(&subject).await?;
            match path::attempt(row.as_ref(), &subject, rules.pin_tries_max, self.now(), rules) {
                Ok(next) => match self.commit(vec![written(&next)]).await? {
                    Ok(_) => break next,
                    Err(Refusal::Stale | Refusal::Exists(_)) if stale < STALE_MAX => stale += 1,
                    Err(Refusal::Stale | Refusal::Exists(_)) => return Err(Error::Busy),
                    Err(refusal) => return Err(Error::Refused(refusal)),
                },
                Err(Held::Locked { .. }) => return Ok(PinVerdict::Locked),
                Err(Held::Wait { until }) if waits < WAITS_MAX => {
                    waits += 1;
                    let wait = u64::try_from(until.saturating_sub(self.now())).unwrap_or(0);
                    tokio::time::sleep(Duration::from_micros(wait.saturating_add(1_000))).await;
                }
                Err(Held::Wait { .. }) => return Err(Error::Busy),
            }
        };
        let (right, rehash) = self.hashes(account, pin, stored, payer.pin_pepper).await?;
        let left = rules.pin_tries_max.saturating_sub(counted.tries);
        if !right {
            return Ok(if left <= 0 { PinVerdict::Locked } else { PinVerdict::Wrong { left } });
        }
        // Whoever tried in between has counted on: his tries are not forgiven by ours.
        match self.commit(vec![Op::set(&path::passed(counted))]).await? {
            Ok(_) | Err(Refusal::Stale) => Ok(PinVerdict::Right { rehash }),
            Err(refusal) => Err(Error::Refused(refusal)),
        }
    }

    /// Opens the path of an account again for callers who are not believed.
    pub(super) async fn open_path(&self, account: Id) -> Result<(), Error> {
        let row = self.path_row(&pin_subject(account)).await?;
        let Some(row) = row.filter(|row| row.tries > 0) else { return Ok(()) };
        match self.commit(vec![Op::set(&path::passed(row))]).await? {
            Ok(_) | Err(Refusal::Stale) => Ok(()),
            Err(refusal) => Err(Error::Refused(refusal)),
        }
    }

    /// Binds `joiner` to the account of `owner`, whose consent is the code that it gave back, with the account's PIN.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn join(&self, owner: &Msisdn, joiner: &Msisdn, pin: &Secret) -> Result<Changed, Error> {
        let row = self.code_row(owner, &purpose(Some(joiner))).await?;
        let bound = self.account_of(owner).await?;
        let Some((proof, account)) = self.consent(row, bound) else { return Ok(Changed::NoCode) };
        if self.account_of(joiner).await?.is_some() {
            return Ok(Changed::Taken);
        }
        match self.check_pin_apart(account, pin).await? {
            PinVerdict::Right { rehash } => {
                let passed = Op::PinPassed { account, rehash };
                self.bind_proven(account, joiner, vec![Self::spent(proof), passed]).await
            }
            PinVerdict::Wrong { left } => Ok(Changed::WrongPin { left }),
            PinVerdict::Locked => Ok(Changed::Locked),
        }
    }

    fn consent(&self, row: Option<CodeRow>, bound: Option<Id>) -> Option<(CodeRow, Id)> {
        let account = bound?;
        let rules = &self.inner.settings.identity.code;
        let holds = code::proves(row.as_ref(), Some(account), self.now(), rules);
        row.filter(|_| holds).map(|row| (row, account))
    }

    /// The numbers that are bound to an account, in their order.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn numbers_of(&self, account: Id) -> Result<Vec<Msisdn>, Error> {
        let bindings = self.inner.store.bindings_of(account).await?;
        let mut numbers: Vec<Msisdn> = bindings.into_iter().map(|bound| bound.msisdn).collect();
        numbers.sort();
        Ok(numbers)
    }

    /// Keeps the language that a customer chose.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn set_language(&self, account: Id, language: &str) -> Result<(), Error> {
        let row = LanguageRow { account, language: language.to_owned(), at: self.now() };
        self.commit(vec![Op::put(&row)]).await?.map_err(Error::Refused)?;
        Ok(())
    }

    /// The language that a customer chose, if any.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn language_of(&self, account: Id) -> Result<Option<String>, Error> {
        let row: Option<LanguageRow> = self.inner.store.record(&[cell(&account)]).await?;
        Ok(row.map(|row| row.language))
    }

    /// The language of texts to the owner of an account: the one that he chose, else that of whoever asks by this handle, else
    /// the market's. When it cannot be read now, the text goes in one of those: no payment waits for it.
    pub(super) async fn tongue(&self, account: Option<Id>) -> String {
        let chosen = match account {
            Some(account) => self.language_of(account).await.ok().flatten(),
            None => None,
        };
        let heard = || self.language.as_deref().unwrap_or(&self.inner.settings.language).to_owned();
        chosen.unwrap_or_else(heard)
    }

    /// How many paths are locked now, 1,000 at most: strangers who guess codes or PINs are seen here.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn locked_paths(&self) -> Result<usize, Error> {
        let wanted: Select<PathRow> = Select::new().from("locked_until", &self.now());
        Ok(self.inner.store.records(&wanted).await?.len())
    }
}
