//! Rows of a merge in the columns that the table has afterwards: what files of the table or rows of the load lack is NULL.

use datafusion::common::{JoinType, ScalarValue};
use datafusion::dataframe::DataFrame;
use datafusion::logical_expr::{Expr, lit};
use datafusion::prelude::SessionContext;
use deltalake::DeltaTable;
use headwater_engine::{EngineError, Result};
use headwater_pipelines::spec::WriteMode;

use super::held::HeldRows;
use super::merge::{FILE, Merge, column};

impl Merge<'_> {
    /// Rows of the table or of the load in the columns of the table, and the column that says which file they are in.
    pub(super) fn in_layout(&self, rows: DataFrame, with_file: bool) -> Result<DataFrame> {
        let fields = self.layout.schema.fields();
        let has = |name: &str| rows.schema().has_column_with_unqualified_name(name);
        if fields.iter().all(|field| has(field.name())) {
            return Ok(rows);
        }
        let mut columns: Vec<Expr> = Vec::with_capacity(fields.len() + 1);
        for field in fields {
            columns.push(match has(field.name()) {
                true => column(None, field.name()),
                false => {
                    let null = ScalarValue::try_from(field.data_type()).map_err(EngineError::from)?;
                    lit(null).alias(field.name())
                }
            });
        }
        columns.extend(with_file.then(|| column(None, FILE)));
        rows.select(columns).map_err(EngineError::from)
    }

    /// The rows that are added. One that replaces another keeps its values in columns that don't come.
    pub(super) async fn completed(
        &self,
        session: &SessionContext,
        table: &DeltaTable,
        hits: &[String],
        rows: &HeldRows,
    ) -> Result<DataFrame> {
        let rows = self.in_layout(rows.table(session).await?, false)?;
        if self.layout.absent.is_empty() || self.mode != WriteMode::Upsert || hits.is_empty() {
            return Ok(rows);
        }
        let there = self.scan(session, table, hits, false)?;
        let both = self.joined(there, rows, JoinType::Right, Vec::new())?;
        let columns = self.layout.schema.fields().iter().map(|field| {
            let side = if self.layout.absent.contains(field.name()) { "t" } else { "r" };
            column(Some(side), field.name()).alias(field.name())
        });
        both.select(columns.collect::<Vec<Expr>>()).map_err(EngineError::from)
    }
}
