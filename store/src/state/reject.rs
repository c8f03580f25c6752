//! A reject: a row or message that a load has set aside.

use super::text_of_states;

/// Where a reject is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectState {
    /// Its load has not committed, as far as anybody knows: nobody sees it. Left when the load commits; else it is forgotten, as runs are.
    Pending,
    /// Its load has committed without it. Left when a person has dealt with it.
    Kept,
    /// Nobody needs it any more. Final.
    Discarded,
}

text_of_states!(RejectState { Pending = "pending", Kept = "kept", Discarded = "discarded" });

/// What happens to a reject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectEvent {
    /// The target holds the load.
    Commit,
    /// A person has dealt with it.
    Discard,
}

impl RejectEvent {
    /// Every event.
    pub const ALL: &'static [Self] = &[Self::Commit, Self::Discard];
}

impl RejectState {
    /// The state after an event, or `None` if the event can't happen in this one.
    pub fn next(self, event: RejectEvent) -> Option<Self> {
        match (self, event) {
            (Self::Pending, RejectEvent::Commit) => Some(Self::Kept),
            (Self::Kept, RejectEvent::Discard) => Some(Self::Discarded),
            _ => None,
        }
    }
}
