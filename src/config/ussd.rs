//! The table `ussd` of a route: a ready profile, and whatever is otherwise with this gateway.

use super::seconds;
use super::smpp::{CHARSETS, choice};
use crate::connector::document::{Faults, Section};
use crate::smpp::coding::{Charsets, Scheme};
use crate::ussd::profile::{Dialled, EndBit, Profile, SEPTETS, Sequence, SessionField, UNITS};

/// Octets of a `service_type` (SMPP 3.4 §5.2.11), without the NUL.
const SERVICE_TYPE_MAX: usize = 5;
/// The longest time in which an equal answer may be the former one, milliseconds.
const SAME_WITHIN_MAX: i64 = 5_000;

/// Reads the table.
pub(super) fn profile(ussd: &mut Section<'_>, faults: &mut Faults<'_>) -> Profile {
    let ready: Vec<(&str, Profile)> =
        Profile::NAMES.iter().filter_map(|name| Some((*name, Profile::named(name)?))).collect();
    let mut profile = choice(ussd, "profile", &ready, faults).unwrap_or_default();
    session(ussd, &mut profile, faults);
    operations(ussd, &mut profile, faults);
    coding(ussd, &mut profile, faults);
    profile.push = ussd.boolean("push", faults).unwrap_or(profile.push);
    profile.answer_within = seconds(ussd, "answer_within_s", profile.answer_within.as_secs(), 120, faults);
    profile.idle = seconds(ussd, "idle_s", profile.idle.as_secs(), 3600, faults);
    if let Some(same) = ussd.integer("same_within_ms", 0..=SAME_WITHIN_MAX, faults) {
        profile.same_within = std::time::Duration::from_millis(u64::try_from(same.value).unwrap_or(0));
    }
    let mut size = |key: &str, most: usize, usual: usize| {
        let size = ussd.integer(key, 20..=i64::try_from(most).unwrap_or(i64::MAX), faults);
        size.and_then(|n| usize::try_from(n.value).ok()).unwrap_or(usual)
    };
    profile.septets = size("septets", SEPTETS, profile.septets);
    profile.units = size("units", UNITS, profile.units);
    profile
}

/// Which field names the dialogue, and what its bits say.
fn session(ussd: &mut Section<'_>, profile: &mut Profile, faults: &mut Faults<'_>) {
    let fields = [
        ("its_octet", SessionField::Octet),
        ("its_15bit", SessionField::FifteenBits),
        ("its_16bit", SessionField::SixteenBits),
        ("user_message_reference", SessionField::Reference),
        ("none", SessionField::None),
    ];
    if let Some(session) = choice(ussd, "session", &fields, faults) {
        profile.session = session;
    }
    let sequences = [("echo", Sequence::Echo), ("next", Sequence::Next)];
    if let Some(sequence) = choice(ussd, "sequence", &sequences, faults) {
        profile.sequence = sequence;
    }
    let bits =
        [("ignored", EndBit::Ignored), ("without_text", EndBit::WithoutText), ("always", EndBit::Always)];
    if let Some(bit) = choice(ussd, "end_bit_heard", &bits, faults) {
        profile.heard.end_bit = bit;
    }
    profile.said.end_bit = ussd.boolean("end_bit_said", faults).unwrap_or(profile.said.end_bit);
    profile.said.push_named = ussd.boolean("push_named", faults).unwrap_or(profile.said.push_named);
}

/// Values of `ussd_service_op`, both ways.
fn operations(ussd: &mut Section<'_>, profile: &mut Profile, faults: &mut Faults<'_>) {
    let mut heard = |key: &str, ops: &mut Vec<u8>| {
        if ussd.has(key) {
            *ops =
                ussd.integers(key, faults).into_iter().filter_map(|op| u8::try_from(op.value).ok()).collect();
        }
    };
    heard("begin_ops", &mut profile.heard.begin);
    heard("answer_ops", &mut profile.heard.answer);
    heard("abort_ops", &mut profile.heard.abort);
    heard("notified_ops", &mut profile.heard.notified);
    let all = [&profile.heard.begin, &profile.heard.answer, &profile.heard.abort, &profile.heard.notified];
    let mut seen = std::collections::BTreeSet::new();
    for op in all.into_iter().flatten() {
        if !seen.insert(*op) {
            faults.add(
                &ussd.span,
                "ussd.begin_ops",
                format!("the op {op} means two things; an op means one"),
            );
        }
    }
    let mut said = |key: &str, op: &mut u8| {
        *op = ussd.integer(key, 0..=255, faults).and_then(|n| u8::try_from(n.value).ok()).unwrap_or(*op);
    };
    said("ask_op", &mut profile.said.ask);
    said("end_op", &mut profile.said.end);
    said("push_op", &mut profile.said.push);
    said("notify_op", &mut profile.said.notify);
    profile.heard.by_text = ussd.boolean("ops_by_text", faults).unwrap_or(profile.heard.by_text);
}

