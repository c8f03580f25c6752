//! Writing files, hidden, off the async threads.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::json::LineDelimitedWriter;
use arrow::json::writer::{LineDelimited, WriterBuilder as JsonBuilder};
use headwater_engine::{EngineError, Result};
use parquet::arrow::ArrowWriter;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use super::csv::Dialect;
use super::format::{Compression, Format};
use super::io_error;
use super::upload::{Gauge, Hidden, Output, Upload};
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
    Csv(Box<arrow::csv::Writer<Packed>>),
    Jsonl(Box<arrow::json::Writer<Packed, LineDelimited>>),
    Parquet(Box<ArrowWriter<BufWriter<Output>>>),
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
                let mut writer = shape.dialect.writer(true).build(packed);
                // The header is there even if no row is.
                let empty = RecordBatch::new_empty(Arc::clone(schema));
                writer.write(&empty).map_err(|error| arrow_error(path, error))?;
                Self::Csv(Box::new(writer))
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
            Self::Csv(writer) => writer.write(batch).map_err(|error| arrow_error(path, error)),
            Self::Jsonl(writer) => writer.write(batch).map_err(|error| arrow_error(path, error)),
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
            Self::Csv(writer) => writer.into_inner().finish().map_err(failed),
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
