//! What is asked of a file that was read: its connections, the form that versions keep, secrets that are written out.

use headwater_engine::job::ConnectionSettings;
use headwater_pipelines::diagnostic::Diagnostic;
use headwater_pipelines::document::Document;
use headwater_pipelines::plan::{ExtractSource, Plan, Work};
use headwater_pipelines::spec::{ConnectionSpec, Spec};
use serde_json::Value;

use super::{FileConnections, SpecFile};

/// Reads a file.
pub(crate) fn read(file: SpecFile) -> Document {
    Document::read(file.name, String::from_utf8_lossy(&file.bytes).into_owned())
}

/// The text that a version keeps.
pub(super) fn stored_text(document: &Document) -> &str {
    &document.source.text
}

/// The spec that a version keeps and that differences are made from: of connections it holds name and type.
pub(super) fn stored_spec(document: &Document) -> Option<Spec> {
    let mut spec = document.spec.clone()?;
    spec.connections.values_mut().for_each(|connection| connection.settings.clear());
    Some(spec)
}

/// Secrets that the file writes out, which `apply` refuses.
pub(super) fn literal_secrets(_: &Document) -> Vec<Diagnostic> {
    Vec::new()
}

/// Whether the file holds connections and no pipeline.
pub(super) fn holds_connections_alone(_: &Document) -> bool {
    false
}

/// The connections that a file brings.
pub(super) fn connections(document: &Document) -> FileConnections {
    let connections = document.spec.iter().flat_map(|spec| &spec.connections);
    connections.map(|(name, connection)| (name.clone(), settings_of(connection))).collect()
}

/// Whether a plan's statements name the data interval.
pub(crate) fn uses_interval(plan: &Plan) -> bool {
    let names = |text: &str| text.contains("$interval_start") || text.contains("$interval_end");
    plan.tasks.values().any(|task| match &task.work {
        Work::Transform { sql, .. } => names(sql),
        Work::Extract { source: ExtractSource::Query { query, .. }, .. } => names(query),
        Work::Check { rules, .. } => serde_json::to_string(rules).is_ok_and(|rules| names(&rules)),
        _ => false,
    })
}

/// A connection of a file in the form that the store and the engine take.
fn settings_of(spec: &ConnectionSpec) -> ConnectionSettings {
    let fields = spec.settings.iter().map(|(key, value)| (key.clone(), value.clone()));
    ConnectionSettings { connector: spec.connector.clone(), settings: Value::Object(fields.collect()) }
}
