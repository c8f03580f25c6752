//! A backfill: an interval of the past that is filled in, slice by slice.

use super::text_of_states;

/// Where a backfill is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BackfillState {
    /// Slices run, or wait for their turn.
    Running,
    /// What runs goes on, and nothing new starts.
    Paused,
    /// Every slice has succeeded. Final.
    Succeeded,
    /// A slice failed, and nothing new was started after it. A person can resume it.
    Failed,
    /// Nobody wants the rest. A person can resume it.
    Canceled,
}

text_of_states!(BackfillState {
    Running = "running",
    Paused = "paused",
    Succeeded = "succeeded",
    Failed = "failed",
    Canceled = "canceled",
});

/// What happens to a backfill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackfillEvent {
    /// A person wants nothing new to start.
    Pause,
    /// A person wants the rest to be loaded, and what failed again.
    Resume,
    /// A person wants it to end.
    Cancel,
    /// The last slice has succeeded.
    Succeed,
    /// A slice has failed, and none is under way any more.
    Fail,
}

impl BackfillEvent {
    /// Every event.
    pub const ALL: &'static [Self] = &[Self::Pause, Self::Resume, Self::Cancel, Self::Succeed, Self::Fail];
}

impl BackfillState {
    /// The state after an event, or `None` if the event can't happen in this one.
    pub fn next(self, event: BackfillEvent) -> Option<Self> {
        match (self, event) {
            (Self::Running, BackfillEvent::Pause) => Some(Self::Paused),
            (Self::Paused | Self::Failed | Self::Canceled, BackfillEvent::Resume) => Some(Self::Running),
            (Self::Running | Self::Paused, BackfillEvent::Cancel) => Some(Self::Canceled),
            (Self::Running, BackfillEvent::Succeed) => Some(Self::Succeeded),
            (Self::Running, BackfillEvent::Fail) => Some(Self::Failed),
            _ => None,
        }
    }

    /// Whether nothing of it starts any more unless a person resumes it.
    pub fn has_ended(self) -> bool {
        !matches!(self, Self::Running | Self::Paused)
    }
}
