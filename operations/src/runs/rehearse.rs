//! Dry runs: what a run would do, on a sample of the rows. Nothing is loaded, and no run is made.

use arrow::record_batch::RecordBatch;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use headwater_engine::job::RunContext;
use headwater_engine::rehearsal::{Keys, RehearsedTask};
use headwater_pipelines::plan::{Plan, TableRef, Work};
use headwater_pipelines::spec::Moment;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::start::{Target, bind, zone_of};
use crate::catalog;
use crate::json_rows;
use crate::{Action, Actor, ColumnReport, OperationError, Operations, Result};

/// A dry run that is asked for.
#[derive(Debug, Clone)]
pub struct Rehearse {
    /// What it executes. A draft need not be approved.
    pub target: Target,
    /// Values of parameters, as text.
    pub params: Vec<(String, String)>,
    /// The data interval, half-open.
    pub interval: Option<(Moment, Moment)>,
}

/// The document of `run --dry-run`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RehearsalReport {
    /// The pipeline.
    pub pipeline: String,
    /// Start of the data interval that it was tried on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_start: Option<DateTime<Utc>>,
    /// Its end, exclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_end: Option<DateTime<Utc>>,
    /// Its tasks that have rows, in the order of the spec.
    pub tasks: Vec<RehearsedTaskReport>,
}

/// A task on its sample.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RehearsedTaskReport {
    /// Its path.
    pub task: String,
    /// extract, transform, check or load.
    pub kind: String,
    /// Of a load: the target, into which nothing was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Rows that it had on the sample.
    pub rows: usize,
    /// Whether its source, or that of its sample, has more rows.
    pub has_more: bool,
    /// Its columns.
    pub columns: Vec<ColumnReport>,
    /// The first rows.
    pub first_rows: Vec<Map<String, Value>>,
    /// Of a check: rows that violate each rule.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<RuleViolations>,
    /// Of a load: whether the key of the rows that it begins with still tells its rows apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyReport>,
}

/// Rows of a sample that violate a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RuleViolations {
    /// What the rule is called.
    pub rule: String,
    /// How many.
    pub rows: usize,
}

/// A key on a sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct KeyReport {
    /// Its columns.
    pub columns: Vec<String>,
    /// Rows that have the key of another one: a join multiplies them.
    pub repeated: usize,
}

impl RehearsedTaskReport {
    fn of(rehearsed: RehearsedTask, plan: &Plan) -> Result<Self> {
        let RehearsedTask { task, rows, has_more, shown, violations, key } = rehearsed;
        let work = &plan.tasks[&task].work;
        let (kind, target) = match work {
            Work::Extract { .. } => ("extract", None),
            Work::Transform { .. } => ("transform", None),
            Work::Check { .. } => ("check", None),
            Work::Load { into, .. } => ("load", Some(into.to_string())),
            Work::Wait { .. } | Work::Group => return Err(OperationError::bug("a task without rows was rehearsed")),
        };
        Ok(Self {
            task: task.to_string(),
            kind: kind.to_owned(),
            target,
            rows,
            has_more,
            columns: ColumnReport::of(&shown.schema()),
            first_rows: objects(&shown)?,
            violations: violations.into_iter().map(|(rule, rows)| RuleViolations { rule, rows }).collect(),
            key: key.map(|(columns, repeated)| KeyReport { columns, repeated }),
        })
    }
}

/// The last whole day of a zone.
fn yesterday(zone: Tz) -> (Moment, Moment) {
    let today = Utc::now().with_timezone(&zone).date_naive();
    let before = today.pred_opt().unwrap_or(today);
    (Moment::Date(before), Moment::Date(today))
}

/// Rows as JSON.
fn objects(batch: &RecordBatch) -> Result<Vec<Map<String, Value>>> {
    if batch.num_rows() == 0 {
        return Ok(Vec::new());
    }
    Ok(serde_json::from_slice(&json_rows(batch)?)?)
}

impl Operations {
    /// Executes a spec or an approved pipeline on a sample of its rows. Its sources are read; nothing is loaded and no run is made.
    pub async fn rehearse(
        &self,
        actor: &Actor,
        asked: Rehearse,
        cancel: &CancellationToken,
    ) -> Result<RehearsalReport> {
        self.permit(actor, Action::Query)?;
        self.permit(actor, Action::PlanSpec)?;
        let (plan, zone, own) = match asked.target {
            Target::Pipeline(name) => {
                let version = self.workspace.current_version(&name).await?;
                (version.plan.clone(), zone_of(&version.spec), Default::default())
            }
            Target::Spec(file) => {
                let spec = self.check_own(file).await?;
                if spec.has_errors() {
                    return Err(OperationError::problems(vec![spec.problems()]));
                }
                let zone = zone_of(&serde_json::to_value(spec.document.stored_spec())?);
                (spec.plan()?.clone(), zone, spec.connections())
            }
        };
        let params = bind(&plan, &asked.params)?;
        let given = asked.interval.or_else(|| plan.uses_interval().then(|| yesterday(zone)));
        let interval = Self::interval_of(&plan, zone, given)?;
        let (run_id, stage_run_id) = (Uuid::nil(), Uuid::nil());
        let run = RunContext {
            backfill: false,
            follows: false,
            run_id,
            stage_run_id,
            interval_start: interval.map(|(start, _)| start),
            interval_end: interval.map(|(_, end)| end),
            params: params.into_iter().collect(),
        };
        let used = plan.tasks.values().flat_map(|task| task.work.connections()).collect();
        let mut settings = self.stored_settings(&used).await?;
        settings.extend(own);
        let keys = self.primary_keys(&settings.keys().cloned().collect::<Vec<_>>()).await?;
        let rehearsal = self.engine.rehearse(&plan, settings, (&run, &keys), cancel).await?;
        let tasks = rehearsal.tasks.into_iter().map(|task| RehearsedTaskReport::of(task, &plan));
        Ok(RehearsalReport {
            pipeline: plan.pipeline.clone(),
            interval_start: run.interval_start,
            interval_end: run.interval_end,
            tasks: tasks.collect::<Result<_>>()?,
        })
    }

    /// The primary keys of tables, by the newest catalogs.
    async fn primary_keys(&self, connections: &[String]) -> Result<Keys> {
        let mut keys = Keys::new();
        for snapshot in self.workspace.newest_catalogs(connections).await? {
            for table in catalog::content(&snapshot)?.tables {
                let mut key: Vec<(u32, String)> =
                    table.columns.into_iter().filter_map(|column| Some((column.primary_key?, column.name))).collect();
                key.sort();
                let of = TableRef { connection: snapshot.connection.clone(), path: table.path };
                keys.insert(of, key.into_iter().map(|(_, column)| column).collect());
            }
        }
        Ok(keys)
    }
}
