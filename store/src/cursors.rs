//! Cursors: how far each load has read its source. A cursor moves with its load, and is read by one attempt at a time.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::deadline::Tx;
use crate::lifecycle::LeaseKey;
use crate::{Result, Store, StoreError, Workspace};

/// What a cursor belongs to within a pipeline, as the spec names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CursorName {
    /// The table or query.
    pub source: String,
    /// The column, or `auto`.
    pub column: String,
    /// The target.
    pub target: String,
    /// Values of the parameters on which the rows depend.
    pub params: String,
}

/// Where a cursor stands.
#[derive(Debug, Clone, PartialEq)]
pub struct CursorPosition {
    /// The cursor.
    pub id: Uuid,
    /// How often it has moved.
    pub generation: i64,
    /// In the connector's own words; `None` if everything is to be read.
    pub position: Option<Value>,
    /// The same for people.
    pub shown: Option<String>,
    /// The load reads everything, whatever the position is, and replaces what its target holds.
    pub refresh: bool,
}

/// A cursor that an intent moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MovedCursor {
    /// The cursor.
    pub id: Uuid,
    /// How often it had moved when its rows were read.
    pub generation: i64,
}

/// A cursor as it is listed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CursorRow {
    /// Its id.
    pub id: Uuid,
    /// Name of the pipeline.
    pub pipeline: String,
    /// The table or query that is read.
    pub source: String,
    /// The column, or `auto`.
    pub column: String,
    /// Where its rows go.
    pub target: String,
    /// Values of the parameters on which the rows depend.
    pub params: Value,
    /// How far the source was read; absent if the next load reads everything.
    pub position: Option<String>,
    /// The connector's own words for it.
    pub details: Option<Value>,
    /// How often it has moved.
    pub generation: i64,
    /// The next load replaces what its target holds.
    pub refresh: bool,
    /// When it last moved.
    pub moved_at: Option<DateTime<Utc>>,
    /// The run that moved it.
    pub moved_by: Option<Uuid>,
    /// The run that reads with it now.
    pub read_by: Option<Uuid>,
}

/// What becomes of cursors that start over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CursorReset {
    /// The next load reads everything, in its own mode.
    Start,
    /// The next load goes on from the value, whoever wrote the rows behind it.
    KeepValue,
}

impl Store {
    /// Takes cursors of the run's pipeline for an attempt, and makes those that are new. Nothing is taken, and the reason is told, while another attempt
    /// reads with one of them or may still move it.
    pub async fn take_cursors(
        &self,
        lease: &LeaseKey,
        load_id: Uuid,
        names: &[CursorName],
    ) -> Result<std::result::Result<Vec<CursorPosition>, String>> {
        let mut tx = self.durable().begin().await?;
        let run = sqlx::query!(
            "SELECT v.pipeline_id, r.full_refresh FROM runs r JOIN versions v ON v.workspace_id = r.workspace_id AND v.id = r.version_id
             WHERE r.workspace_id = $1 AND r.id = $2",
            lease.workspace_id,
            lease.run_id
        )
        .fetch_optional(&mut *tx)
        .await?
        .ok_or_else(StoreError::stale)?;
        let mut taken = Vec::with_capacity(names.len());
        let mut order: Vec<usize> = (0..names.len()).collect();
        // One order of locks for everybody.
        order.sort_by_key(|index| &names[*index]);
        for index in order {
            match take(&mut tx, lease, load_id, run.pipeline_id, &names[index]).await? {
                Ok(position) => {
                    taken.push((index, CursorPosition { refresh: position.refresh || run.full_refresh, ..position }));
                }
                Err(why) => return Ok(Err(why)),
            }
        }
        tx.commit().await?;
        taken.sort_by_key(|(index, _)| *index);
        Ok(Ok(taken.into_iter().map(|(_, position)| position).collect()))
    }
}

async fn take(
    tx: &mut Tx,
    lease: &LeaseKey,
    load_id: Uuid,
    pipeline_id: Uuid,
    name: &CursorName,
) -> Result<std::result::Result<CursorPosition, String>> {
    sqlx::query!(
        "INSERT INTO cursors (workspace_id, pipeline_id, source, column_name, target, params) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (workspace_id, pipeline_id, md5(source), column_name, target, md5(params)) DO NOTHING",
        lease.workspace_id,
        pipeline_id,
        name.source,
        name.column,
        name.target,
        name.params
    )
    .execute(&mut **tx)
    .await?;
    let row = sqlx::query!(
        r#"SELECT c.id, c.generation, c.position, c.shown, c.refresh, c.taken_by, c.taken_token, c.pending_load
           FROM cursors c
           WHERE c.workspace_id = $1 AND c.pipeline_id = $2 AND md5(c.source) = md5($3) AND c.column_name = $4 AND c.target = $5
             AND md5(c.params) = md5($6)
           FOR UPDATE"#,
        lease.workspace_id,
        pipeline_id,
        name.source,
        name.column,
        name.target,
        name.params
    )
    .fetch_one(&mut **tx)
    .await?;
    // Statements of their own, after the lock: what its former holder did is seen.
    let reads = sqlx::query_scalar!(
        "SELECT run_id FROM leases WHERE stage_run_id = $1 AND token = $2 AND token <> $3",
        row.taken_by,
        row.taken_token,
        lease.token
    )
    .fetch_optional(&mut **tx)
    .await?;
    if let Some(run) = reads {
        return Ok(Err(format!("run {run} reads by the same cursor: this load waits for its turn")));
    }
    let commits = sqlx::query_scalar!(
        "SELECT run_id FROM loads WHERE workspace_id = $1 AND load_id = $2 AND load_id <> $3 AND stage_run_id <> $4 AND state = 'committing'",
        lease.workspace_id,
        row.pending_load,
        load_id,
        lease.stage_run_id
    )
    .fetch_optional(&mut **tx)
    .await?;
    if let Some(run) = commits {
        return Ok(Err(format!("the load of run {run} may still move the cursor: this load waits for its turn")));
    }
    sqlx::query!(
        "UPDATE cursors SET taken_by = $3, taken_token = $4 WHERE workspace_id = $1 AND id = $2",
        lease.workspace_id,
        row.id,
        lease.stage_run_id,
        lease.token
    )
    .execute(&mut **tx)
    .await?;
    let (id, generation, position) = (row.id, row.generation, row.position);
    Ok(Ok(CursorPosition { id, generation, position, shown: row.shown, refresh: row.refresh }))
}

