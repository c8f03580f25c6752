//! A check is a barrier: no filter or limit passes it, it keeps the columns of its rules, and it reads its input to the
//! end before the stage may succeed, even if whatever reads the check stops early or never starts.
//!
//! A filter that passed would hide the very rows that the rules are about.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering as Atomic};

use arrow::array::{Array, BooleanArray};
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use datafusion::catalog::Session;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchemaRef, cast::as_boolean_array};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, PlanProperties};
use datafusion::physical_planner::PhysicalPlanner;
use datafusion::prelude::SessionContext;
use futures::{StreamExt, stream};
use headwater_pipelines::spec::OnFailure;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::rules::CheckRule;
use super::unique::Uniqueness;
use crate::control::{Control, LogLevel, TaskProgress};
use crate::error::EngineError;

/// How many tested batches may wait for their reader.
const QUEUED: usize = 2;

/// A check of one stage: what it does on violations, and the tests that run for it.
pub struct Barrier {
    task: String,
    on_failure: OnFailure,
    progress: Arc<TaskProgress>,
    control: Arc<dyn Control>,
    session: SessionContext,
    tests: Mutex<Vec<SpawnedTask<Result<()>>>>,
    started: AtomicBool,
}

impl Barrier {
    /// A check of the given task.
    pub fn new(
        task: &str,
        on_failure: OnFailure,
        progress: Arc<TaskProgress>,
        control: Arc<dyn Control>,
        session: SessionContext,
    ) -> Self {
        let (tests, started) = (Mutex::default(), AtomicBool::new(false));
        Self { task: task.to_owned(), on_failure, progress, control, session, tests, started }
    }

    /// Whether a plan has begun to read its input.
    pub fn started(&self) -> bool {
        self.started.load(Atomic::Acquire)
    }

    /// Waits until every test has read its input to the end.
    pub async fn verdict(&self) -> Result<()> {
        let tests = std::mem::take(&mut *self.tests.lock());
        for test in tests {
            test.join().await.map_err(|error| DataFusionError::External(Box::new(error)))??;
        }
        Ok(())
    }

    /// Counts violations (once, though a plan may read the check twice) and fails the stage if the spec says so.
    fn violated(&self, label: &str, rows: u64, example: &str, counts: bool) -> Result<()> {
        if counts {
            self.progress.reject(rows);
        }
        let message = format!("rule {label} is violated by {rows} rows, e.g. {example}");
        match self.on_failure {
            OnFailure::Warn => {
                if counts {
                    self.control.log(LogLevel::Warn, Some(&self.task), &message);
                }
                Ok(())
            }
            OnFailure::Fail | OnFailure::Quarantine => {
                let hint = "look at these rows in the source, or set `on_failure: warn` to load them";
                Err(EngineError::data(message).hint(hint).in_task(&self.task).into())
            }
        }
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").field("task", &self.task).finish_non_exhaustive()
    }
}

/// The logical node of a check.
#[derive(Debug, Clone)]
pub struct BarrierNode {
    /// Its state.
    pub barrier: Arc<Barrier>,
    /// What it tests.
    pub rules: Vec<CheckRule>,
    /// What is tested.
    pub input: LogicalPlan,
}

impl BarrierNode {
    pub(super) fn physical(
        &self,
        input: Arc<dyn ExecutionPlan>,
        planner: &dyn PhysicalPlanner,
        session: &dyn Session,
        planning: &PhysicalPlanningContext,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.input.schema();
        let compile = |expr: &Expr| planner.create_physical_expr(expr, schema, session, planning);
        let tests: Vec<Test> = self
            .rules
            .iter()
            .map(|rule| {
                Ok(match rule {
                    CheckRule::Row { label, violation } => {
                        Test::Row { label: label.clone(), violation: compile(violation)? }
                    }
                    CheckRule::Unique { label, columns } => Test::Unique {
                        label: label.clone(),
                        columns: columns.iter().map(compile).collect::<Result<_>>()?,
                    },
                })
            })
            .collect::<Result<_>>()?;
        Ok(Arc::new(BarrierExec::new(Arc::clone(&self.barrier), tests.into(), input)))
    }
}