/// How texts are coded, and where the dialled string is.
fn coding(ussd: &mut Section<'_>, profile: &mut Profile, faults: &mut Faults<'_>) {
    let codings = [("cbs", Charsets::ussd()), ("smpp", Charsets { scheme: Scheme::Cbs, ..Charsets::sms() })];
    if let Some(charsets) = choice(ussd, "codings", &codings, faults) {
        profile.charsets = charsets;
    }
    if let Some(charset) = choice(ussd, "charset", &CHARSETS, faults) {
        profile.charsets.default = charset;
    }
    profile.charsets.fold = ussd.boolean("fold", faults).unwrap_or(profile.charsets.fold);
    profile.mirror_coding = ussd.boolean("mirror_coding", faults).unwrap_or(profile.mirror_coding);
    let dialled = [("text", Dialled::Text), ("destination", Dialled::Destination)];
    if let Some(dialled) = choice(ussd, "dialled_in", &dialled, faults) {
        profile.dialled = dialled;
    }
    if let Some(text) = ussd.text("service_type", faults) {
        if text.value.len() > SERVICE_TYPE_MAX {
            faults.add(&text.span, &text.key, format!("expected at most {SERVICE_TYPE_MAX} characters"));
        }
        profile.service_type = text.value;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;
    use crate::ussd::profile::{EndBit, Profile, SessionField};

    fn read(table: &str) -> Result<Profile, Vec<String>> {
        let text = format!(
            "[market]\ncountry = \"86\"\ncurrency = \"CNY\"\nzone = \"UTC\"\nday_limit = \"1\"\n\n[[smsc]]\n\
             name = \"a\"\naddresses = [\"localhost:2775\"]\nsystem_id = \"k\"\npassword_env = \"PATH\"\n\
             [smsc.ussd]\n{table}"
        );
        let config = Config::parse(&text, Path::new("."));
        // PATH is no password that SMPP would take: that fault is not what is looked for.
        match config {
            Ok(config) => Ok(config.smscs[0].carries.ussd.clone().unwrap()),
            Err(faults) => {
                let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
                Err(faults.into_iter().filter(|fault| !fault.contains("8 octets")).collect())
            }
        }
    }

    #[test]
    fn every_field_of_a_profile_can_be_said() {
        let table = "profile = \"spec\"\nsession = \"its_15bit\"\nsequence = \"next\"\nend_bit_heard = \"always\"\n\
             end_bit_said = true\npush_named = false\nbegin_ops = [1, 33]\nanswer_ops = [18, 2]\nabort_ops = [129]\n\
             notified_ops = [19]\nask_op = 2\nend_op = 17\npush_op = 2\nnotify_op = 3\nops_by_text = true\n\
             codings = \"smpp\"\ncharset = \"ascii\"\nfold = true\nmirror_coding = false\ndialled_in = \"destination\"\n\
             service_type = \"USSD\"\npush = false\nanswer_within_s = 7\nidle_s = 90\nsame_within_ms = 400\n\
             septets = 160\nunits = 70\n";
        // Only the fault of the password is there.
        assert_eq!(read(table).unwrap_err(), Vec::<String>::new());
    }

    #[test]
    fn what_is_wrong_in_a_profile_is_named() {
        let faults =
            read("profile = \"huawei\"\nabort_ops = [1]\nsepets = 160\nseptets = 183\n").unwrap_err();
        let has = |part: &str| faults.iter().any(|fault| fault.contains(part));
        assert!(has("expected one of spec, its15, umr, tata, none"), "{faults:#?}");
        assert!(has("the op 1 means two things"), "{faults:#?}");
        assert!(has("did you mean septets?"), "{faults:#?}");
        assert!(has("expected a whole number from 20 to 182"), "{faults:#?}");
        let usual = Profile::default();
        assert_eq!((usual.session, usual.heard.end_bit), (SessionField::Octet, EndBit::WithoutText));
    }
}
