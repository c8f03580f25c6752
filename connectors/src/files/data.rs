//! One file of data, on a local disk or in an object store.

use std::cmp::Ordering;
use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::{SchemaRef, TimeUnit};
use bytes::{Buf, Bytes};
use datafusion::datasource::file_format::parquet::Int96Coercer;
use headwater_engine::stores::Store;
use headwater_engine::{EngineError, Result};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore as _, ObjectStoreExt as _};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::io_error;
use super::listed::Listed;

/// The first request for an object: enough to see its columns.
const FIRST_BYTES: u64 = 256 << 10;

/// Later requests grow to this.
const MOST_BYTES: u64 = 8 << 20;

/// A file to read.
#[derive(Debug, Clone)]
pub(super) enum DataFile {
    /// On a local disk.
    Local(PathBuf),
    /// In an object store.
    Stored(Store),
    /// One of them as it was listed: what has changed since is refused.
    Listed(Arc<Listed>),
}

impl fmt::Display for DataFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(f, "{}", path.display()),
            Self::Stored(object) => write!(f, "{object}"),
            Self::Listed(listed) => write!(f, "{}", listed.file),
        }
    }
}

impl PartialEq for DataFile {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for DataFile {}

impl PartialOrd for DataFile {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DataFile {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Local(one), Self::Local(two)) => one.cmp(two),
            (Self::Stored(one), Self::Stored(two)) => one.path().cmp(two.path()),
            (Self::Listed(one), two) => one.file.cmp(two),
            (one, Self::Listed(two)) => one.cmp(&two.file),
            (Self::Local(_), Self::Stored(_)) => Ordering::Less,
            (Self::Stored(_), Self::Local(_)) => Ordering::Greater,
        }
    }
}

impl DataFile {
    /// Its name without the folder.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Local(path) => path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            Self::Stored(object) => object.path().filename().unwrap_or_default().to_owned(),
            Self::Listed(listed) => listed.file.name(),
        }
    }

    /// Opens it. Only for threads that may block.
    pub(super) fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Local(path) => Box::new(std::fs::File::open(path)?),
            Self::Stored(object) => Box::new(ObjectReader::open(object)?),
            Self::Listed(listed) => listed.open()?,
        })
    }

    /// The schema of a Parquet file. Only for threads that may block.
    pub(super) fn parquet_schema(&self) -> Result<SchemaRef> {
        let loaded = match self {
            Self::Local(path) => {
                let file = std::fs::File::open(path).map_err(|error| io_error("reading", self, error))?;
                ArrowReaderMetadata::load(&file, Default::default())
            }
            Self::Stored(object) => {
                let pieces = Pieces::open(object).map_err(|error| io_error("reading", self, error))?;
                ArrowReaderMetadata::load(&pieces, Default::default())
            }
            Self::Listed(listed) => {
                let schema = listed.file.parquet_schema();
                listed.check().map_err(|error| io_error("reading", self, error))?;
                return schema;
            }
        };
        match loaded {
            // INT96 counts nanoseconds of a day and days, which 64 bits of nanoseconds hold from 1677 to 2262 only.
            Ok(metadata) => {
                let described = metadata.metadata().file_metadata().schema_descr();
                let coerced = Int96Coercer::new(described, metadata.schema(), &TimeUnit::Microsecond).coerce();
                Ok(coerced.map_or_else(|| SchemaRef::clone(metadata.schema()), SchemaRef::new))
            }
            Err(ParquetError::External(error)) => Err(match error.downcast::<object_store::Error>() {
                Ok(error) => io_error("reading", self, io_failure(*error)),
                Err(error) => EngineError::data(format!("reading {self}: {error}")),
            }),
            Err(error) => Err(EngineError::data(format!("{self} is not a Parquet file: {error}"))),
        }
    }
}

/// An object as a stream of bytes, asked for piece by piece: a reader that is slow can't let a request grow old.
pub(super) struct ObjectReader {
    object: Store,
    size: u64,
    /// All pieces must be of the same version.
    version: GetOptions,
    /// Where the next request begins, and how much it asks for.
    next: u64,
    length: u64,
    ahead: JoinSet<object_store::Result<Bytes>>,
    bytes: Bytes,
    runtime: Handle,
}

impl ObjectReader {
    fn open(object: &Store) -> io::Result<Self> {
        let runtime = Handle::current();
        let found = runtime.block_on(object.objects().head(object.path())).map_err(io_failure)?;
        let version = GetOptions { if_match: found.e_tag, ..GetOptions::default() };
        Ok(Self::of_version(object, found.size, version))
    }

    /// Reads a version that is known already.
    pub(super) fn of_version(object: &Store, size: u64, version: GetOptions) -> Self {
        Self {
            object: object.clone(),
            size,
            version,
            next: 0,
            length: FIRST_BYTES,
            ahead: JoinSet::new(),
            bytes: Bytes::new(),
            runtime: Handle::current(),
        }
    }

    fn ask(&mut self) {
        let end = self.size.min(self.next + self.length);
        if self.next == end {
            return;
        }
        let range = Some(GetRange::Bounded(self.next..end));
        let options = GetOptions { range, ..self.version.clone() };
        let (objects, path): (_, Path) = (self.object.objects().clone(), self.object.path().clone());
        self.ahead.spawn_on(async move { objects.get_opts(&path, options).await?.bytes().await }, &self.runtime);
        self.next = end;
        self.length = (self.length * 4).min(MOST_BYTES);
    }

    /// The next piece; none at the end. From the second on one more is asked for ahead.
    fn piece(&mut self) -> io::Result<Bytes> {
        let is_first = self.next == 0;
        if self.ahead.is_empty() {
            self.ask();
        }
        let Some(ended) = self.runtime.block_on(self.ahead.join_next()) else { return Ok(Bytes::new()) };
        if !is_first {
            self.ask();
        }
        ended.map_err(io::Error::other)?.map_err(|error| match error {
            object_store::Error::Precondition { .. } => io::Error::other("the object was replaced while it was read"),
            error => io_failure(error),
        })
    }
}

impl Read for ObjectReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() {
            self.bytes = self.piece()?;
        }
        let length = out.len().min(self.bytes.len());
        out[..length].copy_from_slice(&self.bytes.split_to(length));
        Ok(length)
    }
}

/// Pieces of an object, for what is read out of order. Only for threads that may block.
struct Pieces {
    object: Store,
    size: u64,
}

impl Pieces {
    fn open(object: &Store) -> io::Result<Self> {
        let found = Handle::current().block_on(object.objects().head(object.path())).map_err(io_failure)?;
        Ok(Self { object: object.clone(), size: found.size })
    }
}

impl Length for Pieces {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for Pieces {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let length = usize::try_from(self.size.saturating_sub(start)).unwrap_or(usize::MAX);
        Ok(self.get_bytes(start, length)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let piece = self.object.objects().get_range(self.object.path(), start..start + length as u64);
        Ok(Handle::current().block_on(piece)?)
    }
}

/// An error of an object store as one of files.
pub(super) fn io_failure(error: object_store::Error) -> io::Error {
    use object_store::Error;
    let kind = match &error {
        Error::NotFound { .. } => io::ErrorKind::NotFound,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => io::ErrorKind::PermissionDenied,
        Error::AlreadyExists { .. } => io::ErrorKind::AlreadyExists,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
