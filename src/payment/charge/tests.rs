//! Every stage with every input, and histories by chance.

use crate::ledger::row::Id;
use crate::money::Currency;
use crate::msisdn::Msisdn;
use crate::payment::charge::*;

pub(super) fn row(stage: Stage) -> ChargeRow {
    ChargeRow {
        id: Id([1; 16]),
        number: "123456789".to_owned(),
        agent: Id([2; 16]),
        buyer: Id([3; 16]),
        agent_phone: Msisdn::parse("+8613800000001").unwrap(),
        buyer_phone: Msisdn::parse("+8613800000002").unwrap(),
        agent_language: "en".to_owned(),
        buyer_language: "en".to_owned(),
        details: "Bank 42".to_owned(),
        amount_minor: 100,
        price_minor: 90,
        fee_minor: 0,
        currency: Currency::new("CNY").unwrap(),
        state: stage.number(),
        deposit: None,
        certificate_mac: None,
        certificate: None,
        tries: 0,
        due_at: (!stage.is_final()).then_some(1_000),
        pay_by: None,
        claimed_at: None,
        disputed_at: None,
        judged_by: None,
        judged_to: None,
        evidence: None,
        created_at: 0,
        updated_at: 0,
        ended_at: None,
        version: 1,
    }
}

fn judged(staff: &str, to: Side) -> Input {
    Input::Judge { staff: staff.to_owned(), to, evidence: "a bank statement".to_owned() }
}

fn stated(words: &str) -> Input {
    Input::Statement { side: Side::Agent, words: words.to_owned() }
}

fn deposit() -> Input {
    Input::Deposit { mac: vec![1; 16], sealed: vec![2] }
}

fn to(stage: Stage, now: i64, input: Input) -> Result<(Stage, Movement), Refusal> {
    let step = decide(&row(stage), now, &Terms::default(), input)?;
    assert_eq!(step.row.version, 2);
    Ok((Stage::from_number(step.row.state).unwrap(), step.movement))
}

#[test]
fn what_follows_what() {
    use Side::{Agent, Buyer};
    let (still, buyer, agent) = (Movement::Still, Movement::Settle(Buyer), Movement::Settle(Agent));
    let yes = [
        (Stage::Requested, 0, deposit(), Stage::Deposited, Movement::Deposit),
        (Stage::Requested, 0, Input::Decline, Stage::Declined, still),
        (Stage::Requested, 0, Input::Cancel(Buyer), Stage::Cancelled, still),
        (Stage::Requested, 0, Input::Cancel(Agent), Stage::Cancelled, still),
        (Stage::Requested, 1_000, Input::Time, Stage::Lapsed, still),
        (Stage::Deposited, 0, Input::Claim, Stage::Claimed, still),
        (Stage::Deposited, 0, Input::Cancel(Buyer), Stage::Cancelled, agent),
        (Stage::Deposited, 0, Input::Confirm, Stage::Completed, buyer),
        (Stage::Deposited, 1_000, Input::Time, Stage::Returned, agent),
        (Stage::Claimed, 999, Input::Confirm, Stage::Completed, buyer),
        (Stage::Claimed, 1_000, Input::Confirm, Stage::ToBuyer, buyer),
        (Stage::Claimed, 0, Input::Withdraw, Stage::ToAgent, agent),
        (Stage::Claimed, 1_000, Input::Time, Stage::Disputed, still),
        (Stage::Disputed, 0, Input::Confirm, Stage::ToBuyer, buyer),
        (Stage::Disputed, 0, Input::Withdraw, Stage::ToAgent, agent),
        (Stage::Disputed, 1_000, Input::Time, Stage::Disputed, still),
        (Stage::Disputed, 0, judged("ann", Buyer), Stage::Disputed, still),
        (Stage::Claimed, 0, Input::Dispute(Agent), Stage::Disputed, still),
        (Stage::Claimed, 0, Input::Dispute(Buyer), Stage::Disputed, still),
        (Stage::Disputed, 0, stated("it was never paid"), Stage::Disputed, still),
    ];
    for (from, now, input, stage, movement) in yes {
        assert_eq!(to(from, now, input.clone()), Ok((stage, movement)), "{from:?} {input:?}");
    }
    let no = [
        (Stage::Deposited, 0, Input::Cancel(Agent), Refusal::BuyerOnly),
        (Stage::Claimed, 0, Input::Cancel(Agent), Refusal::BuyerOnly),
        (Stage::Requested, 1_000, deposit(), Refusal::Late),
        (Stage::Deposited, 1_000, Input::Claim, Refusal::Late),
        (Stage::Claimed, 999, Input::Time, Refusal::NotDue),
        (Stage::Claimed, 0, judged("ann", Buyer), Refusal::NotNow(Stage::Claimed)),
        (Stage::Requested, 0, Input::Confirm, Refusal::NotNow(Stage::Requested)),
        (Stage::Deposited, 0, Input::Dispute(Buyer), Refusal::NotNow(Stage::Deposited)),
        (Stage::Claimed, 0, stated("it was never paid"), Refusal::NotNow(Stage::Claimed)),
        (Stage::Disputed, 0, stated("no"), Refusal::NoEvidence),
    ];
    for (from, now, input, refusal) in no {
        assert_eq!(to(from, now, input.clone()), Err(refusal), "{from:?} {input:?}");
    }
    for stage in Stage::ALL.iter().filter(|stage| stage.is_final()) {
        for input in [deposit(), Input::Claim, Input::Confirm, Input::Withdraw, Input::Decline] {
            assert_eq!(to(*stage, 0, input), Err(Refusal::NotNow(*stage)), "nothing follows the end");
        }
        assert_eq!(to(*stage, i64::MAX, Input::Time), Err(Refusal::NotDue));
    }
}

