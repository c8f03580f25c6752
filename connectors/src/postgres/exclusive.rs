//! A target to oneself: a lock that keeps readers out, taken in short attempts.
//!
//! Whoever waits for such a lock makes all readers that come later wait behind it. So a load gives up after a moment, lets them pass, and tries again;
//! each attempt may last longer than the one before, since readers that overlap would otherwise keep it out for good.

use std::time::Duration;

use headwater_engine::connector::LoadContext;
use headwater_engine::{EngineError, Result};
use tokio::time::Instant;

use super::patience;
use super::session::Session;
use super::sink::LOCK_TIMEOUT;

/// How long the first attempt may wait; each further one twice as long, and readers pass for as long in between.
const FIRST: Duration = Duration::from_millis(250);

/// Readers wait no longer than this at a time.
const LONGEST: Duration = Duration::from_secs(8);

/// How long all attempts may take: what [`LOCK_TIMEOUT`] is for other locks.
const PATIENCE: Duration = Duration::from_secs(60);

/// Locks a table, by its quoted path, until the load's transaction ends.
pub(super) async fn lock(session: &Session, load: &LoadContext, table: &str) -> Result<()> {
    let locked = attempts(session, load, table).await;
    load.progress.wait_for(None);
    locked
}

async fn attempts(session: &Session, load: &LoadContext, table: &str) -> Result<()> {
    let (deadline, mut limit) = (Instant::now() + PATIENCE, FIRST);
    loop {
        let error = match attempt(session, table, limit).await {
            Err(error) if patience::is_lock(&error) => error,
            ended => return ended,
        };
        session
            .run("giving the lock up for a moment", "ROLLBACK TO SAVEPOINT hw_lock; RELEASE SAVEPOINT hw_lock")
            .await?;
        if Instant::now() + limit >= deadline {
            return Err(in_use(table, error));
        }
        load.progress.wait_for(Some(format!("others that read or write {table}")));
        tokio::time::sleep(limit).await;
        limit = (limit * 2).min(LONGEST);
    }
}

async fn attempt(session: &Session, table: &str, limit: Duration) -> Result<()> {
    let sql = format!(
        "SAVEPOINT hw_lock; SET LOCAL lock_timeout = {}; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE;
         SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; RELEASE SAVEPOINT hw_lock",
        limit.as_millis()
    );
    session.run("locking the target", &sql).await
}

fn in_use(table: &str, error: EngineError) -> EngineError {
    EngineError::transient(format!("{table} was in use for {} s, so that the load could not have it to itself", PATIENCE.as_secs()))
        .hint("another session reads or locks it, perhaps in a transaction that was left open: pg_stat_activity shows it; try again later")
        .caused_by(error)
}
