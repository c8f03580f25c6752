//! Rejects: rows and messages that a load has set aside. They are written with the load's intent and seen once it is committed: then the database marks
//! those of the attempt whose rows the target holds, in the statement that commits the load.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::deadline::Tx;
use crate::ids::{AMBIGUOUS_SHOWN, Beginning};
use crate::lifecycle::LeaseKey;
use crate::loads::IntentRow;
use crate::state::RejectState;
use crate::{Result, StoreError, Suggest, Workspace};

#[cfg(test)]
mod tests;

/// Rejects of a pipeline that nobody has discarded: beyond them the oldest are forgotten. A stream whose topic always has some must not fill the control plane.
const MOST_OF_PIPELINE: i64 = 10_000;

/// A row or message that is set aside.
#[derive(Debug, Clone, PartialEq)]
pub struct NewReject {
    /// Path of the check or extract that rejects it.
    pub task: String,
    /// Where it comes from.
    pub origin: RejectOrigin,
    /// The kind of reason, for programs.
    pub code: String,
    /// What is wrong, for people.
    pub reason: String,
    /// The row as JSON or the bytes of the message, as far as they are kept.
    pub content: Option<Vec<u8>>,
    /// There is more of the content.
    pub truncated: bool,
}

/// Where a reject comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RejectOrigin {
    /// The dataset that was checked, or the topic as the spec names it.
    pub source: String,
    /// The partition of the topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    /// The message's offset in its partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
}

/// A reject as it is listed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RejectRow {
    /// Grows with time.
    pub id: Uuid,
    /// Name of the pipeline.
    pub pipeline: String,
    /// The run that has set it aside.
    pub run_id: Uuid,
    /// The load without it; the target's commit carries the same id.
    pub load_id: Uuid,
    /// Path of the check or extract.
    pub task: String,
    /// Where it comes from.
    pub origin: RejectOrigin,
    /// The kind of reason: `rule_violated` or `message_unreadable`.
    pub code: String,
    /// What is wrong.
    pub reason: String,
    /// Where it is.
    pub state: RejectState,
    /// When it was set aside.
    pub created_at: DateTime<Utc>,
}

/// What was set aside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RejectContent {
    /// The row as JSON, or the message if it is UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The message if it is not UTF-8. A message without a value has neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// There was more of it than is kept.
    pub truncated: bool,
}

/// Which rejects are listed.
#[derive(Debug, Clone, Default)]
pub struct RejectFilter {
    /// Those of a pipeline.
    pub pipeline: Option<String>,
    /// Those of a run.
    pub run: Option<Uuid>,
    /// How many at most, the newest first.
    pub limit: i64,
}

/// Which rejects a person has dealt with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RejectChoice {
    /// These.
    Ids(Vec<Uuid>),
    /// All of a pipeline.
    Pipeline(String),
}

/// Writes the rejects of a load with its intent. The same attempt again replaces what it wrote; another attempt has its own.
pub(crate) async fn put(tx: &mut Tx, lease: &LeaseKey, intent: &IntentRow) -> Result<()> {
    let rejects = &intent.rejects;
    if rejects.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "DELETE FROM rejects WHERE workspace_id = $1 AND load_id = $2 AND attempt = $3",
        lease.workspace_id,
        intent.load_id,
        intent.attempt
    )
    .execute(&mut **tx)
    .await?;
    let origins = rejects.iter().map(|reject| serde_json::to_value(&reject.origin));
    let origins = origins.collect::<std::result::Result<Vec<_>, _>>()?;
    let texts = |text: fn(&NewReject) -> &String| rejects.iter().map(text).cloned().collect::<Vec<String>>();
    let contents: Vec<Option<&[u8]>> = rejects.iter().map(|reject| reject.content.as_deref()).collect();
    let truncated: Vec<bool> = rejects.iter().map(|reject| reject.truncated).collect();
    let pipeline_id = sqlx::query_scalar!(
        r#"WITH written AS (
               INSERT INTO rejects (workspace_id, pipeline_id, run_id, load_id, attempt, task, origin, code, reason, content, truncated)
               SELECT r.workspace_id, r.pipeline_id, r.id, $3, $4, g.task, g.origin, g.code, g.reason, g.content, g.truncated
               FROM runs r, unnest($5::text[], $6::jsonb[], $7::text[], $8::text[], $9::bytea[], $10::boolean[])
                    AS g (task, origin, code, reason, content, truncated)
               WHERE r.workspace_id = $1 AND r.id = $2
               RETURNING pipeline_id)
           SELECT pipeline_id FROM written LIMIT 1"#,
        lease.workspace_id,
        lease.run_id,
        intent.load_id,
        intent.attempt,
        &texts(|reject| &reject.task),
        &origins,
        &texts(|reject| &reject.code),
        &texts(|reject| &reject.reason),
        &contents as &[Option<&[u8]>],
        &truncated
    )
    .fetch_one(&mut **tx)
    .await?;
    sqlx::query!(
        "DELETE FROM rejects WHERE workspace_id = $1 AND id IN (
             SELECT id FROM rejects WHERE workspace_id = $1 AND pipeline_id = $2 AND state = 'kept' ORDER BY id DESC OFFSET $3)",
        lease.workspace_id,
        pipeline_id,
        MOST_OF_PIPELINE
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

