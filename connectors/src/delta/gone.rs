//! Rows of the table that are gone at the source: found by their keys, then left out of the files that are written anew, or marked in them. Where the table keeps
//! history, their versions end (`history.rs`).
//!
//! Only keys are held, in files of this machine, and compared by joins that sort and spill: neither the keys of the source nor those of the table have to fit
//! into memory.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{JoinType, ScalarValue};
use datafusion::dataframe::DataFrame;
use datafusion::logical_expr::{Expr, cast, lit};
use datafusion::prelude::SessionContext;
use deltalake::DeltaTable;
use headwater_engine::connector::{DELETED, KEPT, list_of_names, refuse_too_many};
use headwater_engine::{EngineError, Result};
use headwater_pipelines::plan::{DELETED_AT, Deletes, IS_CURRENT};

use super::held::HeldRows;
use super::merge::{Merge, column, each_key};
use crate::conform::Caster;

/// Keys by which a merge deletes.
#[derive(Debug, Clone, Default)]
pub(super) struct Removal {
    /// Keys of which rows say that they are gone.
    pub flagged: Option<HeldRows>,
    /// All keys of the source, if they were scanned.
    pub scanned: Option<HeldRows>,
}

/// Keys of rows of the table that a load does not bring and changes all the same, one for each row.
#[derive(Debug)]
pub(super) struct Touched {
    /// Those that are gone.
    pub gone: HeldRows,
    /// Those that are marked, and that a scan has found again.
    pub back: HeldRows,
}

impl Touched {
    /// Both.
    pub(super) fn all(&self) -> [&HeldRows; 2] {
        [&self.gone, &self.back]
    }
}

