//! Turning a stage's logical plan into its stream, and waiting for its checks.

use std::sync::Arc;

use datafusion::common::stats::Precision;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::{MemoryLimit, MemoryPool};
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::StreamExt;
use headwater_pipelines::plan::Relation;

use super::build::{Builder, Built};
use crate::error::Result;

/// The part of the memory pool that the build side of one hash join may be expected to take.
const BUILD_SIDE_SHARE: usize = 4;

/// The one stream of the stage.
pub(super) async fn stream(built: &Built, builder: &Builder<'_>) -> Result<SendableRecordBatchStream> {
    let context = built.relations.session();
    let physical = context.state().create_physical_plan(&built.plan).await?;
    tracing::debug!(stage = builder.attempt.job.stage, plan = %datafusion::physical_plan::displayable(physical.as_ref()).indent(false), "stage planned");
    Ok(execute_stream(physical, context.task_ctx())?)
}

/// Builds the stage so that its joins fit into memory: a hash join can't spill, so an unknown or large build side means
/// joins that sort and merge.
pub(super) async fn fitting(built: Built, builder: &Builder<'_>) -> Result<Built> {
    let physical = built.relations.session().state().create_physical_plan(&built.plan).await?;
    let limit = match builder.pool.memory_limit() {
        MemoryLimit::Finite(bytes) => bytes / BUILD_SIDE_SHARE,
        MemoryLimit::Infinite | MemoryLimit::Unknown => usize::MAX,
    };
    if build_sides_fit(&physical, limit) {
        return Ok(built);
    }
    let stage = super::find_stage(&builder.attempt.job.plan, &builder.attempt.job.stage)?;
    builder.build_with(stage, false).await
}

fn build_sides_fit(plan: &Arc<dyn ExecutionPlan>, limit: usize) -> bool {
    let fits = match plan.downcast_ref::<HashJoinExec>() {
        None => true,
        Some(join) => {
            let statistics = StatisticsContext::new().compute(join.left().as_ref(), &StatisticsArgs::new());
            let bytes = statistics.map(|statistics| statistics.total_byte_size);
            matches!(bytes, Ok(Precision::Exact(bytes) | Precision::Inexact(bytes)) if bytes <= limit)
        }
    };
    fits && plan.children().into_iter().all(|child| build_sides_fit(child, limit))
}

impl Built {
    /// Waits until every check has read its input to the end. One that the plan never read is read now: a reader that
    /// needed no rows of it is no reason to skip it.
    pub(super) async fn verdicts(&self, builder: &Builder<'_>) -> Result<()> {
        for (task, barrier) in &self.checks {
            if !barrier.started() {
                let plan = self.relations.plan(&Relation::Task(task.clone()))?;
                let session = self.relations.session();
                let physical = session.state().create_physical_plan(&plan).await?;
                let mut rows = execute_stream(physical, session.task_ctx())?;
                builder
                    .attempt
                    .stopped_by_cancel(async {
                        while rows.next().await.transpose()?.is_some() {}
                        Ok(())
                    })
                    .await?;
            }
            builder
                .attempt
                .stopped_by_cancel(async { Ok(barrier.verdict().await?) })
                .await
                .map_err(|error| error.in_task(task))?;
        }
        Ok(())
    }
}
