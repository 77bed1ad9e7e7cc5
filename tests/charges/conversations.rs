//! Whole conversations of `charge.flow` over the real payment core: a call, dialogues and texts, buyer and agent. After each step
//! the books are proved, so that not one unit is outside an account at any moment.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use keytone::dialplan::catalog::{Catalog, Settings, SourceFile, Sources, compile};
use keytone::dialplan::event::{Answer, Channel};
use keytone::ledger::row::Id;
use keytone::payment::charge::{Side, Stage};
use keytone::secret::Secret;
use keytone::session::kept::{Kept, Settled};
use keytone::session::registry::{Edition, Registry};
use keytone::session::writes::Writes;
use keytone::session::{Opening, Session, Then, Turn};

use super::{AGENT, BUYER, HOUR, Store, open};
use crate::support::market::{Database, PIN, cny, phone};

fn catalog() -> Catalog {
    let sources = Sources {
        flows: vec![
            SourceFile::new("charge.flow", include_str!("../../dialplans/charge.flow")),
            SourceFile::new("vouch.flow", include_str!("../../dialplans/vouch.flow")),
            SourceFile::new("store.flow", include_str!("../../dialplans/store.flow")),
            SourceFile::new("open.flow", include_str!("../../dialplans/open.flow")),
            SourceFile::new("close.flow", include_str!("../../dialplans/close.flow")),
        ],
        messages: vec![SourceFile::new("en.msg", include_str!("../../dialplans/messages/en.msg"))],
        numbers: vec![SourceFile::new("en/numbers.say", include_str!("../../prompts/en/numbers.say"))],
        clips: None,
    };
    let settings = Settings { country: "86".into(), national_digits: (11, 11), ..Settings::of(cny()) };
    compile(&sources, &settings).unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// One caller's conversation.
pub(super) struct Talk<'s> {
    store: &'s Store,
    session: Session,
    turn: Option<Turn>,
    pub(super) said: String,
}

impl<'s> Talk<'s> {
    pub(super) async fn begin(store: &'s Store, who: &str, channel: Channel, command: &str) -> Self {
        let catalog = catalog();
        let found = match channel {
            Channel::Voice => catalog.find_voice(command, false).map(|program| (program, Default::default())),
            Channel::Ussd => catalog.find_ussd(command, false).map(|found| (found.program, found.prefilled)),
            Channel::Sms => catalog.find_sms(command, false).map(|found| (found.program, found.prefilled)),
        };
        let (program, prefilled) = found.unwrap_or_else(|| panic!("nobody serves {command}"));
        let opening = Opening {
            channel,
            caller: Some(phone(who)),
            language: "en".into(),
            prefilled,
            draft: false,
            pin_waivable: channel == Channel::Sms,
        };
        let market = &store.market;
        let mut session = Session::new(program, opening, market.payments.clone(), market.clock.clone());
        let turn = session.start().await.unwrap();
        let mut talk = Self { store, session, turn: None, said: String::new() };
        talk.go_on(turn).await;
        talk
    }

    /// Does what a turn asks for, until the caller is asked or the conversation ends; the books are proved after each action.
    async fn go_on(&mut self, mut turn: Turn) {
        self.said = self.session.text(&turn.say);
        loop {
            turn = match turn.then {
                Then::Perform(task) => {
                    let performed = self.session.perform(task).await;
                    self.store.proved().await;
                    self.session.resume(performed).await.unwrap()
                }
                // The PIN of a thread of texts is asked by a USSD push.
                Then::Callback => self.session.reached(Some(Channel::Ussd)).await.unwrap(),
                _ => break,
            };
            self.said = format!("{}\n{}", self.said, self.session.text(&turn.say));
        }
        self.turn = Some(turn);
    }

    async fn answer(&mut self, answer: Answer) -> &str {
        let turn = self.session.answer(answer).await.unwrap();
        self.go_on(turn).await;
        &self.said
    }

    pub(super) async fn key(&mut self, key: char) -> &str {
        self.answer(Answer::Key(key)).await
    }

    pub(super) async fn digits(&mut self, digits: &str) -> &str {
        self.answer(Answer::Digits(digits.to_owned())).await
    }

