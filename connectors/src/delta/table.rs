//! Opening tables and reading them.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use deltalake::delta_datafusion::{DeltaScanConfig, DeltaScanNext};
use deltalake::kernel::engine::arrow_conversion::{TryIntoArrow, TryIntoKernel};
use deltalake::kernel::{Add, StructField, StructType};
use deltalake::logstore::{LogStoreRef, ObjectStoreRef, StorageConfig, default_logstore};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::SaveMode;
use deltalake::{DeltaTable, DeltaTableBuilder, DeltaTableError, TableProperty};
use futures::TryStreamExt;
use headwater_engine::stores::{Store, registered};
use headwater_engine::{EngineError, ErrorKind, Result};
use object_store::ObjectStore;
use object_store::prefix::PrefixStore;
use percent_encoding::percent_decode_str;
use url::Url;

use crate::location;

/// How long a table remembers which loads it holds; no retry is older than half of it.
const REMEMBER_LOADS: &str = "interval 7 days";

/// The folder that makes a folder a table.
pub(super) const LOG: &str = "_delta_log";

/// Where a table is.
#[derive(Debug, Clone)]
pub(super) struct Location {
    /// `connection.path`, for messages.
    pub label: String,
    place: location::Location,
    /// The place's address for Delta.
    url: Url,
}

impl Location {
    pub(super) fn new(connection: &str, path: &[String], place: location::Location) -> Result<Self> {
        let label = format!("{connection}.{}", path.join("."));
        let url = match &place {
            location::Location::Folder(folder) => Url::from_directory_path(folder)
                .map_err(|()| EngineError::config(format!("{} is not an absolute path", folder.display())))?,
            location::Location::Store(store) => store.session_url(),
        };
        Ok(Self { label, place, url })
    }

    /// Whether it is a folder of a local disk.
    pub(super) fn is_folder(&self) -> bool {
        matches!(self.place, location::Location::Folder(_))
    }

    /// The table at its latest version, if there is one.
    pub(super) async fn open(&self) -> Result<Option<DeltaTable>> {
        if !self.has_log().await? {
            return Ok(None);
        }
        let mut table = self.handle()?;
        match table.load().await {
            Ok(()) => Ok(Some(table)),
            Err(DeltaTableError::NotATable(_)) => Ok(None),
            Err(error) => Err(self.failed("opening", error)),
        }
    }

    async fn has_log(&self) -> Result<bool> {
        match &self.place {
            location::Location::Folder(folder) => Ok(tokio::fs::try_exists(folder.join(LOG)).await.unwrap_or(false)),
            location::Location::Store(store) => {
                let found = store.objects().list(Some(&store.below(LOG)?)).try_next().await;
                found.map(|first| first.is_some()).map_err(|error| store.failed("opening the Delta table in", error))
            }
        }
    }

    fn handle(&self) -> Result<DeltaTable> {
        let failed = |error| self.failed("opening", error);
        match &self.place {
            location::Location::Folder(_) => {
                DeltaTableBuilder::from_url(self.url.clone()).and_then(DeltaTableBuilder::build).map_err(failed)
            }
            location::Location::Store(store) => Ok(DeltaTable::new(self.logs(store))),
        }
    }

