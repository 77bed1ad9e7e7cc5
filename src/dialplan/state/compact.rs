//! Values as a saved state writes them: few bytes, and still read by a person. A sign says what the text after it is.
//!
//! ```text
//! true  7  "$5000 CNY"  "+8613800000001"  "#204813"  "=City Water"  "@2026-12-31"  "@18:05"  [list]  {"r":[record]}
//! ```
//! Amounts are in minor units. A telephone number begins with its own plus. Among variables, `"-12"` stands for twelve in a row
//! that are not set; in the log, a number alone for a variable that was not set, `[7]` for one that was as it was logged before. What was written before there were such
//! signs is read as well.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::dialplan::civil::{Date, Time};
use crate::dialplan::value::Value;
use crate::money::{Currency, Money};
use crate::msisdn::Msisdn;

/// The key of a record's fields.
const RECORD: &str = "r";

/// A value to be written.
struct Writing<'v>(&'v Value);

/// A value that was read.
struct Reading(Value);

impl Serialize for Writing<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Bool(truth) => to.serialize_bool(*truth),
            Value::Int(number) => to.serialize_i64(*number),
            Value::Money(money) => {
                to.collect_str(&format_args!("${} {}", money.minor, money.currency.code()))
            }
            Value::Phone(phone) => to.serialize_str(phone.as_str()),
            Value::Digits(digits) => to.collect_str(&format_args!("#{digits}")),
            Value::Text(text) => to.collect_str(&format_args!("={text}")),
            Value::Date(date) => to.collect_str(&format_args!("@{date}")),
            Value::Time(time) => to.collect_str(&format_args!("@{time}")),
            Value::List(items) => to.collect_seq(items.iter().map(Self::of)),
            Value::Record(fields) => {
                let mut map = to.serialize_map(Some(1))?;
                map.serialize_entry(RECORD, &fields.iter().map(Self::of).collect::<Vec<_>>())?;
                map.end()
            }
        }
    }
}

impl<'v> Writing<'v> {
    const fn of(value: &'v Value) -> Self {
        Self(value)
    }
}

impl<'de> Deserialize<'de> for Reading {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyValue).map(Self)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of a variable")
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        i64::try_from(number).map(Value::Int).map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        read(text).ok_or_else(|| E::invalid_value(de::Unexpected::Other("text without its sign"), &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Reading(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        match map.next_entry::<String, Vec<Reading>>()? {
            Some((key, fields)) if key == RECORD => {
                Ok(Value::Record(fields.into_iter().map(|Reading(field)| field).collect()))
            }
            _ => Err(de::Error::custom("a record without its fields")),
        }
    }
}

fn read(text: &str) -> Option<Value> {
    let mut chars = text.chars();
    let sign = chars.next()?;
    let rest = chars.as_str();
    Some(match sign {
        '+' => Value::Phone(Msisdn::parse(text).ok()?),
        '#' => Value::Digits(rest.to_owned()),
        '=' => Value::Text(rest.to_owned()),
        '$' => {
            let (minor, code) = rest.split_once(' ')?;
            Value::Money(Money::new(minor.parse().ok()?, Currency::new(code).ok()?))
        }
        '@' if rest.contains(':') => Value::Time(Time::parse(rest)?),
        '@' => Value::Date(Date::parse(rest)?),
        _ => return None,
    })
}

/// For the variables of a state.
pub(super) mod variables {
    use serde::de::Error;
    use serde::ser::SerializeSeq;

    use super::{Deserialize, Deserializer, Reading, Serializer, Value, Writing};

    /// A variable, or so many that are not set.
    struct Run(Result<Value, usize>);

    impl<'de> Deserialize<'de> for Run {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            #[derive(serde::Deserialize)]
            #[serde(untagged)]
            enum Either {
                Text(String),
                Other(Option<Reading>),
            }
            match Either::deserialize(from)? {
                Either::Other(None) => Ok(Self(Err(1))),
                Either::Other(Some(Reading(value))) => Ok(Self(Ok(value))),
                Either::Text(text) => match text.strip_prefix('-') {
                    Some(unset) => unset.parse().map(|unset| Self(Err(unset))).map_err(D::Error::custom),
                    None => super::read(&text)
                        .map(|value| Self(Ok(value)))
                        .ok_or_else(|| D::Error::custom("text without its sign")),
                },
            }
        }
    }

    pub(in crate::dialplan::state) fn serialize<S: Serializer>(
        variables: &[Option<Value>],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let mut out = to.serialize_seq(None)?;
        for run in variables.chunk_by(|one, next| one.is_none() && next.is_none()) {
            match run {
                [Some(value)] => out.serialize_element(&Writing::of(value))?,
                [None] => out.serialize_element(&None::<bool>)?,
                unset => out.serialize_element(&format_args!("-{}", unset.len()))?,
            }
        }
        out.end()
    }

    pub(in crate::dialplan::state) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Option<Value>>, D::Error> {
        let mut out = Vec::new();
        for Run(run) in Vec::<Run>::deserialize(from)? {
            match run {
                Ok(value) => out.push(Some(value)),
                Err(unset) => {
                    let all = out.len().saturating_add(unset).min(usize::from(u16::MAX));
                    out.resize(all.max(out.len()), None);
                }
            }
        }
        Ok(out)
    }
}

