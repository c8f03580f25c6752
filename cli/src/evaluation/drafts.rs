//! Sentences that have to become a draft, a question, a refusal or a `not_yet`.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Instant;

use anyhow::Result;
use chrono::{DateTime, Utc};
use headwater_assistant::{Asked, CompileReport, DraftReport, QuestionReport};
use headwater_operations::MakingReport;
use headwater_pipelines::plan::TableRef;

use super::bench::{Bench, Data};
use super::case::{Case, CaseKind, Expects, FollowUp, Part, Wording};
use super::gold::{Golds, golds};
use super::loads::Loaded;
use super::outcome::{Effort, Gate, Outcome, Verdict, instead_of_a_draft};
use super::sketch::Sketch;
use super::suite::Schema;
use super::{checks, choice, schedules, sources};

/// The clock of a case for which any time will do, so that the requests of two evaluations are equal: 2026-01-15 09:00 UTC.
const ANY_TIME: DateTime<Utc> = DateTime::from_timestamp_nanos(1_768_467_600_000_000_000);

/// A case that is being tried.
pub(super) struct Trial<'a> {
    pub(super) bench: &'a mut Bench,
    pub(super) schema: &'a Schema,
    pub(super) name: &'a str,
    pub(super) case: &'a Case,
    pub(super) parts: Vec<Part>,
    pub(super) model: Option<String>,
    pub(super) offline: bool,
    /// Verdicts on later questions of the conversations so far; `None` where the question before had no right answer.
    pub(super) later: Vec<Option<Verdict>>,
    /// Gold by part and data set, as far as it was needed.
    golds: BTreeMap<(usize, Data), Rc<Golds>>,
}

impl<'a> Trial<'a> {
    pub(super) fn new(
        bench: &'a mut Bench,
        schema: &'a Schema,
        (name, case): (&'a str, &'a Case),
        (model, offline): (Option<String>, bool),
    ) -> Self {
        // The results of later questions come behind the case's own.
        let parts = case.parts().into_iter().chain(case.follow_ups.iter().map(FollowUp::part)).collect();
        Self { bench, schema, name, case, parts, model, offline, later: Vec::new(), golds: BTreeMap::new() }
    }

    /// Tries a wording. What the evaluation itself can't do is an error of the wording, so that the others are tried.
    pub(super) async fn judge(&mut self, wording: &Wording) -> Verdict {
        let gates = self.gates();
        let judged = match self.case.kind {
            CaseKind::Compile => self.compile(wording, &gates).await,
            CaseKind::Ask => self.ask(wording, &gates).await,
        };
        judged.unwrap_or_else(|error| Verdict::on(&gates).end(Outcome::Error, format!("{error:#}")))
    }

    fn gates(&self) -> Vec<Gate> {
        let of_kind = || match self.case.kind {
            CaseKind::Compile => Gate::DRAFT.to_vec(),
            CaseKind::Ask => Gate::ANSWER.to_vec(),
        };
        let mut gates = match self.case.expects {
            Expects::Draft | Expects::Answer => of_kind(),
            Expects::Question => [vec![Gate::MustAsk], of_kind()].concat(),
            Expects::Refusal => vec![Gate::RightRefusal],
            Expects::NotYet => vec![Gate::RightNotYet],
        };
        let twice = self.parts.iter().any(|part| part.gold_second.is_some());
        gates.retain(|gate| twice || *gate != Gate::RightOnSecondRun);
        if !self.case.sources.is_empty() {
            gates.push(Gate::Retrieved);
        }
        gates
    }

    /// Whether retrieval shows the tables that have to be read.
    pub(super) async fn retrieved(&self, verdict: &mut Verdict, text: &str) -> Result<()> {
        let wanted = sources::wanted(self.case, &self.schema.name)?;
        let shown = self.bench.assistant.retrieved(&self.bench.context.actor, &self.asked(text)).await?;
        let is_shown = |table: &TableRef| shown.contains(&(table.connection.clone(), table.path.clone()));
        verdict.set(Gate::Retrieved, wanted.iter().all(is_shown));
        Ok(())
    }

    /// The wording as the person says it.
    pub(super) fn asked(&self, text: &str) -> Asked {
        let named = !self.case.connections.is_empty();
        Asked {
            text: text.to_owned(),
            on: if named { self.case.connections.clone() } else { vec![self.schema.name.clone()] },
            zone: Some(self.case.zone()),
            now: self.case.now.unwrap_or(ANY_TIME),
            model: self.model.clone(),
            offline: self.offline,
            edit: None,
        }
    }

