//! An attempt: one try of a stage run, the leased thing.

use super::text_of_states;

/// Where an attempt is. All states but the first are final: another try is another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptState {
    /// A worker has it. The claim enters it, finish or the reaper leaves it.
    Running,
    /// It asked for time to pass and gave its slot back.
    Waiting,
    /// It did what it was for.
    Succeeded,
    /// It ended with an error.
    Failed,
    /// It stopped because it was asked to: the run was canceled or the worker shut down.
    Canceled,
    /// Its worker went silent; nobody knows how far it came.
    Lost,
}

text_of_states!(AttemptState {
    Running = "running",
    Waiting = "waiting",
    Succeeded = "succeeded",
    Failed = "failed",
    Canceled = "canceled",
    Lost = "lost",
});

/// What happens to an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptEvent {
    /// It asks to wait.
    Wait,
    /// It reports success.
    Succeed,
    /// It reports an error.
    Fail,
    /// It reports that it stopped.
    Cancel,
    /// The reaper gives it up.
    Lose,
}

impl AttemptEvent {
    /// Every event.
    pub const ALL: &'static [Self] = &[Self::Wait, Self::Succeed, Self::Fail, Self::Cancel, Self::Lose];
}

impl AttemptState {
    /// The state after an event, or `None` if the event can't happen in this one.
    pub fn next(self, event: AttemptEvent) -> Option<Self> {
        match (self, event) {
            (Self::Running, AttemptEvent::Wait) => Some(Self::Waiting),
            (Self::Running, AttemptEvent::Succeed) => Some(Self::Succeeded),
            (Self::Running, AttemptEvent::Fail) => Some(Self::Failed),
            (Self::Running, AttemptEvent::Cancel) => Some(Self::Canceled),
            (Self::Running, AttemptEvent::Lose) => Some(Self::Lost),
            _ => None,
        }
    }
}
