//! Backfills: intervals of the past that are filled in, slice by slice.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use headwater_engine::catalog::Catalog;
use headwater_pipelines::plan::Plan;
use headwater_pipelines::schedule::{self, Cut, Interval, Step, Times};
use headwater_pipelines::spec::{Moment, Spec};
use headwater_store::{BackfillRow, NewBackfill, SliceRow, VersionRow};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::catalog::content;
use crate::runs::{bind, zone_of};
use crate::{Action, Actor, BackfillState, OperationError, Operations, Result};

mod judge;

use judge::judge;

/// More slices are hardly meant, and each of them is a run.
const MOST_SLICES: usize = 10_000;

/// Backfills that are listed.
const LISTED: i64 = 50;

/// A backfill that is to be started.
#[derive(Debug, Clone)]
pub struct StartBackfill {
    /// Name of the pipeline, whose approved version is run.
    pub pipeline: String,
    /// Where the first slice begins.
    pub from: Moment,
    /// Where the last slice ends, exclusive.
    pub to: Moment,
    /// How long a slice is; without it the times of the pipeline's cron, or else a day.
    pub every: Option<Step>,
    /// The zone in which days begin; without it that of the schedule, or else UTC.
    pub timezone: Option<Tz>,
    /// How many slices run at a time.
    pub parallel: u32,
    /// Values of parameters, as text.
    pub params: Vec<(String, String)>,
}

/// What a backfill would do: the document of `backfill --dry-run`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BackfillPlan {
    /// Name of the pipeline.
    pub pipeline: String,
    /// Number of the version that would be run.
    pub version: i32,
    /// How many slices run at a time.
    pub parallel: u32,
    /// Tables whose rows would be replaced.
    pub targets: Vec<String>,
    /// Remarks, e.g. why slices run one after the other.
    pub notes: Vec<String>,
    /// The slices, in their order.
    pub slices: Vec<SliceRow>,
}

/// The document of `backfills show`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BackfillReport {
    /// The backfill.
    #[serde(flatten)]
    pub backfill: BackfillRow,
    /// Its slices, in their order.
    pub slice_runs: Vec<SliceRow>,
}

/// The document of `backfills list`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BackfillsReport {
    /// Backfills, newest first.
    pub backfills: Vec<BackfillRow>,
}

impl Operations {
    /// What a backfill would do.
    pub async fn plan_backfill(&self, actor: &Actor, start: &StartBackfill) -> Result<BackfillPlan> {
        self.permit(actor, Action::ReadBackfills)?;
        Ok(self.judge_backfill(start).await?.1)
    }

    /// Stores a backfill. Schedulers start its slices, and whoever calls [`Operations::advance_backfill`].
    pub async fn start_backfill(&self, actor: &Actor, start: &StartBackfill) -> Result<Uuid> {
        let workspace = self.permit(actor, Action::ChangeBackfills)?;
        let (version, plan) = self.judge_backfill(start).await?;
        let params = bind(&version.plan, &start.params)?;
        let slices = plan.slices.iter().map(|slice| (slice.from, slice.to)).collect();
        let new = NewBackfill { version_id: version.id, params, slices, parallel: plan.parallel };
        Ok(workspace.create_backfill(&new).await?)
    }

    /// Starts the slices of a backfill whose turn it is, and tells how far it is: of its slices those that are under way.
    pub async fn advance_backfill(&self, actor: &Actor, id: Uuid) -> Result<BackfillReport> {
        let workspace = self.permit(actor, Action::ChangeBackfills)?;
        workspace.advance_backfill(id).await?;
        let backfill = workspace.backfill(id).await?;
        Ok(BackfillReport { slice_runs: workspace.slices_under_way(id).await?, backfill })
    }

    /// Backfills, newest first: all, or those of a pipeline.
    pub async fn backfills(&self, actor: &Actor, pipeline: Option<&str>) -> Result<BackfillsReport> {
        let workspace = self.permit(actor, Action::ReadBackfills)?;
        if let Some(pipeline) = pipeline {
            // Says so if there is no such pipeline.
            workspace.current_version(pipeline).await?;
        }
        Ok(BackfillsReport { backfills: workspace.backfills(pipeline, LISTED).await? })
    }

    /// The newest backfill of a pipeline.
    pub async fn backfill(&self, actor: &Actor, pipeline: &str) -> Result<BackfillReport> {
        let workspace = self.permit(actor, Action::ReadBackfills)?;
        let backfill = workspace.newest_backfill(pipeline).await?;
        Ok(BackfillReport { slice_runs: workspace.backfill_slices(backfill.backfill_id).await?, backfill })
    }

