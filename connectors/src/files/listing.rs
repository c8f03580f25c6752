//! Which files a name stands for.

use std::io;
use std::path::{Path, PathBuf};

use headwater_engine::{EngineError, Result};

use super::format::{Format, join_parts, of_name};
use super::manifest::{Area, is_dataset};
use super::{Shared, io_error};
use crate::location;

/// Folders are searched to this depth for the catalog.
const SEARCH_DEPTH: usize = 4;

/// More than this are not listed, so that a huge folder can't stall the catalog.
const MOST_LISTED: usize = 10_000;

/// An entry of the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub path: Vec<String>,
    pub kind: &'static str,
}

/// The files of a name, which all have one format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selection {
    pub files: Vec<PathBuf>,
    pub format: Format,
}

/// Finds the files that a path of the connection names.
pub(super) fn select(shared: &Shared, path: &[String]) -> Result<Selection> {
    let name = join_parts(path);
    let files = if name.contains(['*', '?', '[']) { matching(shared, &name)? } else { named(shared, &name)? };
    let Some(first) = files.first() else { return Err(nothing(shared, &name)) };
    let format = format_of(shared, first)?;
    for file in &files {
        if format_of(shared, file)? != format {
            return Err(EngineError::config(format!(
                "{} and {} have different formats",
                first.display(),
                file.display()
            ))
            .hint("name files of one format, e.g. with an ending in the glob"));
        }
    }
    Ok(Selection { files, format })
}

fn format_of(shared: &Shared, file: &Path) -> Result<Format> {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    of_name(&name).0.or(shared.format).ok_or_else(|| {
        EngineError::config(format!("the format of {} is unknown", file.display()))
            .hint("set `format: csv | jsonl | parquet` on the connection, or give the file such an ending")
    })
}

fn matching(shared: &Shared, name: &str) -> Result<Vec<PathBuf>> {
    if name.split('/').any(|part| part == "..") {
        return Err(EngineError::config(format!("'{name}' leaves the connection's folder")));
    }
    let folder = glob::Pattern::escape(&shared.folder.to_string_lossy());
    let options =
        glob::MatchOptions { require_literal_separator: true, require_literal_leading_dot: true, ..Default::default() };
    let paths = glob::glob_with(&format!("{folder}/{name}"), options)
        .map_err(|error| EngineError::config(format!("'{name}' is not a glob: {error}")))?;
    let mut files = Vec::new();
    for path in paths {
        let path = path.map_err(|error| io_error("listing", error.path(), io::Error::from(error.error().kind())))?;
        if path.is_dir() && is_dataset(&path) {
            files.extend(Area::dataset(path.clone()).files().map_err(|error| io_error("listing", &path, error))?);
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(files)
}

fn named(shared: &Shared, name: &str) -> Result<Vec<PathBuf>> {
    let path = location::join(&shared.folder, &[name.to_owned()])?;
    if let (Some(parent), Some(file)) = (path.parent(), path.file_name().and_then(|file| file.to_str())) {
        // A load that replaces one file may still have to be completed.
        let area = Area::file(parent.to_owned(), file.to_owned());
        area.recover().map_err(|error| io_error("completing a load into", &path, error))?;
    }
    if path.is_dir() {
        return Area::dataset(path.clone()).files().map_err(|error| io_error("listing", &path, error));
    }
    if path.is_file() {
        return Ok(vec![path]);
    }
    // `orders` may stand for orders.csv.
    let formats = [Format::Csv, Format::Jsonl, Format::Parquet];
    let with_ending = |format: Format| PathBuf::from(format!("{}.{}", path.display(), format.extension()));
    Ok(formats.into_iter().map(with_ending).filter(|path| path.is_file()).take(1).collect())
}

fn nothing(shared: &Shared, name: &str) -> EngineError {
    let error =
        EngineError::config(format!("connection '{}' has no file {name} in {}", shared.name, shared.folder.display()));
    let mut names: Vec<String> = catalog(&shared.folder, shared.format)
        .unwrap_or_default()
        .into_iter()
        .map(|found| found.path.join("/"))
        .collect();
    names.sort_by_cached_key(|candidate| strsim::damerau_levenshtein(candidate, name));
    names.truncate(3);
    if names.is_empty() { error } else { error.hint(format!("the nearest names are {}", names.join(", "))) }
}

/// Files and dataset folders below a folder, sorted.
pub(super) fn catalog(folder: &Path, format: Option<Format>) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    walk(folder, "", SEARCH_DEPTH, format, &mut found)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn walk(folder: &Path, prefix: &str, depth: usize, format: Option<Format>, found: &mut Vec<Found>) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with(['.', '_']) || found.len() >= MOST_LISTED {
            continue;
        }
        let path = format!("{prefix}{name}");
        let is_folder = entry.path().is_dir();
        if is_folder && is_dataset(&entry.path()) {
            found.push(Found { path: vec![path], kind: "dataset" });
        } else if is_folder && depth > 1 {
            walk(&entry.path(), &format!("{path}/"), depth - 1, format, found)?;
        } else if !is_folder && (of_name(&name).0.is_some() || format.is_some()) {
            found.push(Found { path: vec![path], kind: "file" });
        }
    }
    Ok(())
}
