//! What planning a spec found, as a document.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use headwater_pipelines::diagnostic::Diagnostic;
use headwater_pipelines::diff::{Change, ChangeKind};
use headwater_pipelines::plan::tables::TableSet;
use headwater_pipelines::plan::{Head, Stage};
use headwater_pipelines::spec::Retry;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::CheckedSpec;
use crate::SnapshotReport;

/// The document of `plan`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PlanReport {
    /// The file.
    pub file: String,
    /// Name of the pipeline, if it could be read.
    pub pipeline: Option<String>,
    /// What is wrong, in the order of the file.
    #[schemars(with = "Vec<DiagnosticReport>")]
    pub diagnostics: Vec<Diagnostic>,
    /// What became of extracts of several tables.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TableSet>,
    /// The stages in topological order; absent if the spec has mistakes.
    pub stages: Option<Vec<StageReport>>,
    /// The columns of every dataset that could be judged, by task.
    pub schemas: BTreeMap<String, Vec<FieldReport>>,
    /// What sources say of themselves, by the task that reads them: a guess, a fallback.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub notes: BTreeMap<String, Vec<String>>,
    /// What each load would do to its target, by task.
    pub ddl: BTreeMap<String, LoadReport>,
    /// Differences from the approved version; absent if none is approved.
    pub diff: Option<Vec<ChangeReport>>,
    /// The schedule or stream in words.
    pub schedule_in_words: Option<String>,
    /// The catalogs that the spec was checked against, by connection; absent if it was checked against the systems themselves.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub catalogs: BTreeMap<String, SnapshotReport>,
}

/// The document of `plan` for a folder.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PlansReport {
    /// The plans of its files, by their names.
    pub plans: Vec<PlanReport>,
}

/// One finding in a spec.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DiagnosticReport {
    /// What kind of finding.
    pub code: String,
    /// error or warning.
    pub severity: String,
    /// What is wrong.
    pub message: String,
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How to correct it.
    pub hint: Option<String>,
    /// Where the faulty text starts.
    pub start: PositionReport,
    /// Where it ends, exclusive.
    pub end: PositionReport,
    /// The task it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Changes of the source that follow the hint.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replacements: Vec<ReplacementReport>,
}

/// A place in the source.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PositionReport {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Bytes from the start of the file.
    pub offset: usize,
}

/// A change of the source that corrects a mistake.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ReplacementReport {
    /// The first character that is replaced.
    pub start: PositionReport,
    /// The first character that is kept again.
    pub end: PositionReport,
    /// What takes their place.
    pub text: String,
}

/// One stage.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StageReport {
    /// The path of the task at its head.
    pub name: String,
    /// action, or dataset for one that several stages read.
    pub head: String,
    /// Its tasks in topological order, the head last.
    pub tasks: Vec<String>,
    /// Datasets that other stages materialise and this one reads.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub staged_inputs: Vec<String>,
    /// Stages that must have succeeded first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// When and how often a failed attempt is tried again.
    pub retry: Retry,
    /// An attempt that runs longer fails, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    /// The routing lane.
    pub queue: String,
    /// What a worker must have to run it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Higher goes first.
    pub priority: i32,
}

/// A column of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FieldReport {
    /// Its name.
    pub name: String,
    /// Its Arrow type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it can hold NULL.
    pub nullable: bool,
}

impl FieldReport {
    fn of(schema: &SchemaRef) -> Vec<Self> {
        let fields = schema.fields().iter().map(|field| Self {
            name: field.name().clone(),
            kind: field.data_type().to_string(),
            nullable: field.is_nullable(),
        });
        fields.collect()
    }
}

/// What a load would do to its target.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LoadReport {
    /// The target as the spec names it.
    pub target: String,
    /// Statements or actions that come first.
    pub ddl: Vec<String>,
    /// Remarks.
    pub notes: Vec<String>,
}

