//! Deadlines for statements. A peer that vanishes without a reset leaves its socket open for about a quarter of an hour, and sqlx can't set a TCP
//! user timeout: so each statement, each transaction and each look at a session has a deadline of its own. A session that missed one is closed.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use parking_lot::Mutex;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Describe, Either, Error, Execute, Executor, PgConnection, PgPool, PgTransaction, Postgres, SqlStr};
use tokio::time::{Instant, timeout_at};

/// Deadline of the statements that keep a fleet going. The server's lock timeout is shorter, so that its answer comes first.
pub(crate) const HOT: Duration = Duration::from_secs(10);

/// Deadline of what people ask for.
pub(crate) const READ: Duration = Duration::from_secs(30);

/// Deadline of a heartbeat: well below the shortest lease time that is usual.
pub(crate) const BEAT: Duration = Duration::from_secs(5);

/// Deadline of chores that work through history, and of migrations.
pub(crate) const CHORE: Duration = Duration::from_secs(600);

/// Longest time that a session that comes back to its pool, or is about to leave it, takes to prove that it lives.
const PROOF: Duration = Duration::from_secs(2);

/// When a deadline was missed last. Every session that is older is in doubt: the same peer or the same path is behind it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Doubt(Arc<Mutex<Option<std::time::Instant>>>);

impl Doubt {
    fn raise(&self) {
        self.0.lock().replace(std::time::Instant::now());
    }

    /// Whether a session of this age may hang.
    pub(crate) fn covers(&self, age: Duration) -> bool {
        self.0.lock().is_some_and(|missed| missed.elapsed() <= age)
    }

    /// What a pool asks a session that comes back: whether it lives. A session whose statement was dropped half-way answers once that has ended.
    pub(crate) async fn check_released(connection: &mut PgConnection) -> Result<bool, Error> {
        match tokio::time::timeout(PROOF, sqlx::Connection::ping(connection)).await {
            Ok(alive) => alive.map(|()| true),
            Err(_) => Err(late()),
        }
    }
}

/// A pool whose statements have a deadline.
#[derive(Debug, Clone)]
pub(crate) struct Db {
    pool: PgPool,
    deadline: Duration,
    doubt: Doubt,
}

impl Db {
    pub(crate) fn new(pool: PgPool, deadline: Duration, doubt: &Doubt) -> Self {
        Self { pool, deadline, doubt: doubt.clone() }
    }

    /// The same pool with another deadline.
    pub(crate) fn within(&self, deadline: Duration) -> Self {
        Self { deadline, ..self.clone() }
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Begins a transaction, which has to end before the deadline. Dropping it rolls it back.
    pub(crate) async fn begin(&self) -> Result<Tx, Error> {
        let limit = self.limit();
        let inner = limit.hold(self.pool.begin()).await?;
        Ok(Tx(Statements { inner, limit }))
    }

    /// A session of its own, whose first statements have to end before the deadline.
    pub(crate) async fn acquire(&self) -> Result<Statements<PoolConnection<Postgres>>, Error> {
        let limit = self.limit();
        let inner = limit.hold(self.pool.acquire()).await?;
        Ok(Statements { inner, limit })
    }

    /// Begins the deadline of a session that is kept anew.
    pub(crate) fn renew(&self, session: &mut Statements<PoolConnection<Postgres>>) {
        session.limit = self.limit();
    }

    fn limit(&self) -> Limit {
        Limit { until: Instant::now() + self.deadline, doubt: self.doubt.clone() }
    }
}

/// Until when something has to end.
#[derive(Debug, Clone)]
struct Limit {
    until: Instant,
    doubt: Doubt,
}

impl Limit {
    async fn hold<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        match timeout_at(self.until, work).await {
            Ok(answer) => answer,
            Err(_) => {
                self.doubt.raise();
                Err(late())
            }
        }
    }

    fn hold_stream<'e, T: Send + 'e>(self, rows: BoxStream<'e, Result<T, Error>>) -> BoxStream<'e, Result<T, Error>> {
        futures::stream::try_unfold((rows, self), |(mut rows, limit)| async move {
            let next = limit.hold(rows.try_next()).await?;
            Ok(next.map(|item| (item, (rows, limit))))
        })
        .boxed()
    }
}

/// The socket is no longer trusted; trying again on another one may succeed.
fn late() -> Error {
    Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "it did not answer in time"))
}

/// A session or a transaction whose statements have to end before a deadline.
pub(crate) struct Statements<C> {
    inner: C,
    limit: Limit,
}

impl<C> fmt::Debug for Statements<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statements").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// A transaction with a deadline.
#[derive(Debug)]
pub(crate) struct Tx(Statements<PgTransaction<'static>>);

impl Tx {
    /// Commits. An error leaves open whether the transaction counts: whoever repeats it must recognise its own.
    pub(crate) async fn commit(self) -> Result<(), Error> {
        let Statements { inner, limit } = self.0;
        limit.hold(inner.commit()).await
    }
}

impl Deref for Tx {
    type Target = Statements<PgTransaction<'static>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<'p> Executor<'p> for &'_ Db {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        self.limit().hold_stream(self.pool.fetch_many(query))
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let (limit, row) = (self.limit(), self.pool.fetch_optional(query));
        Box::pin(async move { limit.hold(row).await })
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, Result<PgStatement, Error>>
    where
        'p: 'e,
    {
        let (limit, prepared) = (self.limit(), self.pool.prepare_with(sql, parameters));
        Box::pin(async move { limit.hold(prepared).await })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, Error>>
    where
        'p: 'e,
    {
        let (limit, described) = (self.limit(), self.pool.describe(sql));
        Box::pin(async move { limit.hold(described).await })
    }
}

impl<'c, C> Executor<'c> for &'c mut Statements<C>
where
    C: DerefMut<Target = PgConnection> + Send,
{
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        self.limit.clone().hold_stream(self.inner.fetch_many(query))
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let (limit, row) = (self.limit.clone(), self.inner.fetch_optional(query));
        Box::pin(async move { limit.hold(row).await })
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, Result<PgStatement, Error>>
    where
        'c: 'e,
    {
        let (limit, prepared) = (self.limit.clone(), self.inner.prepare_with(sql, parameters));
        Box::pin(async move { limit.hold(prepared).await })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, Error>>
    where
        'c: 'e,
    {
        let (limit, described) = (self.limit.clone(), self.inner.describe(sql));
        Box::pin(async move { limit.hold(described).await })
    }
}
