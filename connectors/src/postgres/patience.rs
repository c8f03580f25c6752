//! How long looks at a server wait for locks. A plan that waited without end would look as if it were broken; a stage that runs can be canceled, and waits.

use std::error::Error as _;

use headwater_engine::{EngineError, Result};
use tokio_postgres::error::SqlState;

use super::names::literal;
use super::relation::text;
use super::session::Session;

/// What a look puts before its statements: in front of a statement it counts for that statement, behind BEGIN for the transaction. So no pooler
/// carries it into another session.
const SHORT: &str = "SET LOCAL lock_timeout = '5s'; ";

/// How long statements wait for locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// A few seconds.
    Short,
    /// As long as the session says.
    Session,
}

impl Patience {
    /// What stands before a statement.
    pub(super) fn sql(self) -> &'static str {
        match self {
            Self::Short => SHORT,
            Self::Session => "",
        }
    }
}

/// An error, which names what is locked if a lock is the cause.
pub(super) fn named(error: EngineError, label: &str) -> EngineError {
    if !is_lock(&error) {
        return error;
    }
    EngineError::transient(format!("{label} is locked by another session, and stayed locked for some seconds"))
        .hint("try again once that session has ended its transaction; pg_locks and pg_stat_activity show it")
        .caused_by(error)
}

/// The same where one of several tables is locked: the server says which.
pub(super) async fn named_of(session: &Session, connection: &str, paths: &[String], error: EngineError) -> EngineError {
    if !is_lock(&error) {
        return error;
    }
    let locked = match locked(session, paths).await {
        Ok(Some(table)) => format!("{connection}.{table}"),
        // It came free at this moment.
        _ => format!("a table of connection '{connection}'"),
    };
    named(error, &locked)
}

async fn locked(session: &Session, paths: &[String]) -> Result<Option<String>> {
    let paths: Vec<String> = paths.iter().map(|path| format!("({})", literal(path))).collect();
    let sql = format!(
        "SELECT n.nspname || '.' || c.relname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE l.mode = 'AccessExclusiveLock' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND EXISTS (SELECT 1 FROM (VALUES {}) AS p (path), pg_partition_ancestors(c.oid) a
                       WHERE to_regclass(p.path) IN (c.oid, a.relid)
                       UNION ALL SELECT 1 FROM (VALUES {}) AS p (path) WHERE to_regclass(p.path) = c.oid)
         ORDER BY 1 LIMIT 1",
        paths.join(", "),
        paths.join(", ")
    );
    let rows = session.rows("looking for the table that is locked", &sql).await?;
    rows.first().map(|row| text(row, 0)).transpose()
}

/// Whether a statement ended because it could not have a lock.
pub(super) fn is_lock(error: &EngineError) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<tokio_postgres::Error>());
    cause.and_then(tokio_postgres::Error::code) == Some(&SqlState::LOCK_NOT_AVAILABLE)
}
