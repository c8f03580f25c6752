//! The document of `eval`: outcomes and gates, in all, of simple wordings and by schema.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::outcome::{Effort, Gate, Outcome, Verdict};

/// Of simple wordings, so many have to be right.
const SIMPLE_RIGHT: f64 = 0.70;

/// Of all wordings, so many have to be right with a model.
const MODEL_RIGHT: f64 = 0.92;

/// Of all wordings, at most so many may be wrong in silence with a model; without one, none.
const MODEL_WRONG: f64 = 0.01;

/// Of wordings that have two readings, so many have to be asked about with a model.
const MODEL_ASKS: f64 = 0.95;

/// The document of `eval`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct EvaluationReport {
    /// The folder of the cases.
    pub(crate) folder: String,
    /// The model that read the sentences; absent if the offline grammar did.
    pub(crate) model: Option<String>,
    /// Whether simple wordings alone were tried.
    pub(crate) simple_alone: bool,
    /// Cases.
    pub(crate) cases: usize,
    /// All wordings.
    pub(crate) all: Score,
    /// Simple wordings.
    pub(crate) simple: Score,
    /// By schema.
    pub(crate) schemas: BTreeMap<String, Score>,
    /// Later questions of conversations.
    pub(crate) follow_ups: Score,
    /// Those that were not tried, since the question before had no right answer.
    pub(crate) follow_ups_not_tried: usize,
    /// What drafts and answers took.
    pub(crate) effort: EffortReport,
    /// How long everything took, in milliseconds.
    pub(crate) took_ms: u64,
    /// Targets that were missed.
    pub(crate) missed: Vec<Missed>,
    /// Wordings that are not right, if they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) failures: Vec<FailureReport>,
    /// Wordings that are right with a remark, such as a refusal for another reason.
    pub(crate) remarks: usize,
}

/// Outcomes and gates of some wordings.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub(crate) struct Score {
    /// How many there are.
    pub(crate) wordings: usize,
    /// How many ended how.
    pub(crate) outcomes: BTreeMap<Outcome, usize>,
    /// Gates.
    pub(crate) gates: BTreeMap<Gate, Rate>,
}

/// How many wordings pass a gate.
#[derive(Debug, Clone, Copy, Default, Serialize, JsonSchema)]
pub(crate) struct Rate {
    /// Those that pass.
    pub(crate) passed: usize,
    /// Those that are tried on it.
    pub(crate) of: usize,
}

/// What drafts and answers took.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub(crate) struct EffortReport {
    /// The median time to an outcome, in milliseconds.
    pub(crate) median_ms: u64,
    /// Answers of the model for a draft or an answer, on average.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rounds: Option<f64>,
    /// Tokens of drafts and answers, as far as they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tokens: Option<u64>,
    /// Their cost in billionths of a dollar, as far as it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cost_nanos: Option<u64>,
}

/// A target that was missed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Missed {
    /// What.
    pub(crate) what: String,
    /// The share that was reached.
    pub(crate) share: f64,
    /// The share that is wanted: at least, or at most.
    pub(crate) wanted: f64,
}

/// A wording that isn't right.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct FailureReport {
    /// The schema.
    pub(crate) schema: String,
    /// The case.
    pub(crate) case: String,
    /// Number of the wording, from 1.
    pub(crate) wording: usize,
    /// Whether it is a simple one.
    pub(crate) simple: bool,
    /// What became of it.
    pub(crate) outcome: Outcome,
    /// What differs.
    pub(crate) reason: Option<String>,
}

