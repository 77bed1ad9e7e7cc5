//! `pin on sms none`: small payments by text message are confirmed by a word, all others by a PIN on another channel.

use keytone::dialplan::catalog::{Catalog, Settings, Sources, compile};
use keytone::dialplan::civil::Moment;
use keytone::dialplan::event::{Answer, Argument, Channel, Effect, Event, Input, PIN_NEEDED, Start};
use keytone::dialplan::flowtest;
use keytone::dialplan::speak::screen;
use keytone::dialplan::state::{State, Wait};
use keytone::dialplan::step::step;
use keytone::dialplan::value::Value;
use keytone::money::Money;
use keytone::msisdn::Msisdn;

use super::{in_every_language, recharge_alone, reports, settings};

fn money(minor: i64) -> Money {
    Money::new(minor, settings().currency)
}

/// The shipped flow, served without a PIN by text message up to a cap.
pub(super) fn sources() -> Sources {
    let mut sources = recharge_alone();
    let text = &mut sources.flows[0].text;
    *text = text.replace("pin on sms callback", "pin on sms none");
    sources
}

fn market(cap_minor: i64) -> Settings {
    Settings { no_pin_cap: Some(money(cap_minor)), ..settings() }
}

fn catalog(cap_minor: i64) -> Catalog {
    let sources = sources();
    compile(&sources, &market(cap_minor)).unwrap_or_else(|faults| panic!("{}", reports(&sources, &faults)))
}

/// One thread of text messages.
struct Thread {
    catalog: Catalog,
    state: State,
    language: &'static str,
    effects: Vec<Effect>,
}

impl Thread {
    /// `RC AMOUNT [NUMBER]` over a route that is trusted, unless it is not `waivable`.
    fn begin(catalog: Catalog, language: &'static str, command: &str, waivable: bool) -> Self {
        let found = catalog.find_sms(command, false).unwrap();
        let state = State::new(&found.program);
        let mut thread = Self { catalog, state, language, effects: Vec::new() };
        thread.event(Event::Start(Start {
            channel: Channel::Sms,
            caller: Some(Msisdn::parse("+8613800000001").unwrap()),
            language: language.into(),
            prefilled: found.prefilled,
            at: Moment::default(),
            restarted: false,
            pin_waivable: waivable,
        }));
        thread
    }

    fn event(&mut self, event: Event) {
        let program = self.catalog.program("recharge").unwrap();
        let saved = serde_json::to_string(&self.state).unwrap();
        let (state, effects) = step(&program, serde_json::from_str(&saved).unwrap(), event);
        (self.state, self.effects) = (state, effects);
    }

    fn outcome(&mut self, name: &str, values: Vec<Value>) {
        self.event(Event::Outcome { name: name.into(), values });
    }

    /// Identified, routed and quoted with a fee.
    fn quoted(mut self, fee_minor: i64) -> Self {
        self.outcome("bound", vec![Value::Text("a".into())]);
        let amounts = [5_000, 10_000].map(|minor| Value::Money(money(minor)));
        self.outcome("ok", vec![Value::Text("c".into()), Value::List(amounts.to_vec())]);
        self.outcome("fixed", [5_000, 10_000, 0].map(|minor| Value::Money(money(minor))).to_vec());
        self.outcome("ok", vec![Value::Money(money(fee_minor)), Value::Money(money(0))]);
        self.outcome("pin", Vec::new());
        self
    }

    fn reply(&mut self, text: &str) {
        self.event(Event::Answer(Answer::Text(text.into())));
    }

    fn told(&self) -> String {
        let program = self.catalog.program("recharge").unwrap();
        screen(&program, &self.effects, self.language, self.state.channel)
    }

    /// What the paying action was given, if it is due.
    fn paid(&self) -> Option<&[Argument]> {
        match self.effects.last() {
            Some(Effect::Do { action, arguments }) if action.moves_money() => Some(arguments),
            _ => None,
        }
    }

    fn calls_back(&self) -> bool {
        matches!(self.effects.last(), Some(Effect::Callback)) && self.state.wait == Wait::Callback
    }
}

