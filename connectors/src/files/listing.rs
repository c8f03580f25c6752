//! Which files a name stands for.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use headwater_engine::stores::Store;
use headwater_engine::{EngineError, Result};

use super::data::DataFile;
use super::format::{Format, join_parts, of_name};
use super::manifest::{Area, CONTROL, is_dataset};
use super::place::all_names;
use super::{Shared, io_error};
use crate::location::Location;

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
    pub files: Vec<DataFile>,
    pub format: Format,
}

/// Finds the files that a path of the connection names.
pub(super) fn select(shared: &Shared, path: &[String]) -> Result<Selection> {
    let files = find(shared, path)?;
    if files.is_empty() {
        return Err(nothing(shared, &join_parts(path)));
    }
    of_one_format(shared, files)
}

/// The same, whatever their formats are; there may be none.
pub(super) fn find(shared: &Shared, path: &[String]) -> Result<Vec<DataFile>> {
    let name = join_parts(path);
    if name.contains(['*', '?', '[']) { matching(shared, &name) } else { named(shared, &name) }
}

/// Files, of which there is one at least, that are read together.
pub(super) fn of_one_format(shared: &Shared, files: Vec<DataFile>) -> Result<Selection> {
    let first = files.first().ok_or_else(|| EngineError::bug("no file was found, and one was to be read"))?;
    let format = format_of(shared, first)?;
    for file in &files {
        if format_of(shared, file)? != format {
            return Err(EngineError::config(format!("{first} and {file} have different formats"))
                .hint("name files of one format, e.g. with an ending in the glob"));
        }
    }
    Ok(Selection { files, format })
}

fn format_of(shared: &Shared, file: &DataFile) -> Result<Format> {
    of_name(&file.name()).0.or(shared.format).ok_or_else(|| {
        EngineError::config(format!("the format of {file} is unknown"))
            .hint("set `format: csv | jsonl | parquet` on the connection, or give the file such an ending")
    })
}

/// How names are matched: `*` stays within a folder and passes hidden names.
const MATCHING: glob::MatchOptions =
    glob::MatchOptions { case_sensitive: false, require_literal_separator: true, require_literal_leading_dot: true };

fn matching(shared: &Shared, name: &str) -> Result<Vec<DataFile>> {
    if name.split('/').any(|part| part == "..") {
        return Err(EngineError::config(format!("'{name}' leaves the connection's folder")));
    }
    let wrong = |error| EngineError::config(format!("'{name}' is not a glob: {error}"));
    match &shared.location {
        Location::Folder(folder) => matching_files(folder, name, wrong),
        Location::Store(store) => {
            let pattern = glob::Pattern::new(name).map_err(wrong)?;
            matching_objects(store, name, &pattern)
                .map_err(|error| io_error("listing", format!("{store}/{name}"), error))
        }
    }
}

fn matching_files(
    folder: &Path,
    name: &str,
    wrong: impl Fn(glob::PatternError) -> EngineError,
) -> Result<Vec<DataFile>> {
    let folder = glob::Pattern::escape(&folder.to_string_lossy());
    let paths = glob::glob_with(&format!("{folder}/{name}"), MATCHING).map_err(wrong)?;
    let mut files = Vec::new();
    for path in paths {
        let path =
            path.map_err(|error| io_error("listing", error.path().display(), io::Error::from(error.error().kind())))?;
        let place = Location::Folder(path.clone());
        let listed = |error| io_error("listing", path.display(), error);
        if path.is_dir() && is_dataset(&place).map_err(listed)? {
            files.extend(Area::dataset(place).and_then(|area| area.files()).map_err(listed)?);
        } else if path.is_file() {
            files.push(DataFile::Local(path));
        }
    }
    Ok(files)
}

