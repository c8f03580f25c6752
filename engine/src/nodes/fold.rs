//! Changes of a source, folded: of each key the last one, as the row is after it. Columns that it did not send are taken from the change before it.
//!
//! The input is sorted by keys and position, the last change first, by whatever can spill; the fold itself is one pass that holds the rows of one key.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use arrow::compute::SortOptions;
use datafusion::common::DFSchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    EquivalenceProperties, LexOrdering, OrderingRequirements, Partitioning, PhysicalExpr, PhysicalSortExpr,
};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, PlanProperties};
use futures::{StreamExt, stream};

use crate::connector::POSITION;

mod folder;

use folder::Folder;

/// How changes are folded. They have a column [`POSITION`], by which changes of one key follow each other, [`DELETED`](crate::connector::DELETED), which says
/// whether a row is gone, and [`KEPT`](crate::connector::KEPT), which names what a change did not send; afterwards it names what is still not known.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Folding {
    /// Columns that identify a row.
    pub keys: Vec<String>,
    /// Columns that are computed, though one of the source may be called so.
    pub computed: BTreeSet<String>,
    /// Columns of the source that others are computed of: if a change did not send one, nobody knows those.
    pub computed_of: BTreeSet<String>,
    /// Whether nothing may stay unknown, because there is no target to know it.
    pub is_whole: bool,
}

/// The logical node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FoldNode {
    /// How.
    pub folding: Arc<Folding>,
    /// The changes.
    pub input: LogicalPlan,
}

impl FoldNode {
    pub(super) fn physical(&self, input: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(FoldExec::new(Arc::clone(&self.folding), input)?))
    }
}

impl PartialOrd for FoldNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.folding.partial_cmp(&other.folding)
    }
}

/// Filters, by default, and limits stay above; all columns are needed.
impl UserDefinedLogicalNodeCore for FoldNode {
    fn name(&self) -> &str {
        "Fold"
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

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fold: {}", self.folding.keys.join(", "))
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let input = inputs.into_iter().next().ok_or_else(|| internal("a fold has one input"))?;
        Ok(Self { folding: Arc::clone(&self.folding), input })
    }
}

fn internal(what: &str) -> DataFusionError {
    DataFusionError::Internal(what.to_owned())
}

#[derive(Debug)]
struct FoldExec {
    folding: Arc<Folding>,
    input: Arc<dyn ExecutionPlan>,
    order: LexOrdering,
    properties: Arc<PlanProperties>,
}

impl FoldExec {
    fn new(folding: Arc<Folding>, input: Arc<dyn ExecutionPlan>) -> Result<Self> {
        let schema = input.schema();
        let by = |name: &str, descending: bool| {
            let options = SortOptions { descending, nulls_first: false };
            Ok(PhysicalSortExpr::new(Arc::new(Column::new(name, schema.index_of(name)?)), options))
        };
        let keys = folding.keys.iter().map(|key| by(key, false));
        let sorts = keys.chain([by(POSITION, true)]).collect::<Result<Vec<_>>>()?;
        let order = LexOrdering::new(sorts).ok_or_else(|| internal("a fold has keys"))?;
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self { folding, input, order, properties: Arc::new(properties) })
    }
}

impl DisplayAs for FoldExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FoldExec: {}", self.folding.keys.join(", "))
    }
}

impl ExecutionPlan for FoldExec {
    fn name(&self) -> &str {
        "FoldExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition]
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![Some(OrderingRequirements::from(self.order.clone()))]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for sort in self.order.iter() {
            if f(&sort.expr)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.into_iter().next().ok_or_else(|| internal("a fold has one child"))?;
        Ok(Arc::new(Self::new(Arc::clone(&self.folding), input)?))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let folder = Folder::new(Arc::clone(&self.folding), &input.schema())?;
        let folded = stream::unfold(Some((folder, input)), |state| async move {
            let (mut folder, mut input) = state?;
            let taken = match input.next().await {
                Some(Ok(batch)) => folder.take(batch),
                Some(Err(error)) => Err(error),
                None => return Some((folder.finish(), None)),
            };
            let next = taken.is_ok().then_some((folder, input));
            Some((taken, next))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), folded)))
    }
}

#[cfg(test)]
mod tests;
