//! Fires: which nominal times of a due schedule make runs.

use chrono::{DateTime, TimeDelta, Utc};
use headwater_pipelines::schedule::next_after;
use headwater_pipelines::spec::{Catchup, Schedule};
use headwater_store::{DueSchedule, Fire, FireOutcome, FirePlan, Store};

/// Missed times that `catchup: all` makes runs of. Older ones are recorded as skipped.
const MAX_CATCHUP: usize = 100;

/// Missed times that are recorded one by one; a schedule of seconds that slept for a month would record millions.
const MAX_RECORDED: usize = 1_000;

/// A time that came this long ago is late, not missed.
const LATE: TimeDelta = TimeDelta::seconds(60);

/// Deals with every due schedule. Answers with the number of runs made.
pub(crate) async fn fire_due(store: &Store) -> headwater_store::Result<usize> {
    let mut made = 0;
    for due in store.due_schedules().await? {
        let plan = plan_fires(&due);
        match store.fire(&due, &plan).await? {
            Some(runs) => {
                for run in &runs {
                    tracing::info!(schedule = %due.id, run = %run.run_id, fire_time = %run.at, held = run.held, "schedule fired");
                }
                made += runs.len();
            }
            None => tracing::debug!(schedule = %due.id, "another scheduler or an edit came first"),
        }
    }
    Ok(made)
}

/// What is to be done about a due schedule. Pure: the time is the one the schedule was read at.
pub fn plan_fires(due: &DueSchedule) -> FirePlan {
    let Some(first) = due.next_fire_at else {
        return FirePlan { fires: Vec::new(), next_fire_at: first_fire(due) };
    };
    let mut times = Vec::new();
    let mut cursor = Some(first);
    while let Some(at) = cursor.filter(|at| *at <= due.now) {
        times.push(at);
        if times.len() > MAX_RECORDED {
            // Only the latest are of interest: step close to now in one go.
            times.clear();
            let near = latest_before(&due.schedule, due.anchor, at, due.now);
            times.push(near);
            cursor = next_after(&due.schedule, due.anchor, near);
            continue;
        }
        cursor = next_after(&due.schedule, due.anchor, at);
    }
    FirePlan { fires: decide(due, &times), next_fire_at: cursor }
}

/// The first time of a schedule that has none yet: after the last one dealt with, or after now for a new one.
fn first_fire(due: &DueSchedule) -> Option<DateTime<Utc>> {
    next_after(&due.schedule, due.anchor, due.last_fire_at.unwrap_or(due.now).max(due.anchor))
}

/// A time of the schedule not later than now and with few times between them, found by halving the distance to `from`.
fn latest_before(schedule: &Schedule, anchor: DateTime<Utc>, from: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    let mut latest = from;
    let mut step = now - from;
    while step > TimeDelta::seconds(1) {
        step = step / 2;
        if let Some(at) = next_after(schedule, anchor, now - step).filter(|at| *at <= now) {
            latest = latest.max(at);
        }
    }
    latest
}

/// `times` have all come, oldest first. The last one is due; those before it were missed.
fn decide(due: &DueSchedule, times: &[DateTime<Utc>]) -> Vec<Fire> {
    let Some((last, missed)) = times.split_last() else { return Vec::new() };
    let mut fires = Vec::with_capacity(times.len());
    let runnable = missed.len().saturating_sub(MAX_CATCHUP.saturating_sub(1));
    let mut previous = due.last_fire_at;
    for (index, at) in missed.iter().enumerate() {
        let (outcome, reason) = match due.schedule.catchup {
            Catchup::All if index >= runnable => (FireOutcome::Fired, None),
            Catchup::All => (FireOutcome::Skipped, Some(format!("more than {MAX_CATCHUP} were missed"))),
            Catchup::Last => {
                (FireOutcome::Coalesced, Some(format!("missed; the run of {last} stands for it (catchup: last)")))
            }
            Catchup::None => (FireOutcome::Skipped, Some("missed (catchup: none)".to_owned())),
        };
        fires.push(Fire { at: *at, outcome, reason, interval: interval(due, previous, *at) });
        previous = Some(*at);
    }
    let missed_too = due.schedule.catchup == Catchup::None && due.now - *last > LATE;
    let (outcome, reason) = match missed_too {
        true => (FireOutcome::Skipped, Some("missed (catchup: none)".to_owned())),
        false => (FireOutcome::Fired, None),
    };
    fires.push(Fire { at: *last, outcome, reason, interval: interval(due, previous, *last) });
    fires
}

/// [previous nominal time, this one). The first fire of a schedule has no previous one: it takes the length of the next interval.
fn interval(
    due: &DueSchedule,
    previous: Option<DateTime<Utc>>,
    at: DateTime<Utc>,
) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let start = match previous {
        Some(previous) => previous,
        None => at - (next_after(&due.schedule, due.anchor, at)? - at),
    };
    Some((start, at))
}
