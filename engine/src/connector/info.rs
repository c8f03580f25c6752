//! What a connection says about itself and its tables.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a connection answered when it was checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// e.g. `PostgreSQL 15.4`, `local folder`.
    pub version: String,
    /// The role or identity in use.
    pub identity: Option<String>,
    /// e.g. `TLS 1.3, certificate verified`; `TCP, not encrypted`; `local`.
    pub transport: String,
    /// Round trip of one trivial request, in microseconds.
    pub latency_us: u64,
    /// Tables (or files) that can be read.
    pub tables: u64,
    /// Remarks that don't stop anything, e.g. a missing privilege.
    pub notes: Vec<String>,
}

/// A table of the catalog.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TableInfo {
    /// The path below the connection, e.g. `["public", "orders"]`.
    pub path: Vec<String>,
    /// `table`, `view`, `materialized view`, `partitioned table`, `foreign table`, `file`.
    pub kind: String,
    /// The source's own estimate.
    pub rows: Option<u64>,
    /// The author's comment.
    pub comment: Option<String>,
    /// Columns in order, if they were asked for.
    pub columns: Vec<ColumnInfo>,
    /// Columns of each unique key beside the primary one, if columns were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unique_keys: Vec<Vec<String>>,
    /// References to other tables, if columns were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign_keys: Vec<ForeignKey>,
}

/// A reference to another table of the same connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForeignKey {
    /// The columns that refer.
    pub columns: Vec<String>,
    /// The path of the table that they refer to.
    pub table: Vec<String>,
    /// The columns there, in the same order.
    pub references: Vec<String>,
}

/// A column of the catalog.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ColumnInfo {
    /// Its name in the source's case.
    pub name: String,
    /// The source's own name of the type, e.g. `numeric(12,2)`.
    pub native_type: String,
    /// The Arrow type that Headwater reads it as, in Arrow's display form.
    pub arrow_type: String,
    /// Whether it can hold NULL.
    pub nullable: bool,
    /// Position in the primary key, from 1.
    pub primary_key: Option<u32>,
    /// The author's comment.
    pub comment: Option<String>,
}