    /// Lets no new slice of a pipeline's newest backfill start. Those that run go on.
    pub async fn pause_backfill(&self, actor: &Actor, pipeline: &str) -> Result<BackfillRow> {
        let workspace = self.permit(actor, Action::ChangeBackfills)?;
        workspace.pause_backfill(workspace.newest_backfill(pipeline).await?.backfill_id).await?;
        Ok(workspace.newest_backfill(pipeline).await?)
    }

    /// Lets a pipeline's newest backfill go on, with the slices that failed. One that runs stays as it is: whoever followed it may be gone.
    pub async fn resume_backfill(&self, actor: &Actor, pipeline: &str) -> Result<BackfillRow> {
        let workspace = self.permit(actor, Action::ChangeBackfills)?;
        let newest = workspace.newest_backfill(pipeline).await?;
        if newest.state == BackfillState::Running {
            return Ok(newest);
        }
        // What is not approved any more is not run.
        workspace.current_version(pipeline).await?;
        workspace.resume_backfill(newest.backfill_id).await?;
        Ok(workspace.newest_backfill(pipeline).await?)
    }

    /// Ends a pipeline's newest backfill, and asks its runs to end.
    pub async fn cancel_backfill(&self, actor: &Actor, pipeline: &str) -> Result<BackfillRow> {
        let workspace = self.permit(actor, Action::ChangeBackfills)?;
        workspace.cancel_backfill(workspace.newest_backfill(pipeline).await?.backfill_id).await?;
        Ok(workspace.newest_backfill(pipeline).await?)
    }

    async fn judge_backfill(&self, start: &StartBackfill) -> Result<(VersionRow, BackfillPlan)> {
        let version = self.workspace.current_version(&start.pipeline).await?;
        self.must_not_follow(&version.plan).await?;
        let zone = start.timezone.unwrap_or_else(|| zone_of(&version.spec));
        let slices = cut(start, &version.spec, zone)?;
        let targets = judge(&version.plan, &self.known_sources(&version.plan).await?, &slices)?;
        let mut notes = Vec::new();
        let mut parallel = start.parallel.max(1);
        if version.plan.has_cursors() && parallel > 1 {
            notes.push("slices run one after the other: loads by a cursor take turns".to_owned());
            parallel = 1;
        }
        if version.plan.replaces_keys() {
            notes.push(
                "delete_insert replaces all rows of a key: a slice fails if its rows have a key of another slice"
                    .to_owned(),
            );
        }
        let slice = |(from, to)| SliceRow { from, to, state: "waiting".to_owned(), run_id: None };
        let slices = slices.into_iter().map(slice).collect();
        let pipeline = version.pipeline.clone();
        let plan = BackfillPlan { pipeline, version: version.number, parallel, targets, notes, slices };
        Ok((version, plan))
    }

    /// The catalogs of what a plan reads, as far as they were ever looked at.
    async fn known_sources(&self, plan: &Plan) -> Result<BTreeMap<String, Catalog>> {
        let sources: BTreeSet<String> = plan.tasks.values().flat_map(|task| task.work.sources()).collect();
        let found = self.workspace.newest_catalogs(&Vec::from_iter(sources)).await?;
        found.iter().map(|snapshot| Ok((snapshot.connection.clone(), content(snapshot)?))).collect()
    }
}

/// The slices of the interval.
fn cut(start: &StartBackfill, spec: &serde_json::Value, zone: Tz) -> Result<Vec<Interval>> {
    let instant = |moment: Moment| {
        schedule::instant(moment, zone)
            .ok_or_else(|| OperationError::invalid(format!("{moment} does not exist in {}", zone.name())))
    };
    let (from, to) = (instant(start.from)?, instant(start.to)?);
    if from >= to {
        return Err(OperationError::invalid("the interval ends before it starts")
            .hint("--to is exclusive: --from 2026-01-01 --to 2026-02-01 is the whole of January"));
    }
    let cut = match (start.every, times(spec)) {
        (Some(step), _) => Cut::Every(step, zone),
        (None, Some(times)) => Cut::At(times),
        (None, None) => Cut::Every(Step::Days(1), zone),
    };
    schedule::slices(&cut, (from, to), MOST_SLICES).map_err(|most| {
        OperationError::invalid(format!("these are more than {most} slices, and each is a run"))
            .hint("make them longer, e.g. --every 1d, or backfill a part")
    })
}

/// The times of a pipeline's cron, whatever its `start` and `end` are.
fn times(spec: &serde_json::Value) -> Option<Times> {
    let spec: Spec = serde_json::from_value(spec.clone()).ok()?;
    let mut schedule = spec.schedule.filter(|schedule| schedule.cron.is_some())?;
    (schedule.start, schedule.end) = (None, None);
    Times::new(&schedule, DateTime::<Utc>::UNIX_EPOCH)
}
