//! Tasks and their kinds.

use std::time::Duration;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    CheckTask, Columns, KeyScan, LoadSchema, MaxRejected, OnDelete, OnReject, Reach, Retry, Share, TableNames,
};

/// The value of an extract's `cursor` that stands for the source's own position; with `tables` for each table's own column.
pub const AUTO_CURSOR: &str = "auto";

/// A node of the graph. Exactly one kind (`extract` to `group`) is set; `plan` refuses anything else.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Task {
    /// Dataset: reads from a connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extract: Option<ExtractTask>,
    /// Dataset: one SELECT over other datasets and tables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transform: Option<String>,
    /// Dataset: lets its input through if it holds the rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<CheckTask>,
    /// Action: writes a dataset into a target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadTask>,
    /// Action: runs another pipeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<PipelineTask>,
    /// Action: sends a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpTask>,
    /// Action: runs a program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandTask>,
    /// Action: waits for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approve: Option<ApproveTask>,
    /// Action: sends a message to people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notify: Option<NotifyTask>,
    /// Action: waits for this long, e.g. `10s`.
    #[serde(skip_serializing_if = "Option::is_none", with = "crate::duration::option_text")]
    #[schemars(with = "Option<crate::duration::DurationText>")]
    pub wait: Option<Duration>,
    /// Holds other tasks, to any depth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<IndexMap<String, Task>>,

    /// Tasks that must have succeeded first, besides those whose data is read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// SQL over metrics; the task is skipped when it is not true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Runs the task once for each item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_each: Option<serde_json::Value>,
    /// When and how often a failed attempt is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// An attempt that runs longer fails, e.g. `30m`.
    #[serde(skip_serializing_if = "Option::is_none", with = "crate::duration::option_text")]
    #[schemars(with = "Option<crate::duration::DurationText>")]
    pub timeout: Option<Duration>,
    /// The routing lane; `default` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Labels that a worker must have to run it, e.g. `[gpu]`; what groups name is added.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Higher goes first; 0 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// What the task is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Reads a table (`from`), a set of tables (`tables`) or a query of a connection.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExtractTask {
    /// `connection.path`, e.g. `shop.public.orders`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Several tables at once, e.g. `shop.public.*`: `plan` makes one dataset of each, and one load of each load below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tables: Option<TableNames>,
    /// Patterns of names that are left out of `tables`, e.g. `audit_*`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// The connection of `query`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// A statement in the source's own language, run read-only there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// A column whose growth marks new rows, e.g. `updated_at`: each run reads what its load does not hold yet. `auto` is the source's own position; with `tables` each table's own such column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How far behind the largest value rows are still looked for that come late. If absent 24h for times; rows with numbers are read whatever their number is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lookback: Option<Reach>,
    /// For views, foreign tables and queries: how far behind the largest value rows are read again by each run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag: Option<Reach>,
    /// What happens to rows whose cursor is NULL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor_nulls: Option<CursorNulls>,
    /// A list projects; a map overrides the named columns and keeps the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Columns>,
    /// What happens to a value that its type can't hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_value: Option<OnValue>,
    /// What happens to a message of a topic that can't be read; `fail` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_reject: Option<OnReject>,
    /// Under `on_reject: quarantine`: the largest part of the messages of a load that may be set aside without failing it, e.g. `1%` or `100`. If absent 1%, or 100 messages if those are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rejected: Option<MaxRejected>,
}

/// What happens to rows whose cursor is NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CursorNulls {
    /// They are read each time.
    Include,
    /// The run fails.
    Fail,
}

/// What happens to a value that its type can't hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnValue {
    /// The run fails and names column and key.
    Fail,
    /// It becomes NULL.
    Null,
    /// The row is rejected.
    Quarantine,
}

/// Writes a dataset into a target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadTask {
    /// The dataset to write.
    pub input: String,
    /// `connection.path`, e.g. `lake.orders`; below `tables` a name with places for the table's name and schema (docs/loads.md, Whole schemas).
    pub into: String,
    /// How rows meet those already there. Below `tables` it can be absent: upsert where a table has a key, else overwrite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "WriteMode")]
    pub mode: Option<WriteMode>,
    /// Key columns (upsert, insert_new, delete_insert, scd2).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Columns whose change opens a version (scd2).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub track: Vec<String>,
    /// Partition columns, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partition_by: Vec<String>,
    /// Which of several rows of one key counts: the last by this column (upsert, insert_new, scd2). For scd2 also since when a version holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_by: Option<String>,
    /// What happens when the columns of the rows are not those of the target; `freeze` if absent. A word, or
    /// `{ default: add_columns, columns: { total: freeze } }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<LoadSchema>,
    /// What a late change does (scd2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<LateRows>,
    /// What happens to rows of the target that are gone at the source (upsert; scd2: `close` or `ignore`). If absent `hard`, or `close` in mode scd2, with
    /// `deleted_when` or `deletes`, else `ignore`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_delete: Option<OnDelete>,
    /// SQL over the columns of a row: where it is true, the row says that its key is gone at the source (upsert).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_when: Option<String>,
    /// Whether the rows are changes of other rows, as a topic in format debezium gives them: the last `_position` of a key counts, `_op: d` deletes it, and columns that
    /// `_unchanged` names keep what the target has (upsert).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changes: bool,
    /// A complete scan of the source's keys from time to time, for a load with a cursor (upsert, scd2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletes: Option<KeyScan>,
    /// Largest share of the target's rows that may be gone without failing the load; `20%` if absent (upsert, scd2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_delete: Option<Share>,
    /// `checksum` compares source and target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<String>,
}

/// What a late change does (scd2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LateRows {
    /// History is split.
    Split,
    /// The row is rejected.
    Reject,
}

/// How loaded rows meet those already in the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WriteMode {
    /// They are added.
    Append,
    /// They replace everything.
    Overwrite,
    /// Rows of the same key are updated, others inserted.
    Upsert,
    /// Rows whose key the target does not have are inserted, others left as they are.
    InsertNew,
    /// The slices that `keys` name are replaced.
    DeleteInsert,
    /// History is kept in `valid_from`, `valid_to`, `is_current`.
    Scd2,
}

impl WriteMode {
    /// Whether rows meet those already there by keys.
    pub fn is_keyed(self) -> bool {
        !matches!(self, Self::Append | Self::Overwrite)
    }

    /// As it is spelled in a spec.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Overwrite => "overwrite",
            Self::Upsert => "upsert",
            Self::InsertNew => "insert_new",
            Self::DeleteInsert => "delete_insert",
            Self::Scd2 => "scd2",
        }
    }
}

impl std::fmt::Display for WriteMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Runs another pipeline and waits for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineTask {
    /// Its name.
    pub name: String,
    /// Values of its parameters.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub params: IndexMap<String, serde_json::Value>,
}

/// Sends a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpTask {
    /// The address.
    pub url: String,
    /// GET if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Headers.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub headers: IndexMap<String, String>,
    /// Body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<serde_json::Value>,
}

/// Runs a program on the worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandTask {
    /// Program and arguments.
    pub run: Vec<String>,
    /// Environment.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub env: IndexMap<String, String>,
}

/// Waits for a person.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ApproveTask {
    /// What the person is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Sends a message to people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotifyTask {
    /// The connection that sends the message.
    pub connection: String,
    /// The text; `{{ … }}` is filled in.
    pub message: String,
}
