//! Writing data files, in parallel and in bounded memory, before anything is committed.

use std::collections::HashSet;
use std::num::NonZeroU64;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, SortField};
use datafusion::execution::SendableRecordBatchStream;
use deltalake::DeltaTable;
use deltalake::datafile::writer::{DeltaWriter, WriterConfig};
use deltalake::kernel::Add;
use deltalake::logstore::ObjectStoreRef;
use deltalake::table::state::DeltaTableState;
use futures::StreamExt;
use headwater_engine::connector::LoadContext;
use headwater_engine::{EngineError, Result};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::table::Location;
use crate::conform::Caster;

/// A file is closed at this size: large enough to scan well, small enough to be pruned and rewritten.
const FILE_BYTES: u64 = 192 << 20;

/// A row group's encoded size; what a writer holds in memory until it is written.
const ROW_GROUP_BYTES: usize = 12 << 20;

/// Rows of a row group at most.
const ROW_GROUP_ROWS: usize = 1 << 20;

/// What one writer is reckoned to hold: its row group, the pages and dictionaries in work, the upload's buffer.
const WRITER_MEMORY: usize = 48 << 20;

/// More writers than this gain nothing on one disk.
const MOST_WRITERS: usize = 2;

/// Each open partition value holds a row group in work.
const MOST_PARTITIONS: usize = 500;

/// Batches that may wait for a writer.
const WAITING_BATCHES: usize = 2;

/// What the files of a table look like.
pub(super) struct Layout {
    /// The table's columns in Arrow types.
    pub schema: SchemaRef,
    pub partition_by: Vec<String>,
    config: WriterConfig,
}

impl Layout {
    /// The layout of a table's files, or, without a table, of one that is to be made.
    pub(super) fn new(table: Option<&DeltaTable>, schema: SchemaRef, partition_by: Vec<String>) -> Result<Self> {
        let config = config(table, &schema, &partition_by)?;
        Ok(Self { schema, partition_by, config })
    }
}

/// Files that no commit names yet.
#[derive(Debug)]
pub(super) struct Written {
    pub rows: u64,
    pub adds: Vec<Add>,
}

/// Writes all rows of the input into files of the table, which need not be there yet.
pub(super) async fn files(
    location: &Location,
    layout: &Layout,
    load: &LoadContext,
    input: SendableRecordBatchStream,
) -> Result<Written> {
    let Layout { schema, partition_by, config } = layout;
    let store = location.store()?;
    let caster = Caster::new(&input.schema(), std::sync::Arc::clone(schema))?;
    // A partitioned table has one writer, so that each value's rows end up in few files.
    let wanted = if partition_by.is_empty() { parallelism() } else { 1 };
    let (writers, _memory) = crate::writers::reserve(load, wanted, WRITER_MEMORY).await?;
    let mut tasks = JoinSet::new();
    let mut inputs = Vec::new();
    for _ in 0..writers {
        let (sender, receiver) = mpsc::channel(WAITING_BATCHES);
        let writer = DeltaWriter::new(store.clone(), config.clone());
        tasks.spawn(drain(writer, receiver));
        inputs.push(sender);
    }
    let partitions = Partitions::new(schema, partition_by)?;
    let fed = load.cancel.run_until_cancelled(feed(input, &caster, partitions, inputs)).await;
    let fed = fed.unwrap_or_else(|| Err(EngineError::canceled(format!("writing {} was canceled", location.label))));
    let mut adds = Vec::new();
    let mut failure = fed.as_ref().err().is_some().then_some(());
    let mut write_error = None;
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(Ok(files)) => adds.extend(files),
            Ok(Err(error)) => write_error = Some(location.failed("writing", error)),
            Err(error) => {
                write_error = Some(EngineError::bug(format!("a writer of {} ended: {error}", location.label)))
            }
        }
    }
    if write_error.is_some() {
        failure = Some(());
    }
    if failure.is_some() {
        remove(&store, &adds).await;
    }
    // A writer that failed closes its channel, so that the feed's error is only its consequence.
    match (write_error, fed) {
        (Some(error), _) | (None, Err(error)) => Err(error),
        (None, Ok(rows)) => Ok(Written { rows, adds }),
    }
}

