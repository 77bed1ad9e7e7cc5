//! How five languages say numbers, amounts, dates and times: the shipped rules against an oracle, and properties that
//! hold for all of them.
//!
//! `oracle/LANG.txt` is made by `scripts/oracle-numbers`; its lines are kind, value and words.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;
use std::process::Command;
use std::sync::Arc;

use keytone::dialplan::numbers::{Agreement, Numbers, PAUSE_JOINT, Plural};
use keytone::dialplan::speak::Sound;
use keytone::money::{Currency, Money};
use keytone::msisdn::Msisdn;

use super::{read, root, runner};

const LANGUAGES: [&str; 5] = ["en", "zh", "sw", "fr", "es"];
const CURRENCIES: [&str; 12] =
    ["CNY", "USD", "EUR", "GBP", "KES", "TZS", "UGX", "NGN", "GHS", "ZAR", "XOF", "MXN"];

fn shipped(language: &str) -> Numbers {
    let path = format!("prompts/{language}/numbers.say");
    let (numbers, faults) = Numbers::parse(language, &path, &read(&root().join(&path)));
    assert!(faults.is_empty(), "{faults:#?}");
    numbers
}

/// What sounds say: `,` and `|` are pauses in a number and between groups.
struct Reading {
    numbers: Numbers,
    words: BTreeMap<Arc<str>, Arc<str>>,
    join: &'static str,
}

impl Reading {
    fn of(language: &str) -> Self {
        let numbers = shipped(language);
        let words = numbers.words();
        Self { numbers, words, join: if language == "zh" { "" } else { " " } }
    }

    fn words(&self, say: impl FnOnce(&Numbers, &mut Vec<Sound>)) -> String {
        let mut out = Vec::new();
        say(&self.numbers, &mut out);
        let words = out.iter().map(|sound| match sound {
            Sound::Clip(clip) => &*self.words[clip],
            Sound::Pause(PAUSE_JOINT) => ",",
            Sound::Pause(_) => "|",
        });
        words.collect::<Vec<_>>().join(self.join)
    }

    /// The words of one line of an oracle.
    fn said(&self, kind: &str, value: &str) -> String {
        let (first, second) = value.split_once([' ', ':']).unwrap_or((value, ""));
        let number = || value.parse::<i64>().unwrap();
        match kind {
            "number" => self.words(|n, out| n.number(number(), out)),
            "masculine" => self.words(|n, out| n.cardinal(number(), Agreement::Masculine, out)),
            "feminine" => self.words(|n, out| n.cardinal(number(), Agreement::Feminine, out)),
            "ordinal" => self.words(|n, out| n.ordinal(number(), out)),
            "money" => self.words(|n, out| n.money(amount(first, second), out)),
            "date" => {
                let date: Vec<u16> = value.split('-').map(|part| part.parse().unwrap()).collect();
                let (month, day) = (u8::try_from(date[1]).unwrap(), u8::try_from(date[2]).unwrap());
                self.words(|n, out| n.date(date[0].into(), month, day, out))
            }
            "time" => self.words(|n, out| n.time(first.parse().unwrap(), second.parse().unwrap(), out)),
            "duration" => self.words(|n, out| n.duration(value.parse().unwrap(), out)),
            "phone" => self.words(|n, out| n.phone(&Msisdn::parse(second).unwrap(), first, out)),
            "last" => self.words(|n, out| n.phone_digits(value, out)),
            "plural" => match self.numbers.plural(number()) {
                Plural::One => "one".to_owned(),
                Plural::Many => "many".to_owned(),
                Plural::Other => "other".to_owned(),
            },
            _ => panic!("{kind} is not a kind"),
        }
    }
}

fn amount(code: &str, text: &str) -> Money {
    let currency = Currency::new(code).unwrap();
    let money = Money::parse(text.trim_start_matches('-'), currency).unwrap();
    if text.starts_with('-') { Money::new(-money.minor, currency) } else { money }
}