/// Notes that a load moves a cursor if it commits. False if the cursor has moved or started over since it was read, or another load may still move it.
pub(crate) async fn expect_move(tx: &mut Tx, lease: &LeaseKey, load_id: Uuid, cursor: MovedCursor) -> Result<bool> {
    let noted = sqlx::query!(
        "UPDATE cursors c SET pending_load = $3
         WHERE c.workspace_id = $1 AND c.id = $2 AND c.generation = $4 AND c.taken_by = $5 AND c.taken_token = $6 AND NOT EXISTS (
             SELECT FROM loads l WHERE l.workspace_id = $1 AND l.load_id = c.pending_load AND l.load_id <> $3 AND l.state = 'committing')",
        lease.workspace_id,
        cursor.id,
        load_id,
        cursor.generation,
        lease.stage_run_id,
        lease.token
    )
    .execute(&mut **tx)
    .await?;
    Ok(noted.rows_affected() == 1)
}

impl Workspace {
    /// All cursors, or those of a pipeline, by pipeline and target.
    pub async fn cursors(&self, pipeline: Option<&str>) -> Result<Vec<CursorRow>> {
        let rows = sqlx::query!(
            r#"SELECT c.id, p.name, c.source, c.column_name, c.target, c.params::jsonb AS "params!", c.position, c.shown, c.generation,
                      c.refresh, c.moved_at, c.moved_by,
                      (SELECT l.run_id FROM leases l WHERE l.stage_run_id = c.taken_by AND l.token = c.taken_token) AS read_by
               FROM cursors c JOIN pipelines p ON p.workspace_id = c.workspace_id AND p.id = c.pipeline_id
               WHERE c.workspace_id = $1 AND ($2::text IS NULL OR p.name = $2)
               ORDER BY p.name, c.target, c.source, c.id"#,
            self.id(),
            pipeline
        )
        .fetch_all(self.durable())
        .await?;
        let row = rows.into_iter().map(|row| CursorRow {
            id: row.id,
            pipeline: row.name,
            source: row.source,
            column: row.column_name,
            target: row.target,
            params: row.params,
            position: row.shown,
            details: row.position,
            generation: row.generation,
            refresh: row.refresh,
            moved_at: row.moved_at,
            moved_by: row.moved_by,
            read_by: row.read_by,
        });
        Ok(row.collect())
    }

    /// Lets cursors of a pipeline start over: all, or those of a source. A load that reads by one of them now will not commit. Refused while a load may
    /// still move one. Returns how many there are.
    pub async fn reset_cursors(&self, pipeline: &str, source: Option<&str>, reset: CursorReset) -> Result<u64> {
        let mut tx = self.durable().begin().await?;
        let rows = sqlx::query!(
            "SELECT c.id, c.pending_load FROM cursors c JOIN pipelines p ON p.workspace_id = c.workspace_id AND p.id = c.pipeline_id
             WHERE c.workspace_id = $1 AND p.name = $2 AND ($3::text IS NULL OR c.source = $3)
             ORDER BY c.source, c.column_name, c.target, c.params FOR UPDATE OF c",
            self.id(),
            pipeline,
            source
        )
        .fetch_all(&mut *tx)
        .await?;
        let (ids, pending): (Vec<Uuid>, Vec<Option<Uuid>>) = rows.iter().map(|row| (row.id, row.pending_load)).unzip();
        let pending: Vec<Uuid> = pending.into_iter().flatten().collect();
        let commits = sqlx::query_scalar!(
            "SELECT run_id FROM loads WHERE workspace_id = $1 AND load_id = ANY ($2) AND state = 'committing' LIMIT 1",
            self.id(),
            &pending
        )
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(run) = commits {
            return Err(StoreError::invalid(format!("the load of run {run} may still move a cursor of '{pipeline}'"))
                .hint("wait until the run has ended, then try again"));
        }
        let keeps = reset == CursorReset::KeepValue;
        sqlx::query!(
            "UPDATE cursors c
             SET generation = CASE WHEN $3 THEN c.generation ELSE c.generation + 1 END,
                 position = CASE WHEN $3 THEN c.position - 'written' END, shown = CASE WHEN $3 THEN c.shown END,
                 refresh = false, pending_load = NULL, taken_by = NULL, taken_token = NULL
             WHERE c.workspace_id = $1 AND c.id = ANY ($2)",
            self.id(),
            &ids,
            keeps
        )
        .execute(&mut *tx)
        .await?;
        let detail = serde_json::json!({ "source": source, "keeps_value": keeps, "cursors": ids.len() });
        self.record(&mut tx, "cursors.reset", pipeline, &detail).await?;
        tx.commit().await?;
        Ok(ids.len() as u64)
    }
}
