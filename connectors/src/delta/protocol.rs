//! Which tables may be written: those whose promises to other writers are all kept here.

use deltalake::DeltaTable;
use headwater_engine::{EngineError, Result};
use headwater_pipelines::spec::WriteMode;

/// Writer features that bind only when a table property or a column's metadata turns them on, which is looked at apart, and
/// those that an append or overwrite with plain columns keeps by itself.
const HARMLESS: [&str; 10] = [
    "appendOnly",
    "invariants",
    "checkConstraints",
    "changeDataFeed",
    "generatedColumns",
    "columnMapping",
    "identityColumns",
    "deletionVectors",
    "timestampNtz",
    "v2Checkpoint",
];

/// Refuses a table with a feature that Headwater doesn't implement.
pub(super) fn check(label: &str, table: &DeltaTable, mode: WriteMode) -> Result<()> {
    let state = table.snapshot().map_err(|error| EngineError::bug(error.to_string()))?;
    let refuse = |feature: &str| {
        Err(EngineError::config(format!("the Delta table {label} uses {feature}, which Headwater can't write"))
            .hint("load into a table of its own, or turn the feature off in that table"))
    };
    for feature in state.protocol().writer_features().unwrap_or_default() {
        if !HARMLESS.contains(&feature.to_string().as_str()) {
            return refuse(&format!("the table feature {feature}"));
        }
    }
    let properties = state.metadata().configuration();
    let is_on = |name: &str| properties.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if properties.get("delta.columnMapping.mode").is_some_and(|mode| mode != "none") {
        return refuse("column mapping");
    }
    if is_on("delta.enableChangeDataFeed") {
        return refuse("the change data feed");
    }
    if is_on("delta.enableDeletionVectors") {
        return refuse("deletion vectors");
    }
    if let Some(name) = properties.keys().find_map(|key| key.strip_prefix("delta.constraints.")) {
        return refuse(&format!("the check constraint {name}"));
    }
    if !matches!(mode, WriteMode::Append | WriteMode::InsertNew) && is_on("delta.appendOnly") {
        return refuse(&format!("delta.appendOnly, and mode {mode} removes rows; appending is allowed, {mode}"));
    }
    for field in state.schema().fields() {
        let bound = field.metadata().keys().find(|key| {
            key.as_str() == "delta.generationExpression"
                || key.as_str() == "delta.invariants"
                || key.starts_with("delta.identity.")
        });
        if let Some(key) = bound {
            return refuse(&format!("{key} on column {}", field.name()));
        }
    }
    Ok(())
}
