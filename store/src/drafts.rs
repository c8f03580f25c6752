//! Drafts: what sentences became, until a person has decided. The one door for their states, and for their approval.

use chrono::{DateTime, Utc};
use headwater_pipelines::spec::Schedule;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::deadline::Tx;
use crate::ids::{AMBIGUOUS_SHOWN, Beginning};
use crate::state::{DraftEvent, DraftState};
use crate::versions::AppliedVersion;
use crate::{NewVersion, Result, StoreError, Suggest, VersionRow, Workspace};

mod rows;

/// A draft that is to be stored: open if it has a spec, otherwise a question.
#[derive(Debug, Clone)]
pub struct NewDraft {
    /// The person's words, without secrets.
    pub prompt: String,
    /// The draft that it changes.
    pub base: Option<Uuid>,
    /// The question that it answers, which is discarded with this.
    pub answers: Option<Uuid>,
    /// The spec.
    pub spec: Option<DraftSpec>,
    /// Requirements, assumptions, a question and its choices.
    pub document: Value,
    /// The catalogs that it was made on: number and hash by connection.
    pub snapshots: Value,
    /// How it was made.
    pub making: Making,
}

/// The spec of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftSpec {
    /// Name of the pipeline.
    pub pipeline: String,
    /// The spec's text, without secrets.
    pub text: String,
    /// What an approval is bound to.
    pub basis: Value,
    /// SHA-256 of that.
    pub hash: [u8; 32],
    /// Number of the pipeline's approved version when the draft was made.
    pub based_on: Option<i32>,
}

/// How a draft was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Making {
    /// The model, if there was one.
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

/// A stored draft.
#[derive(Debug, Clone)]
pub struct DraftRow {
    /// Its id.
    pub id: Uuid,
    /// Where it is.
    pub state: DraftState,
    /// Who asked for it.
    pub created_by: Option<String>,
    /// When.
    pub created_at: DateTime<Utc>,
    /// The person's words.
    pub prompt: String,
    /// The draft that it changes, or the question that it answers.
    pub base: Option<Uuid>,
    /// The spec; absent for a question.
    pub spec: Option<DraftSpec>,
    /// See [`NewDraft::document`].
    pub document: Value,
    /// See [`NewDraft::snapshots`].
    pub snapshots: Value,
    /// How it was made.
    pub making: Making,
    /// Its approval.
    pub approval: Option<Approval>,
}

/// The approval of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Who approved it.
    pub by: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
    /// The version that it became.
    pub version_id: Uuid,
    /// The version's number.
    pub version: i32,
}

/// Which drafts to list.
#[derive(Debug, Clone, Default)]
pub struct DraftFilter {
    /// Only those in these states; empty for all.
    pub states: Vec<DraftState>,
    /// At most so many; 20 if absent.
    pub limit: Option<i64>,
}

/// What is approved of a draft.
#[derive(Debug, Clone)]
pub struct ApproveDraft<'a> {
    /// What the approval is bound to.
    pub basis: &'a Value,
    /// SHA-256 of that.
    pub hash: &'a [u8; 32],
    /// The version that it becomes.
    pub version: NewVersion<'a>,
    /// The version's schedule.
    pub schedule: Option<&'a Schedule>,
    /// Number of the approved version that it replaces.
    pub replaces: Option<i32>,
}

/// What the audit says of a draft that was made, and of one that was approved.
#[derive(Serialize)]
struct Made<'a> {
    pipeline: Option<&'a str>,
    answers: Option<Uuid>,
}
#[derive(Serialize)]
struct BecameVersion {
    version_id: Uuid,
}

impl Workspace {
    /// Stores a draft. The question that it answers is discarded in the same transaction.
    pub async fn insert_draft(&self, draft: &NewDraft) -> Result<Uuid> {
        let mut tx = self.durable().begin().await?;
        if let Some(question) = draft.answers {
            self.move_draft(&mut tx, question, DraftEvent::Answer).await?;
        }
        let state = if draft.spec.is_some() { DraftState::Open } else { DraftState::Question };
        let spec = draft.spec.as_ref();
        let id = sqlx::query_scalar!(
            "INSERT INTO drafts (workspace_id, state, created_by, prompt, base_id, pipeline, spec_text, basis, hash, based_on,
                                 document, snapshots, model, prompt_version, rounds, tokens, cost_nanos, took_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) RETURNING id",
            self.id(),
            state.as_str(),
            self.actor(),
            draft.prompt,
            draft.answers.or(draft.base),
            spec.map(|spec| spec.pipeline.as_str()),
            spec.map(|spec| spec.text.as_str()),
            spec.map(|spec| &spec.basis),
            spec.map(|spec| &spec.hash[..]),
            spec.and_then(|spec| spec.based_on),
            draft.document,
            draft.snapshots,
            draft.making.model,
            draft.making.prompt_version,
            draft.making.rounds,
            draft.making.tokens,
            draft.making.cost_nanos,
            draft.making.took_ms
        )
        .fetch_one(&mut *tx)
        .await?;
        let made = Made { pipeline: spec.map(|spec| spec.pipeline.as_str()), answers: draft.answers };
        self.record(&mut tx, "drafts.save", &id.to_string(), &made).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Drafts, newest first.
    pub async fn drafts(&self, filter: &DraftFilter) -> Result<Vec<DraftRow>> {
        self.draft_rows(filter, None).await
    }

