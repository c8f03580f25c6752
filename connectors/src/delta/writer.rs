//! One writer of data files, which keeps to the memory that it gets.
//!
//! deltalake's writer reports neither what it holds nor can it write out a row group before it is full. What it holds is therefore estimated: the rows that
//! it was given, and at most a few row groups for each open file. Where the estimate finds no memory, the files are closed and others opened with row
//! groups so small that they fit into what the writer has. (While row groups are that small the buffer of each file's upload, 5 MB at most, comes on top.)

use std::collections::HashSet;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, SortField};
use deltalake::datafile::writer::DeltaWriter;
use deltalake::kernel::Add;
use headwater_engine::{EngineError, Result};
use parquet::file::properties::WriterProperties;
use tokio::sync::mpsc;

use super::table::Location;
use super::write::{self, Layout, no_column};
use crate::writers::{self, Held};

/// A file is closed at this size: large enough to scan well, small enough to be pruned and rewritten.
pub(super) const FILE_BYTES: u64 = 192 << 20;

/// A row group's encoded size while there is memory.
pub(super) const ROW_GROUP_BYTES: usize = 12 << 20;

/// A row group's encoded size at least.
const LEAST_ROW_GROUP_BYTES: usize = 64 << 10;

/// Rows of a row group at most.
const ROW_GROUP_ROWS: usize = 1 << 20;

/// What a file holds at most, in row groups: the one in work, its pages and dictionaries, the upload's buffer.
const HELD_ROW_GROUPS: usize = 4;

/// What a writer of one file holds at most.
pub(super) const WRITER_MEMORY: usize = HELD_ROW_GROUPS * ROW_GROUP_BYTES;

/// A writer with small row groups tries large ones again after so many bytes of rows.
const TRY_AGAIN_BYTES: usize = 192 << 20;

/// Each open partition value holds a row group in work.
const MOST_PARTITIONS: usize = 500;

/// The folder of NULL.
const NULL_FOLDER: &str = "__HIVE_DEFAULT_PARTITION__";

/// File systems have no longer names.
const MOST_FOLDER_BYTES: usize = 255;

/// How files are written whose row groups have this encoded size.
pub(super) fn properties(row_group_bytes: usize) -> Result<WriterProperties> {
    Ok(writers::parquet(row_group_bytes)?.set_max_row_group_row_count(Some(ROW_GROUP_ROWS)).build())
}

/// Writes batches into a file, or into one for each partition value.
pub(super) struct Writer {
    location: Location,
    layout: Layout,
    held: Held,
    partitions: Partitions,
    open: DeltaWriter,
    /// The row groups of the open files.
    row_group_bytes: usize,
    /// Bytes of rows in the open files.
    taken: usize,
    /// Files that are closed.
    adds: Vec<Add>,
}

impl Writer {
    /// Writes all batches of a channel. If it fails, its closed files are removed.
    pub(super) async fn write_all(
        location: Location,
        layout: Layout,
        held: Held,
        mut batches: mpsc::Receiver<RecordBatch>,
    ) -> Result<Vec<Add>> {
        let partitions = Partitions::new(&layout.schema, &layout.partition_by, location.is_folder())?;
        let open = DeltaWriter::new(location.store()?, layout.config.clone());
        let row_group_bytes = ROW_GROUP_BYTES;
        let mut writer = Self { location, layout, held, partitions, open, row_group_bytes, taken: 0, adds: Vec::new() };
        while let Some(batch) = batches.recv().await {
            if let Err(error) = writer.write(&batch).await {
                // The first error is the one to report.
                let _ = writer.open.abort().await;
                write::remove(&writer.location.store()?, &writer.adds).await;
                return Err(error);
            }
        }
        match writer.open.close().await {
            Ok(last) => Ok([writer.adds, last].concat()),
            Err(error) => {
                write::remove(&writer.location.store()?, &writer.adds).await;
                Err(writer.location.failed("writing", error))
            }
        }
    }

