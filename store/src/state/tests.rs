#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use super::*;

const DOCUMENT: &str = include_str!("../../../docs/state_machine.md");

type Transitions = BTreeSet<(String, String, String)>;

/// Every transition that `next` allows, as the document writes it.
fn transitions<S: Copy + ToString, E: Copy + std::fmt::Debug>(
    states: &[S],
    events: &[E],
    next: impl Fn(S, E) -> Option<S>,
) -> Transitions {
    let mut found = Transitions::new();
    for state in states {
        for event in events {
            if let Some(after) = next(*state, *event) {
                found.insert((state.to_string(), after.to_string(), format!("{event:?}").to_lowercase()));
            }
        }
    }
    found
}

/// The transitions drawn in one section of the document.
fn drawn(section: &str) -> Transitions {
    let start = DOCUMENT.find(&format!("## {section}\n")).unwrap();
    let rest = &DOCUMENT[start..];
    let diagram = rest.split("```").nth(1).unwrap();
    let arrows = diagram.lines().filter_map(|line| {
        let (from, to) = line.trim().split_once(" --> ")?;
        let (to, event) = to.split_once(": ")?;
        Some((from.to_owned(), to.to_owned(), event.to_owned()))
    });
    arrows.collect()
}

#[test]
fn every_pair_of_state_and_event_is_as_the_document_draws_it() {
    assert_eq!(transitions(RunState::ALL, RunEvent::ALL, RunState::next), drawn("Run"));
    assert_eq!(transitions(StageRunState::ALL, StageRunEvent::ALL, StageRunState::next), drawn("Stage run"));
    assert_eq!(transitions(AttemptState::ALL, AttemptEvent::ALL, AttemptState::next), drawn("Attempt"));
    assert_eq!(transitions(LoadState::ALL, LoadEvent::ALL, LoadState::next), drawn("Load"));
    assert_eq!(transitions(DraftState::ALL, DraftEvent::ALL, DraftState::next), drawn("Draft"));
    assert_eq!(transitions(BackfillState::ALL, BackfillEvent::ALL, BackfillState::next), drawn("Backfill"));
    assert_eq!(transitions(StreamState::ALL, StreamEvent::ALL, StreamState::next), drawn("Stream"));
    assert_eq!(transitions(RejectState::ALL, RejectEvent::ALL, RejectState::next), drawn("Reject"));
}

#[test]
fn nothing_leaves_a_final_state() {
    for state in RunState::ALL.iter().filter(|state| state.is_final()) {
        assert!(RunEvent::ALL.iter().all(|event| state.next(*event).is_none()));
    }
    for state in StageRunState::ALL.iter().filter(|state| state.is_final()) {
        assert!(StageRunEvent::ALL.iter().all(|event| state.next(*event).is_none()));
    }
}

#[tokio::test]
async fn the_checks_of_the_database_list_the_same_states() {
    let db = crate::testing::database().await;
    let machines: [(&str, Vec<&str>); 9] = [
        ("runs_state", RunState::ALL.iter().map(|state| state.as_str()).collect()),
        ("stage_runs_state", StageRunState::ALL.iter().map(|state| state.as_str()).collect()),
        ("attempts_state", AttemptState::ALL.iter().map(|state| state.as_str()).collect()),
        ("loads_state", LoadState::ALL.iter().map(|state| state.as_str()).collect()),
        ("backfills_state", BackfillState::ALL.iter().map(|state| state.as_str()).collect()),
        ("streams_state", StreamState::ALL.iter().map(|state| state.as_str()).collect()),
        ("rejects_state", RejectState::ALL.iter().map(|state| state.as_str()).collect()),
        ("drafts_state", DraftState::ALL.iter().map(|state| state.as_str()).collect()),
        ("task_runs_state", TaskRunState::ALL.iter().map(|state| state.as_str()).collect()),
    ];
    for (check, states) in machines {
        let text: String =
            sqlx::query_scalar("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = $1 LIMIT 1")
                .bind(check)
                .fetch_one(db.store.durable())
                .await
                .unwrap();
        let listed: BTreeSet<&str> = text.split('\'').skip(1).step_by(2).collect();
        assert_eq!(listed, states.into_iter().collect(), "{check}: {text}");
    }
}

#[test]
fn a_state_that_does_not_exist_is_refused_with_the_valid_ones() {
    let error = "done".parse::<RunState>().unwrap_err();
    assert!(error.hint.unwrap().contains("succeeded, failed, canceled"));
}
