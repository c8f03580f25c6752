//! Writing data files, in parallel and in bounded memory, before anything is committed.

use std::num::NonZeroU64;

use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use deltalake::DeltaTable;
use deltalake::datafile::writer::WriterConfig;
use deltalake::kernel::Add;
use deltalake::logstore::ObjectStoreRef;
use deltalake::table::state::DeltaTableState;
use headwater_engine::connector::LoadContext;
use headwater_engine::{EngineError, Result};
use tokio::task::JoinSet;

use super::table::Location;
use super::writer::{self, FILE_BYTES, WRITER_MEMORY, Writer};
use crate::conform::Caster;
use crate::writers::{Crew, feed};

/// More writers than this gain nothing on one disk.
const MOST_WRITERS: usize = 2;

/// What the files of a table look like.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// The table's columns in Arrow types.
    pub schema: SchemaRef,
    pub partition_by: Vec<String>,
    /// Columns that the dataset does not have.
    pub absent: Vec<String>,
    pub config: WriterConfig,
    /// Writers at a time, each with files of its own.
    pub writers: usize,
}

impl Layout {
    /// The layout of a table's files, or, without a table, of one that is to be made.
    pub(super) fn new(table: Option<&DeltaTable>, schema: SchemaRef, partition_by: Vec<String>) -> Result<Self> {
        let config = config(table, &schema, &partition_by)?;
        // A partitioned table has one writer, so that each value's rows end up in few files.
        let writers = if partition_by.is_empty() { parallelism() } else { 1 };
        Ok(Self { schema, partition_by, absent: Vec::new(), config, writers })
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
    let store = location.store()?;
    let caster = Caster::with_nulls(&input.schema(), std::sync::Arc::clone(&layout.schema), &layout.absent)?;
    let crew = match layout.partition_by.is_empty() {
        true => Crew { most: layout.writers, each: WRITER_MEMORY },
        // It may need as much for each value.
        false => Crew { most: 1, each: usize::MAX },
    };
    let mut tasks = JoinSet::new();
    let open = |held, batches| {
        tasks.spawn(Writer::write_all(location.clone(), layout.clone(), held, batches));
    };
    let fed = load.cancel.run_until_cancelled(feed(load, input, &caster, crew, open)).await;
    let fed = fed.unwrap_or_else(|| Err(EngineError::canceled(format!("writing {} was canceled", location.label))));
    let mut adds = Vec::new();
    let mut failure = fed.as_ref().err().is_some().then_some(());
    let mut write_error = None;
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(Ok(files)) => adds.extend(files),
            Ok(Err(error)) => write_error = Some(error),
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
    Ok(WriterConfig::new(
        std::sync::Arc::clone(schema),
        partition_by.to_vec(),
        Some(writer::properties(writer::ROW_GROUP_BYTES)?),
        NonZeroU64::new(FILE_BYTES),
        None,
        properties.and_then(|properties| properties.data_skipping_num_indexed_cols).unwrap_or_default(),
        properties
            .and_then(|properties| properties.data_skipping_stats_columns.as_ref())
            .map(|columns| columns.iter().map(ToString::to_string).collect()),
    ))
}

pub(super) fn no_column(name: &str) -> EngineError {
    EngineError::config(format!("the partition column {name} is not a column of the dataset"))
}
