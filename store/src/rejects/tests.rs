#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use headwater_pipelines::plan::PLAN_FORMATS;
use serde_json::json;

use super::*;
use crate::lifecycle::{AttemptEnd, Claimed, Finish, LoadReceipt};
use crate::testing::{TestDatabase, database, plan, start_run};
use crate::{StoreErrorKind, Taker};

fn reject(offset: i64, content: &[u8]) -> NewReject {
    NewReject {
        task: "events".to_owned(),
        origin: RejectOrigin { source: "kafka.events".to_owned(), partition: Some(1), offset: Some(offset) },
        code: "message_unreadable".to_owned(),
        reason: "the message is not a JSON object (byte 0)".to_owned(),
        content: Some(content.to_owned()),
        truncated: false,
    }
}

/// A run whose only stage is claimed.
async fn claimed() -> (TestDatabase, Claimed) {
    let db = database().await;
    start_run(&db.store, &plan("p", &[("a", &[])])).await;
    let claimed = claim(&db).await;
    (db, claimed)
}

async fn claim(db: &TestDatabase) -> Claimed {
    let taker = Taker {
        worker_id: Uuid::new_v4(),
        queues: vec!["default".to_owned()],
        labels: Vec::new(),
        plan_formats: PLAN_FORMATS.to_vec(),
        host: "here".to_owned(),
        only_run: None,
    };
    db.execute("UPDATE ready SET run_at = clock_timestamp()").await;
    db.store.claim(&taker, 1).await.unwrap().pop().unwrap()
}

async fn intend(db: &TestDatabase, claimed: &Claimed, rejects: Vec<NewReject>) -> Result<bool> {
    let row = IntentRow {
        load_id: claimed.load_id,
        attempt: claimed.number,
        task: "a".to_owned(),
        intent: json!({}),
        cursors: Vec::new(),
        slice: None,
        rejects,
    };
    db.store.intend(&claimed.lease, &row).await
}

/// Ends an attempt; `winner` is the attempt whose rows the target holds.
async fn end(db: &TestDatabase, claimed: &Claimed, end: AttemptEnd, winner: Option<i32>) {
    let receipt = |attempt| LoadReceipt { load_id: claimed.load_id, attempt, receipt: json!({ "rows_rejected": 2 }) };
    let finish = Finish {
        lease: claimed.lease,
        end,
        tasks: Vec::new(),
        receipts: winner.map(receipt).into_iter().collect(),
        manifest: None,
        host: None,
    };
    db.store.finish(&[finish], None).await.unwrap();
}

/// Offsets of the rejects that are listed, the newest first.
async fn offsets(db: &TestDatabase) -> Vec<i64> {
    let filter = RejectFilter { pipeline: Some("p".to_owned()), run: None, limit: 10 };
    let (rows, total) = db.store.default_workspace().rejects(&filter).await.unwrap();
    assert_eq!(usize::try_from(total).unwrap(), rows.len());
    let mut offsets: Vec<i64> = rows.iter().map(|row| row.origin.offset.unwrap()).collect();
    offsets.sort_unstable();
    offsets
}

#[tokio::test]
async fn rejects_are_listed_once_and_only_when_their_load_has_committed() {
    let (db, claimed) = claimed().await;
    for _ in 0..2 {
        assert!(intend(&db, &claimed, vec![reject(3, b"x"), reject(4, &[0xff, 0])]).await.unwrap());
    }
    assert_eq!(offsets(&db).await, Vec::<i64>::new());
    let pending: Uuid = db.value("SELECT id FROM rejects LIMIT 1").await.parse().unwrap();
    assert!(db.store.default_workspace().reject(pending).await.is_err(), "nobody sees it yet");
    end(&db, &claimed, AttemptEnd::Succeeded, Some(1)).await;
    assert_eq!(offsets(&db).await, [3, 4]);
    let workspace = db.store.default_workspace();
    let (rows, _) = workspace.rejects(&RejectFilter { limit: 10, ..RejectFilter::default() }).await.unwrap();
    let contents = futures::future::join_all(rows.iter().map(|row| workspace.reject(row.id))).await;
    let mut contents: Vec<RejectContent> = contents.into_iter().map(|found| found.unwrap().1).collect();
    contents.sort_by_key(|content| content.text.is_none());
    assert_eq!(contents[0], RejectContent { text: Some("x".to_owned()), ..RejectContent::default() });
    assert_eq!(contents[1], RejectContent { base64: Some("/wA=".to_owned()), ..RejectContent::default() });
}

