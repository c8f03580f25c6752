//! Compaction: the many small files that a stream leaves become few larger ones, beside the commits of loads.
//!
//! Files are told apart by tiers of size, each eight times as large as the one before. Once a partition has enough files of a tier, they are written together
//! and belong to the next one, so that a row is written again once for each tier and no more. The commit says that no data has changed: whoever follows
//! the table reads nothing again. If a file was removed meanwhile, nothing is committed.

use std::collections::{BTreeMap, HashSet};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::dataframe::DataFrame;
use deltalake::DeltaTable;
use futures::TryStreamExt;
use headwater_engine::connector::{Compacted, LoadContext};
use headwater_engine::{EngineError, ErrorKind, Result};
use uuid::Uuid;

use super::commit::{self, Contents, Guard, Removes};
use super::ground::paths;
use super::table::{Location, arrow_schema};
use super::write::{self, Layout};

/// Bytes below which a file belongs to a tier.
const TIERS: [i64; 3] = [1 << 20, 8 << 20, 64 << 20];

/// So many files of a tier are put together.
const FULL: usize = 16;

/// Bytes of files that are put together at a time.
const MOST_BYTES: i64 = 256 << 20;

/// A file of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Small {
    path: String,
    /// Its partition values as text.
    partition: String,
    bytes: i64,
}

/// Puts small files together. `None` if there are few.
pub(super) async fn run(location: &Location, load: &LoadContext) -> Result<Option<Compacted>> {
    let Some(table) = location.open().await? else { return Ok(None) };
    let chosen = choose(small(location, &table).await?);
    if chosen.is_empty() {
        return Ok(None);
    }
    let state = table.snapshot().map_err(|error| location.failed("reading", error))?;
    let partition_by = state.metadata().partition_columns().to_vec();
    let layout = Layout::new(Some(&table), arrow_schema(&table)?, partition_by.clone())?;
    let layout = Layout { writers: 1, ..layout };
    let session = load.sessions.session(std::sync::Arc::clone(&load.memory) as _, true)?;
    let rows = session.read_table(location.some_files(&table, &chosen, None)?);
    let rows = rows.map_err(EngineError::from)?;
    let names: Vec<&str> = layout.schema.fields().iter().map(|field| field.name().as_str()).collect();
    let rows = rows.select_columns(&names).map_err(EngineError::from)?;
    let written = write::files(location, &layout, load, stream(rows).await?).await?;
    let compacted = Compacted { before: chosen.len() as u64, after: written.adds.len() as u64 };
    let guard = StillThere { location, chosen: chosen.iter().cloned().collect() };
    let removes = Removes::Some(guard.chosen.clone());
    let contents =
        Contents { adds: written.adds.clone(), removes, partition_by, is_compaction: true, ..Contents::default() };
    match commit::once(location, Uuid::new_v4(), 1, &contents, &guard).await {
        Ok(_) => Ok(Some(compacted)),
        Err(error) => {
            // Only a refusal of the guard is sure to have committed nothing.
            if error.kind == ErrorKind::Conflict {
                write::remove(&location.store()?, &written.adds).await;
                return Ok(None);
            }
            Err(error)
        }
    }
}

async fn stream(rows: DataFrame) -> Result<datafusion::execution::SendableRecordBatchStream> {
    rows.execute_stream().await.map_err(EngineError::from)
}

/// The files that are smaller than the largest tier.
async fn small(location: &Location, table: &DeltaTable) -> Result<Vec<Small>> {
    let failed = |error| location.failed("reading", error);
    let state = table.snapshot().map_err(failed)?;
    let files = state.snapshot().file_views(table.log_store().as_ref(), None);
    let files = files.try_filter(|file| std::future::ready(file.size() < TIERS[TIERS.len() - 1]));
    let small = files.map_ok(|file| {
        let partition: BTreeMap<_, _> = file.partition_values_map().into_iter().collect();
        Small { path: file.path().into_owned(), partition: format!("{partition:?}"), bytes: file.size() }
    });
    small.try_collect().await.map_err(failed)
}

/// Those that are to be put together: of tiers that are full, small tiers first.
fn choose(files: Vec<Small>) -> Vec<String> {
    let tier = |bytes: i64| TIERS.iter().position(|below| bytes < *below).unwrap_or(TIERS.len());
    let mut tiers: BTreeMap<(usize, String), Vec<Small>> = BTreeMap::new();
    for file in files {
        tiers.entry((tier(file.bytes), file.partition.clone())).or_default().push(file);
    }
    let full = tiers.into_values().filter(|files| files.len() >= FULL).flatten();
    let mut room = MOST_BYTES;
    let fitting = full.take_while(|file| {
        room -= file.bytes;
        room >= 0
    });
    fitting.map(|file| file.path).collect()
}

/// Nobody has removed a file that is put together.
struct StillThere<'a> {
    location: &'a Location,
    chosen: HashSet<String>,
}

#[async_trait]
impl Guard for StillThere<'_> {
    async fn check(&self, table: &DeltaTable) -> Result<Option<SchemaRef>> {
        let now = paths(self.location, table).await?;
        match self.chosen.iter().all(|path| now.contains(path)) {
            true => Ok(None),
            false => {
                let message = format!("another writer removed files of {} meanwhile", self.location.label);
                Err(EngineError::new(ErrorKind::Conflict, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(count: usize, partition: &str, bytes: i64) -> Vec<Small> {
        let file =
            |number| Small { path: format!("{partition}{bytes}-{number}"), partition: partition.to_owned(), bytes };
        (0..count).map(file).collect()
    }

    #[test]
    fn only_full_tiers_of_a_partition_are_put_together() {
        let few = [files(15, "a", 10), files(15, "b", 10), files(15, "a", 2 << 20)].concat();
        assert!(choose(few).is_empty());
        let full = [files(16, "a", 10), files(3, "a", 2 << 20), files(15, "b", 10)].concat();
        let chosen = choose(full);
        assert_eq!(chosen.len(), 16);
        assert!(chosen.iter().all(|path| path.starts_with("a10-")));
    }

    #[test]
    fn no_more_is_put_together_at_a_time_than_is_soon_done() {
        let chosen = choose([files(20, "a", 10), files(20, "a", 60 << 20)].concat());
        assert_eq!(chosen.len(), 24, "all small ones, and four large ones");
    }
}
