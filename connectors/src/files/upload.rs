//! Files in work: hidden on a local disk, uploads that are not completed in an object store.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use headwater_engine::stores::Store;
use object_store::PutPayload;
use object_store::multipart::PartId;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::data::io_failure;

/// All parts but the last have this size: stores want at least 5 MiB, some want them equal.
const PART_BYTES: usize = 8 << 20;

/// Stores take no more parts than this for one object.
const MOST_PARTS: usize = 10_000;

/// Parts on their way at a time, besides the one that is filled.
const IN_FLIGHT: usize = 2;

/// An upload whose parts are all there: whoever knows it can complete it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Upload {
    pub id: String,
    /// The store's names of the parts, in order.
    pub parts: Vec<String>,
}

/// Where a file of an attempt is written so that nobody sees it.
#[derive(Debug, Clone)]
pub(super) enum Hidden {
    /// A hidden file.
    File(PathBuf),
    /// An upload to an object that is there once it is completed.
    Upload { object: Store, id: String },
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Upload { object, .. } => write!(f, "{object}"),
        }
    }
}

impl Hidden {
    /// Begins an upload. Only for threads that may block.
    pub(super) fn upload(object: Store) -> io::Result<Self> {
        let id = Handle::current().block_on(object.uploads().create_multipart(object.path())).map_err(io_failure)?;
        Ok(Self::Upload { object, id })
    }

    /// Opens it for writing. Only for threads that may block.
    pub(super) fn open(&self, cancel: CancellationToken) -> io::Result<Output> {
        Ok(match self {
            Self::File(path) => Output::File(File::create(path)?),
            Self::Upload { object, id } => Output::Upload(Box::new(Uploading {
                object: object.clone(),
                id: id.clone(),
                cancel,
                filling: Vec::new(),
                sent: JoinSet::new(),
                parts: BTreeMap::new(),
                next: 0,
                bytes: 0,
                gauge: Gauge::default(),
                runtime: Handle::current(),
            })),
        })
    }

    /// Removes it. What can't be removed now is never seen.
    pub(super) fn discard(&self) {
        let removed = match self {
            Self::File(path) => std::fs::remove_file(path),
            Self::Upload { object, id } => {
                let aborted = Handle::current().block_on(object.uploads().abort_multipart(object.path(), id));
                aborted.map_err(io_failure)
            }
        };
        if let Err(error) = removed {
            tracing::debug!(path = %self, %error, "a hidden file could not be removed");
        }
    }
}

/// The bytes that an upload holds in memory, for those who have handed it to others.
#[derive(Debug, Clone, Default)]
pub(super) struct Gauge(Arc<AtomicUsize>);

impl Gauge {
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A file in work.
pub(super) enum Output {
    File(File),
    Upload(Box<Uploading>),
}

impl Output {
    /// What it holds in memory from now on.
    pub(super) fn gauge(&self) -> Gauge {
        match self {
            Self::File(_) => Gauge::default(),
            Self::Upload(uploading) => uploading.gauge.clone(),
        }
    }

    /// Sees to it that everything is safe; returns the size, and the upload if it is one.
    pub(super) fn finish(self) -> io::Result<(u64, Option<Upload>)> {
        match self {
            Self::File(file) => {
                file.sync_all()?;
                Ok((file.metadata()?.len(), None))
            }
            Self::Upload(uploading) => uploading.finish().map(|(bytes, upload)| (bytes, Some(upload))),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Upload(uploading) => uploading.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            // Parts have a fixed size, so that what is left goes with the last one.
            Self::Upload(_) => Ok(()),
        }
    }
}

/// An upload in work, part by part.
pub(super) struct Uploading {
    object: Store,
    id: String,
    cancel: CancellationToken,
    filling: Vec<u8>,
    sent: JoinSet<object_store::Result<(usize, PartId)>>,
    parts: BTreeMap<usize, String>,
    next: usize,
    bytes: u64,
    gauge: Gauge,
    runtime: Handle,
}

impl Uploading {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PART_BYTES - self.filling.len());
        self.filling.reserve(taken);
        self.filling.extend_from_slice(&bytes[..taken]);
        if self.filling.len() == PART_BYTES {
            self.send()?;
        }
        self.gauge.0.store(self.filling.capacity() + self.sent.len() * PART_BYTES, Ordering::Relaxed);
        Ok(taken)
    }

    fn send(&mut self) -> io::Result<()> {
        while self.sent.len() >= IN_FLIGHT {
            self.receive()?;
        }
        if self.next == MOST_PARTS {
            let most = (MOST_PARTS * PART_BYTES) >> 30;
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("an object can't grow beyond {most} GB; load into a folder, or filter the dataset"),
            ));
        }
        let part = std::mem::take(&mut self.filling);
        self.bytes += part.len() as u64;
        let (object, id, index) = (self.object.clone(), self.id.clone(), self.next);
        self.next += 1;
        let put = async move {
            let put = object.uploads().put_part(object.path(), &id, index, PutPayload::from(part)).await;
            put.map(|part| (index, part))
        };
        self.sent.spawn_on(put, &self.runtime);
        Ok(())
    }

    fn receive(&mut self) -> io::Result<()> {
        let ended = self.runtime.block_on(self.cancel.run_until_cancelled(self.sent.join_next()));
        let Some(ended) = ended else { return Err(io::Error::other("the upload was canceled")) };
        if let Some(ended) = ended {
            let (index, part) = ended.map_err(io::Error::other)?.map_err(io_failure)?;
            self.parts.insert(index, part.content_id);
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<(u64, Upload)> {
        if !self.filling.is_empty() {
            self.send()?;
        }
        while !self.sent.is_empty() {
            self.receive()?;
        }
        Ok((self.bytes, Upload { id: self.id, parts: self.parts.into_values().collect() }))
    }
}
