//! `headwater schedules`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use headwater_pipelines::document::Document;
use headwater_pipelines::duration;
use headwater_pipelines::schedule;
use headwater_pipelines::spec::Schedule;
use serde_json::json;

use crate::args::SchedulesCommand;
use crate::context::Context;
use crate::failure::hinted;
use crate::output;
use crate::sources::is_spec;

pub(super) async fn schedules(context: &Context, command: SchedulesCommand) -> Result<ExitCode> {
    match command {
        SchedulesCommand::List { json } => {
            let rows = context.workspace.schedules().await?;
            if json {
                output::json(&json!({ "schedules": rows }))?;
            } else {
                let rows = rows.iter().map(|row| {
                    let state = if row.paused { "paused" } else { "active" };
                    [
                        row.pipeline.clone(),
                        in_words(&row.schedule),
                        state.to_owned(),
                        output::time(row.last_fire_at),
                        output::time(row.next_fire_at),
                    ]
                });
                output::table(&["pipeline", "schedule", "state", "last fire", "next fire"], rows);
            }
        }
        SchedulesCommand::Preview { target, count } => preview(context, &target, count).await?,
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

async fn preview(context: &Context, target: &str, count: usize) -> Result<()> {
    let now = context.store.now().await?;
    let (block, anchor) = if is_spec(Path::new(target)) {
        let document = Document::read(target, std::fs::read_to_string(target)?);
        (document.spec.and_then(|spec| spec.schedule), now)
    } else {
        let row = context.workspace.schedules().await?.into_iter().find(|row| row.pipeline == target);
        row.map_or((None, now), |row| (Some(row.schedule), row.anchor))
    };
    let block = block.ok_or_else(|| hinted(format!("{target} has no schedule"), "headwater schedules list"))?;
    if let Some((field, message)) = schedule::problems(&block).into_iter().next() {
        return Err(hinted(format!("schedule.{field}: {message}"), "headwater explain bad_schedule"));
    }
    output::line(&in_words(&block));
    for fire in schedule::preview(&block, anchor, now, count) {
        let local = block.timezone.as_deref().and_then(|zone| zone.parse::<chrono_tz::Tz>().ok());
        let local = local.map(|zone| fire.with_timezone(&zone).format("  %a %Y-%m-%d %H:%M:%S %Z").to_string());
        output::line(&format!("{}{}", fire.format("%Y-%m-%d %H:%M:%SZ"), local.unwrap_or_default()));
    }
    Ok(())
}

/// A schedule in a few words.
pub(super) fn in_words(schedule: &Schedule) -> String {
    match (&schedule.cron, schedule.every) {
        (Some(cron), _) => format!("cron {cron} ({})", schedule.timezone.as_deref().unwrap_or("UTC")),
        (None, Some(every)) => format!("every {}", duration::format(every)),
        (None, None) => "never".to_owned(),
    }
}
