//! The contracts between the engine and the systems it reads and writes.
//!
//! A [`Connector`] is code, listed once in the registry; a [`Connection`] is one opened set of settings; a [`Sink`] is one
//! target table of it. Traits stay small and abilities are data, so that a caller can show them and a test can walk them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::execution::SendableRecordBatchStream;
use headwater_pipelines::plan::{DELETED_AT, Deletes, History, Work};
use headwater_pipelines::spec::{Columns, Contract, LoadSchema, WriteMode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::control::{Control, Progress};
use crate::error::Result;
use crate::memory::StagePool;
use crate::rejects::Quarantine;
use crate::session::SessionFactory;

mod asked;
mod changed;
mod columns;
mod deletes;
mod history;
mod info;
mod position;
mod registry;

pub use asked::Asked;
pub(crate) use asked::Asking;
pub use changed::{
    AS_IT_IS, BESIDE, GONE, KEPT, MESSAGE_KEY, OPERATION, PART_BITS, POSITION, SAID, UNCHANGED, changed_columns,
    list_of_names, not_sent,
};
pub use columns::{ColumnChanges, TargetColumn};
pub use deletes::{AllKeys, DELETED, moment, refuse_too_many, without_flag};
pub use history::{late_rows, null_keys, refuse_without_history};
pub use info::{ColumnInfo, ForeignKey, Health, TableInfo};
pub use position::{CursorRequest, Mark, OwnPosition, Position, Reading, Source, judge_column, refuse_cursor};
pub use registry::{Registry, is_like_a_name};

/// What a connector is and can do, as data.
#[derive(Debug, Clone, Copy)]
pub struct ConnectorSpec {
    /// The value of `type:` in a connection.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// The setting that the one-line form `connections add NAME [TYPE] LOCATION` fills.
    pub location: &'static str,
    /// Schemes of locations that name this connector without its type, e.g. `postgres`.
    pub schemes: &'static [&'static str],
    /// A connection in YAML that parses; shown in the reference.
    pub example: &'static str,
    /// Whether tables can be read.
    pub reads: bool,
    /// Whether `{ connection, query }` can be read.
    pub queries: bool,
    /// Whether what can't be read of a table can be set aside: messages of a topic.
    pub rejects: bool,
    /// Write modes of its sinks; empty if it can't be written.
    pub writes: &'static [WriteMode],
}

/// The code of one kind of system.
pub trait Connector: Debug + Send + Sync + 'static {
    /// What it is and can do.
    fn spec(&self) -> &'static ConnectorSpec;

    /// JSON Schema of its settings, from the types that read them.
    fn settings_schema(&self) -> Value;

    /// The settings with every secret replaced by `***`, fit to be shown and logged.
    fn redact(&self, settings: &Value) -> Value;

    /// The literal secrets in the settings, to be erased from whatever is logged.
    fn secrets(&self, settings: &Value) -> Vec<String>;

    /// Validates settings (`${…}` already resolved) without touching the network.
    fn open(&self, name: &str, settings: &Value) -> Result<Arc<dyn Connection>>;
}

/// One opened set of settings. A stage opens each of its connections once, so an implementation can share one source
/// snapshot among all tables that the stage reads through it.
#[async_trait]
pub trait Connection: Debug + Send + Sync + 'static {
    /// Reaches the system and reports on it; the error tells apart what a user would do differently.
    async fn check(&self) -> Result<Health>;

    /// What can be read, sorted by path. Columns are filled in when `columns` is set.
    async fn catalog(&self, columns: bool) -> Result<Vec<TableInfo>>;

    /// Tables that are opened next, so that a connector can look at all of them at once. What is wrong with one is reported when it is opened.
    async fn expect(&self, tables: &Expected) -> Result<()> {
        let _ = tables;
        Ok(())
    }

    /// A lazy table whose schema is known and whose rows are streamed on scan. It reports honestly which filters are exact.
    async fn source(&self, request: &SourceRequest) -> Result<Source>;

    /// The target table; it need not exist yet.
    async fn sink(&self, request: &SinkRequest) -> Result<Arc<dyn Sink>>;

    /// Waits until the stage can have all the sessions that it needs, and keeps them for it until the connection is closed. Systems without sessions
    /// have nothing to wait for.
    async fn reserve(&self, demand: &Demand) -> Result<()> {
        let _ = demand;
        Ok(())
    }

    /// Ends snapshots and sessions. Dropping a connection does the same without waiting.
    async fn close(&self);
}

/// Tables of a connection that are opened next, by their paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// Those that are read or loaded into.
    pub opened: BTreeSet<Vec<String>>,
    /// Those that a load replaces.
    pub replaced: BTreeSet<Vec<String>>,
}

