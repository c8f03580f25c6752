//! What a person can ask of the assistant.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use headwater_operations::{
    Actor, DraftNotes, DraftState, Editing, ErrorKind, FireReport, Making, OperationError, Operations, PlanReport,
    Problems, Reading, SaveDraft, SavedDraft, SnapshotReport, Suggest,
};
use headwater_pipelines::document::Document;
use headwater_pipelines::path::TaskPath;
use headwater_pipelines::spec::Spec;
use headwater_pipelines::write;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::draft::{Choice, Drafted, NotUnderstood, Outcome, Question, Refusal, Requirement};
use crate::edit;
use crate::gateway::{Checked, Gateway, Progress, Scope};
use crate::model::{self, ModelError, Trail};
use crate::offline::{self, Statement};
use crate::seen::{Samples, Seen};
use crate::typed::Phase;

/// The assistant on the operations of a workspace. It makes drafts and statements; it applies and runs nothing.
#[derive(Clone)]
pub struct Assistant {
    operations: Operations,
    /// Models; without one, sentences are read by the offline grammar.
    gateway: Option<Arc<Gateway>>,
    watcher: Arc<dyn Watcher>,
}

/// Sees what models do while somebody waits for them.
pub trait Watcher: Send + Sync {
    /// Something happened.
    fn saw(&self, progress: Progress<'_>);
    /// Nothing more happens for now.
    fn done(&self);
}

/// Sees nothing.
struct Nobody;

impl Watcher for Nobody {
    fn saw(&self, _: Progress<'_>) {}

    fn done(&self) {}
}

impl std::fmt::Debug for Assistant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assistant").field("has_models", &self.gateway.is_some()).finish_non_exhaustive()
    }
}

/// What a sentence or a question is read with.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The sentence or question.
    pub text: String,
    /// The connections that it is about; empty for all.
    pub on: Vec<String>,
    /// The zone that days are of.
    pub zone: Tz,
    /// The moment of asking.
    pub now: DateTime<Utc>,
    /// The model that reads it; the assistant's if absent. Without any, the offline grammar does.
    pub model: Option<String>,
    /// Whether the offline grammar reads it whatever models there are.
    pub offline: bool,
    /// The spec that the sentence changes; without one it makes a new one.
    pub edit: Option<Editing>,
}

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

/// The document of `ask`, without its rows.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum AskReport {
    /// The statement that answers the question.
    Statement(StatementReport),
    /// Two readings would give different rows.
    Question(Question),
    /// Headwater does not answer this.
    Refusal(Refusal),
    /// Words that fit nothing.
    NotUnderstood(NotUnderstood),
}

/// A statement that answers a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StatementReport {
    /// One SELECT over tables named `connection.path`.
    pub sql: String,
    /// What was taken for granted.
    pub assumptions: Vec<String>,
    /// The catalogs that it was made on, by connection.
    pub catalogs: BTreeMap<String, SnapshotReport>,
    /// How a model made it; absent if none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_by: Option<Trail>,
}

impl Assistant {
    /// On these operations.
    pub fn new(operations: Operations) -> Self {
        Self { operations, gateway: None, watcher: Arc::new(Nobody) }
    }

