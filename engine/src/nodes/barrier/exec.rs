//! A check at work: every batch is tested and handed on.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering as Atomic;

use arrow::array::{Array, BooleanArray};
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use datafusion::common::cast::as_boolean_array;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, PlanProperties};
use futures::{StreamExt, stream};
use tokio::sync::mpsc;

use super::super::unique::Uniqueness;
use crate::error::EngineError;

use super::{Barrier, Violation};

mod split;

/// How many tested batches may wait for their reader.
const QUEUED: usize = 2;

/// A compiled rule.
#[derive(Debug, Clone)]
pub(super) enum Test {
    Row { label: String, violation: Arc<dyn PhysicalExpr> },
    Unique { label: String, columns: Vec<Arc<dyn PhysicalExpr>> },
}

/// The physical node of a check.
#[derive(Debug)]
pub(super) struct BarrierExec {
    barrier: Arc<Barrier>,
    tests: Arc<[Test]>,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl BarrierExec {
    pub(super) fn new(barrier: Arc<Barrier>, tests: Arc<[Test]>, input: Arc<dyn ExecutionPlan>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { barrier, tests, input, properties: Arc::new(properties) }
    }
}

impl DisplayAs for BarrierExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CheckExec: {}", self.barrier.task)
    }
}

impl ExecutionPlan for BarrierExec {
    fn name(&self) -> &str {
        "CheckExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition]
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
        for test in self.tests.iter() {
            let expressions = match test {
                Test::Row { violation, .. } => std::slice::from_ref(violation),
                Test::Unique { columns, .. } => columns,
            };
            for expression in expressions {
                if f(expression)? == TreeNodeRecursion::Stop {
                    return Ok(TreeNodeRecursion::Stop);
                }
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let input =
            children.into_iter().next().ok_or_else(|| DataFusionError::Internal("a check has one child".to_owned()))?;
        Ok(Arc::new(Self::new(Arc::clone(&self.barrier), Arc::clone(&self.tests), input)))
    }

    /// The test runs on its own, so that it goes on when its reader stops.
    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let first = !self.barrier.started.swap(true, Atomic::AcqRel);
        let (sender, receiver) = mpsc::channel(QUEUED);
        let run = Run {
            barrier: Arc::clone(&self.barrier),
            tests: Arc::clone(&self.tests),
            counts: first,
            violations: Vec::new(),
            output: Some(sender),
        };
        self.barrier.tests.lock().push(SpawnedTask::spawn(run.run(input)));
        let output =
            stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|item| (item, receiver)) });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), output)))
    }
}

/// One reading of a check's input.
struct Run {
    barrier: Arc<Barrier>,
    tests: Arc<[Test]>,
    /// Whether it is the first one: a plan may read a check twice.
    counts: bool,
    violations: Vec<Violation>,
    output: Option<mpsc::Sender<Result<RecordBatch>>>,
}

impl Run {
    async fn run(mut self, input: SendableRecordBatchStream) -> Result<()> {
        let tested = self.test(input).await;
        if self.counts && !self.barrier.is_strict() {
            self.barrier.warn(&self.violations);
        }
        // The reader must hear of a violation, or it would take the end of the stream for success.
        if let Err(error) = &tested
            && let Some(output) = self.output.take()
        {
            let _ = output.send(Err(EngineError::copy_of(error).in_task(&self.barrier.task).into())).await;
        }
        tested
    }

    async fn test(&mut self, mut input: SendableRecordBatchStream) -> Result<()> {
        let tests = Arc::clone(&self.tests);
        let mut keys = Vec::new();
        for (place, test) in tests.iter().enumerate() {
            if let Test::Unique { label, columns } = test {
                let schema = key_schema(columns, &input.schema())?;
                keys.push((
                    place,
                    label,
                    columns,
                    Arc::clone(&schema),
                    Uniqueness::start(self.barrier.session.clone(), &schema),
                ));
            }
        }
        while let Some(batch) = input.next().await {
            let mut batch = batch?;
            if let Some((quarantine, dataset)) = &self.barrier.quarantine {
                batch = split::split(&tests, batch, self.counts.then_some((quarantine.as_ref(), dataset.as_str())))?;
            } else {
                for (place, test) in tests.iter().enumerate() {
                    if let Test::Row { label, violation } = test {
                        self.row_rule(place, label, violation, &batch)?;
                    }
                }
                self.judge()?;
            }
            for (_, _, columns, schema, uniqueness) in &keys {
                uniqueness.add(evaluate(columns, schema, &batch)?).await;
            }
            self.pass(batch).await;
        }
        for (place, label, _, _, uniqueness) in keys {
            let duplicates = uniqueness.finish().await?;
            if duplicates.rows > 0 {
                self.violated(place, label, duplicates.rows, || Ok(duplicates.example.unwrap_or_default()))?;
            }
        }
        self.judge()
    }