impl Expected {
    /// All of them, each once.
    pub fn all(&self) -> Vec<Vec<String>> {
        self.opened.union(&self.replaced).cloned().collect()
    }
}

/// What a stage needs of one connection at a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Demand {
    /// Tables and queries that it reads.
    pub reads: usize,
    /// Whether it loads into a table.
    pub writes: bool,
    /// Partitions in which it may read each of them.
    pub parallelism: usize,
}

/// What is to be read.
#[derive(Debug, Clone)]
pub struct SourceRequest {
    /// A table or a query.
    pub object: SourceObject,
    /// Projection or type overrides.
    pub columns: Option<Columns>,
    /// Set if only rows are asked for that a load does not hold yet.
    pub cursor: Option<CursorRequest>,
    /// Where what can't be read goes, for a load that sets it aside; without it the read fails.
    pub quarantine: Option<Arc<Quarantine>>,
    /// Ends the source's work: within two seconds nothing of ours is left running there.
    pub cancel: CancellationToken,
}

/// A table or a query of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceObject {
    /// The path below the connection.
    Table(Vec<String>),
    /// A statement in the source's language.
    Query(String),
}

/// What is to be written.
#[derive(Debug, Clone)]
pub struct SinkRequest {
    /// The path below the connection.
    pub path: Vec<String>,
    /// How rows meet those already there.
    pub mode: WriteMode,
    /// Key columns (keyed modes).
    pub keys: Vec<String>,
    /// Which of several rows of one key counts: the last by this column (upsert, insert_new, scd2).
    pub order_by: Option<String>,
    /// Partition columns, outermost first.
    pub partition_by: Vec<String>,
    /// What may be changed of the target's columns.
    pub schema: LoadSchema,
    /// How rows are found gone at the source, and what becomes of them.
    pub deletes: Option<Deletes>,
    /// How the target keeps the versions of its rows.
    pub history: Option<History>,
}

impl SinkRequest {
    /// A request without keys and partitions, which changes no column.
    pub fn new(path: Vec<String>, mode: WriteMode) -> Self {
        let (keys, partition_by) = (Vec::new(), Vec::new());
        let schema = LoadSchema::default();
        Self { path, mode, keys, order_by: None, partition_by, schema, deletes: None, history: None }
    }

    /// What a load asks of its target; other tasks have none.
    pub fn of(work: &Work) -> Option<Self> {
        let Work::Load { into, mode, keys, order_by, partition_by, schema, deletes, history, .. } = work else {
            return None;
        };
        // The column of soft deletes is the load's own, whatever may be changed of others.
        let schema = match deletes {
            Some(deletes) if deletes.is_soft() => schema.clone().with(DELETED_AT, Contract::AddColumns),
            _ => schema.clone(),
        };
        Some(Self {
            path: into.path.clone(),
            mode: *mode,
            keys: keys.clone(),
            order_by: order_by.clone(),
            partition_by: partition_by.clone(),
            schema,
            deletes: deletes.clone(),
            history: history.clone(),
        })
    }

    /// The columns that a load of these rows writes: soft deletes add one, and history three. Changes have some that are not written.
    pub fn written_columns(&self, rows: &SchemaRef) -> SchemaRef {
        let rows = &match &self.deletes {
            Some(deletes) if deletes.changes => changed_columns(rows),
            _ => Arc::clone(rows),
        };
        let soft = self.deletes.as_ref().filter(|deletes| deletes.is_soft());
        let deleted_at = soft.map(|_| Field::new(DELETED_AT, moment(), true));
        let history = self.history.iter().flat_map(|_| history::columns(rows, self.order_by.as_deref()));
        let own: Vec<FieldRef> = history.chain(deleted_at).map(Arc::new).collect();
        if own.is_empty() {
            return Arc::clone(rows);
        }
        Arc::new(Schema::new(rows.fields().iter().cloned().chain(own).collect::<Vec<_>>()))
    }
}

