//! Rows of a load in a file of this machine, to be read several times.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::dataframe::DataFrame;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::{MemoryLimit, MemoryPool};
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use futures::StreamExt;
use headwater_engine::connector::LoadContext;
use headwater_engine::{EngineError, Result};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;
use uuid::Uuid;

use crate::conform::Caster;

/// Sorts of a merge at a time, with room for what is merged beside them.
const SORTS: usize = 32;

/// What a sort keeps back for its merge at most, in bytes.
const MOST_KEPT_BACK: usize = 10 << 20;

/// Folders of processes that were killed are removed after so long.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// How the folders are called.
const PREFIX: &str = "merge-";

/// Rows of a row group: so many are held until they are written.
const ROW_GROUP_ROWS: usize = 64 << 10;

/// Rows in a file, which is there as long as somebody holds them.
#[derive(Debug, Clone)]
pub(super) struct HeldRows {
    folder: Arc<TempDir>,
    file: PathBuf,
    pub rows: u64,
    /// Their size in memory, about.
    bytes: usize,
    schema: SchemaRef,
}

impl HeldRows {
    /// Takes all rows of a stream, each batch tested first.
    pub(super) async fn take(
        load: &LoadContext,
        input: SendableRecordBatchStream,
        caster: &Caster,
        test: impl Fn(&RecordBatch) -> Result<()>,
    ) -> Result<Self> {
        let spill = &load.sessions.config().spill_dir;
        let failed = |error: std::io::Error| EngineError::transient(format!("{}: {error}", spill.display()));
        tokio::fs::create_dir_all(spill).await.map_err(failed)?;
        sweep(spill);
        let folder = Arc::new(tempfile::Builder::new().prefix(PREFIX).tempdir_in(spill).map_err(failed)?);
        Self::fill(load, folder, input, caster, test).await
    }

    /// Stores the rows of a plan beside these.
    pub(super) async fn store(&self, load: &LoadContext, rows: DataFrame) -> Result<Self> {
        self.store_as(load, rows, Arc::clone(&self.schema)).await
    }

    /// The same in other columns.
    pub(super) async fn store_as(&self, load: &LoadContext, rows: DataFrame, schema: SchemaRef) -> Result<Self> {
        let rows = rows.execute_stream().await.map_err(EngineError::from)?;
        let caster = Caster::new(&rows.schema(), schema)?;
        Self::fill(load, Arc::clone(&self.folder), rows, &caster, |_| Ok(())).await
    }

    /// The largest of some.
    pub(super) fn largest<'a>(of: impl Iterator<Item = &'a Self>) -> Option<&'a Self> {
        of.max_by_key(|rows| rows.bytes)
    }

    async fn fill(
        load: &LoadContext,
        folder: Arc<TempDir>,
        mut input: SendableRecordBatchStream,
        caster: &Caster,
        test: impl Fn(&RecordBatch) -> Result<()>,
    ) -> Result<Self> {
        let mut writer = Writer::new(folder, caster.schema())?;
        let work = async {
            while let Some(batch) = input.next().await {
                let batch = caster.cast(&batch.map_err(EngineError::from)?)?;
                test(&batch)?;
                writer.write(&batch)?;
            }
            writer.finish()
        };
        let canceled = || EngineError::canceled("the run was canceled");
        load.cancel.run_until_cancelled(work).await.unwrap_or_else(|| Err(canceled()))
    }

    /// The rows as a table of a session.
    pub(super) async fn table(&self, session: &SessionContext) -> Result<DataFrame> {
        let options = ParquetReadOptions::default().schema(&self.schema);
        let path = self.file.to_string_lossy().into_owned();
        session.read_parquet(path, options).await.map_err(EngineError::from)
    }

    /// A session whose joins hash these rows if they take at most such a part of the memory, and sort both sides otherwise.
    pub(super) fn session(&self, load: &LoadContext, share: usize) -> Result<SessionContext> {
        let fits = match load.memory.memory_limit() {
            MemoryLimit::Finite(limit) => self.bytes <= limit / share,
            MemoryLimit::Infinite | MemoryLimit::Unknown => true,
        };
        let session = load.sessions.session(Arc::clone(&load.memory) as Arc<dyn MemoryPool>, fits)?;
        if let (false, MemoryLimit::Finite(limit)) = (fits, load.memory.memory_limit()) {
            // Several sorts share the memory, and each keeps something back for its merge.
            let state = session.state_ref();
            let mut state = state.write();
            let options = state.config_mut().options_mut();
            // In a single partition DataFusion hashes one side of each join, whatever is preferred.
            options.execution.target_partitions = 2;
            options.execution.sort_spill_reservation_bytes = (limit / SORTS).min(MOST_KEPT_BACK);
        }
        Ok(session)
    }
}

/// Removes what killed processes have left. Others may be at it too, and nothing depends on it.
fn sweep(spill: &Path) {
    let Ok(entries) = std::fs::read_dir(spill) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
        let age = entry.metadata().and_then(|found| found.modified()).ok().and_then(|time| time.elapsed().ok());
        if age.is_some_and(|age| age > ABANDONED) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

struct Writer {
    folder: Arc<TempDir>,
    file: PathBuf,
    parquet: ArrowWriter<std::fs::File>,
    schema: SchemaRef,
    rows: u64,
    bytes: usize,
}

impl Writer {
    fn new(folder: Arc<TempDir>, schema: SchemaRef) -> Result<Self> {
        let file = folder.path().join(format!("{}.parquet", Uuid::new_v4().simple()));
        let opened = std::fs::File::create(&file)
            .map_err(|error| EngineError::transient(format!("{}: {error}", file.display())).caused_by(error))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::LZ4_RAW)
            .set_dictionary_enabled(false)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let parquet = ArrowWriter::try_new(opened, Arc::clone(&schema), Some(properties)).map_err(failed)?;
        Ok(Self { folder, file, parquet, schema, rows: 0, bytes: 0 })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        self.bytes += crate::writers::size_of(batch);
        self.parquet.write(batch).map_err(failed)
    }

    fn finish(self) -> Result<HeldRows> {
        let Self { folder, file, parquet, schema, rows, bytes } = self;
        parquet.close().map_err(failed)?;
        Ok(HeldRows { folder, file, rows, bytes, schema })
    }
}

fn failed(error: parquet::errors::ParquetError) -> EngineError {
    EngineError::transient(format!("the rows of a merge can't be kept: {error}")).caused_by(error)
}
