//! Loads that keep history: a row that has changed ends the version that held and opens another one.
//!
//! What a load changes is computed from the versions that hold: those that end, with their end, those of which only what has no history changes, and those that
//! begin. They are merged into the table by key and beginning. If others change the table meanwhile, all of it is computed anew.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::Field;
use chrono::Utc;
use datafusion::common::{JoinType, ScalarValue};
use datafusion::dataframe::DataFrame;
use datafusion::functions::core::expr_fn::greatest;
use datafusion::functions_aggregate::expr_fn::max;
use datafusion::logical_expr::utils::{conjunction, disjunction};
use datafusion::logical_expr::{Expr, Operator, binary_expr, cast, lit};
use datafusion::prelude::SessionContext;
use deltalake::DeltaTable;
use headwater_engine::connector::{Changes, late_rows};
use headwater_engine::{EngineError, Result};
use headwater_pipelines::plan::{Deletes, HISTORY_COLUMNS, History, IS_CURRENT, VALID_FROM, VALID_TO};
use headwater_pipelines::spec::WriteMode;

use super::gone::{Removal, Touched};
use super::ground::Ground;
use super::held::HeldRows;
use super::merge::{Merge, Merged, column};
use super::winners::{first_of, first_row};

/// What a load changes of a table's versions.
struct Versions {
    /// Those that begin.
    opened: HeldRows,
    /// Those that end.
    closed: HeldRows,
    /// Those of which only what is not tracked changes.
    corrected: HeldRows,
    /// Those that end because their keys are gone at the source.
    gone: HeldRows,
    /// Files that hold versions of their keys.
    files: HashSet<String>,
}

