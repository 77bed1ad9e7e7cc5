//! Merchants: opened with an account, keys and a fee; found by their key; suspended.

use std::sync::PoisonError;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::connector::pace::Pace;
use crate::ledger::chart;
use crate::payment::pin;
use crate::payment::row::order::MerchantRow;
use crate::payment::row::record::{Select, cell};
use crate::payment::row::{Id, SuspensionRow};
use crate::payment::run::{Error, Payments};
use crate::payment::share::{BadFee, Fee};
use crate::payment::unit::{Op, Refusal};
use crate::payment::webhook;
use crate::random;
use crate::secret::Secret;

/// Times that a change is tried when somebody else changed the merchant at the same moment.
const STALE_MAX: usize = 8;
/// The longest name, characters: as much as a screen shows.
pub(super) const NAME_CHARS_MAX: usize = 40;
/// What an API key begins with.
const KEY_PREFIX: &str = "kt_";
/// The scope under which a merchant is shut.
pub(super) const SCOPE: &str = "merchant";
/// What the hash of a key that nobody has is compared with, so that an unknown merchant takes as long as a wrong key.
pub(super) const NO_HASH: [u8; 32] = [0; 32];

/// A new merchant.
#[derive(Clone, Debug)]
pub struct NewMerchant {
    /// Its name, as customers hear it.
    pub name: String,
    /// What each sale costs it.
    pub fee: Fee,
    /// Where it is told of changes.
    pub webhook_url: Option<String>,
}

/// Why a merchant cannot be opened or changed.
#[derive(Debug, thiserror::Error)]
pub enum MerchantFault {
    /// The name.
    #[error("expected a name of 1 to {NAME_CHARS_MAX} characters in one line")]
    Name,
    /// The webhook's address.
    #[error("the webhook's address: {0}")]
    Url(#[from] webhook::BadUrl),
    /// The fee.
    #[error("{0}")]
    Fee(#[from] BadFee),
    /// No such merchant.
    #[error("no such merchant")]
    Unknown,
    /// The core could not do it.
    #[error(transparent)]
    Core(#[from] Error),
}

impl From<crate::store::Error> for MerchantFault {
    fn from(error: crate::store::Error) -> Self {
        Self::Core(error.into())
    }
}

fn random() -> Result<[u8; webhook::KEY_BYTES], Error> {
    let mut bytes = [0; webhook::KEY_BYTES];
    random::fill(&mut bytes).map_err(|_| pin::Error::Random)?;
    Ok(bytes)
}

/// A fresh API key, `kt_MERCHANT_SECRET`, and the hash of its secret part.
pub(super) fn fresh_key(merchant: Id) -> Result<(Secret, Vec<u8>), Error> {
    let secret = random()?;
    let text = format!("{KEY_PREFIX}{}_{}", BASE64.encode(merchant.0), BASE64.encode(secret));
    Ok((Secret::from(text.as_str()), Sha256::digest(secret).to_vec()))
}

/// The merchant that a key names and the hash of its secret part. The first part has a fixed length, since the alphabet of
/// both has the underscore too.
pub(super) fn read_key(key: &str) -> Option<(Id, [u8; 32])> {
    let rest = key.strip_prefix(KEY_PREFIX)?;
    let (merchant, secret) = rest.split_at_checked(22)?;
    let merchant: [u8; 16] = BASE64.decode(merchant).ok()?.try_into().ok()?;
    let secret = BASE64.decode(secret.strip_prefix('_')?).ok()?;
    Some((Id(merchant), Sha256::digest(secret).into()))
}

impl Payments {
    /// Takes a turn of a merchant's or an account's at the API of this node.
    ///
    /// # Errors
    /// How long to wait, when it asks faster than `[api]` allows.
    pub fn api_turn(&self, key: Id) -> Result<(), Duration> {
        let limits = &self.inner.settings.api;
        if limits.rate.is_none() {
            return Ok(());
        }
        // Keys that nobody has get no turn, so that there are no more of them than merchants and accounts.
        let mut paces = self.inner.paces.lock().unwrap_or_else(PoisonError::into_inner);
        let pace = paces.entry(key).or_insert_with(|| Pace::new(limits));
        pace.turn(self.inner.clock.instant(), Duration::ZERO).map(|_| ())
    }

    /// Opens a merchant with its account. Its API key and the key of its webhooks' signatures are told once.
    ///
    /// # Errors
    /// [`MerchantFault`].
    pub async fn add_merchant(
        &self,
        new: NewMerchant,
    ) -> Result<(MerchantRow, Secret, Secret), MerchantFault> {
        let name = new.name.trim();
        let length = name.chars().count();
        if length == 0 || length > NAME_CHARS_MAX || name.chars().any(char::is_control) {
            return Err(MerchantFault::Name);
        }
        if let Some(url) = &new.webhook_url {
            webhook::check_url(url, self.inner.settings.webhooks_private)?;
        }
        let at = self.now();
        let id = Id::new(at);
        let currency = self.inner.settings.currency;
        let (key, key_hash) = fresh_key(id)?;
        let hook_key = webhook::key_of(random()?);
        let row = MerchantRow {
            id,
            name: name.to_owned(),
            currency,
            key_hash,
            hook_key: self.inner.seals.seal(&id.0, hook_key.expose()).map_err(Error::Pin)?,
            old_hook_key: None,
            old_hook_key_until: None,
            fee_rate: new.fee.rate_text(),
            fee_fixed_minor: new.fee.fixed_minor(),
            webhook_url: new.webhook_url,
            suspended: false,
            created_at: at,
            version: 1,
        };
        let ops = vec![Op::OpenAccount(chart::merchant(id, currency, at)), Op::add(&row)];
        self.commit(ops).await?.map_err(Error::Refused)?;
        Ok((row, key, hook_key))
    }

    /// A merchant.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn merchant(&self, id: Id) -> Result<Option<MerchantRow>, Error> {
        Ok(self.inner.store.record(&[cell(&id)]).await?)
    }

    /// All merchants, the oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn merchants(&self) -> Result<Vec<MerchantRow>, Error> {
        Ok(self.inner.store.records(&Select::new()).await?)
    }

    /// The merchant whose API key this is. The hash is compared in constant time.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn merchant_by_key(&self, key: &str) -> Result<Option<MerchantRow>, Error> {
        let Some((id, hash)) = read_key(key) else { return Ok(None) };
        let merchant = self.merchant(id).await?;
        let stored = merchant.as_ref().map_or(NO_HASH.as_slice(), |m| m.key_hash.as_slice());
        let same: bool = stored.ct_eq(&hash).into();
        Ok(merchant.filter(|_| same))
    }

