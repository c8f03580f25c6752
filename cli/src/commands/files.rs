//! Spec files on the command line.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use headwater_operations::{SpecFile, Target};

use crate::failure::hinted;

/// Reads a spec file.
pub(super) fn read(path: &Path) -> Result<SpecFile> {
    let bytes = std::fs::read(path).with_context(|| format!("{} can't be read", path.display()))?;
    Ok(SpecFile { name: path.display().to_string(), bytes })
}

/// The spec files of a folder, sorted; a file stands for itself.
pub(super) fn read_all(path: &Path) -> Result<Vec<SpecFile>> {
    if !path.is_dir() {
        return Ok(vec![read(path)?]);
    }
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(path).with_context(|| format!("{} can't be read", path.display()))? {
        let path = entry?.path();
        if is_spec(&path) {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(hinted(format!("{} holds no specs", path.display()), "names of specs end in .yaml or .yml"));
    }
    files.sort();
    files.iter().map(|path| read(path)).collect()
}

/// A spec file, or the name of an approved pipeline.
pub(super) fn target(text: &str) -> Result<Target> {
    let path = Path::new(text);
    match (path.is_file(), is_spec(path)) {
        (true, _) => Ok(Target::Spec(read(path)?)),
        (false, false) => Ok(Target::Pipeline(text.to_owned())),
        (false, true) => Err(hinted(
            format!("there is no file '{text}'"),
            "give the path of a spec, or the name of an approved pipeline",
        )),
    }
}

/// Whether a name is that of a spec file.
fn is_spec(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}
