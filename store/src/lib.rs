//! The control plane's state in Postgres: state machines, queue, history, connections.
//!
//! Only this crate changes states. A public method is one named transaction; none leaves the crate, and none stays open while
//! anything outside the database is awaited. Transactions lock in one order everywhere: run, stage run, by id.

mod audit;
mod backfills;
mod catalogs;
mod connections;
mod conversations;
mod cursors;
mod deadline;
mod drafts;
pub mod embedded;
mod error;
mod fires;
mod glossary;
mod history;
mod ids;
mod lifecycle;
mod limits;
mod loads;
mod logs;
mod metrics;
mod models;
mod notify;
mod pipelines;
mod plans;
mod process;
mod reconcile;
mod rejects;
mod rollups;
mod runs;
mod samples;
mod schedules;
mod schema;
mod sealing;
mod sessions;
mod staged;
pub mod state;
mod streams;
mod suggest;
#[doc(hidden)]
pub mod testing;
mod versions;
mod workers;

use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};
use uuid::Uuid;

use deadline::{BEAT, Db, Doubt, HOT, READ};
use sessions::{Kept, ONE_PLAN, PLAN_EACH, pool};

pub use audit::{AuditRow, Face, Who};
pub use backfills::{BackfillRow, NewBackfill, SliceKeys, SliceRow};
pub use catalogs::CatalogSnapshot;
pub use connections::{ConnectionRow, NewConnection, OpenedConnection};
pub use conversations::{ConversationRow, NewTurn, StepRow, TurnKey, TurnRow};
pub use cursors::{CursorName, CursorPosition, CursorReset, CursorRow, MovedCursor};
pub use drafts::{Approval, ApproveDraft, DraftFilter, DraftRow, DraftSpec, Making, NewDraft};
pub use error::{Result, StoreError, StoreErrorKind};
pub use fires::{DueSchedule, Fire, FireOutcome, FirePlan, FiredRun};
pub use glossary::{GlossaryRow, GlossaryTerm, QuestionRow};
pub use history::HistoryWork;
pub use lifecycle::{
    AttemptEnd, AttemptInputs, Batch, Claimed, Failure, Finish, FinishReport, Finished, LeaseKey, LoadReceipt,
    MAX_LOST, Slots, Taker,
};
pub use limits::{LimitRow, Scope};
pub use loads::IntentRow;
pub use logs::{LogLine, LogRow, MAX_LOG_LINES_PER_ATTEMPT, MAX_LOG_MESSAGE_BYTES, WarningRow};
pub use metrics::{Counts, QueueDepth};
pub use models::{BudgetHolder, BudgetLimits, Leased, ModelCall, ModelKeyRow, ModelUsage};
pub use notify::{Listener, Wakeup};
pub use pipelines::{PipelineRow, VersionSummary};
pub use reconcile::Repair;
pub use rejects::{NewReject, RejectChoice, RejectContent, RejectFilter, RejectOrigin, RejectRow};
pub use rollups::{BOUNDS, FailedRun, Rollup};
pub use runs::{
    AttemptRow, Cause, MadeRun, NewRun, Once, RerunMode, RunDetail, RunFilter, RunSummary, StageRunRow, TaskRunRow,
    Trigger, Why,
};
pub use samples::{ColumnMask, SampleRules};
pub use schedules::ScheduleRow;
pub use schema::{Beside, Migrated, SchemaState};
pub use sealing::MasterKey;
pub use streams::StreamRow;
pub use suggest::Suggest;
pub use versions::{Change, NewVersion, VersionRow};
pub use workers::{Beat, BeatAnswer, Watched, WorkerBeat, WorkerRow, WorkerSpec};

/// The number of this build in `compat_floor`: raised with every release that a contracting migration may name.
const COMPAT: i32 = 2;

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
    durable: Db,
    /// Commits may be lost in a crash of the server, which costs no more than a retry: claims, heartbeats, progress, logs.
    relaxed: Db,
    /// One connection for heartbeats alone: nothing that a worker does may keep it from beating.
    beats: Db,
    /// Reads that people ask for.
    reads: Db,
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
    /// On whose behalf changes are made, for the audit.
    who: Option<Arc<Who>>,
}

impl Store {
    /// Connects to the database at a `postgres://` URL and checks that this build may use it.
    pub async fn connect(url: &str) -> Result<Self> {
        let options: PgConnectOptions = url.parse().map_err(|error: sqlx::Error| {
            StoreError::invalid(format!("the control plane's database URL can't be read: {error}"))
                .hint("it looks like postgres://user:password@host:5432/headwater")
        })?;
        let options = options.application_name("headwater");
        reach(&options).await?;
        let doubt = Doubt::default();
        let db = |size, commit, planning, deadline| {
            Db::new(pool(&options, size, commit, planning, &doubt), deadline, &doubt)
        };
        let durable = db(12, "on", ONE_PLAN, HOT);
        let relaxed = db(8, "off", ONE_PLAN, HOT);
        let inner = Inner {
            finishes: Kept::of(&durable, &doubt),
            claims: Kept::of(&relaxed, &doubt),
            durable,
            relaxed,
            beats: db(1, "off", ONE_PLAN, BEAT),
            reads: db(6, "off", PLAN_EACH, READ),
            notifier: notify::Notifier::start(db(1, "off", ONE_PLAN, HOT)),
            plans: plans::Plans::default(),
            options,
        };
        let store = Self { inner: Arc::new(inner) };
        store.check_floor().await?;
        Ok(store)
    }

    /// The workspace of that id.
    pub fn workspace(&self, id: Uuid) -> Workspace {
        Workspace { store: self.clone(), id, who: None }
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
        self.inner.beats.pool().close().await;
        self.inner.reads.pool().close().await;
    }

    fn durable(&self) -> &Db {
        &self.inner.durable
    }

    fn beats(&self) -> &Db {
        &self.inner.beats
    }

    fn reads(&self) -> &Db {
        &self.inner.reads
    }

    fn relaxed(&self) -> &Db {
        &self.inner.relaxed
    }
}

/// Connects once and leaves again, so that a server that is not there or refuses is reported at once, with the cause.
async fn reach(options: &PgConnectOptions) -> Result<()> {
    let connected = tokio::time::timeout(HOT, options.connect()).await;
    let session = connected
        .unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
        .map_err(|error| error::unreachable(options, error))?;
    // The server notices the end of a session that takes no leave, too.
    let _ = tokio::time::timeout(HOT, session.close()).await;
    Ok(())
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

    /// On whose behalf it is changed.
    fn actor(&self) -> Option<&str> {
        self.who.as_deref().map(|who| who.actor.as_str())
    }

    fn durable(&self) -> &Db {
        self.store.durable()
    }

    fn reads(&self) -> &Db {
        self.store.reads()
    }
}

#[cfg(test)]
mod tests;