    /// Gold of a part on a data set.
    pub(super) async fn gold(&mut self, part: usize, data: Data) -> Result<Rc<Golds>> {
        if let Some(known) = self.golds.get(&(part, data)) {
            return Ok(Rc::clone(known));
        }
        let url = self.bench.pristine(self.schema, data)?;
        let found = Rc::new(golds(&url, self.case, &self.parts[part], &self.schema.changes).await?);
        self.golds.insert((part, data), Rc::clone(&found));
        Ok(found)
    }

    async fn compile(&mut self, wording: &Wording, gates: &[Gate]) -> Result<Verdict> {
        self.bench.stand(self.schema, self.name, self.case, Data::Plausible).await?;
        let mut verdict = Verdict::on(gates);
        self.retrieved(&mut verdict, &wording.text).await?;
        let start = Instant::now();
        let report = self.bench.assistant.compile(&self.bench.context.actor, &self.asked(&wording.text)).await;
        verdict.effort.took_ms = millis(start);
        let report = report?;
        let (outcome, told) = instead_of_a_draft(&report);
        Ok(match (self.case.expects, report) {
            (Expects::Draft, CompileReport::Draft(draft)) => self.draft(verdict, *draft).await?,
            (Expects::Question, CompileReport::Question(question)) => self.answered(verdict, question).await?,
            (Expects::Question, CompileReport::Draft(_)) => {
                verdict.end(Outcome::SilentWrong, "it became a draft without the question".to_owned())
            }
            (Expects::Refusal, CompileReport::Refusal(refusal)) => {
                verdict.set(Gate::RightRefusal, true);
                let other = self.case.refusal.filter(|wanted| *wanted != refusal.reason);
                verdict.end(
                    Outcome::Right,
                    other.map(|wanted| format!("the reason is {:?} instead of {wanted:?}", refusal.reason)),
                )
            }
            (Expects::NotYet, CompileReport::NotYet { feature, quote }) => {
                let fits = self.case.not_yet.contains(&feature) && !quote.is_empty() && wording.text.contains(&quote);
                verdict.set(Gate::RightNotYet, fits);
                match fits {
                    true => verdict.right(),
                    false => verdict.end(Outcome::RefusedNeedlessly, told),
                }
            }
            (Expects::NotYet, CompileReport::Draft(draft)) => self.stronger(verdict, *draft).await?,
            _ => verdict.end(outcome, told),
        })
    }

    /// Gives the person's answer to a question, and judges what comes then.
    async fn answered(&mut self, mut verdict: Verdict, asked: QuestionReport) -> Result<Verdict> {
        let QuestionReport { draft_id, question } = asked;
        let Some(asking) = &self.case.question else { return Ok(verdict) };
        if !choice::asks_about(&question, &asking.about) {
            return Ok(verdict.end(Outcome::AskedNeedlessly, format!("something else was asked: {}", question.text)));
        }
        verdict.set(Gate::MustAsk, true);
        let Some(place) = choice::chosen(&question, &asking.answer) else {
            let told = format!("no one choice is the answer '{}': {}", asking.answer, question.text);
            return Ok(verdict.end(Outcome::AskedNeedlessly, told));
        };
        let start = Instant::now();
        let number = (place + 1).to_string();
        let report = self.bench.assistant.answer(&self.bench.context.actor, draft_id, &number).await;
        verdict.effort.took_ms += millis(start);
        match report? {
            CompileReport::Draft(draft) => self.draft(verdict, *draft).await,
            other => {
                let (outcome, told) = instead_of_a_draft(&other);
                Ok(verdict.end(outcome, format!("after the answer: {told}")))
            }
        }
    }

    /// A draft of what does not execute yet is a silent wrong, unless it executes by now.
    async fn stronger(&mut self, verdict: Verdict, draft: DraftReport) -> Result<Verdict> {
        let lacks = self.sketch(&draft).await?.lacks(&self.case.not_yet).cloned();
        if let Some(feature) = lacks {
            return Ok(verdict.end(Outcome::SilentWrong, format!("it became a draft without {feature}")));
        }
        let mut judged = self.draft(verdict, draft).await?;
        let is_right = judged.outcome == Outcome::Right;
        judged.set(Gate::RightNotYet, is_right);
        Ok(judged)
    }

    async fn sketch(&self, draft: &DraftReport) -> Result<Sketch> {
        let known = self.bench.context.operations.connections(&self.bench.context.actor).await?.connections;
        let names: BTreeSet<String> = known.into_iter().map(|connection| connection.name).collect();
        Sketch::of(&draft.text, &names)
    }

