//! How a load becomes part of a folder exactly once.
//!
//! Files are written hidden; in an object store they are uploads that are not completed. A manifest named by the load id is then
//! put only if there is none: whoever puts it has won. The files it names are given their places, and those it replaces removed,
//! by the winner or by anyone who comes later; every step may be done twice. A marker says that a manifest is completed.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::data::DataFile;
use super::upload::{Hidden, Upload};
use crate::location::Location;

/// Hidden folder beside the data, which foreign readers skip.
pub(super) const CONTROL: &str = ".headwater";

/// A place that loads go into: a dataset folder, or one file.
#[derive(Debug, Clone)]
pub(super) struct Area {
    /// Where the files end up.
    pub folder: Location,
    /// Where manifests and hidden files are.
    control: Location,
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
    /// Its hidden name on a local disk.
    pub hidden: String,
    /// Its name in the folder.
    pub name: String,
    pub rows: u64,
    pub bytes: u64,
    /// What has to be completed in an object store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<Upload>,
}

impl Area {
    pub(super) fn dataset(folder: Location) -> io::Result<Self> {
        Ok(Self { control: folder.below(CONTROL)?, folder, single: None })
    }

    pub(super) fn file(folder: Location, name: String) -> io::Result<Self> {
        Ok(Self { control: folder.below(CONTROL)?.below(&name)?, folder, single: Some(name) })
    }

    /// A place for a file of an attempt, which is to have this name.
    pub(super) fn hide(&self, hidden: &str, name: &str) -> io::Result<Hidden> {
        match (self.control.below(hidden)?, self.folder.below(name)?) {
            (Location::Folder(path), _) => Ok(Hidden::File(path)),
            (_, Location::Store(object)) => Hidden::upload(object),
            (Location::Store(_), Location::Folder(_)) => Err(io::Error::other("a folder in two places")),
        }
    }

    /// Removes a file of an attempt that did not win.
    pub(super) fn discard(&self, part: &Part) {
        let hidden = match (&part.upload, self.control.below(&part.hidden), self.folder.below(&part.name)) {
            (None, Ok(Location::Folder(path)), _) => Hidden::File(path),
            (Some(upload), _, Ok(Location::Store(object))) => Hidden::Upload { object, id: upload.id.clone() },
            _ => return,
        };
        hidden.discard();
    }

    /// Makes the folders.
    pub(super) fn create(&self) -> io::Result<()> {
        self.control.create()
    }

    /// The manifest of a load, if it was put.
    pub(super) fn manifest(&self, load_id: Uuid) -> io::Result<Option<Manifest>> {
        let bytes = self.control.read(&manifest_name(load_id))?;
        Ok(bytes.map(|bytes| serde_json::from_slice(&bytes)).transpose()?)
    }

    /// Puts the manifest unless the load has one; returns the one that is there.
    pub(super) fn put(&self, manifest: &Manifest) -> io::Result<Manifest> {
        let put = self.control.put_new(&manifest_name(manifest.load_id), serde_json::to_vec(manifest)?);
        // After an error it may be there all the same: the folder is asked.
        match (self.manifest(manifest.load_id), put) {
            (Ok(Some(winner)), _) => Ok(winner),
            (_, Err(error)) | (Err(error), Ok(_)) => Err(error),
            (Ok(None), Ok(_)) => Err(io::Error::other("a manifest vanished")),
        }
    }

    /// Gives the files of a manifest their places and removes those they replace. May be done again by anyone.
    pub(super) fn complete(&self, manifest: &Manifest) -> io::Result<()> {
        for part in &manifest.files {
            let revealed = self.folder.reveal(part, &self.control)?;
            if !revealed && !self.folder.has_file(&part.name)? {
                // A later load may have replaced it, but only after this manifest was completed.
                if self.control.has_file(&marker_name(manifest.load_id))? {
                    return Ok(());
                }
                return Err(io::Error::other(format!(
                    "the upload of {} is gone before it was completed (do the bucket's rules end incomplete uploads too early?); \
                     removing {CONTROL}/…/{} gives its load up",
                    part.name,
                    manifest_name(manifest.load_id)
                )));
            }
        }
        for name in &manifest.replaces {
            self.folder.remove(name)?;
        }
        self.folder.sync()?;
        self.control.mark(&marker_name(manifest.load_id))
    }

    /// The manifest of a load, completed, if it was put.
    pub(super) fn settled(&self, load_id: Uuid) -> io::Result<Option<Manifest>> {
        let manifest = self.manifest(load_id)?;
        if let Some(manifest) = &manifest
            && !self.control.has_file(&marker_name(load_id))?
        {
            self.complete(manifest)?;
        }
        Ok(manifest)
    }

    /// Completes what others have put and not completed.
    pub(super) fn recover(&self) -> io::Result<()> {
        self.pending(&self.control.children()?.files)?.iter().try_for_each(|manifest| self.complete(manifest))
    }

