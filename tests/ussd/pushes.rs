//! Dialogues that we begin: the PIN of a text message, and notifications.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keytone::msisdn::Msisdn;
use keytone::session::kept::{Kept, Reach, Settled};
use keytone::session::writes::Writes;
use keytone::session::{Channel, Party, Session, Then};
use keytone::ussd::wire::Kind;
use keytone::ussd::{Desk, Notified, Pushed, Pusher, Screen};

use crate::support::market::{Database, Market, PIN, phone};
use crate::ussd::{
    AIR, ME, Phone, answer, begin, close, desk, desk_with, on_both_databases, registry, says, until_texts,
};

/// A network that shows what it is given, or not.
struct Network {
    says: Pushed,
    shown: Mutex<Vec<(Msisdn, Screen, Kind)>>,
}

impl Network {
    fn new(desk: &Desk<()>, says: Pushed) -> Arc<Self> {
        let network = Arc::new(Self { says, shown: Mutex::default() });
        desk.push_by(BTreeMap::from([(AIR.to_owned(), network.clone() as Arc<dyn Pusher>)]));
        network
    }

    fn shown(&self) -> Vec<(Msisdn, Screen, Kind)> {
        self.shown.lock().unwrap().clone()
    }
}

impl Pusher for Network {
    fn push(
        &self,
        msisdn: Msisdn,
        screen: Screen,
        kind: Kind,
    ) -> Pin<Box<dyn Future<Output = Pushed> + Send>> {
        self.shown.lock().unwrap().push((msisdn, screen, kind));
        Box::pin(std::future::ready(self.says.clone()))
    }
}

/// A thread of text messages that waits for its PIN to be asked elsewhere.
pub(crate) async fn thread(market: &Market, amount: &str) -> Session {
    let party = Party { caller: Some(phone(ME)), language: None };
    let mut session = registry(market, 100).open_text(Channel::Sms, &format!("RC {amount}"), party).unwrap();
    session.keep(Kept {
        key: format!("sms/texts/{ME}"),
        dialogue: None,
        route: "texts".into(),
        number: phone(ME),
        window: Duration::from_secs(600),
    });
    let turn = session.start().await.unwrap();
    let turn = session.proceed(turn).await.unwrap();
    assert!(matches!(turn.then, Then::Callback), "{:?}", turn.then);
    assert_eq!(session.settle(Writes::new()).await.unwrap(), Settled::Done);
    session
}

async fn a_text_messages_pin_is_asked_on_a_screen(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let desk = desk(&market);
    let network = Network::new(&desk, Pushed::Taken);
    desk.reach(thread(&market, "50").await).await.unwrap();
    let [(number, screen, kind)] = network.shown().try_into().unwrap();
    assert_eq!((number, kind, screen.end), (phone(ME), Kind::Push, false));
    says(&screen.text, "reply with your PIN");
    assert!(market.payments.session_by_key(&format!("sms/texts/{ME}")).await.unwrap().is_none());
    // The network names the dialogue with the first answer, and by that name only it goes on.
    let me = Phone::new(&desk, ME, "from the network");
    says(&me.asked(answer("111222")).await, "You have 4");
    says(&Phone::new(&desk, ME, "another").told(answer(PIN)).await, "start again");
    says(&me.told(answer(PIN)).await, "was recharged");
    assert_eq!(until_texts(&market, ME, 1).await.len(), 1);
    assert_eq!(market.carrier(ME).len(), 1);
    close(market, &[desk]).await;
}

async fn who_cannot_be_reached_is_given_back(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    for pushed in [Pushed::Refused("ESME_RSUBMITFAIL".into()), Pushed::Unknown] {
        let desk = desk(&market);
        let network = Network::new(&desk, pushed);
        let unreached = desk.reach(thread(&market, "50").await).await.unwrap_err();
        assert_eq!(network.shown().len(), 1);
        let mut session = *unreached.0;
        let turn = session.reached(None).await.unwrap();
        says(&session.reply(&turn).unwrap(), "could not reach you");
        assert_eq!(session.settle(Writes::new()).await.unwrap(), Settled::Done);
        says(&Phone::new(&desk, ME, "1").told(answer(PIN)).await, "start again");
        close_desk(&desk).await;
    }
    // No route may begin dialogues.
    let silent = desk(&market);
    silent.reach(thread(&market, "50").await).await.unwrap_err();
    assert!(matches!(silent.notify(&phone(ME), "Good day").await, Notified::Refused(_)));
    close(market, &[silent]).await;
}

async fn close_desk(desk: &Desk<()>) {
    desk.idle().await;
}

async fn a_push_takes_the_place_of_an_idle_dialogue(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let desk = desk(&market);
    let _network = Network::new(&desk, Pushed::Taken);
    let me = Phone::new(&desk, ME, "1");
    me.asked(begin("*125#")).await;
    me.asked(answer("1")).await;
    desk.reach(thread(&market, "50").await).await.unwrap();
    says(&Phone::new(&desk, ME, "2").told(answer(PIN)).await, "was recharged");
    close(market, &[desk]).await;
}

async fn what_answers_the_former_dialogue_does_not_answer_a_push(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let desk = desk(&market);
    let _network = Network::new(&desk, Pushed::Taken);
    let me = Phone::new(&desk, ME, "1");
    me.asked(begin("*125*100#")).await;
    desk.reach(thread(&market, "50").await).await.unwrap();
    // He typed it for what he saw then.
    says(&me.told(answer(PIN)).await, "start again");
    assert!(market.carrier(ME).is_empty());
    says(&Phone::new(&desk, ME, "2").told(answer(PIN)).await, "was recharged");
    close(market, &[desk]).await;
}

async fn no_pin_is_asked_on_a_route_whose_numbers_are_not_believed(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let desk = desk_with(&market, |route| route.trusted = false);
    let network = Network::new(&desk, Pushed::Taken);
    desk.reach(thread(&market, "50").await).await.unwrap_err();
    assert!(network.shown().is_empty());
    assert_eq!(desk.notify(&phone(ME), "Good day").await, Notified::Taken);
    close(market, &[desk]).await;
}

async fn a_notification_is_shown_once(database: Database) {
    let market = Market::open(database).await;
    let desk = desk(&market);
    let network = Network::new(&desk, Pushed::Taken);
    assert_eq!(desk.notify(&phone(ME), "Good day").await, Notified::Taken);
    let shown = network.shown();
    assert_eq!(shown, [(phone(ME), Screen { text: "Good day".into(), end: true }, Kind::Notify)]);
    close(market, &[desk]).await;
}

on_both_databases!(pushes:
    a_text_messages_pin_is_asked_on_a_screen,
    who_cannot_be_reached_is_given_back,
    a_push_takes_the_place_of_an_idle_dialogue,
    what_answers_the_former_dialogue_does_not_answer_a_push,
    no_pin_is_asked_on_a_route_whose_numbers_are_not_believed,
    a_notification_is_shown_once,
);
