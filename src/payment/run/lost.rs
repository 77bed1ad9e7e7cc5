//! A lost PIN: the caller gives back a code to a number of the account and asks; one of staff, who has looked at who he is,
//! approves it as any other request; then, within a day, he gives back another code and chooses a PIN.

use crate::ledger::row::Id;
use crate::msisdn::Msisdn;
use crate::payment::approval;
use crate::payment::approval::Stage;
use crate::payment::row::identity::CodeRow;
use crate::payment::run::identity::LOST;
use crate::payment::run::staff::{Asked, Refused};
use crate::payment::run::{Error, Payments};
use crate::payment::staff::Act;
use crate::payment::unit::Op;

/// How long staff's word holds, microseconds: a day.
const LOST_KEPT: i64 = 24 * 3_600 * 1_000_000;
/// Who asks, in the list of requests: no name of staff can have a space.
const CALLER: &str = "the caller";
/// A caller may ask again after this time, microseconds: a day. Until then it is the same request.
const ASKED_EVERY: i64 = 24 * 3_600 * 1_000_000;

/// What the caller is told about his lost PIN, by language; the first is for every other language.
const TEXTS: &[(&str, &str)] = &[
    (
        "en",
        "You may now choose a new PIN. Use this service again within a day and say that your PIN is lost.",
    ),
    ("es", "Ya puede elegir un PIN nuevo. Use este servicio en un día y diga que perdió su PIN."),
    ("fr", "Vous pouvez choisir un nouveau PIN. Revenez ici avant un jour et dites que votre PIN est perdu."),
    ("sw", "Sasa unaweza kuchagua PIN mpya. Tumia huduma hii tena ndani ya siku moja, useme PIN imepotea."),
    ("zh", "您现在可以设置新密码。请在一天内再次使用本服务并选择密码丢失。"),
];

/// What came of a lost PIN.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LostPin {
    /// Staff have approved it: a new PIN may be chosen.
    Allowed,
    /// Staff will look at it; the caller gets a text message.
    Asked,
    /// Staff said no, a short time ago.
    Rejected,
    /// No code came back from the number.
    NoCode,
}

impl Payments {
    /// What a caller hears whose PIN is lost, after a code to his number; asks staff if nobody has.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn lost_pin(&self, phone: &Msisdn, account: Id) -> Result<LostPin, Error> {
        if self.proven(phone, Some(account)).await?.is_none() {
            return Ok(LostPin::NoCode);
        }
        let now = self.now();
        if self.permit(phone, account).await?.is_some() {
            return Ok(LostPin::Allowed);
        }
        let id = account.derived(&format!("lost PIN {}", now.div_euclid(ASKED_EVERY)));
        let asked = Asked {
            id,
            who: CALLER.to_owned(),
            reason: "lost_pin".to_owned(),
            evidence: format!("a code came back from {phone:?}"),
            act: Act::NewPin { account, phone: phone.clone() },
        };
        match self.ask_staff(&asked).await {
            Ok(Ok(row)) if approval::stage(&row, now) == Stage::Rejected => Ok(LostPin::Rejected),
            Ok(Ok(_)) => Ok(LostPin::Asked),
            Ok(Err(Refused::NoSuch(_))) => Ok(LostPin::NoCode),
            // Another number of the account has asked today.
            Err(Error::IdReused) => Ok(LostPin::Asked),
            Ok(Err(_)) => Err(Error::Busy),
            Err(error) => Err(error),
        }
    }

    /// Staff's word that holds now.
    pub(super) async fn permit(&self, phone: &Msisdn, account: Id) -> Result<Option<CodeRow>, Error> {
        let (row, now) = (self.code_row(phone, LOST).await?, self.now());
        Ok(row.filter(|row| row.account == Some(account) && row.expires_at > now))
    }

    /// The writes of staff's word; nothing when the number is not bound to the account.
    pub(super) async fn permit_ops(&self, account: Id, phone: &Msisdn) -> Result<Option<Vec<Op>>, Error> {
        if self.account_of(phone).await? != Some(account) {
            return Ok(None);
        }
        let language = self.language_of(account).await?;
        let wanted = TEXTS.iter().find(|(tag, _)| Some(*tag) == language.as_deref());
        let text = wanted.or_else(|| TEXTS.first()).map_or("", |(_, text)| *text);
        Ok(Some(vec![
            self.proof(phone, LOST, account, LOST_KEPT).await?,
            self.history(phone, account, "permitted"),
            Op::Outbox(self.sms(Id::new(self.now()), phone, text.to_owned())),
        ]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_staff_fits_one_message() {
        for (tag, text) in TEXTS {
            let most = if *tag == "zh" { 70 } else { 160 };
            assert!(text.chars().count() <= most, "{tag}: {}", text.chars().count());
        }
    }
}
