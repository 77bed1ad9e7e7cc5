//! Prompts from the outside: made by the engine, taken from recordings, said and shown in every language.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use keytone::cli::prompts::{self, Fault, RATE, Report};
use keytone::dialplan::catalog::{Catalog, Settings, SourceFile, Sources, compile};
use keytone::dialplan::civil::{Date, Time};
use keytone::dialplan::event::Channel;
use keytone::dialplan::speak::{Key, Sound, System, Utterance};
use keytone::dialplan::value::{Type, Value};
use keytone::money::{Currency, Money};
use keytone::msisdn::Msisdn;

/// The languages that ship.
const LANGUAGES: [&str; 5] = ["en", "es", "fr", "sw", "zh"];
/// What GSM 03.38 has, without the extension table (3GPP TS 23.038, 6.2.1).
const GSM: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿\
                   abcdefghijklmnopqrstuvwxyzäöñüà";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn compiled(sources: &Sources, currency: &str, country: &str) -> Catalog {
    let settings = Settings {
        country: country.into(),
        national_digits: (9, 11),
        ..Settings::of(Currency::new(currency).unwrap())
    };
    compile(sources, &settings).unwrap_or_else(|faults| {
        let told = faults.iter().fold(String::new(), |mut out, fault| {
            let _ = writeln!(out, "{}", fault.render(|file| sources.text(file), false));
            out
        });
        panic!("{told}")
    })
}

/// All shipped flows in all languages; their clips are as `clips` says.
fn shipped(clips: Option<BTreeSet<String>>) -> Sources {
    let flows = std::fs::read_dir(root().join("dialplans")).unwrap();
    let flows = flows.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let file = |path: String, name: String| SourceFile::new(name, read(&path));
    Sources {
        flows: flows
            .filter(|name| name.ends_with(".flow"))
            .map(|name| file(format!("dialplans/{name}"), name))
            .collect(),
        messages: LANGUAGES
            .map(|tag| file(format!("dialplans/messages/{tag}.msg"), format!("{tag}.msg")))
            .to_vec(),
        numbers: LANGUAGES
            .map(|tag| file(format!("prompts/{tag}/numbers.say"), format!("{tag}/numbers.say")))
            .to_vec(),
        clips,
    }
}

/// A flow of few words, so that its clips are made quickly.
fn small(goodbye: &str) -> Catalog {
    let flow = "flow f 1\n  serve voice 1\n\nstep a\n  tell @left(3)\n  tell @goodbye\n  -> end\n";
    let mut rules = String::from("number\n");
    for (value, word) in "zero one two three four five six seven eight nine".split(' ').enumerate() {
        let _ = writeln!(rules, "  {value} {word}");
    }
    rules.push_str("  10 ten\n  20 twenty[ >>]\n  100 << hundred[ >>]\nkeys\n  * star\n  # hash\n");
    rules.push_str("money CNY\n  other {n} yuan\n  minor {n} fen\n  show {n} CNY\n");
    let messages = format!("left(n: number)\n  You have {{n|try|tries}} left.\n\ngoodbye\n  {goodbye}\n");
    let sources = Sources {
        flows: vec![SourceFile::new("f.flow", flow)],
        messages: vec![SourceFile::new("en.msg", messages)],
        numbers: vec![SourceFile::new("en/numbers.say", rules)],
        clips: None,
    };
    compiled(&sources, "CNY", "86")
}

fn build(catalog: &Catalog, dir: &Path) -> Report {
    prompts::build(catalog, dir, "en", &mut |_, _, _| {}).unwrap()
}

fn faults(catalog: &Catalog, dir: &Path) -> Vec<(String, Fault)> {
    let findings = prompts::check(catalog, dir, "en").unwrap();
    findings.into_iter().map(|finding| (finding.id, finding.fault)).collect()
}