#[test]
fn a_small_payment_is_confirmed_by_a_word_that_says_the_same_values() {
    for (language, wanted) in [
        ("en", "Pay 50 CNY, fee 0.50 CNY, for 138 0000 0002?\n1. Pay\n2. Do not pay"),
        ("es", "¿Pagar 50 CNY, tarifa 0.50 CNY, para 138 0000 0002?\n1. Pagar\n2. No pagar"),
        ("fr", "Payer 50 CNY, frais 0,50 CNY, pour 138 0000 0002 ?\n1. Payer\n2. Ne pas payer"),
        ("sw", "Lipa 50 CNY, ada 0.50 CNY, kwa 138 0000 0002?\n1. Lipa\n2. Usilipe"),
        ("zh", "为138 0000 0002支付50元，手续费0.50元？\n1. 支付\n2. 不支付"),
    ] {
        let mut thread = Thread::begin(catalog(5_050), language, "RC 50 13800000002", true).quoted(50);
        assert_eq!(thread.told(), wanted, "{language}");
        let Some(Effect::Collect(collect)) = thread.effects.last() else { panic!() };
        assert_eq!(collect.input, Input::Menu(vec!['1', '2']));
        assert!(collect.confirmation, "it is the confirmation of a payment");
        // Nothing is paid for anything but the word.
        for other in ["3", "1357", "pay", ""] {
            let mut thread = Thread::begin(catalog(5_050), language, "RC 50 13800000002", true).quoted(50);
            thread.reply(other);
            assert!(thread.paid().is_none() && thread.told().ends_with(wanted), "{other}: {}", thread.told());
        }
        thread.reply("１");
        let arguments = thread.paid().unwrap();
        let phone = Value::Phone(Msisdn::parse("+8613800000002").unwrap());
        assert_eq!(
            arguments,
            [
                Argument::Value(phone),
                Argument::Value(Value::Money(money(5_000))),
                Argument::Waived,
                Argument::Value(Value::Bool(false))
            ]
        );
        thread.outcome("delivered", vec![Value::Digits("204813".into())]);
        thread.outcome("none", Vec::new());
        assert!(thread.told().contains("204813") && thread.state.is_over());
    }
}

#[test]
fn a_payment_that_is_left_is_not_made() {
    for no in ["2", "２", "no", "N"] {
        let mut thread = Thread::begin(catalog(20_000), "en", "RC 50", true).quoted(0);
        thread.reply(no);
        assert_eq!(thread.told(), "Nothing was paid.", "{no}");
        assert!(thread.state.is_over() && thread.paid().is_none());
    }
    // Three wrong answers end it too.
    let mut thread = Thread::begin(catalog(20_000), "en", "RC 50", true).quoted(0);
    for _ in 0..3 {
        thread.reply("what?");
        assert!(thread.paid().is_none());
    }
    assert!(thread.state.is_over());
}

#[test]
fn above_the_cap_or_over_another_route_the_pin_is_asked_elsewhere() {
    for (cap_minor, fee_minor, waivable, small) in [
        (5_050, 50, true, true),
        (5_049, 50, true, false),
        (5_050, 51, true, false),
        (5_050, 50, false, false),
        (i64::MAX, i64::MAX, true, false),
    ] {
        let mut thread = Thread::begin(catalog(cap_minor), "en", "RC 50", waivable).quoted(fee_minor);
        assert_eq!(thread.calls_back(), !small, "{cap_minor} {fee_minor} {waivable}: {}", thread.told());
        if !small {
            thread.event(Event::Reached(Channel::Ussd));
            let Some(Effect::Collect(collect)) = thread.effects.last() else { panic!() };
            assert!(matches!(collect.input, Input::Secret { .. }));
            thread.reply("1357");
            let arguments = thread.paid().unwrap();
            assert!(arguments.iter().any(|argument| matches!(argument, Argument::Secret(_))));
        }
    }
}

#[test]
fn what_the_payment_core_wants_a_pin_for_is_asked_elsewhere() {
    let mut thread = Thread::begin(catalog(20_000), "en", "RC 50", true).quoted(0);
    thread.reply("1");
    assert!(thread.paid().is_some());
    thread.outcome(PIN_NEEDED, Vec::new());
    assert!(thread.calls_back(), "{:?}", thread.effects);
    thread.event(Event::Reached(Channel::Ussd));
    assert!(thread.told().contains("reply with your PIN"), "{}", thread.told());
    thread.reply("1357");
    assert!(thread.paid().unwrap().iter().any(|argument| matches!(argument, Argument::Secret(_))));
    // Of a PIN that was given there is no such answer.
    thread.outcome(PIN_NEEDED, Vec::new());
    assert!(thread.state.is_over() && thread.told().contains("went wrong"), "{}", thread.told());
    // Who is gone, is not asked.
    let mut thread = Thread::begin(catalog(20_000), "en", "RC 50", true).quoted(0);
    thread.reply("1");
    thread.event(Event::Hangup);
    thread.outcome(PIN_NEEDED, Vec::new());
    assert!(thread.state.is_over());
    let sent = thread
        .effects
        .iter()
        .any(|effect| matches!(effect, Effect::SendSms { text, .. } if text.contains("nothing was paid")));
    assert!(sent, "{:?}", thread.effects);
}

