//! What the end of an attempt means for its stage run. Pure: no clock, no database.

use std::time::Duration;

use headwater_pipelines::spec::Retry;
use serde::{Deserialize, Serialize};

use crate::state::{AttemptEvent, AttemptState, StageRunEvent};

/// A stage run whose worker went silent this often fails: it probably kills its worker.
pub const MAX_LOST: i32 = 3;

/// Delay before a lost stage run is tried again: its worker's host may have had enough of it.
const LOST_DELAY: Duration = Duration::from_secs(1);

/// Delay before a fence is tried again when its target can't be reached.
const FENCE_DELAY: Duration = Duration::from_secs(5);

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum AttemptEnd {
    /// Everything is committed.
    Succeeded,
    /// It did not succeed.
    Failed(Failure),
    /// It stopped because it was asked to. Nothing of it is visible.
    Canceled,
    /// It asks to be started again after this time.
    Waiting(Duration),
    /// Its worker went silent.
    Lost,
    /// A fence took the load id: no late attempt can commit any more.
    Fenced,
}

impl AttemptEnd {
    /// The states in which an attempt is that ended like this; what a fence is stopped by counts as canceled.
    pub(super) fn states(&self) -> &'static [AttemptState] {
        match self {
            Self::Succeeded | Self::Fenced => &[AttemptState::Succeeded],
            Self::Failed(_) => &[AttemptState::Failed],
            Self::Canceled => &[AttemptState::Canceled],
            Self::Waiting(_) => &[AttemptState::Waiting, AttemptState::Canceled],
            Self::Lost => &[AttemptState::Lost],
        }
    }
}

/// Why an attempt failed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Lower case, without a final stop.
    pub message: String,
    /// Path of the task at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What can be done about it, in a word; absent if nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Whether the retry policy applies.
    #[serde(default)]
    pub retryable: bool,
    /// Whether the attempt had written its intent and does not know what became of its commit.
    #[serde(default)]
    pub unsettled: bool,
    /// Whether staged datasets that the attempt reads are missing, so that a rerun has to make them again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

/// What is known about the stage run whose attempt ended.
#[derive(Debug, Clone)]
pub(super) struct Situation {
    pub(super) failures: i32,
    pub(super) lost: i32,
    pub(super) retry: Retry,
    /// An earlier attempt might still commit.
    pub(super) exposed: bool,
    /// This attempt wrote its intent.
    pub(super) intended: bool,
    /// Set while a fence is under way: how the stage run must end.
    pub(super) ending: Option<Ending>,
    pub(super) cancel_requested: bool,
}

/// How a stage run ends that does not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Failed,
    Canceled,
}

impl Ending {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    pub(super) fn event(self) -> StageRunEvent {
        match self {
            Self::Failed => StageRunEvent::Fail,
            Self::Canceled => StageRunEvent::Cancel,
        }
    }
}

/// What becomes of the stage run.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Next {
    Succeed,
    End(Ending, Option<Failure>),
    Requeue(Duration),
    Wait(Duration),
    /// Its load must be fenced before it may end like this.
    Fence(Ending, Duration),
}

/// The decision and what it does to the counters.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decision {
    pub(super) attempt: AttemptEvent,
    pub(super) next: Next,
    pub(super) failed: bool,
    pub(super) lost: bool,
    pub(super) exposed: bool,
    /// Kept for the stage run even if it is tried again.
    pub(super) failure: Option<Failure>,
}

/// Decides. A load that might still commit never lets its stage run end without success before the target was fenced.
pub(super) fn decide(end: &AttemptEnd, situation: &Situation) -> Decision {
    if let Some(ending) = situation.ending {
        return decide_fence(end, ending);
    }
    let (attempt, failure) = match end {
        AttemptEnd::Succeeded | AttemptEnd::Fenced => (AttemptEvent::Succeed, None),
        AttemptEnd::Failed(failure) => (AttemptEvent::Fail, Some(failure.clone())),
        AttemptEnd::Canceled => (AttemptEvent::Cancel, None),
        AttemptEnd::Waiting(_) => (AttemptEvent::Wait, None),
        AttemptEnd::Lost => (AttemptEvent::Lose, None),
    };
    let unsettled = match end {
        AttemptEnd::Lost => situation.intended,
        AttemptEnd::Failed(failure) => failure.unsettled && situation.intended,
        _ => false,
    };
    let exposed = situation.exposed || unsettled;
    let next = match (end, situation.cancel_requested) {
        (AttemptEnd::Succeeded, _) => Next::Succeed,
        (_, true) => Next::End(Ending::Canceled, failure.clone()),
        (AttemptEnd::Failed(failure), false) => after_failure(failure, situation),
        (AttemptEnd::Canceled | AttemptEnd::Fenced, false) => Next::Requeue(Duration::ZERO),
        (AttemptEnd::Waiting(time), false) => Next::Wait(*time),
        (AttemptEnd::Lost, false) if situation.lost + 1 >= MAX_LOST => Next::End(Ending::Failed, Some(poison())),
        (AttemptEnd::Lost, false) => Next::Requeue(LOST_DELAY),
    };
    let next = match next {
        Next::End(ending, _) if exposed => Next::Fence(ending, Duration::ZERO),
        next => next,
    };
    let failure = match &next {
        Next::Fence(Ending::Failed, _) if *end == AttemptEnd::Lost => Some(poison()),
        Next::End(_, end_failure) => end_failure.clone(),
        _ => failure,
    };
    Decision {
        attempt,
        next,
        failed: matches!(end, AttemptEnd::Failed(_)),
        lost: *end == AttemptEnd::Lost,
        exposed,
        failure,
    }
}

