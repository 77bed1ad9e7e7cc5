//! What an action is given, taken in the order of its parameters.

use crate::dialplan::event::Argument;
use crate::dialplan::value::Value;
use crate::money::Money;
use crate::msisdn::Msisdn;
use crate::secret::Secret;
use crate::session::Error;

/// The arguments that are left.
pub(super) struct Given {
    action: &'static str,
    left: std::vec::IntoIter<Argument>,
}

/// Every one of these fails when the argument is of another type: the checker and the table do not agree then.
#[expect(dead_code, reason = "not every type is a parameter of an action that is performed")]
impl Given {
    pub(super) fn new(action: &'static str, arguments: Vec<Argument>) -> Self {
        Self { action, left: arguments.into_iter() }
    }

    /// A secret, or the word that there is none.
    pub(super) fn vouched(&mut self) -> Result<Argument, Error> {
        match self.left.next() {
            Some(argument @ (Argument::Secret(_) | Argument::Waived)) => Ok(argument),
            Some(Argument::Value(_)) | None => Err(Error::Action(self.action)),
        }
    }

    pub(super) fn secret(&mut self) -> Result<Secret, Error> {
        match self.left.next() {
            Some(Argument::Secret(secret)) => Ok(secret),
            Some(Argument::Waived | Argument::Value(_)) | None => Err(Error::Action(self.action)),
        }
    }

    pub(super) fn value(&mut self) -> Result<Value, Error> {
        match self.left.next() {
            Some(Argument::Value(value)) => Ok(value),
            Some(Argument::Secret(_) | Argument::Waived) | None => Err(Error::Action(self.action)),
        }
    }

    pub(super) fn phone(&mut self) -> Result<Msisdn, Error> {
        let Value::Phone(phone) = self.value()? else { return Err(Error::Action(self.action)) };
        Ok(phone)
    }

    pub(super) fn money(&mut self) -> Result<Money, Error> {
        let Value::Money(money) = self.value()? else { return Err(Error::Action(self.action)) };
        Ok(money)
    }

    pub(super) fn yes(&mut self) -> Result<bool, Error> {
        let Value::Bool(yes) = self.value()? else { return Err(Error::Action(self.action)) };
        Ok(yes)
    }

    pub(super) fn int(&mut self) -> Result<i64, Error> {
        let Value::Int(int) = self.value()? else { return Err(Error::Action(self.action)) };
        Ok(int)
    }

    pub(super) fn digits(&mut self) -> Result<String, Error> {
        let Value::Digits(digits) = self.value()? else { return Err(Error::Action(self.action)) };
        Ok(digits)
    }

    pub(super) fn text(&mut self) -> Result<String, Error> {
        let Value::Text(text) = self.value()? else { return Err(Error::Action(self.action)) };
        Ok(text)
    }
}