    pub(super) async fn money(&mut self, minor: i64) -> &str {
        self.digits(&(minor / 100).to_string()).await
    }

    pub(super) async fn pin(&mut self, pin: &str) -> &str {
        self.answer(Answer::Secret(Secret::from(pin))).await
    }
}

impl Store {
    /// Asserts that the books are sound: what charges say is on the intermediary account is there, to the unit.
    async fn proved(&self) {
        let report = keytone::payment::run::audit::verify(&self.market.store).await.unwrap();
        assert!(report.is_sound(), "{:?}", report.faults);
    }

    /// The number of the only open charge.
    pub(super) async fn number(&self) -> String {
        let open = self.market.payments.open_charges(Side::Buyer, self.buyer).await.unwrap();
        assert_eq!(open.len(), 1);
        open[0].number.clone()
    }

    pub(super) async fn texted(&self, who: &str, text: &str) -> String {
        Talk::begin(self, who, Channel::Sms, text).await.said
    }

    /// Both sides were told by a text each, and nobody else; gives the buyer's and the agent's.
    async fn both_told(&self) -> [String; 2] {
        let told: Vec<_> = self.told().await;
        let to = |who: &str| told.iter().find(|(to, _)| to == who).map(|(_, body)| body.clone()).unwrap();
        assert_eq!(told.len(), 2, "{told:?}");
        [to(BUYER), to(AGENT)]
    }
}

pub(super) async fn a_charge_by_ussd_call_and_text(database: Database) {
    let store = open(database, |_| {}).await;
    // The buyer asks by USSD.
    let mut buyer = Talk::begin(&store, BUYER, Channel::Ussd, "*127*100#").await;
    assert!(buyer.said.contains("Wang 98 CNY"), "{}", buyer.said);
    let asked = buyer.key('1').await.to_owned();
    assert!(asked.contains("100 CNY for 98 CNY from Wang") && asked.contains("138"), "{asked}");
    let told = buyer.key('1').await.to_owned();
    let number = store.number().await;
    assert!(told.contains(&number) && told.contains("Do not pay"), "{told}");
    let [_, agent] = store.both_told().await;
    assert!(agent.contains(&format!("DEPOSIT {number}")), "{agent}");
    assert_eq!(store.money().await, [100_000, 0, 0]);

    // The agent deposits by a call, with a wrong PIN first.
    let mut agent = Talk::begin(&store, AGENT, Channel::Voice, "12583").await;
    agent.key('3').await;
    agent.key('1').await;
    agent.key('1').await;
    let wrong = agent.pin("000111").await.to_owned();
    assert!(wrong.contains("Wrong PIN"), "{wrong}");
    let told = agent.pin(PIN).await.to_owned();
    assert!(told.contains("is deposited"), "{told}");
    assert_eq!(store.money().await, [89_950, 10_000, 0]);
    let [to_buyer, _] = store.both_told().await;
    assert!(
        to_buyer.contains("ICBC 6222 0001") && to_buyer.contains(&format!("PAID {number}")),
        "{to_buyer}"
    );

    // The buyer asks for the certificate by a text; it is nowhere in clear.
    let certificate = store.certificate(&number).await;
    let told = store.texted(BUYER, &format!("CERT {number}")).await;
    assert!(told.contains("a message of its own") && !told.contains(&certificate), "{told}");
    let told = store.told().await;
    let sent = |(to, body): &(String, String)| {
        to == BUYER && body.contains(&certificate) && body.contains("ICBC 6222")
    };
    assert!(told.iter().any(sent), "as it leaves: {told:?}");

    // By USSD it is on the screen.
    let mut buyer = Talk::begin(&store, BUYER, Channel::Ussd, "*127#").await;
    buyer.key('2').await;
    buyer.key('1').await;
    assert!(buyer.key('1').await.contains(&certificate));

    // PAID by a text, in any of its spellings; twice is once.
    let told = store.texted(BUYER, &format!("paid {number}")).await;
    assert!(told.contains("the agent is told"), "{told}");
    let [_, to_agent] = store.both_told().await;
    assert!(to_agent.contains(&format!("CONFIRM {number}")), "{to_agent}");
    let told = store.texted(BUYER, &format!("已付 {number}")).await;
    assert!(told.contains("the agent is told"), "{told}");
    assert!(store.told().await.is_empty());

    // CONFIRM by a text with the last digits; the PIN by a USSD push.
    let mut agent =
        Talk::begin(&store, AGENT, Channel::Sms, &format!("CONFIRM {number} {}", &certificate[5..])).await;
    assert!(agent.said.contains("98 CNY received"), "{}", agent.said);
    let told = agent.pin(PIN).await.to_owned();
    assert!(told.contains("The buyer has 100 CNY"), "{told}");
    assert_eq!(store.money().await, [89_950, 0, 10_000]);
    let both = store.both_told().await;
    assert!(both.iter().all(|body| body.contains(&number)), "{both:?}");
    let told = store.texted(BUYER, &format!("CANCEL {number}")).await;
    assert!(told.contains("Cancel charge"), "{told}");
    store.market.close().await;
}