#[test]
fn the_menu_may_lead_to_a_flow_that_takes_small_payments_without_a_pin() {
    let mut sources = in_every_language();
    let recharge = sources.flows.iter_mut().find(|flow| flow.name == "recharge.flow").unwrap();
    recharge.text = recharge.text.replace("pin on sms callback", "pin on sms none");
    let found = compile(&sources, &market(5_050));
    let catalog = found.unwrap_or_else(|faults| panic!("{}", reports(&sources, &faults)));
    let transcripts = [
        (
            "recharge",
            "test \"its own command\" on sms \"RC 50\"\n  given caller +8613800000001\n  given payment.quote -> ok(0.50, 50.50)\n  < @pin.confirm\n  > 1  < @recharged; end\n",
        ),
        (
            "main",
            "test \"by the menu the PIN is asked\" on sms \"MENU\"\n  given caller +8613800000001\n  > 1\n  > 1\n  > 50  < @pin.callback; @enter-pin\n  > secret  < @recharged; end\n",
        ),
    ];
    for (flow, text) in transcripts {
        let (scripts, faults) = flowtest::parse("t.flowtest", text, &market(5_050));
        assert!(faults.is_empty(), "{faults:?}");
        let (_, failures) = flowtest::run(&catalog, flow, &scripts);
        let told: Vec<String> = failures
            .iter()
            .map(|f| format!("{}: {}\n{}", f.line, f.reason, f.transcript.join("\n")))
            .collect();
        assert!(told.is_empty(), "{}", told.join("\n"));
    }
    // What the menu does not do for any other flow, it cannot do for this one.
    let main = sources.flows.iter_mut().find(|flow| flow.name == "main.flow").unwrap();
    main.text = main.text.replace("pin on sms callback", "pin on sms none");
    let faults = compile(&sources, &market(5_050)).unwrap_err();
    assert!(faults.iter().all(|fault| fault.to_string().contains("F081")), "{}", reports(&sources, &faults));
    let led_to = faults.iter().filter(|fault| fault.to_string().contains("is more careful")).count();
    assert_eq!(led_to, 4, "bill, orders, account and charge: {}", reports(&sources, &faults));
}

#[test]
fn transcripts_confirm_without_a_pin() {
    let catalog = catalog(5_050);
    let text = "\
test \"small\" on sms \"RC 50\"
  given caller +8613800000001
  given payment.quote -> ok(0.50, 50.50)
  given recharge.pay -> delivered(204813)
  < @pin.confirm; \"50 CNY\"; \"0.50 CNY\"; \"138 0000 0001\"; @pin.pay; @pin.cancel
  > 1  < @recharged; does recharge.pay; end

test \"too much\" on sms \"RC 100\"
  given caller +8613800000001
  < @pin.callback; @enter-pin
  > secret  < @recharged; end

test \"too much today\" on sms \"RC 50\"
  given caller +8613800000001
  given payment.quote -> ok(0.50, 50.50)
  given recharge.pay -> pin_needed
  given recharge.pay -> delivered(204813)
  < @pin.confirm
  > 1  < does recharge.pay; @pin.callback; @enter-pin
  > secret  < @recharged; end

test \"not now\" on sms \"RC 50\"
  given caller +8613800000001
  given payment.quote -> ok(0.50, 50.50)
  > 2  < @pin.cancelled; end
";
    let (scripts, faults) = flowtest::parse("recharge.flowtest", text, &market(5_050));
    assert!(faults.is_empty(), "{faults:?}");
    let (_, failures) = flowtest::run(&catalog, "recharge", &scripts);
    let told: Vec<String> =
        failures.iter().map(|f| format!("{}: {}\n{}", f.line, f.reason, f.transcript.join("\n"))).collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}
