//! The tables `[[biller]]`: who issues bills, how their numbers look, and what may be paid of them.

use super::limit;
use crate::connector::definition::is_id;
use crate::connector::document::{Faults, Section};
use crate::dialplan::action::BILLER_KIND;
use crate::money::Currency;
use crate::payment::bill::{
    BILLERS_MAX, Biller, CODE_DIGITS_MAX, CheckDigit, Directory, NUMBER_DIGITS_MAX, Rule,
};

/// What is read of every table `[[biller]]`.
pub(super) fn read(root: &mut Section<'_>, currency: Currency, faults: &mut Faults<'_>) -> Directory {
    let mut billers: Vec<Biller> = Vec::new();
    for mut section in root.sections("biller", faults) {
        let biller = one(&mut section, currency, faults);
        if billers.iter().any(|known| known.id == biller.id || known.code == biller.code) {
            faults.add(&section.span, &section.key, "has the id or the code of another biller");
        }
        if billers.len() == BILLERS_MAX {
            faults.add(&section.span, &section.key, format!("expected at most {BILLERS_MAX} billers"));
            section.finish(faults);
            break;
        }
        section.finish(faults);
        billers.push(biller);
    }
    Directory::new(billers)
}

fn one(biller: &mut Section<'_>, currency: Currency, faults: &mut Faults<'_>) -> Biller {
    let id = biller.need_text("id", faults);
    if let Some(id) = id.as_ref().filter(|id| !is_id(&id.value)) {
        let wanted = "expected 1 to 32 lower-case letters, digits and hyphens";
        faults.add(&id.span, &id.key, wanted);
    }
    let code = biller.need_text("code", faults);
    if let Some(code) = &code
        && (code.value.is_empty()
            || code.value.len() > CODE_DIGITS_MAX
            || !code.value.bytes().all(|b| b.is_ascii_digit()))
    {
        faults.add(&code.span, &code.key, format!("expected 1 to {CODE_DIGITS_MAX} digits"));
    }
    let name = biller.need_text("name", faults);
    let connector = biller.need_text("connector", faults);
    let kind = biller.text("kind", faults);
    if let Some(kind) = kind.as_ref().filter(|kind| !BILLER_KIND.words.contains(&kind.value.as_str())) {
        let words = BILLER_KIND.words.join(", ");
        faults.add(&kind.span, &kind.key, format!("expected one of {words}"));
    }
    let most = i64::try_from(NUMBER_DIGITS_MAX).unwrap_or(i64::MAX);
    let mut digits = |key: &str, default: usize| {
        let number = biller.integer(key, 1..=most, faults);
        number.and_then(|n| usize::try_from(n.value).ok()).unwrap_or(default)
    };
    let digits_min = digits("digits_min", 4);
    let digits_max = digits("digits_max", 20);
    if digits_min > digits_max {
        faults.add(&biller.span, "biller.digits_min", "is above digits_max");
    }
    let check = match biller.text("check", faults) {
        None => CheckDigit::None,
        Some(text) => match text.value.as_str() {
            "none" => CheckDigit::None,
            "luhn" => CheckDigit::Luhn,
            _ => {
                faults.add(&text.span, &text.key, "expected \"none\" or \"luhn\"");
                CheckDigit::None
            }
        },
    };
    let rule = match biller.text("pay", faults) {
        None => Rule::Exact,
        Some(text) => match text.value.as_str() {
            "exact" => Rule::Exact,
            "part" => Rule::Part,
            "over" => Rule::Over,
            "any" => Rule::Any,
            _ => {
                faults.add(&text.span, &text.key, "expected \"exact\", \"part\", \"over\" or \"any\"");
                Rule::Exact
            }
        },
    };
    let known = (currency != Currency::NONE).then_some(currency);
    Biller {
        id: id.map(|t| t.value).unwrap_or_default(),
        code: code.map(|t| t.value).unwrap_or_default(),
        name: name.map(|t| t.value).unwrap_or_default(),
        kind: kind.map_or_else(|| "other".to_owned(), |t| t.value),
        connector: connector.map(|t| t.value).unwrap_or_default(),
        digits_min,
        digits_max,
        check,
        fee_minor: limit(biller, "fee", known, faults).unwrap_or(0),
        rule,
        payment_limit_minor: limit(biller, "payment_limit", known, faults),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::document;

    fn parse(text: &str) -> Result<Directory, Vec<document::Fault>> {
        let currency = Currency::new("CNY").unwrap();
        document::read(text, |root, faults| Some(read(root, currency, faults)))
    }

    const GOOD: &str = "[[biller]]\nid = \"water\"\ncode = \"101\"\nname = \"City Water\"\nkind = \"water\"\n\
        connector = \"sandbox-biller\"\ndigits_min = 6\ndigits_max = 12\ncheck = \"luhn\"\nfee = \"0.50\"\n\
        pay = \"part\"\npayment_limit = \"500\"\n";

    #[test]
    fn a_directory_is_read() {
        let directory = parse(GOOD).unwrap();
        let biller = directory.by_code("101").unwrap();
        assert_eq!(directory.by_id("water"), Some(biller));
        assert_eq!((biller.fee_minor, biller.rule, biller.check), (50, Rule::Part, CheckDigit::Luhn));
        assert_eq!((biller.digits_min, biller.digits_max), (6, 12));
        assert_eq!(biller.payment_limit_minor, Some(50_000));
        assert_eq!(parse("").unwrap(), Directory::default());
    }

    #[test]
    fn every_fault_is_named() {
        let bad = GOOD
            .replace("\"water\"\ncode = \"101\"", "\"Water\"\ncode = \"10x\"")
            .replace("kind = \"water\"", "kind = \"wine\"")
            .replace("digits_min = 6", "digits_min = 13")
            .replace("\"luhn\"", "\"moon\"")
            .replace("\"part\"", "\"half\"")
            .replace("\"0.50\"", "\"0.505\"");
        let faults = parse(&bad).unwrap_err();
        assert_eq!(faults.len(), 7, "{faults:#?}");
        let twice = format!("{GOOD}{GOOD}");
        let faults = parse(&twice).unwrap_err();
        assert!(faults.len() == 1 && faults[0].message.contains("another biller"), "{faults:?}");
    }
}
