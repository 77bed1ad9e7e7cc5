//! Customers, numbers and balances from files: through the core, and by the command with a kill in the middle.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use keytone::ledger::chart::House;
use keytone::payment::import::{Entry, Head, Kind, account_of};
use keytone::payment::run::import::{Came, Import};
use keytone::payment::tier::{Tier, Tiers};

use crate::dayone::on_both_databases;
use crate::support::market::{Database, Market, phone};

on_both_databases!(
    what_was_taken_in_is_found_again,
    faults_say_what_to_do,
    a_dry_run_writes_nothing,
    blocked_numbers_neither_pay_nor_are_paid_for,
);

/// Takes in a text; gives what became of each line.
async fn take(market: &Market, kind: Kind, text: &str, dry_run: bool) -> Vec<Came> {
    let rows = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
    let mut lines = text.lines();
    let head = Head::read(kind, &rows(lines.next().unwrap())).unwrap();
    let rules = market.payments.import_rules();
    let entries: Vec<(i64, Entry)> =
        lines.zip(2..).map(|(line, n)| (n, head.entry(&rows(line), &rules).unwrap())).collect();
    let mut import = Import::new(kind, &[7; 32], dry_run, "ana");
    let told = market.payments.import_lines(&mut import, entries).await.unwrap();
    assert!(told.is_sorted_by_key(|(line, _)| *line));
    told.into_iter().map(|(_, came)| came).collect()
}

fn what(came: &Came) -> &str {
    match came {
        Came::Done { .. } => "done",
        Came::Already => "already",
        Came::Fault(fault) => &fault.what,
    }
}

async fn what_was_taken_in_is_found_again(database: Database) {
    let market = Market::open(database).await;
    let customers = "customer,number,day_limit\nc1,+8613800000001,100\nc2,13800000002,\nc3,,";
    let numbers = "number,customer\n+8613800000011,c1\n+8613800000012,+8613800000002";
    let balances = "customer,amount,reference\nc1,12.50,\nc1,1,bonus\n+8613800000012,3,";
    for (round, wanted) in [(1, "done"), (2, "already"), (3, "already")] {
        for (kind, text) in
            [(Kind::Customers, customers), (Kind::Numbers, numbers), (Kind::Balances, balances)]
        {
            for came in take(&market, kind, text, false).await {
                assert_eq!(what(&came), wanted, "round {round} {kind:?}");
            }
        }
        assert_eq!(market.money(account_of("c1")).await.0, 1_350);
        assert_eq!(market.money(account_of("c2")).await.0, 300);
        assert_eq!(market.house(House::Migration).await, -1_650);
    }
    let bound = market.payments.account_of(&phone("+8613800000011")).await.unwrap();
    assert_eq!(bound, Some(account_of("c1")));
    // What its owner has freed since stays free.
    market.payments.unbind(account_of("c1"), &phone("+8613800000011")).await.unwrap();
    assert_eq!(what(&take(&market, Kind::Numbers, numbers, false).await[0]), "already");
    assert_eq!(market.payments.account_of(&phone("+8613800000011")).await.unwrap(), None);
    // The same file in other words, and a second file.
    let other = take(&market, Kind::Balances, "amount,customer\n12.51,c1\n12.50,c1\n7,c3", false).await;
    let told: Vec<&str> = other.iter().map(what).collect();
    assert_eq!(told[0], "another amount was booked for this customer and reference before");
    assert_eq!(told[1], "line 2 has the same customer and reference");
    assert_eq!(told[2], "done");
    market.close().await;
}

async fn faults_say_what_to_do(database: Database) {
    let market = Market::open_with(database, |plans| {
        let basic = Tier { balance_max_minor: Some(1_000), ..Tier::named("basic") };
        plans.settings.staff.tiers = Tiers(vec![basic, Tier::named("firm")]);
    })
    .await;
    let other = market.account("+8613800000009", 0).await;
    let customers = "customer,number,tier\na,+8613800000001,\nb,+8613800000001,\na,+8613800000002,\n\
                     c,+8613800000009,\nd,+86210000000,\ne,+8613800000003,firm";
    let came = take(&market, Kind::Customers, customers, false).await;
    let told: Vec<&str> = came.iter().map(what).collect();
    assert_eq!(told[0], "done");
    assert_eq!(told[1], "line 2 has the same number");
    assert_eq!(told[2], "line 2 has the same customer");
    assert_eq!(told[3], format!("the number pays from the account {other} already"));
    assert_eq!(told[4], "no number of the numbering plan looks like this");
    assert_eq!(told[5], "done");
    assert!(market.payments.account(account_of("c")).await.unwrap().is_none(), "all or nothing");
    let balances = "customer,amount\nnobody,5\na,10.01\ne,10.01\n+8613800000008,1";
    let told = take(&market, Kind::Balances, balances, false).await;
    let told: Vec<&str> = told.iter().map(what).collect();
    let no = "no such customer";
    assert_eq!(told, [no, "the account would hold more than its tier allows", "done", no]);
    assert_eq!(market.money(account_of("a")).await.0, 0);
    // What was refused can be done once its reason is gone.
    market.payments.set_tier(account_of("a"), "firm", "ana", "seen").await.unwrap().unwrap();
    let told = take(&market, Kind::Balances, balances, false).await;
    assert_eq!(told.iter().map(what).collect::<Vec<_>>(), [no, "done", "already", no]);
    market.close().await;
}