/// Compares every line; all that differ are told, each with its place.
fn agrees(language: &str) {
    let reading = Reading::of(language);
    let path = format!("tests/dialplan/oracle/{language}.txt");
    let (mut lines, mut differ, mut count) = (0, String::new(), 0);
    for (index, line) in read(&root().join(&path)).lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut fields = line.split('\t');
        let (Some(kind), Some(value), Some(wanted), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            panic!("{path}:{}: not three fields", index + 1);
        };
        lines += 1;
        let got = reading.said(kind, value);
        if got != wanted {
            count += 1;
            let _ = writeln!(differ, "{path}:{}: {kind} {value}: got `{got}`, wanted `{wanted}`", index + 1);
        }
    }
    assert!(lines >= 500, "{path} has only {lines} lines");
    assert!(count == 0, "{count} of {lines} lines differ\n{differ}");
}

#[test]
fn english_agrees_with_the_oracle() {
    agrees("en");
}

#[test]
fn mandarin_agrees_with_the_oracle() {
    agrees("zh");
}

#[test]
fn swahili_agrees_with_the_oracle() {
    agrees("sw");
}

#[test]
fn french_agrees_with_the_oracle() {
    agrees("fr");
}

#[test]
fn spanish_agrees_with_the_oracle() {
    agrees("es");
}

/// Sounds as a key for comparing; pauses count only if they are wanted.
fn key(sounds: &[Sound], pauses: bool) -> String {
    let mut key = String::new();
    for sound in sounds {
        match sound {
            Sound::Clip(clip) => key.extend([clip.rsplit('/').next().unwrap(), " "]),
            Sound::Pause(_) if pauses => key.push_str(", "),
            Sound::Pause(_) => {}
        }
    }
    key
}

#[test]
fn no_two_numbers_sound_the_same_and_none_is_silent() {
    let (alone, counting) = (Agreement::Alone, Agreement::Counting);
    let (masculine, feminine) = (Agreement::Masculine, Agreement::Feminine);
    for (language, forms) in [
        ("en", vec![alone]),
        ("zh", vec![alone, counting]),
        ("sw", vec![alone]),
        ("fr", vec![alone, feminine]),
        ("es", vec![alone, counting, masculine, feminine]),
    ] {
        let numbers = shipped(language);
        let atoms = numbers.atoms();
        let clips: HashSet<&str> = atoms.iter().map(|(clip, _)| &**clip).collect();
        for form in forms {
            let mut said: HashMap<String, i64> = HashMap::new();
            let mut out = Vec::new();
            for number in 0..=99_999 {
                out.clear();
                numbers.cardinal(number, form, &mut out);
                let strange =
                    out.iter().find(|sound| matches!(sound, Sound::Clip(clip) if !clips.contains(&**clip)));
                assert_eq!(strange, None, "{language} {number}: not listed");
                assert!(matches!(out.first(), Some(Sound::Clip(_))), "{language} says nothing for {number}");
                if let Some(other) = said.insert(key(&out, true), number) {
                    panic!("{language} says {other} and {number} alike ({form:?})");
                }
            }
        }
    }
}

#[test]
fn numbers_differ_by_their_words_alone() {
    // A pause helps, but who does not hear it must not hear another number.
    for language in LANGUAGES {
        let numbers = shipped(language);
        let mut said: HashMap<String, i64> = HashMap::new();
        let mut out = Vec::new();
        let thousands = (40..1_200).flat_map(|n| [n * 1_000, n * 1_000 + n % 130, n * 1_000 + 100]);
        for number in (0..40_000).chain(thousands) {
            out.clear();
            numbers.number(number, &mut out);
            let other = said.insert(key(&out, false), number);
            assert!(other.is_none_or(|other| other == number), "{language}: {other:?} and {number}");
        }
    }
}

/// Whatever is said is made of listed words, is never nothing and has an end.
fn is_speech(
    numbers: &Numbers,
    clips: &HashSet<Arc<str>>,
    what: &str,
    say: impl FnOnce(&Numbers, &mut Vec<Sound>),
) {
    let mut out = Vec::new();
    say(numbers, &mut out);
    assert!(out.iter().any(|sound| matches!(sound, Sound::Clip(_))), "{what}: nothing is said");
    assert!(out.len() <= 120, "{what}: {} sounds", out.len());
    let strange = out.iter().find(|sound| matches!(sound, Sound::Clip(clip) if !clips.contains(clip)));
    assert_eq!(strange, None, "{what}");
}

