//! Removing staged datasets that nobody needs any more: those of runs that have succeeded, of runs that ended otherwise and were not run again in time, of
//! runs that are forgotten, and files that nothing names.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::start::Shared;

/// How often runs that are over are looked for.
const PAUSE: Duration = Duration::from_secs(5);

/// How often files that nothing names are looked for: that lists all of the staging area.
const STRAYS_PAUSE: Duration = Duration::from_secs(3600);

/// How long a rerun finds the datasets of a run that did not succeed. After it the datasets are made again.
const RERUN_WINDOW: Duration = Duration::from_secs(7 * 86_400);

/// Files of a run that is over are strays once they are this old: an attempt that was declared lost may go on writing until it notices.
const STRAY_AGE: Duration = Duration::from_secs(86_400);

/// Sweeps until the task is ended. A worker for a single run leaves strays to others: it would list the whole area each time.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut strays = tokio::time::interval(STRAYS_PAUSE);
    let lists = shared.config.only_run.is_none();
    loop {
        sweep(&shared).await;
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = strays.tick(), if lists => sweep_strays(&shared).await,
        }
    }
}

/// Removes what is staged for runs that are over. What can't be removed is tried again.
pub(crate) async fn sweep(shared: &Shared) {
    match shared.store.claim_staged_to_clear(&shared.config.host, RERUN_WINDOW).await {
        Ok(due) => remove(shared, due).await,
        Err(error) => tracing::debug!(%error, "not asked which staged datasets are over"),
    }
}

/// Removes files of runs that are over and have no staged datasets: attempts left them that were killed, or wrote after their run had been cleared.
async fn sweep_strays(shared: &Shared) {
    let staged = match shared.config.staging.staged_runs().await {
        Ok(staged) => staged,
        Err(error) => return tracing::warn!(%error, "staged files that nothing names could not be looked for"),
    };
    let now: DateTime<Utc> = std::time::SystemTime::now().into();
    let old = staged.into_iter().filter(|(_, newest)| *newest + STRAY_AGE < now);
    let runs: Vec<Uuid> = old.map(|(run_id, _)| run_id).collect();
    match shared.store.staged_strays(&runs).await {
        Ok(strays) => remove(shared, strays).await,
        Err(error) => tracing::debug!(%error, "not asked which staged files are strays"),
    }
}

async fn remove(shared: &Shared, runs: Vec<Uuid>) {
    for run_id in runs {
        let removed = match shared.config.staging.remove_run(run_id).await {
            Ok(()) => shared.store.staged_cleared(run_id).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = removed {
            tracing::warn!(run = %run_id, error, "staged datasets of a run that is over could not be removed");
        }
    }
}
