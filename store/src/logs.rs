//! Log lines of attempts. Written in bulk; whoever writes them has removed the secrets.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::lifecycle::LeaseKey;
use crate::{Result, Store, Workspace};

/// Lines that one attempt may leave: a stage that logs every row must not fill the database.
pub const MAX_LOG_LINES_PER_ATTEMPT: usize = 10_000;

/// Bytes of one message; the rest is cut off.
pub const MAX_LOG_MESSAGE_BYTES: usize = 8 * 1024;

/// A line that is to be written.
#[derive(Debug, Clone)]
pub struct LogLine {
    /// The attempt's lease. It need not hold any more: what an attempt said stays said.
    pub lease: LeaseKey,
    /// info, warn or error.
    pub level: &'static str,
    /// The task it is about.
    pub task: Option<String>,
    /// The text.
    pub message: String,
    /// When it was said, on the worker's clock.
    pub at: DateTime<Utc>,
}

/// A line as it is read.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LogRow {
    /// Grows with time: the last one of a page is where the next begins.
    pub id: Uuid,
    /// The stage run.
    pub stage_run_id: Uuid,
    /// Name of the stage.
    pub stage: String,
    /// The attempt.
    pub attempt_id: Uuid,
    /// info, warn or error.
    pub level: String,
    /// The task it is about.
    pub task: Option<String>,
    /// The text.
    pub message: String,
    /// When it was said.
    pub at: DateTime<Utc>,
}

/// A warning of a run.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WarningRow {
    /// The task it is about.
    pub task: Option<String>,
    /// What somebody should look at.
    pub message: String,
}

impl Store {
    /// Appends lines. A lost batch costs lines and nothing else, so its commit is not waited for.
    pub async fn append_logs(&self, lines: &[LogLine]) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let workspaces: Vec<Uuid> = lines.iter().map(|line| line.lease.workspace_id).collect();
        let runs: Vec<Uuid> = lines.iter().map(|line| line.lease.run_id).collect();
        let stage_runs: Vec<Uuid> = lines.iter().map(|line| line.lease.stage_run_id).collect();
        let attempts: Vec<Uuid> = lines.iter().map(|line| line.lease.attempt_id).collect();
        let levels: Vec<String> = lines.iter().map(|line| line.level.to_owned()).collect();
        let tasks: Vec<Option<String>> = lines.iter().map(|line| line.task.clone()).collect();
        // Postgres keeps no NUL in text, and a driver's message may hold one.
        let messages: Vec<String> = lines.iter().map(|line| cut(&line.message).replace('\0', "\u{fffd}")).collect();
        let times: Vec<DateTime<Utc>> = lines.iter().map(|line| line.at).collect();
        sqlx::query!(
            r#"INSERT INTO logs (workspace_id, run_id, stage_run_id, attempt_id, level, task, message, at)
               SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[],
                                    $8::timestamptz[])"#,
            &workspaces,
            &runs,
            &stage_runs,
            &attempts,
            &levels,
            &tasks as &[Option<String>],
            &messages,
            &times
        )
        .execute(self.relaxed())
        .await?;
        Ok(())
    }
}

impl Workspace {
    /// Warnings of a run's latest attempts, oldest first: each text of a task once.
    pub async fn warnings(&self, run_id: Uuid, limit: i64) -> Result<Vec<WarningRow>> {
        Ok(sqlx::query_as!(
            WarningRow,
            r#"SELECT l.task, l.message AS "message!"
               FROM logs l JOIN attempts a ON a.workspace_id = l.workspace_id AND a.id = l.attempt_id
               JOIN stage_runs s ON s.workspace_id = a.workspace_id AND s.id = a.stage_run_id AND s.attempt = a.number
               WHERE l.workspace_id = $1 AND l.run_id = $2 AND l.level = 'warn'
               GROUP BY l.task, l.message ORDER BY min(l.at) LIMIT $3"#,
            self.id(),
            run_id,
            limit
        )
        .fetch_all(self.reads())
        .await?)
    }

    /// Lines of a run in the order they arrived, after the given one.
    pub async fn logs(&self, run_id: Uuid, after: Option<Uuid>, limit: i64) -> Result<Vec<LogRow>> {
        Ok(sqlx::query_as!(
            LogRow,
            r#"SELECT l.id, l.stage_run_id, s.stage, l.attempt_id, l.level, l.task, l.message, l.at
               FROM logs l JOIN stage_runs s ON s.workspace_id = l.workspace_id AND s.id = l.stage_run_id
               WHERE l.workspace_id = $1 AND l.run_id = $2 AND ($3::uuid IS NULL OR l.id > $3)
               ORDER BY l.id LIMIT $4"#,
            self.id(),
            run_id,
            after,
            limit
        )
        .fetch_all(self.reads())
        .await?)
    }
}

/// At most [`MAX_LOG_MESSAGE_BYTES`], cut where a character ends.
fn cut(message: &str) -> &str {
    if message.len() <= MAX_LOG_MESSAGE_BYTES {
        return message;
    }
    let end = (0..=MAX_LOG_MESSAGE_BYTES).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
    &message[..end]
}
