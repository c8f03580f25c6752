//! What the catalog says about how a table is loaded: its key, its cursor and the mode of each load.

use super::{Scale, SourceColumn, SourceTable};
use crate::casing::{Meaning, settle};
use crate::spec::{AUTO_CURSOR, ExtractTask, Reach, WriteMode};

/// Names of columns that mark changed rows, in lower case and without underscores, the best first.
const MARKS: [&str; 10] = [
    "updatedat",
    "updatedon",
    "modifiedat",
    "modifiedon",
    "lastmodified",
    "lastmodifiedat",
    "lastupdated",
    "lastupdatedat",
    "lastupdate",
    "changedat",
];

/// Whether a column is called like one that marks changed rows; of several the least is the best.
pub fn mark_of_changes(name: &str) -> Option<usize> {
    let plain = name.to_lowercase().replace('_', "");
    MARKS.iter().position(|mark| *mark == plain)
}

/// How a table is loaded.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Derived<'t> {
    /// Columns that identify a row; empty if none do.
    pub(super) key: Vec<String>,
    /// Where the key comes from.
    pub(super) key_of: KeyOf,
    /// The column whose growth marks new rows.
    pub(super) cursor: Option<&'t SourceColumn>,
    /// The mode of each load.
    pub(super) modes: Vec<WriteMode>,
    /// Whether a mode other than the one that was asked for was taken for want of a key.
    pub(super) lacks_key: bool,
    /// Whether new rows alone were asked for and the table has no column for that.
    pub(super) lacks_cursor: bool,
}

/// Where a key comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyOf {
    /// The primary key.
    Primary,
    /// The only unique key of columns that can't be NULL.
    Unique,
    /// There is none.
    Nothing,
}

/// Derives how a table is loaded by loads of these modes; `None` leaves the mode to the table.
pub(super) fn derive<'t>(table: &'t SourceTable, extract: &ExtractTask, wanted: &[Option<WriteMode>]) -> Derived<'t> {
    let (key, key_of) = key(table);
    let lacks_key =
        key.is_empty() && wanted.iter().any(|mode| !matches!(mode, Some(WriteMode::Append | WriteMode::Overwrite)));
    let mut modes: Vec<WriteMode> = wanted
        .iter()
        .map(|mode| match mode {
            None | Some(WriteMode::Upsert | WriteMode::InsertNew) if key.is_empty() => WriteMode::Overwrite,
            mode => mode.unwrap_or(WriteMode::Upsert),
        })
        .collect();
    // Of a table that one load needs whole, no load can take new rows alone: all of them read one dataset.
    let is_whole = modes.contains(&WriteMode::Overwrite);
    let is_immutable = modes.iter().all(|mode| matches!(mode, WriteMode::Append | WriteMode::InsertNew));
    let found = cursor(table, extract, is_immutable);
    let lacks_cursor = extract.cursor.is_some() && !is_whole && found.is_none();
    let cursor = found.filter(|_| !is_whole);
    if extract.cursor.is_some() && cursor.is_none() {
        // Without a cursor each run reads all rows, and an append would add them again.
        modes.iter_mut().filter(|mode| **mode == WriteMode::Append).for_each(|mode| *mode = WriteMode::Overwrite);
    }
    Derived { key, key_of, cursor, modes, lacks_key, lacks_cursor }
}

fn key(table: &SourceTable) -> (Vec<String>, KeyOf) {
    if !table.primary_key.is_empty() {
        return (table.primary_key.clone(), KeyOf::Primary);
    }
    let is_filled = |name: &String| table.columns.iter().any(|column| column.name == *name && !column.nullable);
    let mut keys = table.unique_keys.iter().filter(|key| !key.is_empty() && key.iter().all(is_filled));
    match (keys.next(), keys.next()) {
        (Some(key), None) => (key.clone(), KeyOf::Unique),
        _ => (Vec::new(), KeyOf::Nothing),
    }
}

fn cursor<'t>(table: &'t SourceTable, extract: &ExtractTask, is_immutable: bool) -> Option<&'t SourceColumn> {
    let wanted = extract.cursor.as_deref().filter(|_| !table.is_view())?;
    let fits = |column: &&SourceColumn| !column.nullable || extract.cursor_nulls.is_some();
    if wanted != AUTO_CURSOR {
        let names = table.columns.iter().map(|column| column.name.as_str());
        let Meaning::One(name) = settle(wanted, false, names) else { return None };
        let column = table.columns.iter().find(|column| column.name == name)?;
        return Some(column).filter(|column| column.scale != Scale::Other).filter(fits);
    }
    let times = table.columns.iter().filter(fits).filter(|column| column.scale == Scale::Timestamp);
    let named = times.filter_map(|column| Some((mark_of_changes(&column.name)?, column)));
    let best = named.min_by_key(|(mark, _)| *mark).map(|(_, column)| column);
    best.or_else(|| match table.primary_key.as_slice() {
        [only] if is_immutable => {
            table.columns.iter().find(|column| column.name == *only && column.scale == Scale::Integer)
        }
        _ => None,
    })
}

/// Whether a distance is one on the scale of a column.
pub(super) fn is_on_scale(reach: Reach, column: &SourceColumn) -> bool {
    let is_time = matches!(column.scale, Scale::Timestamp | Scale::Date);
    matches!(reach, Reach::Time(_)) == is_time
}
