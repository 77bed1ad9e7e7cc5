//! Providers for texts that misbehave byte by byte: what never left is told from what may have.

use std::sync::Arc;
use std::time::Duration;

use keytone::clock::Clock;
use keytone::msisdn::Msisdn;
use keytone::secret::Secret;
use keytone::session::Id;
use keytone::sms::carry::{Carry, Outgoing};
use keytone::sms::http::{ANSWER_BYTES_MAX, Account, Provider, africastalking, kannel, twilio};
use keytone::sms::retry::Sent;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use crate::http_gateways::{plain, settings};
use crate::support::market::provider;

/// What a server does after a request.
#[derive(Clone)]
enum After {
    /// Writes these bytes and closes.
    Write(Vec<u8>),
    /// Writes these bytes and keeps still.
    Stall(Vec<u8>),
    /// Resets the connection.
    Reset,
    /// Closes without having read anything.
    Close,
}

/// A server that does this to every request, and what it saw.
async fn server(after: After) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (after, all) = (after.clone(), Arc::clone(&all));
            tokio::spawn(async move {
                let mut bytes = vec![0; 16 * 1024];
                let mut filled = 0;
                loop {
                    let count = stream.read(&mut bytes[filled..]).await.unwrap_or(0);
                    filled += count;
                    let text = String::from_utf8_lossy(&bytes[..filled]).into_owned();
                    let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
                        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                        body.len() >= length.map_or(0, |length| length.parse().unwrap())
                    });
                    if whole || count == 0 || matches!(after, After::Close) {
                        all.lock().await.push(text);
                        break;
                    }
                }
                match after {
                    After::Write(answer) => stream.write_all(&answer).await.unwrap_or_default(),
                    After::Stall(answer) => {
                        stream.write_all(&answer).await.unwrap_or_default();
                        tokio::time::sleep(Duration::from_secs(30)).await;
                    }
                    After::Reset => stream.set_zero_linger().unwrap(),
                    After::Close => {}
                }
            });
        }
    });
    (url, seen)
}

fn answer(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}").into_bytes()
}

fn outgoing(text: &str) -> Outgoing {
    Outgoing {
        id: Id::new(1_800_000_000_000_000),
        recipient: Msisdn::parse("+254711000111").unwrap(),
        sender: "12580".to_owned(),
        text: text.to_owned().into(),
        validity: Duration::from_secs(600),
        receipt: true,
    }
}

async fn sent(account: Account) -> Sent {
    provider();
    let provider = Provider::new(settings(account), Clock::machine()).unwrap();
    provider.send(outgoing("RC 50")).await
}

