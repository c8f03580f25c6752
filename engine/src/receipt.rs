//! The proof that comes with every load.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::connector::{Changes, ColumnChanges};

/// How far a load has read by a cursor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CursorReceipt {
    /// Path of the extract.
    pub task: String,
    /// Where it went on; absent if everything was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Where the next load goes on.
    pub to: String,
}

/// What a load did. Written to the store with the intent and completed by the commit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    /// Path of the load task.
    pub task: String,
    /// The load; the target's commit carries the same id.
    pub load_id: Uuid,
    /// The attempt whose rows are in the target.
    pub attempt: i32,
    /// The target as the spec names it.
    pub target: String,
    /// The write mode.
    pub mode: String,
    /// Rows that the stage's sources gave, and messages that could not be read and were set aside.
    pub rows_read: u64,
    /// Rows that were handed to the target.
    pub rows_written: u64,
    /// What became of them in the target, if they met others by keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    /// What it changed of the target's columns.
    #[serde(default, flatten)]
    pub columns: ColumnChanges,
    /// Rows that checks counted as violations or set aside, and messages that were set aside.
    pub rows_rejected: u64,
    /// Bytes as the target stores or receives them.
    pub bytes: u64,
    /// Files of the commit; 0 for a database.
    pub files: u64,
    /// The target's version after the commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// From the start of the attempt to the intent, in milliseconds.
    pub duration_ms: u64,
    /// Largest amount of memory that the pool had reserved, in bytes.
    pub peak_memory: u64,
    /// How far the load has read, of each extract with a cursor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cursors: Vec<CursorReceipt>,
    /// Whether the commit was found in the target instead of being made by the attempt that reports it.
    #[serde(default)]
    pub adopted: bool,
}
