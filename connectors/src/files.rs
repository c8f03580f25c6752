//! Files in a folder or an object store: CSV, JSON lines and Parquet.
//!
//! Reads: one file, a glob (`drop."2026/*.csv.gz"`) or a dataset folder; `.gz` and `.zst` are unpacked while reading. CSV
//! columns are text unless typed by `columns:` or `infer: true`; a broken row is named by file and line. A value that its type can't hold
//! exactly is an error. `cursor: auto` reads each file once, by name, size and etag; one that changes while it is read fails the read.
//! Writes: hidden temporaries first, in an object store uploads that are not completed; then a manifest named by the load id, put only
//! if absent, picks the winner, whose files anyone may then complete. Limits: to foreign readers a set of files becomes visible file by
//! file. An attempt that is killed leaves incomplete uploads: let a rule of the bucket end them, and give it a day or more.

use std::sync::Arc;

use async_trait::async_trait;
use headwater_engine::connector::{
    ColumnInfo, Connection, Connector, ConnectorSpec, Health, Sink, SinkRequest, Source, SourceObject, SourceRequest,
    TableInfo,
};
use headwater_engine::stores::StoreOptions;
use headwater_engine::{EngineError, Result};
use headwater_pipelines::spec::WriteMode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::location::{self, Location};
use crate::settings;

mod csv;
mod data;
mod format;
mod infer;
mod json;
mod json_columns;
mod json_types;
mod listed;
mod listing;
mod loaded;
mod manifest;
mod pinned;
mod place;
mod records;
mod scan;
mod sink;
mod source;
mod text;
mod types;
mod upload;
mod window;
mod words;
mod write;

use format::Format;

static SPEC: ConnectorSpec = ConnectorSpec {
    name: "files",
    summary: "CSV, JSON lines and Parquet files in a folder or an object store",
    location: "location",
    schemes: &["file"],
    example: "type: files\nlocation: \"file:///srv/drop\"\nformat: csv\n",
    reads: true,
    queries: false,
    rejects: false,
    writes: &[WriteMode::Append, WriteMode::Overwrite],
};

/// Settings of a `files` connection.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The folder that holds the files: `file:///srv/drop`, `s3://bucket/folder`, `gs://bucket/folder` or `az://container/folder`.
    location: String,
    /// Options of the object store. A local folder has none.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(with = "StoreOptions")]
    options: Map<String, Value>,
    /// Format of files whose names don't tell; a name's ending wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<Format>,
    /// CSV: the character between fields.
    #[serde(default = "comma")]
    delimiter: char,
    /// CSV: the character around fields that hold delimiters or line ends.
    #[serde(default = "quote")]
    quote: char,
    /// CSV: the character that takes the next one of a quoted field as it is; a quote is doubled if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    escape: Option<char>,
    /// CSV: whether the first line names the columns.
    #[serde(default = "yes")]
    header: bool,
    /// CSV: the text that means NULL where it is not in quotes; nothing at all by default. An empty text is written in quotes.
    #[serde(default)]
    null: String,
    /// CSV: whether that text means NULL in quotes too, as in files that quote every field. An empty text can't be written then.
    #[serde(default)]
    null_in_quotes: bool,
    /// CSV: the files' encoding, by its WHATWG name, e.g. `windows-1252`.
    #[serde(default = "utf8")]
    encoding: String,
    /// CSV: whether a byte order mark is written. When reading, one is skipped anyway.
    #[serde(default)]
    bom: bool,
    /// CSV: derives types from all the values instead of reading text. What a type would change (leading zeros, more digits than it holds) stays text.
    #[serde(default)]
    infer: bool,
}

fn comma() -> char {
    ','
}

fn quote() -> char {
    '"'
}

fn yes() -> bool {
    true
}

fn utf8() -> String {
    "utf-8".to_owned()
}

/// The connector.
#[derive(Debug)]
pub(crate) struct Files;