/// Objects and datasets whose names match. Only what is below the last folder that the pattern names is listed.
fn matching_objects(store: &Store, name: &str, pattern: &glob::Pattern) -> io::Result<Vec<DataFile>> {
    let literal = name.find(['*', '?', '[']).and_then(|first| name[..first].rfind('/'));
    let prefix = literal.map_or("", |end| &name[..end]);
    let folder = if prefix.is_empty() { store.clone() } else { store.join(prefix).map_err(io::Error::other)? };
    let within = |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
    let names: Vec<String> = all_names(&folder)?.iter().map(|name| within(name)).collect();
    let control = format!("/{CONTROL}/");
    let datasets: BTreeSet<&str> = names.iter().filter_map(|name| Some(name.split_once(&control)?.0)).collect();
    let mut files = Vec::new();
    for dataset in datasets.iter().filter(|dataset| pattern.matches_with(dataset, MATCHING)) {
        files.extend(Area::dataset(Location::Store(store.join(dataset).map_err(io::Error::other)?))?.files()?);
    }
    for name in names.iter().filter(|name| pattern.matches_with(name, MATCHING)) {
        files.push(DataFile::Stored(store.join(name).map_err(io::Error::other)?));
    }
    files.sort();
    files.dedup();
    Ok(files)
}

fn named(shared: &Shared, name: &str) -> Result<Vec<DataFile>> {
    let place = shared.location.join(&[name.to_owned()])?;
    find_named(&shared.location, name, &place).map_err(|error| io_error("listing", &place, error))
}

/// One file or dataset. A load that replaces one file may still have to be completed.
fn find_named(location: &Location, name: &str, place: &Location) -> io::Result<Vec<DataFile>> {
    let (folder, file) = match name.rsplit_once('/') {
        Some((folder, file)) => (location.below(folder)?, file),
        None => (location.clone(), name),
    };
    Area::file(folder.clone(), file.to_owned())?.recover()?;
    if folder.has_file(file)? {
        return Ok(vec![place.clone().file()]);
    }
    if folder.has_folder(file)? {
        return Area::dataset(place.clone())?.files();
    }
    // `orders` may stand for orders.csv.
    for format in [Format::Csv, Format::Jsonl, Format::Parquet] {
        let file = format!("{file}.{}", format.extension());
        if folder.has_file(&file)? {
            return Ok(vec![folder.below(&file)?.file()]);
        }
    }
    Ok(Vec::new())
}

pub(super) fn nothing(shared: &Shared, name: &str) -> EngineError {
    let error = EngineError::config(format!("connection '{}' has no file {name} in {}", shared.name, shared.location));
    let mut names: Vec<String> = catalog(&shared.location, shared.format)
        .unwrap_or_default()
        .into_iter()
        .map(|found| found.path.join("/"))
        .collect();
    names.sort_by_cached_key(|candidate| strsim::damerau_levenshtein(candidate, name));
    names.truncate(3);
    if names.is_empty() { error } else { error.hint(format!("the nearest names are {}", names.join(", "))) }
}

/// Files and dataset folders below a location, sorted.
pub(super) fn catalog(location: &Location, format: Option<Format>) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    walk(location, "", SEARCH_DEPTH, format, &mut found)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn walk(
    folder: &Location,
    prefix: &str,
    depth: usize,
    format: Option<Format>,
    found: &mut Vec<Found>,
) -> io::Result<()> {
    let children = folder.children()?;
    let visible = |name: &&String| !name.starts_with(['.', '_']);
    for name in children.files.iter().filter(visible) {
        if found.len() < MOST_LISTED && (of_name(name).0.is_some() || format.is_some()) {
            found.push(Found { path: vec![format!("{prefix}{name}")], kind: "file" });
        }
    }
    for name in children.folders.iter().filter(visible) {
        if found.len() >= MOST_LISTED {
            break;
        }
        let (path, place) = (format!("{prefix}{name}"), folder.below(name)?);
        if is_dataset(&place)? {
            found.push(Found { path: vec![path], kind: "dataset" });
        } else if depth > 1 {
            walk(&place, &format!("{path}/"), depth - 1, format, found)?;
        }
    }
    Ok(())
}
