//! The count that a daemon keeps beside its database, so that it knows an older one that was put in its place.

use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::payment::run::{Error, Payments};

/// How often the database counts: a restore of what is younger is not noticed.
const EVERY: Duration = Duration::from_secs(60);

/// Takes the database up; an old one is locked.
pub(super) async fn take_up(payments: &Payments) -> Result<(), Error> {
    let Some(file) = payments.settings().upkeep.epoch_file.clone() else { return Ok(()) };
    let epoch = payments.count_epoch(read(&file)).await?;
    keep(&file, epoch);
    if payments.is_locked().await? {
        let open = payments.unsettled().await?;
        tracing::error!(
            open,
            "ALARM: locked after a restore: no payment is taken until `keytone db unlock` (docs/operating.md)"
        );
    }
    Ok(())
}

/// Counts now and then, until `stop`.
pub(super) async fn look_after(payments: Payments, stop: CancellationToken) {
    let Some(file) = payments.settings().upkeep.epoch_file.clone() else { return };
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
        // What the file says now is no word about this database: it is the one that is in use.
        match payments.count_epoch(None).await {
            Ok(epoch) => keep(&file, epoch),
            Err(error) => tracing::warn!(%error, "the database could not be counted"),
        }
    }
}

fn read(file: &Path) -> Option<i64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Writes the count so that the file is there whole or as it was.
fn keep(file: &Path, epoch: i64) {
    let mut name = file.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    let part = file.with_file_name(name);
    let kept = std::fs::write(&part, format!("{epoch}\n")).and_then(|()| std::fs::rename(&part, file));
    if let Err(error) = kept {
        tracing::warn!(file = %file.display(), %error, "the database's count could not be kept");
    }
}
