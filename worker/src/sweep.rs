//! Removing staged datasets that nobody needs any more.

use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use tokio::time::Instant;

use crate::start::Shared;

/// How often runs that have ended are looked for.
const PAUSE: Duration = Duration::from_secs(5);

/// How often the staging area is looked through for files that no run knows of: those of attempts whose process was killed.
const LOOK_THROUGH: Duration = Duration::from_secs(3600);

/// Files of a run that did not succeed are kept this long for a rerun: as long as a target remembers its loads.
const RERUN_WINDOW: Duration = Duration::from_secs(7 * 86_400);

/// A file that no run knows of is left alone until it is older than any attempt.
const STRAY_AGE: TimeDelta = TimeDelta::days(2);

/// Sweeps until the task is ended.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut looked_through: Option<Instant> = None;
    loop {
        sweep(&shared).await;
        if looked_through.is_none_or(|last| last.elapsed() > LOOK_THROUGH) {
            looked_through = Some(Instant::now());
            if let Err(error) = remove_strays(&shared).await {
                tracing::warn!(%error, "staged files that no run knows of could not be removed");
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Removes what is staged for runs that are over. What can't be removed is tried again.
pub(crate) async fn sweep(shared: &Shared) {
    let due = match shared.store.staged_to_clear(&shared.config.host, RERUN_WINDOW).await {
        Ok(due) => due,
        Err(error) => return tracing::debug!(%error, "not asked which staged datasets are over"),
    };
    for run_id in due {
        let removed = match shared.config.staging.remove_run(run_id).await {
            Ok(()) => shared.store.staged_cleared(run_id).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = removed {
            tracing::warn!(run = %run_id, error, "staged datasets of a run that is over could not be removed");
        }
    }
}

async fn remove_strays(shared: &Shared) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let staged = shared.config.staging.staged_runs().await?;
    let old = Utc::now() - STRAY_AGE;
    let old: Vec<_> = staged.into_iter().filter(|(_, newest)| *newest < old).map(|(run, _)| run).collect();
    let used = shared.store.staged_in_use(&old).await?;
    for run_id in old.into_iter().filter(|run| !used.contains(run)) {
        tracing::info!(run = %run_id, "staged files that no run knows of are removed");
        shared.config.staging.remove_run(run_id).await?;
    }
    Ok(())
}
