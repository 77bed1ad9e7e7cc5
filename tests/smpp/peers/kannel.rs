//! Kannel's bearerbox and smsbox as an ESME that binds to our listener: messages and receipts by its HTTP side.

use std::process::Stdio;
use std::time::Duration;

use keytone::smpp::link::event::Outcome;
use keytone::smpp::pdu::Body;
use keytone::smpp::pdu::Message;
use keytone::smpp::pdu::Role;
use keytone::smpp::status;
use keytone::smpp::tlv::tag;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::process::Command;
use tokio::sync::mpsc;

use super::alone;
use crate::smpp::ends::*;
use crate::support::tail;

/// The two processes, and the requests that they make by HTTP.
struct Kannel {
    _bearerbox: Child,
    _smsbox: Child,
    folder: tempfile::TempDir,
    sendsms: u16,
    /// Where it makes them.
    web: u16,
    /// Path and query of each.
    requests: mpsc::Receiver<String>,
}

/// The ports of the core, its boxes and sendsms; the network is the test's own.
const PORTS: (u16, u16, u16) = (13_000, 13_001, 13_013);

impl Kannel {
    async fn start(smsc: &Smsc) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let web = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (admin, boxes, sendsms) = PORTS;
        let (smpp, web_port) = (smsc.address.port(), web.local_addr().unwrap().port());
        let at = folder.path().display();
        let configuration = format!(
            r#"
group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = bar
smsbox-port = {boxes}
smsbox-interface = 127.0.0.1
box-allow-ip = "127.0.0.1"
log-file = "{at}/bearerbox.log"
log-level = 0
store-location = "{at}/store"
sms-resend-freq = 1

group = smsc
smsc = smpp
smsc-id = keytone
host = 127.0.0.1
port = {smpp}
transceiver-mode = true
smsc-username = "{NAME}"
smsc-password = "{PASSWORD}"
system-type = ""
interface-version = 34
reconnect-delay = 1

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {boxes}
sendsms-port = {sendsms}
sendsms-interface = 127.0.0.1
log-file = "{at}/smsbox.log"
log-level = 0

group = sendsms-user
username = t
password = t
max-messages = 5

group = sms-service
keyword = default
catch-all = true
max-messages = 0
get-url = "http://127.0.0.1:{web_port}/mo?from=%p&to=%P&text=%b"
"#
        );
        let path = folder.path().join("kannel.conf");
        std::fs::write(&path, configuration).unwrap();
        let begin = |program: &str| {
            Command::new(program)
                .arg("-v")
                .arg("4")
                .arg(&path)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .unwrap_or_else(|fault| panic!("{program}: {fault} (run scripts/setup)"))
        };
        let bearerbox = begin("bearerbox");
        reachable(boxes).await;
        let smsbox = begin("smsbox");
        reachable(sendsms).await;
        let (heard, requests) = mpsc::channel(100);
        tokio::spawn(async move {
            while let Ok((stream, _)) = web.accept().await {
                tokio::spawn(answer(stream, heard.clone()));
            }
        });
        Self { _bearerbox: bearerbox, _smsbox: smsbox, folder, sendsms, web: web_port, requests }
    }

    async fn sendsms(&self, query: &str) -> String {
        // smsbox opens its port before it has read who may send; until then it refuses everybody.
        within("a smsbox that knows its users", async {
            loop {
                let answer = self.get(query).await;
                if !answer.contains("403 Forbidden") && !answer.is_empty() {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
    }

    async fn get(&self, query: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.sendsms)).await.unwrap();
        let request = format!(
            "GET /cgi-bin/sendsms?username=t&password=t&{query} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        );
        let mut answer = String::new();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn asked(&mut self, what: &str) -> String {
        let log = self.folder.path().join("bearerbox.log");
        match tokio::time::timeout(PATIENCE, self.requests.recv()).await {
            Ok(Some(request)) => request,
            _ => panic!("{what} did not come by HTTP; bearerbox says:\n{}", tail(&log, 30)),
        }
    }
}

/// Waits until something listens there.
async fn reachable(port: u16) {
    within("a listening port", async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// Answers one request with an empty page, and tells its path.
async fn answer(mut stream: TcpStream, heard: mpsc::Sender<String>) {
    let mut request = Vec::new();
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        if !matches!(stream.read_buf(&mut request).await, Ok(1..)) {
            return;
        }
    }
    let page =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let _ = stream.write_all(page).await;
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let _ = heard.send(path).await;
}

#[test]
fn kannel_sends_is_delivered_to_and_gets_receipts() {
    alone(module_path!(), "kannel_sends_is_delivered_to_and_gets_receipts", async {
        let mut smsc = Smsc::start(listener_settings(smsc())).await;
        let mut kannel = Kannel::start(&smsc).await;
        let handle = smsc.heard.up().await;
        assert_eq!(handle.status().state.role, Some(Role::Transceiver));

        // Out of Kannel: sendsms, submit_sm, its answer, a receipt, and what Kannel tells of both.
        let report = format!("http%3A%2F%2F127.0.0.1%3A{}%2Fdlr%3Ftype%3D%25d", kannel.web);
        let asked = kannel
            .sendsms(&format!(
                "from=12345&to=8613800138000&text=Your+code+is+123&dlr-mask=31&dlr-url={report}"
            ))
            .await;
        assert!(asked.contains("202 Accepted") || asked.contains("0: Accepted"), "{asked}");
        let (answerer, ticket, body) = smsc.heard.request().await;
        let Body::SubmitSm(seen) = &body else { panic!("{body:?}") };
        assert_eq!(&seen.short_message[..], b"Your code is 123");
        assert_eq!(seen.destination.digits, "8613800138000");
        assert_eq!(seen.registered_delivery & 1, 1);
        let (source, destination) = (seen.source.clone(), seen.destination.clone());
        answerer.respond(ticket, status::ROK, accept(&body, "17"));
        let accepted = kannel.asked("the SMSC's acceptance").await;
        assert!(accepted.starts_with("/dlr?type=8"), "{accepted}");
        let text =
            b"id:17 sub:001 dlvrd:001 submit date:2611220900 done date:2611220901 stat:DELIVRD err:000 text:";
        let mut receipt =
            Message { source: destination, destination: source, esm_class: 4, ..message(&text[..]) };
        receipt.tlvs.push(tag::RECEIPTED_MESSAGE_ID, &b"17\0"[..]);
        receipt.tlvs.push(tag::MESSAGE_STATE, vec![2]);
        let outcome = within("an answer", handle.request(Body::DeliverSm(receipt), 1)).await;
        assert!(matches!(outcome, Outcome::Answered { status: 0, .. }), "{outcome:?}");
        let delivered = kannel.asked("the receipt").await;
        assert!(delivered.starts_with("/dlr?type=1"), "{delivered}");

        // Into Kannel.
        let outcome = within("an answer", handle.request(Body::DeliverSm(message(b"RC 50")), 1)).await;
        assert!(matches!(outcome, Outcome::Answered { status: 0, .. }), "{outcome:?}");
        let came = kannel.asked("the message").await;
        assert!(
            came.starts_with("/mo?") && came.contains("text=RC+50") && came.contains("8613800138000"),
            "{came}"
        );
    });
}

#[test]
fn kannel_comes_back_after_a_cut_and_sends_what_it_kept() {
    alone(module_path!(), "kannel_comes_back_after_a_cut_and_sends_what_it_kept", async {
        let mut smsc = Smsc::start(listener_settings(smsc())).await;
        let kannel = Kannel::start(&smsc).await;
        let first = smsc.heard.up().await;
        let asked = kannel.sendsms("from=12345&to=8613800138000&text=kept").await;
        assert!(asked.contains("0: Accepted"), "{asked}");
        // It is not answered before the link is closed, so Kannel does not know and asks again.
        let (_, unanswered, _) = smsc.heard.request().await;
        within("the close", first.close(Duration::from_millis(100))).await;
        smsc.heard.down().await;
        let second = smsc.heard.up().await;
        let (answerer, ticket, body) = smsc.heard.request().await;
        assert!(matches!(&body, Body::SubmitSm(seen) if seen.short_message == "kept"));
        assert_ne!(ticket.link(), unanswered.link());
        answerer.respond(ticket, status::ROK, accept(&body, "1"));
        let outcome = within("an answer", second.request(Body::DeliverSm(message(b"again")), 1)).await;
        assert!(matches!(outcome, Outcome::Answered { status: 0, .. }), "{outcome:?}");
    });
}
