//! Files as they were listed: each is read in exactly that version, or the read fails and is tried again.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;

use chrono::{DateTime, Utc};
use headwater_engine::stores::Store;
use headwater_engine::{EngineError, ErrorKind};
use object_store::{GetOptions, ObjectMeta, ObjectStoreExt as _};
use tokio::runtime::Handle;

use super::data::{DataFile, ObjectReader, io_failure};

/// What tells one version of a file from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stamp {
    /// Of a local file; the time in nanoseconds since 1970.
    Local { size: u64, modified: i128, inode: u64 },
    /// Of an object. Few stores have no tags, and then the time counts, in seconds: listings say it more exactly than other answers.
    Stored { size: u64, tag: Option<String>, modified: DateTime<Utc> },
}

impl Stamp {
    pub(super) fn of_local(metadata: &Metadata) -> Self {
        let modified = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
        Self::Local { size: metadata.len(), modified, inode: metadata.ino() }
    }

    pub(super) fn of_object(found: &ObjectMeta) -> Self {
        // Azure quotes tags in headers and not in listings.
        let quoted = |tag: &String| if tag.contains('"') { tag.clone() } else { format!("\"{tag}\"") };
        Self::Stored { size: found.size, tag: found.e_tag.as_ref().map(quoted), modified: found.last_modified }
    }

    /// The same as text. An object that is put again with the same content stays what it was.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Local { size, modified, inode } => format!("{size} {modified} {inode}"),
            Self::Stored { size, tag: Some(tag), .. } => format!("{size} {tag}"),
            Self::Stored { size, modified, .. } => format!("{size} {}", modified.timestamp()),
        }
    }

    /// A request that only this version of an object answers.
    pub(super) fn condition(&self) -> GetOptions {
        match self {
            Self::Local { .. } => GetOptions::default(),
            Self::Stored { tag: Some(tag), .. } => GetOptions { if_match: Some(tag.clone()), ..GetOptions::default() },
            Self::Stored { modified, .. } => {
                GetOptions { if_unmodified_since: Some(*modified), ..GetOptions::default() }
            }
        }
    }

    fn is_same(&self, now: &Self) -> bool {
        self.text() == now.text()
    }

    /// Whether an object is in this version.
    pub(super) fn check_object(&self, found: &ObjectMeta) -> io::Result<()> {
        if self.is_same(&Self::of_object(found)) { Ok(()) } else { Err(changed()) }
    }

    /// Whether a local file is in this version.
    pub(super) fn check_local(&self, metadata: &Metadata) -> io::Result<()> {
        if self.is_same(&Self::of_local(metadata)) { Ok(()) } else { Err(changed()) }
    }
}

/// Why a read of a listed file fails, which a further try may mend.
pub(super) fn changed() -> io::Error {
    io::Error::other("the file has changed since it was listed; was it still being written?")
}

/// A file and what it was when it was listed.
#[derive(Debug)]
pub(super) struct Listed {
    pub file: DataFile,
    pub stamp: Stamp,
}

impl Listed {
    /// Opens it if it is still what it was. Only for threads that may block.
    pub(super) fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        match (&self.file, &self.stamp) {
            (DataFile::Local(path), _) => {
                let file = File::open(path)?;
                self.stamp.check_local(&file.metadata()?)?;
                Ok(Box::new(Watched { file, stamp: self.stamp.clone() }))
            }
            (DataFile::Stored(object), Stamp::Stored { size, .. }) => {
                Ok(Box::new(ObjectReader::of_version(object, *size, self.stamp.condition())))
            }
            (file, _) => file.open(),
        }
    }

    /// Whether it is still what it was. Only for threads that may block.
    pub(super) fn check(&self) -> io::Result<()> {
        match &self.file {
            DataFile::Local(path) => self.stamp.check_local(&std::fs::metadata(path)?),
            DataFile::Stored(object) => self.stamp.check_object(&head(object)?),
            DataFile::Listed(inner) => inner.check(),
        }
    }
}

/// What an object is now. Only for threads that may block.
pub(super) fn head(object: &Store) -> io::Result<ObjectMeta> {
    Handle::current().block_on(object.objects().head(object.path())).map_err(io_failure)
}

impl DataFile {
    /// An error of reading it. A file that has changed since it was listed may be broken for that alone, so that another try is worth it.
    pub(super) fn explained(&self, error: EngineError) -> EngineError {
        let Self::Listed(listed) = self else { return error };
        if matches!(error.kind, ErrorKind::Canceled | ErrorKind::Transient) {
            return error;
        }
        match listed.check() {
            Ok(()) => error,
            Err(what) => EngineError::transient(format!("reading {self}: {what}"))
                .hint("give files their names when they are whole: write them under a name that begins with a dot, then rename them")
                .caused_by(error),
        }
    }

    /// Where it is, however it was listed.
    pub(super) fn plain(&self) -> &Self {
        match self {
            Self::Listed(listed) => listed.file.plain(),
            plain => plain,
        }
    }
}

/// A local file that must not change before its end is reached.
struct Watched {
    file: File,
    stamp: Stamp,
}

impl Read for Watched {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(out)?;
        if length == 0 && !out.is_empty() {
            self.stamp.check_local(&self.file.metadata()?)?;
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use std::io::Write;
    use std::sync::Arc;

    use super::*;

    fn listed(path: &std::path::Path) -> DataFile {
        let stamp = Stamp::of_local(&std::fs::metadata(path).unwrap());
        DataFile::Listed(Arc::new(Listed { file: DataFile::Local(path.to_owned()), stamp }))
    }

    #[test]
    fn a_file_that_grows_before_or_while_it_is_read_fails_the_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "id\n1\n").unwrap();
        let file = listed(&path);
        assert_eq!(io::read_to_string(file.open().unwrap()).unwrap(), "id\n1\n");
        let mut opened = file.open().unwrap();
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"2\n").unwrap();
        let late = opened.read_to_end(&mut Vec::new()).unwrap_err();
        let early = file.open().map(drop).unwrap_err();
        assert!(late.to_string().contains("has changed") && early.to_string().contains("has changed"));
        let explained = file.explained(EngineError::data("half a row"));
        assert_eq!(explained.kind, ErrorKind::Transient, "{explained}");
    }

    #[test]
    fn a_file_that_is_as_it_was_listed_explains_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "id\n1\n").unwrap();
        assert_eq!(listed(&path).explained(EngineError::data("a broken row")).kind, ErrorKind::Data);
        assert_eq!(listed(&path), DataFile::Local(path));
    }
}