    /// What is on a merchant's account, minor units.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn merchant_balance(&self, id: Id) -> Result<i64, Error> {
        let account = self.inner.store.account_at(id, self.now()).await?.ok_or(Error::NoSuchAccount)?;
        Ok(account.balance_minor.saturating_sub(account.held_minor))
    }

    /// A new API key; the one before is void at once.
    ///
    /// # Errors
    /// [`MerchantFault`].
    pub async fn new_merchant_key(&self, id: Id) -> Result<Secret, MerchantFault> {
        let (key, hash) = fresh_key(id)?;
        self.change_merchant(id, None, |row| row.key_hash.clone_from(&hash)).await?;
        Ok(key)
    }

    /// A new key for webhooks' signatures. The one before signs too for a day, so that the receiver can change over.
    ///
    /// # Errors
    /// [`MerchantFault`].
    pub async fn new_webhook_key(&self, id: Id) -> Result<Secret, MerchantFault> {
        let key = webhook::key_of(random()?);
        let sealed = self.inner.seals.seal(&id.0, key.expose()).map_err(Error::Pin)?;
        let until = self.now().saturating_add(webhook::OLD_KEY_MICROS);
        self.change_merchant(id, None, |row| {
            row.old_hook_key = Some(std::mem::replace(&mut row.hook_key, sealed.clone()));
            row.old_hook_key_until = Some(until);
        })
        .await?;
        Ok(key)
    }

    /// Suspends a merchant, or lets it go on: suspended it places no orders and none of its orders is paid. What is frozen goes
    /// its way.
    ///
    /// # Errors
    /// [`MerchantFault`].
    pub async fn suspend_merchant(&self, id: Id, suspended: bool) -> Result<(), MerchantFault> {
        let shut = SuspensionRow { scope: SCOPE.to_owned(), key: id.text(), since: self.now() };
        let op = if suspended { Op::Suspend(shut) } else { Op::Resume(shut) };
        self.change_merchant(id, Some(op), |row| row.suspended = suspended).await
    }

    async fn change_merchant(
        &self,
        id: Id,
        with: Option<Op>,
        mut change: impl FnMut(&mut MerchantRow),
    ) -> Result<(), MerchantFault> {
        for _ in 0..STALE_MAX {
            let mut row = self.merchant(id).await?.ok_or(MerchantFault::Unknown)?;
            change(&mut row);
            row.version = row.version.saturating_add(1);
            let ops = std::iter::once(Op::set(&row)).chain(with.clone()).collect();
            match self.commit(ops).await? {
                Ok(_) => return Ok(()),
                Err(Refusal::Stale) => {}
                Err(refusal) => return Err(Error::Refused(refusal).into()),
            }
        }
        Err(Error::Busy.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_merchant_and_is_kept_as_a_hash() {
        let id = Id([0xff; 16]);
        let (key, hash) = fresh_key(id).unwrap();
        let text = std::str::from_utf8(key.expose()).unwrap();
        assert_eq!(read_key(text), Some((id, hash.clone().try_into().unwrap())));
        assert_ne!(fresh_key(id).unwrap().1, hash);
        for bad in ["", "kt_", "kt_x_y", &text[3..], "kt_é______________________________"] {
            assert_eq!(read_key(bad), None, "{bad}");
        }
        let other = format!("{}A", &text[..text.len() - 1]);
        assert!(
            read_key(&other).is_none_or(|(_, other)| other.as_slice() != hash || other == [0; 32])
                || text.ends_with('A')
        );
    }
}