#[tokio::test]
async fn the_rejects_of_the_attempt_count_whose_rows_the_target_holds() {
    let (db, first) = claimed().await;
    assert!(intend(&db, &first, vec![reject(1, b"x")]).await.unwrap());
    end(&db, &first, AttemptEnd::Lost, None).await;
    let second = claim(&db).await;
    assert_eq!(second.load_id, first.load_id);
    assert!(intend(&db, &second, vec![reject(1, b"x"), reject(2, b"y")]).await.unwrap());
    let late = intend(&db, &first, vec![reject(9, b"z")]).await.unwrap_err();
    assert_eq!(late.kind, StoreErrorKind::Stale, "an attempt that lost its lease writes nothing");
    end(&db, &second, AttemptEnd::Succeeded, Some(1)).await;
    assert_eq!(offsets(&db).await, [1]);
    assert_eq!(db.value("SELECT count(*) FROM rejects").await, "1");
}

#[tokio::test]
async fn rejects_of_a_load_that_never_commits_are_not_seen_and_are_forgotten_with_the_others() {
    let (db, claimed) = claimed().await;
    assert!(intend(&db, &claimed, vec![reject(1, b"x")]).await.unwrap());
    end(&db, &claimed, AttemptEnd::Failed(crate::Failure::default()), None).await;
    assert_eq!(offsets(&db).await, Vec::<i64>::new());
    db.store.keep_history(Duration::from_secs(3600)).await.unwrap();
    assert_eq!(db.value("SELECT count(*) FROM rejects").await, "1");
    db.execute("UPDATE rejects SET id = '00000000-0000-7000-8000-000000000000'").await;
    db.store.keep_history(Duration::from_secs(3600)).await.unwrap();
    assert_eq!(db.value("SELECT count(*) FROM rejects").await, "0");
}

#[tokio::test]
async fn what_a_person_discards_is_listed_no_more() {
    let (db, claimed) = claimed().await;
    assert!(intend(&db, &claimed, vec![reject(1, b"x"), reject(2, b"y"), reject(3, b"z")]).await.unwrap());
    end(&db, &claimed, AttemptEnd::Succeeded, Some(1)).await;
    let workspace = db.store.default_workspace();
    let (rows, _) = workspace.rejects(&RejectFilter { limit: 10, ..RejectFilter::default() }).await.unwrap();
    let ids: Vec<Uuid> = rows.iter().filter(|row| row.origin.offset != Some(2)).map(|row| row.id).collect();
    let unknown = RejectChoice::Ids([ids.as_slice(), &[Uuid::nil()]].concat());
    assert_eq!(workspace.discard_rejects(&unknown).await.unwrap_err().kind, StoreErrorKind::NotFound);
    assert_eq!(offsets(&db).await, [1, 2, 3]);
    let chosen = RejectChoice::Ids(ids.clone());
    assert_eq!(workspace.discard_rejects(&chosen).await.unwrap(), 2);
    assert_eq!(workspace.discard_rejects(&chosen).await.unwrap(), 0, "they are discarded already");
    assert_eq!(workspace.reject(ids[0]).await.unwrap().0.state, RejectState::Discarded);
    assert_eq!(offsets(&db).await, [2]);
    assert_eq!(workspace.discard_rejects(&RejectChoice::Pipeline("p".to_owned())).await.unwrap(), 1);
    assert_eq!(offsets(&db).await, Vec::<i64>::new());
}
