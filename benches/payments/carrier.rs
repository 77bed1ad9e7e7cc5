//! A carrier that delivers at once and remembers nothing, on one thread, so that its own work is small.

use std::io::Write as _;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The most of one request, bytes.
const REQUEST_MAX: usize = 16 * 1_024;

/// Serves until the process is killed; tells its address on standard output.
pub(crate) fn serve() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("http://{}", listener.local_addr().unwrap());
        std::io::stdout().flush().unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(answer(stream));
        }
    });
}

async fn answer(mut stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).unwrap();
    let mut read = Vec::new();
    loop {
        let (head, length) = loop {
            if let Some(found) = whole(&read) {
                break found;
            }
            if read.len() > REQUEST_MAX || stream.read_buf(&mut read).await.ok()? == 0 {
                return None;
            }
        };
        let asked: serde_json::Value = serde_json::from_slice(&read[head..head + length]).ok()?;
        let told = serde_json::json!({
            "id": asked["reference"], "status": "DELIVERED", "reference": asked["reference"],
            "msisdn": asked["msisdn"], "amount": asked["amount"], "currency": asked["currency"],
        })
        .to_string();
        let head_text = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{told}",
            told.len()
        );
        stream.write_all(head_text.as_bytes()).await.ok()?;
        read.drain(..head + length);
    }
}

/// Where the body of the first request begins and how long it is, once all of it is there.
fn whole(read: &[u8]) -> Option<(usize, usize)> {
    let head = read.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&read[..head]).ok()?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let length = length.unwrap_or(0);
    (read.len() >= head + length).then_some((head, length))
}