/// For the log of former values.
pub(super) mod log {
    use std::collections::BTreeMap;

    use serde::de::Error;

    use super::{Deserialize, Deserializer, Reading, Serialize, Serializer, Value, Writing};

    enum Former<'v> {
        Unset(u16),
        Again(u16),
        Was(u16, &'v Value),
    }

    impl Serialize for Former<'_> {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            match self {
                Self::Unset(variable) => to.serialize_u16(*variable),
                Self::Again(variable) => (*variable,).serialize(to),
                Self::Was(variable, value) => (*variable, Writing::of(value)).serialize(to),
            }
        }
    }

    pub(in crate::dialplan::state) fn serialize<S: Serializer>(
        log: &[(u16, Option<Value>)],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let mut before = BTreeMap::new();
        to.collect_seq(log.iter().map(|(variable, value)| match value {
            None => Former::Unset(*variable),
            // Who went back and forth has the same lists in it many times.
            Some(value) if before.insert(*variable, value) == Some(value) => Former::Again(*variable),
            Some(value) => Former::Was(*variable, value),
        }))
    }

    pub(in crate::dialplan::state) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<(u16, Option<Value>)>, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Logged {
            Unset(u16),
            Was(u16, Option<Reading>),
            Again((u16,)),
        }
        let mut before = BTreeMap::new();
        let read = Vec::<Logged>::deserialize(from)?.into_iter().map(|logged| match logged {
            Logged::Unset(index) => Ok((index, None)),
            Logged::Was(index, value) => {
                let value = value.map(|Reading(value)| value);
                if let Some(value) = &value {
                    before.insert(index, value.clone());
                }
                Ok((index, value))
            }
            Logged::Again((index,)) => match before.get(&index) {
                Some(value) => Ok((index, Some(value.clone()))),
                None => Err(D::Error::custom("nothing was logged of this variable before")),
            },
        });
        read.collect()
    }
}

/// How often steps were entered: a count for each, and a number below zero for so many steps in a row that were not.
pub(super) mod visits {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::{SerializeSeq, Serializer};

    pub(in crate::dialplan::state) fn serialize<S: Serializer>(
        visits: &[u8],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let mut out = to.serialize_seq(None)?;
        let mut none = 0_i32;
        for visits in visits {
            if *visits == 0 {
                none -= 1;
                continue;
            }
            if none < 0 {
                out.serialize_element(&std::mem::take(&mut none))?;
            }
            out.serialize_element(visits)?;
        }
        if none < 0 {
            out.serialize_element(&none)?;
        }
        out.end()
    }

