//! What is asked of a file that was read.

use headwater_engine::job::ConnectionSettings;
use headwater_pipelines::document::Document;
use headwater_pipelines::spec::ConnectionSpec;
use serde_json::Value;

use super::{FileConnections, SpecFile};

/// Reads a file.
pub(crate) fn read(file: SpecFile) -> Document {
    Document::from_bytes(file.name, file.bytes)
}

/// The connections that a file brings.
pub(super) fn connections(document: &Document) -> FileConnections {
    document.connections().map(|(name, connection)| (name.clone(), settings_of(connection))).collect()
}

/// A connection of a file in the form that the store and the engine take.
fn settings_of(spec: &ConnectionSpec) -> ConnectionSettings {
    let fields = spec.settings.iter().map(|(key, value)| (key.clone(), value.clone()));
    ConnectionSettings { connector: spec.connector.clone(), settings: Value::Object(fields.collect()) }
}
