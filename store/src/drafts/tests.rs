#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use headwater_pipelines::plan::Plan;
use serde_json::json;

use super::*;
use crate::testing::{TestDatabase, database, plan};
use crate::{Change, Face, MasterKey, StoreErrorKind, Who};

const TEXT: &str = "name: paid\n";

fn spec() -> DraftSpec {
    DraftSpec {
        pipeline: "paid".to_owned(),
        text: TEXT.to_owned(),
        basis: json!({ "spec": "1" }),
        hash: [1; 32],
        based_on: None,
    }
}

fn draft(spec: Option<DraftSpec>) -> NewDraft {
    NewDraft {
        prompt: "load orders into lake.paid".to_owned(),
        base: None,
        answers: None,
        spec,
        document: json!({ "requirements": [] }),
        snapshots: json!({}),
        making: Making::default(),
    }
}

fn workspace(db: &TestDatabase) -> Workspace {
    db.store.default_workspace().acting(Who { actor: "ada".to_owned(), face: Face::CommandLine })
}

fn paid() -> Plan {
    plan("paid", &[("publish", &[])])
}

/// Approves a draft with a hash of its own.
async fn approve(workspace: &Workspace, id: Uuid) -> Result<VersionRow> {
    approve_as(workspace, id, TEXT, None).await
}

/// Approves a draft as a version with that text, which replaces that version.
async fn approve_as(workspace: &Workspace, id: Uuid, text: &str, replaces: Option<i32>) -> Result<VersionRow> {
    let (plan, none, basis) = (paid(), json!({}), json!({ "spec": "2" }));
    let version = NewVersion { spec_text: text, spec: &none, plan: &plan };
    workspace
        .approve_draft(id, &ApproveDraft { basis: &basis, hash: &[2; 32], version, schedule: None, replaces })
        .await
}

async fn state(workspace: &Workspace, id: Uuid) -> DraftState {
    workspace.draft(id).await.unwrap().state
}

#[tokio::test]
async fn a_draft_is_read_as_it_was_stored_and_listed_newest_first() {
    let db = database().await;
    let workspace = workspace(&db);
    let making =
        Making { model: Some("small".to_owned()), rounds: 2, tokens: Some(900), took_ms: 12, ..Making::default() };
    let first = NewDraft { making: making.clone(), ..draft(Some(spec())) };
    let first = workspace.insert_draft(&first).await.unwrap();
    let second = workspace.insert_draft(&draft(None)).await.unwrap();
    let row = workspace.draft(first).await.unwrap();
    assert_eq!((row.state, row.spec, row.making), (DraftState::Open, Some(spec()), making));
    assert_eq!(row.created_by.as_deref(), Some("ada"));
    let ids = |rows: Vec<DraftRow>| rows.iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(ids(workspace.drafts(&DraftFilter::default()).await.unwrap()), [second, first]);
    let open = DraftFilter { states: vec![DraftState::Open], limit: Some(5) };
    assert_eq!(ids(workspace.drafts(&open).await.unwrap()), [first]);
}

#[tokio::test]
async fn a_draft_is_found_by_a_beginning_of_its_id_that_no_other_shares() {
    let db = database().await;
    let workspace = workspace(&db);
    let first = workspace.insert_draft(&draft(None)).await.unwrap();
    workspace.insert_draft(&draft(None)).await.unwrap();
    assert_eq!(workspace.find_draft(&first.simple().to_string()).await.unwrap(), first);
    let several = workspace.find_draft("0").await.unwrap_err();
    assert_eq!(several.message, "several drafts begin with 0");
    assert_eq!(workspace.find_draft("ffff").await.unwrap_err().kind, StoreErrorKind::NotFound);
}

#[tokio::test]
async fn an_approved_draft_is_a_version_and_is_bound_to_what_was_approved() {
    let db = database().await;
    let workspace = workspace(&db);
    let id = workspace.insert_draft(&draft(Some(spec()))).await.unwrap();
    let version = approve(&workspace, id).await.unwrap();
    assert!(version.current);
    let row = workspace.draft(id).await.unwrap();
    let approval = row.approval.unwrap();
    assert_eq!((row.state, approval.version_id, approval.version), (DraftState::Approved, version.id, 1));
    assert_eq!((approval.by.as_deref(), row.spec.unwrap().hash), (Some("ada"), [2; 32]));
    let actions: Vec<String> = workspace.audit(10).await.unwrap().into_iter().map(|row| row.action).collect();
    assert_eq!(actions, ["drafts.approve", "pipelines.apply", "drafts.save"]);
}

#[tokio::test]
async fn of_two_drafts_that_are_approved_at_once_the_second_has_to_be_seen_again() {
    let db = database().await;
    let workspace = workspace(&db);
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(workspace.insert_draft(&draft(Some(spec()))).await.unwrap());
    }
    let both = tokio::join!(
        approve_as(&workspace, ids[0], "name: paid # 1\n", None),
        approve_as(&workspace, ids[1], "name: paid # 2\n", None)
    );
    let refused = both.0.and(both.1).unwrap_err();
    assert_eq!(refused.message, "another version of pipeline paid was approved in the meantime");
    assert_eq!(db.value("SELECT count(*) FROM versions").await, "1");
    let left = if state(&workspace, ids[0]).await == DraftState::Open { ids[0] } else { ids[1] };
    let seen = approve_as(&workspace, left, "name: paid # 3\n", Some(1)).await.unwrap();
    assert_eq!((seen.number, seen.current), (2, true));
}

