//! Loads that meet rows by keys: upsert, insert_new and delete_insert, and scd2 by versions (`history.rs`).
//!
//! The rows are put into a file of this machine first, so that they can be read several times. Then the table's files that hold one of their keys are
//! looked for, by statistics and then by reading the keys alone; what these files hold beside those keys is written anew together with the rows, and the
//! commit removes the files. Rows that the table has already, exactly so, are not written, and a file is left alone if nothing in it changes.
//!
//! All of it is one plan of DataFusion over two snapshots, that of the rows and that of the table, so that joins larger than the memory sort and spill.
//! The commit is tried on a later version only if nobody removed those files or added one of the keys since.

use std::collections::HashSet;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Column, JoinType};
use datafusion::dataframe::DataFrame;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::functions_aggregate::expr_fn::{max, min};
use datafusion::logical_expr::{Expr, Operator, binary_expr, lit};
use datafusion::prelude::SessionContext;
use deltalake::DeltaTable;
use headwater_engine::connector::{Changes, LoadContext, without_flag};
use headwater_engine::{EngineError, Result};
use headwater_pipelines::plan::{Deletes, History};
use headwater_pipelines::spec::WriteMode;

use super::gone::{Removal, Touched};
use super::ground::{Ground, paths};
use super::held::HeldRows;
use super::table::Location;
use super::write::{self, Layout, Written};
use crate::conform::Caster;

/// The column that says which file a row of the table is in.
pub(super) const FILE: &str = "_hw_file";

/// The column that ranks rows of one key.
pub(super) const RANK: &str = "_hw_rank";

/// The column that counts rows of one key.
pub(super) const COUNT: &str = "_hw_count";

/// A part of the memory that the smaller side of a join may be expected to take.
pub(super) const BUILD_SIDE_SHARE: usize = 4;

/// What a keyed load is to do.
#[derive(Debug)]
pub(super) struct Merge<'a> {
    pub location: &'a Location,
    pub layout: &'a Layout,
    pub mode: WriteMode,
    pub keys: &'a [String],
    pub order_by: Option<&'a str>,
    /// How rows are found gone at the source, and what becomes of them.
    pub deletes: Option<&'a Deletes>,
    /// How the table keeps the versions of its rows.
    pub history: Option<&'a History>,
    pub load: &'a LoadContext,
}

/// What a merge has written, and what its commit depends on.
#[derive(Debug)]
pub(super) struct Merged {
    /// Rows that were handed in.
    pub rows: u64,
    pub written: Written,
    pub changes: Changes,
    pub ground: Ground,
}