async fn a_dry_run_writes_nothing(database: Database) {
    let market = Market::open(database).await;
    let customers = "customer,number\nc1,+8613800000001";
    assert_eq!(what(&take(&market, Kind::Customers, customers, true).await[0]), "done");
    assert!(market.payments.account(account_of("c1")).await.unwrap().is_none());
    take(&market, Kind::Customers, customers, false).await;
    assert_eq!(what(&take(&market, Kind::Customers, customers, true).await[0]), "already");
    let told = take(&market, Kind::Balances, "customer,amount\nc1,5", true).await;
    assert_eq!(told, [Came::Done { booked_minor: 500 }]);
    assert_eq!(market.money(account_of("c1")).await.0, 0);
    market.close().await;
}

async fn blocked_numbers_neither_pay_nor_are_paid_for(database: Database) {
    let (me, other) = ("+8613800000001", "+8613800000002");
    let market = Market::open(database).await;
    let account = market.account(me, 100_000).await;
    let text = "number,reason\n+8613800000002,reported stolen\n+8613800000003,\n13800000002,twice";
    let came = take(&market, Kind::Blocked, text, false).await;
    assert_eq!(came.iter().map(what).collect::<Vec<_>>(), ["done", "done", "line 2 has the same number"]);
    let again = take(&market, Kind::Blocked, text, false).await;
    assert_eq!(
        again.iter().map(what).collect::<Vec<_>>(),
        ["already", "already", "line 2 has the same number"]
    );
    assert_eq!(market.pay(account, me, other, 5_000).await.name(), "suspended");
    assert_eq!(market.pay(account, me, me, 5_000).await.name(), "delivered");
    let notes = market.payments.suspension_notes().await.unwrap();
    assert_eq!((notes.len(), notes[0].reason.as_str(), notes[0].who.as_str()), (2, "reported stolen", "ana"));
    market.close().await;
}

/// Lines of the file that is killed in the middle.
const MANY: usize = 6_000;

fn command(arguments: &[&str], at: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keytone"));
    command.args(arguments).current_dir(at).env("KEYTONE_SANDBOX_KEY", "a-key-for-tests");
    command.env("KEYTONE_STAFF", "ana").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str], at: &Path) -> Output {
    command(arguments, at).output().unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().unwrap_or_default())
        .unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

/// Waits until some of the lines are in, and sees that not all of them are.
fn until_some_are_in(store: &Path, table: &str, child: &mut Child) {
    use sqlx::{AssertSqlSafe, ConnectOptions};
    let count = format!("select count(*) from {table}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(store).read_only(true);
        let mut reader = options.connect().await.unwrap();
        loop {
            let ended = child.try_wait().unwrap();
            let (there,): (i64,) =
                sqlx::query_as(AssertSqlSafe(count.as_str())).fetch_one(&mut reader).await.unwrap();
            if there > 10 {
                assert!(ended.is_none(), "it ended before it could be killed, {there} were in");
                return;
            }
            assert!(ended.is_none(), "it ended and nothing was in");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
}

#[test]
fn a_file_that_was_killed_in_the_middle_is_taken_in_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::create_dir(at.join("carriers")).unwrap();
    for file in ["keytone.toml", "numbering.toml", "carriers/sandbox.toml"] {
        fs::copy(Path::new("deploy").join(file), at.join(file)).unwrap();
    }
    assert!(run(&["db", "migrate"], at).status.success());
    let (mut customers, mut balances) = ("customer,number\r\n".to_owned(), "customer,amount\r\n".to_owned());
    for n in 0..MANY {
        write!(customers, "c{n},+86138{n:08}\r\n").unwrap();
        write!(balances, "c{n},1.{:02}\r\n", n % 100).unwrap();
    }
    balances.push_str("nobody,5\r\nc1,much\r\n");
    fs::write(at.join("customers.csv"), customers).unwrap();
    fs::write(at.join("balances.csv"), balances).unwrap();
    for (kind, file, table) in
        [("customers", "customers.csv", "bindings"), ("balances", "balances.csv", "transfers")]
    {
        let mut child = command(&["import", kind, file], at).spawn().unwrap();
        until_some_are_in(&at.join("keytone.db"), table, &mut child);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let done = run(&["import", "customers", "customers.csv", "--json"], at);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let done = json(&done);
    assert_eq!(done["done"].as_u64().unwrap() + done["already"].as_u64().unwrap(), MANY as u64);
    assert!(done["already"].as_u64().unwrap() > 0, "the killed run had done something: {done}");
    for _ in 0..2 {
        let booked = run(&["import", "balances", "balances.csv", "--json", "--errors", "faults.csv"], at);
        assert_eq!(booked.status.code(), Some(1), "two lines are faulty");
        let booked = json(&booked);
        assert_eq!(booked["faults"], 2, "{booked}");
        let faults = fs::read_to_string(at.join("faults.csv")).unwrap();
        let lines: Vec<&str> = faults.lines().collect();
        assert_eq!(lines.len(), 3, "{faults}");
        assert!(lines[1].starts_with(&format!("{},no such customer", MANY + 2)), "{faults}");
        assert!(lines[2].starts_with(&format!("{},amount:", MANY + 3)), "{faults}");
    }
    let funding = |text: &str| text.lines().find(|line| line.contains("funding")).unwrap().to_owned();
    let total: usize = (0..MANY).map(|n| 100 + n % 100).sum();
    let books = String::from_utf8(run(&["ledger", "balances"], at).stdout).unwrap();
    let wanted = format!("{}.{:02}", total / 100, total % 100);
    assert!(funding(&books).contains(&wanted), "{books} is not {wanted}");
    let verified = run(&["ledger", "verify"], at);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    let one = json(&run(&["account", "show", "c7", "--json"], at));
    assert_eq!((one["balance"].as_str(), one["numbers"][0].as_str()), (Some("1.07"), Some("+8613800000007")));
    let listed = String::from_utf8(run(&["import", "list"], at).stdout).unwrap();
    assert!(listed.contains("balances.csv") && listed.contains("customers.csv"), "{listed}");
}