/// A WAV file of a tone, as somebody might record it.
fn record(path: &Path, rate: u32, channels: u16, hertz: f32) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let spec = hound::WavSpec {
        channels,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for n in 0..rate / 4 {
        let sample = (std::f32::consts::TAU * hertz * n as f32 / rate as f32).sin() * 9_000.0;
        #[expect(clippy::cast_possible_truncation, reason = "at most 9000 in size")]
        let sample = sample.round() as i16;
        (0..channels).for_each(|_| writer.write_sample(sample).unwrap());
    }
    writer.finalize().unwrap();
}

#[test]
fn the_shipped_prompts_are_complete_current_and_small() {
    let catalog = compiled(&shipped(None), "CNY", "86");
    let dir = root().join("prompts");
    assert_eq!(faults(&catalog, &dir), []);
    let clips = catalog.clips_needed("en");
    let bytes: u64 =
        clips.iter().map(|clip| dir.join(format!("{}.wav", clip.id)).metadata().unwrap().len()).sum();
    assert!(bytes < 5_600_000, "{bytes} bytes");
}

#[test]
fn what_was_made_is_kept_and_only_what_changed_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = small("Goodbye.");
    let mut heard = Vec::new();
    let first =
        prompts::build(&catalog, dir.path(), "en", &mut |done, of, _| heard.push((done, of))).unwrap();
    let all = catalog.clips_needed("en").len();
    assert_eq!((first.made, first.kept, first.recorded), (all, 0, 0), "{first:?}");
    assert_eq!(heard.last(), Some(&(all, all)));
    assert!(heard.is_sorted(), "{heard:?}");
    assert_eq!(faults(&catalog, dir.path()), []);

    let file = dir.path().join("en/msg/goodbye.0.wav");
    let bytes = std::fs::read(&file).unwrap();
    let second = build(&catalog, dir.path());
    assert_eq!((second.made, second.kept, second.bytes), (0, all, first.bytes), "{second:?}");

    let changed = small("Farewell, and thank you.");
    assert_eq!(faults(&changed, dir.path()), [("en/msg/goodbye.0".to_owned(), Fault::Stale)]);
    let third = build(&changed, dir.path());
    assert_eq!((third.made, third.kept), (1, all - 1), "{third:?}");
    assert_ne!(std::fs::read(&file).unwrap(), bytes);
    // The same text makes the same sound, octet for octet.
    build(&catalog, dir.path());
    assert_eq!(std::fs::read(&file).unwrap(), bytes);

    std::fs::write(dir.path().join("en/voice.toml"), "voice = \"en-us\"\nspeed_numbers = 150\n").unwrap();
    let slower = build(&catalog, dir.path());
    assert!(slower.made >= 12 && slower.kept > 0, "only words of numbers are slower: {slower:?}");
}

#[test]
fn a_recording_survives_every_build_and_becomes_stale_with_its_text() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = small("Goodbye.");
    build(&catalog, dir.path());
    let file = dir.path().join("en/msg/goodbye.0.wav");
    record(&file, RATE, 1, 440.0);
    let mine = std::fs::read(&file).unwrap();
    assert_eq!(build(&catalog, dir.path()).recorded, 1);
    assert_eq!(faults(&catalog, dir.path()), []);

    let changed = small("Farewell.");
    let report = build(&changed, dir.path());
    assert_eq!((report.made, report.stale), (0, vec!["en/msg/goodbye.0".to_owned()]));
    assert_eq!(std::fs::read(&file).unwrap(), mine);
    assert_eq!(faults(&changed, dir.path()), [("en/msg/goodbye.0".to_owned(), Fault::Stale)]);
    let row = |catalog: &Catalog| {
        let rows = prompts::script(catalog, dir.path(), "en").unwrap();
        rows.into_iter().find(|row| row.id == "msg/goodbye.0").unwrap().state
    };
    assert_eq!((row(&catalog), row(&changed)), ("recorded", "stale"));

    // Said anew: it is a recording of the new text.
    record(&file, RATE, 1, 880.0);
    assert_eq!(build(&changed, dir.path()).stale, [""; 0]);
    assert_eq!(faults(&changed, dir.path()), []);
    // Removed: the engine speaks again.
    std::fs::remove_file(&file).unwrap();
    assert_eq!(build(&changed, dir.path()).made, 1);

    record(&file, 16_000, 1, 440.0);
    assert_eq!(faults(&changed, dir.path()), [("en/msg/goodbye.0".to_owned(), Fault::Format)]);
    std::fs::rename(&file, dir.path().join("en/msg/nobody.0.wav")).unwrap();
    let found = faults(&changed, dir.path());
    assert!(found.contains(&("en/msg/goodbye.0".to_owned(), Fault::Missing)), "{found:?}");
    assert!(found.contains(&("en/msg/nobody.0".to_owned(), Fault::Unused)), "{found:?}");
}