/// Deletes files that will never be committed. What can't be deleted is an orphan for vacuum.
pub(super) async fn remove(store: &ObjectStoreRef, adds: &[Add]) {
    use object_store::ObjectStoreExt as _;
    for add in adds {
        let Ok(path) = deltalake::Path::from_url_path(&add.path) else { continue };
        if let Err(error) = store.delete(&path).await {
            tracing::debug!(path = add.path, %error, "a file that was not committed could not be deleted");
        }
    }
}

fn parallelism() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(MOST_WRITERS)
}

fn config(table: Option<&DeltaTable>, schema: &SchemaRef, partition_by: &[String]) -> Result<WriterConfig> {
    let state = table.map(DeltaTable::snapshot).transpose().map_err(|error| EngineError::bug(error.to_string()))?;
    let properties = state.map(DeltaTableState::table_config);
    let writer = crate::writers::parquet(ROW_GROUP_BYTES)?.set_max_row_group_row_count(Some(ROW_GROUP_ROWS)).build();
    Ok(WriterConfig::new(
        std::sync::Arc::clone(schema),
        partition_by.to_vec(),
        Some(writer),
        NonZeroU64::new(FILE_BYTES),
        None,
        properties.and_then(|properties| properties.data_skipping_num_indexed_cols).unwrap_or_default(),
        properties
            .and_then(|properties| properties.data_skipping_stats_columns.as_ref())
            .map(|columns| columns.iter().map(ToString::to_string).collect()),
    ))
}

/// Hands batches to whichever writer is free next; returns the rows.
async fn feed(
    mut input: SendableRecordBatchStream,
    caster: &Caster,
    mut partitions: Partitions,
    writers: Vec<mpsc::Sender<RecordBatch>>,
) -> Result<u64> {
    let mut rows = 0;
    let mut next = 0;
    while let Some(batch) = input.next().await {
        let batch = batch.map_err(EngineError::from)?;
        if batch.num_rows() == 0 {
            continue;
        }
        rows += u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
        let batch = caster.cast(&batch)?;
        partitions.count(&batch)?;
        next = (next + 1) % writers.len();
        let chosen =
            (0..writers.len()).map(|step| (next + step) % writers.len()).find(|index| writers[*index].capacity() > 0);
        if writers[chosen.unwrap_or(next)].send(batch).await.is_err() {
            return Err(EngineError::transient("a writer ended early"));
        }
    }
    Ok(rows)
}

async fn drain(mut writer: DeltaWriter, mut batches: mpsc::Receiver<RecordBatch>) -> deltalake::DeltaResult<Vec<Add>> {
    while let Some(batch) = batches.recv().await {
        if let Err(error) = writer.write(&batch).await {
            // The first error is the one to report.
            let _ = writer.abort().await;
            return Err(error);
        }
    }
    writer.close().await
}

/// Counts the distinct partition values.
struct Partitions {
    columns: Vec<usize>,
    converter: Option<RowConverter>,
    seen: HashSet<Vec<u8>>,
    names: String,
}

impl Partitions {
    fn new(schema: &SchemaRef, partition_by: &[String]) -> Result<Self> {
        let columns = partition_by.iter().map(|name| schema.index_of(name).map_err(|_| no_column(name)));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let fields = columns.iter().map(|index| SortField::new(schema.field(*index).data_type().clone())).collect();
        let converter = match columns.is_empty() {
            true => None,
            false => Some(RowConverter::new(fields).map_err(|error| {
                EngineError::config(format!("a table can't be partitioned by {}: {error}", partition_by.join(", ")))
            })?),
        };
        Ok(Self { columns, converter, seen: HashSet::new(), names: partition_by.join(", ") })
    }

    fn count(&mut self, batch: &RecordBatch) -> Result<()> {
        let Some(converter) = &self.converter else { return Ok(()) };
        let columns: Vec<_> = self.columns.iter().map(|index| std::sync::Arc::clone(batch.column(*index))).collect();
        let rows = converter.convert_columns(&columns).map_err(|error| EngineError::bug(error.to_string()))?;
        for row in &rows {
            if !self.seen.contains(row.as_ref()) {
                self.seen.insert(row.as_ref().to_vec());
            }
        }
        if self.seen.len() > MOST_PARTITIONS {
            return Err(EngineError::config(format!(
                "the load has more than {MOST_PARTITIONS} values of its partition columns {}",
                self.names
            ))
            .hint("partition by a column with few values, e.g. a month instead of a timestamp"));
        }
        Ok(())
    }
}

pub(super) fn no_column(name: &str) -> EngineError {
    EngineError::config(format!("the partition column {name} is not a column of the dataset"))
}
