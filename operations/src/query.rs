//! One read-only SELECT across connections.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::TryStreamExt;
use headwater_engine::EngineError;
use headwater_engine::query::{Query, QueryError};
use headwater_pipelines::diagnostic::Source;
use headwater_pipelines::sql::SqlFinding;
use headwater_pipelines::yaml;
use schemars::JsonSchema;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{Action, Actor, OperationError, Operations, Problems, Result};

/// A column of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ColumnReport {
    /// Its name.
    pub name: String,
    /// Its Arrow type.
    #[serde(rename = "type")]
    pub kind: String,
}

impl ColumnReport {
    /// The columns of a schema.
    pub fn of(schema: &SchemaRef) -> Vec<Self> {
        let columns = schema
            .fields()
            .iter()
            .map(|field| Self { name: field.name().clone(), kind: field.data_type().to_string() });
        columns.collect()
    }
}

/// Rows as they come.
pub struct Rows {
    query: Query,
    cancel: CancellationToken,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("schema", &self.schema()).finish_non_exhaustive()
    }
}

impl Rows {
    /// Their schema.
    pub fn schema(&self) -> SchemaRef {
        self.query.rows.schema()
    }

    /// The next batch; `None` once there is no more.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        Ok(self.query.rows.try_next().await.map_err(EngineError::from)?)
    }

    /// Ends the sessions in the sources, whether all rows were read or not.
    pub async fn close(self) {
        self.cancel.cancel();
        self.query.close().await;
    }
}

impl Operations {
    /// Runs one SELECT over tables named `connection.path`.
    pub async fn query(&self, actor: &Actor, text: &str) -> Result<Rows> {
        self.permit(actor, Action::Query)?;
        let settings = self.stored_settings(&self.connection_names().await?).await?;
        let cancel = CancellationToken::new();
        match self.engine.query(text, settings, &cancel).await {
            Ok(query) => Ok(Rows { query, cancel }),
            Err(QueryError::Engine(error)) => Err(error.into()),
            Err(QueryError::Statement(findings)) => Err(OperationError::problems(vec![problems(text, findings)])),
        }
    }
}

impl Operations {
    /// What planning one SELECT on the newest catalogs finds. No system is reached.
    pub async fn check_statement(&self, actor: &Actor, text: &str) -> Result<Vec<SqlFinding>> {
        self.permit(actor, Action::Query)?;
        match self.engine.describe(text, self.planning_catalogs().await?).await {
            Ok(_) => Ok(Vec::new()),
            Err(QueryError::Engine(error)) => Err(error.into()),
            Err(QueryError::Statement(findings)) => Ok(findings),
        }
    }

    /// Refuses a SELECT that does not plan on the newest catalogs.
    pub async fn accept_statement(&self, actor: &Actor, text: &str) -> Result<()> {
        match self.check_statement(actor, text).await? {
            findings if findings.is_empty() => Ok(()),
            findings => Err(OperationError::problems(vec![problems(text, findings)])),
        }
    }
}

pub(crate) fn problems(text: &str, findings: Vec<SqlFinding>) -> Problems {
    let source = Source { name: "query".to_owned(), text: text.to_owned() };
    let tree = yaml::Node { value: yaml::Value::Scalar { text: text.to_owned(), plain: true }, span: 0..text.len() };
    let placed = findings.into_iter().map(|found| {
        let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let start = yaml::locate_in_scalar(text, &tree, number(found.line), number(found.column));
        source.at(start..(start + found.length).min(text.len()), found.finding)
    });
    let diagnostics = placed.collect();
    Problems { source, diagnostics }
}

/// Why the rows of a document broke off.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct QueryFailure {
    /// What happened.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl QueryFailure {
    /// From what a face says of a failure, and the operation's error if it is one.
    pub fn of(message: String, error: Option<&OperationError>) -> Self {
        Self { message, hint: error.and_then(|error| error.hint.clone()) }
    }
}
