//! A stage run: the unit that is queued, leased and retried.

use super::text_of_states;

/// Where a stage run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StageRunState {
    /// Stages before it have not all succeeded. The finish of the last of them leaves it.
    Pending,
    /// It may be claimed, perhaps only at a later time (retry). A claim leaves it.
    Queued,
    /// A worker has the lease. The worker's finish or the reaper leaves it.
    Running,
    /// It waits for time to pass and holds neither lease nor slot. The scheduler wakes it.
    Waiting,
    /// Its effect is committed. Final.
    Succeeded,
    /// It was tried as often as its retry policy says. Final.
    Failed,
    /// The run was canceled before it could succeed. Final.
    Canceled,
    /// A stage before it failed or was canceled. Final.
    Skipped,
}

text_of_states!(StageRunState {
    Pending = "pending",
    Queued = "queued",
    Running = "running",
    Waiting = "waiting",
    Succeeded = "succeeded",
    Failed = "failed",
    Canceled = "canceled",
    Skipped = "skipped",
});

/// What happens to a stage run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageRunEvent {
    /// The last stage before it succeeded.
    Unblock,
    /// A stage before it ended without success.
    Skip,
    /// A worker took it.
    Claim,
    /// Its attempt ended and another is due, or its load must be fenced first.
    Requeue,
    /// Its attempt asked to wait.
    Wait,
    /// Its time has come.
    Wake,
    /// Its attempt succeeded, or its load was found committed.
    Succeed,
    /// Its last attempt failed.
    Fail,
    /// The run is canceled and nothing of it can commit any more.
    Cancel,
}

impl StageRunEvent {
    /// Every event.
    pub const ALL: &'static [Self] = &[
        Self::Unblock,
        Self::Skip,
        Self::Claim,
        Self::Requeue,
        Self::Wait,
        Self::Wake,
        Self::Succeed,
        Self::Fail,
        Self::Cancel,
    ];
}

impl StageRunState {
    /// The state after an event, or `None` if the event can't happen in this one.
    pub fn next(self, event: StageRunEvent) -> Option<Self> {
        use StageRunEvent as Event;
        match (self, event) {
            (Self::Pending, Event::Unblock) | (Self::Running, Event::Requeue) | (Self::Waiting, Event::Wake) => {
                Some(Self::Queued)
            }
            (Self::Pending, Event::Skip) => Some(Self::Skipped),
            (Self::Queued, Event::Claim) => Some(Self::Running),
            (Self::Running, Event::Wait) => Some(Self::Waiting),
            (Self::Running, Event::Succeed) => Some(Self::Succeeded),
            (Self::Running, Event::Fail) => Some(Self::Failed),
            (Self::Pending | Self::Queued | Self::Running | Self::Waiting, Event::Cancel) => Some(Self::Canceled),
            _ => None,
        }
    }

    /// Whether nothing leaves it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled | Self::Skipped)
    }
}
