//! What customers, merchants and agents want of the daemon, and how they go on wanting it until they are told that it is done:
//! whatever was not answered is asked again, under the same key.

use serde_json::{Value, json};

use crate::crash::whole::air::{Air, Away, Handset, Shown};
use crate::support::market::PIN;

/// Who is told what.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Told {
    Nothing,
    Done,
    Refused,
}

/// A wish, with what of it was answered.
pub(super) enum Wish {
    Recharge(Recharge),
    Bill(Bill),
    Order(Box<Order>),
    Charge(Box<Charge>),
}

impl Wish {
    /// Tries once to bring it to its end; whether it is there.
    pub(super) async fn go(&mut self, air: &Air) -> Result<bool, Away> {
        match self {
            Self::Recharge(wish) => wish.go(air).await,
            Self::Bill(wish) => wish.go(air).await,
            Self::Order(wish) => wish.go(air).await,
            Self::Charge(wish) => wish.go(air).await,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Recharge(wish) => wish.told != Told::Nothing,
            Self::Bill(wish) => wish.told != Told::Nothing,
            Self::Order(wish) => wish.stage >= wish.kind.steps(),
            Self::Charge(wish) => wish.stage >= wish.kind.steps(),
        }
    }

    pub(super) fn last(&self) -> &str {
        match self {
            Self::Recharge(wish) => &wish.last,
            Self::Bill(wish) => &wish.last,
            Self::Order(wish) => &wish.last,
            Self::Charge(wish) => &wish.last,
        }
    }
}

/// The own number is to be recharged with 50, once.
pub(super) struct Recharge {
    pub(super) msisdn: String,
    pub(super) told: Told,
    pub(super) last: String,
    handset: Handset,
}

impl Recharge {
    pub(super) fn new(msisdn: String) -> Self {
        let handset = Handset::new(msisdn.clone());
        Self { msisdn, told: Told::Nothing, last: String::new(), handset }
    }

    async fn go(&mut self, air: &Air) -> Result<bool, Away> {
        // Asked about an equal recharge of some minutes ago, the caller leaves it.
        let leave = |shown: &Shown| shown.says("Leave it").then_some("2");
        let shown = self.handset.dial(air, "*125#", "*125*50#", leave).await?;
        self.last = shown.text.clone();
        let barred = self.msisdn.ends_with("902") && shown.says("barred");
        if shown.says("was recharged with") || shown.says("Nothing was recharged now") {
            self.told = Told::Done;
        } else if barred {
            self.told = Told::Refused;
        }
        Ok(self.told != Told::Nothing)
    }
}

/// A bill is to be paid, once.
pub(super) struct Bill {
    pub(super) number: String,
    pub(super) msisdn: String,
    pub(super) told: Told,
    pub(super) last: String,
    handset: Handset,
}

impl Bill {
    pub(super) fn new(msisdn: String, number: String) -> Self {
        let handset = Handset::new(msisdn.clone());
        Self { number, msisdn, told: Told::Nothing, last: String::new(), handset }
    }

    async fn go(&mut self, air: &Air) -> Result<bool, Away> {
        let dialled = format!("*128*101*{}#", self.number);
        let shown = self.handset.dial(air, "*128#", &dialled, |_| None).await?;
        self.last = shown.text.clone();
        if shown.says("is paid") {
            self.told = Told::Done;
        }
        Ok(self.told != Told::Nothing)
    }
}

/// What becomes of an order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fate {
    /// Placed, paid, confirmed, and 10 of it given back.
    Refunded,
    /// Placed, paid, disputed.
    Disputed,
    /// Placed, taken back.
    Cancelled,
}

impl Fate {
    pub(super) const ALL: [Self; 3] = [Self::Refunded, Self::Disputed, Self::Cancelled];

    const fn steps(self) -> usize {
        match self {
            Self::Refunded => 4,
            Self::Disputed => 3,
            Self::Cancelled => 2,
        }
    }
}

/// An order of a merchant for one customer, who has no other.
pub(super) struct Order {
    pub(super) kind: Fate,
    pub(super) msisdn: String,
    pub(super) id: String,
    pub(super) last: String,
    stage: usize,
    key: String,
    handset: Handset,
}

impl Order {
    /// `key` is the merchant's.
    pub(super) fn new(kind: Fate, msisdn: String, key: String) -> Self {
        let handset = Handset::new(msisdn.clone());
        Self { kind, msisdn, id: String::new(), last: String::new(), stage: 0, key, handset }
    }

    async fn go(&mut self, air: &Air) -> Result<bool, Away> {
        while self.stage < self.kind.steps() {
            let done = match (self.stage, self.kind) {
                (0, _) => self.place(air).await?,
                (1, Fate::Cancelled) => self.say(air, "cancel", None).await?,
                (1, _) => self.dial(air, "1", &["kept until you confirm", "no order to pay"]).await?,
                (2, Fate::Disputed) => self.dial(air, "2", &["is disputed", "No order waits"]).await?,
                (2, _) => self.dial(air, "1", &["goes to the merchant", "No order waits"]).await?,
                _ => self.say(air, "refund", Some(json!({ "amount": "10" }))).await?,
            };
            if !done {
                return Ok(false);
            }
            self.stage += 1;
        }
        Ok(true)
    }