impl Merge<'_> {
    /// Merges rows, one for each key, into the history of a table.
    pub(super) async fn with_history(
        &self,
        table: &DeltaTable,
        files: &HashSet<String>,
        history: &History,
        rows: &HeldRows,
        removal: &Removal,
    ) -> Result<Merged> {
        let versions = self.versions(table, files, history, rows, removal).await?;
        let Versions { opened, closed, corrected, gone, files } = &versions;
        let session = self.session(HeldRows::largest([opened, closed, corrected, gone].into_iter()).unwrap_or(rows))?;
        let mut all = opened.table(&session).await?;
        for others in [closed, corrected, gone] {
            all = all.union(others.table(&session).await?).map_err(EngineError::from)?;
        }
        let all = rows.store(self.load, all).await?;
        let keys: Vec<String> = self.keys.iter().cloned().chain([VALID_FROM.to_owned()]).collect();
        let merge =
            Merge { mode: WriteMode::Upsert, keys: &keys, order_by: None, deletes: None, history: None, ..*self };
        let merged = merge.with_table(table, files, all, &Removal::default()).await?;
        let changes = Changes {
            inserted: opened.rows,
            updated: closed.rows + corrected.rows,
            deleted: gone.rows,
            unchanged: rows.rows.saturating_sub(opened.rows + corrected.rows),
        };
        // Another writer that adds a version of one of the keys changes what holds.
        let met = files.iter().cloned().collect();
        let ground = Ground { keys: self.keys.to_vec(), repeat: true, met, ..merged.ground };
        Ok(Merged { changes, ground, ..merged })
    }

    async fn versions(
        &self,
        table: &DeltaTable,
        files: &HashSet<String>,
        history: &History,
        rows: &HeldRows,
        removal: &Removal,
    ) -> Result<Versions> {
        let files: Vec<String> = files.iter().cloned().collect();
        let (gone, mut all_hits) = self.ended(table, &files, rows, removal).await?;
        let session = self.session(rows)?;
        let hits = self.hits(&session, table, &files, rows).await?;
        all_hits.extend(hits.iter().cloned());
        let comes = |field: &&Arc<Field>| !self.layout.absent.contains(field.name());
        let columns: Vec<&Arc<Field>> = self.layout.schema.fields().iter().filter(comes).collect();
        let is_tracked = |field: &Field| history.tracks(field.name(), self.keys, self.order_by);
        let is_plain = |field: &Field| {
            !is_tracked(field) && !self.keys.contains(field.name()) && !HISTORY_COLUMNS.contains(&field.name().as_str())
        };
        let differ = |is: &dyn Fn(&Field) -> bool, operator| -> Vec<Expr> {
            let compared = columns.iter().filter(|field| is(field));
            let sides = |field: &&Arc<Field>| {
                binary_expr(column(Some("t"), field.name()), operator, column(Some("r"), field.name()))
            };
            compared.map(sides).collect()
        };
        let changed = disjunction(differ(&is_tracked, Operator::IsDistinctFrom)).unwrap_or_else(|| lit(false));
        let same = differ(&is_tracked, Operator::IsNotDistinctFrom);
        let is_same = conjunction(same.clone()).unwrap_or_else(|| lit(true));
        let plain = disjunction(differ(&is_plain, Operator::IsDistinctFrom)).unwrap_or_else(|| lit(false));

        let filtered = |rows: DataFrame, condition: Expr| rows.filter(condition).map_err(EngineError::from);
        let there = self.scan(&session, table, &hits, false)?;
        let current = filtered(there.clone(), column(None, IS_CURRENT))?;
        let pairs = self.joined(current.clone(), rows.table(&session).await?, JoinType::Inner, Vec::new())?;
        let changed = filtered(pairs.clone(), changed)?;
        self.refuse_late(filtered(changed.clone(), self.is_late(Operator::LtEq))?).await?;
        let until = match self.closes() {
            true => greatest(vec![column(Some("r"), VALID_FROM), a_moment_later()]),
            false => column(Some("r"), VALID_FROM),
        };
        let closed = self.version(changed, |field| match field.name().as_str() {
            VALID_TO => until.clone(),
            IS_CURRENT => lit(false),
            name => column(Some("t"), name),
        })?;
        let is_newer = self.is_late(Operator::Lt).is_not_true();
        let corrected = self.version(filtered(pairs, is_same.and(plain).and(is_newer))?, |field| {
            column(Some(if is_plain(field) && comes(&field) { "r" } else { "t" }), field.name())
        })?;
        let opened = self.joined(rows.table(&session).await?, current, JoinType::LeftAnti, same)?;
        let opened = rows.store(self.load, opened).await?;
        let ended = filtered(there, column(None, IS_CURRENT).is_not_true())?;
        // What would begin while an earlier version still held, which others have ended.
        let until = column(Some("t"), VALID_TO);
        let ends_later = match self.closes() {
            true => until.is_null(),
            false => until.clone().is_null().or(until.gt(column(Some("r"), VALID_FROM))),
        };
        let beside = self.joined(ended.clone(), opened.table(&session).await?, JoinType::Inner, Vec::new())?;
        self.refuse_late(filtered(beside, ends_later)?).await?;
        let closed = rows.store(self.load, closed).await?;
        let opened = match self.closes() {
            true => {
                let ended = ended.union(closed.table(&session).await?).map_err(EngineError::from)?;
                self.since_the_last_end(&session, ended, opened).await?
            }
            false => opened,
        };
        Ok(Versions { opened, closed, corrected: rows.store(self.load, corrected).await?, gone, files: all_hits })
    }

    /// The versions that end because their keys are gone at the source, and the files that hold versions of these keys.
    async fn ended(
        &self,
        table: &DeltaTable,
        files: &[String],
        rows: &HeldRows,
        removal: &Removal,
    ) -> Result<(HeldRows, HashSet<String>)> {
        let touched = self.touched(table, files, rows, removal).await?;
        let Some(Touched { gone, .. }) = touched else {
            let session = self.session(rows)?;
            let none = rows.table(&session).await?.limit(0, Some(0)).map_err(EngineError::from)?;
            return Ok((rows.store(self.load, none).await?, HashSet::new()));
        };
        let session = self.session(&gone)?;
        let hits = self.hits(&session, table, files, &gone).await?;
        let current = self.scan(&session, table, &hits, false)?;
        let current = current.filter(column(None, IS_CURRENT)).map_err(EngineError::from)?;
        let pairs = self.joined(current, gone.table(&session).await?, JoinType::Inner, Vec::new())?;
        let now = lit(ScalarValue::TimestampMicrosecond(Some(Utc::now().timestamp_micros()), Some("UTC".into())));
        // A version that was to begin later has held for a moment: no two versions of a key begin at one time.
        let next = a_moment_later();
        let ended = self.version(pairs, |field| match field.name().as_str() {
            VALID_TO => greatest(vec![now.clone(), next.clone()]),
            IS_CURRENT => lit(false),
            name => column(Some("t"), name),
        })?;
        Ok((rows.store(self.load, ended).await?, hits.into_iter().collect()))
    }

    /// Versions that begin. A key that was found gone is back, and its row may be older than that: the version begins where the last one has ended.
    async fn since_the_last_end(
        &self,
        session: &SessionContext,
        ended: DataFrame,
        opened: HeldRows,
    ) -> Result<HeldRows> {
        let keys = self.keys.iter().map(|key| column(None, key)).collect();
        let last =
            ended.aggregate(keys, vec![max(column(None, VALID_TO)).alias(VALID_TO)]).map_err(EngineError::from)?;
        let pairs = self.joined(last, opened.table(session).await?, JoinType::Right, Vec::new())?;
        let since = greatest(vec![column(Some("r"), VALID_FROM), column(Some("t"), VALID_TO)]);
        let begun = self.version(pairs, |field| match field.name().as_str() {
            VALID_FROM => since.clone(),
            name => column(Some("r"), name),
        })?;
        opened.store(self.load, begun).await
    }

    /// Versions in the table's columns, of which each takes its value from one side.
    fn version(&self, pairs: DataFrame, value: impl Fn(&Arc<Field>) -> Expr) -> Result<DataFrame> {
        let columns = self.layout.schema.fields().iter();
        let columns = columns.map(|field| cast(value(field), field.data_type().clone()).alias(field.name()));
        pairs.select(columns.collect::<Vec<Expr>>()).map_err(EngineError::from)
    }

    /// Whether versions end whose keys are gone at the source.
    fn closes(&self) -> bool {
        self.deletes.is_some_and(Deletes::closes)
    }

    /// Whether a row is not newer than the version that holds, since when it holds or as it was last seen. A version of a key that came back holds since the one before has
    /// ended, which says nothing of its row.
    fn is_late(&self, operator: Operator) -> Expr {
        let compared = |name: &str| binary_expr(column(Some("r"), name), operator, column(Some("t"), name));
        if let Some(name) = self.order_by.filter(|_| self.closes()) {
            return compared(name);
        }
        let seen = self.order_by.map(compared);
        let since = compared(VALID_FROM);
        seen.map_or(since.clone(), |seen| since.or(seen))
    }

    /// A version can't begin before another one of its key has ended. `late` are pairs of versions and rows of which that is so.
    async fn refuse_late(&self, late: DataFrame) -> Result<()> {
        let keys: Vec<Expr> = self.keys.iter().map(|key| column(Some("t"), key)).collect();
        match first_of(late.select(keys).map_err(EngineError::from)?).await? {
            None => Ok(()),
            Some(batch) => Err(late_rows(self.keys, &format!("({})", first_row(&batch)))),
        }
    }
}

/// The earliest end of a version.
fn a_moment_later() -> Expr {
    column(Some("t"), VALID_FROM) + lit(ScalarValue::new_interval_mdn(0, 0, 1_000))
}
