//! A load commits once, whatever happens around it.

use std::time::{Duration, Instant};

use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use headwater_pipelines::spec::WriteMode;
use uuid::Uuid;

use super::{Subject, attempt, samples, stream};
use crate::connector::{Commit, Taken};
use crate::error::{EngineError, ErrorKind};

/// Cancelling has to be done by then.
const CANCEL_TIME: Duration = Duration::from_secs(2);

pub(super) async fn a_canceled_load_leaves_nothing(subject: &Subject) {
    let context = attempt(Uuid::now_v7(), 1);
    let sink = subject.sink("canceled", subject.mode()).await;
    let cancel = context.cancel.clone();
    let endless =
        futures::stream::iter([Ok(samples::ids(0..1000))]).chain(futures::stream::pending()).inspect(move |_| {
            // The first batch has arrived: now the run is canceled.
            cancel.cancel();
        });
    let endless: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(samples::ids_schema(), endless));
    let start = Instant::now();
    let error = sink.write(&context, endless).await.expect_err("canceled: the write went on");
    assert_eq!(error.kind, ErrorKind::Canceled, "canceled: {error}");
    sink.abort(&context, None).await;
    assert!(start.elapsed() < CANCEL_TIME, "canceled: it took {:?}", start.elapsed());
    assert!(subject.ids("canceled").await.is_empty(), "canceled: rows are visible");
}

pub(super) async fn a_failed_input_leaves_nothing(subject: &Subject) {
    let context = attempt(Uuid::now_v7(), 1);
    let sink = subject.sink("failed", subject.mode()).await;
    let broken = [Ok(samples::ids(0..1000)), Err(DataFusionError::from(EngineError::data("row 1001 is broken")))];
    let broken = Box::pin(RecordBatchStreamAdapter::new(samples::ids_schema(), futures::stream::iter(broken)));
    let error = sink.write(&context, broken).await.expect_err("failed: the write went on");
    assert!(error.message.contains("row 1001"), "failed: the cause is hidden behind: {error}");
    sink.abort(&context, None).await;
    assert!(subject.ids("failed").await.is_empty(), "failed: rows are visible");
}

pub(super) async fn an_aborted_load_leaves_nothing(subject: &Subject) {
    let context = attempt(Uuid::now_v7(), 1);
    let sink = subject.sink("aborted", subject.mode()).await;
    let staged = sink.write(&context, stream(samples::ids_schema(), vec![samples::ids(0..10)])).await.unwrap();
    assert_eq!(staged.rows, 10);
    assert!(subject.ids("aborted").await.is_empty(), "aborted: rows are visible before the commit");
    sink.abort(&context, Some(staged)).await;
    assert!(subject.ids("aborted").await.is_empty(), "aborted: rows are visible");
    assert_eq!(sink.taken(context.load_id).await.unwrap(), None);
    // The target is as good as new.
    let again = attempt(Uuid::now_v7(), 1);
    subject.load("aborted", subject.mode(), &again, samples::ids_schema(), vec![samples::ids(0..3)]).await.unwrap();
    assert_eq!(subject.ids("aborted").await, [0, 1, 2]);
}

/// The first attempt committed and nobody heard of it; the second writes everything again.
pub(super) async fn a_lost_answer_is_adopted(subject: &Subject) {
    let load_id = Uuid::now_v7();
    let (schema, rows) = (samples::ids_schema(), || vec![samples::ids(0..10)]);
    let first = subject.load("lost", subject.mode(), &attempt(load_id, 1), schema.clone(), rows()).await.unwrap();
    assert!(matches!(first, Commit::Committed { .. }), "lost: {first:?}");
    let sink = subject.sink("lost", subject.mode()).await;
    assert_eq!(sink.taken(load_id).await.unwrap().map(|taken| taken.attempt), Some(1));
    let second = subject.load("lost", subject.mode(), &attempt(load_id, 2), schema.clone(), rows()).await.unwrap();
    assert!(matches!(second, Commit::Adopted(Taken { attempt: 1, .. })), "lost: {second:?}");
    assert_eq!(subject.ids("lost").await, (0..10).collect::<Vec<_>>());
    // Another load of the same target is not affected by it.
    let other = attempt(Uuid::now_v7(), 1);
    let other = subject.load("lost", subject.mode(), &other, schema, vec![samples::ids(10..12)]).await.unwrap();
    assert!(matches!(other, Commit::Committed { .. }), "lost: {other:?}");
}

