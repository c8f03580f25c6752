//! What became of an extract of several tables, for people.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

/// An extract of several tables, and the loads below it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TableSet {
    /// Path of the extract, which is a group of one extract for each table.
    pub task: String,
    /// The connection.
    pub connection: String,
    /// Its patterns and names.
    pub patterns: Vec<String>,
    /// How many tables are read.
    pub tables: usize,
    /// How many tables are read by each column that is a cursor; the rest is read whole.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cursors: BTreeMap<String, usize>,
    /// The loads below it, each a group of one load for each table.
    pub loads: Vec<TableLoads>,
    /// Tables that are handled otherwise than the rest, by reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<TableNote>,
}

/// A load of several tables.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TableLoads {
    /// Its path.
    pub task: String,
    /// Its targets, with `{{ table }}` for the table's name.
    pub into: String,
    /// How many tables are loaded with each mode.
    pub modes: BTreeMap<String, usize>,
}

/// Tables that are handled otherwise than the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TableNote {
    /// What is done to them and why, e.g. `have no key and are loaded whole`.
    pub what: String,
    /// Their paths below the connection.
    pub tables: Vec<String>,
}