#[test]
fn what_nothing_says_any_more_is_removed_unless_a_person_made_it() {
    let dir = tempfile::tempdir().unwrap();
    let longer = small("Goodbye. {clip music} Until then.");
    let report = build(&longer, dir.path());
    assert_eq!(report.wanted, ["en/music"]);
    assert_eq!(faults(&longer, dir.path()), [("en/music".to_owned(), Fault::Missing)]);
    let own = dir.path().join("en/extra.wav");
    record(&own, RATE, 1, 440.0);
    let report = build(&small("Goodbye."), dir.path());
    assert_eq!(report.removed, 1, "{report:?}");
    assert!(own.exists() && !dir.path().join("en/msg/goodbye.1.wav").exists());
}

#[test]
fn a_killed_build_leaves_no_recordings_behind() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = small("Goodbye.");
    let all = catalog.clips_needed("en").len();
    // A folder where a clip should be: the build fails on its way.
    let clip = dir.path().join("en/msg/goodbye.0.wav");
    std::fs::create_dir_all(&clip).unwrap();
    let error = prompts::build(&catalog, dir.path(), "en", &mut |_, _, _| {}).unwrap_err();
    assert!(format!("{error:#}").contains("goodbye.0"), "{error:#}");
    std::fs::remove_dir(&clip).unwrap();
    // As if the engine had written these, and the build had been killed before it noted them.
    for id in ["en/msg/goodbye.0", "en/num/zero", "en/num/twenty"] {
        record(&dir.path().join(format!("{id}.wav")), RATE, 1, 440.0);
    }
    let manifest = dir.path().join("en/clips.toml");
    let noted = std::fs::read_to_string(&manifest).unwrap();
    let unfinished = noted.lines().map(|line| match line.split_once(", file = ") {
        Some((before, _)) => format!("{before} }}\n"),
        None => format!("{line}\n"),
    });
    std::fs::write(&manifest, unfinished.collect::<String>()).unwrap();
    let report = build(&catalog, dir.path());
    assert_eq!((report.made, report.recorded), (all, 0), "{report:?}");
}

#[test]
fn a_pack_of_sounds_is_taken_in_by_what_it_says() {
    let (dir, pack) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let catalog = small("Goodbye.");
    for name in ["0", "5", "20", "hundred", "star", "21", "oh"] {
        record(&pack.path().join(format!("en_US/digits/{name}.wav")), 8_000, 1, 440.0);
    }
    record(&pack.path().join("en_US/digits/16000/5.WAV"), 16_000, 1, 660.0);
    record(&pack.path().join("msg/goodbye.0.wav"), 48_000, 2, 440.0);
    std::fs::write(pack.path().join("en_US/digits/1.wav"), b"not a sound").unwrap();
    let imported = prompts::import(&catalog, dir.path(), "en", pack.path()).unwrap();
    let taken: Vec<&str> = imported.taken.keys().map(String::as_str).collect();
    let wanted =
        ["en/msg/goodbye.0", "en/num/five", "en/num/hundred", "en/num/star", "en/num/twenty", "en/num/zero"];
    assert_eq!(taken, wanted);
    assert!(imported.taken["en/num/five"].ends_with("16000/5.WAV"), "the finer of two");
    assert_eq!((imported.ignored, imported.refused.len()), (2, 1), "{imported:?}");
    let missing: Vec<&str> = imported.missing_words.iter().map(|clip| clip.id.as_str()).collect();
    assert!(missing.contains(&"en/num/one") && !missing.contains(&"en/num/five"), "{missing:?}");
    for id in wanted {
        let file = std::fs::read(dir.path().join(format!("{id}.wav"))).unwrap();
        let clip = keytone::rtp::Clip::from_wav(id, &file).unwrap();
        assert!(clip.duration().as_millis() > 100, "{id}: {clip:?}");
    }
    // The engine fills in the rest, and leaves these alone.
    let report = build(&catalog, dir.path());
    assert_eq!((report.recorded, report.stale.len()), (6, 0), "{report:?}");
    assert_eq!(faults(&catalog, dir.path()), []);
    let empty = tempfile::tempdir().unwrap();
    assert!(prompts::import(&catalog, dir.path(), "en", empty.path()).is_err());
    assert!(prompts::import(&catalog, dir.path(), "xx", pack.path()).is_err());
}