/// A zombie and its successor have both written; both commit at once.
pub(super) async fn of_two_attempts_one_commits(subject: &Subject) {
    let load_id = Uuid::now_v7();
    let (first, second) = (attempt(load_id, 1), attempt(load_id, 2));
    let input = || stream(samples::ids_schema(), vec![samples::ids(0..10)]);
    // The table is there already, so that neither attempt waits for the other to make it.
    let before = attempt(Uuid::now_v7(), 1);
    subject.load("rivals", WriteMode::Overwrite, &before, samples::ids_schema(), vec![]).await.unwrap();
    let (one, two) = (subject.sink("rivals", subject.mode()).await, subject.sink("rivals", subject.mode()).await);
    let staged_one = one.write(&first, input()).await.unwrap();
    let staged_two = two.write(&second, input()).await.unwrap();
    let (one, two) = tokio::join!(one.commit(&first, staged_one), two.commit(&second, staged_two));
    let committed = [&one, &two].iter().filter(|commit| matches!(commit, Ok(Commit::Committed { .. }))).count();
    assert_eq!(committed, 1, "rivals: {one:?}, {two:?}");
    assert_eq!(subject.ids("rivals").await, (0..10).collect::<Vec<_>>());
}

pub(super) async fn a_fence_keeps_a_late_attempt_out(subject: &Subject) {
    let context = attempt(Uuid::now_v7(), 1);
    let before = attempt(Uuid::now_v7(), 1);
    subject.load("fenced", WriteMode::Overwrite, &before, samples::ids_schema(), vec![]).await.unwrap();
    let sink = subject.sink("fenced", subject.mode()).await;
    let staged = sink.write(&context, stream(samples::ids_schema(), vec![samples::ids(0..10)])).await.unwrap();
    let rival = subject.sink("fenced", subject.mode()).await;
    assert_eq!(rival.fence(context.load_id).await.unwrap(), None, "fenced: somebody had won already");
    let late = sink.commit(&context, staged).await;
    assert!(matches!(late, Ok(Commit::Adopted(Taken { attempt: 0, .. }))), "fenced: {late:?}");
    assert!(subject.ids("fenced").await.is_empty(), "fenced: rows are visible");
    // A fence that comes too late names the winner.
    let winner = attempt(Uuid::now_v7(), 3);
    subject.load("fenced", subject.mode(), &winner, samples::ids_schema(), vec![samples::ids(0..1)]).await.unwrap();
    let taken = rival.fence(winner.load_id).await.unwrap();
    assert_eq!(taken.map(|taken| taken.attempt), Some(3));
}

pub(super) async fn two_writers_both_commit(subject: &Subject) {
    let before = attempt(Uuid::now_v7(), 1);
    subject.load("shared", WriteMode::Overwrite, &before, samples::ids_schema(), vec![]).await.unwrap();
    let loads = (0..4).map(|number| async move {
        let context = attempt(Uuid::now_v7(), 1);
        let batches = vec![samples::ids(number * 10..number * 10 + 10)];
        subject.load("shared", WriteMode::Append, &context, samples::ids_schema(), batches).await
    });
    for commit in futures::future::join_all(loads).await {
        assert!(matches!(commit, Ok(Commit::Committed { .. })), "shared: {commit:?}");
    }
    assert_eq!(subject.ids("shared").await, (0..40).collect::<Vec<_>>());
}
