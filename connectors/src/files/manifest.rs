//! How a load becomes part of a folder exactly once.
//!
//! Files are written hidden. A manifest named by the load id is then put only if there is none: whoever puts it has won. The
//! files it names are moved to their places, and those it replaces removed, by the winner or by anyone who comes later; every
//! step may be done twice. A marker says that a manifest is completed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Hidden folder beside the data, which foreign readers skip.
pub(super) const CONTROL: &str = ".headwater";

/// A place that loads go into: a dataset folder, or one file.
#[derive(Debug, Clone)]
pub(super) struct Area {
    /// Where the files end up.
    pub folder: PathBuf,
    /// Where manifests and hidden files are.
    control: PathBuf,
    /// The file's name, if the target is one file.
    pub single: Option<String>,
}

/// What a load puts into the folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub load_id: Uuid,
    /// 0 if a fence took the id.
    pub attempt: i32,
    /// Order among manifests that are not completed yet, in microseconds since 1970.
    pub put_at: i64,
    pub files: Vec<Part>,
    /// Names of files that these replace.
    pub replaces: Vec<String>,
}

/// One file of a load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    /// Its hidden name.
    pub hidden: String,
    /// Its name in the folder.
    pub name: String,
    pub rows: u64,
    pub bytes: u64,
}

impl Area {
    pub(super) fn dataset(folder: PathBuf) -> Self {
        Self { control: folder.join(CONTROL), folder, single: None }
    }

    pub(super) fn file(folder: PathBuf, name: String) -> Self {
        Self { control: folder.join(CONTROL).join(&name), folder, single: Some(name) }
    }

    /// Path of a hidden file.
    pub(super) fn hidden(&self, name: &str) -> PathBuf {
        self.control.join(name)
    }

    fn manifest_path(&self, load_id: Uuid) -> PathBuf {
        self.control.join(format!("{load_id}.json"))
    }

    fn marker_path(&self, load_id: Uuid) -> PathBuf {
        self.control.join(format!("{load_id}.done"))
    }

    /// Makes the folders.
    pub(super) fn create(&self) -> io::Result<()> {
        fs::create_dir_all(&self.control)
    }

    /// The manifest of a load, if it was put.
    pub(super) fn manifest(&self, load_id: Uuid) -> io::Result<Option<Manifest>> {
        read(&self.manifest_path(load_id))
    }

