//! A table as a source: all of it, or what has come since a version.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, TableProviderFilterPushDown, TableType, cast, col, lit,
};
use datafusion::physical_plan::ExecutionPlan;
use deltalake::DeltaTable;
use deltalake::delta_datafusion::DeltaCdfTableProvider;
use deltalake::kernel::Add;
use deltalake::logstore::get_actions;
use futures::{StreamExt, TryStreamExt};
use headwater_engine::connector::{CursorRequest, OwnPosition, Position, Reading, Source};
use headwater_engine::{EngineError, Result};
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::changes::{Changes, FEED, is_on};
use super::table::Location;

/// Commits that are read at a time.
const READ_AT_ONCE: usize = 16;

/// The kinds of rows of a change data feed that a load takes.
const CHANGE: &str = "_change_type";

const OWN_POSITION: OwnPosition =
    OwnPosition { source: "a Delta table", unit: "each version", rows: "rows", position: "the version of the table" };

const WAY_OUT: &str = "load everything again: headwater run NAME --full-refresh";

/// How far a table was read, as it is stored between runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    /// A table that was made again under its name has another id.
    table_id: String,
    version: u64,
}

/// Opens a table for a load that goes on by its versions.
pub(super) async fn open_new(location: &Location, request: &CursorRequest) -> Result<Source> {
    OWN_POSITION.judge(request, &location.label)?;
    let table = location.existing().await?;
    let whole = location.all(&table)?;
    let Reading::After(after) = &request.reading else { return Ok(whole.into()) };
    let now = position_of(location, &table)?;
    let before = after.as_ref().map(|after| read(location, after)).transpose()?;
    let rows = match &before {
        None => whole,
        Some(before) => {
            let reader = Reader { location, table: &table, schema: whole.schema(), by_keys: request.by_keys };
            reader.since(before, &now).await?
        }
    };
    // Logs are cleaned: a position that stays behind versions without rows would look like lost data.
    let must_move = before.is_some_and(|before| before.version < now.version);
    let shown = format!("version {}", now.version);
    let to = serde_json::to_value(now)
        .map_err(|error| EngineError::bug("a position could not be written").caused_by(error))?;
    Ok(Source { position: Some(Position { to, shown, must_move, behind: 0 }), ..rows.into() })
}

fn read(location: &Location, value: &Value) -> Result<Stored> {
    serde_json::from_value(value.clone()).map_err(|error| {
        EngineError::config(format!("{}: the stored position is not one of a Delta table", location.label))
            .hint(WAY_OUT)
            .caused_by(error)
    })
}

fn position_of(location: &Location, table: &DeltaTable) -> Result<Stored> {
    let state = table.snapshot().map_err(|error| location.failed("reading", error))?;
    Ok(Stored { table_id: state.metadata().id().to_owned(), version: state.version() })
}

struct Reader<'a> {
    location: &'a Location,
    table: &'a DeltaTable,
    /// Columns of the table's latest version.
    schema: SchemaRef,
    by_keys: bool,
}