    /// With models, which read sentences from now on.
    #[must_use]
    pub fn with_models(self, gateway: Arc<Gateway>, watcher: Arc<dyn Watcher>) -> Self {
        Self { gateway: Some(gateway), watcher, ..self }
    }

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
        let text = chosen(&asked, choice)?.sentence.clone();
        // It is read by what asked: only a model has a name in the making.
        let model = stored.making.model;
        let offline = model.is_none();
        self.compile_answer(actor, &Asked { text, on, zone, now: at, model, offline, edit }, Some(question)).await
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
                    None => write::yaml(&drafted.spec, &drafted.comments),
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
        let of = model::Compile { operations, actor, seen, asked, samples: &tables, base };
        let made = model::compile(of, self.opening(gateway, actor, asked, seen, ("compile", &fingerprint))).await;
        self.watcher.done();
        let made = made?;
        Ok((made.outcome, Some(made.trail)))
    }

    /// Asks a model for next to nothing, to see whether it answers.
    pub async fn check_model(&self, actor: &Actor, name: &str) -> Result<Checked, OperationError> {
        let Some(gateway) = &self.gateway else {
            return Err(OperationError::invalid(format!("there is no model '{name}'")));
        };
        let scope = Scope {
            workspace: self.operations.workspace_id().to_string(),
            person: actor.name.clone(),
            grants: String::new(),
            feature: "check".to_owned(),
            prompt_version: String::new(),
            snapshot: String::new(),
            policy: String::new(),
        };
        Ok(gateway.check(name, scope).await.map_err(ModelError::from)?)
    }

    /// The models, if one of them is to read this.
    fn models(&self, asked: &Asked) -> Result<Option<&Arc<Gateway>>, OperationError> {
        match (&self.gateway, &asked.model) {
            (_, Some(name)) if asked.offline => {
                Err(OperationError::invalid(format!("the offline grammar needs no model, and '{name}' was named")))
            }
            (Some(gateway), model) if !asked.offline && (model.is_some() || gateway.has_default()) => Ok(Some(gateway)),
            (None, Some(name)) => Err(OperationError::invalid(format!("there is no model '{name}'"))
                .hint(format!("add [models.{name}] to headwater.toml (docs/models.md)"))),
            _ => Ok(None),
        }
    }

    fn opening<'a>(
        &'a self,
        gateway: &'a Arc<Gateway>,
        actor: &Actor,
        asked: &Asked,
        seen: &Seen,
        (feature, policy): (&str, &str),
    ) -> model::Opening<'a> {
        let scope = Scope {
            workspace: self.operations.workspace_id().to_string(),
            person: actor.name.clone(),
            grants: format!("{:?}", actor.role),
            feature: feature.to_owned(),
            prompt_version: String::new(),
            snapshot: seen.fingerprint(),
            policy: policy.to_owned(),
        };
        model::Opening { gateway, scope, model: asked.model.clone(), watcher: self.watcher.as_ref() }
    }

    /// Makes a statement of a question. Whoever shows it runs it.
    pub async fn ask(&self, actor: &Actor, asked: &Asked) -> Result<AskReport, OperationError> {
        let seen = Seen::of(&self.operations, actor, &asked.on).await?;
        if let Some(sql) = self.verified(actor, &asked.text).await? {
            let assumptions = vec!["a person has checked this statement for this question".to_owned()];
            return Ok(AskReport::Statement(seen.report(Statement { sql, tables: Vec::new(), assumptions })));
        }
        let (outcome, trail) = self.stated(actor, asked, &seen).await?;
        Ok(match outcome {
            Outcome::Made(statement) => {
                AskReport::Statement(StatementReport { made_by: trail, ..seen.report(*statement) })
            }
            Outcome::Asked(question) => AskReport::Question(question),
            Outcome::Refused(refusal) => AskReport::Refusal(refusal),
            Outcome::NotUnderstood(words) => AskReport::NotUnderstood(words),
            Outcome::NotYet { quote, .. } => {
                let bug = format!("a question asked for what only pipelines do: '{quote}'");
                return Err(OperationError::new(ErrorKind::Bug, bug));
            }
        })
    }

    async fn stated(
        &self,
        actor: &Actor,
        asked: &Asked,
        seen: &Seen,
    ) -> Result<(Outcome<Statement>, Option<Trail>), OperationError> {
        let Some(gateway) = self.models(asked)? else {
            return Ok((offline::ask(&asked.text, &seen.setting(asked)), None));
        };
        let Samples { tables, fingerprint } = seen.samples(&self.operations, actor).await?;
        let of = model::Ask { operations: &self.operations, actor, seen, asked, samples: &tables, earlier: &[] };
        let made = model::ask(of, self.opening(gateway, actor, asked, seen, ("ask", &fingerprint))).await;
        self.watcher.done();
        let made = made?;
        Ok((made.outcome, Some(made.trail)))
    }

    /// The statement that somebody has checked for exactly this question.
    async fn verified(&self, actor: &Actor, question: &str) -> Result<Option<String>, OperationError> {
        let plain = |text: &str| text.trim_end_matches(['?', '!', '.', ' ']).trim().to_lowercase();
        let questions = self.operations.questions(actor).await?.questions;
        Ok(questions.into_iter().find(|row| plain(&row.question) == plain(question)).map(|row| row.sql))
    }
}

impl Asked {
    fn reading(&self) -> Reading {
        let edit = self.edit.clone();
        Reading { edit, on: self.on.clone(), timezone: self.zone.name().to_owned(), at: self.now }
    }
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
    drafted.spec.stream.clone_from(&base.stream);
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
fn chosen<'a>(question: &'a Question, choice: &str) -> Result<&'a Choice, OperationError> {
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
