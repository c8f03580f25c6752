//! Delta Lake tables.
//!
//! Reads: a fixed snapshot with partition pruning, file statistics and Parquet pushdown. `cursor: auto` reads what has come since a version: rows of files
//! that were added, and once rows were changed what the change data feed says, or for loads by keys the files that were written.
//! Writes: data files first, then one commit that holds them and `txn(hw/<load id>, attempt)`, so that a load commits once
//! whatever is retried. Rows that meet others by keys are merged by copying the files that hold them. An object store has to honour
//! conditional writes, which `connections check` proves. Columns that a load's contract adds are in the commit of its files.
//! Limits: tables with writer features that Headwater doesn't implement (column mapping, generated or identity columns,
//! constraints, change data feed, deletion vectors) are read and not written; columns keep their types.

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

use crate::{location, settings};

mod changes;
mod columns;
mod commit;
mod compact;
mod gone;
mod ground;
mod held;
mod history;
mod kept;
mod keys;
mod merge;
mod protocol;
mod search;
mod shape;
mod sink;
mod source;
mod table;
mod winners;
mod write;
mod writer;

use table::Location;

static SPEC: ConnectorSpec = ConnectorSpec {
    name: "delta",
    summary: "Delta Lake tables in a folder or an object store",
    location: "location",
    schemes: &["delta"],
    example: "type: delta\nlocation: \"s3://acme-lake/tables\"\noptions: { region: eu-central-1 }\n",
    reads: true,
    queries: false,
    rejects: false,
    writes: &[
        WriteMode::Append,
        WriteMode::Overwrite,
        WriteMode::Upsert,
        WriteMode::InsertNew,
        WriteMode::DeleteInsert,
        WriteMode::Scd2,
    ],
};

/// Settings of a `delta` connection.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The folder that holds the tables: `file:///srv/lake`, `s3://bucket/folder`, `gs://bucket/folder` or `az://container/folder`. A
    /// table's name is its path below it.
    location: String,
    /// Options of the object store. A local folder has none.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(with = "StoreOptions")]
    options: Map<String, Value>,
}

/// The connector.
#[derive(Debug)]
pub(crate) struct Delta;

impl Connector for Delta {
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
        Ok(Arc::new(DeltaConnection { name: name.to_owned(), location }))
    }
}

#[derive(Debug)]
struct DeltaConnection {
    name: String,
    location: location::Location,
}

impl DeltaConnection {
    /// A table that is read. Delta decodes addresses, so that a name with an escape would read another table.
    fn locate(&self, path: &[String]) -> Result<Location> {
        location::refuse_escapes(path)?;
        Location::new(&self.name, path, self.location.join(path)?)
    }

    async fn find(&self) -> Result<Vec<Vec<String>>> {
        search::tables(&self.location).await.map_err(|error| self.location.unreadable(&self.name, error))
    }
}

#[async_trait]
impl Connection for DeltaConnection {
    async fn check(&self) -> Result<Health> {
        let health = self.location.check(&self.name).await?;
        let tables = u64::try_from(self.find().await?.len()).unwrap_or(u64::MAX);
        Ok(Health { tables, ..health })
    }

    async fn catalog(&self, columns: bool) -> Result<Vec<TableInfo>> {
        let mut tables = Vec::new();
        for path in self.find().await? {
            let location = self.locate(&path)?;
            let Some(table) = location.open().await? else { continue };
            let described = match columns {
                true => column_infos(table::arrow_schema(&table)?.as_ref()),
                false => Vec::new(),
            };
            tables.push(TableInfo {
                path,
                kind: "table".to_owned(),
                rows: table::row_count(&table),
                comment: table.snapshot().ok().and_then(|state| state.metadata().description().map(str::to_owned)),
                columns: described,
                ..TableInfo::default()
            });
        }
        Ok(tables)
    }

    async fn source(&self, request: &SourceRequest) -> Result<Source> {
        let SourceObject::Table(path) = &request.object else {
            return Err(EngineError::config(format!("connection '{}' can't run queries", self.name))
                .hint("read a table with `from`, and filter it in a transform"));
        };
        let location = self.locate(path)?;
        let found = match &request.cursor {
            None => location.provider().await?.into(),
            Some(cursor) => source::open_new(&location, cursor).await?,
        };
        let table = headwater_engine::select::columns(found.table, request.columns.as_ref(), &location.label)?;
        Ok(Source { table, ..found })
    }

    async fn sink(&self, request: &SinkRequest) -> Result<Arc<dyn Sink>> {
        let location = Location::new(&self.name, &request.path, self.location.join_new(&request.path)?)?;
        Ok(Arc::new(sink::DeltaSink::new(location, request)?))
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
        comment: field.metadata().get("comment").cloned(),
    };
    schema.fields().iter().map(info).collect()
}
