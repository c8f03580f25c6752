//! Datasets that several stages read: materialised once as Parquet, sealed by a manifest.
//!
//! Files live under installation/run/stage/attempt token/, so that neither installations nor attempts share a path; the manifest travels in the finish
//! of the attempt, and readers open what it names and nothing else. On a local folder that pins the rest of the run to its host; in an object store any
//! worker can read them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use chrono::{DateTime, Utc};
use datafusion::catalog::TableProvider;
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::execution::SendableRecordBatchStream;
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::AsyncArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

use crate::error::{EngineError, ErrorKind, Result};
use crate::job::{Manifest, ManifestFile, StageJob};
use crate::stores::{self, Store, registered};

/// A file is closed once it has grown to this many bytes.
const FILE_BYTES: usize = 128 << 20;

/// A row group in progress is kept in memory, so it is bounded.
const ROW_GROUP_ROWS: usize = 128 * 1024;

/// Files of a manifest that are looked at together.
const LOOKS: usize = 16;

/// Where the runs of a process stage their datasets. All workers of a queue need the same one.
#[derive(Debug, Clone)]
pub struct StagingArea {
    url: Url,
    /// Set unless it is a local folder.
    store: Option<Store>,
    /// Whose files are staged: others may use the same folder.
    installation: Uuid,
}

impl StagingArea {
    /// Opens `file:///…`, `s3://…`, `gs://…` or `az://…`, without touching the network.
    pub fn open(url: &Url, options: &Map<String, Value>) -> Result<Self> {
        let store = match url.scheme() {
            "file" => None,
            _ => Some(stores::open("staging", url, options)?),
        };
        Ok(Self { url: url.clone(), store, installation: Uuid::nil() })
    }

    /// Its address.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The part of it that belongs to an installation.
    #[must_use]
    pub fn of_installation(self, installation: Uuid) -> Self {
        Self { installation, ..self }
    }

    /// Removes everything that was staged for a run.
    pub async fn remove_run(&self, run_id: Uuid) -> Result<()> {
        let run = run_id.to_string();
        // Earlier versions staged without the installation's folder.
        for folder in [self.folder_of(&[&self.installation.to_string(), &run])?, self.folder_of(&[&run])?] {
            folder.clear().await.map_err(|error| {
                EngineError::transient(format!("staged files in '{}' can't be removed: {error}", folder.shown))
                    .caused_by(error)
            })?;
        }
        Ok(())
    }

    /// The runs of the installation that something is staged for, with the time of the newest file.
    pub async fn staged_runs(&self) -> Result<BTreeMap<Uuid, DateTime<Utc>>> {
        let root = self.folder_of(&[&self.installation.to_string()])?;
        let mut runs: BTreeMap<Uuid, DateTime<Utc>> = BTreeMap::new();
        let mut files = root.objects.list(Some(&root.path));
        while let Some(file) = files.next().await {
            let file = file.map_err(|error| {
                EngineError::transient(format!("staged files in '{}' can't be listed: {error}", root.shown))
                    .caused_by(error)
            })?;
            let below = file.location.prefix_match(&root.path).and_then(|mut parts| parts.next());
            let Some(run) = below.and_then(|part| part.as_ref().parse().ok()) else { continue };
            let newest = runs.entry(run).or_insert(file.last_modified);
            *newest = file.last_modified.max(*newest);
        }
        Ok(runs)
    }

    /// The folder of an attempt.
    fn folder(&self, job: &StageJob) -> Result<Folder> {
        let names = [self.installation, job.run.run_id, job.token].map(|id| id.to_string());
        self.folder_of(&[&names[0], &names[1], &job.stage, &names[2]])
    }

    fn folder_of(&self, names: &[&str]) -> Result<Folder> {
        if let Some(store) = &self.store {
            let folder = store.join(&names.join("/"))?;
            return Ok(Folder {
                objects: Arc::clone(folder.objects()),
                path: folder.path().clone(),
                shown: folder.to_string(),
            });
        }
        let mut url = self.url.clone();
        url.path_segments_mut()
            .map_err(|()| EngineError::config(format!("the staging area '{}' is not a folder", self.url)))?
            .pop_if_empty()
            .extend(names);
        let path = Path::from_url_path(url.path())
            .map_err(|error| EngineError::config(format!("the staging area '{url}' can't be opened: {error}")))?;
        Ok(Folder {
            objects: Arc::new(LocalFileSystem::new().with_automatic_cleanup(true)),
            path,
            shown: url.to_string(),
        })
    }

