//! One row for each key: of a load's rows the last, of the table's the only one.

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use datafusion::common::JoinType;
use datafusion::dataframe::DataFrame;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::functions_window::expr_fn::rank;
use datafusion::logical_expr::{Expr, ExprFunctionExt, lit};
use datafusion::prelude::SessionContext;
use deltalake::DeltaTable;
use headwater_engine::{EngineError, Result};

use super::held::HeldRows;
use super::merge::{COUNT, Merge, RANK, column};

impl Merge<'_> {
    /// One row for each key.
    pub(super) async fn winners(&self, session: &SessionContext, given: &HeldRows) -> Result<HeldRows> {
        let keys: Vec<Expr> = self.keys.iter().map(|key| column(None, key)).collect();
        let rows = given.table(session).await?;
        let repeated = rows.clone().aggregate(keys.clone(), vec![count(lit(1)).alias(COUNT)]);
        let repeated = repeated.and_then(|groups| groups.filter(column(None, COUNT).gt(lit(1_i64))));
        if first_of(repeated.map_err(EngineError::from)?).await?.is_none() {
            return Ok(given.clone());
        }
        let first = self.last_of_each(rows.distinct().map_err(EngineError::from)?, keys.clone())?;
        let winners = given.store(self.load, first).await?;
        let ties = winners.table(session).await?.aggregate(keys.clone(), vec![count(lit(1)).alias(COUNT)]);
        let ties = ties.and_then(|groups| groups.filter(column(None, COUNT).gt(lit(1_i64))));
        let ties = ties.and_then(|groups| groups.select(keys)).map_err(EngineError::from)?;
        match first_of(ties).await? {
            None => Ok(winners),
            Some(batch) => Err(self.tied(&batch)),
        }
    }

    /// The rows of each key that are last by a column; without one, all of them.
    fn last_of_each(&self, rows: DataFrame, keys: Vec<Expr>) -> Result<DataFrame> {
        let Some(order_by) = self.order_by else { return Ok(rows) };
        let order = vec![column(None, order_by).sort(false, false)];
        let ranked = rank().partition_by(keys).order_by(order).build().map_err(EngineError::from)?;
        let ranked = rows.window(vec![ranked.alias(RANK)]);
        let last = ranked.and_then(|rows| rows.filter(column(None, RANK).eq(lit(1_u64))));
        last.and_then(|rows| rows.drop_columns(&[RANK])).map_err(EngineError::from)
    }

    fn tied(&self, batch: &RecordBatch) -> EngineError {
        let example = first_row(batch);
        let message = format!("several rows have the key {} and differ, e.g. ({example})", self.keys.join(", "));
        EngineError::data(message).hint(match self.order_by {
            None => "name the column by which the last one counts: order_by: updated_at".to_owned(),
            Some(column) => format!("they have one value of {column}: choose one of them in a transform"),
        })
    }

    /// Of a key that the table has twice nobody knows which row is meant.
    pub(super) async fn refuse_repeated(
        &self,
        session: &SessionContext,
        table: &DeltaTable,
        hits: &[String],
        rows: &HeldRows,
    ) -> Result<()> {
        if hits.is_empty() {
            return Ok(());
        }
        let keys = |table: Option<&str>| self.keys.iter().map(|key| column(table, key)).collect::<Vec<Expr>>();
        let there = self.scan(session, table, hits, false)?.select(keys(None)).map_err(EngineError::from)?;
        let met = self.joined(there, rows.table(session).await?, JoinType::LeftSemi, Vec::new())?;
        let repeated = met.aggregate(keys(Some("t")), vec![count(lit(1)).alias(COUNT)]);
        let repeated = repeated.and_then(|groups| groups.filter(column(None, COUNT).gt(lit(1_i64))));
        let repeated = repeated.and_then(|groups| groups.select(keys(Some("t")))).map_err(EngineError::from)?;
        let Some(batch) = first_of(repeated).await? else { return Ok(()) };
        let (keys, example) = (self.keys.join(", "), first_row(&batch));
        Err(EngineError::data(format!("the target has several rows of the key {keys}, e.g. ({example})"))
            .hint("remove all but one of them, or load by the columns that identify a row"))
    }
}

/// A batch of one of some rows, if there are any.
pub(super) async fn first_of(rows: DataFrame) -> Result<Option<RecordBatch>> {
    let one = rows.limit(0, Some(1)).map_err(EngineError::from)?.collect().await.map_err(EngineError::from)?;
    Ok(one.into_iter().find(|batch| batch.num_rows() > 0))
}

/// The first row of a batch, for messages.
pub(super) fn first_row(batch: &RecordBatch) -> String {
    let value = |column: &ArrayRef| {
        let text = headwater_engine::texts(column).ok();
        text.map(|text| text.as_string::<i32>().value(0).to_owned()).unwrap_or_default()
    };
    batch.columns().iter().map(value).collect::<Vec<_>>().join(", ")
}
