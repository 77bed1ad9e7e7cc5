//! Actions of an agent's store.

use crate::dialplan::value::Value;
use crate::payment::run::agents::{Shown, Storekeeping};
use crate::session::Error;
use crate::session::perform::given::Given;
use crate::session::perform::{Answer, Desk};

pub(super) async fn perform(
    desk: &mut Desk,
    action: &'static str,
    given: &mut Given,
) -> Result<Answer, Error> {
    let account = desk.account.ok_or(Error::Action(action))?;
    let payments = &desk.payments;
    if action == "store.look" {
        return Ok(match payments.store_of(account).await? {
            Some(shown) if shown.suspended => ("suspended", Vec::new()),
            Some(shown) => (if shown.open { "open" } else { "closed" }, offered(desk, &shown)),
            None => ("none", Vec::new()),
        });
    }
    // A draft changes nothing.
    if desk.draft {
        return Ok(("none", Vec::new()));
    }
    let kept = match action {
        "store.open" => payments.keep_store(account, true).await?,
        "store.close" => payments.keep_store(account, false).await?,
        "store.amounts" => {
            let (least, most) = (given.money()?, given.money()?);
            payments.set_store_amounts(account, Some(least.minor), Some(most.minor)).await?
        }
        other => return Err(Error::Action(other)),
    };
    let name = match kept {
        Storekeeping::Done(_) => "done",
        Storekeeping::Suspended => "suspended",
        Storekeeping::BadAmounts => "bad_amounts",
        Storekeeping::NoStore => "none",
    };
    Ok((name, Vec::new()))
}

fn offered(desk: &Desk, shown: &Shown) -> Vec<Value> {
    [shown.least_minor, shown.most_minor, shown.price_minor, shown.fee_minor]
        .map(|minor| desk.money(minor))
        .to_vec()
}