    /// Judges a draft where one is due.
    async fn draft(&mut self, mut verdict: Verdict, draft: DraftReport) -> Result<Verdict> {
        verdict.set(Gate::Draft, true);
        let making = self.bench.context.operations.draft(&self.bench.context.actor, draft.draft_id).await?.making;
        add(&mut verdict.effort, &making);
        if !draft.valid {
            let first = draft.plan.diagnostics.first().map(|found| found.message.clone()).unwrap_or_default();
            return Ok(verdict.end(Outcome::Error, format!("the draft does not plan: {first}")));
        }
        verdict.set(Gate::Plans, true);
        let differences = self.differences(&mut verdict, &draft).await?;
        let (failure, rows) = self.loaded(&mut verdict, &draft).await?;
        let told: Vec<String> = rows.into_iter().chain(differences).collect();
        let shippable = failure.is_none() && told.is_empty();
        verdict.set(Gate::Shippable, shippable);
        if shippable {
            return Ok(verdict.right());
        }
        let said: Vec<&String> = draft.not_understood.iter().chain(&draft.unmet).collect();
        let reason = failure.iter().chain(&told).cloned().collect::<Vec<_>>().join("; ");
        Ok(match (failure.is_some(), said.first()) {
            (_, Some(gap)) => {
                verdict.end(Outcome::NotUnderstood, format!("the draft itself says that it lacks '{gap}': {reason}"))
            }
            (true, None) => verdict.end(Outcome::Error, reason),
            (false, None) => verdict.end(Outcome::SilentWrong, reason),
        })
    }

    /// What is different about a draft before it runs.
    async fn differences(&self, verdict: &mut Verdict, draft: &DraftReport) -> Result<Vec<String>> {
        let sketch = self.sketch(draft).await?;
        let known = self.bench.context.operations.known_connections(&self.bench.context.actor).await?;
        let mut unasked = sketch.unasked(self.case, &self.parts)?;
        unasked.extend(sketch.loads_difference(&self.parts)?);
        unasked.extend(sketch.lacks(&self.case.needs).map(|feature| format!("it has no {feature}")));
        let wanted = sources::wanted(self.case, &self.schema.name)?;
        unasked.extend(sources::difference(&wanted, &sketch.reads, &known));
        verdict.set(Gate::NothingUnasked, unasked.is_empty());
        let schedule = schedules::difference(self.case.schedule.as_ref(), sketch.schedule.as_ref());
        verdict.set(Gate::Schedule, schedule.is_none());
        let rules = checks::difference(self.bench, &self.case.checks, &sketch.rules, &draft.plan.schemas).await?;
        verdict.set(Gate::Checks, rules.is_none());
        Ok(unasked.into_iter().chain(schedule).chain(rules).collect())
    }

    /// Approves a draft and runs it on both data sets: the first failure, and what is different about rows.
    async fn loaded(&mut self, verdict: &mut Verdict, draft: &DraftReport) -> Result<(Option<String>, Vec<String>)> {
        let (operations, actor) = (&self.bench.context.operations, &self.bench.context.actor);
        let approved = match operations.approve_draft(actor, draft.draft_id, &draft.hash).await {
            Ok(approved) => approved,
            Err(error) => return Ok((Some(format!("it can't be approved: {error}")), Vec::new())),
        };
        if self.parts.iter().all(|part| part.gold.is_none()) {
            return Ok((None, Vec::new()));
        }
        let (mut failure, mut told, mut second) = (None, Vec::new(), true);
        for data in Data::ALL {
            if data != Data::Plausible {
                self.bench.stand(self.schema, self.name, self.case, data).await?;
            }
            let Loaded { failure: failed, first, second: later } = self.load(&approved.pipeline, data).await?;
            let gate = if data == Data::Plausible { Gate::RightRows } else { Gate::RightOnHostileData };
            verdict.set(gate, failed.is_none() && first.is_none());
            second &= failed.is_none() && later.is_none();
            told.extend(
                first
                    .into_iter()
                    .chain(later.map(|told| format!("after the second run, {told}")))
                    .map(|told| format!("{}: {told}", data.as_str())),
            );
            failure = failure.or(failed.map(|cause| format!("{}: {cause}", data.as_str())));
        }
        verdict.set(Gate::Runs, failure.is_none());
        verdict.set(Gate::RightOnSecondRun, second);
        Ok((failure, told))
    }
}

/// Milliseconds since then.
pub(super) fn millis(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn add(effort: &mut Effort, making: &MakingReport) {
    effort.rounds = u64::try_from(making.rounds).unwrap_or_default();
    effort.tokens = making.tokens.and_then(|tokens| u64::try_from(tokens).ok());
    effort.cost_nanos = making.cost_nanos.and_then(|cost| u64::try_from(cost).ok());
}