impl Connector for Files {
    fn spec(&self) -> &'static ConnectorSpec {
        &SPEC
    }

    fn settings_schema(&self) -> Value {
        schemars::schema_for!(Settings).into()
    }

    fn redact(&self, settings: &Value) -> Value {
        settings::redact(settings, &self.secrets(settings))
    }

    fn secrets(&self, settings: &Value) -> Vec<String> {
        settings::secret_options(settings)
    }

    fn open(&self, name: &str, settings: &Value) -> Result<Arc<dyn Connection>> {
        let settings: Settings = settings::read(name, &SPEC, settings)?;
        let location = location::open(name, &settings.location, &settings.options)?;
        let dialect = csv::Dialect::new(name, &settings)?;
        let shared =
            Shared { name: name.to_owned(), location, format: settings.format, infer: settings.infer, dialect };
        Ok(Arc::new(FilesConnection { shared: Arc::new(shared) }))
    }
}

/// What sources and sinks of one connection share.
#[derive(Debug)]
struct Shared {
    name: String,
    location: Location,
    format: Option<Format>,
    infer: bool,
    dialect: csv::Dialect,
}

#[derive(Debug)]
struct FilesConnection {
    shared: Arc<Shared>,
}

impl FilesConnection {
    async fn list(&self) -> Result<Vec<listing::Found>> {
        let Shared { name, location, format, .. } = self.shared.as_ref();
        let (searched, format) = (location.clone(), *format);
        let found = blocking(move || listing::catalog(&searched, format)).await?;
        found.map_err(|error| location.unreadable(name, error))
    }
}

#[async_trait]
impl Connection for FilesConnection {
    async fn check(&self) -> Result<Health> {
        let health = self.shared.location.check(&self.shared.name).await?;
        let tables = u64::try_from(self.list().await?.len()).unwrap_or(u64::MAX);
        Ok(Health { tables, ..health })
    }

    async fn catalog(&self, columns: bool) -> Result<Vec<TableInfo>> {
        let mut tables = Vec::new();
        for found in self.list().await? {
            let described = match columns {
                true => match source::open(Arc::clone(&self.shared), &found.path, None, Default::default()).await {
                    Ok(table) => column_infos(&table.schema()),
                    // A broken file is still listed; reading it says what is wrong.
                    Err(_) => Vec::new(),
                },
                false => Vec::new(),
            };
            tables.push(TableInfo {
                path: found.path,
                kind: found.kind.to_owned(),
                rows: None,
                comment: None,
                columns: described,
                ..TableInfo::default()
            });
        }
        Ok(tables)
    }

    async fn source(&self, request: &SourceRequest) -> Result<Source> {
        let SourceObject::Table(path) = &request.object else {
            return Err(EngineError::config(format!("connection '{}' can't run queries", self.shared.name))
                .hint("read files with `from`, and filter them in a transform"));
        };
        let shared = Arc::clone(&self.shared);
        let (columns, cancel) = (request.columns.as_ref(), request.cancel.clone());
        match &request.cursor {
            None => {
                let incomplete =
                    source::is_pattern(path).then(|| "files by a pattern, which may not be all there".to_owned());
                let table = source::open(shared, path, columns, cancel).await?;
                Ok(Source { incomplete, ..table.into() })
            }
            Some(cursor) => source::open_new(shared, path, columns, cursor, cancel).await,
        }
    }

    async fn sink(&self, request: &SinkRequest) -> Result<Arc<dyn Sink>> {
        Ok(Arc::new(sink::FilesSink::new(Arc::clone(&self.shared), request)?))
    }

    async fn close(&self) {}
}

fn column_infos(schema: &arrow::datatypes::Schema) -> Vec<ColumnInfo> {
    let info = |field: &Arc<arrow::datatypes::Field>| ColumnInfo {
        name: field.name().clone(),
        native_type: field.data_type().to_string(),
        arrow_type: field.data_type().to_string(),
        nullable: field.is_nullable(),
        primary_key: None,
        comment: None,
    };
    schema.fields().iter().map(info).collect()
}

/// Runs file work off the async threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| EngineError::bug("file work ended early").caused_by(error))
}

/// Puts a file's error into words.
fn io_error(doing: &str, path: impl std::fmt::Display, error: std::io::Error) -> EngineError {
    use std::io::ErrorKind;
    let message = format!("{doing} {path}: {error}");
    match error.kind() {
        ErrorKind::StorageFull => {
            EngineError::transient(message).hint("the disk is full; free some space and run again")
        }
        ErrorKind::NotFound => EngineError::config(message).hint("was the file moved or deleted just now?"),
        ErrorKind::PermissionDenied => EngineError::config(message).hint("may this user read and write there?"),
        ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof => EngineError::data(message),
        _ => EngineError::transient(message),
    }
    .caused_by(error)
}
