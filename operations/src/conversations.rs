//! Conversations: what a person asked, and how each answer came about. No rows are kept.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use headwater_pipelines::secrets::SaidSecrets;
use headwater_store::{ConversationRow, NewTurn, StepRow, TurnKey, TurnRow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{Action, Actor, OperationError, Operations, Question, Reading, Result, SnapshotReport};

/// The most conversations that a list holds.
const MOST_LISTED: i64 = 1_000;

/// What Headwater does not do, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// The kind.
    pub reason: RefusalReason,
    /// What was refused and what to do instead.
    pub message: String,
}

/// Kinds of refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// A source would be changed.
    ChangesData,
    /// What is asked for is in no catalog.
    NotInCatalog,
    /// It asks for a secret.
    Secret,
}

/// Words that were not understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotUnderstood {
    /// The words.
    pub quote: String,
    /// Where they stand in the sentence, in bytes.
    #[schemars(with = "(usize, usize)")]
    pub span: Range<usize>,
    /// What could have stood there.
    pub expected: String,
    /// Names that are near.
    pub candidates: Vec<String>,
}

/// A step of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// A model is asked.
    Asking {
        /// Tables whose columns it sees.
        shown_tables: usize,
        /// Tables that were left out of what it sees.
        left_out_tables: usize,
    },
    /// An answer of the model had faults, which were sent back.
    Repairing {
        /// The faults.
        faults: Vec<String>,
    },
    /// The statement that answers the question.
    Statement(StatementStep),
    /// Two readings would give different rows.
    Question(Question),
    /// Headwater does not answer this.
    Refusal(Refusal),
    /// Words that fit nothing.
    NotUnderstood(NotUnderstood),
    /// The statement ran to its end.
    Rows {
        /// Rows that were read of its result.
        rows: u64,
        /// Whether there are more.
        more: bool,
        /// Time that it took, in milliseconds.
        took_ms: u64,
    },
    /// It failed.
    Failed {
        /// What happened.
        message: String,
        /// What to do about it.
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
    /// The person did not wait for the end.
    Canceled,
}

impl Step {
    /// A failure as a step.
    pub fn failed(error: &OperationError) -> Self {
        Self::Failed { message: error.to_string(), hint: error.hint.clone() }
    }

    /// Whether nothing more happens after it.
    pub fn is_end(&self) -> bool {
        !matches!(self, Self::Asking { .. } | Self::Repairing { .. } | Self::Statement(_))
    }

    /// Without the secrets of the question.
    fn masked(&self, said: &SaidSecrets) -> Result<Value> {
        let mut document = serde_json::to_value(self)?;
        mask(&mut document, said);
        if Self::deserialize(&document).is_ok() {
            return Ok(document);
        }
        // The secret is one of the document's own words.
        let message = "this step repeats a secret of the question, and is not kept".to_owned();
        Ok(serde_json::to_value(Self::Failed { message, hint: None })?)
    }
}

fn mask(document: &mut Value, said: &SaidSecrets) {
    match document {
        Value::String(text) => *text = said.mask(text),
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, said)),
        Value::Object(fields) => fields.values_mut().for_each(|field| mask(field, said)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A statement that answers a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatementStep {
    /// One SELECT over tables named `connection.path`.
    pub sql: String,
    /// The question as a sentence of its own, if the conversation completed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meaning: Option<String>,
    /// What was taken for granted.
    pub assumptions: Vec<String>,
    /// The catalogs that it was made on, by connection.
    pub catalogs: BTreeMap<String, SnapshotReport>,
}

/// The document of `conversations list`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ConversationsReport {
    /// The person's conversations, that with the newest question first.
    pub conversations: Vec<ConversationSummary>,
}

/// One conversation of a list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ConversationSummary {
    /// Its id.
    pub conversation_id: Uuid,
    /// Its first question.
    pub question: String,
    /// How many there are.
    pub turns: i32,
    /// When the first was asked.
    pub started_at: DateTime<Utc>,
    /// When the last was.
    pub last_at: DateTime<Utc>,
}

impl From<ConversationRow> for ConversationSummary {
    fn from(row: ConversationRow) -> Self {
        let ConversationRow { id, started_at, last_at, turns, question } = row;
        Self { conversation_id: id, question, turns, started_at, last_at }
    }
}