impl Merge<'_> {
    /// Writes the files of a load; `table` is the table, if there is one.
    pub(super) async fn write(&self, table: Option<&DeltaTable>, input: SendableRecordBatchStream) -> Result<Merged> {
        self.refuse_columns(&without_flag(&input.schema(), self.deletes))?;
        let caster = Caster::with_nulls(&input.schema(), self.held_columns(), &self.layout.absent)?;
        let given = HeldRows::take(self.load, input, &caster, |batch| self.refuse_null_keys(batch)).await?;
        let all = match self.mode {
            WriteMode::DeleteInsert => given.clone(),
            _ => self.winners(&self.session(&given)?, &given).await?,
        };
        let (all, removal) = self.split(all).await?;
        self.onto(table, given.rows, all, removal).await
    }

    /// Writes the files anew, for a table that others have changed.
    pub(super) async fn again(&self, table: &DeltaTable, ground: &Ground) -> Result<Merged> {
        self.onto(Some(table), ground.given, ground.all.clone(), ground.removal.clone()).await
    }

    async fn onto(&self, table: Option<&DeltaTable>, given: u64, all: HeldRows, removal: Removal) -> Result<Merged> {
        let files = match table {
            Some(table) => paths(self.location, table).await?,
            None => HashSet::new(),
        };
        let merged = match table.filter(|_| !files.is_empty()) {
            Some(table) => match self.history {
                Some(history) => self.with_history(table, &files, history, &all, &removal).await?,
                None => self.with_table(table, &files, all.clone(), &removal).await?,
            },
            None => {
                let session = self.session(&all)?;
                let rows = self.filled(&session, None, all.clone()).await?;
                self.all_new(&session, rows).await?
            }
        };
        Ok(Merged { rows: given, ground: Ground { files, given, all, removal, ..merged.ground }, ..merged })
    }

    /// Nothing is there that a row could meet.
    async fn all_new(&self, session: &SessionContext, rows: HeldRows) -> Result<Merged> {
        let input =
            self.in_layout(rows.table(session).await?, false)?.execute_stream().await.map_err(EngineError::from)?;
        let written = write::files(self.location, self.layout, self.load, input).await?;
        let changes = Changes { inserted: rows.rows, ..Changes::default() };
        Ok(Merged { rows: 0, written, changes, ground: self.ground(rows, Vec::new()) })
    }

    pub(super) async fn with_table(
        &self,
        table: &DeltaTable,
        files: &HashSet<String>,
        rows: HeldRows,
        removal: &Removal,
    ) -> Result<Merged> {
        let files: Vec<String> = files.iter().cloned().collect();
        let before = rows.rows;
        let touched = self.touched(table, &files, &rows, removal).await?;
        let held = touched.iter().flat_map(Touched::all).chain([&rows]);
        let session = &self.session(HeldRows::largest(held).unwrap_or(&rows))?;
        let hits = self.hits(session, table, &files, &rows).await?;
        if self.mode == WriteMode::Upsert {
            self.refuse_repeated(session, table, &hits, &rows).await?;
        }
        let rows = self.filled(session, Some((table, &hits)), rows).await?;
        let rows = match self.mode {
            WriteMode::DeleteInsert => rows,
            _ => self.missing(session, table, &hits, rows).await?,
        };
        let (unchanged, met) = (before.saturating_sub(rows.rows), hits.clone());
        // What is left may meet fewer files.
        let hits = match self.mode {
            WriteMode::InsertNew => Vec::new(),
            WriteMode::Upsert if unchanged > 0 => self.hits(session, table, &hits, &rows).await?,
            _ => hits,
        };
        let hits = self.with_hits_of(session, table, &files, hits, touched.as_ref()).await?;
        let (written, replaced) = self.rewrite(session, table, &hits, &rows, touched.as_ref()).await?;
        let (deleted, back) = touched.map_or((0, 0), |touched| (touched.gone.rows, touched.back.rows));
        let changes = match self.mode {
            WriteMode::DeleteInsert => Changes { inserted: rows.rows, deleted: replaced, ..Changes::default() },
            _ => {
                let inserted = rows.rows.saturating_sub(replaced);
                Changes { inserted, updated: replaced + back, deleted, unchanged }
            }
        };
        Ok(Merged { rows: 0, written, changes, ground: Ground { met, ..self.ground(rows, hits) } })
    }

    /// Some files and those that hold rows which are gone or back.
    async fn with_hits_of(
        &self,
        session: &SessionContext,
        table: &DeltaTable,
        files: &[String],
        hits: Vec<String>,
        touched: Option<&Touched>,
    ) -> Result<Vec<String>> {
        let mut hits: HashSet<String> = hits.into_iter().collect();
        for keys in touched.iter().flat_map(|touched| touched.all()) {
            let more = self.hits(session, table, files, keys).await?;
            if self.deletes.is_some_and(Deletes::is_soft) {
                self.refuse_repeated(session, table, &more, keys).await?;
            }
            hits.extend(more);
        }
        Ok(hits.into_iter().collect())
    }

    /// Writes the rows together with what some files keep; answers how many rows of these files they replace.
    async fn rewrite(
        &self,
        session: &SessionContext,
        table: &DeltaTable,
        hits: &[String],
        rows: &HeldRows,
        touched: Option<&Touched>,
    ) -> Result<(Written, u64)> {
        if rows.rows == 0 && hits.is_empty() {
            return Ok((Written { rows: 0, adds: Vec::new() }, 0));
        }
        let added = self.completed(session, table, hits, rows).await?;
        let (all, met) = if hits.is_empty() {
            (added, 0)
        } else {
            let there = self.scan(session, table, hits, false)?;
            let met = there.clone().count().await.map_err(EngineError::from)?;
            let others = touched.iter().flat_map(|touched| touched.all());
            let keys = self.keys_with(session, self.keys_of(added.clone())?, others).await?;
            let kept = self.joined(there, keys, JoinType::LeftAnti, Vec::new())?;
            let all = kept.union(added).map_err(EngineError::from)?;
            (self.with_marked(session, table, hits, all, touched).await?, met as u64)
        };
        let input = all.execute_stream().await.map_err(EngineError::from)?;
        let written = write::files(self.location, self.layout, self.load, input).await?;
        // What was written beside the rows is what the files keep: less what is gone, unless that is marked.
        let left_out = match self.deletes.is_some_and(Deletes::is_soft) {
            true => 0,
            false => touched.map_or(0, |touched| touched.gone.rows),
        };
        let replaced = (met + rows.rows).saturating_sub(written.rows + left_out);
        Ok((written, replaced))
    }

    fn ground(&self, rows: HeldRows, removed: Vec<String>) -> Ground {
        Ground {
            location: self.location.clone(),
            keys: self.keys.to_vec(),
            files: HashSet::new(),
            removed,
            met: Vec::new(),
            given: 0,
            repeat: self.mode == WriteMode::DeleteInsert,
            all: rows.clone(),
            rows,
            removal: Removal::default(),
            load: self.load.clone(),
        }
    }

    /// A join builds its smaller side in memory if that fits; else both are sorted and spill.
    pub(super) fn session(&self, rows: &HeldRows) -> Result<SessionContext> {
        rows.session(self.load, BUILD_SIDE_SHARE)
    }

    /// Those of some files that hold one of the keys.
    pub(super) async fn hits(
        &self,
        session: &SessionContext,
        table: &DeltaTable,
        files: &[String],
        rows: &HeldRows,
    ) -> Result<Vec<String>> {
        if rows.rows == 0 || files.is_empty() {
            return Ok(Vec::new());
        }
        let mut there = self.scan(session, table, files, true)?;
        for condition in self.range(session, rows).await? {
            there = there.filter(condition).map_err(EngineError::from)?;
        }
        let named: Vec<Expr> = self.keys.iter().map(|key| column(None, key)).chain([column(None, FILE)]).collect();
        let there = there.select(named).map_err(EngineError::from)?;
        let keys = self.keys_of(rows.table(session).await?)?;
        let found = self.joined(there, keys, JoinType::LeftSemi, Vec::new())?;
        let found = found.select(vec![column(Some("t"), FILE)]).and_then(DataFrame::distinct);
        let found = found.map_err(EngineError::from)?.collect().await.map_err(EngineError::from)?;
        let mut hits = Vec::new();
        for batch in &found {
            let names = cast(batch.column(0), &DataType::Utf8).map_err(|error| EngineError::bug(error.to_string()))?;
            for name in names.as_string::<i32>().iter().flatten() {
                hits.push(self.location.path_of(name)?);
            }
        }
        Ok(hits)
    }

    /// Conditions on keys by which files are passed over: between the least and the greatest of the rows.
    async fn range(&self, session: &SessionContext, rows: &HeldRows) -> Result<Vec<Expr>> {
        let is_ranged = |key: &&String| {
            let field = self.layout.schema.field_with_name(key);
            // Other writers cut the statistics of times to milliseconds.
            field.is_ok_and(|field| field.data_type().is_integer() || *field.data_type() == DataType::Date32)
        };
        let keys: Vec<&String> = self.keys.iter().filter(is_ranged).collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let bounds = keys.iter().flat_map(|key| [min(column(None, key)), max(column(None, key))]);
        let bounds = rows.table(session).await?.aggregate(Vec::new(), bounds.collect());
        let bounds = bounds.map_err(EngineError::from)?.collect().await.map_err(EngineError::from)?;
        let Some(bounds) = bounds.iter().find(|batch| batch.num_rows() > 0) else { return Ok(Vec::new()) };
        let mut conditions = Vec::with_capacity(bounds.num_columns());
        for (index, key) in keys.into_iter().enumerate() {
            let value = |place: usize| {
                datafusion::common::ScalarValue::try_from_array(bounds.column(place), 0).map_err(EngineError::from)
            };
            conditions.push(column(None, key).gt_eq(lit(value(2 * index)?)));
            conditions.push(column(None, key).lt_eq(lit(value(2 * index + 1)?)));
        }
        Ok(conditions)
    }

    /// The rows that the table does not have: exactly so, or, if others stay as they are, by their key.
    async fn missing(
        &self,
        session: &SessionContext,
        table: &DeltaTable,
        hits: &[String],
        rows: HeldRows,
    ) -> Result<HeldRows> {
        if hits.is_empty() {
            return Ok(rows);
        }
        let there = self.scan(session, table, hits, false)?;
        let (there, equal) = match self.mode {
            WriteMode::InsertNew => (each_key(there, self.keys, true)?, Vec::new()),
            _ => (there, self.equal_columns()),
        };
        let new = self.joined(rows.table(session).await?, there, JoinType::LeftAnti, equal)?;
        rows.store(self.load, new).await
    }

    /// Whether all columns beside the keys are the same.
    fn equal_columns(&self) -> Vec<Expr> {
        let comes = |name: &String| !self.keys.contains(name) && !self.layout.absent.contains(name);
        let others = self.layout.schema.fields().iter().filter(|field| comes(field.name()));
        let equal = others.map(|field| {
            let (left, right) = (column(Some("t"), field.name()), column(Some("r"), field.name()));
            binary_expr(left, Operator::IsNotDistinctFrom, right)
        });
        equal.collect()
    }

    /// Rows of some files of the table.
    pub(super) fn scan(
        &self,
        session: &SessionContext,
        table: &DeltaTable,
        files: &[String],
        with_file: bool,
    ) -> Result<DataFrame> {
        let provider = self.location.some_files(table, files, with_file.then_some(FILE))?;
        self.in_layout(session.read_table(provider).map_err(EngineError::from)?, with_file)
    }

    /// The keys of the rows.
    fn keys_of(&self, rows: DataFrame) -> Result<DataFrame> {
        each_key(rows, self.keys, self.mode == WriteMode::DeleteInsert)
    }

    pub(super) fn joined(
        &self,
        left: DataFrame,
        right: DataFrame,
        kind: JoinType,
        more: Vec<Expr>,
    ) -> Result<DataFrame> {
        joined(self.keys, left, right, kind, more)
    }
}

