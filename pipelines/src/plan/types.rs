//! The plan: a validated spec, cut into stages. It is what a version stores and what workers execute.
//!
//! A stored plan is this typed cut and never a serialised DataFusion plan, so that an engine upgrade can't make history
//! unreadable. `plan_format` says which binaries may execute it.

use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::cursor::Cursor;
use super::deletes::Deletes;
use super::history::History;
use crate::kind::Kind;
use crate::path::TaskPath;
use crate::spec::{Columns, LoadSchema, MaxRejected, OnFailure, Param, Retry, Rule, Stream, WriteMode};

/// The format of plans that this build writes; a claim takes only formats that the worker knows.
pub const PLAN_FORMAT: i32 = 1;

/// The format of plans with labels, which a build that knows none would ignore.
pub const LABELED_PLAN_FORMAT: i32 = 2;

/// The format of plans with cursors, of which a build that knows none would read everything each time.
pub const CURSOR_PLAN_FORMAT: i32 = 3;

/// The format of plans with contracts of columns, of which a build that knows none would refuse every change.
pub const CONTRACT_PLAN_FORMAT: i32 = 4;

/// The format of plans that delete rows, of which a build that knows none would leave them in the target.
pub const DELETE_PLAN_FORMAT: i32 = 5;

/// The format of plans of streams, of which a build that knows none would run a single batch.
pub const STREAM_PLAN_FORMAT: i32 = 6;

/// The format of plans that set rows aside, of which a build that knows none would fail each load that meets one.
pub const REJECT_PLAN_FORMAT: i32 = 7;

/// The format of plans that keep history, which a build that knows none would refuse to load.
pub const HISTORY_PLAN_FORMAT: i32 = 8;

/// The format of plans that apply changes, of which a build that knows none would load them as rows.
pub const CHANGE_PLAN_FORMAT: i32 = 9;

/// The format of plans that end versions of a history, which a build that knows none would not read.
pub const CLOSE_PLAN_FORMAT: i32 = 10;

/// Every format that this build executes.
pub const PLAN_FORMATS: [i32; 10] = [
    PLAN_FORMAT,
    LABELED_PLAN_FORMAT,
    CURSOR_PLAN_FORMAT,
    CONTRACT_PLAN_FORMAT,
    DELETE_PLAN_FORMAT,
    STREAM_PLAN_FORMAT,
    REJECT_PLAN_FORMAT,
    HISTORY_PLAN_FORMAT,
    CHANGE_PLAN_FORMAT,
    CLOSE_PLAN_FORMAT,
];

/// A pipeline's validated, typed cut.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// See [`PLAN_FORMAT`].
    pub plan_format: i32,
    /// The pipeline's name.
    pub pipeline: String,
    /// Declared parameters, in the order of the spec.
    pub params: IndexMap<String, Param>,
    /// Set if the pipeline runs until it is stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<Stream>,
    /// Every task, groups included, in the order of the spec.
    pub tasks: IndexMap<TaskPath, PlannedTask>,
    /// Stages in topological order.
    pub stages: Vec<Stage>,
}

/// One task of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedTask {
    /// What the task does.
    pub work: Work,
    /// The stages that execute it: one for most tasks, none for a group.
    pub stages: Vec<String>,
    /// What the author wrote about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A relation that a dataset or load reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// The dataset of another task.
    Task(TaskPath),
    /// A connection's table, read directly.
    Table(TableRef),
}

impl Relation {
    /// The one name under which the engine registers this relation; SQL in a plan refers to it as a quoted identifier.
    pub fn internal_name(&self) -> String {
        match self {
            Self::Task(path) => path.to_string(),
            Self::Table(table) => table.to_string(),
        }
    }
}

/// `connection.path`, e.g. connection `shop`, path `["public", "orders"]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableRef {
    /// Name of the connection.
    pub connection: String,
    /// The rest of the name; its meaning is the connector's.
    pub path: Vec<String>,
}

