//! Fires: which nominal times of a due schedule make runs.

use chrono::{DateTime, TimeDelta, Utc};
use headwater_pipelines::schedule::Times;
use headwater_pipelines::spec::Catchup;
use headwater_store::{DueSchedule, Fire, FireOutcome, FirePlan, Result, Store};

/// Missed times that are recorded one by one, and so the highest cap of `catchup: all`; a schedule of seconds that slept for a month
/// would record millions.
const MAX_RECORDED: usize = 1_000;

/// A time that came this long ago is late, not missed.
const LATE: TimeDelta = TimeDelta::seconds(60);

/// Deals with every due schedule. Returns the number of runs made. A schedule that fails is set aside and keeps none of the others waiting.
pub(crate) async fn fire_due(store: &Store) -> Result<usize> {
    let mut made = 0;
    let mut failed = None;
    for due in store.due_schedules().await? {
        match store.fire(&due, &plan_fires(&due)).await {
            Ok(Some(runs)) => {
                for run in &runs {
                    tracing::info!(pipeline = %due.pipeline, run = %run.run_id, fire_time = %run.at, held = run.held, "schedule fired");
                }
                made += runs.len();
            }
            Ok(None) => tracing::debug!(pipeline = %due.pipeline, "another scheduler or an edit came first"),
            Err(error) if error.is_transient() => failed = Some(error),
            Err(error) => {
                tracing::error!(pipeline = %due.pipeline, %error, "schedule can't fire; it is set aside for a minute");
                store.set_schedule_aside(due.workspace_id, due.id, &error.to_string()).await?;
            }
        }
    }
    failed.map_or(Ok(made), Err)
}

/// What is to be done about a due schedule. Pure: the time is the one the schedule was read at.
pub fn plan_fires(due: &DueSchedule) -> FirePlan {
    let Some(times) = Times::new(&due.schedule, due.anchor) else {
        return FirePlan { fires: Vec::new(), next_fire_at: None };
    };
    let Some(first) = due.next_fire_at else {
        // Times from before a schedule was approved or resumed are not its own.
        let last = due.last_fire_at.unwrap_or(due.since).max(due.anchor);
        return FirePlan { fires: Vec::new(), next_fire_at: times.next_after(last) };
    };
    let now = due.now - due.offset;
    // The first one is as it was promised, even if the rules of its zone have changed since.
    let later = times.latest(first, now, MAX_RECORDED - 1);
    let come: Vec<_> = std::iter::once(first).chain(later).filter(|at| *at <= now).collect();
    FirePlan { fires: decide(due, &times, &come, now), next_fire_at: times.next_after(now) }
}

/// `come` are times that have come, oldest first. The last one is due; those before it were missed.
fn decide(due: &DueSchedule, times: &Times, come: &[DateTime<Utc>], now: DateTime<Utc>) -> Vec<Fire> {
    let Some((last, missed)) = come.split_last() else { return Vec::new() };
    let cap = due.schedule.max_catchup();
    // The one that is due is one of them.
    let too_old = missed.len().saturating_sub(usize::try_from(cap).unwrap_or(usize::MAX).saturating_sub(1));
    let missed = missed.iter().enumerate().map(|(index, at)| {
        let (outcome, reason) = match due.schedule.catchup {
            Catchup::All if index >= too_old => (FireOutcome::Fired, None),
            Catchup::All => (FireOutcome::Skipped, Some(format!("more than {cap} were missed (max_catchup: {cap})"))),
            Catchup::Last => {
                (FireOutcome::Coalesced, Some(format!("missed; the run of {last} stands for it (catchup: last)")))
            }
            Catchup::None => (FireOutcome::Skipped, Some("missed (catchup: none)".to_owned())),
        };
        Fire { at: *at, outcome, reason, interval: times.interval(*at) }
    });
    let (outcome, reason) = match due.schedule.catchup {
        Catchup::None if now - *last > LATE => (FireOutcome::Skipped, Some("missed (catchup: none)".to_owned())),
        _ => (FireOutcome::Fired, None),
    };
    missed.chain([Fire { at: *last, outcome, reason, interval: times.interval(*last) }]).collect()
}
