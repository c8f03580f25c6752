//! Sentences: a stored draft or question for each.

use std::collections::BTreeSet;
use std::time::Instant;

use headwater_operations::{
    Actor, DraftNotes, DraftState, Editing, ErrorKind, ExplainReport, FireReport, Making, OperationError, PlanReport,
    Problems, Reading, RunRow, SaveDraft, SavedDraft, Suggest,
};
use headwater_pipelines::document::Document;
use headwater_pipelines::path::TaskPath;
use headwater_pipelines::spec::Spec;
use headwater_pipelines::write;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::{Asked, Assistant};
use crate::draft::{Choice, Drafted, NotUnderstood, Outcome, Question, Refusal, Requirement};
use crate::edit;
use crate::model::{self, Trail};
use crate::offline;
use crate::seen::{Samples, Seen};
use crate::typed::Phase;

/// The document of `compile`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum CompileReport {
    /// A draft that plans, or one with mistakes.
    Draft(Box<DraftReport>),
    /// Two readings would load different rows.
    Question(QuestionReport),
    /// Headwater does not do this.
    Refusal(Refusal),
    /// It does not execute yet.
    NotYet {
        /// What, as specs call it.
        feature: String,
        /// The words that asked for it.
        quote: String,
    },
    /// Words that fit nothing.
    NotUnderstood(NotUnderstood),
}

/// A stored question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct QuestionReport {
    /// Its id, by which it is answered.
    pub draft_id: Uuid,
    /// What is asked.
    #[serde(flatten)]
    pub question: Question,
}

/// A stored draft.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DraftReport {
    /// Its id.
    pub draft_id: Uuid,
    /// What an approval is bound to: the spec, the schemas that it reads, and the policy of its connections.
    pub hash: String,
    /// The spec as a file.
    pub text: String,
    /// What each part of the sentence became.
    pub requirements: Vec<Requirement>,
    /// What was taken for granted.
    pub assumptions: Vec<String>,
    /// Words of the sentence that nothing covers.
    pub not_understood: Vec<String>,
    /// Wishes that it does not meet, and parts that nobody asked for.
    pub unmet: Vec<String>,
    /// What planning it on the catalogs found.
    pub plan: PlanReport,
    /// Whether it can run.
    pub valid: bool,
    /// The next fires of its schedule.
    pub next_fires: Vec<FireReport>,
    /// Its problems, with the text that they are in.
    #[serde(skip)]
    #[schemars(skip)]
    pub problems: Problems,
}

impl Assistant {
    /// Makes a draft of a sentence, plans it on the stored catalogs and stores it; so is a question.
    pub async fn compile(&self, actor: &Actor, asked: &Asked) -> Result<CompileReport, OperationError> {
        self.compile_answer(actor, asked, None).await
    }

    /// Answers a stored question by the number of a choice, from 1, or by its text: compiles the sentence of that choice, and discards the question once
    /// that gives a draft or another question.
    pub async fn answer(&self, actor: &Actor, question: Uuid, choice: &str) -> Result<CompileReport, OperationError> {
        let stored = self.operations.draft(actor, question).await?;
        let Some(asked) = stored.notes.question.filter(|_| stored.draft.state == DraftState::Question) else {
            return Err(OperationError::invalid(format!("draft {question} has no open question"))
                .suggest(Suggest::ShowDraft { draft: question }));
        };
        let Reading { on, timezone, at, edit } = stored.notes.reading;
        let zone = timezone.parse().map_err(|_| OperationError::bug("a stored draft has no time zone"))?;
        let zone = Some(zone);
        let text = chosen(&asked, choice)?.sentence.clone();
        // It is read by what asked: only a model has a name in the making.
        let model = stored.making.model;
        let offline = model.is_none();
        self.compile_answer(actor, &Asked { text, on, zone, now: at, model, offline, edit }, Some(question)).await
    }

    /// Makes a draft of the version of a failed run, changed so that it does not fail in the same way. It needs a model, which is told what failed by
    /// kind, task and the findings of planning, and no message of a source.
    pub async fn fix(
        &self,
        actor: &Actor,
        explained: &ExplainReport,
        asked: Asked,
    ) -> Result<CompileReport, OperationError> {
        if explained.failures.is_empty() {
            return Err(OperationError::invalid(format!("run {} has no failure to fix", explained.run.run_id)));
        }
        let RunRow { pipeline, version, .. } = &explained.run;
        let text = self.operations.pipeline(actor, pipeline, Some(*version)).await?.spec_text;
        let edit = Editing { draft: None, text, tasks: Vec::new(), facts: facts(explained) };
        let text = "Change the pipeline so that its run does not fail in this way again.".to_owned();
        self.compile(actor, &Asked { text, edit: Some(edit), ..asked }).await
    }