impl std::fmt::Display for TableRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.connection)?;
        self.path.iter().try_for_each(|part| write!(f, ".{part}"))
    }
}

/// What a task does, with every name resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Reads a table or a query of a connection.
    Extract {
        /// Where the rows come from.
        source: ExtractSource,
        /// Projection or overrides.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        columns: Option<Columns>,
        /// Set if only new rows are read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cursor: Option<Cursor>,
        /// Set if messages that can't be read are set aside.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        quarantine: Option<Quarantine>,
    },
    /// SQL over other relations.
    Transform {
        /// The statement, each relation rewritten to its internal name.
        sql: String,
        /// The relations it reads.
        reads: Vec<Relation>,
    },
    /// A barrier that tests its input's rows.
    Check {
        /// The dataset under test.
        input: Relation,
        /// The rules, in the order of the spec.
        rules: Vec<Rule>,
        /// What a violation does.
        on_failure: OnFailure,
        /// How many of the rows may be set aside.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_rejected: Option<MaxRejected>,
    },
    /// Writes a dataset into a target.
    Load {
        /// The dataset to write.
        input: Relation,
        /// The target.
        into: TableRef,
        /// How rows meet those already there.
        mode: WriteMode,
        /// Key columns (keyed modes).
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        keys: Vec<String>,
        /// Which of several rows of one key counts: the last by this column.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order_by: Option<String>,
        /// Partition columns, outermost first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        partition_by: Vec<String>,
        /// What may be changed of the target's columns.
        #[serde(default, skip_serializing_if = "is_default")]
        schema: LoadSchema,
        /// What happens to rows that are gone at the source, unless they are left as they are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deletes: Option<Deletes>,
        /// Set if the target keeps the versions of its rows (scd2).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        history: Option<History>,
    },
    /// Lets time pass.
    Wait {
        /// How long.
        #[serde(with = "crate::duration::millis")]
        duration: Duration,
    },
    /// Holds other tasks.
    Group,
}

fn is_default(schema: &LoadSchema) -> bool {
    *schema == LoadSchema::default()
}

impl Work {
    /// The task's kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Extract { .. } => Kind::Extract,
            Self::Transform { .. } => Kind::Transform,
            Self::Check { .. } => Kind::Check,
            Self::Load { .. } => Kind::Load,
            Self::Wait { .. } => Kind::Wait,
            Self::Group => Kind::Group,
        }
    }

    /// The relations whose rows this task reads.
    pub fn reads(&self) -> Vec<&Relation> {
        match self {
            Self::Transform { reads, .. } => reads.iter().collect(),
            Self::Check { input, .. } | Self::Load { input, .. } => vec![input],
            Self::Extract { .. } | Self::Wait { .. } | Self::Group => Vec::new(),
        }
    }
}

/// What cannot be read of a source is set aside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantine {
    /// How much of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rejected: Option<MaxRejected>,
}

/// Where an extract's rows come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExtractSource {
    /// A table, view or set of files.
    Table(TableRef),
    /// A statement in the source's own language, run read-only there.
    Query {
        /// Name of the connection.
        connection: String,
        /// The statement.
        query: String,
    },
}

impl ExtractSource {
    /// Name of the connection.
    pub fn connection(&self) -> &str {
        match self {
            Self::Table(table) => &table.connection,
            Self::Query { connection, .. } => connection,
        }
    }
}

/// Tasks that run as one streaming plan; the unit that is queued, leased and retried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Unique within the plan: the path of the task at its head.
    pub name: String,
    /// What pulls the stage.
    pub head: Head,
    /// Its tasks in topological order, the head last.
    pub tasks: Vec<TaskPath>,
    /// Datasets that other stages materialised and this one reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub staged_inputs: Vec<TaskPath>,
    /// Names of the stages that must have succeeded first, through data or `needs`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// When and how often a failed attempt is tried again.
    pub retry: Retry,
    /// An attempt that runs longer fails.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::duration::option_millis")]
    pub timeout: Option<Duration>,
    /// The routing lane.
    pub queue: String,
    /// What a worker must have to run it, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Higher goes first; 0 unless the spec says otherwise.
    pub priority: i32,
}

