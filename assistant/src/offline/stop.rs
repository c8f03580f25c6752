//! Why a sentence became no draft: what was not understood, or has to be asked.

use std::ops::Range;

use crate::draft::{Question, Refusal};

/// What ends the reading of a sentence.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stop {
    /// These words fit nothing in the grammar or the catalog.
    NotUnderstood(Misread),
    /// Two readings would load different rows.
    Ask(Question),
    /// It asks for what Headwater does not do.
    Refuse(Refusal),
    /// It asks for what does not execute yet.
    NotYet {
        /// What, as specs call it: `upsert`, `cursor`.
        feature: &'static str,
        /// The words that asked for it.
        words: Range<usize>,
    },
}

/// Words that fit nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misread {
    /// The token at which reading ended.
    pub(super) at: usize,
    /// What could have stood there.
    pub(super) expected: String,
    /// Names that are near.
    pub(super) candidates: Vec<String>,
}

impl Stop {
    pub(super) fn at(at: usize, expected: impl Into<String>) -> Self {
        Self::NotUnderstood(Misread { at, expected: expected.into(), candidates: Vec::new() })
    }

    /// Of two readings that ended, the one that came further tells more; a question or a refusal was understood.
    pub(super) fn further(self, other: Self) -> Self {
        match (&self, &other) {
            (Self::NotUnderstood(one), Self::NotUnderstood(two)) if two.at > one.at => other,
            (Self::NotUnderstood(_), Self::NotUnderstood(_)) => self,
            (Self::NotUnderstood(_), _) => other,
            _ => self,
        }
    }
}
