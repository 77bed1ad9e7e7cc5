//! Conditions, values and messages of a compiled program as a flow writes them.

use crate::dialplan::expression::{Expression, Operator};
use crate::dialplan::program::{PinOnSms, Program, Speech};
use crate::dialplan::route::{Element, Route};
use crate::dialplan::speak::{Format, Piece};
use crate::dialplan::syntax::ast::OpenSpan;
use crate::dialplan::value::Value;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A value or condition, such as `left < least amounts`.
#[must_use]
pub fn expression(program: &Program, expression: &Expression) -> String {
    let inside = |inner: &Expression| {
        let text = self::expression(program, inner);
        if matches!(inner, Expression::Binary(..)) { format!("({text})") } else { text }
    };
    match expression {
        Expression::Value(value) => self::value(value),
        Expression::Variable(index) => variable(program, *index),
        Expression::Field(record, index) => format!("{}.{}", inside(record), field(program, record, *index)),
        Expression::Known(index) => format!("known {}", variable(program, *index)),
        Expression::Today => "today".to_owned(),
        Expression::Now => "now".to_owned(),
        Expression::Count(list) => format!("count {}", inside(list)),
        Expression::Not(inner) => format!("not {}", inside(inner)),
        Expression::Least(list) => format!("least {}", inside(list)),
        Expression::Binary(operator, left, right) => {
            let side = |side: &Expression| match side {
                Expression::Binary(inner, ..) if strength(*inner) <= strength(*operator) => inside(side),
                _ => self::expression(program, side),
            };
            format!("{} {} {}", side(left), symbol(*operator), side(right))
        }
    }
}

const fn symbol(operator: Operator) -> &'static str {
    match operator {
        Operator::Or => "or",
        Operator::And => "and",
        Operator::Equal => "=",
        Operator::NotEqual => "!=",
        Operator::Less => "<",
        Operator::LessEqual => "<=",
        Operator::Greater => ">",
        Operator::GreaterEqual => ">=",
        Operator::In => "in",
        Operator::Add => "+",
        Operator::Subtract => "-",
    }
}

const fn strength(operator: Operator) -> u8 {
    match operator {
        Operator::Or => 0,
        Operator::And => 1,
        Operator::Add | Operator::Subtract => 3,
        _ => 2,
    }
}

/// A variable's name, without the steps that call the sub-flow it belongs to.
pub(crate) fn variable(program: &Program, index: u16) -> String {
    let name = program.variables.get(usize::from(index)).map_or("?", |variable| variable.name.as_str());
    name.rsplit('/').next().unwrap_or(name).to_owned()
}

fn field(program: &Program, record: &Expression, index: u16) -> String {
    use crate::dialplan::value::Type;
    let ty = match record {
        Expression::Variable(variable) => program.variables.get(usize::from(*variable)).map(|v| v.ty),
        _ => None,
    };
    match ty {
        Some(Type::Record(record)) => {
            record.fields.get(usize::from(index)).map_or("?", |f| f.name).to_owned()
        }
        _ => index.to_string(),
    }
}

/// A literal as a flow writes it.
#[must_use]
pub fn value(value: &Value) -> String {
    match value {
        Value::Bool(truth) => if *truth { "yes" } else { "no" }.to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Money(money) => money.to_string(),
        Value::Phone(phone) => phone.masked(),
        Value::Digits(text) | Value::Text(text) => format!("\"{text}\""),
        Value::Date(date) => date.to_string(),
        Value::Time(time) => time.to_string(),
        Value::List(values) | Value::Record(values) => {
            values.iter().map(self::value).collect::<Vec<_>>().join(", ")
        }
    }
}

/// A message in the default language as a screen shows it, with its arguments as the flow writes them:
/// `Amount: {amounts}?`
pub(crate) fn words(program: &Program, speech: &Speech) -> String {
    message(program, speech.message, &|slot| {
        speech.arguments.get(slot).map_or_else(|| "…".to_owned(), |argument| expression(program, argument))
    })
}

