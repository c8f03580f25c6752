//! What callers ask and get.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::allowance::Allowance;
use super::money::Money;

/// Why a model is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// A sentence becomes a draft.
    Compile,
    /// A question becomes a statement.
    Ask,
    /// A failed run is explained.
    Explain,
    /// A case of the evaluation.
    Eval,
    /// A person checks the model.
    Check,
}

/// Inside of which an answer may be given again. The server sets all of it, never the person and never a model.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Scope {
    /// Whose money and whose answers.
    pub workspace: String,
    /// Who asks; a budget and a row are theirs. Answers are shared by people with the same grants.
    pub person: String,
    /// Hash of what the person may see.
    pub grants: String,
    /// The feature that asks, e.g. `compile.plan`.
    pub feature: String,
    /// Hash of the prompt's files.
    pub prompt_version: String,
    /// Hash of the catalog's snapshot.
    pub snapshot: String,
    /// Hash of masks, samples, contract and allowed variables.
    pub policy: String,
}

/// Who says a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The person, and what code adds for them.
    User,
    /// The model, earlier.
    Assistant,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Turn {
    /// Who says it.
    pub role: Role,
    /// What is said.
    #[serde(rename = "content")]
    pub text: String,
}

impl Turn {
    /// A turn of the person.
    #[must_use]
    pub fn user(text: impl Into<String>) -> Self {
        Self { role: Role::User, text: text.into() }
    }

    /// A turn of the model.
    #[must_use]
    pub fn assistant(text: impl Into<String>) -> Self {
        Self { role: Role::Assistant, text: text.into() }
    }
}

/// The shape of an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shape {
    /// Its name: letters, digits, `_` and `-`.
    pub name: String,
    /// A JSON Schema in the subset that every provider takes: all fields required, no further ones, `anyOf` alone, no recursion.
    pub schema: Value,
}

/// One question to a model.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who asks, inside of which scope.
    pub scope: Scope,
    /// Why.
    pub why: Why,
    /// The model by its name in the settings; the assistant's if absent.
    pub model: Option<String>,
    /// What the model is to do.
    pub system: String,
    /// The conversation, which begins and ends with the person.
    pub turns: Vec<Turn>,
    /// The shape of the answer.
    pub shape: Shape,
    /// The longest answer, in tokens; the model's own limit if absent or smaller.
    pub max_output: Option<u32>,
    /// What the person's request may still use; a fresh one if absent.
    pub allowance: Option<Allowance>,
}

/// The part of a request that a model sees.
#[derive(Serialize)]
struct Seen<'a> {
    system: &'a str,
    turns: &'a [Turn],
    shape: &'a Shape,
    max_output: Option<u32>,
}

impl Request {
    /// SHA-256 of what a model sees of it, in hexadecimal digits. Recordings are found by it.
    #[must_use]
    pub fn hash(&self) -> String {
        hex::encode(self.digest([]))
    }

    /// What a model sees of it, as JSON.
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.seen()).unwrap_or_default()
    }

    fn seen(&self) -> Vec<u8> {
        let seen = Seen { system: &self.system, turns: &self.turns, shape: &self.shape, max_output: self.max_output };
        // Texts, numbers and JSON values always serialise.
        serde_json::to_vec(&seen).unwrap_or_default()
    }

    /// SHA-256 of what a model sees of it after further texts. Each part is preceded by its length, so that no two lists collide.
    pub(super) fn digest<'a>(&self, before: impl IntoIterator<Item = &'a str>) -> [u8; 32] {
        let mut hasher = Sha256::new();
        let mut add = |part: &[u8]| {
            hasher.update(part.len().to_le_bytes());
            hasher.update(part);
        };
        before.into_iter().for_each(|part| add(part.as_bytes()));
        add(&self.seen());
        hasher.finalize().into()
    }
}

/// Tokens of one or several calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Of the request, without those of the provider's cache.
    pub input: u64,
    /// Of the request, read from the provider's cache.
    pub cached: u64,
    /// Of the request, written to the provider's cache.
    pub cache_write: u64,
    /// Of the answer, with those of reasoning.
    pub output: u64,
    /// Of the answer, those that the model thought in.
    pub reasoning: u64,
}

impl Usage {
    /// Whether a request can have that many tokens. A server that says more counts nothing that can be charged or summed.
    pub(super) fn is_possible(&self) -> bool {
        [self.input, self.cached, self.cache_write, self.output, self.reasoning]
            .iter()
            .all(|count| *count <= MOST_TOKENS)
    }
}

/// More tokens than any model takes.
const MOST_TOKENS: u64 = 100_000_000;

/// Where an answer is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A model gave it now.
    Model,
    /// It was given earlier to an equal request in the same scope.
    Cache,
    /// It was recorded.
    Replay,
}

/// A document of the requested shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The document. It is data from a stranger: what it names must be resolved, and what it says be checked.
    pub document: Value,
    /// The model's name in the settings.
    pub model: String,
    /// Tokens of the call that gave it; `None` if the server doesn't count.
    pub usage: Option<Usage>,
    /// What that call cost; `None` if no price or no usage is known.
    pub cost: Option<Money>,
    /// Where it is from.
    pub origin: Origin,
    /// The row of the call.
    pub id: uuid::Uuid,
}

impl Answer {
    /// Whether no model was called.
    #[must_use]
    pub fn from_cache(&self) -> bool {
        self.origin != Origin::Model
    }
}

/// What a caller learns while it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// A call starts; text of an earlier one no longer counts.
    Started {
        /// The model's name in the settings.
        model: &'a str,
        /// Calls so far, with this one.
        call: u32,
    },
    /// A part of the answer's text, to show that something happens. It is no answer.
    Text(&'a str),
    /// The provider is busy: the next call starts after a pause.
    Waiting(std::time::Duration),
}

/// Takes no notice of progress.
pub fn silent(_: Progress<'_>) {}
