//! Files that a load does not hold yet.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::Schema;
use futures::TryStreamExt;
use headwater_engine::connector::Position;
use headwater_engine::stores::Store;
use headwater_engine::{EngineError, Result};
use headwater_pipelines::spec::Columns;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore as _};
use tokio::runtime::Handle;

use super::data::{DataFile, io_failure};
use super::format::join_parts;
use super::listed::{Listed, Stamp, changed, head};
use super::listing::{self, Selection};
use super::loaded::{Key, Loaded, MOST_FILES, key};
use super::manifest::CONTROL;
use super::{Shared, io_error, source};
use crate::location::Location;

/// So many objects are looked at one by one; more are listed together.
const FEW: usize = 16;

/// What is new, and how far a load reaches that takes it.
pub(super) struct Window {
    /// `None` if nothing is new.
    pub new: Option<Selection>,
    /// The columns that the files have by themselves.
    pub schema: Schema,
    pub position: Position,
}

/// Whether a position of these files can be kept. Only for threads that may block.
pub(super) fn judge(shared: &Shared, label: &str, path: &[String]) -> Result<()> {
    few_enough(label, &listing::find(shared, path)?)
}

/// Looks for files that a load does not hold; all of them are new to one that holds none. Only for threads that may block.
pub(super) fn find(
    shared: &Shared,
    label: &str,
    path: &[String],
    columns: Option<&Columns>,
    before: Option<Loaded>,
) -> Result<Window> {
    let found = listing::find(shared, path)?;
    few_enough(label, &found)?;
    let listed = listed(shared, found)?;
    let mut keys: Vec<Key> = Vec::with_capacity(listed.len());
    let mut new = Vec::new();
    for (name, file) in &listed {
        let key = key(name, &file.stamp);
        if !before.as_ref().is_some_and(|before| before.has(&key)) {
            new.push(DataFile::Listed(Arc::clone(file)));
        }
        keys.push(key);
    }
    keys.sort_unstable();
    let last = listed.last().map(|(name, _)| name.as_str());
    let (new, schema) = match (new.is_empty(), before) {
        (true, None) => return Err(listing::nothing(shared, &join_parts(path))),
        (true, Some(before)) => (None, before.columns),
        (false, before) => {
            let selection = listing::of_one_format(shared, new)?;
            let before = before.as_ref().map(|before| &before.columns);
            let schema = source::own_schema(shared, &selection, columns, before)?;
            (Some(selection), schema)
        }
    };
    let position = Loaded { files: keys, columns: schema.clone() }.position(last)?;
    Ok(Window { new, schema, position })
}

fn few_enough(label: &str, files: &[DataFile]) -> Result<()> {
    if files.len() <= MOST_FILES {
        return Ok(());
    }
    Err(EngineError::config(format!(
        "{label} names {} files, and a cursor remembers {MOST_FILES} at most",
        files.len()
    ))
    .hint("name fewer of them, e.g. \"2026/11/*.csv\", or move files away once they are loaded"))
}

/// The files with what they are now, by their names below the connection's location, in order. A file of a set whose load is not completed yet is left to a later window.
fn listed(shared: &Shared, files: Vec<DataFile>) -> Result<Vec<(String, Arc<Listed>)>> {
    let objects = objects(&files)?;
    let mut listed = Vec::with_capacity(files.len());
    for file in files {
        let name = name_below(&shared.location, &file);
        if name.split('/').any(|part| part == CONTROL) {
            continue;
        }
        let stamp = match &file {
            DataFile::Stored(object) => match objects.get(object.path()) {
                Some(found) => Ok(Stamp::of_object(found)),
                None if objects.is_empty() => head(object).map(|found| Stamp::of_object(&found)),
                None => Err(changed()),
            },
            DataFile::Local(path) => std::fs::metadata(path).map(|metadata| Stamp::of_local(&metadata)),
            DataFile::Listed(_) => continue,
        };
        let gone = |error: std::io::Error| match error.kind() {
            // It was there a moment ago.
            std::io::ErrorKind::NotFound => EngineError::transient(format!("listing {file}: {}", changed())),
            _ => io_error("listing", &file, error),
        };
        let stamp = stamp.map_err(gone)?;
        listed.push((name, Arc::new(Listed { file, stamp })));
    }
    listed.sort_by(|(one, _), (two, _)| one.cmp(two));
    Ok(listed)
}

/// What the objects are now, in one listing of the folder that holds all of them; nothing if there are few.
fn objects(files: &[DataFile]) -> Result<HashMap<Path, ObjectMeta>> {
    let stored: Vec<&Store> = files
        .iter()
        .filter_map(|file| match file {
            DataFile::Stored(object) => Some(object),
            _ => None,
        })
        .collect();
    let (Some(first), true) = (stored.first(), stored.len() > FEW) else { return Ok(HashMap::new()) };
    let mut folder: Vec<String> = first.path().parts().map(|part| part.as_ref().to_owned()).collect();
    folder.pop();
    for object in &stored {
        let shared = object.path().parts().zip(&folder).take_while(|(part, other)| part.as_ref() == other.as_str());
        folder.truncate(shared.count());
    }
    let folder = Path::parse(folder.join("/"))
        .map_err(|error| EngineError::bug(format!("the folder of some files: {error}")))?;
    let listed = first.objects().list(Some(&folder)).map_ok(|found| (found.location.clone(), found)).try_collect();
    Handle::current().block_on(listed).map_err(|error| io_error("listing", first, io_failure(error)))
}

/// A file's name below the connection's location.
fn name_below(location: &Location, file: &DataFile) -> String {
    match (location, file.plain()) {
        (Location::Folder(folder), DataFile::Local(path)) => {
            path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned()
        }
        (Location::Store(folder), DataFile::Stored(object)) => match object.path().prefix_match(folder.path()) {
            Some(parts) => parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"),
            None => object.path().to_string(),
        },
        (_, file) => file.to_string(),
    }
}
