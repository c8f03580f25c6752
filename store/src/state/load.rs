//! A load: what one load id did to its target.

use super::text_of_states;

/// Where a load is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoadState {
    /// An attempt has written its intent: from here on the target decides. Left by finish or by a fence.
    Committing,
    /// The target holds it. Final.
    Committed,
    /// A later run's overwrite made it void. Final.
    Superseded,
    /// Its last attempt ended without a commit, as far as anybody knew. Another attempt's intent leaves it, unless it is fenced, and so does an
    /// attempt that finds the load in the target after all.
    Failed,
}

text_of_states!(LoadState {
    Committing = "committing",
    Committed = "committed",
    Superseded = "superseded",
    Failed = "failed",
});

/// What happens to a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadEvent {
    /// An attempt writes its intent.
    Intend,
    /// The target holds the load.
    Commit,
    /// A later run's overwrite came first.
    Supersede,
    /// The target does not hold the load, and no attempt can commit it any more.
    Fail,
}

impl LoadEvent {
    /// Every event.
    pub const ALL: &'static [Self] = &[Self::Intend, Self::Commit, Self::Supersede, Self::Fail];
}

impl LoadState {
    /// The state after an event, or `None` if the event can't happen in this one.
    pub fn next(self, event: LoadEvent) -> Option<Self> {
        match (self, event) {
            (Self::Committing | Self::Failed, LoadEvent::Intend) => Some(Self::Committing),
            (Self::Committing | Self::Failed, LoadEvent::Commit) => Some(Self::Committed),
            (Self::Committing, LoadEvent::Supersede) => Some(Self::Superseded),
            (Self::Committing, LoadEvent::Fail) => Some(Self::Failed),
            _ => None,
        }
    }
}
