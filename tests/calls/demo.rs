//! `keytone demo --serve`: one command, and any telephone can call.

use crate::support::daemon::House;
use crate::support::sipp::Phone;

#[test]
fn the_demo_takes_a_telephones_call() {
    let (house, ready) = House::demo();
    assert_eq!(ready["service_number"], "12580");
    let account = &ready["accounts"][0];
    let (msisdn, pin) = (account["msisdn"].as_str().unwrap(), account["pin"].as_str().unwrap());
    assert_eq!((&account["balance"], &account["currency"]), (&"5000.00".into(), &"CNY".into()));
    Phone::with_events(&house, msisdn).recharge_own(pin).they_end();
    assert_eq!(house.recharges(), [("delivered".to_owned(), msisdn.to_owned(), "50.00".to_owned())]);
    let record = &house.carrier_log()[0];
    for key in ["reference", "msisdn", "amount", "currency", "state", "at"] {
        assert!(record[key].is_string(), "{key} in {record}");
    }
    let control: std::net::SocketAddr =
        ready["smsc_control"].as_str().unwrap().trim_start_matches("http://").parse().unwrap();
    let network = crate::support::network::Network::at(control);
    let shown = network.dial(msisdn, ready["ussd_code"].as_str().unwrap());
    assert!(shown.open && shown.text.contains("Your number is"), "{shown:?}");
    assert!(ready["smpp"].as_str().unwrap().parse::<std::net::SocketAddr>().is_ok());
    house.stop();
    let left: Vec<_> = std::fs::read_dir(house.folder()).unwrap().map(|e| e.unwrap().file_name()).collect();
    let is_demo = |name: &std::ffi::OsString| name.to_string_lossy().starts_with("keytone-demo-");
    assert!(!left.iter().any(is_demo), "the demo left its folder behind: {left:?}");
}

#[test]
fn the_demo_pays_by_call_by_ussd_and_by_sms() {
    let output = std::process::Command::new(crate::support::keytone())
        .args(["demo", "--json", "--sip-port", "0", "--http-port", "0", "--smpp-port", "0"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: serde_json::Value =
        serde_json::from_str(String::from_utf8_lossy(&output.stdout).lines().last().unwrap()).unwrap();
    for way in ["voice", "ussd", "sms"] {
        assert_eq!(told[way]["outcome"], "delivered", "{told}");
        assert!(told[way]["payment"].is_string(), "{told}");
    }
    assert_eq!(
        (&told["sms"]["receipt"], &told["ledger"]["verified"]),
        (&true.into(), &true.into()),
        "{told}"
    );
}