impl Rate {
    fn share(self) -> f64 {
        share(self.passed, self.of)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of wordings")]
fn share(some: usize, all: usize) -> f64 {
    if all == 0 { 0.0 } else { some as f64 / all as f64 }
}

impl Score {
    pub(crate) fn count(&self, outcome: Outcome) -> usize {
        self.outcomes.get(&outcome).copied().unwrap_or_default()
    }

    fn add(&mut self, verdict: &Verdict) {
        self.wordings += 1;
        *self.outcomes.entry(verdict.outcome).or_default() += 1;
        for (gate, passed) in &verdict.gates {
            let rate = self.gates.entry(*gate).or_default();
            rate.of += 1;
            rate.passed += usize::from(*passed);
        }
    }
}

/// A wording with its judgement.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    pub(super) schema: String,
    pub(super) case: String,
    pub(super) wording: usize,
    pub(super) simple: bool,
    pub(super) verdict: Verdict,
}

/// Everything that was tried.
#[derive(Debug, Clone)]
pub(super) struct Tried {
    pub(super) wordings: Vec<Judged>,
    /// Later questions; `None` for those that were not asked.
    pub(super) later: Vec<Option<Verdict>>,
}

/// What a report is of, beside its judgements.
#[derive(Debug, Clone)]
pub(super) struct About {
    pub(super) folder: String,
    pub(super) model: Option<String>,
    pub(super) simple_alone: bool,
    pub(super) failures: bool,
    pub(super) cases: usize,
    pub(super) took_ms: u64,
}

impl EvaluationReport {
    pub(super) fn of(about: About, tried: &Tried) -> Self {
        let judged = &tried.wordings;
        let (mut all, mut simple, mut follow_ups) = (Score::default(), Score::default(), Score::default());
        tried.later.iter().flatten().for_each(|verdict| follow_ups.add(verdict));
        let mut schemas: BTreeMap<String, Score> = BTreeMap::new();
        for one in judged {
            all.add(&one.verdict);
            schemas.entry(one.schema.clone()).or_default().add(&one.verdict);
            if one.simple {
                simple.add(&one.verdict);
            }
        }
        let is_right = |one: &&Judged| one.verdict.outcome == Outcome::Right;
        let failed = judged.iter().filter(|one| about.failures && !is_right(one)).map(|one| FailureReport {
            schema: one.schema.clone(),
            case: one.case.clone(),
            wording: one.wording,
            simple: one.simple,
            outcome: one.verdict.outcome,
            reason: one.verdict.reason.clone(),
        });
        let with_model = about.model.is_some();
        Self {
            missed: missed(&all, &simple, &follow_ups, with_model && !about.simple_alone),
            failures: failed.collect(),
            remarks: judged.iter().filter(|one| is_right(one) && one.verdict.reason.is_some()).count(),
            effort: EffortReport::of(judged, with_model),
            folder: about.folder,
            model: about.model,
            simple_alone: about.simple_alone,
            cases: about.cases,
            follow_ups_not_tried: tried.later.iter().filter(|verdict| verdict.is_none()).count(),
            took_ms: about.took_ms,
            all,
            simple,
            follow_ups,
            schemas,
        }
    }
}

/// Targets that were missed: those of a model over all wordings, or those of a careful controlled English.
fn missed(all: &Score, simple: &Score, follow_ups: &Score, as_model: bool) -> Vec<Missed> {
    let mut missed = Vec::new();
    let mut judge = |what: &str, share: f64, wanted: f64, is_met: bool| {
        if !is_met {
            missed.push(Missed { what: what.to_owned(), share, wanted });
        }
    };
    let silent = all.count(Outcome::SilentWrong) + follow_ups.count(Outcome::SilentWrong);
    let wrong = share(silent, all.wordings + follow_ups.wordings);
    if as_model {
        let right = share(all.count(Outcome::Right), all.wordings);
        judge("right", right, MODEL_RIGHT, right >= MODEL_RIGHT);
        judge("silent wrong", wrong, MODEL_WRONG, wrong <= MODEL_WRONG);
        let asks = all.gates.get(&Gate::MustAsk).filter(|rate| rate.of > 0).map(|rate| rate.share());
        asks.iter().for_each(|asks| judge("must-ask recall", *asks, MODEL_ASKS, *asks >= MODEL_ASKS));
    } else {
        let right = share(simple.count(Outcome::Right), simple.wordings);
        judge("simple wordings right", right, SIMPLE_RIGHT, simple.wordings == 0 || right >= SIMPLE_RIGHT);
        judge("silent wrong", wrong, 0.0, silent == 0);
    }
    missed
}

impl EffortReport {
    fn of(judged: &[Judged], with_model: bool) -> Self {
        let mut times: Vec<u64> = judged.iter().map(|one| one.verdict.effort.took_ms).collect();
        times.sort_unstable();
        let median_ms = times.get(times.len() / 2).copied().unwrap_or_default();
        let made: Vec<Effort> =
            judged.iter().map(|one| one.verdict.effort).filter(|effort| with_model && effort.rounds > 0).collect();
        let rounds = usize::try_from(made.iter().map(|effort| effort.rounds).sum::<u64>()).unwrap_or_default();
        let sum = |of: fn(&Effort) -> Option<u64>| {
            let known: Vec<u64> = made.iter().filter_map(of).collect();
            (!known.is_empty()).then(|| known.iter().sum())
        };
        Self {
            median_ms,
            rounds: (!made.is_empty()).then(|| share(rounds, made.len())),
            tokens: sum(|effort| effort.tokens),
            cost_nanos: sum(|effort| effort.cost_nanos),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(right: usize, wrong: usize, others: usize) -> Score {
        let outcomes = [(Outcome::Right, right), (Outcome::SilentWrong, wrong), (Outcome::NotUnderstood, others)];
        Score { wordings: right + wrong + others, outcomes: BTreeMap::from(outcomes), gates: BTreeMap::new() }
    }

    fn names(missed: Vec<Missed>) -> Vec<String> {
        missed.into_iter().map(|missed| missed.what).collect()
    }

    #[test]
    fn without_a_model_most_simple_wordings_are_right_and_nothing_is_wrong_in_silence() {
        assert_eq!(names(missed(&score(7, 0, 30), &score(7, 0, 3), &Score::default(), false)), Vec::<String>::new());
        assert_eq!(
            names(missed(&score(6, 0, 30), &score(6, 0, 4), &Score::default(), false)),
            ["simple wordings right"]
        );
        assert_eq!(names(missed(&score(7, 1, 30), &score(7, 0, 3), &Score::default(), false)), ["silent wrong"]);
    }

    #[test]
    fn with_a_model_nearly_all_wordings_are_right_and_hardly_any_is_wrong_in_silence() {
        assert_eq!(names(missed(&score(93, 1, 6), &score(0, 0, 0), &Score::default(), true)), Vec::<String>::new());
        assert_eq!(
            names(missed(&score(90, 2, 8), &score(0, 0, 0), &Score::default(), true)),
            ["right", "silent wrong"]
        );
    }
}
