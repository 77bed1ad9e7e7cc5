//! How a carrier writes its statements: a TOML file that maps columns or JSON paths, and words, to what we compare.
//!
//! ```toml
//! format = "csv"                      # or "json" (one document), "json_lines"
//! separator = ";"                     # csv only; "," without it
//! rows = "data.items"                 # json only: where the list is; the document itself without it
//! time = "%d/%m/%Y %H:%M:%S"          # or "rfc3339", "unix", "unix_ms"
//! zone = "Africa/Nairobi"             # of times without an offset; UTC without it
//! decimal = ","                       # "." without it
//! amounts = "cost"                    # what the carrier took; "face" (without it) is the recharge's face value
//! drift_s = 600                       # how far apart times may be when nothing else tells
//!
//! [columns]                           # header names, or paths such as "recipient.phone"
//! our_reference = "External ID"
//! carrier_reference = "Txn"
//! number = "MSISDN"
//! bill = "Account"                    # instead of number: a biller's statement names bills
//! amount = "Amount"
//! time = "Date"
//! status = "Result"
//!
//! [status]
//! delivered = ["SUCCESS", "COMPLETED"]
//! refused = ["FAILED"]
//! reversed = ["REFUNDED"]
//! pending = ["PENDING"]
//! ```

use std::collections::BTreeMap;
use std::io::BufRead;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::money::{Currency, Money};
use crate::msisdn::Msisdn;
use crate::payment::csv;
use crate::payment::statement::{Line, Status};

/// Largest JSON document, bytes: it is read whole. Longer statements come as CSV or JSON lines.
pub const JSON_MAX: u64 = 256 * 1024 * 1024;
/// Most lines of a statement.
pub const LINES_MAX: usize = 5_000_000;
/// The drift when the profile names none.
const DRIFT_S: u32 = 600;

/// A profile that was read and checked.
#[derive(Clone, Debug)]
pub struct Profile {
    format: Format,
    separator: u8,
    rows: Option<String>,
    time: Time,
    zone: TimeZone,
    decimal: char,
    columns: Columns,
    words: BTreeMap<String, Status>,
    /// Whether amounts are what the carrier took, not face value.
    pub costs: bool,
    /// How far apart times may be.
    pub drift: Duration,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    Csv,
    Json,
    JsonLines,
}

#[derive(Clone, Debug)]
enum Time {
    Rfc3339,
    Unix,
    UnixMillis,
    Written(String),
}

#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Columns {
    our_reference: Option<String>,
    carrier_reference: Option<String>,
    number: Option<String>,
    bill: Option<String>,
    amount: String,
    time: Option<String>,
    status: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: Format,
    separator: Option<String>,
    rows: Option<String>,
    time: Option<String>,
    zone: Option<String>,
    decimal: Option<String>,
    amounts: Option<String>,
    drift_s: Option<u32>,
    columns: Columns,
    #[serde(default)]
    status: BTreeMap<String, Vec<String>>,
}

/// What is wrong with a profile or a statement.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The profile's TOML.
    #[error("the profile: {0}")]
    Toml(#[from] toml::de::Error),
    /// A value of the profile.
    #[error("the profile: {0}")]
    Value(String),
    /// The statement has no such column.
    #[error("the statement has no column \"{0}\"; it has: {1}")]
    Column(String, String),
    /// The document.
    #[error("the statement: {0}")]
    Document(String),
    /// Over [`LINES_MAX`].
    #[error("the statement has more than {LINES_MAX} lines")]
    Lines,
}

/// Where numbers are from and what money is in.
#[derive(Clone, Debug)]
pub struct Market<'a> {
    /// The country's code.
    pub country: &'a str,
    /// Most digits of a national number.
    pub national_max: usize,
    /// The one currency.
    pub currency: Currency,
}

