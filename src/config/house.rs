//! The tables `[house]` and `[close]`: the house's own money, and the end of its days.

use crate::connector::document::{Faults, Section};
use crate::payment::day::Statements;
use crate::payment::tax::FeeTax;

/// What is read of `[house]`.
pub(super) fn read(house: &mut Section<'_>, faults: &mut Faults<'_>) -> FeeTax {
    let Some(text) = house.text("fee_tax", faults) else { return FeeTax::default() };
    FeeTax::parse(&text.value).unwrap_or_else(|why| {
        faults.add(&text.span, &text.key, why.to_string());
        FeeTax::default()
    })
}

/// What is read of `[close]`: whether a day is closed although a statement of it was not read.
pub(super) fn close(close: &mut Section<'_>, faults: &mut Faults<'_>) -> Statements {
    let Some(text) = close.text("statements", faults) else { return Statements::default() };
    Statements::named(&text.value).unwrap_or_else(|| {
        faults.add(&text.span, &text.key, "expected ignore, warn or refuse");
        Statements::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::document;

    fn parse(text: &str) -> Result<FeeTax, Vec<document::Fault>> {
        document::read(text, |root, faults| {
            let mut section = root.section("house", faults).unwrap_or_else(|| Section::empty("house"));
            let tax = read(&mut section, faults);
            section.finish(faults);
            Some(tax)
        })
    }

    #[test]
    fn what_the_close_wants_of_statements_is_read() {
        let parse = |text: &str| {
            document::read(text, |root, faults| {
                let mut section = root.section("close", faults).unwrap_or_else(|| Section::empty("close"));
                let statements = close(&mut section, faults);
                section.finish(faults);
                Some(statements)
            })
        };
        assert_eq!(parse("").unwrap(), Statements::Warn);
        assert_eq!(parse("[close]\nstatements = \"refuse\"\n").unwrap(), Statements::Refuse);
        assert_eq!(parse("[close]\nstatements = \"ignore\"\n").unwrap(), Statements::Ignore);
        assert_eq!(parse("[close]\nstatements = \"yes\"\nall = 1\n").unwrap_err().len(), 2);
    }

    #[test]
    fn the_tax_on_fees_is_read() {
        assert_eq!(parse("[house]\nfee_tax = \"0.16\"\n").unwrap(), FeeTax::parse("0.16").unwrap());
        assert_eq!(parse("").unwrap(), FeeTax::default());
        let faults = parse("[house]\nfee_tax = \"16\"\nfee = 1\n").unwrap_err();
        assert_eq!(faults.len(), 2, "{faults:?}");
    }
}