impl Reader<'_> {
    /// The rows that have come since a version.
    async fn since(&self, before: &Stored, now: &Stored) -> Result<Arc<dyn TableProvider>> {
        let label = &self.location.label;
        if before.table_id != now.table_id {
            return Err(self.stopped(format!("{label} was made again since the last load: it is another table")));
        }
        if now.version < before.version {
            return Err(self.stopped(format!(
                "{label} is at version {}, and was read up to version {}: it was restored from a copy",
                now.version, before.version
            )));
        }
        let changes = self.changes(before.version + 1, now.version).await?;
        if let Some(version) = changes.restored {
            return Err(self.stopped(format!("{label} was restored to an older version, in version {version}")));
        }
        match changes.rewritten {
            None => self.additions(changes).await,
            // One row for each key, as it is now: files that rows were only moved into hold them too.
            Some(_) if self.by_keys => {
                let files: Vec<Add> = changes.live.into_values().collect();
                self.view(vec![self.files(self.table, files)?])
            }
            Some(_) if self.can_read_feed(&changes)? => self.feed(&changes, before.version + 1, now.version).await,
            Some(version) => Err(EngineError::config(format!(
                "{label}: rows were changed or deleted in version {version}, and the files written then hold rows that are loaded already"
            ))
            .hint(format!(
                "load by keys: mode upsert; or have changes recorded from now on ('{FEED}' = 'true' on the table) and {WAY_OUT}"
            ))),
        }
    }

    fn stopped(&self, what: String) -> EngineError {
        EngineError::config(what).hint(WAY_OUT)
    }

    /// What the commits of these versions have done.
    async fn changes(&self, from: u64, to: u64) -> Result<Changes> {
        let log = self.table.log_store();
        let failed = |error| self.location.failed("reading the log of", error);
        let read = |version: u64| {
            let log = Arc::clone(&log);
            async move {
                let commit = log.read_commit_entry(version).await.map_err(failed)?;
                let commit = commit.ok_or_else(|| {
                    self.stopped(format!(
                        "{}: the log does not hold version {version} any more, and it was not read yet",
                        self.location.label
                    ))
                })?;
                let actions = get_actions(version, &commit).map_err(failed)?;
                Ok::<_, EngineError>((version, actions))
            }
        };
        let mut commits = futures::stream::iter(from..=to).map(read).buffered(READ_AT_ONCE);
        let mut all = Vec::new();
        while let Some(commit) = commits.try_next().await? {
            all.push(commit);
        }
        // If no commit changes whether the feed is on, it was as it is now.
        let says =
            |actions: &Vec<_>| actions.iter().any(|action| matches!(action, deltalake::kernel::Action::Metadata(_)));
        let is_known = !all.iter().any(|(_, actions)| says(actions));
        let mut changes = Changes::new(if is_known { Some(self.has_feed()?) } else { None });
        all.into_iter().for_each(|(version, actions)| changes.commit(version, actions));
        Ok(changes)
    }

    fn has_feed(&self) -> Result<bool> {
        let state = self.table.snapshot().map_err(|error| self.location.failed("reading", error))?;
        Ok(is_on(state.metadata().configuration().get(FEED)))
    }

    /// Rows of files that were added. Those whose rows were moved since are read as of the version before.
    async fn additions(&self, changes: Changes) -> Result<Arc<dyn TableProvider>> {
        let mut live = Vec::new();
        let mut moved: std::collections::BTreeMap<u64, Vec<Add>> = Default::default();
        for added in changes.added.into_values() {
            match added.moved_in {
                None => live.push(added.add),
                Some(version) => moved.entry(version).or_default().push(added.add),
            }
        }
        let paths: Vec<&str> = moved.values().flatten().map(|add| add.path.as_str()).collect();
        self.still_there(&paths).await?;
        let mut parts = vec![self.files(self.table, live)?];
        for (version, files) in moved {
            let before = self.location.at_version(version.saturating_sub(1)).await?;
            parts.push(self.files(&before, files)?);
        }
        self.view(parts)
    }

    /// Files that are no longer part of the table may have been removed for good.
    async fn still_there(&self, paths: &[&str]) -> Result<()> {
        let store = self.location.store()?;
        for path in paths {
            let wrong = |error: object_store::path::Error| EngineError::bug(format!("the path of a file: {error}"));
            match store.head(&Path::parse(path).map_err(wrong)?).await {
                Ok(_) => {}
                Err(object_store::Error::NotFound { .. }) => {
                    return Err(self.stopped(format!(
                        "{}: {path} was removed by a vacuum before its rows were read",
                        self.location.label
                    )));
                }
                Err(error) => return Err(self.location.failed("reading", error.into())),
            }
        }
        Ok(())
    }

    /// Whether the feed tells all that the commits have changed.
    fn can_read_feed(&self, changes: &Changes) -> Result<bool> {
        let state = self.table.snapshot().map_err(|error| self.location.failed("reading", error))?;
        let is_mapped =
            state.metadata().configuration().get("delta.columnMapping.mode").is_some_and(|mode| mode != "none");
        Ok(changes.feed_is_whole && !is_mapped)
    }

    /// Rows that were inserted, and those that were updated as they are afterwards.
    async fn feed(&self, changes: &Changes, from: u64, to: u64) -> Result<Arc<dyn TableProvider>> {
        let paths: Vec<&str> = changes.feed.iter().map(String::as_str).collect();
        self.still_there(&paths).await?;
        let feed = self.table.clone().scan_cdf().with_starting_version(from).with_ending_version(to);
        let feed = DeltaCdfTableProvider::try_new(feed).map_err(|error| self.location.failed("reading", error))?;
        let taken = col(CHANGE).in_list(vec![lit("insert"), lit("update_postimage")], false);
        let rows = LogicalPlanBuilder::scan("feed", provider_as_source(Arc::new(feed)), None)?.filter(taken)?;
        self.view(vec![self.in_columns(rows)?])
    }

    /// Rows of some files of a version.
    fn files(&self, version: &DeltaTable, files: Vec<Add>) -> Result<Option<LogicalPlan>> {
        if files.is_empty() {
            return Ok(None);
        }
        let rows = self.location.added_files(version, files)?;
        self.in_columns(LogicalPlanBuilder::scan("files", provider_as_source(rows), None)?)
    }

    /// Rows in the columns of the latest version; what older files lack is NULL.
    fn in_columns(&self, rows: LogicalPlanBuilder) -> Result<Option<LogicalPlan>> {
        let there = Arc::clone(rows.schema());
        let column = |field: &Arc<arrow::datatypes::Field>| -> Result<Expr> {
            let found = there.fields().iter().find(|found| found.name() == field.name());
            let value = match found {
                None => lit(ScalarValue::try_from(field.data_type())?),
                Some(found) if found.data_type() == field.data_type() => Expr::Column(Column::from_name(field.name())),
                Some(_) => cast(Expr::Column(Column::from_name(field.name())), field.data_type().clone()),
            };
            Ok(value.alias(field.name()))
        };
        let columns = self.schema.fields().iter().map(column).collect::<Result<Vec<Expr>>>()?;
        Ok(Some(rows.project(columns)?.build()?))
    }

    /// All of these rows as one table.
    fn view(&self, parts: Vec<Option<LogicalPlan>>) -> Result<Arc<dyn TableProvider>> {
        let mut parts = parts.into_iter().flatten();
        let Some(first) = parts.next() else { return Ok(Arc::new(EmptyTable::new(Arc::clone(&self.schema)))) };
        let mut rows = LogicalPlanBuilder::from(first);
        for part in parts {
            rows = rows.union(part)?;
        }
        Ok(Arc::new(NewRows(ViewTable::new(rows.build()?, None))))
    }
}

/// Rows of several versions. Conditions prune files by statistics, which leave NaN out, so none is exact.
#[derive(Debug)]
struct NewRows(ViewTable);

#[async_trait]
impl TableProvider for NewRows {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
        self.0.scan(state, projection, filters, limit).await
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> datafusion::common::Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    #[test]
    fn a_position_is_a_table_and_a_version() {
        let stored: Stored = serde_json::from_value(json!({ "table_id": "a", "version": 7 })).unwrap();
        assert_eq!(stored, Stored { table_id: "a".to_owned(), version: 7 });
        assert!(serde_json::from_value::<Stored>(json!({ "version": 7 })).is_err());
    }
}
