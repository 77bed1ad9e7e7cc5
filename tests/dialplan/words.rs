//! What a channel says by itself, without a session: help for text messages, and the words for when no flow can speak.

use keytone::dialplan::catalog::{SourceFile, USSD_SEPTETS, USSD_UCS2};
use keytone::dialplan::event::Channel;
use keytone::dialplan::speak::System;
use keytone::gsm::{septets, units};

use crate::dialplan::{good, in_every_language, recharge_alone};

const LANGUAGES: [&str; 5] = ["en", "zh", "sw", "fr", "es"];
/// Characters of one text message that is not cut into segments: of the GSM alphabet, and of any other.
const SMS: (usize, usize) = (160, 70);

fn fits(text: &str, (gsm, other): (usize, usize)) -> bool {
    match septets(text) {
        Some(septets) => septets <= gsm,
        None => units(text) <= other,
    }
}

#[test]
fn what_a_channel_says_by_itself_fits_one_screen_in_every_language() {
    let catalog = good(&in_every_language());
    let screen = (usize::from(USSD_SEPTETS), usize::from(USSD_UCS2));
    for language in LANGUAGES {
        for system in [System::WillGetSms, System::Expired, System::Busy, System::Unserved, System::Trouble] {
            for (channel, room) in [(Channel::Ussd, screen), (Channel::Sms, SMS)] {
                let text = catalog.system_text(language, system, Vec::new(), channel);
                assert!(!text.is_empty() && fits(&text, room), "{language} {channel} {system:?}: {text}");
            }
        }
        // All are in the language's own words.
        let english = |system| catalog.system_text("en", system, Vec::new(), Channel::Ussd);
        let own = catalog.system_text(language, System::WillGetSms, Vec::new(), Channel::Ussd);
        assert!(language == "en" || own != english(System::WillGetSms), "{language}");
    }
    // A language that there is not is answered in the default one.
    let other = catalog.system_text("de", System::Busy, Vec::new(), Channel::Ussd);
    assert_eq!(other, catalog.system_text("en", System::Busy, Vec::new(), Channel::Ussd));
}

#[test]
fn nonsense_is_answered_with_the_commands_that_are_served() {
    let catalog = good(&recharge_alone());
    let help = |text, language| catalog.sms_help(text, language, false).unwrap();
    assert_eq!(help("hello there", "en"), "We did not understand that. You can send: RC amount [number]");
    assert_eq!(help("", "zh"), "没有看懂您的短信。可以发送：RC 金额 [号码]");
    assert_eq!(help("rc", "en"), "That message is not complete. Send: RC amount [number]");
    assert_eq!(help("ＲＣ 5 6 7", "es"), "Falta algo en el mensaje. Mande: RC importe [teléfono]");
    for language in LANGUAGES {
        for text in ["?", "RC"] {
            let text = help(text, language);
            assert!(fits(&text, SMS), "{language}: {text}");
        }
    }
}

#[test]
fn the_shipped_help_begins_with_the_way_to_all_services() {
    let catalog = good(&in_every_language());
    assert_eq!(catalog.sms_commands("en", false)[0], "MENU");
    for language in LANGUAGES {
        let text = catalog.sms_help("?", language, false).unwrap();
        assert!(fits(&text, SMS) && text.contains("MENU"), "{language}: {text}");
    }
}

#[test]
fn help_names_each_command_once_and_not_more_than_a_message_holds() {
    let command = |flow: &str, patterns: &str| {
        format!("flow {flow} 1\n{patterns}  pin on sms callback\n\nstep one\n  tell @goodbye\n  -> end\n")
    };
    let mut sources = recharge_alone();
    let mut add = |name: &str, text: String| {
        sources.flows.push(SourceFile::new(name, text));
    };
    add("info.flow", command("info", "  serve sms \"INFO|AYUDA\"\n"));
    add(
        "draft.flow",
        command("draft", "  serve sms \"NEW\"\n").replace("flow draft 1", "flow draft 1 draft"),
    );
    let catalog = good(&sources);
    assert_eq!(catalog.sms_commands("en", false), ["RC amount [number]", "INFO"]);
    assert_eq!(catalog.sms_commands("en", true).len(), 3, "a tester hears of drafts");
    assert!(catalog.sms_help("NEW now", "en", false).unwrap().starts_with("We did not"));
    assert!(catalog.sms_help("NEW now", "en", true).unwrap().ends_with("Send: NEW"));
    for n in 0..40 {
        let pattern = format!("  serve sms \"COMMAND{n}\"\n");
        let name = format!("more{n}");
        sources.flows.push(SourceFile::new(format!("{name}.flow"), command(&name, &pattern)));
    }
    let catalog = good(&sources);
    for language in LANGUAGES.into_iter().filter(|language| *language != "zh") {
        let text = catalog.sms_help("?", language, false).unwrap();
        assert!(fits(&text, SMS) && text.contains("COMMAND1"), "{language}: {text}");
    }
}

#[test]
fn without_commands_there_is_no_help() {
    let mut sources = recharge_alone();
    let text = &mut sources.flows[0].text;
    let by_sms = ["  serve sms", "  pin on sms", "  given phone"];
    let lines = text.lines().filter(|line| !by_sms.iter().any(|word| line.starts_with(word)));
    *text = lines.map(|line| format!("{line}\n")).collect();
    assert_eq!(good(&sources).sms_help("hello", "en", false), None);
}

#[test]
fn the_first_command_of_each_flow_is_told_before_the_others() {
    let catalog = good(&in_every_language());
    let commands = catalog.sms_commands("en", false);
    let place = |command: &str| commands.iter().position(|told| told.starts_with(command));
    assert!(place("RC ").is_some() && place("CHARGE ").is_some(), "{commands:?}");
    assert!(place("PAID ").is_none_or(|paid| Some(paid) > place("RC ")), "{commands:?}");
}
