//! `keytone db`: makes the tables and says how far they are.

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;

use super::{Common, say, say_json};
use crate::app::peppers;
use crate::config::Config;
use crate::store::Store;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make or update the tables, and the pepper file if there is none
    Migrate {
        #[command(flatten)]
        common: Common,
    },
    /// Say which migrations are applied
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
        Command::Status { common } => {
            let store = store(&common.config).await?;
            status(&store, common.json).await?;
            store.close().await;
        }
    }
    Ok(ExitCode::SUCCESS)
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
