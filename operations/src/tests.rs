#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;

use headwater_engine::connector::Registry;
use headwater_engine::session::EngineConfig;
use headwater_engine::stage::Engine;
use headwater_store::testing::database;
use headwater_store::{MasterKey, RerunMode};

use crate::{Actor, Face, Operations, Place, RunEvent, RunState, Scope, Settings, SpecFile, StartRun, Suggest, Target};

/// Operations on a control plane of their own, without connectors.
pub(crate) async fn operations() -> (Operations, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::new(Registry::new(Vec::new()), EngineConfig::new(folder.path().to_owned()));
    let key = Arc::new(MasterKey::from_bytes(&[3; 32]).unwrap());
    (Operations::new(database().await.store, engine, key, Settings::default()), folder)
}

pub(crate) fn ada() -> Actor {
    Actor::owner("ada", Face::CommandLine)
}

pub(crate) fn file(name: &str, text: &str) -> SpecFile {
    SpecFile { name: name.to_owned(), bytes: text.as_bytes().to_vec() }
}

const NIGHTLY: &str = "name: nightly\nschedule: { cron: '0 2 * * *' }\ntasks:\n  only: { wait: 1h }\n";

pub(crate) async fn apply(operations: &Operations, files: Vec<SpecFile>) -> crate::Result<crate::ApplyReport> {
    let proposal = operations.propose(&ada(), files).await?;
    operations.apply(&ada(), &proposal).await
}

pub(crate) fn start(target: Target) -> StartRun {
    StartRun {
        target,
        params: Vec::new(),
        interval: None,
        place: Place::Workers,
        full_refresh: false,
        idempotency_key: None,
    }
}

#[tokio::test]
async fn every_change_is_recorded_with_who_asked_for_it() {
    let (operations, _folder) = operations().await;
    let (actor, queue) = (ada(), Scope::Queue("big".to_owned()));
    apply(&operations, vec![file("nightly.yaml", NIGHTLY)]).await.unwrap();
    operations.pause_schedule(&actor, "nightly").await.unwrap();
    operations.resume_schedule(&actor, "nightly").await.unwrap();
    operations.set_limit(&actor, &queue, 2).await.unwrap();
    operations.pause(&actor, &queue).await.unwrap();
    operations.resume(&actor, &queue).await.unwrap();
    operations.remove_limit(&actor, &queue).await.unwrap();
    let run = operations.start(&actor, start(Target::Pipeline("nightly".to_owned()))).await.unwrap().run_id;
    operations.cancel(&actor, run).await.unwrap();
    operations.rerun(&actor, run, RerunMode::All).await.unwrap();
    operations.remove_pipeline(&actor, "nightly").await.unwrap();
    let rows = operations.workspace.audit(50).await.unwrap();
    assert!(rows.iter().all(|row| row.actor == "ada" && row.face == "command_line"));
    let actions: Vec<&str> = rows.iter().rev().map(|row| row.action.as_str()).collect();
    assert_eq!(
        actions,
        [
            "pipelines.apply",
            "schedules.pause",
            "schedules.resume",
            "limits.set",
            "pauses.add",
            "pauses.end",
            "limits.remove",
            "runs.start",
            "runs.cancel",
            "runs.rerun",
            "pipelines.remove"
        ]
    );
}

#[tokio::test]
async fn a_folder_with_one_faulty_file_changes_nothing() {
    let (operations, _folder) = operations().await;
    let files = vec![file("nightly.yaml", NIGHTLY), file("other.yaml", "name: other\ntasks:\n  one: { wiat: 1s }\n")];
    let error = apply(&operations, files).await.unwrap_err();
    assert_eq!(error.problems.len(), 1, "{error}");
    assert!(operations.pipelines(&ada()).await.unwrap().pipelines.is_empty());
}

#[tokio::test]
async fn two_files_of_one_pipeline_are_refused_with_both_names() {
    let (operations, _folder) = operations().await;
    let error = apply(&operations, vec![file("a.yaml", NIGHTLY), file("b.yaml", NIGHTLY)]).await.unwrap_err();
    assert_eq!(error.message, "pipeline 'nightly' is in two files: a.yaml and b.yaml");
}

#[tokio::test]
async fn a_spec_that_is_applied_again_is_reported_as_unchanged() {
    let (operations, _folder) = operations().await;
    let first = apply(&operations, vec![file("nightly.yaml", NIGHTLY)]).await.unwrap();
    assert_eq!((first.pipelines[0].before, first.pipelines[0].version), (None, Some(1)));
    let second = apply(&operations, vec![file("nightly.yaml", NIGHTLY)]).await.unwrap();
    assert_eq!(second.pipelines[0].change, crate::Applied::Unchanged);
    let changed = NIGHTLY.replace("1h", "2h");
    let third = operations.propose(&ada(), vec![file("nightly.yaml", &changed)]).await.unwrap().report;
    assert_eq!(third.pipelines[0].change, crate::Applied::Changed);
    assert_eq!(third.pipelines[0].diff[0].path, "tasks.only.wait");
}

/// No run is executed in these tests.
struct Nobody;

#[async_trait::async_trait]
impl crate::Executor for Nobody {
    async fn start(&self, _: crate::LocalWork) -> crate::Result<Box<dyn crate::Execution>> {
        panic!("nothing is to be executed here")
    }
}

#[tokio::test]
async fn a_watch_reports_where_a_run_is_executed_and_its_end() {
    let (operations, _folder) = operations().await;
    let spec = file("nightly.yaml", NIGHTLY);
    let started = operations.start(&ada(), start(Target::Spec(spec))).await.unwrap();
    let run = started.run_id;
    let mut watch = operations.watch(&ada(), started, &Nobody).unwrap();
    let placed = watch.next().await.unwrap();
    assert!(matches!(placed, Some(RunEvent::Placed { run_id, .. }) if run_id == run), "{placed:?}");
    operations.cancel(&ada(), run).await.unwrap();
    let mut last = None;
    while let Some(event) = watch.next().await.unwrap() {
        last = Some(event);
    }
    let Some(RunEvent::Ended(report)) = last else { panic!("{last:?}") };
    assert_eq!((report.run.run_id, report.run.state), (run, RunState::Canceled));
}

#[tokio::test]
async fn an_unknown_pipeline_is_answered_with_the_nearest_name() {
    let (operations, _folder) = operations().await;
    let error = operations.start(&ada(), start(Target::Pipeline("nosuch".to_owned()))).await.unwrap_err();
    assert_eq!(error.suggest, Some(Suggest::Apply));
    apply(&operations, vec![file("nightly.yaml", NIGHTLY)]).await.unwrap();
    let error = operations.start(&ada(), start(Target::Pipeline("nihgtly".to_owned()))).await.unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("did you mean 'nightly'?"));
}