    /// Manifests that are not completed, in the order in which they were put, by the names of the control folder.
    fn pending(&self, names: &[String]) -> io::Result<Vec<Manifest>> {
        let mut pending = Vec::new();
        for name in names {
            let Some(load_id) = name.strip_suffix(".json").and_then(|stem| Uuid::try_parse(stem).ok()) else {
                continue;
            };
            if names.binary_search(&marker_name(load_id)).is_err() {
                pending.extend(self.manifest(load_id)?);
            }
        }
        pending.sort_by_key(|manifest: &Manifest| (manifest.put_at, manifest.load_id));
        Ok(pending)
    }

    /// Names of the visible files of a dataset folder.
    pub(super) fn visible(&self) -> io::Result<Vec<String>> {
        let names = self.folder.children()?.files;
        Ok(names.into_iter().filter(|name| !name.starts_with(['.', '_'])).collect())
    }

    /// The files that make up the dataset now: loads that won are whole, and nothing of any other is there.
    pub(super) fn files(&self) -> io::Result<Vec<DataFile>> {
        match &self.folder {
            Location::Folder(_) => self.local_files(),
            Location::Store(_) => self.stored_files(),
        }
    }

    fn local_files(&self) -> io::Result<Vec<DataFile>> {
        if let Err(error) = self.recover() {
            // Who may only read sees the same rows, hidden files included.
            if !matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) {
                return Err(error);
            }
        }
        let place = |name: &String| Ok::<_, io::Error>(self.folder.below(name)?.file());
        let mut files = self.visible()?.iter().map(place).collect::<io::Result<BTreeSet<DataFile>>>()?;
        for manifest in self.pending(&self.control.children()?.files)? {
            for part in &manifest.files {
                if self.control.has_file(&part.hidden)? && !self.folder.has_file(&part.name)? {
                    files.insert(self.control.below(&part.hidden)?.file());
                }
            }
            for name in &manifest.replaces {
                files.remove(&place(name)?);
            }
        }
        Ok(files.into_iter().collect())
    }

    /// An upload can't be read before it is completed. So the reader completes what is pending, and looks again until no load
    /// came in between: the names it then has are those of whole loads.
    fn stored_files(&self) -> io::Result<Vec<DataFile>> {
        let mut looked: Option<(Vec<String>, Vec<String>)> = None;
        loop {
            let control = self.control.children()?.files;
            if let Some((before, visible)) = looked.take()
                && before == control
            {
                return visible.iter().map(|name| Ok(self.folder.below(name)?.file())).collect();
            }
            self.pending(&control)?.iter().try_for_each(|manifest| self.complete(manifest))?;
            looked = Some((control, self.visible()?));
        }
    }
}

/// Whether a folder was written by loads.
pub(super) fn is_dataset(folder: &Location) -> io::Result<bool> {
    folder.has_folder(CONTROL)
}

fn manifest_name(load_id: Uuid) -> String {
    format!("{load_id}.json")
}

fn marker_name(load_id: Uuid) -> String {
    format!("{load_id}.done")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use std::fs;

    use super::*;

    fn area(folder: &std::path::Path) -> Area {
        Area::dataset(Location::Folder(folder.to_owned())).unwrap()
    }

    fn read(file: &DataFile) -> String {
        std::io::read_to_string(file.open().unwrap()).unwrap()
    }

    fn staged(area: &Area, load_id: Uuid, attempt: i32, replaces: Vec<String>) -> Manifest {
        area.create().unwrap();
        let hidden = format!("{load_id}-{attempt}.csv");
        let Hidden::File(path) = area.hide(&hidden, "x").unwrap() else { panic!("a local file") };
        fs::write(path, format!("attempt {attempt}")).unwrap();
        let part = Part { hidden, name: format!("{load_id}.csv"), rows: 1, bytes: 9, upload: None };
        Manifest { load_id, attempt, put_at: i64::from(attempt), files: vec![part], replaces }
    }

    #[test]
    fn the_first_manifest_of_a_load_wins_and_the_other_leaves_no_rows() {
        let folder = tempfile::tempdir().unwrap();
        let area = area(&folder.path().join("orders"));
        let id = Uuid::now_v7();
        let (first, second) = (staged(&area, id, 1, vec![]), staged(&area, id, 2, vec![]));
        assert_eq!(area.put(&second).unwrap(), second);
        assert_eq!(area.put(&first).unwrap(), second);
        assert_eq!(area.manifest(id).unwrap().unwrap().attempt, 2);
        let files = area.files().unwrap();
        assert_eq!(files.len(), 1);
        assert_eq!(read(&files[0]), "attempt 2");
    }

    #[test]
    fn a_reader_completes_a_load_whose_writer_died_after_the_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let area = area(folder.path());
        fs::write(folder.path().join("old.csv"), "old").unwrap();
        let manifest = staged(&area, Uuid::now_v7(), 1, vec!["old.csv".to_owned()]);
        assert_eq!(area.files().unwrap(), [DataFile::Local(folder.path().join("old.csv"))]);
        area.put(&manifest).unwrap();
        assert_eq!(area.files().unwrap(), [DataFile::Local(folder.path().join(&manifest.files[0].name))]);
        area.complete(&manifest).unwrap();
        assert_eq!(area.visible().unwrap(), [manifest.files[0].name.clone()]);
    }
}