/// The document of `conversations show`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ConversationReport {
    /// Its id.
    pub conversation_id: Uuid,
    /// Its questions, in order.
    pub turns: Vec<TurnReport>,
}

/// A question and what happened since.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TurnReport {
    /// Its number, from 1.
    pub turn: i32,
    /// The person's words.
    pub question: String,
    /// How they are read.
    pub reading: Reading,
    /// When it was asked.
    pub asked_at: DateTime<Utc>,
    /// The steps of its answer, in order.
    pub steps: Vec<StepReport>,
}

/// A step of an answer, and when it happened.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StepReport {
    /// When it happened.
    pub at: DateTime<Utc>,
    /// What happened.
    #[serde(flatten)]
    pub step: Step,
}

impl TurnReport {
    fn of(row: TurnRow) -> Result<Self> {
        let step = |row: StepRow| Ok(StepReport { at: row.at, step: serde_json::from_value(row.document)? });
        Ok(Self {
            turn: row.number,
            question: row.question,
            reading: serde_json::from_value(row.reading)?,
            asked_at: row.asked_at,
            steps: row.steps.into_iter().map(step).collect::<Result<_>>()?,
        })
    }

    /// The statement that answered it, if one did.
    pub fn statement(&self) -> Option<&StatementStep> {
        self.steps.iter().rev().find_map(|step| match &step.step {
            Step::Statement(statement) => Some(statement),
            _ => None,
        })
    }

    /// The question that it was answered with, if it was.
    pub fn open_question(&self) -> Option<&Question> {
        match &self.steps.last()?.step {
            Step::Question(question) => Some(question),
            _ => None,
        }
    }
}

/// The turn of a conversation that is being answered.
#[derive(Debug, Clone)]
pub struct OpenTurn {
    operations: Operations,
    actor: Actor,
    key: TurnKey,
    said: Arc<SaidSecrets>,
}

impl OpenTurn {
    /// Its conversation.
    pub fn conversation_id(&self) -> Uuid {
        self.key.conversation
    }

    /// Its number, from 1.
    pub fn number(&self) -> i32 {
        self.key.turn
    }

    /// Stores the next step of its answer.
    pub async fn step(&self, step: Step) -> Result<()> {
        let workspace = self.operations.permit(&self.actor, Action::Query)?;
        Ok(workspace.add_step(self.key, &step.masked(&self.said)?).await?)
    }
}

impl Operations {
    /// Stores a question, in a conversation of the actor's or in a new one. No secret is kept.
    pub async fn begin_turn(
        &self,
        actor: &Actor,
        conversation: Option<Uuid>,
        question: &str,
        reading: &Reading,
    ) -> Result<OpenTurn> {
        let workspace = self.permit(actor, Action::Query)?;
        let said = SaidSecrets::of(question);
        let (masked, reading) = (said.mask(question), serde_json::to_value(reading)?);
        let key = workspace.begin_turn(&NewTurn { conversation, question: &masked, reading: &reading }).await?;
        Ok(OpenTurn { operations: self.clone(), actor: actor.clone(), key, said: Arc::new(said) })
    }

    /// The actor's conversations, that with the newest question first.
    pub async fn conversations(&self, actor: &Actor, limit: i64) -> Result<ConversationsReport> {
        let rows = self.permit(actor, Action::Query)?.conversations(limit.clamp(0, MOST_LISTED)).await?;
        Ok(ConversationsReport { conversations: rows.into_iter().map(Into::into).collect() })
    }

    /// The actor's conversation whose id begins like this, or that with the newest question if it says `last`.
    pub async fn find_conversation(&self, actor: &Actor, beginning: &str) -> Result<Uuid> {
        let workspace = self.permit(actor, Action::Query)?;
        if beginning != "last" {
            return Ok(workspace.find_conversation(beginning).await?);
        }
        let newest = workspace.conversations(1).await?.pop();
        newest.map(|row| row.id).ok_or_else(|| {
            OperationError::new(crate::ErrorKind::NotFound, "there is no conversation yet")
                .hint("a question begins one")
        })
    }

    /// One of the actor's conversations.
    pub async fn conversation(&self, actor: &Actor, id: Uuid) -> Result<ConversationReport> {
        let turns = self.permit(actor, Action::Query)?.turns(id).await?;
        let turns: Vec<TurnReport> = turns.into_iter().map(TurnReport::of).collect::<Result<_>>()?;
        Ok(ConversationReport { conversation_id: id, turns })
    }
}
