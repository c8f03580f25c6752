//! What is wrong with an answer, in a form that can be sent back to its model.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What kind of mistake it is. Later phases are judged only where the earlier ones found nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Fields and forms.
    Structure,
    /// Tables, columns, tasks and targets.
    Names,
    /// What planning found: columns, types, keys.
    Types,
    /// What was asked for and isn't there, or is there and wasn't asked for.
    Meaning,
}

/// One mistake. It quotes nothing that a source said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    /// The kind.
    pub phase: Phase,
    /// A stable name of the mistake.
    pub code: String,
    /// Where it stands: a task and its field.
    pub at: String,
    /// What is wrong and what was expected.
    pub message: String,
    /// What could have stood there, nearest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<String>,
}

/// Names that one mistake offers.
const MOST_CANDIDATES: usize = 8;

impl Fault {
    /// A mistake.
    pub(crate) fn new(phase: Phase, code: &str, at: &str, message: &str) -> Self {
        let (at, message) = (at.trim_start_matches('.').to_owned(), message.to_owned());
        Self { phase, code: code.to_owned(), at, message, candidates: Vec::new() }
    }

    /// A wrong field or form.
    pub(crate) fn structure(at: &str, message: &str) -> Self {
        Self::new(Phase::Structure, "structure", at, message)
    }

    /// A name that means nothing here.
    pub(crate) fn name(code: &str, at: &str, message: &str) -> Self {
        Self::new(Phase::Names, code, at, message)
    }

    /// With what could have stood there.
    #[must_use]
    pub(crate) fn candidates<T: AsRef<str>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.candidates = names.into_iter().take(MOST_CANDIDATES).map(|name| name.as_ref().to_owned()).collect();
        self
    }
}
