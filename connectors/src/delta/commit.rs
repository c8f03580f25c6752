//! The one commit of a load, and how it finds out who won.

use std::collections::HashSet;
use std::time::Duration;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use deltalake::DeltaTable;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Add, LogicalFileView, Transaction};
use deltalake::protocol::{DeltaOperation, SaveMode};
use futures::TryStreamExt;
use headwater_engine::connector::{Commit, Mark, Taken};
use headwater_engine::{EngineError, Result};
use uuid::Uuid;

use super::columns;
use super::table::Location;

/// Other writers may come first this often before the load gives up and is planned again.
const ATTEMPTS: u32 = 40;

/// The longest pause between two tries; each is drawn at random below its bound, so that rivals spread out.
const LONGEST_PAUSE: Duration = Duration::from_millis(800);

/// What a commit holds besides the load id.
#[derive(Debug, Clone, Default)]
pub(super) struct Contents {
    pub adds: Vec<Add>,
    /// Files that are removed in the same commit.
    pub removes: Removes,
    pub partition_by: Vec<String>,
    /// Cursors that it moves.
    pub marks: Vec<Mark>,
    /// The added files hold what the removed ones held.
    pub is_compaction: bool,
}

/// Files that a commit removes.
#[derive(Debug, Clone, Default)]
pub(super) enum Removes {
    #[default]
    None,
    /// Those of these paths.
    Some(HashSet<String>),
    /// Every file of the table's latest version.
    All,
}

/// Judges the version that a commit is built on.
#[async_trait]
pub(super) trait Guard: Send + Sync {
    /// Whether the commit can follow this version; answers the columns that it gives the table, if they are others.
    async fn check(&self, table: &DeltaTable) -> Result<Option<SchemaRef>>;
}

/// A commit that can follow any version.
pub(super) struct Unguarded;

#[async_trait]
impl Guard for Unguarded {
    async fn check(&self, _: &DeltaTable) -> Result<Option<SchemaRef>> {
        Ok(None)
    }
}

/// The name under which a table remembers a load.
fn app_id(load_id: Uuid) -> String {
    format!("hw/{load_id}")
}

/// The name under which a table remembers how often a cursor has moved. It carries no time, so it is never forgotten.
fn cursor_app_id(cursor: Uuid) -> String {
    format!("hw-cursor/{cursor}")
}

/// How often a cursor has moved, as this very version remembers.
pub(super) async fn generation(location: &Location, table: &DeltaTable, cursor: Uuid) -> Result<Option<i64>> {
    let state = table.snapshot().map_err(|error| location.failed("reading", error))?;
    let version = state.transaction_version(table.log_store().as_ref(), cursor_app_id(cursor)).await;
    version.map_err(|error| location.failed("asking", error))
}

/// Which attempt of the load this very version holds.
pub(super) async fn taken(location: &Location, table: &DeltaTable, load_id: Uuid) -> Result<Option<Taken>> {
    let state = table.snapshot().map_err(|error| location.failed("reading", error))?;
    let version = state
        .transaction_version(table.log_store().as_ref(), app_id(load_id))
        .await
        .map_err(|error| location.failed("asking", error))?;
    Ok(version.map(|attempt| Taken { attempt: i32::try_from(attempt).unwrap_or(i32::MAX), version: None }))
}

/// Commits the load, or finds the attempt that already has.
///
/// The load id is looked for on the snapshot that the commit is built on, and the commit is tried on that version alone: if
/// anything was committed since, or the answer is lost, the id is looked for again on a fresh snapshot. So no order of
/// retries, rivals and lost answers can commit a load twice.
pub(super) async fn once(
    location: &Location,
    load_id: Uuid,
    attempt: i32,
    contents: &Contents,
    guard: &dyn Guard,
) -> Result<Commit> {
    let mut last_error = None;
    let mut unknown_outcome = false;
    for round in 0..ATTEMPTS {
        let Some(table) = location.open().await? else {
            return Err(EngineError::config(format!("the Delta table {} is gone", location.label))
                .hint("was it deleted while the load ran? run again to make it anew"));
        };
        match taken(location, &table, load_id).await? {
            // Our own commit, whose answer was lost.
            Some(taken) if taken.attempt == attempt && unknown_outcome => {
                return Ok(Commit::Committed { version: table.version().map(|version| version.to_string()) });
            }
            Some(taken) => return Ok(Commit::Adopted(taken)),
            None => {}
        }
        for mark in &contents.marks {
            mark.check(generation(location, &table, mark.id).await?, &location.label)?;
        }
        let schema = guard.check(&table).await?;
        match try_once(location, &table, load_id, attempt, contents, schema.as_deref()).await {
            Ok(version) => return Ok(Commit::Committed { version: Some(version) }),
            Err(error) => {
                tracing::debug!(table = location.label, round, %error, "a commit did not go through; the table is asked");
                unknown_outcome = true;
                last_error = Some(error);
            }
        }
        pause(round).await;
    }
    Err(last_error
        .unwrap_or_else(|| EngineError::transient(format!("committing to {}", location.label)))
        .hint("many writers commit to this table at once; let them take turns"))
}

async fn try_once(
    location: &Location,
    table: &DeltaTable,
    load_id: Uuid,
    attempt: i32,
    contents: &Contents,
    schema: Option<&Schema>,
) -> Result<String> {
    let failed = |error| location.failed("committing to", error);
    let state = table.snapshot().map_err(failed)?;
    let mut actions = schema.map(|schema| columns::actions(table, schema)).transpose()?.unwrap_or_default();
    let data_change = !contents.is_compaction;
    actions.extend(contents.adds.iter().cloned().map(|add| Action::Add(Add { data_change, ..add })));
    if !matches!(contents.removes, Removes::None) {
        let files = state.snapshot().file_views(table.log_store().as_ref(), None);
        let files: Vec<LogicalFileView> = files.try_collect().await.map_err(failed)?;
        let is_removed = |file: &&LogicalFileView| match &contents.removes {
            Removes::Some(paths) => paths.contains(file.path().as_ref()),
            _ => true,
        };
        actions.extend(files.iter().filter(is_removed).map(|file| Action::Remove(file.remove_action(data_change))));
    }
    let now = chrono::Utc::now().timestamp_millis();
    let transaction = Transaction::new_with_last_update(app_id(load_id), i64::from(attempt), Some(now));
    let moved = contents.marks.iter().map(|mark| Transaction::new(cursor_app_id(mark.id), mark.to));
    let transactions: Vec<Transaction> = std::iter::once(transaction).chain(moved).collect();
    let properties = CommitProperties::default()
        .with_application_transactions(transactions)
        .with_max_retries(0)
        .with_create_checkpoint(true)
        .with_cleanup_expired_logs(None);
    let operation = DeltaOperation::Write {
        mode: if matches!(contents.removes, Removes::All) { SaveMode::Overwrite } else { SaveMode::Append },
        partition_by: (!contents.partition_by.is_empty()).then(|| contents.partition_by.clone()),
        predicate: None,
    };
    let commit = CommitBuilder::from(properties).with_actions(actions).build(Some(state), table.log_store(), operation);
    Ok(commit.await.map_err(failed)?.version().to_string())
}

async fn pause(round: u32) {
    let bound = LONGEST_PAUSE.min(Duration::from_millis(10) * 2u32.saturating_pow(round.min(8)));
    // A random id is random enough to spread rivals, and needs no generator of its own.
    let share = f64::from(u16::from_be_bytes([Uuid::new_v4().as_bytes()[0], Uuid::new_v4().as_bytes()[0]])) / 65536.0;
    tokio::time::sleep(bound.mul_f64(share)).await;
}