    /// Delta's log over our own client: its commits are put if absent.
    fn logs(&self, store: &Store) -> LogStoreRef {
        let root = Arc::clone(store.objects());
        let prefixed: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(Arc::clone(&root), store.path().clone()));
        default_logstore(prefixed, root, &self.url, &StorageConfig::default())
    }

    /// Where the data files are.
    pub(super) fn store(&self) -> Result<ObjectStoreRef> {
        Ok(self.handle()?.log_store().object_store(None))
    }

    /// Makes the table, with no rows. Of several that make it at once, one wins; what it made is judged at the commit.
    pub(super) async fn create(&self, schema: &SchemaRef, partition_by: &[String]) -> Result<()> {
        if let location::Location::Folder(folder) = &self.place {
            tokio::fs::create_dir_all(folder).await.map_err(|error| {
                EngineError::config(format!("{} can't be made: {error}", folder.display())).caused_by(error)
            })?;
        }
        CreateBuilder::new()
            .with_log_store(self.handle()?.log_store())
            .with_columns(columns(schema)?)
            .with_partition_columns(partition_by.iter().cloned())
            .with_configuration_property(TableProperty::SetTransactionRetentionDuration, Some(REMEMBER_LOADS))
            .with_save_mode(SaveMode::Ignore)
            .await
            .map_err(|error| self.failed("making", error))?;
        Ok(())
    }

    /// The table's latest version as a lazy table with plain types.
    pub(super) async fn provider(&self) -> Result<Arc<dyn TableProvider>> {
        self.all(&self.existing().await?)
    }

    /// The table at its latest version, which has to be there.
    pub(super) async fn existing(&self) -> Result<DeltaTable> {
        self.open().await?.ok_or_else(|| {
            EngineError::config(format!("there is no Delta table {} in {}", self.label, self.place))
                .hint("`headwater connections catalog` lists the tables; a load makes its table")
        })
    }

    /// The table at an earlier version.
    pub(super) async fn at_version(&self, version: u64) -> Result<DeltaTable> {
        let mut table = self.handle()?;
        table.load_version(version).await.map_err(|error| self.failed("opening", error))?;
        Ok(table)
    }

    /// All rows of a version as a lazy table with plain types.
    pub(super) fn all(&self, table: &DeltaTable) -> Result<Arc<dyn TableProvider>> {
        Ok(self.readable(self.scan(table, None)?))
    }

    /// The rows of files of a version, as its log names them.
    pub(super) fn added_files(&self, table: &DeltaTable, files: Vec<Add>) -> Result<Arc<dyn TableProvider>> {
        Ok(self.readable(self.scan(table, None)?.with_adds(files)))
    }

    /// Some files of the table as a lazy table, if need be with a column that says which file a row is in.
    pub(super) fn some_files(
        &self,
        table: &DeltaTable,
        paths: &[String],
        file_column: Option<&str>,
    ) -> Result<Arc<dyn TableProvider>> {
        let urls = paths.iter().map(|path| self.url_of(path)).collect::<Result<Vec<_>>>()?;
        Ok(self.readable(self.scan(table, file_column)?.with_file_paths(urls)))
    }

    fn scan(&self, table: &DeltaTable, file_column: Option<&str>) -> Result<DeltaScanNext> {
        let snapshot = table.snapshot().map_err(|error| self.failed("reading", error))?.snapshot().clone();
        let config = DeltaScanConfig {
            wrap_partition_values: false,
            schema_force_view_types: false,
            file_column_name: file_column.map(str::to_owned),
            ..DeltaScanConfig::new()
        };
        DeltaScanNext::new(Arc::new(snapshot), config).map_err(EngineError::from)
    }

    fn readable(&self, scan: DeltaScanNext) -> Arc<dyn TableProvider> {
        let scan: Arc<dyn TableProvider> = Arc::new(scan);
        match &self.place {
            location::Location::Folder(_) => scan,
            location::Location::Store(store) => registered(scan, store),
        }
    }

    /// The path below the table of a file's address.
    pub(super) fn path_of(&self, url: &str) -> Result<String> {
        let below = url.strip_prefix(self.url.as_str()).map(|path| path.trim_start_matches('/'));
        let below = below.ok_or_else(|| EngineError::bug(format!("a file of {} is not below it", self.label)))?;
        Ok(percent_decode_str(below).decode_utf8_lossy().into_owned())
    }

    /// The address of a file of the table.
    fn url_of(&self, path: &str) -> Result<String> {
        let mut url = self.url.clone();
        let mut parts = url
            .path_segments_mut()
            .map_err(|()| EngineError::bug(format!("the address of {} has no path", self.label)))?;
        parts.pop_if_empty().extend(path.split('/'));
        drop(parts);
        Ok(url.into())
    }

    /// Puts an error of the table into words.
    pub(super) fn failed(&self, doing: &str, error: DeltaTableError) -> EngineError {
        let kind = match &error {
            DeltaTableError::ObjectStore { .. } | DeltaTableError::Io { .. } => ErrorKind::Transient,
            DeltaTableError::Transaction { .. } => ErrorKind::Conflict,
            DeltaTableError::Arrow { .. } | DeltaTableError::Parquet { .. } => ErrorKind::Data,
            _ => ErrorKind::Config,
        };
        // The address that Delta was given is not the one that users know.
        let text = error.to_string().replace(self.url.as_str(), &format!("{}/", self.place));
        let full = text.contains("No space left");
        let failed = EngineError::new(kind, format!("{doing} the Delta table {}: {text}", self.label)).caused_by(error);
        if full { failed.hint("the disk is full; free some space and run again") } else { failed }
    }
}

/// The columns as Delta describes them.
pub(super) fn columns(schema: &Schema) -> Result<Vec<StructField>> {
    let column = |field: &Arc<Field>| {
        let column: std::result::Result<StructField, _> = field.as_ref().try_into_kernel();
        column.map_err(|error| EngineError::config(format!("column {}: {error}", field.name())))
    };
    schema.fields().iter().map(column).collect()
}

/// The schema that a table made with this one will have.
pub(super) fn as_stored(schema: &Schema) -> Result<SchemaRef> {
    let bug = |error: String| EngineError::bug(format!("a new table's schema: {error}"));
    let stored = StructType::try_new(columns(schema)?).map_err(|error| bug(error.to_string()))?;
    let stored: Schema = (&stored).try_into_arrow().map_err(|error| bug(error.to_string()))?;
    Ok(Arc::new(stored))
}

/// The table's schema in Arrow's plain types.
pub(super) fn arrow_schema(table: &DeltaTable) -> Result<SchemaRef> {
    let state = table.snapshot().map_err(|error| EngineError::bug(error.to_string()))?;
    Ok(state.snapshot().arrow_schema())
}

/// Rows by the files' statistics, if all have them.
pub(super) fn row_count(table: &DeltaTable) -> Option<u64> {
    let state = table.snapshot().ok()?;
    let log = state.snapshot().try_log_data().ok()?;
    log.iter().map(|file| file.num_records().and_then(|rows| u64::try_from(rows).ok())).sum()
}