    /// Puts the manifest unless the load has one; says whether this one is it.
    pub(super) fn put(&self, manifest: &Manifest) -> io::Result<bool> {
        self.create()?;
        let temporary = self.control.join(format!(".{}.tmp", Uuid::new_v4()));
        let mut file = File::create(&temporary)?;
        file.write_all(&serde_json::to_vec(manifest)?)?;
        file.sync_all()?;
        // A hard link fails if the name is taken, and appears with all its content.
        let linked = fs::hard_link(&temporary, self.manifest_path(manifest.load_id));
        fs::remove_file(&temporary)?;
        match linked {
            Ok(()) => File::open(&self.control)?.sync_all().map(|()| true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Moves the files of a manifest to their places and removes those they replace. May be done again by anyone.
    pub(super) fn complete(&self, manifest: &Manifest) -> io::Result<()> {
        for part in &manifest.files {
            ignore_missing(fs::rename(self.hidden(&part.hidden), self.folder.join(&part.name)))?;
        }
        for name in &manifest.replaces {
            ignore_missing(fs::remove_file(self.folder.join(name)))?;
        }
        File::open(&self.folder)?.sync_all()?;
        File::create(self.marker_path(manifest.load_id)).map(drop)
    }

    /// Completes what others have put and not completed.
    pub(super) fn recover(&self) -> io::Result<()> {
        self.pending()?.iter().try_for_each(|manifest| self.complete(manifest))
    }

    /// Manifests that are not completed, in the order in which they were put.
    fn pending(&self) -> io::Result<Vec<Manifest>> {
        let mut pending = Vec::new();
        for name in names(&self.control)? {
            let Some(load_id) = name.strip_suffix(".json").and_then(|stem| Uuid::try_parse(stem).ok()) else {
                continue;
            };
            if self.marker_path(load_id).exists() {
                continue;
            }
            pending.extend(read(&self.manifest_path(load_id))?);
        }
        pending.sort_by_key(|manifest: &Manifest| (manifest.put_at, manifest.load_id));
        Ok(pending)
    }

    /// Names of the visible files of a dataset folder.
    pub(super) fn visible(&self) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        for name in names(&self.folder)? {
            let hidden = name.starts_with(['.', '_']);
            if !hidden && self.folder.join(&name).is_file() {
                found.push(name);
            }
        }
        Ok(found)
    }

    /// The files that make up the dataset now: loads that won are whole, and nothing of any other is there.
    pub(super) fn files(&self) -> io::Result<Vec<PathBuf>> {
        if let Err(error) = self.recover() {
            // Who may only read sees the same rows, hidden files included.
            if !matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) {
                return Err(error);
            }
        }
        let mut files: BTreeSet<PathBuf> = self.visible()?.into_iter().map(|name| self.folder.join(name)).collect();
        for manifest in self.pending()? {
            let hidden = manifest.files.iter().map(|part| (self.hidden(&part.hidden), self.folder.join(&part.name)));
            files.extend(hidden.filter(|(hidden, place)| hidden.exists() && !place.exists()).map(|(hidden, _)| hidden));
            manifest.replaces.iter().for_each(|name| {
                files.remove(&self.folder.join(name));
            });
        }
        Ok(files.into_iter().collect())
    }
}

/// Whether a folder was written by loads.
pub(super) fn is_dataset(folder: &Path) -> bool {
    folder.join(CONTROL).is_dir()
}

fn read(path: &Path) -> io::Result<Option<Manifest>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    fn staged(area: &Area, load_id: Uuid, attempt: i32, replaces: Vec<String>) -> Manifest {
        area.create().unwrap();
        let hidden = format!("{load_id}-{attempt}.csv");
        fs::write(area.hidden(&hidden), format!("attempt {attempt}")).unwrap();
        let part = Part { hidden, name: format!("{load_id}.csv"), rows: 1, bytes: 9 };
        Manifest { load_id, attempt, put_at: i64::from(attempt), files: vec![part], replaces }
    }

    #[test]
    fn the_first_manifest_of_a_load_wins_and_the_other_leaves_no_rows() {
        let folder = tempfile::tempdir().unwrap();
        let area = Area::dataset(folder.path().join("orders"));
        let id = Uuid::now_v7();
        let (first, second) = (staged(&area, id, 1, vec![]), staged(&area, id, 2, vec![]));
        assert!(area.put(&second).unwrap());
        assert!(!area.put(&first).unwrap());
        assert_eq!(area.manifest(id).unwrap().unwrap().attempt, 2);
        let files = area.files().unwrap();
        assert_eq!(files.len(), 1);
        assert_eq!(fs::read_to_string(&files[0]).unwrap(), "attempt 2");
    }

    #[test]
    fn a_reader_completes_a_load_whose_writer_died_after_the_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let area = Area::dataset(folder.path().to_owned());
        fs::write(folder.path().join("old.csv"), "old").unwrap();
        let manifest = staged(&area, Uuid::now_v7(), 1, vec!["old.csv".to_owned()]);
        assert_eq!(area.files().unwrap(), [folder.path().join("old.csv")]);
        assert!(area.put(&manifest).unwrap());
        assert_eq!(area.files().unwrap(), [folder.path().join(&manifest.files[0].name)]);
        area.complete(&manifest).unwrap();
        assert_eq!(area.visible().unwrap(), [manifest.files[0].name.clone()]);
    }
}
