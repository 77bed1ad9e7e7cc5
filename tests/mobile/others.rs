//! Other ways than a carrier's SMSC: an aggregator that binds to us, and gateways that speak HTTP.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use keytone::clock::Clock;
use keytone::smpp::io::{Client, ClientSettings, What};
use keytone::smpp::link::event::Outcome;
use keytone::smpp::link::settings::{Esme, Password, Settings, Side};
use keytone::smpp::pdu::{Address, Body, Message, MessageResp, Role};

use super::{FIRST, PIN, SERVICE, plan};
use crate::support::daemon::House;
use crate::support::keytone;

/// What `keytone smpp password` prints for a password.
fn password_hash(house: &House, system_id: &str, password: &str) -> String {
    let mut child = std::process::Command::new(keytone())
        .args(["smpp", "password", "--system-id", system_id])
        .current_dir(house.folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn number(digits: &str) -> Address {
    Address { ton: 1, npi: 1, digits: digits.trim_start_matches('+').to_owned().into() }
}

#[test]
fn an_aggregator_binds_to_us_and_its_subscribers_are_served() {
    let mut house = plan().furnish();
    let hash = password_hash(&house, "agg", "s3cret");
    house.append(&format!(
        "\n[smpp]\nlisten = \"127.0.0.1:0\"\nnetworks = [\"127.0.0.0/8\"]\n\n[[smpp.peer]]\nname = \"aggregator\"\n\
         system_id = \"agg\"\n{hash}\nwindow = 20\ntrusted_number = true\n[smpp.peer.sms]\nsender = \"12580\"\n"
    ));
    house.start();
    let smpp = house.smpp.unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let esme = |password: &[u8]| Esme {
            system_id: "agg".into(),
            password: Password::new(password),
            system_type: Default::default(),
            role: Role::Transceiver,
            version: 0x34,
            addr_ton: 0,
            addr_npi: 0,
            address_range: Default::default(),
        };
        let settings = |password: &[u8]| ClientSettings {
            name: "us".to_owned(),
            addresses: vec![smpp.to_string()],
            tls: None,
            server_name: None,
            connect_timeout: Duration::from_secs(5),
            link: Settings::new(Side::Esme(esme(password))),
        };
        let (events_in, mut events) = tokio::sync::mpsc::channel(16);
        let handle = Client::start(settings(b"s3cret"), events_in, || Clock::machine().instant());
        let up = tokio::time::timeout(Duration::from_secs(10), events.recv()).await.unwrap().unwrap();
        assert!(matches!(up.what, What::Up(_)), "{up:?}");
        let message = Message {
            source: number("+8613700000009"),
            destination: number(SERVICE),
            short_message: "RC 50".into(),
            ..Message::default()
        };
        let outcome = handle.request(Body::SubmitSm(message), 1).await;
        let Outcome::Answered { status: 0, body } = outcome else { panic!("{outcome:?}") };
        let Body::SubmitSmResp(response) = &body else { panic!("{body:?}") };
        assert!(!response.message_id.is_empty());
        // The subscriber has no account, and is told how to get one, by deliver_sm.
        let came = tokio::time::timeout(Duration::from_secs(10), events.recv()).await.unwrap().unwrap();
        let What::Request { ticket, body: Body::DeliverSm(told) } = came.what else { panic!("{came:?}") };
        assert_eq!(told.destination.digits, "8613700000009");
        assert!(!told.short_message.is_empty());
        handle.respond(ticket, 0, Body::DeliverSmResp(MessageResp::default()));
        handle.close(Duration::from_secs(2)).await;

        let (events_in, mut events) = tokio::sync::mpsc::channel(16);
        let stranger = Client::start(settings(b"guess"), events_in, || Clock::machine().instant());
        let waited = tokio::time::timeout(Duration::from_secs(3), events.recv()).await;
        assert!(waited.is_err(), "a wrong password got {waited:?}");
        stranger.close(Duration::ZERO).await;
    });
    house.stop();
    assert!(house.log().contains("wrong password"), "{}", house.log_tail());
}

#[test]
fn an_smsc_that_asks_us_to_bind_is_bound_to_on_its_connection() {
    let mut plan = plan().on_network(&[]);
    // Nothing of ours connects: the SMSC does.
    plan.smsc = plan.smsc.replace("addresses = [\"SMPP\"]", "");
    plan.smsc = plan.smsc.replace(
        "[smsc.sms]",
        "outbind_system_id = \"sandbox\"\noutbind_password_env = \"KEYTONE_SMSC_PASSWORD\"\n[smsc.sms]",
    );
    plan.smsc += "\n[smpp]\nlisten = \"127.0.0.1:0\"\nnetworks = [\"127.0.0.0/8\"]\n";
    let house = plan.open();
    let network = house.network();
    network.post("/outbind", &serde_json::json!({ "address": house.smpp.unwrap().to_string() }));
    network.bound(1);
    let shown = network.dial(FIRST, "*125*50#");
    assert!(shown.open && shown.text.contains("your PIN"), "{shown:?}");
    assert!(network.reply(FIRST, PIN).text.contains("was recharged"));
    house.assert_paid(&[("delivered", FIRST, "50.00")]);
}

/// A request to the daemon's HTTP; status and body.
fn ask(house: &House, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(house.http).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.0\r\nHost: x\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn a_dialogue_over_http_in_the_form_of_africas_talking() {
    let mut house = plan().furnish();
    std::fs::write(house.path("gateway.key"), "hush").unwrap();
    house.append(
        "\n[[gateway]]\nname = \"at\"\nform = \"africastalking\"\nsecret_file = \"gateway.key\"\ntrusted_number = true\n\
         [gateway.ussd]\n",
    );
    house.start();
    let step = |text: &str| {
        let form = format!(
            "sessionId=AT1&phoneNumber=%2B{}&networkCode=1&serviceCode=*125%23&text={text}",
            &FIRST[1..]
        );
        let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
        ask(&house, "POST", "/ussd/at?key=hush", kind, &form)
    };
    let mut history = String::new();
    for (part, answer) in
        [("CON Your number", "1"), ("CON Amount", "70"), ("Input error", "50"), ("your PIN", PIN)]
    {
        let (status, screen) = step(&history);
        assert!(status == 200 && screen.contains(part), "{part}: {status} {screen}");
        if !history.is_empty() {
            history.push('*');
        }
        history += answer;
    }
    let (status, screen) = step(&history);
    assert!(status == 200 && screen.starts_with("END") && screen.contains("was recharged"), "{screen}");
    // The gateway asks again: the same answer, and nothing is paid twice.
    assert_eq!(step(&history).1, screen);
    house.assert_paid(&[("delivered", FIRST, "50.00")]);
    let (status, _) = ask(&house, "POST", "/ussd/at?key=guess", "", "sessionId=AT2");
    assert_eq!(status, 401);
    assert_eq!(ask(&house, "POST", "/ussd/other?key=hush", "", "").0, 404);
}
