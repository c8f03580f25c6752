//! A draft: what a sentence became, until a person has decided.

use super::text_of_states;

/// Where a draft is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DraftState {
    /// Two readings would load different rows: a person chooses one. Left by their answer, or discarded.
    Question,
    /// A spec that nothing runs. Left when a person approves or discards it.
    Open,
    /// It is a version of its pipeline. Final.
    Approved,
    /// Nobody wants it, or its question was answered. Final.
    Discarded,
}

text_of_states!(DraftState {
    Question = "question",
    Open = "open",
    Approved = "approved",
    Discarded = "discarded",
});

/// What a person does with a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DraftEvent {
    /// They chose an answer, which became another draft.
    Answer,
    /// They approved it.
    Approve,
    /// They don't want it.
    Discard,
}

impl DraftEvent {
    /// Every event.
    pub const ALL: &'static [Self] = &[Self::Answer, Self::Approve, Self::Discard];
}

impl DraftState {
    /// The state after an event, or `None` if the event can't happen in this one.
    pub fn next(self, event: DraftEvent) -> Option<Self> {
        match (self, event) {
            (Self::Question, DraftEvent::Answer | DraftEvent::Discard) | (Self::Open, DraftEvent::Discard) => {
                Some(Self::Discarded)
            }
            (Self::Open, DraftEvent::Approve) => Some(Self::Approved),
            _ => None,
        }
    }
}
