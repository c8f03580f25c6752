//! An attempt's line to the control plane, and the progress it reports.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::error::Result;
use crate::receipt::Receipt;
use crate::rejects::Reject;

/// What an attempt tells and asks the control plane. The worker implements it over the store.
#[async_trait]
pub trait Control: Send + Sync + 'static {
    /// Persists what a successor needs to end this attempt's session in a target.
    async fn record_handle(&self, task: &str, handle: Value) -> Result<()>;

    /// The point of no return: persists the intent if the lease token is still valid and the run is not canceled.
    /// Refused with [`crate::ErrorKind::Canceled`] otherwise. A load whose cursors have moved meanwhile reads again.
    async fn intend(&self, intent: &Intent) -> Result<Turn<()>>;

    /// Where the cursors of a load stand, in the order of their keys. They are this attempt's alone until it ends: another one has to wait for its turn.
    async fn cursors(&self, load_id: Uuid, keys: &[CursorKey]) -> Result<Turn<Vec<CursorState>>>;

    /// The intent that an earlier attempt recorded, which is the truth about cursor and receipt once the target says that
    /// this attempt won.
    async fn recorded_intent(&self, load_id: Uuid, attempt: i32) -> Result<Option<Intent>>;

    /// Settles a batch of a stream: the cursors have moved, and another attempt would go on from there. Then waits, and answers whether the stream goes
    /// on: its end is known before the time is over.
    async fn checkpoint(&self, batch: &Checkpoint, pause: Duration) -> Result<bool>;

    /// A line for the attempt's log. Lines are batched, capped and stripped of secrets behind this call.
    fn log(&self, level: LogLevel, task: Option<&str>, message: &str);
}

/// Written before a load commits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// The load.
    pub load_id: Uuid,
    /// The attempt that is about to commit.
    pub attempt: i32,
    /// Path of the load task.
    pub task: String,
    /// What the load will have done if the commit succeeds.
    pub receipt: Receipt,
    /// Cursors that it moves then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cursors: Vec<CursorMove>,
    /// Keys whose rows it replaces, if no other slice of its backfill may have them. They are no part of what is kept.
    #[serde(skip)]
    pub slice: Option<SliceKeys>,
    /// What it sets aside instead of loading it. The control plane keeps it apart, and shows it once the load has committed.
    #[serde(skip)]
    pub rejects: Vec<Reject>,
}

/// The keys of a load by delete_insert, which replaces all rows of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceKeys {
    /// The target as the spec names it.
    pub target: String,
    /// A hash of each key, and the key in words.
    pub keys: Vec<(Uuid, String)>,
}

/// What a batch of a stream came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// What it committed; `None` if there was nothing new.
    pub receipt: Option<Receipt>,
    /// Counters of the stage's tasks since the run began.
    pub counts: BTreeMap<String, TaskCounts>,
    /// Rows that are there behind it already, about.
    pub behind: u64,
}

/// Whether an attempt may go on.
#[derive(Debug, Clone, PartialEq)]
pub enum Turn<T> {
    /// It may.
    Now(T),
    /// Another load of the same cursor comes first; in words.
    Later(String),
}

/// What a position belongs to, within a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CursorKey {
    /// The table as the spec names it, or the query.
    pub source: String,
    /// The column, or `auto`.
    pub column: String,
    /// The target as the spec names it.
    pub target: String,
    /// Values of the parameters on which the load's rows depend, as JSON.
    pub params: String,
}

/// Where a cursor stands.
#[derive(Debug, Clone, PartialEq)]
pub struct CursorState {
    /// The cursor.
    pub id: Uuid,
    /// How often it has moved.
    pub generation: i64,
    /// The position of the last load; `None` if everything is to be read.
    pub position: Option<Value>,
    /// The same for people.
    pub shown: Option<String>,
    /// The next load replaces what its target holds.
    pub refresh: bool,
}

/// A move of a cursor, made by the commit of a load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CursorMove {
    /// The cursor.
    pub id: Uuid,
    /// How often it had moved when its rows were read.
    pub generation: i64,
    /// How often it has moved then.
    pub to_generation: i64,
    /// The position behind the rows.
    pub position: Value,
    /// The same for people.
    pub shown: String,
}

/// Levels of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Normal progress.
    Info,
    /// Something a person should look at.
    Warn,
    /// The reason of a failure.
    Error,
}

