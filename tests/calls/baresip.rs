//! A telephone that is not sipp: baresip answers for itself what it heard, by its own recording.

use super::{OWN, PIN};
use crate::support::baresip::Baresip;
use crate::support::daemon::Plan;
use crate::support::ear::{clips, names};

#[test]
fn baresip_hears_the_prompts_and_recharges() {
    // It names another address of this machine in its SDP than it sends from, as a phone behind NAT does.
    let house = Plan { symmetric: true, ..Plan::with(OWN, PIN) }.open();
    let mut phone = Baresip::call(&house, OWN);
    phone.hear("confirm-number");
    phone.press("1");
    phone.hear("enter-amount");
    phone.press("50#");
    phone.hear("enter-pin");
    phone.press(&format!("{PIN}#"));
    phone.hear("recharged");
    phone.wait_end();
    house.assert_paid(&[("delivered", OWN, "50.00")]);
    // What the phone itself recorded: sound, and about as much of it as the clips that it heard last.
    let recording = phone.recording();
    let loud = recording.iter().filter(|s| s.unsigned_abs() > 500).count();
    assert!(loud > 8000, "of {} samples only {loud} are more than silence", recording.len());
    let heard = phone.heard();
    assert!(heard.iter().filter(|h| h.whole).count() > 15, "{:?}", names(&heard));
    let length = |name: &str| clips().iter().find(|c| c.name() == name).unwrap().duration();
    let said: std::time::Duration = heard.iter().filter(|h| h.whole).map(|h| length(&h.name)).sum();
    let recorded = std::time::Duration::from_micros(u64::try_from(recording.len()).unwrap() * 125);
    assert!(recorded >= said, "recorded {recorded:?}, and heard clips of {said:?}");
}