#[test]
fn staff_resolve_by_two_with_evidence() {
    let terms = Terms::default();
    let first = decide(&row(Stage::Disputed), 0, &terms, judged("ann", Side::Buyer)).unwrap().row;
    assert_eq!(decide(&first, 0, &terms, judged("ann", Side::Buyer)), Err(Refusal::SameStaff));
    let brief = Input::Judge { staff: "bob".to_owned(), to: Side::Buyer, evidence: " so   ".to_owned() };
    assert_eq!(decide(&first, 0, &terms, brief), Err(Refusal::NoEvidence));
    let other = decide(&first, 0, &terms, judged("bob", Side::Agent)).unwrap();
    assert_eq!(other.movement, Movement::Still, "they do not agree");
    let both = decide(&other.row, 0, &terms, judged("ann", Side::Agent)).unwrap();
    assert_eq!(both.movement, Movement::Settle(Side::Agent));
    assert_eq!(both.row.evidence.unwrap().lines().count(), 3);
}

#[test]
fn both_sides_are_heard_and_leave_room_for_staff() {
    let terms = Terms::default();
    let mut disputed = row(Stage::Disputed);
    for _ in 0..STATEMENTS_MAX {
        let long = format!("not\npaid {}", "x".repeat(STATEMENT_MAX));
        disputed = decide(&disputed, 0, &terms, stated(&long)).unwrap().row;
    }
    assert_eq!(decide(&disputed, 0, &terms, stated("once more")), Err(Refusal::Full));
    let lines = disputed.evidence.clone().unwrap();
    assert!(lines.lines().count() == STATEMENTS_MAX && lines.starts_with("(the agent): not paid xx"));
    let first = decide(&disputed, 0, &terms, judged("ann", Side::Buyer)).unwrap().row;
    let both = decide(&first, 0, &terms, judged("bob", Side::Buyer)).unwrap();
    assert_eq!(both.movement, Movement::Settle(Side::Buyer));
    let lines = both.row.evidence.unwrap();
    assert!(lines.lines().count() == STATEMENTS_MAX && lines.ends_with("bob: a bank statement"), "{lines}");
    // Nobody of the staff passes for two by a blank.
    assert_eq!(decide(&first, 0, &terms, judged(" ann ", Side::Buyer)), Err(Refusal::SameStaff));
}