#[tokio::test]
async fn two_approvals_at_once_make_one_version() {
    let db = database().await;
    let workspace = workspace(&db);
    let id = workspace.insert_draft(&draft(Some(spec()))).await.unwrap();
    let (one, other) = tokio::join!(approve(&workspace, id), approve(&workspace, id));
    assert_eq!(one.unwrap().id, other.unwrap().id);
    assert_eq!(db.value("SELECT count(*) FROM versions").await, "1");
    assert_eq!(db.value("SELECT count(*) FROM audit WHERE action = 'drafts.approve'").await, "1");
}

#[tokio::test]
async fn what_is_discarded_or_a_question_is_not_approved() {
    let db = database().await;
    let workspace = workspace(&db);
    let question = workspace.insert_draft(&draft(None)).await.unwrap();
    let refused = approve(&workspace, question).await.unwrap_err();
    assert!(refused.message.contains("is a question: answer it first"), "{refused}");
    let open = workspace.insert_draft(&draft(Some(spec()))).await.unwrap();
    workspace.discard_draft(open).await.unwrap();
    let refused = approve(&workspace, open).await.unwrap_err();
    assert!(refused.message.contains("is discarded"), "{refused}");
    assert_eq!(db.value("SELECT count(*) FROM versions").await, "0");
    assert_eq!(workspace.discard_draft(open).await.unwrap_err().kind, StoreErrorKind::Invalid);
}

#[tokio::test]
async fn an_approved_draft_is_not_discarded() {
    let db = database().await;
    let workspace = workspace(&db);
    let id = workspace.insert_draft(&draft(Some(spec()))).await.unwrap();
    approve(&workspace, id).await.unwrap();
    let refused = workspace.discard_draft(id).await.unwrap_err();
    assert!(refused.message.ends_with("is approved"), "{refused}");
    assert_eq!(state(&workspace, id).await, DraftState::Approved);
}

#[tokio::test]
async fn an_answer_discards_its_question_once() {
    let db = database().await;
    let workspace = workspace(&db);
    let question = workspace.insert_draft(&draft(None)).await.unwrap();
    let answer = NewDraft { answers: Some(question), ..draft(Some(spec())) };
    let answered = workspace.insert_draft(&answer).await.unwrap();
    assert_eq!(state(&workspace, question).await, DraftState::Discarded);
    assert_eq!(workspace.draft(answered).await.unwrap().base, Some(question));
    assert!(workspace.insert_draft(&answer).await.is_err(), "the question has its answer");
    assert_eq!(db.value("SELECT count(*) FROM drafts").await, "2");
}

#[tokio::test]
async fn an_open_draft_whose_file_is_applied_is_approved_with_the_version() {
    let db = database().await;
    let workspace = workspace(&db);
    let open = workspace.insert_draft(&draft(Some(spec()))).await.unwrap();
    let discarded = workspace.insert_draft(&draft(Some(spec()))).await.unwrap();
    workspace.discard_draft(discarded).await.unwrap();
    let (plan, none) = (paid(), json!({}));
    let change = Change {
        pipelines: vec![(NewVersion { spec_text: TEXT, spec: &none, plan: &plan }, None)],
        drafts: vec![(open, "paid".to_owned()), (discarded, "paid".to_owned())],
        ..Change::default()
    };
    let versions = workspace.apply_all(&MasterKey::from_bytes(&[3; 32]).unwrap(), &change).await.unwrap();
    assert_eq!(workspace.draft(open).await.unwrap().approval.unwrap().version_id, versions[0].id);
    assert_eq!(state(&workspace, discarded).await, DraftState::Discarded);
}

#[tokio::test]
async fn discarded_drafts_and_old_open_ones_are_forgotten_and_approved_ones_stay() {
    let db = database().await;
    let workspace = workspace(&db);
    let [approved, discarded, old, fresh] = [0; 4].map(|_| draft(Some(spec())));
    let approved = workspace.insert_draft(&approved).await.unwrap();
    approve(&workspace, approved).await.unwrap();
    let discarded = workspace.insert_draft(&discarded).await.unwrap();
    workspace.discard_draft(discarded).await.unwrap();
    workspace.insert_draft(&old).await.unwrap();
    workspace.insert_draft(&draft(None)).await.unwrap();
    db.execute("UPDATE drafts SET created_at = created_at - interval '91 days'").await;
    let fresh = workspace.insert_draft(&fresh).await.unwrap();
    db.store.keep_history(Duration::from_secs(3600)).await.unwrap();
    let left = workspace.drafts(&DraftFilter::default()).await.unwrap();
    assert_eq!(left.iter().map(|row| row.id).collect::<Vec<_>>(), [fresh, approved]);
}
