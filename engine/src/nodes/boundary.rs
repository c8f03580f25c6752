//! A boundary counts rows, bytes and time where data leaves a task. Filters, projections and limits pass through it, so
//! that counting costs no pushdown; only conditions that a table would answer wrongly stay above.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::DFSchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, Statistics};
use futures::{Stream, StreamExt};

use crate::control::TaskProgress;
use crate::error::EngineError;

/// Where data leaves a task.
#[derive(Debug, Clone)]
pub struct BoundaryNode {
    /// Path of the task.
    pub task: Arc<str>,
    /// Its counters.
    pub progress: Arc<TaskProgress>,
    /// Columns whose conditions stay above.
    pub withheld: Arc<HashSet<String>>,
    /// What the task computes.
    pub input: LogicalPlan,
}

impl BoundaryNode {
    pub(super) fn physical(&self, input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        Arc::new(BoundaryExec { task: Arc::clone(&self.task), progress: Arc::clone(&self.progress), input })
    }
}

impl PartialEq for BoundaryNode {
    fn eq(&self, other: &Self) -> bool {
        self.task == other.task && self.input == other.input
    }
}

impl Eq for BoundaryNode {}

impl PartialOrd for BoundaryNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.task.partial_cmp(&other.task)
    }
}

impl Hash for BoundaryNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.task.hash(state);
        self.input.hash(state);
    }
}

impl UserDefinedLogicalNodeCore for BoundaryNode {
    fn name(&self) -> &str {
        "Task"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        self.withheld.as_ref().clone()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Task: {}", self.task)
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let input = inputs
            .into_iter()
            .next()
            .ok_or_else(|| DataFusionError::Internal("a boundary has one input".to_owned()))?;
        Ok(Self { input, ..self.clone() })
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![output_columns.to_vec()])
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct BoundaryExec {
    task: Arc<str>,
    progress: Arc<TaskProgress>,
    input: Arc<dyn ExecutionPlan>,
}

impl DisplayAs for BoundaryExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskExec: {}", self.task)
    }
}

impl ExecutionPlan for BoundaryExec {
    fn name(&self) -> &str {
        "TaskExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children
            .into_iter()
            .next()
            .ok_or_else(|| DataFusionError::Internal("a boundary has one child".to_owned()))?;
        Ok(Arc::new(Self { task: Arc::clone(&self.task), progress: Arc::clone(&self.progress), input }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context).map_err(|error| attribute(error, &self.task))?;
        let (task, progress) = (Arc::clone(&self.task), Arc::clone(&self.progress));
        Ok(Box::pin(BoundaryStream { task, progress, input }))
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        inputs.first().cloned().ok_or_else(|| DataFusionError::Internal("a boundary has one child".to_owned()))
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }
}

struct BoundaryStream {
    task: Arc<str>,
    progress: Arc<TaskProgress>,
    input: SendableRecordBatchStream,
}

impl Stream for BoundaryStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let started = Instant::now();
        let polled = self.input.poll_next_unpin(cx);
        self.progress.busy(started.elapsed());
        polled.map(|item| match item {
            Some(Ok(batch)) => {
                self.progress.add(batch.num_rows() as u64, batch.get_array_memory_size() as u64);
                Some(Ok(batch))
            }
            Some(Err(error)) => Some(Err(attribute(error, &self.task))),
            None => None,
        })
    }
}

impl RecordBatchStream for BoundaryStream {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}

/// The innermost boundary an error passes is the task at fault.
fn attribute(error: DataFusionError, task: &str) -> DataFusionError {
    EngineError::from(error).in_task(task).into()
}
