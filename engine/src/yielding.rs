//! Joins that yield, so that a cancel interrupts them.
//!
//! A future is stopped where it yields, and DataFusion yields at leaves and exchanges only. A join makes many rows out of few: an aggregate above it
//! would poll it for minutes before the join reads its next batch. With this rule a join yields at the latest after as many batches of output as
//! tokio's budget allows (128), which takes well under a second.
//!
//! It does not help a join that computes for long without any output, such as a nested loop join whose condition is hardly ever met: the worker
//! abandons an attempt that does not yield.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PiecewiseMergeJoinExec, SortMergeJoinExec, SymmetricHashJoinExec,
};

/// Puts a node that yields above every join. It has to be the last rule: others look for joins where they were.
#[derive(Debug)]
pub(crate) struct YieldingJoins;

impl PhysicalOptimizerRule for YieldingJoins {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let wrapped = plan.transform_up(|node| {
            Ok(if is_join(node.as_ref()) {
                Transformed::yes(Arc::new(CooperativeExec::new(node)) as Arc<dyn ExecutionPlan>)
            } else {
                Transformed::no(node)
            })
        });
        wrapped.map(|transformed| transformed.data)
    }

    fn name(&self) -> &str {
        "YieldingJoins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn is_join(node: &dyn ExecutionPlan) -> bool {
    node.is::<HashJoinExec>()
        || node.is::<NestedLoopJoinExec>()
        || node.is::<CrossJoinExec>()
        || node.is::<SortMergeJoinExec>()
        || node.is::<SymmetricHashJoinExec>()
        || node.is::<PiecewiseMergeJoinExec>()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use datafusion::prelude::SessionContext;
    use futures::StreamExt;
    use tokio::task::JoinSet;
    use tokio_util::sync::CancellationToken;

    use crate::session::{EngineConfig, SessionFactory};

    fn session(hash_joins: bool) -> SessionContext {
        let config = EngineConfig { parallelism: 1, ..EngineConfig::new(std::env::temp_dir()) };
        let factory = SessionFactory::new(config);
        factory.session(factory.pool().clone(), hash_joins).unwrap()
    }

    /// Runs a statement on one thread beside a task that cancels it at its first turn, which comes when the statement yields.
    async fn is_interrupted(session: &SessionContext, sql: &str) -> bool {
        let mut rows = session.sql(sql).await.unwrap().execute_stream().await.unwrap();
        let cancel = CancellationToken::new();
        let mut others = JoinSet::new();
        let canceling = cancel.clone();
        others.spawn(async move { canceling.cancel() });
        cancel.run_until_cancelled(rows.next()).await.is_none()
    }

    #[tokio::test]
    async fn a_cancel_interrupts_every_kind_of_join_in_the_middle() {
        // Each side is one batch, so that nothing but the join itself can yield.
        let sides = "(SELECT 1 AS k, value AS a FROM generate_series(1, 4000)) l, \
                     (SELECT 1 AS k, value AS b FROM generate_series(1, 4000)) r";
        for (hash_joins, condition) in [(true, "l.k = r.k"), (false, "l.k = r.k"), (true, "a <> b"), (true, "true")] {
            let sql = format!("SELECT count(*), sum(a + b) FROM {sides} WHERE {condition}");
            assert!(is_interrupted(&session(hash_joins), &sql).await, "{sql}");
        }
    }
}
