//! The table `[house]`: the house's own money.

use crate::connector::document::{Faults, Section};
use crate::payment::tax::FeeTax;

/// What is read of `[house]`.
pub(super) fn read(house: &mut Section<'_>, faults: &mut Faults<'_>) -> FeeTax {
    let Some(text) = house.text("fee_tax", faults) else { return FeeTax::default() };
    FeeTax::parse(&text.value).unwrap_or_else(|why| {
        faults.add(&text.span, &text.key, why.to_string());
        FeeTax::default()
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
    fn the_tax_on_fees_is_read() {
        assert_eq!(parse("[house]\nfee_tax = \"0.16\"\n").unwrap(), FeeTax::parse("0.16").unwrap());
        assert_eq!(parse("").unwrap(), FeeTax::default());
        let faults = parse("[house]\nfee_tax = \"16\"\nfee = 1\n").unwrap_err();
        assert_eq!(faults.len(), 2, "{faults:?}");
    }
}
