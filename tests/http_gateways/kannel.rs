//! Kannel itself as the peer: bearerbox with its fake SMSC and smsbox. A text of a telephone comes by `get-url`, the reply
//! leaves by `sendsms`, and the receipts of it come to the `dlr-url` that it carried.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use keytone::secret::Secret;
use keytone::session::OutboxState;
use keytone::session::mailbox::{Mailbox, OutboxFilter};
use keytone::sms::carry::Carry;
use keytone::sms::http::{Account, Provider, kannel};

use crate::http_gateways::{ME, Node, PATIENCE, settings};
use crate::support::market::{Database, Market};
use crate::support::tail;

const FAKESMSC: &str = "/usr/lib/kannel/test/fakesmsc";

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(program: &str, arguments: &[&str], log: &Path) -> Running {
    let out = std::fs::File::create(log).unwrap();
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(out.try_clone().unwrap())
        .stderr(out)
        .spawn()
        .unwrap_or_else(|error| panic!("{program} (package kannel or kannel-extras): {error}"));
    Running(child)
}

/// A port that was free a moment ago: Kannel takes no 0.
fn free() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn listens(port: u16, what: &str, log: &Path) {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let up = tokio::time::timeout(PATIENCE, async {
        while tokio::net::TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    });
    assert!(up.await.is_ok(), "{what} does not listen: {}", tail(log, 20));
}

fn config(admin: u16, boxes: u16, fake: u16, sendsms: u16, url: &str) -> String {
    format!(
        r#"group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = x
smsbox-port = {boxes}
smsbox-interface = 127.0.0.1
box-allow-ip = "127.0.0.1"

group = smsc
smsc = fake
smsc-id = fake
port = {fake}
connect-allow-ip = 127.0.0.1
my-number = 12580

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {boxes}
sendsms-port = {sendsms}
sendsms-interface = 127.0.0.1

group = sendsms-user
username = keytone
password = "hush hush"

group = sms-service
keyword = default
get-url = "{url}/sms/kannel?key=hush+hush&from=%p&to=%P&text=%b&id=%I&charset=%C&coding=%c"
max-messages = 0
"#
    )
}

async fn until(market: &Market, state: OutboxState, logs: &[PathBuf]) {
    let mailbox = Mailbox::new(market.payments.clone(), market.clock.clone());
    let reached = tokio::time::timeout(PATIENCE, async {
        loop {
            let rows = mailbox.list(&OutboxFilter { limit: 10, ..OutboxFilter::default() }).await.unwrap();
            if !rows.is_empty() && rows.iter().all(|row| row.state == state) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    });
    if reached.await.is_err() {
        let rows = mailbox.list(&OutboxFilter { limit: 10, ..OutboxFilter::default() }).await.unwrap();
        let states: Vec<_> = rows.into_iter().map(|row| (row.state, row.code)).collect();
        let said: Vec<String> = logs.iter().map(|log| tail(log, 40)).collect();
        panic!("not {state:?} but {states:?}\n{}", said.join("\n\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kannel_brings_texts_takes_replies_and_tells_what_became_of_them() {
    let market = Market::open(Database::Sqlite).await;
    market.account(ME, 500_000).await;
    let [admin, boxes, fake, sendsms] = [(); 4].map(|()| free());
    let dir = tempfile::tempdir().unwrap();
    // The node's address is known only when it serves, and it must know Kannel's before.
    let receipts = Arc::new(std::sync::OnceLock::new());
    let account = |receipt_url: &str| {
        Account::Kannel(kannel::Account {
            url: format!("http://127.0.0.1:{sendsms}/cgi-bin/sendsms"),
            username: "keytone".to_owned(),
            password: Secret::from("hush hush"),
            smsc: None,
            receipt_url: Some(Secret::from(receipt_url)),
        })
    };
    let late: Arc<dyn Carry> = Arc::new(Late(Arc::clone(&receipts)));
    let node = Node::start(&market, vec![("kannel", late)]).await;
    let receipt_url = format!("{}/sms/kannel/receipt?key=hush+hush", node.url);
    let carrier = Provider::new(settings(account(&receipt_url)), market.clock.clone()).unwrap();
    assert!(receipts.set(carrier).is_ok());

    let file = dir.path().join("kannel.conf");
    std::fs::write(&file, config(admin, boxes, fake, sendsms, &node.url)).unwrap();
    let file = file.to_str().unwrap();
    let logs = ["bearerbox", "smsbox", "fakesmsc"].map(|name| dir.path().join(format!("{name}.log")));
    let _bearerbox = run("/usr/sbin/bearerbox", &["-v", "1", file], &logs[0]);
    listens(boxes, "bearerbox", &logs[0]).await;
    listens(fake, "its fake SMSC", &logs[0]).await;
    let _smsbox = run("/usr/sbin/smsbox", &["-v", "1", file], &logs[1]);
    listens(sendsms, "smsbox", &logs[1]).await;

    let port = fake.to_string();
    let text = format!("{ME} 12580 text what can I do");
    let _telephone = run(FAKESMSC, &["-H", "127.0.0.1", "-r", &port, "-m", "1", &text], &logs[2]);
    until(&market, OutboxState::Delivered, &logs).await;
    let got = tail(&logs[2], 20);
    let reply = got.lines().find(|line| line.contains("Got message")).unwrap_or_default();
    assert!(reply.contains(&format!("<12580 {ME} ")), "the telephone got {got}");
    assert_eq!(got.matches("Got message").count(), 1, "no word of our answers was texted: {got}");
    node.close().await;
    market.close().await;
}

/// A carrier that is made after its route.
struct Late(Arc<std::sync::OnceLock<Provider>>);

impl Carry for Late {
    fn readiness(&self) -> keytone::sms::carry::Readiness {
        self.0.get().map(Carry::readiness).unwrap_or_default()
    }

    fn segments(&self, text: &str) -> u16 {
        keytone::sms::http::segments(text)
    }

    fn send(&self, text: keytone::sms::carry::Outgoing) -> keytone::sms::carry::Sending {
        self.0.get().expect("it is ready").send(text)
    }
}
