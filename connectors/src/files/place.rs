//! A folder that loads go into and readers read: the few things that are done there, on a local disk and in an object store.
//! All of it is for threads that may block.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use futures::TryStreamExt;
use headwater_engine::stores::Store;
use object_store::multipart::PartId;
use object_store::{ObjectStore as _, ObjectStoreExt as _};
use tokio::runtime::Handle;
use uuid::Uuid;

use super::data::{DataFile, io_failure};
use super::manifest::Part;
use crate::location::Location;

/// What is directly below a folder, sorted.
#[derive(Debug, Default)]
pub(super) struct Children {
    pub files: Vec<String>,
    pub folders: Vec<String>,
}

impl Location {
    /// A folder or file below.
    pub(super) fn below(&self, name: &str) -> io::Result<Self> {
        Ok(match self {
            Self::Folder(folder) => Self::Folder(folder.join(name)),
            Self::Store(store) => Self::Store(store.join(name).map_err(io::Error::other)?),
        })
    }

    /// Itself as a file.
    pub(super) fn file(self) -> DataFile {
        match self {
            Self::Folder(path) => DataFile::Local(path),
            Self::Store(store) => DataFile::Stored(store),
        }
    }

    /// Whether there is a file of this name.
    pub(super) fn has_file(&self, name: &str) -> io::Result<bool> {
        match self.below(name)? {
            Self::Folder(path) => Ok(path.is_file()),
            Self::Store(object) => {
                let found = wait(object.objects().head(object.path()));
                missing_as_none(found.map_err(io_failure)).map(|found| found.is_some())
            }
        }
    }

    /// Whether there is a folder of this name. In an object store a folder is what objects are below.
    pub(super) fn has_folder(&self, name: &str) -> io::Result<bool> {
        match self.below(name)? {
            Self::Folder(path) => Ok(path.is_dir()),
            Self::Store(folder) => wait(folder.is_empty()).map(|is_empty| !is_empty).map_err(io_failure),
        }
    }

    /// Names of what is directly below; none if the folder is not there.
    pub(super) fn children(&self) -> io::Result<Children> {
        let mut children = match self {
            Self::Folder(folder) => local_children(folder)?,
            Self::Store(store) => {
                let listed = wait(store.objects().list_with_delimiter(Some(store.path()))).map_err(io_failure)?;
                let names = |path: &object_store::path::Path| path.filename().map(str::to_owned);
                Children {
                    files: listed.objects.iter().filter_map(|object| names(&object.location)).collect(),
                    folders: listed.common_prefixes.iter().filter_map(names).collect(),
                }
            }
        };
        children.files.sort();
        children.folders.sort();
        Ok(children)
    }

    /// Makes the folder; an object store has no need of it.
    pub(super) fn create(&self) -> io::Result<()> {
        match self {
            Self::Folder(folder) => fs::create_dir_all(folder),
            Self::Store(_) => Ok(()),
        }
    }

    /// A small file's content, if it is there.
    pub(super) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        missing_as_none(match self.below(name)? {
            Self::Folder(path) => fs::read(path),
            Self::Store(object) => {
                let read = async { object.objects().get(object.path()).await?.bytes().await };
                wait(read).map(Vec::from).map_err(io_failure)
            }
        })
    }

    /// Puts a small file if there is none of that name, with all its content at once; says whether it did.
    pub(super) fn put_new(&self, name: &str, bytes: Vec<u8>) -> io::Result<bool> {
        match self {
            Self::Folder(folder) => link_new(folder, name, &bytes),
            Self::Store(store) => {
                let path = store.below(name).map_err(io::Error::other)?;
                wait(store.put_new(&path, bytes)).map_err(io_failure)
            }
        }
    }

    /// Leaves an empty file of this name.
    pub(super) fn mark(&self, name: &str) -> io::Result<()> {
        match self.below(name)? {
            Self::Folder(path) => File::create(path).map(drop),
            Self::Store(object) => {
                wait(object.objects().put(object.path(), Vec::new().into())).map(drop).map_err(io_failure)
            }
        }
    }

    /// Removes a file, if it is there.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        let removed = match self.below(name)? {
            Self::Folder(path) => fs::remove_file(path),
            Self::Store(object) => wait(object.objects().delete(object.path())).map_err(io_failure),
        };
        missing_as_none(removed).map(drop)
    }

    /// Gives a hidden file its place in this folder. May be done again by anyone; says `false` if an upload was gone, which it is
    /// once it was completed.
    pub(super) fn reveal(&self, part: &Part, control: &Self) -> io::Result<bool> {
        match (self, &part.upload) {
            (Self::Folder(folder), _) => {
                let Self::Folder(hidden) = control.below(&part.hidden)? else { return Ok(false) };
                missing_as_none(fs::rename(hidden, folder.join(&part.name))).map(|_| true)
            }
            (Self::Store(_), None) => Ok(false),
            (Self::Store(store), Some(upload)) => {
                let path = store.below(&part.name).map_err(io::Error::other)?;
                let parts = upload.parts.iter().map(|id| PartId { content_id: id.clone() }).collect();
                match wait(store.uploads().complete_multipart(&path, &upload.id, parts)) {
                    Ok(_) => Ok(true),
                    Err(error) if is_gone(&error) => Ok(false),
                    Err(error) => Err(io_failure(error)),
                }
            }
        }
    }

    /// Sees to it that what was done to the folder survives a crash of the machine.
    pub(super) fn sync(&self) -> io::Result<()> {
        match self {
            Self::Folder(folder) => File::open(folder)?.sync_all(),
            Self::Store(_) => Ok(()),
        }
    }
}

/// All objects below a folder, as names relative to it.
pub(super) fn all_names(store: &Store) -> io::Result<Vec<String>> {
    let listed = store.objects().list(Some(store.path())).map_ok(|object| object.location).try_collect::<Vec<_>>();
    let prefix = store.path();
    let relative = |path: &object_store::path::Path| {
        path.prefix_match(prefix).map(|parts| parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"))
    };
    Ok(wait(listed).map_err(io_failure)?.iter().filter_map(relative).collect())
}

/// Waits for a request, on a thread that may block.
fn wait<T>(request: impl Future<Output = T>) -> T {
    Handle::current().block_on(request)
}

/// Azure has no uploads: it says that the blocks are gone.
fn is_gone(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. }) || error.to_string().contains("InvalidBlockList")
}

fn local_children(folder: &Path) -> io::Result<Children> {
    let mut children = Children::default();
    for entry in missing_as_none(fs::read_dir(folder))?.into_iter().flatten() {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if entry.path().is_dir() { children.folders.push(name) } else { children.files.push(name) }
    }
    Ok(children)
}

/// A hard link fails if the name is taken, and appears with all its content.
fn link_new(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<bool> {
    fs::create_dir_all(folder)?;
    let temporary = folder.join(format!(".{}.tmp", Uuid::new_v4()));
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    let linked = fs::hard_link(&temporary, folder.join(name));
    fs::remove_file(&temporary)?;
    match linked {
        Ok(()) => File::open(folder)?.sync_all().map(|()| true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn missing_as_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
