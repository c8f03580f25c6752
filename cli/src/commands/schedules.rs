//! `headwater schedules`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use chrono::{DateTime, FixedOffset, Offset, TimeDelta, Utc};
use chrono_tz::Tz;
use headwater_pipelines::diagnostic::{Code, has_errors};
use headwater_pipelines::document::Document;
use headwater_pipelines::duration;
use headwater_pipelines::plan::plan;
use headwater_pipelines::schedule::{self, Times, in_words};
use headwater_pipelines::spec::{Moment, Schedule};
use headwater_store::ScheduleRow;
use serde_json::{Value, json};

use crate::args::SchedulesCommand;
use crate::context::Context;
use crate::failure::{Shown, hinted};
use crate::output;
use crate::sources::is_spec;

pub(super) async fn schedules(context: &Context, command: SchedulesCommand) -> Result<ExitCode> {
    match command {
        SchedulesCommand::List { json } => list(&context.workspace.schedules().await?, json)?,
        SchedulesCommand::Preview { target, count, from, json } => {
            let preview = Preview::load(context, &target, from, count).await?;
            if json { output::json(&preview.document())? } else { preview.show() }
        }
        SchedulesCommand::Pause { pipeline } => {
            context.workspace.pause_schedule(&pipeline).await?;
            output::line(&format!("the schedule of {pipeline} is paused"));
        }
        SchedulesCommand::Resume { pipeline } => {
            context.workspace.resume_schedule(&pipeline).await?;
            output::line(&format!("the schedule of {pipeline} is active"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(rows: &[ScheduleRow], as_json: bool) -> Result<()> {
    if as_json {
        let told = |row: &ScheduleRow| {
            let mut document = serde_json::to_value(row)?;
            document["schedule_in_words"] = in_words(&row.schedule).into();
            Ok(document)
        };
        let rows = rows.iter().map(told).collect::<Result<Vec<Value>>>()?;
        return output::json(&json!({ "schedules": rows }));
    }
    let rows = rows.iter().map(|row| {
        let state = match (row.paused, row.ended) {
            (true, _) => "paused",
            (false, true) => "ended",
            (false, false) => "active",
        };
        [
            row.pipeline.clone(),
            in_words(&row.schedule),
            state.to_owned(),
            output::time(row.last_fire_at),
            output::time(row.next_fire_at),
        ]
    });
    output::table(&["pipeline", "schedule", "state", "last fire", "next fire"], rows);
    Ok(())
}

/// When a schedule fires.
struct Preview {
    schedule: Schedule,
    zone: Tz,
    /// How much later the pipeline's runs start.
    offset: TimeDelta,
    paused: bool,
    from: DateTime<Utc>,
    fires: Vec<Fire>,
}

struct Fire {
    at: DateTime<Utc>,
    interval: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

impl Preview {
    async fn load(context: &Context, target: &str, from: Option<Moment>, count: usize) -> Result<Self> {
        let now = context.store.now().await?;
        let (found, anchor, paused) = if is_spec(Path::new(target)) {
            (read(target)?, now, false)
        } else {
            let row = context.workspace.schedules().await?.into_iter().find(|row| row.pipeline == target);
            row.map_or((None, now, false), |row| (Some((row.pipeline, row.schedule)), row.anchor, row.paused))
        };
        let (pipeline, schedule) =
            found.ok_or_else(|| hinted(format!("{target} has no schedule"), "headwater schedules list"))?;
        let zone = schedule::zone(&schedule).context("the schedule's zone is not known here")?;
        let times = Times::new(&schedule, anchor).context("the schedule has mistakes")?;
        // A moment that is asked for may be a fire itself.
        let from =
            from.and_then(|from| schedule::instant(from, zone)).map_or(now, |from| from - TimeDelta::microseconds(1));
        let fires = times.after(from).take(count).map(|at| Fire { at, interval: times.interval(at) }).collect();
        Ok(Self { offset: schedule::offset(&schedule, &pipeline), schedule, zone, paused, from, fires })
    }

    fn show(&self) {
        let paused = if self.paused { " (paused: none of these will fire)" } else { "" };
        output::line(&format!("{}{paused}", in_words(&self.schedule)));
        if self.fires.is_empty() {
            return output::line("no fire is left");
        }
        let mut offset = self.utc_offset(self.from);
        let rows = self.fires.iter().map(|fire| {
            let before = std::mem::replace(&mut offset, self.utc_offset(fire.at));
            let local = fire.at.with_timezone(&self.zone);
            let mut row = vec![local.format("%a %Y-%m-%d %H:%M:%S %:z").to_string(), output::time(Some(fire.at))];
            if self.schedule.jitter.is_some() {
                row.push(output::time(Some(fire.at + self.offset)));
            }
            row.push(clock_change(before, offset));
            row
        });
        let zone = format!("fire in {}", self.zone.name());
        let mut header = vec![zone.as_str(), "in UTC"];
        if self.schedule.jitter.is_some() {
            header.push("run starts");
        }
        header.push("");
        output::table(&header, rows);
    }

    fn document(&self) -> Value {
        let fires = self.fires.iter().map(|fire| {
            json!({
                "fire_time": fire.at,
                "local_time": fire.at.with_timezone(&self.zone).to_rfc3339(),
                "starts_at": fire.at + self.offset,
                "interval_start": fire.interval.map(|(start, _)| start),
                "interval_end": fire.interval.map(|(_, end)| end),
            })
        });
        json!({
            "schedule_in_words": in_words(&self.schedule),
            "timezone": self.zone.name(),
            "paused": self.paused,
            "fires": fires.collect::<Vec<_>>(),
        })
    }

    fn utc_offset(&self, at: DateTime<Utc>) -> FixedOffset {
        at.with_timezone(&self.zone).offset().fix()
    }
}

/// Name and schedule of a spec file. Mistakes of its tasks don't matter here.
fn read(file: &str) -> Result<Option<(String, Schedule)>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{file} can't be read"))?;
    let document = Document::read(file, text);
    let mut diagnostics = plan(&document, &BTreeSet::new()).diagnostics;
    diagnostics.retain(|found| found.code == Code::BadSchedule || document.diagnostics.contains(found));
    if !diagnostics.is_empty() {
        let text = document.source.render(&diagnostics, output::color(), output::width().min(120));
        output::error_line(text.trim_end());
    }
    match document.spec {
        Some(spec) if !has_errors(&diagnostics) => Ok(spec.schedule.map(|schedule| (spec.name, schedule))),
        _ => Err(Shown.into()),
    }
}

/// What the clock did between two fires.
fn clock_change(before: FixedOffset, after: FixedOffset) -> String {
    let seconds = after.local_minus_utc() - before.local_minus_utc();
    let by = duration::in_words(std::time::Duration::from_secs(seconds.unsigned_abs().into()));
    match seconds {
        0 => String::new(),
        1.. => format!("the clock went forward by {by}"),
        _ => format!("the clock went back by {by}"),
    }
}