/// What pulls a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Head {
    /// An action task: a load, a wait.
    Action,
    /// A dataset that several stages read: it is materialised once in the run's staging area.
    Dataset,
}

impl Plan {
    /// The stage of that name.
    pub fn stage(&self, name: &str) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.name == name)
    }

    /// Whether a statement of the plan uses `$interval_start` or `$interval_end`. A run without a data interval would bind
    /// NULL to them and read nothing.
    pub fn uses_interval(&self) -> bool {
        self.tasks.values().any(|task| task.work.uses_interval())
    }

    /// Whether an extract goes on where its last load ended.
    pub fn has_cursors(&self) -> bool {
        self.tasks.values().any(|task| matches!(task.work, Work::Extract { cursor: Some(_), .. }))
    }

    /// Whether a load replaces all rows of its keys.
    pub fn replaces_keys(&self) -> bool {
        self.tasks.values().any(|task| matches!(task.work, Work::Load { mode: WriteMode::DeleteInsert, .. }))
    }

    /// Declared parameters on which the rows of a stage depend.
    pub fn parameters_of(&self, stage: &Stage) -> std::collections::BTreeSet<String> {
        let works = stage.tasks.iter().filter_map(|task| self.tasks.get(task)).map(|task| &task.work);
        let named = works.flat_map(Work::statements).flat_map(crate::sql::parameters);
        named.filter(|name| self.params.contains_key(name)).collect()
    }

    /// Names of the connections that a stage reads or writes, sorted.
    pub fn connections_of(&self, stage: &Stage) -> std::collections::BTreeSet<String> {
        let tasks = stage.tasks.iter().filter_map(|task| self.tasks.get(task));
        tasks.flat_map(|task| task.work.connections()).collect()
    }
}

impl Work {
    /// The statements and conditions of this task: those that the engine plans, and a query that its source runs.
    pub(super) fn statements(&self) -> Vec<&str> {
        match self {
            Self::Transform { sql, .. } => vec![sql],
            Self::Check { rules, .. } => rules.iter().filter_map(|rule| rule.sql.as_deref()).collect(),
            Self::Extract { source: ExtractSource::Query { query, .. }, .. } => vec![query],
            Self::Load { deletes: Some(deletes), .. } => deletes.when.as_deref().into_iter().collect(),
            Self::Extract { .. } | Self::Load { .. } | Self::Wait { .. } | Self::Group => Vec::new(),
        }
    }

    /// Whether a statement of the task uses `$interval_start` or `$interval_end`.
    pub fn uses_interval(&self) -> bool {
        let used = self.statements().into_iter().flat_map(crate::sql::parameters);
        used.into_iter().any(|name| matches!(name.as_str(), "interval_start" | "interval_end"))
    }

    /// Whether the task sets rows aside.
    pub fn rejects(&self) -> bool {
        match self {
            Self::Check { on_failure, .. } => *on_failure == OnFailure::Quarantine,
            Self::Extract { quarantine, .. } => quarantine.is_some(),
            _ => false,
        }
    }

    /// Names of the connections that this task reads or writes.
    pub fn connections(&self) -> Vec<String> {
        let mut names = self.sources();
        if let Self::Load { into, .. } = self {
            names.push(into.connection.clone());
        }
        names
    }

    /// Names of the connections that this task reads.
    pub fn sources(&self) -> Vec<String> {
        let tables = self.reads().into_iter().filter_map(|relation| match relation {
            Relation::Table(table) => Some(table.connection.clone()),
            Relation::Task(_) => None,
        });
        let extracted = match self {
            Self::Extract { source, .. } => Some(source.connection().to_owned()),
            _ => None,
        };
        tables.chain(extracted).collect()
    }
}
