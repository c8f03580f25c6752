//! `headwater sql`: one read-only SELECT across connections.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionContext;
use futures::FutureExt;
use futures::future::BoxFuture;
use headwater_pipelines::casing::{Meaning, settle};
use headwater_pipelines::diagnostic::{Code, Finding};
use headwater_pipelines::plan::{ExtractSource, Relation, TableRef};
use headwater_pipelines::sql::{self, Part, Scope, SqlFinding};
use tokio_util::sync::CancellationToken;

use crate::catalog::Catalog;
use crate::control::Progress;
use crate::error::{EngineError, Result};
use crate::job::ConnectionSettings;
use crate::relations::{Connections, Relations, direct_name};
use crate::stage::Engine;
use crate::transform::{self, Parameters};

/// A running query. The connections live as long as its stream is read.
pub struct Query {
    /// The rows.
    pub rows: SendableRecordBatchStream,
    connections: Connections,
}

impl Query {
    /// Ends the sessions in the sources.
    pub async fn close(self) {
        drop(self.rows);
        self.connections.close().await;
    }
}

/// What is wrong with a query: places in its text, or a failure of a source.
#[derive(Debug)]
pub enum QueryError {
    /// The statement itself.
    Statement(Vec<SqlFinding>),
    /// A source or the engine.
    Engine(EngineError),
}

impl From<EngineError> for QueryError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl Engine {
    /// Runs one SELECT over tables named `connection.path`.
    pub fn query<'a>(
        &'a self,
        text: &'a str,
        settings: BTreeMap<String, ConnectionSettings>,
        cancel: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<Query, QueryError>> {
        self.select(text, settings, cancel).boxed()
    }

    async fn select(
        &self,
        text: &str,
        settings: BTreeMap<String, ConnectionSettings>,
        cancel: &CancellationToken,
    ) -> Result<Query, QueryError> {
        let connections = Connections::new(self.registry().clone(), settings);
        let (plan, session) = self.planned(text, &connections, cancel).await?;
        let physical = session.state().create_physical_plan(&plan).await.map_err(EngineError::from)?;
        let rows = execute_stream(physical, session.task_ctx()).map_err(EngineError::from)?;
        Ok(Query { rows, connections })
    }

    /// The columns of one SELECT over tables of catalogs, by connection with the connector's name: no system is reached.
    pub fn describe<'a>(
        &'a self,
        text: &'a str,
        catalogs: BTreeMap<String, (String, Catalog)>,
    ) -> BoxFuture<'a, Result<SchemaRef, QueryError>> {
        async move {
            let connections = Connections::of_catalogs(self.registry().clone(), catalogs);
            let (plan, session) = self.planned(text, &connections, &CancellationToken::new()).await?;
            session.state().create_physical_plan(&plan).await.map_err(EngineError::from)?;
            Ok(Arc::clone(plan.schema().inner()))
        }
        .boxed()
    }

    async fn planned(
        &self,
        text: &str,
        connections: &Connections,
        cancel: &CancellationToken,
    ) -> Result<(LogicalPlan, SessionContext), QueryError> {
        let names = connections.names();
        let resolved = sql::resolve(text, &ConnectionsOnly(&names)).map_err(QueryError::Statement)?;
        let session = self.sessions().session(Arc::clone(self.sessions().pool()), true)?;
        let mut relations = Relations::new(session);
        let progress = Progress::default();
        for relation in &resolved.reads {
            if let Relation::Table(table) = relation {
                let provider = connections.source(&ExtractSource::Table(table.clone()), None, cancel).await?;
                relations.add_table(&direct_name(table), provider, &progress)?;
            }
        }
        let plan =
            transform::plan(&resolved.query, &relations, &Parameters::new()).await.map_err(QueryError::Statement)?;
        Ok((plan, relations.session().clone()))
    }
}

/// Outside a pipeline there are no tasks to name.
struct ConnectionsOnly<'a>(&'a BTreeSet<String>);

impl Scope for ConnectionsOnly<'_> {
    fn relation(&self, parts: &[Part]) -> Result<Relation, Finding> {
        let Some((first, rest)) = parts.split_first() else {
            return Err(Finding::error(Code::UnknownName, "a table has no name"));
        };
        let path: Vec<String> = rest.iter().map(|part| part.text.clone()).collect();
        match settle(&first.text, first.is_quoted, self.0.iter().map(String::as_str)) {
            Meaning::One(connection) if !path.is_empty() => {
                Ok(Relation::Table(TableRef { connection: connection.to_owned(), path }))
            }
            Meaning::One(connection) => {
                let message = format!("'{connection}' names a connection and no table");
                Err(Finding::error(Code::UnknownTable, message).hint("write connection.table"))
            }
            _ => {
                let message = format!("there is no connection named '{}'", first.text);
                Err(Finding::error(Code::UnknownName, message).nearest(&first.text, self.0.iter().map(String::as_str)))
            }
        }
    }

    fn parameters(&self) -> Vec<&str> {
        Vec::new()
    }
}
