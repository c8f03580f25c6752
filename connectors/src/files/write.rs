//! Writing files, hidden, off the async threads.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::LineDelimitedWriter;
use arrow::json::writer::{LineDelimited, WriterBuilder as JsonBuilder};
use headwater_engine::{EngineError, Result};
use parquet::arrow::ArrowWriter;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use super::csv::Dialect;
use super::format::{Compression, Format};
use super::upload::{Gauge, Hidden, Output, Upload};
use super::{io_error, words};
use crate::writers::Held;

/// A row group's encoded size; what a Parquet writer holds in memory until it is written.
const ROW_GROUP_BYTES: usize = 24 << 20;

/// Large writes keep the number of system calls low.
const BUFFER: usize = 1 << 20;

/// What a file is to be.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub format: Format,
    pub compression: Compression,
    pub dialect: Dialect,
}

/// A file that was written and is safe.
#[derive(Debug)]
pub(super) struct Finished {
    pub rows: u64,
    pub bytes: u64,
    pub upload: Option<Upload>,
}

/// Bytes on their way out, packed or not.
enum Packed {
    Plain(BufWriter<Output>),
    Gzip(flate2::write::GzEncoder<BufWriter<Output>>),
    Zstd(zstd::Encoder<'static, BufWriter<Output>>),
}

impl Packed {
    fn new(file: Output, compression: Compression) -> io::Result<Self> {
        let file = BufWriter::with_capacity(BUFFER, file);
        Ok(match compression {
            Compression::None => Self::Plain(file),
            Compression::Gzip => Self::Gzip(flate2::write::GzEncoder::new(file, flate2::Compression::default())),
            Compression::Zstd => Self::Zstd(zstd::Encoder::new(file, 3)?),
        })
    }

    fn finish(self) -> io::Result<Output> {
        let buffered = match self {
            Self::Plain(file) => file,
            Self::Gzip(encoder) => encoder.finish()?,
            Self::Zstd(encoder) => encoder.finish()?,
        };
        buffered.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

impl Write for Packed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}

/// A file in work.
struct Writer {
    encoder: Encoder,
    uploading: Gauge,
}

enum Encoder {
    Csv(Box<Csv>),
    Jsonl(Box<arrow::json::Writer<Packed, LineDelimited>>),
    Parquet(Box<ArrowWriter<BufWriter<Output>>>),
}

/// CSV in work.
struct Csv {
    packed: Packed,
    dialect: Dialect,
    /// The text of one batch.
    text: Vec<u8>,
}

impl Csv {
    fn flush_text(&mut self) -> io::Result<()> {
        self.packed.write_all(&self.text)?;
        self.text.clear();
        Ok(())
    }
}

impl Writer {
    fn open(path: &Hidden, schema: &SchemaRef, shape: &Shape, cancel: CancellationToken) -> Result<Self> {
        let file = path.open(cancel).map_err(|error| io_error("writing", path, error))?;
        Ok(Self { uploading: file.gauge(), encoder: Encoder::new(file, path, schema, shape)? })
    }

    /// Bytes in memory: those of the row group in work, and those on their way out.
    fn holds(&self) -> usize {
        let gathered = match &self.encoder {
            Encoder::Parquet(writer) => writer.memory_size(),
            Encoder::Csv(_) | Encoder::Jsonl(_) => 0,
        };
        gathered + BUFFER + self.uploading.bytes()
    }
}

impl Encoder {
    fn new(file: Output, path: &Hidden, schema: &SchemaRef, shape: &Shape) -> Result<Self> {
        let failed = |error: io::Error| io_error("writing", path, error);
        Ok(match shape.format {
            Format::Csv => {
                let mut packed = Packed::new(file, shape.compression).map_err(failed)?;
                if shape.dialect.bom {
                    packed.write_all(&[0xEF, 0xBB, 0xBF]).map_err(failed)?;
                }
                let mut csv = Csv { packed, dialect: shape.dialect.clone(), text: Vec::new() };
                // The header is there even if no row is.
                if csv.dialect.header {
                    csv.dialect.write_header(schema, &mut csv.text);
                }
                csv.flush_text().map_err(failed)?;
                Self::Csv(Box::new(csv))
            }
            Format::Jsonl => {
                let packed = Packed::new(file, shape.compression).map_err(failed)?;
                let writer: LineDelimitedWriter<Packed> = JsonBuilder::new().with_explicit_nulls(true).build(packed);
                Self::Jsonl(Box::new(writer))
            }
            Format::Parquet => {
                let properties = crate::writers::parquet(ROW_GROUP_BYTES)?.build();
                let file = BufWriter::with_capacity(BUFFER, file);
                let writer = ArrowWriter::try_new(file, Arc::clone(schema), Some(properties))
                    .map_err(|error| EngineError::config(format!("writing {path}: {error}")))?;
                Self::Parquet(Box::new(writer))
            }
        })
    }

