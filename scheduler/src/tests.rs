#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and joins what it spawns"
)]

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use headwater_pipelines::schedule;
use headwater_pipelines::spec::{Catchup, Overlap, Schedule};
use headwater_store::state::RunState;
use headwater_store::testing::{TestDatabase, database, plan};
use headwater_store::{DueSchedule, FireOutcome, NewVersion, RunFilter, RunSummary, Store, Taker, WorkerSpec};
use uuid::Uuid;

use crate::{Reaper, Scheduler, SchedulerConfig, fires, plan_fires};

fn every(seconds: u64, catchup: Catchup, overlap: Overlap) -> Schedule {
    Schedule { every: Some(Duration::from_secs(seconds)), catchup, overlap, ..Schedule::default() }
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

fn due(schedule: Schedule, last: Option<i64>, next: Option<i64>, now: i64) -> DueSchedule {
    DueSchedule {
        workspace_id: Uuid::nil(),
        id: Uuid::nil(),
        pipeline: "nightly".to_owned(),
        schedule,
        generation: 1,
        anchor: at(0),
        since: at(0),
        last_fire_at: last.map(at),
        next_fire_at: next.map(at),
        offset: TimeDelta::zero(),
        now: at(now),
    }
}

fn outcomes(due: &DueSchedule) -> Vec<(i64, FireOutcome)> {
    plan_fires(due).fires.iter().map(|fire| ((fire.at - at(0)).num_seconds(), fire.outcome)).collect()
}

#[test]
fn a_new_schedule_gets_its_first_time_and_fires_nothing() {
    let plan = plan_fires(&due(every(10, Catchup::Last, Overlap::Skip), None, None, 3));
    assert!(plan.fires.is_empty());
    assert_eq!(plan.next_fire_at, Some(at(10)));
}

#[test]
fn times_between_approval_and_the_first_look_of_a_scheduler_are_the_schedules_own() {
    let waiting = due(every(10, Catchup::All, Overlap::Allow), None, None, 47);
    let first = plan_fires(&waiting);
    assert_eq!((first.fires.len(), first.next_fire_at), (0, Some(at(10))));
    let missed = outcomes(&DueSchedule { next_fire_at: first.next_fire_at, ..waiting });
    assert_eq!(missed.iter().map(|(second, _)| *second).collect::<Vec<_>>(), [10, 20, 30, 40]);
    let resumed = DueSchedule { since: at(35), ..due(every(10, Catchup::All, Overlap::Allow), None, None, 47) };
    assert_eq!(plan_fires(&resumed).next_fire_at, Some(at(40)));
}

#[tokio::test]
async fn a_schedule_that_cannot_be_read_is_set_aside_and_stops_no_other() {
    let db = due_pipeline(&every(3600, Catchup::Last, Overlap::Allow)).await;
    let workspace = db.store.default_workspace();
    let other = plan("of a newer build", &[("a", &[])]);
    let text = serde_json::to_string(&other).unwrap();
    let version = NewVersion { spec_text: &text, spec: &serde_json::json!({}), plan: &other };
    workspace.apply(&version, Some(&every(3600, Catchup::Last, Overlap::Allow))).await.unwrap();
    let broken = "UPDATE schedules s SET spec = '{\"every\": {\"moons\": 3}}' FROM pipelines p WHERE p.id = s.pipeline_id AND p.name LIKE 'of%'";
    db.execute(broken).await;
    assert_eq!(fires::fire_due(&db.store).await.unwrap(), 1);
    let kept = "SELECT problem FROM schedules WHERE set_aside_until > clock_timestamp()";
    assert!(db.value(kept).await.contains("this build can't read it"));
}

#[test]
fn a_fire_takes_the_interval_from_the_previous_nominal_time() {
    let plan = plan_fires(&due(every(10, Catchup::Last, Overlap::Skip), Some(10), Some(20), 21));
    assert_eq!(plan.fires[0].interval, Some((at(10), at(20))));
    assert_eq!(plan.next_fire_at, Some(at(30)));
    let first = plan_fires(&due(every(10, Catchup::Last, Overlap::Skip), None, Some(10), 11));
    assert_eq!(first.fires[0].interval, Some((at(0), at(10))));
}

#[test]
fn missed_times_are_caught_up_as_the_schedule_says() {
    use FireOutcome::{Coalesced, Fired, Skipped};
    let missed = |catchup| outcomes(&due(every(100, catchup, Overlap::Allow), Some(100), Some(200), 490));
    assert_eq!(missed(Catchup::All), [(200, Fired), (300, Fired), (400, Fired)]);
    assert_eq!(missed(Catchup::Last), [(200, Coalesced), (300, Coalesced), (400, Fired)]);
    assert_eq!(missed(Catchup::None), [(200, Skipped), (300, Skipped), (400, Skipped)]);
    let on_time = due(every(100, Catchup::None, Overlap::Allow), Some(100), Some(200), 201);
    assert_eq!(outcomes(&on_time), [(200, Fired)]);
}

#[test]
fn catching_up_has_a_cap_and_says_what_it_left_out() {
    let plan = plan_fires(&due(every(1, Catchup::All, Overlap::Allow), Some(0), Some(1), 500));
    let fired = plan.fires.iter().filter(|fire| fire.outcome == FireOutcome::Fired).count();
    assert_eq!((fired, plan.fires.len()), (100, 500));
    assert!(plan.fires[0].reason.as_deref().unwrap().contains("more than 100"));
    let few = Schedule { max_catchup: Some(3), ..every(1, Catchup::All, Overlap::Allow) };
    // However long it slept, the latest ones run.
    for now in [500, 365 * 86_400] {
        let plan = plan_fires(&due(few.clone(), Some(0), Some(1), now));
        let fired = plan.fires.iter().filter(|fire| fire.outcome == FireOutcome::Fired).map(|fire| fire.at);
        assert_eq!(fired.collect::<Vec<_>>(), [at(now - 2), at(now - 1), at(now)]);
    }
}

#[test]
fn a_time_is_dealt_with_when_the_pipelines_offset_has_passed_and_keeps_its_interval() {
    let late = |now| {
        let due = due(every(10, Catchup::All, Overlap::Allow), Some(10), Some(20), now);
        plan_fires(&DueSchedule { offset: TimeDelta::seconds(7), ..due })
    };
    assert!(late(26).fires.is_empty());
    let plan = late(27);
    assert_eq!((plan.fires[0].at, plan.fires[0].interval), (at(20), Some((at(10), at(20)))));
    assert_eq!((plan.fires.len(), plan.next_fire_at), (1, Some(at(30))));
    assert_eq!(late(37).fires.len(), 2);
}

#[test]
fn nothing_fires_before_start_and_nothing_is_left_at_the_end() {
    let bounded = Schedule {
        start: Some(at(100).to_rfc3339().parse().unwrap()),
        end: Some(at(120).to_rfc3339().parse().unwrap()),
        ..every(10, Catchup::All, Overlap::Allow)
    };
    assert_eq!(plan_fires(&due(bounded.clone(), None, None, 3)).next_fire_at, Some(at(100)));
    let last = plan_fires(&due(bounded, None, Some(100), 500));
    assert_eq!(last.fires.iter().map(|fire| fire.at).collect::<Vec<_>>(), [at(100), at(110)]);
    assert_eq!(last.next_fire_at, None);
}

#[test]
fn a_schedule_of_seconds_that_slept_for_a_year_is_planned_at_once() {
    let began = Instant::now();
    let plan = plan_fires(&due(every(1, Catchup::Last, Overlap::Allow), Some(0), Some(1), 365 * 86_400));
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(plan.fires.len() <= 1_001);
    assert_eq!(plan.fires.last().unwrap().at, at(365 * 86_400));
    assert_eq!(plan.next_fire_at, Some(at(365 * 86_400 + 1)));
}

/// An approved pipeline whose schedule is due now.
async fn due_pipeline(schedule: &Schedule) -> TestDatabase {
    let db = database().await;
    let plan = plan("nightly", &[("a", &[])]);
    let text = serde_json::to_string(&plan).unwrap();
    let spec = serde_json::json!({});
    let version = NewVersion { spec_text: &text, spec: &spec, plan: &plan };
    let workspace = db.store.default_workspace();
    workspace.apply(&version, Some(schedule)).await.unwrap();
    let first = db.store.due_schedules().await.unwrap();
    let mut wanted = plan_fires(&first[0]);
    wanted.next_fire_at = Some(db.store.now().await.unwrap() - TimeDelta::seconds(1));
    assert!(db.store.fire(&first[0], &wanted).await.unwrap().unwrap().is_empty());
    db
}

async fn runs(store: &Store) -> Vec<RunSummary> {
    let mut runs = store.default_workspace().list_runs(&RunFilter::default()).await.unwrap();
    runs.reverse();
    runs
}

/// Makes the next time of the schedule come.
async fn come_due_again(store: &Store) {
    let workspace = store.default_workspace();
    let row = workspace.schedules().await.unwrap().remove(0);
    let mut waiting = store.due_schedules().await.unwrap();
    assert!(waiting.is_empty());
    let offset = schedule::offset(&row.schedule, &row.pipeline);
    let due = DueSchedule {
        workspace_id: workspace.id(),
        id: row.id,
        pipeline: row.pipeline,
        schedule: row.schedule,
        generation: row.generation,
        anchor: row.anchor,
        since: row.anchor,
        last_fire_at: row.last_fire_at,
        next_fire_at: row.next_fire_at,
        offset,
        now: store.now().await.unwrap(),
    };
    let soon = headwater_store::FirePlan { fires: Vec::new(), next_fire_at: Some(due.now - offset) };
    store.fire(&due, &soon).await.unwrap().unwrap();
    waiting.extend(store.due_schedules().await.unwrap());
    assert_eq!(waiting.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_schedulers_make_one_run_of_a_fire() {
    let db = due_pipeline(&every(3600, Catchup::Last, Overlap::Allow)).await;
    let due = db.store.due_schedules().await.unwrap();
    let firing = (0..2).map(|_| {
        let (store, due) = (db.store.clone(), due[0].clone());
        tokio::spawn(async move { store.fire(&due, &plan_fires(&due)).await.unwrap() })
    });
    let mut won = 0;
    for fired in firing.collect::<Vec<_>>() {
        won += usize::from(fired.await.unwrap().is_some());
    }
    assert_eq!(won, 1);
    let runs = runs(&db.store).await;
    assert_eq!(runs.len(), 1);
    assert_eq!((runs[0].trigger.as_str(), runs[0].fire_time), ("schedule", due[0].next_fire_at));
}

#[tokio::test]
async fn an_edit_or_a_pause_refuses_a_fire_planned_before_it() {
    let db = due_pipeline(&every(3600, Catchup::Last, Overlap::Allow)).await;
    let workspace = db.store.default_workspace();
    let due = db.store.due_schedules().await.unwrap();
    workspace.pause_schedule("nightly").await.unwrap();
    assert!(db.store.fire(&due[0], &plan_fires(&due[0])).await.unwrap().is_none());
    assert!(db.store.due_schedules().await.unwrap().is_empty());
    workspace.resume_schedule("nightly").await.unwrap();
    assert!(db.store.fire(&due[0], &plan_fires(&due[0])).await.unwrap().is_none());
    assert_eq!(fires::fire_due(&db.store).await.unwrap(), 0);
    let row = workspace.schedules().await.unwrap().remove(0);
    assert!(row.next_fire_at.unwrap() > db.store.now().await.unwrap());
    assert!(workspace.pause_schedule("weekly").await.unwrap_err().hint.unwrap().contains("nightly"));
}

#[tokio::test]
async fn overlap_skip_records_the_fire_and_makes_no_run() {
    let db = due_pipeline(&every(3600, Catchup::Last, Overlap::Skip)).await;
    assert_eq!(fires::fire_due(&db.store).await.unwrap(), 1);
    come_due_again(&db.store).await;
    assert_eq!(fires::fire_due(&db.store).await.unwrap(), 0);
    assert_eq!(runs(&db.store).await.len(), 1);
}

#[tokio::test]
async fn overlap_queue_holds_the_run_until_the_earlier_one_has_ended() {
    let db = due_pipeline(&every(3600, Catchup::Last, Overlap::Queue)).await;
    fires::fire_due(&db.store).await.unwrap();
    come_due_again(&db.store).await;
    assert_eq!(fires::fire_due(&db.store).await.unwrap(), 1);
    let states: Vec<RunState> = runs(&db.store).await.iter().map(|run| run.state).collect();
    assert_eq!(states, [RunState::Queued, RunState::Pending]);
    assert_eq!(db.store.release_held().await.unwrap(), 0);
    let first = runs(&db.store).await[0].run_id;
    db.store.default_workspace().cancel_run(first).await.unwrap();
    assert_eq!(db.store.release_held().await.unwrap(), 1);
    assert_eq!(runs(&db.store).await[1].state, RunState::Queued);
}

#[tokio::test]
async fn no_more_runs_wait_their_turn_than_the_schedule_allows() {
    let few = Schedule { max_queued: Some(1), ..every(3600, Catchup::Last, Overlap::Queue) };
    let db = due_pipeline(&few).await;
    for made in [1, 1, 0] {
        assert_eq!(fires::fire_due(&db.store).await.unwrap(), made);
        come_due_again(&db.store).await;
    }
    assert_eq!(runs(&db.store).await.len(), 2);
}

#[tokio::test]
async fn a_run_of_a_schedule_with_jitter_has_the_nominal_fire_time() {
    let spread = Schedule { jitter: Some(Duration::from_secs(3599)), ..every(3600, Catchup::Last, Overlap::Allow) };
    let offset = schedule::offset(&spread, "nightly");
    assert!(offset > TimeDelta::seconds(60));
    // Its time came a second ago, and the pipeline's offset has not passed.
    let db = due_pipeline(&spread).await;
    assert!(db.store.due_schedules().await.unwrap().is_empty());
    come_due_again(&db.store).await;
    assert_eq!(fires::fire_due(&db.store).await.unwrap(), 1);
    let run = runs(&db.store).await.remove(0);
    let late = run.created_at - run.fire_time.unwrap();
    assert!(late >= offset && late < offset + TimeDelta::seconds(30), "{late}");
}

#[tokio::test]
async fn a_schedule_at_its_end_is_left_alone_until_it_is_edited() {
    let gone = Schedule { end: Some("2026-01-01".parse().unwrap()), ..every(3600, Catchup::Last, Overlap::Allow) };
    let db = database().await;
    let plan = plan("nightly", &[("a", &[])]);
    let text = serde_json::to_string(&plan).unwrap();
    let spec = serde_json::json!({});
    let version = NewVersion { spec_text: &text, spec: &spec, plan: &plan };
    let workspace = db.store.default_workspace();
    workspace.apply(&version, Some(&gone)).await.unwrap();
    assert_eq!(fires::fire_due(&db.store).await.unwrap(), 0);
    assert!(db.store.due_schedules().await.unwrap().is_empty());
    let row = workspace.schedules().await.unwrap().remove(0);
    assert_eq!((row.ended, row.next_fire_at), (true, None));
    workspace.apply(&version, Some(&every(3600, Catchup::Last, Overlap::Allow))).await.unwrap();
    fires::fire_due(&db.store).await.unwrap();
    let row = workspace.schedules().await.unwrap().remove(0);
    assert!(!row.ended && row.next_fire_at.is_some());
}

#[tokio::test]
async fn overlap_cancel_running_ends_the_earlier_run() {
    let db = due_pipeline(&every(3600, Catchup::Last, Overlap::CancelRunning)).await;
    fires::fire_due(&db.store).await.unwrap();
    come_due_again(&db.store).await;
    fires::fire_due(&db.store).await.unwrap();
    let states: Vec<RunState> = runs(&db.store).await.iter().map(|run| run.state).collect();
    assert_eq!(states, [RunState::Canceled, RunState::Queued]);
}

#[tokio::test]
async fn a_spec_without_a_schedule_retires_it() {
    let db = due_pipeline(&every(3600, Catchup::Last, Overlap::Allow)).await;
    let changed = plan("nightly", &[("a", &[]), ("b", &[])]);
    let text = serde_json::to_string(&changed).unwrap();
    let spec = serde_json::json!({});
    let version = NewVersion { spec_text: &text, spec: &spec, plan: &changed };
    let row = db.store.default_workspace().apply(&version, None).await.unwrap();
    assert_eq!((row.number, row.current), (2, true));
    assert!(db.store.default_workspace().schedules().await.unwrap().is_empty());
    assert!(db.store.due_schedules().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_silent_worker_is_given_up_on_the_reapers_own_clock() {
    let db = due_pipeline(&every(3600, Catchup::Last, Overlap::Allow)).await;
    fires::fire_due(&db.store).await.unwrap();
    let worker = WorkerSpec {
        id: Uuid::new_v4(),
        host: "here".to_owned(),
        queues: vec!["default".to_owned()],
        labels: Vec::new(),
        slots: 1,
        light_slots: 4,
        plan_formats: vec![1],
        staging: None,
        only_run: None,
        lease_time: Duration::from_secs(30),
    };
    db.store.register_worker(&worker).await.unwrap();
    let taker = Taker {
        worker_id: worker.id,
        queues: worker.queues.clone(),
        labels: Vec::new(),
        plan_formats: vec![1],
        host: "here".to_owned(),
        only_run: None,
    };
    assert_eq!(db.store.claim(&taker, 1).await.unwrap().len(), 1);
    let mut reaper = Reaper::new(Duration::from_secs(10));
    let start = Instant::now();
    let mut lost = Vec::new();
    for second in (0..=30).step_by(10) {
        lost.push(reaper.look(&db.store, start + Duration::from_secs(second)).await.unwrap());
    }
    assert_eq!(lost, [0, 0, 0, 1]);
    assert!(db.store.workers().await.unwrap().is_empty());
    assert_eq!(db.store.counts().await.unwrap().leases, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_started_scheduler_fires_and_shows_what_its_chores_did() {
    let db = due_pipeline(&every(3600, Catchup::Last, Overlap::Allow)).await;
    let config = SchedulerConfig { tick: Duration::from_millis(20), ..SchedulerConfig::default() };
    let scheduler = Scheduler::start(db.store.clone(), config);
    let began = Instant::now();
    while runs(&db.store).await.is_empty() || scheduler.status().len() < 6 {
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", scheduler.status());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(scheduler.status().values().all(|status| status.result.is_ok()));
    scheduler.shutdown().await;
    assert_eq!(runs(&db.store).await.len(), 1);
}
