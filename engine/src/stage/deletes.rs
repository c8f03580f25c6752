//! What a load adds to its rows to delete those that are gone at the source, and the scan of all keys.

use std::sync::Arc;

use datafusion::common::{DFSchema, ScalarValue};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, ident, lit};
use datafusion::physical_plan::execute_stream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::TryStreamExt;
use headwater_pipelines::plan::{DELETED_AT, Deletes, Stage};

use super::build::{Builder, Built};
use super::{Attempt, pull};
use crate::connector::{AllKeys, DELETED, moment};
use crate::control::Progress;
use crate::error::{EngineError, Result};
use crate::nodes;
use crate::relations::Relations;

impl Builder<'_> {
    /// Gives the rows of a load the columns by which it deletes. A load that replaces its target leaves out what is gone.
    pub(super) fn with_deletes(&self, built: &mut Built, deletes: &Deletes, is_refresh: bool) -> Result<()> {
        let input = std::mem::take(&mut built.plan);
        let condition = deletes.when.as_deref();
        let condition = condition.map(|text| self.condition(text, input.schema(), &built.relations)).transpose()?;
        let mut columns: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
        if deletes.is_soft() {
            columns.push(lit(ScalarValue::try_from(&moment())?).alias(DELETED_AT));
        }
        let mut rows = LogicalPlanBuilder::from(input);
        match condition {
            Some(condition) if is_refresh => rows = rows.filter(condition.is_not_true())?,
            Some(condition) => columns.push(condition.is_true().alias(DELETED)),
            None => {}
        }
        built.plan = rows.project(columns)?.build()?;
        Ok(())
    }

    fn condition(&self, text: &str, schema: &DFSchema, relations: &Relations) -> Result<Expr> {
        let state = relations.session().state();
        nodes::condition(text, schema, &state, self.parameters).map_err(|findings| {
            let messages: Vec<String> = findings.into_iter().map(|found| found.finding.message).collect();
            EngineError::config(format!("deleted_when: {}", messages.join("; ")))
        })
    }

    /// The keys of all rows of a load, whatever its cursors have read. The sources are asked for nothing but the keys, and not before the keys are taken.
    ///
    /// It is read in this attempt, which holds the cursors: so a row that an earlier load has brought was there before, and if it is not among these keys,
    /// it is gone.
    pub(super) async fn all_keys(&self, stage: &Stage, keys: &[String]) -> Result<AllKeys> {
        // Rows of the scan are none that the load reads.
        let progress = Arc::new(Progress::default());
        let Attempt { engine, job, control, cancel, .. } = *self.attempt;
        let attempt = Attempt { engine, job, control, progress: &progress, cancel, batch: None };
        let Builder { connections, parameters, pool, cursors, .. } = *self;
        let complete = Builder { attempt: &attempt, connections, parameters, pool, cursors, is_complete: true };
        let built = pull::fitting(complete.build(stage).await?, &complete).await?;
        let keys: Vec<Expr> = keys.iter().map(ident).collect();
        let plan = LogicalPlanBuilder::from(built.plan).project(keys)?.build()?;
        let session = built.relations.session();
        let physical = session.state().create_physical_plan(&plan).await?;
        let (schema, task) = (physical.schema(), session.task_ctx());
        let rows = futures::stream::once(async move { execute_stream(physical, task) }).try_flatten();
        let rows: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(schema, rows));
        Ok(AllKeys::new(rows))
    }
}
