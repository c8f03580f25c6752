#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use super::*;
use crate::tests::{ada, apply, file, operations, start};
use crate::{Target, VersionsReport};

const NIGHTLY: &str =
    "name: nightly\nschedule: { cron: '0 4 * * *', timezone: Europe/Berlin }\ntasks:\n  only: { wait: 1h }\n";

fn save(prompt: &str, text: Option<&str>) -> SaveDraft {
    let reading =
        Reading { edit: None, on: Vec::new(), timezone: "UTC".to_owned(), at: "2026-03-01T10:00:00Z".parse().unwrap() };
    SaveDraft {
        prompt: prompt.to_owned(),
        text: text.map(str::to_owned),
        notes: DraftNotes::new(reading),
        making: Making::default(),
        base: None,
        answers: None,
    }
}

async fn saved(operations: &Operations) -> (Uuid, String) {
    let saved = operations.save_draft(&ada(), save("wait every night", Some(NIGHTLY))).await.unwrap();
    (saved.draft_id, saved.spec.unwrap().hash)
}

async fn versions(operations: &Operations) -> usize {
    let report = operations.versions(&ada(), "nightly").await;
    report.map_or(0, |VersionsReport { versions, .. }| versions.len())
}

#[tokio::test]
async fn a_saved_draft_shows_its_plan_its_next_fires_and_the_hash_that_approves_it() {
    let (operations, _folder) = operations().await;
    let (id, hash) = saved(&operations).await;
    let shown = operations.draft(&ada(), id).await.unwrap();
    assert_eq!((shown.hash.as_ref(), shown.text.as_deref(), shown.valid), (Some(&hash), Some(NIGHTLY), Some(true)));
    assert_eq!((shown.next_fires.len(), shown.changes.len()), (5, 0));
    assert!(shown.next_fires.iter().all(|fire| fire.local_time.format("%H:%M").to_string() == "04:00"));
    let approved = operations.approve_draft(&ada(), id, &hash).await.unwrap();
    assert_eq!((approved.version, approved.already), (1, false));
    assert_eq!(operations.schedules(&ada()).await.unwrap().schedules.len(), 1);
    let listed = operations.drafts(&ada(), &DraftFilter::default()).await.unwrap().drafts;
    assert_eq!((listed[0].state, listed[0].version), (DraftState::Approved, Some(1)));
}

#[tokio::test]
async fn an_approval_that_is_repeated_gives_the_same_version_and_undoes_no_later_one() {
    let (operations, _folder) = operations().await;
    let (id, hash) = saved(&operations).await;
    operations.approve_draft(&ada(), id, &hash).await.unwrap();
    apply(&operations, vec![file("nightly.yaml", &NIGHTLY.replace("1h", "2h"))]).await.unwrap();
    let again = operations.approve_draft(&ada(), id, &hash).await.unwrap();
    assert_eq!((again.version, again.already), (1, true));
    assert_eq!(operations.pipeline(&ada(), "nightly", None).await.unwrap().version, 2);
    let other = operations.approve_draft(&ada(), id, &"0".repeat(64)).await.unwrap_err();
    assert!(other.message.contains("is approved, under another hash"), "{other}");
}

#[tokio::test]
async fn a_wrong_hash_approves_nothing_and_is_answered_with_the_right_one() {
    let (operations, _folder) = operations().await;
    let (id, hash) = saved(&operations).await;
    let refused = operations.approve_draft(&ada(), id, "6d1f").await.unwrap_err();
    assert_eq!(refused.suggest, Some(Suggest::ShowDraft { draft: id }));
    assert!(refused.hint.unwrap().contains(&hash));
    assert_eq!(versions(&operations).await, 0);
}

#[tokio::test]
async fn a_draft_with_connections_or_variables_is_not_stored() {
    let (operations, _folder) = operations().await;
    let sly = format!("connections:\n  shop: {{ type: postgres, url: \"postgres://x@evil\" }}\n{NIGHTLY}");
    let refused = operations.save_draft(&ada(), save("x", Some(&sly))).await.unwrap_err();
    assert!(refused.message.contains("may not bring connections"), "{refused}");
    let sly = NIGHTLY.replace("name: nightly", "name: nightly\ndescription: \"${AWS_SECRET_ACCESS_KEY}\"");
    let refused = operations.save_draft(&ada(), save("x", Some(&sly))).await.unwrap_err();
    assert!(refused.message.contains("AWS_SECRET_ACCESS_KEY"), "{refused}");
    assert!(operations.drafts(&ada(), &DraftFilter::default()).await.unwrap().drafts.is_empty());
}

#[tokio::test]
async fn a_password_in_a_prompt_is_in_nothing_that_is_stored() {
    let (operations, _folder) = operations().await;
    let prompt = "wait every night, the password is hunter22";
    let text = format!("# asked for by: the password is hunter22\n{NIGHTLY}");
    let mut new = save(prompt, Some(&text));
    new.notes.requirements =
        vec![Requirement { quote: "hunter22".to_owned(), task: None, meaning: "nothing".to_owned() }];
    new.notes.assumptions = vec!["hunter22 means nothing".to_owned()];
    let id = operations.save_draft(&ada(), new).await.unwrap().draft_id;
    let row = operations.workspace.draft(id).await.unwrap();
    assert!(!format!("{row:?}").contains("hunter22"), "{row:?}");
    assert_eq!(row.prompt, "wait every night, the password is xxxxxxxx");
    let audit = operations.workspace.audit(10).await.unwrap();
    assert!(!format!("{audit:?}").contains("hunter22"), "{audit:?}");
}

