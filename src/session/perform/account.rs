//! Actions about the caller, the account and its numbers.

use crate::dialplan::value::Value;
use crate::payment::answer::Identity;
use crate::session::Error;
use crate::session::perform::given::Given;
use crate::session::perform::{Answer, Desk};

pub(super) async fn perform(
    desk: &mut Desk,
    action: &'static str,
    _given: &mut Given,
) -> Result<Answer, Error> {
    match action {
        "caller.identify" => identify(desk).await,
        other => Err(Error::Action(other)),
    }
}

async fn identify(desk: &mut Desk) -> Result<Answer, Error> {
    Ok(match desk.payments.identify(desk.caller.as_ref()).await? {
        Identity::Bound { account } => {
            desk.account = Some(account);
            ("bound", vec![Value::Text(account.text())])
        }
        Identity::Unbound { phone } => ("unbound", vec![Value::Phone(phone)]),
        Identity::NoNumber => ("no_number", Vec::new()),
    })
}
