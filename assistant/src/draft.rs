//! What becomes of a sentence: a draft, a question, a refusal, or words that were not understood.

use std::ops::Range;

pub use headwater_operations::{Choice, Question, Requirement};
use headwater_pipelines::spec::Spec;
use headwater_pipelines::write::Comments;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::typed::Fault;

/// What Headwater does not do, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// The kind.
    pub reason: RefusalReason,
    /// What was refused and what to do instead.
    pub message: String,
}

/// Kinds of refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// A source would be changed.
    ChangesData,
    /// What is asked for is in no catalog.
    NotInCatalog,
    /// It asks for a secret.
    Secret,
}

/// A spec that a sentence became. Nothing of it has been checked against a source.
#[derive(Debug, Clone, PartialEq)]
pub struct Drafted {
    /// The spec.
    pub spec: Spec,
    /// Comments that say which words asked for a task.
    pub comments: Comments,
    /// What each part of the sentence became.
    pub requirements: Vec<Requirement>,
    /// What was taken for granted.
    pub assumptions: Vec<String>,
    /// Words that nothing of it covers.
    pub not_understood: Vec<String>,
    /// What is still wrong with it.
    pub faults: Vec<Fault>,
}

/// Words that were not understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotUnderstood {
    /// The words.
    pub quote: String,
    /// Where they stand in the sentence, in bytes.
    #[schemars(with = "(usize, usize)")]
    pub span: Range<usize>,
    /// What could have stood there.
    pub expected: String,
    /// Names that are near.
    pub candidates: Vec<String>,
}

/// What became of a sentence.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome<T> {
    /// What it asked for.
    Made(Box<T>),
    /// A question.
    Asked(Question),
    /// A refusal.
    Refused(Refusal),
    /// It asks for what does not execute yet.
    NotYet {
        /// What, as specs call it.
        feature: String,
        /// The words that asked for it.
        quote: String,
    },
    /// Words that fit nothing.
    NotUnderstood(NotUnderstood),
}
