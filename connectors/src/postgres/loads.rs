//! The table that remembers which loads a schema's tables hold, and ending the sessions of earlier attempts.

use std::time::Duration;

use headwater_engine::connector::Taken;
use headwater_engine::{EngineError, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::names::{literal, path};
use super::session::Session;

/// Its name, in the schema of the target.
pub(super) const LOADS: &str = "_headwater_loads";

/// How long an ended session may take to be gone.
const END_TIMEOUT: Duration = Duration::from_secs(15);

/// What a successor needs to end a session: the process alone could be another session's by now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Backend {
    connector: String,
    /// The server, so that a pid is never looked for on another one.
    system: String,
    pid: i32,
    backend_start: String,
}

impl Backend {
    /// The session's own.
    pub(super) async fn of(session: &Session) -> Result<Self> {
        let sql = "SELECT pid, to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'),
                          coalesce(inet_server_addr()::text, 'local') || ':' || current_setting('port') || '/' || current_database()
                   FROM pg_stat_activity WHERE pid = pg_backend_pid()";
        let row = session.rows("asking for the session's identity", sql).await?.into_iter().next().unwrap_or_default();
        match row.as_slice() {
            [Some(pid), Some(start), Some(system)] => Ok(Self {
                connector: "postgres".to_owned(),
                system: system.clone(),
                pid: pid.parse().map_err(|_| EngineError::bug("the server's process id is not a number"))?,
                backend_start: start.clone(),
            }),
            _ => Err(Self::unseen(session).await?),
        }
    }

    /// Another role than the one that has logged in sees nothing of the session.
    async fn unseen(session: &Session) -> Result<EngineError> {
        let roles = session
            .value("asking for the session's roles", "SELECT current_user || ' of a session of ' || session_user");
        let roles = roles.await?.unwrap_or_default();
        let message = format!("the role {roles} can't see that session, which a later attempt may have to end");
        Ok(EngineError::config(message)
            .hint("connect as the role itself, or GRANT it pg_read_all_stats and pg_signal_backend"))
    }

    pub(super) fn to_handle(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Handles of other connectors are not ours.
    pub(super) fn from_handle(handle: &Value) -> Option<Self> {
        let backend: Self = serde_json::from_value(handle.clone()).ok()?;
        (backend.connector == "postgres").then_some(backend)
    }

    /// Ends the session, if it is still that one, and waits until it is gone: then it can't commit any more.
    pub(super) async fn end(&self, session: &Session) -> Result<()> {
        let same = format!(
            "pid = {} AND to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') = {} AND pid <> pg_backend_pid()",
            self.pid,
            literal(&self.backend_start)
        );
        let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {same}");
        let deadline = tokio::time::Instant::now() + END_TIMEOUT;
        while session.value("ending an earlier attempt's session", &end).await?.is_some() {
            if tokio::time::Instant::now() > deadline {
                return Err(EngineError::transient(format!(
                    "the session {} of an earlier attempt does not end",
                    self.pid
                ))
                .hint("end it with pg_terminate_backend, then run again"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

/// Makes the table if it isn't there. Two sessions that make it at once collide in the catalog; then it is there.
pub(super) async fn ensure(session: &Session, schema: &str) -> Result<()> {
    if exists(session, schema).await? {
        return Ok(());
    }
    let mut statements = create_schema(session, schema).await?;
    statements.push(format!(
        "CREATE TABLE IF NOT EXISTS {} (
           load_id uuid PRIMARY KEY, attempt int NOT NULL, task text NOT NULL, target text NOT NULL, rows bigint NOT NULL,
           loaded_at timestamptz NOT NULL DEFAULT clock_timestamp())",
        path(&[schema, LOADS])
    ));
    match session.run("making the table of loads", &statements.join("; ")).await {
        Ok(()) => Ok(()),
        Err(_) if exists(session, schema).await? => Ok(()),
        Err(error) => Err(error),
    }
}

/// The statement that makes a schema, if it isn't there. To make one that is needs the privilege to make schemas all the same.
pub(super) async fn create_schema(session: &Session, schema: &str) -> Result<Vec<String>> {
    let sql = format!("SELECT to_regnamespace({}) IS NOT NULL", literal(&path(&[schema])));
    let is_there = session.value("looking for the schema", &sql).await?.as_deref() == Some("t");
    Ok(if is_there { Vec::new() } else { vec![format!("CREATE SCHEMA IF NOT EXISTS {}", path(&[schema]))] })
}

/// Whether the table is there.
pub(super) async fn exists(session: &Session, schema: &str) -> Result<bool> {
    let sql = format!("SELECT to_regclass({}) IS NOT NULL", literal(&path(&[schema, LOADS])));
    Ok(session.value("looking for the table of loads", &sql).await?.as_deref() == Some("t"))
}

/// The statement that takes a load id; it goes last in the load's transaction.
pub(super) fn insert(schema: &str, load_id: Uuid, attempt: i32, task: &str, target: &str, rows: u64) -> String {
    format!(
        "INSERT INTO {} (load_id, attempt, task, target, rows) VALUES ('{load_id}', {attempt}, {}, {}, {rows})",
        path(&[schema, LOADS]),
        literal(task),
        literal(target)
    )
}

/// Which attempt took the load id.
pub(super) async fn taken(session: &Session, schema: &str, load_id: Uuid) -> Result<Option<Taken>> {
    if !exists(session, schema).await? {
        return Ok(None);
    }
    let sql = format!("SELECT attempt FROM {} WHERE load_id = '{load_id}'", path(&[schema, LOADS]));
    let attempt = session.value("asking for the load", &sql).await?;
    let attempt =
        attempt.map(|text| text.parse().map_err(|_| EngineError::bug("the attempt of a load is not a number")));
    Ok(attempt.transpose()?.map(|attempt| Taken { attempt, version: None }))
}