    async fn place(&mut self, air: &Air) -> Result<bool, Away> {
        let body = json!({ "customer": self.msisdn, "amount": "100.00", "currency": "CNY", "description": "a kettle",
            "frozen": true });
        let (status, order) = air.post(&self.key, "/v1/orders", &self.msisdn, Some(body)).await?;
        assert_eq!(status, 201, "{order}");
        self.id = order["id"].as_str().unwrap().to_owned();
        Ok(true)
    }

    async fn say(&mut self, air: &Air, what: &str, body: Option<Value>) -> Result<bool, Away> {
        let path = format!("/v1/orders/{}/{what}", self.id);
        let (status, answer) = air.post(&self.key, &path, &format!("{what} {}", self.msisdn), body).await?;
        assert_eq!(status, 200, "{what}: {answer}");
        Ok(true)
    }

    /// Pays the only order, or says how the receipt of it was: `well` is 1 or 2.
    async fn dial(&mut self, air: &Air, well: &'static str, ends: &[&str]) -> Result<bool, Away> {
        let paying = self.stage == 1;
        let answer = |shown: &Shown| {
            if shown.says("Pay an order") {
                Some(if paying { "1" } else { "2" })
            } else if shown.says("Something is wrong") {
                Some(well)
            } else {
                Some("1")
            }
        };
        let shown = self.handset.dial(air, "*126#", "*126#", answer).await?;
        self.last = shown.text.clone();
        Ok(shown.end && ends.iter().any(|end| shown.says(end)))
    }
}

/// How a charge ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ending {
    /// Asked for, deposited, paid, confirmed.
    Completed,
    /// Asked for, deposited, cancelled by the buyer.
    Cancelled,
    /// Asked for, deposited, said to be paid, disputed by the agent, withdrawn by the buyer.
    Withdrawn,
}

impl Ending {
    pub(super) const ALL: [Self; 3] = [Self::Completed, Self::Cancelled, Self::Withdrawn];

    const fn steps(self) -> usize {
        match self {
            Self::Completed => 4,
            Self::Cancelled => 3,
            Self::Withdrawn => 5,
        }
    }
}

/// 50 of balance from an agent.
pub(super) struct Charge {
    pub(super) kind: Ending,
    pub(super) msisdn: String,
    pub(super) last: String,
    stage: usize,
    agent: String,
    number: String,
    /// The keys of buyer and agent.
    keys: [String; 2],
}

impl Charge {
    pub(super) fn new(kind: Ending, msisdn: String, agent: String, keys: [String; 2]) -> Self {
        Self { kind, msisdn, last: String::new(), stage: 0, agent, number: String::new(), keys }
    }

    async fn go(&mut self, air: &Air) -> Result<bool, Away> {
        while self.stage < self.kind.steps() {
            match (self.stage, self.kind) {
                (0, _) => self.request(air).await?,
                (1, _) => self.say(air, 1, "deposit", Some(json!({ "pin": PIN })), "deposited").await?,
                (2, Ending::Cancelled) => self.say(air, 0, "cancel", None, "cancelled").await?,
                (2, _) => self.say(air, 0, "paid", None, "claimed").await?,
                (3, Ending::Completed) => self.confirm(air).await?,
                (3, _) => {
                    let words = json!({ "statement": "nothing came to my account" });
                    self.say(air, 1, "dispute", Some(words), "disputed").await?;
                }
                _ => self.say(air, 0, "withdraw", None, "resolved_to_agent").await?,
            }
            self.stage += 1;
        }
        Ok(true)
    }

    async fn request(&mut self, air: &Air) -> Result<(), Away> {
        let body = json!({ "agent": self.agent, "amount": "50", "price": "49" });
        let (status, charge) = air.post(&self.keys[0], "/v1/charges", "request", Some(body)).await?;
        assert_eq!(status, 201, "{charge}");
        self.number = charge["number"].as_str().unwrap().to_owned();
        Ok(())
    }

    async fn say(
        &mut self,
        air: &Air,
        side: usize,
        what: &str,
        body: Option<Value>,
        state: &str,
    ) -> Result<(), Away> {
        let path = format!("/v1/charges/{}/{what}", self.number);
        let once = format!("{what} {}", self.msisdn);
        let (status, charge) = air.post(&self.keys[side], &path, &once, body).await?;
        self.last = charge.to_string();
        assert_eq!((status, charge["state"].as_str()), (200, Some(state)), "{what}: {charge}");
        Ok(())
    }

    async fn confirm(&mut self, air: &Air) -> Result<(), Away> {
        let path = format!("/v1/charges/{}/certificate", self.number);
        let (status, told) = air.get(&self.keys[0], &path).await?;
        // Killed after the confirmation and before its answer, there is none any more: any will do for the same id.
        let certificate = told["certificate"].as_str().unwrap_or("000000000");
        assert!(status == 200 || told["error"]["code"] == "state", "{told}");
        let body = json!({ "certificate": certificate, "pin": PIN });
        self.say(air, 1, "confirm", Some(body), "completed").await
    }
}
