//! Schedules: listed, previewed, paused and resumed.

use std::collections::BTreeSet;

use chrono::{DateTime, FixedOffset, Offset, TimeDelta, Utc};
use headwater_pipelines::diagnostic::{Code, has_errors};
use headwater_pipelines::document::Document;
use headwater_pipelines::plan::plan;
use headwater_pipelines::schedule::{self, Times, in_words};
use headwater_pipelines::spec::{Moment, Schedule};
use headwater_store::{ScheduleRow, Suggest};
use schemars::JsonSchema;
use serde::Serialize;

use crate::specs::document;
use crate::{Action, Actor, OperationError, Operations, Problems, Result, Target};

/// Fires that a draft shows.
const NEXT_FIRES: usize = 5;

/// The document of `schedules list`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SchedulesReport {
    /// Schedules in force, by pipeline.
    pub schedules: Vec<ScheduleReport>,
}

/// One schedule.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ScheduleReport {
    /// What is stored of it.
    #[serde(flatten)]
    pub schedule: ScheduleRow,
    /// What it says.
    pub schedule_in_words: String,
}

/// The document of `schedules preview`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PreviewReport {
    /// What the schedule says.
    pub schedule_in_words: String,
    /// Its time zone.
    pub timezone: String,
    /// Whether a person has stopped it: then none of the fires will happen.
    pub paused: bool,
    /// Whether runs start later than their nominal times (`jitter`).
    pub jitter: bool,
    /// From when on it is shown, on the zone's clock.
    pub from: DateTime<FixedOffset>,
    /// The next fires.
    pub fires: Vec<FireReport>,
}

/// One fire.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FireReport {
    /// Its nominal time.
    pub fire_time: DateTime<Utc>,
    /// The same on the zone's clock.
    pub local_time: DateTime<FixedOffset>,
    /// When its run starts.
    pub starts_at: DateTime<Utc>,
    /// Start of its data interval.
    pub interval_start: Option<DateTime<Utc>>,
    /// End of its data interval, exclusive.
    pub interval_end: Option<DateTime<Utc>>,
}

impl Operations {
    /// Schedules in force.
    pub async fn schedules(&self, actor: &Actor) -> Result<SchedulesReport> {
        let rows = self.permit(actor, Action::ReadSchedules)?.schedules().await?;
        let schedules =
            rows.into_iter().map(|row| ScheduleReport { schedule_in_words: in_words(&row.schedule), schedule: row });
        Ok(SchedulesReport { schedules: schedules.collect() })
    }

    /// When a pipeline or spec would run next.
    pub async fn preview_schedule(
        &self,
        actor: &Actor,
        target: Target,
        from: Option<Moment>,
        count: usize,
    ) -> Result<PreviewReport> {
        let workspace = self.permit(actor, Action::ReadSchedules)?;
        let now = self.store.now().await?;
        let (name, found, anchor, paused) = match target {
            Target::Spec(file) => {
                let name = file.name.clone();
                (name, read(document::read(file))?, now, false)
            }
            Target::Pipeline(name) => {
                let row = workspace.schedules().await?.into_iter().find(|row| row.pipeline == name);
                match row {
                    Some(row) => (name, Some((row.pipeline, row.schedule)), row.anchor, row.paused),
                    None => (name, None, now, false),
                }
            }
        };
        let (pipeline, schedule) = found.ok_or_else(|| {
            OperationError::not_found(format!("{name} has no schedule")).suggest(Suggest::ListSchedules)
        })?;
        preview(&pipeline, &schedule, anchor, paused, from, now, count)
    }

    /// The next fires of a spec's schedule, if it has one without mistakes.
    pub(crate) async fn next_fires(&self, document: &Document) -> Result<Vec<FireReport>> {
        let Some((pipeline, schedule)) = read(document.clone()).ok().flatten() else { return Ok(Vec::new()) };
        let now = self.store.now().await?;
        Ok(preview(&pipeline, &schedule, now, false, None, now, NEXT_FIRES)?.fires)
    }

    /// Stops a pipeline's schedule.
    pub async fn pause_schedule(&self, actor: &Actor, pipeline: &str) -> Result<()> {
        Ok(self.permit(actor, Action::ChangeSchedules)?.pause_schedule(pipeline).await?)
    }

    /// Starts a pipeline's schedule again.
    pub async fn resume_schedule(&self, actor: &Actor, pipeline: &str) -> Result<()> {
        Ok(self.permit(actor, Action::ChangeSchedules)?.resume_schedule(pipeline).await?)
    }
}

fn preview(
    pipeline: &str,
    schedule: &Schedule,
    anchor: DateTime<Utc>,
    paused: bool,
    from: Option<Moment>,
    now: DateTime<Utc>,
    count: usize,
) -> Result<PreviewReport> {
    let faulty = || OperationError::invalid("the schedule has mistakes");
    let zone = schedule::zone(schedule).ok_or_else(faulty)?;
    let times = Times::new(schedule, anchor).ok_or_else(faulty)?;
    // A moment that is asked for may be a fire itself.
    let from =
        from.and_then(|from| schedule::instant(from, zone)).map_or(now, |from| from - TimeDelta::microseconds(1));
    let offset = schedule::offset(schedule, pipeline);
    let local = |at: DateTime<Utc>| {
        let local = at.with_timezone(&zone);
        local.with_timezone(&local.offset().fix())
    };
    let fires = times.after(from).take(count).map(|at| {
        let interval = times.interval(at);
        FireReport {
            fire_time: at,
            local_time: local(at),
            starts_at: at + offset,
            interval_start: interval.map(|(start, _)| start),
            interval_end: interval.map(|(_, end)| end),
        }
    });
    Ok(PreviewReport {
        schedule_in_words: in_words(schedule),
        timezone: zone.name().to_owned(),
        paused,
        jitter: schedule.jitter.is_some(),
        from: local(from),
        fires: fires.collect(),
    })
}

/// Name and schedule of a spec. Mistakes of its tasks don't matter here.
fn read(document: Document) -> Result<Option<(String, Schedule)>> {
    let mut diagnostics = plan(&document, &BTreeSet::new()).diagnostics;
    diagnostics.retain(|found| found.code == Code::BadSchedule || document.diagnostics.contains(found));
    match document.spec {
        Some(spec) if !has_errors(&diagnostics) => Ok(spec.schedule.map(|schedule| (spec.name, schedule))),
        _ => Err(OperationError::problems(vec![Problems { source: document.source, diagnostics }])),
    }
}
