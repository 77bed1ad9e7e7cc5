//! The disk is full: new money is refused in clear words, nothing is lost, and when there is space again it goes on by itself.
//!
//! A limit on the size of files stands in for a full disk; it is set and lifted while the process runs.

use super::*;
use keytone::payment::answer::PayOutcome;

/// Payments before, and again after.
const SOME: usize = 5;
/// Refusals that must come in between.
const REFUSALS: usize = 2;

/// Not a test of its own: pays one recharge after the other until it is killed.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    assert_eq!(role, "teller");
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(3);
    });
    provider();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(teller());
}

async fn teller() {
    let store = Store::open(&variable(DATABASE)).await.unwrap();
    let (payments, _writer) = open_core(&store, &variable(CARRIER)).await;
    payments.recover().await.unwrap();
    tokio::spawn(payments.clone().run(CancellationToken::new()));
    let account = Id::parse(&variable(ACCOUNT)).unwrap();
    for n in 0.. {
        let id = Id::new(Clock::machine().now().0);
        let request = PayRequest {
            id,
            account,
            caller: Some(phone(ME)),
            channel: Channel::Voice,
            phone: phone(&format!("+861382{n:04}001")),
            amount_minor: 5_000,
            pin: Pin::Typed(Secret::from(PIN)),
            repeat: false,
        };
        match payments.pay(request).await {
            Ok(PayOutcome::Delivered { .. }) => println!("\n@told {id} delivered"),
            Ok(other) => println!("\n@told {id} {}", other.name()),
            Err(error) => println!("\n@failed {error}"),
        }
    }
}

/// The largest file that the process may write, bytes; `None` for no limit.
fn limit(pid: u32, bytes: Option<u64>) {
    let limit = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
    let set =
        Command::new("prlimit").args(["--pid", &pid.to_string(), &format!("--fsize={limit}:")]).status();
    assert!(set.unwrap().success(), "prlimit (util-linux) sets the limit");
}

fn start(scene: &Scene) -> Process {
    let mut command = Command::new("sh");
    // A write over the limit is then an error, not the end of the process.
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    command.args(["crash::space::child", "--exact", "--nocapture"]).env(ROLE, "teller");
    command.env(DATABASE, &scene.url).env(CARRIER, &scene.carrier_url).env(ACCOUNT, scene.account.text());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    Process { child, lines }
}

fn until(process: &mut Process, said: &mut Vec<String>, what: &str, wanted: usize) {
    let mut seen = 0;
    while seen < wanted {
        let line = process.line().unwrap_or_else(|| panic!("it ended: {said:?}"));
        seen += usize::from(line.contains(what));
        said.push(line);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_and_loses_nothing() {
    let mut scene = Scene::sqlite().await;
    let mut process = start(&scene);
    let pid = process.child.id();
    let mut said = Vec::new();
    until(&mut process, &mut said, "delivered", SOME);
    let path = scene.url.strip_prefix("sqlite:").unwrap();
    let size = |path: String| std::fs::metadata(path).map_or(0, |file| file.len());
    limit(pid, Some(size(path.to_owned()).max(size(format!("{path}-wal")))));
    until(&mut process, &mut said, "failed", REFUSALS);
    let refusal = said.last().unwrap();
    assert!(refusal.contains("nothing was written") || refusal.contains("not known"), "{refusal}");
    limit(pid, None);
    until(&mut process, &mut said, "delivered", SOME);
    process.child.kill().unwrap();
    process.child.wait().unwrap();
    scene.told.extend(said);
    scene.must_be_sound().await;
}
