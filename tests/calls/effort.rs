//! What a recharge costs the customer who knows the way: keys, and seconds of listening. The seconds are lengths of audio,
//! not measured times, so that a busy machine changes nothing.

use std::time::Duration;

use super::{OWN, PIN};
use crate::support::daemon::Plan;
use crate::support::ear::Heard;
use crate::support::sipp::Phone;

/// A longer silence belongs to the customer, who is pressing keys.
const PAUSE_SAMPLES_MAX: usize = 200 * 8;
/// A key and the way to the next.
const KEY: Duration = Duration::from_millis(400);

/// What was listened to: clips heard to their end, and the pauses between them.
fn listened(heard: &[Heard]) -> Duration {
    let mut samples = 0;
    let mut last_end = 0;
    for clip in heard.iter().filter(|h| h.whole) {
        let pause = clip.from - last_end;
        samples += clip.to - clip.from + if pause <= PAUSE_SAMPLES_MAX { pause } else { 0 };
        last_end = clip.to;
    }
    Duration::from_micros(u64::try_from(samples).unwrap() * 125)
}

#[test]
fn a_repeat_customer_needs_few_keys_and_little_time() {
    let house = Plan::with(OWN, PIN).open();
    // Who knows the way presses when a question has begun, but listens to the number, the amount and the fee that the PIN
    // confirms, and to the whole result.
    let keys = ["1", "50#", &format!("{PIN}#")];
    let call = Phone::with_events(&house, OWN).hear("confirm-number").press(keys[0]);
    let call = call.hear("enter-amount").press(keys[1]);
    let call = call.hear_clip("en/msg/enter-pin.2").hear_clip("en/num/yuan").press(keys[2]).they_end();
    house.assert_paid(&[("delivered", OWN, "50.00")]);

    let pressed: usize = keys.iter().map(|k| k.len()).sum();
    let pressing = KEY * u32::try_from(pressed).unwrap();
    let listening = listened(&call.heard);
    println!("{pressed} keys in {pressing:?}, {listening:?} of listening");
    assert!(pressed <= 12, "{pressed} keys");
    let whole = listening + pressing;
    assert!(whole <= Duration::from_secs(25), "{whole:?}: {:?}", call.clips);
}
