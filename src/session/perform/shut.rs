//! What a caller is told when something is shut: which, and until when.

use crate::dialplan::action::Action;
use crate::dialplan::civil::Moment;
use crate::dialplan::event::Argument;
use crate::dialplan::value::Value;
use crate::payment::row::product;
use crate::payment::run::upkeep::About;
use crate::payment::upkeep::Notice;
use crate::session::Error;
use crate::session::perform::Desk;

/// What somebody wants to pay, of an action that moves money.
pub(super) fn about(desk: &Desk, action: &Action, arguments: &[Argument]) -> Option<About> {
    if !action.moves_money() {
        return None;
    }
    let product = match action.name.split_once('.').map(|(room, _)| room) {
        Some("bill") => product::BILL,
        Some("order") => product::ORDER,
        Some("charge") => product::DEPOSIT,
        _ => product::RECHARGE,
    };
    let value = |name: &str| {
        let place = action.parameters.iter().position(|parameter| parameter.name == name)?;
        match arguments.get(place)? {
            Argument::Value(value) => Some(value),
            Argument::Secret(_) | Argument::Waived => None,
        }
    };
    let phone = match value("phone") {
        Some(Value::Phone(phone)) if product == product::RECHARGE => Some(phone.clone()),
        _ => None,
    };
    let biller = match value("biller") {
        Some(Value::Digits(code) | Value::Text(code)) => Some(code.clone()),
        _ => None,
    };
    Some(About {
        product,
        account: desk.account,
        caller: desk.caller.clone(),
        channel: Some(desk.channel),
        phone,
        biller,
    })
}

/// Both values of the outcome `suspended`.
pub(super) async fn told(desk: &Desk, about: &About) -> Result<Vec<Value>, Error> {
    let notice = desk.payments.notice(about).await?;
    let zone = &desk.payments.settings().zone;
    let back = notice.back.and_then(|at| Moment::from_minutes(crate::clock::Timestamp(at).minutes(zone)));
    Ok(vec![Value::Text(notice.why.to_owned()), Value::Time(back.unwrap_or_default().time)])
}

/// The values when nothing is to be said of it.
pub(super) fn unsaid() -> Vec<Value> {
    vec![Value::Text(Notice::OTHER.why.to_owned()), Value::Time(Moment::default().time)]
}

/// As many of the values as this action's outcome has.
pub(super) fn values(action: &Action, mut values: Vec<Value>) -> Vec<Value> {
    let wanted = action.outcome(super::SUSPENDED).map_or(0, |(_, outcome)| outcome.values.len());
    values.truncate(wanted);
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::action::SUSPENSION;
    use crate::dialplan::civil::Time;

    #[test]
    fn every_word_is_one_of_the_family() {
        for scope in
            ["whole", "product", "carrier", "channel", "biller", "merchant", "agent", "account", "number"]
        {
            let why = Notice::of(scope).why;
            assert!(SUSPENSION.words.contains(&why) && why != "other", "{scope}");
        }
        for why in [Notice::OTHER.why, Notice::maintenance(1, 0).why, Notice::maintenance(i64::MAX, 0).why] {
            assert!(SUSPENSION.words.contains(&why), "{why}");
        }
        assert!(Time::new(12, 0).is_some_and(|noon| unsaid().contains(&Value::Time(noon))));
    }
}