impl Workspace {
    /// Rejects of committed loads that nobody has discarded, the newest first, and how many there are.
    pub async fn rejects(&self, filter: &RejectFilter) -> Result<(Vec<RejectRow>, i64)> {
        let records = sqlx::query_as!(
            RejectRecord,
            "SELECT r.id, p.name AS pipeline, r.run_id, r.load_id, r.task, r.origin, r.code, r.reason, r.state, r.created_at
             FROM rejects r JOIN pipelines p ON p.workspace_id = r.workspace_id AND p.id = r.pipeline_id
             WHERE r.workspace_id = $1 AND r.state = 'kept' AND ($2::text IS NULL OR p.name = $2) AND ($3::uuid IS NULL OR r.run_id = $3)
             ORDER BY r.id DESC LIMIT $4",
            self.id(),
            filter.pipeline.as_deref(),
            filter.run,
            filter.limit
        )
        .fetch_all(self.reads())
        .await?;
        let total = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!"
               FROM rejects r JOIN pipelines p ON p.workspace_id = r.workspace_id AND p.id = r.pipeline_id
               WHERE r.workspace_id = $1 AND r.state = 'kept' AND ($2::text IS NULL OR p.name = $2) AND ($3::uuid IS NULL OR r.run_id = $3)"#,
            self.id(),
            filter.pipeline.as_deref(),
            filter.run
        )
        .fetch_one(self.reads())
        .await?;
        Ok((records.into_iter().map(RejectRecord::shown).collect::<Result<_>>()?, total))
    }

    /// One reject of a committed load, discarded or not, with what was set aside.
    pub async fn reject(&self, id: Uuid) -> Result<(RejectRow, RejectContent)> {
        let record = sqlx::query_as!(
            RejectRecord,
            "SELECT r.id, p.name AS pipeline, r.run_id, r.load_id, r.task, r.origin, r.code, r.reason, r.state, r.created_at
             FROM rejects r JOIN pipelines p ON p.workspace_id = r.workspace_id AND p.id = r.pipeline_id
             WHERE r.workspace_id = $1 AND r.id = $2 AND r.state <> 'pending'",
            self.id(),
            id
        )
        .fetch_optional(self.reads())
        .await?;
        let content = sqlx::query!(
            r"SELECT content, truncated, translate(encode(content, 'base64'), E'\n', '') AS base64
              FROM rejects WHERE workspace_id = $1 AND id = $2",
            self.id(),
            id
        )
        .fetch_optional(self.reads())
        .await?;
        let (Some(record), Some(content)) = (record, content) else { return Err(unknown(id)) };
        let truncated = content.truncated;
        let content = match content.content.map(String::from_utf8).transpose() {
            Ok(text) => RejectContent { text, base64: None, truncated },
            Err(_) => RejectContent { text: None, base64: content.base64, truncated },
        };
        Ok((record.shown()?, content))
    }

    /// The one listed reject whose id begins like this: with digits of an id, dashes or not.
    pub async fn find_reject(&self, prefix: &str) -> Result<Uuid> {
        let beginning = Beginning::read("reject", prefix, Suggest::ListRejects)?;
        let found = sqlx::query_scalar!(
            "SELECT id FROM rejects WHERE workspace_id = $1 AND id >= $2 AND id <= $3 AND state <> 'pending' ORDER BY id DESC LIMIT $4",
            self.id(),
            beginning.from,
            beginning.to,
            AMBIGUOUS_SHOWN + 1
        )
        .fetch_all(self.reads())
        .await?;
        beginning.only(&found)
    }

    /// Notes that a person has dealt with rejects; answers with how many were kept until now. If one of the ids is unknown, nothing is changed.
    pub async fn discard_rejects(&self, choice: &RejectChoice) -> Result<u64> {
        let (ids, pipeline) = match choice {
            RejectChoice::Ids(ids) => (ids.as_slice(), None),
            RejectChoice::Pipeline(pipeline) => (&[][..], Some(pipeline.as_str())),
        };
        let mut tx = self.durable().begin().await?;
        let missing = sqlx::query_scalar!(
            r#"SELECT g.id AS "id!" FROM unnest($2::uuid[]) AS g (id)
               WHERE NOT EXISTS (SELECT FROM rejects r WHERE r.workspace_id = $1 AND r.id = g.id AND r.state <> 'pending') LIMIT 1"#,
            self.id(),
            ids
        )
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(id) = missing {
            return Err(unknown(id));
        }
        let discarded = sqlx::query!(
            "UPDATE rejects r SET state = 'discarded', discarded_at = clock_timestamp() FROM pipelines p
             WHERE r.workspace_id = $1 AND r.state = 'kept' AND p.workspace_id = r.workspace_id AND p.id = r.pipeline_id
               AND (r.id = ANY ($2) OR p.name = $3)",
            self.id(),
            ids,
            pipeline
        )
        .execute(&mut *tx)
        .await?
        .rows_affected();
        if discarded > 0 {
            let listed = || ids.iter().map(Uuid::to_string).collect::<Vec<_>>().join(" ");
            let subject = pipeline.map_or_else(listed, str::to_owned);
            self.record(&mut tx, "rejects.discard", &subject, &serde_json::json!({ "rejects": discarded })).await?;
        }
        tx.commit().await?;
        Ok(discarded)
    }
}

fn unknown(id: Uuid) -> StoreError {
    StoreError::not_found(format!("there is no reject {id}")).suggest(Suggest::ListRejects)
}

/// A reject as it is stored.
struct RejectRecord {
    id: Uuid,
    pipeline: String,
    run_id: Uuid,
    load_id: Uuid,
    task: String,
    origin: serde_json::Value,
    code: String,
    reason: String,
    state: String,
    created_at: DateTime<Utc>,
}

impl RejectRecord {
    fn shown(self) -> Result<RejectRow> {
        Ok(RejectRow {
            id: self.id,
            pipeline: self.pipeline,
            run_id: self.run_id,
            load_id: self.load_id,
            task: self.task,
            origin: serde_json::from_value(self.origin)?,
            code: self.code,
            reason: self.reason,
            state: self.state.parse()?,
            created_at: self.created_at,
        })
    }
}