/// What a statement came to: its lines, and what could not be read of it by line.
#[derive(Debug, Default)]
pub struct Statement {
    /// The lines.
    pub lines: Vec<Line>,
    /// Line and why.
    pub faults: Vec<(i64, String)>,
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let file: File = toml::from_str(text)?;
        let separator = match file.separator.as_deref() {
            None => b',',
            Some("\\t" | "\t") => b'\t',
            Some(text) => match text.as_bytes() {
                [byte] if byte.is_ascii() && *byte != b'"' => *byte,
                _ => return Err(Error::Value(format!("separator \"{text}\" is not one character"))),
            },
        };
        let zone = match &file.zone {
            None => TimeZone::UTC,
            Some(name) => {
                TimeZone::get(name).map_err(|_| Error::Value(format!("there is no time zone \"{name}\"")))?
            }
        };
        let time = match file.time.as_deref() {
            None | Some("rfc3339") => Time::Rfc3339,
            Some("unix") => Time::Unix,
            Some("unix_ms") => Time::UnixMillis,
            Some(format) => Time::Written(format.to_owned()),
        };
        let decimal = match file.decimal.as_deref() {
            None | Some(".") => '.',
            Some(",") => ',',
            Some(other) => return Err(Error::Value(format!("decimal \"{other}\" is neither . nor ,"))),
        };
        let costs = match file.amounts.as_deref() {
            None | Some("face") => false,
            Some("cost") => true,
            Some(other) => return Err(Error::Value(format!("amounts \"{other}\" is neither face nor cost"))),
        };
        let mut words = BTreeMap::new();
        for (name, spellings) in &file.status {
            let status = match name.as_str() {
                "delivered" => Status::Delivered,
                "refused" => Status::Refused,
                "reversed" => Status::Reversed,
                "pending" => Status::Pending,
                other => return Err(Error::Value(format!("[status] has no \"{other}\""))),
            };
            for word in spellings {
                if words.insert(word.to_lowercase(), status).is_some_and(|before| before != status) {
                    return Err(Error::Value(format!("\"{word}\" stands under two statuses")));
                }
            }
        }
        if file.columns.status.is_some() && words.is_empty() {
            return Err(Error::Value("a status column needs the words of [status]".to_owned()));
        }
        let columns = file.columns;
        let keys = [&columns.our_reference, &columns.carrier_reference, &columns.number, &columns.bill];
        if keys.iter().all(|c| c.is_none()) {
            let what =
                "name at least one of our_reference, carrier_reference, number and bill under [columns]";
            return Err(Error::Value(what.to_owned()));
        }
        Ok(Self {
            format: file.format,
            separator,
            rows: file.rows,
            time,
            zone,
            decimal,
            columns,
            words,
            costs,
            drift: Duration::from_secs(u64::from(file.drift_s.unwrap_or(DRIFT_S))),
        })
    }

    /// Reads a statement. `progress` hears the number of lines now and then.
    ///
    /// # Errors
    /// When the file as a whole cannot be read; a line that cannot be read is among [`Statement::faults`].
    pub fn read(
        &self,
        input: &mut dyn BufRead,
        market: &Market<'_>,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Statement, Error> {
        let mut statement = Statement::default();
        match self.format {
            Format::Csv => self.read_csv(input, market, progress, &mut statement)?,
            Format::Json => {
                let mut text = Vec::new();
                let mut limited = std::io::Read::take(input, JSON_MAX.saturating_add(1));
                std::io::Read::read_to_end(&mut limited, &mut text)
                    .map_err(|e| Error::Document(e.to_string()))?;
                if u64::try_from(text.len()).is_ok_and(|len| len > JSON_MAX) {
                    return Err(Error::Document(format!(
                        "longer than {JSON_MAX} bytes; take JSON lines or CSV"
                    )));
                }
                let document: serde_json::Value =
                    serde_json::from_slice(&text).map_err(|e| Error::Document(e.to_string()))?;
                let rows = self.rows.as_deref().map_or(Some(&document), |path| at(&document, path));
                let rows = rows.and_then(|r| r.as_array());
                let rows =
                    rows.ok_or_else(|| Error::Document("there is no list where `rows` says".to_owned()))?;
                for (number, row) in (1_i64..).zip(rows) {
                    self.add(number, &|path| json_text(row, path), market, progress, &mut statement)?;
                }
            }
            Format::JsonLines => {
                let mut number = 0_i64;
                let mut text = String::new();
                loop {
                    text.clear();
                    let read = input.read_line(&mut text).map_err(|e| Error::Document(e.to_string()))?;
                    if read == 0 {
                        break;
                    }
                    number = number.saturating_add(1);
                    if text.trim().is_empty() {
                        continue;
                    }
                    match serde_json::from_str::<serde_json::Value>(&text) {
                        Ok(row) => {
                            let cell = |path: &str| json_text(&row, path);
                            self.add(number, &cell, market, progress, &mut statement)?;
                        }
                        Err(error) => statement.faults.push((number, error.to_string())),
                    }
                }
            }
        }
        progress(statement.lines.len());
        Ok(statement)
    }

    fn read_csv(
        &self,
        input: &mut dyn BufRead,
        market: &Market<'_>,
        progress: &mut dyn FnMut(usize),
        statement: &mut Statement,
    ) -> Result<(), Error> {
        let mut reader = csv::Reader::new(input, self.separator);
        let header = match reader.row() {
            Some(Ok((_, header))) => header,
            Some(Err((_, error))) => return Err(Error::Document(error.to_string())),
            None => return Err(Error::Document("is empty".to_owned())),
        };
        let places: BTreeMap<&str, usize> =
            header.iter().enumerate().map(|(at, name)| (name.trim(), at)).collect();
        let columns = &self.columns;
        let named = [
            &columns.our_reference,
            &columns.carrier_reference,
            &columns.number,
            &columns.bill,
            &columns.time,
            &columns.status,
        ];
        for name in named.into_iter().flatten().chain([&columns.amount]) {
            if !places.contains_key(name.as_str()) {
                return Err(Error::Column(name.clone(), header.join(", ")));
            }
        }
        while let Some(row) = reader.row() {
            match row {
                Ok((number, cells)) => {
                    let cell = |name: &str| places.get(name).and_then(|at| cells.get(*at)).cloned();
                    self.add(number, &cell, market, progress, statement)?;
                }
                Err((number, error)) => {
                    let ends = matches!(error, csv::Error::Io(_) | csv::Error::OpenQuote);
                    statement.faults.push((number, error.to_string()));
                    if ends {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn add(
        &self,
        number: i64,
        cell: &dyn Fn(&str) -> Option<String>,
        market: &Market<'_>,
        progress: &mut dyn FnMut(usize),
        statement: &mut Statement,
    ) -> Result<(), Error> {
        match self.line(number, cell, market) {
            Ok(line) => statement.lines.push(line),
            Err(why) => statement.faults.push((number, why)),
        }
        if statement.lines.len() > LINES_MAX {
            return Err(Error::Lines);
        }
        if statement.lines.len().is_multiple_of(1_000) {
            progress(statement.lines.len());
        }
        Ok(())
    }

    fn line(
        &self,
        number: i64,
        cell: &dyn Fn(&str) -> Option<String>,
        market: &Market<'_>,
    ) -> Result<Line, String> {
        let text = |name: &Option<String>| -> Option<String> {
            let text = cell(name.as_deref()?)?;
            let text = text.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        let columns = &self.columns;
        let amount = text(&Some(columns.amount.clone())).ok_or("no amount")?;
        let amount_minor = self.amount(&amount, market.currency)?;
        let at = text(&columns.time).map(|time| self.moment(&time)).transpose()?;
        let status = match (&columns.status, text(&columns.status)) {
            (None, _) => Status::Delivered,
            (Some(_), None) => return Err("no status".to_owned()),
            (Some(_), Some(word)) => *self
                .words
                .get(&word.to_lowercase())
                .ok_or_else(|| format!("the status \"{word}\" is not under [status]"))?,
        };
        let phone = text(&columns.number).and_then(|phone| {
            let read = Msisdn::dialled(&phone, market.country, market.national_max);
            read.or_else(|_| Msisdn::parse(&format!("+{}", phone.trim_start_matches('+')))).ok()
        });
        Ok(Line {
            number,
            our_reference: text(&columns.our_reference),
            carrier_reference: text(&columns.carrier_reference),
            phone: phone.map(|phone| phone.as_str().to_owned()).or_else(|| text(&columns.bill)),
            amount_minor,
            at,
            status,
        })
    }

    fn amount(&self, text: &str, currency: Currency) -> Result<i64, String> {
        let grouping = if self.decimal == ',' { '.' } else { ',' };
        let plain: String = text
            .chars()
            .filter(|c| *c != grouping && *c != ' ' && *c != '\u{a0}')
            .map(|c| if c == self.decimal { '.' } else { c })
            .collect();
        // Carriers write what they took as a negative amount, too.
        let plain = plain.strip_prefix('-').unwrap_or(&plain);
        match Money::parse(plain, currency) {
            Ok(money) => Ok(money.minor),
            Err(error) => Err(format!("the amount \"{text}\": {error}")),
        }
    }

    fn moment(&self, text: &str) -> Result<i64, String> {
        let wrong = |_| format!("the time \"{text}\" is not written as the profile says");
        let number = |factor: i64| {
            let value = text.parse::<i64>().ok().and_then(|value| value.checked_mul(factor));
            value.ok_or_else(|| wrong(()))
        };
        match &self.time {
            Time::Unix => number(1_000_000),
            Time::UnixMillis => number(1_000),
            Time::Rfc3339 => {
                text.parse::<jiff::Timestamp>().map(|t| t.as_microsecond()).map_err(|_| wrong(()))
            }
            Time::Written(format) => {
                if let Ok(at) = jiff::Timestamp::strptime(format, text) {
                    return Ok(at.as_microsecond());
                }
                let civil = jiff::civil::DateTime::strptime(format, text).map_err(|_| wrong(()))?;
                let zoned = civil.to_zoned(self.zone.clone()).map_err(|_| wrong(()))?;
                Ok(zoned.timestamp().as_microsecond())
            }
        }
    }
}

fn at<'a>(value: &'a serde_json::Value, path: &str) -> Option<&'a serde_json::Value> {
    path.split('.').try_fold(value, |value, name| match name.parse::<usize>() {
        Ok(place) if value.is_array() => value.get(place),
        _ => value.get(name),
    })
}

/// A value as text. A number becomes the shortest text that reads the same, which is exact up to 15 digits.
fn json_text(row: &serde_json::Value, path: &str) -> Option<String> {
    match at(row, path)? {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        serde_json::Value::Bool(yes) => Some(yes.to_string()),
        serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = r#"
format = "csv"
separator = ";"
time = "%d/%m/%Y %H:%M:%S"
zone = "Africa/Nairobi"
decimal = ","
drift_s = 60
[columns]
our_reference = "External ID"
number = "MSISDN"
amount = "Amount"
time = "Date"
status = "Result"
[status]
delivered = ["SUCCESS"]
refused = ["FAILED"]
"#;

    fn market() -> Market<'static> {
        Market { country: "254", national_max: 10, currency: Currency::new("KES").unwrap() }
    }

    fn read(profile: &str, text: &str) -> Result<Statement, Error> {
        Profile::parse(profile).unwrap().read(&mut text.as_bytes(), &market(), &mut |_| {})
    }

    #[test]
    fn a_csv_statement_is_read_with_its_own_words() {
        let text = "Date;External ID;MSISDN;Amount;Result\n\
                    01/02/2026 03:00:00;kt-1;+254712345678;1.250,50;success\n\
                    01/02/2026 03:00:00;kt-2;254712345678;-10;FAILED\n\
                    yesterday;kt-3;;10;SUCCESS\n\
                    01/02/2026 03:00:00;kt-4;;10;MAYBE\n\
                    01/02/2026 03:00:00;kt-5;;ten;SUCCESS\n";
        let statement = read(CSV, text).unwrap();
        let [first, second] = statement.lines.as_slice() else { panic!("{statement:?}") };
        assert_eq!((first.number, first.amount_minor, first.status), (2, 125_050, Status::Delivered));
        assert_eq!(first.at, Some(1_769_904_000_000_000));
        assert_eq!(first.phone.as_deref(), Some("+254712345678"));
        assert_eq!((second.amount_minor, second.status), (1_000, Status::Refused));
        assert_eq!(second.phone.as_deref(), Some("+254712345678"));
        let faults: Vec<i64> = statement.faults.iter().map(|(line, _)| *line).collect();
        assert_eq!(faults, [4, 5, 6]);
        assert!(statement.faults[1].1.contains("MAYBE"));
    }

    #[test]
    fn json_comes_as_a_document_or_by_lines() {
        let columns = "[columns]\nour_reference = \"ref\"\namount = \"money.value\"\ntime = \"at\"\n";
        let document = format!("format = \"json\"\nrows = \"data.items\"\ntime = \"unix\"\n{columns}");
        let row = r#"{"ref":"a","money":{"value":12.30},"at":1700000000}"#;
        let whole = read(&document, &format!(r#"{{"data":{{"items":[{row},{row}]}}}}"#)).unwrap();
        assert_eq!(whole.lines.len(), 2);
        assert_eq!((whole.lines[1].amount_minor, whole.lines[1].number), (1_230, 2));
        assert_eq!(whole.lines[0].at, Some(1_700_000_000_000_000));
        let lines = format!("format = \"json_lines\"\ntime = \"unix\"\n{columns}");
        let read_lines = read(&lines, &format!("{row}\n\nnot json\n{row}\n")).unwrap();
        assert_eq!(
            read_lines.lines,
            vec![whole.lines[0].clone(), Line { number: 4, ..whole.lines[0].clone() }]
        );
        assert_eq!(read_lines.faults.len(), 1);
        assert!(read(&document, "{}").unwrap_err().to_string().contains("rows"));
    }

    #[test]
    fn a_profile_that_cannot_work_says_why() {
        let cases = [
            (CSV.replace("Africa/Nairobi", "Mars/North"), "time zone"),
            (CSV.replace("\";\"", "\"ab\""), "one character"),
            (CSV.replace("[\"FAILED\"]", "[\"success\"]"), "two statuses"),
            (CSV.replace("refused =", "failed ="), "failed"),
            (CSV.replace("drift_s", "drift"), "drift"),
            (CSV.replace("format = \"csv\"", "format = \"xls\""), "xls"),
        ];
        for (profile, why) in cases {
            let said = Profile::parse(&profile).unwrap_err().to_string();
            assert!(said.contains(why), "{said}");
        }
        let said = read(CSV, "Date;MSISDN;Amount;Result\n").unwrap_err().to_string();
        assert!(said.contains("External ID") && said.contains("MSISDN"), "{said}");
    }
}
