//! Spec files on the command line.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use headwater_operations::{SpecFile, Target};

use crate::failure::hinted;

/// Bytes of the largest spec.
const LARGEST: u64 = 16 << 20;

/// Reads a spec file.
pub(super) fn read(path: &Path) -> Result<SpecFile> {
    let unreadable = || format!("{} can't be read", path.display());
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).with_context(unreadable)?;
    file.take(LARGEST + 1).read_to_end(&mut bytes).with_context(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(hinted(
            format!("{} is larger than {} MB", path.display(), LARGEST >> 20),
            "give the path of a spec",
        ));
    }
    Ok(SpecFile { name: path.display().to_string(), bytes })
}

/// The spec files of a folder, sorted; a file stands for itself. What is no regular file is no spec of a folder: reading it may never end.
pub(super) fn read_all(path: &Path) -> Result<Vec<SpecFile>> {
    if !path.is_dir() {
        return Ok(vec![read(path)?]);
    }
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(path).with_context(|| format!("{} can't be read", path.display()))? {
        let path = entry?.path();
        if is_spec(&path) && path.is_file() {
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