#[test]
fn any_number_and_amount_is_said() {
    let seed = [23; 32];
    println!("seed {seed:?}");
    let languages = LANGUAGES.map(|language| {
        let numbers = shipped(language);
        let clips: HashSet<Arc<str>> = numbers.atoms().into_iter().map(|(clip, _)| clip).collect();
        (numbers, clips)
    });
    let shift = (proptest::num::i64::ANY, 0_u32..63, 0_usize..CURRENCIES.len());
    runner(400, seed)
        .run(&shift, |(number, shift, currency)| {
            let currency = Currency::new(CURRENCIES[currency]).unwrap();
            for number in [number >> shift, i64::MIN, i64::MAX] {
                for (numbers, clips) in &languages {
                    let what = format!("{number} {currency}");
                    is_speech(numbers, clips, &what, |n, out| n.number(number, out));
                    is_speech(numbers, clips, &what, |n, out| n.ordinal(number, out));
                    is_speech(numbers, clips, &what, |n, out| n.cardinal(number, Agreement::Feminine, out));
                    is_speech(numbers, clips, &what, |n, out| n.money(Money::new(number, currency), out));
                    is_speech(numbers, clips, &what, |n, out| n.duration(number.unsigned_abs(), out));
                }
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn no_change_of_a_good_file_makes_speech_panic_or_endless() {
    let seed = [29; 32];
    println!("seed {seed:?}");
    let texts = LANGUAGES.map(|language| read(&root().join(format!("prompts/{language}/numbers.say"))));
    let change = (0_usize..500, 0_usize..500, 0_usize..30, "[-<>=\\[\\]|,{}a-z0-9 ]{0,6}");
    runner(150, seed)
        .run(&(0_usize..5, proptest::collection::vec(change, 1..5)), |(language, changes)| {
            let mut lines: Vec<String> = texts[language].lines().map(str::to_owned).collect();
            for (from, to, at, insert) in changes {
                let line = lines[from % lines.len()].clone();
                let at = line.char_indices().nth(at).map_or(line.len(), |(index, _)| index);
                let to = to % lines.len();
                lines[to] = format!("{}{insert}{}", &line[..at], &line[at..]);
            }
            let (numbers, _) = Numbers::parse("xx", "numbers.say", &lines.join("\n"));
            let mut out = Vec::new();
            for number in [0, 7, 21, 105, 99_999, -1_234_567_890, i64::MAX] {
                numbers.number(number, &mut out);
                numbers.money(Money::new(number, Currency::new("EUR").unwrap()), &mut out);
                numbers.duration(number.unsigned_abs(), &mut out);
            }
            numbers.date(2026, 11, 22, &mut out);
            numbers.date(i32::MIN, 255, 0, &mut out);
            numbers.time(255, 255, &mut out);
            assert!(out.len() < 5_000, "{}", out.len());
            Ok(())
        })
        .unwrap();
}

#[test]
fn amounts_of_every_currency_are_said_and_differ() {
    for language in LANGUAGES {
        let reading = Reading::of(language);
        let mut words = BTreeMap::new();
        for code in CURRENCIES {
            assert!(reading.numbers.has_money(code), "{language} {code}");
            let currency = Currency::new(code).unwrap();
            let mut said = HashMap::new();
            for minor in (0..=12_000).chain([100_000, 1_000_000, 99_999_999, 100_000_000, 200_000_000]) {
                let text = reading.words(|n, out| n.money(Money::new(minor, currency), out));
                assert!(!text.is_empty(), "{language} {code} {minor}");
                if let Some(other) = said.insert(text.clone(), minor) {
                    panic!("{language} {code}: {other} and {minor} are both `{text}`");
                }
            }
            words.insert(code, reading.words(|n, out| n.money(Money::new(0, currency), out)));
        }
        // Shillings and cents share their names; dollars, euros and yuan must not.
        for code in ["USD", "EUR", "GBP"] {
            assert_ne!(words["CNY"], words[code], "{language}");
        }
    }
}

#[test]
fn every_currency_of_the_world_is_said_somehow() {
    for language in LANGUAGES {
        let reading = Reading::of(language);
        for code in ["JPY", "KWD", "CHF", "XAF", "ZZZ"] {
            assert!(reading.numbers.has_money(code));
            let currency = Currency::new(code).unwrap();
            let texts: BTreeSet<String> = [0, 1, 5, 10, 100, 1_000, 1_005, -1_005, 1_050]
                .map(|minor| reading.words(|n, out| n.money(Money::new(minor, currency), out)))
                .into();
            assert_eq!(texts.len(), 9, "{language} {code} {texts:?}");
            assert!(texts.iter().all(|text| !text.is_empty()));
        }
    }
}

#[test]
fn times_and_dates_differ() {
    for language in LANGUAGES {
        let reading = Reading::of(language);
        let mut times = HashMap::new();
        for minute in 0..24 * 60_u16 {
            let (hour, minute) = (u8::try_from(minute / 60).unwrap(), u8::try_from(minute % 60).unwrap());
            let text = reading.words(|n, out| n.time(hour, minute, out));
            if let Some(other) = times.insert(text.clone(), (hour, minute)) {
                panic!("{language}: {other:?} and {hour}:{minute} are both `{text}`");
            }
        }
        let mut dates = HashMap::new();
        for (year, month, day) in [1999, 2000, 2001, 2026]
            .into_iter()
            .flat_map(|y| (1..=12).flat_map(move |m| (1..=31).map(move |d| (y, m, d))))
        {
            let text = reading.words(|n, out| n.date(year, month, day, out));
            if let Some(other) = dates.insert(text.clone(), (year, month, day)) {
                panic!("{language}: {other:?} and {year}-{month}-{day} are both `{text}`");
            }
        }
    }
}

#[test]
fn screens_show_figures_in_each_languages_way() {
    let own = Msisdn::parse("+254712345678").unwrap();
    for (language, date, time, span, days, money, phone, or) in [
        ("en", "22 Nov 2026", "3:05 pm", "30 min", "1 day", "47.50 EUR", "0712 345 678", " or "),
        ("zh", "2026-11-22", "15:05", "30分钟", "1天", "47.50 EUR", "712 345 678", "或"),
        ("sw", "22/11/2026", "15:05", "dakika 30", "siku 1", "47.50 EUR", "0712 345 678", " au "),
        ("fr", "22/11/2026", "15h05", "30 min", "1 j", "47,50 EUR", "0712 345 678", " ou "),
        ("es", "22/11/2026", "15:05", "30 min", "1 d", "47.50 EUR", "712 345 678", " o "),
    ] {
        let numbers = shipped(language);
        assert_eq!(numbers.show_date(2026, 11, 22), date, "{language}");
        assert_eq!(numbers.show_time(15, 5), time, "{language}");
        assert_eq!(numbers.show_duration(1_800), span, "{language}");
        assert_eq!(numbers.show_duration(86_400), days, "{language}");
        assert_eq!(numbers.show_money(amount("EUR", "47.50")), money, "{language}");
        assert_eq!(numbers.show_phone(&own, "254"), phone, "{language}");
        assert_eq!(numbers.show_between(true), or, "{language}");
        for key in ['0', '1', '9', '*', '#'] {
            assert!(numbers.key(key).is_some(), "{language} {key}");
        }
    }
}

#[test]
fn the_clips_of_every_language_are_files_that_any_system_can_name() {
    for language in LANGUAGES {
        let atoms = shipped(language).atoms();
        println!("{language}: {} words", atoms.len());
        for (clip, word) in &atoms {
            let name = clip.strip_prefix(&format!("{language}/num/")).unwrap();
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(name.chars().all(plain), "{name}");
            assert!(!word.is_empty());
        }
    }
}

/// The plain Mandarin voice of espeak-ng spells characters out in English; the pinyin one must not.
#[test]
fn the_mandarin_voice_speaks_every_word_in_mandarin() {
    let words: Vec<String> = shipped("zh").atoms().iter().map(|(_, word)| word.to_string()).collect();
    assert!(words.len() > 50);
    let run = |voice: &str, text: &str| {
        let output = Command::new("espeak-ng").args(["--ipa", "-q", "-v", voice, text]).output();
        let output = output.expect("espeak-ng is not here; scripts/setup installs it");
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let said = run("cmn-latn-pinyin", &words.join("\n"));
    assert!(!said.contains("(en)") && !said.trim().is_empty(), "{said}");
}
