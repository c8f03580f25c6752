//! The running scan of text files: each partition reads its files one after the other, off the async threads.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions, SchedulingType};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use headwater_engine::{EngineError, Result};
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;

use super::csv::Dialect;
use super::data::DataFile;
use super::format::Format;
use super::json;

/// Batches that may wait for the reader of a partition.
const WAITING_BATCHES: usize = 2;

/// What every partition needs.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub dialect: Dialect,
    pub format: Format,
    pub schema: SchemaRef,
    pub projection: Vec<usize>,
    pub limit: Option<usize>,
    pub label: String,
    pub cancel: CancellationToken,
}

/// The plan node.
#[derive(Debug)]
pub(super) struct FilesScan {
    reading: Arc<Reading>,
    partitions: Vec<Vec<DataFile>>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl FilesScan {
    pub(super) fn new(reading: Reading, partitions: Vec<Vec<DataFile>>) -> datafusion::common::Result<Self> {
        let schema = Arc::new(reading.schema.project(&reading.projection)?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Ok(Self { reading: Arc::new(reading), partitions, schema, properties: Arc::new(properties) })
    }
}

impl DisplayAs for FilesScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let files: usize = self.partitions.iter().map(Vec::len).sum();
        write!(f, "Files: {}, format={:?}, files={files}", self.reading.label, self.reading.format)
    }
}

impl ExecutionPlan for FilesScan {
    fn name(&self) -> &str {
        "Files"
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
        let rows = context.session_config().batch_size();
        let (reading, files) = (Arc::clone(&self.reading), self.partitions[partition].clone());
        let mut stream = RecordBatchReceiverStream::builder(Arc::clone(&self.schema), WAITING_BATCHES);
        let output = stream.tx();
        stream.spawn_blocking(move || reading.read(&files, rows, &output).map_err(DataFusionError::from));
        Ok(stream.build())
    }
}

impl Reading {
    fn read(
        &self,
        files: &[DataFile],
        rows: usize,
        output: &Sender<datafusion::common::Result<RecordBatch>>,
    ) -> Result<()> {
        let mut left = self.limit.unwrap_or(usize::MAX);
        for file in files {
            for batch in self.batches(file, rows).map_err(|error| file.explained(error))? {
                let batch = batch.map_err(|error| file.explained(error))?;
                let batch = batch.slice(0, batch.num_rows().min(left));
                left -= batch.num_rows();
                let batch = batch.project(&self.projection).map_err(|error| EngineError::bug(error.to_string()))?;
                if self.cancel.is_cancelled() {
                    return Err(EngineError::canceled(format!("reading {} was canceled", self.label)));
                }
                // Nobody listens any more: the stream was dropped.
                if output.blocking_send(Ok(batch)).is_err() || left == 0 {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn batches(&self, file: &DataFile, rows: usize) -> Result<Box<dyn Iterator<Item = Result<RecordBatch>>>> {
        match self.format {
            Format::Csv => Ok(Box::new(self.dialect.read(file, &self.schema, rows)?)),
            Format::Jsonl => Ok(Box::new(json::Batches::open(file, &self.schema, rows)?)),
            Format::Parquet => Err(EngineError::bug("Parquet files have a scan of their own")),
        }
    }
}
