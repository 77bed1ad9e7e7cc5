//! Numbers that left the operator of their range: a table from a CSV file, which overrides the prefixes. Pure.
//!
//! Each line is `number,operator`; a first line that names columns, empty lines and lines that begin with `#` are passed over.
//! A number is in full (`+8613800000001`) or national.

use crate::connector::document::Fault;
use crate::msisdn::Msisdn;

/// Numbers in one table, at most: 16 bytes each.
pub const PORTED_MAX: usize = 20_000_000;
/// Faults that one table tells.
const FAULTS_MAX: usize = 20;

/// Ported numbers with their operators.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ported {
    operators: Vec<String>,
    /// Digits of full numbers with the place of the operator, sorted.
    numbers: Vec<(u64, u16)>,
}

impl Ported {
    /// Reads a table. `operators` are those that numbers of the plan may have; of a number that is there twice the later line
    /// counts.
    ///
    /// # Errors
    /// The first twenty faults with their lines.
    pub fn parse<'o>(
        csv: &str,
        country: &str,
        operators: impl Iterator<Item = &'o str>,
    ) -> Result<Self, Vec<Fault>> {
        let mut names: Vec<String> = operators.map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        let mut numbers: Vec<(u64, u16)> = Vec::new();
        let mut faults = Vec::new();
        for (at, line) in csv.lines().enumerate() {
            let line = line.trim().trim_start_matches('\u{feff}');
            let (number, operator) = line.split_once([',', ';']).unwrap_or((line, ""));
            let (number, operator) = (unquoted(number), unquoted(operator));
            let head = at == 0 && !number.bytes().any(|b| b.is_ascii_digit());
            if line.is_empty() || line.starts_with('#') || head {
                continue;
            }
            let mut fault = |message: String| {
                if faults.len() < FAULTS_MAX {
                    faults.push(Fault { line: at + 1, key: String::new(), message });
                }
            };
            let full =
                if number.starts_with('+') { number.to_owned() } else { format!("+{country}{number}") };
            let digits = Msisdn::parse(&full).ok().and_then(|phone| phone.digits().parse().ok());
            let known = names.iter().position(|name| name == operator).and_then(|n| u16::try_from(n).ok());
            match (digits, known) {
                (Some(digits), Some(known)) if numbers.len() < PORTED_MAX => numbers.push((digits, known)),
                (Some(_), Some(_)) => {
                    fault(format!("expected at most {PORTED_MAX} numbers"));
                    break;
                }
                (None, _) => fault("expected a telephone number, a comma and an operator".to_owned()),
                (_, None) => fault(format!("no mobile [[range]] has the operator \"{operator}\"")),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        // Stable, so that of equal numbers the later line is the last.
        numbers.sort_by_key(|(digits, _)| *digits);
        numbers.reverse();
        numbers.dedup_by_key(|(digits, _)| *digits);
        numbers.reverse();
        numbers.shrink_to_fit();
        Ok(Self { operators: names, numbers })
    }

    /// The operator that a number was ported to.
    #[must_use]
    pub fn operator(&self, phone: &Msisdn) -> Option<&str> {
        let digits: u64 = phone.digits().parse().ok()?;
        let at = self.numbers.binary_search_by_key(&digits, |(digits, _)| *digits).ok()?;
        let (_, operator) = self.numbers.get(at)?;
        self.operators.get(usize::from(*operator)).map(String::as_str)
    }

    /// How many numbers are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether no number is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }
}

fn unquoted(text: &str) -> &str {
    text.trim().trim_matches('"').trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(csv: &str) -> Result<Ported, Vec<Fault>> {
        Ported::parse(csv, "86", ["mobile", "unicom", "mobile"].into_iter())
    }

    fn of(ported: &Ported, number: &str) -> Option<String> {
        ported.operator(&Msisdn::parse(number).unwrap()).map(str::to_owned)
    }

    #[test]
    fn full_and_national_numbers_are_read_and_the_later_line_counts() {
        let ported = parse(
            "\u{feff}number,operator\r\n# ported in May\n\n13800000001,unicom\n\"+8613000000001\";\"mobile\"\n\
             13800000002,mobile\n13800000002, unicom\n",
        )
        .unwrap();
        assert_eq!(of(&ported, "+8613800000001").as_deref(), Some("unicom"));
        assert_eq!(of(&ported, "+8613000000001").as_deref(), Some("mobile"));
        assert_eq!(of(&ported, "+8613800000002").as_deref(), Some("unicom"));
        assert_eq!(of(&ported, "+8613800000003"), None);
        assert_eq!((ported.len(), ported.is_empty()), (3, false));
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn faults_have_their_lines_and_are_bounded() {
        let faults = parse("13800000001,unicom\nx1,mobile\n13800000001,telecom\n13800000001\n").unwrap_err();
        assert_eq!(faults.iter().map(|f| f.line).collect::<Vec<_>>(), [2, 3, 4]);
        assert!(faults[1].message.contains("telecom"), "{faults:?}");
        assert_eq!(parse(&"x1,y\n".repeat(100)).unwrap_err().len(), FAULTS_MAX);
    }

    proptest! {
        #[test]
        fn it_is_a_map_whose_later_lines_win(lines in prop::collection::vec((0_u64..40, 0_usize..2), 0..80)) {
            let names = ["mobile", "unicom"];
            let number = |n: u64| format!("138{n:08}");
            let csv: String = lines.iter().map(|(n, o)| format!("{},{}\n", number(*n), names[*o])).collect();
            let ported = parse(&csv).unwrap();
            for n in 0..40 {
                let wanted = lines.iter().rev().find(|(m, _)| *m == n).map(|(_, o)| names[*o].to_owned());
                prop_assert_eq!(of(&ported, &format!("+86{}", number(n))), wanted);
            }
        }
    }
}
