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
    house.stop();
    let left: Vec<_> = std::fs::read_dir(house.folder()).unwrap().map(|e| e.unwrap().file_name()).collect();
    let is_demo = |name: &std::ffi::OsString| name.to_string_lossy().starts_with("keytone-demo-");
    assert!(!left.iter().any(is_demo), "the demo left its folder behind: {left:?}");
}
