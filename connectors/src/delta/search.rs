//! Finding the tables below a location.

use std::io;
use std::path::{Path, PathBuf};

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};
use headwater_engine::stores::Store;
use object_store::ObjectStore as _;

use super::table::LOG;
use crate::location::Location;

/// Folders below a location are searched for tables to this depth.
const SEARCH_DEPTH: usize = 4;

/// Requests to an object store at a time.
const PARALLEL: usize = 8;

/// Paths of the tables, sorted.
pub(super) async fn tables(location: &Location) -> io::Result<Vec<Vec<String>>> {
    let mut found = match location {
        Location::Folder(folder) => in_folder(folder.clone()).await?,
        Location::Store(store) => {
            let folders = subfolders(store, store.path()).await?;
            search(store, folders, Vec::new()).await?
        }
    };
    found.sort();
    Ok(found)
}

/// Whether a folder may hold tables that can be read: what Delta decodes to another name can't.
fn is_visible(name: &str) -> bool {
    !name.starts_with(['.', '_']) && !name.contains('%')
}

async fn in_folder(folder: PathBuf) -> io::Result<Vec<Vec<String>>> {
    let search = move || {
        let mut found = Vec::new();
        walk(&folder, &mut Vec::new(), &mut found)?;
        Ok(found)
    };
    tokio::task::spawn_blocking(search).await.map_err(io::Error::other)?
}

fn walk(folder: &Path, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !is_visible(&name) || !entry.file_type()?.is_dir() {
            continue;
        }
        path.push(name);
        if entry.path().join(LOG).is_dir() {
            found.push(path.clone());
        } else if path.len() < SEARCH_DEPTH {
            walk(&entry.path(), path, found)?;
        }
        path.pop();
    }
    Ok(())
}

/// Names of the folders directly below a path.
async fn subfolders(store: &Store, path: &object_store::path::Path) -> io::Result<Vec<String>> {
    let listed = store.objects().list_with_delimiter(Some(path)).await.map_err(io::Error::from)?;
    Ok(listed.common_prefixes.iter().filter_map(|prefix| prefix.filename().map(str::to_owned)).collect())
}

/// Searches the folders of these names below a parent.
fn search<'a>(
    store: &'a Store,
    folders: Vec<String>,
    parent: Vec<String>,
) -> BoxFuture<'a, io::Result<Vec<Vec<String>>>> {
    async move {
        let visible = folders.into_iter().filter(|name| is_visible(name));
        let searched = visible.map(|name| {
            let path = [parent.as_slice(), &[name]].concat();
            async move {
                let below = store.below(&path.join("/")).map_err(io::Error::other)?;
                let folders = subfolders(store, &below).await?;
                if folders.iter().any(|name| name == LOG) {
                    Ok(vec![path])
                } else if path.len() < SEARCH_DEPTH {
                    search(store, folders, path).await
                } else {
                    Ok(Vec::new())
                }
            }
        });
        futures::stream::iter(searched).buffered(PARALLEL).try_concat().await
    }
    .boxed()
}