    fn write(&mut self, path: &Hidden, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::Csv(csv) => {
                csv.dialect.write(batch, &mut csv.text).map_err(|error| arrow_error(path, error))?;
                csv.flush_text().map_err(|error| io_error("writing", path, error))
            }
            Self::Jsonl(writer) => {
                let batch = json_values(path, batch)?;
                writer.write(&batch).map_err(|error| arrow_error(path, error))
            }
            Self::Parquet(writer) => writer.write(batch).map_err(|error| arrow_error(path, error.into())),
        }
    }

    /// Writes out the row group in work.
    fn flush(&mut self, path: &Hidden) -> Result<()> {
        match self {
            Self::Csv(_) | Self::Jsonl(_) => Ok(()),
            Self::Parquet(writer) => writer.flush().map_err(|error| arrow_error(path, error.into())),
        }
    }

    fn finish(self, path: &Hidden) -> Result<Output> {
        let failed = |error: io::Error| io_error("writing", path, error);
        match self {
            Self::Csv(csv) => csv.packed.finish().map_err(failed),
            Self::Jsonl(mut writer) => {
                writer.finish().map_err(|error| arrow_error(path, error))?;
                writer.into_inner().finish().map_err(failed)
            }
            Self::Parquet(writer) => {
                let buffered = writer.into_inner().map_err(|error| arrow_error(path, error.into()))?;
                buffered.into_inner().map_err(|error| failed(error.into_error()))
            }
        }
    }
}

/// Writes all batches of a channel into one file. Runs on a thread of its own. A row group is written out early if there is no memory for more of it.
pub(super) fn file(
    path: &Hidden,
    schema: &SchemaRef,
    shape: &Shape,
    cancel: CancellationToken,
    held: &Held,
    mut batches: Receiver<RecordBatch>,
) -> Result<Finished> {
    let mut writer = Writer::open(path, schema, shape, cancel)?;
    let mut rows = 0;
    while let Some(batch) = batches.blocking_recv() {
        writer.encoder.write(path, &batch)?;
        if !held.follow(writer.holds()) {
            writer.encoder.flush(path)?;
            held.settle(writer.holds());
        }
        rows += u64::try_from(batch.num_rows()).unwrap_or_default();
    }
    let (bytes, upload) = writer.encoder.finish(path)?.finish().map_err(|error| io_error("writing", path, error))?;
    Ok(Finished { rows, bytes, upload })
}

/// A batch as JSON can hold it: bytes as text, in the form that is read back. What JSON has no word for is refused.
fn json_values(path: &Hidden, batch: &RecordBatch) -> Result<RecordBatch> {
    let (schema, columns, _) = batch.clone().into_parts();
    let mut fields: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone()).collect();
    let mut values = Vec::with_capacity(columns.len());
    for (field, column) in fields.iter_mut().zip(columns) {
        if holds_not_a_number(&column) {
            return Err(EngineError::data(format!(
                "column {} holds NaN or infinity, which JSON has no number for",
                field.name()
            ))
            .hint(format!("cast it in a transform, e.g. CAST({} AS text), or make it NULL", field.name())));
        }
        values.push(match field.data_type() {
            DataType::Binary => {
                *field = field.clone().with_data_type(DataType::Utf8);
                Arc::new(words::of(&column).map_err(|error| arrow_error(path, error))?)
            }
            _ => column,
        });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), values, &options)
        .map_err(|error| arrow_error(path, error))
}

fn holds_not_a_number(array: &ArrayRef) -> bool {
    match array.data_type() {
        DataType::Float32 => array.as_primitive::<Float32Type>().iter().flatten().any(|value| !value.is_finite()),
        DataType::Float64 => array.as_primitive::<Float64Type>().iter().flatten().any(|value| !value.is_finite()),
        DataType::List(_) => array.as_list::<i32>().iter().flatten().any(|items| holds_not_a_number(&items)),
        DataType::Struct(_) => array.as_struct().columns().iter().any(holds_not_a_number),
        _ => false,
    }
}

fn arrow_error(path: &Hidden, error: ArrowError) -> EngineError {
    match error {
        ArrowError::IoError(_, source) => io_error("writing", path, source),
        other => {
            let text = other.to_string();
            if text.contains("No space left") {
                return io_error("writing", path, io::Error::from(io::ErrorKind::StorageFull));
            }
            EngineError::config(format!("writing {path}: {text}"))
        }
    }
}