pub(super) async fn what_each_side_may_say_by_text(database: Database) {
    let store = open(database, |_| {}).await;
    let request = async || {
        let number = store.request().await.number;
        store.both_told().await;
        number
    };
    let state = async |number: &str| {
        let row = store.market.payments.charge_by_number(number).await.unwrap().unwrap();
        Stage::from_number(row.state).unwrap()
    };
    // A number of nobody, and another's: the same answer.
    let declined = request().await;
    assert!(store.texted(BUYER, "PAID 123456789").await.contains("You have no charge"));
    let stranger = "+8613800000003";
    store.market.account(stranger, 0).await;
    assert!(store.texted(stranger, &format!("DECLINE {declined}")).await.contains("You have no charge"));
    assert!(store.texted(BUYER, &format!("DECLINE {declined}")).await.contains("You have no charge"));
    assert!(store.texted(AGENT, &format!("DECLINE {declined}")).await.contains("is declined"));
    assert_eq!(state(&declined).await, Stage::Declined);
    store.both_told().await;
    // The buyer knows where to pay: only the buyer may cancel.
    let cancelled = request().await;
    let mut agent = Talk::begin(&store, AGENT, Channel::Sms, &format!("DEPOSIT {cancelled}")).await;
    assert!(agent.said.contains("deposit 100 CNY, fee 0.50 CNY"), "{}", agent.said);
    agent.pin(PIN).await;
    store.both_told().await;
    let mut agent = Talk::begin(&store, AGENT, Channel::Sms, &format!("CANCEL {cancelled}")).await;
    assert!(agent.key('1').await.contains("does not allow that now"));
    assert_eq!(store.money().await, [89_950, 10_000, 0]);
    let mut buyer = Talk::begin(&store, BUYER, Channel::Sms, &format!("CANCEL {cancelled}")).await;
    assert!(buyer.key('1').await.contains("is cancelled"));
    assert_eq!(store.money().await, [99_950, 0, 0]);
    store.both_told().await;
    // "Paid" taken back.
    let unpaid = store.claimed().await.number;
    store.told().await;
    let mut buyer = Talk::begin(&store, BUYER, Channel::Sms, &format!("UNPAID {unpaid}")).await;
    assert!(buyer.key('1').await.contains("The agent has the balance again"));
    assert_eq!(state(&unpaid).await, Stage::ToAgent);
    assert_eq!(store.money().await, [99_900, 0, 0]);
    store.both_told().await;
    store.market.close().await;
}