/// One target table. A plan calls `prepare`. A load calls `taken`, `write`, which judges the target as it is then, and `commit`; `abort` instead of
/// `commit` when anything fails or is canceled.
#[async_trait]
pub trait Sink: Debug + Send + Sync + 'static {
    /// Judges the schema against the target and says what a load would do, without changing anything.
    async fn prepare(&self, schema: &SchemaRef) -> Result<SinkPlan>;

    /// Writes every row so that nothing is visible yet.
    async fn write(&self, load: &LoadContext, input: SendableRecordBatchStream) -> Result<Staged>;

    /// Makes the staged rows visible in one atomic step that carries the load id, or finds that another attempt of the
    /// same load already did. After any error that leaves the outcome open it asks the target before it answers.
    async fn commit(&self, load: &LoadContext, staged: Staged) -> Result<Commit>;

    /// Which attempt's commit of this load the target holds, if any.
    async fn taken(&self, load_id: Uuid) -> Result<Option<Taken>>;

    /// How often cursors have moved, as far as the target remembers; `None` if it is a system that can't.
    async fn generations(&self, cursors: &[Uuid]) -> Result<Option<BTreeMap<Uuid, i64>>> {
        let _ = cursors;
        Ok(None)
    }

    /// Takes the load id in the target by an empty commit, so that no late attempt can commit it; or names the winner.
    async fn fence(&self, load_id: Uuid) -> Result<Option<Taken>>;

    /// Puts small files of the target together, if there are many of them; loads go on meanwhile, and nothing of what the target holds changes.
    async fn compact(&self, load: &LoadContext) -> Result<Option<Compacted>> {
        let _ = load;
        Ok(None)
    }

    /// Removes what `write` left. Never fails: what can't be removed now is harmless and swept later.
    async fn abort(&self, load: &LoadContext, staged: Option<Staged>);
}

/// What a load would do to its target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SinkPlan {
    /// Statements or actions the sink would run first, e.g. `CREATE TABLE …`; empty when the target is ready.
    pub ddl: Vec<String>,
    /// Remarks for the plan, e.g. that an overwrite deletes in place because of a foreign key.
    pub notes: Vec<String>,
    /// What it would change of the target's columns.
    #[serde(default, flatten)]
    pub columns: ColumnChanges,
}

/// The identity of a load and what it may use.
#[derive(Clone)]
pub struct LoadContext {
    /// Belongs to (stage run, load task, item): the same for all attempts.
    pub load_id: Uuid,
    /// Number of this attempt, from 1.
    pub attempt: i32,
    /// Path of the load task.
    pub task: String,
    /// What earlier attempts left through [`LoadContext::record_handle`], oldest first: a successor ends their sessions.
    pub predecessors: Vec<Value>,
    /// Cursors that the load moves in the same commit.
    pub marks: Vec<Mark>,
    /// The keys of all rows that the source has, if rows of the target are to be compared with them.
    pub keys: AllKeys,
    /// Buffers are reserved here. What the load's own plan holds is counted too.
    pub memory: Arc<StagePool>,
    /// Makes sessions for what a sink has to compute itself.
    pub sessions: SessionFactory,
    /// Shows what the load waits for, e.g. memory.
    pub progress: Arc<Progress>,
    /// Canceled when the run is canceled or the lease is lost.
    pub cancel: CancellationToken,
    /// The attempt's line to the control plane.
    pub control: Arc<dyn Control>,
}

impl LoadContext {
    /// Records what a successor needs to end this attempt's session in the target, before the session writes anything.
    pub async fn record_handle(&self, handle: Value) -> Result<()> {
        self.control.record_handle(&self.task, handle).await
    }
}

impl Debug for LoadContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadContext")
            .field("load_id", &self.load_id)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// Files that were put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// How many they were.
    pub before: u64,
    /// How many they are.
    pub after: u64,
}

/// Rows that are written and not yet visible.
#[derive(Debug)]
pub struct Staged {
    /// Rows written.
    pub rows: u64,
    /// Bytes written, as the target stores or receives them.
    pub bytes: u64,
    /// Files written; 0 for a database.
    pub files: u64,
    /// What a keyed mode does to the target's rows.
    pub changes: Option<Changes>,
    /// What the load changes of the target's columns, in the same commit.
    pub columns: ColumnChanges,
    /// The sink's own: files, an open transaction.
    pub state: Box<dyn std::any::Any + Send>,
}

/// What a load does to the rows of its target, by keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changes {
    /// Rows that the target did not have.
    pub inserted: u64,
    /// Rows that were replaced by others of their key.
    pub updated: u64,
    /// Rows that were removed.
    pub deleted: u64,
    /// Rows that the target had already, exactly so, or keeps as it has them.
    pub unchanged: u64,
}

impl Changes {
    /// Whether the target is as it was.
    pub fn is_empty(self) -> bool {
        self.inserted == 0 && self.updated == 0 && self.deleted == 0
    }
}

/// How a commit ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Commit {
    /// This attempt's rows are visible.
    Committed {
        /// The target's version, e.g. of the Delta table.
        version: Option<String>,
    },
    /// An earlier attempt's rows already are; this attempt's were discarded.
    Adopted(Taken),
}

/// The winner of a load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Its attempt number; 0 if a fence took the id.
    pub attempt: i32,
    /// The target's version at that commit, where it is known.
    pub version: Option<String>,
}