    async fn compile_answer(
        &self,
        actor: &Actor,
        asked: &Asked,
        answers: Option<Uuid>,
    ) -> Result<CompileReport, OperationError> {
        let start = Instant::now();
        let seen = Seen::of(&self.operations, actor, &asked.on).await?;
        let mut notes = DraftNotes::new(asked.reading());
        let (outcome, trail) = self.drafted(actor, asked, &seen).await?;
        let text = match outcome {
            Outcome::Made(mut drafted) => {
                let text = match &asked.edit {
                    Some(edit) => edited(edit, &mut drafted)?,
                    None => {
                        self.name_apart(actor, &mut drafted).await?;
                        write::yaml(&drafted.spec, &drafted.comments)
                    }
                };
                let Drafted { requirements, assumptions, not_understood, faults, .. } = *drafted;
                (notes.requirements, notes.assumptions) = (requirements, assumptions);
                notes.not_understood = not_understood;
                let unmet = faults.into_iter().filter(|fault| fault.phase == Phase::Meaning);
                notes.unmet = unmet.map(|fault| format!("{}: {}", fault.at, fault.message)).collect();
                Some(text)
            }
            Outcome::Asked(question) => {
                notes.question = Some(question);
                None
            }
            Outcome::Refused(refusal) => return Ok(CompileReport::Refusal(refusal)),
            Outcome::NotYet { feature, quote } => return Ok(CompileReport::NotYet { feature, quote }),
            Outcome::NotUnderstood(words) => return Ok(CompileReport::NotUnderstood(words)),
        };
        let took_ms = i64::try_from(start.elapsed().as_millis()).unwrap_or(i64::MAX);
        let making = Making { took_ms, ..trail.map(Trail::making).unwrap_or_default() };
        let base = asked.edit.as_ref().and_then(|edit| edit.draft);
        let save = SaveDraft { prompt: asked.text.clone(), text, notes, making, base, answers };
        stored(self.operations.save_draft(actor, save).await?)
    }

    /// A new draft takes the name of no pipeline that loads something else: approving it would replace what nobody named.
    async fn name_apart(&self, actor: &Actor, drafted: &mut Drafted) -> Result<(), OperationError> {
        let wanted = drafted.spec.name.clone();
        let targets = targets(&drafted.spec);
        for number in 2..1_000 {
            let taken = match self.operations.pipeline(actor, &drafted.spec.name, None).await {
                Ok(report) => serde_json::from_value::<Spec>(report.spec)?,
                Err(error) if error.kind == ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            };
            if !targets.is_disjoint(&self::targets(&taken)) {
                return Ok(());
            }
            drafted.spec.name = format!("{wanted}_{number}");
            let assumption = format!("it is called {}: a pipeline {wanted} loads something else", drafted.spec.name);
            drafted.assumptions.retain(|said| !said.starts_with("it is called "));
            drafted.assumptions.push(assumption);
        }
        Ok(())
    }

    /// What a sentence becomes: by a model if there is one, else by the grammar.
    async fn drafted(
        &self,
        actor: &Actor,
        asked: &Asked,
        seen: &Seen,
    ) -> Result<(Outcome<Drafted>, Option<Trail>), OperationError> {
        let Some(gateway) = self.models(asked)? else {
            if asked.edit.is_some() {
                return Err(OperationError::invalid(
                    "a spec is changed by a sentence with a model only, and none is configured",
                )
                .hint("add a [models.NAME] section to headwater.toml (docs/models.md), or edit the file by hand"));
            }
            return Ok((offline::compile(&asked.text, &seen.setting(asked)), None));
        };
        let Samples { tables, fingerprint } = seen.samples(&self.operations, actor).await?;
        let base = asked.edit.as_ref().map(base_of).transpose()?;
        let (operations, base) = (&self.operations, base.as_ref());
        let (shown, covers) = asked.without_secrets();
        let of = model::Compile { operations, actor, seen, asked: &shown, samples: &tables, base };
        let made = model::compile(of, self.opening(gateway, actor, asked, seen, ("compile", &fingerprint))).await;
        self.watcher.done();
        let made = made?;
        if let Outcome::Made(drafted) = &made.outcome {
            covers.must_not_be_in(&serde_json::to_string(&drafted.spec)?)?;
        }
        Ok((made.outcome, Some(made.trail)))
    }
}

/// What is known of a failed run. A message may quote rows of a source, and stays here.
fn facts(explained: &ExplainReport) -> Vec<String> {
    let failed = explained.failures.iter().map(|failure| {
        let task = failure.task.as_deref().unwrap_or("a task");
        format!("{task} failed: {}", failure.kind.in_words())
    });
    let found = explained.findings.iter().map(|found| {
        let at = found.task.as_ref().map(|task| format!("task {task}, ")).unwrap_or_default();
        let hint = found.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
        format!("{at}line {}: {}: {}{hint}", found.line, found.code, found.message)
    });
    failed.chain(found).collect()
}

