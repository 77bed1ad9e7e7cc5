//! Two carriers and a biller: one carrier takes the same reference twice for one recharge, the other does not. All lose, delay,
//! repeat and contradict.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use keytone::clock::Clock;
use keytone::connector::contract::{Outcome, Unclear};
use keytone::connector::definition::Definition;
use keytone::connector::http::{Connector, Exchange, Whole, WholeExchange, Wire};
use keytone::connector::key::{self, Encoding, Key};
use keytone::connector::numbering::Plan;
use keytone::connector::sandbox;
use keytone::connector::sandbox::biller;
use keytone::payment::run::Payments;
use serde_json::json;

use super::bills;
use super::world::{Event, Record, World};

/// How long we wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);
pub(super) const NAMES: [&str; 3] = ["alpha", "beta", "gamma"];
/// The one that is the biller.
pub(super) const BILLER: usize = 2;
const SECRET: &[u8] = b"simulated";

#[derive(Debug)]
struct Line {
    carrier: usize,
    world: Arc<World>,
}

fn template(carrier: usize, bug: Option<&'static str>) -> Connector {
    type Made = BTreeMap<(usize, Option<&'static str>), Connector>;
    static MADE: OnceLock<Mutex<Made>> = OnceLock::new();
    let mut made = MADE.get_or_init(Mutex::default).lock().unwrap();
    let make = || {
        let name = NAMES[carrier];
        let url = format!("http://{name}");
        let file = if carrier == BILLER {
            biller::definition_toml(&url).replace("id = \"sandbox-biller\"", &format!("id = \"{name}\""))
        } else {
            sandbox::definition_toml(&url).replace("id = \"sandbox\"", &format!("id = \"{name}\""))
        };
        let mut file = file.replace("not_found_after_ms = 10000", "not_found_after_ms = 40000");
        if carrier == 1 {
            file = file.replace("idempotent_submit = true", "idempotent_submit = false");
        }
        if bug == Some("not_found_taken_at_once") {
            file = file.replace("not_found_after_ms = 40000", "not_found_after_ms = 0");
        }
        if bug == Some("amount_not_compared") && carrier != BILLER {
            file = file.replace("amount = \"/amount\"\n", "");
        }
        if bug == Some("paid_by_us_taken_as_refused") {
            file = file.replace("class = \"already_paid\"", "class = \"other\"");
        }
        let definition = Definition::parse(&file, |_| Ok(Key::new(SECRET.to_vec()))).unwrap();
        Connector::new(definition, Clock::machine()).unwrap()
    };
    made.entry((carrier, bug)).or_insert_with(make).clone()
}

/// The carriers as a process sees them.
pub(super) fn connectors(world: &Arc<World>, clock: &Clock) -> Vec<Connector> {
    let line = |carrier| Arc::new(Line { carrier, world: Arc::clone(world) });
    let own = matches!(
        world.bug,
        Some("not_found_taken_at_once" | "amount_not_compared" | "paid_by_us_taken_as_refused")
    );
    let bug = world.bug.filter(|_| own);
    (0..NAMES.len()).map(|carrier| template(carrier, bug).over(line(carrier), clock.clone())).collect()
}

/// Where bills are asked for.
const INQUIRY: &str = "/inquiries";

pub(super) fn plan() -> Plan {
    let (first, second) = sandbox::PLAN.split_once("operator = \"unicom\"\nconnector").unwrap();
    let text = format!("{first}operator = \"unicom\"\nconnector{}", second.replacen("sandbox", NAMES[1], 1));
    // Each is tried after the other.
    let other = |operator: &str, connector: &str, share: &str| {
        format!(
            "[[route]]\noperator = \"{operator}\"\nconnector = \"{connector}\"\npriority = 2\n\
             amounts = [\"50\", \"100\"]\ncost_share = \"{share}\"\n"
        )
    };
    let more = [other("mobile", NAMES[1], "0.98"), other("unicom", NAMES[0], "0.97")].concat();
    Plan::parse(&format!("{}\n{more}", text.replace("sandbox", NAMES[0]))).unwrap()
}

impl Wire for Line {
    fn exchange(&self, request: reqwest::Request) -> Exchange<'_> {
        Box::pin(async move {
            if self.world.dies("a request that leaves") {
                return std::future::pending().await;
            }
            let answer = if request.method() == "POST" {
                self.recharge(request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default()).await
            } else {
                self.status(request.url().path().rsplit('/').next().unwrap_or_default()).await
            };
            if self.world.dies("an answer that comes") {
                return std::future::pending().await;
            }
            answer
        })
    }

    /// Only inquiries are answered with a signature.
    fn exchange_whole(&self, request: reqwest::Request) -> WholeExchange<'_> {
        Box::pin(async move {
            if !request.url().path().ends_with(INQUIRY) {
                let (status, body) = self.exchange(request).await?;
                return Ok(Whole { status, headers: Vec::new(), body });
            }
            if self.world.dies("an inquiry that leaves") {
                return std::future::pending().await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            let fault = self.fault(&["not_connected", "forged", "error"]);
            let asked = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
            let asked: serde_json::Value = serde_json::from_slice(asked).unwrap();
            self.world.note(|| format!("-> {} inquiry {} [{fault}]", NAMES[self.carrier], asked["number"]));
            if fault == "not_connected" {
                return Err(Outcome::NotSent { retryable: true, reason: "simulated".to_owned() });
            }
            let now = self.world.state().clock.now().0 / 1_000_000;
            let body = bills::inquired(&self.world, &asked, now);
            let key = if fault == "forged" { b"forged".to_vec() } else { SECRET.to_vec() };
            let over = [now.to_string().as_bytes(), b".", &body].concat();
            let headers = vec![
                (sandbox::SIGNATURE_HEADER.to_owned(), key::sign(&Key::new(key), &over, Encoding::Hex)),
                (sandbox::TIMESTAMP_HEADER.to_owned(), now.to_string()),
            ];
            Ok(Whole { status: if fault == "error" { 503 } else { 200 }, headers, body })
        })
    }
}

