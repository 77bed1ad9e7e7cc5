//! `keytone db`: makes the tables and says how far they are.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use super::staff::Why;
use super::{Common, say, say_json};
use crate::app::peppers;
use crate::clock::Clock;
use crate::config::Config;
use crate::payment::fold::{RESTORED, WHOLE};
use crate::payment::run::restored;
use crate::payment::run::writer::Writer;
use crate::payment::staff::Act;
use crate::payment::unit::Unit;
use crate::store::Store;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make or update the tables, and the pepper file if there is none
    Migrate {
        #[command(flatten)]
        common: Common,
    },
    /// Copy a SQLite database into a new file while the daemon runs; the copy is locked, so that a daemon on it asks first
    #[command(after_help = "\
A daemon that is started on the copy asks the carriers about every payment that was open, and takes no payment until two of
staff have opened it (`keytone db unlock`), or by itself with `[restore] unlock = \"resolved\"`. With PostgreSQL use its own
tools, and `keytone db lock` after a restore.

Example:
  keytone db backup /backup/keytone-2026-12-01.db")]
    Backup {
        #[command(flatten)]
        common: Common,
        /// The new file
        file: PathBuf,
    },
    /// Take no payments until it is known what became of the open ones: after a restore that the daemon could not notice
    #[command(after_help = "Example:\n  keytone db lock --reason \"restored from last night\"")]
    Lock {
        #[command(flatten)]
        common: Common,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Ask for payments to be taken again; another person approves it (`keytone staff approve`)
    #[command(after_help = "\
Example:
  keytone db unlock --reason restored --evidence \"statement of 1 December compared\" --staff ana")]
    Unlock {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        why: Why,
    },
    /// Say which migrations are applied, and whether the database is locked
    Status {
        #[command(flatten)]
        common: Common,
    },
}

/// Opens the database of a configuration.
pub(super) async fn store(config: &Path) -> anyhow::Result<Store> {
    Ok(Store::open(&Config::load(config)?.database).await?)
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Migrate { common } => {
            let config = Config::load(&common.config)?;
            let store = Store::open(&config.database).await?;
            store.migrate().await?;
            let made = peppers::create(&config.pepper_file)?;
            status(&store, common.json).await?;
            if made && !common.json {
                say(format!(
                    "made {}: back it up apart from the database; without it every PIN is lost",
                    config.pepper_file.display()
                ));
            }
            store.close().await;
        }
        Command::Backup { common, file } => backup(&common, &file).await?,
        Command::Lock { common, reason } => {
            let core = super::serve::core(&common.config).await?;
            core.payments.lock_restored(&reason).await?;
            locked(&core.store, common.json).await?;
            core.close().await;
        }
        Command::Unlock { common, why } => {
            let core = super::serve::core(&common.config).await?;
            return super::staff::ask(core, &common, why, Act::Unlock).await;
        }
        Command::Status { common } => {
            let store = store(&common.config).await?;
            status(&store, common.json).await?;
            if store.migrations().await?.iter().all(|m| m.applied) {
                locked(&store, common.json).await?;
            }
            store.close().await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Copies a database and locks the copy.
async fn backup(common: &Common, file: &Path) -> anyhow::Result<()> {
    let store = store(&common.config).await?;
    store.copy_to(file).await?;
    let copy = Store::open(&format!("sqlite:{}", file.display())).await?;
    let clock = Clock::machine();
    let stopped = |why: &str| -> ! {
        tracing::error!("the copy is broken: {why}");
        std::process::abort()
    };
    let (writer, writing) = Writer::start(copy.clone(), clock.clone(), stopped);
    let ops = restored::lock(clock.now().0, "restored from a backup");
    writer.commit(Unit { ops }).await??;
    writer.stop();
    writing.await?;
    copy.close().await;
    drop(copy);
    std::fs::File::open(file)?.sync_all()?;
    let bytes = std::fs::metadata(file)?.len();
    store.close().await;
    if common.json {
        return say_json(&serde_json::json!({ "file": file, "bytes": bytes, "locked": true }));
    }
    say(format!("copied to {} ({bytes} bytes); a daemon on it is locked until it is opened", file.display()));
    Ok(())
}

/// Says whether the database is locked.
async fn locked(store: &Store, json: bool) -> anyhow::Result<()> {
    let locked = store.suspended(&[(WHOLE.to_owned(), RESTORED.to_owned())]).await?;
    if json {
        say_json(&serde_json::json!({ "locked": locked }))?;
    } else if locked {
        say("locked after a restore: no payment is taken; `keytone db unlock` asks for it to be opened");
    }
    Ok(())
}

async fn status(store: &Store, json: bool) -> anyhow::Result<()> {
    for migration in store.migrations().await? {
        if json {
            say_json(&serde_json::json!({
                "version": migration.version, "name": migration.name, "applied": migration.applied,
            }))?;
        } else {
            let state = if migration.applied { "applied" } else { "missing: run `keytone db migrate`" };
            say(format!("{:04} {:<24} {state}", migration.version, migration.name));
        }
    }
    Ok(())
}