impl PartialEq for BarrierNode {
    fn eq(&self, other: &Self) -> bool {
        self.barrier.task == other.barrier.task && self.rules == other.rules && self.input == other.input
    }
}

impl Eq for BarrierNode {}

impl PartialOrd for BarrierNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.barrier.task.partial_cmp(&other.barrier.task)
    }
}

impl Hash for BarrierNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.barrier.task.hash(state);
        self.rules.hash(state);
        self.input.hash(state);
    }
}

/// Filters (by the default of `prevent_predicate_push_down_columns`) and limits stay above.
impl UserDefinedLogicalNodeCore for BarrierNode {
    fn name(&self) -> &str {
        "Check"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        self.rules.iter().flat_map(CheckRule::expressions).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels: Vec<&str> = self.rules.iter().map(CheckRule::label).collect();
        write!(f, "Check: {} [{}]", self.barrier.task, labels.join(", "))
    }

    fn with_exprs_and_inputs(&self, expressions: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let input =
            inputs.into_iter().next().ok_or_else(|| DataFusionError::Internal("a check has one input".to_owned()))?;
        let mut expressions = expressions.into_iter();
        let rules = self.rules.iter().map(|rule| rule.with(&mut expressions)).collect();
        Ok(Self { barrier: Arc::clone(&self.barrier), rules, input })
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let schema = self.input.schema();
        let mut needed = output_columns.to_vec();
        for expression in self.expressions() {
            needed
                .extend(expression.column_refs().into_iter().filter_map(|column| schema.maybe_index_of_column(column)));
        }
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}

#[derive(Debug, Clone)]
enum Test {
    Row { label: String, violation: Arc<dyn PhysicalExpr> },
    Unique { label: String, columns: Vec<Arc<dyn PhysicalExpr>> },
}

#[derive(Debug)]
struct BarrierExec {
    barrier: Arc<Barrier>,
    tests: Arc<[Test]>,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl BarrierExec {
    fn new(barrier: Arc<Barrier>, tests: Arc<[Test]>, input: Arc<dyn ExecutionPlan>) -> Self {
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
    counts: bool,
    output: Option<mpsc::Sender<Result<RecordBatch>>>,
}

impl Run {
    async fn run(mut self, input: SendableRecordBatchStream) -> Result<()> {
        let tested = self.test(input).await;
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
        for test in tests.iter() {
            if let Test::Unique { label, columns } = test {
                let schema = key_schema(columns, &input.schema())?;
                keys.push((
                    label,
                    columns,
                    Arc::clone(&schema),
                    Uniqueness::start(self.barrier.session.clone(), &schema),
                ));
            }
        }
        while let Some(batch) = input.next().await {
            let batch = batch?;
            for test in tests.iter() {
                if let Test::Row { label, violation } = test {
                    self.row_rule(label, violation, &batch)?;
                }
            }
            for (_, columns, schema, uniqueness) in &keys {
                uniqueness.add(evaluate(columns, schema, &batch)?).await;
            }
            self.pass(batch).await;
        }
        for (label, _, _, uniqueness) in keys {
            let duplicates = uniqueness.finish().await?;
            if duplicates.rows > 0 {
                self.barrier.violated(label, duplicates.rows, &duplicates.example.unwrap_or_default(), self.counts)?;
            }
        }
        Ok(())
    }

    fn row_rule(&self, label: &str, violation: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<()> {
        let verdict = violation.evaluate(batch)?.into_array(batch.num_rows())?;
        let verdict = as_boolean_array(&verdict)?;
        let rows = verdict.true_count() as u64;
        if rows == 0 {
            return Ok(());
        }
        self.barrier.violated(label, rows, &example(violation, verdict, batch)?, self.counts)
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