#[test]
fn rows_that_cannot_be_are_found() {
    let mac = Some(vec![1; 16]);
    let deposited = ChargeRow {
        deposit: Some(Id([4; 16])),
        certificate_mac: mac.clone(),
        certificate: mac.clone(),
        ..row(Stage::Deposited)
    };
    assert_eq!(fault(&row(Stage::Requested)), None);
    assert_eq!(fault(&deposited), None);
    let bad = [
        ChargeRow { state: 11, ..row(Stage::Requested) },
        row(Stage::Deposited),
        ChargeRow { state: Stage::Lapsed.number(), due_at: None, ended_at: Some(1), ..deposited.clone() },
        ChargeRow { certificate: None, ..deposited.clone() },
        ChargeRow { due_at: None, ..deposited.clone() },
        ChargeRow { ended_at: Some(1), ..deposited.clone() },
        ChargeRow { state: Stage::Claimed.number(), ..deposited.clone() },
        ChargeRow { state: Stage::Disputed.number(), claimed_at: Some(1), ..deposited },
    ];
    for row in bad {
        assert!(fault(&row).is_some(), "{row:?}");
    }
}

#[test]
fn wrong_certificates_are_counted() {
    let terms = Terms::default();
    let mut charge = row(Stage::Claimed);
    for tries in 1..=CERTIFICATE_TRIES {
        charge = decide(&charge, 0, &terms, Input::WrongCertificate).unwrap().row;
        assert_eq!((charge.tries, charge.state), (tries, Stage::Claimed.number()));
    }
    for input in [Input::WrongCertificate, Input::Confirm] {
        assert_eq!(decide(&charge, 0, &terms, input), Err(Refusal::CertificateLocked));
    }
}

/// Money is in one of three places after any history, is moved as the stage says, and every history ends once two agree.
#[test]
fn histories_by_chance_keep_the_money_and_end() {
    let mut seed: u64 = 7;
    let mut draw = |most: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % most
    };
    let terms = Terms {
        deposit_within: 50,
        pay_within: 50,
        claim_window: 50,
        confirm_within: 50,
        alarm_after: 50,
        alarm_every: 50,
        ..Terms::default()
    };
    let mut ends = std::collections::BTreeSet::new();
    for _ in 0..20_000 {
        // As `new_charge` makes it: a request waits as long as these terms say.
        let asked = ChargeRow { due_at: Some(terms.deposit_within), ..row(Stage::Requested) };
        let (mut now, mut charge) = (0, asked);
        let (mut agent, mut held, mut buyer) = (100, 0, 0);
        for step in 0..200 {
            now += i64::try_from(draw(40)).unwrap();
            let side = if draw(2) == 0 { Side::Buyer } else { Side::Agent };
            let input = match draw(18) {
                0..=3 => deposit(),
                4..=6 => Input::Claim,
                7 => Input::Confirm,
                8 => Input::Withdraw,
                9 => Input::Decline,
                10 => Input::Cancel(side),
                11 => judged(if step % 2 == 0 { "ann" } else { "bob" }, side),
                12 => Input::WrongCertificate,
                13 => Input::Dispute(side),
                14 => Input::Statement { side, words: "a word of mine".to_owned() },
                _ => Input::Time,
            };
            let Ok(step) = decide(&charge, now, &terms, input) else { continue };
            let moved = match step.movement {
                Movement::Still => (0, 0, 0),
                Movement::Deposit => (-100, 100, 0),
                Movement::Settle(Side::Buyer) => (0, -100, 100),
                Movement::Settle(Side::Agent) => (100, -100, 0),
            };
            (agent, held, buyer) = (agent + moved.0, held + moved.1, buyer + moved.2);
            assert_eq!(step.row.version, charge.version + 1);
            charge = step.row;
            let stage = Stage::from_number(charge.state).unwrap();
            assert!(agent >= 0 && held >= 0 && buyer >= 0 && agent + held + buyer == 100);
            assert_eq!(held == 100, stage.holds_money(), "{stage:?}");
            // Who drives the machine names the payment of the deposit.
            if step.movement == Movement::Deposit {
                charge.deposit = Some(Id([4; 16]));
            }
            assert_eq!(fault(&charge), None);
            if stage.is_final() {
                break;
            }
        }
        let stage = Stage::from_number(charge.state).unwrap();
        assert!(stage.is_final(), "{charge:?}");
        ends.insert(stage.number());
    }
    assert_eq!(ends.len(), 7, "every end came: {ends:?}");
}