/// One difference between two versions.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ChangeReport {
    /// Dotted path of the field.
    pub path: String,
    /// added, removed or changed.
    pub kind: String,
    /// The old value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The new value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

impl PlanReport {
    pub(super) fn of(spec: &CheckedSpec, changes: Option<&[Change]>) -> Self {
        let schemas = spec.checked.schemas.iter().map(|(task, schema)| (task.to_string(), FieldReport::of(schema)));
        let loads = spec.checked.loads.iter().map(|(task, load)| {
            let report =
                LoadReport { target: load.target.clone(), ddl: load.plan.ddl.clone(), notes: load.plan.notes.clone() };
            (task.to_string(), report)
        });
        let read = spec.document.spec.as_ref();
        Self {
            file: spec.document.source.name.clone(),
            pipeline: read.map(|spec| spec.name.clone()),
            diagnostics: spec.checked.diagnostics.clone(),
            tables: spec.document.table_sets().to_vec(),
            stages: spec.planned.plan.as_ref().map(|plan| plan.stages.iter().map(StageReport::of).collect()),
            schemas: schemas.collect(),
            notes: spec.checked.notes.iter().map(|(task, notes)| (task.to_string(), notes.clone())).collect(),
            ddl: loads.collect(),
            diff: changes.map(|changes| changes.iter().map(ChangeReport::of).collect()),
            schedule_in_words: read.and_then(headwater_pipelines::spec::Spec::when_in_words),
            catalogs: spec.catalogs.clone(),
        }
    }
}

impl StageReport {
    fn of(stage: &Stage) -> Self {
        let names = |paths: &[headwater_pipelines::plan::TaskPath]| paths.iter().map(ToString::to_string).collect();
        let head = match stage.head {
            Head::Action => "action",
            Head::Dataset => "dataset",
        };
        Self {
            name: stage.name.to_string(),
            head: head.to_owned(),
            tasks: names(&stage.tasks),
            staged_inputs: names(&stage.staged_inputs),
            after: stage.after.iter().map(ToString::to_string).collect(),
            retry: stage.retry.clone(),
            timeout: stage.timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
            queue: stage.queue.clone(),
            labels: stage.labels.clone(),
            priority: stage.priority,
        }
    }
}

impl ChangeReport {
    pub(super) fn of(change: &Change) -> Self {
        let kind = match change.kind {
            ChangeKind::Added => "added",
            ChangeKind::Removed => "removed",
            ChangeKind::Changed => "changed",
        };
        Self {
            path: change.path.clone(),
            kind: kind.to_owned(),
            before: change.before.clone(),
            after: change.after.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use headwater_pipelines::document::Document;
    use headwater_pipelines::plan::plan;
    use schemars::schema_for;

    use super::*;

    /// Names of the fields of a document, and of its schema.
    fn fields(value: &Value, schema: &schemars::Schema) -> (Vec<String>, Vec<String>) {
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect();
        (keys(value), keys(schema.get("properties").unwrap()))
    }

    #[test]
    fn the_schema_of_a_diagnostic_names_every_field_that_one_has() {
        let document = Document::read("a.yaml", "name: a\ntasks:\n  one: { wiat: 1s }\n");
        let found = serde_json::to_value(&document.diagnostics[0]).unwrap();
        let (has, described) = fields(&found, &schema_for!(DiagnosticReport));
        assert!(has.iter().all(|field| described.contains(field)), "{has:?} {described:?}");
    }

    #[test]
    fn a_stage_is_reported_with_the_fields_that_it_is_stored_with() {
        let spec =
            "name: a\ntasks:\n  one: { wait: 1s }\n  two: { wait: 1s, needs: [one], timeout: 1m, labels: [gpu] }\n";
        let plan = plan(&Document::read("a.yaml", spec), &Default::default()).plan.unwrap();
        for stage in &plan.stages {
            assert_eq!(serde_json::to_value(StageReport::of(stage)).unwrap(), serde_json::to_value(stage).unwrap());
        }
    }
}
