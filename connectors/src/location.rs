//! Locations that hold files: one place that opens them, for every connector.

use std::fmt;
use std::path::PathBuf;
use std::time::Instant;

use headwater_engine::connector::Health;
use headwater_engine::stores::{self, Store};
use headwater_engine::{EngineError, Result};
use serde_json::{Map, Value};
use url::Url;

/// Where a connection, a table or a dataset is.
#[derive(Debug, Clone)]
pub(crate) enum Location {
    /// A local folder.
    Folder(PathBuf),
    /// A folder of an object store.
    Store(Store),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::Store(store) => write!(f, "{store}"),
        }
    }
}

/// Opens a location: `file:///srv/lake`, an absolute path, `s3://bucket/folder`, `gs://…` or `az://…`.
pub(crate) fn open(connection: &str, location: &str, options: &Map<String, Value>) -> Result<Location> {
    let owner = format!("connection '{connection}'");
    let local = |folder: PathBuf| match options.keys().next() {
        Some(option) => Err(EngineError::config(format!("{owner}: a local folder has no option '{option}'"))
            .hint("leave `options` out")
            .at_setting(format!("options.{option}"))),
        None => Ok(Location::Folder(folder)),
    };
    if location.starts_with('/') {
        return local(PathBuf::from(location));
    }
    let url = Url::parse(location).map_err(|error| {
        EngineError::config(format!("{owner}: its location can't be read: {error}"))
            .hint("write file:///srv/lake or s3://bucket/folder")
            .at_setting("location")
    })?;
    if url.scheme() != "file" {
        return Ok(Location::Store(stores::open(&owner, &url, options)?));
    }
    let folder = url.to_file_path().map_err(|()| {
        EngineError::config(format!("{owner}: its location names no local folder"))
            .hint("write file:///srv/lake, with three slashes")
            .at_setting("location")
    })?;
    local(folder)
}

impl Location {
    /// Joins a table's path, and refuses what would leave the location.
    pub(crate) fn join(&self, path: &[String]) -> Result<Self> {
        let parts = parts(path);
        if parts.iter().any(|part| part.is_empty() || *part == "." || *part == ".." || part.contains(char::is_control))
        {
            return Err(unfit(path, "is not a name below the connection's location"));
        }
        Ok(match self {
            Self::Folder(folder) => Self::Folder(folder.join(parts.join("/"))),
            Self::Store(store) => Self::Store(store.join(&parts.join("/"))?),
        })
    }

    /// The same for what is written: a name that readers would decode, or that listings pass over, would hide the rows.
    pub(crate) fn join_new(&self, path: &[String]) -> Result<Self> {
        refuse_escapes(path)?;
        if let Some(hidden) = parts(path).into_iter().find(|part| part.starts_with(['.', '_'])) {
            return Err(unfit(path, &format!("can't be written: readers pass over names such as '{hidden}'")));
        }
        self.join(path)
    }

    /// Reaches the location and says what it is. An object store has to refuse to put what is there.
    pub(crate) async fn check(&self, connection: &str) -> Result<Health> {
        let start = Instant::now();
        let mut notes = Vec::new();
        let (version, transport) = match self {
            Self::Folder(folder) => {
                match tokio::fs::metadata(folder).await {
                    Ok(metadata) if metadata.is_dir() => {}
                    Ok(_) => return Err(self.unreadable(connection, std::io::Error::other("not a folder"))),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                        notes.push(format!("{} does not exist yet; the first load makes it", folder.display()));
                    }
                    Err(error) => return Err(self.unreadable(connection, error)),
                }
                ("local folder".to_owned(), "local")
            }
            Self::Store(store) => {
                store.reach().await?;
                (store.server(), store.transport())
            }
        };
        let latency_us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        if let Self::Store(store) = self
            && !store.prove_put_if_absent().await?
        {
            notes.push("nothing may be written here with these credentials, so that it can only be read".to_owned());
        }
        Ok(Health { version, identity: None, transport: transport.to_owned(), latency_us, tables: 0, notes })
    }

    /// A folder that can't be listed.
    pub(crate) fn unreadable(&self, connection: &str, error: std::io::Error) -> EngineError {
        let message = format!("connection '{connection}': {self} can't be read: {error}");
        match self {
            Self::Folder(_) => {
                EngineError::config(message).hint("does the folder exist, and may this user read it?").caused_by(error)
            }
            Self::Store(_) => EngineError::transient(message),
        }
    }
}

/// Refuses a path that readers of addresses take for another one: they decode `a%20b` to `a b`.
pub(crate) fn refuse_escapes(path: &[String]) -> Result<()> {
    match path.iter().any(|part| part.contains('%')) {
        true => Err(unfit(path, "holds a '%', which readers decode: they would look for another name")),
        false => Ok(()),
    }
}

/// Parts of a path, which names may join by slashes.
fn parts(path: &[String]) -> Vec<&str> {
    path.iter().flat_map(|part| part.split('/')).collect()
}

fn unfit(path: &[String], why: &str) -> EngineError {
    EngineError::config(format!("'{}' {why}", path.join(".")))
        .hint("use plain names, joined by '/' or '.'; of a whole schema, leave such a table out: exclude: [name]")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    fn options(options: Value) -> Map<String, Value> {
        options.as_object().unwrap().clone()
    }

    #[test]
    fn a_path_cannot_leave_its_folder() {
        let keys = options(json!({ "access_key_id": "a", "secret_access_key": "b" }));
        for location in [open("lake", "/srv", &Map::new()).unwrap(), open("lake", "s3://acme/srv", &keys).unwrap()] {
            assert!(location.join(&["..".to_owned(), "etc".to_owned()]).is_err());
            assert!(location.join(&["a/../../etc".to_owned()]).is_err());
            let joined = location.join(&["a/b".to_owned()]).unwrap().to_string();
            assert!(joined.ends_with("/srv/a/b"), "{joined}");
        }
    }

    #[test]
    fn what_no_reader_would_find_is_not_written() {
        let keys = options(json!({ "access_key_id": "a", "secret_access_key": "b" }));
        for location in [open("lake", "/srv", &Map::new()).unwrap(), open("lake", "s3://acme/srv", &keys).unwrap()] {
            for hidden in
                ["a%20b", "100%", "x/_delta_log", "_delta_log", "_x", ".x", "a/.x/b", "a\nb", "a\u{1b}[2J", ".."]
            {
                let error = location.join_new(&[hidden.to_owned()]).unwrap_err();
                assert!(error.hint.unwrap().contains("exclude"), "{hidden}");
            }
            for fine in ["a b", "x_", "a.b/c", "Größe", "{x}"] {
                assert!(location.join_new(&[fine.to_owned()]).is_ok(), "{fine}");
            }
            // What others have written is read, however they named it.
            assert!(location.join(&["_staging/dt=2026%3A01.csv".to_owned()]).is_ok());
            assert!(location.join(&["a\nb".to_owned()]).is_err());
        }
    }

    #[test]
    fn a_local_folder_has_no_options() {
        let error = open("lake", "file:///srv", &options(json!({ "region": "x" }))).unwrap_err();
        assert_eq!(error.message, "connection 'lake': a local folder has no option 'region'");
    }

    #[test]
    fn a_location_that_nothing_opens_names_those_that_can_be_opened() {
        let error = open("lake", "ftp://acme/x", &Map::new()).unwrap_err();
        assert!(error.hint.unwrap().contains("s3://"));
    }
}