    async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.partitions.count(batch)?;
        self.open.write(batch).await.map_err(|error| self.location.failed("writing", error))?;
        self.taken += writers::size_of(batch);
        // Rounded up, so that a load that meets more and more values does not close its files for each of them.
        let files = self.partitions.seen.len().max(1).next_power_of_two();
        let most = |row_group_bytes: usize| HELD_ROW_GROUPS * row_group_bytes * files;
        let holds = self.taken.min(most(self.row_group_bytes));
        let is_small = self.row_group_bytes < ROW_GROUP_BYTES;
        // A writer with small row groups keeps what it has, or they would become smaller and smaller.
        let holds = if is_small { holds.max(self.held.bytes()) } else { holds };
        if self.held.follow(holds) {
            if is_small && self.taken >= TRY_AGAIN_BYTES && self.held.may_hold(most(ROW_GROUP_BYTES)) {
                return self.reopen(ROW_GROUP_BYTES).await;
            }
            return Ok(());
        }
        if self.row_group_bytes == LEAST_ROW_GROUP_BYTES {
            self.held.settle(holds);
            return Ok(());
        }
        let fitting = self.held.bytes() / (HELD_ROW_GROUPS * files);
        self.reopen(fitting.max(LEAST_ROW_GROUP_BYTES)).await
    }

    /// Closes the files, which writes out all that is held, and goes on with others.
    async fn reopen(&mut self, row_group_bytes: usize) -> Result<()> {
        let next = DeltaWriter::new(self.location.store()?, self.layout.config.clone());
        let next = next.with_writer_properties(properties(row_group_bytes)?);
        let full = std::mem::replace(&mut self.open, next);
        self.row_group_bytes = row_group_bytes;
        self.taken = 0;
        self.adds.extend(full.close().await.map_err(|error| self.location.failed("writing", error))?);
        Ok(())
    }
}

/// Bytes of the name of a partition's folder. What is not plain is escaped by Delta, and the escapes are escaped by the object store.
fn folder_bytes(name: &str, value: &str) -> usize {
    let escaped = |byte: u8| if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') { 1 } else { 5 };
    name.bytes().chain(value.bytes()).map(escaped).sum::<usize>() + 1
}

/// Counts the distinct partition values.
struct Partitions {
    /// Each has a folder of a local disk.
    in_folders: bool,
    columns: Vec<usize>,
    converter: Option<RowConverter>,
    seen: HashSet<Vec<u8>>,
    names: String,
}

impl Partitions {
    fn new(schema: &SchemaRef, partition_by: &[String], in_folders: bool) -> Result<Self> {
        let columns = partition_by.iter().map(|name| schema.index_of(name).map_err(|_| no_column(name)));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let fields = columns.iter().map(|index| SortField::new(schema.field(*index).data_type().clone())).collect();
        let converter = match columns.is_empty() {
            true => None,
            false => Some(RowConverter::new(fields).map_err(|error| {
                EngineError::config(format!("a table can't be partitioned by {}: {error}", partition_by.join(", ")))
            })?),
        };
        Ok(Self { in_folders, columns, converter, seen: HashSet::new(), names: partition_by.join(", ") })
    }

    fn count(&mut self, batch: &RecordBatch) -> Result<()> {
        let Some(converter) = &self.converter else { return Ok(()) };
        self.refuse_texts(batch)?;
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

    /// Refuses texts that can't name a folder. The protocol writes an empty one as it writes NULL, so that the one would come back as the other.
    fn refuse_texts(&self, batch: &RecordBatch) -> Result<()> {
        for index in &self.columns {
            let Some(texts) = batch.column(*index).as_string_opt::<i32>() else { continue };
            let name = batch.schema_ref().field(*index).name();
            let refuse = |what: &str| {
                let message = format!("the partition column {name} holds {what}");
                let other = format!(
                    "give it another value in a transform, e.g. nullif({name}, ''), or partition by another column"
                );
                Err(EngineError::data(message).hint(other))
            };
            if texts.iter().flatten().any(str::is_empty) {
                return refuse("an empty text, which a Delta table can't tell from NULL");
            }
            if texts.iter().flatten().any(|text| text == NULL_FOLDER) {
                return refuse("the text by which the folder of NULL is called");
            }
            if self.in_folders && texts.iter().flatten().any(|text| folder_bytes(name, text) > MOST_FOLDER_BYTES) {
                return refuse("a text that is longer than the name of a folder may be");
            }
        }
        Ok(())
    }
}