    /// A strict check needs to read no further than the first batch with a violation.
    fn judge(&self) -> Result<()> {
        match self.violations.as_slice() {
            [] => Ok(()),
            violations if self.barrier.is_strict() => Err(self.barrier.failure(violations).into()),
            _ => Ok(()),
        }
    }

    /// Counts violations, and keeps an example of the first.
    fn violated(
        &mut self,
        place: usize,
        rule: &str,
        rows: u64,
        example: impl FnOnce() -> Result<String>,
    ) -> Result<()> {
        match self.violations.iter_mut().find(|known| known.place == place) {
            Some(known) => known.rows += rows,
            None => self.violations.push(Violation { place, rule: rule.to_owned(), rows, example: example()? }),
        }
        Ok(())
    }

    fn row_rule(
        &mut self,
        place: usize,
        label: &str,
        violation: &Arc<dyn PhysicalExpr>,
        batch: &RecordBatch,
    ) -> Result<()> {
        let verdict = verdict(label, violation, batch)?;
        let rows = verdict.true_count() as u64;
        if rows == 0 {
            return Ok(());
        }
        self.violated(place, label, rows, || example(violation, &verdict, batch))
    }

    /// Hands a batch to the reader; one that stopped reading is forgotten, and the test goes on.
    async fn pass(&mut self, batch: RecordBatch) {
        if let Some(output) = &self.output
            && output.send(Ok(batch)).await.is_err()
        {
            self.output = None;
        }
    }
}

/// Which rows violate a rule; NULL is none that does. An error names the rule.
fn verdict(label: &str, violation: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<BooleanArray> {
    let verdict = violation.evaluate(batch).and_then(|verdict| verdict.into_array(batch.num_rows()));
    let verdict = verdict.map_err(|error| {
        let error = EngineError::from(error);
        let message = format!("rule {label}: {}", error.message);
        DataFusionError::from(EngineError { message, ..error })
    })?;
    Ok(as_boolean_array(&verdict)?.clone())
}

fn key_schema(columns: &[Arc<dyn PhysicalExpr>], input: &Schema) -> Result<Arc<Schema>> {
    let fields = columns.iter().map(|column| column.return_field(input)).collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(Schema::new(fields)))
}

fn evaluate(columns: &[Arc<dyn PhysicalExpr>], schema: &Arc<Schema>, batch: &RecordBatch) -> Result<RecordBatch> {
    let arrays = columns
        .iter()
        .map(|column| column.evaluate(batch)?.into_array(batch.num_rows()))
        .collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), arrays)?)
}

/// The columns of the rule in the first row that violates it, and the row's first column to find it by.
fn example(violation: &Arc<dyn PhysicalExpr>, verdict: &BooleanArray, batch: &RecordBatch) -> Result<String> {
    let row = (0..verdict.len()).find(|row| verdict.is_valid(*row) && verdict.value(*row)).unwrap_or(0);
    let mut indexes: Vec<usize> = collect_columns(violation).iter().map(|column| column.index()).chain([0]).collect();
    indexes.sort_unstable();
    indexes.dedup();
    let schema = batch.schema();
    let parts = indexes.into_iter().filter(|index| *index < batch.num_columns()).map(|index| {
        let column = batch.column(index);
        let text = if column.is_null(row) { "NULL".to_owned() } else { array_value_to_string(column, row)? };
        Ok(format!("{} = {text}", schema.field(index).name()))
    });
    Ok(parts.collect::<Result<Vec<_>>>()?.join(", "))
}
