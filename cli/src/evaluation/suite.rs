//! Folders of cases.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::case::{Case, read_case};
use crate::failure::hinted;

/// The cases of one schema.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) name: String,
    pub(super) ddl: String,
    pub(super) data: String,
    pub(super) hostile: String,
    pub(super) changes: String,
    /// Cases by name.
    pub(super) cases: BTreeMap<String, Case>,
}

/// Schemas with their cases.
#[derive(Debug)]
pub(crate) struct Suite {
    pub(super) folder: PathBuf,
    pub(super) schemas: Vec<Schema>,
}

/// Which cases are tried.
#[derive(Debug, Clone, Default)]
pub(crate) struct SuiteFilter {
    /// Schemas by name; all if empty.
    pub(crate) schemas: Vec<String>,
    /// One case by name.
    pub(crate) case: Option<String>,
    /// Simple wordings alone.
    pub(crate) simple: bool,
}

impl Suite {
    /// Reads a folder of schemas, or that of one schema.
    pub(crate) fn read(folder: &Path, filter: &SuiteFilter) -> Result<Self> {
        let folders = if folder.join("schema.sql").is_file() { vec![folder.to_owned()] } else { below(folder)? };
        let mut schemas = Vec::new();
        for folder in &folders {
            schemas.push(Schema::read(folder)?);
        }
        let known: BTreeSet<&String> = schemas.iter().map(|schema| &schema.name).collect();
        if let Some(unknown) = filter.schemas.iter().find(|name| !known.contains(name)) {
            let names = known.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(hinted(format!("there is no schema '{unknown}'"), format!("the schemas are {names}")));
        }
        schemas.retain(|schema| filter.schemas.is_empty() || filter.schemas.contains(&schema.name));
        for schema in &mut schemas {
            schema.cases.retain(|name, _| filter.case.as_ref().is_none_or(|only| only == name));
            for case in schema.cases.values_mut().filter(|_| filter.simple) {
                case.wordings.retain(|wording| wording.simple);
            }
            schema.cases.retain(|_, case| !case.wordings.is_empty());
        }
        schemas.retain(|schema| !schema.cases.is_empty());
        if schemas.is_empty() {
            return Err(hinted(
                format!("no case below {} is left to try", folder.display()),
                "name a folder of schemas, each with schema.sql and cases/, and check --schema, --case and --simple",
            ));
        }
        Ok(Self { folder: folder.to_owned(), schemas })
    }

    /// How many wordings there are.
    pub(crate) fn wordings(&self) -> usize {
        self.schemas.iter().map(Schema::wordings).sum()
    }
}

impl Schema {
    fn read(folder: &Path) -> Result<Self> {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut cases = BTreeMap::new();
        for file in
            entries(&folder.join("cases"))?.into_iter().filter(|file| file.extension().is_some_and(|e| e == "yaml"))
        {
            let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            cases.insert(stem, read_case(&file)?);
        }
        let file = |name: &str| text(&folder.join(name));
        Ok(Self {
            ddl: file("schema.sql")?,
            data: file("data.sql")?,
            hostile: file("hostile.sql")?,
            changes: file("changes.sql")?,
            name,
            cases,
        })
    }

    pub(super) fn wordings(&self) -> usize {
        self.cases.values().map(|case| case.wordings.len()).sum()
    }
}

fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))
}

/// What is in a folder, by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = || format!("{} can't be read", folder.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(unreadable)? {
        paths.push(entry.with_context(unreadable)?.path());
    }
    paths.sort();
    Ok(paths)
}

fn below(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(entries(folder)?.into_iter().filter(|path| path.join("schema.sql").is_file()).collect())
}