fn refused(code: &str, retry: bool) -> Sent {
    Sent::Refused { code: code.to_owned(), retry }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_left_is_unknown() {
    let good = r#"{"id":"p-1"}"#;
    let half = answer("200 OK", good);
    let cut = half[..half.len() - 3].to_vec();
    let huge = answer("200 OK", &format!("{{\"id\":\"p-1\",\"x\":\"{}\"}}", "x".repeat(ANSWER_BYTES_MAX)));
    let throttled = |code: &str| Sent::Throttled { code: code.to_owned() };
    for (what, after, wanted) in [
        ("taken", After::Write(half), Sent::Accepted { id: "p-1".to_owned() }),
        ("cut off", After::Write(cut.clone()), Sent::Unknown),
        ("half and silence", After::Stall(cut), Sent::Unknown),
        ("silence", After::Stall(Vec::new()), Sent::Unknown),
        ("reset", After::Reset, Sent::Unknown),
        ("closed", After::Close, Sent::Unknown),
        ("too long", After::Write(huge), Sent::Unknown),
        ("no HTTP", After::Write(b"+OK ready\r\n".to_vec()), Sent::Unknown),
        ("no JSON", After::Write(answer("200 OK", "<html>")), Sent::Unknown),
        ("broken", After::Write(answer("500 Oops", good)), Sent::Unknown),
        ("bad gateway", After::Write(answer("502 Oops", good)), Sent::Unknown),
        ("bad request", After::Write(answer("400 No", "")), refused("http 400", false)),
        // The words of a refusal are cut off; it is one all the same.
        (
            "refused and silence",
            After::Stall(b"HTTP/1.1 400 No\r\ncontent-length: 9\r\n\r\n{".to_vec()),
            refused("http 400", false),
        ),
        ("too many", After::Write(answer("429 Slow", "")), throttled("http 429")),
        ("not now", After::Write(answer("503 Wait", "")), throttled("http 503")),
    ] {
        let (url, seen) = server(after).await;
        assert_eq!(sent(plain(&url)).await, wanted, "{what}");
        assert_eq!(seen.lock().await.len(), 1, "{what}: it is sent once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let (target, seen) = server(After::Write(answer("200 OK", r#"{"id":"p-1"}"#))).await;
    for (status, wanted) in
        [("301 Moved", Sent::Unknown), ("303 See", Sent::Unknown), ("307 There", refused("http 307", false))]
    {
        let moved = format!("HTTP/1.1 {status}\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n");
        let (url, _) = server(After::Write(moved.into_bytes())).await;
        assert_eq!(sent(plain(&url)).await, wanted, "{status}");
    }
    assert!(seen.lock().await.is_empty(), "a text and a key went to whom nobody has named");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_left_is_not_sent() {
    provider();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let clock = Clock::manual(keytone::clock::Timestamp(1_800_000_000_000_000));
    let provider = Provider::new(settings(plain(&url)), clock.clone()).unwrap();
    assert!(provider.readiness().up);
    assert_eq!(provider.send(outgoing("x")).await, Sent::NotSent);
    assert!(!provider.readiness().up, "another route is better");
    clock.advance(keytone::sms::http::DOWN_FOR);
    assert!(provider.readiness().up, "it is tried again");
    assert_eq!(sent(plain("http://no-such-host.invalid/")).await, Sent::NotSent);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_which_no_request_can_be_made_are_refused() {
    provider();
    for url in ["", "/sms", "ftp://127.0.0.1/", "http://"] {
        assert!(Provider::new(settings(plain(url)), Clock::machine()).is_err(), "{url}");
    }
    let account = Account::AfricasTalking(africastalking::Account {
        url: "http://127.0.0.1/".to_owned(),
        username: "x".to_owned(),
        api_key: Secret::from("a\nb"),
    });
    assert!(Provider::new(settings(account), Clock::machine()).is_err(), "a line break in a header");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_provider_is_asked_in_its_own_form() {
    let taken =
        r#"{"SMSMessageData":{"Message":"Sent","Recipients":[{"statusCode":101,"messageId":"AT1"}]}}"#;
    let (url, seen) = server(After::Write(answer("201 Created", taken))).await;
    let account = Account::AfricasTalking(africastalking::Account {
        url: format!("{url}/version1/messaging"),
        username: "sandbox".to_owned(),
        api_key: Secret::from("at-key"),
    });
    assert_eq!(sent(account).await, Sent::Accepted { id: "AT1".to_owned() });
    let request = seen.lock().await.pop().unwrap();
    assert!(request.starts_with("POST /version1/messaging HTTP/1.1\r\n"), "{request}");
    assert!(
        request.contains("apikey: at-key\r\n") && request.contains("to=%2B254711000111&from=12580"),
        "{request}"
    );

    let (url, seen) = server(After::Write(answer("201 Created", r#"{"sid":"SM1","status":"queued"}"#))).await;
    let account = Account::Twilio(twilio::Account {
        base_url: url,
        sid: "AC1".to_owned(),
        token: Secret::from("token"),
        messaging_service: None,
        receipt_url: None,
    });
    assert_eq!(sent(account.clone()).await, Sent::Accepted { id: "SM1".to_owned() });
    let request = seen.lock().await.pop().unwrap();
    assert!(request.starts_with("POST /2010-04-01/Accounts/AC1/Messages.json HTTP/1.1\r\n"), "{request}");
    assert!(
        request.contains("authorization: Basic QUMxOnRva2Vu\r\n") && request.contains("&ValidityPeriod=600")
    );
    let (url, _) =
        server(After::Write(answer("400 No", r#"{"code":21211,"message":"x","status":400}"#))).await;
    let Account::Twilio(account) = account else { unreachable!() };
    assert_eq!(
        sent(Account::Twilio(twilio::Account { base_url: url, ..account })).await,
        refused("21211", false)
    );

    let (url, seen) = server(After::Write(answer("202 Accepted", "0: Accepted for delivery"))).await;
    let account = Account::Kannel(kannel::Account {
        url: format!("{url}/cgi-bin/sendsms"),
        username: "u".to_owned(),
        password: Secret::from("p"),
        smsc: None,
        receipt_url: None,
    });
    // It gives no id, so ours is the text's.
    let text = outgoing("RC 50");
    let id = text.id.to_string();
    let provider = Provider::new(settings(account), Clock::machine()).unwrap();
    assert_eq!(provider.send(text).await, Sent::Accepted { id });
    let request = seen.lock().await.pop().unwrap();
    assert!(request.starts_with("GET /cgi-bin/sendsms?username=u&password=p&from=12580&"), "{request}");
}