/// The keys of rows, each once: a join would meet every row of a slice with every other.
pub(super) fn each_key(rows: DataFrame, keys: &[String], repeat: bool) -> Result<DataFrame> {
    let keys = rows.select(keys.iter().map(|key| column(None, key)).collect::<Vec<Expr>>());
    if repeat { keys.and_then(DataFrame::distinct) } else { keys }.map_err(EngineError::from)
}

/// Joins two sides, `t` and `r`, by keys.
pub(super) fn joined(
    keys: &[String],
    left: DataFrame,
    right: DataFrame,
    kind: JoinType,
    more: Vec<Expr>,
) -> Result<DataFrame> {
    // DataFusion's sort-merge join compares no times with a zone; as numbers they are equal all the same.
    let is_zoned = |key: &str| {
        let field = left.schema().field_with_unqualified_name(key);
        field.is_ok_and(|field| matches!(field.data_type(), DataType::Timestamp(_, Some(_))))
    };
    let value = |side: &str, key: &str| match is_zoned(key) {
        true => datafusion::logical_expr::cast(column(Some(side), key), DataType::Int64),
        false => column(Some(side), key),
    };
    let equal: Vec<Expr> = keys.iter().map(|key| value("t", key).eq(value("r", key))).collect();
    let conditions: Vec<Expr> = equal.into_iter().chain(more).collect();
    let (left, right) = (left.alias("t").map_err(EngineError::from)?, right.alias("r").map_err(EngineError::from)?);
    left.join_on(right, kind, conditions).map_err(EngineError::from)
}

pub(super) fn column(table: Option<&str>, name: &str) -> Expr {
    Expr::Column(match table {
        Some(table) => Column::new(Some(table), name),
        None => Column::new_unqualified(name),
    })
}