/// A message of an index in the default language; `slot` gives what stands in a slot.
fn message(program: &Program, index: u16, slot: &dyn Fn(usize) -> String) -> String {
    let language = program.texts.languages.first();
    let Some(message) = language.and_then(|language| language.messages.get(usize::from(index))) else {
        return String::new();
    };
    let form = [&message.ussd, &message.sms, &message.voice].into_iter().find(|form| !form.is_empty());
    let mut out = String::new();
    for piece in form.into_iter().flatten() {
        match piece {
            Piece::Words(words) => out.push_str(&words.text),
            Piece::Sound(id) => out.push_str(&format!("[{id}]")),
            Piece::Plural { slot: at, other, .. } => {
                out.push_str(&format!("{{{}}} {}", slot(*at), other.text));
            }
            Piece::Slot { format: Format::Key | Format::Label, .. } => out.push('…'),
            Piece::Slot { slot: at, .. } => out.push_str(&format!("{{{}}}", slot(*at))),
        }
    }
    out
}

/// How a caller comes to a flow: `call 12580`, `dial *125*{amount}#`, `text RC {amount} [{phone}]`.
#[must_use]
pub fn route(route: &Route) -> String {
    use crate::dialplan::event::Channel;
    let part = |element: &Element| match element {
        Element::Literal(text) => text.clone(),
        Element::Slot { name, optional: false } => format!("{{{name}}}"),
        Element::Slot { name, optional: true } => format!("[{{{name}}}]"),
    };
    let parts: Vec<String> = route.pattern.iter().map(part).collect();
    match route.channel {
        Channel::Voice => format!("call {}", parts.join(" ")),
        Channel::Ussd => format!("dial *{}#", parts.join("*")),
        Channel::Sms => format!("text {}", parts.join(" ")),
    }
}

/// `mon-fri 08:00-18:00, sat 09:00-12:00`
#[must_use]
pub fn hours(spans: &[OpenSpan]) -> String {
    spans.iter().map(hour).collect::<Vec<_>>().join(", ")
}

fn hour(span: &OpenSpan) -> String {
    let has = |day: usize| span.days & (1 << day) != 0;
    let mut days = Vec::new();
    let mut day = 0;
    while day < DAYS.len() {
        let last = (day..DAYS.len()).take_while(|d| has(*d)).last();
        if let (Some(last), Some(first)) = (last, DAYS.get(day)) {
            let end = DAYS.get(last).filter(|_| last > day);
            days.push(end.map_or_else(|| (*first).to_owned(), |end| format!("{first}-{end}")));
            day = last;
        }
        day += 1;
    }
    let days = if span.days & 0x7f == 0x7f { "daily".to_owned() } else { days.join(", ") };
    format!("{days} {}-{}", span.from, span.to)
}

/// `refuse`, `callback`, `reply` or `none`
#[must_use]
pub const fn pin_on_sms(policy: PinOnSms) -> &'static str {
    match policy {
        PinOnSms::Refuse => "refuse",
        PinOnSms::Callback => "callback",
        PinOnSms::Reply => "reply",
        PinOnSms::None => "none",
    }
}

/// A time such as `90s` or `10m`.
#[must_use]
pub fn duration(duration: std::time::Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        _ if duration.subsec_millis() > 0 => format!("{}ms", duration.as_millis()),
        0 => "0s".to_owned(),
        s if s % 3_600 == 0 => format!("{}h", s / 3_600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::civil::Time;
    use crate::dialplan::event::Channel;

    #[test]
    fn ways_in_are_written_as_people_use_them() {
        let literal = |text: &str| Element::Literal(text.into());
        let slot = |optional| Element::Slot { name: "amount".into(), optional };
        let of = |channel, pattern| route(&Route { channel, flow: "f".into(), draft: false, pattern });
        assert_eq!(of(Channel::Voice, vec![literal("12580")]), "call 12580");
        assert_eq!(of(Channel::Ussd, vec![literal("125"), slot(false)]), "dial *125*{amount}#");
        assert_eq!(of(Channel::Sms, vec![literal("RC"), slot(true)]), "text RC [{amount}]");
    }

    #[test]
    fn hours_are_written_as_the_flow_does() {
        let span = |days, from, to| OpenSpan {
            days,
            from: Time::new(from, 0).unwrap(),
            to: Time::new(to, 0).unwrap(),
        };
        assert_eq!(
            hours(&[span(0b1_1111, 8, 18), span(0b10_0000, 9, 12)]),
            "mon-fri 08:00-18:00, sat 09:00-12:00"
        );
        assert_eq!(hours(&[span(0x7f, 8, 18)]), "daily 08:00-18:00");
        assert_eq!(hours(&[span(0b100_0101, 8, 18)]), "mon, wed, sun 08:00-18:00");
    }
}
