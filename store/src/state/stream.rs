//! A stream: a pipeline that runs until it is stopped.

use super::text_of_states;

/// Where a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamState {
    /// A run follows its sources, or is about to.
    Running,
    /// Nobody wants it to run now. A person can resume it.
    Paused,
    /// Its run failed for a reason that trying again does not mend. A person, or a new version, can resume it.
    Failed,
}

text_of_states!(StreamState { Running = "running", Paused = "paused", Failed = "failed" });

/// What happens to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEvent {
    /// A person wants it to stop, or has canceled its run.
    Pause,
    /// A person wants it to go on, or a version was approved that may.
    Resume,
    /// Its run failed for good.
    Fail,
}

impl StreamEvent {
    /// Every event.
    pub const ALL: &'static [Self] = &[Self::Pause, Self::Resume, Self::Fail];
}

impl StreamState {
    /// The state after an event, or `None` if the event can't happen in this one.
    pub fn next(self, event: StreamEvent) -> Option<Self> {
        match (self, event) {
            (Self::Running | Self::Failed, StreamEvent::Pause) => Some(Self::Paused),
            (Self::Paused | Self::Failed, StreamEvent::Resume) => Some(Self::Running),
            (Self::Running, StreamEvent::Fail) => Some(Self::Failed),
            _ => None,
        }
    }
}
