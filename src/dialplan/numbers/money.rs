//! How amounts are said and shown.

use crate::dialplan::numbers::Numbers;
use crate::dialplan::numbers::plural::Counted;
use crate::dialplan::numbers::rule::{Filling, Part, Slot};
use crate::dialplan::speak::Sound;
use crate::money::Money;

/// The code of the section for currencies that have none of their own.
pub(super) const ANY: &str = "other";

/// A section `money CODE`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct MoneyRule {
    pub(super) code: String,
    pub(super) major: Counted,
    /// Minor units alone.
    pub(super) minor: Counted,
    /// Minor units after major ones; as alone, if it was not written.
    pub(super) after: Counted,
    pub(super) show: String,
}

impl MoneyRule {
    pub(super) fn forms(&self) -> impl Iterator<Item = &[Part]> {
        [&self.major, &self.minor, &self.after].into_iter().flat_map(Counted::forms)
    }
}

impl Numbers {
    /// Whether amounts of a currency can be said.
    #[must_use]
    pub fn has_money(&self, code: &str) -> bool {
        self.money_rule(code).is_some_and(|rule| !rule.major.other.is_empty())
    }

    fn money_rule(&self, code: &str) -> Option<&MoneyRule> {
        let named = |code: &str| self.money.iter().find(|rule| rule.code == code);
        named(code).or_else(|| named(ANY))
    }

    /// An amount: major units, then minor units if there are any. A currency without rules is said by its
    /// letters, as far as these have clips.
    pub fn money(&self, money: Money, out: &mut Vec<Sound>) {
        if money.minor < 0 {
            self.rules.words(&self.minus, out);
        }
        let exponent = money.currency.exponent();
        let unit = 10_u64.pow(exponent.into());
        let (major, minor) = (money.minor.unsigned_abs() / unit, money.minor.unsigned_abs() % unit);
        let code = self.letters_of(money.currency.code());
        let figures = format!("{minor:0width$}", width = usize::from(exponent));
        let say = |counted: &Counted, number: u64, out: &mut Vec<Sound>| {
            let fill = |slot| match slot {
                Slot::Number => Filling::Number(number),
                Slot::Figures => Filling::Digits(&figures),
                Slot::Code => Filling::Parts(&code),
                _ => Filling::Nothing,
            };
            self.rules.say(counted.form(self.plural.class(number)), &fill, out);
        };
        let Some(rule) = self.money_rule(money.currency.code()) else {
            self.rules.words(&code, out);
            self.rules.number(None, major, out);
            if minor > 0 {
                self.digits(&figures, out);
            }
            return;
        };
        if major > 0 || minor == 0 {
            say(&rule.major, major, out);
        }
        if minor > 0 {
            let follows = major > 0 && !rule.after.other.is_empty();
            say(if follows { &rule.after } else { &rule.minor }, minor, out);
        }
    }

    /// The letters of a currency's code that have clips.
    fn letters_of(&self, code: &str) -> Vec<Part> {
        let atom = |letter: char| self.letters.iter().find(|(own, _)| *own == letter);
        code.chars().filter_map(atom).map(|(_, atom)| Part::Atom(atom.clone())).collect()
    }

    /// `50 CNY`, `47.50 CNY`.
    #[must_use]
    pub fn show_money(&self, money: Money) -> String {
        let text = money.amount_text();
        let unit = 10_i64.pow(money.currency.exponent().into());
        let figure = if money.minor % unit == 0 {
            text.split('.').next().unwrap_or_default().to_owned()
        } else {
            text.replace('.', self.decimal.unwrap_or('.').encode_utf8(&mut [0; 4]))
        };
        match self.money_rule(money.currency.code()) {
            Some(rule) if !rule.show.is_empty() => {
                rule.show.replace("{n}", &figure).replace("{code}", money.currency.code())
            }
            _ => format!("{figure} {}", money.currency),
        }
    }
}
