//! Drafts as documents.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use headwater_pipelines::secrets::SaidSecrets;
use headwater_store::state::DraftState;
use headwater_store::{DraftRow, Making};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::DraftChange;
use crate::catalog::hex;
use crate::{FireReport, OperationError, PlanReport, PlannedSpec, Problems, Result, SnapshotReport};

/// Words of a prompt and what they became.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Requirement {
    /// The words, as they were written.
    pub quote: String,
    /// The task that meets them; absent if they became a setting of the pipeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// What was understood.
    pub meaning: String,
}

/// A question to the person, with the answers that it can have. Each answer gives other rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Question {
    /// What is asked.
    pub text: String,
    /// The answers.
    pub choices: Vec<Choice>,
}

/// An answer, and the sentence as it would have been said with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Choice {
    /// The answer.
    pub text: String,
    /// The sentence that says it without leaving a question.
    pub sentence: String,
}

/// How a prompt was read, so that an answer is read in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reading {
    /// The spec that the prompt changes, if it is an edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<Editing>,
    /// The connections that it is about; empty for all.
    pub on: Vec<String>,
    /// Name of the zone that days are of.
    pub timezone: String,
    /// The moment of asking.
    pub at: DateTime<Utc>,
}

/// What is kept of how a prompt was understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DraftNotes {
    /// What each part of the prompt became.
    #[serde(default)]
    pub requirements: Vec<Requirement>,
    /// What was taken for granted.
    #[serde(default)]
    pub assumptions: Vec<String>,
    /// Words that no requirement covers.
    #[serde(default)]
    pub not_understood: Vec<String>,
    /// Wishes that it does not meet, and parts that nobody asked for.
    #[serde(default)]
    pub unmet: Vec<String>,
    /// What is asked, if two readings would load different rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Question>,
    /// How the prompt was read.
    pub reading: Reading,
}

/// What an edit starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Editing {
    /// The draft that it changes, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft: Option<Uuid>,
    /// The text that it changes, without secrets.
    pub text: String,
    /// The tasks that it may change, by their paths; all if none is named.
    #[serde(default)]
    pub tasks: Vec<String>,
    /// What code found out and a model should know, e.g. why a run failed. No words of the person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<String>,
}

impl DraftNotes {
    /// Notes on a prompt that was read like this.
    pub fn new(reading: Reading) -> Self {
        Self {
            requirements: Vec::new(),
            assumptions: Vec::new(),
            not_understood: Vec::new(),
            unmet: Vec::new(),
            question: None,
            reading,
        }
    }

    /// The notes without the secrets of the prompt. An answer whose sentence held one could not be read again.
    pub(super) fn masked(&self, said: &SaidSecrets) -> Result<Self> {
        let mask = |text: &String| said.mask(text);
        let requirements = self.requirements.iter().map(|one| Requirement {
            quote: said.mask(&one.quote),
            task: one.task.clone(),
            meaning: said.mask(&one.meaning),
        });
        let question = match &self.question {
            Some(question) if question.choices.iter().any(|choice| mask(&choice.sentence) != choice.sentence) => {
                return Err(OperationError::invalid(
                    "the sentence holds a secret, and its question can't be kept without it",
                )
                .hint("say it without the secret: connections keep secrets, encrypted"));
            }
            Some(question) => Some(Question {
                text: mask(&question.text),
                choices: question
                    .choices
                    .iter()
                    .map(|choice| Choice { text: mask(&choice.text), sentence: choice.sentence.clone() })
                    .collect(),
            }),
            None => None,
        };
        Ok(Self {
            requirements: requirements.collect(),
            assumptions: self.assumptions.iter().map(mask).collect(),
            not_understood: self.not_understood.iter().map(mask).collect(),
            unmet: self.unmet.iter().map(mask).collect(),
            question,
            reading: self.reading.clone(),
        })
    }
}

/// A draft that is to be stored.
#[derive(Debug, Clone)]
pub struct SaveDraft {
    /// The person's words.
    pub prompt: String,
    /// The spec as a file; absent for a question.
    pub text: Option<String>,
    /// How the prompt was understood.
    pub notes: DraftNotes,
    /// How the draft was made.
    pub making: Making,
    /// The draft that it changes.
    pub base: Option<Uuid>,
    /// The question that it answers, which is discarded with this.
    pub answers: Option<Uuid>,
}

/// A draft that was stored.
#[derive(Debug)]
pub struct SavedDraft {
    /// Its id.
    pub draft_id: Uuid,
    /// How the prompt was understood, without secrets.
    pub notes: DraftNotes,
    /// Its spec; absent for a question.
    pub spec: Option<SavedSpec>,
}

/// The spec of a draft, planned on the stored catalogs.
#[derive(Debug)]
pub struct SavedSpec {
    /// The spec as a file, without secrets.
    pub text: String,
    /// What an approval is bound to.
    pub hash: String,
    /// The plan.
    pub planned: PlannedSpec,
    /// The next fires of its schedule.
    pub next_fires: Vec<FireReport>,
}

/// The document of `drafts list`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DraftsReport {
    /// Drafts, newest first.
    pub drafts: Vec<DraftSummary>,
}

