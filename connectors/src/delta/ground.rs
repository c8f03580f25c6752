//! What a merge depends on: the files that it has read, and that nobody adds one of its keys meanwhile.

use std::collections::HashSet;

use datafusion::common::JoinType;
use deltalake::DeltaTable;
use futures::TryStreamExt;
use headwater_engine::connector::LoadContext;
use headwater_engine::{EngineError, ErrorKind, Result};

use super::gone::Removal;
use super::held::HeldRows;
use super::merge::{BUILD_SIDE_SHARE, each_key, joined};
use super::table::Location;
use super::winners::first_of;

/// What the table was when a merge looked at it.
#[derive(Debug)]
pub(super) struct Ground {
    pub location: Location,
    pub keys: Vec<String>,
    /// Files of the table then, by their paths.
    pub files: HashSet<String>,
    /// Those of them that the commit removes.
    pub removed: Vec<String>,
    /// Those of them that hold keys of the rows. A row that is left alone because the table has it is as good as written: others must not replace it meanwhile.
    pub met: Vec<String>,
    /// Rows that were handed in.
    pub given: u64,
    /// Whether rows share their keys.
    pub repeat: bool,
    /// One row for each key, or all of them.
    pub all: HeldRows,
    /// Those of them that the commit adds.
    pub rows: HeldRows,
    /// Keys by which it deletes.
    pub removal: Removal,
    pub load: LoadContext,
}

/// The paths of the table's files.
pub(super) async fn paths(location: &Location, table: &DeltaTable) -> Result<HashSet<String>> {
    let failed = |error| location.failed("reading", error);
    let state = table.snapshot().map_err(failed)?;
    let files = state.snapshot().file_views(table.log_store().as_ref(), None);
    files.map_ok(|file| file.path().into_owned()).try_collect().await.map_err(failed)
}

impl Ground {
    /// Whether a commit can follow this version.
    pub(super) async fn check(&self, table: &DeltaTable) -> Result<()> {
        let conflict = |what: &str| {
            Err(EngineError::new(ErrorKind::Conflict, format!("{what} of {} while the load ran", self.location.label)))
        };
        let now = paths(&self.location, table).await?;
        if self.removed.iter().chain(&self.met).any(|path| !now.contains(path)) {
            return conflict("another writer removed files");
        }
        let added: Vec<String> = now.into_iter().filter(|path| !self.files.contains(path)).collect();
        if added.is_empty() || self.rows.rows == 0 {
            return Ok(());
        }
        let session = self.rows.session(&self.load, BUILD_SIDE_SHARE)?;
        let there = self.location.some_files(table, &added, None)?;
        let there = session.read_table(there).map_err(EngineError::from)?;
        let rows = each_key(self.rows.table(&session).await?, &self.keys, self.repeat)?;
        let same = joined(&self.keys, there, rows, JoinType::LeftSemi, Vec::new())?;
        match first_of(same).await? {
            Some(_) => conflict("another writer added rows of the same keys"),
            None => Ok(()),
        }
    }
}