/// Where a spec loads.
fn targets(spec: &Spec) -> BTreeSet<String> {
    let mut targets = BTreeSet::new();
    let mut groups = vec![&spec.tasks];
    while let Some(tasks) = groups.pop() {
        targets.extend(tasks.values().filter_map(|task| Some(task.load.as_ref()?.into.clone())));
        groups.extend(tasks.values().filter_map(|task| task.group.as_ref()));
    }
    targets
}

/// The spec that an edit starts from.
fn base_of(edit: &Editing) -> Result<Spec, OperationError> {
    let document = Document::read("the spec that is to be changed", edit.text.as_str());
    match document.spec {
        Some(spec) if document.diagnostics.is_empty() => Ok(spec),
        _ => {
            let problems = Problems { source: document.source, diagnostics: document.diagnostics };
            Err(OperationError::problems(vec![problems]))
        }
    }
}

/// The text of an edit: what did not change stays as it was written.
fn edited(edit: &Editing, drafted: &mut Drafted) -> Result<String, OperationError> {
    let base = base_of(edit)?;
    drafted.spec.connections.clone_from(&base.connections);
    let touched = edit::touched(&base, &drafted.spec);
    let is_allowed =
        |path: &TaskPath| edit.tasks.iter().any(|task| path.as_str() == task || path.starts_with(&format!("{task}.")));
    let others: Vec<&str> =
        touched.iter().filter(|path| !edit.tasks.is_empty() && !is_allowed(path)).map(TaskPath::as_str).collect();
    if !others.is_empty() {
        return Err(OperationError::invalid(format!(
            "the change needs {}, too, which it may not touch",
            others.join(", ")
        ))
        .hint(format!("allow it with --task {}", others.join(" --task "))));
    }
    Ok(edit::patch(&edit.text, &base, &drafted.spec).unwrap_or_else(|| {
        drafted.assumptions.push("the whole file was written anew, without its comments".to_owned());
        write::yaml(&drafted.spec, &drafted.comments)
    }))
}

/// The choice of a number, from 1, or of a text.
pub(super) fn chosen<'a>(question: &'a Question, choice: &str) -> Result<&'a Choice, OperationError> {
    let choices = &question.choices;
    let numbered = choice.trim().parse::<usize>().ok().and_then(|number| choices.get(number.checked_sub(1)?));
    // `overwrite` stands for `overwrite: each run replaces all rows`.
    let head = |one: &Choice| one.text.split(':').next().unwrap_or_default().to_lowercase();
    let said =
        || choices.iter().find(|one| [one.text.to_lowercase(), head(one)].contains(&choice.trim().to_lowercase()));
    numbered.or_else(said).ok_or_else(|| {
        let texts: Vec<String> =
            choices.iter().enumerate().map(|(index, one)| format!("{}: {}", index + 1, one.text)).collect();
        OperationError::invalid(format!("'{choice}' is none of the answers"))
            .hint(format!("give a number or a text of {}", texts.join("; ")))
    })
}

/// The report of what was stored.
fn stored(saved: SavedDraft) -> Result<CompileReport, OperationError> {
    let SavedDraft { draft_id, notes, spec } = saved;
    match (spec, notes.question) {
        (Some(spec), _) => Ok(CompileReport::Draft(Box::new(DraftReport {
            draft_id,
            hash: spec.hash,
            text: spec.text,
            requirements: notes.requirements,
            assumptions: notes.assumptions,
            not_understood: notes.not_understood,
            unmet: notes.unmet,
            plan: spec.planned.report,
            valid: spec.planned.valid,
            next_fires: spec.next_fires,
            problems: spec.planned.problems,
        }))),
        (None, Some(question)) => Ok(CompileReport::Question(QuestionReport { draft_id, question })),
        (None, None) => Err(OperationError::new(ErrorKind::Bug, "a draft was stored without a spec or a question")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn question() -> Question {
        let choice = |text: &str| Choice { text: text.to_owned(), sentence: format!("say {text}") };
        Question { text: "How?".to_owned(), choices: vec![choice("overwrite: all rows"), choice("append: new rows")] }
    }

    #[test]
    fn an_answer_is_a_number_from_one_a_text_or_its_first_words() {
        for (said, text) in [
            ("1", "overwrite: all rows"),
            ("2", "append: new rows"),
            ("Append: new rows", "append: new rows"),
            (" OVERWRITE ", "overwrite: all rows"),
        ] {
            assert_eq!(chosen(&question(), said).unwrap().text, text);
        }
    }

    #[test]
    fn what_is_no_answer_is_refused_with_those_there_are() {
        for said in ["0", "3", "-1", "", "upsert"] {
            let error = chosen(&question(), said).unwrap_err();
            assert_eq!(error.hint.unwrap(), "give a number or a text of 1: overwrite: all rows; 2: append: new rows");
        }
    }
}
