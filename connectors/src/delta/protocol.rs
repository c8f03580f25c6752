//! Which tables may be written: those whose promises to other writers are all kept here.

use deltalake::DeltaTable;
use deltalake::kernel::{Protocol, StructType, contains_timestampntz};
use headwater_engine::{EngineError, Result};
use headwater_pipelines::spec::WriteMode;
use serde_json::{Value, json};

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

/// Times without a zone are a feature of a table, which names its features from then on.
const TIMES: &str = "timestampNtz";

/// Features that a writer of a table without named features has to know, with the version that began with them.
const UNNAMED: [(i32, &str); 7] = [
    (2, "appendOnly"),
    (2, "invariants"),
    (3, "checkConstraints"),
    (4, "changeDataFeed"),
    (4, "generatedColumns"),
    (5, COLUMN_MAPPING),
    (6, "identityColumns"),
];

/// A feature of readers too.
const COLUMN_MAPPING: &str = "columnMapping";

/// The protocol that a table needs for its columns, if it is another one than it has.
pub(super) fn for_columns(protocol: &Protocol, schema: &StructType) -> Result<Option<Protocol>> {
    let has = protocol.writer_features().unwrap_or_default().iter().any(|feature| feature.to_string() == TIMES);
    if has || !contains_timestampntz(schema.fields()) {
        return Ok(None);
    }
    let bug = |error: serde_json::Error| EngineError::bug(format!("the protocol of a table: {error}"));
    let mut value = serde_json::to_value(protocol).map_err(bug)?;
    let version = protocol.min_writer_version();
    let unnamed: Vec<&str> = UNNAMED.iter().filter(|(from, _)| *from <= version).map(|(_, name)| *name).collect();
    let is_mapped = |features: &[&str]| features.contains(&COLUMN_MAPPING);
    let of_readers: Vec<&str> = if version < 7 && is_mapped(&unnamed) { vec![COLUMN_MAPPING] } else { Vec::new() };
    name_features(&mut value, "Writer", 7, &unnamed);
    name_features(&mut value, "Reader", 3, &of_readers);
    serde_json::from_value(value).map(Some).map_err(bug)
}

/// Adds times without a zone to the named features, which a table of an earlier version gets with the ones that it had unnamed.
fn name_features(protocol: &mut Value, of: &str, version: i32, unnamed: &[&str]) {
    let (minimum, field) = (format!("min{of}Version"), format!("{}Features", of.to_lowercase()));
    let named = protocol[&field].as_array().cloned();
    let mut features = named.unwrap_or_else(|| unnamed.iter().map(|name| json!(name)).collect());
    features.push(json!(TIMES));
    protocol[&minimum] = json!(version);
    protocol[&field] = json!(features);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use deltalake::kernel::{DataType, StructField};

    use super::*;

    fn raised(protocol: Value) -> Option<Value> {
        let protocol: Protocol = serde_json::from_value(protocol).unwrap();
        let times = StructType::try_new([StructField::nullable("at", DataType::TIMESTAMP_NTZ)]).unwrap();
        for_columns(&protocol, &times).unwrap().map(|protocol| serde_json::to_value(protocol).unwrap())
    }

    #[test]
    fn a_table_that_gets_times_without_a_zone_names_its_features() {
        let raised_from_two = raised(json!({ "minReaderVersion": 1, "minWriterVersion": 2 })).unwrap();
        assert_eq!(
            raised_from_two,
            json!({
                "minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["timestampNtz"],
                "writerFeatures": ["appendOnly", "invariants", "timestampNtz"]
            })
        );
        let named = json!({
            "minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["timestampNtz"],
            "writerFeatures": ["appendOnly", "timestampNtz"]
        });
        assert_eq!(raised(named), None);
        let mapped = raised(json!({ "minReaderVersion": 2, "minWriterVersion": 5 })).unwrap();
        assert_eq!(mapped["readerFeatures"], json!(["columnMapping", "timestampNtz"]));
    }
}