pub(super) async fn a_late_agent_and_a_dispute_by_two_persons(database: Database) {
    let store = open(database, |_| {}).await;
    let payments = &store.market.payments;
    // Late is against oneself: the agent may still confirm.
    let late = store.claimed().await;
    store.told().await;
    assert_eq!(store.later(HOUR).await, 1);
    store.proved().await;
    let [to_buyer, to_agent] = store.both_told().await;
    assert!(to_buyer.contains("disputed") && to_agent.contains("争议"), "{to_buyer} {to_agent}");
    let certificate = store.certificate(&late.number).await;
    let mut agent = Talk::begin(&store, AGENT, Channel::Voice, "12583").await;
    agent.key('3').await;
    agent.key('1').await;
    agent.key('1').await;
    agent.digits(&certificate).await;
    assert!(agent.pin(PIN).await.contains("is done"));
    assert_eq!(store.stage(late.id).await, Stage::ToBuyer);
    assert_eq!(store.money().await, [89_950, 0, 10_000]);
    store.both_told().await;

    // The agent says at once that nothing came: the money stays put, and two persons resolve.
    let judged = store.claimed().await;
    store.told().await;
    let told = store.texted(AGENT, &format!("DISPUTE {}", judged.number)).await;
    assert!(told.contains("is disputed"), "{told}");
    store.both_told().await;
    assert_eq!(store.later(HOUR * 23).await, 0, "the alarm has an age");
    assert_eq!(store.later(HOUR).await, 1);
    assert_eq!(store.money().await, [79_900, 10_000, 10_000], "it stays put");
    assert!(store.told().await.is_empty(), "an alarm is for staff");
    payments.judge_charge(&judged.number, "ann", Side::Buyer, "the slip of the bank").await.unwrap();
    store.proved().await;
    assert_eq!(store.money().await, [79_900, 10_000, 10_000]);
    payments.judge_charge(&judged.number, "bob", Side::Buyer, "called the bank").await.unwrap();
    store.proved().await;
    assert_eq!(store.money().await, [79_900, 0, 20_000]);
    let [to_buyer, to_agent] = store.both_told().await;
    assert!(to_buyer.contains("resolved") && to_agent.contains("已解决"), "{to_buyer} {to_agent}");
    let log = payments.audit_log(Some(&judged.number), 10).await.unwrap();
    let who: Vec<_> = log.iter().map(|row| (row.who.as_str(), row.what.as_str())).collect();
    assert_eq!(who, [("bob", "charge_resolve"), ("ann", "charge_judge")]);
    store.market.close().await;
}

/// A process that dies when the agent's PIN was taken: whoever takes the conversation up tells what came of it.
pub(super) async fn a_process_that_dies_with_money_moving(database: Database) {
    let store = open(database, |_| {}).await;
    let market = &store.market;
    let edition = Edition { catalog: Arc::new(catalog()), media: (), testers: BTreeSet::new() };
    let registry = Registry::new(edition, market.payments.clone(), market.clock.clone(), "en".into(), 1_000);
    let number = store.request().await.number;
    for step in ["DEPOSIT", "CONFIRM"] {
        let command = match step {
            "DEPOSIT" => format!("DEPOSIT {number}"),
            _ => format!("CONFIRM {number} {}", store.certificate(&number).await),
        };
        for done in [false, true] {
            store.told().await;
            let mut talk = Talk::begin(&store, AGENT, Channel::Sms, &command).await;
            talk.session.keep(Kept {
                key: format!("{step} {done}"),
                dialogue: None,
                route: "sandbox".to_owned(),
                number: phone(AGENT),
                window: Duration::from_secs(600),
            });
            let turn = talk.session.answer(Answer::Secret(Secret::from(PIN))).await.unwrap();
            let Then::Perform(task) = turn.then else { panic!("{:?}", turn.then) };
            assert_eq!(talk.session.settle(Writes::new()).await.unwrap(), Settled::Done);
            if done {
                drop(talk.session.perform(task).await);
            }
            drop(talk);
            store.proved().await;
            let rows = market.payments.kept_sessions(Id([0; 16]), 10).await.unwrap();
            assert_eq!(rows.len(), 1);
            let row = rows.into_iter().next().unwrap();
            let id = row.id;
            registry.restore(row).unwrap().recover().await.unwrap();
            market.payments.end_session(id).await.unwrap();
            let told = store.told().await;
            let words = match (step, done) {
                (_, false) => "Something went wrong",
                ("DEPOSIT", true) => "The buyer is told where to pay.",
                (_, true) => "The buyer has 100 CNY.",
            };
            let heard = |(to, body): &(String, String)| to == AGENT && body.contains(words);
            assert!(told.iter().any(heard), "{step} {done}: {told:?}");
        }
    }
    assert_eq!(store.money().await, [89_950, 0, 10_000]);
    store.market.close().await;
}
