//! Backfills: intervals of the past that are filled in, slice by slice. The one door for their states; `advance` makes the runs.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::deadline::Tx;
use crate::runs::cancel_in;
use crate::state::{BackfillEvent, BackfillState};
use crate::{Result, StoreError, Workspace};

mod advance;
mod keys;
mod rows;
#[cfg(test)]
mod tests;

pub use keys::SliceKeys;
pub(crate) use keys::take as take_keys;
pub use rows::{BackfillRow, SliceRow};

/// A backfill that is to be started.
#[derive(Debug, Clone)]
pub struct NewBackfill {
    /// What its runs execute.
    pub version_id: Uuid,
    /// Values of the parameters, checked against their types.
    pub params: Map<String, Value>,
    /// Half-open intervals, each beginning where the one before ends.
    pub slices: Vec<(DateTime<Utc>, DateTime<Utc>)>,
    /// How many of them run at a time.
    pub parallel: u32,
}

/// What the audit says of a new backfill.
#[derive(Debug, Serialize, JsonSchema)]
struct StartedBackfill {
    backfill_id: Uuid,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    slices: usize,
}

impl Workspace {
    /// Stores a backfill with its slices; nothing runs before somebody advances it. Refused while another one of the pipeline is under way.
    pub async fn create_backfill(&self, new: &NewBackfill) -> Result<Uuid> {
        let (Some((from, _)), Some((_, to))) = (new.slices.first(), new.slices.last()) else {
            return Err(StoreError::invalid("a backfill has at least one slice"));
        };
        let parallel = i32::try_from(new.parallel).unwrap_or(i32::MAX);
        let mut tx = self.durable().begin().await?;
        let made = sqlx::query!(
            r#"WITH made AS (
                   INSERT INTO backfills (workspace_id, pipeline_id, version_id, params, starts_at, ends_at, parallel, created_by)
                   SELECT v.workspace_id, v.pipeline_id, v.id, $3, $4, $5, $6, $7 FROM versions v WHERE v.workspace_id = $1 AND v.id = $2
                   ON CONFLICT DO NOTHING RETURNING id)
               SELECT p.name, (SELECT id FROM made) AS id
               FROM versions v JOIN pipelines p ON p.workspace_id = v.workspace_id AND p.id = v.pipeline_id
               WHERE v.workspace_id = $1 AND v.id = $2"#,
            self.id(),
            new.version_id,
            Value::Object(new.params.clone()),
            from,
            to,
            parallel,
            self.actor()
        )
        .fetch_optional(&mut *tx)
        .await?
        .ok_or_else(|| StoreError::not_found(format!("there is no version {}", new.version_id)))?;
        let pipeline = made.name;
        let Some(id) = made.id else {
            return Err(StoreError::invalid(format!("another backfill of '{pipeline}' is under way")).hint(format!(
                "look at it: headwater backfills show {pipeline}; end it: headwater backfills cancel {pipeline}"
            )));
        };
        let (starts, ends): (Vec<_>, Vec<_>) = new.slices.iter().copied().unzip();
        sqlx::query!(
            "INSERT INTO backfill_slices (workspace_id, backfill_id, starts_at, ends_at)
             SELECT $1, $2, s.starts_at, s.ends_at FROM unnest($3::timestamptz[], $4::timestamptz[]) AS s (starts_at, ends_at)",
            self.id(),
            id,
            &starts,
            &ends
        )
        .execute(&mut *tx)
        .await?;
        let detail = StartedBackfill { backfill_id: id, from: *from, to: *to, slices: new.slices.len() };
        self.record(&mut tx, "backfills.start", &pipeline, &detail).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Lets nothing new of a backfill start. What runs goes on.
    pub async fn pause_backfill(&self, id: Uuid) -> Result<()> {
        let mut tx = self.durable().begin().await?;
        let pipeline = self.move_backfill(&mut tx, id, BackfillEvent::Pause).await?;
        self.record(&mut tx, "backfills.pause", &pipeline, &()).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Lets a backfill go on: slices that failed or were canceled run again.
    pub async fn resume_backfill(&self, id: Uuid) -> Result<()> {
        let mut tx = self.durable().begin().await?;
        let pipeline = self.move_backfill(&mut tx, id, BackfillEvent::Resume).await?;
        advance::note_ends(&mut tx, self.id(), id).await?;
        sqlx::query!(
            "UPDATE backfill_slices SET run_id = NULL, ended = NULL
             WHERE workspace_id = $1 AND backfill_id = $2 AND ended IN ('failed', 'canceled')",
            self.id(),
            id
        )
        .execute(&mut *tx)
        .await?;
        self.record(&mut tx, "backfills.resume", &pipeline, &()).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Ends a backfill, and asks its runs to end.
    pub async fn cancel_backfill(&self, id: Uuid) -> Result<()> {
        let mut tx = self.durable().begin().await?;
        let pipeline = self.move_backfill(&mut tx, id, BackfillEvent::Cancel).await?;
        let live = sqlx::query_scalar!(
            r#"SELECT r.id FROM backfill_slices s JOIN runs r ON r.workspace_id = s.workspace_id AND r.id = s.run_id
               WHERE s.workspace_id = $1 AND s.backfill_id = $2 AND s.run_id IS NOT NULL AND s.ended IS NULL
                 AND r.state IN ('pending', 'queued', 'running') ORDER BY r.id"#,
            self.id(),
            id
        )
        .fetch_all(&mut *tx)
        .await?;
        for run in &live {
            cancel_in(&mut tx, self.id(), *run).await?;
        }
        self.record(&mut tx, "backfills.cancel", &pipeline, &()).await?;
        tx.commit().await?;
        live.into_iter().for_each(|run| self.store.inner.notifier.canceled(run));
        Ok(())
    }

    /// Changes the state as a person asks, under the lock of the row; answers with the pipeline.
    async fn move_backfill(&self, tx: &mut Tx, id: Uuid, event: BackfillEvent) -> Result<String> {
        let found = sqlx::query!(
            "SELECT b.state, p.name FROM backfills b JOIN pipelines p ON p.workspace_id = b.workspace_id AND p.id = b.pipeline_id
             WHERE b.workspace_id = $1 AND b.id = $2 FOR UPDATE OF b",
            self.id(),
            id
        )
        .fetch_optional(&mut **tx)
        .await?
        .ok_or_else(|| StoreError::not_found(format!("there is no backfill {id}")))?;
        let state: BackfillState = found.state.parse()?;
        let Some(next) = state.next(event) else {
            let asked = format!("{event:?}").to_lowercase();
            return Err(StoreError::invalid(format!("the backfill of '{}' is {state}: it can't {asked}", found.name)));
        };
        if !next.has_ended() && state.has_ended() {
            self.must_be_alone(tx, id, &found.name).await?;
        }
        put_state(tx, self.id(), id, next).await?;
        Ok(found.name)
    }

    /// A backfill that is taken up again must not meet another one of its pipeline.
    async fn must_be_alone(&self, tx: &mut Tx, id: Uuid, pipeline: &str) -> Result<()> {
        let other = sqlx::query_scalar!(
            r#"SELECT EXISTS (
                   SELECT FROM backfills o JOIN backfills b ON b.workspace_id = o.workspace_id AND b.pipeline_id = o.pipeline_id
                   WHERE b.workspace_id = $1 AND b.id = $2 AND o.id <> $2 AND o.state IN ('running', 'paused')) AS "other!""#,
            self.id(),
            id
        )
        .fetch_one(&mut **tx)
        .await?;
        match other {
            false => Ok(()),
            true => Err(StoreError::invalid(format!("another backfill of '{pipeline}' is under way"))
                .hint(format!("end it first: headwater backfills cancel {pipeline}"))),
        }
    }
}

/// Pauses the backfill of a pipeline that is under way, if there is one.
pub(crate) async fn pause_of(tx: &mut Tx, workspace_id: Uuid, pipeline_id: Uuid) -> Result<()> {
    let running = sqlx::query_scalar!(
        "SELECT id FROM backfills WHERE workspace_id = $1 AND pipeline_id = $2 AND state = 'running' FOR UPDATE",
        workspace_id,
        pipeline_id
    )
    .fetch_optional(&mut **tx)
    .await?;
    match running {
        Some(id) => put_state(tx, workspace_id, id, BackfillState::Paused).await,
        None => Ok(()),
    }
}

async fn put_state(tx: &mut Tx, workspace_id: Uuid, id: Uuid, state: BackfillState) -> Result<()> {
    sqlx::query!(
        "UPDATE backfills SET state = $3, ended_at = CASE WHEN $4 THEN clock_timestamp() END WHERE workspace_id = $1 AND id = $2",
        workspace_id,
        id,
        state.as_str(),
        state.has_ended()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