impl LogLevel {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// Counters of one attempt, by task. Readers (heartbeats) and writers (the stage) share it.
#[derive(Debug, Default)]
pub struct Progress {
    tasks: RwLock<BTreeMap<String, Arc<TaskProgress>>>,
    waiting: Arc<RwLock<Waiting>>,
    /// What it is a part of, and what counts it too.
    whole: Option<Arc<Progress>>,
}

/// What an attempt waits for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waiting {
    /// For example sessions of a connection, or memory, that others have.
    pub now: Option<String>,
    /// It has waited at some time.
    pub ever: bool,
}

/// Counters of one task; they only grow.
#[derive(Debug, Default)]
pub struct TaskProgress {
    rows: AtomicU64,
    bytes: AtomicU64,
    rejected: AtomicU64,
    busy_us: AtomicU64,
    whole: Option<Arc<TaskProgress>>,
}

/// One reading of a task's counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCounts {
    /// Rows that left the task.
    pub rows: u64,
    /// Their Arrow bytes.
    pub bytes: u64,
    /// Rows and messages that were set aside.
    pub rejected: u64,
    /// Time spent producing them, upstream included, in microseconds.
    pub busy_us: u64,
}

impl Progress {
    /// The counters of a task, made at first use.
    pub fn task(&self, path: &str) -> Arc<TaskProgress> {
        if let Some(task) = self.tasks.read().get(path) {
            return Arc::clone(task);
        }
        let whole = self.whole.as_ref().map(|whole| whole.task(path));
        let made = || Arc::new(TaskProgress { whole, ..TaskProgress::default() });
        Arc::clone(self.tasks.write().entry(path.to_owned()).or_insert_with(made))
    }

    /// Counters that begin at zero and are counted here too: those of a batch.
    pub fn part(self: &Arc<Self>) -> Arc<Self> {
        let (tasks, waiting) = (RwLock::default(), Arc::clone(&self.waiting));
        Arc::new(Self { tasks, waiting, whole: Some(Arc::clone(self)) })
    }

    /// Takes back what was counted here of the whole: the work is done again.
    pub fn withdraw(&self) {
        let Some(whole) = &self.whole else { return };
        for (path, counts) in self.counts() {
            let task = whole.task(&path);
            task.rows.fetch_sub(counts.rows, Ordering::Relaxed);
            task.bytes.fetch_sub(counts.bytes, Ordering::Relaxed);
            task.rejected.fetch_sub(counts.rejected, Ordering::Relaxed);
            task.busy_us.fetch_sub(counts.busy_us, Ordering::Relaxed);
        }
    }

    /// Adds what was counted before.
    pub fn add(&self, counts: &BTreeMap<String, TaskCounts>) {
        for (path, counts) in counts {
            let task = self.task(path);
            task.add(counts.rows, counts.bytes);
            task.reject(counts.rejected);
            task.busy(Duration::from_micros(counts.busy_us));
        }
    }

    /// Says what the attempt waits for from now on, or that it goes on.
    pub fn wait_for(&self, what: Option<String>) {
        let mut waiting = self.waiting.write();
        waiting.ever |= what.is_some();
        waiting.now = what;
    }

    /// What the attempt waits for.
    pub fn waiting(&self) -> Waiting {
        self.waiting.read().clone()
    }

    /// All counters now.
    pub fn counts(&self) -> BTreeMap<String, TaskCounts> {
        self.tasks.read().iter().map(|(path, task)| (path.clone(), task.counts())).collect()
    }
}

impl TaskProgress {
    /// Adds a batch.
    pub fn add(&self, rows: u64, bytes: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.whole.iter().for_each(|whole| whole.add(rows, bytes));
    }

    /// Adds rows or messages that were set aside.
    pub fn reject(&self, rows: u64) {
        self.rejected.fetch_add(rows, Ordering::Relaxed);
        self.whole.iter().for_each(|whole| whole.reject(rows));
    }

    /// Adds time.
    pub fn busy(&self, time: Duration) {
        self.busy_us.fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.whole.iter().for_each(|whole| whole.busy(time));
    }

    /// The counters now.
    pub fn counts(&self) -> TaskCounts {
        TaskCounts {
            rows: self.rows.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
            busy_us: self.busy_us.load(Ordering::Relaxed),
        }
    }
}
