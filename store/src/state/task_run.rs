//! A task run: what one task did in one stage run.

use std::collections::HashSet;

use headwater_pipelines::plan::{Plan, Relation, Stage};

use super::text_of_states;

/// How a task run ended. Until its stage run has ended for good it is `pending` here and shown where its stage run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskRunState {
    /// Its stage run has not ended.
    Pending,
    /// It did its part of a stage run that succeeded.
    Succeeded,
    /// It is at fault.
    Failed,
    /// Something beside or behind it failed, or the run was canceled.
    Canceled,
    /// Something before it failed.
    Skipped,
}

text_of_states!(TaskRunState {
    Pending = "pending",
    Succeeded = "succeeded",
    Failed = "failed",
    Canceled = "canceled",
    Skipped = "skipped",
});

/// Final counters and state of a task of a stage run that ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskEnd {
    /// The task.
    pub task: String,
    /// Where it ended, should the stage run end with this attempt.
    pub state: TaskRunState,
    /// Rows that left it.
    pub rows: i64,
    /// Their Arrow bytes.
    pub bytes: i64,
    /// Rows and messages that were set aside.
    pub rejected: i64,
    /// Time spent producing them, in microseconds.
    pub busy_us: i64,
}

/// Where the tasks of a stage end when one of them fails: that one failed, those behind it skipped, all others canceled.
/// Without a task at fault it is the stage's head.
pub fn ends_after_failure(plan: &Plan, stage: &Stage, at_fault: Option<&str>) -> Vec<(String, TaskRunState)> {
    let head = stage.tasks.last().map(|task| task.as_str());
    let at_fault = at_fault.filter(|path| stage.tasks.iter().any(|task| task == path)).or(head);
    let mut behind: HashSet<&str> = at_fault.into_iter().collect();
    let mut ends = Vec::with_capacity(stage.tasks.len());
    for task in &stage.tasks {
        let reads_failed = plan.tasks.get(task).is_some_and(|planned| {
            planned
                .work
                .reads()
                .iter()
                .any(|read| matches!(read, Relation::Task(path) if behind.contains(path.as_str())))
        });
        let state = if Some(task.as_str()) == at_fault {
            TaskRunState::Failed
        } else if reads_failed {
            behind.insert(task);
            TaskRunState::Skipped
        } else {
            TaskRunState::Canceled
        };
        ends.push((task.to_string(), state));
    }
    ends
}