/// One draft of a list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DraftSummary {
    /// Its id.
    pub draft_id: Uuid,
    /// Where it is.
    pub state: DraftState,
    /// The pipeline; absent for a question.
    pub pipeline: Option<String>,
    /// The person's words.
    pub prompt: String,
    /// Who asked for it.
    pub created_by: Option<String>,
    /// When.
    pub created_at: DateTime<Utc>,
    /// The draft that it changes, or the question that it answers.
    pub base: Option<Uuid>,
    /// Number of the version that it became.
    pub version: Option<i32>,
    /// Who approved it.
    pub approved_by: Option<String>,
    /// When.
    pub approved_at: Option<DateTime<Utc>>,
}

impl From<&DraftRow> for DraftSummary {
    fn from(row: &DraftRow) -> Self {
        let approval = row.approval.as_ref();
        Self {
            draft_id: row.id,
            state: row.state,
            pipeline: row.spec.as_ref().map(|spec| spec.pipeline.clone()),
            prompt: row.prompt.clone(),
            created_by: row.created_by.clone(),
            created_at: row.created_at,
            base: row.base,
            version: approval.map(|approval| approval.version),
            approved_by: approval.and_then(|approval| approval.by.clone()),
            approved_at: approval.map(|approval| approval.at),
        }
    }
}

/// The document of `drafts show`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StoredDraft {
    /// The draft.
    #[serde(flatten)]
    pub draft: DraftSummary,
    /// How the prompt was understood.
    #[serde(flatten)]
    pub notes: DraftNotes,
    /// The spec as a file; absent for a question.
    pub text: Option<String>,
    /// What an approval is bound to now, or was bound to; absent for a question.
    pub hash: Option<String>,
    /// What has changed since the draft was made, as far as the stored catalogs know.
    pub changes: Vec<DraftChange>,
    /// What planning it on the stored catalogs finds now, if it is open.
    pub plan: Option<PlanReport>,
    /// Whether it can run, if it is open.
    pub valid: Option<bool>,
    /// Why it can't be planned now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_planned: Option<String>,
    /// The next fires of its schedule, if it is open.
    pub next_fires: Vec<FireReport>,
    /// Number of the pipeline's approved version when the draft was made.
    pub based_on: Option<i32>,
    /// The catalogs that it was made on, by connection.
    pub catalogs: BTreeMap<String, MadeOn>,
    /// How it was made.
    pub making: MakingReport,
    /// Its problems, with the text that they are in.
    #[serde(skip)]
    #[schemars(skip)]
    pub problems: Option<Problems>,
}

/// The catalog of a connection that a draft was made on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MadeOn {
    /// Counts the states of the connection that were seen, from 1.
    pub number: i32,
    /// Identifies the state, in hexadecimal.
    pub hash: String,
}

impl From<&SnapshotReport> for MadeOn {
    fn from(snapshot: &SnapshotReport) -> Self {
        Self { number: snapshot.number, hash: snapshot.hash.clone() }
    }
}

/// How a draft was made.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MakingReport {
    /// The model; absent if it was made without one.
    pub model: Option<String>,
    /// Hash of the prompts that the model was given.
    pub prompt_version: Option<String>,
    /// Answers of the model.
    pub rounds: i32,
    /// Tokens that were read and written, if they are known.
    pub tokens: Option<i64>,
    /// Cost in billionths of a dollar, if it is known.
    pub cost_nanos: Option<i64>,
    /// Time that it took, in milliseconds.
    pub took_ms: i64,
}

impl From<Making> for MakingReport {
    fn from(making: Making) -> Self {
        let Making { model, prompt_version, rounds, tokens, cost_nanos, took_ms } = making;
        Self { model, prompt_version, rounds, tokens, cost_nanos, took_ms }
    }
}

impl StoredDraft {
    /// What is stored of a draft. An open one has to be planned yet.
    pub(super) fn of(row: DraftRow) -> Result<Self> {
        Ok(Self {
            draft: (&row).into(),
            notes: serde_json::from_value(row.document)?,
            text: row.spec.as_ref().map(|spec| spec.text.clone()),
            hash: row.spec.as_ref().map(|spec| hex(&spec.hash)),
            changes: Vec::new(),
            plan: None,
            valid: None,
            not_planned: None,
            next_fires: Vec::new(),
            based_on: row.spec.as_ref().and_then(|spec| spec.based_on),
            catalogs: serde_json::from_value(row.snapshots)?,
            making: row.making.into(),
            problems: None,
        })
    }
}

/// The document of `drafts approve`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ApprovalsReport {
    /// One for each draft, in the order in which they were named.
    pub approvals: Vec<ApprovalReport>,
}

/// What became of the approval of one draft.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum ApprovalReport {
    /// It is approved.
    Approved(ApprovedDraft),
    /// It is not, and stays as it was.
    Refused {
        /// The draft, as it was named.
        draft: String,
        /// Why.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
}

/// An approved draft.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ApprovedDraft {
    /// The draft.
    pub draft_id: Uuid,
    /// Its pipeline.
    pub pipeline: String,
    /// Number of the version that it became.
    pub version: i32,
    /// What the approval is bound to.
    pub hash: String,
    /// Whether it was approved before.
    pub already: bool,
    /// Its schedule in words.
    pub schedule_in_words: Option<String>,
}

/// The document of `drafts discard`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DiscardedDraft {
    /// The draft.
    pub draft_id: Uuid,
    /// Where it is now.
    pub state: DraftState,
}