    /// Finds a file of a manifest again. A listing would pass over one that is missing, and the dataset would be read without its rows.
    async fn find(&self, file: &ManifestFile) -> Result<ListingTableUrl> {
        let (objects, path, url): (Arc<dyn ObjectStore>, _, _) = match &self.store {
            Some(store) if !file.url.starts_with("file:") => {
                let name = file.url.strip_prefix(&format!("{store}/")).ok_or_else(|| {
                    EngineError::config(format!("'{}' is staged elsewhere: this worker stages in {store}", file.url))
                        .hint("give all workers the same `staging`, then run everything again")
                })?;
                let path = store.below(name)?;
                let url = ListingTableUrl::try_new(store.session_url_of(&path), None)?;
                (Arc::clone(store.objects()), path, url)
            }
            _ => {
                let url = ListingTableUrl::parse(&file.url)?;
                (Arc::new(LocalFileSystem::new()), url.prefix().clone(), url)
            }
        };
        match objects.head(&path).await {
            Ok(found) if found.size == file.bytes => Ok(url),
            Ok(found) => {
                Err(gone(format!("'{}' has {} bytes and was written with {}", file.url, found.size, file.bytes)))
            }
            Err(object_store::Error::NotFound { .. }) => Err(gone(format!("'{}' is not there", file.url))),
            Err(error) => {
                Err(EngineError::transient(format!("the staged file '{}' can't be read", file.url)).caused_by(error))
            }
        }
    }
}

fn gone(what: String) -> EngineError {
    EngineError::new(ErrorKind::Gone, format!("a staged file is gone: {what}"))
        .hint("rerun the run from its failure: the dataset is made again")
}

/// An attempt's folder.
struct Folder {
    objects: Arc<dyn ObjectStore>,
    path: Path,
    /// Its address, which a manifest keeps.
    shown: String,
}

impl Folder {
    /// Removes all files below it.
    async fn clear(&self) -> object_store::Result<()> {
        let staged = self.objects.list(Some(&self.path)).map_ok(|object| object.location).boxed();
        self.objects.delete_stream(staged).try_collect::<Vec<Path>>().await.map(drop)
    }
}

/// Writes a stream to the run's staging area. Whatever was begun is removed if it fails or is canceled.
pub(crate) async fn write(
    job: &StageJob,
    task: &str,
    input: SendableRecordBatchStream,
    cancel: &CancellationToken,
) -> Result<Manifest> {
    let schema = input.schema();
    let mut files =
        Files { folder: job.staging.folder(job)?, schema: Arc::clone(&schema), sealed: Vec::new(), open: None };
    let written = cancel.run_until_cancelled(files.write(input)).await;
    match written.unwrap_or_else(|| Err(EngineError::canceled("the run was canceled"))) {
        Ok(()) => {}
        Err(error) => {
            files.abort().await;
            return Err(error);
        }
    }
    let host = job.staging.store.is_none().then(crate::host_name);
    Ok(Manifest { task: task.into(), files: files.sealed, schema: schema_to_json(&schema)?, host })
}

/// The dataset of a manifest as a table, once each of its files has been found whole.
pub(crate) async fn table(area: &StagingArea, manifest: &Manifest) -> Result<Arc<dyn TableProvider>> {
    let schema = schema_from_json(&manifest.schema)?;
    if manifest.files.is_empty() {
        return Ok(Arc::new(EmptyTable::new(schema)));
    }
    let looks: Vec<_> = manifest.files.iter().map(|file| area.find(file).boxed()).collect();
    let urls = futures::stream::iter(looks).buffered(LOOKS).try_collect().await?;
    let options = ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension(".parquet");
    let config = ListingTableConfig::new_with_multi_paths(urls).with_listing_options(options).with_schema(schema);
    let table: Arc<dyn TableProvider> = Arc::new(ListingTable::try_new(config)?);
    Ok(match &area.store {
        Some(store) => registered(table, store),
        None => table,
    })
}

