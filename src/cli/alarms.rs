//! `keytone staff alarms`: what is wrong now, what was, and what staff were told.

use std::process::ExitCode;

use super::{Common, say, say_json};
use crate::clock::Timestamp;
use crate::payment::alarm::Standing;
use crate::payment::webhook;

pub(super) async fn run(common: &Common, all: bool, notices: Option<u32>) -> anyhow::Result<ExitCode> {
    let core = super::serve::core(&common.config).await?;
    let rows = core.payments.alarms(!all).await?;
    for row in &rows {
        let (standing, since) = (Standing::name_of(row.state), Timestamp(row.since).to_rfc3339());
        let told = (row.told_at > 0).then(|| Timestamp(row.told_at).to_rfc3339());
        if common.json {
            say_json(&serde_json::json!({
                "kind": row.kind, "subject": row.subject, "standing": standing, "since": since,
                "badness": row.badness, "detail": row.detail, "told_at": told, "times": row.times,
            }))?;
        } else {
            let (kind, subject, detail) = (&row.kind, &row.subject, &row.detail);
            say(format!("{since}  {standing:<8} {kind:<12} {subject:<16} {detail}"));
        }
    }
    if rows.is_empty() && !common.json {
        say("no alarm is raised");
    }
    for row in core.payments.alarm_notices(notices.unwrap_or(0)).await? {
        let (state, at) = (webhook::State::name_of(row.state), Timestamp(row.created_at).to_rfc3339());
        if common.json {
            say_json(&serde_json::json!({
                "notice": row.id, "kind": row.kind, "subject": row.subject, "said": row.said, "state": state,
                "tries": row.tries, "status": row.status, "outcome": row.outcome, "created_at": at,
            }))?;
        } else {
            let status = row.status.map(|status| format!(" {status}")).unwrap_or_default();
            say(format!(
                "{at}  notice   {:<12} {:<16} {} {state} after {} tries: {}{status}",
                row.kind, row.subject, row.said, row.tries, row.outcome
            ));
        }
    }
    core.close().await;
    Ok(if rows.iter().any(|row| row.state == Standing::Raised.number()) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
