//! Drafts as the table has them.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{Approval, DraftFilter, DraftRow, DraftSpec, Making};
use crate::{Result, StoreError, Workspace};

impl Workspace {
    /// Drafts of these states, newest first, or one.
    pub(super) async fn draft_rows(&self, filter: &DraftFilter, only: Option<Uuid>) -> Result<Vec<DraftRow>> {
        let states: Vec<String> = filter.states.iter().map(|state| state.as_str().to_owned()).collect();
        let states = (!states.is_empty()).then_some(states);
        let rows = sqlx::query_as!(
            Row,
            r#"SELECT d.id, d.state, d.created_by, d.created_at, d.prompt, d.base_id, d.pipeline, d.spec_text, d.basis, d.hash, d.based_on,
                      d.document, d.snapshots, d.model, d.prompt_version, d.rounds, d.tokens, d.cost_nanos, d.took_ms,
                      d.approved_by, d.approved_at, d.version_id, v.number AS "version?"
               FROM drafts d LEFT JOIN versions v ON v.workspace_id = d.workspace_id AND v.id = d.version_id
               WHERE d.workspace_id = $1 AND ($2::text[] IS NULL OR d.state = ANY ($2)) AND ($4::uuid IS NULL OR d.id = $4)
               ORDER BY d.id DESC LIMIT $3"#,
            self.id(),
            states as Option<Vec<String>>,
            filter.limit.unwrap_or(20),
            only
        )
        .fetch_all(self.reads())
        .await?;
        rows.into_iter().map(DraftRow::try_from).collect()
    }
}

/// A row of the table.
struct Row {
    id: Uuid,
    state: String,
    created_by: Option<String>,
    created_at: DateTime<Utc>,
    prompt: String,
    base_id: Option<Uuid>,
    pipeline: Option<String>,
    spec_text: Option<String>,
    basis: Option<Value>,
    hash: Option<Vec<u8>>,
    based_on: Option<i32>,
    document: Value,
    snapshots: Value,
    model: Option<String>,
    prompt_version: Option<String>,
    rounds: i32,
    tokens: Option<i64>,
    cost_nanos: Option<i64>,
    took_ms: i64,
    approved_by: Option<String>,
    approved_at: Option<DateTime<Utc>>,
    version_id: Option<Uuid>,
    version: Option<i32>,
}

impl TryFrom<Row> for DraftRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        let hash = row.hash.and_then(|hash| <[u8; 32]>::try_from(hash).ok());
        let spec = match (row.pipeline, row.spec_text, row.basis, hash) {
            (Some(pipeline), Some(text), Some(basis), Some(hash)) => {
                Some(DraftSpec { pipeline, text, basis, hash, based_on: row.based_on })
            }
            _ => None,
        };
        let approval = match (row.approved_at, row.version_id, row.version) {
            (Some(at), Some(version_id), Some(version)) => {
                Some(Approval { by: row.approved_by, at, version_id, version })
            }
            _ => None,
        };
        Ok(Self {
            id: row.id,
            state: row.state.parse()?,
            created_by: row.created_by,
            created_at: row.created_at,
            prompt: row.prompt,
            base: row.base_id,
            spec,
            document: row.document,
            snapshots: row.snapshots,
            making: Making {
                model: row.model,
                prompt_version: row.prompt_version,
                rounds: row.rounds,
                tokens: row.tokens,
                cost_nanos: row.cost_nanos,
                took_ms: row.took_ms,
            },
            approval,
        })
    }
}
