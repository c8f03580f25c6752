//! Sentences and questions with a model: what it is shown, what its answers become, and what is sent back to it.
//!
//! A model fills in a typed plan or a SELECT over ids. Code resolves, checks and plans it; mistakes go back as typed faults, at most [`REPAIRS`] times.

mod ask;
mod compile;
mod increments;
#[cfg(test)]
mod injection;
mod proofs;
mod show;
mod sources;
mod verify;

use std::collections::BTreeSet;
use std::sync::Arc;

use headwater_operations::{ErrorKind, Making, OperationError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub(crate) use ask::{Ask, ask};
pub(crate) use compile::{Compile, compile};

use crate::draft::{Choice, Outcome};
use crate::face::Watcher;
use crate::gateway::{Allowance, Answer, Failure, Gateway, Request, Scope, Shape, Turn, Why};
use crate::typed::Fault;

/// How often faults are sent back.
const REPAIRS: usize = 3;

/// The most answers that a question offers, and their length in characters.
const MOST_CHOICES: usize = 5;
const LONGEST_CHOICE: usize = 200;

/// The prompts, each versioned by its text.
const COMPILE: &str = include_str!("../prompts/compile.md");
const ASK: &str = include_str!("../prompts/ask.md");
const REPAIR: &str = include_str!("../prompts/repair.md");

/// How an outcome came about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trail {
    /// The model by its name in the settings.
    pub model: String,
    /// SHA-256 of the prompt's text.
    pub prompt_version: String,
    /// Answers of the model, the last included.
    pub rounds: u32,
    /// Tokens of its requests, those of the provider's cache included; absent if the server does not count.
    pub input_tokens: Option<u64>,
    /// Tokens of its answers.
    pub output_tokens: Option<u64>,
    /// What it cost in thousand millionths of a dollar; absent if no price is known.
    pub cost_nanos: Option<u64>,
    /// Tables whose columns the model saw.
    pub shown_tables: usize,
    /// Tables that were left out of what it saw.
    pub left_out_tables: usize,
}

impl Trail {
    /// As a draft's record has it.
    pub(crate) fn making(self) -> Making {
        let tokens = self.input_tokens.zip(self.output_tokens).map(|(input, output)| input.saturating_add(output));
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        Making {
            model: Some(self.model),
            prompt_version: Some(self.prompt_version),
            rounds: i32::try_from(self.rounds).unwrap_or(i32::MAX),
            tokens: tokens.map(number),
            cost_nanos: self.cost_nanos.map(number),
            took_ms: 0,
        }
    }
}

/// What a model made of it, and how.
pub(crate) struct Made<T> {
    pub(crate) outcome: Outcome<T>,
    pub(crate) trail: Trail,
}

/// Why a model gave nothing that can be shown.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The gateway got no document.
    #[error(transparent)]
    Gateway(#[from] Failure),
    /// Something else failed.
    #[error(transparent)]
    Operation(#[from] OperationError),
    /// No answer could be read as what was asked for.
    #[error("after {rounds} answers, model '{model}' gave none that can be used: {}", first(.faults))]
    NoDraft {
        /// The model.
        model: String,
        /// Its answers.
        rounds: u32,
        /// What is wrong with the last one.
        faults: Vec<Fault>,
    },
}

impl From<ModelError> for OperationError {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Operation(error) => error,
            ModelError::Gateway(failure) => {
                let kind = match &failure {
                    Failure::Down { .. }
                    | Failure::RateLimited { .. }
                    | Failure::TooSlow { .. }
                    | Failure::Cut { .. }
                    | Failure::OverBudget { .. }
                    | Failure::Ledger { .. } => ErrorKind::Unavailable,
                    Failure::Invalid { .. } => ErrorKind::Bug,
                    _ => ErrorKind::Invalid,
                };
                let hint = failure.next_step();
                Self::new(kind, failure).hint(hint)
            }
            error @ ModelError::NoDraft { .. } => {
                Self::new(ErrorKind::Invalid, error).hint("say it in other words or in fewer, or choose another model")
            }
        }
    }
}

fn first(faults: &[Fault]) -> String {
    let more = faults.len().saturating_sub(1);
    let behind = if more == 0 { String::new() } else { format!(" ({more} more)") };
    faults.first().map_or_else(String::new, |fault| format!("{}: {}{behind}", fault.at, fault.message))
}

/// One conversation with a model about one request of a person.
pub(crate) struct Talk<'a> {
    gateway: &'a Gateway,
    scope: Scope,
    why: Why,
    model: Option<String>,
    system: &'static str,
    shape: Shape,
    turns: Vec<Turn>,
    allowance: Allowance,
    watcher: &'a dyn Watcher,
    trail: Trail,
}

/// What talks have in common.
pub(crate) struct Opening<'a> {
    pub(crate) gateway: &'a Arc<Gateway>,
    pub(crate) scope: Scope,
    pub(crate) model: Option<String>,
    pub(crate) watcher: &'a dyn Watcher,
}

