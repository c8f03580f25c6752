//! What becomes of a sentence: a draft, a question, a refusal, or words that were not understood.

pub use headwater_operations::{Choice, NotUnderstood, Question, Refusal, RefusalReason, Requirement};
use headwater_pipelines::spec::Spec;
use headwater_pipelines::write::Comments;

use crate::typed::Fault;

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
