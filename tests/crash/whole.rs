//! The whole daemon (`keytone serve`) killed with SIGKILL before and after every named step of every payment kind, on both
//! databases: recharges (with the way to another carrier), bills, orders, charges, and payments from an account that is held
//! outside.
//!
//! Carriers, biller, wallet and the merchant's receiver outlive it. After each kill it is started again on the same database,
//! to be killed at the next step; whoever was not answered asks again, under the same key, by the same door. In the end
//! everything that was wanted was done exactly once, to the last minor unit, `ledger verify` finds nothing, and what anybody was
//! told is so.

mod air;
mod judge;
mod town;
mod wishes;

use std::time::Duration;

use keytone::payment::run::crash::{CHARGE_POINTS, ORDER_POINTS, POINTS, PROVIDER_POINTS};

use crate::crash::whole::town::{Kind, Town};
use crate::support::cut::Line;
use crate::support::{now, postgres};

/// How long a daemon may live until it is killed where it should be, on a machine that has much other work.
const LIFE: Duration = Duration::from_secs(90);
/// Liveness: so long after the last kill everything is done.
const DONE_WITHIN: Duration = Duration::from_secs(120);

/// Of so many commits one is cut.
const CUT_EVERY: usize = 3;
/// How often everything is wanted while commits are cut.
const ROUNDS: usize = 6;
/// Commits that must have been lost, and as many whose answer was: callers who pay at once share commits.
const CUTS_LEAST: usize = 3;

/// Where a payment goes to another carrier.
const REROUTE_POINTS: &[&str] = &["reroute_before", "reroute_after"];

/// The steps of a kind. At its start the daemon takes up what another left only where it is alone on its database: on SQLite.
fn points(kind: Kind, alone: bool) -> Vec<&'static str> {
    let all: Vec<&[&'static str]> = match kind {
        Kind::Recharge => vec![POINTS, REROUTE_POINTS],
        Kind::Bill => vec![POINTS],
        Kind::Order => vec![ORDER_POINTS],
        Kind::Charge => vec![CHARGE_POINTS],
        Kind::Wallet => vec![PROVIDER_POINTS],
    };
    all.concat().into_iter().filter(|point| alone || !point.starts_with("recover")).collect()
}

async fn killed_at_every_point(mut town: Town, alone: bool) {
    let (kind, began) = (town.kind, now());
    for point in points(kind, alone) {
        town.die_at(point).await;
    }
    town.finish(|| {}).await;
    println!("{kind:?}: {} wishes came true in {:?}", town.wishes(), now() - began);
}

/// The address of a new database; of a file in the town's own folder nothing is known yet.
async fn database(alone: bool) -> String {
    if alone { String::new() } else { postgres::database_url().await }
}

/// All kinds beside each other, each in a town of its own: they mostly wait.
async fn every_kind(alone: bool) {
    let mut kinds = tokio::task::JoinSet::new();
    for kind in Kind::ALL {
        kinds.spawn(async move {
            killed_at_every_point(Town::open(kind, database(alone).await).await, alone).await;
        });
    }
    while let Some(done) = kinds.join_next().await {
        done.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_daemon_is_killed_at_every_step_on_sqlite() {
    every_kind(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_daemon_is_killed_at_every_step_on_postgres() {
    every_kind(false).await;
}

/// A daemon that forgets what it was asked before is found out by those who ask again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_forgets_is_found_out() {
    let forgetful = tokio::spawn(async {
        let mut town = Town::open(Kind::Charge, String::new()).await.broken("deposit_not_recognised");
        town.die_at("charge_deposit_after").await;
        town.finish(|| {}).await;
    });
    let why = forgetful.await.unwrap_err().to_string();
    assert!(why.contains("deposit"), "{why}");
}

/// The daemon's line to PostgreSQL is cut at one of every few commits, some of which happened and some of which did not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_are_cut_between_request_and_answer() {
    let mut kinds = tokio::task::JoinSet::new();
    for kind in Kind::ALL {
        kinds.spawn(async move {
            let url = database(false).await;
            let line = Line::open(postgres::socket_of_ours(), &url, CUT_EVERY).await;
            let mut town = Town::open_over(kind, url, line.url.clone()).await;
            for _ in 0..ROUNDS {
                town.wish().await;
            }
            town.finish(|| line.mend()).await;
            let (lost, unheard) = line.cut();
            println!("{kind:?}: {lost} commits were lost, of {unheard} the answer");
            assert!(lost >= CUTS_LEAST && unheard >= CUTS_LEAST, "{kind:?}: {lost} {unheard}");
        });
    }
    while let Some(done) = kinds.join_next().await {
        done.unwrap();
    }
}