impl<'a> Talk<'a> {
    fn new(opening: Opening<'a>, why: Why, system: &'static str, shape: Shape, turns: Vec<Turn>) -> Self {
        let Opening { gateway, mut scope, model, watcher } = opening;
        scope.prompt_version = version(system);
        let trail = Trail { prompt_version: scope.prompt_version.clone(), ..Trail::default() };
        Self { gateway, why, model, system, shape, turns, allowance: gateway.allowance(), watcher, trail, scope }
    }

    /// The model's next answer.
    async fn answer(&mut self) -> Result<serde_json::Value, Failure> {
        let request = Request {
            scope: self.scope.clone(),
            why: self.why,
            model: self.model.clone(),
            system: self.system.trim_end().to_owned(),
            turns: self.turns.clone(),
            shape: self.shape.clone(),
            max_output: None,
            allowance: Some(self.allowance.clone()),
        };
        let answer = self.gateway.answer(request, &|progress| self.watcher.saw(progress)).await?;
        self.count(&answer);
        Ok(answer.document)
    }

    fn count(&mut self, answer: &Answer) {
        let trail = &mut self.trail;
        let is_first = trail.rounds == 0;
        let add = |so_far: Option<u64>, more: Option<u64>| match is_first {
            true => more,
            false => Some(so_far?.saturating_add(more?)),
        };
        trail.model.clone_from(&answer.model);
        trail.rounds += 1;
        trail.input_tokens =
            add(trail.input_tokens, answer.usage.map(|usage| usage.input + usage.cached + usage.cache_write));
        trail.output_tokens = add(trail.output_tokens, answer.usage.map(|usage| usage.output));
        trail.cost_nanos = add(trail.cost_nanos, answer.cost.map(|cost| cost.0));
    }

    /// Sends faults back.
    fn object(&mut self, document: &serde_json::Value, faults: &[Fault]) {
        let listed = serde_json::to_string_pretty(faults).unwrap_or_default();
        self.turns.push(Turn::assistant(document.to_string()));
        self.turns.push(Turn::user(format!("{REPAIR}\n{listed}")));
    }

    fn unusable(self, faults: Vec<Fault>) -> ModelError {
        ModelError::NoDraft { model: self.trail.model, rounds: self.trail.rounds, faults }
    }
}

/// A prompt with the answer that the person chose behind it. The question's own text is a model's, and must not count as the person's words.
fn answered(prompt: &str, answer: &str) -> String {
    format!("{prompt}\n({})", answer.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The answers that a model offers: two to five short ones, each another one. Text of catalogs may be in them, and they are shown on terminals.
fn choices(texts: &[String], at: &str, sentence: impl Fn(&str) -> String) -> Result<Vec<Choice>, Fault> {
    let distinct: BTreeSet<&String> = texts.iter().collect();
    let is_short = |text: &&String| {
        (1..=LONGEST_CHOICE).contains(&text.trim().chars().count()) && !text.chars().any(char::is_control)
    };
    if !(2..=MOST_CHOICES).contains(&texts.len()) || distinct.len() < texts.len() || !distinct.iter().all(is_short) {
        let message = format!(
            "a question has two to {MOST_CHOICES} different answers of at most {LONGEST_CHOICE} characters on one line"
        );
        return Err(Fault::structure(at, &message));
    }
    Ok(texts.iter().map(|text| Choice { text: text.clone(), sentence: sentence(text) }).collect())
}

/// Text that is data and no words of the person: in quotes, and without signs that begin or end an element.
fn data(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('<', "\\u003c")
}

fn version(prompt: &str) -> String {
    hex::encode(Sha256::digest(prompt))
}

/// Whether another answer is worth asking for: there is room, and the last faults differ from all earlier ones.
struct Rounds {
    earlier: Vec<Vec<Fault>>,
}

impl Rounds {
    fn new() -> Self {
        Self { earlier: Vec::new() }
    }

    fn may_repair(&mut self, faults: &[Fault]) -> bool {
        let is_new = !self.earlier.iter().any(|earlier| earlier == faults);
        self.earlier.push(faults.to_vec());
        is_new && self.earlier.len() <= REPAIRS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_has_a_few_short_answers_that_differ() {
        let of = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            choices(&texts, "choices", |text| format!("say {text}")).is_ok()
        };
        assert!(of(&["one", "two"]) && of(&["1", "2", "3", "4", "5"]));
        let long = "x".repeat(201);
        for texts in [
            &["one"][..],
            &[],
            &["one", "one"],
            &["1", "2", "3", "4", "5", "6"],
            &["one", &long],
            &["one", "a\u{1b}[2J"],
            &["one", " "],
        ] {
            assert!(!of(texts), "{texts:?}");
        }
    }
}