/// Removes what an attempt wrote. What can't be removed now is swept with the run.
pub(crate) async fn discard(job: &StageJob) {
    let Ok(folder) = job.staging.folder(job) else { return };
    if let Err(error) = folder.clear().await {
        tracing::warn!(folder = folder.shown, %error, "staged files of a failed attempt could not be removed");
    }
}

/// The files of an attempt, one after the other.
struct Files {
    folder: Folder,
    schema: SchemaRef,
    sealed: Vec<ManifestFile>,
    open: Option<OpenFile>,
}

struct OpenFile {
    url: String,
    writer: AsyncArrowWriter<BufWriter>,
    rows: u64,
}

impl Files {
    async fn write(&mut self, mut input: SendableRecordBatchStream) -> Result<()> {
        while let Some(batch) = input.try_next().await? {
            if batch.num_rows() == 0 {
                continue;
            }
            let file = match &mut self.open {
                Some(file) => file,
                none => none.insert(new_file(&self.folder, self.sealed.len(), &self.schema)?),
            };
            file.writer.write(&batch).await.map_err(|error| failed(&file.url, error))?;
            file.rows += batch.num_rows() as u64;
            if file.writer.bytes_written() >= FILE_BYTES {
                self.seal().await?;
            }
        }
        self.seal().await
    }

    async fn seal(&mut self) -> Result<()> {
        let Some(OpenFile { url, mut writer, rows }) = self.open.take() else { return Ok(()) };
        writer.finish().await.map_err(|error| failed(&url, error))?;
        self.sealed.push(ManifestFile { bytes: writer.bytes_written() as u64, url, rows });
        Ok(())
    }

    /// Ends an upload that is not complete, which a store would keep.
    async fn abort(&mut self) {
        if let Some(file) = self.open.take()
            && let Err(error) = file.writer.into_inner().abort().await
        {
            tracing::debug!(file = file.url, %error, "an upload of a failed attempt could not be ended");
        }
    }
}

fn new_file(folder: &Folder, index: usize, schema: &SchemaRef) -> Result<OpenFile> {
    let name = format!("part-{index:05}.parquet");
    let url = format!("{}/{name}", folder.shown);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .build();
    let sink = BufWriter::new(Arc::clone(&folder.objects), folder.path.clone().join(name.as_str()));
    let writer =
        AsyncArrowWriter::try_new(sink, Arc::clone(schema), Some(properties)).map_err(|error| failed(&url, error))?;
    Ok(OpenFile { url, writer, rows: 0 })
}

fn failed(url: &str, error: parquet::errors::ParquetError) -> EngineError {
    EngineError::transient(format!("staging to '{url}' failed: {error}"))
        .hint("check that the staging area has space and can be written")
        .caused_by(error)
}

/// An Arrow schema as Arrow's own IPC message in hexadecimal: JSON has no standard form that keeps metadata and time zones.
fn schema_to_json(schema: &Schema) -> Result<serde_json::Value> {
    let broken =
        |error: arrow::error::ArrowError| EngineError::bug("a schema can't be written to a manifest").caused_by(error);
    let mut writer = arrow::ipc::writer::StreamWriter::try_new(Vec::new(), schema).map_err(broken)?;
    writer.finish().map_err(broken)?;
    let bytes = writer.into_inner().map_err(broken)?;
    Ok(serde_json::Value::String(hex::encode(bytes)))
}

fn schema_from_json(value: &serde_json::Value) -> Result<SchemaRef> {
    let broken = || EngineError::bug("a manifest's schema can't be read");
    let text = value.as_str().ok_or_else(broken)?;
    let bytes = hex::decode(text).map_err(|error| broken().caused_by(error))?;
    let reader =
        arrow::ipc::reader::StreamReader::try_new(bytes.as_slice(), None).map_err(|error| broken().caused_by(error))?;
    Ok(reader.schema())
}