/// A fence ends its stage run, finds the load committed, or is tried again: it has no limit, because nothing else makes sure
/// that a late attempt can't commit.
fn decide_fence(end: &AttemptEnd, ending: Ending) -> Decision {
    let (attempt, next) = match end {
        AttemptEnd::Fenced => (AttemptEvent::Succeed, Next::End(ending, None)),
        AttemptEnd::Succeeded => (AttemptEvent::Succeed, Next::Succeed),
        AttemptEnd::Failed(_) => (AttemptEvent::Fail, Next::Fence(ending, FENCE_DELAY)),
        AttemptEnd::Canceled | AttemptEnd::Waiting(_) => (AttemptEvent::Cancel, Next::Fence(ending, Duration::ZERO)),
        AttemptEnd::Lost => (AttemptEvent::Lose, Next::Fence(ending, FENCE_DELAY)),
    };
    Decision { attempt, next, failed: false, lost: false, exposed: true, failure: None }
}

fn after_failure(failure: &Failure, situation: &Situation) -> Next {
    let failures = u32::try_from(situation.failures + 1).unwrap_or(u32::MAX);
    match situation.retry.delay_after(failures) {
        Some(delay) if failure.retryable => Next::Requeue(delay),
        _ => Next::End(Ending::Failed, Some(failure.clone())),
    }
}

fn poison() -> Failure {
    Failure {
        message: format!("its worker went silent {MAX_LOST} times while executing it"),
        hint: Some("look at the memory and the logs of the workers' hosts".to_owned()),
        ..Failure::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calm() -> Situation {
        Situation {
            failures: 0,
            lost: 0,
            retry: Retry { attempts: 2, ..Retry::default() },
            exposed: false,
            intended: false,
            ending: None,
            cancel_requested: false,
        }
    }

    fn failure(retryable: bool, unsettled: bool) -> AttemptEnd {
        AttemptEnd::Failed(Failure { message: "no".to_owned(), retryable, unsettled, ..Failure::default() })
    }

    #[test]
    fn a_transient_failure_is_tried_again_until_the_policy_is_used_up() {
        let first = decide(&failure(true, false), &calm());
        assert_eq!(first.next, Next::Requeue(Duration::from_secs(5)));
        let last = decide(&failure(true, false), &Situation { failures: 1, ..calm() });
        assert!(matches!(last.next, Next::End(Ending::Failed, Some(_))));
    }

    #[test]
    fn a_failure_that_a_person_must_mend_is_not_tried_again() {
        assert!(matches!(decide(&failure(false, false), &calm()).next, Next::End(Ending::Failed, _)));
    }

    #[test]
    fn an_attempt_lost_after_its_intent_is_fenced_before_the_stage_run_ends() {
        let poisoned = Situation { lost: MAX_LOST - 1, intended: true, ..calm() };
        let decision = decide(&AttemptEnd::Lost, &poisoned);
        assert_eq!(decision.next, Next::Fence(Ending::Failed, Duration::ZERO));
        assert!(decision.exposed && decision.failure.is_some());
        let canceled = Situation { exposed: true, cancel_requested: true, ..calm() };
        assert_eq!(decide(&AttemptEnd::Canceled, &canceled).next, Next::Fence(Ending::Canceled, Duration::ZERO));
    }

    #[test]
    fn an_attempt_lost_before_its_intent_needs_no_fence() {
        let poisoned = Situation { lost: MAX_LOST - 1, ..calm() };
        assert!(matches!(decide(&AttemptEnd::Lost, &poisoned).next, Next::End(Ending::Failed, Some(_))));
        assert_eq!(decide(&AttemptEnd::Lost, &calm()).next, Next::Requeue(LOST_DELAY));
    }

    #[test]
    fn a_commit_whose_answer_was_lost_is_exposed_only_if_the_attempt_had_an_intent() {
        assert!(!decide(&failure(true, true), &calm()).exposed);
        assert!(decide(&failure(true, true), &Situation { intended: true, ..calm() }).exposed);
    }

    #[test]
    fn a_success_stays_a_success_in_a_canceled_run() {
        let situation = Situation { cancel_requested: true, exposed: true, ..calm() };
        assert_eq!(decide(&AttemptEnd::Succeeded, &situation).next, Next::Succeed);
    }

    #[test]
    fn a_worker_that_shuts_down_hands_its_stage_runs_back_without_counting() {
        let decision = decide(&AttemptEnd::Canceled, &calm());
        assert_eq!(decision.next, Next::Requeue(Duration::ZERO));
        assert!(!decision.failed && !decision.lost);
    }

    #[test]
    fn a_fence_is_tried_until_it_has_an_answer() {
        let fencing = Situation { ending: Some(Ending::Canceled), exposed: true, ..calm() };
        assert_eq!(decide(&AttemptEnd::Fenced, &fencing).next, Next::End(Ending::Canceled, None));
        assert_eq!(decide(&AttemptEnd::Succeeded, &fencing).next, Next::Succeed);
        for end in [failure(false, false), AttemptEnd::Lost, AttemptEnd::Canceled] {
            assert!(matches!(decide(&end, &fencing).next, Next::Fence(Ending::Canceled, _)));
        }
    }
}
