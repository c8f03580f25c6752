//! What a load changes of its target's columns.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a load changes of its target's columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ColumnChanges {
    /// Columns that the target did not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns_added: Vec<TargetColumn>,
    /// Columns that have another type now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns_retyped: Vec<TargetColumn>,
    /// Columns that an overwrite has left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns_removed: Vec<TargetColumn>,
}

/// A column of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetColumn {
    /// Its name.
    pub name: String,
    /// Its type in the target's own words: the new one of a column that is there afterwards.
    #[serde(rename = "type")]
    pub kind: String,
}

impl ColumnChanges {
    /// Whether the columns stay as they are.
    pub fn is_empty(&self) -> bool {
        self.columns_added.is_empty() && self.columns_retyped.is_empty() && self.columns_removed.is_empty()
    }

    /// Each kind of change in words, with its columns, e.g. `added`.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, &[TargetColumn])> {
        let kinds = [
            ("added", self.columns_added.as_slice()),
            ("retyped", self.columns_retyped.as_slice()),
            ("removed", self.columns_removed.as_slice()),
        ];
        kinds.into_iter().filter(|(_, columns)| !columns.is_empty())
    }
}

impl std::fmt::Display for TargetColumn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.name, self.kind)
    }
}