#[tokio::test]
async fn a_draft_that_would_need_the_password_of_its_prompt_is_not_stored() {
    let (operations, _folder) = operations().await;
    let spec = "name: rows\ntasks:\n  rows: { transform: \"SELECT 'hunter22' AS word\" }\n";
    let refused = operations.save_draft(&ada(), save("the password is hunter22", Some(spec))).await.unwrap_err();
    assert!(refused.message.contains("holds a secret"), "{refused}");
    assert!(!format!("{refused:?}").contains("hunter22"), "{refused:?}");
    let mut question = save("the password is hunter22", None);
    let choice = Choice { text: "one".to_owned(), sentence: "the password is hunter22, once".to_owned() };
    question.notes.question = Some(Question { text: "How often?".to_owned(), choices: vec![choice] });
    assert!(operations.save_draft(&ada(), question).await.is_err());
    assert!(operations.drafts(&ada(), &DraftFilter::default()).await.unwrap().drafts.is_empty());
}

#[tokio::test]
async fn the_file_of_a_draft_runs_once_the_draft_is_approved() {
    let (operations, _folder) = operations().await;
    let (id, hash) = saved(&operations).await;
    let target = || Target::Spec(file("nightly.yaml", &draft_file(id, NIGHTLY)));
    let refused = operations.start(&ada(), start(target())).await.unwrap_err();
    assert!(refused.message.contains("which nobody has approved"), "{refused}");
    assert_eq!(refused.suggest, Some(Suggest::ApproveDraft { draft: id }));
    assert_eq!(versions(&operations).await, 0);
    operations.approve_draft(&ada(), id, &hash).await.unwrap();
    assert_eq!(operations.start(&ada(), start(target())).await.unwrap().version, 1, "it is the approved version");
}

#[tokio::test]
async fn an_edited_file_of_a_draft_runs_once_it_is_applied() {
    let (operations, _folder) = operations().await;
    let (id, hash) = saved(&operations).await;
    operations.approve_draft(&ada(), id, &hash).await.unwrap();
    let edited = draft_file(id, &NIGHTLY.replace("1h", "2h"));
    let target = || Target::Spec(file("nightly.yaml", &edited));
    let refused = operations.start(&ada(), start(target())).await.unwrap_err();
    assert!(refused.message.contains("it was edited"), "{refused}");
    apply(&operations, vec![file("nightly.yaml", &edited)]).await.unwrap();
    assert_eq!(operations.start(&ada(), start(target())).await.unwrap().version, 2);
}

#[tokio::test]
async fn a_file_of_a_draft_that_is_not_stored_does_not_run() {
    let (operations, _folder) = operations().await;
    for id in ["nonsense", "", "01999999-0000-7000-8000-000000000000"] {
        let text = format!("# headwater draft {id}\n{NIGHTLY}");
        let refused = operations.start(&ada(), start(Target::Spec(file("a.yaml", &text)))).await.unwrap_err();
        assert!(refused.message.contains("a draft that is not stored here"), "{refused}");
    }
}

#[tokio::test]
async fn an_unedited_file_of_a_draft_that_is_applied_approves_the_draft() {
    let (operations, _folder) = operations().await;
    let (id, _) = saved(&operations).await;
    let report = apply(&operations, vec![file("nightly.yaml", &draft_file(id, NIGHTLY))]).await.unwrap();
    assert_eq!(report.pipelines[0].draft_id, Some(id));
    let shown = operations.draft(&ada(), id).await.unwrap();
    assert_eq!((shown.draft.state, shown.draft.version), (DraftState::Approved, Some(1)));
    let text = operations.pipeline(&ada(), "nightly", None).await.unwrap().spec_text;
    assert_eq!(text, NIGHTLY, "a version has no line of a draft");
}

#[tokio::test]
async fn a_discarded_draft_is_not_approved() {
    let (operations, _folder) = operations().await;
    let (id, hash) = saved(&operations).await;
    operations.discard_draft(&ada(), id).await.unwrap();
    let refused = operations.approve_draft(&ada(), id, &hash).await.unwrap_err();
    assert!(refused.message.ends_with("is discarded"), "{refused}");
    assert_eq!(versions(&operations).await, 0);
}

#[tokio::test]
async fn a_file_is_applied_under_the_hash_of_its_draft_and_no_other() {
    let (operations, _folder) = operations().await;
    let (id, hash) = saved(&operations).await;
    let written = file("nightly.yaml", &draft_file(id, NIGHTLY));
    let refused = operations.propose_approved(&ada(), written.clone(), "6d1f").await.unwrap_err();
    assert!(refused.hint.unwrap().contains(&hash));
    let edited = file("nightly.yaml", &draft_file(id, &NIGHTLY.replace("1h", "2h")));
    assert!(operations.propose_approved(&ada(), edited, &hash).await.is_err());
    let proposal = operations.propose_approved(&ada(), written, &hash).await.unwrap();
    assert_eq!(proposal.report.pipelines[0].draft_id, Some(id));
}
