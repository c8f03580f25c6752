//! What a load adds to its rows so that their target keeps its history.

use chrono::Utc;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, cast, ident, lit};
use headwater_pipelines::plan::{IS_CURRENT, VALID_FROM, VALID_TO};

use super::build::{Builder, Built};
use crate::connector::moment;
use crate::error::Result;

impl Builder<'_> {
    /// Gives the rows of a load the columns of a version that holds: since the time of the column by which they are ordered, else since the end of the run's data
    /// interval, else since now.
    pub(super) fn with_history(&self, built: &mut Built, order_by: Option<&str>) -> Result<()> {
        let input = std::mem::take(&mut built.plan);
        let since = match order_by {
            Some(column) => cast(ident(column), moment()),
            None => {
                let at = self.attempt.job.run.interval_end.unwrap_or_else(Utc::now);
                lit(ScalarValue::TimestampMicrosecond(Some(at.timestamp_micros()), Some("UTC".into())))
            }
        };
        let until = lit(ScalarValue::TimestampMicrosecond(None, Some("UTC".into())));
        let own = [since.alias(VALID_FROM), until.alias(VALID_TO), lit(true).alias(IS_CURRENT)];
        let columns: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).chain(own).collect();
        built.plan = LogicalPlanBuilder::from(input).project(columns)?.build()?;
        Ok(())
    }
}