impl Merge<'_> {
    /// Whether rows say which of them are gone.
    fn is_flagged(&self) -> bool {
        self.deletes.is_some_and(|deletes| deletes.when.is_some())
    }

    /// Whether rows are changes, which may have left columns out.
    pub(super) fn are_changes(&self) -> bool {
        self.deletes.is_some_and(|deletes| deletes.changes)
    }

    /// The columns in which rows are held: those of the table, and what a row says of itself. One whose key is gone may have nothing but its key.
    pub(super) fn held_columns(&self) -> SchemaRef {
        if !self.is_flagged() {
            return Arc::clone(&self.layout.schema);
        }
        let fields = self.layout.schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
        let flag = Field::new(DELETED, DataType::Boolean, true);
        let kept = self.are_changes().then(|| Field::new(KEPT, list_of_names(), true));
        Arc::new(Schema::new(fields.chain([flag]).chain(kept).collect::<Vec<_>>()))
    }

    /// Rows without those that say that their keys are gone, and everything by which rows of the table are.
    pub(super) async fn split(&self, rows: HeldRows) -> Result<(HeldRows, Removal)> {
        let scanned = match self.load.keys.take() {
            Some(keys) => {
                let caster = Caster::new(&keys.schema(), self.key_columns()?)?;
                Some(HeldRows::take(self.load, keys, &caster, |_| Ok(())).await?)
            }
            None => None,
        };
        if !self.is_flagged() {
            return Ok((rows, Removal { flagged: None, scanned }));
        }
        let session = self.session(&rows)?;
        let flag = column(None, DELETED);
        let gone = rows.table(&session).await?.filter(flag.clone().is_true()).map_err(EngineError::from)?;
        let gone = each_key(gone, self.keys, false)?;
        let flagged = rows.store_as(self.load, gone, self.key_columns()?).await?;
        let kept = rows.table(&session).await?.filter(flag.is_not_true()).map_err(EngineError::from)?;
        let kept = rows.store_as(self.load, kept, self.sent_columns()).await?;
        Ok((kept, Removal { flagged: Some(flagged), scanned }))
    }

    fn key_columns(&self) -> Result<SchemaRef> {
        let field = |key: &String| {
            let found = self.layout.schema.field_with_name(key);
            found.map(|field| field.clone().with_nullable(true)).map_err(|error| EngineError::bug(error.to_string()))
        };
        Ok(Arc::new(Schema::new(self.keys.iter().map(field).collect::<Result<Vec<_>>>()?)))
    }

    /// What a load of some rows changes of others. Refuses more than the load allows.
    pub(super) async fn touched(
        &self,
        table: &DeltaTable,
        files: &[String],
        rows: &HeldRows,
        removal: &Removal,
    ) -> Result<Option<Touched>> {
        let Some(deletes) = self.deletes else { return Ok(None) };
        let held = [Some(rows), removal.flagged.as_ref(), removal.scanned.as_ref()];
        let session = HeldRows::largest(held.into_iter().flatten())
            .map_or_else(|| self.session(rows), |all| self.session(all))?;
        let mut gone: Option<HeldRows> = None;
        if removal.scanned.is_some() || deletes.compares_rows() {
            gone = Some(self.missing_from_source(&session, table, files, rows, removal, deletes).await?);
        }
        if let Some(flagged) = &removal.flagged {
            let hits = self.hits(&session, table, files, flagged).await?;
            let live = self.live(self.scan(&session, table, &hits, false)?, deletes)?;
            let met = each_key(self.among(&session, live, flagged).await?, self.keys, false)?;
            let both = match &gone {
                Some(missing) => met.union(missing.table(&session).await?).map_err(EngineError::from)?,
                None => met,
            };
            gone = Some(rows.store_as(self.load, both, self.key_columns()?).await?);
        }
        let Some(gone) = gone else { return Ok(None) };
        let back = self.back(&session, table, files, rows, removal, deletes).await?;
        let touched = Touched { gone, back };
        Ok(Some(touched).filter(|touched| touched.all().iter().any(|keys| keys.rows > 0)))
    }

    /// Keys that neither the source nor the load has.
    async fn missing_from_source(
        &self,
        session: &SessionContext,
        table: &DeltaTable,
        files: &[String],
        rows: &HeldRows,
        removal: &Removal,
        deletes: &Deletes,
    ) -> Result<HeldRows> {
        let live = each_key(self.live(self.scan(session, table, files, false)?, deletes)?, self.keys, false)?;
        let all = live.clone().count().await.map_err(EngineError::from)? as u64;
        // A row that was inserted behind the scan's snapshot may be among the load's own.
        let others = [removal.scanned.as_ref(), removal.flagged.as_ref()];
        let known =
            self.keys_with(session, self.keys_of_held(session, rows).await?, others.into_iter().flatten()).await?;
        // One join, whose smaller side is known.
        let missing = self.joined(live, known, JoinType::LeftAnti, Vec::new())?;
        let missing = rows.store_as(self.load, missing, self.key_columns()?).await?;
        refuse_too_many(deletes, &self.location.label, missing.rows, all)?;
        Ok(missing)
    }

    /// Keys of marked rows that a scan has found, though no row of them comes: they were restored as they had been. Where rows say that they are gone, the
    /// source keeps them.
    async fn back(
        &self,
        session: &SessionContext,
        table: &DeltaTable,
        files: &[String],
        rows: &HeldRows,
        removal: &Removal,
        deletes: &Deletes,
    ) -> Result<HeldRows> {
        let files = if deletes.is_soft() && !self.is_flagged() { files } else { &[] };
        let (Some(scanned), [_, ..]) = (&removal.scanned, files) else {
            let none = rows.table(session).await?.limit(0, Some(0)).map_err(EngineError::from)?;
            return rows.store_as(self.load, each_key(none, self.keys, false)?, self.key_columns()?).await;
        };
        let marked = self.scan(session, table, files, false)?.filter(column(None, DELETED_AT).is_not_null());
        let back = each_key(marked.map_err(EngineError::from)?, self.keys, false)?;
        let back = self.among(session, back, scanned).await?;
        let back = self.joined(back, self.keys_of_held(session, rows).await?, JoinType::LeftAnti, Vec::new())?;
        rows.store_as(self.load, back, self.key_columns()?).await
    }

    /// Rows that can be gone. One without a key belongs to none of the source's rows, and one that is marked or has ended is gone already.
    fn live(&self, rows: DataFrame, deletes: &Deletes) -> Result<DataFrame> {
        let mut rows = rows;
        for key in self.keys {
            rows = rows.filter(column(None, key).is_not_null()).map_err(EngineError::from)?;
        }
        match deletes {
            deletes if deletes.is_soft() => rows.filter(column(None, DELETED_AT).is_null()).map_err(EngineError::from),
            deletes if deletes.closes() => rows.filter(column(None, IS_CURRENT)).map_err(EngineError::from),
            _ => Ok(rows),
        }
    }

    /// Rows whose keys are among some.
    async fn among(&self, session: &SessionContext, rows: DataFrame, keys: &HeldRows) -> Result<DataFrame> {
        let keys = each_key(keys.table(session).await?, self.keys, true)?;
        self.joined(rows, keys, JoinType::LeftSemi, Vec::new())
    }

    async fn keys_of_held(&self, session: &SessionContext, rows: &HeldRows) -> Result<DataFrame> {
        each_key(rows.table(session).await?, self.keys, false)
    }

    /// Keys together with others.
    pub(super) async fn keys_with(
        &self,
        session: &SessionContext,
        keys: DataFrame,
        others: impl Iterator<Item = &HeldRows>,
    ) -> Result<DataFrame> {
        let mut all = keys;
        for others in others {
            all = all.union(self.keys_of_held(session, others).await?).map_err(EngineError::from)?;
        }
        Ok(all)
    }

    /// Rows together with those of some files that are gone, with their mark, and those that are back, without one.
    pub(super) async fn with_marked(
        &self,
        session: &SessionContext,
        table: &DeltaTable,
        hits: &[String],
        rows: DataFrame,
        touched: Option<&Touched>,
    ) -> Result<DataFrame> {
        let (Some(touched), true) = (touched, self.deletes.is_some_and(Deletes::is_soft)) else { return Ok(rows) };
        let now = chrono::Utc::now().timestamp_micros();
        let mut all = rows;
        for (keys, mark) in [(&touched.gone, Some(now)), (&touched.back, None)] {
            let there = self.among(session, self.scan(session, table, hits, false)?, keys).await?;
            all = all.union(self.marked(there, mark)?).map_err(EngineError::from)?;
        }
        Ok(all)
    }

    /// Rows with another mark.
    fn marked(&self, rows: DataFrame, micros: Option<i64>) -> Result<DataFrame> {
        let mark = lit(ScalarValue::TimestampMicrosecond(micros, Some("UTC".into())));
        let value = |field: &Arc<Field>| match field.name() == DELETED_AT {
            true => cast(mark.clone(), field.data_type().clone()).alias(DELETED_AT),
            false => column(None, field.name()),
        };
        let columns: Vec<Expr> = self.layout.schema.fields().iter().map(value).collect();
        rows.select(columns).map_err(EngineError::from)
    }
}
