//! Locations that hold files: one place that opens them, for every connector.

use std::path::{Path, PathBuf};

use headwater_engine::{EngineError, Result};
use url::Url;

/// Reads a location: `file:///srv/lake`, or an absolute path.
pub(crate) fn folder(connection: &str, location: &str) -> Result<PathBuf> {
    if location.starts_with('/') {
        return Ok(PathBuf::from(location));
    }
    let url = Url::parse(location).map_err(|error| {
        EngineError::config(format!("connection '{connection}': '{location}' is not a location: {error}"))
            .hint("write file:///srv/lake")
    })?;
    match url.scheme() {
        "file" => url.to_file_path().map_err(|()| {
            EngineError::config(format!("connection '{connection}': '{location}' names no local folder"))
                .hint("write file:///srv/lake, with three slashes")
        }),
        scheme => {
            Err(EngineError::config(format!("connection '{connection}': {scheme}:// locations are not supported yet"))
                .hint("use a file:// location for now"))
        }
    }
}

/// Joins a table's path to a folder, and refuses what would leave it.
pub(crate) fn join(folder: &Path, path: &[String]) -> Result<PathBuf> {
    let mut joined = folder.to_path_buf();
    for part in path.iter().flat_map(|part| part.split('/')) {
        if part.is_empty() || part == "." || part == ".." || part.contains('\0') {
            return Err(EngineError::config(format!(
                "'{}' is not a name below the connection's location",
                path.join(".")
            ))
            .hint("use plain names, joined by '/' or '.'"));
        }
        joined.push(part);
    }
    Ok(joined)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_path_cannot_leave_its_folder() {
        assert!(join(Path::new("/srv"), &["..".to_owned(), "etc".to_owned()]).is_err());
        assert!(join(Path::new("/srv"), &["a/../../etc".to_owned()]).is_err());
        assert_eq!(join(Path::new("/srv"), &["a/b".to_owned()]).unwrap(), PathBuf::from("/srv/a/b"));
    }

    #[test]
    fn an_object_store_is_not_there_yet() {
        let error = folder("lake", "s3://bucket/x").unwrap_err();
        assert!(error.message.contains("not supported yet"), "{error}");
    }
}
