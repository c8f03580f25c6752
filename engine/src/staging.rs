//! Datasets that several stages read: materialised once as Parquet, sealed by a manifest.
//!
//! Files live under run/stage/attempt token/, so that attempts never share a path; the manifest travels in the finish of
//! the attempt, and readers open what it names and nothing else.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::execution::SendableRecordBatchStream;
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::arrow::AsyncArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use url::Url;

use crate::error::{EngineError, Result};
use crate::job::{Manifest, ManifestFile, StageJob};

/// A file is closed once it has grown to this many bytes.
const FILE_BYTES: usize = 128 << 20;

/// A row group in progress is kept in memory, so it is bounded.
const ROW_GROUP_ROWS: usize = 128 * 1024;

/// Writes a stream to the run's staging area.
pub(crate) async fn write(job: &StageJob, task: &str, mut input: SendableRecordBatchStream) -> Result<Manifest> {
    let schema = input.schema();
    let folder = folder(job)?;
    let (store, root) = open(&folder)?;
    let mut files = Vec::new();
    let mut writer: Option<(Url, AsyncArrowWriter<BufWriter>, u64)> = None;
    while let Some(batch) = input.try_next().await? {
        if batch.num_rows() == 0 {
            continue;
        }
        let (url, mut open_writer, rows) = match writer.take() {
            Some(writer) => writer,
            None => new_file(&folder, &root, &store, files.len(), &schema)?,
        };
        open_writer.write(&batch).await.map_err(|error| failed(&url, error))?;
        let rows = rows + batch.num_rows() as u64;
        if open_writer.bytes_written() >= FILE_BYTES {
            files.push(seal(url, open_writer, rows).await?);
        } else {
            writer = Some((url, open_writer, rows));
        }
    }
    if let Some((url, open_writer, rows)) = writer {
        files.push(seal(url, open_writer, rows).await?);
    }
    let host = (folder.scheme() == "file").then(crate::host_name);
    Ok(Manifest { task: task.to_owned(), files, schema: schema_to_json(&schema)?, host })
}

/// The dataset of a manifest as a table.
pub(crate) fn table(manifest: &Manifest) -> Result<Arc<dyn TableProvider>> {
    let schema = schema_from_json(&manifest.schema)?;
    if manifest.files.is_empty() {
        return Ok(Arc::new(EmptyTable::new(schema)));
    }
    let urls = manifest.files.iter().map(|file| Ok(ListingTableUrl::parse(&file.url)?)).collect::<Result<Vec<_>>>()?;
    let options = ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension(".parquet");
    let config = ListingTableConfig::new_with_multi_paths(urls).with_listing_options(options).with_schema(schema);
    Ok(Arc::new(ListingTable::try_new(config)?))
}

/// Removes what an attempt wrote. What can't be removed now is swept with the run.
pub(crate) async fn discard(job: &StageJob) {
    if let Ok(folder) = folder(job)
        && folder.scheme() == "file"
        && let Ok(path) = folder.to_file_path()
        && let Err(error) = tokio::fs::remove_dir_all(&path).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "staged files of a failed attempt could not be removed");
    }
}

fn folder(job: &StageJob) -> Result<Url> {
    let mut base = job.staging.clone();
    base.path_segments_mut()
        .map_err(|()| EngineError::config(format!("the staging area '{}' is not a folder", job.staging)))?
        .pop_if_empty()
        .extend([job.run.run_id.to_string().as_str(), job.stage.as_str(), job.token.to_string().as_str()]);
    Ok(base)
}

fn open(folder: &Url) -> Result<(Arc<dyn ObjectStore>, Path)> {
    if folder.scheme() != "file" {
        return Err(EngineError::config(format!("a staging area on '{}://' can't be used yet", folder.scheme())));
    }
    let (store, path) = object_store::parse_url(folder)
        .map_err(|error| EngineError::config(format!("the staging area '{folder}' can't be opened: {error}")))?;
    Ok((Arc::from(store), path))
}

type OpenFile = (Url, AsyncArrowWriter<BufWriter>, u64);

fn new_file(
    folder: &Url,
    root: &Path,
    store: &Arc<dyn ObjectStore>,
    index: usize,
    schema: &SchemaRef,
) -> Result<OpenFile> {
    let name = format!("part-{index:05}.parquet");
    let url = Url::parse(&format!("{folder}/{name}"))
        .map_err(|error| EngineError::bug("a staged file has no address").caused_by(error))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .build();
    let sink = BufWriter::new(Arc::clone(store), root.clone().join(name.as_str()));
    let writer =
        AsyncArrowWriter::try_new(sink, Arc::clone(schema), Some(properties)).map_err(|error| failed(&url, error))?;
    Ok((url, writer, 0))
}

async fn seal(url: Url, writer: AsyncArrowWriter<BufWriter>, rows: u64) -> Result<ManifestFile> {
    let mut writer = writer;
    writer.finish().await.map_err(|error| failed(&url, error))?;
    Ok(ManifestFile { bytes: writer.bytes_written() as u64, url: url.into(), rows })
}

fn failed(url: &Url, error: parquet::errors::ParquetError) -> EngineError {
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