#[test]
fn a_voice_that_the_engine_does_not_have_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("en")).unwrap();
    std::fs::write(dir.path().join("en/voice.toml"), "voice = \"no-such-voice\"\n").unwrap();
    let error = prompts::build(&small("Goodbye."), dir.path(), "en", &mut |_, _, _| {}).unwrap_err();
    assert!(error.to_string().contains("`no-such-voice`"), "{error:#}");
    assert!(prompts::present(dir.path()).unwrap().is_empty());
}

/// What espeak-ng makes of a text, as phonemes.
fn phonemes(voice: &str, text: &str) -> String {
    let mut child = Command::new("espeak-ng")
        .args(["-q", "--ipa", "-v", voice, "--stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("espeak-ng is installed by scripts/setup");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn no_voice_reads_its_own_language_as_english() {
    let catalog = compiled(&shipped(None), "CNY", "86");
    for tag in LANGUAGES.into_iter().filter(|tag| *tag != "en") {
        let toml = read(&format!("prompts/{tag}/voice.toml"));
        let voice = toml.lines().find_map(|line| line.strip_prefix("voice = \"")?.strip_suffix('"')).unwrap();
        let clips = catalog.clips_needed(tag);
        assert!(clips.len() > 100, "{tag}: {}", clips.len());
        let text = clips.iter().fold(String::new(), |mut out, clip| {
            // French has these from English.
            let english = ["shilling", "shillings", "penny", "pence"].contains(&clip.text.as_str());
            let _ = if english { Ok(()) } else { writeln!(out, "{}.\n", clip.text) };
            out
        });
        let read = phonemes(voice, &text);
        let foreign: Vec<&str> = read.lines().filter(|line| line.contains("(en)")).collect();
        assert_eq!(foreign, [""; 0], "{tag}");
    }
    // The guard would see it.
    assert!(phonemes("cmn", "一三四").contains("(en)"));
}

fn sample(ty: Type) -> Option<Value> {
    Some(match ty {
        Type::Bool => Value::Bool(true),
        Type::Int => Value::Int(2),
        Type::Money => Value::Money(Money::new(123_450, Currency::new("CNY").unwrap())),
        Type::Phone => Value::Phone(Msisdn::parse("+8613800000012").unwrap()),
        Type::Digits => Value::Digits("2048136".into()),
        Type::Date => Value::Date(Date::new(2026, 12, 31).unwrap()),
        Type::Time => Value::Time(Time::new(15, 5).unwrap()),
        Type::Choice(family) => Value::Text(family.words.first()?.to_string()),
        Type::List(item) => Value::List(vec![sample(*item)?, sample(*item)?, sample(*item)?]),
        Type::Text => Value::Text("Li".into()),
        _ => return None,
    })
}

/// Every message of a language with sample values, as an option too where it is a label.
fn utterances(catalog: &Catalog) -> Vec<Utterance> {
    let texts = catalog.texts();
    let keys: Vec<_> = texts.keys().map(str::to_owned).collect();
    keys.iter()
        .filter(|key| *key != "menu.option")
        .map(|key| {
            let slots = texts.slots(key).iter().map(|ty| sample(*ty).unwrap()).collect();
            texts.utterance(key, slots, None).unwrap()
        })
        .chain(std::iter::once(texts.utterance("answer.yes", Vec::new(), Some(Key::Sign('1'))).unwrap()))
        .collect()
}

#[test]
fn every_message_of_every_language_is_said_and_shown() {
    let catalog = compiled(&shipped(None), "CNY", "86");
    let texts = catalog.texts();
    for tag in LANGUAGES {
        let clips: BTreeSet<String> = catalog.clips_needed(tag).into_iter().map(|clip| clip.id).collect();
        let mut longest = (0, String::new());
        for utterance in utterances(&catalog) {
            for channel in [Channel::Voice, Channel::Ussd, Channel::Sms] {
                let text = texts.text(&utterance, tag, channel);
                let place = format!("{tag} {} on {channel:?}: {text:?}", utterance.name);
                assert!(!text.is_empty() && !text.contains(['{', '}', '|']), "{place}");
                assert!(!text.contains("  ") && text.trim() == text, "{place}");
                if channel == Channel::Voice {
                    continue;
                }
                let foreign: String = text.chars().filter(|c| !GSM.contains(*c)).collect();
                let of_words = utterance.name.starts_with("words.");
                assert!(tag == "zh" || of_words || foreign.is_empty(), "{place} needs UCS-2 for {foreign:?}");
                if channel == Channel::Ussd && text.chars().count() > longest.0 {
                    longest = (text.chars().count(), utterance.name.to_string());
                }
            }
            let sounds = texts.sounds(&utterance, tag);
            if System::WRITTEN.iter().any(|system| system.key() == &*utterance.name) {
                continue;
            }
            assert!(!sounds.is_empty(), "{tag} {}", utterance.name);
            for sound in sounds {
                if let Sound::Clip(id) = sound {
                    assert!(
                        clips.contains(&*id) || id.starts_with("tone/"),
                        "{tag} {}: {id}",
                        utterance.name
                    );
                }
            }
        }
        println!(
            "{tag}: {} clips; the longest screen has {} characters: {}",
            clips.len(),
            longest.0,
            longest.1
        );
        let screen = if tag == "zh" { 80 } else { 182 };
        assert!(longest.0 <= screen, "{tag}: {} takes {} characters", longest.1, longest.0);
    }
}

/// A catalogue of one message in English, said by a flow that has a value for each slot.
fn with_message(message: &str) -> Result<Catalog, Vec<String>> {
    let flow = "flow f 1\n  serve voice 1\n  serve ussd *1#\n\nstep a\n  tell @goodbye\n  -> end\n";
    let numbers = read("prompts/en/numbers.say");
    let sources = Sources {
        flows: vec![SourceFile::new("f.flow", flow)],
        messages: vec![SourceFile::new("en.msg", format!("goodbye\n  Goodbye.\n\n{message}"))],
        numbers: vec![SourceFile::new("en/numbers.say", numbers)],
        clips: None,
    };
    let settings = Settings { country: "86".into(), ..Settings::of(Currency::new("CNY").unwrap()) };
    compile(&sources, &settings)
        .map_err(|faults| faults.iter().filter(|f| f.is_error()).map(ToString::to_string).collect())
}

#[test]
fn slots_are_read_as_they_say() {
    let date = Value::Date(Date::new(2026, 12, 31).unwrap());
    let time = Value::Time(Time::new(15, 5).unwrap());
    for (ty, slot, value, shown, said) in [
        ("number", "x", Value::Int(21), "21", "twenty one"),
        ("number", "x:ordinal", Value::Int(22), "22", "twenty second"),
        ("number", "x:digits", Value::Int(21), "21", "two one"),
        ("number", "x:count", Value::Int(2), "2", "two"),
        ("number", "x:duration", Value::Int(7_200), "2 h", "two hours"),
        ("number", "x|try|tries", Value::Int(1), "1 try", "one m.0"),
        ("number", "x|try|tries", Value::Int(0), "0 tries", "zero m.1"),
        ("number", "x|sheep", Value::Int(1), "1 sheep", "one m.0"),
        ("number list", "x", Value::List(vec![Value::Int(1), Value::Int(2)]), "1 or 2", "one or two"),
        ("digits", "x:last2", Value::Digits("2048".into()), "48", "four eight"),
        ("yes/no", "x", Value::Bool(false), "No", "answer.no.0"),
        ("date", "x", date, "31 Dec 2026", "the thirty first of december two thousand twenty six"),
        ("time", "x", time, "3:05 pm", "three oh five pm"),
    ] {
        let catalog = with_message(&format!("m(x: {ty})\n  {{{slot}}}\n")).unwrap();
        let utterance = catalog.texts().utterance("m", vec![value], None).unwrap();
        assert_eq!(catalog.texts().text(&utterance, "en", Channel::Ussd), shown, "{slot}");
        let heard: Vec<String> = catalog
            .texts()
            .sounds(&utterance, "en")
            .iter()
            .filter_map(|sound| match sound {
                Sound::Clip(id) => Some(id.rsplit('/').next().unwrap().to_owned()),
                Sound::Pause(_) => None,
            })
            .collect();
        assert_eq!(heard.join(" "), said, "{slot}");
    }
    for (ty, slot, code, word) in [
        ("money", "x:ordinal", "F052", "not read as ordinal"),
        ("date", "x:digits", "F052", "not read as digits"),
        ("number", "x:last4", "F052", "last digits"),
        ("phone", "x|try|tries", "F052", "is no number"),
        ("text", "x", "F041", "cannot be spoken"),
        ("day", "x", "F041", "no type `day`"),
    ] {
        let faults = with_message(&format!("m(x: {ty})\n  {{{slot}}}\n")).unwrap_err();
        assert_eq!(faults.len(), 1, "{slot}: {faults:?}");
        assert!(faults[0].contains(code) && faults[0].contains(word), "{slot}: {faults:?}");
    }
}

#[test]
fn a_language_without_clips_is_shown_and_the_default_is_spoken() {
    let clips =
        compiled(&shipped(None), "CNY", "86").clips_needed("en").into_iter().map(|clip| clip.id).collect();
    let catalog = compiled(&shipped(Some(clips)), "CNY", "86");
    let texts = catalog.texts();
    let unspoken: Vec<&str> = texts.screens_only().collect();
    assert_eq!(unspoken, ["es", "fr", "sw", "zh"]);
    let goodbye = texts.utterance("goodbye", Vec::new(), None).unwrap();
    assert_eq!(texts.sounds(&goodbye, "zh"), texts.sounds(&goodbye, "en"));
    assert_eq!(texts.text(&goodbye, "zh", Channel::Voice), "Goodbye.");
    assert_eq!(texts.text(&goodbye, "zh", Channel::Ussd), "再见。");
    let spoken = compiled(&shipped(None), "CNY", "86");
    assert_eq!(spoken.texts().screens_only().count(), 0);
    assert_ne!(spoken.texts().sounds(&goodbye, "zh"), spoken.texts().sounds(&goodbye, "en"));
}

#[test]
fn shipped_languages_speak_the_money_of_other_markets() {
    for (currency, country) in [("KES", "254"), ("TZS", "255"), ("EUR", "33"), ("MXN", "52"), ("XOF", "221")]
    {
        let catalog = compiled(&shipped(None), currency, country);
        let wanted = Money::new(100_000, Currency::new(currency).unwrap());
        for tag in LANGUAGES {
            let clips: BTreeSet<String> = catalog.clips_needed(tag).into_iter().map(|clip| clip.id).collect();
            let no_money = catalog.texts().utterance("no-money", vec![Value::Money(wanted)], None).unwrap();
            let sounds = catalog.texts().sounds(&no_money, tag);
            assert!(sounds.len() > 2, "{tag} {currency}");
            let known = |sound: &Sound| match sound {
                Sound::Clip(id) => clips.contains(&**id),
                Sound::Pause(_) => true,
            };
            assert!(sounds.iter().all(known), "{tag} {currency}: {sounds:?}");
        }
    }
}
