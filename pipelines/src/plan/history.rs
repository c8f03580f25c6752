//! Loads that keep the history of their target: mode scd2, a slowly changing dimension of type 2.

use serde::{Deserialize, Serialize};

use crate::spec::{LoadTask, WriteMode};

/// The column that says since when a version holds.
pub const VALID_FROM: &str = "valid_from";

/// The column that says until when a version held, exclusive; NULL if it still does.
pub const VALID_TO: &str = "valid_to";

/// The column that says whether a version holds now.
pub const IS_CURRENT: &str = "is_current";

/// The columns that a load with history adds.
pub const HISTORY_COLUMNS: [&str; 3] = [VALID_FROM, VALID_TO, IS_CURRENT];

/// How a load keeps the history of its target's rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Columns whose change opens a version; all but the keys and the column by which rows are ordered if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub track: Vec<String>,
}

impl History {
    /// What a load says of history, if it keeps one.
    pub(super) fn of(load: &LoadTask) -> Option<Self> {
        (load.mode == Some(WriteMode::Scd2)).then(|| Self { track: load.track.clone() })
    }

    /// Whether a change of a column opens a version.
    pub fn tracks(&self, column: &str, keys: &[String], order_by: Option<&str>) -> bool {
        if keys.iter().any(|key| key == column) || HISTORY_COLUMNS.contains(&column) {
            return false;
        }
        match self.track.as_slice() {
            [] => order_by != Some(column),
            track => track.iter().any(|tracked| tracked == column),
        }
    }
}
