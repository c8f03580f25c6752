//! What became of one wording.

use std::collections::BTreeMap;

use headwater_assistant::{CompileReport, Refusal};
use schemars::JsonSchema;
use serde::Serialize;

/// Something that has to hold of a wording, with a rate of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Gate {
    /// It became a draft.
    Draft,
    /// The draft can be planned.
    Plans,
    /// Its runs succeed, or stop where a check has to stop them.
    Runs,
    /// The targets have gold's rows.
    RightRows,
    /// So they have on hostile data.
    RightOnHostileData,
    /// So they have after changes and a second run.
    RightOnSecondRun,
    /// It reads, loads and does nothing that the sentence doesn't say.
    NothingUnasked,
    /// Its schedule is the sentence's.
    Schedule,
    /// Its rules are the sentence's.
    Checks,
    /// All of these.
    Shippable,
    /// An answer has gold's rows.
    RightAnswer,
    /// So it has on hostile data.
    RightAnswerOnHostileData,
    /// What Headwater doesn't do is refused.
    RightRefusal,
    /// What doesn't execute yet is said, with the words that asked for it.
    RightNotYet,
    /// What has two readings is asked, with the words that tell them apart.
    MustAsk,
    /// The tables that have to be read are among those whose columns a model would be shown.
    Retrieved,
}

impl Gate {
    /// Gates of a sentence that has to become a draft.
    pub(super) const DRAFT: [Self; 10] = [
        Self::Draft,
        Self::Plans,
        Self::Runs,
        Self::RightRows,
        Self::RightOnHostileData,
        Self::RightOnSecondRun,
        Self::NothingUnasked,
        Self::Schedule,
        Self::Checks,
        Self::Shippable,
    ];

    /// Gates of a question that has to be answered.
    pub(super) const ANSWER: [Self; 2] = [Self::RightAnswer, Self::RightAnswerOnHostileData];

    /// In words.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "a draft",
            Self::Plans => "plans",
            Self::Runs => "runs",
            Self::RightRows => "right rows",
            Self::RightOnHostileData => "right on hostile data",
            Self::RightOnSecondRun => "right on the second run",
            Self::NothingUnasked => "nothing unasked",
            Self::Schedule => "schedule",
            Self::Checks => "checks",
            Self::Shippable => "shippable",
            Self::RightAnswer => "ask: right rows",
            Self::RightAnswerOnHostileData => "ask: right on hostile data",
            Self::RightRefusal => "right refusal",
            Self::RightNotYet => "right not yet",
            Self::MustAsk => "must-ask recall",
            Self::Retrieved => "tables retrieved",
        }
    }
}

/// What became of a wording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// Everything holds.
    Right,
    /// It was not understood, or the draft itself says what it lacks.
    NotUnderstood,
    /// Something was asked that needs no answer, or something else than was due.
    AskedNeedlessly,
    /// It was refused, or said not to execute, without need.
    RefusedNeedlessly,
    /// Something else came, and nothing says so.
    SilentWrong,
    /// It failed: a crash, a draft that doesn't plan, a run that doesn't succeed.
    Error,
}

impl Outcome {
    /// Every outcome.
    pub(crate) const ALL: [Self; 6] = [
        Self::Right,
        Self::NotUnderstood,
        Self::AskedNeedlessly,
        Self::RefusedNeedlessly,
        Self::SilentWrong,
        Self::Error,
    ];

    /// In words.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::NotUnderstood => "not understood",
            Self::AskedNeedlessly => "asked needlessly",
            Self::RefusedNeedlessly => "refused needlessly",
            Self::SilentWrong => "silent wrong",
            Self::Error => "error",
        }
    }
}

/// What making a draft or an answer took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Effort {
    pub(super) took_ms: u64,
    /// Answers of a model; 0 if none was asked, or if nothing came of it.
    pub(super) rounds: u64,
    pub(super) tokens: Option<u64>,
    pub(super) cost_nanos: Option<u64>,
}

/// The judgement of a wording.
#[derive(Debug, Clone)]
pub(super) struct Verdict {
    pub(super) outcome: Outcome,
    /// What differs, or a remark on what is right.
    pub(super) reason: Option<String>,
    /// Gates that it is tried on, and whether it passed.
    pub(super) gates: BTreeMap<Gate, bool>,
    pub(super) effort: Effort,
}

impl Verdict {
    /// Of a wording that is tried on these gates and has passed none yet.
    pub(super) fn on(gates: &[Gate]) -> Self {
        let gates = gates.iter().map(|gate| (*gate, false)).collect();
        Self { outcome: Outcome::Error, reason: None, gates, effort: Effort::default() }
    }

    /// Sets a gate that it is tried on.
    pub(super) fn set(&mut self, gate: Gate, passed: bool) {
        if let Some(entry) = self.gates.get_mut(&gate) {
            *entry = passed;
        }
    }

    /// The same, at its end.
    pub(super) fn end(self, outcome: Outcome, reason: impl Into<Option<String>>) -> Self {
        Self { outcome, reason: reason.into(), ..self }
    }

    /// The same, right.
    pub(super) fn right(self) -> Self {
        self.end(Outcome::Right, None::<String>)
    }
}

/// What came instead of a draft, in words, and how that counts.
pub(super) fn instead_of_a_draft(report: &CompileReport) -> (Outcome, String) {
    match report {
        CompileReport::Draft(_) => (Outcome::SilentWrong, "it became a draft".to_owned()),
        CompileReport::Question(asked) => (Outcome::AskedNeedlessly, format!("it was asked: {}", asked.question.text)),
        CompileReport::Refusal(refusal) => (Outcome::RefusedNeedlessly, refused(refusal)),
        CompileReport::NotYet { feature, quote } => {
            (Outcome::RefusedNeedlessly, format!("it was said that {feature} does not execute yet: '{quote}'"))
        }
        CompileReport::NotUnderstood(words) => {
            (Outcome::NotUnderstood, format!("'{}' was not understood; expected {}", words.quote, words.expected))
        }
    }
}

/// A refusal in words.
pub(super) fn refused(refusal: &Refusal) -> String {
    format!("it was refused: {}", refusal.message)
}