    /// One draft.
    pub async fn draft(&self, id: Uuid) -> Result<DraftRow> {
        self.draft_if_any(id).await?.ok_or_else(|| missing(id))
    }

    /// One draft, if it is there.
    pub async fn draft_if_any(&self, id: Uuid) -> Result<Option<DraftRow>> {
        Ok(self.draft_rows(&DraftFilter::default(), Some(id)).await?.pop())
    }

    /// The one draft whose id begins like this: with digits of an id, dashes or not.
    pub async fn find_draft(&self, prefix: &str) -> Result<Uuid> {
        let beginning = Beginning::read("draft", prefix, Suggest::ListDrafts)?;
        let found = sqlx::query_scalar!(
            "SELECT id FROM drafts WHERE workspace_id = $1 AND id >= $2 AND id <= $3 ORDER BY id DESC LIMIT $4",
            self.id(),
            beginning.from,
            beginning.to,
            AMBIGUOUS_SHOWN + 1
        )
        .fetch_all(self.reads())
        .await?;
        beginning.only(&found)
    }

    /// Discards a draft or a question.
    pub async fn discard_draft(&self, id: Uuid) -> Result<()> {
        let mut tx = self.durable().begin().await?;
        self.move_draft(&mut tx, id, DraftEvent::Discard).await?;
        self.record(&mut tx, "drafts.discard", &id.to_string(), &()).await?;
        Ok(tx.commit().await?)
    }

    /// Approves a draft: makes its version current, in the same transaction. One that was approved before keeps the version that it became.
    pub async fn approve_draft(&self, id: Uuid, approve: &ApproveDraft<'_>) -> Result<VersionRow> {
        let mut tx = self.durable().begin().await?;
        let (state, approved) = self.lock_draft(&mut tx, id).await?;
        let version_id = match approved {
            Some(version_id) => version_id,
            None => {
                next(id, state, DraftEvent::Approve)?;
                let AppliedVersion { id: version_id, replaced } =
                    self.apply_in(&mut tx, &approve.version, approve.schedule).await?;
                if replaced != approve.replaces {
                    return Err(StoreError::invalid(format!(
                        "another version of pipeline {} was approved in the meantime",
                        approve.version.plan.pipeline
                    ))
                    .hint("look at the draft again before you approve it")
                    .suggest(Suggest::ShowDraft { draft: id }));
                }
                sqlx::query!(
                    "UPDATE drafts SET basis = $3, hash = $4 WHERE workspace_id = $1 AND id = $2",
                    self.id(),
                    id,
                    approve.basis,
                    &approve.hash[..]
                )
                .execute(&mut *tx)
                .await?;
                self.mark_approved(&mut tx, id, version_id).await?;
                version_id
            }
        };
        tx.commit().await?;
        self.version(version_id).await
    }

    /// Records that an open draft became a version. The caller holds the draft's row and knows its state.
    pub(crate) async fn mark_approved(&self, tx: &mut Tx, id: Uuid, version_id: Uuid) -> Result<()> {
        sqlx::query!(
            "UPDATE drafts SET state = $3, approved_by = $4, approved_at = clock_timestamp(), version_id = $5
             WHERE workspace_id = $1 AND id = $2 AND state = $6",
            self.id(),
            id,
            DraftState::Approved.as_str(),
            self.actor(),
            version_id,
            DraftState::Open.as_str()
        )
        .execute(&mut **tx)
        .await?;
        self.record(tx, "drafts.approve", &id.to_string(), &BecameVersion { version_id }).await
    }

    /// Locks a draft until the end of the transaction: its state, and the version that it became.
    pub(crate) async fn lock_draft(&self, tx: &mut Tx, id: Uuid) -> Result<(DraftState, Option<Uuid>)> {
        let row = sqlx::query!(
            "SELECT state, version_id FROM drafts WHERE workspace_id = $1 AND id = $2 FOR UPDATE",
            self.id(),
            id
        )
        .fetch_optional(&mut **tx)
        .await?
        .ok_or_else(|| missing(id))?;
        Ok((row.state.parse()?, row.version_id))
    }

    async fn move_draft(&self, tx: &mut Tx, id: Uuid, event: DraftEvent) -> Result<()> {
        let (state, _) = self.lock_draft(tx, id).await?;
        let after = next(id, state, event)?;
        sqlx::query!(
            "UPDATE drafts SET state = $3 WHERE workspace_id = $1 AND id = $2 AND state = $4",
            self.id(),
            id,
            after.as_str(),
            state.as_str()
        )
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}

/// The state after an event, or why it can't happen.
fn next(id: Uuid, state: DraftState, event: DraftEvent) -> Result<DraftState> {
    let refused = match (state, event) {
        (DraftState::Question, _) => "is a question: answer it first",
        (DraftState::Open, _) => "is no question",
        (DraftState::Approved, _) => "is approved",
        (DraftState::Discarded, _) => "is discarded, or its question was answered",
    };
    state
        .next(event)
        .ok_or_else(|| StoreError::invalid(format!("draft {id} {refused}")).suggest(Suggest::ShowDraft { draft: id }))
}

fn missing(id: Uuid) -> StoreError {
    StoreError::not_found(format!("there is no draft {id}")).suggest(Suggest::ListDrafts)
}

#[cfg(test)]
mod tests;
