//! The running scan: each partition of the plan has a consumer of its own, on a thread of its own.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions, SchedulingType};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use tokio::runtime::Handle;

use super::layout::Column;
use super::position::Window;
use super::read::Read;
use super::topic::Topic;

/// Batches that may wait for the reader of a partition.
const WAITING_BATCHES: usize = 2;

/// A batch has so many times the rows of the session's batches, as those of other sources do.
const SESSION_BATCHES: usize = 4;

/// The plan node.
#[derive(Debug)]
pub(super) struct TopicScan {
    topic: Arc<Topic>,
    columns: Vec<Column>,
    schema: SchemaRef,
    /// Windows of each partition of the plan.
    hands: Vec<Vec<Window>>,
    limit: Option<usize>,
    properties: Arc<PlanProperties>,
    statistics: Arc<Statistics>,
}

impl TopicScan {
    pub(super) fn new(
        topic: Arc<Topic>,
        projection: &[usize],
        hands: Vec<Vec<Window>>,
        limit: Option<usize>,
        statistics: Statistics,
    ) -> Self {
        let schema = topic.projected(projection);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(hands.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        let columns = projection.iter().filter_map(|index| topic.layout.columns.get(*index)).cloned().collect();
        let statistics = Arc::new(statistics);
        Self { topic, columns, schema, hands, limit, properties: Arc::new(properties), statistics }
    }
}

impl DisplayAs for TopicScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KafkaTopic: {}, {}, readers={}", self.topic.label, self.topic.plan.shown(), self.hands.len())?;
        self.limit.map_or(Ok(()), |limit| write!(f, ", limit={limit}"))
    }
}

impl ExecutionPlan for TopicScan {
    fn name(&self) -> &str {
        "KafkaTopic"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> datafusion::common::Result<TreeNodeRecursion>,
    ) -> datafusion::common::Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> datafusion::common::Result<SendableRecordBatchStream> {
        let read = Read {
            consumption: self.topic.consumption(self.hands.len()),
            label: self.topic.label.clone(),
            columns: self.columns.clone(),
            known: self.topic.known.clone(),
            rules: self.topic.rules.clone(),
            quarantine: self.topic.quarantine.clone(),
            needs_keys: self.topic.needs_keys,
            windows: self.hands[partition].clone(),
            batch_rows: SESSION_BATCHES * context.session_config().batch_size(),
            limit: self.limit,
        };
        let mut stream = RecordBatchReceiverStream::builder(Arc::clone(&self.schema), WAITING_BATCHES);
        let output = stream.tx();
        // Once the stream is dropped nobody receives any more, and the thread ends.
        stream.spawn_blocking(move || read.run(&Handle::current(), &output).map_err(DataFusionError::from));
        Ok(stream.build())
    }

    fn partition_statistics(&self, partition: Option<usize>) -> datafusion::common::Result<Arc<Statistics>> {
        match partition {
            None => Ok(Arc::clone(&self.statistics)),
            Some(_) => Ok(Arc::new(Statistics::new_unknown(&self.schema))),
        }
    }
}
