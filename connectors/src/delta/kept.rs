//! Columns that a change did not send: the rows of a load get them from the table that they are merged into.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::JoinType;
use datafusion::functions_nested::expr_fn::array_has;
use datafusion::logical_expr::{Expr, lit, when};
use datafusion::prelude::SessionContext;
use deltalake::DeltaTable;
use headwater_engine::connector::{KEPT, not_sent};
use headwater_engine::{EngineError, Result};

use super::held::HeldRows;
use super::merge::{Merge, column};
use super::winners::first_of;

/// The column that says whether a row of the table was found.
pub(super) const FOUND: &str = "_hw_found";

impl Merge<'_> {
    /// The columns of rows that are not gone: those of the table, and which of them a change did not send.
    pub(super) fn sent_columns(&self) -> SchemaRef {
        if !self.are_changes() {
            return Arc::clone(&self.layout.schema);
        }
        let fields = self.layout.schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
        let kept = Field::new(KEPT, headwater_engine::connector::list_of_names(), true);
        Arc::new(Schema::new(fields.chain([kept]).collect::<Vec<_>>()))
    }

    /// The rows with what some files of the table have of columns that were not sent. Without a table nobody knows those.
    pub(super) async fn filled(
        &self,
        session: &SessionContext,
        table: Option<(&DeltaTable, &[String])>,
        rows: HeldRows,
    ) -> Result<HeldRows> {
        if !self.are_changes() {
            return Ok(rows);
        }
        let all = rows.table(session).await?;
        let partial = all.clone().filter(column(None, KEPT).is_not_null()).map_err(EngineError::from)?;
        let first = first_of(partial.clone()).await?;
        if first.is_none() {
            let whole = self.layout.schema.fields().iter().map(|field| column(None, field.name()));
            let whole = all.select(whole.collect::<Vec<Expr>>()).map_err(EngineError::from)?;
            return rows.store_as(self.load, whole, Arc::clone(&self.layout.schema)).await;
        }
        let Some((table, hits)) = table.filter(|(_, hits)| !hits.is_empty()) else {
            return Err(self.unknown(first));
        };
        let known = self.location.some_files(table, hits, None)?.schema();
        let is_new = |name: &&String| known.field_with_name(name).is_err();
        let names = self.layout.schema.fields().iter().map(|field| field.name());
        // The table has nothing in columns that the load adds.
        let added = names.filter(is_new).map(|name| array_has(column(None, KEPT), lit(name.as_str())).is_true());
        if let Some(is_unknown) = added.reduce(Expr::or) {
            let unknown = first_of(partial.filter(is_unknown).map_err(EngineError::from)?).await?;
            if unknown.is_some() {
                return Err(self.unknown(unknown));
            }
        }
        let there = self.scan(session, table, hits, false)?;
        let there = there.with_column(FOUND, lit(true)).map_err(EngineError::from)?;
        let both = self.joined(there, all, JoinType::Right, Vec::new())?;
        let lost = column(Some("r"), KEPT).is_not_null().and(column(Some("t"), FOUND).is_null());
        let lost = both.clone().filter(lost).map_err(EngineError::from)?;
        let named = self.keys.iter().map(String::as_str).chain([KEPT]);
        let named: Vec<Expr> = named.map(|name| column(Some("r"), name)).collect();
        let lost = first_of(lost.select(named).map_err(EngineError::from)?).await?;
        if lost.is_some() {
            return Err(self.unknown(lost));
        }
        let filled =
            self.layout.schema.fields().iter().map(|field| self.filled_column(field)).collect::<Result<Vec<Expr>>>()?;
        let filled = both.select(filled).map_err(EngineError::from)?;
        rows.store_as(self.load, filled, Arc::clone(&self.layout.schema)).await
    }

    fn filled_column(&self, field: &Field) -> Result<Expr> {
        let (there, sent) = (column(Some("t"), field.name()), column(Some("r"), field.name()));
        let is_own = self.keys.contains(field.name()) || self.layout.absent.contains(field.name());
        if is_own {
            return Ok(sent.alias(field.name()));
        }
        let is_kept = array_has(column(Some("r"), KEPT), lit(field.name().as_str())).is_true();
        let value = when(is_kept, there).otherwise(sent).map_err(EngineError::from)?;
        Ok(value.alias(field.name()))
    }

    /// The error about a row that was not sent whole.
    fn unknown(&self, row: Option<RecordBatch>) -> EngineError {
        let Some(batch) = row else { return EngineError::bug("a row that was not sent whole is gone") };
        let text = |name: &str| {
            let values = batch.column_by_name(name).and_then(|values| cast(values, &DataType::Utf8).ok());
            values.map(|values| values.as_string::<i32>().value(0).to_owned()).unwrap_or_default()
        };
        let names = batch.column_by_name(KEPT).and_then(|names| Some(names.as_list_opt::<i32>()?.value(0)));
        let name = names.as_ref().and_then(|names| names.as_string_opt::<i32>()?.iter().flatten().next());
        let values: Vec<String> = self.keys.iter().map(|key| text(key)).collect();
        not_sent(name.unwrap_or_default(), &format!("{} = {}", self.keys.join(", "), values.join(", ")))
    }
}
