//! Connections to the control plane's database: how its sessions are set up, and those that are kept between statements.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Executor, PgPool, Postgres};

use crate::Result;
use crate::deadline::{Db, Doubt, Statements};
use crate::schema::SCHEMA;

/// How long a session is kept out of its pool, which ends sessions that have become old, and their plans with them.
const KEPT: Duration = Duration::from_secs(600);

/// Longest time that a statement waits for a lock; the caller tries again. Shorter than the deadline of a statement.
const LOCK_TIMEOUT: &str = "8s";

/// Longest wait for a session, in which a new one may have to be made.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// Statements that come a thousand times a second: each is planned once for a session, since planning one over partitions takes longer than
/// executing it. The tables may be small at that moment, and must not be read from end to end once they have grown: a row that is looked
/// through counts as much as a page, a page of an index as little as if it were in memory, and rows are not collected before they are read. Starting
/// processes to share a statement takes longer than the statement.
pub(crate) const ONE_PLAN: &[(&str, &str)] = &[
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("cpu_tuple_cost", "1"),
    ("random_page_cost", "1.1"),
    ("max_parallel_workers_per_gather", "0"),
];

/// Questions that come now and then, and whose best plan depends on what is asked for. What the planner knows of a table may be old.
pub(crate) const PLAN_EACH: &[(&str, &str)] = &[("plan_cache_mode", "force_custom_plan"), ("enable_seqscan", "off")];

/// A pool whose sessions never wait for ever: not for a lock, and not with a transaction left open. They compile nothing: a table that has to be read
/// from end to end although that is off looks so dear that its few rows would be compiled for, which takes a hundred milliseconds.
pub(crate) fn pool(
    options: &PgConnectOptions,
    size: u32,
    synchronous_commit: &'static str,
    planning: &'static [(&'static str, &'static str)],
    doubt: &Doubt,
) -> PgPool {
    let doubt = doubt.clone();
    PgPoolOptions::new()
        .max_connections(size)
        .min_connections(0)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        // A session that is in doubt is replaced, which takes less time than a proof that may not come.
        .before_acquire(move |_, session| {
            let doubted = doubt.covers(session.age);
            Box::pin(async move { Ok(!doubted) })
        })
        .after_release(|connection, _| Box::pin(Doubt::check_released(connection)))
        .after_connect(move |connection, _| {
            Box::pin(async move {
                let settings = [
                    ("search_path", SCHEMA),
                    ("synchronous_commit", synchronous_commit),
                    ("lock_timeout", LOCK_TIMEOUT),
                    ("idle_in_transaction_session_timeout", "60s"),
                    ("timezone", "UTC"),
                    ("jit", "off"),
                ];
                let (names, values): (Vec<&str>, Vec<&str>) = settings.iter().chain(planning).copied().unzip();
                let set =
                    "SELECT set_config(s.name, s.value, false) FROM unnest($1::text[], $2::text[]) AS s (name, value)";
                connection.execute(sqlx::query(set).bind(names).bind(values)).await?;
                Ok(())
            })
        })
        .connect_lazy_with(options.clone())
}

/// A session that stays out of its pool between statements that follow each other: a pool asks a connection that comes back whether it
/// lives, which is a round trip for every statement, and gives out another one next time, whose server process has colder caches.
#[derive(Debug)]
pub(crate) struct Kept {
    db: Db,
    doubt: Doubt,
    session: Mutex<Option<Session>>,
}

/// A session out of its pool, and since when.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) connection: Statements<PoolConnection<Postgres>>,
    since: Instant,
}

impl Kept {
    /// Of this pool.
    pub(crate) fn of(db: &Db, doubt: &Doubt) -> Self {
        Self { db: db.clone(), doubt: doubt.clone(), session: Mutex::new(None) }
    }

    /// The session, or another one if it is in use. Whoever doesn't bring it back, because a statement failed or was given up half-way, leaves
    /// it to the pool to find out what became of it.
    pub(crate) async fn take(&self) -> Result<Session> {
        let kept = self.session.lock().take();
        match kept {
            Some(mut session) if session.since.elapsed() < KEPT && !self.doubt.covers(session.since.elapsed()) => {
                self.db.renew(&mut session.connection);
                Ok(session)
            }
            _ => Ok(Session { connection: self.db.acquire().await?, since: Instant::now() }),
        }
    }

    /// Keeps the session for the next one, unless the pool waits for it to close.
    pub(crate) fn keep(&self, session: Session) {
        let mut kept = self.session.lock();
        if !self.db.pool().is_closed() {
            kept.replace(session);
        }
    }

    /// Closes the pool, which waits for all of its sessions.
    pub(crate) async fn close(&self) {
        // Closed from here on: whoever still has the session does not keep it any more.
        let closing = self.db.pool().close();
        self.session.lock().take();
        closing.await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::testing::database;

    async fn backend(session: &mut Session) -> i32 {
        sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut session.connection).await.unwrap()
    }

    #[tokio::test]
    async fn a_session_that_was_brought_back_is_given_out_again_and_one_in_use_is_not() {
        let db = database().await;
        let kept = Kept::of(db.store.durable(), &Doubt::default());
        let mut first = kept.take().await.unwrap();
        let mut second = kept.take().await.unwrap();
        let (first_backend, second_backend) = (backend(&mut first).await, backend(&mut second).await);
        assert_ne!(first_backend, second_backend);
        kept.keep(first);
        assert_eq!(backend(&mut kept.take().await.unwrap()).await, first_backend);
    }

    #[tokio::test]
    async fn a_pool_that_closes_gets_back_the_session_that_was_in_use() {
        let db = database().await;
        let kept = Kept::of(db.store.relaxed(), &Doubt::default());
        let session = kept.take().await.unwrap();
        let closed = async { tokio::join!(kept.close(), async { kept.keep(session) }) };
        tokio::time::timeout(Duration::from_secs(10), closed).await.unwrap();
    }
}
