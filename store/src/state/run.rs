//! A run: one execution of a version.

use super::text_of_states;

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunState {
    /// Held behind an earlier run (`overlap: queue`). The schedule's fire enters it, the scheduler releases it.
    Pending,
    /// Its first stages may be claimed. Creation or release enters it, the first claim leaves it.
    Queued,
    /// Something of it was claimed. Left when its last stage run ends.
    Running,
    /// Every stage run succeeded. Final.
    Succeeded,
    /// At least one stage run failed, and none is left. Final.
    Failed,
    /// A person or a schedule asked for it, and none of its stage runs is left. Final.
    Canceled,
}

text_of_states!(RunState {
    Pending = "pending",
    Queued = "queued",
    Running = "running",
    Succeeded = "succeeded",
    Failed = "failed",
    Canceled = "canceled",
});

/// What happens to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEvent {
    /// Its turn has come.
    Release,
    /// A stage run was claimed.
    Claim,
    /// The last stage run ended, and none failed.
    Succeed,
    /// The last stage run ended after one had failed.
    Fail,
    /// The last stage run ended after a request to cancel.
    Cancel,
}

impl RunEvent {
    /// Every event.
    pub const ALL: &'static [Self] = &[Self::Release, Self::Claim, Self::Succeed, Self::Fail, Self::Cancel];
}

impl RunState {
    /// The state after an event, or `None` if the event can't happen in this one.
    pub fn next(self, event: RunEvent) -> Option<Self> {
        match (self, event) {
            (Self::Pending, RunEvent::Release) => Some(Self::Queued),
            (Self::Queued | Self::Running, RunEvent::Claim) => Some(Self::Running),
            (Self::Running, RunEvent::Succeed) => Some(Self::Succeeded),
            (Self::Running, RunEvent::Fail) => Some(Self::Failed),
            (Self::Pending | Self::Queued | Self::Running, RunEvent::Cancel) => Some(Self::Canceled),
            _ => None,
        }
    }

    /// Whether nothing leaves it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled)
    }
}