type Answer = Result<(u16, Vec<u8>), Outcome>;

fn unknown(why: Unclear) -> Outcome {
    Outcome::Unknown { why, detail: "simulated".to_owned() }
}

impl Line {
    fn fault(&self, among: &[&'static str]) -> &'static str {
        self.world.fault(among)
    }

    async fn timeout(&self) -> Answer {
        tokio::time::sleep(TIMEOUT).await;
        if self.world.has("void_on_timeout") {
            return Ok((200, br#"{"status":"DOWN"}"#.to_vec()));
        }
        Err(unknown(Unclear::Timeout))
    }

    async fn recharge(&self, body: &[u8]) -> Answer {
        let body: serde_json::Value = serde_json::from_slice(body).unwrap();
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        let number = if self.carrier == BILLER { "number" } else { "msisdn" };
        let (reference, phone, amount) = (text("reference"), text(number), text("amount"));
        let fault = self.fault(&[
            "not_connected",
            "request_lost",
            "answer_lost",
            "late",
            "late",
            "error_before",
            "error_after",
            "garbage",
            "wrong_amount",
            "slow",
            "slow",
            "reset",
        ]);
        self.world.note(|| format!("-> {} pays {reference} {phone} {amount} [{fault}]", NAMES[self.carrier]));
        match fault {
            "not_connected" => {
                return Err(Outcome::NotSent { retryable: true, reason: "simulated".to_owned() });
            }
            "request_lost" => return self.timeout().await,
            "error_before" => return Ok((500, b"{}".to_vec())),
            "late" => {
                self.arrives_later(reference, phone, amount);
                return self.timeout().await;
            }
            _ => {}
        }
        let wrong = fault == "wrong_amount";
        take(&self.world, self.carrier, &reference, &phone, &amount, wrong);
        match fault {
            "answer_lost" => self.timeout().await,
            "error_after" => Ok((500, b"{}".to_vec())),
            "reset" => Err(unknown(Unclear::Broken)),
            "garbage" => Ok((200, b"<html>".to_vec())),
            _ => {
                let wait = self.world.state().dice.between(5, if fault == "slow" { 4_900 } else { 300 });
                tokio::time::sleep(Duration::from_millis(wait)).await;
                Ok(self.answer(&reference))
            }
        }
    }

    fn arrives_later(&self, reference: String, phone: String, amount: String) {
        let mut state = self.world.state();
        let after = state.dice.between(100, 12_000);
        state.later(after, Event::Arrival { carrier: self.carrier, reference, phone, amount });
    }

    fn answer(&self, reference: &str) -> (u16, Vec<u8>) {
        let state = self.world.state();
        let record = state.carriers[self.carrier].get(reference).cloned();
        drop(state);
        let Some(record) = record else {
            return (404, json!({ "status": "NOT_FOUND", "reference": reference }).to_string().into_bytes());
        };
        let status = if record.state == "PENDING" { 202 } else { 200 };
        self.world.note(|| format!("<- {} {reference} {}", NAMES[self.carrier], record.state));
        let said = if self.fault(&["paid", "", ""]) == "paid" { "PAID" } else { record.state };
        let us = self.carrier == BILLER && record.state == "DELIVERED";
        (status, shown(&self.world, self.carrier, reference, &record, if us { said } else { record.state }))
    }

    async fn status(&self, reference: &str) -> Answer {
        let fault = self.fault(&["timeout", "error", "not_found", "not_connected", "garbage"]);
        self.world.note(|| format!("-> {} status {reference} [{fault}]", NAMES[self.carrier]));
        tokio::time::sleep(Duration::from_millis(20)).await;
        match fault {
            "timeout" => self.timeout().await,
            "error" => Ok((503, Vec::new())),
            "garbage" => Ok((200, b"{".to_vec())),
            "not_connected" => Err(Outcome::NotSent { retryable: true, reason: "simulated".to_owned() }),
            "not_found" if self.is_young(reference) => {
                Ok((404, json!({ "status": "NOT_FOUND", "reference": reference }).to_string().into_bytes()))
            }
            // Pending ones are 202 only as answers to a recharge.
            _ => {
                let (status, body) = self.answer(reference);
                Ok((if status == 202 { 200 } else { status }, body))
            }
        }
    }

    /// A carrier may not know a reference yet; it does not forget one.
    fn is_young(&self, reference: &str) -> bool {
        let state = self.world.state();
        let now = state.clock.now().0;
        state.carriers[self.carrier].get(reference).is_some_and(|record| now - record.at < 15_000_000)
    }
}

fn shown(world: &World, carrier: usize, reference: &str, record: &Record, status: &str) -> Vec<u8> {
    let amount = if record.wrong { "1.00" } else { record.amount.as_str() };
    if carrier == BILLER {
        let payer = match status {
            "PAID" => bills::payer(&world.state(), &record.phone),
            _ => None,
        };
        return json!({
            "status": if status == "DELIVERED" { "BOOKED" } else { status }, "reference": reference,
            "number": record.phone, "quote": bills::quote(&record.phone), "amount": amount, "currency": "CNY",
            "id": format!("B{reference}"), "paid_by": payer,
        })
        .to_string()
        .into_bytes();
    }
    json!({
        "status": status, "reference": reference, "msisdn": record.phone, "amount": amount, "currency": "CNY",
        "id": format!("C{reference}"),
    })
    .to_string()
    .into_bytes()
}

/// A request arrives at a carrier.
fn take(world: &World, carrier: usize, reference: &str, phone: &str, amount: &str, wrong: bool) {
    let mut state = world.state();
    let at = state.clock.now().0;
    if let Some(known) = state.carriers[carrier].get_mut(reference) {
        // The second carrier recharges whatever comes.
        if carrier == 1 && known.state == "DELIVERED" {
            known.deliveries += 1;
        }
        return;
    }
    let paid = carrier == BILLER && bills::payer(&state, phone).is_some();
    let first = match state.dice.below(20) {
        _ if paid => "PAID",
        0 if carrier == BILLER => "EXPIRED",
        0 => "BAD_NUMBER",
        1 | 2 if carrier == BILLER => "REFUSED",
        1 => "BARRED",
        2 => "NO_CREDIT",
        3..=6 => "PENDING",
        _ => "DELIVERED",
    };
    let record = Record {
        phone: phone.to_owned(),
        amount: amount.to_owned(),
        state: first,
        deliveries: u32::from(first == "DELIVERED"),
        at,
        took_back_its_word: false,
        wrong,
    };
    state.carriers[carrier].insert(reference.to_owned(), record);
    let reference = reference.to_owned();
    if first == "PENDING" {
        let after = state.dice.between(200, 30_000);
        let refused = if carrier == BILLER { "REFUSED" } else { "DOWN" };
        let end = state.dice.pick(&["DELIVERED", "DELIVERED", "DELIVERED", refused]);
        state.later(after, Event::Change { carrier, reference, state: end });
        return;
    }
    callback(&mut state, carrier, &reference, first);
    let rate = if state.calm { 0 } else { state.carrier_faults / 8 };
    if first != "PAID" && state.dice.permille(rate) {
        // It thinks better of it.
        let after = state.dice.between(500, 40_000);
        let then = match first {
            "DELIVERED" => {
                let refused = if carrier == BILLER { "REFUSED" } else { "DOWN" };
                state.dice.pick(&["REVERSED", refused])
            }
            _ => "DELIVERED",
        };
        state.later(after, Event::Change { carrier, reference, state: then });
    }
}

/// Sends callbacks: none, one, or several, in whatever order.
fn callback(state: &mut super::world::State, carrier: usize, reference: &str, status: &'static str) {
    let rate = if state.calm { 0 } else { state.carrier_faults };
    let copies = if state.dice.permille(rate) { state.dice.below(4) } else { 1 };
    for _ in 0..copies {
        let after = if state.dice.permille(rate) {
            state.dice.between(0, 50_000)
        } else {
            state.dice.between(0, 500)
        };
        let wrong = state.dice.permille(rate / 10);
        let reference = reference.to_owned();
        state.later(after, Event::Callback { carrier, reference, state: status, wrong, tries: 0 });
    }
}

/// Lets one thing happen.
pub(super) async fn happen(world: &Arc<World>, payments: &Payments, clock: &Clock, event: Event) {
    match event {
        // Not of a carrier.
        Event::Holder(_) => {}
        Event::Arrival { carrier, reference, phone, amount } => {
            world.note(|| format!("   {} gets {reference} late", NAMES[carrier]));
            take(world, carrier, &reference, &phone, &amount, false);
        }
        Event::Change { carrier, reference, state: status } => {
            world.note(|| format!("   {} changes {reference} to {status}", NAMES[carrier]));
            let mut state = world.state();
            let Some(record) = state.carriers[carrier].get_mut(&reference) else { return };
            record.took_back_its_word |= record.state != "PENDING";
            record.state = status;
            if status == "DELIVERED" {
                record.deliveries += 1;
            }
            callback(&mut state, carrier, &reference, status);
        }
        Event::Callback { carrier, reference, state: status, wrong, tries } => {
            let record = world.state().carriers[carrier].get(&reference).cloned();
            let Some(mut record) = record else { return };
            record.wrong |= wrong;
            let body = shown(world, carrier, &reference, &record, status);
            let timestamp = (clock.now().0 / 1_000_000).to_string();
            let over = [timestamp.as_bytes(), b".", &body].concat();
            let signature = key::sign(&Key::new(SECRET.to_vec()), &over, Encoding::Hex);
            let headers = [
                (sandbox::SIGNATURE_HEADER.to_owned(), signature),
                (sandbox::TIMESTAMP_HEADER.to_owned(), timestamp),
            ];
            let reply = payments.callback(NAMES[carrier], &headers, &body).await;
            world.note(|| format!("-> callback {reference} {status} wrong={wrong}: {}", reply.status));
            if reply.status != 200 && tries < 20 {
                let again = Event::Callback { carrier, reference, state: status, wrong, tries: tries + 1 };
                world.state().later(3_000, again);
            }
        }
    }
}
