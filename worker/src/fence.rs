//! Fencing: a load that might still commit is taken in its target before its stage run ends.

use std::sync::Arc;

use headwater_engine::connector::Taken;
use headwater_engine::control::{Control, Intent, LogLevel, TaskCounts};
use headwater_engine::job::StageJob;
use headwater_engine::receipt::Receipt;
use headwater_engine::{EngineError, Result};
use headwater_pipelines::plan::Plan;
use headwater_store::state::TaskRunState;
use headwater_store::{AttemptEnd, Claimed, Finish};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::attempt::{failure_of, load_receipt, task_end, with_state};
use crate::control::AttemptControl;
use crate::finisher::hand_back;
use crate::logs::AttemptLog;
use crate::start::Shared;

/// Takes the load's id in its target, or adopts the commit that is there.
pub(crate) async fn fence(
    shared: &Arc<Shared>,
    claimed: &Claimed,
    job: StageJob,
    control: &AttemptControl,
    log: &AttemptLog,
) -> Finish {
    let (plan, load_id) = (Arc::clone(&job.plan), job.load_id);
    let runner = Arc::clone(&shared.runner);
    let ran = shared.runtimes.run(&CancellationToken::new(), async move { runner.fence(job).await }).await;
    let answer = ran.unwrap_or_else(|error| Err(EngineError::transient(format!("the fence could not run: {error}"))));
    let fenced = match answer {
        // Attempt 0 is an earlier fence.
        Ok(None) | Ok(Some(Taken { attempt: 0, .. })) => Ok(AttemptEnd::Fenced),
        Ok(Some(taken)) => return adopt(claimed, (&plan, load_id), &taken, control, log).await,
        Err(error) => Err(error),
    };
    let end = fenced.unwrap_or_else(|error| {
        log.say(
            LogLevel::Warn,
            error.task.as_deref(),
            &format!("the target could not be fenced yet: {}", error.message),
        );
        AttemptEnd::Failed(failure_of(&error, |text| log.redact(text)))
    });
    Finish { end, ..hand_back(claimed.lease) }
}

/// The target holds the load: the winner's intent is the truth about it.
async fn adopt(
    claimed: &Claimed,
    (plan, load_id): (&Plan, Uuid),
    taken: &Taken,
    control: &AttemptControl,
    log: &AttemptLog,
) -> Finish {
    let intent: Result<Intent> = control.recorded_intent(load_id, taken.attempt).await.and_then(|intent| {
        intent.ok_or_else(|| {
            EngineError::config(format!(
                "the target holds load {load_id} by attempt {}, which the control plane does not know",
                taken.attempt
            ))
            .hint("the control plane was probably restored from a backup: compare the target with the run's source")
        })
    });
    let intent = match intent {
        Ok(intent) => intent,
        Err(error) => {
            log.say(LogLevel::Error, None, &error.message);
            return Finish {
                end: AttemptEnd::Failed(failure_of(&error, |text| log.redact(text))),
                ..hand_back(claimed.lease)
            };
        }
    };
    let version = taken.version.clone().or(intent.receipt.version.clone());
    let receipt = Receipt { adopted: true, attempt: taken.attempt, version, ..intent.receipt };
    let counts = TaskCounts { rows: receipt.rows_written, bytes: receipt.bytes, rejected: 0, busy_us: 0 };
    let states = plan.stage(&claimed.stage).map(|stage| with_state(stage, TaskRunState::Succeeded)).unwrap_or_default();
    let tasks = states.into_iter().map(|(task, state)| {
        let counts = if task == receipt.task { counts } else { TaskCounts::default() };
        task_end(task, state, counts)
    });
    Finish {
        end: AttemptEnd::Succeeded,
        tasks: tasks.collect(),
        receipts: load_receipt(&receipt).into_iter().collect(),
        ..hand_back(claimed.lease)
    }
}
