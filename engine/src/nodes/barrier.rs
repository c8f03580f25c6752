//! A check is a barrier: no filter or limit passes it, it keeps the columns of its rules, and it reads its input to the
//! end before the stage may succeed, even if whatever reads the check stops early or never starts.
//!
//! A filter that passed would hide the very rows that the rules are about.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering as Atomic};

use datafusion::catalog::Session;
use datafusion::common::DFSchemaRef;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::PhysicalPlanner;
use datafusion::prelude::SessionContext;
use headwater_pipelines::spec::OnFailure;
use parking_lot::Mutex;

use super::rules::CheckRule;

use crate::control::{Control, LogLevel};
use crate::error::EngineError;
use crate::rejects::Quarantine;

mod exec;

use exec::{BarrierExec, Test};

/// What to do about violations of a check. It reads no further than it has to.
const WAY_OUT: &str =
    "look at these rows in the source, or set `on_failure: warn` to load them, which counts the violations of all rows";

/// A check of one stage: what it does on violations, and the tests that run for it.
pub struct Barrier {
    task: String,
    on_failure: OnFailure,
    /// Where rows go that violate a rule, and the dataset that they are of.
    quarantine: Option<(Arc<Quarantine>, String)>,
    /// What to do about violations.
    way_out: &'static str,
    control: Arc<dyn Control>,
    session: SessionContext,
    tests: Mutex<Vec<SpawnedTask<Result<()>>>>,
    started: AtomicBool,
}

impl Barrier {
    /// A check of the given task.
    pub fn new(task: &str, on_failure: OnFailure, control: Arc<dyn Control>, session: SessionContext) -> Self {
        let (task, tests, started) = (task.to_owned(), Mutex::default(), AtomicBool::new(false));
        Self { task, on_failure, quarantine: None, way_out: WAY_OUT, control, session, tests, started }
    }

    /// Says what to do about violations of rules that no person has written.
    #[must_use]
    pub fn with_way_out(self, way_out: &'static str) -> Self {
        Self { way_out, ..self }
    }

    /// Sets rows of a dataset aside that violate a rule, instead of failing.
    #[must_use]
    pub fn setting_aside(self, quarantine: Arc<Quarantine>, dataset: String) -> Self {
        Self { quarantine: Some((quarantine, dataset)), ..self }
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

    /// Whether violations fail the stage.
    fn is_strict(&self) -> bool {
        self.on_failure != OnFailure::Warn && self.quarantine.is_none()
    }

    /// The failure of the stage: every rule that was violated until then.
    fn failure(&self, violations: &[Violation]) -> EngineError {
        let told: Vec<String> = violations.iter().map(Violation::to_string).collect();
        EngineError::data(told.join("; ")).hint(self.way_out).in_task(&self.task)
    }

    /// Says of every violated rule that its rows are loaded all the same.
    fn warn(&self, violations: &[Violation]) {
        for violation in violations {
            self.control.log(LogLevel::Warn, Some(&self.task), &violation.to_string());
        }
    }
}

/// A rule with rows that violate it.
#[derive(Debug)]
struct Violation {
    /// The rule's place in the check, since two rules may have one name.
    place: usize,
    /// How the rule is called.
    rule: String,
    rows: u64,
    /// One of the rows.
    example: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, rows, example, .. } = self;
        let noun = if *rows == 1 { "row" } else { "rows" };
        write!(f, "rule {rule} is violated by {rows} {noun}, e.g. {example}")
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
        // A row is set aside whole.
        if self.barrier.quarantine.is_some() {
            return Some(vec![(0..schema.fields().len()).collect()]);
        }
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
