//! Removing staged datasets that nobody needs any more: those of runs that have succeeded, and of runs that are forgotten. A run that ended otherwise keeps
//! its files, since a rerun takes its datasets over: without them it would read nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::start::Shared;

/// How often runs that are over are looked for.
const PAUSE: Duration = Duration::from_secs(5);

/// Files of a run that did not succeed are kept as long as the run is remembered, which is never as long as this.
const RERUN_WINDOW: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Sweeps until the task is ended.
pub(crate) async fn run(shared: Arc<Shared>) {
    loop {
        sweep(&shared).await;
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
