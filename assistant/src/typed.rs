//! The typed plan: all that a model can fill in. It names tables and columns by ids, has only kinds and fields that execute, and becomes a spec by code.
//!
//! [`schema`] makes its schema from the types of specs, [`compile`](compile::compile) a spec of it, and [`lift`](lift::lift) a typed plan of a spec.

mod blocks;
mod compile;
mod directed;
mod fault;
mod functions;
#[cfg(test)]
#[path = "../../pipelines/tests/suite/generator.rs"]
#[allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "shared with the tests of specs")]
pub(crate) mod generator;
mod lift;
mod modes;
mod nodes;
mod ordered;
mod said;
mod schema;
mod size;
mod sql;
mod strict;
mod target;
#[cfg(test)]
mod tests;

use headwater_pipelines::spec::{Param, Schedule, Stream};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use compile::{Compiled, Frame, compile};
pub use fault::{Fault, Phase};
pub(crate) use lift::{Lifted, lift};
pub(crate) use modes::{Fresh, asks_for_fresh, asks_for_keys};
pub(crate) use ordered::unasked;
pub(crate) use said::{Said, is_joining};
pub(crate) use schema::{Form, Ids, REPLY, reply_schema, target_id};
pub use schema::{executing_schema, model_schema};
pub(crate) use sql::{column_word, statement};

use crate::draft::Refusal;

/// What a model answers to a prompt: the contract first, then what it makes of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reply {
    /// What the person asks for, before anything is planned.
    pub(crate) contract: Contract,
    /// What becomes of it.
    pub(crate) outcome: PlanOutcome,
    /// The tasks of a draft; none for any other outcome.
    pub(crate) tasks: Vec<Value>,
}

impl Reply {
    /// An answer, if it has the form that was asked for.
    pub(crate) fn read(answer: &Value) -> Result<Self, Fault> {
        let mut reply: Self = REPLY.read(answer)?;
        if let PlanOutcome::Draft(plan) = &mut reply.outcome {
            plan.tasks = std::mem::take(&mut reply.tasks);
        }
        Ok(reply)
    }

    /// A plan as a model would have answered it.
    pub(crate) fn write(contract: Contract, mut plan: TypedPlan) -> Value {
        let tasks = std::mem::take(&mut plan.tasks);
        REPLY.write(&Self { contract, outcome: PlanOutcome::Draft(Box::new(plan)), tasks })
    }
}

/// What the person asks for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contract {
    /// Every wish of the prompt: sources, columns, filters, joins, sums, target, write mode, schedule, checks. Together they cover all of its words.
    pub(crate) requirements: Vec<Wish>,
    /// The columns of each target.
    pub(crate) targets: Vec<TargetShape>,
    /// What is taken for granted where two readings would load the same rows, in the prompt's language.
    pub(crate) assumptions: Vec<String>,
}

/// One wish of the prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    /// Its words, copied from the prompt letter by letter.
    pub(crate) quote: String,
    /// What it means, in the prompt's language.
    pub(crate) meaning: String,
}

/// What a target's rows are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetShape {
    /// The load that writes it.
    pub(crate) load: String,
    /// Its columns in order.
    pub(crate) columns: Vec<String>,
    /// The columns that tell two rows apart; none if nothing does.
    pub(crate) grain: Vec<String>,
}

/// What becomes of a prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum PlanOutcome {
    /// A pipeline.
    Draft(Box<TypedPlan>),
    /// Two readings would load different rows: the one question that decides.
    Question(ModelQuestion),
    /// Headwater does not do it: it would change a source, is in no table, or asks for a secret.
    Refusal(Refusal),
    /// It needs what no field of a draft has, such as the history of rows.
    NotYet(Missing),
}

/// A question to the person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelQuestion {
    /// The question, in the prompt's language.
    pub(crate) text: String,
    /// Its answers: two to five.
    pub(crate) choices: Vec<String>,
}

/// What does not execute yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Missing {
    /// What it is called.
    pub(crate) feature: MissingFeature,
    /// The words that ask for it, copied from the prompt letter by letter.
    pub(crate) quote: String,
}

/// What a person may ask for and no draft has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MissingFeature {
    /// The history of rows is kept.
    Scd2,
    /// People are told.
    Notify,
    /// A request to a web service.
    Http,
    /// Anything else.
    Other,
}

impl MissingFeature {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Scd2 => "scd2",
            Self::Notify => "notify",
            Self::Http => "http",
            Self::Other => "this",
        }
    }
}

/// What a model answers to a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskReply {
    /// What becomes of it.
    pub(crate) outcome: AskOutcome,
}

/// What becomes of a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum AskOutcome {
    /// The SELECT that answers it.
    Statement(ModelStatement),
    /// Two readings would give different rows: the one question that decides.
    Question(ModelQuestion),
    /// Headwater does not answer it: it would change rows, is in no table, or asks for a secret.
    Refusal(Refusal),
}

/// A SELECT.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ModelStatement {
    /// One SELECT over table ids.
    pub(crate) sql: String,
    /// What is taken for granted, in the question's language.
    pub(crate) assumptions: Vec<String>,
}

/// A pipeline as a flat list of tasks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct TypedPlan {
    /// Name of the pipeline, from the prompt's words: letters, digits and underscores.
    pub(crate) name: String,
    /// What it is for, in the prompt's language.
    pub(crate) description: Option<String>,
    /// Parameters, used as `$name` in SQL; only those that the prompt asks for.
    #[serde(default)]
    pub(crate) params: IndexMap<String, Param>,
    /// Places of the requirements that its name, schedule, stream and parameters meet, from 0.
    #[serde(default)]
    pub(crate) asked_by: Vec<usize>,
    /// When it runs; null unless the prompt says so.
    pub(crate) schedule: Option<Schedule>,
    /// Lets it run until it is stopped, and follow its cursors; null unless the prompt says so.
    pub(crate) stream: Option<Stream>,
    /// The tasks. They stand beside the outcome in an answer: providers limit how deep a schema is nested.
    #[serde(skip)]
    pub(crate) tasks: Vec<Value>,
}

/// Cases of a property, with a seed that is fixed and printed unless PROPTEST_RNG_SEED gives another.
#[cfg(test)]
pub(crate) fn seeded(cases: u32) -> proptest::test_runner::Config {
    use proptest::test_runner::{Config, RngSeed};
    let given = Config::default();
    let rng_seed = match given.rng_seed {
        RngSeed::Random => RngSeed::Fixed(20_261_126),
        fixed => fixed,
    };
    eprintln!("PROPTEST_RNG_SEED={rng_seed}");
    Config { cases, rng_seed, failure_persistence: None, ..given }
}