    pub(in crate::dialplan::state) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<u8>, D::Error> {
        let mut out = Vec::new();
        for count in Vec::<i32>::deserialize(from)? {
            match u8::try_from(count) {
                Ok(visits) => out.push(visits),
                Err(_) if count < 0 => {
                    let none = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
                    out.resize(out.len().saturating_add(none).min(usize::from(u16::MAX)), 0);
                }
                Err(_) => return Err(D::Error::custom("a step was not entered so often")),
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_comes_back_and_rubbish_does_not() {
        let money = Value::Money(Money::new(-5_050, Currency::new("CNY").unwrap()));
        let bill =
            Value::Record(vec![Value::Digits("204813".into()), money.clone(), Value::Text(String::new())]);
        let values = vec![
            Some(Value::Bool(true)),
            Some(Value::Int(i64::MIN)),
            Some(money),
            Some(Value::Phone(Msisdn::parse("+8613800000001").unwrap())),
            Some(Value::Digits(String::new())),
            Some(Value::Text("=\"+1 {é}".into())),
            Some(Value::Date(Date::new(2026, 12, 31).unwrap())),
            Some(Value::Time(Time::new(18, 5).unwrap())),
            Some(Value::List(vec![bill.clone(), bill, Value::List(Vec::new())])),
            None,
        ];
        let mut out = Vec::new();
        variables::serialize(&values, &mut serde_json::Serializer::new(&mut out)).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with(r#"[true,-9223372036854775808,"$-5050 CNY","+8613800000001","#), "{text}");
        let read = variables::deserialize(&mut serde_json::Deserializer::from_str(&text)).unwrap();
        assert_eq!(read, values);
        for rubbish in [
            "[\"\"]",
            "[\"x\"]",
            "[\"$5 C\"]",
            "[\"+\"]",
            "[\"@2026-02-30\"]",
            "[{}]",
            "[{\"x\":[]}]",
            "[1e300]",
            "7",
        ] {
            let read = variables::deserialize(&mut serde_json::Deserializer::from_str(rubbish));
            assert!(read.is_err(), "{rubbish}");
        }
    }

    #[test]
    fn variables_that_are_not_set_take_no_room() {
        let written = |values: &[Option<Value>]| {
            let mut out = Vec::new();
            variables::serialize(values, &mut serde_json::Serializer::new(&mut out)).unwrap();
            String::from_utf8(out).unwrap()
        };
        let read = |text: &str| variables::deserialize(&mut serde_json::Deserializer::from_str(text));
        let (yes, list) = (Some(Value::Bool(true)), Some(Value::List(vec![Value::Int(-3)])));
        for values in [
            vec![],
            vec![None],
            vec![None; 300],
            vec![None, None, yes.clone(), None, list.clone(), list.clone(), None, None, None],
        ] {
            assert_eq!(read(&written(&values)).unwrap(), values);
        }
        assert_eq!(written(&[None, None, yes.clone(), None, list]), r#"["-2",true,null,[-3]]"#);
        // As they were written before.
        assert_eq!(read("[null,null,true]").unwrap(), [None, None, yes]);
        for rubbish in [r#"["-"]"#, r#"["--2"]"#, r#"["-x"]"#, r#"["-99999999999999999999"]"#] {
            assert!(read(rubbish).is_err(), "{rubbish}");
        }
        let most = usize::from(u16::MAX);
        assert!(read(r#"["-4000000000","-4000000000",true]"#).unwrap().len() <= most + 1);
    }

    #[test]
    fn what_was_logged_before_is_not_written_again() {
        let written = |log: &[(u16, Option<Value>)]| {
            let mut out = Vec::new();
            log::serialize(log, &mut serde_json::Serializer::new(&mut out)).unwrap();
            String::from_utf8(out).unwrap()
        };
        let read = |text: &str| log::deserialize(&mut serde_json::Deserializer::from_str(text));
        let (one, two) = (Some(Value::Int(1)), Some(Value::Text("two".into())));
        let log = vec![
            (3, None),
            (3, one.clone()),
            (4, two.clone()),
            (3, None),
            (3, one.clone()),
            (4, one.clone()),
            (4, one.clone()),
            (4, two.clone()),
            (3, two),
        ];
        assert_eq!(written(&log), r#"[3,[3,1],[4,"=two"],3,[3],[4,1],[4],[4,"=two"],[3,"=two"]]"#);
        assert_eq!(read(&written(&log)).unwrap(), log);
        // As it was written before.
        assert_eq!(read("[[3,null],[3,1]]").unwrap(), [(3, None), (3, one)]);
        for rubbish in ["[[3]]", "[[4,1],[3]]", "[[]]", "[[3,1,2]]", "[-1]", "[70000]", "[null]"] {
            assert!(read(rubbish).is_err(), "{rubbish}");
        }
    }

    #[test]
    fn steps_that_were_not_entered_take_no_room() {
        let written = |counts: &[u8]| {
            let mut out = Vec::new();
            visits::serialize(counts, &mut serde_json::Serializer::new(&mut out)).unwrap();
            String::from_utf8(out).unwrap()
        };
        let read = |text: &str| visits::deserialize(&mut serde_json::Deserializer::from_str(text));
        for counts in [&[][..], &[0], &[1], &[0, 0, 3, 0, 255, 1, 0, 0, 0], &[0; 1_000]] {
            assert_eq!(read(&written(counts)).unwrap(), counts);
        }
        assert_eq!(written(&[0, 0, 3, 0, 255, 1, 0, 0, 0]), "[-2,3,-1,255,1,-3]");
        // As they were written before.
        assert_eq!(read("[0,0,2]").unwrap(), [0, 0, 2]);
        assert!(read("[256]").is_err() && read("[\"x\"]").is_err());
        assert!(read("[-2147483648,-2147483648]").unwrap().len() <= usize::from(u16::MAX));
    }
}
