//! A merchant asks over the daemon's own HTTP: the customer is asked on a screen that nobody dialled for, by text where no screen
//! comes, and may say no by text.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::{FIRST, PIN, SERVICE, house};
use crate::support::daemon::House;

struct Shop<'h> {
    house: &'h House,
    key: String,
}

impl<'h> Shop<'h> {
    fn open(house: &'h House) -> Self {
        let added = house.run(&["merchant", "add", "City Shop", "--json"]);
        let added: Value = serde_json::from_str(&added).unwrap();
        Self { house, key: added["api_key"].as_str().unwrap().to_owned() }
    }

    fn http(&self, method: &str, path: &str, key: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.house.http).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: keytone\r\nAuthorization: Bearer {}\r\nIdempotency-Key: {key}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.key,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
    }

    fn place(&self, key: &str) -> Value {
        let body = json!({
            "customer": FIRST, "amount": "50.00", "currency": "CNY", "description": "a kettle", "frozen": true,
        });
        let (status, order) = self.http("POST", "/v1/orders", key, &body.to_string());
        assert_eq!(status, 201, "{order}");
        order
    }

    fn ask(&self, order: &Value, key: &str) -> (u16, Value) {
        self.http("POST", &format!("/v1/orders/{}/ask", order["id"].as_str().unwrap()), key, "")
    }

    /// The order, once its last asking stands so.
    fn until(&self, order: &Value, wanted: &str) -> Value {
        let path = format!("/v1/orders/{}", order["id"].as_str().unwrap());
        for _ in 0..1_200 {
            let (_, seen) = self.http("GET", &path, "", "");
            if seen["asks"].as_array().unwrap().last().is_some_and(|ask| ask["state"] == wanted) {
                return seen;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("it never was {wanted}: {}", self.house.log_tail());
    }
}

#[test]
fn a_customer_pays_because_he_is_asked_and_declines_by_text() {
    let house = house(&[]);
    let (shop, network) = (Shop::open(&house), house.network());
    let order = shop.place("a");
    assert_eq!(shop.ask(&order, "a").0, 202);
    let shown = network.pushed(FIRST);
    assert!(shown.open && shown.text.contains("City Shop asks you to pay order"), "{shown:?}");
    let shown = network.reply(FIRST, "1");
    assert!(shown.open && shown.text.contains("reply with your PIN"), "{shown:?}");
    let shown = network.reply(FIRST, PIN);
    assert!(!shown.open && shown.text.contains("is paid"), "{shown:?}");
    let paid = shop.until(&order, "shown");
    assert_eq!((paid["state"].as_str(), paid["asks"][0]["way"].as_str()), (Some("paid"), Some("ussd")));
    network.quiet();

    // No screen comes to this telephone any more: a text does, and its answer is heard.
    network.post("/handset", &json!({ "msisdn": FIRST, "pushes": false }));
    let other = shop.place("b");
    let seen = network.texts(FIRST).len();
    assert_eq!(shop.ask(&other, "b").0, 202);
    let text = network.text_after(FIRST, seen);
    let number = other["number"].as_str().unwrap();
    assert!(text.starts_with("City Shop asks you to pay order") && text.contains(number), "{text}");
    shop.until(&other, "delivered");
    assert_eq!(network.text(FIRST, SERVICE, &format!("no {number}")), 0);
    let answer = network.text_after(FIRST, seen + 1);
    assert!(answer.contains("will not be asked about order"), "{answer}");
    let (status, refused) = shop.ask(&other, "c");
    assert_eq!((status, refused["error"]["code"].as_str()), (409, Some("declined")), "{refused}");
    let shown = house.run(&["order", "show", other["id"].as_str().unwrap()]);
    assert!(shown.contains("order.ask_declined") && shown.contains("\"asks\""), "{shown}");
    house.stop();
    house.verify();
}
