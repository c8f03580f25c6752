//! The control plane's state in Postgres: state machines, queue, history, connections.
//!
//! Only this crate changes states. A public method is one named transaction; none leaves the crate, and none stays open while
//! anything outside the database is awaited. Transactions lock in one order everywhere: run, stage run, by id.

mod connections;
pub mod embedded;
mod error;
mod fires;
mod history;
mod limits;
mod loads;
mod logs;
mod metrics;
mod notify;
mod plans;
mod queue;
mod reconcile;
mod runs;
mod schedules;
mod sealing;
mod sessions;
pub mod state;
#[doc(hidden)]
pub mod testing;
mod versions;
mod workers;

use std::sync::Arc;

use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

use sessions::{Kept, ONE_PLAN, PLAN_EACH, pool};

pub use connections::{ConnectionRow, OpenedConnection};
pub use error::{Result, StoreError, StoreErrorKind};
pub use fires::{DueSchedule, Fire, FireOutcome, FirePlan, FiredRun};
pub use history::HistoryWork;
pub use limits::{LimitRow, Scope};
pub use loads::IntentRow;
pub use logs::{LogLine, LogRow, MAX_LOG_LINES_PER_ATTEMPT, MAX_LOG_MESSAGE_BYTES};
pub use metrics::{Counts, QueueDepth};
pub use notify::{Listener, Wakeup};
pub use queue::{
    AttemptEnd, AttemptInputs, Claimed, Failure, Finish, FinishReport, Finished, LeaseKey, LoadReceipt, MAX_LOST, Taker,
};
pub use reconcile::Repair;
pub use runs::{
    AttemptRow, Cause, NewRun, RerunMode, RunDetail, RunFilter, RunSummary, StageRunRow, TaskRunRow, Trigger, Why,
};
pub use schedules::ScheduleRow;
pub use sealing::MasterKey;
pub use versions::{NewVersion, VersionRow};
pub use workers::{Beat, BeatAnswer, WorkerBeat, WorkerRow, WorkerSpec};

/// The number of this build in `compat_floor`: raised with every release that a contracting migration may name.
const COMPAT: i32 = 1;

/// The one workspace that exists from the start.
const DEFAULT_WORKSPACE: Uuid = Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0001);

/// The control plane's database. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Commits are flushed before they are answered: finishes, fires, cancels, intents.
    durable: PgPool,
    /// Commits may be lost in a crash of the server, which costs no more than a retry: claims, heartbeats, progress, logs.
    relaxed: PgPool,
    /// One connection for heartbeats alone: nothing that a worker does may keep it from beating.
    beats: PgPool,
    /// Reads that people ask for.
    reads: PgPool,
    /// Out of `durable`, for one finish after the other.
    finishes: Kept,
    /// Out of `relaxed`, for one claim after the other.
    claims: Kept,
    notifier: notify::Notifier,
    plans: plans::Plans,
    options: PgConnectOptions,
}

/// Everything that belongs to one workspace.
#[derive(Debug, Clone)]
pub struct Workspace {
    store: Store,
    id: Uuid,
}

impl Store {
    /// Connects to the database at a `postgres://` URL and checks that this build may use it.
    pub async fn connect(url: &str) -> Result<Self> {
        let options: PgConnectOptions = url.parse().map_err(|error: sqlx::Error| {
            StoreError::invalid(format!("the control plane's database URL can't be read: {error}"))
                .hint("it looks like postgres://user:password@host:5432/headwater")
        })?;
        let options = options.application_name("headwater");
        let durable = pool(&options, 12, "on", ONE_PLAN);
        let relaxed = pool(&options, 8, "off", ONE_PLAN);
        let beats = pool(&options, 1, "off", ONE_PLAN);
        let reads = pool(&options, 6, "off", PLAN_EACH);
        let notifier = notify::Notifier::start(pool(&options, 1, "off", ONE_PLAN));
        let inner = Inner {
            finishes: Kept::of(&durable),
            claims: Kept::of(&relaxed),
            durable,
            relaxed,
            beats,
            reads,
            notifier,
            plans: plans::Plans::default(),
            options,
        };
        let store = Self { inner: Arc::new(inner) };
        store.check_floor().await?;
        Ok(store)
    }

    /// Brings the schema up to what this build knows. Migrations that are newer than the build are left alone.
    pub async fn migrate(&self) -> Result<()> {
        let mut migrator = sqlx::migrate!("../migrations");
        migrator.set_ignore_missing(true);
        migrator.run(&self.inner.durable).await.map_err(|error| {
            StoreError::invalid(format!("the control plane's schema can't be migrated: {error}"))
                .hint("look at the table _sqlx_migrations; migrations/README.md has the rules")
                .caused_by(error)
        })?;
        self.check_floor().await
    }

    /// Refuses a database whose floor is above this build. A database without the table is new.
    async fn check_floor(&self) -> Result<()> {
        let exists = sqlx::query_scalar!(r#"SELECT to_regclass('compat_floor') IS NOT NULL AS "exists!""#)
            .fetch_one(self.durable())
            .await?;
        if !exists {
            return Ok(());
        }
        let floor = sqlx::query_scalar!("SELECT floor FROM compat_floor").fetch_one(self.durable()).await?;
        if floor > COMPAT {
            return Err(StoreError::invalid(format!(
                "the control plane's database needs a newer headwater (its floor is {floor}, this build is {COMPAT})"
            ))
            .hint("install the version that the other processes run"));
        }
        Ok(())
    }

    /// The workspace of that id.
    pub fn workspace(&self, id: Uuid) -> Workspace {
        Workspace { store: self.clone(), id }
    }

    /// The workspace that exists from the start.
    pub fn default_workspace(&self) -> Workspace {
        self.workspace(DEFAULT_WORKSPACE)
    }

    /// The time on the database's clock, which is the one that due times are compared with.
    pub async fn now(&self) -> Result<chrono::DateTime<chrono::Utc>> {
        Ok(sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(self.durable()).await?)
    }

    /// Sends what notifications are still to be sent and closes all connections.
    pub async fn close(&self) {
        self.inner.notifier.flush().await;
        self.inner.finishes.close().await;
        self.inner.claims.close().await;
        self.inner.beats.close().await;
        self.inner.reads.close().await;
    }

    fn durable(&self) -> &PgPool {
        &self.inner.durable
    }

    fn beats(&self) -> &PgPool {
        &self.inner.beats
    }

    fn reads(&self) -> &PgPool {
        &self.inner.reads
    }

    fn relaxed(&self) -> &PgPool {
        &self.inner.relaxed
    }
}

impl Workspace {
    /// Its id.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The store it is in.
    pub fn store(&self) -> &Store {
        &self.store
    }

    fn durable(&self) -> &PgPool {
        self.store.durable()
    }

    fn reads(&self) -> &PgPool {
        self.store.reads()
    }
}

#[cfg(test)]
mod tests;
